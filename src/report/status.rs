//! What `--list` shows: every worktree as it is now. Nothing is chosen from it.

use std::path::{Path, PathBuf};
use std::ptr;

use crate::allocate::probe::Probe;
use crate::config::file as config_file;
use crate::error::{Error, ErrorKind, Result};
use crate::files::dir::{Dir, PlainFile, is_same_directory};
use crate::git::clones;
use crate::git::command::ask;
use crate::git::entries::Place;
use crate::git::repository::{Found, Repository};
use crate::git::worktree::Entry;
use crate::ports::{Bundle, ServiceName};
use crate::reserve;
use crate::session::Session;
use crate::state::port_file::FileState;
use crate::state::record::Recorded;
use crate::state::reservation::Reservation;
use crate::writes::assigned::Assigned;
use crate::writes::files::Occasion;

/// A worktree and what it has reserved.
pub struct Status {
    /// The common dir of its repository.
    pub repository: PathBuf,
    pub entry: Entry,
    /// The branch that is checked out; `None` if HEAD is detached or cannot be read.
    pub branch: Option<String>,
    pub condition: Condition,
    /// What its port file reserves or, if that is not its own, its record.
    pub reservation: Option<Reservation>,
    /// The services on whose port something listens.
    pub listening: Vec<ServiceName>,
}

/// The state of a worktree, in order of urgency.
pub enum Condition {
    /// Nothing at its root leads back to its entry.
    Gone,
    /// Another worktree's own file names one of its ports or its slot too.
    Duplicate,
    /// Its port file is its own, but something is not what the config says now.
    Outdated(Reservation),
    File(FileState),
}

impl Condition {
    /// The word for it.
    pub fn word(&self) -> &'static str {
        match self {
            Condition::Gone => "gone",
            Condition::Duplicate => "duplicate",
            Condition::Outdated(_) => "outdated",
            Condition::File(state) => state.word(),
        }
    }

    /// What the worktree's own port file reserves.
    fn own(&self) -> Option<&Reservation> {
        match self {
            Condition::Outdated(own) | Condition::File(FileState::Own(own)) => Some(own),
            _ => None,
        }
    }
}

impl Status {
    /// The slot and the ports that are reserved for it.
    pub fn bundle(&self) -> Option<&Bundle> {
        self.reservation.as_ref().map(|reserved| &reserved.bundle)
    }
}

/// Looks at every worktree of the repository, or of all clones on the user's list: in the order of
/// their slots.
pub fn of_all(found: &Found, all_clones: bool, session: &Session) -> Result<Vec<Status>> {
    let probe = Probe::new(&session.narrator);
    let mut statuses = of_repository(&found.repository, &probe, session)?;
    if all_clones {
        let own = &found.repository.common_dir;
        for clone in clones::listed(own)? {
            if is_same_directory(&clone, own) {
                continue;
            }
            let opened = session.narrator.tolerate(clones::open(&clone, own))?;
            if let Some(clone) = opened {
                let of_clone = of_repository(&clone, &probe, session);
                statuses.extend(session.narrator.or_warn(of_clone).unwrap_or_default());
            }
        }
    }
    mark_duplicates(&mut statuses);
    Ok(statuses)
}

fn of_repository(
    repository: &Repository,
    probe: &Probe<'_>,
    session: &Session,
) -> Result<Vec<Status>> {
    let mut statuses = Vec::new();
    for entry in repository.worktrees()? {
        if let Place::Unreadable(error) = &entry.place {
            session.narrator.warn(error);
        }
        let is_known = entry.root().is_some() || entry.is_main();
        let status = look(entry, repository, probe, session)?;
        // An entry that says nothing and reserves nothing is being made, or is none.
        if is_known || status.reservation.is_some() {
            statuses.push(status);
        }
    }
    let slot = |status: &Status| match status.bundle() {
        Some(bundle) => u64::from(bundle.slot.0),
        // The main worktree has slot 0 by right.
        None if status.entry.is_main() => 0,
        None => u64::MAX,
    };
    statuses.sort_by(|one, other| {
        (slot(one), one.entry.rank()).cmp(&(slot(other), other.entry.rank()))
    });
    Ok(statuses)
}

fn look(
    entry: Entry,
    repository: &Repository,
    probe: &Probe<'_>,
    session: &Session,
) -> Result<Status> {
    // What is wrong with one worktree must not hide the others.
    let condition = match condition(&entry, repository, session) {
        Err(error) if error.kind() == ErrorKind::Shortage => return Err(error),
        Err(error) => {
            session.narrator.warn(&error);
            Condition::File(FileState::Unreadable(error.to_string()))
        }
        Ok(found) => found,
    };
    let reservation = match condition.own() {
        Some(own) => Some(own.clone()),
        None => Recorded::of(&entry)?.record().map(|it| it.reservation),
    };
    let mut listening = Vec::new();
    for (service, port) in reservation.iter().flat_map(|own| &own.bundle.ports) {
        if !probe.is_free(*port)? {
            listening.push(service.clone());
        }
    }
    Ok(Status {
        repository: repository.common_dir.clone(),
        branch: branch_of(&entry)?,
        entry,
        condition,
        reservation,
        listening,
    })
}

fn condition(entry: &Entry, repository: &Repository, session: &Session) -> Result<Condition> {
    let worktree = match entry.open()? {
        Some(worktree) if worktree.is_in_place()? => worktree,
        None if entry.root().is_none() => return Ok(Condition::File(FileState::Missing)),
        _ => return Ok(Condition::Gone),
    };
    let state = worktree.port_file()?;
    let FileState::Own(own) = &state else {
        return Ok(Condition::File(state));
    };
    let in_force = match config_file::of(&worktree, repository) {
        // `--check` says what is wrong with it.
        Err(error) if error.kind() != ErrorKind::Shortage => return Ok(Condition::File(state)),
        in_force => in_force?,
    };
    let assigned = Assigned::new(&worktree, in_force, own.bundle.clone(), Some(own));
    let is_current = assigned.is_in(own)
        && reserve::is_written(&worktree, &assigned, Occasion::Assign, session)?;
    Ok(match state {
        FileState::Own(own) if !is_current => Condition::Outdated(own),
        state => Condition::File(state),
    })
}

/// The branch that HEAD names.
fn branch_of(entry: &Entry) -> Result<Option<String>> {
    const LIMIT: usize = 8 * 1024;
    let path = entry.git_dir.join("HEAD");
    let Ok(git_dir) = Dir::open(&entry.git_dir) else {
        return Ok(None);
    };
    let found = git_dir
        .read("HEAD", LIMIT)
        .map_err(Error::could_not("read", &path))?;
    let PlainFile::Read(bytes) = found else {
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
    let branch = ask(root, &["symbolic-ref", "--quiet", "--short", "HEAD"]).ok()?;
    let branch = String::from_utf8_lossy(&branch).trim_end().to_owned();
    (!branch.is_empty()).then_some(branch)
}

/// Marks those whose own file names a port of another one's or, in the same repository, its slot.
fn mark_duplicates(statuses: &mut [Status]) {
    let shares = |one: &Status, other: &Status| {
        let (Some(own), Some(others)) = (one.condition.own(), other.condition.own()) else {
            return false;
        };
        let (own, others) = (&own.bundle, &others.bundle);
        let mut ports = own.ports.iter();
        ports.any(|(_, port)| others.service(*port).is_some())
            || own.slot == others.slot && one.repository == other.repository
    };
    let is_duplicate = |one: &Status| {
        let mut others = statuses.iter().filter(|other| !ptr::eq(*other, one));
        others.any(|other| shares(one, other))
    };
    let duplicates: Vec<bool> = statuses.iter().map(is_duplicate).collect();
    for (status, is_duplicate) in statuses.iter_mut().zip(duplicates) {
        if is_duplicate {
            status.condition = Condition::Duplicate;
        }
    }
}
