//! What the host hands in: bytes, facts about flows, DNS answers.

use crate::id::{FlowId, QueryId};
use crate::output::SendToken;
use alloc::string::String;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

/// One unit of input for [`Endpoint::handle_input`](crate::Endpoint::handle_input).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Input<'a> {
    /// A datagram came in on a datagram socket.
    Datagram {
        /// The socket.
        flow: FlowId,
        /// Where it came from.
        remote: SocketAddr,
        /// All of it.
        bytes: &'a [u8],
    },
    /// Bytes came in on a TCP or TLS connection, cut anyhow.
    Stream {
        /// The connection.
        flow: FlowId,
        /// The next bytes.
        bytes: &'a [u8],
    },
    /// A message came in on a connection that keeps messages apart: WebSocket or SCTP.
    Message {
        /// The connection.
        flow: FlowId,
        /// The whole message.
        bytes: &'a [u8],
    },
    /// The connection asked for by [`Event::Connect`](crate::Event::Connect) is open.
    FlowOpened {
        /// The flow of the event.
        flow: FlowId,
        /// This end's address.
        local: SocketAddr,
    },
    /// A connection is closed, or could not be opened. The id is stale after this.
    FlowClosed {
        /// The connection.
        flow: FlowId,
        /// Why.
        cause: CloseCause,
    },
    /// A [`Transmit`](crate::Transmit) could not be sent: ICMP told so, or the system refused it. For a
    /// connection that broke, report [`FlowClosed`](Input::FlowClosed) instead.
    SendFailed {
        /// The token of the transmit.
        token: SendToken,
        /// Why.
        cause: SendCause,
    },
    /// The answer to an [`Event::Query`](crate::Event::Query).
    Resolved {
        /// The query of the event.
        query: QueryId,
        /// What DNS said.
        answer: Answer<'a>,
    },
}

/// Why a connection is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseCause {
    /// The peer closed it in good order.
    Closed,
    /// It was reset or broke.
    Reset,
    /// It could not be opened: refused, or no answer.
    Refused,
    /// TLS failed: the certificate does not carry the name asked for, or is not trusted.
    Untrusted,
    /// The host closed it, of its own accord or to free resources.
    Local,
    /// The peer sent what cannot be framed as SIP, so that nothing behind it can be found.
    Framing,
    /// No pong came to a keepalive.
    Keepalive,
    /// It did not open in time.
    ConnectTimeout,
}

/// Why a datagram could not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SendCause {
    /// Host, network, port or protocol unreachable, or a parameter problem.
    Unreachable,
    /// ICMP source quench or time exceeded: ignored, as RFC 3261 section 18.4 says.
    Transient,
    /// The message is larger than the transport takes.
    TooLong,
}

/// What DNS answered.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Answer<'a> {
    /// The records of the kind asked for. None of them: the name exists without such records, or does not exist.
    Records(&'a [Record]),
    /// Nobody answered, or the answer was an error such as SERVFAIL. Not cached.
    Failed,
}

/// One DNS record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    /// How long it may be kept.
    pub ttl: Duration,
    /// What it says.
    pub data: RecordData,
}

/// The contents of a DNS record. Names are without the dot at the end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RecordData {
    /// An A or AAAA record.
    Address(IpAddr),
    /// An SRV record (RFC 2782).
    Srv {
        /// Lower ones are tried first.
        priority: u16,
        /// Share among those of the same priority.
        weight: u16,
        /// Port of the service.
        port: u16,
        /// Name of the host.
        target: String,
    },
    /// A NAPTR record (RFC 3403).
    Naptr {
        /// Lower ones first; decides.
        order: u16,
        /// Lower ones first within an order.
        preference: u16,
        /// `s` for those of SIP.
        flags: String,
        /// Such as `SIP+D2U`.
        service: String,
        /// Empty for those of SIP.
        regexp: String,
        /// The name to ask for SRV records.
        replacement: String,
    },
}
