//! Tests of `record`.

use proptest::prelude::*;

use super::*;
use crate::git::fixture;
use crate::ports::{Bundle, Port, ServiceName, Slot};

fn record(id: Option<&str>, port: u16, env_files: &[&str]) -> Record {
    Record {
        reservation: Reservation {
            worktree: id.map(str::to_owned),
            bundle: Bundle {
                slot: Some(Slot(1)),
                ports: vec![(ServiceName::new("a"), Port::new(u64::from(port)).unwrap())],
            },
            urls: Vec::new(),
        },
        env_files: env_files.iter().map(|path| (*path).to_owned()).collect(),
    }
}

fn file(bytes: impl Into<Vec<u8>>) -> PlainFile {
    PlainFile::Read {
        bytes: bytes.into(),
        truncated: false,
    }
}

fn written(record: &Record) -> PlainFile {
    file(reservation::pretty(record))
}

fn found(record: PlainFile, temporary: PlainFile) -> Found {
    Found { record, temporary }
}

#[test]
fn a_record_is_the_port_file_and_the_paths_of_the_env_files() {
    let text = reservation::pretty(&record(Some("a"), 8100, &[".env", "b/.env"]));
    assert_eq!(
        String::from_utf8(text).unwrap(),
        "{\n  \"worktree\": \"a\",\n  \"slot\": 1,\n  \"ports\": {\n    \"a\": 8100\n  },\n  \
         \"env_files\": [\n    \".env\",\n    \"b/.env\"\n  ]\n}\n"
    );
}

#[test]
fn the_record_goes_before_its_temporary_file_and_one_of_another_worktree_is_none() {
    let (one, other) = (record(Some("a"), 8100, &[]), record(Some("a"), 8200, &[]));
    let anothers = record(Some("b"), 8300, &[]);
    let table = [
        (PlainFile::Missing, PlainFile::Missing, None),
        (written(&one), written(&other), Some(&one)),
        (written(&one), PlainFile::Missing, Some(&one)),
        (PlainFile::Missing, written(&other), Some(&other)),
        (file(""), written(&other), Some(&other)),
        (file("{"), written(&other), Some(&other)),
        (written(&anothers), written(&other), Some(&other)),
        (written(&anothers), PlainFile::NotRegular("a FIFO"), None),
        (file("{}"), file("[8100]"), None),
        (written(&record(None, 8100, &[])), PlainFile::Missing, None),
    ];
    for (record, temporary, expected) in table {
        let found = found(record, temporary);
        assert_eq!(found.record(Some("a")).as_ref(), expected, "{found:?}");
    }
    let of_main = record(None, 8100, &[]);
    let found = found(written(&of_main), PlainFile::Missing);
    assert_eq!(found.record(None), Some(of_main));
}

#[test]
fn env_files_are_those_of_the_record_and_of_the_one_being_written_each_once() {
    let one = written(&record(Some("a"), 8100, &[".env", "b/.env"]));
    let other = written(&record(Some("a"), 8200, &["a/.env", ".env"]));
    let found = found(one, other);
    assert_eq!(found.env_files(Some("a")), [".env", "a/.env", "b/.env"]);
    assert_eq!(found.env_files(Some("b")), [] as [&str; 0]);
}

#[test]
fn a_record_is_up_to_date_to_the_byte_and_only_if_none_is_left_half_way() {
    let one = record(Some("a"), 8100, &[".env"]);
    assert!(found(written(&one), PlainFile::Missing).is(&one));
    assert!(!found(written(&one), written(&one)).is(&one));
    assert!(!found(PlainFile::Missing, written(&one)).is(&one));
    assert!(!found(written(&one), PlainFile::Missing).is(&record(Some("a"), 8100, &[])));
    assert!(!found(written(&one), PlainFile::Missing).is(&record(Some("a"), 8200, &[".env"])));
    let mut spaced = reservation::pretty(&one);
    spaced.push(b'\n');
    assert!(!found(file(spaced), PlainFile::Missing).is(&one));
}

#[test]
fn both_reserve_what_they_name_whatever_they_are() {
    let one = written(&record(Some("b"), 8100, &[]));
    let numbers = |found: &Found| -> Vec<u16> {
        let claims = found.claims(Some("a"));
        let ports = claims.iter().flat_map(|claims| &claims.ports);
        ports.map(|port| port.number()).collect()
    };
    assert_eq!(numbers(&found(one, file("8200, torn"))), [8100, 8200]);
    assert_eq!(
        numbers(&found(PlainFile::Missing, file("{\"x\": 8300}"))),
        [8300]
    );
}

fn with_lock(test: impl Fn(&Held, &Path)) {
    let directory = tempfile::tempdir().unwrap();
    let held = fixture::hold(directory.path());
    test(&held, directory.path());
}

/// The places of the main worktree's record and of a linked one's.
fn places(common_dir: &Path) -> [Place; 2] {
    let git_dir = common_dir.join("worktrees/a");
    fs::create_dir_all(&git_dir).unwrap();
    [
        Place::new(common_dir, true, common_dir),
        Place::new(&git_dir, false, common_dir),
    ]
}

#[test]
fn a_record_counts_from_when_it_is_prepared_and_has_its_name_from_when_it_is_committed() {
    with_lock(|held, common_dir| {
        for (place, id) in places(common_dir).iter().zip([None, Some("a")]) {
            let prepared = record(id, 8100, &[".env"]);
            let committed = record(id, 8100, &[]);
            let pending = place.prepare(held, &prepared).unwrap().unwrap();
            let half_way = place.read().unwrap();
            assert_eq!(half_way.record(id).as_ref(), Some(&prepared));
            assert!(!half_way.is(&prepared) && !place.path().exists());
            pending.commit(&prepared, &committed).unwrap();
            assert!(place.read().unwrap().is(&committed));
            place.remove(held).unwrap();
            assert!(is_missing(&place.read().unwrap()));
            // What is not there is removed without a word.
            place.remove(held).unwrap();
        }
    });
}

#[test]
fn one_that_is_not_committed_leaves_the_old_record_as_it_was() {
    with_lock(|held, common_dir| {
        for (place, id) in places(common_dir).iter().zip([None, Some("a")]) {
            let old = record(id, 8100, &[]);
            let pending = place.prepare(held, &old).unwrap().unwrap();
            pending.commit(&old, &old).unwrap();
            drop(place.prepare(held, &record(id, 8200, &[])).unwrap());
            assert!(place.read().unwrap().is(&old));
        }
    });
}

#[test]
fn what_a_kill_left_is_removed_with_the_record() {
    with_lock(|held, common_dir| {
        for place in places(common_dir) {
            fs::write(&place.temporary, "{").unwrap();
            place.remove(held).unwrap();
            assert!(is_missing(&place.read().unwrap()));
        }
    });
}

proptest! {
    #[test]
    fn whatever_is_written_is_read_back(
        id in prop::option::of(any::<String>()),
        port in 1024_u16..=65_535,
        env_files in prop::collection::vec(any::<String>(), 0..5),
    ) {
        let env_files: Vec<&str> = env_files.iter().map(String::as_str).collect();
        let record = record(id.as_deref(), port, &env_files);
        let found = found(written(&record), PlainFile::Missing);
        prop_assert_eq!(found.record(id.as_deref()), Some(record.clone()));
        prop_assert!(found.is(&record));
        let [claims, _] = found.claims(id.as_deref());
        prop_assert!(claims.is_intact && claims.doubt.is_none());
        prop_assert_eq!(claims.ports, vec![Port::new(u64::from(port)).unwrap()]);
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(one in any::<Vec<u8>>(), other in any::<Vec<u8>>()) {
        let found = found(file(one), file(other));
        for id in [None, Some("a")] {
            let _ = (found.record(id), found.env_files(id), found.claims(id));
        }
    }
}

fn is_missing(found: &Found) -> bool {
    let both = [&found.record, &found.temporary];
    both.iter().all(|file| matches!(file, PlainFile::Missing))
}
