//! git's config, read and edited by git itself: it locks before it reads, and knows its own syntax.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::process::Output;

use crate::error::{Error, Result};
use crate::git::access;
use crate::git::command::git;

/// Which config is meant.
#[derive(Clone, Copy)]
pub enum Scope {
    /// The clone's own.
    Local,
    /// The user's own.
    Global,
    /// The one of a worktree alone.
    Worktree,
    /// All that git reads for a worktree; not to be edited.
    Effective,
}

/// git's exit status where it finds no such key.
const NOT_FOUND: i32 = 1;
/// git's exit status where there is nothing to unset.
const NOTHING_TO_UNSET: i32 = 5;

/// The values of `key`, in order. `directory` is the common dir, or the root of a worktree if its config
/// is meant.
///
/// # Errors
/// The config cannot be read. git itself only warns about a file without read access.
pub fn values(directory: &Path, scope: Scope, key: &str) -> Result<Vec<OsString>> {
    let output = read(directory, scope, key, &["-z", "--get-all", key])?;
    let values = output.split_inclusive(|&byte| byte == 0);
    let without_nul = |value: &[u8]| value.strip_suffix(b"\0").unwrap_or(value).to_owned();
    Ok(values.map(|value| os_string(without_nul(value))).collect())
}

/// The settings whose keys match the extended regular expression `pattern`, in order. git prints a
/// key's section and name in lower case.
pub fn matching(directory: &Path, scope: Scope, pattern: &str) -> Result<Vec<(String, String)>> {
    let arguments = ["-z", "--includes", "--get-regexp", pattern];
    let name = pattern.replace(['^', '$', '\\'], "");
    let output = read(directory, scope, &name, &arguments)?;
    let text = String::from_utf8_lossy(&output);
    let entries = text.split_terminator('\0');
    // A key without a value is a flag that is set.
    let pair = |entry: &str| {
        let (key, value) = entry.split_once('\n').unwrap_or((entry, "true"));
        (key.to_owned(), value.to_owned())
    };
    Ok(entries.map(pair).collect())
}

/// Whether git takes the value of a flag for false. It ignores a word that it does not know.
pub fn is_false(value: &str) -> bool {
    ["", "0", "false", "no", "off"].contains(&value.to_ascii_lowercase().as_str())
}

fn read(directory: &Path, scope: Scope, key: &str, arguments: &[&str]) -> Result<Vec<u8>> {
    let output = run(directory, scope, arguments, &[])
        .map_err(|error| could_not("read", key, scope, &error.to_string()))?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(0) => Ok(output.stdout),
        Some(NOT_FOUND) if stderr.is_empty() => Ok(Vec::new()),
        _ => Err(could_not("read", key, scope, &stderr)),
    }
}

/// Makes `value` the only one of `key`; says whether it was not.
pub fn set(common_dir: &Path, scope: Scope, key: &str, value: &OsStr) -> Result<bool> {
    if values(common_dir, scope, key)? == [value] {
        return Ok(false);
    }
    edit(common_dir, scope, key, &["--replace-all", key], &[value])
}

/// Adds `value` to those of `key`; says whether it was not one of them.
pub fn add(common_dir: &Path, scope: Scope, key: &str, value: &OsStr) -> Result<bool> {
    let mut values = values(common_dir, scope, key)?.into_iter();
    if values.any(|one| one == value) {
        return Ok(false);
    }
    edit(common_dir, scope, key, &["--add", key], &[value])
}

/// Removes `key`; says whether it was there.
pub fn unset(common_dir: &Path, scope: Scope, key: &str) -> Result<bool> {
    edit(common_dir, scope, key, &["--unset-all", key], &[])
}

/// Removes the values of `key` that match the extended regular expression `pattern`; says whether
/// there were any.
pub fn remove(common_dir: &Path, scope: Scope, key: &str, pattern: &OsStr) -> Result<bool> {
    edit(common_dir, scope, key, &["--unset-all", key], &[pattern])
}

fn edit(
    common_dir: &Path,
    scope: Scope,
    key: &str,
    arguments: &[&str],
    values: &[&OsStr],
) -> Result<bool> {
    // git keeps the mode of the file that it replaces, but not its owner and group.
    let file = dunce::canonicalize(common_dir.join("config")).ok();
    let before = file.as_ref().and_then(|file| file.metadata().ok());
    let output = run(common_dir, scope, arguments, values)
        .map_err(|error| could_not("edit", key, scope, &error.to_string()))?;
    if let Some((file, before)) = file.zip(before) {
        access::restore(&file, &before);
    }
    match output.status.code() {
        Some(0) => Ok(true),
        Some(NOTHING_TO_UNSET) => Ok(false),
        _ => {
            let stderr = String::from_utf8_lossy(&output.stderr);
            let error = could_not("edit", key, scope, &stderr);
            // git takes a lock to edit.
            Err(if stderr.contains("File exists") {
                error.remedy("run this again; if a git that was killed has left that `.lock` file, remove it first")
            } else {
                error
            })
        }
    }
}

fn run(
    directory: &Path,
    scope: Scope,
    arguments: &[&str],
    values: &[&OsStr],
) -> io::Result<Output> {
    let mut command = git(directory);
    command.arg("config");
    match scope {
        Scope::Local => command.arg("--local"),
        Scope::Global => command.arg("--global"),
        Scope::Worktree => command.arg("--worktree"),
        Scope::Effective => &mut command,
    };
    // A value is bytes, which a pattern need not match in another locale.
    command
        .env("LC_ALL", "C")
        .args(arguments)
        .args(values)
        .output()
}

/// Bytes as a path or an argument.
pub fn os_string(bytes: Vec<u8>) -> OsString {
    #[cfg(unix)]
    return std::os::unix::ffi::OsStringExt::from_vec(bytes);
    // git speaks UTF-8 there.
    #[cfg(not(unix))]
    return String::from_utf8_lossy(&bytes).into_owned().into();
}

fn could_not(what: &str, key: &str, scope: Scope, why: &str) -> Error {
    let whose = match scope {
        Scope::Local => "the clone's",
        Scope::Global => "the user's",
        Scope::Worktree => "the worktree's",
        Scope::Effective => "git's",
    };
    // git may warn twice about one file.
    let why = why.lines().last().unwrap_or("no reason given");
    Error::new(format!(
        "could not {what} `{key}` in {whose} config with `git config`: {why}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn only_what_git_takes_for_false_disables_the_hook() {
        for value in ["false", "No", "off", "0", ""] {
            assert!(is_false(value), "{value}");
        }
        for value in ["true", "yes", "on", "1", "never"] {
            assert!(!is_false(value), "{value}");
        }
    }
}
