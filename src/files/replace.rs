//! Replacing a file whole, by a rename: its readers meet the old content or the new.

use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::path::Path;

use tempfile::Builder;

/// Makes `content` that of the file at `path`, in a `.git` directory; if that is a link, of the
/// file behind it. Does nothing if it has that content already. An old file keeps its owner, its
/// group and its mode; a new one is this user's alone.
///
/// # Errors
/// What lies there is no regular file, cannot be read or cannot be replaced.
#[expect(
    clippy::disallowed_methods,
    reason = "files in a `.git` directory, where a link is its owner's wish"
)]
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let path = dunce::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let old = match fs::metadata(&path) {
        // Reading a FIFO would wait for a writer.
        Ok(old) if !old.is_file() => return Err(io::Error::other("not a regular file")),
        Ok(_) if fs::read(&path)? == content => return Ok(()),
        Ok(old) => Some(old),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut file = Builder::new()
        .prefix(".worktree-ports.")
        .tempfile_in(directory)?;
    file.write_all(content)?;
    if let Some(old) = old {
        keep_access(file.as_file(), &old)?;
    }
    file.persist(&path)?;
    Ok(())
}

/// Gives the file that is to replace another the mode of that, and its group and owner as far as
/// this process may: what root writes for a user must stay the user's.
#[cfg(unix)]
pub fn keep_access(new: &File, old: &Metadata) -> io::Result<()> {
    use std::fs::Permissions;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
    let current = new.metadata()?;
    let mut mode = old.mode() & 0o7777;
    if current.gid() != old.gid() && fchown(new, None, Some(old.gid())).is_err() {
        // What one group could read is nothing for another.
        mode &= !0o070;
    }
    if current.mode() & 0o7777 != mode {
        new.set_permissions(Permissions::from_mode(mode))?;
    }
    if current.uid() != old.uid() {
        let _ = fchown(new, Some(old.uid()), None);
    }
    Ok(())
}

/// Windows has no modes: what is made inherits the access of its directory.
#[cfg(not(unix))]
pub fn keep_access(_new: &File, _old: &Metadata) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

    use super::*;

    #[test]
    fn a_replaced_file_keeps_its_mode_and_a_link_stays_a_link() {
        let directory = tempfile::tempdir().unwrap();
        let (path, link) = (directory.path().join("file"), directory.path().join("link"));
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        symlink(&path, &link).unwrap();

        replace(&link, b"new").unwrap();

        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o640);
        assert!(link.is_symlink());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_fifo_is_an_error_and_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        let error = replace(&path, b"new").unwrap_err();
        assert_eq!(error.to_string(), "not a regular file");
    }

    #[test]
    #[ignore = "needs root"]
    fn what_root_replaces_stays_the_users() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, "old").unwrap();
        chown(&path, Some(1234), Some(2345)).unwrap();

        replace(&path, b"new").unwrap();

        let new = fs::metadata(&path).unwrap();
        assert_eq!((new.uid(), new.gid()), (1234, 2345));
    }
}
