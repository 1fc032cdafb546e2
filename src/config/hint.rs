//! The nearest value that is allowed, for the message about one that is not.

use crate::config::Service;
use crate::config::placeholder::views;
use crate::config::value::{Form, Setting, nearest_scheme};

/// The value that `text` most likely means and that the variable `name` may have.
pub fn nearest_value(text: &str, name: &str, forms: &[Form], services: &[Service]) -> Option<String> {
    let is_allowed = |text: &String| {
        views(text, services).is_ok_and(|views| Setting::new(&views, forms).is_ok())
    };
    let named = |service: &&Service| {
        let variable = service.name.variable();
        let word = variable.trim_end_matches("_PORT");
        name.to_ascii_uppercase().split('_').any(|other| other == word)
    };
    let service = services.iter().find(named).or(services.first())?;
    let example = |form: &Form| form.example(service.name.as_str());
    let mut candidates = rewritten(text).into_iter().chain(forms.iter().map(example));
    candidates.find(is_allowed)
}

/// `text` after each of the usual corrections, the likeliest first.
fn rewritten(text: &str) -> Vec<String> {
    let mut candidates = vec![text.trim().trim_start_matches('-').to_owned()];
    match text.split_once("://") {
        Some((scheme, rest)) => {
            let without_query = rest.split(['?', '#']).next().unwrap_or_default();
            candidates.push(format!("{scheme}://{without_query}"));
            candidates.push(format!("{scheme}://{}", with_local_host(rest)));
            candidates.push(format!("{scheme}://{}", with_local_host(without_query)));
            if let Some(scheme) = nearest_scheme(scheme) {
                candidates.push(format!("{scheme}://{rest}"));
            }
            let authority = rest.split('/').next().unwrap_or_default();
            candidates.push(authority.to_owned());
        }
        None => {
            candidates.push(dashed(text));
            candidates.push(format!("http://{text}"));
            candidates.push(with_local_host(text));
            candidates.push(format!("http://{}", with_local_host(text)));
        }
    }
    candidates.push(text.split_whitespace().collect());
    candidates.extend(text.rsplit(':').next().map(str::to_owned));
    candidates
}

/// `text` with one `-` for each run of characters that no name has.
fn dashed(text: &str) -> String {
    let is_in_name = |c: char| c.is_ascii_alphanumeric() || "_-{}".contains(c);
    let words = text.split(|c| !is_in_name(c)).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-")
}

/// `[user@]host[:port][/path]` with `localhost` for the host.
fn with_local_host(address: &str) -> String {
    let end = address.find(['/', '?', ',']).unwrap_or(address.len());
    let (authority, resource) = address.split_at(end);
    let (user, host) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
    let behind = host.find(']').map_or(0, |bracket| bracket + 1);
    let port = host[behind..].find(':').map_or("", |colon| &host[behind + colon..]);
    format!("{user}localhost{port}{resource}")
}
