//! Completing the Via of a request while its datagram is copied: `received` and `rport` (RFC 3261 section 18.2.1, RFC 3581 section 4).
//!
//! Takes the usual form alone, in which nothing can be mistaken: one Via value on the first header line, no folds, no quotes, an empty `rport`,
//! no `received`. All other requests are parsed first and edited then, to the same end.

use crate::matching::is_rfc3261;
use crate::transport::Transport;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};

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
    let (mut rport, mut branch, mut more) = (None, None, false);
    let mut end = run(value, PLAIN);
    let sent_by = value.get(..end)?;
    // From one end of a part to the next.
    loop {
        let (ends, part) = match value.get(end..)? {
            [] => break,
            [ends, part @ ..] => (*ends, part),
        };
        match ends {
            b';' => {}
            b'\r' => break,
            _ => return None,
        }
        let start = start(part);
        let len = if begins(start, b"branch=") {
            let len = b"branch=".len() + run(part.get(b"branch=".len()..)?, TOKEN);
            if branch.is_some() || part.get(len).is_some_and(|&b| class(b) != ENDS) {
                return None;
            }
            branch = part.get(b"branch=".len()..len);
            len
        } else {
            let len = run(part, PLAIN);
            if len == 0 {
                return None;
            }
            if begins(start, b"rport") {
                more |= rport.is_some() || len > b"rport".len();
                rport = Some(end + 1 + len);
            }
            more |= begins(start, b"received") || begins(start, b"maddr");
            len
        };
        end += 1 + len;
    }
    let branch = branch.filter(|branch| is_rfc3261(branch))?;
    Some(Usual { branch, sent_by, rport, more, end })
}

/// The first eight bytes, or what there is of them.
#[inline(always)]
fn start(text: &[u8]) -> u64 {
    match text.first_chunk() {
        Some(start) => u64::from_le_bytes(*start),
        None => text.iter().rev().fold(0, |word, &b| word << 8 | u64::from(b)),
    }
}

/// Whether a text that starts so begins with `prefix`, whose letters are small; case does not count.
#[inline(always)]
fn begins<const N: usize>(start: u64, prefix: &[u8; N]) -> bool {
    let (mut word, mut of, mut letters) = (0, 0, 0);
    for (n, &b) in prefix.iter().enumerate() {
        word |= u64::from(b) << (n * 8);
        of |= 0xff << (n * 8);
        letters |= u64::from(b.is_ascii_lowercase()) << (n * 8 + 5);
    }
    (start | letters) & of == word
}

/// The datagram with `received` and `rport` in its topmost Via, and what that says; `None` if it is not of the usual form.
pub(crate) fn stamped(bytes: &[u8], remote: SocketAddr) -> Option<(Bytes, Usual<'_>)> {
    let first = memchr::memchr(b'\n', bytes)? + 1;
    if first < 3 {
        return None;
    }
    let value = bytes.get(first..)?.strip_prefix(VIA)?;
    let via = usual(value).filter(|via| !via.more)?;
    if !matches!(value.get(via.end..)?, [b'\r', b'\n', next, ..] if !matches!(next, b' ' | b'\t')) {
        return None;
    }
    let at = first + VIA.len() + via.rport?;
    let (before, after) = (bytes.get(..at)?, bytes.get(at..)?);
    let mut text = Text::default();
    text.decimal(b'=', remote.port());
    text.push(u128::from_le_bytes(*b";received=\0\0\0\0\0\0"), b";received=".len());
    let mut out;
    match remote.ip() {
        IpAddr::V4(ip) => {
            let address = Text::of(ip);
            // Without the last dot.
            let len = text.len + address.len - 1;
            out = Vec::with_capacity(bytes.len() + len);
            out.extend_from_slice(before);
            let both = text.and(&address);
            if after.len() + len >= both.len() {
                // As many as always, so that this is two moves; what is too much is written over.
                out.extend_from_slice(&both);
                out.truncate(at + len);
            } else {
                out.extend_from_slice(both.get(..len)?);
            }
        }
        IpAddr::V6(ip) => {
            let address = alloc::format!("{ip}");
            out = Vec::with_capacity(bytes.len() + text.len + address.len());
            out.extend_from_slice(before);
            out.extend_from_slice(text.word.to_le_bytes().get(..text.len)?);
            out.extend_from_slice(address.as_bytes());
        }
    }
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

/// The digits of each octet and a dot, and how many bytes that is.
static OCTETS: [([u8; 4], u8); 256] = {
    let mut octets = [([0; 4], 0); 256];
    let mut n = 0;
    while n < 256 {
        let [hundreds, tens, ones] = [b'0' + (n / 100) as u8, b'0' + (n / 10 % 10) as u8, b'0' + (n % 10) as u8];
        octets[n] = match n {
            0..10 => ([ones, b'.', 0, 0], 2),
            10..100 => ([tens, ones, b'.', 0], 3),
            _ => ([hundreds, tens, ones, b'.'], 4),
        };
        n += 1;
    }
    octets
};

/// A text of at most 16 bytes being put together, the first byte lowest: `=`, a port and `;received=`, or an IPv4 address.
#[derive(Default)]
struct Text {
    word: u128,
    len: usize,
}

impl Text {
    /// Appends the low `len` bytes of a word; those above are 0.
    #[inline(always)]
    fn push(&mut self, word: u128, len: usize) {
        self.word |= word << (self.len % 16 * 8);
        self.len += len;
    }

    /// Appends a byte and a number.
    #[inline(always)]
    fn decimal(&mut self, before: u8, mut number: u16) {
        // From the last digit to the first.
        let (mut digits, mut len) = (0u64, 1);
        loop {
            digits = digits << 8 | u64::from(b'0' + (number % 10) as u8);
            number /= 10;
            len += 1;
            if number == 0 {
                break;
            }
        }
        self.push(u128::from(digits << 8 | u64::from(before)), len);
    }

    /// The numbers of an address, with a dot behind each.
    #[inline(always)]
    fn of(ip: Ipv4Addr) -> Text {
        let [a, b, c, d] = ip.octets().map(|octet| OCTETS[usize::from(octet)]);
        let two = |first: ([u8; 4], u8), second: ([u8; 4], u8)| {
            let (first_digits, second_digits) = (u32::from_le_bytes(first.0), u32::from_le_bytes(second.0));
            let word = u64::from(first_digits) | u64::from(second_digits) << (first.1 * 8);
            (word, usize::from(first.1 + second.1))
        };
        let ((low, low_len), (high, high_len)) = (two(a, b), two(c, d));
        Text { word: u128::from(low) | u128::from(high) << (low_len * 8), len: low_len + high_len }
    }

    /// This text and another behind it.
    #[inline(always)]
    fn and(&self, other: &Text) -> [u8; 32] {
        let bits = self.len as u32 * 8;
        let low = self.word | other.word.checked_shl(bits).unwrap_or(0);
        let high = other.word.checked_shr(128 - bits).unwrap_or(0);
        let mut both = [0; 32];
        let (first, second) = both.split_at_mut(16);
        first.copy_from_slice(&low.to_le_bytes());
        second.copy_from_slice(&high.to_le_bytes());
        both
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
            "Via: SIP/2.0/UDP a.example.com;x;BRANCH=Z9hg4bK1;y=[::1];rport",
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
    fn ports_and_addresses_are_written_in_full() {
        let via = "Via: SIP/2.0/UDP a.example.com;branch=z9hG4bK1;rport";
        for port in [0, 9, 10, 255, 5060, 65_535] {
            for n in (0..=255u8).chain([7]) {
                for ip in [[n, 0, 10, 255], [1, n, 100, 9], [255, 255, 255, n]] {
                    let remote = SocketAddr::from((ip, port));
                    let (bytes, _) = stamped(request(via).as_bytes(), remote).unwrap();
                    let expected = format!("{via}={port};received={}", remote.ip());
                    assert_eq!(String::from_utf8(bytes.to_vec()).unwrap(), request(&expected));
                }
            }
        }
        let remote: SocketAddr = "[2001:db8:1111:2222:3333:4444:5555:6666]:65535".parse().unwrap();
        let (bytes, _) = stamped(request(via).as_bytes(), remote).unwrap();
        let expected = format!("{via}=65535;received={}", remote.ip());
        assert_eq!(String::from_utf8(bytes.to_vec()).unwrap(), request(&expected));
        // With nothing behind it there is no room for more than is written.
        let bare = format!("O s SIP/2.0\r\n{via}\r\nx");
        let (bytes, _) = stamped(bare.as_bytes(), "1.2.3.4:5".parse().unwrap()).unwrap();
        assert_eq!(bytes, format!("O s SIP/2.0\r\n{via}=5;received=1.2.3.4\r\nx").as_bytes());
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
            "Via: SIP/2.0/UDP a.example.com;rport;branch\x1dz9hG4bK1",
            "Via: SIP/2.0/UDP a.example.com;rport;branch;branch=z9hG4bK1\"",
            "Via: SIP/2.0/UDP a.example.com;;rport;branch=z9hG4bK1",
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
