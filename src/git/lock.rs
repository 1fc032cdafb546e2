//! The exclusive lock of a repository, held from the listing to the rename.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;

use fd_lock::{RwLock, RwLockWriteGuard};

use crate::error::{Error, ErrorKind, Result, error, if_there, quoted};
use crate::files::dir::{self, Dir, identity_of};
use crate::git::access;
use crate::git::repository::DIRECTORY;
use crate::narrator::SILENCE;
use crate::session::Session;

/// The name of the lock file in this program's directory.
const NAME: &str = "lock";

/// The path of the lock file.
pub fn path(common_dir: &Path) -> PathBuf {
    common_dir.join(DIRECTORY).join(NAME)
}

/// Proof that the lock is held: functions that need the lock take this guard. Dropping it unlocks.
pub struct Held {
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "closing a file is what unlocks it")
    )]
    files: Vec<File>,
}

/// Takes the lock of a repository; if a holder dies, the lock is free. A long wait is reported.
///
/// # Errors
/// The deadline has passed, or the lock file cannot be opened or locked.
pub fn acquire(common_dir: &Path, session: &Session) -> Result<Held> {
    acquire_all(&[common_dir], session)
}

/// Takes the locks of several clones, in the order of the lock files' device and inode, so that two
/// processes never wait for each other.
///
/// # Errors
/// As [`acquire`], for each of them: whoever holds one is about to write ports that would be missed.
pub fn acquire_all(common_dirs: &[&Path], session: &Session) -> Result<Held> {
    let mut wanted = BTreeMap::new();
    for &clone in common_dirs {
        let identity = open(clone).and_then(|file| identity_of(&file));
        // A second path to the same file would wait for the first.
        wanted.insert(identity.map_err(cannot_lock(clone))?, clone);
    }
    let (mut files, mut held_by_others) = (Vec::new(), Vec::new());
    for clone in wanted.into_values() {
        match acquire_one(clone, session)? {
            Some(file) => files.push(file),
            // The others are still tried, so that the error names all holders.
            None => held_by_others.push(shown(clone)),
        }
    }
    if held_by_others.is_empty() {
        return Ok(Held { files });
    }
    let seconds = session.deadline.timeout.as_secs();
    let locks = held_by_others.join(", and on the lock ");
    Err(
        error!("gave up after {seconds} s on the lock {locks}").remedy(
            "run `worktree-ports-hook` when that is done; \
         `WORKTREE_PORTS_LOCK_TIMEOUT` is how many seconds to wait",
        ),
    )
}

/// Takes one lock; `None` if the deadline passes.
fn acquire_one(common_dir: &Path, session: &Session) -> Result<Option<File>> {
    let cannot = || cannot_lock(common_dir);
    loop {
        let file = match lock(common_dir, RwLock::try_write) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                wait(common_dir, session).map_err(cannot())?
            }
            file => Some(file.map_err(cannot())?),
        };
        let Some(file) = file else { return Ok(None) };
        // If somebody removed the file while it was held, the next process locks a new one.
        if is_current(common_dir, &file).map_err(cannot())? {
            return Ok(Some(file));
        }
    }
}

/// Waits for the lock, blocked in the kernel; `None` if the deadline passes.
fn wait(common_dir: &Path, session: &Session) -> io::Result<Option<File>> {
    let deadline = session.deadline;
    if deadline.left().is_zero() {
        return Ok(None);
    }
    // flock(2) has no timeout, so another thread blocks in it while this one watches the clock. If
    // this one gives up, that thread ends with the process, or closes the file that it gets too
    // late.
    let (sender, receiver) = mpsc::channel();
    let place = common_dir.to_owned();
    thread::Builder::new().spawn(move || sender.send(lock(&place, RwLock::write)))?;

    let answer = receiver.recv_timeout(SILENCE.min(deadline.left()));
    let answer = answer.or_else(|_| {
        if !deadline.left().is_zero() {
            let lock = shown(common_dir);
            let narrator = &session.narrator;
            narrator.tell(format_args!("waiting for the lock {lock}"));
        }
        receiver.recv_timeout(deadline.left())
    });
    answer.ok().transpose()
}

/// Opens the lock file and locks it by `method`; the lock lasts until the file is closed.
fn lock(
    common_dir: &Path,
    method: impl for<'a> Fn(&'a mut RwLock<File>) -> io::Result<RwLockWriteGuard<'a, File>>,
) -> io::Result<File> {
    let mut lock = RwLock::new(open(common_dir)?);
    loop {
        match method(&mut lock) {
            // Dropping the guard would unlock.
            Ok(guard) => mem::forget(guard),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        return Ok(lock.into_inner());
    }
}

/// Opens the lock file, and creates it if it is missing. It is never removed or renamed: a second
/// file of that name would be a second lock.
fn open(common_dir: &Path) -> io::Result<File> {
    let common = Dir::open(common_dir)?;
    let is_missing = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    let ours = match common.enter(DIRECTORY) {
        Err(error) if is_missing(&error) => {
            access::create_dir(common_dir, &common_dir.join(DIRECTORY))?;
            common.enter(DIRECTORY)?
        }
        ours => ours?,
    };
    match ours.open_lock(NAME) {
        Err(error) if is_missing(&error) => {}
        file => return file,
    }
    // If a kill comes before the mode is set, a group that may read the file can still lock it.
    match ours.create(NAME, 0o660) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => ours.open_lock(NAME),
        file => {
            let (file, common) = (file?, common.stat()?);
            let is_for_group = common.mode & 0o020 != 0;
            dir::share(&file, &common, if is_for_group { 0o660 } else { 0o600 });
            Ok(file)
        }
    }
}

/// Removes our directory, unless the lock or anything else is in it.
pub fn remove_directory_if_empty(common_dir: &Path) {
    // This fails if it is not empty.
    let _ = fs::remove_dir(common_dir.join(DIRECTORY));
}

/// Whether `file` is still the lock file.
fn is_current(common_dir: &Path, file: &File) -> io::Result<bool> {
    Ok(identity_of(&open(common_dir)?)? == identity_of(file)?)
}

/// Why a lock cannot be taken; for `map_err`.
fn cannot_lock(common_dir: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path(common_dir);
    move |error| {
        let remedy = match ErrorKind::of(&error) {
            ErrorKind::Refused if matches!(if_there(path.symlink_metadata()), Ok(None)) => {
                "the lock file is made once, where the directory can be written: run `worktree-ports-hook` there"
            }
            ErrorKind::Refused => "give this user access to it",
            // EAGAIN: no more threads.
            kind if kind == ErrorKind::Shortage || error.kind() == io::ErrorKind::WouldBlock => {
                "run `worktree-ports-hook` when the machine has descriptors, threads and memory to spare"
            }
            _ if error.kind() == io::ErrorKind::Unsupported || is_lockless(&error) => {
                "move the repository to a file system that supports locks (flock)"
            }
            _ => return Error::could_not("lock", &path)(error),
        };
        Error::could_not("lock", &path)(error).remedy(remedy)
    }
}

/// ENOLCK: NFS without a lock daemon.
fn is_lockless(error: &io::Error) -> bool {
    #[cfg(unix)]
    let enolck = Some(libc::ENOLCK);
    #[cfg(not(unix))]
    let enolck = None;
    enolck.is_some() && error.raw_os_error() == enolck
}

/// The lock file and, if the system can say, who holds it: `…`, held by process 4711 (…).
#[expect(clippy::disallowed_methods, reason = "a file of the kernel's")]
fn shown(common_dir: &Path) -> String {
    let path = path(common_dir);
    let lock = quoted(&path);
    let Some(pid) = holder_pid(&path) else {
        return lock;
    };
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let command = String::from_utf8_lossy(&command).replace('\0', " ");
    match command.trim_end() {
        "" => format!("{lock}, held by process {pid}"),
        command => format!("{lock}, held by process {pid} ({command})"),
    }
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
