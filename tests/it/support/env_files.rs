//! Env files as they are to be.

/// The block in an env file of the worktree that is called `label`, with these lines, each of which
/// ends in a newline.
pub fn block(label: &str, lines: &str) -> String {
    format!(
        "# >>> worktree-ports: {label} >>>\n\
         # Written by worktree-ports-hook. Change .worktree-ports.config.json instead.\n\
         {lines}# <<< worktree-ports <<<\n"
    )
}
