//! The plan for a worktree: which bundle it gets, and where that comes from.

use crate::allocate::adopt;
use crate::allocate::choose::Choice;
use crate::allocate::probe::Probe;
use crate::error::{Error, Result, error, quoted};
use crate::git::worktree::Worktree;
use crate::ports::{Bundle, Port, ServiceName};
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
    pub source: Source,
}

/// Where a bundle comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The worktree's own port file.
    Own,
    /// The worktree's record, because the port file is not its own.
    Record,
    /// The lowest free slot.
    Chosen,
    /// Another tool's file.
    Adopted,
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
    let (bundle, source) = match (request, before) {
        (Request::Adopt, FileState::Foreign(bytes)) => {
            let bundle = adopt::bundle(worktree, bytes, choice, probe)?;
            (bundle, Source::Adopted)
        }
        (Request::Reallocate, _) => (choose(choice, probe)?, Source::Chosen),
        (_, FileState::Own(own)) => (choice.update(&own.bundle), Source::Own),
        _ => {
            // Not probed, because its own servers may be running.
            let record = recorded.record().map(|record| record.reservation.bundle);
            let record = record.filter(|bundle| choice.is_clear(bundle));
            match record.map(|bundle| choice.update(&bundle)) {
                Some(bundle) if !bundle.ports.is_empty() => (bundle, Source::Record),
                _ => (choose(choice, probe)?, Source::Chosen),
            }
        }
    };
    if bundle.ports.is_empty() {
        return Err(cannot_join(worktree, &bundle, choice));
    }
    Ok(Plan { bundle, source })
}

/// The first candidate that passes the probe.
fn choose(choice: &Choice<'_>, probe: &Probe<'_>) -> Result<Bundle> {
    let (mut tried, mut reserved) = (0, 0);
    for (slot, ports) in choice.slots() {
        tried += 1;
        if !choice.are_clear(slot, ports.into_iter()) {
            reserved += 1;
        } else if let Some(bundle) = choice.config().bundle(slot)
            && (choice.is_by_right(slot) || probe.are_free(&bundle)?)
        {
            return Ok(bundle);
        }
    }
    let in_use = tried - reserved;
    let crowded = choice.others().crowded().map(|(holder, ports)| {
        let path = quoted(&holder.path());
        format!("; {path} names {ports} ports")
    });
    let crowded: String = crowded.collect();
    let end = choice.end_of_slots();
    Err(error!(
        "no free slot: {tried} tried, {reserved} reserved, {in_use} in use{crowded}; {end}"
    )
    .remedy(
        "set a smaller `step` or lower base ports in the config, stop what listens, or remove worktrees",
    ))
}

impl Plan {
    /// A warning about services of the config that have no port in the bundle.
    pub fn left_out(&self, worktree: &Worktree, choice: &Choice<'_>) -> Option<Error> {
        let is_missing = choice.missing(&self.bundle).next().is_some();
        is_missing.then(|| cannot_join(worktree, &self.bundle, choice))
    }

    /// The services that have joined although something listens on their port, which is named too.
    pub fn joined_in_use(
        &self,
        before: &Bundle,
        probe: &Probe<'_>,
    ) -> Result<Vec<&(ServiceName, Port)>> {
        let mut in_use = Vec::new();
        for joined in &self.bundle.ports {
            let (service, port) = joined;
            if before.port(service).is_none() && !probe.is_free(*port)? {
                in_use.push(joined);
            }
        }
        Ok(in_use)
    }

    /// How many worktrees that are gone, but still registered, have a lower slot than the chosen one.
    pub fn gone_below(&self, choice: &Choice<'_>) -> usize {
        match self.source {
            Source::Chosen => choice.others().gone_below(self.bundle.slot),
            Source::Own | Source::Record | Source::Adopted => 0,
        }
    }
}

/// The error for services of the config whose ports in the slot of `bundle` are not available.
fn cannot_join(worktree: &Worktree, bundle: &Bundle, choice: &Choice<'_>) -> Error {
    let missing: Vec<&str> = choice.missing(bundle).map(ServiceName::as_str).collect();
    let (missing, slot) = (missing.join(", "), bundle.slot);
    let (path, by_hand) = (quoted(worktree.path()), worktree.by_hand());
    error!(
        "no port for {missing} in {path}: another worktree has the one of slot {slot}, or the other ports are not those of that slot"
    )
    .remedy(format!("run `{by_hand} --reallocate` to choose all its ports anew"))
}

#[cfg(test)]
mod tests;
