//! The little of SDP that hold and resume need: the direction of media, read and rewritten line by line.
//!
//! The host owns its session descriptions; these helpers spare it a parser for the one change that every telephone makes.

use alloc::vec::Vec;

/// Which way media flows, as seen by whoever wrote the description (RFC 3264 section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Both ways: `a=sendrecv`, and what is meant where nothing is said.
    SendRecv,
    /// `a=sendonly`
    SendOnly,
    /// `a=recvonly`
    RecvOnly,
    /// `a=inactive`
    Inactive,
}

impl Direction {
    /// The attribute's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Direction::SendRecv => "sendrecv",
            Direction::SendOnly => "sendonly",
            Direction::RecvOnly => "recvonly",
            Direction::Inactive => "inactive",
        }
    }

    /// What the peer may answer at most to an offer of this direction (RFC 3264 section 6.1).
    pub const fn reversed(self) -> Self {
        match self {
            Direction::SendOnly => Direction::RecvOnly,
            Direction::RecvOnly => Direction::SendOnly,
            both => both,
        }
    }

    fn of(line: &[u8]) -> Option<Self> {
        let all = [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive];
        // All of them have as many letters; a browser's description has a hundred other attributes.
        let name = line.strip_prefix(b"a=").filter(|name| name.len() == Direction::SendRecv.as_str().len())?;
        all.into_iter().find(|direction| direction.as_str().as_bytes() == name)
    }
}

fn lines(sdp: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(sdp);
    core::iter::from_fn(move || {
        let text = rest?;
        let end = memchr::memchr(b'\n', text);
        rest = end.and_then(|end| text.get(end + 1..));
        let line = end.and_then(|end| text.get(..end)).unwrap_or(text);
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    })
}

/// A stream of a description, as far as it has been read.
#[derive(Clone, Copy, Default)]
struct Stream {
    direction: Option<Direction>,
    /// Whether its own address is null.
    null: Option<bool>,
    /// Its port is 0.
    rejected: bool,
    /// Its port is one of those that nothing is sent to.
    discards: bool,
}

impl Stream {
    /// Whether it holds the peer; `session`: what is said for all streams that say nothing themselves.
    fn holds(&self, session: &Stream) -> bool {
        let direction = self.direction.or(session.direction);
        // Port 9 beside a null address is what a browser writes as long as it has no candidates (RFC 8829 section 5.2.1): that is no hold.
        let null = self.null.or(session.null) == Some(true) && !self.discards;
        null || matches!(direction, Some(Direction::SendOnly | Direction::Inactive))
    }
}

/// Whether the description puts the peer on hold: every stream that is not rejected is `sendonly` or `inactive`, or has the address 0.0.0.0 of
/// RFC 2543. A description without streams does not.
pub fn is_hold(sdp: &[u8]) -> bool {
    mentions_hold(sdp) && reads_as_hold(sdp)
}

/// Whether there is anything that hold could be said with: what stands in `sendonly`, `inactive` and ` 0.0.0.0`. Nearly all descriptions have
/// nothing of the kind.
fn mentions_hold(sdp: &[u8]) -> bool {
    let (second, third) = (sdp.iter().skip(1), sdp.iter().skip(2));
    // Without a way out of the loop, it looks at many bytes at once.
    sdp.iter().zip(second).zip(third).fold(false, |any, ((a, b), c)| {
        any | (*a == b'd') & (*b == b'o') | (*a == b'i') & (*b == b'v') | (*a == b' ') & (*b == b'0') & (*c == b'.')
    })
}

fn reads_as_hold(sdp: &[u8]) -> bool {
    let mut session = Stream::default();
    let mut stream: Option<Stream> = None;
    let mut held = false;
    for line in lines(sdp) {
        match line {
            [b'm', b'=', media @ ..] => {
                if let Some(before) = stream.filter(|before| !before.rejected) {
                    // One that is not held is enough.
                    if !before.holds(&session) {
                        return false;
                    }
                    held = true;
                }
                let port = media.split(|&b| b == b' ').nth(1).unwrap_or_default();
                stream = Some(Stream { rejected: port == b"0", discards: port == b"9", ..Stream::default() });
            }
            [b'a', b'=', ..] => {
                if let Some(direction) = Direction::of(line) {
                    stream.as_mut().unwrap_or(&mut session).direction = Some(direction);
                }
            }
            //= https://www.rfc-editor.org/rfc/rfc3264#section-8.4
            //# An agent MUST be capable of receiving SDP with a connection address of
            //# 0.0.0.0, in which case it means that neither RTP nor RTCP should be sent
            //# to the peer.
            [b'c', b'=', address @ ..] => {
                stream.as_mut().unwrap_or(&mut session).null = Some(address.ends_with(b" 0.0.0.0"));
            }
            _ => {}
        }
    }
    match stream.filter(|last| !last.rejected) {
        Some(last) => last.holds(&session),
        None => held,
    }
}

/// The description with every stream turned to `direction` and the version in its `o=` line one higher (RFC 3264 section 8): what to
/// offer to put a peer on hold (`SendOnly`, or `Inactive`) or to take it back (`SendRecv`). `None` if there is no `o=`
/// line with a version.
///
/// ```
/// use sip_dialog::sdp::{self, Direction};
///
/// let ours = b"v=0\r\no=- 7 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
/// let hold = sdp::with_direction(ours, Direction::SendOnly).unwrap();
/// assert!(hold.starts_with(b"v=0\r\no=- 7 2 IN IP4 192.0.2.1\r\n") && hold.ends_with(b"a=sendonly\r\n"));
/// assert!(sdp::is_hold(&hold) && !sdp::is_hold(ours));
/// ```
//= https://www.rfc-editor.org/rfc/rfc3264#section-8
//# When issuing an offer that modifies the session, the "o=" line of the
//# new SDP MUST be identical to that in the previous SDP, except that the
//# version in the origin field MUST increment by one from the previous SDP.
pub fn with_direction(sdp: &[u8], direction: Direction) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(sdp.len() + 32);
    let (mut versioned, mut in_stream) = (false, false);
    let attribute = |out: &mut Vec<u8>| {
        out.extend_from_slice(b"a=");
        out.extend_from_slice(direction.as_str().as_bytes());
        out.extend_from_slice(b"\r\n");
    };
    for line in lines(sdp) {
        if line.is_empty() || Direction::of(line).is_some() {
            continue;
        }
        if line.starts_with(b"m=") && core::mem::replace(&mut in_stream, true) {
            attribute(&mut out);
        }
        if line.starts_with(b"o=") {
            for (n, word) in line.split(|&b| b == b' ').enumerate() {
                if n > 0 {
                    out.push(b' ');
                }
                match core::str::from_utf8(word).ok().filter(|_| n == 2).and_then(|word| word.parse::<u64>().ok()) {
                    Some(version) => {
                        versioned = true;
                        out.extend_from_slice(alloc::format!("{}", version.wrapping_add(1)).as_bytes());
                    }
                    None => out.extend_from_slice(word),
                }
            }
        } else {
            out.extend_from_slice(line);
        }
        out.extend_from_slice(b"\r\n");
    }
    if in_stream {
        attribute(&mut out);
    }
    versioned.then_some(out)
}

/// An answer to `offer` that takes none of its streams: each stands there with port 0 (RFC 3264 section 6), and nothing else is said. What
/// to answer before hanging up, where an answer is owed all the same. `None` if the offer does not begin with the lines of a session
/// description.
///
/// ```
/// let offer = b"v=0\r\no=- 7 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8\r\na=ptime:20\r\n";
/// let answer = sip_dialog::sdp::refusal(offer).unwrap();
/// assert_eq!(answer, b"v=0\r\no=- 7 1 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\nm=audio 0 RTP/AVP 0 8\r\n");
/// ```
//= https://www.rfc-editor.org/rfc/rfc3264#section-6
//# For each "m=" line in the offer, there MUST be a corresponding "m=" line
//# in the answer.
//= https://www.rfc-editor.org/rfc/rfc3264#section-6
//# To reject an offered stream, the port number in the corresponding stream
//# in the answer MUST be set to zero.
pub fn refusal(offer: &[u8]) -> Option<Vec<u8>> {
    if lines(offer).next() != Some(b"v=0") {
        return None;
    }
    let mut out = Vec::with_capacity(offer.len().min(1024));
    let origin = lines(offer).find_map(|line| line.strip_prefix(b"o="))?;
    let mut words = origin.split(|&b| b == b' ').skip(1);
    let number = |word: &&[u8]| !word.is_empty() && word.iter().all(u8::is_ascii_digit);
    let session = words.next().filter(number).unwrap_or(b"1");
    // The address is that of nobody: there is nothing to send to.
    let nowhere: &[u8] = if words.nth(2) == Some(b"IP6") { b"IN IP6 ::" } else { b"IN IP4 0.0.0.0" };
    for part in [b"v=0\r\no=- ", session, b" 1 ", nowhere, b"\r\ns=-\r\nc=", nowhere, b"\r\n"] {
        out.extend_from_slice(part);
    }
    let mut timed = false;
    for line in lines(offer) {
        //= https://www.rfc-editor.org/rfc/rfc3264#section-6
        //# The "t=" line in the answer MUST equal that of the offer.
        let time = line.starts_with(b"t=");
        timed |= time;
        if let Some(media) = line.strip_prefix(b"m=") {
            if !core::mem::replace(&mut timed, true) {
                out.extend_from_slice(b"t=0 0\r\n");
            }
            //= https://www.rfc-editor.org/rfc/rfc3264#section-6
            //# Any media formats listed are ignored.
            let mut words = media.splitn(3, |&b| b == b' ');
            let (kind, _, rest) = (words.next()?, words.next()?, words.next()?);
            for part in [b"m=", kind, b" 0 ", rest, b"\r\n"] {
                out.extend_from_slice(part);
            }
        } else if time {
            out.extend_from_slice(line);
            out.extend_from_slice(b"\r\n");
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use proptest::prelude::*;

    const AUDIO: &[u8] =
        b"v=0\r\no=- 1 9 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

    //= https://www.rfc-editor.org/rfc/rfc3264#section-8.4
    //= type=test
    //# An agent MUST be capable of receiving SDP with a connection address of
    //# 0.0.0.0, in which case it means that neither RTP nor RTCP should be sent
    //# to the peer.
    #[test]
    fn hold_is_told_from_its_forms() {
        let held = |more: &[u8]| is_hold(&[AUDIO, more].concat());
        assert!(!held(b""));
        assert!(held(b"a=sendonly\r\n"));
        assert!(held(b"a=inactive\r\n"));
        assert!(!held(b"a=recvonly\r\n"));
        assert!(held(b"c=IN IP4 0.0.0.0\r\n"));
        assert!(!held(b"a=sendonly\r\nm=video 4002 RTP/AVP 31\r\n"), "one stream is live");
        assert!(held(b"a=sendonly\r\nm=video 0 RTP/AVP 31\r\n"), "a rejected stream does not count");
        assert!(!is_hold(b""));
        assert!(!is_hold(AUDIO.strip_suffix(b"m=audio 4000 RTP/AVP 0\r\n").unwrap()), "no stream");
        assert!(is_hold(b"v=0\nc=IN IP4 0.0.0.0\na=recvonly\nm=audio 4000 RTP/AVP 0"), "for all streams");
        assert!(is_hold(b"v=0\na=inactive\nm=audio 4 RTP/AVP 0\nm=audio 6 RTP/AVP 0\nm=audio 0 RTP/AVP 0\na=sendrecv"));
    }

    #[test]
    fn a_browser_without_candidates_holds_nobody() {
        let offer = |port: u16, direction: &str| {
            format!(
                "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio {port} UDP/TLS/RTP/SAVPF 111\r\n\
                 c=IN IP4 0.0.0.0\r\na=ice-ufrag:x\r\na={direction}\r\n"
            )
        };
        assert!(!is_hold(offer(9, "sendrecv").as_bytes()));
        assert!(is_hold(offer(9, "sendonly").as_bytes()));
        assert!(is_hold(offer(4000, "sendrecv").as_bytes()));
    }

    proptest! {
        /// What is passed over has no hold in it.
        #[test]
        fn hold_is_never_overlooked(
            parts in proptest::collection::vec(
                prop::sample::select(&["a=sendonly", "a=inactive", "a=sendrecv", "c=IN IP4 0.0.0.0", "m=a 4 b", "m=a 0 b", "m=a 9 b", "x"][..]),
                0..8,
            ),
        ) {
            for ending in ["\n", "\r\n"] {
                let mut text = parts.join(ending).into_bytes();
                prop_assert_eq!(is_hold(&text), reads_as_hold(&text));
                text.extend_from_slice(ending.as_bytes());
                prop_assert_eq!(is_hold(&text), reads_as_hold(&text));
            }
        }
    }

    //= https://www.rfc-editor.org/rfc/rfc3264#section-6
    //= type=test
    //# For each "m=" line in the offer, there MUST be a corresponding "m=" line
    //# in the answer.
    //= https://www.rfc-editor.org/rfc/rfc3264#section-6
    //= type=test
    //# To reject an offered stream, the port number in the corresponding stream
    //# in the answer MUST be set to zero.
    //= https://www.rfc-editor.org/rfc/rfc3264#section-6
    //= type=test
    //# The "t=" line in the answer MUST equal that of the offer.
    #[test]
    fn a_refusal_has_each_stream_with_port_0() {
        let two = b"v=0\no=me word 9 IN IP6 2001:db8::1\ns=x\nt=3 4\nm=audio 4000/2 RTP/AVP 0\na=sendonly\nm=video 6 RTP/SAVPF 96 97\nc=IN IP6 2001:db8::2\n";
        let answer = refusal(two).unwrap();
        let text = core::str::from_utf8(&answer).unwrap();
        let wanted = "v=0\r\no=- 1 1 IN IP6 ::\r\ns=-\r\nc=IN IP6 ::\r\nt=3 4\r\nm=audio 0 RTP/AVP 0\r\nm=video 0 RTP/SAVPF 96 97\r\n";
        assert_eq!(text, wanted);
        let none = refusal(b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n").unwrap();
        assert!(!none.windows(2).any(|part| part == b"m="), "an offer of nothing");
        for broken in [&b""[..], b"hello", b"v=0\r\ns=-\r\n", b"v=0\r\no=- 1 1 IN IP4 h\r\nm=audio 3\r\n"] {
            assert_eq!(refusal(broken), None);
        }
    }

    //= https://www.rfc-editor.org/rfc/rfc3264#section-8
    //= type=test
    //# When issuing an offer that modifies the session, the "o=" line of the
    //# new SDP MUST be identical to that in the previous SDP, except that the
    //# version in the origin field MUST increment by one from the previous SDP.
    #[test]
    fn directions_of_all_streams_are_replaced() {
        let two = [AUDIO, b"a=recvonly\r\nm=video 4002 RTP/AVP 31\r\n"].concat();
        let hold = with_direction(&two, Direction::Inactive).unwrap();
        let text = core::str::from_utf8(&hold).unwrap();
        assert_eq!(text.matches("a=inactive").count(), 2);
        assert!(!text.contains("recvonly") && text.contains("o=- 1 10 "));
        let back = with_direction(&hold, Direction::SendRecv).unwrap();
        assert!(!is_hold(&back));
        assert_eq!(with_direction(b"v=0\r\n", Direction::SendOnly), None);
        assert_eq!(Direction::SendOnly.reversed(), Direction::RecvOnly);
    }
}
