//! The same by paths on Windows, where std has no directory handles. Files inherit the access
//! rights of their directory.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the module that the rest of the program is told to use"
)]

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::path::Path;

use tempfile::TempPath;
use winapi_util::Handle as FileHandle;
use winapi_util::file::Information;

use super::dir::{Dir, Identity, Kind, Stat};

pub fn stat_file(file: &File) -> io::Result<Stat> {
    let identity = identity_in(&winapi_util::file::information(file)?);
    Ok(stat_of(&file.metadata()?, identity))
}

pub fn identity_at(path: &Path) -> io::Result<Identity> {
    let information = winapi_util::file::information(FileHandle::from_path_any(path)?)?;
    Ok(identity_in(&information))
}

fn identity_in(information: &Information) -> Identity {
    Identity(information.volume_serial_number(), information.file_index())
}

fn stat_of(metadata: &Metadata, identity: Identity) -> Stat {
    let kind = match metadata.file_type() {
        file_type if file_type.is_dir() => Kind::Directory,
        file_type if file_type.is_symlink() => Kind::Link,
        file_type if file_type.is_file() => Kind::Regular,
        _ => Kind::Special("not a regular file"),
    };
    Stat {
        kind,
        size: metadata.len(),
        identity,
        mode: 0,
        owner: (0, 0),
    }
}

impl Dir {
    pub fn open(path: &Path) -> io::Result<Dir> {
        if !fs::metadata(path)?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let path = path.to_owned();
        Ok(Dir { path })
    }

    pub fn enter(&self, name: &str) -> io::Result<Dir> {
        let path = self.path_of(name);
        if !fs::symlink_metadata(&path)?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Dir { path })
    }

    pub fn try_clone(&self) -> io::Result<Dir> {
        Dir::open(&self.path)
    }

    pub(super) fn open_any(&self, name: &Path) -> io::Result<File> {
        let path = self.path.join(name);
        if fs::symlink_metadata(&path)?.is_symlink() {
            return Err(io::Error::other("it is a symbolic link"));
        }
        File::open(path)
    }

    pub(super) fn open_any_lock(&self, name: &str) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        options.open(self.path_of(name))
    }

    pub(super) fn stat_of(&self, name: &str) -> io::Result<Stat> {
        let path = self.path_of(name);
        let metadata = fs::symlink_metadata(&path)?;
        let identity = match identity_at(&path) {
            _ if metadata.is_symlink() => Identity(0, 0),
            identity => identity?,
        };
        Ok(stat_of(&metadata, identity))
    }

    pub fn stat(&self) -> io::Result<Stat> {
        Ok(stat_of(
            &fs::metadata(&self.path)?,
            identity_at(&self.path)?,
        ))
    }

    pub fn create(&self, name: &str, _mode: u32) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        options.open(self.path_of(name))
    }

    pub fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path_of(from), self.path_of(to))
    }

    pub fn exchange(&self, _one: &str, _other: &str) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub fn rename_new(&self, from: &str, to: &str) -> io::Result<()> {
        let from = TempPath::try_from_path(self.path_of(from))?;
        from.persist_noclobber(self.path_of(to)).map_err(|refused| {
            // Dropping the path would remove the file.
            let _ = refused.path.keep();
            refused.error
        })
    }

    pub fn unlink(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path_of(name))
    }

    pub fn remove_dir(&self, name: &str) -> io::Result<()> {
        fs::remove_dir(self.path_of(name))
    }
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
