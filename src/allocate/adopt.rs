//! Taking over the ports that another tool's file names, so that servers which run on them keep them.

use serde_json::{Map, Value};

use crate::allocate::choose::{Choice, is_usable};
use crate::allocate::probe::Probe;
use crate::config::{Config, Service};
use crate::error::{Error, Result, error, quoted};
use crate::git::worktree::Worktree;
use crate::ports::{Bundle, Port, ServiceName, Slot};
use crate::state::port_file;

/// The bundle of `worktree` with the ports that its port file, another tool's, names.
///
/// # Errors
/// It names no port of a service, or one that another worktree has.
pub fn bundle(
    worktree: &Worktree,
    bytes: &[u8],
    choice: &Choice<'_>,
    probe: &Probe<'_>,
) -> Result<Bundle> {
    let path = quoted(&worktree.root.path_of(port_file::NAME));
    let config = choice.config();
    let named = named_ports(bytes, config);
    if named.is_empty() {
        let services = config.services.iter().map(|service| service.name.as_str());
        return Err(error!("{path} names no port of a service")
            .remedy(format!(
                "give the services in the config the names that it has (now: {}), or run `{} --reallocate`",
                services.collect::<Vec<_>>().join(", "),
                worktree.by_hand()
            )));
    }
    let slot = slot_of(&named, choice, worktree.is_main())?;
    for (i, (service, port)) in named.iter().enumerate() {
        if let Some((other, _)) = named[..i].iter().find(|(_, other)| other == port) {
            return Err(
                error!("{path} names port {port} for both {other} and {service}").remedy(format!(
                    "correct it, or run `{} --reallocate`",
                    worktree.by_hand()
                )),
            );
        }
        if !choice.is_port_clear(slot, *port) {
            let holder = choice.holder_of(*port).map_or_else(
                || "the main worktree, by the config".to_owned(),
                |holder| format!("{} ({})", holder.name(), quoted(&holder.path())),
            );
            return Err(
                error!("port {port} ({service}) in {path} is also reserved by {holder}").remedy(
                    format!(
                        "run `{} --reallocate` for the one of the two that is to move",
                        worktree.by_hand()
                    ),
                ),
            );
        }
    }
    let mut ports = named;
    for service in &config.services {
        if ports.iter().all(|(name, _)| *name != service.name) {
            let port = port_beside(&ports, service, slot, choice, probe)?;
            ports.push((service.name.clone(), port));
        }
    }
    let place = |name: &ServiceName| config.services.iter().position(|it| it.name == *name);
    ports.sort_by_key(|(name, _)| place(name));
    Ok(Bundle { slot, ports })
}

/// A port for a service that the file does not name: that of the slot, else the lowest free one.
fn port_beside(
    ports: &[(ServiceName, Port)],
    service: &Service,
    slot: Slot,
    choice: &Choice<'_>,
    probe: &Probe<'_>,
) -> Result<Port> {
    for slot in [slot].into_iter().chain((0..).map(Slot)) {
        let Some(port) = choice.config().port(service, slot) else {
            break;
        };
        let is_taken = ports.iter().any(|(_, other)| *other == port);
        if is_usable(service, slot, port)
            && !is_taken
            && choice.is_port_clear(slot, port)
            && probe.is_free(port)?
        {
            return Ok(port);
        }
    }
    Err(error!("no free port for {}", service.name))
}

/// Whether the ports that a file of another tool names are those of one slot.
pub fn stands_at_a_slot(bytes: &[u8], config: &Config) -> bool {
    common_slot(&named_ports(bytes, config), config).is_some()
}

/// The numbers in another tool's file that are under other names than the config's services.
pub fn other_names(bytes: &[u8], config: &Config) -> Vec<String> {
    let object = object(bytes).unwrap_or_default();
    let ports = object.get("ports").and_then(Value::as_object);
    let members = object.iter().chain(ports.into_iter().flatten());
    let is_service = |name: &str| config.services.iter().any(|it| it.name.as_str() == name);
    members
        .filter(|(name, value)| port_in(value).is_some() && !is_service(name))
        .map(|(name, _)| name.clone())
        .collect()
}

/// The ports at `ports.<service>` or `<service>`.
fn named_ports(bytes: &[u8], config: &Config) -> Vec<(ServiceName, Port)> {
    let Some(object) = object(bytes) else {
        return Vec::new();
    };
    let services = config.services.iter();
    let port = |name: &ServiceName| {
        let nested = object
            .get("ports")
            .and_then(|ports| ports.get(name.as_str()));
        let places = [nested, object.get(name.as_str())];
        places.into_iter().flatten().find_map(port_in)
    };
    services
        .filter_map(|service| Some((service.name.clone(), port(&service.name)?)))
        .collect()
}

fn object(bytes: &[u8]) -> Option<Map<String, Value>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    serde_json::from_slice(bytes).ok()
}

fn port_in(value: &Value) -> Option<Port> {
    Port::new(value.as_u64()?)
}

/// The slot of the bundle: the main worktree's, else the one that the ports stand at if it is free,
/// else the lowest free one.
fn slot_of(named: &[(ServiceName, Port)], choice: &Choice<'_>, is_main: bool) -> Result<Slot> {
    if is_main && !choice.is_slot_clear(Slot::MAIN) {
        let what = "another worktree has slot 0, which is the main worktree's";
        return Err(Error::new(what)
            .remedy("run `worktree-ports-hook --list` to see which, and `--reallocate` there"));
    }
    if is_main {
        return Ok(Slot::MAIN);
    }
    let own = common_slot(named, choice.config()).filter(|slot| choice.is_slot_clear(*slot));
    let mut slots = (0..u32::MAX).map(Slot);
    let lowest = || slots.find(|slot| choice.is_slot_clear(*slot));
    Ok(own
        .or_else(lowest)
        .expect("there are more slots than worktrees"))
}

fn common_slot(named: &[(ServiceName, Port)], config: &Config) -> Option<Slot> {
    let slot = |(name, port): &(ServiceName, Port)| {
        let service = config
            .services
            .iter()
            .find(|service| service.name == *name)?;
        let offset = u32::from(port.number()).checked_sub(u32::from(service.base.number()))?;
        (offset % config.step == 0).then(|| Slot(offset / config.step))
    };
    let mut slots = named.iter().map(slot);
    let first = slots.next()??;
    slots.all(|slot| slot == Some(first)).then_some(first)
}

#[cfg(test)]
mod tests;
