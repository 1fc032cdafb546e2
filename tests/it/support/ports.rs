//! A test's own ports, which nothing listens on.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use socket2::{Domain, Socket, Type};

/// Consecutive ports that nothing listens on, and that no other test uses while this lives, even in
/// another process: a listener on the last one marks the block as taken.
pub struct PortBlock {
    first: u16,
    size: u16,
    _sign: TcpListener,
}

impl PortBlock {
    /// 199 ports of five digits that browsers allow, below the ephemeral ports.
    pub fn reserve() -> PortBlock {
        PortBlock::among(10_200, 32_600, 200)
    }

    /// 49 ports of four digits, for tests that depend on the number of digits.
    pub fn reserve_of_four_digits() -> PortBlock {
        PortBlock::among(7_000, 10_000, 50)
    }

    fn among(start: u16, end: u16, size: u16) -> PortBlock {
        let blocks = (start..end).step_by(usize::from(size));
        // Each process starts elsewhere, so that few find a block in use.
        let skipped = std::process::id() as usize % blocks.len();
        blocks
            .clone()
            .skip(skipped)
            .chain(blocks)
            .find_map(|first| {
                let last = first + size - 1;
                let sign = TcpListener::bind((Ipv4Addr::LOCALHOST, last)).ok()?;
                let is_free = (first..last).all(can_bind);
                is_free.then_some(PortBlock {
                    first,
                    size,
                    _sign: sign,
                })
            })
            .expect("a block of ports that nothing listens on")
    }

    /// The port at `offset`, counted from 0.
    #[track_caller]
    pub fn port(&self, offset: u16) -> u16 {
        assert!(offset < self.size - 1, "the block has no port {offset}");
        self.first + offset
    }
}

/// Whether `port` can be bound on every address that the program probes. It does not listen,
/// because a listener could disturb other tests.
pub fn can_bind(port: u16) -> bool {
    let addresses: [SocketAddr; 4] = [
        (Ipv4Addr::LOCALHOST, port).into(),
        (Ipv4Addr::UNSPECIFIED, port).into(),
        (Ipv6Addr::LOCALHOST, port).into(),
        (Ipv6Addr::UNSPECIFIED, port).into(),
    ];
    let bind = |address: SocketAddr| -> io::Result<()> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())
    };
    // On Linux, whoever has the port on any address is in the way of the last one.
    if cfg!(target_os = "linux") && bind(addresses[3]).is_ok() {
        return true;
    }
    addresses.into_iter().map(bind).all(|bound| match bound {
        Ok(()) => true,
        // A machine without IPv6 has no such addresses.
        Err(error) => {
            let kind = error.kind();
            kind == io::ErrorKind::AddrNotAvailable
                || kind == io::ErrorKind::Unsupported
                || error.raw_os_error() == Some(libc::EAFNOSUPPORT)
        }
    })
}

/// Listens on `port` of 127.0.0.1.
#[track_caller]
pub fn listen(port: u16) -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap()
}

/// Ends a listener. Closing it is not enough, because another test's child has a copy of it until
/// it calls exec.
#[expect(
    clippy::needless_pass_by_value,
    reason = "it is not to be used any more"
)]
pub fn close(listener: TcpListener) {
    // Linux stops listening at a shutdown. Elsewhere this fails, and there is nothing else to do.
    let _ = socket2::SockRef::from(&listener).shutdown(std::net::Shutdown::Both);
}
