//! Tests of `lock`.

use std::sync::Barrier;

use tempfile::TempDir;

use super::*;

/// A lock that was let go of can be held a little longer: a program that another test starts has all
/// descriptors of this process until it runs. So whoever is to get a lock a second time waits.
const LONG: Duration = Duration::from_secs(600);

fn wait_at_most<T>(timeout: Duration, acquire: impl FnOnce(&LockOptions<'_>) -> T) -> T {
    let narrator = Narrator::default();
    acquire(&LockOptions {
        timeout,
        narrator: &narrator,
    })
}

fn acquire_within(common_dir: &Path, timeout: Duration) -> Result<Held> {
    wait_at_most(timeout, |options| acquire(common_dir, options))
}

fn acquire_all_within(own: &Path, all: &[&Path], timeout: Duration) -> Result<Held> {
    let deadline = Deadline::after(timeout);
    acquire_all(own, all, deadline, &Narrator::default())
}

fn files(held: &Held) -> &[File] {
    &held.files
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
fn with_a_timeout_of_0_a_lock_that_is_free_is_had_and_one_that_is_held_is_not() {
    let common_dir = tempfile::tempdir().unwrap();
    let held = acquire_within(common_dir.path(), Duration::ZERO).unwrap();
    let error = acquire_within(common_dir.path(), Duration::ZERO)
        .err()
        .unwrap();
    let error = error.to_string();
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
fn a_lock_file_that_was_replaced_while_it_was_waited_for_is_not_the_lock() {
    let common_dir = tempfile::tempdir().unwrap();
    let path = path(common_dir.path());
    let held = acquire_within(common_dir.path(), LONG).unwrap();
    let opened = open(&path).unwrap();
    assert!(is_at(&path, &opened).unwrap());
    fs::remove_file(&path).unwrap();
    assert!(!is_at(&path, &opened).unwrap());
    let new = acquire_within(common_dir.path(), Duration::ZERO).unwrap();
    assert!(!is_at(&path, &opened).unwrap());
    drop(held);
    acquire_within(common_dir.path(), Duration::ZERO)
        .err()
        .unwrap();
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
    let [file] = files(&got) else {
        panic!("one file");
    };
    assert!(is_at(&path, file).unwrap());
    acquire_within(common_dir.path(), Duration::ZERO)
        .err()
        .unwrap();
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
        acquire_within(common_dir.path(), Duration::ZERO)
            .err()
            .unwrap();
        assert_eq!(open_files(), 1);
        drop(held);
    }
    assert_eq!(open_files(), 0);
}

#[test]
fn several_locks_that_threads_name_in_different_orders_never_wait_for_each_other_in_a_circle() {
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
                    let held = acquire_all_within(order[0], &order, LONG);
                    assert_eq!(files(&held.unwrap()).len(), 3);
                }
            });
        }
    });
}

#[test]
fn a_clone_that_is_named_twice_is_locked_once_and_one_that_cannot_be_locked_is_left_out() {
    let own = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    let list = [
        other.path().to_owned(),
        other.path().join("."),
        own.path().to_owned(),
        other.path().join("is/not/there"),
    ];
    let list = list.each_ref().map(PathBuf::as_path);
    let held = acquire_all_within(own.path(), &list, Duration::ZERO);
    assert_eq!(files(&held.unwrap()).len(), 2);
}

#[test]
fn the_error_names_every_one_of_several_locks_that_is_held() {
    let [own, held, free] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let list = [own.path(), held.path(), free.path()];
    let all = || acquire_all_within(own.path(), &list, Duration::ZERO);
    let _one = acquire_within(held.path(), LONG).unwrap();
    let error = all().err().unwrap().to_string();
    assert!(error.contains(&quoted(&path(held.path()))), "{error}");
    for other in [&own, &free] {
        assert!(!error.contains(&quoted(&path(other.path()))), "{error}");
    }
    let _other = acquire_within(own.path(), LONG).unwrap();
    let error = all().err().unwrap().to_string();
    for held in [&held, &own] {
        assert!(error.contains(&quoted(&path(held.path()))), "{error}");
    }
}

#[test]
fn a_timeout_beyond_what_the_clock_can_say_is_no_panic() {
    let common_dir = tempfile::tempdir().unwrap();
    acquire_within(common_dir.path(), Duration::MAX).unwrap();
}

#[cfg(unix)]
#[test]
fn the_lock_file_is_its_owners_alone_unless_a_group_may_write_the_common_dir() {
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
