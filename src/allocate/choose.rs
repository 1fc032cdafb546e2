//! Which bundle a worktree may have: the slots in order, what may be restored, which services may
//! join, and what belongs to the main worktree. Pure.

use crate::allocate::reservations::Others;
use crate::config::{Config, Service};
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

/// What one worktree can choose from.
pub struct Choice<'a> {
    pub config: &'a Config,
    pub others: Others<'a>,
    is_main: bool,
    /// If slot 0 belongs to another worktree, its ports by the config of this one. Those by the main
    /// worktree's own config are among the reservations of others. In a bare repository, slot 0 is anyone's.
    main_worktrees: Option<Vec<Port>>,
}

impl<'a> Choice<'a> {
    pub fn new(config: &'a Config, others: Others<'a>, is_main: bool) -> Choice<'a> {
        let is_others = !is_main && others.has_main();
        Choice {
            config,
            others,
            is_main,
            main_worktrees: is_others.then(|| config.ports(Slot::MAIN).unwrap_or_default()),
        }
    }

    /// The slots whose ports are all usable, from the lowest up, each with its ports.
    pub fn slots(&self) -> impl Iterator<Item = (Slot, Vec<Port>)> {
        let config = self.config;
        let slots = (0..)
            .map(Slot)
            .map_while(|slot| Some((slot, config.ports(slot)?)));
        slots.filter(|(slot, ports)| {
            let is_usable = |(service, port): (&Service, &Port)| is_usable(service, *slot, *port);
            config.services.iter().zip(ports).all(is_usable)
        })
    }

    /// Where the slots end, in words: which service runs out of ports first, and why.
    pub fn end_of_slots(&self) -> String {
        let Config { services, step, .. } = self.config;
        let slots = |service: &&Service| u32::from(limit(service) - service.base.number()) / step;
        let first = services.iter().min_by_key(slots);
        first.map_or_else(String::new, |service| {
            let (Service { name, base }, limit) = (service, limit(service));
            format!("the slots end where `{name}`, at {base} + slot × {step}, passes {limit}")
        })
    }

    /// Whether no other worktree has the slot of `bundle` or reserves a port of it.
    pub fn is_clear(&self, bundle: &Bundle) -> bool {
        self.are_clear(bundle.slot, bundle.ports.iter().map(|(_, port)| *port))
    }

    /// Whether no other worktree has `slot` or reserves one of its `ports`.
    pub fn are_clear(&self, slot: Slot, mut ports: impl Iterator<Item = Port>) -> bool {
        self.is_slot_clear(slot) && ports.all(|port| self.is_port_clear(slot, port))
    }

    /// Whether no other worktree has `slot`.
    pub fn is_slot_clear(&self, slot: Slot) -> bool {
        let is_main_worktrees = slot == Slot::MAIN && self.main_worktrees.is_some();
        !is_main_worktrees && !self.others.has_slot(slot)
    }

    /// Whether no other worktree reserves `port`, as a port of `slot`.
    pub fn is_port_clear(&self, slot: Slot, port: Port) -> bool {
        if self.is_by_right(slot) {
            return !self.others.has_port_of_main(port);
        }
        let is_main_worktrees = self
            .main_worktrees
            .as_ref()
            .is_some_and(|it| it.contains(&port));
        !is_main_worktrees && !self.others.has_port(port)
    }

    /// Whether `slot` is slot 0 and this is the main worktree: whatever listens there is most likely its
    /// own stack, so its ports are not probed.
    pub fn is_by_right(&self, slot: Slot) -> bool {
        self.is_main && slot == Slot::MAIN
    }

    /// The bundle `own` with the services that the config has now. No port moves. A service that is
    /// not in the config any more is dropped. A new one joins in the same slot if all others are at
    /// that slot and its port is clear; otherwise it is left out. It is not probed, because its own
    /// server may be running.
    pub fn update(&self, own: &Bundle) -> Bundle {
        let is_there = |service: &Service| {
            let port = own.port(&service.name);
            port.is_none_or(|port| self.config.port(service, own.slot) == Some(port))
        };
        let services = &self.config.services;
        let are_there = services.iter().all(is_there);
        let port = |service: &Service| {
            let joins = || {
                let port = self.config.port(service, own.slot)?;
                let is_had = are_there
                    && is_usable(service, own.slot, port)
                    && self.is_port_clear(own.slot, port);
                is_had.then_some(port)
            };
            let port = own.port(&service.name).or_else(joins)?;
            Some((service.name.clone(), port))
        };
        Bundle {
            slot: own.slot,
            ports: services.iter().filter_map(port).collect(),
        }
    }

    /// The services of the config for which `bundle` has no port.
    pub fn missing<'b>(&'b self, bundle: &'b Bundle) -> impl Iterator<Item = &'b ServiceName> {
        let names = self.config.services.iter().map(|service| &service.name);
        names.filter(|name| bundle.port(name).is_none())
    }
}

/// Whether `service` can use `port`, its port in `slot`: not above its limit and, except for a base
/// port, which the user chose, not blocked by browsers.
pub fn is_usable(service: &Service, slot: Slot, port: Port) -> bool {
    port.number() <= limit(service)
        && (slot == Slot::MAIN || !BLOCKED_BY_BROWSERS.contains(&port.number()))
}

/// The highest port that `service` can use: below the kernel's ephemeral range, unless the base
/// port is above that already.
fn limit(service: &Service) -> u16 {
    if service.base.number() > BELOW_EPHEMERAL {
        u16::MAX
    } else {
        BELOW_EPHEMERAL
    }
}

#[cfg(test)]
mod tests;
