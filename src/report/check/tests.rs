//! Tests of `check`: what is said of what was found.

use std::fs;
use std::io;

use super::*;
use crate::git::fixture::Fixture;
use crate::git::lock::LockOptions;
use crate::git::worktree::Entry;
use crate::ports::{Port, Slot};

fn worktree() -> Worktree {
    Worktree::linked(
        "/w/a".into(),
        "/r/.git/worktrees/a".into(),
        "/r/.git".into(),
    )
}

#[test]
fn each_state_but_an_own_and_a_missing_file_is_a_problem_with_what_mends_it() {
    let own = Reservation {
        worktree: Some("a".to_owned()),
        bundle: Bundle {
            slot: Some(Slot(1)),
            ports: vec![(ServiceName::new("a"), Port::new(8100).unwrap())],
        },
        urls: Vec::new(),
    };
    let bare = "; run `worktree-ports-hook -C /w/a`";
    let table = [
        (State::Missing, None),
        (State::Own(own), None),
        (State::Copied, Some(bare)),
        (State::Damaged, Some(bare)),
        (
            State::Foreign,
            Some("run `worktree-ports-hook -C /w/a --reallocate`"),
        ),
        (
            State::Unreadable("EACCES".to_owned()),
            Some("run `worktree-ports-hook -C /w/a --reallocate`"),
        ),
        (
            State::Tracked,
            Some("run `git -C /w/a rm --cached .worktree-ports.json`"),
        ),
    ];
    let path = quoted(&worktree().root.join(".worktree-ports.json"));
    for (state, mend) in table {
        let problem = problem_of_file(&state, &worktree()).map(|problem| problem.to_string());
        assert_eq!(problem.is_some(), mend.is_some(), "{state:?}");
        let problem = problem.unwrap_or_default();
        assert!(problem.contains(mend.unwrap_or_default()), "{problem}");
        assert!(mend.is_none() || problem.contains(&path), "{problem}");
    }
}

#[test]
fn services_that_lose_slots_are_told_with_a_step_that_would_not() {
    let config = |text| Config::parse(text).unwrap();
    let lost = config("{\"services\": {\"a\": 32000, \"b\": 32100}, \"step\": 100}");
    let problem = lost_slots(&worktree(), &lost).unwrap().to_string();
    assert!(problem.contains("only 4 worktrees"), "{problem}");
    let (_, mend) = problem.split_once("set `step` to ").unwrap();
    let (step, _) = mend.split_once(',').unwrap();
    let mended = format!("{{\"services\": {{\"a\": 32000, \"b\": 32100}}, \"step\": {step}}}");
    assert!(lost_slots(&worktree(), &config(&mended)).is_none());
}

#[test]
fn an_entry_that_cannot_be_read_is_told_and_one_that_is_being_made_is_not() {
    let denied = Place::Unreadable(io::Error::from(io::ErrorKind::PermissionDenied));
    let table = [
        (denied, false, true),
        (Place::Unknown, false, false),
        // One that stays so holds ports.
        (Place::Unknown, true, true),
    ];
    for (place, is_reserved, is_problem) in table {
        let entry = Entry {
            git_dir: worktree().git_dir,
            place,
            is_main: false,
        };
        assert_eq!(problem_of_entry(&entry, is_reserved).is_some(), is_problem);
    }
}

fn problems_of(fixture: &Fixture) -> Vec<String> {
    let options: LockOptions<'_> = fixture.options();
    let repository = fixture.repository();
    let locked = locked::acquire(&repository, Purpose::Look, &options).unwrap();
    let reservations = locked
        .gather(&repository, None, options.narrator)
        .unwrap()
        .past();
    drop(locked);
    let check = Check {
        repository: &repository,
        probe: Probe::new(options.narrator),
        reservations: &reservations,
        config_of_main: None,
        narrator: options.narrator,
    };
    let holders = reservations.holders().iter().enumerate();
    let problems = holders.flat_map(|(i, holder)| check.problems_of(i, holder).unwrap());
    problems.map(|problem| problem.to_string()).collect()
}

#[test]
fn what_is_told_is_mended_by_the_call_by_hand_that_is_named() {
    let fixture = Fixture::new();
    let (one, other) = (fixture.add("a"), fixture.add("b"));
    let repository = fixture.repository();
    for worktree in [&one, &other] {
        reserve::ensure(&repository, worktree, &fixture.options()).unwrap();
    }
    assert_eq!(problems_of(&fixture), [] as [&str; 0]);
    let path = one.root.join(port_file::NAME);
    let own = fs::read(&path).unwrap();
    let record = record::Place::of(&one).path().to_owned();
    // What lies there, and a word of what is told.
    let table: [(&[u8], &str); 2] = [(b"{", "is damaged"), (&own, "does not say what")];
    for (content, told) in table {
        fs::write(&path, content).unwrap();
        if content == own {
            fs::remove_file(&record).unwrap();
        }
        let problems = problems_of(&fixture);
        let [problem] = problems.as_slice() else {
            panic!("{told}: {problems:?}");
        };
        assert!(problem.contains(told), "{problem}");
        assert!(
            problem.contains("run `worktree-ports-hook -C "),
            "{problem}"
        );
        reserve::ensure(&repository, &one, &fixture.options()).unwrap();
        assert_eq!(problems_of(&fixture), [] as [&str; 0], "{told}");
    }
    assert_eq!(fs::read(&path).unwrap(), own);
}
