//! Typed views of the header fields beyond the ones every message has.
//!
//! Every type here reads one value of a header field, borrows from the message and allocates nothing: its parts are
//! found at once, its parameters and URIs when they are asked for. Read them with the methods of
//! [`Message`](crate::Message) named after the header, or with [`Message::values`](crate::Message::values).
//!
//! A parameter nobody asks for is never in the way of one that somebody does.
//!
//! ```
//! use sip_message::headers::{Refresher, Token};
//! use sip_message::{Message, Method};
//!
//! let message = Message::parse(bytes::Bytes::from_static(
//!     b"INVITE sip:bob@biloxi.com SIP/2.0\r\n\
//!       Session-Expires: 1800;refresher=uac\r\n\
//!       Supported: timer, 100rel\r\n\
//!       Allow: INVITE, ACK, BYE\r\n\
//!       k: replaces\r\n\r\n",
//! ))?;
//! let session = message.session_expires()?.expect("it is there");
//! assert_eq!((session.interval(), session.refresher()?), (1800, Some(Refresher::Uac)));
//! let tags: Vec<Token<'_>> = message.supported().collect::<Result<_, _>>()?;
//! assert_eq!(tags, [Token::try_from("timer")?, Token::try_from("100REL")?, Token::try_from("replaces")?]);
//! assert_eq!(message.allows(Method::Update), Some(false));
//! assert!(message.event()?.is_none());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Owns the grammars; knows nothing of what a header means for a transaction, a dialog or a proxy.

// Typed reads look parameters up by name:
//= https://www.rfc-editor.org/rfc/rfc3261#section-20
//# A UA SHOULD ignore extension header
//# parameters that are not understood.

mod address;
mod auth;
mod check;
pub mod compose;
mod date;
mod dialog;
pub(crate) mod lex;
mod media;
mod numbers;
mod preferences;
mod read;
mod tagged;
#[cfg(test)]
mod tests;
mod text;
mod tokens;

pub use address::{Diversion, HistoryEntry, HistoryIndex, Identity, InfoUri, ReferredBy};
pub use auth::{AuthParams, AuthenticationInfo, Challenge, Credentials, DigestCredentials, QopOptions};
pub use date::Date;
pub use dialog::{Join, Replaces, TargetDialog};
pub use media::{CodingRange, LanguageRange, MediaRange, MediaType};
pub use numbers::{
    DeltaSeconds, Integer, MimeVersion, MinSe, ReferSub, Refresher, RetryAfter, SessionExpires, Timestamp,
};
pub use tagged::{
    AccessNetworkInfo, AnswerMode, ChargingParams, ContentDisposition, Event, EventReason, FeatureSet,
    GeolocationError, InfoPackage, Reason, SecurityMechanism, SessionId, SubscriptionState, Substate, TokenOrQuoted,
};
pub use text::{Product, Products, Text, Warning};
pub use tokens::{CallIdRef, Directive, EntityTag, EventType, LanguageTag, Privacy, ResourceValue, Token};

pub(crate) use check::{check_value, may_be_empty, split_first};
pub(crate) use media::is_media_type;
