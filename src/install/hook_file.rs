//! What our hook looks like in a hook file and in a clone's config, and how it is put in and taken
//! out again to the byte; pure.

use std::path::Path;

/// Our own hook file, and the line in it that says that nothing in it is anybody else's.
pub const HOOK_FILE: &str = include_str!("../../hooks/post-checkout");
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
mod tests;
