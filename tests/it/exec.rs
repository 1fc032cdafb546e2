//! `--exec`: runs a command with the worktree's variables in its environment.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};

use crate::support::{CONFIG, LOCK, PROGRAM, Run, Sandbox, block, with_block};

/// A sandbox with a worktree `a` that has no ports yet, and a variable from `env`.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::with_worktrees(&["a"]);
    let config = sandbox
        .own_config()
        .env("COMPOSE_PROJECT_NAME", "shop-{slot}");
    sandbox.configure("repo", config);
    sandbox
}

#[track_caller]
fn exec(sandbox: &Sandbox, command: &[&str]) -> Run {
    sandbox.run("a", &[&["--exec"], command].concat())
}

/// Starts `--exec` with that command, and pipes for its stdin and stdout.
fn spawn(sandbox: &Sandbox, command: &[&str]) -> Child {
    let mut program = sandbox.command(PROGRAM, "a");
    program.arg("--exec").args(command);
    program.stdin(Stdio::piped()).stdout(Stdio::piped());
    program.spawn().unwrap()
}

#[test]
fn the_lines_of_env_replace_variables_of_the_same_name() {
    let sandbox = sandbox();
    let mut command = sandbox.command(PROGRAM, "a");
    command.args(["--exec", "env"]);
    command
        .env("CLOUD_PORT", "1")
        .env("COMPOSE_PROJECT_NAME", "mine")
        .env("OWN", "kept");
    let run = Sandbox::finish(command).exits(0).tells_nothing();
    let lines: Vec<&str> = run.stdout.lines().collect();
    let env = sandbox.run("a", &["--env"]).exits(0).stdout;
    assert!(env.contains("COMPOSE_PROJECT_NAME=shop-1\n"), "{env}");
    for line in env.lines().chain(["OWN=kept"]) {
        let (name, _) = line.split_once('=').unwrap();
        let of_that_name = |other: &&&str| other.split('=').next() == Some(name);
        let found: Vec<_> = lines.iter().filter(of_that_name).collect();
        assert_eq!(found, [&line]);
    }
}

#[test]
fn ports_and_env_files_are_there_before_the_command_runs() {
    let sandbox = sandbox();
    let config = sandbox
        .config(&["cloud"])
        .env_file(".env", &[("PORT", "{cloud}")]);
    sandbox.configure("repo", config);
    let run = exec(&sandbox, &["cat", ".env"]).exits(0).tells_nothing();
    let block = block("a", &sandbox.with_ports("PORT=@1\n"));
    assert_eq!(run.stdout, with_block(&block, ""));
    assert_eq!(sandbox.ports("a"), [sandbox.port(1)]);
}

#[test]
fn without_ports_the_command_does_not_run() {
    let sandbox = sandbox();
    sandbox.write(format!("a/{CONFIG}"), "{");
    exec(&sandbox, &["touch", "ran"]).exits(1).tells_one_error();
    assert!(!sandbox.path("a/ran").exists());
}

#[test]
fn the_command_is_looked_up_on_the_path_or_named_by_a_path() {
    let sandbox = sandbox();
    // The sandbox's `bin` is on the PATH.
    let script = "#!/bin/sh\necho \"$0 $# $CLOUD_PORT\"\n";
    sandbox.write_script("bin/serve", script);
    sandbox.write_script("a/own", script);
    for (command, name) in [
        ("serve", sandbox.path("bin/serve")),
        ("./own", "./own".into()),
    ] {
        let run = exec(&sandbox, &[command, "one", ""]).exits(0);
        let expected = format!("{} 2 @1\n", name.display());
        assert_eq!(run.stdout, sandbox.with_ports(&expected));
    }
}

#[test]
fn it_exits_with_the_commands_status_and_prints_nothing_of_its_own() {
    let sandbox = sandbox();
    for status in [0, 1, 2, 3, 126, 127, 255] {
        let script = format!("exit {status}");
        let run = exec(&sandbox, &["sh", "-c", &script]).exits(status);
        assert_eq!(run.tells_nothing().stdout, "");
    }
}

#[test]
fn it_exits_127_for_a_missing_command_and_126_for_one_that_cannot_run() {
    let sandbox = sandbox();
    sandbox.write("a/plain", "#!/bin/sh\n");
    let table = [
        ("no-such-command", 127),
        ("./no/such/command", 127),
        ("", 127),
        ("./plain", 126),
        (".", 126),
    ];
    for (command, status) in table {
        let run = exec(&sandbox, &[command]).exits(status);
        let name = format!("could not run `{command}`");
        assert_eq!(run.stdout, "");
        run.tells_one_error().tells(&[&name]);
    }
    assert!(sandbox.has_port_file("a"));
}

#[test]
fn without_a_command_it_is_wrong_usage() {
    let sandbox = sandbox();
    for arguments in [&["--exec"][..], &["--exec", "--"], &["-C", "a", "--exec"]] {
        let run = sandbox.run("a", arguments).exits(2);
        run.tells(&["--exec needs a command"]);
    }
    for other in ["--env", "--list", "--release", "--json", "--all"] {
        sandbox.run("a", &[other, "--exec", "true"]).exits(2);
    }
    assert!(!sandbox.has_port_file("a"));
}

#[test]
fn all_later_arguments_belong_to_the_command() {
    let sandbox = sandbox();
    sandbox.write("a/new", "");
    let run = exec(&sandbox, &["git", "status", "--short"]).exits(0);
    assert_eq!(run.stdout, "?? new\n");
    exec(&sandbox, &["sh", "-c", "exit 3", "--list"]).exits(3);

    let arguments = ["-C", "x", "--exec", "--", "--help", "--json", "abcd", "1"];
    let show = ["sh", "-c", "printf '<%s>' \"$@\"", "sh"];
    let expected: String = arguments.map(|argument| format!("<{argument}>")).concat();
    for start in [&[][..], &["--"]] {
        let run = exec(&sandbox, &[start, &show, &arguments].concat()).exits(0);
        assert_eq!(run.tells_nothing().stdout, expected);
    }
}

#[test]
fn with_c_it_runs_in_that_directory() {
    let sandbox = sandbox();
    sandbox.write_script("a/deep/er/own", "#!/bin/sh\npwd -P; echo $CLOUD_PORT\n");
    let expected = format!("{}\n@1\n", sandbox.path("a/deep/er").display());
    let expected = sandbox.with_ports(&expected);
    let table: [(&str, &[&str]); 4] = [
        (".", &["-C", "a/deep/er"]),
        ("repo", &["-C", "../a", "-C", "deep", "-C", "er"]),
        ("a/deep/er", &[]),
        // Here `--exec` is the name of a directory.
        ("a/deep", &["-C", "--exec", "-C", "../er"]),
    ];
    fs::create_dir(sandbox.path("a/deep/--exec")).unwrap();
    for (at, directory) in table {
        let run = sandbox.run(at, &[directory, &["--exec", "./own"]].concat());
        assert_eq!(run.exits(0).stdout, expected, "{at} {directory:?}");
    }
}

#[test]
fn it_works_from_a_script_without_a_shell() {
    let sandbox = sandbox();
    let script = format!("#!/usr/bin/env -S {PROGRAM} --exec cat\n");
    sandbox.write_script("a/script", &script);
    let run = Sandbox::finish(sandbox.command(sandbox.path("a/script"), "a"));
    assert_eq!(run.exits(0).tells_nothing().stdout, script);
}

#[test]
fn the_process_becomes_the_command() {
    let sandbox = sandbox();
    let child = spawn(&sandbox, &["sh", "-c", "echo $$"]);
    let pid = child.id();
    let run = Run::from(child.wait_with_output().unwrap()).exits(0);
    assert_eq!(run.stdout, format!("{pid}\n"));
}

#[test]
fn signals_and_stdin_reach_the_command_and_the_lock_does_not() {
    let sandbox = sandbox();
    // Not INT or HUP: a background job or `nohup` may have set them to be ignored, and children
    // inherit that.
    for (name, number) in [("TERM", 15), ("ALRM", 14), ("PIPE", 13)] {
        sandbox.run("a", &["--release"]).exits(0);
        let mut child = spawn(&sandbox, &["cat"]);
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(b"here\n").unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(line, "here\n");
        let lock = File::open(sandbox.path(LOCK)).unwrap();
        lock.try_lock().expect("nobody has the lock");
        let mut kill = Command::new("kill");
        kill.args([&format!("-{name}"), &child.id().to_string()]);
        assert!(kill.status().unwrap().success());
        assert_eq!(child.wait().unwrap().signal(), Some(number), "{name}");
    }
}

#[test]
fn a_closed_pipe_ends_the_command_as_usual() {
    let sandbox = sandbox();
    let mut child = spawn(&sandbox, &["sh", "-c", "read wait; exec yes"]);
    let mut stdin = child.stdin.take().unwrap();
    drop(child.stdout.take());
    stdin.write_all(b"\n").unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(13));
}

#[test]
#[cfg(target_os = "linux")]
fn no_descriptor_of_ours_is_left_open_in_the_command() {
    let sandbox = sandbox();
    let listed = |arguments: &[&str]| {
        let mut command = sandbox.command(arguments[0], "a");
        command.args(&arguments[1..]);
        Sandbox::finish(command).exits(0).stdout
    };
    let list = ["ls", "/proc/self/fd"];
    let expected = listed(&list);
    for _ in 0..2 {
        assert_eq!(
            listed(&[&[PROGRAM, "--exec"], &list[..]].concat()),
            expected
        );
    }
}

#[test]
fn gits_variables_reach_the_command_and_choose_no_worktree() {
    let sandbox = sandbox();
    let mut command = sandbox.command(PROGRAM, "a");
    command.args(["--exec", "sh", "-c", "echo $GIT_DIR $CLOUD_PORT"]);
    command.env("GIT_DIR", "elsewhere");
    let run = Sandbox::finish(command).exits(0).tells_nothing();
    assert_eq!(run.stdout, sandbox.with_ports("elsewhere @1\n"));
}

#[test]
#[ignore = "needs fish"]
fn it_works_from_fish() {
    let sandbox = sandbox();
    let mut command = sandbox.command("fish", "a");
    command.args(["-c", "$argv[1] --exec sh -c 'echo $CLOUD_PORT'", PROGRAM]);
    let run = Sandbox::finish(command).exits(0).tells_nothing();
    assert_eq!(run.stdout, sandbox.with_ports("@1\n"));
}
