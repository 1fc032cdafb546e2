//! Tests of `hook`.

use proptest::prelude::*;

use super::*;
use crate::error::Error;
use crate::ports::{Bundle, Port, Slot};
use crate::state::port_file::Own;

fn ok() -> State {
    State::Ok(Own {
        bundle: Bundle {
            slot: Some(Slot(1)),
            ports: vec![("cloud".to_owned(), Port::new(8100).unwrap())],
        },
        urls: Vec::new(),
    })
}

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

#[test]
fn the_decision_follows_from_whose_the_file_is() {
    use Decision::{Nothing, Reserve, TellTracked};
    // What is decided at a first checkout where the file is not tracked, where it is, and at
    // any other checkout.
    let table = [
        (State::Missing, [Reserve, Reserve, Reserve]),
        (ok(), [Nothing, TellTracked, Nothing]),
        (State::Foreign, [Nothing, TellTracked, Nothing]),
        (State::Copied, [Reserve, TellTracked, Reserve]),
        (State::Damaged, [Reserve, TellTracked, Reserve]),
    ];
    for (state, decisions) in table {
        let cases = [(true, false), (true, true), (false, true)];
        for ((is_first, is_tracked), decision) in cases.into_iter().zip(decisions) {
            let decided = decide(&Checkout { is_first }, &state, || Ok(is_tracked));
            assert_eq!(decided.unwrap(), decision, "{state:?} {is_first}");
        }
    }
}

#[test]
fn the_index_is_asked_only_at_a_first_checkout_where_a_file_lies_there() {
    let refuse = || Err(Error::new("asked"));
    for state in [ok(), State::Copied, State::Damaged, State::Foreign] {
        decide(&Checkout { is_first: true }, &state, refuse).unwrap_err();
        decide(&Checkout { is_first: false }, &state, refuse).unwrap();
    }
    decide(&Checkout { is_first: true }, &State::Missing, refuse).unwrap();
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
