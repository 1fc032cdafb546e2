//! The transaction: take the lock, look again, gather what others have, choose, write. Read this
//! file first.

use std::fmt::Write as _;
use std::io;

use crate::allocate::adopt;
use crate::allocate::choose::Choice;
use crate::allocate::locked::{self, Locked, Purpose};
use crate::allocate::plan::{Request, Source, plan};
use crate::allocate::probe::Probe;
use crate::config::Template;
use crate::config::file as config_file;
use crate::error::{Error, ErrorKind, Result, error, quoted, shell_word};
use crate::files::staged::{Staged, temporary};
use crate::git::lock::Held;
use crate::git::repository::Repository;
use crate::git::worktree::Worktree;
use crate::narrator::Narrator;
use crate::session::Session;
use crate::state::port_file::{self, FileState};
use crate::state::record::{Record, RecordPlace, Recorded, WrittenFiles};
use crate::state::reservation::Reservation;
use crate::writes::assigned::Assigned;
use crate::writes::files::{Done, Files, Manners, Wanted};

/// The result of a request.
#[derive(Debug)]
pub enum Outcome {
    /// All was as it should be, and nothing was written.
    Kept(Assigned),
    /// Files were written.
    Written(Assigned, Summary),
    /// Nothing was written: the file that is there must not be touched.
    LeftAlone(FileState),
}

/// What was written, and instead of what.
#[derive(Debug)]
pub struct Summary {
    /// What was at the port file's path before.
    pub before: FileState,
    /// Whether the port file was written.
    pub wrote_port_file: bool,
    /// The env files and templates that were written, as a person is told.
    pub files: Vec<String>,
    /// Those that were removed.
    pub removed: Vec<String>,
    /// How many worktrees that are gone but registered have a lower slot.
    pub gone_below: usize,
}

impl Summary {
    /// `cloud 8100 (.worktree-ports.json, .env)`, and what else there is to say about it.
    pub fn of_allocation(&self, assigned: &Assigned) -> String {
        let mut files = vec![port_file::NAME];
        files.extend(self.files.iter().map(String::as_str));
        let mut summary = format!("{} ({})", assigned.reservation.bundle, files.join(", "));
        if self.gone_below > 0 {
            let worktrees = match self.gone_below {
                1 => "1 worktree that is gone holds a lower slot; if it is gone".to_owned(),
                n => format!("{n} worktrees that are gone hold lower slots; if they are gone"),
            };
            let they = if self.gone_below == 1 { "it" } else { "them" };
            let _ = write!(
                summary,
                " ({worktrees} for good, git worktree prune frees {they})"
            );
        }
        summary
    }

    /// `updated .worktree-ports.json, .env; removed config.toml`; `None` if there is nothing to tell.
    pub fn of_update(&self) -> Option<String> {
        let mut files = Vec::from_iter(self.wrote_port_file.then(|| port_file::NAME.to_owned()));
        files.extend(self.files.iter().cloned());
        let parts = [("updated", files), ("removed", self.removed.clone())];
        let parts = parts.iter().filter(|(_, files)| !files.is_empty());
        let parts: Vec<String> = parts
            .map(|(what, files)| format!("{what} {}", files.join(", ")))
            .collect();
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

/// The error of a worktree whose port file is left alone, and that has no ports for that reason.
pub fn left_alone(worktree: &Worktree, state: &FileState) -> Error {
    let path = quoted(&worktree.root.path_of(port_file::NAME));
    let by_hand = worktree.by_hand();
    match state {
        FileState::Tracked => error!(
            "git tracks {path}, so all worktrees would share it"
        )
        .remedy(format!(
            "run `git -C {} rm --cached {}`, commit, and run `{by_hand}`",
            shell_word(worktree.path()),
            port_file::NAME
        )),
        FileState::Unreadable(error) => error!("could not read {path}: {error}").remedy(
            format!("make it readable, or run `{by_hand} --reallocate` to replace it"),
        ),
        _ => error!(
            "{path} belongs to another tool: it lacks `worktree`, `slot` or `ports`, or is larger than 256 KiB"
        )
        .remedy(format!(
            "run `{by_hand} --adopt` to take its ports over, or `--reallocate` to replace it"
        )),
    }
}

/// Makes sure that `worktree` has a bundle, and that all that is written from it is up to date. One
/// that needs no change is answered without the lock.
pub fn ensure(repository: &Repository, worktree: &Worktree, session: &Session) -> Result<Outcome> {
    let mut answer = None;
    if let FileState::Own(own) = worktree.port_file()? {
        let in_force = config_file::of(worktree, repository)?;
        let assigned = Assigned::new(worktree, in_force, own.bundle.clone(), Some(&own));
        if assigned.is_in(&own) && is_written(worktree, &assigned, Request::Ensure, session)? {
            return Ok(Outcome::Kept(assigned));
        }
        // A config whose services all lack a port has nothing to answer with.
        let mut services = assigned.config.services.iter();
        let has_any = services.any(|service| own.bundle.port(&service.name).is_some());
        answer = has_any.then_some(assigned);
    }
    match (
        request(repository, worktree, Request::Ensure, session),
        answer,
    ) {
        // Its ports are its own, whatever keeps the rest from being brought up to date.
        (Err(error), Some(assigned)) => {
            session.narrator.warn(error);
            Ok(Outcome::Kept(assigned))
        }
        (outcome, _) => outcome,
    }
}

/// Does what is asked for `worktree` under the lock.
pub fn request(
    repository: &Repository,
    worktree: &Worktree,
    request: Request,
    session: &Session,
) -> Result<Outcome> {
    let locked = locked::acquire(repository, Purpose::Write, session)?;
    transact(&locked, repository, worktree, request, session)
}

/// How a request treats the files of a worktree.
pub fn manners(request: Request, worktree: &Worktree) -> Manners {
    Manners {
        // Looking at somebody's branch in the main worktree plants no file.
        makes_files: request != Request::Update || !worktree.is_main(),
        removes_unchanged: true,
        tells_obstacles: request != Request::Update,
    }
}

/// Whether the record, the env files and the templates are as they should be, and no kill has left a
/// temporary file.
pub fn is_written(
    worktree: &Worktree,
    assigned: &Assigned,
    request: Request,
    session: &Session,
) -> Result<bool> {
    let recorded = worktree.record()?;
    if !assigned.is_recorded(worktree, &recorded) || worktree.root.has(&temporary(port_file::NAME))
    {
        return Ok(false);
    }
    let files = Files {
        worktree,
        wanted: &assigned.wanted(),
        written: &recorded.written(),
        manners: manners(request, worktree),
        session,
    };
    // The hook does not try again at each checkout what cannot be done.
    let is_outdated = |why: &Option<Error>| why.is_none() || request != Request::Update;
    Ok(!files.outdated().iter().any(|(_, why)| is_outdated(why)) && !files.has_leftovers())
}

/// Looks, gathers, chooses and writes under the lock: nothing that was read before it decides.
fn transact(
    locked: &Locked,
    repository: &Repository,
    worktree: &Worktree,
    request: Request,
    session: &Session,
) -> Result<Outcome> {
    let held = &locked.held;
    let narrator = &session.narrator;
    // It may have been moved or removed meanwhile, and another may have taken its place.
    worktree.check_registered()?;

    let before = worktree.port_file()?;
    if is_to_be_left_alone(&before, request) {
        return Ok(Outcome::LeftAlone(before));
    }
    let in_force = config_file::of(worktree, repository)?;

    let reservations = locked.gather(repository, Some(worktree))?;
    for doubt in reservations.doubts() {
        narrator.warn(doubt);
    }
    let others = reservations.others_than(None);
    let own = match &before {
        FileState::Own(own) => Some(own),
        _ => None,
    };
    let config = in_force.for_bundle(own.map(|own| &own.bundle));
    let choice = Choice::new(&config, others, worktree.is_main());
    let recorded = worktree.record()?;
    if request != Request::Allocate {
        recorded.check_readable()?;
    }
    let probe = Probe::new(narrator);
    let plan = plan(worktree, &before, &recorded, &choice, &probe, request)?;
    if let Some(warning) = plan.left_out(worktree, &choice) {
        narrator.warn(warning);
    }
    if let Some(own) = own {
        for service in plan.joined_in_use(&own.bundle, &probe)? {
            narrator.warn(format_args!(
                "something listens on the port of the new service {service}: if it is not its own server, stop it"
            ));
        }
        warn_of_return(worktree, own, &recorded, &choice, narrator);
    }
    if let (Source::Adopted, FileState::Foreign(bytes)) = (plan.source, &before) {
        for name in adopt::other_names(bytes, &config) {
            narrator.warn(format_args!(
                "`{name}` in {} is no service of the config, so its port is not taken over",
                quoted(&worktree.root.path_of(port_file::NAME))
            ));
        }
    }
    let gone_below = plan.gone_below(&choice);

    let assigned = Assigned::new(worktree, in_force, plan.bundle, own);
    let write = Writing {
        held,
        repository,
        worktree,
        assigned: &assigned,
        recorded: &recorded,
        request,
        session,
    };
    let is_same = own == Some(&assigned.reservation);
    if !is_same && is_tracked(worktree, &before, request)? {
        return Ok(Outcome::LeftAlone(FileState::Tracked));
    }
    let done = write.all(is_same)?;
    Ok(match done {
        None => Outcome::Kept(assigned),
        Some(done) => Outcome::Written(
            assigned,
            Summary {
                before,
                wrote_port_file: !is_same,
                files: done.told,
                removed: done.removed,
                gone_below,
            },
        ),
    })
}

/// Whether a port file in that state must not be touched.
pub fn is_to_be_left_alone(state: &FileState, request: Request) -> bool {
    match state {
        FileState::Tracked => true,
        FileState::Foreign(_) => !matches!(request, Request::Reallocate | Request::Adopt),
        FileState::Unreadable(_) => request != Request::Reallocate,
        FileState::Own(_) => request == Request::Allocate,
        FileState::Missing | FileState::Copied | FileState::Damaged => request == Request::Update,
    }
}

/// Whether git tracks the port file. The hook asks only if there is one: a fresh worktree has what its
/// branch has.
///
/// # Errors
/// git tracks the name under which it is written first.
fn is_tracked(worktree: &Worktree, before: &FileState, request: Request) -> Result<bool> {
    let temporary = temporary(port_file::NAME);
    let has_temporary = worktree.root.has(&temporary);
    let is_there = has_temporary || !matches!(before, FileState::Missing);
    if request == Request::Allocate && !is_there {
        return Ok(false);
    }
    let tracked = worktree.tracked(&[port_file::NAME, &temporary])?;
    if has_temporary && tracked.contains(&*temporary) {
        let root = shell_word(worktree.path());
        return Err(error!(
            "git tracks {}, the name under which the port file is written first",
            quoted(&worktree.root.path_of(&temporary))
        )
        .remedy(format!(
            "run `git -C {root} rm --cached {temporary}`, commit, and run `{}`",
            worktree.by_hand()
        )));
    }
    Ok(tracked.contains(port_file::NAME))
}

/// Warns if a port file that has no record, because it was put back by hand, names what another
/// worktree has by now.
fn warn_of_return(
    worktree: &Worktree,
    own: &Reservation,
    recorded: &Recorded,
    choice: &Choice<'_>,
    narrator: &Narrator,
) {
    if recorded.record().is_some() || choice.is_clear(&own.bundle) {
        return;
    }
    narrator.warn(
        error!(
            "another worktree has slot {} or a port of {} by now",
            own.bundle.slot,
            quoted(&worktree.root.path_of(port_file::NAME))
        )
        .remedy(format!("run `{} --reallocate`", worktree.by_hand())),
    );
}

/// What is written for a worktree, and by what.
struct Writing<'a> {
    held: &'a Held,
    repository: &'a Repository,
    worktree: &'a Worktree,
    assigned: &'a Assigned,
    recorded: &'a Recorded,
    request: Request,
    session: &'a Session,
}

impl Writing<'_> {
    /// Writes what has changed: the record under its temporary name, the env files and templates, the
    /// port file, and last the record's own name. So a kill at any point leaves nothing unreserved.
    /// `None` if nothing was written.
    fn all(&self, is_port_file_current: bool) -> Result<Option<Done>> {
        let Writing {
            held,
            worktree,
            assigned,
            recorded,
            request,
            session,
            ..
        } = *self;
        if is_port_file_current && is_written(worktree, assigned, request, session)? {
            return Ok(None);
        }
        let wanted = assigned.wanted();
        let written = recorded.written();
        let files = Files {
            worktree,
            wanted: &wanted,
            written: &written,
            manners: manners(request, worktree),
            session,
        };
        let planned = files.plan_all(held, self.repository)?;
        session.narrator.tolerate(planned.hide(held))?;

        // Until it is known what could be written, the record names all that may have been.
        let both = assigned.record(planned.expected());
        let place = worktree.record_place(held);
        let pending = self.prepare_record(place.as_ref(), &both, is_port_file_current)?;
        files.remove_leftovers(held)?;
        let port_file = if is_port_file_current {
            None
        } else {
            Some(port_file::prepare(held, worktree, &assigned.reservation)?)
        };
        let staged = planned.stage();
        if let Some(error) = staged
            .iter()
            .filter_map(|it| it.as_ref().err())
            .find(|it| it.kind() == ErrorKind::Shortage)
        {
            return Err(error.clone());
        }
        if request == Request::Reallocate
            && let Some(error) = planned.obstacle(&staged)
        {
            let what = "these ports stay: programs that read the file would keep them";
            return Err(error.within(what));
        }

        let done = planned.commit(staged);
        if let Some(Err(error)) = port_file.map(Staged::commit) {
            // The env files name these ports by now.
            if let Some(pending) = pending.filter(|_| !done.told.is_empty()) {
                pending.leave();
            }
            let path = worktree.root.path_of(port_file::NAME);
            return Err(Error::could_not("write", &path)(error));
        }
        if let Some(pending) = pending {
            self.settle_record(pending, &done, &both)?;
        }
        Ok(Some(done))
    }

    /// Writes the record under its temporary name; `None` if writing is refused there.
    fn prepare_record<'p>(
        &self,
        place: Result<&'p RecordPlace, &io::Error>,
        record: &Record,
        is_port_file_current: bool,
    ) -> Result<Option<Staged<'p>>> {
        let path = self.worktree.record_path();
        let could_not = |error: &io::Error| match ErrorKind::of(error) {
            ErrorKind::Refused => {
                if !is_port_file_current {
                    self.session.narrator.warn(format_args!(
                        "could not write {}: these ports are reserved only as long as the port file can be seen",
                        quoted(&path)
                    ));
                }
                Ok(None)
            }
            kind => Err(Error::at("write", &path, error).of_kind(kind)),
        };
        match place.map(|place| place.prepare(record)) {
            Ok(Ok(staged)) => Ok(Some(staged)),
            Ok(Err(error)) => could_not(&error),
            Err(error) => could_not(error),
        }
    }

    /// Gives the record its name. If a file that has our block keeps other ports, the old record stays
    /// beside it, and both count.
    fn settle_record(&self, pending: Staged<'_>, done: &Done, prepared: &Record) -> Result<()> {
        let could_not = || Error::could_not("write", self.worktree.record_path());
        let record = self.assigned.record(done.written.clone());
        if record != *prepared {
            // Whatever fails, what has the temporary name reserves the same.
            if let Err(error) = pending.rewrite(&record.to_json()) {
                pending.leave();
                return Err(could_not()(error));
            }
        }
        let old = self.recorded.record();
        let keeps_ports =
            old.is_some_and(|old| old.reservation.bundle != record.reservation.bundle);
        if done.has_failed && keeps_ports {
            pending.leave();
            return Ok(());
        }
        pending.commit_or_leave().map_err(could_not())
    }
}

/// Removes the unchanged files that were made from templates and are not among `kept`. All else stays
/// as it is. Returns what was removed.
pub fn remove_stale_templates(
    repository: &Repository,
    worktree: &Worktree,
    kept: &[Template],
    session: &Session,
) -> Result<Vec<String>> {
    let locked = locked::acquire(repository, Purpose::Write, session)?;
    worktree.check_registered()?;
    let Some(mut record) = worktree.record()?.record() else {
        return Ok(Vec::new());
    };
    let mut stale = WrittenFiles::default();
    let templates = std::mem::take(&mut record.written.templates).into_iter();
    (record.written.templates, stale.templates) =
        templates.partition(|(path, _)| kept.iter().any(|it| it.target == *path));
    let files = Files {
        worktree,
        wanted: &Wanted::default(),
        written: &stale,
        manners: manners(Request::Update, worktree),
        session,
    };
    let planned = files.plan_all(&locked.held, repository)?;
    let done = planned.commit(planned.stage());
    record.written.templates.extend(done.written.templates);
    let write = |place: RecordPlace| place.prepare(&record)?.commit();
    worktree
        .record_place(&locked.held)
        .and_then(write)
        .map_err(Error::could_not("write", worktree.record_path()))?;
    Ok(done.removed)
}

#[cfg(test)]
mod tests;
