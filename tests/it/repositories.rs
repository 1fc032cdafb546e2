//! Repositories of every kind that git makes.

use std::fs;
use std::os::unix::fs::MetadataExt;

use crate::support::{Nobody, PORT_FILE, PROGRAM, Sandbox, close, config, listen, set_mode};

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

/// Runs through what a repository has to do with `other` as its main worktree.
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
    // Whether git tracks a file is seen too.
    sandbox.git("b", &["add", "--force", PORT_FILE]);
    sandbox.run("b", &[]).exits(1).tells(&["error: git tracks"]);
    sandbox.git("b", &["rm", "--quiet", "--cached", PORT_FILE]);
    sandbox.git("other", &["worktree", "remove", "../a"]);
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
fn extensions_that_libgit2_does_not_know_are_no_hindrance() {
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
fn a_worktrees_own_config_is_no_hindrance() {
    let sandbox = with_other(&["other"]);
    sandbox.git("other", &["config", "extensions.worktreeConfig", "true"]);
    sandbox.git("other", &["worktree", "add", "../a"]);
    sandbox.git("a", &["sparse-checkout", "set", "--cone", "x"]);
    sandbox.git("a", &["config", "--worktree", "core.autocrlf", "false"]);
    sandbox.run("a", &["--reallocate"]).exits(0).tells_nothing();
    assert_eq!(sandbox.ports("a"), [sandbox.port(1)]);
}

/// Makes the entries of the worktrees `names` of `repo` relative, as newer gits write them.
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
    sandbox.git("repo", &["config", "extensions.relativeWorktrees", "true"]);
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
    // From elsewhere, and after all of it moved together.
    fs::create_dir(sandbox.path("moved")).unwrap();
    for name in ["repo", "a", "b"] {
        fs::rename(sandbox.path(name), sandbox.path("moved").join(name)).unwrap();
    }
    let get = sandbox.run(".", &["-C", "moved/a", "--get", "cloud"]);
    assert_eq!(get.exits(0).stdout, sandbox.with_ports("@2\n"));
    sandbox.run("moved/b", &["--reallocate"]).exits(0);
    assert_eq!(sandbox.ports("moved/b"), [sandbox.port(1)]);
}

/// A bare repository at `at`, wired, with the linked worktrees `worktrees`.
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
fn in_a_bare_repository_slot_0_is_anyones() {
    // Beside it, and in it.
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
            .tells(&["is in no worktree"]);
    }
}

#[test]
fn slot_0_of_a_bare_repository_is_probed_as_any_other() {
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
fn a_bare_repository_whose_bareness_is_in_its_own_config_has_no_main_worktree() {
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
        .tells(&["is in no worktree"]);
    assert!(!sandbox.has_port_file("project"));
}

#[test]
fn in_a_clone_with_a_separate_git_directory_the_main_worktree_takes_slot_0_or_gets_an_error() {
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
        // Before the main worktree has a file, slot 0 is kept for it.
        assert_eq!(sandbox.ports("a"), [sandbox.port(1)], "{git_dir}");
        sandbox.run("main", &[]).exits(0).tells_nothing();
        assert_eq!(sandbox.ports("main"), [sandbox.port(0)], "{git_dir}");

        sandbox.remove_port_file("main");
        sandbox.write(
            format!("a/{PORT_FILE}"),
            sandbox.with_ports(r#"{"worktree": "a", "slot": 0, "ports": {"cloud": @0}}"#),
        );
        sandbox
            .run("main", &[])
            .exits(1)
            .tells(&["error: slot 0 is taken", "--reallocate"]);
        assert!(!sandbox.has_port_file("main"));
        sandbox.run("a", &["--reallocate"]).exits(0);
        assert_eq!(sandbox.ports("a"), [sandbox.port(1)]);
    }
}

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
fn in_a_submodule_it_is_the_superprojects_worktree_that_is_meant() {
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
        // As the hook, a submodule is not a linked worktree.
        sandbox.run_hook(at).exits(0).tells_nothing();
        assert!(!sandbox.has_port_file(at));
    }
    assert_eq!(sandbox.ports("repo"), [sandbox.port(0)]);
}

#[test]
fn a_submodule_is_found_to_be_one_where_the_superprojects_index_is_split_or_sparse() {
    let sandbox = with_submodule();
    sandbox.git("repo", &["update-index", "--split-index"]);
    sandbox.run("repo/deep/sub", &[]).exits(0);
    assert!(sandbox.has_port_file("repo") && !sandbox.has_port_file("repo/deep/sub"));

    let sandbox = with_submodule();
    sandbox.write("repo/dropped/er/file", "x");
    sandbox.git("repo", &["add", "."]);
    sandbox.git("repo", &COMMIT);
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
fn a_repository_in_a_worktree_that_is_no_submodule_is_its_own() {
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

    // Also where the superproject would have its checkout.
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

#[test]
fn a_worktree_copied_or_moved_by_hand_is_an_error_that_names_git_worktree_repair() {
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
        let registered = format!("is registered at `{}", sandbox.path(registered).display());
        let parts = ["error: ", &registered, "`git worktree repair`"];
        for call in [&[][..], &["--reallocate"], &["--get", "cloud"]] {
            sandbox.run(at, call).exits(1).tells(&parts);
        }
        assert!(!sandbox.has_port_file(at));
    }
    for at in ["copy", "moved"] {
        sandbox
            .run_hook(at)
            .exits(0)
            .tells(&["error: ", "`git worktree repair`"]);
        assert!(!sandbox.has_port_file(at));
    }
    // Repaired, it is as any other.
    sandbox.git("moved", &["worktree", "repair"]);
    sandbox.run("moved", &[]).exits(0).tells_nothing();
    assert_eq!(sandbox.ports("moved"), [sandbox.port(1)]);
}

#[test]
fn a_copy_of_a_worktree_that_has_ports_does_not_answer_with_them() {
    let sandbox = Sandbox::new();
    sandbox.add("a");
    let mut copy = sandbox.command("cp", ".");
    copy.args(["-r", "a", "copy"]);
    Sandbox::finish(copy).exits(0);
    let run = sandbox.run("copy", &["--get", "cloud"]).exits(1);
    run.tells(&["`git worktree repair`"]);
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
#[ignore = "needs root"]
fn another_users_repository_is_an_error_whose_remedy_works() {
    for name in ["a", "a $(touch hit) 'b'"] {
        let sandbox = Sandbox::without_hook();
        sandbox.git(
            "repo",
            &["worktree", "add", "-b", "a", &format!("../{name}")],
        );
        fs::create_dir(sandbox.path(name).join("deep")).unwrap();
        let main = format!("main {name}");
        fs::rename(sandbox.path("repo"), sandbox.path(&main)).unwrap();
        sandbox.git(&main, &["worktree", "repair"]);
        sandbox.give_to("65533", ".");
        for at in [&format!("{name}/deep"), &main] {
            let _ = fs::remove_file(sandbox.path("home/.gitconfig"));
            // Once for each of the two directories at most.
            let mut run = sandbox.run(at, &[]).exits(1);
            for _ in 0..2 {
                if run.code() == Some(0) {
                    break;
                }
                run = run.tells(&["it belongs to another user", "safe.directory"]);
                let remedy = run.stderr.split('`').rev().nth(1).unwrap().to_owned();
                let mut command = sandbox.command("sh", ".");
                command.args(["-c", &remedy]);
                Sandbox::finish(command).exits(0);
                assert!(!sandbox.path("hit").exists(), "{remedy}");
                run = sandbox.run(at, &[]);
            }
            run.exits(0);
            // What is made in another's repository is theirs to open.
            let lock = sandbox.path(&main).join(".git/worktree-ports/lock");
            assert_eq!(fs::metadata(lock).unwrap().uid(), 65533);
        }
    }
}

#[test]
#[ignore = "needs root"]
fn the_hook_goes_by_gits_own_judgement_of_the_owner() {
    let sandbox = Sandbox::with_worktrees(&["a"]);
    sandbox.give_to("65533", ".");
    sandbox
        .run_hook("a")
        .exits(0)
        .tells(&[&sandbox.with_ports("cloud @1")]);
}

#[test]
fn a_common_dir_that_cannot_be_written_is_one_error_and_nothing_is_allocated() {
    let sandbox = Sandbox::with_worktrees(&["a"]);
    let nobody = Nobody::owning(&sandbox);
    set_mode(sandbox.path("repo/.git"), 0o555);
    let parts = ["error: could not lock", "repo/.git/worktree-ports/lock"];
    nobody.run("a", &[]).exits(1).tells(&parts);
    nobody.run_hook("a").exits(0).tells(&parts);
    assert!(!sandbox.has_port_file("a"));

    // Where the lock file has been made once, it is opened read-only.
    set_mode(sandbox.path("repo/.git"), 0o755);
    nobody.run("repo", &[]).exits(0).tells_nothing();
    for (path, mode) in [
        ("repo/.git/worktree-ports/lock", 0o400),
        ("repo/.git/info/exclude", 0o400),
        ("repo/.git/worktree-ports", 0o555),
        ("repo/.git", 0o555),
    ] {
        set_mode(sandbox.path(path), mode);
    }
    nobody
        .run_hook("a")
        .exits(0)
        .tells(&[&sandbox.with_ports("cloud @1")]);
    assert_eq!(sandbox.ports("a"), [sandbox.port(1)]);
}

#[test]
fn a_common_dir_or_a_home_that_cannot_be_read_is_told_of_or_done_without() {
    let sandbox = Sandbox::with_worktrees(&["a"]);
    let nobody = Nobody::owning(&sandbox);
    set_mode(sandbox.path("home"), 0o000);
    nobody.run("a", &[]).exits(0).tells_nothing();
    nobody
        .run("repo", &["--reallocate"])
        .exits(0)
        .tells_nothing();
    assert_eq!(
        (sandbox.ports("a"), sandbox.ports("repo")),
        (vec![sandbox.port(1)], vec![sandbox.port(0)])
    );
    sandbox.remove_port_file("a");
    nobody
        .run_hook("a")
        .exits(0)
        .tells(&[&sandbox.with_ports("cloud @1")]);

    set_mode(sandbox.path("repo/.git/worktrees"), 0o000);
    sandbox.remove_port_file("a");
    for path in ["repo/.git/worktrees", "repo/.git"] {
        set_mode(sandbox.path(path), 0o000);
        let run = nobody.run("a", &[]).exits(1).tells(&["error: ", "a"]);
        assert_eq!(run.stderr.lines().count(), 1, "{run}");
        nobody.run_hook("a").exits(0);
        assert!(!sandbox.has_port_file("a"));
    }
}

#[test]
fn a_worktree_that_cannot_be_written_is_an_error_that_names_the_port_file() {
    let sandbox = Sandbox::with_worktrees(&["a"]);
    let nobody = Nobody::owning(&sandbox);
    set_mode(sandbox.path("a"), 0o555);
    let parts = ["error: could not write", PORT_FILE];
    nobody.run("a", &[]).exits(1).tells(&parts);
    nobody.run_hook("a").exits(0).tells(&parts);
    assert!(!sandbox.has_port_file("a"));
}

#[test]
fn a_hooks_directory_of_the_users_own_is_no_hindrance() {
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
