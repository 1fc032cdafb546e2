//! `--install` and `--uninstall`, whatever hooks a clone has, and what git sees of them.

use std::fs::{self, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{PROGRAM, Run, Sandbox, has_tool};

/// A git that runs hook files alone, and the first one that runs what its config names too.
const OLD: &str = "2.53.0";
const NEW: &str = "2.54.0";

const COPY: &str = "repo/.git/worktree-ports/worktree-ports-hook";
const HOOK: &str = "repo/.git/hooks/post-checkout";

/// A hook that somebody has: it counts its runs, with their arguments, in the file `ran`.
const THEIRS: &str = "echo \"own $*\" >>\"$(dirname \"$(git rev-parse --path-format=absolute --git-common-dir)\")/../ran\"";

fn sandbox(git: &str) -> Sandbox {
    let sandbox = Sandbox::bare_of_hooks();
    sandbox.pretend_git(git);
    sandbox
}

/// Runs the hook that the clone's config names as git 2.54 runs it, in a fresh worktree.
fn run_config_hook(sandbox: &Sandbox, at: &str) -> Run {
    let get = ["config", "--get", "hook.worktree-ports.command"];
    let command = sandbox.git(at, &get).stdout;
    let command = command.strip_suffix('\n').unwrap();
    let event = ["config", "--get-all", "hook.worktree-ports.event"];
    assert_eq!(sandbox.git(at, &event).stdout, "post-checkout\n");
    let mut shell = sandbox.command("sh", at);
    shell
        .arg("-c")
        .arg(format!("{command} \"$@\""))
        .arg(command);
    shell.args(["0".repeat(40), "1".repeat(40), "1".to_owned()]);
    Sandbox::finish(shell).exits(0)
}

/// Brings something about in a sandbox.
type Prepare = fn(&Sandbox);

/// A state in which a clone may be met.
struct State {
    name: &'static str,
    /// Brings it about.
    prepare: Prepare,
    /// What `--install` exits with where git knows no config hooks.
    code_by_file: i32,
    /// Whether the hook that was there runs.
    theirs_runs: bool,
}

fn theirs(sandbox: &Sandbox, content: &str) {
    sandbox.write_script(HOOK, content);
}

const STATES: &[State] = &[
    State {
        name: "no hook",
        prepare: |_| {},
        code_by_file: 0,
        theirs_runs: false,
    },
    State {
        name: "no directory for hooks",
        prepare: |sandbox| fs::remove_dir_all(sandbox.path("repo/.git/hooks")).unwrap(),
        code_by_file: 0,
        theirs_runs: false,
    },
    State {
        name: "a script",
        prepare: |sandbox| theirs(sandbox, &format!("#!/bin/sh\n{THEIRS}\n")),
        code_by_file: 0,
        theirs_runs: true,
    },
    State {
        name: "a script of its owner alone, that stops at errors and has no newline at its end",
        prepare: |sandbox| {
            theirs(
                sandbox,
                &format!("#!/usr/bin/env -S sh -eu\n{THEIRS}\nexit 0"),
            );
            fs::set_permissions(sandbox.path(HOOK), Permissions::from_mode(0o700)).unwrap();
        },
        code_by_file: 0,
        theirs_runs: true,
    },
    State {
        name: "a script that execs",
        prepare: |sandbox| {
            theirs(
                sandbox,
                &format!("#!/bin/sh\nexec sh -c '{THEIRS}' sh \"$@\"\n"),
            );
        },
        code_by_file: 0,
        theirs_runs: true,
    },
    State {
        name: "a script of another language",
        prepare: |sandbox| theirs(sandbox, "#!/usr/bin/awk -f\nBEGIN { exit }\n"),
        code_by_file: 3,
        theirs_runs: false,
    },
    State {
        name: "a script without a first line that says whose",
        prepare: |sandbox| theirs(sandbox, "exit 0\n"),
        code_by_file: 3,
        theirs_runs: false,
    },
    State {
        name: "a binary",
        prepare: |sandbox| {
            sandbox.copy("/bin/true", HOOK);
        },
        code_by_file: 3,
        theirs_runs: false,
    },
    State {
        name: "a link to a script",
        prepare: |sandbox| {
            sandbox.write_script("shared", format!("#!/bin/sh\n{THEIRS}\n"));
            symlink(sandbox.path("shared"), sandbox.path(HOOK)).unwrap();
        },
        code_by_file: 3,
        theirs_runs: true,
    },
    State {
        name: "a link to nothing",
        prepare: |sandbox| symlink("nothing", sandbox.path(HOOK)).unwrap(),
        code_by_file: 3,
        theirs_runs: false,
    },
    State {
        name: "a directory of hooks that is a link",
        prepare: |sandbox| {
            fs::remove_dir_all(sandbox.path("repo/.git/hooks")).unwrap();
            fs::create_dir(sandbox.path("shared")).unwrap();
            symlink(sandbox.path("shared"), sandbox.path("repo/.git/hooks")).unwrap();
        },
        code_by_file: 3,
        theirs_runs: false,
    },
    State {
        name: "core.hooksPath in the working tree",
        prepare: |sandbox| {
            sandbox.write_script("repo/hooks/post-checkout", format!("#!/bin/sh\n{THEIRS}\n"));
            sandbox.git("repo", &["config", "core.hooksPath", "hooks"]);
        },
        code_by_file: 3,
        theirs_runs: true,
    },
    State {
        name: "core.hooksPath outside the clone, without a hook",
        prepare: |sandbox| {
            fs::create_dir(sandbox.path("shared")).unwrap();
            let shared = sandbox.path("shared");
            sandbox.git(
                "repo",
                &["config", "core.hooksPath", shared.to_str().unwrap()],
            );
        },
        code_by_file: 3,
        theirs_runs: false,
    },
    State {
        name: "core.hooksPath that names the clone's own directory",
        prepare: |sandbox| {
            let own = sandbox.path("repo/.git/hooks");
            sandbox.git("repo", &["config", "core.hooksPath", own.to_str().unwrap()]);
        },
        code_by_file: 0,
        theirs_runs: false,
    },
    State {
        name: "a config without a newline at its end",
        prepare: |sandbox| {
            let path = sandbox.path("repo/.git/config");
            let config = fs::read_to_string(&path).unwrap();
            fs::write(&path, config.trim_end()).unwrap();
        },
        code_by_file: 0,
        theirs_runs: false,
    },
    State {
        name: "a config that is a link, of its owner alone",
        prepare: |sandbox| {
            let path = sandbox.path("repo/.git/config");
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            fs::rename(&path, sandbox.path("repo/.git/config-elsewhere")).unwrap();
            symlink("config-elsewhere", path).unwrap();
        },
        code_by_file: 0,
        theirs_runs: false,
    },
    State {
        name: "a list of what to ignore that has no newline at its end",
        prepare: |sandbox| sandbox.write("repo/.git/info/exclude", "*.log"),
        code_by_file: 0,
        theirs_runs: false,
    },
];

/// What must be as it was once the hook is uninstalled.
fn restored(sandbox: &Sandbox) -> Vec<std::collections::BTreeMap<std::path::PathBuf, String>> {
    let mut content = sandbox.content_of("repo");
    content.retain(|path, _| {
        let in_git = path.strip_prefix(sandbox.path("repo/.git"));
        in_git.is_err()
            || in_git.is_ok_and(|path| {
                ["hooks", "config", "config-elsewhere", "info"]
                    .iter()
                    .any(|name| path.starts_with(name))
            })
    });
    let shared = sandbox.path("shared");
    let shared = shared.is_dir().then(|| sandbox.content_of(shared));
    [Some(content), shared].into_iter().flatten().collect()
}

/// What the hook that was there has counted.
fn theirs_ran(sandbox: &Sandbox) -> usize {
    let ran = fs::read_to_string(sandbox.path("ran")).unwrap_or_default();
    ran.lines()
        .filter(|line| line.starts_with("own 0000"))
        .count()
}

#[test]
fn installed_into_every_state_by_a_hook_file_it_leaves_without_a_trace() {
    for state in STATES {
        let sandbox = sandbox(OLD);
        (state.prepare)(&sandbox);
        let before = restored(&sandbox);
        let name = state.name;

        let run = sandbox.run("repo", &["--install"]);
        assert_eq!(run.code(), Some(state.code_by_file), "{name}: {run}");
        if state.code_by_file == 3 {
            assert_eq!(restored(&sandbox), before, "{name}");
            assert!(run.stdout.contains("worktree-ports-hook"), "{name}: {run}");
        } else {
            assert_eq!(run.stdout, "", "{name}");
        }
        let stamps = sandbox.stamps_of("repo");
        let again = sandbox.run("repo", &["--install"]);
        assert_eq!(
            (again.code(), again.stdout),
            (run.code(), run.stdout),
            "{name}"
        );
        assert_eq!(sandbox.stamps_of("repo"), stamps, "{name}");

        sandbox.add("a");
        assert_eq!(
            sandbox.has_port_file("a"),
            state.code_by_file == 0,
            "{name}"
        );
        assert_eq!(
            theirs_ran(&sandbox),
            usize::from(state.theirs_runs),
            "{name}"
        );

        sandbox.git("repo", &["worktree", "remove", "../a"]);
        sandbox.run("repo", &["--uninstall"]).exits(0);
        assert_eq!(restored(&sandbox), before, "{name}");
        let ours = sandbox.path("repo/.git/worktree-ports");
        if ours.exists() {
            let names = fs::read_dir(ours).unwrap();
            let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
            assert_eq!(names, ["lock"], "{name}");
        }
    }
}

#[test]
fn installed_into_every_state_by_the_config_it_touches_no_hook_and_leaves_without_a_trace() {
    for state in STATES {
        let sandbox = sandbox(NEW);
        (state.prepare)(&sandbox);
        let before = restored(&sandbox);
        let hooks = sandbox.path("repo/.git/hooks");
        let hooks_before = hooks.is_dir().then(|| sandbox.stamps_of(&hooks));
        let name = state.name;

        sandbox.run("repo", &["--install"]).exits(0);
        let stamps = sandbox.stamps_of("repo");
        sandbox.run("repo", &["--install"]).exits(0);
        assert_eq!(sandbox.stamps_of("repo"), stamps, "{name}");
        let hooks_after = hooks.is_dir().then(|| sandbox.stamps_of(&hooks));
        assert_eq!(hooks_after, hooks_before, "{name}");

        sandbox.add("a");
        run_config_hook(&sandbox, "a");
        assert_eq!(sandbox.ports("a"), [8100], "{name}");
        assert_eq!(
            theirs_ran(&sandbox),
            usize::from(state.theirs_runs),
            "{name}"
        );

        sandbox.git("repo", &["worktree", "remove", "../a"]);
        sandbox.run("repo", &["--uninstall"]).exits(0);
        assert_eq!(restored(&sandbox), before, "{name}");
    }
}

#[test]
fn uninstalled_before_any_worktree_it_leaves_no_directory() {
    for git in [OLD, NEW] {
        let sandbox = sandbox(git);
        let before = sandbox.content_of("repo");
        sandbox.run("repo", &["--install"]).exits(0);
        assert_ne!(sandbox.content_of("repo"), before);
        sandbox.run("repo", &["--uninstall"]).exits(0);
        assert_eq!(sandbox.content_of("repo"), before);
        assert!(!sandbox.path("repo/.git/worktree-ports").exists());
        let run = sandbox.run("repo", &["--uninstall"]).exits(0);
        run.tells(&["nothing was wired up"]);
    }
}

#[test]
fn it_installs_from_a_linked_worktree_into_a_bare_repository_and_into_a_submodule() {
    for git in [OLD, NEW] {
        let sandbox = sandbox(git);
        sandbox.add("linked");
        sandbox.run("linked", &["--install"]).exits(0);
        assert!(sandbox.path(COPY).is_file());

        sandbox.git(".", &["clone", "--quiet", "--bare", "repo", "bare.git"]);
        sandbox.run("bare.git", &["--install"]).exits(0);
        sandbox.git("bare.git", &["worktree", "add", "../a"]);
        if git == NEW {
            run_config_hook(&sandbox, "a");
        }
        assert_eq!(sandbox.ports("a"), [8000]);

        sandbox.git(".", &["init", "--quiet", "super"]);
        let source = sandbox.path("repo");
        let add = [
            "-c",
            "protocol.file.allow=always",
            "submodule",
            "add",
            "--quiet",
        ];
        let add: Vec<_> = add
            .into_iter()
            .map(Into::into)
            .chain([source, "sub".into()])
            .collect();
        sandbox.git("super", &add);
        sandbox.run("super/sub", &["--install"]).exits(0);
        let copy = "worktree-ports/worktree-ports-hook";
        assert!(sandbox.path("super/.git/modules/sub").join(copy).is_file());
        assert!(!sandbox.path("super/.git").join(copy).exists());
    }
}

#[test]
fn a_hook_that_cannot_run_is_an_error_that_says_so_and_changes_nothing() {
    let sandbox = sandbox(OLD);
    sandbox.write(HOOK, "#!/bin/sh\nexit 0\n");
    let before = sandbox.content_of("repo");
    let run = sandbox.run("repo", &["--install"]).exits(1);
    run.tells(&["is not executable", "chmod +x"]);
    assert_eq!(sandbox.content_of("repo"), before);
}

#[test]
fn what_to_add_is_for_the_config_that_the_manager_reads() {
    let cases = [
        ("generated by prek", "prek.toml"),
        ("generated by prek", ".pre-commit-config.yaml"),
        ("LEFTHOOK", ".lefthook.yml"),
        ("SKIP_SIMPLE_GIT_HOOKS", ".simple-git-hooks.json"),
        ("SKIP_SIMPLE_GIT_HOOKS", "package.json"),
        ("overcommit", ".overcommit.yml"),
    ];
    for (sign, config) in cases {
        let sandbox = sandbox(OLD);
        theirs(&sandbox, &format!("#!/bin/sh\n# {sign}\n"));
        sandbox.write("repo/package.json", "{}");
        sandbox.write(format!("repo/{config}"), "");
        let config = sandbox.path("repo").join(config);
        let run = sandbox.run("repo", &["--install"]).exits(3);
        run.tells(&[&format!("add this to `{}`", config.display())]);
    }
}

#[test]
fn a_newer_program_upgrades_in_place_also_while_the_old_one_runs() {
    for git in [OLD, NEW] {
        let sandbox = sandbox(git);
        sandbox.run("repo", &["--install"]).exits(0);
        sandbox.add("a");
        sandbox.run("a", &[]).exits(0);
        let hooks = sandbox.stamps_of("repo/.git/hooks");
        let config = fs::read(sandbox.path("repo/.git/config")).unwrap();

        let lock = sandbox.path("repo/.git/worktree-ports/lock");
        let lock = OpenOptions::new().write(true).open(lock).unwrap();
        lock.lock().unwrap();
        let mut old = sandbox.command(sandbox.path(COPY), "a");
        let mut old = old
            .arg("--reallocate")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();

        sandbox.copy(PROGRAM, "newer");
        let newer = "echo >>\"$1\"";
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
fn our_block_of_an_older_version_is_brought_up_to_date() {
    let older = "# >>> worktree-ports >>>\nold\n# <<< worktree-ports <<<\n";
    let before = [
        format!("#!/bin/sh\n{THEIRS}\n"),
        format!("#!/bin/sh\n{THEIRS}; : worktree-ports-hook\n"),
        "#!/bin/sh\n# The hook of worktree-ports alone: `worktree-ports-hook --uninstall` deletes this file.\n"
            .to_owned(),
    ];
    for before in before {
        let sandbox = sandbox(OLD);
        let older = before.replacen('\n', &format!("\n{older}"), 1);
        sandbox.write_script(HOOK, &older);
        sandbox.run("repo", &["--install"]).exits(0);
        let hook = fs::read_to_string(sandbox.path(HOOK)).unwrap();
        assert!(!hook.contains("\nold\n"), "{hook}");
        sandbox.add("a");
        assert_eq!(sandbox.ports("a"), [8100], "{hook}");
    }
}

#[test]
fn a_newer_git_takes_the_place_of_the_hook_file() {
    let sandbox = sandbox(OLD);
    sandbox.write_script(HOOK, format!("#!/bin/sh\n{THEIRS}\n"));
    let before = sandbox.content_of("repo/.git/hooks");
    sandbox.run("repo", &["--install"]).exits(0);
    assert_ne!(sandbox.content_of("repo/.git/hooks"), before);
    sandbox.pretend_git(NEW);
    sandbox.run("repo", &["--install"]).exits(0);
    assert_eq!(sandbox.content_of("repo/.git/hooks"), before);
    sandbox.add("a");
    run_config_hook(&sandbox, "a");
    assert_eq!(sandbox.ports("a"), [8100]);
}

#[test]
fn uninstall_finds_our_file_where_a_manager_has_moved_it() {
    for moved in ["post-checkout.legacy", "post-checkout.old"] {
        let sandbox = sandbox(OLD);
        let before = sandbox.content_of("repo/.git");
        sandbox.run("repo", &["--install"]).exits(0);
        let moved = sandbox.path("repo/.git/hooks").join(moved);
        fs::rename(sandbox.path(HOOK), &moved).unwrap();
        sandbox.run("repo", &["--uninstall"]).exits(0);
        assert_eq!(
            sandbox.content_of("repo/.git"),
            before,
            "{}",
            moved.display()
        );
    }
}

#[test]
fn what_another_adds_to_our_own_file_stays() {
    let sandbox = sandbox(OLD);
    sandbox.run("repo", &["--install"]).exits(0);
    sandbox
        .shell("echo 'echo more' >>\"$1\"", &[&sandbox.path(HOOK)])
        .exits(0);
    sandbox.run("repo", &["--uninstall"]).exits(0);
    let hook = fs::read_to_string(sandbox.path(HOOK)).unwrap();
    assert_eq!(hook, "#!/bin/sh\necho more\n");
}

#[test]
fn whatever_git_does_to_the_config_meanwhile_uninstall_takes_out_ours_alone() {
    let edits: &[&[&str]] = &[
        // The section before ours, with the mark that git takes for a part of it.
        &["--remove-section", "last"],
        &["last.more", "x"],
        &["--unset", "last.key"],
        &["--rename-section", "last", "other"],
        // Ours, and what comes behind it.
        &["hook.worktree-ports.enabled", "false"],
        &["--remove-section", "hook.worktree-ports"],
        &["behind.key", "x"],
    ];
    for (end, reinstalls) in [("\n", true), ("\n", false), ("", true), ("", false)] {
        for edit in edits {
            let sandbox = sandbox(NEW);
            let path = sandbox.path("repo/.git/config");
            let config = fs::read_to_string(&path).unwrap() + "[last]\n\tkey = value" + end;
            fs::write(&path, &config).unwrap();
            let edit = [&["config"], *edit].concat();

            // What the edit comes to without us, as git reads it.
            let list = ["config", "--local", "--list"];
            sandbox.try_git("repo", &edit);
            let expected = sandbox.git("repo", &list).stdout;
            let is_ours = |line: &&str| !line.starts_with("hook.worktree-ports.");
            let expected: Vec<&str> = expected.lines().filter(is_ours).collect();

            fs::write(&path, &config).unwrap();
            sandbox.run("repo", &["--install"]).exits(0);
            sandbox.git("repo", &edit);
            if reinstalls {
                sandbox.run("repo", &["--install"]).exits(0);
                let get = ["config", "--get-all", "hook.worktree-ports.event"];
                let event = sandbox.git("repo", &get).stdout;
                assert_eq!(event, "post-checkout\n", "{edit:?}");
            }

            sandbox.run("repo", &["--uninstall"]).exits(0);
            let after = sandbox.git("repo", &list).stdout;
            assert_eq!(after.lines().collect::<Vec<_>>(), expected, "{edit:?}");
            let text = fs::read_to_string(&path).unwrap();
            assert!(!text.contains("worktree-ports"), "{edit:?}: {text}");
        }
    }
}

#[test]
fn the_ignored_lines_stay_while_a_worktree_has_a_port_file() {
    let sandbox = sandbox(OLD);
    sandbox.write("repo/.git/info/exclude", "*.log");
    sandbox.run("repo", &["--install"]).exits(0);
    sandbox.add("a");
    sandbox
        .run("repo", &["--uninstall"])
        .exits(0)
        .tells(&["the lines in info/exclude stay", "lock` stays"]);
    assert_eq!(sandbox.git("a", &["status", "--porcelain"]).stdout, "");
    fs::remove_file(sandbox.path("a/.worktree-ports.json")).unwrap();
    sandbox.run("repo", &["--uninstall"]).exits(0);
    let exclude = fs::read_to_string(sandbox.path("repo/.git/info/exclude")).unwrap();
    assert_eq!(exclude, "*.log");
}

/// Runs the program as somebody who may not write what root owns.
fn run_unprivileged(sandbox: &Sandbox, arguments: &[&str]) -> Run {
    sandbox.copy(PROGRAM, "program");
    let program = sandbox.path("program");
    let mut command = if is_root() {
        let mut command = sandbox.command("setpriv", "repo");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        command.arg(program);
        command
    } else {
        sandbox.command(program, "repo")
    };
    command.args(arguments);
    Sandbox::finish(command)
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout == b"0\n"
}

/// Gives everything to who runs [`run_unprivileged`], but for what is named, which nobody may
/// write.
fn protect(sandbox: &Sandbox, protected: &str) {
    if is_root() {
        let give = "chown -R 65534:65534 \"$1\" && chown -R 0:0 \"$2\"";
        let paths = [&*sandbox.path("."), &*sandbox.path(protected)];
        sandbox.shell(give, &paths).exits(0);
    }
    fs::set_permissions(sandbox.path(protected), Permissions::from_mode(0o555)).unwrap();
}

#[test]
fn a_hooks_directory_that_cannot_be_written_is_an_error_that_leaves_what_was_there() {
    if is_root() && !has_tool("setpriv") {
        return;
    }
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
        let sandbox = sandbox(git);
        prepare(&sandbox);
        protect(&sandbox, "repo/.git/hooks");
        let before = sandbox.content_of("repo");
        let run = run_unprivileged(&sandbox, &["--install"]);
        // So that it can be removed, whoever runs this.
        let hooks = sandbox.path("repo/.git/hooks");
        fs::set_permissions(hooks, Permissions::from_mode(0o755)).unwrap();
        run.exits(1).tells(&["could not", "post-checkout"]);
        assert_eq!(sandbox.content_of("repo"), before);
    }
}

#[test]
fn a_git_directory_that_cannot_be_written_is_an_error_that_leaves_what_was_there() {
    if is_root() && !has_tool("setpriv") {
        return;
    }
    let sandbox = sandbox(NEW);
    protect(&sandbox, "repo/.git");
    let before = sandbox.content_of("repo");
    let mut command = sandbox.command("git", "repo");
    command.args(["config", "--global", "--add", "safe.directory", "*"]);
    Sandbox::finish(command).exits(0);
    make_readable(&sandbox.path("home/.gitconfig"));
    let run = run_unprivileged(&sandbox, &["--install"]);
    fs::set_permissions(sandbox.path("repo/.git"), Permissions::from_mode(0o755)).unwrap();
    run.exits(1).tells(&["could not write"]);
    assert_eq!(sandbox.content_of("repo"), before);
}

fn make_readable(path: &Path) {
    fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
}

#[test]
fn a_config_that_git_has_locked_is_an_error_that_leaves_what_was_there() {
    let sandbox = sandbox(NEW);
    sandbox.write("repo/.git/config.lock", "");
    let before = sandbox.content_of("repo");
    let run = sandbox.run("repo", &["--install"]).exits(1);
    run.tells(&["could not write the config", "config.lock"]);
    assert_eq!(sandbox.content_of("repo"), before);
    assert!(!sandbox.path("repo/.git/worktree-ports").exists());
}

/// Runs `script` where `$1` is the sandbox's `disk`, a file system of 64 MiB that ends with it.
fn on_small_disk(sandbox: &Sandbox, script: &str) -> Option<Run> {
    fs::create_dir(sandbox.path("disk")).unwrap();
    let mounts = "mount -t tmpfs -o size=64m none \"$1\"";
    let try_it = ["--mount", "--map-root-user", "sh", "-c", mounts, "sh"];
    let mut command = sandbox.command("unshare", ".");
    command.args(try_it).arg(sandbox.path("disk"));
    if !has_tool("unshare") {
        return None;
    }
    if !command.output().is_ok_and(|output| output.status.success()) {
        assert!(
            std::env::var_os("CI").is_none(),
            "CI lets nothing be mounted"
        );
        // Past the test harness, which keeps what a passing test prints to itself.
        let _ = writeln!(std::io::stderr(), "skipped: nothing can be mounted here");
        return None;
    }
    let mut command = sandbox.command("unshare", ".");
    let script = format!("set -e; {mounts}; {script}");
    command.args(["--mount", "--map-root-user", "sh", "-c", &script, "sh"]);
    command.arg(sandbox.path("disk")).arg(PROGRAM);
    Some(Sandbox::finish(command))
}

#[test]
fn a_full_disk_is_an_error_that_leaves_what_was_there() {
    // Full before the program is copied; full before the hook is written, or the config.
    let program_first = "\"$2\" --install; \"$2\" --uninstall; mkdir .git/worktree-ports; \
                         cp \"$2\" .git/worktree-ports/worktree-ports-hook;";
    for git in [OLD, NEW] {
        for first in ["", program_first] {
            let sandbox = sandbox(git);
            let script = format!(
                "cp -R repo \"$1/repo\"; cd \"$1/repo\"; {first}\
                 list() {{ find .git | sort | xargs -d '\\n' ls -ld --time-style=+; cat .git/config; }};
                 dd if=/dev/zero of=../fill 2>/dev/null || :; list >/dev/shm/$$.before;
                 code=0; \"$2\" --install || code=$?; list >/dev/shm/$$.after;
                 same=0; cmp /dev/shm/$$.before /dev/shm/$$.after || same=$?;
                 rm /dev/shm/$$.before /dev/shm/$$.after; echo \"install $code, cmp $same\""
            );
            let Some(run) = on_small_disk(&sandbox, &script) else {
                return;
            };
            assert!(
                run.stdout.contains("install 1, cmp 0"),
                "{git} {first}: {run}"
            );
            run.tells(&["could not write", "No space left on device"]);
        }
    }
}

/// The ways in which our hook comes to run, each with a clone in which it does.
fn wired(git: &str) -> Sandbox {
    let sandbox = sandbox(git);
    sandbox.run("repo", &["--install"]).exits(0);
    sandbox
}

/// `git worktree add`, and what the hook told.
fn add_by(sandbox: &Sandbox, git: &str, name: &str) -> Run {
    let run = sandbox.add(name);
    if git == NEW && !sandbox.has_port_file(name) {
        return run_config_hook(sandbox, name);
    }
    run
}

#[test]
fn git_goes_on_and_one_line_says_what_to_run_whatever_becomes_of_the_program() {
    let deaths: [(&str, Prepare, &str); 5] = [
        (
            "deleted",
            |sandbox| fs::remove_file(sandbox.path(COPY)).unwrap(),
            "is gone",
        ),
        (
            "not executable",
            |sandbox| {
                fs::set_permissions(sandbox.path(COPY), Permissions::from_mode(0o644)).unwrap();
            },
            "is gone",
        ),
        (
            "killed",
            |sandbox| sandbox.write_script(COPY, "#!/bin/sh\nkill -KILL $$\n"),
            "did not run",
        ),
        (
            "failing",
            |sandbox| sandbox.write_script(COPY, "#!/bin/sh\nexit 7\n"),
            "did not run",
        ),
        (
            "of another architecture",
            |sandbox| {
                // e_machine: one that nobody has.
                let other =
                    "printf '\\377\\376' | dd of=\"$1\" bs=1 seek=18 conv=notrunc 2>/dev/null";
                sandbox.shell(other, &[&sandbox.path(COPY)]).exits(0);
            },
            "did not run",
        ),
    ];
    for git in [OLD, NEW] {
        for (what, kill, told) in deaths {
            let sandbox = wired(git);
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
                lines[0].contains("run `worktree-ports-hook --install`"),
                "{what}: {run}"
            );
            assert!(!sandbox.has_port_file("a"));
            sandbox.git("a", &["checkout", "--quiet", "--detach"]);
        }
    }
}

#[test]
fn a_clone_that_was_moved_goes_on_as_before() {
    for git in [OLD, NEW] {
        let sandbox = wired(git);
        fs::rename(sandbox.path("repo"), sandbox.path("else where")).unwrap();
        sandbox.git("else where", &["worktree", "add", "../a"]);
        if git == NEW && !sandbox.has_port_file("a") {
            run_config_hook(&sandbox, "a").tells(&["cloud 8100"]);
        }
        assert_eq!(sandbox.ports("a"), [8100]);
    }
}

#[test]
fn no_path_is_too_odd() {
    for odd in [
        "a b",
        "'",
        "\"",
        "$HOME",
        "`id`",
        "\\",
        "new\nline",
        "tab\there",
        "%s;#é",
    ] {
        for git in [OLD, NEW] {
            let sandbox = sandbox(git);
            let repo = Path::new(odd).join("repo");
            fs::create_dir(sandbox.path(odd)).unwrap();
            fs::rename(sandbox.path("repo"), sandbox.path(&repo)).unwrap();
            let before = fs::read(sandbox.path(&repo).join(".git/config")).unwrap();
            sandbox.run(&repo, &["--install"]).exits(0);
            sandbox.git(&repo, &["worktree", "add", "../../a"]);
            if git == NEW && !sandbox.has_port_file("a") {
                run_config_hook(&sandbox, "a").tells(&["cloud 8100"]);
            }
            assert_eq!(sandbox.ports("a"), [8100], "{odd:?}");
            sandbox.run(&repo, &["--uninstall"]).exits(0);
            assert_eq!(
                fs::read(sandbox.path(&repo).join(".git/config")).unwrap(),
                before
            );
        }
    }
}

#[test]
fn without_git_on_the_path_install_says_that_it_needs_it() {
    let sandbox = Sandbox::bare_of_hooks();
    let before = sandbox.content_of("repo");
    let mut command = sandbox.command(PROGRAM, "repo");
    command.arg("--install").env("PATH", sandbox.path("home"));
    Sandbox::finish(command)
        .exits(1)
        .tells(&["need git on the PATH"]);
    assert_eq!(sandbox.content_of("repo"), before);
}

/// `install.sh` with a cargo that notes its arguments and installs the program under test.
fn install_sh(sandbox: &Sandbox, at: &str, arguments: &[&str]) -> Run {
    sandbox.write_script(
        "bin/cargo",
        format!(
            "#!/bin/sh\nprintf '%s\\n' \"$@\" >'{}'\nmkdir -p \"$HOME/.cargo/bin\"\n\
             cp '{PROGRAM}' \"$HOME/.cargo/bin/\"\n",
            sandbox.path("cargo-arguments").display()
        ),
    );
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("install.sh");
    let mut command = sandbox.command(script, at);
    command.args(arguments);
    command
        .env_remove("CARGO_HOME")
        .env_remove("CARGO_INSTALL_ROOT");
    Sandbox::finish(command)
}

#[test]
fn install_sh_installs_from_its_own_directory_and_wires_up_the_clone() {
    for (at, arguments) in [
        ("repo", &[] as &[&str]),
        (".", &["repo"]),
        ("repo/deep", &[]),
    ] {
        let sandbox = sandbox(OLD);
        fs::create_dir(sandbox.path("repo/deep")).unwrap();
        let run = install_sh(&sandbox, at, arguments).exits(0);
        run.tells(&["is not on your PATH", "the hook is wired up by"]);
        let told = fs::read(sandbox.path("cargo-arguments")).unwrap();
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).as_os_str().as_bytes();
        assert_eq!(
            told,
            [b"install\n--locked\n--path\n", directory, b"\n"].concat()
        );
        sandbox.add("a");
        assert_eq!(sandbox.ports("a"), [8100]);
    }
}

#[test]
fn install_sh_says_what_is_wrong_before_it_builds() {
    let sandbox = sandbox(OLD);
    let run = install_sh(&sandbox, ".", &[]).exits(1);
    run.tells(&["is not in a git repository", "install.sh CLONE"]);
    install_sh(&sandbox, ".", &["repo", "repo"])
        .exits(2)
        .tells(&["usage"]);
    install_sh(&sandbox, ".", &["nowhere"]).exits(1);
    assert!(!sandbox.path("cargo-arguments").exists());
    // What is in the way is told by its exit status.
    sandbox.write_script(HOOK, "#!/usr/bin/awk -f\nBEGIN { exit }\n");
    install_sh(&sandbox, "repo", &[]).exits(3);
}
