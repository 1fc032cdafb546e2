//! Can this port be bound?

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Socket, Type};

use crate::error::{Error, Result, is_own_shortage};
use crate::ports::Port;

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
    narrate: &'a dyn Fn(&str),
    /// The addresses that gave an error of an unknown kind, each told once.
    doubted: RefCell<Vec<IpAddr>>,
}

impl<'a> Probe<'a> {
    /// A probe that tells of what it does not understand through `narrate`.
    pub fn new(narrate: &'a dyn Fn(&str)) -> Self {
        Probe {
            narrate,
            doubted: RefCell::default(),
        }
    }

    /// Whether `port` can be bound on every address of [`ADDRESSES`] that exists here.
    ///
    /// # Errors
    /// A shortage of our own: nothing can be said of the port then.
    pub fn is_free(&self, port: Port) -> Result<bool> {
        for address in ADDRESSES {
            if self.is_taken(address, port)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn is_taken(&self, address: IpAddr, port: Port) -> Result<bool> {
        let Err(error) = bind(SocketAddr::new(address, port.number())) else {
            return Ok(false);
        };
        match error.kind() {
            io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied => Ok(true),
            // No such address here.
            io::ErrorKind::AddrNotAvailable => Ok(false),
            _ if is_unsupported(&error) => Ok(false),
            _ if is_own_shortage(&error) => Err(Error::new(format!(
                "could not ask whether port {port} is free on {address}: {error}"
            ))),
            _ => {
                let mut doubted = self.doubted.borrow_mut();
                if !doubted.contains(&address) {
                    doubted.push(address);
                    (self.narrate)(&format!(
                        "warning: could not ask whether port {port} is free on {address}: {error}; it counts as free there"
                    ));
                }
                Ok(false)
            }
        }
    }
}

/// Binds and lets go, without listening: a socket that listens is busy to another prober and
/// accepts strangers.
fn bind(address: SocketAddr) -> io::Result<()> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // What a server leaves in TIME_WAIT is no holder. On Windows the option means another thing:
    // a bind beside a listener succeeds.
    #[cfg(not(windows))]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())
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
