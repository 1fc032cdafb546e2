//! The data: ports, slots, services and the bundle that they make.

use std::fmt;

/// A TCP port that can be reserved: 1024 to 65535.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port(u16);

impl Port {
    /// The lowest port that needs no privilege to bind.
    pub const MIN: u16 = 1024;

    /// The port of that number, if it can be reserved.
    pub fn new(number: u64) -> Option<Port> {
        u16::try_from(number)
            .ok()
            .filter(|&n| n >= Port::MIN)
            .map(Port)
    }

    /// The number, 1024 to 65535.
    pub fn number(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The index *n* of a bundle: every service's port is its base port + *n* × step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot(pub u32);

impl Slot {
    /// The main worktree's.
    pub const MAIN: Slot = Slot(0);
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One worktree's ports, by service, in the order in which the config declares them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// `None` only where a port file made by hand names none and its ports fit none.
    pub slot: Option<Slot>,
    /// Service name and port.
    pub ports: Vec<(String, Port)>,
}

impl Bundle {
    /// The port of `service`.
    pub fn port(&self, service: &str) -> Option<Port> {
        let (_, port) = self.ports.iter().find(|(name, _)| name == service)?;
        Some(*port)
    }

    /// Whether `port` is that of any service.
    pub fn names(&self, port: Port) -> bool {
        self.ports.iter().any(|(_, own)| *own == port)
    }
}

/// `cloud 8100, api 8200`
impl fmt::Display for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (service, port)) in self.ports.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{service} {port}")?;
        }
        Ok(())
    }
}

/// A set of ports: one bit for each of the 65536.
#[derive(Clone)]
pub struct PortSet(Box<[u64; 1024]>);

impl PortSet {
    /// The empty set.
    pub fn new() -> PortSet {
        PortSet(Box::new([0; 1024]))
    }

    /// Adds `port`; says whether it is new.
    pub fn insert(&mut self, port: Port) -> bool {
        let new = !self.contains(port);
        self.0[usize::from(port.0 / 64)] |= 1 << (port.0 % 64);
        new
    }

    /// Whether `port` is in the set.
    pub fn contains(&self, port: Port) -> bool {
        self.0[usize::from(port.0 / 64)] & (1 << (port.0 % 64)) != 0
    }
}
