//! `config.schema.json`, which editors read, says what the parser says.

use std::sync::LazyLock;

use jsonschema::Validator;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use super::env_path::tests::{ENV_FILES, OTHER_PATHS};
use super::template::tests::{OTHER_URLS, URLS_OF_THIS_MACHINE};
use super::variables::tests::{FORMS, REFUSED};
use super::*;

static SCHEMA: LazyLock<Validator> = LazyLock::new(|| {
    let text = include_str!("../../config.schema.json");
    jsonschema::validator_for(&serde_json::from_str(text).unwrap()).unwrap()
});

/// How the errors read that no schema can give; its description names them.
const BEYOND_A_SCHEMA: [&str; 6] = [
    "have the same base port",
    "give the same variable",
    "unknown placeholder",
    "duplicate key",
    "which are the same file on macOS and Windows",
    "are the same variable on Windows",
];

/// Fails where one of the two allows a config that the other refuses.
fn compare(config: &Value) -> Result<(), String> {
    let text = config.to_string();
    let is_valid = SCHEMA.is_valid(config);
    match Config::parse(&text) {
        Ok(_) if is_valid => Ok(()),
        Ok(_) => {
            let why: Vec<String> = SCHEMA
                .iter_errors(config)
                .map(|error| error.to_string())
                .collect();
            Err(format!("the schema alone refuses {text}: {why:?}"))
        }
        Err(_) if !is_valid => Ok(()),
        Err(why) if BEYOND_A_SCHEMA.iter().any(|part| why.contains(part)) => Ok(()),
        Err(why) => Err(format!("the parser alone refuses {text}: {why}")),
    }
}

#[test]
fn the_schema_is_one_itself() {
    let text = include_str!("../../config.schema.json");
    assert!(jsonschema::meta::is_valid(
        &serde_json::from_str(text).unwrap()
    ));
}

#[test]
fn what_a_schema_cannot_say_only_the_parser_refuses() {
    let table = [
        r#"{"services": {"a": 8000, "b": 8000}}"#,
        r#"{"services": {"a-b": 8000, "a_b": 8001}}"#,
        r#"{"services": {"a": 8000}, "env": {"B_PORT": "{b}"}}"#,
        r#"{"services": {"a": 8000}, "step": 5, "step": 6}"#,
        r#"{"services": {"a": 8000}, "env_files": {".env.a": {}, ".env.A": {}}}"#,
    ];
    for text in table {
        let why = Config::parse(text).expect_err(text);
        assert!(
            BEYOND_A_SCHEMA.iter().any(|part| why.contains(part)),
            "{why}"
        );
        assert!(
            SCHEMA.is_valid(&serde_json::from_str(text).unwrap()),
            "{text}"
        );
    }
    // To a schema a number is what it is worth, however it is written.
    let text = r#"{"services": {"a": 8000}, "step": 5.0}"#;
    assert!(Config::parse(text).is_err());
    assert!(SCHEMA.is_valid(&serde_json::from_str(text).unwrap()));
}

#[test]
fn wrong_types_are_refused_by_both() {
    let wrong = [
        json!(null),
        json!(true),
        json!(-1),
        json!(1.5),
        json!("x"),
        json!([]),
        json!({"x": 1}),
    ];
    for value in wrong {
        for key in [
            "services",
            "step",
            "urls",
            "env",
            "env_files",
            "$schema",
            "x",
        ] {
            let mut config = json!({"services": {"web": 3000}});
            config[key] = value.clone();
            assert_eq!(compare(&config), Ok(()));
        }
        assert_eq!(compare(&value), Ok(()));
        assert_eq!(compare(&json!({"services": {"web": value}})), Ok(()));
        assert_eq!(
            compare(&json!({"services": {"web": 3000}, "env": {"PORT": value}})),
            Ok(())
        );
        assert_eq!(
            compare(&json!({"services": {"web": 3000}, "env_files": {".env": value}})),
            Ok(())
        );
    }
}

#[test]
fn as_many_members_are_allowed_by_both() {
    let services = |n: u32| {
        (0..n)
            .map(|i| (format!("s{i}"), json!(2000 + i)))
            .collect::<Map<_, _>>()
    };
    let files = |n: u32| {
        (0..n)
            .map(|i| (format!("{i}.env"), json!({})))
            .collect::<Map<_, _>>()
    };
    for n in [0, 1, 16, 17, 64, 65] {
        assert_eq!(compare(&json!({"services": services(n)})), Ok(()));
        assert_eq!(
            compare(&json!({"services": services(1), "env_files": files(n)})),
            Ok(())
        );
    }
}

#[test]
fn both_judge_alike_what_the_tables_of_the_parsers_tests_have() {
    let services = json!({"web": 3000, "api": 4000, "redis-http": 8079});
    let compare = |key: &str, member: Value| {
        let mut config = json!({"services": services});
        config[key] = member;
        assert_eq!(compare(&config), Ok(()));
    };
    for url in [URLS_OF_THIS_MACHINE, OTHER_URLS].concat() {
        compare("urls", json!({"x_url": url}));
        compare("env", json!({"X_URL": url}));
        compare(
            "env",
            json!({"X_ORIGINS": format!("{url},http://localhost:{{web}}")}),
        );
    }
    // The query of one URL ends where the next URL starts.
    let next = "http://localhost:{web}?a,http://localhost:{web}/b&host=c";
    compare("env", json!({"X_URLS": next}));
    for path in [ENV_FILES, OTHER_PATHS].concat() {
        compare("env_files", json!({path: {}}));
    }
    let names = FORMS.iter().map(|(name, _)| name).chain(REFUSED);
    for name in names {
        for value in [
            "{web}",
            "http://localhost:{web}",
            "{worktree}.localhost",
            "x-{slot}",
        ] {
            compare("env", json!({*name: value}));
        }
    }
}

/// Strings of parts in any order, so that many are nearly right.
fn parts(parts: &'static [&'static str], at_most: usize) -> impl Strategy<Value = String> + Clone {
    prop::collection::vec(select(parts), 0..=at_most).prop_map(|parts| parts.concat())
}

/// What a value may be made of, and what it may not.
const PARTS: &[&str] = &[
    "http://",
    "jdbc:",
    "file://",
    "a+b.c://",
    "://",
    "localhost",
    ".localhost",
    "127.0.0.1",
    "[::1]",
    "evil",
    ":",
    "/",
    "?",
    "&",
    "=",
    "@",
    "%",
    "%68",
    "%4F",
    "host",
    "ost",
    "addr",
    "service",
    "x",
    "-",
    "_",
    ".",
    ",",
    "+",
    "[",
    "]",
    "{",
    "}",
    "#",
    "\n",
    " ",
    "\u{fc}",
    "{web}",
    ":{web}",
    "{api}",
    ",{api}",
    "{slot}",
    "{worktree}",
    "{nope}",
];

/// What may stand behind the port of a URL, and what may not.
const BEHIND: &[&str] = &[
    "/",
    "?",
    "&",
    "=",
    "@",
    "%",
    "%68",
    "h",
    "host",
    "HostAddr",
    "service",
    "serviceFile",
    "file",
    "pass",
    "socketFactory",
    "socksproxyhost",
    "PGHOST",
    "proxyHost",
    "odbc_connect",
    "x",
    "{slot}",
    "{worktree}",
    "{web}",
    ",",
    ":",
];

/// What may stand between the scheme of a URL and its host, and what may not.
const BEFORE: &[&str] = &[
    "u",
    ":p",
    "@",
    "%40",
    "{slot}",
    "{worktree}",
    ".",
    "-",
    "a",
    "xn--",
    "[",
    "/",
    "{web}",
    "?",
    "_",
];

fn templates() -> impl Strategy<Value = String> {
    let url = (
        select(
            &[
                "http",
                "jdbc:mysql",
                "jdbc:jdbc",
                "data",
                "datab",
                "HTTP",
                "1a",
                "jdbc",
                "jdbc:file",
            ][..],
        ),
        parts(BEFORE, 3),
        select(
            &[
                "localhost",
                ".localhost",
                "127.0.0.1",
                "[::1]",
                "evil",
                "localhost.",
            ][..],
        ),
        select(&["{web}", "{api}", "{slot}", "80", ""][..]),
        parts(BEHIND, 7),
    )
        .prop_map(|(scheme, before, host, port, behind)| {
            format!("{scheme}://{before}{host}:{port}{behind}")
        });
    let good_url = (parts(BEHIND, 7), select(&["/", "?", "?x=", "?&"][..]))
        .prop_map(|(behind, start)| format!("http://localhost:{{web}}{start}{behind}"));
    prop_oneof![
        parts(PARTS, 6),
        url.clone(),
        good_url.clone(),
        prop::collection::vec(prop_oneof![url, good_url, parts(PARTS, 3)], 2..4)
            .prop_map(|urls| urls.join(",")),
        select(
            &[
                "{web}",
                "{web},{api}",
                "{worktree}.localhost",
                "localhost",
                "localhost:{web}",
                "a-{slot}"
            ][..]
        )
        .prop_map(str::to_owned),
        any::<String>(),
    ]
}

fn variable_names() -> impl Strategy<Value = String> {
    const PARTS: &[&str] = &[
        "A",
        "_",
        "_PORT",
        "PORT",
        "Ports",
        "_URL",
        "ORIGINS",
        "HOST",
        "_addr",
        "NAME",
        "_ID",
        "PREFIX",
        "DB",
        "_DSN",
        "PGHOST",
        "pgport",
        "GIT_",
        "docker_",
        "AWS_",
        "AWS_ENDPOINT_URL",
        "_ENDPOINT_URL",
        "S3",
        "Tf_",
        "TF",
        "HF_",
        "_DOWNLOAD_HOST",
        "_ACCOUNT",
        "1",
        "-",
        "\u{fc}",
        "\n",
    ];
    prop_oneof![
        4 => parts(PARTS, 4),
        1 => "[A-Za-z_]{55,64}_(PORT|URL|ID)",
        1 => any::<String>(),
    ]
}

fn paths() -> impl Strategy<Value = String> {
    const PARTS: &[&str] = &[
        ".env",
        "/",
        ".",
        "..",
        "a",
        "-",
        ".local",
        ".git",
        ".GIT",
        "/.git/",
        "@x",
        "+",
        "rc",
        ".ENV",
        ".Env",
        ".worktree-ports.tmp",
        "\n",
        "~",
        "\\",
        " ",
        "\u{fc}",
    ];
    prop_oneof![
        4 => parts(PARTS, 5),
        1 => "[a-z/]{190,198}\\.env",
        1 => any::<String>(),
    ]
}

fn service_names() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z][a-z0-9_-]{0,34}",
        "[a-zA-Z0-9_.-]{0,3}",
        select(
            &[
                "web", "slot", "worktree", "slots", "a-b", "a_b", "", "web\n"
            ][..]
        )
        .prop_map(str::to_owned),
    ]
}

fn object(members: impl Strategy<Value = Vec<(String, Value)>>) -> impl Strategy<Value = Value> {
    members.prop_map(|members| Value::Object(members.into_iter().collect()))
}

fn variables(most: usize) -> impl Strategy<Value = Value> {
    object(prop::collection::vec(
        (variable_names(), templates().prop_map(Value::from)),
        0..=most,
    ))
}

/// A config that declares `web` and `api`, and has one member more.
fn with(key: &'static str, member: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    member.prop_map(move |member| {
        let mut config = json!({"services": {"web": 3000, "api": 4000}});
        config[key] = member;
        config
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn both_allow_the_same_services(
        services in prop::collection::vec((service_names(), 1000_u32..70_000), 0..4),
        step in prop::option::of(prop_oneof![0_u32..3, 9_990..10_010_u32]),
    ) {
        let services: Map<_, _> = services.into_iter().map(|(name, base)| (name, json!(base))).collect();
        let mut config = json!({"services": services});
        if let Some(step) = step {
            config["step"] = json!(step);
        }
        prop_assert_eq!(compare(&config), Ok(()));
    }

    #[test]
    fn both_allow_the_same_templates_for_each_form(template in templates()) {
        for name in ["X_PORT", "X_PORTS", "X_URL", "X_HOST", "X_NAME"] {
            let config = json!({"services": {"web": 3000, "api": 4000}, "env": {name: template}});
            prop_assert_eq!(compare(&config), Ok(()));
        }
        let config = json!({"services": {"web": 3000, "api": 4000}, "urls": {"x_url": template}});
        prop_assert_eq!(compare(&config), Ok(()));
    }

    #[test]
    fn both_allow_the_same_names_of_variables(name in variable_names()) {
        for value in ["{web}", "http://localhost:{web}", "localhost:{web}", "x-{slot}"] {
            let config = json!({"services": {"web": 3000}, "env": {&*name: value}});
            prop_assert_eq!(compare(&config), Ok(()));
        }
    }

    #[test]
    fn both_allow_the_same_names_of_urls(name in "[a-z1_]{0,30}(_url|_URL|url)?") {
        let config = json!({"services": {"web": 3000}, "urls": {name: "http://localhost:{web}"}});
        prop_assert_eq!(compare(&config), Ok(()));
    }

    #[test]
    fn both_allow_the_same_env_files(path in paths(), other in paths()) {
        let config = json!({"services": {"web": 3000}, "env_files": {&*path: {}, &*other: {"PORT": "{web}"}}});
        prop_assert_eq!(compare(&config), Ok(()));
        let config = json!({"services": {"web": 3000}, "env_files": {path: {}}});
        prop_assert_eq!(compare(&config), Ok(()));
    }

    #[test]
    fn both_allow_the_same_whole_configs(config in prop_oneof![
        with("env", variables(3)),
        with("env_files", object(prop::collection::vec((paths(), variables(1)), 0..2))),
        with("urls", object(prop::collection::vec(("[a-z]{0,3}_url", templates().prop_map(Value::from)), 0..2))),
    ]) {
        prop_assert_eq!(compare(&config), Ok(()));
    }
}
