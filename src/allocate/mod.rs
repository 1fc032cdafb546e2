//! What choosing a bundle needs: the lock, what others have reserved, the candidates, the probe.

pub mod choose;
pub mod lock;
pub mod probe;
pub mod reservations;
