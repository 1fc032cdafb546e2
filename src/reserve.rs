//! The transaction that gives one worktree its ports: lock, check again, gather what others have,
//! choose, write.

use std::io;

use crate::allocate::adopt;
use crate::allocate::choose::Choice;
use crate::allocate::locked::{self, Locked, Purpose};
use crate::allocate::plan::{Plan, Request, plan};
use crate::allocate::probe::Probe;
use crate::config::Service;
use crate::config::file as config_file;
use crate::error::{Error, ErrorKind, Result, error, shell_word, unless_shortage};
use crate::files::staged::{Staged, temporary};
use crate::git::repository::Repository;
use crate::git::worktree::Worktree;
use crate::narrator::Narrator;
use crate::session::Session;
use crate::state::port_file::{self, FileState};
use crate::state::record::{Record, Recorded};
use crate::state::reservation::Reservation;
use crate::writes::assigned::Assigned;
use crate::writes::exclude;
use crate::writes::files::{Done, Files, Occasion};

/// The result of a request.
#[derive(Debug)]
pub enum Outcome {
    /// The ports are as they were. Everything was up to date, or the update failed with a warning.
    Kept(Assigned),
    /// Files were written or removed.
    Written(Assigned, Summary),
    /// Nothing was written, because the port file must not be touched.
    LeftAlone(FileState),
}

/// What was written, and what was there before.
#[derive(Debug)]
pub struct Summary {
    before: FileState,
    pub wrote_port_file: bool,
    pub files: Done,
    /// How many worktrees whose directory is gone hold a lower slot.
    pub gone_below: usize,
}

impl Summary {
    /// `cloud 8100 (.worktree-ports.json, .env)`: services and their ports, the files that were
    /// written, and how many worktrees that are gone hold lower slots.
    pub fn of_allocation(&self, assigned: &Assigned) -> String {
        let mut files = vec![port_file::NAME];
        files.extend(self.files.told.iter().map(String::as_str));
        let files = files.join(", ");
        let gone = match self.gone_below {
            0 => String::new(),
            1 => " (1 worktree that is gone holds a lower slot; if it is gone for good, git worktree prune frees it)".to_owned(),
            n => format!(" ({n} worktrees that are gone hold lower slots; if they are gone for good, git worktree prune frees them)"),
        };
        format!("{} ({files}){gone}", assigned.reservation.bundle)
    }

    /// `updated .worktree-ports.json, .env; removed config.toml`; `None` if nothing changed.
    pub fn of_update(&self) -> Option<String> {
        let mut updated = Vec::from_iter(self.wrote_port_file.then_some(port_file::NAME));
        updated.extend(self.files.told.iter().map(String::as_str));
        let removed: Vec<&str> = self.files.removed.iter().map(String::as_str).collect();
        let mut parts = Vec::new();
        for (what, files) in [("updated", updated), ("removed", removed)] {
            if !files.is_empty() {
                parts.push(format!("{what} {}", files.join(", ")));
            }
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }

    /// Tells what was replaced, if the port file was not the worktree's own.
    pub fn tell_what_was_replaced(&self, worktree: &Worktree, narrator: &Narrator) {
        let was = match &self.before {
            FileState::Copied => "a copy of another worktree's",
            FileState::Damaged => "damaged",
            FileState::Unreadable(_) => "unreadable",
            FileState::Foreign(_) => "another tool's",
            FileState::Missing | FileState::Own(_) | FileState::Tracked => return,
        };
        let path = worktree.root.quoted(port_file::NAME);
        narrator.tell(format_args!("replaced {path}, which was {was}"));
    }
}

/// The error for a port file in that state that was left alone.
pub fn left_alone(worktree: &Worktree, state: &FileState) -> Error {
    let path = worktree.root.quoted(port_file::NAME);
    let (root, by_hand) = (shell_word(worktree.path()), worktree.by_hand());
    let name = port_file::NAME;
    match state {
        FileState::Tracked => error!("git tracks {path}, so all worktrees would share it").remedy(
            format!("run `git -C {root} rm --cached {name}`, commit, and run `{by_hand}`"),
        ),
        FileState::Unreadable(error) => error!("could not read {path}: {error}").remedy(format!(
            "make it readable, or run `{by_hand} --reallocate` to replace it"
        )),
        // A file of the worktree's own is no error, and one that is missing or broken is replaced.
        _ => error!(
            "{path} belongs to another tool: it lacks `worktree`, `slot` or `ports`, or is larger than 256 KiB"
        )
        .remedy(format!(
            "run `{by_hand} --adopt` to take over its ports, or with `--reallocate` to replace it"
        )),
    }
}

/// Makes sure that `worktree` has ports, and that its files are up to date. If nothing has to change,
/// no lock is taken.
pub fn ensure(repository: &Repository, worktree: &Worktree, session: &Session) -> Result<Outcome> {
    let mut fallback = None;
    if let FileState::Own(own) = worktree.port_file()? {
        let in_force = config_file::of(worktree, repository, Some(&own.bundle))?;
        let assigned = Assigned::of_own(worktree, in_force, &own);
        if is_up_to_date(worktree, &assigned, &own, Occasion::Assign, session)?
            && has_exclude_lines(worktree)?
        {
            return Ok(Outcome::Kept(assigned));
        }
        let has_port = |service: &Service| own.bundle.port(&service.name).is_some();
        fallback = Some(assigned).filter(|it| it.config.services.iter().any(has_port));
    }
    match (
        request(repository, worktree, Request::Ensure, session),
        fallback,
    ) {
        // The ports are still valid.
        (Err(error), Some(assigned)) => {
            session.narrator.warn(error);
            Ok(Outcome::Kept(assigned))
        }
        (outcome, _) => outcome,
    }
}

/// Carries out a request for `worktree` under the lock.
pub fn request(
    repository: &Repository,
    worktree: &Worktree,
    request: Request,
    session: &Session,
) -> Result<Outcome> {
    Files::wait_for_writers(worktree, repository, session)?;
    let transaction = Transaction {
        locked: &locked::acquire(repository, Purpose::Write, session)?,
        repository,
        worktree,
        request,
        session,
    };
    transaction.run()
}

/// Whether nothing has to be written for `worktree`, whose own port file is `own`.
pub fn is_up_to_date(
    worktree: &Worktree,
    assigned: &Assigned,
    own: &Reservation,
    occasion: Occasion,
    session: &Session,
) -> Result<bool> {
    Ok(assigned.matches(own) && are_files_up_to_date(worktree, assigned, occasion, session)?)
}

/// Whether the record, the env files and the files from templates are up to date, and no
/// interrupted run has left a temporary file.
fn are_files_up_to_date(
    worktree: &Worktree,
    assigned: &Assigned,
    occasion: Occasion,
    session: &Session,
) -> Result<bool> {
    let recorded = worktree.record()?;
    if !assigned.is_recorded(worktree, &recorded) {
        return Ok(false);
    }
    let (wanted, written) = (assigned.wanted(), recorded.written());
    let files = Files::new(worktree, wanted, written, occasion, session);
    let looked = files.look()?;
    // A checkout does not retry what cannot be done.
    let is_to_do = |why: Option<&Error>| why.is_none() || occasion != Occasion::Update;
    let has_to_do = looked
        .outdated()
        .iter()
        .any(|(_, why)| is_to_do(why.as_ref()));
    Ok(!has_to_do && !looked.has_leftovers())
}

/// Whether the exclude list names the port file, or cannot be changed anyway. Somebody may have replaced the
/// list.
fn has_exclude_lines(worktree: &Worktree) -> Result<bool> {
    let hidden = unless_shortage(exclude::hidden(&worktree.common_dir))?;
    let is_named = hidden.is_ok_and(|hidden| hidden.contains(port_file::NAME));
    Ok(is_named || !exclude::is_writable(&worktree.common_dir))
}

/// Whether a port file in this state must not be touched.
pub fn is_to_be_left_alone(state: &FileState, request: Request) -> bool {
    match state {
        FileState::Tracked => true,
        FileState::Foreign(_) => !matches!(request, Request::Reallocate | Request::Adopt),
        FileState::Unreadable(_) => request != Request::Reallocate,
        // Another call was faster.
        FileState::Own(_) => request == Request::Allocate,
        // There is nothing to update.
        FileState::Missing | FileState::Copied | FileState::Damaged => request == Request::Update,
    }
}

/// A request for one worktree, under the lock.
#[derive(Clone, Copy)]
struct Transaction<'a> {
    locked: &'a Locked,
    repository: &'a Repository,
    worktree: &'a Worktree,
    request: Request,
    session: &'a Session,
}

impl Transaction<'_> {
    fn run(&self) -> Result<Outcome> {
        let (repository, worktree, request) = (self.repository, self.worktree, self.request);
        let narrator = &self.session.narrator;
        // While this waited for the lock, it may have been moved, removed or replaced.
        worktree.check_registered()?;
        // After a kill, files may have ports that only the record under the temporary name reserves.
        if request == Request::Reallocate && worktree.record()?.is_pending() {
            let finish = Transaction {
                request: Request::Ensure,
                ..*self
            };
            // Its error may be the reason for this call.
            let _ = unless_shortage(finish.run())?;
        }
        let before = worktree.port_file()?;
        if is_to_be_left_alone(&before, request) {
            return Ok(Outcome::LeftAlone(before));
        }
        let own = before.own();
        let in_force = config_file::of(worktree, repository, own.map(|own| &own.bundle))?;
        let reservations = self.locked.gather(repository, Some(worktree))?;
        for doubt in reservations.doubts() {
            narrator.warn(doubt);
        }
        let others = reservations.except(None);
        let choice = Choice::new(&in_force.config, others, worktree.is_main());
        let recorded = worktree.record()?;
        // In a fresh worktree, nothing has been written that only the record knows of.
        if request != Request::Allocate {
            recorded.check_readable(&worktree.record_path())?;
        }
        let probe = Probe::new(narrator);
        let plan = plan(worktree, &before, &recorded, &choice, &probe, request)?;
        for warning in self.warnings(&plan, &before, &recorded, &choice, &probe)? {
            narrator.warn(warning);
        }
        let gone_below = plan.gone_below;
        let assigned = Assigned::new(worktree, in_force, plan.bundle, own);
        let is_same = own == Some(&assigned.reservation);
        if !is_same && self.is_port_file_tracked(&before)? {
            return Ok(Outcome::LeftAlone(FileState::Tracked));
        }
        let occasion = request.occasion();
        if is_same
            && are_files_up_to_date(worktree, &assigned, occasion, self.session)?
            && (occasion == Occasion::Update || has_exclude_lines(worktree)?)
        {
            return Ok(Outcome::Kept(assigned));
        }
        let files = self.write(&assigned, &recorded, is_same)?;
        let wrote_port_file = !is_same;
        let summary = Summary {
            before,
            wrote_port_file,
            files,
            gone_below,
        };
        Ok(Outcome::Written(assigned, summary))
    }

    /// Warnings about the ports in `plan`.
    fn warnings(
        &self,
        plan: &Plan,
        before: &FileState,
        recorded: &Recorded,
        choice: &Choice<'_>,
        probe: &Probe<'_>,
    ) -> Result<Vec<Error>> {
        let path = self.worktree.root.quoted(port_file::NAME);
        let by_hand = self.worktree.by_hand();
        let mut warnings = Vec::from_iter(plan.left_out.clone());
        if let FileState::Own(own) = before
            && self.request != Request::Reallocate
        {
            for (service, port) in &plan.bundle.ports {
                if own.bundle.port(service).is_none() && !probe.is_free(*port)? {
                    warnings.push(error!(
                        "something listens on port {port} of the new service {service}: unless it is {service} itself, stop it"
                    ));
                }
            }
            // If the record does not name them, they may have been given to another worktree in the meantime.
            if !recorded.has(&own.bundle) && !choice.is_clear(&own.bundle) {
                let slot = own.bundle.slot;
                let warning = error!("another worktree has taken slot {slot} or a port in {path}");
                warnings.push(warning.remedy(format!("run `{by_hand} --reallocate`")));
            }
        }
        if let (Request::Adopt, FileState::Foreign(bytes)) = (self.request, before) {
            for name in adopt::other_names(bytes, choice.config) {
                warnings.push(error!(
                    "`{name}` in {path} is not a service in the config, so its port is ignored"
                ));
            }
        }
        Ok(warnings)
    }

    /// Whether git tracks the port file. In a fresh worktree, git is only asked if the file or its
    /// temporary name exists: a tracked one would have been checked out.
    ///
    /// # Errors
    /// git tracks the temporary name of the port file.
    fn is_port_file_tracked(&self, before: &FileState) -> Result<bool> {
        let worktree = self.worktree;
        let temporary = temporary(port_file::NAME);
        let has_temporary = worktree.root.has(&temporary);
        let is_there = has_temporary || !matches!(before, FileState::Missing);
        if self.request == Request::Allocate && !is_there {
            return Ok(false);
        }
        let tracked = worktree.tracked(&[port_file::NAME, &temporary])?;
        if has_temporary && tracked.contains(&*temporary) {
            let (root, by_hand) = (shell_word(worktree.path()), worktree.by_hand());
            let path = worktree.root.quoted(&temporary);
            let remedy =
                format!("run `git -C {root} rm --cached {temporary}`, commit, and run `{by_hand}`");
            let problem = error!("git tracks {path}, the temporary name of the port file");
            return Err(problem.remedy(remedy));
        }
        Ok(tracked.contains(port_file::NAME))
    }

    /// Writes everything, so that a kill at any point leaves no port in a file that is not reserved.
    fn write(&self, assigned: &Assigned, recorded: &Recorded, is_same: bool) -> Result<Done> {
        let (worktree, repository) = (self.worktree, self.repository);
        let (held, session) = (&self.locked.held, self.session);
        let (wanted, written) = (assigned.wanted(), recorded.written());
        let files = Files::new(worktree, wanted, written, self.request.occasion(), session);
        let planned = files.plan(held, repository)?;
        session.narrator.tolerate(planned.hide(held, repository))?;
        planned.remove_leftovers(held)?;
        // On an error, everything staged is removed.
        let staged = if self.request == Request::Reallocate {
            let what = "these ports stay, because a file that names them cannot be changed";
            let again = format!("{} --reallocate", worktree.by_hand());
            let failed = |error: Error| error.within(what).then_run(&again);
            Some(planned.stage_all().map_err(failed)?)
        } else {
            None
        };
        // Until it is known which files could be written, the record names all of them.
        let record = assigned.record(planned.expected(repository));
        let bundle = &record.reservation.bundle;
        let warns = !is_same && !recorded.has(bundle);
        // A file may still have the ports of a record that a kill has left under the temporary name.
        let keeps_pending = recorded.is_pending() && recorded.has(bundle);
        let mut staged_record = if keeps_pending {
            None
        } else {
            self.stage_record(&record, warns)?
        };
        let port_file = || port_file::prepare(held, worktree, &assigned.reservation);
        let port_file = (!is_same).then(port_file).transpose()?;
        let staged = staged.map_or_else(|| planned.stage(), Ok)?;

        let done = planned.commit(staged, repository);
        if !done.told.is_empty() {
            // Env files name the ports now, so these stay reserved, whatever fails.
            staged_record.iter_mut().for_each(Staged::keep);
        }
        if let Some(port_file) = port_file {
            let path = worktree.root.path_of(port_file::NAME);
            port_file
                .commit()
                .map_err(Error::could_not("write", path))?;
        }
        if keeps_pending && !done.has_failed {
            staged_record = self.stage_record(&record, false)?;
        }
        if let Some(staged) = staged_record {
            let could_not = Error::could_not("write", worktree.record_path());
            let settled = self.settle(record, staged, recorded, &done);
            settled.map_err(could_not)?;
        }
        Ok(done)
    }

    /// Writes the record under its temporary name; `None` if that is not allowed.
    fn stage_record(&self, record: &Record, warns: bool) -> Result<Option<Staged<'_>>> {
        let path = self.worktree.record_path();
        match self.worktree.stage_record(&self.locked.held, record) {
            Err(error) if ErrorKind::of(&error) == ErrorKind::Refused => {
                if warns {
                    let error = Error::could_not("write", &path)(error);
                    self.session.narrator.warn(format_args!(
                        "{error}; these ports are reserved only as long as the port file is there"
                    ));
                }
                Ok(None)
            }
            staged => staged.map(Some).map_err(Error::could_not("write", path)),
        }
    }

    /// Renames the record, unless a file of ours still has other ports: then the old one stays too.
    fn settle<'s>(
        &'s self,
        mut record: Record,
        mut staged: Staged<'s>,
        before: &Recorded,
        done: &Done,
    ) -> io::Result<()> {
        staged.keep();
        if record.written != done.written {
            record.written = done.written.clone();
            staged = self.worktree.stage_record(&self.locked.held, &record)?;
        }
        let old = before.record().map(|old| old.reservation.bundle);
        if done.has_failed && old.is_some_and(|old| old != record.reservation.bundle) {
            return Ok(());
        }
        staged.commit()
    }
}

#[cfg(test)]
mod tests;
