//! Ports, slots, services, and the bundle that they make.

use std::fmt;

use serde::{Serialize, Serializer};

/// A TCP port that can be reserved: from 1024, the lowest one that needs no privilege to bind, to 65535.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Port(u16);

impl Port {
    pub const MAX: Port = Port(u16::MAX);

    pub fn new(number: u64) -> Option<Port> {
        u16::try_from(number).ok().filter(|&n| n >= 1024).map(Port)
    }

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
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

/// The name of a service, from a config or a port file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ServiceName(String);

impl ServiceName {
    /// The service of that name. The config checks which names are allowed.
    pub fn new(name: impl Into<String>) -> ServiceName {
        ServiceName(name.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `API_PORT`, the variable in which `--env` has the port of the service `api`.
    pub fn variable(&self) -> String {
        self.0.to_uppercase().replace('-', "_") + "_PORT"
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// One worktree's ports, one for each service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Bundle {
    pub slot: Slot,
    /// Each service and its port, in the order in which the config declares them.
    #[serde(serialize_with = "as_object")]
    pub ports: Vec<(ServiceName, Port)>,
}

impl Bundle {
    pub fn port(&self, service: &ServiceName) -> Option<Port> {
        let (_, port) = self.ports.iter().find(|(name, _)| name == service)?;
        Some(*port)
    }

    /// The service that has `port`.
    pub fn service(&self, port: Port) -> Option<&ServiceName> {
        let (service, _) = self.ports.iter().find(|(_, own)| *own == port)?;
        Some(service)
    }
}

/// Serializes names and values as a JSON object, in their order.
pub fn as_object<K: Serialize, V: Serialize, S: Serializer>(
    members: &[(K, V)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(members.iter().map(|(name, value)| (name, value)))
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

#[cfg(test)]
pub mod fixture;
