//! Reading a file of a working tree that git may be replacing at this moment.

use std::fs::File;
use std::io;
use std::path::Path;

use crate::error::{Error, Result, error, if_there};
use crate::files::dir::{Dir, PlainFile, Stat};
use crate::git::command::ask;
use crate::git::config;
use crate::git::worktree::Worktree;

/// Reads at most `limit` bytes of the file `name` at the root of `worktree`, and parses them: `parse`
/// gets the result of reading, and returns `None` if there is no file.
///
/// git replaces a file by unlinking it and writing it anew: for a moment it is missing, then empty.
/// So a missing or invalid file only counts if git was not at work in the meantime; otherwise the
/// index or HEAD counts. git is at work if there is an `index.lock` (git holds it while it writes
/// the tree) or if the index was replaced (git does that last). Commands that change files without
/// the index, such as `git apply`, are like an editor: what they leave for a moment counts. If a
/// sparse checkout leaves the file out, the index counts too.
///
/// `parse` must refuse a truncated file.
pub fn read_settled<T>(
    worktree: &Worktree,
    name: &str,
    limit: usize,
    parse: impl Fn(PlainFile) -> Result<Option<T>>,
) -> Result<Option<T>> {
    let in_tree = || parse(worktree.root.read(name, limit)?);
    let found = in_tree();
    if matches!(found, Ok(Some(_))) {
        return found;
    }

    let before = IndexState::of(&worktree.git_dir)?;
    let found = in_tree();
    match (&found, &before.index) {
        (Ok(Some(_)), _) => return found,
        // Without an index, nothing is checked out yet: `git worktree add` is about to do it.
        (Ok(None), None) => {}
        (Ok(None), Some(_)) if is_sparse(worktree)? => {}
        _ if before.is_still_that_of(&worktree.git_dir)? => return found,
        _ => {}
    }
    match recorded(worktree.path(), name, before.index.is_some(), limit)? {
        Some(file) => parse(file),
        None => found,
    }
}

/// Whether git leaves files out of the tree.
fn is_sparse(worktree: &Worktree) -> Result<bool> {
    // If there are no patterns, git need not be asked.
    let patterns = worktree.git_dir.path().join("info").join("sparse-checkout");
    Ok(patterns.exists() && config::is_true(worktree.path(), "core.sparseCheckout")?)
}

/// Which index a worktree has, and whether git is about to replace it.
struct IndexState {
    /// Kept open, so that no later index gets its inode.
    index: Option<(File, Stat)>,
    is_locked: bool,
}

impl IndexState {
    fn of(git_dir: &Dir) -> Result<IndexState> {
        // In this order, because git renames the lock to the index as its last step.
        let is_locked = git_dir.has("index.lock");
        let index = if_there(git_dir.open_file("index"));
        let index = index.map_err(Error::could_not("read", git_dir.path_of("index")))?;
        Ok(IndexState { index, is_locked })
    }

    fn is_still_that_of(&self, git_dir: &Dir) -> Result<bool> {
        let now = IndexState::of(git_dir)?;
        let identity = |it: &IndexState| it.index.as_ref().map(|(_, stat)| stat.identity);
        Ok(!self.is_locked && !now.is_locked && identity(self) == identity(&now))
    }
}

/// The file at `name` as the index of the worktree at `root` has it or, without an index, the commit
/// that is checked out; `None` if it is in neither.
fn recorded(root: &Path, name: &str, has_index: bool, limit: usize) -> Result<Option<PlainFile>> {
    let pathspec = format!(":(literal){name}");
    let listed = if has_index {
        ask(root, &["ls-files", "-z", "--stage", "--", &pathspec])?
    } else if ask(root, &["rev-parse", "--verify", "--quiet", "HEAD"])?.is_empty() {
        // There is no commit yet.
        return Ok(None);
    } else {
        ask(root, &["ls-tree", "-z", "HEAD", "--", name])?
    };
    // `100644 <object id> 0<tab><path>` or `100644 blob <object id><tab><path>`
    let listed = String::from_utf8_lossy(&listed);
    let words: Vec<&str> = listed.split([' ', '\t']).take(3).collect();
    match words[..] {
        [mode, id, "0"] if has_index => object(root, mode, id, limit).map(Some),
        [_, _, _] if has_index => {
            let conflict = io::Error::other("it has a merge conflict");
            Ok(Some(PlainFile::Unreadable(conflict)))
        }
        [mode, _kind, id] => object(root, mode, id, limit).map(Some),
        _ => Ok(None),
    }
}

/// The object with that id, as the file that git would check out.
fn object(root: &Path, mode: &str, id: &str, limit: usize) -> Result<PlainFile> {
    match mode {
        "120000" => return Ok(PlainFile::NotRegular("a symbolic link")),
        "160000" | "040000" => return Ok(PlainFile::NotRegular("a directory")),
        _ => {}
    }
    let size = ask(root, &["cat-file", "-s", id])?;
    let size = String::from_utf8_lossy(&size).trim_end().parse::<usize>();
    if size.map_err(|error| error!("could not read the size of object {id}: {error}"))? > limit {
        return Ok(PlainFile::TooLarge(Vec::new()));
    }
    ask(root, &["cat-file", "blob", id]).map(PlainFile::Read)
}

#[cfg(test)]
mod tests;
