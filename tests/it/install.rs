//! `--install` and `--uninstall` with whatever hooks a clone has, and what git sees of them.

use std::fs;
use std::os::unix::fs::symlink;

use crate::support::hooks::{
    COPY, HOOK, NEW, OLD, Prepare, THEIRS, run_config_hook, sandbox_with_git,
};
use crate::support::{LOCK, PROGRAM, Sandbox, set_mode};

/// A state in which a clone may be.
struct State {
    name: &'static str,
    /// Sets it up.
    prepare: Prepare,
    /// What `--install` exits with if git does not support hooks in its config.
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
        name: "no hooks directory",
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
        name: "a script for its owner only that stops at errors and ends without a newline",
        prepare: |sandbox| {
            theirs(
                sandbox,
                &format!("#!/usr/bin/env -S sh -eu\n{THEIRS}\nexit 0"),
            );
            set_mode(sandbox.path(HOOK), 0o700);
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
        name: "a script in another language",
        prepare: |sandbox| theirs(sandbox, "#!/usr/bin/awk -f\nBEGIN { exit }\n"),
        code_by_file: 3,
        theirs_runs: false,
    },
    State {
        name: "a script without a shebang line",
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
        name: "a broken link",
        prepare: |sandbox| symlink("nothing", sandbox.path(HOOK)).unwrap(),
        code_by_file: 3,
        theirs_runs: false,
    },
    State {
        name: "a hooks directory that is a link",
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
        name: "a config that ends without a newline",
        prepare: |sandbox| {
            let path = sandbox.path("repo/.git/config");
            let config = fs::read_to_string(&path).unwrap();
            fs::write(&path, config.trim_end()).unwrap();
        },
        code_by_file: 0,
        theirs_runs: false,
    },
    State {
        name: "a config for its owner only that is a link",
        prepare: |sandbox| {
            let path = sandbox.path("repo/.git/config");
            set_mode(&path, 0o600);
            fs::rename(&path, sandbox.path("repo/.git/config-elsewhere")).unwrap();
            symlink("config-elsewhere", path).unwrap();
        },
        code_by_file: 0,
        theirs_runs: false,
    },
    State {
        name: "an exclude file that ends without a newline",
        prepare: |sandbox| sandbox.write("repo/.git/info/exclude", "*.log"),
        code_by_file: 0,
        theirs_runs: false,
    },
];

/// What must be the same after the hook is uninstalled.
fn restored(sandbox: &Sandbox) -> Vec<std::collections::BTreeMap<std::path::PathBuf, String>> {
    let mut content = sandbox.content_of("repo");
    content.retain(|path, _| {
        let in_git = path.strip_prefix(sandbox.path("repo/.git"));
        in_git.is_err()
            || in_git.is_ok_and(|path| ["hooks", "info"].iter().any(|name| path.starts_with(name)))
    });
    let shared = sandbox.path("shared");
    let shared = shared.is_dir().then(|| sandbox.content_of(shared));
    // git keeps a config's settings, but ends an unterminated last line with a newline.
    let settings = sandbox.git("repo", &["config", "--local", "--list"]).stdout;
    let settings = [(sandbox.path("repo/.git/config"), settings)].into();
    [Some(content), shared, Some(settings)]
        .into_iter()
        .flatten()
        .collect()
}

/// How often the hook that was there has run.
fn theirs_ran(sandbox: &Sandbox) -> usize {
    let ran = fs::read_to_string(sandbox.path("ran")).unwrap_or_default();
    ran.lines()
        .filter(|line| line.starts_with("own 0000"))
        .count()
}

#[test]
fn a_hook_file_leaves_no_trace_in_any_state_of_the_clone() {
    for state in STATES {
        let sandbox = sandbox_with_git(OLD);
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
fn a_hook_in_the_config_touches_no_hook_file_and_leaves_no_trace() {
    for state in STATES {
        let sandbox = sandbox_with_git(NEW);
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
        assert_eq!(sandbox.ports("a"), [sandbox.port(1)], "{name}");
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
fn uninstall_before_the_first_worktree_leaves_only_the_lock() {
    for git in [OLD, NEW] {
        let sandbox = sandbox_with_git(git);
        let before = sandbox.content_of("repo");
        sandbox.run("repo", &["--install"]).exits(0);
        assert_ne!(sandbox.content_of("repo"), before);
        let run = sandbox.run("repo", &["--uninstall"]).exits(0);
        run.tells(&["kept `", "two processes hold the lock"]);
        let mut after = sandbox.content_of("repo");
        assert!(after.remove(&sandbox.path(LOCK)).is_some());
        assert_eq!(after, before);
        let run = sandbox.run("repo", &["--uninstall"]).exits(0);
        run.tells(&["nothing was installed"]);
    }
}

#[test]
fn install_works_in_linked_worktrees_and_bare_repositories() {
    for git in [OLD, NEW] {
        let sandbox = sandbox_with_git(git);
        sandbox.add("linked");
        sandbox.run("linked", &["--install"]).exits(0);
        assert!(sandbox.path(COPY).is_file());

        sandbox.commit_config("repo");
        sandbox.git(".", &["clone", "--quiet", "--bare", "repo", "bare.git"]);
        sandbox.run("bare.git", &["--install"]).exits(0);
        sandbox.git("bare.git", &["worktree", "add", "../a"]);
        if git == NEW {
            run_config_hook(&sandbox, "a");
        }
        assert_eq!(sandbox.ports("a"), [sandbox.port(0)]);

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
fn the_snippet_is_for_the_config_that_the_manager_reads() {
    let cases = [
        ("generated by prek", "prek.toml"),
        ("generated by prek", ".pre-commit-config.yaml"),
        ("LEFTHOOK", ".lefthook.yml"),
        ("SKIP_SIMPLE_GIT_HOOKS", ".simple-git-hooks.json"),
        ("SKIP_SIMPLE_GIT_HOOKS", "package.json"),
        ("overcommit", ".overcommit.yml"),
    ];
    for (sign, config) in cases {
        let sandbox = sandbox_with_git(OLD);
        theirs(&sandbox, &format!("#!/bin/sh\n# {sign}\n"));
        sandbox.write("repo/package.json", "{}");
        sandbox.write(format!("repo/{config}"), "");
        let config = sandbox.path("repo").join(config);
        let run = sandbox.run("repo", &["--install"]).exits(3);
        run.tells(&[&format!("add this to `{}`", config.display())]);
    }
}

#[test]
fn uninstall_finds_our_file_where_a_manager_has_moved_it() {
    for moved in ["post-checkout.legacy", "post-checkout.old"] {
        let sandbox = sandbox_with_git(OLD);
        let before = sandbox.content_of("repo/.git");
        sandbox.run("repo", &["--install"]).exits(0);
        let moved = sandbox.path("repo/.git/hooks").join(moved);
        fs::rename(sandbox.path(HOOK), &moved).unwrap();
        sandbox.run("repo", &["--uninstall"]).exits(0);
        let mut after = sandbox.content_of("repo/.git");
        after.remove(&sandbox.path(LOCK));
        assert_eq!(after, before, "{}", moved.display());
    }
}

#[test]
fn lines_that_others_add_to_our_hook_file_stay() {
    let sandbox = sandbox_with_git(OLD);
    sandbox.run("repo", &["--install"]).exits(0);
    sandbox
        .shell(r#"echo 'echo more' >>"$1""#, &[&sandbox.path(HOOK)])
        .exits(0);
    sandbox.run("repo", &["--uninstall"]).exits(0);
    let hook = fs::read_to_string(sandbox.path(HOOK)).unwrap();
    assert_eq!(hook, "#!/bin/sh\necho more\n");
}

#[test]
fn whatever_git_edits_meanwhile_uninstall_removes_only_our_keys() {
    let edits: &[&[&str]] = &[
        // The section before ours, including our mark, which git takes for a part of it.
        &["--remove-section", "last"],
        &["last.more", "x"],
        &["--unset", "last.key"],
        &["--rename-section", "last", "other"],
        // Our section, and what follows it.
        &["hook.worktree-ports.enabled", "false"],
        &["--remove-section", "hook.worktree-ports"],
        &["behind.key", "x"],
    ];
    for (end, reinstalls) in [("\n", true), ("\n", false), ("", true), ("", false)] {
        for edit in edits {
            let sandbox = sandbox_with_git(NEW);
            let path = sandbox.path("repo/.git/config");
            let config = fs::read_to_string(&path).unwrap() + "[last]\n\tkey = value" + end;
            fs::write(&path, &config).unwrap();
            let edit = [&["config"], *edit].concat();

            // What git reads after the same edit without us.
            let list = ["config", "--local", "--list"];
            sandbox.try_git("repo", &edit);
            let expected = sandbox.git("repo", &list).stdout;
            let ours = ["hook.worktree-ports.command", "hook.worktree-ports.event"];
            let is_ours = |line: &&str| !ours.iter().any(|key| line.starts_with(key));
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
            assert!(!text.contains("worktree-ports-hook"), "{edit:?}: {text}");
        }
    }
}

#[test]
fn the_exclude_lines_stay_while_a_worktree_has_a_port_file() {
    let sandbox = sandbox_with_git(OLD);
    sandbox.write("repo/.git/info/exclude", "*.log");
    sandbox.run("repo", &["--install"]).exits(0);
    sandbox.add("a");
    sandbox.run("repo", &["--uninstall"]).exits(0).tells(&[
        "info/exclude`: they hide these files of worktrees: ",
        "two processes hold the lock",
    ]);
    assert_eq!(sandbox.git("a", &["status", "--porcelain"]).stdout, "");
    fs::remove_file(sandbox.path("a/.worktree-ports.json")).unwrap();
    sandbox.run("repo", &["--uninstall"]).exits(0);
    let exclude = fs::read_to_string(sandbox.path("repo/.git/info/exclude")).unwrap();
    assert_eq!(exclude, "*.log");
}

#[test]
fn a_second_install_says_that_it_is_installed_already() {
    for git in [OLD, NEW] {
        let sandbox = sandbox_with_git(git);
        sandbox
            .run("repo", &["--install"])
            .exits(0)
            .tells(&["installed the hook in `"]);
        let run = sandbox.run("repo", &["--install"]).exits(0);
        assert!(
            run.stderr
                .starts_with("worktree-ports: already installed in `"),
            "{run}"
        );
        // Whatever is missing is installed again, and the message says so.
        for missing in [COPY, if git == OLD { HOOK } else { COPY }] {
            fs::remove_file(sandbox.path(missing)).unwrap();
            let run = sandbox.run("repo", &["--install"]).exits(0);
            assert!(run.stderr.contains("installed the hook in `"), "{run}");
        }
        sandbox
            .run("repo", &["--install"])
            .exits(0)
            .tells(&["already installed"]);
        let share = sandbox.run("repo", &["--install", "--share"]).exits(0);
        assert!(!share.stderr.contains("already installed"), "{share}");
    }
}

#[test]
fn install_says_how_many_worktrees_have_no_ports_yet() {
    let sandbox = sandbox_with_git(OLD);
    sandbox.add("a");
    sandbox.add("b");
    let run = sandbox.run("a", &["--install"]).exits(0);
    let last = run.stderr.lines().last().unwrap();
    assert!(last.contains("3 worktrees have no ports yet"), "{run}");
    let all = last.split('`').nth(1).unwrap();
    symlink(PROGRAM, sandbox.path("bin/worktree-ports-hook")).unwrap();
    sandbox.shell(all, &[]).exits(0);
    let run = sandbox.run("a", &["--install"]).exits(0);
    assert!(!run.stderr.contains("no ports yet"), "{run}");
}

#[test]
fn install_names_the_hook_file_that_the_config_replaces() {
    let sandbox = sandbox_with_git(OLD);
    sandbox.run("repo", &["--install"]).exits(0);
    sandbox.pretend_git(NEW);
    let run = sandbox.run("repo", &["--install"]).exits(0);
    run.tells(&[
        "installed the hook in `",
        ".git/config`",
        "removed the hook from `",
        "hooks/post-checkout`",
    ]);
    assert!(!sandbox.path(HOOK).exists());
}

#[test]
fn in_a_submodule_install_and_all_do_not_send_you_back_and_forth() {
    let sandbox = sandbox_with_git(OLD);
    let source = sandbox.path("repo").display().to_string();
    sandbox.git(".", &["init", "--quiet", "super"]);
    let add = [
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "--quiet",
        "add",
    ];
    sandbox.git("super", &[&add[..], &[&source, "sub"]].concat());
    let run = sandbox.run("super/sub", &["--install"]).exits(0);
    assert!(!run.stderr.contains("--all"), "{run}");
    let run = run.tells(&["this is a submodule", "super`"]);
    let superproject = run.stderr.rsplit('`').nth(1).unwrap();
    symlink(PROGRAM, sandbox.path("bin/worktree-ports-hook")).unwrap();
    sandbox.shell(superproject, &[]).exits(0);
    assert!(
        sandbox
            .path("super/.git/worktree-ports/worktree-ports-hook")
            .exists()
    );

    // A linked worktree of the submodule has its own ports, and the command in the message assigns
    // them.
    sandbox.commit_config("repo");
    sandbox.git(
        "super/sub",
        &["worktree", "add", "--no-checkout", "-q", "../../linked"],
    );
    let run = sandbox.run("super/sub", &["--install"]).exits(0);
    let run = run.tells(&["1 worktree has no ports yet"]);
    let all = run.stderr.rsplit('`').nth(1).unwrap();
    sandbox.shell(all, &[]).exits(0);
    assert!(sandbox.has_port_file("linked"), "{all}");
}
