//! What a value may be: ports, local hosts, addresses and URLs, or a plain name. A [`Setting`] always has
//! one of these forms, whatever a branch's config says.

use std::num::NonZeroU16;

use crate::config::label::MAIN;
use crate::config::placeholder::{Values, render};
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

/// A text with placeholders whose value has an allowed form in every worktree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting(String);

const HOSTS: [&str; 4] = ["localhost", "127.0.0.1", "[::1]", "::1"];

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
    /// Checks what `text` renders to from `sample`, and in the main worktree, where a name may be empty.
    ///
    /// What the sample has must stand for what any worktree has: a port of five digits, so that no other
    /// digit can precede or follow it, a slot that is not a port, and a label with `-`.
    ///
    /// # Errors
    /// Which placeholder is wrong, or what is wrong with the value.
    pub fn new(text: &str, forms: &[Form], sample: &Values<'_>) -> Result<Setting, String> {
        let linked = render(text, sample)?;
        check(&linked, forms)?;
        let in_main = Values {
            label: MAIN,
            ..*sample
        };
        let in_main = render(text, &in_main)?;
        // Only names can consist of nothing but placeholders with separators.
        if in_main != linked && !in_main.is_empty() {
            check(&in_main, forms).map_err(|why| {
                format!(
                    "in the main worktree, where placeholders with a separator are empty, {why}"
                )
            })?;
        }
        Ok(Setting(text.to_owned()))
    }

    /// The value in one worktree; `None` if its bundle lacks a service.
    pub fn render(&self, values: &Values<'_>) -> Option<String> {
        render(&self.0, values).ok()
    }

    /// The value if it is a name that other worktrees do not have, such as that of a compose project. A
    /// number is a slot or a port, and not a name.
    pub fn own_name(&self, values: &Values<'_>) -> Option<String> {
        let value = self.render(values)?;
        let is_name = check_characters(&value, "_-", "").is_ok() && check_host(&value).is_err();
        let is_more_than_digits = value.bytes().any(|byte| !byte.is_ascii_digit());
        (is_name && is_more_than_digits && self.0.contains('{')).then_some(value)
    }
}

/// Checks that a value has one of the `forms`.
///
/// # Errors
/// What is wrong with it, judged by the form that it resembles most.
fn check(value: &str, forms: &[Form]) -> Result<(), String> {
    let has_scheme = value.contains("://");
    let resembles = |form: &&Form| match form {
        Form::Url => has_scheme,
        Form::Address => !has_scheme && value.contains(':'),
        _ => false,
    };
    if forms.iter().any(|form| form.check(value).is_ok()) {
        return Ok(());
    }
    let form = forms.iter().find(resembles).unwrap_or(&forms[0]);
    form.check(value)
}

impl Form {
    fn check(self, value: &str) -> Result<(), String> {
        let mut items = value.split(',');
        match self {
            Form::Port => items.try_for_each(check_port),
            Form::Url => items.try_for_each(|url| check_url(url, value.contains(','))),
            Form::Address => items.try_for_each(check_address),
            Form::Host => items.try_for_each(check_host),
            Form::ResolvableHost => items.try_for_each(check_resolvable_host),
            Form::Name => check_name(value),
            Form::Suffix => check_name(value.strip_prefix('-').unwrap_or(value)),
            Form::Digits => require(is_number(value), "it is not a number"),
        }
    }

    /// A value of this form for a variable, whose `name` is in lower case, that names `service` or a worktree.
    pub fn example(self, name: &str, service: &ServiceName) -> String {
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

pub fn require(is_right: bool, otherwise: &str) -> Result<(), String> {
    is_right.then_some(()).ok_or_else(|| otherwise.to_owned())
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn check_port(text: &str) -> Result<(), String> {
    let is_port = is_number(text) && text.len() <= 5 && text.parse::<NonZeroU16>().is_ok();
    require(is_port, "a port is `{service}` or a number from 1 to 65535")
}

fn check_host(host: &str) -> Result<(), String> {
    let is_label = |label: &str| check_name(label).is_ok() && !label.contains('_');
    // Browsers and curl take names below `localhost` for this machine (RFC 6761).
    let labels = host.strip_suffix(".localhost");
    let is_below = labels.is_some_and(|labels| labels.split('.').all(is_label));
    let is_any = ["0.0.0.0", "::", "[::]"].contains(&host);
    require(
        !is_any,
        "a server there listens on all interfaces, which each user chooses in a line of their own",
    )?;
    require(
        HOSTS.contains(&host) || is_below,
        "the host is not this machine: `localhost`, `*.localhost`, `127.0.0.1` and `[::1]` are",
    )
}

fn check_resolvable_host(host: &str) -> Result<(), String> {
    check_host(host)?;
    let why = "`*.localhost` is for browsers; databases may ask the DNS for it";
    require(HOSTS.contains(&host), why)
}

fn check_address(address: &str) -> Result<(), String> {
    let (host, port) = address
        .rsplit_once(':')
        .ok_or("it has no `:` before a port")?;
    check_host(host)?;
    check_port(port)
}

fn check_name(name: &str) -> Result<(), String> {
    check_characters(name, "_-", " in a name")?;
    require(!name.is_empty(), "it is empty")?;
    require(!name.starts_with('-'), "it may not start with `-`")
}

/// Checks a URL of the web, or of a database if it is not in a list.
fn check_url(url: &str, is_in_list: bool) -> Result<(), String> {
    let (scheme, rest) = url
        .split_once("://")
        .ok_or("it has no scheme such as `http://`")?;
    let [user, host, port, resource] = parts_of_url(rest);
    let user = user.strip_suffix('@').unwrap_or_default();
    require(!user.starts_with('-'), "the user may not start with `-`")?;
    check_characters(&user.replacen(':', "", 1), "_.%+-", " before the `@`")?;
    port.strip_prefix(':').map_or(Ok(()), check_port)?;
    require(!host.starts_with(':'), "`::1` needs brackets: `[::1]`")?;
    if has(WEB_SCHEMES, scheme) {
        check_host(host)?;
        return check_characters(resource, "_.:/@%=&+-", " in a web URL");
    }
    require(!is_in_list, "only web URLs may be in a list")?;
    let kind = database_scheme(scheme)?;
    let mut queries = resource.splitn(2, '?');
    let path = queries.next().unwrap_or_default();
    let database = path.strip_prefix('/').unwrap_or(path);
    let is_by_socket = [host, port] == ["", ""] && kind.starts_with("postgres");
    if !is_by_socket || database.is_empty() {
        check_resolvable_host(host)?;
    }
    if !kind.starts_with("amqp") || path != "/%2F" {
        check_characters(database, "_-", " in the name of a database")?;
    }
    queries
        .flat_map(|query| query.split('&'))
        .try_for_each(check_parameter)
}

/// The user with `@`, the host, the port with `:`, and what follows them in a URL after its scheme.
pub fn parts_of_url(rest: &str) -> [&str; 4] {
    let end = rest.find(['/', '?', ',']).unwrap_or(rest.len());
    let (authority, resource) = rest.split_at(end);
    let (user, address) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
    let after_brackets = address.rfind(']').unwrap_or(0);
    let colon = address[after_brackets..].rfind(':');
    let (host, port) =
        address.split_at(colon.map_or(address.len(), |colon| after_brackets + colon));
    [user, host, port, resource]
}

/// The scheme without `jdbc:` and driver, if it is one of [`DATABASE_SCHEMES`].
fn database_scheme(scheme: &str) -> Result<&str, String> {
    require(
        !scheme.ends_with("+srv"),
        "`+srv` asks the DNS for the host",
    )?;
    let bare = scheme.strip_prefix("jdbc:").unwrap_or(scheme);
    let mut parts = bare.splitn(2, '+');
    let kind = parts.next().unwrap_or_default();
    let is_lower = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_word = |driver: &str| !driver.is_empty() && driver.bytes().all(is_lower);
    let is_allowed = has(DATABASE_SCHEMES, kind)
        && (bare == scheme || has(WITH_JDBC, kind))
        && parts.all(|driver| has(WITH_DRIVER, kind) && is_word(driver));
    if !is_allowed {
        let known = schemes().collect::<Vec<_>>().join(", ");
        return Err(format!(
            "the scheme is not allowed; allowed are {known}, a `+driver` after SQL, and `jdbc:` before {}",
            WITH_JDBC.replace(' ', ", ")
        ));
    }
    Ok(kind)
}

fn check_parameter(parameter: &str) -> Result<(), String> {
    match parameter.split_once('=') {
        Some((key, value)) if has(QUERY_KEYS, key) => {
            check_characters(value, "_.-", " in a value of the query")
        }
        _ => Err(format!(
            "a query consists of `key=value` with the keys {}",
            QUERY_KEYS.replace(' ', ", ")
        )),
    }
}

/// Checks that `text` has only letters, digits and `punctuation`.
pub fn check_characters(text: &str, punctuation: &str, place: &str) -> Result<(), String> {
    let is_refused = |c: &char| !c.is_ascii_alphanumeric() && !punctuation.contains(*c);
    match text.chars().find(is_refused) {
        None => Ok(()),
        Some(' ') => Err(format!("a space is not allowed{place}")),
        Some(c) => Err(format!(
            "`{}` is not allowed{place}",
            printable(&c.to_string())
        )),
    }
}

#[cfg(test)]
mod tests;
