//! Files and directories that anybody may have written: opened once, read without blocking,
//! replaced by a rename.

pub mod dir;
pub mod json_object;
pub mod staged;

#[cfg(unix)]
#[path = "unix.rs"]
mod system;
#[cfg(not(unix))]
#[path = "windows.rs"]
mod system;
