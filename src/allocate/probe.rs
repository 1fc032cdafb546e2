//! The probe: whether a port can be bound now.

use std::cell::{Cell, RefCell};
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
    /// The addresses with an unknown error, which is reported once.
    doubted: RefCell<Vec<IpAddr>>,
}

/// The result of binding a port on one address.
enum Answer {
    Free,
    Taken,
    /// The process may not use sockets at all.
    Refused,
    /// A shortage of descriptors or memory: nothing is known of the port.
    Shortage(io::Error),
    /// Anything else.
    Unknown(io::Error),
}

impl<'a> Probe<'a> {
    pub fn new(narrator: &'a Narrator) -> Self {
        Probe {
            narrator,
            is_refused: Cell::new(false),
            doubted: RefCell::default(),
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
                Answer::Free => {}
                Answer::Taken => return Ok(false),
                Answer::Refused => {
                    self.is_refused.set(true);
                    self.narrator.warn(
                        "this process may not use sockets, so no port is probed: \
                         what other worktrees reserve is kept apart all the same",
                    );
                }
                Answer::Shortage(error) => {
                    return Err(error!(
                        "could not ask whether port {port} is free on {address}: {error}"
                    ));
                }
                Answer::Unknown(error) => self.doubt(address, port, &error),
            }
        }
        Ok(true)
    }

    fn doubt(&self, address: IpAddr, port: Port, error: &io::Error) {
        let mut doubted = self.doubted.borrow_mut();
        if !doubted.contains(&address) {
            doubted.push(address);
            self.narrator.warn(format_args!(
                "could not ask whether port {port} is free on {address}: {error}; it counts as free there"
            ));
        }
    }
}

/// Binds without listening, and closes: a listening socket would be in use for other probes, and
/// accept connections.
fn ask(address: SocketAddr) -> Answer {
    let socket = match Socket::new(Domain::for_address(address), Type::STREAM, None) {
        Err(error) => return Answer::of_socket(error),
        Ok(socket) => socket,
    };
    let bind = || -> io::Result<()> {
        // A port in TIME_WAIT counts as free. On Windows, the option would allow binding a port that
        // is in use.
        #[cfg(not(windows))]
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())
    };
    bind().map_or_else(Answer::of, |()| Answer::Free)
}

impl Answer {
    /// For an error from socket(2), where EACCES comes from a sandbox; from bind(2), it is about
    /// the port.
    fn of_socket(error: io::Error) -> Answer {
        match error.kind() {
            io::ErrorKind::PermissionDenied => Answer::Refused,
            _ => Answer::of(error),
        }
    }

    fn of(error: io::Error) -> Answer {
        match error.kind() {
            _ if is_not_permitted(&error) => Answer::Refused,
            io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied => Answer::Taken,
            // No such address here.
            io::ErrorKind::AddrNotAvailable => Answer::Free,
            _ if is_unsupported(&error) => Answer::Free,
            _ if ErrorKind::of(&error) == ErrorKind::Shortage => Answer::Shortage(error),
            _ => Answer::Unknown(error),
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
