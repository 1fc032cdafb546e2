//! Gives every git worktree its own ports.
//!
//! # What happens on `git worktree add`
//!
//! 1. git runs `hooks/post-checkout`, or the command in the clone's config, and that this program.
//! 2. `main` → [`cli`]: two object ids and a flag are git's; all else is a person's.
//! 3. [`hook`]: only flag 1, in a linked worktree without ports of its own, goes on. Every other
//!    checkout ends here.
//! 4. [`reserve`], the transaction (read this file first), takes the [lock](git::lock), and
//!    looks again at what it has seen: the worktree, and [whose its port file is](state::port_file).
//! 5. It reads the [config](config::file), and [gathers](allocate::reservations) what the port file
//!    or the [record](state::record) of every other worktree reserves.
//! 6. The worktree gets back what its own record names, or the first
//!    [candidate](allocate::choose) that passes the [probe](allocate::probe).
//! 7. It is written: the line in [`git::exclude`], the record under a temporary name, the
//!    [env files](state::env_file), the port file, and last the record's own name.
//!
//! A call by hand enters at 4 if anything has to be written, and else answers without the lock.
//! [`release`] goes the way back, [`report`] shows without choosing, and [`install`] puts the hook
//! into a clone.
//!
//! # What holds
//!
//! - Nothing that was read before the lock was taken decides which ports are chosen: what they are
//!   chosen from borrows the lock's guard ([`Held`](git::lock::Held)), and so does writing.
//! - There is no registry of ports. What git registers has its ports; what git forgets has none.
//! - A file is replaced by a rename, never truncated, and never written through a link.
//! - What a branch can name is read by [`files::untrusted`] alone: regular files, no links, no
//!   waiting, at most so many bytes.
//! - No clock decides: no date is compared, and nothing is tried again after a while.
//! - As a hook, the program exits 0 whatever happens.
//! - [`git::repository`] alone knows git2, [`git::lock`] fd-lock, and [`git::command`] runs git,
//!   without `GIT_*`. [`cli`] alone reads the environment and the current directory.
//! - [`allocate::choose`], the parser in [`config`], the block in [`state::env_file`] and
//!   [`install`]'s plan and text do no IO.
//! - Imports run one way: [`cli`] → [`hook`], [`report`], [`install`], [`release`] → [`reserve`] →
//!   [`allocate`] → [`state`] → [`config`] → [`git`] → [`files`], [`ports`], [`narrator`], [`error`].

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod allocate;
pub mod cli;
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
