//! How many slots are left if services take each other's ports.

use std::collections::BTreeSet;

use crate::config::{Config, Service};
use crate::ports::{Port, Slot};

/// With this many slots, nobody misses the others.
const ENOUGH: usize = 8;

/// Too few slots, because the services' base ports are whole steps apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotShortage {
    /// How many worktrees can have ports at the same time, the main one included: fewer than 8.
    pub usable: usize,
    /// The step nearest to the config's with which there are enough, if there is one.
    pub better_step: Option<u32>,
}

impl Config {
    /// Whether fewer than 8 slots are left because others have a port of a lower slot. A slot with a
    /// port that is not `is_usable` does not count.
    pub fn slot_shortage(
        &self,
        is_usable: impl Fn(&Service, Slot, Port) -> bool,
    ) -> Option<SlotShortage> {
        let count = |step| count_slots(&self.services, step, &is_usable);
        let is_enough = |(kept, lost)| kept == ENOUGH || lost == 0;
        let (usable, lost) = count(self.step);
        if is_enough((usable, lost)) {
            return None;
        }
        let mut steps = (1..10_000)
            .flat_map(|distance| [self.step + distance, self.step.saturating_sub(distance)])
            .filter(|step| (1..=10_000).contains(step));
        let better_step = steps.find(|step| {
            let (kept, lost) = count(*step);
            kept > usable && is_enough((kept, lost))
        });
        Some(SlotShortage {
            usable,
            better_step,
        })
    }
}

/// Goes through the slots in the order in which worktrees get them, up to [`ENOUGH`]. Returns how many
/// worktrees can have, and how many are lost because they have a port of one of those.
fn count_slots(
    services: &[Service],
    step: u32,
    is_usable: impl Fn(&Service, Slot, Port) -> bool,
) -> (usize, usize) {
    let mut taken: BTreeSet<Port> = BTreeSet::new();
    let (mut kept, mut lost) = (0, 0);
    for slot in (0..=u32::from(u16::MAX) / step).map(Slot) {
        let port = |service: &Service| {
            let port = service.port(slot, step)?;
            is_usable(service, slot, port).then_some(port)
        };
        let ports: Option<Vec<Port>> = services.iter().map(port).collect();
        match ports {
            Some(ports) if ports.iter().any(|port| taken.contains(port)) => lost += 1,
            Some(ports) => {
                taken.extend(ports);
                kept += 1;
            }
            None => {}
        }
        if kept == ENOUGH {
            break;
        }
    }
    (kept, lost)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shortage(services: &str, step: u32) -> Option<SlotShortage> {
        let config = format!("{{\"services\": {{{services}}}, \"step\": {step}}}");
        let config = Config::parse(&config).unwrap();
        config.slot_shortage(crate::allocate::choose::is_usable)
    }

    #[test]
    fn services_that_leave_eight_slots_are_no_problem() {
        let table = [
            (r#""web": 3000"#, 100),
            (r#""web": 3000, "api": 4000"#, 100),
            (r#""web": 3000, "api": 3001"#, 1),
            (r#""web": 3000, "api": 3100"#, 100),
            // Few slots, but none of them lost.
            (r#""web": 3000"#, 10_000),
            (r#""web": 32000, "api": 32001"#, 500),
        ];
        for (services, step) in table {
            assert_eq!(shortage(services, step), None, "{services} {step}");
        }
    }

    #[test]
    fn slots_that_services_take_from_each_other_are_counted_once() {
        // Slot 1 has the 32100 of slot 0; so it goes on, up to 32700 in slot 6.
        let table = [
            (r#""web": 32000, "api": 32100"#, 100, 4),
            (r#""web": 30000, "api": 31000"#, 1000, 1),
            (r#""a": 32000, "b": 32100, "c": 32200"#, 100, 2),
        ];
        for (services, step, usable) in table {
            let found = shortage(services, step).unwrap();
            assert_eq!(found.usable, usable, "{services} {step}");
            let better = found.better_step.unwrap();
            assert_eq!(shortage(services, better), None, "{services} {better}");
        }
    }

    #[test]
    fn a_better_step_leaves_more_slots_or_none_is_named() {
        for (one, other) in [(32_000, 32_766), (32_766, 32_767), (65_534, 65_535)] {
            for step in [1, 2, 7, 383, 766] {
                let services = format!("\"a\": {one}, \"b\": {other}");
                let Some(found) = shortage(&services, step) else {
                    continue;
                };
                if let Some(better) = found.better_step {
                    assert_eq!(shortage(&services, better), None, "{services} {better}");
                }
            }
        }
    }
}
