//! Tests of `config::paths`.

use proptest::prelude::*;

use super::*;

const ENV_FILES: &[&str] = &[
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
    ".dev.vars",
    ".dev.vars.local",
    "packages/worker/.dev.vars",
    ".flaskenv",
];

const OTHER_PATHS: &[&str] = &[
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
    "a.worktree-ports.tmp/.env",
    ".env.x.WORKTREE-PORTS.TMP",
    ".dev.varsx",
    "dev.vars",
    "x.flaskenv",
    "a/-/.env",
    "a/../../.env",
];

#[test]
fn a_path_names_an_env_file_in_the_worktree() {
    for path in ENV_FILES {
        assert_eq!(check_env_file(path), Ok(()), "{path}");
    }
    for path in OTHER_PATHS {
        assert!(check_env_file(path).is_err(), "{path}");
    }
}

#[test]
fn a_path_has_at_most_200_bytes() {
    assert_eq!(check_env_file(&format!("{}/.env", "a".repeat(195))), Ok(()));
    assert!(check_env_file(&format!("{}/.env", "a".repeat(196))).is_err());
}

proptest! {
    #[test]
    fn any_path_that_is_allowed_stays_in_the_worktree_and_out_of_git(
        path in prop_oneof![
            any::<String>(),
            r"(\.env|\.\.|\.|/|\.git|\.GIT|a|\.local|x\.env|-|\n){0,8}",
        ],
    ) {
        if check_env_file(&path).is_err() {
            return Ok(());
        }
        let path = std::path::Path::new(&path);
        let is_plain = |component| match component {
            std::path::Component::Normal(name) => !name.eq_ignore_ascii_case(".git"),
            _ => false,
        };
        prop_assert!(path.components().all(is_plain));
        prop_assert_ne!(path.file_name().unwrap(), ".envrc");
        prop_assert!(path.to_str().unwrap().bytes().all(|byte| (b'!'..=b'~').contains(&byte)));
    }
}

#[test]
fn a_templates_path_obeys_the_same_rules_but_for_the_name() {
    for path in [
        "supabase/config.toml",
        ".claude/launch.json",
        "Procfile",
        ".envrc",
        "env",
    ] {
        assert_eq!(check(path), Ok(()), "{path}");
    }
    for path in [
        "",
        "/etc/passwd",
        "a/../b",
        ".git/hooks/x",
        "a/.GIT",
        "-x",
        "a.",
        "x.worktree-ports.tmp",
        "a b",
    ] {
        assert!(check(path).is_err(), "{path}");
    }
}
