//! What the endpoint hands out: bytes to send, and events.

use crate::id::{ClientTxId, FlowId, QueryId, ServerTxId};
use crate::input::{CloseCause, SendCause};
use crate::transport::Transport;
use alloc::boxed::Box;
use alloc::string::String;
use bytes::Bytes;
use core::net::SocketAddr;
use sip_message::{Message, StatusCode};

/// Bytes for the host to send: one datagram, one WebSocket or SCTP message, or the next bytes of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transmit {
    /// The socket or connection to send on.
    pub flow: FlowId,
    /// Its transport.
    pub transport: Transport,
    /// Its local address.
    pub local: SocketAddr,
    /// Where to.
    pub remote: SocketAddr,
    /// What.
    pub bytes: Bytes,
    /// The time to live, for a multicast destination: that of the URI or Via that led there, else 1.
    pub ttl: Option<u8>,
    /// To hand back in [`Input::SendFailed`](crate::Input::SendFailed) if it cannot be sent; `None` if nobody would listen.
    pub token: Option<SendToken>,
}

/// What a [`Transmit`] was sent for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SendToken(pub(crate) u64);

impl SendToken {
    /// The token as a number, for hosts that pass it through an API that takes one.
    pub fn to_bits(self) -> u64 {
        self.0
    }

    /// The token of [`to_bits`](SendToken::to_bits).
    pub fn from_bits(bits: u64) -> Self {
        SendToken(bits)
    }
}

/// Where a message came from or goes to: the flow and its two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    /// The connection or datagram socket.
    pub flow: FlowId,
    /// Its transport.
    pub transport: Transport,
    /// This end.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
}

/// What happened. Handed out by [`Endpoint::poll_event`](crate::Endpoint::poll_event).
///
/// Messages are on the heap from the moment they are read, so that an event is handed from core to core at the cost of a few words.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A new request, with a server transaction: answer it with [`Endpoint::respond`](crate::Endpoint::respond).
    ///
    /// The topmost Via has `received` and `rport` filled in. CANCEL comes this way only if it matches no INVITE. Nothing else has been
    /// checked: From, To, Call-ID or CSeq may be missing or wrong, and [`Endpoint::reply`](crate::Endpoint::reply) refuses also such a request.
    Request {
        /// The transaction.
        tx: ServerTxId,
        /// Where it came from.
        path: Path,
        /// The request.
        message: Box<Message>,
    },
    /// An ACK for a 2xx: it belongs to a dialog, not to a transaction.
    Ack {
        /// The INVITE transaction, if the ACK matched it though it has been accepted.
        tx: Option<ServerTxId>,
        /// Where it came from.
        path: Path,
        /// The ACK.
        message: Box<Message>,
    },
    /// The peer cancels an INVITE that has no final response yet; the CANCEL has been answered 200. Answer the
    /// INVITE, with 487 if nothing better is known (RFC 3261 section 9.2).
    Cancel {
        /// The INVITE transaction.
        tx: ServerTxId,
        /// The CANCEL, for its Reason.
        message: Box<Message>,
    },
    /// A response to a request that was sent: all but 100 are of interest to most; several 2xx to one INVITE
    /// come from several branches (RFC 6026).
    Response {
        /// The transaction.
        tx: ClientTxId,
        /// Where it came from.
        path: Path,
        /// The response.
        message: Box<Message>,
    },
    /// A response that belongs to no transaction, if [`stray_responses`](crate::EndpointConfig::stray_responses) asks for
    /// these.
    StrayResponse {
        /// Where it came from.
        path: Path,
        /// The response.
        message: Box<Message>,
    },
    /// A client transaction is over and its id stale. Comes once for each.
    ClientEnded {
        /// The transaction.
        tx: ClientTxId,
        /// How it ended.
        outcome: Outcome,
    },
    /// A server transaction is over and its id stale. Comes once for each.
    ServerEnded {
        /// The transaction.
        tx: ServerTxId,
        /// How it ended.
        outcome: Outcome,
    },
    /// Timer C of an INVITE client transaction fired (RFC 3261 section 16.8): cancel it, or arm the timer again with
    /// [`Endpoint::arm_timer_c`](crate::Endpoint::arm_timer_c).
    TimerC {
        /// The transaction.
        tx: ClientTxId,
    },
    /// A response of an INVITE server transaction could not be sent. The transaction goes on (RFC 6026 section
    /// 7.1).
    ResponseFailed {
        /// The transaction.
        tx: ServerTxId,
    },
    /// Something sent without a transaction, such as the ACK for a 2xx, could not be sent.
    SendFailed {
        /// The id [`Endpoint::send`](crate::Endpoint::send) gave.
        send: SendId,
        /// Why.
        cause: FailCause,
    },
    /// Open a connection and answer with [`Input::FlowOpened`](crate::Input::FlowOpened) or
    /// [`Input::FlowClosed`](crate::Input::FlowClosed).
    //= https://www.rfc-editor.org/rfc/rfc5922#section-7.3
    //= type=exception
    //= reason=the host has the certificate: it compares by names::identifies, closes, and says CloseCause::Untrusted
    //# If the server is not authenticated, the client MUST close the
    //# connection immediately.
    //= https://www.rfc-editor.org/rfc/rfc5922#section-7.8
    //= type=exception
    //= reason=the host greets the server, with the name it is given here
    //# if the TLS client hello "server_name" extension as
    //# defined in RFC 4366 [4] is supported, the client SHOULD use that
    //# extension to request a certificate corresponding to the specific
    //# domain (from the SIP AUS) with which the client is seeking to
    //# establish a connection.
    Connect {
        /// The flow it will be.
        flow: FlowId,
        /// The transport.
        transport: Transport,
        /// Where to.
        remote: SocketAddr,
        /// For TLS: the name to ask for (SNI) and to find in the certificate, as [`names`](crate::names) tells (RFC 5922). For
        /// WebSocket: also the Host of the handshake.
        server_name: Option<String>,
    },
    /// Ask DNS and answer with [`Input::Resolved`](crate::Input::Resolved).
    Query {
        /// The question's id.
        query: QueryId,
        /// The name, without the dot at the end.
        name: String,
        /// The kind of records.
        kind: RecordKind,
    },
    /// A flow is over and its id stale: everything bound to it has learned it. Close the connection if it is still
    /// open, after what [`poll_transmit`](crate::Endpoint::poll_transmit) still has for it: the answer to a message that broke the framing is
    /// the last thing sent. Comes once for each flow.
    FlowEnded {
        /// The flow.
        flow: FlowId,
        /// Why.
        cause: CloseCause,
    },
    /// A keepalive came in and has been answered: the peer is alive, which [RFC 5626] registrars want to know.
    ///
    /// [RFC 5626]: https://www.rfc-editor.org/rfc/rfc5626
    KeepaliveReceived {
        /// Where it came from.
        path: Path,
    },
    /// A keepalive this endpoint sent was answered.
    KeepaliveAnswered {
        /// Where it came from.
        path: Path,
        /// For STUN: the address the peer sees this endpoint at.
        mapped: Option<SocketAddr>,
    },
    /// A keepalive this endpoint sent to a datagram peer was not answered, or the answer shows that a NAT has lost the binding:
    /// that flow is dead (RFC 5626 section 4.4.2); no more keepalives are sent over it. For connections it is [`FlowEnded`](Event::FlowEnded).
    KeepaliveFailed {
        /// The flow.
        path: Path,
    },
}

/// Something sent without a transaction.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SendId(pub(crate) u64);

/// The kinds of DNS records RFC 3263 asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RecordKind {
    /// RFC 3403.
    Naptr,
    /// RFC 2782.
    Srv,
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
}

/// Why something could not be sent to any target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailCause {
    /// DNS knows no such host, or did not answer.
    Unresolvable,
    /// The connection could not be opened or is gone.
    Flow(CloseCause),
    /// A datagram could not be sent.
    Send(SendCause),
    /// A target answered 503, and there was no other (RFC 3263 section 4.3).
    Unavailable,
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// It ran to its end: a final response was received, or sent and, if need be, acknowledged.
    Completed,
    /// Client: no final response came in time (timers B and F). Server: no ACK came (timer H).
    TimedOut,
    /// No target could be reached, or the flow was lost.
    Failed(FailCause),
    /// Client INVITE: cancelled, and no final response came in 64 * T1 after (RFC 3261 section 9.1). Or cancelled before it
    /// was sent.
    Cancelled,
    /// Server: the transaction user gave no final response in time.
    Unanswered,
    /// Server: given up by [`Endpoint::abandon`](crate::Endpoint::abandon).
    Abandoned,
    /// Server INVITE: a 2xx sent by [`Endpoint::respond_until_ack`](crate::Endpoint::respond_until_ack) was never acknowledged.
    NotAcknowledged,
}

impl Outcome {
    /// The status that the transaction user of a client transaction is to act as if it had received: 408 for a
    /// timeout, 503 for a failure (RFC 3261 section 8.1.3.1), 487 if it was cancelled.
    pub fn status(self) -> Option<StatusCode> {
        match self {
            //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.3.1
            //# When a timeout error is received from the transaction layer, it
            //# MUST be treated as if a 408 (Request Timeout) status code has been
            //# received.
            Outcome::TimedOut => StatusCode::new(408),
            //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.3.1
            //# If a fatal transport error is reported by the transport
            //# layer (generally, due to fatal ICMP errors in UDP or connection
            //# failures in TCP), the condition MUST be treated as a 503 (Service
            //# Unavailable) status code.
            Outcome::Failed(_) => StatusCode::new(503),
            Outcome::Cancelled => StatusCode::new(487),
            _ => None,
        }
    }
}
