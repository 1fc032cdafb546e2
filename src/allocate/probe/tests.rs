//! Tests of `probe`.

use std::net::TcpListener;

use super::*;
use crate::ports::fixture::bundle;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Free,
    Taken,
    Refused,
    Shortage,
    Unknown,
}

fn kind(answer: io::Result<Answer>) -> Kind {
    match answer {
        Ok(Answer::Free) => Kind::Free,
        Ok(Answer::Taken) => Kind::Taken,
        Ok(Answer::Refused) => Kind::Refused,
        Err(error) if ErrorKind::of(&error) == ErrorKind::Shortage => Kind::Shortage,
        Err(_) => Kind::Unknown,
    }
}

#[test]
fn what_an_error_says_of_a_port_follows_from_it_and_from_the_call() {
    use Kind::{Free, Refused, Shortage, Taken, Unknown};
    // The error, and what it is from socket(2) and from bind(2).
    #[cfg(unix)]
    let table = [
        (libc::EADDRINUSE, Taken, Taken),
        (libc::EACCES, Refused, Taken),
        (libc::EPERM, Refused, Refused),
        (libc::EADDRNOTAVAIL, Free, Free),
        (libc::EAFNOSUPPORT, Free, Free),
        (libc::EMFILE, Shortage, Shortage),
        (libc::ENFILE, Shortage, Shortage),
        (libc::ENOMEM, Shortage, Shortage),
        (libc::ENOBUFS, Shortage, Shortage),
        (libc::EINVAL, Unknown, Unknown),
        (libc::EIO, Unknown, Unknown),
    ];
    // WSAEADDRINUSE and so on, in the same order.
    #[cfg(windows)]
    let table = [
        (10048, Taken, Taken),
        (10013, Refused, Taken),
        (10049, Free, Free),
        (10047, Free, Free),
        (10024, Shortage, Shortage),
        (10055, Shortage, Shortage),
        (10022, Unknown, Unknown),
    ];
    for (code, from_socket, from_bind) in table {
        let error = || io::Error::from_raw_os_error(code);
        let kinds = (kind(Answer::of_socket(error())), kind(Answer::of(error())));
        assert_eq!(kinds, (from_socket, from_bind), "{}", error());
    }
}

#[test]
fn a_port_on_which_something_listens_is_taken() {
    let narrator = Narrator::default();
    let probe = Probe::new(&narrator);
    // Ports of its own: the kernel gives each to one listener.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = Port::new(u64::from(listener.local_addr().unwrap().port())).unwrap();
    assert!(!probe.is_free(port).unwrap());
    assert!(!probe.are_free(&bundle(1, &[("a", port.number())])).unwrap());
    assert!(probe.are_free(&bundle(1, &[])).unwrap());
    let refused = Probe::new(&narrator);
    refused.is_refused.set(true);
    assert!(refused.is_free(port).unwrap(), "nothing is asked any more");
}

#[test]
fn whoever_listens_on_any_address_has_the_port() {
    let narrator = Narrator::default();
    let probe = Probe::new(&narrator);
    for address in ADDRESSES {
        let Ok(listener) = TcpListener::bind((address, 0)) else {
            continue;
        };
        let number = listener.local_addr().unwrap().port();
        let port = Port::new(u64::from(number)).unwrap();
        assert!(!probe.is_free(port).unwrap(), "{address}");
    }
}
