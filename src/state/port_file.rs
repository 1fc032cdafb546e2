//! `.worktree-ports.json` at a worktree's root: who owns it, and how it is written.

use crate::error::{Error, Result};
use crate::files::dir::{Dir, PlainFile};
use crate::files::staged::{self, Access, Staged};
use crate::git::lock::Held;
use crate::git::worktree::Worktree;
use crate::state::reservation::{Document, LIMIT, Reservation};

/// The port file's name, at a worktree's root.
pub const NAME: &str = ".worktree-ports.json";

/// Who owns the file at the port file's path in a worktree.
#[derive(Debug, Default)]
pub enum FileState {
    /// There is none.
    #[default]
    Missing,
    /// The worktree.
    Own(Reservation),
    /// Another worktree: it has our shape and another worktree's id.
    Copied,
    /// Nobody: it is not JSON, empty, not a regular file, or has our shape with impossible values.
    Damaged,
    /// It cannot be read, and the worktree's servers may be on its ports.
    Unreadable(String),
    /// Another tool: JSON without `worktree`, `slot` or `ports`, or larger than anything of ours.
    Foreign(Vec<u8>),
    /// git: it tracks the file, so every worktree has the same.
    Tracked,
}

impl FileState {
    /// Who owns `found` in the worktree with that `id` (`None`: the main worktree). git is not asked.
    pub fn of(found: PlainFile, id: Option<&str>) -> FileState {
        let bytes = match found {
            PlainFile::Missing => return FileState::Missing,
            PlainFile::NotRegular(_) => return FileState::Damaged,
            PlainFile::Unreadable(error) => return FileState::Unreadable(error.to_string()),
            PlainFile::TooLarge(bytes) => return FileState::Foreign(bytes),
            PlainFile::Read(bytes) => bytes,
        };
        match Document::parse(&bytes) {
            Document::NotJson => FileState::Damaged,
            Document::OtherJson => FileState::Foreign(bytes),
            Document::Ours(ours) => match ours.reservation() {
                None => FileState::Damaged,
                Some(own) if own.worktree.as_deref() == id => FileState::Own(own),
                Some(_) => FileState::Copied,
            },
        }
    }

    /// What the worktree's own file reserves.
    pub fn own(&self) -> Option<&Reservation> {
        match self {
            FileState::Own(own) => Some(own),
            _ => None,
        }
    }

    /// The word for it in `--list`.
    pub fn word(&self) -> &'static str {
        match self {
            FileState::Missing => "none",
            FileState::Own(_) => "ok",
            FileState::Copied => "copied",
            FileState::Damaged => "damaged",
            FileState::Unreadable(_) => "unreadable",
            FileState::Foreign(_) => "foreign",
            FileState::Tracked => "tracked",
        }
    }
}

/// Reads the file at the port file's path.
///
/// # Errors
/// A shortage of descriptors or memory.
pub fn read(root: &Dir) -> Result<PlainFile> {
    root.read(NAME, LIMIT)
}

impl Worktree {
    /// Who owns the port file. git is not asked.
    ///
    /// # Errors
    /// A shortage of descriptors or memory.
    pub fn port_file(&self) -> Result<FileState> {
        Ok(FileState::of(read(&self.root)?, self.id.as_deref()))
    }
}

/// Writes the port file of `worktree` under its temporary name.
///
/// # Errors
/// It could not be written; nothing is left behind.
pub fn prepare<'w>(
    _held: &Held,
    worktree: &'w Worktree,
    reservation: &Reservation,
) -> Result<Staged<'w>> {
    let root = &worktree.root;
    let could_not = || Error::could_not("write", root.path_of(NAME));
    let by_hand = worktree.by_hand();
    root.remove_empty_dir(NAME).map_err(|error| {
        could_not()(error).remedy(format!("move that directory away and run `{by_hand}`"))
    })?;
    Staged::prepare(root, NAME, &reservation.to_json(), Access::New).map_err(could_not())
}

/// Removes the port file, and what a kill left of one.
pub fn remove(_held: &Held, root: &Dir) -> Result<()> {
    staged::remove(root, NAME).map_err(Error::could_not("remove", root.path_of(NAME)))
}

#[cfg(test)]
mod tests;
