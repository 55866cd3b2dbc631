//! Message bodies: content types, multipart bodies (RFC 5621, RFC 2046), and message/sipfrag (RFC 3420).
//!
//! Takes bodies apart and puts them together; what is in a part stays bytes. SDP is not parsed here, and no
//! Content-Transfer-Encoding or Content-Encoding is undone.
//!
//! ```
//! use sip_message::{Message, body::MultipartBuilder};
//! # let message = Message::parse(bytes::Bytes::from_static(b"INVITE sip:a@b SIP/2.0\r\n\
//! #   Content-Type: multipart/mixed;boundary=x\r\n\r\n\
//! #   --x\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n\r\n--x--"))?;
//! // The session description, be it the body or a part of it.
//! assert_eq!(message.body_of_type("application/sdp"), Some(&b"v=0\r\n"[..]));
//! for part in message.body_parts(4) {
//!     let part = part?;
//!     println!("{:?}: {} bytes", part.content_type()?, part.body().len());
//! }
//! let body = MultipartBuilder::mixed().part("application/sdp", "v=0\r\n").part("text/plain", "hi").build()?;
//! assert_eq!(body.content_type, "multipart/mixed;boundary=part-00000000");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

// What a body is made of is the host's choice:
//= https://www.rfc-editor.org/rfc/rfc3261#section-7.4.1
//= type=exception
//= reason=Bodies are bytes here; whoever encodes one writes Content-Encoding, and nothing else does.
//# If the body has undergone any encoding
//# such as compression, then this MUST be indicated by the Content-
//# Encoding header field; otherwise, Content-Encoding MUST be omitted.
//= https://www.rfc-editor.org/rfc/rfc3261#section-7.4.1
//= type=exception
//= reason=The host chooses the body; Message::accept tells it whether multipart is welcome.
//# Implementations that send requests
//# containing multipart message bodies MUST send a session description
//# as a non-multipart message body if the remote implementation requests
//# this through an Accept header field that does not contain multipart.

mod build;
mod fields;
mod multipart;
mod sipfrag;

pub use build::{MultipartBody, MultipartBuilder};
pub use fields::{BodyField, BodyFields};
pub use multipart::{BodyPart, BodyParts, Multipart};
pub use sipfrag::SipFrag;

use core::fmt;

/// What is wrong with a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BodyFault {
    /// The Content-Type is missing where it is needed, or malformed.
    ContentType,
    /// A multipart type without a usable boundary: 1 to 70 characters, the last not a space.
    Boundary,
    /// The boundary never occurs.
    NoParts,
    /// The closing boundary is missing: the body may be cut short.
    Unclosed,
    /// A header field of a part is not a header field.
    Field,
    /// Multipart in multipart, deeper than the caller allows.
    TooDeep,
    /// Neither a start line nor a header field of SIP where one has to be.
    StartLine,
}

impl fmt::Display for BodyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BodyFault::ContentType => "no usable content type",
            BodyFault::Boundary => "no usable boundary",
            BodyFault::NoParts => "the boundary does not occur",
            BodyFault::Unclosed => "the closing boundary is missing",
            BodyFault::Field => "a malformed header field",
            BodyFault::TooDeep => "nested too deep",
            BodyFault::StartLine => "a malformed start line",
        })
    }
}

/// Why a body could not be taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyError {
    /// What is wrong.
    pub kind: BodyFault,
    /// Where, in bytes from the start of the innermost multipart body, or of the fragment.
    pub offset: usize,
}

impl BodyError {
    const fn new(kind: BodyFault, offset: usize) -> Self {
        BodyError { kind, offset }
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (byte {})", self.kind, self.offset)
    }
}

impl core::error::Error for BodyError {}
