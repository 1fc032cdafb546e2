//! `<common dir>/info/exclude`: keeps the port files out of git's sight, in every worktree.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;

use crate::allocate::lock::{self, Held, Manner};
use crate::error::{Error, Result, is_absence};
use crate::files::replace::replace;
use crate::git::entries::Worktree;
use crate::git::repository::Found;
use crate::report::status;
use crate::state::port_file;

/// What git is to ignore: the port file, and what a kill leaves of one.
const LINES: [&str; 2] = ["/.worktree-ports.json", "/.worktree-ports.json.tmp"];

/// Makes sure that git ignores the port file of `worktree`: adds what is missing to the list that
/// all worktrees share, unless the repository ignores it already.
pub fn keep_out_of_sight(_held: &Held, worktree: &Worktree) -> Result<()> {
    let path = worktree.common_dir.join("info").join("exclude");
    let could_not = |error: io::Error| {
        Error::at("add the port file to", &path, error)
            .remedy(format!("add `/{}` to `.gitignore`", port_file::NAME))
    };
    let content = match fs::read(&path) {
        Err(error) if is_absence(&error) => Vec::new(),
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

/// Makes git see port files again, where no worktree has one any more; one that has is returned.
pub fn unless_needed(found: &Found, manner: &Manner<'_>) -> Result<Option<PathBuf>> {
    let common_dir = &found.repository.common_dir;
    let path = common_dir.join("info").join("exclude");
    let could_not = |error: io::Error| Error::at("remove the port file from", &path, error);
    let content = match fs::read(&path) {
        Err(error) if is_absence(&error) => return Ok(None),
        content => content.map_err(could_not)?,
    };
    let Some(rest) = without_lines(&content) else {
        return Ok(None);
    };
    let _held = lock::acquire(common_dir, manner)?;
    for worktree in status::worktrees_of(found, manner.narrate)? {
        let port_file = worktree.root.join(port_file::NAME);
        if port_file.symlink_metadata().is_ok() {
            return Ok(Some(port_file));
        }
    }
    if rest.is_empty() {
        fs::remove_file(&path).map_err(could_not)?;
    } else {
        replace(&path, &rest, None).map_err(could_not)?;
    }
    Ok(None)
}

/// What to add to `content`, that of an exclude file: both our lines, unless the port file's is
/// there. They end as it ends, with a newline or without: so [`without_lines`] can restore every
/// byte.
fn missing_lines(content: &[u8]) -> String {
    // git passes over white space at the end, a carriage return too.
    let mut lines = content
        .split(|&byte| byte == b'\n')
        .map(<[u8]>::trim_ascii_end);
    if lines.any(|line| line == LINES[0].as_bytes()) {
        return String::new();
    }
    let both = LINES.join("\n");
    if content.last().is_none_or(|&byte| byte == b'\n') {
        both + "\n"
    } else {
        "\n".to_owned() + &both
    }
}

/// `content` without our lines, which stand together as [`missing_lines`] has put them; `None`
/// where they do not.
fn without_lines(content: &[u8]) -> Option<Vec<u8>> {
    let both = LINES.join("\n").into_bytes();
    let mut places = content.windows(both.len()).enumerate();
    let (start, _) = places.find(|(start, window)| {
        let starts_line = *start == 0 || content[start - 1] == b'\n';
        let after = content.get(start + both.len());
        *window == both && starts_line && after.is_none_or(|&byte| byte == b'\n')
    })?;
    let (before, rest) = content.split_at(start);
    Some(match rest.get(both.len() + 1..) {
        Some(after) => [before, after].concat(),
        // Without a newline behind them, the one before them is ours too.
        None => before.strip_suffix(b"\n").unwrap_or(before).to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOTH: &str = "/.worktree-ports.json\n/.worktree-ports.json.tmp\n";

    #[test]
    fn each_line_that_is_missing_is_added_once_and_on_a_line_of_its_own() {
        let table = [
            ("", BOTH),
            ("*.o\n", BOTH),
            ("*.o", "\n/.worktree-ports.json\n/.worktree-ports.json.tmp"),
            (BOTH, ""),
            ("# x\n/.worktree-ports.json\n/.worktree-ports.json.tmp", ""),
            ("/.worktree-ports.json\r\n/.worktree-ports.json.tmp\r\n", ""),
            ("/.worktree-ports.json\n", ""),
            ("/.worktree-ports.json", ""),
            ("/.worktree-ports.json.tmp\n", BOTH),
            // Lines of others that look alike.
            ("#/.worktree-ports.json\n!/.worktree-ports.json.tmp\n", BOTH),
            ("x/.worktree-ports.json\n", BOTH),
        ];
        for (content, missing) in table {
            assert_eq!(missing_lines(content.as_bytes()), missing, "{content:?}");
        }
    }

    proptest! {
        #[test]
        fn what_was_added_is_not_missing_any_more(content in any::<Vec<u8>>()) {
            let mut after = content.clone();
            after.extend(missing_lines(&content).into_bytes());
            prop_assert_eq!(missing_lines(&after), "");
            // Each line of before is a line still.
            let lines = |text: &[u8]| -> Vec<Vec<u8>> {
                let lines = text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
                lines.map(<[u8]>::to_vec).collect()
            };
            let before = lines(&content);
            prop_assert_eq!(&lines(&after)[..before.len()], &before[..]);
        }
    }
}
