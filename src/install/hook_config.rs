//! Our hook in the clone's config, which git runs from 2.54 on: two keys, edited by git itself.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::error::Result;
use crate::git::config::{self, Scope, os_string};
use crate::install::HOOK;

const COMMAND: &str = "hook.worktree-ports.command";
const EVENT: &str = "hook.worktree-ports.event";

/// With one of these the user keeps git from running the hook, or all of that event.
pub const ENABLED: [&str; 2] = ["hook.worktree-ports.enabled", "hook.post-checkout.enabled"];

/// What the clone's config has of our hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigHook {
    Missing,
    /// Another version's, or that of a clone that has been moved.
    Outdated,
    Current,
}

/// What the config of the clone has of the hook that runs `program`.
pub fn look(common_dir: &Path, program: &Path) -> Result<ConfigHook> {
    let commands = config::values(common_dir, Scope::Local, COMMAND)?;
    let events = config::values(common_dir, Scope::Local, EVENT)?;
    Ok(match (&commands[..], &events[..]) {
        ([], _) | (_, []) => ConfigHook::Missing,
        ([one], [event]) if *one == command(program) && event == HOOK => ConfigHook::Current,
        _ => ConfigHook::Outdated,
    })
}

/// Has git run `program` after a checkout in the clone.
pub fn wire(common_dir: &Path, program: &Path) -> Result<()> {
    // In this order: git dies of an event without a command.
    config::set(common_dir, Scope::Local, COMMAND, &command(program))?;
    config::set(common_dir, Scope::Local, EVENT, OsStr::new(HOOK)).map(drop)
}

/// Undoes that; says whether there was anything to undo.
pub fn unwire(common_dir: &Path) -> Result<bool> {
    let had_event = config::unset(common_dir, Scope::Local, EVENT)?;
    let had_command = config::unset(common_dir, Scope::Local, COMMAND)?;
    Ok(had_event || had_command)
}

/// The command of our hook. git runs `sh -c '<command> "$@"'`, so it is a function that is named
/// last. If the clone was moved, another user may have put a program of theirs in its old place.
fn command(program: &Path) -> OsString {
    let path = program.as_os_str().as_encoded_bytes();
    let quoted: Vec<&[u8]> = path.split(|&byte| byte == b'\'').collect();
    let command = [
        b"f() { p='",
        &quoted.join(&br"'\''"[..])[..],
        br#"'; test -O "$p" 2>/dev/null && test ! -L "$p" || p=$(git rev-parse --git-common-dir)/worktree-ports/worktree-ports-hook; "#,
        br#"test -x "$p" && "$p" "$@" || echo "worktree-ports: could not run \`$p\`; "#,
        br#"run \`worktree-ports-hook -C \"$PWD\" --install\`, or the same with \`--uninstall\` to remove this hook" >&2 || :; }; f"#,
    ];
    os_string(command.concat())
}

#[cfg(test)]
mod tests;
