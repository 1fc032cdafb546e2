//! Users who do not own everything, and whom file modes restrict.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use super::{PROGRAM, Run, Sandbox};

/// Sets a file's mode.
#[track_caller]
pub fn set_mode(path: impl AsRef<Path>, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Whether the tests run as root, whom no mode restricts.
pub fn is_root() -> bool {
    // A file belongs to the process that creates it.
    tempfile::tempfile().unwrap().metadata().unwrap().uid() == 0
}

/// A user whom file modes restrict: another user if the tests run as root, otherwise their own.
pub struct Nobody<'a> {
    sandbox: &'a Sandbox,
}

impl Nobody<'_> {
    /// The user, as the owner of the whole sandbox.
    pub fn owning(sandbox: &Sandbox) -> Nobody<'_> {
        if is_root() {
            sandbox.give_to("65534:65534", ".");
        }
        Nobody { sandbox }
    }

    /// A user who does not own the sandbox but may read all of it. Needs root.
    #[track_caller]
    pub fn reading(sandbox: &Sandbox) -> Nobody<'_> {
        assert!(is_root(), "only root can be another user");
        set_mode(sandbox.path(""), 0o755);
        Nobody { sandbox }
    }

    /// A command that runs the program as that user.
    pub fn command(&self, at: impl AsRef<Path>) -> Command {
        // That user may not be able to read the directory of the build.
        let program = self.sandbox.path("program");
        if !program.exists() {
            self.sandbox.copy(PROGRAM, "program");
            set_mode(&program, 0o755);
        }
        if !is_root() {
            return self.sandbox.command(program, at);
        }
        let mut command = self.sandbox.command("setpriv", ".");
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
            .args(["sh", "-c", "cd \"$1\" && shift && exec \"$@\"", "sh"])
            .arg(at.as_ref())
            .arg(program);
        command
    }

    /// Runs the program as that user.
    #[track_caller]
    pub fn run(&self, at: impl AsRef<Path>, arguments: &[&str]) -> Run {
        let mut command = self.command(at);
        command.args(arguments);
        Sandbox::finish(command)
    }

    /// Runs the program as that user, as git runs its hook on `git worktree add`.
    #[track_caller]
    pub fn run_hook(&self, at: impl AsRef<Path>) -> Run {
        self.run(at, &super::FIRST_CHECKOUT)
    }
}

impl Drop for Nobody<'_> {
    fn drop(&mut self) {
        if is_root() {
            return;
        }
        // So that the sandbox can be removed whatever modes a test has set.
        let mut chmod = self.sandbox.command("chmod", ".");
        let _ = chmod.args(["-R", "u+rwX", "."]).status();
    }
}
