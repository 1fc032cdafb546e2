//! `--install` where something is in its way: an error that leaves what was there.

use std::fs;

use crate::support::hooks::{HOOK, NEW, OLD, Prepare, THEIRS, sandbox_with_git};
use crate::support::{LOCK, Nobody, PROGRAM, Run, Sandbox, is_root, set_mode};

/// Who owns the sandbox, but may not write what is `protected`.
fn nobody_beside<'a>(sandbox: &'a Sandbox, protected: &str) -> Nobody<'a> {
    let nobody = Nobody::owning(sandbox);
    if is_root() {
        sandbox.give_to("0:0", protected);
    }
    set_mode(sandbox.path(protected), 0o555);
    nobody
}

/// What is in `repo`, the lock aside: it is made once and stays.
fn content_of_repo(sandbox: &Sandbox) -> std::collections::BTreeMap<std::path::PathBuf, String> {
    let mut content = sandbox.content_of("repo");
    content.remove(&sandbox.path(LOCK));
    content
}

#[test]
fn a_hooks_directory_that_cannot_be_written_is_an_error_that_leaves_what_was_there() {
    let starts: [(&str, Prepare); 3] = [
        (OLD, |_| {}),
        (OLD, |sandbox| {
            sandbox.write_script(HOOK, format!("#!/bin/sh\n{THEIRS}\n"));
        }),
        // Of an older git: it cannot be taken away.
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
fn a_git_directory_that_cannot_be_written_is_an_error_that_leaves_what_was_there() {
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
    run.tells(&["could not edit", ".lock` file"]);
    assert_eq!(content_of_repo(&sandbox), before);
}

/// Runs `script` where `$1` is the sandbox's `disk`, a file system of 64 MiB that ends with it.
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
    // Full before the program is copied; full before the hook is written, or the config.
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
