//! Tests of `plan`.

use std::fs;

use super::*;
use crate::allocate::reservations::Reservations;
use crate::config::Config;
use crate::git::fixture;
use crate::ports::fixture::bundle;
use crate::session::Session;
use crate::state::reservation::Reservation;

const REQUESTS: [Request; 3] = [Request::Allocate, Request::Update, Request::Ensure];

/// The plan of the worktree `a`, whose record is `record`, beside a worktree with that slot and
/// ports: the slot of its bundle.
fn plan_beside(
    other: (Option<u32>, &[u16]),
    before: &FileState,
    record: Option<&str>,
    request: Request,
) -> Result<u32> {
    let directory = tempfile::tempdir().unwrap();
    let worktree = fixture::linked(directory.path(), "a");
    if let Some(record) = record {
        fs::write(worktree.record_path(), record).unwrap();
    }
    let recorded = worktree.record().unwrap();
    let config = Config::parse("{\"services\": {\"a\": 20000}, \"step\": 100}").unwrap();
    let others = Reservations::of(&[
        ("main", None, &[1024], true),
        ("b", other.0, other.1, false),
    ]);
    let choice = Choice::new(&config, others.except(None), false);
    let session: Session = fixture::session();
    let probe = Probe::new(&session.narrator);
    let plan = plan(&worktree, before, &recorded, &choice, &probe, request)?;
    Ok(plan.bundle.slot.0)
}

fn own() -> FileState {
    FileState::Own(Reservation {
        worktree: Some("a".to_owned()),
        bundle: bundle(7, &[("a", 20_700)]),
        urls: Vec::new(),
    })
}

const RECORD: &str = "{\"worktree\": \"a\", \"slot\": 9, \"ports\": {\"a\": 20900}}";

const NOTHING: (Option<u32>, &[u16]) = (None, &[]);

#[test]
fn a_worktree_keeps_what_its_port_file_names_whoever_else_has_it() {
    for request in REQUESTS {
        for other in [NOTHING, (Some(7), &[20_700])] {
            let plan = plan_beside(other, &own(), Some(RECORD), request).unwrap();
            assert_eq!(plan, 7, "{request:?} {other:?}");
        }
    }
}

#[test]
fn a_worktree_gets_back_its_record_unless_another_has_a_part_of_it() {
    let plan = |other, before: &FileState, request| {
        plan_beside(other, before, Some(RECORD), request).unwrap()
    };
    for request in REQUESTS {
        for before in [FileState::Missing, FileState::Copied, FileState::Damaged] {
            let restored = plan(NOTHING, &before, request);
            assert_eq!(restored, 9, "{request:?} {before:?}");
            for other in [(Some(9), &[] as &[u16]), (None, &[20_900])] {
                let chosen = plan(other, &before, request);
                assert_eq!(chosen, 1, "{request:?} {before:?} {other:?}");
            }
        }
    }
    let anothers = RECORD.replace("\"a\",", "\"b\",");
    for none in [None, Some("{"), Some(anothers.as_str())] {
        let plan = plan_beside(NOTHING, &FileState::Missing, none, Request::Ensure);
        assert_eq!(plan.unwrap(), 1, "{none:?}");
    }
}

#[test]
fn reallocate_chooses_as_though_the_worktree_had_nothing() {
    for before in [
        own(),
        FileState::Missing,
        FileState::Foreign(b"{}".to_vec()),
        FileState::Unreadable(String::new()),
    ] {
        let plan = plan_beside(NOTHING, &before, Some(RECORD), Request::Reallocate);
        assert_eq!(plan.unwrap(), 1, "{before:?}");
    }
}

#[test]
fn adopt_takes_over_a_foreign_file_and_is_else_as_a_call_by_hand() {
    let foreign = FileState::Foreign(b"{\"a\": 20300}".to_vec());
    let plan = |before: &FileState| plan_beside(NOTHING, before, Some(RECORD), Request::Adopt);
    assert_eq!(plan(&foreign).unwrap(), 3);
    assert_eq!(plan(&own()).unwrap(), 7);
    assert_eq!(plan(&FileState::Missing).unwrap(), 9);
    plan(&FileState::Foreign(b"{}".to_vec())).unwrap_err();
}

#[test]
fn a_file_that_names_all_ports_is_named_in_the_error() {
    let all: Vec<u16> = (1024..=65_535).collect();
    let error = plan_beside((None, &all), &FileState::Missing, None, Request::Ensure);
    let error = error.unwrap_err().to_string();
    assert!(error.starts_with("no free slot: "), "{error}");
    assert!(error.contains(" 0 in use; `"), "{error}");
    assert!(error.contains("names 64512 ports"), "{error}");
    assert!(error.contains("smaller `step`"), "{error}");
}
