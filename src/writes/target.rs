//! The place of an env file or a template in a worktree: reached from its root without following a
//! link or entering another repository.

use std::io;
use std::path::PathBuf;

use crate::error::{Error, Result, error, if_there, quoted, shell_word};
use crate::files::dir::{Dir, Kind, PlainFile, Stat};
use crate::files::staged::{Original, Patience};
use crate::git::worktree::Worktree;
use crate::writes::block::{self, HalfBlock};

/// How much of a file is read, in bytes.
pub const LIMIT: usize = 256 * 1024;

/// What a file is to this program.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum FileRole {
    /// The user's text, with our block in it.
    EnvFile,
    /// Made from a template.
    Made,
    Template,
    /// The first content of an env file.
    Seed,
}

/// A file's directory, opened, and its name in it.
pub struct Target {
    pub dir: Dir,
    pub name: String,
    role: FileRole,
}

impl Target {
    /// Opens the directory of `path` in `worktree`; `None` if it does not exist.
    ///
    /// # Errors
    /// A link or another repository is on the way.
    pub fn find(worktree: &Worktree, path: &str, role: FileRole) -> Result<Option<Target>> {
        let mut names: Vec<&str> = path.split('/').collect();
        let name = names.pop().unwrap_or_default().to_owned();
        let root = &worktree.root;
        let mut dir = root
            .try_clone()
            .map_err(Error::could_not("open", root.path()))?;
        for step in names {
            let below = dir.path_of(step);
            let shown = quoted(&below);
            match dir.look(step).map_err(Error::could_not("read", &below))? {
                Some(stat) if stat.kind == Kind::Link => {
                    return Err(error!("{shown} is a symbolic link")
                        .remedy("make that a directory, or take the file out of the config"));
                }
                Some(stat) if stat.kind == Kind::Directory => {}
                _ => return Ok(None),
            }
            dir = dir.enter(step).map_err(Error::could_not("open", &below))?;
            if dir.has(".git") || dir.has("HEAD") && dir.has("objects") {
                return Err(error!("{shown} is a repository of its own")
                    .remedy("take the file out of the config"));
            }
        }
        Ok(Some(Target { dir, name, role }))
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path_of(&self.name)
    }

    /// Reads the file, with `patience` in order to change it; `None` if it does not exist.
    ///
    /// # Errors
    /// It is not a regular file, too large, cannot be read, or another program is writing it.
    pub fn read(&self, patience: Option<&Patience>) -> Result<Option<Original>> {
        let path = self.path();
        let found = self.dir.look(&self.name);
        match found.map_err(Error::could_not("read", &path))? {
            None => return Ok(None),
            Some(stat) if stat.kind == Kind::Regular => {}
            Some(stat) => {
                let error = self.left_alone(format!("it is {}", stat.kind.word()));
                let path = shell_word(&path);
                return Err(match self.role {
                    FileRole::EnvFile if stat.kind == Kind::Link && self.path().is_file() => {
                        error.remedy(format!(
                            "copy the file that it leads to: `cp {path} {path}.copy && mv {path}.copy {path}`"
                        ))
                    }
                    _ if stat.kind == Kind::Directory => {
                        error.remedy("move it away, or take the file out of the config")
                    }
                    _ => error.remedy("remove it"),
                });
            }
        }
        let original = Original::read(&self.dir, &self.name, LIMIT, patience);
        if_there(original).map_err(self.could_not())
    }

    /// The content as text.
    pub fn text<'o>(&self, original: &'o Original) -> Result<&'o str> {
        str::from_utf8(&original.bytes).map_err(|_| {
            self.left_alone("it is not UTF-8")
                .remedy("convert it to UTF-8")
        })
    }

    /// Whether it is a regular file that is not too large to be ours.
    pub fn is_small_file(&self) -> bool {
        let is_small = |stat: Stat| stat.kind == Kind::Regular && stat.size <= LIMIT as u64;
        let stat = self.dir.look(&self.name);
        stat.is_ok_and(|stat| stat.is_some_and(is_small))
    }

    /// Whether the file contains one of our marks, as far as can be known. A link does not count,
    /// because nothing is written through it.
    pub fn has_mark(&self) -> bool {
        match self.dir.read(&self.name, LIMIT) {
            Ok(PlainFile::Read(bytes) | PlainFile::TooLarge(bytes)) => block::has_mark(&bytes),
            Ok(PlainFile::Missing | PlainFile::NotRegular(_)) => false,
            Ok(PlainFile::Unreadable(_)) | Err(_) => true,
        }
    }

    /// The error for a file with half a block in it.
    pub fn half_block(&self, half: &HalfBlock) -> Error {
        half.error(self.purpose(), &self.path())
    }

    /// The purpose, for messages.
    fn purpose(&self) -> &'static str {
        match self.role {
            FileRole::EnvFile | FileRole::Made => "write the ports to",
            FileRole::Template => "read the template",
            FileRole::Seed => "copy",
        }
    }

    /// The error for a file that is left alone.
    pub fn left_alone(&self, cause: impl std::fmt::Display) -> Error {
        Error::at(self.purpose(), &self.path(), cause)
    }

    /// The same for an I/O error; for `map_err`.
    pub fn could_not(&self) -> impl FnOnce(io::Error) -> Error {
        let (path, purpose) = (self.path(), self.purpose());
        move |error| {
            let remedy = match error.kind() {
                io::ErrorKind::ResourceBusy => {
                    "a file that is mounted by itself cannot be replaced: mount its directory instead, or take it out of the config"
                }
                io::ErrorKind::WouldBlock => "wait until it is done",
                io::ErrorKind::PermissionDenied => "give this user access to it",
                io::ErrorKind::FileTooLarge => "make it smaller, or take it out of the config",
                _ => return Error::could_not(purpose, &path)(error),
            };
            Error::could_not(purpose, &path)(error).remedy(remedy)
        }
    }
}

#[cfg(test)]
mod tests;
