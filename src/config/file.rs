//! Which config counts for a worktree, and reading it.

use crate::config::Config;
use crate::error::{Error, Result, error, quoted};
use crate::files::dir::PlainFile;
use crate::git::checkout::read_settled;
use crate::git::repository::Repository;
use crate::git::worktree::Worktree;
use crate::ports::Bundle;

/// The config's name, at a worktree's root.
pub const NAME: &str = ".worktree-ports.config.json";

/// How large a config may be, in bytes.
const LIMIT: usize = 64 * 1024;

/// The config that counts for a worktree.
#[derive(Clone, Debug)]
pub struct ConfigInForce {
    pub config: Config,
    /// Whether there is no config anywhere. The default allocates, and changes nothing of a worktree
    /// that has ports.
    pub is_default: bool,
}

impl ConfigInForce {
    /// The worktree's own.
    pub fn own(config: Config) -> ConfigInForce {
        let is_default = false;
        ConfigInForce { config, is_default }
    }

    /// The config by which a worktree that has `bundle` goes.
    pub fn for_bundle(&self, bundle: Option<&Bundle>) -> Config {
        match bundle {
            Some(bundle) if self.is_default && !self.config.has_services_of(bundle) => {
                Config::of_bundle(bundle)
            }
            _ => self.config.clone(),
        }
    }
}

/// The config that counts for `worktree`: its own, else the main worktree's, else the default.
///
/// # Errors
/// As [`load`].
pub fn of(worktree: &Worktree, repository: &Repository) -> Result<ConfigInForce> {
    if let Some(config) = load(worktree)? {
        return Ok(ConfigInForce::own(config));
    }
    let main = match repository.main_worktree()? {
        Some(main) if !worktree.is_main() => load(&main)?,
        _ => None,
    };
    Ok(ConfigInForce {
        is_default: main.is_none(),
        config: main.unwrap_or_default(),
    })
}

/// The config at the root of `worktree`; `None` if there is no such file.
///
/// # Errors
/// A config that is not whole and valid, with the file, the key, and what is allowed.
pub fn load(worktree: &Worktree) -> Result<Option<Config>> {
    let path = worktree.root.path_of(NAME);
    let invalid = |why: String| {
        error!("the config {} is not valid: {why}", quoted(&path))
            .remedy(format!("correct it and run `{}`", worktree.by_hand()))
    };
    read_settled(worktree, NAME, LIMIT, |found| {
        let bytes = match found {
            PlainFile::Missing => return Ok(None),
            PlainFile::Unreadable(error) => {
                return Err(Error::could_not("read the config", &path)(error));
            }
            PlainFile::NotRegular(kind) => {
                return Err(invalid(format!("it is {kind}, and must be a regular file")));
            }
            PlainFile::TooLarge(_) => {
                return Err(invalid(format!("it is larger than {} KiB", LIMIT / 1024)));
            }
            PlainFile::Read(bytes) => bytes,
        };
        let text =
            str::from_utf8(&bytes).map_err(|error| invalid(format!("it is not JSON: {error}")))?;
        Config::parse(text).map(Some).map_err(invalid)
    })
}
