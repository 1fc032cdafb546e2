//! The record, which stands in for a port file that cannot be seen.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::strace;
use crate::support::{
    CONFIG, FIRST_CHECKOUT, Nobody, PORT_FILE, PROGRAM, Sandbox, TEMPORARY, close, config, listen,
    set_mode,
};

const RECORD: &str = "repo/.git/worktrees/a/worktree-ports.json";
const RECORD_TEMPORARY: &str = "repo/.git/worktrees/a/worktree-ports.json.worktree-ports.tmp";
const RECORD_OF_MAIN: &str = "repo/.git/worktree-ports/main.json";

/// A sandbox with the worktree `a`, which has slot 1, and `b`, which has no ports.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::with_worktrees(&["a", "b"]);
    sandbox.run("a", &[]).exits(0);
    sandbox
}

fn record(sandbox: &Sandbox, path: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(sandbox.path(path)).unwrap()).unwrap()
}

/// The slot that `b` chooses.
#[track_caller]
fn slot_chosen_beside(sandbox: &Sandbox) -> u64 {
    let _ = sandbox.run("b", &["--release"]).exits(0);
    sandbox.run("b", &[]).exits(0);
    let slot = sandbox.port_json("b")["slot"].as_u64().unwrap();
    sandbox.run("b", &["--release"]).exits(0);
    slot
}

#[test]
fn the_record_is_the_port_file_and_what_else_was_written() {
    let sandbox = sandbox();
    sandbox.run("repo", &[]).exits(0);
    for (at, path) in [("a", RECORD), ("repo", RECORD_OF_MAIN)] {
        let mut expected = sandbox.port_json(at);
        expected["env_files"] = json!({});
        expected["templates"] = json!({});
        assert_eq!(record(&sandbox, path), expected);
    }
}

#[test]
fn the_hook_writes_a_record_too() {
    let sandbox = Sandbox::new();
    sandbox.add("a");
    assert_eq!(record(&sandbox, RECORD)["slot"], 1);
}

#[test]
fn git_removes_the_record_only_together_with_its_entry() {
    let sandbox = sandbox();
    let before = fs::read(sandbox.path(RECORD)).unwrap();
    for command in [
        &["worktree", "move", "../a", "../moved"][..],
        &["worktree", "lock", "../moved"],
        &["worktree", "unlock", "../moved"],
        &["worktree", "repair"],
        &["gc", "--quiet"],
        &["worktree", "prune"],
    ] {
        sandbox.git("repo", command);
        assert_eq!(
            fs::read(sandbox.path(RECORD)).unwrap(),
            before,
            "{command:?}"
        );
    }
    sandbox.git("repo", &["worktree", "remove", "../moved"]);
    assert!(!sandbox.path(RECORD).exists());
    assert_eq!(slot_chosen_beside(&sandbox), 1);
}

#[test]
fn without_a_port_file_the_record_reserves() {
    let sandbox = sandbox();
    let gitdir = "repo/.git/worktrees/a/gitdir";
    let entry = fs::read(sandbox.path(gitdir)).unwrap();
    // `git worktree move` leaves it like this for a moment.
    for content in [&b""[..], b"/nowhere/.git\n"] {
        sandbox.write(gitdir, content);
        assert_eq!(slot_chosen_beside(&sandbox), 2, "{content:?}");
    }
    sandbox.write(gitdir, entry);
    // Moved by hand, on a disk that is not mounted, or not visible in a container.
    fs::rename(sandbox.path("a"), sandbox.path("elsewhere")).unwrap();
    assert_eq!(slot_chosen_beside(&sandbox), 2, "gone");
    fs::create_dir(sandbox.path("a")).unwrap();
    assert_eq!(slot_chosen_beside(&sandbox), 2, "a mount point");
    fs::remove_dir(sandbox.path("a")).unwrap();
    fs::rename(sandbox.path("elsewhere"), sandbox.path("a")).unwrap();
    sandbox.git("a", &["clean", "--quiet", "-fdx"]);
    assert!(!sandbox.has_port_file("a"));
    assert_eq!(slot_chosen_beside(&sandbox), 2, "cleaned");
    fs::remove_dir_all(sandbox.path("a")).unwrap();
    assert_eq!(slot_chosen_beside(&sandbox), 2, "removed");
    sandbox.git("repo", &["worktree", "prune"]);
    assert_eq!(slot_chosen_beside(&sandbox), 1, "pruned");
}

#[test]
fn beside_any_other_file_the_record_reserves_too_including_its_slot() {
    let sandbox = sandbox();
    let path = sandbox.path("a").join(PORT_FILE);
    // `b` has other ports, so only the slot can be in its way.
    sandbox.configure("b", config(&[("web", sandbox.port(100))]).step(1));
    for content in [
        "",
        "{",
        r#"{"app": 9999}"#,
        r#"{"worktree": "elsewhere", "slot": 9, "ports": {"cloud": 9999}}"#,
        r#"{"worktree": "a", "slot": 9, "ports": {"cloud": "9999"}}"#,
        r#"{"worktree": "a", "slot": 9, "ports": {}}"#,
    ] {
        fs::write(&path, content).unwrap();
        assert_eq!(slot_chosen_beside(&sandbox), 2, "{content}");
    }
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("nowhere", &path).unwrap();
    assert_eq!(slot_chosen_beside(&sandbox), 2, "a link");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert_eq!(slot_chosen_beside(&sandbox), 2, "a directory");
}

#[test]
fn a_port_file_of_the_worktrees_own_counts_alone() {
    let sandbox = sandbox();
    let own = sandbox.with_ports(r#"{"worktree": "a", "slot": 5, "ports": {"cloud": @5}}"#);
    sandbox.write(format!("a/{PORT_FILE}"), own);
    assert_eq!(record(&sandbox, RECORD)["slot"], 1);
    assert_eq!(slot_chosen_beside(&sandbox), 1);
}

#[test]
fn a_record_under_its_temporary_name_counts_too() {
    let sandbox = sandbox();
    sandbox.remove_port_file("a");
    let left = sandbox
        .with_ports(r#"{"worktree": "a", "slot": 2, "ports": {"cloud": @2}, "env_files": {}}"#);
    sandbox.write(RECORD_TEMPORARY, &left);
    assert_eq!(slot_chosen_beside(&sandbox), 3);
    // If it is torn, its numbers count.
    sandbox.write(RECORD_TEMPORARY, left.split_at(left.len() - 10).0);
    assert_eq!(slot_chosen_beside(&sandbox), 3);
    fs::remove_file(sandbox.path(RECORD)).unwrap();
    sandbox.write(RECORD_TEMPORARY, &left);
    assert_eq!(slot_chosen_beside(&sandbox), 1);
    // If it is alone, the worktree is restored from it.
    sandbox.run("a", &[]).exits(0);
    assert_eq!(sandbox.ports("a"), [sandbox.port(2)]);
    assert!(!sandbox.path(RECORD_TEMPORARY).exists());
}

#[test]
fn a_lost_copied_or_damaged_file_is_restored_without_a_probe() {
    let sandbox = sandbox();
    sandbox.run("b", &[]).exits(0);
    sandbox.git("repo", &["worktree", "remove", "--force", "../b"]);
    sandbox.add("b");
    let _stack = listen(sandbox.port(1));
    let before = sandbox.port_file("a");
    let contents = [
        None,
        Some("{".to_owned()),
        Some(String::new()),
        Some(sandbox.with_ports(r#"{"worktree": "b", "slot": 3, "ports": {"cloud": @3}}"#)),
    ];
    let calls = [
        &FIRST_CHECKOUT[..],
        &[],
        &["--env"],
        &["--json"],
        &["--all"],
    ];
    for content in contents {
        for call in calls {
            match &content {
                Some(content) => sandbox.write(format!("a/{PORT_FILE}"), content),
                None => sandbox.remove_port_file("a"),
            }
            sandbox.run("a", call).exits(0);
            assert_eq!(sandbox.port_file("a"), before, "{content:?} {call:?}");
        }
    }
}

/// Gives something to `b`; the second argument writes its port file.
type Make = fn(&Sandbox, &dyn Fn(&Sandbox, &str));

#[test]
fn a_bundle_is_not_restored_if_another_worktree_has_part_of_it() {
    let has = |sandbox: &Sandbox, content: &str| {
        let content = sandbox.with_ports(content);
        sandbox.write(format!("b/{PORT_FILE}"), content);
    };
    let cases: [(&str, Make); 5] = [
        ("a port, by its file", |sandbox, has| {
            has(
                sandbox,
                r#"{"worktree": "b", "slot": 9, "ports": {"cloud": @1}}"#,
            );
        }),
        ("the slot, by its file", |sandbox, has| {
            has(
                sandbox,
                r#"{"worktree": "b", "slot": 1, "ports": {"cloud": @9}}"#,
            );
        }),
        ("a number, by a file of another's", |sandbox, has| {
            has(sandbox, r#"{"app": @1}"#);
        }),
        ("by its record", |sandbox, _| {
            let record = r#"{"worktree": "b", "slot": 1, "ports": {"cloud": @1}, "env_files": {}}"#;
            sandbox.write(
                "repo/.git/worktrees/b/worktree-ports.json",
                sandbox.with_ports(record),
            );
        }),
        ("by slot 0 of the main worktree", |sandbox, _| {
            sandbox.configure("repo", config(&[("cloud", sandbox.port(1))]).step(1));
        }),
    ];
    for (case, make) in cases {
        for call in [&FIRST_CHECKOUT[..], &[]] {
            let sandbox = sandbox();
            sandbox.remove_port_file("a");
            make(&sandbox, &has);
            sandbox.run("a", call).exits(0);
            let file = sandbox.port_json("a");
            // The main worktree's config now has another port for slot 1.
            let is_of_main = case == "by slot 0 of the main worktree";
            assert!(is_of_main || file["slot"] != 1, "{case}: {file}");
            assert_ne!(sandbox.ports("a"), [sandbox.port(1)], "{case}");
        }
    }
}

#[test]
fn a_record_of_another_worktree_or_a_damaged_one_only_reserves() {
    let contents = [
        r#"{"worktree": "b", "slot": 7, "ports": {"cloud": @1}, "env_files": {}}"#,
        r#"{"worktree": null, "slot": 7, "ports": {"cloud": @1}, "env_files": {}}"#,
        r#"{"worktree": "a", "slot": 7, "ports": {"cloud": @1"#,
        r#"{"worktree": "a", "slot": 7, "ports": {"cloud": "@1"}}"#,
        "@1",
    ];
    for content in contents {
        let sandbox = sandbox();
        sandbox.remove_port_file("a");
        sandbox.write(RECORD, sandbox.with_ports(content));
        sandbox.run("b", &[]).exits(0);
        assert_eq!(sandbox.ports("b"), [sandbox.port(2)], "{content}");
        // It does not prevent anything in the worktree itself.
        sandbox.run("a", &[]).exits(0);
        assert_eq!(sandbox.ports("a"), [sandbox.port(1)], "{content}");
        assert_eq!(record(&sandbox, RECORD)["worktree"], "a");
    }
}

#[test]
fn a_call_by_hand_writes_a_record_that_is_missing_or_differs() {
    let sandbox = sandbox();
    let expected = record(&sandbox, RECORD);
    let file = sandbox.port_file("a");
    let calls: [&[&str]; 6] = [
        &[],
        &["--env"],
        &["--get", "cloud"],
        &["--json"],
        &["--exec", "true"],
        &["--all"],
    ];
    let other = sandbox.with_ports(r#"{"worktree": "a", "slot": 8, "ports": {"cloud": @8}}"#);
    for call in calls {
        for content in [None, Some(other.as_str()), Some("{"), Some("")] {
            match content {
                None => fs::remove_file(sandbox.path(RECORD)).unwrap(),
                Some(content) => sandbox.write(RECORD, content),
            }
            sandbox.run("a", call).exits(0);
            assert_eq!(record(&sandbox, RECORD), expected, "{call:?} {content:?}");
            assert_eq!(sandbox.port_file("a"), file);
        }
    }
    // The hook does nothing if the port file is the worktree's own.
    fs::remove_file(sandbox.path(RECORD)).unwrap();
    sandbox.run_hook("a").exits(0).tells_nothing();
    assert!(!sandbox.path(RECORD).exists());
}

#[test]
fn reallocate_ignores_the_worktrees_own_record() {
    let sandbox = sandbox();
    sandbox.run("b", &[]).exits(0);
    sandbox.run("a", &["--release"]).exits(0);
    for has_file in [true, false] {
        if !has_file {
            sandbox.remove_port_file("b");
        }
        sandbox.run("b", &["--reallocate"]).exits(0);
        assert_eq!(sandbox.ports("b"), [sandbox.port(1)], "{has_file}");
    }
}

#[test]
fn a_link_in_the_place_of_a_record_is_not_followed() {
    let sandbox = sandbox();
    let expected = record(&sandbox, RECORD);
    sandbox.write("victim", "victim");
    for path in [RECORD, RECORD_TEMPORARY] {
        let _ = fs::remove_file(sandbox.path(path));
        std::os::unix::fs::symlink(sandbox.path("victim"), sandbox.path(path)).unwrap();
        sandbox.run("a", &[]).exits(0);
        assert_eq!(record(&sandbox, RECORD), expected);
        assert!(!sandbox.path(RECORD).is_symlink());
        assert!(fs::symlink_metadata(sandbox.path(RECORD_TEMPORARY)).is_err());
        assert_eq!(
            fs::read_to_string(sandbox.path("victim")).unwrap(),
            "victim"
        );
    }
}

#[test]
fn a_fifo_in_the_place_of_a_record_makes_nobody_wait() {
    let sandbox = sandbox();
    sandbox.remove_port_file("a");
    for path in [RECORD, RECORD_TEMPORARY] {
        let _ = fs::remove_file(sandbox.path(path));
        let mut mkfifo = sandbox.command("mkfifo", ".");
        mkfifo.arg(sandbox.path(path));
        Sandbox::finish(mkfifo).exits(0);
        slot_chosen_beside(&sandbox);
    }
    sandbox.run("a", &[]).exits(0);
    assert_eq!(record(&sandbox, RECORD)["slot"], 1);
}

#[test]
fn an_allocation_warns_once_if_its_record_cannot_be_written() {
    let sandbox = Sandbox::with_worktrees(&["a", "b"]);
    sandbox.run("repo", &[]).exits(0);
    let nobody = Nobody::owning(&sandbox);
    set_mode(sandbox.path("repo/.git/worktrees/a"), 0o555);
    for call in [&FIRST_CHECKOUT[..], &["--reallocate"], &[]] {
        if call.is_empty() {
            sandbox.remove_port_file("a");
        }
        let run = nobody.run("a", call).exits(0);
        let warnings = run.stderr.matches("warning: ").count();
        // A call that writes nothing there does not warn.
        let writes = !matches!(call, ["--reallocate"]);
        assert_eq!(warnings, usize::from(writes), "{call:?}: {run}");
        assert_eq!(sandbox.ports("a"), [sandbox.port(1)]);
        assert!(!sandbox.path(RECORD).exists());
    }
    for call in [
        &[][..],
        &["--env"],
        &["--get", "cloud"],
        &["--json"],
        &["--all"],
    ] {
        nobody.run("a", call).exits(0).tells_nothing();
    }
    // The port file still reserves.
    nobody.run("b", &[]).exits(0);
    assert_eq!(sandbox.ports("b"), [sandbox.port(2)]);
    set_mode(sandbox.path("repo/.git/worktrees/a"), 0o755);
}

#[test]
#[ignore = "needs strace"]
fn a_full_disk_is_an_error_and_leaves_nothing() {
    let sandbox = Sandbox::with_worktrees(&["a"]);
    sandbox.run("a", &[]).exits(0);
    sandbox.run("a", &["--release"]).exits(0);
    let calls = strace::calls_from_the_lock(&sandbox, "a", &[]);
    sandbox.run("a", &["--release"]).exits(0);
    let record = RECORD_TEMPORARY.rsplit('/').next().unwrap();
    for name in [record, TEMPORARY] {
        for call in strace::calls_on(&calls, name) {
            let run = strace::inject(&sandbox, "a", &call.inject("error=ENOSPC"), &[]);
            let run = run.exits(1).tells_one_error().tells(&["No space left"]);
            // The final name comes last, so the port file stands, and the temporary file counts as
            // a record.
            let is_last = name == record && call.name.starts_with("rename");
            assert_eq!(sandbox.has_port_file("a"), is_last, "{call:?}: {run}");
            assert!(!sandbox.path(RECORD).exists());
            let is_left = sandbox.path(RECORD_TEMPORARY).exists();
            assert_eq!(is_left, is_last, "{call:?}: {run}");
            sandbox.assert_no_leftovers("a");
            sandbox.run("a", &["--release"]).exits(0);
        }
    }
}

#[test]
#[ignore = "needs root"]
fn in_a_sandbox_that_mounts_git_read_only_ports_are_given() {
    let sandbox = sandbox();
    sandbox.run("a", &["--release"]).exits(0);
    let script = r#"
        mount --bind repo/.git repo/.git && mount -o remount,bind,ro repo/.git
        "$1" -C a && "$1" -C a --env && "$1" -C b --env"#;
    let mut command = sandbox.command("unshare", ".");
    command.args(["--mount", "sh", "-ec", script, "sh", PROGRAM]);
    let run = Sandbox::finish(command).exits(0);
    assert_eq!(
        run.stderr.matches("warning: could not write").count(),
        2,
        "{run}"
    );
    assert_eq!(sandbox.ports("a"), [sandbox.port(1)]);
    assert_eq!(sandbox.ports("b"), [sandbox.port(2)]);
    // The next call by hand writes it if it can be written again.
    sandbox.run("a", &[]).exits(0).tells_nothing();
    assert_eq!(record(&sandbox, RECORD)["slot"], 1);
}

#[test]
fn release_removes_port_file_and_record() {
    let contents = [
        None,
        Some(""),
        Some(r#"{"worktree": "b", "slot": 9, "ports": {"cloud": 9999}}"#),
    ];
    for content in contents {
        let sandbox = sandbox();
        if let Some(content) = content {
            sandbox.write(format!("a/{PORT_FILE}"), content);
        }
        sandbox.write(RECORD_TEMPORARY, "left by a kill");
        sandbox.run("a", &["--release"]).exits(0);
        assert!(!sandbox.has_port_file("a"), "{content:?}");
        let gone = [RECORD, RECORD_TEMPORARY].map(|path| sandbox.path(path));
        assert!(
            !gone.iter().any(|path: &PathBuf| path.exists()),
            "{content:?}"
        );
        assert_eq!(slot_chosen_beside(&sandbox), 1);
        sandbox.run_hook("a").exits(0).tells(&["cloud "]);
        assert_eq!(sandbox.ports("a"), [sandbox.port(1)]);
    }
}

#[test]
fn a_record_reserves_even_if_the_worktree_with_its_config_is_gone() {
    let sandbox = Sandbox::with_worktrees(&["a", "b"]);
    sandbox.configure("a", config(&[("web", sandbox.port(50))]).step(1));
    sandbox.run("a", &[]).exits(0);
    assert_eq!(sandbox.ports("a"), [sandbox.port(51)]);
    fs::rename(sandbox.path("a"), sandbox.path("elsewhere")).unwrap();
    sandbox.configure("b", config(&[("api", sandbox.port(49))]).step(1));
    sandbox.run("b", &[]).exits(0);
    // Slot 1 belongs to `a`, and so does port 51, which would be slot 2's.
    assert_eq!(sandbox.ports("b"), [sandbox.port(52)]);
    assert!(sandbox.path("elsewhere").join(CONFIG).exists());
}

#[test]
fn a_record_has_the_group_and_the_mode_of_the_common_dir() {
    use std::os::unix::fs::MetadataExt;
    let sandbox = Sandbox::with_worktrees(&["a"]);
    sandbox.git("repo", &["config", "core.sharedRepository", "group"]);
    set_mode(sandbox.path("repo/.git"), 0o2775);
    sandbox.run("a", &[]).exits(0);
    sandbox.run("repo", &[]).exits(0);
    for path in [RECORD, RECORD_OF_MAIN] {
        let mode = fs::metadata(sandbox.path(path)).unwrap().mode();
        assert_eq!(mode & 0o060, 0o060, "{path}: {mode:o}");
    }
}

/// Env files are written before the port file, so a call that fails in between may leave new ports
/// in them.
#[test]
#[ignore = "needs strace"]
fn ports_that_only_env_files_name_are_reserved_until_the_next_call() {
    let sandbox = Sandbox::with_worktrees(&["a", "b"]);
    let config = sandbox
        .config(&["cloud"])
        .env_file(".env", &[("WEB_PORT", "{cloud}")]);
    sandbox.configure("repo", config);
    sandbox.run("a", &[]).exits(0);
    let old = listen(sandbox.port(1));
    // The env file is swapped with its replacement; the port file is renamed first, then the record.
    let rename = "/^rename(at)?$:error=ENOSPC:when=1";
    strace::inject(&sandbox, "a", rename, &["--reallocate"]).exits(1);
    close(old);
    assert_eq!(sandbox.ports("a"), [sandbox.port(1)]);
    let env = fs::read_to_string(sandbox.path("a/.env")).unwrap();
    assert!(
        env.contains(&format!("WEB_PORT={}\n", sandbox.port(2))),
        "{env}"
    );
    sandbox.run("b", &[]).exits(0);
    assert_eq!(sandbox.ports("b"), [sandbox.port(3)]);
}
