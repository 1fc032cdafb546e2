//! The transaction: take the lock, look again, gather what others have, choose, write. Read this
//! file first.

use std::io;

use crate::allocate::adopt;
use crate::allocate::choose::Choice;
use crate::allocate::locked::{self, Locked, Purpose};
use crate::allocate::plan::{Plan, Request, Source, plan};
use crate::allocate::probe::Probe;
use crate::config::file as config_file;
use crate::config::{Service, Template};
use crate::error::{Error, ErrorKind, Result, error, quoted, shell_word};
use crate::files::staged::{Staged, temporary};
use crate::git::repository::Repository;
use crate::git::worktree::Worktree;
use crate::narrator::Narrator;
use crate::session::Session;
use crate::state::port_file::{self, FileState};
use crate::state::record::{Record, Recorded, WrittenFiles};
use crate::state::reservation::Reservation;
use crate::writes::assigned::Assigned;
use crate::writes::files::{Done, Files, Occasion, Wanted};

/// The result of a request.
#[derive(Debug)]
pub enum Outcome {
    /// Everything was up to date, and nothing was written.
    Kept(Assigned),
    /// Files were written.
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
    /// How many worktrees that are gone, but still registered, have a lower slot.
    pub gone_below: usize,
}

impl Summary {
    /// `cloud 8100 (.worktree-ports.json, .env)`, and how many worktrees that are gone hold lower
    /// slots.
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

/// Why a worktree has no ports if its port file was left alone.
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
        _ => error!(
            "{path} belongs to another tool: it lacks `worktree`, `slot` or `ports`, or is larger than 256 KiB"
        )
        .remedy(format!(
            "run `{by_hand} --adopt` to take its ports over, or `--reallocate` to replace it"
        )),
    }
}

/// Makes sure that `worktree` has a bundle, and that its files are up to date. If nothing has to
/// change, no lock is taken.
pub fn ensure(repository: &Repository, worktree: &Worktree, session: &Session) -> Result<Outcome> {
    let mut answer = None;
    if let FileState::Own(own) = worktree.port_file()? {
        let in_force = config_file::of(worktree, repository, Some(&own.bundle))?;
        let assigned = Assigned::of_own(worktree, in_force, &own);
        if is_up_to_date(worktree, &assigned, &own, Occasion::Assign, session)? {
            return Ok(Outcome::Kept(assigned));
        }
        // If no service of the config has a port, there is no answer.
        let has_port = |service: &Service| own.bundle.port(&service.name).is_some();
        answer = Some(assigned).filter(|it| it.config.services.iter().any(has_port));
    }
    request(repository, worktree, Request::Ensure, session).or_else(|error| {
        // The ports stand, even if other files could not be brought up to date.
        let assigned = answer.ok_or_else(|| error.clone())?;
        session.narrator.warn(error);
        Ok(Outcome::Kept(assigned))
    })
}

/// Carries out a request for `worktree` under the lock.
pub fn request(
    repository: &Repository,
    worktree: &Worktree,
    request: Request,
    session: &Session,
) -> Result<Outcome> {
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
    Ok(assigned.is_in(own) && is_written(worktree, assigned, occasion, session)?)
}

/// Whether the record, the env files and the files from templates are up to date, and no
/// interrupted run has left a temporary file.
fn is_written(
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
    let files = files.look();
    // What cannot be done is not tried again at each checkout.
    let is_outdated = |why: Option<&Error>| why.is_none() || occasion != Occasion::Update;
    Ok(!files.outdated().any(|(_, why)| is_outdated(why)) && !files.has_leftovers())
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

/// A request for one worktree, under the lock.
struct Transaction<'a> {
    locked: &'a Locked,
    repository: &'a Repository,
    worktree: &'a Worktree,
    request: Request,
    session: &'a Session,
}

impl Transaction<'_> {
    /// Looks, gathers, chooses and writes: nothing that was read before the lock decides.
    fn run(&self) -> Result<Outcome> {
        let (repository, worktree, request) = (self.repository, self.worktree, self.request);
        let narrator = &self.session.narrator;
        // It may have been moved or removed in the meantime, and another may be in its place.
        worktree.check_registered()?;
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
        let others = reservations.others_than(None);
        let choice = Choice::new(&in_force.config, others, worktree.is_main());
        let recorded = worktree.record()?;
        if request != Request::Allocate {
            recorded.check_readable()?;
        }
        let probe = Probe::new(narrator);
        let plan = plan(worktree, &before, &recorded, &choice, &probe, request)?;
        for warning in self.warnings(&plan, &before, &recorded, &choice, &probe)? {
            narrator.warn(warning);
        }
        let gone_below = plan.gone_below(&choice);
        let assigned = Assigned::new(worktree, in_force, plan.bundle, own);
        let is_same = own == Some(&assigned.reservation);
        if !is_same && self.is_port_file_tracked(&before)? {
            return Ok(Outcome::LeftAlone(FileState::Tracked));
        }
        Ok(match self.write(&assigned, &recorded, is_same)? {
            None => Outcome::Kept(assigned),
            Some(files) => {
                let wrote_port_file = !is_same;
                let summary = Summary {
                    before,
                    wrote_port_file,
                    files,
                    gone_below,
                };
                Outcome::Written(assigned, summary)
            }
        })
    }

    /// What a person should know about the ports in `plan`.
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
        let mut warnings = Vec::from_iter(plan.left_out(self.worktree, choice));
        if let FileState::Own(own) = before {
            for service in plan.joined_in_use(&own.bundle, probe)? {
                warnings.push(error!(
                    "something listens on the port of the new service {service}: if it is not its own server, stop it"
                ));
            }
            // A port file without a record was put back by hand.
            if recorded.record().is_none() && !choice.is_clear(&own.bundle) {
                let slot = own.bundle.slot;
                let warning = error!("another worktree now has slot {slot} or a port in {path}");
                warnings.push(warning.remedy(format!("run `{by_hand} --reallocate`")));
            }
        }
        if let (Source::Adopted, FileState::Foreign(bytes)) = (plan.source, before) {
            for name in adopt::other_names(bytes, choice.config()) {
                warnings.push(error!(
                    "`{name}` in {path} is not a service in the config, so its port is not taken over"
                ));
            }
        }
        Ok(warnings)
    }

    /// Whether git tracks the port file. In a fresh worktree, git is only asked if the file exists: a
    /// tracked one would have been checked out.
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
            return Err(error!(
                "git tracks {path}, the name under which the port file is written first"
            )
            .remedy(remedy));
        }
        Ok(tracked.contains(port_file::NAME))
    }

    /// Writes what has changed: the record under its temporary name, the env files and templates, the
    /// port file, and last renames the record, so that a kill at any point leaves nothing unreserved.
    /// `None` if nothing had to be written.
    fn write(
        &self,
        assigned: &Assigned,
        recorded: &Recorded,
        is_same: bool,
    ) -> Result<Option<Done>> {
        let Transaction {
            worktree,
            repository,
            session,
            ..
        } = *self;
        let (held, occasion) = (&self.locked.held, self.request.occasion());
        if is_same && is_written(worktree, assigned, occasion, session)? {
            return Ok(None);
        }
        let (wanted, written) = (assigned.wanted(), recorded.written());
        let files = Files::new(worktree, wanted, written, occasion, session);
        let planned = files.plan(held, repository)?;
        session.narrator.tolerate(planned.hide(held, repository))?;
        // Until it is known which files could be written, the record names all of them.
        let both = assigned.record(planned.expected(repository));
        let pending = worktree.stage_record(held, &both);
        let pending = pending
            .map(Some)
            .or_else(|error| self.without_record(error, is_same))?;
        planned.remove_leftovers(held)?;
        let port_file = || port_file::prepare(held, worktree, &assigned.reservation);
        let port_file = (!is_same).then(port_file).transpose()?;
        let staged = planned.stage();
        let mut errors = staged.iter().filter_map(|staged| staged.as_ref().err());
        if let Some(error) = errors.find(|error| error.kind() == ErrorKind::Shortage) {
            return Err(error.clone());
        }
        if self.request == Request::Reallocate
            && let Some(error) = planned.obstacle(&staged)
        {
            let what = "these ports stay: programs that read the file would keep them";
            return Err(error.within(what));
        }
        let done = planned.commit(staged, repository);
        if let Some(Err(error)) = port_file.map(Staged::commit) {
            // The env files already name these ports.
            if let Some(pending) = pending.filter(|_| !done.told.is_empty()) {
                pending.leave();
            }
            let path = worktree.root.path_of(port_file::NAME);
            return Err(Error::could_not("write", path)(error));
        }
        if let Some(pending) = pending {
            let could_not = Error::could_not("write", worktree.record_path());
            settle_record(pending, assigned, &done, recorded, &both).map_err(could_not)?;
        }
        Ok(Some(done))
    }

    /// Goes on without a record if writing is refused there.
    fn without_record<T>(&self, error: io::Error, is_same: bool) -> Result<Option<T>> {
        let path = self.worktree.record_path();
        match ErrorKind::of(&error) {
            ErrorKind::Refused if is_same => {}
            ErrorKind::Refused => self.session.narrator.warn(format_args!(
                "could not write {}: these ports are reserved only as long as the port file can be seen",
                quoted(&path)
            )),
            _ => return Err(Error::could_not("write", path)(error)),
        }
        Ok(None)
    }
}

/// Renames the record. If a file with our block still has other ports, the old record stays beside
/// it, and both count.
fn settle_record(
    pending: Staged<'_>,
    assigned: &Assigned,
    done: &Done,
    before: &Recorded,
    prepared: &Record,
) -> io::Result<()> {
    let record = assigned.record(done.written.clone());
    if record != *prepared {
        // If this fails, the file under the temporary name still reserves the same ports.
        if let Err(error) = pending.rewrite(&record.to_json()) {
            pending.leave();
            return Err(error);
        }
    }
    let old = before.record();
    let bundle = &record.reservation.bundle;
    if done.has_failed && old.is_some_and(|old| old.reservation.bundle != *bundle) {
        pending.leave();
        return Ok(());
    }
    pending.commit_or_leave()
}

/// Removes unchanged files made from templates that are not among `kept`, and returns their paths.
/// Everything else stays as it is.
pub fn remove_stale_templates(
    repository: &Repository,
    worktree: &Worktree,
    kept: &[Template],
    session: &Session,
) -> Result<Vec<String>> {
    let held = &locked::acquire(repository, Purpose::Write, session)?.held;
    worktree.check_registered()?;
    let Some(mut record) = worktree.record()?.record() else {
        return Ok(Vec::new());
    };
    let mut stale = WrittenFiles::default();
    (record.written.templates, stale.templates) = std::mem::take(&mut record.written.templates)
        .into_iter()
        .partition(|(path, _)| kept.iter().any(|it| it.target == *path));
    let files = Files::new(
        worktree,
        Wanted::default(),
        stale,
        Occasion::Update,
        session,
    );
    let planned = files.plan(held, repository)?;
    let done = planned.commit(planned.stage(), repository);
    record.written.templates.extend(done.written.templates);
    let staged = worktree.stage_record(held, &record);
    let written = staged.and_then(Staged::commit);
    written.map_err(Error::could_not("write", worktree.record_path()))?;
    Ok(done.removed)
}

#[cfg(test)]
mod tests;
