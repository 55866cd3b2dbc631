//! `tel:` URIs (RFC 3966).

use super::chars::{self, ALNUM, PARAM, PHONE, URIC};
use super::host::{self, HostKind};
use super::params::{self, UriParam, UriParams};
use super::{Escaped, UriConfig, UriError, UriFault};
use crate::scan;
use core::fmt;

/// A `tel:` URI, borrowed.
#[derive(Clone, Copy)]
pub struct TelUri<'a> {
    bytes: &'a [u8],
    pub(super) parts: TelParts,
}

/// Where the components of a tel URI lie.
#[derive(Clone, Copy, Debug)]
pub(super) struct TelParts {
    number_end: u16,
}

const SCHEME: usize = "tel:".len();

impl TelParts {
    /// Reads a URI that begins with `tel:`.
    pub(super) fn parse(v: &[u8], config: &UriConfig) -> Result<Self, UriError> {
        let number_end = v.iter().skip(SCHEME).position(|&b| b == b';').map_or(v.len(), |at| SCHEME + at);
        let number = v.get(SCHEME..number_end).unwrap_or_default();
        let bad = number.iter().position(|&b| b != b'+' && !chars::is(b, PHONE)).unwrap_or(0);
        if !is_global(number) && !is_local(number) {
            return Err(UriError::new(UriFault::Number, SCHEME + bad));
        }
        parse_params(v, number_end, config)?;
        let uri = TelUri { bytes: v, parts: TelParts { number_end: number_end as u16 } };
        //= https://www.rfc-editor.org/rfc/rfc3966#section-5.1.5
        //# Local numbers MUST have a 'phone-context' parameter that identifies
        //# the scope of their validity.
        if !uri.is_global() && uri.context().is_none() {
            return Err(UriError::new(UriFault::Context, v.len()));
        }
        Ok(uri.parts)
    }

    pub(super) fn uri(self, bytes: &[u8]) -> TelUri<'_> {
        TelUri { bytes, parts: self }
    }
}

/// `global-number-digits`: `+` and digits, separators between them.
fn is_global(v: &[u8]) -> bool {
    match v {
        [b'+', digits @ ..] => {
            digits.iter().all(|&b| b.is_ascii_digit() || is_separator(b)) && digits.iter().any(u8::is_ascii_digit)
        }
        _ => false,
    }
}

/// `local-number-digits`: hexadecimal digits, `*`, `#`, and separators between them.
fn is_local(v: &[u8]) -> bool {
    v.iter().all(|&b| chars::is(b, PHONE)) && v.iter().any(|&b| !is_separator(b))
}

/// `visual-separator`.
pub(super) fn is_separator(b: u8) -> bool {
    matches!(b, b'-' | b'.' | b'(' | b')')
}

fn parse_params(v: &[u8], from: usize, config: &UriConfig) -> Result<(), UriError> {
    let error = |at| Err(UriError::new(UriFault::Param, at));
    let mut at = from;
    let mut count = 0;
    while v.get(at) == Some(&b';') {
        let name_at = at + 1;
        at = name_at;
        while v.get(at).is_some_and(|&b| chars::is(b, ALNUM) || b == b'-') {
            at += 1;
        }
        let name = v.get(name_at..at).unwrap_or_default();
        let mut value = None;
        if v.get(at) == Some(&b'=') {
            let value_at = at + 1;
            at = chars::run(v, value_at, PARAM);
            if name.eq_ignore_ascii_case(b"isub") {
                // 1*uric. A semicolon is one too, but would leave no way to end the value.
                while v.get(at).is_some_and(|&b| b != b';' && chars::is(b, URIC)) {
                    at = chars::run(v, at + 1, PARAM);
                }
            }
            value = v.get(value_at..at);
        }
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        let valid = match value {
            None => !is("isub") && !is("ext") && !is("phone-context"),
            Some(value) if is("ext") => value.iter().all(|&b| b.is_ascii_digit() || is_separator(b)),
            Some(value) if is("phone-context") => is_global(value) || is_domain(value, config),
            Some(_) => true,
        };
        if name.is_empty() || !valid || value.is_some_and(<[u8]>::is_empty) {
            return error(name_at);
        }
        count += 1;
    }
    if at != v.len() {
        return Err(UriError::stopped_at(v, at));
    }
    //= https://www.rfc-editor.org/rfc/rfc3966#section-3
    //# Each parameter name ("pname"), the ISDN subaddress, the 'extension',
    //# and the 'context' MUST NOT appear more than once.
    params::no_repeats(v.get(from..).unwrap_or_default(), count, from)?;
    // At most one of the two may be there (section 5.3).
    let params = UriParams(v.get(from..).unwrap_or_default());
    if params.has("isub") && params.has("ext") { error(from) } else { Ok(()) }
}

fn is_domain(v: &[u8], config: &UriConfig) -> bool {
    matches!(host::parse(v, 0, config), Ok((HostKind::Domain, end)) if end == v.len())
}

/// Where a local telephone number is valid: its `phone-context`.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum PhoneContext<'a> {
    /// The leading digits of a global number, `+` included, as they were written.
    Global(&'a str),
    /// A domain name.
    Domain(&'a str),
}

impl<'a> TelUri<'a> {
    /// The URI as it was written.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The URI as it was written.
    pub fn as_str(&self) -> &'a str {
        scan::text(self.bytes)
    }

    /// The number as it was written, with visual separators and the `+` of a global number.
    pub fn number(&self) -> &'a str {
        scan::text(self.number_bytes())
    }

    fn number_bytes(&self) -> &'a [u8] {
        self.bytes.get(SCHEME..usize::from(self.parts.number_end)).unwrap_or_default()
    }

    /// The number without visual separators, what a call is placed with.
    pub fn digits(&self) -> impl Iterator<Item = char> + Clone + use<'a> {
        self.number_bytes().iter().filter(|&&b| !is_separator(b)).map(|&b| char::from(b))
    }

    /// Whether the number is global: with `+` and country code.
    pub fn is_global(&self) -> bool {
        self.number_bytes().first() == Some(&b'+')
    }

    /// The `phone-context`, which every local number has.
    pub fn context(&self) -> Option<PhoneContext<'a>> {
        let value = self.params().value("phone-context")?.as_str();
        Some(if value.starts_with('+') { PhoneContext::Global(value) } else { PhoneContext::Domain(value) })
    }

    /// The extension behind a PBX.
    pub fn ext(&self) -> Option<&'a str> {
        Some(self.params().value("ext")?.as_str())
    }

    /// The ISDN subaddress.
    pub fn isub(&self) -> Option<Escaped<'a>> {
        self.params().value("isub")
    }

    /// All parameters.
    pub fn params(&self) -> UriParams<'a> {
        UriParams(self.bytes.get(usize::from(self.parts.number_end)..).unwrap_or_default())
    }

    /// The mandatory parameters: those whose name begins with `m-`. Who does not understand each of them must not
    /// use the URI.
    //= https://www.rfc-editor.org/rfc/rfc3966#section-5.4
    //# An
    //# implementation MAY ignore optional parameters and MUST NOT use the
    //# URI if it contains unknown mandatory parameters.
    pub fn mandatory_params(&self) -> impl Iterator<Item = UriParam<'a>> + Clone + use<'a> {
        self.params().filter(|param| param.name.0.get(..2).is_some_and(|m| m.eq_ignore_ascii_case(b"m-")))
    }
}

impl fmt::Display for TelUri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for TelUri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TelUri({self})")
    }
}
