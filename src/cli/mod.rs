//! The command line: git's three arguments, or a person's options.

mod arguments;

use std::env;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use crate::allocate::plan::Aim;
use crate::cli::arguments::{Mode, completions, man};
use crate::config::file as config_file;
use crate::config::nearest::nearest;
use crate::error::{Error, Result, printable, quoted};
use crate::git::lock::LockOptions;
use crate::git::repository::{self, Found, Owner, Repository};
use crate::git::worktree::Worktree;
use crate::hook::{self, Checkout};
use crate::install;
use crate::narrator::Narrator;
use crate::release::{self, Released};
use crate::report::render::{self, Look};
use crate::report::{check, status};
use crate::reserve::{self, Outcome};
use crate::state::assigned::Assigned;
use crate::state::port_file::{self, State};

/// How a call ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    /// It is done.
    Done,
    /// It failed, or `--check` found a problem.
    Failed,
    /// The arguments are wrong.
    Usage,
    /// Another's hook is in the way; what to add to it was printed.
    NotInstalled,
    /// The command of `--exec` was there and could not be run.
    CannotRun,
    /// There is no such command.
    NotFound,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::NotInstalled => 3,
            Exit::CannotRun => 126,
            Exit::NotFound => 127,
        })
    }
}

/// Runs the program with these arguments, its own name first.
pub fn run(arguments: Vec<OsString>) -> ExitCode {
    let narrator = Narrator::default();
    if let Some(checkout) = checkout_in(&arguments) {
        run_hook(checkout.as_ref(), &narrator);
        return Exit::Done.into();
    }
    let exit = match arguments::parse(arguments) {
        Ok((directory, mode)) => run_by_hand(mode, &directory, &narrator),
        Err(error) => {
            // Nobody may be reading.
            let _ = error.print();
            if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Done
            }
        }
    };
    exit.into()
}

/// The checkout that git's three arguments tell of: two object ids, and whether HEAD moved. `None` if
/// the arguments are a person's.
#[expect(
    clippy::option_option,
    reason = "a checkout of files is git's, and none to serve"
)]
fn checkout_in(arguments: &[OsString]) -> Option<Option<Checkout>> {
    let [_, previous, new, flag] = arguments else {
        return None;
    };
    let is_hex = |word: &str| word.bytes().all(|byte| byte.is_ascii_hexdigit());
    // SHA-1 and SHA-256.
    let is_id = |word: &str| matches!(word.len(), 40 | 64) && is_hex(word);
    match (previous.to_str()?, new.to_str()?, flag.to_str()?) {
        (previous, new, flag @ ("0" | "1")) if is_id(previous) && is_id(new) => {
            Some(Checkout::parse(previous, flag))
        }
        _ => None,
    }
}

/// Runs as git's hook. Its exit status would become that of `git worktree add`, whose worktree is
/// fine whatever happens here, a panic too.
fn run_hook(checkout: Option<&Checkout>, narrator: &Narrator) {
    tell_of_panics_and_exit(0);
    let Some(checkout) = checkout else { return };
    let served = || -> Result<()> {
        let here = env::current_dir().map_err(|error| Error::at("find", Path::new("."), error))?;
        hook::run(checkout, &here, || lock_options(narrator))
    };
    if let Err(error) = served() {
        narrator.error(&error.remedy_or("run `worktree-ports-hook` in this worktree to try again"));
    }
}

fn tell_of_panics_and_exit(code: i32) {
    std::panic::set_hook(Box::new(move |panic| {
        let fault = Error::new(format!("a fault of the program: {panic}"));
        Narrator::default().error(&fault.remedy("run `worktree-ports-hook` in this worktree"));
        std::process::exit(code);
    }));
}

fn run_by_hand(mode: Mode, directory: &Path, narrator: &Narrator) -> Exit {
    tell_of_panics_and_exit(1);
    repository::set_up(Owner::Unchecked);
    let served = lock_options(narrator).and_then(|options| serve(mode, directory, &options));
    served.unwrap_or_else(|error| {
        narrator.error(&error);
        Exit::Failed
    })
}

fn serve(mode: Mode, directory: &Path, options: &LockOptions<'_>) -> Result<Exit> {
    match mode {
        Mode::Install { share } => return install(directory, share, options),
        Mode::Uninstall => return install::uninstall(directory, options).map(|()| Exit::Done),
        Mode::Completions(shell) => return answer(&completions(shell)).map(|()| Exit::Done),
        Mode::Man => return answer(&man()).map(|()| Exit::Done),
        _ => {}
    }
    let found = repository::find_outermost(directory)?;
    match mode {
        Mode::List { json, all_clones } => list(&found, json, all_clones, options),
        Mode::Check => check(&found, options),
        Mode::All { json } => all(&found, json, options),
        Mode::Install { .. } | Mode::Uninstall | Mode::Completions(_) | Mode::Man => {
            unreachable!("served above")
        }
        mode => {
            let Found {
                repository,
                worktree,
            } = found;
            let worktree = worktree.ok_or_else(|| in_no_worktree(&repository))?;
            serve_worktree(mode, &repository, &worktree, directory, options)
        }
    }
}

fn in_no_worktree(repository: &Repository) -> Error {
    Error::new(format!(
        "{} is in no worktree",
        quoted(&repository.common_dir)
    ))
    .remedy("run it in a worktree, or name one with `-C <path>`")
}

/// Serves what is about one worktree.
fn serve_worktree(
    mode: Mode,
    repository: &Repository,
    worktree: &Worktree,
    directory: &Path,
    options: &LockOptions<'_>,
) -> Result<Exit> {
    if let Mode::Release = mode {
        return release(repository, worktree, options);
    }
    if let Mode::Get(names) = &mode {
        check_names(names, repository, worktree)?;
    }
    let outcome = match mode {
        Mode::Reallocate => reserve::reserve(repository, worktree, Aim::Reallocate, options)?,
        _ => reserve::ensure(repository, worktree, options)?,
    };
    let assigned = assigned(outcome, worktree, options.narrator)?;
    let text = match mode {
        Mode::Exec(command) => return Ok(exec(&command, directory, &assigned, options.narrator)),
        Mode::Env => render::env(&assigned.variables()),
        Mode::Json => render::json(&assigned.reservation),
        Mode::Get(names) => get(&names, &assigned)?,
        _ => render::text(worktree, &assigned.reservation),
    };
    answer(&text)?;
    Ok(Exit::Done)
}

/// The ports of a worktree, after saying what was replaced to give it some.
fn assigned(outcome: Outcome, worktree: &Worktree, narrator: &Narrator) -> Result<Assigned> {
    match outcome {
        Outcome::Kept(assigned) => Ok(assigned),
        Outcome::LeftAlone(state) => Err(reserve::left_alone(worktree, &state)),
        Outcome::Written(assigned, written) => {
            tell_what_was_replaced(&written.before, worktree, narrator);
            if written.gone_below > 0 {
                narrator.tell(written.summary(&assigned));
            }
            Ok(assigned)
        }
    }
}

/// Says what lay at the port file's path, if it was not the worktree's own.
fn tell_what_was_replaced(before: &State, worktree: &Worktree, narrator: &Narrator) {
    let was = match before {
        State::Copied => "a copy of another worktree's",
        State::Damaged => "damaged",
        State::Unreadable(_) => "unreadable",
        State::Foreign => "another tool's",
        State::Missing | State::Own(_) | State::Tracked => return,
    };
    let path = worktree.root.join(port_file::NAME);
    narrator.tell(format_args!("replaced {}, which was {was}", quoted(&path)));
}

/// Fails if one of the names of `--get` is not declared, before anything is allocated for it.
fn check_names(names: &[String], repository: &Repository, worktree: &Worktree) -> Result<()> {
    let config = config_file::of(worktree, repository)?;
    let declared = config.names();
    let unknown = names.iter().find(|name| !declared.contains(name));
    unknown.map_or(Ok(()), |name| {
        let meant = nearest(name, declared.iter().map(String::as_str));
        let meant = meant.map_or_else(String::new, |meant| format!("did you mean `{meant}`? "));
        Err(Error::new(format!("unknown name `{name}`"))
            .remedy(format!("{meant}available: {}", declared.join(", "))))
    })
}

/// The value of each name on a line.
fn get(names: &[String], assigned: &Assigned) -> Result<String> {
    let mut text = String::new();
    for name in names {
        let value = assigned.value(name).ok_or_else(|| {
            Error::new(format!("`{name}` has no value in this worktree"))
                .remedy("run `worktree-ports-hook --reallocate` to reassign all its ports")
        })?;
        let _ = writeln!(text, "{value}");
    }
    Ok(text)
}

/// Runs a command in `directory`, with the variables of the worktree in its environment. On Unix
/// this process becomes the command, so that signals and the terminal are its own.
fn exec(command: &[OsString], directory: &Path, assigned: &Assigned, narrator: &Narrator) -> Exit {
    let (program, arguments) = command.split_first().expect("clap asks for a command");
    let mut running = Command::new(program);
    running
        .args(arguments)
        .current_dir(directory)
        .envs(assigned.variables());
    #[cfg(unix)]
    let error = std::os::unix::process::CommandExt::exec(&mut running);
    #[cfg(not(unix))]
    let error = match running.status() {
        // A status has 32 bits there, and `ExitCode` eight.
        Ok(status) => std::process::exit(status.code().unwrap_or(1)),
        Err(error) => error,
    };
    let program = Path::new(program);
    narrator.error(&Error::at("run", program, &error));
    match error.kind() {
        io::ErrorKind::NotFound => Exit::NotFound,
        _ => Exit::CannotRun,
    }
}

/// Assigns ports to every worktree that has none and brings all up to date. One that cannot have
/// any does not keep the others from theirs.
fn all(found: &Found, json: bool, options: &LockOptions<'_>) -> Result<Exit> {
    let repository = &found.repository;
    let narrator = options.narrator;
    let mut exit = Exit::Done;
    let mut reservations = Vec::new();
    let mut text = String::new();
    for entry in status::in_order(repository.worktrees()?) {
        let Some(worktree) = Worktree::of(&entry, &repository.common_dir) else {
            continue;
        };
        let outcome = match worktree.is_in_place() {
            Ok(false) => continue,
            Ok(true) => reserve::ensure(repository, &worktree, options),
            Err(error) => Err(error),
        };
        match outcome {
            Ok(Outcome::Kept(assigned)) => reservations.push(assigned.reservation),
            Ok(Outcome::Written(assigned, written)) => {
                tell_what_was_replaced(&written.before, &worktree, narrator);
                let name = printable(worktree.name());
                let _ = writeln!(text, "{name}: {}", written.summary(&assigned));
                reservations.push(assigned.reservation);
            }
            // Another tool's file is its owner's wish.
            Ok(Outcome::LeftAlone(state)) => narrator.tell(reserve::left_alone(&worktree, &state)),
            Err(error) => {
                narrator.error(&error);
                exit = Exit::Failed;
            }
        }
    }
    answer(&if json {
        render::json(&reservations)
    } else {
        text
    })?;
    Ok(exit)
}

fn list(found: &Found, json: bool, all_clones: bool, options: &LockOptions<'_>) -> Result<Exit> {
    let statuses = status::of_all(found, all_clones, options.narrator)?;
    answer(&if json {
        render::list_json(&statuses, all_clones)
    } else {
        let look = Look {
            colour: io::stdout().is_terminal()
                && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
            width: terminal_size::terminal_size().map(|(width, _)| usize::from(width.0)),
            from: env::current_dir().unwrap_or_default(),
        };
        render::list(&statuses, found.worktree.as_ref(), &look)
    })?;
    Ok(Exit::Done)
}

fn check(found: &Found, options: &LockOptions<'_>) -> Result<Exit> {
    let problems = check::problems(found, &this_program()?, options)?;
    answer(&render::problems(&problems))?;
    Ok(if problems.is_empty() {
        Exit::Done
    } else {
        Exit::Failed
    })
}

fn release(
    repository: &Repository,
    worktree: &Worktree,
    options: &LockOptions<'_>,
) -> Result<Exit> {
    match release::release(repository, worktree, options)? {
        Released::Done(what) => options.narrator.tell(what),
        Released::LeftAlone(state) => return Err(reserve::left_alone(worktree, &state)),
    }
    Ok(Exit::Done)
}

/// How long to wait for locks, as the environment has it.
fn lock_options(narrator: &Narrator) -> Result<LockOptions<'_>> {
    const VARIABLE: &str = "WORKTREE_PORTS_LOCK_TIMEOUT";
    let seconds = match env::var_os(VARIABLE) {
        None => 60,
        Some(value) => (value.to_str())
            .filter(|value| value.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|value| value.parse().ok())
            .ok_or_else(|| {
                Error::new(format!(
                    "invalid `{VARIABLE}`: `{}` is not a whole number of seconds (0 does not wait)",
                    value.to_string_lossy()
                ))
            })?,
    };
    Ok(LockOptions {
        timeout: Duration::from_secs(seconds),
        narrator,
    })
}

/// Prints the answer. That nobody reads it is no error.
fn answer(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::new(format!("could not print the answer: {error}")))
        }
        _ => Ok(()),
    }
}

/// Installs the hook; if another's is in the way, prints what to add to its config.
fn install(directory: &Path, share: Option<bool>, options: &LockOptions<'_>) -> Result<Exit> {
    let narrator = options.narrator;
    let installed = install::install(directory, &this_program()?, share, options)?;
    let exit = match installed.outcome {
        install::Outcome::Wired(place) => {
            narrator.tell(format_args!("installed the hook in {place}"));
            Exit::Done
        }
        install::Outcome::InTheWay { manager, add_to } => {
            narrator.tell(format_args!(
                "the hook belongs to {}; add this to {}, then run its own install:",
                manager.name,
                quoted(&add_to)
            ));
            answer(manager.snippet)?;
            Exit::NotInstalled
        }
    };
    if installed.without_ports > 0 {
        let worktrees = match installed.without_ports {
            1 => "1 worktree has".to_owned(),
            n => format!("{n} worktrees have"),
        };
        narrator.tell(format_args!(
            "{worktrees} no ports yet; run `worktree-ports-hook --all` to assign them"
        ));
    }
    Ok(exit)
}

fn this_program() -> Result<PathBuf> {
    env::current_exe()
        .map_err(|error| Error::new(format!("could not find the running program: {error}")))
}
