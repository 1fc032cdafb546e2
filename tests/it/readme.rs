//! What the README shows is true: each block in it is run, or parsed by the parser of its format.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::support::{CONFIG, PORT_FILE, PROGRAM, PortBlock, Run, Sandbox, fetched};

const README: &str = include_str!("../../README.md");

/// Every block of the README, by its mark. Those of `recipe` are run by the module `recipes`.
const BLOCKS: &[&str] = &[
    "transcript: top",
    "shell: install",
    "shell: tests",
    "shell: completions",
    "file: compose.yaml",
    "config: quick-start",
    "shell: quick-start",
    "transcript: quick-start",
    "config: default",
    "config: fastapi_and_vite",
    "config: kilo_cloud",
    "file: claude",
    "file: codex",
    "file: cursor",
    "file: conductor",
    "file: devcontainer",
    "recipe: npm",
    "recipe: make",
    "recipe: just",
    "recipe: sh",
    "recipe: direnv",
    "recipe: env-file",
    "recipe: ci",
];

/// The block of the README behind the mark `<!-- MARK -->`.
#[track_caller]
pub fn block(mark: &str) -> &'static str {
    let start = format!("<!-- {mark} -->\n```");
    let (_, rest) = README
        .split_once(&start)
        .unwrap_or_else(|| panic!("no {start:?}"));
    let (_, rest) = rest.split_once('\n').unwrap();
    rest.split_once("```").unwrap().0
}

/// The rows of the README's table that starts with the row `head`, cell by cell.
#[track_caller]
pub fn table(head: &str) -> Vec<Vec<&'static str>> {
    let (_, rest) = README
        .split_once(&format!("{head}\n"))
        .unwrap_or_else(|| panic!("no {head:?}"));
    let rows = rest.lines().take_while(|line| line.starts_with('|'));
    rows.skip(1)
        .map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect()
}

/// The PATH with the program under test and what `.ci/tools` fetched.
pub fn path() -> OsString {
    let own = Path::new(PROGRAM).parent().unwrap().to_owned();
    let inherited = std::env::var_os("PATH").unwrap();
    let tools = fetched()
        .into_iter()
        .chain(std::env::split_paths(&inherited));
    std::env::join_paths([own].into_iter().chain(tools)).unwrap()
}

/// Somebody who follows the README in `repo`, on ports of the sandbox's own.
struct Follower {
    sandbox: Sandbox,
    /// The ports in the README, and those that stand for them.
    ports: Vec<(&'static str, u16)>,
    /// Where the last command left the shell.
    directory: String,
    /// What runs in the background.
    servers: Vec<Child>,
}

impl Follower {
    /// The sandbox's ports have as many digits as the README's, so that tables look the same.
    /// `offsets` says how far each port is from the first.
    fn new(offsets: &[(&'static str, u16)]) -> Follower {
        let sandbox = Sandbox::on(PortBlock::reserve_of_four_digits());
        let ports = offsets.iter();
        let ports = ports
            .map(|(port, offset)| (*port, sandbox.port(*offset)))
            .collect();
        let directory = sandbox.path("repo").display().to_string();
        Follower {
            sandbox,
            ports,
            directory,
            servers: Vec::new(),
        }
    }

    /// `text` with the sandbox's ports instead of the README's.
    fn with_own_ports(&self, text: &str) -> String {
        let mut own = String::new();
        let mut rest = text;
        while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
            own += &rest[..start];
            let number = &rest[start..];
            let end = number.find(|c: char| !c.is_ascii_digit());
            let (number, behind) = number.split_at(end.unwrap_or(number.len()));
            let port = self.ports.iter().find(|(port, _)| *port == number);
            own += &port.map_or(number.to_owned(), |(_, port)| port.to_string());
            rest = behind;
        }
        own + rest
    }

    fn command(&self, script: &str) -> Command {
        let mut shell = self.sandbox.command("sh", &self.directory);
        shell
            .args(["-e", "-c", &format!("exec 2>&1\n{script}")])
            .env("PATH", path())
            .env("PYTHONUNBUFFERED", "1");
        shell
    }

    /// Runs a command, and stays where it has gone to. Both streams, in one.
    #[track_caller]
    fn run(&mut self, command: &str) -> String {
        if let Some(server) = command.strip_suffix(" &") {
            return self.start(server);
        }
        let left = self.sandbox.path("left");
        let script = format!("{command}\npwd >'{}'", left.display());
        let run = Sandbox::finish(self.command(&script)).exits(0);
        fs::read_to_string(left)
            .unwrap()
            .trim_end()
            .clone_into(&mut self.directory);
        run.stdout
    }

    /// Starts a server, and waits for the first line that it prints.
    fn start(&mut self, command: &str) -> String {
        let mut server = self.command(&format!("exec {command}"));
        // Its own group, so that what it starts ends with it.
        server.process_group(0).stdout(Stdio::piped());
        let mut server = server.spawn().unwrap();
        let mut line = String::new();
        let stdout = server.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        self.servers.push(server);
        line
    }

    /// Runs a transcript of the README, and compares what it prints.
    #[track_caller]
    fn follow(&mut self, transcript: &str) {
        for (command, printed) in commands(transcript) {
            let expected = self.with_own_ports(&printed);
            let actual = self.run(&self.with_own_ports(command));
            assert_eq!(without_ids(&actual), without_ids(&expected), "{command}");
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        for server in &mut self.servers {
            let group = format!("-{}", server.id());
            let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
            let _ = server.wait();
        }
    }
}

/// The commands of a transcript and what they print.
fn commands(transcript: &str) -> Vec<(&str, String)> {
    let mut commands = Vec::new();
    for line in transcript.lines() {
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

/// What git prints, without the ids of commits.
fn without_ids(printed: &str) -> String {
    const HEAD: &str = "HEAD is now at ";
    let lines = printed.lines().map(|line| match line.strip_prefix(HEAD) {
        Some(rest) => format!("{HEAD}{}\n", rest.split_once(' ').unwrap().1),
        None => format!("{line}\n"),
    });
    lines.collect()
}

#[test]
fn every_block_of_the_readme_has_a_mark_and_a_test() {
    let lines: Vec<&str> = README.lines().collect();
    let mut marks = Vec::new();
    let mut is_inside = false;
    for (i, line) in lines.iter().enumerate() {
        if line.starts_with("```") {
            if !is_inside {
                let mark = lines[i - 1];
                let mark = mark
                    .strip_prefix("<!-- ")
                    .and_then(|rest| rest.strip_suffix(" -->"));
                marks.push(mark.unwrap_or_else(|| panic!("no mark before line {}", i + 1)));
            }
            is_inside = !is_inside;
        }
    }
    assert_eq!(marks, BLOCKS);
}

#[test]
fn every_link_within_the_readme_leads_to_a_heading_or_a_file() {
    let headings: BTreeSet<String> = README
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .map(|heading| heading.to_lowercase().replace(' ', "-"))
        .collect();
    for link in README.split("](").skip(1) {
        let link = link.split(')').next().unwrap();
        match link.strip_prefix('#') {
            Some(heading) => assert!(headings.contains(heading), "no heading for {link}"),
            None if link.starts_with("https://") => {}
            None => assert!(
                Path::new(env!("CARGO_MANIFEST_DIR")).join(link).exists(),
                "no file {link}"
            ),
        }
    }
}

#[test]
#[ignore = "needs python3"]
fn a_program_runs_on_the_port_of_its_worktree_as_the_readme_shows() {
    let mut follower = Follower::new(&[("8000", 0), ("8100", 1), ("8200", 2)]);
    let sandbox = &follower.sandbox;
    let commit = ["commit", "--quiet", "--allow-empty", "--message"];
    sandbox.git("repo", &[&commit[..], &["Add the cart"]].concat());
    sandbox.run("repo", &["--install"]).exits(0);
    sandbox.run("repo", &[]).exits(0);
    // The names of the two directories have the same length.
    let transcript = block("transcript: top").replace("../shop", "../repo");
    follower.follow(&transcript);
}

/// Follows the quick start up to its transcript.
fn quick_start() -> Follower {
    let mut follower = Follower::new(&[
        ("3000", 0),
        ("3010", 10),
        ("4000", 1),
        ("4010", 11),
        ("5432", 2),
        ("5442", 12),
    ]);
    let sandbox = &follower.sandbox;
    // The sandbox has git ignore the config, and the quick start commits it.
    fs::remove_file(sandbox.path("home/.config/git/ignore")).unwrap();
    for (path, mark) in [
        (CONFIG, "config: quick-start"),
        ("compose.yaml", "file: compose.yaml"),
    ] {
        let content = follower.with_own_ports(block(mark));
        sandbox.write(format!("repo/{path}"), content);
    }
    follower.run(block("shell: quick-start"));
    follower
}

/// Whether a line of the quick start's transcript is what docker-compose prints.
fn is_of_compose(line: &str) -> bool {
    line.contains("published: ") || line.starts_with("    name: ")
}

#[test]
fn the_quick_start_writes_the_files_that_it_shows() {
    let transcript = block("transcript: quick-start");
    let without_compose: String = transcript
        .lines()
        .filter(|line| !is_of_compose(line))
        .map(|line| line.split(" && docker-compose").next().unwrap().to_owned() + "\n")
        .collect();
    let mut follower = quick_start();
    follower.follow(&without_compose);
    let status = follower.run("git status --porcelain");
    assert_eq!(status, "");
}

#[test]
#[ignore = "needs docker-compose"]
fn the_quick_start_gives_docker_compose_the_ports_and_a_project_of_the_worktree() {
    let mut follower = quick_start();
    let transcript = block("transcript: quick-start");
    let (command, printed) = commands(transcript).swap_remove(0);
    let printed = follower.with_own_ports(&printed);
    // Its second version puts ports into quotes, and more names around them.
    let plain = |line: &str| line.trim_start_matches([' ', '-']).replace('"', "");
    let actual = follower.run(command);
    let actual: Vec<String> = actual.lines().map(plain).collect();
    let expected = printed.lines().filter(|line| is_of_compose(line));
    let expected: Vec<String> = expected.map(plain).collect();
    assert_eq!(expected.len(), 4);
    for line in expected {
        assert!(actual.contains(&line), "no {line} in {actual:?}");
    }
}

#[test]
fn the_commands_for_completions_and_the_manual_page_write_both() {
    let mut follower = Follower::new(&[]);
    follower.run(block("shell: completions"));
    for file in ["worktree-ports-hook.bash", "worktree-ports-hook.1"] {
        let content = fs::read_to_string(follower.sandbox.path("repo").join(file)).unwrap();
        assert!(content.contains("reallocate"), "{content}");
    }
}

#[test]
fn the_config_that_the_readme_calls_the_default_is_it() {
    let sandbox = Sandbox::without_hook();
    fs::remove_file(sandbox.path("repo").join(CONFIG)).unwrap();
    sandbox.add("a");
    sandbox.run("a", &[]).exits(0);
    let file = sandbox.port_file("a");
    sandbox.configure("a", block("config: default"));
    sandbox.run("a", &["--reallocate"]).exits(0).tells_nothing();
    assert_eq!(sandbox.port_file("a"), file);
}

#[test]
fn every_config_in_the_readme_is_valid() {
    for mark in BLOCKS.iter().filter(|mark| mark.starts_with("config: ")) {
        let sandbox = Sandbox::without_hook();
        sandbox.configure("repo", block(mark));
        for directory in ["backend", "frontend", "dev", "apps/web"] {
            fs::create_dir_all(sandbox.path("repo").join(directory)).unwrap();
        }
        // The main worktree has the base ports, whatever listens on them.
        sandbox.run("repo", &["--env"]).exits(0).tells_nothing();
    }
}

#[test]
fn the_readme_names_every_option() {
    let help = Command::new(PROGRAM).arg("-h").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let options = help
        .split(|c: char| !(c.is_ascii_lowercase() || c == '-'))
        .filter(|word| word.starts_with("--") && !["--help", "--version"].contains(word));
    let mut count = 0;
    for option in options {
        assert!(README.contains(option), "no {option}");
        count += 1;
    }
    assert!(count > 15, "{help}");
}

/// Runs the setup of a tool in a worktree that was made without the hook.
#[track_caller]
fn assert_sets_up(command: &str) {
    let sandbox = Sandbox::without_hook();
    sandbox.add("a");
    let mut shell = sandbox.command("sh", "a");
    shell.args(["-c", command]).env("PATH", path());
    Sandbox::finish(shell).exits(0);
    assert_eq!(sandbox.ports("a"), [sandbox.port(1)], "{command}");
}

/// A file that a tool reads as JSON.
fn json(name: &str) -> Value {
    serde_json::from_str(block(&format!("file: {name}"))).unwrap()
}

#[test]
fn the_file_for_claude_code_assigns_ports_at_the_start_of_a_session() {
    let hook = &json("claude")["hooks"]["SessionStart"][0]["hooks"][0];
    assert_eq!(hook["type"], "command");
    assert_sets_up(hook["command"].as_str().unwrap());
}

#[test]
fn the_file_for_the_codex_app_assigns_ports_at_setup() {
    let environment: toml::Table = toml::from_str(block("file: codex")).unwrap();
    assert_eq!(environment["version"].as_integer(), Some(1));
    assert_sets_up(environment["setup"]["script"].as_str().unwrap());
}

#[test]
fn the_file_for_cursor_assigns_ports_at_setup() {
    for command in json("cursor")["setup-worktree"].as_array().unwrap() {
        assert_sets_up(command.as_str().unwrap());
    }
}

#[test]
fn the_file_for_conductor_assigns_ports_at_setup() {
    let scripts = &json("conductor")["scripts"];
    assert_sets_up(scripts["setup"].as_str().unwrap());
    let (ours, theirs) = scripts["run"].as_str().unwrap().split_once("npm").unwrap();
    assert_eq!(theirs, " run dev");
    assert_sets_up(&format!("{ours} true"));
}

#[test]
fn the_file_for_dev_containers_assigns_ports_before_the_containers_are_made() {
    let container = json("devcontainer");
    assert_sets_up(container["initializeCommand"].as_str().unwrap());
    assert_eq!(container["dockerComposeFile"], "../compose.yaml");
}

/// A worktree `a` whose `.env` gets the port, and what it is set to there.
fn with_env_file() -> (Sandbox, impl Fn(&Sandbox) -> String) {
    let sandbox = Sandbox::without_hook();
    let config = sandbox.own_config().to_string();
    let env_files = r#", "env_files": { ".env": { "CLOUD_PORT": "{cloud}" } } }"#;
    let config = config.trim_end().strip_suffix('}').unwrap().to_owned() + env_files;
    sandbox.configure("repo", config);
    sandbox.add("a");
    let port = |sandbox: &Sandbox| {
        let content = fs::read_to_string(sandbox.path("a/.env")).unwrap();
        let line = content.lines().find(|line| line.contains("CLOUD_PORT="));
        line.unwrap().to_owned()
    };
    (sandbox, port)
}

#[test]
fn a_port_that_is_chosen_by_hand_goes_into_the_env_file_and_stays_until_reallocate() {
    let (sandbox, port_in_env) = with_env_file();
    sandbox.run("a", &[]).exits(0);
    let chosen = sandbox.port(7).to_string();
    let file = sandbox.port_file("a");
    let edited = file.replace(&sandbox.port(1).to_string(), &chosen);
    sandbox.write(format!("a/{PORT_FILE}"), edited);
    for arguments in [&[][..], &["--all"]] {
        sandbox.run("a", arguments).exits(0);
        assert_eq!(port_in_env(&sandbox), format!("CLOUD_PORT={chosen}"));
    }
    let check = sandbox.run("a", &["--check"]).exits(1);
    assert!(check.stdout.contains("is not the one of slot 1"), "{check}");
    sandbox.run("a", &["--reallocate"]).exits(0);
    assert_eq!(sandbox.port_file("a"), file);
}

#[test]
fn a_copy_in_the_place_of_a_link_to_the_env_file_of_main_gets_the_ports() {
    let (sandbox, port_in_env) = with_env_file();
    sandbox.write("repo/.env", "SECRET=1\n");
    symlink(sandbox.path("repo/.env"), sandbox.path("a/.env")).unwrap();
    sandbox
        .run("a", &[])
        .exits(0)
        .tells(&["it is a symbolic link"]);
    let (_, answer) = README
        .split_once("is a link to the one of the main")
        .unwrap();
    let (_, command) = answer.split_once("copy: `").unwrap();
    let command = command.split('`').next().unwrap();
    let run = |script: &str| -> Run {
        let mut shell = sandbox.command("sh", "a");
        shell.args(["-c", script]).env("PATH", path());
        Sandbox::finish(shell).exits(0)
    };
    run(command);
    run("worktree-ports-hook").tells_nothing();
    let port = sandbox.port(1);
    assert_eq!(port_in_env(&sandbox), format!("CLOUD_PORT={port}"));
    let main = fs::read_to_string(sandbox.path("repo/.env")).unwrap();
    assert_eq!(main, "SECRET=1\n");
}
