//! What `--install` prints if another program's hook is in the way, followed to the letter.

use std::fs;
use std::os::unix::fs::symlink;

use crate::support::hooks::{HOOK, OLD, Prepare, THEIRS, sandbox_with_git};
use crate::support::{Run, Sandbox};

/// The command in backticks that starts with `start`, from what `run` printed.
#[track_caller]
fn command_told(run: &Run, start: &str) -> String {
    let mut quoted = run.stderr.split('`').skip(1).step_by(2);
    let command = quoted.find(|text| text.starts_with(start));
    command
        .unwrap_or_else(|| panic!("no `{start}…` in {run}"))
        .to_owned()
}

/// How often the user's own hook ran at a `git worktree add`.
fn ran(sandbox: &Sandbox) -> usize {
    let ran = fs::read_to_string(sandbox.path("ran")).unwrap_or_default();
    ran.lines()
        .filter(|line| line.starts_with("own 0000"))
        .count()
}

/// Asserts that a new worktree gets ports, and that `--install` has nothing more to say.
#[track_caller]
fn assert_installed(sandbox: &Sandbox) {
    // The message for a hook in the working tree says to commit it.
    sandbox.git("repo", &["add", "."]);
    sandbox.git(
        "repo",
        &["commit", "--quiet", "--allow-empty", "--message=hook"],
    );
    let run = sandbox.add("a");
    assert_eq!(sandbox.ports("a"), [sandbox.port(1)], "{run}");
    sandbox.run("repo", &["--install"]).exits(0);
    let check = sandbox.run("repo", &["--check"]);
    assert!(!check.stdout.contains("hook"), "{check}");
}

#[test]
fn for_a_hooks_path_without_a_hook_it_prints_a_whole_file_that_runs() {
    for (path, is_made) in [
        (".githooks", true),
        ("my hooks", false),
        ("../shared", false),
    ] {
        let sandbox = sandbox_with_git(OLD);
        sandbox.git("repo", &["config", "core.hooksPath", path]);
        let directory = sandbox.path("repo").join(path);
        if is_made {
            fs::create_dir(&directory).unwrap();
        }
        let run = sandbox.run("repo", &["--install"]).exits(3);
        assert!(run.stdout.starts_with("#!/bin/sh\n"), "{run}");
        if !is_made {
            sandbox
                .shell(&command_told(&run, "mkdir -p "), &[])
                .exits(0);
        }
        fs::write(directory.join("post-checkout"), &run.stdout).unwrap();
        sandbox
            .shell(&command_told(&run, "chmod +x "), &[])
            .exits(0);
        assert_installed(&sandbox);
    }
}

#[test]
fn for_a_script_that_core_hooks_path_names_it_prints_a_line_that_runs() {
    let sandbox = sandbox_with_git(OLD);
    let script = format!("#!/bin/sh\n{THEIRS}\nexit 0\n");
    sandbox.write_script("repo/hooks/post-checkout", &script);
    sandbox.git("repo", &["config", "core.hooksPath", "hooks"]);
    let run = sandbox.run("repo", &["--install"]).exits(3);
    run.tells(&["hooks/post-checkout`", "below the first line", "commit it"]);
    let run = sandbox.run("repo", &["--install"]).exits(3);
    assert_eq!(run.stdout.lines().count(), 1, "{run}");
    let script = script.replacen('\n', &format!("\n{}", run.stdout), 1);
    sandbox.write_script("repo/hooks/post-checkout", script);
    assert_installed(&sandbox);
    assert_eq!(ran(&sandbox), 1);
}

#[test]
fn for_a_hook_that_is_no_shell_script_it_prints_commands_that_keep_it() {
    let hooks: [(&str, Prepare); 5] = [
        ("python", |sandbox| {
            let script = "#!/usr/bin/env python3\nimport os, sys\n\
                 with open(os.environ['RAN'], 'a') as f: f.write('own ' + ' '.join(sys.argv[1:]) + '\\n')\n";
            sandbox.write_script(HOOK, script);
        }),
        ("no first line", |sandbox| {
            sandbox.write_script(HOOK, "echo \"own $*\" >>\"$RAN\"\n");
        }),
        ("another language", |sandbox| {
            sandbox.write_script(
                HOOK,
                "#!/usr/bin/awk -f\nBEGIN { print \"own \" ARGV[1] >>ENVIRON[\"RAN\"] }\n",
            );
        }),
        ("a relative link", |sandbox| {
            sandbox.write_script("repo/.git/own", "#!/bin/sh\necho \"own $*\" >>\"$RAN\"\n");
            symlink("../own", sandbox.path(HOOK)).unwrap();
        }),
        ("a quoted command", |sandbox| {
            sandbox.write_script("own", "#!/bin/sh\necho \"own $*\" >>\"$RAN\"\n");
            let own = sandbox.path("own").display().to_string();
            sandbox.write_script(HOOK, format!("#!/bin/sh\n\"{own}\" \"$@\"\n"));
        }),
    ];
    for (name, prepare) in hooks {
        let sandbox = sandbox_with_git(OLD);
        prepare(&sandbox);
        let before = sandbox.content_of("repo/.git/hooks");
        let run = sandbox.run("repo", &["--install"]).exits(3);
        let run = run.tells(&["not a plain shell script", "git 2.54 or later"]);
        assert_eq!(sandbox.content_of("repo/.git/hooks"), before, "{name}");
        sandbox.shell(&run.stdout, &[]).exits(0);
        let mut add = sandbox.command("git", "repo");
        add.args(["worktree", "add", "-q", "../a"])
            .env("RAN", sandbox.path("ran"));
        let run = Sandbox::finish(add).exits(0);
        assert_eq!(sandbox.ports("a"), [sandbox.port(1)], "{name}: {run}");
        assert_eq!(ran(&sandbox), 1, "{name}");
        sandbox.run("repo", &["--install"]).exits(0);
    }
}

#[test]
fn for_a_hooks_path_that_is_no_directory_it_says_to_remove_the_setting() {
    let sandbox = sandbox_with_git(OLD);
    let set = ["config", "core.hooksPath", "/dev/null"];
    sandbox.git("repo", &set);
    let run = sandbox.run("repo", &["--install"]).exits(3);
    let run = run.tells(&["`/dev/null`", "not a directory", "remove that setting"]);
    symlink(
        crate::support::PROGRAM,
        sandbox.path("bin/worktree-ports-hook"),
    )
    .unwrap();
    sandbox.git("repo", &["config", "--unset", "core.hooksPath"]);
    sandbox.shell(&run.stdout, &[]).exits(0);
    assert_installed(&sandbox);
}

#[test]
fn for_a_hook_that_git_cannot_run_it_prints_commands_that_remove_it() {
    let things: [Prepare; 2] = [
        |sandbox| symlink("nowhere", sandbox.path(HOOK)).unwrap(),
        |sandbox| fs::create_dir(sandbox.path(HOOK)).unwrap(),
    ];
    for prepare in things {
        let sandbox = sandbox_with_git(OLD);
        symlink(
            crate::support::PROGRAM,
            sandbox.path("bin/worktree-ports-hook"),
        )
        .unwrap();
        prepare(&sandbox);
        let run = sandbox.run("repo", &["--install"]).exits(3);
        sandbox.shell(&run.stdout, &[]).exits(0);
        assert_installed(&sandbox);
    }
}

#[test]
fn under_a_package_manager_an_obstacle_is_reported_and_exits_0() {
    let npm = |sandbox: &Sandbox, at: &str| {
        let mut install = sandbox.command(crate::support::PROGRAM, at);
        install
            .arg("--install")
            .env("npm_lifecycle_event", "prepare");
        Sandbox::finish(install)
    };
    let sandbox = sandbox_with_git(OLD);
    // As in a Docker build: no repository, and often no git either.
    fs::create_dir(sandbox.path("app")).unwrap();
    npm(&sandbox, "app")
        .exits(0)
        .tells(&["is not inside a git repository"]);
    sandbox.run("app", &["--install"]).exits(1);

    npm(&sandbox, "repo")
        .exits(0)
        .tells(&["installed the hook"]);
    npm(&sandbox, "repo").exits(0).tells(&["already installed"]);

    sandbox.write_script(HOOK, "#!/bin/sh\ncall_lefthook run\n");
    let run = npm(&sandbox, "repo").exits(0).tells(&["lefthook.yml"]);
    assert!(run.stdout.contains("post-checkout:"), "{run}");
    sandbox.run("repo", &["--install"]).exits(3);

    crate::support::set_mode(sandbox.path(HOOK), 0o644);
    npm(&sandbox, "repo").exits(0).tells(&["is not executable"]);
    sandbox.run("repo", &["--install"]).exits(1);
}
