//! `shop{-worktree}`: a text with placeholders, as it reads in the main worktree and in the others.

use crate::config::Service;
use crate::config::nearest::{cut, suggestion};
use crate::ports::{Bundle, ServiceName};

/// What values are rendered from.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    /// The ports for `{service}` and the slot for `{slot}`.
    pub bundle: &'a Bundle,
    /// The DNS label for `{worktree}`, made by [`label`](crate::config::label::label).
    pub label: &'a str,
    /// Whether the worktree is the main one, where a placeholder with a separator is empty.
    pub is_main: bool,
}

const SEPARATORS: [char; 3] = ['-', '_', '.'];

/// The names of placeholders besides those of services.
const OF_WORKTREE: [&str; 2] = ["slot", "worktree"];

/// Checks the placeholders of `text`.
///
/// # Errors
/// Which one is unknown, has two separators or is not closed.
pub fn check(text: &str, services: &[Service]) -> Result<(), String> {
    for (name, _) in split(text).skip(1) {
        let name = name.ok_or("`{` has no `}`")?;
        let known = services.iter().map(|service| service.name.as_str());
        let known = known.chain(OF_WORKTREE);
        let bare = without_separators(name);
        if !known.clone().any(|known| known == bare) {
            let suggestion = suggestion(name, known, |name| format!("`{{{name}}}`"));
            return Err(format!("unknown placeholder {suggestion}"));
        }
        if name.len() - bare.len() > 1 {
            let name = cut(name);
            return Err(format!(
                "`{{{name}}}` has more than one separator; one may stand before or after `{bare}`"
            ));
        }
    }
    Ok(())
}

/// Whether `{name}` is a placeholder that no service may hide.
pub fn is_of_worktree(name: &str) -> bool {
    OF_WORKTREE.contains(&without_separators(name))
}

/// `slot` for `-slot`; the name of a service stays as it is.
fn without_separators(name: &str) -> &str {
    let bare = name.trim_matches(SEPARATORS);
    if OF_WORKTREE.contains(&bare) {
        bare
    } else {
        name
    }
}

/// The names of the placeholders in `text`, each with the text after it. The first item is the text before
/// the first placeholder and has no name. Nor has the text after a `{` that is not closed.
pub fn split(text: &str) -> impl Iterator<Item = (Option<&str>, &str)> {
    let parts = text.split('{').enumerate();
    parts.map(|(i, part)| match part.split_once('}') {
        Some((name, literal)) if i > 0 => (Some(name), literal),
        _ => (None, part),
    })
}

/// The text in one worktree; `None` if its bundle lacks a service.
pub fn render(text: &str, values: &Values<'_>) -> Option<String> {
    fill(text, values.is_main, |name| match name {
        "slot" => Some(values.bundle.slot.to_string()),
        "worktree" => Some(values.label.to_owned()),
        service => {
            let port = values.bundle.port(&ServiceName::new(service));
            port.map(|port| port.to_string())
        }
    })
}

/// The text in the main worktree or in a linked one, with only the names of placeholders left in
/// braces: `shop-{worktree}`.
pub fn with_braces(text: &str, is_main: bool) -> String {
    let braced = fill(text, is_main, |name| Some(format!("{{{name}}}")));
    braced.expect("every name can stand in braces")
}

fn fill(text: &str, is_main: bool, value_of: impl Fn(&str) -> Option<String>) -> Option<String> {
    let mut filled = String::new();
    for (name, literal) in split(text) {
        if let Some(name) = name {
            let bare = without_separators(name);
            let value = value_of(bare)?;
            if name == bare {
                filled += &value;
            } else if !is_main {
                let value = if name.contains('_') {
                    value.replace('-', "_")
                } else {
                    value
                };
                filled += &name.replace(bare, &value);
            }
        }
        filled += literal;
    }
    Some(filled)
}
