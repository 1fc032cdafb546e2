//! What happens to an installed hook over time.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;

use crate::support::hooks::{
    COPY, HOOK, NEW, OLD, Prepare, THEIRS, run_config_hook, sandbox_with_git,
};
use crate::support::{PROGRAM, Run, Sandbox, set_mode};

/// A sandbox in which the program is installed.
fn installed(git: &str) -> Sandbox {
    let sandbox = sandbox_with_git(git);
    sandbox.run("repo", &["--install"]).exits(0);
    sandbox
}

/// Runs `git worktree add`, and returns what the hook printed.
fn add_by(sandbox: &Sandbox, git: &str, name: &str) -> Run {
    let run = sandbox.add(name);
    if git == NEW && !sandbox.has_port_file(name) {
        return run_config_hook(sandbox, name);
    }
    run
}

#[test]
fn without_the_program_git_continues_and_one_line_says_what_to_run() {
    let deaths: [(&str, Prepare, &str); 5] = [
        (
            "deleted",
            |sandbox| fs::remove_file(sandbox.path(COPY)).unwrap(),
            "could not run",
        ),
        (
            "not executable",
            |sandbox| {
                set_mode(sandbox.path(COPY), 0o644);
            },
            "could not run",
        ),
        (
            "killed",
            |sandbox| sandbox.write_script(COPY, "#!/bin/sh\nkill -KILL $$\n"),
            "could not run",
        ),
        (
            "failing",
            |sandbox| sandbox.write_script(COPY, "#!/bin/sh\nexit 7\n"),
            "could not run",
        ),
        (
            "of another architecture",
            |sandbox| {
                // An unknown e_machine.
                let other =
                    "printf '\\377\\376' | dd of=\"$1\" bs=1 seek=18 conv=notrunc 2>/dev/null";
                sandbox.shell(other, &[&sandbox.path(COPY)]).exits(0);
            },
            "could not run",
        ),
    ];
    for git in [OLD, NEW] {
        for (what, kill, told) in deaths {
            let sandbox = installed(git);
            kill(&sandbox);
            let run = add_by(&sandbox, git, "a");
            let lines: Vec<&str> = run
                .stderr
                .lines()
                .filter(|line| line.starts_with("worktree-ports: "))
                .collect();
            assert_eq!(lines.len(), 1, "{what}: {run}");
            assert!(lines[0].contains(told), "{what}: {run}");
            assert!(
                lines[0].contains("run `worktree-ports-hook -C ")
                    && lines[0].contains("--install`"),
                "{what}: {run}"
            );
            assert!(!sandbox.has_port_file("a"));
            sandbox.git("a", &["checkout", "--quiet", "--detach"]);
        }
    }
}

#[test]
fn a_moved_clone_works_as_before() {
    for git in [OLD, NEW] {
        let sandbox = installed(git);
        fs::rename(sandbox.path("repo"), sandbox.path("else where")).unwrap();
        sandbox.git("else where", &["worktree", "add", "../a"]);
        if git == NEW && !sandbox.has_port_file("a") {
            run_config_hook(&sandbox, "a").tells(&[&sandbox.with_ports("cloud @1")]);
        }
        assert_eq!(sandbox.ports("a"), [sandbox.port(1)]);
    }
}

#[test]
fn the_hook_works_at_any_path() {
    for odd in [
        "a b",
        "'",
        r#"""#,
        "$HOME",
        "`id`",
        "\\",
        "new\nline",
        "tab\there",
        "%s;#é",
    ] {
        for git in [OLD, NEW] {
            let sandbox = sandbox_with_git(git);
            let repo = Path::new(odd).join("repo");
            fs::create_dir(sandbox.path(odd)).unwrap();
            fs::rename(sandbox.path("repo"), sandbox.path(&repo)).unwrap();
            let before = fs::read(sandbox.path(&repo).join(".git/config")).unwrap();
            sandbox.run(&repo, &["--install"]).exits(0);
            sandbox.git(&repo, &["worktree", "add", "../../a"]);
            if git == NEW && !sandbox.has_port_file("a") {
                run_config_hook(&sandbox, "a").tells(&[&sandbox.with_ports("cloud @1")]);
            }
            assert_eq!(sandbox.ports("a"), [sandbox.port(1)], "{odd:?}");
            sandbox.run(&repo, &["--uninstall"]).exits(0);
            assert_eq!(
                fs::read(sandbox.path(&repo).join(".git/config")).unwrap(),
                before
            );
        }
    }
}

#[test]
fn a_newer_program_upgrades_in_place_even_while_the_old_one_runs() {
    for git in [OLD, NEW] {
        let sandbox = installed(git);
        sandbox.add("a");
        sandbox.run("a", &[]).exits(0);
        let hooks = sandbox.stamps_of("repo/.git/hooks");
        let config = fs::read(sandbox.path("repo/.git/config")).unwrap();

        // It waits for the lock of another clone, because `--install` would have to wait for this
        // one's.
        sandbox.git(".", &["init", "--quiet", "other"]);
        sandbox.run("other", &[]).exits(0);
        let lock = File::options()
            .write(true)
            .open(sandbox.path("other/.git/worktree-ports/lock"))
            .unwrap();
        lock.lock().unwrap();
        let mut old = sandbox.command(sandbox.path(COPY), "other");
        let mut old = old
            .arg("--reallocate")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();

        sandbox.copy(PROGRAM, "newer");
        let newer = r#"echo >>"$1""#;
        sandbox.shell(newer, &[&sandbox.path("newer")]).exits(0);
        let mut install = sandbox.command(sandbox.path("newer"), "repo");
        install.arg("--install");
        Sandbox::finish(install).exits(0);
        assert!(fs::read(sandbox.path(COPY)).unwrap().ends_with(b"\n"));
        assert_eq!(sandbox.stamps_of("repo/.git/hooks"), hooks);
        assert_eq!(fs::read(sandbox.path("repo/.git/config")).unwrap(), config);
        drop(lock);
        assert!(old.wait().unwrap().success());
    }
}

#[test]
fn the_block_of_an_older_version_is_updated() {
    let older = "# >>> worktree-ports >>>\nold\n# <<< worktree-ports <<<\n";
    let before = [
        format!("#!/bin/sh\n{THEIRS}\n"),
        format!("#!/bin/sh\n{THEIRS}; : worktree-ports-hook\n"),
        "#!/bin/sh\n# Installed by `worktree-ports-hook --install`; `worktree-ports-hook --uninstall` deletes this file.\n"
            .to_owned(),
    ];
    for before in before {
        let sandbox = sandbox_with_git(OLD);
        let older = before.replacen('\n', &format!("\n{older}"), 1);
        sandbox.write_script(HOOK, &older);
        sandbox.run("repo", &["--install"]).exits(0);
        let hook = fs::read_to_string(sandbox.path(HOOK)).unwrap();
        assert!(!hook.contains("\nold\n"), "{hook}");
        sandbox.add("a");
        assert_eq!(sandbox.ports("a"), [sandbox.port(1)], "{hook}");
    }
}

#[test]
fn with_a_newer_git_the_config_replaces_the_hook_file() {
    let sandbox = sandbox_with_git(OLD);
    sandbox.write_script(HOOK, format!("#!/bin/sh\n{THEIRS}\n"));
    let before = sandbox.content_of("repo/.git/hooks");
    sandbox.run("repo", &["--install"]).exits(0);
    assert_ne!(sandbox.content_of("repo/.git/hooks"), before);
    sandbox.pretend_git(NEW);
    sandbox.run("repo", &["--install"]).exits(0);
    assert_eq!(sandbox.content_of("repo/.git/hooks"), before);
    sandbox.add("a");
    run_config_hook(&sandbox, "a");
    assert_eq!(sandbox.ports("a"), [sandbox.port(1)]);
}
