//! Completing the Via of a request while its datagram is copied: `received` and `rport` (RFC 3261 section 18.2.1, RFC 3581 section 4).
//!
//! Takes the usual form alone, in which nothing can be mistaken: one Via value on the first header line, no folds, no quotes, an empty `rport`,
//! no `received`. All other requests are parsed first and edited then, to the same end.

use crate::matching::is_rfc3261;
use crate::transport::Transport;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::{IpAddr, SocketAddr};

const VIA: &[u8] = b"Via: SIP/2.0/UDP ";

/// What a Via of the usual form says: one value without folds, quotes, commas and white space.
pub(crate) struct Usual<'a> {
    /// The branch, which has the magic cookie and is a token, and the sent-by, both as they came.
    pub(crate) branch: &'a [u8],
    pub(crate) sent_by: &'a [u8],
    /// Where `rport` ends, if it has no value.
    rport: Option<usize>,
    /// It has `received`, `maddr` or an `rport` with a value: more than `rport` may have to be changed.
    more: bool,
    /// Where the value ends.
    end: usize,
}

/// The branch of a Via this endpoint has written, whatever its peer has appended to it: protocol, sent-by and branch stand as they
/// were written. `None` if the value begins in any other way.
#[inline]
pub(crate) fn own<'a>(value: &'a [u8], transport: Transport, sent_by: &str) -> Option<&'a [u8]> {
    let rest = value.strip_prefix(b"SIP/2.0/")?.strip_prefix(transport.via().as_bytes())?.strip_prefix(b" ")?;
    let rest = rest.strip_prefix(sent_by.as_bytes())?.strip_prefix(b";branch=")?;
    let (branch, after) = rest.split_at_checked(run(rest, TOKEN))?;
    matches!(after, [] | [b';', ..]).then_some(branch)
}

/// Reads the value of a Via from its sent-by on, up to the end of its line or of the bytes.
pub(crate) fn usual(value: &[u8]) -> Option<Usual<'_>> {
    let (mut rport, mut branch, mut sent_by, mut more) = (None, None, None, false);
    let mut from = 0;
    // One walk over the value, from one end of a part to the next.
    let end = loop {
        let rest = value.get(from..)?;
        let len = run(rest, PLAIN);
        let (part, after) = rest.split_at_checked(len)?;
        let ends = after.first().copied().unwrap_or(b'\r');
        if class(ends) == OTHER {
            return None;
        }
        if sent_by.is_none() {
            sent_by = Some(part);
        } else {
            match part {
                [b'b' | b'B', ..] if has_prefix(part, b"branch=") => {
                    let token = part.get(b"branch=".len()..)?;
                    if branch.is_some() || run(token, TOKEN) != token.len() {
                        return None;
                    }
                    branch = Some(token);
                }
                [b'r' | b'R', b'p' | b'P', ..] if has_prefix(part, b"rport") => {
                    more |= rport.is_some() || part.len() > b"rport".len();
                    rport = Some(from + len);
                }
                [b'r' | b'R', b'e' | b'E', ..] if has_prefix(part, b"received") => more = true,
                [b'm' | b'M', ..] if has_prefix(part, b"maddr") => more = true,
                [] => return None,
                _ => {}
            }
        }
        if ends == b'\r' {
            break from + len;
        }
        from += len + 1;
    };
    let branch = branch.filter(|branch| is_rfc3261(branch))?;
    Some(Usual { branch, sent_by: sent_by?, rport, more, end })
}

/// The datagram with `received` and `rport` in its topmost Via, and what that says; `None` if it is not of the usual form.
pub(crate) fn stamped(bytes: &[u8], remote: SocketAddr) -> Option<(Bytes, Usual<'_>)> {
    let first = memchr::memchr(b'\n', bytes)? + 1;
    if bytes.starts_with(b"SIP/") || first < 3 {
        return None;
    }
    let value = bytes.get(first..)?.strip_prefix(VIA)?;
    let via = usual(value).filter(|via| !via.more)?;
    if !matches!(value.get(via.end..)?, [b'\r', b'\n', next, ..] if !matches!(next, b' ' | b'\t')) {
        return None;
    }
    let at = first + VIA.len() + via.rport?;
    let (before, after) = (bytes.get(..at)?, bytes.get(at..)?);
    let mut text = Text { bytes: [0; 80], len: 0 };
    text.decimal(b'=', remote.port());
    text.bytes(b";received=");
    match remote.ip() {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            text.octet(a);
            for octet in [b, c, d] {
                text.bytes(b".");
                text.octet(octet);
            }
        }
        IpAddr::V6(ip) => alloc::format!("{ip}").as_bytes().chunks(8).for_each(|part| text.bytes(part)),
    }
    let text = text.written();
    let mut out = Vec::with_capacity(bytes.len() + text.len());
    out.extend_from_slice(before);
    out.extend_from_slice(text);
    out.extend_from_slice(after);
    Some((out.into(), via))
}

/// Bytes of tokens; others that stand for themselves in a value of the usual form; those that end a part; all others.
const TOKEN: u8 = 0;
const PLAIN: u8 = 1;
const ENDS: u8 = 2;
const OTHER: u8 = 3;

#[inline(always)]
fn class(byte: u8) -> u8 {
    CLASS[usize::from(byte)]
}

/// How many bytes `text` begins with that are of this class or of one before it. Four in a turn, which spares checks in between.
#[inline(always)]
fn run(text: &[u8], most: u8) -> usize {
    let mut at = 0;
    while let Some(&[a, b, c, d]) = text.get(at..).and_then(|rest| rest.first_chunk()) {
        for (n, b) in [a, b, c, d].into_iter().enumerate() {
            if class(b) > most {
                return at + n;
            }
        }
        at += 4;
    }
    let rest = text.get(at..).unwrap_or_default();
    at + rest.iter().position(|&b| class(b) > most).unwrap_or(rest.len())
}

static CLASS: [u8; 256] = {
    let mut class = [OTHER; 256];
    let mut b = 0x21;
    while b < 0x7f {
        class[b] = match b as u8 {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => TOKEN,
            b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~' => TOKEN,
            b';' => ENDS,
            b'"' | b',' | b'\\' => OTHER,
            _ => PLAIN,
        };
        b += 1;
    }
    class[b'\r' as usize] = ENDS;
    class
};

/// The digits of each octet, and how many there are.
static OCTETS: [[u8; 4]; 256] = {
    let mut octets = [[0; 4]; 256];
    let mut n = 0;
    while n < 256 {
        let [hundreds, tens, ones] = [b'0' + (n / 100) as u8, b'0' + (n / 10 % 10) as u8, b'0' + (n % 10) as u8];
        octets[n] = match n {
            0..10 => [ones, 0, 0, 1],
            10..100 => [tens, ones, 0, 2],
            _ => [hundreds, tens, ones, 3],
        };
        n += 1;
    }
    octets
};

#[inline(always)]
fn has_prefix<const N: usize>(text: &[u8], prefix: &[u8; N]) -> bool {
    text.first_chunk::<N>().is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// A short text being put together: `=`, a port, `;received=` and an address of at most 39 characters.
struct Text {
    bytes: [u8; 80],
    len: usize,
}

impl Text {
    /// Appends at most 16 bytes.
    #[inline]
    fn bytes(&mut self, bytes: &[u8]) {
        let mut word = [0; 16];
        for (to, from) in word.iter_mut().zip(bytes) {
            *to = *from;
        }
        self.word(u128::from_le_bytes(word), bytes.len());
    }

    /// Appends the low `len` bytes of a word, the lowest first.
    #[inline]
    fn word(&mut self, word: u128, len: usize) {
        if let Some(place) = self.bytes.get_mut(self.len..self.len + 16) {
            place.copy_from_slice(&word.to_le_bytes());
            self.len += len;
        }
    }

    /// Appends a byte, unless it is 0, and a number.
    #[inline]
    fn decimal(&mut self, before: u8, mut number: u16) {
        // From the last digit to the first.
        let (mut digits, mut len) = (0u64, 0);
        loop {
            digits = digits << 8 | u64::from(b'0' + (number % 10) as u8);
            number /= 10;
            len += 1;
            if number == 0 {
                break;
            }
        }
        if before != 0 {
            digits = digits << 8 | u64::from(before);
            len += 1;
        }
        self.word(digits.into(), len);
    }

    /// Appends the number of an octet.
    #[inline]
    fn octet(&mut self, octet: u8) {
        let [a, b, c, len] = OCTETS.get(usize::from(octet)).copied().unwrap_or_default();
        self.word(u128::from(u32::from_le_bytes([a, b, c, 0])), usize::from(len));
    }

    fn written(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::String;
    use sip_message::Message;

    const REMOTE: &str = "192.0.2.7:5070";

    fn request(head: &str) -> String {
        format!("OPTIONS sip:b@c SIP/2.0\r\n{head}\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n")
    }

    fn stamp(head: &str) -> Option<String> {
        let text = request(head);
        let (bytes, read) = stamped(text.as_bytes(), REMOTE.parse().unwrap())?;
        let message = Message::parse(bytes.clone()).unwrap();
        let via = message.top_via().unwrap();
        assert_eq!(via.branch().unwrap().unwrap().as_bytes(), read.branch);
        assert_eq!(via.sent_by_bytes(), read.sent_by);
        Some(String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[test]
    fn the_usual_form_is_completed_as_the_edits_would() {
        for head in [
            "Via: SIP/2.0/UDP a.example.com;branch=z9hG4bK1;rport",
            "Via: SIP/2.0/UDP 192.0.2.7:5070;rport;branch=z9hG4bK1",
            "Via: SIP/2.0/UDP [2001:db8::1]:5060;RPORT;branch=z9hG4bK1;x=y",
        ] {
            let fast = Message::parse(stamp(head).unwrap().into()).unwrap();
            let mut slow = Message::parse(request(head).into()).unwrap();
            slow.set_received("192.0.2.7".parse().unwrap()).unwrap();
            slow.set_rport(5070).unwrap();
            let (fast, slow) = (fast.top_via().unwrap(), slow.top_via().unwrap());
            assert_eq!(fast.received(), slow.received(), "{head}");
            assert_eq!(fast.rport(), Ok(Some(Some(5070))), "{head}");
            assert_eq!(fast.branch(), slow.branch());
            assert_eq!(fast.sent_by(), slow.sent_by());
        }
    }

    #[test]
    fn the_branch_of_an_own_via_is_read_as_the_parser_reads_it() {
        let of = |value: &'static str| own(value.as_bytes(), Transport::Udp, "a.example.com:5060");
        assert_eq!(of("SIP/2.0/UDP a.example.com:5060;branch=z9hG4bK1"), Some(&b"z9hG4bK1"[..]));
        assert_eq!(
            of("SIP/2.0/UDP a.example.com:5060;branch=z9hG4bK1;rport=1;received=1.2.3.4"),
            Some(&b"z9hG4bK1"[..])
        );
        for value in [
            "SIP/2.0/UDP a.example.com:50601;branch=z9hG4bK1",
            "SIP/2.0/UDP a.example.com:5060 ;branch=z9hG4bK1",
            "SIP/2.0/UDP a.example.com:5060;rport;branch=z9hG4bK1",
            "SIP/2.0/UDP a.example.com:5060;branch=\"z9hG4bK1\"",
            "SIP/2.0/UDP a.example.com:5060;branch=z9hG4bK1\"",
            "SIP/2.0/UDP a.example.com:5060;branch=z9hG4bK1, SIP/2.0/UDP b",
            "SIP/2.0/TCP a.example.com:5060;branch=z9hG4bK1",
            "SIP/2.0/UDP",
            "",
        ] {
            assert_eq!(of(value), None, "{value}");
        }
    }

    #[test]
    fn numbers_are_written_in_full() {
        for number in [0, 9, 10, 255, 5060, 65_535] {
            let mut text = Text { bytes: [0; 80], len: 0 };
            text.decimal(0, number);
            assert_eq!(text.written(), format!("{number}").as_bytes());
        }
        for number in 0..=255 {
            let mut text = Text { bytes: [0; 80], len: 0 };
            text.octet(number);
            assert_eq!(text.written(), format!("{number}").as_bytes());
        }
    }

    #[test]
    fn anything_else_is_left_to_the_parser() {
        for head in [
            "Via: SIP/2.0/UDP a.example.com;branch=z9hG4bK1",
            "Via: SIP/2.0/UDP a.example.com;branch=z9hG4bK1;rport=1",
            "Via: SIP/2.0/UDP a.example.com;branch=z9hG4bK1;rport;rport",
            "Via: SIP/2.0/UDP a.example.com;rport;Received=1.2.3.4",
            "Via: SIP/2.0/UDP a.example.com;rport, SIP/2.0/UDP b;rport",
            "Via: SIP/2.0/UDP a.example.com;x=\";rport\"",
            "Via: SIP/2.0/UDP a.example.com;rport\r\n ;branch=z9hG4bK1",
            "Via: SIP/2.0/UDP a.example.com ;rport",
            "Via: SIP/2.0/UDP rport",
            "Via: SIP/2.0/UDP a.example.com;rport;branch=z9hG4bK",
            "Via: SIP/2.0/UDP a.example.com;rport;branch=1",
            "Via: SIP/2.0/UDP a.example.com;rport;branch=z9hG4bK1/2",
            "Via: SIP/2.0/UDP a.example.com;rport;branch=z9hG4bK1;branch=z9hG4bK2",
            "Via: SIP/2.0/UDP a.example.com;rport;branch=z9hG4bK1;maddr=224.0.1.75",
            "Via: SIP/2.0/TCP a.example.com;rport",
            "v: SIP/2.0/UDP a.example.com;rport",
            "Max-Forwards: 70",
        ] {
            assert_eq!(stamp(head), None, "{head}");
        }
        assert!(stamped(b"", REMOTE.parse().unwrap()).is_none());
        assert!(stamped(b"\r\nVia: SIP/2.0/UDP a;rport\r\n\r\n", REMOTE.parse().unwrap()).is_none());
    }
}
