//! Tests of `worktree`, and of the entries it is found by.

use std::fs;

use super::*;
use crate::git::fixture::Fixture;

fn error_of(worktree: &Worktree) -> String {
    worktree.check_registered().unwrap_err().to_string()
}

#[test]
fn a_linked_worktree_is_found_at_its_root_and_nothing_else_is() {
    let fixture = Fixture::new();
    let worktree = fixture.add("a");
    assert_eq!(worktree.id.as_deref(), Some("a"));
    assert_eq!(worktree.common_dir, fixture.common_dir());
    assert_eq!(worktree.git_dir, fixture.common_dir().join("worktrees/a"));
    worktree.check_registered().unwrap();
    fs::create_dir(worktree.root.join("deep")).unwrap();
    for other in [
        fixture.main(),
        fixture.directory(),
        worktree.root.join("deep"),
    ] {
        assert!(Worktree::linked_at(&other).unwrap().is_none(), "{other:?}");
    }
}

#[test]
fn entries_are_read_as_git_reads_them_whatever_ends_their_line() {
    let fixture = Fixture::new();
    let worktree = fixture.add("a");
    let dot_git = worktree.root.join(".git");
    let absolute = |end: &str| format!("{}{end}", dot_git.display());
    // A path, and whether git takes it for the worktree's.
    let table = [
        absolute("\n"),
        absolute(""),
        absolute("\r\n"),
        absolute("  \n"),
        "../../../../a/.git\n".to_owned(),
        "./../../../../a/.git\r\n".to_owned(),
    ];
    for content in table {
        fs::write(worktree.git_dir.join("gitdir"), &content).unwrap();
        worktree
            .check_registered()
            .unwrap_or_else(|error| panic!("{content:?}: {error}"));
    }
    for content in ["", "\n", "/\n", "../a\n", ".git/x\n"] {
        fs::write(worktree.git_dir.join("gitdir"), content).unwrap();
        assert!(
            error_of(&worktree).contains("no worktree of the repository any more"),
            "{content:?}"
        );
    }
}

#[test]
fn a_git_file_with_a_relative_path_or_crlf_leads_to_its_entry() {
    let fixture = Fixture::new();
    let worktree = fixture.add("a");
    for line in [
        "gitdir: ../main/.git/worktrees/a\n",
        "gitdir: ../main/.git/worktrees/a\r\n",
    ] {
        fs::write(worktree.root.join(".git"), line).unwrap();
        let found = Worktree::linked_at(&worktree.root).unwrap().unwrap();
        assert_eq!(
            (found.git_dir, found.id.as_deref()),
            (worktree.git_dir.clone(), Some("a"))
        );
        worktree.check_registered().unwrap();
    }
}

#[test]
fn a_copy_a_moved_worktree_and_one_that_git_has_forgotten_are_told_apart() {
    let fixture = Fixture::new();
    let worktree = fixture.add("a");
    let elsewhere = fixture.directory().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::copy(worktree.root.join(".git"), elsewhere.join(".git")).unwrap();
    let copy = Worktree::linked_at(&elsewhere).unwrap().unwrap();
    assert!(
        error_of(&copy).contains("is a copy of the worktree at"),
        "{}",
        error_of(&copy)
    );
    assert!(!error_of(&copy).contains("repair"));

    fs::remove_dir_all(&worktree.root).unwrap();
    assert!(
        error_of(&copy).contains("where it is no more"),
        "{}",
        error_of(&copy)
    );
    assert!(error_of(&worktree).contains("no worktree of the repository any more"));

    fs::remove_dir_all(&worktree.git_dir).unwrap();
    assert!(error_of(&copy).contains("no worktree of the repository any more"));
    fixture.main_worktree().check_registered().unwrap();
}

#[test]
fn another_worktree_that_has_come_to_stand_there_is_not_taken_for_it() {
    let fixture = Fixture::new();
    let (one, other) = (fixture.add("a"), fixture.add("b"));
    fs::copy(other.root.join(".git"), one.root.join(".git")).unwrap();
    assert!(!one.is_in_place().unwrap());
    one.check_registered().unwrap_err();
}
