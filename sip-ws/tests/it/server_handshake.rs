//! RFC 6455 sections 1.3, 4.2 and 4.4: the opening handshake at the server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers too are tests

use crate::common::{REQUEST, at, events, feed, field, frame, masked, output};
use bytes::BytesMut;
use sip_ws::{
    Accept, AcceptError, Answer, BadAnswer, Cause, Config, Connection, Event, Input, Instant, Misuse, RequestError,
    RequestHead, Timeout,
};

fn new(config: Config) -> Connection {
    Connection::server(Instant::ZERO, config)
}

fn request(connection: &mut Connection) -> RequestHead {
    match connection.poll_event() {
        Some(Event::Upgrade(head) | Event::Http(head)) => *head,
        other => panic!("{other:?}"),
    }
}

/// Feeds a request that must be refused; returns the error and the answer.
fn refused(config: Config, head: &str) -> (RequestError, String) {
    let mut server = new(config);
    feed(&mut server, head.as_bytes());
    let events = events(&mut server);
    let [Event::Closed(closed)] = events.as_slice() else { panic!("{head}: {events:?}") };
    let Cause::BadRequest { status, error } = closed.cause else { panic!("{closed:?}") };
    let answer = String::from_utf8(output(&mut server)).unwrap();
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    assert!(answer.contains("\r\nContent-Length: 0\r\n") && answer.contains("close\r\n"), "{answer}");
    assert_eq!(server.poll_timeout(), None);
    assert!(server.memory() < 1024);
    (error, answer)
}

//= https://www.rfc-editor.org/rfc/rfc6455#section-4.2.2
//= type=test
//# When a client establishes a WebSocket connection to a server, the
//# server MUST complete the following steps to accept the connection and
//# send the server's opening handshake.
//= https://www.rfc-editor.org/rfc/rfc6455#section-4.2.2
//= type=test
//# If the server chooses to accept the incoming connection, it MUST
//# reply with a valid HTTP response indicating the following.
//= https://www.rfc-editor.org/rfc/rfc6455#section-4.2.2
//= type=test
//# The value chosen MUST be derived
//# from the client's handshake, specifically by selecting one of
//# the values from the |Sec-WebSocket-Protocol| field that the
//# server is willing to use for this connection (if any).
#[test]
fn the_example_of_section_1_3() {
    let mut config = Config::default();
    config.protocols = vec!["chat".into()];
    let mut server = new(config);
    let head = "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://example.com\r\n\
        Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Version: 13\r\n\r\n";
    feed(&mut server, head.as_bytes());
    let request = request(&mut server);
    assert_eq!((request.method(), request.path(), request.query()), ("GET", "/chat", None));
    assert_eq!((request.host(), request.origin()), (Some("server.example.com"), Some("http://example.com")));
    assert_eq!(request.protocols().collect::<Vec<_>>(), ["chat", "superchat"]);
    assert_eq!(request.fields().raw(), head.as_bytes());
    assert_eq!(output(&mut server), b"", "the host decides");
    server.accept(at(1), Accept::new()).unwrap();
    let expected = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n";
    assert_eq!(String::from_utf8(output(&mut server)).unwrap(), expected);
    let Some(Event::Open(open)) = server.poll_event() else { panic!() };
    assert_eq!((open.protocol.as_deref(), server.protocol()), (Some("chat"), Some("chat")));
    assert!(server.is_open());
}

#[test]
fn what_a_request_says() {
    let mut server = new(Config::default());
    let head = REQUEST.replace("/chat", "/a/b?x=1&y=?2").replace(
        "\r\n\r\n",
        "\r\nCookie: a=1; session=k%3D=v\r\ncookie: b=\"2\"\r\nAuthorization: Basic eDp5\r\n\
            Sec-WebSocket-Protocol: one\r\nSec-WebSocket-Protocol: two, three\r\n\
            Sec-WebSocket-Extensions: foo; bar=1\r\nX-Empty:\r\n\r\n",
    );
    feed(&mut server, head.as_bytes());
    let request = request(&mut server);
    assert_eq!((request.path(), request.query(), request.target()), ("/a/b", Some("x=1&y=?2"), "/a/b?x=1&y=?2"));
    assert_eq!(request.cookies().collect::<Vec<_>>(), [("a", "1"), ("session", "k%3D=v"), ("b", "\"2\"")]);
    assert_eq!((request.cookie("session"), request.cookie("none")), (Some("k%3D=v"), None));
    assert_eq!(request.authorization(), Some("Basic eDp5"));
    assert_eq!(request.protocols().collect::<Vec<_>>(), ["one", "two", "three"]);
    assert_eq!(request.extensions().collect::<Vec<_>>(), ["foo; bar=1"]);
    assert_eq!((request.fields().get("x-empty"), request.fields().get("x-none")), (Some(""), None));
    assert_eq!(request.fields().iter().count(), 12);
}

#[test]
fn the_target_may_be_an_absolute_uri() {
    let mut server = new(Config::default());
    feed(&mut server, REQUEST.replace("/chat", "http://server.example.com/chat?q").as_bytes());
    let request = request(&mut server);
    assert_eq!((request.resource(), request.path(), request.query()), ("/chat?q", "/chat", Some("q")));
}

//= https://www.rfc-editor.org/rfc/rfc6455#section-4.2.1
//= type=test
//# If
//# the server, while reading the handshake, finds that the client did
//# not send a handshake that matches the description below (note that as
//# per [RFC2616], the order of the header fields is not important),
//# including but not limited to any violations of the ABNF grammar
//# specified for the components of the handshake, the server MUST stop
//# processing the client's handshake and return an HTTP response with an
//# appropriate error code (such as 400 Bad Request).
//= https://www.rfc-editor.org/rfc/rfc6455#section-7.2.2
//= type=test
//# Certain algorithms require or recommend that the server _Abort the
//# WebSocket Connection_ during the opening handshake.  To do so, the
//# server MUST simply _Close the WebSocket Connection_ (Section 7.1.1).
//= https://www.rfc-editor.org/rfc/rfc6455#section-4.2.2
//= type=test
//# If this
//# version does not match a version understood by the server, the
//# server MUST abort the WebSocket handshake described in this
//# section and instead send an appropriate HTTP error code (such
//# as 426 Upgrade Required) and a |Sec-WebSocket-Version| header
//# field indicating the version(s) the server is capable of
//# understanding.
//= https://www.rfc-editor.org/rfc/rfc6455#section-4.4
//= type=test
//# If the server doesn't support the requested version, it MUST
//# respond with a |Sec-WebSocket-Version| header field (or multiple
//# |Sec-WebSocket-Version| header fields) containing all versions it is
//# willing to use.
//= https://www.rfc-editor.org/rfc/rfc6455#section-11.3.1
//= type=test
//# The |Sec-WebSocket-Key| header field MUST NOT appear more than once
//# in an HTTP request.
//= https://www.rfc-editor.org/rfc/rfc6455#section-11.3.5
//= type=test
//# However, the |Sec-WebSocket-Version| header field MUST NOT
//# appear more than once in an HTTP request.
//= https://www.rfc-editor.org/rfc/rfc7230#section-5.4
//= type=test
//# A server MUST respond with a 400 (Bad Request) status code to any
//# HTTP/1.1 request message that lacks a Host header field and to any
//# request message that contains more than one Host header field or a
//# Host header field with an invalid field-value.
#[test]
fn handshakes_that_break_a_rule_are_refused() {
    let more = |line: &str| REQUEST.replace("\r\n\r\n", &format!("\r\n{line}\r\n\r\n"));
    let without = |name: &str| -> String {
        let lines = REQUEST.split_inclusive("\r\n").filter(|line| !line.starts_with(name));
        lines.collect()
    };
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    for (head, expected, status) in [
        (REQUEST.replace("GET", "POST"), RequestError::Method, 400),
        (REQUEST.replace("HTTP/1.1", "HTTP/1.0"), RequestError::HttpVersion, 400),
        (REQUEST.replace("HTTP/1.1", "HTTP/2.0"), RequestError::Malformed, 400),
        (REQUEST.replace("/chat", "chat"), RequestError::Target, 400),
        (REQUEST.replace("/chat", "*"), RequestError::Target, 400),
        (without("Host"), RequestError::Host, 400),
        (more("Host: other.example"), RequestError::Host, 400),
        (REQUEST.replace("server.example.com", ""), RequestError::Host, 400),
        (REQUEST.replace("server.example.com", "server example"), RequestError::Host, 400),
        (REQUEST.replace("server.example.com", "server.example.com:x"), RequestError::Host, 400),
        (REQUEST.replace("server.example.com", "me@server.example.com"), RequestError::Host, 400),
        (REQUEST.replace("/chat", "/chat#part"), RequestError::Target, 400),
        (more("Content-Length: 2"), RequestError::Body, 400),
        (more("Content-Length: 0\r\nContent-Length: 2"), RequestError::Body, 400),
        (more("Transfer-Encoding: chunked"), RequestError::Body, 400),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n".into(), RequestError::Host, 400),
        (without("Connection"), RequestError::Connection, 400),
        (REQUEST.replace("Connection: Upgrade", "Connection: keep-alive"), RequestError::Connection, 400),
        (without("Sec-WebSocket-Key"), RequestError::Key, 400),
        (more(key), RequestError::Key, 400),
        (REQUEST.replace("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZQ=="), RequestError::Key, 400),
        (REQUEST.replace("dGhlIHNhbXBsZSBub25jZQ==", "not base64!"), RequestError::Key, 400),
        (without("Sec-WebSocket-Version"), RequestError::Version, 400),
        (more("Sec-WebSocket-Version: 13"), RequestError::Version, 400),
        (REQUEST.replace(": 13", ": 8"), RequestError::UnsupportedVersion, 426),
        (REQUEST.replace(": 13", ": 13, 8"), RequestError::UnsupportedVersion, 426),
        (more("Sec-WebSocket-Protocol: a b"), RequestError::Protocol, 400),
        (more("Sec-WebSocket-Protocol: "), RequestError::Protocol, 400),
        (more("Sec-WebSocket-Extensions: a;"), RequestError::Extensions, 400),
        (more("Sec-WebSocket-Extensions: "), RequestError::Extensions, 400),
        (REQUEST.replace("Host:", "Ho st:"), RequestError::Malformed, 400),
        (REQUEST.replace("Upgrade: websocket\r\n", "Upgrade: websocket\n"), RequestError::Malformed, 400),
        (more("X: a\0b"), RequestError::Malformed, 400),
        (more(" folded"), RequestError::Malformed, 400),
        ("\u{1}\r\n\r\n".into(), RequestError::Malformed, 400),
        ("GET / HTTP/1.1\r\n\r\n".into(), RequestError::Host, 400),
        (more(&"A: b\r\n".repeat(60)[..358]), RequestError::TooManyFields, 431),
    ] {
        let (error, answer) = refused(Config::default(), &head);
        assert_eq!((error, error.status()), (expected, status), "{head}");
        if status == 426 {
            assert_eq!(field(&answer, "Sec-WebSocket-Version").as_deref(), Some("13"));
            assert_eq!(field(&answer, "Upgrade").as_deref(), Some("websocket"));
            assert_eq!(field(&answer, "Connection").as_deref(), Some("Upgrade, close"));
        }
    }
}

/// The empty line of such a head never comes: it is not waited for.
#[test]
fn lines_that_end_in_lf_alone_are_refused_at_the_first() {
    let lf = REQUEST.replace("\r\n", "\n");
    for head in [&lf[..], "GET / HTTP/1.1\n", "GET / HTTP/1.1\r\nHost: x\n", &format!("{lf}{}", "\n".repeat(70_000))] {
        let (error, _) = refused(Config::default(), head);
        assert_eq!(error, RequestError::Malformed, "{head:?}");
    }
    // However it is cut.
    let head = "GET / HTTP/1.1\r\nHost: x\n";
    for at in 1..head.len() {
        let mut server = new(Config::default());
        feed(&mut server, &head.as_bytes()[..at]);
        assert_eq!(server.poll_event(), None, "{at}");
        feed(&mut server, &head.as_bytes()[at..]);
        let closed = |event: &Event| matches!(event, Event::Closed(closed) if matches!(closed.cause, Cause::BadRequest { status: 400, .. }));
        assert!(server.poll_event().as_ref().is_some_and(closed), "{at}");
    }
    // Behind the head they are not lines.
    let mut server = new(Config::default());
    feed(&mut server, format!("{REQUEST}\n\n").as_bytes());
    assert_eq!(request(&mut server).path(), "/chat");
}

#[test]
fn names_and_tokens_are_compared_without_case() {
    let mut server = new(Config::default());
    let head = REQUEST
        .replace("Upgrade: websocket", "uPGRADE:  WebSocket")
        .replace("Connection: Upgrade", "connection: keep-alive, uPgrade");
    feed(&mut server, head.as_bytes());
    assert_eq!(request(&mut server).path(), "/chat");
}

//= https://www.rfc-editor.org/rfc/rfc6455#section-4.2.2
//= type=test
//# if the server does not wish to agree to one of the suggested
//# subprotocols, it MUST NOT send back a |Sec-WebSocket-Protocol|
//# header field in its response
//= https://www.rfc-editor.org/rfc/rfc6455#section-9
//= type=test
//# A server MUST NOT respond with any extension
//# not requested by the client.
//= https://www.rfc-editor.org/rfc/rfc6455#section-4.2.2
//= type=test
//# Extensions not listed by the client MUST NOT be
//# listed.
//= https://www.rfc-editor.org/rfc/rfc6455#section-11.3.4
//= type=test
//# However, the |Sec-WebSocket-Protocol| header field
//# MUST NOT appear more than once in an HTTP response.
//= https://www.rfc-editor.org/rfc/rfc6455#section-11.3.2
//= type=test
//# However, the |Sec-WebSocket-Extensions| header field
//# MUST NOT appear more than once in an HTTP response.
//= https://www.rfc-editor.org/rfc/rfc6455#section-4.2.2
//= type=test
//# If the server supports multiple extensions, then the value MUST be
//# derived from the client's handshake, specifically by selecting one or
//# more of the values from the |Sec-WebSocket-Extensions| field.
//= https://www.rfc-editor.org/rfc/rfc6455#section-5.8
//= type=test
//# The endpoints of a connection MUST negotiate the use of any extensions
//# during the opening handshake.
#[test]
fn subprotocols_and_extensions_are_chosen_from_the_offer() {
    let mut config = Config::default();
    config.protocols = vec!["first".into(), "second".into()];
    #[cfg(feature = "deflate")]
    {
        config.deflate = Some(sip_ws::Deflate::default());
    }
    let answer = |offer: &str, accept: Accept| {
        let mut server = new(config.clone());
        feed(&mut server, REQUEST.replace("\r\n\r\n", &format!("\r\n{offer}\r\n")).as_bytes());
        let _ = request(&mut server);
        server.accept(at(0), accept).map(|()| String::from_utf8(output(&mut server)).unwrap())
    };
    let count = |answer: &str, name: &str| answer.matches(name).count();
    for (offer, expected) in [
        ("Sec-WebSocket-Protocol: second, first\r\n", Some("first")),
        ("Sec-WebSocket-Protocol: x\r\nSec-WebSocket-Protocol: second\r\n", Some("second")),
        ("Sec-WebSocket-Protocol: First, SECOND\r\n", None),
        ("", None),
    ] {
        let answer = answer(offer, Accept::new()).unwrap();
        assert_eq!(field(&answer, "Sec-WebSocket-Protocol").as_deref(), expected, "{offer}");
        assert_eq!(count(&answer, "Sec-WebSocket-Protocol"), usize::from(expected.is_some()));
        assert_eq!(count(&answer, "Sec-WebSocket-Extensions"), 0, "nothing was offered");
    }
    let foreign = Accept::new().protocol("third");
    assert_eq!(answer("Sec-WebSocket-Protocol: first, third\r\n", foreign.clone()).map(|a| count(&a, "third")), Ok(1));
    assert_eq!(answer("Sec-WebSocket-Protocol: first\r\n", foreign), Err(AcceptError::NotOffered));
    let offer = "Sec-WebSocket-Extensions: x-other, permessage-deflate, permessage-deflate\r\n";
    let answer = answer(offer, Accept::new()).unwrap();
    assert_eq!(count(&answer, "x-other"), 0);
    assert_eq!(count(&answer, "Sec-WebSocket-Extensions"), usize::from(cfg!(feature = "deflate")));
}

#[test]
fn a_subprotocol_can_be_required() {
    let mut config = Config::default();
    config.protocols = vec!["sip".into()];
    config.require_protocol = true;
    assert_eq!(refused(config.clone(), REQUEST).0, RequestError::NoProtocol);
    let head = REQUEST.replace("\r\n\r\n", "\r\nSec-WebSocket-Protocol: SIP, xmpp\r\n\r\n");
    assert_eq!(refused(config, &head).0, RequestError::NoProtocol);
}

//= https://www.rfc-editor.org/rfc/rfc6455#section-4.2.2
//= type=test
//# If the server does not wish to accept this
//# connection, it MUST return an appropriate HTTP error code
//# (e.g., 403 Forbidden) and abort the WebSocket handshake
//# described in this section.
//= https://www.rfc-editor.org/rfc/rfc6455#section-4.2.2
//= type=test
//# If the requested service is not available, the server MUST send an
//# appropriate HTTP error code (such as 404 Not Found) and abort
//# the WebSocket handshake.
#[test]
fn the_host_refuses() {
    for (answer, line) in [
        (Answer::forbidden(), "HTTP/1.1 403 Forbidden\r\n"),
        (Answer::not_found(), "HTTP/1.1 404 Not Found\r\n"),
        (Answer::upgrade_required(), "HTTP/1.1 426 Upgrade Required\r\n"),
        (Answer::service_unavailable(30), "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 30\r\n"),
        (
            Answer::new(302).unwrap().header("Location", "/x").unwrap(),
            "HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        ),
    ] {
        let mut server = new(Config::default());
        feed(&mut server, REQUEST.as_bytes());
        let _ = request(&mut server);
        let status = answer.status();
        server.answer(at(0), answer).unwrap();
        let Some(Event::Closed(closed)) = server.poll_event() else { panic!() };
        assert_eq!(closed.cause, Cause::Answered(status));
        assert!(String::from_utf8(output(&mut server)).unwrap().starts_with(line));
        assert_eq!(server.answer(at(0), Answer::not_found()), Err(Misuse::Ended));
        assert_eq!(server.accept(at(0), Accept::new()), Err(AcceptError::NothingToAccept));
        assert_eq!(server.poll_timeout(), None);
    }
}

#[test]
fn the_same_port_serves_a_page() {
    for method in ["GET", "HEAD"] {
        let mut server = new(Config::default());
        feed(&mut server, format!("\r\n{method} /index.html?a HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
        let Some(Event::Http(head)) = server.poll_event() else { panic!() };
        assert_eq!((head.method(), head.path()), (method, "/index.html"));
        assert_eq!(server.accept(at(0), Accept::new()), Err(AcceptError::NothingToAccept));
        server.answer(at(0), Answer::new(200).unwrap().body("text/html", "<p>hi").unwrap()).unwrap();
        let body = if method == "HEAD" { "" } else { "<p>hi" };
        let expected = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\nConnection: close\r\n\r\n{body}"
        );
        assert_eq!(String::from_utf8(output(&mut server)).unwrap(), expected);
    }
    let mut config = Config::default();
    config.serve_http = false;
    assert_eq!(refused(config, "GET / HTTP/1.1\r\nHost: x\r\n\r\n").0, RequestError::NotUpgrade);
}

#[test]
fn another_http_server_can_take_over() {
    let mut server = new(Config::default());
    let request = b"POST /form HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe";
    feed(&mut server, request);
    feed(&mut server, b"llo");
    let Some(Event::Http(head)) = server.poll_event() else { panic!() };
    assert_eq!(head.content_length(), Some(5));
    assert_eq!(server.into_bytes(), Some(BytesMut::from(&[&request[..], b"llo"].concat()[..])));
    assert_eq!(crate::common::server(Config::default()).into_bytes(), None);
}

#[test]
fn frames_that_come_too_early_are_kept() {
    let mut server = new(Config::default());
    feed(&mut server, &[REQUEST.as_bytes(), &masked(0x81, b"early")].concat());
    feed(&mut server, &masked(0x89, b"too"));
    let _ = request(&mut server);
    assert_eq!(events(&mut server), []);
    server.accept(at(0), Accept::new()).unwrap();
    let events = events(&mut server);
    assert_eq!(events[1..], [Event::Text("early".into()), Event::Ping("too".into())]);
    assert!(output(&mut server).ends_with(&frame(0x8a, b"too")));
}

#[test]
fn what_a_host_writes_cannot_break_a_head() {
    assert_eq!(Answer::new(101), Err(BadAnswer::Status));
    let answer = || Answer::new(200).unwrap();
    assert_eq!(answer().header("X", "a\r\nY: b"), Err(BadAnswer::Value));
    assert_eq!(answer().header("X: y", "a"), Err(BadAnswer::Name));
    assert_eq!(answer().header("", "a"), Err(BadAnswer::Name));
    assert_eq!(answer().header("content-length", "9"), Err(BadAnswer::Reserved));
    assert_eq!(answer().body("a\nb", ""), Err(BadAnswer::Value));
    assert_eq!(Accept::new().header("Sec-WebSocket-Protocol", "x"), Err(BadAnswer::Reserved));
    assert_eq!(Accept::new().header("Set-Cookie", "a=\u{7f}"), Err(BadAnswer::Value));
    let mut server = new(Config::default());
    feed(&mut server, REQUEST.as_bytes());
    server.accept(at(0), Accept::new().header("Set-Cookie", "a=b").unwrap().identity("alice")).unwrap();
    assert_eq!(field(&String::from_utf8(output(&mut server)).unwrap(), "Set-Cookie").as_deref(), Some("a=b"));
    assert_eq!(server.identity(), Some("alice"));
}

#[test]
fn time_runs_out() {
    // Nothing sent, a head that never ends, and a host that is silent.
    let mut server = new(Config::default());
    assert_eq!(server.poll_timeout(), Some(at(10_000)));
    server.handle_timeout(at(9_999));
    assert_eq!(events(&mut server), []);
    server.handle_timeout(at(10_000));
    assert!(matches!(server.poll_event(), Some(Event::Closed(c)) if c.cause == Cause::Timeout(Timeout::Handshake)));
    assert_eq!(output(&mut server), b"");

    for (head, error, line) in [
        (&REQUEST[..100], RequestError::Slow, &b"HTTP/1.1 408 "[..]),
        (REQUEST, RequestError::Unanswered, b"HTTP/1.1 503 "),
    ] {
        let mut server = new(Config::default());
        feed(&mut server, head.as_bytes());
        server.handle_timeout(at(10_000));
        let Some(Event::Closed(closed)) = events(&mut server).pop() else { panic!() };
        assert_eq!(closed.cause, Cause::BadRequest { status: error.status(), error });
        assert!(output(&mut server).starts_with(line));
    }
    let mut server = new(Config::default());
    feed(&mut server, &REQUEST.as_bytes()[..100]);
    server.handle_input(at(1), Input::Eof).unwrap();
    assert!(matches!(server.poll_event(), Some(Event::Closed(c)) if c.cause == Cause::Lost));
}
