//! Whatever a config says, it is refused or keeps to what the types promise.

use std::collections::BTreeSet;

use super::*;

/// Pieces of configs, so that many inputs are nearly right.
const PIECES: [&str; 44] = [
    "{",
    "}",
    ":",
    ",",
    "\"services\"",
    "\"step\"",
    "\"urls\"",
    "\"a\"",
    "\"a-b\"",
    "\"a_b\"",
    "8000",
    "8001",
    "1",
    "10000",
    "10001",
    "\"a_url\"",
    "\"http://localhost:{a}\"",
    "\"http://[::1]:{a}/x?y\"",
    "\"http://u@b.localhost:{a-b}\"",
    "{\"services\":{\"a\":8000},\"urls\":{\"a_url\":\"",
    "http://",
    "localhost",
    "{a}",
    "@",
    "/",
    "?",
    "evil.com",
    "\"}}",
    "\"env\"",
    "\"env_files\"",
    "\"PORT\"",
    "\"A_NAME\"",
    "\"A_URL\"",
    "\".env\"",
    "\"{a}\"",
    "\"x-{slot}\"",
    "{\"services\":{\"a\":8000},\"env\":{\"A_ORIGINS\":\"",
    "{\"services\":{\"a\":8000},\"env_files\":{\".env\":{\"A_HOST\":\"",
    "{worktree}",
    "\"}}}",
    "{-slot}",
    "{worktree.}",
    "\"templates\"",
    "postgres://",
];

fn check(text: &str) {
    let Ok(config) = Config::parse(text) else {
        return;
    };
    assert!((1..=64).contains(&config.services.len()));
    assert!((1..=10_000).contains(&config.step));
    let services = config.services.iter();
    let variables: BTreeSet<String> = services.map(|service| service.name.variable()).collect();
    let bases: BTreeSet<u16> = config
        .services
        .iter()
        .map(|service| service.base.number())
        .collect();
    assert_eq!(
        (variables.len(), bases.len()),
        (config.services.len(), config.services.len())
    );

    let bundle = config.bundle(Slot::MAIN).unwrap();
    let values = Values {
        bundle: &bundle,
        label: "fix-favicon",
    };
    let files = config.env_files(&values).into_iter().map(|file| file.lines);
    for (name, value) in files.flatten().chain(config.variables(&values)) {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "_.:/@%?=&+[],-".contains(c);
        assert!(value.chars().all(is_plain), "{name}={value}");
        assert!(!name.contains('='), "{name}={value}");
    }
    for (name, urls) in config.urls(&values) {
        assert!(name.ends_with("_url"));
        for url in urls.split(',') {
            // As a browser reads it: the host is what follows the last `@` of the authority.
            let (_, rest) = url.split_once("://").unwrap();
            let authority = rest.split(['/', '?', '#', '\\']).next().unwrap();
            let host_and_port = authority.rsplit('@').next().unwrap();
            let host = match host_and_port.rsplit_once(':') {
                Some((host, _)) if !host_and_port.ends_with(']') => host,
                _ => host_and_port,
            };
            let is_local = ["localhost", "127.0.0.1", "[::1]", ""].contains(&host)
                || host.ends_with(".localhost");
            assert!(is_local, "{url}");
        }
    }
}

#[test]
fn any_text_is_refused_or_a_config_that_names_this_machine_alone() {
    bolero::check!().for_each(|bytes: &[u8]| check(&String::from_utf8_lossy(bytes)));
}

#[test]
fn what_is_nearly_a_config_is_refused_or_names_this_machine_alone() {
    bolero::check!().with_type::<Vec<u8>>().for_each(|choices| {
        let pieces = choices
            .iter()
            .map(|choice| PIECES[usize::from(*choice) % PIECES.len()]);
        check(&pieces.collect::<String>());
    });
}

#[test]
fn a_url_is_refused_or_names_this_machine_alone() {
    bolero::check!().with_type::<(Vec<u8>, Vec<u8>)>().for_each(|(before, after)| {
        let text = |choices: &[u8]| {
            let pieces = choices.iter().map(|choice| {
                ["http://", "localhost", ".", ":", "@", "/", "?", "[::1]", "127.0.0.1", "x", "{a}"]
                    [usize::from(*choice) % 11]
            });
            pieces.collect::<String>()
        };
        let (before, after) = (text(before), text(after));
        check(&format!(
            r#"{{"services": {{"a": 8000}}, "urls": {{"a_url": "http://{before}{{a}}{after}"}}}}"#
        ));
    });
}
