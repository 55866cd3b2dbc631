//! Multipart bodies: one level of them, and the walk over all parts of a message.

use super::fields::BodyFields;
use super::{BodyError, BodyFault};
use crate::error::HeaderError;
use crate::header::{Header, HeaderName};
use crate::headers::{ContentDisposition, MediaType};
use crate::message::Message;
use crate::value::FieldValue;
use core::fmt;
use memchr::memmem;
use smallvec::SmallVec;

/// A multipart body: an iterator over its parts.
///
/// What stands before the first and behind the closing boundary is ignored. A part whose header is malformed is an
/// error of its own; the walk goes on behind it. If the closing boundary is missing, the last part is given as far as
/// it goes, and then an error of kind [`BodyFault::Unclosed`].
//= https://www.rfc-editor.org/rfc/rfc5621#section-4.2
//# SIP UAs MUST support
//# parsing 'multipart' MIME bodies, including nested body parts.
#[derive(Clone)]
pub struct Multipart<'a> {
    body: &'a [u8],
    boundary: &'a [u8],
    state: State,
}

#[derive(Clone, Copy)]
enum State {
    /// Before the part that begins here, behind the line of its boundary.
    At(usize),
    /// All parts are given, and the boundary that closes is not there.
    Unclosed,
    Done,
}

impl<'a> Multipart<'a> {
    /// Takes apart a body of `content_type`.
    ///
    /// # Errors
    ///
    /// The type has no boundary, or the body has no part.
    pub fn parse(content_type: &MediaType<'a>, body: &'a [u8]) -> Result<Self, BodyError> {
        match content_type.boundary() {
            Ok(Some(boundary)) => Self::with_boundary(boundary.without_quotes(), body),
            _ => Err(BodyError::new(BodyFault::Boundary, 0)),
        }
    }

    /// Takes apart a body with this boundary, the two hyphens before it not included. Other characters than RFC 2046
    /// has in a boundary are no fault.
    ///
    /// # Errors
    ///
    /// This cannot be a boundary, or the body has no part.
    pub fn with_boundary(boundary: &'a [u8], body: &'a [u8]) -> Result<Self, BodyError> {
        let line_end = |b: &u8| matches!(b, b'\r' | b'\n');
        if !(1..=70).contains(&boundary.len()) || boundary.ends_with(b" ") || boundary.iter().any(line_end) {
            return Err(BodyError::new(BodyFault::Boundary, 0));
        }
        let mut multipart = Multipart { body, boundary, state: State::Done };
        let first = match multipart.delimiter(0) {
            Some(first) => Some(first),
            None => multipart.next_delimiter(0).map(|(_, delimiter)| delimiter),
        };
        match first {
            Some(Delimiter { close: false, end }) => multipart.state = State::At(end),
            _ => return Err(BodyError::new(BodyFault::NoParts, body.len())),
        }
        Ok(multipart)
    }

    /// The first delimiter line whose CRLF lies at or behind `from`, and where that is.
    fn next_delimiter(&self, from: usize) -> Option<(usize, Delimiter)> {
        let finder = memmem::Finder::new(b"\r\n--");
        let mut at = from;
        loop {
            at += finder.find(self.body.get(at..)?)?;
            if let Some(delimiter) = self.delimiter(at + 2) {
                return Some((at, delimiter));
            }
            at += 2;
        }
    }

    /// The delimiter line at `from`, if there is one. The line is the boundary and nothing else: a longer boundary that
    /// begins like this one, of a multipart inside, is not this one.
    fn delimiter(&self, from: usize) -> Option<Delimiter> {
        let line = self.body.get(from..)?.strip_prefix(b"--")?.strip_prefix(self.boundary)?;
        let (close, padding) = match line.strip_prefix(b"--") {
            Some(rest) => (true, rest),
            None => (false, line),
        };
        //= https://www.rfc-editor.org/rfc/rfc2046#section-5.1.1
        //# receivers MUST
        //# ; be able to handle padding
        //# ; added by message transports.
        let spaces = padding.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
        let rest = padding.get(spaces..).unwrap_or_default();
        match rest {
            [b'\r', b'\n', ..] => Some(Delimiter { close, end: self.body.len() - rest.len() + 2 }),
            [] => Some(Delimiter { close, end: self.body.len() }),
            _ => None,
        }
    }
}

struct Delimiter {
    close: bool,
    /// Where the next line begins.
    end: usize,
}

impl<'a> Iterator for Multipart<'a> {
    type Item = Result<BodyPart<'a>, BodyError>;

    fn next(&mut self) -> Option<Self::Item> {
        let from = match self.state {
            State::At(from) => from,
            State::Unclosed => {
                self.state = State::Done;
                return Some(Err(BodyError::new(BodyFault::Unclosed, self.body.len())));
            }
            State::Done => return None,
        };
        // The line end of the delimiter above serves an empty part, too.
        let end = match self.next_delimiter(from.saturating_sub(2)) {
            Some((end, delimiter)) => {
                self.state = if delimiter.close { State::Done } else { State::At(delimiter.end) };
                end.max(from)
            }
            None => {
                self.state = State::Unclosed;
                if from == self.body.len() {
                    return self.next();
                }
                self.body.len()
            }
        };
        let part = self.body.get(from..end).unwrap_or_default();
        Some(match BodyFields::parse(part) {
            Ok((fields, body)) => Ok(BodyPart { head: Head::Part(fields), body: part.get(body..).unwrap_or_default() }),
            Err(error) => Err(BodyError::new(error.kind, from + error.offset)),
        })
    }
}

impl fmt::Debug for Multipart<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

/// A body with the fields that describe it: a part of a multipart body, or the body of a message that is none.
#[derive(Clone, Copy, Debug)]
pub struct BodyPart<'a> {
    head: Head<'a>,
    body: &'a [u8],
}

#[derive(Clone, Copy, Debug)]
enum Head<'a> {
    Message(&'a Message),
    Part(BodyFields<'a>),
}

impl<'a> BodyPart<'a> {
    /// The content, as it is: no encoding is undone.
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// The header fields of the part; none if this is the whole body of a message, which its own fields describe.
    pub fn fields(&self) -> BodyFields<'a> {
        match self.head {
            Head::Message(_) => BodyFields::EMPTY,
            Head::Part(fields) => fields,
        }
    }

    /// The raw value of the first field named `name`: of the part, or of the message if this is its whole body.
    pub fn field<'n>(&self, name: impl Into<HeaderName<'n>>) -> Option<&'a [u8]> {
        let name = name.into();
        match (self.head, name) {
            (Head::Message(message), HeaderName::Known(header)) => message.field(header),
            (Head::Message(message), _) => message.headers().find(|field| field.name() == name).map(|f| f.value()),
            (Head::Part(fields), _) => fields.field(name),
        }
    }

    fn value<T: FieldValue<'a>>(&self, header: Header) -> Result<Option<T>, HeaderError> {
        match self.head {
            Head::Message(message) => message.value(header),
            Head::Part(fields) => fields.value(header),
        }
    }

    /// The content type; `None` means `text/plain`.
    ///
    /// # Errors
    ///
    /// It is malformed.
    pub fn content_type(&self) -> Result<Option<MediaType<'a>>, HeaderError> {
        self.value(Header::ContentType)
    }

    /// Whether the content type is `media_type`, written `application/sdp`. No type means `text/plain`.
    pub fn is(&self, media_type: &str) -> bool {
        match self.content_type() {
            Ok(Some(own)) => own.is(media_type),
            Ok(None) => media_type.eq_ignore_ascii_case("text/plain"),
            Err(_) => false,
        }
    }

    /// What the part is for; `None` means `session` for `application/sdp`, else `render`.
    ///
    /// # Errors
    ///
    /// It is malformed.
    pub fn disposition(&self) -> Result<Option<ContentDisposition<'a>>, HeaderError> {
        self.value(Header::ContentDisposition)
    }

    /// The Content-ID without its angle brackets, by which `cid:` URIs refer to the part.
    pub fn content_id(&self) -> Option<&'a [u8]> {
        let id = self.field("Content-ID")?;
        Some(id.strip_prefix(b"<").and_then(|id| id.strip_suffix(b">")).unwrap_or(id))
    }

    /// The parts of this part, if its type is `multipart`; an unknown subtype is as good as `mixed`.
    ///
    /// # Errors
    ///
    /// The content type is malformed or has no boundary, or there is no part.
    pub fn multipart(&self) -> Result<Option<Multipart<'a>>, BodyError> {
        match self.content_type() {
            Ok(Some(content_type)) if content_type.kind() == "multipart" => {
                Multipart::parse(&content_type, self.body).map(Some)
            }
            Ok(_) => Ok(None),
            Err(_) => Err(BodyError::new(BodyFault::ContentType, 0)),
        }
    }
}

/// All parts of a body that are not multipart themselves, in order: [`Message::body_parts`].
#[derive(Clone, Debug)]
pub struct BodyParts<'a> {
    /// The whole body, not yet looked at.
    whole: Option<BodyPart<'a>>,
    /// The multiparts that are open, the innermost last.
    open: SmallVec<[Multipart<'a>; 4]>,
    max_depth: usize,
}

impl<'a> Iterator for BodyParts<'a> {
    type Item = Result<BodyPart<'a>, BodyError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let part = match self.whole.take() {
                Some(whole) => whole,
                None => match self.open.last_mut()?.next() {
                    Some(Ok(part)) => part,
                    Some(Err(error)) => return Some(Err(error)),
                    None => {
                        self.open.pop();
                        continue;
                    }
                },
            };
            match part.multipart() {
                Ok(None) => return Some(Ok(part)),
                Ok(Some(_)) if self.open.len() >= self.max_depth => {
                    return Some(Err(BodyError::new(BodyFault::TooDeep, 0)));
                }
                Ok(Some(multipart)) => self.open.push(multipart),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl Message {
    /// The body with the fields that describe it; `None` if there is no body.
    pub fn whole_body(&self) -> Option<BodyPart<'_>> {
        let body = self.body();
        (!body.is_empty()).then_some(BodyPart { head: Head::Message(self), body })
    }

    /// The parts of the body that are not multipart themselves, in order; the body itself if it is not multipart.
    ///
    /// At most `max_depth` multiparts are opened inside one another: with 0, a multipart body is an error. Work is linear
    /// in the length of the body times the depth.
    pub fn body_parts(&self, max_depth: usize) -> BodyParts<'_> {
        BodyParts { whole: self.whole_body(), open: SmallVec::new(), max_depth }
    }

    /// The content of the first part of type `media_type`, such as `application/sdp`: the body itself, or a part of it
    /// at most four multiparts deep. Malformed parts are passed over.
    pub fn body_of_type(&self, media_type: &str) -> Option<&[u8]> {
        self.body_parts(4).flatten().find(|part| part.is(media_type)).map(|part| part.body)
    }
}
