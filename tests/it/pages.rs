//! The documentation: every block is tested, every link leads somewhere, and the program does what
//! the pages in `docs` show. The README and the recipes have their own modules.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::Value;

use crate::support::{PORT_FILE, PROGRAM, Page, PortBlock, Run, Sandbox};

/// The text of all files that may name a block.
fn sources() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut text = String::new();
    let mut left = vec![root.join("tests/it"), root.join("src"), root.join(".ci")];
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(path.read_dir().unwrap().map(|entry| entry.unwrap().path()));
        } else if let Ok(content) = fs::read_to_string(path) {
            text += &content;
        }
    }
    text
}

#[test]
fn every_block_of_every_page_has_a_mark_that_a_test_names() {
    let sources = sources();
    for page in Page::all() {
        // `src/config/docs.rs` finds the blocks of that page by their languages.
        if page.name() == "docs/config.md" {
            continue;
        }
        for (mark, block) in page.blocks() {
            let mark = mark.unwrap_or_else(|| panic!("no mark in {}: {block}", page.name()));
            let (kind, name) = mark.split_once(": ").unwrap();
            let is_named = [mark, name].iter().any(|text| {
                sources.contains(&format!("\"{text}\"")) || sources.contains(&format!("'{text}'"))
            });
            assert!(
                kind == "config" || is_named,
                "no test for {mark} in {}",
                page.name()
            );
        }
    }
}

#[test]
fn every_link_leads_to_a_heading_or_a_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = Page::all();
    pages.extend(["CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"].map(Page::read));
    for page in &pages {
        for link in page.text.split("](").skip(1) {
            let link = link.split(')').next().unwrap();
            if link.starts_with("https://") {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match path {
                "" => page.name().into(),
                path => page.target_of(path),
            };
            let told = format!("{link} in {}", page.name());
            assert!(root.join(&target).exists(), "no file for {told}");
            if !anchor.is_empty() {
                let anchors = Page::read(target).anchors();
                assert!(
                    anchors.iter().any(|it| it == anchor),
                    "no heading for {told}"
                );
            }
        }
    }
}

#[test]
fn every_page_is_reached_from_the_readme() {
    let mut reached = BTreeSet::new();
    let mut left = vec!["README.md".to_owned()];
    while let Some(name) = left.pop() {
        let is_page = Path::new(&name).extension().is_some_and(|it| it == "md");
        if !is_page || !reached.insert(name.clone()) {
            continue;
        }
        let page = Page::read(&name);
        let links = page.text.split("](").skip(1);
        let paths = links.map(|link| link.split([')', '#']).next().unwrap());
        let paths = paths.filter(|path| !path.is_empty() && !path.starts_with("https://"));
        left.extend(paths.map(|path| page.target_of(path).display().to_string()));
    }
    for page in Page::all() {
        assert!(reached.contains(&page.name()), "{}", page.name());
    }
}

#[test]
fn every_config_of_every_page_is_valid() {
    let mut count = 0;
    for page in Page::all() {
        for (mark, block) in page.blocks() {
            if mark.is_some_and(|mark| mark.starts_with("config: ")) {
                let sandbox = Sandbox::without_hook();
                sandbox.configure("repo", block);
                // The main worktree gets the base ports even if something listens on them.
                sandbox.run("repo", &["--env"]).exits(0);
                count += 1;
            }
        }
    }
    assert!(count > 10, "{count}");
}

#[test]
fn troubleshooting_explains_messages_in_the_programs_words() {
    let sources = sources();
    // A message in the source may be broken into lines.
    let words = |text: &str| {
        let text = text.replace("\\\n", " ");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let sources = words(&sources).to_lowercase();
    let page = Page::read("docs/troubleshooting.md");
    let (_, messages) = page.text.split_once("## Messages").unwrap();
    let headings = messages
        .lines()
        .filter_map(|line| line.strip_prefix("### "));
    let messages: Vec<&str> = headings
        .filter(|it| it.starts_with(char::is_lowercase))
        .collect();
    assert!(messages.len() > 8, "{messages:?}");
    for message in messages {
        assert!(
            sources.contains(&words(message).to_lowercase()),
            "{message}"
        );
    }
}

#[test]
fn troubleshooting_explains_every_state_that_list_shows() {
    let page = Page::read("docs/troubleshooting.md");
    let rows = page.table("| state | meaning | what helps |");
    let explained: BTreeSet<&str> = rows.iter().map(|row| row[0].trim_matches('`')).collect();
    let sandbox = Sandbox::with_worktrees(&["a", "b", "c", "d", "e"]);
    for name in ["a", "b", "c"] {
        sandbox.run(name, &[]).exits(0);
    }
    sandbox.copy(sandbox.path("a").join(PORT_FILE), format!("b/{PORT_FILE}"));
    sandbox.write(format!("d/{PORT_FILE}"), "{");
    sandbox.write(format!("e/{PORT_FILE}"), "{}");
    fs::remove_dir_all(sandbox.path("c")).unwrap();
    let list = sandbox.run("repo", &["--list", "--json"]).exits(0).json();
    let states = list.as_array().unwrap().iter();
    let states: BTreeSet<&str> = states.map(|it| it["state"].as_str().unwrap()).collect();
    assert!(states.len() > 4, "{states:?}");
    assert!(states.is_subset(&explained), "{states:?}");
}

/// A sandbox with the program and these empty commands on the PATH.
fn with_commands(commands: &[&str]) -> Sandbox {
    let sandbox = Sandbox::on(PortBlock::reserve_of_four_digits());
    fs::create_dir(sandbox.path("bin")).unwrap();
    symlink(PROGRAM, sandbox.path("bin/worktree-ports-hook")).unwrap();
    for command in commands {
        sandbox.write_script(format!("bin/{command}"), "#!/bin/sh\n");
    }
    sandbox
}

#[track_caller]
fn sh(sandbox: &Sandbox, at: &str, script: &str) -> Run {
    let mut shell = sandbox.command("sh", at);
    shell.args(["-e", "-c", script]);
    Sandbox::finish(shell).exits(0)
}

/// `text` with each of these ports replaced by the sandbox's port at that offset.
fn with_own_ports(sandbox: &Sandbox, text: &str, ports: &[(&str, u16)]) -> String {
    ports.iter().fold(text.to_owned(), |text, (port, offset)| {
        text.replace(port, &sandbox.port(*offset).to_string())
    })
}

#[test]
fn an_env_file_gets_its_block_and_every_byte_back_as_the_page_shows() {
    let page = Page::read("docs/env-files.md");
    let sandbox = with_commands(&[]);
    let ports = [("3000", 0), ("3010", 10), ("5432", 1), ("5442", 11)];
    let own = |mark: &str| with_own_ports(&sandbox, &page.block(mark), &ports);
    sandbox.configure("repo", own("config: env"));
    sandbox.write("repo/.env", own("file: env-before"));
    sandbox.wire("repo/.git");
    let added = sandbox.add("fix-cart");
    assert!(
        added.stderr.contains(".env (from the main worktree)"),
        "{added}"
    );
    let content = || fs::read_to_string(sandbox.path("fix-cart/.env")).unwrap();
    assert_eq!(content(), own("file: env-after"));
    sh(&sandbox, "fix-cart", &page.block("shell: release"));
    assert_eq!(content(), own("file: env-before"));
}

#[test]
fn a_link_is_replaced_with_a_copy_by_the_command_on_the_page() {
    let page = Page::read("docs/env-files.md");
    let (_, command) = page.text.split_once("replace it with a copy: `").unwrap();
    let command = command.split('`').next().unwrap();
    let sandbox = with_commands(&[]);
    sandbox.configure(
        "repo",
        sandbox
            .own_config()
            .env_file(".env", &[("WEB_PORT", "{cloud}")]),
    );
    sandbox.add("a");
    sandbox.write("repo/.env", "SECRET=1\n");
    symlink(sandbox.path("repo/.env"), sandbox.path("a/.env")).unwrap();
    sandbox
        .run("a", &[])
        .exits(0)
        .tells(&["it is a symbolic link"]);
    sh(&sandbox, "a", command);
    sandbox.run("a", &[]).exits(0).tells_nothing();
    let port = format!("WEB_PORT={}\n", sandbox.port(1));
    let content = fs::read_to_string(sandbox.path("a/.env")).unwrap();
    assert!(
        content.contains(&port) && content.ends_with("SECRET=1\n"),
        "{content}"
    );
    let main = fs::read_to_string(sandbox.path("repo/.env")).unwrap();
    assert_eq!(main, "SECRET=1\n");
}

#[test]
fn a_file_is_made_from_its_template_as_the_page_shows() {
    let page = Page::read("docs/env-files.md");
    let sandbox = with_commands(&[]);
    let config = page
        .block("config: template")
        .replace("54321", &sandbox.port(0).to_string());
    sandbox.configure("repo", config);
    sandbox.write(
        "repo/supabase/config.toml.template",
        page.block("file: template"),
    );
    sandbox.git("repo", &["add", "supabase"]);
    sandbox.git("repo", &["commit", "--quiet", "--message=template"]);
    sandbox.wire("repo/.git");
    sandbox.add("a");
    // The page's figure is base port + step; the sandbox's port may be in another slot.
    let port = sandbox.ports("a")[0].to_string();
    let made = fs::read_to_string(sandbox.path("a/supabase/config.toml")).unwrap();
    assert_eq!(
        made,
        page.block("file: from-template").replace("54421", &port)
    );
}

/// Runs the setup of a tool in a worktree that was made without the hook, after the tool has copied
/// the main worktree's env file there.
#[track_caller]
fn assert_sets_up(commands: &[&str]) {
    let sandbox = with_commands(&["npm", "wt"]);
    sandbox.configure(
        "repo",
        sandbox
            .own_config()
            .env_file(".env", &[("WEB_PORT", "{cloud}")]),
    );
    sandbox.run("repo", &[]).exits(0);
    sandbox.add("a");
    sandbox.copy(sandbox.path("repo/.env"), "a/.env");
    assert!(
        commands.last().unwrap().contains("worktree-ports-hook"),
        "{commands:?}"
    );
    for command in commands {
        sh(&sandbox, "a", command);
    }
    let content = fs::read_to_string(sandbox.path("a/.env")).unwrap();
    let port = format!("WEB_PORT={}\n", sandbox.port(1));
    assert!(content.contains(&port), "{commands:?}: {content}");
}

/// A file that a tool reads as JSON.
fn json(path: &str) -> Value {
    let block = Page::read("docs/agents.md").block(&format!("file: {path}"));
    serde_json::from_str(&block).unwrap()
}

fn toml(path: &str) -> toml::Table {
    let block = Page::read("docs/agents.md").block(&format!("file: {path}"));
    toml::from_str(&block).unwrap()
}

fn strings(array: &Value) -> Vec<&str> {
    let values = array.as_array().unwrap().iter();
    values.map(|value| value.as_str().unwrap()).collect()
}

#[test]
fn the_file_for_claude_code_assigns_ports_at_the_start_of_a_session() {
    let hook = &json(".claude/settings.json")["hooks"]["SessionStart"][0]["hooks"][0];
    assert_eq!(hook["type"], "command");
    assert_sets_up(&[hook["command"].as_str().unwrap()]);
}

#[test]
fn the_file_for_claude_desktop_lets_the_launcher_choose_the_port() {
    let server = &json(".claude/launch.json")["configurations"][0];
    assert_eq!(server["autoPort"], true);
    let arguments = strings(&server["runtimeArgs"]);
    // With `--exec`, the server would not listen where the launcher waits.
    assert!(!arguments.contains(&"--exec") && server["runtimeExecutable"] == "npm");
}

#[test]
fn the_template_for_claude_desktop_has_the_worktrees_port() {
    let page = Page::read("docs/agents.md");
    let sandbox = with_commands(&[]);
    let config = page.block("config: launch");
    sandbox.configure("repo", config.replace("3000", &sandbox.port(0).to_string()));
    sandbox.write(
        "repo/.claude/launch.json.template",
        page.block("file: .claude/launch.json.template"),
    );
    sandbox.git("repo", &["add", ".claude"]);
    sandbox.git("repo", &["commit", "--quiet", "--message=template"]);
    sandbox.add("a");
    sandbox.run("a", &[]).exits(0).tells_nothing();
    let made = fs::read_to_string(sandbox.path("a/.claude/launch.json")).unwrap();
    let made: Value = serde_json::from_str(&made).unwrap();
    assert_eq!(made["configurations"][0]["port"], sandbox.ports("a")[0]);
}

#[test]
fn the_file_for_the_codex_app_assigns_ports_at_setup() {
    let environment = toml(".codex/environments/environment.toml");
    assert_eq!(environment["version"].as_integer(), Some(1));
    let script = environment["setup"]["script"].as_str().unwrap();
    assert_sets_up(&script.lines().collect::<Vec<_>>());
}

#[test]
fn the_file_for_conductor_assigns_ports_at_setup() {
    let settings = toml(".conductor/settings.toml");
    let setup = settings["scripts"]["setup"].as_str().unwrap();
    assert_sets_up(&setup.lines().collect::<Vec<_>>());
    let run = settings["scripts"]["run"]["dev"]["command"].as_str();
    assert_sets_up(&[run.unwrap()]);
}

#[test]
fn the_file_for_cursor_assigns_ports_at_setup() {
    assert_sets_up(&strings(&json(".cursor/worktrees.json")["setup-worktree"]));
}

#[test]
fn the_file_for_worktrunk_assigns_ports_after_the_copies() {
    assert_sets_up(&[toml(".config/wt.toml")["pre-start"].as_str().unwrap()]);
}

#[test]
fn the_file_for_superset_assigns_ports_at_setup() {
    assert_sets_up(&strings(&json(".superset/config.json")["setup"]));
}

#[test]
fn the_file_for_t3_code_assigns_ports_at_setup() {
    let script = &json("t3.json")["scripts"][0];
    assert_eq!(script["runOnWorktreeCreate"], true);
    assert_sets_up(&[script["command"].as_str().unwrap()]);
}

#[test]
fn the_file_for_dev_containers_assigns_ports_before_they_are_made() {
    let container = json(".devcontainer/devcontainer.json");
    assert_sets_up(&[container["initializeCommand"].as_str().unwrap()]);
    assert_eq!(container["dockerComposeFile"], "../compose.yaml");
}

#[test]
fn an_agent_is_told_a_command_that_prints_the_ports() {
    let text = Page::read("docs/agents.md").block("text: instructions");
    let command = text.split('`').nth(1).unwrap();
    let sandbox = with_commands(&[]);
    sandbox.add("a");
    let run = sh(&sandbox, "a", command);
    assert!(run.stdout.contains(&sandbox.port(1).to_string()), "{run}");
}

/// A sandbox with the services of the page about migrating, and its own ports.
fn with_older_script() -> (Sandbox, Page) {
    let page = Page::read("docs/migrating.md");
    let sandbox = with_commands(&[]);
    let ports = [("3000", 0), ("4000", 1)];
    sandbox.configure(
        "repo",
        with_own_ports(&sandbox, &page.block("config: scan"), &ports),
    );
    sandbox.commit_config("repo");
    for name in ["a", "b"] {
        sandbox.add(name);
    }
    (sandbox, page)
}

#[test]
fn ports_that_an_older_script_has_written_are_taken_over_as_the_page_says() {
    let (sandbox, page) = with_older_script();
    let ports = [("3010", 20), ("4010", 21)];
    let old = with_own_ports(&sandbox, &page.block("file: flat"), &ports);
    sandbox.write(format!("a/{PORT_FILE}"), old);
    sh(&sandbox, "repo", &page.block("shell: adopt"));
    let get = |name: &str| sandbox.run(name, &["--get", "slot", "web", "api"]).stdout;
    let bundle = |slot: u16| {
        format!(
            "{slot}\n{}\n{}\n",
            sandbox.port(slot * 10),
            sandbox.port(slot * 10 + 1)
        )
    };
    assert_eq!(get("a"), bundle(2));
    assert_eq!(get("b"), bundle(1));
    // The page about hook managers says the same.
    let managers = Page::read("docs/hook-managers.md");
    assert_eq!(managers.block("shell: adopt"), page.block("shell: adopt"));
}

#[test]
fn a_port_that_a_hash_gave_is_kept_as_the_page_says() {
    let (sandbox, page) = with_older_script();
    let hashed = sandbox.port(7).to_string();
    sh(
        &sandbox,
        "a",
        &page.block("shell: hash").replace("13377", &hashed),
    );
    let get = sandbox.run("a", &["--get", "web"]).exits(0);
    assert_eq!(get.stdout.trim_end(), hashed);
}

#[test]
fn the_script_that_replaces_an_old_one_may_write_onto_the_port_file() {
    let (sandbox, page) = with_older_script();
    sandbox.write_script("bin/old-script", page.block("file: shim"));
    sandbox.run("a", &[]).exits(0);
    let file = sandbox.port_file("a");
    sh(&sandbox, "a", &format!("old-script > {PORT_FILE}"));
    assert_eq!(sandbox.port_file("a"), file);
    sandbox.run("a", &["--json"]).exits(0).tells_nothing();
}

#[test]
fn a_problem_is_found_by_the_command_that_troubleshooting_starts_with() {
    let page = Page::read("docs/troubleshooting.md");
    let sandbox = with_commands(&[]);
    let mut shell = sandbox.command("sh", "repo");
    shell.args(["-c", &page.block("shell: check")]);
    // There is no hook yet.
    Sandbox::finish(shell).exits(1);
}

#[test]
fn the_benchmark_that_the_page_about_the_design_names_is_there() {
    let command = Page::read("docs/design.md").block("shell: cost");
    let name = command.trim_end().rsplit(' ').next().unwrap();
    let manifest = include_str!("../../Cargo.toml");
    assert!(
        manifest.contains(&format!("[[bench]]\nname = \"{name}\"")),
        "{name}"
    );
}

#[test]
fn the_files_of_a_team_are_what_its_commands_make() {
    let page = Page::read("docs/teams.md");
    let package: Value =
        serde_json::from_str(&format!("{{{}}}", page.block("file: package.json"))).unwrap();
    let prepare = package["scripts"]["prepare"].as_str().unwrap();
    assert!(page.block("shell: npm").contains(prepare));
    let project: toml::Table = toml::from_str(&page.block("file: pyproject.toml")).unwrap();
    let dependency = project["dependency-groups"]["dev"][0].as_str().unwrap();
    let name = dependency.split('>').next().unwrap();
    assert!(
        page.block("shell: uv")
            .contains(&format!("uv add --dev {name}\n"))
    );
    let setup = page.block("recipe: make-setup");
    assert!(setup.contains("uv run worktree-ports-hook --install"));
}

#[test]
fn what_a_team_commits_also_works_without_the_program() {
    let page = Page::read("docs/teams.md");
    let sandbox = Sandbox::without_hook();
    sandbox.add("a");
    sandbox.write_script("a/serve", "#!/bin/sh\necho \"$*\"\n");
    let served = sh(&sandbox, "a", &page.block("recipe: sh-without-program")).stdout;
    assert_eq!(served, "--port 3000\n");
    sh(&sandbox, "a", &page.block("recipe: setup-without-program"));
    assert!(!sandbox.has_port_file("a"));
    fs::create_dir_all(sandbox.path("bin")).unwrap();
    symlink(PROGRAM, sandbox.path("bin/worktree-ports-hook")).unwrap();
    sh(&sandbox, "a", &page.block("recipe: setup-without-program"));
    assert!(sandbox.has_port_file("a"));
}
