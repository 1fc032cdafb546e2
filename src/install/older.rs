//! Older hooks that write the port file too, such as the script that a team used before: found by
//! their text, since running them would be to do what they do.

use std::path::Path;

use crate::error::{Result, quoted};
use crate::git::config::{self, Scope};
use crate::install::hook_file::without_block;
use crate::install::managers::calls_us;
use crate::install::seen::{SeenHook, small_file};
use crate::state::port_file;

/// The hooks of the clone that write the port file, each as a person would name it.
pub fn look(seen: &SeenHook) -> Result<Vec<String>> {
    let (place, root) = (&seen.place, &seen.place.at);
    let mut texts = vec![(place.path(), without_block(place.hook.content()))];
    // A manager chains the hook that it has moved.
    let moved = place.hooks_dir.join("post-checkout.legacy");
    texts.push((moved.clone(), without_block(&small_file(&moved))));
    if let Some(manager) = place.manager() {
        texts.extend(
            manager
                .configs_in(root)
                .map(|path| (path.clone(), small_file(&path))),
        );
    }
    let mut older = Vec::new();
    for (path, text) in texts {
        let line = line_that_writes(&String::from_utf8_lossy(&text), root);
        older.extend(line.map(|line| format!("line {line} of {}", quoted(&path))));
    }
    if seen.config.is_some() {
        for (key, command) in config::matching(root, Scope::Effective, r"^hook\..*\.command$")? {
            if !calls_us(command.as_bytes()) && line_that_writes(&command, root).is_some() {
                older.push(format!("`{key}` in git's config"));
            }
        }
    }
    Ok(older)
}

/// The number of the first line that writes the port file, or runs a script in the worktree at
/// `root` that does.
fn line_that_writes(text: &str, root: &Path) -> Option<usize> {
    let writes = |line: &str| {
        let mut scripts = line.split(|c: char| c.is_whitespace() || "\"'`;&|()<>,=".contains(c));
        !is_comment(line)
            && (is_write(line, text)
                || scripts.any(|word| {
                    // `$ROOT/scripts/ports.sh`, `$(git rev-parse --show-toplevel)/scripts/ports.sh`
                    let word = word.strip_prefix('$').map_or(word, |word| {
                        word.split_once('/').map_or("", |(_, rest)| rest)
                    });
                    let word = word.trim_start_matches('/');
                    let is_path = word.contains(['/', '.']) && !word.contains("..");
                    is_path && is_script_that_writes(&root.join(word))
                }))
    };
    text.lines().position(writes).map(|index| index + 1)
}

fn is_script_that_writes(path: &Path) -> bool {
    let script = small_file(path);
    let script = String::from_utf8_lossy(&script);
    script
        .lines()
        .any(|line| !is_comment(line) && is_write(line, &script))
}

fn is_comment(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with('#') || line.starts_with("//")
}

/// Whether a line of `text` writes the port file: by its name, or by a variable that has its name.
/// Reading it is fine, and so is what our own program prints.
fn is_write(line: &str, text: &str) -> bool {
    let Some((before, _)) = line.split_once(port_file::NAME) else {
        return false;
    };
    if calls_us(line.as_bytes()) || line.contains("worktree-ports-hook") {
        return false;
    }
    let variable = before
        .split_once('=')
        .map(|(name, _)| name.trim_end_matches([' ', ':', '+']));
    let variable = variable.and_then(|name| name.rsplit(|c: char| !is_of_name(c)).next());
    let variable = variable.filter(|name| !name.is_empty());
    is_written(line, port_file::NAME)
        || variable.is_some_and(|name| {
            text.lines()
                .any(|other| other != line && is_written(other, name))
        })
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Whether a line of a script in whatever language writes the file that it calls `name`.
fn is_written(line: &str, name: &str) -> bool {
    const WRITES: [&str; 9] = [
        "write", "Write", "dump", "\"w\"", "'w'", "tee ", "mv ", "cp ", "rename",
    ];
    line.match_indices(name).any(|(at, _)| {
        let path = |c: char| is_of_name(c) || "\"'$({})/.-".contains(c);
        let redirected = line[..at].trim_end_matches(path).trim_end();
        redirected.ends_with('>') || WRITES.iter().any(|word| line.contains(word))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_writes_the_port_file_is_told_from_one_that_reads_it() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        std::fs::create_dir(root.join("scripts")).unwrap();
        let script = "const FILE = '.worktree-ports.json'\nfs.writeFileSync(FILE, text)\n";
        std::fs::write(root.join("scripts/ports.mjs"), script).unwrap();
        let writes = [
            "echo '{}' > .worktree-ports.json",
            "printf x >\"$root/.worktree-ports.json\"",
            "f=$PWD/.worktree-ports.json\necho x >> \"$f\"",
            "jq . x | tee .worktree-ports.json",
            "mv \"$tmp\" .worktree-ports.json",
            "with open('.worktree-ports.json', 'w') as f:",
            "PATH_ = root / '.worktree-ports.json'\njson.dump(ports, PATH_.open())",
            "exec node scripts/ports.mjs \"$@\"",
            "node \"$(git rev-parse --show-toplevel)/scripts/ports.mjs\"",
            "\"$ROOT/scripts/ports.mjs\"",
            "./scripts/ports.mjs",
        ];
        for text in writes {
            assert!(line_that_writes(text, root).is_some(), "{text}");
        }
        let reads = [
            "jq .ports.web .worktree-ports.json > port",
            "cat .worktree-ports.json",
            "# echo > .worktree-ports.json",
            "test -e .worktree-ports.json || exit 0",
            "worktree-ports-hook --json > .worktree-ports.json",
            "json.load(open('.worktree-ports.json'))",
            "exec node scripts/other.mjs",
        ];
        for text in reads {
            assert_eq!(line_that_writes(text, root), None, "{text}");
        }
    }
}
