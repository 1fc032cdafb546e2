//! The probe: whether a port can be bound now.

use std::cell::Cell;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Socket, Type};

use crate::error::{ErrorKind, Result, error, is_not_permitted};
use crate::narrator::Narrator;
use crate::ports::{Bundle, Port};

/// A listener on one of these may leave the others free, so each is tried.
const ADDRESSES: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
    IpAddr::V6(Ipv6Addr::UNSPECIFIED),
];

/// Asks the kernel whether ports can be bound now. The answer may be outdated a moment later.
pub struct Probe<'a> {
    narrator: &'a Narrator,
    /// Whether a sandbox refuses sockets, so that no port can be probed.
    is_refused: Cell<bool>,
}

/// The result of binding a port on one address.
enum Answer {
    Free,
    Taken,
    /// The process may not use sockets at all.
    Refused,
}

impl<'a> Probe<'a> {
    pub fn new(narrator: &'a Narrator) -> Self {
        Probe {
            narrator,
            is_refused: Cell::new(false),
        }
    }

    /// Whether every port of `bundle` can be bound.
    ///
    /// # Errors
    /// As [`Probe::is_free`].
    pub fn are_free(&self, bundle: &Bundle) -> Result<bool> {
        for (_, port) in &bundle.ports {
            if !self.is_free(*port)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether `port` can be bound on all of [`ADDRESSES`] that exist here. If a sandbox refuses
    /// sockets, every port counts as free.
    ///
    /// # Errors
    /// A shortage of descriptors or memory: nothing is known of the port then.
    pub fn is_free(&self, port: Port) -> Result<bool> {
        for address in ADDRESSES {
            if self.is_refused.get() {
                break;
            }
            match ask(SocketAddr::new(address, port.number())) {
                Ok(Answer::Free) => {}
                Ok(Answer::Taken) => return Ok(false),
                Ok(Answer::Refused) => {
                    self.is_refused.set(true);
                    self.narrator.warn(
                        "this process may not use sockets, so no port is probed; \
                         ports that other worktrees reserve are still avoided",
                    );
                }
                Err(error) => {
                    let kind = ErrorKind::of(&error);
                    let what = format!("could not ask whether ports are free on {address}");
                    let error = error!("{what}: {error}").of_kind(kind);
                    if kind == ErrorKind::Shortage {
                        return Err(error);
                    }
                    self.narrator.warn(error.remedy("they count as free there"));
                }
            }
        }
        Ok(true)
    }
}

/// Binds without listening, and closes: a listening socket would be in use for other probes, and
/// accept connections.
fn ask(address: SocketAddr) -> io::Result<Answer> {
    let bind = |socket: Socket| -> io::Result<()> {
        // A port in TIME_WAIT counts as free. On Windows, the option would allow binding a port that
        // is in use.
        #[cfg(not(windows))]
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())
    };
    match Socket::new(Domain::for_address(address), Type::STREAM, None) {
        Err(error) => Answer::of_socket(error),
        Ok(socket) => bind(socket).map_or_else(Answer::of, |()| Ok(Answer::Free)),
    }
}

impl Answer {
    /// What an error from socket(2) says. EACCES comes from a sandbox there; from bind(2), it is about
    /// the port.
    fn of_socket(error: io::Error) -> io::Result<Answer> {
        match error.kind() {
            io::ErrorKind::PermissionDenied => Ok(Answer::Refused),
            _ => Answer::of(error),
        }
    }

    /// What any other error says of the port.
    fn of(error: io::Error) -> io::Result<Answer> {
        match error.kind() {
            _ if is_not_permitted(&error) => Ok(Answer::Refused),
            io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied => Ok(Answer::Taken),
            // No such address here.
            io::ErrorKind::AddrNotAvailable => Ok(Answer::Free),
            _ if is_unsupported(&error) => Ok(Answer::Free),
            _ => Err(error),
        }
    }
}

/// EAFNOSUPPORT: this machine has no such addresses.
fn is_unsupported(error: &io::Error) -> bool {
    #[cfg(unix)]
    let code = libc::EAFNOSUPPORT;
    // WSAEAFNOSUPPORT
    #[cfg(windows)]
    let code = 10047;
    error.raw_os_error() == Some(code)
}

#[cfg(test)]
mod tests;
