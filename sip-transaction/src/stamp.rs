//! Completing the Via of a request while its datagram is copied: `received` and `rport` (RFC 3261 section 18.2.1, RFC 3581 section 4).
//!
//! Takes the usual form alone, in which nothing can be mistaken: one Via value on the first header line, no folds, no quotes, an empty `rport`,
//! no `received`. All other requests are parsed first and edited then, to the same end.

use crate::matching::is_rfc3261;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt::Write as _;
use core::net::{IpAddr, SocketAddr};

const VIA: &[u8] = b"Via: SIP/2.0/UDP ";

/// A datagram whose topmost Via has been completed.
pub(crate) struct Stamped<'a> {
    /// The datagram with `received` and `rport`.
    pub(crate) bytes: Bytes,
    /// The branch, which has the magic cookie, and the sent-by, both as they came.
    pub(crate) branch: &'a [u8],
    pub(crate) sent_by: &'a [u8],
}

/// The datagram with `received` and `rport` in its topmost Via; `None` if it is not of the usual form.
pub(crate) fn stamped(bytes: &[u8], remote: SocketAddr) -> Option<Stamped<'_>> {
    let first = memchr::memchr(b'\n', bytes)? + 1;
    if bytes.starts_with(b"SIP/") || first < 3 {
        return None;
    }
    let value = bytes.get(first..)?.strip_prefix(VIA)?;
    // One walk over the value: what each byte is, and where each parameter begins.
    let (mut rport, mut branch, mut sent_by) = (None, None, None);
    let mut from = 0;
    let mut end = None;
    for (at, &b) in value.iter().enumerate() {
        match CLASS.get(usize::from(b)).copied().unwrap_or(OTHER) {
            PLAIN => continue,
            OTHER => return None,
            _ => {}
        }
        let part = value.get(from..at)?;
        if sent_by.is_none() {
            sent_by = Some(part);
        } else {
            match part {
                [b'b' | b'B', ..] if has_prefix(part, b"branch=") => {
                    if branch.is_some() {
                        return None;
                    }
                    branch = part.get(b"branch=".len()..);
                }
                [b'r' | b'R', b'p' | b'P', ..] if has_prefix(part, b"rport") => {
                    if rport.is_some() || part.len() > b"rport".len() {
                        return None;
                    }
                    rport = Some(at);
                }
                [b'r' | b'R', b'e' | b'E', ..] if has_prefix(part, b"received") => return None,
                [b'm' | b'M', ..] if has_prefix(part, b"maddr") => return None,
                [] => return None,
                _ => {}
            }
        }
        from = at + 1;
        if b == b'\r' {
            end = Some(at);
            break;
        }
    }
    if !matches!(value.get(end?..)?, [b'\r', b'\n', next, ..] if !matches!(next, b' ' | b'\t')) {
        return None;
    }
    let token = |b: &u8| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(b);
    let branch = branch.filter(|branch: &&[u8]| is_rfc3261(branch) && branch.iter().all(token))?;
    let at = first + VIA.len() + rport?;
    let (before, after) = (bytes.get(..at)?, bytes.get(at..)?);
    let mut out = Vec::with_capacity(bytes.len() + 64);
    out.extend_from_slice(before);
    let mut text = Text { bytes: [0; 40], len: 0 };
    text.byte(b'=');
    text.decimal(remote.port());
    out.extend_from_slice(text.take());
    out.extend_from_slice(b";received=");
    match remote.ip() {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            text.decimal(a.into());
            for octet in [b, c, d] {
                text.byte(b'.');
                text.decimal(octet.into());
            }
            out.extend_from_slice(text.take());
        }
        IpAddr::V6(ip) => {
            // Writing to a vector cannot fail.
            let _ = write!(Out(&mut out), "{ip}");
        }
    }
    out.extend_from_slice(after);
    Some(Stamped { bytes: out.into(), branch, sent_by: sent_by? })
}

/// Bytes that stand for themselves in a value of the usual form; those that end a part; all others.
const PLAIN: u8 = 0;
const ENDS: u8 = 1;
const OTHER: u8 = 2;

static CLASS: [u8; 256] = {
    let mut class = [OTHER; 256];
    let mut b = 0x21;
    while b < 0x7f {
        class[b] = match b as u8 {
            b';' => ENDS,
            b'"' | b',' | b'\\' => OTHER,
            _ => PLAIN,
        };
        b += 1;
    }
    class[b'\r' as usize] = ENDS;
    class
};

fn has_prefix(text: &[u8], prefix: &[u8]) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// A short text being put together.
struct Text {
    bytes: [u8; 40],
    len: usize,
}

impl Text {
    fn byte(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.len) {
            *place = byte;
            self.len += 1;
        }
    }

    fn decimal(&mut self, number: u16) {
        let mut begun = false;
        for unit in [10_000, 1_000, 100, 10] {
            let digit = number / unit % 10;
            begun |= digit > 0;
            if begun {
                self.byte(b'0' + digit as u8);
            }
        }
        self.byte(b'0' + (number % 10) as u8);
    }

    fn take(&mut self) -> &[u8] {
        let len = core::mem::take(&mut self.len);
        self.bytes.get(..len).unwrap_or_default()
    }
}

struct Out<'a>(&'a mut Vec<u8>);

impl core::fmt::Write for Out<'_> {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
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
        let stamped = stamped(text.as_bytes(), REMOTE.parse().unwrap())?;
        let message = Message::parse(stamped.bytes.clone()).unwrap();
        let via = message.top_via().unwrap();
        assert_eq!(via.branch().unwrap().unwrap().as_bytes(), stamped.branch);
        assert_eq!(via.sent_by_bytes(), stamped.sent_by);
        Some(String::from_utf8(stamped.bytes.to_vec()).unwrap())
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
    fn numbers_are_written_in_full() {
        for number in [0, 9, 10, 255, 5060, 65_535] {
            let mut text = Text { bytes: [0; 40], len: 0 };
            text.decimal(number);
            assert_eq!(text.take(), format!("{number}").as_bytes());
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
