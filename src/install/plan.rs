//! Decides how our hook comes to run in a clone whose git runs no hooks from its config. Pure.

use crate::install::hook_file::{HOOK_FILE, has_block, is_ours_alone, with_block};
use crate::install::seen::{HookKind, HookPlace, PartState};

/// How our hook comes to run.
#[derive(Debug, PartialEq, Eq)]
pub enum HookPlan {
    /// By the clone's config, with the state of our hook there: no hook file is changed.
    Config(PartState),
    /// By this content of the hook file.
    File(Vec<u8>),
    /// By its owner, who already calls us.
    Owner,
    /// Only after somebody makes the hook that is there call us by hand.
    InTheWay,
    /// The hook file is not executable.
    NotExecutable,
}

/// Decides how our hook comes to run from the hook file.
pub fn plan(place: &HookPlace) -> HookPlan {
    let content = &place.hook.content;
    let with_our_block = || {
        let script = with_block(content).filter(|_| place.is_own_dir);
        script.map(HookPlan::File)
    };
    match place.hook.kind {
        HookKind::Missing if place.is_own_dir => HookPlan::File(HOOK_FILE.into()),
        HookKind::File | HookKind::NotExecutable if place.is_own_dir && is_ours_alone(content) => {
            HookPlan::File(HOOK_FILE.into())
        }
        HookKind::NotExecutable => HookPlan::NotExecutable,
        HookKind::File if has_block(content) => with_our_block().unwrap_or(HookPlan::Owner),
        _ if place.is_called_by_owner => HookPlan::Owner,
        HookKind::File if place.manager.is_none() => with_our_block().unwrap_or(HookPlan::InTheWay),
        _ => HookPlan::InTheWay,
    }
}

#[cfg(test)]
mod tests;
