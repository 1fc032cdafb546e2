//! What `--check` looks at, gathered once: what is reserved, under the lock, then without it what lies
//! in each worktree.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::allocate::adopt;
use crate::allocate::choose::Choice;
use crate::allocate::locked::{self, Locked, Purpose};
use crate::allocate::plan::{Request, plan};
use crate::allocate::probe::Probe;
use crate::allocate::reservations::Reservations;
use crate::config::Config;
use crate::config::file::{self as config_file, ConfigInForce};
use crate::error::{Error, Result, unless_shortage};
use crate::files::dir::PlainFile;
use crate::git::clones;
use crate::git::paths::IgnoreRule;
use crate::git::repository::{Found, Repository};
use crate::git::worktree::Worktree;
use crate::install;
use crate::ports::{Port, ServiceName};
use crate::report::place;
use crate::reserve;
use crate::session::Session;
use crate::state::port_file::{self, FileState};
use crate::state::record::Recorded;
use crate::writes::assigned::Assigned;
use crate::writes::exclude;
use crate::writes::files::{Files, Occasion};

/// The facts about a repository.
pub struct Facts {
    pub common_dir: Rc<Path>,
    /// What is wrong with the hook, and with the exclude list.
    pub hook: Vec<Error>,
    /// Why the ports of other clones may not be kept apart.
    pub sharing: Option<Error>,
    pub is_bare_by_accident: Result<bool>,
    pub reservations: Reservations<'static>,
    /// One for each holder of the reservations, those in other shared clones included.
    pub worktrees: Vec<WorktreeFacts>,
    /// Paths that the list of all worktrees must not hide: some worktree has a file of the user's
    /// there, which a checkout would then overwrite silently.
    pub not_hidable: BTreeSet<String>,
}

/// What there is to know of a worktree. Of one in another clone, only what it has in common with ours.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct WorktreeFacts {
    pub root: PathBuf,
    /// Why nothing can be done in it. Nothing else is known then.
    pub unusable: Option<Error>,
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
    /// The env files and templates that we made.
    pub made: BTreeSet<String>,
    /// The files of ours that git shows, each with the rule that says not to ignore it, if there is
    /// one.
    pub not_ignored: Vec<(String, Option<String>)>,
    /// What could not be found out.
    pub unanswered: Vec<Error>,
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

/// Gathers the facts; `program` is the running program.
///
/// # Errors
/// The lock cannot be had, what is reserved cannot be read, or a shortage of our own.
pub fn gather(found: &Found, program: &Path, session: &Session) -> Result<Facts> {
    let repository = &found.repository;
    let gather = |locked: Locked| -> Result<_> {
        let reservations = locked.gather(repository, None)?.past();
        Ok((reservations, locked.release()))
    };
    let gathered = locked::acquire(repository, Purpose::Look, session).and_then(gather);
    let ((mut reservations, clones), unknown) = match unless_shortage(gathered)? {
        Ok(gathered) => (gathered, None),
        // What is wrong in other clones hides nothing here.
        Err(error) => {
            let own = locked::acquire_own(repository, session).and_then(gather)?;
            (own, Some(error))
        }
    };
    let is_bare_by_accident = unless_shortage(repository.is_bare_by_accident())?;
    let git_answers = is_bare_by_accident.is_ok();
    let (mut hook, mut sharing) = (Vec::new(), None);
    if git_answers {
        let problems = unless_shortage(install::problems(found, program))?;
        hook = problems.unwrap_or_else(|error| vec![error]);
        hook.extend(unless_shortage(exclude::hidden(&repository.common_dir))?.err());
        sharing = unknown.or(unless_shortage(clones::check(repository))?.err());
    }

    let port_files = reservations.take_port_files();
    let look = Look {
        repository,
        clones: &clones,
        reservations: &reservations,
        git_answers,
        probe: Probe::new(&session.narrator),
        session,
    };
    let mut worktrees = Vec::new();
    for (index, port_file) in port_files.into_iter().enumerate() {
        worktrees.push(look.at(index, port_file)?);
    }
    Ok(Facts {
        common_dir: Rc::clone(&repository.common_dir),
        hook,
        sharing,
        is_bare_by_accident,
        reservations,
        not_hidable: not_hidable(&worktrees),
        worktrees,
    })
}

fn not_hidable(worktrees: &[WorktreeFacts]) -> BTreeSet<String> {
    let shown = worktrees.iter().flat_map(|worktree| &worktree.not_ignored);
    let not_hidable = shown.filter(|(path, _)| {
        let is_others = |other: &WorktreeFacts| {
            other.root.join(path).symlink_metadata().is_ok() && !other.made.contains(path)
        };
        path != port_file::NAME && worktrees.iter().any(is_others)
    });
    not_hidable.map(|(path, _)| path.clone()).collect()
}

/// What is needed to look at a worktree.
struct Look<'a> {
    repository: &'a Repository,
    clones: &'a [Repository],
    reservations: &'a Reservations<'a>,
    /// Otherwise one problem tells why, and git is not asked for each worktree.
    git_answers: bool,
    probe: Probe<'a>,
    session: &'a Session,
}

impl Look<'_> {
    fn at(&self, index: usize, port_file: PlainFile) -> Result<WorktreeFacts> {
        let holder = &self.reservations.holders()[index];
        let entry = &holder.entry;
        let root = entry.root().unwrap_or(&entry.git_dir);
        let mut facts = WorktreeFacts {
            root: root.to_owned(),
            port_file: FileState::of(port_file, entry.id.as_deref()),
            ..WorktreeFacts::default()
        };
        self.ask_listeners(index, &mut facts)?;
        let worktree = match unless_shortage(place::open(holder))? {
            Ok(Some(worktree)) => worktree,
            Ok(None) => return Ok(facts),
            Err(error) => {
                facts.unusable = Some(error);
                return Ok(facts);
            }
        };
        let is_of_repository =
            |clone: &&Repository| Some(&clone.common_dir) == holder.clone.as_ref();
        let repository = self.clones.iter().find(is_of_repository);
        let repository = repository.unwrap_or(self.repository);
        let own = facts.port_file.own().map(|own| &own.bundle);
        let in_force = unless_shortage(config_file::of(&worktree, repository, own))?;
        if let (Ok(in_force), FileState::Own(own)) = (&in_force, &facts.port_file) {
            let assigned = Assigned::of_own(&worktree, in_force.clone(), own);
            facts.stack_names = assigned.config.stack_names(&assigned.values());
        }
        if holder.clone.is_some() {
            return Ok(facts);
        }

        facts.has_own_config = worktree.root.has(config_file::NAME);
        let recorded = worktree.record()?;
        if self.git_answers
            && let Err(error) = unless_shortage(ask_git(&worktree, &recorded, &mut facts))?
        {
            facts.unanswered.push(error);
        }
        let state = match &facts.port_file {
            _ if facts.is_tracked => &FileState::Tracked,
            state => state,
        };
        if reserve::is_to_be_left_alone(state, Request::Ensure) {
            facts.refusal = Some(reserve::left_alone(&worktree, state));
        }
        match in_force {
            Err(error) => facts.config = Some(Err(error)),
            Ok(in_force) => self.look_ahead(index, &worktree, in_force, &recorded, &mut facts)?,
        }
        if !root.exists() {
            // It was removed in the meantime.
            facts = WorktreeFacts {
                root: facts.root,
                ..WorktreeFacts::default()
            };
        }
        Ok(facts)
    }

    fn ask_listeners(&self, index: usize, facts: &mut WorktreeFacts) -> Result<()> {
        let FileState::Own(own) = &facts.port_file else {
            return Ok(());
        };
        let others = self.reservations.except(Some(index));
        let is_shared = |(_, port): &(ServiceName, Port)| others.has_port(*port);
        if others.has_slot(own.bundle.slot) || own.bundle.ports.iter().any(is_shared) {
            facts.is_listening = !self.probe.are_free(&own.bundle)?;
        }
        Ok(())
    }

    /// Finds out what the next call by hand would do, by the functions by which it decides.
    fn look_ahead(
        &self,
        index: usize,
        worktree: &Worktree,
        in_force: ConfigInForce,
        recorded: &Recorded,
        facts: &mut WorktreeFacts,
    ) -> Result<()> {
        // It may have changed since the lock was released, as the record may have.
        let before = &worktree.port_file()?;
        let own = before.own();
        let config = in_force.config.clone();
        let others = self.reservations.except(Some(index));
        let choice = Choice::new(&config, others, worktree.is_main());
        if let FileState::Foreign(bytes) = before {
            let adopted = adopt::bundle(worktree, bytes, &choice, &self.probe);
            facts.is_adoptable = unless_shortage(adopted)?.is_ok();
        }
        let upkeep = || -> Result<Upkeep> {
            let (probe, request) = (&self.probe, Request::Ensure);
            let planned = plan(worktree, before, recorded, &choice, probe, request)?;
            let missing = own.iter().flat_map(|own| choice.missing(&own.bundle));
            let joining = missing.filter(|name| planned.bundle.port(name).is_some());
            let joining = joining.cloned().collect();
            let assigned = Assigned::new(worktree, in_force, planned.bundle, own);
            let (wanted, written) = (assigned.wanted(), recorded.written());
            let files = Files::new(worktree, wanted, written, Occasion::Assign, self.session);
            let files = files.check(self.repository)?;
            let is_recorded = assigned.is_recorded(worktree, recorded);
            Ok(Upkeep {
                joining,
                left_out: planned.left_out,
                is_port_file_outdated: own.is_some_and(|own| *own != assigned.reservation),
                outdated_record: (!is_recorded).then(|| worktree.record_path()),
                files: files.outdated(),
                spanning: files.spanning(),
                has_leftovers: files.has_leftovers(),
            })
        };
        let upkeep = match recorded.check_readable(&worktree.record_path()) {
            _ if facts.refusal.is_some() || !self.git_answers => None,
            Ok(()) if matches!(before, FileState::Missing) => {
                let damaged = Upkeep {
                    outdated_record: Some(worktree.record_path()),
                    ..Upkeep::default()
                };
                recorded.is_damaged().then_some(Ok(damaged))
            }
            Ok(()) => Some(upkeep()),
            Err(error) => Some(Err(error)),
        };
        facts.upkeep = upkeep.map(unless_shortage).transpose()?;
        facts.config = Some(Ok(config));
        Ok(())
    }
}

/// Asks git which of our files it tracks, and which it shows as untracked.
fn ask_git(worktree: &Worktree, recorded: &Recorded, facts: &mut WorktreeFacts) -> Result<()> {
    facts.made = recorded.written().made().map(str::to_owned).collect();
    let is_there = |path: &&str| worktree.path().join(path).symlink_metadata().is_ok();
    let port_file = (!matches!(facts.port_file, FileState::Missing)).then_some(port_file::NAME);
    let made = facts.made.iter().map(String::as_str).filter(is_there);
    let mut paths: Vec<&str> = port_file.into_iter().chain(made).collect();
    let tracked = worktree.tracked(&paths)?;
    facts.is_tracked = tracked.contains(port_file::NAME);
    paths.retain(|path| !tracked.contains(path));
    for (path, rule) in paths.iter().zip(worktree.ignore_rules(&paths)?) {
        let rule = match rule {
            IgnoreRule::Ignores => continue,
            IgnoreRule::Nothing => None,
            IgnoreRule::Reincludes(rule) => Some(rule),
        };
        facts.not_ignored.push(((*path).to_owned(), rule));
    }
    Ok(())
}
