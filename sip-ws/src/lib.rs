//! WebSocket (RFC 6455, RFC 7692) and SIP over WebSocket (RFC 7118) as a sans-IO state machine.
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
pub use connection::{Accept, AcceptError, ClientError, Connection, Message, Misuse, SendError, SendFailure};
pub use counters::{Counters, Totals};
pub use event::{Event, Input, InputError, Open};
pub use http::{Answer, AnswerError, BadAnswer, Fields, RequestError, RequestHead, ResponseHead, Url, UrlError};
pub use mask::apply_mask;
pub use time::Instant;
