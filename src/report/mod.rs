//! What people and programs are shown.

pub mod check;
pub mod render;
pub mod status;
