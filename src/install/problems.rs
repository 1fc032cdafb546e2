//! What keeps the hook of a clone from running, or from being the only one that writes port files:
//! pure rules over what was seen, rendered in one place.

use std::path::{Path, PathBuf};

use crate::error::{quoted, shell_word};
use crate::install::hook_config::ConfigHook;
use crate::install::hook_file::has_block;
use crate::install::managers::HUSKY;
use crate::install::plan::{HookPlan, plan};
use crate::install::program::ProgramCopy;
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
    /// This file has the hook of another version.
    Outdated(PathBuf),
    /// This hook file is not executable; nobody but us may change it if it is not ours.
    NotExecutable { hook: PathBuf, is_ours: bool },
    /// `core.hooksPath` hides this hook.
    Hidden(PathBuf),
    /// This hook is a manager's, or somebody else's, and does not call us.
    DoesNotCall {
        hook: PathBuf,
        manager: Option<&'static str>,
    },
    /// The worktree has a `core.hooksPath` of its own, which leads here.
    OwnHooksPath(PathBuf),
    /// A relative `core.hooksPath` names this directory, which is missing in the worktree.
    LacksHooksDir {
        hooks_dir: PathBuf,
        in_main: PathBuf,
    },
    /// husky has not been set up in the worktree.
    LacksHusky(PathBuf),
    /// No program in this common dir can run.
    Noexec(PathBuf),
    /// The copy of the program at this path is not what it should be.
    Program { copy: PathBuf, is: ProgramCopy },
    /// The user keeps git from running the hook, in one worktree or in all.
    Disabled {
        key: &'static str,
        is_own_setting: bool,
    },
    /// This hook writes the port file too.
    Older(String),
}

/// The problems of the hook in all worktrees of the clone.
pub fn problems(seen: &SeenHook, elsewhere: &SeenElsewhere) -> Vec<HookProblem> {
    let mut problems = Vec::new();
    let mut found = |at: &Path, cause| {
        let at = at.to_owned();
        problems.push(HookProblem { cause, at });
    };
    let here = &seen.place.at;
    if seen.is_noexec {
        // Whatever else keeps it from running, this must be mended first.
        found(here, Cause::Noexec(seen.common_dir.clone()));
    } else {
        let hook = cause_here(seen);
        // What somebody wrote by hand may call another copy of the program.
        let calls_another = seen.plan() == HookPlan::Owner && seen.place.manager().is_none();
        if hook.is_none() && !calls_another && seen.program != ProgramCopy::Same {
            let copy = crate::install::program::path(&seen.common_dir);
            found(
                here,
                Cause::Program {
                    copy,
                    is: seen.program,
                },
            );
        }
        if let Some(cause) = hook {
            found(here, cause);
        }
        let mut lacks_hooks_dir = false;
        for place in &elsewhere.places {
            let cause = cause_elsewhere(seen, place);
            // The mend of one is the mend of all.
            let is_told = matches!(cause, Some(Cause::LacksHooksDir { .. }))
                && std::mem::replace(&mut lacks_hooks_dir, true);
            if let Some(cause) = cause.filter(|_| !is_told) {
                found(&place.at, cause);
            }
        }
    }
    for disabled in &elsewhere.disabled {
        let (key, is_own_setting) = (disabled.key, disabled.only_in.is_some());
        let at = disabled.only_in.as_ref().unwrap_or(here);
        found(
            at,
            Cause::Disabled {
                key,
                is_own_setting,
            },
        );
    }
    for place in &elsewhere.older {
        found(here, Cause::Older(place.clone()));
    }
    problems
}

/// Why the hook does not run, or not as this version would install it, where the program was called.
fn cause_here(seen: &SeenHook) -> Option<Cause> {
    let place = &seen.place;
    if seen.config.is_none() && place.in_main.is_some() {
        return Some(cause_in_the_way(seen, place));
    }
    let not_installed = || Some(Cause::NotInstalled(seen.common_dir.clone()));
    match (seen.plan(), seen.config, &place.hook) {
        (HookPlan::Owner, ..) | (HookPlan::Config, Some(ConfigHook::Current), _) => None,
        (HookPlan::Config, Some(ConfigHook::Outdated), _) => {
            Some(Cause::Outdated(seen.common_dir.join("config")))
        }
        // An older git has installed it.
        (HookPlan::Config, ..) if place.hook.runs_us() => None,
        (HookPlan::Config, ..) => not_installed(),
        #[rustfmt::skip]
        (HookPlan::NotExecutable | HookPlan::File(_), _, Hook::File { content, is_executable: false }) => {
            let is_ours = seen.plan() != HookPlan::NotExecutable || has_block(content);
            Some(Cause::NotExecutable { hook: place.path(), is_ours })
        }
        (HookPlan::File(script), _, Hook::File { content, .. }) if *content == script => None,
        (HookPlan::File(_), _, Hook::File { content, .. }) if has_block(content) => {
            Some(Cause::Outdated(place.path()))
        }
        (HookPlan::File(_) | HookPlan::NotExecutable, ..) => not_installed(),
        (HookPlan::InTheWay(_), ..) => Some(cause_in_the_way(seen, place)),
    }
}

fn cause_in_the_way(seen: &SeenHook, place: &HookPlace) -> Cause {
    let manager = place.manager();
    if let Some(in_main) = place.in_main.clone() {
        let hooks_dir = place.hooks_dir.clone();
        return if manager == Some(HUSKY) {
            Cause::LacksHusky(hooks_dir)
        } else {
            Cause::LacksHooksDir { hooks_dir, in_main }
        };
    }
    if seen.own_file_runs_us && manager.is_none() {
        return Cause::Hidden(seen.common_dir.join("hooks").join(HOOK));
    }
    let manager = manager.map(|manager| manager.name);
    Cause::DoesNotCall {
        hook: place.path(),
        manager,
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
        match self.cause {
            NotExecutable { is_ours, .. } => is_ours,
            NotInstalled(_) | Outdated(_) | Hidden(_) | DoesNotCall { .. } | Program { .. } => true,
            _ => false,
        }
    }

    /// What is wrong, and what to do about it.
    pub fn told(&self) -> (String, String) {
        let at = shell_word(&self.at);
        let what = match &self.cause {
            Cause::NotInstalled(common_dir) => {
                format!("no hook is installed in {}", quoted(common_dir))
            }
            Cause::Outdated(file) => {
                format!(
                    "the hook in {} is not the one that this version installs",
                    quoted(file)
                )
            }
            Cause::NotExecutable { hook, .. } => {
                format!("{} is not executable, so git does not run it", quoted(hook))
            }
            Cause::Hidden(hook) => format!("`core.hooksPath` hides the hook {}", quoted(hook)),
            Cause::DoesNotCall {
                hook,
                manager: None,
            } => {
                format!("{} does not call {PROGRAM}", quoted(hook))
            }
            Cause::DoesNotCall {
                hook,
                manager: Some(name),
            } => {
                format!("{} is {name}'s and does not call {PROGRAM}", quoted(hook))
            }
            Cause::OwnHooksPath(hooks_dir) => format!(
                "the worktree {} has a `core.hooksPath` of its own, {}, so git does not run the hook there",
                quoted(&self.at),
                quoted(hooks_dir)
            ),
            Cause::LacksHooksDir { hooks_dir, .. } | Cause::LacksHusky(hooks_dir) => format!(
                "`core.hooksPath` names {}, which is missing, so `git worktree add` runs no hook there",
                quoted(hooks_dir)
            ),
            Cause::Noexec(common_dir) => format!(
                "{} is on a file system that runs no programs (noexec), so the hook cannot run",
                quoted(common_dir)
            ),
            Cause::Program { copy, is } => format!(
                "the hook runs {}, which is {}",
                quoted(copy),
                match is {
                    ProgramCopy::Missing => "missing",
                    ProgramCopy::NotExecutable => "not executable",
                    _ => "a different build from the one you are running",
                }
            ),
            Cause::Disabled {
                key,
                is_own_setting: false,
            } => {
                format!("`{key}` is false, so git does not run the hook")
            }
            Cause::Disabled {
                key,
                is_own_setting: true,
            } => format!(
                "`{key}` is false in the worktree {}, so git does not run the hook there",
                quoted(&self.at)
            ),
            Cause::Older(hook) => format!("{hook} writes `{}` too", port_file::NAME),
        };
        let mend = match &self.cause {
            Cause::NotExecutable {
                hook,
                is_ours: false,
            } => format!(
                "remove it or run `chmod +x {}`, then run `{PROGRAM} -C {at} --install`",
                shell_word(hook)
            ),
            Cause::OwnHooksPath(_) => format!(
                "run `git -C {at} config --worktree --unset-all core.hooksPath`, or run `{PROGRAM} \
                 -C {at} --install` to see what to add to it"
            ),
            Cause::LacksHooksDir { in_main, .. } => {
                format!(
                    "run `git -C {at} config core.hooksPath {}`",
                    shell_word(in_main)
                )
            }
            Cause::LacksHusky(_) => format!("run `cd {at} && npm install`"),
            Cause::Noexec(_) => format!(
                "mount it without `noexec`; until then, run `{PROGRAM}` by hand in each new worktree"
            ),
            Cause::Disabled {
                key,
                is_own_setting,
            } => format!(
                "run `git -C {at} config {}--replace-all {key} true`",
                if *is_own_setting { "--worktree " } else { "" }
            ),
            Cause::Older(_) => format!(
                "to hand its ports over, run `{PROGRAM} -C {at} --install`, then `{PROGRAM} -C {at} \
                 --all --adopt`, then remove it"
            ),
            _ => format!("run `{PROGRAM} -C {at} --install`"),
        };
        (what, mend)
    }
}
