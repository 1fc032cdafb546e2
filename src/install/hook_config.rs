//! Our hook in the clone's config, which git 2.54 and later run: two keys, edited by git itself.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::error::Result;
use crate::git::config::{self, Scope, os_string};
use crate::install::seen::PartState;
use crate::install::{HOOK, program};

const COMMAND: &str = "hook.worktree-ports.command";
const EVENT: &str = "hook.worktree-ports.event";

/// Looks for our hook in the clone's config. It is outdated if it is from another version, or from
/// before the clone was moved.
pub fn look(common_dir: &Path) -> Result<PartState> {
    let commands = config::values(common_dir, Scope::LOCAL, COMMAND)?;
    let events = config::values(common_dir, Scope::LOCAL, EVENT)?;
    Ok(if commands.is_empty() || events.is_empty() {
        PartState::Missing
    } else if commands == [command(&program::path(common_dir))] && events == [HOOK] {
        PartState::Current
    } else {
        PartState::Outdated
    })
}

/// Makes git run our hook after each checkout in the clone; returns whether that is new.
pub fn wire(common_dir: &Path) -> Result<bool> {
    // The command first: git fails if an event has no command.
    let command = command(&program::path(common_dir));
    let is_new_command = config::set(common_dir, Scope::LOCAL, COMMAND, &command)?;
    Ok(config::set(common_dir, Scope::LOCAL, EVENT, OsStr::new(HOOK))? || is_new_command)
}

/// Undoes that; returns whether there was anything to undo.
pub fn unwire(common_dir: &Path) -> Result<bool> {
    let had_event = config::unset(common_dir, Scope::LOCAL, EVENT)?;
    let had_command = config::unset(common_dir, Scope::LOCAL, COMMAND)?;
    Ok(had_event || had_command)
}

/// The command of our hook. git runs `sh -c '<command> "$@"'`, so the command defines a function and ends
/// in its name. After the clone is moved, another user may put a program at the old path, so the
/// program there runs only if it belongs to whoever runs git.
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
