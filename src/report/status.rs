//! What `--list` shows: every worktree as it is now. Nothing is chosen from it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::allocate::probe::Probe;
use crate::error::{CouldNot, Error, Result};
use crate::files::untrusted::{self, PlainFile};
use crate::git::clones;
use crate::git::command;
use crate::git::entries::Place;
use crate::git::repository::{Found, Repository};
use crate::git::worktree::{Entry, Worktree, is_same_directory};
use crate::narrator::Narrator;
use crate::ports::{Bundle, Port, ServiceName};
use crate::reserve;
use crate::state::port_file::State;
use crate::state::record;
use crate::state::reservation::Reservation;

/// A worktree and what it has reserved.
pub struct Status {
    /// The common dir of its repository.
    pub repository: PathBuf,
    /// Which worktree.
    pub entry: Entry,
    /// The branch that is checked out; `None` if HEAD is detached or cannot be read.
    pub branch: Option<String>,
    /// Whether nothing at its root leads back to its entry.
    pub is_gone: bool,
    /// Whose the port file is.
    pub state: State,
    /// Whether another worktree's own file names one of its ports or its slot too.
    pub is_duplicate: bool,
    /// What its port file reserves, or if that is not its own, its record.
    pub reservation: Option<Reservation>,
    /// The services on whose port something listens.
    pub listening: Vec<ServiceName>,
}

impl Status {
    /// The slot and the ports that are reserved for it.
    pub fn bundle(&self) -> Option<&Bundle> {
        self.reservation
            .as_ref()
            .map(|reservation| &reservation.bundle)
    }

    /// The word for its state.
    pub fn word(&self) -> &'static str {
        if self.is_duplicate {
            "duplicate"
        } else {
            self.state.word()
        }
    }
}

/// Looks at every worktree of the repository, or of all clones on the user's list.
pub fn of_all(found: &Found, all_clones: bool, narrator: &Narrator) -> Result<Vec<Status>> {
    let probe = Probe::new(narrator);
    let mut statuses = of_repository(&found.repository, &probe, narrator)?;
    if all_clones {
        let own = &found.repository.common_dir;
        let listed = clones::listed(own)?;
        let others = listed.iter().filter(|clone| !is_same_directory(clone, own));
        let opened = others.map(|clone| clones::open(clone));
        for clone in opened.filter_map(|clone| narrator.or_warn(clone)) {
            let of_clone = of_repository(&clone, &probe, narrator);
            statuses.extend(narrator.or_warn(of_clone).unwrap_or_default());
        }
    }
    mark_duplicates(&mut statuses);
    Ok(statuses)
}

fn of_repository(
    repository: &Repository,
    probe: &Probe<'_>,
    narrator: &Narrator,
) -> Result<Vec<Status>> {
    let mut statuses = Vec::new();
    for entry in in_order(repository.worktrees()?) {
        if let Place::Unreadable(error) = &entry.place {
            let path = entry.git_dir.join("gitdir");
            narrator.warn(Error::at("read", &path, error));
        }
        let is_known = entry.root().is_some() || entry.is_main;
        let status = look(entry, repository, probe, narrator)?;
        // An entry that says nothing and reserves nothing is being made, or is none.
        if is_known || status.reservation.is_some() {
            statuses.push(status);
        }
    }
    Ok(statuses)
}

/// The main worktree first, the others by their ids.
pub fn in_order(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.sort_by(|one, other| one.rank().cmp(&other.rank()));
    entries
}

fn look(
    entry: Entry,
    repository: &Repository,
    probe: &Probe<'_>,
    narrator: &Narrator,
) -> Result<Status> {
    let worktree = Worktree::of(&entry, &repository.common_dir);
    // What is wrong with one worktree must not hide the others.
    let is_in_place = worktree.as_ref().map(Worktree::is_in_place).transpose();
    let is_gone = matches!(is_in_place, Ok(Some(false)));
    let state = match (&worktree, is_in_place) {
        (Some(worktree), Ok(Some(true))) => reserve::look(repository, worktree),
        (_, Err(error)) => Err(error),
        _ => Ok(State::Missing),
    };
    let state = state.unwrap_or_else(|error| {
        narrator.warn(&error);
        State::Unreadable(error.to_string())
    });
    let reservation = if let State::Own(own) = &state {
        Some(own.clone())
    } else {
        let record = record::Place::of_entry(&entry, &repository.common_dir).read()?;
        let record = record.record(entry.id().as_deref());
        record.map(|record| record.reservation)
    };
    let mut listening = Vec::new();
    for (service, port) in reservation.iter().flat_map(|own| &own.bundle.ports) {
        if probe.is_taken(*port)? {
            listening.push(service.clone());
        }
    }
    Ok(Status {
        repository: repository.common_dir.clone(),
        branch: branch_of(&entry)?,
        entry,
        is_gone,
        state,
        is_duplicate: false,
        reservation,
        listening,
    })
}

/// The branch that HEAD names.
fn branch_of(entry: &Entry) -> Result<Option<String>> {
    const LIMIT: usize = 8 * 1024;
    let path = entry.git_dir.join("HEAD");
    let found = untrusted::read(&path, LIMIT).could_not("read", &path)?;
    let PlainFile::Read { bytes, .. } = found else {
        return Ok(None);
    };
    let head = String::from_utf8_lossy(&bytes);
    Ok(match head.trim_end().strip_prefix("ref: refs/heads/") {
        // What git writes there where the real HEAD is in a reftable.
        Some(".invalid") => entry.root().and_then(branch_by_git),
        branch => branch.map(str::to_owned),
    })
}

/// The branch of the worktree at `root`, by git itself: libgit2 cannot read a reftable.
fn branch_by_git(root: &Path) -> Option<String> {
    let branch = command::ask(root, &["symbolic-ref", "--quiet", "--short", "HEAD"]).ok()?;
    let branch = String::from_utf8_lossy(&branch).trim_end().to_owned();
    (!branch.is_empty()).then_some(branch)
}

/// Marks those that are `ok` and name a port of another one that is, or in the same repository its
/// slot.
fn mark_duplicates(statuses: &mut [Status]) {
    let own = |status: &Status| match &status.state {
        State::Own(own) => Some(own.bundle.clone()),
        _ => None,
    };
    let mut ports: BTreeMap<_, usize> = BTreeMap::new();
    let mut slots: BTreeMap<_, usize> = BTreeMap::new();
    let distinct = |bundle: &Bundle| -> BTreeSet<Port> {
        bundle.ports.iter().map(|(_, port)| *port).collect()
    };
    for status in statuses.iter() {
        let Some(bundle) = own(status) else { continue };
        for port in distinct(&bundle) {
            *ports.entry(port).or_default() += 1;
        }
        if let Some(slot) = bundle.slot {
            *slots.entry((status.repository.clone(), slot)).or_default() += 1;
        }
    }
    for status in statuses {
        let Some(bundle) = own(status) else { continue };
        let shares_port = distinct(&bundle).iter().any(|port| ports[port] > 1);
        let shares_slot = bundle
            .slot
            .is_some_and(|slot| slots[&(status.repository.clone(), slot)] > 1);
        status.is_duplicate = shares_port || shares_slot;
    }
}
