//! The text of an env file with and without our block. The block is at the top, so that the user's
//! lines below can use its variables; the user's own lines for these variables are commented out.
//! Pure.

use std::iter;

use crate::config::assignment;
use crate::writes::block::{self, HalfBlock};

/// For people who want to change a line of the block.
const NOTE: &str =
    "# Written by worktree-ports-hook. Change .worktree-ports.config.json instead.\n";

/// The prefix of a user's line that the block replaces.
const REPLACED: &str = "# replaced by worktree-ports: ";

/// A text with our block.
#[derive(Debug, PartialEq, Eq)]
pub struct WithBlock<'a> {
    pub text: String,
    /// The variables that the user's own lines also define. Those lines were left, because the values
    /// span several lines.
    pub spanning: Vec<&'a str>,
}

/// `text` with a block of these variables instead of all other blocks. `label` names the worktree.
pub fn with<'a>(
    text: &str,
    label: &str,
    variables: &'a [(String, String)],
) -> Result<WithBlock<'a>, HalfBlock> {
    let original = without(text)?;
    let (mark, user) = original.split_at(block::byte_order_mark(original.as_bytes()));
    let mut lines = NOTE.to_owned();
    for (name, value) in variables {
        lines += &assignment(name, value);
        lines += "\n";
    }
    let mut text = format!("{mark}{}\n", block::render(Some(label), &lines));
    let mut spanning = Vec::new();
    for (definition, name) in definitions(user) {
        match variables.iter().find(|(own, _)| is_same(own, name)) {
            Some((own, _)) if spans_lines(definition) => spanning.push(&**own),
            Some(_) => text.push_str(REPLACED),
            None => {}
        }
        text.push_str(definition);
    }
    Ok(WithBlock { text, spanning })
}

/// The names that our blocks in `text` define.
pub fn names_in_blocks(text: &str) -> Vec<&str> {
    let text = &text[block::byte_order_mark(text.as_bytes())..];
    block::find(text.as_bytes())
        .unwrap_or_default()
        .into_iter()
        .flat_map(|found| text[found.inside].lines())
        .map(defined_name)
        .filter(|name| !name.is_empty())
        .collect()
}

/// `text` without our blocks and with the user's lines restored: byte for byte what was there before.
pub fn without(text: &str) -> Result<String, HalfBlock> {
    let (mark, body) = text.split_at(block::byte_order_mark(text.as_bytes()));
    let mut restored = String::with_capacity(body.len());
    for line in body.split_inclusive('\n') {
        restored.push_str(line.trim_start_matches(REPLACED));
    }
    let mut user = mark.to_owned();
    let mut at = 0;
    for found in block::find(restored.as_bytes())? {
        user.push_str(&restored[at..found.range.start]);
        at = found.range.end;
        // The empty line below it is ours; an editor may have changed its line ending.
        let below = &restored[at..];
        if let Some(end) = ["\n", "\r\n"].iter().find(|end| below.starts_with(**end)) {
            at += end.len();
        }
    }
    user.push_str(&restored[at..]);
    Ok(user)
}

/// The lines of `text`, each with the name that it defines. Lines that one value spans count as one.
fn definitions(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = text;
    iter::from_fn(move || {
        let (definition, behind) = rest.split_at(length_of_first(rest));
        rest = behind;
        (!definition.is_empty()).then(|| (definition, defined_name(definition)))
    })
}

fn spans_lines(definition: &str) -> bool {
    definition
        .strip_suffix('\n')
        .unwrap_or(definition)
        .contains('\n')
}

/// The length of the first line of `text`, and of all lines that its value spans.
fn length_of_first(text: &str) -> usize {
    let end_of_line = |from: usize| {
        text[from..]
            .find('\n')
            .map_or(text.len(), |at| from + at + 1)
    };
    let line_end = end_of_line(0);
    let Some(value) = text[..line_end].find('=').map(|at| at + 1) else {
        return line_end;
    };
    let quote = text[value..].chars().next().filter(|c| "\"'`".contains(*c));
    match quote {
        Some(quote) if !defined_name(text).is_empty() => {
            closing(&text[value + 1..], quote).map_or(line_end, |at| end_of_line(value + 1 + at))
        }
        _ => line_end,
    }
}

/// The position of the closing quote; `text` starts after the opening one. As in a shell, a
/// backslash only escapes between double quotes.
fn closing(text: &str, quote: char) -> Option<usize> {
    let mut is_escaped = false;
    text.char_indices().find_map(|(at, c)| {
        let closes = c == quote && !is_escaped;
        is_escaped = quote == '"' && c == '\\' && !is_escaped;
        closes.then_some(at)
    })
}

/// The name that the line at the start of `text` defines: `export NAME =`; empty if it defines none.
fn defined_name(text: &str) -> &str {
    let line = text.split('\n').next().unwrap_or_default();
    let Some((before, _)) = line.split_once('=') else {
        return "";
    };
    let name = before.trim();
    let exported = name.strip_prefix("export").map(str::trim_start);
    let name = match exported {
        Some(exported) if exported.len() + "export".len() < name.len() => exported,
        _ => name,
    };
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if name.chars().all(is_part) { name } else { "" }
}

fn is_same(own: &str, name: &str) -> bool {
    own == name || cfg!(windows) && own.eq_ignore_ascii_case(name)
}

#[cfg(test)]
mod tests;
