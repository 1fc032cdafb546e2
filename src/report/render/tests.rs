//! Tests of `render`.

use proptest::prelude::*;

use super::*;
use crate::allocate::choose::Choice;
use crate::allocate::reservations::Reservations;
use crate::config::Config;
use crate::config::file::ConfigInForce;
use crate::files::dir::PlainFile;
use crate::git::fixture;
use crate::state::port_file::FileState;
use crate::writes::assigned::Assigned;

/// What a hostile branch or a careless hand may put where a name or a value belongs.
fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,12}",
        any::<String>(),
        proptest::sample::select(vec![
            "PATH=/tmp",
            "a\nLD_PRELOAD=/tmp/x.so",
            "$(id)",
            "`id`",
            "x;id",
            "web_url\0",
            "\u{202e}",
            "ld_preload",
            "path",
            "Path_url",
            "é_url",
            "ı",
            "ß",
            "__proto__",
        ])
        .prop_map(str::to_owned),
    ]
}

fn service() -> impl Strategy<Value = String> {
    prop_oneof![
        9 => "[a-d][a-c0-1_-]{0,3}",
        1 => hostile(),
    ]
}

fn host() -> impl Strategy<Value = String> {
    let own = [
        "localhost",
        "127.0.0.1",
        "[::1]",
        "a.localhost",
        "a.b-c.localhost",
    ];
    let near = [
        "example.com",
        "localhost.example.com",
        "notlocalhost",
        "127.0.0.1.example.com",
        "[::2]",
        "localhost@example.com",
        "example.com@localhost",
        "u:p@127.0.0.1",
        "a:b@c:d@localhost",
        "localhost%2eexample.com",
        "127.1",
        "0x7f.1",
        "..localhost",
        "",
        "a@[::1]",
        "u?@localhost",
        "u%40@localhost",
        "example.com/@localhost",
        "example.com?@localhost",
        "a_b.localhost",
        "-.localhost",
        "%61.localhost",
        "localhost.",
        "1.localhost",
        "user+x=@localhost",
    ];
    prop_oneof![
        3 => proptest::sample::select(own.to_vec()).prop_map(str::to_owned),
        2 => proptest::sample::select(near.to_vec()).prop_map(str::to_owned),
        1 => hostile(),
    ]
}

fn template() -> impl Strategy<Value = String> {
    let scheme = prop_oneof![
        6 => "(http|https|ws|ftp|file|postgres|redis|a\\+b|javascript)",
        1 => "[a-zA-Z0-9+.:/-]{0,6}",
    ];
    let tail = prop_oneof![
        3 => Just(String::new()),
        4 => "[/?][a-zA-Z0-9_.:/@%?=+,\\[\\]-]{0,10}",
        1 => "[@:0-9.]{1,4}example.com",
        1 => hostile(),
    ];
    let whole = (scheme, host(), service(), tail)
        .prop_map(|(scheme, host, service, tail)| format!("{scheme}://{host}:{{{service}}}{tail}"));
    prop_oneof![9 => whole, 1 => hostile()]
}

/// A config whose URLs name its services, mostly.
fn config_text() -> impl Strategy<Value = String> {
    let services = proptest::collection::vec((service(), 1020_u32..65540), 1..4);
    let name = prop_oneof![6 => "[a-z][a-z0-9_]{0,4}_url", 1 => hostile()];
    let urls =
        proptest::collection::vec((name, template(), any::<proptest::sample::Index>()), 0..4);
    let step = prop_oneof![9 => 1_u32..10_000, 1 => any::<u32>()];
    (services, urls, step).prop_map(|(services, urls, step)| {
        let member = |name: &str, value: String| format!("{}:{value}", json_string(name));
        let urls: Vec<String> = urls
            .iter()
            .map(|(name, template, index)| {
                let (service, _) = index.get(&services);
                let own = match (template.find('{'), template.rfind('}')) {
                    (Some(start), Some(end)) if start < end => {
                        format!(
                            "{}{{{service}}}{}",
                            &template[..start],
                            &template[end + 1..]
                        )
                    }
                    _ => template.clone(),
                };
                member(name, json_string(&own))
            })
            .collect();
        let services: Vec<String> = services
            .iter()
            .map(|(name, base)| member(name, base.to_string()))
            .collect();
        format!(
            "{{\"services\":{{{}}},\"step\":{step},\"urls\":{{{}}}}}",
            services.join(","),
            urls.join(",")
        )
    })
}

/// A port file that is mostly the own one of the worktree `a`.
fn port_file_text() -> impl Strategy<Value = String> {
    let ports = proptest::collection::vec((service(), 1024_u32..65540), 1..4);
    let slot = prop_oneof![
        3 => (0_u32..5).prop_map(|slot| format!(",\"slot\":{slot}")),
        1 => Just(String::new()),
        1 => Just(",\"slot\":null".to_owned()),
        1 => any::<u32>().prop_map(|slot| format!(",\"slot\":{slot}")),
    ];
    let own = (ports, slot, hostile(), hostile()).prop_map(|(ports, slot, url, value)| {
        let ports: Vec<String> = ports
            .iter()
            .map(|(name, port)| format!("{}:{port}", json_string(name)))
            .collect();
        format!(
            "{{\"worktree\":\"a\"{slot},\"ports\":{{{}}},{}:{}}}",
            ports.join(","),
            json_string(&format!("{url}_url")),
            json_string(&value)
        )
    });
    prop_oneof![9 => own, 1 => hostile()]
}

fn json_string(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

fn is_promised_name(name: &str) -> bool {
    let is_name = name.starts_with(|c: char| c.is_ascii_uppercase())
        && name
            .chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    let is_ours = name == "PORT"
        || name == "WORKTREE_SLOT"
        || name.ends_with("_PORT")
        || name.ends_with("_URL");
    is_name && is_ours
}

fn is_of_this_machine(url: &str) -> bool {
    let url = url::Url::parse(url).unwrap();
    let host = url.host_str().unwrap_or_default();
    let names_a_host = !matches!(url.scheme(), "file" | "javascript");
    let is_own = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
    names_a_host && (is_own || host.ends_with(".localhost"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn env_is_harmless_whoever_wrote_the_config_and_the_port_file(
        config in config_text(),
        found in port_file_text(),
    ) {
        let Ok(config) = Config::parse(&config) else {
            return Ok(());
        };
        let found = PlainFile::Read(found.into_bytes());
        let FileState::Own(own) = FileState::of(found, Some("a")) else {
            return Ok(());
        };
        let nothing = Reservations::of(&[]);
        let choice = Choice::new(&config, nothing.except(None), false);
        let bundle = choice.update(&own.bundle);
        let directory = tempfile::tempdir().unwrap();
        let worktree = fixture::linked(directory.path(), "a");
        let in_force = ConfigInForce::own(config);
        let text = env(&Assigned::new(&worktree, in_force, bundle, Some(&own)).variables());
        prop_assert!(text.is_empty() || text.ends_with('\n'));
        let mut seen = std::collections::BTreeSet::new();
        for line in text.lines() {
            let (name, value) = line.split_once('=').unwrap();
            prop_assert!(is_promised_name(name), "{line}");
            prop_assert!(seen.insert(name), "{name} stands twice in {text}");
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "_.:/@%?=+,[]-".contains(c);
            prop_assert!(!value.is_empty() && value.chars().all(is_plain), "{line}");
            if name.ends_with("_URL") {
                prop_assert!(is_of_this_machine(value), "{line}");
            } else {
                prop_assert!(value.parse::<u32>().is_ok(), "{line}");
            }
        }
    }
}
