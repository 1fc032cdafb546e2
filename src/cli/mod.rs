//! The command line: git's three arguments, or a person's options.

mod all;
mod arguments;
mod completions;
mod man;

use std::env;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use crate::allocate::plan::Request;
use crate::cli::arguments::Mode;
use crate::config::file as config_file;
use crate::config::nearest::nearest;
use crate::error::{Error, ErrorKind, Result, error, quoted};
use crate::git::repository::{self, Found, Owner, Repository};
use crate::git::worktree::Worktree;
use crate::hook;
use crate::install::{self, InstallRequest, Installed};
use crate::narrator::Narrator;
use crate::release::{self, Released};
use crate::report::table::{self, TableStyle};
use crate::report::{check, facts, render, status};
use crate::reserve::{self, Outcome};
use crate::session::Session;
use crate::state::port_file::{self, FileState};
use crate::writes::assigned::Assigned;

/// How a call ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Exit {
    /// It is done.
    Done = 0,
    /// It failed, or `--check` found a problem.
    Failed = 1,
    /// The arguments are wrong.
    Usage = 2,
    /// Another's hook is in the way; what to add to it was printed.
    NotInstalled = 3,
    /// The command of `--exec` was there and could not be run.
    CannotRun = 126,
    /// There is no such command.
    NotFound = 127,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// Runs the program with these arguments, its own name first.
pub fn run(arguments: Vec<OsString>) -> ExitCode {
    if let Some(call) = hook_call_in(&arguments) {
        run_hook(call);
        return Exit::Done.into();
    }
    let exit = match arguments::parse(arguments) {
        Ok((directory, mode)) => run_by_hand(mode, &directory),
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

/// What git has checked out before it runs the hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HookCall {
    /// A branch or a commit; the first one if there was none before.
    Commit {
        is_first: bool,
    },
    Files,
}

/// What git's three arguments tell: two object ids, and whether HEAD moved. `None` if the arguments
/// are a person's.
fn hook_call_in(arguments: &[OsString]) -> Option<HookCall> {
    let [_, previous, new, flag] = arguments else {
        return None;
    };
    let (previous, new) = (previous.to_str()?, new.to_str()?);
    let is_hex = |word: &str| word.bytes().all(|byte| byte.is_ascii_hexdigit());
    // SHA-1 and SHA-256.
    let is_id = |word: &str| matches!(word.len(), 40 | 64) && is_hex(word);
    let is_first = previous.bytes().all(|digit| digit == b'0');
    match flag.to_str()? {
        _ if !is_id(previous) || !is_id(new) => None,
        "1" => Some(HookCall::Commit { is_first }),
        "0" => Some(HookCall::Files),
        _ => None,
    }
}

/// Runs as git's hook. Its exit status would become that of `git worktree add`, whose worktree is
/// fine whatever happens here, even a panic.
fn run_hook(call: HookCall) {
    tell_of_panics_and_exit(0);
    let HookCall::Commit { is_first } = call else {
        return;
    };
    let here = env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
    let narrator = || Narrator::from_elsewhere(&here);
    let served = session(narrator()).and_then(|session| hook::run(&here, is_first, &session));
    if let Err(error) = served {
        narrator().error(&error.remedy_or("run `worktree-ports-hook` to try again"));
    }
}

fn tell_of_panics_and_exit(code: i32) {
    std::panic::set_hook(Box::new(move |panic| {
        let fault = error!("a fault of the program: {panic}");
        Narrator::default().error(&fault.remedy("run `worktree-ports-hook` in this worktree"));
        std::process::exit(code);
    }));
}

fn run_by_hand(mode: Mode, directory: &Path) -> Exit {
    tell_of_panics_and_exit(1);
    repository::set_up(Owner::Unchecked);
    let session = session(Narrator::default());
    let served = session.and_then(|session| serve(mode, directory, &session));
    served.unwrap_or_else(|error| {
        Narrator::default().error(&error);
        Exit::Failed
    })
}

fn serve(mode: Mode, directory: &Path, session: &Session) -> Result<Exit> {
    match mode {
        Mode::Install { share } => install(directory, share, session),
        Mode::Uninstall => install::uninstall(directory, session).map(|()| Exit::Done),
        Mode::Completions(shell) => answer(&completions::script(shell)),
        Mode::Man => answer(&man::page()),
        mode => serve_repository(mode, directory, session),
    }
}

/// Serves what is about the worktrees of a repository.
fn serve_repository(mode: Mode, directory: &Path, session: &Session) -> Result<Exit> {
    let found = repository::find_outermost(directory);
    if let (Mode::Check, Err(error)) = (&mode, &found)
        && error.kind() == ErrorKind::Misplaced
    {
        answer(&render::problem(error))?;
        return Ok(Exit::Failed);
    }
    let found = found?;
    match mode {
        Mode::List { json, all_clones } => list(&found, json, all_clones, session),
        Mode::Check => check(&found, session),
        Mode::All { json, adopt } => all::serve(&found.repository, json, adopt, session),
        mode => {
            let repository = &found.repository;
            let worktree = found.worktree.ok_or_else(|| in_no_worktree(repository))?;
            serve_worktree(mode, repository, &worktree, directory, session)
        }
    }
}

fn in_no_worktree(repository: &Repository) -> Error {
    error!(
        "{} is not inside a worktree",
        quoted(&repository.common_dir)
    )
    .remedy("run it in a worktree, or name one with `-C <path>`")
}

/// Serves what is about one worktree.
fn serve_worktree(
    mode: Mode,
    repository: &Repository,
    worktree: &Worktree,
    directory: &Path,
    session: &Session,
) -> Result<Exit> {
    if let Mode::Get(names) = &mode {
        check_names(names, repository, worktree)?;
    }
    let outcome = match mode {
        Mode::Release => return release(repository, worktree, session),
        Mode::Reallocate => reserve::request(repository, worktree, Request::Reallocate, session)?,
        Mode::Adopt => adopt(repository, worktree, session)?,
        _ => reserve::ensure(repository, worktree, session)?,
    };
    let assigned = assigned(outcome, worktree, &session.narrator)?;
    let text = match mode {
        Mode::Exec(command) => return Ok(exec(&command, directory, &assigned, session)),
        Mode::Env => render::env(&assigned.variables()),
        Mode::Json => render::json(&assigned.reservation),
        Mode::Get(names) => get(&names, &assigned, worktree)?,
        _ => render::text(worktree, &assigned.reservation),
    };
    answer(&text)
}

/// Takes over the ports that another tool's file names.
fn adopt(repository: &Repository, worktree: &Worktree, session: &Session) -> Result<Outcome> {
    match worktree.port_file()? {
        FileState::Foreign(_) | FileState::Own(_) => {
            reserve::request(repository, worktree, Request::Adopt, session)
        }
        state => {
            let path = quoted(&worktree.root.path_of(port_file::NAME));
            let word = match state {
                FileState::Missing => "missing",
                state => state.word(),
            };
            let what = format!("there is nothing to adopt: {path} is {word}");
            Err(Error::new(what).remedy(format!("run `{}`", worktree.by_hand())))
        }
    }
}

/// The ports of a worktree, after saying what was replaced to give it some.
fn assigned(outcome: Outcome, worktree: &Worktree, narrator: &Narrator) -> Result<Assigned> {
    match outcome {
        Outcome::Kept(assigned) => Ok(assigned),
        Outcome::LeftAlone(state) => Err(reserve::left_alone(worktree, &state)),
        Outcome::Written(assigned, summary) => {
            tell_what_was_replaced(&summary.before, worktree, narrator);
            if summary.gone_below > 0 {
                narrator.tell(summary.of_allocation(&assigned));
            }
            Ok(assigned)
        }
    }
}

/// Says what was at the port file's path, if it was not the worktree's own.
fn tell_what_was_replaced(before: &FileState, worktree: &Worktree, narrator: &Narrator) {
    let was = match before {
        FileState::Copied => "a copy of another worktree's",
        FileState::Damaged => "damaged",
        FileState::Unreadable(_) => "unreadable",
        FileState::Foreign(_) => "another tool's",
        FileState::Missing | FileState::Own(_) | FileState::Tracked => return,
    };
    let path = quoted(&worktree.root.path_of(port_file::NAME));
    narrator.tell(format_args!("replaced {path}, which was {was}"));
}

/// Fails if one of the names of `--get` is not declared, before anything is allocated for it.
fn check_names(names: &[String], repository: &Repository, worktree: &Worktree) -> Result<()> {
    let own = match worktree.port_file()? {
        FileState::Own(own) => Some(own.bundle),
        _ => None,
    };
    let config = config_file::of(worktree, repository)?.for_bundle(own.as_ref());
    let declared = config.names();
    let unknown = names.iter().find(|name| !declared.contains(name));
    unknown.map_or(Ok(()), |name| {
        let meant = nearest(name, declared.iter().map(String::as_str));
        let meant = meant.map_or_else(String::new, |meant| format!("did you mean `{meant}`? "));
        Err(error!("unknown name `{name}`")
            .remedy(format!("{meant}available: {}", declared.join(", "))))
    })
}

/// The value of each name on a line.
fn get(names: &[String], assigned: &Assigned, worktree: &Worktree) -> Result<String> {
    let mut text = String::new();
    for name in names {
        let value = assigned.value(name).ok_or_else(|| {
            error!("`{name}` has no value in this worktree").remedy(format!(
                "run `{} --reallocate` to choose all its ports anew",
                worktree.by_hand()
            ))
        })?;
        let _ = writeln!(text, "{value}");
    }
    Ok(text)
}

/// Runs a command in `directory`, with the variables of the worktree in its environment. On Unix
/// this process becomes the command, so that signals and the terminal are its own.
fn exec(command: &[OsString], directory: &Path, assigned: &Assigned, session: &Session) -> Exit {
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
    session.narrator.error(&Error::at("run", program, &error));
    match error.kind() {
        io::ErrorKind::NotFound => Exit::NotFound,
        _ => Exit::CannotRun,
    }
}

fn list(found: &Found, json: bool, all_clones: bool, session: &Session) -> Result<Exit> {
    let statuses = status::of_all(found, all_clones, session)?;
    if json {
        return answer(&table::list_json(&statuses, all_clones));
    }
    let is_terminal = io::stdout().is_terminal();
    let style = TableStyle {
        colour: is_terminal && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        links: is_terminal,
        width: width_of_terminal(),
        from: env::current_dir().unwrap_or_default(),
    };
    answer(&table::list(&statuses, found.worktree.as_ref(), &style))
}

/// The columns of the terminal that is stdout; `None` for a pipe or a file.
fn width_of_terminal() -> Option<usize> {
    // Some terminals know their columns and not their rows.
    #[cfg(unix)]
    let columns = rustix::termios::tcgetwinsize(io::stdout()).ok()?.ws_col;
    #[cfg(windows)]
    let columns = terminal_size::terminal_size_of(io::stdout())?.0.0;
    (columns > 0).then_some(usize::from(columns))
}

fn check(found: &Found, session: &Session) -> Result<Exit> {
    let facts = facts::gather(found, &this_program()?, session)?;
    let findings = check::findings(&facts);
    let problems = findings.iter().map(|it| render::problem(&it.problem));
    answer(&problems.collect::<String>())?;
    if findings.is_empty() {
        session.narrator.tell("no problems found");
        return Ok(Exit::Done);
    }
    Ok(Exit::Failed)
}

fn release(repository: &Repository, worktree: &Worktree, session: &Session) -> Result<Exit> {
    match release::release(repository, worktree, session)? {
        Released::Done(what) => {
            session.narrator.tell(what);
            Ok(Exit::Done)
        }
        Released::LeftAlone(state) => Err(reserve::left_alone(worktree, &state)),
    }
}

/// A command that waits for locks as long as the environment says.
fn session(narrator: Narrator) -> Result<Session> {
    const VARIABLE: &str = "WORKTREE_PORTS_LOCK_TIMEOUT";
    let seconds = match env::var_os(VARIABLE) {
        None => 60,
        Some(value) => (value.to_str())
            .filter(|value| value.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|value| value.parse().ok())
            .ok_or_else(|| {
                error!(
                    "invalid `{VARIABLE}`: `{}` is not a whole number of seconds (0 does not wait)",
                    value.to_string_lossy()
                )
            })?,
    };
    Ok(Session::new(narrator, Duration::from_secs(seconds)))
}

/// Prints the answer. That nobody reads it is no error.
fn answer(text: &str) -> Result<Exit> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text.as_bytes());
    match written.and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error!("could not print the answer: {error}"))
        }
        _ => Ok(Exit::Done),
    }
}

/// Installs the hook; if another's is in the way, prints what makes it call us.
fn install(directory: &Path, share: Option<bool>, session: &Session) -> Result<Exit> {
    // npm and its like set it for the scripts that they run.
    let by_package_manager = env::var_os("npm_lifecycle_event").is_some();
    let request = InstallRequest {
        directory,
        program: &this_program()?,
        share,
        by_package_manager,
    };
    let Installed::InTheWay(text) = install::install(&request, session)? else {
        return Ok(Exit::Done);
    };
    answer(&text)?;
    Ok(if by_package_manager {
        Exit::Done
    } else {
        Exit::NotInstalled
    })
}

fn this_program() -> Result<PathBuf> {
    env::current_exe().map_err(|error| error!("could not find the running program: {error}"))
}
