//! The locks that an allocation takes: that of its repository, and where the ports are shared, those
//! of all clones on the user's list.

use std::path::{Path, PathBuf};

use crate::allocate::reservations::Reservations;
use crate::error::Result;
use crate::git::clones;
use crate::git::lock::{self, Deadline, Held, LockOptions};
use crate::git::repository::Repository;
use crate::git::worktree::Worktree;
use crate::narrator::Narrator;

/// The locks that an allocation takes, and the clones beside the own one that they are for.
pub struct Locked {
    /// Proves that they are held.
    pub held: Held,
    clones: Vec<Repository>,
}

impl Locked {
    /// What is reserved for the worktrees of `repository`, but for the one that `own` is, and for
    /// those of the clones that it shares its ports with.
    pub fn gather(
        &self,
        repository: &Repository,
        own: Option<&Worktree>,
        narrator: &Narrator,
    ) -> Result<Reservations<'_>> {
        Reservations::gather(&self.held, repository, own, &self.clones, narrator)
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

/// Takes the lock of the repository, and where its ports are shared, those of all clones on the
/// user's list.
pub fn acquire(
    repository: &Repository,
    purpose: Purpose,
    options: &LockOptions<'_>,
) -> Result<Locked> {
    let LockOptions { timeout, narrator } = *options;
    let own = repository.common_dir.as_path();
    let is_wanted =
        |common_dir: &&Path| purpose == Purpose::Write || lock::path(common_dir).exists();
    let deadline = Deadline::after(timeout);
    let open = |listed: &[PathBuf]| -> Vec<Repository> {
        let opened = listed.iter().map(|clone| clones::open(clone));
        opened.filter_map(|clone| narrator.or_warn(clone)).collect()
    };
    let list = || narrator.or_warn(clones::others(own, narrator));

    let wanted: Vec<&Path> = [own].into_iter().filter(is_wanted).collect();
    let held = lock::acquire_all(own, &wanted, deadline, narrator)?;
    // Under the lock the clone cannot come to be shared.
    if !repository.is_shared()? {
        let clones = Vec::new();
        return Ok(Locked { held, clones });
    }
    // No other clone on the list allocates without this lock, one that joins now neither.
    let mut listed = list().unwrap_or_default();
    let clones = open(&listed);
    if let Some(held) = held.and_at_once(&wanted_of(&clones, is_wanted)) {
        return Ok(Locked { held, clones });
    }
    // Whoever has to wait takes all in one order, or two processes would wait for each other; and
    // lets go of this one first, so that a clone may have joined and allocated meanwhile.
    loop {
        let clones = open(&listed);
        let mut wanted = wanted_of(&clones, is_wanted);
        wanted.extend([own].into_iter().filter(is_wanted));
        let held = lock::acquire_all(own, &wanted, deadline, narrator)?;
        match list() {
            Some(now) if now != listed => listed = now,
            _ => return Ok(Locked { held, clones }),
        }
    }
}

fn wanted_of(clones: &[Repository], is_wanted: impl Fn(&&Path) -> bool) -> Vec<&Path> {
    let common_dirs = clones.iter().map(|clone| clone.common_dir.as_path());
    common_dirs.filter(is_wanted).collect()
}
