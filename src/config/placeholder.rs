//! `shop{-worktree}`: a text with placeholders, as it reads in the main worktree and in the others.

use crate::config::label::MAIN;
use crate::config::nearest::{cut, suggestion};
use crate::ports::Bundle;

/// What values are rendered from.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    /// The ports for `{service}` and the slot for `{slot}`.
    pub bundle: &'a Bundle,
    /// The DNS label for `{worktree}`, made by [`label`](crate::config::label::of). Only the main
    /// worktree has [`MAIN`], and in it a placeholder with a separator is empty.
    pub label: &'a str,
}

const SEPARATORS: [char; 3] = ['-', '_', '.'];

/// The names of placeholders besides those of services.
const OF_WORKTREE: [&str; 2] = ["slot", "worktree"];

/// Whether `{name}` is a placeholder that no service may hide.
pub fn is_of_worktree(name: &str) -> bool {
    OF_WORKTREE.contains(&name.trim_matches(SEPARATORS))
}

/// The text in one worktree.
///
/// # Errors
/// Which placeholder names no service of the bundle, has two separators, or is not closed.
pub fn render(text: &str, values: &Values<'_>) -> Result<String, String> {
    let mut parts = text.split('{');
    let mut rendered = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, literal) = part.split_once('}').ok_or("`{` has no `}`")?;
        rendered += &value_of(name, values)?;
        rendered += literal;
    }
    Ok(rendered)
}

fn value_of(name: &str, values: &Values<'_>) -> Result<String, String> {
    let bare = name.trim_matches(SEPARATORS);
    let value = match bare {
        "slot" => values.bundle.slot.to_string(),
        "worktree" => values.label.to_owned(),
        _ => return port_of(name, values.bundle),
    };
    match name.len() - bare.len() {
        0 => Ok(value),
        1 if values.label == MAIN => Ok(String::new()),
        1 if name.contains('_') => Ok(name.replace(bare, &value.replace('-', "_"))),
        1 => Ok(name.replace(bare, &value)),
        _ => Err(format!(
            "`{{{}}}` has more than one separator; one may stand before or after `{bare}`",
            cut(name)
        )),
    }
}

fn port_of(name: &str, bundle: &Bundle) -> Result<String, String> {
    let found = bundle
        .ports
        .iter()
        .find(|(service, _)| service.as_str() == name);
    found.map(|(_, port)| port.to_string()).ok_or_else(|| {
        let services = bundle.ports.iter().map(|(service, _)| service.as_str());
        let known = services.chain(OF_WORKTREE);
        let suggestion = suggestion(name, known, |name| format!("`{{{name}}}`"));
        format!("unknown placeholder {suggestion}")
    })
}
