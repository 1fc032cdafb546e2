//! Tests of `managers`.

use super::*;

/// The fenced block that follows a marker in the README.
fn shown(name: &str) -> &'static str {
    let readme = include_str!("../../../README.md");
    let marker = format!("<!-- snippet: {name} -->\n");
    let (_, rest) = readme.split_once(&marker).unwrap();
    let (_, rest) = rest.split_once("```").unwrap();
    let (_, rest) = rest.split_once('\n').unwrap();
    rest.split_once("```").unwrap().0
}

#[test]
fn the_readme_shows_what_install_prints() {
    for manager in MANAGERS.into_iter().chain([UNKNOWN]) {
        let name = match manager.name {
            "overcommit" => continue,
            "prek" => "pre-commit",
            "another program" => "husky",
            name => name,
        };
        assert_eq!(shown(name), manager.snippet, "{name}");
    }
}

#[test]
fn every_snippet_calls_us() {
    for manager in MANAGERS {
        assert!(calls_us(manager.snippet.as_bytes()), "{}", manager.name);
    }
}

#[test]
fn what_gets_the_arguments_of_the_hook_is_a_call_and_a_mere_word_is_none() {
    let calls = [
        "worktree-ports-hook \"$@\" || :",
        "exec worktree-ports-hook \"$@\"",
        "  if /usr/bin/worktree-ports-hook $1 $2 $3; then",
        "command -v worktree-ports-hook >/dev/null && worktree-ports-hook \"$@\"",
        "\"$(git rev-parse --git-common-dir)/worktree-ports/worktree-ports-hook\" \"$@\"",
        "p=$(git rev-parse --git-common-dir)/worktree-ports/worktree-ports-hook",
        "      run: worktree-ports-hook {1} {2} {3}",
        "  \"post-checkout\": \"worktree-ports-hook \\\"$@\\\"\"",
        "        entry: sh -c 'worktree-ports-hook \"$PRE_COMMIT_FROM_REF\"'",
        "\"/home/me/.cargo/bin/worktree-ports-hook\" \"$@\" # ours",
    ];
    for line in calls {
        assert!(calls_us(line.as_bytes()), "{line}");
        assert!(
            calls_us(format!("#!/bin/sh\nx\r\n{line}\r\n").as_bytes()),
            "{line}"
        );
        for comment in ["#", "  # ", "// ", "true # "] {
            assert!(
                !calls_us(format!("{comment}{line}").as_bytes()),
                "{comment}{line}"
            );
        }
    }
    let words = [
        "",
        "command -v worktree-ports-hook",
        "command -v worktree-ports-hook && exec other \"$@\"",
        "echo worktree-ports-hook \"$@\"",
        "echo \"run worktree-ports-hook\"",
        "worktree-ports-hook --list",
        "my-worktree-ports-hook \"$@\"",
        "worktree-ports-hooks \"$@\"",
        "test -x \"$(git rev-parse --git-common-dir)/worktree-ports/worktree-ports-hook\"",
        "# p=$(git rev-parse --git-common-dir)/worktree-ports/worktree-ports-hook",
        "name: worktree-ports-hook",
    ];
    for line in words {
        assert!(!calls_us(line.as_bytes()), "{line}");
    }
    assert!(!calls_us(b"\xff\xfe worktree-ports-hook \"$@\""));
}
