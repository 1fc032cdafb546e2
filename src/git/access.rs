//! Access rights: what is created in the common dir is shared as the repository is.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use crate::files::dir::{self, Dir};

/// Creates `directory` in the common dir, with the common dir's owner, group and mode: what root or a
/// member of a group creates must not lock others out. An existing directory stays as it is.
#[expect(
    clippy::disallowed_methods,
    reason = "a directory that this process has just made"
)]
pub fn create_dir(common_dir: &Path, directory: &Path) -> io::Result<()> {
    match fs::create_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        made => made?,
    }
    // On Windows, a directory cannot be opened as a file, and there are no modes.
    if cfg!(unix) {
        let common = Dir::open(common_dir)?.stat()?;
        dir::share(&File::open(directory)?, &common, common.mode);
    }
    Ok(())
}

/// Restores the owner, group and mode that the file at `path` had `before` another program replaced
/// it.
#[cfg(unix)]
pub fn restore(path: &Path, before: &fs::Metadata) {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    let access = |of: &fs::Metadata| (of.uid(), of.gid(), of.mode());
    if fs::metadata(path).is_ok_and(|now| access(&now) != access(before)) {
        // Only root can change the owner; otherwise it stays as git left it.
        let _ = chown(path, Some(before.uid()), Some(before.gid()));
        let mode = before.mode() & 0o7777;
        let _ = fs::set_permissions(path, fs::Permissions::from_mode(mode));
    }
}

/// Windows has no modes: files inherit the access rights of their directory.
#[cfg(not(unix))]
pub fn restore(_path: &Path, _before: &fs::Metadata) {}

/// Whether git, run by this process, would run the file at `path`: git uses access(2) too, which also
/// knows file systems that run no programs.
#[cfg(unix)]
pub fn can_run(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

/// Windows decides by the name.
#[cfg(not(unix))]
pub fn can_run(_path: &Path) -> bool {
    true
}

/// Whether the file system of `directory` is mounted with `noexec`.
#[cfg(target_os = "linux")]
pub fn is_noexec(directory: &Path) -> bool {
    let mount = rustix::fs::statvfs(directory);
    mount.is_ok_and(|mount| (mount.f_flag).contains(rustix::fs::StatVfsMountFlags::NOEXEC))
}

/// Other systems cannot say.
#[cfg(not(target_os = "linux"))]
pub fn is_noexec(_directory: &Path) -> bool {
    false
}

/// Whether this process may create files in `directory`.
#[cfg(unix)]
pub fn is_writable(directory: &Path) -> bool {
    rustix::fs::access(directory, rustix::fs::Access::WRITE_OK).is_ok()
}

/// On Windows, this turns out when a file is created.
#[cfg(not(unix))]
pub fn is_writable(_directory: &Path) -> bool {
    true
}
