//! The result of a command.

use std::fmt;
use std::process::{ExitStatus, Output};

use serde_json::Value;

/// The result of a command.
#[derive(Debug)]
pub struct Run {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Asserts that it exited with `code`.
    #[track_caller]
    pub fn exits(self, code: i32) -> Run {
        assert_eq!(self.code(), Some(code), "{self}");
        self
    }

    /// Asserts that stderr contains all `parts`.
    #[track_caller]
    pub fn tells(self, parts: &[&str]) -> Run {
        for part in parts {
            assert!(self.stderr.contains(part), "no {part:?} in\n{self}");
        }
        self
    }

    /// Asserts that stderr is empty.
    #[track_caller]
    pub fn tells_nothing(self) -> Run {
        assert_eq!(self.stderr, "", "{self}");
        self
    }

    /// Asserts that it printed exactly one error, and otherwise only warnings.
    #[track_caller]
    pub fn tells_one_error(self) -> Run {
        assert!(is_one_error(&self.stderr), "{self}");
        self
    }

    /// stdout as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in\n{self}"))
    }
}

/// Whether `told` has exactly one error, and otherwise only warnings.
pub fn is_one_error(told: &str) -> bool {
    let is = |kind: &str, line: &str| line.starts_with(&format!("worktree-ports: {kind}: "));
    let (errors, others): (Vec<&str>, Vec<&str>) = told.lines().partition(|line| is("error", line));
    errors.len() == 1 && others.iter().all(|line| is("warning", line))
}

impl From<Output> for Run {
    fn from(output: Output) -> Run {
        Run {
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}\nstdout: {}\nstderr: {}",
            self.status, self.stdout, self.stderr
        )
    }
}
