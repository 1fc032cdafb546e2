//! Whether git ignores a file at a worktree's root. An allocation reads no ignore rules; `--check`
//! asks git about them.

use std::fs;

use crate::error::{CouldNot, Error, Result};
use crate::files::untrusted::{self, PlainFile};
use crate::git::command;
use crate::git::worktree::Worktree;

/// How much of a `.gitignore` is read, in bytes, before git is asked instead.
const LIMIT: usize = 256 * 1024;

/// What git does with a file that it does not track.
#[derive(Debug, PartialEq, Eq)]
pub enum Ignored {
    /// It ignores it.
    Yes,
    /// No rule is about it.
    No,
    /// A rule says not to ignore it: `<file>:<line>: <pattern>`.
    Negated(String),
}

/// Whether git ignores `name`, a file at the root of `worktree`.
///
/// # Errors
/// git had to be asked and could not tell.
pub fn look(worktree: &Worktree, name: &str) -> Result<Ignored> {
    if is_excluded_for_certain(worktree, name)? {
        return Ok(Ignored::Yes);
    }
    let arguments = [
        "check-ignore",
        "--no-index",
        "--verbose",
        "--non-matching",
        "--",
        name,
    ];
    let mut git = command::git(&worktree.root);
    let output = git.args(arguments).output();
    let output = output.could_not("ask git what it ignores in", &worktree.root)?;
    // 1 says that no rule is about it.
    if !matches!(output.status.code(), Some(0 | 1)) {
        let cause = String::from_utf8_lossy(&output.stderr);
        let what = "ask git what it ignores in";
        return Err(Error::at(what, &worktree.root, cause.trim_end()));
    }
    // `<file>:<line>:<pattern><tab><name>`, with nothing before the tab but `::` without a rule.
    let answer = String::from_utf8_lossy(&output.stdout);
    let rule = answer.split('\t').next().unwrap_or_default();
    let mut parts = rule.splitn(3, ':');
    Ok(match (parts.next(), parts.next(), parts.next()) {
        (Some(file), Some(line), Some(pattern)) if pattern.starts_with('!') => {
            Ignored::Negated(format!("{file}:{line}: {pattern}"))
        }
        (Some(_), Some(_), Some(pattern)) if !pattern.is_empty() => Ignored::Yes,
        _ => Ignored::No,
    })
}

/// Whether `info/exclude` has the line that an allocation puts there, and no rule of the worktree
/// can say otherwise. git would take a process for each worktree to answer this.
#[expect(
    clippy::disallowed_methods,
    reason = "git's own `info/exclude`, known to be small"
)]
fn is_excluded_for_certain(worktree: &Worktree, name: &str) -> Result<bool> {
    let exclude = worktree.common_dir.join("info").join("exclude");
    let is_small_file =
        fs::metadata(&exclude).is_ok_and(|there| there.is_file() && there.len() <= LIMIT as u64);
    if !is_small_file {
        return Ok(false);
    }
    let rules = fs::read_to_string(&exclude).unwrap_or_default();
    let line = format!("/{name}");
    if !rules.lines().any(|rule| rule.trim_end() == line) || has_negation(&rules, name) {
        return Ok(false);
    }
    let path = worktree.root.join(".gitignore");
    Ok(
        match untrusted::read(&path, LIMIT).could_not("read", &path)? {
            // git follows no link there either.
            PlainFile::Missing | PlainFile::NotRegular(_) => true,
            PlainFile::Read {
                bytes,
                truncated: false,
            } => !has_negation(&String::from_utf8_lossy(&bytes), name),
            PlainFile::Read { .. } | PlainFile::Unreadable(_) => false,
        },
    )
}

/// Whether one of the rules may be about `name` and say not to ignore it.
fn has_negation(rules: &str, name: &str) -> bool {
    let mut negated = rules.lines().filter_map(|rule| rule.strip_prefix('!'));
    negated.any(|pattern| pattern.contains(['*', '?', '[', '\\']) || pattern.contains(name))
}

#[cfg(test)]
mod tests;
