//! URNs and URIs of schemes that SIP does not know.

use super::chars::{self, ALNUM, URIC};
use super::{UriError, UriFault};
use crate::scan;
use core::fmt;

/// A `urn:` URI, borrowed: `urn:service:sos` (RFC 5031), `urn:uuid:...` and others.
#[derive(Clone, Copy)]
pub struct UrnUri<'a> {
    bytes: &'a [u8],
    pub(super) nid_end: u16,
}

const URN: usize = "urn:".len();

impl<'a> UrnUri<'a> {
    /// Where the namespace identifier of a URI that begins with `urn:` ends.
    pub(super) fn parse(v: &[u8]) -> Result<u16, UriError> {
        let len = v.iter().skip(URN).position(|&b| b == b':').ok_or(UriError::new(UriFault::Namespace, v.len()))?;
        if !is_label(v.get(URN..URN + len).unwrap_or_default(), 32) {
            return Err(UriError::new(UriFault::Namespace, URN));
        }
        opaque(v, URN + len + 1)?;
        Ok((URN + len) as u16)
    }

    pub(super) fn new(bytes: &'a [u8], nid_end: u16) -> Self {
        UrnUri { bytes, nid_end }
    }

    /// The URI as it was written.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The URI as it was written.
    pub fn as_str(&self) -> &'a str {
        scan::text(self.bytes)
    }

    /// The namespace identifier as it was written: `service` or `uuid`, in any case.
    pub fn namespace(&self) -> &'a str {
        scan::text(self.bytes.get(URN..usize::from(self.nid_end)).unwrap_or_default())
    }

    /// What is specific to the namespace: all behind the second colon.
    pub fn specific(&self) -> &'a str {
        scan::text(self.bytes.get(usize::from(self.nid_end) + 1..).unwrap_or_default())
    }

    /// The service of a well-formed service URN (RFC 5031) as it was written: `sos.fire` of `urn:service:sos.fire`.
    pub fn service(&self) -> Option<&'a str> {
        let labels = || self.specific().as_bytes().split(|&b| b == b'.');
        let service = self.namespace().eq_ignore_ascii_case("service")
            && labels().next().is_some_and(|top| is_label(top, 27))
            && labels().skip(1).all(|sub| is_label(sub, usize::MAX));
        service.then(|| self.specific())
    }

    /// Whether this is an emergency service: `urn:service:sos` or one below it.
    pub fn is_emergency(&self) -> bool {
        let top = self.service().and_then(|service| service.split('.').next());
        top.is_some_and(|top| top.eq_ignore_ascii_case("sos"))
    }
}

/// Letters, digits and hyphens, a hyphen neither first nor last.
fn is_label(v: &[u8], longest: usize) -> bool {
    let ends = v.first().zip(v.last()).is_some_and(|(&a, &b)| a != b'-' && b != b'-');
    ends && v.len() <= longest && v.iter().all(|&b| chars::is(b, ALNUM) || b == b'-')
}

/// Checks that `v[from..]` is one or more characters a URI may hold.
pub(super) fn opaque(v: &[u8], from: usize) -> Result<(), UriError> {
    match chars::run(v, from, URIC) {
        end if end != v.len() => Err(UriError::stopped_at(v, end)),
        end if end == from => Err(UriError::new(UriFault::Scheme, end)),
        _ => Ok(()),
    }
}

/// A URI of any other scheme (`absoluteURI` of RFC 3261 section 25.1), kept as it is.
#[derive(Clone, Copy)]
pub struct OtherUri<'a> {
    bytes: &'a [u8],
    pub(super) scheme_end: u16,
}

impl<'a> OtherUri<'a> {
    pub(super) fn new(bytes: &'a [u8], scheme_end: u16) -> Self {
        OtherUri { bytes, scheme_end }
    }

    /// The URI as it was written.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The URI as it was written.
    pub fn as_str(&self) -> &'a str {
        scan::text(self.bytes)
    }

    /// The scheme as it was written, without colon.
    pub fn scheme(&self) -> &'a str {
        scan::text(self.bytes.get(..usize::from(self.scheme_end)).unwrap_or_default())
    }

    /// What follows the colon behind the scheme.
    pub fn rest(&self) -> &'a str {
        scan::text(self.bytes.get(usize::from(self.scheme_end) + 1..).unwrap_or_default())
    }
}

macro_rules! shown_as_written {
    ($($name:ident)*) => {$(
        impl fmt::Display for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    )*};
}

shown_as_written!(UrnUri OtherUri);
