//! An opened directory. Names are relative to it, so neither a move nor a link that is swapped in
//! leads elsewhere, and reading what a hostile branch may have put there never blocks.

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::system;
use crate::error::{Error, ErrorKind, Result, if_there, quoted};

pub use super::system::{give_owner, identity_at, is_open_for_writing, keep_access, share};

/// The usual size of git's one-line files, in bytes, rounded up.
const USUAL_SIZE: u64 = 255;

/// An opened directory, and its path at that time. Windows only has the path, because std has no
/// directory handles there. Each system implements the operations in a file of its own.
pub struct Dir {
    #[cfg(unix)]
    pub(super) handle: std::os::fd::OwnedFd,
    pub(super) path: PathBuf,
}

/// Identifies a file: device and inode; on Windows, the volume's serial number and the file's index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity(pub u64, pub u64);

/// The type of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Regular,
    Directory,
    Link,
    /// A FIFO, a socket or a device, in words.
    Special(&'static str),
}

impl Kind {
    pub fn word(self) -> &'static str {
        match self {
            Kind::Regular => "a regular file",
            Kind::Directory => "a directory",
            Kind::Link => "a symbolic link",
            Kind::Special(word) => word,
        }
    }
}

/// The metadata of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    pub kind: Kind,
    /// In bytes.
    pub size: u64,
    pub identity: Identity,
    /// The permission bits; 0 on Windows.
    pub mode: u32,
    /// The owner and the group; 0 on Windows.
    pub owner: (u32, u32),
}

/// The result of reading a file.
#[derive(Debug)]
pub enum PlainFile {
    /// There is no such file, and perhaps no such directory.
    Missing,
    /// It is not a regular file, and was not opened; with what it is, in words.
    NotRegular(&'static str),
    /// It exists but cannot be read.
    Unreadable(io::Error),
    /// The content of a regular file.
    Read(Vec<u8>),
    /// The start of a regular file that is larger than the limit.
    TooLarge(Vec<u8>),
}

impl PlainFile {
    /// What an error says of a file; `path` names it.
    ///
    /// # Errors
    /// A shortage of descriptors or memory: nothing is known of the file then.
    pub fn unreadable(error: io::Error, path: impl FnOnce() -> PathBuf) -> Result<PlainFile> {
        match ErrorKind::of(&error) {
            ErrorKind::Shortage => Err(Error::could_not("read", path())(error)),
            ErrorKind::Absent => Ok(PlainFile::Missing),
            _ => Ok(PlainFile::Unreadable(error)),
        }
    }
}

impl Dir {
    /// Opens the directory of the file at `path`; also returns the file's name.
    pub fn of_file(path: &Path) -> io::Result<(Dir, &str)> {
        let name = path.file_name().and_then(OsStr::to_str);
        let (directory, name) = path
            .parent()
            .zip(name)
            .ok_or(io::ErrorKind::InvalidFilename)?;
        Ok((Dir::open(directory)?, name))
    }

    /// The path by which it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of `name` in it.
    pub fn path_of(&self, name: &str) -> PathBuf {
        path_in(&self.path, name)
    }

    /// The path of `name` in it, in backticks.
    pub fn quoted(&self, name: &str) -> String {
        quoted(&self.path_of(name))
    }

    pub fn identity(&self) -> io::Result<Identity> {
        self.stat().map(|stat| stat.identity)
    }

    /// The metadata of `name`, without following a link; `None` if there is no such file.
    pub fn look(&self, name: &str) -> io::Result<Option<Stat>> {
        if_there(self.stat_of(name))
    }

    /// Whether `name` exists, as far as can be known.
    pub fn has(&self, name: &str) -> bool {
        self.look(name).is_ok_and(|stat| stat.is_some())
    }

    /// Reads at most `limit` bytes of the regular file `name`.
    ///
    /// # Errors
    /// A shortage of descriptors or memory: nothing is known of the file then.
    pub fn read(&self, name: &str, limit: usize) -> Result<PlainFile> {
        // Checked before it is opened, because opening a FIFO or a device affects others.
        match self.stat_of(name) {
            Ok(stat) if stat.kind == Kind::Regular => {
                self.read_any(name.as_ref(), stat.size, limit)
            }
            Ok(stat) => Ok(PlainFile::NotRegular(stat.kind.word())),
            Err(error) => PlainFile::unreadable(error, || self.path_of(name)),
        }
    }

    /// As [`Dir::read`], for the small files in git's own directories: no branch can put anything
    /// there, so the type is not checked first.
    pub fn read_of_git(&self, name: impl AsRef<Path>, limit: usize) -> Result<PlainFile> {
        self.read_any(name.as_ref(), USUAL_SIZE, limit)
    }

    fn read_any(&self, name: &Path, size: u64, limit: usize) -> Result<PlainFile> {
        let expected = usize::try_from(size).unwrap_or(usize::MAX).min(limit);
        let file = self.open_any(name);
        let found = file.and_then(|file| read_at_most(&file, expected, limit));
        found.or_else(|error| PlainFile::unreadable(error, || self.path.join(name)))
    }

    /// Opens the regular file `name` to be read; anything else is an error.
    pub fn open_file(&self, name: &str) -> io::Result<(File, Stat)> {
        regular(self.open_any(name.as_ref())?)
    }

    /// Opens the regular file `name` to be locked.
    pub fn open_lock(&self, name: &str) -> io::Result<File> {
        let (file, _) = regular(self.open_any_lock(name)?)?;
        Ok(file)
    }

    /// Removes `name` if it is an empty directory: container engines make one when the file to be
    /// mounted is missing. Fails if the directory is not empty.
    pub fn remove_empty_dir(&self, name: &str) -> io::Result<()> {
        match self.look(name)? {
            Some(stat) if stat.kind == Kind::Directory => self.remove_dir(name),
            _ => Ok(()),
        }
    }

    /// Removes the file or link `name`; returns whether there was one.
    pub fn remove(&self, name: &str) -> io::Result<bool> {
        match self.unlink(name) {
            Ok(()) => Ok(true),
            // On a read-only file system, removing a missing file fails too.
            Err(_) if matches!(self.look(name), Ok(None)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl fmt::Debug for Dir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Dir").field(&self.path).finish()
    }
}

fn regular(file: File) -> io::Result<(File, Stat)> {
    let stat = system::stat_file(&file)?;
    match stat.kind {
        Kind::Regular => Ok((file, stat)),
        kind => Err(io::Error::other(format!("it is {}", kind.word()))),
    }
}

/// The identity of an open file.
pub fn identity_of(file: &File) -> io::Result<Identity> {
    system::stat_file(file).map(|stat| stat.identity)
}

/// Whether both paths lead to the same directory, through any mounts and links.
pub fn is_same_directory(one: &Path, other: &Path) -> bool {
    one == other
        || matches!((identity_at(one), identity_at(other)), (Ok(one), Ok(other)) if one == other)
}

/// The path of `name` in `directory`, made with one allocation.
pub fn path_in(directory: &Path, name: &str) -> PathBuf {
    let mut path = PathBuf::with_capacity(directory.as_os_str().len() + 1 + name.len());
    path.push(directory);
    path.push(name);
    path
}

/// The first `limit` bytes, in one read(2) if the file has the `expected` size.
pub fn read_at_most(mut file: &File, expected: usize, limit: usize) -> io::Result<PlainFile> {
    // One byte more than expected: a read that leaves it free has met the end.
    let mut bytes = vec![0; expected + 1];
    let mut filled = 0;
    loop {
        match file.read(&mut bytes[filled..]) {
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        if filled < bytes.len() {
            break;
        }
        if filled > limit {
            bytes.truncate(limit);
            return Ok(PlainFile::TooLarge(bytes));
        }
        bytes.resize((filled * 2).min(limit + 1), 0);
    }
    bytes.truncate(filled);
    Ok(PlainFile::Read(bytes))
}

#[cfg(test)]
mod tests;
