//! Tests of `allocate`.

use proptest::prelude::*;

use super::*;

fn config(services: &[(&str, u16)], step: u32) -> Config {
    let services = services.iter().map(|(name, base)| Service {
        name: (*name).to_owned(),
        base: port_of(*base),
    });
    Config {
        services: services.collect(),
        step,
        urls: Vec::new(),
    }
}

fn set(ports: &[u16]) -> PortSet {
    let mut set = PortSet::new();
    for port in ports {
        set.insert(port_of(*port));
    }
    set
}

fn port_of(number: u16) -> Port {
    Port::new(u64::from(number)).unwrap()
}

fn bundle(slot: Option<u32>, ports: &[(&str, u16)]) -> Bundle {
    let ports = ports.iter();
    Bundle {
        slot: slot.map(Slot),
        ports: ports
            .map(|(name, port)| ((*name).to_owned(), port_of(*port)))
            .collect(),
    }
}

fn slots(config: &Config, reserved: &[u16]) -> Vec<u32> {
    let reserved = set(reserved);
    let slots = Candidates::new(config, &reserved).map(|bundle| bundle.slot.unwrap().0);
    slots.collect()
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
fn what_is_passed_over_is_counted() {
    let config = config(&[("a", 5900)], 100);
    let reserved = set(&[5900, 6100, 6050]);
    let mut candidates = Candidates::new(&config, &reserved);
    assert_eq!(candidates.next().unwrap().slot, Some(Slot(3)));
    // Slot 1 is unusable, and so not tried.
    assert_eq!((candidates.tried, candidates.taken), (3, 2));
    candidates.by_ref().for_each(drop);
    assert_eq!((candidates.tried, candidates.taken), (268, 2));
}

#[test]
fn a_bundle_follows_the_config_and_no_port_of_it_moves() {
    type Ports<'a> = &'a [(&'a str, u16)];
    // The bundle, the config's services, the ports that are not free, and what becomes of it.
    type Row<'a> = (Bundle, Ports<'a>, &'a [u16], Bundle);
    let own = || bundle(Some(2), &[("a", 8200)]);
    let table: [Row<'_>; 11] = [
        (own(), &[("a", 8000)], &[8200], own()),
        (
            own(),
            &[("b", 9000), ("a", 8000)],
            &[],
            bundle(Some(2), &[("b", 9200), ("a", 8200)]),
        ),
        (own(), &[("b", 9000), ("a", 8000)], &[9200], own()),
        // Blocked at that slot, and past the ceiling.
        (own(), &[("a", 8000), ("b", 5800)], &[], own()),
        (own(), &[("a", 8000), ("b", 32_600)], &[], own()),
        // `a` does not stand at that slot any more.
        (own(), &[("a", 8100), ("b", 9000)], &[], own()),
        // Lost, and lost with one gained.
        (
            bundle(Some(2), &[("a", 8200), ("b", 9200)]),
            &[("b", 9000)],
            &[],
            bundle(Some(2), &[("b", 9200)]),
        ),
        (own(), &[("b", 9000)], &[], bundle(Some(2), &[("b", 9200)])),
        // A file made by hand that names no slot.
        (
            bundle(None, &[("a", 8200)]),
            &[("a", 8000), ("b", 9000)],
            &[],
            bundle(Some(2), &[("a", 8200), ("b", 9200)]),
        ),
        (
            bundle(None, &[("a", 8250)]),
            &[("a", 8000), ("b", 9000)],
            &[],
            bundle(None, &[("a", 8250)]),
        ),
        // Below its own base port.
        (
            bundle(None, &[("a", 7900)]),
            &[("a", 8000), ("b", 9000)],
            &[],
            bundle(None, &[("a", 7900)]),
        ),
    ];
    for (own, services, taken, expected) in table {
        let taken = set(taken);
        let followed = follow(&own, &config(services, 100), |_, port| {
            Ok(!taken.contains(port))
        });
        assert_eq!(followed.unwrap(), expected, "{own:?} {services:?}");
    }
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
    fn following_any_config_moves_no_port(
        config in any_config(),
        ports in prop::collection::vec(1024_u16..=65_535, 1..8),
        slot in prop::option::of(0_u32..100),
    ) {
        let names: Vec<String> = (0..ports.len()).map(|i| format!("s{}", i * 2)).collect();
        let ports: Vec<(&str, u16)> = names.iter().map(String::as_str).zip(ports).collect();
        let own = bundle(slot, &ports);
        let followed = follow(&own, &config, |_, _| Ok(true)).unwrap();
        for service in &config.services {
            if let Some(port) = own.port(&service.name) {
                prop_assert_eq!(followed.port(&service.name), Some(port));
            }
        }
        let declared = |name: &String| config.services.iter().any(|s| s.name == *name);
        prop_assert!(followed.ports.iter().all(|(name, _)| declared(name)));
        // Once is enough.
        let again = follow(&followed, &config, |_, _| Ok(true)).unwrap();
        if !followed.ports.is_empty() {
            prop_assert_eq!(again, followed);
        }
    }
}
