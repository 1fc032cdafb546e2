//! What is there before anything is decided: hooks, their owners, and git's config. Changes nothing.

use std::path::{Path, PathBuf};

use crate::error::{CouldNot, Error, Result};
use crate::files::untrusted::{self, PlainFile};
use crate::git::command;
use crate::git::entries::path_from;
use crate::git::repository::Found;
use crate::git::worktree::is_same_directory;
use crate::install::hook_file::{has_block, without_block};
use crate::install::managers::calls_us;
use crate::install::plan::{Hook, Seen};
use crate::install::{HOOK, git_config, here, program_in};

/// How much of a hook or of a manager's config is read, in bytes: a branch may have put it there.
const LIMIT: usize = 256 * 1024;

/// The first git that runs hooks that its config names.
const CONFIG_HOOKS: (u32, u32) = (2, 54);

/// Looks at what is there, and changes nothing.
pub fn look(found: &Found) -> Result<Seen> {
    let (common_dir, here) = (&found.repository.common_dir, here(found));
    let hooks_dir = hooks_dir(here)?;
    let own = common_dir.join("hooks");
    let is_link = own
        .symlink_metadata()
        .is_ok_and(|metadata| !metadata.is_dir());
    let hook = look_at(&hooks_dir.join(HOOK))?;
    let config = (git_version(here)? >= CONFIG_HOOKS)
        .then(|| git_config::look(here, &program_in(common_dir)))
        .transpose()?;
    let mut seen = Seen {
        is_own_hooks_dir: !is_link && (hooks_dir == own || is_same_directory(&hooks_dir, &own)),
        is_called_by_owner: false,
        hooks_dir,
        hook,
        config,
    };
    let root = found.worktree.as_ref().map(|worktree| &*worktree.root);
    seen.is_called_by_owner = is_called_by_owner(&seen, root);
    Ok(seen)
}

/// Whether the owner of a hook calls us: the script or its config does, or it calls our own file
/// where it has moved it.
fn is_called_by_owner(seen: &Seen, root: Option<&Path>) -> bool {
    let manager = seen.manager();
    let in_config = |root: &Path| {
        let mut configs = manager.configs_in(root);
        manager.reads_config_when_run && configs.any(|path| calls_us(&small_file(&path)))
    };
    let moves_hooks = ["pre-commit", "prek"].contains(&manager.name);
    let moved = seen.hooks_dir.join("post-checkout.legacy");
    calls_us(&without_block(seen.hook.content()))
        || root.is_some_and(in_config)
        || (moves_hooks && has_block(&small_file(&moved)))
}

/// The content of a small regular file; empty for all else.
fn small_file(path: &Path) -> Vec<u8> {
    match untrusted::read(path, LIMIT) {
        Ok(PlainFile::Read { bytes, .. }) => bytes,
        _ => Vec::new(),
    }
}

/// What lies at the path of a hook.
pub fn look_at(path: &Path) -> Result<Hook> {
    Ok(
        match untrusted::read(path, LIMIT).could_not("read the hook", path)? {
            PlainFile::Missing => Hook::Missing,
            PlainFile::Read {
                bytes,
                truncated: false,
            } => Hook::File {
                content: bytes,
                is_executable: is_executable(path),
            },
            PlainFile::Read { bytes, .. } => Hook::Other(bytes),
            // What a link leads to shows whose it is; it is never written.
            PlainFile::NotRegular(_) => Hook::Other(
                dunce::canonicalize(path).map_or_else(|_| Vec::new(), |path| small_file(&path)),
            ),
            PlainFile::Unreadable(error) => return Err(Error::at("read the hook", path, error)),
        },
    )
}

/// Whether somebody may run it.
#[cfg(unix)]
pub fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.mode() & 0o111 != 0)
}

/// Windows goes by the name.
#[cfg(not(unix))]
pub fn is_executable(_path: &Path) -> bool {
    true
}

/// Where git looks for the hooks of the worktree or repository at `here`.
pub fn hooks_dir(here: &Path) -> Result<PathBuf> {
    let path = command::ask(here, &["rev-parse", "--git-path", "hooks"])?;
    Ok(here.join(path_from(path)))
}

/// The version of the git on the PATH.
fn git_version(here: &Path) -> Result<(u32, u32)> {
    let answer = command::ask(here, &["version"])?;
    let answer = String::from_utf8_lossy(&answer);
    let mut numbers = answer
        .trim_start_matches("git version ")
        .split('.')
        .map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => Ok((major, minor)),
        _ => Err(Error::new(format!(
            "could not tell the version of git from `{}`",
            answer.trim_end()
        ))),
    }
}
