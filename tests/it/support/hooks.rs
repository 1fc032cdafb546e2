//! The hook as git runs it: from a file, or from the clone's config.

use super::{FIRST_CHECKOUT, Run, Sandbox};

/// A git that runs hook files alone, and the first one that runs what its config names too.
pub const OLD: &str = "2.53.0";
pub const NEW: &str = "2.54.0";

/// What `--install` copies the program to, and the hook file.
pub const COPY: &str = "repo/.git/worktree-ports/worktree-ports-hook";
pub const HOOK: &str = "repo/.git/hooks/post-checkout";

/// A command of somebody's own in a hook: it adds a line with the hook's arguments to the file `ran`.
pub const THEIRS: &str = r#"echo "own $*" >>"$(dirname "$(git rev-parse --path-format=absolute --git-common-dir)")/../ran""#;

/// Brings something about in a sandbox.
pub type Prepare = fn(&Sandbox);

/// A sandbox without a hook, in which git says that it is of that version.
pub fn sandbox_with_git(version: &str) -> Sandbox {
    let sandbox = Sandbox::without_hook();
    sandbox.pretend_git(version);
    sandbox
}

/// Runs the hook that the clone's config names as git 2.54 runs it, in a fresh worktree.
#[track_caller]
pub fn run_config_hook(sandbox: &Sandbox, at: &str) -> Run {
    let get = ["config", "--get", "hook.worktree-ports.command"];
    let command = sandbox.git(at, &get).stdout;
    let command = command.strip_suffix('\n').unwrap();
    let event = ["config", "--get-all", "hook.worktree-ports.event"];
    assert_eq!(sandbox.git(at, &event).stdout, "post-checkout\n");
    let mut shell = sandbox.command("sh", at);
    shell
        .arg("-c")
        .arg(format!("{command} \"$@\""))
        .arg(command);
    shell.args(FIRST_CHECKOUT);
    Sandbox::finish(shell).exits(0)
}
