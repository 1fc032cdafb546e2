//! `--install` with something in its way: an error, and everything stays as it was.

use std::fs;

use crate::support::hooks::{HOOK, NEW, OLD, Prepare, THEIRS, sandbox_with_git};
use crate::support::{LOCK, Nobody, PROGRAM, Run, Sandbox, is_root, set_mode};

/// The sandbox's owner, who may not write to what is `protected`.
fn nobody_beside<'a>(sandbox: &'a Sandbox, protected: &str) -> Nobody<'a> {
    let nobody = Nobody::owning(sandbox);
    if is_root() {
        sandbox.give_to("0:0", protected);
    }
    set_mode(sandbox.path(protected), 0o555);
    nobody
}

/// The content of `repo` without the lock, which is created once and stays.
fn content_of_repo(sandbox: &Sandbox) -> std::collections::BTreeMap<std::path::PathBuf, String> {
    let mut content = sandbox.content_of("repo");
    content.remove(&sandbox.path(LOCK));
    content
}

#[test]
fn hooks_that_cannot_be_written_are_an_error_and_nothing_changes() {
    let starts: [(&str, Prepare); 3] = [
        (OLD, |_| {}),
        (OLD, |sandbox| {
            sandbox.write_script(HOOK, format!("#!/bin/sh\n{THEIRS}\n"));
        }),
        // The hook file of an older git cannot be removed.
        (NEW, |sandbox| {
            sandbox.pretend_git(OLD);
            sandbox.run("repo", &["--install"]).exits(0);
            sandbox.pretend_git(NEW);
        }),
    ];
    for (git, prepare) in starts {
        let sandbox = sandbox_with_git(git);
        prepare(&sandbox);
        let nobody = nobody_beside(&sandbox, "repo/.git/hooks");
        let before = content_of_repo(&sandbox);
        let run = nobody.run("repo", &["--install"]).exits(1);
        run.tells(&["could not", "post-checkout"]);
        assert_eq!(content_of_repo(&sandbox), before);
    }
}

#[test]
fn half_a_block_in_a_hook_file_is_an_error_and_nothing_changes() {
    for git in [OLD, NEW] {
        let sandbox = sandbox_with_git(OLD);
        sandbox.run("repo", &["--install"]).exits(0);
        let hook = fs::read_to_string(sandbox.path(HOOK)).unwrap();
        sandbox.write_script(HOOK, hook.replace("# <<< worktree-ports <<<\n", ""));
        sandbox.pretend_git(git);
        let before = sandbox.content_of("repo");
        for call in ["--install", "--uninstall", "--check"] {
            let run = sandbox.run("repo", &[call]).exits(1);
            let said = run.stdout.clone() + &run.stderr;
            for part in ["is one mark of a block", "delete what is left of the block"] {
                assert!(said.contains(part), "{git} {call}: {run}");
            }
            assert_eq!(sandbox.content_of("repo"), before, "{git} {call}");
        }
    }
}

#[test]
fn a_hook_whose_interpreter_is_missing_is_not_called_installed() {
    let calls_us = "worktree-ports-hook \"$@\" || :";
    for (hook, remedy) in [
        (format!("#!/bin/sh\r\n{calls_us}\r\n"), "with LF"),
        (format!("#!/bin/sh -e\r\n{calls_us}\r\n"), "with LF"),
        (
            format!("#! /nonexistent/sh -e\n{calls_us}\n"),
            "correct the first line",
        ),
    ] {
        let sandbox = sandbox_with_git(OLD);
        sandbox.git("repo", &["config", "core.hooksPath", "hooks"]);
        sandbox.write_script("repo/hooks/post-checkout", &hook);
        let before = content_of_repo(&sandbox);
        for call in ["--install", "--check"] {
            let run = sandbox.run("repo", &[call]).exits(1);
            let said = run.stdout.clone() + &run.stderr;
            for part in ["git cannot run", remedy] {
                assert!(said.contains(part), "{hook:?} {call}: {run}");
            }
        }
        assert_eq!(content_of_repo(&sandbox), before);
        // With the remedy, it runs.
        let right = format!("#!/bin/sh\n{calls_us}\n");
        sandbox.write_script("repo/hooks/post-checkout", right);
        sandbox.run("repo", &["--install"]).exits(0);
        sandbox.run("repo", &["--check"]).exits(0);
    }
}

#[test]
fn a_read_only_git_directory_is_an_error_and_nothing_changes() {
    let sandbox = sandbox_with_git(NEW);
    let nobody = nobody_beside(&sandbox, "repo/.git");
    let before = content_of_repo(&sandbox);
    let safe = ["config", "--global", "--add", "safe.directory", "*"];
    sandbox.git("repo", &safe);
    set_mode(sandbox.path("home/.gitconfig"), 0o644);
    let run = nobody.run("repo", &["--install"]).exits(1);
    run.tells(&["could not lock"]);
    assert_eq!(content_of_repo(&sandbox), before);
}

#[test]
fn a_config_that_git_has_locked_is_an_error_that_leaves_what_was_there() {
    let sandbox = sandbox_with_git(NEW);
    sandbox.write("repo/.git/config.lock", "");
    let before = content_of_repo(&sandbox);
    let run = sandbox.run("repo", &["--install"]).exits(1);
    run.tells(&["could not run `git config", ".lock` file"]);
    assert_eq!(content_of_repo(&sandbox), before);
}

/// Runs `script`; `$1` is the sandbox's `disk`, a file system of 64 MiB that exists while it runs.
fn on_small_disk(sandbox: &Sandbox, script: &str) -> Run {
    fs::create_dir(sandbox.path("disk")).unwrap();
    let script = format!(r#"set -e; mount -t tmpfs -o size=64m none "$1"; {script}"#);
    let mut command = sandbox.command("unshare", ".");
    command.args(["--mount", "sh", "-c", &script, "sh"]);
    command.arg(sandbox.path("disk")).arg(PROGRAM);
    Sandbox::finish(command)
}

#[test]
#[ignore = "needs root"]
fn a_full_disk_is_an_error_that_leaves_what_was_there() {
    // The disk is full before the program is copied, or before the hook or the config is written.
    let program_first = r#""$2" --install; "$2" --uninstall
        cp "$2" .git/worktree-ports/worktree-ports-hook"#;
    for git in [OLD, NEW] {
        for first in ["", program_first] {
            let sandbox = sandbox_with_git(git);
            let script = format!(
                r#"cp -R repo "$1/repo"; cd "$1/repo"
                mkdir .git/worktree-ports; : >.git/worktree-ports/lock
                {first}
                list() {{ find .git | sort | xargs -d '\n' ls -ld --time-style=+; cat .git/config; }}
                before=$(dd if=/dev/zero of=../fill 2>/dev/null || :; list)
                "$2" --install && code=0 || code=$?
                test "$(list)" = "$before" && same=yes || same=no
                echo "install $code, same $same""#
            );
            let run = on_small_disk(&sandbox, &script);
            assert!(
                run.stdout.contains("install 1, same yes"),
                "{git} {first}: {run}"
            );
            // git does not say why it could not write its config.
            run.tells(&["could not"]);
        }
    }
}

#[test]
fn a_hook_that_cannot_run_is_an_error_that_says_so_and_changes_nothing() {
    let sandbox = sandbox_with_git(OLD);
    sandbox.write(HOOK, "#!/bin/sh\nexit 0\n");
    let before = content_of_repo(&sandbox);
    let run = sandbox.run("repo", &["--install"]).exits(1);
    run.tells(&["is not executable", "chmod +x"]);
    assert_eq!(content_of_repo(&sandbox), before);
}

#[test]
fn without_git_on_the_path_install_says_that_it_needs_it() {
    let sandbox = Sandbox::without_hook();
    let before = content_of_repo(&sandbox);
    let mut command = sandbox.command(PROGRAM, "repo");
    command.arg("--install").env("PATH", sandbox.path("home"));
    Sandbox::finish(command)
        .exits(1)
        .tells(&["git", "on the PATH"]);
    assert_eq!(content_of_repo(&sandbox), before);
}

#[test]
#[ignore = "needs root"]
fn on_a_file_system_that_runs_no_programs_nothing_is_installed() {
    for git in [OLD, NEW] {
        let sandbox = sandbox_with_git(git);
        fs::create_dir(sandbox.path("disk")).unwrap();
        // Other users may not be able to read the directory of the build, but root can.
        let script = r#"set -e; mount -t tmpfs -o noexec none "$1"; cp -R repo "$1/repo"; cd "$1/repo"
            before=$(find .git | sort)
            "$2" --install && code=0 || code=$?
            test "$(find .git | sort)" = "$before" && same=yes || same=no
            echo "install $code, same $same"
            "$2" --check | grep -c "(noexec)""#;
        let mut command = sandbox.command("unshare", ".");
        command.args(["--mount", "sh", "-c", script, "sh"]);
        command.arg(sandbox.path("disk")).arg(PROGRAM);
        let run = Sandbox::finish(command);
        assert!(run.stdout.ends_with("install 1, same yes\n1\n"), "{run}");
        run.tells(&["runs no programs (noexec)", "mount it without `noexec`"]);
    }
}

#[test]
#[ignore = "needs strace"]
fn a_refused_chmod_is_an_error_that_leaves_what_was_there() {
    let starts: [Prepare; 2] = [
        |_| {},
        // Only the hook file is missing.
        |sandbox| {
            sandbox.run("repo", &["--install"]).exits(0);
            fs::remove_file(sandbox.path(HOOK)).unwrap();
        },
    ];
    for git in [OLD, NEW] {
        for prepare in starts {
            let sandbox = sandbox_with_git(git);
            if git == OLD {
                prepare(&sandbox);
            }
            let before = content_of_repo(&sandbox);
            let mut strace = sandbox.command("strace", "repo");
            strace.args(["-f", "-o", "/dev/null", "-e", "trace=chmod,fchmod,fchmodat"]);
            strace.args(["-e", "inject=chmod,fchmod,fchmodat:error=EPERM"]);
            strace.args([PROGRAM, "--install"]);
            let run = Sandbox::finish(strace).exits(1);
            run.tells_one_error()
                .tells(&["could not make `", "executable"]);
            assert_eq!(content_of_repo(&sandbox), before);
        }
    }
}

#[test]
fn a_list_of_clones_that_cannot_be_written_leaves_nothing_half_done() {
    for git in [OLD, NEW] {
        let sandbox = sandbox_with_git(git);
        let before = content_of_repo(&sandbox);
        let mut install = sandbox.command(PROGRAM, "repo");
        install.args(["--install", "--share"]);
        install.env_remove("HOME").env_remove("XDG_CONFIG_HOME");
        let run = Sandbox::finish(install).exits(1);
        run.tells_one_error().tells(&["worktreePorts.repository`"]);
        assert_eq!(content_of_repo(&sandbox), before, "{git}");

        // The user's config is locked, and then invalid.
        sandbox.write("home/.gitconfig.lock", "");
        sandbox.run("repo", &["--install", "--share"]).exits(1);
        assert_eq!(content_of_repo(&sandbox), before, "{git}");
        fs::remove_file(sandbox.path("home/.gitconfig.lock")).unwrap();

        // The other way round: a clone on the list stays on it.
        sandbox.run("repo", &["--install", "--share"]).exits(0);
        let before = content_of_repo(&sandbox);
        sandbox.write("home/.gitconfig.lock", "");
        sandbox.run("repo", &["--install", "--no-share"]).exits(1);
        assert_eq!(content_of_repo(&sandbox), before, "{git}");
    }
}

#[test]
fn a_hook_that_cannot_be_installed_is_not_shared_either() {
    let sandbox = sandbox_with_git(NEW);
    sandbox.pretend_git(OLD);
    sandbox.run("repo", &["--install"]).exits(0);
    sandbox.pretend_git(NEW);
    let nobody = nobody_beside(&sandbox, "repo/.git/hooks");
    let before = content_of_repo(&sandbox);
    nobody.run("repo", &["--install", "--share"]).exits(1);
    assert_eq!(content_of_repo(&sandbox), before);
    let list = [
        "config",
        "--global",
        "--get-all",
        "worktreePorts.repository",
    ];
    assert_eq!(sandbox.try_git("repo", &list).stdout, "");
}
