//! Env files and templates as they are to be.

/// The block in an env file of the worktree that is called `label`, with these lines, each of which
/// ends in a newline.
pub fn block(label: &str, lines: &str) -> String {
    format!(
        "# >>> worktree-ports: {label} >>>\n\
         # Written by worktree-ports-hook. Change .worktree-ports.config.json instead.\n\
         {lines}# <<< worktree-ports <<<\n"
    )
}

/// The whole of an env file with that block and, below it, these lines of the user's.
pub fn with_block(block: &str, below: &str) -> String {
    format!("{block}\n{below}")
}
