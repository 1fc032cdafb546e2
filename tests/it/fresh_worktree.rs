//! The main job: `git worktree add` gives ports that no other worktree has.

use std::fs;
use std::net::TcpListener;

use crate::support::{CONFIG, PORT_FILE, PROGRAM, Sandbox, close, config, set_mode};

#[test]
fn worktree_add_leaves_a_port_file_and_prints_one_line() {
    let sandbox = Sandbox::new();
    let run = sandbox.add("fix-favicon");
    let told: Vec<&str> = run
        .stderr
        .lines()
        .filter(|line| line.starts_with("worktree-ports"))
        .collect();
    assert_eq!(
        told,
        [sandbox.with_ports("worktree-ports: cloud @1 (.worktree-ports.json)")]
    );
    assert_eq!(
        sandbox.port_file("fix-favicon"),
        sandbox.with_ports(
            r#"{
  "worktree": "fix-favicon",
  "slot": 1,
  "ports": {
    "cloud": @1
  },
  "cloud_url": "http://127.0.0.1:@1"
}
"#
        )
    );
    sandbox.assert_no_leftovers("fix-favicon");
}

#[test]
fn the_second_worktree_gets_the_next_bundle_even_if_nothing_listens() {
    let sandbox = Sandbox::new();
    sandbox.add("a");
    sandbox.add("b");
    assert_eq!(
        (sandbox.ports("a"), sandbox.ports("b")),
        (vec![sandbox.port(1)], vec![sandbox.port(2)])
    );
}

#[test]
fn removing_a_worktree_releases_its_ports() {
    let sandbox = Sandbox::new();
    sandbox.add("a");
    sandbox.add("b");
    sandbox.git("repo", &["worktree", "remove", "../a"]);
    sandbox.add("c");
    sandbox.add("d");
    assert_eq!(
        (sandbox.ports("c"), sandbox.ports("d")),
        (vec![sandbox.port(1)], vec![sandbox.port(3)])
    );
}

#[test]
fn git_status_stays_clean_and_the_exclude_lines_are_added_once() {
    let sandbox = Sandbox::new();
    sandbox.add("a");
    sandbox.add("b");
    sandbox.run("repo", &[]).exits(0);
    for worktree in ["repo", "a", "b"] {
        assert_eq!(sandbox.git(worktree, &["status", "--porcelain"]).stdout, "");
    }
    let exclude = fs::read_to_string(sandbox.path("repo/.git/info/exclude")).unwrap();
    let ours: Vec<&str> = exclude
        .lines()
        .filter(|line| line.contains("worktree-ports"))
        .collect();
    let expected = [
        "# >>> worktree-ports >>>",
        "*.worktree-ports.tmp",
        "/.worktree-ports.json",
        "# <<< worktree-ports <<<",
    ];
    assert_eq!(ours, expected);
}

#[test]
fn a_call_by_hand_or_the_next_worktree_restores_lost_exclude_lines() {
    let half = "# >>> worktree-ports >>>\n*.log\n";
    for (lost, rest) in [("", ""), (half, "*.log\n")] {
        let sandbox = Sandbox::new();
        let config = sandbox
            .own_config()
            .env_file(".env", &[("PORT", "{cloud}")]);
        sandbox.configure("repo", config);
        sandbox.commit_config("repo");
        sandbox.run("repo", &[]).exits(0);
        sandbox.add("a");
        let list = "repo/.git/info/exclude";
        sandbox.write(list, lost);
        if !lost.is_empty() {
            sandbox
                .run("a", &[])
                .exits(0)
                .tells(&["delete what is left of the block"]);
            sandbox.write(list, rest);
        }
        let run = sandbox.run("repo", &["--all"]).exits(0);
        assert_eq!(run.stdout, "", "{run}");
        for worktree in ["repo", "a"] {
            let status = sandbox.git(worktree, &["status", "--porcelain"]);
            assert_eq!(status.stdout, "", "{worktree}");
        }
        let restored = fs::read_to_string(sandbox.path(list)).unwrap();
        assert!(restored.ends_with(rest), "{restored}");

        sandbox.write(list, "");
        let add = sandbox.add("b");
        assert!(!add.stderr.contains("not ours"), "{add}");
        let status = sandbox.git("repo", &["status", "--porcelain"]);
        assert_eq!(status.stdout, "");
    }
}

#[test]
fn lost_exclude_lines_come_back_for_all_worktrees_at_once() {
    let sandbox = Sandbox::with_worktrees(&["a"]);
    sandbox.run("repo", &[]).exits(0);
    let config = sandbox.own_config();
    sandbox.configure("a", config.env_file(".env.b", &[("PORT", "{cloud}")]));
    sandbox.run("a", &[]).exits(0);
    sandbox.write("repo/.git/info/exclude", "");
    sandbox.run("repo", &["--get", "cloud"]).exits(0);
    let status = sandbox.git("a", &["status", "--porcelain", "--", ".env.b"]);
    assert_eq!(status.stdout, "");
}

#[test]
fn the_exclude_lines_are_added_whatever_a_gitignore_says() {
    let sandbox = Sandbox::new();
    sandbox.write("repo/.gitignore", ".worktree-ports.json*\n");
    sandbox.git("repo", &["add", "."]);
    sandbox.git("repo", &["commit", "--quiet", "--message=ignore"]);
    sandbox.add("a");
    let exclude = fs::read_to_string(sandbox.path("repo/.git/info/exclude")).unwrap();
    for line in ["/.worktree-ports.json", "*.worktree-ports.tmp"] {
        assert_eq!(
            exclude.lines().filter(|there| *there == line).count(),
            1,
            "{exclude}"
        );
    }
}

#[test]
fn an_exclude_file_that_cannot_be_written_is_a_warning() {
    let sandbox = Sandbox::new();
    fs::remove_dir_all(sandbox.path("repo/.git/info")).unwrap();
    sandbox.write("repo/.git/info", "not a directory");
    sandbox.add("a").tells(&[
        "warning: could not ",
        "info/exclude",
        &sandbox.with_ports("cloud @1"),
    ]);
    assert_eq!(sandbox.ports("a"), [sandbox.port(1)]);
}

#[test]
fn a_moved_worktree_keeps_its_bundle() {
    let sandbox = Sandbox::new();
    sandbox.add("a");
    let before = sandbox.port_file("a");
    sandbox.git("repo", &["worktree", "move", "../a", "../elsewhere"]);
    sandbox.add("b");
    assert_eq!(sandbox.port_file("elsewhere"), before);
    assert_eq!(
        sandbox
            .run("elsewhere", &["--get", "cloud"])
            .exits(0)
            .stdout,
        sandbox.with_ports("@1\n")
    );
    assert_eq!(sandbox.ports("b"), [sandbox.port(2)]);
}

#[test]
fn every_other_checkout_and_a_clone_print_nothing_and_change_nothing() {
    let sandbox = Sandbox::new();
    sandbox.add("a");
    let before = sandbox.port_file("a");
    sandbox
        .git("a", &["checkout", "--quiet", "--detach"])
        .tells_nothing();
    sandbox
        .git("a", &["checkout", "--quiet", "-b", "topic"])
        .tells_nothing();
    sandbox
        .git("repo", &["checkout", "--quiet", "-b", "other"])
        .tells_nothing();
    sandbox.write("a/file", "x");
    sandbox.git("a", &["add", "file"]);
    sandbox.git("a", &["commit", "--quiet", "--message=file"]);
    sandbox.git("a", &["restore", "file"]).tells_nothing();
    assert_eq!(sandbox.port_file("a"), before);
    assert!(!sandbox.has_port_file("repo"));

    sandbox.write(
        "templates/hooks/post-checkout",
        format!("#!/bin/sh\n'{PROGRAM}' \"$@\"\n"),
    );
    set_mode(sandbox.path("templates/hooks/post-checkout"), 0o755);
    sandbox
        .git(
            ".",
            &["clone", "--quiet", "--template=templates", "repo", "clone"],
        )
        .tells_nothing();
    assert!(!sandbox.has_port_file("clone"));
}

#[test]
fn a_worktree_made_without_checkout_gets_its_bundle_at_its_first_checkout() {
    let sandbox = Sandbox::new();
    sandbox.git("repo", &["worktree", "add", "--no-checkout", "../a"]);
    assert!(!sandbox.has_port_file("a"));
    sandbox
        .git("a", &["checkout"])
        .tells(&[&sandbox.with_ports("worktree-ports: cloud @1")]);
    assert_eq!(sandbox.ports("a"), [sandbox.port(1)]);
}

#[test]
fn without_checkout_a_worktree_gets_its_bundle_at_the_first_call() {
    let sandbox = Sandbox::new();
    sandbox.git("repo", &["worktree", "add", "--no-checkout", "../a"]);
    assert_eq!(
        sandbox.run("a", &["--get", "cloud"]).exits(0).stdout,
        sandbox.with_ports("@1\n")
    );
}

#[test]
fn a_slot_is_skipped_if_something_listens_on_any_probed_address() {
    for address in ["127.0.0.1", "0.0.0.0", "::1", "::"] {
        let sandbox = Sandbox::new();
        let base = sandbox.port(10);
        let services = [("api", base), ("web", base + 1)];
        sandbox.configure("repo", config(&services).step(2));
        let listener = match TcpListener::bind((address, base + 3)) {
            Ok(listener) => listener,
            Err(error) if error.kind() == std::io::ErrorKind::AddrNotAvailable => continue,
            Err(error) => panic!("{address}: {error}"),
        };
        sandbox.add("a");
        assert_eq!(sandbox.ports("a"), [base + 4, base + 5], "{address}");
        close(listener);
        assert_eq!(sandbox.run("a", &["--reallocate"]).exits(0).stderr, "");
        assert_eq!(sandbox.ports("a"), [base + 2, base + 3], "{address}");
    }
}

#[test]
fn every_port_in_another_worktrees_foreign_file_is_reserved() {
    let others = [
        r#"{"app": @1, "db": @2}"#,
        r#"{"port": "@1", "url": "postgres://localhost:@2/x"}"#,
        r#"{"a": @1.0, "b": [@2]}"#,
        r#"{"deep": [{"er": {"@1": null}}, "x@2y"]}"#,
        r#"{"port": @1, "port": @2}"#,
        "[@1, @2]",
        r#"{"worktree": "other", "slot": 1, "ports": {"cloud": @1}, "note": @2}"#,
        r#"{"worktree": "other", "slot": 1, "ports": {"cloud": @1, "cloud": @2}}"#,
    ];
    for other in others {
        let sandbox = Sandbox::with_worktrees(&["other", "a"]);
        sandbox.write(format!("other/{PORT_FILE}"), sandbox.with_ports(other));
        sandbox.run_hook("a").exits(0);
        assert_eq!(sandbox.ports("a"), [sandbox.port(3)], "{other}");
    }
}

#[test]
fn of_another_worktrees_file_of_our_shape_only_the_ports_are_reserved() {
    let sandbox = Sandbox::with_worktrees(&["other", "a"]);
    sandbox.write(
        format!("other/{PORT_FILE}"),
        sandbox.with_ports(
            r#"{"worktree": "@1", "slot": 3, "ports": {"cloud": @3}, "x_url": "http://localhost:@2"}"#,
        ),
    );
    sandbox.run_hook("a").exits(0);
    assert_eq!(sandbox.ports("a"), [sandbox.port(1)]);
}

#[test]
fn worktrees_with_different_configs_never_share_a_port() {
    let sandbox = Sandbox::new();
    let port = |offset| sandbox.port(offset);
    sandbox.configure("repo", config(&[("cloud", port(10))]).step(1));
    sandbox.add("a");
    sandbox.git("repo", &["worktree", "add", "--no-checkout", "../b"]);
    let services = [("web", port(9)), ("api", port(11))];
    sandbox.configure("b", config(&services).step(1));
    sandbox.run("b", &[]).exits(0);
    // `web` would have the main worktree's port in slot 1, and the port of `a` in slot 2.
    assert_eq!(sandbox.ports("b"), [port(14), port(12)]);
}

#[test]
fn the_hook_exits_0_whatever_goes_wrong() {
    let sandbox = Sandbox::new();
    sandbox.configure("repo", "{");
    sandbox.add("a").tells(&[
        "worktree-ports: error: the config",
        CONFIG,
        "is not JSON",
        "run `worktree-ports-hook -C ",
    ]);
    assert!(!sandbox.has_port_file("a"));
    sandbox.assert_no_leftovers("a");
}
