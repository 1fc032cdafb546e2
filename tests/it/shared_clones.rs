//! Clones that share their ports: the list of them in the user's git config.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::check::{command_of, problems_in, run_as_printed};
use crate::support::hooks::{NEW, OLD, Prepare, sandbox_with_git};
use crate::support::processes::Waiter;
use crate::support::{
    CONFIG, Config, Nobody, PROGRAM, Run, Sandbox, config, is_one_error, set_mode, strace,
};

const LIST: &str = "worktreePorts.repository";

/// A sandbox in which `repo` and these clones are on the list, all with the same config.
fn shared(names: &[&str]) -> Sandbox {
    let sandbox = Sandbox::without_hook();
    share(&sandbox, "repo");
    for name in names {
        make(&sandbox, name, sandbox.own_config());
        share(&sandbox, name);
    }
    sandbox
}

/// A clone with that config that is not on the list.
fn make(sandbox: &Sandbox, name: &str, config: Config) {
    sandbox.git(".", &["init", "--quiet", "--initial-branch=main", name]);
    let commit = ["commit", "--quiet", "--allow-empty", "--message=first"];
    sandbox.git(name, &commit);
    sandbox.configure(name, config);
}

fn share(sandbox: &Sandbox, clone: &str) -> Run {
    sandbox.run(clone, &["--install", "--share"]).exits(0)
}

/// Runs `git worktree add` in `clone`, for a directory beside it and a branch of that name.
fn add(sandbox: &Sandbox, clone: &str, name: &str) -> Run {
    let path = format!("../{name}");
    sandbox.git(clone, &["worktree", "add", "--quiet", &path])
}

/// Takes the lock of a clone until the file is dropped.
fn hold_lock_of(sandbox: &Sandbox, clone: &str) -> File {
    let path = lock_of(clone);
    let lock = File::options().write(true).open(sandbox.path(path));
    let lock = lock.unwrap();
    lock.lock().unwrap();
    lock
}

fn lock_of(clone: &str) -> String {
    format!("{clone}/.git/worktree-ports/lock")
}

/// The only warning of a run, which may also print lines that are no warnings.
#[track_caller]
fn warning_of(run: &Run) -> String {
    let warnings = run.stderr.lines().filter(|line| line.contains("warning: "));
    let warnings: Vec<&str> = warnings.collect();
    let [warning] = warnings[..] else {
        panic!("not one warning in\n{run}");
    };
    warning.to_owned()
}

/// The problems that `--check` finds in a clone.
fn problems_of(sandbox: &Sandbox, clone: &str) -> Vec<String> {
    let run = sandbox.run(clone, &["--check"]);
    assert!(!run.stderr.contains("warning"), "{run}");
    let problems = problems_in(&run.stdout).into_iter();
    problems
        .map(|(what, remedy)| format!("{what}; {remedy}"))
        .collect()
}

#[test]
fn no_two_worktrees_of_shared_clones_get_the_same_port() {
    let sandbox = shared(&["two"]);
    make(
        &sandbox,
        "three",
        config(&[("web", sandbox.port(50))]).step(1),
    );
    share(&sandbox, "three");
    for (clone, name, slot) in [
        ("repo", "a", 1),
        ("two", "b", 2),
        ("repo", "c", 3),
        ("two", "d", 4),
    ] {
        add(&sandbox, clone, name);
        assert_eq!(sandbox.ports(name), [sandbox.port(slot)], "{name}");
        assert_eq!(sandbox.port_json(name)["slot"], slot, "{name}");
    }
    // A worktree of another repository may have slot 1 too.
    add(&sandbox, "three", "e");
    assert_eq!(sandbox.ports("e"), [sandbox.port(51)]);
    assert_eq!(sandbox.port_json("e")["slot"], 1);
    // `--reallocate` avoids the other clones' ports too.
    sandbox.run("c", &["--reallocate"]).exits(0);
    assert_eq!(sandbox.ports("c"), [sandbox.port(3)]);
}

#[test]
fn another_clones_records_and_its_main_worktrees_slot_0_count_too() {
    let sandbox = Sandbox::without_hook();
    make(&sandbox, "two", config(&[("web", sandbox.port(1))]).step(1));
    for clone in ["repo", "two"] {
        share(&sandbox, clone);
    }
    add(&sandbox, "two", "b");
    assert_eq!(sandbox.ports("b"), [sandbox.port(2)]);
    sandbox.remove_port_file("b");
    // 1 is slot 0 of `two`, and the record of `b` names 2.
    add(&sandbox, "repo", "a");
    assert_eq!(sandbox.ports("a"), [sandbox.port(3)]);
}

#[test]
fn a_main_worktree_that_config_worktree_names_has_its_slot_0_too() {
    let sandbox = Sandbox::without_hook();
    make(&sandbox, "two", config(&[("web", sandbox.port(1))]).step(1));
    // As `git sparse-checkout` leaves the repository of a submodule.
    fs::rename(sandbox.path("two/.git"), sandbox.path("modules")).unwrap();
    sandbox.write("two/.git", "gitdir: ../modules\n");
    sandbox.git("two", &["config", "extensions.worktreeConfig", "true"]);
    sandbox.git("two", &["config", "--worktree", "core.worktree", "../two"]);
    for clone in ["repo", "two"] {
        share(&sandbox, clone);
    }
    add(&sandbox, "repo", "a");
    assert_eq!(sandbox.ports("a"), [sandbox.port(2)]);
}

#[test]
fn a_bare_clone_reserves_its_ports_and_avoids_those_of_others() {
    let sandbox = shared(&[]);
    sandbox.git(".", &["clone", "--quiet", "--bare", "repo", "bare"]);
    share(&sandbox, "bare");
    assert_eq!(listed(&sandbox), ["repo/.git", "bare"]);
    add(&sandbox, "repo", "a");
    sandbox.git(
        "bare",
        &["worktree", "add", "--quiet", "--no-checkout", "../b"],
    );
    // A bare repository has no other place for a config.
    sandbox.configure("b", sandbox.own_config());
    sandbox.run_hook("b").exits(0);
    // Slot 0 is free there, but its port belongs to the main worktree of `repo`.
    assert_eq!(sandbox.ports("b"), [sandbox.port(2)]);
    add(&sandbox, "repo", "c");
    assert_eq!(sandbox.ports("c"), [sandbox.port(3)]);
}

#[test]
fn a_clone_that_is_not_on_the_list_shares_nothing() {
    let sandbox = shared(&[]);
    make(&sandbox, "alone", sandbox.own_config());
    sandbox.run("alone", &["--install"]).exits(0);
    add(&sandbox, "repo", "a");
    add(&sandbox, "alone", "b");
    add(&sandbox, "repo", "c");
    let ports = ["a", "b", "c"].map(|name| sandbox.ports(name));
    assert_eq!(ports, [1, 1, 2].map(|slot| [sandbox.port(slot)]));
}

#[test]
#[ignore = "needs strace"]
fn an_unshared_clone_opens_no_file_of_another_and_runs_no_git() {
    let sandbox = Sandbox::with_worktrees(&["a"]);
    sandbox.run("repo", &["--install"]).exits(0);
    sandbox.write("home/.gitconfig", "");
    // The files of the sandbox that are opened, and the programs that are run.
    let calls = || {
        let trace = ["-f", "-e", "trace=open,openat,execve"];
        let command = strace::command(&sandbox, "a", &trace, &["--reallocate"]);
        Sandbox::finish(command).exits(0);
        let log = fs::read_to_string(sandbox.path("strace.log")).unwrap();
        let root = sandbox.path("").display().to_string();
        let is_ours = |line: &&str| line.contains(&root) || line.contains("execve(");
        let lines = log.lines().filter(is_ours);
        let calls = lines.filter_map(|line| line.split_once('"')?.1.split_once('"'));
        calls
            .map(|(path, _)| path.to_owned())
            .collect::<Vec<String>>()
    };
    sandbox.run("a", &["--reallocate"]).exits(0);
    let before = calls();
    make(&sandbox, "two", sandbox.own_config());
    share(&sandbox, "two");
    assert_eq!(calls(), before);
    // The trace does see them in a shared clone.
    share(&sandbox, "repo");
    let shared = calls();
    for (path, of) in [("/two/.git/config", &shared), ("/bin/git", &shared)] {
        assert!(of.iter().any(|call| call.ends_with(path)), "{of:?}");
        assert!(
            !before.iter().any(|call| call.ends_with(path)),
            "{before:?}"
        );
    }
}

#[test]
fn adds_at_once_in_three_shared_clones_never_share_a_port() {
    let clones = ["repo", "two", "three"];
    let sandbox = shared(&clones[1..]);
    let moving = clones.map(|clone| (clone, format!("{clone}-m")));
    let again = clones.map(|clone| (clone, format!("{clone}-r")));
    for (clone, name) in moving.iter().chain(&again) {
        add(&sandbox, clone, name);
        // While git moves an unlocked worktree, `git worktree prune` takes its entry for a stale
        // one.
        sandbox.git(clone, &["worktree", "lock", &format!("../{name}")]);
    }
    let names = (0..96).map(|i| (clones[i % 3], format!("w{i}")));
    let names: Vec<(&str, String)> = names.collect();
    let over = AtomicBool::new(false);
    let (made, moved) = thread::scope(|scope| {
        let mover = scope.spawn(|| {
            let mut moved = moving.clone();
            let mut round = 0;
            while !over.load(Ordering::Relaxed) {
                for ((clone, path), (_, name)) in moved.iter_mut().zip(&moving) {
                    let to = format!("{name}-{round}");
                    if sandbox.try_move(clone, path, &to) {
                        *path = to;
                    }
                }
                round += 1;
            }
            moved
        });
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                for (_, name) in &again {
                    sandbox.run(name, &["--reallocate"]).exits(0);
                }
            }
        });
        let adds = names.iter();
        let adds = adds.map(|(clone, name)| sandbox.start_add(clone, name));
        let adds: Vec<Child> = adds.collect();
        let mut made = Vec::new();
        for ((_, name), add) in names.iter().zip(adds) {
            let run = Run::from(add.wait_with_output().unwrap());
            // git itself fails for some when many run at once.
            if run.code() == Some(0) {
                run.tells(&["worktree-ports: cloud "]);
                made.push(name.clone());
            }
        }
        over.store(true, Ordering::Relaxed);
        (made, mover.join().unwrap())
    });

    assert!(!made.is_empty());
    let standing = moved.iter().chain(&again).map(|(_, name)| name);
    let all: Vec<&String> = made.iter().chain(standing).collect();
    assert_eq!(sandbox.disjoint_ports(&all).len(), all.len());
}

#[test]
#[ignore = "needs strace"]
fn a_kill_between_two_locks_releases_all_of_them() {
    let sandbox = shared(&["two", "three"]);
    add(&sandbox, "repo", "a");
    for nth in 1..=3 {
        let what = format!("flock:signal=KILL:when={nth}");
        let run = strace::inject(&sandbox, "a", &what, &["--reallocate"]);
        assert_ne!(run.code(), Some(0), "{run}");
        for clone in ["repo", "two", "three"] {
            let mut command = sandbox.command(PROGRAM, clone);
            command.arg("--reallocate");
            command.env("WORKTREE_PORTS_LOCK_TIMEOUT", "0");
            Sandbox::finish(command).exits(0).tells_nothing();
        }
    }
}

/// Ways to lose the clone `two`.
const LOSSES: [fn(&Sandbox); 3] = [
    |sandbox| fs::remove_dir_all(sandbox.path("two")).unwrap(),
    |sandbox| {
        fs::remove_dir_all(sandbox.path("two/.git")).unwrap();
        fs::create_dir(sandbox.path("two/.git")).unwrap();
    },
    |sandbox| {
        fs::remove_dir_all(sandbox.path("two/.git")).unwrap();
        sandbox.write("two/.git", "gitdir: /nowhere\n");
    },
];

/// Why the ports of a shared clone may be unknown, and what the error says.
const UNKNOWN: [(Prepare, &str); 5] = [
    (
        |sandbox| set_mode(sandbox.path("two/.git"), 0o000),
        "Permission denied",
    ),
    (
        |sandbox| set_mode(sandbox.path("home/.gitconfig"), 0o000),
        "worktreePorts.repository",
    ),
    (
        |sandbox| sandbox.write("home/.gitconfig", "[worktreePorts\n"),
        "bad config",
    ),
    (
        |sandbox| {
            fs::remove_file(sandbox.path(lock_of("two"))).unwrap();
            fs::create_dir(sandbox.path(lock_of("two"))).unwrap();
        },
        "could not lock",
    ),
    (
        |sandbox| sandbox.write("two/.git/config", "[core\n"),
        "two/.git",
    ),
];

#[test]
fn if_the_ports_of_a_shared_clone_are_unknown_nothing_is_allocated() {
    for (prepare, why) in UNKNOWN {
        let sandbox = shared(&["two"]);
        sandbox.git("repo", &["worktree", "add", "--no-checkout", "../a"]);
        assert!(!sandbox.has_port_file("a"));
        prepare(&sandbox);
        let nobody = Nobody::owning(&sandbox);
        let run = nobody.run("a", &[]).exits(1).tells_one_error();
        run.tells(&[why]);
        let hook = nobody.run_hook("a").exits(0);
        assert!(is_one_error(&hook.stderr), "{hook}");
        assert!(!sandbox.has_port_file("a"), "{why}");
        set_mode(sandbox.path("two/.git"), 0o755);
    }
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "needs prlimit")]
fn with_too_few_descriptors_nothing_is_allocated_beside_a_shared_clone() {
    let sandbox = shared(&["two"]);
    add(&sandbox, "two", "b");
    sandbox.git("repo", &["worktree", "add", "--no-checkout", "../a"]);
    let mut succeeded = false;
    for limit in 4..40 {
        let mut command = sandbox.command("prlimit", "a");
        command.arg(format!("--nofile={limit}")).arg(PROGRAM);
        let run = Sandbox::finish(command);
        succeeded = run.code() == Some(0);
        if succeeded {
            break;
        }
        assert!(!sandbox.has_port_file("a"), "{limit}: {run}");
    }
    assert!(succeeded);
    assert_eq!(sandbox.ports("a"), [sandbox.port(2)]);
}

#[test]
fn a_clone_that_is_gone_is_one_warning_with_the_command_that_unlists_it() {
    for (i, lose) in LOSSES.iter().enumerate() {
        let sandbox = shared(&["two", "three"]);
        add(&sandbox, "three", "c");
        add(&sandbox, "repo", "a");
        lose(&sandbox);
        let nobody = Nobody::owning(&sandbox);
        let run = nobody.run("a", &["--reallocate"]).exits(0);
        let warning = warning_of(&run);
        let two = sandbox.path("two/.git").display().to_string();
        for part in ["a shared clone does not count", &two] {
            assert!(warning.contains(part), "{i}: {warning}");
        }
        // Nothing is created in a directory that is not a repository.
        let left = fs::read_dir(sandbox.path("two/.git"));
        assert!(i != 1 || left.unwrap().count() == 0);
        // The other clones still count.
        assert_eq!(sandbox.ports("a"), [sandbox.port(2)]);
        sandbox.shell(command_of(&warning), &[]).exits(0);
        assert_eq!(listed(&sandbox), ["repo/.git", "three/.git"]);
    }
}

#[test]
#[ignore = "needs root"]
fn another_users_clone_is_one_warning_with_the_command_that_unlists_it() {
    let sandbox = shared(&["two"]);
    add(&sandbox, "repo", "a");
    let nobody = Nobody::owning(&sandbox);
    sandbox.give_to("1:1", "two");
    for hook in [false, true] {
        sandbox.remove_port_file("a");
        let run = if hook {
            nobody.run_hook("a")
        } else {
            nobody.run("a", &["--reallocate"])
        };
        let warning = warning_of(&run.exits(0));
        assert!(warning.contains("two/.git"), "{warning}");
        assert!(command_of(&warning).contains("--unset-all"), "{warning}");
    }
    let run = nobody.run("a", &["--reallocate"]);
    sandbox.shell(command_of(&warning_of(&run)), &[]).exits(0);
    assert_eq!(listed(&sandbox), ["repo/.git"]);
    sandbox.give_to("65534:65534", "home");
    nobody.run("a", &["--reallocate"]).exits(0).tells_nothing();
}

#[test]
fn a_lock_held_too_long_is_an_error_that_names_each_holder() {
    let sandbox = shared(&["two", "three", "four"]);
    sandbox.git("repo", &["worktree", "add", "--no-checkout", "../a"]);
    let before = sandbox.has_port_file("a");
    let _held = ["two", "four"].map(|clone| hold_lock_of(&sandbox, clone));
    for timeout in ["0", "1"] {
        let mut command = sandbox.command(PROGRAM, "a");
        command.env("WORKTREE_PORTS_LOCK_TIMEOUT", timeout);
        let run = Sandbox::finish(command).exits(1).tells_one_error();
        let holder = format!("held by process {}", std::process::id());
        assert!(
            run.stderr.contains(&format!("gave up after {timeout} s")),
            "{run}"
        );
        assert_eq!(run.stderr.matches(&holder).count(), 2, "{run}");
        for (clone, is_held) in [
            ("repo", false),
            ("two", true),
            ("three", false),
            ("four", true),
        ] {
            let lock = sandbox.path(lock_of(clone));
            let is_named = run.stderr.contains(&lock.display().to_string());
            assert_eq!(is_named, is_held, "{clone}: {run}");
        }
        assert_eq!(sandbox.has_port_file("a"), before);
    }
}

#[test]
fn the_list_is_read_again_under_the_locks() {
    let sandbox = shared(&["two"]);
    sandbox.git("repo", &["worktree", "add", "--no-checkout", "../a"]);
    let _ = fs::remove_file(sandbox.path("a/.worktree-ports.json"));
    let _ = fs::remove_file(sandbox.path("repo/.git/worktrees/a/worktree-ports.json"));
    make(&sandbox, "three", sandbox.own_config());
    sandbox.run("three", &["--install"]).exits(0);
    add(&sandbox, "three", "c");
    assert_eq!(sandbox.ports("c"), [sandbox.port(1)]);

    let held = hold_lock_of(&sandbox, "two");
    let waiter = Waiter::start(&sandbox, "a");
    share(&sandbox, "three");
    drop(held);
    waiter.succeeds();
    assert_eq!(sandbox.ports("a"), [sandbox.port(2)]);
}

#[test]
fn after_a_clone_is_moved_each_clone_says_what_to_run() {
    let sandbox = shared(&["two"]);
    add(&sandbox, "repo", "a");
    fs::rename(sandbox.path("two"), sandbox.path("moved")).unwrap();
    let there = sandbox.run("moved", &["--reallocate"]).exits(0).stderr;
    let is_missed = |line: &&str| line.contains("is shared but not on the list");
    let there = there.lines().find(is_missed).unwrap();
    let here = warning_of(&sandbox.run("repo", &["--reallocate"]).exits(0));
    assert!(here.contains("two/.git"), "{here}");
    run_as_printed(&sandbox, "home", command_of(&here)).exits(0);
    run_as_printed(&sandbox, "home", command_of(there)).exits(0);
    assert_eq!(listed(&sandbox), ["repo/.git", "moved/.git"]);
    for clone in ["repo", "moved"] {
        sandbox
            .run(clone, &["--reallocate"])
            .exits(0)
            .tells_nothing();
    }
    add(&sandbox, "moved", "b");
    assert_eq!(sandbox.ports("b"), [sandbox.port(2)]);
}

#[test]
fn list_all_shows_all_clones_and_json_names_the_repository() {
    let sandbox = shared(&["two"]);
    make(&sandbox, "alone", sandbox.own_config());
    add(&sandbox, "repo", "a");
    add(&sandbox, "two", "b");
    let json = sandbox.run("repo", &["--list", "--all", "--json"]).exits(0);
    let json = json.tells_nothing().json();
    let shown = json.as_array().unwrap().iter().map(|worktree| {
        let path = |key: &str| worktree[key].as_str().unwrap().to_owned();
        (path("repository"), path("path"))
    });
    let expected = [
        ("repo/.git", "repo"),
        ("repo/.git", "a"),
        ("two/.git", "two"),
        ("two/.git", "b"),
    ];
    let expected = expected.map(|(repository, path)| {
        let absolute = |name: &str| sandbox.path(name).display().to_string();
        (absolute(repository), absolute(path))
    });
    assert_eq!(shown.collect::<Vec<_>>(), expected);
    let table = sandbox.run("repo", &["--list", "--all"]).exits(0).stdout;
    assert_eq!(table.lines().count(), 5, "{table}");
    let own = sandbox.run("repo", &["--list", "--json"]).exits(0).json();
    assert_eq!(own.as_array().unwrap().len(), 2);
    assert!(own[0].get("repository").is_none());
}

#[test]
fn main_worktrees_with_the_same_base_ports_are_reported() {
    let sandbox = shared(&[]);
    make(&sandbox, "two", sandbox.own_config());
    let two = sandbox.path("two/.git").display().to_string();
    let repo = sandbox.path("repo/.git").display().to_string();
    let port = sandbox.port(0).to_string();
    let warning = warning_of(&share(&sandbox, "two"));
    for part in [&repo, &port] {
        assert!(warning.contains(part), "{warning}");
    }
    // With or without a port file.
    for _ in 0..2 {
        for (clone, other) in [("repo", &two), ("two", &repo)] {
            let problems = problems_of(&sandbox, clone);
            let [problem] = &problems[..] else {
                panic!("{problems:?}")
            };
            assert!(
                problem.contains(other) && problem.contains(&port),
                "{problem}"
            );
        }
        for clone in ["repo", "two"] {
            sandbox.run(clone, &[]).exits(0);
            assert_eq!(sandbox.ports(clone), [sandbox.port(0)], "both by right");
        }
    }
    sandbox.configure("two", config(&[("cloud", sandbox.port(50))]).step(1));
    sandbox.run("two", &["--reallocate"]).exits(0);
    for clone in ["repo", "two"] {
        assert_eq!(problems_of(&sandbox, clone), [""; 0]);
    }
}

#[test]
fn the_same_ports_from_before_sharing_are_reported_and_fixed() {
    for first in ["repo", "two"] {
        let sandbox = Sandbox::without_hook();
        make(&sandbox, "two", config(&[("web", sandbox.port(1))]).step(1));
        for clone in ["repo", "two"] {
            sandbox.run(clone, &["--install"]).exits(0);
        }
        // `a` has the port of the main worktree of `two`, and `b` has that of `c`.
        for (clone, name) in [("repo", "a"), ("repo", "b"), ("two", "c")] {
            add(&sandbox, clone, name);
        }
        sandbox.run("two", &[]).exits(0);
        assert_eq!(sandbox.ports("a"), sandbox.ports("two"));
        assert_eq!(sandbox.ports("b"), sandbox.ports("c"));
        for clone in ["repo", "two"] {
            share(&sandbox, clone);
        }
        let second = if first == "repo" { "two" } else { "repo" };
        let problems = problems_of(&sandbox, first);
        assert_eq!(problems.len(), 2, "{problems:?}");
        let commands = |problems: &[String]| {
            let commands = problems
                .iter()
                .map(|problem| command_of(problem).to_owned());
            commands.collect::<BTreeSet<_>>()
        };
        // Both clones name the same worktrees that must move.
        assert_eq!(
            commands(&problems),
            commands(&problems_of(&sandbox, second))
        );
        let before = sandbox.ports("two");
        for command in commands(&problems) {
            run_as_printed(&sandbox, "home", &command).exits(0);
        }
        for clone in ["repo", "two"] {
            assert_eq!(problems_of(&sandbox, clone), [""; 0]);
        }
        // The main worktree keeps its port.
        assert_eq!(sandbox.ports("two"), before);
    }
}

#[test]
fn check_names_the_other_clone_that_renders_the_same_name() {
    let sandbox = Sandbox::without_hook();
    let of = |base, name: &str| {
        let config = config(&[("web", sandbox.port(base))]).step(1);
        // A bare number counts slots, which each repository has for itself.
        let config = config.env("WEB_INDEX", "{slot}");
        config.env_file(
            ".env",
            &[("COMPOSE_PROJECT_NAME", name), ("WEB_PORT", "{web}")],
        )
    };
    sandbox.configure("repo", of(0, "shop-{slot}"));
    make(&sandbox, "two", of(50, "shop-{slot}"));
    for clone in ["repo", "two"] {
        let ignored = format!("/{CONFIG}\n.env\n");
        sandbox.write("home/.config/git/ignore", ignored);
        share(&sandbox, clone);
    }
    add(&sandbox, "repo", "a");
    assert_eq!(problems_of(&sandbox, "repo"), [""; 0]);
    add(&sandbox, "two", "b");
    for (clone, other) in [("repo", "two/.git"), ("two", "repo/.git")] {
        let problems = problems_of(&sandbox, clone);
        let [problem] = &problems[..] else {
            panic!("{problems:?}")
        };
        let other = sandbox.path(other).display().to_string();
        for part in ["`COMPOSE_PROJECT_NAME` is `shop-1`", &other, "template"] {
            assert!(problem.contains(part), "no {part} in {problem}");
        }
    }
    sandbox.configure("two", of(50, "second-shop-{slot}"));
    sandbox.run("two", &["--all"]).exits(0);
    for clone in ["repo", "two"] {
        assert_eq!(problems_of(&sandbox, clone), [""; 0]);
    }
}

#[test]
fn share_names_the_other_clone_that_renders_the_same_name() {
    let sandbox = Sandbox::without_hook();
    let of = |base| {
        let config = config(&[("web", sandbox.port(base))]).step(1);
        config.env("COMPOSE_PROJECT_NAME", "shop{-worktree}")
    };
    sandbox.configure("repo", of(0));
    make(&sandbox, "two", of(50));
    for clone in ["repo", "two"] {
        sandbox.run(clone, &[]).exits(0);
    }
    assert!(!share(&sandbox, "repo").stderr.contains("warning"));
    let warning = warning_of(&share(&sandbox, "two"));
    let repo = sandbox.path("repo/.git").display().to_string();
    for part in ["`COMPOSE_PROJECT_NAME` is `shop`", &repo] {
        assert!(warning.contains(part), "{warning}");
    }
}

#[test]
fn a_clone_that_is_listed_twice_by_a_link_counts_once() {
    let sandbox = shared(&["two"]);
    add(&sandbox, "two", "a");
    fs::rename(sandbox.path("two"), sandbox.path("moved")).unwrap();
    std::os::unix::fs::symlink("moved", sandbox.path("two")).unwrap();
    sandbox.run("moved", &["--install", "--share"]).exits(0);
    assert_eq!(listed(&sandbox), ["repo/.git", "two/.git", "moved/.git"]);
    for at in ["repo", "moved"] {
        let list = sandbox
            .run(at, &["--list", "--all", "--json"])
            .exits(0)
            .json();
        let states = list
            .as_array()
            .unwrap()
            .iter()
            .map(|worktree| &worktree["state"]);
        assert!(states.clone().all(|state| state != "duplicate"), "{list}");
        assert_eq!(states.count(), 3, "{list}");
    }
}

#[test]
fn a_clone_that_cannot_be_read_hides_no_problem() {
    for (prepare, why) in UNKNOWN {
        let sandbox = shared(&["two"]);
        add(&sandbox, "repo", "a");
        sandbox.write("a/.worktree-ports.json", "{");
        prepare(&sandbox);
        let run = Nobody::owning(&sandbox).run("repo", &["--check"]).exits(1);
        set_mode(sandbox.path("two/.git"), 0o755);
        for part in ["a/.worktree-ports.json` is damaged", why] {
            assert!(run.stdout.contains(part), "no {part} in {run}");
        }
    }
}

#[test]
fn check_finds_a_clone_that_only_the_list_or_its_config_calls_shared() {
    let list = |sandbox: &Sandbox| {
        let path = sandbox.path("repo/.git").display().to_string();
        sandbox.git("repo", &["config", "--global", "--add", LIST, &path]);
    };
    let unlist = |sandbox: &Sandbox| {
        let unset = ["config", "--global", "--unset-all", LIST];
        share(sandbox, "repo");
        sandbox.git("repo", &unset);
    };
    let cases: [(Prepare, &str); 2] = [
        (
            list,
            "is on the list of clones in `git config --global` but not shared",
        ),
        (unlist, "is shared but not on the list"),
    ];
    for (prepare, what) in cases {
        let sandbox = Sandbox::without_hook();
        sandbox.run("repo", &["--install"]).exits(0);
        prepare(&sandbox);
        let problems = problems_of(&sandbox, "repo");
        let [problem] = &problems[..] else {
            panic!("{problems:?}")
        };
        assert!(problem.contains(what), "{problem}");
        run_as_printed(&sandbox, "home", command_of(problem)).exits(0);
        assert_eq!(problems_of(&sandbox, "repo"), [""; 0]);
    }
}

/// The clones on the list, as paths from the sandbox.
fn listed(sandbox: &Sandbox) -> Vec<String> {
    let list = ["config", "--global", "--null", "--get-all", LIST];
    let list = sandbox.try_git(".", &list).stdout;
    let root = sandbox.path("").display().to_string();
    let clones = list.split_terminator('\0');
    clones
        .map(|clone| clone.strip_prefix(&root).unwrap().to_owned())
        .collect()
}

/// Whether the clone's own config says that it is on the list.
fn asks(sandbox: &Sandbox, at: &str) -> bool {
    let get = ["config", "--local", "worktreePorts.share"];
    sandbox.try_git(at, &get).stdout == "true\n"
}

const ODD: &str = "r (x)+.*[a]{2}^$|\\ 'q'";

#[test]
fn share_lists_a_clone_once_and_no_share_and_uninstall_unlist_it() {
    for last in ["--uninstall", "--no-share"] {
        let sandbox = sandbox_with_git(NEW);
        for name in [ODD, "rxx.axa"] {
            sandbox.git(".", &["init", "--quiet", name]);
        }
        for at in ["repo", ODD, "rxx.axa", ODD] {
            sandbox.run(at, &["--install", "--share"]).exits(0);
            assert!(asks(&sandbox, at));
        }
        let odd = format!("{ODD}/.git");
        assert_eq!(listed(&sandbox), ["repo/.git", &odd, "rxx.axa/.git"]);
        // With neither option, the list stays as it is.
        sandbox.run(ODD, &["--install"]).exits(0);
        assert_eq!(listed(&sandbox).len(), 3);
        let arguments: &[&str] = match last {
            "--no-share" => &["--install", last],
            _ => &[last],
        };
        sandbox.run(ODD, arguments).exits(0);
        assert!(!asks(&sandbox, ODD));
        assert_eq!(listed(&sandbox), ["repo/.git", "rxx.axa/.git"]);
        sandbox.run(ODD, arguments).exits(0);
        assert_eq!(listed(&sandbox), ["repo/.git", "rxx.axa/.git"]);
    }
}

#[test]
fn git_variables_do_not_lead_to_another_list() {
    let sandbox = sandbox_with_git(NEW);
    let mut command = sandbox.command(crate::support::PROGRAM, "repo");
    command.args(["--install", "--share"]);
    command.env("GIT_CONFIG_GLOBAL", sandbox.path("another"));
    Sandbox::finish(command).exits(0);
    assert_eq!(listed(&sandbox), ["repo/.git"]);
    assert!(!sandbox.path("another").exists());
}

#[test]
fn a_list_that_cannot_be_read_is_an_error_of_share_and_uninstall() {
    let sandbox = sandbox_with_git(NEW);
    sandbox.run("repo", &["--install", "--share"]).exits(0);
    set_mode(sandbox.path("home/.gitconfig"), 0o000);
    let nobody = Nobody::owning(&sandbox);
    let run = nobody.run("repo", &["--install", "--share"]).exits(1);
    run.tells_one_error()
        .tells(&["worktreePorts.repository", "Permission denied"]);
    let run = nobody.run("repo", &["--uninstall"]).exits(1);
    // Everything else is done before that is reported.
    run.tells(&[
        "removed the hook",
        "worktreePorts.repository",
        "Permission denied",
    ]);

    fs::remove_file(sandbox.path("home/.gitconfig")).unwrap();
    sandbox.write("home/.gitconfig", "[broken\n");
    // git itself refuses to work with such a config.
    nobody.run("repo", &["--install", "--share"]).exits(1);
}

#[test]
fn one_setting_makes_every_install_share_its_clone() {
    let sandbox = sandbox_with_git(NEW);
    let wish = ["config", "--global", "worktreePorts.share"];
    let wishes = |value| sandbox.git("repo", &[&wish[..], &[value]].concat());
    wishes("false");
    sandbox.run("repo", &["--install"]).exits(0);
    assert!(listed(&sandbox).is_empty() && !asks(&sandbox, "repo"));
    wishes("true");
    let run = sandbox.run("repo", &["--install"]).exits(0);
    run.tells(&["now shares its ports"]);
    assert!(listed(&sandbox) == ["repo/.git"] && asks(&sandbox, "repo"));
    let run = sandbox.run("repo", &["--install"]).exits(0);
    run.tells(&["already installed"]);
    sandbox.run("repo", &["--install", "--no-share"]).exits(0);
    assert!(listed(&sandbox).is_empty() && !asks(&sandbox, "repo"));
    // Also in a file that the user's config includes.
    sandbox.git(
        "repo",
        &["config", "--global", "--unset", "worktreePorts.share"],
    );
    sandbox.write("home/more", "[worktreePorts]\n\tshare\n");
    sandbox.git("repo", &["config", "--global", "include.path", "more"]);
    sandbox.run("repo", &["--install"]).exits(0);
    assert_eq!(listed(&sandbox), ["repo/.git"]);
}

#[test]
fn a_bare_repository_works_even_if_git_must_be_given_its_path() {
    for git in [OLD, NEW] {
        let sandbox = sandbox_with_git(git);
        sandbox.commit_config("repo");
        sandbox.git(".", &["clone", "--quiet", "--bare", "repo", "bare.git"]);
        sandbox.git("bare.git", &["worktree", "add", "-q", "../a"]);
        let explicit = ["config", "--global", "safe.bareRepository", "explicit"];
        sandbox.git(".", &explicit);
        for at in ["a", "bare.git"] {
            sandbox.run(at, &["--install", "--share"]).exits(0);
            assert_eq!(listed(&sandbox), ["bare.git"]);
            let check = sandbox.run(at, &["--check"]);
            assert!(!check.stdout.contains("could not"), "{check}");
            sandbox.run(at, &["--install", "--no-share"]).exits(0);
            sandbox.run(at, &["--install", "--share"]).exits(0);
            sandbox.run(at, &["--uninstall"]).exits(0);
            assert!(listed(&sandbox).is_empty());
            let config = fs::read_to_string(sandbox.path("bare.git/config")).unwrap();
            assert!(!config.contains("orktree"), "{config}");
        }
    }
}
