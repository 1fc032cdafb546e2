//! The facts about a clone's hook that decide what `--install` does. Changes nothing.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result, if_there};
use crate::files::dir::{Dir, PlainFile, is_same_directory};
use crate::git::access;
use crate::git::command;
use crate::git::entries::path_from;
use crate::git::repository::Repository;
use crate::install::HOOK;
use crate::install::hook_file::{has_block, without_block};
use crate::install::managers::{Manager, calls_us};
use crate::writes::block;

/// How much of a hook or of a manager's config is read, in bytes: a branch may have put it there.
pub const LIMIT: usize = 256 * 1024;

/// The state of something that `--install` puts into a clone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartState {
    Missing,
    NotExecutable,
    /// It is not what this version would install.
    Outdated,
    Current,
}

/// What is at the path of a hook.
#[derive(Debug, PartialEq, Eq)]
pub struct Hook {
    pub path: PathBuf,
    pub kind: HookKind,
    /// Empty if it cannot be a script.
    pub content: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookKind {
    Missing,
    /// A regular file that git runs.
    File,
    /// A regular file that git does not run.
    NotExecutable,
    /// Something else that git runs: a link, with the content of its target, or a file that is too large.
    Other,
    /// Something else that git does not run, such as a link that leads nowhere or a directory.
    NotAHook,
}

impl Hook {
    /// Looks at the path of a hook.
    pub fn look(path: PathBuf) -> Result<Hook> {
        let runs = path.is_file() && access::can_run(&path);
        let (kind, content) = match read(&path)? {
            PlainFile::Missing => (HookKind::Missing, Vec::new()),
            PlainFile::Unreadable(error) => {
                let error = Error::could_not("read the hook", path)(error);
                return Err(error.remedy("give this user access to it"));
            }
            PlainFile::Read(bytes) if runs => (HookKind::File, bytes),
            PlainFile::Read(bytes) => (HookKind::NotExecutable, bytes),
            _ if !runs => (HookKind::NotAHook, Vec::new()),
            // The target of a link shows who owns the hook; it is never written.
            PlainFile::TooLarge(_) | PlainFile::NotRegular(_) => {
                let target = dunce::canonicalize(&path).unwrap_or_default();
                (HookKind::Other, small_file(&target))
            }
        };
        Ok(Hook {
            path,
            kind,
            content,
        })
    }

    /// The state of our hook in this file, which should be `script`.
    pub fn state(&self, script: &[u8]) -> PartState {
        match self.kind {
            HookKind::NotExecutable => PartState::NotExecutable,
            HookKind::File if self.content == script => PartState::Current,
            HookKind::File if has_block(&self.content) => PartState::Outdated,
            _ => PartState::Missing,
        }
    }

    /// The error if it has half a block of ours.
    pub fn half_block(&self) -> Option<Error> {
        let half = block::find(&self.content).err()?;
        Some(half.error("edit the hook", &self.path))
    }

    /// Whether it is a file that git runs and that has our block.
    pub fn runs_us(&self) -> bool {
        self.kind == HookKind::File && has_block(&self.content)
    }
}

/// The hook that git runs for one worktree.
pub struct HookPlace {
    /// The root of the worktree; the common dir if there is no worktree.
    pub at: PathBuf,
    /// The directory in which git looks for hooks.
    pub hooks_dir: PathBuf,
    /// Whether that is `<common dir>/hooks`, which belongs only to this clone.
    pub is_own_dir: bool,
    /// The file `post-checkout` in it.
    pub hook: Hook,
    /// The manager that owns the hook.
    pub manager: Option<Manager>,
    /// Whether the hook's owner already calls us, from its config or by running a file of ours that it
    /// has moved.
    pub is_called_by_owner: bool,
}

impl HookPlace {
    /// Looks at the hook of the worktree with the root `at`, or of the repository with that common dir.
    pub fn look(repository: &Repository, at: &Path) -> Result<HookPlace> {
        let hooks_dir = hooks_dir(at)?;
        let own = repository.common_dir.join("hooks");
        let is_link = (own.symlink_metadata()).is_ok_and(|metadata| !metadata.is_dir());
        let hook = Hook::look(hooks_dir.join(HOOK))?;
        let manager = Manager::of(&hooks_dir, &hook.content);
        Ok(HookPlace {
            at: at.to_owned(),
            is_own_dir: !is_link && is_same_directory(&hooks_dir, &own),
            is_called_by_owner: calls_us(&without_block(&hook.content))
                || manager.is_some_and(|manager| is_called_by(manager, at, &hooks_dir)),
            hooks_dir,
            hook,
            manager,
        })
    }
}

/// Whether `manager` calls us in the worktree with that root.
fn is_called_by(manager: Manager, root: &Path, hooks_dir: &Path) -> bool {
    let in_config = |path: &PathBuf| calls_us(&small_file(path));
    // This one reads its config only when it is installed.
    let goes_by_config = manager.name != "simple-git-hooks";
    let moves_hooks = ["pre-commit", "prek"].contains(&manager.name);
    goes_by_config && manager.configs_in(root).iter().any(in_config)
        || moves_hooks && has_block(&small_file(&hooks_dir.join("post-checkout.legacy")))
}

/// The content of a small regular file; empty for anything else.
pub fn small_file(path: &Path) -> Vec<u8> {
    match read(path) {
        Ok(PlainFile::Read(bytes) | PlainFile::TooLarge(bytes)) => bytes,
        _ => Vec::new(),
    }
}

fn read(path: &Path) -> Result<PlainFile> {
    let found = if_there(Dir::of_file(path)).map_err(Error::could_not("read", path))?;
    found.map_or(Ok(PlainFile::Missing), |(dir, name)| dir.read(name, LIMIT))
}

/// The directory in which git looks for the hooks of the worktree or repository at `at`.
pub fn hooks_dir(at: &Path) -> Result<PathBuf> {
    let path = command::ask(at, &["rev-parse", "--git-path", "hooks"])?;
    Ok(at.join(path_from(path)))
}
