//! Reading a file of a working tree that git may be replacing at this moment.

use std::fs::File;
use std::io;
use std::path::Path;

use crate::error::{Error, Result, error, if_there};
use crate::files::dir::{Dir, PlainFile, identity_of};
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
    let could_not = || Error::could_not("read", worktree.root.path_of(name));
    let in_tree = || parse(worktree.root.read(name, limit).map_err(could_not())?);
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
    let recorded = match before.index {
        Some(_) => staged(worktree.path(), name, limit)?,
        None => committed(worktree.path(), name, limit)?,
    };
    match recorded {
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
    index: Option<File>,
    is_locked: bool,
}

impl IndexState {
    fn of(git_dir: &Dir) -> Result<IndexState> {
        Ok(IndexState {
            index: open_index(git_dir)?,
            is_locked: git_dir.has("index.lock"),
        })
    }

    fn is_still_that_of(&self, git_dir: &Dir) -> Result<bool> {
        if self.is_locked || git_dir.has("index.lock") {
            return Ok(false);
        }
        let could_not = || Error::could_not("read", git_dir.path_of("index"));
        match (&self.index, open_index(git_dir)?) {
            (None, None) => Ok(true),
            (Some(before), Some(now)) => Ok(identity_of(before).map_err(could_not())?
                == identity_of(&now).map_err(could_not())?),
            _ => Ok(false),
        }
    }
}

/// The index, if there is one. git replaces it by a rename, so an open one stays whole.
fn open_index(git_dir: &Dir) -> Result<Option<File>> {
    let index = if_there(git_dir.open_file("index"));
    let index = index.map_err(Error::could_not("read", git_dir.path_of("index")))?;
    Ok(index.map(|(file, _)| file))
}

/// The file at `name` as the index of the worktree at `root` has it; `None` if it is not in the
/// index.
fn staged(root: &Path, name: &str, limit: usize) -> Result<Option<PlainFile>> {
    let pathspec = format!(":(literal){name}");
    let listed = ask(root, &["ls-files", "-z", "-t", "--stage", "--", &pathspec])?;
    // `H 100644 <object id> 0<tab><path>`, by a letter for its status.
    let listed = String::from_utf8_lossy(&listed);
    let mut words = listed.split([' ', '\t']);
    match (words.next(), words.next(), words.next()) {
        // In the tree, or left out by a sparse checkout.
        (Some("H" | "S"), Some(mode), Some(id)) => object(root, mode, id, limit).map(Some),
        (Some("M"), ..) => {
            let conflict = io::Error::other("it has a merge conflict");
            Ok(Some(PlainFile::Unreadable(conflict)))
        }
        _ => Ok(None),
    }
}

/// The file at `name` in the commit that is checked out at `root`; `None` if it has none, or there
/// is no commit yet.
fn committed(root: &Path, name: &str, limit: usize) -> Result<Option<PlainFile>> {
    let head = ["rev-parse", "--verify", "--quiet", "HEAD"];
    if ask(root, &head)?.is_empty() {
        return Ok(None);
    }
    let listed = ask(root, &["ls-tree", "-z", "HEAD", "--", name])?;
    // `100644 blob <object id><tab><path>`
    let listed = String::from_utf8_lossy(&listed);
    let mut words = listed.split([' ', '\t']);
    match (words.next(), words.next(), words.next()) {
        (Some(mode), Some(_kind), Some(id)) => object(root, mode, id, limit).map(Some),
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
    let size: usize = String::from_utf8_lossy(&size)
        .trim_end()
        .parse()
        .map_err(|error| error!("could not read the size of object {id}: {error}"))?;
    if size > limit {
        return Ok(PlainFile::TooLarge(Vec::new()));
    }
    ask(root, &["cat-file", "blob", id]).map(PlainFile::Read)
}

#[cfg(test)]
mod tests;
