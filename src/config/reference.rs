//! Random names and values: the program beside `tests/data/values.py`, which judges what they render
//! to, and beside others that read what is allowed: the `url` crate and a shell.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config as Cases, TestCaseError, TestRunner};

use super::*;

const SCRIPT: &str = r#"
import json, sys
sys.path.insert(0, sys.argv[1])
import values
for line in sys.stdin:
    name, value, main = json.loads(line)
    print("yes" if values.ok(name, value, main) else "no", flush=True)
"#;

struct Python {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Python {
    /// `None` if there is no Python 3.
    fn start() -> Option<Python> {
        let mut child = Command::new("python3")
            .args(["-B", "-c", SCRIPT])
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let (questions, answers) = (child.stdin.take()?, child.stdout.take()?);
        Some(Python {
            child,
            questions,
            answers: BufReader::new(answers),
        })
    }

    fn allows(&mut self, name: &str, value: &str, is_main: bool) -> bool {
        let question = serde_json::json!([name, value, is_main]);
        writeln!(self.questions, "{question}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        match answer.trim() {
            "yes" => true,
            "no" => false,
            other => panic!("{name}={value}: {other:?}"),
        }
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn services() -> Vec<Service> {
    let service = |(name, base)| Service {
        name: ServiceName::new(name),
        base: Port::new(base).unwrap(),
    };
    [("web", 3000), ("api", 4000)].map(service).to_vec()
}

/// What a setting renders to: with ports of four and of five digits, and a slot that is no port.
/// `None` if a placeholder is wrong.
fn renderings(setting: &str) -> Option<Vec<(String, bool)>> {
    let bundle = |slot, ports: [u64; 2]| Bundle {
        slot: Slot(slot),
        ports: services()
            .into_iter()
            .zip(ports)
            .map(|(service, port)| (service.name, Port::new(port).unwrap()))
            .collect(),
    };
    let mut texts = Vec::new();
    for (bundle, label, is_main) in [
        (bundle(0, [3000, 4000]), "main", true),
        (bundle(100_000, [63_000, 64_000]), "main", true),
        (bundle(1, [3100, 4100]), "fix-cart", false),
        (bundle(100_000, [63_100, 64_100]), "1-x9", false),
    ] {
        let values = Values {
            bundle: &bundle,
            label,
        };
        texts.push((placeholder::render(setting, &values).ok()?, is_main));
    }
    Some(texts)
}

/// Fails if the program and the reference disagree. What the reference allows in every rendering,
/// the program must allow.
fn compare(python: &mut Python, name: &str, text: &str) -> Result<bool, String> {
    // The reference looks at the end of these names and values alone.
    let upper = name.to_ascii_uppercase();
    let is_past_the_reference = upper.contains("PGHOST") && text.contains(".localhost")
        || upper.contains("PGHOST") && !upper.ends_with("PGHOST")
        || upper.contains("SUFFIX") && !upper.ends_with("SUFFIX");
    if is_past_the_reference {
        return Ok(false);
    }
    let Some(texts) = renderings(text) else {
        return Ok(false);
    };
    let config = serde_json::json!({"services": {"web": 3000, "api": 4000}, "env": {name: text}});
    let parsed = Config::parse(&config.to_string());
    let refused = texts
        .iter()
        .find(|(value, is_main)| !python.allows(name, value, *is_main));
    match (&parsed, refused) {
        (Ok(_), Some((value, _))) => Err(format!("the reference refuses {name}={value} of {text}")),
        (Err(why), None) => Err(format!("the reference allows {name}={text}: {why}")),
        _ => Ok(parsed.is_ok()),
    }
}

fn parts(parts: &'static [&'static str], at_most: usize) -> impl Strategy<Value = String> {
    prop::collection::vec(select(parts), 0..=at_most).prop_map(|parts| parts.concat())
}

fn names() -> impl Strategy<Value = String> {
    const WORDS: &[&str] = &[
        "A", "PORT", "PORTS", "PGPORT", "URL", "URLS", "DSN", "Origin", "CALLBACK", "RESULT",
        "BACKEND", "AWS", "ENDPOINT", "HOST", "hosts", "ADDR", "ADDRESS", "BROKER", "PGHOST",
        "VITE", "NEXT", "PUBLIC", "EXPO", "REACT", "APP", "NAME", "SUFFIX", "DB", "DATABASE", "ID",
        "BUCKET", "WORKTREE", "PGUSER", "COMPOSE", "PROJECT", "USER", "USERNAME", "POSTGRES",
        "REDIS", "PREFIX", "TABLE", "KEY", "INDEX", "SLOT", "OFFSET", "TEST", "HTTP", "S3", "UI",
        "DEV", "LOCAL", "GIT", "2", "1", "PORT2", "S32", "DB1", "TEST3", "", "PATH", "BASE", "X9",
    ];
    prop_oneof![
        8 => prop::collection::vec(select(WORDS), 1..5).prop_map(|words| words.join("_")),
        6 => select(&["APP_PORT", "APP_URL", "APP_HOST", "APP_NAME", "DB_SUFFIX", "APP_SLOT", "VITE_API", "DB", "PGHOST"][..])
            .prop_map(str::to_owned),
        1 => "[A-Za-z0-9_.-]{1,66}",
    ]
}

const SCHEMES: &[&str] = &[
    "http",
    "https",
    "ws",
    "wss",
    "postgres",
    "postgresql",
    "postgresql+asyncpg",
    "mysql+srv",
    "mongodb+srv",
    "mariadb",
    "mongodb",
    "redis",
    "rediss",
    "amqp",
    "amqps",
    "bolt",
    "smtp",
    "nats",
    "jdbc:postgresql",
    "jdbc:mysql",
    "jdbc:redis",
    "jdbc:h2",
    "file",
    "HTTP",
    "h{slot}",
    "sqlite",
    "postgres+x_y",
    "jdbc:postgresql+a",
];
const USERS: &[&str] = &[
    "",
    "u@",
    "u:p@",
    "u%40x:@",
    ":p@",
    "@",
    "-u@",
    "u@v@",
    "u:p:q@",
    "{worktree}@",
    "{-slot}u@",
    "u/@",
    "u_1.x+y-:%@",
];
const LOCAL: &[&str] = &[
    "localhost",
    "127.0.0.1",
    "[::1]",
    "::1",
    "{worktree}.localhost",
    "{worktree.}localhost",
    "a{.worktree}.localhost",
    "{web}.localhost",
    "{slot}.localhost",
    "a-.localhost",
    "-a.localhost",
    "a_b.localhost",
    ".localhost",
    "",
    "{_worktree}.localhost",
    "localhost{.worktree}",
    "0.0.0.0",
    "evil.example",
    "{worktree}",
    "LOCALHOST",
    "[::2]",
    "localhost.",
    "{worktree-}a.localhost",
    "{-worktree}.localhost",
];
const PORTS: &[&str] = &[
    "",
    ":{web}",
    ":3000",
    ":{slot}",
    ":0",
    ":65536",
    ":00080",
    ":{web}{api}",
    ":1{web}",
    ":{worktree}",
    ":",
    ":99999",
];
const PATHS: &[&str] = &[
    "",
    "/",
    "/x",
    "/shop{_worktree}",
    "/{slot}",
    "/a/b",
    "/%2F",
    "/%2f",
    "/a%2Fb",
    "/x-y_z",
    "/@a:b=c&d+e",
    "?x",
    "/?x=y",
    "/[a]",
    "/{web}",
    "//evil.example",
    "/x;y",
    "/x y",
];
const QUERIES: &[&str] = &[
    "",
    "?",
    "?ssl=",
    "?sslmode=disable",
    "?sslmode=disable&schema={worktree}",
    "?sslkey=x",
    "?schema=a/b",
    "?host=evil.example",
    "?w=1&w=2&db={slot}",
    "?{slot}=1",
    "?ssl",
    "?ssl=true&",
    "?SSL=true",
    "?schema=a=b",
    "?schema=%41",
];

fn urls() -> impl Strategy<Value = String> {
    (
        select(SCHEMES),
        select(USERS),
        select(LOCAL),
        select(PORTS),
        select(PATHS),
        select(QUERIES),
    )
        .prop_map(|(scheme, user, host, port, path, query)| {
            format!("{scheme}://{user}{host}{port}{path}{query}")
        })
}

/// Such URLs as are nearly always right, so that long ones are accepted too.
fn usual_urls() -> impl Strategy<Value = String> {
    let first = |parts: &'static [&'static str], n: usize| select(&parts[..n]);
    let web = (
        first(SCHEMES, 4),
        first(USERS, 5),
        first(LOCAL, 3),
        first(PORTS, 3),
        first(PATHS, 6),
    )
        .prop_map(|(scheme, user, host, port, path)| {
            format!("{scheme}://{user}{host}{port}{path}")
        });
    let database = (
        select(&SCHEMES[4..17]),
        first(USERS, 5),
        first(LOCAL, 3),
        first(PORTS, 3),
        first(PATHS, 5),
        first(QUERIES, 5),
    )
        .prop_map(|(scheme, user, host, port, path, query)| {
            format!("{scheme}://{user}{host}{port}{path}{query}")
        });
    prop_oneof![web, database]
}

fn texts() -> impl Strategy<Value = String> {
    let one = || {
        prop_oneof![
            2 => urls(),
            3 => usual_urls(),
            2 => (select(LOCAL), select(PORTS)).prop_map(|(host, port)| format!("{host}{port}")),
            1 => select(PORTS).prop_map(|port| port.trim_start_matches(':').to_owned()),
            2 => parts(&["shop", "-", "_", "{slot}", "{worktree}", "{-slot}", "{_worktree}", "{slot-}", "{worktree.}", "{web}", "1", "A", ".", " "], 4),
        ]
    };
    prop_oneof![
        4 => one(),
        1 => prop::collection::vec(one(), 2..4).prop_map(|items| items.join(",")),
        1 => (one(), parts(&["\n", "$", "`", "\u{fc}", "\0", "#", "'", "\"", "\\", "~", "*", "!", "^", "\u{ff0e}", ",", "@", "%", "{slot}"], 2), one())
            .prop_map(|(one, odd, other)| format!("{one}{odd}{other}")),
    ]
}

#[test]
fn the_program_and_the_reference_allow_the_same_values() {
    let Some(mut python) = Python::start() else {
        let _ = writeln!(std::io::stderr(), "skipped: there is no python3");
        return;
    };
    let mut runner = TestRunner::new(Cases {
        cases: 1000,
        failure_persistence: None,
        ..Cases::default()
    });
    let (mut compared, mut allowed) = (0, 0);
    let cell = std::cell::RefCell::new((&mut python, &mut compared, &mut allowed));
    runner
        .run(&(names(), texts()), |(name, text)| {
            let (python, compared, allowed) = &mut *cell.borrow_mut();
            let is_allowed = compare(python, &name, &text).map_err(TestCaseError::fail)?;
            **compared += 1;
            **allowed += u32::from(is_allowed);
            Ok(())
        })
        .unwrap();
    assert!(
        allowed > compared / 50,
        "{allowed} of {compared} are allowed, too few to compare"
    );
}

/// A web URL and one of a database, and in each every two parts replaced by all others.
#[test]
fn the_program_and_the_reference_allow_the_same_parts_of_urls() {
    let Some(mut python) = Python::start() else {
        return;
    };
    let choices = [SCHEMES, USERS, LOCAL, PORTS, PATHS, QUERIES];
    for base in [
        ["http", "", "localhost", ":{web}", "/x", ""],
        ["postgres", "u:p@", "localhost", ":{web}", "/x", "?ssl="],
    ] {
        for (i, j) in (0..6).flat_map(|j| (0..j).map(move |i| (i, j))) {
            for (one, other) in choices[i]
                .iter()
                .flat_map(|one| choices[j].iter().map(move |other| (one, other)))
            {
                let mut parts = base;
                (parts[i], parts[j]) = (one, other);
                let [scheme, user, host, port, path, query] = parts;
                let url = format!("{scheme}://{user}{host}{port}{path}{query}");
                compare(&mut python, "APP_URL", &url).unwrap();
            }
        }
    }
}

/// What a setting that the program allows renders to.
fn allowed(name: &str, text: &str) -> Option<Vec<String>> {
    let config = serde_json::json!({"services": {"web": 3000, "api": 4000}, "env": {name: text}});
    Config::parse(&config.to_string()).ok()?;
    let texts = renderings(text)?.into_iter();
    Some(texts.map(|(value, _)| value).collect())
}

/// Whether the `url` crate, which reads URLs as browsers do, finds this machine in `item`.
fn names_this_machine(item: &str) -> bool {
    let url = match item.strip_prefix("jdbc:").unwrap_or(item) {
        item if item.contains("://") => item.to_owned(),
        "::1" => "http://[::1]".to_owned(),
        item => format!(
            "http://{}",
            item.replace("::1:", "[::1]:").replace("[[::1]]", "[::1]")
        ),
    };
    let is_postgres = url.starts_with("postgres");
    let url = match url::Url::parse(&url) {
        Ok(url) => url,
        // `postgres://user@/name`
        Err(url::ParseError::EmptyHost) => return is_postgres,
        // An invalid `xn--` label names nothing at all.
        Err(_) => return url.contains("xn--"),
    };
    match url.host() {
        // Of other schemes than the web's, the host is text.
        Some(url::Host::Domain(name)) => {
            ["localhost", "127.0.0.1"].contains(&name) || name.ends_with(".localhost")
        }
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        // `postgres:///name`
        None => is_postgres,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn every_url_and_host_that_is_allowed_is_of_this_machine(text in texts()) {
        for name in ["APP_URL", "APP_HOST", "PGHOST"] {
            for value in allowed(name, &text).into_iter().flatten() {
                prop_assert!(value.split(',').all(names_this_machine), "{} {}", name, value);
            }
        }
    }

    #[test]
    fn every_value_that_is_allowed_is_one_plain_word(name in names(), text in texts()) {
        for value in allowed(&name, &text).into_iter().flatten() {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "_.:/@%?=&+[],-".contains(c);
            prop_assert!(value.chars().all(is_plain), "{}", value);
            prop_assert!(!value.starts_with('-') || name.to_uppercase().contains("SUFFIX"));
        }
        for value in allowed("APP_NAME", &text).into_iter().flatten() {
            let is_in_name = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
            prop_assert!(value.chars().all(is_in_name), "{}", value);
        }
    }
}

/// Reads a name and a line in turn, evaluates the line, and prints the variable.
#[cfg(unix)]
const SHELL: &str = r#"
while IFS= read -r name && IFS= read -r line; do
    set -a; eval "$line"; set +a
    printenv "$name"
done"#;

#[cfg(unix)]
#[test]
fn a_shell_gets_every_value_that_is_allowed_as_it_is() {
    let mut runner = TestRunner::deterministic();
    let mut lines = String::new();
    let mut expected = String::new();
    for _ in 0..1000 {
        let text = texts().new_tree(&mut runner).unwrap().current();
        for name in ["APP_URL", "APP_HOST", "APP_NAME", "APP_PORT"] {
            for value in allowed(name, &text).into_iter().flatten() {
                lines.extend([name, "\n", &assignment(name, &value), "\n"]);
                expected.extend([&*value, "\n"]);
            }
        }
    }
    assert!(
        expected.contains('&') && expected.contains('?'),
        "{expected}"
    );
    let mut child = Command::new("sh")
        .args(["-euc", SHELL])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
}
