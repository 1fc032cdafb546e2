//! What people and programs are shown of a worktree's ports, and of problems.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::config::file as config_file;
use crate::config::{SlotShortage, assignment};
use crate::error::{Error, drives_terminal, printable, quoted, shell_word};
use crate::files::staged::SUFFIX;
use crate::git::worktree::{Worktree, by_hand};
use crate::ports::{Bundle, Port, ServiceName};
use crate::report::check::{Finding, Problem};
use crate::report::facts::{Facts, Unusable, WayBack};
use crate::state::port_file;
use crate::state::reservation::{Reservation, pretty};

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

/// A problem, and what mends it on the next line.
pub fn problem(what: &str, remedy: &str) -> String {
    format!("{}\n    {}\n", printable(what), printable(remedy))
}

/// An error as a problem.
pub fn error_as_problem(error: &Error) -> String {
    let (what, remedy) = error.parts();
    problem(what, remedy.unwrap_or_default())
}

/// The problems, each with what mends it.
pub fn problems(findings: &[Finding<'_>], facts: &Facts) -> String {
    let told = findings.iter().map(|finding| {
        let root = finding.worktree.map_or(&facts.common_dir, |it| &it.root);
        let (what, remedy) = told(&finding.problem, root, facts);
        problem(&what, &remedy)
    });
    told.collect()
}

/// What is wrong in the worktree at `root`, and what mends it.
fn told(problem: &Problem<'_>, root: &Path, facts: &Facts) -> (String, String) {
    let port_file = quoted(&root.join(port_file::NAME));
    let bare = by_hand(root);
    let run = format!("run `{bare}`");
    match problem {
        Problem::Hook(problem) => {
            let error = Error::from(*problem);
            let (what, remedy) = error.parts();
            (what.to_owned(), remedy.unwrap_or_default().to_owned())
        }
        Problem::BareByAccident(common_dir) => bare_by_accident(common_dir),
        Problem::Unusable(unusable) => of_place(unusable, root, facts),
        Problem::FewSlots(shortage, step, roots) => few_slots(shortage, *step, roots),
        Problem::SameBasePorts(ports, clone) => same_base_ports(ports, clone, root),
        Problem::SameNames(variable, names, clone) => same_names(variable, names, clone, facts),
        Problem::NotIgnored { paths, files } => not_ignored(paths, files, facts),
        Problem::Copied => (format!("{port_file} is a copy of another worktree's"), run),
        Problem::Damaged => (format!("{port_file} is damaged"), run),
        Problem::Foreign { is_adoptable } => foreign(&port_file, &bare, *is_adoptable),
        Problem::Shared { of, with, to_move } => (
            format!(
                "{} has what others have too: {}",
                quoted(of),
                with.join("; ")
            ),
            format!("run `{} --reallocate`", by_hand(to_move)),
        ),
        Problem::Joining(services) => {
            let services: Vec<&str> = services.iter().map(ServiceName::as_str).collect();
            (
                format!("{port_file} has no port for {}", services.join(", ")),
                run,
            )
        }
        Problem::PortFileOutdated => (
            format!("{port_file} does not say what the config says now"),
            run,
        ),
        Problem::RecordOutdated(record) => (
            format!("{} does not say what {port_file} says", quoted(record)),
            run,
        ),
        Problem::FileOutdated(path) => (
            format!("{} is not up to date", quoted(&root.join(path))),
            run,
        ),
        Problem::Spanning { path, name } => spanning(name, &root.join(path)),
        Problem::Leftovers => (
            format!(
                "an interrupted run has left temporary files in {}",
                quoted(root)
            ),
            run,
        ),
        Problem::NotIgnoredHere(path) => (
            format!("git does not ignore {}", quoted(&root.join(path))),
            format!(
                "run `{}`",
                append(&[format!("/{path}")], &root.join(".gitignore"))
            ),
        ),
        Problem::Reincluded { path, rule } => (
            format!(
                "git does not ignore {}, by the rule `{rule}`",
                quoted(&root.join(path))
            ),
            "remove that rule".to_owned(),
        ),
        Problem::Config(error)
        | Problem::LeftAlone(error)
        | Problem::NoPorts(error)
        | Problem::Obstacle(error)
        | Problem::Unanswered(error) => {
            let (what, remedy) = error.parts();
            let again = || run_git_again(root);
            (what.to_owned(), remedy.map_or_else(again, str::to_owned))
        }
    }
}

fn bare_by_accident(common_dir: &Path) -> (String, String) {
    let what = format!(
        "{} says that it is bare, but it has an index, as only the repository of a main worktree has",
        quoted(common_dir)
    );
    let git = format!("git -C {}", shell_word(common_dir));
    (what, format!("run `{git} config core.bare false`"))
}

fn foreign(port_file: &str, bare: &str, is_adoptable: bool) -> (String, String) {
    let replace = format!("`{bare} --reallocate` to replace it");
    let mend = if is_adoptable {
        format!("run `{bare} --adopt` to take its ports over, or {replace}")
    } else {
        format!("run {replace}; `--adopt` cannot take its ports over")
    };
    (format!("{port_file} belongs to another tool"), mend)
}

fn spanning(name: &str, path: &Path) -> (String, String) {
    let path = quoted(path);
    let what = format!(
        "`{name}` is set twice in {path}: lines of yours set it too, to a value that spans them"
    );
    (what, format!("delete those lines from {path}"))
}

/// For what git would not say: most often its index is broken.
fn run_git_again(root: &Path) -> String {
    format!(
        "run `git -C {} status`, and mend what it complains of",
        shell_word(root)
    )
}

fn of_place(unusable: &Unusable, root: &Path, facts: &Facts) -> (String, String) {
    let git = format!("git -C {}", shell_word(&facts.common_dir));
    let path = quoted(root);
    let moved_or_gone = |is_locked: &bool| {
        let word = shell_word(root);
        let unlock = if *is_locked {
            format!("{git} worktree unlock {word} && ")
        } else {
            String::new()
        };
        format!(
            "if it was moved, run `git worktree repair` in its new place; if it is gone for good, run `{unlock}{git} worktree remove {word}`"
        )
    };
    match unusable {
        Unusable::Unreadable(error) => {
            let (what, remedy) = error.parts();
            let mend = remedy.unwrap_or("give this user access to it");
            (what.to_owned(), mend.to_owned())
        }
        Unusable::Nowhere => (
            format!("the entry {path} does not say where its worktree is"),
            format!(
                "if the worktree is there, run `git worktree repair` in it; if it is gone for good, run `rm -r {}`",
                shell_word(root)
            ),
        ),
        Unusable::Gone { is_locked } => (
            format!("the worktree at {path} is not there"),
            moved_or_gone(is_locked),
        ),
        Unusable::NotADirectory { is_locked } => (
            format!("{path} is no directory, but git has a worktree there"),
            format!("move that away; {}", moved_or_gone(is_locked)),
        ),
        Unusable::NoDotGit => (
            format!("{} is missing", quoted(&root.join(".git"))),
            format!("run `{git} worktree repair`"),
        ),
        Unusable::LeadsElsewhere { entry, way_back } => {
            let what = format!(
                "{} does not lead to {}",
                quoted(&root.join(".git")),
                quoted(entry)
            );
            let remove = format!("run `rm -r {}`", shell_word(entry));
            let mend = match way_back {
                WayBack::Repair => format!("run `{git} worktree repair`"),
                WayBack::ToAnother => remove,
                WayBack::Unknown => format!(
                    "if it was moved, run `git worktree repair` in its new place; if it is gone, or if this clone is a copy, {remove}"
                ),
            };
            (what, mend)
        }
    }
}

fn few_slots(shortage: &SlotShortage, step: u32, roots: &[&Path]) -> (String, String) {
    let configs = roots
        .iter()
        .map(|root| quoted(&root.join(config_file::NAME)));
    let configs: Vec<String> = configs.collect();
    let worktrees = match shortage.usable {
        1 => "only 1 worktree".to_owned(),
        usable => format!("only {usable} worktrees"),
    };
    let what = format!(
        "{worktrees} can have ports at the same time: with `step` {step} in {}, services take the ports of each other's slots",
        configs.join(", ")
    );
    let mend = match shortage.better_step {
        Some(better) => format!("set `step` to {better}"),
        None => "give the services base ports that are farther apart".to_owned(),
    };
    (what, mend)
}

fn same_base_ports(ports: &[Port], clone: &Path, root: &Path) -> (String, String) {
    let ports: Vec<String> = ports.iter().map(Port::to_string).collect();
    let what = format!(
        "the main worktree {} and that of the clone {} have the same base ports: {}",
        quoted(root),
        quoted(clone),
        ports.join(", ")
    );
    let mend = format!(
        "change the base ports in {}, then run `{} --reallocate`",
        quoted(&root.join(config_file::NAME)),
        by_hand(root)
    );
    (what, mend)
}

fn same_names(variable: &str, names: &[&str], clone: &Path, facts: &Facts) -> (String, String) {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    let what = format!(
        "`{variable}` is {} both here and in the clone {}",
        names.join(", "),
        quoted(clone)
    );
    let directory = facts
        .worktrees
        .first()
        .map_or(&*facts.common_dir, |it| &it.root);
    let mend = format!(
        "put something of this clone into its template in `{}`, then run `{} --all`",
        config_file::NAME,
        by_hand(directory)
    );
    (what, mend)
}

fn not_ignored(paths: &BTreeSet<&str>, files: &[PathBuf], facts: &Facts) -> (String, String) {
    let files: Vec<String> = files.iter().map(|file| quoted(file)).collect();
    let info = facts.common_dir.join("info");
    let rules = paths.iter().map(|path| format!("/{path}"));
    let rules: Vec<String> = rules.chain([format!("*{SUFFIX}")]).collect();
    let mend = format!(
        "run `mkdir -p {} && {}`",
        shell_word(&info),
        append(&rules, &info.join("exclude"))
    );
    (format!("git does not ignore {}", files.join(", ")), mend)
}

/// The command that appends lines to a file, which may be missing or lack a newline at its end.
fn append(lines: &[String], file: &Path) -> String {
    let words: Vec<String> = lines
        .iter()
        .map(|line| shell_word(Path::new(line)))
        .collect();
    format!(
        r"printf '\n%s' {} '' >> {}",
        words.join(" "),
        shell_word(file)
    )
}

#[cfg(test)]
mod tests;
