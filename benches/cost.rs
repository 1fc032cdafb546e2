//! What the hook costs, compared with other commands: `cargo bench --bench cost`.
//!
//! The two commands of a row run in turns, so a busy machine slows both, and the wall ratio is the
//! median of the pairs' ratios. Instructions are those in user space. If valgrind is installed, it
//! counts them once, since they hardly differ between runs.

#![expect(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "prints a table of rounded figures"
)]

use std::env;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_worktree-ports-hook");
const HOOK_FILE: &str = include_str!("../hooks/post-checkout");
const PORT_FILE: &str = ".worktree-ports.json";

/// The number of worktrees that allocate at once.
const CROWD: usize = 64;

/// The number of clones that share their ports.
const CLONES: usize = 10;

/// The number of files in a large repository.
const FILES: usize = 500_000;

fn main() {
    // `cargo test --all-targets` runs this without `--bench`.
    if !env::args().any(|argument| argument == "--bench") {
        return;
    }
    let lab = Lab::new();
    let tools = lab.tools();
    let [alone, hundred, thousand] =
        [1, 100, 1000].map(|count| lab.repository(&format!("repository-{count}"), count, 8000));
    let with_env_file = lab.repository("repository-env", 1, 8000);
    with_env_file.add_env_file(&lab);

    println!("| what | against | instructions | ratio | wall, ms | ratio | target |");
    println!("|---|---|--:|--:|--:|--:|---|");
    for tool in &tools {
        checkout(&lab, tool, (&alone, "main", &alone.main), 3.5);
    }
    let place = with_env_file.subject();
    checkout(
        &lab,
        &tools[0],
        (&with_env_file, "one env file, linked", place),
        6.0,
    );
    for tool in &tools {
        allocation(&lab, tool, &alone, &[Target::Count(900_000)]);
        allocation(&lab, tool, &hundred, &[Target::Instructions(0.60)]);
        // Only the order of magnitude matters for the other tools.
        if tool.is_ours() {
            allocation(&lab, tool, &thousand, &[Target::Instructions(0.45)]);
        }
    }
    for tool in &tools {
        worktree_add(&lab, tool, &alone, 1.2);
        if tool.is_ours() {
            worktree_add(&lab, tool, &thousand, 1.5);
            worktree_add(&lab, tool, &with_env_file, 1.6);
        }
    }
    shared(&lab, &tools[0], &hundred);
    report(&lab, &thousand);
    let large = lab.large();
    calls_by_hand(&lab, &alone, &large);

    println!();
    println!("| what | measured | target |");
    println!("|---|--:|---|");
    facts(&lab, &tools[0], &large, (&hundred, &thousand));
}

fn checkout(
    lab: &Lab,
    tool: &Tool,
    (repository, at, place): (&Repository, &str, &Path),
    limit: f64,
) {
    tool.forget(lab, repository);
    let checkout = Case::new(|| tool.run_in(lab, place));
    // The first run allocates.
    checkout.run();
    let nothing = Case::new(|| lab.command("/bin/true", place));
    Row {
        what: format!("{}: checkout, {at} worktree", tool.name),
        against: "`true`",
        instructions: lab.instructions(&checkout, &nothing),
        wall: Pairs::run(tool.rounds(), &checkout, &nothing),
    }
    .print(tool.only_ours(&[Target::Instructions(limit)]));
}

fn allocation(lab: &Lab, tool: &Tool, repository: &Repository, targets: &[Target]) {
    let allocation = allocation_in(lab, tool, repository);
    let listing = lab.worktree_list(repository.subject());
    Row {
        what: format!("{}: allocation among {}", tool.name, repository.count),
        against: "`git worktree list --porcelain`",
        instructions: lab.instructions(&allocation, &listing),
        wall: Pairs::run(tool.rounds(), &allocation, &listing),
    }
    .print(tool.only_ours(targets));
}

/// An allocation for the first linked worktree, which then gives its ports up.
fn allocation_in<'a>(lab: &'a Lab, tool: &'a Tool, repository: &'a Repository) -> Case<'a> {
    let place = repository.subject();
    tool.forget(lab, repository);
    Case::new(|| tool.run_in(lab, place)).after(|| {
        assert!(
            place.join(tool.file).exists(),
            "{} wrote nothing",
            tool.name
        );
        tool.forget(lab, repository);
    })
}

fn worktree_add(lab: &Lab, tool: &Tool, repository: &Repository, limit: f64) {
    tool.forget(lab, repository);
    let [with_hook, with_empty] =
        [tool.name, "empty"].map(|hook| lab.worktree_add(repository, hook));
    Row {
        what: format!(
            "{}: `git worktree add` in `{}`",
            tool.name,
            repository.name()
        ),
        against: "the same, empty shell hook",
        instructions: None,
        wall: Pairs::run(tool.rounds(), &with_hook, &with_empty),
    }
    .print(tool.only_ours(&[Target::Wall(limit)]));
}

/// An allocation in one of ten shared clones, compared with one in a repository that has all their
/// worktrees.
fn shared(lab: &Lab, tool: &Tool, hundred: &Repository) {
    let clones: Vec<Repository> = (0..CLONES)
        .map(|i| {
            let base = 8000 + 200 * u16::try_from(i).expect("few clones");
            let count = hundred.count / CLONES;
            lab.repository(&format!("shared-{i}"), count, base)
        })
        .collect();
    for clone in &clones {
        let share = ["config", "worktreePorts.share", "true"];
        finish(lab.git(&clone.main).args(share));
        let mut add = lab.git(&clone.main);
        add.args(["config", "--global", "--add", "worktreePorts.repository"]);
        finish(add.arg(clone.main.join(".git")));
    }
    let among_clones = allocation_in(lab, tool, &clones[0]);
    let in_one = allocation_in(lab, tool, hundred);
    Row {
        what: format!("{}: allocation in one of {CLONES} shared clones", tool.name),
        against: "allocation among 100",
        instructions: lab.instructions(&among_clones, &in_one),
        wall: Pairs::run(tool.rounds(), &among_clones, &in_one),
    }
    .print(&[Target::Wall(2.0)]);
    fs::remove_file(lab.user_config()).expect("git has made it");
}

/// Calls that look at every worktree.
fn report(lab: &Lab, repository: &Repository) {
    let listing = lab.worktree_list(&repository.main);
    // So that `--check` finds the program that the hook runs.
    finish(&mut lab.program(&repository.main, &["--install"]));
    for call in ["--list", "--check"] {
        let case = Case::new(|| lab.program(&repository.main, &[call]));
        Row {
            what: format!("`{call}` among {}", repository.count),
            against: "`git worktree list --porcelain`",
            instructions: lab.instructions(&case, &listing),
            wall: Pairs::run(21, &case, &listing),
        }
        .print(&[Target::Wall(3.0)]);
    }
}

/// Calls that a shell with direnv makes at every `cd`, in a large repository.
fn calls_by_hand(lab: &Lab, small: &Repository, large: &[(&str, PathBuf)]) {
    for (index, place) in large {
        let calls: [&[&str]; 3] = [&["--get", "web"], &["--env"], &["--exec", "true"]];
        for call in calls {
            let in_large = Case::new(|| lab.program(place, call));
            let in_small = Case::new(|| lab.program(&small.main, call));
            for case in [&in_large, &in_small] {
                case.run();
            }
            let head = Case::new(|| {
                let mut command = lab.git(place);
                command.args(["rev-parse", "HEAD"]);
                command
            });
            Row {
                what: format!("`{}`, {FILES} files, {index} index", call.join(" ")),
                against: "in a small repository; wall: `git rev-parse HEAD`",
                // `--exec` becomes the command, and only the command's count is written.
                instructions: (call[0] != "--exec")
                    .then(|| lab.instructions(&in_large, &in_small))
                    .flatten(),
                wall: Pairs::run(41, &in_large, &head),
            }
            .print(&[Target::Instructions(1.3), Target::Wall(1.3)]);
        }
    }
}

/// Figures that are not from a pair of commands.
fn facts(
    lab: &Lab,
    ours: &Tool,
    large: &[(&str, PathBuf)],
    (hundred, thousand): (&Repository, &Repository),
) {
    let check = Case::new(|| lab.program(&thousand.main, &["--check"]));
    let allocation = allocation_in(lab, ours, thousand);
    if let Some(ratio) = lab.lock_held(&check, &allocation) {
        let what = "how long `--check` among 1000 holds the lock, against an allocation";
        fact(what, &format!("{ratio:.2}"), "1.10", ratio <= 1.1);
    }
    let (ratio, longest) = lab.crowd(ours, hundred);
    let what = format!("{CROWD} allocations at once among 100, against {CROWD} in a row");
    fact(&what, &format!("{ratio:.2}"), "0.80", ratio <= 0.8);
    let measured = format!("{} ms", longest.as_millis());
    let is_short = longest <= Duration::from_secs(2);
    fact("the longest of these", &measured, "2000 ms", is_short);

    let (_, place) = &large[0];
    let calls = ["--get=web", "--env", "--list", "--check", "--reallocate"];
    let peaks = calls.map(|call| lab.peak_memory(&lab.program(place, &[call])));
    let peak_of_large = peaks.into_iter().max().flatten();
    let peak_of_many = lab.peak_memory(&ours.run_in(lab, thousand.subject()));
    ours.forget(lab, thousand);
    for (what, peak) in [
        (
            format!("peak memory of any call at {FILES} files"),
            peak_of_large,
        ),
        (
            "peak memory of an allocation among 1000".to_owned(),
            peak_of_many,
        ),
    ] {
        let Some(peak) = peak else { continue };
        let measured = format!("{:.1} MB", peak as f64 / 1024.0);
        fact(&what, &measured, "8 MB", peak < 8 * 1024);
    }
    let size = fs::metadata(PROGRAM).expect("cargo has built it").len();
    let measured = format!("{:.2} MB", size as f64 / 1e6);
    let is_small = size <= 3_000_000;
    fact("the program, stripped", &measured, "3 MB", is_small);
}

/// A program that gives a worktree its ports when git runs it as `post-checkout`.
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

    /// The targets, which only our program has.
    fn only_ours<'a>(&self, targets: &'a [Target]) -> &'a [Target] {
        if self.is_ours() { targets } else { &[] }
    }

    /// The number of pairs; for the others, only the order of magnitude matters.
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
        repository.forget(0, self.file);
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

/// A main worktree with `count` linked ones. All but the first of these have ports.
struct Repository {
    count: usize,
    directory: PathBuf,
    main: PathBuf,
    linked: Vec<PathBuf>,
}

impl Repository {
    fn name(&self) -> std::borrow::Cow<'_, str> {
        self.directory.file_name().unwrap().to_string_lossy()
    }

    /// Commits a config with an env file, which exists in the main worktree.
    fn add_env_file(&self, lab: &Lab) {
        let config = self.main.join(".worktree-ports.config.json");
        let text = fs::read_to_string(&config).unwrap();
        if text.contains("env_files") {
            return;
        }
        let env_files = r#"  "env_files": { ".env": { "WEB_PORT": "{web}" } },"#;
        fs::write(&config, text.replacen('{', &format!("{{\n{env_files}"), 1)).unwrap();
        fs::write(self.main.join(".gitignore"), ".env\n").unwrap();
        finish(lab.git(&self.main).args(["add", "."]));
        finish(
            lab.git(&self.main)
                .args(["commit", "--quiet", "--message=env"]),
        );
        fs::write(self.main.join(".env"), "SECRET=1\nWEB_PORT=3000\n").unwrap();
        let head = output(lab.git(&self.main).args(["rev-parse", "HEAD"])).unwrap();
        let checkout = ["checkout", "--quiet", "--detach", head.trim()];
        finish(lab.git(self.subject()).args(checkout));
    }

    fn subject(&self) -> &Path {
        &self.linked[0]
    }

    /// Removes a linked worktree's port file, record and env file.
    fn forget(&self, index: usize, file: &str) {
        let _ = fs::remove_file(self.linked[index].join(file));
        let entry = format!(".git/worktrees/linked-{index}/worktree-ports.json");
        let _ = fs::remove_file(self.main.join(entry));
        let _ = fs::remove_file(self.linked[index].join(".env"));
    }
}

/// Where everything is measured: in the target directory, without a user's git config.
struct Lab {
    directory: PathBuf,
}

impl Lab {
    fn new() -> Lab {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cost");
        fs::create_dir_all(directory.join("home")).unwrap();
        let directory = fs::canonicalize(directory).unwrap();
        let lab = Lab { directory };
        // An interrupted bench leaves its list of clones.
        let _ = fs::remove_file(lab.user_config());
        lab
    }

    fn home(&self) -> PathBuf {
        self.directory.join("home")
    }

    fn user_config(&self) -> PathBuf {
        self.home().join(".gitconfig")
    }

    fn command(&self, program: &str, place: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(place)
            .env_clear()
            .env("PATH", env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home())
            .env("GIT_CONFIG_GLOBAL", self.user_config())
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

    /// Our program, called by hand.
    fn program(&self, place: &Path, arguments: &[&str]) -> Command {
        let mut command = self.command(PROGRAM, place);
        command.args(arguments);
        command
    }

    fn worktree_list<'a>(&'a self, place: &'a Path) -> Case<'a> {
        Case::new(move || {
            let mut command = self.git(place);
            command.args(["worktree", "list", "--porcelain"]);
            command
        })
    }

    /// Our program first, then the others that this machine has.
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
        // `python3` on the PATH may be a wrapper that costs more than Python itself.
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

    /// The repository with `count` linked worktrees and that first base port. It is made once and
    /// kept.
    fn repository(&self, name: &str, count: usize, base: u16) -> Repository {
        let directory = self.directory.join(name);
        let linked = (0..count).map(|i| directory.join(format!("linked-{i}")));
        let repository = Repository {
            count,
            main: directory.join("main"),
            linked: linked.collect(),
            directory,
        };
        once(&repository.directory, || self.build(&repository, base));
        // An interrupted bench leaves its last worktree.
        let _ = (self.git(&repository.main))
            .args(["worktree", "remove", "--force", "../new"])
            .status();
        repository
    }

    /// Makes a repository with one commit and a config with three services.
    fn init(&self, main: &Path, base: u16) {
        fs::create_dir_all(main).unwrap();
        finish(self.git(main).args(["init", "--quiet"]));
        // With the default step, there would be room for fewer than 1000 worktrees.
        let config = format!(
            r#"{{
  "services": {{ "web": {base}, "api": {}, "db": {} }},
  "step": 10,
  "urls": {{ "web_url": "http://127.0.0.1:{{web}}" }}
}}
"#,
            base + 3,
            base + 6
        );
        fs::write(main.join(".worktree-ports.config.json"), config).unwrap();
        finish(self.git(main).args(["add", "."]));
        let commit = ["commit", "--quiet", "--message=first"];
        finish(self.git(main).args(commit));
    }

    fn build(&self, repository: &Repository, base: u16) {
        let main = &repository.main;
        self.init(main, base);
        // What the hook writes at its first allocation, so that `git worktree remove` is not
        // stopped by any tool's file.
        let exclude = "# >>> worktree-ports >>>\n*.worktree-ports.tmp\n/.worktree-ports.json\n\
                       # <<< worktree-ports <<<\n.plain-ports.json\n.env.portool\n";
        fs::write(main.join(".git/info/exclude"), exclude).unwrap();
        for (slot, root) in repository.linked.iter().enumerate() {
            let mut add = self.git(main);
            add.args(["worktree", "add", "--quiet", "--detach"]);
            finish(add.arg(root));
            // Slot 0 is the main worktree's.
            let (id, slot) = (slot, slot + 1);
            let port = usize::from(base) + 10 * slot;
            let port_file = format!(
                "{{\n  \"worktree\": \"linked-{id}\",\n  \"slot\": {slot},\n  \"ports\": {{\n    \"web\": {port},\n    \"api\": {},\n    \"db\": {}\n  }},\n  \"web_url\": \"http://127.0.0.1:{port}\"\n}}\n",
                port + 3,
                port + 6
            );
            fs::write(root.join(PORT_FILE), port_file).unwrap();
            fs::write(
                root.join(".plain-ports.json"),
                format!("{{\"port\": {port}}}\n"),
            )
            .unwrap();
        }
        // This writes the records.
        finish(&mut self.program(main, &["--install"]));
    }

    /// Repositories with [`FILES`] files in the index, and the kind of each index.
    fn large(&self) -> Vec<(&'static str, PathBuf)> {
        let make: [(&str, &[&[&str]]); 4] = [
            ("version 2", &[&["update-index", "--index-version=2"]]),
            ("version 4", &[&["update-index", "--index-version=4"]]),
            ("split", &[&["update-index", "--split-index"]]),
            (
                "sparse",
                &[
                    &["sparse-checkout", "init", "--cone", "--sparse-index"],
                    &["sparse-checkout", "set", "directory-0"],
                ],
            ),
        ];
        let large = make.into_iter().map(|(index, commands)| {
            let directory = self.directory.join(format!("large {index}"));
            let main = directory.join("main");
            once(&directory, || {
                self.init(&main, 8000);
                self.fill_index(&main);
                for command in commands {
                    finish(self.git(&main).args(*command));
                }
            });
            (index, main)
        });
        large.collect()
    }

    /// Adds files to the index and commits them without creating them.
    fn fill_index(&self, main: &Path) {
        let listed = output(self.git(main).args(["ls-files", "--stage"])).unwrap();
        let blob = listed.split(' ').nth(1).unwrap();
        let entries = (0..FILES).map(|i| {
            let directory = i / 500;
            format!("100644 {blob} 0\tdirectory-{directory}/file-{i}\n")
        });
        let entries: String = entries.collect();
        let mut command = self.git(main);
        command.args(["update-index", "--index-info"]);
        let mut git = command.stdin(Stdio::piped()).spawn().unwrap();
        git.stdin
            .take()
            .unwrap()
            .write_all(entries.as_bytes())
            .unwrap();
        assert!(git.wait().unwrap().success());
        let commit = ["commit", "--quiet", "--message=large"];
        finish(self.git(main).args(commit));
    }
}

/// Makes the content of `directory`, unless an earlier run has completed it.
fn once(directory: &Path, make: impl FnOnce()) {
    let complete = directory.join("complete");
    if !complete.exists() {
        let _ = fs::remove_dir_all(directory);
        fs::create_dir_all(directory).unwrap();
        make();
        fs::write(complete, "").unwrap();
    }
}

/// What is measured: a command, and what restores the state after it.
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

    /// Runs it once and returns how long it took.
    fn run(&self) -> Duration {
        let mut command = (self.command)();
        let start = Instant::now();
        finish(&mut command);
        let took = start.elapsed();
        (self.after)();
        took
    }
}

/// The times of two commands that ran in turns: their medians in milliseconds, and the median of
/// the ratios.
struct Pairs {
    one: f64,
    other: f64,
    ratio: f64,
}

impl Pairs {
    fn run(rounds: usize, one: &Case<'_>, other: &Case<'_>) -> Pairs {
        let mut times = Vec::new();
        for round in 0..rounds {
            // Each is first equally often, because the first one may find colder caches.
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
    /// Runs `git worktree add` with the hook of that name, and then removes the worktree.
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

    /// The instructions of both in user space, including their children's; `None` without valgrind.
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

    /// The peak memory of a command in KiB; `None` without GNU time.
    fn peak_memory(&self, command: &Command) -> Option<u64> {
        let told = self.directory.join("peak");
        let status = self
            .command("/usr/bin/time", command.get_current_dir()?)
            .args(["--format=%M", "--output"])
            .arg(&told)
            .arg(command.get_program())
            .args(command.get_args())
            .status();
        status.ok().filter(ExitStatus::success)?;
        fs::read_to_string(told).ok()?.trim().parse().ok()
    }

    /// How long one holds the lock compared with the other, as the median of the pairs' ratios;
    /// `None` without strace.
    fn lock_held(&self, one: &Case<'_>, other: &Case<'_>) -> Option<f64> {
        let log = self.directory.join("strace");
        let held = |case: &Case<'_>| -> Option<f64> {
            let command = (case.command)();
            let status = self
                .command("strace", command.get_current_dir()?)
                // strace stops the program only at these calls.
                .args(["-f", "--seccomp-bpf", "-ttt", "-e", "trace=flock,close"])
                .arg("-o")
                .arg(&log)
                .arg(command.get_program())
                .args(command.get_args())
                .status();
            (case.after)();
            status.ok().filter(ExitStatus::success)?;
            // `4711 1700000000.123456 flock(3, LOCK_EX|LOCK_NB) = 0`, then `close(3) = 0`, or the end.
            let log = fs::read_to_string(&log).ok()?;
            let mut lines = log.lines().filter_map(|line| {
                let mut words = line.split_whitespace().skip(1);
                Some((words.next()?.parse::<f64>().ok()?, words.next()?))
            });
            let (taken, descriptor) = lines.by_ref().find_map(|(time, call)| {
                let descriptor = call.strip_prefix("flock(")?.strip_suffix(',')?;
                Some((time, format!("close({descriptor})")))
            })?;
            let freed = lines.find(|(_, call)| *call == descriptor || call.starts_with("+++"));
            Some(freed?.0 - taken)
        };
        let mut ratios = Vec::new();
        for _ in 0..21 {
            ratios.push(held(one)? / held(other)?);
        }
        ratios.sort_by(f64::total_cmp);
        Some(ratios[ratios.len() / 2])
    }

    /// [`CROWD`] allocations at once compared with as many in a row: the median ratio of the times,
    /// and the longest one of those at once.
    fn crowd(&self, tool: &Tool, repository: &Repository) -> (f64, Duration) {
        let places = &repository.linked[..CROWD];
        let forget = || (0..CROWD).for_each(|index| repository.forget(index, tool.file));
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

/// The highest acceptable figure.
#[derive(Clone, Copy)]
enum Target {
    /// Ratio of instructions.
    Instructions(f64),
    /// Instructions of the first command.
    Count(u64),
    /// Ratio of wall times.
    Wall(f64),
}

impl Row {
    fn print(&self, targets: &[Target]) {
        let Row {
            what,
            against,
            instructions,
            wall,
        } = self;
        let ratio = instructions.map(|(one, other)| one as f64 / other as f64);
        let verdicts = targets.iter().filter_map(|target| match *target {
            Target::Instructions(limit) => {
                ratio.map(|ratio| format!("instructions {limit:.2}: {}", met(ratio <= limit)))
            }
            Target::Count(limit) => instructions
                .map(|(one, _)| format!("instructions {}: {}", short(limit), met(one <= limit))),
            Target::Wall(limit) => Some(format!("wall {limit:.2}: {}", met(wall.ratio <= limit))),
        });
        let verdicts: Vec<String> = verdicts.collect();
        let instructions = match (*instructions, ratio) {
            (Some((one, other)), Some(ratio)) => {
                format!("{} / {} | {ratio:.2}", short(one), short(other))
            }
            _ => "– | –".to_owned(),
        };
        let wall = format!("{:.2} / {:.2} | {:.2}", wall.one, wall.other, wall.ratio);
        let verdicts = verdicts.join(", ");
        println!("| {what} | {against} | {instructions} | {wall} | {verdicts} |");
    }
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
    println!("| {what} | {measured} | {target}: {} |", met(holds));
}

fn met(holds: bool) -> &'static str {
    if holds { "met" } else { "**missed**" }
}

/// Runs a command that must succeed.
fn finish(command: &mut Command) {
    let status = command.status();
    assert!(status.is_ok_and(|status| status.success()), "{command:?}");
}

/// What a command prints, or `None` if it does not exist or fails.
fn output(command: &mut Command) -> Option<String> {
    let output = command.stdout(Stdio::piped()).output().ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8(output.stdout).ok())?
}
