//! The exclusive lock of a repository, held from the listing to the rename.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use fd_lock::{RwLock, RwLockWriteGuard};

use crate::error::{Error, Result, is_own_shortage, is_write_refused, quoted};
use crate::files::identity::Identity;
use crate::git::{access, clones};
use crate::narrator::{Narrator, SILENCE};

/// The directory of this program in the common dir.
pub const DIRECTORY: &str = "worktree-ports";

/// The lock file of the repository with that common dir.
pub fn path(common_dir: &Path) -> PathBuf {
    common_dir.join(DIRECTORY).join("lock")
}

/// How long to wait for a lock, and whom to tell.
pub struct LockOptions<'a> {
    /// The longest wait, for all locks together.
    pub timeout: Duration,
    /// Where a long wait is told, and what else the work under the lock has to say.
    pub narrator: &'a Narrator,
}

/// The lock is held. What must only be done under it asks for this; dropping it lets go.
pub struct Held {
    // Closing a file is what unlocks it.
    files: Vec<File>,
}

impl Held {
    fn one(common_dir: &Path, deadline: Deadline, narrator: &Narrator) -> Result<Held> {
        let path = path(common_dir);
        match acquire_one(&path, deadline, narrator)? {
            Some(file) => Ok(Held { files: vec![file] }),
            None => Err(gave_up(&[path], deadline)),
        }
    }
}

/// Takes the lock of the repository with that common dir; a holder that dies frees it. Tells when
/// the wait is long.
///
/// # Errors
/// The wait took longer than the timeout, or the lock cannot be had at all.
pub fn acquire(common_dir: &Path, options: &LockOptions<'_>) -> Result<Held> {
    Held::one(
        common_dir,
        Deadline::after(options.timeout),
        options.narrator,
    )
}

impl Held {
    /// Takes the locks of these shared clones too, where that takes no waiting; `None` if it does, or
    /// if one cannot be had.
    pub fn and_at_once(mut self, common_dirs: &[&Path]) -> Option<Held> {
        for common_dir in common_dirs {
            let path = path(common_dir);
            let file = lock(&path, RwLock::try_write).ok()?;
            if !is_at(&path, &file).ok()? {
                return None;
            }
            self.files.push(file);
        }
        Some(self)
    }
}

/// Takes the locks of these shared clones, in the order of the lock files' device and inode, so that
/// two processes that take several never wait for each other. The lock of another clone than `own`
/// that cannot be had at all is a warning; one that is held too long is an error, as its holder is
/// about to write ports that would not be seen.
///
/// # Errors
/// As [`acquire`], for the lock of `own`; the deadline has passed.
pub fn acquire_all(
    own: &Path,
    common_dirs: &[&Path],
    deadline: Deadline,
    narrator: &Narrator,
) -> Result<Held> {
    let warn = |clone: &Path, error: Error| {
        narrator.warn(error.remedy(format!(
            "if it is not to share its ports, run `{}`",
            clones::removal(clone)
        )));
    };
    // The one lock of a clone that is not shared needs no order.
    if let [only] = common_dirs {
        return Held::one(only, deadline, narrator);
    }
    let mut wanted = BTreeMap::new();
    for &clone in common_dirs {
        let path = path(clone);
        match open(&path).and_then(|file| Identity::of(&file)) {
            Ok(identity) => {
                // A second path to one file would wait for the first.
                wanted.insert(identity, clone);
            }
            Err(error) if clone == own => return Err(cannot_lock(&path, &error)),
            Err(error) => warn(clone, cannot_lock(&path, &error)),
        }
    }
    let mut files = Vec::with_capacity(wanted.len());
    let mut held_by_others = Vec::new();
    for clone in wanted.into_values() {
        let path = path(clone);
        match acquire_one(&path, deadline, narrator) {
            Ok(Some(file)) => files.push(file),
            // The others are tried all the same, for the error to name whoever holds them.
            Ok(None) => held_by_others.push(path),
            Err(error) if clone == own => return Err(error),
            Err(error) => warn(clone, error),
        }
    }
    if held_by_others.is_empty() {
        Ok(Held { files })
    } else {
        Err(gave_up(&held_by_others, deadline))
    }
}

/// When a wait ends.
#[derive(Clone, Copy)]
pub struct Deadline {
    timeout: Duration,
    at: Instant,
}

impl Deadline {
    /// The deadline of a wait that starts now.
    pub fn after(timeout: Duration) -> Deadline {
        let now = Instant::now();
        // Later than the clock can say is a year, the longest that anybody waits.
        let year = Duration::from_secs(365 * 24 * 60 * 60);
        Deadline {
            timeout,
            at: now.checked_add(timeout).unwrap_or_else(|| now + year),
        }
    }

    fn left(self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }
}

/// Takes one lock; `None` if the deadline passes.
fn acquire_one(path: &Path, deadline: Deadline, narrator: &Narrator) -> Result<Option<File>> {
    loop {
        let file = match lock(path, RwLock::try_write) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                match wait(path, deadline, narrator) {
                    Ok(Some(file)) => file,
                    Ok(None) => return Ok(None),
                    Err(error) => return Err(cannot_lock(path, &error)),
                }
            }
            Err(error) => return Err(cannot_lock(path, &error)),
        };
        // Whoever removed the file while it was held let the next one lock a new file.
        match is_at(path, &file) {
            Ok(true) => return Ok(Some(file)),
            Ok(false) => {}
            Err(error) => return Err(cannot_lock(path, &error)),
        }
    }
}

/// Waits for the lock in the kernel; `None` if the deadline passes.
fn wait(path: &Path, deadline: Deadline, narrator: &Narrator) -> io::Result<Option<File>> {
    if deadline.left().is_zero() {
        return Ok(None);
    }
    // flock(2) has no timeout, so another thread blocks in it while this one watches the clock.
    // Given up, that thread ends with the process, or closes the file that it gets too late.
    let (sender, receiver) = mpsc::channel();
    let place = path.to_owned();
    thread::Builder::new().spawn(move || sender.send(lock(&place, RwLock::write)))?;

    let answer = receiver
        .recv_timeout(SILENCE.min(deadline.left()))
        .or_else(|_| {
            if !deadline.left().is_zero() {
                narrator.tell(format_args!(
                    "waiting for the lock {}{}",
                    quoted(path),
                    holder(path)
                ));
            }
            receiver.recv_timeout(deadline.left())
        });
    answer.ok().transpose()
}

/// Opens the lock file and locks it by `method`; the lock lasts until the file is closed.
fn lock(
    path: &Path,
    method: impl for<'a> Fn(&'a mut RwLock<File>) -> io::Result<RwLockWriteGuard<'a, File>>,
) -> io::Result<File> {
    let mut lock = RwLock::new(open(path)?);
    loop {
        match method(&mut lock) {
            // The guard borrows the lock and would let go of it here.
            Ok(guard) => mem::forget(guard),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        return Ok(lock.into_inner());
    }
}

/// Opens the lock file, and makes it if it is missing. It is never removed or renamed: two files
/// of that name, one after the other, are two locks.
#[expect(
    clippy::disallowed_methods,
    reason = "the lock file, which is in the common dir"
)]
fn open(path: &Path) -> io::Result<File> {
    match OpenOptions::new().read(true).write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(path),
        // A sandbox that mounts `.git` read-only: a lock needs no write access.
        Err(error) if is_write_refused(&error) => File::open(path).map_err(|_| error),
        answer => answer,
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the lock file, which is in the common dir"
)]
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
    access::share(common_dir, path, |common| {
        if common & 0o020 == 0 { 0o600 } else { 0o660 }
    });
    Ok(file)
}

/// Makes this program's directory in the common dir, with the access that the common dir gives.
pub fn make_directory(common_dir: &Path) -> io::Result<PathBuf> {
    let directory = common_dir.join(DIRECTORY);
    access::create_dir(common_dir, &directory)?;
    Ok(directory)
}

/// Removes that directory again, unless it holds the lock or anything else.
pub fn remove_directory_if_empty(common_dir: &Path) {
    // Refused where it is not empty.
    let _ = fs::remove_dir(common_dir.join(DIRECTORY));
}

/// Whether `path` still names `file`.
fn is_at(path: &Path, file: &File) -> io::Result<bool> {
    match Identity::at(path) {
        Ok(there) => Ok(there == Identity::of(file)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn gave_up(paths: &[PathBuf], deadline: Deadline) -> Error {
    let locks: Vec<String> = paths
        .iter()
        .map(|path| format!("{}{}", quoted(path), holder(path)))
        .collect();
    Error::new(format!(
        "gave up after {} s on the lock {}",
        deadline.timeout.as_secs(),
        locks.join(", and on the lock ")
    ))
    .remedy(
        "run `worktree-ports-hook` when that is done; \
         `WORKTREE_PORTS_LOCK_TIMEOUT` is how many seconds to wait",
    )
}

fn cannot_lock(path: &Path, error: &io::Error) -> Error {
    let told = Error::at("lock", path, error);
    if is_write_refused(error) {
        told.remedy("the lock file is made once, where the directory can be written: run `worktree-ports-hook` there")
    } else if error.kind() == io::ErrorKind::Unsupported || is_lockless(error) {
        told.remedy("move the repository to a file system that supports locks (flock)")
    } else if is_own_shortage(error) || error.kind() == io::ErrorKind::WouldBlock {
        told.remedy("run `worktree-ports-hook` when the machine has descriptors, threads and memory to spare")
    } else {
        told
    }
}

/// ENOLCK: what NFS answers where no lock daemon runs.
fn is_lockless(error: &io::Error) -> bool {
    #[cfg(unix)]
    let is_enolck = error.raw_os_error() == Some(libc::ENOLCK);
    #[cfg(not(unix))]
    let is_enolck = false;
    is_enolck
}

/// `, held by process 4711 (…)`, where the system tells.
#[expect(clippy::disallowed_methods, reason = "a file of the kernel's")]
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
#[expect(clippy::disallowed_methods, reason = "a file of the kernel's")]
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

#[cfg(test)]
mod tests;
