//! How many slots are left if services take each other's ports.

use std::collections::HashSet;

use crate::config::{Config, Service, port_of};
use crate::ports::{Port, Slot};

/// As many slots as nobody misses the others of.
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
    /// Whether so many slots have a port of a lower slot that fewer than 8 are left. A port
    /// counts only if it `is_usable`.
    pub fn slot_shortage(
        &self,
        is_usable: impl Fn(&Service, Slot, Port) -> bool,
    ) -> Option<SlotShortage> {
        let usable = self.lost_slots(self.step, &is_usable)?;
        let steps = (1..10_000)
            .flat_map(|distance| [self.step + distance, self.step.saturating_sub(distance)])
            .filter(|step| (1..=10_000).contains(step));
        let better_step = steps
            .filter(|step| self.slots_in_order(*step, &is_usable).0 > usable)
            .find(|step| self.lost_slots(*step, &is_usable).is_none());
        Some(SlotShortage {
            usable,
            better_step,
        })
    }

    /// How many slots remain, if too few do and some are lost.
    fn lost_slots(
        &self,
        step: u32,
        is_usable: &impl Fn(&Service, Slot, Port) -> bool,
    ) -> Option<usize> {
        let (kept, lost) = self.slots_in_order(step, is_usable);
        (kept < ENOUGH && lost > 0).then_some(kept)
    }

    /// Goes through the slots as worktrees get them: a slot is lost if it has a port of one that is
    /// taken. Returns how many are kept, at most [`ENOUGH`], and how many are lost.
    fn slots_in_order(
        &self,
        step: u32,
        is_usable: &impl Fn(&Service, Slot, Port) -> bool,
    ) -> (usize, usize) {
        let mut taken: HashSet<u16> = HashSet::new();
        let (mut kept, mut lost) = (0, 0);
        for slot in (0..=u32::from(u16::MAX) / step).map(Slot) {
            let usable_port = |service| {
                port_of(service, slot, step).filter(|port| is_usable(service, slot, *port))
            };
            let ports: Option<Vec<Port>> = self.services.iter().map(usable_port).collect();
            let Some(ports) = ports else { continue };
            if ports.iter().any(|port| taken.contains(&port.number())) {
                lost += 1;
                continue;
            }
            taken.extend(ports.iter().map(|port| port.number()));
            kept += 1;
            if kept == ENOUGH {
                break;
            }
        }
        (kept, lost)
    }
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
