//! Running git, for what git has a command for. Only this module does.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::{Command, Output};

use crate::error::{Error, ErrorKind, Result};

/// git, to be asked about `directory` and nothing else: no `GIT_*` variable of ours reaches it, and
/// it does not fetch what a partial clone lacks.
pub fn git(directory: &Path) -> Command {
    let mut command = Command::new("git");
    command.arg("-C").arg(directory);
    // A git directory is named as such: with `safe.bareRepository=explicit`, git does not find it.
    if directory.join("HEAD").is_file() && directory.join(".git").symlink_metadata().is_err() {
        command.arg("--git-dir").arg(directory);
    }
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("GIT_") {
            command.env_remove(name);
        }
    }
    command.env("GIT_NO_LAZY_FETCH", "1");
    command
}

/// What `git <arguments>` prints, run for `directory`.
///
/// # Errors
/// git is not on the PATH, or fails: with what it says.
pub fn ask<S: AsRef<OsStr>>(directory: &Path, arguments: &[S]) -> Result<Vec<u8>> {
    let output = run(directory, arguments)?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(failed(
            arguments,
            String::from_utf8_lossy(&output.stderr).trim_end(),
        ))
    }
}

/// As [`ask`], but `None` if git exits with 1 and says nothing, which is how it says no.
pub fn ask_whether<S: AsRef<OsStr>>(directory: &Path, arguments: &[S]) -> Result<Option<Vec<u8>>> {
    let output = run(directory, arguments)?;
    match output.status.code() {
        Some(0) => Ok(Some(output.stdout)),
        Some(1) if output.stderr.is_empty() => Ok(None),
        _ => Err(failed(
            arguments,
            String::from_utf8_lossy(&output.stderr).trim_end(),
        )),
    }
}

fn run<S: AsRef<OsStr>>(directory: &Path, arguments: &[S]) -> Result<Output> {
    let output = git(directory).args(arguments).output();
    output.map_err(|error| {
        let why = match error.kind() {
            io::ErrorKind::NotFound => "git is not on the PATH".to_owned(),
            _ => error.to_string(),
        };
        let kind = match ErrorKind::of(&error) {
            // The program is absent, and not what it was to be asked about.
            ErrorKind::Absent => ErrorKind::Other,
            kind => kind,
        };
        failed(arguments, &why).of_kind(kind)
    })
}

fn failed<S: AsRef<OsStr>>(arguments: &[S], why: &str) -> Error {
    let words: Vec<_> = arguments
        .iter()
        .map(|word| word.as_ref().to_string_lossy())
        .collect();
    Error::new(format!("could not run `git {}`: {why}", words.join(" ")))
}
