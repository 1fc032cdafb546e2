//! The block as real programs read it; in all of them, the last assignment wins.

use std::fs;
use std::process::Command;

use crate::support::{Run, Sandbox, fetched};

/// What a reader must print of a worktree's variables: a port, a name and a URL.
const PRINTED: &str = "$WEB_PORT $COMPOSE_PROJECT_NAME $API_URL";

/// What follows the port in the URL: every character that may.
const QUERY: &str = "/a_b.c/%7Ed:@e=f&g=h+i-j";

/// A sandbox with a hook, whose worktrees get a block in two files. The URL ends in `query`.
fn sandbox(query: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    let url = format!("http://{{worktree}}.localhost:{{cloud}}{query}");
    let variables = [
        ("COMPOSE_PROJECT_NAME", "shop-{slot}"),
        ("WEB_PORT", "{cloud}"),
        ("API_URL", &url),
    ];
    let config = sandbox
        .config(&["cloud"])
        .env_file(".env", &variables)
        .env_file(".env.local", &variables);
    sandbox.configure("repo", config);
    sandbox
}

/// A shell in the worktree `a`, with what `.ci/tools` fetched on the PATH.
#[track_caller]
fn sh(sandbox: &Sandbox, script: &str) -> Run {
    let [npm, python] = fetched();
    let inherited = std::env::var_os("PATH").unwrap();
    let path = [npm.clone(), python]
        .into_iter()
        .chain(std::env::split_paths(&inherited));
    let mut command: Command = sandbox.command("sh", "a");
    command.args(["-euc", script]);
    command
        .env("PATH", std::env::join_paths(path).unwrap())
        .env("NODE_PATH", npm.parent().unwrap());
    for name in ["WEB_PORT", "COMPOSE_PROJECT_NAME", "API_URL", "A", "B"] {
        command.env_remove(name);
    }
    Sandbox::finish(command)
}

/// What the user already has in the file. The block must win over all of it.
const USERS: &[&str] = &[
    "",
    "WEB_PORT=1\nCOMPOSE_PROJECT_NAME=mine\nexport API_URL='x'\n",
    "A=1\nWEB_PORT=1",
    "A='x'\r\nWEB_PORT=1\r\n",
    "A=1 # it's a comment\nWEB_PORT=\"1\"\n\n\n",
];

/// Without the empty line that follows, the last line would be continued.
const CONTINUED: &[&str] = &["A=1\\", "A=1\\\n", "WEB_PORT=1\nA=x\\\r\n"];

/// An unclosed quote, which could swallow the block. sh, honcho and docker compose 2 cannot read
/// such a file at all. The others continue after that line if nothing in the block closes the
/// quote, as the quotes around a value with `&` would.
const OPEN: &[&str] = &["A=1\nB=\"x\n", "B='x", "B=`x\n"];

/// Runs a reader with each of these texts in its files. It must print the worktree's own values.
#[track_caller]
fn assert_reads(script: &str, query: &str, users: &[&[&str]]) {
    let sandbox = sandbox(query);
    sandbox.add("a");
    let port = sandbox.port(1);
    let expected = format!(
        "{port} shop-1 http://a.localhost:{port}{query}
"
    );
    for user in users.concat() {
        for name in [".env", ".env.local"] {
            sandbox.write(format!("a/{name}"), user);
        }
        sandbox.run("a", &[]).exits(0);
        let run = sh(&sandbox, script);
        assert!(run.stdout.contains(&expected), "{user:?}: {run}");
        assert_eq!(run.code(), Some(0), "{user:?}: {run}");
    }
}

/// Prints the variables of `process.env`.
const PRINT: &str =
    "const e = process.env; console.log(e.WEB_PORT, e.COMPOSE_PROJECT_NAME, e.API_URL)";

const COMPOSE: &str = r#"version: "3"
services:
  web:
    image: nginx
    ports: ["${WEB_PORT:-3000}:3000"]
    environment: ["PRINTED=${WEB_PORT:-3000} ${COMPOSE_PROJECT_NAME:-shop} ${API_URL:-none}"]
"#;

#[test]
#[ignore = "needs docker-compose"]
fn docker_compose_shows_the_worktrees_port_and_project() {
    let sandbox = sandbox(QUERY);
    sandbox.write("repo/docker-compose.yml", COMPOSE);
    sandbox.git("repo", &["add", "docker-compose.yml"]);
    sandbox.git("repo", &["commit", "--quiet", "--message=compose"]);
    fs::create_dir(sandbox.path("a")).unwrap();
    let script = "cd ../repo; git worktree add --quiet ../x && cd ../x && docker-compose config";
    let run = sh(&sandbox, script).exits(0);
    let published = run.stdout.replace('"', "");
    for part in [
        "published: @1\n",
        "PRINTED: @1 shop-1 http://x.localhost:@1/",
    ] {
        let part = sandbox.with_ports(part);
        assert!(published.contains(&part), "no {part} in {run}");
    }
    // Teammates without the program get the defaults.
    let run = sh(&sandbox, "cd ../repo; docker-compose config").exits(0);
    assert!(run.stdout.contains("3000 shop none"), "{run}");
}

#[test]
#[ignore = "needs docker-compose"]
fn docker_compose_reads_the_block() {
    let script = format!("cat >docker-compose.yml <<'END'\n{COMPOSE}END\ndocker-compose config");
    assert_reads(&script, QUERY, &[USERS, CONTINUED]);
}

#[test]
#[ignore = "needs node"]
fn node_reads_the_block() {
    let script = format!("node --env-file=.env -e '{PRINT}'");
    assert_reads(&script, QUERY, &[USERS, CONTINUED]);
    assert_reads(&script, "", &[OPEN]);
}

#[test]
#[ignore = "needs npm's dotenv"]
fn npms_dotenv_reads_the_block() {
    let script = format!("node -e 'require(\"dotenv\").config({{ quiet: true }}); {PRINT}'");
    assert_reads(&script, QUERY, &[USERS, CONTINUED]);
    assert_reads(&script, "", &[OPEN]);
}

#[test]
#[ignore = "needs vite"]
fn vite_reads_the_block() {
    let script = r#"node -e 'import(require.resolve("vite")).then(({ loadEnv }) => {
        const e = loadEnv("development", process.cwd(), "");
        console.log(e.WEB_PORT, e.COMPOSE_PROJECT_NAME, e.API_URL);
    })'"#;
    assert_reads(script, QUERY, &[USERS, CONTINUED]);
    assert_reads(script, "", &[OPEN]);
}

#[test]
#[ignore = "needs @next/env"]
fn next_reads_the_block() {
    let script = format!(
        "node -e 'require(\"@next/env\").loadEnvConfig(process.cwd(), true, console); {PRINT}'"
    );
    assert_reads(&script, QUERY, &[USERS, CONTINUED]);
    assert_reads(&script, "", &[OPEN]);
}

#[test]
#[ignore = "needs dotenv"]
fn python_dotenv_reads_the_block() {
    let script = format!("dotenv -f .env run -- sh -c 'echo \"{PRINTED}\"'");
    assert_reads(&script, QUERY, &[USERS, CONTINUED]);
    assert_reads(&script, "", &[OPEN]);
}

#[test]
#[ignore = "needs honcho"]
fn honcho_reads_the_block() {
    let script = format!("honcho -e .env run sh -c 'echo \"{PRINTED}\"'");
    assert_reads(&script, QUERY, &[USERS]);
}

#[test]
#[ignore = "needs direnv"]
fn direnv_reads_the_block() {
    let script =
        format!("echo dotenv >.envrc; direnv allow; direnv exec . sh -c 'echo \"{PRINTED}\"'");
    assert_reads(&script, QUERY, &[USERS, CONTINUED]);
    assert_reads(&script, "", &[OPEN]);
}

#[test]
fn sh_reads_the_block() {
    let script = format!("set -a; . ./.env; set +a; sh -c 'echo \"{PRINTED}\"'");
    assert_reads(&script, QUERY, &[USERS, CONTINUED]);
}
