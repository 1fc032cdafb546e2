//! `.worktree-ports.config.json`, checked once into types that cannot be wrong.

pub mod file;
mod hint;
pub mod label;
mod names;
pub mod nearest;
mod parse;
mod paths;
mod placeholder;
mod slots;
mod substitute;
mod value;

pub use self::placeholder::Values;
pub use self::substitute::{assignment, substitute};

use std::collections::BTreeSet;

use self::value::Setting;
use crate::ports::{Bundle, Port, ServiceName, Slot};

/// The names and values of an object of the config, in its order.
pub type Settings = Vec<(String, Setting)>;

/// The ports of each worktree, and the values and files that name them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// 1 to 64, in the order in which they are declared.
    pub services: Vec<Service>,
    /// The distance from one slot's port to the next one's: 1 to 10000.
    pub step: u32,
    /// The names, `[a-z][a-z0-9_]{0,31}` ending in `_url`, in the order in which they are declared.
    pub urls: Settings,
    /// Variables besides those that every config has, in the order in which they are declared.
    pub env: Settings,
    /// At most 16 paths, each with its variables; no variables stand for all lines of `--env`.
    pub env_files: Vec<(String, Settings)>,
    /// At most 16, no two with the same target.
    pub templates: Vec<Template>,
}

/// A named thing that listens on one TCP port in a worktree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// `[a-z][a-z0-9_-]{0,31}`, but not `slot` or `worktree`.
    pub name: ServiceName,
    /// Its port in slot 0.
    pub base: Port,
}

impl Service {
    /// Its port in `slot`: base + slot × step; `None` if that is above 65535.
    fn port(&self, slot: Slot, step: u32) -> Option<Port> {
        let offset = u64::from(slot.0) * u64::from(step);
        Port::new(u64::from(self.base.number()) + offset)
    }
}

/// A file that is made from a template. Both paths are relative to the worktree's root, with `/`
/// between components.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// The file to write.
    pub target: String,
    /// The file that git tracks, with `${NAME}` for the variables.
    pub source: String,
}

/// The lines for an env file of one worktree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvFile {
    /// Relative to the worktree's root, with `/` between components.
    pub path: String,
    /// Variables and their values.
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
    /// The default, or a config with the services of `own` and nothing else if these are others.
    pub fn default_for(own: Option<&Bundle>) -> Config {
        let default = Config::default();
        let Some(own) = own.filter(|own| !default.has_services_of(own)) else {
            return default;
        };
        let service = |(name, port): &(ServiceName, Port)| Service {
            name: name.clone(),
            base: *port,
        };
        Config {
            services: own.ports.iter().map(service).collect(),
            step: 1,
            urls: Settings::new(),
            env: Settings::new(),
            env_files: Vec::new(),
            templates: Vec::new(),
        }
    }

    /// The service of that name.
    pub fn service(&self, name: &ServiceName) -> Option<&Service> {
        self.services.iter().find(|service| service.name == *name)
    }

    /// Whether its services are those of `bundle`.
    pub fn has_services_of(&self, bundle: &Bundle) -> bool {
        let services = self.services.iter().map(|service| &service.name);
        services.eq(bundle.ports.iter().map(|(name, _)| name))
    }

    /// The bundle of `slot`, usable or not; `None` if one of its ports would be above 65535.
    pub fn bundle(&self, slot: Slot) -> Option<Bundle> {
        let names = self.services.iter().map(|service| service.name.clone());
        Some(Bundle {
            slot,
            ports: names.zip(self.ports(slot)?).collect(),
        })
    }

    /// The ports of `slot`, in the order of the services.
    pub fn ports(&self, slot: Slot) -> Option<Vec<Port>> {
        let services = self.services.iter();
        services.map(|service| self.port(service, slot)).collect()
    }

    /// The port of `service` in `slot`; `None` if it would be above 65535.
    pub fn port(&self, service: &Service, slot: Slot) -> Option<Port> {
        service.port(slot, self.step)
    }

    /// The names and values of `urls`. One is left out if the bundle lacks what it names.
    pub fn urls(&self, values: &Values<'_>) -> Vec<(String, String)> {
        rendered(&self.urls, values)
    }

    /// The lines of `--env`: the ports, the URLs, the slot, then `env`. A variable of `env` replaces a line
    /// with the same name. What the bundle lacks is left out.
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
        lines.push(("WORKTREE_SLOT".to_owned(), slot.to_string()));
        for (name, value) in rendered(&self.env, values) {
            match lines.iter_mut().find(|(other, _)| *other == name) {
                Some(line) => line.1 = value,
                None => lines.push((name, value)),
            }
        }
        lines
    }

    /// The values that `--get` knows: the services, the URLs, `slot`, and the lines of `--env`. Of
    /// two with the same name, the first counts.
    fn named_values(&self, values: &Values<'_>) -> Vec<(String, String)> {
        let Bundle { slot, ports } = values.bundle;
        let ports = ports
            .iter()
            .map(|(service, port)| (service.to_string(), port.to_string()));
        let slot = ("slot".to_owned(), slot.to_string());
        let named = ports.chain(self.urls(values)).chain([slot]);
        named.chain(self.variables(values)).collect()
    }

    /// What `listed` returns in the main worktree if it has all its ports.
    fn in_main<T>(&self, listed: fn(&Config, &Values<'_>) -> T) -> T {
        let bundle = self.bundle(Slot::MAIN).expect("base ports are ports");
        let values = Values {
            bundle: &bundle,
            label: label::MAIN,
        };
        listed(self, &values)
    }

    /// The names that [`Config::value`] knows.
    pub fn names(&self) -> Vec<String> {
        let named = self.in_main(Config::named_values).into_iter();
        named.map(|(name, _)| name).collect()
    }

    /// The value that `--get` has for `name`; `None` if the bundle lacks it.
    pub fn value(&self, name: &str, values: &Values<'_>) -> Option<String> {
        self.named_values(values)
            .into_iter()
            .find_map(|(known, value)| (known == name).then_some(value))
    }

    /// The variables of `env` and `env_files` that name something that only this worktree has, such as a
    /// compose project or a database, and their values.
    pub fn stack_names(&self, values: &Values<'_>) -> BTreeSet<(String, String)> {
        self.env_files
            .iter()
            .map(|(_, variables)| variables)
            .chain([&self.env])
            .flatten()
            .filter_map(|(name, setting)| Some((name.clone(), setting.own_name(values)?)))
            .collect()
    }

    /// The env files and their lines. A file is left out if none of its lines can be rendered.
    pub fn env_files(&self, values: &Values<'_>) -> Vec<EnvFile> {
        let file = |(path, variables): &(String, Settings)| EnvFile {
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

fn rendered(settings: &Settings, values: &Values<'_>) -> Vec<(String, String)> {
    settings
        .iter()
        .filter_map(|(name, setting)| Some((name.clone(), setting.render(values)?)))
        .collect()
}

#[cfg(test)]
mod docs;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod projects;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod tests;
