//! What the tests stand on.
//!
//! [`Sandbox`] is a temporary directory with a repository and ports of its own, [`Run`] what a
//! command did in it, [`Config`] a config. What is left over has a module of its own.

mod config;
pub mod hooks;
mod ports;
pub mod processes;
mod run;
mod sandbox;
pub mod strace;
mod tools;
mod users;

pub use config::{Config, config};
pub use ports::{PortBlock, can_bind, close, listen};
pub use run::{Run, is_one_error};
pub use sandbox::Sandbox;
pub use tools::{fetched, tool};
pub use users::{Nobody, is_root, set_mode};

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_worktree-ports-hook");

pub const PORT_FILE: &str = ".worktree-ports.json";
pub const TEMPORARY: &str = ".worktree-ports.json.tmp";
pub const CONFIG: &str = ".worktree-ports.config.json";
/// The lock of `repo`.
pub const LOCK: &str = "repo/.git/worktree-ports/lock";

/// The arguments with which git runs its hook on `git worktree add`.
pub const FIRST_CHECKOUT: [&str; 3] = [
    "0000000000000000000000000000000000000000",
    "1111111111111111111111111111111111111111",
    "1",
];
