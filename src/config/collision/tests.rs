//! Tests of `config::collision`.

use proptest::prelude::*;

use super::*;

/// As the allocation has it, without the ports that browsers block.
fn is_usable(service: &Service, _: Slot, port: Port) -> bool {
    port.number() <= 32767 || service.base.number() > 32767
}

fn config(services: &[(&str, u16)], step: u32) -> Config {
    let services: Vec<String> = services
        .iter()
        .map(|(name, base)| format!("\"{name}\": {base}"))
        .collect();
    Config::parse(&format!(
        "{{\"services\": {{{}}}, \"step\": {step}}}",
        services.join(", ")
    ))
    .unwrap()
}

fn collision(services: &[(&str, u16)], step: u32) -> Option<(String, String, u32, Option<u32>)> {
    let config = config(services, step);
    let found = config.colliding_services(is_usable)?;
    let name = |service: &Service| service.name.as_str().to_owned();
    Some((
        name(found.lower),
        name(found.higher),
        found.slots_apart,
        found.better_step,
    ))
}

#[test]
fn services_that_meet_in_different_slots_are_found_with_the_nearest_step_that_parts_them() {
    let found = |lower: &str, higher: &str, slots, step| {
        Some((lower.to_owned(), higher.to_owned(), slots, Some(step)))
    };
    assert_eq!(collision(&[("web", 3000)], 100), None);
    assert_eq!(collision(&[("web", 3000), ("api", 3050)], 100), None);
    assert_eq!(
        collision(&[("web", 3000), ("api", 3100)], 100),
        found("web", "api", 1, 101)
    );
    assert_eq!(
        collision(&[("api", 9001), ("web", 9000)], 1),
        found("web", "api", 1, 2)
    );
    assert_eq!(
        collision(&[("web", 3000), ("api", 8000)], 100),
        found("web", "api", 50, 101)
    );
    // The slot in which they would meet is past the last usable port, of one or of both.
    assert_eq!(collision(&[("web", 3000), ("api", 30_000)], 100), None);
    assert_eq!(
        collision(&[("web", 3000), ("api", 43_000), ("db", 32_000)], 100),
        None
    );
    assert_eq!(collision(&[("web", 33_000), ("api", 65_000)], 100), None);
    assert_eq!(
        collision(&[("web", 33_000), ("api", 43_000)], 100),
        found("web", "api", 100, 101)
    );
    // 101 and 99 part the first two and bring others together.
    assert_eq!(
        collision(&[("a", 3000), ("b", 3100), ("c", 3101), ("d", 3099)], 100),
        found("a", "b", 1, 102)
    );
}

#[test]
fn a_slot_with_a_blocked_port_is_lost_already() {
    let config = config(&[("web", 3000), ("api", 3100)], 100);
    assert!(
        config
            .colliding_services(|_, slot, _| slot == Slot(0))
            .is_none()
    );
    assert!(
        config
            .colliding_services(|_, slot, _| slot.0.is_multiple_of(2))
            .is_none()
    );
    assert!(config.colliding_services(|_, slot, _| slot.0 > 5).is_some());
}

proptest! {
    // Each case walks all slots of several steps.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn two_services_collide_where_two_usable_slots_share_a_port(
        bases in prop::collection::vec((1024_u16..4000, 0_u16..4), 1..5),
        step in prop_oneof![1_u32..20, 900_u32..10_000],
    ) {
        let bases = bases.into_iter().map(|(base, steps)| {
            u32::from(base) + u32::from(steps) * step
        });
        let bases: std::collections::BTreeSet<u16> =
            bases.filter_map(|base| u16::try_from(base).ok()).collect();
        let names: Vec<String> = (0..bases.len()).map(|i| format!("s{i}")).collect();
        let services: Vec<(&str, u16)> = names.iter().map(String::as_str).zip(bases).collect();
        prop_assume!(!services.is_empty());

        let shares_ports = |step: u32| {
            let config = config(&services, step);
            let usable = (0..).map(Slot).map_while(|slot| Some((slot, config.ports(slot)?)));
            let usable = usable.filter(|(slot, ports)| {
                config.services.iter().zip(ports).all(|(service, port)| is_usable(service, *slot, *port))
            });
            let mut seen = std::collections::BTreeSet::new();
            usable.flat_map(|(_, ports)| ports).any(|port| !seen.insert(port.number()))
        };
        let found = collision(&services, step);
        prop_assert_eq!(found.is_some(), shares_ports(step));
        if let Some((.., Some(better))) = found {
            prop_assert!(!shares_ports(better), "{}", better);
        }
    }
}
