//! What people and programs are shown.

use std::borrow::Cow;
use std::fmt::Write;
use std::path::{Component, Path, PathBuf};

use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use crate::error::{Error, Result, printable};
use crate::git::entries::Worktree;
use crate::ports::Bundle;
use crate::report::status::{Condition, Surveyed};
use crate::reserve::Reservation;
use crate::state::port_file::{Content, Ports};

/// A worktree's name for a person.
pub fn name(worktree: &Worktree) -> String {
    printable(worktree.id.as_deref().unwrap_or("main worktree"))
}

/// A worktree's reservation for a person.
pub fn text(worktree: &Worktree, reservation: &Reservation) -> String {
    let slot = reservation.bundle.slot.map(|slot| format!(", slot {slot}"));
    let ports = reservation.bundle.ports.iter();
    let ports = ports.map(|(service, port)| (service, port.to_string()));
    let urls = reservation
        .urls
        .iter()
        .map(|(name, url)| (name, url.clone()));
    let rows: Vec<(&String, String)> = ports.chain(urls).collect();
    let width = rows
        .iter()
        .map(|(name, _)| name.len())
        .max()
        .unwrap_or_default();

    let mut text = format!("{}{}\n", name(worktree), slot.unwrap_or_default());
    for (name, value) in rows {
        let _ = writeln!(text, "  {name:width$}  {value}");
    }
    text
}

/// A reservation as lines `NAME=value` that need no quoting: the names of services and URLs, and the
/// values of URLs, are those that a config may have.
pub fn env(reservation: &Reservation) -> String {
    let Bundle { slot, ports } = &reservation.bundle;
    let mut text = String::new();
    for (service, port) in ports {
        let variable = service.to_uppercase().replace('-', "_");
        let _ = writeln!(text, "{variable}_PORT={port}");
    }
    if let [(_, port)] = ports.as_slice() {
        let _ = writeln!(text, "PORT={port}");
    }
    for (name, url) in &reservation.urls {
        let _ = writeln!(text, "{}={url}", name.to_uppercase());
    }
    if let Some(slot) = slot {
        let _ = writeln!(text, "WORKTREE_SLOT={slot}");
    }
    text
}

/// A worktree's reservation as the port file has it.
pub fn json(worktree: &Worktree, reservation: &Reservation) -> Result<String> {
    let content = Content {
        worktree: worktree.id.as_deref(),
        bundle: &reservation.bundle,
        urls: &reservation.urls,
    };
    pretty(&content)
}

/// Several worktrees' reservations, as an array of what their port files have.
pub fn json_of_all(reservations: &[(Worktree, Reservation)]) -> Result<String> {
    let content = |(worktree, reservation): &(Worktree, Reservation)| {
        serde_json::from_str::<Box<serde_json::value::RawValue>>(&json(worktree, reservation)?)
            .map_err(not_json)
    };
    let contents = reservations
        .iter()
        .map(content)
        .collect::<Result<Vec<_>>>()?;
    pretty(&contents)
}

/// A worktree for a program.
#[derive(Serialize)]
struct Listed<'a> {
    worktree: Option<&'a str>,
    branch: Option<&'a str>,
    path: Cow<'a, str>,
    state: &'static str,
    slot: Option<u32>,
    ports: Ports<'a>,
    listening: &'a [String],
}

/// The worktrees for a program.
pub fn list_json(surveyed: &[Surveyed]) -> Result<String> {
    let listed = surveyed.iter().map(|one| Listed {
        worktree: one.worktree.id.as_deref(),
        branch: one.branch.as_deref(),
        path: one.worktree.root.to_string_lossy(),
        state: one.condition.word(),
        slot: one
            .bundle()
            .and_then(|bundle| bundle.slot)
            .map(|slot| slot.0),
        ports: Ports(one.bundle().map_or(&[], |bundle| &bundle.ports)),
        listening: &one.listening,
    });
    pretty(&listed.collect::<Vec<_>>())
}

fn pretty(value: &impl serde::Serialize) -> Result<String> {
    let text = serde_json::to_string_pretty(value);
    text.map(|text| text + "\n").map_err(not_json)
}

#[expect(clippy::needless_pass_by_value, reason = "as map_err calls it")]
fn not_json(error: serde_json::Error) -> Error {
    Error::new(format!("could not render JSON: {error}"))
}

/// How a table is to look.
pub struct Look {
    /// Whether colours are shown.
    pub colour: bool,
    /// The columns of the terminal, where there is one.
    pub width: Option<usize>,
    /// The directory that paths are shown from.
    pub from: PathBuf,
}

/// The worktrees for a person: a table, or on a terminal that is too narrow for it, a block each.
pub fn list(surveyed: &[Surveyed], current: Option<&Worktree>, look: &Look) -> String {
    const HEAD: [&str; 7] = ["", "WORKTREE", "BRANCH", "PATH", "SLOT", "PORTS", "STATE"];
    let rows: Vec<[String; 7]> = surveyed.iter().map(|one| row(one, current, look)).collect();
    let widths: [usize; 7] = std::array::from_fn(|column| {
        let cells = rows.iter().map(|row| row[column].width());
        cells
            .chain([HEAD[column].width()])
            .max()
            .unwrap_or_default()
    });
    let total = widths.iter().sum::<usize>() + 2 * (widths.len() - 1);
    if look.width.is_some_and(|width| total > width) {
        return rows
            .iter()
            .zip(surveyed)
            .map(|(row, one)| block(row, one.condition, look))
            .collect();
    }
    let mut text = line(&HEAD.map(str::to_owned), widths, None);
    for (row, one) in rows.iter().zip(surveyed) {
        text.push_str(&line(row, widths, look.colour.then_some(one.condition)));
    }
    text
}

fn row(one: &Surveyed, current: Option<&Worktree>, look: &Look) -> [String; 7] {
    let is_current = current.is_some_and(|current| current.git_dir == one.worktree.git_dir);
    let slot = one.bundle().and_then(|bundle| bundle.slot);
    let ports = one
        .bundle()
        .map_or_else(|| "-".to_owned(), |bundle| ports(bundle, &one.listening));
    let branch = one
        .branch
        .as_deref()
        .map_or_else(|| "(detached)".to_owned(), printable);
    let path = short(&one.worktree.root, &look.from);
    let path = printable(&path.display().to_string());
    let gone = if one.is_in_place { "" } else { " (gone)" };
    [
        if is_current { "*" } else { "" }.to_owned(),
        name(&one.worktree),
        branch,
        format!("{path}{gone}"),
        slot.map_or_else(|| "-".to_owned(), |slot| slot.to_string()),
        ports,
        one.condition.word().to_owned(),
    ]
}

/// `cloud 8100 (listening), api 8200`
fn ports(bundle: &Bundle, listening: &[String]) -> String {
    let port = |(service, port): &(String, crate::ports::Port)| {
        let mark = if listening.contains(service) {
            " (listening)"
        } else {
            ""
        };
        printable(&format!("{service} {port}{mark}"))
    };
    let ports: Vec<String> = bundle.ports.iter().map(port).collect();
    ports.join(", ")
}

fn line(cells: &[String; 7], widths: [usize; 7], coloured: Option<Condition>) -> String {
    let mut text = String::new();
    for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let padding = " ".repeat(width - cell.width() + 2);
        match coloured.filter(|_| column == cells.len() - 1) {
            Some(condition) => text.push_str(&in_colour(cell, condition)),
            None => text.push_str(cell),
        }
        text.push_str(&padding);
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn block(row: &[String; 7], condition: Condition, look: &Look) -> String {
    let [mark, name, branch, path, slot, ports, state] = row;
    let state = if look.colour {
        in_colour(state, condition)
    } else {
        state.clone()
    };
    let mark = if mark.is_empty() { " " } else { mark };
    format!(
        "{mark} {name}: {state}\n    branch {branch}\n    path {path}\n    slot {slot}\n    ports {ports}\n"
    )
}

fn in_colour(text: &str, condition: Condition) -> String {
    // SGR: green, faint, red.
    let code = match condition {
        Condition::Ok => "32",
        Condition::None => "2",
        _ => "31",
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

/// `path` as seen from the directory `from`, where that is shorter.
fn short(path: &Path, from: &Path) -> PathBuf {
    let shared = path
        .components()
        .zip(from.components())
        .take_while(|(one, other)| one == other)
        .count();
    let up = from.components().skip(shared).map(|_| Component::ParentDir);
    let relative: PathBuf = up.chain(path.components().skip(shared)).collect();
    if relative.as_os_str().is_empty() {
        PathBuf::from(".")
    } else if relative.as_os_str().len() < path.as_os_str().len() {
        relative
    } else {
        path.to_owned()
    }
}

/// Problems, a line each, with what mends them.
pub fn problems(problems: &[Error]) -> String {
    let line = |problem: &Error| printable(&problem.to_string()) + "\n";
    problems.iter().map(line).collect()
}

#[cfg(test)]
mod tests;
