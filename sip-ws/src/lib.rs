//! WebSocket (RFC 6455) with permessage-deflate (RFC 7692), and SIP over WebSocket (RFC 7118), client and server, as a
//! state machine without I/O.
//!
//! A [`Connection`] is one end of one WebSocket. The host gives it the bytes that its transport receives and the time;
//! it gives back bytes to write, events, and the next deadline. It reads no clock, owns no socket, thread or entropy,
//! and calls nobody back.
//!
//! # What it does
//!
//! - Opening handshake: a server hands each request to its host, which [accepts](Connection::accept) it or
//!   [answers](Connection::answer) with any HTTP response, a challenge ([`auth`]) or a page; a client checks every rule
//!   of the answer.
//! - Messages: text that is checked as it arrives, binary, fragments both ways, [limits](Config) on everything.
//! - Control frames: Pings answered, a keepalive by Ping, the closing handshake with its codes and deadlines.
//! - With the feature `deflate`, compressed messages.
//! - On a connection with the subprotocol `sip`, the rules of RFC 7118: see [`sip`].
//!
//! # What it does not do
//!
//! - TLS, proxies, DNS, connecting and re-connecting: the host's. [`Url`] says where to.
//! - HTTP beyond one request and one response: [`Connection::into_bytes`] hands a request to an HTTP server.
//! - Redirects and retries: they are reported, in [`Cause::Refused`], not followed.
//! - SIP: messages are carried, not parsed.
//!
//! # The loop
//!
//! This is a whole host, but for the socket: it echoes.
//!
//! ```
//! use sip_ws::{Accept, Config, Connection, Event, Input, Instant, Message};
//!
//! /// One turn: `received` came from the transport. Returns what to write, and whether to hang up then.
//! fn turn(connection: &mut Connection, now: Instant, received: &[u8]) -> (Vec<u8>, bool) {
//!     let mut hang_up = false;
//!     connection.handle_timeout(now);
//!     connection.handle_input(now, Input::Bytes(received)).expect("all events are taken below");
//!     while let Some(event) = connection.poll_event() {
//!         match event {
//!             Event::Upgrade(request) if request.path() == "/echo" => {
//!                 connection.accept(now, Accept::new()).expect("an upgrade waits");
//!             }
//!             Event::Upgrade(_) | Event::Http(_) => {
//!                 connection.answer(now, sip_ws::Answer::not_found()).expect("a request waits");
//!             }
//!             Event::Text(text) => {
//!                 // A peer that does not read gets no more: the message comes back in the error.
//!                 let _ = connection.send(now, Message::Text(text));
//!             }
//!             Event::Closed(_) => hang_up = true,
//!             _ => {}
//!         }
//!     }
//!     let mut out = Vec::new();
//!     while let Some(bytes) = connection.poll_transmit() {
//!         out.extend_from_slice(&bytes);
//!     }
//!     // Until when to sleep, if nothing is received: connection.poll_timeout()
//!     (out, hang_up)
//! }
//!
//! let mut connection = Connection::server(Instant::ZERO, Config::default());
//! let request = b"GET /echo HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
//!     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
//! let (answer, _) = turn(&mut connection, Instant::ZERO, request);
//! assert!(answer.starts_with(b"HTTP/1.1 101 Switching Protocols\r\n"));
//!
//! let hello = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
//! let (echo, _) = turn(&mut connection, Instant::ZERO, &hello);
//! assert_eq!(echo, b"\x81\x05Hello");
//! ```
//!
//! The examples `autobahn_server` and `autobahn_client` are hosts with blocking sockets.
//!
//! # Memory and speed
//!
//! An open connection that is idle holds about 700 bytes as a server and 1,000 as a client, and nothing on the heap but
//! its own box; [`Connection::memory`] tells. Every queue and buffer has a limit in [`Config`], checked before memory is
//! taken. Input is looked at once, byte by byte, however it is cut.
//!
//! # Features
//!
//! - `std` (default): [`Instant::from_std`], and run-time choice of SIMD for `simdutf8`.
//! - `simdutf8` (default): faster UTF-8 checks.
//! - `deflate`: permessage-deflate.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod auth;
mod client;
mod close;
mod config;
mod connection;
mod counters;
#[cfg(feature = "deflate")]
mod deflate;
mod event;
mod frame;
mod http;
mod left_to_others;
mod mask;
mod outbox;
pub mod sip;
mod time;
mod utf8;

pub use client::ClientRequest;
pub use close::{Cause, CloseCode, CloseFrame, Closed, Timeout, Violation};
#[cfg(feature = "deflate")]
pub use config::Deflate;
pub use config::{Config, KeepAlive, Role};
pub use connection::{Accept, AcceptError, ClientError, Connection, Message, Misuse, SendError, SendFailure, Utf8};
pub use counters::{Counters, Totals};
pub use event::{Event, Input, InputError, Open, Received};
pub use frame::FrameHeader;
pub use http::{Answer, AnswerError, BadAnswer, Fields, RequestError, RequestHead, ResponseHead, Url, UrlError};
pub use mask::apply_mask;
pub use outbox::Transmit;
pub use time::Instant;

// The example of the README is compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
