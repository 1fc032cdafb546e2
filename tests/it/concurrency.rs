//! Many calls at once: no port is given twice, no call is lost, and nothing is left behind.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::support::{LOCK, PROGRAM, Run, Sandbox, can_bind};

#[test]
fn sixty_four_calls_at_once_never_share_a_port_and_none_is_lost() {
    let sandbox = Sandbox::without_hook();
    let names: Vec<String> = (0..64).map(|i| format!("w{i}")).collect();
    for name in &names {
        sandbox.add(name);
    }
    // The first round starts without bundles; the second one reallocates.
    for round in 0..2 {
        let calls = names.iter().enumerate().map(|(i, name)| {
            let reallocates = i % 2 == round;
            call(&sandbox, name, reallocates)
        });
        let calls: Vec<Child> = calls.collect();
        watch(&sandbox, &names, calls.len());
        for (name, call) in names.iter().zip(calls) {
            let run = end(call).exits(0);
            assert_tells_of_waiting_alone(&run);
            assert_eq!(run.stdout, sandbox.port_file(name));
        }
        let ports = sandbox.disjoint_ports(&names);
        assert_eq!(ports.len(), names.len());
        for name in &names {
            sandbox.assert_no_leftovers(name);
        }
    }
}

#[test]
fn sixty_four_calls_in_a_few_worktrees_at_once_leave_whole_files() {
    let sandbox = Sandbox::without_hook();
    let names: Vec<String> = (0..4).map(|i| format!("w{i}")).collect();
    for name in &names {
        sandbox.add(name);
    }
    let calls = (0..64).map(|i| call(&sandbox, &names[i % 4], (i / 4) % 2 == 0));
    let calls: Vec<Child> = calls.collect();
    watch(&sandbox, &names, 64);
    for (i, call) in calls.into_iter().enumerate() {
        let run = end(call).exits(0);
        assert_tells_of_waiting_alone(&run);
        assert_eq!(run.json()["worktree"], names[i % 4].as_str());
    }
    assert_eq!(sandbox.disjoint_ports(&names).len(), 4);
    for name in &names {
        sandbox.assert_no_leftovers(name);
    }
}

#[test]
fn sixty_four_adds_beside_moves_and_prunes_share_no_port() {
    let sandbox = Sandbox::new();
    let moving: Vec<String> = (0..4).map(|i| format!("m{i}")).collect();
    for name in &moving {
        sandbox.add(name);
        // While git moves an unlocked worktree, `git worktree prune` takes its entry for a stale
        // one.
        sandbox.git("repo", &["worktree", "lock", &format!("../{name}")]);
    }
    let before: Vec<String> = moving.iter().map(|name| sandbox.port_file(name)).collect();

    let names: Vec<String> = (0..64).map(|i| format!("w{i}")).collect();
    let over = AtomicBool::new(false);
    let (made, moved) = thread::scope(|scope| {
        let mover = scope.spawn(|| {
            let mut moved = moving.clone();
            let mut round = 0;
            while !over.load(Ordering::Relaxed) {
                for (name, path) in moving.iter().zip(&mut moved) {
                    let to = format!("{name}-{round}");
                    if sandbox.try_move("repo", path, &to) {
                        *path = to;
                    }
                }
                round += 1;
            }
            moved
        });
        for command in [&["worktree", "prune"][..], &["gc", "--quiet"]] {
            let (sandbox, over) = (&sandbox, &over);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    sandbox.try_git("repo", command);
                }
            });
        }
        let adds = names.iter().map(|name| sandbox.start_add("repo", name));
        let adds: Vec<Child> = adds.collect();
        let runs: Vec<Run> = adds.into_iter().map(end).collect();
        over.store(true, Ordering::Relaxed);

        let mut made = Vec::new();
        for (name, run) in names.iter().zip(runs) {
            // git itself fails for some when many run at once.
            if run.code() == Some(0) {
                run.tells(&["worktree-ports: cloud "]);
                made.push(name.clone());
            } else {
                assert!(!sandbox.has_port_file(name), "{name}: {run}");
            }
        }
        (made, mover.join().unwrap())
    });

    assert!(!made.is_empty());
    for (path, before) in moved.iter().zip(before) {
        assert_eq!(sandbox.port_file(path), before);
    }
    let all: Vec<String> = made.iter().chain(&moved).cloned().collect();
    assert_eq!(sandbox.disjoint_ports(&all).len(), all.len());
    for name in &all {
        sandbox.assert_no_leftovers(name);
    }
    // The adds that failed hold nothing, so the next worktree gets the lowest free port.
    let held: BTreeSet<u16> = (made.iter().chain(&moved))
        .flat_map(|name| sandbox.ports(name))
        .collect();
    sandbox.add("last");
    let free = (1..100)
        .map(|slot| sandbox.port(slot))
        .filter(|port| !held.contains(port))
        .find(|port| can_bind(*port));
    assert_eq!(free, sandbox.ports("last").pop());
}

/// Starts a call by hand that prints the port file.
fn call(sandbox: &Sandbox, name: &str, reallocates: bool) -> Child {
    let mut command = sandbox.command("sh", name);
    let script = if reallocates {
        r#""$1" --reallocate >/dev/null && exec "$1" --json"#
    } else {
        r#"exec "$1" --json"#
    };
    command.args(["-c", script, "sh", PROGRAM]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn end(child: Child) -> Run {
    Run::from(child.wait_with_output().unwrap())
}

/// A call that waited for a second says so; nothing else may be printed.
#[track_caller]
fn assert_tells_of_waiting_alone(run: &Run) {
    let waits = |line: &str| line.contains("waiting for the lock");
    assert!(run.stderr.lines().all(waits), "{run}");
}

/// Takes the repository's lock as often as that and checks, as the program would, that no two port
/// files name the same port.
fn watch(sandbox: &Sandbox, names: &[String], times: usize) {
    let path = sandbox.path(LOCK);
    for _ in 0..times {
        let Ok(lock) = OpenOptions::new().write(true).open(&path) else {
            continue;
        };
        lock.lock().unwrap();
        sandbox.disjoint_ports(names);
    }
}
