//! `--all`: every worktree of the repository, one after the other.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::allocate::adopt;
use crate::allocate::plan::Request;
use crate::cli::{Exit, answer, tell_what_was_replaced};
use crate::config::file as config_file;
use crate::error::{Result, printable};
use crate::git::repository::Repository;
use crate::git::worktree::Worktree;
use crate::report::render;
use crate::reserve::{self, Outcome};
use crate::session::Session;
use crate::state::port_file::FileState;

/// Assigns ports to every worktree that has none and brings all up to date, or takes over the ports
/// of other tools' files. A worktree that cannot have any does not keep the others from theirs.
pub fn serve(repository: &Repository, json: bool, adopt: bool, session: &Session) -> Result<Exit> {
    let narrator = &session.narrator;
    let mut exit = Exit::Done;
    let mut worktrees = Vec::new();
    for worktree in repository.live_worktrees()? {
        match worktree {
            Ok(worktree) if adopt => worktrees.extend(to_adopt(&worktree, repository)?),
            Ok(worktree) => worktrees.push((false, worktree.path().to_owned())),
            Err(error) => {
                narrator.error(&error);
                exit = Exit::Failed;
            }
        }
    }
    worktrees.sort_by_key(|(can_wait, _)| *can_wait);

    let (mut reservations, mut text) = (Vec::new(), String::new());
    // One after the other is opened: there may be more of them than descriptors.
    for (_, path) in &worktrees {
        let Some(worktree) = Worktree::at(path)? else {
            continue;
        };
        let worktree = &worktree;
        let outcome = if adopt {
            reserve::request(repository, worktree, Request::Adopt, session)
        } else {
            reserve::ensure(repository, worktree, session)
        };
        match outcome {
            Ok(Outcome::Kept(assigned)) => reservations.push(assigned.reservation),
            Ok(Outcome::Written(assigned, summary)) => {
                tell_what_was_replaced(&summary.before, worktree, narrator);
                let what = match summary.of_update() {
                    Some(update) if !summary.wrote_port_file => update,
                    _ => summary.of_allocation(&assigned),
                };
                let _ = writeln!(text, "{}: {what}", printable(worktree.name()));
                reservations.push(assigned.reservation);
            }
            // Another tool's file is its owner's wish.
            Ok(Outcome::LeftAlone(state)) => narrator.tell(reserve::left_alone(worktree, &state)),
            Err(error) => {
                narrator.error(&error);
                exit = Exit::Failed;
            }
        }
    }
    let json = json.then(|| render::json(&reservations));
    answer(&json.unwrap_or(text))?;
    Ok(exit)
}

/// Whether a worktree can wait for its turn, and its root, if its port file is another tool's. Ports
/// that stand at a slot are taken over first, so that no other worktree takes it.
fn to_adopt(worktree: &Worktree, repository: &Repository) -> Result<Option<(bool, PathBuf)>> {
    let FileState::Foreign(bytes) = worktree.port_file()? else {
        return Ok(None);
    };
    let config = config_file::of(worktree, repository)?.config;
    let can_wait = !adopt::stands_at_a_slot(&bytes, &config);
    Ok(Some((can_wait, worktree.path().to_owned())))
}
