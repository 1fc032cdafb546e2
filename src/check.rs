//! The problems that `--check` finds, each with the command that mends it.

use crate::bundle::Bundle;
use crate::config::Config;
use crate::error::{Error, Result, quoted, shell_word};
use crate::install;
use crate::port_file;
use crate::survey::{Condition, Surveyed};
use crate::worktrees::Found;

/// Every problem of the repository and of its worktrees, as `surveyed`.
pub fn problems(found: &Found, surveyed: &[Surveyed]) -> Result<Vec<Error>> {
    let mut problems = Vec::from_iter(install::problem(found)?);
    for one in surveyed {
        if one.is_in_place {
            problems.extend(problem_of_file(one, surveyed));
            problems.extend(problem_of_ignoring(found, one)?);
            problems.extend(problem_of_config(found, one));
        } else {
            problems.push(
                Error::new(format!(
                    "the worktree at {} was moved, copied or removed by hand",
                    quoted(&one.worktree.root)
                ))
                .remedy("run `git worktree repair` in its new place, or `git worktree prune` where it is gone"),
            );
        }
    }
    Ok(problems)
}

/// The port file is not the worktree's own, or not alone in naming its ports.
fn problem_of_file(one: &Surveyed, all: &[Surveyed]) -> Option<Error> {
    let root = &one.worktree.root;
    let path = quoted(&root.join(port_file::NAME));
    let by_hand = format!("worktree-ports-hook -C {}", shell_word(root));
    let (what, command) = match one.condition {
        Condition::Ok | Condition::None => return None,
        Condition::Copied => (format!("{path} is a copy of another worktree's"), by_hand),
        Condition::Damaged => (format!("{path} is damaged"), by_hand),
        Condition::Foreign => (
            format!("{path} is another tool's"),
            format!("{by_hand} --reallocate"),
        ),
        Condition::Tracked => (
            format!("git tracks {path}, so every worktree has the same ports"),
            format!(
                "git -C {} rm --cached {}",
                shell_word(root),
                port_file::NAME
            ),
        ),
        Condition::Duplicate => {
            let others: Vec<String> = all
                .iter()
                .filter(|other| other.worktree.root != *root && shares_port(one, other))
                .map(|other| quoted(&other.worktree.root.join(port_file::NAME)))
                .collect();
            (
                format!("{path} names a port that {} names too", others.join(", ")),
                format!("{by_hand} --reallocate"),
            )
        }
    };
    Some(Error::new(what).remedy(format!("run `{command}`")))
}

fn shares_port(one: &Surveyed, other: &Surveyed) -> bool {
    let ports = |surveyed| Surveyed::bundle(surveyed).map_or(&[][..], |bundle| &bundle.ports);
    let is_in_other = |port| ports(other).iter().any(|(_, theirs)| *theirs == port);
    ports(one).iter().any(|(_, port)| is_in_other(*port))
}

/// git shows the port file, and `git worktree remove` would refuse.
fn problem_of_ignoring(found: &Found, one: &Surveyed) -> Result<Option<Error>> {
    if matches!(one.condition, Condition::None | Condition::Tracked)
        || one.worktree.ignores(port_file::NAME)?
    {
        return Ok(None);
    }
    let path = one.worktree.root.join(port_file::NAME);
    let exclude = found.repository.common_dir.join("info").join("exclude");
    let command = format!("echo /{} >> {}", port_file::NAME, shell_word(&exclude));
    let problem = Error::new(format!("git does not ignore {}", quoted(&path)));
    Ok(Some(problem.remedy(format!("run `{command}`"))))
}

/// The config is not valid, or has a service that the bundle lacks.
fn problem_of_config(found: &Found, one: &Surveyed) -> Option<Error> {
    let root = &one.worktree.root;
    let config = match Config::of(root, found.repository.main.root()) {
        Ok(config) => config,
        Err(error) => return Some(error),
    };
    let lacks = |bundle: &Bundle| {
        let mut services = config.services.iter();
        services.find(|service| bundle.port(&service.name).is_none())
    };
    let service = &one.bundle().and_then(lacks)?.name;
    let path = quoted(&root.join(port_file::NAME));
    let problem = Error::new(format!("{path} has no port for `{service}`"));
    let command = format!("worktree-ports-hook -C {}", shell_word(root));
    Some(problem.remedy(format!(
        "run `{command}`, or `{command} --reallocate` where it cannot join"
    )))
}
