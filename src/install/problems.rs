//! What keeps the hook of a clone from running, or what else writes its port files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result, error, quoted, shell_word, unless_shortage};
use crate::git::access;
use crate::git::config::{self, Scope, is_false, os_string};
use crate::git::entries::Place;
use crate::git::repository::Found;
use crate::git::worktree::Worktree;
use crate::install::managers::HUSKY;
use crate::install::plan::{HookPlan, plan};
use crate::install::seen::{Hook, HookPlace, PartState, hooks_dir};
use crate::install::{HOOK, PROGRAM, SeenHook, older, program};
use crate::state::port_file;

/// The command that solves a problem of the hook in the worktree with the root `at`, or prints what does.
pub fn run_install(at: &Path) -> String {
    format!("run `{PROGRAM} -C {} --install`", shell_word(at))
}

/// A problem that `--install` solves in the worktree with the root `at`.
fn for_install(what: String, at: &Path) -> Error {
    Error::new(what).remedy(run_install(at))
}

/// The problems of the clone's hook, in all its worktrees. Takes no lock, and asks git at least once for
/// each worktree.
pub fn problems(found: &Found, program: &Path) -> Result<Vec<Error>> {
    let seen = &SeenHook::look(found, program)?;
    let here = &seen.place.at;
    let mut problems = Vec::new();
    let problem = problem_at(seen, &seen.place, &seen.plan);
    problems.extend(problem.or_else(|| wrong_program(seen)));
    let mut has_worktrees = false;
    for worktree in seen.repository.live_worktrees()? {
        // `--check` reports worktrees that are broken, each by itself.
        let Ok(worktree) = unless_shortage(worktree)? else {
            continue;
        };
        has_worktrees = true;
        match unless_shortage(problems_in(seen, &worktree))? {
            Ok(in_worktree) => problems.extend(in_worktree),
            // It was removed in the meantime.
            Err(_) if !worktree.path().exists() => {}
            Err(error) => problems.push(error),
        }
    }
    if seen.has_config_hooks() && !has_worktrees {
        problems.extend(disabled(seen.common_dir(), &BTreeSet::new(), here)?);
    }
    // One command may solve a problem in several worktrees.
    let mut remedies = BTreeSet::new();
    problems.retain(|problem| {
        let remedy = problem.parts().1;
        remedy.is_none_or(|remedy| remedies.insert(remedy.to_owned()))
    });
    let older = older::look(seen)?;
    problems.extend(older.iter().map(|hook| older_hook(hook, here)));
    Ok(problems)
}

/// What keeps the hook from running in one worktree, except for what [`problem_at`] has said of the one
/// in which the program was called.
fn problems_in(seen: &SeenHook<'_>, worktree: &Worktree) -> Result<Vec<Error>> {
    let (root, here) = (worktree.path(), &seen.place.at);
    let Ok(own) = unless_shortage(own_settings(worktree))? else {
        return Ok(Vec::new());
    };
    if seen.has_config_hooks() {
        return disabled(root, &own, here);
    }
    if root == here || hooks_dir(root)? == seen.place.hooks_dir {
        return Ok(Vec::new());
    }
    let place = HookPlace::look(seen.repository, root)?;
    let is_own = own.contains("core.hookspath") && !place.hook.runs_us();
    let problem = problem_at(seen, &place, &plan(&place));
    let told = |problem| {
        if is_own {
            own_hooks_path(&place)
        } else {
            problem
        }
    };
    Ok(problem.map(told).into_iter().collect())
}

/// Checks that git can run the hook once it is installed.
pub fn check_can_run(seen: &SeenHook<'_>) -> Result<()> {
    match seen.plan {
        _ if access::is_noexec(seen.common_dir()) => Err(noexec(seen.common_dir())),
        HookPlan::NotExecutable => Err(others_not_executable(&seen.place)),
        _ => broken(&seen.place.hook, &seen.plan).map_or(Ok(()), Err),
    }
}

/// Why git cannot run a hook file, or why we cannot edit it.
fn broken(hook: &Hook, plan: &HookPlan) -> Option<Error> {
    hook.half_block().or_else(|| match plan {
        HookPlan::Config(_) => None,
        _ => no_interpreter(hook),
    })
}

/// The error for a script that the system cannot start. git for Windows reads its first line itself, and
/// ignores a carriage return.
fn no_interpreter(hook: &Hook) -> Option<Error> {
    if cfg!(windows) {
        return None;
    }
    let path = quoted(&hook.path);
    let mut lines = hook
        .content
        .strip_prefix(b"#!")?
        .split(|&byte| byte == b'\n');
    let line = lines.next()?.trim_ascii_start();
    if line.ends_with(b"\r") {
        let what = error!("git cannot run {path}, because its first line ends in CRLF");
        return Some(what.remedy(format!("end the lines of {path} with LF")));
    }
    let name = line.split(|byte| b" \t".contains(byte)).next()?;
    let interpreter = PathBuf::from(os_string(name.to_vec()));
    (!interpreter.exists()).then(|| {
        let interpreter = quoted(&interpreter);
        error!("git cannot run {path}, because its interpreter {interpreter} is not there")
            .remedy(format!("correct the first line of {path}"))
    })
}

/// Why the hook does not run in the worktree of `place`, or not as this version would install it.
fn problem_at(seen: &SeenHook<'_>, place: &HookPlace, plan: &HookPlan) -> Option<Error> {
    // Whatever else keeps the hook from running, this must be solved first.
    if access::is_noexec(seen.common_dir()) {
        return Some(noexec(seen.common_dir()));
    }
    if let Some(broken) = broken(&place.hook, plan) {
        return Some(broken);
    }
    let (state, file) = match plan {
        // An older git has installed it.
        HookPlan::Config(PartState::Missing) if place.hook.runs_us() => return None,
        HookPlan::Config(state) => (*state, seen.common_dir().join("config")),
        HookPlan::File(script) => (place.hook.state(script), place.hook.path.clone()),
        HookPlan::NotExecutable => return Some(others_not_executable(place)),
        HookPlan::Owner => return missing_dir(seen, place),
        HookPlan::InTheWay => {
            return missing_dir(seen, place).or_else(|| Some(does_not_call(seen, place)));
        }
    };
    let file = quoted(&file);
    let what = match state {
        PartState::Current => return None,
        PartState::Outdated => {
            format!("the hook in {file} is not the one that this version installs")
        }
        PartState::NotExecutable => not_executable(place),
        PartState::Missing => format!("no hook is installed in {}", quoted(seen.common_dir())),
    };
    Some(for_install(what, &place.at))
}

/// What is wrong with the copy of the program that the hook runs.
fn wrong_program(seen: &SeenHook<'_>) -> Option<Error> {
    let state = match seen.program {
        PartState::Current => return None,
        // A line that somebody wrote by hand may call another copy.
        _ if seen.plan == HookPlan::Owner && seen.place.manager.is_none() => return None,
        PartState::Missing => "missing",
        PartState::NotExecutable => "not executable",
        PartState::Outdated => "a different build from the one you are running",
    };
    let copy = quoted(&program::path(seen.common_dir()));
    let what = format!("the hook runs {copy}, which is {state}");
    Some(for_install(what, &seen.place.at))
}

fn own_hooks_path(place: &HookPlace) -> Error {
    let (root, dir) = (quoted(&place.at), quoted(&place.hooks_dir));
    let (at, install) = (shell_word(&place.at), run_install(&place.at));
    error!(
        "the worktree {root} has a `core.hooksPath` of its own, {dir}, so git does not run the \
         hook there"
    )
    .remedy(format!(
        "run `git -C {at} config --worktree --unset-all core.hooksPath`, or {install} to see what \
         to add to it"
    ))
}

/// The hooks directory is missing in this worktree, and the main worktree has it: a relative
/// `core.hooksPath` names a different directory in each.
fn missing_dir(seen: &SeenHook<'_>, place: &HookPlace) -> Option<Error> {
    let main = seen.repository.main.as_ref().and_then(Place::root)?;
    let in_main = main.join(place.hooks_dir.strip_prefix(&place.at).ok()?);
    if place.hooks_dir.is_dir() || !in_main.is_dir() {
        return None;
    }
    let dir = quoted(&place.hooks_dir);
    let remedy = if place.manager == Some(HUSKY) {
        format!("run `cd {} && npm install`", shell_word(&place.at))
    } else {
        let (here, in_main) = (shell_word(&seen.place.at), shell_word(&in_main));
        format!("run `git -C {here} config core.hooksPath {in_main}`")
    };
    let what = error!(
        "`core.hooksPath` names {dir}, which is missing, so `git worktree add` runs no hook there"
    );
    Some(what.remedy(remedy))
}

/// The hook that git runs is somebody else's, or there is none.
fn does_not_call(seen: &SeenHook<'_>, place: &HookPlace) -> Error {
    let own = Hook::look(seen.common_dir().join("hooks").join(HOOK));
    let hook = quoted(&place.hook.path);
    let what = match (place.manager, own) {
        (Some(manager), _) => format!("{hook} is {}'s and does not call {PROGRAM}", manager.name),
        (None, Ok(hidden)) if hidden.runs_us() => {
            format!("`core.hooksPath` hides the hook {}", quoted(&hidden.path))
        }
        (None, _) => format!("{hook} does not call {PROGRAM}"),
    };
    for_install(what, &place.at)
}

fn not_executable(place: &HookPlace) -> String {
    let hook = quoted(&place.hook.path);
    format!("{hook} is not executable, so git does not run it")
}

/// The hook file is somebody else's and not executable.
fn others_not_executable(place: &HookPlace) -> Error {
    let (hook, install) = (shell_word(&place.hook.path), run_install(&place.at));
    let remedy = format!("remove it or run `chmod +x {hook}`, then {install}");
    Error::new(not_executable(place)).remedy(remedy)
}

/// No program in the common dir can run.
fn noexec(common_dir: &Path) -> Error {
    let dir = quoted(common_dir);
    error!("{dir} is on a file system that runs no programs (noexec), so the hook cannot run")
        .remedy(format!(
            "mount it without `noexec`; until then, run `{PROGRAM}` by hand in each new worktree"
        ))
}

/// The settings that keep git from running the hook in the worktree or common dir `at`. The keys in
/// `own` are set only there, the others for all worktrees, including `here`.
fn disabled(at: &Path, own: &BTreeSet<String>, here: &Path) -> Result<Vec<Error>> {
    let pattern = r"^hook\.(worktree-ports|post-checkout)\.enabled$";
    // The last value of a key is in force.
    let settings: BTreeMap<String, String> = config::matching(at, Scope::EFFECTIVE, pattern)?
        .into_iter()
        .collect();
    let problem = |key: &str| {
        let (place, scope, at) = if own.contains(key) {
            (
                format!(" in the worktree {}", quoted(at)),
                "--worktree ",
                at,
            )
        } else {
            (String::new(), "", here)
        };
        let at = shell_word(at);
        error!("`{key}` is false{place}, so git does not run the hook").remedy(format!(
            "run `git -C {at} config {scope}--replace-all {key} true`"
        ))
    };
    let disabled = settings.iter().filter(|(_, value)| is_false(value));
    Ok(disabled.map(|(key, _)| problem(key)).collect())
}

/// The keys in the config that only this worktree has.
fn own_settings(worktree: &Worktree) -> Result<BTreeSet<String>> {
    if !worktree.git_dir.has("config.worktree") {
        return Ok(BTreeSet::new());
    }
    let settings = config::matching(worktree.path(), Scope::WORKTREE, ".")?;
    Ok(settings.into_iter().map(|(key, _)| key).collect())
}

/// An older hook writes the port file too.
fn older_hook(hook: &str, here: &Path) -> Error {
    let (install, at) = (run_install(here), shell_word(here));
    error!("{hook} writes `{}` too", port_file::NAME).remedy(format!(
        "to hand its ports over, {install}, then `{PROGRAM} -C {at} --all --adopt`, then remove it"
    ))
}
