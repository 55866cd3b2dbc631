//! SIP messages: a zero-copy parser, lazy typed headers, URIs, builders, in-place edits and stream framing.
#![no_std]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod config;
mod cseq;
mod error;
mod header;
pub mod headers;
mod index;
mod message;
mod method;
mod name_addr;
mod params;
mod parse;
mod reads;
mod scan;
mod status;
pub mod uri;
mod value;
mod via;

pub use config::ParserConfig;
pub use cseq::{CSeq, RAck};
pub use error::{Depth, FramingFault, HeaderError, ParseError, ValueError, ValueFault};
pub use header::{Header, HeaderName};
pub use message::{HeaderField, Headers, Message, StartLine};
pub use method::Method;
pub use name_addr::{Contact, NameAddr};
pub use params::{Param, ParamValue, Params};
pub use status::StatusCode;
pub use uri::Uri;
pub use value::{FieldValue, Values};
pub use via::{Via, ViaTransport};
