//! What keeps the hook of a clone from running, or from being the only one that writes port files:
//! pure rules over what was seen, rendered in one place.

use std::mem;
use std::path::{Path, PathBuf};

use crate::error::{Error, quoted, shell_word};
use crate::install::hook_config::ConfigHook;
use crate::install::managers::{HUSKY, Manager};
use crate::install::plan::{HookPlan, plan};
use crate::install::program::{self, ProgramCopy};
use crate::install::seen::{Hook, HookPlace, SeenElsewhere, SeenHook};
use crate::install::{HOOK, PROGRAM};
use crate::state::port_file;

/// A problem of the hook in one worktree, or in all.
#[derive(Debug, PartialEq, Eq)]
pub struct HookProblem {
    /// What it comes from.
    pub cause: Cause,
    /// The root of the worktree that has it, or the common dir.
    pub at: PathBuf,
}

/// What a problem comes from.
#[derive(Debug, PartialEq, Eq)]
pub enum Cause {
    /// No hook is installed in the clone with that common dir.
    NotInstalled(PathBuf),
    /// The file has the hook of another version.
    Outdated(PathBuf),
    /// Our hook file is not executable.
    NotExecutable(PathBuf),
    /// The hook file is somebody else's and not executable.
    OthersNotExecutable(PathBuf),
    /// `core.hooksPath` hides the hook.
    Hidden(PathBuf),
    /// The hook is a manager's, or somebody else's, and does not call us.
    DoesNotCall(PathBuf, Option<Manager>),
    /// The worktree has a `core.hooksPath` of its own, which leads there.
    OwnHooksPath(PathBuf),
    /// A relative `core.hooksPath` names a directory that only the main worktree has, at the second
    /// path.
    LacksHooksDir(PathBuf, PathBuf),
    /// husky has not been set up in the worktree.
    LacksHusky(PathBuf),
    /// No program in the common dir can run.
    Noexec(PathBuf),
    /// The copy of the program is not what it should be.
    Program(PathBuf, ProgramCopy),
    /// By this setting the user keeps git from running the hook.
    Disabled(&'static str),
    /// As [`Cause::Disabled`], in one worktree alone.
    DisabledHere(&'static str),
    /// The hook of that description writes the port file too.
    Older(String),
}

/// The problems of the hook in all worktrees of the clone.
pub fn problems(seen: &SeenHook, elsewhere: &SeenElsewhere) -> Vec<HookProblem> {
    let mut problems: Vec<HookProblem> = Vec::new();
    let mut found = |at: &Path, cause| {
        let at = at.to_owned();
        problems.push(HookProblem { cause, at });
    };
    let here = &seen.place.at;
    if seen.is_noexec {
        // Whatever else keeps it from running, this must be mended first.
        found(here, Cause::Noexec(seen.common_dir.clone()));
    } else {
        let mut cause = cause_here(seen);
        // A line that somebody wrote by hand may call another copy of the program.
        let calls_another = seen.plan() == HookPlan::Owner && seen.place.manager().is_none();
        if cause.is_none() && !calls_another && seen.program != ProgramCopy::Same {
            let copy = program::path(&seen.common_dir);
            cause = Some(Cause::Program(copy, seen.program));
        }
        if let Some(cause) = cause {
            found(here, cause);
        }
        let mut lacks_hooks_dir = false;
        for place in &elsewhere.places {
            let cause = cause_elsewhere(seen, place);
            // What mends one worktree mends all.
            let is_told = matches!(cause, Some(Cause::LacksHooksDir(..)))
                && mem::replace(&mut lacks_hooks_dir, true);
            if let Some(cause) = cause.filter(|_| !is_told) {
                found(&place.at, cause);
            }
        }
    }
    for disabled in &elsewhere.disabled {
        match &disabled.only_in {
            None => found(here, Cause::Disabled(disabled.key)),
            Some(root) => found(root, Cause::DisabledHere(disabled.key)),
        }
    }
    for hook in &elsewhere.older {
        found(here, Cause::Older(hook.clone()));
    }
    problems
}

/// Why the hook does not run, or not as this version would install it, where the program was called.
fn cause_here(seen: &SeenHook) -> Option<Cause> {
    let place = &seen.place;
    if seen.config.is_none() && place.in_main.is_some() {
        return Some(cause_in_the_way(seen, place));
    }
    let is_executable = !matches!(&place.hook, Hook::File { is_executable, .. } if !is_executable);
    match seen.plan() {
        HookPlan::Owner => None,
        HookPlan::Config if seen.config == Some(ConfigHook::Current) => None,
        HookPlan::Config if seen.config == Some(ConfigHook::Outdated) => {
            Some(Cause::Outdated(seen.common_dir.join("config")))
        }
        // An older git has installed it.
        HookPlan::Config if place.hook.runs_us() => None,
        HookPlan::NotExecutable => Some(Cause::OthersNotExecutable(place.path())),
        HookPlan::File(_) if !is_executable => Some(Cause::NotExecutable(place.path())),
        HookPlan::File(script) if place.hook.content() == script => None,
        HookPlan::File(_) if place.hook.runs_us() => Some(Cause::Outdated(place.path())),
        HookPlan::File(_) | HookPlan::Config => Some(Cause::NotInstalled(seen.common_dir.clone())),
        HookPlan::InTheWay(_) => Some(cause_in_the_way(seen, place)),
    }
}

fn cause_in_the_way(seen: &SeenHook, place: &HookPlace) -> Cause {
    let manager = place.manager();
    match &place.in_main {
        Some(_) if manager == Some(HUSKY) => Cause::LacksHusky(place.hooks_dir.clone()),
        Some(in_main) => Cause::LacksHooksDir(place.hooks_dir.clone(), in_main.clone()),
        None if seen.own_file_runs_us && manager.is_none() => {
            Cause::Hidden(seen.common_dir.join("hooks").join(HOOK))
        }
        None => Cause::DoesNotCall(place.path(), manager),
    }
}

/// Why the hook does not run in another worktree, for which git looks for hooks elsewhere.
fn cause_elsewhere(seen: &SeenHook, place: &HookPlace) -> Option<Cause> {
    match plan(place, false) {
        HookPlan::Owner if place.in_main.is_none() => None,
        _ if place.hook.runs_us() => None,
        _ if place.is_own_setting => Some(Cause::OwnHooksPath(place.hooks_dir.clone())),
        _ => Some(cause_in_the_way(seen, place)),
    }
}

impl HookProblem {
    /// Whether `--install` in `at` mends it, or prints what does.
    pub fn is_for_install(&self) -> bool {
        use Cause::{DoesNotCall, Hidden, NotExecutable, NotInstalled, Outdated, Program};
        matches!(
            self.cause,
            NotInstalled(_)
                | Outdated(_)
                | NotExecutable(_)
                | Hidden(_)
                | DoesNotCall(..)
                | Program(..)
        )
    }

    /// What is wrong, and what to do about it.
    pub fn told(&self) -> (String, String) {
        let at = shell_word(&self.at);
        let install = format!("run `{PROGRAM} -C {at} --install`");
        let not_executable =
            |hook: &Path| format!("{} is not executable, so git does not run it", quoted(hook));
        match &self.cause {
            Cause::NotInstalled(dir) => {
                (format!("no hook is installed in {}", quoted(dir)), install)
            }
            Cause::Outdated(file) => (
                format!(
                    "the hook in {} is not the one that this version installs",
                    quoted(file)
                ),
                install,
            ),
            Cause::NotExecutable(hook) => (not_executable(hook), install),
            Cause::OthersNotExecutable(hook) => (
                not_executable(hook),
                format!(
                    "remove it or run `chmod +x {}`, then {install}",
                    shell_word(hook)
                ),
            ),
            Cause::Hidden(hook) => (
                format!("`core.hooksPath` hides the hook {}", quoted(hook)),
                install,
            ),
            Cause::DoesNotCall(hook, manager) => {
                let whose = manager.map_or_else(String::new, |it| format!(" is {}'s and", it.name));
                (
                    format!("{}{whose} does not call {PROGRAM}", quoted(hook)),
                    install,
                )
            }
            Cause::OwnHooksPath(dir) => (
                format!(
                    "the worktree {} has a `core.hooksPath` of its own, {}, so git does not run the \
                     hook there",
                    quoted(&self.at),
                    quoted(dir)
                ),
                format!(
                    "run `git -C {at} config --worktree --unset-all core.hooksPath`, or {install} to \
                     see what to add to it"
                ),
            ),
            Cause::LacksHooksDir(dir, in_main) => (
                lacks(dir),
                format!(
                    "run `git -C {at} config core.hooksPath {}`",
                    shell_word(in_main)
                ),
            ),
            Cause::LacksHusky(dir) => (lacks(dir), format!("run `cd {at} && npm install`")),
            Cause::Noexec(dir) => (
                format!(
                    "{} is on a file system that runs no programs (noexec), so the hook cannot run",
                    quoted(dir)
                ),
                format!(
                    "mount it without `noexec`; until then, run `{PROGRAM}` by hand in each new \
                     worktree"
                ),
            ),
            Cause::Program(copy, state) => {
                let state = match state {
                    ProgramCopy::Missing => "missing",
                    ProgramCopy::NotExecutable => "not executable",
                    _ => "a different build from the one you are running",
                };
                (
                    format!("the hook runs {}, which is {state}", quoted(copy)),
                    install,
                )
            }
            Cause::Disabled(key) => (
                format!("`{key}` is false, so git does not run the hook"),
                format!("run `git -C {at} config --replace-all {key} true`"),
            ),
            Cause::DisabledHere(key) => (
                format!(
                    "`{key}` is false in the worktree {}, so git does not run the hook there",
                    quoted(&self.at)
                ),
                format!("run `git -C {at} config --worktree --replace-all {key} true`"),
            ),
            Cause::Older(hook) => (
                format!("{hook} writes `{}` too", port_file::NAME),
                format!(
                    "to hand its ports over, {install}, then `{PROGRAM} -C {at} --all --adopt`, then \
                     remove it"
                ),
            ),
        }
    }
}

impl From<&HookProblem> for Error {
    fn from(problem: &HookProblem) -> Error {
        let (what, mend) = problem.told();
        Error::new(what).remedy(mend)
    }
}

fn lacks(hooks_dir: &Path) -> String {
    let dir = quoted(hooks_dir);
    format!(
        "`core.hooksPath` names {dir}, which is missing, so `git worktree add` runs no hook there"
    )
}
