//! What a value may be: ports, local hosts, addresses and URLs, or a plain name. A [`Setting`] is made
//! of what has one of these forms alone, so whatever a branch's config says, it renders to one of them.

use crate::config::nearest::{cut, nearest};
use crate::config::placeholder::{
    Piece, Values, Views, literal, render, rsplit_once, shown, split_at, split_once,
};
use crate::error::printable;

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

/// A value that has an allowed form in the main worktree, and in the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    views: Views,
    /// The form that it has in linked worktrees.
    form: Form,
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
    pub fn new(views: Views, forms: &[Form]) -> Result<Setting, String> {
        let form_of = |pieces: &[Piece], is_main| {
            let mut fitting = forms
                .iter()
                .filter(|form| form.check(pieces, is_main).is_ok());
            fitting
                .next()
                .copied()
                .ok_or_else(|| problem(pieces, forms, is_main))
        };
        let form = form_of(&views.linked, false)?;
        form_of(&views.main, true)
            .map_err(|why| format!("in the main worktree it is `{}`: {why}", shown(&views.main)))?;
        Ok(Setting { views, form })
    }

    /// The value in one worktree; `None` if its bundle lacks a service or the slot.
    pub fn render(&self, values: &Values<'_>) -> Option<String> {
        let Views { main, linked } = &self.views;
        render(if values.is_main { main } else { linked }, values)
    }

    /// Whether it is a name that differs from worktree to worktree, such as that of a compose project.
    pub fn is_own_name(&self) -> bool {
        matches!(self.form, Form::Name | Form::Suffix | Form::Digits)
            && literal(&self.views.linked).is_none()
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
    form.check(pieces, is_main)
        .expect_err("no form fits, this one included")
}

impl Form {
    fn check(self, pieces: &[Piece], is_main: bool) -> Result<(), String> {
        match (self, pieces) {
            (Form::Port, _) => check_each(pieces, check_port),
            (Form::Url, _) => check_urls(pieces),
            (Form::Address, _) => check_each(pieces, check_address),
            (Form::Host, _) => check_each(pieces, check_host),
            (Form::ResolvableHost, _) => check_each(pieces, check_resolvable_host),
            (Form::Name | Form::Suffix, []) if is_main => Ok(()),
            (Form::Suffix, [Piece::Char('-'), bare @ ..]) => check_name(bare),
            (Form::Name | Form::Suffix, _) => check_name(pieces),
            (Form::Digits, _) if are_digits(pieces) => Ok(()),
            (Form::Digits, _) => Err(format!("{} is not a number", quoted(pieces))),
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

/// Checks each item of a list with commas.
fn check_each(pieces: &[Piece], check: fn(&[Piece]) -> Result<(), String>) -> Result<(), String> {
    let mut items = pieces.split(|piece| *piece == Piece::Char(','));
    items.try_for_each(check)
}

fn check_port(pieces: &[Piece]) -> Result<(), String> {
    let is_port = |number: String| {
        let is_number = number.len() <= 5 && number.bytes().all(|byte| byte.is_ascii_digit());
        is_number && number.parse().is_ok_and(|port: u16| port > 0)
    };
    if matches!(pieces, [Piece::Port(_)]) || literal(pieces).is_some_and(is_port) {
        return Ok(());
    }
    let what = quoted(pieces);
    Err(format!(
        "{what} is not a port: a port is `{{service}}` or a number from 1 to 65535"
    ))
}

fn is_fixed_host(pieces: &[Piece]) -> bool {
    literal(pieces).is_some_and(|text| HOSTS.contains(&&*text))
}

fn check_host(pieces: &[Piece]) -> Result<(), String> {
    let is_label = |label: &[Piece]| {
        !matches!(label, [] | [Piece::Char('-'), ..]) && check_characters(label, "-", "").is_ok()
    };
    // Browsers and curl take names below `localhost` for this machine (RFC 6761).
    let is_below_localhost = rsplit_once(pieces, '.').is_some_and(|(labels, last)| {
        let mut labels = labels.split(|piece| *piece == Piece::Char('.'));
        literal(last).as_deref() == Some("localhost") && labels.all(is_label)
    });
    if is_fixed_host(pieces) || is_below_localhost {
        return Ok(());
    }
    let why = match literal(pieces).as_deref() {
        Some("0.0.0.0" | "::" | "[::]") => {
            "listens for the whole network, which each user decides in their own line"
        }
        _ => {
            "is not a host of this machine: `localhost`, `*.localhost`, `127.0.0.1` and `[::1]` are"
        }
    };
    Err(format!("{} {why}", quoted(pieces)))
}

fn check_resolvable_host(pieces: &[Piece]) -> Result<(), String> {
    check_host(pieces)?;
    if is_fixed_host(pieces) {
        return Ok(());
    }
    let host = quoted(pieces);
    Err(format!(
        "{host} is for browsers; databases may ask the DNS for it"
    ))
}

fn check_address(pieces: &[Piece]) -> Result<(), String> {
    let (host, port) = rsplit_once(pieces, ':')
        .ok_or_else(|| format!("{} has no `:` before a port", quoted(pieces)))?;
    check_host(host)?;
    check_port(port)
}

fn check_name(pieces: &[Piece]) -> Result<(), String> {
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

/// Checks web URLs separated by commas, or one URL of a database.
fn check_urls(pieces: &[Piece]) -> Result<(), String> {
    let (scheme, rest) = split_scheme(pieces)?;
    if has(WEB_SCHEMES, &scheme) {
        check_each(pieces, check_web_url)
    } else {
        check_database_url(&scheme, rest)
    }
}

fn split_scheme(pieces: &[Piece]) -> Result<(String, &[Piece]), String> {
    let (scheme, rest) = split_at(pieces, "://")
        .ok_or_else(|| format!("{} has no scheme such as `http://`", quoted(pieces)))?;
    let scheme = literal(scheme).ok_or("a placeholder is not allowed in a scheme")?;
    Ok((scheme, rest))
}

fn check_web_url(pieces: &[Piece]) -> Result<(), String> {
    let (scheme, rest) = split_scheme(pieces)?;
    if !has(WEB_SCHEMES, &scheme) {
        let url = quoted(pieces);
        return Err(format!(
            "{url} is not a web URL, as the first of the list is"
        ));
    }
    let (address, path) = split_authority(rest, check_host)?;
    check_characters(path, "_.:/@%=&+-", " in a web URL")?;
    if address.is_empty() {
        return Err("it has no host".to_owned());
    }
    Ok(())
}

fn check_database_url(scheme: &str, rest: &[Piece]) -> Result<(), String> {
    let kind = database_scheme(scheme)?;
    let (address, resource) = split_authority(rest, check_resolvable_host)?;
    let (path, query) = match split_once(resource, '?') {
        Some((path, query)) => (path, Some(query)),
        None => (resource, None),
    };
    let segment = path.strip_prefix(&[Piece::Char('/')]).unwrap_or(path);
    if !(kind.starts_with("amqp") && literal(path).as_deref() == Some("/%2F")) {
        let place = " in the path of a database, which is one name";
        check_characters(segment, "_-", place)?;
    }
    let needs_no_host = kind.starts_with("postgres") && !segment.is_empty();
    if address.is_empty() && !needs_no_host {
        return Err("it has no host".to_owned());
    }
    let mut parameters = query
        .iter()
        .flat_map(|query| query.split(|piece| *piece == Piece::Char('&')));
    parameters.try_for_each(check_parameter)
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
        let scheme = cut(scheme);
        return Err(format!("the scheme `{scheme}` is not one of {schemes}"));
    }
    if bare != scheme && !has(WITH_JDBC, kind) {
        return Err(format!("`jdbc:` is not allowed before `{kind}`"));
    }
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let may_name =
        |driver: &str| has(WITH_DRIVER, kind) && !driver.is_empty() && driver.bytes().all(is_word);
    match driver {
        Some("srv") => Err("`+srv` asks the DNS for the host".to_owned()),
        Some(driver) if !may_name(driver) => {
            Err(format!("`+{}` is not allowed behind `{kind}`", cut(driver)))
        }
        _ => Ok(kind),
    }
}

fn check_parameter(parameter: &[Piece]) -> Result<(), String> {
    let (key, value) = split_once(parameter, '=')
        .ok_or_else(|| format!("{} in the query is not `key=value`", quoted(parameter)))?;
    if !literal(key).is_some_and(|key| has(QUERY_KEYS, &key)) {
        let key = quoted(key);
        return Err(format!("{key} is not allowed as a key of the query"));
    }
    check_characters(value, "_.-", " in a value of the query")
}

/// Splits what follows a scheme into the address, which may be empty, and the path with the query.
/// The address is checked, and so is the user before it.
fn split_authority(
    rest: &[Piece],
    check_host: fn(&[Piece]) -> Result<(), String>,
) -> Result<(&[Piece], &[Piece]), String> {
    let is_end = |piece: &Piece| matches!(piece, Piece::Char('/' | '?'));
    let end = rest.iter().position(is_end).unwrap_or(rest.len());
    let (authority, resource) = rest.split_at(end);
    let address = match rsplit_once(authority, '@') {
        Some((user, address)) => check_user(user).map(|()| address)?,
        None => authority,
    };
    let (host, port) = match rsplit_once(address, ':') {
        Some((host, port)) if address.last() != Some(&Piece::Char(']')) => (host, Some(port)),
        _ => (address, None),
    };
    if literal(host).as_deref() == Some(BARE_IPV6) {
        return Err(format!("`{BARE_IPV6}` has no brackets: `[{BARE_IPV6}]`"));
    }
    if host.is_empty() && port.is_some() {
        return Err("it has no host".to_owned());
    }
    if !host.is_empty() {
        check_host(host)?;
    }
    port.map_or(Ok(()), check_port)?;
    Ok((address, resource))
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
