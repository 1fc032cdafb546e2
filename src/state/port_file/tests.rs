//! Tests of `port_file`: writing. Whose file it is, the tests of `reservation` say.

use super::*;
use crate::git::fixture;
use crate::ports::{Bundle, Port, ServiceName, Slot};

fn reservation() -> Reservation {
    Reservation {
        worktree: Some("a".to_owned()),
        bundle: Bundle {
            slot: Some(Slot(1)),
            ports: vec![(ServiceName::new("a"), Port::new(8100).unwrap())],
        },
        urls: Vec::new(),
    }
}

fn with_root(test: impl Fn(&Held, &Path)) {
    let directory = tempfile::tempdir().unwrap();
    let held = fixture::hold(directory.path());
    let root = directory.path().join("root");
    fs::create_dir(&root).unwrap();
    test(&held, &root);
}

fn is_own(root: &Path) -> bool {
    let state = look(root, Some("a"), |_| Ok(false)).unwrap();
    matches!(state, State::Own(own) if own == reservation())
}

#[test]
fn the_old_file_is_there_until_the_new_one_has_its_name() {
    with_root(|held, root| {
        fs::write(root.join(NAME), "old").unwrap();
        let pending = prepare(held, root, &reservation(), |_| Ok(false)).unwrap();
        assert_eq!(fs::read(root.join(NAME)).unwrap(), b"old");
        pending.commit().unwrap();
        assert!(is_own(root) && !root.join(TEMPORARY_NAME).exists());
    });
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_replaced_and_what_a_link_leads_to_is_not() {
    type Put = fn(&Path, &Path);
    let table: [Put; 4] = [
        |at, other| std::os::unix::fs::symlink(other, at).unwrap(),
        |at, _| std::os::unix::fs::symlink("nowhere", at).unwrap(),
        |at, _| fs::create_dir(at).unwrap(),
        |at, _| drop(std::os::unix::net::UnixListener::bind(at).unwrap()),
    ];
    for put in table {
        with_root(|held, root| {
            let other = root.join("other");
            fs::write(&other, "other").unwrap();
            put(&root.join(NAME), &other);
            let pending = prepare(held, root, &reservation(), |_| Ok(false)).unwrap();
            pending.commit().unwrap();
            assert!(is_own(root));
            assert_eq!(fs::read(&other).unwrap(), b"other");
        });
    }
}

#[test]
fn a_directory_with_something_in_it_is_left_alone_and_no_temporary_file_is_left() {
    with_root(|held, root| {
        let kept = root.join(NAME).join("kept");
        fs::create_dir(root.join(NAME)).unwrap();
        fs::write(&kept, "").unwrap();
        let prepared = prepare(held, root, &reservation(), |_| Ok(false));
        let error = prepared.map(drop).unwrap_err().to_string();
        assert!(error.contains(NAME), "{error}");
        assert!(kept.exists() && !root.join(TEMPORARY_NAME).exists());
    });
}

#[test]
fn a_temporary_file_that_a_kill_left_is_replaced_and_one_that_git_tracks_is_not() {
    with_root(|held, root| {
        let temporary = root.join(TEMPORARY_NAME);
        fs::write(&temporary, "left").unwrap();
        let error = prepare(
            held,
            root,
            &reservation(),
            |name| Ok(name == TEMPORARY_NAME),
        );
        let error = error.err().unwrap().to_string();
        assert!(error.contains("git tracks"), "{error}");
        assert_eq!(fs::read(&temporary).unwrap(), b"left");
        let pending = prepare(held, root, &reservation(), |_| Ok(false)).unwrap();
        pending.commit().unwrap();
        assert!(is_own(root));
    });
}

#[test]
fn whether_git_tracks_it_is_asked_with_whether_something_lies_there() {
    with_root(|_, root| {
        for is_there in [false, true] {
            if is_there {
                fs::write(root.join(NAME), "{").unwrap();
            }
            let state = look(root, Some("a"), |asked| {
                assert_eq!(asked, is_there);
                Ok(true)
            });
            assert!(matches!(state, Ok(State::Tracked)));
            look(root, Some("a"), |_| Err(Error::new("asked"))).unwrap_err();
        }
    });
}

#[test]
fn the_file_and_its_temporary_name_are_removed_where_they_are_there() {
    with_root(|held, root| {
        remove(held, root, |_| Ok(false)).unwrap();
        fs::write(root.join(NAME), "").unwrap();
        fs::write(root.join(TEMPORARY_NAME), "").unwrap();
        remove(held, root, |_| Ok(false)).unwrap();
        assert!(!root.join(NAME).exists() && !root.join(TEMPORARY_NAME).exists());
    });
}
