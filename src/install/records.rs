//! The records that a clone lacks, and the worktrees that have no ports yet.

use std::path::PathBuf;

use crate::error::Result;
use crate::git::lock::Held;
use crate::git::repository::Repository;
use crate::git::worktree::Worktree;
use crate::narrator::Narrator;
use crate::reserve;
use crate::state::port_file::State;
use crate::state::record::{self, Record};

/// What the worktrees of a clone have.
#[derive(Default)]
pub struct Recorded {
    /// Whether a record was written.
    pub written: bool,
    /// The roots of the worktrees without a port file.
    pub without_ports: Vec<PathBuf>,
}

/// Writes the record of every worktree that has ports of its own and no record.
pub fn write_missing(
    held: &Held,
    repository: &Repository,
    narrator: &Narrator,
) -> Result<Recorded> {
    let mut recorded = Recorded::default();
    for entry in repository.worktrees()? {
        let worktree = Worktree::of(&entry, &repository.common_dir);
        let Some(worktree) = worktree.filter(|it| it.is_in_place().unwrap_or(false)) else {
            continue;
        };
        match narrator.or_warn(reserve::look(repository, &worktree)) {
            Some(State::Missing) => recorded.without_ports.push(worktree.root),
            Some(State::Own(reservation)) => {
                let place = record::Place::of(&worktree);
                if place.read()?.record(worktree.id.as_deref()).is_none() {
                    let record = Record {
                        reservation,
                        env_files: Vec::new(),
                    };
                    if let Some(pending) = place.prepare(held, &record)? {
                        pending.commit(&record, &record)?;
                        recorded.written = true;
                    }
                }
            }
            _ => {}
        }
    }
    Ok(recorded)
}
