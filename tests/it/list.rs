//! `--list`: shows every worktree of a repository.

use std::collections::BTreeMap;
use std::fs;

use crate::support::{Config, PORT_FILE, PROGRAM, Run, Sandbox, config, listen};

/// A config with two services on consecutive ports.
fn two_services(sandbox: &Sandbox) -> Config {
    let base = sandbox.port(10);
    config(&[("web", base), ("db", base + 1)]).step(2)
}

/// The state of each worktree by its id, as `--list --json` says it.
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

    // The mark and the paths depend on the current directory.
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
    let config = two_services(&sandbox).url("web_url", "http://localhost:{web}");
    sandbox.configure("repo", config);
    sandbox.add("a");
    sandbox.git("a", &["checkout", "--quiet", "--detach"]);
    let _listener = listen(base + 3);
    let run = sandbox.run("a", &["--list", "--json"]).exits(0);
    let expected = serde_json::json!([
        {
            "worktree": null, "branch": "main", "path": sandbox.path("repo"), "state": "none",
            "slot": null, "ports": {}, "urls": {}, "listening": [],
        },
        {
            "worktree": "a", "branch": null, "path": sandbox.path("a"), "state": "ok",
            "slot": 1, "ports": { "web": base + 2, "db": base + 3 },
            "urls": { "web_url": format!("http://localhost:{}", base + 2) }, "listening": ["db"],
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
        // `--list` does not ask git about each worktree; `--check` does.
        word("tracked", "ok"),
    ]);
    assert_eq!(states(&sandbox), expected);

    // By hand, so that two files name the same port.
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
fn a_worktree_that_is_gone_is_shown_as_gone_with_its_ports() {
    let sandbox = Sandbox::new();
    sandbox.add("a");
    fs::remove_dir_all(sandbox.path("a")).unwrap();
    let run = sandbox.run("repo", &["--list"]).exits(0);
    let line = run.stdout.lines().find(|line| line.contains("../a"));
    assert!(line.unwrap().ends_with("gone"), "{run}");
    let ports = sandbox.with_ports("cloud @1");
    assert!(
        line.unwrap().contains(&ports),
        "what its record names: {run}"
    );
    let json = sandbox.run("repo", &["--list", "--json"]).exits(0).json();
    let mut worktrees = json.as_array().unwrap().iter();
    let of_a = worktrees.find(|of| of["worktree"] == "a").unwrap();
    assert_eq!(of_a["ports"]["cloud"], sandbox.port(1));
}

#[test]
fn a_worktree_that_differs_from_the_config_is_outdated() {
    type Change = fn(&Sandbox);
    let table: [(&str, Change); 5] = [
        ("a service", |sandbox| {
            let config = sandbox.config(&["cloud", "api"]);
            sandbox.configure("repo", config.env_file(".env", &[("PORT", "{cloud}")]));
        }),
        ("an env file", |sandbox| sandbox.write("a/.env", "# mine\n")),
        ("a new env file", |sandbox| {
            let config = sandbox
                .config(&["cloud"])
                .env_file(".env", &[("PORT", "{cloud}")]);
            sandbox.configure("repo", config.env_file(".env.local", &[]));
        }),
        ("a URL", |sandbox| {
            let config = sandbox
                .config(&["cloud"])
                .env_file(".env", &[("PORT", "{cloud}")]);
            sandbox.configure("repo", config.url("x_url", "http://localhost:{cloud}"));
        }),
        ("the record", |sandbox| {
            fs::remove_file(sandbox.path("repo/.git/worktrees/a/worktree-ports.json")).unwrap();
        }),
    ];
    let sandbox = Sandbox::new();
    let config = sandbox
        .config(&["cloud"])
        .env_file(".env", &[("PORT", "{cloud}")]);
    sandbox.configure("repo", config);
    sandbox.add("a");
    for (what, change) in table {
        assert_eq!(states(&sandbox)["a"], "ok", "before {what}");
        change(&sandbox);
        assert_eq!(states(&sandbox)["a"], "outdated", "{what}");
        sandbox.run("a", &[]).exits(0);
    }
    assert_eq!(states(&sandbox)["a"], "ok");
}

#[test]
fn a_worktree_whose_index_is_broken_does_not_hide_the_others() {
    let sandbox = Sandbox::new();
    sandbox.add("a");
    sandbox.add("b");
    sandbox.write("repo/.git/worktrees/a/index", "broken");
    let run = sandbox.run("repo", &["--list"]).exits(0).tells_nothing();
    assert!(
        run.stdout.contains(&sandbox.with_ports("cloud @2")),
        "{run}"
    );
    let run = sandbox.run("repo", &["--check"]).exits(1);
    assert!(run.stdout.contains("index"), "{run}");
}

#[test]
fn list_and_check_write_nothing() {
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

/// Runs `--list` on a terminal with that many columns.
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

/// `text` without the escape sequences for colours and links.
#[cfg(target_os = "linux")]
fn plain(text: &str) -> String {
    let mut plain = String::new();
    for part in text.split('\x1b') {
        let behind = match part.as_bytes().first() {
            Some(b'[') => part.split_once('m').map_or("", |(_, behind)| behind),
            Some(b']') => "",
            Some(b'\\') => &part[1..],
            _ => part,
        };
        plain += behind;
    }
    plain
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "needs script"]
fn twelve_worktrees_with_three_services_fit_80_columns() {
    let sandbox = Sandbox::new();
    let config = sandbox.config(&["web", "api", "postgres"]);
    sandbox.configure("repo", config.url("web_url", "http://localhost:{web}"));
    sandbox.run("repo", &[]).exits(0);
    for i in 0..9 {
        sandbox.add(&format!("payments-3ds-flow-{i}"));
    }
    let add = |branch: &str, name: &str| {
        let path = format!("../{name}");
        sandbox.git("repo", &["worktree", "add", "--quiet", "-b", branch, &path]);
    };
    add("feature/checkout-redesign-of-the-year", "checkout");
    add("\u{65e5}\u{672c}\u{8a9e}", "\u{65e5}\u{672c}");
    sandbox.git(
        "repo",
        &["worktree", "move", "../checkout", "../somewhere-else"],
    );
    let [web, api, postgres] = sandbox.bundle(1);
    let _listeners = [web, api, postgres].map(listen);
    let listed = list_on_terminal(&sandbox, 80, &[]).stdout;
    let text = plain(&listed);
    for line in text.lines() {
        let wide = line
            .chars()
            .filter(|c| *c >= '\u{1100}' && *c != '\u{2026}')
            .count();
        assert!(line.chars().count() + wide <= 80, "{line:?} in\n{text}");
    }
    let row = format!("payments-3ds-flow-0  1     web {web}*, api {api}*, postgres {postgres}*");
    for part in [
        &row,
        "feature/checkout-redesign-of-the-year",
        "../somewhere-else",
        "\u{65e5}\u{672c}\u{8a9e}",
    ] {
        assert!(text.contains(part), "no {part} in\n{text}");
    }
    // Branch and path are shown only where they differ from the id.
    assert_eq!(text.matches("payments-3ds-flow-1").count(), 1, "{text}");
    let link = format!("\x1b]8;;http://localhost:{web}\x1b\\{web}\x1b]8;;\x1b\\");
    assert!(listed.contains(&link), "{listed:?}");
    let is_full = sandbox.run("repo", &["--list"]).exits(0).stdout;
    assert!(is_full.contains("../payments-3ds-flow-1 ") && !is_full.contains('\x1b'));
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "needs script"]
fn colours_are_for_terminals_only_and_can_be_turned_off() {
    let sandbox = Sandbox::new();
    sandbox.add("a");
    let piped = sandbox.run("repo", &["--list"]).exits(0).stdout;
    assert!(!piped.contains('\x1b'));
    let coloured = list_on_terminal(&sandbox, 100, &[]).stdout;
    assert!(coloured.contains("\x1b[32mok\x1b[0m"), "{coloured}");
    // An empty NO_COLOR does not count: https://no-color.org
    assert_eq!(
        list_on_terminal(&sandbox, 100, &[("NO_COLOR", "")]).stdout,
        coloured
    );
    let uncoloured = list_on_terminal(&sandbox, 100, &[("NO_COLOR", "1")]).stdout;
    assert!(!uncoloured.contains("\x1b["), "{uncoloured}");
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "needs script"]
fn a_terminal_too_narrow_for_all_columns_shows_branch_and_path_below() {
    let sandbox = Sandbox::new();
    sandbox.add("a");
    sandbox.git("repo", &["branch", "--quiet", "--move", "trunk"]);
    let on = |columns: u16| plain(&list_on_terminal(&sandbox, columns, &[]).stdout);
    let table = sandbox.with_ports(
        "   WORKTREE       BRANCH  SLOT  PORTS        STATE
*  main worktree  trunk   -     -            none
   a                      1     cloud @1  ok
",
    );
    let with_notes = sandbox.with_ports(
        "   WORKTREE       SLOT  PORTS        STATE
*  main worktree  -     -            none
     branch trunk
   a              1     cloud @1  ok
",
    );
    for (columns, expected) in [(60, table), (44, with_notes.clone()), (1, with_notes)] {
        let printed = on(columns);
        assert_eq!(
            words(&printed),
            words(&expected),
            "{columns} columns:\n{printed}"
        );
    }
    // A terminal has 0 columns if nobody has set its size.
    assert!(on(0).contains("../a"), "{}", on(0));
}

fn words(text: &str) -> Vec<Vec<&str>> {
    let lines = text.lines();
    lines
        .map(|line| line.split_whitespace().collect())
        .collect()
}
