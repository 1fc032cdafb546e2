//! What `--list` shows: every worktree as it is now. Nothing is chosen from it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::rc::Rc;

use crate::allocate::probe::Probe;
use crate::config::file as config_file;
use crate::error::{ErrorKind, Result};
use crate::git::clones;
use crate::git::entries::{Entry, Place};
use crate::git::repository::Repository;
use crate::git::worktree::Worktree;
use crate::ports::{Bundle, ServiceName, Slot};
use crate::reserve;
use crate::session::Session;
use crate::state::port_file::FileState;
use crate::state::record::Recorded;
use crate::state::reservation::Reservation;
use crate::writes::assigned::Assigned;
use crate::writes::files::Occasion;

/// A worktree and what it has reserved.
pub struct Status {
    pub entry: Entry,
    /// The branch that is checked out; `None` if HEAD is detached or cannot be read.
    pub branch: Option<String>,
    /// The word for its state.
    pub state: &'static str,
    /// Whether its port file is its own.
    is_own: bool,
    /// What its port file reserves or, if that is not its own, its record.
    pub reservation: Option<Reservation>,
    /// The services on whose port something listens.
    pub listening: Vec<ServiceName>,
}

impl Status {
    /// The slot and the ports that are reserved for it.
    pub fn bundle(&self) -> Option<&Bundle> {
        self.reservation.as_ref().map(|reserved| &reserved.bundle)
    }
}

/// The worktrees of the repository or, with `all_clones`, of all clones on the user's list, in the order
/// of their slots.
pub fn of_all(repository: &Repository, all_clones: bool, session: &Session) -> Result<Vec<Status>> {
    let probe = Probe::new(&session.narrator);
    let own = &repository.common_dir;
    let mut statuses = of_repository(repository, &probe, session)?;
    let clones = all_clones.then(|| clones::others(own)).transpose()?;
    for clone in clones.into_iter().flat_map(|(others, _)| others) {
        let of_clone =
            clones::open(&clone, own).and_then(|clone| of_repository(&clone, &probe, session));
        statuses.extend(session.narrator.tolerate(of_clone)?.unwrap_or_default());
    }
    // What no other worktree may have: a port and, in one repository, a slot.
    let mut holders: BTreeMap<(Option<Rc<Path>>, u32), BTreeSet<usize>> = BTreeMap::new();
    for (index, status) in statuses.iter().enumerate() {
        let Some(own) = status.bundle().filter(|_| status.is_own) else {
            continue;
        };
        let slot = (Some(Rc::clone(&status.entry.common_dir)), own.slot.0);
        holders.entry(slot).or_default().insert(index);
        for (_, port) in &own.ports {
            let port = (None, u32::from(port.number()));
            holders.entry(port).or_default().insert(index);
        }
    }
    let shared = holders.into_values().filter(|holders| holders.len() > 1);
    for index in shared.flatten().collect::<BTreeSet<_>>() {
        statuses[index].state = "duplicate";
    }
    Ok(statuses)
}

fn of_repository(
    repository: &Repository,
    probe: &Probe<'_>,
    session: &Session,
) -> Result<Vec<Status>> {
    let mut statuses = Vec::new();
    for entry in repository.sorted_worktrees()? {
        if let Place::Unreadable(error) = &entry.place {
            session.narrator.warn(error);
        }
        let status = look(entry, repository, probe, session)?;
        // One without a root or ports is being made, or is no worktree at all.
        let is_known = status.entry.root().is_some() || status.entry.is_main();
        if is_known || status.reservation.is_some() {
            statuses.push(status);
        }
    }
    statuses.sort_by_key(|status| {
        // The main worktree has slot 0 by right.
        let by_right = status.entry.is_main().then_some(Slot::MAIN);
        let slot = status.bundle().map(|bundle| bundle.slot).or(by_right);
        (slot.is_none(), slot)
    });
    Ok(statuses)
}

fn look(
    entry: Entry,
    repository: &Repository,
    probe: &Probe<'_>,
    session: &Session,
) -> Result<Status> {
    // An error in one worktree must not hide the others.
    let found = session
        .narrator
        .tolerate(state(&entry, repository, session))?;
    let (state, own) = found.unwrap_or(("unreadable", None));
    let is_own = own.is_some();
    let reservation = match own {
        Some(own) => Some(own),
        None => Recorded::of(&entry)?.record().map(|it| it.reservation),
    };
    let mut listening = Vec::new();
    for (service, port) in reservation.iter().flat_map(|it| &it.bundle.ports) {
        if !probe.is_free(*port)? {
            listening.push(service.clone());
        }
    }
    Ok(Status {
        branch: entry.branch()?,
        entry,
        state,
        is_own,
        reservation,
        listening,
    })
}

/// The word for the state of a worktree, and what its own port file reserves.
fn state(
    entry: &Entry,
    repository: &Repository,
    session: &Session,
) -> Result<(&'static str, Option<Reservation>)> {
    let worktree = match Worktree::in_place(entry)? {
        Some(worktree) => worktree,
        None if entry.root().is_none() => return Ok((FileState::Missing.word(), None)),
        _ => return Ok(("gone", None)),
    };
    let state = worktree.port_file()?;
    let word = state.word();
    let FileState::Own(own) = state else {
        return Ok((word, None));
    };
    let is_current = match config_file::of(&worktree, repository, Some(&own.bundle)) {
        Ok(in_force) => {
            let assigned = Assigned::of_own(&worktree, in_force, &own);
            reserve::is_up_to_date(&worktree, &assigned, &own, Occasion::Assign, session)?
        }
        Err(error) if error.kind() == ErrorKind::Shortage => return Err(error),
        // `--check` says what is wrong with it.
        Err(_) => true,
    };
    Ok((if is_current { word } else { "outdated" }, Some(own)))
}
