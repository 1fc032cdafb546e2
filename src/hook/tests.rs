//! Tests of `hook`.

use std::fs;

use proptest::prelude::*;

use super::*;
use crate::git::fixture::Fixture;

#[test]
fn only_the_flag_1_is_a_checkout_of_a_branch() {
    let null = "0".repeat(40);
    let head = "0123456789".repeat(4);
    let table = [
        (null.as_str(), "1", Some(true)),
        (&"0".repeat(64), "1", Some(true)),
        (&head, "1", Some(false)),
        (&null, "0", None),
        (&head, "0", None),
        (&head, "", None),
        (&head, "11", None),
        (&head, "true", None),
    ];
    for (previous_head, flag, is_first) in table {
        let checkout = Checkout::parse(previous_head, flag);
        assert_eq!(
            checkout,
            is_first.map(|is_first| Checkout { is_first }),
            "{previous_head} {flag}"
        );
    }
}

/// What a run of the hook did with the port file.
#[derive(Debug, PartialEq)]
enum Did {
    Nothing,
    Reserved,
    ToldTracked,
}

const OWN: &str = "{\"worktree\": \"a\", \"slot\": 7, \"ports\": {\"cloud\": 8700}}";
const COPIED: &str = "{\"worktree\": \"b\", \"slot\": 7, \"ports\": {\"cloud\": 8700}}";

fn run_over(content: Option<&str>, is_first: bool, is_tracked: bool) -> Did {
    let fixture = Fixture::new();
    let worktree = fixture.add("a");
    let path = worktree.root.join(port_file::NAME);
    if let Some(content) = content {
        fs::write(&path, content).unwrap();
        if is_tracked {
            fixture.git(&worktree.root, &["add", "--force", port_file::NAME]);
        }
    }
    let ran = run(&Checkout { is_first }, &worktree.root, || {
        Ok(fixture.options())
    });
    let after = fs::read_to_string(&path).ok();
    match ran {
        Err(error) => {
            assert!(error.to_string().contains("git tracks"), "{error}");
            assert_eq!(after.as_deref(), content);
            Did::ToldTracked
        }
        Ok(()) if after.as_deref() == content => Did::Nothing,
        Ok(()) => {
            let found = port_file::read(&worktree.root).unwrap();
            assert!(matches!(State::of(&found, Some("a")), State::Own(_)));
            Did::Reserved
        }
    }
}

#[test]
fn the_decision_follows_from_whose_the_file_is() {
    use Did::{Nothing, Reserved, ToldTracked};
    // What becomes of the content at a first checkout where the file is not tracked, where it is,
    // and at another checkout where it is not, and where it is.
    let table = [
        (None, [Reserved, Reserved, Reserved, Reserved]),
        (Some(OWN), [Nothing, ToldTracked, Nothing, Nothing]),
        (Some("{}"), [Nothing, ToldTracked, Nothing, Nothing]),
        (Some(COPIED), [Reserved, ToldTracked, Reserved, ToldTracked]),
        (Some("{"), [Reserved, ToldTracked, Reserved, ToldTracked]),
    ];
    for (content, expected) in table {
        let cases = [(true, false), (true, true), (false, false), (false, true)];
        for ((is_first, is_tracked), expected) in cases.into_iter().zip(expected) {
            let did = run_over(content, is_first, is_tracked);
            assert_eq!(did, expected, "{content:?} {is_first} {is_tracked}");
        }
    }
}

#[test]
fn the_index_is_asked_only_at_a_first_checkout_where_a_file_lies_there() {
    let run_with_broken_index = |content: Option<&str>, is_first| {
        let fixture = Fixture::new();
        let worktree = fixture.add("a");
        if let Some(content) = content {
            fs::write(worktree.root.join(port_file::NAME), content).unwrap();
        }
        fs::write(worktree.git_dir.join("index"), "no index").unwrap();
        run(&Checkout { is_first }, &worktree.root, || {
            Ok(fixture.options())
        })
    };
    for content in [OWN, "{}"] {
        run_with_broken_index(Some(content), true).unwrap_err();
        run_with_broken_index(Some(content), false).unwrap();
    }
    run_with_broken_index(None, true).unwrap();
}

#[test]
fn the_main_worktree_and_what_is_no_worktree_are_not_served() {
    let fixture = Fixture::new();
    for here in [fixture.main(), fixture.directory()] {
        run(
            &Checkout { is_first: true },
            &here,
            || Ok(fixture.options()),
        )
        .unwrap();
        assert!(!here.join(port_file::NAME).exists());
    }
}

proptest! {
    #[test]
    fn any_arguments_are_read(previous_head in any::<String>(), flag in any::<String>()) {
        let checkout = Checkout::parse(&previous_head, &flag);
        prop_assert_eq!(checkout.is_some(), flag == "1");
    }

    #[test]
    fn an_id_is_null_where_it_is_all_zeros(previous_head in "[01]{40}|[0f]{64}|0{40}") {
        let checkout = Checkout::parse(&previous_head, "1").unwrap();
        prop_assert_eq!(checkout.is_first, !previous_head.contains(['1', 'f']));
    }
}
