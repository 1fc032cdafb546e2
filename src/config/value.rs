//! What a value may be: ports, local hosts, addresses and URLs, or a plain name. The types have no
//! room for anything else, so whatever a branch's config says, it renders to one of these.

use crate::config::nearest::{cut, nearest};
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
    Endpoints(Vec<Endpoint>),
    /// Letters, digits, `_` and `-`.
    Name(Vec<Piece>),
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

/// A host, an address or a URL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Endpoint {
    /// `http://`
    scheme: String,
    /// `user:password@`
    user: Vec<Piece>,
    /// `None` in `postgres:///name` alone.
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

const WEB_SCHEMES: &str = "http https ws wss";

/// The schemes of databases and queues. Of any other scheme it is not known whether what looks like
/// the host is the host.
const DATABASE_SCHEMES: &str = "postgres postgresql mysql mariadb mongodb redis rediss amqp amqps \
                                nats bolt neo4j smtp smtps";

/// Those that may name a driver: `postgresql+asyncpg`.
const WITH_DRIVER: &str = "postgres postgresql mysql mariadb";

const WITH_JDBC: &str = "postgresql mysql mariadb";

/// The keys of a query that name no file, host or program to any driver.
const QUERY_KEYS: &str = "sslmode ssl schema currentSchema application_name connect_timeout \
                          connection_limit pool_timeout pool_size pgbouncer charset encoding \
                          serverVersion replicaSet directConnection authSource retryWrites w \
                          heartbeat db prefix allowPublicKeyRetrieval useSSL";

/// Whether `list` has that word.
fn has(list: &str, word: &str) -> bool {
    list.split_whitespace().any(|other| other == word)
}

fn schemes() -> impl Iterator<Item = &'static str> + Clone {
    WEB_SCHEMES.split(' ').chain(DATABASE_SCHEMES.split(' '))
}

/// The scheme that `scheme` most likely means.
pub fn nearest_scheme(scheme: &str) -> Option<&'static str> {
    nearest(scheme, schemes())
}

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
        let value = if values.is_main {
            &self.main
        } else {
            &self.linked
        };
        match value {
            LocalValue::Ports(ports) => joined(ports.iter().map(|port| port.render(values))),
            LocalValue::Endpoints(list) => joined(list.iter().map(|item| item.render(values))),
            LocalValue::Name(pieces) => render(pieces, values),
        }
    }

    /// Whether it is a name that differs from worktree to worktree, such as that of a compose project.
    pub fn is_own_name(&self) -> bool {
        matches!(&self.linked, LocalValue::Name(name) if literal(name).is_none())
    }
}

/// What is wrong with a value that has none of the `forms`.
fn problem(pieces: &[Piece], forms: &[Form], is_main: bool) -> String {
    if let Err(why) = check_characters(pieces, PUNCTUATION, "") {
        return why;
    }
    let resembled = match split_at(pieces, "://") {
        Some(_) => Some(Form::Url),
        None => pieces.contains(&Piece::Char(':')).then_some(Form::Address),
    };
    let form = forms.iter().find(|form| Some(**form) == resembled);
    let form = form.or(forms.first()).expect("every name allows a form");
    form.parse(pieces, is_main)
        .expect_err("no form fits, this one included")
}

impl Form {
    fn parse(self, pieces: &[Piece], is_main: bool) -> Result<LocalValue, String> {
        match self {
            Form::Port => list(pieces, port_number).map(LocalValue::Ports),
            Form::Url => urls(pieces).map(LocalValue::Endpoints),
            Form::Address => list(pieces, address).map(LocalValue::Endpoints),
            Form::Host => list(pieces, host).map(LocalValue::Endpoints),
            Form::ResolvableHost => list(pieces, resolvable_host).map(LocalValue::Endpoints),
            Form::Name if is_main && pieces.is_empty() => Ok(LocalValue::Name(Vec::new())),
            Form::Name => name(pieces).map(|()| LocalValue::Name(pieces.to_vec())),
            Form::Suffix => match pieces {
                [Piece::Char('-'), bare @ ..] => {
                    name(bare).map(|()| LocalValue::Name(pieces.to_vec()))
                }
                _ => Form::Name.parse(pieces, is_main),
            },
            Form::Digits if are_digits(pieces) => Ok(LocalValue::Name(pieces.to_vec())),
            Form::Digits => Err(format!("{} is not a number", quoted(pieces))),
        }
    }

    /// A value of this form for the variable `name`, of the service called `service`.
    pub fn example(self, name: &str, service: &str) -> String {
        let name = name.to_ascii_lowercase();
        match self {
            Form::Port => format!("{{{service}}}"),
            Form::Url if name.contains("database") || name.starts_with("db_") => {
                format!("postgres://localhost:{{{service}}}/app{{_worktree}}")
            }
            Form::Url => {
                let scheme = DATABASE_SCHEMES
                    .split(' ')
                    .find(|scheme| name.contains(scheme));
                format!("{}://localhost:{{{service}}}", scheme.unwrap_or("http"))
            }
            Form::Address => format!("localhost:{{{service}}}"),
            Form::Host | Form::ResolvableHost => "localhost".to_owned(),
            Form::Name => "app{-worktree}".to_owned(),
            Form::Suffix => "{-worktree}".to_owned(),
            Form::Digits => "{slot}".to_owned(),
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

impl Endpoint {
    fn render(&self, values: &Values<'_>) -> Option<String> {
        let mut text = self.scheme.clone() + &render(&self.user, values)?;
        match &self.host {
            Some(LocalHost::Fixed(host)) => text += host,
            Some(LocalHost::Below(labels)) => text += &(render(labels, values)? + ".localhost"),
            None => {}
        }
        if let Some(port) = &self.port {
            text = text + ":" + &port.render(values)?;
        }
        Some(text + &render(&self.resource, values)?)
    }
}

fn joined(items: impl Iterator<Item = Option<String>>) -> Option<String> {
    Some(items.collect::<Option<Vec<_>>>()?.join(","))
}

fn list<T>(
    pieces: &[Piece],
    item: impl Fn(&[Piece]) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    let items = pieces.split(|piece| *piece == Piece::Char(','));
    items.map(item).collect()
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
        let starts_well = label
            .first()
            .is_some_and(|first| *first != Piece::Char('-'));
        starts_well && check_characters(label, "-", "").is_ok()
    };
    if let Some((labels, last)) = rsplit_once(pieces, '.')
        && literal(last).as_deref() == Some("localhost")
        && labels
            .split(|piece| *piece == Piece::Char('.'))
            .all(is_label)
    {
        return Ok(LocalHost::Below(labels.to_vec()));
    }
    let why = match text.as_deref() {
        Some("0.0.0.0" | "::" | "[::]") => {
            "listens for the whole network, which each user decides in their own line"
        }
        _ => {
            "is not a host of this machine: `localhost`, `*.localhost`, `127.0.0.1` and `[::1]` are"
        }
    };
    Err(format!("{} {why}", quoted(pieces)))
}

fn host(pieces: &[Piece]) -> Result<Endpoint, String> {
    Ok(Endpoint {
        host: Some(local_host(pieces)?),
        ..Endpoint::default()
    })
}

fn resolvable_host(pieces: &[Piece]) -> Result<Endpoint, String> {
    let endpoint = host(pieces)?;
    check_resolvable(&endpoint)?;
    Ok(endpoint)
}

fn check_resolvable(endpoint: &Endpoint) -> Result<(), String> {
    match &endpoint.host {
        Some(LocalHost::Below(labels)) => Err(format!(
            "`{}.localhost` is for browsers; databases may ask the DNS for it",
            shown(labels)
        )),
        _ => Ok(()),
    }
}

fn address(pieces: &[Piece]) -> Result<Endpoint, String> {
    let (host, port) = rsplit_once(pieces, ':')
        .ok_or_else(|| format!("{} has no `:` before a port", quoted(pieces)))?;
    Ok(Endpoint {
        host: Some(local_host(host)?),
        port: Some(port_number(port)?),
        ..Endpoint::default()
    })
}

fn name(pieces: &[Piece]) -> Result<(), String> {
    check_characters(pieces, "_-", " in a name")?;
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
fn urls(pieces: &[Piece]) -> Result<Vec<Endpoint>, String> {
    let (scheme, rest) = split_scheme(pieces)?;
    if has(WEB_SCHEMES, &scheme) {
        list(pieces, web_url)
    } else {
        Ok(vec![database_url(&scheme, rest)?])
    }
}

fn split_scheme(pieces: &[Piece]) -> Result<(String, &[Piece]), String> {
    let (scheme, rest) = split_at(pieces, "://")
        .ok_or_else(|| format!("{} has no scheme such as `http://`", quoted(pieces)))?;
    let scheme = literal(scheme).ok_or("a placeholder is not allowed in a scheme")?;
    Ok((scheme, rest))
}

fn web_url(pieces: &[Piece]) -> Result<Endpoint, String> {
    let (scheme, rest) = split_scheme(pieces)?;
    if !has(WEB_SCHEMES, &scheme) {
        let url = quoted(pieces);
        return Err(format!(
            "{url} is not a web URL, as the first of the list is"
        ));
    }
    let url = url_of(&scheme, rest)?;
    check_characters(&url.resource, "_.:/@%=&+-", " in a web URL")?;
    if url.host.is_none() {
        return Err("it has no host".to_owned());
    }
    Ok(url)
}

fn database_url(scheme: &str, rest: &[Piece]) -> Result<Endpoint, String> {
    let kind = database_scheme(scheme)?;
    let url = url_of(scheme, rest)?;
    check_resolvable(&url)?;
    let (path, query) = match split_once(&url.resource, '?') {
        Some((path, query)) => (path, Some(query)),
        None => (url.resource.as_slice(), None),
    };
    let segment = path.strip_prefix(&[Piece::Char('/')]).unwrap_or(path);
    if !(kind.starts_with("amqp") && literal(path).as_deref() == Some("/%2F")) {
        check_characters(
            segment,
            "_-",
            " in the path of a database, which is one name",
        )?;
    }
    let needs_no_host = kind.starts_with("postgres") && url.port.is_none() && !segment.is_empty();
    if url.host.is_none() && !needs_no_host {
        return Err("it has no host".to_owned());
    }
    let mut parameters = query
        .iter()
        .flat_map(|query| query.split(|piece| *piece == Piece::Char('&')));
    parameters.try_for_each(check_parameter)?;
    Ok(url)
}

/// The scheme without `jdbc:` and driver, if it is one of [`DATABASE_SCHEMES`].
fn database_scheme(scheme: &str) -> Result<&str, String> {
    let bare = scheme.strip_prefix("jdbc:").unwrap_or(scheme);
    let (kind, driver) = match bare.split_once('+') {
        Some((kind, driver)) => (kind, Some(driver)),
        None => (bare, None),
    };
    if !has(DATABASE_SCHEMES, kind) {
        let schemes = schemes().collect::<Vec<_>>().join(", ");
        return Err(format!(
            "the scheme `{}` is not one of {schemes}",
            cut(scheme)
        ));
    }
    if bare != scheme && !has(WITH_JDBC, kind) {
        return Err(format!("`jdbc:` is not allowed before `{kind}`"));
    }
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    match driver {
        None => Ok(kind),
        Some("srv") => Err("`+srv` asks the DNS for the host".to_owned()),
        Some(driver)
            if has(WITH_DRIVER, kind) && !driver.is_empty() && driver.bytes().all(is_word) =>
        {
            Ok(kind)
        }
        Some(driver) => Err(format!("`+{}` is not allowed behind `{kind}`", cut(driver))),
    }
}

fn check_parameter(parameter: &[Piece]) -> Result<(), String> {
    let (key, value) = split_once(parameter, '=')
        .ok_or_else(|| format!("{} in the query is not `key=value`", quoted(parameter)))?;
    if !literal(key).is_some_and(|key| has(QUERY_KEYS, &key)) {
        return Err(format!(
            "{} is not allowed as a key of the query",
            quoted(key)
        ));
    }
    check_characters(value, "_.-", " in a value of the query")
}

/// A URL whose scheme is known and whose resource is not checked yet.
fn url_of(scheme: &str, rest: &[Piece]) -> Result<Endpoint, String> {
    let is_end = |piece: &Piece| matches!(piece, Piece::Char('/' | '?'));
    let end = rest.iter().position(is_end).unwrap_or(rest.len());
    let (authority, resource) = rest.split_at(end);
    let at = authority
        .iter()
        .rposition(|piece| *piece == Piece::Char('@'));
    let (user, address) = authority.split_at(at.map_or(0, |at| at + 1));
    if let [user @ .., _] = user {
        check_user(user)?;
    }
    let (host, port) = match rsplit_once(address, ':') {
        Some((host, port)) if address.last() != Some(&Piece::Char(']')) => (host, Some(port)),
        _ => (address, None),
    };
    if literal(host).as_deref() == Some(BARE_IPV6) {
        return Err(format!("`{BARE_IPV6}` has no brackets: `[{BARE_IPV6}]`"));
    }
    Ok(Endpoint {
        scheme: format!("{scheme}://"),
        user: user.to_vec(),
        host: match host {
            [] => None,
            host => Some(local_host(host)?),
        },
        port: port.map(port_number).transpose()?,
        resource: resource.to_vec(),
    })
}

fn check_user(user: &[Piece]) -> Result<(), String> {
    if user.first() == Some(&Piece::Char('-')) {
        return Err("the user may not start with `-`".to_owned());
    }
    let (user, password) = split_once(user, ':').unwrap_or((user, &[]));
    check_characters(user, "_.%+-", " in a user")?;
    check_characters(password, "_.%+-", " in a password")
}

/// Refuses characters that are no letters, no digits and not in `punctuation`. Every placeholder
/// renders to letters and digits, and `{worktree}` to `-` as well, which all callers allow.
fn check_characters(pieces: &[Piece], punctuation: &str, place: &str) -> Result<(), String> {
    let refused = pieces.iter().find_map(|piece| match piece {
        Piece::Char(c) if !c.is_ascii_alphanumeric() && !punctuation.contains(*c) => Some(*c),
        _ => None,
    });
    match refused {
        None => Ok(()),
        Some(' ') => Err(format!("a space is not allowed{place}")),
        Some(c) => Err(format!(
            "`{}` is not allowed{place}",
            printable(&c.to_string())
        )),
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
