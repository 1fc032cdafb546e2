//! A file that is written under a temporary name and then renamed over the one that it replaces: a
//! reader sees the old content or the new, and a kill leaves one of them whole.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::dir::{self, Dir, Kind, PlainFile, Stat, read_at_most};

/// The suffix of a file's temporary name.
pub const SUFFIX: &str = ".worktree-ports.tmp";

/// Who may read and write a new file.
#[derive(Clone, Copy)]
pub enum Access<'a> {
    /// As any new file, by the umask; it belongs to the owner of its directory.
    New,
    /// The same as for this file, which it replaces or is a copy of.
    Like(&'a File),
    /// The owner and group of this shared directory, with this mode.
    Shared(Stat, u32),
}

/// A file under its temporary name; removed when dropped.
pub struct Staged<'a> {
    dir: &'a Dir,
    name: String,
    is_settled: bool,
}

impl Access<'static> {
    /// The owner and group of the common dir, and its mode limited to `mode`.
    pub fn shared(common_dir: &Path, mode: u32) -> io::Result<Access<'static>> {
        let common = Dir::open(common_dir)?.stat()?;
        Ok(Access::Shared(common, common.mode & mode))
    }
}

impl<'a> Staged<'a> {
    /// Writes what is to be the file `name` in `dir`.
    ///
    /// Only the holder of the lock writes under temporary names, so whatever is there was left by a
    /// kill, and is removed.
    ///
    /// # Errors
    /// A system call failed; nothing is left behind.
    pub fn prepare(
        dir: &'a Dir,
        name: &str,
        content: &[u8],
        access: Access<'_>,
    ) -> io::Result<Staged<'a>> {
        let temporary = temporary(name);
        remove_leftover(dir, name)?;
        let mode = if matches!(access, Access::New) {
            0o666
        } else {
            0o600
        };
        let mut file = dir.create(&temporary, mode)?;
        let staged = Staged {
            dir,
            name: name.to_owned(),
            is_settled: false,
        };
        file.write_all(content)?;
        match access {
            Access::New => dir::give_owner(&file, dir.stat()?.owner),
            Access::Like(old) => dir::keep_access(&file, old)?,
            Access::Shared(common, mode) => dir::share(&file, &common, mode),
        }
        Ok(staged)
    }

    /// As [`Staged::prepare`], but what has the temporary name already counts: it is replaced by a rename,
    /// and then nothing is removed on dropping.
    pub fn prepare_again(
        dir: &'a Dir,
        name: &str,
        content: &[u8],
        access: Access<'_>,
    ) -> io::Result<Staged<'a>> {
        match dir.look(&temporary(name))? {
            Some(stat) if stat.kind != Kind::Directory => {}
            _ => return Staged::prepare(dir, name, content, access),
        }
        Staged::prepare(dir, &temporary(name), content, access)?.commit()?;
        Ok(Staged {
            dir,
            name: name.to_owned(),
            is_settled: true,
        })
    }

    /// From now on, it keeps its temporary name until it is renamed.
    pub fn keep(&mut self) {
        self.is_settled = true;
    }

    /// Renames it, replacing the file that is there.
    pub fn commit(mut self) -> io::Result<()> {
        self.dir.rename(&temporary(&self.name), &self.name)?;
        self.is_settled = true;
        Ok(())
    }

    /// Replaces `original` with it; `false` if another program has changed that.
    ///
    /// The two files are swapped. The old one keeps the temporary name until it is known that nobody had
    /// just opened it for writing; otherwise, they are swapped back.
    pub fn commit_over(mut self, original: &Original, patience: &Patience) -> io::Result<bool> {
        let (dir, name, temporary) = (self.dir, self.name.clone(), temporary(&self.name));
        if !original.is_unchanged(dir, &name, patience) {
            return Ok(false);
        }
        match dir.exchange(&temporary, &name) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::StorageFull => return Err(error),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            // The system, the file system or a sandbox does not swap files.
            Err(_) => return self.commit().map(|()| true),
        }
        // Dropping `self` removes whatever has the temporary name by then.
        let is_unchanged = original.is_unchanged(dir, &temporary, &Patience::none());
        if !is_unchanged {
            let swapped_back = dir.exchange(&temporary, &name);
            if let Err(error) = swapped_back.or_else(|_| dir.rename(&temporary, &name)) {
                self.is_settled = true;
                return Err(error);
            }
        }
        Ok(is_unchanged)
    }

    /// Renames it; `false` if a file has appeared there.
    pub fn commit_new(mut self) -> io::Result<bool> {
        match self.dir.rename_new(&temporary(&self.name), &self.name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            outcome => {
                outcome?;
                self.is_settled = true;
                Ok(true)
            }
        }
    }
}

impl Drop for Staged<'_> {
    fn drop(&mut self) {
        if !self.is_settled {
            // The next writer removes what stays.
            let _ = self.dir.remove(&temporary(&self.name));
        }
    }
}

/// The temporary name of the file `name`.
pub fn temporary(name: &str) -> String {
    [name, SUFFIX].concat()
}

/// Removes what a kill has left of the file `name`; returns whether there was anything.
pub fn remove_leftover(dir: &Dir, name: &str) -> io::Result<bool> {
    let temporary = temporary(name);
    Ok(clear(dir, &self::temporary(&temporary))? | clear(dir, &temporary)?)
}

/// Removes the file `name`, or an empty directory in its place, and what a kill has left of it.
pub fn remove(dir: &Dir, name: &str) -> io::Result<()> {
    remove_leftover(dir, name)?;
    dir.remove_empty_dir(name)?;
    dir.remove(name).map(drop)
}

/// Frees a temporary name; returns whether there was anything. A directory is not ours.
fn clear(dir: &Dir, temporary: &str) -> io::Result<bool> {
    match dir.look(temporary)? {
        Some(stat) if stat.kind == Kind::Directory => Err(io::Error::other(format!(
            "`{temporary}` beside it is a directory, which must be moved away"
        ))),
        _ => dir.remove(temporary),
    }
}

/// How long one command waits for other programs that have files open for writing.
pub struct Patience(Cell<Duration>);

impl Default for Patience {
    fn default() -> Patience {
        Patience(Cell::new(Duration::from_secs(1)))
    }
}

impl Patience {
    /// Does not wait.
    fn none() -> Patience {
        Patience(Cell::new(Duration::ZERO))
    }

    /// Waits a little.
    ///
    /// # Errors
    /// It has waited long enough.
    fn pause(&self) -> io::Result<()> {
        const PAUSE: Duration = Duration::from_millis(10);
        let Some(left) = self.0.get().checked_sub(PAUSE) else {
            return Err(io::Error::new(
                io::ErrorKind::WouldBlock,
                "another program is writing it",
            ));
        };
        self.0.set(left);
        thread::sleep(PAUSE);
        Ok(())
    }
}

/// A file that other programs write too, as it was read.
pub struct Original {
    /// Open, to copy its access. Not on Windows, where an open file cannot be replaced.
    file: Option<File>,
    stat: Stat,
    pub bytes: Vec<u8>,
}

impl Original {
    /// Reads the regular file `name`, of at most `limit` bytes. With `patience`, waits until no other
    /// program is writing it, in order to change it, and reads it again if one has begun to.
    pub fn read(
        dir: &Dir,
        name: &str,
        limit: usize,
        patience: Option<&Patience>,
    ) -> io::Result<Original> {
        let (mut file, stat) = dir.open_file(name)?;
        let expected = usize::try_from(stat.size).unwrap_or(usize::MAX).min(limit);
        let is_busy = |file: &File| patience.is_some() && dir::is_open_for_writing(file);
        loop {
            if !is_busy(&file) {
                let PlainFile::Read(bytes) = read_at_most(&file, expected, limit)? else {
                    let why = format!("it is larger than {} KiB", limit / 1024);
                    return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
                };
                let is_whole = file.metadata()?.len() == bytes.len() as u64;
                if patience.is_none() || is_whole && !is_busy(&file) {
                    let file = cfg!(unix).then_some(file);
                    return Ok(Original { file, stat, bytes });
                }
                file.rewind()?;
            }
            patience.map_or(Ok(()), Patience::pause)?;
        }
    }

    /// Writes its replacement under the temporary name.
    pub fn stage<'a>(&'a self, dir: &'a Dir, name: &str, new: &[u8]) -> io::Result<Staged<'a>> {
        Staged::prepare(dir, name, new, self.access())
    }

    /// Removes the file; `false` if another program has changed it.
    pub fn remove(&self, dir: &Dir, name: &str, patience: &Patience) -> io::Result<bool> {
        let temporary = temporary(name);
        remove_leftover(dir, name)?;
        if !self.is_unchanged(dir, name, patience) {
            return Ok(false);
        }
        dir.rename(name, &temporary)?;
        if self.is_unchanged(dir, &temporary, &Patience::none()) {
            return dir.remove(&temporary);
        }
        dir.rename_new(&temporary, name).map(|()| false)
    }

    /// Whether it is still the same file with the same content, and nobody is writing it.
    pub fn is_unchanged(&self, dir: &Dir, name: &str, patience: &Patience) -> bool {
        let now = Original::read(dir, name, self.bytes.len(), Some(patience));
        now.is_ok_and(|now| now.stat.identity == self.stat.identity && now.bytes == self.bytes)
    }

    /// The access for a file that replaces or copies it.
    pub fn access(&self) -> Access<'_> {
        self.file.as_ref().map_or(Access::New, Access::Like)
    }
}

#[cfg(test)]
mod tests;
