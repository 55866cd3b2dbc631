//! The Via header field.

use crate::error::{ValueError, ValueFault};
use crate::params::{Param, Params, Raw};
use crate::scan;
use crate::uri::{Host, host_port, ipv4_at};
use crate::value::FieldValue;
use core::fmt;
use core::net::IpAddr;

/// A transport as Via names it (RFC 3261 section 20.42, RFC 7118 section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ViaTransport<'a> {
    /// `UDP`
    Udp,
    /// `TCP`
    Tcp,
    /// `TLS`: TLS over TCP.
    Tls,
    /// `SCTP`
    Sctp,
    /// `TLS-SCTP`
    TlsSctp,
    /// `WS`: WebSocket.
    Ws,
    /// `WSS`: WebSocket over TLS.
    Wss,
    /// Any other token.
    Other(&'a str),
}

impl<'a> ViaTransport<'a> {
    /// The token as the RFCs write it.
    pub fn as_str(&self) -> &'a str {
        match self {
            ViaTransport::Udp => "UDP",
            ViaTransport::Tcp => "TCP",
            ViaTransport::Tls => "TLS",
            ViaTransport::Sctp => "SCTP",
            ViaTransport::TlsSctp => "TLS-SCTP",
            ViaTransport::Ws => "WS",
            ViaTransport::Wss => "WSS",
            ViaTransport::Other(text) => text,
        }
    }

    #[inline]
    fn of(token: &'a [u8]) -> Self {
        match token {
            b"UDP" => ViaTransport::Udp,
            b"TCP" => ViaTransport::Tcp,
            b"TLS" => ViaTransport::Tls,
            b"WS" => ViaTransport::Ws,
            b"WSS" => ViaTransport::Wss,
            _ => {
                use ViaTransport::{Sctp, Tcp, Tls, TlsSctp, Udp, Ws, Wss};
                let known = [Udp, Tcp, Tls, Sctp, TlsSctp, Ws, Wss];
                let text = scan::text(token);
                known.into_iter().find(|t| t.as_str().eq_ignore_ascii_case(text)).unwrap_or(ViaTransport::Other(text))
            }
        }
    }
}

impl fmt::Display for ViaTransport<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One value of the Via header field (RFC 3261 section 20.42).
#[derive(Clone, Copy, Debug)]
pub struct Via<'a> {
    sip: bool,
    transport: ViaTransport<'a>,
    sent_by: &'a [u8],
    sent_by_offset: usize,
    params: Params<'a>,
}

impl<'a> Via<'a> {
    /// Whether it is of SIP/2.0. The topmost Via is, or it is not read ([`Message::top_via`](crate::Message::top_via)); one below it may be of
    /// another protocol, behind a gateway.
    pub fn is_sip(&self) -> bool {
        self.sip
    }

    /// The transport the message was sent over.
    pub fn transport(&self) -> ViaTransport<'a> {
        self.transport
    }

    /// The sent-by as it was written: host and, if given, port.
    pub fn sent_by_bytes(&self) -> &'a [u8] {
        self.sent_by
    }

    /// The sent-by: host, and the port if there is one.
    ///
    /// # Errors
    ///
    /// The host or the port is malformed.
    pub fn sent_by(&self) -> Result<(Host<'a>, Option<u16>), ValueError> {
        spaced_host_port(self.sent_by).map_err(|error| error.shifted(self.sent_by_offset))
    }

    /// The parameters.
    pub fn params(&self) -> Params<'a> {
        self.params
    }

    /// The `branch` parameter.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed, or it is not a token.
    #[inline]
    pub fn branch(&self) -> Result<Option<&'a str>, ValueError> {
        self.params.token("branch")
    }

    /// The `received` parameter: the address the request came from. An IPv6 address in brackets is accepted, as
    /// RFC 5118 section 4.5 asks.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed, or it is not an IP address.
    pub fn received(&self) -> Result<Option<IpAddr>, ValueError> {
        self.params.get("received")?.map(|param| self.address(&param)).transpose()
    }

    /// The `rport` parameter (RFC 3581): `None` if absent, `Some(None)` if without value, as a client sends it.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed, or its value is not a port.
    pub fn rport(&self) -> Result<Option<Option<u16>>, ValueError> {
        self.params.get("rport")?.map(|param| self.port(&param)).transpose()
    }

    /// The `maddr` parameter.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed, or it is not a host.
    pub fn maddr(&self) -> Result<Option<Host<'a>>, ValueError> {
        self.params.get("maddr")?.map(|param| self.host(&param)).transpose()
    }

    /// The `ttl` parameter.
    ///
    /// # Errors
    ///
    /// The parameters up to it are malformed, or it is not 0 to 255.
    pub fn ttl(&self) -> Result<Option<u8>, ValueError> {
        Ok(self.params.number("ttl", 255)?.map(|n| n as u8))
    }

    /// The first `branch`, and the address of the first `received`: both in one walk.
    pub(crate) fn branch_and_received(&self) -> Result<(Option<Raw<'a>>, Option<IpAddr>), ValueError> {
        let (mut branch, mut received) = (None, None);
        let mut rest = self.params;
        while let Some(raw) = rest.next_raw()? {
            match raw.name.len() {
                6 if branch.is_none() && raw.name.eq_ignore_ascii_case(b"branch") => {
                    if !raw.token {
                        return Err(ValueError::new(ValueFault::Param, self.params.offset_of(&raw.param())));
                    }
                    branch = Some(raw);
                }
                8 if received.is_none() && raw.name.eq_ignore_ascii_case(b"received") => {
                    received = Some(self.address(&raw.param())?);
                }
                _ => {}
            }
            if branch.is_some() && received.is_some() {
                break;
            }
        }
        Ok((branch, received))
    }

    fn address(&self, param: &Param<'a>) -> Result<IpAddr, ValueError> {
        let value = param.value.map(|v| v.as_bytes()).unwrap_or_default();
        if let Some((ip, _)) = ipv4_at(value, 0).filter(|(_, end)| *end == value.len()) {
            return Ok(IpAddr::V4(ip));
        }
        let text = param.value.and_then(|v| v.as_str()).unwrap_or_default();
        let bare = text.strip_prefix('[').and_then(|v| v.strip_suffix(']')).unwrap_or(text);
        bare.parse().map_err(|_| ValueError::new(ValueFault::Host, self.params.offset_of(param)))
    }

    fn port(&self, param: &Param<'a>) -> Result<Option<u16>, ValueError> {
        let Some(value) = param.value else { return Ok(None) };
        let port = scan::decimal(value.as_bytes()).and_then(|n| u16::try_from(n).ok());
        port.map(Some).ok_or(ValueError::new(ValueFault::Port, self.params.offset_of(param)))
    }

    fn host(&self, param: &Param<'a>) -> Result<Host<'a>, ValueError> {
        let value = param.value.map(|v| v.as_bytes()).unwrap_or_default();
        Host::parse(value).map_err(|error| error.shifted(self.params.offset_of(param)))
    }

    /// A Via of which nothing is known but its parameters.
    pub(crate) fn of_params(params: &'a [u8]) -> Self {
        Via { sip: true, transport: ViaTransport::Udp, sent_by: &[], sent_by_offset: 0, params: Params::new(params, 0) }
    }

    /// Checks all of it.
    pub(crate) fn check(&self) -> Result<(), ValueError> {
        check_host_port(self.sent_by).map_err(|error| error.shifted(self.sent_by_offset))?;
        self.params.check_each(|param| self.check_param(param))
    }

    /// Checks one of its parameters by the form that its name asks for.
    pub(crate) fn check_param(&self, param: &Param<'a>) -> Result<(), ValueError> {
        let name = param.name;
        match name.len() {
            6 if name.eq_ignore_ascii_case("branch") => self.params.check_token(param),
            8 if name.eq_ignore_ascii_case("received") => self.address(param).map(drop),
            5 if name.eq_ignore_ascii_case("rport") => self.port(param).map(drop),
            5 if name.eq_ignore_ascii_case("maddr") => self.host(param).map(drop),
            3 if name.eq_ignore_ascii_case("ttl") => self.params.number_of(param, 255).map(drop),
            _ => Ok(()),
        }
    }
}

impl<'a> FieldValue<'a> for Via<'a> {
    #[inline]
    fn parse_value(v: &'a [u8]) -> Result<Self, ValueError> {
        let (sip, transport_at) = match v.strip_prefix(b"SIP/2.0/") {
            Some(_) => (true, 8),
            None => protocol(v)?,
        };
        let mut transport_end = scan::skip(v, transport_at, scan::TOKEN);
        let mut transport = v.get(transport_at..transport_end).unwrap_or_default();
        if transport.is_empty() {
            // White space behind the slash (`SLASH` of the grammar), or nothing.
            let at = scan::skip(v, transport_at, scan::LWS);
            transport_end = scan::skip(v, at, scan::TOKEN);
            transport = v.get(at..transport_end).unwrap_or_default();
            if transport.is_empty() {
                return Err(ValueError::new(ValueFault::Incomplete, at));
            }
        }
        let at = scan::skip(v, transport_end, scan::LWS);
        if at == transport_end {
            return Err(ValueError::new(ValueFault::Character, at));
        }
        let end = scan::find(v, at, b';').unwrap_or(v.len());
        let sent_by = scan::trim_end(v.get(at..end).unwrap_or_default());
        if sent_by.is_empty() {
            return Err(ValueError::new(ValueFault::Incomplete, at));
        }
        Ok(Via {
            sip,
            transport: ViaTransport::of(transport),
            sent_by,
            sent_by_offset: at,
            params: Params::new(v.get(end..).unwrap_or_default(), end),
        })
    }
}

/// The addresses of a field of one value without white space where none need be, which has a branch that is more than the cookie, or
/// none: that of the sent-by, and that of `received`. `None` says nothing of what is wrong, if anything is.
#[inline]
pub(crate) fn usual_addresses(v: &[u8]) -> Option<[Option<IpAddr>; 2]> {
    let transport = scan::skip(v.strip_prefix(b"SIP/2.0/")?, 0, scan::TOKEN);
    if transport == 0 || v.get(8 + transport) != Some(&b' ') {
        return None;
    }
    let (sent_by, end) = host_port::at(v, 9 + transport)?;
    let mut rest = v.get(end..)?;
    let (mut branch, mut received) = (false, None);
    while !rest.is_empty() {
        if let Some(value) = rest.strip_prefix(b";branch=") {
            let end = scan::token_end(value);
            // Of two, the first one counts, and whoever sends two is looked at closely.
            if end <= 7 || branch {
                return None;
            }
            branch = true;
            rest = value.get(end..)?;
        } else if let Some(value) = rest.strip_prefix(b";received=") {
            let (ip, end) = ipv4_at(value, 0)?;
            if received.is_some() {
                return None;
            }
            received = Some(IpAddr::V4(ip));
            rest = value.get(end..)?;
        } else {
            rest = rest.get(other_param(rest)?..)?;
        }
        if !matches!(rest.first(), None | Some(b';')) {
            return None;
        }
    }
    Some([sent_by, received])
}

/// Where the parameter ends that `v` begins with, `;name` or `;name=token`, unless it could be one of those that count.
#[inline]
fn other_param(v: &[u8]) -> Option<usize> {
    let name_end = match v {
        [b';', b'r', b'p', b'o', b'r', b't', ..] => 6,
        [b';', ..] => 1,
        _ => return None,
    };
    let name_end = scan::skip(v, name_end, scan::TOKEN);
    let name = v.get(1..name_end)?;
    let counts = match name.len() {
        0 => true,
        6 => name.eq_ignore_ascii_case(b"branch"),
        8 => name.eq_ignore_ascii_case(b"received"),
        _ => false,
    };
    if counts {
        return None;
    }
    match v.get(name_end) {
        Some(b'=') => Some(scan::skip(v, name_end + 1, scan::TOKEN)).filter(|end| *end > name_end + 1),
        _ => Some(name_end),
    }
}

/// Whether there is a host and maybe a port, without making text of them.
#[inline]
fn check_host_port(v: &[u8]) -> Result<(), ValueError> {
    if host_port::is_all_of(v) { Ok(()) } else { spaced_host_port(v).map(drop) }
}

/// A host and maybe a port, with white space around the colon if there is any (`COLON` of the grammar).
fn spaced_host_port(v: &[u8]) -> Result<(Host<'_>, Option<u16>), ValueError> {
    let trailing = |at| ValueError::new(ValueFault::Host, at);
    match host_port::parse_prefix(v) {
        Ok((host, port, end)) if end == v.len() => return Ok((host, port)),
        _ if v.iter().any(|&b| scan::is(b, scan::LWS)) => {}
        Ok((_, _, end)) => return Err(trailing(end)),
        Err(error) => return Err(error),
    }
    // The first colon outside of an IPv6 reference.
    let from = if v.first() == Some(&b'[') { memchr::memchr(b']', v).unwrap_or(0) } else { 0 };
    let colon = v.iter().skip(from).position(|&b| b == b':').map_or(v.len(), |at| from + at);
    let name = scan::trim_end(v.get(..colon).unwrap_or_default());
    let port = match v.get(colon + 1..) {
        None => None,
        Some(port) => {
            let number = scan::decimal(scan::trim(port)).and_then(|n| u16::try_from(n).ok());
            Some(number.ok_or(ValueError::new(ValueFault::Port, colon + 1))?)
        }
    };
    match host_port::parse_prefix(name)? {
        (host, None, end) if end == name.len() => Ok((host, port)),
        (_, _, end) => Err(trailing(end)),
    }
}

/// Reads the name and the version of a protocol with white space around the slashes: whether it is SIP/2.0, in any case, and where the transport
/// begins.
#[cold]
fn protocol(v: &[u8]) -> Result<(bool, usize), ValueError> {
    let (mut sip, mut at) = (true, 0);
    for part in ["SIP", "2.0"] {
        let end = scan::skip(v, at, scan::TOKEN);
        let token = v.get(at..end).unwrap_or_default();
        if token.is_empty() {
            return Err(ValueError::new(if v.is_empty() { ValueFault::Empty } else { ValueFault::Character }, at));
        }
        sip &= token.eq_ignore_ascii_case(part.as_bytes());
        at = scan::skip(v, end, scan::LWS);
        if v.get(at) != Some(&b'/') {
            return Err(ValueError::new(ValueFault::Character, at));
        }
        at = scan::skip(v, at + 1, scan::LWS);
    }
    Ok((sip, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(v: &str) -> Result<Via<'_>, ValueError> {
        Via::parse_value(v.as_bytes()).and_then(|via| via.check().map(|()| via))
    }

    #[test]
    fn white_space_around_the_parts_is_allowed() {
        let via = read("SIP  / 2.0\r\n /UDP\r\n    192.0.2.2 : 5060 ;branch = z9hG4bK1;rport").unwrap();
        assert_eq!(via.transport(), ViaTransport::Udp);
        assert_eq!(via.branch(), Ok(Some("z9hG4bK1")));
        assert_eq!(via.rport(), Ok(Some(None)));
        assert_eq!(via.sent_by().unwrap().1, Some(5060));
        for v in ["SIP/2.0/ UDP a", "SIP/2.0/\r\n UDP a", "SIP/2.0 /UDP a", "SIP/ 2.0/UDP a", "SIP/2.0/UDP\ta"] {
            assert_eq!(read(v).unwrap().transport(), ViaTransport::Udp, "{v:?}");
        }
    }

    #[test]
    fn received_takes_ipv6_with_and_without_brackets() {
        let v6: IpAddr = "2001:db8::9:255".parse().unwrap();
        for v in ["[2001:db8::9:255]", "2001:db8::9:255"] {
            let value = alloc::format!("SIP/2.0/UDP [2001:db8::9:1];received={v};branch=z9hG4bKas3-111");
            assert_eq!(read(&value).unwrap().received(), Ok(Some(v6)));
        }
    }

    #[test]
    fn malformed_values_are_refused() {
        for v in [
            "",
            "SIP/2.0/UDP",
            "SIP/2.0/UDP ",
            "SIP/2.0/ ",
            "SIP/2.0/ ;a",
            "SIP/2.0 UDP a",
            "/2.0/UDP a",
            "HTTP//UDP a",
            "SIP/2.0/UDP a b",
            "SIP/2.0/UDP a;;",
            "SIP/2.0/UDP a:70000",
            "SIP/2.0/UDP a:",
            "SIP/2.0/UDP ;branch=x",
            "SIP/2.0/UDP a;rport=x",
            "SIP/2.0/UDP a;received=b",
            "SIP/2.0/UDP a;ttl=256",
            "SIP/2.0/UDP a;branch",
            "SIP/2.0/UDP 2001:db8::1",
        ] {
            assert!(read(v).is_err(), "{v}");
        }
    }

    #[test]
    fn other_protocols_are_told_apart() {
        for v in ["SIP/2.0/UDP a", "sip/2.0/UDP a", "SIP / 2.0 / UDP a"] {
            assert!(read(v).unwrap().is_sip(), "{v}");
        }
        for v in ["SIP/3.0/UDP a", "HTTP/2.0/UDP a", "FOO / 2.0 / UDP a", "SIPS/2.0/UDP a"] {
            let via = read(v).unwrap();
            assert_eq!((via.is_sip(), via.transport()), (false, ViaTransport::Udp), "{v}");
        }
    }

    #[test]
    fn other_transports_are_kept() {
        assert_eq!(read("SIP/2.0/wss x.invalid").unwrap().transport(), ViaTransport::Wss);
        assert_eq!(read("SIP/2.0/UNKNOWN t.example.com").unwrap().transport(), ViaTransport::Other("UNKNOWN"));
    }
}
