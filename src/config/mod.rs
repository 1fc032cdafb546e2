//! `.worktree-ports.config.json`, checked once into types that cannot be wrong.

pub mod collision;
mod env_path;
pub mod file;
pub mod label;
pub mod nearest;
mod parse;
pub mod template;
mod variables;

pub use self::template::{Template, Values};
pub use self::variables::assignment;

use std::collections::BTreeSet;

use self::template::Form;
use crate::ports::{Bundle, Port, ServiceName, Slot};

/// Names and values, in the order in which the config declares them.
pub type Templates = Vec<(String, Template)>;

/// The ports of each worktree, and the values and files that name them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// 1 to 64, in the order in which they are declared.
    pub services: Vec<Service>,
    /// The distance from one slot's port to the next one's: 1 to 10000.
    pub step: u32,
    /// The names, `[a-z][a-z0-9_]{0,31}` ending in `_url`, in the order in which they are declared.
    pub urls: Templates,
    /// Variables beside those that every config has, in the order in which they are declared.
    pub env: Templates,
    /// At most 16 paths, and the variables of each; none stands for all lines of `--env`.
    pub env_files: Vec<(String, Templates)>,
}

/// A named thing that listens on one TCP port in a worktree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// `[a-z][a-z0-9_-]{0,31}`, but not `slot` or `worktree`.
    pub name: ServiceName,
    /// Its port in slot 0.
    pub base: Port,
}

/// What an env file of one worktree has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvFile {
    /// Relative to the worktree's root, with `/` between components.
    pub path: String,
    /// Variables and their values, which need no quotes.
    pub lines: Vec<(String, String)>,
}

impl Default for Config {
    fn default() -> Self {
        let text = r#"{
            "services": { "cloud": 8000 },
            "step": 100,
            "urls": { "cloud_url": "http://127.0.0.1:{cloud}" }
        }"#;
        Config::parse(text).expect("the default config is valid")
    }
}

impl Config {
    /// The names that have a value in every worktree: the services, the URLs, and `slot`.
    pub fn names(&self) -> Vec<&str> {
        let services = self.services.iter().map(|service| service.name.as_str());
        let urls = self.urls.iter().map(|(name, _)| name.as_str());
        services.chain(urls).chain(["slot"]).collect()
    }

    /// The bundle of `slot`, usable or not; `None` where one of its ports would be past 65535.
    pub fn bundle(&self, slot: Slot) -> Option<Bundle> {
        let names = self.services.iter().map(|service| service.name.clone());
        Some(Bundle {
            slot: Some(slot),
            ports: names.zip(self.ports(slot)?).collect(),
        })
    }

    /// The ports of `slot`, in the order of the services.
    pub fn ports(&self, slot: Slot) -> Option<Vec<Port>> {
        let services = self.services.iter();
        services.map(|service| self.port(service, slot)).collect()
    }

    /// `service`'s port in `slot`: base + slot × step; `None` where that is no port.
    pub fn port(&self, service: &Service, slot: Slot) -> Option<Port> {
        port_of(service, slot, self.step)
    }

    /// The names and values of `urls`. One is left out if the bundle lacks what it names.
    pub fn urls(&self, values: &Values<'_>) -> Vec<(String, String)> {
        rendered(&self.urls, values)
    }

    /// The lines of `--env`: the ports, the URLs, the slot, then `env`, which replaces what has the
    /// same name.
    pub fn variables(&self, values: &Values<'_>) -> Vec<(String, String)> {
        let Bundle { slot, ports } = values.bundle;
        let mut lines: Vec<(String, String)> = ports
            .iter()
            .map(|(service, port)| (service.variable(), port.to_string()))
            .collect();
        if let ([_], [(_, port)]) = (self.services.as_slice(), ports.as_slice()) {
            lines.push(("PORT".to_owned(), port.to_string()));
        }
        let urls = self.urls(values).into_iter();
        lines.extend(urls.map(|(name, url)| (name.to_uppercase(), url)));
        lines.extend(slot.map(|slot| ("WORKTREE_SLOT".to_owned(), slot.to_string())));
        for (name, value) in rendered(&self.env, values) {
            match lines.iter_mut().find(|(other, _)| *other == name) {
                Some(line) => line.1 = value,
                None => lines.push((name, value)),
            }
        }
        lines
    }

    /// The variables of `env` and `env_files` that name something, such as a compose project or a
    /// database, and their values. One that is a number alone is left out: it counts slots.
    pub fn stack_names(&self, values: &Values<'_>) -> BTreeSet<(String, String)> {
        let files = self.env_files.iter().map(|(_, variables)| variables);
        files
            .chain([&self.env])
            .flat_map(|variables| rendered(variables, values))
            .filter(|(name, value)| {
                let is_name = variables::form_of(name) == Ok(Form::Name);
                is_name && value.bytes().any(|byte| !byte.is_ascii_digit())
            })
            .collect()
    }

    /// The env files and their lines. A file is left out if none of its lines can be rendered.
    pub fn env_files(&self, values: &Values<'_>) -> Vec<EnvFile> {
        let file = |(path, variables): &(String, Templates)| EnvFile {
            path: path.clone(),
            lines: if variables.is_empty() {
                self.variables(values)
            } else {
                rendered(variables, values)
            },
        };
        let files = self.env_files.iter().map(file);
        files.filter(|file| !file.lines.is_empty()).collect()
    }
}

/// The port of `service` in `slot` if slots are `step` ports apart.
fn port_of(service: &Service, slot: Slot, step: u32) -> Option<Port> {
    let offset = u64::from(slot.0) * u64::from(step);
    Port::new(u64::from(service.base.number()) + offset)
}

fn rendered(templates: &[(String, Template)], values: &Values<'_>) -> Vec<(String, String)> {
    let line =
        |(name, template): &(String, Template)| Some((name.clone(), template.render(values)?));
    templates.iter().filter_map(line).collect()
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod projects;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod tests;
