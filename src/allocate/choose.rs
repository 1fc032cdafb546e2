//! Which bundle a worktree gets: the slots in order, what may be restored, what may join, and the
//! rights of the main worktree. Meets no file and no socket.

use crate::allocate::reservations::Others;
use crate::config::{Config, Service};
use crate::error::Result;
use crate::ports::{Bundle, Port, ServiceName, Slot};

/// The highest port below those that Linux hands out to outgoing connections
/// (`net.ipv4.ip_local_port_range` starts at 32768).
const BELOW_EPHEMERAL: u16 = 32767;

/// The ports from 1024 up that browsers refuse to connect to: "bad port" in the WHATWG Fetch
/// standard, as of 2026-07.
const BLOCKED_BY_BROWSERS: [u16; 19] = [
    1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669,
    6679, 6697, 10080,
];

/// What slot 0 is to the worktree that chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
enum SlotZero {
    /// Its own by right: it is the main worktree, and what listens there is most likely its own
    /// stack.
    Mine,
    /// The main worktree's, with these ports by the config of the one that chooses. Whatever the
    /// main worktree's own config says is among what others have reserved.
    MainWorktrees(Vec<Port>),
    /// Like any other: a bare repository has no main worktree.
    Anyones,
}

/// What one worktree can choose from.
pub struct Choice<'a> {
    config: &'a Config,
    others: Others<'a>,
    slot_zero: SlotZero,
}

impl<'a> Choice<'a> {
    /// The choice of a worktree with that config, the main one or not, beside the others.
    pub fn new(config: &'a Config, others: Others<'a>, is_main: bool) -> Choice<'a> {
        let slot_zero = if is_main {
            SlotZero::Mine
        } else if others.has_main() {
            SlotZero::MainWorktrees(config.ports(Slot::MAIN).unwrap_or_default())
        } else {
            SlotZero::Anyones
        };
        Choice {
            config,
            others,
            slot_zero,
        }
    }

    /// The others, among whom it chooses.
    pub fn others(&self) -> Others<'a> {
        self.others
    }

    /// The candidates, from the lowest slot up.
    pub fn candidates(&self) -> Candidates<'_> {
        Candidates {
            choice: self,
            next: Slot::MAIN,
            tried: 0,
            reserved: 0,
        }
    }

    /// Whether no other worktree has the slot of `bundle` or reserves a port of it.
    pub fn is_clear(&self, bundle: &Bundle) -> bool {
        let is_slot_clear = bundle.slot.is_none_or(|slot| self.is_slot_clear(slot));
        let mut ports = bundle.ports.iter();
        is_slot_clear && ports.all(|(_, port)| self.is_port_clear(bundle.slot, *port))
    }

    fn is_slot_clear(&self, slot: Slot) -> bool {
        let is_main_worktrees =
            slot == Slot::MAIN && matches!(self.slot_zero, SlotZero::MainWorktrees(_));
        !is_main_worktrees && !self.others.has_slot(slot)
    }

    fn is_port_clear(&self, slot: Option<Slot>, port: Port) -> bool {
        match &self.slot_zero {
            SlotZero::Mine if slot == Some(Slot::MAIN) => !self.others.has_port_of_main(port),
            SlotZero::MainWorktrees(ports) if ports.contains(&port) => false,
            _ => !self.others.has_port(port),
        }
    }

    /// Whether `slot` is the worktree's own by right, so that its ports are not probed.
    pub fn is_by_right(&self, slot: Option<Slot>) -> bool {
        self.slot_zero == SlotZero::Mine && slot == Some(Slot::MAIN)
    }

    /// The bundle `own` as the config has it now. No port of it moves: a service that the config
    /// has lost is dropped, and one that it has gained joins in the same slot if all the others are
    /// there and its port is clear and free; else it is left out.
    pub fn update(
        &self,
        own: &Bundle,
        mut is_free: impl FnMut(Port) -> Result<bool>,
    ) -> Result<Bundle> {
        let is_there = |service: &Service, slot: Slot| {
            let port = own.port(&service.name);
            port.is_none_or(|port| self.config.port(service, slot) == Some(port))
        };
        let services = &self.config.services;
        let slot = own
            .slot
            .or_else(|| self.slot_by_ports(own))
            .filter(|slot| services.iter().all(|service| is_there(service, *slot)));

        let mut ports = Vec::with_capacity(services.len());
        for service in services {
            if let Some(port) = own.port(&service.name) {
                ports.push((service.name.clone(), port));
            } else if let Some(slot) = slot
                && let Some(port) = self.config.port(service, slot)
                && is_usable(service, slot, port)
                && self.is_port_clear(Some(slot), port)
                && (self.is_by_right(Some(slot)) || is_free(port)?)
            {
                ports.push((service.name.clone(), port));
            }
        }
        Ok(Bundle {
            slot: own.slot.or(slot.filter(|slot| self.is_slot_clear(*slot))),
            ports,
        })
    }

    /// The services of the config for which `bundle` has no port.
    pub fn missing<'b>(&'b self, bundle: &'b Bundle) -> impl Iterator<Item = &'b ServiceName> {
        let names = self.config.services.iter().map(|service| &service.name);
        names.filter(|name| bundle.port(name).is_none())
    }

    /// The slot in which the first service of the config that `own` has would have its port.
    fn slot_by_ports(&self, own: &Bundle) -> Option<Slot> {
        let mut services = self.config.services.iter();
        let (service, port) =
            services.find_map(|service| Some((service, own.port(&service.name)?)))?;
        let offset = u32::from(port.number()).checked_sub(u32::from(service.base.number()))?;
        (offset % self.config.step == 0).then(|| Slot(offset / self.config.step))
    }
}

/// Walks the slots 0, 1, 2, … and yields the candidates: the bundles whose ports are all usable,
/// and that no other worktree has a part of. Counts what it passes over.
pub struct Candidates<'a> {
    choice: &'a Choice<'a>,
    next: Slot,
    /// How many slots with usable ports were looked at.
    pub tried: u32,
    /// How many of these another worktree has, or a port of them.
    pub reserved: u32,
}

impl Iterator for Candidates<'_> {
    type Item = Bundle;

    fn next(&mut self) -> Option<Bundle> {
        loop {
            let slot = self.next;
            let ports = self.choice.config.ports(slot)?;
            self.next = Slot(slot.0 + 1);
            let mut services = self.choice.config.services.iter().zip(&ports);
            if !services.all(|(service, port)| is_usable(service, slot, *port)) {
                continue;
            }
            self.tried += 1;
            let mut ports = ports.iter();
            if self.choice.is_slot_clear(slot)
                && ports.all(|port| self.choice.is_port_clear(Some(slot), *port))
            {
                return self.choice.config.bundle(slot);
            }
            self.reserved += 1;
        }
    }
}

/// Whether `service` can use `port`, its own in `slot`: low enough that the kernel does not hand it
/// to an outgoing connection, unless the base port is not either; and, but for a base port, which
/// is the user's own choice, open to browsers.
pub fn is_usable(service: &Service, slot: Slot, port: Port) -> bool {
    let below_ephemeral =
        port.number() <= BELOW_EPHEMERAL || service.base.number() > BELOW_EPHEMERAL;
    below_ephemeral && (slot == Slot::MAIN || !BLOCKED_BY_BROWSERS.contains(&port.number()))
}

#[cfg(test)]
mod tests;
