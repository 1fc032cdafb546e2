//! The locks that an allocation takes: its repository's lock and, if the clone is shared, those of
//! all clones on the user's list.

use std::path::{Path, PathBuf};

use crate::allocate::reservations::Reservations;
use crate::error::{ErrorKind, Result};
use crate::git::clones;
use crate::git::lock::{self, Held};
use crate::git::repository::Repository;
use crate::git::worktree::Worktree;
use crate::session::Session;

/// The locks, and the other clones that they cover.
pub struct Locked {
    /// Proves that they are held.
    pub held: Held,
    clones: Vec<Repository>,
}

impl Locked {
    /// Takes the locks of the repository with the common dir `own`, and of `clones`.
    fn take(
        own: &Path,
        clones: Vec<Repository>,
        purpose: Purpose,
        session: &Session,
    ) -> Result<Locked> {
        let others = clones.iter().map(|clone| &*clone.common_dir);
        let wanted = others.chain([own]);
        let is_wanted = |clone: &&Path| purpose == Purpose::Write || lock::path(clone).exists();
        let wanted: Vec<&Path> = wanted.filter(is_wanted).collect();
        let held = lock::acquire_all(&wanted, session)?;
        Ok(Locked { held, clones })
    }

    /// What is reserved for the worktrees of `repository`, except for `own`, and of the clones that
    /// share its ports.
    pub fn gather(
        &self,
        repository: &Repository,
        own: Option<&Worktree>,
    ) -> Result<Reservations<'_>> {
        Reservations::gather(&self.held, repository, own, &self.clones)
    }

    /// Unlocks; returns the clones that the locks covered.
    pub fn release(self) -> Vec<Repository> {
        self.clones
    }
}

/// Why locks are taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To write; a lock file that is missing is made.
    Write,
    /// To read. If there is no lock file, there is no writer to wait for.
    Look,
}

/// Takes the lock of the repository and, if it is shared, those of all clones on the user's list.
///
/// # Errors
/// The list or a clone on it cannot be read, or a lock cannot be taken. A clone that is not there,
/// is not a repository, or belongs to another user is only a warning.
pub fn acquire(repository: &Repository, purpose: Purpose, session: &Session) -> Result<Locked> {
    let own = &*repository.common_dir;
    let mut listed: Vec<PathBuf> = Vec::new();
    loop {
        let mut clones = Vec::new();
        for clone in &listed {
            match clones::open(clone, own) {
                Err(error) if error.kind() == ErrorKind::Absent => session.narrator.warn(error),
                clone => clones.push(clone?),
            }
        }
        let locked = Locked::take(own, clones, purpose, session)?;
        // While its lock is held, the clone cannot become shared, and no clone on the list,
        // including one that joins now, allocates without this lock.
        let is_shared = repository.is_shared()?;
        let (now, is_listed) = if is_shared {
            clones::others(own)?
        } else {
            Default::default()
        };
        if now == listed {
            // `--check` tells that itself.
            if is_shared && !is_listed && purpose == Purpose::Write {
                session.narrator.warn(clones::unlisted(own));
            }
            return Ok(locked);
        }
        // Unlock, and take all of them in one order, so that two processes never wait for each other.
        listed = now;
    }
}

/// Takes the lock of the repository alone, to look at it.
pub fn acquire_own(repository: &Repository, session: &Session) -> Result<Locked> {
    Locked::take(&repository.common_dir, Vec::new(), Purpose::Look, session)
}
