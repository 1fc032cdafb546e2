//! Killed anywhere: the port file is absent, the old one or the new one, and whole.

use std::fs;

use crate::support::strace::{self, Call};
use crate::support::{FIRST_CHECKOUT, PORT_FILE, Sandbox, TEMPORARY};

const EXCLUDE: &str = "repo/.git/info/exclude";

#[test]
#[ignore = "needs strace"]
fn an_allocation_killed_at_any_system_call_leaves_no_port_file_or_a_whole_one() {
    let sandbox = Sandbox::with_worktrees(&["a", "b"]);
    let exclude = fs::read(sandbox.path(EXCLUDE)).unwrap();
    let start_anew = || {
        for name in [PORT_FILE, TEMPORARY] {
            let _ = fs::remove_file(sandbox.path("b").join(name));
        }
        let _ = fs::remove_dir_all(sandbox.path("repo/.git/worktree-ports"));
        sandbox.write(EXCLUDE, &exclude);
    };

    let calls = strace::calls_from_the_lock(&sandbox, "b", &FIRST_CHECKOUT);
    let new = sandbox.port_file("b");
    let exclude_with_ours = fs::read(sandbox.path(EXCLUDE)).unwrap();
    assert_ne!(exclude_with_ours, exclude);

    for call in &calls {
        start_anew();
        strace::kill_at(&sandbox, "b", call, &FIRST_CHECKOUT);
        if sandbox.has_port_file("b") {
            assert_eq!(sandbox.port_file("b"), new, "{call:?}");
        }
        sandbox.run_hook("b").exits(0);
        assert_eq!(sandbox.port_file("b"), new, "{call:?}");
        assert_no_temporary_file(&sandbox, call);
        assert_eq!(
            fs::read(sandbox.path(EXCLUDE)).unwrap(),
            exclude_with_ours,
            "{call:?}"
        );
    }
    assert!(calls.len() > 50, "{}", calls.len());
    sandbox.assert_no_leftovers("b");
}

#[test]
#[ignore = "needs strace"]
fn a_reallocation_killed_at_any_system_call_leaves_the_old_port_file_or_the_new_one() {
    let sandbox = Sandbox::with_worktrees(&["a", "b"]);
    sandbox.run_hook("a");
    sandbox.run_hook("b");
    let old = sandbox.port_file("b");
    sandbox.git("repo", &["worktree", "remove", "../a"]);
    let calls = strace::calls_from_the_lock(&sandbox, "b", &["--reallocate"]);
    let new = sandbox.port_file("b");
    assert_ne!(old, new);

    let (mut olds, mut news) = (0, 0);
    for call in &calls {
        sandbox.write(format!("b/{PORT_FILE}"), &old);
        strace::kill_at(&sandbox, "b", call, &["--reallocate"]);
        let left = sandbox.port_file("b");
        if left == old {
            olds += 1;
        } else {
            assert_eq!(left, new, "{call:?}");
            news += 1;
        }
        // What a kill left is not in the way of an answer, and goes with the next allocation.
        assert_eq!(sandbox.run("b", &["--json"]).exits(0).stdout, left);
        sandbox.run("b", &["--reallocate"]).exits(0).tells_nothing();
        assert_eq!(sandbox.port_file("b"), new, "{call:?}");
        assert_no_temporary_file(&sandbox, call);
    }
    assert!(olds > 0 && news > 0);
    sandbox.assert_no_leftovers("b");
}

#[track_caller]
fn assert_no_temporary_file(sandbox: &Sandbox, call: &Call) {
    assert!(!sandbox.path("b").join(TEMPORARY).exists(), "{call:?}");
}
