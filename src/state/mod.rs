//! What a worktree has on disk.

pub mod assigned;
pub mod env_file;
pub mod port_file;
pub mod record;
pub mod reservation;
