//! Tests of `config::names`.

use proptest::prelude::*;

use super::*;

/// The names that public projects' scripts and the contract's examples have.
#[test]
fn the_words_of_a_name_say_what_forms_its_value_may_have() {
    use Form::{Address, Digits, Host, Name, Port, ResolvableHost, Suffix, Url};
    let browser = [Url, Address, Host, Port];
    let host = [Host, Address, Url];
    let table: &[(&str, &[Form])] = &[
        ("PORT", &[Port]),
        ("port", &[Port]),
        ("_PORT", &[Port]),
        ("PGPORT", &[Port]),
        ("DEBUG_PORTS", &[Port]),
        ("PORT_WORDPRESS", &[Port]),
        ("INSPECTOR_PORT_1", &[Port]),
        ("UI_PORT_HTTP", &[Port]),
        ("PORT2", &[Port]),
        ("PORT_", &[Port]),
        ("GIT_DAEMON_PORT", &[Port]),
        ("DATABASE_URL", &[Url]),
        ("FEEDS_DATABASE_URL_TEST", &[Url]),
        ("CORS_ORIGINS", &[Url]),
        ("sentry_dsn", &[Url]),
        ("OIDC_ISSUER", &[Url]),
        ("AUTH_CALLBACK", &[Url]),
        ("CELERY_RESULT_BACKEND", &[Url]),
        ("AWS_ENDPOINT_URL", &[Url]),
        ("AWS_ENDPOINT_URL_S3", &[Url]),
        ("AWS_ENDPOINT_URL_DYNAMODB", &[Url]),
        ("URL_OF_API", &[Url]),
        ("HOST", &host),
        ("ADDRESS_UI", &host),
        ("TEMPORAL_ADDRESS", &host),
        ("S3_ENDPOINT", &host),
        ("DOCKER_HOST", &host),
        ("PGHOST", &[ResolvableHost, Url]),
        ("VITE_API", &browser),
        ("VITE_DEV_SERVER", &browser),
        ("NEXT_PUBLIC_X", &browser),
        ("COMPOSE_PROJECT_NAME", &[Name]),
        ("COMPOSE_PROJECT", &[Name]),
        ("WP1_SUFFIX", &[Suffix]),
        ("TABLE_PREFIX", &[Name]),
        ("PGDATABASE", &[Name]),
        ("PGUSER", &[Name]),
        ("POSTGRES_USER", &[Name]),
        ("DB_USERNAME", &[Name]),
        ("WORKTREE_SLUG", &[Name]),
        ("STORE_IDS", &[Name]),
        ("DB", &[Name, Digits]),
        ("REDIS_DB", &[Name, Digits]),
        ("WORKTREE_SLOT", &[Digits]),
        ("PORT_OFFSET", &[Port, Digits]),
    ];
    for (name, forms) in table {
        let mut found = forms_of(name).unwrap();
        found.dedup();
        assert_eq!(found, *forms, "{name}");
    }
}

#[test]
fn other_names_are_refused() {
    let names = [
        "",
        "1PORT",
        "A-PORT",
        "A PORT",
        "A=B_PORT",
        "A_PORT\n",
        "\u{dc}_PORT",
        "_",
        "__1",
        "PATH",
        "LD_PRELOAD",
        "BASH_ENV",
        "NODE_OPTIONS",
        "PYTHONPATH",
        "HTTP_PROXY",
        "XPORT",
        "URLPATH",
        "PREFIX",
        "GCC_EXEC_PREFIX",
        "CONDA_PREFIX",
        "QEMU_LD_PREFIX",
        "UV_INDEX_X",
        "CATALINA_BASE",
        "SDL_DYNAMIC_API",
        "AIRFLOW__CORE__SQL_CMD",
        "HYDRA_HOST_FILE",
        "CARGO_TARGET_X_LINKER",
        "GIT_URL",
        "git_proxy_host",
        "GIT_NAME",
        "USER",
        "PROJECT",
        "LD_COMPOSE_PROJECTS",
        "API_BACKEND",
        "RESULT",
        "AWS_ENDPOINT_URLX",
        "VITE",
        "TEST",
        "POSTGRES_PASSWORD",
    ];
    for name in names {
        assert!(forms_of(name).is_err(), "{name}");
    }
    assert!(forms_of(&format!("{}_PORT", "A".repeat(59))).is_ok());
    assert!(forms_of(&format!("{}_PORT", "A".repeat(60))).is_err());
}

proptest! {
    #[test]
    fn case_never_decides(name in "[a-zA-Z_]{0,6}(_PORT|_Url|_host|_name|GIT_|Docker_|vite_)[a-z_]{0,5}") {
        let forms = |name: String| forms_of(&name).ok();
        prop_assert_eq!(forms(name.to_ascii_lowercase()), forms(name.to_ascii_uppercase()));
    }

    #[test]
    fn any_name_that_is_allowed_is_one_word_to_a_shell(name in any::<String>()) {
        if forms_of(&name).is_ok() {
            prop_assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'));
            prop_assert!(!name.starts_with(|c: char| c.is_ascii_digit()));
        }
    }
}
