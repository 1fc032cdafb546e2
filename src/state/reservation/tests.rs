//! Tests of `reservation`, and of whose file it is.

use std::io;

use proptest::prelude::*;

use super::*;
use crate::ports::fixture::bundle;
use crate::state::port_file::FileState;

fn file(content: impl Into<Vec<u8>>) -> PlainFile {
    PlainFile::Read(content.into())
}

fn cut(content: &str) -> PlainFile {
    PlainFile::TooLarge(content.into())
}

fn claims(found: &PlainFile) -> Claims {
    Claims::of(found, Some("a"), FileKind::PortFile)
}

fn ports(found: &PlainFile) -> Vec<u16> {
    claims(found).ports.into_iter().map(Port::number).collect()
}

/// The state of a file that was found in the worktree `a`, in one word.
fn word(found: PlainFile) -> &'static str {
    FileState::of(found, Some("a")).word()
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
            "{\"worktree\": \"null\", \"slot\": 1, \"ports\": {\"x\": 8100}}",
            "copied",
            "copied",
        ),
        (
            "{\"ports\": {\"x\": 1024, \"y\": 65535}, \"slot\": 0, \"worktree\": \"a\", \"z\": []}",
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
            "{\"worktree\": \"a\", \"slot\": 1, \"ports\": {\"x\": 8100}, \"y\": 1, \"y\": 2}",
            "damaged",
            "damaged",
        ),
        (
            "{\"worktree\": \"a\", \"ports\": {\"x\": 8100}, \"slot\": 1, \"slot\": 2}",
            "damaged",
            "damaged",
        ),
        (
            "\u{feff}{\"worktree\": \"a\", \"slot\": 1, \"ports\": {\"x\": 8100}}\r\n",
            "ok",
            "copied",
        ),
        (
            "{\"worktree\": \"a\", \"slot\": null, \"ports\": {\"x\": 8100}}",
            "damaged",
            "damaged",
        ),
        (
            "{\"worktree\": \"a\", \"slot\": 1, \"ports\": [8100]}",
            "damaged",
            "damaged",
        ),
        (
            "{\"worktree\": \"a\", \"ports\": {\"x\": 8100}}",
            "foreign",
            "foreign",
        ),
        ("{\"worktree\": \"a\", \"slot\": 1}", "foreign", "foreign"),
        (
            "{\"slot\": 1, \"ports\": {\"x\": 8100}}",
            "foreign",
            "foreign",
        ),
        ("\"worktree ports\"", "foreign", "foreign"),
        ("", "damaged", "damaged"),
        ("{", "damaged", "damaged"),
    ];
    for (content, to_a, to_main) in table {
        let words = (
            word(file(content)),
            FileState::of(file(content), None).word(),
        );
        assert_eq!(words, (to_a, to_main), "{content}");
    }
}

#[test]
fn whose_file_it_is_follows_from_what_is_there() {
    let own = "{\"worktree\": \"a\", \"slot\": 1, \"ports\": {\"x\": 8100}}";
    let denied = || io::Error::from(io::ErrorKind::PermissionDenied);
    let table = [
        (PlainFile::Missing, "none"),
        (PlainFile::NotRegular("a FIFO"), "damaged"),
        (PlainFile::Unreadable(denied()), "unreadable"),
        // We write nothing so large.
        (cut(own), "foreign"),
        (file(own), "ok"),
    ];
    for (found, expected) in table {
        assert_eq!(word(found), expected);
    }
}

#[test]
fn the_slot_the_ports_and_the_urls_are_read_back_in_order() {
    let content = "{\"worktree\": \"a\", \"slot\": 2, \"ports\": {\"y\": 9200, \"x\": 8200}, \
                   \"b_url\": \"http://b\", \"a_url\": \"http://a\", \"c_url\": 1, \"note\": \"n\"}";
    let FileState::Own(own) = FileState::of(file(content), Some("a")) else {
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
fn our_exact_shape_reserves_its_ports_and_all_else_every_number() {
    let table: [(&str, &[u16]); 19] = [
        (
            "{\"worktree\": \"8100\", \"slot\": 8200, \"ports\": {\"x8300\": 8400}, \"a_url\": \":8500\"}",
            &[8400],
        ),
        (
            "\u{feff}{\"worktree\": \"8200\", \"slot\": 1, \"ports\": {\"x\": 8100}}",
            &[8100],
        ),
        (
            "{\"worktree\": \"8200\", \"slot\": null, \"ports\": {\"x\": 8100}}",
            &[8200, 8100],
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
fn what_is_said_of_a_file_follows_from_what_is_there() {
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
        let doubt = match claims(&found).doubt {
            None => None,
            Some(Doubt::Unreadable(why) | Doubt::Partial(why)) => Some(why),
        };
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
    let reservation = Reservation {
        worktree: Some("fix-favicon".to_owned()),
        bundle: bundle(1, &[("cloud", 8100)]),
        urls: urls.into(),
    };
    assert_eq!(
        String::from_utf8(reservation.to_json()).unwrap(),
        "{\n  \"worktree\": \"fix-favicon\",\n  \"slot\": 1,\n  \"ports\": {\n    \"cloud\": 8100\n  },\n  \
         \"cloud_url\": \"http://127.0.0.1:8100\"\n}\n"
    );
}

#[test]
fn a_file_is_intact_if_it_has_exactly_our_shape_and_this_id() {
    let table = [
        (
            "{\"worktree\": \"a\", \"slot\": 1, \"ports\": {\"x\": 8100}}",
            true,
            Some(1),
        ),
        (
            "{\"worktree\": \"a\", \"slot\": 1, \"ports\": {\"x\": 8100}, \"x_url\": \"u\"}",
            true,
            Some(1),
        ),
        (
            "\u{feff}{\"worktree\": \"a\", \"slot\": 1, \"ports\": {\"x\": 8100}}",
            true,
            Some(1),
        ),
        (
            "{\"worktree\": \"a\", \"slot\": null, \"ports\": {\"x\": 8100}}",
            false,
            None,
        ),
        // Only a record has this member.
        (
            "{\"worktree\": \"a\", \"slot\": 1, \"ports\": {\"x\": 8100}, \"env_files\": {}}",
            false,
            Some(1),
        ),
        (
            "{\"worktree\": \"a\", \"slot\": 1, \"ports\": {\"x\": 8100}, \"x_url\": 8100}",
            false,
            Some(1),
        ),
        (
            "{\"worktree\": \"b\", \"slot\": 1, \"ports\": {\"x\": 8100}}",
            false,
            Some(1),
        ),
        (
            "{\"worktree\": null, \"slot\": 1, \"ports\": {\"x\": 8100}}",
            false,
            Some(1),
        ),
        // A slot counts wherever one is named.
        (
            "{\"worktree\": \"a\", \"slot\": 1, \"ports\": {\"x\": 8100}, \"y\": 0}",
            false,
            Some(1),
        ),
        (
            "{\"worktree\": \"a\", \"slot\": 1, \"ports\": {\"x\": 80}}",
            false,
            Some(1),
        ),
        (
            "{\"worktree\": \"a\", \"slot\": \"1\", \"ports\": {\"x\": 8100}}",
            false,
            None,
        ),
        (
            "{\"worktree\": \"a\", \"ports\": {\"x\": 8100}}",
            false,
            None,
        ),
        // Another tool's slot is none of ours.
        ("{\"slot\": 1, \"ports\": {\"x\": 8100}}", false, None),
        (
            "{\"worktree\": \"a\", \"slot\": 1, \"slot\": 1, \"ports\": {\"x\": 8100}}",
            false,
            Some(1),
        ),
    ];
    for (content, is_intact, slot) in table {
        let claims = claims(&file(content));
        assert_eq!(
            (claims.is_intact, claims.slot),
            (is_intact, slot.map(Slot)),
            "{content}"
        );
    }
    assert!(!claims(&cut(table[0].0)).is_intact);
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
        let own = Reservation { worktree: id.clone(), bundle, urls: urls.into() };
        let found = file(own.to_json());
        let claims = Claims::of(&found, id.as_deref(), FileKind::PortFile);
        prop_assert_eq!(ports(&found), numbers);
        prop_assert!(claims.is_intact && claims.doubt.is_none());
        prop_assert!(matches!(FileState::of(found, id.as_deref()), FileState::Own(read) if read == own));
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
        let own = Reservation { worktree: Some("a".to_owned()), bundle, urls: Vec::new() };
        let text = String::from_utf8(own.to_json()).unwrap();
        // Less its last newline, it is whole.
        let torn = &text[..at.index(text.len() - 1)];
        let found = ports(&file(torn));
        for (name, number) in &named {
            if torn.contains(&format!("\"{name}\": {number},")) {
                prop_assert!(found.contains(number), "{torn}");
            }
        }
        prop_assert_eq!(word(file(torn)), "damaged");
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(content in any::<Vec<u8>>(), is_whole in any::<bool>()) {
        let kind = if is_whole { PlainFile::Read } else { PlainFile::TooLarge };
        let found = || kind(content.clone());
        let _ = (claims(&found()), word(found()), FileState::of(found(), None));
    }
}
