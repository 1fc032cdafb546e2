//! Which config counts for a worktree, and reading it.

use crate::config::Config;
use crate::error::{Error, ErrorKind, Result, error, quoted, shell_word};
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
    /// Whether there is no config anywhere. The default only allocates: it changes nothing in a worktree
    /// that has ports.
    pub is_default: bool,
}

impl ConfigInForce {
    /// The config of the worktree itself.
    pub fn own(config: Config) -> ConfigInForce {
        let is_default = false;
        ConfigInForce { config, is_default }
    }
}

/// The config that counts for `worktree`: its own, else the main worktree's, else the default. If the
/// default has other services than `own`, the bundle that the worktree has, these count.
///
/// # Errors
/// As [`load`].
pub fn of(
    worktree: &Worktree,
    repository: &Repository,
    own: Option<&Bundle>,
) -> Result<ConfigInForce> {
    let mut config = load(worktree)?;
    if config.is_none()
        && !worktree.is_main()
        && let Some(main) = repository.main_worktree()?
    {
        config = load(&main)?;
    }
    Ok(match config {
        Some(config) => ConfigInForce::own(config),
        None => ConfigInForce {
            is_default: true,
            config: Config::default_for(own),
        },
    })
}

/// The config at the root of `worktree`; `None` if there is no such file.
///
/// # Errors
/// The config cannot be read or is not valid: with the file, the key, and what is allowed.
pub fn load(worktree: &Worktree) -> Result<Option<Config>> {
    let path = worktree.root.path_of(NAME);
    read_settled(worktree, NAME, LIMIT, |found| {
        let text = match found {
            PlainFile::Missing => return Ok(None),
            PlainFile::Unreadable(error) => {
                let error = Error::could_not("read the config", &path)(error);
                return Err(match error.kind() {
                    ErrorKind::Refused => error.remedy("give this user access to it"),
                    _ => error.remedy(format!(
                        "run `git -C {} status`, and fix what it reports",
                        shell_word(worktree.path())
                    )),
                });
            }
            PlainFile::NotRegular(kind) => Err(format!("it is {kind}, and must be a regular file")),
            PlainFile::TooLarge(_) => Err(format!("it is larger than {} KiB", LIMIT / 1024)),
            PlainFile::Read(bytes) => {
                String::from_utf8(bytes).map_err(|error| format!("it is not JSON: {error}"))
            }
        };
        let config = text.and_then(|text| Config::parse(&text)).map(Some);
        config.map_err(|why| {
            error!("the config {} is not valid: {why}", quoted(&path))
                .remedy(format!("correct it and run `{}`", worktree.by_hand()))
        })
    })
}
