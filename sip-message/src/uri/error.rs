//! What can be wrong with a URI, as data.

use core::fmt;

/// What is wrong with a URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UriFault {
    /// Nothing at all.
    Empty,
    /// Longer than 65,535 bytes, the length of the longest header line.
    TooLong,
    /// No scheme before a colon, or nothing behind it.
    Scheme,
    /// The `@` has no user before it.
    User,
    /// The host is neither a name nor an address.
    Host,
    /// The port is not 0 to 65,535.
    Port,
    /// A parameter is malformed, or there twice.
    Param,
    /// A header is malformed.
    Header,
    /// A `%` without two hexadecimal digits behind it.
    Escape,
    /// A character that must not stand here, at least not unescaped.
    Character,
    /// Not a telephone number.
    Number,
    /// A local telephone number without the `phone-context` that says where it is valid.
    Context,
    /// The namespace of a URN is malformed.
    Namespace,
}

impl fmt::Display for UriFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            UriFault::Empty => "empty",
            UriFault::TooLong => "too long",
            UriFault::Scheme => "no scheme",
            UriFault::User => "no user before the @",
            UriFault::Host => "not a valid host",
            UriFault::Port => "not a valid port",
            UriFault::Param => "a malformed or repeated parameter",
            UriFault::Header => "a malformed header",
            UriFault::Escape => "a % that is not an escape",
            UriFault::Character => "a character that must be escaped",
            UriFault::Number => "not a telephone number",
            UriFault::Context => "a local number without phone-context",
            UriFault::Namespace => "not a URN namespace",
        })
    }
}

/// Why a URI was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UriError {
    /// What is wrong.
    pub kind: UriFault,
    /// Where, in bytes from the start of the URI.
    pub offset: usize,
}

impl UriError {
    pub(super) const fn new(kind: UriFault, offset: usize) -> Self {
        UriError { kind, offset }
    }

    /// A fault at a byte that ends a component and may not.
    pub(super) fn stopped_at(v: &[u8], offset: usize) -> Self {
        let kind = if v.get(offset) == Some(&b'%') { UriFault::Escape } else { UriFault::Character };
        UriError { kind, offset }
    }
}

impl fmt::Display for UriError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (byte {})", self.kind, self.offset)
    }
}

impl core::error::Error for UriError {}
