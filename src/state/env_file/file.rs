//! One env file: what lies at its path, what is to be done about it, and doing it by a rename.

use std::fs::{self, Metadata};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::block::{self, HalfBlock};
use crate::error::{Error, Result, is_absence, quoted, shell_word};
use crate::files::replace::keep_access;
use crate::files::untrusted::{self, PlainFile};
use crate::git::exclude::TEMPORARY_SUFFIX;

/// How much of an env file is read, in bytes.
const LIMIT: usize = 256 * 1024;

/// What a file is to hold.
pub enum Aim {
    /// This block.
    Block(String),
    /// No block of ours.
    NoBlock,
}

/// An env file of a worktree.
pub struct EnvPath<'a> {
    /// The worktree's root.
    root: &'a Path,
    /// The path relative to that, with `/` on every system.
    relative: &'a str,
    path: PathBuf,
}

/// What is to be done about a file.
#[derive(Debug)]
pub enum Plan {
    /// Nothing: it is as it should be.
    Keep,
    /// Nothing can: this directory is not there.
    NoDirectory(PathBuf),
    /// It is not there, and gets this text.
    Make(String),
    /// It gets this text.
    Replace(Metadata, String),
    /// It holds nothing but the block that is to go.
    Remove(Metadata),
}

/// Why a file is left alone.
#[derive(Debug)]
pub struct Obstacle {
    cause: String,
    remedy: String,
}

impl Obstacle {
    fn new(cause: impl Into<String>, remedy: impl Into<String>) -> Obstacle {
        Obstacle {
            cause: cause.into(),
            remedy: remedy.into(),
        }
    }

    /// Somebody else writes the file.
    pub fn changing() -> Obstacle {
        Obstacle::new(
            "another program changed it twice in the meantime",
            "run `worktree-ports-hook` when that is done",
        )
    }

    /// What the system refused.
    pub fn of(error: &io::Error) -> Obstacle {
        let remedy = match error.kind() {
            io::ErrorKind::ResourceBusy => {
                "a file that is mounted by itself cannot be replaced: mount its directory instead, \
                 or take it out of `env_files`"
            }
            _ => "fix that and run `worktree-ports-hook`",
        };
        Obstacle::new(error.to_string(), remedy)
    }
}

/// What git says when it is asked.
impl From<Error> for Obstacle {
    fn from(error: Error) -> Obstacle {
        Obstacle::new(error.to_string(), "fix that and run `worktree-ports-hook`")
    }
}

/// What lies at an env file's path.
enum Found {
    NoDirectory(PathBuf),
    Missing,
    Text(String, Metadata),
}

impl<'a> EnvPath<'a> {
    /// The env file at `relative` in the worktree at `root`.
    pub fn new(root: &'a Path, relative: &'a str) -> EnvPath<'a> {
        EnvPath {
            root,
            relative,
            path: untrusted::path_in(root, relative),
        }
    }

    /// The path relative to the worktree's root.
    pub fn relative(&self) -> &'a str {
        self.relative
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The error that says why `aim` was not reached.
    pub fn error(&self, aim: &Aim, obstacle: Obstacle) -> Error {
        let (what, remedy) = match aim {
            Aim::Block(_) => ("write the ports to", obstacle.remedy),
            Aim::NoBlock => (
                "take the ports out of",
                "delete the lines from `# >>> worktree-ports` to `# <<< worktree-ports` by hand"
                    .to_owned(),
            ),
        };
        Error::at(what, &self.path, obstacle.cause).remedy(remedy)
    }

    /// Whether the file is as it should be, or its directory is not there.
    pub fn is_current(&self, aim: &Aim) -> bool {
        match aim {
            Aim::NoBlock => self.holds_block() == Some(false),
            Aim::Block(_) => matches!(
                self.look().and_then(|found| plan_for(found, aim)),
                Ok(Plan::Keep | Plan::NoDirectory(_))
            ),
        }
    }

    /// Whether a block of ours, or half of one, stands in the file; `None` if that cannot be known.
    /// Nothing stands behind a link: nothing is written there.
    pub fn holds_block(&self) -> Option<bool> {
        match self.way() {
            // A block in another repository is that one's.
            Way::Missing(_) | Way::Link(_) | Way::Repository(_) => return Some(false),
            Way::Unknown(_) => return None,
            Way::Clear => {}
        }
        match untrusted::read(&self.path, LIMIT) {
            Ok(PlainFile::Missing | PlainFile::NotRegular(_)) => Some(false),
            Ok(PlainFile::Read {
                bytes,
                truncated: false,
            }) => Some(block::is_in(str::from_utf8(&bytes).ok()?)),
            Ok(PlainFile::Read { .. } | PlainFile::Unreadable(_)) | Err(_) => None,
        }
    }

    /// What is to be done so that the file holds what `aim` says. git is asked whether it tracks
    /// the file only if something is.
    pub fn plan(
        &self,
        aim: &Aim,
        is_tracked: &dyn Fn(&str) -> Result<bool>,
    ) -> Result<Plan, Obstacle> {
        if matches!(aim, Aim::NoBlock) && self.holds_block() == Some(false) {
            return Ok(Plan::Keep);
        }
        let plan = self.look().and_then(|found| plan_for(found, aim));
        if let Ok(Plan::Keep | Plan::NoDirectory(_)) = plan {
            return plan;
        }
        self.check_untracked(is_tracked)?;
        plan
    }

    /// Fails if the file, a directory above it or its temporary name is git's.
    fn check_untracked(&self, is_tracked: &dyn Fn(&str) -> Result<bool>) -> Result<(), Obstacle> {
        let root = shell_word(self.root);
        if is_tracked(self.relative)? {
            return Err(Obstacle::new(
                "git tracks it",
                format!(
                    "run `git -C {root} rm --cached {}`, commit, and run \
                     `worktree-ports-hook -C {root}`, or name a file that git ignores, such as \
                     `.env.local`",
                    shell_word(Path::new(self.relative))
                ),
            ));
        }
        // git clones a submodule into its directory, which must be empty until then.
        for (end, _) in self.relative.match_indices('/') {
            let directory = &self.relative[..end];
            if is_tracked(directory)? {
                return Err(Obstacle::new(
                    format!("{} is a submodule", quoted(&self.root.join(directory))),
                    "take the file out of `env_files`",
                ));
            }
        }
        if self.is_temporary_tracked(is_tracked)? {
            let temporary = self.temporary_path();
            return Err(Obstacle::new(
                format!(
                    "git tracks {}, the name under which it is written first",
                    quoted(&temporary)
                ),
                format!(
                    "run `git -C {} rm {}` and commit that",
                    shell_word(self.root),
                    shell_word(&temporary)
                ),
            ));
        }
        Ok(())
    }

    /// Whether a branch has a file at the temporary name. What a kill left there is ours to remove,
    /// but that is not.
    pub fn is_temporary_tracked(
        &self,
        is_tracked: &dyn Fn(&str) -> Result<bool>,
    ) -> Result<bool, Obstacle> {
        if fs::symlink_metadata(self.temporary_path()).is_err() {
            return Ok(false);
        }
        let relative = format!("{}{TEMPORARY_SUFFIX}", self.relative);
        Ok(is_tracked(&relative)?)
    }

    /// Reads what lies at the path, through no link and in no other repository.
    fn look(&self) -> Result<Found, Obstacle> {
        match self.way() {
            Way::Clear => {}
            Way::Missing(directory) => return Ok(Found::NoDirectory(directory)),
            Way::Link(directory) => {
                return Err(Obstacle::new(
                    format!("{} is a symbolic link", quoted(&directory)),
                    "make that a directory, or take the file out of `env_files`",
                ));
            }
            Way::Repository(directory) => {
                return Err(Obstacle::new(
                    format!("{} is a repository of its own", quoted(&directory)),
                    "take the file out of `env_files`",
                ));
            }
            Way::Unknown(error) => return Err(Obstacle::of(&error)),
        }
        // Looked at first: what changes while it is read is seen to have changed.
        let metadata = match fs::symlink_metadata(&self.path) {
            Ok(metadata) => metadata,
            Err(error) if is_absence(&error) => return Ok(Found::Missing),
            Err(error) => return Err(Obstacle::of(&error)),
        };
        match untrusted::read(&self.path, LIMIT) {
            Ok(PlainFile::Missing) => Ok(Found::Missing),
            Ok(PlainFile::NotRegular(_)) if metadata.is_symlink() => {
                let path = shell_word(&self.path);
                Err(Obstacle::new(
                    "it is a symbolic link",
                    format!(
                        "copy the file that it leads to: `cp {path} {path}.copy && mv {path}.copy \
                         {path}`, then run `worktree-ports-hook -C {}`",
                        shell_word(self.root)
                    ),
                ))
            }
            Ok(PlainFile::NotRegular(kind)) => Err(Obstacle::new(
                format!("it is {kind}"),
                "remove it and run `worktree-ports-hook`",
            )),
            Ok(PlainFile::Read {
                truncated: true, ..
            }) => Err(Obstacle::new(
                format!("it is larger than {} KiB", LIMIT / 1024),
                "make it smaller, or take it out of `env_files`",
            )),
            Ok(PlainFile::Read { bytes, .. }) => match String::from_utf8(bytes) {
                Ok(text) => Ok(Found::Text(text, metadata)),
                Err(_) => Err(Obstacle::new(
                    "it is not UTF-8",
                    "convert it to UTF-8 and run `worktree-ports-hook`",
                )),
            },
            Ok(PlainFile::Unreadable(error)) | Err(error) => Err(Obstacle::of(&error)),
        }
    }

    /// The directories between the worktree's root and the file.
    fn way(&self) -> Way {
        let mut directory = self.root.to_owned();
        let Some((directories, _)) = self.relative.rsplit_once('/') else {
            return Way::Clear;
        };
        for name in directories.split('/') {
            directory.push(name);
            match fs::symlink_metadata(&directory) {
                Ok(metadata) if metadata.is_dir() => {}
                Ok(metadata) if metadata.is_symlink() => return Way::Link(directory),
                Ok(_) => return Way::Missing(directory),
                Err(error) if is_absence(&error) => return Way::Missing(directory),
                Err(error) => return Way::Unknown(error),
            }
            if is_repository(&directory) {
                return Way::Repository(directory);
            }
        }
        Way::Clear
    }

    /// Does what `plan` says; `false` if what lies at the path is not what was planned for.
    ///
    /// Only the holder of the lock writes, so whatever has the temporary name was left by a kill.
    pub fn carry_out(&self, plan: &Plan, meanwhile: &dyn Fn()) -> Result<bool, Obstacle> {
        let done = match plan {
            Plan::Keep | Plan::NoDirectory(_) => Ok(true),
            Plan::Make(text) => self.remove_leftover().and_then(|()| {
                let file = self.temporary(text, None)?;
                meanwhile();
                // Fails if a file has appeared.
                match file.persist_noclobber(&self.path) {
                    Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
                    outcome => outcome.map(|_| true).map_err(|error| error.error),
                }
            }),
            Plan::Replace(old, text) => self.remove_leftover().and_then(|()| {
                let file = self.temporary(text, Some(old))?;
                meanwhile();
                if !self.is_still(old) {
                    return Ok(false);
                }
                file.persist(&self.path).map_err(|error| error.error)?;
                Ok(true)
            }),
            Plan::Remove(old) => {
                meanwhile();
                if self.is_still(old) {
                    fs::remove_file(&self.path).map(|()| true)
                } else {
                    Ok(false)
                }
            }
        };
        done.map_err(|error| Obstacle::of(&error))
    }

    /// The new file beside the old one: closed to others until it has the old one's mode.
    fn temporary(&self, text: &str, old: Option<&Metadata>) -> io::Result<NamedTempFile> {
        let temporary = self.temporary_path();
        let name = temporary.file_name().unwrap_or_default();
        let mut builder = tempfile::Builder::new();
        builder.prefix(name).rand_bytes(0);
        #[cfg(unix)]
        if old.is_none() {
            builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        }
        let mut file = builder.tempfile_in(temporary.parent().unwrap_or(self.root))?;
        file.write_all(text.as_bytes())?;
        if let Some(old) = old {
            keep_access(file.as_file(), old)?;
        }
        Ok(file)
    }

    fn temporary_path(&self) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(TEMPORARY_SUFFIX);
        path.into()
    }

    /// Removes what a kill left at the temporary name.
    pub fn remove_leftover(&self) -> io::Result<()> {
        if !matches!(self.way(), Way::Clear) {
            return Ok(());
        }
        let path = self.temporary_path();
        match fs::remove_file(&path) {
            // On a read-only file system, removing what is not there fails too.
            Err(error) if fs::symlink_metadata(&path).is_ok() => Err(io::Error::new(
                error.kind(),
                format!("could not remove {}: {error}", quoted(&path)),
            )),
            _ => Ok(()),
        }
    }

    /// Whether the file that was planned for lies at the path still.
    fn is_still(&self, old: &Metadata) -> bool {
        matches!(self.way(), Way::Clear)
            && fs::symlink_metadata(&self.path).is_ok_and(|now| is_unchanged(old, &now))
    }
}

/// What is to be done with what was found, so that the file holds what `aim` says.
fn plan_for(found: Found, aim: &Aim) -> Result<Plan, Obstacle> {
    let (old, metadata) = match found {
        Found::NoDirectory(directory) => return Ok(Plan::NoDirectory(directory)),
        Found::Missing => (String::new(), None),
        Found::Text(text, metadata) => (text, Some(metadata)),
    };
    let new = match aim {
        Aim::Block(block) => block::with(&old, block),
        Aim::NoBlock => block::without(&old),
    };
    let new = new.map_err(|HalfBlock { line }| {
        Obstacle::new(
            format!("line {line} is one mark of a block, and the other one is missing"),
            "delete what is left of that block and run `worktree-ports-hook`",
        )
    })?;
    if matches!(aim, Aim::Block(_)) && new.len() > LIMIT {
        return Err(Obstacle::new(
            format!(
                "with the block it would be larger than {} KiB",
                LIMIT / 1024
            ),
            "make it smaller, or take it out of `env_files`",
        ));
    }
    Ok(match metadata {
        _ if new == old => Plan::Keep,
        None => Plan::Make(new),
        Some(metadata) if new.is_empty() => Plan::Remove(metadata),
        Some(metadata) => Plan::Replace(metadata, new),
    })
}

/// What the directories are that lead from a worktree's root to an env file.
enum Way {
    Clear,
    Missing(PathBuf),
    Link(PathBuf),
    Repository(PathBuf),
    Unknown(io::Error),
}

/// Whether `directory` is the root of a worktree or a bare repository.
fn is_repository(directory: &Path) -> bool {
    let has = |name| fs::symlink_metadata(untrusted::path_in(directory, name)).is_ok();
    has(".git") || has("HEAD") && has("objects")
}

#[cfg(unix)]
fn is_unchanged(old: &Metadata, now: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |of: &Metadata| (of.dev(), of.ino(), of.size());
    let times = |of: &Metadata| (of.mtime(), of.mtime_nsec(), of.ctime(), of.ctime_nsec());
    identity(old) == identity(now) && times(old) == times(now)
}

/// std tells no file number on Windows.
#[cfg(not(unix))]
fn is_unchanged(old: &Metadata, now: &Metadata) -> bool {
    let times = |of: &Metadata| (of.modified().ok(), of.created().ok());
    old.len() == now.len() && times(old) == times(now)
}
