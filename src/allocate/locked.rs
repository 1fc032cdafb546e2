//! The locks that an allocation takes: that of its repository, and where the ports are shared, those
//! of all clones on the user's list.

use std::path::{Path, PathBuf};

use crate::allocate::reservations::Reservations;
use crate::error::{ErrorKind, Result};
use crate::git::clones;
use crate::git::lock::{self, Held};
use crate::git::repository::Repository;
use crate::git::worktree::Worktree;
use crate::session::Session;

/// The locks that an allocation takes, and the other clones that they are for.
pub struct Locked {
    /// Proves that they are held.
    pub held: Held,
    clones: Vec<Repository>,
}

impl Locked {
    /// What is reserved for the worktrees of `repository`, but for `own`, and for those of the clones
    /// that it shares its ports with.
    pub fn gather(
        &self,
        repository: &Repository,
        own: Option<&Worktree>,
    ) -> Result<Reservations<'_>> {
        Reservations::gather(&self.held, repository, own, &self.clones)
    }

    /// Lets go of the locks; the clones that they were for.
    pub fn release(self) -> Vec<Repository> {
        self.clones
    }
}

/// Why locks are taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To write; a lock file that is missing is made.
    Write,
    /// To look only. Where there is no lock file there is no writer to wait for.
    Look,
}

/// Takes the lock of the repository and, if its ports are shared, those of all clones on the user's
/// list.
///
/// # Errors
/// The list or a clone on it cannot be read, or a lock cannot be had. A clone that is not there, is
/// not a repository, or is another user's is only a warning.
pub fn acquire(repository: &Repository, purpose: Purpose, session: &Session) -> Result<Locked> {
    let own = repository.common_dir.as_path();
    let is_wanted =
        |common_dir: &&Path| purpose == Purpose::Write || lock::path(common_dir).exists();
    let open = |listed: &[PathBuf]| -> Result<Vec<Repository>> {
        let mut clones = Vec::new();
        for clone in listed {
            match clones::open(clone, own) {
                Err(error) if error.kind() == ErrorKind::Absent => session.narrator.warn(error),
                clone => clones.push(clone?),
            }
        }
        Ok(clones)
    };
    let wanted_of = |clones: &'_ [Repository]| -> Vec<PathBuf> {
        let common_dirs = clones.iter().map(|clone| clone.common_dir.as_path());
        common_dirs.filter(is_wanted).map(Path::to_owned).collect()
    };

    let wanted: Vec<&Path> = [own].into_iter().filter(is_wanted).collect();
    let held = lock::acquire_all(&wanted, session)?;
    // Under the lock the clone cannot come to be shared.
    if !repository.is_shared()? {
        let clones = Vec::new();
        return Ok(Locked { held, clones });
    }
    // No other clone on the list allocates without this lock, including one that joins now.
    let mut listed = clones::others(own, &session.narrator)?;
    let clones = open(&listed)?;
    let wanted = wanted_of(&clones);
    let wanted: Vec<&Path> = wanted.iter().map(PathBuf::as_path).collect();
    if let Some(held) = held.and_at_once(&wanted)? {
        return Ok(Locked { held, clones });
    }
    // Whoever has to wait takes all in one order, or two processes would wait for each other; and
    // lets go of this one first, so that a clone may have joined and allocated meanwhile.
    loop {
        let clones = open(&listed)?;
        let mut wanted = wanted_of(&clones);
        wanted.extend([own].into_iter().filter(is_wanted).map(Path::to_owned));
        let wanted: Vec<&Path> = wanted.iter().map(PathBuf::as_path).collect();
        let held = lock::acquire_all(&wanted, session)?;
        let now = clones::others(own, &session.narrator)?;
        if now == listed {
            return Ok(Locked { held, clones });
        }
        listed = now;
    }
}
