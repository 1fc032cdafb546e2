//! The facts about a clone's hooks that `--install` and `--check` decide by, each gathered once.
//! Changes nothing.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result, error, if_there};
use crate::files::dir::{Dir, PlainFile, is_same_directory};
use crate::git::access;
use crate::git::command;
use crate::git::config::{self, Scope, is_false};
use crate::git::entries::{Place, path_from};
use crate::git::repository::{Found, Repository};
use crate::git::worktree::Worktree;
use crate::install::HOOK;
use crate::install::hook_config::{self, ConfigHook, ENABLED};
use crate::install::hook_file::{has_block, without_block};
use crate::install::managers::{Manager, calls_us};
use crate::install::older;
use crate::install::plan::{HookPlan, plan};
use crate::install::program::{self, ProgramCopy};

/// How much of a hook or of a manager's config is read, in bytes: a branch may have put it there.
pub const LIMIT: usize = 256 * 1024;

/// The first git that runs the hooks that its config names.
const CONFIG_HOOKS: (u32, u32) = (2, 54);

/// The file at the path of a hook.
#[derive(Debug, PartialEq, Eq)]
pub enum Hook {
    Missing,
    /// A regular file.
    File {
        content: Vec<u8>,
        is_executable: bool,
    },
    /// A link, or what is no regular file or too large for a script; with what is known of its
    /// content, and whether git runs it.
    Other {
        content: Vec<u8>,
        runs: bool,
    },
}

impl Hook {
    pub fn content(&self) -> &[u8] {
        match self {
            Hook::Missing => &[],
            Hook::File { content, .. } | Hook::Other { content, .. } => content,
        }
    }

    /// Whether it is a file that git runs, with that content.
    pub fn is(&self, script: &[u8]) -> bool {
        matches!(self, Hook::File { content, is_executable: true } if content == script)
    }

    /// Whether it is a file that git runs, with our block in it.
    pub fn runs_us(&self) -> bool {
        matches!(self, Hook::File { content, is_executable: true } if has_block(content))
    }
}

/// The hook that git runs for one worktree.
pub struct HookPlace {
    /// The root of the worktree; the common dir if there is no worktree.
    pub at: PathBuf,
    /// Where git looks for hooks.
    pub hooks_dir: PathBuf,
    /// Whether that is `<common dir>/hooks` itself, a directory of this clone alone.
    pub is_own_dir: bool,
    /// Whether `core.hooksPath` is in the config of this worktree alone.
    pub is_own_setting: bool,
    /// Where the main worktree has that directory, if this worktree lacks it.
    pub in_main: Option<PathBuf>,
    /// The file at `post-checkout` there.
    pub hook: Hook,
    /// Whether the hook's owner already calls us: its config does, or it calls our file, which it
    /// has moved.
    pub is_called_by_owner: bool,
}

impl HookPlace {
    pub fn path(&self) -> PathBuf {
        self.hooks_dir.join(HOOK)
    }

    /// The manager whose hook it is.
    pub fn manager(&self) -> Option<Manager> {
        Manager::of(&self.hooks_dir, self.hook.content())
    }

    /// The hook of the worktree with the root `at`, or of the repository with that common dir.
    fn look(repository: &Repository, at: &Path) -> Result<HookPlace> {
        let hooks_dir = hooks_dir(at)?;
        let own = repository.common_dir.join("hooks");
        let is_link = (own.symlink_metadata()).is_ok_and(|metadata| !metadata.is_dir());
        let hook = look_at(&hooks_dir.join(HOOK))?;
        // A relative `core.hooksPath` is one of each worktree.
        let in_main = hooks_dir
            .strip_prefix(at)
            .ok()
            .zip(repository.main.as_ref().and_then(Place::root));
        let in_main = in_main.map(|(relative, main)| main.join(relative));
        let mut place = HookPlace {
            at: at.to_owned(),
            is_own_dir: !is_link && (hooks_dir == own || is_same_directory(&hooks_dir, &own)),
            is_own_setting: false,
            is_called_by_owner: false,
            in_main: in_main.filter(|in_main| in_main.is_dir() && !hooks_dir.is_dir()),
            hooks_dir,
            hook,
        };
        place.is_called_by_owner = place.is_called(at);
        Ok(place)
    }

    fn is_called(&self, root: &Path) -> bool {
        let in_config = |manager: Manager| {
            let mut configs = manager.configs_in(root);
            manager.reads_config_when_run && configs.any(|path| calls_us(&small_file(&path)))
        };
        let moves_hooks = |manager: Manager| ["pre-commit", "prek"].contains(&manager.name);
        let moved = || has_block(&small_file(&self.hooks_dir.join("post-checkout.legacy")));
        let manager = self.manager();
        calls_us(&without_block(self.hook.content()))
            || manager.is_some_and(in_config)
            || (manager.is_some_and(moves_hooks) && moved())
    }
}

/// What decides how the hook is installed.
pub struct SeenHook {
    pub common_dir: PathBuf,
    /// The hook for the worktree in which the program was called.
    pub place: HookPlace,
    /// What the config has; `None` if the git on the PATH runs no hooks that its config names.
    pub config: Option<ConfigHook>,
    /// The copy of the program in the clone.
    pub program: ProgramCopy,
    /// Whether no program in the common dir can run.
    pub is_noexec: bool,
    /// Whether `hooks/post-checkout` in the common dir would run us if git looked there.
    pub own_file_runs_us: bool,
}

impl SeenHook {
    /// Looks at the clone, whose copy should be the same as `program`.
    pub fn look(found: &Found, program: &Path) -> Result<SeenHook> {
        let common_dir = &found.repository.common_dir;
        let at = (found.worktree.as_ref()).map_or(&**common_dir, |worktree| worktree.path());
        let has_config_hooks = git_version(at)? >= CONFIG_HOOKS;
        Ok(SeenHook {
            place: HookPlace::look(&found.repository, at)?,
            config: has_config_hooks
                .then(|| hook_config::look(common_dir, &program::path(common_dir)))
                .transpose()?,
            program: program::look(common_dir, program)?,
            is_noexec: access::is_noexec(common_dir),
            own_file_runs_us: look_at(&common_dir.join("hooks").join(HOOK))
                .is_ok_and(|hook| hook.runs_us()),
            common_dir: common_dir.clone(),
        })
    }

    pub fn plan(&self) -> HookPlan {
        plan(&self.place, self.config.is_some())
    }
}

/// A setting by which the user keeps git from running the hook.
#[derive(PartialEq, Eq)]
pub struct Disabled {
    pub key: &'static str,
    /// The root of the only worktree that it is for; `None` if it is in a config for all.
    pub only_in: Option<PathBuf>,
}

/// What keeps the hook from running in some worktree, whatever `--install` does.
#[derive(Default)]
pub struct SeenElsewhere {
    /// The hooks of the other worktrees for which git looks elsewhere.
    pub places: Vec<HookPlace>,
    pub disabled: Vec<Disabled>,
    /// The hooks that write the port file too, as a person would name them.
    pub older: Vec<String>,
}

impl SeenElsewhere {
    /// Looks at every worktree of the clone. Asks git once for each.
    pub fn look(found: &Found, seen: &SeenHook) -> Result<SeenElsewhere> {
        let mut elsewhere = SeenElsewhere::default();
        let common_dir = &seen.common_dir;
        let worktrees = found.repository.live_worktrees()?;
        // What is wrong with one worktree must not hide the others; `--check` tells it there.
        let worktrees: Vec<_> = worktrees.filter_map(Result::ok).collect();
        if seen.config.is_some() && worktrees.is_empty() {
            elsewhere.look_for_disabled(common_dir, &[])?;
        }
        for worktree in &worktrees {
            let root = worktree.path();
            // `--check` has a problem of its own for a worktree whose config is broken.
            let Ok(own_settings) = own_settings(worktree) else {
                continue;
            };
            if seen.config.is_some() {
                elsewhere.look_for_disabled(root, &own_settings)?;
            } else if root != seen.place.at && hooks_dir(root)? != seen.place.hooks_dir {
                let mut place = HookPlace::look(&found.repository, root)?;
                place.is_own_setting = own_settings.iter().any(|key| key == "core.hookspath");
                elsewhere.places.push(place);
            }
        }
        elsewhere.older = older::look(seen)?;
        Ok(elsewhere)
    }

    /// Notes the keys that are false for the worktree or common dir `at`.
    fn look_for_disabled(&mut self, at: &Path, own_settings: &[String]) -> Result<()> {
        let pattern = r"^hook\.(worktree-ports|post-checkout)\.enabled$";
        let settings = config::matching(at, Scope::Effective, pattern)?;
        for key in ENABLED {
            let value = settings.iter().rfind(|(name, _)| name == key);
            if value.is_some_and(|(_, value)| is_false(value)) {
                let is_own = own_settings.iter().any(|name| name == key);
                let only_in = is_own.then(|| at.to_owned());
                let disabled = Disabled { key, only_in };
                if !self.disabled.contains(&disabled) {
                    self.disabled.push(disabled);
                }
            }
        }
        Ok(())
    }
}

/// The keys in the config of one worktree alone.
fn own_settings(worktree: &Worktree) -> Result<Vec<String>> {
    if !worktree.git_dir.has("config.worktree") {
        return Ok(Vec::new());
    }
    let settings = config::matching(worktree.path(), Scope::Worktree, ".")?;
    Ok(settings.into_iter().map(|(key, _)| key).collect())
}

/// The content of a small regular file; empty for all else.
pub fn small_file(path: &Path) -> Vec<u8> {
    match read(path) {
        Ok(PlainFile::Read(bytes) | PlainFile::TooLarge(bytes)) => bytes,
        _ => Vec::new(),
    }
}

fn read(path: &Path) -> io::Result<PlainFile> {
    let (directory, name) = (path.parent(), path.file_name().and_then(OsStr::to_str));
    match directory.zip(name) {
        Some((directory, name)) => match if_there(Dir::open(directory))? {
            Some(directory) => directory.read(name, LIMIT),
            None => Ok(PlainFile::Missing),
        },
        None => Ok(PlainFile::Missing),
    }
}

/// Looks at the path of a hook.
pub fn look_at(path: &Path) -> Result<Hook> {
    let could_not = || Error::could_not("read the hook", path);
    Ok(match read(path).map_err(could_not())? {
        PlainFile::Missing => Hook::Missing,
        PlainFile::Unreadable(error) => return Err(could_not()(error)),
        PlainFile::Read(bytes) => Hook::File {
            content: bytes,
            is_executable: access::can_run(path),
        },
        // The target of a link shows whose it is; it is never written.
        PlainFile::TooLarge(_) | PlainFile::NotRegular(_) => Hook::Other {
            content: small_file(&dunce::canonicalize(path).unwrap_or_default()),
            runs: path.is_file() && access::can_run(path),
        },
    })
}

/// Where git looks for the hooks of the worktree or repository at `at`.
pub fn hooks_dir(at: &Path) -> Result<PathBuf> {
    let path = command::ask(at, &["rev-parse", "--git-path", "hooks"])?;
    Ok(at.join(path_from(path)))
}

/// The version of the git on the PATH.
fn git_version(at: &Path) -> Result<(u32, u32)> {
    let answer = command::ask(at, &["version"])?;
    let answer = String::from_utf8_lossy(&answer);
    let mut numbers = answer
        .trim_start_matches("git version ")
        .split('.')
        .map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => Ok((major, minor)),
        _ => Err(error!(
            "could not tell the version of git from `{}`",
            answer.trim_end()
        )),
    }
}
