//! What the name of a variable says about its value.

use crate::config::nearest::nearest;
use crate::config::value::{Form, has};

/// The longest name, in bytes.
const LONGEST: usize = 64;

/// What the last word of a name allows. A word may be in two rows.
const LAST_WORDS: [(&[Form], &str); 7] = [
    (&[Form::Port], "PORT PORTS PGPORT"),
    (
        &[Form::Url],
        "URL URLS URI URIS DSN ORIGIN ORIGINS ISSUER AUDIENCE CALLBACK REDIRECT",
    ),
    (
        &[Form::Host, Form::Address, Form::Url],
        "HOST HOSTS HOSTNAME DOMAIN ADDR ADDRESS ENDPOINT ENDPOINTS BROKER BROKERS",
    ),
    (&[Form::ResolvableHost, Form::Url], "PGHOST"),
    (&[Form::Suffix], "SUFFIX"),
    (
        &[Form::Name],
        "NAME DATABASE DB SCHEMA NAMESPACE SLUG ID IDS BUCKET QUEUE TOPIC VHOST TENANT WORKTREE \
         PGDATABASE PGUSER",
    ),
    (&[Form::Digits], "INDEX SLOT OFFSET DB"),
];

/// The words that also count as the first of a name.
const FIRST_WORDS: &str = "PORT URL ADDRESS";

/// Words at the end of a name that say nothing about its value.
const TAILS: &str = "TEST HTTP HTTPS S3 UI DEV LOCAL";

/// The prefixes of variables that bundlers hand to browsers, where no program acts on them.
const FOR_BROWSERS: &str = "VITE_ NEXT_PUBLIC_ NUXT_PUBLIC_ REACT_APP_ EXPO_PUBLIC_ PUBLIC_";

/// The forms that the value of the variable `name` may have, at least one.
///
/// # Errors
/// Why a config may not set that variable.
pub fn forms_of(name: &str) -> Result<Vec<Form>, String> {
    let is_name = name.len() <= LONGEST
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !is_name {
        return Err(format!(
            "the name of a variable is a letter or `_`, then letters, digits and `_`, at most {LONGEST} in all"
        ));
    }
    let name = name.to_ascii_uppercase();
    let words = words(&name);
    let last = *words.last().unwrap_or(&&*name);
    let first = words.first().filter(|first| has(FIRST_WORDS, first));
    let mut forms = Vec::new();
    for (allowed, list) in LAST_WORDS {
        if has(list, last) || first.is_some_and(|first| has(list, first)) {
            forms.extend(allowed);
        }
    }
    if let (Some(list), Some(before)) = (names_after(last), words.iter().rev().nth(1))
        && has(list, before)
    {
        forms.push(Form::Name);
    }
    if name.ends_with("RESULT_BACKEND") || name.starts_with("AWS_ENDPOINT_URL_") {
        forms.push(Form::Url);
    }
    if FOR_BROWSERS
        .split(' ')
        .any(|prefix| name.starts_with(prefix))
    {
        forms.extend([Form::Url, Form::Address, Form::Host, Form::Port]);
    }
    if name.starts_with("GIT_") {
        forms.retain(|form| *form == Form::Port);
        if forms.is_empty() {
            return Err("git acts on `GIT_*`, so only ports are allowed there".to_owned());
        }
    }
    if forms.is_empty() {
        return Err(unknown_word(last));
    }
    Ok(forms)
}

/// The words of an upper-case name, without those that say nothing about its value.
fn words(name: &str) -> Vec<&str> {
    let without_digits = name.split('_').map(|word| match word {
        "S3" => word,
        _ => word.trim_end_matches(|c: char| c.is_ascii_digit()),
    });
    let mut words: Vec<&str> = without_digits.filter(|word| !word.is_empty()).collect();
    let last = words.iter().rposition(|word| !has(TAILS, word));
    words.truncate(last.unwrap_or(0) + 1);
    words
}

/// The words after which `word` stands for a name; `None` if there are none.
fn names_after(word: &str) -> Option<&'static str> {
    match word {
        "PROJECT" => Some("COMPOSE"),
        "USER" | "USERNAME" => Some("DB DATABASE POSTGRES PG MYSQL MARIADB MONGO REDIS"),
        "PREFIX" => Some("TABLE KEY CACHE DB REDIS QUEUE VOLUME CONTAINER"),
        _ => None,
    }
}

/// Why no variable can end in `word`.
fn unknown_word(word: &str) -> String {
    if let Some(list) = names_after(word) {
        let list = list.replace(' ', ", ");
        return format!("`{word}` is allowed only after {list}");
    }
    let known = LAST_WORDS.iter().flat_map(|(_, list)| list.split(' '));
    let problem = format!("no variable may end in `{word}`, which does not say what the value is");
    match nearest(word, known) {
        Some(near) => format!("{problem}; did you mean `{near}`?"),
        None => format!(
            "{problem}, as `PORT`, `URL`, `HOST` and `NAME` do; if it is the same in every worktree, keep it as a line of your own in the env file"
        ),
    }
}

#[cfg(test)]
mod tests;
