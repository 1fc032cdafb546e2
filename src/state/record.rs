//! The record: what a worktree has reserved and what was written for it, in git's own directory for
//! that worktree, where it is seen when the port file is not. git never moves it, and removes it with
//! the worktree's entry.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::error::{Error, ErrorKind, Result, error, if_there};
use crate::files::dir::{Dir, Kind, PlainFile};
use crate::files::staged::{self, Access, Staged, temporary};
use crate::git::access;
use crate::git::lock::Held;
use crate::git::repository::{DIRECTORY, MAIN_RECORD};
use crate::git::worktree::{Entry, Worktree};
use crate::state::reservation::{self, Claims, Document, FileKind, LIMIT, Reservation};

/// The record's name in a linked worktree's own git directory.
const NAME: &str = "worktree-ports.json";

/// What a worktree has reserved, and what was written for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub reservation: Reservation,
    pub written: WrittenFiles,
}

/// What was written for a worktree beside its port file. Paths are relative to its root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WrittenFiles {
    /// The files in which our block is, each with the git blob id of what we made it from, if we made
    /// it.
    pub env_files: BTreeMap<String, Option<String>>,
    /// The files that we made from templates, each with its git blob id; with two, separated by a
    /// space, if a kill has left two records.
    pub templates: BTreeMap<String, String>,
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.reservation.serialize_into(&mut map)?;
        map.serialize_entry("env_files", &self.written.env_files)?;
        map.serialize_entry("templates", &self.written.templates)?;
        map.end()
    }
}

impl Record {
    /// The content of its file.
    pub fn to_json(&self) -> Vec<u8> {
        reservation::pretty(self)
    }

    fn parse(found: &PlainFile, id: Option<&str>) -> Option<Record> {
        let PlainFile::Read(bytes) = found else {
            return None;
        };
        let Document::Ours(ours) = Document::parse(bytes) else {
            return None;
        };
        let reservation = ours.reservation()?;
        (reservation.worktree.as_deref() == id).then(|| Record {
            reservation,
            written: WrittenFiles {
                env_files: ours.member("env_files").unwrap_or_default(),
                templates: ours.member("templates").unwrap_or_default(),
            },
        })
    }
}

/// What is at the place of a worktree's record, and under its temporary name, where a kill or an env
/// file that could not be updated leaves one.
#[derive(Debug)]
pub struct Recorded {
    id: Option<String>,
    current: PlainFile,
    pending: PlainFile,
}

impl Recorded {
    /// Reads the record of the worktree with this entry.
    ///
    /// # Errors
    /// A shortage of our own.
    pub fn of(entry: &Entry) -> Result<Recorded> {
        let id = entry.id().map(Cow::into_owned);
        match Dir::open(&entry.git_dir) {
            Ok(git_dir) => Recorded::read(&git_dir, id),
            Err(error) => Recorded::unread(id, error, &entry.git_dir),
        }
    }

    fn read(git_dir: &Dir, id: Option<String>) -> Result<Recorded> {
        let name = name_of(id.is_none());
        let read = |dir: &Dir| -> io::Result<(PlainFile, PlainFile)> {
            // In this order: what has the temporary name becomes the record, which is read after it.
            let pending = dir.read_of_git(&temporary(name), LIMIT)?;
            Ok((dir.read(name, LIMIT)?, pending))
        };
        let found = match id {
            Some(_) => read(git_dir),
            None => git_dir.enter(DIRECTORY).and_then(|dir| read(&dir)),
        };
        match found {
            Ok((current, pending)) => Ok(Recorded {
                id,
                current,
                pending,
            }),
            Err(error) => Recorded::unread(id, error, git_dir.path()),
        }
    }

    /// The record in a directory that cannot be read.
    fn unread(id: Option<String>, error: io::Error, git_dir: &Path) -> Result<Recorded> {
        let current = match ErrorKind::of(&error) {
            ErrorKind::Shortage => {
                return Err(Error::could_not("read the record in", git_dir)(error));
            }
            ErrorKind::Absent => PlainFile::Missing,
            ErrorKind::Refused | ErrorKind::Misplaced | ErrorKind::Other => {
                PlainFile::Unreadable(error)
            }
        };
        Ok(Recorded {
            id,
            current,
            pending: PlainFile::Missing,
        })
    }

    /// Whether the record says what `port_file` says, and none is left under the temporary name. It
    /// has the same members first, so that neither needs to be parsed.
    pub fn agrees_with(&self, port_file: &PlainFile) -> bool {
        let (PlainFile::Read(record), PlainFile::Read(own)) = (&self.current, port_file) else {
            return false;
        };
        let members = own.strip_suffix(b"\n}\n");
        let more = members.and_then(|members| record.strip_prefix(members));
        !self.is_pending() && more.is_some_and(|more| more.starts_with(b",\n"))
    }

    /// The record; if there is none, that which was being written. One that is another worktree's or
    /// damaged is none.
    pub fn record(&self) -> Option<Record> {
        let id = self.id.as_deref();
        Record::parse(&self.current, id).or_else(|| Record::parse(&self.pending, id))
    }

    /// All files in which our block may be, and all that we may have made from templates: by the
    /// record, and by that which was being written.
    pub fn written(&self) -> WrittenFiles {
        let both = [&self.pending, &self.current];
        let records = both.map(|found| Record::parse(found, self.id.as_deref()));
        let mut written = WrittenFiles::default();
        for record in records.into_iter().flatten() {
            written.env_files.extend(record.written.env_files);
            for (path, id) in record.written.templates {
                match written.templates.get_mut(&path) {
                    Some(ids) if *ids != id => *ids = format!("{ids} {id}"),
                    Some(_) => {}
                    None => drop(written.templates.insert(path, id)),
                }
            }
        }
        written
    }

    /// Whether the record is this one, and none is left under the temporary name.
    pub fn is(&self, record: &Record) -> bool {
        matches!(&self.current, PlainFile::Read(bytes) if *bytes == record.to_json())
            && !self.is_pending()
    }

    /// Fails if the record is there and cannot be read: nobody knows what was written then.
    pub fn check_readable(&self) -> Result<()> {
        match &self.current {
            PlainFile::Unreadable(error) => {
                Err(error!("could not read the worktree's record: {error}")
                    .remedy("give this user access to git's directory for the worktree"))
            }
            _ => Ok(()),
        }
    }

    /// Whether there is nothing.
    pub fn is_missing(&self) -> bool {
        matches!(self.current, PlainFile::Missing) && !self.is_pending()
    }

    /// Whether one is left under the temporary name.
    pub fn is_pending(&self) -> bool {
        !matches!(self.pending, PlainFile::Missing)
    }

    /// What both reserve: the record, and what is under its temporary name.
    pub fn claims(&self) -> [Claims; 2] {
        [&self.current, &self.pending]
            .map(|found| Claims::of(found, self.id.as_deref(), FileKind::Record))
    }
}

/// Where the record is: in the worktree's own git directory, or for the main worktree in ours.
fn dir_in(git_dir: &Dir, is_main: bool) -> io::Result<Dir> {
    git_dir.enter(if is_main { DIRECTORY } else { "." })
}

fn name_of(is_main: bool) -> &'static str {
    if is_main { MAIN_RECORD } else { NAME }
}

/// Where a worktree's record is written.
pub struct RecordPlace {
    dir: Dir,
    name: &'static str,
    common_dir: PathBuf,
}

impl Worktree {
    /// Reads the record.
    ///
    /// # Errors
    /// A shortage of our own.
    pub fn record(&self) -> Result<Recorded> {
        Recorded::read(&self.git_dir, self.id.clone())
    }

    /// The path of the record.
    pub fn record_path(&self) -> PathBuf {
        let name = name_of(self.is_main());
        if self.is_main() {
            self.common_dir.join(DIRECTORY).join(name)
        } else {
            self.git_dir.path_of(name)
        }
    }

    /// Opens the place of the record to write there, and makes our directory if it is missing.
    pub fn record_place(&self, _held: &Held) -> io::Result<RecordPlace> {
        if self.is_main() {
            access::create_dir(&self.common_dir, &self.common_dir.join(DIRECTORY))?;
        }
        RecordPlace::open(&self.git_dir, self.is_main(), &self.common_dir)
    }

    /// Whether this process may write the record, as it may not in a sandbox that mounts `.git`
    /// read-only.
    pub fn is_record_writable(&self) -> bool {
        let ours = self.common_dir.join(DIRECTORY);
        if self.is_main() && ours.exists() {
            return access::is_writable(&ours);
        }
        access::is_writable(self.git_dir.path())
    }
}

impl RecordPlace {
    /// The place of the record of the worktree with this entry; `None` if there is none.
    pub fn of(entry: &Entry) -> Result<Option<RecordPlace>> {
        let place = Dir::open(&entry.git_dir)
            .and_then(|git_dir| RecordPlace::open(&git_dir, entry.is_main, &entry.common_dir));
        if_there(place).map_err(Error::could_not("open", &entry.git_dir))
    }

    fn open(git_dir: &Dir, is_main: bool, common_dir: &Path) -> io::Result<RecordPlace> {
        Ok(RecordPlace {
            dir: dir_in(git_dir, is_main)?,
            name: name_of(is_main),
            common_dir: common_dir.to_owned(),
        })
    }

    /// The path of the record.
    pub fn path(&self) -> PathBuf {
        self.dir.path_of(self.name)
    }

    /// Writes `record` under its temporary name. From then on what it names is reserved.
    pub fn prepare(&self, record: &Record) -> io::Result<Staged<'_>> {
        // Nobody but a person puts a directory there; what is in it is not ours to remove.
        if self
            .dir
            .look(self.name)?
            .is_some_and(|it| it.kind == Kind::Directory)
        {
            self.dir.remove_dir(self.name)?;
        }
        let common = Dir::open(&self.common_dir)?.stat()?;
        let access = Access::Shared(common, common.mode & 0o666);
        Staged::prepare(&self.dir, self.name, &record.to_json(), access)
    }

    /// Removes the record, and what a kill left of one.
    pub fn remove(&self, _held: &Held) -> Result<()> {
        let remove = || -> io::Result<()> {
            staged::remove_leftover(&self.dir, self.name)?;
            match self.dir.look(self.name)? {
                Some(stat) if stat.kind == Kind::Directory => self.dir.remove_dir(self.name),
                _ => self.dir.remove(self.name).map(drop),
            }
        };
        remove().map_err(Error::could_not("remove", &self.path()))
    }
}

#[cfg(test)]
mod tests;
