//! Gives every git worktree its own ports.
//!
//! # What happens on `git worktree add`
//!
//! 1. git runs `hooks/post-checkout`, or the hook command in the clone's git config, and that runs this
//!    program.
//! 2. `main` → `cli`: two object ids and a flag mean that git calls the hook; anything else is a command.
//! 3. `hook`: after the checkout of a branch (flag 1) in a linked worktree without ports, it allocates.
//!    In a worktree that has ports, it updates what does not match the config. Otherwise it is done.
//! 4. `reserve`, the transaction (read this file first), takes the lock (`allocate::locked`,
//!    `git::lock`), and checks again that the worktree is registered and who owns its port file
//!    (`state::port_file`).
//! 5. It reads the config (`config::file`), and gathers (`allocate::reservations`) the ports that every
//!    other worktree reserves by its port file or its record (`state::record`).
//! 6. `allocate::plan` decides. The worktree gets back the ports in its own record, which a killed run may
//!    have left under its temporary name. Without one, it gets the first slot that no other worktree has
//!    (`allocate::choose`) and on whose ports nothing listens (`allocate::probe`).
//! 7. It adds lines to `info/exclude` (`writes::exclude`), and writes the record under a temporary name,
//!    which reserves the ports. All other files (`writes::files`) are staged too. Then the env files and
//!    templates are renamed, then the port file, which says that the worktree has ports, and last the
//!    record. So a kill never leaves a port in a file that nothing reserves.
//!
//! A command starts at step 4 if something has to be written; otherwise it needs no lock. `release` undoes
//! all this, `report` only reads, and `install` puts the hook into a clone.
//!
//! # Invariants
//!
//! - Ports are chosen only from what was read under the lock: the reservations borrow its guard
//!   (`git::lock::Held`), and functions that write need a reference to it.
//! - There is no registry of ports. A reservation lasts as long as git lists the worktree.
//! - Files in a worktree are read and written through a handle on its root (`files::dir`): no link is
//!   followed, no FIFO blocks, and moving the worktree cannot redirect a write.
//! - A file is written under a temporary name and renamed (`files::staged`), never truncated. A file that
//!   others write too is checked for changes just before the rename and just after it.
//! - A shortage of descriptors, memory or processes is an error and never taken for "not there", and
//!   nothing is allocated.
//! - No decision depends on the time. Waits are bounded, and only for a lock or for a program that is
//!   writing a file.
//! - As a hook, the program exits 0 whatever happens.
//! - Only `git::repository` knows git2, only `git::lock` fd-lock, and only `git::command` runs git, with
//!   `GIT_*` removed from its environment. Otherwise, only `cli` reads the environment and the current
//!   directory.
//! - These do no I/O: `allocate::choose`, `config` except for `config::file`, `install::plan`,
//!   `writes::block`, `writes::env_text` and `report::check`.
//! - A module imports only from those to its right: `cli` → `hook`, `report` → `install` → `release` →
//!   `reserve` → `allocate` → `writes` → `state`, `config` → `git` → `session` → `files`, `narrator` →
//!   `ports`, `error`.

// `clippy.toml` lists what the rest of the program must leave to `files::dir`.
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
