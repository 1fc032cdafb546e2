//! What the name of a variable says of its value.

use crate::config::nearest::nearest;
use crate::config::value::Form;

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

/// The words that count as the first of a name too.
const FIRST_WORDS: [&str; 3] = ["PORT", "URL", "ADDRESS"];

/// Last words that stand for a name behind one of these words alone.
const NAMES_BEHIND: [(&str, &str); 4] = [
    ("PROJECT", "COMPOSE"),
    ("USER", DATABASES),
    ("USERNAME", DATABASES),
    ("PREFIX", "TABLE KEY CACHE DB REDIS QUEUE VOLUME CONTAINER"),
];

const DATABASES: &str = "DB DATABASE POSTGRES PG MYSQL MARIADB MONGO REDIS";

/// Words at the end of a name that say nothing of its value.
const TAILS: [&str; 7] = ["TEST", "HTTP", "HTTPS", "S3", "UI", "DEV", "LOCAL"];

/// How the names start that bundlers hand to browsers, where no program acts on them.
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
    let mut forms = forms_of_words(&words);
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
        return Err(unknown_word(&name, &words));
    }
    Ok(forms)
}

/// The words of an upper-case name, without what says nothing of its value.
fn words(name: &str) -> Vec<&str> {
    let mut words: Vec<&str> = name
        .split('_')
        .map(|word| match word {
            "S3" => word,
            _ => word.trim_end_matches(|c: char| c.is_ascii_digit()),
        })
        .filter(|word| !word.is_empty())
        .collect();
    while let [_, .., last] = words.as_slice()
        && TAILS.contains(last)
    {
        words.pop();
    }
    words
}

fn forms_of_words(words: &[&str]) -> Vec<Form> {
    let (Some(first), Some(last)) = (words.first(), words.last()) else {
        return Vec::new();
    };
    let counts = |word: &str| word == *last || word == *first && FIRST_WORDS.contains(&word);
    let mut forms: Vec<Form> = LAST_WORDS
        .iter()
        .filter(|(_, words)| words.split_whitespace().any(counts))
        .flat_map(|(forms, _)| *forms)
        .copied()
        .collect();
    if let [.., before, last] = words
        && NAMES_BEHIND
            .iter()
            .any(|(word, behind)| word == last && behind.split(' ').any(|word| word == *before))
    {
        forms.push(Form::Name);
    }
    forms
}

fn unknown_word(name: &str, words: &[&str]) -> String {
    let last = words.last().copied().unwrap_or(name);
    if let Some((_, behind)) = NAMES_BEHIND.iter().find(|(word, _)| *word == last) {
        return format!(
            "`{last}` is allowed only behind {}",
            behind.replace(' ', ", ")
        );
    }
    let all = LAST_WORDS
        .iter()
        .flat_map(|(_, words)| words.split_whitespace());
    let problem = format!("no variable may end in `{last}`, which does not say what the value is");
    match nearest(last, all) {
        Some(near) => format!("{problem}; did you mean `{near}`?"),
        None => {
            format!(
                "{problem}, as `PORT`, `URL`, `HOST` and `NAME` do; if it is the same in every worktree, keep it as a line of your own in the env file"
            )
        }
    }
}

#[cfg(test)]
mod tests;
