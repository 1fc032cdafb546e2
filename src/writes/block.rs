//! Our lines in somebody else's file: the marks around them, and how they are found again. Pure.

use std::ops::Range;
use std::path::Path;

use crate::error::{Error, quoted};

/// The start of the mark above our lines.
const OPENING: &str = "# >>> worktree-ports";

/// The end of that mark.
const OPENING_END: &str = " >>>";

/// The mark below our lines.
pub const CLOSING: &str = "# <<< worktree-ports <<<";

/// A mark without its counterpart.
#[derive(Debug, PartialEq, Eq)]
pub struct HalfBlock {
    /// The line of that mark, counted from 1.
    pub line: usize,
}

impl HalfBlock {
    /// The error for a file with it: `could not <what> <path>: …`.
    pub fn error(&self, what: &str, path: &Path) -> Error {
        let line = self.line;
        let cause = format!("line {line} is one mark of a block, and the other one is missing");
        let remedy = format!("delete what is left of the block in {}", quoted(path));
        Error::at(what, path, cause).remedy(remedy)
    }
}

/// The position of our lines in a text, in bytes.
#[derive(Debug, PartialEq, Eq)]
pub struct Block {
    /// With the marks, up to the line ending of the second one.
    pub range: Range<usize>,
    /// Without the marks.
    pub inside: Range<usize>,
}

/// The mark above a block; in an env file, it names the worktree by its label.
pub fn opening(label: Option<&str>) -> String {
    match label {
        None => format!("{OPENING}{OPENING_END}"),
        Some(label) => format!("{OPENING}: {label}{OPENING_END}"),
    }
}

/// A block of these lines, each with its line ending.
pub fn render(label: Option<&str>, lines: &str) -> String {
    format!("{}\n{lines}{CLOSING}\n", opening(label))
}

/// The length of the byte order mark at the start of `text`; a block comes after it, because readers only
/// skip the mark at the start.
pub fn byte_order_mark(text: &[u8]) -> usize {
    const MARK: &[u8] = b"\xef\xbb\xbf";
    if text.starts_with(MARK) {
        MARK.len()
    } else {
        0
    }
}

/// The blocks in `text`, in order.
pub fn find(text: &[u8]) -> Result<Vec<Block>, HalfBlock> {
    let mut blocks = Vec::new();
    let mut open: Option<MarkedLine> = None;
    for marked in marks(text) {
        match (marked.mark, open.take()) {
            (Mark::Opening, None) => open = Some(marked),
            (Mark::Closing, Some(opening)) => blocks.push(Block {
                range: opening.range.start..marked.range.end,
                inside: opening.range.end..marked.range.start,
            }),
            (Mark::Closing, None) => return Err(HalfBlock { line: marked.line }),
            (Mark::Opening, Some(opening)) => return Err(HalfBlock { line: opening.line }),
        }
    }
    match open {
        None => Ok(blocks),
        Some(MarkedLine { line, .. }) => Err(HalfBlock { line }),
    }
}

/// The first block in `text`, even if there are unpaired marks.
pub fn first(text: &[u8]) -> Option<Range<usize>> {
    let mut open = None;
    for MarkedLine { mark, range, .. } in marks(text) {
        match (mark, open) {
            (Mark::Opening, _) => open = Some(range.start),
            (Mark::Closing, Some(start)) => return Some(start..range.end),
            (Mark::Closing, None) => {}
        }
    }
    None
}

/// Whether `text` contains one of our marks, even an unpaired one.
pub fn has_mark(text: &[u8]) -> bool {
    marks(text).next().is_some()
}

/// Whether `text` contains the mark above a block of the worktree with that label.
pub fn has_mark_of(text: &[u8], label: &str) -> bool {
    let text = &text[byte_order_mark(text)..];
    let opening = opening(Some(label));
    marks(text).any(|marked| text[marked.range].trim_ascii_end() == opening.as_bytes())
}

#[derive(Clone, Copy)]
enum Mark {
    Opening,
    Closing,
}

/// A line that is a mark.
struct MarkedLine {
    mark: Mark,
    /// Its number, counted from 1.
    line: usize,
    range: Range<usize>,
}

fn marks(text: &[u8]) -> impl Iterator<Item = MarkedLine> {
    let mut at = 0;
    let lines = text.split_inclusive(|&byte| byte == b'\n');
    (1..).zip(lines).filter_map(move |(line, content)| {
        let range = at..at + content.len();
        at = range.end;
        let mark = Mark::of(content)?;
        Some(MarkedLine { mark, line, range })
    })
}

impl Mark {
    /// The mark that `line` is. Any label counts, because a tool may have copied the file from
    /// another worktree. An editor may have changed the line ending.
    fn of(line: &[u8]) -> Option<Mark> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line == CLOSING.as_bytes() {
            return Some(Mark::Closing);
        }
        let label = line
            .strip_prefix(OPENING.as_bytes())?
            .strip_suffix(OPENING_END.as_bytes())?;
        (label.is_empty() || label.starts_with(b": ")).then_some(Mark::Opening)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_with_and_without_a_label_and_a_last_newline() {
        let text = "a\n# >>> worktree-ports >>>\nx\n# <<< worktree-ports <<<\nb\n\
                    # >>> worktree-ports: main >>>\r\n# <<< worktree-ports <<<";
        let found = find(text.as_bytes()).unwrap();
        let inside: Vec<&str> = found.iter().map(|it| &text[it.inside.clone()]).collect();
        assert_eq!(inside, ["x\n", ""]);
        assert_eq!(&text[..found[0].range.start], "a\n");
        assert_eq!(&text[found[0].range.end..found[1].range.start], "b\n");
        assert_eq!(found[1].range.end, text.len());
    }

    #[test]
    fn half_a_block_is_told_by_its_line() {
        let (open, close) = (opening(None) + "\n", CLOSING.to_owned() + "\n");
        for (text, line) in [
            (format!("a\n{open}"), 2),
            (close.clone(), 1),
            (format!("{open}{open}{close}"), 1),
            (format!("{open}{close}{close}"), 3),
        ] {
            assert_eq!(find(text.as_bytes()), Err(HalfBlock { line }), "{text:?}");
            assert!(has_mark(text.as_bytes()));
        }
    }

    #[test]
    fn lines_that_look_alike_are_not_marks() {
        for alike in [
            " # >>> worktree-ports >>>",
            "# >>> worktree-ports >>> ",
            "# >>> worktree-portsx >>>",
            "x# <<< worktree-ports <<<",
            "# <<< worktree-ports <<",
        ] {
            assert!(!has_mark(alike.as_bytes()), "{alike:?}");
        }
    }
}
