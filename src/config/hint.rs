//! The nearest value that is allowed, for the message about one that is not.

use crate::config::label::dashed;
use crate::config::nearest::nearest;
use crate::config::placeholder::{Values, render};
use crate::config::value::{Form, Setting, parts_of_url, schemes};
use crate::ports::ServiceName;

/// The longest value that is worth a place in a message, in bytes.
const LONGEST: usize = 200;

/// The value that `text` most likely means and that the variable `name` may have.
pub fn nearest_value(
    text: &str,
    name: &str,
    forms: &[Form],
    sample: &Values<'_>,
) -> Option<String> {
    // The message about a wrong placeholder has a suggestion already.
    render(text, sample).ok()?;
    let name = name.to_ascii_lowercase();
    let named = |service: &&ServiceName| name.split('_').any(|word| word == service.as_str());
    let mut services = sample.bundle.ports.iter().map(|(service, _)| service);
    let service = services.clone().find(named).or(services.next())?;
    let examples = forms.iter().map(|form| form.example(&name, service));
    let is_name = |form: &Form| matches!(form, Form::Name | Form::Suffix | Form::Digits);
    let corrected = if forms.iter().all(is_name) {
        let dashed = dashed(text, |c| c.is_ascii_alphanumeric() || "_-{}".contains(c));
        vec![dashed.clone(), dashed.trim_start_matches('-').to_owned()]
    } else {
        corrected(text, forms.first() == Some(&Form::Url))
    };
    let mut candidates = corrected.into_iter().chain(examples);
    candidates.find(|text| text.len() <= LONGEST && Setting::new(text, forms, sample).is_ok())
}

/// `text`, meant as a port, a host, an address or a URL, after each of the usual corrections, the most
/// likely first.
fn corrected(text: &str, is_url: bool) -> Vec<String> {
    let is_kept = |c: &char| !c.is_whitespace() && !"\"'".contains(*c);
    let text: String = text.chars().filter(is_kept).collect();
    if let Some((scheme, rest)) = text.split_once("://") {
        let bare_scheme = scheme.split('+').next().unwrap_or_default();
        let scheme = nearest(scheme, schemes()).unwrap_or(bare_scheme);
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let local = with_local_host(rest);
        return vec![format!("{scheme}://{rest}"), format!("{scheme}://{local}")];
    }
    let port = text.rsplit(':').next().unwrap_or_default();
    if is_url {
        return vec![format!("http://{text}"), format!("http://localhost:{port}")];
    }
    let address = format!("localhost:{port}");
    let local = with_local_host(&text);
    vec![text.clone(), address, local, port.to_owned()]
}

/// `[user@]host[:port][/path]` with `localhost` for the host.
fn with_local_host(address: &str) -> String {
    let [user, _, port, resource] = parts_of_url(address);
    format!("{user}localhost{port}{resource}")
}
