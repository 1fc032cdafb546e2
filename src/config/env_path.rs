//! Which files a config may have written: env files inside the worktree, and nothing of git's.

use crate::error::printable;

/// The longest path, in bytes.
const LONGEST: usize = 200;

/// What the new file beside an env file is called until it replaces the old one.
const TEMPORARY: &str = ".worktree-ports.tmp";

/// Checks the path of an env file, relative to the worktree's root.
///
/// # Errors
/// What is wrong with it and what is allowed.
pub fn check(path: &str) -> Result<(), String> {
    if path.len() > LONGEST {
        return Err(format!("it is longer than {LONGEST} bytes"));
    }
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "_.@+-/".contains(c);
    if let Some(c) = path.chars().find(|&c| !is_allowed(c)) {
        return Err(format!(
            "`{}` is not allowed; letters, digits, `_.@+-` and `/` are",
            printable(&c.to_string())
        ));
    }
    for component in path.split('/') {
        let problem = match component {
            "" => "it must be a relative path without empty components",
            ".." => "`..` is not allowed",
            _ if component.ends_with('.') => "no component may end in `.`",
            _ if component.starts_with('-') => "no component may start with `-`",
            _ if component.eq_ignore_ascii_case(".git") => "`.git` belongs to git",
            _ => continue,
        };
        return Err(problem.to_owned());
    }
    let (_, name) = path.rsplit_once('/').unwrap_or(("", path));
    if name.ends_with(TEMPORARY) {
        return Err(format!("`*{TEMPORARY}` is the name of a temporary file"));
    }
    let is_env_file = |(_, extension)| extension == "env";
    if !name.starts_with(".env.") && !name.rsplit_once('.').is_some_and(is_env_file) {
        return Err("the name of an env file is `.env`, `.env.*` or `*.env`".to_owned());
    }
    Ok(())
}

#[cfg(test)]
pub mod tests {
    use proptest::prelude::*;

    use super::*;

    pub const ENV_FILES: &[&str] = &[
        ".env",
        ".env.local",
        ".env.test.local",
        "dev.env",
        "apps/web/.env.local",
        "packages/@shop/api/.env",
        "a+b/x-1_2.env",
        ".github/.env",
        ".gitx/.env",
        "..a/.env",
    ];

    pub const OTHER_PATHS: &[&str] = &[
        "",
        "/",
        "/.env",
        "/etc/x.env",
        "a//.env",
        ".env/",
        "..",
        "../.env",
        "a/../.env",
        ".env/..",
        "./.env",
        ".",
        "a./.env",
        ".env.",
        ".env..",
        ".git/.env",
        ".GIT/x.env",
        "a/.Git/.env",
        ".git./.env",
        "git~1/.env",
        "-a/.env",
        "-x.env",
        ".envrc",
        ".ENVRC",
        "a/.envrc",
        ".ENV",
        ".Env.local",
        "env",
        "x.envy",
        "Makefile",
        ".env/x",
        ".env\n",
        ".env.\n.env",
        ".env.a b",
        "a\\.env",
        "a\\..\\.env",
        "C:/.env",
        ".env.\u{fc}",
        ".g\u{200c}it/.env",
        ".env\0",
        "~/.env",
        "$HOME/.env",
        ".env.worktree-ports.tmp",
        "a/.env.local.worktree-ports.tmp",
    ];

    #[test]
    fn a_path_names_an_env_file_in_the_worktree() {
        for path in ENV_FILES {
            assert_eq!(check(path), Ok(()), "{path}");
        }
        for path in OTHER_PATHS {
            assert!(check(path).is_err(), "{path}");
        }
    }

    #[test]
    fn a_path_has_at_most_200_bytes() {
        assert_eq!(check(&format!("{}/.env", "a".repeat(195))), Ok(()));
        assert!(check(&format!("{}/.env", "a".repeat(196))).is_err());
    }

    proptest! {
        #[test]
        fn any_path_that_is_allowed_stays_in_the_worktree_and_out_of_git(
            path in prop_oneof![
                any::<String>(),
                r"(\.env|\.\.|\.|/|\.git|\.GIT|a|\.local|x\.env|-|\n){0,8}",
            ],
        ) {
            if check(&path).is_err() {
                return Ok(());
            }
            let path = std::path::Path::new(&path);
            let is_plain = |component| match component {
                std::path::Component::Normal(name) => !name.eq_ignore_ascii_case(".git"),
                _ => false,
            };
            prop_assert!(path.components().all(is_plain));
            let name = path.file_name().unwrap().to_str().unwrap();
            prop_assert!(name.split('.').skip(1).any(|word| word == "env"), "{name}");
            prop_assert!(path.to_str().unwrap().bytes().all(|byte| (b'!'..=b'~').contains(&byte)));
        }
    }
}
