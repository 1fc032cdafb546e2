//! The worktrees of a repository; the only place that knows git2.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use git2::{ErrorClass, ErrorCode, RepositoryOpenFlags};

use crate::error::{Error, Result, quoted, shell_word};
use crate::git::entries::{Place, Worktree, is_same_directory, misplaced};

/// The mode of an index entry that is another repository's commit.
const GITLINK: u32 = 0o160_000;

impl Worktree {
    /// Whether git tracks `name`, a file at this worktree's root.
    pub fn tracks(&self, name: &str) -> Result<bool> {
        let by_libgit2 = || -> Result<bool, git2::Error> {
            let index = open(&self.root, RepositoryOpenFlags::NO_SEARCH)?.index()?;
            Ok((0..=3).any(|stage| index.get_path(Path::new(name), stage).is_some()))
        };
        // libgit2 cannot read a sparse index, nor a split one.
        by_libgit2().or_else(|_| {
            let could_not =
                |why: &str| Error::at("read the index of the worktree", &self.root, why);
            let output = git(&self.root)
                .args(["ls-files", "-z", "--", name])
                .output()
                .map_err(|error| could_not(&error.to_string()))?;
            if output.status.success() {
                Ok(!output.stdout.is_empty())
            } else {
                Err(could_not(String::from_utf8_lossy(&output.stderr).trim()))
            }
        })
    }

    /// Whether git ignores `name`, a file at this worktree's root.
    pub fn ignores(&self, name: &str) -> Result<bool> {
        open(&self.root, RepositoryOpenFlags::NO_SEARCH)
            .and_then(|repository| repository.is_path_ignored(name))
            .map_err(|error| Error::at("read the ignore rules of", &self.root, error.message()))
    }
}

/// A repository, with what all its worktrees share.
pub struct Repository {
    /// The `.git` directory that all worktrees share.
    pub common_dir: PathBuf,
    /// Where its main worktree is.
    pub main: Main,
}

/// Where a repository's main worktree is.
#[derive(Debug, PartialEq, Eq)]
pub enum Main {
    /// A bare repository has none.
    None,
    /// Its root.
    At(PathBuf),
    /// There is one, but its linked worktrees cannot tell where: the clone was made with
    /// `--separate-git-dir`.
    Unknown,
}

impl Main {
    /// The root, where it is known.
    pub fn root(&self) -> Option<&Path> {
        match self {
            Main::At(root) => Some(root),
            Main::None | Main::Unknown => None,
        }
    }
}

impl Repository {
    /// Opens the repository with that common dir.
    pub fn open(common_dir: &Path) -> Result<Repository> {
        let repository = open(
            common_dir,
            RepositoryOpenFlags::NO_SEARCH | RepositoryOpenFlags::NO_DOTGIT,
        )
        .map_err(|error| cannot_open(common_dir, &error))?;
        Ok(Repository {
            common_dir: common_dir.to_owned(),
            main: main_of(&repository, common_dir),
        })
    }

    /// The main worktree, with that root.
    pub fn main_worktree(&self, root: &Path) -> Worktree {
        Worktree {
            root: root.to_owned(),
            id: None,
            common_dir: self.common_dir.clone(),
            git_dir: self.common_dir.clone(),
        }
    }

    /// The linked worktree with that root and git directory.
    pub fn linked_worktree(&self, root: PathBuf, git_dir: PathBuf) -> Worktree {
        Worktree::linked(root, git_dir, self.common_dir.clone())
    }
}

/// The directory that a call by hand is about.
pub struct Found {
    /// The repository.
    pub repository: Repository,
    /// The worktree around the directory; `None` in a bare repository and in a `.git` directory.
    pub worktree: Option<Worktree>,
}

/// Finds the repository and the worktree around `directory`.
pub fn find(directory: &Path) -> Result<Found> {
    let directory =
        fs::canonicalize(directory).map_err(|error| Error::at("change to", directory, error))?;
    let git = open(&directory, RepositoryOpenFlags::empty())
        .map_err(|error| cannot_open(&directory, &error))?;
    let common_dir = fs::canonicalize(git.commondir())
        .map_err(|error| Error::at("find the repository at", git.commondir(), error))?;
    let repository = Repository::open(&common_dir)?;
    let worktree = worktree_around(&directory, &git, common_dir)?;
    Ok(Found {
        repository,
        worktree,
    })
}

/// As [`find`], but in the main checkout of a submodule the outermost superproject's worktree.
pub fn find_outermost(directory: &Path) -> Result<Found> {
    let mut found = find(directory)?;
    while let Some(worktree) = found
        .worktree
        .as_ref()
        .filter(|worktree| worktree.is_main())
        && let Some(superproject) = superproject_of(&worktree.root)
    {
        found = find(&superproject)?;
    }
    Ok(found)
}

fn worktree_around(
    directory: &Path,
    git: &git2::Repository,
    common_dir: PathBuf,
) -> Result<Option<Worktree>> {
    let Some(workdir) = git.workdir().filter(|_| !git.is_bare()) else {
        return Ok(None);
    };
    let git_dir = fs::canonicalize(git.path()).unwrap_or_else(|_| git.path().to_owned());
    let root = directory
        .ancestors()
        .find(|ancestor| is_same_directory(ancestor, workdir));
    let is_in_git_dir = |inside: &Path| {
        directory.starts_with(inside) && root.is_none_or(|root| inside.starts_with(root))
    };
    if is_in_git_dir(&git_dir) || is_in_git_dir(&common_dir) {
        return Ok(None);
    }
    match root {
        Some(root) if git.is_worktree() => {
            Ok(Some(Worktree::linked(root.to_owned(), git_dir, common_dir)))
        }
        Some(root) => Ok(Some(Worktree {
            root: root.to_owned(),
            id: None,
            common_dir,
            git_dir,
        })),
        None => Err(misplaced(directory, &Place::At(workdir.to_owned()))),
    }
}

/// The root of the worktree that has the repository at `root` as a submodule.
fn superproject_of(root: &Path) -> Option<PathBuf> {
    let outer = open(root.parent()?, RepositoryOpenFlags::empty()).ok()?;
    let workdir = fs::canonicalize(outer.workdir()?).ok()?;
    let path = root.strip_prefix(&workdir).ok()?;
    let by_libgit2 = || -> Result<bool, git2::Error> {
        let index = outer.index()?;
        let is_gitlink = |entry: git2::IndexEntry| entry.mode == GITLINK;
        Ok((0..=3).any(|stage| index.get_path(path, stage).is_some_and(is_gitlink)))
    };
    // libgit2 cannot read a sparse index, nor a split one.
    let is_submodule = by_libgit2().or_else(|_| {
        let mut command = git(&workdir);
        command.args(["--literal-pathspecs", "ls-files", "--stage", "-z", "--"]);
        let listed = command.arg(path).output()?.stdout;
        io::Result::Ok(listed.starts_with(format!("{GITLINK:o} ").as_bytes()))
    });
    is_submodule.ok()?.then_some(workdir)
}

fn main_of(repository: &git2::Repository, common_dir: &Path) -> Main {
    if repository.is_bare() {
        return Main::None;
    }
    let is_configured = || {
        let config = repository.config().ok()?;
        config.get_entry("core.worktree").ok().map(drop)
    };
    match repository.workdir() {
        Some(workdir) if common_dir.ends_with(".git") || is_configured().is_some() => {
            Main::At(fs::canonicalize(workdir).unwrap_or_else(|_| workdir.to_owned()))
        }
        _ => Main::Unknown,
    }
}

/// What this process may take for granted of a repository.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// git runs us as its hook, so it has found the owner safe.
    CheckedByGit,
    /// Whoever runs us by hand may be in another's repository.
    Unchecked,
}

/// Tells libgit2 once, before it opens anything, which repositories to open.
pub fn set_up(owner: Owner) {
    // What git writes there, and libgit2 would refuse, changes nothing for us.
    const EXTENSIONS: [&str; 4] = [
        "partialclone",
        "refstorage",
        "compatobjectformat",
        "submodulepathconfig",
    ];
    #[expect(
        unsafe_code,
        reason = "options of the process: no other thread runs yet"
    )]
    let outcome = unsafe {
        git2::opts::set_extensions(&EXTENSIONS)
            .and_then(|()| git2::opts::set_verify_owner_validation(owner == Owner::Unchecked))
    };
    outcome.expect("libgit2 knows these options");
}

/// Opens a repository. Where the user's own git config cannot be read, as with another user's home,
/// it is done without: what it could say matters less than the ports.
fn open(path: &Path, flags: RepositoryOpenFlags) -> Result<git2::Repository, git2::Error> {
    let open = || git2::Repository::open_ext(path, flags, [] as [&OsStr; 0]);
    open().or_else(|error| {
        if !matches!(error.class(), ErrorClass::Os | ErrorClass::Config) {
            return Err(error);
        }
        forget_user_config();
        open()
    })
}

fn forget_user_config() {
    use git2::ConfigLevel::{Global, ProgramData, System, XDG};
    for level in [System, XDG, Global, ProgramData] {
        #[expect(
            unsafe_code,
            reason = "an option of the process: no other thread uses libgit2"
        )]
        let outcome = unsafe { git2::opts::set_search_path(level, "") };
        outcome.expect("libgit2 knows these levels");
    }
}

fn cannot_open(path: &Path, error: &git2::Error) -> Error {
    match error.code() {
        ErrorCode::NotFound => Error::new(format!("{} is not in a git repository", quoted(path))),
        ErrorCode::Owner => Error::at("open the repository at", path, "it belongs to another user")
            .remedy(format!(
                "`git config --global --add safe.directory {}` trusts it",
                shell_word(owned_root(path))
            )),
        _ => Error::at("open the repository at", path, error.message()),
    }
}

/// The directory whose name git asks for in `safe.directory`: the root of the worktree around
/// `path`, and `path` where there is none.
fn owned_root(path: &Path) -> &Path {
    let has_dot_git = |directory: &&Path| directory.join(".git").symlink_metadata().is_ok();
    path.ancestors().find(has_dot_git).unwrap_or(path)
}

/// The branch of the worktree at `root`, by git itself: libgit2 cannot read a reftable.
pub fn branch_by_git(root: &Path) -> Option<String> {
    let output = git(root)
        .args(["symbolic-ref", "--quiet", "--short", "HEAD"])
        .output()
        .ok()?;
    let branch = String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned();
    (output.status.success() && !branch.is_empty()).then_some(branch)
}

/// git, to be asked about `directory` and nothing else.
pub fn git(directory: &Path) -> Command {
    let mut command = Command::new("git");
    command.arg("-C").arg(directory);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("GIT_") {
            command.env_remove(name);
        }
    }
    command
}
