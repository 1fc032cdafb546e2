//! The plan for a worktree: which bundle it gets, and where that comes from.

use std::fmt::Write as _;

use crate::allocate::adopt;
use crate::allocate::choose::Choice;
use crate::allocate::probe::Probe;
use crate::error::{Error, Result, error, quoted};
use crate::git::worktree::Worktree;
use crate::ports::{Bundle, ServiceName};
use crate::state::port_file::FileState;
use crate::state::record::Recorded;
use crate::writes::files::Occasion;

/// What is requested for a worktree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// By the hook in a worktree without ports: a bundle.
    Allocate,
    /// By the hook in a worktree with ports: its files are brought up to date.
    Update,
    /// By hand: both.
    Ensure,
    /// By hand: a bundle chosen anew.
    Reallocate,
    /// By hand: the ports in another tool's file.
    Adopt,
}

impl Request {
    /// Why files are written for it.
    pub fn occasion(self) -> Occasion {
        match self {
            Request::Update => Occasion::Update,
            _ => Occasion::Assign,
        }
    }
}

/// The bundle that a worktree gets.
#[derive(Debug)]
pub struct Plan {
    pub bundle: Bundle,
    /// If it was chosen anew: how many worktrees that are gone hold a lower slot.
    pub gone_below: usize,
    /// A warning about services of the config that have no port in it.
    pub left_out: Option<Error>,
}

/// Decides which bundle `worktree` gets.
///
/// # Errors
/// No slot is left, no service of the config can have a port, or a file to be adopted names ports of
/// others.
pub fn plan(
    worktree: &Worktree,
    before: &FileState,
    recorded: &Recorded,
    choice: &Choice<'_>,
    probe: &Probe<'_>,
    request: Request,
) -> Result<Plan> {
    let chosen = || -> Result<(Bundle, usize)> {
        let bundle = choose(choice, probe)?;
        let gone_below = choice.others.gone_below(bundle.slot);
        Ok((bundle, gone_below))
    };
    let (bundle, gone_below) = match (request, before) {
        (Request::Adopt, FileState::Foreign(bytes)) => {
            (adopt::bundle(worktree, bytes, choice, probe)?, 0)
        }
        (Request::Reallocate, _) => chosen()?,
        (_, FileState::Own(own)) => (choice.update(&own.bundle), 0),
        _ => {
            // Not probed, because its own servers may be running.
            let record = recorded.record().map(|record| record.reservation.bundle);
            let record = record.filter(|bundle| choice.is_clear(bundle));
            match record.map(|bundle| choice.update(&bundle)) {
                Some(bundle) if !bundle.ports.is_empty() => (bundle, 0),
                _ => chosen()?,
            }
        }
    };
    match left_out(worktree, &bundle, choice) {
        Some(error) if bundle.ports.is_empty() => Err(error),
        left_out => Ok(Plan {
            bundle,
            gone_below,
            left_out,
        }),
    }
}

/// The first candidate that passes the probe.
fn choose(choice: &Choice<'_>, probe: &Probe<'_>) -> Result<Bundle> {
    let (mut tried, mut reserved) = (0, 0);
    for (slot, ports) in choice.slots() {
        tried += 1;
        if !choice.are_clear(slot, ports.into_iter()) {
            reserved += 1;
        } else if let Some(bundle) = choice.config.bundle(slot)
            && (choice.is_by_right(slot) || probe.are_free(&bundle)?)
        {
            return Ok(bundle);
        }
    }
    let in_use = tried - reserved;
    let mut crowded = String::new();
    for holder in choice.others.crowded() {
        let (path, ports) = (quoted(&holder.path()), holder.ports);
        let _ = write!(crowded, "; {path} names {ports} ports");
    }
    let end = choice.end_of_slots();
    Err(error!(
        "no free slot: {tried} tried, {reserved} reserved, {in_use} in use{crowded}; {end}"
    )
    .remedy(
        "set a smaller `step` or lower base ports in the config, stop what listens, or remove worktrees",
    ))
}

/// The error for services of the config that have no port in `bundle`, if there are any.
fn left_out(worktree: &Worktree, bundle: &Bundle, choice: &Choice<'_>) -> Option<Error> {
    let missing: Vec<&str> = choice.missing(bundle).map(ServiceName::as_str).collect();
    if missing.is_empty() {
        return None;
    }
    let (missing, slot) = (missing.join(", "), bundle.slot);
    let (path, by_hand) = (quoted(worktree.path()), worktree.by_hand());
    let error = error!(
        "no port for {missing} in {path}: slot {slot} has none that is free, low enough and allowed by browsers, or the worktree's other ports are not those of that slot"
    );
    Some(error.remedy(format!(
        "run `{by_hand} --reallocate` to choose all its ports anew"
    )))
}

#[cfg(test)]
mod tests;
