//! The copy of the program that a clone's hook runs.

use std::env::consts::EXE_SUFFIX;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result, if_there, quoted};
use crate::files::dir::Dir;
use crate::files::staged::{Access, Staged, remove_leftover, temporary};
use crate::git::access;
use crate::git::repository::DIRECTORY;
use crate::install::seen::PartState;
use crate::install::{HOOK, PROGRAM};

/// The name of the copy in our directory.
pub fn name() -> String {
    format!("{PROGRAM}{EXE_SUFFIX}")
}

/// The program that the hook of the clone runs.
pub fn path(common_dir: &Path) -> PathBuf {
    common_dir.join(DIRECTORY).join(name())
}

/// Compares the copy in the clone with `program` byte by byte: asking for its version would mean to run
/// it.
pub fn look(common_dir: &Path, program: &Path) -> Result<PartState> {
    let copy = path(common_dir);
    match read(&copy) {
        Err(error) if error.kind() == ErrorKind::Absent => Ok(PartState::Missing),
        Err(error) => Err(error),
        Ok(_) if !access::can_run(&copy) => Ok(PartState::NotExecutable),
        // The target of a link is not ours.
        Ok(bytes) if !copy.is_symlink() && bytes == read(program)? => Ok(PartState::Current),
        Ok(_) => Ok(PartState::Outdated),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "programs are larger than what a branch may have read"
)]
fn read(program: &Path) -> Result<Vec<u8>> {
    fs::read(program).map_err(Error::could_not("read the program", program))
}

/// Stages a copy of `program` in `dir`, our directory in the common dir.
pub fn stage_copy<'d>(common_dir: &Path, dir: &'d Dir, program: &Path) -> Result<Staged<'d>> {
    stage(common_dir, dir, &name(), &read(program)?)
}

/// Stages a file of ours that is executable for whoever may enter the common dir.
pub fn stage<'d>(
    common_dir: &Path,
    dir: &'d Dir,
    name: &str,
    content: &[u8],
) -> Result<Staged<'d>> {
    let path = dir.path_of(name);
    let access = Access::shared(common_dir, 0o777);
    let staged = access.and_then(|access| Staged::prepare(dir, name, content, access));
    let staged = staged.map_err(Error::could_not("write", &path))?;
    if access::can_run(&dir.path_of(&temporary(name))) {
        return Ok(staged);
    }
    let what = format!("could not make {} executable", quoted(&path));
    Err(Error::new(what).remedy(format!(
        "move the clone to a file system that allows `chmod +x`, or run `{PROGRAM}` by hand in each \
         new worktree"
    )))
}

/// Puts the staged program in its place.
pub fn place(dir: &Dir, staged: Staged<'_>) -> Result<()> {
    let place = || {
        if cfg!(windows) && dir.has(&name()) {
            move_aside(dir)?;
        }
        staged.commit()
    };
    place().map_err(Error::could_not("write", dir.path_of(&name())))
}

/// Removes the program; returns whether there was one.
pub fn remove(common_dir: &Path) -> Result<bool> {
    let remove = || -> io::Result<bool> {
        let Some(dir) = if_there(Dir::open(&common_dir.join(DIRECTORY)))? else {
            return Ok(false);
        };
        match dir.remove(&name()) {
            Err(_) if cfg!(windows) => move_aside(&dir).map(|()| true),
            removed => removed,
        }
    };
    remove().map_err(Error::could_not("remove", path(common_dir)))
}

/// Renames the program, because Windows neither replaces nor removes one that is running. A later
/// [`remove_leftovers`] removes it.
fn move_aside(dir: &Dir) -> io::Result<()> {
    dir.rename(&name(), &temporary(&temporary(&name())))
}

/// Removes what a killed `--install` has left under temporary names. While the lock is held, none of it
/// is in use.
pub fn remove_leftovers(common_dir: &Path) {
    for (directory, name) in [(DIRECTORY, &*name()), ("hooks", HOOK)] {
        // On Windows, a program that is still running stays until the next time.
        let _ = Dir::open(&common_dir.join(directory)).and_then(|dir| remove_leftover(&dir, name));
    }
}
