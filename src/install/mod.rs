//! Installing the hook in a clone and taking it out again: look, plan, do.

mod git_config;
mod hook_file;
mod look;
pub mod managers;
mod plan;
mod problems;
mod records;
mod share;

use std::env::consts::EXE_SUFFIX;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process;

use crate::error::{CouldNot, Error, Result, is_absence, is_write_refused, quoted, shell_word};
use crate::files::replace::replace;
use crate::git::access;
use crate::git::clones;
use crate::git::exclude;
use crate::git::lock::{self, LockOptions};
use crate::git::repository::{self, Found};
use crate::install::hook_file::{has_block, is_ours_alone, without_us};
use crate::install::look::{hooks_dir, look, look_at};
use crate::install::managers::Manager;
use crate::install::plan::{ConfigHook, Hook, Plan, Seen, plan};
use crate::narrator::Narrator;
use crate::release;

pub use crate::install::problems::problems;

/// The file that git runs after a checkout.
const HOOK: &str = "post-checkout";

/// The name of the program, in the common dir too.
const PROGRAM: &str = "worktree-ports-hook";

/// How the names of this program's temporary files start, in the directories of hooks too.
const TEMPORARY: &str = ".worktree-ports.";

/// What `--install` came to.
pub struct Installed {
    /// Whether the hook runs from now on.
    pub outcome: Outcome,
    /// How many worktrees have no port file yet.
    pub without_ports: usize,
}

/// Whether the hook runs from now on.
pub enum Outcome {
    /// The hook runs from now on, by what is named.
    Wired(String),
    /// Another's hook is in the way, and was left alone.
    InTheWay {
        /// Whose it is.
        manager: Manager,
        /// The file to add the manager's snippet to.
        add_to: PathBuf,
    },
}

/// Installs the hook in the clone around `directory`, with a copy of `program`. With `share`, the
/// clone is put on the user's list of clones or taken off it.
pub fn install(
    directory: &Path,
    program: &Path,
    share: Option<bool>,
    options: &LockOptions<'_>,
) -> Result<Installed> {
    let found = repository::find(directory)?;
    let (common_dir, here) = (&found.repository.common_dir, here(&found));
    // What is refused leaves no lock behind.
    look_and_plan(&found)?;
    // Two at once would each write what they have read before the other wrote.
    let held = lock::acquire(common_dir, options)?;
    remove_leftovers(common_dir);
    let (seen, plan) = look_and_plan(&found)?;

    let copy = program_in(common_dir);
    let (is_new, had_hook) = (!copy.exists(), seen.config != Some(ConfigHook::Missing));
    let outcome = copy_program(common_dir, program, &copy)
        .and_then(|()| wire(&found, seen, plan, &copy, options.narrator))
        .inspect_err(|_| {
            // As it was before. What fails next is told already.
            if !had_hook {
                let _ = git_config::unwire(here, common_dir);
            }
            if is_new {
                let _ = fs::remove_file(&copy);
            }
        })?;
    match share {
        Some(true) => share::share(&found.repository, options.narrator)?,
        Some(false) => drop(clones::unshare(common_dir)?),
        // A clone that was made anew in the place of one that was shared.
        None if !found.repository.is_shared()?
            && options.narrator.or_warn(clones::is_listed(common_dir)) == Some(true) =>
        {
            clones::share(common_dir)?;
        }
        None => {}
    }
    let without_ports = records::write_missing(&held, &found.repository, options.narrator)?;
    Ok(Installed {
        outcome,
        without_ports,
    })
}

fn look_and_plan(found: &Found) -> Result<(Seen, Plan)> {
    let seen = look(found)?;
    match plan(&seen) {
        Plan::NotExecutable => Err(not_executable(&seen.hooks_dir.join(HOOK), here(found))),
        plan => Ok((seen, plan)),
    }
}

/// Has git or the hook's owner run `program`, the copy in the clone.
fn wire(
    found: &Found,
    seen: Seen,
    plan: Plan,
    program: &Path,
    narrator: &Narrator,
) -> Result<Outcome> {
    let common_dir = &found.repository.common_dir;
    let hook = seen.hooks_dir.join(HOOK);
    Ok(match plan {
        Plan::Config => {
            git_config::wire(here(found), common_dir, program)?;
            // What an older git needed: both would run, and git-lfs would refuse its own hooks.
            for hook in places_of_hook(common_dir, seen.hooks_dir) {
                unwire_file(&hook)?;
            }
            narrate_disabled(here(found), narrator);
            Outcome::Wired(format!(
                "{} (an older git than 2.54 does not run it: there, run `{PROGRAM}` in a new worktree)",
                quoted(&common_dir.join("config"))
            ))
        }
        Plan::File(script) => {
            write_hook(common_dir, &hook, &script)?;
            Outcome::Wired(quoted(&hook))
        }
        Plan::Owner => Outcome::Wired(format!("{}, whose owner calls it already", quoted(&hook))),
        Plan::InTheWay(manager) => Outcome::InTheWay {
            manager,
            add_to: (found.worktree.as_ref())
                .and_then(|worktree| manager.config_in(&worktree.root))
                .unwrap_or(hook),
        },
        Plan::NotExecutable => return Err(not_executable(&hook, here(found))),
    })
}

/// Takes the hook out of the clone around `directory`, with the program and all that is only there
/// for it. Tells what was done and what is kept.
pub fn uninstall(directory: &Path, options: &LockOptions<'_>) -> Result<()> {
    let found = repository::find(directory)?;
    let (common_dir, here) = (&found.repository.common_dir, here(&found));
    let narrator = options.narrator;
    let hooks_dir = hooks_dir(here)?;
    // Without our directory nobody has ever allocated here; the lock would be all that is left.
    let ours = common_dir.join(lock::DIRECTORY);
    let held = (ours.exists().then(|| lock::acquire(common_dir, options))).transpose()?;
    let mut removed = Vec::new();

    if git_config::unwire(here, common_dir)? {
        removed.push(format!(
            "the hook from {}",
            quoted(&common_dir.join("config"))
        ));
    }
    for hook in places_of_hook(common_dir, hooks_dir) {
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
    let program = program_in(common_dir);
    match remove_program(&program) {
        Err(error) if is_absence(&error) => {}
        outcome => {
            outcome.could_not("remove", &program)?;
            removed.push(quoted(&program));
        }
    }
    remove_leftovers(common_dir);
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

fn not_executable(hook: &Path, here: &Path) -> Error {
    Error::new(format!(
        "{} is not executable, so git does not run it",
        quoted(hook)
    ))
    .remedy(format!(
        "remove it or run `chmod +x {}`, then run `{PROGRAM} -C {} --install`",
        shell_word(hook),
        shell_word(here)
    ))
}

/// Not a problem: the user has wished for it.
fn narrate_disabled(here: &Path, narrator: &Narrator) {
    if narrator.or_warn(git_config::is_disabled(here)) == Some(true) {
        narrator.tell(format_args!(
            "`{}` is false, so git does not run the hook",
            git_config::ENABLED
        ));
    }
}

/// Where git is to be asked: in the worktree, whose config may differ, if there is one.
fn here(found: &Found) -> &Path {
    (found.worktree.as_ref()).map_or(&found.repository.common_dir, |worktree| &worktree.root)
}

/// The program that the hook of the clone runs.
fn program_in(common_dir: &Path) -> PathBuf {
    common_dir
        .join(lock::DIRECTORY)
        .join(format!("{PROGRAM}{EXE_SUFFIX}"))
}

#[expect(
    clippy::disallowed_methods,
    reason = "programs are larger than what a branch may have read"
)]
fn copy_program(common_dir: &Path, program: &Path, copy: &Path) -> Result<()> {
    let bytes = fs::read(program).could_not("read the program", program)?;
    // What a link there leads to is somebody else's.
    if copy.is_symlink() {
        fs::remove_file(copy).could_not("remove", copy)?;
    }
    let mut written = replace(copy, &bytes);
    // Windows does not replace a program that runs.
    if cfg!(windows) && written.is_err() && remove_program(copy).is_ok() {
        written = replace(copy, &bytes);
    }
    written.could_not("write the program", copy)?;
    make_executable(common_dir, copy);
    Ok(())
}

fn write_hook(common_dir: &Path, hook: &Path, script: &[u8]) -> Result<()> {
    let hooks_dir = common_dir.join("hooks");
    access::create_dir(common_dir, &hooks_dir).could_not("make the directory", &hooks_dir)?;
    replace(hook, script).could_not("write the hook", hook)?;
    if is_ours_alone(script) {
        make_executable(common_dir, hook);
    }
    Ok(())
}

/// Lets those run `made` who can enter the common dir.
fn make_executable(common_dir: &Path, made: &Path) {
    access::share(common_dir, made, |common| common & 0o777);
}

/// Removes a program. One that runs on Windows can only be renamed, and is removed by a later
/// [`remove_leftovers`].
fn remove_program(program: &Path) -> io::Result<()> {
    match fs::remove_file(program) {
        Err(error) if cfg!(windows) && is_write_refused(&error) => {
            let name = format!("{TEMPORARY}{}", process::id());
            fs::rename(program, program.with_file_name(name))
        }
        outcome => outcome,
    }
}

/// Removes the temporary files that a killed `--install` has left, and what was moved away: under
/// the lock none is in use.
fn remove_leftovers(common_dir: &Path) {
    for name in [lock::DIRECTORY, "hooks"] {
        let entries = fs::read_dir(common_dir.join(name))
            .into_iter()
            .flatten()
            .flatten();
        for entry in entries {
            if entry
                .file_name()
                .as_encoded_bytes()
                .starts_with(TEMPORARY.as_bytes())
            {
                // A program that still runs on Windows stays until the next time.
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// The files in which our hook may stand: that which git runs, that which it would run without a
/// `core.hooksPath`, and what managers rename either to.
fn places_of_hook(common_dir: &Path, hooks_dir: PathBuf) -> impl Iterator<Item = PathBuf> {
    let names = [HOOK, "post-checkout.legacy", "post-checkout.old"];
    [hooks_dir, common_dir.join("hooks")]
        .into_iter()
        .flat_map(move |directory| names.map(|name| directory.join(name)))
}

/// Takes us out of the hook file at `path`; says whether we were there.
fn unwire_file(path: &Path) -> Result<bool> {
    let Hook::File { content, .. } = look_at(path)? else {
        return Ok(false);
    };
    if !has_block(&content) {
        return Ok(false);
    }
    match without_us(&content) {
        Some(rest) => replace(path, &rest),
        None => fs::remove_file(path),
    }
    .could_not("restore the hook", path)?;
    Ok(true)
}
