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
    /// The line of Via that requests over this flow begin with, up to the branch: protocol and sent-by are the same in all.
    via: Box<str>,
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
            via: Box::from(""),
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

    /// Says what stands in Via as this end of the flow.
    pub(crate) fn set_sent_by(&mut self, sent_by: &str) {
        self.via = alloc::format!("{VIA}{} {sent_by}{BRANCH}", self.transport.via()).into();
    }

    /// What Via has for this flow; empty for a connection that is not open.
    pub(crate) fn sent_by(&self) -> &str {
        let start = VIA.len() + self.transport.via().len() + 1;
        self.via.get(start..).and_then(|rest| rest.strip_suffix(BRANCH)).unwrap_or_default()
    }

    /// The line of Via up to the branch.
    pub(crate) fn via(&self) -> &str {
        &self.via
    }

    /// What stands behind the sent-by and `;branch=` in a Via that was written for this flow. `None` if the value begins in any other
    /// way.
    #[inline]
    pub(crate) fn branch_of<'a>(&self, via: &'a [u8]) -> Option<&'a [u8]> {
        // Without its name, and never the whole of nothing.
        let start = self.via.as_bytes().get("Via: ".len()..)?;
        via.strip_prefix(start)
    }
}

const VIA: &str = "Via: SIP/2.0/";
const BRANCH: &str = ";branch=";
