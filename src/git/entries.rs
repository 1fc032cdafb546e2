//! The small files in which git keeps where the worktrees are, read without libgit2.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result, quoted};
use crate::files::untrusted::{self, PlainFile};

/// How much of a file that holds one path is read, in bytes: twice the longest path of Linux.
const PATH_LIMIT: usize = 8 * 1024;

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
        let Some(git_dir) = git_dir_of(root)? else {
            return Ok(None);
        };
        // A submodule and a clone with a separate git directory have a `.git` file too.
        let Some(common_dir) = read_path(&git_dir.join("commondir"), b"")? else {
            return Ok(None);
        };
        let common_dir = git_dir.join(common_dir);
        let common_dir = fs::canonicalize(&common_dir)
            .map_err(|error| Error::at("find the repository at", &common_dir, error))?;
        Ok(Some(Worktree::linked(root.to_owned(), git_dir, common_dir)))
    }

    /// The linked worktree with that root and directories.
    pub fn linked(root: PathBuf, git_dir: PathBuf, common_dir: PathBuf) -> Worktree {
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
}

/// The git directory that the `.git` file at `root` names; `None` where there is no such file.
pub fn git_dir_of(root: &Path) -> Result<Option<PathBuf>> {
    let named = read_path(&root.join(".git"), b"gitdir: ")?;
    Ok(named.map(|path| {
        if path.is_absolute() {
            path
        } else {
            without_dots(&root.join(path))
        }
    }))
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
    let path = untrusted::path_in(git_dir, "gitdir");
    let found = untrusted::read_of_git(&path, PATH_LIMIT)
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

/// The worktrees that are registered in the repository with that common dir, the main one aside, in
/// no order.
///
/// Read from the directory itself: libgit2's own listing drops ids that are not UTF-8, takes
/// an empty `gitdir` for the current directory, and costs three times as much.
pub fn list(common_dir: &Path) -> Result<Vec<Entry>> {
    let directory = common_dir.join("worktrees");
    let could_not = |error: io::Error| Error::at("list the worktrees in", &directory, error);
    let entries = match fs::read_dir(&directory) {
        Err(error) if crate::error::is_absence(&error) => return Ok(Vec::new()),
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

/// The error of a directory that the repository holds to be elsewhere.
pub fn misplaced(directory: &Path, registered: &Place) -> Error {
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

/// Whether both paths lead to one directory, by whatever mounts and links.
pub fn is_same_directory(one: &Path, other: &Path) -> bool {
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
    match untrusted::read(path, PATH_LIMIT).map_err(|error| Error::at("read", path, error))? {
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
