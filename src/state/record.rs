//! The record: what a worktree has reserved, in git's own directory of it, where it is seen when the
//! port file is not. git moves it never, and removes it with the worktree's entry.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::error::{CouldNot, Result, is_absence, is_write_refused};
use crate::files::new_file::NewFile;
use crate::files::untrusted::{self, PlainFile};
use crate::git::access;
use crate::git::lock::{self, Held};
use crate::git::worktree::{Entry, Worktree};
use crate::state::reservation::{self, Claims, Document, FileKind, LIMIT, Reservation};

/// The record's name, in a linked worktree's own git directory.
const NAME: &str = "worktree-ports.json";

/// That of the main worktree, in our own directory.
const NAME_OF_MAIN: &str = "main.json";

/// What stands behind the name while a record is written.
const TEMPORARY: &str = ".tmp";

/// What a worktree has reserved, and where that is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What it has reserved.
    pub reservation: Reservation,
    /// The files in which a block of ours stands, as paths from the worktree's root, in order.
    pub env_files: Vec<String>,
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.reservation.serialize_into(&mut map)?;
        map.serialize_entry("env_files", &self.env_files)?;
        map.end()
    }
}

/// Whether a kill left the record of that worktree half-way, so that the env files may name ports
/// that the port file does not.
pub fn is_half_written(entry: &Entry, common_dir: &Path) -> bool {
    let temporary = if entry.is_main {
        common_dir.join(lock::DIRECTORY).join("main.json.tmp")
    } else {
        untrusted::path_in(&entry.git_dir, "worktree-ports.json.tmp")
    };
    fs::symlink_metadata(temporary).is_ok()
}

/// Where a worktree's record is.
#[derive(Debug)]
pub struct Place {
    common_dir: PathBuf,
    path: PathBuf,
    temporary: PathBuf,
}

impl Place {
    /// That of the worktree with this entry.
    pub fn of_entry(entry: &Entry, common_dir: &Path) -> Place {
        Place::new(&entry.git_dir, entry.is_main, common_dir)
    }

    /// That of `worktree`.
    pub fn of(worktree: &Worktree) -> Place {
        Place::new(&worktree.git_dir, worktree.is_main(), &worktree.common_dir)
    }

    fn new(git_dir: &Path, is_main: bool, common_dir: &Path) -> Place {
        let path = if is_main {
            common_dir.join(lock::DIRECTORY).join(NAME_OF_MAIN)
        } else {
            git_dir.join(NAME)
        };
        let mut temporary = path.clone().into_os_string();
        temporary.push(TEMPORARY);
        Place {
            common_dir: common_dir.to_owned(),
            path,
            temporary: temporary.into(),
        }
    }

    /// The path of the record.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether this process may write it, as it may not in a sandbox that mounts `.git` read-only.
    pub fn is_writable(&self) -> bool {
        access::is_writable(self.path.parent().unwrap_or(&self.common_dir))
            || access::is_writable(&self.common_dir)
                && !self.path.parent().is_some_and(Path::exists)
    }

    /// Reads what is there.
    ///
    /// # Errors
    /// A shortage of our own.
    pub fn read(&self) -> Result<Found> {
        // In this order: the temporary file becomes the record, which is read after it.
        let temporary =
            untrusted::read(&self.temporary, LIMIT).could_not("read", &self.temporary)?;
        let record = untrusted::read(&self.path, LIMIT).could_not("read", &self.path)?;
        Ok(Found { record, temporary })
    }

    /// Writes `record` under its temporary name. From then on what it names is reserved.
    ///
    /// # Errors
    /// Those of the system calls, a refusal to write aside: `None` stands for that.
    pub fn prepare(&self, _held: &Held, record: &Record) -> Result<Option<Pending<'_>>> {
        let prepared = || -> io::Result<NewFile> {
            if self.path.starts_with(self.common_dir.join(lock::DIRECTORY)) {
                lock::make_directory(&self.common_dir)?;
            }
            // Nobody but a person puts a directory there; what is in it is not ours to remove.
            if self.path.is_dir() {
                fs::remove_dir(&self.path)?;
            }
            let file = NewFile::create(&self.temporary, &reservation::pretty(record))?;
            access::share_file(&self.common_dir, file.path());
            Ok(file)
        };
        match prepared() {
            Ok(file) => Ok(Some(Pending { place: self, file })),
            Err(error) if is_write_refused(&error) => Ok(None),
            Err(error) => Err(error).could_not("write", &self.path),
        }
    }

    /// Removes the record, and what a kill left of one; does nothing where that is refused.
    pub fn remove(&self, _held: &Held) -> Result<()> {
        for path in [&self.temporary, &self.path] {
            match fs::remove_file(path) {
                Err(error) if !is_absence(&error) && !is_write_refused(&error) => {
                    return Err(error).could_not("remove", path);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// A record that is written, but not yet under its own name.
pub struct Pending<'a> {
    place: &'a Place,
    file: NewFile,
}

impl Pending<'_> {
    /// Leaves the record under its temporary name, where it reserves: what it names is written
    /// elsewhere already.
    pub fn leave(self) {
        self.file.keep();
    }

    /// Gives the record its name. If that fails, it stays under its temporary name, where it reserves
    /// too. What was prepared was `prepared`; what holds by now is `record`.
    pub fn commit(mut self, prepared: &Record, record: &Record) -> Result<()> {
        let committed = || -> io::Result<()> {
            if record != prepared {
                self.file.rewrite(&reservation::pretty(record))?;
            }
            self.file.rename_or_leave(&self.place.path)
        };
        committed().could_not("write", &self.place.path)
    }
}

/// What lies at the place of a record, and under its temporary name, where a kill left that.
#[derive(Debug)]
pub struct Found {
    record: PlainFile,
    temporary: PlainFile,
}

impl Found {
    /// The record of the worktree named `id` (`None`: the main worktree). Where there is none, that
    /// which was being written. One that is another's or damaged is none.
    pub fn record(&self, id: Option<&str>) -> Option<Record> {
        record_in(&self.record, id).or_else(|| record_in(&self.temporary, id))
    }

    /// Whether the record is this one, and none is left half-way.
    pub fn is(&self, record: &Record) -> bool {
        matches!(&self.record, PlainFile::Read { bytes, .. } if *bytes == reservation::pretty(record))
            && matches!(self.temporary, PlainFile::Missing)
    }

    /// The files in which a block of ours may stand, as paths from the worktree's root: by the
    /// record, and by that which was being written.
    pub fn env_files(&self, id: Option<&str>) -> Vec<String> {
        let both = [&self.record, &self.temporary];
        let records = both.into_iter().filter_map(|found| record_in(found, id));
        let mut paths: Vec<String> = records.flat_map(|record| record.env_files).collect();
        paths.sort();
        paths.dedup();
        paths
    }

    /// What both reserve.
    pub fn claims(&self, id: Option<&str>) -> [Claims; 2] {
        [&self.record, &self.temporary].map(|found| Claims::of(found, id, FileKind::Record))
    }
}

fn record_in(found: &PlainFile, id: Option<&str>) -> Option<Record> {
    let PlainFile::Read {
        bytes,
        truncated: false,
    } = found
    else {
        return None;
    };
    let Document::Ours(ours) = Document::parse(bytes) else {
        return None;
    };
    let reservation = ours.reservation()?;
    (reservation.worktree.as_deref() == id).then(|| Record {
        reservation,
        env_files: ours.env_files(),
    })
}

#[cfg(test)]
mod tests;
