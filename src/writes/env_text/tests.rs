//! Tests of `env_text`.

use proptest::prelude::*;

use super::*;
use crate::writes::block::CLOSING;

const BYTE_ORDER_MARK: &str = "\u{feff}";

/// What `@` stands for in the tables.
const BLOCK: &str = "# >>> worktree-ports: fix-cart >>>\n\
    # Written by worktree-ports-hook. Change .worktree-ports.config.json instead.\n\
    PORT=8100\n\
    URL='http://localhost:8100/?a=1&b=2'\n\
    # <<< worktree-ports <<<\n\n";

/// What `%` stands for: the block of another worktree, with the empty line below it.
const OTHERS: &str = "# >>> worktree-ports: other >>>\nPORT=9000\n# <<< worktree-ports <<<\n\n";

fn variables() -> Vec<(String, String)> {
    let url = "http://localhost:8100/?a=1&b=2";
    [("PORT", "8100"), ("URL", url)]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

fn with_block(text: &str) -> Result<String, HalfBlock> {
    with(text, "fix-cart", &variables()).map(|with| with.text)
}

/// `short` with `@` for the block, `%` for another one and `#!` for the mark before a replaced line.
fn text(short: &str) -> String {
    short
        .replace('@', BLOCK)
        .replace('%', OTHERS)
        .replace("#!", REPLACED)
}

#[test]
fn the_block_is_put_at_the_top_and_taken_out() {
    // The text, the text with the block, and the text without it.
    let table = [
        ("", "@", ""),
        ("A=1\n", "@A=1\n", "A=1\n"),
        ("A=1", "@A=1", "A=1"),
        ("\n", "@\n", "\n"),
        ("\n\nA=1\n\n", "@\n\nA=1\n\n", "\n\nA=1\n\n"),
        ("A=1\r\n", "@A=1\r\n", "A=1\r\n"),
        ("\r\n", "@\r\n", "\r\n"),
        ("\u{feff}", "\u{feff}@", "\u{feff}"),
        ("\u{feff}A=1\n", "\u{feff}@A=1\n", "\u{feff}A=1\n"),
        (
            "\u{feff}PORT=1\n",
            "\u{feff}@#!PORT=1\n",
            "\u{feff}PORT=1\n",
        ),
        // There already.
        ("@", "@", ""),
        ("@A=1", "@A=1", "A=1"),
        ("@#!PORT=1\nA=1\n", "@#!PORT=1\nA=1\n", "PORT=1\nA=1\n"),
        // Another worktree's, with its marks.
        ("%A=1\n", "@A=1\n", "A=1\n"),
        ("%#!PORT=1\n#!X=2\n", "@#!PORT=1\nX=2\n", "PORT=1\nX=2\n"),
        // Lines above it, and below it.
        ("A=1\n@B=2\n", "@A=1\nB=2\n", "A=1\nB=2\n"),
        ("A=1\n@\nB=2\n", "@A=1\n\nB=2\n", "A=1\n\nB=2\n"),
        // Several.
        ("@%A=1\n", "@A=1\n", "A=1\n"),
        ("%A=1\n@B=2\n%", "@A=1\nB=2\n", "A=1\nB=2\n"),
        // A tool has copied a file with the block, and replaced lines were replaced again.
        ("%#!#!PORT=1\n", "@#!PORT=1\n", "PORT=1\n"),
        ("#!PORT=1\n#!#!#!A=1\n", "@#!PORT=1\nA=1\n", "PORT=1\nA=1\n"),
    ];
    for (before, in_place, taken_out) in table {
        let before = text(before);
        assert_eq!(with_block(&before), Ok(text(in_place)), "{before:?}");
        assert_eq!(without(&before), Ok(text(taken_out)), "{before:?}");
    }
}

#[test]
fn what_an_editor_did_to_the_lines_around_a_block_is_no_obstacle() {
    let (opening, closing) = ("# >>> worktree-ports: a >>>", "# <<< worktree-ports <<<");
    // The text, and the text without the block.
    let table = [
        (
            format!("{opening}\r\nPORT=1\r\n{closing}\r\n\r\nA=1\r\n"),
            "A=1\r\n",
        ),
        // Without the empty line, and without a line end at all.
        (format!("{opening}\nPORT=1\n{closing}\nA=1\n"), "A=1\n"),
        (format!("A=1\n{opening}\nPORT=1\n{closing}"), "A=1\n"),
        (format!("{opening}\n{closing}\n\n\nA=1"), "\nA=1"),
        (format!("# >>> worktree-ports >>>\n{closing}\n"), ""),
    ];
    for (before, taken_out) in table {
        assert_eq!(without(&before), Ok(taken_out.to_owned()), "{before:?}");
        assert_eq!(with_block(&before), with_block(taken_out), "{before:?}");
    }
}

#[test]
fn half_a_block_is_an_error_with_its_line() {
    let (opening, closing) = ("# >>> worktree-ports: a >>>", "# <<< worktree-ports <<<");
    let table = [
        (format!("A=1\n{opening}\nPORT=1\n"), 2),
        (format!("\u{feff}{closing}\n"), 1),
        (format!("{opening}\n{opening}\n{closing}\n"), 1),
        (format!("{opening}\r\n{closing}\r\n\r\n{closing}\r\n"), 4),
        (format!("PORT=1\n{REPLACED}{closing}\n"), 2),
    ];
    for (half, line) in table {
        assert_eq!(without(&half), Err(HalfBlock { line }), "{half:?}");
        assert_eq!(with_block(&half), Err(HalfBlock { line }), "{half:?}");
    }
}

#[test]
fn definitions_of_our_variables_are_commented_out_and_nothing_else_is() {
    // The user's lines, and the same below the block.
    let table = [
        ("PORT=1\n", "#!PORT=1\n"),
        ("PORT=1", "#!PORT=1"),
        ("PORT=1\r\n", "#!PORT=1\r\n"),
        ("PORT=\n", "#!PORT=\n"),
        ("  PORT = 1\n", "#!  PORT = 1\n"),
        ("\tPORT\t=1\n", "#!\tPORT\t=1\n"),
        ("export PORT=1\n", "#!export PORT=1\n"),
        (" export\tPORT =1\n", "#! export\tPORT =1\n"),
        ("PORT='1'\n", "#!PORT='1'\n"),
        ("PORT=\"1\" # x\n", "#!PORT=\"1\" # x\n"),
        // As often as it is defined.
        (
            "PORT=1\nA=1\nPORT=2\nURL=x\n",
            "#!PORT=1\nA=1\n#!PORT=2\n#!URL=x\n",
        ),
        // Other names, and what defines nothing.
        ("PORTS=1\nXPORT=1\n", "PORTS=1\nXPORT=1\n"),
        // Windows takes a variable's name in either case.
        (
            "port=1\n",
            if cfg!(windows) {
                "#!port=1\n"
            } else {
                "port=1\n"
            },
        ),
        ("exportPORT=1\nPORT-X=1\n", "exportPORT=1\nPORT-X=1\n"),
        (
            "# PORT=1\n#PORT=1\nPORT\nPORT: 1\n",
            "# PORT=1\n#PORT=1\nPORT\nPORT: 1\n",
        ),
        ("A=PORT=1\n=PORT=1\n", "A=PORT=1\n=PORT=1\n"),
        ("X PORT=1\n$PORT=1\n", "X PORT=1\n$PORT=1\n"),
        // Inside a value that spans lines, of another variable or of one of ours.
        ("A=\"\nPORT=1\n\"\nPORT=2\n", "A=\"\nPORT=1\n\"\n#!PORT=2\n"),
        ("A='x\nPORT=1'\n", "A='x\nPORT=1'\n"),
        ("A=`\r\nPORT=1\r\n`\r\n", "A=`\r\nPORT=1\r\n`\r\n"),
        ("PORT=\"1\n\"\nPORT=2\n", "PORT=\"1\n\"\n#!PORT=2\n"),
        ("A=\"\\\"\nPORT=1\n\"\n", "A=\"\\\"\nPORT=1\n\"\n"),
        // A backslash escapes only between double quotes.
        ("A='\\'\nPORT=1\nB='x'\n", "A='\\'\n#!PORT=1\nB='x'\n"),
        (
            "A=\"\\\\\"\nPORT=1\nB=\"\"\n",
            "A=\"\\\\\"\n#!PORT=1\nB=\"\"\n",
        ),
        // A quote that is never closed, or not directly behind the equals sign, opens nothing.
        ("A=\"\nPORT=1\n", "A=\"\n#!PORT=1\n"),
        ("PORT='1\nB=2\n", "#!PORT='1\nB=2\n"),
        ("A= \"\nPORT=1\nB=\"\n", "A= \"\n#!PORT=1\nB=\"\n"),
        ("A=it's\nPORT=1\nB=it's\n", "A=it's\n#!PORT=1\nB=it's\n"),
        ("# A=\"\nPORT=1\n# \"\n", "# A=\"\n#!PORT=1\n# \"\n"),
        ("it's\nPORT=1\nit's\n", "it's\n#!PORT=1\nit's\n"),
    ];
    for (user, below) in table {
        let with = with_block(user).unwrap();
        assert_eq!(with, text(&format!("@{below}")), "{user:?}");
        assert_eq!(without(&with).as_deref(), Ok(user));
    }
}

#[test]
fn values_that_span_lines_are_told_by_their_names() {
    let variables = variables();
    let table: [(&str, &[&str]); 6] = [
        ("PORT=\"1\n\"\n", &["PORT"]),
        ("export URL='\n'\nA=\"\n\"\nPORT=1\n", &["URL"]),
        ("PORT=`\n`\nURL=\"\n\"\nPORT='\n'", &["PORT", "URL", "PORT"]),
        ("A=\"\nPORT='\n'\n\"\n", &[]),
        ("PORT=\"1\n", &[]),
        ("PORT=\"1\"\n", &[]),
    ];
    for (user, expected) in table {
        let once = with(&format!("\u{feff}{user}"), "a", &variables).unwrap();
        assert_eq!(once.spanning, expected, "{user:?}");
        assert_eq!(with(&once.text, "a", &variables), Ok(once), "{user:?}");
    }
}

#[test]
fn the_names_in_blocks_are_those_of_their_lines() {
    assert_eq!(
        names_in_blocks(&text("A=1\n@B=2\n%")),
        ["PORT", "URL", "PORT"]
    );
    assert_eq!(names_in_blocks(&text("\u{feff}@B=2\n")), ["PORT", "URL"]);
    assert_eq!(names_in_blocks("PORT=1\n"), [""; 0]);
}

/// A piece of a text in which definitions, quotes and line ends are frequent.
fn users_piece() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "( |export )?(PORT|URL|A)( )?=[1\"'`\\\\]{0,2}",
        4 => Just("\n".to_owned()),
        2 => Just("\r\n".to_owned()),
        2 => "[\"'`#= ]",
        1 => any::<String>(),
    ]
}

/// Marks of ours, in blocks and alone.
fn our_piece() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(BLOCK.to_owned()),
        Just(OTHERS.to_owned()),
        Just(OTHERS.replace('\n', "\r\n")),
        Just("# >>> worktree-ports: a >>>\n".to_owned()),
        Just(format!("{CLOSING}\n")),
        Just(REPLACED.to_owned()),
        Just(format!("\n{REPLACED}")),
    ]
}

/// Pieces in a row. A byte order mark is one at the start alone; elsewhere it is part of a name.
fn text_of(piece: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let pieces = proptest::collection::vec(piece, 0..14);
    (any::<bool>(), pieces).prop_map(|(has_mark, pieces)| {
        let mark = if has_mark { BYTE_ORDER_MARK } else { "" };
        mark.to_owned() + &pieces.concat().replace(BYTE_ORDER_MARK, "")
    })
}

/// A text without marks of ours.
fn users_text() -> impl Strategy<Value = String> {
    text_of(users_piece())
}

fn any_text() -> impl Strategy<Value = String> {
    text_of(prop_oneof![3 => users_piece(), 2 => our_piece()])
}

/// A line or several of a user's, and the same below a block of ours.
fn any_lines() -> impl Strategy<Value = (String, String)> {
    let same = |lines: &str| (lines.to_owned(), lines.to_owned());
    let own =
        "(export |[ \t]{0,2})(PORT|URL)[ \t]?=([a-z0-9$]{0,3}|\"[a-z' ]{0,3}\"|'[a-z\" ]{0,3}')";
    let end = prop_oneof![4 => Just("\n"), 1 => Just("\r\n")];
    prop_oneof![
        4 => (own, end).prop_map(|(line, end)| {
            (format!("{line}{end}"), format!("{REPLACED}{line}{end}"))
        }),
        2 => "[A-Z]{1,3}_X=[a-z0-9 ]{0,3}\n".prop_map(move |line| same(&line)),
        1 => "#[ -~]{0,9}\n".prop_map(move |line| same(&line)),
        1 => "(A|PORT)=\"[a-z]?\n(PORT=[0-9]\n){0,2}[a-z]?\"\n".prop_map(move |lines| same(&lines)),
        1 => "(A|URL)='\nURL=\"\n'\n".prop_map(move |lines| same(&lines)),
        1 => Just(same("\n")),
    ]
}

proptest! {
    #[test]
    fn what_was_put_in_is_taken_out_to_the_byte(text in users_text()) {
        let with = with_block(&text).unwrap();
        prop_assert_eq!(without(&with), Ok(text));
    }

    #[test]
    fn a_block_that_is_put_in_twice_is_there_once(text in any_text()) {
        let Ok(once) = with_block(&text) else { return Ok(()) };
        prop_assert_eq!(without(&once), without(&text));
        prop_assert_eq!(with_block(&once), Ok(once.clone()));
        let body = once.trim_start_matches(BYTE_ORDER_MARK);
        prop_assert_eq!(block::find(body.as_bytes()).unwrap().len(), 1);
        // Nothing of ours is left, and taking it out again takes nothing.
        let user = without(&text).unwrap();
        prop_assert!(!block::has_mark(user.as_bytes()));
        prop_assert_eq!(without(&user), Ok(user.clone()));
    }

    #[test]
    fn every_definition_of_ours_on_one_line_is_commented_out(
        bom in prop::option::of(Just(BYTE_ORDER_MARK)),
        lines in proptest::collection::vec(any_lines(), 0..9),
    ) {
        let bom = bom.unwrap_or_default();
        let user: String = lines.iter().map(|(line, _)| line.as_str()).collect();
        let below: String = lines.iter().map(|(_, line)| line.as_str()).collect();
        prop_assert_eq!(with_block(&format!("{bom}{user}")), Ok(format!("{bom}{BLOCK}{below}")));
    }

    #[test]
    fn no_label_and_no_variables_are_needed_to_give_every_byte_back(
        user in users_text(),
        label in "[a-z0-9-]{1,40}",
        names in proptest::collection::vec("[A-Z_]{1,5}|A|PORT", 0..4),
    ) {
        let variables: Vec<(String, String)> =
            names.into_iter().map(|name| (name, "1".to_owned())).collect();
        let once = with(&user, &label, &variables).unwrap().text;
        // Another worktree's block in place of the first one, as after a copy.
        prop_assert_eq!(with_block(&once), with_block(&user));
        prop_assert_eq!(without(&once), Ok(user));
    }
}
