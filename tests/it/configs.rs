//! The config: which one applies, and what is reported about an invalid one.

use std::fs;

use crate::support::{CONFIG, Sandbox, can_bind, config};

/// An invalid config, and what its error must say.
const WRONG: &[(&str, &[&str])] = &[
    ("", &["the file is empty"]),
    ("{ // x\n}", &["comments are not JSON", "line 1 column 3"]),
    ("{", &["is not JSON"]),
    ("[]", &["is not a JSON object"]),
    ("null", &["is not a JSON object"]),
    ("{}", &["`services` is missing"]),
    (
        r#"{"services": {"cloud": 8000},}"#,
        &["is not JSON", "trailing comma at line 1 column 30"],
    ),
    (r#"{"services": {"cloud": 8000}} {}"#, &["is not JSON"]),
    (
        r#"{"services": {"cloud": 8000}, "comment": "x"}"#,
        &[
            "`comment`",
            "available: `services`, `step`, `urls`, `env`, `env_files`, `templates`, `$schema`",
        ],
    ),
    (
        r#"{"services": {"cloud": 8000}, "services": {"cloud": 9000}}"#,
        &["duplicate key `services`"],
    ),
    (
        r#"{"services": {"cloud": 8000, "cloud": 9000}}"#,
        &["duplicate key `cloud`", "`services`"],
    ),
    (
        r#"{"services": {"cloud": 8000}, "urls": {"a_url": "http://localhost:{cloud}", "a_url": "http://localhost:{cloud}"}}"#,
        &["duplicate key `a_url`", "`urls`"],
    ),
    (
        r#"{"services": [8000]}"#,
        &["`services` is not a JSON object"],
    ),
    (
        r#"{"services": {}}"#,
        &["`services` has 0 members", "1 to 64"],
    ),
    (
        r#"{"services": {"Cloud": 8000}}"#,
        &["`services.Cloud`", "lower-case letter"],
    ),
    (
        r#"{"services": {"1st": 8000}}"#,
        &["`services.1st`", "lower-case letter"],
    ),
    (
        r#"{"services": {"cloud.api": 8000}}"#,
        &["`services.cloud.api`", "a-z, 0-9, `_` and `-`"],
    ),
    (
        r#"{"services": {"": 8000}}"#,
        &["`services.`", "lower-case letter"],
    ),
    (
        r#"{"services": {"abcdefghijklmnopqrstuvwxyz0123456": 8000}}"#,
        &["up to 31"],
    ),
    (
        r#"{"services": {"cloud": "8000"}}"#,
        &["`services.cloud`", "1024 to 65535"],
    ),
    (
        r#"{"services": {"cloud": 1023}}"#,
        &["`services.cloud` is `1023`", "1024 to 65535"],
    ),
    (
        r#"{"services": {"cloud": 65536}}"#,
        &["`services.cloud` is `65536`", "1024 to 65535"],
    ),
    (
        r#"{"services": {"cloud": 8000.5}}"#,
        &["`services.cloud`", "whole number"],
    ),
    (
        r#"{"services": {"cloud": null}}"#,
        &["`services.cloud`", "whole number"],
    ),
    (
        r#"{"services": {"a-b": 8000, "a_b": 9000}}"#,
        &["`services.a_b`", "same variable", "`services.a-b`"],
    ),
    (
        r#"{"services": {"a": 8000, "b": 8000}}"#,
        &["`services.b`", "same base port", "`services.a`"],
    ),
    (
        r#"{"services": {"cloud": 8000}, "step": 0}"#,
        &["`step` is `0`", "1 to 10000"],
    ),
    (
        r#"{"services": {"cloud": 8000}, "step": 10001}"#,
        &["`step`", "1 to 10000"],
    ),
    (
        r#"{"services": {"cloud": 8000}, "step": "100"}"#,
        &["`step`", "whole number"],
    ),
    (
        r#"{"services": {"cloud": 8000}, "step": null}"#,
        &["`step`", "whole number"],
    ),
    (
        r#"{"services": {"cloud": 8000}, "urls": []}"#,
        &["`urls` is not a JSON object"],
    ),
    (
        r#"{"services": {"cloud": 8000}, "urls": {"url": "http://localhost:{cloud}"}}"#,
        &["`urls.url`", "ends in `_url`"],
    ),
    (
        r#"{"services": {"cloud": 8000}, "urls": {"a-b_url": "http://localhost:{cloud}"}}"#,
        &["`urls.a-b_url`", "a-z, 0-9 and `_`"],
    ),
    (
        r#"{"services": {"cloud": 8000}, "urls": {"a_url": 8000}}"#,
        &["`urls.a_url`", "must be a string"],
    ),
    (
        r#"{"services": {"cloud": 8000}, "urls": {"a_url": "http://localhost:80000"}}"#,
        &[
            "`urls.a_url`",
            "`{service}`",
            "write `http://localhost:{cloud}`",
        ],
    ),
    (
        r#"{"services": {"cloud": 8000}, "urls": {"a_url": "http://localhost:{web}"}}"#,
        &["`urls.a_url`", "unknown placeholder `{web}`"],
    ),
    (
        r#"{"services": {"cloud": 8000}, "urls": {"a_url": "http://example.com:{cloud}"}}"#,
        &[
            "`urls.a_url`",
            "`localhost`, `*.localhost`, `127.0.0.1` and `[::1]`",
            "write `http://localhost:{cloud}`",
        ],
    ),
    (
        r#"{"services": {"cloud": 8000}, "urls": {"a_url": "http://localhost:{cloud}/$(id)"}}"#,
        &["`urls.a_url`", "is not allowed"],
    ),
];

#[test]
fn an_error_in_a_config_names_the_file_the_key_and_what_is_allowed() {
    let sandbox = Sandbox::without_hook();
    let path = sandbox.path("repo").join(CONFIG);
    for (content, parts) in WRONG {
        fs::write(&path, content).unwrap();
        let run = sandbox.run("repo", &[]).exits(1);
        assert_eq!((run.stderr.lines().count(), &*run.stdout), (1, ""), "{run}");
        let file = format!("error: the config `{}` is not valid: ", path.display());
        let run = run.tells(&[&file]);
        run.tells(parts);
        assert!(!sandbox.has_port_file("repo"), "{content}");
    }
}

#[test]
fn nothing_is_allocated_from_an_invalid_config_and_git_succeeds() {
    let sandbox = Sandbox::new();
    for (i, (content, parts)) in WRONG.iter().enumerate().step_by(9) {
        sandbox.write(format!("repo/{CONFIG}"), content);
        sandbox.commit_config("repo");
        let name = format!("w{i}");
        sandbox
            .add(&name)
            .tells(parts)
            .tells(&["error: the config", &name]);
        assert!(!sandbox.has_port_file(&name));
        sandbox.assert_no_leftovers(&name);
        let list = sandbox.git("repo", &["worktree", "list"]).stdout;
        assert!(list.contains(&format!("/{name} ")), "{list}");
    }
}

#[test]
fn a_config_that_becomes_invalid_is_an_error_and_moves_nothing() {
    let sandbox = Sandbox::new();
    sandbox.add("a");
    let before = sandbox.port_file("a");
    sandbox.configure("a", r#"{"services": {}}"#);
    for call in [&[][..], &["--get", "cloud"], &["--json"], &["--reallocate"]] {
        sandbox
            .run("a", call)
            .exits(1)
            .tells(&["error: the config", "1 to 64"]);
    }
    sandbox.run_hook("a").exits(0).tells_one_error();
    assert_eq!(sandbox.port_file("a"), before);
}

#[test]
fn a_config_that_is_over_64_kib_or_no_regular_file_is_an_error() {
    let sandbox = Sandbox::without_hook();
    sandbox.write("elsewhere", sandbox.own_config().to_string());
    let path = sandbox.path("repo").join(CONFIG);
    let mut text = sandbox.own_config().to_string();
    text.extend(std::iter::repeat_n(' ', 64 * 1024 - text.len()));
    fs::write(&path, &text).unwrap();
    sandbox.run("repo", &[]).exits(0);
    assert_eq!(sandbox.ports("repo"), [sandbox.port(0)]);
    sandbox.remove_port_file("repo");

    text.push(' ');
    sandbox.write("large", text);
    let kinds = [
        ("cp ../large", "larger than 64 KiB"),
        ("ln -s ../elsewhere", "a symbolic link"),
        ("ln -s nowhere", "a symbolic link"),
        ("ln -s /dev/zero", "a symbolic link"),
        ("mkdir", "a directory"),
        ("mkfifo", "a FIFO"),
    ];
    for (make, what) in kinds {
        let mut command = sandbox.command("sh", "repo");
        command.args(["-c", &format!("rm -rf {CONFIG} && {make} {CONFIG}")]);
        Sandbox::finish(command).exits(0);
        sandbox
            .run("repo", &[])
            .exits(1)
            .tells(&["error: the config `", CONFIG, what]);
        assert!(!sandbox.has_port_file("repo"));
    }
}

#[test]
fn a_config_in_another_encoding_is_an_error() {
    let sandbox = Sandbox::without_hook();
    let text = sandbox.own_config().to_string();
    let utf_16 = format!("\u{feff}{text}");
    let utf_16: Vec<u8> = utf_16.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for content in [utf_16, [text.as_bytes(), b"\xff"].concat()] {
        sandbox.write(format!("repo/{CONFIG}"), content);
        sandbox
            .run("repo", &[])
            .exits(1)
            .tells(&["error: the config `", CONFIG, "is not JSON"]);
    }
}

#[test]
fn control_characters_in_an_error_are_escaped() {
    let sandbox = Sandbox::without_hook();
    sandbox.configure("repo", r#"{"services": {"cloud": 8000}, "\u001b[2J\n": 1}"#);
    let run = sandbox
        .run("repo", &[])
        .exits(1)
        .tells(&["`\\u{1b}[2J\\n`"]);
    assert_eq!(run.stderr.lines().count(), 1);
    assert!(!run.stderr.contains('\u{1b}'));
}

#[test]
fn a_worktrees_config_wins_then_the_main_worktrees_then_the_default() {
    let sandbox = Sandbox::new();
    fs::remove_file(sandbox.path("repo").join(CONFIG)).unwrap();
    sandbox.add("by-default");
    // Something may listen on the ports of the default config.
    let port = (8100..).step_by(100).find(|port| can_bind(*port)).unwrap();
    assert_eq!(sandbox.ports("by-default"), [port]);
    assert_eq!(
        sandbox.port_json("by-default")["cloud_url"],
        format!("http://127.0.0.1:{port}")
    );

    // Not committed, so a fresh worktree has none of its own.
    sandbox.configure("repo", sandbox.config(&["web"]));
    sandbox.add("by-main");
    // The other worktree, whose config has other ports, may have slot 1.
    let slot = if port == 8100 { 2 } else { 1 };
    assert_eq!(sandbox.ports("by-main"), [sandbox.port(slot)]);
    // There are no URLs unless the config has some.
    assert!(!sandbox.port_file("by-main").contains("_url"));

    let own = config(&[("web", sandbox.port(50))]).step(1);
    sandbox.configure("by-main", own);
    sandbox.run("by-main", &["--reallocate"]).exits(0);
    assert_eq!(sandbox.ports("by-main"), [sandbox.port(50 + slot)]);
    // The config of the directory in which git was called does not apply.
    sandbox.git("by-main", &["worktree", "add", "../third"]);
    let slots = ["by-default", "by-main"].map(|name| sandbox.port_json(name)["slot"].clone());
    let free = (1..100).find(|slot: &u16| !slots.contains(&(*slot).into()));
    assert_eq!(sandbox.ports("third"), [sandbox.port(free.unwrap())]);
}

#[test]
fn a_broken_main_config_is_an_error_there_and_a_warning_elsewhere() {
    let sandbox = Sandbox::without_hook();
    sandbox.configure("repo", r#"{"services": {}}"#);
    sandbox
        .run("repo", &[])
        .exits(1)
        .tells(&["error: the config"]);

    // A worktree without a config would use the main worktree's.
    sandbox.add("a");
    sandbox.run("a", &[]).exits(1).tells(&["error: the config"]);

    sandbox.configure("a", sandbox.config(&["web"]));
    let run = sandbox.run("a", &[]).exits(0);
    let run = run.tells(&[
        "warning: cannot tell which ports the main worktree has",
        "repo/.worktree-ports.config.json",
    ]);
    assert_eq!(run.stderr.lines().count(), 1, "{run}");
    assert_eq!(sandbox.ports("a"), [sandbox.port(1)]);
}

#[test]
fn a_hostile_branchs_config_can_only_name_this_machine() {
    let sandbox = Sandbox::without_hook();
    let hostile = [
        "http://localhost.evil.example:{cloud}",
        "http://localhost:{cloud}@evil.example",
        "http://localhost:{cloud}.evil.example",
        "http://evil.example/localhost:{cloud}",
        "http://evil.example?localhost:{cloud}",
        "http://evil.example#localhost:{cloud}",
        "http://evil.example\\@localhost:{cloud}",
        "http://evil.example/@localhost:{cloud}",
        "http://127.0.0.1.nip.io:{cloud}",
        "http://127.0.0.2:{cloud}",
        "http://0x7f.1:{cloud}",
        "http://[::2]:{cloud}",
        "//evil.example:{cloud}",
        "http:evil.example:{cloud}",
        "javascript:alert({cloud})",
        "http://localhost:{cloud}{cloud}",
        "http://localhost:{cloud}8",
        "http://localhost:8{cloud}",
        "http://{cloud}:80",
        "http://localhost:{cloud} evil",
        "http://localhost:{cloud}/\n",
        "http://localhost:{cloud}/`id`",
        "http://localhost:{cloud}/;id",
        "http://localhost:{cloud}/'",
        "http://localhost:{cloud}/\"",
        "http://.localhost:{cloud}",
        "http://a..localhost:{cloud}",
    ];
    for template in hostile {
        sandbox.configure("repo", sandbox.config(&["cloud"]).url("a_url", template));
        let run = sandbox.run("repo", &[]);
        assert_eq!(run.code(), Some(1), "{template} {run}");
        run.tells(&["`urls.a_url`"]);
        assert!(!sandbox.has_port_file("repo"));
    }
}
