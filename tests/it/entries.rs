//! The entries under `<common dir>/worktrees/`, in every state.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Stdio;

use crate::support::{Nobody, PORT_FILE, Sandbox, set_mode};

/// A sandbox with the worktree `a`, which allocates, and `b`, which has slot 1.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::with_worktrees(&["a", "b"]);
    sandbox.run("b", &[]).exits(0);
    sandbox
}

/// Asserts that `a` gets the port, by hand and by the hook, and that nothing else is printed.
#[track_caller]
fn assert_gets(sandbox: &Sandbox, port: u16, case: &str) {
    let run = sandbox.run("a", &["--reallocate"]).exits(0);
    assert_eq!(sandbox.ports("a"), [port], "{case}\n{run}");
    assert_eq!(run.stderr, "", "{case}");
    sandbox.remove_port_file("a");
    let run = sandbox.run_hook("a").exits(0);
    assert_eq!(sandbox.ports("a"), [port], "{case}\n{run}");
    assert_eq!(run.stderr.lines().count(), 1, "{case}\n{run}");
}

/// Allocates for `a` beside an entry whose ports are unknown.
#[track_caller]
fn assert_warns(sandbox: &Sandbox, case: &str) {
    let run = sandbox.run("a", &["--reallocate"]).exits(0);
    assert_eq!(sandbox.ports("a"), [sandbox.port(2)], "{case}\n{run}");
    run.tells(&["warning: could not read", "/gitdir`", "are unknown"]);
}

#[test]
fn an_entry_that_names_no_worktree_is_skipped() {
    let sandbox = sandbox();
    let entry = sandbox.path("repo/.git/worktrees/x");
    let itself = entry.display().to_string();
    let long = format!("/{}/.git\n", "x".repeat(9000));
    let contents = [
        "",
        "\n",
        "/",
        "/.git\n",
        ".git\n",
        ".",
        "..",
        "gitdir\n",
        "/dev/null\n",
        "/dev/null/.git\n",
        "/dev/zero/.git\n",
        "/nowhere/at/all/.git\n",
        "/nowhere\n/.git\n",
        "\0/.git\n",
        "b\n",
        &itself,
        &format!("{itself}/gitdir\n"),
        &format!("{itself}/.git\n"),
        &long,
    ];
    fs::create_dir(&entry).unwrap();
    // A path that is not a worktree's `.git` does not lead to a port file.
    sandbox.write(
        format!("elsewhere/{PORT_FILE}"),
        sandbox.with_ports(r#"{"app": @2}"#),
    );
    let elsewhere = sandbox.path("elsewhere/x").display().to_string();
    for content in contents.into_iter().chain([&*elsewhere]) {
        fs::write(entry.join("gitdir"), content).unwrap();
        assert_gets(&sandbox, sandbox.port(2), content);
    }
}

#[test]
fn an_entry_that_is_being_made_is_skipped() {
    let sandbox = sandbox();
    let entries = sandbox.path("repo/.git/worktrees");
    fs::create_dir(entries.join("x")).unwrap();
    assert_gets(&sandbox, sandbox.port(2), "no gitdir yet");
    fs::create_dir(entries.join("y")).unwrap();
    assert_gets(&sandbox, sandbox.port(2), "two of these");
    fs::write(entries.join("x/gitdir"), "").unwrap();
    assert_gets(&sandbox, sandbox.port(2), "an empty gitdir");
    fs::write(entries.join("x/commondir"), "").unwrap();
    assert_gets(&sandbox, sandbox.port(2), "an empty commondir");
    fs::write(entries.join("z"), "no directory").unwrap();
    assert_gets(&sandbox, sandbox.port(2), "a file");
}

#[test]
fn an_entry_whose_gitdir_is_no_regular_file_is_skipped_with_a_warning() {
    let sandbox = sandbox();
    let entry = sandbox.path("repo/.git/worktrees/x");
    fs::create_dir(&entry).unwrap();
    let gitdir = entry.join("gitdir");
    for target in ["/dev/zero", "gitdir", "../b/gitdir", "/nowhere"] {
        symlink(target, &gitdir).unwrap();
        assert_warns(&sandbox, target);
        fs::remove_file(&gitdir).unwrap();
    }
    fs::create_dir(&gitdir).unwrap();
    assert_warns(&sandbox, "a directory");
    fs::remove_dir(&gitdir).unwrap();
    let mut mkfifo = sandbox.command("mkfifo", ".");
    mkfifo.arg(&gitdir);
    Sandbox::finish(mkfifo).exits(0);
    assert_gets(&sandbox, sandbox.port(2), "a FIFO");
}

#[test]
fn an_entry_that_is_a_link_is_followed_to_its_worktree() {
    let sandbox = sandbox();
    let entries = sandbox.path("repo/.git/worktrees");
    symlink("x", entries.join("x")).unwrap();
    symlink("/nowhere", entries.join("y")).unwrap();
    symlink("/dev", entries.join("z")).unwrap();
    let run = sandbox.run("a", &["--reallocate"]).exits(0);
    assert_eq!(sandbox.ports("a"), [sandbox.port(2)], "{run}");
}

#[test]
fn a_worktree_that_is_gone_keeps_its_ports_and_the_line_says_so() {
    let sandbox = sandbox();
    fs::rename(sandbox.path("b"), sandbox.path("unmounted")).unwrap();
    let told = sandbox.with_ports(
        "worktree-ports: cloud @2 (.worktree-ports.json) (1 worktree that is gone holds a lower slot; \
         if it is gone for good, git worktree prune frees it)\n",
    );
    for lock in [None, Some("lock"), Some("unlock")] {
        if let Some(command) = lock {
            sandbox.git("repo", &["worktree", command, "../b"]);
        }
        sandbox.run("a", &["--release"]).exits(0);
        assert_eq!(sandbox.run_hook("a").exits(0).stderr, told, "{lock:?}");
        assert_eq!(sandbox.ports("a"), [sandbox.port(2)], "{lock:?}");
    }
    // When it is back in its place, it is like any other, and nothing more is said.
    fs::rename(sandbox.path("unmounted"), sandbox.path("b")).unwrap();
    assert_gets(&sandbox, sandbox.port(2), "there again");
    fs::remove_dir_all(sandbox.path("b")).unwrap();
    fs::write(sandbox.path("b"), "a file now").unwrap();
    sandbox.run("a", &["--reallocate"]).exits(0);
    assert_eq!(sandbox.ports("a"), [sandbox.port(2)], "a file in its place");

    fs::remove_file(sandbox.path("b")).unwrap();
    sandbox.git("repo", &["worktree", "prune"]);
    assert_gets(&sandbox, sandbox.port(1), "pruned");
}

#[test]
fn the_line_counts_worktrees_that_are_gone_and_hold_lower_slots() {
    let sandbox = Sandbox::with_worktrees(&["a", "b", "c", "d"]);
    for name in ["a", "b", "c", "d"] {
        sandbox.run(name, &[]).exits(0);
    }
    for name in ["b", "c", "d"] {
        fs::rename(sandbox.path(name), sandbox.path(format!("{name}-gone"))).unwrap();
    }
    // Slot 1 is free, and the worktrees that are gone have higher slots.
    sandbox.run("a", &["--release"]).exits(0);
    sandbox.run("a", &[]).exits(0).tells_nothing();
    sandbox.add("e");
    sandbox.run_hook("e").exits(0).tells(&[
        &sandbox.with_ports("cloud @5"),
        "(3 worktrees that are gone hold lower slots; if they are gone for good, \
         git worktree prune frees them)\n",
    ]);
}

#[test]
fn two_entries_of_one_worktree_count_once_and_its_own_never() {
    let sandbox = sandbox();
    let entry = sandbox.path("repo/.git/worktrees/x");
    fs::create_dir(&entry).unwrap();
    for name in ["b", "a", "repo"] {
        let content = format!("{}/.git\n", sandbox.path(name).display());
        fs::write(entry.join("gitdir"), content).unwrap();
        assert_gets(&sandbox, sandbox.port(2), name);
    }

    // The worktree's own entry may reach it by a different path.
    symlink(".", sandbox.path("way")).unwrap();
    let content = format!("{}/.git\n", sandbox.path("way/a").display());
    sandbox.write("repo/.git/worktrees/a/gitdir", content);
    sandbox.write(
        format!("a/{PORT_FILE}"),
        sandbox.with_ports(r#"{"app": @2}"#),
    );
    sandbox.run("a", &["--reallocate"]).exits(0);
    assert_eq!(sandbox.ports("a"), [sandbox.port(2)]);
}

#[test]
fn a_warning_is_printed_once_however_many_entries_cause_it() {
    let sandbox = sandbox();
    sandbox.write(format!("b/{PORT_FILE}"), sandbox.with_ports("@1,"));
    let content = format!("{}/.git\n", sandbox.path("b").display());
    sandbox.write("repo/.git/worktrees/x/gitdir", content);
    let run = sandbox.run("a", &[]).exits(0).tells(&["is not JSON"]);
    assert_eq!(run.stderr.lines().count(), 1, "{run}");
}

#[test]
fn a_port_file_counts_even_in_a_worktree_without_a_git_file() {
    let sandbox = sandbox();
    // The root has lost its `.git`, but its servers may still be running.
    fs::remove_file(sandbox.path("b/.git")).unwrap();
    assert_gets(&sandbox, sandbox.port(2), "no .git");
}

#[test]
fn an_unreadable_entry_reserves_by_its_record_or_causes_a_warning() {
    let sandbox = sandbox();
    let nobody = Nobody::owning(&sandbox);
    let entry = sandbox.path("repo/.git/worktrees/b");
    set_mode(entry.join("gitdir"), 0o000);
    let run = nobody.run("a", &["--reallocate"]).exits(0);
    assert_eq!(sandbox.ports("a"), [sandbox.port(2)]);
    assert!(!run.stderr.contains("warning"), "{run}");

    fs::remove_file(entry.join("worktree-ports.json")).unwrap();
    for closed in [&entry.join("gitdir"), &entry] {
        set_mode(closed, 0o000);
        sandbox.remove_port_file("a");
        fs::remove_file(sandbox.path("repo/.git/worktrees/a/worktree-ports.json")).unwrap();
        let run = nobody.run("a", &[]).exits(0);
        let run = run.tells(&["warning: ", "worktrees/b/gitdir", "are unknown"]);
        assert_eq!(run.stderr.lines().count(), 1, "{run}");
    }
}

#[test]
fn a_worktree_that_is_being_made_or_removed_stops_no_other() {
    // Many at once, so that other worktrees are seen in every state.
    let sandbox = Sandbox::new();
    sandbox.add("stays");
    let mut children = Vec::new();
    for i in 0..12 {
        let mut sh = sandbox.command("sh", "repo");
        sh.args([
            "-c",
            "git worktree add --quiet -f ../w$1 2>&1 | grep worktree-ports: && git worktree remove --force ../w$1",
            "sh",
            &i.to_string(),
        ]);
        children.push(
            sh.stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap(),
        );
    }
    for child in children {
        let output = child.wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            !told.contains("error") && !told.contains("warning"),
            "{told}"
        );
    }
    sandbox.run("stays", &[]).exits(0).tells_nothing();
    assert_eq!(sandbox.ports("stays"), [sandbox.port(1)]);
}

#[test]
fn the_worktrees_found_are_those_that_git_lists() {
    let sandbox = Sandbox::without_hook();
    sandbox.write("repo/file", "x");
    sandbox.git("repo", &["add", "."]);
    sandbox.git("repo", &["commit", "--quiet", "--message=file"]);
    let names: [&[u8]; 8] = [
        b"plain",
        b"with space",
        b"deep/er",
        b"new\nline",
        br#"quo"te"#,
        b"not-utf-8-\xff",
        b"8100",
        b"locked",
    ];
    for name in names {
        let path = [b"../".as_slice(), name].concat();
        let arguments = ["worktree", "add", "--quiet", "--detach"].map(OsStr::new);
        sandbox.git(
            "repo",
            &[&arguments[..], &[OsStr::from_bytes(&path)]].concat(),
        );
    }
    sandbox.git("repo", &["worktree", "lock", "../locked"]);
    sandbox.git("repo", &["worktree", "move", "../plain", "../moved"]);

    let mut list = sandbox.command("git", "repo");
    list.args(["worktree", "list", "--porcelain", "-z"]);
    let listed = list.output().unwrap().stdout;
    let roots: Vec<&Path> = listed
        .split(|&byte| byte == 0)
        .filter_map(|line| line.strip_prefix(b"worktree "))
        .map(|root| Path::new(OsStr::from_bytes(root)))
        .collect();
    assert_eq!(roots.len(), 1 + names.len());
    // Each worktree that git lists reserves one slot, so the last one gets the first slot after
    // them only if it has read all of them.
    for (slot, root) in (0..).zip(&roots).skip(1) {
        let port = sandbox.port(slot);
        fs::write(root.join(PORT_FILE), format!(r#"{{"app": {port}}}"#)).unwrap();
    }
    sandbox.git("repo", &["worktree", "add", "--detach", "../last"]);
    sandbox.run("last", &[]).exits(0).tells_nothing();
    assert_eq!(sandbox.ports("last"), [sandbox.port(9)]);

    // A worktree that git no longer lists reserves nothing.
    sandbox.git("repo", &["worktree", "remove", "--force", "../deep/er"]);
    sandbox.run("last", &["--reallocate"]).exits(0);
    let gone = roots.iter().position(|root| root.ends_with("deep/er"));
    let slot = u16::try_from(gone.unwrap()).unwrap();
    assert_eq!(sandbox.ports("last"), [sandbox.port(slot)]);
}

#[test]
fn all_of_a_hundred_worktrees_are_found() {
    let sandbox = Sandbox::with_worktrees(&["a"]);
    // The entries that git would make, made faster.
    for i in 1..=100 {
        let root = format!("many/w{i}");
        sandbox.write(
            format!("repo/.git/worktrees/w{i}/gitdir"),
            format!("{}/.git\n", sandbox.path(&root).display()),
        );
        let port = sandbox.port(i);
        sandbox.write(
            format!("{root}/{PORT_FILE}"),
            format!(r#"{{"worktree": "w{i}", "slot": {i}, "ports": {{"cloud": {port}}}}}"#),
        );
    }
    sandbox.run("a", &[]).exits(0).tells_nothing();
    assert_eq!(sandbox.ports("a"), [sandbox.port(101)]);
    let distinct: BTreeSet<u16> = (1..=100)
        .flat_map(|i| sandbox.ports(format!("many/w{i}")))
        .chain(sandbox.ports("a"))
        .collect();
    assert_eq!(distinct.len(), 101);
}
