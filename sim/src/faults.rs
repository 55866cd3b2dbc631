//! What the network does to what it carries.

use bytes::Bytes;
use core::net::SocketAddr;
use core::time::Duration;
use sip_transaction::{Instant, Transport};

/// How bad the network is. The default is perfect, with a delay of 10 ms.
#[derive(Clone, Debug)]
pub struct Faults {
    /// The least time anything takes.
    pub delay: Duration,
    /// Up to this much more, at random for each datagram, so that they overtake each other.
    pub jitter: Duration,
    /// Datagrams lost, out of 1000.
    pub loss: u32,
    /// Datagrams that arrive twice, out of 1000.
    pub duplicates: u32,
    /// Whether streams are cut into pieces anywhere.
    pub cut_streams: bool,
    /// Connections that break, out of 1000 pieces sent.
    pub breaks: u32,
    /// Whether a datagram to nobody comes back as unreachable, as ICMP does.
    pub icmp: bool,
}

impl Default for Faults {
    fn default() -> Self {
        Faults {
            delay: Duration::from_millis(10),
            jitter: Duration::ZERO,
            loss: 0,
            duplicates: 0,
            cut_streams: false,
            breaks: 0,
            icmp: true,
        }
    }
}

/// What is about to be carried.
#[derive(Clone, Debug)]
pub struct Packet {
    /// How many have been sent before, in the whole network.
    pub number: usize,
    /// When.
    pub at: Instant,
    /// The transport.
    pub transport: Transport,
    /// From where.
    pub from: SocketAddr,
    /// To where.
    pub to: SocketAddr,
    /// What.
    pub bytes: Bytes,
}

/// What becomes of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// As the faults will have it.
    Carry,
    /// It is lost. On a stream, the connection breaks.
    Lose,
    /// It arrives this much later.
    Delay(Duration),
    /// It arrives twice, the second time this much later.
    Twice(Duration),
    /// It comes back as unreachable.
    Refuse,
}
