//! A sandbox: a temporary directory with a repository in it, and the commands that run there.

pub mod strace;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_worktree-ports-hook");

pub const PORT_FILE: &str = ".worktree-ports.json";
pub const CONFIG: &str = ".worktree-ports.config.json";

/// A directory with a repository `repo` in it that has one commit, and no user's git config.
pub struct Sandbox {
    dir: TempDir,
}

/// What a command did.
#[derive(Debug)]
pub struct Run {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// The run, which must have exited with `code`.
    #[track_caller]
    pub fn exits(self, code: i32) -> Run {
        assert_eq!(self.code(), Some(code), "{self}");
        self
    }

    /// The run, whose stderr must have all of `parts` in it.
    #[track_caller]
    pub fn tells(self, parts: &[&str]) -> Run {
        for part in parts {
            assert!(self.stderr.contains(part), "no {part:?} in\n{self}");
        }
        self
    }

    /// The run, which must have told nothing on stderr.
    #[track_caller]
    pub fn tells_nothing(self) -> Run {
        assert_eq!(self.stderr, "", "{self}");
        self
    }

    /// stdout as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in\n{self}"))
    }
}

impl From<Output> for Run {
    fn from(output: Output) -> Run {
        Run {
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}\nstdout: {}\nstderr: {}",
            self.status, self.stdout, self.stderr
        )
    }
}

impl Sandbox {
    /// A sandbox without a hook.
    pub fn bare_of_hooks() -> Sandbox {
        let dir = tempfile::Builder::new().prefix("wtp-").tempdir().unwrap();
        fs::create_dir(dir.path().join("home")).unwrap();
        let sandbox = Sandbox { dir };
        sandbox.git(".", &["init", "--quiet", "--initial-branch=main", "repo"]);
        sandbox.git(
            "repo",
            &["commit", "--quiet", "--allow-empty", "--message=first"],
        );
        sandbox
    }

    /// A sandbox whose repository runs the program as its post-checkout hook.
    pub fn new() -> Sandbox {
        let sandbox = Sandbox::bare_of_hooks();
        sandbox.wire("repo/.git");
        sandbox
    }

    /// Makes the repository with that common dir run the program as its post-checkout hook.
    pub fn wire(&self, common_dir: &str) {
        let hook = self.path(common_dir).join("hooks/post-checkout");
        fs::create_dir_all(hook.parent().unwrap()).unwrap();
        fs::write(&hook, format!("#!/bin/sh\n'{PROGRAM}' \"$@\" || :\n")).unwrap();
        make_executable(&hook);
    }

    /// The path of `name` in the sandbox.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        fs::canonicalize(self.dir.path()).unwrap().join(name)
    }

    /// A command that runs in the directory `at` of the sandbox and sees no config of the machine.
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
        let null = "0".repeat(40);
        let head = "1".repeat(40);
        self.run(at, &[&null, &head, "1"])
    }

    /// `git worktree add` from `repo`, next to it.
    #[track_caller]
    pub fn add(&self, name: &str) -> Run {
        self.git("repo", &["worktree", "add", &format!("../{name}")])
    }

    /// Writes a file, and the directories that it needs.
    pub fn write(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Writes an executable file. Another process does: a descriptor of this one that is open for
    /// writing, some other test's child may inherit, and then nothing can run the file.
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

    /// Runs a shell's script, `$1` and so on being `paths`.
    #[track_caller]
    pub fn shell(&self, script: &str, paths: &[&Path]) -> Run {
        let mut command = self.command("sh", ".");
        command.args(["-c", script, "sh"]).args(paths);
        Sandbox::finish(command)
    }

    /// Copies a program, as another process, for the reason at [`Sandbox::write_script`].
    #[track_caller]
    pub fn copy(&self, program: impl AsRef<Path>, to: impl AsRef<Path>) {
        let paths = [program.as_ref(), &self.path(to)];
        self.shell("cp -- \"$1\" \"$2\"", &paths).exits(0);
    }

    /// Makes git say that it is of that version, whichever it is.
    #[track_caller]
    pub fn pretend_git(&self, version: &str) {
        let _ = fs::remove_file(self.path("bin/git"));
        let git = tool("git").expect("git");
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

    /// Everything below `at`, by its path: its mode and its content. Directories aside.
    pub fn content_of(&self, at: impl AsRef<Path>) -> BTreeMap<PathBuf, String> {
        let entries = walk(&self.path(at)).into_iter();
        let content = |(path, metadata): (PathBuf, fs::Metadata)| {
            let content = if metadata.is_symlink() {
                fs::read_link(&path).unwrap().display().to_string()
            } else if metadata.is_file() {
                fs::read(&path).unwrap().escape_ascii().to_string()
            } else {
                return None;
            };
            Some((path, format!("{:o} {content}", metadata.mode())))
        };
        entries.filter_map(content).collect()
    }

    /// Everything below `at`, by its path: what changes when somebody writes it.
    pub fn stamps_of(&self, at: impl AsRef<Path>) -> BTreeMap<PathBuf, (u64, i64, i64, u32)> {
        let stamp = |of: fs::Metadata| (of.ino(), of.mtime(), of.mtime_nsec(), of.mode());
        walk(&self.path(at))
            .into_iter()
            .map(|(path, metadata)| (path, stamp(metadata)))
            .collect()
    }

    /// The content of the port file in the worktree `name`, as text.
    #[track_caller]
    pub fn port_file(&self, name: impl AsRef<Path>) -> String {
        let path = self.path(name).join(PORT_FILE);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Whether the worktree `name` has a port file.
    pub fn has_port_file(&self, name: impl AsRef<Path>) -> bool {
        self.path(name).join(PORT_FILE).symlink_metadata().is_ok()
    }

    /// The ports in the port file of the worktree `name`, by the names of their services.
    #[track_caller]
    pub fn ports(&self, name: impl AsRef<Path>) -> Vec<u16> {
        ports_of(&serde_json::from_str(&self.port_file(name)).unwrap())
    }

    /// Makes the whole sandbox belong to the user with that id; whether that could be done. Where it
    /// could not, says that the test is skipped.
    pub fn give_to(&self, user: &str) -> bool {
        let mut chown = self.command("chown", ".");
        chown
            .args(["--recursive", "--no-dereference", user, "."])
            .stderr(Stdio::null());
        let metadata = fs::metadata(self.path("")).unwrap();
        let done = std::os::unix::fs::MetadataExt::uid(&metadata) == 0
            && chown.status().is_ok_and(|status| status.success());
        if !done {
            // Past the test harness, which keeps what a passing test prints to itself.
            let _ = writeln!(std::io::stderr(), "skipped: only root can be another user");
        }
        done
    }

    /// Fails unless nothing but a port file, at the most, was left in the worktree `name`.
    #[track_caller]
    pub fn assert_no_leftovers(&self, name: &str) {
        assert!(!self.path(name).join(".worktree-ports.json.tmp").exists());
        let status = self
            .git(name, &["status", "--porcelain", "--ignored"])
            .stdout;
        let others: Vec<&str> = status
            .lines()
            .filter(|line| *line != "!! .worktree-ports.json")
            .collect();
        assert!(others.is_empty(), "{others:?}");
    }
}

/// The ports in a port file, by the names of their services.
pub fn ports_of(port_file: &Value) -> Vec<u16> {
    let ports = port_file["ports"].as_object().unwrap().values();
    ports
        .map(|port| u16::try_from(port.as_u64().unwrap()).unwrap())
        .collect()
}

/// A config with these services, the default step, and no URLs.
pub fn config(services: &[(&str, u16)]) -> String {
    let services: Vec<String> = services
        .iter()
        .map(|(name, base)| format!("\"{name}\": {base}"))
        .collect();
    format!("{{ \"services\": {{ {} }} }}\n", services.join(", "))
}

/// A hundred ports of the machine that no other test uses while this lives, also one of another
/// process: the first one is bound for a sign.
pub struct PortBlock {
    first: u16,
    _sign: TcpListener,
}

impl PortBlock {
    pub fn reserve() -> PortBlock {
        let blocks = (16_000..32_000).step_by(100);
        // Where to start differs from process to process, so that few meet a block in use.
        let skipped = usize::try_from(std::process::id() % 160).unwrap();
        blocks
            .clone()
            .skip(skipped)
            .chain(blocks)
            .find_map(|first| {
                let sign = TcpListener::bind(("127.0.0.1", first)).ok()?;
                Some(PortBlock { first, _sign: sign })
            })
            .expect("a free block of ports")
    }

    /// The port at `offset`, 1 to 99.
    pub fn port(&self, offset: u16) -> u16 {
        assert!((1..100).contains(&offset));
        self.first + offset
    }
}

/// Whether `port` can be bound on 127.0.0.1. Asks as the program does, without listening: a listener
/// would be in the way of the tests beside this one.
pub fn can_bind(port: u16) -> bool {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    let address: SocketAddr = ([127, 0, 0, 1], port).into();
    socket.bind(&address.into()).is_ok()
}

/// Ends a listener for good. Closing it is not enough: what another test starts at this moment has
/// a copy of it until its exec.
#[expect(
    clippy::needless_pass_by_value,
    reason = "it is not to be used any more"
)]
pub fn close(listener: TcpListener) {
    // Linux lets go of a listener that is shut down; elsewhere this is an error, and too late anyway.
    let _ = socket2::SockRef::from(&listener).shutdown(std::net::Shutdown::Both);
}

/// Makes a file executable, as its readers may read it.
pub fn make_executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// All that is below `directory`, no link followed.
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

/// Where `tool` is: what `.ci/tools` fetched, else on the PATH.
pub fn tool(tool: &str) -> Option<PathBuf> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools");
    let fetched = ["npm/node_modules/.bin", "python/bin"];
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    fetched
        .map(|directory| tools.join(directory))
        .into_iter()
        .chain(std::env::split_paths(&on_path))
        .map(|directory| directory.join(tool))
        .find(|path| path.is_file())
}

/// Whether `tool` is on this machine. Where it is not, says that the test is skipped; CI must have
/// it.
pub fn has_tool(tool: &str) -> bool {
    let found = self::tool(tool).is_some();
    if !found {
        assert!(std::env::var_os("CI").is_none(), "CI lacks {tool}");
        // Past the test harness, which keeps what a passing test prints to itself.
        let _ = writeln!(
            std::io::stderr(),
            "skipped: {tool} is not on this machine; `.ci/tools` fetches it"
        );
    }
    found
}

/// A user who is not root, whom modes stop, and to whom the whole sandbox belongs.
pub struct Nobody<'a> {
    sandbox: &'a Sandbox,
}

impl Nobody<'_> {
    /// Makes the sandbox that user's; `None`, and a line, where this process may not do so.
    pub fn owning(sandbox: &Sandbox) -> Option<Nobody<'_>> {
        if !has_tool("setpriv") || !sandbox.give_to("65534") {
            return None;
        }
        Some(Nobody { sandbox })
    }

    /// Runs the program as that user.
    #[track_caller]
    pub fn run(&self, at: impl AsRef<Path>, arguments: &[&str]) -> Run {
        let program = self.sandbox.path("program");
        if !program.exists() {
            // Where the program is built may be closed to that user.
            fs::copy(PROGRAM, &program).unwrap();
        }
        let mut command = self.sandbox.command("setpriv", ".");
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
            .args(["sh", "-c", "cd \"$1\" && shift && exec \"$@\"", "sh"])
            .arg(at.as_ref())
            .arg(program)
            .args(arguments);
        Sandbox::finish(command)
    }

    /// Runs the program as that user, as git runs its hook on `git worktree add`.
    #[track_caller]
    pub fn run_hook(&self, at: impl AsRef<Path>) -> Run {
        let null = "0".repeat(40);
        let head = "1".repeat(40);
        self.run(at, &[&null, &head, "1"])
    }
}
