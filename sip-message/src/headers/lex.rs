//! The small pieces the header grammars share: a token, a pair, a comment, parameters read as numbers.
//!
//! Every function takes the whole value and an index into it, so that faults carry their offset; none recurses.

use crate::error::{ValueError, ValueFault};
use crate::name_addr::{qvalue, seconds};
use crate::params::{self, Param, ParamValue, Params};
use crate::scan;
use alloc::borrow::Cow;
use alloc::string::String;

pub(crate) type Read<T> = Result<T, ValueError>;

pub(crate) const fn fault<T>(kind: ValueFault, offset: usize) -> Read<T> {
    Err(ValueError::new(kind, offset))
}

/// `v[from..to]`, empty where there is no such place.
#[inline]
pub(crate) fn slice(v: &[u8], from: usize, to: usize) -> &[u8] {
    v.get(from..to).unwrap_or_default()
}

/// `v[from..]`.
#[inline]
pub(crate) fn from(v: &[u8], from: usize) -> &[u8] {
    v.get(from..).unwrap_or_default()
}

/// What is wrong at `at`, where something else was expected.
pub(crate) fn unexpected(v: &[u8], at: usize) -> ValueError {
    let kind = match () {
        () if v.is_empty() => ValueFault::Empty,
        () if at >= v.len() => ValueFault::Incomplete,
        () => ValueFault::Character,
    };
    ValueError::new(kind, at)
}

/// The bytes of `class` at `v[at]`, one at least, and where they end.
#[inline]
pub(crate) fn run(v: &[u8], at: usize, class: u8) -> Read<(&str, usize)> {
    let end = scan::skip(v, at, class);
    if end > at { Ok((scan::text(slice(v, at, end)), end)) } else { Err(unexpected(v, at)) }
}

/// The token at `v[at]`, and where it ends.
#[inline]
pub(crate) fn token(v: &[u8], at: usize) -> Read<(&str, usize)> {
    run(v, at, scan::TOKEN)
}

/// `delta-seconds` at `v[at]`, and where it ends.
#[inline]
pub(crate) fn delta_seconds(v: &[u8], at: usize) -> Read<(u32, usize)> {
    let end = scan::skip(v, at, scan::DIGIT);
    match seconds(slice(v, at, end)) {
        Some(n) => Ok((n, end)),
        None => fault(if v.is_empty() { ValueFault::Empty } else { ValueFault::Number }, at),
    }
}

/// The parameters from `v[at]` on: nothing, or a semicolon after white space.
#[inline]
pub(crate) fn params(v: &[u8], at: usize) -> Read<Params<'_>> {
    let next = scan::skip(v, at, scan::LWS);
    match v.get(next) {
        None | Some(b';') => Ok(Params::new(from(v, at), at)),
        Some(_) => fault(ValueFault::Trailing, next),
    }
}

/// Nothing but white space from `v[at]` on.
pub(crate) fn end(v: &[u8], at: usize) -> Read<()> {
    let next = scan::skip(v, at, scan::LWS);
    if next == v.len() { Ok(()) } else { fault(ValueFault::Trailing, next) }
}

/// `name EQUAL value` at `v[at]`, and where it ends. The value is missing if there is no equals sign.
pub(crate) fn pair(v: &[u8], at: usize, class: u8) -> Read<(Param<'_>, usize)> {
    let (name, value, end) = raw_pair(v, at, class)?;
    Ok((Param { name: scan::text(name), value: value.map(ParamValue) }, end))
}

/// Name, value and end of a parameter.
pub(crate) type RawPair<'a> = (&'a [u8], Option<&'a [u8]>, usize);

/// As [`pair`], in bytes: for those that look at each name once.
#[inline]
pub(crate) fn raw_pair(v: &[u8], at: usize, class: u8) -> Read<RawPair<'_>> {
    let some = |from: usize, end: usize| if end > from { Ok(end) } else { Err(unexpected(v, from)) };
    let name_end = some(at, scan::skip(v, at, scan::TOKEN))?;
    let name = slice(v, at, name_end);
    let equal = scan::skip(v, name_end, scan::LWS);
    if v.get(equal) != Some(&b'=') {
        return Ok((name, None, name_end));
    }
    let from = scan::skip(v, equal + 1, scan::LWS);
    let end = match v.get(from) {
        Some(b'"') => quoted_string(v, from)?,
        _ => some(from, scan::skip(v, from, class))?,
    };
    Ok((name, Some(slice(v, from, end)), end))
}

/// Checks the quoted string that opens at `v[open]`; returns its end.
pub(crate) fn quoted_string(v: &[u8], open: usize) -> Read<usize> {
    params::quoted_string(v, open).map_err(|(kind, at)| ValueError::new(kind, at))
}

/// Checks the comment that opens at `v[open]`, however deep it nests; returns its end.
//= https://www.rfc-editor.org/rfc/rfc3261#section-25.1
//# The backslash character ("\") MAY be used as a single-character
//# quoting mechanism only within quoted-string and comment constructs.
pub(crate) fn comment(v: &[u8], open: usize) -> Read<usize> {
    let mut depth = 0usize;
    let mut at = open;
    loop {
        match v.get(at) {
            None => return fault(ValueFault::Unclosed, open),
            Some(b'(') => depth += 1,
            Some(b')') if depth == 1 => return Ok(at + 1),
            Some(b')') => depth -= 1,
            // quoted-pair = "\" (%x00-09 / %x0B-0C / %x0E-7F)
            Some(b'\\') => match v.get(at + 1) {
                Some(0..=9 | 11 | 12 | 14..=0x7f) => at += 1,
                _ => return fault(ValueFault::Character, at),
            },
            // ctext is what a quoted string may hold, and the double quote.
            Some(&b) if b == b'"' || scan::is(b, scan::QDTEXT) => {}
            Some(_) => return fault(ValueFault::Character, at),
        }
        at += 1;
    }
}

/// The parameter `name` read by `read`; an error of `kind` at its place if it has no such value.
#[inline]
pub(crate) fn param_as<'a, T>(
    params: &Params<'a>,
    name: &str,
    kind: ValueFault,
    read: impl FnOnce(&'a [u8]) -> Option<T>,
) -> Read<Option<T>> {
    let Some(param) = params.get(name)? else { return Ok(None) };
    match param.value.and_then(|value| read(value.as_bytes())) {
        Some(value) => Ok(Some(value)),
        None => fault(kind, params.offset_of(&param)),
    }
}

/// The parameter `name` as `delta-seconds`, capped at 2^32 - 1.
pub(crate) fn seconds_param(params: &Params<'_>, name: &str) -> Read<Option<u32>> {
    param_as(params, name, ValueFault::Number, seconds)
}

/// The parameter `name` as a `qvalue` in thousandths.
pub(crate) fn q_param(params: &Params<'_>, name: &str) -> Read<Option<u16>> {
    param_as(params, name, ValueFault::Number, qvalue)
}

/// Text that should be UTF-8; what is not, is replaced by U+FFFD.
pub(crate) fn lossy(v: Cow<'_, [u8]>) -> Cow<'_, str> {
    match v {
        Cow::Borrowed(v) => String::from_utf8_lossy(v),
        Cow::Owned(v) => Cow::Owned(String::from_utf8_lossy(&v).into_owned()),
    }
}

/// `1*8ALPHA *( "-" 1*8( ALPHA / DIGIT ) )` at `v[at]`, and where it ends.
///
/// RFC 3261 prints `1*8ALPHA` for all parts; the language tags it refers to (BCP 47) have digits behind the first
/// hyphen, and `es-419` is not to be refused.
pub(crate) fn language_tag(v: &[u8], at: usize) -> Read<(&str, usize)> {
    let mut end = at;
    let mut first = true;
    loop {
        let part = end;
        while v.get(end).is_some_and(|b| b.is_ascii_alphabetic() || !first && b.is_ascii_digit()) {
            end += 1;
        }
        match end - part {
            1..=8 => {}
            0 => return Err(unexpected(v, end)),
            _ => return fault(ValueFault::Character, part + 8),
        }
        if v.get(end) != Some(&b'-') {
            return Ok((scan::text(slice(v, at, end)), end));
        }
        end += 1;
        first = false;
    }
}
