//! The exclusive lock of a repository, held from the listing to the rename.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use fd_lock::{RwLock, RwLockWriteGuard};

use crate::error::{Error, Result, quoted};

/// The directory of this program in the common dir.
pub const DIRECTORY: &str = "worktree-ports";

/// The lock file of the repository with that common dir.
pub fn path(common_dir: &Path) -> PathBuf {
    common_dir.join(DIRECTORY).join("lock")
}

/// How long a wait stays silent.
const SILENCE: Duration = Duration::from_secs(1);

/// How to go about what takes the lock.
pub struct Manner<'a> {
    /// How long to wait for it.
    pub patience: Duration,
    /// Where waiting and warnings are told, each a line.
    pub narrate: &'a dyn Fn(&str),
}

/// The lock is held. What must only be done under it asks for this.
pub struct Held {
    _guard: RwLockWriteGuard<'static, File>,
}

/// Takes the lock of the repository with that common dir; a holder that dies frees it. Tells when
/// the wait is long.
///
/// # Errors
/// The wait took longer than the patience, or the lock cannot be had at all.
pub fn acquire(common_dir: &Path, manner: &Manner<'_>) -> Result<Held> {
    let path = path(common_dir);
    match lock(&path, RwLock::try_write) {
        Ok(guard) => return Ok(Held { _guard: guard }),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
        Err(error) => return Err(cannot_lock(&path, &error)),
    }
    match wait(&path, manner) {
        Ok(Some(guard)) => Ok(Held { _guard: guard }),
        Ok(None) => Err(Error::new(format!(
            "gave up after {} s on the lock {}{}",
            manner.patience.as_secs(),
            quoted(&path),
            holder(&path)
        ))
        .remedy(
            "run `worktree-ports-hook` when that is done; \
             `WORKTREE_PORTS_LOCK_TIMEOUT` is how many seconds to wait",
        )),
        Err(error) => Err(cannot_lock(&path, &error)),
    }
}

type Guard = RwLockWriteGuard<'static, File>;

/// Waits for the lock in the kernel; `None` where patience ends.
fn wait(path: &Path, manner: &Manner<'_>) -> io::Result<Option<Guard>> {
    let limit = manner.patience;
    if limit.is_zero() {
        return Ok(None);
    }
    // flock(2) has no timeout, so another thread blocks in it while this one watches the clock.
    // Given up, that thread ends with the process.
    let (sender, receiver) = mpsc::channel();
    let place = path.to_owned();
    thread::Builder::new().spawn(move || sender.send(lock(&place, RwLock::write)))?;

    let silence = SILENCE.min(limit);
    let answer = receiver.recv_timeout(silence).or_else(|_| {
        if limit > silence {
            (manner.narrate)(&format!(
                "waiting for the lock {}{}",
                quoted(path),
                holder(path)
            ));
        }
        receiver.recv_timeout(limit.saturating_sub(silence))
    });
    // Without an answer in time there is no lock, and one that comes later frees itself unread.
    answer.ok().transpose()
}

/// Opens the lock file and locks it by `method`. The lock lives as long as the process: a thread
/// that waits for it cannot be called off.
fn lock(
    path: &Path,
    method: fn(&'static mut RwLock<File>) -> io::Result<Guard>,
) -> io::Result<Guard> {
    loop {
        match method(Box::leak(Box::new(RwLock::new(open(path)?)))) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            answer => return answer,
        }
    }
}

/// Opens the lock file, and makes it where it is missing. It is never removed or renamed: two
/// files of that name, one after the other, are two locks.
fn open(path: &Path) -> io::Result<File> {
    match OpenOptions::new().read(true).write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(path),
        // A sandbox that mounts `.git` read-only: a lock needs no write access.
        Err(error) if is_write_refused(&error) => File::open(path).map_err(|_| error),
        answer => answer,
    }
}

fn is_write_refused(error: &io::Error) -> bool {
    use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
    matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem)
}

fn create(path: &Path) -> io::Result<File> {
    let directory = path.parent().expect("the lock file has a directory");
    let common_dir = directory.parent().expect("which is in the common dir");
    make_directory(common_dir)?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    // Where a kill comes before the mode is right, what a group may read it can lock all the same.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o660);
    let file = options.open(path)?;
    give_to_those_who_share(common_dir, path, |common| {
        if common & 0o020 == 0 { 0o600 } else { 0o660 }
    });
    Ok(file)
}

/// Makes this program's directory in the common dir, open to whom the common dir is open.
pub fn make_directory(common_dir: &Path) -> io::Result<PathBuf> {
    let directory = common_dir.join(DIRECTORY);
    match fs::create_dir(&directory) {
        Ok(()) => give_to_those_who_share(common_dir, &directory, |common| common),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    Ok(directory)
}

/// Removes that directory again, where it has not come to hold the lock, or anything else.
pub fn remove_directory_if_empty(common_dir: &Path) {
    // Refused where it is not empty.
    let _ = fs::remove_dir(common_dir.join(DIRECTORY));
}

/// Gives what was made in the common dir the owner and the group of that, and a mode that follows
/// from its mode, whatever the umask: what root or one of a group makes must not lock the others
/// out for good. Where that cannot be done, they get an error that names the file.
#[cfg(unix)]
fn give_to_those_who_share(common_dir: &Path, made: &Path, mode_by: impl Fn(u32) -> u32) {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    let Ok(common) = fs::metadata(common_dir) else {
        return;
    };
    let _ = chown(made, None, Some(common.gid()));
    let _ = fs::set_permissions(
        made,
        fs::Permissions::from_mode(mode_by(common.mode() & 0o7777)),
    );
    let _ = chown(made, Some(common.uid()), None);
}

/// Windows has no modes: what is made inherits the access of its directory.
#[cfg(not(unix))]
fn give_to_those_who_share(_common_dir: &Path, _made: &Path, _mode_by: impl Fn(u32) -> u32) {}

fn cannot_lock(path: &Path, error: &io::Error) -> Error {
    let remedy = if is_write_refused(error) {
        "the lock file is made once, where the directory can be written: run `worktree-ports-hook` there"
    } else {
        "it must be on a file system that supports locks (flock)"
    };
    Error::at("lock", path, error).remedy(remedy)
}

/// `, held by process 4711 (…)`, where the system tells.
fn holder(path: &Path) -> String {
    let Some(pid) = holder_pid(path) else {
        return String::new();
    };
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let command = String::from_utf8_lossy(&command).replace('\0', " ");
    let command = match command.trim_end() {
        "" => String::new(),
        command => format!(" ({command})"),
    };
    format!(", held by process {pid}{command}")
}

/// Linux lists the locks with their inode: `1: FLOCK  ADVISORY  WRITE 4711 fe:00:131 0 EOF`.
#[cfg(target_os = "linux")]
fn holder_pid(path: &Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    let inode = fs::metadata(path).ok()?.ino().to_string();
    let locks = fs::read_to_string("/proc/locks").ok()?;
    locks.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // A waiting process has `->` before FLOCK.
        let [_, "FLOCK", _, _, pid, place, ..] = fields[..] else {
            return None;
        };
        // 0 stands for a process outside this process's namespace.
        let pid = pid.parse().ok().filter(|&pid| pid != 0)?;
        (place.rsplit(':').next() == Some(&inode)).then_some(pid)
    })
}

#[cfg(not(target_os = "linux"))]
fn holder_pid(_path: &Path) -> Option<u32> {
    None
}
