//! Tests of `config`.

use proptest::prelude::*;

use super::*;

fn port(number: u16) -> Port {
    Port::new(u64::from(number)).unwrap()
}

/// The config with one service, `cloud`, and this template.
fn with_template(template: &str) -> Result<Config, String> {
    let template = serde_json::to_string(template).unwrap();
    parse(&format!(
        "{{\"services\": {{\"cloud\": 8000}}, \"urls\": {{\"a_url\": {template}}}}}"
    ))
}

#[test]
fn the_default_is_cloud_8000_with_step_100_and_its_url() {
    let config = Config::default();
    assert_eq!((config.services.len(), config.step), (1, 100));
    assert_eq!(config.services[0].name, "cloud");
    let bundle = config.bundle(Slot(3)).unwrap();
    assert_eq!(bundle.ports, [("cloud".to_owned(), port(8300))]);
    let url = ("cloud_url".to_owned(), "http://127.0.0.1:8300".to_owned());
    assert_eq!(config.urls(&bundle), [url]);
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
    let urls = config.urls(&bundle);
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
        ports: vec![("b".to_owned(), port(9000))],
    };
    let names: Vec<String> = config.urls(&bundle).into_iter().map(|url| url.0).collect();
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
fn a_templates_host_is_this_machine() {
    let allowed = [
        "http://localhost:{cloud}",
        "https://localhost:{cloud}/",
        "http://127.0.0.1:{cloud}/a/b?c=d&".trim_end_matches('&'),
        "http://[::1]:{cloud}?x=1",
        "http://a.localhost:{cloud}",
        "http://a-1.b_2.localhost:{cloud}/x,y+z%20[0]",
        "postgres://user:secret@localhost:{cloud}/db",
        "redis://:secret@localhost:{cloud}/0",
        "vscode-remote+ssh.x://localhost:{cloud}",
        "http://localhost:{cloud}/@example.com:80/",
    ];
    for template in allowed {
        with_template(template).unwrap_or_else(|why| panic!("{template}: {why}"));
    }
    let refused = [
        "",
        "{cloud}",
        ":{cloud}",
        "localhost:{cloud}",
        "://localhost:{cloud}",
        "1http://localhost:{cloud}",
        "http//localhost:{cloud}",
        "http://LOCALHOST:{cloud}",
        "http://localhost{cloud}",
        "http://localhost:{cloud",
        "http://localhost:cloud}",
        "http://localhost:{}",
        "http://localhost:{Cloud}",
        "http://localhost:{{cloud}}",
        "http://localhost:{cloud}/{cloud}",
        "http://localhost:{cloud}x",
        "http://localhost:{cloud}#x",
        "http://localhost:{cloud}:80",
        "http://localhost:{cloud}@example.com",
        "http://example.com:{cloud}",
        "http://example.com:80/localhost:{cloud}",
        "http://localhost@example.com:{cloud}",
        "http://a@b@localhost:{cloud}",
        "http://example.com/@localhost:{cloud}",
        "http://example.com?@localhost:{cloud}",
        "http://localhost.:{cloud}",
        "http://.localhost:{cloud}",
        "http://a..localhost:{cloud}",
        "http://alocalhost:{cloud}",
        "http://127.0.0.1.:{cloud}",
        "http://[::1]x:{cloud}",
        "http://[::]:{cloud}",
        "http://0.0.0.0:{cloud}",
        "http://localhost:{cloud}/\u{fc}",
        "http://localhost:{cloud}/ ",
        "http://localhost:{cloud}/\n",
        "http://localhost:{cloud}/\\",
        "http://localhost:{cloud}/'",
        "http://localhost:{cloud}/\"",
        "http://localhost:{cloud}/$x",
        "http://localhost:{cloud}/&",
    ];
    for template in refused {
        let why = with_template(template).expect_err(template);
        assert!(why.starts_with("`urls.a_url` is "), "{template}: {why}");
    }
}

#[test]
fn a_long_value_is_cut_in_the_message() {
    let long = format!("{{\"services\": {{\"a\": \"{}\"}}}}", "\u{fc}".repeat(500));
    let why = parse(&long).unwrap_err();
    assert!(why.contains("\u{2026}`") && why.len() < 300, "{why}");
}

/// The host of a URL as a reader would take it who knows no more than the general syntax.
fn host_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#', '\\']).next()?;
    let host = authority.rsplit('@').next()?;
    Some(host.rsplit_once(':')?.0)
}

proptest! {
    #[test]
    fn any_text_is_a_config_or_an_error(text in any::<String>()) {
        if let Err(why) = parse(&text) {
            prop_assert!(!why.is_empty());
        }
    }

    #[test]
    fn any_template_that_is_allowed_names_this_machine_and_a_port_of_the_bundle(
        before in "(http|a)?(:|/|@|\\.|\\[|\\]|\\?|localhost|127\\.0\\.0\\.1|::1|evil|%|=|,|\\\\|#){0,9}",
        after in "(:|/|@|\\.|\\?|localhost|evil|#|\\\\|8){0,5}",
    ) {
        let Ok(config) = with_template(&format!("http://{before}:{{cloud}}{after}")) else {
            return Ok(());
        };
        let urls = config.urls(&config.bundle(Slot(1)).unwrap());
        let url = &urls[0].1;
        let host = host_of(url).unwrap();
        prop_assert!(
            ["localhost", "127.0.0.1", "[::1]"].contains(&host) || host.ends_with(".localhost"),
            "{url}"
        );
        prop_assert!(url.contains(":8100"));
        prop_assert!(url.chars().all(|c| c.is_ascii_alphanumeric() || "_.:/@%?=+,[]-".contains(c)));
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
