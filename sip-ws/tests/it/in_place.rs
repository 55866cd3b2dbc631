//! Messages that stay in the host's buffer: which do, and what happens to everything else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers too are tests

use crate::common::{close_body, events, feed, masked, output, parse, server};
use sip_ws::{Config, Connection, Event, Instant, Received, Violation};

fn take<'a>(connection: &mut Connection, bytes: &'a mut [u8]) -> (Option<Received<'a>>, usize) {
    let (message, rest) = connection.handle_in_place(Instant::ZERO, bytes);
    (message, rest.len())
}

#[test]
fn a_whole_message_is_lent_out_of_the_buffer() {
    let mut server = server(Config::default());
    let second = masked(0x82, b"binary");
    let mut bytes = [&masked(0x81, "κόσμε".as_bytes())[..], &second].concat();
    let all = bytes.as_ptr_range();
    let (message, rest) = server.handle_in_place(Instant::ZERO, &mut bytes);
    let Some(Received::Text(text)) = message else { panic!("{message:?}") };
    assert_eq!(text, "κόσμε".as_bytes());
    assert!(all.contains(&text.as_ptr()));
    assert_eq!(rest.len(), second.len());
    assert_eq!(server.poll_event(), None);
    assert_eq!(server.handle_in_place(Instant::ZERO, rest), (Some(Received::Binary(b"binary")), &mut [][..]));
    assert_eq!(server.handle_in_place(Instant::ZERO, &mut []), (None, &mut [][..]));
    let counters = server.counters();
    assert_eq!((counters.messages_in, counters.bytes_ignored), (2, 0));
}

#[test]
fn it_counts_as_other_input_does() {
    let bytes = [masked(0x81, b"a"), masked(0x89, b"p"), masked(0x02, b"b"), masked(0x80, b"c")].concat();
    let mut lent = server(Config::default());
    feed(&mut lent, &bytes);
    let mut in_place = server(Config::default());
    let mut own = bytes.clone();
    let mut rest = &mut own[..];
    let mut messages = 0;
    while !rest.is_empty() {
        let message;
        (message, rest) = in_place.handle_in_place(Instant::ZERO, rest);
        messages += usize::from(message.is_some());
        messages += events(&mut in_place).iter().filter(|event| matches!(event, Event::Binary(_))).count();
    }
    assert_eq!(messages, 2);
    assert_eq!(in_place.counters(), lent.counters());
    assert_eq!(output(&mut in_place), output(&mut lent));
}

#[test]
fn nothing_is_taken_while_events_wait() {
    let mut server = server(Config::default());
    feed(&mut server, &masked(0x89, b"first"));
    let mut bytes = masked(0x82, b"second");
    let len = bytes.len();
    assert_eq!(take(&mut server, &mut bytes), (None, len));
    assert_eq!(events(&mut server), [Event::Ping("first".into())]);
    assert_eq!(take(&mut server, &mut bytes), (Some(Received::Binary(b"second")), 0));
}

#[test]
fn fragments_control_frames_and_cut_frames_come_as_events() {
    let mut server = server(Config::default());
    let cut = masked(0x82, &[7; 200]);
    let mut bytes =
        [&masked(0x01, b"a")[..], &masked(0x89, b"p"), &masked(0x80, b"b"), &masked(0x82, b"whole"), &cut[..100]]
            .concat();
    let mut rest = &mut bytes[..];
    let mut seen = Vec::new();
    while !rest.is_empty() {
        let message;
        (message, rest) = server.handle_in_place(Instant::ZERO, rest);
        if let Some(message) = message {
            assert_eq!(message, Received::Binary(b"whole"));
            seen.push("lent");
        }
        for event in events(&mut server) {
            seen.push(match event {
                Event::Ping(_) => "ping",
                Event::Text(text) if text == "ab" => "ab",
                other => panic!("{other:?}"),
            });
        }
    }
    assert_eq!(seen, ["ping", "ab", "lent"]);
    let mut end = [&cut[100..], &masked(0x81, b"x")].concat();
    let (message, rest) = server.handle_in_place(Instant::ZERO, &mut end);
    assert_eq!(message, None);
    assert_eq!(events(&mut server), [Event::Binary(vec![7; 200].into())]);
    assert_eq!(take(&mut server, rest), (Some(Received::Text(b"x")), 0));
}

#[test]
fn what_is_wrong_ends_the_connection_and_the_rest_is_thrown_away() {
    let cases: [(Vec<u8>, Violation); 4] = [
        (masked(0x81, b"ab\xff"), Violation::InvalidUtf8),
        (masked(0x80, b""), Violation::UnexpectedContinuation),
        (masked(0x82, &[0; 101]), Violation::MessageTooBig),
        (masked(0x83, b""), Violation::ReservedOpcode),
    ];
    for (wrong, violation) in cases {
        let mut config = Config::default();
        config.max_message = 100;
        let mut server = server(config);
        let more = masked(0x82, b"more");
        let mut bytes = [&wrong[..], &more].concat();
        assert_eq!(take(&mut server, &mut bytes), (None, 0), "{violation:?}");
        assert_eq!(crate::common::end(&mut server).1, Some(violation.code().get()), "{violation:?}");
        assert!(server.counters().bytes_ignored >= more.len() as u64, "{violation:?}");
    }
}

#[test]
fn a_close_behind_a_message_comes_behind_it() {
    let mut server = server(Config::default());
    let mut bytes = [masked(0x82, b"last"), masked(0x88, &close_body(1000, "")), masked(0x82, b"late")].concat();
    let (message, rest) = server.handle_in_place(Instant::ZERO, &mut bytes);
    assert_eq!(message, Some(Received::Binary(b"last")));
    server.send_text(Instant::ZERO, "answer").unwrap();
    let (message, rest) = server.handle_in_place(Instant::ZERO, rest);
    assert_eq!(message, None);
    assert!(matches!(events(&mut server)[..], [Event::Closed(_)]));
    assert_eq!(take(&mut server, rest), (None, 0));
    let frames = parse(&output(&mut server));
    assert_eq!((frames.len(), frames[0].first, frames[1].first), (2, 0x81, 0x88));
}
