//! The transaction: take the lock, gather what is reserved, choose, write. Read this file first.

use std::fmt::Write;

use crate::allocate::choose::{self, Candidates};
use crate::allocate::lock::{self, Manner};
use crate::allocate::probe::Probe;
use crate::allocate::reservations::{self, Reservations};
use crate::config::Config;
use crate::error::{Error, Result, quoted};
use crate::files::untrusted::PlainFile;
use crate::git::entries::Worktree;
use crate::git::exclude;
use crate::git::repository::{Main, Repository};
use crate::ports::{Bundle, Slot};
use crate::state::port_file::{self, Content, Own, State};

/// What a worktree asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// A bundle, where it has none of its own.
    Any,
    /// That, and one of its own brought up to date with the config.
    Current,
    /// A bundle chosen as though it had no port file.
    Anew,
}

/// What became of a demand.
#[derive(Debug)]
pub enum Outcome {
    /// The worktree has had its bundle already.
    Kept(Reservation),
    /// A port file was written, in the place of what is named.
    Reserved(Reservation, Replaced),
    /// Nothing was done: another tool's file stands there.
    Foreign,
    /// Nothing was done: git tracks the port file.
    Tracked,
}

/// What stood where a port file was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// Nothing.
    Nothing,
    /// This worktree's own file.
    Own,
    /// Another worktree's, copied here.
    Copied,
    /// Something broken.
    Damaged,
    /// Another tool's.
    Foreign,
}

/// What a worktree has reserved.
#[derive(Debug)]
pub struct Reservation {
    /// Its slot and ports.
    pub bundle: Bundle,
    /// URL name and URL.
    pub urls: Vec<(String, String)>,
}

/// Makes sure that `worktree` has a current bundle. One that needs no change is answered without
/// the lock.
pub fn ensure(
    repository: &Repository,
    worktree: &Worktree,
    manner: &Manner<'_>,
) -> Result<Outcome> {
    let found = port_file::read_own(&worktree.root)?;
    if let State::Ok(own) = port_file::state(&found, worktree.id.as_deref())
        && !worktree.tracks(port_file::NAME)?
    {
        let config = Config::of(&worktree.root, repository.main.root())?;
        if let Some(reservation) = if_current(&own, &config) {
            return Ok(Outcome::Kept(reservation));
        }
    }
    reserve(repository, worktree, Demand::Current, manner)
}

/// Makes sure that `worktree` has a bundle. One of its own is left as it is.
pub fn fill(repository: &Repository, worktree: &Worktree, manner: &Manner<'_>) -> Result<Outcome> {
    let found = port_file::read_own(&worktree.root)?;
    if let State::Ok(own) = port_file::state(&found, worktree.id.as_deref())
        && !worktree.tracks(port_file::NAME)?
    {
        // Its ports are its own whatever the config says.
        let urls = Config::of(&worktree.root, repository.main.root())
            .inspect_err(|error| (manner.narrate)(&format!("warning: {error}")))
            .map_or_else(|_| Vec::new(), |config| config.urls(&own.bundle));
        return Ok(Outcome::Kept(Reservation {
            bundle: own.bundle,
            urls,
        }));
    }
    reserve(repository, worktree, Demand::Any, manner)
}

/// Takes the lock and looks, lists and reads under it; nothing that was read before decides.
pub fn reserve(
    repository: &Repository,
    worktree: &Worktree,
    demand: Demand,
    manner: &Manner<'_>,
) -> Result<Outcome> {
    let held = lock::acquire(&repository.common_dir, manner)?;

    let found = match demand {
        Demand::Anew => port_file::read(&worktree.root)?,
        Demand::Any | Demand::Current => port_file::read_own(&worktree.root)?,
    };
    if !matches!(found, PlainFile::Missing) && worktree.tracks(port_file::NAME)? {
        return Ok(Outcome::Tracked);
    }
    let state = port_file::state(&found, worktree.id.as_deref());
    if state == State::Foreign && demand != Demand::Anew {
        return Ok(Outcome::Foreign);
    }

    let config = Config::of(&worktree.root, repository.main.root())?;
    if let State::Ok(own) = &state
        && let Some(reservation) = if_enough(own, &config, demand)
    {
        return Ok(Outcome::Kept(reservation));
    }

    let reserved = reservations::gather(&held, repository, worktree, &config, manner.narrate)?;
    let probe = Probe::new(manner.narrate);
    let bundle = match &state {
        State::Ok(own) if demand != Demand::Anew => {
            follow(own, &config, &reserved, worktree, &probe, manner)?
        }
        _ => choose(&config, &reserved, worktree, &repository.main, &probe)?,
    };
    let urls = config.urls(&bundle);
    if let State::Ok(own) = &state
        && demand != Demand::Anew
        && (&bundle, &urls) == (&own.bundle, &own.urls)
    {
        return Ok(Outcome::Kept(Reservation { bundle, urls }));
    }

    if let Err(error) = exclude::keep_out_of_sight(&held, worktree) {
        (manner.narrate)(&format!("warning: {error}"));
    }
    let content = Content {
        worktree: worktree.id.as_deref(),
        bundle: &bundle,
        urls: &urls,
    };
    port_file::write(&held, &worktree.root, &content)?;

    let replaced = match state {
        State::Missing => Replaced::Nothing,
        State::Ok(_) => Replaced::Own,
        State::Copied => Replaced::Copied,
        State::Damaged => Replaced::Damaged,
        State::Foreign => Replaced::Foreign,
    };
    Ok(Outcome::Reserved(Reservation { bundle, urls }, replaced))
}

/// What `own` reserves, where `demand` asks for no more.
fn if_enough(own: &Own, config: &Config, demand: Demand) -> Option<Reservation> {
    match demand {
        Demand::Any => Some(Reservation {
            bundle: own.bundle.clone(),
            urls: config.urls(&own.bundle),
        }),
        Demand::Current => if_current(own, config),
        Demand::Anew => None,
    }
}

/// What `own` reserves, where its file is as `config` would have it written.
fn if_current(own: &Own, config: &Config) -> Option<Reservation> {
    let urls = config.urls(&own.bundle);
    let services = config.services.iter().map(|service| &service.name);
    let is_current = own.bundle.slot.is_some()
        && services.eq(own.bundle.ports.iter().map(|(service, _)| service))
        && urls == own.urls;
    is_current.then(|| Reservation {
        bundle: own.bundle.clone(),
        urls,
    })
}

/// Chooses the first candidate that passes the probe.
fn choose(
    config: &Config,
    reserved: &Reservations<'_>,
    worktree: &Worktree,
    main: &Main,
    probe: &Probe<'_>,
) -> Result<Bundle> {
    let mut candidates = Candidates::new(config, reserved.ports());
    let mut busy = 0;
    for bundle in candidates.by_ref() {
        if owns_slot(worktree, bundle.slot) {
            return Ok(bundle);
        }
        if worktree.is_main() && main.root() != Some(&worktree.root) {
            return Err(Error::new(format!(
                "slot 0 is taken by another worktree's file, and the main worktree at {} can have no other: \
                 the linked worktrees of a clone with a separate git directory cannot find its file",
                quoted(&worktree.root)
            ))
            .remedy("run `worktree-ports-hook --list` to see by which, and `--reallocate` there"));
        }
        if are_all_free(&bundle, probe)? {
            return Ok(bundle);
        }
        busy += 1;
    }
    Err(none_left(&candidates, busy, reserved))
}

/// Whether `slot` is that worktree's by right: slot 0 is the main worktree's, and what listens on
/// its ports is most likely its own stack.
fn owns_slot(worktree: &Worktree, slot: Option<Slot>) -> bool {
    worktree.is_main() && slot == Some(Slot::MAIN)
}

fn are_all_free(bundle: &Bundle, probe: &Probe<'_>) -> Result<bool> {
    for (_, port) in &bundle.ports {
        if !probe.is_free(*port)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn none_left(candidates: &Candidates<'_>, busy: u32, reserved: &Reservations<'_>) -> Error {
    let mut crowded = String::new();
    for (path, ports) in reserved.crowded() {
        let _ = write!(crowded, ", {} names {ports} ports", quoted(path));
    }
    Error::new(format!(
        "no ports are left: of {} slots, {} have reserved ports{crowded}, and {busy} have busy ones",
        candidates.tried, candidates.taken
    ))
    .remedy("a smaller `step` in the config makes more slots")
}

/// The bundle of `own` as the config has it now; tells of services that it has no port for.
fn follow(
    own: &Own,
    config: &Config,
    reserved: &Reservations<'_>,
    worktree: &Worktree,
    probe: &Probe<'_>,
    manner: &Manner<'_>,
) -> Result<Bundle> {
    let bundle = choose::follow(&own.bundle, config, |slot, port| {
        Ok(!reserved.ports().contains(port)
            && (owns_slot(worktree, Some(slot)) || probe.is_free(port)?))
    })?;
    let services = config.services.iter().map(|service| service.name.as_str());
    let left_out: Vec<&str> = services
        .filter(|service| bundle.port(service).is_none())
        .collect();
    if left_out.is_empty() {
        return Ok(bundle);
    }
    let lack = format!(
        "{} new in the config and cannot join the ports of {}",
        list_with_verb(&left_out),
        quoted(&worktree.root)
    );
    let remedy = "`worktree-ports-hook --reallocate` chooses all of them anew";
    if bundle.ports.is_empty() {
        return Err(Error::new(lack).remedy(remedy));
    }
    (manner.narrate)(&format!("warning: {lack}; {remedy}"));
    Ok(bundle)
}

/// `a is`, `a, b are`
fn list_with_verb(names: &[&str]) -> String {
    let verb = if names.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", names.join(", "))
}
