//! `--all`: every worktree of the repository in turn.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::allocate::adopt;
use crate::allocate::plan::Request;
use crate::cli::{Exit, answer};
use crate::config::file as config_file;
use crate::error::{Error, ErrorKind, Result, printable};
use crate::git::repository::Repository;
use crate::git::worktree::Worktree;
use crate::report::render;
use crate::reserve::{self, Outcome};
use crate::session::Session;
use crate::state::port_file::FileState;

/// Assigns ports to every worktree that has none and updates the others, or takes over the ports of
/// other tools' files. If one worktree fails, the others are served all the same.
pub fn serve(repository: &Repository, json: bool, adopt: bool, session: &Session) -> Result<Exit> {
    let narrator = &session.narrator;
    let mut exit = Exit::Done;
    let mut fail = |error: Error| {
        narrator.error(&error);
        exit = Exit::Failed;
    };
    let mut turns = Vec::new();
    for worktree in repository.live_worktrees()? {
        match worktree.and_then(|it| turn(&it, repository, adopt)) {
            Ok(turn) => turns.extend(turn),
            Err(error) => fail(error),
        }
    }
    turns.sort_by_key(|(can_wait, _)| *can_wait);

    let (mut reservations, mut text) = (Vec::new(), String::new());
    // There may be more worktrees than descriptors, so only one is open at a time.
    for (_, root) in &turns {
        let worktree = match Worktree::at(root) {
            Ok(Some(worktree)) => worktree,
            // It was removed in the meantime.
            Ok(None) => continue,
            Err(error) if error.kind() == ErrorKind::Absent => continue,
            Err(error) => {
                fail(error);
                continue;
            }
        };
        let outcome = if adopt {
            reserve::request(repository, &worktree, Request::Adopt, session)
        } else {
            reserve::ensure(repository, &worktree, session)
        };
        match outcome {
            Ok(Outcome::Kept(assigned)) => reservations.push(assigned.reservation),
            Ok(Outcome::Written(assigned, summary)) => {
                summary.tell_what_was_replaced(&worktree, narrator);
                let what = if summary.wrote_port_file {
                    Some(summary.of_allocation(&assigned))
                } else {
                    summary.of_update()
                };
                if let Some(what) = what {
                    let _ = writeln!(text, "{}: {what}", printable(worktree.name()));
                }
                reservations.push(assigned.reservation);
            }
            // The owner may want another tool's file to stay.
            Ok(Outcome::LeftAlone(state)) => narrator.tell(reserve::left_alone(&worktree, &state)),
            Err(error) => fail(error),
        }
    }
    if json {
        text = render::json(&reservations);
    }
    answer(&text)?;
    Ok(exit)
}

/// Whether a worktree can wait for its turn, and its root; `None` if there is nothing to adopt. Ports
/// that stand at a slot are taken over first, so that no other worktree takes that slot.
fn turn(
    worktree: &Worktree,
    repository: &Repository,
    adopts: bool,
) -> Result<Option<(bool, PathBuf)>> {
    let root = worktree.path().to_owned();
    if !adopts {
        return Ok(Some((false, root)));
    }
    let FileState::Foreign(bytes) = worktree.port_file()? else {
        return Ok(None);
    };
    let config = config_file::of(worktree, repository, None)?.config;
    Ok(Some((!adopt::stands_at_a_slot(&bytes, &config), root)))
}
