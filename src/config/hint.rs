//! The nearest value that is allowed, for the message about one that is not.

use crate::config::Service;
use crate::config::placeholder;
use crate::config::value::{Form, Setting, nearest_scheme};

/// The value that `text` most likely means and that the variable `name` may have.
pub fn nearest_value(
    text: &str,
    name: &str,
    forms: &[Form],
    services: &[Service],
) -> Option<String> {
    let is_allowed = |text: &String| {
        placeholder::check(text, services).is_ok() && Setting::new(text, forms).is_ok()
    };
    let named = |service: &&Service| {
        let variable = service.name.variable();
        let word = variable.trim_end_matches("_PORT");
        name.to_ascii_uppercase()
            .split('_')
            .any(|other| other == word)
    };
    let service = services.iter().find(named).or(services.first())?;
    let example = |form: &Form| form.example(name, service.name.as_str());
    let examples = forms.iter().map(example);
    let is_name = |form: &Form| matches!(form, Form::Name | Form::Suffix | Form::Digits);
    let rewritten = if forms.iter().all(is_name) {
        vec![text.trim().trim_start_matches('-').to_owned(), dashed(text)]
    } else {
        rewritten(text, forms.first() == Some(&Form::Url))
    };
    rewritten.into_iter().chain(examples).find(is_allowed)
}

/// `text`, which is to be a port, a host, an address or a URL, after each of the usual corrections,
/// the likeliest first.
fn rewritten(text: &str, is_url: bool) -> Vec<String> {
    let is_kept = |c: &char| !c.is_whitespace() && !"\"'".contains(*c);
    let text: String = text.chars().filter(is_kept).collect();
    if let Some((scheme, rest)) = text.split_once("://") {
        let bare_scheme = scheme.split('+').next().unwrap_or_default();
        let scheme = nearest_scheme(scheme).unwrap_or(bare_scheme);
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        return vec![
            format!("{scheme}://{rest}"),
            format!("{scheme}://{}", with_local_host(rest)),
        ];
    }
    let port = text.rsplit(':').next().unwrap_or_default();
    if is_url {
        vec![format!("http://{text}"), format!("http://localhost:{port}")]
    } else {
        let address = format!("localhost:{port}");
        vec![
            text.clone(),
            address,
            with_local_host(&text),
            port.to_owned(),
        ]
    }
}

/// `text` with one `-` for each run of characters that no name has.
fn dashed(text: &str) -> String {
    let is_in_name = |c: char| c.is_ascii_alphanumeric() || "_-{}".contains(c);
    let words = text
        .split(|c| !is_in_name(c))
        .filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-")
}

/// `[user@]host[:port][/path]` with `localhost` for the host.
fn with_local_host(address: &str) -> String {
    let end = address.find(['/', '?', ',']).unwrap_or(address.len());
    let (authority, resource) = address.split_at(end);
    let (user, host) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
    let behind = host.find(']').map_or(0, |bracket| bracket + 1);
    let port = host[behind..]
        .find(':')
        .map_or("", |colon| &host[behind + colon..]);
    format!("{user}localhost{port}{resource}")
}
