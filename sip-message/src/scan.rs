//! Byte classes of the RFC 3261 section 25.1 grammar, and the word-at-a-time scans the parser is built on.
//!
//! Owns no state and knows nothing of headers. All functions are total: any bytes in, no panic.

/// `token` characters.
pub(crate) const TOKEN: u8 = 1;
/// `word` characters (Call-ID).
pub(crate) const WORD: u8 = 1 << 1;
/// SP, HTAB, and CR and LF, which after framing only occur as part of a fold.
pub(crate) const LWS: u8 = 1 << 2;
/// `0`-`9`.
pub(crate) const DIGIT: u8 = 1 << 3;
/// `gen-value` characters other than those of a quoted string: token, host and IPv6 reference.
pub(crate) const PARAM_VALUE: u8 = 1 << 4;
/// `qdtext`: what may stand in a quoted string unescaped, UTF-8 included.
pub(crate) const QDTEXT: u8 = 1 << 5;
/// TEXT-UTF8-TRIM: everything printable, UTF-8 and LWS.
pub(crate) const TEXT: u8 = 1 << 6;
/// Hexadecimal digits.
pub(crate) const HEX: u8 = 1 << 7;

/// The classes of each byte.
pub(crate) static CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0u8; 256];
    let mut i = 0;
    while i < 256 {
        let b = i as u8;
        let mut class = 0;
        let alnum = b.is_ascii_alphanumeric();
        let token = alnum || matches!(b, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~');
        if token {
            class |= TOKEN | WORD | PARAM_VALUE;
        }
        if matches!(b, b'(' | b')' | b'<' | b'>' | b':' | b'\\' | b'"' | b'/' | b'[' | b']' | b'?' | b'{' | b'}') {
            class |= WORD;
        }
        if matches!(b, b'[' | b']' | b':') {
            class |= PARAM_VALUE;
        }
        if matches!(b, b' ' | b'\t' | b'\r' | b'\n') {
            class |= LWS | QDTEXT | TEXT;
        }
        if b.is_ascii_digit() {
            class |= DIGIT;
        }
        if b.is_ascii_hexdigit() {
            class |= HEX;
        }
        if matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e) || b >= 0x80 {
            class |= QDTEXT;
        }
        if matches!(b, 0x21..=0x7e) || b >= 0x80 {
            class |= TEXT;
        }
        table[i] = class;
        i += 1;
    }
    table
}

#[inline(always)]
pub(crate) fn is(b: u8, class: u8) -> bool {
    CLASS[b as usize] & class != 0
}

/// Index of the first byte at or after `from` that is not in `class`; `v.len()` if there is none.
#[inline]
pub(crate) fn skip(v: &[u8], from: usize, class: u8) -> usize {
    skip_in(&CLASS, v, from, class)
}

/// As [`skip`], by another table of classes. Four bytes in a turn, which spares the checks of the bounds in between.
#[inline(always)]
pub(crate) fn skip_in(table: &[u8; 256], v: &[u8], from: usize, class: u8) -> usize {
    let mut at = from;
    // Told like this, the place is known to be one.
    if let Some(last) = v.len().checked_sub(4) {
        while at <= last {
            let Some(block) = v.get(at..).and_then(|rest| rest.first_chunk::<4>()) else { break };
            for (n, b) in block.iter().enumerate() {
                if table[*b as usize] & class == 0 {
                    return at + n;
                }
            }
            at += 4;
        }
    }
    while let Some(&b) = v.get(at) {
        if table[b as usize] & class == 0 {
            return at;
        }
        at += 1;
    }
    v.len()
}

/// Whether `v` is one or more bytes of `class`.
#[inline]
pub(crate) fn all(v: &[u8], class: u8) -> bool {
    // What is made of letters and digits is seen to be that without a look at each of them.
    (class & (TOKEN | WORD) != 0 && is_plain(v)) || (!v.is_empty() && skip(v, 0, class) == v.len())
}

/// Whether `v` is eight bytes or more that are letters, digits, `-`, `.` and `_`, as tags, branches and identifiers are: all of them are of
/// the classes [`TOKEN`] and [`WORD`]. `false` says nothing, least of all of what is short.
#[inline]
pub(crate) fn is_plain(v: &[u8]) -> bool {
    // Blocks of two may have bytes in common, which are looked at twice then.
    let Some(last) = v.last_chunk() else {
        return match (v.first_chunk(), v.last_chunk()) {
            (Some(first), Some(last)) => is_plain_word(*first) && is_plain_word(*last),
            _ => false,
        };
    };
    let mut rest = v;
    while let Some((block, behind)) = rest.split_first_chunk() {
        if !is_plain_block(block) {
            return false;
        }
        rest = behind;
    }
    rest.is_empty() || is_plain_block(last)
}

/// Where the token ends that `v` begins with. For tokens that are longer than most: branches.
///
/// By itself, for the constants that it needs are many.
#[inline(never)]
pub(crate) fn token_end(v: &[u8]) -> usize {
    let mut at = 0;
    while v.get(at..).and_then(|rest| rest.first_chunk()).is_some_and(is_plain_block) {
        at += 16;
    }
    skip(v, at, TOKEN)
}

/// Without a way out, the loop becomes a few vector instructions.
#[inline(always)]
fn is_plain_block(block: &[u8; 16]) -> bool {
    let mut other = false;
    for &b in block {
        let letter = (b | 0x20).wrapping_sub(b'a') < 26;
        // `-`, `.`, `/` and the digits.
        let number = b.wrapping_sub(b'-') < 13 && b != b'/';
        other |= !(letter | number | (b == b'_'));
    }
    !other
}

/// The same for a word, and what is no letter and no digit is not looked at closely.
#[inline(always)]
fn is_plain_word(word: [u8; 8]) -> bool {
    let word = u64::from_le_bytes(word);
    let low = word & !HIGH;
    let marks = between(low, b'0', b'9') | between(low | (ONES * 0x20), b'a', b'z');
    marks & !word & HIGH == HIGH
}

/// Marks (0x80) the bytes of `word`, all of which have their high bit off, that are not below `from` and not above `to`.
#[inline(always)]
fn between(word: u64, from: u8, to: u8) -> u64 {
    (word + ONES * (0x80 - from) as u64) & !(word + ONES * (0x7f - to) as u64)
}

/// `v` without linear white space at both ends.
#[inline]
pub(crate) fn trim(v: &[u8]) -> &[u8] {
    let mut v = v;
    while let [b, rest @ ..] = v {
        if !is(*b, LWS) {
            break;
        }
        v = rest;
    }
    trim_end(v)
}

/// `v` without linear white space at its end.
#[inline]
pub(crate) fn trim_end(v: &[u8]) -> &[u8] {
    let mut v = v;
    while let [rest @ .., b] = v {
        if !is(*b, LWS) {
            break;
        }
        v = rest;
    }
    v
}

/// ASCII text as `str`. The caller has checked the bytes; if it has not, the result is empty rather than a panic.
#[inline]
pub(crate) fn text(v: &[u8]) -> &str {
    core::str::from_utf8(v).unwrap_or("")
}

/// A decimal number of one or more digits and nothing else: no sign, no space. `None` also when it exceeds `u64`.
#[inline]
pub(crate) fn decimal(v: &[u8]) -> Option<u64> {
    if v.is_empty() {
        return None;
    }
    let mut n: u64 = 0;
    let (short, long) = v.split_at(v.len().min(19));
    for &b in short {
        if !b.is_ascii_digit() {
            return None;
        }
        // 19 digits are less than 2^64.
        n = n.wrapping_mul(10).wrapping_add(u64::from(b - b'0'));
    }
    for &b in long {
        if !b.is_ascii_digit() {
            return None;
        }
        n = n.checked_mul(10)?.checked_add(u64::from(b - b'0'))?;
    }
    Some(n)
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

#[inline(always)]
pub(crate) fn load(v: &[u8], at: usize) -> Option<u64> {
    match v.get(at..) {
        Some(rest) => rest.first_chunk::<8>().map(|c| u64::from_le_bytes(*c)),
        None => None,
    }
}

/// Marks (0x80) the bytes of `word` below 0x20. Exact up to and including the first mark.
#[inline(always)]
pub(crate) fn controls(word: u64) -> u64 {
    word.wrapping_sub(ONES * 0x20) & !word & HIGH
}

/// Marks (0x80) the bytes of `word` equal to `b`. Exact up to and including the first mark.
#[inline(always)]
pub(crate) fn equal(word: u64, b: u8) -> u64 {
    let x = word ^ (ONES * b as u64);
    x.wrapping_sub(ONES) & !x & HIGH
}

/// Index of the first `b` at or after `from`. For what is found within a few words; farther off, `memchr` is faster.
#[inline]
pub(crate) fn find(v: &[u8], from: usize, b: u8) -> Option<usize> {
    let mut at = from;
    // Told like this, the place is known to be one.
    if let Some(last) = v.len().checked_sub(8) {
        while at <= last {
            let mark = equal(load(v, at)?, b);
            if mark != 0 {
                return Some(at + (mark.trailing_zeros() / 8) as usize);
            }
            at += 8;
        }
    }
    while let Some(&other) = v.get(at) {
        if other == b {
            return Some(at);
        }
        at += 1;
    }
    None
}

/// Index of the first byte at or after `from` that does not stand for itself in a quoted string: a quote, a backslash, a control
/// character. `v.len()` if there is none.
#[inline]
pub(crate) fn plain_text_end(v: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(word) = load(v, at) {
        let mark = controls(word) | equal(word, b'"') | equal(word, b'\\') | equal(word, 0x7f);
        if mark != 0 {
            return at + (mark.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while let Some(&b) = v.get(at) {
        if b < b' ' || matches!(b, b'"' | b'\\' | 0x7f) {
            return at;
        }
        at += 1;
    }
    v.len()
}

/// The number that eight hexadecimal digits in any case say; `None` if these are not eight.
#[inline]
pub(crate) fn eight_hex(v: &[u8]) -> Option<u32> {
    let digits: &[u8; 8] = v.try_into().ok()?;
    digits.iter().try_fold(0, |n, &b| Some(n << 4 | char::from(b).to_digit(16)?))
}

/// Whether `v` is hexadecimal digits or nothing. Eight in a turn: all texts of digests have that many or a multiple of it.
#[inline]
pub(crate) fn all_hex(v: &[u8]) -> bool {
    let mut at = 0;
    while let Some(word) = load(v, at) {
        let low = word & !HIGH;
        let digits = between(low, b'0', b'9') | between(low | (ONES * 0x20), b'a', b'f');
        if digits & !word & HIGH != HIGH {
            return false;
        }
        at += 8;
    }
    v.get(at..).unwrap_or_default().iter().all(u8::is_ascii_hexdigit)
}

/// Whether a byte is below 0x20. Without a way out, the loop becomes a few vector instructions.
#[inline(always)]
fn any_control(block: &[u8; 16]) -> bool {
    let mut any = 0;
    for &b in block {
        any |= u8::from(b < 0x20);
    }
    any != 0
}

/// Index of the first byte at or after `from` that is below 0x20; `v.len()` if there is none.
pub(crate) fn find_control_from(v: &[u8], from: usize) -> usize {
    v.get(from..).map_or(v.len(), |rest| from + find_control(rest))
}

/// Index of the first byte below 0x20; `v.len()` if there is none.
#[inline(always)]
pub(crate) fn find_control(v: &[u8]) -> usize {
    let mut at = 0;
    while let Some(block) = v.get(at..).and_then(|rest| rest.first_chunk()) {
        if any_control(block) {
            return at + control_in(block);
        }
        at += 16;
    }
    while let Some(&b) = v.get(at) {
        if b < 0x20 {
            return at;
        }
        at += 1;
    }
    v.len()
}

/// Index of the first byte below 0x20, which there is.
#[inline(always)]
fn control_in(block: &[u8; 16]) -> usize {
    let block = u128::from_le_bytes(*block);
    let (low, high) = (controls(block as u64), controls((block >> 64) as u64));
    let (mark, at) = if low == 0 { (high, 8) } else { (low, 0) };
    at + (mark.trailing_zeros() / 8) as usize
}

/// Index just behind the quoted string that opens at `v[open]`; `None` if it never closes.
#[inline]
pub(crate) fn quoted_end(v: &[u8], open: usize) -> Option<usize> {
    let mut at = open + 1;
    loop {
        match v.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_first_control_byte_at_every_position() {
        for len in 0..200 {
            for at in 0..len {
                for b in [0u8, 9, 10, 13, 31] {
                    let mut v = [b' '; 200];
                    v[at] = b;
                    v[(at + 1).min(199)] = b' ' + 1;
                    v[199] = 0;
                    assert_eq!(find_control(&v[..len]), at);
                    assert_eq!(find_control_from(&v[..len], at), at);
                }
            }
            let v: [u8; 200] = core::array::from_fn(|i| 0x20 + (i as u8) % 0xe0);
            assert_eq!(find_control(&v[..len]), len);
            assert_eq!(find_control_from(&v[..len], len + 1), len);
        }
    }

    #[test]
    fn hexadecimal_digits_are_told_from_all_other_bytes() {
        assert!(all_hex(b"") && all_hex(b"0123456789abcdefABCDEF"));
        for b in 0..=u8::MAX {
            for len in [1, 7, 8, 9, 16, 20] {
                for at in 0..len {
                    let mut v = [b'7'; 20];
                    v[at] = b;
                    assert_eq!(all_hex(&v[..len]), b.is_ascii_hexdigit(), "{b:#x} at {at} of {len}");
                }
            }
        }
    }

    #[test]
    fn plain_text_ends_at_the_first_byte_that_does_not_stand_for_itself() {
        for b in 0..=u8::MAX {
            let stops = b < b' ' || matches!(b, b'"' | b'\\' | 0x7f);
            for len in [1, 8, 9, 20] {
                for at in 0..len {
                    let mut v = [0xc3; 20];
                    v[at] = b;
                    v[at + 1..].fill(if at % 2 == 0 { b'"' } else { 0x80 });
                    let behind = if at % 2 == 0 { (at + 1).min(len) } else { len };
                    assert_eq!(
                        plain_text_end(&v[..len], 0),
                        if stops { at } else { behind },
                        "{b:#x} at {at} of {len}"
                    );
                }
            }
        }
    }

    #[test]
    fn decimal_takes_digits_only() {
        assert_eq!(decimal(b"0070"), Some(70));
        for bad in [&b""[..], b"+5", b"-1", b" 5", b"5 ", b"1e3", b"18446744073709551616"] {
            assert_eq!(decimal(bad), None);
        }
        assert_eq!(decimal(b"18446744073709551615"), Some(u64::MAX));
    }

    #[test]
    fn quoted_strings_end_at_the_first_unescaped_quote() {
        assert_eq!(quoted_end(br#""a\"b" c"#, 0), Some(6));
        assert_eq!(quoted_end(br#""a\"#, 0), None);
        assert_eq!(quoted_end(br#"""#, 0), None);
    }
}
