//! Messages on stderr: each once, and harmless to a terminal whatever a path or a file contains.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::error::{Error, printable, shell_word, unless_shortage};

/// How long something may take before a message says so.
pub const SILENCE: Duration = Duration::from_secs(1);

/// Prints messages on stderr, none of them twice.
#[derive(Default)]
pub struct Narrator {
    told: RefCell<Vec<String>>,
    elsewhere: Option<PathBuf>,
}

impl Narrator {
    /// For a reader who may be in another directory: our commands in messages get `-C <directory>`.
    pub fn from_elsewhere(directory: &Path) -> Narrator {
        Narrator {
            elsewhere: Some(directory.to_owned()),
            ..Narrator::default()
        }
    }

    pub fn tell(&self, line: impl fmt::Display) {
        let mut line = printable(&line.to_string());
        if let Some(directory) = &self.elsewhere {
            let command = format!("`worktree-ports-hook -C {}", shell_word(directory));
            for end in ["`", " --"] {
                let bare = format!("`worktree-ports-hook{end}");
                line = line.replace(&bare, &format!("{command}{end}"));
            }
        }
        let mut told = self.told.borrow_mut();
        if !told.contains(&line) {
            // stderr may be closed.
            let _ = writeln!(io::stderr(), "worktree-ports: {line}");
            told.push(line);
        }
    }

    pub fn warn(&self, warning: impl fmt::Display) {
        self.tell(format_args!("warning: {warning}"));
    }

    pub fn error(&self, error: &Error) {
        self.tell(format_args!("error: {error}"));
    }

    /// The value, or a warning instead; a shortage stays an error.
    pub fn tolerate<T>(&self, outcome: Result<T, Error>) -> Result<Option<T>, Error> {
        Ok(self.or_warn(unless_shortage(outcome)?))
    }

    /// The value, or a warning instead.
    pub fn or_warn<T>(&self, outcome: Result<T, Error>) -> Option<T> {
        outcome.inspect_err(|error| self.warn(error)).ok()
    }
}

/// Does `work`, and prints `line` if it takes longer than a second.
pub fn while_slow<T>(line: &str, work: impl FnOnce() -> T) -> T {
    let (done, waiting) = mpsc::channel::<()>();
    let line = printable(line);
    // If no thread can be started, nothing is printed.
    let _ = thread::Builder::new().spawn(move || {
        if waiting.recv_timeout(SILENCE) == Err(RecvTimeoutError::Timeout) {
            let _ = writeln!(io::stderr(), "worktree-ports: {line}");
        }
    });
    let outcome = work();
    drop(done);
    outcome
}
