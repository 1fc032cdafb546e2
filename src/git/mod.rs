//! Repositories and worktrees, as git keeps them.

pub mod access;
pub mod checkout;
pub mod clones;
pub mod command;
pub mod config;
pub mod entries;
pub mod lock;
pub mod paths;
pub mod repository;
pub mod worktree;

#[cfg(test)]
pub mod fixture;
