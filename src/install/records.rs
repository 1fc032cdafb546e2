//! The records that a clone lacks, and the worktrees that have no ports yet.

use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::git::lock::Held;
use crate::git::repository::Repository;
use crate::narrator::Narrator;
use crate::state::port_file::FileState;
use crate::state::record::{Record, WrittenFiles};

/// What the worktrees of a clone have.
#[derive(Default)]
pub struct RecordedPorts {
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
) -> Result<RecordedPorts> {
    let mut recorded = RecordedPorts::default();
    for worktree in repository.live_worktrees()? {
        let Some(worktree) = narrator.or_warn(worktree) else {
            continue;
        };
        match worktree.port_file()? {
            FileState::Missing => recorded.without_ports.push(worktree.path().to_owned()),
            FileState::Own(reservation) if worktree.record()?.record().is_none() => {
                let record = Record {
                    reservation,
                    written: WrittenFiles::default(),
                };
                let write = || worktree.stage_record(held, &record)?.commit();
                write().map_err(Error::could_not("write", worktree.record_path()))?;
                recorded.written = true;
            }
            _ => {}
        }
    }
    Ok(recorded)
}
