//! What a value may be: ports, local hosts, addresses and URLs, or a plain name. The types have no
//! room for anything else, so whatever a branch's config says, it renders to one of these.

use crate::config::nearest::nearest;
use crate::config::placeholder::{
    Piece, Values, Views, literal, render, rsplit_once, shown, split_at, split_once,
};
use crate::error::printable;
use crate::ports::ServiceName;

/// What the name of a variable allows its value to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Port,
    Url,
    Address,
    Host,
    /// A host that a resolver knows: libpq asks the DNS for names below `localhost`.
    ResolvableHost,
    Name,
    /// A name that may start with `-`.
    Suffix,
    Digits,
}

/// A value as the main worktree has it, and as the others do: in the main one, placeholders with a
/// separator are empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    main: LocalValue,
    linked: LocalValue,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum LocalValue {
    Ports(Vec<PortNumber>),
    Hosts(Vec<LocalHost>),
    Addresses(Vec<Address>),
    Urls(Vec<LocalUrl>),
    Name(Vec<Piece>),
    Digits(Vec<Piece>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum PortNumber {
    Of(ServiceName),
    /// A number from 1 to 65535, as it was written.
    Literal(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum LocalHost {
    /// One of [`HOSTS`].
    Fixed(&'static str),
    /// `<labels>.localhost`: names that browsers and curl take for this machine (RFC 6761).
    Below(Vec<Piece>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Address {
    host: LocalHost,
    port: PortNumber,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct LocalUrl {
    scheme: String,
    /// `user:password@`, or empty.
    user: Vec<Piece>,
    /// `None` only in `postgres:///name`.
    host: Option<LocalHost>,
    port: Option<PortNumber>,
    /// The path and the query.
    resource: Vec<Piece>,
}

/// The characters besides letters and digits that a value of any form may have.
const PUNCTUATION: &str = "_.:/@%?=&+[],-";

const HOSTS: [&str; 4] = ["localhost", "127.0.0.1", "[::1]", BARE_IPV6];

/// In a URL, an IPv6 address has brackets.
const BARE_IPV6: &str = "::1";

const WEB_SCHEMES: [&str; 4] = ["http", "https", "ws", "wss"];

/// The schemes of databases and queues. Of any other scheme it is not known whether what looks like
/// the host is the host.
const DATABASE_SCHEMES: [&str; 14] = [
    "postgres",
    "postgresql",
    "mysql",
    "mariadb",
    "mongodb",
    "redis",
    "rediss",
    "amqp",
    "amqps",
    "nats",
    "bolt",
    "neo4j",
    "smtp",
    "smtps",
];

/// Those that may name a driver: `postgresql+asyncpg`.
const WITH_DRIVER: [&str; 4] = ["postgres", "postgresql", "mysql", "mariadb"];

const WITH_JDBC: [&str; 3] = ["postgresql", "mysql", "mariadb"];

/// The keys of a query that name no file, host or program to any driver.
const QUERY_KEYS: [&str; 23] = [
    "sslmode",
    "ssl",
    "schema",
    "currentSchema",
    "application_name",
    "connect_timeout",
    "connection_limit",
    "pool_timeout",
    "pool_size",
    "pgbouncer",
    "charset",
    "encoding",
    "serverVersion",
    "replicaSet",
    "directConnection",
    "authSource",
    "retryWrites",
    "w",
    "heartbeat",
    "db",
    "prefix",
    "allowPublicKeyRetrieval",
    "useSSL",
];

impl Setting {
    /// The setting that reads so, in the first of the `forms` that fits.
    ///
    /// # Errors
    /// What is wrong with it, as the form that it resembles most has it.
    pub fn new(views: &Views, forms: &[Form]) -> Result<Setting, String> {
        let parse = |pieces: &[Piece], is_main| {
            let value = |form: &Form| form.parse(pieces, is_main).ok();
            forms
                .iter()
                .find_map(value)
                .ok_or_else(|| problem(pieces, forms, is_main))
        };
        let linked = parse(&views.linked, false)?;
        let main = parse(&views.main, true)
            .map_err(|why| format!("in the main worktree it is `{}`: {why}", shown(&views.main)))?;
        Ok(Setting { main, linked })
    }

    /// The value in one worktree; `None` if its bundle lacks a service or the slot.
    pub fn render(&self, values: &Values<'_>) -> Option<String> {
        if values.is_main {
            self.main.render(values)
        } else {
            self.linked.render(values)
        }
    }

    /// Whether it is a name that differs from worktree to worktree, such as that of a compose project.
    pub fn is_own_name(&self) -> bool {
        matches!(&self.linked, LocalValue::Name(name) if literal(name).is_none())
    }
}

/// What is wrong with a value that has none of the `forms`.
fn problem(pieces: &[Piece], forms: &[Form], is_main: bool) -> String {
    if let Some(c) = forbidden_in(pieces, PUNCTUATION) {
        return format!("{} is not allowed", named(c));
    }
    let resembled = if split_at(pieces, "://").is_some() {
        Form::Url
    } else {
        Form::Address
    };
    let form = forms
        .iter()
        .find(|form| **form == resembled && pieces.contains(&Piece::Char(':')));
    let form = form.or(forms.first()).expect("every name allows a form");
    form.parse(pieces, is_main)
        .expect_err("no form fits, this one included")
}

impl Form {
    fn parse(self, pieces: &[Piece], is_main: bool) -> Result<LocalValue, String> {
        match self {
            Form::Port => list(pieces, port_number).map(LocalValue::Ports),
            Form::Url => urls(pieces).map(LocalValue::Urls),
            Form::Address => list(pieces, address).map(LocalValue::Addresses),
            Form::Host => list(pieces, local_host).map(LocalValue::Hosts),
            Form::ResolvableHost => list(pieces, resolvable_host).map(LocalValue::Hosts),
            Form::Name if is_main && pieces.is_empty() => Ok(LocalValue::Name(Vec::new())),
            Form::Name => name(pieces).map(|()| LocalValue::Name(pieces.to_vec())),
            Form::Suffix => {
                let bare = pieces.strip_prefix(&[Piece::Char('-')]).unwrap_or(pieces);
                let is_empty = is_main && pieces.is_empty();
                if !is_empty {
                    name(bare)?;
                }
                Ok(LocalValue::Name(pieces.to_vec()))
            }
            Form::Digits if are_digits(pieces) => Ok(LocalValue::Digits(pieces.to_vec())),
            Form::Digits => Err(format!("{} is not a number", quoted(pieces))),
        }
    }

    /// A value of this form for the variable `name`, of the service called `service`.
    pub fn example(self, name: &str, service: &str) -> String {
        let name = name.to_ascii_lowercase();
        let mut schemes = DATABASE_SCHEMES.into_iter();
        match self {
            Form::Port => format!("{{{service}}}"),
            Form::Url if name.contains("database") || name.starts_with("db_") => {
                format!("postgres://localhost:{{{service}}}/app{{_worktree}}")
            }
            Form::Url => {
                let scheme = schemes
                    .find(|scheme| name.contains(scheme))
                    .unwrap_or("http");
                format!("{scheme}://localhost:{{{service}}}")
            }
            Form::Address => format!("localhost:{{{service}}}"),
            Form::Host | Form::ResolvableHost => "localhost".to_owned(),
            Form::Name => "app{-worktree}".to_owned(),
            Form::Suffix => "{-worktree}".to_owned(),
            Form::Digits => "{slot}".to_owned(),
        }
    }
}

impl LocalValue {
    fn render(&self, values: &Values<'_>) -> Option<String> {
        match self {
            LocalValue::Ports(ports) => joined(ports.iter().map(|port| port.render(values))),
            LocalValue::Hosts(hosts) => joined(hosts.iter().map(|host| host.render(values))),
            LocalValue::Addresses(addresses) => {
                joined(addresses.iter().map(|address| address.render(values)))
            }
            LocalValue::Urls(urls) => joined(urls.iter().map(|url| url.render(values))),
            LocalValue::Name(pieces) | LocalValue::Digits(pieces) => render(pieces, values),
        }
    }
}

impl PortNumber {
    fn render(&self, values: &Values<'_>) -> Option<String> {
        match self {
            PortNumber::Of(service) => Some(values.bundle.port(service)?.to_string()),
            PortNumber::Literal(number) => Some(number.clone()),
        }
    }
}

impl LocalHost {
    fn render(&self, values: &Values<'_>) -> Option<String> {
        match self {
            LocalHost::Fixed(host) => Some((*host).to_owned()),
            LocalHost::Below(labels) => Some(render(labels, values)? + ".localhost"),
        }
    }
}

impl Address {
    fn render(&self, values: &Values<'_>) -> Option<String> {
        let (host, port) = (self.host.render(values)?, self.port.render(values)?);
        Some(format!("{host}:{port}"))
    }
}

impl LocalUrl {
    fn render(&self, values: &Values<'_>) -> Option<String> {
        let mut url = format!("{}://{}", self.scheme, render(&self.user, values)?);
        if let Some(host) = &self.host {
            url += &host.render(values)?;
        }
        if let Some(port) = &self.port {
            url.push(':');
            url += &port.render(values)?;
        }
        Some(url + &render(&self.resource, values)?)
    }
}

fn joined(mut items: impl Iterator<Item = Option<String>>) -> Option<String> {
    let first = items.next()??;
    items.try_fold(first, |list, item| Some(list + "," + &item?))
}

fn list<T>(
    pieces: &[Piece],
    item: impl Fn(&[Piece]) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    pieces
        .split(|piece| *piece == Piece::Char(','))
        .map(item)
        .collect()
}

fn port_number(pieces: &[Piece]) -> Result<PortNumber, String> {
    if let [Piece::Port(service)] = pieces {
        return Ok(PortNumber::Of(service.clone()));
    }
    let is_port = |number: &String| {
        let is_number = number.len() <= 5 && number.bytes().all(|byte| byte.is_ascii_digit());
        is_number && number.parse().is_ok_and(|port: u16| port > 0)
    };
    let number = literal(pieces).filter(is_port).ok_or_else(|| {
        format!(
            "{} is not a port: a port is `{{service}}` or a number from 1 to 65535",
            quoted(pieces)
        )
    })?;
    Ok(PortNumber::Literal(number))
}

fn local_host(pieces: &[Piece]) -> Result<LocalHost, String> {
    let text = literal(pieces);
    if let Some(host) = HOSTS.into_iter().find(|host| text.as_deref() == Some(host)) {
        return Ok(LocalHost::Fixed(host));
    }
    let is_label = |label: &[Piece]| {
        !label.is_empty() && label[0] != Piece::Char('-') && forbidden_in(label, "-").is_none()
    };
    let labels = rsplit_once(pieces, '.')
        .filter(|(_, last)| literal(last).as_deref() == Some("localhost"))
        .map(|(labels, _)| labels);
    if let Some(labels) = labels
        && labels
            .split(|piece| *piece == Piece::Char('.'))
            .all(is_label)
    {
        return Ok(LocalHost::Below(labels.to_vec()));
    }
    Err(match text.as_deref() {
        Some("0.0.0.0" | "::" | "[::]") => format!(
            "{} listens for the whole network, which each user decides in their own line",
            quoted(pieces)
        ),
        _ => format!(
            "{} is not a host of this machine: `localhost`, `*.localhost`, `127.0.0.1` and `[::1]` are",
            quoted(pieces)
        ),
    })
}

fn resolvable_host(pieces: &[Piece]) -> Result<LocalHost, String> {
    match local_host(pieces)? {
        LocalHost::Below(_) => Err(format!(
            "{} is for browsers: its resolver may ask the DNS for it",
            quoted(pieces)
        )),
        host @ LocalHost::Fixed(_) => Ok(host),
    }
}

fn address(pieces: &[Piece]) -> Result<Address, String> {
    let (host, port) = rsplit_once(pieces, ':')
        .ok_or_else(|| format!("{} has no `:` before a port", quoted(pieces)))?;
    Ok(Address {
        host: local_host(host)?,
        port: port_number(port)?,
    })
}

fn name(pieces: &[Piece]) -> Result<(), String> {
    if let Some(c) = forbidden_in(pieces, "_-") {
        return Err(format!("{} is not allowed in a name", named(c)));
    }
    match pieces.first() {
        None => Err("it is empty".to_owned()),
        Some(Piece::Char('-')) => Err("it may not start with `-`".to_owned()),
        Some(_) => Ok(()),
    }
}

fn are_digits(pieces: &[Piece]) -> bool {
    let is_digit = |piece: &Piece| match piece {
        Piece::Char(c) => c.is_ascii_digit(),
        Piece::Port(_) | Piece::Slot => true,
        Piece::Worktree { .. } => false,
    };
    !pieces.is_empty() && pieces.iter().all(is_digit)
}

/// Web URLs separated by commas, or one URL of a database.
fn urls(pieces: &[Piece]) -> Result<Vec<LocalUrl>, String> {
    let (scheme, _) = split_at(pieces, "://")
        .ok_or_else(|| format!("{} has no scheme such as `http://`", quoted(pieces)))?;
    if WEB_SCHEMES
        .iter()
        .any(|web| literal(scheme).as_deref() == Some(web))
    {
        list(pieces, web_url)
    } else {
        database_url(pieces).map(|url| vec![url])
    }
}

fn web_url(pieces: &[Piece]) -> Result<LocalUrl, String> {
    let (scheme, rest) = split_at(pieces, "://")
        .ok_or_else(|| format!("{} has no scheme such as `http://`", quoted(pieces)))?;
    let scheme = literal(scheme)
        .filter(|scheme| WEB_SCHEMES.contains(&&**scheme))
        .ok_or_else(|| {
            format!(
                "{} is not a web URL, as the first of the list is",
                quoted(pieces)
            )
        })?;
    let url = url_of(scheme, rest)?;
    if let Some(c) = forbidden_in(&url.resource, "_.:/@%=&+-") {
        return Err(format!("{} is not allowed in a web URL", named(c)));
    }
    match url.host {
        Some(_) => Ok(url),
        None => Err("it has no host".to_owned()),
    }
}

fn database_url(pieces: &[Piece]) -> Result<LocalUrl, String> {
    let (scheme, rest) = split_at(pieces, "://").expect("the caller has found it");
    let scheme = literal(scheme).ok_or("a placeholder is not allowed in a scheme")?;
    let kind = database_scheme(&scheme)?;
    let url = url_of(scheme.clone(), rest)?;
    if let Some(LocalHost::Below(labels)) = &url.host {
        return Err(format!(
            "`{}.localhost` is for browsers: the host of a database is `localhost`, `127.0.0.1` or `[::1]`",
            shown(labels)
        ));
    }
    let (path, query) = match split_once(&url.resource, '?') {
        Some((path, query)) => (path, Some(query)),
        None => (url.resource.as_slice(), None),
    };
    let is_vhost = kind.starts_with("amqp") && literal(path).as_deref() == Some("/%2F");
    let segment = path.strip_prefix(&[Piece::Char('/')]).unwrap_or(path);
    if let Some(c) = forbidden_in(segment, "_-").filter(|_| !is_vhost) {
        return Err(format!(
            "{} is not allowed in the path of a `{kind}` URL, which is one name",
            named(c)
        ));
    }
    let needs_no_host = kind.starts_with("postgres") && url.port.is_none() && !segment.is_empty();
    if url.host.is_none() && !needs_no_host {
        return Err("it has no host".to_owned());
    }
    if let Some(query) = query {
        query
            .split(|piece| *piece == Piece::Char('&'))
            .try_for_each(query_parameter)?;
    }
    Ok(url)
}

/// The scheme without `jdbc:` and driver, if it is one of [`DATABASE_SCHEMES`].
fn database_scheme(scheme: &str) -> Result<&str, String> {
    let bare = scheme.strip_prefix("jdbc:").unwrap_or(scheme);
    let (kind, driver) = match bare.split_once('+') {
        Some((kind, driver)) => (kind, Some(driver)),
        None => (bare, None),
    };
    if !DATABASE_SCHEMES.contains(&kind) {
        let schemes = WEB_SCHEMES.into_iter().chain(DATABASE_SCHEMES);
        return Err(format!(
            "the scheme `{scheme}` is not one of {}",
            schemes.collect::<Vec<_>>().join(", ")
        ));
    }
    if bare != scheme && !WITH_JDBC.contains(&kind) {
        return Err(format!("`jdbc:` is not allowed before `{kind}`"));
    }
    let is_driver = |driver: &str| {
        let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        !driver.is_empty() && driver.bytes().all(is_word) && driver != "srv"
    };
    match driver {
        Some("srv") => Err("`+srv` asks the DNS for the host".to_owned()),
        Some(driver) if !WITH_DRIVER.contains(&kind) || !is_driver(driver) => {
            Err(format!("`+{driver}` is not allowed behind `{kind}`"))
        }
        _ => Ok(kind),
    }
}

/// The scheme that `scheme` most likely means.
pub fn nearest_scheme(scheme: &str) -> Option<&'static str> {
    nearest(scheme, WEB_SCHEMES.into_iter().chain(DATABASE_SCHEMES))
}

fn query_parameter(parameter: &[Piece]) -> Result<(), String> {
    let (key, value) = split_once(parameter, '=')
        .ok_or_else(|| format!("{} in the query is not `key=value`", quoted(parameter)))?;
    let is_known = |key: &String| QUERY_KEYS.contains(&&**key);
    if !literal(key).as_ref().is_some_and(is_known) {
        return Err(format!(
            "{} is not allowed as a key of the query",
            quoted(key)
        ));
    }
    match forbidden_in(value, "_.-") {
        Some(c) => Err(format!(
            "{} is not allowed in a value of the query",
            named(c)
        )),
        None => Ok(()),
    }
}

/// A URL whose scheme is known and whose resource is not checked yet.
fn url_of(scheme: String, rest: &[Piece]) -> Result<LocalUrl, String> {
    let is_end = |piece: &Piece| matches!(piece, Piece::Char('/' | '?'));
    let end = rest.iter().position(is_end).unwrap_or(rest.len());
    let (authority, resource) = rest.split_at(end);
    let (user, address) = match rsplit_once(authority, '@') {
        Some((user, address)) => (&authority[..=user.len()], address),
        None => (&authority[..0], authority),
    };
    if let Some((user, _)) = rsplit_once(user, '@') {
        check_user(user)?;
    }
    let (host, port) = match rsplit_once(address, ':') {
        Some((host, port)) if address.last() != Some(&Piece::Char(']')) => {
            (host, Some(port_number(port)?))
        }
        _ => (address, None),
    };
    let host = match host {
        [] => None,
        host => Some(local_host(host)?),
    };
    if host == Some(LocalHost::Fixed(BARE_IPV6)) {
        return Err(format!("`{BARE_IPV6}` has no brackets: `[{BARE_IPV6}]`"));
    }
    Ok(LocalUrl {
        scheme,
        user: user.to_vec(),
        host,
        port,
        resource: resource.to_vec(),
    })
}

fn check_user(user: &[Piece]) -> Result<(), String> {
    let (user, password) = split_once(user, ':').unwrap_or((user, &[]));
    if user.first() == Some(&Piece::Char('-')) {
        return Err("the user may not start with `-`".to_owned());
    }
    match forbidden_in(user, "_.%+-").or(forbidden_in(password, "_.%+-")) {
        Some(c) => Err(format!("{} is not allowed in a user or password", named(c))),
        None => Ok(()),
    }
}

/// The first character that is no letter, no digit and not in `punctuation`. Every placeholder
/// renders to letters and digits, and `{worktree}` to `-` as well, which all callers allow.
fn forbidden_in(pieces: &[Piece], punctuation: &str) -> Option<char> {
    pieces.iter().find_map(|piece| match piece {
        Piece::Char(c) if c.is_ascii_alphanumeric() || punctuation.contains(*c) => None,
        Piece::Char(c) => Some(*c),
        _ => None,
    })
}

fn named(c: char) -> String {
    match c {
        ' ' => "a space".to_owned(),
        c => format!("`{}`", printable(&c.to_string())),
    }
}

fn quoted(pieces: &[Piece]) -> String {
    match pieces {
        [] => "nothing".to_owned(),
        pieces => format!("`{}`", printable(&shown(pieces))),
    }
}

#[cfg(test)]
mod tests;
