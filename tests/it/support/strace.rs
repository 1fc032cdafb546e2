//! Runs the program under strace, to list its system calls or to make one of them fail.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use super::{PROGRAM, Run, Sandbox};

/// A system call of a run.
#[derive(Debug)]
pub struct Call {
    pub name: String,
    /// How many calls of that name there were up to and including this one.
    pub nth: usize,
    /// The line that strace printed.
    pub text: String,
}

impl Call {
    /// The `-e inject=` argument that does `what` at this call.
    pub fn inject(&self, what: &str) -> String {
        format!("{}:{what}:when={}", self.name, self.nth)
    }
}

/// Runs the program and lists its system calls from the first one that names the lock file. Those
/// of its children are left out.
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

/// How many system calls the program makes while it holds the lock.
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

/// Of these calls: the one that creates the file of this name, the first write after it, and the
/// one that renames the file.
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

/// Runs the program and makes one system call fail, or sends a signal at it.
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
