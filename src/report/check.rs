//! The problems that `--check` finds, each with what mends it.

use std::path::Path;

use crate::error::{Error, Result};
use crate::git::repository::Found;
use crate::install;
use crate::session::Session;

/// Every problem of the repository and its worktrees. `program` is the one that checks.
pub fn problems(found: &Found, program: &Path, session: &Session) -> Result<Vec<Error>> {
    let _ = session;
    let problems = install::problems(found, program)?;
    Ok(problems.iter().map(Error::from).collect())
}
