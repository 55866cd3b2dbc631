//! URIs as they stand in a message: `sip:` and `sips:` (RFC 3261 section 19.1), `tel:` (RFC 3966), `urn:`, and every
//! other scheme.
//!
//! [`Uri`] reads one, in one pass that allocates nothing; components are taken apart when asked for. [`UriBuf`] keeps one,
//! and builds SIP URIs. [`Uri::equivalent`] compares by the rules of each scheme, [`Uri::hash_canonical`] agrees with
//! it, and [`SipUri::address_of_record`] is the key under which a registrar files a user. Nothing here touches a message
//! or resolves a name.

mod build;
mod chars;
mod compare;
mod error;
mod escaped;
mod form;
mod host;
mod other;
mod params;
mod sip;
mod tel;

pub use build::{SipUriBuilder, UriBuf};
pub use error::{UriError, UriFault};
pub use escaped::Escaped;
pub use host::Host;
pub(crate) use host::{host_port, ipv4_at};
pub use other::{OtherUri, UrnUri};
pub use params::{UriHeader, UriHeaders, UriParam, UriParams};
pub use sip::{SipUri, UriTransport};
pub use tel::{PhoneContext, TelUri};

use crate::scan;
use core::fmt;
use sip::SipParts;
use tel::TelParts;

/// A URI, borrowed from the text it was read from.
///
/// ```
/// use sip_message::Uri;
///
/// let uri = Uri::parse(b"sip:alice@atlanta.com:5070;transport=tcp;lr")?;
/// let sip = uri.as_sip().ok_or("not a SIP URI")?;
/// assert!(sip.user().is_some_and(|user| user.eq_text("alice")));
/// assert_eq!((sip.host_str(), sip.port(), sip.lr()), ("atlanta.com", Some(5070), true));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Uri<'a> {
    /// `sip:` or `sips:`.
    Sip(SipUri<'a>),
    /// `tel:`
    Tel(TelUri<'a>),
    /// `urn:`
    Urn(UrnUri<'a>),
    /// Any other scheme.
    Other(OtherUri<'a>),
}

/// What else than the grammar to accept in a URI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UriConfig {
    /// Host names with underscores, and host names whose last label begins with a digit without being a number: the
    /// names that container and service systems make up. On by default.
    pub loose_domains: bool,
    /// `#` in the user of a SIP URI, which should be `%23` but is what telephones send for a service code. On by
    /// default.
    pub hash_in_user: bool,
    /// Three colons before the dotted part of an IPv6 address, an error of the RFC 3261 grammar that RFC 5118 section
    /// 4.10 asks to tolerate: the extra colon is ignored. On by default.
    pub extra_ipv6_colon: bool,
}

impl UriConfig {
    /// The default: the leniencies that cannot be misunderstood.
    pub const DEFAULT: UriConfig = UriConfig { loose_domains: true, hash_in_user: true, extra_ipv6_colon: true };

    /// The grammar and nothing else.
    pub const STRICT: UriConfig = UriConfig { loose_domains: false, hash_in_user: false, extra_ipv6_colon: false };
}

impl Default for UriConfig {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What a URI is: all of it but the bytes.
#[derive(Clone, Copy, Debug)]
enum Parts {
    Sip(SipParts),
    Tel(TelParts),
    Urn { nid_end: u16 },
    Other { scheme_end: u16 },
}

impl Parts {
    #[inline]
    fn parse(v: &[u8], config: &UriConfig) -> Result<Self, UriError> {
        if v.len() > usize::from(u16::MAX) {
            return Err(UriError::new(UriFault::TooLong, usize::from(u16::MAX)));
        }
        match v {
            [b's', b'i', b'p', b':', ..] => SipParts::parse(v, 4, false, config).map(Parts::Sip),
            [b's', b'i', b'p', b's', b':', ..] => SipParts::parse(v, 5, true, config).map(Parts::Sip),
            _ => Self::other(v, config),
        }
    }

    fn other(v: &[u8], config: &UriConfig) -> Result<Self, UriError> {
        if v.is_empty() {
            return Err(UriError::new(UriFault::Empty, 0));
        }
        let end = v.iter().position(|&b| !(b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.')));
        let end = end.unwrap_or(v.len());
        let scheme = v.get(..end).unwrap_or_default();
        if v.get(end) != Some(&b':') || !scheme.first().is_some_and(u8::is_ascii_alphabetic) {
            return Err(UriError::new(UriFault::Scheme, end));
        }
        let is = |known: &str| scheme.eq_ignore_ascii_case(known.as_bytes());
        if is("sip") || is("sips") {
            SipParts::parse(v, end + 1, is("sips"), config).map(Parts::Sip)
        } else if is("tel") {
            TelParts::parse(v, config).map(Parts::Tel)
        } else if is("urn") {
            UrnUri::parse(v).map(|nid_end| Parts::Urn { nid_end })
        } else {
            other::opaque(v, end + 1)?;
            Ok(Parts::Other { scheme_end: end as u16 })
        }
    }

    fn of(uri: &Uri<'_>) -> Self {
        match uri {
            Uri::Sip(uri) => Parts::Sip(uri.parts),
            Uri::Tel(uri) => Parts::Tel(uri.parts),
            Uri::Urn(uri) => Parts::Urn { nid_end: uri.nid_end },
            Uri::Other(uri) => Parts::Other { scheme_end: uri.scheme_end },
        }
    }

    #[inline]
    fn uri(self, bytes: &[u8]) -> Uri<'_> {
        match self {
            Parts::Sip(parts) => Uri::Sip(parts.uri(bytes)),
            Parts::Tel(parts) => Uri::Tel(parts.uri(bytes)),
            Parts::Urn { nid_end } => Uri::Urn(UrnUri::new(bytes, nid_end)),
            Parts::Other { scheme_end } => Uri::Other(OtherUri::new(bytes, scheme_end)),
        }
    }
}

impl<'a> Uri<'a> {
    /// Reads a URI and nothing else: no brackets, no white space around it.
    ///
    /// Allocates nothing unless the URI has more than 32 parameters.
    ///
    /// # Errors
    ///
    /// The URI is malformed for its scheme.
    #[inline]
    pub fn parse(v: &'a [u8]) -> Result<Self, UriError> {
        Self::parse_with(v, &UriConfig::DEFAULT)
    }

    /// Like [`parse`](Uri::parse), with other leniencies than the default ones.
    ///
    /// # Errors
    ///
    /// As [`parse`](Uri::parse).
    #[inline]
    pub fn parse_with(v: &'a [u8], config: &UriConfig) -> Result<Self, UriError> {
        Ok(Parts::parse(v, config)?.uri(v))
    }

    /// Whether [`parse`](Uri::parse) reads `v`, without doing it if that can be told.
    pub(crate) fn check(v: &[u8]) -> Result<(), UriError> {
        if sip::is_usual(v) { Ok(()) } else { Parts::parse(v, &UriConfig::DEFAULT).map(drop) }
    }

    /// The URI as it was written.
    #[inline]
    pub fn as_bytes(&self) -> &'a [u8] {
        match self {
            Uri::Sip(uri) => uri.as_bytes(),
            Uri::Tel(uri) => uri.as_bytes(),
            Uri::Urn(uri) => uri.as_bytes(),
            Uri::Other(uri) => uri.as_bytes(),
        }
    }

    /// The URI as it was written.
    pub fn as_str(&self) -> &'a str {
        scan::text(self.as_bytes())
    }

    /// The scheme: in lower case if it is one of those known here, else as it was written.
    pub fn scheme(&self) -> &'a str {
        match self {
            Uri::Sip(uri) => uri.scheme(),
            Uri::Tel(_) => "tel",
            Uri::Urn(_) => "urn",
            Uri::Other(uri) => uri.scheme(),
        }
    }

    /// The `sip:` or `sips:` URI, if it is one.
    #[inline]
    pub fn as_sip(&self) -> Option<&SipUri<'a>> {
        match self {
            Uri::Sip(uri) => Some(uri),
            _ => None,
        }
    }
}

impl fmt::Display for Uri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Uri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uri({self})")
    }
}
