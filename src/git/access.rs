//! Access to what is made in the common dir: whoever shares the repository shares it too.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use crate::files::dir::{self, Dir};

/// Makes `directory`, which is in the common dir, with the owner, the group and the mode of that: what
/// root or one of a group makes must not lock the others out for good. One that is there already stays
/// as it is.
#[expect(
    clippy::disallowed_methods,
    reason = "a directory that this process has just made"
)]
pub fn create_dir(common_dir: &Path, directory: &Path) -> io::Result<()> {
    match fs::create_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        made => made?,
    }
    // Windows opens no directory as a file, and has no modes.
    if cfg!(unix) {
        let common = Dir::open(common_dir)?.stat()?;
        dir::share(&File::open(directory)?, &common, common.mode);
    }
    Ok(())
}

/// Gives the file at `path` back the owner, the group and the mode that it had `before` another
/// program replaced it.
#[cfg(unix)]
pub fn restore(path: &Path, before: &fs::Metadata) {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    let access = |of: &fs::Metadata| (of.uid(), of.gid(), of.mode());
    if fs::metadata(path).is_ok_and(|now| access(&now) != access(before)) {
        // Only root can give a file away; without that, it stays as git would have left it.
        let _ = chown(path, Some(before.uid()), Some(before.gid()));
        let mode = before.mode() & 0o7777;
        let _ = fs::set_permissions(path, fs::Permissions::from_mode(mode));
    }
}

/// Windows has no modes: what is made inherits the access of its directory.
#[cfg(not(unix))]
pub fn restore(_path: &Path, _before: &fs::Metadata) {}

/// Whether git, run by this process, would run the file at `path`: it asks access(2) too, which
/// also knows file systems that run nothing.
#[cfg(unix)]
pub fn can_run(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

/// Windows goes by the name.
#[cfg(not(unix))]
pub fn can_run(_path: &Path) -> bool {
    true
}

/// Whether the file system of `directory` is mounted so that no program on it can run.
#[cfg(target_os = "linux")]
pub fn is_noexec(directory: &Path) -> bool {
    let mount = rustix::fs::statvfs(directory);
    mount.is_ok_and(|mount| (mount.f_flag).contains(rustix::fs::StatVfsMountFlags::NOEXEC))
}

/// Elsewhere nothing says so.
#[cfg(not(target_os = "linux"))]
pub fn is_noexec(_directory: &Path) -> bool {
    false
}

/// Whether this process may make files in `directory`.
#[cfg(unix)]
pub fn is_writable(directory: &Path) -> bool {
    rustix::fs::access(directory, rustix::fs::Access::WRITE_OK).is_ok()
}

/// On Windows it turns out when a file is made.
#[cfg(not(unix))]
pub fn is_writable(_directory: &Path) -> bool {
    true
}
