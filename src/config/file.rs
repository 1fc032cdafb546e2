//! Which config counts for a worktree, and reading it.

use crate::config::Config;
use crate::error::{CouldNot, Error, Result, quoted};
use crate::files::untrusted::PlainFile;
use crate::git::checkout::read_settled;
use crate::git::repository::Repository;
use crate::git::worktree::Worktree;

/// The config's name, at a worktree's root.
pub const NAME: &str = ".worktree-ports.config.json";

/// How large a config may be, in bytes.
const LIMIT: usize = 64 * 1024;

/// The config of `worktree`: its own, else the main worktree's, else the default.
///
/// # Errors
/// As [`load`].
pub fn of(worktree: &Worktree, repository: &Repository) -> Result<Config> {
    if let Some(config) = load(worktree)? {
        return Ok(config);
    }
    match repository.main_worktree() {
        Some(main) if !worktree.is_main() => Ok(load(&main)?.unwrap_or_default()),
        _ => Ok(Config::default()),
    }
}

/// The config at the root of `worktree`; `None` if there is no such file.
///
/// # Errors
/// A config that is not whole and valid, with the file, the key, and what is allowed.
pub fn load(worktree: &Worktree) -> Result<Option<Config>> {
    let path = worktree.root.join(NAME);
    let invalid = |why: String| {
        Error::new(format!("the config {} is not valid: {why}", quoted(&path)))
            .remedy("correct it and run `worktree-ports-hook`")
    };
    read_settled(worktree, NAME, LIMIT, |found| {
        let bytes = match found {
            PlainFile::Missing => return Ok(None),
            PlainFile::Unreadable(error) => return Err(error).could_not("read the config", &path),
            PlainFile::NotRegular(kind) => {
                return Err(invalid(format!("it is {kind}, and must be a regular file")));
            }
            PlainFile::Read {
                truncated: true, ..
            } => return Err(invalid(format!("it is larger than {} KiB", LIMIT / 1024))),
            PlainFile::Read { bytes, .. } => bytes,
        };
        let text =
            str::from_utf8(&bytes).map_err(|error| invalid(format!("it is not JSON: {error}")))?;
        Config::parse(text).map(Some).map_err(invalid)
    })
}
