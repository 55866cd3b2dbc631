//! What ICMP says of datagrams that were sent. A socket that is not connected is not told by itself; Linux keeps it beside the socket for those who
//! ask, with the address that the datagram went to and as much of its beginning as came back. Elsewhere nothing is known.

use sip_transaction::{SendCause, SendToken};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use tokio::net::UdpSocket;

/// A datagram that did not arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undelivered {
    /// Where it was sent.
    pub remote: SocketAddr,
    /// What the endpoint is to be told.
    pub cause: SendCause,
    /// How it began; empty if not even that came back.
    pub start: Vec<u8>,
}

/// How much of a datagram is kept in mind: its first line, and the Via that tells it from others.
const START: usize = 192;

/// The datagrams sent last that something waits for.
#[derive(Debug)]
pub struct Sent {
    most: usize,
    last: VecDeque<Begun>,
}

/// One of them.
#[derive(Debug)]
struct Begun {
    remote: SocketAddr,
    /// `None`: it is known not to have arrived.
    token: Option<SendToken>,
    len: u8,
    start: [u8; START],
}

impl Sent {
    /// None yet; so many are kept in mind.
    pub fn new(most: usize) -> Self {
        Sent { most, last: VecDeque::new() }
    }

    /// Keeps one in mind.
    pub fn note(&mut self, remote: SocketAddr, token: SendToken, bytes: &[u8]) {
        if self.last.len() >= self.most {
            self.last.pop_front();
        }
        let (mut start, len) = ([0; START], bytes.len().min(START));
        start[..len].copy_from_slice(&bytes[..len]);
        self.last.push_back(Begun { remote, token: Some(token), len: len as u8, start });
    }

    /// What waits for a datagram that did not arrive, each once: all that were sent there, if nothing of it came back.
    pub fn lost(&mut self, datagram: &Undelivered) -> Vec<SendToken> {
        let mut lost = Vec::new();
        for begun in self.last.iter_mut().filter(|begun| begun.remote == datagram.remote) {
            let start = &begun.start[..usize::from(begun.len)];
            // Of a long one, more may have come back than is kept.
            let known = if start.len() == START { datagram.start.len().min(START) } else { datagram.start.len() };
            if datagram.start.get(..known).is_some_and(|known| start.starts_with(known)) {
                lost.extend(begun.token.take().filter(|token| !lost.contains(token)));
            }
        }
        lost
    }
}

/// Has the system keep what comes back. Without that, [`undelivered`] waits for ever.
///
/// From then on any call on the socket may fail once for a datagram sent before: what is sent and fails is to be sent once more.
///
/// # Errors
///
/// Those of the system.
pub fn keep_undelivered(socket: &UdpSocket) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    linux::keep(socket)?;
    let _ = socket;
    Ok(())
}

/// The next datagram that did not arrive.
///
/// # Errors
///
/// Those of the system.
pub async fn undelivered(socket: &UdpSocket) -> io::Result<Undelivered> {
    #[cfg(target_os = "linux")]
    return socket.async_io(tokio::io::Interest::ERROR, || linux::next(socket)).await;
    #[cfg(not(target_os = "linux"))]
    {
        let _ = socket;
        std::future::pending().await
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use super::{SendCause, SocketAddr, UdpSocket, Undelivered, io};
    use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
    use std::io::IoSliceMut;
    use std::os::fd::AsRawFd as _;

    pub(super) fn keep(socket: &UdpSocket) -> io::Result<()> {
        match socket.local_addr()? {
            SocketAddr::V4(_) => setsockopt(socket, sockopt::Ipv4RecvErr, &true)?,
            SocketAddr::V6(_) => setsockopt(socket, sockopt::Ipv6RecvErr, &true)?,
        }
        Ok(())
    }

    /// Takes one from the queue of errors; `WouldBlock` if there is none.
    pub(super) fn next(socket: &UdpSocket) -> io::Result<Undelivered> {
        let (mut start, mut control) = ([0; 1024], [0; 512]);
        loop {
            let mut parts = [IoSliceMut::new(&mut start)];
            let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
            let message = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut parts, Some(&mut control), flags)?;
            let (len, remote) = (message.bytes, message.address.as_ref().and_then(address));
            let cause = message.cmsgs()?.find_map(|part| match part {
                ControlMessageOwned::Ipv4RecvErr(error, _) => cause(error.ee_origin, error.ee_type, error.ee_code),
                ControlMessageOwned::Ipv6RecvErr(error, _) => cause(error.ee_origin, error.ee_type, error.ee_code),
                _ => None,
            });
            if let (Some(remote), Some(cause)) = (remote, cause) {
                return Ok(Undelivered { remote, cause, start: start.get(..len).unwrap_or_default().to_vec() });
            }
        }
    }

    fn address(at: &SockaddrStorage) -> Option<SocketAddr> {
        let v4 = at.as_sockaddr_in().map(|at| SocketAddr::from(*at));
        v4.or_else(|| at.as_sockaddr_in6().map(|at| SocketAddr::from(*at)))
    }

    /// What an error is to an endpoint, by its ICMP type; `None` for those of this host, which the call that sent has had.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-18.4
    //# Host, network, port or protocol unreachable errors, or parameter problem
    //# errors SHOULD cause the transport layer to inform the transport user of
    //# a failure in sending.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-18.4
    //# Source quench and TTL exceeded ICMP errors SHOULD be ignored.
    fn cause(origin: u8, kind: u8, code: u8) -> Option<SendCause> {
        const ICMP: u8 = 2;
        const ICMP6: u8 = 3;
        match (origin, kind, code) {
            (ICMP, 3, 4) | (ICMP6, 2, _) => Some(SendCause::TooLong),
            (ICMP, 3 | 12, _) | (ICMP6, 1 | 4, _) => Some(SendCause::Unreachable),
            (ICMP | ICMP6, ..) => Some(SendCause::Transient),
            _ => None,
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn icmp_is_read_by_its_types() {
            use SendCause::{TooLong, Transient, Unreachable};
            for (origin, kind, code, expected) in [
                // Unreachable: net, host, port; too big; a parameter problem; source quench; time exceeded.
                (2, 3, 0, Some(Unreachable)),
                (2, 3, 1, Some(Unreachable)),
                (2, 3, 3, Some(Unreachable)),
                (2, 3, 4, Some(TooLong)),
                (2, 12, 0, Some(Unreachable)),
                (2, 4, 0, Some(Transient)),
                (2, 11, 0, Some(Transient)),
                (3, 1, 4, Some(Unreachable)),
                (3, 2, 0, Some(TooLong)),
                (3, 3, 0, Some(Transient)),
                (3, 4, 0, Some(Unreachable)),
                (1, 0, 0, None),
            ] {
                assert_eq!(cause(origin, kind, code), expected, "{origin} {kind} {code}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_lost_is_known_by_where_it_went_and_how_it_began() {
        let (here, there) = ("192.0.2.1:5060".parse().unwrap(), "192.0.2.2:5060".parse().unwrap());
        let token = SendToken::from_bits;
        let mut sent = Sent::new(300);
        let long = "x".repeat(2 * START);
        for (n, (remote, text)) in
            [(here, "INVITE a"), (here, "OPTIONS b"), (there, "OPTIONS b"), (here, "BYE c"), (here, &long)]
                .into_iter()
                .enumerate()
        {
            sent.note(remote, token(n as u64), text.as_bytes());
        }
        sent.note(here, token(3), b"BYE c");
        let mut lost =
            |start: &str| sent.lost(&Undelivered { remote: here, cause: SendCause::Unreachable, start: start.into() });
        assert_eq!(lost("OPTIONS"), [token(1)]);
        assert_eq!(lost("OPTIONS"), [], "once");
        assert_eq!(lost("INVITE abc"), [], "another");
        assert_eq!(lost(&long), [token(4)]);
        assert_eq!(lost(""), [token(0), token(3)]);
        for n in 0..1000 {
            sent.note(here, token(n), &[]);
        }
        assert_eq!(sent.last.len(), 300);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn whoever_is_not_there_is_told_of_and_who_is_there_is_not() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        keep_undelivered(&socket).unwrap();
        let there = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let gone = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        for n in 0..3 {
            let text = format!("OPTIONS {n}");
            assert!(socket.send_to(text.as_bytes(), there.local_addr().unwrap()).await.is_ok(), "{n}");
            socket.send_to(text.as_bytes(), gone).await.unwrap();
            let expected = Undelivered { remote: gone, cause: SendCause::Unreachable, start: text.into_bytes() };
            assert_eq!(undelivered(&socket).await.unwrap(), expected);
        }
        assert!(crate::at_once(undelivered(&socket)).await.is_none());
    }
}
