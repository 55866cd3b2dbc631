//! URIs as they stand in a message: `sip:` and `sips:` (RFC 3261 section 19.1) and every other scheme.

use crate::error::{ValueError, ValueFault};

/// A URI, borrowed from the message.
#[derive(Clone, Copy, Debug)]
pub struct Uri<'a>(&'a [u8]);

/// Why a URI was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UriError {
    /// Byte offset into the URI.
    pub offset: usize,
}

impl<'a> Uri<'a> {
    /// Reads a URI.
    ///
    /// # Errors
    /// When the text is empty or holds a space.
    pub fn parse(v: &'a [u8]) -> Result<Self, UriError> {
        if v.is_empty() || v.contains(&b' ') { Err(UriError { offset: 0 }) } else { Ok(Uri(v)) }
    }

    /// The URI as it stands.
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.0
    }
}

/// A host of a URI or Via.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host<'a> {
    /// A domain name, or what looks like one.
    Domain(&'a str),
}

pub(crate) mod host_port {
    use super::{Host, ValueError, ValueFault};

    /// Reads `host[:port]` from the front; the third field is how many bytes it took.
    pub(crate) fn parse_prefix(v: &[u8]) -> Result<(Host<'_>, Option<u16>, usize), ValueError> {
        let colon = v.iter().position(|&b| b == b':').unwrap_or(v.len());
        let host = Host::Domain(core::str::from_utf8(&v[..colon]).unwrap_or(""));
        if colon == v.len() {
            return Ok((host, None, v.len()));
        }
        let port = crate::scan::decimal(&v[colon + 1..]).and_then(|n| u16::try_from(n).ok());
        Ok((host, Some(port.ok_or(ValueError::new(ValueFault::Port, colon))?), v.len()))
    }
}
