//! Taking over the ports that another tool's file names, so that servers which run on them keep them.

use serde_json::{Map, Value};

use crate::allocate::choose::{Choice, is_usable};
use crate::allocate::probe::Probe;
use crate::config::Config;
use crate::error::{Error, Result, quoted};
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
        return Err(Error::new(format!("{path} names no port of a service"))
            .remedy(format!(
                "give the services in the config the names that it has (now: {}), or run `{} --reallocate`",
                services.collect::<Vec<_>>().join(", "),
                worktree.by_hand()
            )));
    }
    for (service, port) in &named {
        if let Some(holder) = choice.holder_of(*port) {
            return Err(Error::new(format!(
                "port {port} ({service}) in {path} is also reserved by {} ({})",
                holder.name(),
                quoted(&holder.path())
            ))
            .remedy(format!(
                "run `{} --reallocate` for the one of the two that is to move",
                worktree.by_hand()
            )));
        }
    }
    let slot = slot_of(&named, choice, worktree.is_main())?;
    let mut ports: Vec<(ServiceName, Port)> = Vec::new();
    for service in &config.services {
        let name = &service.name;
        let found = named.iter().find(|(other, _)| other == name);
        let port = match found {
            Some((_, port)) => *port,
            None => {
                let of_slots = [slot].into_iter().chain((0..).map(Slot));
                let mut candidates =
                    of_slots.map_while(|slot| Some((slot, config.port(service, slot)?)));
                let is_taken = |port| named.iter().chain(&ports).any(|(_, other)| *other == port);
                let free = candidates.find_map(|(of, port)| {
                    let is_clear = is_usable(service, of, port)
                        && choice.is_port_clear(of, port)
                        && !is_taken(port);
                    is_clear
                        .then(|| probe.is_free(port).map(|is_free| is_free.then_some(port)))
                        .and_then(Result::transpose)
                });
                free.ok_or_else(|| Error::new(format!("no free port for {name} in {path}")))??
            }
        };
        ports.push((name.clone(), port));
    }
    Ok(Bundle { slot, ports })
}

/// Whether the ports that a file of another tool names are those of one slot.
pub fn stands_at_a_slot(bytes: &[u8], config: &Config) -> bool {
    common_slot(&named_ports(bytes, config), config).is_some()
}

/// The numbers in another tool's file that are under other names than the config's services.
pub fn other_names(bytes: &[u8], config: &Config) -> Vec<String> {
    let Some(object) = object(bytes) else {
        return Vec::new();
    };
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
        port_in(nested.or_else(|| object.get(name.as_str()))?)
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
    if is_main {
        return match choice.is_slot_clear(Slot::MAIN) {
            true => Ok(Slot::MAIN),
            false => Err(
                Error::new("another worktree has slot 0, which is the main worktree's").remedy(
                    "run `worktree-ports-hook --list` to see which, and `--reallocate` there",
                ),
            ),
        };
    }
    let own = common_slot(named, choice.config()).filter(|slot| choice.is_slot_clear(*slot));
    let lowest = || (0..).map(Slot).find(|slot| choice.is_slot_clear(*slot));
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
