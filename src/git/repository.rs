//! A repository and its worktrees; the only module that knows git2.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use git2::{ConfigLevel, ErrorClass, ErrorCode, ObjectFormat, ObjectType, RepositoryOpenFlags};

use crate::error::{
    Error, ErrorKind, Result, error, if_there, quoted, shell_word, unless_shortage,
};
use crate::files::dir::{Dir, Kind, is_same_directory};
use crate::git::command::ask;
use crate::git::config;
use crate::git::entries::{self, Entry, Place};
use crate::git::worktree::{Worktree, leads_to, misplaced};

/// This program's directory in the common dir.
pub const DIRECTORY: &str = "worktree-ports";

/// The main worktree's record, in the common dir.
pub const MAIN_RECORD: &str = "worktree-ports/main.json";

/// The key in a clone's own config that says whether it is shared, so that other clones need not
/// ask git for the list.
pub const SHARE: &str = "worktreePorts.share";

/// A repository, with what all its worktrees share.
pub struct Repository {
    /// The `.git` directory that all worktrees share.
    pub common_dir: Rc<Path>,
    /// Where its main worktree is; `None` if it is bare.
    pub main: Option<Place>,
    object_format: ObjectFormat,
}

impl Repository {
    /// Opens the repository with that common dir.
    pub fn open(common_dir: &Path) -> Result<Repository> {
        let repository = open(
            common_dir,
            RepositoryOpenFlags::NO_SEARCH | RepositoryOpenFlags::NO_DOTGIT,
        )
        .map_err(|error| cannot_open(common_dir, &error))?;
        let config = repository.config();
        let config = config.map_err(|error| cannot_open(common_dir, &error))?;
        Ok(Repository {
            common_dir: common_dir.into(),
            main: main_of(&config, common_dir)?,
            object_format: repository.object_format(),
        })
    }

    /// Opens another clone of the user who owns the one at `own`, to read what is reserved there.
    /// Reads little more than its config, which costs a tenth of opening it with libgit2.
    ///
    /// # Errors
    /// Of the kind `Absent` if it is not there, not a repository, or another user's, and nothing in
    /// it was opened. Any other error means that its ports are unknown.
    pub fn open_to_read(common_dir: &Path, own: &Path) -> Result<Repository> {
        let absent =
            |what: &str| error!("{} {what}", quoted(common_dir)).of_kind(ErrorKind::Absent);
        let could_not = || Error::could_not("read", common_dir);
        let dir = if_there(Dir::open(common_dir)).map_err(could_not())?;
        let dir = dir.ok_or_else(|| absent("is not there"))?;
        let (owner, _) = dir.stat().map_err(could_not())?.owner;
        let own = Dir::open(own).and_then(|own| own.stat());
        if !is_this_user(owner) && own.is_ok_and(|own| own.owner.0 != owner) {
            return Err(absent("belongs to another user"));
        }
        let head = dir.look("HEAD").map_err(could_not())?;
        let objects = dir.look("objects").map_err(could_not())?;
        // Old versions of git made it a link; a FIFO would block git.
        let is_head = head.is_some_and(|head| matches!(head.kind, Kind::Regular | Kind::Link));
        if !is_head || objects.is_none() {
            return Err(absent("is not a git repository"));
        }
        let path = dir.path_of("config");
        let config = dir.look("config").map_err(could_not())?;
        if let Some(stat) = config.filter(|stat| stat.kind != Kind::Regular) {
            let what = format!("it is {}", stat.kind.word());
            return Err(Error::at("read", &path, what));
        }
        let of_worktree = dir.path_of("config.worktree");
        let config = git2::Config::open(&path).and_then(|mut config| {
            // `git sparse-checkout` moves `core.worktree` and `core.bare` there.
            if config
                .get_bool("extensions.worktreeConfig")
                .unwrap_or(false)
                && of_worktree.is_file()
            {
                config.add_file(&of_worktree, ConfigLevel::Worktree, false)?;
            }
            config.snapshot()
        });
        let config = config.map_err(|error| Error::at("read", &path, error.message()))?;
        let main = main_of(&config, common_dir)?;
        Ok(Repository {
            common_dir: common_dir.into(),
            main,
            object_format: ObjectFormat::Sha1,
        })
    }

    /// Whether its own config says that it is shared.
    pub fn is_shared(&self) -> Result<bool> {
        let path = self.common_dir.join("config");
        match git2::Config::open(&path).and_then(|config| config.get_bool(SHARE)) {
            Ok(is_shared) => Ok(is_shared),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(false),
            Err(error) => Err(Error::at("read the config", &path, error.message())),
        }
    }

    /// Whether `.git` says that it is bare, although it has an index, as only a main worktree's
    /// has: `git init` with a `GIT_DIR` in `worktrees/` sets `core.bare`.
    pub fn is_bare_by_accident(&self) -> Result<bool> {
        let has_index = self.common_dir.ends_with(".git") && self.common_dir.join("index").exists();
        // Asked in any case: `--check` then knows whether git answers.
        let is_bare = config::is_true(&self.common_dir, "core.bare")?;
        Ok(has_index && is_bare)
    }

    /// The main worktree, if its root is known and there.
    pub fn main_worktree(&self) -> Result<Option<Worktree>> {
        let main = self.main_entry();
        main.map_or(Ok(None), |main| Worktree::of(&main))
    }

    fn main_entry(&self) -> Option<Entry> {
        Some(Entry {
            id: None,
            git_dir: self.common_dir.to_path_buf(),
            common_dir: Rc::clone(&self.common_dir),
            place: self.main.clone()?,
        })
    }

    /// The registered worktrees, in no order.
    pub fn worktrees(&self) -> Result<Vec<Entry>> {
        let mut worktrees = entries::linked(&self.common_dir)?;
        worktrees.extend(self.main_entry());
        Ok(worktrees)
    }

    /// The registered worktrees: the main one first, if there is one, then the others by their ids.
    pub fn sorted_worktrees(&self) -> Result<Vec<Entry>> {
        let mut worktrees = self.worktrees()?;
        worktrees.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(worktrees)
    }

    /// The worktrees that exist and lead back to their entries, in that order, opened one after the
    /// other.
    pub fn live_worktrees(&self) -> Result<impl Iterator<Item = Result<Worktree>>> {
        let entries = self.sorted_worktrees()?.into_iter();
        Ok(entries.filter_map(|entry| Worktree::in_place(&entry).transpose()))
    }

    /// git's id for a file with that content.
    pub fn blob_id(&self, content: &[u8]) -> String {
        git2::Oid::hash_object_ext(ObjectType::Blob, content, self.object_format)
            .expect("bytes in memory have a hash")
            .to_string()
    }
}

/// Whether one of `ids`, separated by spaces, is git's id for a file with that content, in any object
/// format.
pub fn is_blob(content: &[u8], ids: &str) -> bool {
    let formats = [ObjectFormat::Sha1, ObjectFormat::Sha256];
    formats.into_iter().any(|format| {
        let own = git2::Oid::hash_object_ext(ObjectType::Blob, content, format);
        own.is_ok_and(|own| ids.split(' ').any(|id| own.to_string() == id))
    })
}

/// The repository and the worktree that contain a directory.
pub struct Found {
    pub repository: Repository,
    /// The worktree around the directory; `None` in a bare repository and in a `.git` directory.
    pub worktree: Option<Worktree>,
}

/// Finds the repository and the worktree around `directory`.
pub fn find(directory: &Path) -> Result<Found> {
    let directory =
        dunce::canonicalize(directory).map_err(Error::could_not("change to", directory))?;
    if !directory.is_dir() {
        return Err(Error::at("change to", &directory, "not a directory"));
    }
    let git = open(&directory, RepositoryOpenFlags::empty()).map_err(|error| {
        leads_nowhere(&directory).unwrap_or_else(|| cannot_open(&directory, &error))
    })?;
    let common_dir = dunce::canonicalize(git.commondir())
        .map_err(Error::could_not("find the repository at", git.commondir()))?;
    let mut repository = Repository::open(&common_dir)?;
    let worktree = worktree_around(&directory, &git, &repository.common_dir)?;
    // The repository itself may not know where its main worktree is.
    if let Some(main) = worktree.as_ref().filter(|worktree| worktree.is_main()) {
        repository.main = Some(Place::At(main.path().to_owned()));
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
        && let Some(superproject) = superproject_of(worktree.path())?
    {
        found = find(&superproject)?;
    }
    Ok(found)
}

fn worktree_around(
    directory: &Path,
    git: &git2::Repository,
    common_dir: &Rc<Path>,
) -> Result<Option<Worktree>> {
    let Some(workdir) = git.workdir().filter(|_| !git.is_bare()) else {
        return Ok(None);
    };
    let git_dir = dunce::canonicalize(git.path()).unwrap_or_else(|_| git.path().to_owned());
    let is_root = |ancestor: &&Path| is_same_directory(ancestor, workdir);
    let root = directory.ancestors().find(is_root);
    let is_in_git_dir = |inside: &Path| {
        directory.starts_with(inside) && root.is_none_or(|root| inside.starts_with(root))
    };
    if is_in_git_dir(&git_dir) || is_in_git_dir(common_dir) {
        return Ok(None);
    }
    // A copy of a worktree may lie in the worktree that it is a copy of.
    let nearest = nearest_with_dot_git(directory);
    match root {
        Some(root) if !git.is_worktree() || nearest == Some(root) => Worktree::of(&Entry {
            id: git.is_worktree().then(|| entries::id_of(&git_dir)),
            git_dir,
            common_dir: Rc::clone(common_dir),
            place: Place::At(root.to_owned()),
        }),
        _ => {
            let copy = nearest.filter(|_| git.is_worktree()).unwrap_or(directory);
            let registered = Place::At(workdir.components().collect());
            Err(misplaced(copy, &git_dir, &registered))
        }
    }
}

/// The root of the worktree that has the repository at `root` as a submodule.
///
/// # Errors
/// The outer repository cannot be read, and `root` has a `.git` file, as a submodule has. A clone
/// that merely lies inside another repository is independent of it.
fn superproject_of(root: &Path) -> Result<Option<PathBuf>> {
    let above = root.parent();
    match above.map_or(Ok(None), |above| superproject_above(root, above)) {
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
    let workdir =
        dunce::canonicalize(workdir).map_err(Error::could_not("find the worktree", workdir))?;
    let Some(path) = root.strip_prefix(&workdir).ok().and_then(Path::to_str) else {
        return Ok(None);
    };
    let path = format!(":(literal){path}");
    let listed = ask(&workdir, &["ls-files", "--stage", "-z", "--", &path])?;
    // `160000 <object id> 0<tab><path>` is another repository's commit.
    let is_submodule = listed.starts_with(b"160000 ");
    Ok(is_submodule.then_some(workdir))
}

/// Where the main worktree is by the repository's config or location; `None` if it is bare.
fn main_of(config: &git2::Config, common_dir: &Path) -> Result<Option<Place>> {
    if config.get_bool("core.bare").unwrap_or(false) {
        // If there is a main worktree's record, it is bare by accident: `git init` with a `GIT_DIR` in
        // `worktrees/` sets `core.bare`.
        let record = common_dir.join(MAIN_RECORD);
        return Ok(record.symlink_metadata().is_ok().then_some(Place::Unknown));
    }
    let root = match (config.get_path("core.worktree"), common_dir.parent()) {
        (Ok(root), _) => common_dir.join(root),
        (Err(_), Some(root)) if common_dir.ends_with(".git") => root.to_owned(),
        _ => return Ok(Some(Place::Unknown)),
    };
    let root = dunce::canonicalize(&root).unwrap_or(root);
    let Ok(dir) = Dir::open(&root) else {
        return Ok(Some(Place::At(root)));
    };
    // A repository inside a branch may name any directory.
    Ok(Some(match unless_shortage(leads_to(&dir, common_dir))? {
        Ok(true) => Place::At(root),
        Ok(false) => Place::Unknown,
        Err(error) => Place::Unreadable(error),
    }))
}

/// Whether `owner` is the user who runs this process.
fn is_this_user(owner: u32) -> bool {
    #[cfg(unix)]
    return rustix::process::geteuid().as_raw() == owner;
    #[cfg(not(unix))]
    return owner == 0;
}

/// Whether the owner of a repository has to be checked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// git runs us as its hook, so it trusts the owner.
    CheckedByGit,
    /// A person may be in another user's repository.
    Unchecked,
}

/// Tells libgit2 once, before it opens anything, which repositories to open.
pub fn set_up(owner: Owner) {
    // libgit2 would refuse these, although they make no difference to us.
    const EXTENSIONS: [&str; 5] = [
        "noop-v1",
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
    if owner == Owner::CheckedByGit {
        // Of the user's config, only `safe.directory` would matter here, and git has checked it.
        forget_user_config();
    }
}

/// Opens a repository. If the user's own git config cannot be read, as in another user's home, it
/// is left out: it matters less than the ports.
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

/// The error for a worktree whose `.git` file leads nowhere, or where this user may not go.
fn leads_nowhere(directory: &Path) -> Option<Error> {
    let root = nearest_with_dot_git(directory)?;
    let named = entries::git_dir_named_by(&Dir::open(root).ok()?).ok()??;
    match named.join("HEAD").metadata() {
        Err(error) if ErrorKind::of(&error) == ErrorKind::Refused => {
            let error = Error::could_not("open", &named)(error);
            return Some(error.remedy("give this user access to it"));
        }
        _ if named.exists() => return None,
        _ => {}
    }
    let what = format!(
        "{} names the git directory {}, which is missing",
        quoted(&root.join(".git")),
        quoted(&named)
    );
    Some(Error::new(what).remedy(
        "if the repository was moved, run `git worktree repair <path>` in it with this path; if the \
         worktree was removed, delete this directory",
    ))
}

fn cannot_open(path: &Path, error: &git2::Error) -> Error {
    match error.code() {
        ErrorCode::NotFound => {
            error!("{} is not inside a git repository", quoted(path))
        }
        ErrorCode::Owner => Error::at("open the repository at", path, "it belongs to another user")
            .remedy(format!(
                "`git config --global --add safe.directory {}` trusts it",
                shell_word(nearest_with_dot_git(path).unwrap_or(path))
            )),
        _ => Error::at("open the repository at", path, error.message()),
    }
}

/// The nearest directory from `path` up that has a `.git`.
fn nearest_with_dot_git(path: &Path) -> Option<&Path> {
    let has_dot_git = |directory: &&Path| directory.join(".git").symlink_metadata().is_ok();
    path.ancestors().find(has_dot_git)
}
