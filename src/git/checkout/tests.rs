//! Tests of `checkout`.

use std::cell::Cell;
use std::fs;

use super::*;
use crate::git::fixture::Fixture;

const NAME: &str = "config.json";
const OURS: &str = "{ ours }";
const OTHERS: &str = "{ others }";

/// A repository with a commit in which the file has the content [`OURS`].
fn fixture() -> Fixture {
    let fixture = Fixture::new();
    put(&fixture, OURS);
    git(&fixture, &["add", "."]);
    git(&fixture, &["commit", "--quiet", "--message=a"]);
    fixture
}

fn git(fixture: &Fixture, arguments: &[&str]) {
    fixture.git(&fixture.main(), arguments);
}

fn put(fixture: &Fixture, content: &str) {
    fs::write(fixture.main().join(NAME), content).unwrap();
}

fn remove(fixture: &Fixture) {
    fs::remove_file(fixture.main().join(NAME)).unwrap();
}

fn lock(fixture: &Fixture) {
    fs::write(fixture.common_dir().join("index.lock"), "").unwrap();
}

fn unlock(fixture: &Fixture) {
    fs::remove_file(fixture.common_dir().join("index.lock")).unwrap();
}

/// What a file says that is whole.
fn parse(file: PlainFile) -> Result<Option<String>> {
    match file {
        PlainFile::Missing => Ok(None),
        PlainFile::NotRegular(kind) => Err(Error::new(kind)),
        PlainFile::Unreadable(error) => Err(Error::new(error.to_string())),
        PlainFile::TooLarge(_) => Err(Error::new("too large")),
        PlainFile::Read(bytes) => match String::from_utf8(bytes).unwrap() {
            text if text.ends_with('}') => Ok(Some(text)),
            text => Err(error!("half: {text:?}")),
        },
    }
}

/// What is read, and which error it is.
fn read(fixture: &Fixture) -> Result<Option<String>, String> {
    read_and(fixture, |_| ())
}

/// As [`read`]; `meanwhile` happens after each read of the tree and gets its number.
fn read_and(fixture: &Fixture, meanwhile: impl Fn(u32)) -> Result<Option<String>, String> {
    let reads = Cell::new(0);
    let found = read_settled(&fixture.main_worktree(), NAME, 1000, |file| {
        reads.set(reads.get() + 1);
        meanwhile(reads.get());
        parse(file)
    });
    found.map_err(|error| error.to_string())
}

#[expect(clippy::unnecessary_wraps, reason = "what is read is compared with it")]
fn whole(text: &str) -> Result<Option<String>, String> {
    Ok(Some(text.to_owned()))
}

#[test]
fn a_whole_file_counts_whatever_git_is_doing() {
    let fixture = fixture();
    assert_eq!(read(&fixture), whole(OURS));
    lock(&fixture);
    put(&fixture, OTHERS);
    assert_eq!(read(&fixture), whole(OTHERS));
}

#[test]
fn a_missing_or_a_half_file_counts_while_git_is_not_at_work() {
    let fixture = fixture();
    put(&fixture, "{ ou");
    assert_eq!(read(&fixture).unwrap_err(), "half: \"{ ou\"");
    remove(&fixture);
    assert_eq!(read(&fixture), Ok(None));
}

#[test]
fn while_git_holds_the_index_that_counts_for_a_missing_or_half_file() {
    for split in [false, true] {
        let fixture = fixture();
        if split {
            git(&fixture, &["update-index", "--split-index"]);
        }
        lock(&fixture);
        for half in ["", "{", "{ othe"] {
            put(&fixture, half);
            assert_eq!(read(&fixture), whole(OURS), "{half:?}");
        }
        remove(&fixture);
        assert_eq!(read(&fixture), whole(OURS));
    }
}

#[test]
fn a_lock_that_is_taken_during_the_read_is_seen() {
    let fixture = fixture();
    remove(&fixture);
    let locks = |read| {
        if read == 2 {
            lock(&fixture);
        }
    };
    assert_eq!(read_and(&fixture, locks), whole(OURS));
}

#[test]
fn a_checkout_that_ends_during_the_read_is_seen() {
    for half in [None, Some("{ ou")] {
        let fixture = fixture();
        match half {
            Some(half) => put(&fixture, half),
            None => remove(&fixture),
        }
        let ends = |read| {
            if read == 2 {
                put(&fixture, OTHERS);
                git(&fixture, &["add", NAME]);
            }
        };
        assert_eq!(read_and(&fixture, ends), whole(OTHERS));
    }
}

#[test]
fn a_file_that_appears_during_the_read_is_read() {
    let fixture = fixture();
    remove(&fixture);
    let appears = |read| {
        if read == 1 {
            put(&fixture, OTHERS);
        }
    };
    assert_eq!(read_and(&fixture, appears), whole(OTHERS));
}

#[test]
fn what_the_index_lacks_is_as_it_is_there() {
    let fixture = fixture();
    git(&fixture, &["rm", "--quiet", "--cached", NAME]);
    lock(&fixture);
    put(&fixture, "{ ou");
    assert_eq!(read(&fixture).unwrap_err(), "half: \"{ ou\"");
    remove(&fixture);
    assert_eq!(read(&fixture), Ok(None));
}

#[test]
fn a_file_that_a_sparse_checkout_leaves_out_is_what_the_index_has() {
    let fixture = fixture();
    git(&fixture, &["sparse-checkout", "set", "--no-cone", "/other"]);
    assert!(!fixture.main().join(NAME).exists());
    assert_eq!(read(&fixture), whole(OURS));
    git(
        &fixture,
        &["config", "--worktree", "core.sparseCheckout", "false"],
    );
    assert_eq!(read(&fixture), Ok(None));
}

#[test]
fn a_conflict_a_link_and_a_large_file_in_the_index_are_errors() {
    let fixture = fixture();
    let id = "0123456789".repeat(4);
    let put_large = || put(&fixture, &format!("{}}}", " ".repeat(1000)));
    let stage_large = || git(&fixture, &["add", NAME]);
    let stage_link = || {
        let entry = format!("120000,{id},{NAME}");
        git(&fixture, &["update-index", "--add", "--cacheinfo", &entry]);
    };
    let make_conflict = || {
        let main = fixture.main_worktree();
        git(&fixture, &["checkout", "--quiet", "--force", "-b", "other"]);
        put(&fixture, OTHERS);
        git(&fixture, &["commit", "--quiet", "--all", "--message=b"]);
        git(&fixture, &["checkout", "--quiet", "-"]);
        put(&fixture, "{ third }");
        git(&fixture, &["commit", "--quiet", "--all", "--message=c"]);
        let identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"];
        let merge = [&identity[..], &["merge", "--quiet", "other"]].concat();
        assert!(ask(main.path(), &merge).is_err(), "there is a conflict");
    };
    put_large();
    let table: [(&dyn Fn(), &str); 3] = [
        (&stage_large, "too large"),
        (&stage_link, "a symbolic link"),
        (&make_conflict, "it has a merge conflict"),
    ];
    for (stage, error) in table {
        stage();
        remove(&fixture);
        lock(&fixture);
        assert_eq!(read(&fixture).unwrap_err(), error);
        unlock(&fixture);
        put(&fixture, OURS);
    }
}

#[test]
fn before_the_first_checkout_a_missing_file_is_what_head_has() {
    let fixture = fixture();
    fs::remove_file(fixture.common_dir().join("index")).unwrap();
    remove(&fixture);
    assert_eq!(read(&fixture), whole(OURS));
    lock(&fixture);
    assert_eq!(read(&fixture), whole(OURS));
    put(&fixture, "");
    assert_eq!(read(&fixture), whole(OURS));
    unlock(&fixture);
    assert_eq!(read(&fixture).unwrap_err(), "half: \"\"");
    // HEAD lacks it.
    remove(&fixture);
    git(&fixture, &["update-ref", "HEAD", "HEAD^"]);
    assert_eq!(read(&fixture), Ok(None));
}

#[test]
fn before_the_first_commit_a_missing_file_is_missing() {
    let fixture = Fixture::new();
    git(&fixture, &["checkout", "--quiet", "--orphan", "unborn"]);
    assert_eq!(read(&fixture), Ok(None));
    lock(&fixture);
    assert_eq!(read(&fixture), Ok(None));
    put(&fixture, "{ ou");
    assert_eq!(read(&fixture).unwrap_err(), "half: \"{ ou\"");
}

#[test]
fn a_worktree_that_git_has_not_given_a_head_yet_is_an_error() {
    let fixture = fixture();
    fs::remove_file(fixture.common_dir().join("index")).unwrap();
    remove(&fixture);
    let null = format!("{}\n", "0".repeat(40));
    fs::write(fixture.common_dir().join("HEAD"), null).unwrap();
    let error = read(&fixture).unwrap_err();
    assert!(
        error.contains("`git ls-tree -z HEAD -- config.json`"),
        "{error}"
    );
}
