//! Putting a clone on the user's list of clones whose ports are kept apart.

use crate::allocate::reservations::ports_of_main;
use crate::config::file as config_file;
use crate::error::{Result, quoted};
use crate::git::clones;
use crate::git::repository::Repository;
use crate::narrator::Narrator;
use crate::ports::Port;

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

/// Warns about other clones on the list if their main worktree has a port of this one's: both keep it.
pub fn warn_about_slot_0(repository: &Repository, narrator: &Narrator) -> Result<()> {
    let own = narrator.or_warn(ports_of_main(repository));
    let own = own.unwrap_or_default();
    for other in clones::others(&repository.common_dir, narrator)? {
        let opened = clones::open(&other, &repository.common_dir);
        let ports = narrator.or_warn(opened.and_then(|other| ports_of_main(&other)));
        let ports = ports.unwrap_or_default();
        let shared = own.iter().filter(|port| ports.contains(port));
        let shared: Vec<String> = shared.map(Port::to_string).collect();
        if !shared.is_empty() {
            narrator.warn(format_args!(
                "the main worktree of {} has port {} too; give one of the two repositories other \
                 base ports in `{}`",
                quoted(&other),
                shared.join(", "),
                config_file::NAME
            ));
        }
    }
    Ok(())
}
