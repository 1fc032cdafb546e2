//! Tests of `config::template`.

use proptest::prelude::*;
use url::Host;

use super::*;
use crate::ports::{Port, Slot};

fn services() -> Vec<Service> {
    let service = |(name, base): (&str, u64)| Service {
        name: ServiceName::new(name),
        base: Port::new(base).unwrap(),
    };
    [("web", 3000), ("api", 4000), ("redis-http", 8079)]
        .map(service)
        .to_vec()
}

fn parse(form: Form, text: &str) -> Result<Template, String> {
    Template::parse(text, form, &services())
}

/// The bundle of slot 7 with step 100.
fn bundle() -> Bundle {
    let ports = services().into_iter().map(|service| {
        let port = Port::new(u64::from(service.base.number()) + 700).unwrap();
        (service.name, port)
    });
    Bundle {
        slot: Some(Slot(7)),
        ports: ports.collect(),
    }
}

fn render(form: Form, text: &str) -> String {
    let template = parse(form, text).unwrap_or_else(|why| panic!("{text}: {why}"));
    let bundle = bundle();
    let values = Values {
        bundle: &bundle,
        label: "fix-favicon",
    };
    template.render(&values).unwrap()
}

#[test]
fn placeholders_are_replaced_by_the_worktrees_own() {
    let table = [
        (Form::Port, "{web}", "3700"),
        (Form::Ports, "{web},{api}", "3700,4700"),
        (Form::Url, "http://localhost:{web}", "http://localhost:3700"),
        (
            Form::Url,
            "jdbc:postgresql://localhost:{api}/shop_{slot}?user=u&schema={worktree}",
            "jdbc:postgresql://localhost:4700/shop_7?user=u&schema=fix-favicon",
        ),
        (
            Form::Url,
            "http://{worktree}.{slot}.localhost:{redis-http}/",
            "http://fix-favicon.7.localhost:8779/",
        ),
        (
            Form::Url,
            "postgres://u{slot}:p%40@[::1]:{api}",
            "postgres://u7:p%40@[::1]:4700",
        ),
        (
            Form::Urls,
            "http://localhost:{web},127.0.0.1:{api}",
            "http://localhost:3700,127.0.0.1:4700",
        ),
        (Form::Host, "{worktree}.localhost", "fix-favicon.localhost"),
        (Form::Host, "[::1]:{web}", "[::1]:3700"),
        (Form::Name, "shop-{slot}", "shop-7"),
        (Form::Name, "-{worktree}", "-fix-favicon"),
        (Form::Name, "{slot}00", "700"),
        (Form::Name, "{slot}{slot}_{worktree}", "77_fix-favicon"),
    ];
    for (form, template, value) in table {
        assert_eq!(render(form, template), value, "{template}");
    }
}

#[test]
fn a_template_whose_service_or_slot_is_unknown_renders_to_nothing() {
    let mut bundle = bundle();
    bundle.slot = None;
    bundle
        .ports
        .retain(|(service, _)| service.as_str() != "api");
    let values = Values {
        bundle: &bundle,
        label: "x",
    };
    let render = |form, text| parse(form, text).unwrap().render(&values);
    assert_eq!(render(Form::Ports, "{web},{api}"), None);
    assert_eq!(render(Form::Name, "a-{slot}"), None);
    assert_eq!(render(Form::Url, "http://localhost:{web}/{slot}"), None);
    assert_eq!(render(Form::Name, "a-{worktree}"), Some("a-x".to_owned()));
    assert_eq!(render(Form::Port, "{web}"), Some("3700".to_owned()));
}

/// Templates of URLs that can only name this machine.
pub const URLS_OF_THIS_MACHINE: &[&str] = &[
    "http://localhost:{web}",
    "https://localhost:{web}/",
    "http://127.0.0.1:{web}/a/b?c=d&e=f&",
    "http://[::1]:{web}?x=1",
    "http://a.localhost:{web}",
    "http://a-1.b_2.localhost:{web}/x.y+z%20[0]",
    "http://{worktree}-api.localhost:{web}",
    "http://{slot}{worktree}.localhost:{web}/{slot}?x={worktree}",
    "postgres://user:secret@localhost:{web}/db",
    "redis://:secret@localhost:{web}/0",
    "vscode-remote+ssh.x://localhost:{web}",
    "http://localhost:{web}//evil/?a=http://evil/",
    "http://localhost@localhost:{web}",
    "jdbc:mysql://localhost:{web}/shop",
    "http://localhost:{web}?hosts=a&ahost=b&host.=c&service_name=d",
    "http://localhost:{web}?a=host",
];

/// Templates that a reader may take to name another machine.
pub const OTHER_URLS: &[&str] = &[
    "jdbc:postgresql://localhost:{web}/db?PGHOST=evil.example",
    "mongodb://localhost:{web}/?a=1&proxyHost=evil.example",
    "mssql+pyodbc://localhost:{web}/?odbc_connect=x",
    "",
    "{web}",
    ":{web}",
    "localhost:{web}",
    "://localhost:{web}",
    "//localhost:{web}",
    "http:/localhost:{web}",
    "http:localhost:{web}",
    "1http://localhost:{web}",
    "http//localhost:{web}",
    "HTTP://localhost:{web}",
    "http://LOCALHOST:{web}",
    "http://localhost",
    "http://localhost:80",
    "http://localhost{web}",
    "http://localhost:8{web}",
    "http://localhost:{web}0",
    "http://localhost:{web}{slot}",
    "http://localhost:{slot}",
    "http://localhost:{worktree}",
    "http://localhost:{web",
    "http://localhost:web}",
    "http://localhost:{}",
    "http://localhost:{Web}",
    "http://localhost:{{web}}",
    "http://localhost:{web}/{web}",
    "http://localhost:{web}/{api}",
    "http://localhost:{web}/{",
    "http://localhost:{web}/}",
    "http://{web}.localhost:{web}",
    "http://{web}@localhost:{web}",
    "http://localhost:{web}x",
    "http://localhost:{web}#x",
    "http://localhost:{web}:80",
    "http://localhost:{web}@evil/",
    "http://localhost:{web}@evil:{web}/",
    "http://localhost:{web}.evil/",
    "http://localhost.evil:{web}",
    "http://{worktree}localhost:{web}",
    "http://{worktree}:{web}",
    "http://{worktree}.evil:{web}",
    "http://localhost.{worktree}:{web}",
    "http://127.0.0.{slot}:{web}",
    "http://evil:{web}",
    "http://evil:80/localhost:{web}",
    "http://localhost@evil:{web}",
    "http://a@b@localhost:{web}",
    "http://@localhost:{web}",
    "http://evil/@localhost:{web}",
    "http://evil?@localhost:{web}",
    "http://[evil]@localhost:{web}",
    "http://localhost.:{web}",
    "http://.localhost:{web}",
    "http://a..localhost:{web}",
    "http://alocalhost:{web}",
    "http://%6cocalhost:{web}",
    "http://evil%2f.localhost:{web}",
    "http://evil%00.localhost:{web}",
    "http://127.0.0.1.:{web}",
    "http://127.1:{web}",
    "http://[::1]x:{web}",
    "http://[::]:{web}",
    "http://[::1].localhost:{web}",
    "http://0.0.0.0:{web}",
    "http://localhost:{web}/\u{fc}",
    "http://\u{ff4c}ocalhost:{web}",
    "http://a\u{3002}localhost:{web}",
    "http://localhost:{web}/ ",
    " http://localhost:{web}",
    "http://localhost:{web}/\n",
    "http://localhost:{web}\r\nX: y",
    "http://localhost:{web}/\0",
    "http://localhost:{web}/\\",
    "http:\\\\evil\\@localhost:{web}",
    "http://localhost:{web}/'",
    "http://localhost:{web}/\"",
    "http://localhost:{web}/$x",
    "http://localhost:{web}/`x`",
    "http://localhost:{web}/;x",
    "http://localhost:{web}/,x",
    "postgres://localhost:{web},evil:{web}",
    "jdbc:jdbc:mysql://localhost:{web}",
    "jdbc:jdbc://localhost:{web}",
    "jdbc://localhost:{web}",
    "jdbc:localhost:{web}",
    "JDBC:mysql://localhost:{web}",
    "jdbc:mysql:replication://localhost:{web}",
    "view-source:http://localhost:{web}",
    "file://localhost:{web}/etc/passwd",
    "javascript://localhost:{web}/%0aalert",
    "data://localhost:{web}",
    "postgres://localhost:{web}/db?host=evil",
    "postgres://localhost:{web}/db?%68ost=evil",
    "postgres://localhost:{web}/db?ho%73%54=evil",
    "postgres://localhost:{web}/db?a=b&HOSTADDR=6.6.6.6",
    "postgres://localhost:{web}/db?host",
    "postgres://localhost:{web}?service=x",
    "postgres://localhost:{web}?a?host=evil",
    "postgres://localhost:{web}??host=evil",
    "postgres://localhost:{web}?&&Service%46ile=x",
    "postgres://localhost:{web}?passfile=x",
    "jdbc:postgresql://localhost:{web}/x?socketFactory=x",
    "jdbc:mysql://localhost:{web}/x?socksProxyHost=evil",
    "postgres://localhost:{web}?{worktree}=evil",
    "postgres://localhost:{web}?%6{slot}ost=evil",
    "postgres://localhost:{web}?@evil/db",
    "postgres://localhost:{web}/@evil/db",
    "postgres://u@localhost:{web}/@evil/db",
    "postgres://u:p@localhost:{web}/@evil/db",
    "http://localhost:{web}/@example.com:80/",
    "postgres://localhost:{web}/db?x=/@evil",
    "postgres://localhost:{web}?x=y@evil/db",
];

#[test]
fn a_urls_host_is_this_machine() {
    for template in URLS_OF_THIS_MACHINE {
        parse(Form::Url, template).unwrap_or_else(|why| panic!("{template}: {why}"));
        parse(Form::Urls, template).unwrap_or_else(|why| panic!("{template}: {why}"));
    }
    for template in OTHER_URLS {
        parse(Form::Url, template).expect_err(template);
    }
}

#[test]
fn a_value_has_the_form_that_its_name_gives_it() {
    let refused = [
        (Form::Port, "3000"),
        (Form::Port, "{slot}"),
        (Form::Port, "1{web}"),
        (Form::Port, "{web}{api}"),
        (Form::Port, "{web},{api}"),
        (Form::Port, " {web}"),
        (Form::Port, "localhost:{web}"),
        (Form::Ports, ""),
        (Form::Ports, "{web},"),
        (Form::Ports, "{web},{slot}"),
        (Form::Ports, "{web},3000"),
        (Form::Ports, "{web}, {api}"),
        (Form::Urls, "http://localhost:{web},"),
        (Form::Urls, ",http://localhost:{web}"),
        (Form::Urls, "http://localhost:{web},http://evil"),
        (Form::Urls, "http://localhost:{web},localhost"),
        (Form::Urls, "http://localhost:{web},evil:{api}"),
        (Form::Urls, "http://localhost:{web}/a,b"),
        (Form::Urls, "http://u,v@localhost:{web}"),
        (
            Form::Urls,
            "http://localhost:{web},http://localhost:{api}?host=evil",
        ),
        (Form::Urls, "localhost:{web}/x"),
        (Form::Urls, "localhost:{web}@evil"),
        (Form::Urls, "{worktree}.localhost"),
        (Form::Host, "localhost"),
        (Form::Host, "evil"),
        (Form::Host, "{worktree}"),
        (Form::Host, "{slot}.evil"),
        (Form::Host, "evil:{web}"),
        (Form::Host, "localhost:{web},localhost:{api}"),
        (Form::Host, "http://localhost:{web}"),
        (Form::Host, "u@localhost:{web}"),
        (Form::Host, "unix:/{worktree}.localhost"),
        (Form::Name, ""),
        (Form::Name, "shop"),
        (Form::Name, "shop-{web}"),
        (Form::Name, "{slot}.x"),
        (Form::Name, "/{slot}"),
        (Form::Name, "{slot} x"),
        (Form::Name, "{slot},x"),
        (Form::Name, "{slot}\n"),
        (Form::Name, "{slot}\u{fc}"),
        (Form::Name, "$(id){slot}"),
    ];
    for (form, template) in refused {
        parse(form, template).expect_err(template);
    }
}

#[test]
fn the_error_says_what_is_wrong_and_what_is_allowed() {
    let table = [
        (
            Form::Port,
            "{wbe}",
            "unknown placeholder `{wbe}`; did you mean `{web}`?",
        ),
        (
            Form::Port,
            "{nope}",
            "unknown placeholder `{nope}`; available: `{web}`, `{api}`, `{redis-http}`, `{slot}`, `{worktree}`",
        ),
        (Form::Port, "{web", "`{` has no `}`"),
        (
            Form::Name,
            "a\n{slot}",
            "`\\n` is not allowed; letters, digits and `_.:/@%?=&+[]-` are",
        ),
        (
            Form::Name,
            "shop",
            "it has no placeholder, so all worktrees would share it; use `{service}`, `{slot}` or `{worktree}`",
        ),
        (
            Form::Url,
            "http://localhost:{web}?Host=evil",
            "`host` is not allowed in a query, because it leads to another machine",
        ),
        (Form::Url, "http://evil:{web}", NO_OWN_HOST),
    ];
    for (form, template, why) in table {
        assert_eq!(parse(form, template).unwrap_err(), why);
    }
}

#[test]
fn percent_encoding_is_taken_off_once() {
    let table = [
        ("", ""),
        ("abc", "abc"),
        ("%68ost", "host"),
        ("%4A%4a", "JJ"),
        ("%2568", "%68"),
        ("%", "%"),
        ("%6", "%6"),
        ("%zz%68", "%zzh"),
        ("%%36", "%6"),
    ];
    for (text, decoded) in table {
        assert_eq!(percent_decoded(text), decoded);
    }
}

/// Whether the `url` crate, which reads URLs as browsers do, finds a port of the bundle at this
/// machine.
fn names_this_machine(url: &str) -> Result<(), String> {
    let url = url.strip_prefix("jdbc:").unwrap_or(url);
    let parsed = url::Url::parse(url).map_err(|error| format!("{url}: {error}"))?;
    let is_own_name = |name: &str| name == "localhost" || name.ends_with(".localhost");
    let is_own_host = match parsed.host() {
        Some(Host::Domain(name)) => is_own_name(name),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    let is_own_port = (bundle().ports.iter()).any(|(_, port)| parsed.port() == Some(port.number()));
    let is_redirected = parsed
        .query_pairs()
        .any(|(key, _)| REDIRECTING_KEYS.contains(&&*key.to_ascii_lowercase()));
    if is_own_host && is_own_port && !is_redirected && parsed.fragment().is_none() {
        Ok(())
    } else {
        Err(format!("{parsed:?}"))
    }
}

/// Where a reader may look that takes any `@` for the end of a user, as libpq, `SQLAlchemy` and those
/// that look for the last one do: the host and port behind each.
fn servers_behind_at(urls: &str) -> impl Iterator<Item = &str> {
    let behind = urls.split('@').skip(1);
    behind.filter_map(|text| text.split(['/', '?', ',']).next())
}

/// What a URL may be made of and what an attacker would try, in any order.
const PARTS: &str = "(http://|postgres://|jdbc:|:|/|//|@|\\.|\\[|\\]|\\?|&|=|%|%68|%6|,|\\\\|#|;|localhost|\\.localhost|127\\.0\\.0\\.1|\\[::1\\]|evil|\\.evil|host|ost|\\{web\\}|:\\{web\\}|\\{api\\}|\\{slot\\}|\\{worktree\\}|[a-zA-Z0-9_-])";

fn matching(regex: &str) -> impl Strategy<Value = String> + use<> {
    prop::string::string_regex(regex).unwrap()
}

fn labels() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9]{1,9}(-[a-z0-9]{1,9}){0,2}",
        Just("host".to_owned()),
        Just("service".to_owned())
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn any_url_that_is_allowed_names_a_port_of_this_machine_whatever_it_renders_to(
        template in prop_oneof![
            matching(&format!("{PARTS}{{0,12}}")),
            matching(&format!("(jdbc:)?(http|postgres)://{PARTS}{{0,3}}(localhost|\\[::1\\]):\\{{web\\}}{PARTS}{{0,8}}")),
            matching(&format!("http://(u@|[a-z%:.=&+]{{1,5}}@)?({PARTS}{{0,3}}\\.)?localhost:\\{{web\\}}([/?]{PARTS}{{0,6}})?")),
        ],
        label in labels(),
        slot in 0_u32..300,
    ) {
        let mut bundle = bundle();
        bundle.slot = Some(Slot(slot));
        let values = Values { bundle: &bundle, label: &label };
        let allowed = [Form::Url, Form::Urls].map(|form| parse(form, &template));
        for template in allowed.into_iter().flatten() {
            let value = template.render(&values).unwrap();
            for server in servers_behind_at(&value) {
                prop_assert_eq!(names_this_machine(&format!("http://{server}")), Ok(()), "{}", value);
            }
            for url in value.split(',') {
                let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
                prop_assert_eq!(names_this_machine(&url), Ok(()), "{}", value);
            }
        }
    }

    #[test]
    fn any_value_that_is_allowed_is_one_plain_word(
        template in prop_oneof![
            any::<String>(),
            matching(&format!("{PARTS}{{0,6}}")),
            "[a-z_-]{0,2}\\{(slot|worktree)\\}[a-z_-]{0,2}",
            "([a-z]\\.)?(\\{worktree\\}\\.)?(localhost|\\[::1\\])(:\\{web\\})?",
            "\\{(web|api)\\}(,\\{(web|api)\\}){0,2}",
        ],
        label in labels(),
    ) {
        let bundle = bundle();
        let values = Values { bundle: &bundle, label: &label };
        let is_ascii_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        for form in [Form::Port, Form::Ports, Form::Url, Form::Urls, Form::Host, Form::Name] {
            let Ok(template) = parse(form, &template) else { continue };
            let value = template.render(&values).unwrap();
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "_.:/@%?=&+[],-".contains(c);
            prop_assert!(!value.is_empty() && value.chars().all(is_plain), "{}", value);
            match form {
                Form::Port => prop_assert!(is_ascii_digits(&value), "{}", value),
                Form::Ports => prop_assert!(value.split(',').all(is_ascii_digits), "{}", value),
                Form::Name => prop_assert!(!value.contains(['.', ':', '/', '@', ',']), "{}", value),
                Form::Host => {
                    let host = url::Url::parse(&format!("http://{value}")).unwrap();
                    let host = host.host_str().unwrap().to_owned();
                    let is_own = ["localhost", "127.0.0.1", "[::1]"].contains(&&*host) || host.ends_with(".localhost");
                    prop_assert!(is_own, "{}", value);
                }
                Form::Url | Form::Urls => {}
            }
        }
    }
}
