//! SIP transactions, transport rules and target location (RFC 3261, 6026, 3263) as a sans-IO endpoint.
//!
//! **What it is.** An [`Endpoint`] is one SIP node without its sockets. Bytes, facts about connections, DNS answers and the time go
//! in; bytes to send, events and the next deadline come out. It owns the four transaction machines with all their timers
//! (RFC 3261 section 17, RFC 6026, RFC 4320), the transport rules (section 18, RFC 3581, RFC 5626 keepalives, RFC 7118, RFC 5923), and the
//! search for targets (RFC 3263).
//!
//! **What it is not.** It knows no dialogs, no authentication, no routing decisions: `sip-dialog` and `sip-server` are built on
//! it. It opens no socket, reads no clock, starts no thread, does no TLS and no DNS of its own.
//!
//! # The loop
//!
//! ```
//! use sip_transaction::{Endpoint, EndpointConfig, Event, Input, Instant, Transport};
//! use sip_message::{Message, StatusCode};
//!
//! let mut endpoint = Endpoint::new(EndpointConfig::default().into(), [7; 32]); // a secret seed, please
//! let socket = endpoint.bind(Transport::Udp, "192.0.2.2:5060".parse()?)?;
//! # let mut inbox = vec![b"OPTIONS sip:bob@192.0.2.2 SIP/2.0\r\n\
//! #     Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK74b4;rport\r\nMax-Forwards: 70\r\nTo: <sip:bob@192.0.2.2>\r\n\
//! #     From: <sip:alice@192.0.2.1>;tag=9fxc\r\nCall-ID: 4711\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n".to_vec()];
//! # let mut sent = Vec::new();
//! # let clock = || Instant::from_millis(40);
//! # let mut receive = |_until: Option<Instant>| inbox.pop().map(|bytes| (bytes, "192.0.2.1:5070".parse().unwrap()));
//! # for _ in 0..1 {
//! // A datagram, or nothing until the deadline:
//! match receive(endpoint.poll_timeout()) {
//!     Some((bytes, remote)) => {
//!         // An error here is the peer's fault: counted, answered if it can be, never fatal.
//!         let _ = endpoint.handle_input(clock(), Input::Datagram { flow: socket, remote, bytes: &bytes });
//!     }
//!     None => endpoint.handle_timeout(clock()),
//! }
//! while let Some(event) = endpoint.poll_event() {
//!     if let Event::Request { tx, message, .. } = event {
//!         let answer = Message::response(&message, StatusCode::OK).to_tag("314159").build()?;
//!         endpoint.respond(clock(), tx, answer)?;
//!     }
//! }
//! while let Some(transmit) = endpoint.poll_transmit() {
//!     sent.push((transmit.remote, transmit.bytes));
//! }
//! # }
//! # assert!(sent[0].1.starts_with(b"SIP/2.0 200 OK\r\n"));
//! # assert_eq!(sent[0].0, "192.0.2.1:5070".parse().unwrap());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The three queues may be drained in any order, at any time. [`Endpoint::poll_timeout`] answers "now" while something is queued.
//!
//! # Flows
//!
//! A [`FlowId`] is one datagram socket or one connection. Three places mint them:
//!
//! | the host has | it calls or gets | and then feeds |
//! |---|---|---|
//! | a UDP socket | [`bind`](Endpoint::bind) | [`Input::Datagram`] |
//! | a connection from a peer | [`accept`](Endpoint::accept) | [`Input::Stream`] (TCP, TLS) or [`Input::Message`] (WebSocket, SCTP) |
//! | a connection of its own making | [`attach`](Endpoint::attach) | the same |
//! | nothing yet | [`Event::Connect`] | [`Input::FlowOpened`] or [`Input::FlowClosed`], then the same |
//!
//! Requests, responses, ACK and CANCEL stay on the flow the RFCs say. A dialog pins its requests with
//! [`Destination::path`] or [`Destination::flow`]. When a flow ends, whatever is bound to it fails or finds another way, and one
//! [`Event::FlowEnded`] tells.
//!
//! # One end for each id
//!
//! Every transaction gets exactly one [`Event::ClientEnded`] or [`Event::ServerEnded`]; after it the id is stale, and nothing is left in any table,
//! list or queue. A stale id is answered with an error, never with another transaction.
//!
//! # Looking inside
//!
//! [`Endpoint::counters`] and [`Endpoint::next_timeout_reason`] tell what goes on. [`Endpoint::start_recording`] writes down a run as JSON Lines that
//! [`replay`] does again and [`ladder`] draws. [`Endpoint::export`] and [`Endpoint::import`] move all live transactions to
//! another process. What cores are built from, as ids, slabs and keyed hashes, is in [`cores`]. Feature `tracing` emits an event for each input and each output.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod config;
pub mod cores;
mod counters;
mod destination;
mod endpoint;
mod error;
mod flow;
mod held;
mod id;
mod input;
mod locate;
mod machine;
mod matching;
pub mod names;
mod output;
mod record;
mod stamp;
mod stun;
mod table;
mod time;
mod timers;
mod transport;
mod tx;
mod wire;

pub use config::{EndpointConfig, Limits, SentBy, Timers};
pub use counters::Counters;
pub use destination::{Destination, Target};
pub use endpoint::{Endpoint, ImportError};
pub use error::{CommandError, InputError, SendError, SendErrorKind};
pub use id::{ClientTxId, FlowId, QueryId, ServerTxId};
pub use input::{Answer, CloseCause, Input, Record, RecordData, SendCause};
pub use output::{Event, FailCause, Outcome, Path, RecordKind, SendId, SendToken, Transmit};
pub use record::{ReplayError, ladder, replay};
pub use time::Instant;
pub use timers::Timer;
pub use transport::Transport;
pub use wire::Tag;

// The example of the README is compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
