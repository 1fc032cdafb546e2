//! Repositories and worktrees, as git keeps them.

pub mod command;
pub mod entries;
pub mod exclude;
pub mod repository;
