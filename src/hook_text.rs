//! What our hook looks like in a hook file and in a clone's config, and how it is put in and taken
//! out again to the byte; pure.

use std::path::Path;

/// Our own hook file, and the line in it that says that nothing in it is anybody else's.
pub const HOOK_FILE: &str = include_str!("../hooks/post-checkout");
const OURS_ALONE: &str =
    "# The hook of worktree-ports alone: `worktree-ports-hook --uninstall` deletes this file.\n";

/// What stands around everything of ours in a file that others write too.
const BEGIN: &str = "# >>> worktree-ports >>>\n";
const END: &str = "# <<< worktree-ports <<<\n";

/// The header of our section in the clone's config.
const SECTION: &str = "[hook \"worktree-ports\"]\n";

/// What stands in [`HOOK_FILE`] for others' scripts too, its marks included.
pub fn block() -> &'static str {
    let start = HOOK_FILE.find(BEGIN).expect("the hook file has our marks");
    &HOOK_FILE[start..]
}

/// `text` in three: what is before our block, the block, and what is after it.
pub fn split_at_block(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let start = find(text, 0, BEGIN)?;
    let end = find(text, start, END)? + END.len();
    Some((&text[..start], &text[start..end], &text[end..]))
}

/// Where `part` first stands in `text`, `from` there on.
fn find(text: &[u8], from: usize, part: &str) -> Option<usize> {
    let mut windows = text.get(from..)?.windows(part.len());
    Some(from + windows.position(|window| window == part.as_bytes())?)
}

/// `text` without our block; `None` where it has none.
pub fn without_block(text: &[u8]) -> Option<Vec<u8>> {
    let (before, _, after) = split_at_block(text)?;
    Some([before, after].concat())
}

/// A shell script with our block right after its first line, or with it brought up to date; `None`
/// for what is no shell script.
pub fn with_block_in_script(script: &[u8]) -> Option<Vec<u8>> {
    if let Some((before, _, after)) = split_at_block(script) {
        return Some([before, block().as_bytes(), after].concat());
    }
    let end_of_shebang = script.iter().position(|&byte| byte == b'\n')? + 1;
    let (shebang, rest) = script.split_at(end_of_shebang);
    let is_text = !rest.contains(&0);
    (is_text && is_shell_shebang(shebang)).then(|| [shebang, block().as_bytes(), rest].concat())
}

fn is_shell_shebang(line: &[u8]) -> bool {
    let Some(command) = line
        .strip_prefix(b"#!")
        .and_then(|command| str::from_utf8(command).ok())
    else {
        return false;
    };
    // A carriage return would be part of the interpreter's name.
    let mut words = command
        .split([' ', '\t', '\n'])
        .filter(|word| !word.is_empty() && !word.starts_with('-'));
    let name = |word: &str| word.rsplit('/').next().unwrap_or_default().to_owned();
    let interpreter = match words.next().map(name) {
        Some(env) if env == "env" => words.next().map(name),
        interpreter => interpreter,
    };
    matches!(
        interpreter.as_deref(),
        Some("sh" | "ash" | "bash" | "dash" | "ksh" | "mksh" | "zsh")
    )
}

/// Whether a hook file is ours and nobody else's.
pub fn is_ours_alone(content: &[u8]) -> bool {
    let ours = [
        HOOK_FILE.lines().next().unwrap_or_default(),
        "\n",
        OURS_ALONE,
    ]
    .concat();
    without_block(content).is_some_and(|rest| rest == ours.as_bytes())
}

/// A hook file without us; `None` where nothing is left of it, as in our own.
pub fn without_us(content: &[u8]) -> Option<Vec<u8>> {
    if is_ours_alone(content) {
        return None;
    }
    let mut rest = without_block(content).unwrap_or_else(|| content.to_owned());
    // What another added to our own file is theirs; the line that says otherwise is not true of it.
    if let Some(line) = find(&rest, 0, OURS_ALONE) {
        rest.drain(line..line + OURS_ALONE.len());
    }
    Some(rest)
}

/// The clone's config with our hook in it: git runs `sh -c '<command> "$@"'`, so the command is a
/// function that is named last.
///
/// The mark may follow the last line where that has no newline, as a comment there, so that taking
/// the block out again restores every byte.
pub fn with_block_in_config(config: &[u8], program: &Path) -> Vec<u8> {
    let text = program.as_os_str().as_encoded_bytes();
    let command = [
        b"f() { p=".as_slice(),
        &in_single_quotes(text),
        br#"; test -x "$p" || p=$(git rev-parse --git-common-dir)/worktree-ports/worktree-ports-hook; "#,
        br#"if test -x "$p"; then "$p" "$@" || "#,
        br#"echo "worktree-ports: \`$p\` did not run; run \`worktree-ports-hook --install\` in this clone" >&2; "#,
        br#"else echo "worktree-ports: \`$p\` is gone; run \`worktree-ports-hook --install\` or \`--uninstall\` in this clone" >&2; "#,
        br"fi || :; }; f",
    ]
    .concat();
    let block = [
        BEGIN.as_bytes(),
        SECTION.as_bytes(),
        b"\tcommand = ",
        &in_config_quotes(&command),
        b"\n\tevent = post-checkout\n",
        END.as_bytes(),
    ]
    .concat();
    match split_at_section(config) {
        Some((before, after)) => [&before, &block[..], after].concat(),
        None => [config, &block].concat(),
    }
}

/// The clone's config without our section; `None` where it has none.
pub fn without_block_in_config(config: &[u8]) -> Option<Vec<u8>> {
    let (before, after) = split_at_section(config)?;
    // Where our first mark follows a line without a newline, what came after us needs one.
    let ends_line = before.is_empty() || before.ends_with(b"\n");
    let newline: &[u8] = if ends_line || after.is_empty() {
        b""
    } else {
        b"\n"
    };
    Some([&before, newline, after].concat())
}

/// What is before our section in the clone's config, less our first mark, and what is after it.
///
/// To git that mark is a comment in the section before: git may have removed it with that section,
/// or written a key behind it.
pub fn split_at_section(config: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mark = find(config, 0, BEGIN);
    let (start, end) = match (mark, find(config, 0, SECTION)) {
        (_, Some(start)) => (start, find(config, start, END)? + END.len()),
        // `git config --remove-section` leaves the mark alone.
        (Some(mark), None) => (mark + BEGIN.len(), mark + BEGIN.len()),
        (None, None) => return None,
    };
    let mut before = config[..start].to_owned();
    if let Some(mark) = mark.filter(|&mark| mark < start) {
        let is_next = mark + BEGIN.len() == start;
        let length = BEGIN.len() - usize::from(!is_next);
        before.drain(mark..mark + length);
    }
    Some((before, &config[end..]))
}

fn in_single_quotes(text: &[u8]) -> Vec<u8> {
    let mut quoted = vec![b'\''];
    for &byte in text {
        match byte {
            b'\'' => quoted.extend(br"'\''"),
            byte => quoted.push(byte),
        }
    }
    quoted.push(b'\'');
    quoted
}

fn in_config_quotes(text: &[u8]) -> Vec<u8> {
    let mut quoted = vec![b'"'];
    for &byte in text {
        match byte {
            b'"' => quoted.extend(br#"\""#),
            b'\\' => quoted.extend(br"\\"),
            b'\n' => quoted.extend(br"\n"),
            b'\t' => quoted.extend(br"\t"),
            byte => quoted.push(byte),
        }
    }
    quoted.push(b'"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_is_told_by_the_first_line() {
        let shells = [
            "#!/bin/sh\n",
            "#! /bin/sh -e\n",
            "#!/usr/bin/env bash\n",
            "#!/usr/bin/env -S zsh -f\n",
            "#!/usr/local/bin/dash\n",
            "#!/bin/ksh\t\n",
        ];
        for line in shells {
            assert!(is_shell_shebang(line.as_bytes()), "{line}");
        }
        let others = [
            "#!/bin/sh\r\n",
            "#!/usr/bin/env python3\n",
            "#!/usr/bin/env\n",
            "#!\n",
            "# /bin/sh\n",
            "#!/bin/csh\n",
            "#!/usr/bin/fish\n",
            "#!/usr/bin/env -S A=b sh\n",
        ];
        for line in others {
            assert!(!is_shell_shebang(line.as_bytes()), "{line}");
        }
        assert!(!is_shell_shebang(b"#!/bin/\xffsh\n"));
    }

    #[test]
    fn a_script_with_our_block_stays_as_it_is_and_without_it_is_what_it_was() {
        for script in ["#!/bin/sh\n", "#!/bin/sh\nx", "#!/bin/bash\r \nx\n\n"] {
            let Some(with) = with_block_in_script(script.as_bytes()) else {
                assert!(script.contains('\r'));
                continue;
            };
            assert_eq!(with_block_in_script(&with).as_ref(), Some(&with));
            assert_eq!(without_us(&with).as_deref(), Some(script.as_bytes()));
        }
        assert_eq!(with_block_in_script(b"#!/bin/sh"), None);
        assert_eq!(without_us(HOOK_FILE.as_bytes()), None);
        let more = [HOOK_FILE.as_bytes(), b"more\xff\n"].concat();
        let without = without_us(&more).unwrap();
        assert_eq!(without, b"#!/bin/sh\nmore\xff\n");
    }

    #[test]
    fn a_config_with_our_section_stays_as_it_is_and_without_it_is_what_it_was() {
        let program = Path::new("/clone/.git/worktree-ports/worktree-ports-hook");
        let configs = [
            "",
            "\n",
            "[a]",
            "[a]\n",
            "[a]\n\tb = c",
            "[a]\n\tb = c\n",
            "[a]\n\tb = \"c\" ; d",
        ];
        for config in configs {
            let with = with_block_in_config(config.as_bytes(), program);
            assert_eq!(with_block_in_config(&with, program), with, "{config:?}");
            let without = without_block_in_config(&with);
            assert_eq!(without.as_deref(), Some(config.as_bytes()), "{config:?}");
            assert_eq!(without_block_in_config(config.as_bytes()), None);

            // What somebody has appended stays a section of its own.
            let more = [&with, &b"[d]\n"[..]].concat();
            assert_eq!(with_block_in_config(&more, program), more, "{config:?}");
            let newline = if config.is_empty() || config.ends_with('\n') {
                ""
            } else {
                "\n"
            };
            let expected = format!("{config}{newline}[d]\n");
            let without = without_block_in_config(&more);
            assert_eq!(without.as_deref(), Some(expected.as_bytes()), "{config:?}");
        }
    }

    #[test]
    fn a_config_that_git_has_edited_loses_our_section_alone() {
        let section = "[hook \"worktree-ports\"]\n\tcommand = x\n";
        let cases = [
            // git took our first mark for a part of the section before, and removed it.
            (format!("[a]\n{section}{END}[b]\n"), "[a]\n[b]\n"),
            // git wrote a key behind our first mark.
            (
                format!("[a]\n\tb = c{BEGIN}\td = e\n{section}{END}"),
                "[a]\n\tb = c\n\td = e\n",
            ),
            // git removed our section, and left the mark.
            (format!("[a]\n{BEGIN}[b]\n"), "[a]\n[b]\n"),
            (format!("[a]{BEGIN}[b]\n"), "[a]\n[b]\n"),
        ];
        for (config, expected) in cases {
            let without = without_block_in_config(config.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(without).unwrap(), expected, "{config:?}");
            let with = with_block_in_config(config.as_bytes(), Path::new("/p"));
            let with = String::from_utf8(with).unwrap();
            assert_eq!(with.matches(SECTION).count(), 1, "{with}");
            assert_eq!(with.matches(BEGIN).count(), 1, "{with}");
        }
    }

    #[test]
    fn no_character_of_a_path_ends_a_quotation() {
        assert_eq!(in_single_quotes(b"a'b$c\"d"), br#"'a'\''b$c"d'"#);
        assert_eq!(
            in_config_quotes(b"a\"b\\c\nd\te;f#g"),
            br#""a\"b\\c\nd\te;f#g""#
        );
    }
}
