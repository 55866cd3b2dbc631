//! RFC 7118: SIP over WebSocket, with the examples of its sections 4.1 and 8 byte for byte.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers too are tests

use crate::common::{Pair, at, close_body, events, feed, frame, masked, output, parse};
use bytes::Bytes;
use sip_ws::{
    Accept, Answer, Cause, ClientRequest, CloseCode, Config, Connection, Event, Instant, Message, SendFailure,
    Violation, sip,
};

/// A key that the examples show stands for the one that a client makes.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

fn crlf(lines: &str) -> String {
    lines.trim_start_matches('\n').replace('\n', "\r\n")
}

/// Both ends, open, with the subprotocol `sip`.
fn pair() -> Pair {
    Pair::new(Config::sip(), Config::sip())
}

fn server() -> Connection {
    let mut server = Connection::server(Instant::ZERO, Config::sip());
    let head = crate::common::REQUEST.replace("\r\n\r\n", "\r\nSec-WebSocket-Protocol: sip\r\n\r\n");
    feed(&mut server, head.as_bytes());
    server.accept(Instant::ZERO, Accept::new()).unwrap();
    let _ = (events(&mut server), output(&mut server));
    server
}

/// The handshakes of sections 4.1 and 8.1 differ in host and origin only.
//= https://www.rfc-editor.org/rfc/rfc7118#section-4.1
//= type=test
//# The client MUST
//# include the value "sip" in the Sec-WebSocket-Protocol header in its
//# handshake request.
//= https://www.rfc-editor.org/rfc/rfc7118#section-4.1
//= type=test
//# The 101 reply from the server MUST contain "sip"
//# in its corresponding Sec-WebSocket-Protocol header.
#[test]
fn the_handshakes_of_the_examples() {
    for (url, host, origin) in [
        ("ws://sip-ws.example.com", "sip-ws.example.com", "http://www.example.com"),
        ("wss://proxy.example.com/", "proxy.example.com", "https://www.example.com"),
    ] {
        let expected = crlf(&format!(
            "
GET / HTTP/1.1
Host: {host}
Upgrade: websocket
Connection: Upgrade
Sec-WebSocket-Key: {KEY}
Origin: {origin}
Sec-WebSocket-Protocol: sip
Sec-WebSocket-Version: 13

"
        ));
        let request = ClientRequest::new(url.parse().unwrap()).origin(origin).unwrap();
        let mut client = Connection::client(Instant::ZERO, Config::sip(), &request, [3; 32]).unwrap();
        let head = String::from_utf8(output(&mut client)).unwrap();
        let key = crate::common::field(&head, "Sec-WebSocket-Key").unwrap();
        assert_eq!(head.replace(&key, KEY), expected);

        let mut server = Connection::server(Instant::ZERO, Config::sip());
        feed(&mut server, expected.as_bytes());
        let Some(Event::Upgrade(head)) = server.poll_event() else { panic!() };
        assert_eq!((head.host(), head.origin(), head.path()), (Some(host), Some(origin), "/"));
        server.accept(Instant::ZERO, Accept::new()).unwrap();
        let answer = crlf(
            "
HTTP/1.1 101 Switching Protocols
Upgrade: websocket
Connection: Upgrade
Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=
Sec-WebSocket-Protocol: sip

",
        );
        assert_eq!(String::from_utf8(output(&mut server)).unwrap(), answer);
        assert_eq!(server.protocol(), Some(sip::SUBPROTOCOL));
    }
}

/// Sections 8.1 and 8.2: what goes between Alice and the proxy, in order; `>` from Alice, `<` to her.
const FLOWS: [(char, &str); 9] = [
    (
        '>',
        "
REGISTER sip:proxy.example.com SIP/2.0
Via: SIP/2.0/WSS df7jal23ls0d.invalid;branch=z9hG4bKasudf
From: sip:alice@example.com;tag=65bnmj.34asd
To: sip:alice@example.com
Call-ID: aiuy7k9njasd
CSeq: 1 REGISTER
Max-Forwards: 70
Supported: path, outbound, gruu
Contact: <sip:alice@df7jal23ls0d.invalid;transport=ws>
  ;reg-id=1
  ;+sip.instance=\"<urn:uuid:f81-7dec-14a06cf1>\"

",
    ),
    (
        '<',
        "
SIP/2.0 200 OK
Via: SIP/2.0/WSS df7jal23ls0d.invalid;branch=z9hG4bKasudf
From: sip:alice@example.com;tag=65bnmj.34asd
To: sip:alice@example.com;tag=12isjljn8
Call-ID: aiuy7k9njasd
CSeq: 1 REGISTER
Supported: outbound, gruu
Contact: <sip:alice@df7jal23ls0d.invalid;transport=ws>
  ;reg-id=1
  ;+sip.instance=\"<urn:uuid:f81-7dec-14a06cf1>\"
  ;pub-gruu=\"sip:alice@example.com;gr=urn:uuid:f81-7dec-14a06cf1\"
  ;temp-gruu=\"sip:87ash54=3dd.98a@example.com;gr\"
  ;expires=3600

",
    ),
    (
        '>',
        "
INVITE sip:bob@example.com SIP/2.0
Via: SIP/2.0/WSS df7jal23ls0d.invalid;branch=z9hG4bK56sdasks
From: sip:alice@example.com;tag=asdyka899
To: sip:bob@example.com
Call-ID: asidkj3ss
CSeq: 1 INVITE
Max-Forwards: 70
Supported: path, outbound, gruu
Route: <sip:proxy.example.com:443;transport=ws;lr>
Contact: <sip:alice@example.com
 ;gr=urn:uuid:f81-7dec-14a06cf1;ob>
Content-Type: application/sdp

",
    ),
    (
        '<',
        "
SIP/2.0 100 Trying
Via: SIP/2.0/WSS df7jal23ls0d.invalid;branch=z9hG4bK56sdasks
From: sip:alice@example.com;tag=asdyka899
To: sip:bob@example.com
Call-ID: asidkj3ss
CSeq: 1 INVITE

",
    ),
    (
        '<',
        "
SIP/2.0 200 OK
Via: SIP/2.0/WSS df7jal23ls0d.invalid;branch=z9hG4bK56sdasks
Record-Route: <sip:proxy.example.com;transport=udp;lr>,
  <sip:h7kjh12s@proxy.example.com:443;transport=ws;lr>
From: sip:alice@example.com;tag=asdyka899
To: sip:bob@example.com;tag=bmqkjhsd
Call-ID: asidkj3ss
CSeq: 1 INVITE
Contact: <sip:bob@203.0.113.22:5060;transport=udp>
Content-Type: application/sdp

",
    ),
    (
        '>',
        "
ACK sip:bob@203.0.113.22:5060;transport=udp SIP/2.0
Via: SIP/2.0/WSS df7jal23ls0d.invalid;branch=z9hG4bKhgqqp090
Route: <sip:h7kjh12s@proxy.example.com:443;transport=ws;lr>,
  <sip:proxy.example.com;transport=udp;lr>,
From: sip:alice@example.com;tag=asdyka899
To: sip:bob@example.com;tag=bmqkjhsd
Call-ID: asidkj3ss
CSeq: 1 ACK
Max-Forwards: 70

",
    ),
    (
        '<',
        "
BYE sip:alice@example.com;gr=urn:uuid:f81-7dec-14a06cf1;ob SIP/2.0
Via: SIP/2.0/WSS proxy.example.com:443;branch=z9hG4bKmma01m3r5
Via: SIP/2.0/UDP 203.0.113.22;branch=z9hG4bKbiuiansd001
From: sip:bob@example.com;tag=bmqkjhsd
To: sip:alice@example.com;tag=asdyka899
Call-ID: asidkj3ss
CSeq: 1201 BYE
Max-Forwards: 69

",
    ),
    (
        '>',
        "
SIP/2.0 200 OK
Via: SIP/2.0/WSS proxy.example.com:443;branch=z9hG4bKmma01m3r5
Via: SIP/2.0/UDP 203.0.113.22;branch=z9hG4bKbiuiansd001
From: sip:bob@example.com;tag=bmqkjhsd
To: sip:alice@example.com;tag=asdyka899
Call-ID: asidkj3ss
CSeq: 1201 BYE

",
    ),
    ('<', "\nMESSAGE sip:alice@df7jal23ls0d.invalid;transport=ws SIP/2.0\nContent-Type: text/plain\n\nκαλημέρα"),
];

//= https://www.rfc-editor.org/rfc/rfc7118#section-5
//= type=test
//# Each SIP message MUST be carried within a single WebSocket message,
//# and a WebSocket message MUST NOT contain more than one SIP message.
#[test]
fn the_call_flows_of_section_8() {
    let mut pair = pair();
    for (direction, text) in FLOWS {
        let message = Bytes::from(crlf(text));
        let sender = if direction == '>' { &mut pair.client } else { &mut pair.server };
        sender.send_sip(Instant::ZERO, message.clone()).unwrap();
        let bytes = output(sender);
        let frames = parse(&bytes);
        assert_eq!((frames.len(), frames[0].first, &frames[0].payload[..]), (1, 0x81, &message[..]));
        let receiver = if direction == '>' { &mut pair.server } else { &mut pair.client };
        feed(receiver, &bytes);
        assert_eq!(events(receiver), [Event::Sip(message)]);
    }
    assert_eq!((pair.client.counters().messages_out, pair.server.counters().messages_out), (4, 5));
}

//= https://www.rfc-editor.org/rfc/rfc7118#section-4.2
//= type=test
//# Therefore, SIP WebSocket Clients and SIP
//# WebSocket Servers MUST accept both text and binary frames.
//= https://www.rfc-editor.org/rfc/rfc7118#section-4.2
//= type=test
//# If there is at least one non-UTF-8 symbol in the whole SIP message
//# (including headers and the body), then the whole message MUST be
//# sent within a WebSocket binary message.
#[test]
fn text_if_utf8_else_binary_and_both_are_taken() {
    let mut pair = pair();
    let text = Bytes::from(crlf(FLOWS[0].1));
    let binary = Bytes::from([text.as_ref(), b"\xff\x00"].concat());
    pair.client.send_sip(at(0), text.clone()).unwrap();
    pair.client.send_sip(at(0), binary.clone()).unwrap();
    pair.client.send(at(0), Message::Binary(text.clone())).unwrap();
    let bytes = output(&mut pair.client);
    assert_eq!(parse(&bytes).iter().map(|frame| frame.first).collect::<Vec<_>>(), [0x81, 0x82, 0x82]);
    feed(&mut pair.server, &bytes);
    assert_eq!(events(&mut pair.server), [Event::Sip(text.clone()), Event::Sip(binary), Event::Sip(text)]);
}

#[test]
fn a_fragmented_message_is_one_message() {
    let mut server = server();
    let text = crlf(FLOWS[0].1);
    for (i, byte) in text.bytes().enumerate().take(60) {
        feed(&mut server, &masked(if i == 0 { 0x01 } else { 0x00 }, &[byte]));
    }
    feed(&mut server, &masked(0x80, &text.as_bytes()[60..]));
    assert_eq!(events(&mut server), [Event::Sip(text.into())]);
}

#[test]
fn crlf_keepalives_never_reach_the_parser() {
    let mut server = server();
    feed(&mut server, &masked(0x81, b"\r\n\r\n"));
    assert_eq!((events(&mut server), output(&mut server)), (vec![], frame(0x81, b"\r\n")));
    feed(&mut server, &masked(0x82, b"\r\n\r\n"));
    assert_eq!((events(&mut server), output(&mut server)), (vec![], frame(0x82, b"\r\n")));
    for quiet in [&b"\r\n"[..], b""] {
        feed(&mut server, &masked(0x81, quiet));
        assert_eq!((events(&mut server), output(&mut server)), (vec![], vec![]));
    }
    let text = crlf(FLOWS[0].1);
    feed(&mut server, &masked(0x81, format!("\r\n\r\n{text}").as_bytes()));
    assert_eq!((events(&mut server), output(&mut server)), (vec![Event::Sip(text.into())], vec![]));
    assert_eq!(server.counters().crlf_in, 4);
    // A flood of them is a flood.
    feed(&mut server, &masked(0x81, b"\r\n\r\n").repeat(1000));
    let Some(Event::Closed(closed)) = server.poll_event() else { panic!() };
    assert_eq!(closed.cause, Cause::Violation(Violation::ControlFlood));
}

//= https://www.rfc-editor.org/rfc/rfc7118#section-4.1
//= type=test
//# Messages other than SIP requests and responses MUST NOT
//# be transmitted over this connection.
#[test]
fn what_is_not_sip_is_neither_taken_nor_sent() {
    let two = [crlf(FLOWS[3].1).replace("CSeq", "Content-Length: 0\r\nCSeq"), crlf(FLOWS[3].1)].concat();
    for (payload, violation) in [
        (&b"{\"hello\": \"world\"}"[..], Violation::NotSip),
        (b"GET / HTTP/1.1\r\n\r\n", Violation::NotSip),
        (two.as_bytes(), Violation::SeveralSipMessages),
    ] {
        let mut server = server();
        assert_eq!(server.send_binary(at(0), payload), Err(SendFailure::NotSip));
        let refused = server.send_sip(at(0), Bytes::copy_from_slice(payload)).unwrap_err();
        assert_eq!((refused.failure, &refused.message.payload()[..]), (SendFailure::NotSip, payload));
        feed(&mut server, &masked(0x81, payload));
        let Some(Event::Closed(closed)) = server.poll_event() else { panic!() };
        assert_eq!(closed.cause, Cause::Violation(violation));
        let reason = violation.to_string();
        assert_eq!(output(&mut server), frame(0x88, &close_body(1008, &reason)));
    }
    assert_eq!(Violation::NotSip.code(), CloseCode::POLICY_VIOLATION);
    // Other subprotocols are free.
    let mut other = crate::common::server(Config::default());
    feed(&mut other, &masked(0x81, b"hello"));
    assert_eq!(events(&mut other), [Event::Text("hello".into())]);
}

//= https://www.rfc-editor.org/rfc/rfc7118#section-7
//= type=test
//# A SIP WebSocket Server MUST be ready to read session cookies when
//# present in the WebSocket handshake request and use such a cookie
//# value for determining whether the WebSocket connection has been
//# initiated by an HTTP client navigating a website in the same
//# domain (or subdomain) as the SIP WebSocket Server.
#[test]
fn a_session_cookie_decides_and_its_user_is_kept() {
    let connect = |cookie: Option<&str>| {
        let mut request = ClientRequest::new("wss://proxy.example.com/".parse().unwrap());
        if let Some(value) = cookie {
            request = request.cookie("session", value).unwrap();
        }
        let mut client = Connection::client(at(0), Config::sip(), &request, [1; 32]).unwrap();
        let mut server = Connection::server(at(0), Config::sip());
        feed(&mut server, &output(&mut client));
        let Some(Event::Upgrade(head)) = server.poll_event() else { panic!() };
        match head.cookie("session") {
            Some("of-alice") => server.accept(at(0), Accept::new().identity("alice")).unwrap(),
            _ => server.answer(at(0), Answer::forbidden()).unwrap(),
        }
        feed(&mut client, &output(&mut server));
        (server.identity().map(str::to_owned), client.poll_event())
    };
    let (identity, event) = connect(Some("of-alice"));
    assert_eq!(identity.as_deref(), Some("alice"));
    assert!(matches!(event, Some(Event::Open(_))));
    for cookie in [None, Some("of-nobody")] {
        let (identity, event) = connect(cookie);
        let Some(Event::Closed(closed)) = event else { panic!() };
        let Cause::Refused(response) = closed.cause else { panic!() };
        assert_eq!((identity, response.status()), (None, 403));
    }
}
