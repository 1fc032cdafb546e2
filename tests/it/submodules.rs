//! Submodules, in which the superproject's worktree is meant.

use crate::support::{Sandbox, config};

/// A sandbox whose `repo` has the submodule `sub`, committed.
fn with_submodule() -> Sandbox {
    let sandbox = Sandbox::without_hook();
    sandbox.git(".", &["clone", "--quiet", "repo", "library"]);
    let library = sandbox.path("library").display().to_string();
    sandbox.git(
        "repo",
        &["config", "--global", "protocol.file.allow", "always"],
    );
    sandbox.git(
        "repo",
        &["submodule", "--quiet", "add", &library, "deep/sub"],
    );
    sandbox.git("repo", &["commit", "--quiet", "--message=submodule"]);
    sandbox
}

#[test]
fn in_a_submodule_the_superprojects_worktree_is_meant() {
    let sandbox = with_submodule();
    sandbox.wire("repo/.git");
    sandbox.add("a");
    sandbox.wire("repo/.git/modules/deep/sub");
    sandbox.git("a", &["submodule", "--quiet", "update", "--init"]);
    assert!(sandbox.path("a/deep/sub/.git").exists());
    for (at, port) in [
        ("repo/deep/sub", sandbox.port(0)),
        ("a/deep/sub", sandbox.port(1)),
    ] {
        let get = sandbox.run(at, &["--get", "cloud"]).exits(0);
        assert_eq!(get.tells_nothing().stdout, format!("{port}\n"), "{at}");
        // As a hook, it does nothing in a submodule, which is not a linked worktree.
        sandbox.run_hook(at).exits(0).tells_nothing();
        assert!(!sandbox.has_port_file(at));
    }
    assert_eq!(sandbox.ports("repo"), [sandbox.port(0)]);
}

#[test]
fn a_submodule_is_recognised_in_a_split_or_sparse_index() {
    let sandbox = with_submodule();
    sandbox.git("repo", &["update-index", "--split-index"]);
    sandbox.run("repo/deep/sub", &[]).exits(0);
    assert!(sandbox.has_port_file("repo") && !sandbox.has_port_file("repo/deep/sub"));

    let sandbox = with_submodule();
    sandbox.write("repo/dropped/er/file", "x");
    sandbox.git("repo", &["add", "."]);
    sandbox.git("repo", &["commit", "--quiet", "--message=dropped"]);
    sandbox.git(
        "repo",
        &["sparse-checkout", "set", "--cone", "--sparse-index", "deep"],
    );
    sandbox.run("repo/deep/sub", &[]).exits(0);
    assert!(sandbox.has_port_file("repo") && !sandbox.has_port_file("repo/deep/sub"));
}

#[test]
fn a_submodule_in_a_submodule_means_the_outermost_superproject() {
    let sandbox = with_submodule();
    let library = sandbox.path("library").display().to_string();
    sandbox.git(
        "repo/deep/sub",
        &["submodule", "--quiet", "add", &library, "inner"],
    );
    sandbox.run("repo/deep/sub/inner", &[]).exits(0);
    assert!(sandbox.has_port_file("repo"));
    for inside in ["repo/deep/sub", "repo/deep/sub/inner"] {
        assert!(!sandbox.has_port_file(inside));
    }
}

#[test]
fn a_repository_in_a_worktree_that_is_no_submodule_stands_alone() {
    let sandbox = Sandbox::without_hook();
    sandbox.git(".", &["clone", "--quiet", "repo", "repo/nested"]);
    sandbox.run("repo/nested", &[]).exits(0);
    assert!(sandbox.has_port_file("repo/nested") && !sandbox.has_port_file("repo"));
}

#[test]
fn a_submodules_linked_worktrees_have_ports_of_their_own() {
    let sandbox = with_submodule();
    sandbox.wire("repo/.git/modules/deep/sub");
    sandbox.configure("repo/deep/sub", sandbox.own_config());
    sandbox
        .git("repo/deep/sub", &["worktree", "add", "../../../s"])
        .tells(&[&sandbox.with_ports("cloud @1")]);
    let get = sandbox.run("s", &["--get", "cloud"]).exits(0);
    assert_eq!(get.stdout, sandbox.with_ports("@1\n"));
    assert_eq!(sandbox.ports("s"), [sandbox.port(1)]);
    // The config comes from the submodule's main checkout.
    let base = sandbox.port(50);
    sandbox.configure("repo/deep/sub", config(&[("web", base)]).step(1));
    sandbox.run("s", &["--reallocate"]).exits(0);
    assert_eq!(sandbox.ports("s"), [base + 1]);

    // Also at the path that the superproject's checkout would have.
    sandbox.add("a");
    sandbox.git(
        "repo/deep/sub",
        &["worktree", "add", "-b", "inside", "../../../a/deep/sub"],
    );
    let json = sandbox.run("a/deep/sub", &["--json"]).exits(0).json();
    assert_eq!(
        (&json["worktree"], json["slot"].as_u64()),
        (&"sub".into(), Some(2))
    );
    assert!(!sandbox.has_port_file("a"));
}
