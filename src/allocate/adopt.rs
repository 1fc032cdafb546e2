//! Taking over the ports in another tool's file, so that running servers keep them.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::allocate::choose::{Choice, is_usable};
use crate::allocate::probe::Probe;
use crate::config::{Config, Service};
use crate::error::{Error, Result, error, quoted};
use crate::git::worktree::Worktree;
use crate::ports::{Bundle, Port, ServiceName, Slot};
use crate::state::port_file;

/// The bundle of `worktree` with the ports in the other tool's file `bytes`.
///
/// # Errors
/// The file names no port of a service, or one that another worktree has.
pub fn bundle(
    worktree: &Worktree,
    bytes: &[u8],
    choice: &Choice<'_>,
    probe: &Probe<'_>,
) -> Result<Bundle> {
    let path = worktree.root.quoted(port_file::NAME);
    let reallocate = format!("run `{} --reallocate`", worktree.by_hand());
    let config = choice.config;
    let mut ports = named_ports(bytes, config);
    if ports.is_empty() {
        let services = config.services.iter().map(|service| service.name.as_str());
        let services = services.collect::<Vec<_>>().join(", ");
        return Err(error!("{path} names no port of a service").remedy(format!(
            "name the services in the config as in that file (now: {services}), or {reallocate}"
        )));
    }
    let slot = slot_of(&ports, choice, worktree.is_main())?;
    for (i, (service, port)) in ports.iter().enumerate() {
        if let Some((other, _)) = ports[..i].iter().find(|(_, other)| other == port) {
            let error = error!("{path} names port {port} for both {other} and {service}");
            return Err(error.remedy(format!("correct it, or {reallocate}")));
        }
        if !choice.is_port_clear(slot, *port) {
            let holder = match choice.others.holding(*port) {
                Some(holder) => format!("{} ({})", holder.name(), quoted(&holder.path())),
                None => "the main worktree, by the config".to_owned(),
            };
            let error = error!("port {port} ({service}) in {path} is also reserved by {holder}");
            let remedy = format!(
                "{reallocate} to give this one other ports, or the same with the other's path"
            );
            return Err(error.remedy(remedy));
        }
    }
    for service in &config.services {
        if ports.iter().all(|(name, _)| *name != service.name) {
            let port = port_beside(&ports, service, slot, choice, probe)?;
            ports.push((service.name.clone(), port));
        }
    }
    ports.sort_by_key(|(name, _)| config.services.iter().position(|it| it.name == *name));
    Ok(Bundle { slot, ports })
}

/// A port for a service that the file does not name: the slot's port, or else the lowest free one.
fn port_beside(
    ports: &[(ServiceName, Port)],
    service: &Service,
    slot: Slot,
    choice: &Choice<'_>,
    probe: &Probe<'_>,
) -> Result<Port> {
    let slots = [slot].into_iter().chain((0..).map(Slot));
    for slot in slots {
        let Some(port) = choice.config.port(service, slot) else {
            break;
        };
        let is_taken = ports.iter().any(|(_, other)| *other == port);
        let is_candidate = is_usable(service, slot, port) && choice.is_port_clear(slot, port);
        if is_candidate && !is_taken && probe.is_free(port)? {
            return Ok(port);
        }
    }
    Err(error!("no free port for {}", service.name))
}

/// Whether the ports in another tool's file are those of one slot.
pub fn stands_at_a_slot(bytes: &[u8], config: &Config) -> bool {
    common_slot(&named_ports(bytes, config), config).is_some()
}

/// The names in another tool's file that have a port but are not services of the config.
pub fn other_names(bytes: &[u8], config: &Config) -> Vec<String> {
    let object = object(bytes).unwrap_or_default();
    let ports = object.get("ports").and_then(Value::as_object);
    let members = object.iter().chain(ports.into_iter().flatten());
    let is_service = |name: &str| config.services.iter().any(|it| it.name.as_str() == name);
    let others = members.filter(|(name, value)| port_in(value).is_some() && !is_service(name));
    others.map(|(name, _)| name.clone()).collect()
}

/// The ports at `ports.<service>` or `<service>`.
fn named_ports(bytes: &[u8], config: &Config) -> Vec<(ServiceName, Port)> {
    let object = object(bytes).unwrap_or_default();
    let nested = object.get("ports").and_then(Value::as_object);
    let port = |service: &Service| {
        let name = service.name.as_str();
        let places = [nested.and_then(|ports| ports.get(name)), object.get(name)];
        let port = places.into_iter().flatten().find_map(port_in)?;
        Some((service.name.clone(), port))
    };
    config.services.iter().filter_map(port).collect()
}

fn object(bytes: &[u8]) -> Option<Map<String, Value>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    serde_json::from_slice(bytes).ok()
}

fn port_in(value: &Value) -> Option<Port> {
    Port::new(value.as_u64()?)
}

/// The slot of the bundle: 0 in the main worktree; elsewhere, the slot of the ports if it is free,
/// or else the lowest free slot.
fn slot_of(named: &[(ServiceName, Port)], choice: &Choice<'_>, is_main: bool) -> Result<Slot> {
    if is_main && !choice.is_slot_clear(Slot::MAIN) {
        let what = "another worktree has slot 0, which is the main worktree's";
        return Err(Error::new(what)
            .remedy("run `worktree-ports-hook --list` to see which, and `--reallocate` there"));
    }
    if is_main {
        return Ok(Slot::MAIN);
    }
    let own = common_slot(named, choice.config).filter(|slot| choice.is_slot_clear(*slot));
    let mut slots = (0..u32::MAX).map(Slot);
    let lowest = || slots.find(|slot| choice.is_slot_clear(*slot));
    Ok(own
        .or_else(lowest)
        .expect("there are more slots than worktrees"))
}

fn common_slot(named: &[(ServiceName, Port)], config: &Config) -> Option<Slot> {
    let slot = |(name, port): &(ServiceName, Port)| {
        let service = config.service(name)?;
        let offset = u32::from(port.number()).checked_sub(u32::from(service.base.number()))?;
        (offset % config.step == 0).then(|| Slot(offset / config.step))
    };
    let slots: BTreeSet<Option<Slot>> = named.iter().map(slot).collect();
    slots
        .first()
        .copied()
        .flatten()
        .filter(|_| slots.len() == 1)
}

#[cfg(test)]
mod tests;
