//! What one command uses throughout: where messages go, and how long it waits.

use std::time::{Duration, Instant};

use crate::files::staged::Patience;
use crate::narrator::Narrator;

pub struct Session {
    pub narrator: Narrator,
    /// For all locks together.
    pub deadline: Deadline,
    /// For programs that are writing a file that this command wants to change.
    pub patience: Patience,
}

impl Session {
    /// Waits for locks no longer than `timeout` from now.
    pub fn new(narrator: Narrator, timeout: Duration) -> Session {
        Session {
            narrator,
            deadline: Deadline::after(timeout),
            patience: Patience::default(),
        }
    }
}

/// When a wait ends.
#[derive(Clone, Copy)]
pub struct Deadline {
    pub timeout: Duration,
    at: Instant,
}

impl Deadline {
    /// The deadline of a wait that starts now.
    pub fn after(timeout: Duration) -> Deadline {
        let now = Instant::now();
        // The clock may not be able to represent it; a year is enough for anybody.
        let year = Duration::from_secs(365 * 24 * 60 * 60);
        Deadline {
            timeout,
            at: now.checked_add(timeout).unwrap_or_else(|| now + year),
        }
    }

    pub fn left(self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }
}
