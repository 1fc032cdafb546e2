//! The copy of the program that a clone's hook runs.

use std::env::consts::EXE_SUFFIX;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result, if_there, quoted};
use crate::files::dir::Dir;
use crate::files::staged::{Access, Staged, remove_leftover, temporary};
use crate::git::access;
use crate::git::repository::DIRECTORY;
use crate::install::seen::PartState;
use crate::install::{HOOK, PROGRAM};

const READ: &str = "read the program";

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
    match open(&copy) {
        Err(error) if error.kind() == ErrorKind::Absent => Ok(PartState::Missing),
        Err(error) => Err(error),
        Ok(_) if !access::can_run(&copy) => Ok(PartState::NotExecutable),
        // The target of a link is not ours.
        Ok(_) if copy.is_symlink() => Ok(PartState::Outdated),
        Ok(file) => match are_same(&file, &open(program)?) {
            Ok(true) => Ok(PartState::Current),
            Ok(false) => Ok(PartState::Outdated),
            Err(error) => Err(Error::could_not(READ, copy)(error)),
        },
    }
}

/// Whether two files have the same content. It is read in pieces, because programs are large.
fn are_same(one: &File, other: &File) -> io::Result<bool> {
    let piece_of = |file: &File| -> io::Result<Vec<u8>> {
        let mut piece = Vec::new();
        file.take(64 * 1024).read_to_end(&mut piece)?;
        Ok(piece)
    };
    loop {
        let (piece, others) = (piece_of(one)?, piece_of(other)?);
        if piece != others || piece.is_empty() {
            return Ok(piece == others);
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "programs are larger than what a branch may have read"
)]
fn open(program: &Path) -> Result<File> {
    File::open(program).map_err(Error::could_not(READ, program))
}

/// Stages a copy of `program` in `dir`, our directory in the common dir.
pub fn stage_copy<'d>(common_dir: &Path, dir: &'d Dir, program: &Path) -> Result<Staged<'d>> {
    let mut content = Vec::new();
    let read = open(program)?.read_to_end(&mut content);
    read.map_err(Error::could_not(READ, program))?;
    stage(common_dir, dir, &name(), &content)
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
