//! Decides how our hook comes to run in a clone, from the facts about it. Pure.

use crate::install::hook_file::{HOOK_FILE, has_block, is_ours_alone, is_shell_script, with_block};
use crate::install::managers::Manager;
use crate::install::seen::{HookKind, HookPlace};

/// How our hook comes to run.
#[derive(Debug, PartialEq, Eq)]
pub enum HookPlan {
    /// By the clone's config: no hook file is changed.
    Config,
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

/// Decides how our hook comes to run from `place`, with or without a git that runs config hooks.
pub fn plan(place: &HookPlace, has_config_hooks: bool) -> HookPlan {
    let (kind, content) = (place.hook.kind, &place.hook.content);
    let is_own_file = kind == HookKind::File && place.is_own_dir;
    let is_free = kind == HookKind::Missing && place.is_own_dir;
    if has_config_hooks {
        HookPlan::Config
    } else if is_free || is_own_file && is_ours_alone(content) {
        HookPlan::File(HOOK_FILE.into())
    } else if kind == HookKind::File && !place.hook.runs {
        HookPlan::NotExecutable
    } else if let Some(script) = with_block(content).filter(|_| is_own_file && has_block(content)) {
        HookPlan::File(script)
    } else if place.is_called_by_owner || !place.is_own_dir && place.hook.runs_us() {
        HookPlan::Owner
    } else if let Some(manager) = place.manager() {
        HookPlan::InTheWay(Obstacle::Managed(manager))
    } else if let Some(script) = with_block(content).filter(|_| is_own_file) {
        HookPlan::File(script)
    } else {
        HookPlan::InTheWay(match kind {
            HookKind::Missing => Obstacle::NoFile,
            HookKind::File if is_shell_script(content) || has_block(content) => Obstacle::Script,
            HookKind::Other if !place.hook.runs => Obstacle::NotAHook,
            HookKind::File | HookKind::Other => Obstacle::NotShell,
        })
    }
}

#[cfg(test)]
mod tests;
