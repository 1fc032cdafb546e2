//! Tests of `adopt`.

use super::*;
use crate::allocate::reservations::Reservations;
use crate::git::fixture;
use crate::ports::fixture::bundle as bundle_of;

fn config() -> Config {
    let text = "{\"services\": {\"web\": 21000, \"api\": 22000, \"db\": 23000}, \"step\": 10}";
    Config::parse(text).unwrap()
}

#[test]
fn ports_are_found_under_the_services_names_in_ports_or_beside_them() {
    // What is in the file, the ports that are found, and the other names that have one.
    type Row<'a> = (&'a str, &'a [(&'a str, u16)], &'a [&'a str]);
    let table: [Row<'_>; 11] = [
        ("{\"web\": 21010}", &[("web", 21_010)], &[]),
        (
            "\u{feff}{\"ports\": {\"web\": 21010}}",
            &[("web", 21_010)],
            &[],
        ),
        (
            "{\"ports\": {\"db\": 23010, \"web\": 21010}, \"api\": 22010}",
            &[("web", 21_010), ("api", 22_010), ("db", 23_010)],
            &[],
        ),
        // What is in `ports` goes first, if it is a port.
        (
            "{\"web\": 1, \"ports\": {\"web\": 21010}}",
            &[("web", 21_010)],
            &[],
        ),
        (
            "{\"web\": 21020, \"ports\": {\"web\": 21010}}",
            &[("web", 21_010)],
            &[],
        ),
        (
            "{\"web\": 21010, \"ports\": {\"web\": \"x\"}}",
            &[("web", 21_010)],
            &[],
        ),
        // No ports.
        (
            "{\"web\": \"21010\", \"api\": 1023, \"db\": 65536}",
            &[],
            &[],
        ),
        (
            "{\"web\": 21010.0, \"api\": -22010, \"db\": null}",
            &[],
            &[],
        ),
        ("[21010]", &[], &[]),
        ("{\"web\": 21010", &[], &[]),
        (
            "{\"vite\": 21010, \"ports\": {\"hmr\": 24678, \"web\": 21020}, \"x\": {\"y\": 5000}}",
            &[("web", 21_020)],
            &["vite", "hmr"],
        ),
    ];
    for (text, ports, others) in table {
        let named = named_ports(text.as_bytes(), &config());
        assert_eq!(named, bundle_of(0, ports).ports, "{text}");
        let mut found = other_names(text.as_bytes(), &config());
        found.sort();
        let mut others = others.to_vec();
        others.sort_unstable();
        assert_eq!(found, others, "{text}");
    }
}

#[test]
fn ports_stand_at_a_slot_if_all_of_them_do() {
    let table = [
        ("{\"web\": 21030}", Some(3)),
        ("{\"web\": 21030, \"db\": 23030}", Some(3)),
        ("{\"web\": 21000, \"api\": 22000}", Some(0)),
        ("{\"web\": 21030, \"api\": 22040}", None),
        ("{\"web\": 21035}", None),
        ("{\"web\": 20990}", None),
        ("{}", None),
    ];
    for (text, slot) in table {
        let named = named_ports(text.as_bytes(), &config());
        assert_eq!(common_slot(&named, &config()), slot.map(Slot), "{text}");
        assert_eq!(stands_at_a_slot(text.as_bytes(), &config()), slot.is_some());
    }
}

/// What a worktree adopts from `text` beside others.
fn adopt(text: &str, others: &Reservations<'_>, is_main: bool) -> Result<Bundle> {
    adopt_by(&config(), text, others, is_main)
}

fn adopt_by(
    config: &Config,
    text: &str,
    others: &Reservations<'_>,
    is_main: bool,
) -> Result<Bundle> {
    let directory = tempfile::tempdir().unwrap();
    let mut worktree = fixture::linked(directory.path(), "a");
    if is_main {
        worktree.id = None;
    }
    let choice = Choice::new(config, others.except(None), is_main);
    let session = fixture::session();
    let probe = Probe::new(&session.narrator);
    bundle(&worktree, text.as_bytes(), &choice, &probe)
}

#[test]
fn the_slot_is_the_ports_own_if_it_is_free_and_else_the_lowest() {
    let all = "{\"web\": 21030, \"api\": 22030, \"db\": 23030}";
    let elsewhere = "{\"web\": 5001, \"api\": 5002, \"db\": 5003}";
    let main = ("main", None, &[9000][..], true);
    // What is in the file, whether the main worktree adopts it, the other worktrees, and the slot.
    let table = [
        (all, false, vec![main], 3),
        (elsewhere, false, vec![main], 1),
        (elsewhere, false, vec![main, ("b", Some(1), &[], false)], 2),
        (all, false, vec![main, ("b", Some(3), &[], false)], 1),
        (elsewhere, false, vec![], 0),
        (all, true, vec![], 0),
        (elsewhere, true, vec![("b", Some(1), &[], false)], 0),
    ];
    for (text, is_main, others, slot) in table {
        let adopted = adopt(text, &Reservations::of(&others), is_main).unwrap();
        assert_eq!(adopted.slot, Slot(slot), "{text} {is_main} {others:?}");
        assert_eq!(adopted.ports, named_ports(text.as_bytes(), &config()));
    }
    let others = Reservations::of(&[("b", Some(0), &[], false)]);
    let error = adopt(all, &others, true).unwrap_err().to_string();
    assert!(error.contains("another worktree has slot 0"), "{error}");
}

#[test]
fn a_service_that_is_missing_gets_its_slots_port_or_the_lowest_free() {
    let main = ("main", None, &[9000][..], true);
    let api = |text: &str, others: &[_]| {
        let adopted = adopt(text, &Reservations::of(others), false).unwrap();
        adopted.port(&ServiceName::new("api")).unwrap().number()
    };
    let named = "{\"web\": 21030, \"db\": 23030}";
    assert_eq!(api(named, &[main]), 22_030);
    // That of the slot is another's; slot 0 is the main worktree's.
    assert_eq!(
        api(named, &[main, ("b", Some(1), &[22_030], false)]),
        22_010
    );
    // That of the slot, 1, is the file's own for another service.
    assert_eq!(api("{\"web\": 21030, \"db\": 22010}", &[main]), 22_020);
}

#[test]
fn a_service_that_is_missing_gets_no_port_on_which_something_listens() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().port();
    let text = format!(
        "{{\"services\": {{\"web\": 21000, \"api\": {}}}, \"step\": 1}}",
        taken - 3
    );
    let config = Config::parse(&text).unwrap();
    let others = Reservations::of(&[("main", None, &[9000], true)]);
    let adopted = adopt_by(&config, "{\"web\": 21003}", &others, false).unwrap();
    assert_eq!(adopted.slot, Slot(3));
    assert_ne!(
        adopted.port(&ServiceName::new("api")).unwrap().number(),
        taken
    );
}

#[test]
fn a_port_of_another_worktree_is_an_error_that_names_both_files() {
    let others = Reservations::of(&[
        ("main", None, &[9000], true),
        ("b", Some(1), &[21_030], false),
    ]);
    let error = adopt("{\"web\": 21030}", &others, false)
        .unwrap_err()
        .to_string();
    for part in [
        "port 21030 (web) in `",
        "is also reserved by b (`",
        "--reallocate",
    ] {
        assert!(error.contains(part), "{error}");
    }
    let error = adopt("{\"x\": 21030}", &others, false)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("names no port of a service; name"),
        "{error}"
    );
    assert!(error.contains("(now: web, api, db)"), "{error}");
}
