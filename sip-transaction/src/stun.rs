//! STUN Binding, as much of it as keepalives on a SIP port need: RFC 5626 section 8 and RFC 5389.
//!
//! Reads and writes single packets, and owns the keepalives that wait for an answer. Knows no authentication.

use crate::id::FlowId;
use crate::time::Instant;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;

const COOKIE: u32 = 0x2112_A442;
const BINDING_REQUEST: u16 = 0x0001;
const BINDING_INDICATION: u16 = 0x0011;
const BINDING_SUCCESS: u16 = 0x0101;
const BINDING_ERROR: u16 = 0x0111;
const MAPPED_ADDRESS: u16 = 0x0001;
const ERROR_CODE: u16 = 0x0009;
const UNKNOWN_ATTRIBUTES: u16 = 0x000A;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;

/// A transaction id.
pub(crate) type Id = [u8; 12];

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Packet {
    Request {
        id: Id,
        /// Attributes that must be understood and are not.
        unknown: Vec<u16>,
    },
    Response {
        id: Id,
        /// The address the peer saw; `None` in an error response.
        mapped: Option<SocketAddr>,
    },
    Indication,
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

/// Reads a packet; `None` if it is no STUN Binding.
pub(crate) fn read(bytes: &[u8]) -> Option<Packet> {
    let (kind, len) = (u16_at(bytes, 0)?, usize::from(u16_at(bytes, 2)?));
    let cookie = u32::from_be_bytes(bytes.get(4..8)?.try_into().ok()?);
    if cookie != COOKIE || len % 4 != 0 || bytes.len() != 20 + len {
        return None;
    }
    let id: Id = bytes.get(8..20)?.try_into().ok()?;
    let mut unknown = Vec::new();
    let mut mapped = None;
    let mut at = 20;
    while at < bytes.len() {
        let (attribute, len) = (u16_at(bytes, at)?, usize::from(u16_at(bytes, at + 2)?));
        let value = bytes.get(at + 4..at + 4 + len)?;
        match attribute {
            XOR_MAPPED_ADDRESS => mapped = address(value, &id, true).or(mapped),
            MAPPED_ADDRESS => mapped = mapped.or(address(value, &id, false)),
            ERROR_CODE | UNKNOWN_ATTRIBUTES => {}
            // Below 0x8000 they must be understood; a datagram has no room for many.
            0..=0x7fff if unknown.len() < 16 => unknown.push(attribute),
            _ => {}
        }
        at += 4 + len.next_multiple_of(4);
    }
    match kind {
        BINDING_REQUEST => Some(Packet::Request { id, unknown }),
        BINDING_SUCCESS => Some(Packet::Response { id, mapped }),
        BINDING_ERROR => Some(Packet::Response { id, mapped: None }),
        BINDING_INDICATION => Some(Packet::Indication),
        _ => None,
    }
}

/// The 16 bytes an address is XORed with.
fn mask(id: &Id) -> [u8; 16] {
    let mut mask = [0; 16];
    mask[..4].copy_from_slice(&COOKIE.to_be_bytes());
    mask[4..].copy_from_slice(id);
    mask
}

fn address(value: &[u8], id: &Id, masked: bool) -> Option<SocketAddr> {
    let mask = if masked { mask(id) } else { [0; 16] };
    let port = u16_at(value, 2)? ^ u16::from_be_bytes([mask[0], mask[1]]);
    let rest = value.get(4..)?;
    let ip = match *value.get(1)? {
        1 if rest.len() == 4 => {
            let mut octets = [0; 4];
            octets.iter_mut().zip(rest).zip(mask).for_each(|((octet, byte), mask)| *octet = byte ^ mask);
            IpAddr::V4(Ipv4Addr::from(octets))
        }
        2 if rest.len() == 16 => {
            let mut octets = [0; 16];
            octets.iter_mut().zip(rest).zip(mask).for_each(|((octet, byte), mask)| *octet = byte ^ mask);
            IpAddr::V6(Ipv6Addr::from(octets))
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

fn header(kind: u16, id: &Id, body: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(20 + body.len());
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&(body.len() as u16).to_be_bytes());
    out.extend_from_slice(&COOKIE.to_be_bytes());
    out.extend_from_slice(id);
    out.extend_from_slice(body);
    out.into()
}

/// A Binding request.
pub(crate) fn request(id: &Id) -> Bytes {
    header(BINDING_REQUEST, id, &[])
}

//= https://www.rfc-editor.org/rfc/rfc5626#section-8
//# The UAS, proxy, or
//# registrar responds to a valid Binding Request with a Binding Response
//# that MUST include the XOR-MAPPED-ADDRESS attribute.
/// The answer to a Binding request from `source`: its address, or error 420 if it demands what is not understood.
pub(crate) fn answer(id: &Id, source: SocketAddr, unknown: &[u16]) -> Bytes {
    let mut body = Vec::with_capacity(24);
    if unknown.is_empty() {
        let mask = mask(id);
        let port = source.port() ^ u16::from_be_bytes([mask[0], mask[1]]);
        let (family, octets): (u8, Vec<u8>) = match source.ip() {
            IpAddr::V4(ip) => (1, ip.octets().iter().zip(mask).map(|(octet, mask)| octet ^ mask).collect()),
            IpAddr::V6(ip) => (2, ip.octets().iter().zip(mask).map(|(octet, mask)| octet ^ mask).collect()),
        };
        body.extend_from_slice(&XOR_MAPPED_ADDRESS.to_be_bytes());
        body.extend_from_slice(&(4 + octets.len() as u16).to_be_bytes());
        body.extend_from_slice(&[0, family]);
        body.extend_from_slice(&port.to_be_bytes());
        body.extend_from_slice(&octets);
        return header(BINDING_SUCCESS, id, &body);
    }
    body.extend_from_slice(&ERROR_CODE.to_be_bytes());
    body.extend_from_slice(&[0, 4, 0, 0, 4, 20]);
    body.extend_from_slice(&UNKNOWN_ATTRIBUTES.to_be_bytes());
    body.extend_from_slice(&(2 * unknown.len() as u16).to_be_bytes());
    unknown.iter().for_each(|attribute| body.extend_from_slice(&attribute.to_be_bytes()));
    body.resize(body.len().next_multiple_of(4), 0);
    header(BINDING_ERROR, id, &body)
}

/// One keepalive to a peer of a datagram socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keepalive {
    pub(crate) flow: FlowId,
    pub(crate) remote: SocketAddr,
    pub(crate) interval: Duration,
    /// The request under way, and how often it has been sent.
    pub(crate) pending: Option<(Id, u8)>,
    /// Where the peer has seen this endpoint so far.
    pub(crate) mapped: Option<SocketAddr>,
    /// When there is next something to do.
    pub(crate) at: Instant,
}

/// The keepalives on datagram flows.
#[derive(Default)]
pub(crate) struct Keepalives {
    pub(crate) by_id: BTreeMap<u64, Keepalive>,
    pub(crate) by_path: BTreeMap<(FlowId, SocketAddr), u64>,
    pub(crate) next: u64,
}

impl Keepalives {
    /// Drops all of a socket; those that come due after find nothing.
    pub(crate) fn forget_flow(&mut self, flow: FlowId) {
        if self.by_path.is_empty() {
            return;
        }
        self.by_path.retain(|(of, _), _| *of != flow);
        self.by_id.retain(|_, keepalive| keepalive.flow != flow);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: Id = *b"0123456789ab";

    #[test]
    fn an_answer_tells_the_source_address() {
        for source in ["192.0.2.1:32853", "[2001:db8:1234:5678:11:2233:4455:6677]:32853"] {
            let source: SocketAddr = source.parse().unwrap();
            let answer = answer(&ID, source, &[]);
            assert_eq!(read(&answer), Some(Packet::Response { id: ID, mapped: Some(source) }));
        }
    }

    #[test]
    fn what_must_be_understood_and_is_not_is_refused() {
        let mut packet = request(&ID).to_vec();
        packet[3] = 8;
        packet.extend_from_slice(&[0x00, 0x24, 0, 4, 1, 2, 3, 4]);
        let Some(Packet::Request { unknown, .. }) = read(&packet) else { panic!("a request") };
        assert_eq!(unknown, [0x24]);
        let refusal = answer(&ID, "192.0.2.1:1".parse().unwrap(), &unknown);
        assert_eq!(&refusal[..2], &BINDING_ERROR.to_be_bytes());
        assert_eq!(read(&refusal), Some(Packet::Response { id: ID, mapped: None }));
    }

    #[test]
    fn anything_else_is_no_stun() {
        let good = request(&ID).to_vec();
        for cut in 0..good.len() {
            assert_eq!(read(&good[..cut]), None);
        }
        for flip in 4..8 {
            let mut bad = good.clone();
            bad[flip] ^= 1;
            assert_eq!(read(&bad), None, "magic cookie");
        }
        let mut long = good;
        long[3] = 4;
        long.extend_from_slice(&[0x00, 0x20, 0, 200]);
        assert_eq!(read(&long), None, "attribute beyond the end");
    }
}
