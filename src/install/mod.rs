//! The clone's hook: pure decisions about text, then the few writes.

pub mod hook_file;
pub mod managers;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::allocate::lock::{self, Manner};
use crate::error::{Error, Result, quoted, shell_word};
use crate::files::replace::{self, replace, replace_under_git_lock};
use crate::git::entries;
use crate::git::exclude;
use crate::git::repository::{self, Found, Repository};
use crate::install::hook_file::{
    HOOK_FILE, is_ours_alone, split_at_block, split_at_section, with_block_in_config,
    with_block_in_script, without_block, without_block_in_config, without_us,
};
use crate::install::managers::Manager;

/// The file that git runs after a checkout.
const HOOK: &str = "post-checkout";

/// The name of the program, in the common dir too.
const PROGRAM: &str = "worktree-ports-hook";

/// The first git that runs hooks that its config names.
const CONFIG_HOOKS: (u32, u32) = (2, 54);

/// What `--install` came to.
pub enum Installed {
    /// The hook runs from now on, by what is named.
    Wired(String),
    /// Another's hook is in the way, and was left alone.
    InTheWay {
        /// Whose it is.
        manager: Manager,
        /// The file to add the manager's snippet to.
        add_to: PathBuf,
    },
}

/// What lies at the path of a hook.
#[derive(Debug, PartialEq, Eq)]
enum Hook {
    Missing,
    /// A regular file.
    File {
        content: Vec<u8>,
        is_executable: bool,
    },
    /// A link, to that content.
    Link(Vec<u8>),
}

impl Hook {
    fn content(&self) -> &[u8] {
        match self {
            Hook::Missing => &[],
            Hook::File { content, .. } | Hook::Link(content) => content,
        }
    }
}

/// What is known of a clone's hooks before anything is decided.
struct Clone {
    /// Where git looks for hooks.
    hooks_dir: PathBuf,
    /// Whether that is `<common dir>/hooks` itself, a directory of this clone alone.
    is_own_hooks_dir: bool,
    /// Whether the git on the PATH runs hooks that its config names.
    has_config_hooks: bool,
    /// What lies at `post-checkout` there.
    hook: Hook,
    /// Whether the hook's owner calls us already: its config does, or it calls our file, moved.
    is_called_by_owner: bool,
}

impl Clone {
    /// Whose the hook is, if not ours.
    fn manager(&self) -> Manager {
        Manager::of(&self.hooks_dir, self.hook.content())
    }
}

/// How our hook comes to run.
#[derive(Debug, PartialEq, Eq)]
enum Plan {
    /// By the clone's config: no file of anybody is touched.
    Config,
    /// By this content of the hook file.
    File(Vec<u8>),
    /// By its owner, who calls us already.
    Owner,
    /// Not before its owner's config calls us.
    InTheWay(Manager),
    /// Not before the file there can run.
    NotExecutable,
}

/// Decides how our hook comes to run.
fn plan(clone: &Clone) -> Plan {
    if clone.has_config_hooks {
        return Plan::Config;
    }
    let (content, is_executable) = match &clone.hook {
        Hook::Missing if clone.is_own_hooks_dir => return Plan::File(HOOK_FILE.into()),
        Hook::File { content, .. } if clone.is_own_hooks_dir && is_ours_alone(content) => {
            return Plan::File(HOOK_FILE.into());
        }
        Hook::Missing => (&[] as &[u8], true),
        Hook::File {
            content,
            is_executable,
        } => (&content[..], *is_executable),
        Hook::Link(content) => (&content[..], true),
    };
    let manager = clone.manager();
    let is_file_of_clone = clone.is_own_hooks_dir && !matches!(clone.hook, Hook::Link(_));
    let has_block = split_at_block(content).is_some();
    if !is_executable {
        Plan::NotExecutable
    } else if is_file_of_clone && has_block {
        with_block_in_script(content).map_or(Plan::InTheWay(manager), Plan::File)
    } else if clone.is_called_by_owner {
        Plan::Owner
    } else if manager != Manager::Unknown || !is_file_of_clone {
        Plan::InTheWay(manager)
    } else {
        with_block_in_script(content).map_or(Plan::InTheWay(manager), Plan::File)
    }
}

/// Looks at what is there, and changes nothing.
fn look(repository: &Repository, root: Option<&Path>) -> Result<Clone> {
    let asked = root.unwrap_or(&repository.common_dir);
    let hooks_dir = hooks_dir(asked)?;
    let hook = look_at_hook(&hooks_dir.join(HOOK))?;
    let content = hook.content();
    let manager = Manager::of(&hooks_dir, content);
    let is_own = repository.common_dir.join("hooks");
    Ok(Clone {
        is_own_hooks_dir: is_real_directory_or_missing(&is_own)
            && is_same_path(&hooks_dir, &is_own),
        has_config_hooks: git_version(asked)? >= CONFIG_HOOKS,
        is_called_by_owner: is_called_by(manager, content, &hooks_dir, root),
        hooks_dir,
        hook,
    })
}

/// Whether the owner of a hook calls us: its config or the script itself names our program, or it
/// calls our own file where it has moved it.
fn is_called_by(manager: Manager, content: &[u8], hooks_dir: &Path, root: Option<&Path>) -> bool {
    // In a script a comment calls nothing. A config has our snippet in it, or a mere word of us.
    let script_calls_us = |text: &[u8]| {
        let rest = without_block(text);
        let mut lines = rest.as_deref().unwrap_or(text).split(|&byte| byte == b'\n');
        lines.any(|line| !line.trim_ascii_start().starts_with(b"#") && contains(line, PROGRAM))
    };
    let configs = root
        .into_iter()
        .flat_map(|root| manager.configs().iter().map(|name| root.join(name)));
    let moved = match manager {
        Manager::PreCommit | Manager::Prek => Some(hooks_dir.join("post-checkout.legacy")),
        _ => None,
    };
    script_calls_us(content)
        || configs
            .filter_map(|path| fs::read(path).ok())
            .any(|text| contains(&text, &format!("{}/{PROGRAM}", lock::DIRECTORY)))
        || moved
            .and_then(|path| fs::read(path).ok())
            .is_some_and(|text| split_at_block(&text).is_some())
}

fn contains(text: &[u8], part: &str) -> bool {
    text.windows(part.len())
        .any(|window| window == part.as_bytes())
}

fn look_at_hook(path: &Path) -> Result<Hook> {
    let could_not = |error: io::Error| Error::at("read", path, error);
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if crate::error::is_absence(&error) => return Ok(Hook::Missing),
        metadata => metadata.map_err(could_not)?,
    };
    if metadata.is_symlink() {
        return Ok(Hook::Link(fs::read(path).unwrap_or_default()));
    }
    Ok(Hook::File {
        content: fs::read(path).map_err(could_not)?,
        is_executable: is_executable(&metadata),
    })
}

#[cfg(unix)]
fn is_executable(metadata: &fs::Metadata) -> bool {
    std::os::unix::fs::MetadataExt::mode(metadata) & 0o111 != 0
}

/// Windows goes by the name.
#[cfg(not(unix))]
fn is_executable(_metadata: &fs::Metadata) -> bool {
    true
}

fn is_real_directory_or_missing(path: &Path) -> bool {
    fs::symlink_metadata(path).map_or(true, |metadata| metadata.is_dir())
}

fn is_same_path(one: &Path, other: &Path) -> bool {
    let canonical = |path: &Path| {
        let parent = path
            .parent()
            .and_then(|parent| fs::canonicalize(parent).ok());
        parent.map(|parent| parent.join(path.file_name().unwrap_or_default()))
    };
    canonical(one) == canonical(other)
}

/// Where git looks for the hooks of the worktree or repository at `directory`.
fn hooks_dir(directory: &Path) -> Result<PathBuf> {
    let path = ask_git(directory, &["rev-parse", "--git-path", "hooks"])?;
    Ok(directory.join(entries::path_from(path)))
}

/// The version of the git on the PATH.
fn git_version(directory: &Path) -> Result<(u32, u32)> {
    let answer = ask_git(directory, &["version"])?;
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

fn ask_git(directory: &Path, arguments: &[&str]) -> Result<Vec<u8>> {
    let could_not = |why: &str| {
        Error::new(format!(
            "could not run `git {}`: {why}",
            arguments.join(" ")
        ))
        .remedy("`--install` and `--uninstall` need git on the PATH")
    };
    let output = repository::git(directory).args(arguments).output();
    let output = output.map_err(|error| could_not(&error.to_string()))?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(could_not(
            String::from_utf8_lossy(&output.stderr).trim_end(),
        ))
    }
}

/// Wires up the hook in the clone around `directory`, with a copy of `program`.
pub fn install(directory: &Path, program: &Path) -> Result<Installed> {
    let Found {
        repository,
        worktree,
    } = repository::find(directory)?;
    let root = worktree.map(|worktree| worktree.root);
    let clone = look(&repository, root.as_deref())?;
    let hook = clone.hooks_dir.join(HOOK);
    let plan = plan(&clone);
    if plan == Plan::NotExecutable {
        return Err(Error::new(format!(
            "{} is not executable, so git does not run it",
            quoted(&hook)
        ))
        .remedy("run `chmod +x` on it or remove it, then run `worktree-ports-hook --install`"));
    }

    let copy = repository.common_dir.join(lock::DIRECTORY).join(PROGRAM);
    let is_new = !copy.exists();
    let copied = copy_program(&repository, program, &copy);
    let outcome = copied.and_then(|()| match plan {
        Plan::Config => wire_by_config(&repository, &clone, &copy),
        Plan::File(content) => {
            write_hook(&hook, &content).map(|()| Installed::Wired(quoted(&hook)))
        }
        Plan::Owner => Ok(Installed::Wired(format!(
            "{}, whose owner calls it already",
            quoted(&hook)
        ))),
        Plan::NotExecutable => unreachable!("told above"),
        Plan::InTheWay(manager) => Ok(Installed::InTheWay {
            manager,
            add_to: root
                .and_then(|root| manager.config_in(&root))
                .unwrap_or(hook),
        }),
    });
    if outcome.is_err() && is_new {
        // Best effort: what fails next is told already.
        let _ = fs::remove_file(&copy);
        lock::remove_directory_if_empty(&repository.common_dir);
    }
    outcome
}

/// What keeps the hook of a repository from running, if anything does.
pub fn problem(found: &Found) -> Result<Option<Error>> {
    let repository = &found.repository;
    let clone = look(
        repository,
        found
            .worktree
            .as_ref()
            .map(|worktree| worktree.root.as_path()),
    )?;
    let config = fs::read(repository.common_dir.join("config")).unwrap_or_default();
    let has_us = |hook: &Hook| match hook {
        Hook::File {
            content,
            is_executable,
        } => *is_executable && split_at_block(content).is_some(),
        Hook::Missing | Hook::Link(_) => false,
    };
    let is_wired_by_config = clone.has_config_hooks && split_at_section(&config).is_some();
    let program = repository.common_dir.join(lock::DIRECTORY).join(PROGRAM);
    let hidden = repository.common_dir.join("hooks").join(HOOK);

    // Only what somebody wrote by hand may call another copy of the program.
    let is_by_hand =
        !is_wired_by_config && !has_us(&clone.hook) && clone.manager() == Manager::Unknown;
    let what = if is_wired_by_config || has_us(&clone.hook) || clone.is_called_by_owner {
        if is_by_hand || program.exists() {
            return Ok(None);
        }
        format!(
            "the program that the hook runs, {}, is gone",
            quoted(&program)
        )
    } else if has_us(&look_at_hook(&hidden)?) {
        format!("`core.hooksPath` hides the hook {}", quoted(&hidden))
    } else {
        format!("no hook is wired up in {}", quoted(&repository.common_dir))
    };
    let here = (found.worktree.as_ref()).map_or(&repository.common_dir, |worktree| &worktree.root);
    Ok(Some(Error::new(what).remedy(format!(
        "run `worktree-ports-hook -C {} --install`",
        shell_word(here)
    ))))
}

fn copy_program(repository: &Repository, program: &Path, copy: &Path) -> Result<()> {
    let bytes = fs::read(program).map_err(|error| Error::at("read the program", program, error))?;
    lock::make_directory(&repository.common_dir)
        .and_then(|_| replace(copy, &bytes, replace::executable()))
        .map_err(|error| Error::at("write the program", copy, error))
}

fn wire_by_config(repository: &Repository, clone: &Clone, copy: &Path) -> Result<Installed> {
    let path = repository.common_dir.join("config");
    let could_not = |error: io::Error| could_not_write_config(&path, &error);
    let config = fs::read(&path).map_err(could_not)?;
    replace_under_git_lock(&path, &with_block_in_config(&config, copy)).map_err(could_not)?;
    // What an older git needed: both would run, and git-lfs would take the file for another's.
    for hook in places_of_hook(repository, &clone.hooks_dir) {
        if let Err(error) = unwire_file(&hook) {
            // Best effort: what fails next is told already.
            let _ = replace_under_git_lock(&path, &config);
            return Err(error);
        }
    }
    Ok(Installed::Wired(format!(
        "{}: git 2.54 and later run it, an older git on this clone does not, \
         and there the calls by hand reserve ports",
        quoted(&path)
    )))
}

fn could_not_write_config(path: &Path, error: &io::Error) -> Error {
    let error = Error::at("write the config", path, error);
    error.remedy("where `config.lock` is left from a git that was killed, remove it")
}

fn write_hook(hook: &Path, content: &[u8]) -> Result<()> {
    let could_not = |error: io::Error| Error::at("write the hook", hook, error);
    if let Some(directory) = hook.parent() {
        fs::create_dir_all(directory).map_err(could_not)?;
    }
    let permissions = if content == HOOK_FILE.as_bytes() {
        replace::executable()
    } else {
        None
    };
    replace(hook, content, permissions).map_err(could_not)
}

/// The files in which our hook may stand: that which git runs, that which it would run without a
/// `core.hooksPath`, and what managers rename either to.
fn places_of_hook(repository: &Repository, hooks_dir: &Path) -> Vec<PathBuf> {
    let mut directories = vec![hooks_dir.to_owned()];
    let common = repository.common_dir.join("hooks");
    if !is_same_path(&common, hooks_dir) {
        directories.push(common);
    }
    let names = [HOOK, "post-checkout.legacy", "post-checkout.old"];
    let places = directories
        .iter()
        .flat_map(|directory| names.map(|name| directory.join(name)));
    places.collect()
}

/// Takes us out of the hook file at `path`; says whether we were there.
fn unwire_file(path: &Path) -> Result<bool> {
    let Hook::File { content, .. } = look_at_hook(path)? else {
        return Ok(false);
    };
    if split_at_block(&content).is_none() {
        return Ok(false);
    }
    let outcome = match without_us(&content) {
        Some(rest) => replace(path, &rest, None),
        None => fs::remove_file(path),
    };
    outcome
        .map(|()| true)
        .map_err(|error| Error::at("restore the hook", path, error))
}

/// Unwires the hook of the clone around `directory` and removes the program from it. Tells what
/// was done and what stays.
pub fn uninstall(directory: &Path, manner: &Manner<'_>) -> Result<Vec<String>> {
    let found = repository::find(directory)?;
    let repository = &found.repository;
    let asked = (found.worktree.as_ref()).map_or(&repository.common_dir, |worktree| &worktree.root);
    let mut done = Vec::new();

    let config_path = repository.common_dir.join("config");
    let could_not = |error: io::Error| could_not_write_config(&config_path, &error);
    if let Some(config) = without_block_in_config(&fs::read(&config_path).map_err(could_not)?) {
        replace_under_git_lock(&config_path, &config).map_err(could_not)?;
        done.push(format!("removed the hook from {}", quoted(&config_path)));
    }
    for hook in places_of_hook(repository, &hooks_dir(asked)?) {
        if unwire_file(&hook)? {
            done.push(format!("removed the hook from {}", quoted(&hook)));
        }
    }
    let program = repository.common_dir.join(lock::DIRECTORY).join(PROGRAM);
    match fs::remove_file(&program) {
        Ok(()) => done.push(format!("removed {}", quoted(&program))),
        Err(error) if crate::error::is_absence(&error) => {}
        Err(error) => return Err(Error::at("remove", &program, error)),
    }
    lock::remove_directory_if_empty(&repository.common_dir);
    if let Some(port_file) = exclude::unless_needed(&found, manner)? {
        done.push(format!(
            "the lines in info/exclude stay, for {}",
            quoted(&port_file)
        ));
    }
    let lock = lock::path(&repository.common_dir);
    if lock.exists() {
        done.push(format!(
            "{} stays: of a new one and it, each could be locked",
            quoted(&lock)
        ));
    }
    if done.is_empty() {
        done.push("nothing was wired up in this clone".to_owned());
    }
    Ok(done)
}

#[cfg(test)]
mod tests;
