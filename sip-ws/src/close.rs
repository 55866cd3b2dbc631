//! How a connection ends: close codes, Close frames, and the one terminal event with its cause.

use crate::http::{AnswerError, RequestError, ResponseHead};
use alloc::{boxed::Box, string::String};

/// A status code of a Close frame (RFC 6455 section 7.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the purpose of the connection has been fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// 1001: an endpoint goes away, such as a server going down.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: protocol error.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1003: a type of data that the endpoint cannot accept.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// 1005: no status code was present. Never on the wire.
    pub const NO_STATUS: Self = Self(1005);
    /// 1006: the connection ended without a Close frame. Never on the wire.
    pub const ABNORMAL: Self = Self(1006);
    /// 1007: data within a message was not consistent with its type, such as text that is not UTF-8.
    pub const INVALID_DATA: Self = Self(1007);
    /// 1008: a message violates the endpoint's policy.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// 1009: a message is too big to process.
    pub const TOO_BIG: Self = Self(1009);
    /// 1010: the client expected an extension that the server did not negotiate.
    pub const MISSING_EXTENSION: Self = Self(1010);
    /// 1011: an unexpected condition at the server.
    pub const INTERNAL_ERROR: Self = Self(1011);

    /// A code from its number, whether it may be sent or not.
    #[must_use]
    pub const fn new(code: u16) -> Self {
        Self(code)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// True if an endpoint may put this code into a Close frame: the codes that RFC 6455 section 7.4.1 defines for the
    /// wire, 1012 to 1014 (registered later), and the ranges for frameworks and applications.
    #[must_use]
    pub const fn is_sendable(self) -> bool {
        //= https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1
        //# 1005 is a reserved value and MUST NOT be set as a status code in a
        //# Close control frame by an endpoint.
        //= https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1
        //# 1006 is a reserved value and MUST NOT be set as a status code in a
        //# Close control frame by an endpoint.
        //= https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1
        //# 1015 is a reserved value and MUST NOT be set as a status code in a
        //# Close control frame by an endpoint.
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

impl core::fmt::Display for CloseCode {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

/// The content of a Close frame.
///
/// The reason is for logs and for the script that opened the connection; RFC 6455 section 5.5.1 forbids clients to show
/// it to end users.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CloseFrame {
    /// The status code, if the frame had a body.
    pub code: Option<CloseCode>,
    /// The reason, often empty; at most 123 bytes.
    pub reason: String,
}

/// What a peer did that the protocol, or a limit of [`Config`](crate::Config), forbids.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Violation {
    /// A reserved bit is set that no negotiated extension defines.
    #[error("reserved bit set")]
    ReservedBits,
    /// An opcode that RFC 6455 reserves.
    #[error("reserved opcode")]
    ReservedOpcode,
    /// A client sent a frame without a mask.
    #[error("frame not masked")]
    Unmasked,
    /// A server sent a masked frame.
    #[error("frame masked")]
    Masked,
    /// The payload length is not encoded in the fewest bytes.
    #[error("length not minimal")]
    NonMinimalLength,
    /// The top bit of a 64-bit length is set.
    #[error("length over 63 bits")]
    LengthOverflow,
    /// A control frame of more than 125 bytes.
    #[error("control frame over 125 bytes")]
    ControlTooLong,
    /// A control frame without FIN.
    #[error("control frame fragmented")]
    ControlFragmented,
    /// A continuation frame, but no message is open.
    #[error("nothing to continue")]
    UnexpectedContinuation,
    /// A new message, but the last one is not finished.
    #[error("message not finished")]
    ExpectedContinuation,
    /// A Close frame with a body of one byte.
    #[error("close body of one byte")]
    BadCloseBody,
    /// A Close frame with a code that must not be on the wire.
    #[error("invalid close code")]
    BadCloseCode,
    /// A text message or a close reason that is not UTF-8.
    #[error("not UTF-8")]
    InvalidUtf8,
    /// A frame longer than [`Config::max_frame`](crate::Config::max_frame).
    #[error("frame too big")]
    FrameTooBig,
    /// A message longer than [`Config::max_message`](crate::Config::max_message), before or after inflating.
    #[error("message too big")]
    MessageTooBig,
    /// A message of more frames than [`Config::max_fragments`](crate::Config::max_fragments).
    #[error("too many fragments")]
    TooManyFragments,
    /// Compressed data that does not inflate.
    #[error("bad compressed data")]
    BadDeflate,
    /// More control frames than [`Config::control_rate`](crate::Config::control_rate) allows.
    #[error("too many control frames")]
    ControlFlood,
    /// A message was begun but not finished within [`Config::message_timeout`](crate::Config::message_timeout).
    #[error("message too slow")]
    MessageTimeout,
    /// A message on a `sip` connection that is not a SIP message (RFC 7118 section 4.1).
    #[error("not a SIP message")]
    NotSip,
    /// More than one SIP message in one WebSocket message (RFC 7118 section 5).
    #[error("more than one SIP message")]
    SeveralSipMessages,
}

impl Violation {
    /// The close code that is sent for it.
    #[must_use]
    pub const fn code(self) -> CloseCode {
        match self {
            Self::InvalidUtf8 | Self::BadDeflate => CloseCode::INVALID_DATA,
            Self::FrameTooBig | Self::MessageTooBig => CloseCode::TOO_BIG,
            Self::TooManyFragments
            | Self::ControlFlood
            | Self::MessageTimeout
            | Self::NotSip
            | Self::SeveralSipMessages => CloseCode::POLICY_VIOLATION,
            _ => CloseCode::PROTOCOL_ERROR,
        }
    }

    /// A short name for counters and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReservedBits => "reserved-bits",
            Self::ReservedOpcode => "reserved-opcode",
            Self::Unmasked => "unmasked",
            Self::Masked => "masked",
            Self::NonMinimalLength => "non-minimal-length",
            Self::LengthOverflow => "length-overflow",
            Self::ControlTooLong => "control-too-long",
            Self::ControlFragmented => "control-fragmented",
            Self::UnexpectedContinuation => "unexpected-continuation",
            Self::ExpectedContinuation => "expected-continuation",
            Self::BadCloseBody => "bad-close-body",
            Self::BadCloseCode => "bad-close-code",
            Self::InvalidUtf8 => "invalid-utf8",
            Self::FrameTooBig => "frame-too-big",
            Self::MessageTooBig => "message-too-big",
            Self::TooManyFragments => "too-many-fragments",
            Self::BadDeflate => "bad-deflate",
            Self::ControlFlood => "control-flood",
            Self::MessageTimeout => "message-timeout",
            Self::NotSip => "not-sip",
            Self::SeveralSipMessages => "several-sip-messages",
        }
    }
}

/// Which deadline passed.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timeout {
    /// The opening handshake was not finished in time.
    Handshake,
    /// The peer did not show a sign of life in time after a keepalive Ping.
    Pong,
    /// The peer did not answer our Close frame in time.
    Close,
}

/// Why a connection ended.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The host closed, and the peer answered.
    Local,
    /// The peer closed.
    Remote,
    /// The peer broke a rule; [`Violation::code`] was sent to it.
    Violation(Violation),
    /// Server: a request was refused by this crate with this status, because of this error.
    BadRequest {
        /// The HTTP status sent.
        status: u16,
        /// What was wrong.
        error: RequestError,
    },
    /// Server: the host answered a request with an HTTP response of this status.
    Answered(u16),
    /// Client: the server answered the handshake with something else than 101.
    Refused(Box<ResponseHead>),
    /// Client: the server's answer is not an acceptable handshake.
    BadAnswer(AnswerError),
    /// A deadline passed.
    Timeout(Timeout),
    /// The transport ended without a closing handshake.
    Lost,
}

impl Cause {
    /// A short name for counters and logs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Remote => "remote",
            Self::Violation(violation) => violation.name(),
            Self::BadRequest { error, .. } => error.name(),
            Self::Answered(_) => "answered",
            Self::Refused(_) => "refused",
            Self::BadAnswer(_) => "bad-answer",
            Self::Timeout(Timeout::Handshake) => "handshake-timeout",
            Self::Timeout(Timeout::Pong) => "pong-timeout",
            Self::Timeout(Timeout::Close) => "close-timeout",
            Self::Lost => "lost",
        }
    }
}

/// The terminal event of a connection. After it the host writes what
/// [`poll_transmit`](crate::Connection::poll_transmit) still holds, then closes the transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Why it ended.
    pub cause: Cause,
    /// The Close frame that was sent (queued), if any.
    pub sent: Option<CloseFrame>,
    /// The Close frame that was received, if any.
    pub received: Option<CloseFrame>,
}

impl Closed {
    /// *The WebSocket Connection Close Code* of RFC 6455 section 7.1.5: the code that the peer sent, 1005 if its Close
    /// frame had none, 1006 if there was no Close frame.
    #[must_use]
    pub fn code(&self) -> CloseCode {
        match &self.received {
            Some(frame) => frame.code.unwrap_or(CloseCode::NO_STATUS),
            None => CloseCode::ABNORMAL,
        }
    }

    /// True if both Close frames went over the wire (RFC 6455 section 7.1.4, *cleanly*).
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.sent.is_some() && self.received.is_some()
    }
}
