//! Reading and replacing files, whoever wrote them.

pub mod identity;
pub mod json_object;
pub mod new_file;
pub mod replace;
pub mod untrusted;
