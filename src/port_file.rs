//! `.worktree-ports.json`: read whatever lies there, write atomically.

use std::borrow::Cow;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use serde::de::IgnoredAny;
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::bundle::{Bundle, Port, Slot};
use crate::error::{Error, Result, quoted};
use crate::lock::Held;
use crate::members::{Members, Text};
use crate::plain_file::{self, PlainFile};

/// The port file's name, at a worktree's root.
pub const NAME: &str = ".worktree-ports.json";

/// The name under which a port file is written before it is renamed to [`NAME`].
pub const TEMPORARY_NAME: &str = ".worktree-ports.json.tmp";

/// How much of a port file is read, in bytes.
const LIMIT: usize = 256 * 1024;

/// Reads what lies at the port file's path in the worktree at `root`.
///
/// # Errors
/// A shortage of our own (see [`plain_file::read`]).
pub fn read(root: &Path) -> Result<PlainFile> {
    let path = plain_file::path_in(root, NAME);
    plain_file::read(&path, LIMIT).map_err(|error| Error::at("read", &path, error))
}

/// Whose file it is, seen from one worktree.
#[derive(Debug, PartialEq, Eq)]
pub enum State {
    /// This worktree's own.
    Ok(Own),
    /// There is none.
    Missing,
    /// Of our shape, with another worktree's id.
    Copied,
    /// Not JSON, not a regular file, or of our shape with impossible values.
    Damaged,
    /// JSON of another shape: another tool's.
    Foreign,
}

/// A worktree's own port file.
#[derive(Debug, PartialEq, Eq)]
pub struct Own {
    /// The ports, and the slot where the file names one.
    pub bundle: Bundle,
    /// The URLs that were rendered into it: never used, only compared.
    pub urls: Vec<(String, String)>,
}

/// Tells whose file `found` is, seen from the worktree named `id` (`None`: the main worktree).
pub fn state(found: &PlainFile, id: Option<&str>) -> State {
    let bytes = match found {
        PlainFile::Missing => return State::Missing,
        PlainFile::Read {
            bytes,
            truncated: false,
        } => bytes,
        _ => return State::Damaged,
    };
    match Document::parse(bytes) {
        Document::NotJson => State::Damaged,
        Document::OtherJson => State::Foreign,
        Document::Object(members) => state_of_object(&members, id),
    }
}

fn state_of_object(members: &Members<'_>, id: Option<&str>) -> State {
    let (Some(worktree), Some(ports)) = (members.get("worktree"), members.get("ports")) else {
        return State::Foreign;
    };
    let (Some(worktree), Some(ports)) = (parse_id(worktree), parse_ports(ports)) else {
        return State::Damaged;
    };
    let slot = members.get("slot").map(parse_slot);
    if ports.is_empty() || slot == Some(None) || members.repeated().is_some() {
        State::Damaged
    } else if worktree.as_deref() == id {
        let ports = ports.into_iter();
        let urls = members.0.iter().filter(|(key, _)| is_url_key(key));
        State::Ok(Own {
            bundle: Bundle {
                slot: slot.flatten().flatten(),
                ports: ports
                    .map(|(service, port)| (service.into_owned(), port))
                    .collect(),
            },
            urls: urls
                .filter_map(|(key, url)| {
                    Some((key.to_string(), parse_string(url.get())?.into_owned()))
                })
                .collect(),
        })
    } else {
        State::Copied
    }
}

/// The ports that a port file reserves, and what is to be said of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reserved {
    /// In no order; a port can stand twice.
    pub ports: Vec<Port>,
    /// Why there may be more of them.
    pub doubt: Option<String>,
}

/// The ports that `found` reserves: those of a file of exactly our shape; of anything else that
/// can be read, every number that could be a port.
pub fn reserved(found: &PlainFile) -> Reserved {
    let doubt = |doubt: String| Reserved {
        ports: Vec::new(),
        doubt: Some(doubt),
    };
    match found {
        PlainFile::Missing => Reserved::default(),
        PlainFile::NotRegular(kind) => doubt(format!("is {kind}, so its ports are unknown")),
        PlainFile::Unreadable(error) => doubt(format!(
            "cannot be read ({error}), so its ports are unknown"
        )),
        PlainFile::Read { bytes, .. } if bytes.iter().all(|&byte| byte == 0) => {
            doubt("is empty, so its ports are unknown".to_owned())
        }
        PlainFile::Read {
            bytes,
            truncated: true,
        } => Reserved {
            ports: numbers(bytes),
            doubt: Some(format!(
                "is larger than {} KiB: only the ports named up to there count",
                LIMIT / 1024
            )),
        },
        PlainFile::Read { bytes, .. } => reserved_by_text(bytes),
    }
}

fn reserved_by_text(bytes: &[u8]) -> Reserved {
    let document = Document::parse(bytes);
    if let Document::Object(members) = &document
        && let Some(ports) = exact_shape(members)
    {
        return Reserved { ports, doubt: None };
    }
    Reserved {
        ports: numbers(bytes),
        doubt: matches!(document, Document::NotJson)
            .then(|| "is not JSON: every number in it that could be a port counts".to_owned()),
    }
}

/// A text, as far as JSON goes.
enum Document<'a> {
    Object(Members<'a>),
    OtherJson,
    NotJson,
}

impl<'a> Document<'a> {
    fn parse(bytes: &'a [u8]) -> Document<'a> {
        let Ok(text) = str::from_utf8(bytes) else {
            return Document::NotJson;
        };
        if let Ok(members) = serde_json::from_str(text) {
            return Document::Object(members);
        }
        match serde_json::from_str::<IgnoredAny>(text) {
            Ok(_) => Document::OtherJson,
            Err(_) => Document::NotJson,
        }
    }
}

/// The ports of a file of exactly our shape: our keys and no others, possible values, at least one
/// port, no key twice.
fn exact_shape(members: &Members<'_>) -> Option<Vec<Port>> {
    let ours = members.0.iter().all(|(key, value)| match &**key {
        "worktree" => parse_id(value.get()).is_some(),
        "slot" => parse_slot(value.get()).is_some(),
        "ports" => true,
        key => is_url_key(key) && parse_string(value.get()).is_some(),
    });
    if !ours || members.repeated().is_some() {
        return None;
    }
    members.get("worktree")?;
    members.get("slot")?;
    let ports = parse_ports(members.get("ports")?).filter(|ports| !ports.is_empty())?;
    Some(ports.into_iter().map(|(_, port)| port).collect())
}

fn is_url_key(key: &str) -> bool {
    key.ends_with("_url")
}

fn parse_string(json: &str) -> Option<Cow<'_, str>> {
    let Text(string) = serde_json::from_str(json).ok()?;
    Some(string)
}

#[expect(clippy::option_option, reason = "`null` is the main worktree's id")]
fn parse_id(json: &str) -> Option<Option<Cow<'_, str>>> {
    let id: Option<Text<'_>> = serde_json::from_str(json).ok()?;
    Some(id.map(|Text(id)| id))
}

/// `null` is what we write where a file made by hand names no slot.
#[expect(
    clippy::option_option,
    reason = "`null` is no slot, and a possible value"
)]
fn parse_slot(json: &str) -> Option<Option<Slot>> {
    let slot: Option<u32> = serde_json::from_str(json).ok()?;
    Some(slot.map(Slot))
}

/// `None` where it is no object, has a key twice, or a value that is no port.
fn parse_ports(json: &str) -> Option<Vec<(Cow<'_, str>, Port)>> {
    let members: Members<'_> = serde_json::from_str(json).ok()?;
    if members.repeated().is_some() {
        return None;
    }
    let port = |value: &str| Port::new(serde_json::from_str(value).ok()?);
    let ports = members.0.into_iter();
    ports
        .map(|(service, value)| Some((service, port(value.get())?)))
        .collect()
}

/// Every run of four or five digits from 1024 to 65535, wherever it stands. Text that its byte
/// order mark says is UTF-16 is read as that.
fn numbers(bytes: &[u8]) -> Vec<Port> {
    match bytes {
        [0xff, 0xfe, text @ ..] => runs(text.chunks(2).map(|unit| match unit {
            [digit, 0] => *digit,
            _ => b' ',
        })),
        [0xfe, 0xff, text @ ..] => runs(text.chunks(2).map(|unit| match unit {
            [0, digit] => *digit,
            _ => b' ',
        })),
        _ => runs(bytes.iter().copied()),
    }
}

fn runs(bytes: impl Iterator<Item = u8>) -> Vec<Port> {
    let mut ports = Vec::new();
    let (mut number, mut length) = (0_u64, 0_u32);
    for byte in bytes.chain([b' ']) {
        if byte.is_ascii_digit() {
            number = number
                .saturating_mul(10)
                .saturating_add(u64::from(byte - b'0'));
            length = length.saturating_add(1);
        } else {
            if matches!(length, 4 | 5) {
                ports.extend(Port::new(number));
            }
            (number, length) = (0, 0);
        }
    }
    ports
}

/// A port file's content, as it is serialized: `worktree`, `slot`, `ports`, then the URLs.
pub struct Content<'a> {
    /// The worktree id; `None` in the main worktree.
    pub worktree: Option<&'a str>,
    /// The slot and the ports.
    pub bundle: &'a Bundle,
    /// URL name and URL, ports filled in.
    pub urls: &'a [(String, String)],
}

impl Serialize for Content<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("worktree", &self.worktree)?;
        map.serialize_entry("slot", &self.bundle.slot.map(|slot| slot.0))?;
        map.serialize_entry("ports", &Ports(&self.bundle.ports))?;
        for (name, url) in self.urls {
            map.serialize_entry(name, url)?;
        }
        map.end()
    }
}

/// A bundle's ports as a JSON object, in their order.
pub struct Ports<'a>(pub &'a [(String, Port)]);

impl Serialize for Ports<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ports = self.0.iter();
        serializer.collect_map(ports.map(|(service, port)| (service, port.number())))
    }
}

/// Writes the port file of the worktree at `root`: a new file, renamed over the old one, so that a
/// reader meets the old content or the new, and a kill leaves one of them whole.
///
/// Only the holder of the lock writes, so whatever has the temporary name was left by a kill.
pub fn write(_held: &Held, root: &Path, content: &Content<'_>) -> Result<()> {
    let path = root.join(NAME);
    let could_not = |error: io::Error| Error::at("write", &path, error);

    let mut text = serde_json::to_vec_pretty(content).map_err(|error| could_not(error.into()))?;
    text.push(b'\n');

    let temporary = root.join(TEMPORARY_NAME);
    // On a read-only file system, removing what is not there fails too.
    if let Err(error) = fs::remove_file(&temporary)
        && fs::symlink_metadata(&temporary).is_ok()
    {
        return Err(
            Error::at("remove what an earlier run left at", &temporary, error)
                .remedy(format!("remove {} by hand", quoted(&temporary))),
        );
    }
    let mut file = temporary_file(root).map_err(could_not)?;
    file.write_all(&text).map_err(could_not)?;

    // A container engine makes an empty directory of a path that it is to mount and that is not
    // there. A file cannot be renamed over it; what is in a full one is not ours to remove.
    if fs::symlink_metadata(&path).is_ok_and(|there| there.is_dir()) {
        fs::remove_dir(&path).map_err(could_not)?;
    }
    file.persist(&path)
        .map_err(|error| could_not(error.error))?;
    Ok(())
}

/// Makes [`TEMPORARY_NAME`] with the mode that any new file gets; it is removed when dropped.
fn temporary_file(root: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY_NAME).rand_bytes(0);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(root)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(content: impl Into<Vec<u8>>) -> PlainFile {
        PlainFile::Read {
            bytes: content.into(),
            truncated: false,
        }
    }

    fn cut(content: &str) -> PlainFile {
        PlainFile::Read {
            bytes: content.into(),
            truncated: true,
        }
    }

    fn port(number: u16) -> Port {
        Port::new(u64::from(number)).unwrap()
    }

    fn bundle(slot: u32, ports: &[(&str, u16)]) -> Bundle {
        Bundle {
            slot: Some(Slot(slot)),
            ports: ports
                .iter()
                .map(|(name, number)| ((*name).to_owned(), port(*number)))
                .collect(),
        }
    }

    fn ports(found: &PlainFile) -> Vec<u16> {
        reserved(found)
            .ports
            .into_iter()
            .map(Port::number)
            .collect()
    }

    fn word(state: &State) -> &'static str {
        match state {
            State::Ok(_) => "ok",
            State::Missing => "missing",
            State::Copied => "copied",
            State::Damaged => "damaged",
            State::Foreign => "foreign",
        }
    }

    #[test]
    fn whose_file_it_is_follows_from_its_content() {
        // The content, what it is to the worktree `a`, and what it is to the main worktree.
        let table = [
            (
                "{\"worktree\": \"a\", \"slot\": 1, \"ports\": {\"x\": 8100}}",
                "ok",
                "copied",
            ),
            (
                "{\"worktree\": null, \"slot\": 1, \"ports\": {\"x\": 8100}}",
                "copied",
                "ok",
            ),
            (
                "{\"worktree\": \"b\", \"slot\": 1, \"ports\": {\"x\": 8100}}",
                "copied",
                "copied",
            ),
            (
                "{\"worktree\": \"null\", \"ports\": {\"x\": 8100}}",
                "copied",
                "copied",
            ),
            (
                "{\"ports\": {\"x\": 1024, \"y\": 65535}, \"worktree\": \"a\", \"z\": []}",
                "ok",
                "copied",
            ),
            (
                "{\"worktree\": \"a\", \"slot\": 1, \"ports\": {\"x\": 1023}}",
                "damaged",
                "damaged",
            ),
            (
                "{\"worktree\": \"b\", \"slot\": 1, \"ports\": {}}",
                "damaged",
                "damaged",
            ),
            (
                "{\"worktree\": \"b\", \"slot\": -1, \"ports\": {\"x\": 8100}}",
                "damaged",
                "damaged",
            ),
            (
                "{\"worktree\": \"a\", \"ports\": {\"x\": 8100}, \"y\": 1, \"y\": 2}",
                "damaged",
                "damaged",
            ),
            ("{\"worktree\": \"a\"}", "foreign", "foreign"),
            ("{\"ports\": {\"x\": 8100}}", "foreign", "foreign"),
            ("\"worktree ports\"", "foreign", "foreign"),
            ("", "damaged", "damaged"),
            ("{", "damaged", "damaged"),
        ];
        for (content, to_a, to_main) in table {
            let words = (
                word(&state(&file(content), Some("a"))),
                word(&state(&file(content), None)),
            );
            assert_eq!(words, (to_a, to_main), "{content}");
        }
    }

    #[test]
    fn whose_file_it_is_follows_from_what_lies_there() {
        let own = "{\"worktree\": \"a\", \"slot\": 1, \"ports\": {\"x\": 8100}}";
        let denied = || io::Error::from(io::ErrorKind::PermissionDenied);
        let table = [
            (PlainFile::Missing, "missing"),
            (PlainFile::NotRegular("a FIFO"), "damaged"),
            (PlainFile::Unreadable(denied()), "damaged"),
            (cut(own), "damaged"),
            (file(own), "ok"),
        ];
        for (found, expected) in table {
            assert_eq!(word(&state(&found, Some("a"))), expected);
        }
    }

    #[test]
    fn what_is_read_back_is_the_slot_the_ports_and_the_urls_to_compare() {
        let content = "{\"worktree\": \"a\", \"slot\": 2, \"ports\": {\"y\": 9200, \"x\": 8200}, \
                       \"b_url\": \"http://b\", \"a_url\": \"http://a\", \"c_url\": 1, \"note\": \"n\"}";
        let State::Ok(own) = state(&file(content), Some("a")) else {
            panic!("it is its own");
        };
        assert_eq!(own.bundle, bundle(2, &[("y", 9200), ("x", 8200)]));
        let urls = [("b_url", "http://b"), ("a_url", "http://a")];
        assert_eq!(
            own.urls,
            urls.map(|(name, url)| (name.to_owned(), url.to_owned()))
        );
    }

    #[test]
    fn of_our_exact_shape_the_ports_are_reserved_and_of_all_else_every_number() {
        let table: [(&str, &[u16]); 18] = [
            (
                "{\"worktree\": \"8100\", \"slot\": 8200, \"ports\": {\"x8300\": 8400}, \"a_url\": \":8500\"}",
                &[8400],
            ),
            (
                "{\"worktree\": null, \"slot\": null, \"ports\": {\"x\": 8100}}",
                &[8100],
            ),
            (
                "{\"worktree\": \"8100\", \"slot\": 1, \"ports\": {\"x\": 8200}, \"note\": 8300}",
                &[8100, 8200, 8300],
            ),
            (
                "{\"worktree\": \"8100\", \"ports\": {\"x\": 8200}}",
                &[8100, 8200],
            ),
            (
                "{\"worktree\": \"8100\", \"slot\": 1, \"ports\": {}}",
                &[8100],
            ),
            (
                "{\"worktree\": \"8100\", \"slot\": 1, \"ports\": {\"x\": 1}}",
                &[8100],
            ),
            (
                "{\"a\": \"http://localhost:8100/8200?8300\"}",
                &[8100, 8200, 8300],
            ),
            ("8100", &[8100]),
            ("[1023, 1024, 65535, 65536]", &[1024, 65535]),
            ("999 10000 99999 100000", &[10000]),
            ("01023 01024 008100 123456789", &[1024]),
            ("8100.8200e8300-8400", &[8100, 8200, 8300, 8400]),
            ("a8100b_8200", &[8100, 8200]),
            ("81 00", &[]),
            ("\u{0668}\u{0661}\u{0660}\u{0660}", &[]),
            ("8100", &[8100]),
            ("\n8100\n", &[8100]),
            ("18446744073709559716", &[]),
        ];
        for (content, expected) in table {
            assert_eq!(ports(&file(content)), expected, "{content}");
        }
    }

    #[test]
    fn what_is_said_of_a_file_follows_from_what_lies_there() {
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        let table = [
            (PlainFile::Missing, None),
            (file("{\"a\": 1}"), None),
            (file("[1]"), None),
            (file(""), Some("is empty")),
            (file("\0\0"), Some("is empty")),
            (file("{"), Some("is not JSON")),
            (file(b"\xff".as_slice()), Some("is not JSON")),
            (cut("{}"), Some("is larger than 256 KiB")),
            (PlainFile::NotRegular("a socket"), Some("is a socket")),
            (
                PlainFile::Unreadable(denied),
                Some("cannot be read (permission denied)"),
            ),
        ];
        for (found, part) in table {
            let doubt = reserved(&found).doubt;
            assert_eq!(doubt.is_some(), part.is_some(), "{doubt:?}");
            assert!(doubt.unwrap_or_default().contains(part.unwrap_or_default()));
        }
        assert_eq!(ports(&cut("{\"a\": 8100, \"b\": ")), [8100]);
    }

    #[test]
    fn utf_16_is_read_by_its_byte_order_mark() {
        let text = "\u{feff}{\"a\": 8100, \"b\": \"\u{3880}8200\u{1f980}\"}";
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        for content in [little, big] {
            assert_eq!(ports(&file(content.clone())), [8100, 8200]);
            // Torn in the middle of a unit.
            let torn = &content[..content.len() - 1];
            assert_eq!(ports(&file(torn)), [8100, 8200]);
            // Without its mark nothing tells that it is text.
            assert_eq!(ports(&file(&content[2..])), [] as [u16; 0]);
        }
    }

    #[test]
    fn what_is_written_is_the_contracts_text() {
        let urls = [("cloud_url".to_owned(), "http://127.0.0.1:8100".to_owned())];
        let content = Content {
            worktree: Some("fix-favicon"),
            bundle: &bundle(1, &[("cloud", 8100)]),
            urls: &urls,
        };
        assert_eq!(
            serde_json::to_string_pretty(&content).unwrap(),
            "{\n  \"worktree\": \"fix-favicon\",\n  \"slot\": 1,\n  \"ports\": {\n    \"cloud\": 8100\n  },\n  \
             \"cloud_url\": \"http://127.0.0.1:8100\"\n}"
        );
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read_back_and_reserves_its_ports(
            id in prop::option::of(any::<String>()),
            slot in 0_u32..1000,
            numbers in prop::collection::vec(1024_u16..=65_535, 1..64),
            url in any::<String>(),
        ) {
            let names: Vec<String> = (0..numbers.len()).map(|i| format!("s{i}")).collect();
            let named: Vec<(&str, u16)> =
                names.iter().map(String::as_str).zip(numbers.iter().copied()).collect();
            let bundle = bundle(slot, &named);
            let urls = [("a_url".to_owned(), url)];
            let content = Content { worktree: id.as_deref(), bundle: &bundle, urls: &urls };
            let found = file(serde_json::to_vec_pretty(&content).unwrap());
            prop_assert_eq!(ports(&found), numbers);
            prop_assert_eq!(reserved(&found).doubt, None);
            let own = Own { bundle, urls: urls.into() };
            prop_assert_eq!(state(&found, id.as_deref()), State::Ok(own));
        }

        #[test]
        fn no_port_that_any_bytes_name_is_left_out(
            before in any::<Vec<u8>>(),
            number in 1024_u16..=65_535,
            after in any::<Vec<u8>>(),
        ) {
            // Neither a longer number nor a byte order mark.
            let content = [b"\"", &before[..], b" ", number.to_string().as_bytes(), b" ", &after].concat();
            prop_assert!(ports(&file(content)).contains(&number));
        }

        #[test]
        fn a_file_torn_anywhere_reserves_every_port_that_is_whole_in_it(
            numbers in prop::collection::vec(1024_u16..=65_535, 1..64),
            at in any::<prop::sample::Index>(),
        ) {
            let names: Vec<String> = (0..numbers.len()).map(|i| format!("s{i}")).collect();
            let named: Vec<(&str, u16)> =
                names.iter().map(String::as_str).zip(numbers.iter().copied()).collect();
            let bundle = bundle(1, &named);
            let content = Content { worktree: Some("a"), bundle: &bundle, urls: &[] };
            let text = serde_json::to_string_pretty(&content).unwrap();
            let torn = &text[..at.index(text.len())];
            let found = ports(&file(torn));
            for (name, number) in &named {
                if torn.contains(&format!("\"{name}\": {number},")) {
                    prop_assert!(found.contains(number), "{torn}");
                }
            }
            prop_assert_eq!(word(&state(&file(torn), Some("a"))), "damaged");
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(content in any::<Vec<u8>>(), truncated in any::<bool>()) {
            let found = PlainFile::Read { bytes: content, truncated };
            let _ = (state(&found, Some("a")), state(&found, None));
            let _ = reserved(&found);
        }
    }
}

#[cfg(test)]
mod fuzz {
    //! Whatever lies there is read without a panic, and no number in it that could be a port is
    //! handed out.

    use std::collections::BTreeSet;

    use super::*;

    /// Pieces of port files, so that many inputs are nearly right.
    const PIECES: [&str; 28] = [
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"worktree\"",
        "\"slot\"",
        "\"ports\"",
        "\"cloud\"",
        "\"api\"",
        "\"cloud_url\"",
        "null",
        "\"a\"",
        "\"b\"",
        "1",
        "8100",
        "8200",
        "1023",
        "65535",
        "65536",
        "081000",
        "\"x8300y\"",
        "-8100",
        "8100.0",
        "\u{feff}",
        " ",
        "\\",
    ];

    fn check(bytes: &[u8]) {
        let found = PlainFile::Read {
            bytes: bytes.to_owned(),
            truncated: false,
        };
        let reserved: BTreeSet<u16> = reserved(&found)
            .ports
            .iter()
            .map(|port| port.number())
            .collect();
        let is_utf16 = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
        let every_number = bytes
            .split(|byte| !byte.is_ascii_digit())
            .filter(|run| matches!(run.len(), 4 | 5))
            .filter_map(|run| str::from_utf8(run).ok()?.parse::<u16>().ok())
            .filter(|number| *number >= 1024)
            .collect::<BTreeSet<u16>>();
        let is_ours = matches!(Document::parse(bytes), Document::Object(members) if exact_shape(&members).is_some());
        if is_ours {
            assert!(reserved.is_subset(&every_number));
        } else if !is_utf16 {
            assert_eq!(reserved, every_number);
        }
        for id in [None, Some("a")] {
            if let State::Ok(own) = state(&found, id) {
                assert!(!own.bundle.ports.is_empty());
                assert!(
                    own.bundle
                        .ports
                        .iter()
                        .all(|(_, port)| reserved.contains(&port.number()))
                );
            }
        }
    }

    #[test]
    fn every_number_in_any_bytes_that_could_be_a_port_is_reserved() {
        bolero::check!().for_each(check);
    }

    #[test]
    fn every_number_in_what_is_nearly_a_port_file_is_reserved() {
        bolero::check!().with_type::<Vec<u8>>().for_each(|choices| {
            let pieces = choices
                .iter()
                .map(|choice| PIECES[usize::from(*choice) % PIECES.len()]);
            check(pieces.collect::<String>().as_bytes());
        });
    }

    #[test]
    fn what_is_written_is_read_back_as_it_was() {
        type Input = (Option<String>, u32, Vec<u16>, Vec<String>);
        bolero::check!()
            .with_type::<Input>()
            .for_each(|(id, slot, ports, urls)| {
                let ports = ports.iter().filter_map(|port| Port::new((*port).into()));
                let ports = ports.enumerate().map(|(i, port)| (format!("s{i}"), port));
                let bundle = Bundle {
                    slot: Some(Slot(*slot)),
                    ports: ports.collect(),
                };
                let urls = urls.iter().enumerate();
                let urls: Vec<(String, String)> = urls
                    .map(|(i, url)| (format!("u{i}_url"), url.clone()))
                    .collect();
                let content = Content {
                    worktree: id.as_deref(),
                    bundle: &bundle,
                    urls: &urls,
                };
                let found = PlainFile::Read {
                    bytes: serde_json::to_vec_pretty(&content).unwrap(),
                    truncated: false,
                };
                let ports: Vec<Port> = bundle.ports.iter().map(|(_, port)| *port).collect();
                assert_eq!(reserved(&found), Reserved { ports, doubt: None });
                if bundle.ports.is_empty() {
                    assert_eq!(state(&found, id.as_deref()), State::Damaged);
                } else {
                    assert_eq!(
                        state(&found, id.as_deref()),
                        State::Ok(Own { bundle, urls })
                    );
                }
            });
    }
}
