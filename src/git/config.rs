//! git's config, read and edited by git itself: it locks before it reads, and knows its own syntax.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::process::Output;

use crate::error::{Error, Result};
use crate::git::command::git;

/// Which config is meant.
#[derive(Clone, Copy)]
pub enum Scope {
    /// The clone's own.
    Local,
    /// The user's own.
    Global,
    /// All that git reads for a worktree; not to be edited.
    Effective,
}

/// git's exit status where it finds no such key.
const NOT_FOUND: i32 = 1;
/// git's exit status where there is nothing to unset.
const NOTHING_TO_UNSET: i32 = 5;

/// The values of `key`, in order; for a `directory` in the clone.
///
/// # Errors
/// The config cannot be read. git itself only warns of a file without read access.
pub fn values(directory: &Path, scope: Scope, key: &str) -> Result<Vec<OsString>> {
    read(directory, scope, key, &["-z", "--get-all", key])
}

/// Whether `key` is true, as far as it is set at all.
pub fn flag(directory: &Path, scope: Scope, key: &str) -> Result<Option<bool>> {
    let values = read(
        directory,
        scope,
        key,
        &["-z", "--type=bool", "--get-all", key],
    )?;
    Ok(values.last().map(|value| value == "true"))
}

fn read(directory: &Path, scope: Scope, key: &str, arguments: &[&str]) -> Result<Vec<OsString>> {
    let output = run(directory, scope, arguments, &[])
        .map_err(|error| could_not("read", key, scope, &error.to_string()))?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(0) => {
            let values = output.stdout.split_inclusive(|&byte| byte == 0);
            let without_nul = |value: &[u8]| value.strip_suffix(b"\0").unwrap_or(value).to_owned();
            Ok(values.map(|value| os_string(without_nul(value))).collect())
        }
        Some(NOT_FOUND) if stderr.is_empty() => Ok(Vec::new()),
        _ => Err(could_not("read", key, scope, &stderr)),
    }
}

/// Makes `value` the only one of `key`; writes nothing if it is.
pub fn set(directory: &Path, scope: Scope, key: &str, value: &OsStr) -> Result<()> {
    if values(directory, scope, key)? == [value] {
        return Ok(());
    }
    edit(directory, scope, key, &["--replace-all", key], &[value]).map(drop)
}

/// Adds `value` to those of `key`, unless it is one of them.
pub fn add(directory: &Path, scope: Scope, key: &str, value: &OsStr) -> Result<()> {
    if values(directory, scope, key)?
        .iter()
        .any(|one| one == value)
    {
        return Ok(());
    }
    edit(directory, scope, key, &["--add", key], &[value]).map(drop)
}

/// Removes `key`; says whether it was there.
pub fn unset(directory: &Path, scope: Scope, key: &str) -> Result<bool> {
    edit(directory, scope, key, &["--unset-all", key], &[])
}

/// Removes the values of `key` that match the extended regular expression `pattern`; says whether
/// there were any.
pub fn remove(directory: &Path, scope: Scope, key: &str, pattern: &OsStr) -> Result<bool> {
    edit(directory, scope, key, &["--unset-all", key], &[pattern])
}

fn edit(
    directory: &Path,
    scope: Scope,
    key: &str,
    arguments: &[&str],
    values: &[&OsStr],
) -> Result<bool> {
    let output = run(directory, scope, arguments, values)
        .map_err(|error| could_not("edit", key, scope, &error.to_string()))?;
    match output.status.code() {
        Some(0) => Ok(true),
        Some(NOTHING_TO_UNSET) => Ok(false),
        _ => {
            let stderr = String::from_utf8_lossy(&output.stderr);
            let error = could_not("edit", key, scope, &stderr);
            // Of the lock that git takes to edit.
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
        Scope::Effective => &mut command,
    };
    // A value is bytes, which in another locale a pattern need not match.
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
        Scope::Effective => "git's",
    };
    // git may warn twice of one file.
    let why = why.lines().last().unwrap_or("no reason given");
    Error::new(format!(
        "could not {what} `{key}` in {whose} config with `git config`: {why}"
    ))
}
