//! Giving ports back: what was written for a worktree is taken away again.

use std::collections::BTreeSet;
use std::path::Path;

use crate::allocate::plan::Aim;
use crate::config::file as config_file;
use crate::error::Result;
use crate::git::exclude;
use crate::git::index;
use crate::git::lock::{self, Held, LockOptions};
use crate::git::repository::Repository;
use crate::git::worktree::Worktree;
use crate::narrator::Narrator;
use crate::reserve;
use crate::state::env_file;
use crate::state::port_file::{self, State};
use crate::state::record;

/// What became of a release.
pub enum Released {
    /// The worktree has no ports any more. What is to be said about it.
    Done(String),
    /// Nothing was done: the file that lies there is not the worktree's.
    LeftAlone(State),
}

/// Gives the ports of `worktree` back: takes the blocks out of its env files, then removes the port
/// file, then the record.
///
/// # Errors
/// One of them could not be removed; what it names is still reserved.
pub fn release(
    repository: &Repository,
    worktree: &Worktree,
    options: &LockOptions<'_>,
) -> Result<Released> {
    let held = lock::acquire(&repository.common_dir, options)?;
    worktree.check_registered()?;
    let state = reserve::look(repository, worktree)?;
    if reserve::is_to_be_left_alone(&state, Aim::BeCurrent) {
        return Ok(Released::LeftAlone(state));
    }
    let place = record::Place::of(worktree);
    let record = place.read()?;
    let had = match (&state, record.record(worktree.id.as_deref())) {
        (State::Own(own), _) => Some(own.bundle.to_string()),
        (_, Some(record)) => Some(record.reservation.bundle.to_string()),
        (_, None) => None,
    };
    take_blocks_out(&held, repository, worktree, &record, options.narrator);
    port_file::remove(&held, &worktree.root, |path| {
        index::tracks(worktree, path, repository.hash_len)
    })?;
    place.remove(&held)?;
    options.narrator.or_warn(show_unneeded(&held, repository));
    Ok(Released::Done(match had {
        Some(bundle) => format!("released {bundle}"),
        None => "this worktree had no ports to release".to_owned(),
    }))
}

/// Takes the blocks out of every worktree's env files and removes every record, so that nothing but
/// port files is left. Tells what could not be removed.
pub fn forget_all(held: &Held, repository: &Repository, narrator: &Narrator) -> Result<()> {
    for entry in repository.worktrees()? {
        let place = record::Place::of_entry(&entry, &repository.common_dir);
        if let Some(worktree) = Worktree::of(&entry, &repository.common_dir)
            && worktree.is_in_place().unwrap_or(false)
        {
            take_blocks_out(held, repository, &worktree, &place.read()?, narrator);
        }
        narrator.or_warn(place.remove(held));
    }
    narrator.or_warn(show_unneeded(held, repository));
    Ok(())
}

fn take_blocks_out(
    held: &Held,
    repository: &Repository,
    worktree: &Worktree,
    record: &record::Found,
    narrator: &Narrator,
) {
    let is_tracked = |path: &str| index::tracks(worktree, path, repository.hash_len);
    let writer = env_file::Writer {
        worktree,
        is_tracked: &is_tracked,
        // Nothing is made here.
        shown_elsewhere: &|_| None,
        narrator,
    };
    // Where the record could not be written, the config may say where a block of ours stands.
    let config = config_file::of(worktree, repository).ok();
    let declared = config.into_iter().flat_map(|config| config.env_files);
    let mut paths: Vec<String> = declared.map(|(path, _)| path).collect();
    paths.extend(record.env_files(worktree.id.as_deref()));
    paths.sort();
    paths.dedup();
    writer.remove_all(held, &paths);
}

/// Takes the lines out of git's list of what it ignores that no worktree needs any more. One that
/// hides a file is needed as long as a worktree has that file: it may have come to hold lines of its
/// user's.
fn show_unneeded(held: &Held, repository: &Repository) -> Result<()> {
    let mut roots = Vec::new();
    let mut standing = BTreeSet::new();
    for entry in repository.worktrees()? {
        roots.extend(entry.root().map(Path::to_owned));
        let place = record::Place::of_entry(&entry, &repository.common_dir);
        standing.extend(place.read()?.env_files(entry.id().as_deref()));
    }
    let is_there = |path: &str| {
        let mut roots = roots.iter();
        roots.any(|root| root.join(path).symlink_metadata().is_ok())
    };
    exclude::remove_unneeded(held, &repository.common_dir, &|path, is_hidden| {
        standing.contains(path) || (is_hidden && is_there(path))
    })
}
