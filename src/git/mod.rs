//! Repositories and worktrees, as git keeps them.

pub mod entries;
pub mod exclude;
pub mod repository;
