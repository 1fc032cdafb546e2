//! Other users, and modes that refuse access.

use std::fs;
use std::os::unix::fs::MetadataExt;

use crate::support::hooks::{NEW, OLD, sandbox_with_git};
use crate::support::{FIRST_CHECKOUT, LOCK, Nobody, PORT_FILE, PROGRAM, Sandbox, set_mode};

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
            // At most once for each of the two directories.
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
            // What is created in another user's repository belongs to that user.
            let lock = sandbox.path(&main).join(".git/worktree-ports/lock");
            assert_eq!(fs::metadata(lock).unwrap().uid(), 65533);
        }
    }
}

#[test]
#[ignore = "needs root"]
fn the_hook_leaves_the_check_of_the_owner_to_git() {
    let sandbox = Sandbox::with_worktrees(&["a"]);
    sandbox.give_to("65533", ".");
    sandbox
        .run_hook("a")
        .exits(0)
        .tells(&[&sandbox.with_ports("cloud @1")]);
}

#[test]
#[ignore = "needs root"]
fn in_another_users_repository_nothing_is_written_and_the_owner_is_named() {
    let sandbox = Sandbox::with_worktrees(&["a"]);
    let nobody = Nobody::reading(&sandbox);
    let by_hand = nobody.run("a", &[]).exits(1);
    by_hand
        .tells_one_error()
        .tells(&["belongs to another user", "safe.directory"]);
    let as_hook = nobody.run_hook("a").exits(0);
    as_hook
        .tells_one_error()
        .tells(&["error: could not lock", "Permission denied"]);
    assert!(!sandbox.has_port_file("a"));
    sandbox.assert_no_leftovers("a");
}

#[test]
fn a_read_only_common_dir_is_one_error_and_nothing_is_allocated() {
    let sandbox = Sandbox::with_worktrees(&["a"]);
    let nobody = Nobody::owning(&sandbox);
    set_mode(sandbox.path("repo/.git"), 0o555);
    let parts = ["error: could not lock", "repo/.git/worktree-ports/lock"];
    nobody.run("a", &[]).exits(1).tells(&parts);
    nobody.run_hook("a").exits(0).tells(&parts);
    assert!(!sandbox.has_port_file("a"));

    // If the lock file exists, it is opened read-only.
    set_mode(sandbox.path("repo/.git"), 0o755);
    nobody.run("repo", &[]).exits(0).tells_nothing();
    for (path, mode) in [
        (LOCK, 0o400),
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
fn an_unreadable_common_dir_is_an_error_and_an_unreadable_home_is_not() {
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
fn a_worktree_directory_that_refuses_writing_keeps_its_old_port_file() {
    let sandbox = Sandbox::with_worktrees(&["a", "b"]);
    sandbox.run_hook("a").exits(0);
    sandbox.run_hook("b").exits(0);
    sandbox.git("repo", &["worktree", "remove", "../a"]);
    let nobody = Nobody::owning(&sandbox);
    let old = sandbox.port_file("b");
    set_mode(sandbox.path("b"), 0o555);
    let run = nobody.run("b", &["--reallocate"]).exits(1);
    run.tells_one_error()
        .tells(&["error: could not write", "Permission denied"]);
    assert_eq!(sandbox.port_file("b"), old);
}

#[test]
fn a_read_only_lock_file_still_locks() {
    let sandbox = Sandbox::with_worktrees(&["a"]);
    sandbox.run("repo", &[]).exits(0);
    let nobody = Nobody::owning(&sandbox);
    let lock = sandbox.path(LOCK);
    set_mode(&lock, 0o400);
    set_mode(lock.parent().unwrap(), 0o555);

    let held = fs::File::open(&lock).unwrap();
    held.lock().unwrap();
    let mut hook = nobody.command("a");
    hook.args(FIRST_CHECKOUT)
        .env("WORKTREE_PORTS_LOCK_TIMEOUT", "0");
    Sandbox::finish(hook)
        .exits(0)
        .tells(&["error: gave up", "the lock"]);
    assert!(!sandbox.has_port_file("a"));

    held.unlock().unwrap();
    nobody.run_hook("a").exits(0);
    assert_eq!(sandbox.ports("a"), [sandbox.port(1)]);
}

#[test]
#[ignore = "needs root"]
fn what_root_installs_in_a_users_clone_belongs_to_the_user() {
    for git in [OLD, NEW] {
        let sandbox = sandbox_with_git(git);
        sandbox.give_to("65534:65533", "repo");
        let config = sandbox.path("repo/.git/config");
        set_mode(&config, 0o640);
        for arguments in [
            &["--install", "--share"] as &[&str],
            &["--install", "--no-share"],
            &["--uninstall"],
        ] {
            let mut command = sandbox.command("sh", "repo");
            command
                .args(["-c", "umask 077; exec \"$@\"", "sh", PROGRAM])
                .args(arguments);
            command.env("SUDO_UID", "65534");
            Sandbox::finish(command).exits(0);
            let now = fs::metadata(&config).unwrap();
            let access = (now.uid(), now.gid(), now.mode() & 0o7777);
            assert_eq!(access, (65534, 65533, 0o640), "{arguments:?}");
        }
    }
}
