//! The same by paths on Windows, where std has no handle for a directory. Files inherit the access of
//! their directory there.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the module that the rest of the program is told to use"
)]

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::dir::{Identity, Kind, Stat};

pub type Handle = PathBuf;

pub fn open_dir(path: &Path) -> io::Result<PathBuf> {
    if fs::metadata(path)?.is_dir() {
        Ok(path.to_owned())
    } else {
        Err(io::ErrorKind::NotADirectory.into())
    }
}

pub fn enter(dir: &PathBuf, name: &str) -> io::Result<PathBuf> {
    let path = dir.join(name);
    if fs::symlink_metadata(&path)?.is_dir() {
        Ok(path)
    } else {
        Err(io::ErrorKind::NotADirectory.into())
    }
}

pub fn open(dir: &PathBuf, name: &str) -> io::Result<File> {
    let path = dir.join(name);
    if fs::symlink_metadata(&path)?.is_symlink() {
        return Err(io::Error::other("it is a symbolic link"));
    }
    File::open(path)
}

pub fn create(dir: &PathBuf, name: &str, _mode: u32) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    options.open(dir.join(name))
}

pub fn open_lock(dir: &PathBuf, name: &str) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    options.open(dir.join(name))
}

pub fn stat_dir(dir: &PathBuf) -> io::Result<Stat> {
    stat_of(&fs::metadata(dir)?, identity_at(dir)?)
}

pub fn stat_file(file: &File) -> io::Result<Stat> {
    let information = winapi_util::file::information(file)?;
    let identity = Identity(information.volume_serial_number(), information.file_index());
    stat_of(&file.metadata()?, identity)
}

pub fn stat(dir: &PathBuf, name: &str) -> io::Result<Stat> {
    let path = dir.join(name);
    let metadata = fs::symlink_metadata(&path)?;
    let identity = match identity_at(&path) {
        _ if metadata.is_symlink() => Identity(0, 0),
        identity => identity?,
    };
    stat_of(&metadata, identity)
}

pub fn identity_at(path: &Path) -> io::Result<Identity> {
    let handle = winapi_util::Handle::from_path_any(path)?;
    let information = winapi_util::file::information(handle)?;
    Ok(Identity(
        information.volume_serial_number(),
        information.file_index(),
    ))
}

#[expect(clippy::unnecessary_wraps, reason = "callers pass the result on")]
fn stat_of(metadata: &Metadata, identity: Identity) -> io::Result<Stat> {
    let kind = match metadata.file_type() {
        file_type if file_type.is_dir() => Kind::Directory,
        file_type if file_type.is_symlink() => Kind::Link,
        file_type if file_type.is_file() => Kind::Regular,
        _ => Kind::Special("not a regular file"),
    };
    Ok(Stat {
        kind,
        size: metadata.len(),
        identity,
        mode: 0,
        owner: (0, 0),
    })
}

pub fn rename(dir: &PathBuf, from: &str, to: &str) -> io::Result<()> {
    fs::rename(dir.join(from), dir.join(to))
}

pub fn rename_new(dir: &PathBuf, from: &str, to: &str) -> io::Result<()> {
    if dir.join(to).symlink_metadata().is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    rename(dir, from, to)
}

pub fn remove(dir: &PathBuf, name: &str) -> io::Result<()> {
    fs::remove_file(dir.join(name))
}

pub fn remove_dir(dir: &PathBuf, name: &str) -> io::Result<()> {
    fs::remove_dir(dir.join(name))
}

pub fn give_owner(_file: &File, _owner: (u32, u32)) {}

pub fn share(_file: &File, _common: &Stat, _mode: u32) {}

#[expect(clippy::unnecessary_wraps, reason = "it can fail on Unix")]
pub fn keep_access(_new: &File, _old: &File) -> io::Result<()> {
    Ok(())
}

pub fn is_open_for_writing(_file: &File) -> bool {
    false
}
