//! Tests of `managers`.

use super::*;

/// The fenced block that follows a mark in the page about hook managers.
fn shown(name: &str) -> &'static str {
    let page = include_str!("../../../docs/hook-managers.md");
    let marker = format!("<!-- snippet: {name} -->\n");
    let (_, rest) = page.split_once(&marker).unwrap();
    let (_, rest) = rest.split_once("```").unwrap();
    let (_, rest) = rest.split_once('\n').unwrap();
    rest.split_once("```").unwrap().0
}

#[test]
fn the_page_about_hook_managers_shows_what_install_prints() {
    for manager in MANAGERS {
        let name = match manager.name {
            "prek" => "pre-commit",
            name => name,
        };
        assert_eq!(shown(name), manager.snippet, "{name}");
    }
    assert_eq!(shown("script"), LINE);
}

#[test]
fn husky_owns_the_scripts_that_it_generates_and_no_others() {
    let of = |hooks_dir: &str| Manager::of(Path::new(hooks_dir), b"#!/bin/sh\n");
    assert_eq!(of("/clone/.husky/_"), Some(HUSKY));
    // Up to version 8, the users' own scripts are the hooks.
    assert_eq!(of("/clone/.husky"), None);
}

#[test]
fn every_snippet_calls_us() {
    for manager in MANAGERS {
        let others = manager.others.iter().map(|(_, snippet)| *snippet);
        for snippet in others.chain([manager.snippet]) {
            assert!(calls_us(snippet.as_bytes()), "{snippet}");
        }
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
