//! The little of HTTP/1.1 that an opening handshake needs: heads in, heads out. No bodies are read, no connection is
//! kept for a second request.

mod answer;
mod head;
mod list;
mod url;

pub(crate) use answer::check_field;
pub use answer::{Answer, BadAnswer};
pub use head::{Fields, RequestHead, ResponseHead};
pub(crate) use head::{HeadBuffer, HeadFault};
#[cfg(feature = "deflate")]
pub(crate) use list::Extension;
pub(crate) use list::{elements, extensions, is_token};
pub(crate) use url::split_authority;
pub use url::{Url, UrlError};

/// Why a server refused a request by itself. Each is a violation of RFC 6455 section 4.2.1, or of a limit.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum RequestError {
    /// The head is longer than [`Config::max_head`](crate::Config::max_head). Answered 431.
    #[error("head too long")]
    HeadTooLong,
    /// The head has more fields than [`Config::max_head_fields`](crate::Config::max_head_fields). Answered 431.
    #[error("too many header fields")]
    TooManyFields,
    /// Not an HTTP head. Answered 400.
    #[error("not an HTTP request")]
    Malformed,
    /// An upgrade to WebSocket with a method other than GET. Answered 400.
    #[error("method is not GET")]
    Method,
    /// An upgrade with an HTTP version before 1.1. Answered 400.
    #[error("HTTP version before 1.1")]
    HttpVersion,
    /// The request target is neither a path nor an http(s) URI, or has a fragment. Answered 400.
    #[error("bad request target")]
    Target,
    /// No `Host`, more than one, or one that is no host and port. Answered 400.
    #[error("bad Host")]
    Host,
    /// An upgrade with a body, whose bytes would be taken for frames. Answered 400.
    #[error("an upgrade with a body")]
    Body,
    /// `Connection` lacks the token `Upgrade`. Answered 400.
    #[error("Connection without Upgrade")]
    Connection,
    /// No `Sec-WebSocket-Key`, more than one, or not base64 of 16 bytes. Answered 400.
    #[error("bad Sec-WebSocket-Key")]
    Key,
    /// No `Sec-WebSocket-Version`, or more than one. Answered 400.
    #[error("bad Sec-WebSocket-Version")]
    Version,
    /// A version other than 13. Answered 426 with `Sec-WebSocket-Version: 13`.
    #[error("unsupported Sec-WebSocket-Version")]
    UnsupportedVersion,
    /// `Sec-WebSocket-Protocol` is not a list of different tokens. Answered 400.
    #[error("bad Sec-WebSocket-Protocol")]
    Protocol,
    /// No acceptable subprotocol is offered but one is [required](crate::Config::require_protocol). Answered 400.
    #[error("no acceptable subprotocol")]
    NoProtocol,
    /// `Sec-WebSocket-Extensions` does not follow its grammar. Answered 400.
    #[error("bad Sec-WebSocket-Extensions")]
    Extensions,
    /// A plain request, but only upgrades are [served](crate::Config::serve_http). Answered 426.
    #[error("not an upgrade")]
    NotUpgrade,
    /// More than a head's worth of bytes before the host answered. Answered 400.
    #[error("data before the handshake was answered")]
    EarlyData,
    /// The head did not arrive in time. Answered 408.
    #[error("head too slow")]
    Slow,
    /// The host did not answer in time. Answered 503.
    #[error("host did not answer")]
    Unanswered,
}

impl RequestError {
    /// A short name for counters and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::HeadTooLong => "head-too-long",
            Self::TooManyFields => "head-too-many-fields",
            Self::Malformed => "head-malformed",
            Self::Method => "bad-method",
            Self::HttpVersion => "bad-http-version",
            Self::Target => "bad-target",
            Self::Host => "bad-host",
            Self::Body => "body",
            Self::Connection => "bad-connection-header",
            Self::Key => "bad-key",
            Self::Version => "bad-version",
            Self::UnsupportedVersion => "unsupported-version",
            Self::Protocol => "bad-protocol-header",
            Self::NoProtocol => "no-protocol",
            Self::Extensions => "bad-extensions-header",
            Self::NotUpgrade => "not-upgrade",
            Self::EarlyData => "early-data",
            Self::Slow => "head-too-slow",
            Self::Unanswered => "unanswered",
        }
    }

    /// The HTTP status that answers it.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::HeadTooLong | Self::TooManyFields => 431,
            Self::UnsupportedVersion | Self::NotUpgrade => 426,
            Self::Slow => 408,
            Self::Unanswered => 503,
            _ => 400,
        }
    }
}

/// Why a client failed a connection on the server's answer to its handshake (RFC 6455 section 4.1).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum AnswerError {
    /// The head is longer than [`Config::max_head`](crate::Config::max_head).
    #[error("head too long")]
    HeadTooLong,
    /// The head has more fields than [`Config::max_head_fields`](crate::Config::max_head_fields).
    #[error("too many header fields")]
    TooManyFields,
    /// Not an HTTP response head.
    #[error("not an HTTP response")]
    Malformed,
    /// No `Upgrade`, or not `websocket`.
    #[error("bad Upgrade")]
    Upgrade,
    /// `Connection` lacks the token `Upgrade`.
    #[error("bad Connection")]
    Connection,
    /// No `Sec-WebSocket-Accept`, more than one, or not the digest of our key.
    #[error("bad Sec-WebSocket-Accept")]
    Accept,
    /// A subprotocol that was not offered, or more than one.
    #[error("bad Sec-WebSocket-Protocol")]
    Protocol,
    /// No subprotocol, but one is [required](crate::Config::require_protocol).
    #[error("no subprotocol")]
    NoProtocol,
    /// An extension that was not offered, or with parameters that are wrong or were not offered.
    #[error("bad Sec-WebSocket-Extensions")]
    Extensions,
}
