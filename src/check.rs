//! The problems that `--check` finds, each with the command that mends it.

use std::fmt::Write;
use std::path::Path;

use crate::config::{self, Config};
use crate::error::{Result, quoted};
use crate::install;
use crate::port_file;
use crate::survey::{Condition, Surveyed};
use crate::worktrees::Found;

/// Something that keeps a worktree from having its own ports, or that will.
pub struct Problem {
    /// What is wrong, and where.
    pub what: String,
    /// The command that mends it.
    pub remedy: String,
}

/// Every problem of the repository and of its worktrees, as `surveyed`.
pub fn problems(found: &Found, surveyed: &[Surveyed]) -> Result<Vec<Problem>> {
    let mut problems = install::problems(found)?;
    for one in surveyed {
        problems.extend(problem_of_file(one, surveyed));
        if one.is_in_place {
            problems.extend(problems_of_rules(found, one)?);
        }
    }
    Ok(problems)
}

/// What is wrong with the port file of `one`, and with its place.
fn problem_of_file(one: &Surveyed, all: &[Surveyed]) -> Option<Problem> {
    let root = &one.worktree.root;
    let path = quoted(&root.join(port_file::NAME));
    let by_hand = |option: &str| format!("worktree-ports-hook -C {}{option}", shell_word(root));
    if !one.is_in_place {
        return Some(Problem {
            what: format!(
                "the worktree at {} was moved, copied or removed by hand",
                quoted(root)
            ),
            remedy:
                "`git worktree repair` in its new place, or `git worktree prune` where it is gone"
                    .to_owned(),
        });
    }
    let (what, remedy) = match one.condition {
        Condition::Ok | Condition::None => return None,
        Condition::Copied => (
            format!("{path} is a copy of another worktree's"),
            by_hand(""),
        ),
        Condition::Damaged => (format!("{path} is damaged"), by_hand("")),
        Condition::Foreign => (
            format!("{path} is another tool's"),
            by_hand(" --reallocate"),
        ),
        Condition::Tracked => (
            format!("git tracks {path}, so every worktree has the same ports"),
            format!(
                "git -C {} rm --cached {}",
                shell_word(root),
                port_file::NAME
            ),
        ),
        Condition::Duplicate => (
            format!(
                "{path} names a port that {} names too",
                others_with_its_ports(one, all)
            ),
            by_hand(" --reallocate"),
        ),
    };
    Some(Problem {
        what,
        remedy: format!("`{remedy}`"),
    })
}

/// Where a worktree has a bundle: what git and the config make of it.
fn problems_of_rules(found: &Found, one: &Surveyed) -> Result<Vec<Problem>> {
    let root = &one.worktree.root;
    let mut problems = Vec::new();
    if !matches!(one.condition, Condition::None | Condition::Tracked)
        && !one.worktree.ignores(port_file::NAME)?
    {
        let exclude = found.repository.common_dir.join("info").join("exclude");
        problems.push(Problem {
            what: format!(
                "git does not ignore {}",
                quoted(&root.join(port_file::NAME))
            ),
            remedy: format!("`echo /{} >> {}`", port_file::NAME, shell_word(&exclude)),
        });
    }
    match Config::of(root, found.repository.main.root()) {
        Err(error) => problems.push(Problem {
            what: error.to_string(),
            remedy: format!("`\"$EDITOR\" {}`", shell_word(&root.join(config::NAME))),
        }),
        Ok(config) => {
            let lacks = |bundle: &crate::bundle::Bundle| {
                let mut services = config.services.iter().map(|service| service.name.clone());
                services.find(|service| bundle.port(service).is_none())
            };
            if let Some(service) = one.bundle().and_then(lacks) {
                problems.push(Problem {
                    what: format!(
                        "{} has no port for `{service}`",
                        quoted(&root.join(port_file::NAME))
                    ),
                    remedy: format!(
                        "`worktree-ports-hook -C {}`, or with `--reallocate` where it cannot join",
                        shell_word(root)
                    ),
                });
            }
        }
    }
    Ok(problems)
}

fn others_with_its_ports(one: &Surveyed, all: &[Surveyed]) -> String {
    let mut others = String::new();
    let shares = |other: &&Surveyed| {
        let ports = |surveyed: &Surveyed| {
            surveyed
                .bundle()
                .cloned()
                .map(|bundle| bundle.ports)
                .unwrap_or_default()
        };
        let mine = ports(one);
        other.worktree.root != one.worktree.root
            && ports(other)
                .iter()
                .any(|(_, port)| mine.iter().any(|(_, own)| own == port))
    };
    for other in all.iter().filter(shares) {
        let comma = if others.is_empty() { "" } else { ", " };
        let _ = write!(
            others,
            "{comma}{}",
            quoted(&other.worktree.root.join(port_file::NAME))
        );
    }
    others
}

/// A path as a word of a shell command.
fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,:@%=".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
