//! Tests of `staged`.

use std::fs;

use tempfile::TempDir;

use super::*;

fn opened() -> (TempDir, Dir) {
    let directory = tempfile::tempdir().unwrap();
    let dir = Dir::open(directory.path()).unwrap();
    (directory, dir)
}

/// The names in the directory, sorted.
fn names(dir: &Dir) -> Vec<String> {
    let entries = fs::read_dir(dir.path()).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn text(dir: &Dir, name: &str) -> String {
    fs::read_to_string(dir.path_of(name)).unwrap()
}

fn original(dir: &Dir, name: &str) -> Original {
    Original::read(dir, name, 1000, None).unwrap()
}

#[test]
fn a_file_has_its_temporary_name_until_it_replaces_the_old_one() {
    let (_directory, dir) = opened();
    fs::write(dir.path_of("a"), "old").unwrap();
    let staged = Staged::prepare(&dir, "a", b"new", Access::New).unwrap();
    assert_eq!(
        (text(&dir, "a"), text(&dir, &temporary("a"))),
        ("old".into(), "new".into())
    );
    staged.commit().unwrap();
    assert_eq!(text(&dir, "a"), "new");
    assert_eq!(names(&dir), ["a"]);
}

#[test]
fn one_that_is_dropped_or_cannot_be_renamed_leaves_nothing() {
    let (_directory, dir) = opened();
    drop(Staged::prepare(&dir, "a", b"x", Access::New).unwrap());
    assert_eq!(names(&dir), [""; 0]);
    fs::create_dir(dir.path_of("a")).unwrap();
    let prepare = || Staged::prepare(&dir, "a", b"x", Access::New).unwrap();
    prepare().commit().unwrap_err();
    assert!(!prepare().commit_new().unwrap());
    assert_eq!(names(&dir), ["a"]);
}

#[test]
fn a_new_file_never_takes_the_place_of_another() {
    let (_directory, dir) = opened();
    let prepare = || Staged::prepare(&dir, "a", b"new", Access::New).unwrap();
    assert!(prepare().commit_new().unwrap());
    fs::write(dir.path_of("a"), "another's").unwrap();
    assert!(!prepare().commit_new().unwrap());
    assert_eq!(text(&dir, "a"), "another's");
    #[cfg(unix)]
    {
        fs::remove_file(dir.path_of("a")).unwrap();
        std::os::unix::fs::symlink("nowhere", dir.path_of("a")).unwrap();
        assert!(!prepare().commit_new().unwrap());
        assert!(dir.path_of("a").is_symlink());
    }
    assert_eq!(names(&dir), ["a"]);
}

#[test]
fn leftovers_are_removed_also_those_of_a_file_rewritten_when_killed() {
    let (_directory, dir) = opened();
    assert!(!remove_leftover(&dir, "a").unwrap());
    for left in [temporary("a"), temporary(&temporary("a"))] {
        fs::write(dir.path_of(&left), "").unwrap();
        assert!(remove_leftover(&dir, "a").unwrap(), "{left}");
    }
    assert_eq!(names(&dir), [""; 0]);
    let occupied = dir.path_of(&temporary("a"));
    fs::create_dir(&occupied).unwrap();
    remove_leftover(&dir, "a").unwrap_err();
    assert!(Staged::prepare(&dir, "a", b"x", Access::New).is_err());
    assert_eq!(names(&dir), [temporary("a")]);
}

#[test]
fn a_file_that_changed_in_any_way_is_not_the_one_that_was_read() {
    let (_directory, dir) = opened();
    let path = dir.path_of("a");
    let save_anew = |text: &str| {
        fs::write(dir.path_of("saved"), text).unwrap();
        fs::rename(dir.path_of("saved"), &path).unwrap();
    };
    let changes: [&dyn Fn(); 6] = [
        &|| fs::write(&path, "other").unwrap(),
        &|| fs::write(&path, "text, appended").unwrap(),
        &|| fs::write(&path, "").unwrap(),
        // The same text in another file, as an editor saves it.
        &|| save_anew("text"),
        &|| fs::remove_file(&path).unwrap(),
        &|| {
            fs::remove_file(&path).unwrap();
            fs::create_dir(&path).unwrap();
        },
    ];
    for (number, change) in (0..).zip(changes) {
        fs::write(&path, "text").unwrap();
        let original = original(&dir, "a");
        let is_unchanged = || original.is_unchanged(&dir, "a", &Patience::default());
        assert!(is_unchanged(), "{number}");
        change();
        assert!(!is_unchanged(), "{number}");
    }
}

#[test]
fn a_file_that_is_too_large_or_not_regular_is_not_read() {
    let (_directory, dir) = opened();
    fs::write(dir.path_of("a"), "12345").unwrap();
    let read = |name: &str, limit| Original::read(&dir, name, limit, None);
    assert_eq!(read("a", 5).unwrap().bytes, b"12345");
    let error = read("a", 4).err().unwrap();
    assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    fs::create_dir(dir.path_of("b")).unwrap();
    assert!(read("b", 5).is_err());
    assert_eq!(read("c", 5).err().unwrap().kind(), io::ErrorKind::NotFound);
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
    use std::path::Path;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn owner(path: &Path) -> (u32, u32) {
        let metadata = fs::metadata(path).unwrap();
        (metadata.uid(), metadata.gid())
    }

    #[test]
    fn a_leftover_of_any_kind_is_replaced_and_no_link_is_followed() {
        type Leave = fn(&Path, &Path);
        let table: [Leave; 3] = [
            |at, _| fs::write(at, "a longer leftover").unwrap(),
            |at, other| symlink(other, at).unwrap(),
            |at, other| fs::hard_link(other, at).unwrap(),
        ];
        for leave in table {
            let (_directory, dir) = opened();
            let other = dir.path_of("other");
            fs::write(&other, "other").unwrap();
            leave(&dir.path_of(&temporary("a")), &other);
            let staged = Staged::prepare(&dir, "a", b"new", Access::New).unwrap();
            assert!(
                dir.path_of(&temporary("a"))
                    .symlink_metadata()
                    .unwrap()
                    .is_file()
            );
            staged.commit().unwrap();
            assert_eq!(
                (text(&dir, "a"), text(&dir, "other")),
                ("new".into(), "other".into())
            );
        }
    }

    #[test]
    fn a_file_keeps_its_mode_and_a_new_one_gets_that_of_any_new_file() {
        let (_directory, dir) = opened();
        let path = dir.path_of("a");
        for wanted in [0o600, 0o640, 0o444, 0o755, 0o666] {
            fs::write(&path, "old").unwrap();
            chmod(&path, wanted);
            let original = original(&dir, "a");
            let staged = original.stage(&dir, "a", b"new").unwrap();
            assert_eq!(mode(&dir.path_of(&temporary("a"))), wanted);
            staged.commit().unwrap();
            assert_eq!((mode(&path), text(&dir, "a")), (wanted, "new".into()));
            fs::remove_file(&path).unwrap();
        }
        Staged::prepare(&dir, "new", b"", Access::New)
            .unwrap()
            .commit()
            .unwrap();
        fs::write(dir.path_of("plain"), "").unwrap();
        assert_eq!(mode(&dir.path_of("new")), mode(&dir.path_of("plain")));
    }

    #[test]
    fn a_shared_file_has_its_mode_whatever_the_umask() {
        let (_directory, dir) = opened();
        for wanted in [0o666, 0o660, 0o600] {
            let access = Access::Shared(dir.stat().unwrap(), wanted);
            Staged::prepare(&dir, "a", b"", access)
                .unwrap()
                .commit()
                .unwrap();
            assert_eq!(mode(&dir.path_of("a")), wanted);
        }
    }

    #[test]
    #[ignore = "needs root"]
    fn what_root_writes_belongs_to_whom_the_file_or_directory_belongs() {
        let (_directory, dir) = opened();
        chown(dir.path(), Some(1234), Some(1235)).unwrap();
        Staged::prepare(&dir, "new", b"", Access::New)
            .unwrap()
            .commit()
            .unwrap();
        let access = Access::Shared(dir.stat().unwrap(), 0o640);
        Staged::prepare(&dir, "shared", b"", access)
            .unwrap()
            .commit()
            .unwrap();
        for name in ["new", "shared"] {
            assert_eq!(owner(&dir.path_of(name)), (1234, 1235), "{name}");
        }
        fs::write(dir.path_of("a"), "").unwrap();
        chown(dir.path_of("a"), Some(2345), Some(2346)).unwrap();
        chmod(&dir.path_of("a"), 0o4750);
        original(&dir, "a")
            .stage(&dir, "a", b"new")
            .unwrap()
            .commit()
            .unwrap();
        assert_eq!(owner(&dir.path_of("a")), (2345, 2346));
        assert_eq!(mode(&dir.path_of("a")), 0o4750);
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io::{BufRead, BufReader};
    use std::path::Path;
    use std::process::{Child, Command, Stdio};
    use std::thread;
    use std::time::Instant;

    use rustix::fs::{XattrFlags, getxattr, setxattr};

    use super::*;
    use crate::files::dir::is_open_for_writing;

    const LIST: &str = "system.posix_acl_access";

    /// An access control list as the kernel has it: user, `named` user 4242, group, mask, others.
    fn access_list(named: u16) -> Vec<u8> {
        let mut list = 2_u32.to_le_bytes().to_vec();
        let entries = [
            (1, 6, u32::MAX),
            (2, named, 4242),
            (4, 4, u32::MAX),
            (16, 6, u32::MAX),
            (32, 0, u32::MAX),
        ];
        for (tag, rights, id) in entries {
            list.extend(u16::to_le_bytes(tag));
            list.extend(u16::to_le_bytes(rights));
            list.extend(u32::to_le_bytes(id));
        }
        list
    }

    fn list_of(path: &Path) -> Option<Vec<u8>> {
        let mut list = vec![0; 1000];
        let length = getxattr(path, LIST, &mut list[..]).ok()?;
        list.truncate(length);
        Some(list)
    }

    #[test]
    fn a_file_keeps_its_access_control_list() {
        let (_directory, dir) = opened();
        let path = dir.path_of("a");
        fs::write(&path, "").unwrap();
        setxattr(&path, LIST, &access_list(6), XattrFlags::empty()).unwrap();
        let before = (list_of(&path), dir.look("a").unwrap().unwrap().mode);
        assert_eq!(before.0.as_deref(), Some(&access_list(6)[..]));
        original(&dir, "a")
            .stage(&dir, "a", b"new")
            .unwrap()
            .commit()
            .unwrap();
        assert_eq!(
            (list_of(&path), dir.look("a").unwrap().unwrap().mode),
            before
        );
    }

    #[test]
    fn the_default_list_of_a_directory_does_not_reach_a_file_without() {
        let (_directory, dir) = opened();
        let path = dir.path_of("a");
        fs::write(&path, "").unwrap();
        let before = dir.look("a").unwrap().unwrap().mode;
        let default = "system.posix_acl_default";
        setxattr(dir.path(), default, &access_list(7), XattrFlags::empty()).unwrap();
        fs::write(dir.path_of("new"), "").unwrap();
        assert!(list_of(&dir.path_of("new")).is_some(), "new files get one");
        original(&dir, "a")
            .stage(&dir, "a", b"new")
            .unwrap()
            .commit()
            .unwrap();
        assert_eq!(
            (list_of(&path), dir.look("a").unwrap().unwrap().mode),
            (None, before)
        );
    }

    /// A program that has the file open for writing until it is told to end.
    struct Writer(Child);

    impl Writer {
        fn of(path: &Path) -> Writer {
            let script = "exec 3>>\"$1\"; echo open; read end";
            let mut child = Command::new("sh")
                .args(["-c", script, "sh"])
                .arg(path)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut line = String::new();
            let stdout = child.stdout.as_mut().unwrap();
            BufReader::new(stdout).read_line(&mut line).unwrap();
            assert_eq!(line, "open\n");
            Writer(child)
        }

        fn end(mut self) {
            drop(self.0.stdin.take());
            self.0.wait().unwrap();
        }
    }

    #[test]
    fn a_file_is_open_for_writing_exactly_while_a_program_has_it_so() {
        let (_directory, dir) = opened();
        fs::write(dir.path_of("a"), "").unwrap();
        let (file, _) = dir.open_file("a").unwrap();
        // A program that another test starts has all descriptors of this process until it runs.
        let wait_until_closed = || {
            let deadline = Instant::now() + Duration::from_secs(60);
            while is_open_for_writing(&file) {
                assert!(Instant::now() < deadline, "it is still open");
                thread::yield_now();
            }
        };
        wait_until_closed();
        let writer = Writer::of(&dir.path_of("a"));
        // No lease stays: whoever opens the file now would wait for its end.
        for _ in 0..3 {
            assert!(is_open_for_writing(&file));
        }
        writer.end();
        wait_until_closed();
        Writer::of(&dir.path_of("a")).end();
        wait_until_closed();
    }

    #[test]
    fn a_command_waits_for_writers_no_longer_than_its_patience() {
        let (_directory, dir) = opened();
        fs::write(dir.path_of("a"), "").unwrap();
        let patience = Patience::default();
        let read = || Original::read(&dir, "a", 10, Some(&patience));
        let writer = Writer::of(&dir.path_of("a"));
        let before = patience.0.get();
        assert_eq!(read().err().unwrap().kind(), io::ErrorKind::WouldBlock);
        assert!(before <= Duration::from_secs(1) && patience.0.get() < before / 50);
        // Used up, it is used up for the rest of the command.
        let left = patience.0.get();
        assert!(read().is_err() && patience.0.get() == left);
        writer.end();
    }

    #[test]
    fn a_file_that_somebody_has_begun_to_write_counts_as_changed() {
        let (_directory, dir) = opened();
        fs::write(dir.path_of("a"), "text").unwrap();
        let original = original(&dir, "a");
        let writer = Writer::of(&dir.path_of("a"));
        let impatient = Patience(Cell::new(Duration::ZERO));
        assert!(!original.is_unchanged(&dir, "a", &impatient));
        writer.end();
        assert!(original.is_unchanged(&dir, "a", &Patience::default()));
    }
}
