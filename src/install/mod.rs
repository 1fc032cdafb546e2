//! Installing the hook in a clone and taking it out again: look, plan, do.

mod by_hand;
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

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result, quoted, shell_word};
use crate::files::dir::Dir;
use crate::files::staged::{Access, Staged};
use crate::git::lock::{self, Held};
use crate::git::repository::{self, DIRECTORY, Found};
use crate::install::by_hand::{Instructions, instructions};
use crate::install::hook_config::ConfigHook;
use crate::install::hook_file::is_ours_alone;
use crate::install::plan::HookPlan;
use crate::install::problems::Cause;
use crate::install::program::ProgramCopy;
use crate::install::records::RecordedPorts;
use crate::install::seen::{SeenElsewhere, SeenHook};
use crate::install::uninstall::{places_of_hook, unwire_file};
use crate::narrator::Narrator;
use crate::session::Session;

pub use crate::install::problems::HookProblem;
pub use crate::install::uninstall::uninstall;

/// The event that runs our hook, and the hook file.
const HOOK: &str = "post-checkout";

/// The name of the program, in the common dir too.
const PROGRAM: &str = "worktree-ports-hook";

/// What is asked of `--install`.
pub struct InstallRequest<'a> {
    /// Where it was called.
    pub directory: &'a Path,
    /// The program that runs, of which the clone gets a copy.
    pub program: &'a Path,
    /// Whether to share the clone's ports; `None` leaves that to the user's config.
    pub share: Option<bool>,
    /// Whether a package manager runs it, whose own command must not fail for want of a hook.
    pub by_package_manager: bool,
}

/// How `--install` ended.
pub enum Installed {
    /// The hook runs from now on, or a package manager's command may go on without it.
    Done,
    /// Another's hook is in the way: the text that makes it call us.
    InTheWay(String),
}

/// Installs the hook in the clone around the request's directory, and tells what it did.
pub fn install(request: &InstallRequest<'_>, session: &Session) -> Result<Installed> {
    let narrator = &session.narrator;
    // What is refused leaves no lock behind.
    let (found, ..) = match look_and_plan(request) {
        Err(error) if request.by_package_manager => {
            narrator.tell(format_args!("no hook was installed: {error}"));
            return Ok(Installed::Done);
        }
        looked => looked?,
    };
    // Two at once would each write what they have read before the other wrote.
    let held = lock::acquire(&found.repository.common_dir, session)?;
    program::remove_leftovers(&found.repository.common_dir);
    let (found, seen, plan) = look_and_plan(request)?;
    let changes = carry_out(&held, &found, &seen, &plan, request, narrator)?;
    drop(held);

    if changes.sharing == Some(true) || request.share == Some(true) {
        share::warn_about_slot_0(&found.repository, narrator)?;
    }
    let installed = if let HookPlan::InTheWay(obstacle) = plan {
        let Instructions { told, printed } = instructions(&seen.place, obstacle);
        narrator.tell(told);
        Installed::InTheWay(printed)
    } else {
        changes.tell(&seen, &plan, narrator);
        Installed::Done
    };
    for problem in problems(&found, request.program)? {
        if !problem.is_for_install() {
            narrator.warn(Error::from(&problem));
        }
    }
    tell_without_ports(request.directory, &found, &changes.recorded, narrator)?;
    Ok(installed)
}

/// The problems of the clone's hook, in all its worktrees. Takes no lock.
pub fn problems(found: &Found, program: &Path) -> Result<Vec<HookProblem>> {
    let seen = SeenHook::look(found, program)?;
    let elsewhere = SeenElsewhere::look(found, &seen)?;
    Ok(problems::problems(&seen, &elsewhere))
}

/// What is there, and how the hook comes to run.
///
/// # Errors
/// It would not run, whatever is installed.
fn look_and_plan(request: &InstallRequest<'_>) -> Result<(Found, SeenHook, HookPlan)> {
    let found = repository::find(request.directory)?;
    let seen = SeenHook::look(&found, request.program)?;
    let plan = seen.plan();
    let cause = if seen.is_noexec {
        Cause::Noexec(seen.common_dir.clone())
    } else if plan == HookPlan::NotExecutable {
        Cause::OthersNotExecutable(seen.place.path())
    } else {
        return Ok((found, seen, plan));
    };
    let at = seen.place.at;
    Err(Error::from(&HookProblem { cause, at }))
}

/// Makes all files ready, then puts them in place; an error leaves everything as it was.
fn carry_out(
    held: &Held,
    found: &Found,
    seen: &SeenHook,
    plan: &HookPlan,
    request: &InstallRequest<'_>,
    narrator: &Narrator,
) -> Result<Changes> {
    let (repository, common_dir) = (&found.repository, &seen.common_dir);
    let ours = program::open_dir(common_dir, DIRECTORY)?;
    let program = if seen.program == ProgramCopy::Same {
        None
    } else {
        let content = program::read(request.program)?;
        Some(program::stage(
            common_dir,
            &ours,
            &program::name(),
            &content,
        )?)
    };
    let hooks = match plan {
        HookPlan::File(script) if !seen.place.hook.is(script) => {
            Some(HooksDir::open(common_dir, script)?)
        }
        _ => None,
    };
    let hook = hooks.as_ref().map(|hooks| hooks.stage(common_dir));
    let hook = hook.transpose()?;
    let is_config_new = *plan == HookPlan::Config && seen.config != Some(ConfigHook::Current);
    let is_hook_new = program.is_some() || hook.is_some() || is_config_new;
    // A record counts as soon as it is there, whatever fails afterwards.
    let recorded = records::write_missing(held, repository, narrator)?;
    let sharing = share::share(repository, request.share, narrator)?;
    // What fails while everything is taken back would hide the error that explains it.
    let replaced = put_in_place(seen, plan, (&ours, program), hook).inspect_err(|_| {
        let _ = share::undo(repository, sharing);
    })?;
    Ok(Changes {
        is_any: is_hook_new || recorded.written || sharing.is_some() || !replaced.is_empty(),
        recorded,
        sharing,
        replaced,
    })
}

/// The clone's own hooks directory, and what is to be the hook there.
struct HooksDir<'a> {
    dir: Dir,
    script: &'a [u8],
    /// The hook that is there, if somebody else's lines are in it.
    others: Option<File>,
}

impl HooksDir<'_> {
    fn open<'a>(common_dir: &Path, script: &'a [u8]) -> Result<HooksDir<'a>> {
        let dir = program::open_dir(common_dir, "hooks")?;
        let others = (!is_ours_alone(script)).then(|| dir.open_file(HOOK).map(|(file, _)| file));
        let others = others.transpose();
        let others = others.map_err(Error::could_not("read the hook", dir.path_of(HOOK)))?;
        Ok(HooksDir {
            dir,
            script,
            others,
        })
    }

    /// Makes the hook ready. One that is somebody else's too keeps its owner and its mode.
    fn stage(&self, common_dir: &Path) -> Result<Staged<'_>> {
        match &self.others {
            None => program::stage(common_dir, &self.dir, HOOK, self.script),
            Some(old) => Staged::prepare(&self.dir, HOOK, self.script, Access::Like(old))
                .map_err(Error::could_not("write the hook", self.dir.path_of(HOOK))),
        }
    }
}

/// Has git run the hook. Returns the hook files of an older git that the config replaces.
fn put_in_place(
    seen: &SeenHook,
    plan: &HookPlan,
    (ours, program): (&Dir, Option<Staged<'_>>),
    hook: Option<Staged<'_>>,
) -> Result<Vec<PathBuf>> {
    let copy = program::path(&seen.common_dir);
    program.map_or(Ok(()), |program| program::place(ours, program))?;
    let wire = || -> Result<Vec<PathBuf>> {
        let placed = hook.map_or(Ok(()), Staged::commit);
        placed.map_err(Error::could_not("write the hook", seen.place.path()))?;
        let mut replaced = Vec::new();
        if *plan == HookPlan::Config {
            hook_config::wire(&seen.common_dir, &copy)?;
            // Both would run, and git-lfs would refuse to install its hooks beside the file.
            for hook in places_of_hook(&seen.common_dir, &seen.place.hooks_dir) {
                if unwire_file(&hook)? {
                    replaced.push(hook);
                }
            }
        }
        Ok(replaced)
    };
    wire().inspect_err(|_| {
        if seen.config == Some(ConfigHook::Missing) {
            let _ = hook_config::unwire(&seen.common_dir);
        }
        if seen.program == ProgramCopy::Missing {
            let _ = fs::remove_file(&copy);
        }
    })
}

/// What `--install` changed.
struct Changes {
    is_any: bool,
    recorded: RecordedPorts,
    /// Whether the clone was put on the list of shared clones or taken off it.
    sharing: Option<bool>,
    /// The hook files of an older git that the config has replaced.
    replaced: Vec<PathBuf>,
}

impl Changes {
    fn tell(&self, seen: &SeenHook, plan: &HookPlan, narrator: &Narrator) {
        let hook = quoted(&seen.place.path());
        let place = match plan {
            HookPlan::Config => format!(
                "{} (an older git than 2.54 does not run it: there, run `{PROGRAM}` in a new worktree)",
                quoted(&seen.common_dir.join("config"))
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
        for file in &self.replaced {
            narrator.tell(format_args!("removed the hook from {}", quoted(file)));
        }
        if let Some(is_shared) = self.sharing {
            let since_when = if is_shared { "now" } else { "no longer" };
            narrator.tell(format_args!(
                "this clone {since_when} shares its ports with the others on your list"
            ));
        }
    }
}

/// Tells how many worktrees have no ports yet, and what assigns some to them. The main checkout of a
/// submodule has those of the superproject, and the same call would assign them there.
fn tell_without_ports(
    directory: &Path,
    found: &Found,
    recorded: &RecordedPorts,
    narrator: &Narrator,
) -> Result<()> {
    let root_of = |found: Found| found.worktree.map(|worktree| worktree.path().to_owned());
    let here = (found.worktree.as_ref()).map_or(&*found.repository.common_dir, |it| it.path());
    let outermost = root_of(repository::find_outermost(directory)?);
    let superproject = outermost.filter(|root| root != here);
    if let Some(root) = &superproject {
        narrator.tell(format_args!(
            "this is a submodule, whose checkout has the ports of {}; for the hook there, run \
             `{PROGRAM} -C {} --install`",
            quoted(root),
            shell_word(root)
        ));
    }
    let is_own = |root: &&PathBuf| superproject.is_none() || *root != here;
    let without_ports: Vec<&PathBuf> = recorded.without_ports.iter().filter(is_own).collect();
    if let [first, more @ ..] = &without_ports[..] {
        let worktrees = match more.len() {
            0 => "1 worktree has".to_owned(),
            n => format!("{} worktrees have", n + 1),
        };
        let at = if superproject.is_some() { first } else { here };
        narrator.tell(format_args!(
            "{worktrees} no ports yet; run `{PROGRAM} -C {} --all` to assign them",
            shell_word(at)
        ));
    }
    Ok(())
}
