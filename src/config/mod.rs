//! `.worktree-ports.config.json`, checked once into types that cannot be wrong.

use std::borrow::Cow;
use std::path::Path;

use crate::error::{Error, Result, quoted};
use crate::files::json_object::Members;
use crate::files::untrusted::{self, PlainFile};
use crate::ports::{Bundle, Port, Slot};

/// The config's name, at a worktree's root.
pub const NAME: &str = ".worktree-ports.config.json";

/// How large a config may be, in bytes.
const LIMIT: usize = 64 * 1024;

/// The longest name of a service or a URL, in bytes.
const NAME_LIMIT: usize = 32;

/// The schemes whose URLs name a file or a program to run, whatever host seems to stand in them.
const WITHOUT_PORT: [&str; 6] = ["about", "blob", "data", "file", "javascript", "vbscript"];

/// What is reserved for each worktree, and the URLs that name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// 1 to 64, in the order in which they are declared.
    pub services: Vec<Service>,
    /// The distance from one slot's port to the next one's: 1 to 10000.
    pub step: u32,
    /// In the order in which they are declared.
    pub urls: Vec<Url>,
}

/// A named thing that listens on one TCP port in a worktree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// `[a-z][a-z0-9_-]{0,31}`
    pub name: String,
    /// Its port in slot 0.
    pub base: Port,
}

/// A URL of this machine whose port is that of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// `[a-z][a-z0-9_]{0,31}`, ending in `_url`.
    pub name: String,
    before_port: String,
    service: String,
    after_port: String,
}

impl Default for Config {
    fn default() -> Self {
        let text = r#"{
            "services": { "cloud": 8000 },
            "step": 100,
            "urls": { "cloud_url": "http://127.0.0.1:{cloud}" }
        }"#;
        parse(text).expect("the default config is valid")
    }
}

impl Config {
    /// The config of the worktree at `root`: its own, else the main worktree's, else the default.
    pub fn of(root: &Path, main_root: Option<&Path>) -> Result<Config> {
        if let Some(config) = Config::load(root)? {
            return Ok(config);
        }
        match main_root.filter(|&main_root| main_root != root) {
            Some(main_root) => Ok(Config::load(main_root)?.unwrap_or_default()),
            None => Ok(Config::default()),
        }
    }

    /// The config at `root`, the root of a worktree; `None` where there is no such file.
    ///
    /// # Errors
    /// A config that is not whole and valid, with the file, the key, and what is allowed.
    pub fn load(root: &Path) -> Result<Option<Config>> {
        let path = root.join(NAME);
        let invalid = |why: String| {
            Error::new(format!("the config {} is not valid: {why}", quoted(&path)))
                .remedy("correct it and run `worktree-ports-hook`")
        };
        let found =
            untrusted::read(&path, LIMIT).map_err(|error| Error::at("read", &path, error))?;
        let bytes = match found {
            PlainFile::Missing => return Ok(None),
            PlainFile::Unreadable(error) => return Err(Error::at("read the config", &path, error)),
            PlainFile::NotRegular(kind) => {
                return Err(invalid(format!("it is {kind}, and must be a regular file")));
            }
            PlainFile::Read {
                truncated: true, ..
            } => {
                return Err(invalid(format!("it is larger than {} KiB", LIMIT / 1024)));
            }
            PlainFile::Read { bytes, .. } => bytes,
        };
        let text =
            str::from_utf8(&bytes).map_err(|error| invalid(format!("it is not JSON: {error}")))?;
        parse(text).map(Some).map_err(invalid)
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
        let offset = u64::from(slot.0) * u64::from(self.step);
        Port::new(u64::from(service.base.number()) + offset)
    }

    /// The URLs whose service `bundle` has: name and URL, the port filled in.
    pub fn urls(&self, bundle: &Bundle) -> Vec<(String, String)> {
        let rendered = |url: &Url| {
            let port = bundle.port(&url.service)?;
            let text = format!("{}{port}{}", url.before_port, url.after_port);
            Some((url.name.clone(), text))
        };
        self.urls.iter().filter_map(rendered).collect()
    }
}

/// Parses a config; the error says which key is wrong and what is allowed there.
pub fn parse(text: &str) -> Result<Config, String> {
    let members = object(text, "the config")?;
    let allowed = ["services", "step", "urls"];
    if let Some((key, _)) = members.0.iter().find(|(key, _)| !allowed.contains(&&**key)) {
        return Err(format!(
            "`{key}` is no key of it: those are `services`, `step` and `urls`"
        ));
    }
    let services = members.get("services").ok_or("`services` is missing")?;
    let services = parse_services(services)?;
    let step = members.get("step").map_or(Ok(100), parse_step)?;
    let urls = members
        .get("urls")
        .map_or(Ok(Vec::new()), |urls| parse_urls(urls, &services))?;
    Ok(Config {
        services,
        step,
        urls,
    })
}

fn parse_services(json: &str) -> Result<Vec<Service>, String> {
    let members = object(json, "`services`")?;
    if !(1..=64).contains(&members.0.len()) {
        return Err(format!(
            "`services` has {} members: 1 to 64 are allowed",
            members.0.len()
        ));
    }
    let mut services: Vec<Service> = Vec::with_capacity(members.0.len());
    for (name, base) in members.0 {
        if !is_name(&name, "_-") {
            return Err(format!(
                "`services.{name}`: the name of a service is a lower-case letter, then up to 31 of a-z, 0-9, `_` and `-`"
            ));
        }
        let base = serde_json::from_str(base.get())
            .ok()
            .and_then(Port::new)
            .ok_or_else(|| {
                format!(
                    "`services.{name}` is {}: a base port is a whole number from 1024 to 65535",
                    excerpt(base.get())
                )
            })?;
        for other in &services {
            if other.base == base {
                return Err(format!(
                    "`services.{name}` has the base port {base}, as `services.{}` has",
                    other.name
                ));
            }
            if other.name.replace('-', "_") == name.replace('-', "_") {
                return Err(format!(
                    "`services.{name}` gives the same variable as `services.{}`",
                    other.name
                ));
            }
        }
        services.push(Service {
            name: name.into_owned(),
            base,
        });
    }
    Ok(services)
}

fn parse_step(json: &str) -> Result<u32, String> {
    let step = serde_json::from_str(json)
        .ok()
        .filter(|step| (1..=10_000).contains(step));
    step.ok_or_else(|| {
        format!(
            "`step` is {}: a whole number from 1 to 10000 is allowed",
            excerpt(json)
        )
    })
}

fn parse_urls(json: &str, services: &[Service]) -> Result<Vec<Url>, String> {
    let members = object(json, "`urls`")?;
    let url = |(name, template): (Cow<'_, str>, &serde_json::value::RawValue)| {
        if !is_name(&name, "_") || !name.ends_with("_url") {
            return Err(format!(
                "`urls.{name}`: the name of a URL is a lower-case letter, then up to 31 of a-z, 0-9 and `_`, and ends in `_url`"
            ));
        }
        parse_template(&name, template.get(), services)
            .map_err(|why| format!("`urls.{name}` is {}: {why}", excerpt(template.get())))
    };
    members.0.into_iter().map(url).collect()
}

/// `<scheme>://[<user>@]<host>:{<service>}[/<path>][?<query>]`, the host one of this machine's
/// names: whoever writes a template, a URL made from it can name a port of this machine and
/// nothing else.
fn parse_template(name: &str, json: &str, services: &[Service]) -> Result<Url, String> {
    let template: String = serde_json::from_str(json).map_err(|_| "a URL is a string")?;
    let (before_port, rest) = template
        .split_once('{')
        .ok_or("its port must be one `{service}`")?;
    let (service, after_port) = rest
        .split_once('}')
        .ok_or("its port must be one `{service}`")?;
    if !services.iter().any(|declared| declared.name == service) {
        return Err(format!("`{service}` is not a service of this config"));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.:/@%?=+,[]-".contains(c);
    if let Some(c) = before_port
        .chars()
        .chain(after_port.chars())
        .find(|&c| !allowed(c))
    {
        return Err(match c {
            '{' | '}' => "only its port may be a `{service}`, and once".to_owned(),
            _ => format!("`{c}` is not allowed: letters, digits and `_.:/@%?=+,[]-` are"),
        });
    }
    let (scheme, authority) = before_port
        .split_once("://")
        .ok_or("it must start as `http://` does")?;
    if !scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        || !scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    {
        return Err(format!("`{scheme}` is no scheme of a URL"));
    }
    if WITHOUT_PORT.contains(&scheme.to_ascii_lowercase().as_str()) {
        return Err(format!("a URL of the scheme `{scheme}` has no port"));
    }
    let host_and_colon = match authority.split_once('@') {
        Some((user, host)) if !user.contains(['/', '?', '[', ']']) => host,
        _ => authority,
    };
    let is_own_host = host_and_colon
        .strip_suffix(':')
        .is_some_and(is_this_machine);
    if !is_own_host || !(after_port.is_empty() || after_port.starts_with(['/', '?'])) {
        return Err("its host must be `localhost`, `*.localhost`, `127.0.0.1` or `[::1]`, followed by `:{service}` and then nothing, `/…` or `?…`".to_owned());
    }
    Ok(Url {
        name: name.to_owned(),
        before_port: before_port.to_owned(),
        service: service.to_owned(),
        after_port: after_port.to_owned(),
    })
}

fn is_this_machine(host: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    };
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
        || host
            .strip_suffix(".localhost")
            .is_some_and(|names| names.split('.').all(is_label))
}

fn object<'a>(json: &'a str, what: &str) -> Result<Members<'a>, String> {
    let members: Members<'a> =
        serde_json::from_str(json).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => format!("{what} is not a JSON object"),
            _ => format!("it is not JSON: {error}"),
        })?;
    match members.repeated() {
        Some(key) => Err(format!("`{key}` stands twice in {what}")),
        None => Ok(members),
    }
}

fn is_name(name: &str, punctuation: &str) -> bool {
    name.len() <= NAME_LIMIT
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || punctuation.contains(c))
}

/// The start of a value, for a message.
fn excerpt(json: &str) -> String {
    const LONGEST: usize = 80;
    match json.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("`{}…`", &json[..end]),
        None => format!("`{json}`"),
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod fuzz;
