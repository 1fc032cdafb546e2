//! Running git. Only this module does.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::Command;

use crate::error::{ErrorKind, Result, error};

/// git, run in `directory` without our `GIT_*` variables; it does not fetch what a partial clone
/// lacks.
pub fn git(directory: &Path) -> Command {
    let mut command = Command::new("git");
    command.arg("-C").arg(directory);
    // With `safe.bareRepository=explicit`, git only accepts a git directory that is named.
    if directory.join("HEAD").is_file() && directory.join(".git").symlink_metadata().is_err() {
        command.arg("--git-dir").arg(directory);
    }
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("GIT_") {
            command.env_remove(name);
        }
    }
    // Messages in English, and patterns that match bytes.
    command.env("LC_ALL", "C").env("GIT_NO_LAZY_FETCH", "1");
    command
}

/// What `git <arguments>` prints in `directory`. Exit status 1 without a message is how some commands
/// say no, and not an error.
///
/// # Errors
/// git is not on the PATH, or fails; with git's message.
pub fn ask<S: AsRef<OsStr>>(directory: &Path, arguments: &[S]) -> Result<Vec<u8>> {
    let words = arguments.iter().map(|word| word.as_ref().to_string_lossy());
    let words = words.collect::<Vec<_>>().join(" ");
    let failed = |why: &str| error!("could not run `git {words}`: {why}");
    let may_say_no = ["config", "check-ignore", "rev-parse", "symbolic-ref"]
        .iter()
        .any(|command| words.starts_with(command));
    let output = git(directory).args(arguments).output();
    let output = output.map_err(|error| match (error.kind(), ErrorKind::of(&error)) {
        (io::ErrorKind::NotFound, _) => {
            failed("git is not on the PATH").remedy("install git, or add it to the PATH")
        }
        // EAGAIN: no more processes. For a file, it only means that another program has a lease on it.
        (io::ErrorKind::WouldBlock, _) => failed(&error.to_string()).of_kind(ErrorKind::Shortage),
        // It is git that is missing, not what it was asked about.
        (_, ErrorKind::Absent) => failed(&error.to_string()),
        (_, kind) => failed(&error.to_string()).of_kind(kind),
    })?;
    match output.status.code() {
        Some(0) => Ok(output.stdout),
        Some(1) if may_say_no && output.stderr.is_empty() => Ok(output.stdout),
        _ => {
            let said = String::from_utf8_lossy(&output.stderr);
            let is_error = |line: &&str| line.starts_with("fatal: ") || line.starts_with("error: ");
            let why = said.lines().rfind(is_error).or(said.lines().last());
            Err(failed(why.unwrap_or("git gives no reason")))
        }
    }
}

/// The version of the git on the PATH.
pub fn version(directory: &Path) -> Result<(u32, u32)> {
    let answer = ask(directory, &["version"])?;
    let answer = String::from_utf8_lossy(&answer);
    let answer = answer.trim_end();
    let mut numbers = answer.trim_start_matches("git version ").split('.');
    let mut number = || numbers.next()?.parse().ok();
    number()
        .zip(number())
        .ok_or_else(|| error!("could not read the version of git in `{answer}`"))
}
