//! What the hook costs, beside what it is measured against: `cargo bench --bench cost`.
//!
//! The two commands of a row run in turns, so that a busy machine slows both, and a wall ratio is
//! the median of the pairs. Instructions are those in user space, counted once by valgrind, where
//! that is installed; they repeat from run to run.

#![expect(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a table on stdout, of figures that are rounded anyway"
)]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_worktree-ports-hook");
const HOOK_FILE: &str = include_str!("../hooks/post-checkout");
const PORT_FILE: &str = ".worktree-ports.json";

/// How many worktrees are made at once.
const CROWD: usize = 64;

/// So small a step, because the default one has room for fewer than 1000 worktrees.
const CONFIG: &str = r#"{
  "services": { "cloud": 8000 },
  "step": 10,
  "urls": { "cloud_url": "http://127.0.0.1:{cloud}" }
}
"#;

fn main() {
    // `cargo test --all-targets` runs this too, and asks for no figures.
    if !env::args().any(|argument| argument == "--bench") {
        return;
    }
    let lab = Lab::new();
    let tools = lab.tools();
    let [alone, hundred, thousand] = [1, 100, 1000].map(|count| lab.repository(count));

    println!("| what | against | instructions | ratio | wall, ms | ratio | target |");
    println!("|---|---|--:|--:|--:|--:|---|");
    for tool in &tools {
        for (at, place, limit) in [
            ("main", &*alone.main, 4.0),
            ("linked", alone.subject(), 8.0),
        ] {
            let row = checkout(&lab, tool, &alone, (at, place));
            row.print(tool.is_ours().then_some(Target::Instructions(limit)));
        }
    }
    let mut growth = Vec::new();
    for tool in &tools {
        for (repository, limit) in [
            (&alone, None),
            (&hundred, Some(0.5)),
            (&thousand, Some(0.3)),
        ] {
            let row = allocation(&lab, tool, repository);
            row.print(limit.filter(|_| tool.is_ours()).map(Target::Instructions));
            if tool.is_ours() {
                growth.extend(row.instructions.map(|(ours, _)| ours as f64));
            }
        }
    }
    for tool in &tools {
        for (repository, limit) in [(&alone, 1.2), (&thousand, 1.3)] {
            let row = worktree_add(&lab, tool, repository);
            row.print(tool.is_ours().then_some(Target::Wall(limit)));
        }
    }

    println!();
    println!("| what | measured | target |");
    println!("|---|--:|---|");
    if let [one, hundred, thousand] = growth[..] {
        let (first, later) = ((hundred - one) / 99.0, (thousand - hundred) / 900.0);
        let measured = format!("{first:.0}, {later:.0}");
        let what = "instructions for each further worktree, up to 100 and up to 1000";
        fact(what, &measured, "linear", later <= 1.1 * first);
    }
    let ours = &tools[0];
    let (ratio, longest) = lab.crowd(ours, &hundred);
    let what = format!("{CROWD} allocations at once among 100, against {CROWD} in a row");
    fact(&what, &format!("{ratio:.2}"), "1.50", ratio <= 1.5);
    let measured = format!("{} ms", longest.as_millis());
    let is_short = longest <= Duration::from_secs(2);
    fact("the longest of these", &measured, "2000 ms", is_short);
    if let Some(peak) = lab.peak_memory(ours, &thousand) {
        let measured = format!("{:.1} MB", peak as f64 / 1024.0);
        fact(
            "peak memory of an allocation among 1000",
            &measured,
            "8 MB",
            peak <= 8 * 1024,
        );
    }
    let size = fs::metadata(PROGRAM).expect("cargo has built it").len();
    let measured = format!("{:.2} MB", size as f64 / 1e6);
    fact(
        "the program, stripped",
        &measured,
        "2 MB",
        size <= 2_000_000,
    );
}

fn checkout(lab: &Lab, tool: &Tool, repository: &Repository, (at, place): (&str, &Path)) -> Row {
    tool.forget(lab, repository);
    let checkout = Case::new(|| tool.run_in(lab, place));
    // The first one allocates.
    checkout.run();
    let nothing = Case::new(|| lab.command("/bin/true", place));
    Row {
        what: format!("{}: checkout, {at} worktree", tool.name),
        against: "`true`",
        instructions: lab.instructions(&checkout, &nothing),
        wall: Pairs::run(tool.rounds(), &checkout, &nothing),
    }
}

fn allocation(lab: &Lab, tool: &Tool, repository: &Repository) -> Row {
    let place = repository.subject();
    tool.forget(lab, repository);
    let allocation = Case::new(|| tool.run_in(lab, place)).after(|| {
        assert!(
            place.join(tool.file).exists(),
            "{} wrote nothing",
            tool.name
        );
        tool.forget(lab, repository);
    });
    let listing = Case::new(|| {
        let mut command = lab.git(place);
        command.args(["worktree", "list", "--porcelain"]);
        command
    });
    Row {
        what: format!("{}: allocation among {}", tool.name, repository.count),
        against: "`git worktree list`",
        instructions: lab.instructions(&allocation, &listing),
        wall: Pairs::run(tool.rounds(), &allocation, &listing),
    }
}

fn worktree_add(lab: &Lab, tool: &Tool, repository: &Repository) -> Row {
    tool.forget(lab, repository);
    let [with_hook, with_empty] =
        [tool.name, "empty"].map(|hook| lab.worktree_add(repository, hook));
    Row {
        what: format!(
            "{}: `git worktree add` among {}",
            tool.name, repository.count
        ),
        against: "the same, empty shell hook",
        instructions: None,
        wall: Pairs::run(tool.rounds(), &with_hook, &with_empty),
    }
}

/// A program that gives a worktree its ports when git's post-checkout runs it.
struct Tool {
    name: &'static str,
    program: String,
    arguments: Vec<String>,
    /// What it writes into a worktree.
    file: &'static str,
    /// What it writes into the home directory.
    ledger: Option<&'static str>,
}

impl Tool {
    fn is_ours(&self) -> bool {
        self.program == PROGRAM
    }

    /// How many pairs are measured: of the others, only the order of magnitude matters.
    fn rounds(&self) -> usize {
        if self.is_ours() { 41 } else { 9 }
    }

    /// As git runs it after an ordinary checkout.
    fn run_in(&self, lab: &Lab, place: &Path) -> Command {
        let mut command = lab.command(&self.program, place);
        command.args(&self.arguments);
        command
    }

    /// Makes the tool forget that the repository's first linked worktree has ports.
    fn forget(&self, lab: &Lab, repository: &Repository) {
        let _ = fs::remove_file(repository.subject().join(self.file));
        if let Some(ledger) = self.ledger {
            let kept = repository.directory.join("ledger");
            if !kept.exists() {
                let _ = fs::remove_file(lab.home().join(ledger));
                for place in [&repository.main]
                    .into_iter()
                    .chain(&repository.linked[1..])
                {
                    finish(&mut self.run_in(lab, place));
                }
                fs::copy(lab.home().join(ledger), &kept).unwrap();
            }
            fs::copy(kept, lab.home().join(ledger)).unwrap();
        }
    }
}

/// A main worktree with so many linked ones, all but the first of which have ports.
struct Repository {
    count: usize,
    directory: PathBuf,
    main: PathBuf,
    linked: Vec<PathBuf>,
}

impl Repository {
    fn subject(&self) -> &Path {
        &self.linked[0]
    }
}

/// The place where all is measured: the target directory, with no one's git config.
struct Lab {
    directory: PathBuf,
}

impl Lab {
    fn new() -> Lab {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cost");
        fs::create_dir_all(directory.join("home")).unwrap();
        let directory = fs::canonicalize(directory).unwrap();
        Lab { directory }
    }

    fn home(&self) -> PathBuf {
        self.directory.join("home")
    }

    fn command(&self, program: &str, place: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(place)
            .env_clear()
            .env("PATH", env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home())
            .env("GIT_CONFIG_GLOBAL", self.home().join(".gitconfig"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), "A");
            command.env(format!("GIT_{role}_EMAIL"), "a@example.com");
        }
        command
    }

    fn git(&self, place: &Path) -> Command {
        self.command("git", place)
    }

    /// Ours first, then those that this machine has.
    fn tools(&self) -> Vec<Tool> {
        let id = "1".repeat(40);
        let checkout = [id.as_str(), id.as_str(), "1"].map(str::to_owned);
        let mut tools = vec![Tool {
            name: "this hook",
            program: PROGRAM.to_owned(),
            arguments: checkout.to_vec(),
            file: PORT_FILE,
            ledger: None,
        }];
        // What is on the PATH may be a wrapper that costs more than Python itself.
        let executable = output(
            self.command("python3", &self.directory)
                .args(["-c", "import sys; print(sys.executable)"]),
        );
        if let Some(python) = executable {
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/plain.py");
            tools.push(Tool {
                name: "plain Python",
                program: python.trim().to_owned(),
                arguments: [[script.to_owned()].as_slice(), &checkout].concat(),
                file: ".plain-ports.json",
                ledger: None,
            });
        } else {
            println!("(no `python3` here: the plain script is left out)\n");
        }
        if output(self.command("portool", &self.directory).arg("--version")).is_some() {
            tools.push(Tool {
                name: "portool",
                program: "portool".to_owned(),
                arguments: ["sync", "--quiet"].map(str::to_owned).to_vec(),
                file: ".env.portool",
                ledger: Some(".local/state/portool/registry.json"),
            });
        } else {
            println!("(no `portool` here: `cargo install portool` adds it)\n");
        }
        for tool in &tools[1..] {
            let command = [[tool.program.clone()].as_slice(), &tool.arguments].concat();
            let command = command.iter().map(|word| match word.as_str() {
                word if word == id => "\"$1\"".to_owned(),
                word => format!("'{word}'"),
            });
            let command = command.collect::<Vec<_>>().join(" ");
            self.write_hook(tool.name, &format!("#!/bin/sh\nexec {command}\n"));
        }
        self.write_hook("empty", "#!/bin/sh\nexec /bin/true\n");
        self.write_hook(tools[0].name, HOOK_FILE);
        let beside = self.directory.join(tools[0].name).join("worktree-ports");
        fs::create_dir_all(&beside).unwrap();
        let _ = fs::remove_file(beside.join("worktree-ports-hook"));
        fs::copy(PROGRAM, beside.join("worktree-ports-hook")).unwrap();
        tools
    }

    fn hooks(&self, name: &str) -> String {
        format!("{}/{name}/hooks", self.directory.display())
    }

    fn write_hook(&self, name: &str, text: &str) {
        let path = Path::new(&self.hooks(name)).join("post-checkout");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }

    /// The repository with `count` linked worktrees, made once and kept.
    fn repository(&self, count: usize) -> Repository {
        let directory = self.directory.join(format!("repository-{count}"));
        let linked = (0..count).map(|i| directory.join(format!("linked-{i}")));
        let repository = Repository {
            count,
            main: directory.join("main"),
            linked: linked.collect(),
            directory,
        };
        let complete = repository.directory.join("complete");
        if !complete.exists() {
            self.build(&repository);
            fs::write(complete, "").unwrap();
        }
        // A bench that was interrupted leaves its last worktree.
        let _ = (self.git(&repository.main))
            .args(["worktree", "remove", "--force", "../new"])
            .status();
        repository
    }

    fn build(&self, repository: &Repository) {
        let main = &repository.main;
        let _ = fs::remove_dir_all(&repository.directory);
        fs::create_dir_all(main).unwrap();
        finish(self.git(main).args(["init", "--quiet"]));
        fs::write(main.join(".worktree-ports.config.json"), CONFIG).unwrap();
        finish(self.git(main).args(["add", "."]));
        finish(
            self.git(main)
                .args(["commit", "--quiet", "--message=first"]),
        );
        // As the hook leaves it after its first allocation, so that no tool's file stops git from
        // removing a worktree.
        let exclude =
            "/.worktree-ports.json\n/.worktree-ports.json.tmp\n.plain-ports.json\n.env.portool\n";
        fs::write(main.join(".git/info/exclude"), exclude).unwrap();
        for (slot, root) in repository.linked.iter().enumerate() {
            let mut add = self.git(main);
            add.args(["worktree", "add", "--quiet", "--detach"]);
            if slot > 0 {
                add.arg("--no-checkout");
            }
            finish(add.arg(root));
            // Slot 0 is the main worktree's.
            let (slot, port) = (slot + 1, 8000 + 10 * (slot + 1));
            let port_file = format!(
                "{{\n  \"worktree\": \"linked-{}\",\n  \"slot\": {slot},\n  \"ports\": {{\n    \"cloud\": {port}\n  }},\n  \"cloud_url\": \"http://127.0.0.1:{port}\"\n}}\n",
                slot - 1
            );
            fs::write(root.join(PORT_FILE), port_file).unwrap();
            fs::write(
                root.join(".plain-ports.json"),
                format!("{{\"port\": {port}}}\n"),
            )
            .unwrap();
        }
    }
}

/// What the whole bench measures: a command, and what puts things back after it.
struct Case<'a> {
    command: Box<dyn Fn() -> Command + 'a>,
    after: Box<dyn Fn() + 'a>,
}

impl<'a> Case<'a> {
    fn new(command: impl Fn() -> Command + 'a) -> Self {
        Case {
            command: Box::new(command),
            after: Box::new(|| {}),
        }
    }

    fn after(mut self, after: impl Fn() + 'a) -> Self {
        self.after = Box::new(after);
        self
    }

    /// Runs it once; how long that took.
    fn run(&self) -> Duration {
        let mut command = (self.command)();
        let start = Instant::now();
        finish(&mut command);
        let took = start.elapsed();
        (self.after)();
        took
    }
}

/// What two commands took that ran in turns: the medians in milliseconds, and that of the ratios.
struct Pairs {
    one: f64,
    other: f64,
    ratio: f64,
}

impl Pairs {
    fn run(rounds: usize, one: &Case<'_>, other: &Case<'_>) -> Pairs {
        let mut times = Vec::new();
        for round in 0..rounds {
            // Each is as often the first, which may find colder caches.
            times.push(if round % 2 == 0 {
                (one.run(), other.run())
            } else {
                let other = other.run();
                (one.run(), other)
            });
        }
        let median = |of: fn(f64, f64) -> f64| {
            let mut values: Vec<f64> = times
                .iter()
                .map(|(one, other)| of(1e3 * one.as_secs_f64(), 1e3 * other.as_secs_f64()))
                .collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        Pairs {
            one: median(|one, _| one),
            other: median(|_, other| other),
            ratio: median(|one, other| one / other),
        }
    }
}

impl Lab {
    /// `git worktree add` with the hook of that name; the worktree is removed after it.
    fn worktree_add<'a>(&'a self, repository: &'a Repository, hook: &str) -> Case<'a> {
        let hooks = format!("core.hooksPath={}", self.hooks(hook));
        let in_main = |arguments: &[&str]| {
            let mut command = self.git(&repository.main);
            command.args(arguments);
            command
        };
        Case::new(move || {
            let add = ["worktree", "add", "--quiet", "--detach", "../new"];
            in_main(&[["-c", &hooks].as_slice(), &add].concat())
        })
        .after(move || finish(&mut in_main(&["worktree", "remove", "--force", "../new"])))
    }

    /// The instructions of both in user space, their children's among them; `None` without
    /// valgrind.
    fn instructions(&self, one: &Case<'_>, other: &Case<'_>) -> Option<(u64, u64)> {
        let logs = self.directory.join("instructions");
        let count = |case: &Case<'_>| -> Option<u64> {
            let _ = fs::remove_dir_all(&logs);
            fs::create_dir_all(&logs).unwrap();
            let command = (case.command)();
            let status = self
                .command("valgrind", command.get_current_dir()?)
                .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
                .args([
                    "--trace-children=yes",
                    "--log-file=%q{HOME}/../instructions/%p",
                ])
                .arg(command.get_program())
                .args(command.get_args())
                .status();
            let counted = status.is_ok_and(|status| status.success());
            (case.after)();
            let logs = fs::read_dir(&logs).unwrap().map(|log| {
                let log = fs::read_to_string(log.unwrap().path()).unwrap();
                let (_, count) = log.split_once("Collected : ")?;
                count.split_whitespace().next()?.parse::<u64>().ok()
            });
            let total = logs.sum::<Option<u64>>();
            total.filter(|_| counted)
        };
        Some((count(one)?, count(other)?))
    }

    /// The most memory that an allocation takes, in KiB; `None` without GNU time.
    fn peak_memory(&self, tool: &Tool, repository: &Repository) -> Option<u64> {
        let place = repository.subject();
        let told = self.directory.join("peak");
        let status = self
            .command("/usr/bin/time", place)
            .args(["--format=%M", "--output"])
            .arg(&told)
            .arg(&tool.program)
            .args(&tool.arguments)
            .status();
        tool.forget(self, repository);
        status.ok().filter(ExitStatus::success)?;
        fs::read_to_string(told).ok()?.trim().parse().ok()
    }

    /// [`CROWD`] allocations at once against as many in a row: the median ratio of the times, and
    /// the longest that one took of those at once.
    fn crowd(&self, tool: &Tool, repository: &Repository) -> (f64, Duration) {
        let places = &repository.linked[..CROWD];
        let forget = || {
            for place in places {
                let _ = fs::remove_file(place.join(tool.file));
            }
        };
        let run = |place: &PathBuf| {
            let start = Instant::now();
            finish(&mut tool.run_in(self, place));
            start.elapsed()
        };
        let (mut ratios, mut longest) = (Vec::new(), Duration::ZERO);
        for _ in 0..5 {
            forget();
            let in_a_row: Duration = places.iter().map(run).sum();
            forget();
            let barrier = Barrier::new(CROWD + 1);
            let at_once = thread::scope(|scope| {
                let threads = places.iter().map(|place| {
                    scope.spawn(|| {
                        barrier.wait();
                        run(place)
                    })
                });
                let threads: Vec<_> = threads.collect();
                barrier.wait();
                let start = Instant::now();
                for thread in threads {
                    longest = longest.max(thread.join().unwrap());
                }
                start.elapsed()
            });
            ratios.push(at_once.as_secs_f64() / in_a_row.as_secs_f64());
        }
        ratios.sort_by(f64::total_cmp);
        (ratios[ratios.len() / 2], longest)
    }
}

/// A row of the first table.
struct Row {
    what: String,
    against: &'static str,
    instructions: Option<(u64, u64)>,
    wall: Pairs,
}

/// The highest ratio that is good enough.
#[derive(Clone, Copy)]
enum Target {
    Instructions(f64),
    Wall(f64),
}

impl Row {
    fn print(&self, target: Option<Target>) {
        let Row {
            what,
            against,
            instructions,
            wall,
        } = self;
        let ratio = instructions.map(|(one, other)| one as f64 / other as f64);
        let instructions = match (*instructions, ratio) {
            (Some((one, other)), Some(ratio)) => {
                format!("{} / {} | {ratio:.2}", short(one), short(other))
            }
            _ => "– | –".to_owned(),
        };
        let wall = format!("{:.2} / {:.2} | {:.2}", wall.one, wall.other, wall.ratio);
        let target = match target {
            Some(Target::Instructions(limit)) => {
                ratio.map(|ratio| verdict("instructions", limit, ratio))
            }
            Some(Target::Wall(limit)) => Some(verdict("wall", limit, self.wall.ratio)),
            None => None,
        };
        println!(
            "| {what} | {against} | {instructions} | {wall} | {} |",
            target.unwrap_or_default()
        );
    }
}

fn verdict(of: &str, limit: f64, ratio: f64) -> String {
    format!("{of} {limit:.2}: {}", held(ratio <= limit))
}

/// `385 k`, `1.66 M`
fn short(count: u64) -> String {
    match count {
        0..1_000_000 => format!("{} k", count / 1000),
        _ => format!("{:.2} M", count as f64 / 1e6),
    }
}

/// A row of the second table.
fn fact(what: &str, measured: &str, target: &str, holds: bool) {
    println!("| {what} | {measured} | {target}: {} |", held(holds));
}

fn held(holds: bool) -> &'static str {
    if holds { "held" } else { "**missed**" }
}

/// Runs a command that must succeed.
fn finish(command: &mut Command) {
    let status = command.status();
    assert!(status.is_ok_and(|status| status.success()), "{command:?}");
}

/// What a command prints, where it exists and succeeds.
fn output(command: &mut Command) -> Option<String> {
    let output = command.stdout(Stdio::piped()).output().ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8(output.stdout).ok())?
}
