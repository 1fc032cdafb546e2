//! What is told on stderr: each line once, and harmless to a terminal whatever a path or a file
//! says.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::error::{Error, ErrorKind, printable, shell_word};

/// How long something may take before it is told.
pub const SILENCE: Duration = Duration::from_secs(1);

/// Tells a person what happens, a line each. Nothing is told twice.
#[derive(Default)]
pub struct Narrator {
    told: RefCell<Vec<String>>,
    elsewhere: Option<PathBuf>,
}

impl Narrator {
    /// Tells a person who need not be in `directory`: commands of ours are told with its path.
    pub fn from_elsewhere(directory: &Path) -> Narrator {
        Narrator {
            elsewhere: Some(directory.to_owned()),
            ..Narrator::default()
        }
    }

    /// Tells `line`.
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
            // Nobody may be reading.
            let _ = writeln!(io::stderr(), "worktree-ports: {line}");
            told.push(line);
        }
    }

    /// Tells what went wrong without keeping the work from being done.
    pub fn warn(&self, warning: impl fmt::Display) {
        self.tell(format_args!("warning: {warning}"));
    }

    /// Tells what could not be done.
    pub fn error(&self, error: &Error) {
        self.tell(format_args!("error: {error}"));
    }

    /// The value, or a warning in its place; a shortage of our own stays an error.
    pub fn tolerate<T>(&self, outcome: Result<T, Error>) -> Result<Option<T>, Error> {
        match outcome {
            Err(error) if error.kind() == ErrorKind::Shortage => Err(error),
            outcome => Ok(self.or_warn(outcome)),
        }
    }

    /// The value, or a warning in its place.
    pub fn or_warn<T>(&self, outcome: Result<T, Error>) -> Option<T> {
        outcome.inspect_err(|error| self.warn(error)).ok()
    }
}

/// Does `work`, and tells `line` if it takes longer than a second.
pub fn while_slow<T>(line: &str, work: impl FnOnce() -> T) -> T {
    let (done, waiting) = mpsc::channel::<()>();
    let line = printable(line);
    // Without a thread to spare, the work is done in silence.
    let _ = thread::Builder::new().spawn(move || {
        if waiting.recv_timeout(SILENCE) == Err(RecvTimeoutError::Timeout) {
            let _ = writeln!(io::stderr(), "worktree-ports: {line}");
        }
    });
    let outcome = work();
    drop(done);
    outcome
}
