//! Slow readers and slow hosts: nothing grows without bound, nothing is lost without a word.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers too are tests

use crate::common::{Pair, at, events, feed, frame, masked, output, parse, server};
use bytes::BytesMut;
use sip_ws::{Config, Event, Input, InputError, Instant, Message, SendFailure};

fn config() -> Config {
    let mut config = Config::default();
    config.max_queued_output = 10_000;
    config.max_queued_events = 8;
    config
}

#[test]
fn a_full_queue_hands_messages_back_and_says_when_there_is_room() {
    let mut server = server(config());
    let mut sent = 0;
    let refused = loop {
        match server.send(Instant::ZERO, Message::Binary(vec![sent; 1000].into())) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
    };
    assert_eq!((refused.failure, refused.message), (SendFailure::Full, Message::Binary(vec![sent; 1000].into())));
    assert_eq!(sent, 10);
    assert!(server.queued_output() < 10_000 + 1004);
    assert_eq!(server.send_text(Instant::ZERO, "x"), Err(SendFailure::Full));
    assert_eq!(server.counters().messages_refused, 2);
    assert_eq!(events(&mut server), []);
    let out = output(&mut server);
    assert_eq!(parse(&out).len(), 10);
    assert_eq!(events(&mut server), [Event::Writable], "once");
    server.send_text(Instant::ZERO, "x").unwrap();
}

#[test]
fn pongs_survive_back_pressure_in_bounded_memory() {
    let mut config = config();
    config.control_rate = None;
    config.max_queued_events = usize::MAX;
    let mut server = server(config);
    let large = vec![1; 20_000];
    server.send(Instant::ZERO, Message::Binary(large.clone().into())).unwrap();
    for i in 0..10_000_u32 {
        feed(&mut server, &masked(0x89, &i.to_be_bytes()));
        let _ = events(&mut server);
    }
    assert!(server.memory() < 25_000, "{}", server.memory());
    assert_eq!(server.counters().pings_in, 10_000);
    assert_eq!(server.counters().pongs_merged, 9_999);
    // The last Pong overtakes the message, but never cuts a frame.
    let frames = parse(&output(&mut server));
    assert_eq!(frames.len(), 2);
    assert_eq!((frames[0].first, &frames[0].payload[..]), (0x8a, &9_999_u32.to_be_bytes()[..]));
    assert_eq!(frames[1].payload, large);
}

#[test]
fn a_pong_never_cuts_a_frame_in_two() {
    let mut server = server(config());
    server.send(Instant::ZERO, Message::Binary(vec![1; 20_000].into())).unwrap();
    let header = server.poll_transmit().unwrap();
    feed(&mut server, &masked(0x89, b"now"));
    let mut out = header.to_vec();
    out.extend(output(&mut server));
    let frames = parse(&out);
    assert_eq!(frames.iter().map(|frame| frame.first).collect::<Vec<_>>(), [0x82, 0x8a]);
}

#[test]
fn input_is_refused_while_the_host_does_not_poll() {
    let mut server = server(config());
    let burst = masked(0x81, b"x").repeat(20);
    feed(&mut server, &burst);
    let InputError::Backlog(input) = server.handle_input(at(1), &burst[..]).unwrap_err() else { panic!() };
    assert!(matches!(input, Input::Bytes(bytes) if bytes == burst));
    let InputError::Backlog(input) = server.handle_input(at(1), BytesMut::from(&burst[..])).unwrap_err() else {
        panic!()
    };
    let counted = server.counters().bytes_in;
    assert_eq!(events(&mut server).len(), 20);
    server.handle_input(at(1), input).unwrap();
    assert_eq!(server.counters().bytes_in, counted + burst.len() as u64);
    assert_eq!(events(&mut server).len(), 20);
}

#[test]
fn output_or_events_that_wait_make_the_deadline_now() {
    let mut server = server(config());
    crate::common::feed_at(&mut server, at(7), &masked(0x81, b"x"));
    assert_eq!(server.poll_timeout(), Some(at(7)));
    let _ = events(&mut server);
    assert_eq!(server.poll_timeout(), server.next_deadline());
    server.send_text(at(9), "x").unwrap();
    assert_eq!(server.poll_timeout(), Some(at(9)));
    assert!(server.next_deadline() > Some(at(9)), "a blocked host sleeps");
    let _ = output(&mut server);
    assert_eq!(server.poll_timeout(), server.next_deadline());
}

#[test]
fn direct_sending_keeps_the_order() {
    let mut server = server(config());
    let mut out = Vec::new();
    server.send_text_into(at(0), "direct", &mut out).unwrap();
    assert_eq!(out, frame(0x81, b"direct"));
    server.ping(at(0), b"queued").unwrap();
    server.send_binary_into(at(0), b"behind", &mut out).unwrap();
    assert_eq!(out, [frame(0x81, b"direct"), frame(0x89, b"queued"), frame(0x82, b"behind")].concat());
    assert_eq!(server.poll_transmit(), None);
    assert_eq!(server.counters().messages_out, 2);
}

#[test]
fn queues_leave_no_memory_behind() {
    let mut pair = Pair::new(Config::default(), Config::default());
    let idle = (pair.client.memory(), pair.server.memory());
    for _ in 0..100 {
        pair.client.send_binary(pair.now, &[1; 5000]).unwrap();
        pair.server.send(pair.now, Message::Binary(vec![2; 6000].into())).unwrap();
    }
    pair.settle();
    assert_eq!((pair.server_events.len(), pair.client_events.len()), (100, 100));
    assert!(pair.client.memory() <= idle.0.max(1024), "{} {}", pair.client.memory(), idle.0);
    assert!(pair.server.memory() <= idle.1.max(1024), "{} {}", pair.server.memory(), idle.1);
    assert!(idle.0 < 1024 && idle.1 < 1024, "{idle:?}");
}
