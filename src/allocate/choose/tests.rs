//! Tests of `choose`.

use proptest::prelude::*;

use super::*;
use crate::allocate::reservations::Reservations;
use crate::ports::fixture::{bundle, port};

fn config(services: &[(&str, u16)], step: u32) -> Config {
    let services = services.iter().map(|(name, base)| Service {
        name: ServiceName::new(*name),
        base: port(*base),
    });
    Config {
        services: services.collect(),
        step,
        urls: Vec::new(),
        env: Vec::new(),
        env_files: Vec::new(),
        templates: Vec::new(),
    }
}

/// A worktree that has these ports and no slot, in a bare repository: slot 0 is anyone's.
fn reserving(ports: &[u16]) -> Reservations<'static> {
    Reservations::of(&[("other", None, ports, false)])
}

/// The slots that `config` leaves to choose from, for the main worktree or a linked one.
/// The slots from which the probe may choose.
fn candidates(choice: &Choice<'_>) -> impl Iterator<Item = Slot> {
    let slots = choice.slots();
    let clear = slots.filter(|(slot, ports)| choice.are_clear(*slot, ports.iter().copied()));
    clear.map(|(slot, _)| slot)
}

fn slots_beside(config: &Config, reservations: &Reservations<'_>, is_main: bool) -> Vec<u32> {
    let choice = Choice::new(config, reservations.except(None), is_main);
    candidates(&choice).map(|slot| slot.0).collect()
}

fn slots(config: &Config, reserved: &[u16]) -> Vec<u32> {
    slots_beside(config, &reserving(reserved), false)
}

#[test]
fn candidates_ascend_from_slot_0_and_skip_what_is_reserved_or_unusable() {
    // The services, the step, what is reserved, and the slots of the candidates.
    type Row<'a> = (&'a [(&'a str, u16)], u32, &'a [u16], &'a [u32]);
    let wide = 10_000;
    let table: [Row<'_>; 11] = [
        (&[("a", 8000)], wide, &[], &[0, 1, 2]),
        (&[("a", 8000)], wide, &[8000], &[1, 2]),
        (&[("a", 8000)], wide, &[18_000], &[0, 2]),
        (&[("a", 8000)], wide, &[18_001], &[0, 1, 2]),
        (&[("a", 8000), ("b", 9000)], wide, &[19_000], &[0, 2]),
        // Sets of ports are compared: slot 0 of `b` is slot 1 of `a`.
        (&[("a", 8000), ("b", 18_000)], wide, &[18_000], &[]),
        // The ceiling, also for the lower of two services.
        (&[("a", 32_767)], 1, &[], &[0]),
        (&[("a", 32_766)], 1, &[], &[0, 1]),
        (&[("a", 32_768)], wide, &[], &[0, 1, 2, 3]),
        (&[("a", 65_535)], 1, &[], &[0]),
        (&[("a", 2767), ("b", 40_000)], wide, &[], &[0, 1, 2]),
    ];
    for (services, step, reserved, expected) in table {
        let config = config(services, step);
        assert_eq!(
            slots(&config, reserved),
            expected,
            "{services:?} {reserved:?}"
        );
    }
}

#[test]
fn every_port_that_browsers_block_is_skipped_but_as_a_base_port() {
    for blocked in BLOCKED_BY_BROWSERS {
        let below = config(&[("a", blocked - 1)], 1);
        assert!(!slots(&below, &[]).contains(&1), "{blocked}");
        let at = config(&[("a", blocked)], 1);
        assert!(slots(&at, &[]).contains(&0), "{blocked}");
        // Nor does it matter which of the services it is.
        let second = config(&[("b", 20_000), ("a", blocked - 1)], 1);
        assert!(!slots(&second, &[]).contains(&1), "{blocked}");
    }
}

#[test]
fn a_slot_with_an_unusable_port_is_passed_over() {
    let config = config(&[("a", 5900)], 100);
    let reserved = reserving(&[5900, 6100, 6050]);
    let choice = Choice::new(&config, reserved.except(None), false);
    assert_eq!(candidates(&choice).next(), Some(Slot(3)));
    let slots: Vec<u32> = choice.slots().map(|(slot, _)| slot.0).collect();
    assert_eq!((&slots[..3], slots.len()), (&[0, 2, 3][..], 268));
}

#[test]
fn a_bundle_follows_the_config_and_no_port_of_it_moves() {
    type Ports<'a> = &'a [(&'a str, u16)];
    // The bundle, the config's services, what another worktree reserves, and the bundle then.
    type Row<'a> = (Bundle, Ports<'a>, &'a [u16], Bundle);
    let own = || bundle(2, &[("a", 8200)]);
    let table: [Row<'_>; 8] = [
        (own(), &[("a", 8000)], &[8200], own()),
        (
            own(),
            &[("b", 9000), ("a", 8000)],
            &[],
            bundle(2, &[("b", 9200), ("a", 8200)]),
        ),
        (own(), &[("b", 9000), ("a", 8000)], &[9200], own()),
        // Blocked at that slot, and past the ceiling.
        (own(), &[("a", 8000), ("b", 5800)], &[], own()),
        (own(), &[("a", 8000), ("b", 32_600)], &[], own()),
        // `a` does not stand at that slot any more.
        (own(), &[("a", 8100), ("b", 9000)], &[], own()),
        // Lost, and lost with one gained.
        (
            bundle(2, &[("a", 8200), ("b", 9200)]),
            &[("b", 9000)],
            &[],
            bundle(2, &[("b", 9200)]),
        ),
        (own(), &[("b", 9000)], &[], bundle(2, &[("b", 9200)])),
    ];
    for (own, services, reserved, expected) in table {
        let config = config(services, 100);
        let reserved = reserving(reserved);
        let choice = Choice::new(&config, reserved.except(None), false);
        assert_eq!(choice.update(&own), expected, "{own:?} {services:?}");
    }
}

#[test]
fn slot_0_is_the_main_worktrees_by_both_configs_or_anyones_if_bare() {
    let own = config(&[("a", 8000)], 100);
    let main = |ports| Reservations::of(&[("main", None, ports, true)]);
    let bare = reserving(&[]);
    // The main worktree's config has other base ports: the own one's slot 0 is kept too.
    assert_eq!(slots_beside(&own, &main(&[9000]), false)[..2], [1, 2]);
    // Its slot 0 is a later slot of the own config.
    assert_eq!(slots_beside(&own, &main(&[8100]), false)[..2], [2, 3]);
    assert_eq!(slots_beside(&own, &bare, false)[..2], [0, 1]);
    // A service whose port in another slot is that of another service in slot 0.
    let two = config(&[("a", 8000), ("b", 8100)], 100);
    assert_eq!(slots_beside(&two, &main(&[9000]), false)[..2], [2, 3]);
    assert_eq!(slots_beside(&two, &bare, false)[..2], [0, 1]);
    // The main worktree itself leaves no entry of its own among the others.
    assert_eq!(slots_beside(&own, &bare, true)[..2], [0, 1]);
}

#[test]
fn only_slot_0_of_the_main_worktree_is_its_own_by_right_and_not_probed() {
    let config = config(&[("a", 8000)], 100);
    let none = reserving(&[]);
    for is_main in [true, false] {
        let choice = Choice::new(&config, none.except(None), is_main);
        for (slot, expected) in [(0, is_main), (1, false)] {
            assert_eq!(choice.is_by_right(Slot(slot)), expected, "{is_main} {slot}");
        }
    }
}

#[test]
fn the_main_worktree_gets_slot_0_unless_another_has_a_part_of_it() {
    type Row<'a> = (Option<u32>, &'a [u16], u32);
    let config = config(&[("a", 8000)], 100);
    let table: [Row<'_>; 4] = [
        (Some(1), &[8100], 0),
        (Some(0), &[9000], 1),
        (None, &[8000], 1),
        (Some(5), &[8000], 1),
    ];
    for (slot, ports, expected) in table {
        let others = Reservations::of(&[("other", slot, ports, false)]);
        // Slot 1 is the other's where it has that.
        assert_eq!(
            slots_beside(&config, &others, true)[0],
            expected,
            "{slot:?} {ports:?}"
        );
    }
}

#[test]
fn a_slot_of_another_worktree_is_passed_over_whatever_its_ports() {
    let own = config(&[("a", 8000)], 100);
    let others = Reservations::of(&[
        ("main", None, &[3000], true),
        ("x", Some(1), &[20_000], false),
        ("y", Some(3), &[], false),
    ]);
    assert_eq!(slots_beside(&own, &others, false)[..3], [2, 4, 5]);
}

#[test]
fn a_record_is_restored_only_if_its_slot_and_all_its_ports_are_clear() {
    type Row<'a> = (u32, &'a [(&'a str, u16)], bool);
    let config = config(&[("a", 8000), ("b", 9000)], 100);
    let others = Reservations::of(&[
        ("main", None, &[7000], true),
        ("x", Some(1), &[5000], false),
    ]);
    let choice = Choice::new(&config, others.except(None), false);
    let table: [Row<'_>; 8] = [
        (2, &[("a", 8200), ("b", 9200)], true),
        // The slot of another.
        (1, &[("a", 8200)], false),
        // A port of another, of the main worktree's slot 0 by its config, and by the own one.
        (2, &[("a", 8200), ("b", 5000)], false),
        (2, &[("a", 7000)], false),
        (2, &[("a", 8000)], false),
        (2, &[("gone", 9000)], false),
        // Slot 0 is the main worktree's.
        (0, &[("a", 8300)], false),
        (2, &[("a", 8300)], true),
    ];
    for (slot, ports, expected) in table {
        assert_eq!(
            choice.is_clear(&bundle(slot, ports)),
            expected,
            "{slot} {ports:?}"
        );
    }
}

#[test]
fn a_service_joins_no_port_of_slot_0_of_the_main_worktree() {
    let config = config(&[("a", 8000), ("b", 8100), ("c", 9000)], 100);
    let main = Reservations::of(&[("main", None, &[9300], true)]);
    let choice = Choice::new(&config, main.except(None), false);
    let update = |slot, ports: &[(&str, u16)]| choice.update(&bundle(slot, ports));
    // In slot 1, `a` would have the port that `b` has in slot 0.
    assert_eq!(
        update(1, &[("b", 8200)]),
        bundle(1, &[("b", 8200), ("c", 9100)])
    );
    // In slot 3, `c` would have the port of the main worktree.
    assert_eq!(
        update(3, &[("a", 8300)]),
        bundle(3, &[("a", 8300), ("b", 8400)])
    );
}

fn any_config() -> impl Strategy<Value = Config> {
    let bases = prop::collection::btree_set(1024_u16..=65_535, 1..8);
    let bases = bases.prop_map(|bases| bases.into_iter().collect::<Vec<u16>>());
    (bases.prop_shuffle(), 1_u32..=10_000).prop_map(|(bases, step)| {
        let names: Vec<String> = (0..bases.len()).map(|i| format!("s{i}")).collect();
        let services: Vec<(&str, u16)> = names.iter().map(String::as_str).zip(bases).collect();
        config(&services, step)
    })
}

proptest! {
    /// Against the contract's words, read slowly: every slot up to the last port is asked.
    #[test]
    fn candidates_are_what_the_contract_says(
        config in any_config(),
        reserved in prop::collection::vec(1024_u16..=65_535, 0..200),
    ) {
        let is_candidate = |slot: u32| {
            config.services.iter().all(|service| {
                let base = u32::from(service.base.number());
                let port = base + slot * config.step;
                let highest = if base > 32_767 { 65_535 } else { 32_767 };
                port <= highest
                    && (slot == 0 || !BLOCKED_BY_BROWSERS.iter().any(|&b| u32::from(b) == port))
                    && !reserved.iter().any(|&r| u32::from(r) == port)
            })
        };
        let last = 65_535 / config.step;
        let expected: Vec<u32> = (0..=last).filter(|&slot| is_candidate(slot)).collect();
        prop_assert_eq!(slots(&config, &reserved), expected);
    }

    #[test]
    fn an_update_by_any_config_moves_no_port(
        config in any_config(),
        ports in prop::collection::vec(1024_u16..=65_535, 1..8),
        slot in 0_u32..100,
    ) {
        let names: Vec<String> = (0..ports.len()).map(|i| format!("s{}", i * 2)).collect();
        let ports: Vec<(&str, u16)> = names.iter().map(String::as_str).zip(ports).collect();
        let own = bundle(slot, &ports);
        let nothing = reserving(&[]);
        let choice = Choice::new(&config, nothing.except(None), false);
        let updated = choice.update(&own);
        for service in &config.services {
            if let Some(port) = own.port(&service.name) {
                prop_assert_eq!(updated.port(&service.name), Some(port));
            }
        }
        let declared = |name: &ServiceName| config.services.iter().any(|s| s.name == *name);
        prop_assert!(updated.ports.iter().all(|(name, _)| declared(name)));
        // Once is enough.
        let again = choice.update(&updated);
        if !updated.ports.is_empty() {
            prop_assert_eq!(again, updated);
        }
    }

    /// Whatever configs the worktrees have, one after the other each gets a slot and ports that no
    /// other one has.
    #[test]
    fn no_two_worktrees_are_given_one_slot_or_one_port(
        configs in prop::collection::vec(any_config(), 2..8),
        has_main in any::<bool>(),
    ) {
        let mut given: Vec<(String, Bundle, bool)> = Vec::new();
        for (i, config) in configs.iter().enumerate() {
            let is_main = has_main && i == 0;
            let ports: Vec<Vec<u16>> = given.iter()
                .map(|(_, bundle, _)| bundle.ports.iter().map(|(_, port)| port.number()).collect())
                .collect();
            let others: Vec<(&str, Option<u32>, &[u16], bool)> = given.iter().zip(&ports)
                .map(|((id, bundle, is_main), ports)| {
                    (id.as_str(), Some(bundle.slot.0), ports.as_slice(), *is_main)
                })
                .collect();
            let others = Reservations::of(&others);
            let choice = Choice::new(config, others.except(None), is_main);
            let slot = candidates(&choice).next();
            let Some(bundle) = slot.and_then(|slot| config.bundle(slot)) else { continue };
            prop_assert!(!(has_main && !is_main && bundle.slot == Slot::MAIN));
            for (_, other, _) in &given {
                prop_assert_ne!(other.slot, bundle.slot);
                prop_assert!(bundle.ports.iter().all(|(_, port)| other.service(*port).is_none()));
            }
            prop_assert!(choice.is_clear(&bundle));
            given.push((format!("w{i}"), bundle, is_main));
        }
    }
}
