//! `--adopt`: taking over the ports in another tool's port file.

use crate::support::{Config, PORT_FILE, Sandbox, close, config, listen};

/// Two services, with the sandbox's own ports and a step of 2.
fn two_services(sandbox: &Sandbox) -> Config {
    config(&[("web", sandbox.port(0)), ("api", sandbox.port(1))]).step(2)
}

/// A sandbox whose worktrees `a`, `b` and `c` have another tool's files with these contents.
fn with_old_files(files: &[(&str, &str)]) -> Sandbox {
    let sandbox = Sandbox::with_worktrees(&["a", "b", "c"]);
    sandbox.configure("repo", two_services(&sandbox));
    for (at, content) in files {
        sandbox.write(format!("{at}/{PORT_FILE}"), sandbox.with_ports(content));
    }
    sandbox
}

#[track_caller]
fn assert_has(sandbox: &Sandbox, at: &str, slot: u16, web: u16, api: u16) {
    let file = sandbox.port_json(at);
    let has = (&file["slot"], &file["ports"]["web"], &file["ports"]["api"]);
    let expected = (
        slot.into(),
        sandbox.port(web).into(),
        sandbox.port(api).into(),
    );
    assert_eq!(has, (&expected.0, &expected.1, &expected.2), "{at}");
}

#[test]
fn a_team_adopts_its_old_ports_while_its_servers_run() {
    let sandbox = with_old_files(&[
        (
            "repo",
            r#"{"web": @0, "api": @1, "cloud_url": "http://localhost:@0"}"#,
        ),
        ("a", r#"{"ports": {"web": @2, "api": @3}}"#),
        (
            "b",
            r#"{"slot": 3, "ports": {"web": @6, "api": @7}, "note": "old"}"#,
        ),
    ]);
    sandbox.wire("repo/.git");
    let servers = [0, 1, 2, 3, 6, 7].map(|slot| listen(sandbox.port(slot)));
    sandbox.run_hook("a").exits(0).tells_nothing();
    sandbox.run("a", &[]).exits(1).tells(&["--adopt`"]);

    sandbox.run("c", &["--all", "--adopt"]).exits(0);
    assert_has(&sandbox, "repo", 0, 0, 1);
    assert_has(&sandbox, "a", 1, 2, 3);
    assert_has(&sandbox, "b", 3, 6, 7);
    for at in ["repo", "a", "b"] {
        sandbox.run(at, &[]).exits(0).tells_nothing();
        sandbox.run_hook(at).exits(0).tells_nothing();
    }
    sandbox.add("d");
    assert_has(&sandbox, "d", 2, 4, 5);
    servers.into_iter().for_each(close);
}

#[test]
fn without_all_only_one_worktree_adopts() {
    let sandbox = with_old_files(&[("a", r#"{"web": @2, "api": @3}"#), ("b", r#"{"web": @4}"#)]);
    let before = sandbox.port_file("b");
    sandbox.run("a", &["--adopt"]).exits(0);
    assert_has(&sandbox, "a", 1, 2, 3);
    assert_eq!(sandbox.port_file("b"), before);
}

#[test]
fn ports_that_stand_at_no_slot_get_the_lowest_free_one() {
    let sandbox = with_old_files(&[
        ("a", r#"{"web": @20, "api": @31}"#),
        // `web` stands at slot 1, which is still free, so this worktree comes first.
        ("b", r#"{"web": @2, "api": @3}"#),
        // A missing service gets its slot's port.
        ("c", r#"{"ports": {"api": @7}}"#),
    ]);
    sandbox.run("repo", &["--all", "--adopt"]).exits(0);
    assert_has(&sandbox, "b", 1, 2, 3);
    assert_has(&sandbox, "c", 3, 6, 7);
    assert_has(&sandbox, "a", 2, 20, 31);
}

#[test]
fn a_missing_service_whose_port_is_taken_gets_the_next() {
    let sandbox = with_old_files(&[("a", r#"{"web": @2}"#), ("b", r#"{"other": @3}"#)]);
    sandbox.run("a", &["--adopt"]).exits(0);
    // The file of `b` names the api port of slot 1, and the main worktree has that of slot 0.
    assert_has(&sandbox, "a", 1, 2, 5);
}

#[test]
fn two_old_files_with_the_same_port_are_refused_and_nothing_moves() {
    let sandbox = with_old_files(&[
        ("a", r#"{"web": @2, "api": @3}"#),
        ("b", r#"{"web": @4, "api": @3}"#),
    ]);
    let before = ["a", "b"].map(|at| sandbox.port_file(at));
    let run = sandbox.run("repo", &["--all", "--adopt"]).exits(1);
    run.tells(&["a/.worktree-ports.json", "b/.worktree-ports.json"]);
    for (at, other) in [("a", "b"), ("b", "a")] {
        let run = sandbox.run(at, &["--adopt"]).exits(1).tells_one_error();
        let path = |at| sandbox.path(at).join(PORT_FILE).display().to_string();
        run.tells(&[&path(at), &path(other), &sandbox.with_ports("@3")]);
    }
    assert_eq!(["a", "b"].map(|at| sandbox.port_file(at)), before);
}

#[test]
fn numbers_under_other_names_are_a_warning() {
    let sandbox = with_old_files(&[("a", r#"{"web": @2, "ports": {"db": @40}, "mail": @41}"#)]);
    let run = sandbox.run("a", &["--adopt"]).exits(0);
    run.tells(&["warning: `db`", "warning: `mail`"]);
    assert_has(&sandbox, "a", 1, 2, 3);
}

#[test]
fn a_file_that_names_no_service_is_an_error() {
    for content in [
        "{}",
        r#"{"db": @2}"#,
        r#"{"web": "@2"}"#,
        r#"{"web": 80}"#,
        "[@2]",
    ] {
        let sandbox = with_old_files(&[("a", content)]);
        let before = sandbox.port_file("a");
        let run = sandbox.run("a", &["--adopt"]).exits(1).tells_one_error();
        run.tells(&["names no port of a service"]);
        assert_eq!(sandbox.port_file("a"), before, "{content}");
    }
}

#[test]
fn a_tracked_file_is_not_adopted() {
    let sandbox = with_old_files(&[("a", r#"{"web": @2, "api": @3}"#)]);
    sandbox.git("a", &["add", "--force", PORT_FILE]);
    let before = sandbox.port_file("a");
    sandbox
        .run("a", &["--adopt"])
        .exits(1)
        .tells(&["git tracks", "rm --cached"]);
    assert_eq!(sandbox.port_file("a"), before);
}

#[test]
fn check_finds_no_problem_after_an_adoption() {
    let sandbox = with_old_files(&[("a", r#"{"web": @20, "api": @31}"#)]);
    sandbox.run("repo", &["--install"]).exits(0);
    sandbox.run("repo", &["--all", "--adopt"]).exits(0);
    for at in ["repo", "b", "c"] {
        sandbox.run(at, &[]).exits(0);
    }
    let check = sandbox.run("repo", &["--check"]).exits(0);
    assert_eq!(check.stdout, "");
    sandbox.run("a", &[]).exits(0).tells_nothing();
    assert_has(&sandbox, "a", 1, 20, 31);
}
