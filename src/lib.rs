//! Gives every git worktree its own ports.
//!
//! A call travels one way:
//!
//! `hooks/post-checkout` → `main` → [`cli`] → [`hook`] (is this ours to do?) → [`reserve`] (the
//! transaction: read this file first) → [`lock`] → [`entries`] (where the worktrees are) →
//! [`reservations`] (what they have) → [`allocate`] → [`probe`] → [`port_file`] → rename.
//!
//! By hand, [`worktrees`] finds the repository around a directory, [`survey`] and [`check`] look
//! without choosing, [`render`] shows, and [`install`] wires up the hook, by [`hook_text`] and beside
//! the [`managers`]. [`exclude`] keeps port files out of git's sight; [`plain_file`], [`members`] and
//! [`replace`] are how files are read, parsed and replaced.
//!
//! What holds:
//! - The port files are the only record of what is reserved; there is no registry.
//! - Nothing that was read before the lock was taken decides which ports are chosen: what they are
//!   chosen from borrows the lock's guard, and so does writing.
//! - A port file is replaced by a rename, never truncated, and never written through a link.
//! - No file in a working tree is opened before it is known to be a regular one, or read whole
//!   before it is known to be small.
//! - As a hook, the program exits 0 whatever happens.
//! - Only [`worktrees`] knows git2, and only [`lock`] knows fd-lock. Only `main` and [`cli`] read the
//!   environment; what runs git takes `GIT_*` out of it. [`hook`], [`allocate`], [`config`]'s parser and [`port_file`]'s do no IO.

pub mod allocate;
pub mod cli;
pub mod config;
pub mod error;
pub mod files;
pub mod git;
pub mod hook;
pub mod install;
pub mod narrator;
pub mod ports;
pub mod report;
pub mod reserve;
pub mod state;
