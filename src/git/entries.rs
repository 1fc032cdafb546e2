//! The small files in which git records where the worktrees are, read without libgit2.

use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::error::{Error, Result, if_there};
use crate::files::dir::{Dir, PlainFile};
use crate::git::command::ask;
use crate::git::config::os_string;

/// How much of a file that contains one path is read, in bytes: twice the longest path on Linux.
const PATH_LIMIT: usize = 8 * 1024;

/// The name of the main worktree in messages.
pub const MAIN: &str = "main worktree";

/// The git directory that the `.git` file in `root` names; `None` if there is no such file.
pub fn git_dir_named_by(root: &Dir) -> Result<Option<PathBuf>> {
    path_in_file(root, ".git", b"gitdir: ")
}

/// The common dir that the `commondir` file in `git_dir` names; `None` if there is no such file, as
/// in a main worktree's git directory.
pub fn common_dir_of(git_dir: &Dir) -> Result<Option<PathBuf>> {
    path_in_file(git_dir, "commondir", b"")
}

/// The worktree id: the name of a linked worktree's git directory, with invalid UTF-8 replaced.
pub fn id_of(git_dir: &Path) -> String {
    let name = git_dir.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Where a worktree is.
#[derive(Clone, Debug)]
pub enum Place {
    /// At this root, whether something is there or not.
    At(PathBuf),
    /// Its entry does not say, because it is being created, moved or removed, or is no entry at
    /// all. Also a main worktree that cannot be found from its repository, as after `git clone
    /// --separate-git-dir`.
    Unknown,
    /// Its entry cannot be read.
    Unreadable(Error),
}

impl Place {
    /// The root, if it is known.
    pub fn root(&self) -> Option<&Path> {
        match self {
            Place::At(root) => Some(root),
            Place::Unknown | Place::Unreadable(_) => None,
        }
    }

    /// The place that the `gitdir` file in `git_dir` names.
    fn named_by(found: PlainFile, git_dir: &Path) -> Place {
        match found {
            PlainFile::Read(content) => root_named_by(git_dir, content),
            PlainFile::Unreadable(error) => {
                Place::Unreadable(Error::could_not("read", git_dir.join(GITDIR))(error))
            }
            _ => Place::Unknown,
        }
    }
}

/// A worktree as it is registered, wherever its directory is.
#[derive(Debug)]
pub struct Entry {
    /// The worktree id, with what is not UTF-8 replaced; `None` for the main worktree. Lists are sorted by
    /// it.
    pub id: Option<String>,
    /// The worktree's own directory in the common dir; the common dir for the main worktree.
    pub git_dir: PathBuf,
    pub common_dir: Rc<Path>,
    pub place: Place,
}

impl Entry {
    pub fn is_main(&self) -> bool {
        self.id.is_none()
    }

    /// The registered root, whether something is there or not.
    pub fn root(&self) -> Option<&Path> {
        self.place.root()
    }

    /// Its name in messages.
    pub fn name(&self) -> &str {
        self.id.as_deref().unwrap_or(MAIN)
    }

    /// The branch that is checked out; `None` if HEAD is detached or cannot be read.
    pub fn branch(&self) -> Result<Option<String>> {
        let Ok(git_dir) = Dir::open(&self.git_dir) else {
            return Ok(None);
        };
        let head = head_of(&git_dir)?.unwrap_or_default();
        Ok(match head.strip_prefix("ref: refs/heads/") {
            // What git writes there if the real HEAD is in a reftable, which libgit2 cannot read.
            Some(".invalid") => self.root().and_then(branch_by_git),
            branch => branch.map(str::to_owned),
        })
    }
}

/// The branch of the worktree at `root`, by git itself.
fn branch_by_git(root: &Path) -> Option<String> {
    let branch = ask(root, &["symbolic-ref", "--quiet", "--short", "HEAD"]).ok()?;
    let branch = String::from_utf8_lossy(&branch).trim_end().to_owned();
    (!branch.is_empty()).then_some(branch)
}

/// The content of HEAD in that git directory: `ref: ` and the name of a reference, or an object id;
/// `None` if it cannot be read.
pub fn head_of(git_dir: &Dir) -> Result<Option<String>> {
    Ok(match git_dir.read_of_git("HEAD", PATH_LIMIT)? {
        PlainFile::Read(head) => Some(String::from_utf8_lossy(&head).trim_end().to_owned()),
        _ => None,
    })
}

/// The entries of the linked worktrees, in no order.
///
/// Read from the directory itself: libgit2's list drops ids that are not UTF-8, reads an empty
/// `gitdir` as the current directory, and costs three times as much.
pub fn linked(common_dir: &Rc<Path>) -> Result<Vec<Entry>> {
    let directory = common_dir.join("worktrees");
    let could_not = || Error::could_not("list the worktrees in", &directory);
    let opened = Dir::open(&directory).and_then(|dir| Ok((dir, fs::read_dir(&directory)?)));
    let Some((dir, names)) = if_there(opened).map_err(could_not())? else {
        return Ok(Vec::new());
    };
    let mut entries = Vec::new();
    for name in names {
        let name = name.map_err(could_not())?.file_name();
        let git_dir = directory.join(&name);
        let found = dir.read_of_git(Path::new(&name).join(GITDIR), PATH_LIMIT)?;
        entries.push(Entry {
            id: Some(name.to_string_lossy().into_owned()),
            place: Place::named_by(found, &git_dir),
            git_dir,
            common_dir: Rc::clone(common_dir),
        });
    }
    Ok(entries)
}

/// The file in a linked worktree's git directory that names its root.
const GITDIR: &str = "gitdir";

/// Where the worktree with that git directory is.
pub fn place_of(git_dir: &Dir) -> Result<Place> {
    let found = git_dir.read_of_git(GITDIR, PATH_LIMIT)?;
    Ok(Place::named_by(found, git_dir.path()))
}

/// The root that the content of `<git dir>/gitdir` names: the path of a worktree's `.git` file,
/// absolute or relative to the git directory.
fn root_named_by(git_dir: &Path, mut content: Vec<u8>) -> Place {
    let line = content.trim_ascii_end();
    let root = line.strip_suffix(b".git").and_then(|root| match root {
        [root @ .., b'/'] => Some(root),
        [root @ .., b'\\'] if cfg!(windows) => Some(root),
        _ => None,
    });
    let Some(length) = root.map(<[u8]>::len) else {
        return Place::Unknown;
    };
    // `/.git` leaves the root directory.
    content.truncate(length.max(1));
    Place::At(absolute(git_dir, PathBuf::from(os_string(content))))
}

/// The path in the small file `name`, after `prefix`; `None` if there is no such file, or if it
/// contains something else.
fn path_in_file(dir: &Dir, name: &str, prefix: &[u8]) -> Result<Option<PathBuf>> {
    match dir.read(name, PATH_LIMIT)? {
        PlainFile::Read(bytes) => Ok(bytes
            .strip_prefix(prefix)
            .map(|rest| absolute(dir.path(), path_from(rest.to_vec())))),
        PlainFile::Unreadable(error) => Err(Error::could_not("read", dir.path_of(name))(error)),
        _ => Ok(None),
    }
}

/// `path`; if it is relative, then to `directory`.
fn absolute(directory: &Path, path: PathBuf) -> PathBuf {
    if path.is_absolute() {
        path
    } else {
        without_dots(&directory.join(path))
    }
}

/// The path in `line`, without white space at its end.
pub fn path_from(mut line: Vec<u8>) -> PathBuf {
    line.truncate(line.trim_ascii_end().len());
    PathBuf::from(os_string(line))
}

/// `path` with each `..` resolved by name: git writes them into relative entries, and no directory
/// on the way is a link.
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

#[cfg(all(test, unix))]
mod fuzz {
    //! Whatever an entry says, it is read without a panic.

    use super::*;

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

    #[test]
    fn what_git_writes_is_read_back_whatever_bytes_a_path_has() {
        use std::ffi::OsStr;
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
