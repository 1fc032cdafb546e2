//! Calls by hand.

use std::fs::{self, OpenOptions};
use std::process::Stdio;

use crate::support::{PORT_FILE, PROGRAM, Sandbox};

#[test]
fn the_bare_call_gives_ports_and_prints_them_for_a_person() {
    let sandbox = Sandbox::with_worktrees(&["a"]);
    let first = sandbox.run("a", &[]).exits(0).tells_nothing();
    assert_eq!(
        first.stdout,
        sandbox.with_ports("a, slot 1\n  cloud      @1\n  cloud_url  http://127.0.0.1:@1\n")
    );
    let file = sandbox.port_file("a");
    assert_eq!(sandbox.run("a", &[]).exits(0).stdout, first.stdout);
    assert_eq!(sandbox.port_file("a"), file);
}

#[test]
fn the_main_worktree_has_slot_0() {
    let sandbox = Sandbox::new();
    sandbox.add("a");
    let run = sandbox.run("repo", &["--json"]).exits(0);
    assert_eq!(run.stdout, sandbox.port_file("repo"));
    assert_eq!(run.json()["worktree"], serde_json::Value::Null);
    assert_eq!(
        (&run.json()["slot"], sandbox.ports("repo")),
        (&0.into(), vec![sandbox.port(0)])
    );
}

#[test]
fn ports_of_its_own_are_printed_without_the_lock() {
    let sandbox = Sandbox::new();
    sandbox.add("a");
    let _lock = sandbox.hold_lock();
    assert_eq!(
        sandbox.run("a", &["--get", "cloud"]).exits(0).stdout,
        sandbox.with_ports("@1\n")
    );
}

#[test]
fn reallocate_keeps_a_bundle_that_is_the_lowest_free_one() {
    let sandbox = Sandbox::new();
    sandbox.add("a");
    sandbox.add("b");
    sandbox.run("b", &["--reallocate"]).exits(0);
    assert_eq!(sandbox.ports("b"), [sandbox.port(2)]);
    sandbox.git("repo", &["worktree", "remove", "../a"]);
    sandbox.run("b", &["--reallocate"]).exits(0);
    assert_eq!(sandbox.ports("b"), [sandbox.port(1)]);
}

#[test]
fn it_works_in_a_subdirectory_and_with_the_option_c() {
    let sandbox = Sandbox::new();
    sandbox.add("a");
    fs::create_dir_all(sandbox.path("a/deep/er")).unwrap();
    assert_eq!(
        sandbox.run("a/deep/er", &["--get", "cloud"]).stdout,
        sandbox.with_ports("@1\n")
    );
    assert_eq!(
        sandbox
            .run(".", &["-C", "a", "-C", "deep", "--get", "cloud"])
            .stdout,
        sandbox.with_ports("@1\n")
    );
}

#[test]
fn get_lists_the_services_if_one_is_unknown() {
    let sandbox = Sandbox::new();
    sandbox.configure("repo", sandbox.config(&["web", "api"]));
    let run = sandbox.run("repo", &["--get", "wbe"]).exits(1);
    assert_eq!(run.stdout, "");
    run.tells(&["`wbe`", "web, api"]);
}

#[test]
fn wrong_usage_exits_2_and_help_0() {
    let sandbox = Sandbox::new();
    sandbox.run("repo", &["--frobnicate"]).exits(2);
    sandbox
        .run("repo", &["--reallocate", "--get", "cloud"])
        .exits(2);
    sandbox.run("repo", &["--get"]).exits(2);
    let run = sandbox.run("repo", &["--adopt", "--json"]).exits(2);
    run.tells(&["--adopt with --json needs --all"]);
    for mode in ["--list", "--all", "--json", "--uninstall", "--man"] {
        for share in ["--share", "--no-share"] {
            let run = sandbox.run("repo", &[mode, share]).exits(2);
            run.tells(&["--share and --no-share need --install"]);
        }
    }
    assert!(
        sandbox
            .run("repo", &["--help"])
            .exits(0)
            .stdout
            .contains("--reallocate")
    );
    assert!(
        sandbox
            .run("repo", &["--version"])
            .exits(0)
            .stdout
            .contains(env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn outside_a_worktree_the_error_names_the_directory() {
    let sandbox = Sandbox::new();
    sandbox
        .run(".", &[])
        .exits(1)
        .tells(&["is not inside a git repository"]);
    sandbox
        .run("repo/.git", &[])
        .exits(1)
        .tells(&["is not inside a worktree", "-C <path>"]);
}

#[test]
fn a_full_disk_is_an_error_and_a_closed_pipe_is_not() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(PROGRAM, "repo");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    assert!(command.stdout(writer).status().unwrap().success());
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let status = command.stdout(full).stderr(Stdio::null()).status().unwrap();
    assert_eq!(status.code(), Some(1));
}

#[test]
fn the_lock_timeout_is_whole_seconds() {
    let sandbox = Sandbox::new();
    sandbox.add("a");
    for wrong in ["", "-1", "1.5", "soon", "99999999999999999999"] {
        let mut command = sandbox.command(PROGRAM, "a");
        command.env("WORKTREE_PORTS_LOCK_TIMEOUT", wrong);
        Sandbox::finish(command)
            .exits(1)
            .tells(&["`WORKTREE_PORTS_LOCK_TIMEOUT`", "whole number of seconds"]);
    }
}

#[test]
fn a_wait_for_the_lock_ends_and_names_the_holder() {
    let sandbox = Sandbox::new();
    sandbox.add("a");
    let before = sandbox.port_file("a");
    let _lock = sandbox.hold_lock();
    for (timeout, waits) in [("0", false), ("2", true)] {
        let mut command = sandbox.command(PROGRAM, "a");
        command
            .arg("--reallocate")
            .env("WORKTREE_PORTS_LOCK_TIMEOUT", timeout);
        let run = Sandbox::finish(command).exits(1);
        let run = run.tells(&[
            "error: gave up",
            &format!("by process {}", std::process::id()),
        ]);
        assert_eq!(run.stderr.contains("waiting for the lock"), waits, "{run}");
    }
    assert_eq!(sandbox.port_file("a"), before);
}

#[test]
fn a_port_file_gets_the_mode_of_a_new_file() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = Sandbox::without_hook();
    for (umask, mode) in [("022", 0o644), ("077", 0o600), ("002", 0o664)] {
        let mut command = sandbox.command("sh", "repo");
        command.args([
            "-c",
            r#"umask $1; "$2" --release && exec "$2""#,
            "sh",
            umask,
            PROGRAM,
        ]);
        Sandbox::finish(command).exits(0);
        let metadata = fs::metadata(sandbox.path("repo").join(PORT_FILE)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, mode);
    }
}
