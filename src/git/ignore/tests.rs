//! Tests of `ignore`, each against what real git does.

use super::*;
use crate::git::fixture::Fixture;

const NAME: &str = ".worktree-ports.json";

/// Whether git shows the untracked file.
fn is_shown(worktree: &Worktree) -> bool {
    let listed = command::ask(
        &worktree.root,
        &["ls-files", "--others", "--exclude-standard", "--", NAME],
    );
    !listed.unwrap().is_empty()
}

#[test]
fn what_git_does_with_the_port_file_is_what_is_said_whatever_the_rules() {
    let line = "/.worktree-ports.json\n";
    // info/exclude and .gitignore.
    let table: [(Option<&str>, Option<&str>); 17] = [
        (None, None),
        (Some(line), None),
        (Some(""), None),
        (Some("# /.worktree-ports.json\n"), None),
        (Some("/.worktree-ports.json\r\n"), None),
        (Some("/.worktree-ports.json   \n"), None),
        (Some("/.worktree-ports.json"), None),
        (Some("/.worktree-ports.json\n!*.json\n"), None),
        (Some("!*.json\n/.worktree-ports.json\n"), None),
        (Some(line), Some("!.worktree-ports.json\n")),
        (Some(line), Some("!/.worktree-ports.json\n")),
        (Some(line), Some("!*\n")),
        (Some(line), Some("!.worktree-ports.jso[n]\n")),
        (Some(line), Some("!other\n")),
        (Some(line), Some("# !*\n\\!*\n")),
        (None, Some("*.json\n")),
        (None, Some("*.json\n!.worktree-ports.json\n")),
    ];
    let fixture = Fixture::new();
    let worktree = fixture.add("a");
    fs::write(worktree.root.join(NAME), "{}").unwrap();
    let exclude = worktree.common_dir.join("info/exclude");
    fs::create_dir_all(exclude.parent().unwrap()).unwrap();
    let put = |path: &std::path::Path, content: Option<&str>| match content {
        Some(content) => fs::write(path, content).unwrap(),
        None => drop(fs::remove_file(path)),
    };
    for (exclude_rules, rules) in table {
        put(&exclude, exclude_rules);
        put(&worktree.root.join(".gitignore"), rules);
        let ignored = look(&worktree, NAME).unwrap();
        let is_ignored = ignored == Ignored::Yes;
        assert_eq!(
            is_ignored,
            !is_shown(&worktree),
            "{exclude_rules:?} {rules:?} {ignored:?}"
        );
        let has_rule = |rules: Option<&str>| rules.is_some_and(|rules| rules.starts_with('!'));
        if !is_ignored
            && (has_rule(rules) || exclude_rules.is_some_and(|rules| rules.ends_with("!*.json\n")))
        {
            assert!(
                matches!(ignored, Ignored::Negated(_)),
                "{exclude_rules:?} {rules:?}"
            );
        }
    }
}

#[cfg(unix)]
#[test]
fn a_gitignore_that_is_a_link_says_nothing_to_git_nor_to_us() {
    let fixture = Fixture::new();
    let worktree = fixture.add("a");
    fs::write(worktree.root.join(NAME), "{}").unwrap();
    let exclude = worktree.common_dir.join("info/exclude");
    fs::create_dir_all(exclude.parent().unwrap()).unwrap();
    fs::write(&exclude, "/.worktree-ports.json\n").unwrap();
    fs::write(worktree.root.join("rules"), "!*\n").unwrap();
    std::os::unix::fs::symlink("rules", worktree.root.join(".gitignore")).unwrap();
    assert!(!is_shown(&worktree));
    assert_eq!(look(&worktree, NAME).unwrap(), Ignored::Yes);
}
