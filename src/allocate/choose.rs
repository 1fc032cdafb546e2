//! Candidates in order: pure and lazy, meets no socket and no file.

use crate::config::{Config, Service};
use crate::error::Result;
use crate::ports::{Bundle, Port, PortSet, Slot};

/// The highest port below those that Linux hands out to outgoing connections
/// (`net.ipv4.ip_local_port_range` starts at 32768).
const BELOW_EPHEMERAL: u16 = 32767;

/// The ports from 1024 up that browsers refuse to connect to: "bad port" in the WHATWG Fetch
/// standard, as of 2026-07.
const BLOCKED_BY_BROWSERS: [u16; 19] = [
    1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669,
    6679, 6697, 10080,
];

/// Walks the slots 0, 1, 2, … of a config and yields the candidates: the bundles whose ports are
/// all usable and clear of every reserved port. Counts what it passes over.
pub struct Candidates<'a> {
    config: &'a Config,
    reserved: &'a PortSet,
    next: Slot,
    /// How many slots with usable ports were looked at.
    pub tried: u32,
    /// How many of these have a reserved port.
    pub taken: u32,
}

impl<'a> Candidates<'a> {
    /// The candidates of `config` among the ports that are not `reserved`.
    pub fn new(config: &'a Config, reserved: &'a PortSet) -> Self {
        Candidates {
            config,
            reserved,
            next: Slot::MAIN,
            tried: 0,
            taken: 0,
        }
    }
}

impl Iterator for Candidates<'_> {
    type Item = Bundle;

    fn next(&mut self) -> Option<Bundle> {
        loop {
            let slot = self.next;
            let ports = self.config.ports(slot)?;
            self.next = Slot(slot.0 + 1);
            let mut services = self.config.services.iter().zip(&ports);
            if !services.all(|(service, port)| is_usable(service, slot, *port)) {
                continue;
            }
            self.tried += 1;
            if ports.iter().any(|port| self.reserved.contains(*port)) {
                self.taken += 1;
                continue;
            }
            return self.config.bundle(slot);
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

/// The bundle `own` as `config` has it now. No port of it moves: a service that the config has lost
/// is dropped, and one that it has gained joins in the same slot, where all the others stand there
/// and the port `is_free`; else it is left out.
pub fn follow(
    own: &Bundle,
    config: &Config,
    mut is_free: impl FnMut(Slot, Port) -> Result<bool>,
) -> Result<Bundle> {
    let stands_in = |slot: &Slot| {
        let stands = |service: &Service, port| config.port(service, *slot) == Some(port);
        let mut services = config.services.iter();
        services.all(|service| {
            own.port(&service.name)
                .is_none_or(|port| stands(service, port))
        })
    };
    let slot = own.slot.or_else(|| slot_of(own, config)).filter(stands_in);
    let mut ports = Vec::with_capacity(config.services.len());
    for service in &config.services {
        let port = match (own.port(&service.name), slot) {
            (Some(port), _) => Some(port),
            (None, None) => None,
            (None, Some(slot)) => match config.port(service, slot) {
                Some(port) if is_usable(service, slot, port) && is_free(slot, port)? => Some(port),
                _ => None,
            },
        };
        ports.extend(port.map(|port| (service.name.clone(), port)));
    }
    Ok(Bundle {
        slot: own.slot.or(slot),
        ports,
    })
}

/// The slot in which the first service of `config` that `own` has would have its port.
fn slot_of(own: &Bundle, config: &Config) -> Option<Slot> {
    let (service, port) =
        (config.services.iter()).find_map(|service| Some((service, own.port(&service.name)?)))?;
    let offset = u32::from(port.number()).checked_sub(u32::from(service.base.number()))?;
    (offset % config.step == 0).then(|| Slot(offset / config.step))
}

#[cfg(test)]
mod tests;
