//! Replacing a file in a `.git` directory whole, by a rename: its readers meet the old content or
//! the new.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::path::Path;

use tempfile::Builder;

/// Makes `content` that of the file at `path`, through the link where that is one. Does nothing
/// where it is already. The file gets `permissions`; with none given, it keeps its own.
pub fn replace(path: &Path, content: &[u8], permissions: Option<Permissions>) -> io::Result<()> {
    let mut random_name = Builder::new();
    random_name.prefix(".worktree-ports.");
    replace_by(&random_name, path, content, permissions)
}

/// As [`replace`], under the lock that git itself takes to write that file: `<path>.lock`.
pub fn replace_under_git_lock(path: &Path, content: &[u8]) -> io::Result<()> {
    let path = fs::canonicalize(path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut lock = Builder::new();
    lock.prefix(&*name).suffix(".lock").rand_bytes(0);
    replace_by(&lock, &path, content, None)
}

fn replace_by(
    temporary: &Builder<'_, '_>,
    path: &Path,
    content: &[u8],
    new: Option<Permissions>,
) -> io::Result<()> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let permissions = match fs::metadata(&path) {
        Ok(old) => {
            let old = old.permissions();
            let has_permissions = new.as_ref().is_none_or(|new| is_same_mode(new, &old));
            if has_permissions && fs::read(&path)? == content {
                return Ok(());
            }
            Some(new.unwrap_or(old))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => new,
        Err(error) => return Err(error),
    };
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut file = temporary.tempfile_in(directory)?;
    file.write_all(content)?;
    if let Some(permissions) = permissions {
        fs::set_permissions(file.path(), permissions)?;
    }
    file.persist(&path)?;
    Ok(())
}

/// The permissions of what everybody may read and run.
pub fn executable() -> Option<Permissions> {
    #[cfg(unix)]
    let permissions = Some(std::os::unix::fs::PermissionsExt::from_mode(0o755));
    // Windows goes by the name.
    #[cfg(not(unix))]
    let permissions = None;
    permissions
}

#[cfg(unix)]
fn is_same_mode(one: &Permissions, other: &Permissions) -> bool {
    use std::os::unix::fs::PermissionsExt;
    // A mode that was read has the type of the file above these bits.
    one.mode() & 0o7777 == other.mode() & 0o7777
}

#[cfg(not(unix))]
fn is_same_mode(one: &Permissions, other: &Permissions) -> bool {
    one == other
}
