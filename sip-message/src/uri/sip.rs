//! `sip:` and `sips:` URIs (RFC 3261 section 19.1).

use super::chars::{self, HEADER, PASSWORD, USER};
use super::host::{self, Host, HostKind};
use super::params::{self, UriHeaders, UriParams};
use super::{Escaped, UriConfig, UriError, UriFault};
use crate::scan;
use core::fmt;

/// The transport a SIP URI asks for in its `transport` parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UriTransport<'a> {
    /// `udp`
    Udp,
    /// `tcp`
    Tcp,
    /// `tls`, deprecated by RFC 3261 section 26.2.2 in favour of `sips:` with `tcp`.
    Tls,
    /// `sctp`
    Sctp,
    /// `ws` (RFC 7118 section 5.2.4)
    Ws,
    /// `wss`: not a registered value, but sent.
    Wss,
    /// Another one; empty if the parameter has no value.
    Other(Escaped<'a>),
}

/// A `sip:` or `sips:` URI, borrowed.
///
/// Components are given as they were written; [`Escaped`] resolves their escapes.
#[derive(Clone, Copy)]
pub struct SipUri<'a> {
    bytes: &'a [u8],
    pub(super) parts: SipParts,
}

/// Where the components of a SIP URI lie: all of it but the bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct SipParts {
    secure: bool,
    /// Where the user ends: at the `:` or the `@`. 0 if there is no user.
    user_end: u16,
    /// Where the `@` is. 0 if there is no user.
    user_info_end: u16,
    host: u16,
    host_end: u16,
    host_kind: HostKind,
    port: Option<u16>,
    params: u16,
    headers: u16,
}

impl SipParts {
    /// Reads a URI whose scheme ends before `from`. Its length fits in 16 bits.
    #[inline]
    pub(super) fn parse(v: &[u8], from: usize, secure: bool, config: &UriConfig) -> Result<Self, UriError> {
        let (user_end, user_info_end) = user_info(v, from, config)?;
        let host_at = if user_info_end == 0 { from } else { user_info_end + 1 };
        let (host_kind, host_end) = host::parse(v, host_at, config).map_err(|at| match v.get(at) {
            Some(b'%') => UriError::new(UriFault::Escape, at),
            _ => UriError::new(UriFault::Host, at),
        })?;
        let (port, params) = host::port(v, host_end).map_err(|at| UriError::new(UriFault::Port, at))?;
        let headers = params::parse(v, params)?;
        let end = if v.get(headers) == Some(&b'?') { parse_headers(v, headers)? } else { headers };
        //= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.2
        //# URIs MUST NOT contain unescaped space and control
        //# characters.
        if end != v.len() {
            return Err(UriError::stopped_at(v, end));
        }
        Ok(SipParts {
            secure,
            user_end: user_end as u16,
            user_info_end: user_info_end as u16,
            host: host_at as u16,
            host_end: host_end as u16,
            host_kind,
            port,
            params: params as u16,
            headers: headers as u16,
        })
    }

    #[inline]
    pub(super) fn uri(self, bytes: &[u8]) -> SipUri<'_> {
        SipUri { bytes, parts: self }
    }
}

/// Whether `v` is a well-formed URI of the form that most are: `sip:`, a user or none, a host, maybe a port and maybe one parameter, and
/// no escapes. `false` says nothing.
#[inline]
pub(super) fn is_usual(v: &[u8]) -> bool {
    let Some(rest) = v.strip_prefix(b"sip:").filter(|rest| rest.len() < 1 << 15) else { return false };
    // What follows no user is read again, as a host; what is neither is not at its end then.
    let user = chars::unescaped_end(rest, 0, USER);
    let host = match rest.get(user) {
        Some(b'@') if user > 0 => user + 1,
        _ => 0,
    };
    let Some((_, end)) = host::usual_end(rest, host).and_then(|end| host::port(rest, end).ok()) else { return false };
    let end = if rest.get(end) == Some(&b';') { params::one_end(rest, end) } else { end };
    end == rest.len()
}

/// Reads `[ userinfo ]` at `v[from]`: where the user ends, and where the `@` is; zeros if there is none.
#[inline]
fn user_info(v: &[u8], from: usize, config: &UriConfig) -> Result<(usize, usize), UriError> {
    let mut user_end = chars::run(v, from, USER);
    while v.get(user_end) == Some(&b'#') && config.hash_in_user {
        user_end = chars::run(v, user_end + 1, USER);
    }
    let at_sign = match v.get(user_end) {
        Some(b':') => chars::run(v, user_end + 1, PASSWORD),
        _ => user_end,
    };
    if v.get(at_sign) != Some(&b'@') {
        return Ok((0, 0));
    }
    //= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.1
    //# If the @ sign is
    //# present in a SIP or SIPS URI, the user field MUST NOT be empty.
    if user_end == from {
        return Err(UriError::new(UriFault::User, from));
    }
    Ok((user_end, at_sign))
}

/// Checks the headers at `v[from]`, which is the `?`; returns where they end.
fn parse_headers(v: &[u8], from: usize) -> Result<usize, UriError> {
    let mut at = from;
    loop {
        let name = at + 1;
        at = chars::run(v, name, HEADER);
        if at == name || v.get(at) != Some(&b'=') {
            return Err(UriError::new(UriFault::Header, at));
        }
        at = chars::run(v, at + 1, HEADER);
        if v.get(at) != Some(&b'&') {
            return Ok(at);
        }
    }
}

impl<'a> SipUri<'a> {
    /// The URI as it was written.
    #[inline]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The URI as it was written.
    #[inline]
    pub fn as_str(&self) -> &'a str {
        scan::text(self.bytes)
    }

    /// The URI as it was written, but without its headers, which have no place in a Request-URI or in To. A `?` may stand in the user too, so
    /// the first one is no place to cut.
    ///
    /// ```
    /// # use sip_message::Uri;
    /// let uri = Uri::parse(b"sip:who?@example.com;lr?Subject=hi")?;
    /// assert_eq!(uri.as_sip().map(|sip| sip.without_headers()), Some("sip:who?@example.com;lr"));
    /// # Ok::<(), sip_message::uri::UriError>(())
    /// ```
    pub fn without_headers(&self) -> &'a str {
        let uri = self.as_str();
        uri.strip_suffix(self.headers().as_str()).unwrap_or(uri)
    }

    /// Whether the scheme is `sips`.
    #[inline]
    pub fn is_sips(&self) -> bool {
        self.parts.secure
    }

    /// The scheme in lower case: `sip` or `sips`.
    pub fn scheme(&self) -> &'static str {
        if self.parts.secure { "sips" } else { "sip" }
    }

    fn slice(&self, from: usize, to: usize) -> &'a [u8] {
        self.bytes.get(from..to).unwrap_or_default()
    }

    fn scheme_len(&self) -> usize {
        if self.parts.secure { 5 } else { 4 }
    }

    /// The user. May be a telephone number with parameters of its own, which are part of it.
    #[inline]
    pub fn user(&self) -> Option<Escaped<'a>> {
        self.user_range().map(|range| Escaped(self.slice(range.start, range.end)))
    }

    /// The password. Its use is not recommended.
    pub fn password(&self) -> Option<Escaped<'a>> {
        let (from, to) = (usize::from(self.parts.user_end), usize::from(self.parts.user_info_end));
        (from != to).then(|| Escaped(self.slice(from + 1, to)))
    }

    /// The host.
    #[inline]
    pub fn host(&self) -> Host<'a> {
        self.parts.host_kind.host(self.host_bytes())
    }

    /// The host as it was written, brackets of an IPv6 address included.
    pub fn host_str(&self) -> &'a str {
        scan::text(self.host_bytes())
    }

    /// Whether the host is written as `name` is, but for case.
    #[inline]
    pub fn has_host(&self, name: &str) -> bool {
        let host = self.host_bytes();
        host == name.as_bytes() || host.eq_ignore_ascii_case(name.as_bytes())
    }

    /// Whether the host is a name and nothing stands behind it.
    #[inline]
    pub(super) fn ends_with_name(&self) -> bool {
        matches!(self.parts.host_kind, HostKind::Domain) && usize::from(self.parts.host_end) == self.bytes.len()
    }

    /// Where the user is, if there is one.
    #[inline]
    pub(super) fn user_range(&self) -> Option<core::ops::Range<usize>> {
        let end = usize::from(self.parts.user_end);
        (end != 0).then(|| self.scheme_len()..end)
    }

    #[inline]
    pub(super) fn host_bytes(&self) -> &'a [u8] {
        self.slice(usize::from(self.parts.host), usize::from(self.parts.host_end))
    }

    /// The port; `None` if the URI has none. What the default is depends on transport and scheme.
    #[inline]
    pub fn port(&self) -> Option<u16> {
        self.parts.port
    }

    /// Host and port as they were written.
    pub fn host_port_str(&self) -> &'a str {
        scan::text(self.slice(usize::from(self.parts.host), usize::from(self.parts.params)))
    }

    /// The parameters.
    #[inline]
    pub fn params(&self) -> UriParams<'a> {
        UriParams(self.slice(usize::from(self.parts.params), usize::from(self.parts.headers)))
    }

    /// The headers.
    pub fn headers(&self) -> UriHeaders<'a> {
        UriHeaders(self.slice(usize::from(self.parts.headers), self.bytes.len()))
    }

    /// The `transport` parameter.
    pub fn transport(&self) -> Option<UriTransport<'a>> {
        let value = self.params().get("transport")?.value.unwrap_or(Escaped(b""));
        let known = [
            ("udp", UriTransport::Udp),
            ("tcp", UriTransport::Tcp),
            ("tls", UriTransport::Tls),
            ("sctp", UriTransport::Sctp),
            ("ws", UriTransport::Ws),
            ("wss", UriTransport::Wss),
        ];
        let named = known.iter().find(|(name, _)| value.eq_ignore_case(name));
        Some(named.map_or(UriTransport::Other(value), |&(_, transport)| transport))
    }

    /// The `maddr` parameter: where to send instead of the host.
    ///
    /// # Errors
    ///
    /// It has no value, or one that is not a host. An escaped host counts as none.
    pub fn maddr(&self) -> Result<Option<Host<'a>>, UriError> {
        let Some(param) = self.params().get("maddr") else { return Ok(None) };
        let value = param.value.map_or(&b""[..], |value| value.0);
        Host::parse(value).map(Some).map_err(|_| self.param_error())
    }

    /// The `ttl` parameter, for multicast.
    ///
    /// # Errors
    ///
    /// It is not 0 to 255.
    pub fn ttl(&self) -> Result<Option<u8>, UriError> {
        let Some(param) = self.params().get("ttl") else { return Ok(None) };
        let number = param.value.and_then(|value| scan::decimal(value.0)).and_then(|n| u8::try_from(n).ok());
        number.map(Some).ok_or(self.param_error())
    }

    fn param_error(&self) -> UriError {
        UriError::new(UriFault::Param, usize::from(self.parts.params))
    }

    /// The value of the `user` parameter.
    pub fn user_param(&self) -> Option<Escaped<'a>> {
        self.params().value("user")
    }

    /// Whether the user is a telephone number: `user=phone`.
    pub fn is_phone(&self) -> bool {
        self.user_param().is_some_and(|user| user.eq_ignore_case("phone"))
    }

    /// The `method` parameter: the method of a request formed from this URI.
    pub fn method_param(&self) -> Option<Escaped<'a>> {
        self.params().value("method")
    }

    /// Whether the `lr` parameter is there: the element is a loose router.
    #[inline]
    pub fn lr(&self) -> bool {
        self.params().has("lr")
    }

    /// Whether the `ob` parameter is there (RFC 5626): requests go over the flow the registration came on.
    pub fn ob(&self) -> bool {
        self.params().has("ob")
    }

    /// The `gr` parameter (RFC 5627): `None` if it is absent, `Some(None)` for a temporary GRUU, whose `gr` has no
    /// value.
    pub fn gr(&self) -> Option<Option<Escaped<'a>>> {
        self.params().get("gr").map(|param| param.value)
    }
}

impl fmt::Display for SipUri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for SipUri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SipUri({self})")
    }
}
