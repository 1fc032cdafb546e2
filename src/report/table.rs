//! The worktrees of `--list`, for a person and for a program.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Component, Path, PathBuf};

use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use crate::error::printable;
use crate::git::worktree::Worktree;
use crate::ports::{Port, ServiceName, Slot, as_object};
use crate::report::render::json;
use crate::report::status::Status;

/// A worktree for a program.
#[derive(Serialize)]
struct Listed<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    repository: Option<Cow<'a, str>>,
    worktree: Option<&'a str>,
    branch: Option<&'a str>,
    path: Option<Cow<'a, str>>,
    state: &'static str,
    slot: Option<Slot>,
    #[serde(serialize_with = "as_object")]
    ports: &'a [(ServiceName, Port)],
    urls: BTreeMap<&'a str, &'a str>,
    listening: &'a [ServiceName],
}

/// The worktrees for a program; of several clones, each with its `repository`.
pub fn list_json(statuses: &[Status], of_clones: bool) -> String {
    let listed = statuses.iter().map(|status| Listed {
        repository: of_clones.then(|| status.entry.common_dir.to_string_lossy()),
        worktree: status.entry.id.as_deref(),
        branch: status.branch.as_deref(),
        path: status.entry.root().map(Path::to_string_lossy),
        state: status.state,
        slot: status.bundle().map(|bundle| bundle.slot),
        ports: status.bundle().map_or(&[], |bundle| &bundle.ports),
        urls: urls(status).collect(),
        listening: &status.listening,
    });
    json(&listed.collect::<Vec<_>>())
}

fn urls(status: &Status) -> impl Iterator<Item = (&str, &str)> {
    let urls = status.reservation.iter().flat_map(|own| &own.urls);
    urls.map(|(name, url)| (&**name, &**url))
}

/// How a table looks.
pub struct TableStyle {
    /// Whether states are coloured.
    pub colour: bool,
    /// The columns, if it goes to a terminal, which also shows links.
    pub width: Option<usize>,
    /// The directory that paths are shown from.
    pub from: PathBuf,
}

const HEAD: [&str; 7] = ["", "WORKTREE", "BRANCH", "PATH", "SLOT", "PORTS", "STATE"];
const BRANCH: usize = 2;
const PATH: usize = 3;

/// A path is not shortened to fewer columns than these.
const SHORTEST: usize = 12;

/// The worktrees for a person: everything in a pipe or a file; in a terminal, what
/// fits into it, as far as it can be shortened.
pub fn list(statuses: &[Status], current: Option<&Worktree>, style: &TableStyle) -> String {
    let is_other = |it: &Status| it.entry.common_dir != statuses[0].entry.common_dir;
    let has_clones = statuses.iter().any(is_other);
    let mut rows: Vec<Row> = statuses
        .iter()
        .map(|it| Row::of(it, current, has_clones, style))
        .collect();
    let Some(width) = style.width else {
        return table(&rows);
    };
    let excess = total(widths(&rows)).saturating_sub(width);
    let longest = rows.iter().map(|row| row.cells[PATH].width).max();
    let room = longest.unwrap_or_default().saturating_sub(excess);
    if excess > 0 && room < SHORTEST {
        rows.iter_mut().for_each(Row::move_into_notes);
    } else {
        for cell in rows.iter_mut().map(|row| &mut row.cells[PATH]) {
            if cell.width > room {
                *cell = Cell::of(&end_of(&cell.shown, room));
            }
        }
    }
    let mut text = table(&rows);
    if statuses.iter().any(|it| !it.listening.is_empty()) {
        text += "* after a port: something listens there\n";
    }
    text
}

/// The text of a cell, and how many columns it takes: escape sequences take none.
#[derive(Clone, Default)]
struct Cell {
    shown: String,
    width: usize,
}

impl Cell {
    fn of(text: &str) -> Cell {
        let mut cell = Cell::default();
        cell.push(text);
        cell
    }

    fn push(&mut self, text: &str) {
        let text = printable(text);
        self.width += text.width();
        self.shown.push_str(&text);
    }
}

/// A worktree, in the columns that [`HEAD`] names.
struct Row {
    cells: [Cell; 7],
    /// The lines below it.
    notes: String,
}

impl Row {
    fn of(
        status: &Status,
        current: Option<&Worktree>,
        has_clones: bool,
        style: &TableStyle,
    ) -> Row {
        let entry = &status.entry;
        let is_current =
            current.is_some_and(|it| it.is_at(entry) && it.common_dir == entry.common_dir);
        let slot = status.bundle().map(|bundle| bundle.slot.to_string());
        let mut branch = status.branch.as_deref().unwrap_or("(detached)");
        let path = entry.root().map(|root| short(root, &style.from));
        let path = path.map(|path| path.display().to_string());
        let mut path = path.as_deref().unwrap_or("(unknown)");
        if style.width.is_some() {
            // Leaves out what the id says, or what is usual for the main worktree. If there are several
            // clones, only the path says which one a worktree belongs to.
            let id = entry.id.as_deref();
            let name = entry.root().and_then(Path::file_name);
            let is_usual = matches!(branch, "main" | "master");
            if id.map_or(is_usual, |id| id == branch) {
                branch = "";
            }
            if !has_clones && (id.is_none() || id == name.map(OsStr::to_string_lossy).as_deref()) {
                path = "";
            }
        }
        Row {
            cells: [
                Cell::of(if is_current { "*" } else { "" }),
                Cell::of(entry.name()),
                Cell::of(branch),
                Cell::of(path),
                Cell::of(slot.as_deref().unwrap_or("-")),
                ports(status, style),
                state(status.state, style),
            ],
            notes: String::new(),
        }
    }

    /// Moves the branch and the path from their columns to lines below the row.
    fn move_into_notes(&mut self) {
        for (what, column) in [("branch", BRANCH), ("path", PATH)] {
            let cell = std::mem::take(&mut self.cells[column]);
            if cell.width > 0 {
                let _ = writeln!(self.notes, "     {what} {}", cell.shown);
            }
        }
    }
}

/// `cloud 8100 (listening), api 8200`, or `cloud 8100*` in a terminal.
fn ports(status: &Status, style: &TableStyle) -> Cell {
    let mark = if style.width.is_some() {
        "*"
    } else {
        " (listening)"
    };
    let mut cell = Cell::default();
    for (service, port) in status.bundle().iter().flat_map(|bundle| &bundle.ports) {
        let comma = if cell.width == 0 { "" } else { ", " };
        cell.push(&format!("{comma}{service} "));
        match urls(status).find(|(_, url)| style.width.is_some() && is_at(url, *port)) {
            Some((_, url)) => {
                // OSC 8
                let _ = write!(cell.shown, "\x1b]8;;{url}\x1b\\{port}\x1b]8;;\x1b\\");
                cell.width += port.to_string().len();
            }
            None => cell.push(&port.to_string()),
        }
        if status.listening.contains(service) {
            cell.push(mark);
        }
    }
    if cell.width == 0 {
        cell.push("-");
    }
    cell
}

/// Whether `url`, which anybody may have written, leads to that port of this machine.
fn is_at(url: &str, port: Port) -> bool {
    let is_plain = url.chars().all(|c| c.is_ascii_graphic());
    let Some((scheme, rest)) = url.split_once("://").filter(|_| is_plain) else {
        return false;
    };
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let Some((host, number)) = authority.rsplit_once(':') else {
        return false;
    };
    let is_local = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
    matches!(scheme, "http" | "https")
        && (is_local || host.ends_with(".localhost") && !host.contains('@'))
        && number == port.to_string()
}

/// The word for a state, in the colour that goes with it.
fn state(word: &str, style: &TableStyle) -> Cell {
    // SGR: green, faint, red.
    let code = match word {
        "ok" => "32",
        "none" => "2",
        _ => "31",
    };
    let mut cell = Cell::of(word);
    if style.colour {
        cell.shown = format!("\x1b[{code}m{word}\x1b[0m");
    }
    cell
}

/// The width of each column; `None` if there is nothing in it.
type Widths = [Option<usize>; 7];

fn widths(rows: &[Row]) -> Widths {
    std::array::from_fn(|column| {
        let width = rows.iter().map(|row| row.cells[column].width).max()?;
        (width > 0).then(|| width.max(HEAD[column].len()))
    })
}

fn total(widths: Widths) -> usize {
    let total: usize = widths.into_iter().flatten().map(|width| width + 2).sum();
    total.saturating_sub(2)
}

/// The end of `text` that fits into `room` columns, after a `…` for the rest.
fn end_of(text: &str, room: usize) -> String {
    let end = text
        .char_indices()
        .map(|(start, _)| &text[start..])
        .find(|end| end.width() < room);
    format!("…{}", end.unwrap_or_default())
}

fn table(rows: &[Row]) -> String {
    let widths = widths(rows);
    let mut text = line(&HEAD.map(Cell::of), widths);
    for row in rows {
        text += &line(&row.cells, widths);
        text += &row.notes;
    }
    text
}

fn line(cells: &[Cell; 7], widths: Widths) -> String {
    let mut text = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        if let Some(width) = width {
            text += &cell.shown;
            text += &" ".repeat(width - cell.width + 2);
        }
    }
    text.truncate(text.trim_end().len());
    text + "\n"
}

/// `path` as seen from the directory `from`, if that is shorter.
fn short(path: &Path, from: &Path) -> PathBuf {
    let both = path.components().zip(from.components());
    let shared = both.take_while(|(one, other)| one == other).count();
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

#[cfg(test)]
mod tests;
