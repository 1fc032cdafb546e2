//! `.worktree-ports.json`, at a worktree's root: whose it is, and how it is written.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{CouldNot, Error, Result, is_absence, quoted};
use crate::files::new_file::NewFile;
use crate::files::untrusted::{self, PlainFile};
use crate::git::lock::Held;
use crate::state::reservation::{Document, LIMIT, Reservation};

/// The port file's name, at a worktree's root.
pub const NAME: &str = ".worktree-ports.json";

/// The name under which a port file is written before it is renamed to [`NAME`].
pub const TEMPORARY_NAME: &str = ".worktree-ports.json.tmp";

/// Reads what lies at the port file's path in the worktree at `root`.
///
/// # Errors
/// A shortage of our own (see [`untrusted::read`]).
pub fn read(root: &Path) -> Result<PlainFile> {
    let path = untrusted::path_in(root, NAME);
    untrusted::read(&path, LIMIT).could_not("read", &path)
}

/// Whose the file is that lies at the port file's path in a worktree.
#[derive(Debug)]
pub enum State {
    /// There is none.
    Missing,
    /// The worktree's own.
    Own(Reservation),
    /// Of our shape, with another worktree's id.
    Copied,
    /// Not JSON, empty, not a regular file, or of our shape with impossible values.
    Damaged,
    /// It cannot be read, and its stack may be on its ports.
    Unreadable(String),
    /// Another tool's: JSON that lacks `worktree` or `ports`, or larger than anything of ours.
    Foreign,
    /// git tracks it, so every worktree has the same.
    Tracked,
}

impl State {
    /// Whose the file `found` is, seen from the worktree named `id` (`None`: the main worktree).
    /// git is not asked.
    pub fn of(found: &PlainFile, id: Option<&str>) -> State {
        let bytes = match found {
            PlainFile::Missing => return State::Missing,
            PlainFile::NotRegular(_) => return State::Damaged,
            PlainFile::Unreadable(error) => return State::Unreadable(error.to_string()),
            PlainFile::Read {
                truncated: true, ..
            } => return State::Foreign,
            PlainFile::Read { bytes, .. } => bytes,
        };
        match Document::parse(bytes) {
            Document::NotJson => State::Damaged,
            Document::OtherJson => State::Foreign,
            Document::Ours(ours) => match ours.reservation() {
                None => State::Damaged,
                Some(own) if own.worktree.as_deref() == id => State::Own(own),
                Some(_) => State::Copied,
            },
        }
    }

    /// The word for it in `--list`.
    pub fn word(&self) -> &'static str {
        match self {
            State::Missing => "none",
            State::Own(_) => "ok",
            State::Copied => "copied",
            State::Damaged => "damaged",
            State::Unreadable(_) => "unreadable",
            State::Foreign => "foreign",
            State::Tracked => "tracked",
        }
    }
}

/// Whose the port file at `root` is, seen from the worktree named `id`. Whether git tracks it is
/// asked with whether a file lies there.
pub fn look(
    root: &Path,
    id: Option<&str>,
    is_tracked: impl FnOnce(bool) -> Result<bool>,
) -> Result<State> {
    let found = read(root)?;
    if is_tracked(!matches!(found, PlainFile::Missing))? {
        return Ok(State::Tracked);
    }
    Ok(State::of(&found, id))
}

/// A port file that is written, but not yet under its own name.
pub struct Pending {
    file: NewFile,
    path: PathBuf,
}

/// Writes the port file of the worktree at `root` under its temporary name.
///
/// # Errors
/// It could not be written; nothing is left then.
pub fn prepare(
    _held: &Held,
    root: &Path,
    reservation: &Reservation,
    is_tracked: impl Fn(&str) -> Result<bool>,
) -> Result<Pending> {
    let temporary = root.join(TEMPORARY_NAME);
    if is_of_branch(&temporary, is_tracked)? {
        return Err(Error::new(format!(
            "git tracks {}, the name under which the port file is written",
            quoted(&temporary)
        ))
        .remedy(format!(
            "run `git rm --cached {TEMPORARY_NAME}` in {}, commit, and run `worktree-ports-hook` there",
            quoted(root)
        )));
    }
    let file =
        NewFile::create(&temporary, &reservation.to_json()).could_not("write", &temporary)?;
    let path = root.join(NAME);
    // A container engine makes an empty directory of a path that it is to mount and that is not
    // there. A file cannot be renamed over it; what is in a full one is not ours to remove.
    if fs::symlink_metadata(&path).is_ok_and(|there| there.is_dir()) {
        let removed = fs::remove_dir(&path).could_not("write", &path);
        removed.map_err(|error| {
            error.remedy("move that directory away and run `worktree-ports-hook`")
        })?;
    }
    Ok(Pending { file, path })
}

/// Removes what a kill left under the temporary name, where the port file needs no writing.
pub fn remove_leftover(
    _held: &Held,
    root: &Path,
    is_tracked: impl Fn(&str) -> Result<bool>,
) -> Result<()> {
    let temporary = root.join(TEMPORARY_NAME);
    let is_file = fs::symlink_metadata(&temporary).is_ok_and(|there| !there.is_dir());
    if is_file && !is_of_branch(&temporary, is_tracked)? {
        fs::remove_file(&temporary).could_not("remove", &temporary)?;
    }
    Ok(())
}

/// Whether a branch has a file at `temporary`. What a kill left there is ours to remove, but that is
/// not.
fn is_of_branch(temporary: &Path, is_tracked: impl Fn(&str) -> Result<bool>) -> Result<bool> {
    Ok(fs::symlink_metadata(temporary).is_ok() && is_tracked(TEMPORARY_NAME)?)
}

impl Pending {
    /// Gives the port file its name, in the place of whatever file is there.
    ///
    /// # Errors
    /// It could not be replaced; the old file is there as before.
    pub fn commit(self) -> Result<()> {
        self.file
            .rename_to(&self.path)
            .could_not("write", &self.path)
    }
}

/// Removes the port file at `root`, and what a kill left of one.
pub fn remove(held: &Held, root: &Path, is_tracked: impl Fn(&str) -> Result<bool>) -> Result<()> {
    remove_leftover(held, root, is_tracked)?;
    let path = root.join(NAME);
    match fs::symlink_metadata(&path) {
        Ok(there) if there.is_dir() => fs::remove_dir(&path),
        Ok(_) => fs::remove_file(&path),
        Err(error) if is_absence(&error) => Ok(()),
        Err(error) => Err(error),
    }
    .could_not("remove", &path)
}

#[cfg(test)]
mod tests;
