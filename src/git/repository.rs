//! The worktrees of a repository; the only place that knows git2.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use git2::{ErrorClass, ErrorCode, RepositoryOpenFlags};

use crate::error::{CouldNot, Error, Result, quoted, shell_word};
use crate::git::command;
use crate::git::entries::{self, Place};
use crate::git::index;
use crate::git::worktree::{Entry, Worktree, is_same_directory, misplaced};

/// The mode of an index entry that is another repository's commit.
const GITLINK: u32 = 0o160_000;

/// The key in a clone's own config that says that its ports are kept apart from those of other
/// clones: so that no other clone has to ask git for the list of them.
pub const SHARE: &str = "worktreePorts.share";

/// A repository, with what all its worktrees share.
pub struct Repository {
    /// The `.git` directory that all worktrees share.
    pub common_dir: PathBuf,
    /// Where its main worktree is.
    pub main: Main,
    /// How long an object id is, in bytes: 20 (SHA-1) or 32 (SHA-256).
    pub hash_len: usize,
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
    fn at(root: PathBuf) -> Main {
        Main::At(dunce::canonicalize(&root).unwrap_or(root))
    }

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
            hash_len: hash_len(&repository),
        })
    }

    /// Opens another clone, to read what is reserved there: by two looks and its own config, which
    /// takes a tenth of what it takes libgit2 to open it.
    ///
    /// # Errors
    /// There is no repository, or its config cannot be read.
    pub fn open_to_read(common_dir: &Path) -> Result<Repository> {
        let is_repository = common_dir.join("HEAD").symlink_metadata().is_ok()
            && common_dir.join("objects").is_dir();
        if !is_repository {
            return Err(Error::new(format!(
                "{} is no git repository",
                quoted(common_dir)
            )));
        }
        let path = common_dir.join("config");
        let config = git2::Config::open(&path)
            .map_err(|error| Error::at("read the config", &path, error.message()))?;
        let main = match config.get_path("core.worktree") {
            _ if config.get_bool("core.bare").unwrap_or(false) => Main::None,
            Ok(worktree) => Main::at(common_dir.join(worktree)),
            Err(_) => match common_dir.parent() {
                Some(root) if common_dir.ends_with(".git") => Main::at(root.to_owned()),
                _ => Main::Unknown,
            },
        };
        Ok(Repository {
            common_dir: common_dir.to_owned(),
            main,
            hash_len: match config.get_string("extensions.objectformat") {
                Ok(format) if format == "sha256" => 32,
                _ => 20,
            },
        })
    }

    /// Whether its ports are kept apart from those of the user's other shared clones, as its own
    /// config says now.
    pub fn is_shared(&self) -> Result<bool> {
        let path = self.common_dir.join("config");
        match git2::Config::open(&path).and_then(|config| config.get_bool(SHARE)) {
            Ok(is_shared) => Ok(is_shared),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(false),
            Err(error) => Err(Error::at("read the config", &path, error.message())),
        }
    }

    /// Whether it has a main worktree, to which slot 0 belongs.
    pub fn has_main(&self) -> bool {
        self.main != Main::None
    }

    /// The main worktree, where its root is known.
    pub fn main_worktree(&self) -> Option<Worktree> {
        let root = self.main.root()?.to_owned();
        Some(Worktree::main(root, self.common_dir.clone()))
    }

    /// The worktrees that git registers in this repository: the main one first, if there is one,
    /// the others in no order.
    pub fn worktrees(&self) -> Result<Vec<Entry>> {
        let main = match &self.main {
            Main::None => None,
            Main::At(root) => Some(Place::At(root.clone())),
            Main::Unknown => Some(Place::Unknown),
        };
        let main = main.map(|place| Entry {
            git_dir: self.common_dir.clone(),
            place,
            is_main: true,
        });
        let mut worktrees = Vec::from_iter(main);
        for git_dir in entries::list(&self.common_dir)? {
            worktrees.push(Entry {
                place: entries::locate(&git_dir)?,
                git_dir,
                is_main: false,
            });
        }
        Ok(worktrees)
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
        dunce::canonicalize(directory).map_err(|error| Error::at("change to", directory, error))?;
    if !directory.is_dir() {
        return Err(Error::at("change to", &directory, "not a directory"));
    }
    let git = open(&directory, RepositoryOpenFlags::empty())
        .map_err(|error| cannot_open(&directory, &error))?;
    let common_dir = dunce::canonicalize(git.commondir())
        .map_err(|error| Error::at("find the repository at", git.commondir(), error))?;
    let mut repository = Repository::open(&common_dir)?;
    let worktree = worktree_around(&directory, &git, common_dir)?;
    // Its linked worktrees may not be able to tell where it is.
    if let Some(main) = worktree.as_ref().filter(|worktree| worktree.is_main()) {
        repository.main = Main::At(main.root.clone());
    }
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
        && let Some(superproject) = superproject_of(&worktree.root)?
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
    let git_dir = dunce::canonicalize(git.path()).unwrap_or_else(|_| git.path().to_owned());
    let root = directory
        .ancestors()
        .find(|ancestor| is_same_directory(ancestor, workdir));
    let is_in_git_dir = |inside: &Path| {
        directory.starts_with(inside) && root.is_none_or(|root| inside.starts_with(root))
    };
    if is_in_git_dir(&git_dir) || is_in_git_dir(&common_dir) {
        return Ok(None);
    }
    // A copy of a worktree may lie in the worktree that it is a copy of.
    let mut ancestors = directory.ancestors();
    let nearest = ancestors.find(|ancestor| ancestor.join(".git").symlink_metadata().is_ok());
    match root {
        Some(root) if git.is_worktree() && nearest == Some(root) => {
            Ok(Some(Worktree::linked(root.to_owned(), git_dir, common_dir)))
        }
        _ if git.is_worktree() => Err(misplaced(
            nearest.unwrap_or(directory),
            &git_dir,
            &Place::At(workdir.components().collect()),
        )),
        Some(root) => Ok(Some(Worktree::main(root.to_owned(), common_dir))),
        None => Err(misplaced(
            directory,
            &git_dir,
            &Place::At(workdir.to_owned()),
        )),
    }
}

/// The root of the worktree that has the repository at `root` as a submodule.
///
/// # Errors
/// The repository around cannot be read, and `root` has a `.git` file, as a submodule has: a clone
/// that merely lies in another repository has nothing to do with that.
fn superproject_of(root: &Path) -> Result<Option<PathBuf>> {
    let found = root
        .parent()
        .map_or(Ok(None), |above| superproject_above(root, above));
    match found {
        Err(error) if root.join(".git").is_file() => {
            Err(error.within("could not tell whether this is a submodule"))
        }
        Err(_) => Ok(None),
        found => found,
    }
}

fn superproject_above(root: &Path, above: &Path) -> Result<Option<PathBuf>> {
    let outer = match open(above, RepositoryOpenFlags::empty()) {
        Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
        outer => outer.map_err(|error| cannot_open(above, &error))?,
    };
    let Some(workdir) = outer.workdir() else {
        return Ok(None);
    };
    let workdir = dunce::canonicalize(workdir).could_not("find the worktree", workdir)?;
    let Some(path) = root.strip_prefix(&workdir).ok().and_then(Path::to_str) else {
        return Ok(None);
    };
    let is_submodule = match index::find(outer.path(), path, hash_len(&outer))? {
        index::Found::Tracked { mode } => mode == GITLINK,
        index::Found::Untracked => false,
        index::Found::AskGit => {
            let arguments = [
                "--literal-pathspecs",
                "ls-files",
                "--stage",
                "-z",
                "--",
                path,
            ];
            let listed = command::ask(&workdir, &arguments)?;
            listed.starts_with(format!("{GITLINK:o} ").as_bytes())
        }
    };
    Ok(is_submodule.then_some(workdir))
}

/// How long an object id of `repository` is, in bytes.
fn hash_len(repository: &git2::Repository) -> usize {
    match repository.object_format() {
        git2::ObjectFormat::Sha1 => 20,
        git2::ObjectFormat::Sha256 => 32,
    }
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
            Main::at(workdir.to_owned())
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
