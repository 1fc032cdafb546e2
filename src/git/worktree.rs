//! A worktree: where it is, and what it is called.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result, quoted, shell_word};
use crate::files::identity::Identity;
use crate::git::entries::{self, Place};

/// A worktree as git registers it, wherever its directory is.
#[derive(Debug)]
pub struct Entry {
    /// The worktree's own directory in the common dir; the common dir for the main worktree.
    pub git_dir: PathBuf,
    /// Where its root is.
    pub place: Place,
    /// Whether it is the main worktree.
    pub is_main: bool,
}

impl Entry {
    /// The worktree id; `None` for the main worktree.
    pub fn id(&self) -> Option<Cow<'_, str>> {
        (!self.is_main).then(|| entries::id_of(&self.git_dir))
    }

    /// The root that git has registered, whether something is there or not.
    pub fn root(&self) -> Option<&Path> {
        match &self.place {
            Place::At(root) => Some(root),
            Place::Unknown | Place::Unreadable(_) => None,
        }
    }

    /// The name by which a person knows it.
    pub fn name(&self) -> String {
        self.id()
            .map_or_else(|| "main worktree".to_owned(), Cow::into_owned)
    }

    /// Where it stands in a list for people: the main worktree first, the others by their ids.
    pub fn rank(&self) -> (bool, Option<&OsStr>) {
        (!self.is_main, self.git_dir.file_name())
    }

    /// Whether this is the entry of `worktree`.
    pub fn is_of(&self, worktree: &Worktree) -> bool {
        self.is_main == worktree.is_main()
            && self.git_dir.file_name() == worktree.git_dir.file_name()
    }
}

/// A worktree whose root is known.
#[derive(Clone, Debug)]
pub struct Worktree {
    /// The directory that holds `.git`.
    pub root: PathBuf,
    /// The worktree id, what is not UTF-8 in it replaced; `None` for the main worktree.
    pub id: Option<String>,
    /// The `.git` directory that all worktrees of the repository share.
    pub common_dir: PathBuf,
    /// The worktree's own directory in it; the common dir for the main worktree.
    pub git_dir: PathBuf,
}

impl Worktree {
    /// The main worktree with that root.
    pub fn main(root: PathBuf, common_dir: PathBuf) -> Worktree {
        Worktree {
            root,
            id: None,
            git_dir: common_dir.clone(),
            common_dir,
        }
    }

    /// The linked worktree with that root and directories.
    pub fn linked(root: PathBuf, git_dir: PathBuf, common_dir: PathBuf) -> Worktree {
        Worktree {
            root,
            id: Some(entries::id_of(&git_dir).into_owned()),
            common_dir,
            git_dir,
        }
    }

    /// The linked worktree whose root is `root`, found by two small files and without libgit2;
    /// `None` if something else or nothing is there.
    pub fn linked_at(root: &Path) -> Result<Option<Worktree>> {
        let Some(git_dir) = entries::git_dir_named_by(root)? else {
            return Ok(None);
        };
        // A submodule and a clone with a separate git directory have a `.git` file too.
        let Some(common_dir) = entries::common_dir_of(&git_dir)? else {
            return Ok(None);
        };
        Ok(Some(Worktree::linked(root.to_owned(), git_dir, common_dir)))
    }

    /// The worktree of that entry; `None` where its root is not known.
    pub fn of(entry: &Entry, common_dir: &Path) -> Option<Worktree> {
        let (root, common_dir) = (entry.root()?.to_owned(), common_dir.to_owned());
        Some(if entry.is_main {
            Worktree::main(root, common_dir)
        } else {
            Worktree::linked(root, entry.git_dir.clone(), common_dir)
        })
    }

    /// Whether this is the main worktree.
    pub fn is_main(&self) -> bool {
        self.id.is_none()
    }

    /// The name by which a person knows it.
    pub fn name(&self) -> &str {
        self.id.as_deref().unwrap_or("main worktree")
    }

    /// Fails unless git's entry for this worktree names this root. What would be written into a
    /// directory that was copied or moved by hand, no other worktree would find.
    pub fn check_registered(&self) -> Result<()> {
        if self.is_main() {
            return Ok(());
        }
        // Another worktree may have come to stand here.
        if !self.is_in_place()? {
            return Err(misplaced(&self.root, &self.git_dir, &Place::Unknown));
        }
        match entries::locate(&self.git_dir)? {
            Place::At(registered) if is_same_directory(&registered, &self.root) => Ok(()),
            place => Err(misplaced(&self.root, &self.git_dir, &place)),
        }
    }

    /// Whether the directory is there and its `.git` file leads back to its entry.
    pub fn is_in_place(&self) -> Result<bool> {
        if self.is_main() {
            return Ok(true);
        }
        leads_to(&self.root, &self.git_dir)
    }
}

/// Whether the `.git` file at `root` names `git_dir`.
fn leads_to(root: &Path, git_dir: &Path) -> Result<bool> {
    let named = entries::git_dir_named_by(root)?;
    Ok(named.is_some_and(|named| is_same_directory(&named, git_dir)))
}

/// The error of a directory whose `.git` file names an entry that is of another place.
pub fn misplaced(directory: &Path, git_dir: &Path, registered: &Place) -> Error {
    match registered {
        // `git worktree repair` in a copy would take the entry away from the original.
        Place::At(root) if leads_to(root, git_dir).unwrap_or(true) => Error::new(format!(
            "{} is a copy of the worktree at {}, and no worktree of its own",
            quoted(directory),
            quoted(root)
        ))
        .remedy(format!(
            "remove it and make a worktree with `git -C {} worktree add <path>`",
            shell_word(root)
        )),
        Place::At(root) => Error::new(format!(
            "{} is registered as the worktree at {}, where it is no more",
            quoted(directory),
            quoted(root)
        ))
        .remedy("if you moved it, run `git worktree repair` in it"),
        Place::Unknown => Error::new(format!(
            "{} is no worktree of the repository any more: it was moved or removed",
            quoted(directory)
        ))
        .remedy("run `worktree-ports-hook` in the place where it is now"),
        Place::Unreadable(error) => {
            let path = git_dir.join("gitdir");
            Error::at(
                "find out where the worktree is registered from",
                &path,
                error,
            )
        }
    }
}

/// Whether both paths lead to one directory, by whatever mounts and links.
pub fn is_same_directory(one: &Path, other: &Path) -> bool {
    matches!((Identity::at(one), Identity::at(other)), (Ok(one), Ok(other)) if one == other)
}

#[cfg(test)]
mod tests;
