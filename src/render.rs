//! What people and programs are shown.

use std::fmt::Write;

use crate::error::Result;
use crate::port_file::Content;
use crate::reserve::Reservation;
use crate::worktrees::Worktree;

/// A worktree's reservation for a person.
pub fn text(worktree: &Worktree, reservation: &Reservation) -> String {
    let name = worktree.id.as_deref().unwrap_or("main worktree");
    let slot = reservation.bundle.slot.map(|slot| format!(", slot {slot}"));
    let ports = reservation.bundle.ports.iter();
    let ports = ports.map(|(service, port)| (service, port.to_string()));
    let urls = reservation
        .urls
        .iter()
        .map(|(name, url)| (name, url.clone()));
    let rows: Vec<(&String, String)> = ports.chain(urls).collect();
    let width = rows
        .iter()
        .map(|(name, _)| name.len())
        .max()
        .unwrap_or_default();

    let mut text = format!("{name}{}\n", slot.unwrap_or_default());
    for (name, value) in rows {
        let _ = writeln!(text, "  {name:width$}  {value}");
    }
    text
}

/// A worktree's reservation as the port file has it.
pub fn json(worktree: &Worktree, reservation: &Reservation) -> Result<String> {
    let content = Content {
        worktree: worktree.id.as_deref(),
        bundle: &reservation.bundle,
        urls: &reservation.urls,
    };
    pretty(&content)
}

fn pretty(value: &impl serde::Serialize) -> Result<String> {
    let text = serde_json::to_string_pretty(value);
    text.map(|text| text + "\n")
        .map_err(|error| crate::error::Error::new(format!("could not render JSON: {error}")))
}
