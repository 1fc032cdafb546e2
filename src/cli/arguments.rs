//! The options, and the one mode that they come to.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgGroup, CommandFactory, Parser, ValueHint};
use clap_complete::Shell;

use crate::config::nearest::nearest;

/// Give every git worktree its own ports
///
/// Without a mode, print the ports of the current worktree; if it has none yet,
/// assign them first. git runs the installed hook on `git worktree add`, so a new
/// worktree has its ports before you enter it.
///
/// The ports are in `.worktree-ports.json` at the root of the worktree. The config
/// is `.worktree-ports.config.json` at the root of the repository.
#[derive(Parser)]
#[command(
    name = "worktree-ports-hook",
    version,
    verbatim_doc_comment,
    override_usage = USAGE,
    after_help = "Run with --help for examples.",
    after_long_help = AFTER_HELP,
)]
#[command(group = ArgGroup::new("mode").multiple(false))]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own; `Mode` is what they come to"
)]
struct Arguments {
    /// Run as if started in <PATH>
    ///
    /// Any directory of a worktree will do, as for git.
    #[arg(
        short = 'C',
        value_name = "PATH",
        value_hint = ValueHint::DirPath,
        allow_hyphen_values = true
    )]
    directory: Vec<PathBuf>,

    /// Print the ports and URLs as NAME=value lines
    ///
    /// <SERVICE>_PORT for each service, PORT if there is only one,
    /// <NAME>_URL for each URL, `WORKTREE_SLOT`, and what `env` in the
    /// config adds or replaces.
    #[arg(long, verbatim_doc_comment, group = "mode", help_heading = THIS_WORKTREE)]
    env: bool,

    /// Print one value per line: a service's port, a URL,
    /// `slot`, or a line of --env
    ///
    /// An unknown name is an error that lists the known ones.
    #[arg(long, verbatim_doc_comment, value_name = "NAME", num_args = 1.., group = "mode", help_heading = THIS_WORKTREE)]
    get: Vec<String>,

    /// Run the command that follows, with the lines of --env set
    ///
    /// Everything after --exec belongs to the command. The exit status is the
    /// command's own.
    #[arg(long, verbatim_doc_comment, group = "mode", help_heading = THIS_WORKTREE)]
    exec: bool,

    /// Print the port file; with --all or --list, an array
    #[arg(long, conflicts_with_all = NOT_OF_ALL, help_heading = THIS_WORKTREE)]
    json: bool,

    /// Reassign this worktree's ports
    ///
    /// Stop its servers first: a port that is in use is not chosen. No other
    /// option moves a service that has a port already.
    #[arg(long, verbatim_doc_comment, group = "mode", help_heading = THIS_WORKTREE)]
    reallocate: bool,

    /// Take over the ports that another tool's file names
    ///
    /// The file is a .worktree-ports.json in another format. Servers that run
    /// keep their ports. With --all, in every worktree that has such a file.
    #[arg(long, verbatim_doc_comment, group = "mode", help_heading = THIS_WORKTREE)]
    adopt: bool,

    /// Give this worktree's ports back
    ///
    /// Removes its port file and its block in each env file. `git worktree
    /// remove` gives the ports back too.
    #[arg(long, verbatim_doc_comment, group = "mode", help_heading = THIS_WORKTREE)]
    release: bool,

    /// List worktrees, their ports, and what listens on them
    #[arg(long, group = "mode", help_heading = ALL_WORKTREES)]
    list: bool,

    /// Assign ports to worktrees that have none, update the rest;
    /// with --list, show every clone installed with --share
    #[arg(long, verbatim_doc_comment, conflicts_with_all = NOT_OF_ALL, help_heading = ALL_WORKTREES)]
    all: bool,

    /// Report problems and how to fix them
    ///
    /// Exits 1 if there is one. Changes nothing.
    #[arg(long, group = "mode", help_heading = ALL_WORKTREES)]
    check: bool,

    /// Install the hook in this clone, or upgrade it
    ///
    /// Copies this program into the clone. A hook that belongs to another
    /// program is left alone; what to add to its config is printed.
    #[arg(long, verbatim_doc_comment, group = "mode", help_heading = THIS_CLONE)]
    install: bool,

    /// With --install: keep this clone's ports apart from those
    /// of every other clone that was installed with --share
    #[arg(long, verbatim_doc_comment, help_heading = THIS_CLONE)]
    share: bool,

    /// With --install: undo --share
    #[arg(long, conflicts_with = "share", help_heading = THIS_CLONE)]
    no_share: bool,

    /// Remove the hook from this clone
    #[arg(long, group = "mode", help_heading = THIS_CLONE)]
    uninstall: bool,

    /// Print completions for bash, zsh, fish, powershell
    #[arg(long, value_name = "SHELL", hide_possible_values = true, group = "mode", help_heading = THIS_PROGRAM)]
    completions: Option<Shell>,

    /// Print the manual page, for `man -l -`
    #[arg(long, group = "mode", help_heading = THIS_PROGRAM)]
    man: bool,
}

pub const USAGE: &str = "\
worktree-ports-hook [-C PATH] [MODE]
       worktree-ports-hook [-C PATH] --exec COMMAND [ARGUMENT]...";

/// The modes that are about one thing and print one form.
const NOT_OF_ALL: [&str; 10] = [
    "reallocate",
    "env",
    "get",
    "exec",
    "release",
    "check",
    "install",
    "uninstall",
    "completions",
    "man",
];

const THIS_WORKTREE: &str = "This worktree";
const ALL_WORKTREES: &str = "All worktrees";
const THIS_CLONE: &str = "This clone";
const THIS_PROGRAM: &str = "This program";

pub const AFTER_HELP: &str = "\
Examples:
  This worktree
    worktree-ports-hook --exec npm run dev      run with PORT, WEB_PORT, ... set
    worktree-ports-hook --get web api           3010 and 4010, one per line
    worktree-ports-hook --env > .env.ports      a file for compose, node, ...
  All worktrees
    worktree-ports-hook --list                  who has which port
    worktree-ports-hook -C ../fix-cart --check  problems, each with its fix
  This clone
    worktree-ports-hook --install               once per clone; again to upgrade
    worktree-ports-hook --install --share       also apart from other clones
  This program
    source <(worktree-ports-hook --completions bash)
    worktree-ports-hook --man | man -l -

Environment:
  WORKTREE_PORTS_LOCK_TIMEOUT  seconds to wait for another process (default 60)
  NO_COLOR                     if set, --list prints no colors

Files:
  .worktree-ports.json         the ports of a worktree, at its root
  .worktree-ports.config.json  services and what is made from their ports
  .git/worktree-ports/         the program that the hook runs, and the lock

Exit status:
  0    done
  1    failed, or --check found a problem
  2    wrong usage
  3    --install left another program's hook alone and printed what to add to it
  126  --exec could not run the command
  127  --exec did not find the command
  As a git hook it always exits 0, so that `git worktree add` succeeds.";

/// What a call is for.
pub enum Mode {
    Assign,
    Reallocate,
    Adopt,
    Env,
    Get(Vec<String>),
    Exec(Vec<OsString>),
    Release,
    Json,
    All { json: bool, adopt: bool },
    List { json: bool, all_clones: bool },
    Check,
    Install { share: Option<bool> },
    Uninstall,
    Completions(Shell),
    Man,
}

impl Arguments {
    /// What the options come to; `command` is what stands behind `--exec`.
    fn mode(self, command: Vec<OsString>) -> Mode {
        let json = self.json;
        match self.completions {
            Some(shell) => Mode::Completions(shell),
            None if self.list => Mode::List {
                json,
                all_clones: self.all,
            },
            None if self.all => Mode::All {
                json,
                adopt: self.adopt,
            },
            None if self.install => Mode::Install {
                share: (self.share || self.no_share).then_some(self.share),
            },
            None if self.json => Mode::Json,
            None if self.reallocate => Mode::Reallocate,
            None if self.adopt => Mode::Adopt,
            None if self.env => Mode::Env,
            None if self.exec => Mode::Exec(command),
            None if self.release => Mode::Release,
            None if self.check => Mode::Check,
            None if self.uninstall => Mode::Uninstall,
            None if self.man => Mode::Man,
            None if !self.get.is_empty() => Mode::Get(self.get),
            None => Mode::Assign,
        }
    }
}

/// What a person's arguments, the program's own name first, ask for: where, and what.
///
/// # Errors
/// They are wrong, or ask for the help, which is then what the error prints.
pub fn parse(arguments: Vec<OsString>) -> Result<(PathBuf, Mode), clap::Error> {
    let (arguments, command) = split_at_exec(arguments);
    let arguments = Arguments::try_parse_from(arguments).map_err(with_the_option_meant)?;
    let missing = |what: &str| {
        let kind = ErrorKind::MissingRequiredArgument;
        Err(Arguments::command().error(kind, what))
    };
    if (arguments.share || arguments.no_share) && !arguments.install {
        return missing("--share and --no-share need --install");
    }
    if arguments.exec && command.is_empty() {
        return missing("--exec needs a command");
    }
    if arguments.adopt && arguments.json && !arguments.all {
        return missing("--adopt with --json needs --all");
    }
    let here = PathBuf::from(".");
    let directory = [here].iter().chain(&arguments.directory).collect();
    Ok((directory, arguments.mode(command)))
}

/// The arguments up to `--exec`, and those behind it, which are the command's own.
fn split_at_exec(mut arguments: Vec<OsString>) -> (Vec<OsString>, Vec<OsString>) {
    let is_value = |i: usize| arguments[i - 1] == "-C";
    let exec = (1..arguments.len()).find(|&i| arguments[i] == "--exec" && !is_value(i));
    let Some(exec) = exec else {
        return (arguments, Vec::new());
    };
    let mut command = arguments.split_off(exec + 1);
    if command.first().is_some_and(|first| first == "--") {
        command.remove(0);
    }
    (arguments, command)
}

/// Adds the option that a word without a dash most likely means, because there are no subcommands.
fn with_the_option_meant(error: clap::Error) -> clap::Error {
    let is_unknown = error.kind() == ErrorKind::UnknownArgument;
    let word = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(word)) if is_unknown && !word.starts_with('-') => word,
        _ => return error,
    };
    let mut command = Arguments::command();
    let option = match word.as_str() {
        "ls" | "status" => Some("list"),
        "run" => Some("exec"),
        word => nearest(word, command.get_arguments().filter_map(Arg::get_long)),
    };
    let message = match option {
        Some(option) => format!("unexpected word '{word}'\n\n  tip: use '--{option}'"),
        None => format!("unexpected word '{word}'; every mode is an option"),
    };
    command.error(ErrorKind::UnknownArgument, message)
}

/// The options, as clap knows them.
pub fn command() -> clap::Command {
    Arguments::command()
}
