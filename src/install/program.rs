//! The copy of the program that the hook of a clone runs, and files that are made ready under a
//! temporary name.

use std::env::consts::EXE_SUFFIX;
use std::fs::{self, Metadata};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process;

use tempfile::{Builder, NamedTempFile};

use crate::error::{CouldNot, Error, Result, is_absence, is_write_refused, quoted};
use crate::files::replace::keep_access;
use crate::git::access;
use crate::git::lock;
use crate::install::PROGRAM;
use crate::install::hook_file::is_ours_alone;

/// How the names of our temporary files start, in the directories of hooks too.
const TEMPORARY: &str = ".worktree-ports.";

/// What the clone has of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgramCopy {
    Missing,
    NotExecutable,
    /// It is not the program that looks.
    Differs,
    Same,
}

/// The program that the hook of the clone runs.
pub fn path(common_dir: &Path) -> PathBuf {
    let name = format!("{PROGRAM}{EXE_SUFFIX}");
    common_dir.join(lock::DIRECTORY).join(name)
}

/// Compares the copy in the clone with `program` byte by byte: asking it for its version would be to
/// run it.
#[expect(
    clippy::disallowed_methods,
    reason = "programs are larger than what a branch may have read"
)]
pub fn look(common_dir: &Path, program: &Path) -> Result<ProgramCopy> {
    let copy = path(common_dir);
    match fs::read(&copy) {
        Err(error) if is_absence(&error) => Ok(ProgramCopy::Missing),
        Err(error) => Err(Error::at("read the program", &copy, error)),
        Ok(_) if !access::can_run(&copy) => Ok(ProgramCopy::NotExecutable),
        // Somebody else owns the target of a link.
        Ok(_) if copy.is_symlink() => Ok(ProgramCopy::Differs),
        Ok(bytes) => Ok(if bytes == read(program)? {
            ProgramCopy::Same
        } else {
            ProgramCopy::Differs
        }),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "programs are larger than what a branch may have read"
)]
fn read(program: &Path) -> Result<Vec<u8>> {
    fs::read(program).could_not("read the program", program)
}

/// A file under a temporary name, to be renamed to its own; removed when dropped.
pub struct Ready {
    file: NamedTempFile,
    path: PathBuf,
}

impl Ready {
    /// The program, for the clone.
    pub fn program(common_dir: &Path, program: &Path) -> Result<Ready> {
        let copy = path(common_dir);
        lock::make_directory(common_dir).could_not("write the program", &copy)?;
        let ready = Ready::write(&copy, &read(program)?, None);
        ready
            .could_not("write the program", &copy)?
            .executable(common_dir)
    }

    /// A hook file. One of ours alone gets the access that the common dir gives.
    pub fn hook(common_dir: &Path, hook: &Path, script: &[u8]) -> Result<Ready> {
        if let Some(directory) = hook.parent() {
            access::create_dir(common_dir, directory).could_not("make the directory", directory)?;
        }
        let is_ours = is_ours_alone(script);
        let old = hook.metadata().ok().filter(|_| !is_ours);
        let ready = Ready::write(hook, script, old.as_ref()).could_not("write the hook", hook)?;
        if is_ours {
            ready.executable(common_dir)
        } else {
            Ok(ready)
        }
    }

    fn write(path: &Path, content: &[u8], old: Option<&Metadata>) -> io::Result<Ready> {
        let directory = path.parent().unwrap_or(Path::new("."));
        let mut file = Builder::new().prefix(TEMPORARY).tempfile_in(directory)?;
        file.write_all(content)?;
        if let Some(old) = old {
            keep_access(file.as_file(), old)?;
        }
        let path = path.to_owned();
        Ok(Ready { file, path })
    }

    /// Lets those run it who can enter the common dir.
    fn executable(self, common_dir: &Path) -> Result<Ready> {
        access::share(common_dir, self.file.path(), |common| common & 0o777);
        if access::can_run(self.file.path()) {
            return Ok(self);
        }
        let what = format!("could not make {} executable", quoted(&self.path));
        Err(Error::new(what).remedy(format!(
            "move the clone to a file system that allows `chmod +x`, or run `{PROGRAM}` by hand in \
             each new worktree"
        )))
    }

    /// Gives it its own name.
    pub fn rename(self) -> Result<()> {
        let Ready { file, path } = self;
        let renamed = file.persist(&path).or_else(|failed| {
            // Windows does not replace a program that runs.
            if cfg!(windows) && remove(&path).is_ok() {
                failed.file.persist(&path)
            } else {
                Err(failed)
            }
        });
        renamed
            .map(drop)
            .map_err(|failed| failed.error)
            .could_not("write", &path)
    }
}

/// Removes a program. On Windows one that runs can only be renamed, and a later
/// [`remove_leftovers`] removes it.
pub fn remove(program: &Path) -> io::Result<()> {
    match fs::remove_file(program) {
        Err(error) if cfg!(windows) && is_write_refused(&error) => {
            let name = format!("{TEMPORARY}{}", process::id());
            fs::rename(program, program.with_file_name(name))
        }
        outcome => outcome,
    }
}

/// Removes what a killed `--install` has left and what was moved away: under the lock, none of it is
/// in use.
pub fn remove_leftovers(common_dir: &Path) {
    for name in [lock::DIRECTORY, "hooks"] {
        let entries = fs::read_dir(common_dir.join(name)).into_iter().flatten();
        for entry in entries.flatten() {
            let name = entry.file_name();
            if name.as_encoded_bytes().starts_with(TEMPORARY.as_bytes()) {
                // On Windows a program that still runs stays until the next time.
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// Puts `script` in the place of the hook file at `path`, or removes that if nothing is left of it.
pub fn rewrite_hook(path: &Path, script: Option<Vec<u8>>) -> Result<()> {
    match script {
        None => fs::remove_file(path).could_not("remove the hook", path),
        Some(script) => {
            let old = path.metadata().could_not("read the hook", path)?;
            let ready = Ready::write(path, &script, Some(&old));
            ready.could_not("restore the hook", path)?.rename()
        }
    }
}
