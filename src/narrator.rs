//! What is told on stderr: each line once, and harmless to a terminal whatever a path or a file
//! says.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, Write};

use crate::error::{Error, printable};

/// Tells a person what happens, a line each. Nothing is told twice.
#[derive(Default)]
pub struct Narrator {
    told: RefCell<Vec<String>>,
}

impl Narrator {
    /// Tells `line`.
    pub fn tell(&self, line: impl fmt::Display) {
        let line = printable(&line.to_string());
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

    /// The value, or a warning in its place.
    pub fn or_warn<T>(&self, outcome: Result<T, Error>) -> Option<T> {
        outcome.inspect_err(|error| self.warn(error)).ok()
    }
}
