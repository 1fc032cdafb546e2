//! The recipes in the documentation, each taken from its page and run with the real reader.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use serde_json::Value;

use crate::readme::path;
use crate::support::{CONFIG, Config, PORT_FILE, Page, Run, Sandbox, tool};

/// A config with URLs that have every character that needs no quotes.
fn shop_config(sandbox: &Sandbox) -> Config {
    sandbox
        .config(&["web", "api", "postgres"])
        .url("web_url", "http://shop-1.localhost:{web}/a_b.c/%7Ed:@e=f+g")
        .url("api_url", "http://[::1]:{api}")
        .url(
            "database_url",
            "postgres://u:p%40ss@127.0.0.1:{postgres}/shop?sslmode=disable",
        )
}

fn page() -> Page {
    Page::read("docs/recipes.md")
}

#[track_caller]
fn recipe(name: &str) -> String {
    page().block(&format!("recipe: {name}"))
}

/// The command in the row of the table of readers that starts with `name`.
#[track_caller]
fn reader(name: &str) -> String {
    let page = page();
    let rows = page.table("| reader | command |");
    let row = rows.iter().find(|row| row[0].starts_with(name)).unwrap();
    row[1].split('`').nth(1).unwrap().to_owned()
}

/// A worktree `a` of the shop, with a server that writes down its arguments and environment.
struct Shop {
    sandbox: Sandbox,
}

impl Shop {
    fn new() -> Shop {
        let sandbox = Sandbox::without_hook();
        sandbox.configure("repo", shop_config(&sandbox));
        sandbox.add("a");
        let shop = Shop { sandbox };
        // The shell writes it, because a file that this process has open cannot be run.
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

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        self.sandbox.write(format!("a/{name}"), content);
    }

    /// What the server wrote, line by line.
    #[track_caller]
    fn served(&self) -> Vec<String> {
        let served = fs::read_to_string(self.sandbox.path("a/served")).unwrap();
        served.lines().map(str::to_owned).collect()
    }

    /// Runs `script`, which must pass every value to the server unchanged, and must not start it if
    /// worktree-ports-hook fails.
    #[track_caller]
    fn assert_serves(&self, script: &str) {
        let run = self.sh(script).exits(0);
        let served = self.served();
        let env = self.sandbox.run("a", &["--env"]).exits(0).stdout;
        assert!(env.lines().count() > 6, "{env}");
        for line in env.lines() {
            assert!(
                served.iter().any(|other| other == line),
                "no {line} in {served:?}\n{run}"
            );
        }
        // If the recipe passes an argument, it is the port.
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
fn env_has_a_plain_port_if_there_is_one_service() {
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
fn the_recipe_for_shells_sets_every_variable() {
    let shop = Shop::new();
    shop.write("run", recipe("sh"));
    for shell in ["sh", "bash"] {
        shop.assert_serves(&format!("{shell} run"));
    }
}

#[test]
#[ignore = "needs direnv"]
fn the_recipe_for_direnv_sets_every_variable() {
    let shop = Shop::new();
    shop.write(".envrc", recipe("direnv"));
    shop.sh("direnv allow").exits(0);
    shop.assert_serves("direnv exec . ./serve");
}

#[test]
#[ignore = "needs make"]
fn the_recipe_for_make_sets_every_variable() {
    let shop = Shop::new();
    shop.write("Makefile", recipe("make"));
    shop.assert_serves("make serve");
}

#[test]
#[ignore = "needs npm"]
fn the_recipe_for_npm_sets_every_variable() {
    let shop = Shop::new();
    shop.write("package.json", recipe("npm"));
    shop.assert_serves("npm run serve");
}

#[test]
#[ignore = "needs just"]
fn the_recipe_for_just_sets_every_variable() {
    let shop = Shop::new();
    shop.write("justfile", recipe("just"));
    shop.assert_serves("just serve");
}

/// Runs a reader from the page's table, which must pass every value to the server.
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
fn the_recipe_for_jq_prints_the_port() {
    let shop = Shop::new();
    let port = shop.sandbox.run("a", &["--get", "web"]).exits(0).stdout;
    assert_eq!(shop.sh(&reader("jq")).exits(0).stdout, port);
}

#[test]
#[ignore = "needs docker-compose"]
fn docker_compose_reads_a_file_of_variables() {
    let shop = Shop::new();
    let quick_start = Page::read("README.md");
    shop.write("compose.yaml", quick_start.block("file: compose.yaml"));
    shop.sh(&recipe("env-file")).exits(0);
    let command = reader("docker compose");
    let command = command.strip_suffix(" up").unwrap();
    let command = command.replacen("docker compose", "docker-compose", 1);
    let config = shop.sh(&format!("{command} config")).exits(0).stdout;
    for service in ["web", "api", "postgres"] {
        let port = shop.sandbox.run("a", &["--get", service]).exits(0).stdout;
        let published = format!("published: {port}");
        assert!(config.replace('"', "").contains(&published), "{config}");
    }
}

#[test]
fn the_recipe_for_github_actions_sets_every_variable() {
    let shop = Shop::new();
    shop.sh(&format!("GITHUB_ENV=served\n{}", recipe("ci")))
        .exits(0);
    let env = shop.sandbox.run("a", &["--env"]).exits(0).stdout;
    assert_eq!(shop.served().join("\n") + "\n", env);
}

#[test]
fn git_shows_a_file_of_variables_but_not_the_port_file() {
    // The user must ignore `.env.ports`, but not the port file.
    let shop = Shop::new();
    shop.sh(&recipe("env-file")).exits(0);
    let status = shop.sandbox.git("a", &["status", "--porcelain"]).stdout;
    assert!(
        status.contains(".env.ports") && !status.contains(PORT_FILE),
        "{status}"
    );
}

/// A worktree `a` with a config of the page.
struct Project {
    sandbox: Sandbox,
}

impl Project {
    /// Replaces `port`, the base port of `web`, with the sandbox's own.
    fn with_config(name: &str, port: &str) -> Project {
        let sandbox = Sandbox::without_hook();
        let config = page().block(&format!("config: {name}"));
        sandbox.configure("repo", config.replace(port, &sandbox.port(0).to_string()));
        sandbox.add("a");
        Project { sandbox }
    }

    /// Makes a program that prints its arguments and `PORT`.
    fn pretend(&self, path: &str) {
        let script = "#!/bin/sh\necho \"$*\" PORT=$PORT\n";
        self.sandbox.write_script(path, script);
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        self.sandbox.write(format!("a/{name}"), content);
    }

    /// What a script prints, with the sandbox's programs on the PATH too.
    #[track_caller]
    fn sh(&self, script: &str) -> String {
        let bin = self.sandbox.path("bin");
        let mut command = self.sandbox.command("sh", "a");
        let script = format!("PATH='{}':$PATH\n{script}", bin.display());
        command.args(["-e", "-c", &script]).env("PATH", path());
        let run = Sandbox::finish(command).exits(0);
        run.stdout.trim_end().to_owned()
    }

    fn port(&self) -> String {
        let get = self.sandbox.run("a", &["--get", "web"]).exits(0);
        get.stdout.trim_end().to_owned()
    }
}

#[test]
#[ignore = "needs npm"]
fn the_recipe_for_next_js_starts_it_on_the_worktrees_port() {
    let project = Project::with_config("vite", "5173");
    project.pretend("bin/next");
    project.write("package.json", recipe("next"));
    let printed = project.sh("npm run --silent dev");
    assert!(
        printed.starts_with(&format!("dev --port {}", project.port())),
        "{printed}"
    );
}

#[test]
#[ignore = "needs vite"]
fn the_recipe_for_vite_starts_it_on_the_worktrees_port() {
    let project = Project::with_config("vite", "5173");
    project.write("vite.config.mjs", recipe("vite"));
    let vite = tool("vite");
    let modules = vite.parent().unwrap().parent().unwrap();
    symlink(modules, project.sandbox.path("a/node_modules")).unwrap();
    let print = "import { resolveConfig } from 'vite'; \
                 console.log((await resolveConfig({}, 'serve')).server.port)";
    project.write("print.mjs", print);
    let printed = project.sh("worktree-ports-hook >/dev/null; node print.mjs");
    assert_eq!(printed, project.port());
    assert_eq!(project.sh("PORT=7777 node print.mjs"), "7777");
}

#[test]
#[ignore = "needs node"]
fn the_recipe_for_playwright_uses_the_worktrees_port() {
    let project = Project::with_config("vite", "5173");
    project.write("playwright.config.mjs", recipe("playwright"));
    let module = "node_modules/@playwright/test";
    project.write(
        &format!("{module}/package.json"),
        r#"{ "exports": "./test.mjs" }"#,
    );
    project.write(
        &format!("{module}/test.mjs"),
        "export const defineConfig = (config) => config",
    );
    project.write(
        "print.mjs",
        "import it from './playwright.config.mjs'; console.log(it.webServer.url)",
    );
    let printed = project.sh("worktree-ports-hook >/dev/null; node print.mjs");
    assert_eq!(printed, format!("http://localhost:{}", project.port()));
}

#[test]
fn the_recipe_for_djangos_server_starts_it_on_the_worktrees_port() {
    let project = Project::with_config("django", "8000");
    project.pretend("bin/python");
    let printed = project.sh(&recipe("django"));
    assert!(
        printed.starts_with(&format!("manage.py runserver {}", project.port())),
        "{printed}"
    );
}

#[test]
#[ignore = "needs dotenv"]
fn the_recipe_for_djangos_database_names_the_worktrees_own() {
    let project = Project::with_config("django", "8000");
    project.write("settings.py", recipe("django-settings"));
    let python = tool("dotenv").with_file_name("python");
    let printed = project.sh(&format!(
        "worktree-ports-hook >/dev/null; \
         '{}' -c 'import settings; print(settings.DATABASES[\"default\"][\"NAME\"])'",
        python.display()
    ));
    assert_eq!(printed, "shop_a");
}

#[test]
fn the_recipe_for_rails_sets_the_worktrees_port_and_databases() {
    let project = Project::with_config("rails", "3000");
    project.write("config/database.yml.template", recipe("rails-database"));
    project.sandbox.git("a", &["add", "config"]);
    project.pretend("a/bin/rails");
    let printed = project.sh(&recipe("rails"));
    assert_eq!(printed, format!("server PORT={}", project.port()));
    let database = fs::read_to_string(project.sandbox.path("a/config/database.yml")).unwrap();
    assert_eq!(
        database,
        recipe("rails-database").replace("${DATABASE_SUFFIX}", "_a")
    );
}
