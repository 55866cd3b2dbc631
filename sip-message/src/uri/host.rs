//! Hosts: names and addresses, in URIs and in Via alike.

use super::UriConfig;
use super::chars::{self, ALNUM};
use crate::error::{ValueError, ValueFault};
use crate::scan;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A host (`host` of RFC 3261 section 25.1, addresses as RFC 5954 corrected them).
///
/// Two hosts are equal if their addresses are, or their names without regard to case; a name never equals an
/// address. An IPv6 zone id cannot be written in SIP and is refused.
#[derive(Clone, Copy, Debug)]
pub enum Host<'a> {
    /// A domain name as it was written.
    Domain(&'a str),
    /// An IPv4 address.
    Ipv4(Ipv4Addr),
    /// An IPv6 address, in brackets in the text.
    Ipv6(Ipv6Addr),
}

impl<'a> Host<'a> {
    /// Reads a host and nothing else: a domain name, an IPv4 address, or an IPv6 address in brackets.
    ///
    /// # Errors
    ///
    /// It is none of these.
    pub fn parse(v: &'a [u8]) -> Result<Self, ValueError> {
        match parse(v, 0, &UriConfig::DEFAULT) {
            Ok((kind, end)) if end == v.len() => Ok(kind.host(v)),
            Ok((_, at)) | Err(at) => Err(ValueError::new(ValueFault::Host, at)),
        }
    }

    /// The address; `None` for a name.
    pub fn ip(&self) -> Option<IpAddr> {
        match *self {
            Host::Domain(_) => None,
            Host::Ipv4(ip) => Some(IpAddr::V4(ip)),
            Host::Ipv6(ip) => Some(IpAddr::V6(ip)),
        }
    }

    /// The name; `None` for an address.
    pub fn domain(&self) -> Option<&'a str> {
        match *self {
            Host::Domain(name) => Some(name),
            _ => None,
        }
    }
}

impl PartialEq for Host<'_> {
    //= https://www.rfc-editor.org/rfc/rfc5954#section-4.2
    //# If so, the host components are considered
    //# to match if the different textual representations yield the same
    //# binary IP address.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Host::Domain(a), Host::Domain(b)) => a.eq_ignore_ascii_case(b),
            _ => self.ip() == other.ip() && self.ip().is_some(),
        }
    }
}

impl Eq for Host<'_> {}

impl Hash for Host<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Host::Domain(name) => {
                for b in name.bytes() {
                    state.write_u8(b.to_ascii_lowercase());
                }
                state.write_u8(0xff);
            }
            Host::Ipv4(ip) => ip.hash(state),
            Host::Ipv6(ip) => ip.hash(state),
        }
    }
}

impl From<IpAddr> for Host<'_> {
    fn from(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Host::Ipv4(ip),
            IpAddr::V6(ip) => Host::Ipv6(ip),
        }
    }
}

/// As it stands in a URI: an IPv6 address in brackets and in the form of RFC 5952.
//= https://www.rfc-editor.org/rfc/rfc5954#section-5
//# Implementers SHOULD generate IPv6 text representation as defined in
//# RFC 5952 [5].
impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Domain(name) => f.write_str(name),
            Host::Ipv4(ip) => write!(f, "{ip}"),
            Host::Ipv6(ip) => write!(f, "[{ip}]"),
        }
    }
}

/// A host as part of an index: without the text of a name.
#[derive(Clone, Copy, Debug)]
pub(super) enum HostKind {
    Domain,
    Ipv4(Ipv4Addr),
    Ipv6(Ipv6Addr),
}

impl HostKind {
    /// The address; `None` for a name.
    #[inline]
    fn ip(self) -> Option<IpAddr> {
        match self {
            HostKind::Domain => None,
            HostKind::Ipv4(ip) => Some(IpAddr::V4(ip)),
            HostKind::Ipv6(ip) => Some(IpAddr::V6(ip)),
        }
    }

    /// The host; `text` is what it was read from.
    #[inline]
    pub(super) fn host(self, text: &[u8]) -> Host<'_> {
        match self {
            HostKind::Domain => Host::Domain(scan::text(text)),
            HostKind::Ipv4(ip) => Host::Ipv4(ip),
            HostKind::Ipv6(ip) => Host::Ipv6(ip),
        }
    }
}

/// Reads the host at `v[from]`; returns it and where it ends, or where the fault is.
//= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.2
//# Current
//# implementations MUST NOT attempt to improve robustness by treating
//# received escaped characters in the host component as literally
//# equivalent to their unescaped counterpart.
#[inline]
pub(super) fn parse(v: &[u8], from: usize, config: &UriConfig) -> Result<(HostKind, usize), usize> {
    match v.get(from) {
        Some(b'[') => return ipv6_reference(v, from, config),
        Some(b'0'..=b'9') => {
            // Most of what begins with a digit is an address. What goes on behind it as a name does is looked at as one.
            if let Some((ip, end)) = ipv4_at(v, from) {
                if !v.get(end).is_some_and(|&b| chars::is(b, ALNUM) || matches!(b, b'-' | b'_' | b'.')) {
                    return Ok((HostKind::Ipv4(ip), end));
                }
            }
        }
        _ => {}
    }
    let mut label = from;
    loop {
        let end = label_end(v, label, config)?;
        if v.get(end) != Some(&b'.') {
            return top_label(v, from, label, end, config);
        }
        // A dot may end the name; the label before it is the top label then.
        if !v.get(end + 1).is_some_and(|&b| chars::is(b, ALNUM) || matches!(b, b'-' | b'_' | b'.')) {
            return top_label(v, from, label, end, config).map(|(kind, end)| (kind, end + 1));
        }
        label = end + 1;
    }
}

/// Where the host at `v[from]` ends that has nothing, a port or parameters behind it; `None` says nothing.
#[inline]
pub(super) fn usual_end(v: &[u8], from: usize) -> Option<usize> {
    let end = match v.get(from)? {
        b'0'..=b'9' => ipv4_at(v, from)?.1,
        _ => parse(v, from, &UriConfig::DEFAULT).ok()?.1,
    };
    matches!(v.get(end), None | Some(b':' | b';')).then_some(end)
}

/// Where the label at `v[label]` ends, or where the fault is: it is not empty, and no hyphen begins or ends it.
#[inline(always)]
fn label_end(v: &[u8], label: usize, config: &UriConfig) -> Result<usize, usize> {
    let mut at = label;
    loop {
        at = chars::alnum_end(v, at);
        match v.get(at) {
            Some(b'-') if at != label => at += 1,
            Some(b'_') if config.loose_domains => at += 1,
            _ if at == label || v.get(at - 1) == Some(&b'-') => return Err(at),
            _ => return Ok(at),
        }
    }
}

/// Decides by the label `v[label..end]`, the last of the host that began at `from`, between name and address.
//= https://www.rfc-editor.org/rfc/rfc5954#section-4.1
//# the
//# <IPv6address> and <IPv4address> production rules from RFC 3261 MUST
//# NOT be used and instead, the production rules of the same name in RFC
//# 3986 (and reproduced above) MUST be used.
#[inline]
fn top_label(v: &[u8], from: usize, label: usize, end: usize, config: &UriConfig) -> Result<(HostKind, usize), usize> {
    let top = v.get(label..end).unwrap_or_default();
    if top.first().is_some_and(u8::is_ascii_alphabetic) {
        return Ok((HostKind::Domain, end));
    }
    if top.iter().all(u8::is_ascii_digit) {
        // A number ends addresses alone, and one that is an address has been read as such: no dot may follow it.
        return Err(from);
    }
    if config.loose_domains { Ok((HostKind::Domain, end)) } else { Err(label) }
}

/// `IPv4address` of RFC 3986 at `v[from]`, four numbers up to 255 without leading zeros, and where it ends.
#[inline]
pub(crate) fn ipv4_at(v: &[u8], from: usize) -> Option<(Ipv4Addr, usize)> {
    let digit = |at: usize| v.get(at).map(|b| b.wrapping_sub(b'0')).filter(|&digit| digit < 10).map(u32::from);
    let mut address = 0;
    let mut at = from;
    for n in 0..4 {
        if n > 0 {
            v.get(at).filter(|&&b| b == b'.')?;
            at += 1;
        }
        let mut octet = digit(at)?;
        at += 1;
        if let Some(second) = digit(at) {
            if octet == 0 {
                return None;
            }
            octet = octet * 10 + second;
            at += 1;
            if let Some(third) = digit(at) {
                octet = octet * 10 + third;
                at += 1;
                if octet > 255 {
                    return None;
                }
            }
        }
        address = address << 8 | octet;
    }
    Some((Ipv4Addr::from_bits(address), at))
}

/// `IPv6reference` at `v[from]`.
fn ipv6_reference(v: &[u8], from: usize, config: &UriConfig) -> Result<(HostKind, usize), usize> {
    let rest = v.get(from + 1..).unwrap_or_default();
    let len = rest.iter().position(|&b| b == b']').ok_or(from)?;
    let text = rest.get(..len).unwrap_or_default();
    let ip = scan::text(text).parse().ok().or_else(|| config.extra_ipv6_colon.then(|| three_colons(text)).flatten());
    ip.map(|ip| (HostKind::Ipv6(ip), from + 1 + len + 1)).ok_or(from)
}

/// An address whose dotted part stands behind three colons, without the extra colon.
#[cold]
fn three_colons(text: &[u8]) -> Option<Ipv6Addr> {
    const LONGEST: usize = "0000:0000:0000:0000:0000:0000:255.255.255.255".len() + 1;
    let at = text.windows(3).position(|w| w == b":::")?;
    let (before, after) = (text.get(..at)?, text.get(at + 1..)?);
    let dotted = after.get(2..)?;
    if text.len() > LONGEST || !dotted.contains(&b'.') || dotted.contains(&b':') {
        return None;
    }
    let mut fixed = [0u8; LONGEST];
    fixed.get_mut(..at)?.copy_from_slice(before);
    fixed.get_mut(at..text.len() - 1)?.copy_from_slice(after);
    scan::text(fixed.get(..text.len() - 1)?).parse().ok()
}

/// Reads `:port` at `v[from]`, if there is one; returns it and where it ends, or where the fault is.
#[inline]
pub(super) fn port(v: &[u8], from: usize) -> Result<(Option<u16>, usize), usize> {
    if v.get(from) != Some(&b':') {
        return Ok((None, from));
    }
    let mut port: u32 = 0;
    let mut at = from + 1;
    while let Some(digit @ b'0'..=b'9') = v.get(at) {
        port = port * 10 + u32::from(digit - b'0');
        if port > 0xffff {
            return Err(from + 1);
        }
        at += 1;
    }
    if at == from + 1 { Err(at) } else { Ok((Some(port as u16), at)) }
}

pub(crate) mod host_port {
    use super::{Host, IpAddr, UriConfig, ValueError, ValueFault, parse, port};

    /// The host at `v[from]`, and where it and the port ends that may stand behind it; `None` if there is no such thing.
    #[inline]
    pub(crate) fn at(v: &[u8], from: usize) -> Option<(Option<IpAddr>, usize)> {
        let (kind, end) = parse(v, from, &UriConfig::DEFAULT).ok()?;
        let (_, end) = port(v, end).ok()?;
        Some((kind.ip(), end))
    }

    /// Whether all of `v` is `host[:port]`.
    #[inline]
    pub(crate) fn is_all_of(v: &[u8]) -> bool {
        let end = parse(v, 0, &UriConfig::DEFAULT).and_then(|(_, end)| port(v, end));
        end.is_ok_and(|(_, end)| end == v.len())
    }

    /// Reads `host[:port]` from the front; the third field is how many bytes it took.
    #[inline]
    pub(crate) fn parse_prefix(v: &[u8]) -> Result<(Host<'_>, Option<u16>, usize), ValueError> {
        let (kind, end) = parse(v, 0, &UriConfig::DEFAULT).map_err(|at| ValueError::new(ValueFault::Host, at))?;
        let (port, after) = port(v, end).map_err(|at| ValueError::new(ValueFault::Port, at))?;
        Ok((kind.host(v.get(..end).unwrap_or_default()), port, after))
    }
}
