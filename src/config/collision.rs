//! Services whose base ports are so many steps apart that slots get lost.

use crate::config::{Config, Service, port_of};
use crate::ports::{Port, Slot};

/// Two services that have the same port in different slots, of which only one can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collision<'a> {
    /// The service with the lower base port.
    pub lower: &'a Service,
    /// The service whose port in any slot `lower` has `slots_apart` slots later.
    pub higher: &'a Service,
    /// How many slots later: the lower, the sooner worktrees meet it.
    pub slots_apart: u32,
    /// The step nearest to the config's by which no two services collide, if there is one.
    pub better_step: Option<u32>,
}

impl Config {
    /// The two services that meet in the nearest slots, if any do in slots in which every port
    /// `is_usable`. A worktree in one of these slots makes the other useless.
    pub fn colliding_services(
        &self,
        is_usable: impl Fn(&Service, Slot, Port) -> bool,
    ) -> Option<Collision<'_>> {
        let (slots_apart, lower, higher) = self.nearest_collision(self.step, &is_usable)?;
        let nearest_first = (1..10_000)
            .flat_map(|distance| [self.step + distance, self.step.saturating_sub(distance)]);
        let better_step = nearest_first
            .filter(|step| (1..=10_000).contains(step))
            .find(|step| self.nearest_collision(*step, &is_usable).is_none());
        Some(Collision {
            lower,
            higher,
            slots_apart,
            better_step,
        })
    }

    fn nearest_collision(
        &self,
        step: u32,
        is_usable: &impl Fn(&Service, Slot, Port) -> bool,
    ) -> Option<(u32, &Service, &Service)> {
        let usable = self.usable_slots(step, is_usable);
        let collision = |(lower, higher): (&'_ Service, &'_ Service)| {
            let ports_apart = higher.base.number().checked_sub(lower.base.number());
            let ports_apart = ports_apart.map(u32::from).filter(|&ports| ports > 0)?;
            let slots_apart = (ports_apart % step == 0).then_some(ports_apart / step)?;
            let is_met = |slot: &u32| usable.binary_search(&(slot + slots_apart)).is_ok();
            usable.iter().any(is_met).then_some(slots_apart)
        };
        let services = &self.services;
        let pairs = services
            .iter()
            .flat_map(|lower| services.iter().map(move |higher| (lower, higher)));
        let collisions = pairs.filter_map(|pair| Some((collision(pair)?, pair.0, pair.1)));
        collisions.min_by_key(|(slots_apart, ..)| *slots_apart)
    }

    /// The slots, ascending, in which every service has a port that `is_usable`.
    fn usable_slots(
        &self,
        step: u32,
        is_usable: &impl Fn(&Service, Slot, Port) -> bool,
    ) -> Vec<u32> {
        let has_usable_port = |service, slot| {
            port_of(service, slot, step).is_some_and(|port| is_usable(service, slot, port))
        };
        // No port is so high that it has more slots.
        let slots = 0..=u32::from(u16::MAX) / step;
        let is_usable = |slot: &u32| {
            let mut services = self.services.iter();
            services.all(|service| has_usable_port(service, Slot(*slot)))
        };
        slots.filter(is_usable).collect()
    }
}

#[cfg(test)]
mod tests;
