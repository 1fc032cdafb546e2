//! `<common dir>/info/exclude`: keeps what this program makes out of git's sight, in every worktree.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::error::{CouldNot, Error, Result, is_absence};
use crate::files::replace::replace;
use crate::git::access;
use crate::git::lock::Held;

/// What is appended to an env file's name to have the name under which it is written first. It also
/// tells which lines are ours.
pub const TEMPORARY_SUFFIX: &str = ".worktree-ports.tmp";

/// The same for the port file.
const PORT_FILE: (&str, &str) = (".worktree-ports.json", ".tmp");

/// A file that git is not to see, and the name under which it is written first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hidden {
    file: String,
    temporary: String,
    /// Whether only the temporary name is to be hidden: the file itself is the user's.
    only_temporary: bool,
}

impl Hidden {
    /// The port file.
    pub fn port_file() -> Hidden {
        let (name, suffix) = PORT_FILE;
        Hidden::new(name, suffix, false)
    }

    /// The env file at `path` in a worktree, which is made by this program.
    pub fn made(path: &str) -> Hidden {
        Hidden::new(path, TEMPORARY_SUFFIX, false)
    }

    /// The temporary name alone of the env file at `path`, which was there before.
    pub fn temporary(path: &str) -> Hidden {
        Hidden::new(path, TEMPORARY_SUFFIX, true)
    }

    fn new(path: &str, suffix: &str, only_temporary: bool) -> Hidden {
        let file = format!("/{}", escaped(path));
        Hidden {
            temporary: format!("{file}{suffix}"),
            file,
            only_temporary,
        }
    }
}

/// Whether the list hides the file at `path` by a line of ours, or one that looks like it.
pub fn hides(common_dir: &Path, path: &str) -> bool {
    let content = read(&common_dir.join("info").join("exclude"));
    let content = content.ok().flatten().unwrap_or_default();
    let line = Hidden::made(path).file;
    lines(&content).any(|other| trimmed(other) == line.as_bytes())
}

/// Adds to the list what is missing in it.
///
/// # Errors
/// The list cannot be read or written.
pub fn add(_held: &Held, common_dir: &Path, hidden: &[Hidden]) -> Result<()> {
    let info = common_dir.join("info");
    let path = info.join("exclude");
    let old = read(&path).could_not("read", &path)?;
    let content = old.as_deref().unwrap_or_default();
    let addition = missing(content, hidden);
    if addition.is_empty() {
        return Ok(());
    }
    access::create_dir(common_dir, &info).could_not("make", &info)?;
    append(&path, &addition).map_err(|error| {
        let addition = String::from_utf8_lossy(&addition);
        let lines: Vec<String> = addition
            .split_whitespace()
            .map(|line| format!("`{line}`"))
            .collect();
        Error::at("add to", &path, error)
            .remedy(format!("add {} to `.gitignore`", lines.join(", ")))
    })?;
    if old.is_none() {
        access::share_file(common_dir, &path);
    }
    Ok(())
}

/// Takes those lines of ours out of the list that no worktree needs any more. `is_needed` is asked
/// with the path, relative to a worktree's root, of the port file or of an env file, and with
/// whether the file itself is hidden, beside its temporary name.
///
/// # Errors
/// The list cannot be read or written.
pub fn remove_unneeded(
    _held: &Held,
    common_dir: &Path,
    is_needed: &dyn Fn(&str, bool) -> bool,
) -> Result<()> {
    let path = common_dir.join("info").join("exclude");
    let Some(content) = read(&path).could_not("read", &path)? else {
        return Ok(());
    };
    let rest = without(&content, is_needed);
    if rest == content {
        return Ok(());
    }
    let is_link = path.is_symlink();
    if rest.is_empty() && !is_link {
        fs::remove_file(&path)
    } else {
        replace(&path, &rest)
    }
    .could_not("remove lines from", &path)
}

/// The list, if it hides the port files.
///
/// # Errors
/// The list cannot be read.
pub fn that_hides_port_files(common_dir: &Path) -> Result<Option<PathBuf>> {
    let path = common_dir.join("info").join("exclude");
    let content = read(&path).could_not("read", &path)?.unwrap_or_default();
    Ok(missing(&content, &[Hidden::port_file()])
        .is_empty()
        .then_some(path))
}

/// The content of the list; `None` if there is none. It may be a link to a list elsewhere, and is
/// never waited for.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut options = OpenOptions::new();
    let mut file = match open(path, options.read(true)) {
        Err(error) if is_absence(&error) => return Ok(None),
        file => file?,
    };
    let mut content = Vec::new();
    file.read_to_end(&mut content)?;
    Ok(Some(content))
}

/// Appends, so that a link to a list elsewhere stays one, in one piece.
fn append(path: &Path, addition: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    open(path, options.append(true).create(true))?.write_all(addition)
}

/// Opens a regular file. A FIFO without a writer or reader is not waited for.
#[expect(
    clippy::disallowed_methods,
    reason = "the list is the user's, may be a link, and is not waited for"
)]
fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(options, libc::O_NONBLOCK | libc::O_NOCTTY);
    let file = options.open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("not a regular file"))
    }
}

/// What to append to a list with that content.
///
/// A file's line is known to be ours by the line of its temporary name directly below, so the two
/// are added together. The addition ends as `content` does, with a newline or without: so
/// [`without`] can restore every byte.
fn missing(content: &[u8], hidden: &[Hidden]) -> Vec<u8> {
    let mut lines: Vec<&[u8]> = lines(content.strip_suffix(b"\n").unwrap_or(content))
        .map(trimmed)
        .collect();
    let old_lines = lines.len();
    for hidden in hidden {
        let (file, temporary) = (hidden.file.as_bytes(), hidden.temporary.as_bytes());
        let (has_file, has_temporary) = (lines.contains(&file), lines.contains(&temporary));
        if has_temporary && (has_file || hidden.only_temporary) {
            continue;
        }
        // A lone temporary name could come to stand directly below the user's line for the file.
        if has_file || !hidden.only_temporary {
            lines.push(file);
        }
        lines.push(temporary);
    }
    let added = lines[old_lines..].join(&b'\n');
    if added.is_empty() {
        added
    } else if content.last().is_none_or(|&byte| byte == b'\n') {
        [&added[..], b"\n"].concat()
    } else {
        [b"\n", &added[..]].concat()
    }
}

/// `content` without the lines of ours that are not needed.
fn without(content: &[u8], is_needed: &dyn Fn(&str, bool) -> bool) -> Vec<u8> {
    // Split rather than read line by line: whatever is taken out, the rest ends as it did.
    let mut rest: Vec<&[u8]> = Vec::new();
    let mut above: &[u8] = b"";
    for line in lines(content) {
        let file = file_of_temporary(trimmed(line));
        let is_hidden = |file: &str| trimmed(above).strip_prefix(b"/") == Some(file.as_bytes());
        match file {
            Some(file) if !is_needed(&unescaped(file), is_hidden(file)) => {
                if is_hidden(file) {
                    rest.pop();
                }
            }
            _ => rest.push(line),
        }
        above = line;
    }
    rest.join(&b'\n')
}

/// The file, escaped, that is first written under the temporary name on this line, if it is one of
/// ours.
fn file_of_temporary(line: &[u8]) -> Option<&str> {
    let path = str::from_utf8(line).ok()?.strip_prefix('/')?;
    let (port_file, suffix) = PORT_FILE;
    if path.strip_suffix(suffix) == Some(port_file) {
        return Some(port_file);
    }
    path.strip_suffix(TEMPORARY_SUFFIX)
}

/// What stands between newlines in `content`: behind the last one too, were it nothing.
fn lines(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    content.split(|&byte| byte == b'\n')
}

/// A line as git reads it: it passes over white space at the end, a carriage return too.
fn trimmed(line: &[u8]) -> &[u8] {
    line.trim_ascii_end()
}

/// `path` as a pattern that matches nothing else. The `/` before it leaves no other character a
/// meaning; a space needs none in the middle, and at the end it is no env file's name.
fn escaped(path: &str) -> String {
    let mut pattern = String::with_capacity(path.len());
    for c in path.chars() {
        if "\\*?[".contains(c) {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

fn unescaped(pattern: &str) -> String {
    let mut path = String::with_capacity(pattern.len());
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        path.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    path
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOTH: &str = "/.worktree-ports.json\n/.worktree-ports.json.tmp\n";
    const PAIR: &str = "/a/.env\n/a/.env.worktree-ports.tmp\n";
    const LONE: &str = "/.env.worktree-ports.tmp\n";

    fn added(content: &str, hidden: &[Hidden]) -> String {
        let added = missing(content.as_bytes(), hidden);
        format!("{content}{}", String::from_utf8(added).unwrap())
    }

    #[test]
    fn the_port_files_lines_are_added_if_they_are_missing_and_on_lines_of_their_own() {
        let alike = "#/.worktree-ports.json\n!/.worktree-ports.json.tmp\nx/.worktree-ports.json\n";
        let table = [
            ("", BOTH),
            ("*.o\n", BOTH),
            ("*.o", "\n/.worktree-ports.json\n/.worktree-ports.json.tmp"),
            (BOTH, ""),
            ("# x\n/.worktree-ports.json\n/.worktree-ports.json.tmp", ""),
            ("/.worktree-ports.json\r\n/.worktree-ports.json.tmp\r\n", ""),
            // The user's line stays the user's, by a second one of ours.
            ("/.worktree-ports.json\nx\n", BOTH),
            ("/.worktree-ports.json\n", BOTH),
            (
                "/.worktree-ports.json",
                "\n/.worktree-ports.json\n/.worktree-ports.json.tmp",
            ),
            ("/.worktree-ports.json.tmp\n", BOTH),
            (alike, BOTH),
        ];
        for (content, added) in table {
            let missing = missing(content.as_bytes(), &[Hidden::port_file()]);
            assert_eq!(String::from_utf8(missing).unwrap(), added, "{content:?}");
        }
    }

    #[test]
    fn of_a_file_that_was_there_only_the_temporary_name_is_hidden() {
        let hidden = [Hidden::made("a/.env"), Hidden::temporary(".env")];
        assert_eq!(added("", &hidden), format!("{PAIR}{LONE}"));
        assert_eq!(added(PAIR, &hidden), format!("{PAIR}{LONE}"));
        assert_eq!(added(LONE, &hidden), format!("{LONE}{PAIR}"));
        // Made now, and the user's before.
        assert_eq!(
            added(LONE, &[Hidden::made(".env")]),
            "/.env.worktree-ports.tmp\n/.env\n/.env.worktree-ports.tmp\n"
        );
    }

    #[test]
    fn lines_are_taken_out_that_no_worktree_needs() {
        let needs = |needed: &'static [&str]| move |path: &str, _| needed.contains(&path);
        let all = format!("*.o\n{BOTH}/.env\n\n{PAIR}{LONE}");
        let table: [(&str, &'static [&str], String); 6] = [
            (&all, &[], "*.o\n/.env\n\n".to_owned()),
            (
                &all,
                &["a/.env", ".env", ".worktree-ports.json"],
                all.clone(),
            ),
            (
                &all,
                &[".worktree-ports.json"],
                format!("*.o\n{BOTH}/.env\n\n"),
            ),
            (
                "/.env\n/.env\n/.env.worktree-ports.tmp\n",
                &[],
                "/.env\n".to_owned(),
            ),
            (
                "/.env\n/b.env.worktree-ports.tmp\n",
                &[],
                "/.env\n".to_owned(),
            ),
            (
                "x\r\n/.env\r\n/.env.worktree-ports.tmp\r\ny\r\n",
                &[],
                "x\r\ny\r\n".to_owned(),
            ),
        ];
        for (content, needed, rest) in table {
            let without = without(content.as_bytes(), &needs(needed));
            assert_eq!(String::from_utf8(without).unwrap(), rest, "{content:?}");
        }
    }

    #[test]
    fn a_path_is_escaped_and_asked_for_as_it_is() {
        for path in ["a/.env", "a*?[b]\\!/#.env", ".env"] {
            let hidden = [Hidden::made(path)];
            let content = missing(b"", &hidden);
            let asked = std::cell::RefCell::new(Vec::new());
            without(&content, &|path, _| {
                asked.borrow_mut().push(path.to_owned());
                true
            });
            assert_eq!(*asked.borrow(), [path]);
        }
        assert_eq!(Hidden::made("a*?[b]\\.env").file, "/a\\*\\?\\[b]\\\\.env");
    }

    fn any_content() -> impl Strategy<Value = String> {
        let line = prop_oneof![
            Just("/.env".to_owned()),
            Just("/a/.env".to_owned()),
            Just("/.worktree-ports.json".to_owned()),
            Just(String::new()),
            "[a-z*#! ]{0,3}",
        ];
        let end = prop_oneof![4 => Just("\n"), 1 => Just("\r\n"), 1 => Just("")];
        let lines = proptest::collection::vec((line, end), 0..6);
        lines.prop_map(|lines| lines.into_iter().map(|(line, end)| line + end).collect())
    }

    proptest! {
        #[test]
        fn what_was_added_is_not_missing_and_is_taken_out_without_a_trace(
            content in any_content(),
            only_temporary in any::<[bool; 3]>(),
        ) {
            let names = [".env", "a/.env", "b.env"].into_iter().zip(only_temporary);
            let mut hidden: Vec<Hidden> = names
                .map(|(path, only)| if only { Hidden::temporary(path) } else { Hidden::made(path) })
                .collect();
            hidden.push(Hidden::port_file());
            // At once and one after the other.
            let at_once = added(&content, &hidden);
            let one_by_one = hidden
                .iter()
                .fold(content.clone(), |content, hidden| added(&content, std::slice::from_ref(hidden)));
            for after in [at_once, one_by_one] {
                prop_assert!(missing(after.as_bytes(), &hidden).is_empty());
                prop_assert_eq!(without(after.as_bytes(), &|_, _| false), content.as_bytes());
            }
        }
    }

    #[cfg(unix)]
    mod on_disk {
        use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

        use super::*;
        use crate::git::lock::{self, LockOptions};
        use crate::narrator::Narrator;

        fn held(common_dir: &Path) -> Held {
            let options = LockOptions {
                timeout: std::time::Duration::ZERO,
                narrator: &Narrator::default(),
            };
            lock::acquire(common_dir, &options).unwrap()
        }

        #[test]
        fn info_is_made_with_the_mode_of_the_common_dir_and_left_as_it_was() {
            let common_dir = tempfile::tempdir().unwrap();
            let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
            fs::set_permissions(common_dir.path(), fs::Permissions::from_mode(0o2770)).unwrap();
            add(
                &held(common_dir.path()),
                common_dir.path(),
                &[Hidden::port_file()],
            )
            .unwrap();

            let info = common_dir.path().join("info");
            assert_eq!((mode(&info), mode(&info.join("exclude"))), (0o2770, 0o660));
            assert_eq!(fs::read_to_string(info.join("exclude")).unwrap(), BOTH);

            remove_unneeded(&held(common_dir.path()), common_dir.path(), &|_, _| false).unwrap();
            assert_eq!(fs::read_dir(&info).unwrap().count(), 0);
        }

        #[test]
        fn a_link_stays_a_link() {
            let common_dir = tempfile::tempdir().unwrap();
            fs::create_dir(common_dir.path().join("info")).unwrap();
            let (list, link) = (
                common_dir.path().join("list"),
                common_dir.path().join("info/exclude"),
            );
            fs::write(&list, "").unwrap();
            symlink(&list, &link).unwrap();

            add(
                &held(common_dir.path()),
                common_dir.path(),
                &[Hidden::port_file()],
            )
            .unwrap();
            assert_eq!(fs::read_to_string(&list).unwrap(), BOTH);
            remove_unneeded(&held(common_dir.path()), common_dir.path(), &|_, _| false).unwrap();
            assert_eq!(fs::read_to_string(&list).unwrap(), "");
            assert!(link.is_symlink());
        }

        #[test]
        fn a_fifo_is_an_error_and_not_waited_for() {
            let common_dir = tempfile::tempdir().unwrap();
            fs::create_dir(common_dir.path().join("info")).unwrap();
            let path = common_dir.path().join("info/exclude");
            assert!(
                std::process::Command::new("mkfifo")
                    .arg(&path)
                    .status()
                    .unwrap()
                    .success()
            );

            let error = add(
                &held(common_dir.path()),
                common_dir.path(),
                &[Hidden::port_file()],
            )
            .unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("could not read `{}`: not a regular file", path.display())
            );
            assert!(
                remove_unneeded(&held(common_dir.path()), common_dir.path(), &|_, _| false)
                    .is_err()
            );
        }
    }
}
