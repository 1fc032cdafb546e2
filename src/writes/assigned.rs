//! A worktree's ports, and everything that is rendered from them.

use crate::config::file::ConfigInForce;
use crate::config::label;
use crate::config::{Config, Values};
use crate::git::worktree::Worktree;
use crate::ports::Bundle;
use crate::state::record::{Record, Recorded, WrittenFiles};
use crate::state::reservation::Reservation;
use crate::writes::files::Wanted;

/// A worktree's ports, and the config from which everything else is rendered.
#[derive(Debug)]
pub struct Assigned {
    pub reservation: Reservation,
    pub config: Config,
    /// The value of `{worktree}`.
    pub label: String,
    /// Whether there is no config anywhere, so that everything written stays as it is.
    is_kept: bool,
}

impl Assigned {
    /// What `worktree` has with this bundle. Without a config anywhere, `before`, its port file,
    /// stays as it is.
    pub fn new(
        worktree: &Worktree,
        in_force: ConfigInForce,
        bundle: Bundle,
        before: Option<&Reservation>,
    ) -> Assigned {
        let mut assigned = Assigned {
            reservation: Reservation {
                worktree: worktree.id.clone(),
                bundle,
                urls: Vec::new(),
            },
            is_kept: in_force.is_default && before.is_some(),
            config: in_force.config,
            label: label::of(worktree),
        };
        assigned.reservation.urls = match before {
            Some(before) if assigned.is_kept && assigned.config.urls.is_empty() => {
                before.urls.clone()
            }
            _ => assigned.config.urls(&assigned.values()),
        };
        assigned
    }

    /// What `worktree` has with the bundle of its own port file.
    pub fn of_own(worktree: &Worktree, in_force: ConfigInForce, own: &Reservation) -> Assigned {
        Assigned::new(worktree, in_force, own.bundle.clone(), Some(own))
    }

    /// What values are rendered from.
    pub fn values(&self) -> Values<'_> {
        Values {
            bundle: &self.reservation.bundle,
            label: &self.label,
        }
    }

    /// Whether the port file `own` is what the config says, with all services.
    pub fn matches(&self, own: &Reservation) -> bool {
        *own == self.reservation && self.config.has_services_of(&own.bundle)
    }

    /// Whether the record agrees, or cannot be written.
    pub fn is_recorded(&self, worktree: &Worktree, recorded: &Recorded) -> bool {
        let written = recorded.written();
        recorded.is(&self.record(written)) || !worktree.is_record_writable()
    }

    pub fn record(&self, written: WrittenFiles) -> Record {
        Record {
            reservation: self.reservation.clone(),
            written,
        }
    }

    /// The lines of `--env`: names and values.
    pub fn variables(&self) -> Vec<(String, String)> {
        self.config.variables(&self.values())
    }

    /// What the env files should contain, and what is made from templates.
    pub fn wanted(&self) -> Wanted {
        Wanted {
            label: self.label.clone(),
            env_files: self.config.env_files(&self.values()),
            templates: self.config.templates.clone(),
            variables: self.variables(),
            keeps_blocks: self.is_kept,
        }
    }
}

#[cfg(test)]
mod tests;
