//! The two deeper checks: the grammar of every header field, and what the message means.
//!
//! Parsing itself is the first depth. A proxy forwards what it need not understand, so neither of these is part of
//! it: whoever needs them calls them.

use crate::error::{Depth, HeaderError, ParseError, ValueError, ValueFault};
use crate::header::Header;
use crate::headers;
use crate::index::Entry;
use crate::message::Message;
use crate::method::Method;
use crate::name_addr::Contact;
use crate::scan;
use crate::status::StatusCode;
use crate::uri::{Host, Uri};
use crate::value::split_list;
use core::fmt;
use core::net::IpAddr;

/// What is wrong with a message, where, and which status is owed for it: the outcome of
/// [`Message::check_grammar`] and [`Message::check_semantics`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The depth at which it was found.
    pub depth: Depth,
    /// What is wrong.
    pub kind: FaultKind,
    /// The header field at fault; `None` for the start line, and for a header this crate does not know.
    pub header: Option<Header>,
    /// Where, in bytes from the start of the message as it was parsed or built; in a line that was edited since, from
    /// the start of its value.
    pub offset: usize,
    /// The status to answer with; `None` for a response, which is dropped.
    pub status: Option<StatusCode>,
}

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultKind {
    /// Its framing: a [`ParseError`].
    Framing(crate::error::FramingFault),
    /// The value of a header field.
    Value(ValueFault),
    /// The Request-URI.
    RequestUri,
    /// The reason phrase.
    Reason,
    /// A SIP version other than 2.0.
    Version,
    /// A mandatory header field is missing.
    Missing,
    /// A header field that stands once at most stands twice.
    Repeated,
    /// CSeq names another method than the request line.
    MethodMismatch,
    /// The scheme of the Request-URI is none that is accepted.
    Scheme,
    /// A method that is not accepted.
    MethodNotAllowed,
    /// Require or Proxy-Require names an extension that is not supported.
    Extension,
    /// The body is of a type that is not accepted.
    ContentType,
    /// Accept rules out every type an answer could have.
    NotAcceptable,
    /// A Via branch that is the magic cookie and nothing else.
    Branch,
    /// A Via that would send the response to a broadcast or multicast address.
    Broadcast,
    /// `Contact: *` beside other contacts, without `Expires: 0`, or outside REGISTER.
    ContactAny,
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FaultKind::Framing(fault) => return fault.fmt(f),
            FaultKind::Value(fault) => return fault.fmt(f),
            FaultKind::RequestUri => "the Request-URI is malformed",
            FaultKind::Reason => "the reason phrase is malformed",
            FaultKind::Version => "not SIP/2.0",
            FaultKind::Missing => "the header field is missing",
            FaultKind::Repeated => "the header field stands more than once",
            FaultKind::MethodMismatch => "the method differs from that of the request line",
            FaultKind::Scheme => "the URI scheme is not supported",
            FaultKind::MethodNotAllowed => "the method is not supported",
            FaultKind::Extension => "the extension is not supported",
            FaultKind::ContentType => "the body type is not supported",
            FaultKind::NotAcceptable => "no body type is acceptable",
            FaultKind::Branch => "the branch identifies no transaction",
            FaultKind::Broadcast => "the response would go to a broadcast address",
            FaultKind::ContactAny => "`*` stands where it must not",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.header {
            Some(header) => write!(f, "{} ({header}, byte {})", self.kind, self.offset),
            None => write!(f, "{} (byte {})", self.kind, self.offset),
        }
    }
}

impl core::error::Error for Fault {}

impl From<ParseError> for Fault {
    fn from(error: ParseError) -> Self {
        Fault {
            depth: Depth::Framing,
            kind: FaultKind::Framing(error.kind),
            header: error.header,
            offset: error.offset,
            status: error.status(),
        }
    }
}

impl From<HeaderError> for Fault {
    /// As a fault of a request: a typed read that failed owes a 400.
    fn from(error: HeaderError) -> Self {
        Fault {
            depth: if error.is_missing() { Depth::Semantics } else { Depth::Grammar },
            kind: error.fault.map_or(FaultKind::Missing, FaultKind::Value),
            header: Some(error.header),
            offset: error.offset,
            status: Some(StatusCode::BAD_REQUEST),
        }
    }
}

/// What an element accepts, for [`Message::check_semantics`]. All lists are compared without regard to case, methods
/// excepted.
#[derive(Clone, Debug)]
pub struct Capabilities<'a> {
    /// URI schemes a Request-URI may have: 416 otherwise.
    pub schemes: &'a [&'a str],
    /// Methods: 405 for another of those this crate knows, 501 for an unknown one. `None`: any.
    pub methods: Option<&'a [&'a str]>,
    /// Extensions (option tags) that Require may name: 420 otherwise.
    pub extensions: &'a [&'a str],
    /// Extensions that Proxy-Require may name, for a proxy: 420 otherwise. `None`: not a proxy, the field is ignored.
    pub proxy_extensions: Option<&'a [&'a str]>,
    /// Body types that a body with `handling=required` may have, and that an answer could have; `*` stands for any
    /// subtype. 415 and 406 otherwise.
    pub content_types: &'a [&'a str],
}

impl Capabilities<'_> {
    /// A user agent with everything that is registered with IANA: SIP, SIPS, `tel` and `urn` URIs, all option tags,
    /// session descriptions and the body types that are common beside them.
    pub const COMMON: Capabilities<'static> = Capabilities {
        schemes: &["sip", "sips", "tel", "urn"],
        methods: None,
        extensions: &[
            "100rel",
            "199",
            "answermode",
            "early-session",
            "eventlist",
            "explicitsub",
            "from-change",
            "geolocation-http",
            "geolocation-sip",
            "gin",
            "gruu",
            "histinfo",
            "ice",
            "join",
            "multiple-refer",
            "norefersub",
            "nosub",
            "outbound",
            "path",
            "policy",
            "precondition",
            "pref",
            "privacy",
            "recipient-list-invite",
            "recipient-list-message",
            "recipient-list-subscribe",
            "record-aware",
            "replaces",
            "resource-priority",
            "sdp-anat",
            "sec-agree",
            "siprec",
            "tdialog",
            "timer",
            "trickle-ice",
            "uui",
        ],
        proxy_extensions: None,
        content_types: &[
            "application/sdp",
            "application/pidf+xml",
            "application/simple-message-summary",
            "application/dtmf-relay",
            "application/dtmf",
            "application/reginfo+xml",
            "application/dialog-info+xml",
            "application/isup",
            "application/qsig",
            "application/media_control+xml",
            "application/trickle-ice-sdpfrag",
            "application/sdpfrag",
            "application/pkcs7-mime",
            "application/vnd.3gpp.sms",
            "message/*",
            "multipart/*",
            "text/*",
            "image/*",
        ],
    };
}

impl Default for Capabilities<'_> {
    fn default() -> Self {
        Capabilities::COMMON
    }
}

impl Header {
    /// Headers of which a message has one field at most, with one value.
    pub(crate) const SINGLE: &'static [Header] = &[
        Header::From,
        Header::To,
        Header::CallId,
        Header::CSeq,
        Header::MaxForwards,
        Header::ContentLength,
        Header::ContentType,
        Header::Expires,
        Header::Event,
        Header::ContentDisposition,
        Header::Date,
        Header::FlowTimer,
        Header::InfoPackage,
        Header::Join,
        Header::MaxBreadth,
        Header::MimeVersion,
        Header::MinExpires,
        Header::MinSe,
        Header::Organization,
        Header::Priority,
        Header::RAck,
        Header::ReferSub,
        Header::ReferTo,
        Header::ReferredBy,
        Header::Replaces,
        Header::ReplyTo,
        Header::RetryAfter,
        Header::RSeq,
        Header::Server,
        Header::SessionExpires,
        Header::SipEtag,
        Header::SipIfMatch,
        Header::Subject,
        Header::SubscriptionState,
        Header::TargetDialog,
        Header::Timestamp,
        Header::UserAgent,
    ];
}

impl Message {
    /// Checks the Request-URI or reason phrase and the value of every header field against its grammar. Fields this
    /// crate does not know are checked for characters that no field may have.
    ///
    /// # Errors
    ///
    /// The first [`Fault`], in the order of the message; a request with one is owed 400 (or what
    /// [`Fault::status`] says).
    pub fn check_grammar(&self) -> Result<(), Fault> {
        let status = self.is_request().then_some(StatusCode::BAD_REQUEST);
        let fault = |kind, header, offset| Fault { depth: Depth::Grammar, kind, header, offset, status };
        let line = self.start.line as usize;
        let span = line + usize::from(self.start.span.0);
        // What another version means by its header fields is not for this grammar to say: `check_semantics` refuses it.
        if !self.start.version_2 {
            return Ok(());
        }
        match self.request_uri() {
            Some(Err(error)) => return Err(fault(FaultKind::RequestUri, None, span + error.offset)),
            Some(Ok(uri)) => {
                if has_headers(&uri) {
                    return Err(fault(FaultKind::RequestUri, None, span));
                }
            }
            None => {
                if let Some(at) = self.reason().unwrap_or_default().iter().position(|&b| !is_text(b)) {
                    return Err(fault(FaultKind::Reason, None, span + at));
                }
            }
        }
        for entry in self.index.entries() {
            let value = self.value_of(entry);
            let header = entry.header();
            let result = match header.and_then(|header| headers::check_value(header, value)) {
                Some(result) => result,
                None => match value.iter().position(|&b| !is_text(b) && !scan::is(b, scan::LWS)) {
                    Some(at) => Err(ValueError::new(ValueFault::Character, at)),
                    None => Ok(()),
                },
            };
            if let Err(error) = result {
                return Err(fault(FaultKind::Value(error.kind), header, entry.fault_offset() + error.offset));
            }
        }
        Ok(())
    }

    /// Checks what the message means, as far as it can be told without state: version, mandatory header fields,
    /// repeats, CSeq against the method, and what `accepts` does not have. Fields that this needs and that are
    /// malformed are faults as well; those it does not need are not looked at.
    ///
    /// # Errors
    ///
    /// The first [`Fault`], in the order of RFC 3261 section 8.2, with the status owed: 400, 405, 406, 415, 416,
    /// 420, 501, 505. Nothing is owed for a response or an ACK.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-7.3.2
    //# If a header field appears in a message not matching
    //# its category (such as a request header field in a response), it MUST
    //# be ignored.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-20
    //# A "mandatory" header field MUST be
    //# present in a request, and MUST be understood by the UAS receiving the
    //# request.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-20
    //# If one is placed in a
    //# request by mistake, it MUST be ignored by the UAS receiving the
    //# request.
    pub fn check_semantics(&self, accepts: &Capabilities<'_>) -> Result<(), Fault> {
        let answered = self.is_request() && self.method() != Some(Method::Ack);
        self.semantics(accepts).map_err(|mut fault| {
            fault.depth = Depth::Semantics;
            if !answered {
                fault.status = None;
            }
            fault
        })
    }

    /// A fault of this request at the first field of `header`; at the start line without one.
    fn fault(&self, kind: FaultKind, header: Option<Header>, status: StatusCode) -> Fault {
        let entry = header.and_then(|header| self.index.first_entry(header));
        let offset = entry.map_or(self.start.line as usize, Entry::fault_offset);
        Fault { depth: Depth::Semantics, kind, header, offset, status: Some(status) }
    }

    /// A fault of this request `offset` bytes into its Request-URI.
    fn uri_fault(&self, kind: FaultKind, offset: usize, status: StatusCode) -> Fault {
        let uri = self.start.line as usize + usize::from(self.start.span.0);
        Fault { offset: uri + offset, ..self.fault(kind, None, status) }
    }

    fn semantics(&self, accepts: &Capabilities<'_>) -> Result<(), Fault> {
        if !self.start.version_2 {
            return Err(self.fault(FaultKind::Version, None, StatusCode::VERSION_NOT_SUPPORTED));
        }
        //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1
        //# A valid SIP request formulated by a UAC MUST, at a minimum, contain
        //# the following header fields: To, From, CSeq, Call-ID, Max-Forwards,
        //# and Via; all of these header fields are mandatory in all SIP
        //# requests.
        // Max-Forwards is not asked for: RFC 2543 requests lack it.
        for header in [Header::Via, Header::From, Header::To, Header::CallId, Header::CSeq] {
            if !self.has(header) {
                return Err(self.fault(FaultKind::Missing, Some(header), StatusCode::BAD_REQUEST));
            }
        }
        for &header in Header::SINGLE {
            if self.index.is_repeated(header) {
                return Err(self.fault(FaultKind::Repeated, Some(header), StatusCode::BAD_REQUEST));
            }
        }
        self.from()?;
        self.to()?;
        self.call_id()?;
        let cseq = self.cseq()?;
        self.check_vias()?;
        if let Some(method) = self.method() {
            self.check_method(method, cseq.method, accepts).map_err(|(kind, status)| {
                let header = (kind == FaultKind::MethodMismatch).then_some(Header::CSeq);
                self.fault(kind, header, status)
            })?;
            self.check_request(method, accepts)?;
        }
        Ok(())
    }

    fn check_method(
        &self,
        method: Method<'_>,
        cseq: Method<'_>,
        accepts: &Capabilities<'_>,
    ) -> Result<(), (FaultKind, StatusCode)> {
        let unknown = matches!(method, Method::Other(_));
        if accepts.methods.is_some_and(|methods| !methods.contains(&method.as_str())) {
            let status = if unknown { StatusCode::NOT_IMPLEMENTED } else { StatusCode::METHOD_NOT_ALLOWED };
            return Err((FaultKind::MethodNotAllowed, status));
        }
        if cseq != method {
            // RFC 4475 section 3.1.2.18: an unknown method outweighs the mismatch.
            let status = if unknown { StatusCode::NOT_IMPLEMENTED } else { StatusCode::BAD_REQUEST };
            return Err((FaultKind::MethodMismatch, status));
        }
        Ok(())
    }

    fn check_vias(&self) -> Result<(), Fault> {
        for via in self.vias() {
            let via = via?;
            let fault = |kind| self.fault(kind, Some(Header::Via), StatusCode::BAD_REQUEST);
            let value = |error: ValueError| fault(FaultKind::Value(error.kind));
            if via.branch().map_err(value)?.is_some_and(|branch| branch.eq_ignore_ascii_case("z9hG4bK")) {
                return Err(fault(FaultKind::Branch));
            }
            let sent_by = match via.sent_by().map_err(value)?.0 {
                Host::Ipv4(address) => Some(IpAddr::V4(address)),
                Host::Ipv6(address) => Some(IpAddr::V6(address)),
                Host::Domain(_) => None,
            };
            let received = via.received().map_err(value)?;
            if [sent_by, received].into_iter().flatten().any(is_group) {
                return Err(fault(FaultKind::Broadcast));
            }
        }
        Ok(())
    }

    fn check_request(&self, method: Method<'_>, accepts: &Capabilities<'_>) -> Result<(), Fault> {
        let uri = self.request_uri_bytes().unwrap_or_default();
        let scheme = uri.split(|&b| b == b':').next().unwrap_or_default();
        //= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.2.1
        //# If the Request-URI uses a scheme not supported by the UAS, it SHOULD
        //# reject the request with a 416 (Unsupported URI Scheme) response.
        if !accepts.schemes.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(scheme)) {
            return Err(self.uri_fault(FaultKind::Scheme, 0, StatusCode::UNSUPPORTED_URI_SCHEME));
        }
        if let Err(error) = Uri::parse(uri) {
            return Err(self.uri_fault(FaultKind::RequestUri, error.offset, StatusCode::BAD_REQUEST));
        }
        self.check_contacts(method)?;
        //= https://www.rfc-editor.org/rfc/rfc3261#section-20.32
        //# Although an optional header field, the Require MUST NOT be
        //# ignored if it is present.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-20.32
        //# Each option tag defines a SIP extension that MUST be
        //# understood to process the request.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.2.3
        //# If a UAS does not
        //# understand an option-tag listed in a Require header field, it MUST
        //# respond by generating a response with status code 420 (Bad
        //# Extension).
        //= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.2.3
        //# Note that Require and Proxy-Require MUST NOT be used in a SIP CANCEL
        //# request, or in an ACK request sent for a non-2xx response.
        if !matches!(method, Method::Ack | Method::Cancel) {
            for (header, known) in
                [(Header::Require, Some(accepts.extensions)), (Header::ProxyRequire, accepts.proxy_extensions)]
            {
                let Some(known) = known else { continue };
                for element in self.fields(header).flat_map(Elements) {
                    if !element.is_empty() && !known.iter().any(|tag| tag.as_bytes().eq_ignore_ascii_case(element)) {
                        return Err(self.fault(FaultKind::Extension, Some(header), StatusCode::BAD_EXTENSION));
                    }
                }
            }
        }
        self.check_body(accepts)?;
        if method == Method::Invite && !self.fields(Header::Accept).flat_map(Elements).all(|v| v.is_empty()) {
            let accepted = self.fields(Header::Accept).flat_map(Elements).any(|range| {
                let range = media_range(range);
                [&b"application/sdp"[..], b"application/*", b"*/*", b"multipart/*", b"multipart/mixed"]
                    .iter()
                    .any(|v| v.eq_ignore_ascii_case(range))
            });
            if !accepted {
                return Err(self.fault(FaultKind::NotAcceptable, Some(Header::Accept), StatusCode::NOT_ACCEPTABLE));
            }
        }
        Ok(())
    }

    //= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
    //# If the request has additional Contact
    //# fields or an expiration time other than zero, the request is
    //# invalid, and the server MUST return a 400 (Invalid Request) and
    fn check_contacts(&self, method: Method<'_>) -> Result<(), Fault> {
        let mut any = false;
        let mut count = 0;
        for contact in self.contacts() {
            any |= matches!(contact?, Contact::Any);
            count += 1;
        }
        let zero = self.field(Header::Expires).and_then(scan::decimal) == Some(0);
        if any && (count > 1 || method != Method::Register || !zero) {
            return Err(self.fault(FaultKind::ContactAny, Some(Header::Contact), StatusCode::BAD_REQUEST));
        }
        Ok(())
    }

    //= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.3
    //# If there are any bodies whose type (indicated by the Content-Type),
    //# language (indicated by the Content-Language) or encoding (indicated by
    //# the Content-Encoding) are not understood, and that body part is not
    //# optional (as indicated by the Content-Disposition header field), the
    //# UAS MUST reject the request with a 415 (Unsupported Media Type)
    //# response.
    fn check_body(&self, accepts: &Capabilities<'_>) -> Result<(), Fault> {
        if self.body().is_empty() {
            return Ok(());
        }
        let Some(content_type) = self.field(Header::ContentType) else { return Ok(()) };
        let optional = self.field(Header::ContentDisposition).is_some_and(|value| {
            value.split(|&b| b == b';').skip(1).any(|param| {
                let mut parts = param.splitn(2, |&b| b == b'=').map(scan::trim);
                parts.next().is_some_and(|name| name.eq_ignore_ascii_case(b"handling"))
                    && parts.next().is_some_and(|value| value.eq_ignore_ascii_case(b"optional"))
            })
        });
        let held = media_range(content_type);
        let known = accepts.content_types.iter().any(|known| {
            let known = known.as_bytes();
            match known.strip_suffix(b"*") {
                Some(kind) => held.get(..kind.len()).is_some_and(|v| v.eq_ignore_ascii_case(kind)),
                None => held.eq_ignore_ascii_case(known),
            }
        });
        if optional || known {
            return Ok(());
        }
        Err(self.fault(FaultKind::ContentType, Some(Header::ContentType), StatusCode::UNSUPPORTED_MEDIA_TYPE))
    }
}

/// The elements of a comma-separated value, white space off.
struct Elements<'a>(&'a [u8]);

impl<'a> IntoIterator for Elements<'a> {
    type Item = &'a [u8];
    type IntoIter = ElementsIter<'a>;

    fn into_iter(self) -> ElementsIter<'a> {
        ElementsIter(Some(self.0))
    }
}

struct ElementsIter<'a>(Option<&'a [u8]>);

impl<'a> Iterator for ElementsIter<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let v = self.0.take()?;
        let (element, rest) = split_list(v);
        self.0 = rest.and_then(|at| v.get(at..));
        Some(scan::trim(element))
    }
}

/// The type and subtype of a media type, without parameters and white space at the ends.
fn media_range(v: &[u8]) -> &[u8] {
    scan::trim(v.split(|&b| b == b';').next().unwrap_or_default())
}

fn is_text(b: u8) -> bool {
    scan::is(b, scan::TEXT)
}

/// A broadcast or multicast address: no place to send a response to.
fn is_group(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_broadcast() || address.is_multicast(),
        IpAddr::V6(address) => address.is_multicast(),
    }
}

fn has_headers(uri: &Uri<'_>) -> bool {
    match uri {
        Uri::Sip(uri) => uri.headers().next().is_some(),
        _ => false,
    }
}
