//! git's post-checkout hook: whether a checkout is ours to serve, and serving it.

use std::path::Path;

use crate::allocate::plan::Aim;
use crate::error::Result;
use crate::git::index;
use crate::git::lock::LockOptions;
use crate::git::repository::{self, Owner, Repository};
use crate::git::worktree::Worktree;
use crate::reserve::{self, Outcome};
use crate::state::port_file::{self, State};

/// A checkout of a branch or a commit, as git tells of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Checkout {
    /// There was no HEAD before: a new worktree, as a rule.
    pub is_first: bool,
}

impl Checkout {
    /// Reads git's arguments `<previous HEAD> <new HEAD> <flag>`; `None` if the flag says that only
    /// files were checked out.
    pub fn parse(previous_head: &str, flag: &str) -> Option<Checkout> {
        (flag == "1").then(|| Checkout {
            is_first: previous_head.bytes().all(|byte| byte == b'0'),
        })
    }
}

/// Serves a checkout in `here`, the current directory: a linked worktree that has no ports gets
/// some. Any other checkout ends here, after two or three small files, without libgit2 and without
/// a look at the `options`.
///
/// # Errors
/// The worktree has no ports of its own.
pub fn run<'a>(
    checkout: &Checkout,
    here: &Path,
    options: impl FnOnce() -> Result<LockOptions<'a>>,
) -> Result<()> {
    let Some(worktree) = Worktree::linked_at(here)? else {
        return Ok(());
    };
    let open = || {
        repository::set_up(Owner::CheckedByGit);
        Repository::open(&worktree.common_dir)
    };
    // A file that was not tracked at the first checkout is the worktree's own later on, or is left
    // alone: so that only the first one pays for the question.
    let is_tracked = |is_there: bool| {
        let is_asked = is_there && checkout.is_first;
        Ok(is_asked && index::tracks(&worktree, port_file::NAME, open()?.hash_len)?)
    };
    let state = port_file::look(&worktree.root, worktree.id.as_deref(), is_tracked)?;
    match state {
        State::Own(_) | State::Foreign => return Ok(()),
        State::Tracked | State::Unreadable(_) => {
            return Err(reserve::left_alone(&worktree, &state));
        }
        State::Missing | State::Copied | State::Damaged => {}
    }
    let options = options()?;
    match reserve::reserve(&open()?, &worktree, Aim::Have, &options)? {
        // Another hook or a call by hand was faster.
        Outcome::Kept(_) | Outcome::LeftAlone(State::Own(_) | State::Foreign) => {}
        Outcome::LeftAlone(state) => return Err(reserve::left_alone(&worktree, &state)),
        Outcome::Written(assigned, written) => {
            options.narrator.tell(written.summary(&assigned));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
