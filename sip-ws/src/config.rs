//! Every limit and every choice of one connection, in one struct.

use alloc::{string::String, vec::Vec};
use core::time::Duration;

/// Which end of the connection this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The end that opened the connection; it masks what it sends.
    Client,
    /// The end that accepted the connection.
    Server,
}

/// Limits and choices of a [`Connection`](crate::Connection), shared by any number of them through an `Arc`.
///
/// Every default is finite. Sizes are bytes.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The longest HTTP head, the peer's, up to and with its empty line. Default 16 KiB.
    pub max_head: usize,
    /// The most header fields in an HTTP head. Default 64.
    pub max_head_fields: usize,
    /// Time for the opening handshake, counted from the construction of the connection to the 101. Default 10 s.
    pub handshake_timeout: Duration,
    /// Server: give requests that are no WebSocket upgrade to the host, as [`Event::Http`](crate::Event::Http), so
    /// that the port serves pages too. If false they are answered 426. Default true.
    pub serve_http: bool,
    /// The longest payload of one frame that is received. Default 1 MiB.
    pub max_frame: usize,
    /// The longest message that is received, counted after inflating. Default 1 MiB.
    pub max_message: usize,
    /// The most frames that one received message may consist of. Default 4096.
    pub max_fragments: u32,
    /// Time from the first byte of a received message to its last. Default 60 s.
    pub message_timeout: Duration,
    /// Output at which [`send`](crate::Connection::send) hands messages back instead of queueing them. A message is
    /// queued if less than this is queued before it. Default 1 MiB.
    pub max_queued_output: usize,
    /// Events that may wait for [`poll_event`](crate::Connection::poll_event) before input is refused. Default 1024.
    pub max_queued_events: usize,
    /// Outgoing messages longer than this are sent as several frames of at most this payload; `None` sends each
    /// message as one frame. Default `None`.
    pub fragment_size: Option<usize>,
    /// Control frames that a peer may send per second on average, with bursts of ten times as many. `None` allows any
    /// number. Default 50.
    pub control_rate: Option<u32>,
    /// Pings sent to an idle peer. Default: every 30 s, with 10 s for the answer.
    pub keep_alive: Option<KeepAlive>,
    /// Time for the peer to answer a Close frame (and for the server to close the transport). Default 5 s.
    pub close_timeout: Duration,
    /// Subprotocols that a server accepts, best first; names are compared byte by byte. Default empty.
    pub protocols: Vec<String>,
    /// Refuse a handshake that does not end with a subprotocol: a server answers 400 to a client that offers none of
    /// [`protocols`](Self::protocols), a client fails a connection whose server chose none. Default false.
    pub require_protocol: bool,
    /// Keep to the rules of RFC 7118 on a connection whose subprotocol is `sip`: see [`sip`](crate::sip). Default true.
    pub sip_rules: bool,
    /// permessage-deflate (RFC 7692): offered by a client, accepted by a server. Default `None`.
    #[cfg(feature = "deflate")]
    pub deflate: Option<Deflate>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_head: 16 * 1024,
            max_head_fields: 64,
            handshake_timeout: Duration::from_secs(10),
            serve_http: true,
            max_frame: 1 << 20,
            max_message: 1 << 20,
            max_fragments: 4096,
            message_timeout: Duration::from_secs(60),
            max_queued_output: 1 << 20,
            max_queued_events: 1024,
            fragment_size: None,
            control_rate: Some(50),
            keep_alive: Some(KeepAlive::default()),
            close_timeout: Duration::from_secs(5),
            protocols: Vec::new(),
            require_protocol: false,
            sip_rules: true,
            #[cfg(feature = "deflate")]
            deflate: None,
        }
    }
}

impl Config {
    /// The defaults for SIP over WebSocket (RFC 7118): the subprotocol `sip` is offered, or accepted, and required;
    /// messages are at most 64 KiB, and at most 256 KiB of output is queued.
    #[must_use]
    pub fn sip() -> Self {
        Self {
            protocols: alloc::vec![crate::sip::SUBPROTOCOL.into()],
            require_protocol: true,
            max_frame: 64 << 10,
            max_message: 64 << 10,
            max_queued_output: 256 << 10,
            max_fragments: 64,
            ..Self::default()
        }
    }
}

/// When to ping (RFC 6455 section 5.5.2, RFC 7118 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepAlive {
    /// A Ping is sent when nothing was received for this long.
    pub interval: Duration,
    /// The connection is dead when still nothing was received this long after the Ping.
    pub timeout: Duration,
}

impl Default for KeepAlive {
    fn default() -> Self {
        Self { interval: Duration::from_secs(30), timeout: Duration::from_secs(10) }
    }
}

/// How permessage-deflate is offered and accepted, and how messages are compressed.
///
/// Memory: a compressor takes about 330 kB, an inflater 43 kB, each from its first use. Without context takeover both
/// are freed after each message; that is the default, for both directions. With it they stay as long as the connection.
#[cfg(feature = "deflate")]
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deflate {
    /// Compression level, 1 (fast) to 10 (small). Default 6.
    pub level: u8,
    /// Messages shorter than this are sent uncompressed. Default 64.
    pub min_size: usize,
    /// Keep our compressor's window from message to message, if the peer lets us. Default false.
    pub send_context: bool,
    /// Let the peer keep its compressor's window from message to message. Default false.
    pub receive_context: bool,
    /// The window we use to compress, as the base-2 logarithm of its size, 8 to 15; the peer may demand a smaller one.
    /// Default 15.
    pub send_window_bits: u8,
    /// The window the peer may use, 8 to 15, if it lets us choose. Default 15.
    pub receive_window_bits: u8,
}

#[cfg(feature = "deflate")]
impl Default for Deflate {
    fn default() -> Self {
        Self {
            level: 6,
            min_size: 64,
            send_context: false,
            receive_context: false,
            send_window_bits: 15,
            receive_window_bits: 15,
        }
    }
}
