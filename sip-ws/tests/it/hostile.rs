//! Hostile peers: each ends with the right code, in bounded memory, and is counted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers too are tests

use crate::common::{MASK, REQUEST, at, close_body, end, events, feed, feed_at, masked, output, server};
use sip_ws::{Config, Connection, Event, Input, InputError, Instant, RequestError};

/// Most that a peer may make a connection hold, with the default limits and nothing of use sent.
const BOUND: usize = 24 * 1024;

#[test]
fn a_head_that_never_ends() {
    for line in ["X-Filler: aaaaaaaaaaaaaaaa\r\n", "a", "\r\r\r"] {
        let mut server = Connection::server(Instant::ZERO, Config::default());
        feed(&mut server, b"GET / HTTP/1.1\r\n");
        let mut sent = 0;
        while !server.is_ended() {
            feed(&mut server, line.as_bytes());
            sent += line.len();
            assert!(server.memory() < 2 * BOUND && sent < 20_000, "{sent}: {}", server.memory());
        }
        assert_eq!(end(&mut server), ("head-too-long", Some(431)));
    }
}

#[test]
fn empty_lines_for_ever() {
    let mut server = Connection::server(Instant::ZERO, Config::default());
    for _ in 0..10_000 {
        feed(&mut server, b"\r\n\r\n");
    }
    assert!(server.memory() < BOUND);
    server.handle_timeout(at(10_000));
    assert_eq!(end(&mut server), ("handshake-timeout", None));
}

#[test]
fn a_head_one_byte_at_a_time() {
    let mut server = Connection::server(Instant::ZERO, Config::default());
    for (second, byte) in REQUEST.bytes().enumerate() {
        let now = at(second as u64 * 1000);
        server.handle_timeout(now);
        feed_at(&mut server, now, &[byte]);
    }
    assert_eq!(end(&mut server), ("head-too-slow", Some(RequestError::Slow.status())));
}

#[test]
fn lengths_without_end() {
    for (len, name, code) in [
        (1 << 63, "length-overflow", 1002),
        ((1 << 63) - 1, "frame-too-big", 1009),
        ((1 << 20) + 1, "frame-too-big", 1009),
    ] {
        let mut server = server(Config::default());
        feed(&mut server, &[&[0x82, 0xff][..], &u64::to_be_bytes(len), &MASK].concat());
        assert_eq!(end(&mut server), (name, Some(code)));
    }
    // An announced length takes no memory before its bytes are there.
    let mut server = server(Config::default());
    feed(&mut server, &[&[0x82, 0xff][..], &u64::to_be_bytes(1 << 20), &MASK, b"few"].concat());
    assert!(server.memory() < 2048, "{}", server.memory());
}

#[test]
fn broken_frames() {
    for (bytes, name, code) in [
        (crate::common::frame(0x81, b"no mask"), "unmasked", 1002),
        (masked(0xf1, b""), "reserved-bits", 1002),
        (masked(0x89, &[0; 126]), "control-too-long", 1002),
        (masked(0x81, b"\xc0\x80"), "invalid-utf8", 1007),
        (masked(0x88, &close_body(1006, "")), "bad-close-code", 1002),
    ] {
        let mut server = server(Config::default());
        feed(&mut server, &bytes);
        assert_eq!(end(&mut server), (name, Some(code)));
    }
}

#[test]
fn a_message_one_byte_at_a_time() {
    let mut server = server(Config::default());
    let bytes = masked(0x82, &[0; 200]);
    for (second, byte) in bytes.iter().enumerate() {
        let now = at(second as u64 * 1000);
        feed_at(&mut server, now, &[*byte]);
        server.handle_timeout(now);
        if server.is_ended() {
            assert_eq!(second, 60);
            break;
        }
    }
    assert_eq!(end(&mut server), ("message-timeout", Some(1008)));
}

#[test]
fn a_message_of_endless_empty_fragments() {
    let mut server = server(Config::default());
    feed(&mut server, &masked(0x01, b""));
    while !server.is_ended() {
        feed(&mut server, &masked(0x00, b""));
        assert!(server.memory() < 2048);
    }
    assert_eq!(end(&mut server), ("too-many-fragments", Some(1008)));
}

#[test]
fn a_message_of_endless_size() {
    let mut server = server(Config::default());
    feed(&mut server, &masked(0x02, b""));
    let part = masked(0x00, &[0; 10_000]);
    while !server.is_ended() {
        feed(&mut server, &part);
        assert!(server.memory() < 3 << 20);
    }
    assert_eq!(end(&mut server), ("message-too-big", Some(1009)));
}

#[test]
fn a_flood_of_pings() {
    for byte in [0x89, 0x8a] {
        let mut server = server(Config::default());
        let flood = masked(byte, &[0; 125]).repeat(100);
        // The host takes events, the peer reads nothing.
        for _ in 0..5 {
            feed(&mut server, &flood);
            assert_eq!(events(&mut server).len(), 100);
            assert!(server.memory() < 128 << 10, "{}", server.memory());
        }
        // 500 are allowed at once.
        feed(&mut server, &masked(byte, b"one more"));
        assert!(server.memory() < 128 << 10, "{}", server.memory());
        assert_eq!(end(&mut server), ("control-flood", Some(1008)));
    }
    // Slowly enough, it is no flood.
    let mut server = server(Config::default());
    for i in 0..2000 {
        feed_at(&mut server, at(i * 20), &masked(0x89, b"x"));
        let _ = (events(&mut server), output(&mut server));
    }
    assert!(server.is_open());
}

#[test]
fn a_close_without_an_answer() {
    let mut server = server(Config::default());
    server.close(at(0), sip_ws::CloseCode::NORMAL, "").unwrap();
    for second in 1..5 {
        feed_at(&mut server, at(second * 1000), &masked(0x81, b"I talk on").repeat(100));
        server.handle_timeout(at(second * 1000));
        assert_eq!(events(&mut server).len(), 100);
        assert!(server.memory() < BOUND, "{}", server.memory());
    }
    server.handle_timeout(at(5_000));
    assert_eq!(end(&mut server), ("close-timeout", Some(1000)));
}

#[test]
fn a_burst_of_messages_to_a_host_that_sleeps() {
    let mut server = server(Config::default());
    let burst = masked(0x82, b"").repeat(100);
    let mut taken = 0;
    let refused = loop {
        match server.handle_input(at(0), &burst[..]) {
            Ok(()) => taken += 1,
            Err(InputError::Backlog(Input::Bytes(bytes))) => break bytes.len(),
            Err(other) => panic!("{other}"),
        }
    };
    assert_eq!((taken, refused), (11, burst.len()));
    assert!(server.memory() < 2 * BOUND * 4, "{}", server.memory());
}

#[test]
fn garbage_and_other_protocols() {
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..500 {
        let mut bytes = vec![];
        for _ in 0..64 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            bytes.extend(random.to_le_bytes());
        }
        let mut fresh = Connection::server(Instant::ZERO, Config::default());
        let mut open = server(Config::default());
        for connection in [&mut fresh, &mut open] {
            feed(connection, &bytes);
            connection.handle_timeout(at(100_000));
            connection.handle_timeout(at(200_000));
            let ends = events(connection).iter().filter(|event| matches!(event, Event::Closed(_))).count();
            assert_eq!(ends, 1);
            let _ = output(connection);
            assert_eq!(connection.poll_timeout(), None);
        }
    }
    for head in ["\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03", "SSH-2.0-x\r\n\r\n", "REGISTER sip:a SIP/2.0\r\n\r\n"] {
        let mut server = Connection::server(Instant::ZERO, Config::default());
        feed(&mut server, head.as_bytes());
        server.handle_timeout(at(10_000));
        let (name, status) = end(&mut server);
        assert!(["head-malformed", "head-too-slow"].contains(&name), "{name}");
        assert!(status == Some(400) || status == Some(408));
    }
}
