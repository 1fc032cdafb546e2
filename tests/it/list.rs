//! `--list`: every worktree of a repository.

use std::collections::BTreeMap;
use std::fs;

use crate::support::{Config, PORT_FILE, PROGRAM, Run, Sandbox, config, listen};

/// The config of two services, whose bundles are next to each other.
fn two_services(sandbox: &Sandbox) -> Config {
    let base = sandbox.port(10);
    config(&[("web", base), ("db", base + 1)]).step(2)
}

/// The state of each worktree as `--list --json` says it, by its id.
fn states(sandbox: &Sandbox) -> BTreeMap<String, String> {
    let listed = sandbox.run("repo", &["--list", "--json"]).exits(0).json();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("main").to_owned();
    let listed = listed.as_array().unwrap().iter();
    listed
        .map(|one| (text(&one["worktree"]), text(&one["state"])))
        .collect()
}

#[test]
fn list_shows_every_worktree_in_columns_that_align() {
    let sandbox = Sandbox::new();
    let base = sandbox.port(10);
    sandbox.configure("repo", two_services(&sandbox));
    sandbox.run("repo", &[]).exits(0);
    sandbox.add("a");
    sandbox.git(
        "repo",
        &["worktree", "add", "--quiet", "--detach", "../bisecting"],
    );
    sandbox.git(
        "repo",
        &["worktree", "add", "--quiet", "-b", "topic/one", "../c"],
    );
    sandbox.git("repo", &["worktree", "add", "--no-checkout", "../d"]);
    let _listener = listen(base + 2);

    // What the mark and the paths depend on is the directory.
    let table = |main: &str, a: &str| {
        let [b0, b1, a0, a1, d0, d1, c0, c1] = [0, 1, 2, 3, 4, 5, 6, 7].map(|i| base + i);
        [
            "   WORKTREE       BRANCH      PATH          SLOT  PORTS                            STATE",
            &format!("{main}0     web {b0}, db {b1}              ok"),
            &format!("{a}1     web {a0} (listening), db {a1}  ok"),
            &format!("   bisecting      (detached)  ../bisecting  2     web {d0}, db {d1}              ok"),
            &format!("   c              topic/one   ../c          3     web {c0}, db {c1}              ok"),
            "   d              d           ../d          -     -                                none",
            "",
        ]
        .join("\n")
    };
    let run = sandbox.run("repo", &["--list"]).exits(0).tells_nothing();
    let expected = table(
        "*  main worktree  main        .             ",
        "   a              a           ../a          ",
    );
    assert_eq!(run.stdout, expected);
    let run = sandbox.run("a", &["--list"]).exits(0).tells_nothing();
    let expected = table(
        "   main worktree  main        ../repo       ",
        "*  a              a           .             ",
    );
    assert_eq!(run.stdout, expected);
}

#[test]
fn list_json_has_the_same_for_a_program() {
    let sandbox = Sandbox::new();
    let base = sandbox.port(10);
    sandbox.configure("repo", two_services(&sandbox));
    sandbox.add("a");
    sandbox.git("a", &["checkout", "--quiet", "--detach"]);
    let _listener = listen(base + 3);
    let run = sandbox.run("a", &["--list", "--json"]).exits(0);
    let expected = serde_json::json!([
        {
            "worktree": null, "branch": "main", "path": sandbox.path("repo"), "state": "none",
            "slot": null, "ports": {}, "listening": [],
        },
        {
            "worktree": "a", "branch": null, "path": sandbox.path("a"), "state": "ok",
            "slot": 1, "ports": { "web": base + 2, "db": base + 3 }, "listening": ["db"],
        },
    ]);
    assert_eq!(run.json(), expected);
    let order = run.stdout.find(r#""web""#) < run.stdout.find(r#""db""#);
    assert!(order, "{run}");
}

#[test]
fn each_state_is_a_word() {
    let sandbox = Sandbox::new();
    for name in [
        "copied",
        "damaged",
        "duplicate",
        "foreign",
        "missing",
        "tracked",
    ] {
        sandbox.add(name);
    }
    sandbox.run("repo", &[]).exits(0);
    sandbox.write(
        format!("copied/{PORT_FILE}"),
        sandbox.port_file("duplicate"),
    );
    sandbox.write(format!("damaged/{PORT_FILE}"), "{");
    sandbox.write(format!("foreign/{PORT_FILE}"), r#"{"app": 3010}"#);
    sandbox.remove_port_file("missing");
    sandbox.git("tracked", &["add", "--force", PORT_FILE]);
    let word = |name: &str, word: &str| (name.to_owned(), word.to_owned());
    let mut expected = BTreeMap::from([
        word("main", "ok"),
        word("copied", "copied"),
        word("damaged", "damaged"),
        word("duplicate", "ok"),
        word("foreign", "foreign"),
        word("missing", "none"),
        word("tracked", "tracked"),
    ]);
    assert_eq!(states(&sandbox), expected);

    // By hand, so that two name one port.
    sandbox.write(
        format!("missing/{PORT_FILE}"),
        sandbox
            .port_file("duplicate")
            .replace(r#""worktree": "duplicate""#, r#""worktree": "missing""#),
    );
    expected.extend([word("duplicate", "duplicate"), word("missing", "duplicate")]);
    assert_eq!(states(&sandbox), expected);

    let table = sandbox.run("repo", &["--list"]).exits(0).stdout;
    for (name, word) in &expected {
        let line = table.lines().find(|line| line[3..].starts_with(name));
        assert!(line.unwrap().ends_with(word), "{name}: {word} in\n{table}");
    }
}

#[test]
fn a_worktree_that_is_gone_is_shown_as_gone() {
    let sandbox = Sandbox::new();
    sandbox.add("a");
    fs::remove_dir_all(sandbox.path("a")).unwrap();
    let run = sandbox.run("repo", &["--list"]).exits(0);
    assert!(run.stdout.contains("../a (gone)"), "{run}");
}

#[test]
fn a_worktree_whose_index_is_broken_does_not_hide_the_others() {
    let sandbox = Sandbox::new();
    sandbox.add("a");
    sandbox.add("b");
    sandbox.write("repo/.git/worktrees/a/index", "broken");
    let run = sandbox.run("repo", &["--list"]).exits(0);
    let run = run.tells(&["warning", "index"]);
    assert!(
        run.stdout.contains(&sandbox.with_ports("cloud @2")),
        "{run}"
    );
    let run = sandbox.run("repo", &["--check"]).exits(1);
    assert!(run.stdout.contains("index"), "{run}");
}

#[test]
fn list_and_check_read_and_write_nothing() {
    let sandbox = Sandbox::with_worktrees(&["a"]);
    let before = sandbox.stamps_of(".");
    sandbox.run("repo", &["--list"]).exits(0);
    sandbox.run("a", &["--list", "--json"]).exits(0);
    sandbox.run("repo", &["--check"]).exits(1);
    assert_eq!(sandbox.stamps_of("."), before);

    sandbox.run("a", &[]).exits(0);
    let before = sandbox.stamps_of(".");
    sandbox.run("a", &["--list"]).exits(0);
    sandbox.run("repo", &["--check"]).exits(1);
    assert_eq!(sandbox.stamps_of("."), before);
}

#[test]
fn list_does_not_wait_for_the_lock_and_check_does() {
    let sandbox = Sandbox::new();
    sandbox.add("a");
    let _lock = sandbox.hold_lock();
    let run = |arguments: &[&str]| {
        let mut command = sandbox.command(PROGRAM, "a");
        command
            .args(arguments)
            .env("WORKTREE_PORTS_LOCK_TIMEOUT", "0");
        Sandbox::finish(command)
    };
    run(&["--list"]).exits(0).tells_nothing();
    run(&["--list", "--json"]).exits(0).tells_nothing();
    run(&["--check"]).exits(1).tells(&["gave up"]);
}

#[test]
fn control_characters_of_names_and_paths_do_not_reach_the_terminal() {
    let sandbox = Sandbox::new();
    let path = "../new\nline \x1b[31mred";
    sandbox.git("repo", &["worktree", "add", "--quiet", "-b", "x", path]);
    sandbox.add("a");
    sandbox.write(
        format!("a/{PORT_FILE}"),
        sandbox.with_ports(r#"{"worktree": "a", "slot": 1, "ports": {"\u001b[2J\u202ebew": @1}}"#),
    );
    sandbox.write(format!("{}/{PORT_FILE}", &path[3..]), "{");
    sandbox.write(
        "repo/.git/worktrees/a/HEAD",
        "ref: refs/heads/\x1b]0;title\x07\u{202e}\n",
    );
    for arguments in [&["--list"][..], &["--check"], &["--list", "--json"]] {
        let run = sandbox.run("repo", arguments);
        let is_harmful = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        let is_json = arguments.contains(&"--json");
        let harmful = |text: &str| {
            text.chars()
                .any(|c| is_harmful(c) && !is_json || c == '\x1b')
        };
        assert!(!harmful(&run.stdout) && !harmful(&run.stderr), "{run}");
        assert!(run.stdout.contains("new\\nline "), "{run}");
    }
}

#[test]
#[ignore = "needs git 2.45"]
fn a_repository_with_reftables_shows_its_branches() {
    let sandbox = Sandbox::without_hook();
    let init = [
        "init",
        "--quiet",
        "--ref-format=reftable",
        "--initial-branch=trunk",
        "r",
    ];
    sandbox.git(".", &init);
    sandbox.git(
        "r",
        &["commit", "--quiet", "--allow-empty", "--message=first"],
    );
    sandbox.git("r", &["worktree", "add", "--quiet", "../a"]);
    sandbox.git("r", &["worktree", "add", "--quiet", "--detach", "../b"]);
    let listed = sandbox.run("r", &["--list", "--json"]).exits(0).json();
    let branches: Vec<_> = (0..3).map(|i| listed[i]["branch"].clone()).collect();
    assert_eq!(
        branches,
        ["trunk".into(), "a".into(), serde_json::Value::Null]
    );
}

/// Runs `--list` on a terminal of so many columns.
#[cfg(target_os = "linux")]
fn list_on_terminal(sandbox: &Sandbox, columns: u16, variables: &[(&str, &str)]) -> Run {
    let mut command = sandbox.command("script", "repo");
    command
        .args(["--quiet", "--return", "--command"])
        .arg(format!(
            "stty cols {columns} rows 24; exec '{PROGRAM}' --list"
        ))
        .arg("/dev/null")
        .env("TERM", "xterm")
        .env_remove("NO_COLOR")
        .envs(variables.iter().copied());
    let mut run = Sandbox::finish(command).exits(0);
    run.stdout = run.stdout.replace('\r', "");
    run
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "needs script"]
fn colour_is_for_a_terminal_alone_and_for_those_who_want_it() {
    let sandbox = Sandbox::new();
    sandbox.add("a");
    let plain = sandbox.run("repo", &["--list"]).exits(0).stdout;
    assert!(!plain.contains('\x1b'));
    let coloured = list_on_terminal(&sandbox, 100, &[]).stdout;
    assert!(coloured.contains("\x1b[32mok\x1b[0m"), "{coloured}");
    // An empty NO_COLOR is none: https://no-color.org
    assert_eq!(
        list_on_terminal(&sandbox, 100, &[("NO_COLOR", "")]).stdout,
        coloured
    );
    assert_eq!(
        list_on_terminal(&sandbox, 100, &[("NO_COLOR", "1")]).stdout,
        plain
    );
    let uncoloured = coloured.replace("\x1b[32m", "").replace("\x1b[2m", "");
    assert_eq!(uncoloured.replace("\x1b[0m", ""), plain);
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "needs script"]
fn a_terminal_that_is_too_narrow_for_the_table_gets_a_block_for_each_worktree() {
    let sandbox = Sandbox::new();
    sandbox.add("a");
    let table = sandbox.run("repo", &["--list"]).exits(0).stdout;
    let width = table.lines().map(str::len).max().unwrap();
    let on = |columns: usize| {
        let columns = u16::try_from(columns).unwrap();
        list_on_terminal(&sandbox, columns, &[("NO_COLOR", "1")]).stdout
    };
    assert!(on(width).contains("STATE"), "{}", on(width));
    let blocks = sandbox.with_ports(
        "\
* main worktree: none
    branch main
    path .
    slot -
    ports -
  a: ok
    branch a
    path ../a
    slot 1
    ports cloud @1
",
    );
    for columns in [width - 1, 20, 1, 0] {
        // A terminal of no columns is one whose size nobody has set.
        let expected = if columns == 0 { &table } else { &blocks };
        assert_eq!(on(columns), *expected, "{columns} columns");
    }
}
