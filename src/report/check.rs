//! The problems that `--check` finds, each with the command that mends it.

use crate::allocate::choose;
use crate::allocate::probe::Probe;
use crate::config::Config;
use crate::error::{Error, Result, quoted, shell_word};
use crate::git::repository::Found;
use crate::install;
use crate::ports::{Bundle, Slot};
use crate::report::status::{Condition, Surveyed};
use crate::state::port_file;

/// Every problem of the repository and of its worktrees, as `surveyed`.
pub fn problems(
    found: &Found,
    surveyed: &[Surveyed],
    narrate: &dyn Fn(&str),
) -> Result<Vec<Error>> {
    let probe = Probe::new(narrate);
    let mut problems = Vec::from_iter(install::problem(found)?);
    for (i, one) in surveyed.iter().enumerate() {
        if one.is_in_place {
            problems.extend(problem_of_file(one, &surveyed[..i]));
            problems.extend(problem_of_ignoring(found, one)?);
            problems.extend(problem_of_config(found, one, surveyed, &probe)?);
        } else {
            problems.push(problem_of_place(found, one));
        }
    }
    Ok(problems)
}

/// The worktree is not where the repository holds it to be.
fn problem_of_place(found: &Found, one: &Surveyed) -> Error {
    let root = &one.worktree.root;
    let git = format!("git -C {}", shell_word(&found.repository.common_dir));
    if root.join(".git").exists() {
        let what = format!(
            "{} does not lead back to {}",
            quoted(&root.join(".git")),
            quoted(&one.worktree.git_dir)
        );
        return Error::new(what).remedy(format!("run `{git} worktree repair`"));
    }
    let what = format!("the worktree at {} was moved or removed", quoted(root));
    Error::new(what).remedy(format!(
        "run `{git} worktree prune` if it is gone, and `git worktree repair` in its new place if it is not"
    ))
}

/// The port file is not the worktree's own, or names a port of one of `earlier`, which may stay:
/// the main worktree comes first.
fn problem_of_file(one: &Surveyed, earlier: &[Surveyed]) -> Option<Error> {
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
                "git -C {} rm --cached {} && {by_hand}",
                shell_word(root),
                port_file::NAME
            ),
        ),
        Condition::Duplicate => {
            let others: Vec<String> = earlier
                .iter()
                .filter(|other| shares_port(one, other))
                .map(|other| quoted(&other.worktree.root.join(port_file::NAME)))
                .collect();
            if others.is_empty() {
                return None;
            }
            (
                format!("{path} names a port that {} names too", others.join(", ")),
                format!("{by_hand} --reallocate"),
            )
        }
    };
    Some(Error::new(what).remedy(format!("run `{command}`")))
}

fn shares_port(one: &Surveyed, other: &Surveyed) -> bool {
    let (Some(one), Some(other)) = (one.bundle(), other.bundle()) else {
        return false;
    };
    one.ports.iter().any(|(_, port)| other.names(*port))
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
    // The list may be missing, and its last line may lack a newline.
    let command = format!(
        "mkdir -p {} && printf '\\n/%s\\n' {} >> {}",
        shell_word(&found.repository.common_dir.join("info")),
        port_file::NAME,
        shell_word(&exclude)
    );
    let problem = Error::new(format!("git does not ignore {}", quoted(&path)));
    Ok(Some(problem.remedy(format!("run `{command}`"))))
}

/// The config is not valid, or has a service that the bundle lacks.
fn problem_of_config(
    found: &Found,
    one: &Surveyed,
    all: &[Surveyed],
    probe: &Probe<'_>,
) -> Result<Option<Error>> {
    let root = &one.worktree.root;
    if let Err(error) = Config::load(root) {
        return Ok(Some(error));
    }
    // What is wrong with the main worktree's config is told there.
    let Ok(config) = Config::of(root, found.repository.main.root()) else {
        return Ok(None);
    };
    let missing = |bundle: &Bundle| {
        let mut services = config.services.iter();
        let missing = services.find(|service| bundle.port(&service.name).is_none());
        missing.map(|service| service.name.clone())
    };
    let Some(bundle) = one.bundle() else {
        return Ok(None);
    };
    let Some(service) = missing(bundle) else {
        return Ok(None);
    };
    let path = quoted(&root.join(port_file::NAME));
    let joined = choose::follow(bundle, &config, |slot, port| {
        let is_named = |other: &Surveyed| {
            other.worktree.root != *root && other.bundle().is_some_and(|bundle| bundle.names(port))
        };
        let is_main = one.worktree.is_main() && slot == Slot::MAIN;
        Ok(!all.iter().any(is_named) && (is_main || probe.is_free(port)?))
    })?;
    let option = if missing(&joined).is_none() {
        ""
    } else {
        " --reallocate"
    };
    let command = format!("worktree-ports-hook -C {}{option}", shell_word(root));
    let problem = Error::new(format!("{path} has no port for `{service}`"));
    Ok(Some(problem.remedy(format!("run `{command}`"))))
}
