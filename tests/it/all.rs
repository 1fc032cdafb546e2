//! `--all`: every worktree of a repository gets its ports.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::support::processes::Holder;
use crate::support::{CONFIG, PORT_FILE, PROGRAM, Sandbox};

#[test]
fn in_a_bare_repository_only_linked_worktrees_are_listed_and_get_ports() {
    // Some people clone bare into `.bare` and point a `.git` file at it: the second case.
    for (bare, at) in [("bare.git", "bare.git"), ("project/.bare", "project")] {
        let sandbox = Sandbox::without_hook();
        sandbox.commit_config("repo");
        sandbox.git(".", &["clone", "--quiet", "--bare", "repo", bare]);
        if bare != at {
            sandbox.write(format!("{at}/.git"), "gitdir: ./.bare\n");
        }
        sandbox.git(at, &["worktree", "add", "--quiet", "-b", "one", "one"]);
        sandbox.git(at, &["worktree", "add", "--quiet", "-b", "two", "two"]);
        let run = sandbox.run(at, &["--all"]).exits(0);
        assert_eq!(
            run.stdout,
            sandbox.with_ports(
                "one: cloud @0 (.worktree-ports.json)\ntwo: cloud @1 (.worktree-ports.json)\n"
            ),
            "{run}"
        );
        let run = sandbox.run(at, &["--list"]).exits(0);
        assert_eq!(
            run.stdout,
            sandbox.with_ports(
                "WORKTREE  BRANCH  PATH  SLOT  PORTS        STATE
one       one     one   0     cloud @0  ok
two       two     two   1     cloud @1  ok
"
            ),
            "{bare}"
        );
        sandbox.wire(bare);
        let run = sandbox.run(at, &["--check"]).exits(0);
        assert_eq!(run.stdout, "");
    }
}

#[test]
fn all_gives_ports_to_every_worktree_including_the_main_one() {
    let sandbox = Sandbox::with_worktrees(&["a", "b"]);
    sandbox.run("b", &[]).exits(0);
    let run = sandbox.run("a", &["--all"]).exits(0).tells_nothing();
    assert_eq!(
        run.stdout,
        sandbox.with_ports(
            "main worktree: cloud @0 (.worktree-ports.json)\na: cloud @2 (.worktree-ports.json)\n"
        )
    );
    let ports = ["repo", "a", "b"].map(|name| sandbox.ports(name));
    assert_eq!(
        ports,
        [[sandbox.port(0)], [sandbox.port(2)], [sandbox.port(1)]]
    );

    let run = sandbox.run("repo", &["--all"]).exits(0).tells_nothing();
    assert_eq!(run.stdout, "");
    let run = sandbox.run("repo", &["--all", "--json"]).exits(0);
    let expected: Vec<serde_json::Value> = ["repo", "a", "b"]
        .map(|name| serde_json::from_str(&sandbox.port_file(name)).unwrap())
        .into();
    assert_eq!(run.json(), serde_json::Value::from(expected));
}

#[test]
fn all_leaves_foreign_files_alone_and_reports_tracked_ones() {
    let sandbox = Sandbox::without_hook();
    for name in ["copied", "damaged", "foreign", "last", "tracked"] {
        sandbox.add(name);
    }
    let foreign = sandbox.with_ports(r#"{"app": @1}"#);
    sandbox.write(format!("foreign/{PORT_FILE}"), &foreign);
    sandbox.write(format!("damaged/{PORT_FILE}"), "");
    sandbox.run("last", &[]).exits(0);
    let copy = sandbox.port_file("last");
    for name in ["copied", "tracked"] {
        sandbox.write(format!("{name}/{PORT_FILE}"), &copy);
    }
    sandbox.git("tracked", &["add", "--force", PORT_FILE]);
    let run = sandbox.run("repo", &["--all"]).exits(0);
    assert_eq!(
        run.stdout,
        sandbox.with_ports(
            "main worktree: cloud @0 (.worktree-ports.json)\n\
             copied: cloud @3 (.worktree-ports.json)\ndamaged: cloud @4 (.worktree-ports.json)\n"
        )
    );
    let of_tracked = sandbox.path("tracked").join(PORT_FILE);
    run.tells(&[
        &format!("git tracks `{}`", of_tracked.display()),
        "rm --cached",
    ]);
    assert_eq!(sandbox.port_file("foreign"), foreign);
    assert_eq!(sandbox.port_file("tracked"), copy);
}

#[test]
fn if_one_worktree_fails_the_others_still_get_their_ports() {
    let sandbox = Sandbox::without_hook();
    for name in ["a", "b", "c", "d"] {
        sandbox.add(name);
    }
    sandbox.configure("a", r#"{ "services": {} }"#);
    sandbox.write("repo/.git/worktrees/b/index", "broken");
    sandbox.write(format!("b/{PORT_FILE}"), "{");
    fs::remove_dir_all(sandbox.path("c")).unwrap();
    let run = sandbox.run("repo", &["--all"]).exits(1);
    assert_eq!(
        run.stdout,
        sandbox.with_ports(
            "main worktree: cloud @0 (.worktree-ports.json)\nd: cloud @1 (.worktree-ports.json)\n"
        )
    );
    let broken_config = sandbox.path("a").join(CONFIG);
    run.tells(&[&broken_config.display().to_string(), "index"]);
    assert!(!sandbox.path("c").exists());
}

#[test]
fn a_worktree_that_vanishes_meanwhile_does_not_stop_the_others() {
    let sandbox = Sandbox::with_worktrees(&["a", "b", "c"]);
    sandbox.run("a", &[]).exits(0);
    let holder = Holder::take(&sandbox);
    let mut all = sandbox.command(PROGRAM, "repo");
    let mut all = all.arg("--all").stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut stderr = BufReader::new(all.stderr.take().unwrap());
    stderr.read_line(&mut line).unwrap();
    assert!(line.contains("waiting for the lock"), "{line}");
    fs::remove_dir_all(sandbox.path("b")).unwrap();
    drop(holder);
    assert!(all.wait().unwrap().success());
    assert!(sandbox.has_port_file("a") && sandbox.has_port_file("c"));
}

#[test]
fn a_main_worktree_whose_git_directory_is_linked_gets_slot_0() {
    let sandbox = Sandbox::without_hook();
    sandbox.commit_config("repo");
    fs::rename(sandbox.path("repo/.git"), sandbox.path("store.git")).unwrap();
    std::os::unix::fs::symlink("../store.git", sandbox.path("repo/.git")).unwrap();
    sandbox.git("repo", &["config", "core.worktree", "../repo"]);
    for arguments in [&["--all"][..], &[], &["--all"]] {
        let run = sandbox.run("repo", arguments).exits(0);
        assert!(!run.stderr.contains("warning"), "{run}");
        assert_eq!(sandbox.port_json("repo")["slot"], 0, "{arguments:?}");
    }
}
