//! Tests of `record`.

use std::fs;

use proptest::prelude::*;

use super::*;
use crate::git::entries::Place;
use crate::git::fixture;
use crate::ports::fixture::{bundle, port};

/// A record of one port and these env files, each with the blob id of what we made it from.
fn record(id: Option<&str>, port: u16, env_files: &[(&str, Option<&str>)]) -> Record {
    let env_files = env_files.iter();
    Record {
        reservation: Reservation {
            worktree: id.map(str::to_owned),
            bundle: bundle(1, &[("a", port)]),
            urls: Vec::new(),
        },
        written: WrittenFiles {
            env_files: env_files
                .map(|(path, id)| ((*path).to_owned(), id.map(str::to_owned)))
                .collect(),
            templates: BTreeMap::new(),
        },
    }
}

fn file(bytes: impl Into<Vec<u8>>) -> PlainFile {
    PlainFile::Read(bytes.into())
}

fn written(record: &Record) -> PlainFile {
    file(record.to_json())
}

/// What was found for the worktree with that id.
fn found(id: Option<&str>, current: PlainFile, pending: PlainFile) -> Recorded {
    Recorded {
        id: id.map(str::to_owned),
        current,
        pending,
    }
}

/// What was found for the worktree `a`.
fn found_of_a(current: PlainFile, pending: PlainFile) -> Recorded {
    found(Some("a"), current, pending)
}

#[test]
fn a_record_is_the_port_file_and_what_was_written() {
    let mut record = record(
        Some("a"),
        8100,
        &[("b/.env", None), (".env", Some("4b825d"))],
    );
    record
        .written
        .templates
        .insert("x.json".to_owned(), "e69de2".to_owned());
    assert_eq!(
        String::from_utf8(record.to_json()).unwrap(),
        "{\n  \"worktree\": \"a\",\n  \"slot\": 1,\n  \"ports\": {\n    \"a\": 8100\n  },\n  \
         \"env_files\": {\n    \".env\": \"4b825d\",\n    \"b/.env\": null\n  },\n  \
         \"templates\": {\n    \"x.json\": \"e69de2\"\n  }\n}\n"
    );
}

#[test]
fn the_record_goes_before_the_pending_one_and_anothers_is_none() {
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
    for (current, pending, expected) in table {
        let found = found_of_a(current, pending);
        assert_eq!(found.record().as_ref(), expected, "{found:?}");
    }
    let of_main = record(None, 8100, &[]);
    let found = found(None, written(&of_main), PlainFile::Missing);
    assert_eq!(found.record(), Some(of_main));
}

#[test]
fn what_was_written_is_what_both_records_name() {
    let mut one = record(Some("a"), 8100, &[(".env", Some("1")), ("b/.env", None)]);
    one.written.templates.insert("x".to_owned(), "1".to_owned());
    let mut other = record(Some("a"), 8200, &[("a/.env", Some("2")), (".env", None)]);
    other
        .written
        .templates
        .insert("y".to_owned(), "2".to_owned());
    // Of a file that both name, the record tells what it was made from.
    let env_files = [("a/.env", Some("2")), (".env", Some("1")), ("b/.env", None)];
    let mut expected = record(None, 8100, &env_files).written;
    expected.templates = [("x", "1"), ("y", "2")]
        .map(|(path, id)| (path.to_owned(), id.to_owned()))
        .into();
    assert_eq!(
        found_of_a(written(&one), written(&other)).written(),
        expected
    );
    let of_b = found(Some("b"), written(&one), written(&other));
    assert_eq!(of_b.written(), WrittenFiles::default());
}

#[test]
fn a_record_is_up_to_date_to_the_byte_if_none_is_pending() {
    let one = record(Some("a"), 8100, &[(".env", None)]);
    let is = |current, pending, record: &Record| found_of_a(current, pending).is(record);
    assert!(is(written(&one), PlainFile::Missing, &one));
    assert!(!is(written(&one), written(&one), &one));
    assert!(!is(PlainFile::Missing, written(&one), &one));
    for other in [
        record(Some("a"), 8100, &[]),
        record(Some("a"), 8100, &[(".env", Some("1"))]),
        record(Some("a"), 8200, &[(".env", None)]),
    ] {
        assert!(!is(written(&one), PlainFile::Missing, &other), "{other:?}");
    }
    let spaced = [&one.to_json()[..], b"\n"].concat();
    assert!(!is(file(spaced), PlainFile::Missing, &one));
}

#[test]
fn a_port_file_agrees_with_a_record_of_the_same_members_alone() {
    let one = record(Some("a"), 8100, &[(".env", None)]);
    let own = || file(one.reservation.to_json());
    let agrees = |current, pending, own: &PlainFile| found_of_a(current, pending).agrees_with(own);
    assert!(agrees(written(&one), PlainFile::Missing, &own()));
    assert!(!agrees(written(&one), written(&one), &own()));
    assert!(!agrees(PlainFile::Missing, PlainFile::Missing, &own()));
    assert!(!agrees(
        written(&one),
        PlainFile::Missing,
        &PlainFile::Missing
    ));
    // Not the start of a longer port, either.
    for other in [
        file(record(Some("a"), 8200, &[]).reservation.to_json()),
        file(
            String::from_utf8(one.reservation.to_json())
                .unwrap()
                .replace("8100", "810"),
        ),
        file(record(Some("b"), 8100, &[]).reservation.to_json()),
        file(""),
        file("{}"),
        file("\n}\n"),
    ] {
        assert!(
            !agrees(written(&one), PlainFile::Missing, &other),
            "{other:?}"
        );
    }
}

#[test]
fn both_reserve_what_they_name_whatever_they_are() {
    let one = written(&record(Some("b"), 8100, &[]));
    let numbers = |found: &Recorded| -> Vec<u16> {
        let claims = found.claims();
        let ports = claims.iter().flat_map(|claims| &claims.ports);
        ports.map(|port| port.number()).collect()
    };
    assert_eq!(numbers(&found_of_a(one, file("8200, torn"))), [8100, 8200]);
    let pending = file("{\"x\": 8300}");
    assert_eq!(numbers(&found_of_a(PlainFile::Missing, pending)), [8300]);
}

/// Runs `test` with a main worktree and a linked one, each with its id.
fn with_worktrees(test: impl Fn(&Held, &Worktree, Option<&str>)) {
    let directory = tempfile::tempdir().unwrap();
    let linked = fixture::linked(directory.path(), "a");
    let common_dir = &linked.common_dir;
    let main = fixture::opened(None, directory.path(), common_dir);
    let held = fixture::hold(common_dir);
    test(&held, &linked, Some("a"));
    test(&held, &main, None);
}

#[test]
fn a_record_counts_under_its_temporary_name_and_under_its_own() {
    with_worktrees(|held, worktree, id| {
        let pending = record(id, 8100, &[(".env", None)]);
        let settled = record(id, 8100, &[]);
        worktree.stage_record(held, &pending).unwrap().keep();
        let half_way = worktree.record().unwrap();
        assert_eq!(half_way.record().as_ref(), Some(&pending));
        assert!(half_way.is_pending() && !worktree.record_path().exists());
        let staged = worktree.stage_record(held, &settled).unwrap();
        staged.commit().unwrap();
        assert!(worktree.record().unwrap().is(&settled));
        remove(held, worktree.git_dir.path(), worktree.is_main()).unwrap();
        assert!(worktree.record().unwrap().is_missing());
        // What is not there is removed without a word.
        remove(held, worktree.git_dir.path(), worktree.is_main()).unwrap();
    });
}

#[test]
fn one_that_cannot_be_written_leaves_the_pending_one_as_it_was() {
    with_worktrees(|held, worktree, id| {
        let pending = record(id, 8100, &[]);
        worktree.stage_record(held, &pending).unwrap().keep();
        let in_the_way = temporary(&temporary(name_of(id.is_none())));
        fs::create_dir(worktree.git_dir.path_of(&in_the_way)).unwrap();
        let other = record(id, 8200, &[]);
        assert!(worktree.stage_record(held, &other).is_err());
        assert_eq!(worktree.record().unwrap().record(), Some(pending));
    });
}

#[test]
fn what_a_kill_left_is_removed_with_the_record() {
    with_worktrees(|held, worktree, id| {
        let pending = temporary(name_of(id.is_none()));
        fs::write(worktree.git_dir.path_of(&pending), "{").unwrap();
        assert!(worktree.record().unwrap().is_pending());
        remove(held, worktree.git_dir.path(), worktree.is_main()).unwrap();
        assert!(worktree.record().unwrap().is_missing());
    });
}

#[test]
fn an_empty_directory_at_a_records_place_is_replaced_and_a_full_one_kept() {
    with_worktrees(|held, worktree, id| {
        fs::create_dir(worktree.record_path()).unwrap();
        let record = record(id, 8100, &[]);
        worktree.write_record(held, &record).unwrap();
        assert!(worktree.record().unwrap().is(&record));
        remove(held, worktree.git_dir.path(), worktree.is_main()).unwrap();
        fs::create_dir_all(worktree.record_path().join("kept")).unwrap();
        assert!(
            worktree.write_record(held, &record).is_err()
                && remove(held, worktree.git_dir.path(), worktree.is_main()).is_err()
        );
        assert!(worktree.record_path().join("kept").exists());
    });
}

#[test]
fn an_entry_that_is_gone_has_no_record_to_read_or_remove() {
    let directory = tempfile::tempdir().unwrap();
    let entry = fixture::entry(Some("a"), Place::Unknown, directory.path());
    assert!(Recorded::of(&entry).unwrap().is_missing());
    let held = fixture::hold(directory.path());
    remove(&held, &entry.git_dir, false).unwrap();
}

#[cfg(unix)]
#[test]
fn a_link_to_a_record_is_none_and_is_replaced_not_followed() {
    with_worktrees(|held, worktree, id| {
        let (record, other) = (record(id, 8100, &[]), worktree.root.path_of("other"));
        fs::write(&other, record.to_json()).unwrap();
        std::os::unix::fs::symlink(&other, worktree.record_path()).unwrap();
        assert_eq!(worktree.record().unwrap().record(), None);
        worktree.write_record(held, &record).unwrap();
        assert!(worktree.record().unwrap().is(&record));
        assert!(!worktree.record_path().is_symlink() && other.exists());
        fs::remove_file(other).unwrap();
        remove(held, worktree.git_dir.path(), worktree.is_main()).unwrap();
    });
}

proptest! {
    #[test]
    fn whatever_is_written_is_read_back(
        id in prop::option::of(any::<String>()),
        number in 1024_u16..=65_535,
        env_files in prop::collection::btree_map(any::<String>(), any::<Option<String>>(), 0..5),
        templates in prop::collection::btree_map(any::<String>(), any::<String>(), 0..5),
    ) {
        let record = Record {
            written: WrittenFiles { env_files, templates },
            ..record(id.as_deref(), number, &[])
        };
        let found = found(id.as_deref(), written(&record), PlainFile::Missing);
        prop_assert_eq!(found.record(), Some(record.clone()));
        prop_assert!(found.is(&record));
        prop_assert!(found.agrees_with(&file(record.reservation.to_json())));
        let [claims, _] = found.claims();
        prop_assert!(claims.is_intact && claims.doubt.is_none());
        prop_assert_eq!(claims.ports, vec![port(number)]);
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(one in any::<Vec<u8>>(), other in any::<Vec<u8>>()) {
        for id in [None, Some("a")] {
            let found = found(id, file(one.clone()), file(other.clone()));
            let _ = (found.record(), found.written(), found.claims());
            let _ = found.agrees_with(&file(other.clone()));
        }
    }
}
