//! git's post-checkout hook: which checkouts it serves, and how.

use std::mem;
use std::path::Path;

use crate::allocate::locked::{self, Purpose};
use crate::allocate::plan::Request;
use crate::config::file::{self as config_file, ConfigInForce};
use crate::error::Result;
use crate::git::repository::{self, Owner, Repository};
use crate::git::worktree::Worktree;
use crate::ports::{Port, ServiceName};
use crate::reserve::{self, Outcome};
use crate::session::Session;
use crate::state::port_file::{self, FileState};
use crate::state::record::WrittenFiles;
use crate::state::reservation::Reservation;
use crate::writes::assigned::Assigned;
use crate::writes::files::{Files, Occasion, Wanted};

/// Serves the checkout of a branch or a commit in `here`, the current directory: a linked worktree
/// without ports gets some, and a worktree that has ports is brought up to date. Otherwise, it
/// reads a few small files and returns, without libgit2.
///
/// # Errors
/// The worktree got no ports, or its files could not be brought up to date.
pub fn run(here: &Path, is_first: bool, session: &Session) -> Result<()> {
    let Some(worktree) = Worktree::at(here)? else {
        return Ok(());
    };
    let state = worktree.port_file()?;
    // In a fresh worktree, the file comes from the branch or from a tool that copies files.
    let is_fresh = is_first && !worktree.is_main() && !matches!(state, FileState::Missing);
    if is_fresh && worktree.tracks(port_file::NAME)? {
        return Err(reserve::left_alone(&worktree, &FileState::Tracked));
    }
    match state {
        FileState::Own(own) => update(&worktree, &own, session),
        FileState::Foreign(_) => Ok(()),
        _ if worktree.is_main() => Ok(()),
        state @ FileState::Unreadable(_) => Err(reserve::left_alone(&worktree, &state)),
        FileState::Missing | FileState::Copied | FileState::Damaged | FileState::Tracked => {
            allocate(&worktree, session)
        }
    }
}

fn open(worktree: &Worktree) -> Result<Repository> {
    repository::set_up(Owner::CheckedByGit);
    Repository::open(&worktree.common_dir)
}

fn allocate(worktree: &Worktree, session: &Session) -> Result<()> {
    match reserve::request(&open(worktree)?, worktree, Request::Allocate, session)? {
        // Another hook or a call by hand was faster.
        Outcome::Kept(_) | Outcome::LeftAlone(FileState::Own(_) | FileState::Foreign(_)) => {}
        Outcome::LeftAlone(state) => return Err(reserve::left_alone(worktree, &state)),
        Outcome::Written(assigned, summary) => {
            session.narrator.tell(summary.of_allocation(&assigned));
        }
    }
    Ok(())
}

/// Brings the files of a worktree up to date with its own config.
fn update(worktree: &Worktree, own: &Reservation, session: &Session) -> Result<()> {
    let is_detached = worktree.is_detached()?;
    let Some(config) = config_file::load(worktree)? else {
        if !is_detached {
            remove_stale_templates(worktree, session)?;
        }
        return Ok(());
    };
    let in_force = ConfigInForce::own(config);
    let assigned = Assigned::of_own(worktree, in_force, own);
    if reserve::is_up_to_date(worktree, &assigned, own, Occasion::Update, session)? {
        return Ok(());
    }
    // A rebase or a bisect checks out commits that lack what the branch has.
    if is_detached && would_take_away(worktree, own, &assigned, session)? {
        return Ok(());
    }
    let outcome = reserve::request(&open(worktree)?, worktree, Request::Update, session)?;
    if let Outcome::Written(_, summary) = outcome
        && let Some(summary) = summary.of_update()
    {
        session.narrator.tell(summary);
    }
    Ok(())
}

/// Whether the config lacks a service, a URL, a variable or a file that is written in this worktree.
fn would_take_away(
    worktree: &Worktree,
    own: &Reservation,
    assigned: &Assigned,
    session: &Session,
) -> Result<bool> {
    let new = &assigned.reservation;
    let has_service = |(name, _): &(ServiceName, Port)| assigned.config.service(name).is_some();
    let lacks_service = !own.bundle.ports.iter().all(has_service);
    let has_url = |(name, _): &(String, String)| new.urls.iter().any(|(other, _)| other == name);
    let lacks_url = !own.urls.iter().all(has_url);
    let (wanted, written) = (assigned.wanted(), worktree.record()?.written());
    let files = Files::new(worktree, wanted, written, Occasion::Update, session);
    Ok(lacks_service || lacks_url || files.look()?.would_take_away())
}

/// A branch without a config keeps everything that is written, except for files made from another
/// branch's templates.
fn remove_stale_templates(worktree: &Worktree, session: &Session) -> Result<()> {
    let written = worktree.record()?.written();
    if written.templates.is_empty() {
        return Ok(());
    }
    let repository = open(worktree)?;
    let config = config_file::of(worktree, &repository, None)?.config;
    let is_kept = |path: &String| config.templates.iter().any(|it| it.target == *path);
    if written.templates.keys().all(is_kept) {
        return Ok(());
    }
    let held = &locked::acquire(&repository, Purpose::Write, session)?.held;
    worktree.check_registered()?;
    let recorded = worktree.record()?;
    let Some(mut record) = recorded.record().filter(|_| !recorded.is_pending()) else {
        // If an earlier call was interrupted, both records count until a later one completes it.
        return Ok(());
    };
    let mut stale = WrittenFiles::default();
    (record.written.templates, stale.templates) = mem::take(&mut record.written.templates)
        .into_iter()
        .partition(|(path, _)| is_kept(path));
    let wanted = Wanted::default();
    let files = Files::new(worktree, wanted, stale, Occasion::Update, session);
    let planned = files.plan(held, &repository)?;
    let done = planned.commit(planned.stage()?, &repository);
    record.written.templates.extend(done.written.templates);
    worktree.write_record(held, &record)?;
    if !done.removed.is_empty() {
        let removed = done.removed.join(", ");
        session.narrator.tell(format_args!("removed {removed}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
