//! SIP over WebSocket (RFC 7118): what may travel on a connection whose subprotocol is `sip`, and the names that SIP
//! has for this transport.
//!
//! A [`Connection`](crate::Connection) with that subprotocol follows these rules by itself, unless
//! [`Config::sip_rules`](crate::Config::sip_rules) is off: it hands out SIP messages as
//! [`Event::Sip`](crate::Event::Sip), whatever kind of frame they came in, answers or absorbs CRLF keepalives, and fails
//! on anything else. It never looks deeper into a message than it must for that: that is the work of a SIP parser.

use crate::close::Violation;
use alloc::string::String;

/// The subprotocol name, as it stands in `Sec-WebSocket-Protocol`.
pub const SUBPROTOCOL: &str = "sip";

/// A SIP transport of RFC 7118: WebSocket without or with TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Over TCP.
    Ws,
    /// Over TLS.
    Wss,
}

impl Transport {
    /// The transport of a connection, by whether it runs over TLS.
    #[must_use]
    pub const fn new(is_secure: bool) -> Self {
        if is_secure { Self::Wss } else { Self::Ws }
    }

    /// The transport in a Via header field (RFC 7118 section 5.1).
    #[must_use]
    pub const fn via(self) -> &'static str {
        match self {
            Self::Ws => "WS",
            Self::Wss => "WSS",
        }
    }

    /// The value of the `transport` parameter of a SIP URI (RFC 7118 section 5.2): `ws` for both; that TLS is needed is
    /// said by the `sips` scheme.
    #[must_use]
    pub const fn uri_parameter(self) -> &'static str {
        "ws"
    }

    /// The port if neither a URI nor DNS says one (RFC 7118 section 5.5).
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Ws => 80,
            Self::Wss => 443,
        }
    }

    /// The NAPTR service (RFC 7118 section 5.5).
    #[must_use]
    pub const fn naptr_service(self) -> &'static str {
        match self {
            Self::Ws => "SIP+D2W",
            Self::Wss => "SIPS+D2W",
        }
    }

    /// True if a request to a `sips` URI may go over it.
    //= https://www.rfc-editor.org/rfc/rfc7118#section-9.2
    //# The "sips" scheme in a SIP URI dictates that the entire request path
    //# to the target be secure.  If such a path includes a WebSocket
    //# connection, it MUST be a secure WebSocket connection.
    #[must_use]
    pub const fn may_carry_sips(self) -> bool {
        matches!(self, Self::Wss)
    }

    /// The transport that a Via header field names, compared without case.
    #[must_use]
    pub fn from_via(name: &str) -> Option<Self> {
        [Self::Ws, Self::Wss].into_iter().find(|own| own.via().eq_ignore_ascii_case(name))
    }
}

/// True if a host name must not be looked up: it ends in `.invalid`, as the `sent-by` and Contact of a browser do, which
/// cannot know its address (RFC 7118 appendix B.1). Such a peer is reached over the connection it opened, or not at all.
#[must_use]
pub fn is_unresolvable(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    host.rsplit('.').next().is_some_and(|label| label.eq_ignore_ascii_case("invalid"))
}

/// A random host name below `.invalid` for the `sent-by` and Contact of a client that does not know its address. `seed`
/// must be unpredictable, and constant as long as the client lives.
#[must_use]
pub fn unresolvable_host(seed: [u8; 32]) -> String {
    use sha2::Digest as _;
    let digest = sha2::Sha256::new().chain_update(b"host").chain_update(seed).finalize();
    let digits = b"abcdefghijklmnopqrstuvwxyz234567";
    let label = digest.iter().take(12).filter_map(|byte| digits.get(usize::from(byte % 32)));
    label.map(|&byte| char::from(byte)).chain(".invalid".chars()).collect()
}

/// What a WebSocket message on a `sip` connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// A SIP message, behind this many bytes of empty lines.
    Message(usize),
    /// The double CRLF of RFC 5626 section 3.5.1: asks for a single one.
    Ping,
    /// A single CRLF, or nothing: answers a ping, or keeps a binding of a NAT.
    Pong,
}

/// Tells SIP from keepalives and from anything else.
//= https://www.rfc-editor.org/rfc/rfc7118#section-4.1
//# Messages other than SIP requests and responses MUST NOT
//# be transmitted over this connection.
pub(crate) fn classify(payload: &[u8]) -> Result<Content, Violation> {
    // RFC 3261 section 7.5: empty lines before a start line are ignored.
    let blank = payload.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let message = payload.get(blank..).unwrap_or_default();
    if message.is_empty() {
        return Ok(if blank >= 4 { Content::Ping } else { Content::Pong });
    }
    if !starts_message(message) {
        return Err(Violation::NotSip);
    }
    //= https://www.rfc-editor.org/rfc/rfc7118#section-5
    //# Each SIP message MUST be carried within a single WebSocket message,
    //# and a WebSocket message MUST NOT contain more than one SIP message.
    if starts_message(behind(message)) {
        return Err(Violation::SeveralSipMessages);
    }
    Ok(Content::Message(blank))
}

/// True if there is a first line, and it looks like a Request-Line or a Status-Line of any version of SIP. What is wrong
/// with it beyond that can be answered in SIP.
fn starts_message(bytes: &[u8]) -> bool {
    let Some(end) = memchr::memchr(b'\n', bytes) else { return false };
    let line = bytes.get(..end).unwrap_or_default();
    let is_version = |text: &[u8]| text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"SIP/"));
    if is_version(line) {
        return true;
    }
    if !line.first().is_some_and(u8::is_ascii_graphic) {
        return false;
    }
    // The version stands behind the last space that something follows.
    let line = line.trim_ascii_end();
    memchr::memrchr(b' ', line).is_some_and(|at| at > 0 && is_version(line.get(at + 1..).unwrap_or_default()))
}

/// The bytes behind the body that `Content-Length` announces; none if it does not stand there.
fn behind(message: &[u8]) -> &[u8] {
    let mut announced = None;
    let mut rest = message;
    while let Some(end) = memchr::memchr(b'\n', rest) {
        let (line, after) = rest.split_at_checked(end + 1).unwrap_or((rest, &[]));
        rest = after;
        match line {
            b"\r\n" | b"\n" => {
                let body = announced.unwrap_or(rest.len());
                return rest.get(body..).unwrap_or_default();
            }
            [b'C' | b'c' | b'L' | b'l', ..] => announced = content_length(line).or(announced),
            _ => {}
        }
    }
    &[]
}

fn content_length(line: &[u8]) -> Option<usize> {
    let colon = memchr::memchr(b':', line)?;
    let name = line.get(..colon)?.trim_ascii();
    if !name.eq_ignore_ascii_case(b"content-length") && !name.eq_ignore_ascii_case(b"l") {
        return None;
    }
    let value = core::str::from_utf8(line.get(colon + 1..)?.trim_ascii()).ok()?;
    value.bytes().all(|byte| byte.is_ascii_digit()).then(|| value.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::{Content, Transport, classify, is_unresolvable, unresolvable_host};
    use crate::Violation;

    const OPTIONS: &[u8] = b"OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/WS x.invalid\r\n\r\n";

    //= https://www.rfc-editor.org/rfc/rfc7118#section-4.1
    //= type=test
    //# Messages other than SIP requests and responses MUST NOT
    //# be transmitted over this connection.
    #[test]
    fn only_sip_and_keepalives_pass() {
        assert_eq!(classify(OPTIONS), Ok(Content::Message(0)));
        assert_eq!(classify(b"SIP/2.0 200 OK\r\n\r\n"), Ok(Content::Message(0)));
        assert_eq!(classify(b"sip/2.0 200 OK\r\n\r\n"), Ok(Content::Message(0)));
        assert_eq!(classify(b"INVITE sip:a SIP/7.0 \r\n\r\n"), Ok(Content::Message(0)));
        assert_eq!(classify(b"\r\n\r\nBYE sip:a SIP/2.0\r\n\r\n"), Ok(Content::Message(4)));
        assert_eq!(classify(b"\r\n\r\n"), Ok(Content::Ping));
        assert_eq!(classify(b"\r\n"), Ok(Content::Pong));
        assert_eq!(classify(b""), Ok(Content::Pong));
        for other in [&b"hello"[..], b"GET / HTTP/1.1\r\n\r\n", b"{\"a\": 1}\r\n", b" SIP/2.0\r\n", b"SIP/2.0 200 OK"] {
            assert_eq!(classify(other), Err(Violation::NotSip), "{}", other.escape_ascii());
        }
    }

    //= https://www.rfc-editor.org/rfc/rfc7118#section-5
    //= type=test
    //# Each SIP message MUST be carried within a single WebSocket message,
    //# and a WebSocket message MUST NOT contain more than one SIP message.
    #[test]
    fn a_second_message_is_refused() {
        let with = |length: &str, body: &[u8]| {
            [b"MESSAGE sip:a SIP/2.0\r\nContent-Type: text/plain\r\n", length.as_bytes(), b"\r\n\r\n", body].concat()
        };
        assert_eq!(classify(&with("Content-Length: 2", b"hi")), Ok(Content::Message(0)));
        assert_eq!(classify(&with("X: y", OPTIONS)), Ok(Content::Message(0)), "without a length all is body");
        assert_eq!(classify(&with("l: 54", OPTIONS)), Ok(Content::Message(0)), "a message may carry another");
        assert_eq!(classify(&with("l : 0", OPTIONS)), Err(Violation::SeveralSipMessages));
        assert_eq!(classify(&with("Content-Length: 0", OPTIONS)), Err(Violation::SeveralSipMessages));
        // Other trouble with the length can be answered in SIP.
        assert_eq!(classify(&with("Content-Length: 99999999999999999999", OPTIONS)), Ok(Content::Message(0)));
        assert_eq!(classify(&with("Content-Length: 1", b"hi")), Ok(Content::Message(0)));
    }

    //= https://www.rfc-editor.org/rfc/rfc7118#section-9.2
    //= type=test
    //# The "sips" scheme in a SIP URI dictates that the entire request path
    //# to the target be secure.  If such a path includes a WebSocket
    //# connection, it MUST be a secure WebSocket connection.
    #[test]
    fn transports_have_their_names() {
        let [ws, wss] = [false, true].map(Transport::new);
        assert_eq!((ws.via(), ws.uri_parameter(), ws.default_port(), ws.naptr_service()), ("WS", "ws", 80, "SIP+D2W"));
        assert_eq!((wss.via(), wss.default_port(), wss.naptr_service()), ("WSS", 443, "SIPS+D2W"));
        assert!(wss.may_carry_sips() && !ws.may_carry_sips());
        assert_eq!((Transport::from_via("wss"), Transport::from_via("TLS")), (Some(wss), None));
    }

    #[test]
    fn invalid_hosts_are_never_resolved() {
        for host in ["df7jal23ls0d.invalid", "a.INVALID.", "invalid"] {
            assert!(is_unresolvable(host), "{host}");
        }
        for host in ["invalid.example", "notinvalid", "", "a.invalid.example."] {
            assert!(!is_unresolvable(host), "{host}");
        }
        assert!(is_unresolvable(&unresolvable_host([1; 32])));
        assert_ne!(unresolvable_host([1; 32]), unresolvable_host([2; 32]));
    }
}
