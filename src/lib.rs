//! Gives every git worktree its own ports.
//!
//! # What happens on `git worktree add`
//!
//! 1. git runs `hooks/post-checkout`, or the command in the clone's config, and that runs this program.
//! 2. `main` → `cli`: two object ids and a flag are git's; all else is a person's.
//! 3. `hook`: flag 1 in a linked worktree without ports goes on. In a worktree that has ports, what is
//!    written for it is compared with its config. Every other checkout ends here.
//! 4. `reserve`, the transaction (read this file first), takes the lock (`git::lock`), and looks again
//!    at what it has seen: the worktree, and who owns its port file (`state::port_file`).
//! 5. It reads the config (`config::file`), and gathers (`allocate::reservations`) what the port file
//!    or the record (`state::record`) of every other worktree reserves.
//! 6. The worktree gets back what its own record names, or the first candidate (`allocate::choose`)
//!    that passes the probe (`allocate::probe`).
//! 7. It is written: the lines in `writes::exclude`, the record under a temporary name, the env files
//!    and templates (`writes::files`), the port file, and last the record's own name.
//!
//! A call by hand enters at 4 if anything has to be written, and otherwise answers without the lock.
//! `release` goes the way back, `report` shows without choosing, and `install` puts the hook into a
//! clone.
//!
//! # What holds
//!
//! - Nothing that was read before the lock was taken decides which ports are chosen: what they are
//!   chosen from borrows the lock's guard (`git::lock::Held`), and writing takes it.
//! - There is no registry of ports. What git registers has its ports; what git forgets has none.
//! - What is below a worktree is read and written through its opened root (`files::dir`): no link is
//!   followed, no FIFO is waited for, and no move leads elsewhere.
//! - A file is written under a temporary name and renamed (`files::staged`), never truncated. A file
//!   that others write too is compared before the rename.
//! - A shortage of descriptors, memory or processes is an error, and nothing is allocated.
//! - No clock decides; a bounded wait is for a lock, or for another program that is writing a file.
//! - As a hook, the program exits 0 whatever happens.
//! - `git::repository` alone knows git2, `git::lock` fd-lock, and `git::command` and `git::config` run
//!   git, without `GIT_*`. `cli` alone reads the environment and the current directory.
//! - `allocate::choose`, `config` but for `config::file`, `writes::block`, `writes::env_text` and
//!   `report::check` are pure.
//! - Imports run one way: `cli` → `hook`, `report`, `install`, `release` → `reserve` → `allocate` →
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
