//! What a worktree has reserved, by its port file and its record.

use std::borrow::Cow;

use serde::Serialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::files::dir::PlainFile;
use crate::files::json_object::{JsonObject, Text};
use crate::ports::{Bundle, Port, ServiceName, Slot, as_object};

/// What a worktree has reserved. Serialized, it is the port file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reservation {
    /// The worktree id; `None` for the main worktree.
    pub worktree: Option<String>,
    /// The slot and the ports.
    #[serde(flatten)]
    pub bundle: Bundle,
    /// Names and URLs, with ports filled in. URLs from a file are only compared and shown.
    #[serde(flatten, serialize_with = "as_object")]
    pub urls: Vec<(String, String)>,
}

impl Reservation {
    /// The content of the port file.
    pub fn to_json(&self) -> Vec<u8> {
        pretty(self)
    }
}

/// `value` as indented JSON that ends in a newline.
pub fn pretty(value: &impl Serialize) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(value).expect("strings and numbers are JSON");
    text.push(b'\n');
    text
}

/// The content of a port file or a record, or what is in its place.
pub enum Document<'a> {
    /// A JSON object with `worktree`, `slot` and `ports`.
    Ours(OurShape<'a>),
    /// Other JSON: another tool's.
    OtherJson,
    NotJson,
}

impl<'a> Document<'a> {
    /// Parses the bytes of a file.
    pub fn parse(bytes: &'a [u8]) -> Document<'a> {
        // People edit these files, and some editors add a byte order mark.
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let Ok(text) = str::from_utf8(bytes) else {
            return Document::NotJson;
        };
        match serde_json::from_str::<JsonObject<'a>>(text) {
            Ok(object)
                if ["worktree", "slot", "ports"]
                    .iter()
                    .all(|key| object.get(key).is_some()) =>
            {
                Document::Ours(OurShape(object))
            }
            Ok(_) => Document::OtherJson,
            Err(_) if serde_json::from_str::<IgnoredAny>(text).is_ok() => Document::OtherJson,
            Err(_) => Document::NotJson,
        }
    }
}

/// A JSON object with our three members, whatever their values.
pub struct OurShape<'a>(JsonObject<'a>);

impl OurShape<'_> {
    /// The reservation; `None` if a value is impossible or there is a duplicate key.
    pub fn reservation(&self) -> Option<Reservation> {
        if self.0.repeated().is_some() {
            return None;
        }
        let own = |Text(text): Text<'_>| text.into_owned();
        let urls = self.0.0.iter().filter(|(key, _)| is_url_key(key));
        Some(Reservation {
            worktree: self.member::<Option<Text<'_>>>("worktree")?.map(own),
            bundle: Bundle {
                slot: self.slot()?,
                ports: self
                    .ports()?
                    .into_iter()
                    .map(|(service, port)| (ServiceName::new(service), port))
                    .collect(),
            },
            urls: urls
                .filter_map(|(key, url)| Some((key.clone().into_owned(), text(url).map(own)?)))
                .collect(),
        })
    }

    fn slot(&self) -> Option<Slot> {
        self.member("slot").map(Slot)
    }

    /// The ports, at least one; `None` if there is a duplicate key, or a value that is not a port.
    fn ports(&self) -> Option<Vec<(Cow<'_, str>, Port)>> {
        let object: JsonObject<'_, u64> = self.member("ports")?;
        if object.0.is_empty() || object.repeated().is_some() {
            return None;
        }
        object
            .0
            .into_iter()
            .map(|(service, number)| Some((service, Port::new(number)?)))
            .collect()
    }

    /// The value of a member; `None` if it is missing or has another type.
    pub fn member<'s, T: serde::Deserialize<'s>>(&'s self, key: &str) -> Option<T> {
        serde_json::from_str(self.0.get(key)?).ok()
    }

    /// Whether it only has the members of `kind`, each once.
    fn is_exact(&self, kind: FileKind) -> bool {
        let is_known = |(key, value): &(Cow<'_, str>, &RawValue)| match &**key {
            "worktree" | "slot" | "ports" => true,
            "env_files" | "templates" => kind == FileKind::Record,
            key => is_url_key(key) && text(value).is_some(),
        };
        self.0.0.iter().all(is_known) && self.0.repeated().is_none()
    }
}

fn is_url_key(key: &str) -> bool {
    key.ends_with("_url")
}

fn text(json: &RawValue) -> Option<Text<'_>> {
    serde_json::from_str(json.get()).ok()
}

/// How much of a port file or a record is read, in bytes.
pub const LIMIT: usize = 256 * 1024;

/// Which of our files it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    PortFile,
    /// It also names other files that were written.
    Record,
}

/// What a file reserves.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// In no order, perhaps with duplicates.
    pub ports: Vec<Port>,
    /// The slot, if the file has our shape.
    pub slot: Option<Slot>,
    /// Whether the file has exactly our shape and names the worktree that it was read for.
    pub is_intact: bool,
    /// Why it may reserve more.
    pub doubt: Option<Doubt>,
}

/// Why a file may reserve more than was read from it, in words.
#[derive(Debug, PartialEq, Eq)]
pub enum Doubt {
    /// Nothing could be read from it.
    Unreadable(String),
    /// Something could be read from it.
    Partial(String),
}

impl Claims {
    /// What `found`, read for the worktree with that `id` (`None`: the main worktree), reserves:
    /// the ports in a file of exactly our shape; in anything else, every number that could be a
    /// port.
    pub fn of(found: &PlainFile, id: Option<&str>, kind: FileKind) -> Claims {
        let unreadable = |why: String| Claims {
            doubt: Some(Doubt::Unreadable(why)),
            ..Claims::default()
        };
        let partial = |bytes: &[u8], why: String| Claims {
            ports: numbers(bytes),
            doubt: Some(Doubt::Partial(why)),
            ..Claims::default()
        };
        match found {
            PlainFile::Missing => Claims::default(),
            PlainFile::NotRegular(kind) => partial(&[], format!("is {kind}, so it is not read")),
            PlainFile::Unreadable(error) => unreadable(format!("cannot be read ({error})")),
            PlainFile::Read(bytes) | PlainFile::TooLarge(bytes)
                if bytes.iter().all(|&byte| byte == 0) =>
            {
                unreadable("is empty".to_owned())
            }
            PlainFile::TooLarge(bytes) => {
                let kib = LIMIT / 1024;
                let why =
                    format!("is larger than {kib} KiB: only the ports named up to there count");
                partial(bytes, why)
            }
            PlainFile::Read(bytes) => match Document::parse(bytes) {
                Document::Ours(ours) => Claims::of_shape(&ours, bytes, id, kind),
                Document::OtherJson => Claims {
                    ports: numbers(bytes),
                    ..Claims::default()
                },
                Document::NotJson => {
                    let why = "is not JSON: every number in it that could be a port counts";
                    partial(bytes, why.to_owned())
                }
            },
        }
    }

    fn of_shape(ours: &OurShape<'_>, bytes: &[u8], id: Option<&str>, kind: FileKind) -> Claims {
        let exact = ours.is_exact(kind);
        let worktree = || ours.member::<Option<Text<'_>>>("worktree");
        let own = exact.then(|| Some((worktree()?, ours.slot()?, ours.ports()?)));
        match own.flatten() {
            Some((worktree, slot, ports)) => Claims {
                is_intact: worktree.as_ref().map(|Text(id)| &**id) == id,
                ports: ports.into_iter().map(|(_, port)| port).collect(),
                slot: Some(slot),
                doubt: None,
            },
            None => Claims {
                ports: numbers(bytes),
                slot: ours.slot(),
                ..Claims::default()
            },
        }
    }
}

/// Every run of four or five digits from 1024 to 65535, anywhere. Text with a byte order mark of
/// UTF-16 is read as UTF-16.
fn numbers(bytes: &[u8]) -> Vec<Port> {
    let low_bytes = |low: usize| -> Vec<u8> {
        let digit = |unit: &[u8]| if unit[1 - low] == 0 { unit[low] } else { b' ' };
        bytes.chunks_exact(2).map(digit).collect()
    };
    let text = match bytes {
        [0xff, 0xfe, ..] => Cow::Owned(low_bytes(0)),
        [0xfe, 0xff, ..] => Cow::Owned(low_bytes(1)),
        _ => Cow::Borrowed(bytes),
    };
    text.split(|byte| !byte.is_ascii_digit())
        .filter(|run| matches!(run.len(), 4 | 5))
        .filter_map(|run| Port::new(str::from_utf8(run).ok()?.parse().ok()?))
        .collect()
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod fuzz;
