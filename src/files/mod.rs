//! Reading and replacing files, whoever wrote them.

pub mod json_object;
pub mod replace;
pub mod untrusted;
