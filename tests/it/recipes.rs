//! What the README shows is true: each recipe is read out of it and run with the real reader.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::{CONFIG, Config, PORT_FILE, PROGRAM, Run, Sandbox, fetched};

const README: &str = include_str!("../../README.md");

/// URLs with every character that their values may have.
fn shop_config(sandbox: &Sandbox) -> Config {
    sandbox
        .config(&["web", "api", "postgres"])
        .url(
            "web_url",
            "http://shop-1.localhost:{web}/a_b.c/%7Ed?e=f,g+h:@[i]",
        )
        .url("api_url", "http://[::1]:{api}")
        .url(
            "database_url",
            "postgres://u:p%40ss@127.0.0.1:{postgres}/shop?sslmode=disable",
        )
}

/// The fenced block that follows `start` in the README.
fn block_after(start: &str) -> &'static str {
    let (_, rest) = README
        .split_once(start)
        .unwrap_or_else(|| panic!("no {start:?}"));
    let (_, rest) = rest.split_once("```").unwrap();
    let (_, rest) = rest.split_once('\n').unwrap();
    rest.split_once("```").unwrap().0
}

fn recipe(name: &str) -> &'static str {
    block_after(&format!("<!-- recipe: {name} -->\n"))
}

/// The command in the row of the README's table of readers that starts with `name`.
fn reader(name: &str) -> &'static str {
    let row = README
        .lines()
        .find(|line| line.starts_with(&format!("| {name}")))
        .unwrap_or_else(|| panic!("no row for {name}"));
    row.split('`').nth(1).unwrap()
}

/// A worktree `a` of the shop, with a server that writes down what it was given.
struct Shop {
    sandbox: Sandbox,
}

impl Shop {
    fn new() -> Shop {
        let sandbox = Sandbox::without_hook();
        sandbox.configure("repo", shop_config(&sandbox));
        sandbox.add("a");
        let shop = Shop { sandbox };
        // The shell writes it: a file that this process has open, no other can run.
        shop.sh(
            "printf '#!/bin/sh\\necho \"$*\" > served.arguments\\nenv > served\\n' > serve && chmod +x serve",
        )
        .exits(0);
        shop.sandbox.write(
            "a/server.js",
            "require('fs').writeFileSync('served', Object.entries(process.env).map(e => e.join('=') + '\\n').join(''))",
        );
        shop.sandbox.write(
            "a/server.py",
            "import os\nwith open('served', 'w') as f: f.writelines(f'{k}={v}\\n' for k, v in os.environ.items())",
        );
        shop
    }

    /// A command in the worktree, with the program and the fetched tools on the PATH.
    fn command(&self, program: &str) -> Command {
        let mut command = self.sandbox.command(program, "a");
        command
            .env("PATH", path())
            .env("npm_config_update_notifier", "false");
        command
    }

    #[track_caller]
    fn sh(&self, script: &str) -> Run {
        let mut command = self.command("sh");
        command.args(["-e", "-c", script]);
        Sandbox::finish(command)
    }

    fn write(&self, name: &str, content: &str) {
        self.sandbox.write(format!("a/{name}"), content);
    }

    /// The lines that the server wrote.
    #[track_caller]
    fn served(&self) -> Vec<String> {
        let served = fs::read_to_string(self.sandbox.path("a/served")).unwrap();
        served.lines().map(str::to_owned).collect()
    }

    /// Runs `script`, which must give the server every value as it was, and must not run it where
    /// worktree-ports-hook fails.
    #[track_caller]
    fn assert_serves(&self, script: &str) {
        self.assert_serves_variables(script, |_| true);
    }

    #[track_caller]
    fn assert_serves_variables(&self, script: &str, is_promised: fn(&str) -> bool) {
        let run = self.sh(script).exits(0);
        let served = self.served();
        let env = self.sandbox.run("a", &["--env"]).exits(0).stdout;
        let mut promised = 0;
        for line in env.lines().filter(|line| is_promised(line)) {
            assert!(
                served.iter().any(|other| other == line),
                "no {line} in {served:?}\n{run}"
            );
            promised += 1;
        }
        assert!(promised > 0);
        // The argument is the port too, where the recipe gives one.
        if let Ok(arguments) = fs::read_to_string(self.sandbox.path("a/served.arguments")) {
            let port = self.sandbox.run("a", &["--get", "web"]).stdout;
            assert!(
                arguments == "\n" || arguments == format!("--port {port}"),
                "{arguments}"
            );
        }

        fs::remove_file(self.sandbox.path("a/served")).unwrap();
        let _ = fs::remove_file(self.sandbox.path("a/.env.ports"));
        self.write(CONFIG, "{");
        let run = self.sh(script);
        assert_ne!(run.code(), Some(0), "{run}");
        assert!(!self.sandbox.path("a/served").exists(), "{run}");
        fs::remove_file(self.sandbox.path("a").join(CONFIG)).unwrap();
    }
}

/// The PATH with the program under test and what `.ci/tools` fetched.
fn path() -> OsString {
    let own = Path::new(PROGRAM).parent().unwrap().to_owned();
    let inherited = std::env::var_os("PATH").unwrap();
    let tools = fetched()
        .into_iter()
        .chain(std::env::split_paths(&inherited));
    std::env::join_paths([own].into_iter().chain(tools)).unwrap()
}

#[test]
fn env_prints_what_the_port_file_has() {
    let shop = Shop::new();
    let env = shop
        .sandbox
        .run("a", &["--env"])
        .exits(0)
        .tells_nothing()
        .stdout;
    let file: Value = serde_json::from_str(&shop.sandbox.port_file("a")).unwrap();
    let text = |key: &str| file[key].as_str().unwrap().to_owned();
    let expected = format!(
        "WEB_PORT={}\nAPI_PORT={}\nPOSTGRES_PORT={}\nWEB_URL={}\nAPI_URL={}\nDATABASE_URL={}\nWORKTREE_SLOT={}\n",
        file["ports"]["web"],
        file["ports"]["api"],
        file["ports"]["postgres"],
        text("web_url"),
        text("api_url"),
        text("database_url"),
        file["slot"]
    );
    assert_eq!(env, expected);
}

#[test]
fn env_has_a_plain_port_where_there_is_one_service() {
    let sandbox = Sandbox::new();
    sandbox.add("a");
    let env = sandbox.run("a", &["--env"]).exits(0).tells_nothing();
    assert_eq!(
        env.stdout,
        sandbox
            .with_ports("CLOUD_PORT=@1\nPORT=@1\nCLOUD_URL=http://127.0.0.1:@1\nWORKTREE_SLOT=1\n")
    );
}

#[test]
fn the_recipe_for_shells() {
    let shop = Shop::new();
    shop.write("run", recipe("sh"));
    for shell in ["sh", "bash"] {
        shop.assert_serves(&format!("{shell} run"));
    }
}

#[test]
#[ignore = "needs direnv"]
fn the_recipe_for_direnv() {
    let shop = Shop::new();
    shop.write(".envrc", recipe("direnv"));
    shop.sh("direnv allow").exits(0);
    shop.assert_serves("direnv exec . ./serve");
}

#[test]
#[ignore = "needs make"]
fn the_recipe_for_make() {
    let shop = Shop::new();
    shop.write("Makefile", recipe("make"));
    shop.assert_serves("make serve");
}

#[test]
#[ignore = "needs npm"]
fn the_recipe_for_npm() {
    let shop = Shop::new();
    shop.write("package.json", recipe("npm"));
    shop.assert_serves("npm run serve");
}

#[test]
#[ignore = "needs just"]
fn the_recipe_for_just() {
    let shop = Shop::new();
    shop.write("justfile", recipe("just"));
    shop.assert_serves_variables("just serve", |line| line.starts_with("WEB_PORT="));
}

/// Runs a reader of the README's table, which must give the server every value.
#[track_caller]
fn assert_reads_the_env_file(name: &str) {
    let shop = Shop::new();
    shop.write(
        "Procfile",
        "web: ./serve
",
    );
    shop.assert_serves(&format!(
        "{}
{}",
        recipe("env-file"),
        reader(name)
    ));
}

#[test]
#[ignore = "needs node"]
fn node_reads_a_file_of_variables() {
    assert_reads_the_env_file("node");
}

#[test]
#[ignore = "needs dotenv"]
fn python_dotenv_reads_a_file_of_variables() {
    assert_reads_the_env_file("python-dotenv");
}

#[test]
#[ignore = "needs honcho"]
fn honcho_reads_a_file_of_variables() {
    assert_reads_the_env_file("honcho");
}

#[test]
#[ignore = "needs jq"]
fn the_recipe_for_jq() {
    let shop = Shop::new();
    let port = shop.sandbox.run("a", &["--get", "web"]).exits(0).stdout;
    assert_eq!(shop.sh(recipe("jq")).exits(0).stdout, port);
}

/// A shop with the compose file and the file of variables, and its ports of `web` and `postgres`.
fn shop_with_compose() -> (Shop, [String; 2]) {
    let shop = Shop::new();
    shop.write("compose.yaml", recipe("compose"));
    shop.sh(recipe("env-file")).exits(0);
    let ports = ["web", "postgres"].map(|service| {
        let port = shop.sandbox.run("a", &["--get", service]).exits(0).stdout;
        port.trim_end().to_owned()
    });
    (shop, ports)
}

#[test]
#[ignore = "needs docker compose"]
fn the_recipe_for_docker_compose() {
    let (shop, [web, postgres]) = shop_with_compose();
    let (command, _) = reader("docker compose").split_once(" up").unwrap();
    let run = shop.sh(&format!("{command} config --format json")).exits(0);
    let config = run.json();
    let published = |service: &str| config["services"][service]["ports"][0]["published"].clone();
    assert_eq!(config["name"], "shop-1");
    assert_eq!(
        (published("web"), published("postgres")),
        (web.into(), postgres.into())
    );
}

#[test]
fn the_recipe_for_docker_compose_as_a_shell_reads_it() {
    let (shop, [web, postgres]) = shop_with_compose();
    // It replaces `${NAME:-default}` as compose does, in a here-document.
    let expand = "cat > expand <<END\ncat <<TEXT\n$(cat compose.yaml)\nTEXT\nEND\n";
    let expand = expand
        .replace("<<END", "<<'END'")
        .replace("$(cat compose.yaml)", recipe("compose"));
    shop.sh(&expand).exits(0);
    let with_ports = shop
        .sh("set -a; . ./.env.ports; set +a; sh expand")
        .exits(0)
        .stdout;
    for line in [
        "name: shop-1".to_owned(),
        format!(r#"ports: ["{web}:3000"]"#),
        format!(r#"ports: ["{postgres}:5432"]"#),
    ] {
        assert!(with_ports.contains(&line), "no {line} in\n{with_ports}");
    }
    let without = shop.sh("sh expand").exits(0).stdout;
    assert!(
        without.contains("name: shop-0") && without.contains("3000:3000"),
        "{without}"
    );
}

#[test]
fn the_config_that_the_readme_calls_the_default_is_it() {
    let sandbox = Sandbox::without_hook();
    fs::remove_file(sandbox.path("repo").join(CONFIG)).unwrap();
    sandbox.add("a");
    sandbox.run("a", &[]).exits(0);
    let file = sandbox.port_file("a");
    sandbox.configure("a", block_after("Without one, it is this:\n"));
    sandbox.run("a", &["--reallocate"]).exits(0).tells_nothing();
    assert_eq!(sandbox.port_file("a"), file);
}

/// Commands and what they print, both streams in one, as a README shows them.
fn transcript(block: &str) -> Vec<(&str, String)> {
    let mut commands = Vec::new();
    for line in block.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            commands.push((command, String::new()));
        } else {
            let (_, printed) = commands.last_mut().unwrap();
            printed.push_str(line);
            printed.push('\n');
        }
    }
    commands
}

#[test]
fn the_transcript_at_the_top_of_the_readme_is_true_and_so_is_the_list() {
    let sandbox = Sandbox::without_hook();
    let subject = "Serve the favicon";
    sandbox.git(
        "repo",
        &["commit", "--quiet", "--allow-empty", "--message", subject],
    );
    sandbox.run("repo", &["--install"]).exits(0);
    let id = sandbox
        .git("repo", &["rev-parse", "--short", "HEAD"])
        .stdout;
    let run = |command: &str| {
        let mut shell = sandbox.command("sh", "repo");
        shell
            .args(["-c", &format!("exec 2>&1; {command}")])
            .env("PATH", path());
        Sandbox::finish(shell).exits(0).stdout
    };

    // The README has the ports of the default config, which are not this test's to listen on.
    let with_own_ports = |text: &str| {
        let ports = ["8000", "8100", "8200"].into_iter().zip(0..);
        ports.fold(text.to_owned(), |text, (port, slot)| {
            text.replace(port, &sandbox.port(slot).to_string())
        })
    };
    let commands = transcript(block_after(
        "that no other worktree of the repository has.\n",
    ));
    assert!(commands.len() > 4);
    for (command, printed) in commands {
        let with_own_id = |line: &str| match line.strip_prefix("HEAD is now at ") {
            Some(_) => format!("HEAD is now at {} {subject}\n", id.trim_end()),
            None => with_own_ports(&format!("{line}\n")),
        };
        let expected: String = printed.lines().map(with_own_id).collect();
        assert_eq!(run(command), expected, "{command}");
    }

    // Nothing listens on the sandbox's ports.
    let words = |text: &str| -> Vec<String> {
        let text = text.replace("(listening)", "");
        text.split_whitespace().map(str::to_owned).collect()
    };
    sandbox.run("repo", &[]).exits(0);
    let list = transcript(block_after("the message says what to run.\n"));
    let [(command, printed)] = &list[..] else {
        panic!("not one command: {list:?}");
    };
    assert_eq!(words(&run(command)), words(&with_own_ports(printed)));
}

#[test]
fn a_port_file_stays_out_of_the_way_of_its_readers() {
    // `.env.ports` is the user's to ignore, the port file is not.
    let shop = Shop::new();
    shop.sh(recipe("env-file")).exits(0);
    let status = shop.sandbox.git("a", &["status", "--porcelain"]).stdout;
    assert!(
        status.contains(".env.ports") && !status.contains(PORT_FILE),
        "{status}"
    );
}
