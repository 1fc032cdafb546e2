//! Whatever is there is read without a panic, and no number in it that could be a port is
//! handed out.

use std::collections::BTreeSet;

use super::*;
use crate::state::port_file::FileState;

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
    let found = || PlainFile::Read(bytes.to_owned());
    let reserved: BTreeSet<u16> = Claims::of(&found(), None, FileKind::PortFile)
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
    let is_ours = matches!(Document::parse(bytes), Document::Ours(ours)
        if ours.reservation().is_some() && ours.is_exact(FileKind::PortFile));
    if is_ours {
        assert!(reserved.is_subset(&every_number));
    } else if !is_utf16 {
        assert_eq!(reserved, every_number);
    }
    for id in [None, Some("a")] {
        if let FileState::Own(own) = FileState::of(found(), id) {
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
            let ports = ports.enumerate();
            let ports = ports.map(|(i, port)| (ServiceName::new(format!("s{i}")), port));
            let urls = urls.iter().enumerate();
            let own = Reservation {
                worktree: id.clone(),
                bundle: Bundle {
                    slot: Slot(*slot),
                    ports: ports.collect(),
                },
                urls: urls
                    .map(|(i, url)| (format!("u{i}_url"), url.clone()))
                    .collect(),
            };
            let found = PlainFile::Read(own.to_json());
            let claims = Claims::of(&found, id.as_deref(), FileKind::PortFile);
            let ports: Vec<Port> = own.bundle.ports.iter().map(|(_, port)| *port).collect();
            assert_eq!(claims.slot, Some(Slot(*slot)));
            match FileState::of(found, id.as_deref()) {
                FileState::Damaged => assert!(ports.is_empty()),
                FileState::Own(read) => {
                    assert!(claims.is_intact);
                    assert_eq!((claims.ports, read), (ports, own));
                }
                state => panic!("{state:?}"),
            }
        });
}
