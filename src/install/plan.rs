//! How our hook comes to run in a clone, decided from what was seen there; pure.

use crate::install::hook_file::{HOOK_FILE, has_block, is_ours_alone, is_shell_script, with_block};
use crate::install::managers::Manager;
use crate::install::seen::{Hook, HookPlace};

/// How our hook comes to run.
#[derive(Debug, PartialEq, Eq)]
pub enum HookPlan {
    /// By the clone's config: no hook file is changed.
    Config,
    /// By this content of the hook file.
    File(Vec<u8>),
    /// By its owner, who already calls us.
    Owner,
    /// Not before somebody makes it call us by hand.
    InTheWay(Obstacle),
    /// The hook file is not executable.
    NotExecutable,
}

/// What keeps `--install` from having git run our hook, and decides what to do by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The hook belongs to a manager, whose config must call us.
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
    if has_config_hooks {
        return HookPlan::Config;
    }
    if let Hook::File { content, .. } = &place.hook
        && place.is_own_dir
        && is_ours_alone(content)
    {
        return HookPlan::File(HOOK_FILE.into());
    }
    let obstacle = match &place.hook {
        Hook::Missing if place.is_own_dir => return HookPlan::File(HOOK_FILE.into()),
        #[rustfmt::skip]
        Hook::File { is_executable: false, .. } => return HookPlan::NotExecutable,
        Hook::File { content, .. } if place.is_own_dir && has_block(content) => {
            return with_block(content).map_or(HookPlan::Owner, HookPlan::File);
        }
        _ if place.is_called_by_owner => return HookPlan::Owner,
        hook => match (place.manager(), hook) {
            (Some(manager), _) => Obstacle::Managed(manager),
            (None, Hook::File { content, .. }) if place.is_own_dir => match with_block(content) {
                Some(script) => return HookPlan::File(script),
                None => Obstacle::NotShell,
            },
            (None, Hook::Missing) => Obstacle::NoFile,
            (None, Hook::File { content, .. })
                if is_shell_script(content) || has_block(content) =>
            {
                Obstacle::Script
            }
            (None, Hook::Other { runs: false, .. }) => Obstacle::NotAHook,
            (None, Hook::File { .. } | Hook::Other { .. }) => Obstacle::NotShell,
        },
    };
    HookPlan::InTheWay(obstacle)
}

#[cfg(test)]
mod tests;
