use std::cell::Cell;

use super::*;
use crate::git::index::tests::{FORMATS, Repository};

const NAME: &str = "config.json";
const OURS: &str = "{ ours }";
const OTHERS: &str = "{ others }";

/// A repository with a commit in which the file has the content [`OURS`].
fn repository() -> Repository {
    let repository = Repository::new(FORMATS[0]);
    put(&repository, OURS);
    repository.git(&["add", "."], "");
    repository.git(&["commit", "--quiet", "--message=a"], "");
    repository
}

fn put(repository: &Repository, content: &str) {
    fs::write(repository.root().join(NAME), content).unwrap();
}

fn remove(repository: &Repository) {
    fs::remove_file(repository.root().join(NAME)).unwrap();
}

fn lock(repository: &Repository) {
    fs::write(repository.root().join(".git/index.lock"), "").unwrap();
}

/// What a file says that is whole.
fn parse(file: PlainFile) -> Result<Option<String>> {
    match file {
        PlainFile::Missing => Ok(None),
        PlainFile::NotRegular(kind) => Err(Error::new(kind)),
        PlainFile::Unreadable(error) => Err(Error::new(error.to_string())),
        PlainFile::Read {
            truncated: true, ..
        } => Err(Error::new("too large")),
        PlainFile::Read { bytes, .. } => match String::from_utf8(bytes).unwrap() {
            text if text.ends_with('}') => Ok(Some(text)),
            text => Err(Error::new(format!("half: {text:?}"))),
        },
    }
}

/// What is read, and which error it is.
fn read(repository: &Repository) -> Result<Option<String>, String> {
    read_and(repository, |_| ())
}

/// As [`read`]; `meanwhile` happens after each read of the tree and gets its number.
fn read_and(repository: &Repository, meanwhile: impl Fn(u32)) -> Result<Option<String>, String> {
    let reads = Cell::new(0);
    let found = read_settled(&repository.worktree(), NAME, 1000, |file| {
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
    let repository = repository();
    assert_eq!(read(&repository), whole(OURS));
    lock(&repository);
    put(&repository, OTHERS);
    assert_eq!(read(&repository), whole(OTHERS));
}

#[test]
fn a_missing_or_a_half_file_counts_while_git_is_not_at_work() {
    let repository = repository();
    put(&repository, "{ ou");
    assert_eq!(read(&repository).unwrap_err(), "half: \"{ ou\"");
    remove(&repository);
    assert_eq!(read(&repository), Ok(None));
}

#[test]
fn while_git_holds_the_index_a_missing_or_a_half_file_is_what_the_index_has() {
    for split in [false, true] {
        let repository = repository();
        if split {
            repository.git(&["update-index", "--split-index"], "");
        }
        lock(&repository);
        for half in ["", "{", "{ othe"] {
            put(&repository, half);
            assert_eq!(read(&repository), whole(OURS), "{half:?}");
        }
        remove(&repository);
        assert_eq!(read(&repository), whole(OURS));
    }
}

#[test]
fn a_lock_that_is_taken_during_the_read_is_seen() {
    let repository = repository();
    remove(&repository);
    let locks = |read| {
        if read == 2 {
            lock(&repository);
        }
    };
    assert_eq!(read_and(&repository, locks), whole(OURS));
}

#[test]
fn a_checkout_that_ends_during_the_read_is_seen() {
    for half in [None, Some("{ ou")] {
        let repository = repository();
        match half {
            Some(half) => put(&repository, half),
            None => remove(&repository),
        }
        let ends = |read| {
            if read == 2 {
                put(&repository, OTHERS);
                repository.git(&["add", NAME], "");
            }
        };
        assert_eq!(read_and(&repository, ends), whole(OTHERS));
    }
}

#[test]
fn a_file_that_appears_during_the_read_is_read() {
    let repository = repository();
    remove(&repository);
    let appears = |read| {
        if read == 1 {
            put(&repository, OTHERS);
        }
    };
    assert_eq!(read_and(&repository, appears), whole(OTHERS));
}

#[test]
fn what_the_index_lacks_is_as_it_lies_there() {
    let repository = repository();
    repository.git(&["rm", "--quiet", "--cached", NAME], "");
    lock(&repository);
    put(&repository, "{ ou");
    assert_eq!(read(&repository).unwrap_err(), "half: \"{ ou\"");
    remove(&repository);
    assert_eq!(read(&repository), Ok(None));
}

#[test]
fn a_file_that_a_sparse_checkout_leaves_out_is_missing() {
    let repository = repository();
    repository.git(&["update-index", "--skip-worktree", NAME], "");
    remove(&repository);
    lock(&repository);
    assert_eq!(read(&repository), Ok(None));
}

#[test]
fn a_file_in_conflict_a_link_and_a_large_file_are_not_read_from_the_index() {
    let repository = repository();
    let id =
        String::from_utf8(repository.git(&["rev-parse", &format!("HEAD:{NAME}")], "")).unwrap();
    let id = id.trim_end();
    put(&repository, &format!("{}}}", " ".repeat(1000)));
    repository.git(&["add", NAME], "");
    let large = String::from_utf8(repository.git(&["ls-files", "--stage"], "")).unwrap();
    let table = [
        (format!("120000 {id} 0\t{NAME}\n"), "a symbolic link"),
        (large, "too large"),
        (
            format!("0 {id} 0\t{NAME}\n100644 {id} 2\t{NAME}\n100644 {id} 3\t{NAME}\n"),
            "it has a merge conflict",
        ),
    ];
    remove(&repository);
    for (entries, error) in table {
        repository.git(&["update-index", "--index-info"], &entries);
        let locks = |read| {
            if read == 2 {
                lock(&repository);
            }
        };
        assert_eq!(read_and(&repository, locks).unwrap_err(), error);
        fs::remove_file(repository.root().join(".git/index.lock")).unwrap();
    }
}

#[test]
fn before_the_first_checkout_a_missing_file_is_what_head_has() {
    let repository = repository();
    fs::remove_file(repository.root().join(".git/index")).unwrap();
    remove(&repository);
    assert_eq!(read(&repository), whole(OURS));
    lock(&repository);
    assert_eq!(read(&repository), whole(OURS));
    put(&repository, "");
    assert_eq!(read(&repository), whole(OURS));
    fs::remove_file(repository.root().join(".git/index.lock")).unwrap();
    assert_eq!(read(&repository).unwrap_err(), "half: \"\"");
    // HEAD lacks it.
    remove(&repository);
    let tree = repository.git(&["mktree"], "");
    let tree = String::from_utf8(tree).unwrap();
    let commit = repository.git(&["commit-tree", "-m", "b", tree.trim_end()], "");
    let commit = String::from_utf8(commit).unwrap();
    repository.git(&["update-ref", "HEAD", commit.trim_end()], "");
    assert_eq!(read(&repository), Ok(None));
}

#[test]
fn before_the_first_commit_a_missing_file_is_missing() {
    let repository = Repository::new(FORMATS[1]);
    assert_eq!(read(&repository), Ok(None));
    lock(&repository);
    assert_eq!(read(&repository), Ok(None));
    put(&repository, "{ ou");
    assert_eq!(read(&repository).unwrap_err(), "half: \"{ ou\"");
}

#[test]
fn a_worktree_that_git_has_not_given_a_head_yet_is_an_error() {
    let repository = repository();
    fs::remove_file(repository.root().join(".git/index")).unwrap();
    remove(&repository);
    let null = format!("{}\n", "0".repeat(40));
    fs::write(repository.root().join(".git/HEAD"), null).unwrap();
    let error = read(&repository).unwrap_err();
    assert!(
        error.contains("`git ls-tree -z HEAD -- config.json`"),
        "{error}"
    );
}
