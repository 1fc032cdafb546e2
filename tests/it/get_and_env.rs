//! What scripts read: `--get`, `--env`, `--json` and `--all`; and configs that try to change other
//! things there.

use std::fs;

use crate::support::{CONFIG, PROGRAM, Sandbox, is_one_error};

/// A sandbox with a worktree `a` that has no ports yet.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::with_worktrees(&["a"]);
    let config = sandbox
        .config(&["web", "api-v2", "db"])
        .url("web_url", "http://{worktree}.localhost:{web}/")
        .url("api_url", "http://127.0.0.1:{api-v2}");
    sandbox.configure("repo", config);
    sandbox
}

/// Fails if anything was written for the worktree `a`.
#[track_caller]
fn assert_nothing_is_allocated(sandbox: &Sandbox) {
    assert!(!sandbox.has_port_file("a"));
    let record = sandbox.path("repo/.git/worktrees/a/worktree-ports.json");
    assert!(!record.exists());
}

#[test]
fn get_prints_the_value_of_each_name_on_a_line() {
    let sandbox = sandbox();
    let [web, api, db] = sandbox.bundle(1);
    let names = ["db", "slot", "web_url", "web", "api-v2", "api_url", "web"];
    let arguments = [&["--get"], &names[..]].concat();
    let expected = format!(
        "{db}\n1\nhttp://a.localhost:{web}/\n{web}\n{api}\nhttp://127.0.0.1:{api}\n{web}\n"
    );
    for _ in 0..2 {
        let run = sandbox.run("a", &arguments).exits(0).tells_nothing();
        assert_eq!(run.stdout, expected);
    }
}

#[test]
fn an_unknown_name_is_an_error_that_lists_the_known_and_gives_no_ports() {
    let sandbox = sandbox();
    let before = sandbox.stamps_of("");
    for wrong in [
        "nope",
        "worktree",
        "Web",
        "WEB_PORTS",
        "",
        "api_v2",
        "wéb\u{9b}",
    ] {
        let run = sandbox.run("a", &["--get", "web", wrong]).exits(1);
        assert_eq!(run.stdout, "");
        assert!(!run.stderr.contains('\u{9b}'), "{run}");
        run.tells_one_error().tells(&[
            "unknown name `",
            "available: web, api-v2, db, web_url, api_url, slot, WEB_PORT, API_V2_PORT, DB_PORT, \
             WEB_URL, API_URL, WORKTREE_SLOT",
        ]);
    }
    assert_eq!(sandbox.stamps_of(""), before);
    assert_nothing_is_allocated(&sandbox);
}

#[test]
fn other_words_beside_an_option_are_wrong_usage() {
    let sandbox = sandbox();
    let table: [&[&str]; 6] = [
        &["get", "web", "please"],
        &["web"],
        &["--env", "web"],
        &["--json", "web"],
        &["--get"],
        &["--get", "web", "--env"],
    ];
    for arguments in table {
        let run = sandbox.run("a", arguments).exits(2);
        assert_eq!(run.stdout, "");
    }
    assert_nothing_is_allocated(&sandbox);
}

#[test]
fn env_prints_services_urls_the_slot_and_then_the_configs_variables() {
    let sandbox = sandbox();
    let config = sandbox
        .config(&["web", "api-v2", "db"])
        .url("web_url", "http://{worktree}.localhost:{web}/")
        .env("VITE_API_URL", "http://localhost:{api-v2}/v2")
        .env("COMPOSE_PROJECT_NAME", "shop-{worktree}")
        .env("PORT", "{web}")
        .env(
            "CORS_ORIGINS",
            "http://localhost:{web},http://localhost:{db}",
        )
        .env("PGDATABASE", "shop_{slot}");
    sandbox.configure("repo", config);
    let [web, api, db] = sandbox.bundle(1);
    let run = sandbox.run("a", &["--env"]).exits(0).tells_nothing();
    let expected = format!(
        "WEB_PORT={web}\nAPI_V2_PORT={api}\nDB_PORT={db}\nWEB_URL=http://a.localhost:{web}/\n\
         WORKTREE_SLOT=1\nVITE_API_URL=http://localhost:{api}/v2\nCOMPOSE_PROJECT_NAME=shop-a\n\
         PORT={web}\nCORS_ORIGINS=http://localhost:{web},http://localhost:{db}\n\
         PGDATABASE=shop_1\n"
    );
    assert_eq!(run.stdout, expected);
}

#[test]
fn a_variable_of_env_replaces_the_standard_line_of_the_same_name() {
    let sandbox = sandbox();
    let config = sandbox
        .own_config()
        .env("CLOUD_URL", "http://{worktree}.localhost:{cloud}")
        .env("WORKTREE_SLOT", "1{slot}")
        .env("PORT", "{cloud}");
    sandbox.configure("repo", config);
    let run = sandbox.run("a", &["--env"]).exits(0).tells_nothing();
    let expected = "CLOUD_PORT=@1\nPORT=@1\nCLOUD_URL=http://a.localhost:@1\nWORKTREE_SLOT=11\n";
    assert_eq!(run.stdout, sandbox.with_ports(expected));
}

/// Members that a hostile branch could add to a config, and what is wrong with them.
const HOSTILE: &[(&str, &str)] = &[
    (r#""env": { "PATH": "{web}" }"#, "PATH"),
    (r#""env": { "LD_PRELOAD": "x-{slot}" }"#, "LD_PRELOAD"),
    (
        r#""env": { "DOCKER_HOST": "tcp://{worktree}.localhost:{web}" }"#,
        "DOCKER_HOST",
    ),
    (
        r#""env": { "UV_DEFAULT_INDEX": "x{slot}" }"#,
        "UV_DEFAULT_INDEX",
    ),
    (
        r#""env": { "git_proxy_url": "http://localhost:{web}" }"#,
        "git_proxy_url",
    ),
    (r#""env": { "Prefix": "x{slot}" }"#, "Prefix"),
    (r#""env": { "A_PORT\nPATH": "{web}" }"#, "A_PORT"),
    (r#""env": { "A=B_PORT": "{web}" }"#, "A=B_PORT"),
    (r#""env": { "DB_NAME": "$(id)-{slot}" }"#, "DB_NAME"),
    (r#""env": { "DB_NAME": "x\nPATH={slot}" }"#, "DB_NAME"),
    (r#""env": { "DB_NAME": "-shop" }"#, "DB_NAME"),
    (r#""env": { "API_PORT": "{slot}" }"#, "API_PORT"),
    (
        r#""env": { "API_URL": "http://evil.example:{web}" }"#,
        "API_URL",
    ),
    (
        r#""env": { "API_URL": "http://localhost:{web}@evil.example" }"#,
        "API_URL",
    ),
    (
        r#""env": { "DB_URL": "postgres://127.0.0.1:{web}/x?host=evil" }"#,
        "DB_URL",
    ),
    (
        r#""env": { "DB_URL": "postgres://127.0.0.1:{web}/x?%48ost=evil" }"#,
        "DB_URL",
    ),
    (
        r#""env": { "DB_URL": "postgres://127.0.0.1:{web},evil:5432/x" }"#,
        "DB_URL",
    ),
    (r#""env": { "API_HOST": "evil.example:{web}" }"#, "API_HOST"),
    (
        r#""urls": { "web_url": "http://localhost:{web}/'$(id)'" }"#,
        "web_url",
    ),
    (r#""urls": { "path": "http://localhost:{web}" }"#, "path"),
    (
        r#""urls": { "web_url": "http://localhost:{slot}" }"#,
        "web_url",
    ),
    (r#""env_files": { "../.env": {} }"#, "../.env"),
    (r#""env_files": { "/etc/x.env": {} }"#, "/etc/x.env"),
    (r#""env_files": { ".git/x.env": {} }"#, ".git/x.env"),
    (r#""env_files": { "a/.GIT/x.env": {} }"#, "a/.GIT/x.env"),
    (r#""env_files": { ".envrc": {} }"#, ".envrc"),
    (r#""env_files": { "Makefile": {} }"#, "Makefile"),
    (
        r#""env_files": { ".env": { "BASH_ENV": "x{slot}" } }"#,
        "BASH_ENV",
    ),
    (
        r#""env_files": { ".env": { "NODE_OPTIONS": "x{slot}" } }"#,
        "NODE_OPTIONS",
    ),
    (r#""env_files": { ".env": {}, ".env": {} }"#, ".env"),
    (r#""templates": { "../x": "x.template" }"#, "../x"),
    (
        r#""templates": { ".git/hooks/x": "x.template" }"#,
        ".git/hooks/x",
    ),
    (r#""templates": { "x": "/etc/passwd" }"#, "/etc/passwd"),
];

#[test]
fn nothing_is_allocated_if_a_config_sets_what_no_branch_may_set() {
    let sandbox = sandbox();
    let [port] = sandbox.bundle(0);
    for (member, named) in HOSTILE {
        let config = format!(r#"{{ "services": {{ "web": {port} }}, {member} }}"#);
        sandbox.write(format!("a/{CONFIG}"), config);
        let calls: [&[&str]; 4] = [&[], &["--env"], &["--exec", "true"], &["--get", "web"]];
        for call in calls {
            let run = sandbox.run("a", call).exits(1).tells_one_error();
            assert_eq!(run.stdout, "", "{member}");
            run.tells(&[CONFIG, named]);
        }
        let hook = sandbox.run_hook("a").exits(0);
        assert!(is_one_error(&hook.stderr), "{member}: {hook}");
        assert_nothing_is_allocated(&sandbox);
    }
    let names = fs::read_dir(sandbox.path("a")).unwrap().count();
    assert_eq!(names, 2, ".git and the config");
}

#[test]
fn a_broken_config_is_an_error_that_changes_no_port_file() {
    let sandbox = sandbox();
    sandbox.run("a", &[]).exits(0);
    sandbox.write(format!("a/{CONFIG}"), r#"{ "services": {} }"#);
    let before = sandbox.stamps_of("a");
    for call in [&["--env"][..], &["--get", "web"]] {
        let run = sandbox.run("a", call).exits(1).tells_one_error();
        assert_eq!(run.stdout, "");
        run.tells(&[CONFIG]);
    }
    assert_eq!(sandbox.stamps_of("a"), before);
}

/// Every character that a value may have and that a reader could act on.
const PUNCTUATED: &str = "http://u:%7E@a-c.localhost:{web}/x=1&./evil&y=1+2:3@_";

#[test]
fn no_value_runs_a_command_in_a_shell() {
    let sandbox = sandbox();
    let config = sandbox
        .config(&["web"])
        .url("web_url", PUNCTUATED)
        .env("API_URL", PUNCTUATED)
        .env_file(".env", &[]);
    sandbox.configure("repo", config);
    sandbox.write_script("a/evil", "#!/bin/sh\ntouch ran\n");
    let url = sandbox.run("a", &["--get", "web_url"]).exits(0).stdout;
    for read in ["eval \"$(\"$0\" --env)\"", ". ./.env"] {
        let script = format!("set -a; {read}; wait; echo \"$WEB_URL\"; echo \"$API_URL\"");
        let mut command = sandbox.command("sh", "a");
        command.args(["-euc", &script, PROGRAM]);
        let run = Sandbox::finish(command).exits(0).tells_nothing();
        assert!(!sandbox.path("a/ran").exists(), "{read}");
        assert_eq!(run.stdout, url.repeat(2), "{read}");
    }
    // Only the lines for shells have quotes.
    let run = sandbox.run("a", &["--exec", "printenv", "WEB_URL", "API_URL"]);
    assert_eq!(run.exits(0).stdout, url.repeat(2));
}

#[test]
fn all_adds_new_services_and_updates_urls() {
    let sandbox = Sandbox::with_worktrees(&["a"]);
    sandbox.configure("repo", sandbox.config(&["web"]));
    sandbox.run("repo", &["--all"]).exits(0);
    let config = sandbox.config(&["web", "worker"]);
    sandbox.configure(
        "repo",
        config.url("worker_url", "http://localhost:{worker}"),
    );
    let run = sandbox.run("a", &["--all"]).exits(0).tells_nothing();
    for (at, name, slot) in [("repo", "main worktree", 0), ("a", "a", 1)] {
        let [web, worker] = sandbox.bundle(slot);
        let line = format!("{name}: web {web}, worker {worker} (.worktree-ports.json)\n");
        assert!(run.stdout.contains(&line), "{run}");
        assert_eq!(sandbox.ports(at), [web, worker]);
        let url = format!("http://localhost:{worker}");
        assert_eq!(sandbox.port_json(at)["worker_url"], url);
    }
    let again = sandbox.run("a", &["--all"]).exits(0).tells_nothing();
    assert_eq!(again.stdout, "");
}

#[test]
fn json_is_indented_and_has_no_terminal_escapes() {
    let name = "a\u{9b}31m\u{85}";
    let sandbox = Sandbox::with_worktrees(&[name]);
    let all = sandbox.run(name, &["--json", "--all"]).exits(0);
    let array: String = ["repo", name]
        .map(|at| sandbox.port_file(at).trim_end().replace('\n', "\n  "))
        .join(",\n  ");
    let array = array
        .replace('\u{9b}', "\\u009b")
        .replace('\u{85}', "\\u0085");
    assert_eq!(all.stdout, format!("[\n  {array}\n]\n"));

    for arguments in [&["--json"][..], &["--json", "--all"], &["--list", "--json"]] {
        let run = sandbox.run(name, arguments).exits(0).tells_nothing();
        let drives = |c: char| c.is_control() && c != '\n';
        assert!(!run.stdout.contains(drives), "{arguments:?}: {run}");
        assert!(
            run.json().to_string().contains(name),
            "{arguments:?}: {run}"
        );
    }
}
