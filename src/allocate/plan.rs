//! The plan for a worktree: which bundle it is to have, and where that comes from.

use std::fmt::Write as _;

use crate::allocate::choose::Choice;
use crate::allocate::probe::Probe;
use crate::allocate::reservations::Others;
use crate::error::{Error, Result, quoted, shell_word};
use crate::git::worktree::Worktree;
use crate::ports::{Bundle, ServiceName};
use crate::state::port_file::State;
use crate::state::record;

/// What a worktree wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// A bundle, if it has none: the hook's.
    Have,
    /// That, and everything written from it up to date: a call by hand's.
    BeCurrent,
    /// A bundle chosen as though it had none.
    Reallocate,
}

/// The bundle that a worktree is to have.
#[derive(Debug)]
pub struct Plan {
    /// The bundle.
    pub bundle: Bundle,
    /// Where it comes from.
    pub source: Source,
}

/// Where a bundle comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The worktree's own port file.
    Own,
    /// The worktree's record, what it had before.
    Record,
    /// The lowest free slot.
    Chosen,
}

/// Decides which bundle `worktree` is to have.
///
/// # Errors
/// No slot is left, or the config has no service of its bundle.
pub fn plan(
    worktree: &Worktree,
    before: &State,
    record: &record::Found,
    choice: &Choice<'_>,
    probe: &Probe<'_>,
    aim: Aim,
) -> Result<Plan> {
    if aim != Aim::Reallocate {
        if let State::Own(own) = before {
            let bundle = choice.update(&own.bundle, |port| probe.is_free(port))?;
            if bundle.ports.is_empty() {
                return Err(cannot_join(worktree, &bundle, choice));
            }
            return Ok(Plan {
                bundle,
                source: Source::Own,
            });
        }
        // Not probed: its stack may be on its ports.
        if let Some(record) = record.record(worktree.id.as_deref())
            && choice.is_clear(&record.reservation.bundle)
        {
            let bundle = choice.update(&record.reservation.bundle, |port| probe.is_free(port))?;
            if !bundle.ports.is_empty() {
                return Ok(Plan {
                    bundle,
                    source: Source::Record,
                });
            }
        }
    }
    Ok(Plan {
        bundle: choose(choice, probe)?,
        source: Source::Chosen,
    })
}

/// The first candidate that passes the probe.
fn choose(choice: &Choice<'_>, probe: &Probe<'_>) -> Result<Bundle> {
    let mut candidates = choice.candidates();
    let mut in_use = 0;
    for bundle in candidates.by_ref() {
        if choice.is_by_right(bundle.slot) || probe.are_free(&bundle)? {
            return Ok(bundle);
        }
        in_use += 1;
    }
    let mut crowded = String::new();
    for (holder, ports) in choice.others().crowded() {
        let _ = write!(crowded, "; {} names {ports} ports", quoted(&holder.path()));
    }
    Err(Error::new(format!(
        "no free slot: {} tried, {} reserved, {in_use} in use{crowded}",
        candidates.tried, candidates.reserved
    ))
    .remedy("a smaller `step` in the config makes more slots"))
}

impl Plan {
    /// A warning about the services of the config that have no port in the bundle.
    pub fn left_out(&self, worktree: &Worktree, choice: &Choice<'_>) -> Option<Error> {
        let mut missing = choice.missing(&self.bundle);
        missing
            .next()
            .is_some()
            .then(|| cannot_join(worktree, &self.bundle, choice))
    }

    /// How many worktrees that are gone, but registered still, have a slot below the chosen one.
    pub fn gone_below(&self, others: &Others<'_>) -> usize {
        match self.bundle.slot {
            Some(slot) if self.source == Source::Chosen => others.gone_below(slot),
            _ => 0,
        }
    }
}

/// Services that are new in the config, and whose ports in the slot of `bundle` are not to be had.
fn cannot_join(worktree: &Worktree, bundle: &Bundle, choice: &Choice<'_>) -> Error {
    let missing: Vec<&str> = choice.missing(bundle).map(ServiceName::as_str).collect();
    Error::new(format!(
        "no port for {} in {}: it is not free in the slot of the other ports, or these are not of one slot",
        missing.join(", "),
        quoted(&worktree.root)
    ))
    .remedy(format!(
        "run `worktree-ports-hook -C {} --reallocate` to reassign all its ports",
        shell_word(&worktree.root)
    ))
}
