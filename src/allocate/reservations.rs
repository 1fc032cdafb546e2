//! Every worktree's reserved ports, with what could not be read.

use std::collections::BTreeMap;
use std::fs;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::allocate::lock::Held;
use crate::config::Config;
use crate::error::{Result, quoted};
use crate::files::untrusted::PlainFile;
use crate::git::entries::{self, Place, Worktree};
use crate::git::repository::{Main, Repository};
use crate::ports::{Port, PortSet, Slot};
use crate::state::port_file;

/// How many ports one file names before a message about a lack of ports names the file.
const MANY: usize = 100;

/// How long worktrees that are on their way are waited for, all of them together. git is done with
/// one within a millisecond, but on a busy machine it may have to wait for its turn.
const ON_ITS_WAY: Duration = Duration::from_secs(1);

/// How long ago git began with it, at most: what is as it is for longer was left so.
const RECENT: Duration = Duration::from_secs(3);

/// The ports that a worktree must not take, gathered while the lock is held, and true as long as
/// it is.
pub struct Reservations<'held> {
    ports: PortSet,
    crowded: Vec<(PathBuf, usize)>,
    held: PhantomData<&'held Held>,
}

impl Reservations<'_> {
    /// All of them.
    pub fn ports(&self) -> &PortSet {
        &self.ports
    }

    /// The port files that name more than 100 ports, and how many.
    pub fn crowded(&self) -> &[(PathBuf, usize)] {
        &self.crowded
    }
}

/// Gathers what is reserved for others than `own`, a worktree with that config: the ports in their
/// port files, and slot 0 for the main worktree. Tells through `narrate` what cannot be read.
pub fn gather<'held>(
    _held: &'held Held,
    repository: &Repository,
    own: &Worktree,
    config: &Config,
    narrate: &dyn Fn(&str),
) -> Result<Reservations<'held>> {
    let mut gathering = Gathering {
        reservations: Reservations {
            ports: PortSet::new(),
            crowded: Vec::new(),
            held: PhantomData,
        },
        narrate,
    };
    if !own.is_main() {
        gathering.add_slot_of_main(&repository.main, config);
        if let Main::At(root) = &repository.main {
            gathering.add_port_file_in(root)?;
        }
    }
    let mut moving = Vec::new();
    for entry in entries::list(&repository.common_dir)? {
        if entry.git_dir.file_name() == own.git_dir.file_name() && !own.is_main() {
            continue;
        }
        if gathering.add(&entry.git_dir, &entry.place, own)? == Presence::Absent {
            moving.push(entry.git_dir);
        }
    }
    // `git worktree move` renames the directory first and tells the entry later: what was nowhere
    // may be somewhere now, or in a moment. What is gone still is not reserved.
    let mut strays = Strays::default();
    let deadline = Instant::now() + ON_ITS_WAY;
    for git_dir in moving {
        loop {
            let place = entries::locate(&git_dir)?;
            if gathering.add(&git_dir, &place, own)? == Presence::Present
                || !strays.is_on_its_way(&git_dir, &place)
                || Instant::now() >= deadline
            {
                break;
            }
            thread::sleep(Duration::from_millis(1));
            strays = Strays::default();
        }
    }
    Ok(gathering.reservations)
}

/// Whether what is at `path` was written or renamed a moment ago.
fn has_changed(path: &Path) -> bool {
    #[cfg(unix)]
    let date = |metadata: fs::Metadata| {
        use std::os::unix::fs::MetadataExt;
        let seconds = u64::try_from(metadata.ctime()).unwrap_or_default();
        Ok(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    };
    #[cfg(not(unix))]
    let date = |metadata: fs::Metadata| metadata.modified();
    let age = fs::symlink_metadata(path)
        .and_then(date)
        .map(|date| date.elapsed());
    matches!(age, Ok(Ok(age)) if age < RECENT)
}

/// Directories that say by their `.git` file that they are worktrees, whatever the entries say. Each
/// directory above them is read once.
#[derive(Default)]
struct Strays {
    /// By the directory above: the git directory that is named, and the root that names it.
    below: BTreeMap<PathBuf, Vec<(PathBuf, PathBuf)>>,
}

impl Strays {
    /// Whether git may be about to say where the worktree of an entry is: a moment ago it has
    /// truncated the entry, or renamed the worktree to a place beside the one that the entry names.
    fn is_on_its_way(&mut self, git_dir: &Path, place: &Place) -> bool {
        let root = match place {
            Place::At(root) => root,
            Place::BeingWritten => return has_changed(&git_dir.join("gitdir")),
            Place::Unsettled | Place::Unreadable(_) => return false,
        };
        let directory = root.parent().unwrap_or(root).to_owned();
        let beside = self.below.entry(directory).or_insert_with_key(|directory| {
            let below = fs::read_dir(directory).into_iter().flatten().flatten();
            let roots = below.map(|entry| entry.path());
            roots
                .filter_map(|root| Some((entries::git_dir_of(&root).ok()??, root)))
                .collect()
        });
        let mut beside = beside.iter();
        beside.any(|(named, root)| named == git_dir && has_changed(root))
    }
}

/// Whether a worktree stands where its entry says.
#[derive(PartialEq, Eq)]
enum Presence {
    Present,
    Absent,
}

struct Gathering<'a, 'held> {
    reservations: Reservations<'held>,
    narrate: &'a dyn Fn(&str),
}

impl Gathering<'_, '_> {
    fn add_slot_of_main(&mut self, main: &Main, config: &Config) {
        if *main == Main::None {
            return;
        }
        self.insert(config.ports(Slot::MAIN).unwrap_or_default());
        let Some(root) = main.root() else {
            return;
        };
        match Config::load(root) {
            Ok(of_main) => {
                self.insert(
                    of_main
                        .unwrap_or_default()
                        .ports(Slot::MAIN)
                        .unwrap_or_default(),
                );
            }
            Err(error) => (self.narrate)(&format!(
                "warning: the main worktree's slot 0 is unknown: {error}"
            )),
        }
    }

    fn add(&mut self, git_dir: &Path, place: &Place, own: &Worktree) -> Result<Presence> {
        match place {
            Place::At(root) if *root == own.root => Ok(Presence::Present),
            Place::At(root) => self.add_port_file_in(root),
            Place::Unsettled | Place::BeingWritten => Ok(Presence::Absent),
            Place::Unreadable(error) => {
                let path = git_dir.join("gitdir");
                (self.narrate)(&format!(
                    "warning: {} cannot be read ({error}), so that worktree's ports are unknown",
                    quoted(&path)
                ));
                Ok(Presence::Present)
            }
        }
    }

    fn add_port_file_in(&mut self, root: &Path) -> Result<Presence> {
        let found = port_file::read(root)?;
        if matches!(found, PlainFile::Missing) {
            return Ok(if root.exists() {
                Presence::Present
            } else {
                Presence::Absent
            });
        }
        let path = || root.join(port_file::NAME);
        let reserved = port_file::reserved(&found);
        if let Some(doubt) = reserved.doubt {
            (self.narrate)(&format!("warning: {} {doubt}", quoted(&path())));
        }
        let named = distinct(&reserved.ports);
        self.insert(reserved.ports);
        if named > MANY {
            self.reservations.crowded.push((path(), named));
        }
        Ok(Presence::Present)
    }

    fn insert(&mut self, ports: Vec<Port>) {
        for port in ports {
            self.reservations.ports.insert(port);
        }
    }
}

fn distinct(ports: &[Port]) -> usize {
    // Sparing the usual file, with a few ports, a set of its own.
    if ports.len() <= MANY {
        return ports.len();
    }
    let mut set = PortSet::new();
    ports.iter().filter(|port| set.insert(**port)).count()
}

#[cfg(test)]
mod tests;
