//! The block in an env file: which lines are ours, the text with the block and without it. Pure.

use std::fmt::Write;
use std::iter;

use crate::config::assignment;

/// What stands around the label in the mark above a block.
const OPENING: (&str, &str) = ("# >>> worktree-ports: ", " >>>");

/// The mark below a block.
const CLOSING: &str = "# <<< worktree-ports <<<";

/// For whoever wants to change a line of the block.
const NOTE: &str = "# Written by worktree-ports-hook. Change .worktree-ports.config.json instead.";

/// A mark without the one that belongs to it.
#[derive(Debug, PartialEq, Eq)]
pub struct HalfBlock {
    /// The line of that mark, counted from 1.
    pub line: usize,
}

/// The block with these variables, without a newline at its end. `label` names the worktree.
pub fn render(label: &str, variables: &[(String, String)]) -> String {
    let (before, after) = OPENING;
    let mut block = format!("{before}{label}{after}\n{NOTE}\n");
    for (name, value) in variables {
        // Writing to a String cannot fail.
        let _ = writeln!(block, "{}", assignment(name, value));
    }
    block.push_str(CLOSING);
    block
}

/// `text` with `block` in place of its blocks: at the end, where every reader lets it win, behind
/// an empty line, because the user's last line may end in a backslash.
///
/// It ends as the user's text does, with a newline or without: so [`without`] can restore every
/// byte. Without one, the line that ends there is a comment.
pub fn with(text: &str, block: &str) -> Result<String, HalfBlock> {
    let mut new = without(text)?;
    let (separator, end) = match new.as_str() {
        user if user.is_empty() || user.ends_with('\n') => ("\n", "\n"),
        _ => ("\n\n", ""),
    };
    for part in [separator, block, end] {
        new.push_str(part);
    }
    Ok(new)
}

/// `text` without its blocks: what the user wrote, byte for byte.
///
/// Ours are also the empty line above a block and, if the text ends with a block and without a
/// newline, the newline above that empty line. Where an editor has changed these since, a line end
/// of ours may stay.
pub fn without(text: &str) -> Result<String, HalfBlock> {
    let mut user = String::with_capacity(text.len());
    // Where the user's lines behind the last block begin in `user`.
    let mut start = 0;
    // The line of the open block's mark, and the empty line above it.
    let mut open: Option<(usize, &str)> = None;
    let mut newline_is_ours = false;
    for (number, line) in numbered_lines(text) {
        newline_is_ours = false;
        match (Mark::of(line), open) {
            (None, None) => user.push_str(line),
            (None, Some(_)) => {}
            (Some(Mark::Opening), None) => {
                let empty_line = empty_line_at_end(&user[start..]);
                user.truncate(user.len() - empty_line.len());
                open = Some((number, empty_line));
            }
            (Some(Mark::Closing), Some((_, empty_line))) => {
                newline_is_ours = !line.ends_with('\n') && empty_line == "\n" && user.len() > start;
                start = user.len();
                open = None;
            }
            (Some(Mark::Closing), None) => return Err(HalfBlock { line: number }),
            (Some(Mark::Opening), Some((line, _))) => return Err(HalfBlock { line }),
        }
    }
    if let Some((line, _)) = open {
        return Err(HalfBlock { line });
    }
    // An empty line of the user's had its own newline.
    if newline_is_ours && empty_line_at_end(&user) != "\n" {
        user.pop();
    }
    Ok(user)
}

/// The lines of `text` with their line ends, counted from 1. What was appended to a file that ended
/// with our mark and without a newline, as `echo A=1 >> .env` does, is a line of its own.
fn numbered_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = (1..).zip(text.split_inclusive('\n'));
    lines.flat_map(|(number, line)| {
        let mut rest = Some(line);
        iter::from_fn(move || {
            let line = rest.take()?;
            rest = line.strip_prefix(CLOSING).filter(|appended| {
                appended.starts_with(|c: char| c.is_ascii_alphabetic() || "_#".contains(c))
            });
            Some((number, if rest.is_some() { CLOSING } else { line }))
        })
    })
}

/// Whether a mark of ours stands in `text`, be it that of half a block.
pub fn is_in(text: &str) -> bool {
    numbered_lines(text).any(|(_, line)| Mark::of(line).is_some())
}

/// The line, counted from 1, of a value whose quote is never closed. docker compose and sh refuse
/// such a file; others read on behind that line, unless a quoted value in the block closes the quote.
pub fn open_quote(text: &str) -> Option<usize> {
    let mut lines = (1..).zip(text.split('\n'));
    while let Some((number, line)) = lines.next() {
        let Some((quote, mut rest)) = quoted_value(line) else {
            continue;
        };
        while !closes(rest, quote) {
            let Some((_, next)) = lines.next() else {
                return Some(number);
            };
            rest = next;
        }
    }
    None
}

/// The quote that the value of an assignment begins with, and what follows it.
fn quoted_value(line: &str) -> Option<(char, &str)> {
    let (name, value) = line.split_once('=')?;
    if name.trim_start().starts_with('#') {
        return None;
    }
    let value = value.trim_start();
    let quote = value.chars().next().filter(|c| "\"'`".contains(*c))?;
    Some((quote, &value[1..]))
}

/// Whether `quote` stands in `text` without a backslash in front of it.
fn closes(text: &str, quote: char) -> bool {
    let mut is_escaped = false;
    text.chars().any(|c| {
        let closes = c == quote && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        closes
    })
}

enum Mark {
    Opening,
    Closing,
}

impl Mark {
    /// The mark that `line` is. Any label counts: a tool may have copied the file from another
    /// worktree.
    fn of(line: &str) -> Option<Mark> {
        let line = without_line_end(line);
        if line == CLOSING {
            return Some(Mark::Closing);
        }
        let (before, after) = OPENING;
        let label = line.strip_prefix(before)?;
        label.ends_with(after).then_some(Mark::Opening)
    }
}

fn without_line_end(line: &str) -> &str {
    let line = line.strip_suffix('\n').unwrap_or(line);
    line.strip_suffix('\r').unwrap_or(line)
}

/// The empty line that `text` ends with, if it ends with one.
fn empty_line_at_end(text: &str) -> &'static str {
    let is_line = |before: &str| before.is_empty() || before.ends_with('\n');
    ["\n", "\r\n"]
        .into_iter()
        .find(|end| text.strip_suffix(end).is_some_and(is_line))
        .unwrap_or("")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A block as the contract shows it.
    const BLOCK: &str = "# >>> worktree-ports: fix-favicon >>>\n\
        # Written by worktree-ports-hook. Change .worktree-ports.config.json instead.\n\
        COMPOSE_PROJECT_NAME=shop-1\n\
        # <<< worktree-ports <<<";

    /// `text` with `@` for a whole block, `(` for its first line, `)` for its last.
    fn text(short: &str) -> String {
        short
            .replace('@', BLOCK)
            .replace('(', "# >>> worktree-ports: main >>>")
            .replace(')', CLOSING)
    }

    #[test]
    fn a_block_is_marked_with_the_label_and_says_where_to_change_it() {
        let variables = [("COMPOSE_PROJECT_NAME".to_owned(), "shop-1".to_owned())];
        assert_eq!(render("fix-favicon", &variables), BLOCK);
    }

    #[test]
    fn the_block_is_put_last_and_taken_out() {
        // The text, the text with the block, the text without it.
        let table = [
            ("", "\n@\n", ""),
            ("A=1\n", "A=1\n\n@\n", "A=1\n"),
            ("A=1", "A=1\n\n@", "A=1"),
            ("A=1\\", "A=1\\\n\n@", "A=1\\"),
            ("A=1\r\n", "A=1\r\n\n@\n", "A=1\r\n"),
            ("A=1\r", "A=1\r\n\n@", "A=1\r"),
            ("\n", "\n\n@\n", "\n"),
            ("A=1\n\n", "A=1\n\n\n@\n", "A=1\n\n"),
            // In place already.
            ("\n@\n", "\n@\n", ""),
            ("@\n", "\n@\n", ""),
            ("A=1\n\n@\n", "A=1\n\n@\n", "A=1\n"),
            ("A=1\n\n@", "A=1\n\n@", "A=1"),
            // An editor removed the empty line, or added the last newline.
            ("A=1\n@\n", "A=1\n\n@\n", "A=1\n"),
            ("A=1\n@", "A=1\n\n@\n", "A=1\n"),
            // Another worktree's, and one with other variables.
            ("A=1\n\n(\nX=1\n)\n", "A=1\n\n@\n", "A=1\n"),
            // Lines behind it.
            ("A=1\n\n@\nB=2\n", "A=1\nB=2\n\n@\n", "A=1\nB=2\n"),
            ("A=1\n\n@\nB=2", "A=1\nB=2\n\n@", "A=1\nB=2"),
            ("A=1\n\n@\n\n\n", "A=1\n\n\n\n@\n", "A=1\n\n\n"),
            // Appended by `echo B=2 >> .env` to a file without a newline at its end.
            ("A=1\n\n@B=2\n", "A=1\nB=2\n\n@\n", "A=1\nB=2\n"),
            ("A=1\n\n@# x", "A=1\n# x\n\n@", "A=1\n# x"),
            ("A=1\n\n@@\n", "A=1\n\n@\n", "A=1\n"),
            // Several.
            ("A=1\n\n@\n\n@\n", "A=1\n\n@\n", "A=1\n"),
            ("A=1\n\n\n@\n@\n", "A=1\n\n\n@\n", "A=1\n\n"),
            (
                "A=1\n\n(\n)\nB=2\n\n@\nC=3\n",
                "A=1\nB=2\nC=3\n\n@\n",
                "A=1\nB=2\nC=3\n",
            ),
            // An editor converted all line ends.
            ("A=1\r\n\r\n(\r\nX=1\r\n)\r\n", "A=1\r\n\n@\n", "A=1\r\n"),
            ("A=1\r\n\r\n(\r\nX=1\r\n)", "A=1\r\n\n@\n", "A=1\r\n"),
        ];
        for (before, in_place, taken_out) in table {
            let before = text(before);
            assert_eq!(with(&before, BLOCK), Ok(text(in_place)), "{before:?}");
            assert_eq!(without(&before), Ok(text(taken_out)), "{before:?}");
        }
    }

    #[test]
    fn half_a_block_is_left_to_the_user() {
        let table = [
            ("A=1\n(\nX=1\n", 2),
            ("A=1\nX=1\n)\n", 3),
            (")\n(\n", 1),
            ("(\n(\n)\n", 1),
            ("(\n)\n)\n", 3),
            ("(\r\n", 1),
            // What follows the mark is neither its line end nor what was appended.
            ("A=1\n(\n) (do not touch)\n", 2),
        ];
        for (half, line) in table {
            let half = text(half);
            assert_eq!(without(&half), Err(HalfBlock { line }), "{half:?}");
            assert_eq!(with(&half, BLOCK), Err(HalfBlock { line }), "{half:?}");
            assert!(is_in(&half), "{half:?}");
        }
    }

    #[test]
    fn lines_that_look_alike_are_the_users() {
        let table = [
            " (\n",
            "#(\n",
            "( \n",
            "# >>> worktree-ports >>>\n",
            " )\n",
            "x)\n",
            ") x\n",
            "# <<< worktree-ports <<\n",
            "A=(\n",
        ];
        for alike in table {
            let alike = text(alike);
            assert!(!is_in(&alike), "{alike:?}");
            assert_eq!(without(&alike), Ok(alike.clone()));
        }
    }

    #[test]
    fn a_quote_that_is_never_closed_is_found() {
        let table = [
            ("A=1\nB=\"x\n", Some(2)),
            ("A='x\nB=2\n", Some(1)),
            ("export A = `x", Some(1)),
            ("A=\"x\\\"\n", Some(1)),
            ("A=\"x\nB=2\"\nC='\n", Some(3)),
            ("A=\"x\nB=2\"\nC='x'\n", None),
            ("A=\"\\\\\"\n", None),
            ("A=it's\n", None),
            ("# A=\"x\n", None),
            ("it's\n", None),
            ("A=\n\"", None),
            ("", None),
        ];
        for (text, line) in table {
            assert_eq!(open_quote(text), line, "{text:?}");
        }
        assert_eq!(open_quote(BLOCK), None);
    }

    /// Texts in which line ends, quotes and, `marks` times as often, marks are frequent.
    fn any_text(marks: u32) -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            4 => "[A-Z]=[0-9\"'\\\\]{0,2}",
            2 * marks => Just(BLOCK.to_owned()),
            marks => Just("# >>> worktree-ports: main >>>".to_owned()),
            marks => Just(CLOSING.to_owned()),
            4 => Just("\n".to_owned()),
            2 => Just("\r\n".to_owned()),
            1 => Just("\r".to_owned()),
            1 => any::<String>(),
        ];
        proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    fn blocks_in(text: &str) -> usize {
        let lines = numbered_lines(text).map(|(_, line)| Mark::of(line));
        lines
            .filter(|mark| matches!(mark, Some(Mark::Opening)))
            .count()
    }

    /// The lines outside blocks less their line ends: those with something on them, and how many
    /// are empty.
    fn lines_of_user(text: &str) -> (Vec<&str>, usize) {
        let mut is_inside = false;
        let mut lines = Vec::new();
        for (_, line) in numbered_lines(text) {
            match Mark::of(line) {
                Some(mark) => is_inside = matches!(mark, Mark::Opening),
                None if is_inside => {}
                None => lines.push(line.trim_end_matches(['\r', '\n'])),
            }
        }
        let all = lines.len();
        lines.retain(|line| !line.is_empty());
        let empty = all - lines.len();
        (lines, empty)
    }

    proptest! {
        #[test]
        fn what_was_put_in_is_taken_out_without_a_trace(text in any_text(0)) {
            let with = with(&text, BLOCK).unwrap();
            prop_assert!(with.starts_with(&text));
            prop_assert_eq!(without(&with), Ok(text));
        }

        #[test]
        fn a_text_with_the_block_in_place_does_not_change(text in any_text(1)) {
            let Ok(once) = with(&text, BLOCK) else { return Ok(()) };
            prop_assert_eq!(with(&once, BLOCK), Ok(once.clone()));
            prop_assert_eq!(without(&once), without(&text));
            prop_assert_eq!(blocks_in(&once), 1);
            prop_assert!(once.trim_end_matches('\n').ends_with(BLOCK));
        }

        #[test]
        fn every_line_of_the_user_is_kept_in_order(text in any_text(1)) {
            let Ok(user) = without(&text) else { return Ok(()) };
            let ((kept, empty), (lines, empty_before)) = (lines_of_user(&user), lines_of_user(&text));
            prop_assert_eq!(kept, lines);
            prop_assert!(empty <= empty_before && empty + blocks_in(&text) >= empty_before);
            prop_assert!(!is_in(&user));
        }
    }
}
