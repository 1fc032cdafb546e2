//! Reading what a hostile branch may have put in a working tree: regular files only, no links, no
//! waiting, at most so many bytes.

use std::fs::{self, File, FileType, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::error::{is_absence, is_own_shortage};

/// What git's files that hold one path have room in, in bytes, as a rule.
const USUAL_SIZE: usize = 255;

/// What lies at a path.
#[derive(Debug)]
pub enum PlainFile {
    /// Nothing, nor can anything: the directory may be gone too.
    Missing,
    /// Not a regular file; never opened. The word for what it is.
    NotRegular(&'static str),
    /// There, but it cannot be read.
    Unreadable(io::Error),
    /// A regular file.
    Read {
        /// The content, or the first bytes of it.
        bytes: Vec<u8>,
        /// Whether there was more than was asked for.
        truncated: bool,
    },
}

/// The path of `name` in `directory`. As [`Path::join`], which would make it by two allocations.
pub fn path_in(directory: &Path, name: &str) -> PathBuf {
    let mut path = PathBuf::with_capacity(directory.as_os_str().len() + 1 + name.len());
    path.push(directory);
    path.push(name);
    path
}

/// Reads at most `limit` bytes at `path`.
///
/// # Errors
/// A shortage of our own (file descriptors, memory): nothing can be said of the file then.
pub fn read(path: &Path, limit: usize) -> io::Result<PlainFile> {
    // Looked at before it is opened: opening a FIFO or a device has effects on others.
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => return unreadable(error),
    };
    if !metadata.is_file() {
        return Ok(PlainFile::NotRegular(kind(metadata.file_type())));
    }
    let size = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
    read_opened(path, size, limit)
}

/// As [`read`], without the look: for git's own small files, which no branch can put there, and of
/// which every worktree has one to be read.
pub fn read_of_git(path: &Path, limit: usize) -> io::Result<PlainFile> {
    read_opened(path, USUAL_SIZE, limit)
}

fn read_opened(path: &Path, size: usize, limit: usize) -> io::Result<PlainFile> {
    match open(path).and_then(|file| read_at_most(&file, size.min(limit), limit)) {
        Ok((bytes, truncated)) => Ok(PlainFile::Read { bytes, truncated }),
        Err(error) => unreadable(error),
    }
}

fn unreadable(error: io::Error) -> io::Result<PlainFile> {
    if is_own_shortage(&error) {
        Err(error)
    } else if is_absence(&error) {
        Ok(PlainFile::Missing)
    } else {
        Ok(PlainFile::Unreadable(error))
    }
}

/// Opens a file that was regular a moment ago: should another lie there now, a link is not
/// followed and a FIFO not waited for.
#[expect(
    clippy::disallowed_methods,
    reason = "with the flags that make it safe"
)]
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        &mut options,
        libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY,
    );
    options.open(path)
}

/// The first `limit` bytes, by one read(2) where the file is of the `expected` size.
fn read_at_most(mut file: &File, expected: usize, limit: usize) -> io::Result<(Vec<u8>, bool)> {
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
            return Ok((bytes, true));
        }
        bytes.resize((filled * 2).min(limit + 1), 0);
    }
    bytes.truncate(filled);
    Ok((bytes, false))
}

fn kind(file_type: FileType) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if file_type.is_fifo() {
            return "a FIFO";
        }
        if file_type.is_socket() {
            return "a socket";
        }
        if file_type.is_block_device() || file_type.is_char_device() {
            return "a device";
        }
    }
    if file_type.is_dir() {
        "a directory"
    } else if file_type.is_symlink() {
        "a symbolic link"
    } else {
        "not a regular file"
    }
}
