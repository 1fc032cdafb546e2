//! Env files as the program writes them.

/// The block in an env file of the worktree with that label. Each of `lines` ends in a newline.
pub fn block(label: &str, lines: &str) -> String {
    format!(
        "# >>> worktree-ports: {label} >>>\n\
         # Written by worktree-ports-hook. Change .worktree-ports.config.json instead.\n\
         {lines}# <<< worktree-ports <<<\n"
    )
}

/// An env file with that block and the user's lines below it.
pub fn with_block(block: &str, below: &str) -> String {
    format!("{block}\n{below}")
}
