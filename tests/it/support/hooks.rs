//! The hook as git runs it: from a file or from the clone's config.

use super::{FIRST_CHECKOUT, Run, Sandbox};

/// A git that only runs hook files, and the first one that also runs hooks in its config.
pub const OLD: &str = "2.53.0";
pub const NEW: &str = "2.54.0";

/// Where `--install` copies the program, and the hook file.
pub const COPY: &str = "repo/.git/worktree-ports/worktree-ports-hook";
pub const HOOK: &str = "repo/.git/hooks/post-checkout";

/// A user's own command in a hook: it appends the hook's arguments to the file `ran`.
pub const THEIRS: &str = r#"echo "own $*" >>"$(dirname "$(git rev-parse --path-format=absolute --git-common-dir)")/../ran""#;

/// Sets something up in a sandbox.
pub type Prepare = fn(&Sandbox);

/// A sandbox without a hook, in which git reports that version.
pub fn sandbox_with_git(version: &str) -> Sandbox {
    let sandbox = Sandbox::without_hook();
    sandbox.pretend_git(version);
    sandbox
}

/// Runs the hook in the clone's config as git 2.54 would in a fresh worktree.
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
