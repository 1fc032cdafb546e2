//! Giving ports back: what was written for a worktree is removed.

use std::collections::BTreeSet;
use std::path::Path;

use crate::allocate::plan::Request;
use crate::error::{Error, Result};
use crate::git::entries::Entry;
use crate::git::lock::{self, Held};
use crate::git::repository::Repository;
use crate::git::worktree::Worktree;
use crate::reserve;
use crate::session::Session;
use crate::state::port_file::{self, FileState};
use crate::state::record::{self, Recorded};
use crate::writes::exclude;
use crate::writes::files::Files;

/// Gives the ports of `worktree` back: removes our blocks from its env files, the files made from
/// templates, then the port file, then the record. Returns the message to print.
///
/// # Errors
/// The port file is not the worktree's own, or something cannot be removed. If this was known in advance,
/// nothing was changed; in any case, the ports are still reserved.
pub fn release(repository: &Repository, worktree: &Worktree, session: &Session) -> Result<String> {
    Files::wait_for_writers(worktree, repository, session)?;
    let held = lock::acquire(&repository.common_dir, session)?;
    worktree.check_registered()?;
    let state = worktree.port_file()?;
    if reserve::is_to_be_left_alone(&state, Request::Ensure) {
        return Err(reserve::left_alone(worktree, &state));
    }
    if !matches!(state, FileState::Missing) && worktree.tracks(port_file::NAME)? {
        return Err(reserve::left_alone(worktree, &FileState::Tracked));
    }
    let recorded = worktree.record()?;
    recorded.check_readable(&worktree.record_path())?;
    let record = recorded.record().map(|record| record.reservation);
    let had = state
        .own()
        .or(record.as_ref())
        .map(|own| own.bundle.to_string());
    if !recorded.is_missing() {
        // A record that stays would still reserve the ports.
        let could_not = Error::could_not("remove", worktree.record_path());
        let is_removable = worktree.check_record_removable().map_err(could_not);
        is_removable.map_err(|error| error.within("nothing was released"))?;
    }

    let files = Files::to_clear(worktree, repository, &recorded, session)?;
    let planned = files.plan(&held, repository)?;
    let staged = planned.stage_all();
    let again = format!("{} --release", worktree.by_hand());
    let failed = |error: Error| error.within("nothing was released").then_run(&again);
    let staged = staged.map_err(failed)?;
    if planned.commit(staged, repository).has_failed {
        let what = "not all files could be restored, so the ports are still reserved";
        return Err(Error::new(what).remedy(format!("run `{again}` again")));
    }
    planned.remove_leftovers(&held)?;
    port_file::remove(&held, &worktree.root)?;
    record::remove(&held, worktree.git_dir.path(), worktree.is_main())?;
    Ok(match had {
        Some(bundle) => format!("released {bundle}"),
        None => "this worktree had no ports to release".to_owned(),
    })
}

/// Removes our blocks, the files made from templates, and the record of every worktree, so that only
/// port files are left. Warns about what could not be removed.
///
/// # Errors
/// A shortage of descriptors or memory: the record of a worktree whose files are not cleared stays.
pub fn forget_all(held: &Held, repository: &Repository, session: &Session) -> Result<()> {
    let narrator = &session.narrator;
    // Files in worktrees that are not there must stay hidden.
    let mut out_of_sight = BTreeSet::new();
    let entries = repository.sorted_worktrees()?;
    for entry in &entries {
        let recorded = Recorded::of(entry)?;
        if let Err(error) = recorded.check_readable(&record::path(entry)) {
            // What was written for it is unknown, so it stays.
            narrator.warn(error);
            continue;
        }
        match narrator.tolerate(Worktree::in_place(entry))?.flatten() {
            Some(worktree) => {
                let files = Files::to_clear(&worktree, repository, &recorded, session)?;
                if let Some(planned) = narrator.tolerate(files.plan(held, repository))? {
                    planned.commit(planned.stage()?, repository);
                    narrator.or_warn(planned.remove_leftovers(held));
                }
            }
            None => {
                if let Some(record) = recorded.record() {
                    out_of_sight.insert(port_file::NAME.to_owned());
                    out_of_sight.extend(record.written.env_files.into_keys());
                    out_of_sight.extend(record.written.templates.into_keys());
                }
            }
        }
        narrator.or_warn(record::remove(held, &entry.git_dir, entry.is_main()));
    }
    let is_needed = |path: &str| {
        let is_in = |root: &Path| root.join(path).symlink_metadata().is_ok();
        out_of_sight.contains(path) || entries.iter().filter_map(Entry::root).any(is_in)
    };
    let removed = exclude::remove(held, &repository.common_dir, &is_needed, session);
    narrator.or_warn(removed);
    Ok(())
}
