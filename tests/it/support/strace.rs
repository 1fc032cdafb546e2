//! The program under strace, which lists its system calls and tampers with one of them.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use super::{PROGRAM, Run, Sandbox};

/// A system call of a run.
#[derive(Debug)]
pub struct Call {
    /// Its name.
    pub name: String,
    /// How many of that name there were up to it: 1 for the first.
    pub nth: usize,
    /// The call as strace tells it.
    pub text: String,
}

impl Call {
    /// What strace is to do at this call, as its `-e inject=` wants it.
    pub fn inject(&self, what: &str) -> String {
        format!("{}:{what}:when={}", self.name, self.nth)
    }
}

/// Runs the program and lists its system calls, from the first one that names the lock file. Those of
/// the gits that it runs are not among them: each process counts its own.
pub fn calls_from_the_lock(sandbox: &Sandbox, at: &str, arguments: &[&str]) -> Vec<Call> {
    let log = sandbox.path("strace.log");
    let mut command = sandbox.command("strace", at);
    command.arg("-o").arg(&log).arg(PROGRAM);
    command.args(arguments);
    Sandbox::finish(command).exits(0);

    let mut calls: Vec<Call> = Vec::new();
    for line in fs::read_to_string(&log).unwrap().lines() {
        let is_call = |_: &(&str, &str)| !line.starts_with(['+', '-']);
        let Some((name, _)) = line.split_once('(').filter(is_call) else {
            continue;
        };
        let before = calls.iter().filter(|call| call.name == name).count();
        calls.push(Call {
            name: name.to_owned(),
            nth: before + 1,
            text: line.to_owned(),
        });
    }
    let names_lock = |call: &Call| call.text.contains("\"lock\"");
    let first = calls
        .iter()
        .position(names_lock)
        .expect("it takes the lock");
    calls.split_off(first)
}

/// How many system calls the program makes from getting the lock to giving it back.
pub fn calls_under_the_lock(sandbox: &Sandbox, at: &str, arguments: &[&str]) -> usize {
    let log = sandbox.path("strace.log");
    let mut command = sandbox.command("strace", at);
    command.arg("-o").arg(&log).arg(PROGRAM).args(arguments);
    Sandbox::finish(command);

    let log = fs::read_to_string(&log).unwrap();
    let mut lines = log.lines();
    let lock = lines
        .find_map(|line| line.strip_prefix("flock("))
        .expect("it takes the lock");
    let (descriptor, _) = lock.split_once(',').unwrap();
    let close = format!("close({descriptor})");
    lines
        .position(|line| line.starts_with(&close) || line.starts_with("flock("))
        .expect("it gives the lock back")
}

/// Of these calls, that which makes the file of this name, the first that writes it, and that which
/// renames it.
#[track_caller]
pub fn calls_on<'a>(calls: &'a [Call], temporary: &str) -> [&'a Call; 3] {
    let name = format!("\"{temporary}\"");
    let names = |call: &&Call| call.text.contains(&name);
    let makes = |call: &Call| call.text.contains("O_CREAT") && names(&call);
    let open = calls.iter().position(makes).expect("it is made");
    let mut later = calls[open..].iter();
    let write = later
        .find(|call| call.name == "write")
        .expect("it is written");
    let renames = |call: &&Call| call.name.starts_with("rename") && names(call);
    let rename = calls[open..].iter().find(renames).expect("it is renamed");
    [&calls[open], write, rename]
}

/// A command that runs the program under strace with these options.
pub fn command(sandbox: &Sandbox, at: &str, options: &[&str], arguments: &[&str]) -> Command {
    let mut command = sandbox.command("strace", at);
    command.args(["-qq", "-o"]).arg(sandbox.path("strace.log"));
    command.args(options).arg(PROGRAM).args(arguments);
    command
}

/// Runs the program with one tampering.
pub fn inject(sandbox: &Sandbox, at: &str, what: &str, arguments: &[&str]) -> Run {
    let what = format!("inject={what}");
    Sandbox::finish(command(sandbox, at, &["-e", &what], arguments))
}

/// Runs the program and kills it at that system call.
#[track_caller]
pub fn kill_at(sandbox: &Sandbox, at: &str, call: &Call, arguments: &[&str]) {
    let run = inject(sandbox, at, &call.inject("signal=KILL"), arguments);
    assert_eq!(run.status.signal(), Some(9), "{call:?}: {run}");
}
