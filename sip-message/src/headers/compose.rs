//! Values to be written: addresses, Via, challenges, credentials and the small ones between them.
//!
//! Every type here is made from plain text, checks that text when it gets it, and displays as a header field value
//! that reads back as what it was made from. What could end a value, a parameter or a line early is a
//! [`ValueError`] with its offset in the text that was handed in; nothing is ever cut or replaced. Nothing is copied:
//! a value borrows its text until it is written.
//!
//! ```
//! use sip_message::headers::compose::{Address, Reason, Via};
//! use sip_message::{StatusCode, ViaTransport};
//!
//! let contact = Address::new("sip:alice@pc33.atlanta.com;transport=tcp")?.display_name("Alice \"A\"")?.expires(3600);
//! assert_eq!(contact.to_string(), r#""Alice \"A\"" <sip:alice@pc33.atlanta.com;transport=tcp>;expires=3600"#);
//!
//! let via = Via::new(ViaTransport::Udp, "2001:db8::1")?.port(5070).branch("z9hG4bK87asdks7")?.rport();
//! assert_eq!(via.to_string(), "SIP/2.0/UDP [2001:db8::1]:5070;branch=z9hG4bK87asdks7;rport");
//!
//! assert_eq!(Reason::sip(StatusCode::BUSY_HERE).text("Busy")?.to_string(), r#"SIP;cause=486;text="Busy""#);
//! assert!(Address::new("sip:alice@atlanta.com>\r\nX: y").is_err());
//! # Ok::<(), sip_message::ValueError>(())
//! ```

mod auth;

pub use auth::{AuthenticationInfo, Challenge, Credentials};

use super::lex::{Read, fault};
use super::numbers::Refresher;
use super::tagged::{EventReason, Substate};
use super::tokens::{EventType, Token};
use crate::error::{ValueError, ValueFault};
use crate::method::Method;
use crate::params::ParamValue;
use crate::reads::CallId;
use crate::scan;
use crate::status::StatusCode;
use crate::uri::{Uri, host_port};
use crate::value::FieldValue;
use crate::via::ViaTransport;
use core::fmt::{self, Display, Write};
use core::net::Ipv6Addr;
use smallvec::SmallVec;

/// `text`, if it is a token.
fn token(text: &str) -> Read<&str> {
    match scan::skip(text.as_bytes(), 0, scan::TOKEN) {
        0 if text.is_empty() => fault(ValueFault::Empty, 0),
        end if end == text.len() => Ok(text),
        end => fault(ValueFault::Character, end),
    }
}

/// Text for a quoted string: plain text, which is escaped when it is written, or a [`ParamValue`] of a message, which
/// is written as it came.
#[derive(Clone, Copy, Debug)]
pub struct Quotable<'a>(Form<'a>);

#[derive(Clone, Copy, Debug)]
enum Form<'a> {
    /// Without quotes and escapes.
    Plain(&'a str),
    /// Between the quotes, escapes included; not yet checked.
    Escaped(&'a [u8]),
}

impl<'a> From<&'a str> for Quotable<'a> {
    fn from(text: &'a str) -> Self {
        Quotable(Form::Plain(text))
    }
}

impl<'a> From<ParamValue<'a>> for Quotable<'a> {
    fn from(value: ParamValue<'a>) -> Self {
        Quotable(Form::Escaped(value.without_quotes()))
    }
}

/// What stands between two quotes; checked.
#[derive(Clone, Copy, Debug)]
struct Quoted<'a> {
    text: &'a str,
    /// Whether `"` and `\` are to be escaped, rather than escapes already.
    escape: bool,
}

impl<'a> Quoted<'a> {
    fn new(text: impl Into<Quotable<'a>>) -> Read<Self> {
        match text.into().0 {
            Form::Plain(text) => match text.bytes().position(|b| b < b' ' && b != b'\t' || b == 0x7f) {
                Some(at) => fault(ValueFault::Character, at),
                None => Ok(Quoted { text, escape: true }),
            },
            Form::Escaped(v) => {
                let text =
                    core::str::from_utf8(v).map_err(|e| ValueError::new(ValueFault::Character, e.valid_up_to()))?;
                let mut at = 0;
                while let Some(&b) = v.get(at) {
                    at += match b {
                        b'\\' if matches!(v.get(at + 1), Some(b'\t' | b' '..=0x7e)) => 2,
                        b'\r' | b'\n' => return fault(ValueFault::Character, at),
                        _ if scan::is(b, scan::QDTEXT) => 1,
                        _ => return fault(ValueFault::Character, at),
                    };
                }
                Ok(Quoted { text, escape: false })
            }
        }
    }
}

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        if self.escape {
            for part in self.text.split_inclusive(['"', '\\']) {
                match part.strip_suffix(['"', '\\']) {
                    Some(before) => write!(f, "{before}\\{}", part.get(before.len()..).unwrap_or_default())?,
                    None => f.write_str(part)?,
                }
            }
        } else {
            f.write_str(self.text)?;
        }
        f.write_char('"')
    }
}

/// The value of a parameter that is written.
#[derive(Clone, Copy, Debug)]
enum Value<'a> {
    None,
    Text(&'a str),
    Quoted(Quoted<'a>),
    Number(u32),
    /// A URI in angle brackets and quotes.
    Uri(&'a str),
    /// `qvalue` in thousandths.
    Q(u16),
}

/// Parameters in the order they were given, every name once.
#[derive(Clone, Debug, Default)]
struct ParamList<'a>(SmallVec<[(&'a str, Value<'a>); 4]>);

impl<'a> ParamList<'a> {
    /// Adds a parameter; one of the same name is replaced.
    fn set(&mut self, name: &'a str, value: Value<'a>) {
        match self.0.iter_mut().find(|(other, _)| other.eq_ignore_ascii_case(name)) {
            Some(param) => param.1 = value,
            None => self.0.push((name, value)),
        }
    }
}

impl Display for ParamList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.0 {
            write!(f, ";{name}")?;
            match value {
                Value::None => Ok(()),
                Value::Text(text) => write!(f, "={text}"),
                Value::Quoted(text) => write!(f, "={text}"),
                Value::Number(n) => write!(f, "={n}"),
                Value::Uri(uri) => write!(f, "=\"<{uri}>\""),
                Value::Q(1000) => f.write_str("=1"),
                Value::Q(q) => write!(f, "=0.{q:03}"),
            }?;
        }
        Ok(())
    }
}

/// The methods that add parameters.
macro_rules! with_params {
    ($($name:ident)*) => {
        $(impl<'a> $name<'a> {
            /// Adds `;name=value`, in place of a parameter of that name.
            ///
            /// # Errors
            ///
            /// The name is not a token, or the value neither a token nor a host.
            pub fn param(mut self, name: &'a str, value: &'a str) -> Read<Self> {
                let end = scan::skip(value.as_bytes(), 0, scan::PARAM_VALUE);
                if end < value.len() || value.is_empty() {
                    return fault(if value.is_empty() { ValueFault::Empty } else { ValueFault::Character }, end);
                }
                self.params.set(token(name)?, Value::Text(value));
                Ok(self)
            }

            /// Adds `;name="text"`, in place of a parameter of that name.
            ///
            /// # Errors
            ///
            /// The name is not a token, or the text has control characters.
            pub fn quoted_param(mut self, name: &'a str, text: impl Into<Quotable<'a>>) -> Read<Self> {
                self.params.set(token(name)?, Value::Quoted(Quoted::new(text)?));
                Ok(self)
            }

            /// Adds `;name`, in place of a parameter of that name.
            ///
            /// # Errors
            ///
            /// The name is not a token.
            pub fn flag(mut self, name: &'a str) -> Read<Self> {
                self.params.set(token(name)?, Value::None);
                Ok(self)
            }
        })*
    };
}

with_params! { Address Via Event SubscriptionState Reason SessionExpires RetryAfter DialogRef }

/// A `name-addr` with parameters, for From, To, Contact, Route, Record-Route, Path, Refer-To, Referred-By,
/// History-Info and others, and (without display name) for Call-Info and its kin.
///
/// Always written with angle brackets, so that no parameter can change hands between the URI and the header field.
//= https://www.rfc-editor.org/rfc/rfc3261#section-20.10
//# Even if the "display-name" is empty, the "name-addr" form MUST be
//# used if the "addr-spec" contains a comma, semicolon, or question
//# mark.
//= https://www.rfc-editor.org/rfc/rfc3261#section-20.20
//# Even if the "display-name" is empty, the "name-addr" form MUST be
//# used if the "addr-spec" contains a comma, question mark, or
//# semicolon.
//= https://www.rfc-editor.org/rfc/rfc3261#section-20.31
//# Even if the "display-name" is empty, the "name-addr" form MUST be
//# used if the "addr-spec" contains a comma, question mark, or
//# semicolon.
#[derive(Clone, Debug)]
pub struct Address<'a> {
    display: Option<Quoted<'a>>,
    uri: &'a str,
    params: ParamList<'a>,
}

/// `uri`, if it is one and may stand in angle brackets and quotes.
fn checked_uri(uri: &str) -> Read<&str> {
    if let Err(error) = Uri::parse(uri.as_bytes()) {
        return fault(ValueFault::Uri, error.offset);
    }
    match uri.bytes().position(|b| !(b'!'..=b'~').contains(&b) || matches!(b, b'<' | b'>' | b'"' | b'\\')) {
        Some(at) => fault(ValueFault::Uri, at),
        None => Ok(uri),
    }
}

impl<'a> Address<'a> {
    /// An address with this URI.
    ///
    /// # Errors
    ///
    /// The URI is malformed for its scheme.
    pub fn new(uri: &'a str) -> Read<Self> {
        Ok(Address { display: None, uri: checked_uri(uri)?, params: ParamList::default() })
    }

    /// Puts a display name before the URI. It is always quoted; an empty one is left out.
    ///
    /// # Errors
    ///
    /// The name has control characters.
    pub fn display_name(mut self, name: &'a str) -> Read<Self> {
        let name = Quoted::new(name)?;
        self.display = (!name.text.is_empty()).then_some(name);
        Ok(self)
    }

    /// Adds the `tag` parameter.
    ///
    /// # Errors
    ///
    /// The tag is not a token.
    pub fn tag(mut self, tag: &'a str) -> Read<Self> {
        self.params.set("tag", Value::Text(token(tag)?));
        Ok(self)
    }

    /// Adds the `q` parameter, in thousandths; above 1000 it is 1000.
    pub fn q(mut self, thousandths: u16) -> Self {
        self.params.set("q", Value::Q(thousandths.min(1000)));
        self
    }

    /// Adds the `expires` parameter, in seconds.
    pub fn expires(mut self, seconds: u32) -> Self {
        self.params.set("expires", Value::Number(seconds));
        self
    }

    /// Adds the `+sip.instance` parameter (RFC 5626) with this URN, which is put in angle brackets and quotes.
    ///
    /// # Errors
    ///
    /// It is not a URI.
    pub fn instance_id(mut self, urn: &'a str) -> Read<Self> {
        self.params.set("+sip.instance", Value::Uri(checked_uri(urn)?));
        Ok(self)
    }

    /// Adds the `reg-id` parameter (RFC 5626).
    ///
    /// # Errors
    ///
    /// It is 0, or 2^31 or more.
    pub fn reg_id(mut self, id: u32) -> Read<Self> {
        if !(1..1 << 31).contains(&id) {
            return fault(ValueFault::Number, 0);
        }
        self.params.set("reg-id", Value::Number(id));
        Ok(self)
    }
}

impl Display for Address<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(display) = &self.display {
            write!(f, "{display} ")?;
        }
        write!(f, "<{}>{}", self.uri, self.params)
    }
}

/// A Via value.
#[derive(Clone, Debug)]
pub struct Via<'a> {
    transport: ViaTransport<'a>,
    host: &'a str,
    port: Option<u16>,
    params: ParamList<'a>,
}

impl<'a> Via<'a> {
    /// A Via of this transport and sent-by host: a name or an address, an IPv6 address with or without brackets.
    ///
    /// # Errors
    ///
    /// The host is neither, or the transport is not a token.
    pub fn new(transport: ViaTransport<'a>, host: &'a str) -> Read<Self> {
        token(transport.as_str())?;
        if host.parse::<Ipv6Addr>().is_err() {
            match host_port::parse_prefix(host.as_bytes())? {
                (_, None, end) if end == host.len() => {}
                (_, _, end) => return fault(ValueFault::Host, end.min(host.len())),
            }
        }
        Ok(Via { transport, host, port: None, params: ParamList::default() })
    }

    /// Adds the sent-by port.
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Adds the `branch` parameter.
    ///
    /// # Errors
    ///
    /// The branch is not a token, or does not begin with the magic cookie.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-20.42
    //# For implementations compliant to this specification, the value of the
    //# branch parameter MUST start with the magic cookie "z9hG4bK", as
    //# discussed in Section 8.1.1.7.
    pub fn branch(mut self, branch: &'a str) -> Read<Self> {
        if !branch.starts_with("z9hG4bK") {
            return fault(ValueFault::Form, 0);
        }
        self.params.set("branch", Value::Text(token(branch)?));
        Ok(self)
    }

    /// Adds the `rport` parameter without value, as a client sends it (RFC 3581).
    pub fn rport(mut self) -> Self {
        self.params.set("rport", Value::None);
        self
    }
}

impl Display for Via<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIP/2.0/{} ", self.transport)?;
        // Only an IPv6 address outside of brackets has colons here.
        match !self.host.starts_with('[') && self.host.contains(':') {
            true => write!(f, "[{}]", self.host),
            false => f.write_str(self.host),
        }?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        self.params.fmt(f)
    }
}

/// An Event value.
#[derive(Clone, Debug)]
pub struct Event<'a> {
    event_type: &'a str,
    params: ParamList<'a>,
}

impl<'a> Event<'a> {
    /// An Event of this type: `presence`, `presence.winfo`.
    ///
    /// # Errors
    ///
    /// It is not an event type.
    pub fn new(event_type: &'a str) -> Read<Self> {
        EventType::parse_value(event_type.as_bytes())?;
        Ok(Event { event_type, params: ParamList::default() })
    }

    /// Adds the `id` parameter.
    ///
    /// # Errors
    ///
    /// It is not a token.
    pub fn id(mut self, id: &'a str) -> Read<Self> {
        self.params.set("id", Value::Text(token(id)?));
        Ok(self)
    }
}

impl Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.event_type, self.params)
    }
}

/// A Subscription-State value.
#[derive(Clone, Debug)]
pub struct SubscriptionState<'a> {
    state: Substate<'a>,
    params: ParamList<'a>,
}

impl<'a> SubscriptionState<'a> {
    /// A Subscription-State of this state.
    pub fn new(state: Substate<'a>) -> Self {
        SubscriptionState { state, params: ParamList::default() }
    }

    /// Adds the `reason` parameter.
    pub fn reason(mut self, reason: EventReason<'a>) -> Self {
        self.params.set("reason", Value::Text(reason.as_str()));
        self
    }

    /// Adds the `expires` parameter, in seconds.
    pub fn expires(mut self, seconds: u32) -> Self {
        self.params.set("expires", Value::Number(seconds));
        self
    }

    /// Adds the `retry-after` parameter, in seconds.
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.params.set("retry-after", Value::Number(seconds));
        self
    }
}

impl Display for SubscriptionState<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.state.as_str(), self.params)
    }
}

/// A Reason value.
#[derive(Clone, Debug)]
pub struct Reason<'a> {
    protocol: &'a str,
    params: ParamList<'a>,
}

impl<'a> Reason<'a> {
    /// A Reason of this protocol and cause.
    ///
    /// # Errors
    ///
    /// The protocol is not a token.
    pub fn new(protocol: &'a str, cause: u32) -> Read<Self> {
        Ok(Self::with(token(protocol)?, cause))
    }

    /// `SIP;cause=` and a status code.
    pub fn sip(status: StatusCode) -> Self {
        Self::with("SIP", u32::from(status.code()))
    }

    /// `Q.850;cause=` and a Q.850 cause value.
    pub fn q850(cause: u8) -> Self {
        Self::with("Q.850", u32::from(cause))
    }

    fn with(protocol: &'a str, cause: u32) -> Self {
        let mut params = ParamList::default();
        params.set("cause", Value::Number(cause));
        Reason { protocol, params }
    }

    /// Adds the `text` parameter.
    ///
    /// # Errors
    ///
    /// The text has control characters.
    pub fn text(self, text: &'a str) -> Read<Self> {
        self.quoted_param("text", text)
    }
}

impl Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.protocol, self.params)
    }
}

/// A Session-Expires or Min-SE value.
#[derive(Clone, Debug)]
pub struct SessionExpires<'a> {
    interval: u32,
    params: ParamList<'a>,
}

impl SessionExpires<'_> {
    /// A session interval in seconds.
    pub fn new(interval: u32) -> Self {
        SessionExpires { interval, params: ParamList::default() }
    }

    /// Adds the `refresher` parameter.
    pub fn refresher(mut self, refresher: Refresher) -> Self {
        self.params.set("refresher", Value::Text(refresher.as_str()));
        self
    }
}

impl Display for SessionExpires<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.interval, self.params)
    }
}

/// A Retry-After value.
#[derive(Clone, Debug)]
pub struct RetryAfter<'a> {
    seconds: u32,
    params: ParamList<'a>,
}

impl RetryAfter<'_> {
    /// Retry after so many seconds.
    pub fn new(seconds: u32) -> Self {
        RetryAfter { seconds, params: ParamList::default() }
    }

    /// Adds the `duration` parameter, in seconds.
    pub fn duration(mut self, seconds: u32) -> Self {
        self.params.set("duration", Value::Number(seconds));
        self
    }
}

impl Display for RetryAfter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.seconds, self.params)
    }
}

/// A value that names a dialog: Replaces, Join or Target-Dialog.
#[derive(Clone, Debug)]
pub struct DialogRef<'a> {
    call_id: &'a str,
    params: ParamList<'a>,
}

impl<'a> DialogRef<'a> {
    /// A Replaces value, or one of Join. The tags are named as the receiver sees the dialog: `to_tag` is its local tag,
    /// `from_tag` its remote tag.
    ///
    /// # Errors
    ///
    /// The Call-ID is not a `callid`, or a tag is not a token.
    pub fn replaces(call_id: &'a str, to_tag: &'a str, from_tag: &'a str) -> Read<Self> {
        Self::with(call_id, ("to-tag", to_tag), ("from-tag", from_tag))
    }

    /// A Target-Dialog value. The tags are named as the receiver sees the dialog.
    ///
    /// # Errors
    ///
    /// The Call-ID is not a `callid`, or a tag is not a token.
    pub fn target_dialog(call_id: &'a str, local_tag: &'a str, remote_tag: &'a str) -> Read<Self> {
        Self::with(call_id, ("local-tag", local_tag), ("remote-tag", remote_tag))
    }

    fn with(call_id: &'a str, a: (&'a str, &'a str), b: (&'a str, &'a str)) -> Read<Self> {
        CallId::parse_value(call_id.as_bytes())?;
        let mut params = ParamList::default();
        params.set(a.0, Value::Text(token(a.1)?));
        params.set(b.0, Value::Text(token(b.1)?));
        Ok(DialogRef { call_id, params })
    }

    /// Adds the `early-only` parameter of Replaces.
    pub fn early_only(mut self) -> Self {
        self.params.set("early-only", Value::None);
        self
    }
}

impl Display for DialogRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.call_id, self.params)
    }
}

/// A Warning value.
#[derive(Clone, Copy, Debug)]
pub struct Warning<'a> {
    code: u16,
    agent: &'a str,
    text: Quoted<'a>,
}

impl<'a> Warning<'a> {
    /// A Warning of a code from 100 to 999, from an agent: a host with or without port, or a pseudonym.
    ///
    /// # Errors
    ///
    /// One of the three is not that.
    pub fn new(code: u16, agent: &'a str, text: &'a str) -> Read<Self> {
        if !(100..=999).contains(&code) {
            return fault(ValueFault::Number, 0);
        }
        let is_host = || matches!(host_port::parse_prefix(agent.as_bytes()), Ok((_, _, end)) if end == agent.len());
        if token(agent).is_err() && !is_host() {
            return fault(ValueFault::Host, 0);
        }
        Ok(Warning { code, agent, text: Quoted::new(text)? })
    }
}

impl Display for Warning<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.code, self.agent, self.text)
    }
}

/// A RAck value: the RSeq of the response that is acknowledged, and its CSeq.
#[derive(Clone, Copy, Debug)]
pub struct RAck<'a> {
    /// The RSeq.
    pub rseq: u32,
    /// The number of CSeq.
    pub cseq: u32,
    /// The method of CSeq.
    pub method: Method<'a>,
}

impl Display for RAck<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.rseq, self.cseq, self.method)
    }
}

/// Values with a comma and a space between them: for Allow, Supported, Require, Contact and other lists.
///
/// Challenges and credentials are no [`ListItem`]: each of them needs a field of its own.
///
/// ```compile_fail
/// # use sip_message::headers::compose::{Credentials, List};
/// let bearer = Credentials::token68("Bearer", "abc")?;
/// println!("{}", List(&[bearer.clone(), bearer]));
/// # Ok::<(), sip_message::ValueError>(())
/// ```
//= https://www.rfc-editor.org/rfc/rfc3261#section-20.7
//# Although not a comma-separated list, this header field
//# name may be present multiple times, and MUST NOT be combined into a
//# single header line using the usual rules described in Section 7.3.
//= https://www.rfc-editor.org/rfc/rfc3261#section-20.28
//# Although not a comma-separated list, this
//# header field name may be present multiple times, and MUST NOT be
//# combined into a single header line using the usual rules described in
//# Section 7.3.1.
#[derive(Clone, Copy, Debug)]
pub struct List<'a, T>(pub &'a [T]);

/// What may stand in one field with others of its kind.
pub trait ListItem: Display {}

impl ListItem for &str {}
impl ListItem for Address<'_> {}
impl ListItem for EventType<'_> {}
impl ListItem for Method<'_> {}
impl ListItem for Reason<'_> {}
impl ListItem for Token<'_> {}
impl ListItem for Via<'_> {}
impl ListItem for Warning<'_> {}

impl<T: ListItem> Display for List<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, value) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            value.fmt(f)?;
        }
        Ok(())
    }
}
