//! The records that are missing in a clone in which an earlier version has reserved ports.

use crate::error::Result;
use crate::git::lock::Held;
use crate::git::repository::Repository;
use crate::git::worktree::Worktree;
use crate::narrator::Narrator;
use crate::reserve;
use crate::state::port_file::State;
use crate::state::record::{self, Record};

/// Writes the record of every worktree that has ports of its own and no record, as one whose
/// ports an earlier version reserved. Returns how many worktrees have no port file.
pub fn write_missing(held: &Held, repository: &Repository, narrator: &Narrator) -> Result<usize> {
    let mut without_ports = 0;
    for entry in repository.worktrees()? {
        let worktree = Worktree::of(&entry, &repository.common_dir);
        let Some(worktree) = worktree.filter(|it| it.is_in_place().unwrap_or(false)) else {
            continue;
        };
        match narrator.or_warn(reserve::look(repository, &worktree)) {
            Some(State::Missing) => without_ports += 1,
            Some(State::Own(reservation)) => {
                let place = record::Place::of(&worktree);
                if place.read()?.record(worktree.id.as_deref()).is_none() {
                    let record = Record {
                        reservation,
                        env_files: Vec::new(),
                    };
                    if let Some(pending) = place.prepare(held, &record)? {
                        pending.commit(&record, &record)?;
                    }
                }
            }
            _ => {}
        }
    }
    Ok(without_ports)
}
