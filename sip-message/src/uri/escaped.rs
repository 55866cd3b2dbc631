//! Components of a URI, with `%` escapes in them.

use super::chars::{self, Units};
use crate::scan;
use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::fmt;

/// A component of a URI as it was written, `%` escapes included.
///
/// Two of them are equal if they mean the same to RFC 3261 section 19.1.4: a character outside the reserved set
/// equals its escape, case matters. To compare with plain text, see [`eq_text`](Escaped::eq_text).
#[derive(Clone, Copy)]
pub struct Escaped<'a>(pub(super) &'a [u8]);

impl<'a> Escaped<'a> {
    /// As it was written.
    #[inline]
    pub fn as_str(self) -> &'a str {
        scan::text(self.0)
    }

    /// As it was written, in bytes.
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// Whether there is nothing.
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The octets with escapes resolved, once: `%2541` is `%41`. Borrowed unless there are escapes.
    pub fn decoded(self) -> Cow<'a, [u8]> {
        if self.0.contains(&b'%') { Cow::Owned(self.octets().collect::<Vec<u8>>()) } else { Cow::Borrowed(self.0) }
    }

    /// The text with escapes resolved; `None` if it is not UTF-8 then.
    pub fn decoded_str(self) -> Option<Cow<'a, str>> {
        match self.decoded() {
            Cow::Borrowed(v) => core::str::from_utf8(v).ok().map(Cow::Borrowed),
            Cow::Owned(v) => alloc::string::String::from_utf8(v).ok().map(Cow::Owned),
        }
    }

    /// The octets with escapes resolved, one by one.
    pub fn octets(self) -> impl Iterator<Item = u8> + Clone + 'a {
        Units(self.0).map(|unit| unit as u8)
    }

    /// Whether the resolved octets are those of `text`.
    pub fn eq_text(self, text: &str) -> bool {
        self.0 == text.as_bytes() || self.octets().eq(text.bytes())
    }

    /// Whether the resolved octets are those of `text` without regard to case.
    #[inline]
    pub fn eq_ignore_case(self, text: &str) -> bool {
        self.0.eq_ignore_ascii_case(text.as_bytes())
            || self.0.contains(&b'%')
                && self.octets().map(|b| b.to_ascii_lowercase()).eq(text.bytes().map(|b| b.to_ascii_lowercase()))
    }
}

impl PartialEq for Escaped<'_> {
    fn eq(&self, other: &Self) -> bool {
        chars::same(self.0, other.0)
    }
}

impl Eq for Escaped<'_> {}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}
