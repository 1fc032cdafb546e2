//! `--release` gives a worktree's ports back; `--uninstall` removes everything but the port files.

use std::fs;
use std::os::unix::fs::symlink;

use crate::support::{Config, Nobody, PORT_FILE, PROGRAM, Sandbox, set_mode};

const EXCLUDE: &str = "repo/.git/info/exclude";

fn config(sandbox: &Sandbox) -> Config {
    let variables = [("WEB_PORT", "{cloud}")];
    sandbox
        .own_config()
        .env_file(".env", &variables)
        .env_file("own.env", &variables)
}

/// The content of the user's `own.env`.
const OWN: &str = "A=1\r\nB='x'";

/// A sandbox whose worktrees `a` and `b` have ports, an env file `.env` of ours, and the user's
/// `own.env`.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::with_worktrees(&["a", "b"]);
    sandbox.configure("repo", config(&sandbox));
    for name in ["a", "b"] {
        sandbox.write(format!("{name}/own.env"), OWN);
        sandbox.run(name, &[]).exits(0).tells_nothing();
        assert!(has_blocks(&sandbox, name));
    }
    sandbox
}

fn read(sandbox: &Sandbox, path: &str) -> Option<String> {
    fs::read_to_string(sandbox.path(path)).ok()
}

fn has_blocks(sandbox: &Sandbox, name: &str) -> bool {
    let has = |file| {
        let text = read(sandbox, &format!("{name}/{file}"));
        text.is_some_and(|text| text.contains("worktree-ports"))
    };
    has(".env") && has("own.env")
}

fn record(name: &str) -> String {
    match name {
        "repo" => "repo/.git/worktree-ports/main.json".to_owned(),
        name => format!("repo/.git/worktrees/{name}/worktree-ports.json"),
    }
}

#[test]
fn behind_a_link_or_in_another_repository_our_block_keeps_its_ports() {
    type Move = fn(&Sandbox);
    let moves: [Move; 7] = [
        // Half a block may be anybody's.
        |sandbox| {
            let text = read(sandbox, "a/.env").unwrap();
            let (_, rest) = text.split_once('\n').unwrap();
            sandbox.write("shared.env", rest);
            fs::remove_file(sandbox.path("a/.env")).unwrap();
            symlink("../shared.env", sandbox.path("a/.env")).unwrap();
        },
        |sandbox| {
            fs::rename(sandbox.path("a/.env"), sandbox.path("shared.env")).unwrap();
            symlink("../shared.env", sandbox.path("a/.env")).unwrap();
        },
        // With a byte order mark, and line endings of Windows.
        |sandbox| {
            let text = read(sandbox, "a/.env").unwrap().replace('\n', "\r\n");
            sandbox.write("shared.env", format!("\u{feff}{text}"));
            fs::remove_file(sandbox.path("a/.env")).unwrap();
            symlink("../shared.env", sandbox.path("a/.env")).unwrap();
        },
        |sandbox| {
            fs::rename(sandbox.path("a/made.toml"), sandbox.path("shared.toml")).unwrap();
            symlink("../shared.toml", sandbox.path("a/made.toml")).unwrap();
        },
        |sandbox| {
            fs::rename(sandbox.path("a/sub"), sandbox.path("elsewhere")).unwrap();
            symlink("../elsewhere", sandbox.path("a/sub")).unwrap();
        },
        |sandbox| {
            fs::rename(sandbox.path("a/apps"), sandbox.path("elsewhere")).unwrap();
            symlink("../elsewhere", sandbox.path("a/apps")).unwrap();
        },
        |sandbox| drop(sandbox.git("a/apps", &["init", "--quiet"])),
    ];
    for move_away in moves {
        let sandbox = Sandbox::with_worktrees(&["b", "a"]);
        let variables = [("WEB_PORT", "{cloud}")];
        let config = sandbox.own_config();
        let config = config.env_file(".env", &variables);
        let config = config.env_file("apps/.env", &variables);
        let config = config.template("made.toml", "x.template");
        sandbox.configure("repo", config.template("sub/made.toml", "x.template"));
        fs::create_dir(sandbox.path("a/apps")).unwrap();
        fs::create_dir(sandbox.path("a/sub")).unwrap();
        for name in ["a", "b"] {
            sandbox.write(format!("{name}/x.template"), "port = ${PORT}\n");
            sandbox.git(name, &["add", "x.template"]);
        }
        sandbox.run("b", &[]).exits(0);
        sandbox.run("a", &[]).exits(0);
        // Slot 1 is free now.
        sandbox.run("b", &["--release"]).exits(0);
        move_away(&sandbox);
        let before = sandbox.content_of("a");
        for call in ["--release", "--reallocate"] {
            let run = sandbox.run("a", &[call]).exits(1);
            let run = run.tells(&["could not write the ports to", "is a"]);
            let gives_up = run.stderr.contains("out of the config");
            assert!(call != "--release" || !gives_up, "{run}");
            assert_eq!(sandbox.content_of("a"), before, "{call}");
            assert_eq!(sandbox.ports("a"), [sandbox.port(2)], "{call}");
        }
        let check = sandbox.run("repo", &["--uninstall"]).exits(0);
        check.tells(&["could not write the ports to"]);
    }
}

#[test]
fn what_cannot_be_looked_at_keeps_its_ports() {
    for (directory, file) in [("a/x", "x/y/.env"), ("a/x/y", "x/y/.env")] {
        let sandbox = Sandbox::with_worktrees(&["a"]);
        let config = sandbox.own_config();
        sandbox.configure("repo", config.env_file(file, &[("WEB_PORT", "{cloud}")]));
        fs::create_dir_all(sandbox.path("a/x/y")).unwrap();
        sandbox.run("a", &[]).exits(0);
        let nobody = Nobody::owning(&sandbox);
        set_mode(sandbox.path(directory), 0o000);
        for call in ["--release", "--reallocate"] {
            nobody.run("a", &[call]).exits(1);
            assert!(sandbox.has_port_file("a"), "{directory} {call}");
        }
        set_mode(sandbox.path(directory), 0o755);
        nobody.run("a", &["--release"]).exits(0);
        assert!(!sandbox.path("a").join(file).exists());
    }
}

#[test]
fn a_link_to_another_file_of_ours_is_no_obstacle() {
    for call in ["--release", "--reallocate"] {
        let sandbox = Sandbox::with_worktrees(&["a"]);
        let variables = [("WEB_PORT", "{cloud}")];
        let config = sandbox.own_config().env_file(".env", &variables);
        sandbox.configure("repo", config.env_file(".env.local", &variables));
        symlink(".env", sandbox.path("a/.env.local")).unwrap();
        sandbox.run("a", &[]).exits(0);
        sandbox.run("a", &[call]).exits(0);
    }
}

#[test]
fn a_link_to_another_worktrees_env_file_keeps_no_port() {
    let sandbox = sandbox();
    sandbox.run("repo", &[]).exits(0);
    fs::remove_file(sandbox.path("a/.env")).unwrap();
    symlink("../repo/.env", sandbox.path("a/.env")).unwrap();
    let main = read(&sandbox, "repo/.env");
    sandbox.run("a", &["--release"]).exits(0);
    assert!(!sandbox.has_port_file("a"));
    assert_eq!(read(&sandbox, "repo/.env"), main);
}

/// Fails unless the worktree `name` has no ports and no blocks, and the user has every byte back.
#[track_caller]
fn assert_released(sandbox: &Sandbox, name: &str) {
    assert!(!sandbox.has_port_file(name));
    assert_eq!(read(sandbox, &format!("{name}/.env")), None);
    let own = read(sandbox, &format!("{name}/own.env"));
    assert_eq!(own.as_deref(), Some(OWN));
    assert!(!sandbox.path(record(name)).exists());
}

#[test]
fn it_removes_the_blocks_the_port_file_and_the_record() {
    let sandbox = sandbox();
    let run = sandbox.run("a", &["--release"]).exits(0);
    assert_eq!(run.stdout, "");
    run.tells(&[&sandbox.with_ports("released cloud @1")]);
    assert_released(&sandbox, "a");
    assert!(sandbox.has_port_file("b") && has_blocks(&sandbox, "b"));
}

#[test]
fn the_main_worktree_gives_its_ports_back_too() {
    let sandbox = sandbox();
    sandbox.write("repo/own.env", OWN);
    sandbox.run("repo", &[]).exits(0);
    sandbox.run("repo", &["--release"]).exits(0);
    assert_released(&sandbox, "repo");
}

#[test]
fn the_next_checkout_or_call_by_hand_gives_ports_again() {
    let sandbox = sandbox();
    sandbox.wire("repo/.git");
    sandbox.run("b", &["--release"]).exits(0);
    sandbox.run("a", &["--release"]).exits(0);
    // The ports of `a` are free.
    sandbox.run("b", &[]).exits(0);
    assert_eq!(sandbox.ports("b"), [sandbox.port(1)]);
    let told = sandbox.with_ports("worktree-ports: cloud @2 (.worktree-ports.json, .env, own.env)");
    sandbox
        .git("a", &["checkout", "-b", "other"])
        .tells(&[&told]);
    assert!(has_blocks(&sandbox, "a"));
}

#[test]
fn a_copied_and_a_damaged_file_are_released() {
    let sandbox = sandbox();
    for content in [sandbox.port_file("b"), "{".to_owned(), String::new()] {
        sandbox.run("a", &[]).exits(0);
        sandbox.write(format!("a/{PORT_FILE}"), &content);
        sandbox.run("a", &["--release"]).exits(0);
        assert_released(&sandbox, "a");
    }
    assert!(has_blocks(&sandbox, "b"));
}

#[test]
fn if_the_port_file_is_missing_the_rest_is_released() {
    let sandbox = sandbox();
    sandbox.remove_port_file("a");
    sandbox.run("a", &["--release"]).exits(0);
    assert_released(&sandbox, "a");
    // Releasing again is not an error.
    let run = sandbox.run("a", &["--release"]).exits(0);
    run.tells(&["no ports to release"]);
    assert_released(&sandbox, "a");
}

#[test]
fn a_foreign_or_tracked_file_is_an_error_and_nothing_is_removed() {
    let sandbox = sandbox();
    let own = sandbox.port_file("b");
    sandbox.git("b", &["add", "--force", PORT_FILE]);
    for (name, content, why) in [
        ("a", r#"{ "app": 3010 }"#, "belongs to another tool"),
        ("a", "[]", "belongs to another tool"),
        ("b", &own, "git tracks"),
        ("b", "{", "git tracks"),
    ] {
        sandbox.write(format!("{name}/{PORT_FILE}"), content);
        let before = sandbox.stamps_of(name);
        let run = sandbox.run(name, &["--release"]).exits(1);
        run.tells_one_error().tells(&[why]);
        assert_eq!(sandbox.stamps_of(name), before);
        assert!(sandbox.path(record(name)).exists() && has_blocks(&sandbox, name));
    }
}

#[test]
fn a_file_that_is_empty_afterwards_is_removed_whoever_made_it() {
    let sandbox = sandbox();
    sandbox.run("a", &["--release"]).exits(0);
    sandbox.write("a/.env", "");
    sandbox.run("a", &[]).exits(0);
    sandbox.run("a", &["--release"]).exits(0);
    assert_released(&sandbox, "a");
}

#[test]
fn if_a_block_cannot_be_removed_the_call_fails_and_changes_nothing() {
    let half = "# >>> worktree-ports: a >>>\nWEB_PORT=1\n";
    let block = "# >>> worktree-ports: a >>>\n# <<< worktree-ports <<<\nN=J\u{fc}rgen\n";
    let large = format!("{block}{}", "x".repeat(256 * 1024));
    let latin_1: Vec<u8> = block.chars().map(|c| u8::try_from(c).unwrap()).collect();
    for (content, why) in [
        (half.as_bytes(), "line 1"),
        (&latin_1, "not UTF-8"),
        (large.as_bytes(), "larger than 256 KiB"),
    ] {
        let sandbox = sandbox();
        sandbox.write("a/own.env", content);
        for call in ["--release", "--reallocate"] {
            if call == "--reallocate" {
                // Otherwise it would get the same ports again.
                sandbox.run("b", &["--release"]).exits(0);
                sandbox.configure("a", config(&sandbox).step(2));
            }
            let before = (
                sandbox.content_of("a"),
                fs::read(sandbox.path(record("a"))).unwrap(),
            );
            let run = sandbox.run("a", &[call]).exits(1).tells_one_error();
            run.tells(&["a/own.env", why]);
            let after = (
                sandbox.content_of("a"),
                fs::read(sandbox.path(record("a"))).unwrap(),
            );
            assert_eq!(after, before, "{call} {why}");
        }
    }
}

#[test]
fn the_lines_in_the_exclude_file_stay_until_uninstall() {
    let sandbox = Sandbox::with_worktrees(&["a", "b"]);
    let before = "# the user's\n*.o";
    sandbox.write(EXCLUDE, before);
    sandbox.configure("repo", config(&sandbox));
    sandbox.write("a/own.env", OWN);
    sandbox.run("a", &[]).exits(0);
    let with_a = read(&sandbox, EXCLUDE).unwrap();
    sandbox.write("b/own.env", OWN);
    sandbox.run("b", &[]).exits(0);
    assert_eq!(read(&sandbox, EXCLUDE).unwrap(), with_a);

    for name in ["a", "b"] {
        sandbox.run(name, &["--release"]).exits(0);
        assert_eq!(read(&sandbox, EXCLUDE).unwrap(), with_a);
        let status = sandbox.git(name, &["status", "--porcelain"]).stdout;
        assert_eq!(status, "?? own.env\n");
    }
    sandbox.run("repo", &["--install"]).exits(0);
    sandbox.run("repo", &["--uninstall"]).exits(0);
    assert_eq!(read(&sandbox, EXCLUDE).unwrap(), before);
}

#[test]
fn uninstall_keeps_the_lines_of_the_files_that_it_leaves_behind() {
    let sandbox = sandbox();
    // A file of ours that the user has edited stays, and so must its line.
    let text = read(&sandbox, "a/.env").unwrap();
    sandbox.write("a/.env", format!("SECRET=x\n{text}"));
    sandbox.run("repo", &["--install"]).exits(0);
    sandbox.run("repo", &["--uninstall"]).exits(0);
    assert_eq!(read(&sandbox, "a/.env").as_deref(), Some("SECRET=x\n"));
    let exclude = read(&sandbox, EXCLUDE).unwrap();
    let lines: Vec<&str> = exclude.lines().collect();
    assert!(lines.contains(&"/.env"), "{exclude}");
    assert!(!exclude.contains("own.env"), "{exclude}");
}

#[test]
fn uninstall_removes_all_blocks_and_records() {
    let sandbox = sandbox();
    sandbox.write("repo/own.env", OWN);
    sandbox.run("repo", &[]).exits(0);
    sandbox.run("a", &["--install"]).exits(0);
    // The record says where the block is, even without a port file.
    sandbox.remove_port_file("b");
    sandbox.run("a", &["--uninstall"]).exits(0);
    for name in ["repo", "a", "b"] {
        assert_eq!(sandbox.has_port_file(name), name != "b");
        assert_eq!(read(&sandbox, &format!("{name}/.env")), None);
        let own = read(&sandbox, &format!("{name}/own.env"));
        assert_eq!(own.as_deref(), Some(OWN), "{name}");
        assert!(!sandbox.path(record(name)).exists(), "{name}");
    }
    let exclude = read(&sandbox, EXCLUDE).unwrap();
    assert!(exclude.contains("/.worktree-ports.json\n"), "{exclude}");
    assert!(!exclude.contains(".env"), "{exclude}");
}

#[test]
fn with_too_few_descriptors_no_block_is_left_without_a_reservation() {
    for call in ["--release", "--uninstall"] {
        let sandbox = sandbox();
        for descriptors in 4..40 {
            let limit = format!(r#"ulimit -n {descriptors}; exec "$@""#);
            let mut command = sandbox.command("sh", "a");
            command.args(["-c", &limit, "sh", PROGRAM, call]);
            let run = Sandbox::finish(command);
            let files = [".env", "own.env"].map(|file| read(&sandbox, &format!("a/{file}")));
            let mut texts = files.into_iter().flatten();
            let has_block = texts.any(|text| text.contains("worktree-ports"));
            let is_reserved = sandbox.path(record("a")).exists();
            assert!(is_reserved || !has_block, "{descriptors}: {run}");
            sandbox.run("a", &[]).exits(0);
        }
    }
}
