//! Fragments of SIP messages: message/sipfrag (RFC 3420).

use super::fields::BodyFields;
use super::{BodyError, BodyFault};
use crate::config::ParserConfig;
use crate::error::{HeaderError, ValueFault};
use crate::header::Header;
use crate::headers;
use crate::message::{Kind, Message, StartLine, begins_response};
use crate::parse;
use crate::scan;
use crate::status::StatusCode;
use alloc::vec::Vec;
use bytes::Bytes;

/// A message/sipfrag: perhaps a start line, perhaps header fields, perhaps a body. NOTIFY after REFER carries one.
///
/// The line end of the last line may be missing, as it often is.
///
/// ```
/// use sip_message::{StatusCode, body::SipFrag};
///
/// let fragment = SipFrag::parse(b"SIP/2.0 603 Declined\r\n")?;
/// assert_eq!(fragment.status(), Some(StatusCode::DECLINE));
/// # Ok::<(), sip_message::body::BodyError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SipFrag<'a> {
    start_line: Option<StartLine<'a>>,
    fields: BodyFields<'a>,
    body: &'a [u8],
}

impl<'a> SipFrag<'a> {
    /// Takes apart a fragment. That its header fields are well formed is [`check`](SipFrag::check)'s to say.
    ///
    /// # Errors
    ///
    /// The first line is neither a start line of SIP/2.0 nor a header field, or another is not a header field.
    pub fn parse(v: &'a [u8]) -> Result<Self, BodyError> {
        let end = memchr::memmem::find(v, b"\r\n").unwrap_or(v.len());
        let first = v.get(..end).unwrap_or_default();
        let start_line = start_line(first);
        let from = if start_line.is_some() { (end + 2).min(v.len()) } else { 0 };
        let rest = v.get(from..).unwrap_or_default();
        let (fields, body) = BodyFields::parse(rest).map_err(|error| match from + error.offset {
            0 => BodyError::new(BodyFault::StartLine, 0),
            offset => BodyError::new(error.kind, offset),
        })?;
        let body = rest.get(body..).unwrap_or_default();
        // The body ends where Content-Length says, as that of a message.
        let length = fields.field(Header::ContentLength).and_then(scan::decimal).and_then(|n| usize::try_from(n).ok());
        let body = length.and_then(|length| body.get(..length)).unwrap_or(body);
        Ok(SipFrag { start_line, fields, body })
    }

    /// The start line, if there is one.
    pub fn start_line(&self) -> Option<StartLine<'a>> {
        self.start_line
    }

    /// The status, if the fragment begins with a status line.
    pub fn status(&self) -> Option<StatusCode> {
        match self.start_line? {
            StartLine::Response { status, .. } => Some(status),
            StartLine::Request { .. } => None,
        }
    }

    /// The header fields.
    pub fn fields(&self) -> BodyFields<'a> {
        self.fields
    }

    /// The body; empty if there is none.
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// Checks that each header field is well formed, and that a body has the fields that describe it.
    ///
    /// # Errors
    ///
    /// The first header field that is malformed or missing. The offset is from the start of its value.
    //= https://www.rfc-editor.org/rfc/rfc3420#section-2
    //# If the message/sipfrag part contains a body, it MUST also contain the
    //# appropriate header fields describing that body (such as Content-
    //# Length) as required by Section 7.4 of [1] and the null-line
    //# separating the header from the body.
    pub fn check(&self) -> Result<(), HeaderError> {
        for field in self.fields {
            if let Some((header, Err(error))) =
                field.name().known().and_then(|header| Some((header, headers::check_value(header, field.value())?)))
            {
                return Err(HeaderError { header, fault: Some(error.kind), offset: error.offset });
            }
        }
        if self.body.is_empty() {
            return Ok(());
        }
        for header in [Header::ContentType, Header::ContentLength] {
            if self.fields.field(header).is_none() {
                return Err(HeaderError::missing(header));
            }
        }
        let length = self.fields.field(Header::ContentLength).and_then(scan::decimal);
        match length == Some(self.body.len() as u64) {
            true => Ok(()),
            false => Err(HeaderError { header: Header::ContentLength, fault: Some(ValueFault::Number), offset: 0 }),
        }
    }

    /// A fragment of `message`: its start line and those of its header fields that `header` picks, as they are.
    ///
    /// What a REFER may tell of a call is little: often the start line is enough.
    pub fn of(message: &Message, mut header: impl FnMut(Header) -> bool) -> Bytes {
        let mut out = Vec::new();
        out.extend_from_slice(message.start_line_bytes());
        for field in message.headers() {
            if field.name().known().is_some_and(&mut header) {
                out.extend_from_slice(field.line());
            }
        }
        Bytes::from(out)
    }
}

/// The start line that `line` is, if it is one of SIP/2.0.
fn start_line(line: &[u8]) -> Option<StartLine<'_>> {
    let response = begins_response(line, 0);
    let parsed = if response { parse::status_line(line, &ParserConfig::DEFAULT) } else { parse::request_line(line) };
    let (kind, span, true) = parsed.ok()? else { return None };
    let text = line.get(span.0..span.1)?;
    Some(match kind {
        Kind::Request(tag) => {
            let method = tag.method(line.get(..span.0.saturating_sub(1))?);
            StartLine::Request { method, uri: text }
        }
        Kind::Response(status) => StartLine::Response { status, reason: text },
    })
}
