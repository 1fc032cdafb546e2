//! Somebody who follows the README gets what it shows.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::{CONFIG, PROGRAM, Page, PortBlock, Sandbox, fetched};

fn readme() -> Page {
    Page::read("README.md")
}

fn block(mark: &str) -> String {
    readme().block(mark)
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

/// Somebody who follows the README in `repo`, with the sandbox's ports.
struct Follower {
    sandbox: Sandbox,
}

/// The README's ports, and the offsets of the sandbox's ports that replace them.
const PORTS: &[(&str, u16)] = &[
    ("3000", 0),
    ("3010", 10),
    ("3020", 20),
    ("4000", 1),
    ("4010", 11),
    ("4020", 21),
    ("5432", 2),
    ("5442", 12),
    ("5452", 22),
];

impl Follower {
    /// Follows the quick start up to its transcript.
    fn of_quick_start() -> Follower {
        // They have as many digits as the README's, so the columns have the same width.
        let sandbox = Sandbox::on(PortBlock::reserve_of_four_digits());
        // In the sandbox git ignores the config, but the quick start commits it.
        fs::remove_file(sandbox.path("home/.config/git/ignore")).unwrap();
        let follower = Follower { sandbox };
        for (path, mark) in [
            (CONFIG, "config: quick-start"),
            ("compose.yaml", "file: compose.yaml"),
        ] {
            let content = follower.with_own_ports(&block(mark));
            follower.sandbox.write(format!("repo/{path}"), content);
        }
        follower.run(&block("shell: quick-start"));
        follower
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
            let port = PORTS.iter().find(|(port, _)| *port == number);
            own += &port.map_or(number.to_owned(), |(_, offset)| {
                self.sandbox.port(*offset).to_string()
            });
            rest = behind;
        }
        own + rest
    }

    /// Runs a command in `repo`, and returns stdout and stderr together.
    #[track_caller]
    fn run(&self, command: &str) -> String {
        let mut shell = self.sandbox.command("sh", "repo");
        shell
            .args(["-e", "-c", &format!("exec 2>&1\n{command}")])
            .env("PATH", path());
        Sandbox::finish(shell).exits(0).stdout
    }

    /// Runs a transcript of the README, and compares what it prints.
    #[track_caller]
    fn follow(&self, transcript: &str) {
        for part in transcript.split("$ ").skip(1) {
            let (command, printed) = part.split_once('\n').unwrap();
            let expected = self.with_own_ports(printed);
            let actual = self.run(command);
            assert_eq!(without_ids(&actual), without_ids(&expected), "{command}");
        }
    }
}

/// What git prints, without commit ids.
fn without_ids(printed: &str) -> String {
    const HEAD: &str = "HEAD is now at ";
    let lines = printed.lines().map(|line| match line.strip_prefix(HEAD) {
        Some(rest) => format!("{HEAD}{}\n", rest.split_once(' ').unwrap().1),
        None => format!("{line}\n"),
    });
    lines.collect()
}

#[test]
fn the_quick_start_writes_the_files_that_it_shows() {
    let follower = Follower::of_quick_start();
    follower.follow(&block("transcript: quick-start"));
    assert_eq!(follower.run("git status --porcelain"), "");
}

#[test]
fn the_table_at_the_top_is_what_the_quick_start_gives_three_worktrees() {
    let follower = Follower::of_quick_start();
    let readme = readme();
    let rows = readme.table("| worktree | slot | web | api | postgres | compose project |");
    assert_eq!(rows.len(), 3);
    for row in rows {
        let name = row[0].trim_matches('`').trim_start_matches("../");
        let name = if name.contains(' ') { "repo" } else { name };
        if name != "repo" {
            follower.run(&format!("git worktree add ../{name}"));
        }
        let get = ["--get", "slot", "web", "api", "postgres"];
        let values = follower.sandbox.run(name, &get).exits(0).stdout;
        let expected = follower.with_own_ports(&row[1..5].join("\n"));
        assert_eq!(values.trim_end(), expected, "{name}");
        let env_file = fs::read_to_string(follower.sandbox.path(name).join(".env")).unwrap();
        let project = format!("COMPOSE_PROJECT_NAME={}\n", row[5].trim_matches('`'));
        assert!(env_file.contains(&project), "{env_file}");
    }
}

#[test]
fn a_server_is_started_on_the_port_of_its_worktree() {
    let follower = Follower::of_quick_start();
    follower.run("git worktree add ../fix-cart");
    let python = "#!/bin/sh\necho \"$*\"\n";
    follower.sandbox.write_script("bin/python3", python);
    let bin = follower.sandbox.path("bin");
    let serve = block("shell: serve");
    let printed = follower.run(&format!("PATH='{}':$PATH\n{serve}", bin.display()));
    assert_eq!(printed, follower.with_own_ports("-m http.server 3010\n"));
}

#[test]
fn the_table_of_placeholders_shows_their_values() {
    let follower = Follower::of_quick_start();
    let readme = readme();
    let rows = readme.table("| placeholder | main worktree | worktree `fix-cart`, slot 1 |");
    assert_eq!(rows.len(), 4);
    follower.run("git worktree add ../fix-cart");
    for row in rows {
        let [placeholder, main, linked] = [0, 1, 2].map(|i| row[i].trim_matches('`'));
        let variable = match placeholder {
            _ if placeholder.contains("://") => "A_URL",
            "{web}" => "A_PORT",
            _ => "A_NAME",
        };
        let config = follower
            .sandbox
            .config(&["web"])
            .step(10)
            .env(variable, placeholder);
        for (name, expected) in [("repo", main), ("fix-cart", linked)] {
            follower.sandbox.configure(name, &config);
            let get = follower.sandbox.run(name, &["--get", variable]).exits(0);
            assert_eq!(get.stdout.trim_end(), follower.with_own_ports(expected));
        }
    }
}

#[test]
#[ignore = "needs docker-compose"]
fn the_quick_start_gives_docker_compose_the_ports_of_the_worktree() {
    let follower = Follower::of_quick_start();
    follower.run("git worktree add ../fix-cart");
    let config = follower.run("cd ../fix-cart && docker-compose config");
    for port in ["3010", "4010", "5442"] {
        let published = format!("published: {}", follower.with_own_ports(port));
        // docker compose 2 quotes the ports.
        assert!(config.replace('"', "").contains(&published), "{config}");
    }
}

#[test]
#[ignore = "needs python3"]
fn the_recording_shows_what_the_program_prints_today() {
    let lines = |drawing: &str| -> String {
        let texts = drawing.lines().filter(|line| line.starts_with("<text"));
        let text = |line: &str| {
            let parts = line
                .split('<')
                .map(|part| part.split_once('>').map_or("", |it| it.1));
            parts.collect::<String>()
        };
        let lines: Vec<String> = texts.map(text).collect();
        without_ids(&lines.join("\n"))
    };
    let follower = Follower::of_quick_start();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/demo");
    let ports = follower.with_own_ports("3000 4000 5432");
    let drawn = follower.run(&format!("{} {PROGRAM} {ports}", script.display()));
    let kept = fs::read_to_string(script.with_extension("svg")).unwrap();
    assert_eq!(lines(&drawn), lines(&follower.with_own_ports(&kept)));
}

#[test]
fn the_tests_are_run_in_ci_by_the_command_that_the_readme_names() {
    let ci = include_str!("../../.ci/run");
    let command = block("shell: tests");
    assert!(ci.contains(&format!("\n{command}")), "{command}");
}

#[test]
fn the_readme_names_every_option() {
    let help = Command::new(PROGRAM).arg("-h").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let options = help
        .split(|c: char| !(c.is_ascii_lowercase() || c == '-'))
        .filter(|word| word.starts_with("--") && !["--help", "--version"].contains(word));
    let readme = readme();
    let mut count = 0;
    for option in options {
        assert!(readme.text.contains(option), "no {option}");
        count += 1;
    }
    assert!(count > 15, "{help}");
}

#[test]
fn the_readme_is_short() {
    let text = readme().text;
    assert!(text.lines().count() <= 300);
}
