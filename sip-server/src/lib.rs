//! A SIP server without the I/O: registrar and location service, proxy, redirect server, and digest authentication
//! (RFC 3261 sections 8.3, 10.3, 16 and 22, with RFC 3325, 3327, 3608, 3903, 5393, 5626, 5627, 5630, 5658, 7118, 7616, 8599 and 8760).
//!
//! Each role is a *core* that borrows an [`Endpoint`](sip_transaction::Endpoint), the owner of transactions and transports. A core takes
//! the endpoint's events one by one and hands on what is not its own, so that one socket can be several servers at
//! once. [`Server`] is an endpoint with authentication, registrar and proxy on it, for those who want no more than that.
//!
//! | Core | does | asks the host |
//! |---|---|---|
//! | [`DigestAuth`] | challenges and judges credentials; says who may act for which address-of-record | for secrets, if they are not in its table |
//! | [`Registrar`] | answers REGISTER, keeps bindings, mints and resolves GRUUs | for bindings, if they are kept elsewhere |
//! | [`Proxy`] | forwards, forks, brings the answers together | where a request goes: [`ProxyEvent::RouteRequest`] |
//! | [`Redirect`] | answers with contacts instead of forwarding | for the contacts |
//! | [`EventState`] | answers PUBLISH, keeps what user agents tell of themselves | whose state a request is about |
//!
//! # What it is not
//!
//! It opens no socket, resolves no name, reads no clock, keeps no file: bytes, facts about flows, DNS answers and the time go in;
//! bytes, events and the next deadline come out. It is no user agent: it ends no calls and sends no requests of its own. It tells
//! nobody of the event state that is published to it: that is the notifier of `sip-dialog`, and softswitch shows the two at work. It has no
//! media. It stores bindings in memory only; a [`Store`] on disk or on another machine is the host's, and [`store_conformance`] tells whether it
//! keeps to the rules.
//!
//! # A server
//!
//! ```
//! use sip_server::{Server, ServerConfig, ServerEvent};
//! use sip_transaction::{Event, Input, Instant, Transport};
//!
//! /// What the host has: sockets and a clock. Here, none of it.
//! trait Io {
//!     fn now(&self) -> Instant;
//!     fn send(&mut self, transmit: sip_transaction::Transmit);
//!     fn receive(&mut self, until: Option<Instant>) -> Option<Input<'static>>;
//! }
//!
//! fn serve(io: &mut impl Io, seed: [u8; 32]) -> Result<(), Box<dyn std::error::Error>> {
//!     let mut server = Server::new(ServerConfig::for_domain("example.com"), seed);
//!     server.auth_mut().add_user_with_password("example.com", "alice", "a secret");
//!     server.auth_mut().add_user_with_password("example.com", "bob", "another");
//!     server.endpoint_mut().bind(Transport::Udp, "192.0.2.1:5060".parse()?)?;
//!     loop {
//!         while let Some(transmit) = server.poll_transmit() {
//!             io.send(transmit);
//!         }
//!         while let Some(event) = server.poll_event() {
//!             match event {
//!                 // Open connections, ask DNS, close what has ended; the answers are inputs.
//!                 ServerEvent::Endpoint(Event::Connect { .. } | Event::Query { .. } | Event::FlowEnded { .. }) => {}
//!                 // Bindings come and go, somebody fails to prove who they are: for logs.
//!                 _ => {}
//!             }
//!         }
//!         match io.receive(server.poll_timeout()) {
//!             // What cannot be attributed to anything is counted, and nothing else.
//!             Some(input) => drop(server.handle_input(io.now(), input)),
//!             None if server.poll_timeout().is_none() => return Ok(()),
//!             None => server.handle_timeout(io.now()),
//!         }
//!     }
//! }
//! # struct Nothing;
//! # impl Io for Nothing {
//! #     fn now(&self) -> Instant { Instant::ZERO }
//! #     fn send(&mut self, _: sip_transaction::Transmit) {}
//! #     fn receive(&mut self, _: Option<Instant>) -> Option<Input<'static>> { None }
//! # }
//! # serve(&mut Nothing, [1; 32]).unwrap();
//! ```
//!
//! # Cores beside each other
//!
//! Without `Server` the host decides on the order: here who authenticates, then who registers, then who is called.
//!
//! ```
//! use sip_server::{Decision, DigestAuth, Proxy, ProxyEvent, Registrar};
//! use sip_transaction::{Endpoint, Instant};
//!
//! fn drain(endpoint: &mut Endpoint, auth: &mut DigestAuth, registrar: &mut Registrar, proxy: &mut Proxy, now: Instant) {
//!     while let Some(event) = endpoint.poll_event() {
//!         let Some(event) = auth.handle(endpoint, now, event) else { continue };
//!         let Some(event) = registrar.handle(endpoint, now, event) else { continue };
//!         // A user agent of the host's own would come here.
//!         let Some(_mine) = proxy.handle(endpoint, now, event) else { continue };
//!     }
//!     while let Some(event) = proxy.poll_event() {
//!         if let ProxyEvent::RouteRequest { id, .. } = event {
//!             let uri = proxy.request(id).and_then(|request| request.request_uri()).and_then(Result::ok);
//!             let decision = match uri.as_ref().and_then(|uri| uri.as_sip()) {
//!                 Some(uri) if registrar.is_responsible(uri) => Decision::from(registrar.locate(uri, now)),
//!                 _ => Decision::Relay,
//!             };
//!             // It fails only if the caller has given up meanwhile.
//!             let _ = proxy.route(endpoint, now, id, decision);
//!         }
//!     }
//! }
//! ```
//!
//! # Message passing
//!
//! What the proxy need not change leaves byte for byte as it came: header fields in their order, their case and their folds, and the body.
//! It adds Via and Record-Route, counts Max-Forwards and Max-Breadth, and takes its own Routes off.
//!
//! # Limits
//!
//! Each core has its limits in its configuration, finite by default, checked before anything is kept: bindings, waiting requests,
//! contexts, targets, used nonces, failures of a source. All work on a message is linear in its length, but for the comparison of its contacts
//! with the bindings there are, which are few.
#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod auth;
mod codec;
mod id;
mod left_out;
mod location;
mod persist;
mod proxy;
mod publish;
mod push;
mod redirect;
mod reginfo;
mod registrar;
mod reply;
mod secret;
mod server;
mod summary;
mod target;

pub use auth::{AuthConfig, AuthEvent, AuthFailure, DigestAuth, Identity};
pub use id::{AuthId, ProxyId, RedirectId, RegisterId};
pub use location::{
    Binding, BindingParts, LocationTable, Nonconformance, Record, Store, StoreError, aor_key, is_unresolvable,
    store_conformance,
};
pub use proxy::{Advertised, Decision, NotWaiting, Proxy, ProxyConfig, ProxyEvent, RouteKind, TrustDomain};
pub use publish::{EventPackage, EventState, EventStateChanged, EventStateConfig, Publication};
pub use push::PushTarget;
pub use redirect::{Redirect, RedirectConfig, RedirectEvent};
pub use reginfo::RegInfo;
pub use registrar::{Change, Located, Registrar, RegistrarConfig, RegistrarEvent};
pub use server::{RoutePolicy, Server, ServerConfig, ServerEvent};
pub use summary::{MessageCount, MessageSummary, SummaryError};
pub use target::{FlowPath, Target};

// The example of the README is compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
