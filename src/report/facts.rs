//! What `--check` looks at, gathered once: what is reserved, under the lock, then without it what lies
//! in each worktree.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::allocate::adopt;
use crate::allocate::choose::Choice;
use crate::allocate::locked::{self, Purpose};
use crate::allocate::plan::{Request, plan};
use crate::allocate::probe::Probe;
use crate::allocate::reservations::{Holder, Reservations};
use crate::config::Config;
use crate::config::file as config_file;
use crate::error::{Error, Result, quoted};
use crate::files::dir::{PlainFile, is_same_directory};
use crate::files::staged::temporary;
use crate::git::entries::{self, Place};
use crate::git::paths::IgnoreRule;
use crate::git::repository::{self, Found, Repository};
use crate::git::worktree::{Entry, Worktree};
use crate::install::{self, HookProblem};
use crate::ports::ServiceName;
use crate::reserve;
use crate::session::Session;
use crate::state::port_file::{self, FileState};
use crate::state::record::Recorded;
use crate::writes::assigned::Assigned;
use crate::writes::files::Files;

/// What there is to know of a repository.
pub struct Facts {
    pub common_dir: PathBuf,
    pub hook: Result<Vec<HookProblem>>,
    pub is_bare_by_accident: Result<bool>,
    pub reservations: Reservations<'static>,
    /// One for each holder of the reservations, those in other shared clones included.
    pub worktrees: Vec<WorktreeFacts>,
}

/// What there is to know of a worktree. Of one in another clone, only what it has in common with ours.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct WorktreeFacts {
    pub root: PathBuf,
    /// Why nothing can be done in it. Nothing else is known then.
    pub unusable: Option<Unusable>,
    pub port_file: FileState,
    pub is_tracked: bool,
    /// Whether a call by hand could take the ports over that its port file, another tool's, names.
    pub is_adoptable: bool,
    /// Why a call by hand leaves its port file alone.
    pub refusal: Option<Error>,
    /// Whether something listens on a port of its own. Not asked if no other worktree has one.
    pub is_listening: bool,
    /// The names of its stacks and databases, each with its variable.
    pub stack_names: BTreeSet<(String, String)>,
    /// The config in force; `None` if it was not asked for.
    pub config: Option<Result<Config>>,
    pub has_own_config: bool,
    /// What the next call by hand would do; `None` if it would leave the worktree alone.
    pub upkeep: Option<Result<Upkeep>>,
    pub not_ignored: Vec<Shown>,
    /// What could not be found out.
    pub unanswered: Vec<Error>,
    made: BTreeSet<String>,
}

impl WorktreeFacts {
    /// What is known from its entry and its port file alone.
    pub fn new(root: &Path, port_file: FileState) -> WorktreeFacts {
        WorktreeFacts {
            root: root.to_owned(),
            unusable: None,
            port_file,
            is_tracked: false,
            is_adoptable: false,
            refusal: None,
            is_listening: false,
            stack_names: BTreeSet::new(),
            config: None,
            has_own_config: false,
            upkeep: None,
            not_ignored: Vec::new(),
            unanswered: Vec::new(),
            made: BTreeSet::new(),
        }
    }
}

/// Why nothing can be done in a worktree.
#[derive(Debug)]
pub enum Unusable {
    Unreadable(Error),
    /// Its entry, which holds ports, does not say where it is.
    Nowhere,
    Gone {
        is_locked: bool,
    },
    NotADirectory {
        is_locked: bool,
    },
    NoDotGit,
    /// Its `.git` does not lead to its entry.
    LeadsElsewhere {
        entry: PathBuf,
        way_back: WayBack,
    },
}

/// How a worktree and its entry come together again.
#[derive(Debug)]
pub enum WayBack {
    /// The clone was moved, or another worktree was copied over this one.
    Repair,
    /// Another entry names the place, and is the one that its `.git` leads to.
    ToAnother,
    /// It was moved, or is gone, or the whole clone is a copy.
    Unknown,
}

/// What the next call by hand would do in a worktree.
#[derive(Default)]
pub struct Upkeep {
    /// The services that have no port yet and would get one.
    pub joining: Vec<ServiceName>,
    /// Why others would get none.
    pub left_out: Option<Error>,
    pub is_port_file_outdated: bool,
    /// The record, if it is not as it should be.
    pub outdated_record: Option<PathBuf>,
    /// The env files and templates that are not as they should be, each with the reason if it cannot
    /// be brought up to date.
    pub files: Vec<(String, Option<Error>)>,
    /// Variables that lines of the user's define too, each with the path of the env file.
    pub spanning: Vec<(String, String)>,
    pub has_leftovers: bool,
}

/// A file of ours that git does not ignore.
#[derive(Debug)]
pub struct Shown {
    /// Relative to the root.
    pub path: String,
    /// The rule that says not to ignore it.
    pub rule: Option<String>,
    /// Whether no worktree has a file there that is not ours: the list of all worktrees may hide it.
    pub is_hidable: bool,
}

/// Gathers the facts; `program` is the one that checks.
///
/// # Errors
/// The lock cannot be had, what is reserved cannot be read, or a shortage of our own.
pub fn gather(found: &Found, program: &Path, session: &Session) -> Result<Facts> {
    let repository = &found.repository;
    let locked = locked::acquire(repository, Purpose::Look, session)?;
    let mut reservations = locked.gather(repository, None)?.past();
    let clones = locked.release();

    let port_files = reservations.take_port_files();
    let look = Look {
        repository,
        clones: &clones,
        reservations: &reservations,
        probe: Probe::new(&session.narrator),
        session,
    };
    let mut worktrees = Vec::new();
    for (index, port_file) in port_files.into_iter().enumerate() {
        worktrees.push(look.at(index, port_file)?);
    }
    tell_hidable(&mut worktrees);
    Ok(Facts {
        common_dir: repository.common_dir.clone(),
        hook: install::problems(found, program),
        is_bare_by_accident: repository.is_bare_by_accident(),
        reservations,
        worktrees,
    })
}

/// Finds out which files the list that all worktrees share may hide: if it hid a file of the user's, a
/// checkout would overwrite that silently.
fn tell_hidable(worktrees: &mut [WorktreeFacts]) {
    for index in 0..worktrees.len() {
        for shown in 0..worktrees[index].not_ignored.len() {
            let path = &worktrees[index].not_ignored[shown].path;
            let is_others = |other: &WorktreeFacts| {
                other.root.join(path).symlink_metadata().is_ok() && !other.made.contains(path)
            };
            let is_hidable = path == port_file::NAME || !worktrees.iter().any(is_others);
            worktrees[index].not_ignored[shown].is_hidable = is_hidable;
        }
    }
}

/// By what every worktree is looked at.
struct Look<'a> {
    repository: &'a Repository,
    clones: &'a [Repository],
    reservations: &'a Reservations<'a>,
    probe: Probe<'a>,
    session: &'a Session,
}

impl Look<'_> {
    fn at(&self, index: usize, port_file: PlainFile) -> Result<WorktreeFacts> {
        let holder = &self.reservations.holders()[index];
        let entry = &holder.entry;
        let root = entry.root().unwrap_or(&entry.git_dir);
        let state = FileState::of(port_file, entry.id().as_deref());
        let mut facts = WorktreeFacts::new(root, state);
        self.ask_listeners(index, &mut facts)?;
        let worktree = match open(holder) {
            Ok(Some(worktree)) => worktree,
            Ok(None) => return Ok(facts),
            Err(unusable) => {
                facts.unusable = Some(unusable);
                return Ok(facts);
            }
        };
        let is_of_repository =
            |clone: &&Repository| Some(&clone.common_dir) == holder.clone.as_ref();
        let repository = self.clones.iter().find(is_of_repository);
        let repository = repository.unwrap_or(self.repository);
        let in_force = config_file::of(&worktree, repository);
        if let (Ok(in_force), FileState::Own(own)) = (&in_force, &facts.port_file) {
            let bundle = own.bundle.clone();
            let assigned = Assigned::new(&worktree, in_force.clone(), bundle, Some(own));
            facts.stack_names = assigned.stack_names();
        }
        if holder.clone.is_some() {
            return Ok(facts);
        }

        facts.has_own_config = worktree.root.has(config_file::NAME);
        if !matches!(facts.port_file, FileState::Missing) {
            match worktree.tracks(port_file::NAME) {
                Ok(true) => {
                    facts.refusal = Some(reserve::left_alone(&worktree, &FileState::Tracked));
                    facts.is_tracked = true;
                }
                Ok(false) => {}
                Err(error) => facts.unanswered.push(error),
            }
        }
        if !facts.is_tracked && reserve::is_to_be_left_alone(&facts.port_file, Request::Ensure) {
            facts.refusal = Some(reserve::left_alone(&worktree, &facts.port_file));
        }
        let recorded = worktree.record()?;
        let written = recorded.written();
        facts.made.extend(written.templates.keys().cloned());
        let env_files = written.env_files.iter();
        let made = env_files.filter(|(_, made_from)| made_from.is_some());
        facts.made.extend(made.map(|(path, _)| path.clone()));
        ask_ignored(&worktree, &mut facts);
        match in_force {
            Err(error) => facts.config = Some(Err(error)),
            Ok(in_force) => self.look_ahead(index, &worktree, in_force, &recorded, &mut facts),
        }
        Ok(facts)
    }

    fn ask_listeners(&self, index: usize, facts: &mut WorktreeFacts) -> Result<()> {
        let FileState::Own(own) = &facts.port_file else {
            return Ok(());
        };
        let others = self.reservations.others_than(Some(index));
        let mut ports = own.bundle.ports.iter().map(|(_, port)| *port);
        if others.has_slot(own.bundle.slot) || ports.any(|port| others.has_port(port)) {
            facts.is_listening = !self.probe.are_free(&own.bundle)?;
        }
        Ok(())
    }

    /// Finds out what the next call by hand would do, by the functions by which it decides.
    fn look_ahead(
        &self,
        index: usize,
        worktree: &Worktree,
        in_force: config_file::ConfigInForce,
        recorded: &Recorded,
        facts: &mut WorktreeFacts,
    ) {
        let before = &facts.port_file;
        let own = match before {
            FileState::Own(own) => Some(own),
            _ => None,
        };
        let config = in_force.for_bundle(own.map(|own| &own.bundle));
        let others = self.reservations.others_than(Some(index));
        let choice = Choice::new(&config, others, worktree.is_main());
        if let FileState::Foreign(bytes) = before {
            let adopted = adopt::bundle(worktree, bytes, &choice, &self.probe);
            facts.is_adoptable = adopted.is_ok();
        }
        if facts.refusal.is_none() && !matches!(before, FileState::Missing) {
            let planned = plan(
                worktree,
                before,
                recorded,
                &choice,
                &self.probe,
                Request::Ensure,
            );
            facts.upkeep = Some(planned.and_then(|planned| {
                let joining = own.map(|own| {
                    let missing = choice.missing(&own.bundle);
                    missing
                        .filter(|name| planned.bundle.port(name).is_some())
                        .cloned()
                        .collect()
                });
                let left_out = planned.left_out(worktree, &choice);
                let assigned = Assigned::new(worktree, in_force, planned.bundle, own);
                Ok(Upkeep {
                    joining: joining.unwrap_or_default(),
                    left_out,
                    is_port_file_outdated: own.is_some_and(|own| *own != assigned.reservation),
                    ..self.upkeep_of_files(worktree, &assigned, recorded)?
                })
            }));
        }
        facts.config = Some(Ok(config));
    }

    fn upkeep_of_files(
        &self,
        worktree: &Worktree,
        assigned: &Assigned,
        recorded: &Recorded,
    ) -> Result<Upkeep> {
        let wanted = assigned.wanted();
        let files = Files {
            worktree,
            wanted: &wanted,
            written: &recorded.written(),
            manners: reserve::manners(Request::Ensure, worktree),
            session: self.session,
        };
        let problems = files.problems(self.repository)?.into_iter();
        let spanning = files.spanning().into_iter();
        let is_recorded = assigned.is_recorded(worktree, recorded);
        Ok(Upkeep {
            outdated_record: (!is_recorded).then(|| worktree.record_path()),
            files: problems.map(|(path, why)| (path.to_owned(), why)).collect(),
            spanning: spanning
                .map(|(path, name)| (path.to_owned(), name.to_owned()))
                .collect(),
            has_leftovers: files.has_leftovers() || worktree.root.has(&temporary(port_file::NAME)),
            ..Upkeep::default()
        })
    }
}

/// Finds out which of the files that we made git shows.
fn ask_ignored(worktree: &Worktree, facts: &mut WorktreeFacts) {
    let is_there = !matches!(facts.port_file, FileState::Missing);
    let port_file = (is_there && !facts.is_tracked).then_some(port_file::NAME);
    let made = facts.made.iter().map(String::as_str);
    let made = made.filter(|path| worktree.path().join(path).symlink_metadata().is_ok());
    let mut paths: Vec<&str> = port_file.into_iter().chain(made).collect();
    let rules = worktree.tracked(&paths).and_then(|tracked| {
        paths.retain(|path| !tracked.contains(path));
        worktree.ignore_rules(&paths)
    });
    match rules {
        Err(error) => facts.unanswered.push(error),
        Ok(rules) => {
            for (path, rule) in paths.into_iter().zip(rules) {
                let rule = match rule {
                    IgnoreRule::Ignores => continue,
                    IgnoreRule::Nothing => None,
                    IgnoreRule::Reincludes(rule) => Some(rule),
                };
                facts.not_ignored.push(Shown {
                    path: path.to_owned(),
                    rule,
                    is_hidable: false,
                });
            }
        }
    }
}

/// Opens a worktree in which something can be done; `None` if there is nothing to say of its place.
fn open(holder: &Holder) -> Result<Option<Worktree>, Unusable> {
    let entry = &holder.entry;
    if let Place::Unreadable(error) = &entry.place {
        let path = entry.git_dir.join("gitdir");
        return Err(Unusable::Unreadable(Error::at("read", &path, error)));
    }
    let Some(root) = entry.root() else {
        // git is making, moving or removing it; only one that stays so holds ports.
        let is_left = holder.ports > 0 && !entry.is_main;
        return if is_left {
            Err(Unusable::Nowhere)
        } else {
            Ok(None)
        };
    };
    let Some(worktree) = entry.open().map_err(Unusable::Unreadable)? else {
        let is_locked = entry.git_dir.join("locked").exists();
        return Err(if root.symlink_metadata().is_ok() && !root.is_dir() {
            Unusable::NotADirectory { is_locked }
        } else {
            Unusable::Gone { is_locked }
        });
    };
    if !worktree.is_in_place().map_err(Unusable::Unreadable)? {
        return Err(if worktree.root.has(".git") {
            Unusable::LeadsElsewhere {
                entry: entry.git_dir.clone(),
                way_back: way_back(entry, &worktree),
            }
        } else {
            Unusable::NoDotGit
        });
    }
    // Only a git config of its own can keep libgit2 from opening one worktree of several, and every
    // call there ends with this.
    if entry.git_dir.join("config.worktree").exists()
        && let Err(error) = repository::find(root)
    {
        let path = quoted(&entry.git_dir.join("config.worktree"));
        return Err(Unusable::Unreadable(
            error.remedy_or(&format!("correct {path}")),
        ));
    }
    Ok(Some(worktree))
}

fn way_back(entry: &Entry, found: &Worktree) -> WayBack {
    let Ok(Some(named)) = entries::git_dir_named_by(&found.root) else {
        return WayBack::Unknown;
    };
    if !named.exists() {
        return WayBack::Repair;
    }
    let parents = named.parent().zip(entry.git_dir.parent());
    let is_of_this_repository = parents.is_some_and(|(one, other)| is_same_directory(one, other));
    match entries::locate(&named) {
        Ok(Place::At(root)) if is_of_this_repository => {
            if is_same_directory(&root, found.path()) {
                WayBack::ToAnother
            } else if root.join(".git").exists() {
                WayBack::Repair
            } else {
                WayBack::Unknown
            }
        }
        _ => WayBack::Unknown,
    }
}
