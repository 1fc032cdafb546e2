//! Access to what is made in the common dir: whoever shares the repository shares it too.

use std::fs;
use std::io;
use std::path::Path;

/// Makes `directory`, which is in the common dir, with the owner, the group and the mode of that.
/// One that is there already stays as it is.
pub fn create_dir(common_dir: &Path, directory: &Path) -> io::Result<()> {
    match fs::create_dir(directory) {
        Ok(()) => {
            share(common_dir, directory, |common| common);
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Gives the file `made` the owner and the group of the common dir, and lets those read and write
/// it who may do so there.
pub fn share_file(common_dir: &Path, made: &Path) {
    share(common_dir, made, |common| common & 0o666);
}

/// Gives what was made in the common dir the owner and the group of that, and a mode that follows
/// from its mode, whatever the umask: what root or one of a group makes must not lock the others
/// out for good. Where that cannot be done, they get an error that names the file.
#[cfg(unix)]
pub fn share(common_dir: &Path, made: &Path, mode_by: impl Fn(u32) -> u32) {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    let (Ok(common), Ok(new)) = (fs::metadata(common_dir), fs::symlink_metadata(made)) else {
        return;
    };
    if new.gid() != common.gid() {
        let _ = chown(made, None, Some(common.gid()));
    }
    let wanted = mode_by(common.mode() & 0o7777);
    if new.mode() & 0o7777 != wanted {
        let _ = fs::set_permissions(made, fs::Permissions::from_mode(wanted));
    }
    if new.uid() != common.uid() {
        let _ = chown(made, Some(common.uid()), None);
    }
}

/// Windows has no modes: what is made inherits the access of its directory.
#[cfg(not(unix))]
pub fn share(_common_dir: &Path, _made: &Path, _mode_by: impl Fn(u32) -> u32) {}

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
