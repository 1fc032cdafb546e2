//! `.worktree-ports.config.json`, checked once into types that cannot be wrong.

use std::borrow::Cow;
use std::path::Path;

use crate::bundle::{Bundle, Port, Slot};
use crate::error::{Error, Result, quoted};
use crate::members::Members;
use crate::plain_file::{self, PlainFile};

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
            plain_file::read(&path, LIMIT).map_err(|error| Error::at("read", &path, error))?;
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn port(number: u16) -> Port {
        Port::new(u64::from(number)).unwrap()
    }

    /// The config with one service, `cloud`, and this template.
    fn with_template(template: &str) -> Result<Config, String> {
        let template = serde_json::to_string(template).unwrap();
        parse(&format!(
            "{{\"services\": {{\"cloud\": 8000}}, \"urls\": {{\"a_url\": {template}}}}}"
        ))
    }

    #[test]
    fn the_default_is_cloud_8000_with_step_100_and_its_url() {
        let config = Config::default();
        assert_eq!((config.services.len(), config.step), (1, 100));
        assert_eq!(config.services[0].name, "cloud");
        let bundle = config.bundle(Slot(3)).unwrap();
        assert_eq!(bundle.ports, [("cloud".to_owned(), port(8300))]);
        let url = ("cloud_url".to_owned(), "http://127.0.0.1:8300".to_owned());
        assert_eq!(config.urls(&bundle), [url]);
    }

    #[test]
    fn what_is_allowed_is_read_to_its_edges() {
        let longest = "a".repeat(32);
        let many: Vec<String> = (0..64).map(|i| format!("\"s{i}\": {}", 2000 + i)).collect();
        let many = many.join(", ");
        let texts = [
            "{\"services\": {\"a\": 1024}}".to_owned(),
            "{\"services\": {\"a\": 65535}}".to_owned(),
            "{\"services\": {\"a-b_c9\": 8000}}".to_owned(),
            format!("{{\"services\": {{\"{longest}\": 8000}}}}"),
            format!("{{\"services\": {{{many}}}}}"),
            "{\"services\": {\"a\": 8000}, \"step\": 1}".to_owned(),
            "{\"services\": {\"a\": 8000}, \"step\": 10000}".to_owned(),
            "{\"services\": {\"a\": 8000}, \"urls\": {}}".to_owned(),
            " {\"urls\": {\"a1_url\": \"http://localhost:{a}\"}, \"step\": 5, \"services\": {\"a\": 8000}}\n"
                .to_owned(),
        ];
        for text in texts {
            parse(&text).unwrap_or_else(|why| panic!("{text}: {why}"));
        }
    }

    #[test]
    fn what_is_one_past_the_edge_is_an_error_that_names_the_key() {
        let too_long = "a".repeat(33);
        let too_many: Vec<String> = (0..65).map(|i| format!("\"s{i}\": {}", 2000 + i)).collect();
        let too_many = too_many.join(", ");
        let url = format!("{}_url", "a".repeat(29));
        let table = [
            (
                "{\"services\": {\"a\": 1023}}".to_owned(),
                "`services.a`".to_owned(),
            ),
            (
                "{\"services\": {\"a\": 65536}}".to_owned(),
                "`services.a`".to_owned(),
            ),
            (
                format!("{{\"services\": {{\"{too_long}\": 8000}}}}"),
                format!("`services.{too_long}`"),
            ),
            (
                format!("{{\"services\": {{{too_many}}}}}"),
                "`services` has 65 members".to_owned(),
            ),
            (
                "{\"services\": {\"a\": 8000}, \"step\": 10001}".to_owned(),
                "`step` is `10001`".to_owned(),
            ),
            (
                "{\"services\": {\"a\": 8000}, \"step\": 1.0}".to_owned(),
                "`step` is `1.0`".to_owned(),
            ),
            (
                format!(
                    "{{\"services\": {{\"a\": 8000}}, \"urls\": {{\"{url}\": \"http://localhost:{{a}}\"}}}}"
                ),
                format!("`urls.{url}`"),
            ),
        ];
        for (text, part) in table {
            let why = parse(&text).unwrap_err();
            assert!(why.contains(&part), "{text}: {why}");
        }
    }

    #[test]
    fn services_and_urls_keep_their_order() {
        let config = parse(
            "{\"services\": {\"z\": 8000, \"a\": 7000, \"m\": 7500}, \
             \"urls\": {\"z_url\": \"http://localhost:{a}\", \"a_url\": \"http://localhost:{z}\"}}",
        )
        .unwrap();
        let bundle = config.bundle(Slot(1)).unwrap();
        let names: Vec<&str> = bundle.ports.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["z", "a", "m"]);
        let urls = config.urls(&bundle);
        assert_eq!(urls[0].1, "http://localhost:7100");
        assert_eq!(urls[1].1, "http://localhost:8100");
    }

    #[test]
    fn a_url_is_left_out_where_the_bundle_lacks_its_service() {
        let config = parse(
            "{\"services\": {\"a\": 8000, \"b\": 9000}, \
             \"urls\": {\"a_url\": \"http://localhost:{a}\", \"b_url\": \"http://localhost:{b}\"}}",
        )
        .unwrap();
        let bundle = Bundle {
            slot: Some(Slot(0)),
            ports: vec![("b".to_owned(), port(9000))],
        };
        let names: Vec<String> = config.urls(&bundle).into_iter().map(|url| url.0).collect();
        assert_eq!(names, ["b_url"]);
    }

    #[test]
    fn a_slot_past_the_last_port_has_no_bundle() {
        let config = parse("{\"services\": {\"a\": 1024, \"b\": 60000}, \"step\": 5535}").unwrap();
        assert!(config.bundle(Slot(1)).is_some());
        assert_eq!(config.bundle(Slot(2)), None);
        assert_eq!(config.bundle(Slot(u32::MAX)), None);
    }

    #[test]
    fn a_templates_host_is_this_machine() {
        let allowed = [
            "http://localhost:{cloud}",
            "https://localhost:{cloud}/",
            "http://127.0.0.1:{cloud}/a/b?c=d&".trim_end_matches('&'),
            "http://[::1]:{cloud}?x=1",
            "http://a.localhost:{cloud}",
            "http://a-1.b_2.localhost:{cloud}/x,y+z%20[0]",
            "postgres://user:secret@localhost:{cloud}/db",
            "redis://:secret@localhost:{cloud}/0",
            "vscode-remote+ssh.x://localhost:{cloud}",
            "http://localhost:{cloud}/@example.com:80/",
        ];
        for template in allowed {
            with_template(template).unwrap_or_else(|why| panic!("{template}: {why}"));
        }
        let refused = [
            "",
            "{cloud}",
            ":{cloud}",
            "localhost:{cloud}",
            "://localhost:{cloud}",
            "1http://localhost:{cloud}",
            "http//localhost:{cloud}",
            "http://LOCALHOST:{cloud}",
            "http://localhost{cloud}",
            "http://localhost:{cloud",
            "http://localhost:cloud}",
            "http://localhost:{}",
            "http://localhost:{Cloud}",
            "http://localhost:{{cloud}}",
            "http://localhost:{cloud}/{cloud}",
            "http://localhost:{cloud}x",
            "http://localhost:{cloud}#x",
            "http://localhost:{cloud}:80",
            "http://localhost:{cloud}@example.com",
            "http://example.com:{cloud}",
            "http://example.com:80/localhost:{cloud}",
            "http://localhost@example.com:{cloud}",
            "http://a@b@localhost:{cloud}",
            "http://example.com/@localhost:{cloud}",
            "http://example.com?@localhost:{cloud}",
            "http://localhost.:{cloud}",
            "http://.localhost:{cloud}",
            "http://a..localhost:{cloud}",
            "http://alocalhost:{cloud}",
            "http://127.0.0.1.:{cloud}",
            "http://[::1]x:{cloud}",
            "http://[::]:{cloud}",
            "http://0.0.0.0:{cloud}",
            "http://localhost:{cloud}/\u{fc}",
            "http://localhost:{cloud}/ ",
            "http://localhost:{cloud}/\n",
            "http://localhost:{cloud}/\\",
            "http://localhost:{cloud}/'",
            "http://localhost:{cloud}/\"",
            "http://localhost:{cloud}/$x",
            "http://localhost:{cloud}/&",
        ];
        for template in refused {
            let why = with_template(template).expect_err(template);
            assert!(why.starts_with("`urls.a_url` is "), "{template}: {why}");
        }
    }

    #[test]
    fn a_long_value_is_cut_in_the_message() {
        let long = format!("{{\"services\": {{\"a\": \"{}\"}}}}", "\u{fc}".repeat(500));
        let why = parse(&long).unwrap_err();
        assert!(why.contains("\u{2026}`") && why.len() < 300, "{why}");
    }

    /// The host of a URL as a reader would take it who knows no more than the general syntax.
    fn host_of(url: &str) -> Option<&str> {
        let (_, rest) = url.split_once("://")?;
        let authority = rest.split(['/', '?', '#', '\\']).next()?;
        let host = authority.rsplit('@').next()?;
        Some(host.rsplit_once(':')?.0)
    }

    proptest! {
        #[test]
        fn any_text_is_a_config_or_an_error(text in any::<String>()) {
            if let Err(why) = parse(&text) {
                prop_assert!(!why.is_empty());
            }
        }

        #[test]
        fn any_template_that_is_allowed_names_this_machine_and_a_port_of_the_bundle(
            before in "(http|a)?(:|/|@|\\.|\\[|\\]|\\?|localhost|127\\.0\\.0\\.1|::1|evil|%|=|,|\\\\|#){0,9}",
            after in "(:|/|@|\\.|\\?|localhost|evil|#|\\\\|8){0,5}",
        ) {
            let Ok(config) = with_template(&format!("http://{before}:{{cloud}}{after}")) else {
                return Ok(());
            };
            let urls = config.urls(&config.bundle(Slot(1)).unwrap());
            let url = &urls[0].1;
            let host = host_of(url).unwrap();
            prop_assert!(
                ["localhost", "127.0.0.1", "[::1]"].contains(&host) || host.ends_with(".localhost"),
                "{url}"
            );
            prop_assert!(url.contains(":8100"));
            prop_assert!(url.chars().all(|c| c.is_ascii_alphanumeric() || "_.:/@%?=+,[]-".contains(c)));
        }

        #[test]
        fn every_config_that_keeps_the_rules_is_read(
            bases in prop::collection::btree_set(1024_u16..=65_535, 1..=64),
            step in 1_u32..=10_000,
        ) {
            let services: Vec<String> = bases
                .iter()
                .enumerate()
                .map(|(i, base)| format!("\"s{i}\": {base}"))
                .collect();
            let text = format!("{{\"services\": {{{}}}, \"step\": {step}}}", services.join(","));
            let config = parse(&text).unwrap();
            let read: Vec<u16> = config.services.iter().map(|s| s.base.number()).collect();
            prop_assert_eq!(read, bases.into_iter().collect::<Vec<_>>());
            prop_assert_eq!(config.step, step);
        }
    }
}

#[cfg(test)]
mod fuzz {
    //! Whatever a config says, it is refused or keeps to what the types promise.

    use std::collections::BTreeSet;

    use super::*;

    /// Pieces of configs, so that many inputs are nearly right.
    const PIECES: [&str; 28] = [
        "{",
        "}",
        ":",
        ",",
        "\"services\"",
        "\"step\"",
        "\"urls\"",
        "\"a\"",
        "\"a-b\"",
        "\"a_b\"",
        "8000",
        "8001",
        "1",
        "10000",
        "10001",
        "\"a_url\"",
        "\"http://localhost:{a}\"",
        "\"http://[::1]:{a}/x?y\"",
        "\"http://u@b.localhost:{a-b}\"",
        "{\"services\":{\"a\":8000},\"urls\":{\"a_url\":\"",
        "http://",
        "localhost",
        "{a}",
        "@",
        "/",
        "?",
        "evil.com",
        "\"}}",
    ];

    fn check(text: &str) {
        let Ok(config) = parse(text) else {
            return;
        };
        assert!((1..=64).contains(&config.services.len()));
        assert!((1..=10_000).contains(&config.step));
        let services = config.services.iter();
        let variables: BTreeSet<String> = services
            .map(|service| service.name.replace('-', "_"))
            .collect();
        let bases: BTreeSet<u16> = config
            .services
            .iter()
            .map(|service| service.base.number())
            .collect();
        assert_eq!(
            (variables.len(), bases.len()),
            (config.services.len(), config.services.len())
        );

        let bundle = config.bundle(Slot::MAIN).unwrap();
        for (name, url) in config.urls(&bundle) {
            assert!(name.ends_with("_url"));
            // As a browser reads it: the host is what follows the last `@` of the authority.
            let (_, rest) = url.split_once("://").unwrap();
            let authority = rest.split(['/', '?', '#', '\\']).next().unwrap();
            let host_and_port = authority.rsplit('@').next().unwrap();
            let (host, port) = host_and_port.rsplit_once(':').unwrap();
            assert!(
                bundle.ports.iter().any(|(_, own)| own.to_string() == port),
                "{url}"
            );
            let is_local =
                ["localhost", "127.0.0.1", "[::1]"].contains(&host) || host.ends_with(".localhost");
            assert!(is_local, "{url}");
        }
    }

    #[test]
    fn any_text_is_refused_or_a_config_that_names_this_machine_alone() {
        bolero::check!().for_each(|bytes: &[u8]| check(&String::from_utf8_lossy(bytes)));
    }

    #[test]
    fn what_is_nearly_a_config_is_refused_or_names_this_machine_alone() {
        bolero::check!().with_type::<Vec<u8>>().for_each(|choices| {
            let pieces = choices
                .iter()
                .map(|choice| PIECES[usize::from(*choice) % PIECES.len()]);
            check(&pieces.collect::<String>());
        });
    }

    #[test]
    fn a_template_is_refused_or_names_this_machine_alone() {
        bolero::check!().with_type::<(Vec<u8>, Vec<u8>)>().for_each(|(before, after)| {
            let text = |choices: &[u8]| {
                let pieces = choices.iter().map(|choice| {
                    ["http://", "localhost", ".", ":", "@", "/", "?", "[::1]", "127.0.0.1", "x", "{a}"]
                        [usize::from(*choice) % 11]
                });
                pieces.collect::<String>()
            };
            let (before, after) = (text(before), text(after));
            check(&format!(
                r#"{{"services": {{"a": 8000}}, "urls": {{"a_url": "http://{before}{{a}}{after}"}}}}"#
            ));
        });
    }
}
