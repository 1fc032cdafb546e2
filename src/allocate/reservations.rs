//! What every worktree has reserved.

use std::collections::BTreeSet;
use std::marker::PhantomData;
use std::mem;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::config;
use crate::error::{Error, ErrorKind, Result, error, quoted};
use crate::files::dir::PlainFile;
use crate::git::entries::{Entry, Place};
use crate::git::lock::Held;
use crate::git::repository::Repository;
use crate::git::worktree::{Worktree, is_anothers};
use crate::narrator::while_slow;
use crate::ports::{Port, Slot};
use crate::state::port_file;
use crate::state::record::{self, Recorded};
use crate::state::reservation::{Claims, Doubt, FileKind};

/// If no slot is left, the error names files with more ports than this.
const MANY: usize = 100;

/// A registered worktree, and what is reserved for it.
#[derive(Debug)]
pub struct Holder {
    pub entry: Entry,
    /// The common dir of its repository, if that is another shared clone.
    pub clone: Option<Rc<Path>>,
    /// The file at the port file's path; missing if the root is unknown or another worktree's.
    pub port_file: PlainFile,
    /// Whether there is nothing at the root.
    pub is_gone: bool,
    /// The ports of slot 0, which belong to a main worktree; none for a linked one.
    pub slot_of_main: Vec<Port>,
    /// How many ports are reserved for it.
    pub ports: usize,
}

impl Holder {
    /// `feat-a`, `main worktree of /src/shop`
    pub fn name(&self) -> String {
        let name = self.entry.name();
        match &self.clone {
            None => name.to_owned(),
            Some(common_dir) => format!("{name} of {}", common_dir.display()),
        }
    }

    /// The path of the port file; if the root is unknown, of git's directory for the worktree.
    pub fn path(&self) -> PathBuf {
        match self.entry.root() {
            Some(root) => root.join(port_file::NAME),
            None => self.entry.git_dir.clone(),
        }
    }
}

/// What is reserved, gathered under the lock, and valid as long as it is held.
pub struct Reservations<'held> {
    holders: Vec<Holder>,
    /// The ports, each with the index of a worktree that has it.
    ports: BTreeSet<(Port, usize)>,
    /// The slots likewise; without those of other clones, because slots are each repository's own.
    slots: BTreeSet<(Slot, usize)>,
    has_main: bool,
    /// What could not be read, or only in part, except for what is an error in a shared clone.
    doubts: Vec<Error>,
    held: PhantomData<&'held Held>,
}

impl<'held> Reservations<'held> {
    /// Gathers what is reserved for the worktrees of `repository`, except for `own`, and of the
    /// `clones` that share its ports. What cannot be read in the repository itself is among the
    /// [doubts](Reservations::doubts).
    ///
    /// # Errors
    /// The worktrees cannot be listed, a shared clone cannot be read, or a shortage of descriptors
    /// or memory.
    pub fn gather(
        _held: &'held Held,
        repository: &Repository,
        own: Option<&Worktree>,
        clones: &[Repository],
    ) -> Result<Reservations<'held>> {
        let mut reservations = Reservations {
            holders: Vec::new(),
            ports: BTreeSet::new(),
            slots: BTreeSet::new(),
            has_main: repository.main.is_some(),
            doubts: Vec::new(),
            held: PhantomData,
        };
        for entry in repository.worktrees()? {
            if !own.is_some_and(|own| own.is_at(&entry)) {
                reservations.add(entry, repository, None)?;
            }
        }
        for clone in clones {
            let line = format!("reading the worktrees of {}", quoted(&clone.common_dir));
            while_slow(&line, || {
                clone.worktrees()?.into_iter().try_for_each(|entry| {
                    reservations.add(entry, clone, Some(Rc::clone(&clone.common_dir)))
                })
            })?;
        }
        Ok(reservations)
    }

    /// Reads the files of a worktree. The port file counts alone if it is intact and belongs to the
    /// worktree that the entry describes; otherwise the record counts too.
    fn add(
        &mut self,
        entry: Entry,
        repository: &Repository,
        clone: Option<Rc<Path>>,
    ) -> Result<()> {
        let index = self.holders.len();
        // In the repository itself, what cannot be read is a doubt that its user can resolve. The
        // ports of another clone must be known.
        let mut tolerate = |error: Error| match error.kind() {
            ErrorKind::Shortage => Err(error),
            _ if clone.is_some() => Err(error.within("the ports of a shared clone are unknown")),
            _ => {
                self.doubts.push(error);
                Ok(())
            }
        };
        let found = Worktree::of(&entry);
        let is_gone = matches!(found, Ok(None)) && entry.root().is_some();
        let opened = match found {
            Err(error) => tolerate(error).map(|()| None)?,
            opened => opened?,
        };
        let (mut port_file, recorded) = match &opened {
            Some(worktree) => (port_file::read(&worktree.root)?, worktree.record()?),
            None => (PlainFile::Missing, Recorded::of(&entry)?),
        };
        let mut claims = Claims::of(&port_file, entry.id.as_deref(), FileKind::PortFile);
        let is_in_place = || {
            let in_place = opened.as_ref().map(Worktree::is_in_place);
            in_place.is_some_and(|it| it.unwrap_or(false))
        };
        // If the record agrees, the `.git` file need not be read.
        let is_alone = claims.is_intact
            && (recorded.agrees_with(&port_file) || !recorded.is_pending() && is_in_place());
        let (mut all, mut partial) = (Vec::new(), None);
        if !is_alone {
            if opened
                .as_ref()
                .is_some_and(|found| is_anothers(&entry, found))
            {
                (port_file, claims) = (PlainFile::Missing, Claims::default());
            }
            all.extend(recorded.claims());
            let is_recorded = all.iter().any(|claims| !claims.ports.is_empty());
            let path = |root: &Path| quoted(&root.join(port_file::NAME));
            if let (Place::At(root), Some(Doubt::Partial(why))) = (&entry.place, &claims.doubt) {
                partial = Some(error!("{} {why}", path(root)));
            }
            // A kill leaves the temporary name empty only before anything else is written.
            let doubt = all[0].doubt.as_ref();
            let record = || quoted(&record::path(&entry));
            let unknown = match (&entry.place, &claims.doubt, doubt) {
                _ if is_recorded => None,
                (Place::Unreadable(error), ..) => Some(error.to_string()),
                (Place::At(root), Some(Doubt::Unreadable(why)), _) => {
                    Some(format!("{} {why}", path(root)))
                }
                (_, _, Some(Doubt::Unreadable(why))) => Some(format!("{} {why}", record())),
                (_, _, Some(Doubt::Partial(_))) => Some(format!("{} names no port", record())),
                _ => None,
            };
            if let Some(why) = unknown {
                tolerate(error!("{why}; the ports of that worktree are unknown"))?;
            }
        }
        let slot_of_main = match entry.is_main().then(|| ports_of_main(repository)) {
            Some(Err(error)) => tolerate(error).map(|()| Vec::new())?,
            ports => ports.transpose()?.unwrap_or_default(),
        };
        self.doubts.extend(partial);
        all.push(claims);
        let before = self.ports.len();
        let ports = all.iter().flat_map(|claims| &claims.ports);
        self.ports.extend(ports.map(|port| (*port, index)));
        let ports = self.ports.len() - before;
        self.ports
            .extend(slot_of_main.iter().map(|port| (*port, index)));
        if clone.is_none() {
            let slots = all.iter().filter_map(|claims| claims.slot);
            let slots = slots.chain(entry.is_main().then_some(Slot::MAIN));
            self.slots.extend(slots.map(|slot| (slot, index)));
        }
        self.holders.push(Holder {
            entry,
            clone,
            port_file,
            is_gone,
            slot_of_main,
            ports,
        });
        Ok(())
    }

    /// The same without the lock, for reports.
    pub fn past(self) -> Reservations<'static> {
        Reservations {
            held: PhantomData,
            ..self
        }
    }

    /// What could not be read, or only in part, in the repository itself.
    pub fn doubts(&self) -> &[Error] {
        &self.doubts
    }

    /// Takes the port file out of each holder.
    pub fn take_port_files(&mut self) -> Vec<PlainFile> {
        let take = |holder: &mut Holder| mem::replace(&mut holder.port_file, PlainFile::Missing);
        self.holders.iter_mut().map(take).collect()
    }

    /// Every worktree, in no order.
    pub fn holders(&self) -> &[Holder] {
        &self.holders
    }

    /// What is reserved for others than the worktree at that index of [`Reservations::holders`];
    /// `None` is the worktree that was left out when gathering.
    pub fn except(&self, own: Option<usize>) -> Others<'_> {
        Others { all: self, own }
    }
}

/// The ports of slot 0 by the main worktree's own config; none if it is unknown where that is.
pub fn ports_of_main(repository: &Repository) -> Result<Vec<Port>> {
    let Some(main) = repository.main_worktree()? else {
        return Ok(Vec::new());
    };
    let config = config::file::load(&main)
        .map_err(|error| error.within("cannot tell which ports the main worktree has"))?;
    Ok(config
        .unwrap_or_default()
        .ports(Slot::MAIN)
        .unwrap_or_default())
}

/// What is reserved for others than one worktree.
#[derive(Clone, Copy)]
pub struct Others<'a> {
    all: &'a Reservations<'a>,
    own: Option<usize>,
}

impl<'a> Others<'a> {
    /// All other worktrees for which `port` is reserved, by their index in
    /// [`Reservations::holders`].
    pub fn having_port(&self, port: Port) -> impl Iterator<Item = usize> + use<'a> {
        self.having(&self.all.ports, port)
    }

    fn having<T: Ord + Copy>(
        &self,
        what: &'a BTreeSet<(T, usize)>,
        this: T,
    ) -> impl Iterator<Item = usize> + use<'a, T> {
        let own = self.own;
        what.range((this, 0)..=(this, usize::MAX))
            .map(|(_, index)| *index)
            .filter(move |index| Some(*index) != own)
    }

    /// One other worktree for which `port` is reserved.
    pub fn holding(&self, port: Port) -> Option<&'a Holder> {
        let index = self.having_port(port).next()?;
        Some(&self.all.holders[index])
    }

    /// All other worktrees of the repository that have `slot`, by their index.
    pub fn having_slot(&self, slot: Slot) -> impl Iterator<Item = usize> + use<'a> {
        self.having(&self.all.slots, slot)
    }

    /// Whether another worktree has `slot`.
    pub fn has_slot(&self, slot: Slot) -> bool {
        self.having_slot(slot).next().is_some()
    }

    /// Whether `port` is reserved for another worktree.
    pub fn has_port(&self, port: Port) -> bool {
        self.having_port(port).next().is_some()
    }

    /// Whether another worktree keeps the main worktree from using `port` in its slot 0. A main
    /// worktree of another clone with the same port in its slot 0 does not: both keep it.
    pub fn has_port_of_main(&self, port: Port) -> bool {
        let mut having = self.having_port(port);
        having.any(|index| !self.all.holders[index].slot_of_main.contains(&port))
    }

    /// Whether the repository has a main worktree, to which slot 0 belongs.
    pub fn has_main(&self) -> bool {
        self.all.has_main
    }

    /// How many worktrees that are gone, but still registered, have a slot below `slot`.
    pub fn gone_below(&self, slot: Slot) -> usize {
        let below = self.all.slots.range(..(slot, 0)).map(|(_, index)| *index);
        let is_gone = |index: &usize| {
            let holder = &self.all.holders[*index];
            holder.is_gone && !holder.entry.is_main()
        };
        below.filter(is_gone).collect::<BTreeSet<_>>().len()
    }

    /// The worktrees whose files name more than 100 ports.
    pub fn crowded(&self) -> impl Iterator<Item = &'a Holder> + use<'a> {
        self.all.holders.iter().filter(|holder| holder.ports > MANY)
    }
}

#[cfg(test)]
mod fixture;

#[cfg(test)]
mod tests;
