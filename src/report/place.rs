//! Whether something can be done in a worktree and, if not, what brings it and its entry together.

use std::path::Path;

use crate::allocate::reservations::Holder;
use crate::error::{Error, error, quoted, shell_word};
use crate::files::dir::is_same_directory;
use crate::git::entries::{self, Place};
use crate::git::repository;
use crate::git::worktree::{Entry, Worktree};

/// Opens a worktree in which something can be done; `None` if there is nothing to say of its place.
///
/// # Errors
/// Why nothing can be done in it.
pub fn open(holder: &Holder, common_dir: &Path) -> Result<Option<Worktree>, Error> {
    let unreadable = |error: Error| error.remedy_or("give this user access to it");
    let git = format!("git -C {}", shell_word(common_dir));
    let entry = &holder.entry;
    if let Place::Unreadable(error) = &entry.place {
        return Err(unreadable(error.clone()));
    }
    let Some(root) = entry.root() else {
        // git is making, moving or removing it; only one that stays so holds ports.
        if holder.ports == 0 || entry.is_main() {
            return Ok(None);
        }
        let path = quoted(&entry.git_dir);
        let error = error!("the entry {path} does not say where its worktree is");
        return Err(error.remedy(format!(
            "if the worktree is there, run `git worktree repair` in it; if it is gone for good, run `rm -r {}`",
            shell_word(&entry.git_dir)
        )));
    };
    let Some(worktree) = entry.open().map_err(unreadable)? else {
        return Err(moved_or_gone(root, entry, &git));
    };
    if !worktree.is_in_place().map_err(unreadable)? {
        let dot_git = quoted(&root.join(".git"));
        return Err(if worktree.root.has(".git") {
            let path = quoted(&entry.git_dir);
            error!("{dot_git} does not lead to {path}").remedy(way_back(entry, &worktree, &git))
        } else {
            error!("{dot_git} is missing").remedy(format!("run `{git} worktree repair`"))
        });
    }
    // Only a git config of its own can keep libgit2 from opening one worktree of several, and every
    // call there ends with this.
    let own_config = entry.git_dir.join("config.worktree");
    if own_config.exists()
        && let Err(error) = repository::find(root)
    {
        return Err(error.remedy_or(&format!("correct {}", quoted(&own_config))));
    }
    Ok(Some(worktree))
}

fn moved_or_gone(root: &Path, entry: &Entry, git: &str) -> Error {
    let (path, word) = (quoted(root), shell_word(root));
    let unlock = if entry.git_dir.join("locked").exists() {
        format!("{git} worktree unlock {word} && ")
    } else {
        String::new()
    };
    let remedy = format!(
        "if it was moved, run `git worktree repair` in its new place; if it is gone for good, run `{unlock}{git} worktree remove {word}`"
    );
    if root.symlink_metadata().is_ok() && !root.is_dir() {
        error!("{path} is no directory, but git has a worktree there")
            .remedy(format!("move that away; {remedy}"))
    } else {
        error!("the worktree at {path} is not there").remedy(remedy)
    }
}

/// How a worktree and the entry that its `.git` does not lead to come together again.
fn way_back(entry: &Entry, found: &Worktree, git: &str) -> String {
    let repair = format!("run `{git} worktree repair`");
    let remove = format!("run `rm -r {}`", shell_word(&entry.git_dir));
    let unknown = format!(
        "if it was moved, run `git worktree repair` in its new place; if it is gone, or if this clone is a copy, {remove}"
    );
    let Ok(Some(named)) = entries::git_dir_named_by(&found.root) else {
        return unknown;
    };
    if !named.exists() {
        // The clone was moved.
        return repair;
    }
    let parents = named.parent().zip(entry.git_dir.parent());
    let is_of_this_repository = parents.is_some_and(|(one, other)| is_same_directory(one, other));
    match entries::locate(&named) {
        // The other entry names the place too.
        Ok(Place::At(root)) if is_of_this_repository && is_same_directory(&root, found.path()) => {
            remove
        }
        // Another worktree was copied over this one.
        Ok(Place::At(root)) if is_of_this_repository && root.join(".git").exists() => repair,
        _ => unknown,
    }
}
