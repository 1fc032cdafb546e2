//! Paths and ids with any bytes that a file system allows.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use serde_json::Value;

use crate::support::{PORT_FILE, PROGRAM, Sandbox, config};

const NAMES: [&[u8]; 13] = [
    b"a space",
    b" led and trailed ",
    br#"quo'te "s" `and` ticks"#,
    b"$(touch hit)",
    b"new\nline",
    b"trailing newline\n",
    b"-n",
    b"--get",
    b"not utf-8 \xff\xfe",
    "umlaut \u{fc} \u{1f980}".as_bytes(),
    b"es\x1b[2Jcape",
    b"back\\slash",
    b"8100",
];

/// Runs `git worktree add` for a directory of any name.
fn add(sandbox: &Sandbox, name: &[u8]) {
    let mut path = sandbox.path("").into_os_string();
    path.push(OsStr::from_bytes(name));
    let mut git = sandbox.command("git", "repo");
    git.args(["worktree", "add", "--quiet", "--detach", "--"])
        .arg(path);
    Sandbox::finish(git).exits(0);
}

#[test]
fn a_worktree_of_any_name_gets_and_keeps_its_bundle() {
    let sandbox = Sandbox::new();
    for (i, name) in NAMES.into_iter().enumerate() {
        // git trims white space at the end of the path that it records.
        if name.ends_with(b"\n") || name.ends_with(b" ") {
            continue;
        }
        add(&sandbox, name);
        let at = OsStr::from_bytes(name);
        let file = sandbox.port_file(at);
        let value: Value = serde_json::from_str(&file).unwrap();
        assert!(value["worktree"].is_string(), "{file}");
        let run = sandbox.run(at, &["--json"]).exits(0).tells_nothing();
        assert_eq!(run.stdout, file, "{at:?}");
        sandbox.run_hook(at).exits(0).tells_nothing();

        let mut command = sandbox.command(PROGRAM, ".");
        // A name that starts with a dash is given with its directory, as git does.
        command.arg("-C").arg(sandbox.path(at)).arg("--reallocate");
        Sandbox::finish(command).exits(0).tells_nothing();
        assert_eq!(sandbox.port_file(at), file, "{i}");
    }
    assert!(!sandbox.path("hit").exists());
    let mut list = sandbox.command("git", "repo");
    list.args(["worktree", "prune", "--dry-run"]);
    assert_eq!(Sandbox::finish(list).stdout, "");
}

#[test]
fn a_main_worktree_of_any_name_is_found_from_its_linked_ones() {
    for name in NAMES {
        let sandbox = Sandbox::without_hook();
        let main = OsStr::from_bytes(name);
        fs::rename(sandbox.path("repo"), sandbox.path(main)).unwrap();
        let mut git = sandbox.command("git", main);
        git.args(["worktree", "add", "--quiet", "../a"]);
        if Sandbox::finish(git).code() != Some(0) {
            continue;
        }
        // It is found if its port file counts and its config is used.
        let path = sandbox.path(main);
        fs::write(path.join(PORT_FILE), sandbox.with_ports(r#"{"app": @1}"#)).unwrap();
        sandbox.run("a", &[]).exits(0).tells_nothing();
        assert_eq!(sandbox.ports("a"), [sandbox.port(2)], "{main:?}");
        let base = sandbox.port(50);
        sandbox.configure(main, config(&[("web", base)]).step(1));
        sandbox.run("a", &["--reallocate"]).exits(0).tells_nothing();
        assert_eq!(sandbox.ports("a"), [base + 1], "{main:?}");
    }
}

#[test]
fn an_id_that_is_a_number_does_not_reserve_a_port() {
    let sandbox = Sandbox::new();
    let [one, three] = [1, 3].map(|slot| sandbox.port(slot).to_string());
    sandbox.add(&one);
    assert_eq!(sandbox.ports(&one), [sandbox.port(1)]);
    sandbox.add(&three);
    assert_eq!(sandbox.ports(&three), [sandbox.port(2)]);
    let json = sandbox.run(&three, &["--json"]).exits(0).json();
    assert_eq!(json["worktree"], *three);
    sandbox.add("b");
    assert_eq!(sandbox.ports("b"), [sandbox.port(3)]);
}

#[test]
fn the_id_survives_a_move_and_is_not_the_name_of_the_directory() {
    let sandbox = Sandbox::new();
    sandbox.git("repo", &["worktree", "add", "--detach", "../x/same"]);
    sandbox.git("repo", &["worktree", "add", "--detach", "../y/same"]);
    let id = |at| sandbox.run(at, &["--json"]).exits(0).json()["worktree"].clone();
    assert_eq!(
        (id("x/same"), id("y/same")),
        ("same".into(), "same1".into())
    );
    sandbox.git("repo", &["worktree", "move", "../x/same", "../z"]);
    assert_eq!(id("z"), "same");
}

#[test]
fn bytes_of_an_id_that_are_not_utf_8_are_replaced() {
    let sandbox = Sandbox::new();
    add(&sandbox, b"w\xff\xfe");
    let at = OsStr::from_bytes(b"w\xff\xfe");
    let run = sandbox.run(at, &["--json"]).exits(0).tells_nothing();
    assert_eq!(run.json()["worktree"], "w\u{fffd}\u{fffd}");
}

#[test]
fn control_characters_of_paths_are_escaped_in_messages() {
    let sandbox = Sandbox::new();
    add(&sandbox, b"es\x1b[2Jc\nape");
    let at = OsStr::from_bytes(b"es\x1b[2Jc\nape");
    fs::write(sandbox.path(at).join(PORT_FILE), "{}").unwrap();
    let run = sandbox.run(at, &[]).exits(1);
    assert_eq!(run.stderr.lines().count(), 1, "{run}");
    assert!(!run.stderr.contains('\u{1b}'));
    run.tells(&["es\\u{1b}[2Jc\\nape/.worktree-ports.json"]);
}

#[test]
fn a_path_longer_than_any_system_allows_is_an_error() {
    let sandbox = Sandbox::new();
    let long = "x/".repeat(4000);
    sandbox
        .run(".", &["-C", &long])
        .exits(1)
        .tells(&["error: "]);
}
