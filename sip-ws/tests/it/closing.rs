//! RFC 6455 sections 5.5.1 and 7: how connections end. Each ends with one event, and leaves nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers too are tests

use crate::common::{Pair, at, client, close_body, events, feed, feed_at, frame, masked, output, parse, server};
use sip_ws::{
    Cause, CloseCode, CloseFrame, Closed, Config, Connection, Event, Input, Instant, Message, Misuse, SendFailure,
    Timeout, Violation,
};

fn closed(connection: &mut Connection) -> Closed {
    let mut events = events(connection);
    let Some(Event::Closed(closed)) = events.pop() else { panic!("{events:?}") };
    assert_eq!(events, [], "one event");
    assert_nothing_left(connection);
    *closed
}

fn assert_nothing_left(connection: &mut Connection) {
    let _ = output(connection);
    assert!(connection.is_ended());
    assert_eq!((connection.poll_timeout(), connection.poll_event()), (None, None));
    assert_eq!(connection.close(at(0), CloseCode::NORMAL, ""), Err(Misuse::Ended));
    assert_eq!(connection.ping(at(0), b""), Err(Misuse::Ended));
    assert_eq!(connection.send_text(at(0), "x"), Err(SendFailure::NotOpen));
    assert!(connection.memory() < 1024, "{}", connection.memory());
}

fn close_frame(code: u16, reason: &str) -> CloseFrame {
    CloseFrame { code: Some(CloseCode::new(code)), reason: reason.into() }
}

//= https://www.rfc-editor.org/rfc/rfc6455#section-5.5.1
//= type=test
//# If an endpoint receives a Close frame and did not previously send a
//# Close frame, the endpoint MUST send a Close frame in response.
//= https://www.rfc-editor.org/rfc/rfc6455#section-5.5.1
//= type=test
//# If there is a body, the first two bytes of
//# the body MUST be a 2-byte unsigned integer (in network byte order)
//# representing a status code with value /code/ defined in Section 7.4.
//= https://www.rfc-editor.org/rfc/rfc6455#section-5.5.1
//= type=test
//# After both sending and receiving a Close message, an endpoint
//# considers the WebSocket connection closed and MUST close the
//# underlying TCP connection.  The server MUST close the underlying TCP
//# connection immediately;
#[test]
fn the_peer_closes() {
    let mut server = server(Config::default());
    feed(&mut server, &masked(0x88, &close_body(1001, "bye")));
    let Some(Event::Closed(end)) = server.poll_event() else { panic!("at once") };
    assert_eq!(end.cause, Cause::Remote);
    assert_eq!(end.received, Some(close_frame(1001, "bye")));
    assert_eq!(end.sent, Some(close_frame(1001, "")));
    assert_eq!((end.code(), end.is_clean()), (CloseCode::GOING_AWAY, true));
    assert_eq!(output(&mut server), frame(0x88, &close_body(1001, "")));
    assert_nothing_left(&mut server);
}

#[test]
fn a_close_without_a_code_is_1005() {
    let mut server = server(Config::default());
    feed(&mut server, &masked(0x88, b""));
    assert_eq!(output(&mut server), frame(0x88, b""));
    let end = closed(&mut server);
    assert_eq!(
        (end.code(), end.received.clone(), end.is_clean()),
        (CloseCode::NO_STATUS, Some(CloseFrame::default()), true)
    );
}

//= https://www.rfc-editor.org/rfc/rfc6455#section-7.1.2
//= type=test
//# To _Start the WebSocket Closing Handshake_ with a status code
//# (Section 7.4) /code/ and an optional close reason (Section 7.1.6)
//# /reason/, an endpoint MUST send a Close control frame, as described
//# in Section 5.5.1, whose status code is set to /code/ and whose close
//# reason is set to /reason/.
//= https://www.rfc-editor.org/rfc/rfc6455#section-5.5.1
//= type=test
//# The application MUST NOT send any more data frames after sending a
//# Close frame.
#[test]
fn the_host_closes_and_still_hears() {
    let mut server = server(Config::default());
    server.close(at(5), CloseCode::NORMAL, "done").unwrap();
    assert_eq!(output(&mut server), frame(0x88, &close_body(1000, "done")));
    assert_eq!(server.send_text(at(5), "more"), Err(SendFailure::NotOpen));
    assert_eq!(server.close(at(5), CloseCode::NORMAL, "again"), Err(Misuse::Ended));
    feed_at(&mut server, at(6), &[masked(0x81, b"last words"), masked(0x89, b"?")].concat());
    assert_eq!(events(&mut server), [Event::Text("last words".into()), Event::Ping("?".into())]);
    assert_eq!(output(&mut server), frame(0x8a, b"?"), "a Pong is owed until a Close frame came");
    feed_at(&mut server, at(7), &masked(0x88, &close_body(1000, "")));
    let end = closed(&mut server);
    assert_eq!((end.cause.clone(), end.is_clean()), (Cause::Local, true));
    assert_eq!(end.sent, Some(close_frame(1000, "done")));
}

//= https://www.rfc-editor.org/rfc/rfc6455#section-5.5.1
//= type=test
//# The server MUST close the underlying TCP connection
//# immediately; the client SHOULD wait for the server to close the
//# connection but MAY close the connection at any time after sending and
//# receiving a Close message, e.g., if it has not received a TCP Close
//# from the server in a reasonable time period.
#[test]
fn a_client_waits_for_the_server_to_hang_up() {
    let mut client = client(Config::default());
    feed_at(&mut client, at(0), &frame(0x88, &close_body(1000, "")));
    assert_eq!(parse(&output(&mut client))[0].payload, close_body(1000, ""));
    assert_eq!(events(&mut client), [], "not yet");
    assert_eq!(client.next_deadline(), Some(at(5000)));
    feed_at(&mut client, at(10), &frame(0x81, b"ignored"));
    assert_eq!(events(&mut client), []);
    let mut patient = crate::common::client(Config::default());
    feed(&mut patient, &frame(0x88, b""));
    let _ = output(&mut patient);
    patient.handle_timeout(at(4999));
    assert_eq!(events(&mut patient), []);
    patient.handle_timeout(at(5000));
    assert_eq!(closed(&mut patient).cause, Cause::Remote);

    client.handle_input(at(20), Input::Eof).unwrap();
    let end = closed(&mut client);
    assert_eq!((end.cause.clone(), end.is_clean()), (Cause::Remote, true));
}

#[test]
fn a_close_that_is_not_answered_times_out() {
    for role in ["server", "client"] {
        let mut peer = if role == "server" { server(Config::default()) } else { client(Config::default()) };
        peer.close(at(100), CloseCode::GOING_AWAY, "").unwrap();
        let _ = output(&mut peer);
        assert_eq!(peer.poll_timeout(), Some(at(5100)));
        peer.handle_timeout(at(5099));
        assert_eq!(events(&mut peer), []);
        peer.handle_timeout(at(5100));
        let end = closed(&mut peer);
        assert_eq!((end.cause.clone(), end.code()), (Cause::Timeout(Timeout::Close), CloseCode::ABNORMAL), "{role}");
    }
}

#[test]
fn both_close_at_the_same_time() {
    let mut pair = Pair::new(Config::default(), Config::default());
    pair.client.close(pair.now, CloseCode::NORMAL, "c").unwrap();
    pair.server.close(pair.now, CloseCode::GOING_AWAY, "s").unwrap();
    pair.settle();
    let [Event::Closed(client)] = pair.client_events.as_slice() else { panic!("{:?}", pair.client_events) };
    let [Event::Closed(server)] = pair.server_events.as_slice() else { panic!("{:?}", pair.server_events) };
    assert_eq!((client.code(), server.code()), (CloseCode::GOING_AWAY, CloseCode::NORMAL));
    assert!(client.is_clean() && server.is_clean());
}

//= https://www.rfc-editor.org/rfc/rfc6455#section-7.2.1
//= type=test
//# If at any point the underlying transport layer connection is
//# unexpectedly lost, the client MUST _Fail the WebSocket Connection_.
#[test]
fn a_lost_transport_is_1006() {
    for mut peer in [server(Config::default()), client(Config::default())] {
        feed(&mut peer, &[]);
        peer.handle_input(at(1), Input::Eof).unwrap();
        let end = closed(&mut peer);
        assert_eq!((end.cause.clone(), end.code(), end.is_clean()), (Cause::Lost, CloseCode::ABNORMAL, false));
    }
}

//= https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1
//= type=test
//# 1005 is a reserved value and MUST NOT be set as a status code in a
//# Close control frame by an endpoint.
//= https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1
//= type=test
//# 1006 is a reserved value and MUST NOT be set as a status code in a
//# Close control frame by an endpoint.
//= https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1
//= type=test
//# 1015 is a reserved value and MUST NOT be set as a status code in a
//# Close control frame by an endpoint.
#[test]
fn reserved_codes_are_neither_sent_nor_taken() {
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535] {
        let mut peer = server(Config::default());
        assert_eq!(peer.close(at(0), CloseCode::new(code), ""), Err(Misuse::BadCloseCode), "{code}");
        assert!(peer.is_open());
        feed(&mut peer, &masked(0x88, &close_body(code, "")));
        assert_eq!(parse(&output(&mut peer))[0].payload[..2], 1002_u16.to_be_bytes());
        assert_eq!(closed(&mut peer).cause, Cause::Violation(Violation::BadCloseCode), "{code}");
    }
    for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1014, 3000, 3999, 4000, 4999] {
        let mut peer = server(Config::default());
        feed(&mut peer, &masked(0x88, &close_body(code, "")));
        assert_eq!(closed(&mut peer).code().get(), code);
    }
}

#[test]
fn bad_close_bodies_are_refused() {
    for (body, expected, code) in [
        (vec![3], Violation::BadCloseBody, 1002_u16),
        (vec![3, 232, 0xff], Violation::InvalidUtf8, 1007),
        (vec![3, 232, 0xe2, 0x82], Violation::InvalidUtf8, 1007),
    ] {
        let mut peer = server(Config::default());
        feed(&mut peer, &masked(0x88, &body));
        assert_eq!(parse(&output(&mut peer))[0].payload[..2], code.to_be_bytes());
        assert_eq!(closed(&mut peer).cause, Cause::Violation(expected));
    }
}

#[test]
fn a_reason_must_fit() {
    let mut peer = server(Config::default());
    assert_eq!(peer.close(at(0), CloseCode::NORMAL, &"x".repeat(124)), Err(Misuse::TooLong));
    assert_eq!(peer.ping(at(0), &[0; 126]), Err(Misuse::TooLong));
    assert_eq!(output(&mut peer), b"");
    peer.close(at(0), CloseCode::NORMAL, &"x".repeat(123)).unwrap();
    assert_eq!(output(&mut peer).len(), 127);
}

//= https://www.rfc-editor.org/rfc/rfc6455#section-7.1.7
//= type=test
//# To do so, the client MUST _Close the
//# WebSocket Connection_, and MAY report the problem to the user (which
//# would be especially useful for developers) in an appropriate manner.
//# Similarly, to do so, the server MUST _Close the WebSocket
//# Connection_, and SHOULD log the problem.
//= https://www.rfc-editor.org/rfc/rfc6455#section-7.1.7
//= type=test
//# An endpoint MUST NOT continue to attempt to
//# process data (including a responding Close frame) from the remote
//# endpoint after being instructed to _Fail the WebSocket Connection_.
#[test]
fn nothing_is_read_after_a_violation() {
    for (mut peer, bad, close) in [
        (server(Config::default()), masked(0x83, b""), masked(0x88, &close_body(1000, ""))),
        (client(Config::default()), frame(0x83, b""), frame(0x88, &close_body(1000, ""))),
    ] {
        feed(&mut peer, &[bad, close.clone()].concat());
        feed(&mut peer, &close);
        assert_eq!(parse(&output(&mut peer)).len(), 1);
        assert!(peer.counters().bytes_ignored >= 2 * close.len() as u64);
        let end = closed(&mut peer);
        assert_eq!((end.cause.clone(), end.received), (Cause::Violation(Violation::ReservedOpcode), None));
    }
}

#[test]
fn messages_before_the_end_can_still_be_answered() {
    for (last, cause) in [
        (masked(0x83, b""), Cause::Violation(Violation::ReservedOpcode)),
        (masked(0x88, &close_body(1000, "")), Cause::Remote),
    ] {
        let mut peer = server(Config::default());
        feed(&mut peer, &[masked(0x81, b"ask"), last].concat());
        assert_eq!(output(&mut peer), b"", "the end waits for the host");
        assert_eq!(peer.poll_event(), Some(Event::Text("ask".into())));
        peer.send(at(0), Message::Text("answer".into())).unwrap();
        assert_eq!(peer.poll_timeout(), Some(Instant::ZERO));
        let Some(Event::Closed(end)) = peer.poll_event() else { panic!("the end") };
        assert_eq!(end.cause, cause);
        let frames = parse(&output(&mut peer));
        assert_eq!((frames.len(), frames[0].first, frames[1].first), (2, 0x81, 0x88));
    }
}

#[test]
fn an_end_that_nobody_takes_comes_by_itself() {
    let mut peer = server(Config::default());
    feed(&mut peer, &[masked(0x81, b"ask"), masked(0x88, b"")].concat());
    peer.handle_timeout(at(5000));
    assert_eq!(output(&mut peer), frame(0x88, b""));
    assert_eq!(events(&mut peer).len(), 2);
    assert_nothing_left(&mut peer);
}

#[test]
fn closing_before_the_handshake_is_done_ends_at_once() {
    let mut peer = Connection::server(at(0), Config::default());
    peer.close(at(0), CloseCode::GOING_AWAY, "").unwrap();
    assert_eq!(output(&mut peer), b"");
    assert_eq!(closed(&mut peer).cause, Cause::Local);

    let mut peer = Connection::server(at(0), Config::default());
    feed(&mut peer, crate::common::REQUEST.as_bytes());
    let _ = peer.poll_event();
    peer.close(at(0), CloseCode::GOING_AWAY, "").unwrap();
    assert!(output(&mut peer).starts_with(b"HTTP/1.1 503 "));
    assert_eq!(closed(&mut peer).cause, Cause::Local);
}
