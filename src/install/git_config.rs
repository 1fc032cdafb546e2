//! Our hook in the clone's config, which git runs from 2.54 on: two keys, edited by git itself.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use crate::error::{CouldNot, Result};
use crate::git::config::{self, Scope, os_string};
use crate::install::hook_file::{BEGIN, END};
use crate::install::plan::ConfigHook;

const COMMAND: &str = "hook.worktree-ports.command";
const EVENT: &str = "hook.worktree-ports.event";

/// With this the user has git not run the hook.
pub const ENABLED: &str = "hook.worktree-ports.enabled";

/// What the config of the clone around `directory` has of our hook.
pub fn look(directory: &Path, program: &Path) -> Result<ConfigHook> {
    let commands = config::values(directory, Scope::Local, COMMAND)?;
    let events = config::values(directory, Scope::Local, EVENT)?;
    Ok(match (&commands[..], &events[..]) {
        ([], _) | (_, []) => ConfigHook::Missing,
        ([one], [event]) if *one == command(program) && event == super::HOOK => ConfigHook::Current,
        _ => ConfigHook::Outdated,
    })
}

/// Whether the user has disabled the hook, in whatever config.
pub fn is_disabled(directory: &Path) -> Result<bool> {
    Ok(config::flag(directory, Scope::Effective, ENABLED)? == Some(false))
}

/// Has git run `program` after a checkout in the clone around `directory`.
pub fn wire(directory: &Path, common_dir: &Path, program: &Path) -> Result<()> {
    remove_marks(common_dir)?;
    // In this order: git dies of an event without a command.
    config::set(directory, Scope::Local, COMMAND, &command(program))?;
    config::set(directory, Scope::Local, EVENT, OsStr::new(super::HOOK))
}

/// Undoes that; says whether there was anything to undo.
pub fn unwire(directory: &Path, common_dir: &Path) -> Result<bool> {
    remove_marks(common_dir)?;
    let had_event = config::unset(directory, Scope::Local, EVENT)?;
    let had_command = config::unset(directory, Scope::Local, COMMAND)?;
    Ok(had_event || had_command)
}

/// The command of our hook. git runs `sh -c '<command> "$@"'`, so it is a function that is named
/// last. In the place of a clone that was moved another user may have put a program of theirs.
fn command(program: &Path) -> OsString {
    let path = program.as_os_str().as_encoded_bytes();
    let quoted: Vec<&[u8]> = path.split(|&byte| byte == b'\'').collect();
    let command = [
        b"f() { p='",
        &quoted.join(&br"'\''"[..])[..],
        br#"'; test -O "$p" 2>/dev/null && test ! -L "$p" || p=$(git rev-parse --git-common-dir)/worktree-ports/worktree-ports-hook; "#,
        br#"test -x "$p" && "$p" "$@" || echo "worktree-ports: could not run \`$p\`; "#,
        br#"run \`worktree-ports-hook --install\` or \`--uninstall\` in this clone" >&2 || :; }; f"#,
    ];
    os_string(command.concat())
}

/// Removes the comments that version 0.1.0, which edited the config itself, put around our section:
/// git would keep the section for their sake.
#[expect(
    clippy::disallowed_methods,
    reason = "the config is git's own file, and may be a link"
)]
fn remove_marks(common_dir: &Path) -> Result<()> {
    let path = common_dir.join("config");
    let remove = || -> io::Result<()> {
        let path = dunce::canonicalize(&path)?;
        if without_marks(&fs::read(&path)?).is_none() {
            return Ok(());
        }
        // git's own lock, taken before the reading that counts.
        let name = path.file_name().unwrap_or_default();
        let mut lock = tempfile::Builder::new()
            .prefix(name)
            .suffix(".lock")
            .rand_bytes(0)
            .tempfile_in(path.parent().unwrap_or(common_dir))?;
        if let Some(rest) = without_marks(&fs::read(&path)?) {
            lock.write_all(&rest)?;
            fs::set_permissions(lock.path(), fs::metadata(&path)?.permissions())?;
            lock.persist(&path)?;
        }
        Ok(())
    };
    remove()
        .could_not("edit the config", &path)
        .map_err(|error| {
            error.remedy(
                "if a git that was killed has left `config.lock`, remove that; then run this again",
            )
        })
}

/// A config without our old marks; `None` if it has none. The first may stand behind a last line
/// that had no newline.
fn without_marks(config: &[u8]) -> Option<Vec<u8>> {
    let mut rest = Vec::with_capacity(config.len());
    for line in config.split_inclusive(|&byte| byte == b'\n') {
        // A line that continues another's value is part of it.
        if rest.ends_with(b"\\\n") {
            rest.extend(line);
        } else if let Some(before) = line.strip_suffix(BEGIN.as_bytes()) {
            rest.extend(before);
            if !before.is_empty() {
                rest.push(b'\n');
            }
        } else if line != END.as_bytes() {
            rest.extend(line);
        }
    }
    (rest.len() != config.len()).then_some(rest)
}

#[cfg(test)]
mod tests;
