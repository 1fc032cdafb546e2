//! System calls that fail: one clear message, no port file or the old one, and nothing left behind.
//! The hook exits 0, a call by hand 1.

use std::fs;

use crate::support::strace::{self, Call};
use crate::support::{FIRST_CHECKOUT, PORT_FILE, PROGRAM, Sandbox, TEMPORARY, is_one_error};

#[test]
fn too_few_descriptors_are_an_error_and_nothing_is_written() {
    let sandbox = Sandbox::with_worktrees(&["a", "b"]);
    sandbox.run_hook("a").exits(0);
    let mut refused = 0;
    for descriptors in 4..64 {
        let mut command = sandbox.command("sh", "b");
        let limit = format!(r#"ulimit -n {descriptors}; exec "$@""#);
        command
            .args(["-c", &limit, "sh", PROGRAM])
            .args(FIRST_CHECKOUT);
        let run = Sandbox::finish(command).exits(0);
        if sandbox.has_port_file("b") {
            assert_eq!(sandbox.ports("b"), [sandbox.port(2)]);
            break;
        }
        refused += 1;
        assert!(is_one_error(&run.stderr), "{descriptors}: {run}");
        sandbox.assert_no_leftovers("b");
    }
    assert!(refused > 0);
    assert!(sandbox.has_port_file("b"));
}

#[test]
fn calls_about_many_worktrees_need_few_descriptors() {
    let sandbox = Sandbox::without_hook();
    let names: Vec<String> = (0..101).map(|i| format!("w{i}")).collect();
    let script =
        r#"cd repo && for name; do git worktree add --quiet --detach "../$name" || exit; done"#;
    let mut adds = sandbox.command("sh", ".");
    adds.args(["-c", script, "sh"]).args(&names);
    Sandbox::finish(adds).exits(0);
    let with_few = |call: &str| {
        let mut command = sandbox.command("sh", "repo");
        command.args(["-c", r#"ulimit -n 64; exec "$@""#, "sh", PROGRAM, call]);
        Sandbox::finish(command)
    };
    with_few("--all").exits(0).tells_nothing();
    let run = with_few("--check").exits(1);
    assert!(run.stdout.contains("no hook is installed"), "{run}");
    let mut ports: Vec<u16> = names.iter().flat_map(|name| sandbox.ports(name)).collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), names.len());
}

#[test]
#[ignore = "needs strace"]
fn an_error_in_writing_or_renaming_leaves_the_old_port_file_and_says_why() {
    let sandbox = Sandbox::with_worktrees(&["a", "b"]);
    sandbox.run_hook("a").exits(0);
    sandbox.run_hook("b").exits(0);
    sandbox.git("repo", &["worktree", "remove", "../a"]);
    let record = "repo/.git/worktrees/b/worktree-ports.json";
    let files = ["b/.worktree-ports.json", record].map(|path| {
        let content = fs::read_to_string(sandbox.path(path)).unwrap();
        (path, content)
    });
    let calls = strace::calls_from_the_lock(&sandbox, "b", &["--reallocate"]);
    assert_ne!(sandbox.port_file("b"), files[0].1);
    for (path, content) in &files {
        sandbox.write(path, content);
    }
    let [open, write, rename] = strace::calls_on(&calls, TEMPORARY);
    for (call, error, why) in [
        (rename, "ENOSPC", "No space left"),
        (rename, "EIO", "Input/output error"),
        (rename, "EXDEV", "cross-device"),
        (write, "ENOSPC", "No space left"),
        (write, "EDQUOT", "quota"),
        (write, "EIO", "Input/output error"),
        (open, "EROFS", "Read-only file system"),
        (open, "EMFILE", "Too many open files"),
    ] {
        let what = call.inject(&format!("error={error}"));
        let run = strace::inject(&sandbox, "b", &what, &["--reallocate"]).exits(1);
        let run = run
            .tells_one_error()
            .tells(&["error: could not write", PORT_FILE]);
        assert!(
            run.stderr.to_lowercase().contains(&why.to_lowercase()),
            "{run}"
        );
        for (path, content) in &files {
            let left = fs::read_to_string(sandbox.path(path)).unwrap();
            assert_eq!(left, *content, "{call:?} {error}");
        }
        sandbox.assert_no_leftovers("b");
    }
}

#[test]
#[ignore = "needs strace"]
fn without_a_lock_directory_there_is_an_error_and_nothing_is_written() {
    let sandbox = Sandbox::with_worktrees(&["a"]);
    for error in ["ENOSPC", "EROFS", "EACCES", "EMLINK"] {
        let what = format!("/^mkdir:error={error}");
        let run = strace::inject(&sandbox, "a", &what, &FIRST_CHECKOUT).exits(0);
        run.tells_one_error()
            .tells(&["error: could not lock", "worktree-ports/lock"]);
        assert!(!sandbox.has_port_file("a"));
        sandbox.assert_no_leftovers("a");
    }
}

#[test]
#[ignore = "needs strace"]
fn the_probe_tells_a_taken_port_from_other_errors() {
    let sandbox = Sandbox::with_worktrees(&["a"]);
    let (first, second) = (vec![sandbox.port(1)], vec![sandbox.port(2)]);
    // Only the first probe gets the error; the later ones get the kernel's own answers.
    for (call, error, expected) in [
        ("bind", "EADDRINUSE", Some(&second)),
        ("bind", "EACCES", Some(&second)),
        ("bind", "EADDRNOTAVAIL", Some(&first)),
        ("bind", "EAFNOSUPPORT", Some(&first)),
        ("socket", "EAFNOSUPPORT", Some(&first)),
        ("bind", "ENOBUFS", None),
        ("bind", "ENOMEM", None),
        ("socket", "EMFILE", None),
        ("socket", "ENFILE", None),
        ("socket", "ENOBUFS", None),
        ("socket", "ENOMEM", None),
        ("bind", "EINVAL", Some(&first)),
        ("socket", "EPROTONOSUPPORT", Some(&first)),
        ("bind", "EPERM", Some(&first)),
        ("socket", "EPERM", Some(&first)),
        ("socket", "EACCES", Some(&first)),
    ] {
        let what = format!("{call}:error={error}:when=1");
        let run = strace::inject(&sandbox, "a", &what, &FIRST_CHECKOUT).exits(0);
        if let Some(expected) = expected {
            assert_eq!(&sandbox.ports("a"), expected, "{call} {error}: {run}");
            let is_doubtful = matches!(
                (call, error),
                ("socket", "EACCES") | (_, "EINVAL" | "EPROTONOSUPPORT" | "EPERM")
            );
            assert_eq!(run.stderr.contains("warning"), is_doubtful, "{run}");
            sandbox.run("a", &["--release"]).exits(0);
        } else {
            run.tells_one_error()
                .tells(&["could not ask whether ports are free"]);
            assert!(!sandbox.has_port_file("a"), "{call} {error}");
        }
        sandbox.assert_no_leftovers("a");
    }
}

#[test]
#[ignore = "needs strace"]
fn without_sockets_there_is_one_warning_and_reservations_hold() {
    let sandbox = Sandbox::with_worktrees(&["a", "b"]);
    let services = sandbox.config(&["web", "api", "db"]);
    sandbox.configure("repo", services);
    sandbox.run("b", &[]).exits(0);
    for what in [
        "socket:error=EPERM",
        "socket:error=EACCES",
        "bind:error=EPERM",
    ] {
        let run = strace::inject(&sandbox, "a", what, &FIRST_CHECKOUT).exits(0);
        let run = run.tells(&[
            "warning: this process may not use sockets",
            "worktree-ports: web ",
        ]);
        assert_eq!(run.stderr.lines().count(), 2, "{run}");
        let mut ports = sandbox.ports("a");
        ports.sort_unstable();
        assert_eq!(ports, sandbox.bundle::<3>(2), "{what}");
        sandbox.run("a", &["--release"]).exits(0);
    }
}

#[test]
#[ignore = "needs strace"]
fn an_error_in_any_system_call_is_reported_and_gives_no_port_twice() {
    let sandbox = Sandbox::with_worktrees(&["a", "b"]);
    sandbox.run_hook("a").exits(0);
    let taken = sandbox.ports("a");

    for call in &strace::calls_from_the_lock(&sandbox, "b", &FIRST_CHECKOUT) {
        for error in errors_for(call) {
            let _ = fs::remove_file(sandbox.path("b").join(PORT_FILE));
            let what = call.inject(&format!("error={error}"));
            let run = strace::inject(&sandbox, "b", &what, &FIRST_CHECKOUT).exits(0);
            let context = || format!("{error} in {call:?}: {run}");
            if sandbox.has_port_file("b") {
                let unknown = run.stderr.contains("ports are unknown");
                assert!(unknown || sandbox.ports("b") != taken, "{}", context());
                // The record is written last; if that fails, the port file stands.
                let is_of_record = run.stderr.contains("could not write `")
                    && run.stderr.contains("worktrees/b/worktree-ports.json`");
                assert!(
                    is_of_record || !run.stderr.contains("error:"),
                    "{}",
                    context()
                );
            } else {
                assert!(is_one_error(&run.stderr), "{}", context());
            }
            assert!(!sandbox.path("b").join(TEMPORARY).exists(), "{}", context());

            let _ = fs::remove_file(sandbox.path("b").join(PORT_FILE));
            sandbox.run_hook("b").exits(0);
            assert_ne!(sandbox.ports("b"), taken, "{}", context());
        }
    }
    sandbox.assert_no_leftovers("b");
}

/// The errors worth trying at that call; none if a failure there is not about a file or a socket.
fn errors_for(call: &Call) -> &'static [&'static str] {
    match call.name.as_str() {
        "exit_group" | "mmap" | "munmap" | "mprotect" | "brk" | "sigaltstack" | "close" => &[],
        // libgit2 makes these calls before it opens a file.
        "readlink" | "access" | "faccessat2" | "newfstatat" | "fcntl" => &["EIO"],
        _ => &["EIO", "EACCES", "EMFILE", "ENOSPC"],
    }
}
