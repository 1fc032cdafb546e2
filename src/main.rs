//! The program; the library beside it does the work.

use std::process::ExitCode;

fn main() -> ExitCode {
    worktree_ports_hook::cli::run(std::env::args_os().collect())
}
