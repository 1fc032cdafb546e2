//! Ports and bundles, for unit tests.

use super::*;

pub fn port(number: u16) -> Port {
    Port::new(u64::from(number)).unwrap()
}

pub fn bundle(slot: u32, ports: &[(&str, u16)]) -> Bundle {
    let ports = ports.iter();
    Bundle {
        slot: Slot(slot),
        ports: ports
            .map(|(name, number)| (ServiceName::new(*name), port(*number)))
            .collect(),
    }
}
