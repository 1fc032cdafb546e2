//! The problems that `--check` finds, each with what mends it. What would become of a worktree is
//! decided by the functions of the transaction, on the same inputs.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::Path;

use crate::allocate::choose::{self, Choice};
use crate::allocate::locked::{self, Purpose};
use crate::allocate::plan::{self, Aim};
use crate::allocate::probe::Probe;
use crate::allocate::reservations::{Holder, Others, Reservations};
use crate::config::Config;
use crate::config::file as config_file;
use crate::error::{Error, Result, quoted, shell_word};
use crate::files::untrusted::PlainFile;
use crate::git::entries::{self, Place};
use crate::git::ignore::{self, Ignored};
use crate::git::index;
use crate::git::lock::LockOptions;
use crate::git::repository::{self, Found, Repository};
use crate::git::worktree::{Entry, Worktree, is_same_directory};
use crate::install;
use crate::narrator::Narrator;
use crate::ports::{Bundle, Port, ServiceName, Slot};
use crate::reserve;
use crate::state::assigned::Assigned;
use crate::state::env_file;
use crate::state::port_file::{self, State};
use crate::state::record;
use crate::state::reservation::Reservation;

/// Every problem of the repository and its worktrees. Takes the lock to read what is reserved, and
/// lets go of it before all else. `program` is the one that checks.
pub fn problems(found: &Found, program: &Path, options: &LockOptions<'_>) -> Result<Vec<Error>> {
    let repository = &found.repository;
    let narrator = options.narrator;
    let locked = locked::acquire(repository, Purpose::Look, options)?;
    let reservations = locked.gather(repository, None, narrator)?.past();
    let clones = locked.release();

    let mut problems = install::problems(found, program, narrator);
    let check = Check {
        repository,
        probe: Probe::new(narrator),
        reservations: &reservations,
        config_of_main: repository
            .main_worktree()
            .and_then(|main| config_file::of(&main, repository).ok()),
        narrator,
    };
    let mut own: Vec<(usize, &Holder)> = reservations
        .holders()
        .iter()
        .enumerate()
        .filter(|(_, holder)| holder.clone.is_none())
        .collect();
    own.sort_by(|(_, one), (_, other)| one.entry.rank().cmp(&other.entry.rank()));
    for (index, holder) in own {
        // What is wrong with one worktree must not hide the others.
        match check.problems_of(index, holder) {
            Ok(found) => problems.extend(found),
            Err(error) => problems.push(error),
        }
    }
    problems.extend(check.same_names(&clones));
    Ok(problems)
}

/// What all worktrees are checked by.
struct Check<'a> {
    repository: &'a Repository,
    probe: Probe<'a>,
    reservations: &'a Reservations<'a>,
    /// The config of the main worktree, where there is one that is valid.
    config_of_main: Option<Config>,
    narrator: &'a Narrator,
}

impl Check<'_> {
    fn problems_of(&self, index: usize, holder: &Holder) -> Result<Vec<Error>> {
        let Some(worktree) = Worktree::of(&holder.entry, &self.repository.common_dir) else {
            let is_reserved = holder.ports > 0;
            return Ok(Vec::from_iter(problem_of_entry(&holder.entry, is_reserved)));
        };
        if let Some(problem) = self.problem_of_place(holder, &worktree) {
            return Ok(vec![problem]);
        }
        // Only a git config of its own can keep libgit2 from opening one worktree of several, and
        // every call there would end with this.
        if worktree.git_dir.join("config.worktree").exists()
            && let Err(error) = repository::find(&worktree.root)
        {
            return Ok(vec![error]);
        }
        // All else follows from the config.
        let config = match config_file::of(&worktree, self.repository) {
            Ok(config) => config,
            Err(error) => return Ok(Vec::from_iter(problem_of_config(&worktree, error))),
        };
        let mut problems = Vec::new();
        // The worktrees of a repository have one config as a rule, whose problem is told once.
        if worktree.is_main() || self.config_of_main.as_ref() != Some(&config) {
            problems.extend(lost_slots(&worktree, &config));
        }
        let by_right = worktree.is_main().then(|| config.ports(Slot::MAIN));
        let by_right = by_right.flatten().unwrap_or_default();
        problems.extend(self.meetings(&by_right));
        let state = self.state(holder, &worktree)?;
        if let State::Own(own) = &state {
            let others = self.reservations.others_than(Some(index));
            let shared = self.problems_of_sharing(index, own, &worktree, &by_right)?;
            let bundle = self.problem_of_bundle(own, &worktree, &config, others)?;
            // Whatever mends these writes the record and the env files too.
            if shared.is_empty() && bundle.is_none() {
                problems.extend(self.problems_of_writing(own, &worktree, &config)?);
            }
            problems.extend(shared);
            problems.extend(bundle);
        } else {
            problems.extend(problem_of_file(&state, &worktree));
        }
        if !matches!(state, State::Missing | State::Tracked) {
            problems.extend(problem_of_ignoring(&worktree)?);
        }
        Ok(problems)
    }
}

impl Check<'_> {
    fn state(&self, holder: &Holder, worktree: &Worktree) -> Result<State> {
        let is_there = !matches!(holder.port_file, PlainFile::Missing);
        if is_there && index::tracks(worktree, port_file::NAME, self.repository.hash_len)? {
            return Ok(State::Tracked);
        }
        Ok(State::of(&holder.port_file, worktree.id.as_deref()))
    }

    /// The worktree is not where git registers it.
    fn problem_of_place(&self, holder: &Holder, worktree: &Worktree) -> Option<Error> {
        let root = &worktree.root;
        let dot_git = root.join(".git");
        let common_dir = shell_word(&self.repository.common_dir);
        let git = format!("git -C {common_dir}");
        match worktree.is_in_place() {
            Ok(true) => None,
            // Its directory cannot be read, which is told as it is.
            Err(error) => Some(error.remedy_or("give this user access to it")),
            Ok(false) if !root.is_dir() => {
                let unlock = if worktree.git_dir.join("locked").exists() {
                    format!("`{git} worktree unlock {}` and ", shell_word(root))
                } else {
                    String::new()
                };
                let what = if holder.is_gone {
                    format!("the worktree at {} is not there", quoted(root))
                } else {
                    format!(
                        "{} is no directory, but git has a worktree there",
                        quoted(root)
                    )
                };
                Some(Error::new(what).remedy(format!(
                    "if it was moved, run `git worktree repair` in its new place; if it is gone \
                     for good, run {unlock}`{git} worktree prune` where all other worktrees can be \
                     seen"
                )))
            }
            Ok(false) if dot_git.symlink_metadata().is_ok() => Some(
                Error::new(format!(
                    "{} does not lead to {}",
                    quoted(&dot_git),
                    quoted(&worktree.git_dir)
                ))
                .remedy(mend_of_lost_place(worktree, &git)),
            ),
            Ok(false) => Some(
                // With the path given, git complains of it before it repairs it.
                Error::new(format!("{} is missing", quoted(&dot_git)))
                    .remedy(format!("run `{git} worktree repair`")),
            ),
        }
    }

    /// The main worktrees of other clones that have one of the ports that are this one's main
    /// worktree's by right. Neither can move.
    fn meetings(&self, by_right: &[Port]) -> Vec<Error> {
        let mut problems = Vec::new();
        for holder in self.reservations.holders() {
            if holder.clone.is_none() {
                continue;
            }
            let shared = by_right
                .iter()
                .filter(|port| holder.slot_of_main.contains(port));
            let shared: Vec<String> = shared.map(Port::to_string).collect();
            if !shared.is_empty() {
                let what = format!(
                    "port {} of the main worktree is also that of the {}",
                    shared.join(", "),
                    holder.name()
                );
                problems.push(Error::new(what).remedy(format!(
                    "give one of the two repositories other base ports in `{}`, then run \
                     `worktree-ports-hook --reallocate` in its main worktree",
                    config_file::NAME
                )));
            }
        }
        problems
    }

    /// The ports and the slot of `own` that others have too, but for those that are a main
    /// worktree's `by_right`. The later one is to move, unless it is the one that listens; the
    /// problem is told of the one that is to move, and of this one if that is in another clone.
    fn problems_of_sharing(
        &self,
        index: usize,
        own: &Reservation,
        worktree: &Worktree,
        by_right: &[Port],
    ) -> Result<Vec<Error>> {
        let others = self.reservations.others_than(Some(index));
        let mut shared: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for (service, port) in &own.bundle.ports {
            for other in others.having_port(*port) {
                let holder = &self.reservations.holders()[other];
                if !(by_right.contains(port) && holder.slot_of_main.contains(port)) {
                    let what = format!("port {port} ({service})");
                    shared.entry(other).or_default().push(what);
                }
            }
        }
        if let Some(slot) = own.bundle.slot {
            for other in others.having_slot(slot) {
                let what = format!("slot {slot}");
                let all = shared.entry(other).or_default();
                if !all.contains(&what) {
                    all.push(what);
                }
            }
        }
        let mut problems = Vec::new();
        for (other, what) in shared {
            let holder = &self.reservations.holders()[other];
            let is_to_move = if self.stays(index, own, other)? {
                let of_other_clone = holder.clone.as_deref();
                of_other_clone.and_then(|clone| Worktree::of(&holder.entry, clone))
            } else {
                Some(worktree.clone())
            };
            if let Some(is_to_move) = is_to_move {
                let what = format!(
                    "{} of {} is also assigned to {}",
                    what.join(", "),
                    quoted(&worktree.root),
                    describe(holder, &own.bundle)
                );
                let mend = format!("run `{} --reallocate`", by_hand(&is_to_move));
                problems.push(Error::new(what).remedy(mend));
            }
        }
        Ok(problems)
    }

    /// Whether the worktree at `index`, of two that have the same, is the one that stays. Each of
    /// two clones comes to the same answer.
    fn stays(&self, index: usize, own: &Reservation, other: usize) -> Result<bool> {
        let holder = &self.reservations.holders()[other];
        let others = match State::of(&holder.port_file, holder.entry.id().as_deref()) {
            State::Own(others) => others,
            // What mends that file moves it.
            State::Copied | State::Damaged => return Ok(true),
            // One that is only reserved for, or another tool's, cannot be told to move.
            _ => return Ok(false),
        };
        let listens = |bundle: &Bundle| self.probe.are_free(bundle).map(|are_free| !are_free);
        Ok(match (listens(&own.bundle)?, listens(&others.bundle)?) {
            (true, false) => true,
            (false, true) => false,
            // Where both seem to listen, it is one stack on the port that both have.
            _ => self.rank(index) < self.rank(other),
        })
    }

    /// Main worktrees before linked ones, then the clones by their paths, then the ids.
    fn rank(&self, index: usize) -> (bool, &Path, Option<&OsStr>) {
        let holder = &self.reservations.holders()[index];
        let clone = holder.clone.as_deref();
        let clone = clone.unwrap_or(&self.repository.common_dir);
        (
            !holder.entry.is_main,
            clone,
            holder.entry.git_dir.file_name(),
        )
    }

    /// The names that worktrees of this clone and of another one have both: two stacks in one
    /// compose project, or in one database.
    fn same_names(&self, clones: &[Repository]) -> Vec<Error> {
        let own = self.names_in(self.repository, None);
        let mut problems = Vec::new();
        for clone in clones {
            let others = self.names_in(clone, Some(&clone.common_dir));
            let mut shared: BTreeMap<&str, Vec<String>> = BTreeMap::new();
            for (variable, name) in own.intersection(&others) {
                let names = shared.entry(variable).or_default();
                names.push(format!("`{name}`"));
            }
            for (variable, names) in shared {
                let what = format!(
                    "`{variable}` is {} both here and in the clone {}",
                    names.join(", "),
                    quoted(&clone.common_dir)
                );
                problems.push(Error::new(what).remedy(format!(
                    "put something of the clone into its template in one clone's `{}`, then run \
                     `worktree-ports-hook --all` there",
                    config_file::NAME
                )));
            }
        }
        problems
    }

    /// The variables and names that the worktrees of a clone have, `None` being this one.
    fn names_in(
        &self,
        repository: &Repository,
        clone: Option<&Path>,
    ) -> BTreeSet<(String, String)> {
        let holders = self.reservations.holders().iter();
        let names = |holder: &Holder| {
            let worktree = Worktree::of(&holder.entry, &repository.common_dir)?;
            let State::Own(own) = State::of(&holder.port_file, worktree.id.as_deref()) else {
                return None;
            };
            let config = config_file::of(&worktree, repository).ok()?;
            Some(Assigned::new(&worktree, config, own.bundle).stack_names())
        };
        holders
            .filter(|holder| holder.clone.as_deref() == clone)
            .filter_map(names)
            .flatten()
            .collect()
    }

    /// What the next call by hand would change about a worktree's own port file, or could not.
    fn problem_of_bundle(
        &self,
        own: &Reservation,
        worktree: &Worktree,
        config: &Config,
        others: Others<'_>,
    ) -> Result<Option<Error>> {
        let path = quoted(&worktree.root.join(port_file::NAME));
        let choice = Choice::new(config, others, worktree.is_main());
        let state = State::Own(own.clone());
        let record = record::Place::of(worktree).read()?;
        let plan = plan::plan(
            worktree,
            &state,
            &record,
            &choice,
            &self.probe,
            Aim::BeCurrent,
        )?;
        let misplaced = own.bundle.ports.iter().find(|(service, port)| {
            let mut declared = config.services.iter();
            let declared = declared.find(|declared| declared.name == *service);
            declared.is_some_and(|declared| {
                let slot = plan.bundle.slot;
                slot.and_then(|slot| config.port(declared, slot)) != Some(*port)
            })
        });
        if let Some((service, port)) = misplaced {
            let why = match plan.bundle.slot {
                Some(slot) => format!("is not the one of slot {slot} by the config"),
                None => "belongs to no slot".to_owned(),
            };
            let what = format!("port {port} ({service}) in {path} {why}");
            let mend = format!("run `{} --reallocate`", by_hand(worktree));
            return Ok(Some(Error::new(what).remedy(mend)));
        }
        if let Some(problem) = plan.left_out(worktree, &choice) {
            return Ok(Some(problem));
        }
        let assigned = Assigned::new(worktree, config.clone(), plan.bundle);
        let mend = format!("run `{}`", by_hand(worktree));
        if assigned.reservation.bundle != own.bundle {
            let missing: Vec<&str> = choice
                .missing(&own.bundle)
                .map(ServiceName::as_str)
                .collect();
            let what = if missing.is_empty() {
                format!("{path} is not up to date with the config")
            } else {
                format!("{path} has no port for {}", missing.join(", "))
            };
            return Ok(Some(Error::new(what).remedy(mend)));
        }
        if assigned.reservation != *own {
            let what = format!("the URLs in {path} are not those of the config");
            return Ok(Some(Error::new(what).remedy(mend)));
        }
        Ok(None)
    }

    /// The record or the env files are not as the port file would have them.
    fn problems_of_writing(
        &self,
        own: &Reservation,
        worktree: &Worktree,
        config: &Config,
    ) -> Result<Vec<Error>> {
        let mut problems = Vec::new();
        let place = record::Place::of(worktree);
        let assigned = Assigned::new(worktree, config.clone(), own.bundle.clone());
        let record = place.read()?;
        if !assigned.is_recorded(worktree, &record) {
            let what = format!(
                "{} does not say what {} says",
                quoted(place.path()),
                quoted(&worktree.root.join(port_file::NAME))
            );
            problems.push(Error::new(what).remedy(format!("run `{}`", by_hand(worktree))));
        }
        let is_tracked = |path: &str| index::tracks(worktree, path, self.repository.hash_len);
        let writer = env_file::Writer {
            worktree,
            is_tracked: &is_tracked,
            // Nothing is made here.
            shown_elsewhere: &|_| None,
            narrator: self.narrator,
        };
        let standing = record.env_files(worktree.id.as_deref());
        for (path, why) in writer.problems(&assigned.label, &assigned.env_files(), &standing) {
            problems.push(why.unwrap_or_else(|| {
                Error::new(format!("{} is not up to date", quoted(&path)))
                    .remedy(format!("run `{}`", by_hand(worktree)))
            }));
        }
        Ok(problems)
    }
}

/// What to do about a worktree in whose place another one is, or another repository.
fn mend_of_lost_place(worktree: &Worktree, git: &str) -> String {
    let named = entries::git_dir_named_by(&worktree.root).ok().flatten();
    let is_of_this_repository = named.as_ref().is_some_and(|named| {
        let directories = named.parent().zip(worktree.git_dir.parent());
        directories.is_some_and(|(one, other)| is_same_directory(one, other))
    });
    // The whole clone was moved.
    if named.as_ref().is_some_and(|named| !named.exists()) {
        return format!("run `{git} worktree repair`");
    }
    let registered = named
        .filter(|_| is_of_this_repository)
        .and_then(|named| entries::locate(&named).ok());
    match registered {
        // Two entries for one place.
        Some(Place::At(root)) if is_same_directory(&root, &worktree.root) => {
            format!("run `{git} worktree prune`")
        }
        // The other worktree was copied over this one.
        Some(Place::At(root)) if root.join(".git").exists() => {
            format!("run `{git} worktree repair`")
        }
        // In a copy of the clone, every entry is of no use.
        _ => format!(
            "if it was moved, run `git worktree repair` in its new place; if it is gone, or if \
             this clone is a copy, run `rm -r {}`",
            shell_word(&worktree.git_dir)
        ),
    }
}

/// What is wrong with the entry of a worktree whose place is not known.
fn problem_of_entry(entry: &Entry, is_reserved: bool) -> Option<Error> {
    let path = entry.git_dir.join("gitdir");
    match &entry.place {
        Place::Unreadable(error) => Some(Error::at("read", &path, error).remedy(format!(
            "run `chmod u+rw {}`, as its owner",
            shell_word(&path)
        ))),
        // git is making, moving or removing it; only one that stays so holds ports.
        Place::Unknown if is_reserved && !entry.is_main => Some(
            Error::new(format!(
                "{} does not say where the worktree {} is",
                quoted(&path),
                entry.name()
            ))
            .remedy(
                "run `git worktree repair` in it; if it is gone for good, `git worktree prune` \
                 frees its ports",
            ),
        ),
        Place::Unknown | Place::At(_) => None,
    }
}

/// A broken config, told once: where it is.
fn problem_of_config(worktree: &Worktree, error: Error) -> Option<Error> {
    let is_own = worktree.is_main() || config_file::load(worktree).is_err();
    is_own.then_some(error)
}

/// The port file is not the worktree's own.
fn problem_of_file(state: &State, worktree: &Worktree) -> Option<Error> {
    let path = quoted(&worktree.root.join(port_file::NAME));
    let what = match state {
        State::Missing | State::Own(_) => return None,
        State::Copied => format!("{path} is a copy of another worktree's"),
        State::Damaged => format!("{path} is damaged"),
        State::Unreadable(_) | State::Foreign | State::Tracked => {
            return Some(reserve::left_alone(worktree, state));
        }
    };
    Some(Error::new(what).remedy(format!("run `{}`", by_hand(worktree))))
}

/// git shows the port file, and `git worktree remove` would refuse.
fn problem_of_ignoring(worktree: &Worktree) -> Result<Option<Error>> {
    let path = quoted(&worktree.root.join(port_file::NAME));
    let what = format!("git does not ignore {path}");
    Ok(match ignore::look(worktree, port_file::NAME)? {
        Ignored::Yes => None,
        Ignored::Negated(rule) => {
            Some(Error::new(format!("{what}, by the rule `{rule}`")).remedy("remove that rule"))
        }
        Ignored::No => {
            let info = worktree.common_dir.join("info");
            // The list may be missing, and its last line may lack a newline.
            Some(Error::new(what).remedy(format!(
                "run `mkdir -p {} && printf '\\n%s\\n%s\\n' {} {} >> {}`",
                shell_word(&info),
                format_args!("/{}", port_file::NAME),
                format_args!("/{}", port_file::TEMPORARY_NAME),
                shell_word(&info.join("exclude"))
            )))
        }
    })
}

/// Too few slots, because services take each other's.
fn lost_slots(worktree: &Worktree, config: &Config) -> Option<Error> {
    let shortage = config.slot_shortage(choose::is_usable)?;
    let what = format!(
        "by {}, only {} worktrees can have ports at the same time, because a service has in some \
         slots the port that another has in others",
        quoted(&worktree.root.join(config_file::NAME)),
        shortage.usable
    );
    let mend = match shortage.better_step {
        Some(step) => format!("set `step` to {step}"),
        None => "give one of them another base port".to_owned(),
    };
    // Those that have ports by the old config would each be a problem afterwards.
    Some(Error::new(what).remedy(format!(
        "{mend}, then run `worktree-ports-hook --reallocate` in every worktree"
    )))
}

/// `feat-a (web, api)`: the worktree, and its services on the ports that it shares with `bundle`.
fn describe(holder: &Holder, bundle: &Bundle) -> String {
    let State::Own(own) = State::of(&holder.port_file, holder.entry.id().as_deref()) else {
        return holder.name();
    };
    let services = own
        .bundle
        .ports
        .iter()
        .filter(|(_, port)| bundle.service(*port).is_some());
    let services: Vec<&str> = services.map(|(service, _)| service.as_str()).collect();
    if services.is_empty() {
        holder.name()
    } else {
        format!("{} ({})", holder.name(), services.join(", "))
    }
}

/// The bare call for `worktree`, as a person would type it anywhere.
fn by_hand(worktree: &Worktree) -> String {
    format!("worktree-ports-hook -C {}", shell_word(&worktree.root))
}

#[cfg(test)]
mod tests;
