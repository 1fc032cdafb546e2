//! The lock: a holder that is stopped, killed or slow, and a file system without locks.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::processes::{Holder, StoppedAllocation, Waiter};
use crate::support::{FIRST_CHECKOUT, LOCK, PROGRAM, Sandbox, TEMPORARY, strace};

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "needs flock")]
fn a_stopped_holder_is_named_and_the_wait_for_it_ends_in_time() {
    let sandbox = two_worktrees();
    let holder = Holder::take(&sandbox);
    holder.signal("STOP");
    let begin = Instant::now();
    let mut command = sandbox.command(PROGRAM, "a");
    command.env("WORKTREE_PORTS_LOCK_TIMEOUT", "2");
    let run = Sandbox::finish(command).exits(1);
    // The generous upper limit is only there to tell it from the default of 60 s.
    let waited = begin.elapsed();
    assert!(
        (Duration::from_secs(2)..Duration::from_secs(30)).contains(&waited),
        "{waited:?}"
    );
    let by = format!("by process {} (cat)", holder.child.id());
    let lines: Vec<&str> = run.stderr.lines().collect();
    assert!(lines[0].starts_with("worktree-ports: waiting for the lock") && lines[0].contains(&by));
    assert!(
        lines[1].starts_with("worktree-ports: error: gave up after 2 s") && lines[1].contains(&by)
    );
    assert_eq!(lines.len(), 2, "{run}");
    assert!(!sandbox.has_port_file("a"));
    sandbox.assert_no_leftovers("a");
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "needs flock")]
fn killing_the_holder_frees_the_lock_and_the_waiter_succeeds() {
    let sandbox = two_worktrees();
    let mut holder = Holder::take(&sandbox);
    holder.signal("STOP");
    let waiter = Waiter::start(&sandbox, "a");
    holder.child.kill().unwrap();
    waiter.succeeds();
    assert_eq!(sandbox.ports("a"), [sandbox.port(1)]);
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "needs flock")]
fn a_slow_holder_is_waited_for() {
    let sandbox = two_worktrees();
    let mut holder = Holder::take(&sandbox);
    let waiter = Waiter::start(&sandbox, "a");
    // The holder ends by itself.
    drop(holder.child.stdin.take());
    waiter.succeeds();
    assert_eq!(sandbox.ports("a"), [sandbox.port(1)]);
}

#[test]
#[ignore = "needs strace"]
fn all_waiters_succeed_when_a_stopped_allocation_goes_on() {
    let sandbox = two_worktrees();
    let stopped = StoppedAllocation::start(&sandbox, "a");
    for i in 0..6 {
        sandbox.add(&format!("w{i}"));
    }
    let waiters: Vec<Waiter> = (0..6)
        .map(|i| Waiter::start(&sandbox, &format!("w{i}")))
        .collect();
    assert!(!sandbox.has_port_file("a"));
    stopped.signal("CONT");
    stopped.ends();
    for waiter in waiters {
        waiter.succeeds();
    }
    assert_eq!(sandbox.ports("a"), [sandbox.port(1)]);
    let mut others: Vec<u16> = (0..6)
        .flat_map(|i| sandbox.ports(format!("w{i}")))
        .collect();
    others.sort_unstable();
    others.dedup();
    assert_eq!(others.len(), 6);
    assert!(!others.contains(&sandbox.port(1)));
}

#[test]
#[ignore = "needs strace"]
fn a_call_killed_while_others_wait_keeps_what_it_was_about_to_write() {
    let sandbox = two_worktrees();
    let stopped = StoppedAllocation::start(&sandbox, "a");
    let waiter = Waiter::start(&sandbox, "b");
    stopped.signal("KILL");
    stopped.ends();
    waiter.succeeds();
    assert_eq!(sandbox.ports("b"), [sandbox.port(2)]);
    assert!(sandbox.path("a").join(TEMPORARY).exists());
    sandbox.run_hook("a").exits(0);
    assert_eq!(sandbox.ports("a"), [sandbox.port(1)]);
    sandbox.assert_no_leftovers("a");
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "needs flock")]
fn worktree_add_succeeds_without_ports_if_the_lock_cannot_be_taken() {
    let sandbox = Sandbox::new();
    sandbox.run("repo", &[]).exits(0);
    let _holder = Holder::take(&sandbox);
    let mut git = sandbox.command("git", "repo");
    git.args(["worktree", "add", "../a"]);
    git.env("WORKTREE_PORTS_LOCK_TIMEOUT", "0");
    let run = Sandbox::finish(git).exits(0);
    run.tells(&["error: gave up after 0 s", "run `worktree-ports-hook -C "]);
    assert!(!sandbox.has_port_file("a"));
    sandbox.assert_no_leftovers("a");
}

#[test]
#[ignore = "needs strace"]
fn a_file_system_without_locks_is_an_error_with_a_remedy() {
    let sandbox = two_worktrees();
    sandbox.run_hook("b").exits(0);
    let old = sandbox.port_file("b");
    for (error, way_out) in [
        ("ENOLCK", "supports locks"),
        ("EOPNOTSUPP", "supports locks"),
        ("ENOSYS", "supports locks"),
        ("EIO", "Input/output error"),
    ] {
        let what = format!("flock:error={error}");
        let told = ["error: could not lock", way_out];
        strace::inject(&sandbox, "a", &what, &FIRST_CHECKOUT)
            .exits(0)
            .tells(&told);
        strace::inject(&sandbox, "a", &what, &[])
            .exits(1)
            .tells(&told);
        assert!(!sandbox.has_port_file("a"));
        sandbox.assert_no_leftovers("a");
        strace::inject(&sandbox, "b", &what, &["--reallocate"])
            .exits(1)
            .tells(&told);
        assert_eq!(sandbox.port_file("b"), old);
    }
}

#[test]
#[ignore = "needs strace"]
fn a_lock_call_that_a_signal_interrupts_is_made_again() {
    let sandbox = two_worktrees();
    strace::inject(
        &sandbox,
        "a",
        "flock:error=EINTR:when=1..3",
        &FIRST_CHECKOUT,
    )
    .exits(0);
    assert_eq!(sandbox.ports("a"), [sandbox.port(1)]);
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "needs flock")]
fn a_call_in_a_worktree_moved_or_removed_meanwhile_says_so() {
    let remove = ["worktree", "remove", "../a"];
    let move_away = ["worktree", "move", "../a", "../elsewhere"];
    for command in [&remove[..], &move_away] {
        let sandbox = two_worktrees();
        let holder = Holder::take(&sandbox);
        let waiter = Waiter::start(&sandbox, "a");
        sandbox.git("repo", command);
        drop(holder);
        let told = waiter.ends();
        assert!(told.contains("error: "), "{command:?}: {told}");
        assert!(told.contains("moved or removed"), "{command:?}: {told}");
        assert!(!sandbox.path("a").exists(), "{command:?}");
        assert!(!sandbox.has_port_file("elsewhere"), "{command:?}");
        let record = sandbox.path("repo/.git/worktrees/a/worktree-ports.json");
        assert!(!record.exists(), "{command:?}");
    }
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "needs flock")]
fn nothing_is_written_into_a_worktree_that_took_the_place_of_a_waiter() {
    for has_ports in [true, false] {
        let sandbox = two_worktrees();
        if has_ports {
            sandbox.run("b", &[]).exits(0);
        }
        let before = has_ports.then(|| sandbox.port_file("b"));
        let holder = Holder::take(&sandbox);
        let waiter = Waiter::start(&sandbox, "a");
        sandbox.git("repo", &["worktree", "move", "../a", "../elsewhere"]);
        sandbox.git("repo", &["worktree", "move", "../b", "../a"]);
        drop(holder);
        let told = waiter.ends();
        assert!(told.contains("error: "), "{told}");
        let after = sandbox.has_port_file("a").then(|| sandbox.port_file("a"));
        assert_eq!(after, before);
        assert!(!sandbox.has_port_file("elsewhere"));
        // Afterwards, both are like any other worktree.
        sandbox.run("elsewhere", &[]).exits(0);
        sandbox.run("a", &[]).exits(0);
        assert_ne!(sandbox.ports("a"), sandbox.ports("elsewhere"));
    }
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "needs flock and /proc/locks")]
fn if_the_lock_file_was_replaced_the_new_one_is_locked() {
    let sandbox = two_worktrees();
    let lock = sandbox.path(LOCK);
    let removed = Holder::take(&sandbox);
    let mut waiter = Waiter::start(&sandbox, "a");
    fs::remove_file(&lock).unwrap();
    let holder = Holder::take(&sandbox);
    // It gets the lock on the removed file, and then waits for the new one.
    drop(removed);
    while !is_waiting_for(&lock, waiter.child.id()) {
        assert!(
            waiter.child.try_wait().unwrap().is_none(),
            "it has not waited"
        );
        thread::yield_now();
    }
    assert!(!sandbox.has_port_file("a"));
    drop(holder);
    assert!(waiter.ends().contains("worktree-ports: cloud "));
    assert_eq!(sandbox.ports("a"), [sandbox.port(1)]);
}

/// Whether the kernel lists that process as waiting for that lock.
fn is_waiting_for(lock: &Path, pid: u32) -> bool {
    let inode = format!(":{}", fs::metadata(lock).unwrap().ino());
    let locks = fs::read_to_string("/proc/locks").unwrap();
    locks.lines().any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields.contains(&"->")
            && fields.contains(&pid.to_string().as_str())
            && fields.iter().any(|field| field.ends_with(&inode))
    })
}

/// Worktrees `a` and `b` without port files; the lock file exists.
fn two_worktrees() -> Sandbox {
    let sandbox = Sandbox::with_worktrees(&["a", "b"]);
    sandbox.run("repo", &[]).exits(0);
    sandbox
}
