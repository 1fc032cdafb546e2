//! Beside real hook managers, as `.ci/tools` fetches them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::hooks::{COPY, HOOK, NEW, OLD, run_config_hook, sandbox_with_git};
use crate::support::{Run, Sandbox, tool};

/// A hook manager, with a command of its user's that appends a line to the file `ran`.
struct Manager {
    tool: &'static str,
    /// The path of its config.
    config: &'static str,
    configured: &'static str,
    /// The command that installs it, any number of times.
    install: &'static [&'static str],
    /// The config after the user has added the printed snippet to it.
    with_snippet: fn(&str, &str) -> String,
    /// Whether its hooks run in a linked worktree; husky's need files that are not there.
    serves_linked: bool,
}

const MANAGERS: &[Manager] = &[
    Manager {
        tool: "husky",
        config: ".husky/post-checkout",
        configured: "echo own >>../ran\n",
        install: &["husky"],
        with_snippet: |config, snippet| config.to_owned() + snippet,
        serves_linked: false,
    },
    Manager {
        tool: "lefthook",
        config: "lefthook.yml",
        configured: "post-checkout:\n  commands:\n    own:\n      run: echo own >>../ran\n",
        install: &["lefthook", "install"],
        with_snippet: |config, snippet| {
            let below = snippet
                .strip_prefix("post-checkout:\n  commands:\n")
                .unwrap();
            config.to_owned() + below
        },
        serves_linked: true,
    },
    Manager {
        tool: "simple-git-hooks",
        config: "package.json",
        configured: r#"{"simple-git-hooks": {"post-checkout": "echo own >>../ran"}}"#,
        install: &["simple-git-hooks"],
        with_snippet: |config, snippet| {
            let mut config: Value = serde_json::from_str(config).unwrap();
            let snippet: Value = serde_json::from_str(&format!("{{{snippet}}}")).unwrap();
            let ours = snippet["simple-git-hooks"]["post-checkout"]
                .as_str()
                .unwrap();
            let command = &mut config["simple-git-hooks"]["post-checkout"];
            *command = format!("{}; {ours}", command.as_str().unwrap()).into();
            config.to_string()
        },
        serves_linked: true,
    },
    Manager {
        tool: "pre-commit",
        config: ".pre-commit-config.yaml",
        configured: PRE_COMMIT_CONFIG,
        install: &["pre-commit", "install", "--hook-type=post-checkout"],
        with_snippet: |config, snippet| config.to_owned() + snippet,
        serves_linked: true,
    },
    Manager {
        tool: "prek",
        config: ".pre-commit-config.yaml",
        configured: PRE_COMMIT_CONFIG,
        install: &["prek", "install", "--hook-type=post-checkout"],
        with_snippet: |config, snippet| config.to_owned() + snippet,
        serves_linked: true,
    },
];

/// The same with configs in other formats.
const OTHER_FORMATS: &[Manager] = &[
    Manager {
        tool: "lefthook",
        config: "lefthook.toml",
        configured: "[post-checkout.commands.own]\nrun = 'echo own >>../ran'\n",
        install: &["lefthook", "install"],
        with_snippet: |config, snippet| config.to_owned() + snippet,
        serves_linked: true,
    },
    Manager {
        tool: "lefthook",
        config: ".lefthook.json",
        configured: r#"{"post-checkout": {"commands": {"own": {"run": "echo own >>../ran"}}}}"#,
        install: &["lefthook", "install"],
        with_snippet: |config, snippet| {
            let mut config: Value = serde_json::from_str(config).unwrap();
            let snippet: Value = serde_json::from_str(&format!("{{{snippet}}}")).unwrap();
            let ours = &snippet["post-checkout"]["commands"]["worktree-ports"];
            config["post-checkout"]["commands"]["worktree-ports"] = ours.clone();
            config.to_string()
        },
        serves_linked: true,
    },
    Manager {
        tool: "simple-git-hooks",
        config: ".simple-git-hooks.json",
        configured: r#"{"post-checkout": "echo own >>../ran"}"#,
        install: &["simple-git-hooks"],
        with_snippet: |config, snippet| {
            let mut config: Value = serde_json::from_str(config).unwrap();
            let snippet: Value = serde_json::from_str(&format!("{{{snippet}}}")).unwrap();
            let ours = snippet["post-checkout"].as_str().unwrap();
            let command = &mut config["post-checkout"];
            *command = format!("{}; {ours}", command.as_str().unwrap()).into();
            config.to_string()
        },
        serves_linked: true,
    },
    Manager {
        tool: "prek",
        config: "prek.toml",
        configured: PREK_CONFIG,
        install: &["prek", "install", "--hook-type=post-checkout"],
        with_snippet: |config, snippet| config.to_owned() + snippet,
        serves_linked: true,
    },
];

const PREK_CONFIG: &str = "\
[[repos]]
repo = 'local'

[[repos.hooks]]
id = 'own'
name = 'own'
language = 'system'
stages = ['post-checkout']
always_run = true
pass_filenames = false
entry = \"sh -c 'echo own >>../ran'\"
";

const PRE_COMMIT_CONFIG: &str = "\
repos:
  - repo: local
    hooks:
      - id: own
        name: own
        language: system
        stages: [post-checkout]
        always_run: true
        pass_filenames: false
        entry: sh -c 'echo own >>../ran'
";

impl Manager {
    fn get(name: &str) -> &'static Manager {
        let mut managers = MANAGERS.iter();
        managers.find(|manager| manager.tool == name).unwrap()
    }

    /// A repository whose history has the manager's config, but where it does not run yet.
    fn sandbox(&self, git: &str) -> Sandbox {
        let sandbox = sandbox_with_git(git);
        bring(&sandbox, self.tool);
        self.configure(&sandbox, self.configured);
        sandbox
    }

    fn configure(&self, sandbox: &Sandbox, config: &str) {
        sandbox.write(format!("repo/{}", self.config), config);
        sandbox.git("repo", &["add", "."]);
        sandbox.git("repo", &["commit", "--quiet", "--message=config"]);
    }

    fn try_install(&self, sandbox: &Sandbox) -> Run {
        let mut command = sandbox.command(self.install[0], "repo");
        command.args(&self.install[1..]);
        Sandbox::finish(command)
    }

    fn install(&self, sandbox: &Sandbox) {
        self.try_install(sandbox).exits(0);
    }
}

/// Puts a tool on the PATH of the sandbox.
fn bring(sandbox: &Sandbox, name: &str) {
    symlink(tool(name), sandbox.path("bin").join(name)).unwrap();
}

/// How often the user's own command has run.
fn ran(sandbox: &Sandbox) -> usize {
    let ran = fs::read_to_string(sandbox.path("ran")).unwrap_or_default();
    ran.lines().count()
}

/// Everything that belongs to the manager or its user: not ours, and not what git writes.
fn theirs(sandbox: &Sandbox) -> BTreeMap<PathBuf, String> {
    let mut content = sandbox.content_of("repo");
    content.retain(|path, _| {
        let path = path.strip_prefix(sandbox.path("repo/.git"));
        path.is_err()
            || path.is_ok_and(|path| path.starts_with("hooks") || path.starts_with("config"))
    });
    content
}

/// What must hold for every manager whose hook is there first.
fn manager_first(manager: &Manager) {
    let name = manager.tool;
    let sandbox = manager.sandbox(OLD);
    manager.install(&sandbox);
    sandbox.add("before");
    assert_eq!(ran(&sandbox), 1);

    // Without the snippet.
    let before = theirs(&sandbox);
    let run = sandbox.run("repo", &["--install"]).exits(3);
    let config = format!("{}`", manager.config);
    let run = run.tells(&[&format!("the hook belongs to {name}"), &config]);
    assert_eq!(theirs(&sandbox), before);
    let stamps = sandbox.stamps_of("repo");
    let again = sandbox.run("repo", &["--install"]).exits(3);
    assert_eq!(again.stdout, run.stdout);
    assert_eq!(sandbox.stamps_of("repo"), stamps);

    // With the snippet.
    let config = (manager.with_snippet)(manager.configured, &run.stdout);
    manager.configure(&sandbox, &config);
    manager.install(&sandbox);
    sandbox.add("a");
    assert_eq!(sandbox.ports("a"), [sandbox.port(1)]);
    assert_eq!(ran(&sandbox), 2);
    let before = theirs(&sandbox);
    let run = sandbox.run("repo", &["--install"]).exits(0);
    assert_eq!(run.stdout, "");
    run.tells(&["whose owner calls it already"]);
    assert_eq!(theirs(&sandbox), before);

    sandbox.git("a", &["worktree", "add", "../b"]);
    assert_eq!(sandbox.has_port_file("b"), manager.serves_linked);
    assert_eq!(ran(&sandbox), if manager.serves_linked { 3 } else { 2 });

    // git goes on if our program fails.
    sandbox.write_script(COPY, "#!/bin/sh\nexit 7\n");
    let ran_before = ran(&sandbox);
    sandbox.add("c");
    assert_eq!(ran(&sandbox), ran_before + 1);

    // Without the program, as in the clone of somebody who never installed it.
    sandbox.run("repo", &["--uninstall"]).exits(0);
    assert_eq!(theirs(&sandbox), before);
    let run = sandbox.add("d");
    assert!(!run.stderr.contains("worktree-ports-hook"), "{run}");
    assert!(!sandbox.has_port_file("d"));
    assert_eq!(ran(&sandbox), ran_before + 2);
}

#[test]
#[ignore = "needs husky"]
fn if_husky_is_there_first_its_config_calls_us() {
    manager_first(Manager::get("husky"));
}

#[test]
#[ignore = "needs lefthook"]
fn if_lefthook_is_there_first_its_config_calls_us() {
    manager_first(Manager::get("lefthook"));
}

#[test]
#[ignore = "needs simple-git-hooks"]
fn if_simple_git_hooks_is_there_first_its_config_calls_us() {
    manager_first(Manager::get("simple-git-hooks"));
}

#[test]
#[ignore = "needs pre-commit"]
fn if_pre_commit_is_there_first_its_config_calls_us() {
    manager_first(Manager::get("pre-commit"));
}

#[test]
#[ignore = "needs prek"]
fn if_prek_is_there_first_its_config_calls_us() {
    manager_first(Manager::get("prek"));
}

#[test]
#[ignore = "needs lefthook, simple-git-hooks and prek"]
fn if_a_config_in_another_format_is_there_first_it_calls_us() {
    OTHER_FORMATS.iter().for_each(manager_first);
}

/// A clone with our hook file in which the manager was installed later.
fn after_our_file(manager: &Manager) -> Sandbox {
    let sandbox = manager.sandbox(OLD);
    sandbox.run("repo", &["--install"]).exits(0);
    sandbox.add("before");
    assert_eq!(sandbox.ports("before"), [sandbox.port(1)]);
    manager.install(&sandbox);
    sandbox
}

/// Whether the hooks directory has a block of ours.
fn is_in_hooks(sandbox: &Sandbox) -> bool {
    let hooks = sandbox.content_of("repo/.git/hooks");
    hooks
        .values()
        .any(|content| content.contains(">>> worktree-ports >>>"))
}

#[test]
#[ignore = "needs husky, lefthook and simple-git-hooks"]
fn after_a_manager_replaced_our_file_install_prints_the_snippet() {
    for name in ["husky", "lefthook", "simple-git-hooks"] {
        let manager = Manager::get(name);
        let sandbox = after_our_file(manager);
        sandbox.add("a");
        assert_eq!(ran(&sandbox), 1, "{name}");
        assert!(!sandbox.has_port_file("a"), "{name}");
        sandbox.run("a", &[]).exits(0);

        let run = sandbox.run("repo", &["--install"]).exits(3);
        let config = (manager.with_snippet)(manager.configured, &run.stdout);
        manager.configure(&sandbox, &config);
        if name != "lefthook" {
            manager.install(&sandbox);
        }
        sandbox.add("b");
        assert_eq!(
            (sandbox.ports("b"), ran(&sandbox)),
            (vec![sandbox.port(3)], 2),
            "{name}"
        );
        sandbox.run("repo", &["--install"]).exits(0);

        sandbox.run("repo", &["--uninstall"]).exits(0);
        assert!(!is_in_hooks(&sandbox), "{name}");
        sandbox.add("c");
        assert_eq!(ran(&sandbox), 3, "{name}");
    }
}

#[test]
#[ignore = "needs pre-commit and prek"]
fn pre_commit_and_prek_move_our_hook_file_and_call_it() {
    for name in ["pre-commit", "prek"] {
        let manager = Manager::get(name);
        let sandbox = after_our_file(manager);
        assert!(
            sandbox
                .path("repo/.git/hooks/post-checkout.legacy")
                .exists(),
            "{name}"
        );
        sandbox.add("a");
        assert_eq!(
            (sandbox.ports("a"), ran(&sandbox)),
            (vec![sandbox.port(2)], 1),
            "{name}"
        );
        let before = sandbox.stamps_of("repo/.git");
        let run = sandbox.run("repo", &["--install"]).exits(0);
        run.tells(&["whose owner calls it already"]);
        assert_eq!(sandbox.stamps_of("repo/.git"), before, "{name}");

        sandbox.run("repo", &["--uninstall"]).exits(0);
        assert!(!is_in_hooks(&sandbox), "{name}");
        sandbox.add("b");
        assert_eq!(
            (sandbox.has_port_file("b"), ran(&sandbox)),
            (false, 2),
            "{name}"
        );
    }
}

#[test]
#[ignore = "needs all of the hook managers"]
fn a_hook_in_the_config_and_a_later_manager_do_not_interfere() {
    for manager in MANAGERS {
        let name = manager.tool;
        let alone = manager.sandbox(NEW);
        manager.install(&alone);
        let sandbox = manager.sandbox(NEW);
        sandbox.run("repo", &["--install"]).exits(0);
        manager.install(&sandbox);
        let stamps = sandbox.stamps_of("repo");
        sandbox.run("repo", &["--install"]).exits(0);
        assert_eq!(sandbox.stamps_of("repo"), stamps, "{name}");

        sandbox.add("a");
        assert_eq!(ran(&sandbox), 1, "{name}");
        run_config_hook(&sandbox, "a");
        assert_eq!(sandbox.ports("a"), [sandbox.port(1)], "{name}");

        sandbox.run("repo", &["--uninstall"]).exits(0);
        let config = |sandbox: &Sandbox| fs::read(sandbox.path("repo/.git/config")).unwrap();
        assert_eq!(config(&sandbox), config(&alone), "{name}");
        sandbox.add("b");
        assert_eq!(
            (sandbox.has_port_file("b"), ran(&sandbox)),
            (false, 2),
            "{name}"
        );
    }
}

/// A sandbox whose git-lfs counts the runs of its post-checkout hook.
fn with_git_lfs(git: &str) -> Sandbox {
    let sandbox = sandbox_with_git(git);
    let ran = sandbox.path("ran");
    sandbox.write_script(
        "bin/git-lfs",
        format!(
            "#!/bin/sh\ntest \"$1\" != post-checkout || echo own >>'{}'\nexec '{}' \"$@\"\n",
            ran.display(),
            tool("git-lfs").display()
        ),
    );
    sandbox
}

#[test]
#[ignore = "needs git-lfs"]
fn if_git_lfs_is_there_first_our_block_joins_its_script_and_both_run() {
    let sandbox = with_git_lfs(OLD);
    sandbox.git("repo", &["lfs", "install", "--local"]);
    let before = theirs(&sandbox);
    sandbox.add("before");
    assert_eq!(ran(&sandbox), 1);
    sandbox.run("repo", &["--install"]).exits(0);
    let stamps = sandbox.stamps_of("repo");
    sandbox.run("repo", &["--install"]).exits(0);
    assert_eq!(sandbox.stamps_of("repo"), stamps);
    sandbox.add("a");
    assert_eq!(
        (sandbox.ports("a"), ran(&sandbox)),
        (vec![sandbox.port(1)], 2)
    );
    sandbox.run("repo", &["--uninstall"]).exits(0);
    assert_eq!(theirs(&sandbox), before);
}

#[test]
#[ignore = "needs git-lfs"]
fn git_lfs_refuses_after_our_file_and_installs_after_the_config_hook() {
    let sandbox = with_git_lfs(OLD);
    sandbox.run("repo", &["--install"]).exits(0);
    let ours = fs::read(sandbox.path(HOOK)).unwrap();
    let refused = sandbox.try_git("repo", &["lfs", "install", "--local"]);
    assert_ne!(refused.code(), Some(0), "{refused}");
    assert_eq!(fs::read(sandbox.path(HOOK)).unwrap(), ours);

    let sandbox = with_git_lfs(NEW);
    sandbox.run("repo", &["--install"]).exits(0);
    sandbox.git("repo", &["lfs", "install", "--local"]);
    sandbox.add("a");
    run_config_hook(&sandbox, "a");
    assert_eq!(
        (sandbox.ports("a"), ran(&sandbox)),
        (vec![sandbox.port(1)], 1)
    );
}
