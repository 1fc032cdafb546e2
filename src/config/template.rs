//! `http://{worktree}.localhost:{web}`: a value with placeholders, parsed once into one that can name
//! only ports of this machine, whatever its placeholders render to.

use crate::config::Service;
use crate::config::nearest::suggestion;
use crate::error::printable;
use crate::ports::{Bundle, ServiceName};

/// What templates are rendered from.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    /// The ports for `{service}` and the slot for `{slot}`.
    pub bundle: &'a Bundle,
    /// The DNS label for `{worktree}`, made by [`label`](crate::config::label::label).
    pub label: &'a str,
}

/// A value with placeholders that has the form it was parsed as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Port(ServiceName),
    Slot,
    Worktree,
}

/// What a value may look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `{web}`
    Port,
    /// `{web},{api}`
    Ports,
    /// `[jdbc:]<scheme>://[<user>@]<host>:{web}[/<path>][?<query>]`
    Url,
    /// URLs and addresses, separated by commas.
    Urls,
    /// `{worktree}.localhost`, or an address: `localhost:{web}`
    Host,
    /// `shop-{slot}`
    Name,
}

/// The characters besides letters and digits that a value may have. None of them means anything to
/// a reader of env files, and only `&` does to a shell, for which it is quoted.
const PUNCTUATION: &str = "_.:/@%?=&+[]-";

/// What a label of a host name and a name may have besides letters and digits.
const NAME_PUNCTUATION: &str = "_-";

/// The schemes whose URLs name a file or a program to run, whatever host seems to stand in them.
const WITHOUT_PORT: [&str; 6] = ["about", "blob", "data", "file", "javascript", "vbscript"];

/// The keys by which a query overrides the host of the URL: libpq and drivers of JDBC, ODBC and Mongo
/// would connect to what they name.
const REDIRECTING_KEYS: [&str; 10] = [
    "host",
    "hostaddr",
    "service",
    "servicefile",
    "passfile",
    "socketfactory",
    "socksproxyhost",
    "pghost",
    "proxyhost",
    "odbc_connect",
];

const NO_OWN_HOST: &str = "its host must be `localhost`, `*.localhost`, `127.0.0.1` or `[::1]`, followed by `:{service}` and then nothing, `/…` or `?…`";

impl Template {
    /// The template `text`, if it has that form and its services are among `services`.
    ///
    /// # Errors
    /// What is wrong with it and what is allowed.
    pub fn parse(text: &str, form: Form, services: &[Service]) -> Result<Template, String> {
        let pieces = pieces(text, services)?;
        form.check_characters(&pieces)?;
        form.check(text)?;
        match pieces.as_slice() {
            [] | [Piece::Text(_)] => Err(
                "it has no placeholder, so all worktrees would share it; use `{service}`, `{slot}` or `{worktree}`"
                    .to_owned(),
            ),
            _ => Ok(Template(pieces)),
        }
    }

    /// The value for one worktree; `None` if the bundle lacks a service or the slot of it.
    pub fn render(&self, values: &Values<'_>) -> Option<String> {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(piece) => text.push_str(piece),
                Piece::Port(service) => text += &values.bundle.port(service)?.to_string(),
                Piece::Slot => text += &values.bundle.slot?.to_string(),
                Piece::Worktree => text.push_str(values.label),
            }
        }
        Some(text)
    }
}

/// Splits a template at its placeholders.
fn pieces(template: &str, services: &[Service]) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = template;
    while let Some((text, behind)) = rest.split_once('{') {
        let (name, behind) = behind.split_once('}').ok_or("`{` has no `}`")?;
        pieces.extend((!text.is_empty()).then(|| Piece::Text(text.to_owned())));
        pieces.push(placeholder(name, services)?);
        rest = behind;
    }
    pieces.extend((!rest.is_empty()).then(|| Piece::Text(rest.to_owned())));
    Ok(pieces)
}

fn placeholder(name: &str, services: &[Service]) -> Result<Piece, String> {
    match name {
        "slot" => return Ok(Piece::Slot),
        "worktree" => return Ok(Piece::Worktree),
        _ => {}
    }
    let mut names = services.iter().map(|service| &service.name);
    if let Some(service) = names.find(|service| service.as_str() == name) {
        return Ok(Piece::Port(service.clone()));
    }
    let services = services.iter().map(|service| service.name.as_str());
    let available = services.chain(["slot", "worktree"]);
    Err(format!(
        "unknown placeholder {}",
        suggestion(name, available, |name| format!("`{{{name}}}`"))
    ))
}

impl Form {
    fn check_characters(self, pieces: &[Piece]) -> Result<(), String> {
        let is_list = matches!(self, Form::Ports | Form::Urls);
        let is_allowed =
            |c: char| c.is_ascii_alphanumeric() || PUNCTUATION.contains(c) || (is_list && c == ',');
        let texts = pieces.iter().filter_map(|piece| match piece {
            Piece::Text(text) => Some(text),
            _ => None,
        });
        match texts
            .flat_map(|text| text.chars())
            .find(|&c| !is_allowed(c))
        {
            Some(c) => Err(format!(
                "`{}` is not allowed; letters, digits and `{PUNCTUATION}` are",
                printable(&c.to_string())
            )),
            None => Ok(()),
        }
    }

    /// Checks a template whose placeholders are known and closed. None of the characters at which it
    /// is split stands in a placeholder.
    fn check(self, template: &str) -> Result<(), String> {
        match self {
            Form::Port if is_port(template) => Ok(()),
            Form::Port => Err("it must be a port: `{service}`".to_owned()),
            Form::Ports if template.split(',').all(is_port) => Ok(()),
            Form::Ports => Err("it must be ports, separated by commas: `{service},…`".to_owned()),
            Form::Url => check_url(template),
            Form::Urls => template.split(',').try_for_each(|part| {
                if is_address(part) { Ok(()) } else { check_url(part) }
            }),
            Form::Host if is_own_host(template) || is_address(template) => Ok(()),
            Form::Host => Err(
                "it must be a host of this machine, such as `{worktree}.localhost`, or an address: `localhost:{service}`"
                    .to_owned(),
            ),
            Form::Name if is_made_of(template, NAME_PUNCTUATION) => Ok(()),
            Form::Name => Err(
                "it must be a name: letters, digits, `_` and `-`, with `{slot}` or `{worktree}`"
                    .to_owned(),
            ),
        }
    }
}

/// Whether `part` is one `{service}`.
fn is_port(part: &str) -> bool {
    let name = part
        .strip_prefix('{')
        .and_then(|part| part.strip_suffix('}'));
    name.is_some_and(|name| !name.contains('}') && !["slot", "worktree"].contains(&name))
}

/// Whether `part` has nothing but letters, digits, that punctuation, `{slot}` and `{worktree}`:
/// these two render to letters, digits and `-`.
fn is_made_of(part: &str, punctuation: &str) -> bool {
    let part = part.replace("{slot}", "").replace("{worktree}", "");
    part.chars()
        .all(|c| c.is_ascii_alphanumeric() || punctuation.contains(c))
}

fn is_address(part: &str) -> bool {
    let host_and_port = part.rsplit_once(':');
    host_and_port.is_some_and(|(host, port)| is_own_host(host) && is_port(port))
}

/// Whether `host` always names this machine. Browsers and resolvers take every name below
/// `localhost` for it (RFC 6761).
fn is_own_host(host: &str) -> bool {
    let is_label = |label: &str| !label.is_empty() && is_made_of(label, NAME_PUNCTUATION);
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
        || host
            .strip_suffix(".localhost")
            .is_some_and(|labels| labels.split('.').all(is_label))
}

fn check_url(url: &str) -> Result<(), String> {
    let without_jdbc = url.strip_prefix("jdbc:").unwrap_or(url);
    let (scheme, rest) = without_jdbc
        .split_once("://")
        .ok_or("it must start with a scheme, such as `http://`")?;
    check_scheme(scheme)?;
    let (authority, behind) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (user, address) = match authority.split_once('@') {
        Some((user, address)) => (Some(user), address),
        None => (None, authority),
    };
    if user.is_some_and(|user| user.is_empty() || !is_made_of(user, "_.:%=&+-")) {
        return Err("what stands before `@` must be a user, or `user:password`".to_owned());
    }
    if !is_address(address) {
        return Err(NO_OWN_HOST.to_owned());
    }
    if !is_made_of(behind, PUNCTUATION) {
        return Err("a `{service}` may stand for the port alone".to_owned());
    }
    // Some take what stands before a later `@` for the user, and what stands behind it for the host:
    // libpq up to the first `/`, SQLAlchemy anywhere.
    if behind.contains('@') {
        return Err("`@` is not allowed behind the port; write `%40`".to_owned());
    }
    match behind.split_once('?') {
        Some((_, query)) => check_query(query),
        None => Ok(()),
    }
}

fn check_scheme(scheme: &str) -> Result<(), String> {
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_lowercase())
        && scheme
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c));
    if !is_scheme {
        return Err(format!(
            "`{scheme}` is not a scheme; lower-case letters, digits and `+-.` are allowed, and `jdbc:` once before it"
        ));
    }
    if WITHOUT_PORT.contains(&scheme) || scheme == "jdbc" {
        return Err(format!("a URL of the scheme `{scheme}` has no port"));
    }
    Ok(())
}

fn check_query(query: &str) -> Result<(), String> {
    for parameter in query.split(['&', '?']) {
        let key = parameter.split('=').next().unwrap_or_default();
        // A worktree may be called `host`, and `%6{slot}ost` is `host` in slot 8.
        if key.contains('{') {
            return Err("a placeholder is not allowed in a key of a query".to_owned());
        }
        let key = percent_decoded(key).to_ascii_lowercase();
        if let Some(key) = REDIRECTING_KEYS.iter().find(|&&other| other == key) {
            return Err(format!(
                "`{key}` is not allowed in a query, because it leads to another machine"
            ));
        }
    }
    Ok(())
}

/// `text` with each `%` and two hexadecimal digits replaced by the byte that they stand for.
fn percent_decoded(text: &str) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        rest = behind;
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let escaped = match (first, behind) {
            (b'%', [high, low, ..]) => digit(*high).zip(digit(*low)),
            _ => None,
        };
        match escaped.and_then(|(high, low)| u8::try_from(high * 16 + low).ok()) {
            Some(byte) => {
                decoded.push(byte);
                rest = &behind[2..];
            }
            None => decoded.push(*first),
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
pub mod tests;
