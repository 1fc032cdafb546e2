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

/// A character of a value, or what one worktree has in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Char(char),
    Port(ServiceName),
    Slot,
    Worktree { with_underscores: bool },
}

/// What a text with placeholders consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Views {
    /// In the main worktree, where placeholders with a separator are empty.
    pub main: Vec<Piece>,
    /// In a linked worktree.
    pub linked: Vec<Piece>,
}

const SEPARATORS: [char; 3] = ['-', '_', '.'];

/// The names of placeholders besides those of services.
pub const OF_WORKTREE: [&str; 2] = ["slot", "worktree"];

/// Splits `text` at its placeholders.
///
/// # Errors
/// Which placeholder is unknown or not closed.
pub fn views(text: &str, services: &[Service]) -> Result<Views, String> {
    let mut views = Views {
        main: Vec::new(),
        linked: Vec::new(),
    };
    let mut rest = text;
    while let Some((literal, behind)) = rest.split_once('{') {
        let (name, behind) = behind.split_once('}').ok_or("`{` has no `}`")?;
        let (before, piece, after) = placeholder(name, services)?;
        views.main.extend(literal.chars().map(Piece::Char));
        if before.or(after).is_none() {
            views.main.push(piece.clone());
        }
        let literal = literal.chars().chain(before);
        views.linked.extend(literal.map(Piece::Char));
        views.linked.push(piece);
        views.linked.extend(after.map(Piece::Char));
        rest = behind;
    }
    for view in [&mut views.main, &mut views.linked] {
        view.extend(rest.chars().map(Piece::Char));
    }
    Ok(views)
}

/// What stands between two braces: a separator, a piece, a separator.
fn placeholder(
    name: &str,
    services: &[Service],
) -> Result<(Option<char>, Piece, Option<char>), String> {
    let mut names = services.iter().map(|service| &service.name);
    if let Some(service) = names.find(|service| service.as_str() == name) {
        return Ok((None, Piece::Port(service.clone()), None));
    }
    let shown = cut(name);
    let before = name.chars().next().filter(|c| SEPARATORS.contains(c));
    let after = name.chars().next_back().filter(|c| SEPARATORS.contains(c));
    let bare = name.trim_matches(SEPARATORS);
    let piece = match bare {
        "slot" => Piece::Slot,
        "worktree" => Piece::Worktree {
            with_underscores: before.or(after) == Some('_'),
        },
        _ => {
            let services = services.iter().map(|service| service.name.as_str());
            let suggestion = suggestion(name, services.chain(OF_WORKTREE), |name| {
                format!("`{{{name}}}`")
            });
            return Err(format!("unknown placeholder {suggestion}"));
        }
    };
    if name.len() - bare.len() > 1 {
        return Err(format!(
            "`{{{shown}}}` has more than one separator; one may stand before or after `{bare}`"
        ));
    }
    Ok((before, piece, after))
}

/// Whether `{name}` is a placeholder that no service may hide.
pub fn is_of_worktree(name: &str) -> bool {
    OF_WORKTREE.contains(&name.trim_matches(SEPARATORS))
}

/// The text of these pieces in one worktree; `None` if its bundle lacks a service or the slot.
pub fn render(pieces: &[Piece], values: &Values<'_>) -> Option<String> {
    let mut text = String::new();
    for piece in pieces {
        match piece {
            Piece::Char(c) => text.push(*c),
            Piece::Port(service) => text += &values.bundle.port(service)?.to_string(),
            Piece::Slot => text += &values.bundle.slot.to_string(),
            Piece::Worktree {
                with_underscores: true,
            } => text += &values.label.replace('-', "_"),
            Piece::Worktree { .. } => text += values.label,
        }
    }
    Some(text)
}

/// These pieces as a text, each placeholder in braces. No other `{` is in it.
pub fn with_braces(pieces: &[Piece]) -> String {
    let piece = |piece: &Piece| match piece {
        Piece::Char(c) => c.to_string(),
        Piece::Port(service) => format!("{{{service}}}"),
        Piece::Slot => "{slot}".to_owned(),
        Piece::Worktree { .. } => "{worktree}".to_owned(),
    };
    pieces.iter().map(piece).collect()
}
