//! Tests of `reserve`: what is decided, and what is written of it.

use std::fs;

use super::*;
use crate::allocate::reservations::Reservations;
use crate::config::Config;
use crate::files::untrusted::PlainFile;
use crate::git::fixture::Fixture;
use crate::ports::{Bundle, ServiceName};
use crate::ports::{Port, Slot};

fn config(text: &str) -> Config {
    Config::parse(text).unwrap()
}

fn bundle(slot: Option<u32>, ports: &[(&str, u16)]) -> Bundle {
    let port = |number: u16| Port::new(u64::from(number)).unwrap();
    let ports = ports.iter();
    Bundle {
        slot: slot.map(Slot),
        ports: ports
            .map(|(name, number)| (ServiceName::new(*name), port(*number)))
            .collect(),
    }
}

fn own(slot: Option<u32>, ports: &[(&str, u16)], urls: &[(&str, &str)]) -> Reservation {
    let urls = urls.iter();
    Reservation {
        worktree: Some("a".to_owned()),
        bundle: bundle(slot, ports),
        urls: urls
            .map(|(name, url)| ((*name).to_owned(), (*url).to_owned()))
            .collect(),
    }
}

fn worktree() -> Worktree {
    Worktree::linked(
        "/w/a".into(),
        "/r/.git/worktrees/a".into(),
        "/r/.git".into(),
    )
}

#[test]
fn a_port_file_is_current_if_it_is_what_the_config_would_have_written() {
    let config = config(
        "{\"services\": {\"a\": 5000, \"b\": 6000}, \"urls\": {\"a_url\": \"http://localhost:{a}\"}}",
    );
    let url = [("a_url", "http://localhost:5100")];
    let table = [
        (own(Some(1), &[("a", 5100), ("b", 6100)], &url), true),
        // Ports that are not those of its slot are its own all the same.
        (own(Some(2), &[("a", 5100), ("b", 6100)], &url), true),
        (own(None, &[("a", 5100), ("b", 6100)], &url), false),
        (own(Some(1), &[("b", 6100), ("a", 5100)], &url), false),
        (own(Some(1), &[("a", 5100)], &url), false),
        (
            own(Some(1), &[("a", 5100), ("b", 6100), ("c", 7100)], &url),
            false,
        ),
        (own(Some(1), &[("a", 5100), ("b", 6100)], &[]), false),
        (
            own(
                Some(1),
                &[("a", 5100), ("b", 6100)],
                &[("a_url", "http://localhost:1")],
            ),
            false,
        ),
    ];
    for (own, expected) in table {
        let assigned = Assigned::new(&worktree(), config.clone(), own.bundle.clone());
        assert_eq!(is_current(&own, &assigned), expected, "{own:?}");
    }
}

#[test]
fn only_reallocate_replaces_a_foreign_or_an_unreadable_file_and_nothing_replaces_a_tracked_one() {
    let states: [(State, [bool; 3]); 7] = [
        (State::Missing, [false; 3]),
        // The hook wants no more than that the worktree has ports.
        (
            State::Own(own(Some(1), &[("a", 5100)], &[])),
            [true, false, false],
        ),
        (State::Copied, [false; 3]),
        (State::Damaged, [false; 3]),
        (State::Unreadable("EACCES".to_owned()), [true, true, false]),
        (State::Foreign, [true, true, false]),
        (State::Tracked, [true; 3]),
    ];
    for (state, expected) in states {
        let aims = [Aim::Have, Aim::BeCurrent, Aim::Reallocate];
        let left_alone = aims.map(|aim| is_to_be_left_alone(&state, aim));
        assert_eq!(left_alone, expected, "{state:?}");
    }
}

/// The plan of the worktree `a`, whose record is `record`, beside another one.
fn plan_beside(
    other: (Option<u32>, &[u16]),
    before: &State,
    record: Option<&str>,
    aim: Aim,
) -> Result<(Source, Option<u32>)> {
    let directory = tempfile::tempdir().unwrap();
    let git_dir = directory.path().join("worktrees/a");
    fs::create_dir_all(&git_dir).unwrap();
    let root = directory.path().join("root");
    let worktree = Worktree::linked(root, git_dir, directory.path().to_owned());
    let narrator = Narrator::default();
    if let Some(record) = record {
        fs::write(record::Place::of(&worktree).path(), record).unwrap();
    }
    let record = record::Place::of(&worktree).read().unwrap();
    let config = config("{\"services\": {\"a\": 20000}, \"step\": 100}");
    let others = Reservations::of(&[
        ("main", None, &[1024], true),
        ("b", other.0, other.1, false),
    ]);
    let choice = Choice::new(&config, others.others_than(None), false);
    let probe = Probe::new(&narrator);
    let plan = plan(&worktree, before, &record, &choice, &probe, aim)?;
    Ok((plan.source, plan.bundle.slot.map(|slot| slot.0)))
}

#[test]
fn a_worktree_keeps_its_own_gets_back_its_record_or_is_given_the_lowest_free_slot() {
    let owns = || State::Own(own(Some(7), &[("a", 20_700)], &[]));
    let record = "{\"worktree\": \"a\", \"slot\": 9, \"ports\": {\"a\": 20900}, \"env_files\": []}";
    let anothers = record.replace("\"a\",", "\"b\",");
    let free: (Option<u32>, &[u16]) = (None, &[]);
    let plan =
        |other, before: &State, record, aim| plan_beside(other, before, record, aim).unwrap();
    for aim in [Aim::Have, Aim::BeCurrent] {
        assert_eq!(
            plan(free, &owns(), Some(record), aim),
            (Source::Own, Some(7))
        );
        // Its own is never moved, whoever else has it.
        assert_eq!(
            plan((Some(7), &[20_700]), &owns(), None, aim),
            (Source::Own, Some(7))
        );
        for before in [State::Missing, State::Copied, State::Damaged] {
            let restored = (Source::Record, Some(9));
            assert_eq!(
                plan(free, &before, Some(record), aim),
                restored,
                "{before:?}"
            );
            for other in [(Some(9), &[] as &[u16]), (None, &[20_900])] {
                let (source, slot) = plan(other, &before, Some(record), aim);
                assert_eq!(source, Source::Chosen, "{before:?} {other:?}");
                assert_ne!(slot, Some(9));
            }
            for none in [None, Some("{"), Some(anothers.as_str())] {
                assert_eq!(plan(free, &before, none, aim).0, Source::Chosen, "{none:?}");
            }
        }
    }
    for before in [
        owns(),
        State::Missing,
        State::Foreign,
        State::Unreadable(String::new()),
    ] {
        let (source, slot) = plan(free, &before, Some(record), Aim::Reallocate);
        assert_eq!(source, Source::Chosen, "{before:?}");
        assert!(slot.is_some_and(|slot| slot < 7));
    }
}

#[test]
fn a_file_that_names_all_ports_is_named_in_the_error() {
    let all: Vec<u16> = (1024..=65_535).collect();
    let error = plan_beside((None, &all), &State::Missing, None, Aim::Have).unwrap_err();
    let error = error.to_string();
    assert!(error.starts_with("no free slot: "), "{error}");
    assert!(error.contains(" 0 in use; `"), "{error}");
    assert!(error.contains("names 64512 ports"), "{error}");
    assert!(error.contains("smaller `step`"), "{error}");
}

#[test]
fn a_record_names_each_file_with_a_block_once_and_in_order() {
    let assigned = Assigned::new(
        &worktree(),
        Config::default(),
        bundle(Some(1), &[("cloud", 8100)]),
    );
    let standing = ["b/.env", ".env", "a/.env", ".env"].map(str::to_owned);
    let record = assigned.record(&standing);
    assert_eq!(record.env_files, [".env", "a/.env", "b/.env"]);
}

#[test]
fn a_summary_tells_of_worktrees_that_are_gone_and_have_lower_slots() {
    let assigned = Assigned::new(
        &worktree(),
        Config::default(),
        bundle(Some(3), &[("cloud", 8300)]),
    );
    let summary = |gone_below, env_files: &[&str]| {
        let written = Written {
            before: State::Missing,
            is_restored: false,
            env_files: env_files.iter().map(|path| (*path).to_owned()).collect(),
            gone_below,
        };
        written.summary(&assigned)
    };
    assert_eq!(summary(0, &[]), "cloud 8300 (.worktree-ports.json)");
    assert_eq!(
        summary(0, &[".env"]),
        "cloud 8300 (.worktree-ports.json, .env)"
    );
    assert_eq!(
        summary(3, &[]),
        "cloud 8300 (.worktree-ports.json) (3 worktrees that are gone hold lower slots; \
         if they are gone for good, git worktree prune frees them)"
    );
    assert_eq!(
        summary(1, &[]),
        "cloud 8300 (.worktree-ports.json) (1 worktree that is gone holds a lower slot; \
         if it is gone for good, git worktree prune frees it)"
    );
}

#[test]
fn the_port_file_and_the_record_are_written_together_and_a_second_call_writes_nothing() {
    let fixture = Fixture::new();
    let worktree = fixture.add("a");
    let repository = fixture.repository();
    let ensure = || ensure(&repository, &worktree, &fixture.options()).unwrap();
    let Outcome::Written(assigned, _) = ensure() else {
        panic!("it had none");
    };
    let record = record::Place::of(&worktree).read().unwrap();
    assert!(assigned.is_recorded(&worktree, &record));
    let Outcome::Kept(kept) = ensure() else {
        panic!("all was written");
    };
    assert_eq!(kept.reservation, assigned.reservation);

    // Either of the two brings the other back.
    fs::remove_file(record::Place::of(&worktree).path()).unwrap();
    assert!(matches!(ensure(), Outcome::Written(..)));
    fs::remove_file(worktree.root.join(port_file::NAME)).unwrap();
    let Outcome::Written(restored, written) = ensure() else {
        panic!("it was removed");
    };
    assert!(written.is_restored);
    assert_eq!(restored.reservation, assigned.reservation);
}

#[test]
fn what_a_kill_left_of_a_record_is_reserved_and_gone_after_the_next_call() {
    let fixture = Fixture::new();
    let worktree = fixture.add("a");
    let repository = fixture.repository();
    let temporary = worktree.git_dir.join("worktree-ports.json.tmp");
    let left =
        "{\"worktree\": \"a\", \"slot\": 40, \"ports\": {\"cloud\": 12000}, \"env_files\": []}";
    fs::write(&temporary, left).unwrap();
    let Outcome::Written(assigned, _) = ensure(&repository, &worktree, &fixture.options()).unwrap()
    else {
        panic!("it had no port file");
    };
    assert_eq!(
        assigned.reservation.bundle,
        bundle(Some(40), &[("cloud", 12_000)])
    );
    assert!(!temporary.exists());
    let record = record::Place::of(&worktree).read().unwrap();
    assert!(assigned.is_recorded(&worktree, &record));
}

#[test]
fn a_worktree_whose_place_is_anothers_by_now_gets_nothing() {
    let fixture = Fixture::new();
    let worktree = fixture.add("a");
    fixture.git(&fixture.main(), &["worktree", "move", "../a", "../b"]);
    let repository = fixture.repository();
    reserve(&repository, &worktree, Aim::Have, &fixture.options()).unwrap_err();
    assert!(!worktree.root.exists());
    assert!(matches!(
        port_file::read(&fixture.directory().join("b")).unwrap(),
        PlainFile::Missing
    ));
}
