//! A worktree: its root and git directory, opened, and its names.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::error::{Error, ErrorKind, Result, error, if_there, quoted, shell_word};
use crate::files::dir::{Dir, Kind, identity_at, is_same_directory};
use crate::git::entries::{self, Entry, Place};

/// A worktree with its root opened. Files in it are written through this handle, which stays with the
/// directory if that is moved, even if another one takes its place.
#[derive(Debug)]
pub struct Worktree {
    /// The worktree id, with what is not UTF-8 replaced; `None` for the main worktree.
    pub id: Option<String>,
    /// The directory that holds `.git`.
    pub root: Dir,
    /// The worktree's own directory in the common dir; the common dir for the main worktree.
    pub git_dir: Dir,
    /// The `.git` directory that all worktrees of the repository share.
    pub common_dir: Rc<Path>,
}

impl Worktree {
    /// The directory at the root of `entry`, whether it leads back to the entry or not; `None` if the
    /// root is unknown or there is no directory.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn of(entry: &Entry) -> Result<Option<Worktree>> {
        let open = |path: &Path| {
            let opened = if_there(Dir::open(path));
            opened.map_err(Error::could_not("open", path))
        };
        let root = entry.root().map_or(Ok(None), open)?;
        Ok(root
            .zip(open(&entry.git_dir)?)
            .map(|(root, git_dir)| Worktree {
                id: entry.id.clone(),
                root,
                git_dir,
                common_dir: Rc::clone(&entry.common_dir),
            }))
    }

    /// The worktree of `entry`, if it exists and leads back to the entry.
    pub fn in_place(entry: &Entry) -> Result<Option<Worktree>> {
        match Worktree::of(entry)? {
            Some(worktree) if worktree.is_in_place()? => Ok(Some(worktree)),
            _ => Ok(None),
        }
    }

    /// The worktree at `root`, found by two small files and without libgit2; `None` if there is none.
    pub fn at(root: &Path) -> Result<Option<Worktree>> {
        let opened = Dir::open(root).map_err(Error::could_not("open", root))?;
        let Some(git_dir) = git_dir_of(&opened)? else {
            return Ok(None);
        };
        let git = Dir::open(&git_dir).map_err(|error| {
            let error = Error::could_not("open", &git_dir)(error);
            match error.kind() {
                ErrorKind::Absent => {
                    error.within(&format!("{} leads nowhere", opened.quoted(".git")))
                }
                _ => error.remedy("give this user access to it"),
            }
        })?;
        // A main worktree's git directory has no such file, nor has a submodule's.
        let common_dir = entries::common_dir_of(&git)?;
        Ok(Some(Worktree {
            id: common_dir.is_some().then(|| entries::id_of(&git_dir)),
            root: opened,
            git_dir: git,
            common_dir: common_dir.unwrap_or(git_dir).into(),
        }))
    }

    pub fn is_main(&self) -> bool {
        self.id.is_none()
    }

    /// Whether `entry` is the one of this worktree.
    pub fn is_at(&self, entry: &Entry) -> bool {
        // Two ids may differ only in what is not UTF-8.
        let has_its_name = || self.git_dir.path().file_name() == entry.git_dir.file_name();
        self.id == entry.id && (self.is_main() || has_its_name())
    }

    /// The path of the root.
    pub fn path(&self) -> &Path {
        self.root.path()
    }

    /// Its name in messages.
    pub fn name(&self) -> &str {
        self.id.as_deref().unwrap_or(entries::MAIN)
    }

    /// The bare call for this worktree, which works in any directory.
    pub fn by_hand(&self) -> String {
        by_hand(self.path())
    }

    /// Fails unless git's entry for this worktree names this root, and its path still leads here.
    /// In a directory that was copied or moved by hand, other worktrees would not find what is
    /// written; and git is run by the path.
    pub fn check_registered(&self) -> Result<()> {
        let root = self.root.identity();
        let root = root.map_err(Error::could_not("read", self.path()))?;
        let is_there = identity_at(self.path()).is_ok_and(|it| it == root);
        // Another worktree may be in its place.
        if !is_there || !self.is_in_place()? {
            return Err(misplaced(self.path(), self.git_dir.path(), &Place::Unknown));
        }
        if self.is_main() {
            return Ok(());
        }
        match entries::place_of(&self.git_dir)? {
            Place::At(registered) if identity_at(&registered).is_ok_and(|it| it == root) => Ok(()),
            place => Err(misplaced(self.path(), self.git_dir.path(), &place)),
        }
    }

    /// Whether the `.git` in the root leads back to the git directory.
    pub fn is_in_place(&self) -> Result<bool> {
        leads_to(&self.root, self.git_dir.path())
    }

    /// Whether a commit is checked out rather than a branch, as in a rebase or a bisect.
    pub fn is_detached(&self) -> Result<bool> {
        let head = entries::head_of(&self.git_dir)?;
        Ok(head.is_some_and(|head| !head.starts_with("ref:")))
    }
}

/// The bare call for the worktree at `root`, which works in any directory.
pub fn by_hand(root: &Path) -> String {
    format!("worktree-ports-hook -C {}", shell_word(root))
}

/// The git directory that the `.git` in `root` is or names; `None` if there is none.
fn git_dir_of(root: &Dir) -> Result<Option<PathBuf>> {
    let dot_git = root.path_of(".git");
    match root
        .look(".git")
        .map_err(Error::could_not("read", &dot_git))?
    {
        None => Ok(None),
        Some(stat) if stat.kind == Kind::Regular => entries::git_dir_named_by(root),
        Some(stat) if stat.kind == Kind::Directory => Ok(Some(dot_git)),
        // A link counts, because git follows it too.
        Some(_) => Ok(Some(dunce::canonicalize(&dot_git).unwrap_or(dot_git))),
    }
}

/// Whether the `.git` in `root` is `git_dir`, or a file that names it.
pub fn leads_to(root: &Dir, git_dir: &Path) -> Result<bool> {
    let named = git_dir_of(root)?.and_then(|named| identity_at(&named).ok());
    Ok(named.is_some() && named == identity_at(git_dir).ok())
}

/// The error for a directory whose `.git` file names an entry that is registered elsewhere.
pub fn misplaced(directory: &Path, git_dir: &Path, registered: &Place) -> Error {
    let leads_back =
        |root: &Path| Dir::open(root).is_ok_and(|it| leads_to(&it, git_dir).unwrap_or(true));
    let (found, here) = (quoted(directory), shell_word(directory));
    let error = match registered {
        // `git worktree repair` in a copy would take the entry away from the original.
        Place::At(root) if leads_back(root) => {
            let (original, there) = (quoted(root), shell_word(root));
            let what = "is a copy of the worktree at";
            error!("{found} {what} {original}, not a worktree of its own").remedy(format!(
                "remove it and make a worktree with `git -C {there} worktree add <path>`"
            ))
        }
        Place::At(root) => {
            let registered = quoted(root);
            error!("{found} is registered as the worktree at {registered}, but is no longer there")
                .remedy(format!(
                    "if you moved it, run `git -C {here} worktree repair`"
                ))
        }
        Place::Unknown => {
            error!("{found} is no longer a worktree of the repository: it was moved or removed")
                .remedy("run `worktree-ports-hook -C <path>` with the path that it has now")
        }
        Place::Unreadable(error) => return error.clone(),
    };
    error.of_kind(ErrorKind::Misplaced)
}

/// Whether `found`, at the place of `entry`, is another worktree of the same repository: it was
/// moved there in the meantime, or is registered twice. Then the files there belong to that
/// worktree.
pub fn is_anothers(entry: &Entry, found: &Worktree) -> bool {
    let Ok(Some(named)) = entries::git_dir_named_by(&found.root) else {
        return false;
    };
    let parents = named.parent().zip(entry.git_dir.parent());
    named.file_name() != entry.git_dir.file_name()
        && parents.is_some_and(|(one, other)| is_same_directory(one, other))
}

#[cfg(test)]
mod tests;
