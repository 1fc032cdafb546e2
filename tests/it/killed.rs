//! The program is killed anywhere. Port file and record are each absent, old or new, and always
//! whole. What either names stays reserved, and the next call by hand makes them equal.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::ExitStatusExt;

use serde_json::Value;

use crate::support::strace::{self, Call};
use crate::support::{FIRST_CHECKOUT, PORT_FILE, Sandbox};

const EXCLUDE: &str = "repo/.git/info/exclude";

/// The entry of `b`, the worktree in which the program is killed, and its record.
const ENTRY: &str = "repo/.git/worktrees/b";
const RECORD: &str = "repo/.git/worktrees/b/worktree-ports.json";
const RECORD_TEMPORARY: &str = "repo/.git/worktrees/b/worktree-ports.json.worktree-ports.tmp";

/// The files of `b` that the program writes: the port file, the record, and their temporary files.
const FILES: [&str; 4] = [
    "b/.worktree-ports.json",
    "b/.worktree-ports.json.worktree-ports.tmp",
    RECORD,
    RECORD_TEMPORARY,
];

/// The content of each of [`FILES`].
type State = [Option<String>; 4];

#[test]
#[ignore = "needs strace"]
fn an_allocation_killed_anywhere_leaves_no_port_file_or_a_whole_one() {
    let sandbox = sandbox();
    let exclude = fs::read(sandbox.path(EXCLUDE)).unwrap();
    let kill = Kill::new(&sandbox, &FIRST_CHECKOUT);
    let new = kill.after.clone();
    assert!(kill.before.iter().all(Option::is_none));
    kill.at_every_call(|call| {
        sandbox.write(EXCLUDE, &exclude);
        kill.at(call);
        // The next checkout finishes the work, unless only the record's final name was missing.
        sandbox.run_hook("b").exits(0);
        let [file, temporary, record, record_temporary] = state(&sandbox);
        assert_eq!((&file, temporary), (&new[0], None), "{call:?}");
        assert_eq!(record.or(record_temporary), new[2], "{call:?}");
    });
    sandbox.assert_no_leftovers("b");
}

#[test]
#[ignore = "needs strace"]
fn after_a_kill_anywhere_the_next_call_adds_the_exclude_lines() {
    let sandbox = sandbox();
    let exclude = fs::read_to_string(sandbox.path(EXCLUDE)).unwrap();
    let without: String = exclude
        .split_inclusive('\n')
        .filter(|line| !line.contains("worktree-ports"))
        .collect();
    assert_ne!(without, exclude);
    sandbox.write(EXCLUDE, &without);
    let kill = Kill::new(&sandbox, &FIRST_CHECKOUT);
    kill.at_every_call(|call| {
        sandbox.write(EXCLUDE, &without);
        kill.at(call);
        sandbox.run_hook("b").exits(0);
        assert_eq!(
            fs::read_to_string(sandbox.path(EXCLUDE)).unwrap(),
            exclude,
            "{call:?}"
        );
    });
}

#[test]
#[ignore = "needs strace"]
fn a_reallocation_killed_anywhere_leaves_the_old_port_file_or_the_new() {
    let sandbox = sandbox();
    // Another worktree has slot 1 when `b` chooses first, but not when `b` reallocates.
    sandbox.run_hook("a").exits(0);
    sandbox.run_hook("b").exits(0);
    sandbox.run("a", &["--release"]).exits(0);
    let kill = Kill::new(&sandbox, &["--reallocate"]);
    assert_ne!(kill.before, kill.after);
    let (mut olds, mut news) = (0, 0);
    kill.at_every_call(|call| {
        kill.at(call);
        let left = state(&sandbox)[0].clone();
        olds += usize::from(left == kill.before[0]);
        news += usize::from(left == kill.after[0]);
        // What the kill left behind does not prevent an answer.
        assert_eq!(Some(sandbox.run("b", &["--json"]).exits(0).stdout), left);
    });
    assert!(olds > 0 && news > 0);
}

#[test]
#[ignore = "needs strace"]
fn a_restoration_killed_anywhere_leaves_what_the_record_names_reserved() {
    let sandbox = sandbox();
    sandbox.run_hook("b").exits(0);
    for lost in [
        None,
        Some("{"),
        Some(r#"{"worktree": "a", "slot": 9, "ports": {"cloud": 9999}}"#),
    ] {
        match lost {
            None => sandbox.remove_port_file("b"),
            Some(content) => sandbox.write(format!("b/{PORT_FILE}"), content),
        }
        let kill = Kill::new(&sandbox, &[]);
        assert_eq!(kill.before[2], kill.after[2]);
        kill.at_every_call(|call| kill.at(call));
    }
}

#[test]
#[ignore = "needs strace"]
fn a_release_killed_at_any_system_call_leaves_a_reservation_or_none() {
    let sandbox = sandbox();
    sandbox.run_hook("b").exits(0);
    let kill = Kill::new(&sandbox, &["--release"]);
    assert!(kill.after.iter().all(Option::is_none));
    kill.at_every_call(|call| {
        kill.at(call);
        restore(&sandbox, &kill.before);
        kill.at(call);
        sandbox.run("b", &["--release"]).exits(0);
        assert_eq!(state(&sandbox), kill.after, "{call:?}");
    });
}

/// A call in `b` that is killed again and again from the same state.
struct Kill<'a> {
    sandbox: &'a Sandbox,
    arguments: &'a [&'a str],
    calls: Vec<Call>,
    before: State,
    after: State,
}

impl Kill<'_> {
    /// Runs the call, which must change something, and lists its system calls.
    fn new<'a>(sandbox: &'a Sandbox, arguments: &'a [&'a str]) -> Kill<'a> {
        let before = state(sandbox);
        let calls = strace::calls_from_the_lock(sandbox, "b", arguments);
        Kill {
            sandbox,
            arguments,
            calls,
            before,
            after: state(sandbox),
        }
    }

    /// Kills the call at each of its system calls, each time from the same state.
    fn at_every_call(&self, mut kill: impl FnMut(&Call)) {
        assert!(self.calls.len() > 40, "{}", self.calls.len());
        for call in &self.calls {
            restore(self.sandbox, &self.before);
            kill(call);
            self.ends_alike(call);
        }
        restore(self.sandbox, &self.after);
    }

    /// Kills the call at that system call, and checks what is left.
    #[track_caller]
    fn at(&self, call: &Call) {
        let inject = call.inject("signal=KILL");
        let run = strace::inject(self.sandbox, "b", &inject, self.arguments);
        assert_eq!(run.status.signal(), Some(9), "{call:?}: {run}");
        let left = state(self.sandbox);
        for own_name in [0, 2] {
            let is_whole = left[own_name] == self.before[own_name]
                || left[own_name] == self.after[own_name]
                || left[own_name].is_none();
            assert!(is_whole, "{call:?}: {left:?}");
        }
        self.stays_reserved(call, &left);
    }

    /// Another worktree that allocates now gets none of the ports that are left, whether `b` is in
    /// its place or was moved away by hand.
    #[track_caller]
    fn stays_reserved(&self, call: &Call, left: &State) {
        let sandbox = self.sandbox;
        let others = |sandbox: &Sandbox| -> BTreeSet<u64> {
            sandbox.run("a", &["--release"]).exits(0);
            sandbox.run("a", &[]).exits(0);
            let ports = sandbox.ports("a").into_iter().map(u64::from).collect();
            sandbox.run("a", &["--release"]).exits(0);
            ports
        };
        // A port file of the worktree's own counts alone, whether the record is older or newer.
        let of_file = ports(left[0].as_deref());
        let of_record = ports(left[2].as_deref());
        let is_own = left[0]
            .as_deref()
            .is_some_and(|text| text.contains(r#""worktree": "b""#));
        let kept = if is_own {
            of_file
        } else {
            &of_file | &of_record
        };
        assert!(kept.is_disjoint(&others(sandbox)), "{call:?}: {left:?}");

        fs::rename(sandbox.path("b"), sandbox.path("moved")).unwrap();
        // Nobody can see the port file there. Its ports stay reserved if it was the worktree's own.
        let of_own_file = if is_own {
            ports(left[0].as_deref())
        } else {
            BTreeSet::new()
        };
        let kept = &of_own_file | &ports(left[2].as_deref());
        let others = others(sandbox);
        fs::rename(sandbox.path("moved"), sandbox.path("b")).unwrap();
        assert!(kept.is_disjoint(&others), "moved, {call:?}: {left:?}");
    }

    /// The next call by hand makes port file and record equal and leaves nothing else.
    #[track_caller]
    fn ends_alike(&self, call: &Call) {
        self.sandbox.run("b", &[]).exits(0);
        let [file, temporary, record, record_temporary] = state(self.sandbox);
        assert_eq!((temporary, record_temporary), (None, None), "{call:?}");
        let file: Value = serde_json::from_str(&file.unwrap()).unwrap();
        let mut record: Value = serde_json::from_str(&record.unwrap()).unwrap();
        for written in ["env_files", "templates"] {
            let files = record.as_object_mut().unwrap().remove(written);
            assert_eq!(files, Some(serde_json::json!({})));
        }
        assert_eq!(record, file, "{call:?}");
    }
}

/// A repository with `a`, which allocates, and `b`, where the program is killed. The exclude file
/// has its lines already.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::with_worktrees(&["a", "b"]);
    sandbox.run("a", &[]).exits(0);
    sandbox.run("a", &["--release"]).exits(0);
    sandbox
}

/// The content of each of [`FILES`], now.
fn state(sandbox: &Sandbox) -> State {
    assert!(sandbox.path(ENTRY).is_dir());
    FILES.map(|path| fs::read_to_string(sandbox.path(path)).ok())
}

/// Restores [`FILES`] to that state.
fn restore(sandbox: &Sandbox, state: &State) {
    for (path, content) in FILES.iter().zip(state) {
        if let Some(content) = content {
            sandbox.write(path, content);
        } else {
            let _ = fs::remove_file(sandbox.path(path));
        }
    }
}

/// The ports in a file of our shape; none if it is missing or torn.
fn ports(text: Option<&str>) -> BTreeSet<u64> {
    let file: Option<Value> = text.and_then(|text| serde_json::from_str(text).ok());
    let ports = file.and_then(|file| Some(file["ports"].as_object()?.clone()));
    let ports = ports.into_iter().flatten();
    ports.filter_map(|(_, port)| port.as_u64()).collect()
}
