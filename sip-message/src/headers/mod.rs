//! Typed views of the header fields beyond the ones every message has.
//!
//! Every type here reads one value of a header field, borrows from the message and allocates nothing: its parts are
//! found at once, its parameters and URIs when they are asked for. Read them with the methods of
//! [`Message`](crate::Message) named after the header, or with [`Message::values`](crate::Message::values).
//!
//! A parameter nobody asks for is never in the way of one that somebody does.
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
mod lex;
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
pub use auth::{AuthParams, AuthenticationInfo, Challenge, Credentials, QopOptions};
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
