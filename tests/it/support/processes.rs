//! Processes that hold the lock of `repo`, or wait for it.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread;
use std::time::Duration;

use super::{FIRST_CHECKOUT, PROGRAM, Sandbox, TEMPORARY, strace};

/// A process that holds the repository's lock until its stdin is closed.
pub struct Holder {
    pub child: Child,
}

impl Holder {
    /// Returns when it has the lock.
    pub fn take(sandbox: &Sandbox) -> Holder {
        let mut command = sandbox.command("flock", "repo/.git/worktree-ports");
        // Without a fork, so that signals go to the process that holds the lock.
        command.args(["--no-fork", "lock", "cat"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // `cat` runs under the lock, so once it answers, the lock is held.
        child.stdin.as_mut().unwrap().write_all(b"?").unwrap();
        let mut answer = [0];
        child
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut answer)
            .unwrap();
        Holder { child }
    }

    pub fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A hook that waits for the lock.
pub struct Waiter {
    pub child: Child,
    stderr: BufReader<ChildStderr>,
}

impl Waiter {
    /// Returns once it says that it waits.
    #[track_caller]
    pub fn start(sandbox: &Sandbox, at: &str) -> Waiter {
        let mut command = sandbox.command(PROGRAM, at);
        command.args(FIRST_CHECKOUT).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        assert!(line.contains("waiting for the lock"), "{line}");
        Waiter { child, stderr }
    }

    /// Waits for its end and returns what it has printed since; a hook always exits 0.
    #[track_caller]
    pub fn ends(mut self) -> String {
        let mut told = String::new();
        self.stderr.read_to_string(&mut told).unwrap();
        assert!(self.child.wait().unwrap().success());
        told
    }

    /// Asserts that it ends by printing its ports and nothing else.
    #[track_caller]
    pub fn succeeds(self) {
        let told = self.ends();
        assert!(told.starts_with("worktree-ports: cloud "), "{told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An allocation that is stopped after it has written the temporary file and before it renames it.
pub struct StoppedAllocation {
    strace: Child,
    pid: u32,
}

impl StoppedAllocation {
    /// Returns once it is stopped.
    pub fn start(sandbox: &Sandbox, at: &str) -> StoppedAllocation {
        let temporary = sandbox.path(at).join(TEMPORARY);
        let path = temporary.to_str().unwrap();
        // The signal arrives after the call.
        let options = ["-P", path, "-e", "inject=write:signal=STOP"];
        let mut command = strace::command(sandbox, at, &options, &FIRST_CHECKOUT);
        let mut strace = command.stderr(Stdio::null()).spawn().unwrap();
        while !fs::metadata(&temporary).is_ok_and(|file| file.len() > 0) {
            assert!(strace.try_wait().unwrap().is_none(), "strace has ended");
            thread::sleep(Duration::from_millis(1));
        }
        let children = format!("/proc/{0}/task/{0}/children", strace.id());
        let children = fs::read_to_string(children).unwrap();
        let pid = children.trim().parse().unwrap();
        StoppedAllocation { strace, pid }
    }

    pub fn signal(&self, name: &str) {
        signal(self.pid, name);
    }

    /// Waits for its end, which a signal must have caused.
    pub fn ends(mut self) {
        self.strace.wait().unwrap();
    }
}

impl Drop for StoppedAllocation {
    fn drop(&mut self) {
        // After a failed test, a stopped process would stay.
        if let Ok(None) = self.strace.try_wait() {
            signal(self.pid, "KILL");
            let _ = self.strace.wait();
        }
    }
}

fn signal(pid: u32, name: &str) {
    let status = Command::new("kill")
        .args([&format!("-{name}"), &pid.to_string()])
        .status();
    assert!(status.unwrap().success());
}
