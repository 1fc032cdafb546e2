//! `--check`: every problem is named with the command that mends it.

use std::fs;
use std::path::Path;

use crate::support::hooks::{NEW, OLD, sandbox_with_git};
use crate::support::{CONFIG, Config, PORT_FILE, PROGRAM, Run, Sandbox, config, set_mode};

/// A sandbox with two worktrees that have ports, and no problem.
fn content() -> Sandbox {
    let sandbox = Sandbox::without_hook();
    sandbox.configure("repo", base_config(&sandbox));
    // By the real git's version, a hook file or a hook in the config.
    sandbox.run("repo", &["--install"]).exits(0);
    sandbox.add("a");
    sandbox.add("b");
    sandbox.run("repo", &[]).exits(0);
    assert_content(&sandbox);
    sandbox
}

/// A config that leaves ports below its own for what a test adds to it.
fn base_config(sandbox: &Sandbox) -> Config {
    config(&[("cloud", sandbox.port(10))]).step(1)
}

#[track_caller]
fn assert_content(sandbox: &Sandbox) {
    let run = sandbox.run("repo", &["--check"]).exits(0).tells_nothing();
    assert_eq!(run.stdout, "");
}

/// Runs a command as a user would who copied it: with a shell, and the program on the PATH.
#[track_caller]
fn run_as_printed(sandbox: &Sandbox, at: &str, command: &str) -> Run {
    let mut shell = sandbox.command("sh", at);
    let directory = Path::new(PROGRAM).parent().unwrap().display();
    // Behind the sandbox's own git, where it has one.
    let script = format!("PATH=$PATH:'{directory}'; {command}");
    shell.args(["-c", &script]);
    Sandbox::finish(shell)
}

/// The command of a problem: what stands in backticks behind the last `run`.
#[track_caller]
fn command_of(problem: &str) -> &str {
    let command = problem
        .split_once("; run `")
        .and_then(|(_, rest)| rest.split_once('`'));
    command
        .unwrap_or_else(|| panic!("no command in {problem}"))
        .0
}

/// The one problem of a sandbox.
#[track_caller]
fn problem_of(sandbox: &Sandbox) -> String {
    let run = sandbox.run("repo", &["--check"]).exits(1);
    let lines: Vec<&str> = run.stdout.lines().collect();
    let [problem] = lines[..] else {
        panic!("not one problem in\n{run}");
    };
    problem.to_owned()
}

fn port_file_in(sandbox: &Sandbox, worktree: &str) -> String {
    format!("`{}`", sandbox.path(worktree).join(PORT_FILE).display())
}

/// The file of `b` in `a`, as `a`'s own.
fn name_the_ports_of_b_in_a(sandbox: &Sandbox) {
    let file = sandbox
        .port_file("b")
        .replace(r#""worktree": "b""#, r#""worktree": "a""#);
    sandbox.write(format!("a/{PORT_FILE}"), file);
}

/// A new service in the config, which all but `a` have a port for.
fn gain_a_service(sandbox: &Sandbox, base: u16) {
    let config = config(&[("cloud", sandbox.port(10)), ("new", base)]);
    sandbox.configure("repo", config.step(1));
    sandbox.run("repo", &[]).exits(0);
    sandbox.run("b", &["--reallocate"]).exits(0);
}

/// What makes a problem, and what is said of it. `{A}` is the port file in `a`.
type Problem = (&'static str, fn(&Sandbox), &'static str);

const PROBLEMS: &[Problem] = &[
    (
        "copied",
        |sandbox| sandbox.write(format!("a/{PORT_FILE}"), sandbox.port_file("b")),
        "{A} is a copy of another worktree's",
    ),
    (
        "damaged",
        |sandbox| sandbox.write(format!("a/{PORT_FILE}"), "{"),
        "{A} is damaged",
    ),
    (
        "a directory",
        |sandbox| {
            sandbox.remove_port_file("a");
            fs::create_dir(sandbox.path("a").join(PORT_FILE)).unwrap();
        },
        "{A} is damaged",
    ),
    (
        "foreign",
        |sandbox| sandbox.write(format!("a/{PORT_FILE}"), r#"{"app": 3010}"#),
        "{A} is another tool's",
    ),
    (
        "tracked",
        |sandbox| {
            sandbox.git("a", &["add", "--force", PORT_FILE]);
        },
        "git tracks {A}",
    ),
    (
        "tracked, and of another worktree",
        |sandbox| {
            sandbox.write(format!("a/{PORT_FILE}"), sandbox.port_file("b"));
            sandbox.git("a", &["add", "--force", PORT_FILE]);
        },
        "git tracks {A}",
    ),
    (
        "duplicate",
        name_the_ports_of_b_in_a,
        "{B} names a port that {A} names too",
    ),
    (
        "not ignored",
        |sandbox| {
            fs::remove_dir_all(sandbox.path("repo/.git/info")).unwrap();
            sandbox.remove_port_file("b");
            sandbox.remove_port_file("repo");
        },
        "git does not ignore {A}",
    ),
    (
        "not ignored, and the list ends without a newline",
        |sandbox| {
            sandbox.write("repo/.git/info/exclude", "*.log");
            sandbox.remove_port_file("b");
            sandbox.remove_port_file("repo");
        },
        "git does not ignore {A}",
    ),
    (
        "a service that can join",
        |sandbox| gain_a_service(sandbox, sandbox.port(50)),
        "{A} has no port for `new`",
    ),
    (
        "a service that cannot join, since another has its port",
        |sandbox| gain_a_service(sandbox, sandbox.port(9)),
        "{A} has no port for `new`",
    ),
    (
        "a service that cannot join, since the config has moved",
        |sandbox| {
            let config = config(&[("cloud", sandbox.port(12)), ("new", sandbox.port(50))]);
            sandbox.configure("a", config.step(1));
        },
        "{A} has no port for `new`",
    ),
    (
        "the repository has moved",
        |sandbox| sandbox.write("a/.git", "gitdir: /nowhere/.git/worktrees/a\n"),
        "does not lead back to",
    ),
    (
        "gone",
        |sandbox| fs::remove_dir_all(sandbox.path("a")).unwrap(),
        "was moved or removed",
    ),
    (
        "the program of the hook is gone",
        |sandbox| {
            let program = "repo/.git/worktree-ports/worktree-ports-hook";
            fs::remove_file(sandbox.path(program)).unwrap();
        },
        "is gone",
    ),
    (
        "no hook",
        |sandbox| {
            sandbox.run("repo", &["--uninstall"]).exits(0);
        },
        "no hook is wired up",
    ),
    (
        "the hook cannot run",
        |sandbox| {
            let hook = sandbox.path("repo/.git/hooks/post-checkout");
            // A git that wires up by its config has no such file.
            let _ = fs::remove_file(hook);
            let config = fs::read_to_string(sandbox.path("repo/.git/config")).unwrap();
            let (own, _) = config
                .split_once("# >>> worktree-ports")
                .unwrap_or((&config, ""));
            sandbox.write("repo/.git/config", own);
        },
        "no hook is wired up",
    ),
];

#[test]
fn each_problem_is_named_and_its_command_mends_it() {
    for (case, make, named) in PROBLEMS {
        let sandbox = content();
        make(&sandbox);
        let problem = problem_of(&sandbox);
        let named = named
            .replace("{A}", &port_file_in(&sandbox, "a"))
            .replace("{B}", &port_file_in(&sandbox, "b"));
        assert!(
            problem.contains(&named),
            "{case}: no {named:?} in {problem}"
        );
        let mended = run_as_printed(&sandbox, "repo", command_of(&problem)).exits(0);
        let run = sandbox.run("repo", &["--check"]);
        assert_eq!(
            (run.code(), run.stdout.as_str()),
            (Some(0), ""),
            "{case}: after {problem}\n{mended}"
        );
    }
}

#[test]
fn of_those_that_name_one_port_the_main_worktree_and_the_first_stay() {
    let sandbox = content();
    sandbox.add("c");
    for name in ["b", "c"] {
        let id = |name: &str| format!(r#""worktree": "{name}""#);
        let file = sandbox.port_file("a").replace(&id("a"), &id(name));
        sandbox.write(format!("{name}/{PORT_FILE}"), file);
    }
    sandbox.write(
        format!("repo/{PORT_FILE}"),
        sandbox.port_file("a").replace(r#""a""#, "null"),
    );
    let run = sandbox.run("a", &["--check"]).exits(1);
    assert_eq!(run.stdout.lines().count(), 3, "{run}");
    for problem in run.stdout.lines() {
        run_as_printed(&sandbox, "home", command_of(problem)).exits(0);
    }
    assert_content(&sandbox);
    let ports = ["repo", "a", "b", "c"].map(|name| sandbox.ports(name));
    assert_eq!(ports, [11, 12, 13, 14].map(|port| [sandbox.port(port)]));
}

#[test]
fn every_problem_is_named_at_once_also_in_a_path_that_a_shell_would_split() {
    let sandbox = content();
    let name = r#"it's a $HOME of "worktrees""#;
    let path = format!("../{name}");
    sandbox.git("repo", &["worktree", "add", "-b", "spaced", &path]);
    sandbox.write(format!("{name}/{PORT_FILE}"), "{");
    sandbox.write(format!("a/{PORT_FILE}"), "[]");
    sandbox.run("repo", &["--uninstall"]).exits(0);
    let run = sandbox.run("repo", &["--check"]).exits(1);
    assert_eq!(run.stdout.lines().count(), 3, "{run}");
    for problem in run.stdout.lines() {
        run_as_printed(&sandbox, "home", command_of(problem)).exits(0);
    }
    assert_content(&sandbox);
}

#[test]
fn a_worktree_that_was_moved_by_hand_is_named_until_git_repairs_it() {
    let sandbox = content();
    fs::rename(sandbox.path("a"), sandbox.path("elsewhere")).unwrap();
    let problem = problem_of(&sandbox);
    assert!(
        problem.contains("`git worktree repair` in its new place"),
        "{problem}"
    );
    sandbox.git("elsewhere", &["worktree", "repair"]);
    assert_content(&sandbox);
    assert_eq!(sandbox.ports("elsewhere"), [sandbox.port(11)]);
}

#[test]
fn a_config_that_is_not_valid_is_named_once_wherever_it_is_used() {
    let sandbox = content();
    sandbox.configure("repo", r#"{ "services": { "web": 80 } }"#);
    let problem = problem_of(&sandbox);
    let path = sandbox.path("repo").join(CONFIG);
    for part in [
        &path.display().to_string(),
        "`services.web`",
        "1024",
        "correct it",
    ] {
        assert!(problem.contains(part), "no {part:?} in {problem}");
    }
    sandbox.configure("repo", base_config(&sandbox));
    assert_content(&sandbox);

    sandbox.configure("a", "{");
    assert!(problem_of(&sandbox).contains(&sandbox.path("a").join(CONFIG).display().to_string()));
}

#[test]
fn a_hooks_path_that_hides_the_hook_is_named_and_what_install_prints_mends_it() {
    let sandbox = sandbox_with_git(OLD);
    sandbox.run("repo", &["--install"]).exits(0);
    sandbox.git("repo", &["config", "core.hooksPath", ".githooks"]);
    let problem = problem_of(&sandbox);
    assert!(
        problem.contains("`core.hooksPath` hides the hook"),
        "{problem}"
    );
    let told = run_as_printed(&sandbox, "repo", command_of(&problem)).exits(3);
    let hook = sandbox.path("repo/.githooks/post-checkout");
    assert!(told.stderr.contains(&hook.display().to_string()), "{told}");
    sandbox.write(&hook, format!("#!/bin/sh\n{}", told.stdout));
    set_mode(&hook, 0o755);
    assert_content(&sandbox);
    sandbox.git("repo", &["add", "."]);
    sandbox.git("repo", &["commit", "--quiet", "--message=hooks"]);
    sandbox
        .add("a")
        .tells(&[&sandbox.with_ports("worktree-ports: cloud @1")]);
}

#[test]
fn a_hooks_path_hides_no_hook_of_the_config() {
    let sandbox = sandbox_with_git(NEW);
    sandbox.run("repo", &["--install"]).exits(0);
    sandbox.git("repo", &["config", "core.hooksPath", ".githooks"]);
    assert_content(&sandbox);
}
