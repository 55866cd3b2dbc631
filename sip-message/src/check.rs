//! The two deeper checks: the grammar of every header field, and what the message means.
//!
//! Parsing itself is the first depth. A proxy forwards what it need not understand, so neither of these is part of
//! it: whoever needs them calls them.

use crate::error::{Depth, HeaderError, ParseError, ValueError, ValueFault};
use crate::header::Header;
use crate::headers::{self, ContentDisposition, Token};
use crate::index::{self, Entry};
use crate::message::Message;
use crate::method::Method;
use crate::name_addr::{self, Contact};
use crate::params::Raw;
use crate::reads::CallId;
use crate::scan;
use crate::status::StatusCode;
use crate::uri::{Host, Uri};
use crate::value;
use crate::via;
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
    /// The body has a content coding that is not accepted.
    ContentEncoding,
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
            FaultKind::ContentEncoding => "the content coding is not supported",
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
    /// Content codings beside `identity` that such a body may have: 415 otherwise.
    pub content_encodings: &'a [&'a str],
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
        content_encodings: &[],
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
        Header::AnswerMode,
        Header::GeolocationError,
        Header::GeolocationRouting,
        Header::IdentityInfo,
        Header::PAnswerState,
        Header::PCalledPartyId,
        Header::PChargingVector,
        Header::PrivAnswerMode,
        Header::Privacy,
        Header::ReferEventsAt,
        Header::SessionId,
        Header::SuppressIfMatch,
    ];

    /// Whether this is one of [`SINGLE`](Header::SINGLE).
    //= https://www.rfc-editor.org/rfc/rfc3261#section-7.3.1
    //# Multiple header field rows with the same field-name MAY be present in
    //# a message if and only if the entire field-value for that header field
    //# is defined as a comma-separated list (that is, if follows the grammar
    //# defined in Section 7.3).
    #[inline]
    pub(crate) const fn is_single(self) -> bool {
        const SET: u128 = {
            let (mut set, mut at) = (0, 0);
            while at < Header::SINGLE.len() {
                set |= 1 << Header::SINGLE[at] as u32;
                at += 1;
            }
            set
        };
        SET & 1 << self as u32 != 0
    }
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
                if let Some(at) = headers_at(&uri) {
                    return Err(fault(FaultKind::RequestUri, None, span + at));
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
        const MANDATORY: [Header; 5] = [Header::Via, Header::From, Header::To, Header::CallId, Header::CSeq];
        const BITS: [u64; 2] = index::bits(&MANDATORY);
        if !self.index.has_all(BITS) {
            if let Some(header) = self.index.missing(MANDATORY) {
                return Err(self.fault(FaultKind::Missing, Some(header), StatusCode::BAD_REQUEST));
            }
        }
        // The one that is told of is the first of the list, which is not looked through in vain.
        let first = |_| Header::SINGLE.iter().find(|&&header| self.index.is_repeated(header));
        if let Some(&header) = self.index.repeated_single().and_then(first) {
            let fault = self.fault(FaultKind::Repeated, Some(header), StatusCode::BAD_REQUEST);
            let second = self.index.entries().iter().filter(|entry| entry.tag == header as u8).nth(1);
            return Err(Fault { offset: second.map_or(fault.offset, Entry::fault_offset), ..fault });
        }
        self.check_value(Header::From, name_addr::check_form)?;
        self.check_value(Header::To, name_addr::check_form)?;
        self.check_value(Header::CallId, CallId::check_form)?;
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

    /// Checks the value of the first field of `header`, if there is one.
    #[inline]
    fn check_value(&self, header: Header, check: impl FnOnce(&[u8]) -> Result<(), ValueError>) -> Result<(), Fault> {
        let Some(entry) = self.index.first_entry(header) else { return Ok(()) };
        check(self.value_of(entry)).map_err(|error| value::at(header, entry.fault_offset(), error).into())
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
        // Nearly always there is one in each field, and nothing is to be said of it.
        let is_usual = |entry: &Entry| {
            let addresses = via::usual_addresses(self.value_of(entry));
            addresses.is_some_and(|addresses| !addresses.into_iter().flatten().any(is_group))
        };
        if self.index.fields(Header::Via).all(is_usual) { Ok(()) } else { self.check_each_via() }
    }

    fn check_each_via(&self) -> Result<(), Fault> {
        let (mut vias, mut top) = (self.vias(), true);
        while let Some((at, via)) = vias.next_at() {
            let via = via?;
            // Below the topmost stand those of others, who may have come by another protocol (`sent-protocol` of the grammar).
            //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1.7
            //# The protocol name and protocol version in the header field MUST be SIP
            //# and 2.0, respectively.
            if core::mem::replace(&mut top, false) && !via.is_sip() {
                return Err(self.not_sip().into());
            }
            let fault = |kind, offset| Fault {
                offset: at + offset,
                ..self.fault(kind, Some(Header::Via), StatusCode::BAD_REQUEST)
            };
            let value = |error: ValueError| fault(FaultKind::Value(error.kind), error.offset);
            let (branch, received) = via.branch_and_received().map_err(value)?;
            let empty = |branch: &Raw<'_>| branch.value.is_some_and(|value| value.eq_ignore_ascii_case(b"z9hG4bK"));
            if let Some(branch) = branch.filter(empty) {
                return Err(fault(FaultKind::Branch, via.params().offset_of(&branch.param())));
            }
            let sent_by = match via.sent_by().map_err(value)?.0 {
                Host::Ipv4(address) => Some(IpAddr::V4(address)),
                Host::Ipv6(address) => Some(IpAddr::V6(address)),
                Host::Domain(_) => None,
            };
            if [sent_by, received].into_iter().flatten().any(is_group) {
                return Err(fault(FaultKind::Broadcast, 0));
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
        if let Err(error) = Uri::check(uri) {
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
                let Some(known) = known.filter(|_| self.has(header)) else { continue };
                let mut tags = self.values::<Token<'_>>(header);
                while let Some((offset, tag)) = tags.next_at() {
                    let fits = match tag {
                        Ok(tag) => known.iter().any(|known| tag == *known),
                        // Nothing is asked for between two commas.
                        Err(error) => error.fault == Some(ValueFault::Empty),
                    };
                    if !fits {
                        let fault = self.fault(FaultKind::Extension, Some(header), StatusCode::BAD_EXTENSION);
                        return Err(Fault { offset, ..fault });
                    }
                }
            }
        }
        self.check_body(accepts)?;
        // An answer is a session description, or holds one.
        let answers = ["application/sdp", "multipart/mixed"];
        let refuses = |answer: &&str| self.accept_quality(answer) == 0;
        if method == Method::Invite && self.has(Header::Accept) && answers.iter().all(refuses) {
            return Err(self.fault(FaultKind::NotAcceptable, Some(Header::Accept), StatusCode::NOT_ACCEPTABLE));
        }
        Ok(())
    }

    //= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
    //# If the request has additional Contact
    //# fields or an expiration time other than zero, the request is
    //# invalid, and the server MUST return a 400 (Invalid Request) and
    fn check_contacts(&self, method: Method<'_>) -> Result<(), Fault> {
        let Some(first) = self.index.first_entry(Header::Contact) else { return Ok(()) };
        // Nearly always there is one, and it has brackets.
        let value = self.value_of(first);
        let is_address = value.first() == Some(&b'<') && scan::find(value, 0, b',').is_none();
        if is_address && !self.index.is_repeated(Header::Contact) && name_addr::check_form(value).is_ok() {
            return Ok(());
        }
        let mut any = None;
        let mut count = 0;
        let mut contacts = self.contacts();
        while let Some((at, contact)) = contacts.next_at() {
            if matches!(contact?, Contact::Any) {
                any = any.or(Some(at));
            }
            count += 1;
        }
        let zero = self.field(Header::Expires).and_then(scan::decimal) == Some(0);
        match any {
            Some(offset) if count > 1 || method != Method::Register || !zero => {
                let fault = self.fault(FaultKind::ContactAny, Some(Header::Contact), StatusCode::BAD_REQUEST);
                Err(Fault { offset, ..fault })
            }
            _ => Ok(()),
        }
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
        let Some(entry) = self.index.first_entry(Header::ContentType) else { return Ok(()) };
        // Nearly always it is one of those, spelled like that and without parameters.
        let value = self.value_of(entry);
        let is_known = |known: &&str| known.as_bytes() == value && headers::is_media_type(value);
        if accepts.content_types.iter().any(is_known) && !self.has(Header::ContentEncoding) {
            return Ok(());
        }
        let Some(held) = self.content_type()? else { return Ok(()) };
        // A Content-Disposition that cannot be read makes nothing optional.
        let required = |disposition: ContentDisposition<'_>| disposition.is_required().unwrap_or(true);
        if !self.content_disposition().ok().flatten().is_none_or(required) {
            return Ok(());
        }
        let known = accepts.content_types.iter().any(|known| match known.split_once('/') {
            Some((kind, subtype)) => {
                (kind == "*" || held.kind() == kind) && (subtype == "*" || held.subtype() == subtype)
            }
            None => false,
        });
        let refused = |kind, header| self.fault(kind, Some(header), StatusCode::UNSUPPORTED_MEDIA_TYPE);
        if !known {
            return Err(refused(FaultKind::ContentType, Header::ContentType));
        }
        let mut codings = self.content_encoding();
        while let Some((offset, coding)) = codings.next_at() {
            let coding = coding?;
            if coding != "identity" && !accepts.content_encodings.iter().any(|known| coding == *known) {
                return Err(Fault { offset, ..refused(FaultKind::ContentEncoding, Header::ContentEncoding) });
            }
        }
        Ok(())
    }
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

/// Where the headers of a URI begin, if it has any: a Request-URI has none.
fn headers_at(uri: &Uri<'_>) -> Option<usize> {
    let headers = uri.as_sip()?.headers().as_str().len();
    (headers > 0).then(|| uri.as_bytes().len() - headers)
}
