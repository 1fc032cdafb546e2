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
    assert!(config.env.is_empty() && config.env_files.is_empty() && config.templates.is_empty());
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
        slot: Slot(0),
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
fn no_part_of_a_value_makes_a_message_long() {
    let long = "a".repeat(5000);
    let texts = [
        format!("{long}!"),
        format!("{long}://localhost"),
        format!("redis+{long}://localhost"),
        format!("http://{long}"),
        format!("http://localhost:{long}"),
        format!("http://localhost/{long}?"),
        format!("postgres://{long}.localhost/x"),
        format!("postgres://localhost/x?{long}=y"),
        format!("postgres://localhost/x?{long}"),
        format!("a{{worktree.}}localhost{long}"),
        format!("{{{long}}}"),
        format!("{{{}slot}}", "-".repeat(5000)),
        format!("{{{}web}}", "-".repeat(5000)),
    ];
    for text in &texts {
        for name in ["APP_URL", "APP_HOST", "APP_PORT", "APP_SLOT", "PGHOST"] {
            let env = serde_json::json!({"env": {name: text}}).to_string();
            let why = with(&env[1..env.len() - 1]).unwrap_err();
            assert!(why.len() < 700, "{why}");
        }
    }
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
        "unknown key `ports`; available: `services`, `step`, `urls`, `env`, `env_files`, `templates`, `$schema`",
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
    (
        "{}",
        "`services` is missing; write `\"services\": {\"web\": 3000}` with your own names and ports",
    ),
    ("[]", "the config is not a JSON object"),
    (
        "",
        "the file is empty; write `{\"services\": {\"web\": 3000}}` with your own names and ports",
    ),
    (
        "{\"services\": {\n  \"a\": 8000,\n}}",
        "it is not JSON: trailing comma at line 3 column 1",
    ),
    (
        r#"{"services": {"a": 8000},}"#,
        "it is not JSON: trailing comma at line 1 column 26",
    ),
    (
        "{\n  // ports\n  \"services\": {\"a\": 8000}}",
        "comments are not JSON; remove the one at line 2 column 3",
    ),
    (
        "{\"services\": {\"a\": 8000} /* x */}",
        "comments are not JSON; remove the one at line 1 column 26",
    ),
    (
        "{'services': {}}",
        "it is not JSON: single quotes at line 1 column 2; use double quotes",
    ),
    (
        r#"{"services": {"a": 8000}"#,
        "it is not JSON: it ends too early, at line 1 column 24",
    ),
    (
        r#"{"services": {"a": 8000} "step": 1}"#,
        "it is not JSON: expected `,` or `}` at line 1 column 26",
    ),
    (r#"{"services": 5}"#, "`services` is not a JSON object"),
    (
        r#"{"services": {}}"#,
        "`services` has 0 members; 1 to 64 are allowed",
    ),
    (
        r#"{"services": {"a": "8000"}}"#,
        "`services.a` is `\"8000\"`: a base port is a whole number from 1024 to 65535, without quotes",
    ),
    (
        r#"{"services": {"Web": 8000}}"#,
        "`services.Web`: the name of a service is a lower-case letter, then up to 31 of a-z, 0-9, `_` and `-`, and is not `slot` or `worktree`, which are other placeholders",
    ),
    (
        r#"{"services": {"slot": 8000}}"#,
        "`services.slot`: the name of a service is a lower-case letter, then up to 31 of a-z, 0-9, `_` and `-`, and is not `slot` or `worktree`, which are other placeholders",
    ),
    (
        r#"{"services": {"worktree": 8000}}"#,
        "`services.worktree`: the name of a service is a lower-case letter, then up to 31 of a-z, 0-9, `_` and `-`, and is not `slot` or `worktree`, which are other placeholders",
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
        "`env.X_PORT` is `8000`: it must be a string; write `\"8000\"`",
    ),
    (
        r#"{"services": {"web": 8000}, "env": {"GIT_URL": "{web}"}}"#,
        "`env.GIT_URL`: git acts on `GIT_*`, so only ports are allowed there",
    ),
    (
        r#"{"services": {"web": 8000}, "env": {"PORT": "{web}", "PORT": "{web}"}}"#,
        "duplicate key `PORT` in `env`",
    ),
    (
        r#"{"services": {"web": 8000}, "env_files": {".env": {"PORT": "{slot}"}}}"#,
        "`env_files[\".env\"].PORT` is `\"{slot}\"`: a port is `{service}` or a number from 1 to 65535; write `{web}`",
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
        "`env_files[\"../.env\"]`: `.` and `..` are not allowed; write `.env`",
    ),
    (
        r#"{"services": {"web": 8000}, "env_files": {"a/.env": {}, "A/.env": {}}}"#,
        "`a/.env` and `A/.env` in `env_files` are the same file on macOS and Windows",
    ),
    (
        r#"{"services": {"slot-": 8000}}"#,
        "`services.slot-`: the name of a service is a lower-case letter, then up to 31 of a-z, 0-9, `_` and `-`, and is not `slot` or `worktree`, which are other placeholders",
    ),
    (
        r#"{"services": {"web": 8000}, "urls": {"git_url": "http://localhost:{web}"}}"#,
        "`urls.git_url`: git acts on `GIT_*`, so only ports are allowed there",
    ),
    (
        r#"{"services": {"web": 8000}, "templates": ["a"]}"#,
        "`templates` is not a JSON object",
    ),
    (
        r#"{"services": {"web": 8000}, "templates": {"a": 5}}"#,
        "`templates[\"a\"]` is `5`: it must be a string",
    ),
    (
        r#"{"services": {"web": 8000}, "templates": {"/a": "b"}}"#,
        "`templates[\"/a\"]`: it must be relative to the worktree's root; write `a`",
    ),
    (
        r#"{"services": {"web": 8000}, "templates": {"a": "./b"}}"#,
        "`templates[\"a\"]` is `\"./b\"`: `.` and `..` are not allowed; write `b`",
    ),
    (
        r#"{"services": {"web": 8000}, "templates": {"a": "b", "A": "c"}}"#,
        "`a` and `A` in `templates` are the same file on macOS and Windows",
    ),
    (
        r#"{"services": {"web": 8000}, "templates": {"a": "b", "B": "c"}}"#,
        "`templates[\"B\"]`: `b` cannot be made from a template, because worktree-ports-hook writes or reads it itself",
    ),
    (
        r#"{"services": {"web": 8000}, "templates": {".Worktree-Ports.json": "b"}}"#,
        "`templates[\".Worktree-Ports.json\"]`: `.worktree-ports.json` cannot be made from a template, because worktree-ports-hook writes or reads it itself",
    ),
    (
        r#"{"services": {"web": 8000}, "templates": {".worktree-ports.config.json": "b"}}"#,
        "`templates[\".worktree-ports.config.json\"]`: `.worktree-ports.config.json` cannot be made from a template, because worktree-ports-hook writes or reads it itself",
    ),
    (
        r#"{"services": {"web": 8000}, "env_files": {"a/.env": {}}, "templates": {"a/.ENV": "b"}}"#,
        "`templates[\"a/.ENV\"]`: `a/.env` cannot be made from a template, because worktree-ports-hook writes or reads it itself",
    ),
];

#[test]
fn the_error_names_the_key_and_what_is_allowed() {
    for (text, why) in REFUSED {
        assert_eq!(parse(text).unwrap_err(), *why);
    }
}

/// Values that are refused, and what their message ends in.
const HINTS: &[(&str, &str, &str)] = &[
    (
        "APP_NAME",
        "shop {slot}",
        "a space is not allowed in a name; write `shop-{slot}`",
    ),
    (
        "APP_NAME",
        "shop.{slot}",
        "`.` is not allowed in a name; write `shop-{slot}`",
    ),
    (
        "APP_NAME",
        "{-worktree}",
        "it may not start with `-`; write `app{-worktree}`",
    ),
    ("APP_NAME", "", "it is empty; write `app{-worktree}`"),
    (
        "APP_NAME",
        "{sloot}",
        "unknown placeholder `{sloot}`; did you mean `{slot}`?",
    ),
    (
        "APP_NAME",
        "{-web}",
        "unknown placeholder `{-web}`; did you mean `{web}`?",
    ),
    (
        "APP_NAME",
        "{-slot-}",
        "`{-slot-}` has more than one separator; one may stand before or after `slot`",
    ),
    ("APP_NAME", "x{", "`{` has no `}`"),
    ("APP_SLOT", "x", "it is not a number; write `{slot}`"),
    ("API_PORT", "80800", "write `{api}`"),
    ("PORTS", "{web}, {api}", "write `{web},{api}`"),
    (
        "API_URL",
        "{api}",
        "it has no scheme such as `http://`; write `http://localhost:{api}`",
    ),
    (
        "API_URL",
        "localhost:{api}",
        "write `http://localhost:{api}`",
    ),
    (
        "API_URL",
        "htp://localhost:{api}",
        "write `http://localhost:{api}`",
    ),
    (
        "API_URL",
        "http://localhost:{api}/?x=1",
        "`?` is not allowed in a web URL; write `http://localhost:{api}/`",
    ),
    (
        "API_URL",
        "http://evil.example:{api}/x",
        "write `http://localhost:{api}/x`",
    ),
    ("API_HOST", "{api}", "write `localhost:{api}`"),
    ("API_HOST", "{worktree}", "write `localhost`"),
    (
        "API_HOST",
        "0.0.0.0",
        "a server there listens on all interfaces, which each user chooses in a line of their own; write `localhost`",
    ),
    (
        "PGHOST",
        "{worktree}.localhost",
        "`*.localhost` is for browsers; databases may ask the DNS for it; write `localhost`",
    ),
    (
        "DATABASE_URL",
        "postgres://u@db:5432/x",
        "write `postgres://u@localhost:5432/x`",
    ),
    (
        "DATABASE_URL",
        "postgres://localhost/a/b",
        "write `postgres://localhost:{web}/app{_worktree}`",
    ),
    (
        "DATABASE_URL",
        "postgres://localhost/a?sslkey=k",
        "pool_size, pgbouncer, charset, encoding, serverVersion, replicaSet, directConnection, authSource, retryWrites, w, heartbeat, db, prefix, allowPublicKeyRetrieval, useSSL; write `postgres://localhost/a`",
    ),
    (
        "MONGO_URL",
        "mongodb+srv://localhost/x",
        "`+srv` asks the DNS for the host; write `mongodb://localhost/x`",
    ),
    (
        "API_URL",
        "http://a{worktree.}localhost",
        "in the main worktree, where placeholders with a separator are empty, the host is not this machine: \
         `localhost`, `*.localhost`, `127.0.0.1` and `[::1]` are; write `http://localhost`",
    ),
    ("API_PROT", "{api}", "did you mean `PORT`?"),
    (
        "APP_SECRET",
        "x",
        "keep it as a line of your own in the env file",
    ),
    (
        "PREFIX",
        "x",
        "`PREFIX` is allowed only after TABLE, KEY, CACHE, DB, REDIS, QUEUE, VOLUME, CONTAINER",
    ),
];

#[test]
fn the_message_about_a_value_ends_in_what_to_write_instead() {
    for (name, text, end) in HINTS {
        let env = serde_json::json!({"env": {*name: text}}).to_string();
        let why = with(&env[1..env.len() - 1]).unwrap_err();
        assert!(why.ends_with(end), "{why}");
        assert!(why.starts_with(&format!("`env.{name}`")), "{why}");
    }
}

#[test]
fn at_most_16_env_files_and_templates_are_allowed() {
    for (key, value) in [("env_files", "{}"), ("templates", r#""x""#)] {
        let with_files = |n: usize| {
            let files: Vec<String> = (0..n).map(|i| format!("\"{i}.env\": {value}")).collect();
            with(&format!("\"{key}\": {{{}}}", files.join(", ")))
        };
        let config = with_files(16).unwrap();
        assert_eq!(config.env_files.len() + config.templates.len(), 16);
        assert_eq!(
            with_files(17).unwrap_err(),
            format!("`{key}` has 17 members; 0 to 16 are allowed")
        );
    }
}

#[test]
fn templates_are_pairs_of_a_target_and_its_source() {
    let config = with(
        r#""templates": {"supabase/config.toml": "supabase/config.toml.template", "b": "x", "c": "x"}"#,
    );
    let pairs: Vec<(String, String)> = config
        .unwrap()
        .templates
        .into_iter()
        .map(|template| (template.target, template.source))
        .collect();
    let expected = lines(&[
        ("supabase/config.toml", "supabase/config.toml.template"),
        ("b", "x"),
        ("c", "x"),
    ]);
    assert_eq!(pairs, expected);
}

#[test]
fn the_port_file_that_no_template_may_replace_is_the_programs() {
    let name = crate::state::port_file::NAME;
    let refused = with(&format!("\"templates\": {{\"{name}\": \"x\"}}"));
    assert!(refused.is_err());
}

#[test]
fn every_name_of_a_line_of_env_a_service_a_url_and_slot_has_a_value() {
    let config = with(
        r#""urls": {"web_url": "http://localhost:{web}"},
        "env": {"WEB_PORT": "{api}", "shop_name": "shop{-slot}", "slot": "7"}"#,
    )
    .unwrap();
    let bundle = config.bundle(Slot(1)).unwrap();
    let expected = lines(&[
        ("web", "3100"),
        ("api", "4100"),
        ("web_url", "http://localhost:3100"),
        ("slot", "1"),
        ("WEB_PORT", "4100"),
        ("API_PORT", "4100"),
        ("WEB_URL", "http://localhost:3100"),
        ("WORKTREE_SLOT", "1"),
        ("shop_name", "shop-1"),
        // The slot itself comes first.
        ("slot", "1"),
    ]);
    let values = values(&bundle);
    let found = config.names().into_iter().map(|name| {
        let value = config.value(&name, &values).unwrap();
        (name, value)
    });
    assert_eq!(found.collect::<Vec<_>>(), expected);
    for unknown in ["", "WEB", "WEB_URL ", "worktree", "PORT"] {
        assert_eq!(config.value(unknown, &values), None, "{unknown}");
    }
    let default = Config::default();
    let names = [
        "cloud",
        "cloud_url",
        "slot",
        "CLOUD_PORT",
        "PORT",
        "CLOUD_URL",
        "WORKTREE_SLOT",
    ];
    assert_eq!(default.names(), names);
}

#[test]
fn only_names_of_the_worktrees_own_are_names_of_stacks() {
    let config = with(
        r#""env": {
            "COMPOSE_PROJECT_NAME": "shop{-worktree}", "POSTGRES_USER": "postgres", "A_DB": "{slot}",
            "WEB_PORT": "{web}", "A_SLOT": "1{slot}",
            "A_NAME": "{slot_}", "A_HOST": "{worktree.}localhost"
        },
        "env_files": {".env": {"PGDATABASE": "shop{_worktree}", "A_URL": "http://localhost:{web}"}}"#,
    )
    .unwrap();
    let bundle = config.bundle(Slot(1)).unwrap();
    let names: Vec<(String, String)> = config.stack_names(&values(&bundle)).into_iter().collect();
    let expected = lines(&[
        ("A_NAME", "1_"),
        ("COMPOSE_PROJECT_NAME", "shop-fix-favicon"),
        ("PGDATABASE", "shop_fix_favicon"),
    ]);
    assert_eq!(names, expected);

    let bundle = config.bundle(Slot::MAIN).unwrap();
    let in_main = Values {
        bundle: &bundle,
        label: label::MAIN,
    };
    let names: Vec<(String, String)> = config.stack_names(&in_main).into_iter().collect();
    let expected = lines(&[("COMPOSE_PROJECT_NAME", "shop"), ("PGDATABASE", "shop")]);
    assert_eq!(names, expected);
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
fn env_replaces_a_line_of_the_same_name_in_place_and_adds_the_others() {
    let env = r#""env": {
        "COMPOSE_PROJECT_NAME": "shop-{slot}",
        "WEB_PORT": "{api}",
        "WORKTREE_SLOT": "{slot}0"
    }"#;
    let config = with(env).unwrap();
    let bundle = config.bundle(Slot(1)).unwrap();
    let expected = lines(&[
        ("WEB_PORT", "4100"),
        ("API_PORT", "4100"),
        ("WORKTREE_SLOT", "10"),
        ("COMPOSE_PROJECT_NAME", "shop-1"),
    ]);
    assert_eq!(config.variables(&values(&bundle)), expected);
}

#[test]
fn what_the_bundle_lacks_is_left_out_everywhere() {
    let config = with(
        r#""urls": {"api_url": "http://localhost:{api}"},
        "env": {"API_PORT": "{api}", "WEB_PORT": "{web}", "X_NAME": "x{slot}", "Y_NAME": "{worktree}"},
        "env_files": {
            ".env": {"PORTS": "{web},{api}", "PORT": "{web}"},
            "api.env": {"PORT": "{api}", "X_SLOT": "{slot}"},
            "all.env": {}
        }"#,
    )
    .unwrap();
    let bundle = Bundle {
        slot: Slot(1),
        ports: vec![(ServiceName::new("web"), port(3001))],
    };
    let values = values(&bundle);
    let all = lines(&[
        ("WEB_PORT", "3001"),
        ("WORKTREE_SLOT", "1"),
        ("X_NAME", "x1"),
        ("Y_NAME", "fix-favicon"),
    ]);
    assert_eq!(config.urls(&values), []);
    assert_eq!(config.variables(&values), all);
    let files = [
        EnvFile {
            path: ".env".to_owned(),
            lines: lines(&[("PORT", "3001")]),
        },
        EnvFile {
            path: "api.env".to_owned(),
            lines: lines(&[("X_SLOT", "1")]),
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
    fn what_a_message_says_to_write_is_allowed(
        name in prop_oneof![
            "(APP_|DATABASE_|PG|VITE_|DB_|REDIS_|X_TABLE_)?(PORTS?|URL|HOST|NAME|SUFFIX|SLOT|DB|PREFIX)",
            "[A-Z_]{1,9}",
        ],
        text in prop_oneof![
            any::<String>(),
            "[-a-z:/@?=&,.\"' \\[\\]]{0,3}(http|postgres|sqlite|mongodb\\+srv)?(://)?(u:p@)?(localhost|db|0\\.0\\.0\\.0|\\[::\\]|)(:\\{(web|slot)\\}|:80000)?[-a-z:/@?=&,. {}]{0,5}",
        ],
        path in prop_oneof![any::<String>(), "[./a-z\\\\ -]{0,4}(\\.envrc|\\.env|env|\\.git/)[./ ]{0,2}"],
    ) {
        let written = |why: &str| {
            let (_, hint) = why.rsplit_once("; write `")?;
            Some(hint.strip_suffix('`').unwrap_or(hint).trim_matches('"').to_owned())
        };
        let env = |text: &str| serde_json::json!({"services": {"web": 3000}, "env": {&*name: text}}).to_string();
        if let Err(why) = parse(&env(&text)) {
            prop_assert!(!why.is_empty());
            if let Some(hint) = written(&why) {
                prop_assert!(parse(&env(&hint)).is_ok(), "{} {}", why, hint);
            }
        }
        let file = |path: &str| serde_json::json!({"services": {"web": 3000}, "env_files": {path: {}}}).to_string();
        if let Err(why) = parse(&file(&path))
            && let Some(hint) = written(&why)
        {
            prop_assert!(parse(&file(&hint)).is_ok(), "{} {}", why, hint);
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
