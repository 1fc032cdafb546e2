//! Decides how our hook comes to run in a clone whose git runs no hooks from its config. Pure.

use crate::install::hook_file::{HOOK_FILE, has_block, is_ours_alone, is_shell_script, with_block};
use crate::install::managers::Manager;
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
    /// Only after somebody makes it call us by hand.
    InTheWay(Obstacle),
    /// The hook file is not executable.
    NotExecutable,
}

/// Why `--install` cannot make git run our hook, which decides what to do by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The hook belongs to a manager, and the manager's config must call us.
    Managed(Manager),
    /// `core.hooksPath` names a directory that has no `post-checkout`.
    NoFile,
    /// A shell script that is not in the clone's own hooks directory.
    Script,
    /// A hook in which a line of shell would not run: another language, a binary, a link.
    NotShell,
    /// A link that leads nowhere, or a directory: git runs nothing there.
    NotAHook,
}

/// Decides how our hook comes to run from the hook file.
pub fn plan(place: &HookPlace) -> HookPlan {
    use HookPlan::{File, InTheWay, NotExecutable, Owner};
    let (hook, content) = (&place.hook, &place.hook.content);
    let with_our_block = || with_block(content).filter(|_| place.is_own_dir).map(File);
    match (hook.kind, place.manager()) {
        (HookKind::Missing, _) if place.is_own_dir => File(HOOK_FILE.into()),
        (HookKind::File, _) if place.is_own_dir && is_ours_alone(content) => File(HOOK_FILE.into()),
        (HookKind::File, _) if !hook.runs => NotExecutable,
        (HookKind::File, _) if has_block(content) => with_our_block().unwrap_or(Owner),
        _ if place.is_called_by_owner => Owner,
        (_, Some(manager)) => InTheWay(Obstacle::Managed(manager)),
        (HookKind::Missing, _) => InTheWay(Obstacle::NoFile),
        (HookKind::Other, _) if !hook.runs => InTheWay(Obstacle::NotAHook),
        (HookKind::File, _) if is_shell_script(content) => {
            with_our_block().unwrap_or(InTheWay(Obstacle::Script))
        }
        (HookKind::File | HookKind::Other, _) => InTheWay(Obstacle::NotShell),
    }
}

#[cfg(test)]
mod tests;
