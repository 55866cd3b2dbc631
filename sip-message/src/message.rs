//! `Message`: one owned SIP message and the raw reads on it.
//!
//! Owns the bytes, the index and the edited lines. Typed reads are in `reads`, edits in `edit`, output in `serialize`.

use crate::config::ParserConfig;
use crate::error::{FramingFault, ParseError};
use crate::header::{Header, HeaderName};
use crate::index::{Entry, Index};
use crate::method::{Method, MethodTag};
use crate::parse;
use crate::scan;
use crate::status::StatusCode;
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;

/// One SIP message, request or response: its bytes and an index of them.
///
/// Made by [`parse`](Message::parse) or by a builder ([`RequestBuilder`](crate::RequestBuilder),
/// [`ResponseBuilder`](crate::ResponseBuilder)). Every byte is kept as it came: names in their case, folds, order,
/// repeats, unknown fields. Reads are lazy and allocate nothing; edits are overlays that leave untouched lines
/// byte for byte.
///
/// ```
/// use bytes::Bytes;
/// use sip_message::{Header, Message, Method};
///
/// let message = Message::parse(Bytes::from_static(
///     b"OPTIONS sip:carol@chicago.com SIP/2.0\r\n\
///       Via: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bKhjhs8ass877\r\n\
///       Max-Forwards: 70\r\n\
///       t: <sip:carol@chicago.com>\r\n\
///       From: Alice <sip:alice@atlanta.com>;tag=1928301774\r\n\
///       Call-ID: a84b4c76e66710\r\n\
///       CSeq: 63104 OPTIONS\r\n\
///       Subject: Hello\r\n\
///       Content-Length: 0\r\n\r\n",
/// ))?;
/// assert_eq!(message.method(), Some(Method::Options));
/// assert_eq!(message.from()?.tag()?, Some("1928301774"));
/// assert_eq!(message.field(Header::Subject), Some(&b"Hello"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Message {
    /// The message as it was parsed or built.
    pub(crate) bytes: Bytes,
    /// Lines that replace or join those in `bytes`. Empty until the first edit.
    pub(crate) arena: Vec<u8>,
    pub(crate) start: Start,
    pub(crate) index: Index,
    /// Place of the empty line that ends the head, and of the body, in `bytes`.
    pub(crate) head_end: u32,
    pub(crate) body: (u32, u32),
    /// A body that replaces that in `bytes`.
    pub(crate) new_body: Option<Bytes>,
    /// Whether anything differs from `bytes`.
    pub(crate) edited: bool,
}

/// The start line, as an index into its line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start {
    pub(crate) kind: Kind,
    pub(crate) line: u32,
    /// Length with the line end.
    pub(crate) line_len: u16,
    /// The Request-URI or the Reason-Phrase, from the start of the line.
    pub(crate) span: (u16, u16),
    /// Whether the version is SIP/2.0.
    pub(crate) version_2: bool,
    /// Whether the line lies in the arena.
    pub(crate) edited: bool,
}

impl Start {
    /// Of a message whose start line has not been read.
    const NONE: Start = Start {
        kind: Kind::Request(MethodTag::Other),
        line: 0,
        line_len: 0,
        span: (0, 0),
        version_2: false,
        edited: false,
    };
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Request(MethodTag),
    Response(StatusCode),
}

/// The start line of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartLine<'a> {
    /// A request line.
    Request {
        /// The method.
        method: Method<'a>,
        /// The Request-URI as it was written; [`Message::request_uri`] reads it.
        uri: &'a [u8],
    },
    /// A status line.
    Response {
        /// The status code.
        status: StatusCode,
        /// The reason phrase, UTF-8 if the sender kept to RFC 3261; may be empty.
        reason: &'a [u8],
    },
}

impl Message {
    /// Parses the one message in `bytes`: a datagram, or the payload of one WebSocket message.
    ///
    /// The body is as long as Content-Length says, or the rest of `bytes` without that field; what follows it is
    /// ignored (RFC 3261 section 18.3). Empty lines before the start line are skipped. Nothing is copied: the message
    /// keeps `bytes`. For streams, see [`StreamDecoder`](crate::StreamDecoder).
    ///
    /// # Errors
    ///
    /// A [`ParseError`] tells the framing fault, its offset and the status owed. That the header fields are well formed
    /// is [`check_grammar`](Message::check_grammar)'s to say, or each typed read's.
    #[inline(always)]
    pub fn parse(bytes: Bytes) -> Result<Message, ParseError> {
        Self::parse_with(bytes, &ParserConfig::DEFAULT)
    }

    /// Like [`parse`](Message::parse), with limits and leniencies other than the default ones.
    ///
    /// # Errors
    ///
    /// As [`parse`](Message::parse).
    #[inline(always)]
    pub fn parse_with(bytes: Bytes, config: &ParserConfig) -> Result<Message, ParseError> {
        let mut index = Index::new();
        let (head, end) = parse_parts(&bytes, config, &mut index)?;
        Ok(Message::assemble(bytes, head.start, index, head.body, end))
    }

    /// Like [`parse_with`](Message::parse_with), with the message on the heap: for those who hand it on more than once. A message is
    /// several hundred bytes wide, and here it is put together where it will lie.
    ///
    /// ```
    /// use sip_message::{Message, ParserConfig, StatusCode};
    ///
    /// let bytes = b"SIP/2.0 200 OK\r\nCSeq: 1 OPTIONS\r\nContent-Length: 5\r\n\r\nhello, and what is left out";
    /// let message = Message::parse_boxed(bytes.to_vec().into(), &ParserConfig::DEFAULT)?;
    /// assert_eq!((message.status(), message.body()), (Some(StatusCode::OK), &b"hello"[..]));
    /// assert!(Message::parse_boxed(b"SIP/2.0 200"[..].into(), &ParserConfig::DEFAULT).is_err());
    /// # Ok::<(), sip_message::ParseError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`parse`](Message::parse).
    pub fn parse_boxed(bytes: Bytes, config: &ParserConfig) -> Result<Box<Message>, ParseError> {
        let mut message = Message::boxed();
        message.bytes = bytes;
        let Message { bytes, index, .. } = &mut *message;
        let (head, end) = parse_parts(bytes, config, index)?;
        message.complete(head.start, head.body, end);
        Ok(message)
    }

    /// Reads the message in `bytes` into this one, in place of what it was. The memory of a long index is used again, so that whoever
    /// looks at many messages one after the other and keeps none of them allocates nothing for that.
    ///
    /// # Errors
    ///
    /// As [`parse`](Message::parse); this message is without bytes then and has no header fields.
    pub fn parse_again(&mut self, bytes: Bytes, config: &ParserConfig) -> Result<(), ParseError> {
        self.index.clear();
        self.arena.clear();
        (self.bytes, self.start, self.head_end, self.body, self.new_body) = (bytes, Start::NONE, 0, (0, 0), None);
        match parse_parts(&self.bytes, config, &mut self.index) {
            Ok((head, end)) => {
                self.complete(head.start, head.body, end);
                Ok(())
            }
            Err(error) => {
                self.index.clear();
                self.bytes = Bytes::new();
                self.edited = false;
                Err(error)
            }
        }
    }

    /// A message without anything, on the heap.
    #[inline(always)]
    pub(crate) fn boxed() -> Box<Message> {
        // From a constant, so that nothing is put together elsewhere and moved.
        Box::new(const { Message::blank() })
    }

    /// A message without anything.
    const fn blank() -> Message {
        Message {
            bytes: Bytes::new(),
            arena: Vec::new(),
            start: Start::NONE,
            index: Index::new(),
            head_end: 0,
            body: (0, 0),
            new_body: None,
            edited: false,
        }
    }

    /// A message from a head that has been parsed; its body lies at `body..end` of `bytes`.
    #[inline(always)]
    pub(crate) fn assemble(bytes: Bytes, start: Start, index: Index, body: usize, end: usize) -> Message {
        let mut message = Message {
            bytes,
            arena: Vec::new(),
            start,
            index,
            head_end: 0,
            body: (0, 0),
            new_body: None,
            edited: false,
        };
        message.complete(start, body, end);
        message
    }

    #[inline(always)]
    pub(crate) fn complete(&mut self, start: Start, body: usize, end: usize) {
        self.start = start;
        let start_end = start.line + u32::from(start.line_len);
        self.head_end = self.index.entries().last().map_or(start_end, Entry::line_end);
        self.body = (body as u32, end as u32);
        // A head that lacks its empty line leaves with one.
        self.edited = self.head_end == body as u32;
    }

    /// The start line.
    #[inline]
    pub fn start_line(&self) -> StartLine<'_> {
        let line = self.start_line_bytes();
        let span = line.get(usize::from(self.start.span.0)..usize::from(self.start.span.1)).unwrap_or_default();
        match self.start.kind {
            Kind::Request(tag) => {
                let method = line.get(..usize::from(self.start.span.0).saturating_sub(1)).unwrap_or_default();
                StartLine::Request { method: tag.method(method), uri: span }
            }
            Kind::Response(status) => StartLine::Response { status, reason: span },
        }
    }

    /// Whether this is a request.
    #[inline]
    pub fn is_request(&self) -> bool {
        matches!(self.start.kind, Kind::Request(_))
    }

    /// Whether this is a response.
    #[inline]
    pub fn is_response(&self) -> bool {
        !self.is_request()
    }

    /// The method of a request; `None` for a response.
    #[inline]
    pub fn method(&self) -> Option<Method<'_>> {
        match self.start_line() {
            StartLine::Request { method, .. } => Some(method),
            StartLine::Response { .. } => None,
        }
    }

    /// The status of a response; `None` for a request.
    #[inline]
    pub fn status(&self) -> Option<StatusCode> {
        match self.start.kind {
            Kind::Response(status) => Some(status),
            Kind::Request(_) => None,
        }
    }

    /// The reason phrase of a response; `None` for a request.
    pub fn reason(&self) -> Option<&[u8]> {
        match self.start_line() {
            StartLine::Response { reason, .. } => Some(reason),
            StartLine::Request { .. } => None,
        }
    }

    /// The Request-URI as it was written; `None` for a response. Read it with
    /// [`request_uri`](Message::request_uri).
    #[inline]
    pub fn request_uri_bytes(&self) -> Option<&[u8]> {
        match self.start_line() {
            StartLine::Request { uri, .. } => Some(uri),
            StartLine::Response { .. } => None,
        }
    }

    /// Whether the message claims SIP/2.0, the one version this crate reads.
    pub fn is_version_2(&self) -> bool {
        self.start.version_2
    }

    /// All header fields, in order.
    #[inline]
    pub fn headers(&self) -> Headers<'_> {
        Headers { message: self, entries: self.index.entries().iter() }
    }

    /// The raw values of all fields named `name`, in order; one per field, comma-joined lists not taken apart.
    pub fn fields<'a>(&'a self, name: impl Into<HeaderName<'a>>) -> impl Iterator<Item = &'a [u8]> {
        let name = name.into().resolved();
        let from = match name {
            HeaderName::Known(header) => self.index.first(header).unwrap_or(self.index.entries().len()),
            HeaderName::Other(_) => 0,
        };
        let entries = self.index.entries().get(from..).unwrap_or_default().iter();
        entries.filter(move |entry| self.is_named(entry, name)).map(|entry| self.value_of(entry))
    }

    /// The raw value of the first field named `name`, without white space at its ends; folds are left in.
    #[inline]
    pub fn field<'a>(&'a self, name: impl Into<HeaderName<'a>>) -> Option<&'a [u8]> {
        match name.into().resolved() {
            HeaderName::Known(header) => self.index.first_entry(header).map(|entry| self.value_of(entry)),
            name => self.fields(name).next(),
        }
    }

    /// Whether there is a field named `name`.
    pub fn has<'a>(&'a self, name: impl Into<HeaderName<'a>>) -> bool {
        match name.into().resolved() {
            HeaderName::Known(header) => self.index.has(header),
            name => self.fields(name).next().is_some(),
        }
    }

    /// Whether there is more than one field of `header`. For a header that is no list, From or Call-ID for example, two fields are two
    /// meanings, and readers that differ in which one they take can be played against each other: refuse the message with 400.
    ///
    /// ```
    /// # use sip_message::{Header, Message};
    /// let forged = b"BYE sip:b@c SIP/2.0\r\nFrom: <sip:a@b>;tag=1\r\nf: <sip:x@y>;tag=1\r\n\r\n";
    /// assert!(Message::parse(forged[..].into())?.is_repeated(Header::From));
    /// # Ok::<(), sip_message::ParseError>(())
    /// ```
    #[inline]
    pub fn is_repeated(&self, header: Header) -> bool {
        self.index.is_repeated(header)
    }

    /// The body; empty if there is none.
    pub fn body(&self) -> &[u8] {
        match &self.new_body {
            Some(body) => body,
            None => self.bytes.get(self.body.0 as usize..self.body.1 as usize).unwrap_or_default(),
        }
    }

    /// The body as a reference-counted slice of the message: no copy.
    pub fn body_bytes(&self) -> Bytes {
        match &self.new_body {
            Some(body) => body.clone(),
            None => self.bytes.slice(self.body.0 as usize..self.body.1 as usize),
        }
    }

    #[inline]
    pub(crate) fn is_named(&self, entry: &Entry, name: HeaderName<'_>) -> bool {
        match name {
            HeaderName::Known(header) => entry.tag == header as u8,
            HeaderName::Other(name) => {
                entry.header().is_none() && self.name_of(entry).eq_ignore_ascii_case(name.as_bytes())
            }
        }
    }

    /// The bytes that an entry's or the start line's place refers to.
    #[inline]
    pub(crate) fn source(&self, edited: bool) -> &[u8] {
        if edited { &self.arena } else { &self.bytes }
    }

    #[inline]
    pub(crate) fn line_of(&self, entry: &Entry) -> &[u8] {
        self.source(entry.edited()).get(entry.line as usize..entry.line_end() as usize).unwrap_or_default()
    }

    /// The lines of these entries, if they stand behind one another as they came, with CRLF at their ends.
    #[inline]
    pub(crate) fn lines_of(&self, entries: &[Entry]) -> Option<&[u8]> {
        let (first, last) = (entries.first()?, entries.last()?);
        let behind = |pair: &[Entry]| matches!(pair, [one, next] if one.line_end() == next.line);
        let plain = entries.iter().all(|entry| entry.flags == 0) && entries.windows(2).all(behind);
        self.bytes.get(first.line as usize..last.line_end() as usize).filter(|_| plain)
    }

    #[inline]
    pub(crate) fn value_of(&self, entry: &Entry) -> &[u8] {
        if entry.edited() {
            return self.edited_value(entry);
        }
        self.bytes.get(entry.value_range()).unwrap_or_default()
    }

    /// The same for a line that was edited. By itself, so that others need not choose where to look.
    #[inline(never)]
    fn edited_value(&self, entry: &Entry) -> &[u8] {
        self.arena.get(entry.value_range()).unwrap_or_default()
    }

    pub(crate) fn name_of(&self, entry: &Entry) -> &[u8] {
        let line = self.line_of(entry);
        let colon = memchr::memchr(b':', line).unwrap_or(0);
        scan::trim_end(line.get(..colon).unwrap_or_default())
    }

    #[inline]
    pub(crate) fn start_line_bytes(&self) -> &[u8] {
        let from = self.start.line as usize;
        self.source(self.start.edited).get(from..from + usize::from(self.start.line_len)).unwrap_or_default()
    }
}

/// Whether what begins at `v[from]` is a response rather than a request.
#[inline]
pub(crate) fn begins_response(v: &[u8], from: usize) -> bool {
    v.get(from..).and_then(|v| v.first_chunk::<4>()).is_some_and(|s| s == b"SIP/" || s.eq_ignore_ascii_case(b"SIP/"))
}

/// Parses the head of the one message in `bytes` into `index`, and tells where its body ends.
#[inline(always)]
fn parse_parts(bytes: &[u8], config: &ParserConfig, index: &mut Index) -> Result<(parse::Head, usize), ParseError> {
    let from = skip_empty_lines(bytes);
    let error = |kind, offset| ParseError { kind, offset, header: None, response: begins_response(bytes, from) };
    let len = bytes.len();
    if from == len {
        return Err(error(FramingFault::Empty, 0));
    }
    if len > config.message_len() {
        return Err(error(FramingFault::MessageTooLong, config.message_len()));
    }
    let head = parse::head(bytes, from, config, index)?;
    //= https://www.rfc-editor.org/rfc/rfc3261#section-18.3
    //# If there are
    //# additional bytes in the transport packet beyond the end of the body,
    //# they MUST be discarded.
    let end = match head.content_length {
        //= https://www.rfc-editor.org/rfc/rfc3261#section-18.3
        //# If the transport packet ends before the
        //# end of the message body, this is considered an error.
        Some(n) if n > (len - head.body) as u64 => {
            return Err(ParseError {
                kind: FramingFault::TruncatedBody,
                offset: len,
                header: Some(Header::ContentLength),
                response: matches!(head.start.kind, Kind::Response(_)),
            });
        }
        Some(n) => head.body + n as usize,
        None => len,
    };
    Ok((head, end))
}

/// Length of the empty lines that `v` begins with.
//= https://www.rfc-editor.org/rfc/rfc3261#section-7.5
//# Implementations processing SIP messages over stream-oriented
//# transports MUST ignore any CRLF appearing before the start-line
//# [H4.1].
#[inline]
pub(crate) fn skip_empty_lines(v: &[u8]) -> usize {
    let mut at = 0;
    while v.get(at) == Some(&b'\r') && v.get(at + 1) == Some(&b'\n') {
        at += 2;
    }
    at
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Message");
        match self.start_line() {
            StartLine::Request { method, uri } => {
                shown.field("method", &method).field("uri", &format_args!("\"{}\"", uri.escape_ascii()))
            }
            StartLine::Response { status, .. } => shown.field("status", &status),
        };
        shown.field("headers", &self.headers()).field("body_len", &self.body().len()).finish()
    }
}

/// The header fields of a message in order: [`Message::headers`].
#[derive(Clone)]
pub struct Headers<'a> {
    message: &'a Message,
    entries: core::slice::Iter<'a, Entry>,
}

impl<'a> Iterator for Headers<'a> {
    type Item = HeaderField<'a>;

    #[inline]
    fn next(&mut self) -> Option<HeaderField<'a>> {
        self.entries.next().map(|entry| HeaderField { message: self.message, entry })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.entries.size_hint()
    }
}

impl ExactSizeIterator for Headers<'_> {}

impl fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

/// One header field of a message.
#[derive(Clone, Copy)]
pub struct HeaderField<'a> {
    pub(crate) message: &'a Message,
    pub(crate) entry: &'a Entry,
}

impl<'a> HeaderField<'a> {
    /// The name: a known one, compact form resolved, or the text of another.
    pub fn name(&self) -> HeaderName<'a> {
        match self.entry.header() {
            Some(header) => HeaderName::Known(header),
            None => HeaderName::Other(self.name_as_written()),
        }
    }

    /// Which header it is, compact form resolved; `None` if this crate does not know its name.
    #[inline]
    pub fn header(&self) -> Option<Header> {
        self.entry.header()
    }

    /// The name as it was written.
    pub fn name_as_written(&self) -> &'a str {
        scan::text(self.message.name_of(self.entry))
    }

    /// The raw value, without white space at its ends; folds are left in.
    #[inline]
    pub fn value(&self) -> &'a [u8] {
        self.message.value_of(self.entry)
    }

    /// The whole line as it will be sent, with its folds and line end.
    #[inline]
    pub fn line(&self) -> &'a [u8] {
        self.message.line_of(self.entry)
    }
}

impl fmt::Debug for HeaderField<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name_as_written(), self.value().escape_ascii())
    }
}
