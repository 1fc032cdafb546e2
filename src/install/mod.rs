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

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{CouldNot, Error, Result, is_absence, quoted, shell_word};
use crate::git::clones;
use crate::git::exclude;
use crate::git::lock::{self, Held, LockOptions};
use crate::git::repository::{self, Found};
use crate::install::by_hand::{Instructions, instructions};
use crate::install::hook_config::ConfigHook;
use crate::install::hook_file::{has_block, is_ours_alone, without_us};
use crate::install::plan::HookPlan;
use crate::install::problems::Cause;
use crate::install::program::{ProgramCopy, Ready};
use crate::install::records::Recorded;
use crate::install::seen::{Hook, SeenElsewhere, SeenHook, hooks_dir, look_at};
use crate::install::share::Sharing;
use crate::narrator::Narrator;
use crate::release;

pub use crate::install::problems::HookProblem;

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
pub fn install(request: &InstallRequest<'_>, options: &LockOptions<'_>) -> Result<Installed> {
    let narrator = options.narrator;
    // What is refused leaves no lock behind.
    let found = match look_and_plan(request) {
        Ok((found, ..)) => found,
        Err(error) if request.by_package_manager => {
            narrator.tell(format_args!("no hook was installed: {error}"));
            return Ok(Installed::Done);
        }
        Err(error) => return Err(error),
    };
    let common_dir = &found.repository.common_dir;
    // Two at once would each write what they have read before the other wrote.
    let held = lock::acquire(common_dir, options)?;
    program::remove_leftovers(common_dir);
    let (_, seen, plan) = look_and_plan(request)?;
    let done = Doing {
        held: &held,
        found: &found,
        seen: &seen,
    }
    .install(request, &plan, narrator)?;
    drop(held);

    if done.sharing != Sharing::Unchanged || request.share == Some(true) {
        share::warn_about_slot_0(&found.repository, narrator)?;
    }
    let by_hand = match &plan {
        HookPlan::InTheWay(obstacle) => Some(instructions(&seen.place, *obstacle)),
        _ => None,
    };
    match &by_hand {
        Some(Instructions { told, .. }) => narrator.tell(told),
        None => tell_installed(&seen, &plan, &done, narrator),
    }
    let seen = SeenHook::look(&found, request.program)?;
    let elsewhere = SeenElsewhere::look(&found, &seen)?;
    for problem in problems::problems(&seen, &elsewhere) {
        if !problem.is_for_install() {
            let (what, mend) = problem.told();
            narrator.warn(Error::new(what).remedy(mend));
        }
    }
    tell_without_ports(request.directory, &found, &done.recorded, narrator)?;
    Ok(match by_hand {
        Some(Instructions { printed, .. }) => Installed::InTheWay(printed),
        None => Installed::Done,
    })
}

/// The problems of the clone's hook, in all its worktrees. Takes no lock.
pub fn problems(found: &Found, program: &Path) -> Result<Vec<HookProblem>> {
    let seen = SeenHook::look(found, program)?;
    let elsewhere = SeenElsewhere::look(found, &seen)?;
    Ok(problems::problems(&seen, &elsewhere))
}

fn look_and_plan(request: &InstallRequest<'_>) -> Result<(Found, SeenHook, HookPlan)> {
    let found = repository::find(request.directory)?;
    let seen = SeenHook::look(&found, request.program)?;
    let plan = seen.plan();
    let cause = if seen.is_noexec {
        Cause::Noexec(seen.common_dir.clone())
    } else if plan == HookPlan::NotExecutable {
        let hook = seen.place.path();
        Cause::NotExecutable {
            hook,
            is_ours: false,
        }
    } else {
        return Ok((found, seen, plan));
    };
    let at = seen.place.at;
    let (what, mend) = HookProblem { cause, at }.told();
    Err(Error::new(what).remedy(mend))
}

/// What `--install` works with.
struct Doing<'a> {
    held: &'a Held,
    found: &'a Found,
    seen: &'a SeenHook,
}

/// What `--install` did.
struct Done {
    recorded: Recorded,
    sharing: Sharing,
    /// The hook files of an older git that the config has replaced.
    replaced: Vec<PathBuf>,
    has_changed: bool,
}

impl Doing<'_> {
    /// Makes all files ready, then puts them in place; what fails leaves everything as it was.
    fn install(
        &self,
        request: &InstallRequest<'_>,
        plan: &HookPlan,
        narrator: &Narrator,
    ) -> Result<Done> {
        let Doing { held, found, seen } = self;
        let (repository, common_dir) = (&found.repository, &seen.common_dir);
        let program = (seen.program != ProgramCopy::Same)
            .then(|| Ready::program(common_dir, request.program))
            .transpose()?;
        let hook = match (plan, &seen.place.hook) {
            #[rustfmt::skip]
            (HookPlan::File(script), Hook::File { content, is_executable: true }) if content == script => None,
            (HookPlan::File(script), _) => {
                let is_ours = is_ours_alone(script);
                Some(Ready::hook(
                    common_dir,
                    &seen.place.path(),
                    script,
                    is_ours,
                )?)
            }
            _ => None,
        };
        let is_config_new = *plan == HookPlan::Config && seen.config != Some(ConfigHook::Current);
        let has_changed = program.is_some() || hook.is_some() || is_config_new;
        // A record that is there counts, whatever fails afterwards.
        let recorded = records::write_missing(held, repository, narrator)?;
        let sharing = share::share(repository, request.share, narrator)?;
        let placed = self.place(program, hook, plan).inspect_err(|_| {
            // An error here would hide the one that explains it.
            let _ = share::undo(repository, sharing);
        });
        let replaced = placed?;
        Ok(Done {
            has_changed: has_changed
                || recorded.written > 0
                || sharing != Sharing::Unchanged
                || !replaced.is_empty(),
            recorded,
            sharing,
            replaced,
        })
    }

    /// Puts the program and the hook in place. Returns the hook files that the config replaces.
    fn place(
        &self,
        program: Option<Ready>,
        hook: Option<Ready>,
        plan: &HookPlan,
    ) -> Result<Vec<PathBuf>> {
        let SeenHook {
            common_dir, place, ..
        } = self.seen;
        let copy = program::path(common_dir);
        program.map_or(Ok(()), Ready::rename)?;
        let mut replaced = Vec::new();
        let wired = hook.map_or(Ok(()), Ready::rename).and_then(|()| {
            if *plan == HookPlan::Config {
                hook_config::wire(common_dir, &copy)?;
                // Both would run, and git-lfs would refuse to install its hooks beside the file.
                for hook in places_of_hook(common_dir, &place.hooks_dir) {
                    if unwire_file(&hook)? {
                        replaced.push(hook);
                    }
                }
            }
            Ok(())
        });
        wired.map(|()| replaced).inspect_err(|_| {
            if self.seen.config == Some(ConfigHook::Missing) {
                let _ = hook_config::unwire(common_dir);
            }
            if self.seen.program == ProgramCopy::Missing {
                let _ = fs::remove_file(&copy);
            }
        })
    }
}

fn tell_installed(seen: &SeenHook, plan: &HookPlan, done: &Done, narrator: &Narrator) {
    let hook = quoted(&seen.place.path());
    let place = match plan {
        HookPlan::Config => quoted(&seen.common_dir.join("config")),
        HookPlan::Owner => format!("{hook}, whose owner calls it already"),
        _ => hook,
    };
    if !done.has_changed {
        narrator.tell(format_args!("already installed in {place}"));
        return;
    }
    narrator.tell(format_args!("installed the hook in {place}"));
    for file in &done.replaced {
        narrator.tell(format_args!(
            "removed it from {}, which git 2.54 or later does not need",
            quoted(file)
        ));
    }
    if *plan == HookPlan::Config {
        narrator.tell(format_args!(
            "a git older than 2.54 does not run it: there, run `{PROGRAM}` in each new worktree"
        ));
    }
    match done.sharing {
        Sharing::Unchanged => {}
        Sharing::Shared => {
            narrator.tell("this clone now shares its ports with the others on your list")
        }
        Sharing::Unshared => narrator.tell("this clone no longer shares its ports with others"),
    }
}

/// Tells how many worktrees have no ports yet, and what gives them some. In the main checkout of a
/// submodule, that is the call for the superproject.
fn tell_without_ports(
    directory: &Path,
    found: &Found,
    recorded: &Recorded,
    narrator: &Narrator,
) -> Result<()> {
    let outermost = repository::find_outermost(directory)?.worktree;
    let of = |found: &Found| {
        found
            .worktree
            .as_ref()
            .map(|worktree| worktree.root.clone())
    };
    let here = of(found);
    let superproject = outermost
        .map(|worktree| worktree.root)
        .filter(|root| Some(root) != here.as_ref());
    if let Some(root) = &superproject {
        narrator.tell(format_args!(
            "this is a submodule: its checkout has the ports of {}, whose own hook \
             `{PROGRAM} -C {} --install` installs",
            quoted(root),
            shell_word(root)
        ));
    }
    let is_submodule = |root: &&PathBuf| superproject.is_some() && Some(*root) == here.as_ref();
    let without_ports: Vec<_> = recorded
        .without_ports
        .iter()
        .filter(|root| !is_submodule(root))
        .collect();
    if let Some(first) = without_ports.first() {
        let worktrees = match without_ports.len() {
            1 => "1 worktree has".to_owned(),
            n => format!("{n} worktrees have"),
        };
        let at = here
            .as_ref()
            .filter(|_| superproject.is_none())
            .unwrap_or(first);
        narrator.tell(format_args!(
            "{worktrees} no ports yet; run `{PROGRAM} -C {} --all` to assign them",
            shell_word(at)
        ));
    }
    Ok(())
}

/// Takes the hook out of the clone around `directory`, with the program and everything that is only
/// there for it. Tells what was removed and what is kept.
pub fn uninstall(directory: &Path, options: &LockOptions<'_>) -> Result<()> {
    let found = repository::find(directory)?;
    let common_dir = &found.repository.common_dir;
    let narrator = options.narrator;
    let at = found
        .worktree
        .as_ref()
        .map_or(common_dir, |worktree| &worktree.root);
    let hooks_dir = hooks_dir(at)?;
    // Without our directory nobody has ever allocated here, and the lock would be all that is left.
    let ours = common_dir.join(lock::DIRECTORY);
    let held = (ours.exists().then(|| lock::acquire(common_dir, options))).transpose()?;
    let mut removed = Vec::new();

    if hook_config::unwire(common_dir)? {
        removed.push(format!(
            "the hook from {}",
            quoted(&common_dir.join("config"))
        ));
    }
    for hook in places_of_hook(common_dir, &hooks_dir) {
        if unwire_file(&hook)? {
            removed.push(format!("the hook from {}", quoted(&hook)));
        }
    }
    let is_shared = found.repository.is_shared()?;
    let unshared = match clones::unshare(common_dir) {
        // Others would still count the clone: told at the end, when all else is done.
        Err(error) if is_shared => Err(error),
        unshared => Ok(narrator.or_warn(unshared)),
    };
    if let Ok(Some(true)) = unshared {
        removed.push("this clone from the list of clones that share their ports".to_owned());
    }
    if let Some(held) = &held {
        release::forget_all(held, &found.repository, narrator)?;
    }
    let program = program::path(common_dir);
    match program::remove(&program) {
        Err(error) if is_absence(&error) => {}
        outcome => {
            outcome.could_not("remove", &program)?;
            removed.push(quoted(&program));
        }
    }
    program::remove_leftovers(common_dir);
    lock::remove_directory_if_empty(common_dir);

    for what in &removed {
        narrator.tell(format_args!("removed {what}"));
    }
    if removed.is_empty() {
        narrator.tell("nothing was installed in this clone");
    }
    let lock = lock::path(common_dir);
    if lock.exists() {
        let why = "deleting it would let two processes hold the lock";
        narrator.tell(format_args!("kept {}: {why}", quoted(&lock)));
    }
    if let Some(Some(list)) = narrator.or_warn(exclude::that_hides_port_files(common_dir)) {
        let why = "worktrees still have port files";
        narrator.tell(format_args!("kept our lines in {}: {why}", quoted(&list)));
    }
    unshared.map(drop)
}

/// The files in which our hook may stand: the one that git runs, the one that it would run without
/// `core.hooksPath`, and the names to which managers move either.
fn places_of_hook(common_dir: &Path, hooks_dir: &Path) -> Vec<PathBuf> {
    let names = [HOOK, "post-checkout.legacy", "post-checkout.old"];
    let directories = [hooks_dir.to_owned(), common_dir.join("hooks")].into_iter();
    directories
        .flat_map(|directory| names.map(|name| directory.join(name)))
        .collect()
}

/// Takes us out of the hook file at `path`; says whether we were there.
fn unwire_file(path: &Path) -> Result<bool> {
    match look_at(path)? {
        Hook::File { content, .. } if has_block(&content) => {
            program::rewrite_hook(path, without_us(&content)).map(|()| true)
        }
        _ => Ok(false),
    }
}
