//! What git knows about paths in a worktree: whether it tracks, ignores or shows them. Paths are
//! relative to the root, use `/` on every system, and contain no characters that are special in a
//! pathspec.

use std::collections::BTreeSet;

use crate::error::Result;
use crate::git::command::ask;
use crate::git::config;
use crate::git::worktree::Worktree;

/// The rule that decides whether git ignores a path.
#[derive(Debug, PartialEq, Eq)]
pub enum IgnoreRule {
    /// A rule that ignores it.
    Ignores,
    /// No rule.
    Nothing,
    /// A rule that re-includes it: `<file>:<line>: <pattern>`.
    Reincludes(String),
}

impl Worktree {
    /// Those of `paths` that git tracks: files, and the roots of submodules.
    ///
    /// # Errors
    /// git cannot be run, or cannot read its index.
    pub fn tracked<'a>(&self, paths: &[&'a str]) -> Result<BTreeSet<&'a str>> {
        if paths.is_empty() {
            return Ok(BTreeSet::new());
        }
        // git does not apply `core.ignorecase` to the paths in the arguments.
        let mut arguments = vec!["--icase-pathspecs", "ls-files", "-z", "--"];
        arguments.extend(paths);
        let listed = ask(self.path(), &arguments)?;
        let listed: Vec<&str> = listed
            .split(|&byte| byte == 0)
            .filter_map(|path| str::from_utf8(path).ok())
            .collect();
        let mut tracked = BTreeSet::new();
        for &path in paths {
            let is_alike = |other: &&str| other.eq_ignore_ascii_case(path);
            if listed.contains(&path)
                || listed.iter().any(is_alike) && config::is_true(self.path(), "core.ignorecase")?
            {
                tracked.insert(path);
            }
        }
        Ok(tracked)
    }

    pub fn tracks(&self, path: &str) -> Result<bool> {
        Ok(!self.tracked(&[path])?.is_empty())
    }

    /// Whether git shows the file `path` as untracked.
    pub fn shows_untracked(&self, path: &str) -> Result<bool> {
        let arguments = [
            "ls-files",
            "-z",
            "--others",
            "--exclude-standard",
            "--",
            path,
        ];
        Ok(!ask(self.path(), &arguments)?.is_empty())
    }

    /// The rule for each of `paths`, as if it were not tracked.
    pub fn ignore_rules(&self, paths: &[&str]) -> Result<Vec<IgnoreRule>> {
        if paths.is_empty() {
            return Ok(Vec::new());
        }
        let mut arguments = vec![
            "check-ignore",
            "--no-index",
            "--verbose",
            "--non-matching",
            "--",
        ];
        arguments.extend(paths);
        // `<file>:<line>:<pattern><tab><path>`, with nothing before the tab but `::` without a rule.
        let answer = ask(self.path(), &arguments)?;
        let answer = String::from_utf8_lossy(&answer);
        Ok(answer.lines().map(rule_in).collect())
    }
}

fn rule_in(line: &str) -> IgnoreRule {
    let rule = line.split('\t').next().unwrap_or_default();
    let mut parts = rule.splitn(3, ':');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(file), Some(line), Some(pattern)) if pattern.starts_with('!') => {
            IgnoreRule::Reincludes(format!("{file}:{line}: {pattern}"))
        }
        (Some(_), Some(_), Some(pattern)) if !pattern.is_empty() => IgnoreRule::Ignores,
        _ => IgnoreRule::Nothing,
    }
}

#[cfg(test)]
mod tests;
