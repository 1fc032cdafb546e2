//! What keeps the hook of a clone from running, or from being the only one that writes port files:
//! pure rules over what was seen.

use std::path::Path;

use crate::error::{Error, error, quoted, shell_word};
use crate::install::hook_config::ConfigHook;
use crate::install::managers::HUSKY;
use crate::install::plan::{HookPlan, plan};
use crate::install::program::{self, ProgramCopy};
use crate::install::seen::{Disabled, Hook, HookPlace, SeenElsewhere, SeenHook};
use crate::install::{HOOK, PROGRAM};
use crate::state::port_file;

/// A problem of the hook in one worktree, or in all.
pub struct HookProblem {
    /// What is wrong, and what to do about it.
    pub error: Error,
    /// Whether `--install` mends it, or prints what does.
    pub is_for_install: bool,
}

impl HookProblem {
    /// What `--install` mends in the worktree with the root `at`.
    fn for_install(what: String, at: &Path) -> HookProblem {
        let error = Error::new(what).remedy(run_install(at));
        HookProblem {
            error,
            is_for_install: true,
        }
    }
}

/// What a person must mend.
impl From<Error> for HookProblem {
    fn from(error: Error) -> HookProblem {
        HookProblem {
            error,
            is_for_install: false,
        }
    }
}

fn run_install(at: &Path) -> String {
    format!("run `{PROGRAM} -C {} --install`", shell_word(at))
}

/// The problems of the hook in all worktrees of the clone.
pub fn problems(seen: &SeenHook, elsewhere: &SeenElsewhere) -> Vec<HookProblem> {
    let mut problems: Vec<HookProblem> = Vec::new();
    if seen.is_noexec {
        // Whatever else keeps it from running, this must be mended first.
        problems.push(noexec(&seen.common_dir).into());
    } else {
        problems.extend(problem_here(seen));
        for place in &elsewhere.places {
            let problem = problem_elsewhere(seen, place);
            // One command mends a `core.hooksPath` for all worktrees.
            let is_told = |problem: &HookProblem| {
                let remedy = problem.error.parts().1;
                problems.iter().any(|told| told.error.parts().1 == remedy)
            };
            let problem = problem.filter(|problem| !is_told(problem));
            problems.extend(problem);
        }
    }
    let here = &seen.place.at;
    problems.extend(
        elsewhere
            .disabled
            .iter()
            .map(|it| disabled(it, here).into()),
    );
    problems.extend(elsewhere.older.iter().map(|hook| older(hook, here).into()));
    problems
}

/// Why the hook does not run, or not as this version would install it, where the program was called.
fn problem_here(seen: &SeenHook) -> Option<HookProblem> {
    let place = &seen.place;
    let outdated = |file: &Path| {
        let file = quoted(file);
        format!("the hook in {file} is not the one that this version installs")
    };
    let is_executable = !matches!(&place.hook, Hook::File { is_executable, .. } if !is_executable);
    let what = match seen.plan() {
        _ if seen.config.is_none() && place.in_main.is_some() => {
            return Some(in_the_way(seen, place));
        }
        HookPlan::InTheWay(_) => return Some(in_the_way(seen, place)),
        HookPlan::NotExecutable => return Some(others_not_executable(place).into()),
        HookPlan::File(_) if !is_executable => Some(not_executable(place)),
        HookPlan::File(script) if place.hook.content() == script => None,
        HookPlan::File(_) if place.hook.runs_us() => Some(outdated(&place.path())),
        HookPlan::Config if seen.config == Some(ConfigHook::Current) => None,
        HookPlan::Config if seen.config == Some(ConfigHook::Outdated) => {
            Some(outdated(&seen.common_dir.join("config")))
        }
        // An older git has installed it.
        HookPlan::Config if place.hook.runs_us() => None,
        HookPlan::File(_) | HookPlan::Config => Some(format!(
            "no hook is installed in {}",
            quoted(&seen.common_dir)
        )),
        // A line that somebody wrote by hand may call another copy of the program.
        HookPlan::Owner if place.manager().is_none() => return None,
        HookPlan::Owner => None,
    };
    let what = what.or_else(|| wrong_program(seen))?;
    Some(HookProblem::for_install(what, &place.at))
}

/// What is wrong with the copy of the program that the hook runs.
fn wrong_program(seen: &SeenHook) -> Option<String> {
    let state = match seen.program {
        ProgramCopy::Same => return None,
        ProgramCopy::Missing => "missing",
        ProgramCopy::NotExecutable => "not executable",
        ProgramCopy::Differs => "a different build from the one you are running",
    };
    let copy = quoted(&program::path(&seen.common_dir));
    Some(format!("the hook runs {copy}, which is {state}"))
}

/// Why the hook does not run in another worktree, for which git looks for hooks elsewhere.
fn problem_elsewhere(seen: &SeenHook, place: &HookPlace) -> Option<HookProblem> {
    match plan(place, false) {
        HookPlan::Owner if place.in_main.is_none() => None,
        _ if place.hook.runs_us() => None,
        _ if place.is_own_setting => Some(own_hooks_path(place).into()),
        _ => Some(in_the_way(seen, place)),
    }
}

fn own_hooks_path(place: &HookPlace) -> Error {
    let (root, dir) = (quoted(&place.at), quoted(&place.hooks_dir));
    error!(
        "the worktree {root} has a `core.hooksPath` of its own, {dir}, so git does not run the \
         hook there"
    )
    .remedy(format!(
        "run `git -C {} config --worktree --unset-all core.hooksPath`, or {} to see what to add \
         to it",
        shell_word(&place.at),
        run_install(&place.at)
    ))
}

/// The hook that git runs for the worktree of `place` is not ours, or is not there.
fn in_the_way(seen: &SeenHook, place: &HookPlace) -> HookProblem {
    let manager = place.manager();
    if let Some(in_main) = &place.in_main {
        let remedy = if manager == Some(HUSKY) {
            format!("run `cd {} && npm install`", shell_word(&place.at))
        } else {
            let (here, in_main) = (shell_word(&seen.place.at), shell_word(in_main));
            format!("run `git -C {here} config core.hooksPath {in_main}`")
        };
        let dir = quoted(&place.hooks_dir);
        let what = format!(
            "`core.hooksPath` names {dir}, which is missing, so `git worktree add` runs no hook \
             there"
        );
        return Error::new(what).remedy(remedy).into();
    }
    let what = if seen.own_file_runs_us && manager.is_none() {
        let hidden = quoted(&seen.common_dir.join("hooks").join(HOOK));
        format!("`core.hooksPath` hides the hook {hidden}")
    } else {
        let whose = manager.map_or_else(String::new, |it| format!(" is {}'s and", it.name));
        format!("{}{whose} does not call {PROGRAM}", quoted(&place.path()))
    };
    HookProblem::for_install(what, &place.at)
}

fn not_executable(place: &HookPlace) -> String {
    let hook = quoted(&place.path());
    format!("{hook} is not executable, so git does not run it")
}

/// The hook file is somebody else's and not executable.
pub fn others_not_executable(place: &HookPlace) -> Error {
    let (hook, install) = (shell_word(&place.path()), run_install(&place.at));
    let remedy = format!("remove it or run `chmod +x {hook}`, then {install}");
    Error::new(not_executable(place)).remedy(remedy)
}

/// No program in the common dir can run.
pub fn noexec(common_dir: &Path) -> Error {
    let dir = quoted(common_dir);
    error!("{dir} is on a file system that runs no programs (noexec), so the hook cannot run")
        .remedy(format!(
            "mount it without `noexec`; until then, run `{PROGRAM}` by hand in each new worktree"
        ))
}

fn disabled(Disabled { key, only_in }: &Disabled, here: &Path) -> Error {
    let at = shell_word(only_in.as_deref().unwrap_or(here));
    match only_in {
        None => error!("`{key}` is false, so git does not run the hook")
            .remedy(format!("run `git -C {at} config --replace-all {key} true`")),
        Some(root) => error!(
            "`{key}` is false in the worktree {}, so git does not run the hook there",
            quoted(root)
        )
        .remedy(format!(
            "run `git -C {at} config --worktree --replace-all {key} true`"
        )),
    }
}

/// That hook writes the port file too.
fn older(hook: &str, here: &Path) -> Error {
    let (install, at) = (run_install(here), shell_word(here));
    error!("{hook} writes `{}` too", port_file::NAME).remedy(format!(
        "to hand its ports over, {install}, then `{PROGRAM} -C {at} --all --adopt`, then remove it"
    ))
}
