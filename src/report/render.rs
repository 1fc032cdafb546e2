//! How a worktree's ports and a problem are printed.

use std::fmt::Write;

use serde::Serialize;

use crate::config::assignment;
use crate::error::{Error, drives_terminal, printable};
use crate::git::worktree::Worktree;
use crate::ports::Bundle;
use crate::state::reservation::{Reservation, pretty};

/// A worktree's reservation for a person.
pub fn text(worktree: &Worktree, reservation: &Reservation) -> String {
    let Bundle { slot, ports } = &reservation.bundle;
    let mut rows = Vec::new();
    for (service, port) in ports {
        rows.push((service.as_str(), port.to_string()));
    }
    for (name, url) in &reservation.urls {
        rows.push((name, url.clone()));
    }
    let width = rows.iter().map(|(name, _)| name.len()).max();
    let width = width.unwrap_or_default();

    let mut text = format!("{}, slot {slot}\n", printable(worktree.name()));
    for (name, value) in rows {
        let _ = writeln!(text, "  {name:width$}  {value}");
    }
    text
}

/// Variables as lines `NAME=value`.
pub fn env(variables: &[(String, String)]) -> String {
    variables
        .iter()
        .map(|(name, value)| assignment(name, value) + "\n")
        .collect()
}

/// `value` as indented JSON, with nothing in it that drives a terminal.
pub fn json(value: &impl Serialize) -> String {
    let text = String::from_utf8(pretty(value)).expect("JSON is UTF-8");
    let mut harmless = String::with_capacity(text.len());
    for c in text.chars() {
        // The control characters up to U+001F are escaped already; the line ends are the layout's.
        if drives_terminal(c) && c != '\n' {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                let _ = write!(harmless, "\\u{unit:04x}");
            }
        } else {
            harmless.push(c);
        }
    }
    harmless
}

/// A problem and, on the next line, its remedy.
pub fn problem(error: &Error) -> String {
    let (what, remedy) = error.parts();
    let remedy = remedy.unwrap_or_default();
    format!("{}\n    {}\n", printable(what), printable(remedy))
}

#[cfg(test)]
mod tests;
