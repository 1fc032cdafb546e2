//! The messages: what could not be done, which path, why, and what to run.

use std::fmt;
use std::io;
use std::path::Path;

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Something that could not be done, as one line for a person.
#[derive(Debug)]
pub struct Error {
    text: String,
    remedy: Option<String>,
    /// Whether its cause is a shortage of our own.
    is_own_shortage: bool,
}

impl Error {
    /// An error whose `text` says all: what, which path, why.
    pub fn new(text: impl Into<String>) -> Self {
        Error {
            text: text.into(),
            remedy: None,
            is_own_shortage: false,
        }
    }

    /// `could not <what> <path>: <cause>`.
    pub fn at(what: &str, path: &Path, cause: impl fmt::Display) -> Self {
        Error::new(format!("could not {what} {}: {cause}", quoted(path)))
    }

    /// Whether this process lacked descriptors or memory, so that nothing can be said of what it
    /// asked for.
    pub fn is_own_shortage(&self) -> bool {
        self.is_own_shortage
    }

    /// Says first what this error means: `<what>: <this error>`.
    #[must_use]
    pub fn within(mut self, what: &str) -> Self {
        self.text = format!("{what}: {}", self.text);
        self
    }

    /// Adds what the reader can run or do.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// Adds what the reader can run or do, where nothing better is known.
    #[must_use]
    pub fn remedy_or(self, remedy: &str) -> Self {
        match self.remedy {
            Some(_) => self,
            None => self.remedy(remedy),
        }
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

/// Turns the error of a system call into one that says what could not be done, and to which path.
pub trait CouldNot<T> {
    /// `could not <what> <path>: <cause>`.
    fn could_not(self, what: &str, path: &Path) -> Result<T>;
}

impl<T> CouldNot<T> for io::Result<T> {
    fn could_not(self, what: &str, path: &Path) -> Result<T> {
        self.map_err(|error| Error {
            is_own_shortage: is_own_shortage(&error),
            ..Error::at(what, path, error)
        })
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
        // What bash, zsh and ksh read; a plain word would be another path.
        return format!("$'{}'", bytes.escape_ascii());
    }
    let path = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+,=".contains(c);
    if path.chars().all(is_plain) {
        path
    } else if cfg!(windows) {
        // No other quotes are known to cmd.exe, and no path has these in it.
        format!("\"{path}\"")
    } else {
        format!("'{}'", path.replace('\'', r"'\''"))
    }
}

/// `text` on one line and harmless to a terminal: what drives one is written as Rust writes it in a
/// string.
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

/// Whether `c` is a control character or reorders the text around it.
pub fn drives_terminal(c: char) -> bool {
    let reorders =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || reorders
}

/// Whether `error` tells of this process's want of descriptors or memory, and so nothing of the
/// file or the port that was asked for.
pub fn is_own_shortage(error: &io::Error) -> bool {
    #[cfg(unix)]
    let shortage = matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS)
    );
    // ERROR_TOO_MANY_OPEN_FILES, WSAEMFILE, WSAENOBUFS
    #[cfg(windows)]
    let shortage = matches!(error.raw_os_error(), Some(4 | 10024 | 10055));
    shortage || error.kind() == io::ErrorKind::OutOfMemory
}

/// Whether `error` is EPERM, which Rust's `ErrorKind` does not tell from EACCES. Windows has no such
/// error.
pub fn is_not_permitted(error: &io::Error) -> bool {
    cfg!(unix) && error.raw_os_error() == Some(libc::EPERM)
}

/// Whether `error` says that this process may not write there: EROFS, EACCES or EPERM.
pub fn is_write_refused(error: &io::Error) -> bool {
    use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
    matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem)
}

/// Whether `error` says that nothing lies at a path, or that no such path can be.
pub fn is_absence(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidFilename, InvalidInput, NotADirectory, NotFound};
    // What macOS says of a name that is not UTF-8.
    let is_illegal_name = cfg!(unix) && error.raw_os_error() == Some(libc::EILSEQ);
    is_illegal_name
        || matches!(
            error.kind(),
            NotFound | NotADirectory | InvalidInput | InvalidFilename
        )
}

#[cfg(test)]
mod tests;
