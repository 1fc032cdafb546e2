//! Installing the hook in a clone and taking it out again: look, plan, do.

mod by_hand;
mod edit;
mod hook_config;
mod hook_file;
mod managers;
mod older;
mod plan;
mod problems;
mod program;
mod records;
mod seen;
mod share;
mod uninstall;

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result, quoted, shell_word};
use crate::files::dir::Dir;
use crate::git::access;
use crate::git::command;
use crate::git::lock::{self, Held};
use crate::git::repository::{self, DIRECTORY, Found, Repository};
use crate::install::edit::{HookEdit, take_out};
use crate::install::plan::{HookPlan, plan};
use crate::install::problems::{check_can_run, run_install};
use crate::install::seen::{HookPlace, PartState};
use crate::narrator::Narrator;
use crate::session::Session;

pub use crate::install::problems::problems;
pub use crate::install::uninstall::uninstall;

/// git's event, and the name of the hook file.
const HOOK: &str = "post-checkout";

/// The name of the program, in the common dir too.
const PROGRAM: &str = "worktree-ports-hook";

/// The first git that runs the hooks that its config names.
const CONFIG_HOOKS: (u32, u32) = (2, 54);

/// The facts that decide how the hook is installed.
pub struct SeenHook<'a> {
    pub repository: &'a Repository,
    /// The hook for the worktree in which the program was called.
    pub place: HookPlace,
    /// How our hook comes to run there.
    pub plan: HookPlan,
    /// The copy of the program in the clone.
    pub program: PartState,
}

impl SeenHook<'_> {
    /// Looks at the clone, in which the copy of the program should be the same as `program`.
    pub fn look<'a>(found: &'a Found, program: &Path) -> Result<SeenHook<'a>> {
        let common_dir = &found.repository.common_dir;
        let at = (found.worktree.as_ref()).map_or(&**common_dir, |worktree| worktree.path());
        let place = HookPlace::look(&found.repository, at)?;
        let plan = if command::version(at)? >= CONFIG_HOOKS {
            HookPlan::Config(hook_config::look(common_dir)?)
        } else {
            plan(&place)
        };
        Ok(SeenHook {
            repository: &found.repository,
            place,
            plan,
            program: program::look(common_dir, program)?,
        })
    }

    pub fn common_dir(&self) -> &Path {
        &self.repository.common_dir
    }

    /// Whether git runs hooks from its config.
    pub fn has_config_hooks(&self) -> bool {
        matches!(self.plan, HookPlan::Config(_))
    }
}

/// Installs the hook in the clone around `directory`, with a copy of the running `program`, and reports what
/// it did. `share` is what was asked for, or else the user's config decides. If a package manager runs it,
/// its own command must not fail because no hook is installed.
pub fn install(
    directory: &Path,
    program: &Path,
    share: Option<bool>,
    by_package_manager: bool,
    session: &Session,
) -> Result<Installed> {
    let narrator = &session.narrator;
    // A refusal must not leave a lock file behind.
    let found = repository::find(directory).and_then(|found| {
        check_can_run(&SeenHook::look(&found, program)?)?;
        Ok(found)
    });
    let found = match found {
        Err(error) if by_package_manager => {
            narrator.tell(format_args!("no hook was installed: {error}"));
            return Ok(Installed::default());
        }
        found => found?,
    };
    // Of two at once, each would write what it had read before the other wrote.
    let held = lock::acquire(&found.repository.common_dir, session)?;
    program::remove_leftovers(&found.repository.common_dir);
    let seen = SeenHook::look(&found, program)?;
    check_can_run(&seen)?;
    let changes = carry_out(&held, &seen, program, share, session)?;
    drop(held);

    let instructions = if seen.plan == HookPlan::InTheWay {
        let (told, printed) = by_hand::instructions(&seen.place);
        narrator.tell(told);
        Some(printed)
    } else {
        changes.tell(&seen, narrator);
        None
    };
    // The hook is installed, so from here on an error is only a warning.
    let here = &seen.place.at;
    let problems = narrator.or_warn(problems(&found, program));
    for problem in problems.into_iter().flatten() {
        // Solved by now, or the reader was just told how.
        if problem.parts().1 != Some(&run_install(here)) {
            narrator.warn(problem);
        }
    }
    narrator.or_warn(tell_without_ports(
        directory,
        here,
        changes.without_ports,
        narrator,
    ));
    Ok(Installed {
        instructions,
        compares_clones: share == Some(true) || changes.sharing == Some(true),
    })
}

/// What the caller of [`install`] has to do.
#[derive(Default)]
pub struct Installed {
    /// The text that makes somebody else's hook call us, if that is in the way.
    pub instructions: Option<String>,
    /// Whether the clone should be compared with those that share its ports.
    pub compares_clones: bool,
}

/// Makes all files ready, then puts them in place. An error leaves a clone without the hook as it was; in
/// another one, a second call completes what the first has begun.
fn carry_out(
    held: &Held,
    seen: &SeenHook<'_>,
    program: &Path,
    share: Option<bool>,
    session: &Session,
) -> Result<Changes> {
    let (common_dir, place) = (seen.common_dir(), &seen.place);
    let (narrator, patience) = (&session.narrator, &session.patience);
    let ours = common_dir.join(DIRECTORY);
    let ours = Dir::open(&ours).map_err(Error::could_not("open", &ours))?;
    let staged_program = match seen.program {
        PartState::Current => None,
        _ => Some(program::stage_copy(common_dir, &ours, program)?),
    };
    let edits = match &seen.plan {
        // git would run both, and git-lfs refuses to install its hooks beside the file.
        HookPlan::Config(_) => take_out(common_dir, &place.hooks_dir, patience)?,
        HookPlan::File(script) if place.hook.state(script) != PartState::Current => {
            let could_not = Error::could_not("create", &place.hooks_dir);
            access::create_dir(common_dir, &place.hooks_dir).map_err(could_not)?;
            vec![HookEdit::open(&place.hook, Some(script.clone()), patience)?]
        }
        _ => Vec::new(),
    };
    let staged = edits.iter().map(|edit| edit.stage(common_dir));
    let staged = staged.collect::<Result<Vec<_>>>()?;
    let has_staged = staged_program.is_some() || !edits.is_empty();
    // A record counts as soon as it is there, whatever fails afterwards.
    let (has_recorded, without_ports) = records::write_missing(held, seen.repository, narrator)?;
    let sharing = share::share(seen.repository, share, narrator)?;
    let mut is_edited = false;
    let put_in_place = || {
        staged_program.map_or(Ok(()), |program| program::place(&ours, program))?;
        let is_wired = seen.has_config_hooks() && hook_config::wire(common_dir)?;
        for (edit, staged) in edits.iter().zip(staged) {
            edit.commit(staged, patience)?;
            is_edited = true;
        }
        Ok(is_wired)
    };
    // An error while this is undone would hide the one that explains it.
    let is_wired = put_in_place().inspect_err(|_| {
        let _ = sharing.map(|is_shared| share::share(seen.repository, Some(!is_shared), narrator));
        if is_edited {
            // The hook that was there is gone, so the new one stays.
            return;
        }
        if seen.plan == HookPlan::Config(PartState::Missing) {
            let _ = hook_config::unwire(common_dir);
        }
        if seen.program == PartState::Missing {
            let _ = fs::remove_file(program::path(common_dir));
        }
    })?;
    Ok(Changes {
        is_any: has_staged || is_wired || has_recorded || sharing.is_some(),
        without_ports,
        sharing,
        edited: edits.iter().map(HookEdit::path).collect(),
    })
}

/// What `--install` changed.
struct Changes {
    is_any: bool,
    /// The roots of the worktrees without a port file.
    without_ports: Vec<PathBuf>,
    /// Whether the clone was put on the list of shared clones or taken off it.
    sharing: Option<bool>,
    /// The hook files that were changed.
    edited: Vec<PathBuf>,
}

impl Changes {
    fn tell(&self, seen: &SeenHook<'_>, narrator: &Narrator) {
        let hook = quoted(&seen.place.hook.path);
        let place = match seen.plan {
            HookPlan::Config(_) => format!(
                "{} (an older git than 2.54 does not run it: there, run `{PROGRAM}` in a new worktree)",
                quoted(&seen.common_dir().join("config"))
            ),
            HookPlan::Owner => format!("{hook}, whose owner calls it already"),
            _ => hook,
        };
        let what = if self.is_any {
            "installed the hook"
        } else {
            "already installed"
        };
        narrator.tell(format_args!("{what} in {place}"));
        if seen.has_config_hooks() {
            for file in &self.edited {
                narrator.tell(format_args!("removed the hook from {}", quoted(file)));
            }
        }
        if let Some(is_shared) = self.sharing {
            let since_when = if is_shared { "now" } else { "no longer" };
            narrator.tell(format_args!(
                "this clone {since_when} shares its ports with the others on your list"
            ));
        }
    }
}

/// Reports how many worktrees have no ports yet, and what assigns some to them. `here` is the root of
/// the worktree around `directory`: a submodule's main checkout has the superproject's ports, and the
/// same call would assign them there.
fn tell_without_ports(
    directory: &Path,
    here: &Path,
    mut without_ports: Vec<PathBuf>,
    narrator: &Narrator,
) -> Result<()> {
    let outermost = repository::find_outermost(directory)?.worktree;
    let superproject = outermost.filter(|worktree| worktree.path() != here);
    if let Some(superproject) = &superproject {
        let root = superproject.path();
        narrator.tell(format_args!(
            "this is a submodule, and its checkout has the ports of {}; to install the hook there, run \
             `{PROGRAM} -C {} --install`",
            quoted(root),
            shell_word(root)
        ));
        without_ports.retain(|root| root != here);
    }
    let worktrees = match without_ports.len() {
        0 => return Ok(()),
        1 => "1 worktree has".to_owned(),
        n => format!("{n} worktrees have"),
    };
    let at = superproject.map_or(here, |_| &without_ports[0]);
    narrator.tell(format_args!(
        "{worktrees} no ports yet; run `{PROGRAM} -C {} --all` to assign them",
        shell_word(at)
    ));
    Ok(())
}
