//! What `--list` and `--check` show: every worktree as it is now. Nothing is chosen from it.

use std::collections::BTreeMap;

use crate::allocate::probe::Probe;
use crate::error::{Error, Result, quoted};
use crate::files::untrusted::{self, PlainFile};
use crate::git::entries::{self, Place, Worktree};
use crate::git::repository::{self, Found};
use crate::ports::{Bundle, Port};
use crate::state::port_file::{self, Own, State};

/// A worktree and its port file.
pub struct Surveyed {
    /// Which worktree.
    pub worktree: Worktree,
    /// The branch that is checked out; `None` where HEAD is detached or cannot be read.
    pub branch: Option<String>,
    /// Whether its directory is there and leads back to its entry.
    pub is_in_place: bool,
    /// Whose the port file is.
    pub condition: Condition,
    /// What its own port file reserves.
    pub own: Option<Own>,
    /// The services on whose port something listens.
    pub listening: Vec<String>,
}

impl Surveyed {
    /// The bundle of its own.
    pub fn bundle(&self) -> Option<&Bundle> {
        self.own.as_ref().map(|own| &own.bundle)
    }
}

/// Whose the port file in a worktree is, as `--list` says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The worktree's own.
    Ok,
    /// There is no file.
    None,
    /// Another worktree's.
    Copied,
    /// Nobody's: broken.
    Damaged,
    /// Another tool's.
    Foreign,
    /// Every worktree's: git tracks it.
    Tracked,
    /// The worktree's own, with a port that another worktree's own names too.
    Duplicate,
}

impl Condition {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Condition::Ok => "ok",
            Condition::None => "none",
            Condition::Copied => "copied",
            Condition::Damaged => "damaged",
            Condition::Foreign => "foreign",
            Condition::Tracked => "tracked",
            Condition::Duplicate => "duplicate",
        }
    }
}

/// Looks at every worktree of the repository, the main one first, the others by their ids.
pub fn survey(found: &Found, narrate: &dyn Fn(&str)) -> Result<Vec<Surveyed>> {
    let probe = Probe::new(narrate);
    let mut surveyed = Vec::new();
    for worktree in worktrees_of(found, narrate)? {
        surveyed.push(look_at(worktree, &probe, narrate)?);
    }
    mark_duplicates(&mut surveyed);
    Ok(surveyed)
}

/// Every worktree whose place is known, whether something is there or not.
pub fn worktrees_of(found: &Found, narrate: &dyn Fn(&str)) -> Result<Vec<Worktree>> {
    let repository = &found.repository;
    let main = found.worktree.clone().filter(Worktree::is_main);
    let main = main.or_else(|| {
        repository
            .main
            .root()
            .map(|root| repository.main_worktree(root))
    });
    let mut linked = Vec::new();
    for entry in entries::list(&repository.common_dir)? {
        match entry.place {
            Place::At(root) => linked.push(repository.linked_worktree(root, entry.git_dir)),
            Place::Unsettled | Place::BeingWritten => {}
            Place::Unreadable(error) => {
                narrate(&format!(
                    "warning: {} cannot be read: {error}",
                    quoted(&entry.git_dir.join("gitdir"))
                ));
            }
        }
    }
    linked.sort_by(|one, other| one.git_dir.cmp(&other.git_dir));
    Ok(main.into_iter().chain(linked).collect())
}

fn look_at(worktree: Worktree, probe: &Probe<'_>, narrate: &dyn Fn(&str)) -> Result<Surveyed> {
    let found = port_file::read(&worktree.root)?;
    // What is wrong with one worktree must not hide the others.
    let is_in_place = worktree.is_in_place().unwrap_or_else(|error| {
        narrate(&format!("warning: {error}"));
        false
    });
    let tracks = || {
        worktree.tracks(port_file::NAME).unwrap_or_else(|error| {
            narrate(&format!("warning: {error}"));
            false
        })
    };
    let is_tracked = is_in_place && !matches!(found, PlainFile::Missing) && tracks();
    let (condition, own) = match port_file::state(&found, worktree.id.as_deref()) {
        _ if is_tracked => (Condition::Tracked, None),
        State::Ok(own) => (Condition::Ok, Some(own)),
        State::Missing => (Condition::None, None),
        State::Copied => (Condition::Copied, None),
        State::Damaged => (Condition::Damaged, None),
        State::Foreign => (Condition::Foreign, None),
    };
    let mut listening = Vec::new();
    for (service, port) in own.iter().flat_map(|own| &own.bundle.ports) {
        if !probe.is_free(*port)? {
            listening.push(service.clone());
        }
    }
    Ok(Surveyed {
        branch: branch_of(&worktree)?,
        is_in_place,
        condition,
        own,
        listening,
        worktree,
    })
}

/// The branch that HEAD names.
fn branch_of(worktree: &Worktree) -> Result<Option<String>> {
    const LIMIT: usize = 8 * 1024;
    let path = worktree.git_dir.join("HEAD");
    let found = untrusted::read(&path, LIMIT).map_err(|error| Error::at("read", &path, error))?;
    let PlainFile::Read { bytes, .. } = found else {
        return Ok(None);
    };
    let head = String::from_utf8_lossy(&bytes);
    Ok(match head.trim_end().strip_prefix("ref: refs/heads/") {
        // What git writes there where the real HEAD is in a reftable.
        Some(".invalid") => repository::branch_by_git(&worktree.root),
        branch => branch.map(str::to_owned),
    })
}

fn mark_duplicates(surveyed: &mut [Surveyed]) {
    let mut named: BTreeMap<Port, usize> = BTreeMap::new();
    let ports_of = |one: &Surveyed| -> Vec<Port> {
        let mut ports: Vec<Port> = one
            .bundle()
            .into_iter()
            .flat_map(|bundle| &bundle.ports)
            .map(|(_, port)| *port)
            .collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    };
    for port in surveyed.iter().flat_map(ports_of) {
        *named.entry(port).or_default() += 1;
    }
    for one in surveyed {
        if ports_of(one).iter().any(|port| named[port] > 1) {
            one.condition = Condition::Duplicate;
        }
    }
}
