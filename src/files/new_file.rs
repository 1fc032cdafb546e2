//! A file that is written under a temporary name and then renamed over the one that it replaces: a
//! reader meets the old content or the new, and a kill leaves one of them whole.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use tempfile::{Builder, NamedTempFile};

/// A file under its temporary name; removed when dropped.
pub struct NewFile(NamedTempFile);

impl NewFile {
    /// Makes the file `temporary` with `content`, and with the mode that any new file gets.
    ///
    /// Only the holder of the lock writes it, so whatever has that name was left by a kill and is
    /// removed.
    ///
    /// # Errors
    /// Those of the system calls; nothing is left then.
    pub fn create(temporary: &Path, content: &[u8]) -> io::Result<NewFile> {
        // On a read-only file system, removing what is not there fails too.
        if let Err(error) = fs::remove_file(temporary)
            && fs::symlink_metadata(temporary).is_ok()
        {
            return Err(error);
        }
        let (directory, name) = temporary
            .parent()
            .zip(temporary.file_name())
            .expect("a path of a file");
        let mut builder = Builder::new();
        builder.prefix(name).rand_bytes(0);
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut file = builder.tempfile_in(directory).map_err(plain)?;
        file.write_all(content)?;
        Ok(NewFile(file))
    }

    /// The path under which it is now.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Replaces the content.
    pub fn rewrite(&mut self, content: &[u8]) -> io::Result<()> {
        let file = self.0.as_file_mut();
        file.set_len(0)?;
        io::Seek::rewind(file)?;
        file.write_all(content)
    }

    /// Leaves it under its temporary name.
    pub fn keep(self) {
        // What fails leaves a file too: there is nothing to be done about it.
        let _ = self.0.keep();
    }

    /// As [`NewFile::rename_to`], but leaves it under its temporary name if that fails.
    pub fn rename_or_leave(self, path: &Path) -> io::Result<()> {
        self.0.persist(path).map(drop).map_err(|failed| {
            let _ = failed.file.keep();
            failed.error
        })
    }

    /// Renames it over whatever file is at `path`.
    pub fn rename_to(self, path: &Path) -> io::Result<()> {
        self.0.persist(path).map(drop).map_err(|error| error.error)
    }
}

/// The error of the system call, to which tempfile adds a path, and loses its number.
fn plain(error: io::Error) -> io::Error {
    let source = error.get_ref().and_then(std::error::Error::source);
    let cause = source.and_then(|source| source.downcast_ref::<io::Error>());
    match cause.and_then(io::Error::raw_os_error) {
        Some(number) => io::Error::from_raw_os_error(number),
        None => error,
    }
}

#[cfg(test)]
mod tests;
