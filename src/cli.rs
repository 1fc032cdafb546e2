//! The command line: git's three arguments, or a person's options.

use std::cell::RefCell;
use std::env;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::allocate::lock::{self, Manner};
use crate::error::{Error, Result, printable, quoted};
use crate::git::entries::Worktree;
use crate::git::repository::{self, Found, Owner, Repository};
use crate::hook::{self, Checkout, Decision};
use crate::install::{self, Installed};
use crate::report::check;
use crate::report::render::{self, Look};
use crate::report::status;
use crate::reserve::{self, Demand, Outcome, Replaced, Reservation};
use crate::state::port_file;

/// Gives every git worktree its own ports.
///
/// Run as git's post-checkout hook, it reserves ports for a fresh worktree in
/// `.worktree-ports.json`. Run by hand without options, it makes sure that this worktree has ports,
/// and prints them.
#[derive(Parser)]
#[command(name = "worktree-ports-hook", version, max_term_width = 100)]
#[command(group = clap::ArgGroup::new("mode").multiple(false))]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own"
)]
struct Arguments {
    /// Run as if started in <PATH>
    #[arg(short = 'C', value_name = "PATH")]
    directory: Vec<PathBuf>,

    /// Make sure of the ports of every worktree of the repository
    #[arg(long, group = "mode")]
    all: bool,

    /// Choose this worktree's ports anew
    #[arg(long, group = "mode")]
    reallocate: bool,

    /// Print lines NAME=value for shells and programs
    #[arg(long, group = "mode")]
    env: bool,

    /// Print the port of <SERVICE> alone
    #[arg(long, value_name = "SERVICE", group = "mode")]
    get: Option<String>,

    /// Print the port file; with --all an array of them, with --list an array of worktrees
    #[arg(long, conflicts_with_all = ["reallocate", "env", "get", "check", "install", "uninstall"])]
    json: bool,

    /// Show every worktree, its ports, and what listens
    #[arg(long, group = "mode")]
    list: bool,

    /// Show problems, each with the command that mends it
    #[arg(long, group = "mode")]
    check: bool,

    /// Wire up the hook in this clone
    #[arg(long, group = "mode")]
    install: bool,

    /// Restore what was there before the hook was wired up
    #[arg(long, group = "mode")]
    uninstall: bool,
}

/// Runs the program with these arguments, its own name first.
pub fn run(arguments: Vec<OsString>) -> ExitCode {
    if let [_, previous, new, flag] = arguments.as_slice()
        && let [Some(previous), Some(_), Some(flag)] =
            [previous, new, flag].map(|argument| argument.to_str())
        && !previous.starts_with('-')
    {
        return run_hook(previous, flag);
    }
    match Arguments::try_parse_from(arguments) {
        Ok(arguments) => run_by_hand(&arguments),
        Err(error) => {
            // Nobody may be reading.
            let _ = error.print();
            u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
        }
    }
}

/// Runs as git's hook. Its exit status would become that of `git worktree add`, whose worktree is
/// fine whatever happens here, a panic too.
fn run_hook(previous_head: &str, flag: &str) -> ExitCode {
    let narrator = Narrator::default();
    tell_of_panics_and_exit(0);
    if let Some(checkout) = Checkout::parse(previous_head, flag)
        && let Err(error) = serve_checkout(&checkout, &narrator)
    {
        narrator.error(
            &error.remedy_or("when that is mended, run `worktree-ports-hook` in this worktree"),
        );
    }
    ExitCode::SUCCESS
}

fn tell_of_panics_and_exit(code: i32) {
    std::panic::set_hook(Box::new(move |panic| {
        let fault = Error::new(format!("a fault of the program: {panic}"));
        Narrator::default().error(&fault.remedy("run `worktree-ports-hook` in this worktree"));
        std::process::exit(code);
    }));
}

fn serve_checkout(checkout: &Checkout, narrator: &Narrator) -> Result<()> {
    let here = env::current_dir().map_err(|error| Error::at("find", Path::new("."), error))?;
    let Some(worktree) = Worktree::linked_at(&here)? else {
        return Ok(());
    };
    let state = port_file::state(&port_file::read_own(&here)?, worktree.id.as_deref());
    repository::set_up(Owner::CheckedByGit);
    match hook::decide(checkout, &state, || worktree.tracks(port_file::NAME))? {
        Decision::Nothing => Ok(()),
        Decision::TellTracked => Err(tracked(&worktree)),
        Decision::Reserve => {
            worktree.check_registered()?;
            let repository = Repository::open(&worktree.common_dir)?;
            let narrate = |line: &str| narrator.tell(line);
            match reserve::reserve(&repository, &worktree, Demand::Any, &manner(&narrate)?)? {
                Outcome::Reserved(reservation, _) => {
                    narrator.tell(&format!("{} ({})", reservation.bundle, port_file::NAME));
                    Ok(())
                }
                Outcome::Kept(_) | Outcome::Foreign => Ok(()),
                Outcome::Tracked => Err(tracked(&worktree)),
            }
        }
    }
}

fn run_by_hand(arguments: &Arguments) -> ExitCode {
    let narrator = Narrator::default();
    tell_of_panics_and_exit(1);
    repository::set_up(Owner::Unchecked);
    match serve(arguments, &narrator) {
        Ok(code) => code,
        Err(error) => {
            narrator.error(&error);
            ExitCode::FAILURE
        }
    }
}

fn serve(arguments: &Arguments, narrator: &Narrator) -> Result<ExitCode> {
    let directory: PathBuf = [PathBuf::from(".")]
        .iter()
        .chain(&arguments.directory)
        .collect();
    let narrate = |line: &str| narrator.tell(line);
    let manner = manner(&narrate)?;

    if arguments.install {
        return install(&directory, narrator);
    }
    if arguments.uninstall {
        for line in install::uninstall(&directory, &manner)? {
            narrator.tell(&line);
        }
        return Ok(ExitCode::SUCCESS);
    }

    let found = repository::find_outermost(&directory)?;
    if arguments.list {
        return list(&found, arguments.json, narrator);
    }
    if arguments.check {
        return check(&found, &manner);
    }
    if arguments.all {
        return all(&found, arguments.json, &manner, narrator);
    }

    let Found {
        repository,
        worktree,
    } = found;
    let worktree = worktree.ok_or_else(|| {
        Error::new(format!(
            "{} is in no worktree",
            quoted(&repository.common_dir)
        ))
        .remedy("run it in a worktree, or name one with `-C <path>`")
    })?;
    let outcome = if arguments.reallocate {
        reserve::reserve(&repository, &worktree, Demand::Anew, &manner)?
    } else {
        reserve::ensure(&repository, &worktree, &manner)?
    };
    let reservation = answer_of(outcome, &worktree, narrator)?;
    answer(&match &arguments.get {
        Some(service) => get(&reservation, service)?,
        None if arguments.env => render::env(&reservation),
        None if arguments.json => render::json(&worktree, &reservation)?,
        None => render::text(&worktree, &reservation),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Makes sure of every worktree's ports. One that cannot have any does not keep others from theirs.
fn all(found: &Found, json: bool, manner: &Manner<'_>, narrator: &Narrator) -> Result<ExitCode> {
    let mut code = ExitCode::SUCCESS;
    let mut has_ports = Vec::new();
    let mut text = String::new();
    for worktree in status::worktrees_of(found, manner.narrate)? {
        let outcome = match worktree.is_in_place() {
            Ok(false) => continue,
            Ok(true) => reserve::fill(&found.repository, &worktree, manner),
            Err(error) => Err(error),
        };
        match outcome {
            Ok(Outcome::Kept(reservation)) => has_ports.push((worktree, reservation)),
            Ok(Outcome::Reserved(reservation, _)) => {
                let _ = writeln!(text, "{}: {}", render::name(&worktree), reservation.bundle);
                has_ports.push((worktree, reservation));
            }
            Ok(Outcome::Foreign) => {}
            Ok(Outcome::Tracked) => narrator.tell(&tracked(&worktree).to_string()),
            Err(error) => {
                narrator.error(&error);
                code = ExitCode::FAILURE;
            }
        }
    }
    answer(&if json {
        render::json_of_all(&has_ports)?
    } else {
        text
    })?;
    Ok(code)
}

fn list(found: &Found, json: bool, narrator: &Narrator) -> Result<ExitCode> {
    let surveyed = status::survey(found, &|line| narrator.tell(line))?;
    answer(&if json {
        render::list_json(&surveyed)?
    } else {
        let look = Look {
            colour: io::stdout().is_terminal()
                && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
            width: terminal_size::terminal_size().map(|(width, _)| usize::from(width.0)),
            from: env::current_dir().unwrap_or_default(),
        };
        render::list(&surveyed, found.worktree.as_ref(), &look)
    })?;
    Ok(ExitCode::SUCCESS)
}

fn check(found: &Found, manner: &Manner<'_>) -> Result<ExitCode> {
    // A repository without a lock file has no writer to wait for, and nothing is to be written.
    let common_dir = &found.repository.common_dir;
    let _held = if lock::path(common_dir).exists() {
        Some(lock::acquire(common_dir, manner)?)
    } else {
        None
    };
    let problems = check::problems(
        found,
        &status::survey(found, manner.narrate)?,
        manner.narrate,
    )?;
    answer(&render::problems(&problems))?;
    Ok(if problems.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Wires up the hook; where another's is in the way, prints what to add to its config.
fn install(directory: &Path, narrator: &Narrator) -> Result<ExitCode> {
    const NOT_INSTALLED: u8 = 3;
    let program = env::current_exe()
        .map_err(|error| Error::new(format!("could not find the running program: {error}")))?;
    match install::install(directory, &program)? {
        Installed::Wired(by) => {
            narrator.tell(&format!("the hook is wired up by {by}"));
            Ok(ExitCode::SUCCESS)
        }
        Installed::InTheWay { manager, add_to } => {
            let owner = manager.name();
            narrator.tell(&format!(
                "the post-checkout hook is {owner}'s, and was left as it is; add this to {}:",
                quoted(&add_to)
            ));
            answer(manager.snippet())?;
            Ok(ExitCode::from(NOT_INSTALLED))
        }
    }
}

/// What a call by hand has to show, or why it has nothing.
fn answer_of(outcome: Outcome, worktree: &Worktree, narrator: &Narrator) -> Result<Reservation> {
    let path = worktree.root.join(port_file::NAME);
    match outcome {
        Outcome::Kept(reservation) => Ok(reservation),
        Outcome::Reserved(reservation, replaced) => {
            let was = match replaced {
                Replaced::Nothing | Replaced::Own => return Ok(reservation),
                Replaced::Copied => "a copy of another worktree's",
                Replaced::Damaged => "damaged",
                Replaced::Foreign => "another tool's",
            };
            narrator.tell(&format!(
                "{} was {was}, and has been replaced",
                quoted(&path)
            ));
            Ok(reservation)
        }
        Outcome::Foreign => Err(Error::new(format!(
            "{} is another tool's: it has no `worktree` or no `ports`",
            quoted(&path)
        ))
        .remedy("`worktree-ports-hook --reallocate` replaces it")),
        Outcome::Tracked => Err(tracked(worktree)),
    }
}

fn tracked(worktree: &Worktree) -> Error {
    let path = worktree.root.join(port_file::NAME);
    Error::new(format!(
        "git tracks {}, so it is no worktree's own",
        quoted(&path)
    ))
    .remedy(format!(
        "run `git rm --cached {}` in {}, commit, and run `worktree-ports-hook` there",
        port_file::NAME,
        quoted(&worktree.root)
    ))
}

fn get(reservation: &Reservation, service: &str) -> Result<String> {
    let port = reservation.bundle.port(service);
    port.map(|port| format!("{port}\n")).ok_or_else(|| {
        let declared = reservation
            .bundle
            .ports
            .iter()
            .map(|(name, _)| name.as_str());
        let declared: Vec<&str> = declared.collect();
        Error::new(format!(
            "`{service}` has no port here, the services that have: {}",
            declared.join(", ")
        ))
    })
}

/// How the transaction is to be gone about, as the environment has it.
fn manner(narrate: &dyn Fn(&str)) -> Result<Manner<'_>> {
    const VARIABLE: &str = "WORKTREE_PORTS_LOCK_TIMEOUT";
    let seconds = match env::var_os(VARIABLE) {
        None => 60,
        Some(value) => (value.to_str())
            .filter(|value| value.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|value| value.parse().ok())
            .ok_or_else(|| {
                Error::new(format!(
                    "`{VARIABLE}` is `{}`: whole seconds are allowed, and 0 for not waiting at all",
                    value.to_string_lossy()
                ))
            })?,
    };
    Ok(Manner {
        patience: Duration::from_secs(seconds),
        narrate,
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

/// The narration on stderr: each line once, and whatever a path or a file says, harmless to a
/// terminal.
#[derive(Default)]
struct Narrator {
    told: RefCell<Vec<String>>,
}

impl Narrator {
    fn tell(&self, line: &str) {
        let line = printable(line);
        let mut told = self.told.borrow_mut();
        if !told.contains(&line) {
            // Nobody may be reading.
            let _ = writeln!(io::stderr(), "worktree-ports: {line}");
            told.push(line);
        }
    }

    fn error(&self, error: &Error) {
        self.tell(&format!("error: {error}"));
    }
}
