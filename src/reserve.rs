//! The transaction: take the lock, look again, gather what others have, choose, write. Read this
//! file first.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::allocate::choose::Choice;
use crate::allocate::locked::{self, Locked, Purpose};
use crate::allocate::plan::{Aim, Source, plan};
use crate::allocate::probe::Probe;
use crate::config::file as config_file;
use crate::error::{Error, Result, quoted, shell_word};
use crate::git::exclude::{self, Hidden};
use crate::git::ignore::{self, Ignored};
use crate::git::index;
use crate::git::lock::{Held, LockOptions};
use crate::git::repository::Repository;
use crate::git::worktree::Worktree;
use crate::narrator::Narrator;
use crate::state::assigned::Assigned;
use crate::state::env_file;
use crate::state::port_file::{self, State};
use crate::state::record;
use crate::state::reservation::Reservation;

/// What became of it.
#[derive(Debug)]
pub enum Outcome {
    /// All was as it should be, and nothing was written.
    Kept(Assigned),
    /// Files were written.
    Written(Assigned, Written),
    /// Nothing was written: the file that lies there is not to be touched.
    LeftAlone(State),
}

/// What was written, and instead of what.
#[derive(Debug)]
pub struct Written {
    /// What lay at the port file's path before.
    pub before: State,
    /// Whether the worktree got back what its record names.
    pub is_restored: bool,
    /// The env files that were changed.
    pub env_files: Vec<String>,
    /// How many worktrees that are gone, but registered still, have a lower slot.
    pub gone_below: usize,
}

impl Written {
    /// `cloud 8100 (.worktree-ports.json, .env)`, and what else there is to say about it.
    pub fn summary(&self, assigned: &Assigned) -> String {
        let mut files = vec![port_file::NAME];
        files.extend(self.env_files.iter().map(String::as_str));
        let mut summary = format!("{} ({})", assigned.reservation.bundle, files.join(", "));
        if self.gone_below > 0 {
            let worktrees = match self.gone_below {
                1 => "1 worktree that is gone holds a lower slot; if it is gone".to_owned(),
                n => format!("{n} worktrees that are gone hold lower slots; if they are gone"),
            };
            let they = if self.gone_below == 1 { "it" } else { "them" };
            let _ = write!(
                summary,
                " ({worktrees} for good, git worktree prune frees {they})"
            );
        }
        summary
    }
}

/// The error of a worktree whose port file is left alone, and so has no ports.
pub fn left_alone(worktree: &Worktree, state: &State) -> Error {
    let path = quoted(&worktree.root.join(port_file::NAME));
    let by_hand = format!("worktree-ports-hook -C {}", shell_word(&worktree.root));
    match state {
        State::Tracked => Error::new(format!(
            "git tracks {path}, so all worktrees would share it"
        ))
        .remedy(format!(
            "run `git -C {} rm --cached {}`, commit, and run `{by_hand}`",
            shell_word(&worktree.root),
            port_file::NAME
        )),
        State::Unreadable(error) => Error::new(format!("could not read {path}: {error}")).remedy(
            format!("make it readable, or run `{by_hand} --reallocate` to replace it"),
        ),
        _ => Error::new(format!(
            "{path} belongs to another tool: it has no `worktree` or no `ports`, or is larger than 256 KiB"
        ))
        .remedy(format!("run `{by_hand} --reallocate` to replace it")),
    }
}

/// Makes sure that `worktree` has a bundle, and that all that is written from it is up to date. One
/// that needs no change is answered without the lock.
pub fn ensure(
    repository: &Repository,
    worktree: &Worktree,
    options: &LockOptions<'_>,
) -> Result<Outcome> {
    let mut answer = None;
    if let State::Own(own) = look(repository, worktree)? {
        let config = config_file::of(worktree, repository)?;
        let record = record::Place::of(worktree).read()?;
        let assigned = Assigned::new(worktree, config, own.bundle.clone());
        if is_current(&own, &assigned) && is_written(worktree, &assigned, &record) {
            return Ok(Outcome::Kept(assigned));
        }
        answer = Some(assigned);
    }
    match (locked::acquire(repository, Purpose::Write, options), answer) {
        (Ok(locked), _) => transact(&locked, repository, worktree, Aim::BeCurrent, options),
        // Its ports are its own, whatever keeps the rest from being brought up to date.
        (Err(error), Some(assigned)) => {
            options.narrator.warn(error);
            Ok(Outcome::Kept(assigned))
        }
        (Err(error), None) => Err(error),
    }
}

/// Gives `worktree` what it wants, whatever its port file is now.
pub fn reserve(
    repository: &Repository,
    worktree: &Worktree,
    aim: Aim,
    options: &LockOptions<'_>,
) -> Result<Outcome> {
    let locked = locked::acquire(repository, Purpose::Write, options)?;
    transact(&locked, repository, worktree, aim, options)
}

/// Whose the port file of `worktree` is. A tracked one that is not there is git's too.
pub fn look(repository: &Repository, worktree: &Worktree) -> Result<State> {
    look_for(repository, worktree, Aim::BeCurrent)
}

/// As [`look`]; the hook asks git only if a file lies there.
fn look_for(repository: &Repository, worktree: &Worktree, aim: Aim) -> Result<State> {
    port_file::look(&worktree.root, worktree.id.as_deref(), |is_there| {
        let is_asked = is_there || aim != Aim::Have;
        Ok(is_asked && index::tracks(worktree, port_file::NAME, repository.hash_len)?)
    })
}

/// Whether `own`, as the port file has it, is as its config would have it written.
pub fn is_current(own: &Reservation, assigned: &Assigned) -> bool {
    let services = assigned.config.services.iter();
    let services = services.map(|service| &service.name);
    own.bundle.slot.is_some()
        && services.eq(own.bundle.ports.iter().map(|(service, _)| service))
        && own.urls == assigned.reservation.urls
}

/// Whether the record and the env files are as they should be.
fn is_written(worktree: &Worktree, assigned: &Assigned, record: &record::Found) -> bool {
    let standing = record.env_files(worktree.id.as_deref());
    assigned.is_recorded(worktree, record)
        && env_file::is_current(worktree, &assigned.label, &assigned.env_files(), &standing)
}

/// Looks, gathers, chooses and writes under the lock: nothing that was read before it decides.
fn transact(
    locked: &Locked,
    repository: &Repository,
    worktree: &Worktree,
    aim: Aim,
    options: &LockOptions<'_>,
) -> Result<Outcome> {
    let held = &locked.held;
    let narrator = options.narrator;
    // It may have been moved or removed meanwhile, and another may have come to its place.
    worktree.check_registered()?;

    let before = look_for(repository, worktree, aim)?;
    if is_to_be_left_alone(&before, aim) {
        return Ok(Outcome::LeftAlone(before));
    }
    let config = config_file::of(worktree, repository)?;

    let reservations = locked.gather(repository, Some(worktree), narrator)?;
    let others = reservations.others_than(None);
    let choice = Choice::new(&config, others, worktree.is_main());
    let record = record::Place::of(worktree).read()?;
    let plan = plan(
        worktree,
        &before,
        &record,
        &choice,
        &Probe::new(narrator),
        aim,
    )?;
    if let Some(warning) = plan.left_out(worktree, &choice) {
        narrator.warn(warning);
    }
    let gone_below = plan.gone_below(&others);

    let is_restored = plan.source == Source::Record;
    let assigned = Assigned::new(worktree, config, plan.bundle);
    let written = write(
        held, repository, worktree, &assigned, &before, &record, narrator,
    )?;
    Ok(match written {
        None => Outcome::Kept(assigned),
        Some(env_files) => Outcome::Written(
            assigned,
            Written {
                before,
                is_restored,
                env_files,
                gone_below,
            },
        ),
    })
}

/// Whether the file in `state` is not to be touched.
pub fn is_to_be_left_alone(state: &State, aim: Aim) -> bool {
    match state {
        State::Tracked => true,
        State::Foreign | State::Unreadable(_) => aim != Aim::Reallocate,
        State::Own(_) => aim == Aim::Have,
        State::Missing | State::Copied | State::Damaged => false,
    }
}

/// Writes what has changed: the record under its temporary name, the env files, the port file, and
/// last the record's own name. So a kill at any point leaves nothing unreserved. Tells which env
/// files were changed; `None` if nothing was.
fn write(
    held: &Held,
    repository: &Repository,
    worktree: &Worktree,
    assigned: &Assigned,
    before: &State,
    found: &record::Found,
    narrator: &Narrator,
) -> Result<Option<Vec<String>>> {
    let is_same = matches!(before, State::Own(own) if *own == assigned.reservation);
    let standing = found.env_files(worktree.id.as_deref());
    if is_same && is_written(worktree, assigned, found) {
        return Ok(None);
    }
    if !is_same {
        narrator.or_warn(exclude::add(
            held,
            &worktree.common_dir,
            &[Hidden::port_file()],
        ));
    }

    let wanted = assigned.env_files();
    let place = record::Place::of(worktree);
    let wanted_paths = wanted.iter().map(|file| file.path.clone());
    let prepared = assigned.record(
        &standing
            .iter()
            .cloned()
            .chain(wanted_paths)
            .collect::<Vec<_>>(),
    );
    let pending_record = place.prepare(held, &prepared)?;
    if pending_record.is_none() && !is_same {
        narrator.warn(format_args!(
            "could not write {}: these ports are reserved only as long as the port file can be seen",
            quoted(place.path())
        ));
    }
    let is_tracked = |path: &str| index::tracks(worktree, path, repository.hash_len);
    let pending_file = if is_same {
        let removed = port_file::remove_leftover(held, &worktree.root, is_tracked);
        narrator.or_warn(removed);
        None
    } else {
        let reservation = &assigned.reservation;
        Some(port_file::prepare(
            held,
            &worktree.root,
            reservation,
            is_tracked,
        )?)
    };

    let writer = env_file::Writer {
        worktree,
        is_tracked: &is_tracked,
        shown_elsewhere: &|path| shown_elsewhere(repository, worktree, path),
        narrator,
    };
    let env_files = writer.write_all(held, &assigned.label, &wanted, &standing);
    if let Some(Err(error)) = pending_file.map(port_file::Pending::commit) {
        // The env files name these ports by now.
        if let Some(pending) = pending_record.filter(|_| !env_files.written.is_empty()) {
            pending.leave();
        }
        return Err(error);
    }
    if let Some(pending) = pending_record {
        pending.commit(&prepared, &assigned.record(&env_files.standing))?;
    }
    Ok(Some(env_files.written))
}

/// The file at `path` in another worktree, if that is its user's own and git shows it.
fn shown_elsewhere(repository: &Repository, worktree: &Worktree, path: &str) -> Option<PathBuf> {
    if exclude::hides(&repository.common_dir, path) {
        return None;
    }
    let entries = repository.worktrees().unwrap_or_default().into_iter();
    let others = entries
        .filter(|entry| !entry.is_of(worktree))
        .filter_map(|entry| Worktree::of(&entry, &repository.common_dir));
    let mut shown = others.filter(|other| {
        let is_there = other.root.join(path).symlink_metadata().is_ok();
        let is_ours = || {
            let record = record::Place::of(other).read();
            record.is_ok_and(|record| {
                record
                    .env_files(other.id.as_deref())
                    .iter()
                    .any(|it| it == path)
            })
        };
        let is_tracked = || index::tracks(other, path, repository.hash_len).unwrap_or(true);
        let is_ignored = || ignore::look(other, path).is_ok_and(|it| it == Ignored::Yes);
        is_there && !is_ours() && !is_tracked() && !is_ignored()
    });
    shown.next().map(|other| other.root.join(path))
}

#[cfg(test)]
mod tests;
