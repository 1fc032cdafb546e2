//! Who owns the port file in a worktree, and what happens to it.

use std::fs;

use crate::support::{PORT_FILE, PROGRAM, Sandbox, TEMPORARY};

/// What counts as `damaged` in the worktree `a`.
const DAMAGED: [&[u8]; 25] = [
    b"",
    b"\n",
    b"\0\0\0\0",
    b"{",
    b"cloud=8700",
    br#"{"worktree": "a", "slot": 7, "ports": {"cloud": 8700"#,
    br#"{"worktree": "a", "slot": 7, "ports": {"cloud": 8700},}"#,
    br#"{"worktree": "a", "slot": 7, "ports": {"cloud": 8700}} {}"#,
    b"<<<<<<< HEAD\n{\"worktree\": \"a\", \"ports\": {\"cloud\": 8700}}\n=======\n>>>>>>> b\n",
    b"{\"worktree\": \"a\xff\", \"slot\": 7, \"ports\": {\"cloud\": 8700}}",
    b"\xff\xfe{\0}\0",
    br#"{"worktree": "a", "slot": 7, "ports": {}}"#,
    br#"{"worktree": "a", "slot": 7, "ports": [8700]}"#,
    br#"{"worktree": "a", "slot": 7, "ports": {"cloud": 80}}"#,
    br#"{"worktree": "a", "slot": 7, "ports": {"cloud": 1023}}"#,
    br#"{"worktree": "a", "slot": 7, "ports": {"cloud": 65536}}"#,
    br#"{"worktree": "a", "slot": 7, "ports": {"cloud": -8700}}"#,
    br#"{"worktree": "a", "slot": 7, "ports": {"cloud": 8700.5}}"#,
    br#"{"worktree": "a", "slot": 7, "ports": {"cloud": "8700"}}"#,
    br#"{"worktree": "a", "slot": 7, "ports": {"cloud": null}}"#,
    br#"{"worktree": "a", "slot": 7, "ports": {"cloud": 8700, "cloud": 8701}}"#,
    br#"{"worktree": "a", "worktree": "b", "slot": 7, "ports": {"cloud": 8700}}"#,
    br#"{"worktree": 1, "slot": 7, "ports": {"cloud": 8700}}"#,
    br#"{"worktree": "a", "slot": -1, "ports": {"cloud": 8700}}"#,
    br#"{"worktree": "a", "slot": "7", "ports": {"cloud": 8700}}"#,
];

/// What counts as `copied`.
const COPIED: [&str; 3] = [
    r#"{"worktree": "b", "slot": 7, "ports": {"cloud": 8700}, "cloud_url": "http://127.0.0.1:8700"}"#,
    r#"{"worktree": null, "slot": 0, "ports": {"cloud": 8700}}"#,
    r#"{"worktree": "A", "slot": 7, "ports": {"cloud": 8700}}"#,
];

/// What counts as `foreign`.
const FOREIGN: [&str; 8] = [
    r#"{"app": 3010, "db": 5442}"#,
    r#"{"worktree": "a", "slot": 7}"#,
    r#"{"worktree": "a", "ports": {"cloud": 8700}}"#,
    r#"{"ports": {"cloud": 8700}}"#,
    "{}",
    "[8700]",
    "8700",
    "null",
];

/// The worktree's own file, as a template for [`Sandbox::with_ports`].
const OWN: &str =
    r#"{"worktree": "a", "slot": 7, "ports": {"cloud": @7}, "cloud_url": "http://127.0.0.1:@7"}"#;

/// A sandbox with the worktree `a`, which has no port file.
fn sandbox() -> Sandbox {
    Sandbox::with_worktrees(&["a"])
}

/// A sandbox with the worktree `a`, whose port file is [`OWN`], and the content of that file.
pub fn sandbox_with_own_file() -> (Sandbox, String) {
    let sandbox = sandbox();
    let own = sandbox.with_ports(OWN);
    put(&sandbox, &own);
    (sandbox, own)
}

fn put(sandbox: &Sandbox, content: impl AsRef<[u8]>) {
    sandbox.write(format!("a/{PORT_FILE}"), content);
}

#[test]
fn a_file_of_its_own_is_answered_from_and_not_changed() {
    let sandbox = sandbox();
    // In another order, with unknown keys, and with escapes in the id and a service.
    let reordered = r#"{"x":1,"ports":{"\u0063loud":@7},"cloud_url":"http://127.0.0.1:@7","slot":7,"worktree":"\u0061"}"#;
    for own in [OWN, reordered] {
        let own = sandbox.with_ports(own);
        put(&sandbox, &own);
        sandbox.run_hook("a").exits(0).tells_nothing();
        let get = sandbox
            .run("a", &["--get", "cloud"])
            .exits(0)
            .tells_nothing();
        assert_eq!(get.stdout, sandbox.with_ports("@7\n"), "{own}");
        let bare = sandbox.run("a", &[]).exits(0).tells_nothing();
        assert!(bare.stdout.starts_with("a, slot 7\n"), "{bare}");
        assert_eq!(sandbox.run("a", &["--json"]).json()["slot"], 7, "{own}");
        assert_eq!(sandbox.port_file("a"), own);
    }
}

#[test]
fn only_reallocate_moves_a_bundle() {
    let (sandbox, own) = sandbox_with_own_file();
    sandbox.add("b");
    sandbox.write(
        format!("b/{PORT_FILE}"),
        sandbox.with_ports(r#"{"worktree": "b", "slot": 7, "ports": {"cloud": @7}}"#),
    );
    sandbox.run_hook("a").exits(0).tells_nothing();
    let told = "another worktree has taken slot 7";
    sandbox
        .run("a", &[])
        .exits(0)
        .tells(&[told, "--reallocate"]);
    assert_eq!(sandbox.port_file("a"), own);
    sandbox.run("a", &["--reallocate"]).exits(0).tells_nothing();
    assert_eq!(sandbox.ports("a"), [sandbox.port(1)]);
}

#[test]
fn the_hook_allocates_if_the_file_is_missing_copied_or_damaged() {
    let sandbox = sandbox();
    sandbox.run_hook("a").exits(0);
    assert_eq!(sandbox.ports("a"), [sandbox.port(1)]);
    let copied = COPIED.map(str::as_bytes);
    for content in copied.iter().chain(&DAMAGED) {
        put(&sandbox, content);
        let run = sandbox.run_hook("a").exits(0);
        let shown = String::from_utf8_lossy(content);
        assert_eq!(
            run.stderr,
            sandbox.with_ports("worktree-ports: cloud @1 (.worktree-ports.json)\n"),
            "{shown}"
        );
        assert_eq!(sandbox.ports("a"), [sandbox.port(1)], "{shown}");
        sandbox.assert_no_leftovers("a");
    }
}

#[test]
fn by_hand_a_copied_or_damaged_file_is_replaced_with_a_message() {
    let sandbox = sandbox();
    let path = sandbox.path("a").join(PORT_FILE).display().to_string();
    let copied = COPIED.map(str::as_bytes);
    let copied = copied
        .iter()
        .map(|content| (content, "a copy of another worktree's"));
    let damaged = DAMAGED.iter().map(|content| (content, "damaged"));
    let calls: [&[&str]; 4] = [&[], &["--get", "cloud"], &["--json"], &["--reallocate"]];
    for (i, (content, was)) in copied.chain(damaged).enumerate() {
        put(&sandbox, content);
        let call = calls[i % calls.len()];
        let run = sandbox.run("a", call).exits(0);
        assert_eq!(
            run.stderr,
            format!("worktree-ports: replaced `{path}`, which was {was}\n"),
            "{call:?} {}",
            String::from_utf8_lossy(content)
        );
        assert!(run.stdout.contains(&sandbox.port(1).to_string()), "{run}");
        assert_eq!(sandbox.ports("a"), [sandbox.port(1)]);
    }
}

#[test]
fn every_call_by_hand_allocates_if_the_file_is_missing() {
    let calls: [&[&str]; 4] = [&[], &["--get", "cloud"], &["--json"], &["--reallocate"]];
    let sandbox = sandbox();
    for call in calls {
        let _ = fs::remove_file(sandbox.path("a").join(PORT_FILE));
        sandbox.run("a", call).exits(0).tells_nothing();
        assert_eq!(sandbox.ports("a"), [sandbox.port(1)], "{call:?}");
    }
}

#[test]
fn another_tools_file_is_left_alone_until_reallocate_replaces_it() {
    let sandbox = sandbox();
    let calls: [&[&str]; 3] = [&[], &["--get", "cloud"], &["--json"]];
    for content in FOREIGN {
        put(&sandbox, content);
        sandbox.run_hook("a").exits(0).tells_nothing();
        for call in calls {
            let run = sandbox.run("a", call).exits(1);
            let run = run.tells(&[
                "error: ",
                PORT_FILE,
                "belongs to another tool",
                "--reallocate` to replace it",
            ]);
            assert_eq!(run.stdout, "");
        }
        assert_eq!(sandbox.port_file("a"), content);
        sandbox
            .run("a", &["--reallocate"])
            .exits(0)
            .tells(&[PORT_FILE, "which was another tool's"]);
        assert_eq!(sandbox.ports("a"), [sandbox.port(1)], "{content}");
    }
}

/// Asserts that every call leaves the tracked port file in `a` alone and says so.
#[track_caller]
fn assert_tracked_and_left_alone(sandbox: &Sandbox) {
    let before = sandbox.port_file("a");
    let parts = [
        "error: git tracks",
        PORT_FILE,
        "rm --cached .worktree-ports.json`",
    ];
    sandbox.run_hook("a").exits(0).tells(&parts);
    let calls: [&[&str]; 4] = [&[], &["--get", "cloud"], &["--json"], &["--reallocate"]];
    for call in calls {
        let run = sandbox.run("a", call).exits(1).tells(&parts);
        assert_eq!(run.stdout, "");
    }
    assert_eq!(sandbox.port_file("a"), before);
}

fn commit_port_file(sandbox: &Sandbox, content: impl AsRef<[u8]>) {
    sandbox.write(format!("repo/{PORT_FILE}"), content);
    sandbox.git("repo", &["add", "--force", PORT_FILE]);
    sandbox.git("repo", &["commit", "--quiet", "--message=port file"]);
}

#[test]
fn a_port_file_that_a_branch_commits_is_only_reported() {
    for content in [
        OWN.as_bytes(),
        COPIED[0].as_bytes(),
        FOREIGN[0].as_bytes(),
        b"\x1b[2J{",
    ] {
        let sandbox = Sandbox::new();
        commit_port_file(&sandbox, content);
        // The hook warns, and the worktree is made.
        sandbox.add("a").tells(&["rm --cached"]);
        if content.starts_with(b"{\"worktree\": \"b\"") {
            assert_tracked_and_left_alone(&sandbox);
        }
        assert_eq!(sandbox.git("a", &["status", "--porcelain"]).stdout, "");
    }
}

#[cfg(unix)]
#[test]
fn a_link_that_a_branch_commits_is_neither_followed_nor_written_through() {
    let sandbox = Sandbox::new();
    let own = sandbox.with_ports(OWN);
    sandbox.write("victim", &own);
    std::os::unix::fs::symlink("../victim", sandbox.path("repo").join(PORT_FILE)).unwrap();
    sandbox.git("repo", &["add", "--force", PORT_FILE]);
    sandbox.git("repo", &["commit", "--quiet", "--message=link"]);
    sandbox.add("a").tells(&["rm --cached"]);
    assert_tracked_and_left_alone(&sandbox);
    // Once it is no longer tracked, the link itself is replaced.
    sandbox.git("a", &["rm", "--quiet", "--cached", PORT_FILE]);
    sandbox.run("a", &[]).exits(0).tells(&["was damaged"]);
    assert_eq!(sandbox.ports("a"), [sandbox.port(1)]);
    assert!(
        !sandbox
            .path("a")
            .join(PORT_FILE)
            .symlink_metadata()
            .unwrap()
            .is_symlink()
    );
    assert_eq!(fs::read_to_string(sandbox.path("victim")).unwrap(), own);
}

#[test]
fn a_tracked_port_file_is_reported_if_the_index_is_sparse_or_split() {
    let kinds: [(&str, &[&[&str]]); 3] = [
        (
            "sparse",
            &[&["sparse-checkout", "set", "--cone", "--sparse-index", "kept"]],
        ),
        ("split", &[&["update-index", "--split-index"]]),
        (
            "in an old format",
            &[&["update-index", "--index-version", "4"]],
        ),
    ];
    for (kind, commands) in kinds {
        let sandbox = Sandbox::without_hook();
        sandbox.write("repo/kept/file", "x");
        sandbox.write("repo/dropped/deep/file", "x");
        sandbox.git("repo", &["add", "."]);
        commit_port_file(&sandbox, COPIED[0]);
        sandbox.add("a");
        for command in commands {
            sandbox.git("a", command);
        }
        if kind == "sparse" {
            let listed = sandbox.git("a", &["ls-files", "--sparse"]).stdout;
            assert!(listed.contains("dropped/\n"), "{listed}");
        }
        assert_tracked_and_left_alone(&sandbox);
        sandbox.git("a", &["rm", "--quiet", "--cached", PORT_FILE]);
        let get = sandbox.run("a", &["--get", "cloud"]).exits(0);
        assert_eq!(get.stdout, sandbox.with_ports("@1\n"), "{kind}");
    }
}

#[test]
fn the_hook_asks_git_about_its_own_file_only_at_a_first_checkout() {
    let sandbox = Sandbox::without_hook();
    let own = sandbox.with_ports(OWN);
    commit_port_file(&sandbox, &own);
    sandbox.add("a");
    let (old, new) = ("2".repeat(40), "1".repeat(40));
    sandbox
        .run("a", &[&old, &new, "1"])
        .exits(0)
        .tells_nothing();
    assert_eq!(sandbox.port_file("a"), own);
}

#[test]
fn a_temporary_port_file_left_by_a_kill_is_removed() {
    let sandbox = sandbox();
    sandbox.write(format!("a/{TEMPORARY}"), r#"{"worktree": "a", "po"#);
    sandbox.run("a", &[]).exits(0).tells_nothing();
    sandbox.assert_no_leftovers("a");
    // A directory is not a leftover of ours.
    fs::create_dir(sandbox.path("a").join(TEMPORARY)).unwrap();
    put(&sandbox, "{");
    sandbox
        .run("a", &["--reallocate"])
        .exits(1)
        .tells(&["could not write", "is a directory"]);
    assert_eq!(sandbox.port_file("a"), "{");
}

#[test]
fn anything_but_a_regular_file_counts_as_damaged_and_is_replaced() {
    let sandbox = sandbox();
    let make = [
        "mkdir .worktree-ports.json",
        "mkfifo .worktree-ports.json",
        "ln -s ../nowhere .worktree-ports.json",
    ];
    for script in make {
        for by_hand in [true, false] {
            let _ = fs::remove_file(sandbox.path("a").join(PORT_FILE));
            let mut command = sandbox.command("sh", "a");
            command.args(["-c", script]);
            Sandbox::finish(command).exits(0);
            if by_hand {
                sandbox.run("a", &[]).exits(0).tells(&["was damaged"]);
            } else {
                sandbox
                    .run_hook("a")
                    .exits(0)
                    .tells(&[&sandbox.with_ports("cloud @1")]);
            }
            assert_eq!(sandbox.ports("a"), [sandbox.port(1)], "{script}");
        }
    }
    assert!(!sandbox.path("nowhere").exists());
    // A directory with files in it is not ours to remove.
    sandbox.remove_port_file("a");
    sandbox.write(format!("a/{PORT_FILE}/kept"), "");
    sandbox
        .run("a", &[])
        .exits(1)
        .tells(&["error: ", PORT_FILE]);
    assert!(sandbox.path("a").join(PORT_FILE).join("kept").exists());
}

#[test]
fn a_reader_sees_the_old_file_or_the_new_one_whole() {
    let sandbox = sandbox();
    sandbox.run("a", &[]).exits(0);
    let path = sandbox.path("a").join(PORT_FILE);
    let old = fs::File::open(&path).unwrap();
    let before = fs::read_to_string(&path).unwrap();
    sandbox.run("a", &["--reallocate"]).exits(0);
    // A reader that has the old file open can read all of it, so it was not truncated.
    assert_eq!(std::io::read_to_string(old).unwrap(), before);
    let mut command = sandbox.command(PROGRAM, "a");
    command.arg("--json");
    assert_eq!(Sandbox::finish(command).stdout, sandbox.port_file("a"));
}
