//! Whether git tracks a path: its index, read no further than that path.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use crate::error::{CouldNot, Error, Result, is_absence};
use crate::git::command;
use crate::git::worktree::Worktree;

/// The longest path that is read, in bytes; git's own limit is that of the system, 4 KiB on Linux.
const PATH_LIMIT: usize = 64 * 1024;

/// The mode of an entry that stands for all files in a directory (a sparse index).
const SPARSE_DIRECTORY: u32 = 0o040_000;

/// What the index says about a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It has no entry.
    Untracked,
    /// It has one, or in a merge conflict up to three.
    Tracked {
        /// The mode of the first, as in a tree: `0o100644` is a file, `0o160000` a submodule.
        mode: u32,
    },
    /// Only git can tell: the index is split or sparse there, of a later version, or damaged.
    AskGit,
}

/// Whether git tracks `path` in `worktree`. `path` is relative to the root, with `/` on every
/// system; `hash_len` is the length of the repository's object ids in bytes, 20 or 32.
///
/// # Errors
/// The index cannot be read; only git can read it, and git cannot be run or fails.
pub fn tracks(worktree: &Worktree, path: &str, hash_len: usize) -> Result<bool> {
    match find(&worktree.git_dir, path, hash_len)? {
        Found::Untracked => Ok(false),
        Found::Tracked { .. } => Ok(true),
        Found::AskGit => {
            let pathspec = format!(":(literal){path}");
            let listed = command::ask(&worktree.root, &["ls-files", "-z", "--", &pathspec])?;
            // What is in a directory of that name is listed too.
            let mut entries = listed.split(|&byte| byte == 0);
            Ok(entries.any(|entry| entry == path.as_bytes()))
        }
    }
}

/// What the index in `git_dir`, a worktree's own git directory, says about `path`. The parameters
/// are those of [`tracks`].
///
/// libgit2 and git read the whole index, which in a large repository takes a hundred times as long
/// as everything else that a call does.
pub fn find(git_dir: &Path, path: &str, hash_len: usize) -> Result<Found> {
    // A repository without a first `git add` has none.
    let Some(file) = open(git_dir)? else {
        return Ok(Found::Untracked);
    };
    match search(BufReader::new(file), path.as_bytes(), hash_len) {
        Ok(Found::Untracked) if may_be_split(git_dir) => Ok(Found::AskGit),
        Err(error) if is_damage(&error) => Ok(Found::AskGit),
        found => found.could_not("read", &git_dir.join("index")),
    }
}

/// The index in `git_dir`, if there is one. git replaces it by a rename: what is open stays whole.
#[expect(
    clippy::disallowed_methods,
    reason = "the index is git's own file, and is not waited for"
)]
pub fn open(git_dir: &Path) -> Result<Option<File>> {
    let path = git_dir.join("index");
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    let file = match options.open(&path) {
        Err(error) if is_absence(&error) => return Ok(None),
        file => file.could_not("read", &path)?,
    };
    if file.metadata().could_not("read", &path)?.is_file() {
        Ok(Some(file))
    } else {
        // git would wait for a FIFO, so it is not asked either.
        Err(Error::at("read", &path, "it is not a regular file"))
    }
}

/// Whether the index that was opened before can be a split one, whose other entries are in a
/// `sharedindex.<hash>` beside it. What tells is an extension behind the last entry, too far away;
/// but while a split index is in use, git keeps that file. One that is left over costs a question
/// to git.
fn may_be_split(git_dir: &Path) -> bool {
    let is_shared_index = |entry: io::Result<fs::DirEntry>| {
        entry.is_ok_and(|entry| {
            entry
                .file_name()
                .to_string_lossy()
                .starts_with("sharedindex.")
        })
    };
    fs::read_dir(git_dir).map_or(true, |mut entries| entries.any(is_shared_index))
}

/// Looks for `wanted` among the entries, which are sorted by the bytes of their paths.
///
/// The format: <https://git-scm.com/docs/index-format>.
///
/// # Errors
/// An error of reading; [`is_damage`] tells those that are the content's.
fn search(mut index: impl BufRead, wanted: &[u8], hash_len: usize) -> io::Result<Found> {
    let signature: [u8; 4] = read(&mut index)?;
    let version = u32::from_be_bytes(read(&mut index)?);
    let entries = u32::from_be_bytes(read(&mut index)?);
    if &signature != b"DIRC" || !(2..=4).contains(&version) {
        return Ok(Found::AskGit);
    }
    let mut path = Vec::new();
    for _ in 0..entries {
        let mode = read_entry(&mut index, version, hash_len, &mut path)?;
        if path == wanted {
            return Ok(Found::Tracked { mode });
        }
        if mode == SPARSE_DIRECTORY && wanted.starts_with(&path) {
            return Ok(Found::AskGit);
        }
        if path.as_slice() > wanted {
            break;
        }
    }
    Ok(Found::Untracked)
}

/// Reads an entry: returns its mode, and makes `path`, that of the entry before, its path.
fn read_entry(
    index: &mut impl BufRead,
    version: u32,
    hash_len: usize,
    path: &mut Vec<u8>,
) -> io::Result<u32> {
    const IS_EXTENDED: u16 = 0x4000;
    const LENGTH: u16 = 0x0fff;

    let _times_device_inode: [u8; 24] = read(index)?;
    let mode = u32::from_be_bytes(read(index)?);
    let _owner_size: [u8; 12] = read(index)?;
    skip(index, hash_len)?;
    let flags = u16::from_be_bytes(read(index)?);
    let mut size = 24 + 4 + 12 + hash_len + 2;
    if flags & IS_EXTENDED != 0 {
        if version < 3 {
            return Err(damage());
        }
        let _more_flags: [u8; 2] = read(index)?;
        size += 2;
    }

    let shared = match version {
        4 => path
            .len()
            .checked_sub(read_varint(index)?)
            .ok_or_else(damage)?,
        _ => 0,
    };
    path.truncate(shared);
    index.take(PATH_LIMIT as u64).read_until(0, path)?;
    let has_end = path.pop() == Some(0);
    let length = path.len().min(usize::from(LENGTH));
    // A split index has entries without a path.
    if !has_end
        || path.is_empty()
        || path.len() > PATH_LIMIT
        || length != usize::from(flags & LENGTH)
    {
        return Err(damage());
    }
    if version < 4 {
        // One to eight NULs end an entry at a multiple of eight bytes; the first has been read.
        size += path.len() + 1;
        skip(index, size.next_multiple_of(8) - size)?;
    }
    Ok(mode)
}

/// How many bytes a path of version 4 drops from the end of the one before: seven bits a byte, the
/// highest first, and one more for each further byte.
fn read_varint(index: &mut impl BufRead) -> io::Result<usize> {
    let mut value = 0;
    loop {
        let [byte] = read(index)?;
        value = value << 7 | usize::from(byte & 0x7f);
        if byte < 0x80 {
            return Ok(value);
        }
        value += 1;
        if value > PATH_LIMIT {
            return Err(damage());
        }
    }
}

fn read<const N: usize>(index: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    index.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Passes over at most as many bytes as the longest object id has.
fn skip(index: &mut impl Read, count: usize) -> io::Result<()> {
    let mut bytes = [0; 32];
    index.read_exact(bytes.get_mut(..count).ok_or_else(damage)?)
}

fn damage() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

fn is_damage(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
    )
}

#[cfg(test)]
pub(super) mod tests;
