//! What can be wrong with a message, as data: where, what, and which status is owed for it.

use crate::header::Header;
use crate::status::StatusCode;
use core::fmt;

/// The depth at which a fault was found. Each depth has a call of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Depth {
    /// Lines, lengths and the start line: what a transport needs. [`Message::parse`](crate::Message::parse).
    Framing,
    /// The grammar of the header fields: what a reader needs.
    /// [`Message::check_grammar`](crate::Message::check_grammar).
    Grammar,
    /// What a message means: what an element owes an answer for.
    /// [`Message::check_semantics`](crate::Message::check_semantics).
    Semantics,
}

impl fmt::Display for Depth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Depth::Framing => "framing",
            Depth::Grammar => "grammar",
            Depth::Semantics => "semantics",
        })
    }
}

macro_rules! reasons {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$doc])* $variant,)*
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $($name::$variant => $text,)* })
            }
        }
    };
}

reasons! {
    /// What is wrong with the framing of a message.
    FramingFault {
        /// Nothing but line ends, or nothing at all.
        Empty = "no message",
        /// The bytes end before the empty line that ends the head.
        TruncatedHead = "the head does not end",
        /// The body is shorter than Content-Length says.
        TruncatedBody = "the body is shorter than Content-Length",
        /// The message exceeds [`ParserConfig::max_message_len`](crate::ParserConfig::max_message_len).
        MessageTooLong = "the message is too long",
        /// The start line exceeds [`ParserConfig::max_header_len`](crate::ParserConfig::max_header_len).
        StartLineTooLong = "the start line is too long",
        /// A header field exceeds [`ParserConfig::max_header_len`](crate::ParserConfig::max_header_len).
        HeaderTooLong = "the header field is too long",
        /// More header fields than [`ParserConfig::max_headers`](crate::ParserConfig::max_headers).
        TooManyHeaders = "too many header fields",
        /// More continuation lines than [`ParserConfig::max_folds`](crate::ParserConfig::max_folds).
        TooManyFolds = "too many continuation lines",
        /// The first line is neither a Request-Line nor a Status-Line.
        StartLine = "neither a request line nor a status line",
        /// The method is not a token.
        Method = "the method is not a token",
        /// The status code is not three digits from 100 to 699.
        StatusCode = "the status code is not 100 to 699",
        /// A header line has no name followed by a colon.
        HeaderName = "no header name before a colon",
        /// LF without CR before it.
        BareLf = "LF without CR",
        /// CR without LF behind it.
        BareCr = "CR without LF",
        /// Content-Length is not a number.
        ContentLength = "Content-Length is not a number",
        /// Content-Length fields that differ.
        ContentLengthConflict = "Content-Length values that differ",
        /// No Content-Length on a stream.
        ContentLengthMissing = "no Content-Length on a stream",
    }
}

/// A framing fault: why [`Message::parse`](crate::Message::parse) refused the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// What is wrong.
    pub kind: FramingFault,
    /// Where, in bytes from the start of the input.
    pub offset: usize,
    /// The header field at fault, if it is one that is known.
    pub header: Option<Header>,
    /// Whether the input begins like a response: nothing is owed to a response, it is dropped.
    pub response: bool,
}

impl ParseError {
    /// The status to answer with; `None` if the message was a response, or no message at all.
    ///
    /// To build the answer from bytes that did not parse, see [`salvage`](crate::salvage).
    pub fn status(&self) -> Option<StatusCode> {
        //= https://www.rfc-editor.org/rfc/rfc3261#section-18.3
        //# If the message is a response, it MUST be discarded.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-18.3
        //# If the
        //# message is a request, the element SHOULD generate a 400 (Bad Request)
        //# response.
        if self.response {
            return None;
        }
        match self.kind {
            FramingFault::Empty => None,
            FramingFault::MessageTooLong => Some(StatusCode::REQUEST_ENTITY_TOO_LARGE),
            FramingFault::StartLineTooLong => Some(StatusCode::REQUEST_URI_TOO_LONG),
            _ => Some(StatusCode::BAD_REQUEST),
        }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        location(f, self.header, self.offset)
    }
}

impl core::error::Error for ParseError {}

reasons! {
    /// What is wrong with the value of a header field.
    ValueFault {
        /// Nothing where something is needed.
        Empty = "empty",
        /// A character that cannot stand here.
        Character = "a character that is not allowed here",
        /// Something is missing at this place.
        Incomplete = "the value ends too early",
        /// Something follows the end of the value.
        Trailing = "something after the end of the value",
        /// A quoted string or angle bracket that does not close.
        Unclosed = "a quote or bracket that does not close",
        /// Not a number, or one that is too large for its header field.
        Number = "not a number in range",
        /// A URI that its scheme does not allow.
        Uri = "not a valid URI",
        /// A host that is neither a name nor an address.
        Host = "not a valid host",
        /// A port that is not 0 to 65,535.
        Port = "not a valid port",
        /// A protocol name or version other than SIP/2.0.
        Protocol = "not SIP/2.0",
        /// A method that is not a token.
        Method = "not a method",
        /// A date that is not an RFC 1123 date in GMT.
        Date = "not a date in GMT",
        /// A parameter that is malformed.
        Param = "a malformed parameter",
        /// A URI with `,`, `;` or `?` that stands without angle brackets.
        Brackets = "the URI needs angle brackets",
        /// Not the form this header field has.
        Form = "not the form of this header field",
    }
}

/// Why a value could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueError {
    /// What is wrong.
    pub kind: ValueFault,
    /// Where, in bytes from the start of the value.
    pub offset: usize,
}

impl ValueError {
    pub(crate) const fn new(kind: ValueFault, offset: usize) -> Self {
        ValueError { kind, offset }
    }

    pub(crate) const fn shifted(self, by: usize) -> Self {
        ValueError { kind: self.kind, offset: self.offset + by }
    }
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (byte {})", self.kind, self.offset)
    }
}

impl core::error::Error for ValueError {}

/// Why a typed read of a header field failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderError {
    /// The header field.
    pub header: Header,
    /// What is wrong with it; `None` if it is missing.
    pub fault: Option<ValueFault>,
    /// Where, in bytes from the start of the message as it was parsed or built; for a field that was edited
    /// since, from the start of its value. 0 if the field is missing.
    pub offset: usize,
}

impl HeaderError {
    pub(crate) const fn missing(header: Header) -> Self {
        HeaderError { header, fault: None, offset: 0 }
    }

    /// Whether the field is missing, rather than malformed.
    pub const fn is_missing(&self) -> bool {
        self.fault.is_none()
    }
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.fault {
            None => write!(f, "{} is missing", self.header),
            Some(fault) => {
                write!(f, "{fault}")?;
                location(f, Some(self.header), self.offset)
            }
        }
    }
}

impl core::error::Error for HeaderError {}

fn location(f: &mut fmt::Formatter<'_>, header: Option<Header>, offset: usize) -> fmt::Result {
    match header {
        Some(header) => write!(f, " ({header}, byte {offset})"),
        None => write!(f, " (byte {offset})"),
    }
}
