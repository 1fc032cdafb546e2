//! Which files a config may name: those inside the worktree that do not belong to git.

use crate::config::value::check_characters;
use crate::files::staged::SUFFIX;

/// The longest path, in bytes.
const LONGEST: usize = 200;

/// Checks a path relative to the worktree's root.
///
/// # Errors
/// What is wrong with it.
pub fn check(path: &str) -> Result<(), String> {
    if path.len() > LONGEST {
        return Err(format!("it is longer than {LONGEST} bytes"));
    }
    check_characters(path, "_.@+-/", "")?;
    for component in path.split('/') {
        let lower = component.to_ascii_lowercase();
        let problem = match &*lower {
            "" if path.is_empty() => "it is empty",
            "" if path.starts_with('/') => "it must be relative to the worktree's root",
            "" => "it has an extra `/`",
            "." | ".." => "`.` and `..` are not allowed",
            ".git" => "`.git` belongs to git",
            _ if lower.ends_with('.') => "no component may end in `.`",
            _ if lower.starts_with('-') => "no component may start with `-`",
            _ if lower.ends_with(SUFFIX) => {
                "`*.worktree-ports.tmp` is the name of a temporary file"
            }
            _ => continue,
        };
        return Err(problem.to_owned());
    }
    Ok(())
}

/// Checks the path of an env file.
///
/// # Errors
/// What is wrong with it.
pub fn check_env_file(path: &str) -> Result<(), String> {
    check(path)?;
    let name = path.rsplit('/').next().unwrap_or(path);
    let starts = [".env.", ".dev.vars."];
    let is_env_file = [".dev.vars", ".flaskenv"].contains(&name)
        || starts.iter().any(|start| name.starts_with(start))
        || name.rsplit_once('.').is_some_and(|(_, end)| end == "env");
    match name {
        _ if is_env_file => Ok(()),
        ".envrc" => Err("direnv would run it as a script".to_owned()),
        _ => Err(format!(
            "`{name}` is not the name of an env file: `.env`, `.env.*`, `*.env`, `.dev.vars`, `.dev.vars.*` and `.flaskenv` are"
        )),
    }
}

/// The path that `path` most likely means and that `check` allows.
pub fn nearest_path(path: &str, check: impl Fn(&str) -> Result<(), String>) -> Option<String> {
    let forward = path.trim().replace('\\', "/").replace(' ', "-");
    let is_kept = |component: &&str| !["", ".", ".."].contains(component);
    let components: Vec<&str> = forward.split('/').filter(is_kept).collect();
    let relative = components.join("/");
    let beside = components.split_last().map(|(_, directories)| {
        let components = directories.iter().copied().chain([".env"]);
        components.collect::<Vec<_>>().join("/")
    });
    let mut candidates = [relative].into_iter().chain(beside);
    candidates.find(|path| check(path).is_ok())
}

#[cfg(test)]
mod tests;
