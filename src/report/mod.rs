//! What people and programs are shown.

pub mod check;
pub mod facts;
mod place;
pub mod render;
pub mod status;
pub mod table;
