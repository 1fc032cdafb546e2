//! Putting a clone on the user's list of clones whose ports are kept apart.

use crate::error::Result;
use crate::git::clones;
use crate::git::repository::Repository;
use crate::narrator::Narrator;

/// Puts the clone on the list or takes it off, as `asked` on the command line, or else as the user's
/// config says. Returns whether the clone is on the list now, if that has changed.
pub fn share(
    repository: &Repository,
    asked: Option<bool>,
    narrator: &Narrator,
) -> Result<Option<bool>> {
    let common_dir = &repository.common_dir;
    // If the list cannot be read, the clone is shared only if that was asked for.
    let asked = match asked {
        None => narrator
            .tolerate(clones::is_wanted(common_dir))?
            .filter(|it| *it),
        asked => asked,
    };
    let has_changed = match asked {
        Some(true) => clones::share(common_dir)?,
        Some(false) => clones::unshare(common_dir)?,
        None => false,
    };
    Ok(asked.filter(|_| has_changed))
}
