//! `<common dir>/info/exclude`: keeps the port files out of git's sight, in every worktree.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};

use crate::error::{Error, Result};
use crate::lock::Held;
use crate::port_file;
use crate::worktrees::Worktree;

/// Makes sure that git ignores the port file of `worktree`: adds what is missing to the list that
/// all worktrees share, unless the repository ignores it already.
pub fn keep_out_of_sight(_held: &Held, worktree: &Worktree) -> Result<()> {
    let path = worktree.common_dir.join("info").join("exclude");
    let could_not = |error: io::Error| {
        Error::at("add the port file to", &path, error)
            .remedy(format!("add `/{}` to `.gitignore`", port_file::NAME))
    };
    let content = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        content => content.map_err(could_not)?,
    };
    let missing = missing_lines(&content);
    if missing.is_empty() || worktree.ignores(port_file::NAME)? {
        return Ok(());
    }
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).map_err(could_not)?;
    }
    // Appended, so that a link to a list elsewhere stays one.
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(&path)
        .map_err(could_not)?;
    file.write_all(missing.as_bytes()).map_err(could_not)
}

/// Whether `content`, that of an exclude file, has the port file's line.
fn missing_lines(content: &[u8]) -> String {
    let mut missing = String::new();
    for name in [port_file::NAME, port_file::TEMPORARY_NAME] {
        let line = format!("/{name}");
        if !content
            .split(|&byte| byte == b'\n')
            .any(|has| has.trim_ascii_end() == line.as_bytes())
        {
            missing.push_str(&line);
            missing.push('\n');
        }
    }
    if !missing.is_empty() && content.last().is_some_and(|&byte| byte != b'\n') {
        missing.insert(0, '\n');
    }
    missing
}
