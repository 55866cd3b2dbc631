//! SIP messages (RFC 3261): bytes to messages and back.
//!
//! A [`Message`] owns the bytes it came in, and an index of them. Parsing copies nothing and allocates nothing; the
//! header fields are read when they are asked for, as typed views that borrow from the message. Edits lie over the
//! bytes: every line that was not touched leaves as it came, in its order, its case and its folds.
//!
//! | To | use |
//! |---|---|
//! | read a datagram or a WebSocket message | [`Message::parse`] |
//! | read a TCP or TLS stream | [`StreamDecoder`] |
//! | read a header field | [`Message::from`], [`Message::vias`] and their kin, [`Message::values`], [`Message::field`] |
//! | read and compare URIs | [`uri`] |
//! | change a message on its way | [`Message::push_via`], [`Message::set`] and their kin |
//! | make a message | [`Message::request`], [`Message::response`], [`Message::ack`], [`Message::cancel`] |
//! | send it | [`Message::to_bytes`], [`Message::write_to`], [`Message::slices`] |
//! | know what is wrong with a message | [`Message::check_grammar`], [`Message::check_semantics`] |
//! | answer what did not parse | [`salvage`] |
//!
//! # What it is not
//!
//! It keeps no state between messages: transactions, dialogs and digest nonces live in the crates above. It opens no
//! socket, reads no clock, draws no random number. It does not read SDP: a session description is a body of bytes.
//! It does not decide what to tolerate: each leniency is a switch in [`ParserConfig`].
//!
//! # Example
//!
//! A proxy's work on one request: read it, change it, send it on; and answer one.
//!
//! ```
//! use bytes::Bytes;
//! use sip_message::{Header, Message, Method, StatusCode};
//!
//! let received = Bytes::from_static(
//!     b"INVITE sip:bob@biloxi.com SIP/2.0\r\n\
//!       Via: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bK776asdhds\r\n\
//!       Max-Forwards: 70\r\n\
//!       To: Bob <sip:bob@biloxi.com>\r\n\
//!       From: \"A. Liddell\" <sip:alice@atlanta.com>;tag=1928301774\r\n\
//!       Call-ID: a84b4c76e66710@pc33.atlanta.com\r\n\
//!       CSeq: 314159 INVITE\r\n\
//!       Contact: <sip:alice@pc33.atlanta.com>\r\n\
//!       X-Unknown: kept,   as it is\r\n\
//!       Content-Length: 0\r\n\r\n",
//! );
//!
//! // Read.
//! let mut request = Message::parse(received)?;
//! assert_eq!(request.method(), Some(Method::Invite));
//! assert_eq!(request.from()?.display_name().as_deref(), Some("A. Liddell"));
//! assert_eq!(request.top_via()?.branch()?, Some("z9hG4bK776asdhds"));
//!
//! // Edit.
//! request.set_received([192, 0, 2, 1].into())?;
//! request.decrement_max_forwards()?;
//! request.push_record_route("<sip:p1.example.com;lr>")?;
//! request.push_via("SIP/2.0/TCP p1.example.com;branch=z9hG4bK4b43c2ff8.1")?;
//! let mut out = Vec::new();
//! request.write_to(&mut out);
//! assert!(out.windows(28).any(|line| line == b"X-Unknown: kept,   as it is\r"));
//!
//! // Build.
//! let ringing = Message::response(&request, StatusCode::RINGING).to_tag("a6c85cf").build()?;
//! assert_eq!(ringing.vias().count(), 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Depths
//!
//! A message is checked as deep as its reader needs. *Framing*, the lines, lengths and the start line, is checked by
//! parsing. *Grammar*, the form of each header field, is checked by the typed reads, one field at a time, or at once by
//! [`Message::check_grammar`]. *Semantics*, what a user agent owes an answer for, is [`Message::check_semantics`]'s.
//! A proxy forwards what it need not understand, so parsing alone goes no deeper. Each fault says where it is, in which
//! header field, and which status is owed.
//!
//! # Limits
//!
//! [`ParserConfig`] bounds the length of a message, of a header field, the number of fields and of folds, before
//! anything is kept. All work is linear in the length of the message.
//!
//! # Features
//!
//! `std` (default) adds nothing but `std` in the dependencies; without it the crate needs `alloc` only. `digest`
//! (default) adds the arithmetic of digest authentication.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod body;
mod builder;
mod check;
mod compose;
mod config;
mod cseq;
#[cfg(feature = "digest")]
pub mod digest;
mod edit;
mod error;
mod header;
pub mod headers;
mod index;
mod lines;
mod message;
mod method;
mod name_addr;
mod params;
mod parse;
mod reads;
mod salvage;
mod scan;
mod serialize;
#[cfg(test)]
mod shortcuts;
mod status;
mod stream;
pub mod uri;
mod value;
mod via;

pub use builder::{RequestBuilder, RequestUri, ResponseBuilder};
pub use check::{Capabilities, Fault, FaultKind};
pub use compose::{BuildError, BuildFault};
pub use config::ParserConfig;
pub use cseq::{CSeq, RAck};
pub use error::{Depth, FramingFault, HeaderError, ParseError, ValueError, ValueFault};
pub use header::{Header, HeaderName};
pub use lines::Lines;
pub use message::{HeaderField, Headers, Message, StartLine};
pub use method::Method;
pub use name_addr::{Contact, ContactParams, NameAddr};
pub use params::{Param, ParamValue, Params, unescaped};
pub use reads::DialogIds;
pub use salvage::{Salvaged, salvage};
pub use serialize::Slices;
pub use status::StatusCode;
pub use stream::{StreamDecoder, StreamError, StreamItem};
pub use uri::{Host, SipUri, Uri, UriBuf};
pub use value::{FieldValue, Values};
pub use via::{Via, ViaTransport};

// The example of the README is compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
