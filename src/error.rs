//! The messages: what could not be done, which path, why, and what to run.

use std::fmt;
use std::io;
use std::path::Path;

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// This process ran out of descriptors, memory or processes, so nothing is known of what it
    /// asked for.
    Shortage,
    /// It is not allowed: EROFS, EACCES or EPERM.
    Refused,
    /// Nothing is there, or nothing can have that name.
    Absent,
    /// A directory is not the worktree that its `.git` names: it was copied or moved.
    Misplaced,
    Other,
}

impl ErrorKind {
    /// The kind of an I/O error.
    pub fn of(error: &io::Error) -> ErrorKind {
        use io::ErrorKind as Io;
        // macOS reports this for a name that is not UTF-8.
        let is_illegal_name = cfg!(unix) && error.raw_os_error() == Some(libc::EILSEQ);
        match error.kind() {
            _ if is_shortage(error) => ErrorKind::Shortage,
            Io::PermissionDenied | Io::ReadOnlyFilesystem => ErrorKind::Refused,
            Io::NotFound | Io::NotADirectory | Io::InvalidInput | Io::InvalidFilename => {
                ErrorKind::Absent
            }
            _ if is_illegal_name => ErrorKind::Absent,
            _ => ErrorKind::Other,
        }
    }
}

fn is_shortage(error: &io::Error) -> bool {
    #[cfg(unix)]
    let is_shortage = matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS)
    );
    // ERROR_TOO_MANY_OPEN_FILES, WSAEMFILE, WSAENOBUFS
    #[cfg(windows)]
    let is_shortage = matches!(error.raw_os_error(), Some(4 | 10024 | 10055));
    is_shortage || error.kind() == io::ErrorKind::OutOfMemory
}

/// What could not be done, in one line for a person.
#[derive(Clone, Debug)]
pub struct Error {
    text: String,
    remedy: Option<String>,
    kind: ErrorKind,
}

/// An [`Error`] with a formatted text.
macro_rules! error {
    ($($text:tt)*) => { $crate::error::Error::new(format!($($text)*)) };
}
pub(crate) use error;

impl Error {
    /// An error with the whole `text`: what, which path, why.
    pub fn new(text: impl Into<String>) -> Self {
        Error {
            text: text.into(),
            remedy: None,
            kind: ErrorKind::Other,
        }
    }

    /// `could not <what> <path>: <cause>`.
    pub fn at(what: &str, path: &Path, cause: impl fmt::Display) -> Self {
        error!("could not {what} {}: {cause}", quoted(path))
    }

    /// The same from an I/O error, whose kind is kept; for `map_err`.
    pub fn could_not<P: AsRef<Path>>(what: &str, path: P) -> impl FnOnce(io::Error) -> Error {
        move |error| Error {
            kind: ErrorKind::of(&error),
            ..Error::at(what, path.as_ref(), error)
        }
    }

    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The same error with another kind.
    #[must_use]
    pub fn of_kind(self, kind: ErrorKind) -> Self {
        Error { kind, ..self }
    }

    /// Puts a text in front: `<what>: <this error>`.
    #[must_use]
    pub fn within(self, what: &str) -> Self {
        let text = format!("{what}: {}", self.text);
        Error { text, ..self }
    }

    /// Adds what the reader can run or do.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// Adds a remedy if there is none yet.
    #[must_use]
    pub fn remedy_or(self, remedy: &str) -> Self {
        let remedy = self.remedy.or_else(|| Some(remedy.to_owned()));
        Error { remedy, ..self }
    }

    /// Ends the remedy with running `command`, unless it names one of our commands already, or says not to
    /// use the directory.
    #[must_use]
    pub fn then_run(self, command: &str) -> Self {
        let remedy = match &self.remedy {
            None => format!("run `{command}` to try again"),
            Some(remedy) if remedy.contains("worktree-ports-hook") => return self,
            Some(_) if self.kind == ErrorKind::Misplaced => return self,
            Some(remedy) => format!("{remedy}, then run `{command}`"),
        };
        self.remedy(remedy)
    }

    /// What is wrong, and what to do about it.
    pub fn parts(&self) -> (&str, Option<&str>) {
        (&self.text, self.remedy.as_deref())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        match &self.remedy {
            Some(remedy) => write!(f, "; {remedy}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

/// Fails on a shortage; any other outcome is for the caller to judge.
pub fn unless_shortage<T>(outcome: Result<T>) -> Result<Result<T>> {
    match outcome {
        Err(error) if error.kind() == ErrorKind::Shortage => Err(error),
        outcome => Ok(outcome),
    }
}

/// What was found; `None` if nothing is there.
pub fn if_there<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Err(error) if ErrorKind::of(&error) == ErrorKind::Absent => Ok(None),
        found => found.map(Some),
    }
}

/// A path in backticks.
pub fn quoted(path: &Path) -> String {
    format!("`{}`", path.display())
}

/// A path as one word of a command for a shell, to be copied from a message.
pub fn shell_word(path: &Path) -> String {
    let bytes = path.as_os_str().as_encoded_bytes();
    let is_text = str::from_utf8(bytes).is_ok_and(|text| !text.contains(drives_terminal));
    if !is_text && !cfg!(windows) {
        // bash, zsh and ksh read this; a plain word would be another path.
        return format!("$'{}'", bytes.escape_ascii());
    }
    let path = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+,=".contains(c);
    if path.chars().all(is_plain) {
        path
    } else if cfg!(windows) {
        // cmd.exe knows no other quotes, and no path contains them.
        format!("\"{path}\"")
    } else {
        format!("'{}'", path.replace('\'', r"'\''"))
    }
}

/// `text` on one line and harmless to a terminal: characters that would drive it are escaped as in a
/// Rust string.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if drives_terminal(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Whether `c` is a control character, or an invisible one that reorders, joins, breaks or hides
/// text.
pub fn drives_terminal(c: char) -> bool {
    let is_unseen = matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{3164}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}');
    c.is_control() || is_unseen
}

/// Whether `error` is EPERM: Rust's `ErrorKind` is the same for EACCES. Windows has no such error.
pub fn is_not_permitted(error: &io::Error) -> bool {
    cfg!(unix) && error.raw_os_error() == Some(libc::EPERM)
}

#[cfg(test)]
mod tests;
