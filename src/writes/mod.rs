//! What is written for a worktree besides its port file: our lines in other people's files, and
//! files made from templates.

pub mod assigned;
pub mod block;
pub mod env_text;
pub mod exclude;
pub mod files;
mod seed;
mod target;
