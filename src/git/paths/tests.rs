//! Tests of `paths`.

use std::fs;

use super::*;
use crate::git::fixture::Fixture;

fn tracked<'a>(worktree: &Worktree, paths: &[&'a str]) -> Vec<&'a str> {
    worktree.tracked(paths).unwrap().into_iter().collect()
}

#[test]
fn git_tracks_what_is_in_the_index_whether_the_file_is_there_or_not() {
    let fixture = Fixture::new();
    let main = fixture.main_worktree();
    for name in ["a.env", "gone.env", "untracked.env"] {
        fs::write(main.root.path_of(name), "").unwrap();
    }
    fs::create_dir(main.root.path_of("sub")).unwrap();
    fs::write(main.root.path_of("sub/b.env"), "").unwrap();
    fixture.git(main.path(), &["add", "a.env", "gone.env", "sub"]);
    fs::remove_file(main.root.path_of("gone.env")).unwrap();
    let paths = [
        "a.env",
        "gone.env",
        "untracked.env",
        "sub",
        "sub/b.env",
        "b.env",
    ];
    assert_eq!(tracked(&main, &paths), ["a.env", "gone.env", "sub/b.env"]);
    assert_eq!(tracked(&main, &[]), [""; 0]);
    // A new worktree has its own index.
    assert_eq!(tracked(&fixture.add("a"), &paths), [""; 0]);
    assert!(main.tracks("a.env").unwrap() && !main.tracks("untracked.env").unwrap());
}

#[test]
fn a_name_that_differs_in_case_is_tracked_if_git_ignores_case() {
    let fixture = Fixture::new();
    let main = fixture.main_worktree();
    fs::write(main.root.path_of("A.env"), "").unwrap();
    fixture.git(main.path(), &["add", "A.env"]);
    for (ignores_case, expected) in [("false", &[][..]), ("true", &["a.env"])] {
        fixture.git(main.path(), &["config", "core.ignoreCase", ignores_case]);
        assert_eq!(tracked(&main, &["a.env", "b.env"]), expected);
        assert_eq!(tracked(&main, &["A.env"]), ["A.env"]);
    }
}

#[test]
fn the_root_of_a_submodule_is_tracked_checked_out_or_not() {
    let fixture = Fixture::new();
    let main = fixture.main_worktree();
    let entry = format!("160000,{},sub", "0123456789".repeat(4));
    fixture.git(
        main.path(),
        &["update-index", "--add", "--cacheinfo", &entry],
    );
    assert_eq!(tracked(&main, &["sub", "sub/.env"]), ["sub"]);
}

#[test]
fn an_index_that_git_cannot_read_is_an_error() {
    let fixture = Fixture::new();
    let main = fixture.main_worktree();
    fs::write(main.git_dir.path_of("index"), "no index").unwrap();
    let error = main.tracks("a.env").unwrap_err().to_string();
    assert!(error.starts_with("could not run `git "), "{error}");
    main.shows_untracked("a.env").unwrap_err();
}

#[test]
fn the_rule_that_is_named_is_what_decides_for_git() {
    use IgnoreRule::{Ignores, Nothing, Reincludes};
    let fixture = Fixture::new();
    let main = fixture.main_worktree();
    let name = "a.env";
    fs::write(main.root.path_of(name), "").unwrap();
    let exclude = main.git_dir.path_of("info/exclude");
    fs::create_dir_all(exclude.parent().unwrap()).unwrap();
    let reincluded = |rule: &str| Reincludes(rule.to_owned());
    // info/exclude, .gitignore, and the rule.
    let table = [
        ("", "", Nothing),
        ("/a.env\n", "", Ignores),
        ("/a.env\n", "!other\n", Ignores),
        ("/a.env\n", "!*.env\n", reincluded(".gitignore:1: !*.env")),
        (
            "/a.env\n",
            "# x\n!/a.env\n",
            reincluded(".gitignore:2: !/a.env"),
        ),
        ("", "*.env\n", Ignores),
        (
            "/a.env\n!*.env\n",
            "",
            reincluded(".git/info/exclude:2: !*.env"),
        ),
        ("", "x:y\n", Nothing),
    ];
    for (excluded, ignored, rule) in table {
        fs::write(&exclude, excluded).unwrap();
        fs::write(main.root.path_of(".gitignore"), ignored).unwrap();
        let is_shown = main.shows_untracked(name).unwrap();
        assert_eq!(is_shown, rule != Ignores, "{excluded:?} {ignored:?}");
        let rules = main.ignore_rules(&["other.txt", name]).unwrap();
        assert_eq!(rules, [Nothing, rule], "{excluded:?} {ignored:?}");
    }
    assert_eq!(main.ignore_rules(&[]).unwrap(), []);
}
