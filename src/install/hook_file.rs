//! Our block in a hook file: adding, updating and removing it without changing any other byte. Pure.

use crate::writes::block;

/// Our own hook file: two lines that say that it is ours, then the block that we also add to scripts of
/// others.
pub const HOOK_FILE: &str = include_str!("../../hooks/post-checkout");

/// The lines of [`HOOK_FILE`] before the block, and the block with its marks.
fn head_and_block() -> (&'static str, &'static str) {
    let block = block::first(HOOK_FILE.as_bytes()).expect("the hook file has our marks");
    HOOK_FILE.split_at(block.start)
}

/// Whether `script` has our block, of any version.
pub fn has_block(script: &[u8]) -> bool {
    block::first(script).is_some()
}

/// A shell script with our block after its first line, or with its block updated; `None` if it is not a
/// shell script.
pub fn with_block(script: &[u8]) -> Option<Vec<u8>> {
    let replaced = match block::first(script) {
        Some(block) => block,
        None if is_shell_script(script) => {
            let end_of_shebang = script.iter().position(|&byte| byte == b'\n')? + 1;
            end_of_shebang..end_of_shebang
        }
        None => return None,
    };
    let (before, after) = (&script[..replaced.start], &script[replaced.end..]);
    Some([before, head_and_block().1.as_bytes(), after].concat())
}

/// `script` without our blocks.
pub fn without_block(script: &[u8]) -> Vec<u8> {
    let mut script = script.to_owned();
    while let Some(block) = block::first(&script) {
        script.drain(block);
    }
    script
}

/// Whether a hook file has only our lines.
pub fn is_ours_alone(script: &[u8]) -> bool {
    has_block(script) && without_block(script) == head_and_block().0.as_bytes()
}

/// A hook file without our lines; `None` if nothing is left.
pub fn without_us(script: &[u8]) -> Option<Vec<u8>> {
    let rest = without_block(script);
    let (shebang, whose) = head_and_block().0.split_once('\n')?;
    // Lines that another program has added to our own file stay, but not the line that calls it ours.
    match rest.strip_prefix([shebang, "\n", whose].concat().as_bytes()) {
        Some([]) => None,
        Some(added) => Some([shebang.as_bytes(), b"\n", added].concat()),
        None => Some(rest),
    }
}

/// Whether only a shell reads `script`, so that lines can be added after the first.
pub fn is_shell_script(script: &[u8]) -> bool {
    // Comments and messages often have names in another encoding.
    let script = String::from_utf8_lossy(script);
    let Some((shebang, rest)) = script.split_once('\n') else {
        return false;
    };
    !rest.contains('\0') && is_shell_shebang(shebang) && !is_polyglot(rest)
}

fn is_shell_shebang(line: &str) -> bool {
    let Some(command) = line.strip_prefix("#!") else {
        return false;
    };
    // A carriage return would be part of the interpreter's name.
    let mut words = command
        .split([' ', '\t'])
        .filter(|word| !word.is_empty() && !word.starts_with('-'))
        .map(|word| word.rsplit('/').next().unwrap_or_default());
    let interpreter = match words.next() {
        Some("env") => words.next(),
        interpreter => interpreter,
    };
    matches!(
        interpreter,
        Some("sh" | "ash" | "bash" | "dash" | "ksh" | "mksh" | "zsh")
    )
}

/// Whether another language reads the script too: the shell's first command passes the file to it, or
/// what is a comment or a word to the shell starts a comment or a string there.
fn is_polyglot(after_shebang: &str) -> bool {
    for line in after_shebang.lines().map(str::trim) {
        let is_comment = line.starts_with('#');
        if is_comment && (line.starts_with("#|") || line.ends_with('\\')) {
            return true;
        }
        if !is_comment && !line.is_empty() {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "_.[($!{/:".contains(c);
            let is_handed_on = ["exec", "eval"].iter().any(|word| line.contains(word))
                && ["$0", "${0}"].iter().any(|name| line.contains(name));
            return !line.starts_with(is_plain)
                || [":'", ":\"", "//", "/*", "(*", "{-"]
                    .iter()
                    .any(|start| line.starts_with(start))
                || is_handed_on;
        }
    }
    false
}

#[cfg(test)]
mod tests;
