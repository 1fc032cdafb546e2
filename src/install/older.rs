//! Older hooks that write the port file too, such as the script that a team used before. They are found
//! by their text, since running them would write the file.

use std::path::Path;

use crate::error::{Result, quoted};
use crate::git::config::{self, Scope};
use crate::install::hook_file::without_block;
use crate::install::managers::code;
use crate::install::seen::small_file;
use crate::install::{PROGRAM, SeenHook};
use crate::state::port_file;

/// The hooks of the clone that write the port file, each as a message names it.
pub fn look(seen: &SeenHook<'_>) -> Result<Vec<String>> {
    let (place, root) = (&seen.place, &seen.place.at);
    // A manager also runs the hook that it has moved.
    let mut others = vec![place.hooks_dir.join("post-checkout.legacy")];
    let configs = place.manager.map(|manager| manager.configs_in(root));
    others.extend(configs.unwrap_or_default());
    let others = others.into_iter().map(|path| (small_file(&path), path));
    let hook = (place.hook.content.clone(), place.hook.path.clone());
    let mut older = Vec::new();
    for (text, path) in [hook].into_iter().chain(others) {
        let text = without_block(&text);
        let line = line_that_writes(&String::from_utf8_lossy(&text), root);
        older.extend(line.map(|line| format!("line {line} of {}", quoted(&path))));
    }
    if seen.has_config_hooks() {
        for (key, command) in config::matching(root, Scope::EFFECTIVE, r"^hook\..*\.command$")? {
            if line_that_writes(&command, root).is_some() {
                older.push(format!("`{key}` in git's config"));
            }
        }
    }
    Ok(older)
}

/// The number of the first line that writes the port file, or runs a script in the worktree at
/// `root` that does.
fn line_that_writes(text: &str, root: &Path) -> Option<usize> {
    let runs_script_that_writes = |line: &str| {
        let mut words = line.split(|c: char| c.is_whitespace() || "\"'`;&|()<>,=".contains(c));
        words.any(|word| {
            // `$ROOT/scripts/ports.sh`, `$(git rev-parse --show-toplevel)/scripts/ports.sh`
            let path = match word.strip_prefix('$') {
                Some(variable) => variable.split_once('/').map_or("", |(_, path)| path),
                None => word.trim_start_matches('/'),
            };
            let is_path = path.contains(['/', '.']) && !path.contains("..");
            is_path && {
                let script = small_file(&root.join(path));
                let script = String::from_utf8_lossy(&script);
                code(&script).any(|(_, line)| is_write(line, &script))
            }
        })
    };
    code(text)
        .find(|(_, line)| is_write(line, text) || runs_script_that_writes(line))
        .map(|(number, _)| number)
}

/// Whether a line of `text` writes the port file, by its name or through a variable that holds the name.
/// A line that only reads it does not count, nor does one that writes what our own program prints.
fn is_write(line: &str, text: &str) -> bool {
    let Some((before, _)) = line.split_once(port_file::NAME) else {
        return false;
    };
    if line.contains(PROGRAM) {
        return false;
    }
    let assigned = before.split_once('=').map_or("", |(name, _)| name);
    let assigned = assigned.trim_end_matches([' ', ':', '+']);
    let variable = assigned.rsplit(|c| !is_of_name(c)).next();
    let variable = variable.filter(|name| !name.is_empty());
    is_written(line, port_file::NAME)
        || variable.is_some_and(|name| text.lines().any(|other| is_written(other, name)))
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Whether a line writes the file that it calls `name`, in any scripting language.
fn is_written(line: &str, name: &str) -> bool {
    const WRITES: [&str; 9] = [
        "write", "Write", "dump", "\"w\"", "'w'", "tee ", "mv ", "cp ", "rename",
    ];
    line.match_indices(name).any(|(at, _)| {
        let path = |c: char| is_of_name(c) || "\"'$({})/.-".contains(c);
        let (before, behind) = (&line[..at], &line[at + name.len()..]);
        let is_whole = !before.ends_with(is_of_name) && !behind.starts_with(is_of_name);
        let is_redirected = before.trim_end_matches(path).trim_end().ends_with('>');
        is_whole && (is_redirected || WRITES.iter().any(|word| line.contains(word)))
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
            "d=$(cat .worktree-ports.json 2>/dev/null)",
        ];
        for text in reads {
            assert_eq!(line_that_writes(text, root), None, "{text}");
        }
    }
}
