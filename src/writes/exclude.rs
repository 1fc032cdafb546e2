//! `<common dir>/info/exclude`: one block of ours, which hides what this program makes from git in
//! every worktree.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result, error, if_there, quoted};
use crate::files::dir::Dir;
use crate::files::staged::{Access, Original, Patience, SUFFIX, Staged};
use crate::git::access;
use crate::git::lock::Held;
use crate::session::Session;
use crate::state::port_file;
use crate::writes::block::{self, HalfBlock};

const NAME: &str = "exclude";

/// How much is read, in bytes; more than any list has.
const LIMIT: usize = 16 * 1024 * 1024;

/// Hides the port file, every temporary name, and these paths, relative to a worktree's root.
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

/// Takes out the lines that are not needed any more, and the block if none is left; `is_needed` is
/// asked with a path relative to a worktree's root. What hides temporary names goes with the rest.
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
    let path = path(common_dir);
    let list = List::open(&path).map_err(Error::could_not("read", &path))?;
    let content = list.map_or(Ok(None), |list| list.read(None));
    let content = content.map_err(Error::could_not("read", &path))?;
    let content = content.map_or(Vec::new(), |original| original.bytes);
    let lines = split(&content).map_err(|half| half_block(&path, &half))?.1;
    let paths = lines.iter().filter_map(|line| line.strip_prefix('/'));
    Ok(paths.map(str::to_owned).collect())
}

/// The path of the list.
pub fn path(common_dir: &Path) -> PathBuf {
    common_dir.join("info").join(NAME)
}

/// The list, opened: it may be a link to one elsewhere, as its owner wishes.
struct List {
    dir: Dir,
    name: String,
}

impl List {
    /// `None` if there is neither a list nor a directory for it.
    fn open(path: &Path) -> io::Result<Option<List>> {
        let real = if_there(dunce::canonicalize(path))?.unwrap_or_else(|| path.to_owned());
        let (Some(parent), Some(name)) =
            (real.parent(), real.file_name().and_then(|it| it.to_str()))
        else {
            return Err(io::ErrorKind::InvalidFilename.into());
        };
        let dir = if_there(Dir::open(parent))?;
        Ok(dir.map(|dir| List {
            dir,
            name: name.to_owned(),
        }))
    }

    fn read(&self, patience: Option<&Patience>) -> io::Result<Option<Original>> {
        if_there(Original::read(&self.dir, &self.name, LIMIT, patience))
    }
}

fn change(
    _held: &Held,
    common_dir: &Path,
    edit: &dyn Fn(&mut BTreeSet<String>),
    session: &Session,
) -> Result<()> {
    let path = path(common_dir);
    // Another program may change it in between; then once more.
    for _ in 0..2 {
        if try_change(common_dir, &path, edit, session)? {
            return Ok(());
        }
    }
    Err(Error::at(
        "edit",
        &path,
        "another program changed it twice in the meantime",
    ))
}

/// `false` if another program has changed the list in between.
fn try_change(
    common_dir: &Path,
    path: &Path,
    edit: &dyn Fn(&mut BTreeSet<String>),
    session: &Session,
) -> Result<bool> {
    let could_not = |what| Error::could_not(what, path);
    let list = List::open(path).map_err(could_not("read"))?;
    let original = list
        .as_ref()
        .map_or(Ok(None), |list| list.read(Some(&session.patience)));
    let original = original.map_err(could_not("read"))?;
    let content = original
        .as_ref()
        .map_or(&[][..], |original| &original.bytes);
    let (rest, old) = split(content).map_err(|half| half_block(path, &half))?;
    let mut new = old.clone();
    edit(&mut new);
    if new == old {
        return Ok(true);
    }
    let text = joined(&rest, &new);
    let list = if let Some(list) = list {
        list
    } else {
        let info = common_dir.join("info");
        access::create_dir(common_dir, &info).map_err(Error::could_not("make", &info))?;
        let made = List::open(path).map_err(could_not("edit"))?;
        made.ok_or_else(|| Error::at("edit", path, "its directory is missing"))?
    };
    let (dir, name) = (&list.dir, list.name.as_str());
    let commit = || -> io::Result<bool> {
        let Some(original) = original.as_ref() else {
            let common = Dir::open(common_dir)?.stat()?;
            let access = Access::Shared(common, common.mode & 0o666);
            return Staged::prepare(dir, name, &text, access)?.commit_new();
        };
        let staged = original.stage(dir, name, &text)?;
        if !original.is_unchanged(dir, name, &session.patience) {
            return Ok(false);
        }
        if text.is_empty() && !path.is_symlink() {
            return fs::remove_file(path).map(|()| true);
        }
        staged.commit().map(|()| true)
    };
    commit().map_err(could_not("edit"))
}

fn half_block(path: &Path, half: &HalfBlock) -> Error {
    error!(
        "line {} of {} is one mark of a block, and the other one is missing",
        half.line,
        quoted(path)
    )
    .remedy("delete what is left of that block and run `worktree-ports-hook --all`")
}

/// git skips one at the start of the list, and there alone.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The list without our blocks, and the lines in them.
fn split(content: &[u8]) -> Result<(Vec<u8>, BTreeSet<String>), HalfBlock> {
    let (mark, content) = byte_order_mark(content);
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

/// The list `rest` with a block of these lines above it: whatever the list ends with, and whatever
/// is appended to it, [`split`] restores every byte.
fn joined(rest: &[u8], lines: &BTreeSet<String>) -> Vec<u8> {
    if lines.is_empty() {
        return rest.to_owned();
    }
    let (mark, rest) = byte_order_mark(rest);
    let lines = lines.iter().flat_map(|line| [line.as_str(), "\n"]);
    let lines: String = lines.collect();
    [mark, block::render(None, &lines).as_bytes(), rest].concat()
}

/// The byte order mark of `content`, or nothing, and the rest.
fn byte_order_mark(content: &[u8]) -> (&[u8], &[u8]) {
    let has_mark = content.starts_with(BYTE_ORDER_MARK);
    content.split_at(if has_mark { BYTE_ORDER_MARK.len() } else { 0 })
}

#[cfg(test)]
mod tests;
