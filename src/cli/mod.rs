//! The command line: git's three arguments, or a person's options.

mod all;
mod arguments;
mod completions;
mod man;

use std::env;
use std::ffi::OsString;
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
use crate::install;
use crate::narrator::Narrator;
use crate::release::release;
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
    Done = 0,
    /// It failed, or `--check` found a problem.
    Failed = 1,
    /// The arguments are wrong.
    Usage = 2,
    /// Another program's hook was left alone, and what to add to it was printed.
    NotInstalled = 3,
    /// The command of `--exec` could not be run.
    CannotRun = 126,
    /// The command of `--exec` was not found.
    NotFound = 127,
}

/// Runs the program with these arguments, its own name first.
pub fn run(arguments: Vec<OsString>) -> ExitCode {
    let exit = match hook_call_in(&arguments) {
        Some(call) => run_hook(&call),
        None => run_by_hand(arguments),
    };
    ExitCode::from(exit as u8)
}

/// A call by git, after it has checked something out.
struct HookCall {
    /// Whether it was a branch or a commit rather than files.
    moved_head: bool,
    /// Whether nothing was checked out before.
    is_first: bool,
}

/// What git's three arguments say: two object ids, and whether HEAD moved. `None` if the arguments are
/// a person's.
fn hook_call_in(arguments: &[OsString]) -> Option<HookCall> {
    let [_, previous, new, flag] = arguments else {
        return None;
    };
    let (previous, new, flag) = (previous.to_str()?, new.to_str()?, flag.to_str()?);
    let is_hex = |word: &str| word.bytes().all(|byte| byte.is_ascii_hexdigit());
    // SHA-1 and SHA-256.
    let is_id = |word: &str| matches!(word.len(), 40 | 64) && is_hex(word);
    let is_call = is_id(previous) && is_id(new) && matches!(flag, "0" | "1");
    is_call.then(|| HookCall {
        moved_head: flag == "1",
        is_first: previous.bytes().all(|digit| digit == b'0'),
    })
}

/// Runs as git's hook, which never fails, even if it panics: its exit status would become that of
/// `git worktree add`, which has succeeded.
fn run_hook(call: &HookCall) -> Exit {
    tell_of_panics_and_exit(0);
    if !call.moved_head {
        return Exit::Done;
    }
    let here = env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
    let narrator = || Narrator::from_elsewhere(&here);
    let served = session(narrator()).and_then(|session| hook::run(&here, call.is_first, &session));
    if let Err(error) = served {
        narrator().error(&error.then_run("worktree-ports-hook"));
    }
    Exit::Done
}

fn tell_of_panics_and_exit(code: i32) {
    std::panic::set_hook(Box::new(move |panic| {
        let fault = error!("internal error: {panic}");
        Narrator::default().error(&fault.remedy("run `worktree-ports-hook` in this worktree"));
        std::process::exit(code);
    }));
}

fn run_by_hand(arguments: Vec<OsString>) -> Exit {
    tell_of_panics_and_exit(1);
    let (directory, mode) = match arguments::parse(arguments) {
        Ok(call) => call,
        Err(error) => {
            // A closed pipe is not an error.
            let _ = error.print();
            let is_wrong = error.use_stderr();
            return if is_wrong { Exit::Usage } else { Exit::Done };
        }
    };
    repository::set_up(Owner::Unchecked);
    let session = session(Narrator::default());
    let served = session.and_then(|session| serve(mode, &directory, &session));
    served.unwrap_or_else(|error| {
        Narrator::default().error(&error);
        Exit::Failed
    })
}

fn serve(mode: Mode, directory: &Path, session: &Session) -> Result<Exit> {
    let found = || repository::find_outermost(directory);
    match mode {
        Mode::Completions(shell) => answer(&completions::script(shell)),
        Mode::Man => answer(&man::page()),
        Mode::Install { share } => install(directory, share, session),
        Mode::Uninstall => install::uninstall(directory, session).map(|()| Exit::Done),
        Mode::Check => check(directory, session),
        Mode::List { json, all_clones } => list(&found()?, json, all_clones, session),
        Mode::All { json, adopt } => all::serve(&found()?.repository, json, adopt, session),
        mode => serve_worktree(mode, directory, &found()?, session),
    }
}

/// Serves a call that is about one worktree.
fn serve_worktree(mode: Mode, directory: &Path, found: &Found, session: &Session) -> Result<Exit> {
    let repository = &found.repository;
    let worktree = found.worktree.as_ref().ok_or_else(|| {
        let path = quoted(&repository.common_dir);
        error!("{path} is not inside a worktree")
            .remedy("run it in a worktree, or name one with `-C <path>`")
    })?;
    if let Mode::Get(names) = &mode {
        check_names(names, repository, worktree)?;
    }
    let outcome = match mode {
        Mode::Release => {
            session
                .narrator
                .tell(release(repository, worktree, session)?);
            return Ok(Exit::Done);
        }
        Mode::Reallocate => reserve::request(repository, worktree, Request::Reallocate, session),
        Mode::Adopt => adopt(repository, worktree, session),
        _ => reserve::ensure(repository, worktree, session),
    };
    let assigned = assigned(outcome?, worktree, &session.narrator)?;
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
    let state = worktree.port_file()?;
    if let FileState::Missing | FileState::Copied | FileState::Damaged = state {
        let path = worktree.root.quoted(port_file::NAME);
        let word = match state {
            FileState::Missing => "missing",
            state => state.word(),
        };
        let problem = error!("there is nothing to adopt: {path} is {word}");
        return Err(problem.remedy(format!("run `{}`", worktree.by_hand())));
    }
    reserve::request(repository, worktree, Request::Adopt, session)
}

/// The ports of a worktree, after telling what was replaced to give it some.
fn assigned(outcome: Outcome, worktree: &Worktree, narrator: &Narrator) -> Result<Assigned> {
    match outcome {
        Outcome::Kept(assigned) => Ok(assigned),
        Outcome::LeftAlone(state) => Err(reserve::left_alone(worktree, &state)),
        Outcome::Written(assigned, summary) => {
            summary.tell_what_was_replaced(worktree, narrator);
            if summary.gone_below > 0 {
                narrator.tell(summary.of_allocation(&assigned));
            }
            Ok(assigned)
        }
    }
}

/// Fails if one of the names of `--get` is unknown, before anything is allocated for it.
fn check_names(names: &[String], repository: &Repository, worktree: &Worktree) -> Result<()> {
    let state = worktree.port_file()?;
    let own = state.own().map(|own| &own.bundle);
    let config = config_file::of(worktree, repository, own)?.config;
    let available = config.names();
    let Some(unknown) = names.iter().find(|name| !available.contains(name)) else {
        return Ok(());
    };
    let meant = nearest(unknown, available.iter().map(String::as_str));
    let meant = meant.map_or_else(String::new, |meant| format!("did you mean `{meant}`? "));
    let available = available.join(", ");
    Err(error!("unknown name `{unknown}`").remedy(format!("{meant}available: {available}")))
}

/// The value of each name on a line.
fn get(names: &[String], assigned: &Assigned, worktree: &Worktree) -> Result<String> {
    let line = |name: &String| {
        let value = assigned
            .config
            .value(name, &assigned.values())
            .ok_or_else(|| {
                let by_hand = worktree.by_hand();
                let remedy = format!("run `{by_hand} --reallocate` to choose all its ports anew");
                error!("`{name}` has no value in this worktree").remedy(remedy)
            })?;
        Ok(value + "\n")
    };
    names.iter().map(line).collect()
}

/// Runs a command in `directory`, with the worktree's variables in its environment. On Unix, this
/// process becomes the command, so that signals and the terminal are the command's own.
fn exec(command: &[OsString], directory: &Path, assigned: &Assigned, session: &Session) -> Exit {
    let program = Path::new(&command[0]);
    let mut running = Command::new(program);
    running
        .args(&command[1..])
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
    session.narrator.error(&Error::at("run", program, &error));
    match error.kind() {
        io::ErrorKind::NotFound => Exit::NotFound,
        _ => Exit::CannotRun,
    }
}

fn list(found: &Found, json: bool, all_clones: bool, session: &Session) -> Result<Exit> {
    let statuses = status::of_all(&found.repository, all_clones, session)?;
    if json {
        return answer(&table::list_json(&statuses, all_clones));
    }
    let may_colour = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let style = TableStyle {
        colour: may_colour && io::stdout().is_terminal(),
        width: width_of_terminal(),
        from: env::current_dir().unwrap_or_default(),
    };
    answer(&table::list(&statuses, found.worktree.as_ref(), &style))
}

/// The columns of the terminal on stdout; `None` for a pipe or a file.
fn width_of_terminal() -> Option<usize> {
    // Some terminals know their columns and not their rows.
    #[cfg(unix)]
    let columns = rustix::termios::tcgetwinsize(io::stdout()).ok()?.ws_col;
    #[cfg(windows)]
    let columns = terminal_size::terminal_size_of(io::stdout())?.0.0;
    (columns > 0).then_some(usize::from(columns))
}

fn check(directory: &Path, session: &Session) -> Result<Exit> {
    let problems = match repository::find_outermost(directory) {
        Err(error) if error.kind() == ErrorKind::Misplaced => vec![error],
        found => check::problems(&facts::gather(&found?, &this_program()?, session)?),
    };
    if problems.is_empty() {
        session.narrator.tell("no problems found");
        return Ok(Exit::Done);
    }
    answer(&problems.iter().map(render::problem).collect::<String>())?;
    Ok(Exit::Failed)
}

/// A session that waits for locks as long as the environment says.
fn session(narrator: Narrator) -> Result<Session> {
    const VARIABLE: &str = "WORKTREE_PORTS_LOCK_TIMEOUT";
    let value = env::var_os(VARIABLE).unwrap_or_else(|| "60".into());
    let value = value.to_string_lossy();
    match value.parse() {
        // `parse` also accepts a sign.
        Ok(seconds) if !value.starts_with('+') => {
            Ok(Session::new(narrator, Duration::from_secs(seconds)))
        }
        _ => Err(error!(
            "invalid `{VARIABLE}`: `{value}` is not a whole number of seconds (0: do not wait)"
        )),
    }
}

/// Prints the answer. A closed pipe is not an error.
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

/// Installs the hook; if another program's is in the way, prints what makes it call this program.
fn install(directory: &Path, share: Option<bool>, session: &Session) -> Result<Exit> {
    // Set by npm and similar programs for the scripts that they run.
    let by_package_manager = env::var_os("npm_lifecycle_event").is_some();
    let program = this_program()?;
    let installed = install::install(directory, &program, share, by_package_manager, session)?;
    if installed.compares_clones {
        let warnings = warnings_about_clones(directory, &program);
        for warning in session.narrator.or_warn(warnings).unwrap_or_default() {
            session.narrator.warn(warning);
        }
    }
    let Some(text) = installed.instructions else {
        return Ok(Exit::Done);
    };
    answer(&text)?;
    Ok(if by_package_manager {
        Exit::Done
    } else {
        Exit::NotInstalled
    })
}

/// What to warn about in a clone that shares its ports with others. No lock is waited for.
fn warnings_about_clones(directory: &Path, program: &Path) -> Result<Vec<Error>> {
    let session = Session::new(Narrator::default(), Duration::ZERO);
    let found = repository::find(directory)?;
    let facts = facts::gather(&found, program, &session)?;
    Ok(check::problems_between_clones(&facts))
}

fn this_program() -> Result<PathBuf> {
    env::current_exe().map_err(|error| error!("could not find the running program: {error}"))
}
