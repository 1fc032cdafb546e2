//! Reading a file of a working tree that git may be exchanging at this moment.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use crate::error::{CouldNot, Error, Result, is_absence};
use crate::files::identity::Identity;
use crate::files::untrusted::{self, PlainFile};
use crate::git::command::{ask, git};
use crate::git::index;
use crate::git::worktree::Worktree;

/// Reads at most `limit` bytes of the file `name` at the root of `worktree`, and has them parsed:
/// `parse` gets what lies there, and returns `None` if nothing does.
///
/// git replaces a file by unlinking it and writing it anew: for a moment it is missing, then it is
/// empty. So what is missing or invalid counts only if git was not at work meanwhile; else what git
/// has recorded counts, the state before or after. At work means that `index.lock` is there (git
/// holds it while it writes the tree) or that the index was replaced (git ends with that). Commands
/// that change files without the index, `git apply` for one, are like an editor: what they leave for
/// a moment counts.
///
/// `parse` must refuse what is not whole.
pub fn read_settled<T>(
    worktree: &Worktree,
    name: &str,
    limit: usize,
    parse: impl Fn(PlainFile) -> Result<Option<T>>,
) -> Result<Option<T>> {
    let path = worktree.root.join(name);
    let in_tree = || parse(untrusted::read(&path, limit).could_not("read", &path)?);
    let found = in_tree();
    if matches!(found, Ok(Some(_))) {
        return found;
    }

    let before = IndexState::of(&worktree.git_dir)?;
    let found = in_tree();
    match (&found, &before.index) {
        (Ok(Some(_)), _) => return found,
        // Without an index nothing has been checked out yet: `git worktree add` is about to.
        (Ok(None), None) => {}
        _ if before.is_still_that_of(&worktree.git_dir)? => return found,
        _ => {}
    }
    let recorded = match before.index {
        Some(_) => staged(&worktree.root, name, limit)?,
        None => committed(&worktree.root, name, limit)?,
    };
    match recorded {
        Some(file) => parse(file),
        None => found,
    }
}

/// Which index a worktree has, and whether git is about to replace it.
struct IndexState {
    /// Held open, so that no later index gets its inode.
    index: Option<File>,
    is_locked: bool,
}

impl IndexState {
    fn of(git_dir: &Path) -> Result<IndexState> {
        Ok(IndexState {
            index: index::open(git_dir)?,
            is_locked: is_locked(git_dir)?,
        })
    }

    fn is_still_that_of(&self, git_dir: &Path) -> Result<bool> {
        if self.is_locked || is_locked(git_dir)? {
            return Ok(false);
        }
        let path = git_dir.join("index");
        let now = match Identity::at(&path) {
            Err(error) if is_absence(&error) => None,
            now => Some(now.could_not("read", &path)?),
        };
        match (&self.index, now) {
            (None, None) => Ok(true),
            (Some(before), Some(now)) => Ok(Identity::of(before).could_not("read", &path)? == now),
            _ => Ok(false),
        }
    }
}

fn is_locked(git_dir: &Path) -> Result<bool> {
    let path = git_dir.join("index.lock");
    match fs::symlink_metadata(&path) {
        Err(error) if is_absence(&error) => Ok(false),
        found => found.could_not("read", &path).map(|_| true),
    }
}

/// The file at `name` as the index of the worktree at `root` has it; `None` if it is not in the
/// index, or kept out of the tree (a sparse checkout).
///
/// git reads it: rare as this is, every kind of index is then understood.
fn staged(root: &Path, name: &str, limit: usize) -> Result<Option<PlainFile>> {
    let pathspec = format!(":(literal){name}");
    let listed = ask(root, &["ls-files", "-z", "-t", "--stage", "--", &pathspec])?;
    // `H 100644 <object id> 0<tab><path>`, by a letter for its status.
    let listed = String::from_utf8_lossy(&listed);
    let mut words = listed.split([' ', '\t']);
    match (words.next(), words.next(), words.next()) {
        (Some("H"), Some(mode), Some(id)) => object(root, mode, id, limit).map(Some),
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
    let listed = match ask(root, &["ls-tree", "-z", "HEAD", "--", name]) {
        Err(_) if is_unborn(root) => return Ok(None),
        listed => listed?,
    };
    // `100644 blob <object id><tab><path>`
    let listed = String::from_utf8_lossy(&listed);
    let mut words = listed.split([' ', '\t']);
    match (words.next(), words.next(), words.next()) {
        (Some(mode), Some(_kind), Some(id)) => object(root, mode, id, limit).map(Some),
        _ => Ok(None),
    }
}

/// Whether the branch at `root` has no commit yet.
fn is_unborn(root: &Path) -> bool {
    let arguments = ["rev-parse", "--verify", "--quiet", "HEAD"];
    let output = git(root).args(arguments).output();
    output.is_ok_and(|output| output.status.code() == Some(1))
}

/// The object with that id as the file that git makes of it.
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
        .map_err(|error| Error::new(format!("could not read the size of object {id}: {error}")))?;
    if size > limit {
        return Ok(PlainFile::Read {
            bytes: Vec::new(),
            truncated: true,
        });
    }
    Ok(PlainFile::Read {
        bytes: ask(root, &["cat-file", "blob", id])?,
        truncated: false,
    })
}

#[cfg(test)]
mod tests;
