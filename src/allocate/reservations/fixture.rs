//! Reservations without files, for unit tests.

use super::*;
use crate::git::fixture::entry;

impl Reservations<'static> {
    /// What these worktrees of one repository have: id, slot, ports, and whether it is the main
    /// worktree, whose ports are then those of slot 0.
    pub fn of(worktrees: &[(&str, Option<u32>, &[u16], bool)]) -> Reservations<'static> {
        let mut reservations = Reservations {
            holders: Vec::new(),
            ports: BTreeSet::new(),
            slots: BTreeSet::new(),
            doubts: Vec::new(),
            has_main: worktrees.iter().any(|(_, _, _, is_main)| *is_main),
            held: PhantomData,
        };
        for (index, (id, slot, ports, is_main)) in worktrees.iter().enumerate() {
            let ports: Vec<Port> = ports
                .iter()
                .map(|port| Port::new(u64::from(*port)).unwrap())
                .collect();
            let slot = slot.map(Slot).or(is_main.then_some(Slot::MAIN));
            let of_holder = ports.iter().map(|port| (*port, index));
            reservations.ports.extend(of_holder);
            reservations.slots.extend(slot.map(|slot| (slot, index)));
            let id = (!is_main).then_some(*id);
            reservations.holders.push(Holder {
                entry: entry(id, Place::Unknown, Path::new("/r/.git")),
                clone: None,
                port_file: PlainFile::Missing,
                is_gone: false,
                ports: ports.len(),
                slot_of_main: if *is_main { ports } else { Vec::new() },
            });
        }
        reservations
    }
}
