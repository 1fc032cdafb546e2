//! What people and programs are shown.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Component, Path, PathBuf};

use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use crate::config::assignment;
use crate::error::{Error, drives_terminal, printable};
use crate::git::worktree::Worktree;
use crate::ports::{Bundle, Port, ServiceName, Slot};
use crate::report::status::Status;
use crate::state::reservation::{Ports, Reservation, pretty};

/// A worktree's reservation for a person.
pub fn text(worktree: &Worktree, reservation: &Reservation) -> String {
    let Bundle { slot, ports } = &reservation.bundle;
    let ports = ports.iter();
    let ports = ports.map(|(service, port)| (service.as_str(), port.to_string()));
    let urls = reservation.urls.iter();
    let urls = urls.map(|(name, url)| (name.as_str(), url.clone()));
    let rows: Vec<(&str, String)> = ports.chain(urls).collect();
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
    let mut text = String::new();
    for (name, value) in variables {
        let _ = writeln!(text, "{}", assignment(name, value));
    }
    text
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

/// A worktree for a program.
#[derive(Serialize)]
struct Listed<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    repository: Option<Cow<'a, str>>,
    worktree: Option<Cow<'a, str>>,
    branch: Option<&'a str>,
    path: Option<Cow<'a, str>>,
    state: &'static str,
    slot: Option<Slot>,
    ports: Ports<'a>,
    urls: BTreeMap<&'a str, &'a str>,
    listening: &'a [ServiceName],
}

/// The worktrees for a program; of several clones, each with its `repository`.
pub fn list_json(statuses: &[Status], of_clones: bool) -> String {
    let listed = statuses.iter().map(|status| Listed {
        repository: of_clones.then(|| status.repository.to_string_lossy()),
        worktree: status.entry.id(),
        branch: status.branch.as_deref(),
        path: status.entry.root().map(Path::to_string_lossy),
        state: status.condition.word(),
        slot: status.bundle().map(|bundle| bundle.slot),
        ports: Ports(status.bundle().map_or(&[], |bundle| &bundle.ports)),
        urls: urls(status),
        listening: &status.listening,
    });
    json(&listed.collect::<Vec<_>>())
}

fn urls(status: &Status) -> BTreeMap<&str, &str> {
    let urls = status.reservation.iter().flat_map(|own| &own.urls);
    urls.map(|(name, url)| (&**name, &**url)).collect()
}

/// How a table is to look.
pub struct Look {
    /// Whether colours are shown.
    pub colour: bool,
    /// Whether ports are links to their URLs.
    pub links: bool,
    /// The columns of the terminal, where there is one.
    pub width: Option<usize>,
    /// The directory that paths are shown from.
    pub from: PathBuf,
}

/// The worktrees for a person: a table, or on a terminal that is too narrow for it, a block each.
pub fn list(statuses: &[Status], current: Option<&Worktree>, look: &Look) -> String {
    const HEAD: [&str; 7] = ["", "WORKTREE", "BRANCH", "PATH", "SLOT", "PORTS", "STATE"];
    let rows: Vec<[String; 7]> = statuses
        .iter()
        .map(|status| row(status, current, look))
        .collect();
    let widths: [usize; 7] = std::array::from_fn(|column| {
        let cells = rows.iter().map(|row| row[column].width());
        cells
            .chain([HEAD[column].width()])
            .max()
            .unwrap_or_default()
    });
    let total = widths.iter().sum::<usize>() + 2 * (widths.len() - 1);
    if look.width.is_some_and(|width| total > width) {
        return rows.iter().map(|row| block(row, look)).collect();
    }
    let mut text = line(&HEAD.map(str::to_owned), widths, false);
    for row in &rows {
        text.push_str(&line(row, widths, look.colour));
    }
    text
}

fn row(status: &Status, current: Option<&Worktree>, look: &Look) -> [String; 7] {
    let is_current = current.is_some_and(|current| {
        status.entry.is_of(current) && status.repository == *current.common_dir
    });
    let slot = status.bundle().map(|bundle| bundle.slot);
    let ports = status
        .bundle()
        .map_or_else(|| "-".to_owned(), |bundle| ports(bundle, &status.listening));
    let branch = status
        .branch
        .as_deref()
        .map_or_else(|| "(detached)".to_owned(), printable);
    let path = status.entry.root().map_or_else(
        || "(unknown)".to_owned(),
        |root| printable(&short(root, &look.from).display().to_string()),
    );
    [
        if is_current { "*" } else { "" }.to_owned(),
        printable(&status.entry.name()),
        branch,
        path,
        slot.map_or_else(|| "-".to_owned(), |slot| slot.to_string()),
        ports,
        status.condition.word().to_owned(),
    ]
}

/// `cloud 8100 (listening), api 8200`
fn ports(bundle: &Bundle, listening: &[ServiceName]) -> String {
    let port = |(service, port): &(ServiceName, Port)| {
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

fn line(cells: &[String; 7], widths: [usize; 7], colour: bool) -> String {
    let mut text = String::new();
    for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let padding = " ".repeat(width - cell.width() + 2);
        if colour && column == cells.len() - 1 {
            text.push_str(&in_colour(cell));
        } else {
            text.push_str(cell);
        }
        text.push_str(&padding);
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn block(row: &[String; 7], look: &Look) -> String {
    let [mark, name, branch, path, slot, ports, state] = row;
    let state = if look.colour {
        in_colour(state)
    } else {
        state.clone()
    };
    let mark = if mark.is_empty() { " " } else { mark };
    format!(
        "{mark} {name}: {state}\n    branch {branch}\n    path {path}\n    slot {slot}\n    ports {ports}\n"
    )
}

/// The word for a state, in the colour that goes with it.
fn in_colour(state: &str) -> String {
    // SGR: green, faint, red.
    let code = match state {
        "ok" => "32",
        "none" => "2",
        _ => "31",
    };
    format!("\x1b[{code}m{state}\x1b[0m")
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
