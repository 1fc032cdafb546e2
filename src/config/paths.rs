//! Which files a config may name: those inside the worktree that do not belong to git.

use crate::config::value::{check_characters, require};
use crate::files::staged::SUFFIX;

/// Checks a path relative to the worktree's root.
///
/// # Errors
/// What is wrong with it.
pub fn check(path: &str) -> Result<(), String> {
    require(path.len() <= 200, "it is longer than 200 bytes")?;
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
    require(
        is_env_file,
        "an env file is called `.env`, `.env.*`, `*.env`, `.dev.vars`, `.dev.vars.*` or `.flaskenv`",
    )
}

/// The path that `path` most likely means and that `check` allows.
pub fn nearest_path(path: &str, check: impl Fn(&str) -> Result<(), String>) -> Option<String> {
    let forward = path.trim().replace('\\', "/").replace(' ', "-");
    let is_kept = |component: &&str| !["", ".", ".."].contains(component);
    let components: Vec<&str> = forward.split('/').filter(is_kept).collect();
    let relative = components.join("/");
    let directory = relative.rsplit_once('/').map(|(directory, _)| directory);
    let beside = directory.map_or(".env".to_owned(), |directory| format!("{directory}/.env"));
    [relative, beside]
        .into_iter()
        .find(|path| check(path).is_ok())
}

#[cfg(test)]
mod tests;
