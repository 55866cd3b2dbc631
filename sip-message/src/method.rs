//! Request methods.

use crate::scan;
use core::fmt;

macro_rules! methods {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)*) => {
        /// A request method (RFC 3261 section 7.1). Methods are case-sensitive; an unknown one is kept as it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Method<'a> {
            $($(#[$doc])* $variant,)*
            /// Any other method, a `token`.
            Other(&'a str),
        }

        impl<'a> Method<'a> {
            /// The method as it stands in a message.
            pub fn as_str(&self) -> &'a str {
                match self {
                    $(Method::$variant => $text,)*
                    Method::Other(text) => text,
                }
            }

            /// Reads a method; `None` if `text` is not a `token`.
            pub fn parse(text: &'a [u8]) -> Option<Self> {
                match MethodTag::lookup(text) {
                    MethodTag::Other => scan::all(text, scan::TOKEN).then(|| Method::Other(scan::text(text))),
                    tag => Some(tag.method(text)),
                }
            }
        }

        impl<'a> Method<'a> {
            /// Reads the method that `v` ends with, from `v[at]` on.
            #[inline]
            pub(crate) fn parse_from(v: &'a [u8], at: usize) -> Option<Self> {
                match MethodTag::lookup_suffix(v, at) {
                    MethodTag::Other => Method::parse(v.get(at..)?),
                    tag => Some(tag.method(&[])),
                }
            }
        }

        /// The index form of a [`Method`]: which one, without its text.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum MethodTag {
            $($variant,)*
            Other,
        }

        impl MethodTag {
            /// The method of this tag; `text` is its text, used for [`MethodTag::Other`] only.
            pub(crate) fn method<'a>(self, text: &'a [u8]) -> Method<'a> {
                match self {
                    $(MethodTag::$variant => Method::$variant,)*
                    MethodTag::Other => Method::Other(scan::text(text)),
                }
            }

            pub(crate) fn lookup(text: &[u8]) -> Self {
                packed(text).map_or(MethodTag::Other, MethodTag::of_packed)
            }

            /// The method that the first `len` bytes of `line` are.
            #[inline]
            pub(crate) fn lookup_prefix(line: &[u8], len: usize) -> Self {
                match line.first_chunk() {
                    Some(chunk) if len < 8 => {
                        let text = u64::from_le_bytes(*chunk) & ((1 << (len * 8)) - 1);
                        MethodTag::of_packed([text | (len as u64) << (len * 8), 0])
                    }
                    _ => MethodTag::lookup(line.get(..len).unwrap_or_default()),
                }
            }

            /// The method that `v` ends with, from `v[at]` on, if that is looked up in one step; `Other` says nothing.
            #[inline]
            fn lookup_suffix(v: &[u8], at: usize) -> Self {
                match (v.last_chunk(), v.len().saturating_sub(at)) {
                    (Some(last), len @ 1..8) => {
                        let text = u64::from_le_bytes(*last) >> (64 - len * 8);
                        MethodTag::of_packed([text | (len as u64) << (len * 8), 0])
                    }
                    _ => MethodTag::Other,
                }
            }

            #[inline]
            fn of_packed(packed: [u64; 2]) -> Self {
                $(const $variant: [u64; 2] = pack($text.as_bytes());)*
                #[allow(non_upper_case_globals)]
                match packed {
                    $($variant => MethodTag::$variant,)*
                    _ => MethodTag::Other,
                }
            }
        }
    };
}

/// Up to 15 bytes and their length as two numbers, so that a method is found by integer comparison.
const fn pack(text: &[u8]) -> [u64; 2] {
    let mut n = text.len() as u128;
    let mut i = text.len();
    while i > 0 {
        i -= 1;
        n = n << 8 | text[i] as u128;
    }
    [n as u64, (n >> 64) as u64]
}

/// What [`pack`] makes of a text that comes in, in a few steps; `None` if it is too long.
#[inline]
fn packed(text: &[u8]) -> Option<[u64; 2]> {
    let len = text.len();
    if len >= 8 {
        let (first, last) = (text.first_chunk()?, text.last_chunk()?);
        if len > 15 {
            return None;
        }
        // What both hold is the same bytes.
        let behind = u64::from_le_bytes(*last).checked_shr(8 * (16 - len as u32)).unwrap_or(0);
        return Some([u64::from_le_bytes(*first), behind | (len as u64) << ((len - 8) * 8)]);
    }
    let low = if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << ((len - 4) * 8)
    } else {
        text.iter().rev().fold(0, |n, &b| n << 8 | u64::from(b))
    };
    Some([low | (len as u64) << (len * 8), 0])
}

#[allow(non_upper_case_globals)]
mod list {
    use super::*;
    methods! {
        /// RFC 3261 section 13.
        Invite = "INVITE",
        /// RFC 3261 sections 13.2.2.4 and 17.1.1.3.
        Ack = "ACK",
        /// RFC 3261 section 15.
        Bye = "BYE",
        /// RFC 3261 section 9.
        Cancel = "CANCEL",
        /// RFC 3261 section 10.
        Register = "REGISTER",
        /// RFC 3261 section 11.
        Options = "OPTIONS",
        /// RFC 3262.
        Prack = "PRACK",
        /// RFC 6665.
        Subscribe = "SUBSCRIBE",
        /// RFC 6665.
        Notify = "NOTIFY",
        /// RFC 3903.
        Publish = "PUBLISH",
        /// RFC 6086.
        Info = "INFO",
        /// RFC 3515.
        Refer = "REFER",
        /// RFC 3428.
        Message = "MESSAGE",
        /// RFC 3311.
        Update = "UPDATE",
    }
}
pub use list::Method;
pub(crate) use list::MethodTag;

impl fmt::Display for Method<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl PartialEq<&str> for Method<'_> {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_case_sensitive_tokens() {
        assert_eq!(Method::parse(b"INVITE"), Some(Method::Invite));
        assert_eq!(Method::parse(b"invite"), Some(Method::Other("invite")));
        assert_eq!(Method::parse(b"INVITE\0"), None);
        assert_eq!(Method::parse(b""), None);
        assert_eq!(Method::parse(b"IN VITE"), None);
        assert_eq!(Method::parse(b"ANNOUNCEMENTMETHOD"), Some(Method::Other("ANNOUNCEMENTMETHOD")));
        assert_eq!(Method::Subscribe.as_str(), "SUBSCRIBE");
    }

    #[test]
    fn a_text_is_packed_as_the_names_are() {
        for len in 0..=20 {
            let text = &b"ABCDEFGHIJKLMNOPQRSTUVW"[..len];
            assert_eq!(packed(text), (len <= 15).then(|| pack(text)), "{len}");
        }
    }

    #[test]
    fn a_method_is_found_at_the_start_of_a_line() {
        for line in ["INVITE sip:bob@biloxi.com", "ACK a", "PUBLISHED sip:bob@biloxi.com", "ABCDEFGHIJKLMNOP sip:a"] {
            let len = line.find(' ').unwrap();
            let expected = MethodTag::lookup(&line.as_bytes()[..len]);
            assert_eq!(MethodTag::lookup_prefix(line.as_bytes(), len), expected, "{line}");
        }
        assert_eq!(MethodTag::lookup_prefix(b"INVITE sip:bob@biloxi.com", 6), MethodTag::Invite);
    }
}
