//! A deterministic network and clock for tests: any number of sans-IO SIP hosts, one seed, no waiting.
//!
//! A [`Network`] carries datagrams and streams between [`Host`]s, answers their DNS questions from a script, and jumps from one deadline
//! to the next. Its [`Faults`] delay, lose, double and reorder datagrams, cut streams anywhere and break connections; a [filter](Network::set_filter)
//! decides the fate of single packets. Everything that is random comes from the seed, so a run repeats exactly.
//!
//! ```
//! use sim::Network;
//! use sip_message::{Message, Method, StatusCode};
//! use sip_transaction::{Destination, Endpoint, Event, Transport};
//!
//! let mut net = Network::new(1);
//! let alice = net.add("192.0.2.1", Endpoint::new(Default::default(), [1; 32]));
//! let bob = net.add("192.0.2.2", Endpoint::new(Default::default(), [2; 32]));
//! net.bind(alice, Transport::Udp, 5060);
//! net.bind(bob, Transport::Udp, 5060);
//!
//! let options = Message::request(Method::Options, "sip:bob@192.0.2.2")
//!     .header("Max-Forwards", 70)
//!     .header("From", "<sip:alice@192.0.2.1>;tag=1")
//!     .header("To", "<sip:bob@192.0.2.2>")
//!     .header("Call-ID", "a")
//!     .cseq(1)
//!     .build()?;
//! let now = net.now();
//! net.host(alice).request(now, options, Destination::route())?;
//! let mut answered = false;
//! while let Some((node, event)) = net.next_event() {
//!     let now = net.now();
//!     match event {
//!         Event::Request { tx, message, .. } => {
//!             let answer = Message::response(&message, StatusCode::OK).to_tag("2").build()?;
//!             net.host(node).respond(now, tx, answer)?;
//!         }
//!         Event::Response { .. } => answered = true,
//!         _ => {}
//!     }
//! }
//! assert!(answered && net.host(alice).is_idle() && net.host(bob).is_idle());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![allow(clippy::panic, reason = "a test's own mistake should stop it")]

mod dns;
mod faults;
mod host;
mod network;
mod rng;
mod trace;

pub use dns::Dns;
pub use faults::{Fate, Faults, Packet};
pub use host::{Host, Wish};
pub use network::{Network, NodeId};
pub use rng::Rng;
pub use trace::{Sent, ladder};

/// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
