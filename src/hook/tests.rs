//! Tests of `hook`.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::git::fixture::{Fixture, session_within};
use crate::git::lock;
use crate::state::port_file;

const OWN: &str = "{\"worktree\": \"a\", \"slot\": 7, \"ports\": {\"cloud\": 8700}}";
const COPIED: &str = "{\"worktree\": \"b\", \"slot\": 7, \"ports\": {\"cloud\": 8700}}";
const FOREIGN: &str = "{\"cloud\": 8700}";

fn port_file_of(worktree: &Worktree) -> PathBuf {
    worktree.root.path_of(port_file::NAME)
}

fn put(worktree: &Worktree, name: &str, content: &str) {
    fs::write(worktree.root.path_of(name), content).unwrap();
}

fn put_config(worktree: &Worktree, config: &str) {
    put(worktree, config_file::NAME, config);
}

fn own_ports(worktree: &Worktree) -> String {
    match worktree.port_file().unwrap() {
        FileState::Own(own) => own.bundle.to_string(),
        state => state.word().to_owned(),
    }
}

/// Everything in a directory but what is below `.git`, with its content.
fn files_in(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<(PathBuf, Vec<u8>)> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), fs::read(&path).unwrap_or_default()))
        .collect();
    files.sort();
    files
}

/// Runs the hook, which must take no lock and change nothing.
fn assert_silent(fixture: &Fixture, here: &Path, what: &str) {
    let before = files_in(here);
    for is_first in [true, false] {
        run(here, is_first, &fixture.session).unwrap();
    }
    assert_eq!(files_in(here), before, "{what}");
    assert!(!lock::path(&fixture.common_dir()).exists(), "{what}");
}

#[test]
fn what_the_hook_does_follows_from_who_owns_the_file() {
    const TRACKED: Result<&str, &str> = Err("git tracks");
    // The content, and the state or ports afterwards: if git does not track the file, and if it does,
    // at the first checkout and at a later one.
    let table = [
        (None, Ok("cloud"), [Ok("cloud"); 2]),
        // git is asked only before something is written there, and in a fresh worktree.
        (Some(OWN), Ok("cloud 8700"), [TRACKED, Ok("cloud 8700")]),
        (Some(FOREIGN), Ok("foreign"), [TRACKED, Ok("foreign")]),
        (Some(COPIED), Ok("cloud"), [TRACKED; 2]),
        (Some("{"), Ok("cloud"), [TRACKED; 2]),
    ];
    let cases = table
        .into_iter()
        .flat_map(|(content, untracked, [first, later])| {
            [
                (content, true, false, untracked),
                (content, false, false, untracked),
                (content, true, true, first),
                (content, false, true, later),
            ]
        });
    for (content, is_first, is_tracked, expected) in cases {
        let fixture = Fixture::new();
        let worktree = fixture.add("a");
        if let Some(content) = content {
            put(&worktree, port_file::NAME, content);
            if is_tracked {
                fixture.git(worktree.path(), &["add", "--force", port_file::NAME]);
            }
        }
        let ran = run(worktree.path(), is_first, &fixture.session);
        let ran = ran.map_err(|error| error.to_string());
        match (ran, expected) {
            (Ok(()), Ok(ports)) => {
                let own = own_ports(&worktree);
                assert!(own.starts_with(ports), "{content:?} {is_tracked}: {own}");
            }
            (Err(error), Err(part)) => {
                assert!(error.contains(part), "{content:?} {is_tracked}: {error}");
                let after = fs::read_to_string(port_file_of(&worktree)).unwrap();
                assert_eq!(Some(after.as_str()), content);
            }
            (ran, _) => panic!("{content:?} {is_tracked}: {ran:?}"),
        }
    }
}

#[test]
fn a_main_worktree_without_ports_and_other_directories_are_not_served() {
    let fixture = Fixture::new();
    for here in [fixture.main(), fixture.directory()] {
        assert_silent(&fixture, &here, "nothing is there");
    }
    let main = fixture.main_worktree();
    put_config(&main, "{\"services\": {\"web\": 13000}}");
    for content in [COPIED, "{", "", FOREIGN] {
        put(&main, port_file::NAME, content);
        assert_silent(&fixture, main.path(), content);
    }
    let linked = fixture.add("a");
    for content in [FOREIGN, OWN] {
        put(&linked, port_file::NAME, content);
        assert_silent(&fixture, linked.path(), content);
    }
}

#[test]
fn ports_that_are_up_to_date_are_left_without_lock_and_without_an_index() {
    let fixture = Fixture::new();
    let worktree = fixture.add("a");
    put_config(
        &worktree,
        "{\"services\": {\"web\": 13000}, \"env_files\": {\".env\": {\"PORT\": \"{web}\"}}}",
    );
    run(worktree.path(), false, &fixture.session).unwrap();
    assert!(own_ports(&worktree).starts_with("web "));
    let before = files_in(worktree.path());
    let _held = lock::acquire(&fixture.common_dir(), &fixture.session).unwrap();
    fs::write(worktree.git_dir.path_of("index"), "no index").unwrap();
    let session = session_within(Duration::ZERO);
    run(worktree.path(), false, &session).unwrap();
    assert_eq!(files_in(worktree.path()), before);
    // With something to write, the lock is wanted.
    put(&worktree, ".env", "");
    run(worktree.path(), false, &session).unwrap_err();
}

#[test]
fn a_branch_is_followed_and_a_detached_head_takes_nothing_away() {
    let fixture = Fixture::new();
    let worktree = fixture.add("a");
    let run = || run(worktree.path(), false, &fixture.session).unwrap();
    let both = "{\"services\": {\"web\": 13000, \"api\": 14000}, \
                 \"env_files\": {\".env\": {\"PORT\": \"{web}\", \"API_PORT\": \"{api}\"}}}";
    let one = "{\"services\": {\"web\": 13000}, \"env_files\": {\".env\": {\"PORT\": \"{web}\"}}}";
    let no_file = "{\"services\": {\"web\": 13000, \"api\": 14000}}";
    put_config(&worktree, one);
    run();
    let services = || own_ports(&worktree).split(", ").count();
    assert_eq!(services(), 1);
    // What the config gains is written while HEAD is detached, too.
    put_config(&worktree, both);
    run();
    assert_eq!(services(), 2);
    let before = files_in(worktree.path());
    for less in [one, no_file] {
        put_config(&worktree, less);
        run();
        put_config(&worktree, both);
        assert_eq!(files_in(worktree.path()), before, "{less}");
    }
    fixture.git(worktree.path(), &["switch", "--quiet", "--create", "b"]);
    put_config(&worktree, one);
    run();
    assert_eq!(services(), 1);
    let env = fs::read_to_string(worktree.root.path_of(".env")).unwrap();
    assert!(
        env.contains("\nPORT=1") && !env.contains("API_PORT"),
        "{env}"
    );
}

#[test]
fn in_the_main_worktree_the_hook_updates_files_and_makes_none() {
    let fixture = Fixture::new();
    let main = fixture.main_worktree();
    put(
        &main,
        port_file::NAME,
        "{\"worktree\": null, \"slot\": 0, \"ports\": {\"web\": 13000}}",
    );
    put(&main, "there.env", "A=1\n");
    put_config(
        &main,
        "{\"services\": {\"web\": 13000, \"api\": 14000}, \
          \"env_files\": {\".env\": {}, \"there.env\": {\"PORT\": \"{web}\"}}}",
    );
    run(main.path(), false, &fixture.session).unwrap();
    assert_eq!(own_ports(&main), "web 13000, api 14000");
    assert!(!main.root.has(".env"));
    let there = fs::read_to_string(main.root.path_of("there.env")).unwrap();
    assert!(
        there.contains("PORT=13000\n") && there.ends_with("\nA=1\n"),
        "{there}"
    );
}

#[test]
fn a_copy_of_a_worktree_is_an_error_and_gets_nothing() {
    let fixture = Fixture::new();
    let worktree = fixture.add("a");
    let copy = fixture.directory().join("copy");
    fs::create_dir(&copy).unwrap();
    fs::copy(worktree.root.path_of(".git"), copy.join(".git")).unwrap();
    let error = run(&copy, true, &fixture.session).unwrap_err().to_string();
    assert!(error.contains("is a copy of the worktree at"), "{error}");
    assert!(!copy.join(port_file::NAME).exists());
}
