//! What a value may be: ports, local hosts, addresses and URLs, or a plain name. A [`Setting`] always has
//! one of these forms, whatever a branch's config says.

use crate::config::Service;
use crate::config::nearest::cut;
use crate::config::placeholder::{Values, render, split, with_braces};
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

/// A text with placeholders whose value has an allowed form in every worktree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    text: String,
    /// The form that it has in linked worktrees.
    form: Form,
}

/// The punctuation that some form of value allows.
const PUNCTUATION: &str = "_.:/@%?=&+[],-";

const HOSTS: [&str; 4] = ["localhost", "127.0.0.1", "[::1]", BARE_IPV6];

/// An address that needs brackets in a URL.
const BARE_IPV6: &str = "::1";

const WEB_SCHEMES: &str = "http https ws wss";

/// The schemes of databases and queues. In a URL with another scheme, what looks like the host may be
/// something else.
const DATABASE_SCHEMES: &str = "postgres postgresql mysql mariadb mongodb redis rediss amqp amqps \
                                nats bolt neo4j smtp smtps";

/// The schemes that a driver may follow: `postgresql+asyncpg`.
const WITH_DRIVER: &str = "postgres postgresql mysql mariadb";

const WITH_JDBC: &str = "postgresql mysql mariadb";

/// The keys of a query that no driver takes for the name of a file, a host or a program.
const QUERY_KEYS: &str = "sslmode ssl schema currentSchema application_name connect_timeout \
                          connection_limit pool_timeout pool_size pgbouncer charset encoding \
                          serverVersion replicaSet directConnection authSource retryWrites w \
                          heartbeat db prefix allowPublicKeyRetrieval useSSL";

/// Whether `word` is one of the words in `list`.
pub fn has(list: &str, word: &str) -> bool {
    list.split(' ').any(|other| other == word)
}

pub fn schemes() -> impl Iterator<Item = &'static str> {
    WEB_SCHEMES.split(' ').chain(DATABASE_SCHEMES.split(' '))
}

impl Setting {
    /// Checks `text`, in which all placeholders are known, and takes the first of the `forms` that fits. In
    /// the main worktree, a name may be empty.
    ///
    /// # Errors
    /// What is wrong with it, judged by the form that it resembles most.
    pub fn new(text: &str, forms: &[Form]) -> Result<Setting, String> {
        let form_of = |text: &str| {
            let form = forms.iter().find(|form| form.check(text).is_ok());
            form.copied().ok_or_else(|| problem(text, forms))
        };
        let form = form_of(&with_braces(text, false))?;
        let in_main = with_braces(text, true);
        let may_be_empty = forms.contains(&Form::Name) || forms.contains(&Form::Suffix);
        if !in_main.is_empty() || !may_be_empty {
            form_of(&in_main)
                .map_err(|why| format!("in the main worktree it is `{}`: {why}", cut(&in_main)))?;
        }
        let text = text.to_owned();
        Ok(Setting { text, form })
    }

    /// The value in one worktree; `None` if its bundle lacks a service.
    pub fn render(&self, values: &Values<'_>) -> Option<String> {
        render(&self.text, values)
    }

    /// Whether it is a name that differs from worktree to worktree, such as that of a compose project.
    pub fn is_own_name(&self) -> bool {
        matches!(self.form, Form::Name | Form::Suffix | Form::Digits) && self.text.contains('{')
    }
}

/// What is wrong with a value that has none of these `forms`.
fn problem(text: &str, forms: &[Form]) -> String {
    if let Err(why) = check_characters(text, PUNCTUATION, "") {
        return why;
    }
    let resembles = |form: &&Form| match form {
        Form::Url => text.contains("://"),
        Form::Address => text.contains(':') && !text.contains("://"),
        _ => false,
    };
    let form = forms.iter().find(resembles).unwrap_or(&forms[0]);
    form.check(text)
        .expect_err("no form fits, this one included")
}

// The checks get texts in which the names of placeholders stand in braces.
impl Form {
    fn check(self, text: &str) -> Result<(), String> {
        match self {
            Form::Port => check_each(text, check_port),
            Form::Url => check_urls(text),
            Form::Address => check_each(text, check_address),
            Form::Host => check_each(text, check_host),
            Form::ResolvableHost => check_each(text, check_resolvable_host),
            Form::Name => check_name(text),
            Form::Suffix => check_name(text.strip_prefix('-').unwrap_or(text)),
            Form::Digits => check_digits(text),
        }
    }

    /// A value of this form for the variable `name`, which names `service` or a worktree.
    pub fn example(self, name: &str, service: &Service) -> String {
        let name = name.to_ascii_lowercase();
        let service = &service.name;
        match self {
            Form::Port => format!("{{{service}}}"),
            Form::Url if name.contains("database") || name.starts_with("db_") => {
                format!("postgres://localhost:{{{service}}}/app{{_worktree}}")
            }
            Form::Url => {
                let mut schemes = DATABASE_SCHEMES.split(' ');
                let scheme = schemes.find(|scheme| name.contains(scheme));
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
fn check_each(text: &str, check: fn(&str) -> Result<(), String>) -> Result<(), String> {
    text.split(',').try_for_each(check)
}

fn check_port(text: &str) -> Result<(), String> {
    let is_number = text.len() <= 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_port = is_number && text.parse().is_ok_and(|port: u16| port > 0);
    let is_placeholder = text.rfind('{') == Some(0) && text.find('}') == Some(text.len() - 1);
    if is_port || is_placeholder && !["{slot}", "{worktree}"].contains(&text) {
        return Ok(());
    }
    let what = quoted(text);
    Err(format!(
        "{what} is not a port: a port is `{{service}}` or a number from 1 to 65535"
    ))
}

fn check_host(text: &str) -> Result<(), String> {
    let is_label = |label: &str| {
        !label.is_empty() && !label.starts_with('-') && check_characters(label, "-", "").is_ok()
    };
    // Browsers and curl take names below `localhost` for this machine (RFC 6761).
    let labels = text.strip_suffix(".localhost");
    if HOSTS.contains(&text) || labels.is_some_and(|labels| labels.split('.').all(is_label)) {
        return Ok(());
    }
    let why = match text {
        "0.0.0.0" | "::" | "[::]" => {
            "listens on all interfaces, which each user chooses in a line of their own"
        }
        _ => {
            "is not a host of this machine: `localhost`, `*.localhost`, `127.0.0.1` and `[::1]` are"
        }
    };
    Err(format!("{} {why}", quoted(text)))
}

fn check_resolvable_host(text: &str) -> Result<(), String> {
    match check_host(text) {
        Ok(()) if !HOSTS.contains(&text) => Err(format!(
            "{} is for browsers; databases may ask the DNS for it",
            quoted(text)
        )),
        checked => checked,
    }
}

fn check_address(text: &str) -> Result<(), String> {
    let (host, port) = text
        .rsplit_once(':')
        .ok_or_else(|| format!("{} has no `:` before a port", quoted(text)))?;
    check_host(host)?;
    check_port(port)
}

fn check_name(text: &str) -> Result<(), String> {
    check_characters(text, "_-", " in a name")?;
    match text.chars().next() {
        None => Err("it is empty".to_owned()),
        Some('-') => Err("it may not start with `-`".to_owned()),
        Some(_) => Ok(()),
    }
}

fn check_digits(text: &str) -> Result<(), String> {
    let are_digits = literals(text).all(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
    if !are_digits || text.is_empty() || text.contains("{worktree}") {
        return Err(format!("{} is not a number", quoted(text)));
    }
    Ok(())
}

/// Checks web URLs separated by commas, or one URL of a database.
fn check_urls(text: &str) -> Result<(), String> {
    let is_list = text.contains(',');
    text.split(',').try_for_each(|url| check_url(url, is_list))
}

fn check_url(url: &str, is_in_list: bool) -> Result<(), String> {
    let (scheme, rest) = url
        .split_once("://")
        .ok_or_else(|| format!("{} has no scheme such as `http://`", quoted(url)))?;
    let is_web = has(WEB_SCHEMES, scheme);
    if is_in_list && !is_web {
        let url = quoted(url);
        return Err(format!(
            "{url} is not a web URL; only web URLs may be in a list"
        ));
    }
    let kind = if is_web {
        scheme
    } else {
        database_scheme(scheme)?
    };
    let (authority, resource) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (user, address) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) if !address.ends_with(']') => (host, Some(port)),
        _ => (address, None),
    };
    let (path, query) = split_first(resource, '?');
    let name = path.strip_prefix('/').unwrap_or(path);
    check_user(user)?;
    match host {
        "" if port.is_none() && kind.starts_with("postgres") && !name.is_empty() => {}
        "" => return Err("it has no host".to_owned()),
        BARE_IPV6 => {
            return Err(format!(
                "`{BARE_IPV6}` needs brackets in a URL: `[{BARE_IPV6}]`"
            ));
        }
        _ if is_web => check_host(host)?,
        _ => check_resolvable_host(host)?,
    }
    port.map_or(Ok(()), check_port)?;
    if is_web {
        return check_characters(resource, "_.:/@%=&+-", " in a web URL");
    }
    if !(kind.starts_with("amqp") && path == "/%2F") {
        let place = " in the path of a database, which is one name";
        check_characters(name, "_-", place)?;
    }
    let mut parameters = query.iter().flat_map(|query| query.split('&'));
    parameters.try_for_each(check_parameter)
}

/// The scheme without `jdbc:` and driver, if it is one of [`DATABASE_SCHEMES`].
fn database_scheme(scheme: &str) -> Result<&str, String> {
    let bare = scheme.strip_prefix("jdbc:").unwrap_or(scheme);
    let (kind, driver) = split_first(bare, '+');
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let may_follow =
        |driver: &str| has(WITH_DRIVER, kind) && !driver.is_empty() && driver.bytes().all(is_word);
    if driver == Some("srv") {
        return Err("`+srv` asks the DNS for the host".to_owned());
    }
    if !has(DATABASE_SCHEMES, kind) {
        let (scheme, known) = (cut(scheme), schemes().collect::<Vec<_>>().join(", "));
        return Err(format!(
            "the scheme `{scheme}` is not allowed; allowed are {known}"
        ));
    }
    if bare != scheme && !has(WITH_JDBC, kind) {
        return Err(format!("`jdbc:` is not allowed before `{kind}`"));
    }
    match driver {
        Some(driver) if !may_follow(driver) => {
            let driver = cut(driver);
            Err(format!("`+{driver}` is not allowed after `{kind}`"))
        }
        _ => Ok(kind),
    }
}

fn check_parameter(parameter: &str) -> Result<(), String> {
    let (key, value) = parameter
        .split_once('=')
        .ok_or_else(|| format!("{} in the query is not `key=value`", quoted(parameter)))?;
    if !has(QUERY_KEYS, key) {
        let key = quoted(key);
        return Err(format!("{key} is not allowed as a key of the query"));
    }
    check_characters(value, "_.-", " in a value of the query")
}

/// The text before the first `separator`, and the text after it.
fn split_first(text: &str, separator: char) -> (&str, Option<&str>) {
    match text.split_once(separator) {
        Some((before, after)) => (before, Some(after)),
        None => (text, None),
    }
}

fn check_user(user: &str) -> Result<(), String> {
    if user.starts_with('-') {
        return Err("the user may not start with `-`".to_owned());
    }
    let (user, password) = split_first(user, ':');
    check_characters(user, "_.%+-", " in a user")?;
    check_characters(password.unwrap_or_default(), "_.%+-", " in a password")
}

/// Checks that `text` has only letters, digits and `punctuation`. Placeholders render to letters and
/// digits, and `{worktree}` also to `-`, which all callers allow.
fn check_characters(text: &str, punctuation: &str, place: &str) -> Result<(), String> {
    let is_refused = |c: &char| !c.is_ascii_alphanumeric() && !punctuation.contains(*c);
    match literals(text).flat_map(str::chars).find(is_refused) {
        None => Ok(()),
        Some(c) => Err(not_allowed(c) + place),
    }
}

/// Says that a value or a path cannot have this character.
pub fn not_allowed(c: char) -> String {
    match c {
        ' ' => "a space is not allowed".to_owned(),
        c => format!("`{}` is not allowed", printable(&c.to_string())),
    }
}

/// The text around and between placeholders.
fn literals(text: &str) -> impl Iterator<Item = &str> {
    split(text).map(|(_, literal)| literal)
}

fn quoted(text: &str) -> String {
    match text {
        "" => "nothing".to_owned(),
        text => format!("`{}`", printable(&cut(text))),
    }
}

#[cfg(test)]
mod tests;
