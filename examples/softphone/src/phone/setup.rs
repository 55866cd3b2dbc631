//! What a telephone is set up with: Contact, instance id, the address that leads out, sockets.

use crate::options::{Command, Options, host};
use sip_transaction::Transport;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket as StdUdpSocket};
use tokio::net::{TcpListener, lookup_host};

/// The Contact: how others reach this telephone.
pub(super) fn contact(options: &Options, local: SocketAddr, seed: &[u8; 32]) -> String {
    let (user, ip, port) = (&options.user, host(local.ip()), local.port());
    match options.transport {
        Transport::Udp => format!("<sip:{user}@{ip}:{port}>"),
        // Nobody connects to a WebSocket client: the host is a name for nobody (RFC 7118 section 5).
        Transport::Ws | Transport::Wss => {
            let name: String = seed[..6].iter().map(|byte| char::from(b'a' + byte % 26)).collect();
            format!("<sip:{user}@{name}.invalid;transport=ws>")
        }
        transport => format!("<sip:{user}@{ip}:{port};transport={}>", transport.via().to_ascii_lowercase()),
    }
}

/// An instance id that is the same at each start of the same telephone on the same address.
pub(super) fn instance(aor: &str, local: SocketAddr) -> String {
    use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
    let hasher = BuildHasherDefault::<DefaultHasher>::default();
    let (a, b) = (hasher.hash_one((aor, local)), hasher.hash_one((local, aor)));
    // A version 8 UUID (RFC 9562 section 5.8): all but version and variant is ours to choose.
    format!(
        "urn:uuid:{:08x}-{:04x}-8{:03x}-{:04x}-{:012x}",
        a >> 32,
        a >> 16 & 0xffff,
        a & 0xfff,
        b >> 48 & 0x3fff | 0x8000,
        b & 0xffff_ffff_ffff
    )
}

/// The address of this host that leads to the server, or to whom is called.
pub(super) async fn way_out(options: &Options) -> Result<IpAddr, String> {
    let port = |given: Option<u16>| given.unwrap_or(5060);
    let place = match (&options.server, &options.command) {
        (Some((host, given)), _) => Some((host.clone(), port(*given))),
        (None, Command::Call(who) | Command::Message(who, _) | Command::Options(who) | Command::Subscribe(who)) => {
            let uri = sip_message::Uri::parse(who.as_bytes()).map_err(|_| format!("{who}: not a SIP URI"))?;
            let uri = uri.as_sip().ok_or_else(|| format!("{who}: without a server, only SIP URIs can be reached"))?;
            Some((uri.host_str().to_owned(), port(uri.port())))
        }
        (None, _) => None,
    };
    let Some((name, port)) = place else { return Ok(Ipv4Addr::LOCALHOST.into()) };
    let found = lookup_host((name.trim_matches(['[', ']']), port)).await;
    // A domain may have SRV records alone: then any way out will do.
    let target = found.ok().and_then(|mut list| {
        let first = list.next()?;
        Some(if first.is_ipv4() { first } else { list.find(SocketAddr::is_ipv4).unwrap_or(first) })
    });
    let target = target.unwrap_or_else(|| SocketAddr::from(([192, 0, 2, 1], 9)));
    let any: SocketAddr = if target.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    // No packet is sent: the system only looks up its routes.
    let socket = StdUdpSocket::bind(any).and_then(|socket| socket.connect(target).map(|()| socket));
    let local = socket.and_then(|socket| socket.local_addr());
    local.map(|local| local.ip()).map_err(|error| format!("no way to {name}: {error}; name one with --bind IP"))
}

/// A UDP socket that does not block and a TCP listener on the same port.
pub(super) async fn both(ip: IpAddr, port: u16) -> std::io::Result<(StdUdpSocket, TcpListener)> {
    let mut last = None;
    for _ in 0..16 {
        let socket = StdUdpSocket::bind((ip, port))?;
        socket.set_nonblocking(true)?;
        match TcpListener::bind(socket.local_addr()?).await {
            Ok(listener) => return Ok((socket, listener)),
            Err(error) => last = Some(error),
        }
        if port != 0 {
            break;
        }
    }
    Err(last.unwrap_or_else(|| std::io::ErrorKind::AddrInUse.into()))
}
