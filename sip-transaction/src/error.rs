//! What can be wrong with a call on the endpoint.
//!
//! A peer's faults are not here: they are events and counters.

use crate::id::FlowId;
use core::fmt;
use sip_message::{Message, ParseError};

/// Input the endpoint could not attribute to anything. It is counted, nothing else has changed, and the endpoint goes on;
/// a host may log it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// There is no such flow, or it has ended.
    #[error("the flow has ended or never was")]
    UnknownFlow,
    /// A datagram for a connection, stream bytes for a socket, or the like.
    #[error("the flow is not of the kind this input is for")]
    WrongFlowKind,
    /// There is no such query, or it has been answered.
    #[error("the query has been answered or never was")]
    UnknownQuery,
    /// Nothing waits for that token any more.
    #[error("nothing waits for this token")]
    UnknownToken,
    /// The bytes are no SIP message. If they were a request with enough in it, it has been answered 400.
    #[error("malformed message: {0}")]
    Malformed(ParseError),
    /// A message too large, or the stream cannot be framed any more: the flow has been ended.
    #[error("the stream cannot be framed: {0}")]
    Framing(ParseError),
    /// A message that lacks what matching needs, or has it malformed: the topmost Via, and the CSeq of a response. A request that
    /// lacks other things has a transaction, so that its user can refuse it.
    #[error("a header field that matching needs is missing or malformed")]
    Unmatchable,
    /// A request of another version of SIP. It has been answered 505.
    #[error("a request of another version of SIP")]
    Version,
    /// A response whose topmost Via is not this endpoint's.
    #[error("a response whose topmost Via is not ours")]
    NotOurs,
    /// A response with more than one Via value to a request of this endpoint's own, which had one (RFC 3261 section 8.1.3.3).
    #[error("a response with Vias its request did not have")]
    Misrouted,
    /// A response that belongs to no transaction.
    #[error("a response that belongs to no transaction")]
    Stray,
    /// Refused for a limit; if it was a request, it has been answered 503.
    #[error("refused at a limit")]
    Overload,
}

/// Why a message was not sent. Nothing has changed, and the message is handed back.
#[derive(Clone)]
pub struct SendError {
    /// What was wrong.
    pub kind: SendErrorKind,
    /// The message as it was given.
    pub message: alloc::boxed::Box<Message>,
}

impl SendError {
    pub(crate) fn new(kind: SendErrorKind, message: Message) -> Self {
        SendError { kind, message: alloc::boxed::Box::new(message) }
    }
}

impl fmt::Debug for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendError").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl core::error::Error for SendError {}

/// What was wrong with a message to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendErrorKind {
    /// A response where a request is needed, or the other way round, or ACK where a transaction is to begin.
    #[error("the message is not of the kind this command sends")]
    WrongKind,
    /// A header field that the transaction layer needs is missing or malformed.
    #[error("a header field that the transaction layer needs is missing or malformed")]
    Malformed,
    /// The Request-URI or topmost Route names nothing this endpoint can find: no `sip:` or `sips:` URI, or a
    /// malformed one.
    #[error("the next hop is not a SIP URI")]
    NoTarget,
    /// The next hop needs a transport this endpoint does not have.
    #[error("the next hop needs a transport that is not supported")]
    NoTransport,
    /// The flow has ended or never was.
    #[error("the flow has ended")]
    UnknownFlow(FlowId),
    /// A limit is reached.
    #[error("a limit is reached")]
    Full,
    /// The transaction has ended or never was.
    #[error("the transaction has ended")]
    UnknownTransaction,
    /// The transaction has had its final response.
    #[error("a final response has been sent")]
    AlreadyAnswered,
    /// The topmost Via or the CSeq of a response is not that of the transaction's request: it would be taken for an answer to
    /// something else.
    #[error("the response is not one to the request of this transaction")]
    Mismatched,
    /// A response RFC 4320 forbids: a provisional one other than 100, or 408, to a request other than INVITE; or 100 too early.
    #[error("RFC 4320 forbids this response to a request other than INVITE")]
    Forbidden,
    /// A `sips:` URI must not be reached over a transport without TLS (RFC 5630).
    #[error("a sips URI must be reached over TLS")]
    Insecure,
}

/// A command named something that is gone, or cannot do that now. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The id is stale.
    #[error("the id is stale")]
    Unknown,
    /// Not an INVITE transaction.
    #[error("not an INVITE transaction")]
    NotInvite,
    /// It is too late: a final response has come or been sent.
    #[error("too late: there is a final response")]
    TooLate,
    /// It has been done already.
    #[error("already done")]
    Already,
    /// A limit is reached.
    #[error("a limit is reached")]
    Full,
    /// The flow is of a kind that does not do this.
    #[error("the flow is of a kind that does not do this")]
    WrongFlowKind,
    /// A text that would not stand in a header field.
    #[error("a text that cannot stand in a header field")]
    Malformed,
}
