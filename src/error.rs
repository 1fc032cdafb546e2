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
}

impl Error {
    /// An error whose `text` says all: what, which path, why.
    pub fn new(text: impl Into<String>) -> Self {
        Error {
            text: text.into(),
            remedy: None,
        }
    }

    /// `could not <what> <path>: <cause>`.
    pub fn at(what: &str, path: &Path, cause: impl fmt::Display) -> Self {
        Error::new(format!("could not {what} {}: {cause}", quoted(path)))
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
        self.map_err(|error| Error::at(what, path, error))
    }
}

/// A path in backticks.
pub fn quoted(path: &Path) -> String {
    format!("`{}`", path.display())
}

/// A path as one word of a command for a shell, to be copied from a message.
pub fn shell_word(path: &Path) -> String {
    let path = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+,=".contains(c);
    if path.chars().all(is_plain) {
        path
    } else {
        format!("'{}'", path.replace('\'', r"'\''"))
    }
}

/// `text` on one line and harmless to a terminal: control characters, and those that reorder text,
/// are written as Rust writes them in a string.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        let reorders = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || reorders {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
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

/// Whether `error` says that nothing lies at a path, or that no such path can be.
pub fn is_absence(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidFilename, InvalidInput, NotADirectory, NotFound};
    matches!(
        error.kind(),
        NotFound | NotADirectory | InvalidInput | InvalidFilename
    )
}

#[cfg(test)]
mod tests;
