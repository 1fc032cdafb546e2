//! The worktrees of `--list`, for a person and for a program.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Component, Path, PathBuf};

use serde::Serialize;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::error::printable;
use crate::git::worktree::Worktree;
use crate::ports::{Port, ServiceName, Slot};
use crate::report::render::json;
use crate::report::status::Status;
use crate::state::reservation::Ports;

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
        urls: urls(status).collect(),
        listening: &status.listening,
    });
    json(&listed.collect::<Vec<_>>())
}

fn urls(status: &Status) -> impl Iterator<Item = (&str, &str)> {
    let urls = status.reservation.iter().flat_map(|own| &own.urls);
    urls.map(|(name, url)| (&**name, &**url))
}

/// How a table is to look.
pub struct TableStyle {
    /// Whether states are coloured.
    pub colour: bool,
    /// Whether ports are links to their URLs.
    pub links: bool,
    /// The columns of the terminal, if it is one.
    pub width: Option<usize>,
    /// The directory that paths are shown from.
    pub from: PathBuf,
}

const HEAD: [&str; 7] = ["", "WORKTREE", "BRANCH", "PATH", "SLOT", "PORTS", "STATE"];
const BRANCH: usize = 2;
const PATH: usize = 3;
const PORTS: usize = 5;

/// To how many columns a branch or a path is shortened at most.
const SHORTEST: usize = 12;

/// The worktrees for a person: all there is to say in a pipe or a file; in a terminal, what fits into
/// it, and if that is no table, a block each.
pub fn list(statuses: &[Status], current: Option<&Worktree>, style: &TableStyle) -> String {
    let mut rows: Vec<Row> = statuses
        .iter()
        .map(|status| Row::of(status, current, style))
        .collect();
    let Some(width) = style.width else {
        return table(&rows);
    };
    let has_clones = statuses
        .iter()
        .any(|status| status.repository != statuses[0].repository);
    for (row, status) in rows.iter_mut().zip(statuses) {
        row.leave_out_what_the_id_says(status, has_clones);
    }
    let mut legend = "";
    let mut cut = rows.clone();
    shorten(&mut cut, PATH, width);
    if total(widths(&cut)) > width && statuses.iter().any(|it| !it.listening.is_empty()) {
        for ((row, cut), status) in rows.iter_mut().zip(&mut cut).zip(statuses) {
            row.cells[PORTS] = ports(status, style, "*");
            cut.cells[PORTS] = row.cells[PORTS].clone();
        }
        legend = "3000*: something listens on that port\n";
    }
    shorten(&mut cut, BRANCH, width);
    let text = if total(widths(&cut)) <= width {
        table(&cut)
    } else if total(widths_of_core(&rows)) <= width {
        table_with_notes(&rows)
    } else {
        rows.iter().map(Row::block).collect()
    };
    text + legend
}

/// What is shown in a cell, and how many columns it takes: escape sequences take none.
#[derive(Clone, Default)]
struct Cell {
    shown: String,
    width: usize,
}

impl Cell {
    fn of(text: &str) -> Cell {
        let shown = printable(text);
        let width = shown.width();
        Cell { shown, width }
    }

    fn push(&mut self, text: &str) {
        let text = printable(text);
        self.width += text.width();
        self.shown.push_str(&text);
    }
}

/// A worktree, in the columns of [`HEAD`].
#[derive(Clone)]
struct Row {
    cells: [Cell; 7],
}

impl Row {
    fn of(status: &Status, current: Option<&Worktree>, style: &TableStyle) -> Row {
        let is_current = current.is_some_and(|current| {
            status.entry.is_of(current) && status.repository == *current.common_dir
        });
        let slot = status.bundle().map(|bundle| bundle.slot.to_string());
        let path = status.entry.root().map_or_else(
            || "(unknown)".to_owned(),
            |root| short(root, &style.from).display().to_string(),
        );
        Row {
            cells: [
                Cell::of(if is_current { "*" } else { "" }),
                Cell::of(&status.entry.name()),
                Cell::of(status.branch.as_deref().unwrap_or("(detached)")),
                Cell::of(&path),
                Cell::of(slot.as_deref().unwrap_or("-")),
                ports(status, style, " (listening)"),
                state(status.condition.word(), style),
            ],
        }
    }

    /// Empties the branch and the path if they are what the id says, or the main worktree's usual
    /// ones. Of worktrees of several clones, only the paths tell which is whose.
    fn leave_out_what_the_id_says(&mut self, status: &Status, has_clones: bool) {
        let id = status.entry.id();
        let says = |word: &str| match &id {
            Some(id) => id == word,
            None => matches!(word, "main" | "master"),
        };
        if status.branch.as_deref().is_some_and(says) {
            self.cells[BRANCH] = Cell::default();
        }
        let name = status.entry.root().and_then(Path::file_name);
        let is_named = |id: &Cow<'_, str>| name.is_some_and(|name| name.to_string_lossy() == *id);
        if !has_clones && id.as_ref().is_none_or(is_named) {
            self.cells[PATH] = Cell::default();
        }
    }

    /// What stands below the row if its columns are left out.
    fn notes(&self) -> String {
        let mut notes = String::new();
        for (what, column) in [("branch", BRANCH), ("path", PATH)] {
            if self.cells[column].width > 0 {
                let _ = writeln!(notes, "     {what} {}", self.cells[column].shown);
            }
        }
        notes
    }

    fn block(&self) -> String {
        let [mark, name, _, _, slot, ports, state] =
            self.cells.each_ref().map(|cell| cell.shown.as_str());
        let mark = if mark.is_empty() { " " } else { mark };
        let notes = self.notes();
        format!("{mark} {name}: {state}\n{notes}     slot {slot}\n     {ports}\n")
    }
}

/// `cloud 8100 (listening), api 8200`, with `mark` behind those on which something listens.
fn ports(status: &Status, style: &TableStyle, mark: &str) -> Cell {
    let mut cell = Cell::default();
    for (service, port) in status.bundle().iter().flat_map(|bundle| &bundle.ports) {
        let comma = if cell.width == 0 { "" } else { ", " };
        cell.push(&format!("{comma}{service} "));
        let url = urls(status)
            .map(|(_, url)| url)
            .find(|url| is_at(url, *port));
        match url.filter(|_| style.links) {
            Some(url) => {
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

/// Whether `url`, which was read from a file, leads to that port of this machine.
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

/// The width of each column; `None` if it is left out.
type Widths = [Option<usize>; 7];

fn width_of(rows: &[Row], column: usize) -> usize {
    let cells = rows.iter().map(|row| row.cells[column].width);
    cells.max().unwrap_or_default()
}

/// The widths of all columns in which there is something.
fn widths(rows: &[Row]) -> Widths {
    std::array::from_fn(|column| {
        let width = width_of(rows, column);
        (width > 0).then(|| width.max(HEAD[column].len()))
    })
}

/// The same without branches and paths.
fn widths_of_core(rows: &[Row]) -> Widths {
    let mut core = widths(rows);
    (core[BRANCH], core[PATH]) = (None, None);
    core
}

fn total(widths: Widths) -> usize {
    let widths = widths.into_iter().flatten();
    widths
        .map(|width| width + 2)
        .sum::<usize>()
        .saturating_sub(2)
}

/// Shortens the cells of a column until the table fits, or to [`SHORTEST`].
fn shorten(rows: &mut [Row], column: usize, width: usize) {
    let excess = total(widths(rows)).saturating_sub(width);
    let room = width_of(rows, column).saturating_sub(excess).max(SHORTEST);
    for row in rows {
        let cell = &mut row.cells[column];
        if cell.width > room {
            *cell = Cell::of(&cut(&cell.shown, room, column != PATH));
        }
    }
}

/// The start or the end of `text` in so many columns, with `…` for the rest.
fn cut(text: &str, room: usize, is_start_kept: bool) -> String {
    let mut left = room.saturating_sub(1);
    let mut fits = |c: &char| {
        let width = c.width().unwrap_or_default();
        let fits = width <= left;
        left = if fits { left - width } else { 0 };
        fits
    };
    if is_start_kept {
        text.chars().take_while(&mut fits).chain(['…']).collect()
    } else {
        let end: Vec<char> = text.chars().rev().take_while(&mut fits).collect();
        ['…'].into_iter().chain(end.into_iter().rev()).collect()
    }
}

fn table(rows: &[Row]) -> String {
    let widths = widths(rows);
    let lines = rows.iter().map(|row| line(&row.cells, widths));
    line(&HEAD.map(Cell::of), widths) + &lines.collect::<String>()
}

fn table_with_notes(rows: &[Row]) -> String {
    let widths = widths_of_core(rows);
    let lines = rows
        .iter()
        .map(|row| line(&row.cells, widths) + &row.notes());
    line(&HEAD.map(Cell::of), widths) + &lines.collect::<String>()
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

#[cfg(test)]
mod tests;
