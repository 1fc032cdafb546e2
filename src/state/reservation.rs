//! What a worktree has reserved, as the port file and the record say it.

use std::borrow::Cow;
use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor,
};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::files::json_object::{JsonObject, Text};
use crate::files::untrusted::PlainFile;
use crate::ports::{Bundle, Port, ServiceName, Slot};

/// What a worktree has reserved. Serialized, it is the port file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// The worktree id; `None` for the main worktree.
    pub worktree: Option<String>,
    /// The slot and the ports.
    pub bundle: Bundle,
    /// URL name and URL, ports filled in. Never used where it was read from a file, only compared.
    pub urls: Vec<(String, String)>,
}

impl Reservation {
    /// The content of the port file.
    pub fn to_json(&self) -> Vec<u8> {
        pretty(self)
    }

    /// Adds the members of the port file to `map`.
    pub fn serialize_into<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry("worktree", &self.worktree)?;
        map.serialize_entry("slot", &self.bundle.slot)?;
        map.serialize_entry("ports", &Ports(&self.bundle.ports))?;
        for (name, url) in &self.urls {
            map.serialize_entry(name, url)?;
        }
        Ok(())
    }
}

impl Serialize for Reservation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.serialize_into(&mut map)?;
        map.end()
    }
}

/// `value` as indented JSON that ends in a newline.
pub fn pretty(value: &impl Serialize) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(value).expect("strings and numbers are JSON");
    text.push(b'\n');
    text
}

/// A bundle's ports as a JSON object, in their order.
pub struct Ports<'a>(pub &'a [(ServiceName, Port)]);

impl Serialize for Ports<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ports = self.0.iter();
        serializer.collect_map(ports.map(|(service, port)| (service.as_str(), port)))
    }
}

/// A file that is meant to be a port file or a record, as far as it is one.
pub enum Document<'a> {
    /// A JSON object with `worktree` and `ports`.
    Ours(OurShape<'a>),
    /// Other JSON: another tool's.
    OtherJson,
    /// Anything else.
    NotJson,
}

impl<'a> Document<'a> {
    /// Parses the bytes of a file.
    pub fn parse(bytes: &'a [u8]) -> Document<'a> {
        let Ok(text) = str::from_utf8(bytes) else {
            return Document::NotJson;
        };
        match serde_json::from_str::<JsonObject<'a>>(text) {
            Ok(object) => match (object.get("worktree"), object.get("ports")) {
                (Some(_), Some(_)) => Document::Ours(OurShape(object)),
                _ => Document::OtherJson,
            },
            Err(_) if serde_json::from_str::<IgnoredAny>(text).is_ok() => Document::OtherJson,
            Err(_) => Document::NotJson,
        }
    }
}

/// A JSON object with the members that make it ours, possible values or not.
pub struct OurShape<'a>(JsonObject<'a>);

impl OurShape<'_> {
    /// What it says; `None` where a value is impossible or a key that matters stands twice.
    pub fn reservation(&self) -> Option<Reservation> {
        let object = &self.0;
        let is_twice = |key| object.0.iter().filter(|(name, _)| name == key).count() > 1;
        if ["worktree", "slot", "ports"].into_iter().any(is_twice) {
            return None;
        }
        let ports = parse_ports(object.get("ports")?).filter(|ports| !ports.is_empty())?;
        let urls = object.0.iter().filter(|(key, _)| is_url_key(key));
        Some(Reservation {
            worktree: parse_id(object.get("worktree")?)?.map(Cow::into_owned),
            bundle: Bundle {
                slot: object.get("slot").map_or(Some(None), parse_slot)?,
                ports: ports
                    .into_iter()
                    .map(|(service, port)| (ServiceName::new(service), port))
                    .collect(),
            },
            urls: urls
                .filter_map(|(key, url)| {
                    Some((key.to_string(), parse_string(url.get())?.into_owned()))
                })
                .collect(),
        })
    }

    /// The paths in its `env_files`; none where that is missing or impossible.
    pub fn env_files(&self) -> Vec<String> {
        let json = self.0.get("env_files");
        json.and_then(|json| serde_json::from_str(json).ok())
            .unwrap_or_default()
    }

    fn slot(&self) -> Option<Slot> {
        parse_slot(self.0.get("slot")?)?
    }
}

fn is_url_key(key: &str) -> bool {
    key.ends_with("_url")
}

fn parse_string(json: &str) -> Option<Cow<'_, str>> {
    let Text(string) = serde_json::from_str(json).ok()?;
    Some(string)
}

#[expect(clippy::option_option, reason = "`null` is the main worktree's id")]
fn parse_id(json: &str) -> Option<Option<Cow<'_, str>>> {
    let id: Option<Text<'_>> = serde_json::from_str(json).ok()?;
    Some(id.map(|Text(id)| id))
}

/// `null` is what we write where a file made by hand names no slot.
#[expect(
    clippy::option_option,
    reason = "`null` is no slot, and a possible value"
)]
fn parse_slot(json: &str) -> Option<Option<Slot>> {
    let slot: Option<u32> = serde_json::from_str(json).ok()?;
    Some(slot.map(Slot))
}

/// `None` where it is no object, has a key twice, or a value that is no port.
fn parse_ports(json: &str) -> Option<Vec<(Cow<'_, str>, Port)>> {
    let object: JsonObject<'_, u64> = serde_json::from_str(json).ok()?;
    if object.repeated().is_some() {
        return None;
    }
    let ports = object.0.into_iter();
    ports
        .map(|(service, number)| Some((service, Port::new(number)?)))
        .collect()
}

/// How much of a port file or a record is read, in bytes.
pub const LIMIT: usize = 256 * 1024;

/// What a file is meant to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A port file.
    PortFile,
    /// A record, which has `env_files` too.
    Record,
}

/// What a file keeps from other worktrees.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// In no order; a port can stand twice.
    pub ports: Vec<Port>,
    /// The slot, where the file is of our shape and names one.
    pub slot: Option<Slot>,
    /// Whether the file is of exactly our shape and names the worktree that it was read for.
    pub is_intact: bool,
    /// Why there may be more ports.
    pub doubt: Option<Doubt>,
}

/// Why a file may reserve more than could be read from it.
#[derive(Debug, PartialEq, Eq)]
pub enum Doubt {
    /// Nothing could be read from it. The words for why.
    Unreadable(String),
    /// Something could be read from it. The words for how.
    Partial(String),
}

impl Claims {
    /// What `found`, read for the worktree named `id` (`None`: the main worktree), reserves: the
    /// ports of a file of exactly our shape; of anything else that can be read, every number that
    /// could be a port.
    pub fn of(found: &PlainFile, id: Option<&str>, kind: FileKind) -> Claims {
        let unreadable = |why: String| Claims {
            doubt: Some(Doubt::Unreadable(why)),
            ..Claims::default()
        };
        match found {
            PlainFile::Missing => Claims::default(),
            PlainFile::NotRegular(kind) => Claims {
                doubt: Some(Doubt::Partial(format!("is {kind}, so it is not read"))),
                ..Claims::default()
            },
            PlainFile::Unreadable(error) => unreadable(format!("cannot be read ({error})")),
            PlainFile::Read { bytes, .. } if bytes.iter().all(|&byte| byte == 0) => {
                unreadable("is empty".to_owned())
            }
            PlainFile::Read {
                bytes,
                truncated: true,
            } => Claims {
                ports: numbers(bytes),
                doubt: Some(Doubt::Partial(format!(
                    "is larger than {} KiB: only the ports named up to there count",
                    LIMIT / 1024
                ))),
                ..Claims::default()
            },
            PlainFile::Read { bytes, .. } => Claims::of_text(bytes, id, kind),
        }
    }

    fn of_text(bytes: &[u8], id: Option<&str>, kind: FileKind) -> Claims {
        if let Some(exact) = Exact::parse(bytes, kind) {
            return Claims {
                is_intact: exact.worktree.as_deref() == id,
                ports: exact.ports,
                slot: exact.slot,
                doubt: None,
            };
        }
        let document = Document::parse(bytes);
        Claims {
            ports: numbers(bytes),
            slot: match &document {
                Document::Ours(ours) => ours.slot(),
                Document::OtherJson | Document::NotJson => None,
            },
            is_intact: false,
            doubt: matches!(document, Document::NotJson).then(|| {
                Doubt::Partial(
                    "is not JSON: every number in it that could be a port counts".to_owned(),
                )
            }),
        }
    }
}

/// What a file of exactly our shape says.
struct Exact<'a> {
    worktree: Option<Cow<'a, str>>,
    slot: Option<Slot>,
    ports: Vec<Port>,
}

impl Exact<'_> {
    fn parse(bytes: &[u8], kind: FileKind) -> Option<Exact<'_>> {
        let mut json = serde_json::Deserializer::from_slice(bytes);
        let exact = ExactShape(kind).deserialize(&mut json).ok()?;
        json.end().ok()?;
        Some(exact)
    }
}

/// Reads a file of exactly our shape, as the one of each other worktree is, in one go: our keys and
/// no others, possible values, no key twice, and no more of anything than a config can have.
struct ExactShape(FileKind);

/// The most services that a config can have, and so the most ports in a file of ours.
const MOST_SERVICES: usize = 64;

/// More URLs than any config has: a hostile file's thousands are not compared with each other.
const MOST_KEYS: usize = 256;

impl<'de> DeserializeSeed<'de> for ExactShape {
    type Value = Exact<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Exact<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ExactShape {
    type Value = Exact<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a port file")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Exact<'de>, M::Error> {
        let (mut worktree, mut slot, mut ports) = (None, None, None);
        let mut other_keys: Vec<Cow<'de, str>> = Vec::new();
        while let Some(Text(key)) = map.next_key()? {
            match &*key {
                _ if other_keys.len() == MOST_KEYS || other_keys.contains(&key) => {
                    return Err(M::Error::custom("not our shape"));
                }
                "worktree" if worktree.is_none() => {
                    worktree = Some(map.next_value::<Option<Text<'de>>>()?.map(|Text(id)| id));
                }
                "slot" if slot.is_none() => slot = Some(map.next_value::<Option<u32>>()?),
                "ports" if ports.is_none() => ports = Some(map.next_value::<ExactPorts>()?.0),
                "env_files" if self.0 == FileKind::Record => {
                    map.next_value::<Vec<Text<'de>>>()?;
                    other_keys.push(key);
                }
                url if is_url_key(url) => {
                    map.next_value::<Text<'de>>()?;
                    other_keys.push(key);
                }
                _ => return Err(M::Error::custom("not our shape")),
            }
        }
        match (worktree, slot, ports) {
            (Some(worktree), Some(slot), Some(ports)) => Ok(Exact {
                worktree,
                slot: slot.map(Slot),
                ports,
            }),
            _ => Err(M::Error::custom("not our shape")),
        }
    }
}

/// The ports of a file of exactly our shape.
struct ExactPorts(Vec<Port>);

impl<'de> Deserialize<'de> for ExactPorts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Ports;

        impl<'de> Visitor<'de> for Ports {
            type Value = ExactPorts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("services and their ports")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<ExactPorts, M::Error> {
                let mut services: Vec<Cow<'de, str>> = Vec::new();
                let mut ports = Vec::new();
                while let Some((Text(service), number)) = map.next_entry::<Text<'de>, u64>()? {
                    match Port::new(number) {
                        Some(port)
                            if ports.len() < MOST_SERVICES && !services.contains(&service) =>
                        {
                            services.push(service);
                            ports.push(port);
                        }
                        _ => return Err(M::Error::custom("not our shape")),
                    }
                }
                if ports.is_empty() {
                    return Err(M::Error::custom("no ports"));
                }
                Ok(ExactPorts(ports))
            }
        }

        deserializer.deserialize_map(Ports)
    }
}

/// Every run of four or five digits from 1024 to 65535, wherever it stands. Text that its byte
/// order mark says is UTF-16 is read as that.
fn numbers(bytes: &[u8]) -> Vec<Port> {
    match bytes {
        [0xff, 0xfe, text @ ..] => runs(text.chunks(2).map(|unit| match unit {
            [digit, 0] => *digit,
            _ => b' ',
        })),
        [0xfe, 0xff, text @ ..] => runs(text.chunks(2).map(|unit| match unit {
            [0, digit] => *digit,
            _ => b' ',
        })),
        _ => runs(bytes.iter().copied()),
    }
}

fn runs(bytes: impl Iterator<Item = u8>) -> Vec<Port> {
    let mut ports = Vec::new();
    let (mut number, mut length) = (0_u64, 0_u32);
    for byte in bytes.chain([b' ']) {
        if byte.is_ascii_digit() {
            number = number
                .saturating_mul(10)
                .saturating_add(u64::from(byte - b'0'));
            length = length.saturating_add(1);
        } else {
            if matches!(length, 4 | 5) {
                ports.extend(Port::new(number));
            }
            (number, length) = (0, 0);
        }
    }
    ports
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod fuzz;
