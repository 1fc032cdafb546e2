//! Installing the hook in a clone and taking it out again.

use std::path::Path;

use crate::error::{Error, Result};
use crate::git::repository::Found;
use crate::session::Session;

pub struct InstallRequest<'a> {
    pub directory: &'a Path,
    pub program: &'a Path,
    pub share: Option<bool>,
    pub by_package_manager: bool,
}

pub enum Installed {
    Done,
    InTheWay(String),
}

pub fn install(_request: &InstallRequest<'_>, _session: &Session) -> Result<Installed> {
    Err(Error::new("not here yet"))
}

pub struct HookProblem;

impl HookProblem {
    pub fn told(&self) -> (String, String) {
        (String::new(), String::new())
    }
}

pub fn problems(_found: &Found, _program: &Path) -> Result<Vec<HookProblem>> {
    Ok(Vec::new())
}

pub fn uninstall(_directory: &Path, _session: &Session) -> Result<()> {
    Err(Error::new("not here yet"))
}
