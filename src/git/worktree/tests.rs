//! Tests of `worktree`, and of the entries it is found by.

use std::fs;

use super::*;
use crate::git::fixture::{self, Fixture};

fn error_of(worktree: &Worktree) -> String {
    worktree.check_registered().unwrap_err().to_string()
}

#[test]
fn a_worktree_is_found_at_its_root_and_nowhere_else() {
    let fixture = Fixture::new();
    let worktree = fixture.add("a");
    assert_eq!(worktree.id.as_deref(), Some("a"));
    assert_eq!(*worktree.common_dir, *fixture.common_dir());
    let git_dir = fixture.common_dir().join("worktrees/a");
    assert_eq!(worktree.git_dir.path(), git_dir);
    worktree.check_registered().unwrap();
    let deep = worktree.path().join("deep");
    fs::create_dir(&deep).unwrap();
    for other in [fixture.directory(), deep] {
        assert!(Worktree::at(&other).unwrap().is_none(), "{other:?}");
    }
    let main = fixture.main_worktree();
    assert!(main.is_main());
    assert_eq!(*main.common_dir, *fixture.common_dir());
    main.check_registered().unwrap();
}

#[test]
fn entries_are_read_as_git_reads_them_whatever_ends_their_line() {
    let fixture = Fixture::new();
    let worktree = fixture.add("a");
    let dot_git = worktree.root.path_of(".git");
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
        fs::write(worktree.git_dir.path_of("gitdir"), &content).unwrap();
        worktree
            .check_registered()
            .unwrap_or_else(|error| panic!("{content:?}: {error}"));
    }
    for content in ["", "\n", "/\n", "../a\n", ".git/x\n"] {
        fs::write(worktree.git_dir.path_of("gitdir"), content).unwrap();
        assert!(
            error_of(&worktree).contains("is no longer a worktree of the repository"),
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
        fs::write(worktree.root.path_of(".git"), line).unwrap();
        let found = Worktree::at(worktree.path()).unwrap().unwrap();
        assert_eq!(found.git_dir.path(), worktree.git_dir.path());
        assert_eq!(found.id.as_deref(), Some("a"));
        worktree.check_registered().unwrap();
    }
}

#[test]
fn a_copy_a_moved_worktree_and_one_that_git_has_forgotten_are_told_apart() {
    let fixture = Fixture::new();
    let worktree = fixture.add("a");
    let elsewhere = fixture.directory().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::copy(worktree.root.path_of(".git"), elsewhere.join(".git")).unwrap();
    let copy = Worktree::at(&elsewhere).unwrap().unwrap();
    assert!(
        error_of(&copy).contains("is a copy of the worktree at"),
        "{}",
        error_of(&copy)
    );
    assert!(!error_of(&copy).contains("repair"));

    fs::remove_dir_all(worktree.path()).unwrap();
    assert!(
        error_of(&copy).contains("but is no longer there"),
        "{}",
        error_of(&copy)
    );
    // Windows knows a directory by its path only.
    if cfg!(unix) {
        assert!(error_of(&worktree).contains("is no longer a worktree of the repository"));
    }

    fs::remove_dir_all(worktree.git_dir.path()).unwrap();
    assert!(error_of(&copy).contains("is no longer a worktree of the repository"));
    fixture.main_worktree().check_registered().unwrap();
}

#[test]
fn another_worktree_that_is_there_by_now_is_not_taken_for_it() {
    let fixture = Fixture::new();
    let (one, other) = (fixture.add("a"), fixture.add("b"));
    fs::copy(other.root.path_of(".git"), one.root.path_of(".git")).unwrap();
    assert!(!one.is_in_place().unwrap());
    one.check_registered().unwrap_err();
    let place = Place::At(one.path().to_owned());
    let entry = fixture::entry(Some("a"), place, &fixture.common_dir());
    assert!(is_anothers(&entry, &one));
    fs::write(
        one.root.path_of(".git"),
        "gitdir: /another/clone/.git/worktrees/b",
    )
    .unwrap();
    assert!(!is_anothers(&entry, &one));
}

#[test]
fn a_git_directory_and_whatever_leads_to_it_lead_back() {
    let fixture = Fixture::new();
    let git_dir = fixture.common_dir();
    let leads = |root: &Path| leads_to(&Dir::open(root).unwrap(), &git_dir).unwrap();
    assert!(leads(&fixture.main()));
    let elsewhere = fixture.directory().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    assert!(!leads(&elsewhere));
    let dot_git = elsewhere.join(".git");
    // A line, and whether it leads to the git directory of the main worktree.
    let table = [
        (format!("gitdir: {}\n", git_dir.display()), true),
        ("gitdir: ../main/.git\n".to_owned(), true),
        ("gitdir: ../main/.git/.\r\n".to_owned(), true),
        ("gitdir: ../main\n".to_owned(), false),
        ("gitdir: nowhere\n".to_owned(), false),
        ("gitdir ../main/.git\n".to_owned(), false),
        (String::new(), false),
    ];
    for (line, expected) in table {
        fs::write(&dot_git, &line).unwrap();
        assert_eq!(leads(&elsewhere), expected, "{line:?}");
    }
    fs::remove_file(&dot_git).unwrap();
    fs::create_dir(&dot_git).unwrap();
    assert!(!leads(&elsewhere));
    #[cfg(unix)]
    {
        fs::remove_dir(&dot_git).unwrap();
        std::os::unix::fs::symlink(&git_dir, &dot_git).unwrap();
        assert!(leads(&elsewhere), "git follows a link, too");
    }
}

#[test]
fn what_is_wrong_with_a_misplaced_worktree_is_told_with_what_helps() {
    let fixture = Fixture::new();
    let worktree = fixture.add("a");
    let (git_dir, gone) = (worktree.git_dir.path(), fixture.directory().join("b"));
    let denied = std::io::ErrorKind::PermissionDenied.into();
    let denied = Error::could_not("read", git_dir.join("gitdir"))(denied);
    // Where the worktree is registered, a part of the message, and of what to run.
    let table = [
        (
            Place::At(worktree.path().to_owned()),
            "`/c` is a copy of the worktree at",
            "; remove it and make a worktree with `git -C ",
        ),
        (
            Place::At(gone.clone()),
            "`/c` is registered as the worktree at",
            "; if you moved it, run `git -C /c worktree repair`",
        ),
        (
            Place::Unknown,
            "`/c` is no longer a worktree of the repository",
            "; run `worktree-ports-hook -C <path>`",
        ),
        (
            Place::Unreadable(denied),
            "could not read `",
            "gitdir`: permission denied",
        ),
    ];
    for (place, what, remedy) in table {
        let error = misplaced(Path::new("/c"), git_dir, &place).to_string();
        assert!(error.starts_with(what) && error.contains(remedy), "{error}");
    }
}

#[test]
fn a_head_that_names_no_branch_is_detached() {
    let fixture = Fixture::new();
    assert!(fixture.add("a").is_detached().unwrap());
    assert!(!fixture.main_worktree().is_detached().unwrap());
}
