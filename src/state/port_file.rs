//! `.worktree-ports.json`: read whatever lies there, write atomically.

use std::borrow::Cow;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use serde::de::IgnoredAny;
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::allocate::lock::Held;
use crate::error::{Error, Result, quoted};
use crate::files::json_object::{Members, Text};
use crate::files::untrusted::{self, PlainFile};
use crate::ports::{Bundle, Port, Slot};

/// The port file's name, at a worktree's root.
pub const NAME: &str = ".worktree-ports.json";

/// The name under which a port file is written before it is renamed to [`NAME`].
pub const TEMPORARY_NAME: &str = ".worktree-ports.json.tmp";

/// How much of a port file is read, in bytes.
const LIMIT: usize = 256 * 1024;

/// Reads what lies at the port file's path in the worktree at `root`.
///
/// # Errors
/// A shortage of our own (see [`untrusted::read`]).
pub fn read(root: &Path) -> Result<PlainFile> {
    let path = untrusted::path_in(root, NAME);
    untrusted::read(&path, LIMIT).map_err(|error| Error::at("read", &path, error))
}

/// As [`read`], for the worktree's own: one that cannot be read may name the ports that its stack
/// is on, so it is an error, and not replaced.
pub fn read_own(root: &Path) -> Result<PlainFile> {
    match read(root)? {
        PlainFile::Unreadable(error) => Err(Error::at("read", &root.join(NAME), error)
            .remedy("make it readable, or remove it, and run `worktree-ports-hook`")),
        found => Ok(found),
    }
}

/// Whose file it is, seen from one worktree.
#[derive(Debug, PartialEq, Eq)]
pub enum State {
    /// This worktree's own.
    Ok(Own),
    /// There is none.
    Missing,
    /// Of our shape, with another worktree's id.
    Copied,
    /// Not JSON, not a regular file, or of our shape with impossible values.
    Damaged,
    /// JSON of another shape: another tool's.
    Foreign,
}

/// A worktree's own port file.
#[derive(Debug, PartialEq, Eq)]
pub struct Own {
    /// The ports, and the slot where the file names one.
    pub bundle: Bundle,
    /// The URLs that were rendered into it: never used, only compared.
    pub urls: Vec<(String, String)>,
}

/// Tells whose file `found` is, seen from the worktree named `id` (`None`: the main worktree).
pub fn state(found: &PlainFile, id: Option<&str>) -> State {
    let bytes = match found {
        PlainFile::Missing => return State::Missing,
        PlainFile::Read {
            bytes,
            truncated: false,
        } => bytes,
        // We write nothing so large.
        PlainFile::Read {
            truncated: true, ..
        } => return State::Foreign,
        PlainFile::NotRegular(_) | PlainFile::Unreadable(_) => return State::Damaged,
    };
    match Document::parse(bytes) {
        Document::NotJson => State::Damaged,
        Document::OtherJson => State::Foreign,
        Document::Object(members) => state_of_object(&members, id),
    }
}

fn state_of_object(members: &Members<'_>, id: Option<&str>) -> State {
    let (Some(worktree), Some(ports)) = (members.get("worktree"), members.get("ports")) else {
        return State::Foreign;
    };
    let (Some(worktree), Some(ports)) = (parse_id(worktree), parse_ports(ports)) else {
        return State::Damaged;
    };
    let slot = members.get("slot").map(parse_slot);
    let is_twice = |key| members.0.iter().filter(|(name, _)| name == key).count() > 1;
    if ports.is_empty()
        || slot == Some(None)
        || ["worktree", "slot", "ports"].into_iter().any(is_twice)
    {
        State::Damaged
    } else if worktree.as_deref() == id {
        let ports = ports.into_iter();
        let urls = members.0.iter().filter(|(key, _)| is_url_key(key));
        State::Ok(Own {
            bundle: Bundle {
                slot: slot.flatten().flatten(),
                ports: ports
                    .map(|(service, port)| (service.into_owned(), port))
                    .collect(),
            },
            urls: urls
                .filter_map(|(key, url)| {
                    Some((key.to_string(), parse_string(url.get())?.into_owned()))
                })
                .collect(),
        })
    } else {
        State::Copied
    }
}

/// The ports that a port file reserves, and what is to be said of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reserved {
    /// In no order; a port can stand twice.
    pub ports: Vec<Port>,
    /// Why there may be more of them.
    pub doubt: Option<String>,
}

/// The ports that `found` reserves: those of a file of exactly our shape; of anything else that
/// can be read, every number that could be a port.
pub fn reserved(found: &PlainFile) -> Reserved {
    let doubt = |doubt: String| Reserved {
        ports: Vec::new(),
        doubt: Some(doubt),
    };
    match found {
        PlainFile::Missing => Reserved::default(),
        PlainFile::NotRegular(kind) => doubt(format!("is {kind}, so its ports are unknown")),
        PlainFile::Unreadable(error) => doubt(format!(
            "cannot be read ({error}), so its ports are unknown"
        )),
        PlainFile::Read { bytes, .. } if bytes.iter().all(|&byte| byte == 0) => {
            doubt("is empty, so its ports are unknown".to_owned())
        }
        PlainFile::Read {
            bytes,
            truncated: true,
        } => Reserved {
            ports: numbers(bytes),
            doubt: Some(format!(
                "is larger than {} KiB: only the ports named up to there count",
                LIMIT / 1024
            )),
        },
        PlainFile::Read { bytes, .. } => reserved_by_text(bytes),
    }
}

fn reserved_by_text(bytes: &[u8]) -> Reserved {
    let document = Document::parse(bytes);
    if let Document::Object(members) = &document
        && let Some(ports) = exact_shape(members)
    {
        return Reserved { ports, doubt: None };
    }
    Reserved {
        ports: numbers(bytes),
        doubt: matches!(document, Document::NotJson)
            .then(|| "is not JSON: every number in it that could be a port counts".to_owned()),
    }
}

/// A text, as far as JSON goes.
enum Document<'a> {
    Object(Members<'a>),
    OtherJson,
    NotJson,
}

impl<'a> Document<'a> {
    fn parse(bytes: &'a [u8]) -> Document<'a> {
        let Ok(text) = str::from_utf8(bytes) else {
            return Document::NotJson;
        };
        if let Ok(members) = serde_json::from_str(text) {
            return Document::Object(members);
        }
        match serde_json::from_str::<IgnoredAny>(text) {
            Ok(_) => Document::OtherJson,
            Err(_) => Document::NotJson,
        }
    }
}

/// The ports of a file of exactly our shape: our keys and no others, possible values, at least one
/// port, no key twice.
fn exact_shape(members: &Members<'_>) -> Option<Vec<Port>> {
    let ours = members.0.iter().all(|(key, value)| match &**key {
        "worktree" => parse_id(value.get()).is_some(),
        "slot" => parse_slot(value.get()).is_some(),
        "ports" => true,
        key => is_url_key(key) && parse_string(value.get()).is_some(),
    });
    if !ours || members.repeated().is_some() {
        return None;
    }
    members.get("worktree")?;
    members.get("slot")?;
    let ports = parse_ports(members.get("ports")?).filter(|ports| !ports.is_empty())?;
    Some(ports.into_iter().map(|(_, port)| port).collect())
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
    let members: Members<'_> = serde_json::from_str(json).ok()?;
    if members.repeated().is_some() {
        return None;
    }
    let port = |value: &str| Port::new(serde_json::from_str(value).ok()?);
    let ports = members.0.into_iter();
    ports
        .map(|(service, value)| Some((service, port(value.get())?)))
        .collect()
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

/// A port file's content, as it is serialized: `worktree`, `slot`, `ports`, then the URLs.
pub struct Content<'a> {
    /// The worktree id; `None` in the main worktree.
    pub worktree: Option<&'a str>,
    /// The slot and the ports.
    pub bundle: &'a Bundle,
    /// URL name and URL, ports filled in.
    pub urls: &'a [(String, String)],
}

impl Serialize for Content<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("worktree", &self.worktree)?;
        map.serialize_entry("slot", &self.bundle.slot.map(|slot| slot.0))?;
        map.serialize_entry("ports", &Ports(&self.bundle.ports))?;
        for (name, url) in self.urls {
            map.serialize_entry(name, url)?;
        }
        map.end()
    }
}

/// A bundle's ports as a JSON object, in their order.
pub struct Ports<'a>(pub &'a [(String, Port)]);

impl Serialize for Ports<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ports = self.0.iter();
        serializer.collect_map(ports.map(|(service, port)| (service, port.number())))
    }
}

/// Writes the port file of the worktree at `root`: a new file, renamed over the old one, so that a
/// reader meets the old content or the new, and a kill leaves one of them whole.
///
/// Only the holder of the lock writes, so whatever has the temporary name was left by a kill.
pub fn write(_held: &Held, root: &Path, content: &Content<'_>) -> Result<()> {
    let path = root.join(NAME);
    let could_not = |error: io::Error| Error::at("write", &path, error);

    let mut text = serde_json::to_vec_pretty(content).map_err(|error| could_not(error.into()))?;
    text.push(b'\n');

    let temporary = root.join(TEMPORARY_NAME);
    // On a read-only file system, removing what is not there fails too.
    if let Err(error) = fs::remove_file(&temporary)
        && fs::symlink_metadata(&temporary).is_ok()
    {
        return Err(
            Error::at("remove what an earlier run left at", &temporary, error)
                .remedy(format!("remove {} by hand", quoted(&temporary))),
        );
    }
    let mut file = temporary_file(root).map_err(could_not)?;
    file.write_all(&text).map_err(could_not)?;

    // A container engine makes an empty directory of a path that it is to mount and that is not
    // there. A file cannot be renamed over it; what is in a full one is not ours to remove.
    if fs::symlink_metadata(&path).is_ok_and(|there| there.is_dir()) {
        fs::remove_dir(&path).map_err(|error| {
            could_not(error).remedy("move that directory away and run `worktree-ports-hook`")
        })?;
    }
    file.persist(&path)
        .map_err(|error| could_not(error.error))?;
    Ok(())
}

/// Makes [`TEMPORARY_NAME`] with the mode that any new file gets; it is removed when dropped.
fn temporary_file(root: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY_NAME).rand_bytes(0);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(root)
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod fuzz;
