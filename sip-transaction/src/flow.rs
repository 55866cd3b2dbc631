//! One flow as it is kept: a connection, or a datagram socket.

use crate::cores::NIL;
use crate::output::SendToken;
use crate::time::Instant;
use crate::transport::Transport;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use bytes::Bytes;
use core::net::SocketAddr;
use core::time::Duration;
use sip_message::StreamDecoder;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FlowState {
    /// A datagram socket.
    Socket,
    /// A connection asked for and not open yet.
    Connecting,
    Open,
}

pub(crate) struct Flow {
    pub(crate) transport: Transport,
    pub(crate) state: FlowState,
    pub(crate) local: SocketAddr,
    /// Of a connection. A socket has none of its own.
    pub(crate) remote: SocketAddr,
    /// What Via has for this flow.
    pub(crate) sent_by: Box<str>,
    /// When to give up waiting for it to open.
    pub(crate) connect_at: Instant,
    /// Whether this endpoint opened it.
    pub(crate) outgoing: bool,
    /// Who the peer is, as the host has authenticated it, so that it may ask for connection reuse (RFC 5923).
    pub(crate) identities: alloc::vec::Vec<String>,
    pub(crate) server_name: Option<String>,
    pub(crate) decoder: Option<Box<StreamDecoder>>,
    /// What waits for the connection.
    pub(crate) queue: VecDeque<(Bytes, Option<SendToken>)>,
    pub(crate) queued: usize,
    /// The first transaction that uses it.
    pub(crate) head: u32,
    /// Under which addresses of the peer it is found for new requests.
    pub(crate) known_as: smallvec::SmallVec<[SocketAddr; 1]>,
    pub(crate) keepalive: Option<StreamKeepalive>,
}

/// CRLF keepalives this endpoint sends on a connection: RFC 5626 section 4.4.1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamKeepalive {
    pub(crate) interval: Duration,
    /// Since when a pong is awaited.
    pub(crate) awaits: bool,
    /// The next ping or the end of the wait.
    pub(crate) at: Instant,
}

impl Flow {
    pub(crate) fn new(transport: Transport, state: FlowState, local: SocketAddr, remote: SocketAddr) -> Flow {
        Flow {
            transport,
            state,
            local,
            remote,
            sent_by: Box::from(""),
            connect_at: Instant::ZERO,
            outgoing: false,
            identities: alloc::vec::Vec::new(),
            server_name: None,
            decoder: None,
            queue: VecDeque::new(),
            queued: 0,
            head: NIL,
            known_as: smallvec::SmallVec::new(),
            keepalive: None,
        }
    }
}
