//! Tests of `lock`.

use std::sync::Barrier;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::git::fixture::session_within;

/// A lock that was let go of can be held a little longer: a program that another test starts has all
/// descriptors of this process until it runs. So whoever is to get a lock a second time waits.
const LONG: Duration = Duration::from_secs(600);

fn acquire_within(common_dir: &Path, timeout: Duration) -> Result<Held> {
    acquire(common_dir, &session_within(timeout))
}

fn error_of(common_dir: &Path) -> String {
    let error = acquire_within(common_dir, Duration::ZERO).err();
    error.unwrap().to_string()
}

#[test]
fn a_counter_that_many_threads_raise_under_the_lock_misses_none() {
    const THREADS: u32 = 8;
    const TIMES: u32 = 50;
    let common_dir = tempfile::tempdir().unwrap();
    let counter = common_dir.path().join("counter");
    fs::write(&counter, "0").unwrap();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..TIMES {
                    let _held = acquire_within(common_dir.path(), LONG).unwrap();
                    let count: u32 = fs::read_to_string(&counter).unwrap().parse().unwrap();
                    thread::yield_now();
                    fs::write(&counter, (count + 1).to_string()).unwrap();
                }
            });
        }
    });
    let count = fs::read_to_string(&counter).unwrap();
    assert_eq!(count, (THREADS * TIMES).to_string());
}

#[test]
fn with_a_timeout_of_0_a_held_lock_is_an_error_at_once() {
    let common_dir = tempfile::tempdir().unwrap();
    let held = acquire_within(common_dir.path(), Duration::ZERO).unwrap();
    let error = error_of(common_dir.path());
    assert!(
        error.starts_with("gave up after 0 s on the lock `"),
        "{error}"
    );
    #[cfg(target_os = "linux")]
    assert!(
        error.contains(&format!("held by process {}", std::process::id())),
        "{error}"
    );
    drop(held);
    acquire_within(common_dir.path(), LONG).unwrap();
}

/// Whoever waits for a file that is removed while it is held has the lock of a file that nobody
/// else will open. Before Windows 10, and under wine, the name stays as long as the file is open.
#[cfg(unix)]
#[test]
fn a_lock_file_that_was_replaced_is_not_the_lock() {
    let common_dir = tempfile::tempdir().unwrap();
    let common_dir = common_dir.path();
    let held = acquire_within(common_dir, LONG).unwrap();
    assert!(is_current(common_dir, &held.files[0]).unwrap());
    fs::remove_file(path(common_dir)).unwrap();
    let new = acquire_within(common_dir, Duration::ZERO).unwrap();
    assert!(!is_current(common_dir, &held.files[0]).unwrap());
    drop(held);
    error_of(common_dir);
    drop(new);
}

#[test]
fn a_waiter_ends_up_with_the_file_that_the_path_names() {
    let common_dir = tempfile::tempdir().unwrap();
    let path = path(common_dir.path());
    let held = acquire_within(common_dir.path(), LONG).unwrap();
    let got = thread::scope(|scope| {
        let waiter = scope.spawn(|| acquire_within(common_dir.path(), LONG).unwrap());
        // Whether the waiter has the old file open by now or not, it is to lock the new one.
        fs::rename(&path, common_dir.path().join("old")).unwrap();
        drop(held);
        waiter.join().unwrap()
    });
    assert_eq!(got.files.len(), 1);
    assert!(is_current(common_dir.path(), &got.files[0]).unwrap());
    error_of(common_dir.path());
}

#[cfg(target_os = "linux")]
#[test]
fn no_descriptor_outlives_its_lock() {
    let common_dir = tempfile::tempdir().unwrap();
    let inode = || {
        use std::os::unix::fs::MetadataExt;
        fs::metadata(path(common_dir.path())).unwrap().ino()
    };
    // Other tests open files meanwhile, so that only those of this lock are counted.
    let open_files = || {
        use std::os::unix::fs::MetadataExt;
        let descriptors = fs::read_dir("/proc/self/fd").unwrap().flatten();
        descriptors
            .filter(|descriptor| {
                fs::metadata(descriptor.path()).is_ok_and(|file| file.ino() == inode())
            })
            .count()
    };
    for _ in 0..200 {
        let held = acquire_within(common_dir.path(), LONG).unwrap();
        error_of(common_dir.path());
        assert_eq!(open_files(), 1);
        drop(held);
    }
    assert_eq!(open_files(), 0);
}

#[test]
fn locks_that_are_named_in_different_orders_never_deadlock() {
    let clones: [TempDir; 3] = std::array::from_fn(|_| tempfile::tempdir().unwrap());
    let paths = clones.each_ref().map(|clone| clone.path().to_owned());
    let start = Barrier::new(paths.len());
    thread::scope(|scope| {
        for first in 0..paths.len() {
            let mut order = paths.clone();
            order.rotate_left(first);
            let start = &start;
            scope.spawn(move || {
                let order = order.each_ref().map(PathBuf::as_path);
                start.wait();
                for _ in 0..100 {
                    let held = acquire_all(&order, &session_within(LONG));
                    assert_eq!(held.unwrap().files.len(), 3);
                }
            });
        }
    });
}

#[test]
fn a_clone_that_is_named_twice_is_locked_once() {
    let [one, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let again = other.path().join(".");
    let list = [other.path(), &again, one.path()];
    let held = acquire_all(&list, &session_within(Duration::ZERO));
    assert_eq!(held.unwrap().files.len(), 2);
}

#[test]
fn a_clone_that_cannot_be_locked_is_an_error_and_no_lock_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let nowhere = directory.path().join("is/not/there");
    let list = [directory.path(), &nowhere];
    let error = acquire_all(&list, &session_within(Duration::ZERO)).err();
    let error = error.unwrap().to_string();
    assert!(error.contains(&quoted(&path(&nowhere))), "{error}");
    acquire_within(directory.path(), LONG).unwrap();
}

#[test]
fn the_error_names_every_one_of_several_locks_that_is_held() {
    let [own, held, free] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let list = [own.path(), held.path(), free.path()];
    let all = || {
        let error = acquire_all(&list, &session_within(Duration::ZERO)).err();
        error.unwrap().to_string()
    };
    let _one = acquire_within(held.path(), LONG).unwrap();
    let error = all();
    assert!(error.contains(&quoted(&path(held.path()))), "{error}");
    for other in [&own, &free] {
        assert!(!error.contains(&quoted(&path(other.path()))), "{error}");
    }
    let _other = acquire_within(own.path(), LONG).unwrap();
    let error = all();
    for held in [&held, &own] {
        assert!(error.contains(&quoted(&path(held.path()))), "{error}");
    }
}

#[cfg(unix)]
#[test]
fn a_link_a_fifo_and_a_directory_are_no_lock_and_not_waited_for() {
    type Put = fn(&Path, &Path);
    let table: [(Put, &str); 4] = [
        (
            |at, other| std::os::unix::fs::symlink(other, at).unwrap(),
            "",
        ),
        (
            |at, _| std::os::unix::fs::symlink("nowhere", at).unwrap(),
            "",
        ),
        (|at, _| make_fifo(at), "it is a FIFO"),
        (|at, _| fs::create_dir(at).unwrap(), "directory"),
    ];
    for (put, cause) in table {
        let common_dir = tempfile::tempdir().unwrap();
        let (path, other) = (path(common_dir.path()), common_dir.path().join("other"));
        fs::create_dir(path.parent().unwrap()).unwrap();
        fs::write(&other, "other").unwrap();
        put(&path, &other);
        let error = error_of(common_dir.path());
        let start = format!("could not lock {}: ", quoted(&path));
        assert!(
            error.starts_with(&start) && error.contains(cause),
            "{error}"
        );
        assert!(!path.with_file_name("nowhere").exists());
    }
}

#[cfg(unix)]
#[test]
fn a_link_in_place_of_our_directory_is_not_entered() {
    let common_dir = tempfile::tempdir().unwrap();
    fs::create_dir(common_dir.path().join("elsewhere")).unwrap();
    let path = path(common_dir.path());
    std::os::unix::fs::symlink("elsewhere", path.parent().unwrap()).unwrap();
    let error = error_of(common_dir.path());
    assert!(
        error.starts_with(&format!("could not lock {}: ", quoted(&path))),
        "{error}"
    );
    assert!(!path.exists());
}

#[cfg(unix)]
fn make_fifo(at: &Path) {
    let made = std::process::Command::new("mkfifo").arg(at).status();
    assert!(made.unwrap().success());
}

#[test]
fn a_timeout_longer_than_the_clock_can_say_is_no_panic() {
    let common_dir = tempfile::tempdir().unwrap();
    acquire_within(common_dir.path(), Duration::MAX).unwrap();
}

#[cfg(unix)]
#[test]
fn the_lock_file_is_for_the_group_only_if_the_common_dir_is() {
    use std::os::unix::fs::PermissionsExt;
    for (common, expected) in [(0o755, 0o600), (0o700, 0o600), (0o775, 0o660)] {
        let common_dir = tempfile::tempdir().unwrap();
        fs::set_permissions(common_dir.path(), fs::Permissions::from_mode(common)).unwrap();
        acquire_within(common_dir.path(), LONG).unwrap();
        let mode = fs::metadata(path(common_dir.path()))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o7777, expected, "{common:o}");
    }
}
