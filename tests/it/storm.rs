//! Everything at once in two shared clones: adds, moves, removals, reallocations, prunes, gcs and
//! changes of `core.bare`, while the program is stopped and killed anywhere; and programs that
//! write the same files.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use serde_json::Value;

use crate::support::{LOCK, PORT_FILE, PROGRAM, Run, Sandbox, TEMPORARY, config, set_mode};

/// The number of workers.
const WORKERS: usize = 24;

/// The number of operations per worker, unless `WORKTREE_PORTS_STORM_ROUNDS` is set.
const ROUNDS: usize = 5;

/// The directories between which worktrees are moved.
const PLACES: [&str; 2] = ["here", "there"];

/// The clones, which share their ports. Every other worker works in the second one.
const CLONES: [&str; 2] = ["repo", "two"];

/// Other programs append to the files while blocks are written and removed.
#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "needs leases")]
fn in_a_storm_of_writers_no_line_is_lost() {
    let sandbox = Sandbox::with_worktrees(&["a", "b"]);
    let files = ["a/.env", "b/.env", "repo/.git/info/exclude"];
    let rounds = rounds() * 10;
    let script = r##"i=0; while test $i -lt $2; do
        { echo "# line $i"; sleep 0.001; echo "# more $i"; } >>"$1"; i=$((i + 1)); sleep 0.02; done"##;
    let writers = files.map(|file| {
        sandbox.write(file, "# first\n");
        let mut writer = sandbox.command("sh", ".");
        writer
            .args(["-euc", script, "sh"])
            .arg(sandbox.path(file))
            .arg(rounds.to_string());
        writer.spawn().unwrap()
    });
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for (at, number) in [("a", 0), ("b", 1)] {
            let (sandbox, is_over) = (&sandbox, &is_over);
            scope.spawn(move || {
                let mut made = 0;
                while !is_over.load(Ordering::Relaxed) {
                    // Another file to hide in each round.
                    made = (made + 1) % 12;
                    let variables = [("WEB_PORT", "{cloud}")];
                    let own = format!("{number}.{made}.env");
                    let config = sandbox.own_config().env_file(".env", &variables);
                    sandbox.configure(at, config.env_file(&own, &variables));
                    sandbox.run(at, &[]);
                    sandbox.run(at, &["--release"]);
                }
            });
        }
        for mut writer in writers {
            assert!(writer.wait().unwrap().success());
        }
        is_over.store(true, Ordering::Relaxed);
    });
    for at in ["a", "b"] {
        sandbox.run(at, &["--release"]).exits(0);
    }
    for file in files {
        let text = fs::read_to_string(sandbox.path(file)).unwrap();
        let is_line = |line: &&str| line.starts_with("# line") || line.starts_with("# more");
        let lines: Vec<&str> = text.lines().filter(is_line).collect();
        let pair = |i| [format!("# line {i}"), format!("# more {i}")];
        let expected: Vec<String> = (0..rounds).flat_map(pair).collect();
        let lost: Vec<_> = expected
            .iter()
            .filter(|line| !lines.contains(&line.as_str()))
            .collect();
        assert!(lost.is_empty(), "{file}: {lost:?}");
        assert_eq!(lines, expected, "{file}");
    }
}

/// The number of operations per worker.
fn rounds() -> usize {
    let rounds = std::env::var("WORKTREE_PORTS_STORM_ROUNDS");
    rounds.map_or(ROUNDS, |rounds| rounds.parse().unwrap())
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "needs /proc")]
fn in_a_storm_no_port_and_no_slot_is_given_twice() {
    let storm = Storm::new();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| storm.disturb(&over));
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                storm.look();
            }
        });
        for command in [
            &["worktree", "prune"][..],
            &["gc", "--quiet"],
            &["config", "core.bare", "true"],
            &["config", "core.bare", "false"],
        ] {
            let (storm, over) = (&storm, &over);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    storm.sandbox.try_git("repo", command);
                }
            });
        }
        let workers: Vec<_> = (0..WORKERS)
            .map(|number| {
                let storm = &storm;
                scope.spawn(move || Worker::new(storm, number).work(storm.rounds))
            })
            .collect();
        // The loops above must end even if a worker has panicked.
        let ends: Vec<_> = workers
            .into_iter()
            .map(thread::ScopedJoinHandle::join)
            .collect();
        over.store(true, Ordering::Relaxed);
        for end in ends {
            if let Err(panic) = end {
                std::panic::resume_unwind(panic);
            }
        }
    });
    storm.settles();
}

/// Counts of what happened, printed at the end.
#[derive(Default)]
struct Counts {
    adds: AtomicUsize,
    moves: AtomicUsize,
    removals: AtomicUsize,
    reallocations: AtomicUsize,
    kills: AtomicUsize,
    stops: AtomicUsize,
    looks: AtomicUsize,
}

fn count(counter: &AtomicUsize) {
    counter.fetch_add(1, Ordering::Relaxed);
}

struct Storm {
    sandbox: Sandbox,
    counts: Counts,
    rounds: usize,
}

impl Storm {
    /// A repository with a hook that writes down its process id. The configs of its branches `one`
    /// and `two` have ports in common.
    fn new() -> Storm {
        let sandbox = Sandbox::without_hook();
        for (branch, base) in [("one", 0), ("two", 1)] {
            sandbox.git("repo", &["checkout", "--quiet", "-b", branch, "main"]);
            sandbox.configure("repo", config(&[(branch, sandbox.port(base))]).step(1));
            sandbox.commit_config("repo");
        }
        sandbox.git("repo", &["checkout", "--quiet", "main"]);
        sandbox.configure("repo", sandbox.own_config());
        // Only this test runs this copy of the program, so no other test's process is killed.
        sandbox.copy(PROGRAM, "program");
        set_mode(sandbox.path("program"), 0o755);
        fs::create_dir(sandbox.path("processes")).unwrap();
        for (clone, place) in [0, 1, 2, 3].map(|n| (CLONES[n / 2], PLACES[n % 2])) {
            fs::create_dir(sandbox.path(clone_place(clone, place))).unwrap();
        }
        let script = format!(
            "#!/bin/sh\n'{}' \"$@\" &\n: >'{}'/$!\nwait $! || :\n",
            sandbox.path("program").display(),
            sandbox.path("processes").display(),
        );
        sandbox.write_script("run", &script);
        sandbox.git(".", &["clone", "--quiet", "repo", "two"]);
        for branch in ["one", "two"] {
            sandbox.git("two", &["branch", branch, &format!("origin/{branch}")]);
        }
        // Its main worktree has slot 0 too, so it needs other ports.
        let other = config(&[("cloud", sandbox.port(100))]).step(1);
        sandbox.configure("two", other);
        for clone in CLONES {
            let common_dir = sandbox.path(clone).join(".git").display().to_string();
            sandbox.git(clone, &["config", "worktreePorts.share", "true"]);
            let list = ["config", "--global", "--add", "worktreePorts.repository"];
            sandbox.git(clone, &[&list[..], &[&common_dir]].concat());
        }
        for clone in CLONES {
            let hook = format!("{clone}/.git/hooks/post-checkout");
            sandbox.write_script(hook, &script);
            sandbox.run(clone, &[]).exits(0);
        }
        Storm {
            sandbox,
            counts: Counts::default(),
            rounds: rounds(),
        }
    }

    /// Kills some runs of the program, and stops others for a while.
    fn disturb(&self, over: &AtomicBool) {
        let program = self.sandbox.path("program");
        let mut random = Random(77);
        let mut stopped: Vec<String> = Vec::new();
        while !over.load(Ordering::Relaxed) {
            // They were stopped for as long as it took to list the processes.
            for pid in stopped.drain(..) {
                signal(&pid, "CONT");
            }
            for entry in fs::read_dir(self.sandbox.path("processes")).unwrap() {
                let entry = entry.unwrap();
                let pid = entry.file_name().into_string().unwrap();
                let runs = fs::read_link(format!("/proc/{pid}/exe"));
                if runs.is_ok_and(|runs| runs == program) {
                    match random.below(12) {
                        0 => {
                            count(&self.counts.kills);
                            signal(&pid, "KILL");
                        }
                        1..4 => {
                            count(&self.counts.stops);
                            signal(&pid, "STOP");
                            stopped.push(pid);
                        }
                        _ => {}
                    }
                } else if !Path::new(&format!("/proc/{pid}")).exists() {
                    fs::remove_file(entry.path()).unwrap();
                }
            }
        }
        for pid in stopped {
            signal(&pid, "CONT");
        }
    }

    /// Checks the port files with the locks held: nobody writes them, but git moves and removes
    /// their directories.
    fn look(&self) {
        // In the same order as the program.
        let _locks = CLONES.map(|clone| {
            let path = self.sandbox.path(LOCK.replace("repo", clone));
            let lock = File::options().write(true).open(path).unwrap();
            lock.lock().unwrap();
            lock
        });
        count(&self.counts.looks);
        self.reservations();
    }

    /// The port files by clone and worktree id. Fails if two have the same port, two of one clone
    /// have the same slot, or a file is torn.
    #[track_caller]
    fn reservations(&self) -> BTreeMap<(&'static str, String), Value> {
        let mut found: BTreeMap<(&'static str, String), Value> = BTreeMap::new();
        for (clone, root) in self.roots() {
            // The directory may have been moved or removed just now.
            let Ok(text) = fs::read_to_string(root.join(PORT_FILE)) else {
                continue;
            };
            let file: Value = serde_json::from_str(&text)
                .unwrap_or_else(|error| panic!("{error} in {}: {text:?}", root.display()));
            let id = file["worktree"].as_str().unwrap_or("main worktree");
            let id = (clone, id.to_owned());
            // A worktree that was moved meanwhile is seen twice.
            let before = found.insert(id.clone(), file.clone());
            assert!(
                before.is_none_or(|before| before == file),
                "{id:?} has two files"
            );
        }
        let mut owners = BTreeMap::new();
        let mut slots = BTreeMap::new();
        for (id, file) in &found {
            let ports = file["ports"].as_object().unwrap().values();
            for port in ports.map(|port| port.as_u64().unwrap()) {
                let other = owners.insert(port, id);
                assert_eq!(other, None, "port {port} is also assigned to {id:?}");
            }
            let slot = (id.0, file["slot"].as_u64().unwrap());
            let other = slots.insert(slot, id);
            assert_eq!(other, None, "slot {slot:?} is also assigned to {id:?}");
        }
        found
    }

    /// The directories that may be worktrees, each with its clone.
    fn roots(&self) -> Vec<(&'static str, PathBuf)> {
        let mut roots: Vec<_> = CLONES.map(|clone| (clone, self.sandbox.path(clone))).into();
        for clone in CLONES {
            for place in PLACES {
                let entries = fs::read_dir(self.sandbox.path(clone_place(clone, place))).unwrap();
                let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
                roots.extend(paths.map(|path| (clone, path)));
            }
        }
        roots
    }

    /// If a clone is copied, its entries lead back to the original's worktrees. A new worktree of
    /// the copy must get none of their ports and slots.
    #[track_caller]
    fn copies(&self, all: &BTreeMap<(&'static str, String), Value>) {
        let sandbox = &self.sandbox;
        let paths = [sandbox.path("repo"), sandbox.path("copy")];
        let copy = "cp -a \"$1\" \"$2\"";
        sandbox.shell(copy, &[&paths[0], &paths[1]]).exits(0);
        sandbox.git("copy", &["worktree", "add", "--quiet", "../of-copy"]);
        let new = sandbox.port_json("of-copy");
        for ((clone, id), file) in all {
            let shares_port = file["ports"].as_object().unwrap().values().any(|port| {
                new["ports"]
                    .as_object()
                    .unwrap()
                    .values()
                    .any(|own| own == port)
            });
            assert!(!shares_port, "{id} of {clone}: {file} {new}");
            assert!(
                *clone != "repo" || file["slot"] != new["slot"],
                "{id}: {file} {new}"
            );
        }
    }

    /// After the storm, a call by hand repairs what was killed, and nothing else is left.
    #[expect(clippy::print_stderr, reason = "the figures of a long run")]
    fn settles(&self) {
        let sandbox = &self.sandbox;
        sandbox.git("repo", &["config", "core.bare", "false"]);
        let before = self.reservations();
        for clone in CLONES {
            sandbox.run(clone, &["--all"]).exits(0);
        }
        let after = self.reservations();
        for (id, file) in &before {
            assert_eq!(after.get(id), Some(file), "{id:?}");
        }
        self.copies(&after);
        for (clone, root) in self.roots() {
            assert!(!root.join(TEMPORARY).exists(), "{}", root.display());
            let file = fs::read_to_string(root.join(PORT_FILE)).unwrap();
            let file: Value = serde_json::from_str(&file).unwrap();
            let record = match file["worktree"].as_str() {
                Some(id) => format!("{clone}/.git/worktrees/{id}/worktree-ports.json"),
                None => format!("{clone}/.git/worktree-ports/main.json"),
            };
            let record = sandbox.path(record);
            assert!(
                !record.with_extension("json.worktree-ports.tmp").exists(),
                "{}",
                record.display()
            );
            let record: Value = serde_json::from_str(&fs::read_to_string(record).unwrap()).unwrap();
            for member in ["worktree", "slot", "ports"] {
                assert_eq!(record[member], file[member]);
            }
        }
        let counts = &self.counts;
        assert!(!after.is_empty());
        eprintln!(
            "{WORKERS} at once, {} rounds: {:?} adds, {:?} moves, {:?} removals, {:?} reallocations, \
             {:?} kills, {:?} stops, {:?} looks",
            self.rounds,
            counts.adds,
            counts.moves,
            counts.removals,
            counts.reallocations,
            counts.kills,
            counts.stops,
            counts.looks
        );
    }
}

fn clone_place(clone: &str, place: &str) -> String {
    format!("{place}-of-{clone}")
}

/// A worker with its own worktrees.
struct Worker<'a> {
    storm: &'a Storm,
    clone: &'static str,
    name: String,
    random: Random,
    /// Where its worktrees are.
    trees: Vec<Tree>,
    made: usize,
}

struct Tree {
    path: PathBuf,
    /// Whether it is locked: git may prune an unlocked worktree while it is being moved.
    is_locked: bool,
}

impl Worker<'_> {
    fn new(storm: &Storm, number: usize) -> Worker<'_> {
        Worker {
            storm,
            clone: CLONES[number % 2],
            name: format!("w{number}"),
            random: Random(1 + number as u64),
            trees: Vec::new(),
            made: 0,
        }
    }

    fn work(mut self, rounds: usize) {
        for _ in 0..rounds {
            match self.random.below(10) {
                _ if self.trees.is_empty() => self.add(),
                0..3 if self.trees.len() < 3 => self.add(),
                0..6 => self.move_one(),
                6 | 7 => self.remove(),
                _ => self.reallocate(),
            }
        }
    }

    fn add(&mut self) {
        // The path of a removed worktree is used again, and so is its id.
        self.made = (self.made + 1) % 5;
        let path = self.place().join(format!("{}-{}", self.name, self.made));
        let is_locked = self.random.below(3) > 0;
        let mut arguments = vec!["worktree", "add", "--quiet", "--detach"];
        arguments.extend(is_locked.then_some("--lock"));
        let branch = ["main", "one", "two"][self.random.below(3)];
        let path_text = path.to_str().unwrap();
        arguments.extend([path_text, branch]);
        // git itself fails for some when many run at once.
        if !path.exists() && self.git(&arguments) {
            count(&self.storm.counts.adds);
            self.trees.push(Tree { path, is_locked });
        }
    }

    fn move_one(&mut self) {
        let place = self.place();
        let Some(index) = self.any() else { return };
        if !self.trees[index].is_locked {
            return self.reallocate();
        }
        self.made += 1;
        let to = place.join(format!("{}-moved-{}", self.name, self.made));
        let from = self.trees[index].path.to_str().unwrap().to_owned();
        if !to.exists() && self.git(&["worktree", "move", "-f", "-f", &from, to.to_str().unwrap()])
        {
            count(&self.storm.counts.moves);
            self.trees[index].path = to;
        }
    }

    fn remove(&mut self) {
        let Some(index) = self.any() else { return };
        let path = self.trees[index].path.clone();
        if !self.trees[index].is_locked && self.random.below(2) == 0 {
            // The next `git worktree prune` removes its entry.
            let removed = fs::remove_dir_all(&path);
            assert!(removed.is_ok(), "{removed:?}");
        } else if !self.git(&["worktree", "remove", "-f", "-f", path.to_str().unwrap()]) {
            return;
        }
        count(&self.storm.counts.removals);
        self.trees.remove(index);
    }

    fn reallocate(&mut self) {
        let Some(index) = self.any() else { return };
        let path = &self.trees[index].path;
        let mut command = self
            .storm
            .sandbox
            .command(self.storm.sandbox.path("run"), path);
        command.arg("--reallocate");
        let run = Sandbox::finish(command);
        assert_is_no_hang(&run);
        count(&self.storm.counts.reallocations);
    }

    fn git(&self, arguments: &[&str]) -> bool {
        let run = self.storm.sandbox.try_git(self.clone, arguments);
        assert_is_no_hang(&run);
        run.status.success()
    }

    fn place(&mut self) -> PathBuf {
        let place = PLACES[self.random.below(PLACES.len())];
        self.storm.sandbox.path(clone_place(self.clone, place))
    }

    fn any(&mut self) -> Option<usize> {
        (!self.trees.is_empty()).then(|| self.random.below(self.trees.len()))
    }
}

/// No call waited for the lock until its time limit.
#[track_caller]
fn assert_is_no_hang(run: &Run) {
    assert!(!run.stderr.contains("gave up"), "{run}");
    assert!(!run.stderr.contains("panicked"), "{run}");
}

/// Pseudo-random numbers, the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

/// Sends a signal to a process, which may have ended.
fn signal(pid: &str, name: &str) {
    let mut kill = Command::new("kill");
    kill.args([&format!("-{name}"), pid]);
    kill.stdout(Stdio::null()).stderr(Stdio::null());
    kill.status().unwrap();
}
