//! The record: what a worktree has reserved and what was written for it. It is in git's own
//! directory for the worktree, where it can be read when the port file cannot. git never moves it,
//! and removes it with the worktree's entry.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::{Error, Result, if_there};
use crate::files::dir::{Dir, PlainFile};
use crate::files::staged::{self, Access, Staged, temporary};
use crate::git::access;
use crate::git::entries::Entry;
use crate::git::lock::Held;
use crate::git::repository::{DIRECTORY, MAIN_RECORD};
use crate::git::worktree::Worktree;
use crate::ports::Bundle;
use crate::state::reservation::{self, Claims, Document, FileKind, LIMIT, Reservation};

/// What a worktree has reserved, and what was written for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Record {
    #[serde(flatten)]
    pub reservation: Reservation,
    #[serde(flatten)]
    pub written: WrittenFiles,
}

/// What was written for a worktree besides its port file. Paths are relative to its root.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WrittenFiles {
    /// The files that contain our block. If we created the file, with the git blob id of what it
    /// started as.
    pub env_files: BTreeMap<String, Option<String>>,
    /// The files made from templates, each with its git blob id. If a kill has left two records,
    /// there may be two ids, separated by a space.
    pub templates: BTreeMap<String, String>,
}

impl WrittenFiles {
    /// The files that we made.
    pub fn made(&self) -> impl Iterator<Item = &str> {
        let env_files = self.env_files.iter();
        let made = env_files.filter(|(_, made_from)| made_from.is_some());
        let made = made.map(|(path, _)| path).chain(self.templates.keys());
        made.map(String::as_str)
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

/// A worktree's record as it was read, and the one under the temporary name, which a kill or an env
/// file that could not be updated leaves behind.
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
    /// A shortage of descriptors or memory.
    pub fn of(entry: &Entry) -> Result<Recorded> {
        match Dir::open(&entry.git_dir) {
            Ok(git_dir) => Recorded::read(&git_dir, entry.id.as_ref()),
            Err(error) => Ok(Recorded {
                id: entry.id.clone(),
                current: PlainFile::unreadable(error, || entry.git_dir.clone())?,
                pending: PlainFile::Missing,
            }),
        }
    }

    fn read(git_dir: &Dir, id: Option<&String>) -> Result<Recorded> {
        let name = name_of(id.is_none());
        // In this order, because the file under the temporary name may become the record in between.
        let pending = git_dir.read_of_git(temporary(name), LIMIT)?;
        let current = git_dir.read(name, LIMIT)?;
        Ok(Recorded {
            id: id.cloned(),
            current,
            pending,
        })
    }

    /// Whether the record agrees with `port_file`, and there is none under the temporary name. It
    /// starts with the same members, so neither has to be parsed.
    pub fn agrees_with(&self, port_file: &PlainFile) -> bool {
        let (PlainFile::Read(record), PlainFile::Read(own)) = (&self.current, port_file) else {
            return false;
        };
        let members = own.strip_suffix(b"\n}\n");
        let more = members.and_then(|members| record.strip_prefix(members));
        !self.is_pending() && more.is_some_and(|more| more.starts_with(b",\n"))
    }

    /// The record or, if there is none, the one under the temporary name. One that is damaged or
    /// belongs to another worktree does not count.
    pub fn record(&self) -> Option<Record> {
        let id = self.id.as_deref();
        Record::parse(&self.current, id).or_else(|| Record::parse(&self.pending, id))
    }

    /// All files that may contain our block or that may have been made from templates, by the
    /// record and by the one under the temporary name.
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

    /// Whether the record is this one, and there is none under the temporary name.
    pub fn is(&self, record: &Record) -> bool {
        matches!(&self.current, PlainFile::Read(bytes) if *bytes == record.to_json())
            && !self.is_pending()
    }

    /// Fails if the record cannot be read, because it is unknown then what was written.
    pub fn check_readable(&self, path: &Path) -> Result<()> {
        match &self.current {
            PlainFile::Unreadable(error) => Err(Error::at("read", path, error)
                .remedy("give this user access to git's directory for the worktree")),
            _ => Ok(()),
        }
    }

    /// Whether the record under its own name has this bundle.
    pub fn has(&self, bundle: &Bundle) -> bool {
        let record = Record::parse(&self.current, self.id.as_deref());
        record.is_some_and(|record| record.reservation.bundle == *bundle)
    }

    /// Whether there is something else in its place.
    pub fn is_damaged(&self) -> bool {
        !self.is_missing() && self.record().is_none()
    }

    /// Whether there is no record at all.
    pub fn is_missing(&self) -> bool {
        matches!(self.current, PlainFile::Missing) && !self.is_pending()
    }

    /// Whether there is one under the temporary name.
    pub fn is_pending(&self) -> bool {
        !matches!(self.pending, PlainFile::Missing)
    }

    /// What the record and the one under the temporary name reserve.
    pub fn claims(&self) -> [Claims; 2] {
        [&self.current, &self.pending]
            .map(|found| Claims::of(found, self.id.as_deref(), FileKind::Record))
    }
}

/// The record's name in a git directory: the main worktree's is in this program's own directory.
fn name_of(is_main: bool) -> &'static str {
    if is_main {
        MAIN_RECORD
    } else {
        "worktree-ports.json"
    }
}

/// The path of the record of the worktree with this entry.
pub fn path(entry: &Entry) -> PathBuf {
    entry.git_dir.join(name_of(entry.is_main()))
}

impl Worktree {
    /// Reads the record.
    ///
    /// # Errors
    /// A shortage of descriptors or memory.
    pub fn record(&self) -> Result<Recorded> {
        Recorded::read(&self.git_dir, self.id.as_ref())
    }

    pub fn record_path(&self) -> PathBuf {
        self.git_dir.path_of(name_of(self.is_main()))
    }

    /// Whether this process may write the record: a sandbox may have mounted `.git` read-only.
    pub fn is_record_writable(&self) -> bool {
        let ours = self.common_dir.join(DIRECTORY);
        let is_there = self.is_main() && ours.exists();
        access::is_writable(if is_there { &ours } else { self.git_dir.path() })
    }

    /// Fails if no file can be created beside the record: then the record cannot be removed either.
    pub fn check_record_removable(&self) -> io::Result<()> {
        let beside = temporary(name_of(self.is_main()));
        Staged::prepare(&self.git_dir, &beside, b"", Access::New).map(drop)
    }

    /// Writes `record` under its temporary name. From then on what it names is reserved.
    pub fn stage_record(&self, _held: &Held, record: &Record) -> io::Result<Staged<'_>> {
        let name = name_of(self.is_main());
        if self.is_main() {
            access::create_dir(&self.common_dir, &self.common_dir.join(DIRECTORY))?;
        }
        self.git_dir.remove_empty_dir(name)?;
        let access = Access::shared(&self.common_dir, 0o666)?;
        Staged::prepare_again(&self.git_dir, name, &record.to_json(), access)
    }

    /// Writes `record`.
    pub fn write_record(&self, held: &Held, record: &Record) -> Result<()> {
        let staged = self.stage_record(held, record);
        let written = staged.and_then(Staged::commit);
        written.map_err(Error::could_not("write", self.record_path()))
    }
}

/// Removes the record from a worktree's git directory, and what a kill left of one.
pub fn remove(_held: &Held, git_dir: &Path, is_main: bool) -> Result<()> {
    let remove = |dir: Dir| staged::remove(&dir, name_of(is_main));
    let removed = if_there(Dir::open(git_dir).and_then(remove));
    removed
        .map(drop)
        .map_err(Error::could_not("remove", git_dir.join(name_of(is_main))))
}

#[cfg(test)]
mod tests;
