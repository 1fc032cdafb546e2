//! Every kind of repository that git makes.

use std::fs;

use crate::support::{PORT_FILE, PROGRAM, Sandbox, close, config, listen, set_mode};

const COMMIT: [&str; 4] = ["commit", "--quiet", "--allow-empty", "--message=first"];

/// A sandbox with a second repository, `other`, made by `init`, with a hook and a commit.
fn with_other(init: &[&str]) -> Sandbox {
    let sandbox = Sandbox::without_hook();
    sandbox.git(
        ".",
        &[&["init", "--quiet", "--initial-branch=main"], init].concat(),
    );
    sandbox.git("other", &COMMIT);
    sandbox.wire("other/.git");
    sandbox.configure("other", sandbox.own_config());
    sandbox
}

/// Checks what a repository must support, with `other` as its main worktree.
#[track_caller]
fn assert_serves(sandbox: &Sandbox) {
    sandbox
        .git("other", &["worktree", "add", "../a"])
        .tells(&[&sandbox.with_ports("worktree-ports: cloud @1 (.worktree-ports.json)")]);
    sandbox.git("other", &["worktree", "add", "../b"]);
    sandbox.run("other", &[]).exits(0).tells_nothing();
    let ports = ["other", "a", "b"].map(|name| sandbox.ports(name));
    assert_eq!(
        ports,
        [[sandbox.port(0)], [sandbox.port(1)], [sandbox.port(2)]]
    );
    for name in ["other", "a", "b"] {
        sandbox.assert_no_leftovers(name);
        sandbox.run(name, &[]).exits(0).tells_nothing();
    }
    // Whether git tracks a file is seen as well.
    sandbox.git("other", &["worktree", "remove", "../a"]);
    sandbox.git("b", &["add", "--force", PORT_FILE]);
    sandbox
        .run("b", &["--reallocate"])
        .exits(1)
        .tells(&["error: git tracks"]);
    sandbox.git("b", &["rm", "--quiet", "--cached", PORT_FILE]);
    sandbox.run("b", &["--reallocate"]).exits(0).tells_nothing();
    assert_eq!(sandbox.ports("b"), [sandbox.port(1)]);
}

#[test]
fn a_repository_of_sha256_is_served() {
    assert_serves(&with_other(&["--object-format=sha256", "other"]));
}

#[test]
#[ignore = "needs git 2.45"]
fn a_repository_with_reftables_is_served_whatever_its_object_format() {
    for format in ["sha1", "sha256"] {
        let format = format!("--object-format={format}");
        assert_serves(&with_other(&["--ref-format=reftable", &format, "other"]));
    }
}

#[test]
fn a_repository_with_extensions_unknown_to_libgit2_is_served() {
    let extensions = [
        "worktreeConfig=true",
        "partialClone=origin",
        "preciousObjects=true",
    ];
    for extension in extensions {
        let sandbox = with_other(&["other"]);
        let (name, value) = extension.split_once('=').unwrap();
        sandbox.git("other", &["config", "core.repositoryFormatVersion", "1"]);
        sandbox.git("other", &["config", &format!("extensions.{name}"), value]);
        assert_serves(&sandbox);
    }
}

#[test]
fn a_worktree_with_a_git_config_of_its_own_is_served() {
    let sandbox = with_other(&["other"]);
    sandbox.git("other", &["config", "extensions.worktreeConfig", "true"]);
    sandbox.git("other", &["worktree", "add", "../a"]);
    sandbox.git("a", &["sparse-checkout", "set", "--cone", "x"]);
    sandbox.git("a", &["config", "--worktree", "core.autocrlf", "false"]);
    sandbox.run("a", &["--reallocate"]).exits(0).tells_nothing();
    assert_eq!(sandbox.ports("a"), [sandbox.port(1)]);
}

/// Makes the entries of these worktrees of `repo` relative, as newer gits write them.
fn make_relative(sandbox: &Sandbox, names: &[&str]) {
    for name in names {
        sandbox.write(
            format!("repo/.git/worktrees/{name}/gitdir"),
            format!("../../../../{name}/.git\n"),
        );
        sandbox.write(
            format!("{name}/.git"),
            format!("gitdir: ../repo/.git/worktrees/{name}\n"),
        );
    }
}

#[test]
fn worktrees_with_relative_paths_are_served() {
    let sandbox = Sandbox::without_hook();
    for name in ["a", "b", "c"] {
        sandbox.add(name);
    }
    sandbox.run_hook("b").exits(0);
    make_relative(&sandbox, &["a", "b"]);
    sandbox.git("repo", &["config", "core.repositoryFormatVersion", "1"]);
    let extension = "[extensions]\n\trelativeWorktrees = true\n";
    let path = "repo/.git/config";
    let config = fs::read_to_string(sandbox.path(path)).unwrap();
    sandbox.write(path, format!("{config}{extension}"));
    // git before 2.48 reads relative paths but refuses the extension.
    if sandbox.try_git("repo", &["status"]).code() != Some(0) {
        sandbox.write(path, config);
    }
    sandbox
        .run_hook("a")
        .exits(0)
        .tells(&[&sandbox.with_ports("cloud @2")]);
    sandbox.run("c", &[]).exits(0).tells_nothing();
    sandbox.run("repo", &[]).exits(0).tells_nothing();
    let ports = ["repo", "b", "a", "c"].map(|name| sandbox.ports(name));
    assert_eq!(
        ports,
        [
            [sandbox.port(0)],
            [sandbox.port(1)],
            [sandbox.port(2)],
            [sandbox.port(3)]
        ]
    );
    // From elsewhere, and after everything was moved together.
    fs::create_dir(sandbox.path("moved")).unwrap();
    for name in ["repo", "a", "b"] {
        fs::rename(sandbox.path(name), sandbox.path("moved").join(name)).unwrap();
    }
    let get = sandbox.run(".", &["-C", "moved/a", "--get", "cloud"]);
    assert_eq!(get.exits(0).stdout, sandbox.with_ports("@2\n"));
    sandbox.run("moved/b", &["--reallocate"]).exits(0);
    assert_eq!(sandbox.ports("moved/b"), [sandbox.port(1)]);
}

/// A bare repository at `at`, with a hook and these linked worktrees.
fn bare_with(at: &str, worktrees: &[&str]) -> Sandbox {
    let sandbox = Sandbox::without_hook();
    sandbox.commit_config("repo");
    sandbox.git(".", &["clone", "--quiet", "--bare", "repo", at]);
    sandbox.wire(at);
    for worktree in worktrees {
        let path = sandbox.path(worktree).display().to_string();
        sandbox.git(at, &["worktree", "add", &path]);
    }
    sandbox
}

#[test]
fn in_a_bare_repository_any_worktree_may_have_slot_0() {
    // Worktrees beside the bare repository, and inside it.
    let sandbox = bare_with("bare.git", &["a", "bare.git/b", "bare.git/deep/c"]);
    assert_eq!(sandbox.ports("a"), [sandbox.port(0)]);
    assert_eq!(sandbox.ports("bare.git/b"), [sandbox.port(1)]);
    assert_eq!(sandbox.ports("bare.git/deep/c"), [sandbox.port(2)]);
    let get = sandbox.run("bare.git/deep/c", &["--get", "cloud"]).exits(0);
    assert_eq!(get.stdout, sandbox.with_ports("@2\n"));
    assert!(!sandbox.has_port_file("bare.git"));
    for nowhere in ["bare.git", "bare.git/refs"] {
        sandbox
            .run(nowhere, &[])
            .exits(1)
            .tells(&["is not inside a worktree"]);
    }
}

#[test]
fn slot_0_of_a_bare_repository_is_probed_like_any_other() {
    let sandbox = bare_with("bare.git", &[]);
    sandbox.git("bare.git", &["worktree", "add", "--no-checkout", "../a"]);
    let base = sandbox.port(0);
    sandbox.configure("a", config(&[("web", base)]).step(2));
    let listener = listen(base);
    sandbox.run("a", &[]).exits(0);
    assert_eq!(sandbox.ports("a"), [base + 2]);
    close(listener);
    sandbox.run("a", &["--reallocate"]).exits(0);
    assert_eq!(sandbox.ports("a"), [base]);
}

#[test]
fn a_repository_that_is_bare_by_config_has_no_main_worktree() {
    let sandbox = bare_with("bare.git", &[]);
    sandbox.git("bare.git", &["config", "extensions.worktreeConfig", "true"]);
    sandbox.git("bare.git", &["config", "--worktree", "core.bare", "true"]);
    sandbox.git("bare.git", &["config", "--local", "--unset", "core.bare"]);
    sandbox.git("bare.git", &["worktree", "add", "../a"]);
    assert_eq!(sandbox.ports("a"), [sandbox.port(0)]);
    sandbox.run("a", &["--reallocate"]).exits(0).tells_nothing();
    assert_eq!(sandbox.ports("a"), [sandbox.port(0)]);
}

#[test]
fn a_bare_repository_behind_a_git_file_is_served() {
    let sandbox = bare_with("project/.bare", &[]);
    sandbox.write("project/.git", "gitdir: ./.bare\n");
    sandbox.git("project", &["worktree", "add", "a"]);
    sandbox.git("project", &["worktree", "add", "b"]);
    assert_eq!(sandbox.ports("project/a"), [sandbox.port(0)]);
    assert_eq!(sandbox.ports("project/b"), [sandbox.port(1)]);
    sandbox.run("project/a", &[]).exits(0).tells_nothing();
    sandbox
        .run("project", &[])
        .exits(1)
        .tells(&["is not inside a worktree"]);
    assert!(!sandbox.has_port_file("project"));
}

#[test]
fn with_a_separate_git_directory_the_record_of_main_is_what_others_see() {
    for git_dir in ["elsewhere", "deep/.git"] {
        let sandbox = Sandbox::without_hook();
        sandbox.commit_config("repo");
        fs::create_dir(sandbox.path("deep")).unwrap();
        sandbox.git(
            ".",
            &[
                "clone",
                "--quiet",
                "--separate-git-dir",
                git_dir,
                "repo",
                "main",
            ],
        );
        sandbox.wire(git_dir);
        sandbox.git("main", &["worktree", "add", "../a"]);
        // Until the main worktree has a port file, slot 0 is kept for it.
        assert_eq!(sandbox.ports("a"), [sandbox.port(1)], "{git_dir}");
        sandbox.run("main", &[]).exits(0).tells_nothing();
        assert_eq!(sandbox.ports("main"), [sandbox.port(0)], "{git_dir}");

        sandbox.remove_port_file("main");
        sandbox.write(
            format!("a/{PORT_FILE}"),
            sandbox.with_ports(r#"{"worktree": "a", "slot": 0, "ports": {"cloud": @0}}"#),
        );
        // Its record is of no use, because another worktree reserves what it names.
        sandbox.run("main", &[]).exits(0).tells_nothing();
        assert_eq!(sandbox.ports("main"), [sandbox.port(1)], "{git_dir}");
        sandbox.run("a", &["--reallocate"]).exits(0);
        assert_eq!(sandbox.ports("a"), [sandbox.port(2)], "{git_dir}");
    }
}

#[test]
fn a_worktree_copied_or_moved_by_hand_is_an_error() {
    let sandbox = Sandbox::without_hook();
    for name in ["a", "b"] {
        sandbox.add(name);
    }
    let mut copy = sandbox.command("cp", ".");
    copy.args(["-r", "a", "copy"]);
    Sandbox::finish(copy).exits(0);
    fs::rename(sandbox.path("b"), sandbox.path("moved")).unwrap();
    fs::create_dir(sandbox.path("moved/deep")).unwrap();
    for (at, registered) in [("copy", "a"), ("moved", "b"), ("moved/deep", "b")] {
        let registered = format!("the worktree at `{}", sandbox.path(registered).display());
        let remedy = if at == "copy" {
            "worktree add"
        } else {
            "worktree repair`"
        };
        let parts = ["error: ", &registered, remedy];
        for call in [&[][..], &["--reallocate"], &["--get", "cloud"]] {
            sandbox.run(at, call).exits(1).tells(&parts);
        }
        assert!(!sandbox.has_port_file(at));
    }
    for at in ["copy", "moved"] {
        sandbox
            .run_hook(at)
            .exits(0)
            .tells(&["error: ", "the worktree at"]);
        assert!(!sandbox.has_port_file(at));
    }
    // After `git worktree repair`, it is like any other.
    sandbox.git("moved", &["worktree", "repair"]);
    sandbox.run("moved", &[]).exits(0).tells_nothing();
    assert_eq!(sandbox.ports("moved"), [sandbox.port(1)]);
}

#[test]
fn a_repository_reached_through_a_link_is_the_same_one() {
    let sandbox = Sandbox::new();
    sandbox.add("a");
    std::os::unix::fs::symlink("a", sandbox.path("link")).unwrap();
    std::os::unix::fs::symlink("repo", sandbox.path("repo-link")).unwrap();
    let get = sandbox.run("link", &["--get", "cloud"]).exits(0);
    assert_eq!(get.stdout, sandbox.with_ports("@1\n"));
    let get = sandbox.run(".", &["-C", "repo-link", "--get", "cloud"]);
    assert_eq!(get.exits(0).stdout, sandbox.with_ports("@0\n"));
}

#[test]
fn a_hooks_directory_of_the_users_own_works() {
    let sandbox = Sandbox::without_hook();
    sandbox.write(
        "hooks/post-checkout",
        format!("#!/bin/sh\n'{PROGRAM}' \"$@\" || :\n"),
    );
    set_mode(sandbox.path("hooks/post-checkout"), 0o755);
    let hooks = sandbox.path("hooks").display().to_string();
    sandbox.git("repo", &["config", "core.hooksPath", &hooks]);
    sandbox.add("a").tells(&[&sandbox.with_ports("cloud @1")]);
}
