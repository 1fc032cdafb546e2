//! Whether a worktree can be used and, if not, how to fix that.

use std::path::Path;

use crate::allocate::reservations::Holder;
use crate::error::{Error, Result, error, quoted, shell_word};
use crate::files::dir::{Dir, is_same_directory};
use crate::git::entries::{self, Entry, Place};
use crate::git::repository;
use crate::git::worktree::Worktree;

/// Opens a worktree; `None` if git is making, moving or removing it.
///
/// # Errors
/// Why it cannot be used.
pub fn open(holder: &Holder) -> Result<Option<Worktree>> {
    let unreadable = |error: Error| error.remedy_or("give this user access to it");
    let entry = &holder.entry;
    let git_dir = quoted(&entry.git_dir);
    let repair = format!(
        "run `git -C {} worktree repair`",
        shell_word(&entry.common_dir)
    );
    let root = match &entry.place {
        Place::At(root) => root,
        Place::Unreadable(error) => return Err(unreadable(error.clone())),
        // An entry that stays like this has ports.
        Place::Unknown if holder.ports == 0 || entry.is_main() => return Ok(None),
        Place::Unknown => {
            let remove = shell_word(&entry.git_dir);
            return Err(error!("the entry {git_dir} does not say where its worktree is").remedy(format!(
                "if the worktree is there, run `git worktree repair` in it; if it is gone for good, run `rm -r {remove}`"
            )));
        }
    };
    let Some(worktree) = Worktree::of(entry).map_err(unreadable)? else {
        return Err(moved_or_gone(root, entry));
    };
    if !worktree.is_in_place().map_err(unreadable)? {
        let dot_git = quoted(&root.join(".git"));
        return Err(if worktree.root.has(".git") {
            error!("{dot_git} does not lead to {git_dir}")
                .remedy(way_back(entry, &worktree, repair))
        } else {
            error!("{dot_git} is missing").remedy(repair)
        });
    }
    // Only a git config of its own can keep libgit2 from opening one worktree of several.
    let own_config = entry.git_dir.join("config.worktree");
    if own_config.exists()
        && let Err(error) = repository::find(root)
    {
        return Err(error.remedy_or(&format!("fix {}", quoted(&own_config))));
    }
    Ok(Some(worktree))
}

fn moved_or_gone(root: &Path, entry: &Entry) -> Error {
    let (path, word) = (quoted(root), shell_word(root));
    let git = format!("git -C {} worktree", shell_word(&entry.common_dir));
    let unlock = if entry.git_dir.join("locked").exists() {
        format!("{git} unlock {word} && ")
    } else {
        String::new()
    };
    let remedy = format!(
        "if it was moved, run `git worktree repair` in its new place; if it is gone for good, run `{unlock}{git} remove {word}`"
    );
    if root.symlink_metadata().is_ok() && !root.is_dir() {
        error!("{path} is not a directory, but git has a worktree there")
            .remedy(format!("move that away; {remedy}"))
    } else {
        error!("the worktree at {path} is not there").remedy(remedy)
    }
}

/// The remedy for a worktree whose `.git` does not lead to its entry.
fn way_back(entry: &Entry, found: &Worktree, repair: String) -> String {
    // A main worktree's is the whole repository.
    if entry.is_main() {
        return repair;
    }
    let remove = format!("run `rm -r {}`", shell_word(&entry.git_dir));
    let unknown = format!(
        "if it was moved, run `git worktree repair` in its new place; if it is gone, or if this clone is a copy, {remove}"
    );
    let Ok(Some(named)) = entries::git_dir_named_by(&found.root) else {
        return unknown;
    };
    let Ok(git_dir) = Dir::open(&named) else {
        // The clone was moved.
        return repair;
    };
    let parents = named.parent().zip(entry.git_dir.parent());
    let is_of_this_repository = parents.is_some_and(|(one, other)| is_same_directory(one, other));
    match entries::place_of(&git_dir) {
        // The other entry names this place too.
        Ok(Place::At(root)) if is_of_this_repository && is_same_directory(&root, found.path()) => {
            remove
        }
        // Another worktree was copied over this one.
        Ok(Place::At(root)) if is_of_this_repository && root.join(".git").exists() => repair,
        _ => unknown,
    }
}
