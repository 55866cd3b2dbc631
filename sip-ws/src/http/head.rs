//! Heads that were received: collected within a limit, split once by `httparse`, kept as one buffer with spans.

use crate::http::{AnswerError, RequestError, elements};
use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};

/// Why nothing more of a head is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeadFault {
    /// It does not fit into its limit.
    Full,
    /// A line ends in LF alone. `httparse` takes that for a line end; an endpoint that is strict does not, and the empty line at the end
    /// of such a head may never come.
    LineFeed,
}

/// Collects a head up to its empty line, looking at each byte once.
#[derive(Debug, Default)]
pub(crate) struct HeadBuffer {
    bytes: BytesMut,
    /// No end of head begins before this.
    scanned: usize,
}

impl HeadBuffer {
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes bytes. Once the head is complete: the head, and how many bytes of `input` belong to it.
    pub(crate) fn feed(&mut self, input: &[u8], limit: usize) -> Result<Option<(Bytes, usize)>, HeadFault> {
        let before = self.bytes.len();
        let room = limit.saturating_sub(before).min(input.len());
        self.bytes.extend_from_slice(input.get(..room).unwrap_or_default());
        let fresh = self.bytes.get(self.scanned..).unwrap_or_default();
        let end = memchr::memmem::find(fresh, b"\r\n\r\n").map(|at| self.scanned + at + 4);
        let lines = self.bytes.get(..end.unwrap_or(self.bytes.len())).unwrap_or_default();
        if has_bare_line_feed(lines, before) {
            return Err(HeadFault::LineFeed);
        }
        if let Some(end) = end {
            let mut head = core::mem::take(&mut self.bytes);
            head.truncate(end);
            self.scanned = 0;
            return Ok(Some((head.freeze(), end.saturating_sub(before))));
        }
        self.scanned = self.bytes.len().saturating_sub(3);
        if self.bytes.len() < limit { Ok(None) } else { Err(HeadFault::Full) }
    }

    pub(crate) fn into_bytes(self) -> Bytes {
        self.bytes.freeze()
    }

    pub(crate) fn heap(&self) -> usize {
        self.bytes.capacity()
    }
}

/// A span of the head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// Where `part` stands in `head`; both must be of one allocation, as slices made by `httparse` are.
    fn of(head: &[u8], part: &[u8]) -> Self {
        let start = (part.as_ptr() as usize).saturating_sub(head.as_ptr() as usize);
        Self { start: start as u32, end: start.saturating_add(part.len()) as u32 }
    }

    fn str(self, head: &[u8]) -> &str {
        let bytes = head.get(self.start as usize..self.end as usize).unwrap_or_default();
        core::str::from_utf8(bytes).unwrap_or_default()
    }

    fn bytes(self, head: &[u8]) -> &[u8] {
        head.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

/// The header fields of a received head: in order, as they came, names compared without case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields {
    head: Bytes,
    spans: Vec<(Span, Span)>,
}

impl Fields {
    /// The value of the first field of this name; `None` too if the value is not UTF-8.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.spans.iter().find(|(field, _)| self.is_named(*field, name))?;
        core::str::from_utf8(value.bytes(&self.head)).ok()
    }

    /// The values of all fields of this name, in order; values that are not UTF-8 are left out.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        self.spans
            .iter()
            .filter(move |(field, _)| self.is_named(*field, name))
            .filter_map(|(_, value)| core::str::from_utf8(value.bytes(&self.head)).ok())
    }

    /// All fields as (name, value) in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> + '_ {
        self.spans.iter().map(|(name, value)| (name.str(&self.head), value.bytes(&self.head)))
    }

    /// The head as it came, from the start line to the empty line.
    #[must_use]
    pub fn raw(&self) -> &Bytes {
        &self.head
    }

    /// How many fields have this name.
    pub(crate) fn count(&self, name: &str) -> usize {
        self.spans.iter().filter(|(field, _)| self.is_named(*field, name)).count()
    }

    fn is_named(&self, field: Span, name: &str) -> bool {
        field.bytes(&self.head).eq_ignore_ascii_case(name.as_bytes())
    }

    /// The value of the only field of this name.
    pub(crate) fn only(&self, name: &str) -> Option<&str> {
        (self.count(name) == 1).then(|| self.get(name)).flatten()
    }

    /// True if a list-valued field of this name has this token, compared without case.
    pub(crate) fn has_token(&self, name: &str, token: &str) -> bool {
        self.all(name).flat_map(elements).any(|element| element.eq_ignore_ascii_case(token))
    }

    fn new(head: &Bytes, fields: &[httparse::Header<'_>]) -> Self {
        let spans =
            fields.iter().map(|field| (Span::of(head, field.name.as_bytes()), Span::of(head, field.value))).collect();
        Self { head: head.clone(), spans }
    }
}

/// Whether one of the lines that end behind `from` ends in LF alone.
fn has_bare_line_feed(head: &[u8], from: usize) -> bool {
    let is_bare = |at: usize| (from + at).checked_sub(1).and_then(|before| head.get(before)) != Some(&b'\r');
    memchr::memchr_iter(b'\n', head.get(from..).unwrap_or_default()).any(is_bare)
}

/// The head of an HTTP request, as received by a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHead {
    fields: Fields,
    method: Span,
    target: Span,
    minor_version: u8,
}

impl RequestHead {
    pub(crate) fn parse(head: Bytes, max_fields: usize) -> Result<Self, RequestError> {
        let mut fields = alloc::vec![httparse::EMPTY_HEADER; max_fields];
        let mut request = httparse::Request::new(&mut fields);
        match request.parse(&head) {
            Ok(httparse::Status::Complete(end)) if end == head.len() => {}
            Err(httparse::Error::TooManyHeaders) => return Err(RequestError::TooManyFields),
            _ => return Err(RequestError::Malformed),
        }
        let (Some(method), Some(target), Some(minor_version)) = (request.method, request.path, request.version) else {
            return Err(RequestError::Malformed);
        };
        let method = Span::of(&head, method.as_bytes());
        let target = Span::of(&head, target.as_bytes());
        let fields = Fields::new(&head, request.headers);
        Ok(Self { fields, method, target, minor_version })
    }

    /// The method, `GET` for each upgrade.
    #[must_use]
    pub fn method(&self) -> &str {
        self.method.str(&self.fields.head)
    }

    /// The request target as it came: a path with an optional query, or an absolute `http` or `https` URI.
    #[must_use]
    pub fn target(&self) -> &str {
        self.target.str(&self.fields.head)
    }

    /// The /resource name/ of RFC 6455: the target without scheme and authority.
    #[must_use]
    pub fn resource(&self) -> &str {
        let target = self.target();
        let Some((scheme, rest)) = target.split_once("://") else { return target };
        if target.starts_with('/') || !(scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")) {
            return target;
        }
        rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/")
    }

    /// The path of the target, without the query; not decoded.
    #[must_use]
    pub fn path(&self) -> &str {
        self.resource().split('?').next().unwrap_or_default()
    }

    /// The query of the target, without the question mark; not decoded.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.resource().split_once('?').map(|(_, query)| query)
    }

    /// The HTTP version is 1.x; this is x.
    #[must_use]
    pub fn minor_version(&self) -> u8 {
        self.minor_version
    }

    /// The header fields.
    #[must_use]
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// `Host`: the authority the client wants.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.fields.get("host")
    }

    /// `Origin`: what every browser sends (RFC 6455 sections 4.2.1 and 10.2). Compare it with the origins that may use
    /// this server, and answer 403 to others, before `accept`.
    //= https://www.rfc-editor.org/rfc/rfc6455#section-4.2.1
    //# A connection attempt lacking this
    //# header field SHOULD NOT be interpreted as coming from a browser
    //# client.
    #[must_use]
    pub fn origin(&self) -> Option<&str> {
        self.fields.get("origin")
    }

    /// `Authorization`, for [`Authenticator`](crate::auth::Authenticator).
    #[must_use]
    pub fn authorization(&self) -> Option<&str> {
        self.fields.get("authorization")
    }

    /// The cookies as (name, value), in order (RFC 6265 section 4.2).
    //= https://www.rfc-editor.org/rfc/rfc7118#section-7
    //# A SIP WebSocket Server MUST be ready to read session cookies when
    //# present in the WebSocket handshake request and use such a cookie
    //# value for determining whether the WebSocket connection has been
    //# initiated by an HTTP client navigating a website in the same
    //# domain (or subdomain) as the SIP WebSocket Server.
    pub fn cookies(&self) -> impl Iterator<Item = (&str, &str)> + '_ {
        self.fields.all("cookie").flat_map(|value| value.split(';')).filter_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            Some((name.trim(), value.trim()))
        })
    }

    /// The value of the first cookie of this name.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies().find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    /// The subprotocols the client offers, its favourite first.
    pub fn protocols(&self) -> impl Iterator<Item = &str> + '_ {
        self.fields.all("sec-websocket-protocol").flat_map(elements)
    }

    /// The extensions the client offers, as they came.
    pub fn extensions(&self) -> impl Iterator<Item = &str> + '_ {
        self.fields.all("sec-websocket-extensions")
    }

    /// `Content-Length` of a plain request; its body is not read by this crate.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        let value = self.fields.only("content-length")?;
        value.bytes().all(|byte| byte.is_ascii_digit()).then(|| value.parse().ok()).flatten()
    }
}

/// The head of an HTTP response, as received by a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    fields: Fields,
    status: u16,
    reason: Span,
    minor_version: u8,
}

impl ResponseHead {
    pub(crate) fn parse(head: Bytes, max_fields: usize) -> Result<Self, AnswerError> {
        let mut fields = alloc::vec![httparse::EMPTY_HEADER; max_fields];
        let mut response = httparse::Response::new(&mut fields);
        match response.parse(&head) {
            Ok(httparse::Status::Complete(end)) if end == head.len() => {}
            Err(httparse::Error::TooManyHeaders) => return Err(AnswerError::TooManyFields),
            _ => return Err(AnswerError::Malformed),
        }
        let (Some(status), Some(minor_version)) = (response.code, response.version) else {
            return Err(AnswerError::Malformed);
        };
        let reason = response.reason.map(|reason| Span::of(&head, reason.as_bytes())).unwrap_or_default();
        let fields = Fields::new(&head, response.headers);
        Ok(Self { fields, status, reason, minor_version })
    }

    /// The status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The reason phrase.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.reason.str(&self.fields.head)
    }

    /// The HTTP version is 1.x; this is x.
    #[must_use]
    pub fn minor_version(&self) -> u8 {
        self.minor_version
    }

    /// The header fields.
    #[must_use]
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// True for a 3xx with a [`location`](Self::location). This crate never follows it: the host decides, and opens a
    /// new connection.
    #[must_use]
    pub fn is_redirect(&self) -> bool {
        (300..400).contains(&self.status) && self.location().is_some()
    }

    /// `Location`: where a redirect points.
    #[must_use]
    pub fn location(&self) -> Option<&str> {
        self.fields.get("location")
    }

    /// `Retry-After` in seconds, if it is a number.
    #[must_use]
    pub fn retry_after(&self) -> Option<u32> {
        self.fields.get("retry-after")?.parse().ok()
    }
}
