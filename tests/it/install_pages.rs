//! The pages in `docs` about installing: the tests run their commands.

use std::os::unix::fs::symlink;

use crate::support::hooks::{COPY, NEW, sandbox_with_git};
use crate::support::{PROGRAM, Run, Sandbox};

const HOOK_MANAGERS: &str = include_str!("../../docs/hook-managers.md");
const SEVERAL_CLONES: &str = include_str!("../../docs/several-clones.md");

/// Runs the commands of a page after the mark `<!-- shell: NAME -->`.
#[track_caller]
fn run(sandbox: &Sandbox, at: &str, page: &str, name: &str) -> Run {
    let (_, rest) = page
        .split_once(&format!("<!-- shell: {name} -->\n```sh\n"))
        .unwrap();
    let mut shell = sandbox.command("sh", at);
    shell.args(["-e", "-c", rest.split_once("```").unwrap().0]);
    Sandbox::finish(shell).exits(0)
}

/// A sandbox with the program on the PATH.
fn with_program() -> Sandbox {
    let sandbox = sandbox_with_git(NEW);
    symlink(PROGRAM, sandbox.path("bin/worktree-ports-hook")).unwrap();
    sandbox
}

#[test]
fn the_commands_of_the_page_about_hook_managers_do_what_it_says() {
    let sandbox = with_program();
    run(&sandbox, "repo", HOOK_MANAGERS, "install").tells(&["installed the hook"]);
    run(&sandbox, "repo", HOOK_MANAGERS, "install").tells(&["already installed"]);
    run(&sandbox, "repo", HOOK_MANAGERS, "disable");
    sandbox.run("repo", &["--check"]).exits(1);
    run(&sandbox, "repo", HOOK_MANAGERS, "uninstall");
    assert!(!sandbox.path(COPY).exists());
}

#[test]
fn the_commands_of_the_page_about_several_clones_do_what_it_says() {
    let sandbox = with_program();
    sandbox.commit_config("repo");
    for clone in ["shop", "shop-2"] {
        sandbox.git("home", &["clone", "--quiet", "../repo", clone]);
    }
    let add = |clone: &str, name: &str| {
        let at = format!("home/{clone}");
        sandbox.git(
            &at,
            &["worktree", "add", "-q", &format!("../{clone}-{name}")],
        );
        sandbox.run(format!("home/{clone}-{name}"), &[]).exits(0);
        sandbox.ports(format!("home/{clone}-{name}"))
    };
    run(&sandbox, ".", SEVERAL_CLONES, "share");
    assert_ne!(add("shop", "a"), add("shop-2", "a"));
    let list = run(&sandbox, ".", SEVERAL_CLONES, "list").stdout;
    assert!(list.contains("shop-2-a"), "{list}");

    run(&sandbox, ".", SEVERAL_CLONES, "no-share");
    let list = run(&sandbox, ".", SEVERAL_CLONES, "list").stdout;
    assert!(!list.contains("shop-2-a"), "{list}");
    run(&sandbox, ".", SEVERAL_CLONES, "share-all");
    sandbox.run("home/shop-2", &["--install"]).exits(0);
    let list = run(&sandbox, ".", SEVERAL_CLONES, "list").stdout;
    assert!(list.contains("shop-2-a"), "{list}");
}
