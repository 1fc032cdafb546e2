//! The worktrees of a repository; the only place that knows git2.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use git2::{ErrorClass, ErrorCode, RepositoryOpenFlags};

use crate::error::{Error, Result, quoted, shell_word};
use crate::plain_file::{self, PlainFile};

/// How much of a file that holds one path is read, in bytes: twice the longest path of Linux.
const PATH_LIMIT: usize = 8 * 1024;

/// The mode of an index entry that is another repository's commit.
const GITLINK: u32 = 0o160_000;

/// A worktree: its place and its name.
#[derive(Clone, Debug)]
pub struct Worktree {
    /// The directory that holds `.git`.
    pub root: PathBuf,
    /// The worktree id, what is not UTF-8 in it replaced; `None` for the main worktree.
    pub id: Option<String>,
    /// The `.git` directory that all worktrees of the repository share.
    pub common_dir: PathBuf,
    /// The worktree's own directory in it; the common dir for the main worktree.
    pub git_dir: PathBuf,
}

impl Worktree {
    /// The linked worktree whose root is `root`, by two small files and without libgit2; `None`
    /// where something else or nothing stands there.
    pub fn linked_at(root: &Path) -> Result<Option<Worktree>> {
        let Some(line) = read_path(&root.join(".git"), b"gitdir: ")? else {
            return Ok(None);
        };
        let git_dir = root.join(line);
        // A submodule and a clone with a separate git directory have a `.git` file too.
        let Some(common_dir) = read_path(&git_dir.join("commondir"), b"")? else {
            return Ok(None);
        };
        let common_dir = git_dir.join(common_dir);
        let common_dir = fs::canonicalize(&common_dir)
            .map_err(|error| Error::at("find the repository at", &common_dir, error))?;
        Ok(Some(Worktree::linked(root.to_owned(), git_dir, common_dir)))
    }

    fn linked(root: PathBuf, git_dir: PathBuf, common_dir: PathBuf) -> Worktree {
        let id = git_dir.file_name().unwrap_or_default();
        Worktree {
            id: Some(id.to_string_lossy().into_owned()),
            root,
            common_dir,
            git_dir,
        }
    }

    /// Whether this is the main worktree.
    pub fn is_main(&self) -> bool {
        self.id.is_none()
    }

    /// Fails where the repository holds this worktree to be elsewhere: it was copied or moved by
    /// hand, and what would be written here, no other worktree would find.
    pub fn check_registered(&self) -> Result<()> {
        if self.is_main() {
            return Ok(());
        }
        match locate(&self.git_dir)? {
            Place::At(registered) if is_same_directory(&registered, &self.root) => Ok(()),
            place => Err(misplaced(&self.root, &place)),
        }
    }

    /// Whether the worktree stands where the repository holds it to be.
    pub fn is_in_place(&self) -> Result<bool> {
        if self.is_main() {
            return Ok(true);
        }
        let there = Worktree::linked_at(&self.root)?;
        Ok(there.is_some_and(|there| is_same_directory(&there.git_dir, &self.git_dir)))
    }

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

    /// The roots of all worktrees that are known, whether something is there or not.
    pub fn roots(&self) -> Result<Vec<PathBuf>> {
        let mut roots: Vec<PathBuf> = self.main.root().map(Path::to_owned).into_iter().collect();
        for entry in self.linked()? {
            if let Place::At(root) = entry.place {
                roots.push(root);
            }
        }
        Ok(roots)
    }

    /// The worktrees that are registered, the main one aside, in no order.
    ///
    /// Read from the directory itself: libgit2's own listing drops ids that are not UTF-8, takes
    /// an empty `gitdir` for the current directory, and costs three times as much.
    pub fn linked(&self) -> Result<Vec<Entry>> {
        let directory = self.common_dir.join("worktrees");
        let could_not = |error: io::Error| Error::at("list the worktrees in", &directory, error);
        let entries = match fs::read_dir(&directory) {
            Err(error) if plain_file::is_absence(&error) => return Ok(Vec::new()),
            entries => entries.map_err(could_not)?,
        };
        entries
            .map(|entry| {
                let git_dir = entry.map_err(could_not)?.path();
                let place = locate(&git_dir)?;
                Ok(Entry { git_dir, place })
            })
            .collect()
    }
}

/// A directory under `<common dir>/worktrees/`.
pub struct Entry {
    /// Its path.
    pub git_dir: PathBuf,
    /// Where its worktree is.
    pub place: Place,
}

/// Where a linked worktree is, by its entry.
#[derive(Debug)]
pub enum Place {
    /// At that root, whether something is there or not.
    At(PathBuf),
    /// The entry does not say: it is being made, moved or removed, or is no entry.
    Unsettled,
    /// The entry is empty: git, which truncates and then writes it, is about to say.
    BeingWritten,
    /// The entry cannot be read.
    Unreadable(io::Error),
}

/// Where the worktree with that git directory is.
///
/// # Errors
/// A shortage of our own.
pub fn locate(git_dir: &Path) -> Result<Place> {
    let path = plain_file::path_in(git_dir, "gitdir");
    let found = plain_file::read_of_git(&path, PATH_LIMIT)
        .map_err(|error| Error::at("read", &path, error))?;
    Ok(match found {
        PlainFile::Read { bytes, .. } if bytes.is_empty() => Place::BeingWritten,
        PlainFile::Read {
            bytes,
            truncated: false,
        } => root_named_by(git_dir, bytes),
        PlainFile::Unreadable(error) => Place::Unreadable(error),
        _ => Place::Unsettled,
    })
}

/// The root that the content of `<git dir>/gitdir` names: that of a worktree's `.git` file,
/// absolute or relative to the git directory.
fn root_named_by(git_dir: &Path, content: Vec<u8>) -> Place {
    let mut path = path_from(content);
    if path.file_name() != Some(OsStr::new(".git")) {
        return Place::Unsettled;
    }
    path.pop();
    if path.is_absolute() {
        Place::At(path)
    } else {
        Place::At(without_dots(&git_dir.join(path)))
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

fn misplaced(directory: &Path, registered: &Place) -> Error {
    let registered = match registered {
        Place::At(root) => format!("is registered at {}", quoted(root)),
        Place::Unsettled | Place::BeingWritten => "is registered nowhere".to_owned(),
        Place::Unreadable(error) => format!("is registered where cannot be read ({error})"),
    };
    Error::new(format!(
        "the worktree around {} {registered}",
        quoted(directory)
    ))
    .remedy("if you moved or copied it, run `git worktree repair` in it")
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

/// Whether both paths lead to one directory, by whatever mounts and links.
fn is_same_directory(one: &Path, other: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let identity = |path| fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino()));
        matches!((identity(one), identity(other)), (Ok(one), Ok(other)) if one == other)
    }
    #[cfg(not(unix))]
    {
        matches!((fs::canonicalize(one), fs::canonicalize(other)), (Ok(one), Ok(other)) if one == other)
    }
}

/// The path that stands alone in the small file at `path`, behind `prefix`; `None` where there is
/// no such file or other text.
fn read_path(path: &Path, prefix: &[u8]) -> Result<Option<PathBuf>> {
    match plain_file::read(path, PATH_LIMIT).map_err(|error| Error::at("read", path, error))? {
        PlainFile::Read {
            bytes,
            truncated: false,
        } => Ok(bytes
            .strip_prefix(prefix)
            .map(|rest| path_from(rest.to_vec()))),
        PlainFile::Unreadable(error) => Err(Error::at("read", path, error)),
        _ => Ok(None),
    }
}

/// The path in `line`, less the white space at its end.
pub fn path_from(mut line: Vec<u8>) -> PathBuf {
    line.truncate(line.trim_ascii_end().len());
    #[cfg(unix)]
    {
        PathBuf::from(<OsString as std::os::unix::ffi::OsStringExt>::from_vec(
            line,
        ))
    }
    #[cfg(not(unix))]
    {
        PathBuf::from(String::from_utf8_lossy(&line).into_owned())
    }
}

/// `path` with its `..` taken out by name: git writes them into relative entries, and the
/// directories that they lead through are real ones.
fn without_dots(path: &Path) -> PathBuf {
    use std::path::Component::{CurDir, ParentDir};
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            CurDir => {}
            ParentDir => {
                clean.pop();
            }
            component => clean.push(component),
        }
    }
    clean
}

#[cfg(test)]
mod fuzz {
    //! Whatever an entry says, it is read without a panic.

    use super::*;

    #[cfg(unix)]
    #[test]
    fn any_entry_names_an_absolute_root_or_none() {
        let git_dir = Path::new("/r/.git/worktrees/a");
        bolero::check!().with_type::<Vec<u8>>().for_each(|content| {
            // Mostly with the end that git writes, without which nothing is named.
            for content in [content.clone(), [content, &b"/.git\n"[..]].concat()] {
                if let Place::At(root) = root_named_by(git_dir, content.clone()) {
                    assert!(root.is_absolute(), "{root:?}");
                    let is_relative = !content.starts_with(b"/");
                    let has_dots = root.components().any(|part| part.as_os_str() == "..");
                    assert!(!(is_relative && has_dots), "{root:?}");
                }
            }
        });
    }

    #[cfg(unix)]
    #[test]
    fn what_git_writes_is_read_back_whatever_bytes_a_path_has() {
        use std::os::unix::ffi::OsStrExt;
        let git_dir = Path::new("/r/.git/worktrees/a");
        bolero::check!().with_type::<Vec<u8>>().for_each(|name| {
            let name: Vec<u8> = name
                .iter()
                .copied()
                .filter(|byte| !b"/\0".contains(byte))
                .collect();
            if [&b""[..], b".", b".."].contains(&name.as_slice()) {
                return;
            }
            let root = Path::new("/r").join(OsStr::from_bytes(&name));
            for start in [&b"/r/"[..], b"../../../"] {
                let content = [start, &name, b"/.git\n"].concat();
                assert!(
                    matches!(root_named_by(git_dir, content), Place::At(found) if found == root)
                );
            }
        });
    }
}
