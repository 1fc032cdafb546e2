//! No two worktrees of a repository have the same slot, whatever their configs.

use serde_json::Value;

use crate::support::{PORT_FILE, Sandbox, config};

fn slot(sandbox: &Sandbox, at: &str) -> Value {
    sandbox.port_json(at)["slot"].clone()
}

/// Gives each of the worktrees a config whose ports overlap with no other's.
fn keep_ports_apart(sandbox: &Sandbox, names: &[&str]) {
    for (name, base) in names.iter().zip((0..).step_by(20)) {
        sandbox.configure(name, config(&[("web", sandbox.port(base))]).step(1));
    }
}

#[test]
fn worktrees_with_different_configs_never_share_a_slot() {
    let sandbox = Sandbox::with_worktrees(&["a", "b", "c"]);
    keep_ports_apart(&sandbox, &["repo", "a", "b", "c"]);
    for (name, expected) in [("a", 1), ("repo", 0), ("b", 2), ("c", 3)] {
        sandbox.run(name, &[]).exits(0);
        assert_eq!(slot(&sandbox, name), expected, "{name}");
        assert!(
            sandbox
                .run(name, &["--env"])
                .stdout
                .contains(&format!("WORKTREE_SLOT={expected}\n"))
        );
    }
    sandbox.run("a", &["--release"]).exits(0);
    sandbox.run("c", &["--reallocate"]).exits(0);
    assert_eq!(slot(&sandbox, "c"), 1);
}

#[test]
fn in_a_bare_repository_no_slot_is_shared_and_any_worktree_may_have_0() {
    let sandbox = Sandbox::without_hook();
    sandbox.git(".", &["clone", "--quiet", "--bare", "repo", "bare.git"]);
    for name in ["a", "b", "c"] {
        sandbox.git(
            "bare.git",
            &["worktree", "add", "--quiet", &format!("../{name}")],
        );
    }
    keep_ports_apart(&sandbox, &["a", "b", "c"]);
    for (name, expected) in [("b", 0), ("a", 1), ("c", 2)] {
        sandbox.run(name, &[]).exits(0);
        assert_eq!(slot(&sandbox, name), expected, "{name}");
    }
}

#[test]
fn the_slot_of_a_file_made_by_hand_counts_like_any_other() {
    let sandbox = Sandbox::with_worktrees(&["a", "b"]);
    keep_ports_apart(&sandbox, &["repo", "a", "b"]);
    let file = sandbox.with_ports(r#"{"worktree": "a", "slot": 1, "ports": {"web": @90}}"#);
    sandbox.write(format!("a/{PORT_FILE}"), file);
    sandbox.run("b", &[]).exits(0);
    assert_eq!(slot(&sandbox, "b"), 2);
    // The main worktree does not get slot 0 if a linked worktree has it.
    let file = sandbox.with_ports(r#"{"worktree": "a", "slot": 0, "ports": {"web": @90}}"#);
    sandbox.write(format!("a/{PORT_FILE}"), file);
    sandbox.run("repo", &[]).exits(0);
    assert_eq!(slot(&sandbox, "repo"), 1);
}
