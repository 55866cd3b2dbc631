//! Owned URIs, and the builder of SIP URIs.
//!
//! All text given to the builder is data: what a component may not hold is escaped, so that nothing given can reach
//! out of its component.

use super::chars::{self, HEADER, PARAM, PASSWORD, USER};
use super::{Escaped, Host, Parts, SipUri, TelUri, Uri, UriConfig, UriError, UriFault};
use crate::scan;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt::{self, Display, Write};
use core::hash::{Hash, Hasher};
use core::net::Ipv6Addr;
use core::str::FromStr;

/// Appends `octets`, escaping all that is not in `class`.
//= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.2
//# Excluded US-
//# ASCII characters (RFC 2396 [5]), such as space and control
//# characters and characters used as URI delimiters, also MUST be
//# escaped.
pub(super) fn escape(out: &mut String, octets: impl Iterator<Item = u8>, class: u8) {
    for b in octets {
        if chars::is(b, class) {
            out.push(char::from(b));
        } else {
            let _ = write!(out, "%{b:02X}");
        }
    }
}

/// An owned URI: checked once, read as often as wanted.
///
/// Cloning it does not copy the text. Two of them are `==` if they are written alike; whether they mean the same is
/// [`Uri::equivalent`]'s to say.
///
/// ```
/// use sip_message::uri::UriBuf;
///
/// let contact = UriBuf::sip("192.0.2.7").user("j@s0n").port(5070).param("transport", "tcp").flag("ob").build()?;
/// assert_eq!(contact.as_str(), "sip:j%40s0n@192.0.2.7:5070;transport=tcp;ob");
/// assert!(UriBuf::sip("example.com;lr").build().is_err());
/// # Ok::<(), sip_message::uri::UriError>(())
/// ```
#[derive(Clone)]
pub struct UriBuf {
    bytes: Bytes,
    parts: Parts,
}

impl UriBuf {
    /// Checks and keeps a URI.
    ///
    /// # Errors
    ///
    /// As [`Uri::parse`].
    pub fn parse(text: impl Into<Bytes>) -> Result<Self, UriError> {
        Self::parse_with(text, &UriConfig::DEFAULT)
    }

    /// Like [`parse`](UriBuf::parse), with other leniencies than the default ones.
    ///
    /// # Errors
    ///
    /// As [`Uri::parse`].
    pub fn parse_with(text: impl Into<Bytes>, config: &UriConfig) -> Result<Self, UriError> {
        let bytes = text.into();
        let parts = Parts::parse(&bytes, config)?;
        Ok(UriBuf { bytes, parts })
    }

    /// Begins a `sip:` URI. `host` is a name or an address; an IPv6 address may come with or without brackets.
    pub fn sip(host: impl Display) -> SipUriBuilder {
        SipUriBuilder::new("sip", host)
    }

    /// Begins a `sips:` URI. `host` is as for [`sip`](UriBuf::sip).
    pub fn sips(host: impl Display) -> SipUriBuilder {
        SipUriBuilder::new("sips", host)
    }

    /// The URI to read from.
    #[inline]
    pub fn as_uri(&self) -> Uri<'_> {
        self.parts.uri(&self.bytes)
    }

    /// The `sip:` or `sips:` URI, if it is one.
    #[inline]
    pub fn as_sip(&self) -> Option<SipUri<'_>> {
        self.as_uri().as_sip().copied()
    }

    /// The URI as it was written.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The URI as it was written.
    pub fn as_str(&self) -> &str {
        scan::text(&self.bytes)
    }
}

impl PartialEq for UriBuf {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for UriBuf {}

impl Hash for UriBuf {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bytes.hash(state);
    }
}

impl FromStr for UriBuf {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        Self::parse(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<Uri<'_>> for UriBuf {
    fn from(uri: Uri<'_>) -> Self {
        UriBuf { bytes: Bytes::copy_from_slice(uri.as_bytes()), parts: Parts::of(&uri) }
    }
}

impl From<SipUri<'_>> for UriBuf {
    fn from(uri: SipUri<'_>) -> Self {
        Uri::Sip(uri).into()
    }
}

impl Display for UriBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for UriBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UriBuf({self})")
    }
}

/// Builds a `sip:` or `sips:` URI: [`UriBuf::sip`], [`UriBuf::sips`], [`SipUri::to_builder`], [`TelUri::to_sip`].
///
/// Values are plain text, escaped where the grammar wants it. What cannot be right is an error of
/// [`build`](SipUriBuilder::build).
#[derive(Clone, Debug)]
pub struct SipUriBuilder {
    scheme: &'static str,
    /// Already escaped, like all below.
    user: Option<String>,
    password: Option<String>,
    host: String,
    port: Option<u16>,
    params: Vec<(String, Option<String>)>,
    headers: String,
}

impl SipUriBuilder {
    fn new(scheme: &'static str, host: impl Display) -> Self {
        let mut host = host.to_string();
        if host.parse::<Ipv6Addr>().is_ok() {
            host = alloc::format!("[{host}]");
        }
        let (params, headers) = (Vec::new(), String::new());
        SipUriBuilder { scheme, user: None, password: None, host, port: None, params, headers }
    }

    /// Sets the user, which must not be empty.
    #[must_use]
    pub fn user(mut self, user: impl AsRef<[u8]>) -> Self {
        self.user = Some(escaped(user, USER));
        self
    }

    /// Sets the password. Needs a user.
    ///
    /// RFC 3261 recommends against it: a URI is seen by many.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.1
    //# While the SIP and
    //# SIPS URI syntax allows this field to be present, its use is NOT
    //# RECOMMENDED, because the passing of authentication information
    //# in clear text (such as URIs) has proven to be a security risk
    //# in almost every case where it has been used.
    #[must_use]
    pub fn password(mut self, password: impl AsRef<[u8]>) -> Self {
        self.password = Some(escaped(password, PASSWORD));
        self
    }

    /// Sets or, with `None`, removes the port.
    #[must_use]
    pub fn port(mut self, port: impl Into<Option<u16>>) -> Self {
        self.port = port.into();
        self
    }

    /// Sets a parameter with a value, which must not be empty. One of that name is replaced in its place.
    #[must_use]
    pub fn param(self, name: &str, value: impl Display) -> Self {
        let value = escaped(value.to_string(), PARAM);
        self.set(name, Some(value))
    }

    /// Sets a parameter without value, such as `lr`. One of that name is replaced in its place.
    #[must_use]
    pub fn flag(self, name: &str) -> Self {
        self.set(name, None)
    }

    fn set(mut self, name: &str, value: Option<String>) -> Self {
        let name = escaped(name, PARAM);
        match self.params.iter_mut().find(|(known, _)| chars::same_ignoring_case(known.as_bytes(), name.as_bytes())) {
            Some(param) => param.1 = value,
            None => self.params.push((name, value)),
        }
        self
    }

    /// Removes the parameter named `name`, if it is there.
    #[must_use]
    pub fn without_param(mut self, name: &str) -> Self {
        self.params.retain(|(known, _)| !Escaped(known.as_bytes()).eq_ignore_case(name));
        self
    }

    /// Adds a header field for a request formed from the URI; `body` names the message body.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push(if self.headers.is_empty() { '?' } else { '&' });
        //= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.2
        //# Expanding the hname and hvalue tokens in Section 25 show that all URI
        //# reserved characters in header field names and values MUST be escaped.
        escape(&mut self.headers, name.bytes(), HEADER);
        self.headers.push('=');
        escape(&mut self.headers, value.as_ref().iter().copied(), HEADER);
        self
    }

    /// Removes all headers.
    #[must_use]
    pub fn without_headers(mut self) -> Self {
        self.headers.clear();
        self
    }

    /// The URI.
    ///
    /// # Errors
    ///
    /// The host is no host, the user or the name or value of a parameter is empty, there is a password without user,
    /// `maddr` or `ttl` has no such value, `ttl` stands without a multicast `maddr` or with a transport other than
    /// UDP, or `sips:` with an unreliable transport. The offset is that into the text being built.
    pub fn build(self) -> Result<UriBuf, UriError> {
        let mut out = String::with_capacity(self.host.len() + self.headers.len() + 32);
        out.push_str(self.scheme);
        out.push(':');
        if self.user.is_some() || self.password.is_some() {
            out.push_str(self.user.as_deref().unwrap_or_default());
            if let Some(password) = &self.password {
                out.push(':');
                out.push_str(password);
            }
            out.push('@');
        }
        Host::parse(self.host.as_bytes()).map_err(|error| UriError::new(UriFault::Host, out.len() + error.offset))?;
        out.push_str(&self.host);
        if let Some(port) = self.port {
            let _ = write!(out, ":{port}");
        }
        for (name, value) in &self.params {
            out.push(';');
            out.push_str(name);
            if let Some(value) = value {
                out.push('=');
                out.push_str(value);
            }
        }
        out.push_str(&self.headers);
        let uri = UriBuf::parse(out)?;
        match uri.as_sip() {
            Some(sip) => makes_sense(&sip).map(|()| uri),
            None => Err(UriError::new(UriFault::Scheme, 0)),
        }
    }
}

fn escaped(text: impl AsRef<[u8]>, class: u8) -> String {
    let text = text.as_ref();
    let mut out = String::with_capacity(text.len());
    escape(&mut out, text.iter().copied(), class);
    out
}

/// What RFC 3261 section 19.1.1 forbids though the grammar allows it.
fn makes_sense(uri: &SipUri<'_>) -> Result<(), UriError> {
    let error =
        Err(UriError::new(UriFault::Param, uri.as_bytes().len() - uri.params().0.len() - uri.headers().0.len()));
    let transport = uri.params().value("transport");
    let udp = transport.is_none_or(|transport| transport.eq_ignore_case("udp"));
    //= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.1
    //# For a SIPS URI, the transport parameter MUST
    //# indicate a reliable transport.
    if uri.is_sips() && transport.is_some() && udp {
        return error;
    }
    //= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.1
    //# The ttl parameter determines the time-to-live value of the UDP
    //# multicast packet and MUST only be used if maddr is a multicast
    //# address and the transport protocol is UDP.
    let multicast = uri.maddr()?.and_then(|maddr| maddr.ip()).is_some_and(|ip| ip.is_multicast());
    if uri.ttl()?.is_some() && !(multicast && udp && !uri.is_sips()) {
        return error;
    }
    Ok(())
}

impl SipUri<'_> {
    /// A builder that holds this URI as it is.
    pub fn to_builder(&self) -> SipUriBuilder {
        let text = |component: Escaped<'_>| component.as_str().to_string();
        SipUriBuilder {
            scheme: self.scheme(),
            // What was leniently read is not sent on unescaped.
            user: self.user().map(|user| user.as_str().replace('#', "%23")),
            password: self.password().map(text),
            host: match self.host() {
                Host::Domain(name) => name.to_string(),
                address => address.to_string(),
            },
            port: self.port(),
            params: self.params().map(|param| (text(param.name), param.value.map(text))).collect(),
            headers: self.headers().as_str().to_string(),
        }
    }

    /// The telephone number in the user of a URI with `user=phone`, as a `tel:` URI; `None` if there is none.
    pub fn telephone(&self) -> Option<UriBuf> {
        let user = self.user().filter(|_| self.is_phone())?;
        // What the grammar of the user made escape, as # in a local number, stands plain in a tel URI.
        let mut text = String::from("tel:");
        let plain = |b| chars::is(b, USER | chars::PHONE);
        let units = chars::Units(user.as_bytes());
        for unit in units {
            match u8::try_from(unit) {
                Ok(b) if plain(b) => text.push(char::from(b)),
                _ => {
                    let _ = write!(text, "%{:02X}", unit as u8);
                }
            }
        }
        UriBuf::parse(text).ok()
    }
}

impl TelUri<'_> {
    /// Begins the SIP URI for this number at a gateway: the number with all its parameters as user, and `user=phone`.
    ///
    /// Equivalent tel URIs give equal users but for visual separators: text is in lower case, parameters are in order.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.6
    //# To mitigate this problem, elements constructing telephone-subscriber
    //# fields to place in the userinfo part of a SIP or SIPS URI SHOULD fold
    //# any case-insensitive portion of telephone-subscriber to lower case,
    //# and order the telephone-subscriber parameters lexically by parameter
    //# name, excepting isdn-subaddress and post-dial, which occur first and
    //# in that order.
    pub fn to_sip(&self, host: impl Display) -> SipUriBuilder {
        let mut params: Vec<String> = self.params().map(|param| subscriber_param(param.name, param.value)).collect();
        //= https://www.rfc-editor.org/rfc/rfc3966#section-3
        //# The 'isdn-
        //# subaddress' or 'extension' MUST appear first, if present, followed by
        //# the 'context' parameter, if present, followed by any other parameters
        //# in lexicographical order.
        let rank = |param: &str| match param.split('=').next() {
            Some("isub" | "ext") => 0,
            Some("postd") => 1,
            Some("phone-context") => 2,
            _ => 3,
        };
        params.sort_by(|a, b| (rank(a), a.split('=').next()).cmp(&(rank(b), b.split('=').next())));
        let mut user = String::new();
        escape(&mut user, self.number().bytes().map(|b| b.to_ascii_lowercase()), USER);
        for param in params {
            user.push(';');
            user.push_str(&param);
        }
        //= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.1
        //# If the user string contains a
        //# telephone number formatted as a telephone-subscriber, the user
        //# parameter value "phone" SHOULD be present.
        let mut builder = UriBuf::sip(host).param("user", "phone");
        builder.user = Some(user);
        builder
    }
}

/// A parameter of a telephone number in lower case, with all escaped that a user must not hold.
//= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.2
//# Any characters occurring in a telephone-subscriber
//# that do not appear in an expansion of the BNF for the user rule MUST
//# be escaped.
//= https://www.rfc-editor.org/rfc/rfc3261#section-25.1
//# Note,
//# however, that any characters allowed there that are not allowed in
//# the user part of the SIP URI MUST be escaped.
fn subscriber_param(name: Escaped<'_>, value: Option<Escaped<'_>>) -> String {
    let mut out = name.as_str().to_ascii_lowercase();
    let Some(value) = value else { return out };
    out.push('=');
    for unit in chars::Units(value.as_bytes()) {
        match u8::try_from(unit) {
            Ok(b) if chars::is(b, USER) => out.push(char::from(b.to_ascii_lowercase())),
            // What was escaped because it is reserved stays so.
            _ => {
                let _ = write!(out, "%{:02X}", unit as u8);
            }
        }
    }
    out
}
