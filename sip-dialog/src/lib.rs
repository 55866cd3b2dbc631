//! SIP user agents that never touch a socket: dialogs, calls, registrations, subscriptions, transfer, authentication.
//!
//! Everything that uses a dialog of RFC 3261 lives here, over the transactions of [`sip_transaction`]. Bytes and the time go in, bytes, events and the
//! next deadline come out. Bodies are bytes of the host: this crate is signalling only.
//!
//! | To | use |
//! |---|---|
//! | be one user agent on an endpoint of its own | [`UserAgent`] |
//! | be one of several cores on a shared endpoint | [`UserAgentCore`] |
//! | call, and be called | [`Invite`], [`CallEvent`], [`Progress`], [`Reply`] |
//! | hold, resume and change a call | [`UserAgentCore::hold`], [`UserAgentCore::reinvite`], [`UserAgentCore::update`], [`sdp`] |
//! | transfer it | [`Refer`], [`UserAgentCore::transfer_to`], [`Invite::of_refer`] |
//! | keep a registration up | [`Register`], [`RegistrationEvent`] |
//! | subscribe, notify and publish | [`Subscribe`], [`SubscriptionEvent`], [`Publish`] |
//! | send MESSAGE, OPTIONS, INFO | [`OutgoingRequest`], [`UserAgentCore::info`], [`UserAgentCore::dtmf`] |
//! | show credentials | [`Credentials`], [`UserAgentCore::authenticate`] |
//! | couple two calls | [`B2bua`] |
//! | tell others of one's calls, or watch theirs | [`DialogSource`], [`DialogTable`] |
//! | switch it off | [`UserAgentCore::end_all`] |
//! | survive a lost flow, or move to another process | [`UserAgentCore::recover`], [`UserAgentCore::export`] |
//!
//! # What it is not
//!
//! It opens no socket, reads no clock, draws no random number but from the seed it is given, and starts no thread. It does not
//! read or write session descriptions, [hold](sdp) excepted, and knows no media. It routes nothing for others: proxies and
//! registrars are `sip-server`'s. It does not watch the user: whoever is asked by an event answers with a command, when they like.
//!
//! # Example
//!
//! Two user agents and a wire: a call from INVITE to BYE.
//!
//! ```
//! use sip_dialog::{Body, CallEvent, Event, Invite, Origin, Output, Reply, UserAgent, UserAgentConfig};
//! use sip_transaction::{Input, Instant, Transport};
//!
//! let mut phones = [1, 2].map(|n| {
//!     let config = UserAgentConfig::new(format!("<sip:{n}@192.0.2.{n}>"));
//!     let mut phone = UserAgent::new(Default::default(), config.into(), [n; 32]);
//!     let address = format!("192.0.2.{n}:5060").parse().unwrap();
//!     let socket = phone.parts().1.bind(Transport::Udp, address).unwrap();
//!     (phone, socket, address)
//! });
//!
//! // A command goes to the core, with the endpoint it borrows.
//! let now = Instant::ZERO;
//! let (core, endpoint) = phones[0].0.parts();
//! let invite = Invite::new(Origin::new("<sip:1@192.0.2.1>"), "sip:2@192.0.2.2");
//! let call = core.invite(endpoint, now, invite.body(Body::sdp(&b"v=0\r\n"[..])))?;
//!
//! let mut ended = 0;
//! while ended < 2 {
//!     for n in 0..2 {
//!         // What one sends, the other receives.
//!         while let Some(transmit) = phones[n].0.poll_transmit() {
//!             let remote = phones[n].2;
//!             let (phone, flow, _) = &mut phones[1 - n];
//!             phone.handle_input(now, Input::Datagram { flow: *flow, remote, bytes: &transmit.bytes })?;
//!         }
//!         while let Some(output) = phones[n].0.poll_event() {
//!             let (core, endpoint) = phones[n].0.parts();
//!             let Output::UserAgent(Event::Call { call, event }) = output else { continue };
//!             match event {
//!                 CallEvent::Incoming { .. } => {
//!                     core.accept(endpoint, now, call, Reply::new().body(Body::sdp(&b"v=0\r\n"[..])))?;
//!                 }
//!                 CallEvent::Confirmed { .. } if n == 0 => core.hang_up(endpoint, now, call, None)?,
//!                 CallEvent::Ended { .. } => ended += 1,
//!                 _ => {}
//!             }
//!         }
//!     }
//! }
//! assert_eq!(phones[0].0.call(call), None, "its id is stale");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A host on real sockets adds its clock: it calls [`UserAgent::handle_timeout`] when [`UserAgent::poll_timeout`] says, and does
//! what [`Output::Endpoint`] asks for: opens connections and asks DNS.
//!
//! # Rules
//!
//! - Every id gets exactly one terminal event, `Ended`, with a typed cause and the message that caused it; after it the id is stale. A stale
//!   id is an error, never somebody else's call.
//! - A command that is not possible is an `Err` and changes nothing. What a peer does wrong is answered as the RFCs say.
//! - State is committed on success only: a hold holds when the peer has agreed, a refused re-INVITE leaves all as it was.
//! - All limits are in [`UserAgentConfig`], finite by default.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod agent;
mod auth;
mod b2bua;
mod body;
mod call;
mod codec;
mod config;
mod deadlines;
mod dialog;
mod dialog_info;
mod dtmf;
mod error;
mod event;
mod glare;
mod id;
mod identity;
mod left_out;
mod offer_answer;
mod origin;
mod persist;
mod publication;
mod refer;
mod registration;
mod request;
pub mod sdp;
mod session_timer;
mod subscription;
mod user_agent;

pub use agent::UserAgentCore;
pub use auth::{Credentials, Keyring, Secret, ServerProof};
pub use b2bua::B2bua;
pub use body::{Body, carries_session};
pub use call::callee::{Progress, Reply};
pub use call::caller::Invite;
pub use call::{CallInfo, CallState, Role};
pub use config::{Limits, Redirect, RegistrationConfig, Reliable, Serves, Sips, UserAgentConfig};
pub use dialog::{Damage, Dialog, Order, damage};
pub use dialog_info::{Applied, DialogInfo, DialogPhase, DialogSource, DialogState, DialogTable, Party};
pub use dtmf::Tone;
pub use error::{CommandError, DialogError};
pub use event::{
    CallEvent, EndCause, Event, Owner, PublicationEnd, PublicationEvent, RegistrationEnd, RegistrationEvent,
    RequestEvent, SubscriptionEnd, SubscriptionEvent,
};
pub use id::{CallHandle, DialogId, PublicationId, RegistrationId, RequestId, SubscriptionId};
pub use identity::Identity;
pub use offer_answer::{Glare, Meaning, OfferAnswer, Place};
pub use origin::{ExtraHeaders, Origin};
pub use publication::Publish;
pub use refer::{Refer, sipfrag_replaces, sipfrag_status};
pub use registration::{Register, RegistrationInfo};
pub use request::OutgoingRequest;
pub use session_timer::{Fields as SessionTimerFields, Role as Refresher, SessionTimer, SessionTimerConfig};
pub use sip_message::digest::DigestAlgorithm;
pub use sip_transaction::ImportError;
pub use subscription::{Subscribe, Termination};
pub use user_agent::{Output, UserAgent};

// The guide's examples are compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../docs/dialog-first-call.md")]
struct Guide;

// The example of the README is compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
