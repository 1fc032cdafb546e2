//! What git's post-checkout tells, and the decision it leads to; pure.

use crate::error::Result;
use crate::state::port_file::State;

/// A checkout of a branch or a commit, as git tells of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Checkout {
    /// There was no HEAD before: a new worktree, as a rule.
    pub is_first: bool,
}

impl Checkout {
    /// Reads git's arguments `<previous HEAD> <new HEAD> <flag>`; `None` where flag says that only
    /// files were checked out.
    pub fn parse(previous_head: &str, flag: &str) -> Option<Checkout> {
        (flag == "1").then(|| Checkout {
            is_first: previous_head.bytes().all(|byte| byte == b'0'),
        })
    }
}

/// What the hook does in a linked worktree.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision {
    /// The worktree has a bundle, or another tool's file stands there.
    Nothing,
    /// The worktree needs a bundle.
    Reserve,
    /// git tracks the port file: it is every worktree's, and so none's own.
    TellTracked,
}

/// Decides by whose the port file is. Only a first checkout asks whether it `is_tracked`: that
/// costs, and a file that was the worktree's own before is not tracked now, or is left alone.
pub fn decide(
    checkout: &Checkout,
    state: &State,
    is_tracked: impl FnOnce() -> Result<bool>,
) -> Result<Decision> {
    if *state == State::Missing {
        return Ok(Decision::Reserve);
    }
    if checkout.is_first && is_tracked()? {
        return Ok(Decision::TellTracked);
    }
    Ok(match state {
        State::Ok(_) | State::Foreign => Decision::Nothing,
        State::Missing | State::Copied | State::Damaged => Decision::Reserve,
    })
}

#[cfg(test)]
mod tests;
