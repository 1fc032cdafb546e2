//! What keeps the hook of a clone from running, each with the command that mends it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, is_absence, quoted, shell_word};
use crate::git::repository::Found;
use crate::install::hook_file::has_block;
use crate::install::look::{is_executable, look, look_at};
use crate::install::managers::{HUSKY, UNKNOWN};
use crate::install::plan::{ConfigHook, Hook, Plan, Seen, plan};
use crate::install::{HOOK, PROGRAM, here, narrate_disabled, not_executable, program_in};
use crate::narrator::Narrator;

/// What keeps the hook of the clone from running as `program` would, each with the command that
/// mends it. Takes no lock.
pub fn problems(found: &Found, program: &Path, narrator: &Narrator) -> Vec<Error> {
    match look(found) {
        Ok(seen) => {
            if seen.config == Some(ConfigHook::Current) {
                narrate_disabled(here(found), narrator);
            }
            let hook = problem_of_hook(found, &seen);
            // Only what somebody wrote by hand may call another copy of the program.
            let calls_another = plan(&seen) == Plan::Owner && seen.manager() == UNKNOWN;
            let program = (hook.is_none() && !calls_another)
                .then(|| problem_of_program(found, program))
                .flatten();
            hook.into_iter().chain(program).collect()
        }
        Err(error) => vec![error],
    }
}

fn problem_of_hook(found: &Found, seen: &Seen) -> Option<Error> {
    let (common_dir, here) = (&found.repository.common_dir, here(found));
    let hook = quoted(&seen.hooks_dir.join(HOOK));
    let missing = || format!("no hook is installed in {}", quoted(common_dir));
    let what = match plan(seen) {
        Plan::Owner => return None,
        Plan::NotExecutable => return Some(not_executable(&seen.hooks_dir.join(HOOK), here)),
        Plan::Config => match seen.config {
            Some(ConfigHook::Current) => return None,
            Some(ConfigHook::Outdated) => format!(
                "the hook in {} is not the one that this version installs here",
                quoted(&common_dir.join("config"))
            ),
            _ if seen.hook.runs_us() => return None,
            _ => missing(),
        },
        Plan::File(script) => match &seen.hook {
            Hook::File {
                is_executable: false,
                ..
            } => {
                format!("{hook} is not executable, so git does not run it")
            }
            Hook::File { content, .. } if *content == script => return None,
            Hook::File { content, .. } if has_block(content) => {
                format!("the hook in {hook} is not the one that this version installs")
            }
            _ => missing(),
        },
        Plan::InTheWay(manager) => {
            if let Some(elsewhere) = lacking_hooks_dir(found, seen) {
                return Some(
                    Error::new(format!(
                        "`core.hooksPath` names {}, which is missing, so `git worktree add` runs no hook there",
                        quoted(&seen.hooks_dir)
                    ))
                    .remedy(if manager == HUSKY {
                        format!("run `cd {} && npm install`", shell_word(here))
                    } else {
                        format!(
                            "run `git -C {} config core.hooksPath {}`",
                            shell_word(here),
                            shell_word(&elsewhere)
                        )
                    }),
                );
            }
            let own = common_dir.join("hooks").join(HOOK);
            if look_at(&own).is_ok_and(|own| own.runs_us()) {
                format!("`core.hooksPath` hides the hook {}", quoted(&own))
            } else {
                format!("{hook} is {}'s and does not call {PROGRAM}", manager.name)
            }
        }
    };
    Some(Error::new(what).remedy(run_install(here)))
}

/// Where the main worktree has the directory of hooks that a relative `core.hooksPath` names and
/// this worktree lacks.
fn lacking_hooks_dir(found: &Found, seen: &Seen) -> Option<PathBuf> {
    let root = &found.worktree.as_ref()?.root;
    let in_main = found
        .repository
        .main
        .root()?
        .join(seen.hooks_dir.strip_prefix(root).ok()?);
    (!seen.hooks_dir.is_dir() && in_main.is_dir()).then_some(in_main)
}

/// The program in the clone is missing or differs from the one that runs, in whatever version: byte
/// by byte, since to ask it for its version would be to run it.
#[expect(
    clippy::disallowed_methods,
    reason = "programs are larger than what a branch may have read"
)]
fn problem_of_program(found: &Found, program: &Path) -> Option<Error> {
    let copy = program_in(&found.repository.common_dir);
    let what = match fs::read(&copy) {
        Err(error) if is_absence(&error) => "which is missing",
        Err(error) => return Some(Error::at("read the program", &copy, error)),
        Ok(_) if !is_executable(&copy) => "which is not executable",
        Ok(bytes) if fs::read(program).is_ok_and(|own| own != bytes) => {
            "which is another build than the one that checks"
        }
        Ok(_) => return None,
    };
    let problem = Error::new(format!("the hook runs {}, {what}", quoted(&copy)));
    Some(problem.remedy(run_install(here(found))))
}

fn run_install(here: &Path) -> String {
    format!("run `{PROGRAM} -C {} --install`", shell_word(here))
}
