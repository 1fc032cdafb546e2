//! A temporary directory with a repository, and the commands that run there.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hasher};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::users::set_mode;
use super::{
    CONFIG, Config, FIRST_CHECKOUT, LOCK, PORT_FILE, PROGRAM, PortBlock, Run, TEMPORARY, config,
    tool,
};

/// A directory with a repository `repo` that has one commit, and without a user's git config.
///
/// It has its own ports: the config of `repo` is the default, but with base ports that nothing
/// listens on and a step of 1. The config is not committed and git ignores it, so a fresh worktree
/// has none and uses that of `repo`.
pub struct Sandbox {
    dir: TempDir,
    ports: PortBlock,
}

/// The distance between the base ports in [`Sandbox::config`], which is also the number of slots.
const SLOTS: u16 = 66;

impl Sandbox {
    /// A sandbox without a hook.
    pub fn without_hook() -> Sandbox {
        Sandbox::on(PortBlock::reserve())
    }

    /// A sandbox with these ports, without a hook.
    pub fn on(ports: PortBlock) -> Sandbox {
        let dir = tempfile::Builder::new().prefix("wtp-").tempdir().unwrap();
        let sandbox = Sandbox { dir, ports };
        sandbox.write("home/.config/git/ignore", format!("/{CONFIG}\n"));
        sandbox.git(".", &["init", "--quiet", "--initial-branch=main", "repo"]);
        fs::create_dir(sandbox.path("repo/.git/hooks")).unwrap();
        sandbox.write("repo/.git/info/exclude", "# A comment\n");
        let commit = ["commit", "--quiet", "--allow-empty", "--message=first"];
        sandbox.git("repo", &commit);
        sandbox.configure("repo", sandbox.own_config());
        sandbox
    }

    /// A sandbox whose repository runs the program as its post-checkout hook.
    pub fn new() -> Sandbox {
        let sandbox = Sandbox::without_hook();
        sandbox.wire("repo/.git");
        sandbox
    }

    /// A sandbox without a hook whose `repo` has these linked worktrees, without port files.
    pub fn with_worktrees(names: &[&str]) -> Sandbox {
        let sandbox = Sandbox::without_hook();
        for name in names {
            sandbox.add(name);
        }
        sandbox
    }

    /// Makes the repository with that common dir run the program as its post-checkout hook.
    pub fn wire(&self, common_dir: &str) {
        let hook = self.path(common_dir).join("hooks/post-checkout");
        fs::create_dir_all(hook.parent().unwrap()).unwrap();
        fs::write(&hook, format!("#!/bin/sh\n'{PROGRAM}' \"$@\" || :\n")).unwrap();
        set_mode(&hook, 0o755);
    }

    /// The port of the only, or first, service in `slot`.
    #[track_caller]
    pub fn port(&self, slot: u16) -> u16 {
        self.ports.port(slot)
    }

    /// The ports of `slot` for the first `N` services of [`Sandbox::config`].
    #[track_caller]
    pub fn bundle<const N: usize>(&self, slot: u16) -> [u16; N] {
        assert!(slot < SLOTS, "too few ports for slot {slot}");
        let mut offsets = (slot..).step_by(usize::from(SLOTS));
        [(); N].map(|()| self.port(offsets.next().unwrap()))
    }

    /// `text` with `@0`, `@1` … replaced by the sandbox's port of that slot.
    #[track_caller]
    pub fn with_ports(&self, text: &str) -> String {
        let mut parts = text.split('@');
        let mut filled = parts.next().unwrap().to_owned();
        for part in parts {
            let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
            let slot = &part[..part.len() - rest.len()];
            let slot = slot.parse().expect("a slot behind `@`");
            filled += &self.port(slot).to_string();
            filled += rest;
        }
        filled
    }

    /// A config of at most three services, with the sandbox's own ports and a step of 1.
    pub fn config<const N: usize>(&self, services: &[&str; N]) -> Config {
        let bases: [u16; N] = self.bundle(0);
        let services: Vec<_> = services.iter().copied().zip(bases).collect();
        config(&services).step(1)
    }

    /// The config that `repo` starts with.
    pub fn own_config(&self) -> Config {
        self.config(&["cloud"])
            .url("cloud_url", "http://127.0.0.1:{cloud}")
    }

    /// Writes the config of the worktree `at`.
    pub fn configure(&self, at: impl AsRef<Path>, config: impl Display) {
        self.write(at.as_ref().join(CONFIG), config.to_string());
    }

    /// Commits the config of the worktree `at`, so that clones and new worktrees have it.
    #[track_caller]
    pub fn commit_config(&self, at: &str) {
        self.git(at, &["add", "--force", CONFIG]);
        self.git(at, &["commit", "--quiet", "--message=config"]);
    }

    /// The path of `name` in the sandbox.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        fs::canonicalize(self.dir.path()).unwrap().join(name)
    }

    /// A command that runs in the directory `at` of the sandbox, without the machine's git config.
    pub fn command(&self, program: impl AsRef<OsStr>, at: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program);
        let inherited = std::env::vars_os().map(|(name, _)| name);
        for name in inherited.filter(|name| {
            let name = name.to_string_lossy();
            name.starts_with("GIT_") || name.starts_with("WORKTREE_PORTS_")
        }) {
            command.env_remove(name);
        }
        command
            .current_dir(self.path(at))
            .stdin(Stdio::null())
            .env("HOME", self.path("home"))
            .env("XDG_CONFIG_HOME", self.path("home/.config"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            // No test needs its twenty files in each repository.
            .env("GIT_TEMPLATE_DIR", "")
            .env("GIT_CONFIG_GLOBAL", self.path("home/.gitconfig"))
            .env("GIT_AUTHOR_NAME", "A")
            .env("GIT_AUTHOR_EMAIL", "a@example.com")
            .env("GIT_COMMITTER_NAME", "A")
            .env("GIT_COMMITTER_EMAIL", "a@example.com")
            .env("LC_ALL", "C");
        let mut path = OsString::from(self.path("bin"));
        if let Some(inherited) = std::env::var_os("PATH") {
            path.push(":");
            path.push(inherited);
        }
        command.env("PATH", path);
        command
    }

    /// Runs a command to its end.
    #[track_caller]
    pub fn finish(mut command: Command) -> Run {
        let output = command
            .output()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Run::from(output)
    }

    /// Runs git, which may fail.
    #[track_caller]
    pub fn try_git<S: AsRef<OsStr>>(&self, at: impl AsRef<Path>, arguments: &[S]) -> Run {
        let mut command = self.command("git", at);
        // A commit would start git's maintenance.
        command.args(["-c", "maintenance.auto=false", "-c", "gc.auto=0"]);
        // `git stash` makes the only reflog that a test reads; the others take a tenth of the time.
        command.args(["-c", "core.logAllRefUpdates=false"]);
        command.args(arguments);
        Sandbox::finish(command)
    }

    /// Runs git, which must succeed.
    #[track_caller]
    pub fn git<S: AsRef<OsStr>>(&self, at: impl AsRef<Path>, arguments: &[S]) -> Run {
        self.try_git(at, arguments).exits(0)
    }

    /// Runs the program by hand.
    #[track_caller]
    pub fn run(&self, at: impl AsRef<Path>, arguments: &[&str]) -> Run {
        let mut command = self.command(PROGRAM, at);
        command.args(arguments);
        Sandbox::finish(command)
    }

    /// Runs the program as git runs its hook on `git worktree add`.
    #[track_caller]
    pub fn run_hook(&self, at: impl AsRef<Path>) -> Run {
        self.run(at, &FIRST_CHECKOUT)
    }

    /// Runs `git worktree add` in `repo`, for a directory beside it.
    #[track_caller]
    pub fn add(&self, name: &str) -> Run {
        self.git("repo", &["worktree", "add", &format!("../{name}")])
    }

    /// Starts `git worktree add` in a clone, with pipes for what it prints.
    pub fn start_add(&self, clone: &str, name: &str) -> Child {
        let mut git = self.command("git", clone);
        git.args(["worktree", "add", "--quiet", &format!("../{name}")]);
        git.stdout(Stdio::piped()).stderr(Stdio::piped());
        git.spawn().unwrap()
    }

    /// Moves a worktree even if it is locked. Returns whether git did it: git fails if another add
    /// has only half made its entry.
    pub fn try_move(&self, clone: &str, from: &str, to: &str) -> bool {
        let (from, to) = (format!("../{from}"), format!("../{to}"));
        let command = ["worktree", "move", "-f", "-f", &from, &to];
        self.try_git(clone, &command).code() == Some(0)
    }

    /// The ports in the port files of the worktrees that have one. Fails if two name the same port.
    #[track_caller]
    pub fn disjoint_ports<S: AsRef<str>>(&self, names: &[S]) -> BTreeMap<u16, String> {
        let mut ports = BTreeMap::new();
        let names = names.iter().map(AsRef::as_ref);
        for name in names.filter(|name| self.has_port_file(name)) {
            for port in self.ports(name) {
                if let Some(other) = ports.insert(port, name.to_owned()) {
                    panic!("{name} and {other} both have {port}");
                }
            }
        }
        ports
    }

    /// Writes a file and creates its parent directories.
    pub fn write(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Writes an executable file, in another process: a child of another test could inherit this
    /// process's descriptor, and a file that is open for writing cannot be run.
    #[track_caller]
    pub fn write_script(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut command = self.command("sh", ".");
        command
            .args(["-c", "cat >\"$1\" && chmod 755 \"$1\"", "sh"])
            .arg(&path)
            .stdin(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(content.as_ref()).unwrap();
        drop(stdin);
        assert!(child.wait().unwrap().success());
    }

    /// Runs a shell script with `paths` as `$1` and so on.
    #[track_caller]
    pub fn shell(&self, script: &str, paths: &[&Path]) -> Run {
        let mut command = self.command("sh", ".");
        command.args(["-c", script, "sh"]).args(paths);
        Sandbox::finish(command)
    }

    /// Copies a program in another process, for the reason given at [`Sandbox::write_script`].
    #[track_caller]
    pub fn copy(&self, program: impl AsRef<Path>, to: impl AsRef<Path>) {
        let paths = [program.as_ref(), &self.path(to)];
        self.shell("cp -- \"$1\" \"$2\"", &paths).exits(0);
    }

    /// Makes git report that version, whatever it is.
    #[track_caller]
    pub fn pretend_git(&self, version: &str) {
        let _ = fs::remove_file(self.path("bin/git"));
        let git = tool("git");
        self.write_script(
            "bin/git",
            format!(
                "#!/bin/sh\nfor argument; do\n  \
                 if test \"$argument\" = version; then echo 'git version {version}'; exit; fi\n\
                 done\nexec '{}' \"$@\"\n",
                git.display()
            ),
        );
    }

    /// The mode and content of everything below `at` except directories, by path.
    pub fn content_of(&self, at: impl AsRef<Path>) -> BTreeMap<PathBuf, String> {
        let entries = walk(&self.path(at)).into_iter();
        let content = |(path, metadata): (PathBuf, fs::Metadata)| {
            let content = if metadata.is_symlink() {
                fs::read_link(&path).unwrap().display().to_string()
            } else if metadata.is_file() {
                shown(&fs::read(&path).unwrap())
            } else {
                return None;
            };
            Some((path, format!("{:o} {content}", metadata.mode())))
        };
        entries.filter_map(content).collect()
    }

    /// What changes if something below `at` is written, by path.
    pub fn stamps_of(&self, at: impl AsRef<Path>) -> BTreeMap<PathBuf, (u64, i64, i64, u32, u64)> {
        let stamp =
            |of: fs::Metadata| (of.ino(), of.mtime(), of.mtime_nsec(), of.mode(), of.size());
        walk(&self.path(at))
            .into_iter()
            .map(|(path, metadata)| (path, stamp(metadata)))
            .collect()
    }

    /// The text of the port file in the worktree `name`.
    #[track_caller]
    pub fn port_file(&self, name: impl AsRef<Path>) -> String {
        let path = self.path(name).join(PORT_FILE);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Whether the worktree `name` has a port file.
    pub fn has_port_file(&self, name: impl AsRef<Path>) -> bool {
        self.path(name).join(PORT_FILE).symlink_metadata().is_ok()
    }

    /// The port file of the worktree `name` as JSON.
    #[track_caller]
    pub fn port_json(&self, name: impl AsRef<Path>) -> Value {
        serde_json::from_str(&self.port_file(name)).unwrap()
    }

    /// The ports in the port file of the worktree `name`, in its order.
    #[track_caller]
    pub fn ports(&self, name: impl AsRef<Path>) -> Vec<u16> {
        let file = self.port_json(name);
        let ports = file["ports"].as_object().unwrap().values();
        ports
            .map(|port| u16::try_from(port.as_u64().unwrap()).unwrap())
            .collect()
    }

    /// Removes the port file of the worktree `name`.
    #[track_caller]
    pub fn remove_port_file(&self, name: impl AsRef<Path>) {
        fs::remove_file(self.path(name).join(PORT_FILE)).unwrap();
    }

    /// Takes the lock of `repo`, which must exist, until the file is dropped.
    #[track_caller]
    pub fn hold_lock(&self) -> File {
        let lock = File::options().write(true).open(self.path(LOCK)).unwrap();
        lock.lock().unwrap();
        lock
    }

    /// Makes `owner`, a number, the owner of `path` and everything below it. Needs root.
    #[track_caller]
    pub fn give_to(&self, owner: &str, path: &str) {
        let mut chown = self.command("chown", ".");
        chown.args(["-R", "-h", owner, path]);
        Sandbox::finish(chown).exits(0);
    }

    /// Fails if the worktree `name` has files that git does not track, apart from a port file and a
    /// config.
    #[track_caller]
    pub fn assert_no_leftovers(&self, name: &str) {
        assert!(!self.path(name).join(TEMPORARY).exists());
        let status = self
            .git(name, &["status", "--porcelain", "--ignored"])
            .stdout;
        let others: Vec<&str> = status
            .lines()
            .filter(|line| {
                ![PORT_FILE, CONFIG]
                    .map(|name| format!("!! {name}"))
                    .contains(&(*line).to_owned())
            })
            .collect();
        assert!(others.is_empty(), "{others:?}");
    }
}

/// Everything below `directory`, without following links.
fn walk(directory: &Path) -> Vec<(PathBuf, fs::Metadata)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let metadata = fs::symlink_metadata(&path).unwrap();
        if metadata.is_dir() {
            found.extend(walk(&path));
        }
        found.push((path, metadata));
    }
    found
}

/// The content of a file, to be compared and shown; of a program, a hash, because it has millions of bytes.
fn shown(content: &[u8]) -> String {
    if content.len() < 64 * 1024 {
        return content.escape_ascii().to_string();
    }
    let mut hasher = DefaultHasher::new();
    hasher.write(content);
    format!("{} bytes, hash {:x}", content.len(), hasher.finish())
}
