//! Tests of the rules: which problems follow from which facts, and what hides what.

use std::path::PathBuf;

use super::*;
use crate::allocate::reservations::Reservations;
use crate::ports::Slot;
use crate::report::facts::Upkeep;
use crate::report::render;
use crate::state::reservation::Reservation;

/// A worktree with that id, `None` being the main one, slot and port; its own port file says so.
type Has = (Option<&'static str>, u32, u16);

fn own(has: Has) -> FileState {
    let (id, slot, port) = has;
    FileState::Own(Reservation {
        worktree: id.map(str::to_owned),
        bundle: Bundle {
            slot: Slot(slot),
            ports: vec![(ServiceName::new("web"), Port::new(port.into()).unwrap())],
        },
        urls: Vec::new(),
    })
}

fn facts(worktrees: &[Has]) -> Facts {
    let ports: Vec<[u16; 1]> = worktrees.iter().map(|has| [has.2]).collect();
    let reserved = worktrees.iter().zip(&ports);
    let reserved = reserved.map(|(has, ports)| {
        (
            has.0.unwrap_or("."),
            Some(has.1),
            &ports[..],
            has.0.is_none(),
        )
    });
    let told = worktrees.iter().map(|has| WorktreeFacts {
        root: Path::new("/w").join(has.0.unwrap_or("main")),
        port_file: own(*has),
        ..WorktreeFacts::default()
    });
    Facts {
        common_dir: Path::new("/r/.git").into(),
        hook: Vec::new(),
        sharing: None,
        is_bare_by_accident: Ok(false),
        reservations: Reservations::of(&reserved.collect::<Vec<_>>()),
        worktrees: told.collect(),
        not_hidable: BTreeSet::new(),
    }
}

fn printed(facts: &Facts) -> String {
    problems(facts).iter().map(render::problem).collect()
}

/// An upkeep in which everything is to be done.
fn all_to_do() -> Upkeep {
    Upkeep {
        joining: vec![ServiceName::new("api")],
        left_out: None,
        is_port_file_outdated: true,
        outdated_record: Some(PathBuf::from("/r/record.json")),
        files: vec![(".env".to_owned(), None)],
        spanning: vec![(".env".to_owned(), "WEB_PORT".to_owned())],
        has_leftovers: true,
    }
}

#[test]
fn nothing_is_told_of_worktrees_with_ports_of_their_own() {
    let mut facts = facts(&[(None, 0, 3000), (Some("a"), 1, 3010)]);
    assert_eq!(printed(&facts), "");
    facts.worktrees[1].upkeep = Some(Ok(Upkeep::default()));
    facts.worktrees[0].port_file = FileState::Missing;
    assert_eq!(printed(&facts), "");
}

#[test]
fn each_state_of_a_port_file_has_a_remedy() {
    let table = [
        (FileState::Missing, None, ""),
        (FileState::Copied, None, "run `worktree-ports-hook -C /w/a`"),
        (
            FileState::Damaged,
            None,
            "run `worktree-ports-hook -C /w/a`",
        ),
        (
            FileState::Foreign(Vec::new()),
            None,
            "run `worktree-ports-hook -C /w/a --reallocate` to replace it",
        ),
        (
            FileState::Unreadable("EACCES".to_owned()),
            Some(Error::new("could not read").remedy("make it readable")),
            "make it readable",
        ),
    ];
    for (state, refusal, remedy) in table {
        let mut facts = facts(&[(None, 0, 3000), (Some("a"), 1, 3010)]);
        let what = format!("{state:?}");
        facts.worktrees[1].port_file = state;
        facts.worktrees[1].refusal = refusal;
        let printed = printed(&facts);
        let lines: Vec<&str> = printed.lines().collect();
        match remedy {
            "" => assert!(lines.is_empty(), "{what}: {printed}"),
            _ => assert!(
                lines[1].starts_with(&format!("    {remedy}")),
                "{what}: {printed}"
            ),
        }
        assert!(lines.len() <= 2, "{what}: {printed}");
    }
}

#[test]
fn of_two_that_share_the_one_that_listens_stays_and_else_the_first() {
    let both = [(None, 0, 3000), (Some("a"), 1, 3010), (Some("b"), 2, 3010)];
    for (a_listens, b_listens, moves) in [
        (false, false, "b"),
        (true, true, "b"),
        (true, false, "b"),
        (false, true, "a"),
    ] {
        let mut facts = facts(&both);
        facts.worktrees[1].is_listening = a_listens;
        facts.worktrees[2].is_listening = b_listens;
        let printed = printed(&facts);
        let remedy = format!("run `worktree-ports-hook -C /w/{moves} --reallocate`");
        assert_eq!(printed.lines().count(), 2, "{printed}");
        assert!(printed.contains(&remedy), "{printed}");
        assert!(
            printed.contains("shares port 3010 (web) with "),
            "{printed}"
        );
    }
}

#[test]
fn a_slot_of_two_is_shared_and_nothing_that_goes_with_the_file() {
    let mut slots = facts(&[(Some("a"), 1, 3010), (Some("b"), 1, 3020)]);
    assert!(printed(&slots).contains("`/w/b` shares slot 1 with a\n"));
    slots = facts(&[(Some("a"), 1, 3010), (Some("b"), 2, 3010)]);
    // What mends these files moves the worktree.
    for other in [FileState::Foreign(Vec::new()), FileState::Copied] {
        slots.worktrees[1].port_file = other;
        let printed = printed(&slots);
        assert_eq!(printed.lines().count(), 2, "{printed}");
        assert!(!printed.contains("shares"), "{printed}");
    }
}

#[test]
fn a_cause_hides_what_the_same_call_writes_and_nothing_else() {
    type Cause = fn(&mut Facts);
    let spanning = "`WEB_PORT` is set twice";
    // What is told besides the line of the user's that spans lines.
    let table: [(&str, Cause, &[&str]); 5] = [
        ("a service joins", |_| {}, &["has no port for api"]),
        (
            "nothing joins",
            |facts| upkeep_of(facts).joining.clear(),
            &["does not match the config"],
        ),
        (
            "the port file is as it should be",
            |facts| {
                upkeep_of(facts).joining.clear();
                upkeep_of(facts).is_port_file_outdated = false;
            },
            &[
                "does not match `/w/a/.worktree-ports.json`",
                "/w/a/.env` is not up to date",
                "interrupted run",
            ],
        ),
        (
            "a service cannot join",
            |facts| {
                upkeep_of(facts).joining.clear();
                upkeep_of(facts).left_out = Some(Error::new("no port for api").remedy("run x"));
            },
            &["no port for api"],
        ),
        (
            "an env file cannot be written",
            |facts| {
                *upkeep_of(facts) = Upkeep {
                    outdated_record: Some(PathBuf::from("/r/record.json")),
                    files: vec![(".env".to_owned(), Some(Error::new("it is a link")))],
                    spanning: all_to_do().spanning,
                    ..Upkeep::default()
                };
            },
            &["it is a link"],
        ),
    ];
    for (case, cause, told) in table {
        let mut facts = facts(&[(None, 0, 3000), (Some("a"), 1, 3010)]);
        facts.worktrees[1].upkeep = Some(Ok(all_to_do()));
        cause(&mut facts);
        let printed = printed(&facts);
        for part in told.iter().chain([&spanning]) {
            assert!(printed.contains(part), "{case}: no {part} in\n{printed}");
        }
        assert_eq!(
            printed.lines().count(),
            2 * (told.len() + 1),
            "{case}:\n{printed}"
        );
    }
}

fn upkeep_of(facts: &mut Facts) -> &mut Upkeep {
    facts.worktrees[1]
        .upkeep
        .as_mut()
        .unwrap()
        .as_mut()
        .unwrap()
}

#[test]
fn bare_by_accident_hides_what_follows_from_the_lost_config() {
    let mut facts = facts(&[(Some("a"), 1, 3010), (Some("b"), 2, 3020)]);
    facts.is_bare_by_accident = Ok(true);
    for worktree in &mut facts.worktrees {
        worktree.upkeep = Some(Ok(Upkeep {
            is_port_file_outdated: true,
            ..Upkeep::default()
        }));
    }
    facts.worktrees[1].has_own_config = true;
    let printed = printed(&facts);
    let told: Vec<&str> = printed.lines().step_by(2).collect();
    assert!(
        matches!(told[..], [bare, b] if bare.contains("bare") && b.contains("/w/b")),
        "{printed}"
    );
}

#[test]
fn a_broken_config_is_told_once_and_the_files_of_all_worktrees_in_one() {
    let mut facts = facts(&[(None, 0, 3000), (Some("a"), 1, 3010), (Some("b"), 2, 3020)]);
    for worktree in &mut facts.worktrees {
        worktree.config = Some(Err(Error::new("the config is broken").remedy("correct it")));
        worktree.not_ignored.push((".env".to_owned(), None));
    }
    let expected = "\
git does not ignore `/w/main/.env`, `/w/a/.env`, `/w/b/.env`
    run `mkdir -p /r/.git/info && printf '\\n%s' /.env '*.worktree-ports.tmp' '' >> /r/.git/info/exclude`
the config is broken
    correct it
";
    assert_eq!(printed(&facts), expected);
}
