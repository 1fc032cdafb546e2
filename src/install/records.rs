//! The records that a clone lacks, and the worktrees that have no ports yet.

use std::path::PathBuf;

use crate::error::Result;
use crate::git::lock::Held;
use crate::git::repository::Repository;
use crate::narrator::Narrator;
use crate::state::port_file::FileState;
use crate::state::record::{Record, WrittenFiles};

/// Writes the missing records of worktrees that have a port file. Returns whether there were any, and the
/// roots of the worktrees without a port file.
pub fn write_missing(
    held: &Held,
    repository: &Repository,
    narrator: &Narrator,
) -> Result<(bool, Vec<PathBuf>)> {
    let (mut has_written, mut without_ports) = (false, Vec::new());
    for worktree in repository.live_worktrees()? {
        let Some(worktree) = narrator.or_warn(worktree) else {
            continue;
        };
        match worktree.port_file()? {
            FileState::Missing => without_ports.push(worktree.path().to_owned()),
            FileState::Own(reservation) if worktree.record()?.record().is_none() => {
                let written = WrittenFiles::default();
                let record = Record {
                    reservation,
                    written,
                };
                worktree.write_record(held, &record)?;
                has_written = true;
            }
            _ => {}
        }
    }
    Ok((has_written, without_ports))
}
