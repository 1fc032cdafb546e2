//! Gives every git worktree its own ports.
//!
//! # What happens on `git worktree add`
//!
//! 1. git runs `hooks/post-checkout`, or the command in the clone's config, and that runs this program.
//! 2. `main` → `cli`: two object ids and a flag come from git; anything else comes from a person.
//! 3. `hook`: with flag 1 in a linked worktree without ports, it goes on. In a worktree that has ports,
//!    it compares what is written with the config. Every other checkout ends here.
//! 4. `reserve`, the transaction (read this file first), takes the lock (`git::lock`), and looks again:
//!    is this still the worktree, and who owns its port file (`state::port_file`)?
//! 5. It reads the config (`config::file`), and gathers (`allocate::reservations`) the ports that every
//!    other worktree reserves by its port file or its record (`state::record`).
//! 6. The worktree gets back the ports in its own record, or else the ports of the first candidate
//!    (`allocate::choose`) that pass the probe (`allocate::probe`).
//! 7. It writes the lines in `info/exclude` (`writes::exclude`), the record under a temporary name, the
//!    env files and templates (`writes::files`), the port file, and last renames the record.
//!
//! A call by hand enters at step 4 if anything has to be written, and otherwise answers without the
//! lock. `release` undoes all this, `report` only shows, and `install` puts the hook into a clone.
//!
//! # What holds
//!
//! - Nothing that was read before the lock decides which ports are chosen: the reservations borrow the
//!   lock's guard (`git::lock::Held`), and functions that write take it.
//! - There is no registry of ports. A worktree that git knows has its ports; one that git forgets has
//!   none.
//! - Files in a worktree are read and written through its opened root (`files::dir`): no link is
//!   followed, no FIFO blocks, and moving the worktree redirects nothing.
//! - A file is written under a temporary name and renamed (`files::staged`), never truncated. If others
//!   write it too, it is compared again before the rename and after it.
//! - A shortage of descriptors, memory or processes is an error, and nothing is allocated.
//! - No clock decides. Waits are bounded, and only for a lock or for a program that is writing a file.
//! - As a hook, the program exits 0 whatever happens.
//! - Only `git::repository` knows git2, only `git::lock` fd-lock, and only `git::command` runs git. Only
//!   `cli` reads the environment and the current directory (`git::command` hides `GIT_*` from git).
//! - These are pure: `allocate::choose`, `config` except for `config::file`, `writes::block`,
//!   `writes::env_text` and `report::check`.
//! - Imports go one way: `cli` → `hook`, `report`, `install`, `release` → `reserve` → `allocate` →
//!   `state` and `writes` → `config` → `git` → `files`, `session`, `ports`, `narrator`, `error`.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod allocate;
mod cli;
mod config;
mod error;
mod files;
mod git;
mod hook;
mod install;
mod narrator;
mod ports;
mod release;
mod report;
mod reserve;
mod session;
mod state;
mod writes;

pub use cli::run;
