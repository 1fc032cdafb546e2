//! The clones that share one space of ports: a list in the user's own git config.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result, error, quoted, shell_word};
use crate::files::dir::{identity_at, is_same_directory};
use crate::git::config::{self, Scope, os_string};
use crate::git::repository::{Repository, SHARE};

/// The common dirs of the shared clones, in the user's config.
const LIST: &str = "worktreePorts.repository";

/// The common dirs of all clones on the list. `directory` is any in which git can run.
///
/// # Errors
/// The user's config cannot be read.
fn listed(directory: &Path) -> Result<Vec<PathBuf>> {
    let clones = config::values(directory, Scope::GLOBAL, LIST)?;
    Ok(clones.into_iter().map(PathBuf::from).collect())
}

/// The paths on the list that lead to the clone with this common dir: after a move, there may be a link.
fn listed_as(common_dir: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = listed(common_dir)?;
    paths.retain(|path| is_same_directory(path, common_dir));
    Ok(paths)
}

/// Opens a clone of the list, for the one at `own`.
///
/// # Errors
/// Of the kind `Absent` if it does not count, see [`Repository::open_to_read`]; with the command
/// that takes it off the list.
pub fn open(common_dir: &Path, own: &Path) -> Result<Repository> {
    Repository::open_to_read(common_dir, own).map_err(|error| {
        let what = match error.kind() {
            ErrorKind::Absent => "a shared clone does not count",
            _ => "the ports of a shared clone are unknown",
        };
        let removal = removal(common_dir);
        error
            .within(what)
            .remedy(format!("if it is gone for good, run `{removal}`"))
    })
}

/// The common dirs of the other clones on the list, each once, and whether this clone is on it.
///
/// # Errors
/// The list cannot be read.
pub fn others(common_dir: &Path) -> Result<(Vec<PathBuf>, bool)> {
    let own = identity_at(common_dir).ok();
    let (mut is_listed, mut seen) = (false, BTreeSet::new());
    let mut others = listed(common_dir)?;
    // After a move, a link may lead from the old path to the new one.
    others.retain(|clone| match identity_at(clone) {
        Ok(identity) if Some(identity) == own => {
            is_listed = true;
            false
        }
        Ok(identity) => seen.insert(identity),
        Err(_) => true,
    });
    Ok((others, is_listed))
}

/// The problem of a shared clone that is not on the list, for example because it was moved: it counts
/// the others, and they do not count it.
pub fn unlisted(common_dir: &Path) -> Error {
    let what = "is shared but not on the list of clones in `git config --global`, so others may take its ports";
    not_in_step(common_dir, what)
}

/// Fails if only one of the list and the clone's own config says that the clone is shared.
pub fn check(repository: &Repository) -> Result<()> {
    let common_dir = &repository.common_dir;
    let (_, is_listed) = others(common_dir)?;
    let what = "is on the list of clones in `git config --global` but not shared, so it may take their ports";
    match (repository.is_shared()?, is_listed) {
        (true, false) => Err(unlisted(common_dir)),
        (false, true) => Err(not_in_step(common_dir, what)),
        _ => Ok(()),
    }
}

fn not_in_step(common_dir: &Path, what: &str) -> Error {
    error!("{} {what}", quoted(common_dir)).remedy(format!(
        "run `worktree-ports-hook -C {} --install --share`",
        shell_word(common_dir)
    ))
}

/// Puts the clone on the list; returns whether it was not there. The clone counts the others before
/// they count it, so a kill in between leaves at worst a clone that warns about that.
pub fn share(common_dir: &Path) -> Result<bool> {
    let before = config::values(common_dir, Scope::LOCAL, SHARE)?;
    let asked = config::set(common_dir, Scope::LOCAL, SHARE, OsStr::new("true"))?;
    match config::add(common_dir, Scope::GLOBAL, LIST, common_dir.as_os_str()) {
        Err(error) if asked => {
            // An error while undoing would hide the one that explains it.
            let _ = match before.last() {
                Some(value) => config::set(common_dir, Scope::LOCAL, SHARE, value),
                None => config::unset(common_dir, Scope::LOCAL, SHARE),
            };
            Err(error)
        }
        added => Ok(added? || asked),
    }
}

/// Takes the clone off the list; returns whether it was there. A kill in between leaves a clone
/// that still counts the others.
pub fn unshare(common_dir: &Path) -> Result<bool> {
    // Checked first, so that the user's config is only written if needed: it may be read-only.
    let paths = listed_as(common_dir)?;
    for path in &paths {
        config::remove(common_dir, Scope::GLOBAL, LIST, &pattern(path))?;
    }
    match config::unset(common_dir, Scope::LOCAL, SHARE) {
        Err(error) if !paths.is_empty() => {
            let _ = config::add(common_dir, Scope::GLOBAL, LIST, common_dir.as_os_str());
            Err(error)
        }
        asked => Ok(asked? || !paths.is_empty()),
    }
}

/// Whether the user wants the clone on the list: `worktreePorts.share` shares every clone, and a new
/// clone at the path of a shared one is on the list already.
pub fn is_wanted(common_dir: &Path) -> Result<bool> {
    let wishes = config::matching(common_dir, Scope::GLOBAL, r"^worktreeports\.share$")?;
    let is_every_clone = (wishes.last()).is_some_and(|(_, value)| !config::is_false(value));
    Ok(is_every_clone || !listed_as(common_dir)?.is_empty())
}

/// The command that takes a clone off the list.
pub fn removal(common_dir: &Path) -> String {
    let pattern = PathBuf::from(pattern(common_dir));
    format!(
        "git config --global --unset-all {LIST} {}",
        shell_word(&pattern)
    )
}

/// The extended regular expression that matches only this path: git has `--fixed-value` since 2.30.
fn pattern(path: &Path) -> OsString {
    let mut pattern = Vec::from(b"^");
    for &byte in path.as_os_str().as_encoded_bytes() {
        if br".[]{}()*+?^$|\".contains(&byte) {
            pattern.push(b'\\');
        }
        pattern.push(byte);
    }
    pattern.push(b'$');
    os_string(pattern)
}
