//! Taking the hook out of a clone.

use std::path::Path;

use crate::error::{Result, quoted};
use crate::git::clones;
use crate::git::lock;
use crate::git::repository::{self, DIRECTORY};
use crate::install::edit::take_out;
use crate::install::seen::hooks_dir;
use crate::install::{hook_config, program};
use crate::release;
use crate::session::Session;
use crate::writes::exclude;

/// Takes the hook out of the clone around `directory`, with the program and everything else that
/// belongs to it. Reports what was removed and what is kept.
pub fn uninstall(directory: &Path, session: &Session) -> Result<()> {
    let found = repository::find(directory)?;
    let common_dir = &found.repository.common_dir;
    let narrator = &session.narrator;
    let at = (found.worktree.as_ref()).map_or(&**common_dir, |worktree| worktree.path());
    let hooks_dir = hooks_dir(at)?;
    // Without our directory, nobody has ever allocated here, and only the lock would be left.
    let ours = common_dir.join(DIRECTORY);
    let held = (ours.exists().then(|| lock::acquire(common_dir, session))).transpose()?;
    let hook_from = |file: &Path| format!("the hook from {}", quoted(file));
    let edits = take_out(common_dir, &hooks_dir, &session.patience)?;
    let mut removed = Vec::new();
    if hook_config::unwire(common_dir)? {
        removed.push(hook_from(&common_dir.join("config")));
    }
    for edit in edits {
        edit.commit(edit.stage(common_dir)?, &session.patience)?;
        removed.push(hook_from(&edit.path()));
    }
    let is_shared = found.repository.is_shared()?;
    let unshared = match clones::unshare(common_dir) {
        // Other clones would still count this one: reported at the end, when all else is done.
        Err(error) if is_shared => Err(error),
        unshared => Ok(narrator.or_warn(unshared)),
    };
    if let Ok(Some(true)) = unshared {
        removed.push("this clone from the list of clones that share their ports".to_owned());
    }
    if let Some(held) = &held {
        release::forget_all(held, &found.repository, session)?;
    }
    if program::remove(common_dir)? {
        removed.push(quoted(&program::path(common_dir)));
    }
    program::remove_leftovers(common_dir);
    lock::remove_directory_if_empty(common_dir);

    for what in &removed {
        narrator.tell(format_args!("removed {what}"));
    }
    if removed.is_empty() {
        narrator.tell("nothing was installed in this clone");
    }
    let lock = lock::path(common_dir);
    if lock.exists() {
        let why = "deleting it would let two processes hold the lock";
        narrator.tell(format_args!("kept {}: {why}", quoted(&lock)));
    }
    let hidden = narrator.tolerate(exclude::hidden(common_dir))?;
    let hidden = hidden.unwrap_or_default();
    if !hidden.is_empty() {
        let list = quoted(&exclude::path(common_dir));
        let files = hidden.into_iter().collect::<Vec<_>>().join(", ");
        narrator.tell(format_args!(
            "kept our lines in {list}: they hide these files of worktrees: {files}"
        ));
    }
    unshared.map(drop)
}
