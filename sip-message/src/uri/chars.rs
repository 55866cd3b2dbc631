//! Character classes of the URI grammars (RFC 3261 section 25.1, RFC 3966 section 3) and scans over them.
//!
//! Owns no state. `%` is in no class: [`run`] takes it only in front of two hexadecimal digits.

use crate::scan;

/// `user` of a SIP URI.
pub(super) const USER: u8 = 1;
/// `password` of a SIP URI.
pub(super) const PASSWORD: u8 = 1 << 1;
/// `paramchar`, of SIP and tel URIs alike.
pub(super) const PARAM: u8 = 1 << 2;
/// `hname` and `hvalue`.
pub(super) const HEADER: u8 = 1 << 3;
/// Letters and digits.
pub(super) const ALNUM: u8 = 1 << 4;
/// `uric`, with the brackets and the `#` that RFC 3986 has besides.
pub(super) const URIC: u8 = 1 << 5;
/// `reserved` of RFC 2396: escaping one of these changes its meaning.
pub(super) const RESERVED: u8 = 1 << 6;
/// `phonedigit-hex` of a tel URI.
pub(super) const PHONE: u8 = 1 << 7;

//= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.2
//# For each component, the set of valid BNF expansions defines exactly
//# which characters may appear unescaped.  All other characters MUST be
//# escaped.
static CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0u8; 256];
    let mut i = 0;
    while i < 128 {
        let b = i as u8;
        let mut class = 0;
        if b.is_ascii_alphanumeric() {
            class |= ALNUM;
        }
        if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')') {
            class |= USER | PASSWORD | PARAM | HEADER | URIC;
        }
        if matches!(b, b';' | b'/' | b'?' | b':' | b'@' | b'&' | b'=' | b'+' | b'$' | b',') {
            class |= RESERVED | URIC;
        }
        if matches!(b, b'&' | b'=' | b'+' | b'$' | b',' | b';' | b'?' | b'/') {
            class |= USER;
        }
        if matches!(b, b'&' | b'=' | b'+' | b'$' | b',') {
            class |= PASSWORD;
        }
        if matches!(b, b'[' | b']' | b'/' | b':' | b'&' | b'+' | b'$') {
            class |= PARAM;
        }
        if matches!(b, b'[' | b']' | b'/' | b'?' | b':' | b'+' | b'$') {
            class |= HEADER;
        }
        if matches!(b, b'[' | b']' | b'#') {
            class |= URIC;
        }
        if b.is_ascii_hexdigit() || matches!(b, b'*' | b'#' | b'-' | b'.' | b'(' | b')') {
            class |= PHONE;
        }
        table[i] = class;
        i += 1;
    }
    table
}

#[inline(always)]
pub(super) fn is(b: u8, class: u8) -> bool {
    CLASS[b as usize] & class != 0
}

/// Index of the first byte at or after `from` that is no letter or digit.
#[inline(always)]
pub(super) fn alnum_end(v: &[u8], from: usize) -> usize {
    scan::skip_in(&CLASS, v, from, ALNUM)
}

/// Index of the first byte at or after `from` that is not in `class`.
#[inline(always)]
pub(super) fn unescaped_end(v: &[u8], from: usize, class: u8) -> usize {
    scan::skip_in(&CLASS, v, from, class)
}

/// Index of the first byte at or after `from` that is neither in `class` nor part of a `%` escape.
#[inline(always)]
pub(super) fn run(v: &[u8], from: usize, class: u8) -> usize {
    let mut at = scan::skip_in(&CLASS, v, from, class);
    while v.get(at) == Some(&b'%') && escape_at(v, at).is_some() {
        at = scan::skip_in(&CLASS, v, at + 3, class);
    }
    at
}

/// The octet that the escape at `v[at]` stands for; `None` if there is no escape.
#[inline]
pub(super) fn escape_at(v: &[u8], at: usize) -> Option<u8> {
    match v.get(at..)? {
        [b'%', high, low, ..] => Some(hex(*high)? << 4 | hex(*low)?),
        _ => None,
    }
}

fn hex(b: u8) -> Option<u8> {
    match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        b'A'..=b'F' => Some(b - b'A' + 10),
        _ => None,
    }
}

/// Marks a [`unit`](Units) that was an escape and must not be taken for the character itself.
const ESCAPED: u16 = 0x100;

/// What a URI component says, one item per character: the octet, or for an escaped `reserved` character the octet
/// with a mark. Two components mean the same if their units are equal.
//= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.4
//# o  Characters other than those in the "reserved" set (see RFC 2396
//# [5]) are equivalent to their ""%" HEX HEX" encoding.
#[derive(Clone)]
pub(super) struct Units<'a>(pub(super) &'a [u8]);

impl Iterator for Units<'_> {
    type Item = u16;

    #[inline]
    fn next(&mut self) -> Option<u16> {
        let (&b, rest) = self.0.split_first()?;
        if b != b'%' {
            self.0 = rest;
            return Some(u16::from(b));
        }
        let Some(octet) = escape_at(self.0, 0) else {
            self.0 = rest;
            return Some(u16::from(b));
        };
        self.0 = self.0.get(3..).unwrap_or_default();
        Some(if is(octet, RESERVED) { u16::from(octet) | ESCAPED } else { u16::from(octet) })
    }
}

/// A unit without regard to case.
#[inline]
pub(super) fn fold(unit: u16) -> u16 {
    match u8::try_from(unit) {
        Ok(b) => u16::from(b.to_ascii_lowercase()),
        Err(_) => unit,
    }
}

/// Whether two components are equal.
pub(super) fn same(a: &[u8], b: &[u8]) -> bool {
    a == b || (escapes(a) || escapes(b)) && Units(a).eq(Units(b))
}

/// Whether two components are equal without regard to case.
#[inline]
pub(super) fn same_ignoring_case(a: &[u8], b: &[u8]) -> bool {
    a.eq_ignore_ascii_case(b) || (escapes(a) || escapes(b)) && Units(a).map(fold).eq(Units(b).map(fold))
}

fn escapes(v: &[u8]) -> bool {
    v.contains(&b'%')
}
