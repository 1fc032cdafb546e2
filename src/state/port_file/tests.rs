//! Tests of `port_file`: writing. Who owns a file, the tests of `reservation` say.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::files::staged::temporary;
use crate::git::fixture;
use crate::ports::fixture::bundle;

fn reservation() -> Reservation {
    Reservation {
        worktree: Some("a".to_owned()),
        bundle: bundle(1, &[("a", 8100)]),
        urls: Vec::new(),
    }
}

fn with_worktree(test: impl Fn(&Held, &Worktree)) {
    let directory = tempfile::tempdir().unwrap();
    let worktree = fixture::linked(directory.path(), "a");
    test(&fixture::hold(&worktree.common_dir), &worktree);
}

fn path(worktree: &Worktree) -> PathBuf {
    worktree.root.path_of(NAME)
}

fn temporary_path(worktree: &Worktree) -> PathBuf {
    worktree.root.path_of(&temporary(NAME))
}

fn is_own(worktree: &Worktree) -> bool {
    matches!(worktree.port_file().unwrap(), FileState::Own(own) if own == reservation())
}

#[test]
fn the_old_file_is_there_until_the_new_one_has_its_name() {
    with_worktree(|held, worktree| {
        fs::write(path(worktree), "old").unwrap();
        let staged = prepare(held, worktree, &reservation()).unwrap();
        assert_eq!(fs::read(path(worktree)).unwrap(), b"old");
        staged.commit().unwrap();
        assert!(is_own(worktree) && !temporary_path(worktree).exists());
    });
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_replaced_and_the_target_of_a_link_is_not() {
    type Put = fn(&Path, &Path);
    let table: [Put; 4] = [
        |at, other| std::os::unix::fs::symlink(other, at).unwrap(),
        |at, _| std::os::unix::fs::symlink("nowhere", at).unwrap(),
        |at, _| fs::create_dir(at).unwrap(),
        |at, _| drop(std::os::unix::net::UnixListener::bind(at).unwrap()),
    ];
    for put in table {
        with_worktree(|held, worktree| {
            let other = worktree.root.path_of("other");
            fs::write(&other, "other").unwrap();
            put(&path(worktree), &other);
            let staged = prepare(held, worktree, &reservation()).unwrap();
            staged.commit().unwrap();
            assert!(is_own(worktree));
            assert_eq!(fs::read(&other).unwrap(), b"other");
        });
    }
}

#[test]
fn a_full_directory_is_left_alone_and_no_temporary_file_is_left() {
    with_worktree(|held, worktree| {
        let kept = path(worktree).join("kept");
        fs::create_dir(path(worktree)).unwrap();
        fs::write(&kept, "").unwrap();
        let prepared = prepare(held, worktree, &reservation());
        let error = prepared.map(drop).unwrap_err().to_string();
        assert!(
            error.contains("; move that directory away and run `"),
            "{error}"
        );
        assert!(kept.exists() && !temporary_path(worktree).exists());
    });
}

#[test]
fn the_file_and_what_a_kill_left_of_one_are_removed() {
    with_worktree(|held, worktree| {
        remove(held, &worktree.root).unwrap();
        for path in [path(worktree), temporary_path(worktree)] {
            fs::write(path, "").unwrap();
        }
        remove(held, &worktree.root).unwrap();
        assert!(!path(worktree).exists() && !temporary_path(worktree).exists());
        fs::create_dir(path(worktree)).unwrap();
        remove(held, &worktree.root).unwrap();
        assert!(!path(worktree).exists());
    });
}
