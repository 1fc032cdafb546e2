//! `<common dir>/info/exclude`: one block of ours hides the files that this program creates from
//! git, in every worktree.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result, if_there};
use crate::files::dir::Dir;
use crate::files::staged::{Access, Original, Patience, SUFFIX, Staged};
use crate::git::access;
use crate::git::lock::Held;
use crate::session::Session;
use crate::state::port_file;
use crate::writes::block::{self, HalfBlock};

const NAME: &str = "exclude";

/// How much is read, in bytes; longer than any real list.
const LIMIT: usize = 16 * 1024 * 1024;

/// Hides the port file, all temporary names, and `paths`, relative to a worktree's root.
///
/// # Errors
/// The list cannot be read or written.
pub fn add(held: &Held, common_dir: &Path, paths: &[&str], session: &Session) -> Result<()> {
    let wanted: Vec<String> = paths.iter().map(|path| format!("/{path}")).collect();
    let edit = |lines: &mut BTreeSet<String>| {
        lines.extend([format!("/{}", port_file::NAME), format!("*{SUFFIX}")]);
        lines.extend(wanted.iter().cloned());
    };
    change(held, common_dir, &edit, session).map_err(|error| {
        let lines = wanted.iter().map(|line| format!(", `{line}`"));
        error.remedy_or(&format!(
            "add `/{}`, `*{SUFFIX}`{} to `.gitignore`",
            port_file::NAME,
            lines.collect::<String>()
        ))
    })
}

/// Removes the lines whose paths, relative to a worktree's root, are not needed any more, the line
/// for temporary names, and the block if no line is left.
///
/// # Errors
/// The list cannot be read or written.
pub fn remove(
    held: &Held,
    common_dir: &Path,
    is_needed: &dyn Fn(&str) -> bool,
    session: &Session,
) -> Result<()> {
    let edit = |lines: &mut BTreeSet<String>| {
        lines.retain(|line| line.strip_prefix('/').is_some_and(is_needed));
    };
    change(held, common_dir, &edit, session)
}

/// The paths that our block hides, relative to a worktree's root.
///
/// # Errors
/// The list cannot be read.
pub fn hidden(common_dir: &Path) -> Result<BTreeSet<String>> {
    let list = List::read(common_dir, None)?;
    let paths = list.lines.iter().filter_map(|line| line.strip_prefix('/'));
    Ok(paths.map(str::to_owned).collect())
}

/// The path of the list.
pub fn path(common_dir: &Path) -> PathBuf {
    common_dir.join("info").join(NAME)
}

/// Whether this process may replace the list.
pub fn is_writable(common_dir: &Path) -> bool {
    let path = path(common_dir);
    let path = dunce::canonicalize(&path).unwrap_or(path);
    let mut above = path.ancestors().skip(1);
    above
        .find(|dir| dir.exists())
        .is_some_and(access::is_writable)
}

/// The list, as it was read.
struct List {
    /// Its path, with links resolved: its owner may have linked it to a list elsewhere.
    path: PathBuf,
    original: Option<Original>,
    /// The list without our blocks.
    rest: Vec<u8>,
    /// The lines in our blocks.
    lines: BTreeSet<String>,
}

impl List {
    fn read(common_dir: &Path, patience: Option<&Patience>) -> Result<List> {
        let path = path(common_dir);
        let read = || -> io::Result<(PathBuf, Option<Original>)> {
            let target = if_there(dunce::canonicalize(&path))?.unwrap_or_else(|| path.clone());
            let open = |(dir, name): (Dir, &str)| Original::read(&dir, name, LIMIT, patience);
            let original = if_there(Dir::of_file(&target).and_then(open))?;
            Ok((target, original))
        };
        let (target, original) = read().map_err(Error::could_not("read", &path))?;
        let content = original.as_ref().map_or(&[][..], |it| &it.bytes);
        let (rest, lines) = split(content).map_err(|half| {
            let error = half.error("edit", &path);
            error.then_run("worktree-ports-hook --all")
        })?;
        Ok(List {
            path: target,
            original,
            rest,
            lines,
        })
    }

    /// Writes the list with these lines in our block; `false` if another program has changed the
    /// list.
    fn replace(
        &self,
        common_dir: &Path,
        lines: &BTreeSet<String>,
        patience: &Patience,
    ) -> io::Result<bool> {
        let text = joined(&self.rest, lines);
        if let Some(original) = &self.original {
            // If it is a link to a list elsewhere, the list stays.
            let is_removed = text.is_empty() && !path(common_dir).is_symlink();
            let (dir, name) = Dir::of_file(&self.path)?;
            return if is_removed {
                original.remove(&dir, name, patience)
            } else {
                original
                    .stage(&dir, name, &text)?
                    .commit_over(original, patience)
            };
        }
        access::create_dir(common_dir, &common_dir.join("info"))?;
        let access = Access::shared(common_dir, 0o666)?;
        let (dir, name) = Dir::of_file(&self.path)?;
        Staged::prepare(&dir, name, &text, access)?.commit_new()
    }
}

fn change(
    _held: &Held,
    common_dir: &Path,
    edit: &dyn Fn(&mut BTreeSet<String>),
    session: &Session,
) -> Result<()> {
    let could_not = || Error::could_not("edit", path(common_dir));
    // If another program changes it in between, try once more.
    for _ in 0..2 {
        let list = List::read(common_dir, Some(&session.patience))?;
        let mut lines = list.lines.clone();
        edit(&mut lines);
        let replace = || list.replace(common_dir, &lines, &session.patience);
        if lines == list.lines || replace().map_err(could_not())? {
            return Ok(());
        }
    }
    let cause = "another program changed it twice in the meantime";
    Err(Error::at("edit", &path(common_dir), cause))
}

/// The list without our blocks, and the lines in them.
fn split(content: &[u8]) -> Result<(Vec<u8>, BTreeSet<String>), HalfBlock> {
    let (mark, content) = content.split_at(block::byte_order_mark(content));
    let mut rest = mark.to_owned();
    let mut lines = BTreeSet::new();
    let mut at = 0;
    for found in block::find(content)? {
        rest.extend(&content[at..found.range.start]);
        at = found.range.end;
        let inside = String::from_utf8_lossy(&content[found.inside]);
        lines.extend(inside.lines().map(str::to_owned));
    }
    rest.extend(&content[at..]);
    Ok((rest, lines))
}

/// The list `rest` with a block of these lines above it, so that [`split`] restores every byte,
/// whatever the list ends with and whatever is appended to it.
fn joined(rest: &[u8], lines: &BTreeSet<String>) -> Vec<u8> {
    if lines.is_empty() {
        return rest.to_owned();
    }
    let (mark, rest) = rest.split_at(block::byte_order_mark(rest));
    let lines = lines.iter().flat_map(|line| [line.as_str(), "\n"]);
    let lines: String = lines.collect();
    [mark, block::render(None, &lines).as_bytes(), rest].concat()
}

#[cfg(test)]
mod tests;
