//! Builders: requests, responses, and the ACK and CANCEL that follow from an INVITE.
//!
//! A builder writes each line once, in the order of the calls, into the buffer that becomes the message; the index
//! grows beside it. The first mistake is kept and comes out of `build`.

use crate::compose::{self, BuildError, BuildFault, fault};
use crate::error::ValueFault;
use crate::header::{Header, HeaderName};
use crate::index::{Entry, Index};
use crate::lines::Lines;
use crate::message::{HeaderField, Kind, Message, Start};
use crate::method::{Method, MethodTag};
use crate::name_addr::NameAddr;
use crate::scan;
use crate::status::StatusCode;
use crate::uri::Uri;
use crate::value::FieldValue as _;
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt::Display;

/// What a draft holds before it grows: most messages without their body.
const HEAD: usize = 768;

/// A message being written: its lines are in its arena until it is finished, its body stands by itself.
#[derive(Clone, Debug)]
struct Draft {
    message: Box<Message>,
    error: Option<BuildError>,
    /// CSeq was written here, with the method of the request line.
    numbered: bool,
}

impl Draft {
    fn new(start: Start, out: Vec<u8>, error: Option<BuildError>) -> Self {
        let mut message = Message::boxed();
        (message.start, message.arena) = (start, out);
        Draft { message, error, numbered: false }
    }

    #[inline]
    fn out(&mut self) -> &mut Vec<u8> {
        &mut self.message.arena
    }

    #[inline]
    fn index(&self) -> &Index {
        &self.message.index
    }

    fn fail(&mut self, error: BuildError) {
        self.error.get_or_insert(error);
    }

    #[inline]
    fn take(&mut self, line: Result<Entry, BuildError>) {
        match line {
            Ok(entry) => self.message.index.push(entry),
            Err(error) => self.fail(error),
        }
    }

    fn header(&mut self, name: HeaderName<'_>, value: impl Display) {
        let name = name.resolved();
        if name.known() == Some(Header::ContentLength) {
            return self.fail(fault(BuildFault::Repeated, Header::ContentLength));
        }
        let line = compose::line(self.out(), name, value);
        self.take(line);
    }

    fn text(&mut self, header: Header, value: &str) {
        if header == Header::ContentLength {
            return self.fail(fault(BuildFault::Repeated, header));
        }
        let line = compose::text_line(self.out(), header, value);
        self.take(line);
    }

    /// Appends the line that `line` is, under the name it has.
    #[inline]
    fn copy(&mut self, entry: &Entry, line: &[u8]) {
        if entry.header() == Some(Header::ContentLength) {
            return self.fail(fault(BuildFault::Repeated, Header::ContentLength));
        }
        let copied = compose::copied_line(self.out(), entry, line);
        self.take(copied);
    }

    /// Appends all fields of `header` that `from` has.
    fn copy_all(&mut self, from: &Message, header: Header) {
        let Some(first) = from.index.first(header) else { return };
        let entries = from.index.entries().get(first..).unwrap_or_default();
        let most = if from.index.is_repeated(header) { entries.len() } else { 1 };
        for entry in entries.iter().take(most).filter(|entry| entry.tag == header as u8) {
            self.copy(entry, from.line_of(entry));
        }
    }

    /// Appends all fields of these headers that `from` has: at once if each has one and they stand together, in whatever order, as in what most
    /// send.
    fn copy_each<const N: usize>(&mut self, from: &Message, headers: [Header; N]) {
        match from.index.together(headers).map(|entries| (entries, from.lines_of(entries))) {
            Some((entries, Some(lines))) => self.append(lines, entries),
            _ => headers.into_iter().for_each(|header| self.copy_all(from, header)),
        }
    }

    /// Appends lines that were checked when they were made.
    fn lines(&mut self, lines: &Lines) {
        let (bytes, entries) = lines.parts();
        self.append(bytes, entries);
    }

    /// Appends these lines, whose entries tell where they are from the first one on.
    fn append(&mut self, lines: &[u8], entries: &[Entry]) {
        let Ok(to) = u32::try_from(self.out().len()) else {
            return self.fail(BuildError::new(BuildFault::TooLong, None));
        };
        self.out().extend_from_slice(lines);
        self.message.index.append(entries, to);
    }

    fn body(&mut self, body: Bytes, content_type: impl FnOnce(&mut Self)) {
        //= https://www.rfc-editor.org/rfc/rfc3261#section-7.4.1
        //# The Internet media type of the message body MUST be given by the
        //# Content-Type header field.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-20.15
        //# The Content-Type header field MUST be present if the body is
        //# not empty.
        if self.index().has(Header::ContentType) {
            return self.fail(fault(BuildFault::Repeated, Header::ContentType));
        }
        content_type(self);
        self.message.new_body = Some(body);
    }

    fn finish(mut self) -> Result<Box<Message>, BuildError> {
        if let Some(header) = self.index().repeated_single() {
            self.fail(fault(BuildFault::Repeated, header));
        }
        //= https://www.rfc-editor.org/rfc/rfc3261#section-20
        //# A mandatory response header field MUST be present in the
        //# response, and the header field MUST be understood by the UAC
        //# processing the response.
        if let Some(header) = self.index().missing([Header::From, Header::To, Header::CallId, Header::CSeq]) {
            self.fail(fault(BuildFault::Missing, header));
        }
        if let Some(error) = self.error {
            return Err(error);
        }
        let mut message = self.message;
        let mut out = core::mem::take(&mut message.arena);
        let body = message.new_body.take().unwrap_or_default();
        //= https://www.rfc-editor.org/rfc/rfc3261#section-20
        //# If a stream-based protocol (such as TCP) is used as a
        //# transport, then the header field MUST be sent.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-20.14
        //# Applications SHOULD use this field to indicate the size of the
        //# message-body to be transferred, regardless of the media type of the
        //# entity.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-20.14
        //# If no body is present in a message, then the
        //# Content-Length header field value MUST be set to zero.
        let too_long = |_| BuildError::new(BuildFault::TooLong, None);
        let body_len = u32::try_from(body.len()).map_err(too_long)?;
        let entry = compose::last_line(&mut out, body_len)?;
        message.index.push(entry);
        let head = out.len();
        out.extend_from_slice(&body);
        if u32::try_from(out.len()).is_err() {
            return Err(BuildError::new(BuildFault::TooLong, None));
        }
        let end = out.len();
        message.bytes = out.into();
        let start = message.start;
        message.complete(start, head, end);
        Ok(message)
    }
}

/// Builds a request: [`Message::request`].
///
/// Via is the transport layer's to add. Max-Forwards is added with 70 unless given, Content-Length always.
///
/// ```
/// use sip_message::{Header, Message, Method};
///
/// let invite = Message::request(Method::Invite, "sip:bob@biloxi.com")
///     .header(Header::Via, "SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bK776asdhds")
///     .header(Header::From, "Alice <sip:alice@atlanta.com>;tag=1928301774")
///     .header(Header::To, "Bob <sip:bob@biloxi.com>")
///     .header(Header::CallId, "a84b4c76e66710")
///     .cseq(314159)
///     .header(Header::Contact, "<sip:alice@pc33.atlanta.com>")
///     .body("application/sdp", &b"v=0\r\n"[..])
///     .build()?;
/// assert_eq!(invite.field(Header::ContentLength), Some(&b"5"[..]));
///
/// let evil = Message::request(Method::Options, "sip:bob@biloxi.com").header("Subject", "hi\r\nVia: x").build();
/// assert!(evil.is_err());
/// # Ok::<(), sip_message::BuildError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct RequestBuilder {
    draft: Draft,
}

impl RequestBuilder {
    fn new(method: Method<'_>, uri: impl FnOnce(&mut Vec<u8>) -> Result<(), BuildError>) -> Self {
        let mut out = Vec::with_capacity(HEAD);
        let mut error = None;
        let name = method.as_str().as_bytes();
        let tag = MethodTag::lookup(name);
        if tag == MethodTag::Other && !scan::all(name, scan::TOKEN) {
            error = Some(BuildError::new(BuildFault::Method, None));
        }
        out.extend_from_slice(name);
        out.push(b' ');
        let uri_from = out.len();
        if let Err(fault) = uri(&mut out) {
            error.get_or_insert(fault);
        }
        let uri_end = out.len();
        //= https://www.rfc-editor.org/rfc/rfc3261#section-7.1
        //# To be compliant with this specification, applications
        //# sending SIP messages MUST include a SIP-Version of "SIP/2.0".
        out.extend_from_slice(b" SIP/2.0\r\n");
        let start = start(Kind::Request(tag), &out, (uri_from, uri_end), &mut error);
        RequestBuilder { draft: Draft::new(start, out, error) }
    }

    /// Adds a field behind those before it.
    #[inline]
    pub fn header<'n>(mut self, name: impl Into<HeaderName<'n>>, value: impl Display) -> Self {
        let name = name.into();
        self.draft.header(name, value);
        // Where the header is named in the program, and that is nearly everywhere, this is decided when it is compiled.
        if let HeaderName::Known(Header::From | Header::MaxForwards) | HeaderName::Other(_) = name {
            self.check_own();
        }
        self
    }

    /// Adds a field as [`header`](Self::header) does, with a value that is text already: that is faster.
    #[inline]
    pub fn text(mut self, header: Header, value: &str) -> Self {
        self.draft.text(header, value);
        if let Header::From | Header::MaxForwards = header {
            self.check_own();
        }
        self
    }

    /// Checks the From or Max-Forwards that was just added: one that is copied from another message may be as it likes.
    #[cold]
    fn check_own(&mut self) {
        let message = &self.draft.message;
        let Some(entry) = message.index.entries().last() else { return };
        let (line, value) = (entry.line as usize, usize::from(entry.value)..usize::from(entry.value_end));
        let value = message.arena.get(line + value.start..line + value.end).unwrap_or_default();
        //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1.3
        //# The From field MUST contain a new "tag" parameter, chosen by the UAC.
        let untagged = || NameAddr::parse_value(value).is_ok_and(|from| from.tag() == Ok(None));
        let wrong = match entry.header() {
            Some(Header::From) if untagged() => fault(BuildFault::MissingFromTag, Header::From),
            // `an integer in the range 0-255` (RFC 3261 section 20.22).
            Some(Header::MaxForwards) if scan::decimal(value).is_none_or(|hops| hops > 255) => {
                fault(compose::of_value(ValueFault::Number), Header::MaxForwards)
            }
            _ => return,
        };
        self.draft.fail(wrong);
    }

    /// Adds From, To, or another field of an address: the display name and the URI of `address`, and this tag in place of all
    /// parameters it has.
    ///
    /// ```
    /// use sip_message::{FieldValue, Header, Message, Method, NameAddr};
    /// let alice = NameAddr::parse_value(b"Alice <sip:alice@atlanta.com>;x=y")?;
    /// let request = Message::request(Method::Options, "sip:bob@biloxi.com")
    ///     .address(Header::From, &alice, Some("1928301774"))
    ///     .header(Header::To, "<sip:bob@biloxi.com>")
    ///     .header(Header::CallId, "a84b4c76e66710")
    ///     .cseq(1)
    ///     .build()?;
    /// assert_eq!(request.field(Header::From), Some(&b"Alice <sip:alice@atlanta.com>;tag=1928301774"[..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn address(mut self, header: Header, address: &NameAddr<'_>, tag: Option<&str>) -> Self {
        let line = compose::address_line(self.draft.out(), header, address, tag.map(str::as_bytes));
        self.draft.take(line);
        if header == Header::From && tag.is_none() {
            self.draft.fail(fault(BuildFault::MissingFromTag, Header::From));
        }
        self
    }

    /// Adds CSeq with this number, which must be below 2^31, and the request's method.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1.5
    //# The sequence number value MUST be expressible as a 32-bit unsigned integer
    //# and MUST be less than 2**31.
    #[inline]
    pub fn cseq(mut self, number: u32) -> Self {
        if number >= 1 << 31 {
            self.draft.fail(fault(compose::of_value(ValueFault::Number), Header::CSeq));
            return self;
        }
        self.same_cseq(number)
    }

    /// Adds CSeq with the number of another request, whatever it is.
    #[inline]
    fn same_cseq(mut self, number: u32) -> Self {
        let method = 0..usize::from(self.draft.message.start.span.0).saturating_sub(1);
        let line = compose::cseq_line(self.draft.out(), number, method);
        self.draft.numbered = line.is_ok();
        self.draft.take(line);
        self
    }

    /// Adds fields that were checked before, in their order.
    #[inline]
    pub fn lines(mut self, lines: &Lines) -> Self {
        self.draft.lines(lines);
        self
    }

    /// Adds a field that is a byte-for-byte copy of one of another message.
    #[inline]
    pub fn copy(mut self, field: &HeaderField<'_>) -> Self {
        self.draft.copy(field.entry, field.line());
        self
    }

    /// Adds all fields of `header` that `message` has, byte for byte.
    #[inline]
    pub fn copy_all(mut self, message: &Message, header: Header) -> Self {
        self.draft.copy_all(message, header);
        self
    }

    /// Sets the body and adds its Content-Type.
    #[inline]
    pub fn body(mut self, content_type: impl Display, body: impl Into<Bytes>) -> Self {
        self.draft.body(body.into(), |draft| draft.header(HeaderName::Known(Header::ContentType), content_type));
        self
    }

    /// Sets the body as [`body`](Self::body) does, with a Content-Type that is text already: that is faster.
    #[inline]
    pub fn typed_body(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.draft.body(body.into(), |draft| draft.text(Header::ContentType, content_type));
        self
    }

    /// The request.
    ///
    /// # Errors
    ///
    /// The first thing that was wrong: a value that is not of its header's form, a mandatory field that is missing
    /// (RFC 3261 section 8.1.1), a From without a tag, a Max-Forwards above 255, a field that stands twice, a CSeq with another method.
    pub fn build(self) -> Result<Message, BuildError> {
        self.build_boxed().map(|message| *message)
    }

    /// As [`build`](RequestBuilder::build), without moving the message from where it was built.
    ///
    /// # Errors
    ///
    /// As [`build`](RequestBuilder::build).
    pub fn build_boxed(mut self) -> Result<Box<Message>, BuildError> {
        //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1.6
        //# A UAC MUST insert a Max-Forwards header field into each request it
        //# originates with a value that SHOULD be 70.
        if !self.draft.index().has(Header::MaxForwards) {
            let line = compose::max_forwards_line(self.draft.out());
            self.draft.take(line);
        }
        let numbered = self.draft.numbered;
        let message = self.draft.finish()?;
        // There is one CSeq: two are refused.
        if numbered {
            return Ok(message);
        }
        //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1.5
        //# The method MUST match that of the request.
        match (message.cseq(), message.method()) {
            (Ok(cseq), Some(method)) if cseq.method == method => Ok(message),
            _ => Err(fault(BuildFault::MethodMismatch, Header::CSeq)),
        }
    }
}

/// A Request-URI that has been checked, for any number of requests: [`Message::request_to`].
///
/// ```
/// use sip_message::{Header, Message, Method, RequestUri, Uri};
/// let contact = Uri::parse(b"sip:bob@192.0.2.4;method=INVITE?Subject=hi")?;
/// let target = RequestUri::of(&contact)?;
/// assert_eq!(target.as_str(), "sip:bob@192.0.2.4");
/// let bye = Message::request_to(Method::Bye, &target)
///     .header(Header::From, "<sip:alice@atlanta.com>;tag=1")
///     .header(Header::To, "<sip:bob@biloxi.com>;tag=2")
///     .header(Header::CallId, "a84b4c76e66710")
///     .cseq(2)
///     .build()?;
/// assert_eq!(bye.request_uri_bytes(), Some(target.as_str().as_bytes()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestUri(Box<str>);

impl RequestUri {
    /// What goes into the Request-URI of a request to `uri`: all but headers and a `method` parameter, which have no place there (RFC 3261
    /// section 19.1.1, table 1).
    ///
    /// # Errors
    ///
    /// There is something in it that a request line cannot hold.
    pub fn of(uri: &Uri<'_>) -> Result<Self, BuildError> {
        let text = uri.as_str();
        // Without a way out of the loop, it looks at many bytes at once.
        let more = text.bytes().fold(false, |any, b| any | (b == b';') | (b == b'?'));
        match uri.as_sip().filter(|_| more) {
            Some(sip) => match sip.to_request_uri() {
                Ok(uri) => Self::checked(uri.as_str()),
                Err(error) => Err(BuildError::new(BuildFault::Uri { offset: error.offset }, None)),
            },
            None => Self::checked(text),
        }
    }

    fn checked(uri: &str) -> Result<Self, BuildError> {
        match compose::request_line_fault(uri.as_bytes()) {
            None => Ok(RequestUri(uri.into())),
            Some(offset) => Err(BuildError::new(BuildFault::Uri { offset }, None)),
        }
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Display for RequestUri {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Builds a response: [`Message::response`].
///
/// Via, From, To, Call-ID and CSeq are copied from the request as RFC 3261 section 8.2.6 says.
///
/// ```
/// # use sip_message::{Header, Message, StatusCode};
/// # let request = Message::parse(bytes::Bytes::from_static(
/// #     b"OPTIONS sip:carol@chicago.com SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nTo: <sip:carol@chicago.com>\r\n\
/// #       From: <sip:alice@atlanta.com>;tag=1\r\nCall-ID: a\r\nCSeq: 1 OPTIONS\r\n\r\n"))?;
/// let response = Message::response(&request, StatusCode::OK)
///     .to_tag("314159")
///     .header(Header::Allow, "INVITE, ACK, CANCEL, BYE, OPTIONS")
///     .build()?;
/// assert_eq!(response.to()?.tag()?, Some("314159"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct ResponseBuilder {
    draft: Draft,
    /// The To field of the request has a tag, or none is needed.
    tagged: bool,
}

impl ResponseBuilder {
    fn new(request: &Message, status: StatusCode) -> Self {
        let mut out = Vec::with_capacity(HEAD);
        out.extend_from_slice(b"SIP/2.0 ");
        out.extend([status.code() / 100, status.code() / 10 % 10, status.code() % 10].map(|digit| b'0' + digit as u8));
        out.push(b' ');
        let reason_from = out.len();
        out.extend_from_slice(status.reason().as_bytes());
        let reason_end = out.len();
        out.extend_from_slice(b"\r\n");
        let mut error = request.is_response().then_some(BuildError::new(BuildFault::NotApplicable, None));
        let start = start(Kind::Response(status), &out, (reason_from, reason_end), &mut error);
        let mut draft = Draft::new(start, out, error);
        //= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.6.2
        //# The From field of the response MUST equal the From header field of
        //# the request.  The Call-ID header field of the response MUST equal the
        //# Call-ID header field of the request.  The CSeq header field of the
        //# response MUST equal the CSeq field of the request.  The Via header
        //# field values in the response MUST equal the Via header field values
        //# in the request and MUST maintain the same ordering.
        draft.copy_each(request, [Header::Via, Header::From, Header::To, Header::CallId, Header::CSeq]);
        //= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.6.1
        //# When a 100 (Trying) response is generated, any Timestamp header field
        //# present in the request MUST be copied into this 100 (Trying)
        //# response.
        if status == StatusCode::TRYING {
            draft.copy_all(request, Header::Timestamp);
        }
        // A To that cannot be read is echoed as it came: the tag cannot be told.
        let tagged = request.to().map_or(true, |to| to.tag().is_ok_and(|tag| tag.is_some()));
        ResponseBuilder { draft, tagged: tagged || status == StatusCode::TRYING }
    }

    /// Replaces the reason phrase.
    pub fn reason(mut self, reason: &str) -> Self {
        if let Some(offset) = reason.bytes().position(|b| (b < 0x20 && b != b'\t') || b == 0x7f) {
            self.draft.fail(BuildError::new(BuildFault::Control { offset }, None));
            return self;
        }
        let (from, end) = self.draft.message.start.span;
        let grown = reason.len() as i64 - i64::from(end - from);
        let line_len = i64::from(self.draft.message.start.line_len) + grown;
        let Ok(line_len) = u16::try_from(line_len) else {
            self.draft.fail(BuildError::new(BuildFault::TooLong, None));
            return self;
        };
        self.draft.out().splice(usize::from(from)..usize::from(end), reason.bytes());
        self.draft.message.start.line_len = line_len;
        self.draft.message.start.span.1 = line_len - 2;
        self.draft.message.index.shift(grown);
        self
    }

    /// Adds this tag to To, unless the request's To has one.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.6.2
    //# If a request contained a To tag in the request, the To header field
    //# in the response MUST equal that of the request.
    pub fn to_tag(mut self, tag: &str) -> Self {
        if self.tagged {
            return self;
        }
        if !scan::all(tag.as_bytes(), scan::TOKEN) {
            self.draft.fail(fault(compose::of_value(ValueFault::Param), Header::To));
            return self;
        }
        let Some(at) = self.draft.index().first(Header::To) else { return self };
        let Some(entry) = self.draft.index().entries().get(at).copied() else { return self };
        let end = entry.line as usize + usize::from(entry.value_end);
        let grown = 5 + tag.len();
        let Ok(line_len) = u16::try_from(usize::from(entry.line_len) + grown) else {
            self.draft.fail(fault(BuildFault::TooLong, Header::To));
            return self;
        };
        // Behind what follows To, and then in front of it: a splice would go byte by byte.
        let out = self.draft.out();
        out.extend_from_slice(b";tag=");
        out.extend_from_slice(tag.as_bytes());
        if let Some(rest) = out.get_mut(end..) {
            rest.rotate_right(grown);
        }
        self.draft.message.index.grow(at, line_len, grown as u16);
        self.tagged = true;
        self
    }

    /// Adds a field behind those before it.
    #[inline]
    pub fn header<'n>(mut self, name: impl Into<HeaderName<'n>>, value: impl Display) -> Self {
        self.draft.header(name.into(), value);
        self
    }

    /// Adds a field as [`header`](Self::header) does, with a value that is text already: that is faster.
    #[inline]
    pub fn text(mut self, header: Header, value: &str) -> Self {
        self.draft.text(header, value);
        self
    }

    /// Adds fields that were checked before, in their order.
    #[inline]
    pub fn lines(mut self, lines: &Lines) -> Self {
        self.draft.lines(lines);
        self
    }

    /// Adds a field that is a byte-for-byte copy of one of another message.
    #[inline]
    pub fn copy(mut self, field: &HeaderField<'_>) -> Self {
        self.draft.copy(field.entry, field.line());
        self
    }

    /// Adds all fields of `header` that `message` has, byte for byte: the Record-Route fields of the request in a
    /// response that establishes a dialog (RFC 3261 section 12.1.1).
    #[inline]
    pub fn copy_all(mut self, message: &Message, header: Header) -> Self {
        self.draft.copy_all(message, header);
        self
    }

    /// Sets the body and adds its Content-Type.
    #[inline]
    pub fn body(mut self, content_type: impl Display, body: impl Into<Bytes>) -> Self {
        self.draft.body(body.into(), |draft| draft.header(HeaderName::Known(Header::ContentType), content_type));
        self
    }

    /// Sets the body as [`body`](Self::body) does, with a Content-Type that is text already: that is faster.
    #[inline]
    pub fn typed_body(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.draft.body(body.into(), |draft| draft.text(Header::ContentType, content_type));
        self
    }

    /// The response.
    ///
    /// # Errors
    ///
    /// The first thing that was wrong: a value that is not of its header's form, a field that stands twice or that
    /// the request lacked, a missing tag.
    pub fn build(self) -> Result<Message, BuildError> {
        self.build_boxed().map(|message| *message)
    }

    /// As [`build`](ResponseBuilder::build), without moving the message from where it was built.
    ///
    /// # Errors
    ///
    /// As [`build`](ResponseBuilder::build).
    pub fn build_boxed(self) -> Result<Box<Message>, BuildError> {
        //= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.6.2
        //# However, if the To header field in the request did not
        //# contain a tag, the URI in the To header field in the response MUST
        //# equal the URI in the To header field; additionally, the UAS MUST add
        //# a tag to the To header field in the response (with the exception of
        //# the 100 (Trying) response, in which a tag MAY be present).
        if !self.tagged && self.draft.error.is_none() {
            return Err(fault(BuildFault::MissingToTag, Header::To));
        }
        self.draft.finish()
    }
}

fn start(kind: Kind, line: &[u8], span: (usize, usize), error: &mut Option<BuildError>) -> Start {
    let line_len = u16::try_from(line.len()).unwrap_or_else(|_| {
        error.get_or_insert(BuildError::new(BuildFault::TooLong, None));
        0
    });
    Start { kind, line: 0, line_len, span: (span.0 as u16, span.1 as u16), version_2: true, edited: false }
}

impl Message {
    /// Begins a request.
    pub fn request(method: Method<'_>, uri: impl Display) -> RequestBuilder {
        RequestBuilder::new(method, |out| compose::request_uri(out, uri))
    }

    /// Begins a request to a Request-URI that was checked before.
    pub fn request_to(method: Method<'_>, uri: &RequestUri) -> RequestBuilder {
        RequestBuilder::new(method, |out| {
            out.extend_from_slice(uri.0.as_bytes());
            Ok(())
        })
    }

    /// Begins a response to `request` (RFC 3261 section 8.2.6).
    pub fn response(request: &Message, status: StatusCode) -> ResponseBuilder {
        ResponseBuilder::new(request, status)
    }

    /// The ACK to a final response other than 2xx to this INVITE (RFC 3261 section 17.1.1.3).
    ///
    /// # Errors
    ///
    /// This is no INVITE with its Via on it, `response` is none of 300 to 699, or it has no To. The ACK to a 2xx is a
    /// request of its own (section 13.2.2.4): build it.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.3
    //# The ACK request constructed by the client transaction MUST contain
    //# values for the Call-ID, From, and Request-URI that are equal to the
    //# values of those header fields in the request passed to the transport
    //# by the client transaction (call this the "original request").  The To
    //# header field in the ACK MUST equal the To header field in the
    //# response being acknowledged, and therefore will usually differ from
    //# the To header field in the original request by the addition of the
    //# tag parameter.
    pub fn ack(&self, response: &Message) -> Result<Message, BuildError> {
        match response.status() {
            Some(status) if status.code() >= 300 => self.follow_up(Method::Ack, response),
            _ => Err(BuildError::new(BuildFault::NotApplicable, None)),
        }
    }

    /// The CANCEL of this INVITE, as it was sent (RFC 3261 section 9.1).
    ///
    /// # Errors
    ///
    /// This is no INVITE with its Via on it.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-9.1
    //# The Request-URI, Call-ID, To, the numeric part of CSeq, and From header
    //# fields in the CANCEL request MUST be identical to those in the
    //# request being cancelled, including tags.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-9.1
    //# A CANCEL request SHOULD NOT be sent to cancel a request other than
    //# INVITE.
    pub fn cancel(&self) -> Result<Message, BuildError> {
        self.follow_up(Method::Cancel, self)
    }

    fn follow_up(&self, method: Method<'_>, to: &Message) -> Result<Message, BuildError> {
        let not_applicable = BuildError::new(BuildFault::NotApplicable, None);
        if self.method() != Some(Method::Invite) {
            return Err(not_applicable);
        }
        let uri = self.request_uri_bytes().ok_or(not_applicable)?;
        let number = self.cseq().map_err(|_| fault(BuildFault::NotApplicable, Header::CSeq))?.number;
        //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.3
        //# The ACK MUST contain a single Via header field, and
        //# this MUST be equal to the top Via header field of the original
        //# request.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-9.1
        //# A CANCEL constructed by a client MUST have only a single Via header
        //# field value matching the top Via value in the request being
        //# cancelled.
        let via = self.top_via_raw().ok_or(fault(BuildFault::NotApplicable, Header::Via))?;
        let mut builder = RequestBuilder::new(method, |out| compose::copied_request_uri(out, compose::Raw(uri)));
        let via = compose::unfolded_line(builder.draft.out(), Header::Via, via);
        builder.draft.take(via);
        //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.3
        //# If the INVITE request whose response is being acknowledged had Route
        //# header fields, those header fields MUST appear in the ACK.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-9.1
        //# If the request being cancelled contains a Route header field, the
        //# CANCEL request MUST include that Route header field's values.
        for header in [Header::Route, Header::From] {
            builder.draft.copy_all(self, header);
        }
        builder.draft.copy_all(to, Header::To);
        builder.draft.copy_all(self, Header::CallId);
        //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.3
        //# The CSeq header field in the ACK MUST contain the same
        //# value for the sequence number as was present in the original request,
        //# but the method parameter MUST be equal to "ACK".
        builder.same_cseq(number).build()
    }
}
