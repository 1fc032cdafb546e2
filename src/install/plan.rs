//! How our hook comes to run in a clone, decided from what was seen there; pure.

use std::path::PathBuf;

use crate::install::hook_file::{HOOK_FILE, has_block, is_ours_alone, with_block};
use crate::install::managers::{Manager, UNKNOWN};

/// What lies at the path of a hook.
#[derive(Debug, PartialEq, Eq)]
pub enum Hook {
    Missing,
    /// A regular file.
    File {
        content: Vec<u8>,
        is_executable: bool,
    },
    /// A link, or what is no regular file or too large for a script, with what is known of its
    /// content.
    Other(Vec<u8>),
}

impl Hook {
    pub fn content(&self) -> &[u8] {
        match self {
            Hook::Missing => &[],
            Hook::File { content, .. } | Hook::Other(content) => content,
        }
    }

    /// Whether it is a file that git runs, with our block in it.
    pub fn runs_us(&self) -> bool {
        matches!(self, Hook::File { content, is_executable: true } if has_block(content))
    }
}

/// What the clone's config has of our hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigHook {
    Missing,
    /// Another version's, or of a clone that has been moved.
    Outdated,
    Current,
}

/// What is known of a clone's hooks before anything is decided.
pub struct Seen {
    /// Where git looks for hooks.
    pub hooks_dir: PathBuf,
    /// Whether that is `<common dir>/hooks` itself, a directory of this clone alone.
    pub is_own_hooks_dir: bool,
    /// What lies at `post-checkout` there.
    pub hook: Hook,
    /// Whether the hook's owner calls us already: its config does, or it calls our file, moved.
    pub is_called_by_owner: bool,
    /// What the config has; `None` if the git on the PATH runs no hooks that its config names.
    pub config: Option<ConfigHook>,
}

impl Seen {
    /// Whose the hook is, if not ours.
    pub fn manager(&self) -> Manager {
        Manager::of(&self.hooks_dir, self.hook.content())
    }
}

/// How our hook comes to run.
#[derive(Debug, PartialEq, Eq)]
pub enum Plan {
    /// By the clone's config: no file of anybody is touched.
    Config,
    /// By this content of the hook file.
    File(Vec<u8>),
    /// By its owner, who calls us already.
    Owner,
    /// Not before its owner's config calls us.
    InTheWay(Manager),
    /// Not before the file there can run.
    NotExecutable,
}

/// Decides how our hook comes to run.
pub fn plan(seen: &Seen) -> Plan {
    let owner = || {
        if seen.is_called_by_owner {
            Plan::Owner
        } else {
            Plan::InTheWay(seen.manager())
        }
    };
    if seen.config.is_some() {
        return Plan::Config;
    }
    match &seen.hook {
        Hook::Missing if seen.is_own_hooks_dir => Plan::File(HOOK_FILE.into()),
        Hook::File { content, .. } if seen.is_own_hooks_dir && is_ours_alone(content) => {
            Plan::File(HOOK_FILE.into())
        }
        Hook::File {
            is_executable: false,
            ..
        } => Plan::NotExecutable,
        Hook::File { content, .. } if seen.is_own_hooks_dir => {
            let is_managed = seen.manager() != UNKNOWN || seen.is_called_by_owner;
            match with_block(content) {
                Some(script) if has_block(content) || !is_managed => Plan::File(script),
                _ => owner(),
            }
        }
        Hook::Missing | Hook::File { .. } | Hook::Other(_) => owner(),
    }
}

#[cfg(test)]
mod tests;
