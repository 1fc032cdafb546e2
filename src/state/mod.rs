//! What a worktree has on disk.

pub mod port_file;
pub mod record;
pub mod reservation;
