//! RFC 6455 section 4.1: the opening handshake at the client.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers too are tests

use crate::common::{accept_of, at, events, feed, field, frame, output};
use sip_ws::{
    AnswerError, BadAnswer, Cause, ClientError, ClientRequest, Config, Connection, Event, Input, Instant, Timeout,
};

fn connect(config: Config, request: &ClientRequest, seed: u8) -> (Connection, String) {
    let mut client = Connection::client(Instant::ZERO, config, request, [seed; 32]).unwrap();
    let head = String::from_utf8(output(&mut client)).unwrap();
    (client, head)
}

fn plain() -> ClientRequest {
    ClientRequest::new("ws://server.example.com/chat".parse().unwrap())
}

//= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
//= type=test
//# Once a connection to the server has been established (including a
//# connection via a proxy or over a TLS-encrypted tunnel), the client
//# MUST send an opening handshake to the server.
//= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
//= type=test
//# The handshake MUST be a valid HTTP request as specified by
//# [RFC2616].
//= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
//= type=test
//# The method of the request MUST be GET, and the HTTP version MUST
//# be at least 1.1.
//= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
//= type=test
//# The "Request-URI" part of the request MUST match the /resource
//# name/ defined in Section 3 (a relative URI)
//= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
//= type=test
//# The request MUST contain a |Host| header field whose value
//# contains /host/ plus optionally ":" followed by /port/ (when not
//# using the default port).
//= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
//= type=test
//# The request MUST contain an |Upgrade| header field whose value
//# MUST include the "websocket" keyword.
//= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
//= type=test
//# The request MUST contain a |Connection| header field whose value
//# MUST include the "Upgrade" token.
//= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
//= type=test
//# The request MUST include a header field with the name
//# |Sec-WebSocket-Key|.
//= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
//= type=test
//# The request MUST include a header field with the name |Origin|
//# [RFC6454] if the request is coming from a browser client.
//= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
//= type=test
//# The request MUST include a header field with the name
//# |Sec-WebSocket-Version|.  The value of this header field MUST be
//# 13.
//= https://www.rfc-editor.org/rfc/rfc7118#section-7
//= type=test
//# A SIP WebSocket Client MUST be ready to add a session cookie when
//# it runs in a web browser (or behaves like a browser navigating a
//# website) and has previously retrieved a session cookie from the
//# web server whose URL domain matches the domain in the WebSocket
//# URI.
//= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
//= type=test
//# it MUST open a connection, send an opening handshake, and read the
//# server's handshake in response.
#[test]
fn the_request_is_as_the_example_of_section_1_3() {
    let mut config = Config::default();
    config.protocols = vec!["chat".into(), "superchat".into()];
    let request = plain().origin("http://example.com").unwrap();
    let (_, head) = connect(config.clone(), &request, 1);
    let key = field(&head, "Sec-WebSocket-Key").unwrap();
    let expected = "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://example.com\r\n\
        Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Version: 13\r\n\r\n";
    assert_eq!(head.replace(&key, "dGhlIHNhbXBsZSBub25jZQ=="), expected);

    let request = ClientRequest::new("ws://[::1]:8080/a?b=%23".parse().unwrap())
        .cookie("session", "xyz")
        .unwrap()
        .cookie("b", "2")
        .unwrap()
        .header("User-Agent", "test")
        .unwrap();
    let (_, head) = connect(Config::default(), &request, 1);
    assert!(head.starts_with("GET /a?b=%23 HTTP/1.1\r\nHost: [::1]:8080\r\n"));
    assert_eq!(field(&head, "Cookie").as_deref(), Some("session=xyz; b=2"));
    assert_eq!(field(&head, "User-Agent").as_deref(), Some("test"));
    assert_eq!(field(&head, "Sec-WebSocket-Protocol"), None);
}

//= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
//= type=test
//# The value of this header field MUST be a
//# nonce consisting of a randomly selected 16-byte value that has
//# been base64-encoded (see Section 4 of [RFC4648]).  The nonce
//# MUST be selected randomly for each connection.
#[test]
fn each_connection_has_its_own_key() {
    let keys: std::collections::BTreeSet<_> = (0..50)
        .map(|seed| field(&connect(Config::default(), &plain(), seed).1, "Sec-WebSocket-Key").unwrap())
        .collect();
    assert_eq!(keys.len(), 50);
    assert!(keys.iter().all(|key| key.len() == 24 && key.ends_with("==")), "base64 of 16 bytes");
}

//= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
//= type=test
//# The elements that comprise this value MUST be non-empty strings
//# with characters in the range U+0021 to U+007E not including
//# separator characters as defined in [RFC2616] and MUST all be
//# unique strings.
#[test]
fn what_a_host_asks_for_is_checked() {
    for protocols in [vec!["a", "b", "a"], vec![""], vec!["a b"], vec!["a,b"], vec!["a\r\nX: y"]] {
        let mut config = Config::default();
        config.protocols = protocols.iter().map(|&name| name.into()).collect();
        let error = Connection::client(Instant::ZERO, config, &plain(), [0; 32]).unwrap_err();
        assert_eq!(error, ClientError::Protocols, "{protocols:?}");
    }
    assert_eq!(plain().origin("http://x\r\nY: z").unwrap_err(), BadAnswer::Value);
    assert_eq!(plain().cookie("a", "b; c").unwrap_err(), BadAnswer::Value);
    assert_eq!(plain().cookie("a b", "c").unwrap_err(), BadAnswer::Name);
    for name in ["Host", "upgrade", "Sec-WebSocket-Key", "Cookie", "Origin", "Authorization"] {
        assert_eq!(plain().header(name, "x").unwrap_err(), BadAnswer::Reserved, "{name}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
//= type=test
//# The client MUST validate the server's response as follows:
//= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
//= type=test
//# If the response lacks an |Upgrade| header field or the |Upgrade|
//# header field contains a value that is not an ASCII case-
//# insensitive match for the value "websocket", the client MUST
//# _Fail the WebSocket Connection_.
//= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
//= type=test
//# If the response lacks a |Connection| header field or the
//# |Connection| header field doesn't contain a token that is an
//# ASCII case-insensitive match for the value "Upgrade", the client
//# MUST _Fail the WebSocket Connection_.
//= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
//= type=test
//# If the response lacks a |Sec-WebSocket-Accept| header field or
//# the |Sec-WebSocket-Accept| contains a value other than the
//# base64-encoded SHA-1 of the concatenation of the |Sec-WebSocket-
//# Key| (as a string, not base64-decoded) with the string "258EAFA5-
//# E914-47DA-95CA-C5AB0DC85B11" but ignoring any leading and
//# trailing whitespace, the client MUST _Fail the WebSocket
//# Connection_.
//= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
//= type=test
//# If the response includes a |Sec-WebSocket-Extensions| header
//# field and this header field indicates the use of an extension
//# that was not present in the client's handshake (the server has
//# indicated an extension not requested by the client), the client
//# MUST _Fail the WebSocket Connection_.
//= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
//= type=test
//# If the response includes a |Sec-WebSocket-Protocol| header field
//# and this header field indicates the use of a subprotocol that was
//# not present in the client's handshake (the server has indicated a
//# subprotocol not requested by the client), the client MUST _Fail
//# the WebSocket Connection_.
//= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
//= type=test
//# If the server's response does not conform to the requirements for
//# the server's handshake as defined in this section and in
//# Section 4.2.2, the client MUST _Fail the WebSocket Connection_.
//= https://www.rfc-editor.org/rfc/rfc6455#section-11.3.3
//= type=test
//# The |Sec-WebSocket-Accept| header MUST NOT appear more than once in
//# an HTTP response.
//= https://www.rfc-editor.org/rfc/rfc7692#section-5
//= type=test
//# If a server gives an invalid response, such as accepting a PMCE that
//# the client did not offer, the client MUST _Fail the WebSocket
//# Connection_.
//= https://www.rfc-editor.org/rfc/rfc6455#section-7.2.1
//= type=test
//# To do so, the client MUST _Fail the WebSocket Connection_ as defined in
//# Section 7.1.7.
#[test]
fn answers_are_checked() {
    let mut config = Config::default();
    config.protocols = vec!["chat".into(), "superchat".into()];
    let good = |head: &str| {
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: chat\r\n\r\n",
            accept_of(head)
        )
    };
    let outcome = |edit: &dyn Fn(String) -> String| {
        let (mut client, head) = connect(config.clone(), &plain(), 1);
        feed(&mut client, edit(good(&head)).as_bytes());
        let mut events = events(&mut client);
        assert_eq!(events.len(), 1);
        assert_eq!(output(&mut client), b"", "nothing is sent on a failed handshake");
        match events.remove(0) {
            Event::Open(open) => Ok(open.protocol),
            Event::Closed(closed) => match closed.cause {
                Cause::BadAnswer(error) => Err(error),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    };
    let replace = |from: &'static str, to: &'static str| move |head: String| head.replace(from, to);
    let accept = "Sec-WebSocket-Accept: ";
    assert_eq!(outcome(&|head| head), Ok(Some("chat".into())));
    assert_eq!(outcome(&replace("chat", "superchat")), Ok(Some("superchat".into())));
    assert_eq!(outcome(&replace("Sec-WebSocket-Protocol: chat\r\n", "")), Ok(None));
    assert_eq!(outcome(&replace("Upgrade: websocket", "upgrade: WEBSOCKET")), Ok(Some("chat".into())));
    assert_eq!(outcome(&replace("Connection: Upgrade", "Connection: x, UPGRADE")), Ok(Some("chat".into())));
    assert_eq!(outcome(&replace(accept, "Sec-WebSocket-Accept: \t ")), Ok(Some("chat".into())));
    for (from, to, expected) in [
        ("Upgrade: websocket\r\n", "", AnswerError::Upgrade),
        ("Upgrade: websocket", "Upgrade: websocket2", AnswerError::Upgrade),
        ("Connection: Upgrade\r\n", "", AnswerError::Connection),
        ("Connection: Upgrade", "Connection: close", AnswerError::Connection),
        (accept, "X: ", AnswerError::Accept),
        (accept, "Sec-WebSocket-Accept: A", AnswerError::Accept),
        (accept, "Sec-WebSocket-Accept: x\r\nSec-WebSocket-Accept: ", AnswerError::Accept),
        ("Protocol: chat", "Protocol: other", AnswerError::Protocol),
        ("Protocol: chat", "Protocol: CHAT", AnswerError::Protocol),
        ("Protocol: chat", "Protocol: chat, superchat", AnswerError::Protocol),
        ("Protocol: chat", "Protocol: chat\r\nSec-WebSocket-Protocol: chat", AnswerError::Protocol),
        ("Protocol: chat", "Extensions: x-foo", AnswerError::Extensions),
        ("Protocol: chat", "Extensions: permessage-deflate", AnswerError::Extensions),
        ("Protocol: chat", "Extensions: ;", AnswerError::Extensions),
        ("HTTP/1.1", "HTTP/1.0", AnswerError::Malformed),
        ("HTTP/1.1", "HTTQ/1.1", AnswerError::Malformed),
        ("Upgrade: websocket\r\n", "Upgrade: websocket\n", AnswerError::Malformed),
    ] {
        assert_eq!(outcome(&replace(from, to)), Err(expected), "{from} {to}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc6455#section-4.1
//= type=test
//# Once the client's opening handshake has been sent, the client MUST
//# wait for a response from the server before sending any further data.
#[test]
fn nothing_is_sent_before_the_answer() {
    let (mut client, _) = connect(Config::default(), &plain(), 1);
    assert!(client.send_text(at(0), "early").is_err());
    assert!(client.ping(at(0), b"").is_err());
    assert_eq!(output(&mut client), b"");
}

#[test]
fn a_required_subprotocol_must_be_chosen() {
    let mut config = Config::default();
    config.protocols = vec!["sip".into()];
    config.require_protocol = true;
    let (mut client, head) = connect(config, &plain(), 1);
    let answer = format!(
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
        accept_of(&head)
    );
    feed(&mut client, answer.as_bytes());
    let Some(Event::Closed(closed)) = client.poll_event() else { panic!() };
    assert_eq!(closed.cause, Cause::BadAnswer(AnswerError::NoProtocol));
}

#[test]
fn redirects_and_refusals_are_reported_not_followed() {
    for (head, status, location, retry) in [
        ("HTTP/1.1 302 Found\r\nLocation: wss://other.example/\r\n\r\n", 302, Some("wss://other.example/"), None),
        ("HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nbusy", 503, None, Some(7)),
        ("HTTP/1.0 200 OK\r\n\r\n<html>", 200, None, None),
    ] {
        let (mut client, _) = connect(Config::default(), &plain(), 1);
        feed(&mut client, head.as_bytes());
        let Some(Event::Closed(closed)) = client.poll_event() else { panic!() };
        let Cause::Refused(response) = &closed.cause else { panic!("{closed:?}") };
        assert_eq!((response.status(), response.location(), response.retry_after()), (status, location, retry));
        assert_eq!(response.is_redirect(), location.is_some());
        assert_eq!((client.poll_event(), client.poll_timeout()), (None, None));
    }
}

#[test]
fn frames_may_follow_the_answer_at_once() {
    let (mut client, head) = connect(Config::default(), &plain(), 1);
    let answer = format!(
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
        accept_of(&head)
    );
    feed(&mut client, &[answer.as_bytes(), &frame(0x81, b"now")].concat());
    let events = events(&mut client);
    assert!(matches!(events.as_slice(), [Event::Open(_), Event::Text(text)] if text == "now"));
}

// RFC 7231 section 6.2: a client parses 1xx responses before the final one, whether it expects them or not. 101 is final here.
#[test]
fn interim_responses_are_passed_over() {
    let interim = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n";
    for count in [1, 16, 17] {
        for step in [1, 7, usize::MAX] {
            let (mut client, head) = connect(Config::default(), &plain(), 1);
            let answer = format!(
                "{}HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
                interim.repeat(count),
                accept_of(&head)
            );
            let bytes = [answer.as_bytes(), &frame(0x81, b"now")].concat();
            bytes.chunks(step.min(bytes.len())).for_each(|chunk| feed(&mut client, chunk));
            let events = events(&mut client);
            if count <= 16 {
                assert!(matches!(events.as_slice(), [Event::Open(_), Event::Text(text)] if text == "now"));
            } else {
                let [Event::Closed(closed)] = events.as_slice() else { panic!("{events:?}") };
                assert_eq!(closed.cause, Cause::BadAnswer(AnswerError::HeadTooLong));
            }
        }
    }
}

#[test]
fn an_answer_that_does_not_come_times_out() {
    let (mut client, _) = connect(Config::default(), &plain(), 1);
    feed(&mut client, b"HTTP/1.1 101");
    assert_eq!(client.poll_timeout(), Some(at(10_000)));
    client.handle_timeout(at(10_000));
    let Some(Event::Closed(closed)) = client.poll_event() else { panic!() };
    assert_eq!(closed.cause, Cause::Timeout(Timeout::Handshake));

    let (mut client, _) = connect(Config::default(), &plain(), 1);
    feed(&mut client, &b"HTTP/1.1 101 x\r\n".repeat(2000));
    let Some(Event::Closed(closed)) = client.poll_event() else { panic!() };
    assert_eq!(closed.cause, Cause::BadAnswer(AnswerError::HeadTooLong));

    let (mut client, _) = connect(Config::default(), &plain(), 1);
    client.handle_input(at(1), Input::Eof).unwrap();
    let Some(Event::Closed(closed)) = client.poll_event() else { panic!() };
    assert_eq!(closed.cause, Cause::Lost);
}
