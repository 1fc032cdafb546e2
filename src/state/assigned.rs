//! A worktree's ports, and all that is rendered from them.

use std::collections::BTreeSet;

use crate::config::label::label;
use crate::config::{Config, EnvFile, Values};
use crate::git::worktree::Worktree;
use crate::ports::Bundle;
use crate::state::record::{self, Record};
use crate::state::reservation::Reservation;

/// A worktree's ports, and the config by which all else is rendered from them.
#[derive(Debug)]
pub struct Assigned {
    /// What the worktree has reserved.
    pub reservation: Reservation,
    /// Its config.
    pub config: Config,
    /// What `{worktree}` stands for.
    pub label: String,
}

impl Assigned {
    /// What `worktree` has with that bundle.
    pub fn new(worktree: &Worktree, config: Config, bundle: Bundle) -> Assigned {
        let label = label_of(worktree);
        let urls = config.urls(&Values {
            bundle: &bundle,
            label: &label,
            is_main: worktree.is_main(),
        });
        Assigned {
            reservation: Reservation {
                worktree: worktree.id.clone(),
                bundle,
                urls,
            },
            config,
            label,
        }
    }

    fn values(&self) -> Values<'_> {
        Values {
            bundle: &self.reservation.bundle,
            label: &self.label,
            is_main: self.reservation.worktree.is_none(),
        }
    }

    /// Whether `record`, that of `worktree`, says the same, or cannot be made to.
    pub fn is_recorded(&self, worktree: &Worktree, record: &record::Found) -> bool {
        record.is(&self.record(&record.env_files(worktree.id.as_deref())))
            || !record::Place::of(worktree).is_writable()
    }

    /// The record of it, with the files in which a block of ours stands.
    pub fn record(&self, standing: &[String]) -> Record {
        Record {
            reservation: self.reservation.clone(),
            env_files: BTreeSet::from_iter(standing).into_iter().cloned().collect(),
        }
    }

    /// The lines of `--env`: name and value.
    pub fn variables(&self) -> Vec<(String, String)> {
        self.config.variables(&self.values())
    }

    /// The names of stacks and databases, see [`Config::stack_names`].
    pub fn stack_names(&self) -> BTreeSet<(String, String)> {
        self.config.stack_names(&self.values())
    }

    /// The value that `--get` has for `name`.
    pub fn value(&self, name: &str) -> Option<String> {
        self.config.value(name, &self.values())
    }

    /// What is to stand in the worktree's env files.
    pub fn env_files(&self) -> Vec<EnvFile> {
        self.config.env_files(&self.values())
    }
}

/// What `{worktree}` stands for in `worktree`.
fn label_of(worktree: &Worktree) -> String {
    let name = worktree.git_dir.file_name().unwrap_or_default();
    label((!worktree.is_main()).then_some(name.as_encoded_bytes()))
}
