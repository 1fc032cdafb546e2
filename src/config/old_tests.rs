//! Tests of `config`.

use proptest::prelude::*;

use super::*;

fn port(number: u16) -> Port {
    Port::new(u64::from(number)).unwrap()
}

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(text)
}

/// The bundle of `slot`, with the label of a worktree.
fn values(bundle: &Bundle) -> Values<'_> {
    Values {
        bundle,
        label: "fix-favicon",
    }
}

fn lines(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

#[test]
fn the_default_is_cloud_8000_with_step_100_and_its_url() {
    let config = Config::default();
    assert_eq!((config.services.len(), config.step), (1, 100));
    assert_eq!(config.services[0].name.as_str(), "cloud");
    assert!(config.env.is_empty() && config.env_files.is_empty());
    let bundle = config.bundle(Slot(3)).unwrap();
    assert_eq!(bundle.ports, [(ServiceName::new("cloud"), port(8300))]);
    let url = ("cloud_url".to_owned(), "http://127.0.0.1:8300".to_owned());
    assert_eq!(config.urls(&values(&bundle)), [url]);
}

#[test]
fn what_is_allowed_is_read_to_its_edges() {
    let longest = "a".repeat(32);
    let many: Vec<String> = (0..64).map(|i| format!("\"s{i}\": {}", 2000 + i)).collect();
    let many = many.join(", ");
    let texts = [
        "{\"services\": {\"a\": 1024}}".to_owned(),
        "{\"services\": {\"a\": 65535}}".to_owned(),
        "{\"services\": {\"a-b_c9\": 8000}}".to_owned(),
        format!("{{\"services\": {{\"{longest}\": 8000}}}}"),
        format!("{{\"services\": {{{many}}}}}"),
        "{\"services\": {\"a\": 8000}, \"step\": 1}".to_owned(),
        "{\"services\": {\"a\": 8000}, \"step\": 10000}".to_owned(),
        "{\"services\": {\"a\": 8000}, \"urls\": {}}".to_owned(),
        " {\"urls\": {\"a1_url\": \"http://localhost:{a}\"}, \"step\": 5, \"services\": {\"a\": 8000}}\n"
            .to_owned(),
    ];
    for text in texts {
        parse(&text).unwrap_or_else(|why| panic!("{text}: {why}"));
    }
}

#[test]
fn what_is_one_past_the_edge_is_an_error_that_names_the_key() {
    let too_long = "a".repeat(33);
    let too_many: Vec<String> = (0..65).map(|i| format!("\"s{i}\": {}", 2000 + i)).collect();
    let too_many = too_many.join(", ");
    let url = format!("{}_url", "a".repeat(29));
    let table = [
        (
            "{\"services\": {\"a\": 1023}}".to_owned(),
            "`services.a`".to_owned(),
        ),
        (
            "{\"services\": {\"a\": 65536}}".to_owned(),
            "`services.a`".to_owned(),
        ),
        (
            format!("{{\"services\": {{\"{too_long}\": 8000}}}}"),
            format!("`services.{too_long}`"),
        ),
        (
            format!("{{\"services\": {{{too_many}}}}}"),
            "`services` has 65 members".to_owned(),
        ),
        (
            "{\"services\": {\"a\": 8000}, \"step\": 10001}".to_owned(),
            "`step` is `10001`".to_owned(),
        ),
        (
            "{\"services\": {\"a\": 8000}, \"step\": 1.0}".to_owned(),
            "`step` is `1.0`".to_owned(),
        ),
        (
            format!(
                "{{\"services\": {{\"a\": 8000}}, \"urls\": {{\"{url}\": \"http://localhost:{{a}}\"}}}}"
            ),
            format!("`urls.{url}`"),
        ),
    ];
    for (text, part) in table {
        let why = parse(&text).unwrap_err();
        assert!(why.contains(&part), "{text}: {why}");
    }
}

#[test]
fn services_and_urls_keep_their_order() {
    let config = parse(
        "{\"services\": {\"z\": 8000, \"a\": 7000, \"m\": 7500}, \
         \"urls\": {\"z_url\": \"http://localhost:{a}\", \"a_url\": \"http://localhost:{z}\"}}",
    )
    .unwrap();
    let bundle = config.bundle(Slot(1)).unwrap();
    let names: Vec<&str> = bundle.ports.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["z", "a", "m"]);
    let urls = config.urls(&values(&bundle));
    assert_eq!(urls[0].1, "http://localhost:7100");
    assert_eq!(urls[1].1, "http://localhost:8100");
}

#[test]
fn a_url_is_left_out_where_the_bundle_lacks_its_service() {
    let config = parse(
        "{\"services\": {\"a\": 8000, \"b\": 9000}, \
         \"urls\": {\"a_url\": \"http://localhost:{a}\", \"b_url\": \"http://localhost:{b}\"}}",
    )
    .unwrap();
    let bundle = Bundle {
        slot: Some(Slot(0)),
        ports: vec![(ServiceName::new("b"), port(9000))],
    };
    let names: Vec<String> = config
        .urls(&values(&bundle))
        .into_iter()
        .map(|url| url.0)
        .collect();
    assert_eq!(names, ["b_url"]);
}

#[test]
fn a_slot_past_the_last_port_has_no_bundle() {
    let config = parse("{\"services\": {\"a\": 1024, \"b\": 60000}, \"step\": 5535}").unwrap();
    assert!(config.bundle(Slot(1)).is_some());
    assert_eq!(config.bundle(Slot(2)), None);
    assert_eq!(config.bundle(Slot(u32::MAX)), None);
}

#[test]
fn a_long_value_is_cut_in_the_message() {
    let long = format!("{{\"services\": {{\"a\": \"{}\"}}}}", "\u{fc}".repeat(500));
    let why = parse(&long).unwrap_err();
    assert!(why.contains("\u{2026}`") && why.len() < 300, "{why}");
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_config() {
    let text = "\u{feff}{\"services\": {\"a\": 8000}}";
    assert!(parse(text).is_ok());
    assert!(parse(&format!("\u{feff}{text}")).is_err());
}

/// A config with an `extra` member behind its two services.
fn with(extra: &str) -> Result<Config, String> {
    parse(&format!(
        "{{\"services\": {{\"web\": 3000, \"api\": 4000}}, {extra}}}"
    ))
}

/// Texts, and how each is refused.
const REFUSED: &[(&str, &str)] = &[
    (
        r#"{"service": {"a": 8000}}"#,
        "unknown key `service`; did you mean `services`?",
    ),
    (
        r#"{"ports": {"a": 8000}}"#,
        "unknown key `ports`; available: `services`, `step`, `urls`, `env`, `env_files`, `$schema`",
    ),
    (
        r#"{"step": 1, "step": 2}"#,
        "duplicate key `step` in the config",
    ),
    (
        r#"{"services": {"a": 8000, "a": 8001}}"#,
        "duplicate key `a` in `services`",
    ),
    (
        r#"{"services": {"a": 8000, "\u0061": 8001}}"#,
        "duplicate key `a` in `services`",
    ),
    ("{}", "`services` is missing"),
    ("[]", "the config is not a JSON object"),
    (
        "",
        "it is not JSON: EOF while parsing a value at line 1 column 0",
    ),
    (r#"{"services": 5}"#, "`services` is not a JSON object"),
    (
        r#"{"services": {}}"#,
        "`services` has 0 members; 1 to 64 are allowed",
    ),
    (
        r#"{"services": {"a": "8000"}}"#,
        "`services.a` is `\"8000\"`: a base port is a whole number from 1024 to 65535",
    ),
    (
        r#"{"services": {"Web": 8000}}"#,
        "`services.Web`: the name of a service is a lower-case letter, then up to 31 of a-z, 0-9, `_` and `-`",
    ),
    (
        r#"{"services": {"slot": 8000}}"#,
        "`services.slot`: no service can be called `slot`, because `{slot}` is another placeholder",
    ),
    (
        r#"{"services": {"worktree": 8000}}"#,
        "`services.worktree`: no service can be called `worktree`, because `{worktree}` is another placeholder",
    ),
    (
        r#"{"services": {"a": 8000, "b": 8000}}"#,
        "`services.a` and `services.b` have the same base port 8000",
    ),
    (
        r#"{"services": {"a-b": 8000, "a_b": 8001}}"#,
        "`services.a-b` and `services.a_b` give the same variable `A_B_PORT`",
    ),
    (
        r#"{"services": {"a": 8000}, "step": 0}"#,
        "`step` is `0`: a step is a whole number from 1 to 10000",
    ),
    (
        r#"{"services": {"a": 8000}, "$schema": 1}"#,
        "`$schema` is `1`: it must be a string",
    ),
    (
        r#"{"services": {"a": 8000}, "urls": {"a": "http://localhost:{a}"}}"#,
        "`urls.a`: the name of a URL is a lower-case letter, then up to 31 of a-z, 0-9 and `_`, and ends in `_url`",
    ),
    (
        r#"{"services": {"web": 8000}, "urls": {"a_url": "http://localhost:{wbe}"}}"#,
        "`urls.a_url` is `\"http://localhost:{wbe}\"`: unknown placeholder `{wbe}`; did you mean `{web}`?",
    ),
    (
        r#"{"services": {"web": 8000}, "env": {"X_PORT": 8000}}"#,
        "`env.X_PORT` is `8000`: it must be a string",
    ),
    (
        r#"{"services": {"web": 8000}, "env": {"GIT_PORT": "{web}"}}"#,
        "`env.GIT_PORT`: `GIT_*` configures a tool that handles code or credentials, so a config may not set it",
    ),
    (
        r#"{"services": {"web": 8000}, "env": {"PORT": "{web}", "PORT": "{web}"}}"#,
        "duplicate key `PORT` in `env`",
    ),
    (
        r#"{"services": {"web": 8000}, "env_files": {".env": {"PORT": "{slot}"}}}"#,
        "`env_files[\".env\"].PORT` is `\"{slot}\"`: it must be a port: `{service}`",
    ),
    (
        r#"{"services": {"web": 8000}, "env_files": {".env": []}}"#,
        "`env_files[\".env\"]` is not a JSON object",
    ),
    (
        r#"{"services": {"web": 8000}, "env_files": [".env"]}"#,
        "`env_files` is not a JSON object",
    ),
    (
        r#"{"services": {"web": 8000}, "env_files": {"../.env": {}}}"#,
        "`env_files[\"../.env\"]`: `..` is not allowed",
    ),
    (
        r#"{"services": {"web": 8000}, "env_files": {"a/.env": {}, "A/.env": {}}}"#,
        "`env_files` has both `a/.env` and `A/.env`, which are the same file on macOS and Windows",
    ),
];

#[test]
fn the_error_names_the_key_and_what_is_allowed() {
    for (text, why) in REFUSED {
        assert_eq!(parse(text).unwrap_err(), *why);
    }
}

#[test]
fn at_most_16_env_files_are_allowed() {
    let files = |n: usize| {
        let files: Vec<String> = (0..n).map(|i| format!("\"{i}.env\": {{}}")).collect();
        with(&format!("\"env_files\": {{{}}}", files.join(", ")))
    };
    assert_eq!(files(16).unwrap().env_files.len(), 16);
    assert_eq!(
        files(17).unwrap_err(),
        "`env_files` has 17 members; at most 16 are allowed"
    );
}

#[test]
fn every_config_gives_its_ports_urls_and_slot_as_variables() {
    let config = with(r#""urls": {"web_url": "http://localhost:{web}"}"#).unwrap();
    let bundle = config.bundle(Slot(1)).unwrap();
    let expected = lines(&[
        ("WEB_PORT", "3100"),
        ("API_PORT", "4100"),
        ("WEB_URL", "http://localhost:3100"),
        ("WORKTREE_SLOT", "1"),
    ]);
    assert_eq!(config.variables(&values(&bundle)), expected);

    let bundle = Config::default().bundle(Slot(1)).unwrap();
    let expected = lines(&[
        ("CLOUD_PORT", "8100"),
        ("PORT", "8100"),
        ("CLOUD_URL", "http://127.0.0.1:8100"),
        ("WORKTREE_SLOT", "1"),
    ]);
    assert_eq!(Config::default().variables(&values(&bundle)), expected);
}

#[test]
fn env_replaces_a_line_of_the_same_name_where_it_stands_and_adds_the_others() {
    let env = r#""env": {
        "COMPOSE_PROJECT_NAME": "shop-{slot}",
        "WEB_PORT": "{api}",
        "WORKTREE_SLOT": "{worktree}-{slot}"
    }"#;
    let config = with(env).unwrap();
    let bundle = config.bundle(Slot(1)).unwrap();
    let expected = lines(&[
        ("WEB_PORT", "4100"),
        ("API_PORT", "4100"),
        ("WORKTREE_SLOT", "fix-favicon-1"),
        ("COMPOSE_PROJECT_NAME", "shop-1"),
    ]);
    assert_eq!(config.variables(&values(&bundle)), expected);
}

#[test]
fn what_the_bundle_lacks_is_left_out_everywhere() {
    let config = with(
        r#""urls": {"api_url": "http://localhost:{api}"},
        "env": {"API_PORT": "{api}", "WEB_PORT": "{web}", "X_NAME": "{slot}", "Y_NAME": "{worktree}"},
        "env_files": {
            ".env": {"PORTS": "{web},{api}", "PORT": "{web}"},
            "api.env": {"PORT": "{api}", "X_SLOT": "{slot}"},
            "all.env": {}
        }"#,
    )
    .unwrap();
    let bundle = Bundle {
        slot: None,
        ports: vec![(ServiceName::new("web"), port(3001))],
    };
    let values = values(&bundle);
    let all = lines(&[("WEB_PORT", "3001"), ("Y_NAME", "fix-favicon")]);
    assert_eq!(config.urls(&values), []);
    assert_eq!(config.variables(&values), all);
    let files = [
        EnvFile {
            path: ".env".to_owned(),
            lines: lines(&[("PORT", "3001")]),
        },
        EnvFile {
            path: "all.env".to_owned(),
            lines: all,
        },
    ];
    assert_eq!(config.env_files(&values), files);
}

proptest! {
    #[test]
    fn any_text_is_a_config_or_an_error(text in any::<String>()) {
        if let Err(why) = parse(&text) {
            prop_assert!(!why.is_empty());
        }
    }

    #[test]
    fn every_config_that_keeps_the_rules_is_read(
        bases in prop::collection::btree_set(1024_u16..=65_535, 1..=64),
        step in 1_u32..=10_000,
    ) {
        let services: Vec<String> = bases
            .iter()
            .enumerate()
            .map(|(i, base)| format!("\"s{i}\": {base}"))
            .collect();
        let text = format!("{{\"services\": {{{}}}, \"step\": {step}}}", services.join(","));
        let config = parse(&text).unwrap();
        let read: Vec<u16> = config.services.iter().map(|s| s.base.number()).collect();
        prop_assert_eq!(read, bases.into_iter().collect::<Vec<_>>());
        prop_assert_eq!(config.step, step);
    }
}
