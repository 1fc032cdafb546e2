//! The program. The library does the work.

use std::process::ExitCode;

fn main() -> ExitCode {
    worktree_ports_hook::run(std::env::args_os().collect())
}
