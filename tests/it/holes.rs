//! Holes found by attacking an earlier version, each with the smallest case that went through it.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Stdio;

use crate::support::{CONFIG, LOCK, Nobody, PORT_FILE, PROGRAM, Sandbox, config, set_mode, strace};

/// A config with one env file.
fn with_env_file(sandbox: &Sandbox) -> crate::support::Config {
    sandbox
        .own_config()
        .env_file(".env", &[("WEB_PORT", "{cloud}")])
}

fn slot_of(sandbox: &Sandbox, at: &str) -> u64 {
    sandbox.port_json(at)["slot"].as_u64().unwrap()
}

#[test]
fn another_clones_worktree_at_a_registered_path_frees_no_ports() {
    let sandbox = Sandbox::new();
    sandbox.commit_config("repo");
    for name in ["a", "b"] {
        let path = format!(".wt/{name}");
        sandbox.git("repo", &["worktree", "add", "--quiet", &path]);
    }
    fs::rename(sandbox.path("repo"), sandbox.path("old")).unwrap();
    // A fresh clone, with a worktree of the same id at the path that the old entry of `b` names.
    sandbox.git(".", &["clone", "--quiet", "old", "repo"]);
    sandbox.wire("repo/.git");
    sandbox.git("repo", &["worktree", "add", "--quiet", ".wt/b"]);
    assert_eq!(slot_of(&sandbox, "repo/.wt/b"), 1);
    // The old record of `a` has slot 1, and that of `b` slot 2.
    sandbox.git("old", &["worktree", "add", "--quiet", ".wt/c"]);
    assert_eq!(slot_of(&sandbox, "old/.wt/c"), 3);
    sandbox.git("old", &["worktree", "repair", ".wt/a", ".wt/b"]);
    let slots = ["a", "b", "c"].map(|name| slot_of(&sandbox, &format!("old/.wt/{name}")));
    assert_eq!(slots, [1, 2, 3]);
}

#[test]
fn a_repository_that_calls_itself_bare_keeps_its_main_worktrees_ports() {
    let sandbox = Sandbox::new();
    sandbox.commit_config("repo");
    sandbox.run("repo", &[]).exits(0);
    sandbox.add("a");
    // Some tools run this in a worktree.
    let mut init = sandbox.command("git", "a");
    init.args(["init", "--quiet"]);
    init.env("GIT_DIR", sandbox.path("repo/.git/worktrees/a"));
    Sandbox::finish(init).exits(0);
    let is_bare = sandbox.git("repo", &["config", "core.bare"]).stdout;
    if is_bare != "true\n" {
        sandbox.git("repo", &["config", "core.bare", "true"]);
    }
    sandbox.add("b");
    assert_eq!(
        (slot_of(&sandbox, "b"), sandbox.ports("b")),
        (2, vec![sandbox.port(2)])
    );
    sandbox.remove_port_file("repo");
    sandbox.add("c");
    assert_eq!(slot_of(&sandbox, "c"), 3);
    assert!(!sandbox.has_port_file("repo"));
}

#[test]
#[ignore = "needs strace"]
fn a_full_disk_at_any_write_leaves_the_ports_reserved() {
    let sandbox = Sandbox::with_worktrees(&["a", "b"]);
    let twice = with_env_file(&sandbox).env_file("x.env", &[("WEB_PORT", "{cloud}")]);
    sandbox.configure("repo", twice);
    symlink("/etc/hostname", sandbox.path("a/x.env")).unwrap();
    sandbox.run("b", &[]).exits(0);
    sandbox.run("b", &["--release"]).exits(0);
    for call in ["write", "/^rename", "ftruncate", "/^open"] {
        for when in 1..30 {
            let what = format!("{call}:error=ENOSPC:when={when}");
            let run = strace::inject(&sandbox, "a", &what, &[]);
            let claimed = sandbox.has_port_file("a") || sandbox.path("a/.env").exists();
            let hidden = sandbox.path("hidden");
            fs::rename(sandbox.path("a"), &hidden).unwrap();
            sandbox.run("b", &[]).exits(0);
            if claimed {
                assert_eq!(sandbox.ports("b"), [sandbox.port(2)], "{what}: {run}");
            }
            sandbox.run("b", &["--release"]).exits(0);
            fs::rename(&hidden, sandbox.path("a")).unwrap();
            let is_done = run.code() == Some(0) && !run.stderr.contains("No space");
            sandbox.run("a", &[]).exits(0);
            sandbox.run("a", &["--release"]).exits(0);
            if is_done {
                break;
            }
        }
    }
}

#[test]
fn release_fails_and_changes_nothing_if_records_cannot_be_removed() {
    let sandbox = Sandbox::with_worktrees(&["a"]);
    sandbox.configure("repo", with_env_file(&sandbox));
    sandbox.write("a/.env", "A=1\n");
    sandbox.run("a", &[]).exits(0);
    let nobody = Nobody::owning(&sandbox);
    let entry = sandbox.path("repo/.git/worktrees/a");
    set_mode(&entry, 0o555);
    let before = (
        sandbox.content_of("a"),
        sandbox.content_of("repo/.git/worktrees"),
    );
    let run = nobody.run("a", &["--release"]).exits(1).tells_one_error();
    run.tells(&["nothing was released", "worktree-ports.json"]);
    let after = (
        sandbox.content_of("a"),
        sandbox.content_of("repo/.git/worktrees"),
    );
    set_mode(&entry, 0o755);
    assert_eq!(after, before);
}

#[test]
fn a_warning_says_that_a_released_port_file_has_come_back() {
    let sandbox = Sandbox::with_worktrees(&["a", "b"]);
    sandbox.run("a", &[]).exits(0);
    let file = sandbox.port_file("a");
    sandbox.git("a", &["stash", "--quiet", "--all"]);
    assert!(!sandbox.has_port_file("a"));
    sandbox.run("a", &["--release"]).exits(0);
    sandbox.run("b", &[]).exits(0);
    sandbox.git("a", &["stash", "pop", "--quiet"]);
    let run = sandbox.run("a", &[]).exits(0);
    run.tells(&[
        "warning: another worktree has taken slot 1",
        "--reallocate`",
    ]);
    assert_eq!(sandbox.port_file("a"), file);
    sandbox.run("a", &["--reallocate"]).exits(0);
    assert_ne!(sandbox.ports("a"), sandbox.ports("b"));
}

#[test]
fn a_warning_says_that_an_old_port_file_has_replaced_a_newer_one() {
    let (one, other) = ("1".repeat(40), "2".repeat(40));
    for call in [&[][..], &[&one, &other, "1"]] {
        let sandbox = Sandbox::with_worktrees(&["a", "b"]);
        sandbox.configure("a", sandbox.own_config());
        sandbox.run("a", &[]).exits(0);
        let old = sandbox.port_file("a");
        sandbox.run("a", &["--release"]).exits(0);
        sandbox.run("b", &[]).exits(0);
        sandbox.run("a", &[]).exits(0);
        assert_eq!(sandbox.ports("a"), [sandbox.port(2)]);
        sandbox.write("a/.worktree-ports.json", &old);
        let run = sandbox.run("a", call).exits(0);
        run.tells(&[
            "warning: another worktree has taken slot 1",
            "--reallocate`",
        ]);
        sandbox.run("a", &["--reallocate"]).exits(0);
        assert_ne!(sandbox.ports("a"), sandbox.ports("b"));
    }
}

#[test]
fn an_embedded_bare_repository_leads_into_no_other_directory() {
    let sandbox = Sandbox::without_hook();
    fs::create_dir(sandbox.path("elsewhere")).unwrap();
    sandbox.git("repo", &["init", "--quiet", "--bare", "tools"]);
    let text = format!(
        "[core]\n\tbare = false\n\tworktree = {}\n",
        sandbox.path("elsewhere").display()
    );
    sandbox.write("repo/tools/config", text);
    sandbox.write("repo/tools/index", "");
    for call in [
        &["--all"][..],
        &[],
        &["--reallocate"],
        &["--list"],
        &["--release"],
    ] {
        sandbox.run("repo/tools", call);
        assert_eq!(
            fs::read_dir(sandbox.path("elsewhere")).unwrap().count(),
            0,
            "{call:?}"
        );
    }
}

#[test]
fn a_byte_order_mark_in_a_port_file_is_accepted() {
    let sandbox = Sandbox::with_worktrees(&["a", "b"]);
    let own = sandbox.with_ports(r#"{"worktree": "a", "slot": 9, "ports": {"cloud": @5}}"#);
    sandbox.write(format!("a/{PORT_FILE}"), format!("\u{feff}{own}"));
    let get = sandbox.run("a", &["--get", "cloud"]).exits(0);
    assert_eq!(get.stdout, sandbox.with_ports("@5\n"));
    sandbox.configure("b", config(&[("web", sandbox.port(4))]).step(1));
    sandbox.run("b", &[]).exits(0);
    // 5 is the port of `a`, and 4 would be slot 0's.
    assert_eq!(sandbox.ports("b"), [sandbox.port(6)]);
}

#[test]
fn the_error_about_a_broken_git_file_names_the_missing_path() {
    let sandbox = Sandbox::with_worktrees(&["a"]);
    fs::rename(sandbox.path("repo"), sandbox.path("moved")).unwrap();
    let missing = sandbox.path("repo/.git/worktrees/a");
    for call in [&[][..], &["--get", "cloud"], &["--list"], &["--check"]] {
        let run = sandbox.run("a", call);
        assert_ne!(run.code(), Some(0), "{call:?}");
        run.tells(&["error: ", &missing.display().to_string()]);
    }
    sandbox
        .run_hook("a")
        .exits(0)
        .tells(&["error: ", &missing.display().to_string()]);
}

#[test]
fn all_has_one_time_limit_if_the_lock_is_held() {
    let sandbox = Sandbox::with_worktrees(&["a", "b", "c", "d"]);
    sandbox.run("repo", &[]).exits(0);
    let lock = sandbox.hold_lock();
    let mut command = sandbox.command(PROGRAM, "repo");
    command.arg("--all").env("WORKTREE_PORTS_LOCK_TIMEOUT", "1");
    let run = Sandbox::finish(command);
    drop(lock);
    assert_eq!(run.code(), Some(1), "{run}");
    // A call that waits says so; a second wait would say it again.
    assert!(
        run.stderr.matches("waiting for the lock").count() <= 1,
        "{run}"
    );
    assert!(run.stderr.contains("gave up after 1 s"), "{run}");
}

#[test]
fn git_is_asked_regardless_of_case_if_core_ignorecase_is_set() {
    for ignores_case in ["true", "false"] {
        let sandbox = Sandbox::with_worktrees(&["a"]);
        sandbox.git("a", &["config", "core.ignorecase", ignores_case]);
        sandbox.write("a/apps/web/.env.dev", "A=1\n");
        sandbox.git("a", &["add", "apps"]);
        // What a case-insensitive file system would show.
        fs::create_dir_all(sandbox.path("a/Apps/web")).unwrap();
        let variables = [("WEB_PORT", "{cloud}")];
        let config = sandbox
            .own_config()
            .env_file("Apps/web/.env.dev", &variables);
        sandbox.configure("a", config);
        let run = sandbox.run("a", &[]).exits(0);
        let is_left_alone = run.stderr.contains("git tracks it");
        assert_eq!(is_left_alone, ignores_case == "true", "{run}");
        assert_eq!(sandbox.path("a/Apps/web/.env.dev").exists(), !is_left_alone);
    }
}

#[test]
fn characters_that_change_what_a_person_sees_are_escaped() {
    for hidden in [
        '\u{61c}',
        '\u{200b}',
        '\u{202e}',
        '\u{2028}',
        '\u{2066}',
        '\u{e0041}',
        '\u{feff}',
    ] {
        let name = format!("a{hidden}b");
        let sandbox = Sandbox::with_worktrees(&[&name]);
        let calls: [&[&str]; 5] = [
            &[],
            &["--list"],
            &["--json"],
            &["--list", "--json"],
            &["--all", "--json"],
        ];
        for call in calls {
            let run = sandbox.run(&name, call).exits(0);
            assert!(
                !run.stdout.contains(hidden),
                "{call:?} {}",
                hidden.escape_unicode()
            );
            assert!(
                !run.stderr.contains(hidden),
                "{call:?} {}",
                hidden.escape_unicode()
            );
        }
        let json = sandbox.run(&name, &["--json"]).json();
        assert_eq!(json["worktree"].as_str(), Some(&*name));
    }
}

#[test]
fn a_link_or_a_fifo_is_not_taken_for_the_lock() {
    for make in [
        "mkfifo \"$1\"",
        "ln -s /dev/null \"$1\"",
        "ln -s nowhere \"$1\"",
        "mkdir \"$1\"",
    ] {
        let sandbox = Sandbox::with_worktrees(&["a"]);
        sandbox.run("repo", &[]).exits(0);
        let lock = sandbox.path(LOCK);
        fs::remove_file(&lock).unwrap();
        sandbox.shell(make, &[&lock]).exits(0);
        let mut command = sandbox.command(PROGRAM, "a");
        command.stdin(Stdio::null());
        let run = Sandbox::finish(command).exits(1).tells_one_error();
        run.tells(&["could not lock", "worktree-ports/lock"]);
        assert!(!sandbox.has_port_file("a"), "{make}");
        assert!(!sandbox.path("repo/.git/worktree-ports/nowhere").exists());
    }
}

#[test]
fn a_fifo_in_a_shared_clone_makes_nobody_wait() {
    for blocking in ["worktree-ports/lock", "config", "HEAD"] {
        let sandbox = Sandbox::with_worktrees(&["a"]);
        sandbox.git(".", &["init", "--quiet", "two"]);
        let two = sandbox.path("two/.git");
        for clone in [&sandbox.path("repo/.git"), &two] {
            let git_dir = format!("--git-dir={}", clone.display());
            sandbox.git(".", &[&git_dir, "config", "worktreePorts.share", "true"]);
            let list = ["config", "--global", "--add", "worktreePorts.repository"];
            sandbox.git(".", &[&list[..], &[clone.to_str().unwrap()]].concat());
        }
        let path = two.join(blocking);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = fs::remove_file(&path);
        sandbox.shell("mkfifo \"$1\"", &[&path]).exits(0);
        // It ends, with or without ports.
        let run = sandbox.run("a", &[]);
        assert_eq!(
            run.code() == Some(0),
            sandbox.has_port_file("a"),
            "{blocking}: {run}"
        );
        assert!(run.stderr.contains("two/.git"), "{blocking}: {run}");
    }
}

#[test]
fn an_unknown_extension_without_a_value_does_not_stop_the_program() {
    let sandbox = Sandbox::new();
    sandbox.git("repo", &["config", "core.repositoryFormatVersion", "1"]);
    sandbox.git("repo", &["config", "extensions.noop-v1", "true"]);
    let told = sandbox.with_ports("worktree-ports: cloud @1 (.worktree-ports.json)\n");
    let add = sandbox.add("a");
    assert!(add.stderr.ends_with(&told), "{add}");
}

#[test]
fn a_sparse_worktree_uses_the_config_that_its_checkout_left_out() {
    let sandbox = Sandbox::without_hook();
    sandbox.write("repo/kept/x", "");
    sandbox.configure("repo", sandbox.config(&["cloud", "api"]));
    sandbox.git("repo", &["add", "--force", "kept", CONFIG]);
    sandbox.git("repo", &["commit", "--quiet", "--message=config"]);
    sandbox.add("a");
    sandbox.git("a", &["sparse-checkout", "set", "--no-cone", "/kept/"]);
    assert!(!sandbox.path("a").join(CONFIG).exists());
    sandbox.configure("repo", sandbox.config(&["cloud"]));
    sandbox.run("a", &[]).exits(0);
    assert_eq!(sandbox.ports("a").len(), 2);
}

#[test]
fn the_default_config_only_allocates() {
    let sandbox = Sandbox::with_worktrees(&["a", "b"]);
    sandbox.configure("repo", sandbox.config(&["web", "api"]));
    sandbox.run("a", &[]).exits(0);
    let before = sandbox.content_of("a");
    fs::remove_file(sandbox.path("repo").join(CONFIG)).unwrap();
    for call in [&[][..], &["--env"], &["--json"]] {
        sandbox.run("a", call).exits(0).tells_nothing();
        assert_eq!(sandbox.content_of("a"), before, "{call:?}");
    }
}
