//! Running git, for what git has a command for. Only this module does.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::Command;

use crate::error::{Error, Result};

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
    let could_not = |why: &str| {
        let words: Vec<_> = arguments
            .iter()
            .map(|word| word.as_ref().to_string_lossy())
            .collect();
        Error::new(format!("could not run `git {}`: {why}", words.join(" ")))
    };
    let output = git(directory)
        .args(arguments)
        .output()
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => could_not("git is not on the PATH"),
            _ => could_not(&error.to_string()),
        })?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(could_not(
            String::from_utf8_lossy(&output.stderr).trim_end(),
        ))
    }
}
