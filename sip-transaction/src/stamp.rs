//! Completing the Via of a request while its datagram is copied: `received` and `rport` (RFC 3261 section 18.2.1, RFC 3581 section 4).
//!
//! Takes the usual form alone, in which nothing can be mistaken: no folds, no quotes, no white space within the value, no `received`, and an
//! `rport` that is empty, a port, or not there. All other requests are parsed first and edited then, to the same end.

use crate::matching::is_rfc3261;
use crate::wire::COOKIE;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use sip_message::uri::Host;

const UDP: &[u8] = b"SIP/2.0/UDP ";
const VIA: &[u8] = b"Via: SIP/2.0/UDP ";

/// What a request is matched by, as it came: the branch, which has the magic cookie and is a token, and the sent-by.
#[derive(Clone, Copy)]
pub(crate) struct Matched<'a> {
    pub(crate) branch: &'a [u8],
    pub(crate) sent_by: &'a [u8],
}

/// What a Via of the usual form says: one value without folds, quotes and white space.
struct Usual<'a> {
    matched: Matched<'a>,
    /// Where `rport` ends, if it has no value.
    rport: Option<usize>,
    /// It has `rport` with this port.
    told: Option<u16>,
    /// It has `received`, `maddr` or an `rport` of another form: more may have to be changed.
    more: bool,
    /// It has `ttl` or `alias`.
    seldom: bool,
    /// Where the value ends: before the end of the line or the text, or before the next one of a list.
    end: usize,
}

/// Reads the value of a Via from its sent-by on, up to its end, that of its line or of the bytes.
#[inline(always)]
fn usual(value: &[u8]) -> Option<Usual<'_>> {
    let (mut rport, mut branch, mut told, mut more, mut seldom) = (None, None, None, false, false);
    let mut end = plain(value);
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
            // In brackets there may be commas that part nothing.
            b',' if find(value.get(..end)?, b'<').is_none() => break,
            _ => return None,
        }
        // What is looked for ends no part, so that it stands in this one.
        let (start, len) = (start(part), plain(part));
        if begins(start, b"branch=") {
            let value = part.get(b"branch=".len()..len)?;
            if branch.is_some() || !is_rfc3261(value) || !is_token(value.get(COOKIE.len()..)?) {
                return None;
            }
            branch = Some(value);
        } else if len == 0 {
            return None;
        } else if begins(start, b"rport") {
            more |= rport.is_some() || told.is_some();
            match part.get(b"rport".len()..len)? {
                [] => rport = Some(end + 1 + len),
                [b'=', digits @ ..] => {
                    told = port_of(digits);
                    more |= told.is_none();
                }
                _ => more = true,
            }
        } else {
            more |= begins(start, b"received") || begins(start, b"maddr");
            seldom |= begins(start, b"ttl") || begins(start, b"alias");
        }
        end += 1 + len;
    }
    Some(Usual { matched: Matched { branch: branch?, sent_by }, rport, told, more, seldom, end })
}

/// What a Via of the usual form says, of any transport.
pub(crate) struct Simple<'a> {
    pub(crate) matched: Matched<'a>,
    /// The sent-by, if it is an address, and its port.
    pub(crate) ip: Option<IpAddr>,
    pub(crate) port: Option<u16>,
    /// It has `rport`, and that a port. Of the others that matter on the way of a response it has none.
    pub(crate) rport: Option<Option<u16>>,
}

/// Reads the first value of a Via field if it is of the usual form; all others are for the parser.
#[inline]
pub(crate) fn simple(value: &[u8]) -> Option<Simple<'_>> {
    let rest = value.strip_prefix(b"SIP/2.0/")?;
    let end = find(rest, b' ')?;
    let (transport, rest) = (rest.get(..end)?, rest.get(end + 1..)?);
    let via = usual(rest).filter(|via| !via.more && !via.seldom)?;
    if !matches!(rest.get(via.end), None | Some(b',')) {
        return None;
    }
    let (host, port) = match find(via.matched.sent_by, b':') {
        Some(_) => host_port(via.matched.sent_by, 0).map(|(host, port)| (host, Some(port)))?,
        None => (via.matched.sent_by, None),
    };
    if transport.is_empty() || !is_token(transport) || port == Some(0) {
        return None;
    }
    let ip = Host::parse(host).ok()?.ip();
    let rport = if via.told.is_some() { Some(via.told) } else { via.rport.map(|_| None) };
    Some(Simple { matched: via.matched, ip, port, rport })
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

/// A datagram that has been told where it came from.
pub(crate) struct Stamped<'a> {
    pub(crate) bytes: Bytes,
    pub(crate) matched: Matched<'a>,
    /// To which port of the source address the response goes.
    pub(crate) port: u16,
}

const RECEIVED: &[u8; 10] = b";received=";

/// The datagram with what its topmost Via lacks of `received` and `rport`, and what that says; `None` if it is not of the usual form.
/// `port`: where responses go if the Via names none.
pub(crate) fn stamped(bytes: &[u8], remote: SocketAddr, port: u16) -> Option<Stamped<'_>> {
    let first = find(bytes, b'\n')? + 1;
    if first < 3 {
        return None;
    }
    let value = top_via(bytes.get(first..)?)?;
    let via = usual(value).filter(|via| !via.more)?;
    match value.get(via.end..)? {
        [b'\r', b'\n', next, ..] if !matches!(next, b' ' | b'\t') => {}
        [b',', ..] => {}
        _ => return None,
    }
    let start = bytes.len() - value.len();
    let IpAddr::V4(ip) = remote.ip() else { return stamped_v6(bytes, start, &via, remote, port) };
    let [(one, one_len), (other, other_len)] = dotted(ip);
    // Each as a whole, which is one move; what is too much of it is written over.
    let mut text = [0; 32];
    let (at, port, len) = match via.rport {
        Some(end) => {
            let (number, len) = decimal(b'=', remote.port());
            put(&mut text, 0, &number);
            (start + end, remote.port(), len)
        }
        None => {
            let (host, port) = host_port(via.matched.sent_by, port)?;
            let port = if via.told.is_some() { remote.port() } else { port };
            put(&mut text, 0, &one);
            put(&mut text, one_len, &other);
            if text.get(..one_len + other_len - 1)? == host {
                return Some(Stamped { bytes: Bytes::copy_from_slice(bytes), matched: via.matched, port });
            }
            if !is_host(host) {
                return None;
            }
            (start + via.end, port, 0)
        }
    };
    put(&mut text, len, RECEIVED);
    put(&mut text, len + RECEIVED.len(), &one);
    put(&mut text, len + RECEIVED.len() + one_len, &other);
    // Without the last dot.
    let text = text.get(..len + RECEIVED.len() + one_len + other_len - 1)?;
    Some(Stamped { bytes: with(bytes, at, [text])?, matched: via.matched, port })
}

/// The value of the topmost Via from its sent-by on, and all behind it. Most have it on the first line of the header.
#[inline(always)]
fn top_via(header: &[u8]) -> Option<&[u8]> {
    header.strip_prefix(VIA).or_else(|| find_via(header))
}

#[inline(never)]
fn find_via(header: &[u8]) -> Option<&[u8]> {
    let mut rest = header;
    loop {
        match rest {
            [] | [b'\r' | b'\n', ..] => return None,
            [b'V' | b'v', b'I' | b'i', b'A' | b'a', field @ ..] | [b'V' | b'v', field @ ..] => {
                if let Some(value) = skip_blanks(field).strip_prefix(b":") {
                    return skip_blanks(value).strip_prefix(UDP);
                }
            }
            _ => {}
        }
        // What is folded begins with white space.
        rest = rest.get(find(rest, b'\n')? + 1..)?;
    }
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    text.get(blanks..).unwrap_or_default()
}

/// The same for what came from an IPv6 address.
#[inline(never)]
fn stamped_v6<'a>(bytes: &[u8], start: usize, via: &Usual<'a>, remote: SocketAddr, port: u16) -> Option<Stamped<'a>> {
    let matched = via.matched;
    if let Some(end) = via.rport {
        let address = alloc::format!("{}", remote.ip());
        let (number, len) = decimal(b'=', remote.port());
        let bytes = with(bytes, start + end, [number.get(..len)?, RECEIVED, address.as_bytes()])?;
        return Some(Stamped { bytes, matched, port: remote.port() });
    }
    // The colons of an address are no end of it.
    let bracket = matched.sent_by.iter().rposition(|&b| b == b']');
    let (address, rest) = matched.sent_by.split_at_checked(bracket.map_or(0, |at| at + 1))?;
    let (name, port) = host_port(rest, port)?;
    let host = match (address, name) {
        ([], name) if is_host(name) => Host::parse(name).ok()?,
        ([b'[', ..], []) => Host::parse(address).ok()?,
        _ => return None,
    };
    let port = if via.told.is_some() { remote.port() } else { port };
    if host.ip() == Some(remote.ip()) {
        return Some(Stamped { bytes: Bytes::copy_from_slice(bytes), matched, port });
    }
    let address = alloc::format!("{}", remote.ip());
    Some(Stamped { bytes: with(bytes, start + via.end, [RECEIVED, address.as_bytes()])?, matched, port })
}

/// The datagram with some texts more at a place.
#[inline(always)]
fn with<const N: usize>(bytes: &[u8], at: usize, texts: [&[u8]; N]) -> Option<Bytes> {
    let (before, after) = bytes.split_at_checked(at)?;
    let mut out = Vec::with_capacity(bytes.len() + texts.iter().map(|text| text.len()).sum::<usize>());
    out.extend_from_slice(before);
    texts.iter().for_each(|text| out.extend_from_slice(text));
    out.extend_from_slice(after);
    Some(out.into())
}

/// The host of a sent-by, and its port, or else `port`. `None` if there is no telling.
#[inline(always)]
fn host_port(sent_by: &[u8], port: u16) -> Option<(&[u8], u16)> {
    let Some(end) = find(sent_by, b':') else { return Some((sent_by, port)) };
    let (host, digits) = (sent_by.get(..end)?, sent_by.get(end + 1..)?);
    // Port 0 is none that anybody has: the parser's user knows what to make of it.
    Some((host, port_of(digits).filter(|port| *port != 0)?))
}

/// The port that a text says, if it is nothing else.
#[inline(always)]
fn port_of(digits: &[u8]) -> Option<u16> {
    if !(1..=5).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let port = digits.iter().fold(0, |port, digit| port * 10 + u32::from(digit - b'0'));
    u16::try_from(port).ok()
}

/// Whether this looks like a name, or an IPv4 address.
fn is_host(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
}

/// Puts bytes into a text at a place. There must be room.
#[inline(always)]
fn put<const N: usize>(text: &mut [u8; 32], at: usize, bytes: &[u8; N]) {
    if let Some(place) = text.get_mut(at..).and_then(|text| text.first_chunk_mut()) {
        *place = *bytes;
    }
}

/// Whether this is a token, which may be empty.
#[inline(always)]
fn is_token(text: &[u8]) -> bool {
    // Without a way out of the loop, which spares most of what a turn of it costs.
    text.iter().fold(0, |not, &b| not | NOT_TOKEN[usize::from(b)]) == 0
}

const EACH: u64 = 0x0101_0101_0101_0101;

/// Where the first `byte` is. For what is found within a few words; farther off, `memchr` is faster.
#[inline(always)]
pub(crate) fn find(text: &[u8], byte: u8) -> Option<usize> {
    let mut rest = text;
    while let Some((word, after)) = rest.split_first_chunk() {
        let differs = u64::from_le_bytes(*word) ^ (EACH * u64::from(byte));
        let found = differs.wrapping_sub(EACH) & !differs & (EACH * 0x80);
        if found != 0 {
            return Some(text.len() - rest.len() + (found.trailing_zeros() / 8) as usize);
        }
        rest = after;
    }
    rest.iter().position(|&b| b == byte).map(|at| text.len() - rest.len() + at)
}

/// How many bytes `text` begins with that stand for themselves in a value of the usual form and end no part of it: ASCII from `#` on
/// but for comma and semicolon.
#[inline(always)]
fn plain(text: &[u8]) -> usize {
    let mut rest = text;
    while let Some((word, after)) = rest.split_first_chunk() {
        let word = u64::from_le_bytes(*word);
        // The highest bit of each byte: what is subtracted borrows from bytes behind one that is found, and the first alone counts.
        let is = |b: u8| (word ^ (EACH * u64::from(b))).wrapping_sub(EACH);
        let low = word.wrapping_sub(EACH * u64::from(b'#'));
        let found = (word | low | is(b',') | is(b';')) & (EACH * 0x80);
        if found != 0 {
            return text.len() - rest.len() + (found.trailing_zeros() / 8) as usize;
        }
        rest = after;
    }
    let short = rest.iter().position(|b| !matches!(b, b'#'..=0x7f) || b",;".contains(b)).unwrap_or(rest.len());
    text.len() - rest.len() + short
}

/// 0 for the bytes of tokens.
static NOT_TOKEN: [u8; 256] = {
    let mut not = [1; 256];
    let mut b = 0x21;
    while b < 0x7f {
        not[b] = match b as u8 {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => 0,
            b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~' => 0,
            _ => 1,
        };
        b += 1;
    }
    not
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

/// A byte and a number behind it, and how many bytes that is.
#[inline(always)]
fn decimal(before: u8, number: u16) -> ([u8; 8], usize) {
    // Five digits, the first lowest; then without zeros in front.
    let (mut digits, mut rest) = (0, u64::from(number));
    for _ in 0..5 {
        digits = (digits << 8) + rest % 10;
        rest /= 10;
    }
    let zeros = (digits | 1 << 32).trailing_zeros() / 8;
    let text = (digits + 0x30_3030_3030) >> (zeros * 8) << 8 | u64::from(before);
    (text.to_le_bytes(), 6 - zeros as usize)
}

/// The numbers of an address in two halves, with a dot behind each, and how many bytes each half is.
#[inline(always)]
fn dotted(ip: Ipv4Addr) -> [([u8; 8], usize); 2] {
    let [a, b, c, d] = ip.octets().map(|octet| OCTETS[usize::from(octet)]);
    [(a, b), (c, d)].map(|((first, len), (second, more))| {
        let word = u64::from(u32::from_le_bytes(first)) | u64::from(u32::from_le_bytes(second)) << (len * 8);
        (word.to_le_bytes(), usize::from(len + more))
    })
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
        let Stamped { bytes, matched, port } = stamped(text.as_bytes(), REMOTE.parse().unwrap(), 5060)?;
        let message = Message::parse(bytes.clone()).unwrap();
        let via = message.top_via().unwrap();
        assert_eq!(via.branch().unwrap().unwrap().as_bytes(), matched.branch);
        assert_eq!(via.sent_by_bytes(), matched.sent_by);
        let expected = via.rport().unwrap().flatten().or(via.sent_by().unwrap().1).unwrap_or(5060);
        assert_eq!(port, expected);
        Some(String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[test]
    fn the_usual_form_is_completed_as_the_edits_would() {
        for head in [
            "Via: SIP/2.0/UDP a.example.com;branch=z9hG4bK1;rport",
            "Via: SIP/2.0/UDP 192.0.2.7:5070;rport;branch=z9hG4bK1",
            "Via: SIP/2.0/UDP [2001:db8::1]:5060;RPORT;branch=z9hG4bK1;x=y",
            "Via: SIP/2.0/UDP a.example.com;x;BRANCH=Z9hg4bK1;y=[::1];rport",
            "v: SIP/2.0/UDP a.example.com;branch=z9hG4bK1;rport",
            "VIA \t:\t SIP/2.0/UDP a.example.com;branch=z9hG4bK1;rport",
            "Call-ID: 1\r\nVia:SIP/2.0/UDP a.example.com;branch=z9hG4bK1;rport",
            "Subject: a\r\n Via: SIP/2.0/UDP x;branch=z9hG4bK2\r\nvia: SIP/2.0/UDP a.example.com;branch=z9hG4bK1;rport",
            "Vary: 1\r\nvi: 2\r\nV:SIP/2.0/UDP a.example.com;branch=z9hG4bK1;rport\r\nVia: SIP/2.0/UDP b;branch=z9hG4bK2;rport",
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
    fn without_rport_the_source_is_told_if_it_is_another() {
        for (sent_by, told) in [
            ("192.0.2.7", false),
            ("192.0.2.7:5060", false),
            ("192.0.2.7:1", false),
            ("192.0.2.77:5060", true),
            ("10.0.0.1:65535", true),
            ("a.example.com", true),
            ("A-1.example.com:5070", true),
        ] {
            let via = format!("Via: SIP/2.0/UDP {sent_by};branch=z9hG4bK1;x=y");
            let expected = if told { format!("{via};received=192.0.2.7") } else { via.clone() };
            assert_eq!(stamp(&via), Some(request(&expected)), "{sent_by}");
        }
    }

    #[test]
    fn what_is_stamped_says_what_edits_would_make_it_say() {
        let hosts = [
            "192.0.2.7",
            "192.0.2.7:5070",
            "192.0.2.8:1",
            "a.example.com",
            "a.example.com:65535",
            "[2001:db8::7]",
            "[2001:DB8:0::7]:5070",
            "[2001:db8::8]:5070",
            "[::ffff:192.0.2.7]",
            "[2001:db8::7",
            "[2001:db8::7]5070",
            "[]",
        ];
        let params = ["", ";rport", ";rport=1", ";RPort=65535", ";x=[::1]"];
        let behind = ["", ",SIP/2.0/UDP b;branch=z9hG4bK2;rport", ", SIP/2.0/UDP c,SIP/2.0/TCP d"];
        let mut stamped_all = 0;
        for remote in
            ["192.0.2.7:5070", "[2001:db8::7]:5070", "[::ffff:192.0.2.7]:5070"].map(|text| text.parse().unwrap())
        {
            let remote: SocketAddr = remote;
            for (host, behind) in hosts.iter().flat_map(|host| behind.iter().map(move |behind| (host, behind))) {
                for (a, b) in params.iter().flat_map(|a| params.iter().map(move |b| (a, b))) {
                    let text = request(&format!("Via: SIP/2.0/UDP {host}{a};branch=z9hG4bK1{b}{behind}"));
                    let Some(Stamped { bytes, matched, port }) = stamped(text.as_bytes(), remote, 5060) else {
                        continue;
                    };
                    stamped_all += 1;
                    let mut slow = Message::parse(text.clone().into()).unwrap();
                    let via = slow.top_via().unwrap();
                    let (came, sent_by) = (via.rport().unwrap(), via.sent_by());
                    let (ip, named) = sent_by.as_ref().map_or((None, None), |(host, port)| (host.ip(), *port));
                    let empty = came == Some(None);
                    let received = (empty || ip != Some(remote.ip())).then(|| remote.ip());
                    slow.set_source(received, empty.then(|| remote.port())).unwrap();
                    assert_eq!(port, if came.is_some() { remote.port() } else { named.unwrap_or(5060) }, "{text}");
                    let fast = Message::parse(bytes).unwrap();
                    assert_eq!(fast.vias().count(), slow.vias().count());
                    let (via, made) = (slow.top_via().unwrap(), fast.top_via().unwrap());
                    assert_eq!((made.received(), made.rport()), (via.received(), via.rport()), "{text}");
                    assert_eq!((made.branch(), made.sent_by_bytes()), (via.branch(), via.sent_by_bytes()), "{text}");
                    assert_eq!((matched.branch, matched.sent_by), (&b"z9hG4bK1"[..], via.sent_by_bytes()), "{text}");
                    assert_eq!(made.params().count(), via.params().count(), "{text}");
                    let others =
                        |message: &Message| message.vias().skip(1).map(|via| format!("{via:?}")).collect::<String>();
                    assert_eq!(others(&fast).len(), others(&slow).len(), "{text}");
                }
            }
        }
        assert!(stamped_all > 400, "{stamped_all}");
    }

    #[test]
    fn ports_and_addresses_are_written_in_full() {
        let via = "Via: SIP/2.0/UDP a.example.com;branch=z9hG4bK1;rport";
        for port in [0, 9, 10, 255, 5060, 65_535] {
            for n in (0..=255u8).chain([7]) {
                for ip in [[n, 0, 10, 255], [1, n, 100, 9], [255, 255, 255, n]] {
                    let remote = SocketAddr::from((ip, port));
                    let bytes = stamped(request(via).as_bytes(), remote, 5060).unwrap().bytes;
                    let expected = format!("{via}={port};received={}", remote.ip());
                    assert_eq!(String::from_utf8(bytes.to_vec()).unwrap(), request(&expected));
                }
            }
        }
        let remote: SocketAddr = "[2001:db8:1111:2222:3333:4444:5555:6666]:65535".parse().unwrap();
        let bytes = stamped(request(via).as_bytes(), remote, 5060).unwrap().bytes;
        let expected = format!("{via}=65535;received={}", remote.ip());
        assert_eq!(String::from_utf8(bytes.to_vec()).unwrap(), request(&expected));
        // With nothing behind it there is no room for more than is written.
        let bare = format!("O s SIP/2.0\r\n{via}\r\nx");
        let bytes = stamped(bare.as_bytes(), "1.2.3.4:5".parse().unwrap(), 5060).unwrap().bytes;
        assert_eq!(bytes, format!("O s SIP/2.0\r\n{via}=5;received=1.2.3.4\r\nx").as_bytes());
    }

    #[test]
    fn anything_else_is_left_to_the_parser() {
        for head in [
            "Via: SIP/2.0/UDP a_b.example.com;branch=z9hG4bK1",
            "Via: SIP/2.0/UDP [2001:db8::1];branch=z9hG4bK1",
            "Via: SIP/2.0/UDP :5060;branch=z9hG4bK1",
            "Via: SIP/2.0/UDP 192.0.2.7:;branch=z9hG4bK1",
            "Via: SIP/2.0/UDP 192.0.2.7:+5060;branch=z9hG4bK1",
            "Via: SIP/2.0/UDP 192.0.2.7:65536;branch=z9hG4bK1",
            "Via: SIP/2.0/UDP 192.0.2.7:0;branch=z9hG4bK1",
            "Via: SIP/2.0/UDP 192.0.2.7:005060;branch=z9hG4bK1",
            "Via: SIP/2.0/UDP a.example.com;branch=z9hG4bK1;rport=x",
            "Via: SIP/2.0/UDP a.example.com;branch=z9hG4bK1;rport=",
            "Via: SIP/2.0/UDP a.example.com;branch=z9hG4bK1;rport=65536",
            "Via: SIP/2.0/UDP a.example.com;branch=z9hG4bK1;rport=1;rport",
            "Via: SIP/2.0/UDP a.example.com;branch=z9hG4bK1;rport;rport=1",
            "Via: SIP/2.0/UDP a.example.com;branch=z9hG4bK1;rports",
            "Via: SIP/2.0/UDP a.example.com;branch=z9hG4bK1;rport;rport",
            "Via: SIP/2.0/UDP a.example.com;rport;Received=1.2.3.4",
            "Via: SIP/2.0/UDP a.example.com;rport, SIP/2.0/UDP b;branch=z9hG4bK1",
            "Via: SIP/2.0/UDP a.example.com;branch=z9hG4bK1;x=<, SIP/2.0/UDP b>;rport",
            "Via: SIP/2.0/UDP a.example.com;branch=z9hG4bK1;rport , SIP/2.0/UDP b",
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
            "v: SIP/2.0/TCP a.example.com;rport\r\nVia: SIP/2.0/UDP a.example.com;branch=z9hG4bK1",
            "Via:\r\n SIP/2.0/UDP a.example.com;branch=z9hG4bK1",
            "Via:\r\nVia: SIP/2.0/UDP a.example.com;branch=z9hG4bK1",
            "\r\nVia: SIP/2.0/UDP a.example.com;branch=z9hG4bK1",
            "Max-Forwards: 70",
        ] {
            assert_eq!(stamp(head), None, "{head}");
        }
        assert!(stamped(b"", REMOTE.parse().unwrap(), 5060).is_none());
        assert!(stamped(b"\r\nVia: SIP/2.0/UDP a;rport\r\n\r\n", REMOTE.parse().unwrap(), 5060).is_none());
    }
}
