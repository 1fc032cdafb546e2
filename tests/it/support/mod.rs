//! What the tests have in common.
//!
//! - [`Sandbox`]: a temporary directory with a repository and its own ports. It runs git and the
//!   program, by hand or as the hook, and reads port files. [`Run`] is the result of a command.
//! - [`config`]: the text of a config, member by member. `sandbox.config(&["web", "api"])` has the
//!   sandbox's ports.
//! - [`block`], [`with_block`]: the block in an env file, and the whole file.
//! - [`listen`], [`close`], [`can_bind`]: listeners on the sandbox's ports.
//! - [`hooks`]: old and new gits, and how each runs the hook.
//! - [`strace`]: makes a system call fail, or kills the program at one.
//! - [`processes`]: processes that hold the lock, wait for it, or are stopped while they hold it.
//! - [`Nobody`]: runs the program as a user whom file modes restrict.
//! - [`Page`]: a page of the documentation, its blocks and its tables.
//! - [`tool`]: other programs, which only ignored tests may need.

mod config;
mod env_files;
pub mod hooks;
mod page;
mod ports;
pub mod processes;
mod run;
mod sandbox;
pub mod strace;
mod tools;
mod users;

pub use config::{Config, config};
pub use env_files::{block, with_block};
pub use page::Page;
pub use ports::{PortBlock, can_bind, close, listen};
pub use run::{Run, is_one_error};
pub use sandbox::Sandbox;
pub use tools::{fetched, tool};
pub use users::{Nobody, is_root, set_mode};

/// The program under test: the one that was built with the tests, or the one that
/// `WORKTREE_PORTS_PROGRAM` named when they were compiled.
pub const PROGRAM: &str = match option_env!("WORKTREE_PORTS_PROGRAM") {
    Some(program) => program,
    None => env!("CARGO_BIN_EXE_worktree-ports-hook"),
};

pub const PORT_FILE: &str = ".worktree-ports.json";
pub const TEMPORARY: &str = ".worktree-ports.json.worktree-ports.tmp";
pub const CONFIG: &str = ".worktree-ports.config.json";
/// The lock of `repo`.
pub const LOCK: &str = "repo/.git/worktree-ports/lock";

/// The arguments with which git runs its hook on `git worktree add`.
pub const FIRST_CHECKOUT: [&str; 3] = [
    "0000000000000000000000000000000000000000",
    "1111111111111111111111111111111111111111",
    "1",
];
