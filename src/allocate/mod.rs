//! What an allocation is made of: the locks, what others have reserved, the candidates, the probe,
//! the plan.

pub mod adopt;
pub mod choose;
pub mod locked;
pub mod plan;
pub mod probe;
pub mod reservations;
