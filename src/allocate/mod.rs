//! The parts of an allocation: the locks, the reservations of others, the choice, the probe, the
//! plan.

pub mod adopt;
pub mod choose;
pub mod locked;
pub mod plan;
pub mod probe;
pub mod reservations;
