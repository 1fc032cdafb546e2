//! Can this port be bound?

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Socket, Type};

use crate::error::{ErrorKind, Result, error, is_not_permitted};
use crate::narrator::Narrator;
use crate::ports::{Bundle, Port};

/// A listener on one of these can leave the others free, so each is asked.
const ADDRESSES: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
    IpAddr::V6(Ipv6Addr::UNSPECIFIED),
];

/// Asks the kernel whether ports can be bound right now. An answer is advice: the port can be
/// taken the moment after.
pub struct Probe<'a> {
    narrator: &'a Narrator,
    /// Whether a sandbox refuses sockets, so that nothing can be asked.
    is_refused: Cell<bool>,
    /// The addresses that gave an error of an unknown kind, each told once.
    doubted: RefCell<Vec<IpAddr>>,
}

/// What became of binding a port on one address.
enum Answer {
    Free,
    Taken,
    /// The process may not use sockets at all.
    Refused,
    /// A shortage of our own: nothing can be said of the port.
    Shortage(io::Error),
    /// Anything else.
    Unknown(io::Error),
}

impl<'a> Probe<'a> {
    /// A probe that tells `narrator` of what it cannot ask.
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

    /// Whether `port` can be bound on every address of [`ADDRESSES`] that exists here. Where a
    /// sandbox allows no sockets, every port counts as free.
    ///
    /// # Errors
    /// A shortage of our own: nothing can be said of the port then.
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

/// Binds and lets go, without listening: a socket that listens is busy to another prober and
/// accepts strangers.
fn ask(address: SocketAddr) -> Answer {
    let socket = match Socket::new(Domain::for_address(address), Type::STREAM, None) {
        Err(error) => return Answer::of_socket(error),
        Ok(socket) => socket,
    };
    let bind = || -> io::Result<()> {
        // What a server leaves in TIME_WAIT is no holder. On Windows the option means another thing:
        // a bind beside a listener succeeds.
        #[cfg(not(windows))]
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())
    };
    bind().map_or_else(Answer::of, |()| Answer::Free)
}

impl Answer {
    /// What an error of socket(2) says. EACCES is a sandbox's answer there; from bind(2) it would be the
    /// port's.
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
