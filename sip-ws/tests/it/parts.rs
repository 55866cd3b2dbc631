//! Messages written without a copy: their headers, and output in two parts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers too are tests

use crate::common::{at, client, events, feed, frame, masked, output, parse, server};
use bytes::Bytes;
use sip_ws::{Config, Connection, Instant, Message, SendFailure, Utf8};

#[test]
fn a_header_and_its_payload_are_the_frame() {
    for len in [0, 1, 125, 126, 65_535, 65_536] {
        let text = "x".repeat(len);
        let mut server = server(Config::default());
        let header = server.send_text_header(Instant::ZERO, &text).unwrap();
        assert_eq!([&header, text.as_bytes()].concat(), frame(0x81, text.as_bytes()), "{len}");
        let header = server.send_binary_header(Instant::ZERO, text.as_bytes()).unwrap();
        assert_eq!([&header, text.as_bytes()].concat(), frame(0x82, text.as_bytes()), "{len}");
        let counters = server.counters();
        assert_eq!((counters.messages_out, server.queued_output()), (2, 0));
        assert_eq!(counters.bytes_out, {
            let mut other = crate::common::server(Config::default());
            other.send_text(Instant::ZERO, &text).unwrap();
            other.send_text(Instant::ZERO, &text).unwrap();
            other.counters().bytes_out
        });
    }
}

#[test]
fn what_must_be_changed_on_its_way_is_refused() {
    fn refused(connection: &mut Connection, what: &str) {
        let before = connection.counters();
        assert_eq!(connection.send_text_header(Instant::ZERO, "abc"), Err(SendFailure::NotAsIs), "{what}");
        assert_eq!(connection.send_binary_header(Instant::ZERO, b"abc"), Err(SendFailure::NotAsIs), "{what}");
        assert_eq!(connection.counters(), before, "{what}");
    }
    refused(&mut client(Config::default()), "a client must mask");
    let mut config = Config::default();
    config.fragment_size = Some(2);
    refused(&mut server(config), "to be cut");
    let mut server = server(Config::default());
    feed(&mut server, &masked(0x89, b"ping"));
    refused(&mut server, "a Pong waits");
    assert_eq!(parse(&output(&mut server)).len(), 1);
    server.send_text_header(Instant::ZERO, "abc").unwrap();
}

#[test]
fn a_header_is_only_for_an_open_connection() {
    let mut server = server(Config::default());
    feed(&mut server, &masked(0x88, b""));
    drop(events(&mut server));
    assert_eq!(server.send_text_header(Instant::ZERO, "abc"), Err(SendFailure::NotOpen));
    let mut sip = crate::common::Pair::new(Config::sip(), Config::sip());
    assert_eq!(sip.server.send_text_header(Instant::ZERO, "abc"), Err(SendFailure::NotSip));
}

#[test]
fn parts_and_single_slices_are_the_same_bytes() {
    let sizes = [10, 5000, 20, 30, 4095, 4096, 17_000, 0, 1];
    let fill = |connection: &mut Connection| {
        for (i, size) in sizes.into_iter().enumerate() {
            connection.send(Instant::ZERO, Message::Binary(vec![i as u8; size].into())).unwrap();
        }
    };
    let mut one = server(Config::default());
    fill(&mut one);
    let expected: Vec<u8> =
        sizes.into_iter().enumerate().flat_map(|(i, size)| frame(0x82, &vec![i as u8; size])).collect();
    assert_eq!(one.queued_output(), expected.len());
    let mut singly = Vec::new();
    while let Some(bytes) = one.poll_transmit() {
        assert!(!bytes.is_empty());
        singly.extend_from_slice(&bytes);
        assert_eq!(one.queued_output(), expected.len() - singly.len());
    }
    assert_eq!(singly, expected);
    fill(&mut one);
    let mut parts = Vec::new();
    while let Some(chunk) = one.poll_transmit_parts() {
        parts.extend_from_slice(&[&chunk.header, &chunk.payload[..]].concat());
        assert_eq!(one.queued_output(), expected.len() - parts.len());
    }
    assert_eq!(parts, expected);
    fill(&mut one);
    let mut drained = Vec::new();
    one.drain_transmit(&mut drained);
    assert_eq!(drained, expected);
    assert_eq!(one.poll_timeout(), one.next_deadline());
}

#[test]
fn a_small_message_that_is_alone_is_one_write_and_not_copied_for_two_parts() {
    let payload = Bytes::from(vec![7; 600]);
    let mut server = server(Config::default());
    server.send(Instant::ZERO, Message::Binary(payload.clone())).unwrap();
    assert_eq!(server.poll_transmit().unwrap(), frame(0x82, &payload));
    assert_eq!(server.poll_transmit(), None);
    server.send(Instant::ZERO, Message::Binary(payload.clone())).unwrap();
    let parts = server.poll_transmit_parts().unwrap();
    assert_eq!(parts.payload.as_ptr(), payload.as_ptr());
    assert_eq!(server.poll_transmit_parts(), None);
}

#[test]
fn an_urgent_pong_goes_before_a_header_or_behind_its_payload() {
    for mixed in [false, true] {
        let mut config = Config::default();
        config.max_queued_output = 1;
        let mut server = server(config);
        server.send(Instant::ZERO, Message::Binary(vec![1; 5000].into())).unwrap();
        let mut out = Vec::new();
        if mixed {
            out.extend_from_slice(&server.poll_transmit().unwrap());
            assert_eq!(out.len(), 4, "the header alone");
        }
        feed(&mut server, &masked(0x89, b"p"));
        while let Some(chunk) = server.poll_transmit_parts() {
            out.extend_from_slice(&[&chunk.header, &chunk.payload[..]].concat());
        }
        let order: Vec<u8> = parse(&out).iter().map(|frame| frame.first).collect();
        assert_eq!(order, if mixed { [0x82, 0x8a] } else { [0x8a, 0x82] });
    }
}

#[test]
fn text_is_checked_once_however_often_it_is_sent() {
    let text = Utf8::try_from(Bytes::from("κόσμε")).unwrap();
    assert_eq!(Utf8::from("κόσμε"), text);
    assert_eq!(Utf8::from("κόσμε".to_owned()), text);
    assert_eq!(Utf8::try_from(Bytes::from_static(b"\xff")), Err(Bytes::from_static(b"\xff")));
    let mut server = server(Config::default());
    for _ in 0..2 {
        server.send(at(1), Message::Utf8(text.clone())).unwrap();
        assert_eq!(output(&mut server), frame(0x81, text.as_bytes()));
    }
    assert_eq!(text.into_bytes(), "κόσμε");
}
