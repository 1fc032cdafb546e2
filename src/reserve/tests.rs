//! Tests of `reserve`: what is left alone, and what is written.

use std::fs;

use super::*;
use crate::config::Config;
use crate::config::file::ConfigInForce;
use crate::error::quoted;
use crate::git::fixture::{self, Fixture};
use crate::ports::fixture::bundle;
use crate::state::record::WrittenFiles;
use crate::state::reservation::Reservation;

const REQUESTS: [Request; 5] = [
    Request::Allocate,
    Request::Update,
    Request::Ensure,
    Request::Reallocate,
    Request::Adopt,
];

#[test]
fn which_request_leaves_which_file_alone() {
    let own = Reservation {
        worktree: Some("a".to_owned()),
        bundle: bundle(1, &[("a", 5100)]),
        urls: Vec::new(),
    };
    // In the order of the requests.
    let states: [(FileState, [bool; 5]); 7] = [
        // The hook brings up to date what is there, and restores nothing.
        (FileState::Missing, [false, true, false, false, false]),
        (FileState::Copied, [false, true, false, false, false]),
        (FileState::Damaged, [false, true, false, false, false]),
        (FileState::Own(own), [true, false, false, false, false]),
        (
            FileState::Unreadable("EACCES".to_owned()),
            [true, true, true, false, true],
        ),
        (
            FileState::Foreign(b"{}".to_vec()),
            [true, true, true, false, false],
        ),
        (FileState::Tracked, [true; 5]),
    ];
    for (state, expected) in states {
        let left_alone = REQUESTS.map(|request| is_to_be_left_alone(&state, request));
        assert_eq!(left_alone, expected, "{state:?}");
    }
}

#[test]
fn a_file_that_is_left_alone_is_told_with_what_helps() {
    let directory = tempfile::tempdir().unwrap();
    let worktree = fixture::linked(directory.path(), "a");
    let root = shell_word(worktree.path());
    let table = [
        (
            FileState::Tracked,
            format!("run `git -C {root} rm --cached .worktree-ports.json`"),
        ),
        (
            FileState::Unreadable("EACCES".to_owned()),
            format!("`worktree-ports-hook -C {root} --reallocate`"),
        ),
        (
            FileState::Foreign(Vec::new()),
            format!("run `worktree-ports-hook -C {root} --adopt`"),
        ),
    ];
    for (state, remedy) in table {
        let error = left_alone(&worktree, &state).to_string();
        assert!(error.contains(&remedy), "{error}");
        assert!(
            error.contains(&quoted(&worktree.root.path_of(port_file::NAME))),
            "{error}"
        );
    }
}

fn summary(wrote_port_file: bool, files: &[&str], removed: &[&str], gone_below: usize) -> Summary {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Summary {
        before: FileState::Missing,
        wrote_port_file,
        files: Done {
            told: owned(files),
            removed: owned(removed),
            ..Done::default()
        },
        gone_below,
    }
}

#[test]
fn a_summary_names_the_files_and_worktrees_that_are_gone() {
    let directory = tempfile::tempdir().unwrap();
    let worktree = fixture::linked(directory.path(), "a");
    let in_force = ConfigInForce::own(Config::default());
    let assigned = Assigned::new(&worktree, in_force, bundle(3, &[("cloud", 8300)]), None);
    let of =
        |gone_below, files: &[&str]| summary(true, files, &[], gone_below).of_allocation(&assigned);
    assert_eq!(of(0, &[]), "cloud 8300 (.worktree-ports.json)");
    assert_eq!(of(0, &[".env"]), "cloud 8300 (.worktree-ports.json, .env)");
    assert_eq!(
        of(3, &[]),
        "cloud 8300 (.worktree-ports.json) (3 worktrees that are gone hold lower slots; \
         if they are gone for good, git worktree prune frees them)"
    );
    assert_eq!(
        of(1, &[]),
        "cloud 8300 (.worktree-ports.json) (1 worktree that is gone holds a lower slot; \
         if it is gone for good, git worktree prune frees it)"
    );
}

#[test]
fn a_summary_of_an_update_names_what_was_written_and_removed() {
    type Row<'a> = (bool, &'a [&'a str], &'a [&'a str], Option<&'a str>);
    let table: [Row<'_>; 5] = [
        (false, &[], &[], None),
        (true, &[], &[], Some("updated .worktree-ports.json")),
        (
            false,
            &[".env", "a/.env"],
            &[],
            Some("updated .env, a/.env"),
        ),
        (false, &[], &["x.json"], Some("removed x.json")),
        (
            true,
            &[".env"],
            &["x"],
            Some("updated .worktree-ports.json, .env; removed x"),
        ),
    ];
    for (wrote_port_file, files, removed, expected) in table {
        let summary = summary(wrote_port_file, files, removed, 0);
        assert_eq!(summary.of_update().as_deref(), expected);
    }
}

#[test]
fn port_file_and_record_are_written_together_and_restore_each_other() {
    let fixture = Fixture::new();
    let worktree = fixture.add("a");
    let repository = fixture.repository();
    let ensure = || ensure(&repository, &worktree, &fixture.session).unwrap();
    let Outcome::Written(assigned, _) = ensure() else {
        panic!("it had none");
    };
    let recorded = worktree.record().unwrap();
    assert!(recorded.is(&assigned.record(WrittenFiles::default())));
    let Outcome::Kept(kept) = ensure() else {
        panic!("all was written");
    };
    assert_eq!(kept.reservation, assigned.reservation);

    // Either of the two brings the other back.
    fs::remove_file(worktree.record_path()).unwrap();
    assert!(matches!(ensure(), Outcome::Written(..)));
    fs::remove_file(worktree.root.path_of(port_file::NAME)).unwrap();
    let Outcome::Written(restored, _) = ensure() else {
        panic!("it was removed");
    };
    assert_eq!(restored.reservation, assigned.reservation);
}

#[test]
fn what_a_kill_left_is_reserved_and_gone_after_the_next_call() {
    let fixture = Fixture::new();
    let worktree = fixture.add("a");
    let repository = fixture.repository();
    let left = [
        worktree.git_dir.path_of(&temporary("worktree-ports.json")),
        worktree.root.path_of(&temporary(port_file::NAME)),
    ];
    let pending = "{\"worktree\": \"a\", \"slot\": 40, \"ports\": {\"cloud\": 12000}}";
    for path in &left {
        fs::write(path, pending).unwrap();
    }
    let Outcome::Written(assigned, _) = ensure(&repository, &worktree, &fixture.session).unwrap()
    else {
        panic!("it had no port file");
    };
    let restored = bundle(40, &[("cloud", 12_000)]);
    assert_eq!(assigned.reservation.bundle, restored);
    // Where all else is as it should be, too.
    for path in &left {
        assert!(!path.exists(), "{path:?}");
        fs::write(path, pending).unwrap();
        ensure(&repository, &worktree, &fixture.session).unwrap();
        assert!(!path.exists(), "{path:?}");
    }
    let recorded = worktree.record().unwrap();
    assert!(recorded.is(&assigned.record(WrittenFiles::default())));
}

#[test]
fn without_a_config_anywhere_ports_and_urls_stay_as_they_are() {
    let fixture = Fixture::new();
    let worktree = fixture.add("a");
    let own = Reservation {
        worktree: Some("a".to_owned()),
        bundle: bundle(4, &[("web", 12_300)]),
        urls: vec![("web_url".to_owned(), "http://localhost:12300".to_owned())],
    };
    let path = worktree.root.path_of(port_file::NAME);
    fs::write(&path, own.to_json()).unwrap();
    for _ in 0..2 {
        let outcome = ensure(&fixture.repository(), &worktree, &fixture.session).unwrap();
        let (Outcome::Kept(assigned) | Outcome::Written(assigned, _)) = outcome else {
            panic!("it is its own");
        };
        assert_eq!(assigned.reservation, own);
        assert_eq!(fs::read(&path).unwrap(), own.to_json());
    }
}

// Windows knows a directory by its path only.
#[test]
#[cfg(unix)]
fn a_worktree_that_was_moved_meanwhile_gets_nothing() {
    let fixture = Fixture::new();
    let worktree = fixture.add("a");
    fixture.git(&fixture.main(), &["worktree", "move", "../a", "../b"]);
    let repository = fixture.repository();
    let error = request(&repository, &worktree, Request::Allocate, &fixture.session).unwrap_err();
    assert!(
        error.to_string().contains("it was moved or removed"),
        "{error}"
    );
    assert!(!worktree.path().exists());
    assert!(!fixture.directory().join("b").join(port_file::NAME).exists());
}
