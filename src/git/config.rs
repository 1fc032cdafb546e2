//! git's config, read and edited by git itself: it locks before it reads, and knows its own syntax.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::error::Result;
use crate::git::access;
use crate::git::command::ask;

/// Which config is meant: the flag of `git config` for it.
#[derive(Clone, Copy)]
pub struct Scope(&'static str);

impl Scope {
    /// The clone's own.
    pub const LOCAL: Scope = Scope("--local");
    /// The user's own.
    pub const GLOBAL: Scope = Scope("--global");
    /// That of one worktree.
    pub const WORKTREE: Scope = Scope("--worktree");
    /// All that git reads for a worktree; only for reading.
    pub const EFFECTIVE: Scope = Scope("--includes");
}

/// The values of `key`, in order. `directory` is the common dir, or the root of a worktree for its
/// config.
pub fn values(directory: &Path, scope: Scope, key: &str) -> Result<Vec<OsString>> {
    let output = ask(directory, &["config", scope.0, "-z", "--get-all", key])?;
    let value = |ended: &[u8]| os_string(ended.strip_suffix(b"\0").unwrap_or(ended).to_owned());
    Ok(output
        .split_inclusive(|&byte| byte == 0)
        .map(value)
        .collect())
}

/// The settings whose keys match the extended regular expression `pattern`, in order. git prints a
/// key's section and name in lower case.
pub fn matching(directory: &Path, scope: Scope, pattern: &str) -> Result<Vec<(String, String)>> {
    let arguments = [
        "config",
        scope.0,
        "-z",
        "--includes",
        "--get-regexp",
        pattern,
    ];
    let output = ask(directory, &arguments)?;
    let text = String::from_utf8_lossy(&output);
    // A key without a value is a flag that is true.
    let pair = |entry: &str| {
        let (key, value) = entry.split_once('\n').unwrap_or((entry, "true"));
        (key.to_owned(), value.to_owned())
    };
    Ok(text.split_terminator('\0').map(pair).collect())
}

/// Whether the flag `key` is true for git in `directory`.
pub fn is_true(directory: &Path, key: &str) -> Result<bool> {
    Ok(ask(directory, &["config", "--type=bool", "--get", key])?.starts_with(b"true"))
}

/// Whether git reads the value of a flag as false. It ignores a word that it does not know.
pub fn is_false(value: &str) -> bool {
    ["", "0", "false", "no", "off"].contains(&value.to_ascii_lowercase().as_str())
}

/// Makes `value` the only value of `key`; returns whether something changed.
pub fn set(common_dir: &Path, scope: Scope, key: &str, value: &OsStr) -> Result<bool> {
    let is_needed = values(common_dir, scope, key)? != [value];
    edit(is_needed, common_dir, scope, "--replace-all", key, value)
}

/// Adds `value` to the values of `key`; returns whether it was missing.
pub fn add(common_dir: &Path, scope: Scope, key: &str, value: &OsStr) -> Result<bool> {
    let is_needed = !values(common_dir, scope, key)?.contains(&value.to_owned());
    edit(is_needed, common_dir, scope, "--add", key, value)
}

/// Removes `key`; returns whether it was there.
pub fn unset(common_dir: &Path, scope: Scope, key: &str) -> Result<bool> {
    remove(common_dir, scope, key, "^".as_ref())
}

/// Removes the values of `key` that match the extended regular expression `pattern`; returns whether
/// there were any values.
pub fn remove(common_dir: &Path, scope: Scope, key: &str, pattern: &OsStr) -> Result<bool> {
    let is_needed = !values(common_dir, scope, key)?.is_empty();
    edit(is_needed, common_dir, scope, "--unset-all", key, pattern)
}

/// Edits the config if `is_needed`; returns that.
fn edit(
    is_needed: bool,
    common_dir: &Path,
    scope: Scope,
    action: &str,
    key: &str,
    value: &OsStr,
) -> Result<bool> {
    if !is_needed {
        return Ok(false);
    }
    // git keeps the mode of the file that it replaces, but not its owner and group.
    let file = dunce::canonicalize(common_dir.join("config")).ok();
    let before = file.as_ref().and_then(|file| file.metadata().ok());
    let words = ["config", scope.0, action, key].map(OsStr::new);
    let edited = ask(common_dir, &[&words[..], &[value]].concat());
    if let Some((file, before)) = file.zip(before) {
        access::restore(&file, &before);
    }
    match edited {
        Err(error) if error.parts().0.contains("File exists") => Err(error.remedy(
            "run this again; if a git that was killed has left that `.lock` file, remove it first",
        )),
        edited => edited.map(|_| true),
    }
}

/// Bytes as a path or an argument.
pub fn os_string(bytes: Vec<u8>) -> OsString {
    #[cfg(unix)]
    return std::os::unix::ffi::OsStringExt::from_vec(bytes);
    // git uses UTF-8 there.
    #[cfg(not(unix))]
    return String::from_utf8_lossy(&bytes).into_owned().into();
}
