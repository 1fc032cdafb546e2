//! Putting a clone on the user's list of clones whose ports are kept apart.

use crate::config::file as config_file;
use crate::error::{Result, quoted};
use crate::git::clones;
use crate::git::repository::Repository;
use crate::narrator::Narrator;
use crate::ports::{Port, Slot};

/// Puts the clone on the list. Says which other clones on it have a main worktree with the same port
/// in slot 0: both have it by right, and meet there.
pub fn share(repository: &Repository, narrator: &Narrator) -> Result<()> {
    clones::share(&repository.common_dir)?;
    let own = narrator
        .or_warn(ports_of_main(repository))
        .unwrap_or_default();
    for other in clones::others(&repository.common_dir, narrator)? {
        let ports = clones::open(&other).and_then(|other| ports_of_main(&other));
        let ports = narrator.or_warn(ports).unwrap_or_default();
        let shared: Vec<String> = own
            .iter()
            .filter(|port| ports.contains(port))
            .map(Port::to_string)
            .collect();
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

fn ports_of_main(repository: &Repository) -> Result<Vec<Port>> {
    let Some(main) = repository.main_worktree() else {
        return Ok(Vec::new());
    };
    let config = config_file::of(&main, repository)?;
    Ok(config.ports(Slot::MAIN).unwrap_or_default())
}
