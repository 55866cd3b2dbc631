//! RFC 6455 section 5: frames in both directions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers too are tests

use crate::common::{MASK, client, events, feed, frame, masked, output, parse, server};
use bytes::{Bytes, BytesMut};
use sip_ws::{Cause, CloseCode, Config, Connection, Event, Input, Instant, Message, SendFailure, Violation};

fn violation(connection: &mut Connection) -> Violation {
    let events = events(connection);
    match events.as_slice() {
        [Event::Closed(closed)] => match closed.cause {
            Cause::Violation(violation) => violation,
            ref other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

/// The Close frame that a connection sent.
fn close_code(connection: &mut Connection) -> u16 {
    let frames = parse(&output(connection));
    assert_eq!(frames.len(), 1, "{frames:?}");
    assert_eq!(frames[0].first, 0x88);
    u16::from_be_bytes([frames[0].payload[0], frames[0].payload[1]])
}

#[test]
fn the_examples_of_section_5_7() {
    // A single-frame unmasked text message.
    let mut to_client = client(Config::default());
    feed(&mut to_client, &[0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
    assert_eq!(events(&mut to_client), [Event::Text("Hello".into())]);
    // A single-frame masked text message.
    let mut to_server = server(Config::default());
    feed(&mut to_server, &[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    assert_eq!(events(&mut to_server), [Event::Text("Hello".into())]);
    // A fragmented unmasked text message.
    feed(&mut to_client, &[0x01, 0x03, 0x48, 0x65, 0x6c]);
    assert_eq!(events(&mut to_client), []);
    feed(&mut to_client, &[0x80, 0x02, 0x6c, 0x6f]);
    assert_eq!(events(&mut to_client), [Event::Text("Hello".into())]);
    // Unmasked Ping request and masked Ping response.
    feed(&mut to_client, &[0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
    assert_eq!(events(&mut to_client), [Event::Ping("Hello".into())]);
    let pongs = parse(&output(&mut to_client));
    assert_eq!((pongs[0].first, pongs[0].mask.is_some(), &pongs[0].payload[..]), (0x8a, true, &b"Hello"[..]));
    feed(&mut to_server, &[0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    assert_eq!(events(&mut to_server), [Event::Pong("Hello".into())]);
    // 256 bytes of binary in one unmasked frame, and 64 KiB.
    for (head, len) in [(vec![0x82, 0x7e, 0x01, 0x00], 256), (vec![0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0], 65536)] {
        let payload = vec![0xa5; len];
        feed(&mut to_client, &[head.clone(), payload.clone()].concat());
        assert_eq!(events(&mut to_client), [Event::Binary(payload.clone().into())]);
        to_server.send_binary(Instant::ZERO, &payload).unwrap();
        assert_eq!(output(&mut to_server), [head, payload].concat());
    }
    to_server.send_text(Instant::ZERO, "Hello").unwrap();
    assert_eq!(output(&mut to_server), [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
}

//= https://www.rfc-editor.org/rfc/rfc6455#section-5.2
//= type=test
//# MUST be 0 unless an extension is negotiated that defines meanings
//# for non-zero values.
//= https://www.rfc-editor.org/rfc/rfc6455#section-5.2
//= type=test
//# If a nonzero value is received and none of
//# the negotiated extensions defines the meaning of such a nonzero
//# value, the receiving endpoint MUST _Fail the WebSocket
//# Connection_.
//= https://www.rfc-editor.org/rfc/rfc6455#section-5.2
//= type=test
//# If an unknown
//# opcode is received, the receiving endpoint MUST _Fail the
//# WebSocket Connection_.
//= https://www.rfc-editor.org/rfc/rfc6455#section-5.1
//= type=test
//# The server MUST close the connection upon receiving a
//# frame that is not masked.
//= https://www.rfc-editor.org/rfc/rfc6455#section-5.2
//= type=test
//# Note that in all cases, the minimal number of bytes MUST be used to encode
//# the length, for example, the length of a 124-byte-long string
//# can't be encoded as the sequence 126, 0, 124.
//= https://www.rfc-editor.org/rfc/rfc6455#section-5.2
//= type=test
//# If 127, the
//# following 8 bytes interpreted as a 64-bit unsigned integer (the
//# most significant bit MUST be 0) are the payload length.
//= https://www.rfc-editor.org/rfc/rfc6455#section-5.5
//= type=test
//# All control frames MUST have a payload length of 125 bytes or less
//# and MUST NOT be fragmented.
//= https://www.rfc-editor.org/rfc/rfc6455#section-5.4
//= type=test
//# Control frames themselves MUST NOT be fragmented.
//= https://www.rfc-editor.org/rfc/rfc6455#section-10.4
//= type=test
//# Implementations that have implementation- and/or platform-specific
//# limitations regarding the frame size or total message size after
//# reassembly from multiple frames MUST protect themselves against
//# exceeding those limits.
//= https://www.rfc-editor.org/rfc/rfc6455#section-10.7
//= type=test
//# Incoming data MUST always be validated by both clients and servers.
//= https://www.rfc-editor.org/rfc/rfc7692#section-6.1
//= type=test
//# An endpoint MUST NOT set the "Per-Message Compressed" bit of control
//# frames and non-first fragments of a data message.  An endpoint
//# receiving such a frame MUST _Fail the WebSocket Connection_.
//= https://www.rfc-editor.org/rfc/rfc6455#section-5.2
//= type=test
//# frame-rsv1 = %x0 / %x1 ; 1 bit in length, MUST be 0 unless ; negotiated
//# otherwise
//= https://www.rfc-editor.org/rfc/rfc6455#section-5.2
//= type=test
//# frame-rsv2 = %x0 / %x1 ; 1 bit in length, MUST be 0 unless ; negotiated
//# otherwise
//= https://www.rfc-editor.org/rfc/rfc6455#section-5.2
//= type=test
//# frame-rsv3 = %x0 / %x1 ; 1 bit in length, MUST be 0 unless ; negotiated
//# otherwise
#[test]
fn bad_headers_fail_the_connection() {
    let long = |second: u8, len: u64| [&[0x82, second][..], &len.to_be_bytes(), &MASK].concat();
    let cases: Vec<(Vec<u8>, Violation, u16)> = vec![
        (masked(0xc1, b""), Violation::ReservedBits, 1002),
        (masked(0xa1, b""), Violation::ReservedBits, 1002),
        (masked(0x91, b""), Violation::ReservedBits, 1002),
        (masked(0xc9, b""), Violation::ReservedBits, 1002),
        (masked(0x83, b""), Violation::ReservedOpcode, 1002),
        (masked(0x87, b""), Violation::ReservedOpcode, 1002),
        (masked(0x8b, b""), Violation::ReservedOpcode, 1002),
        (masked(0x8f, b""), Violation::ReservedOpcode, 1002),
        (frame(0x81, b"Hello"), Violation::Unmasked, 1002),
        (masked(0x89, &[0; 126]), Violation::ControlTooLong, 1002),
        (masked(0x09, b""), Violation::ControlFragmented, 1002),
        (masked(0x08, b""), Violation::ControlFragmented, 1002),
        (masked(0x80, b""), Violation::UnexpectedContinuation, 1002),
        (vec![0x82, 0xfe, 0, 124, 0, 0, 0, 0], Violation::NonMinimalLength, 1002),
        (vec![0x82, 0xfe, 0, 125, 0, 0, 0, 0], Violation::NonMinimalLength, 1002),
        (long(0xff, 0xffff), Violation::NonMinimalLength, 1002),
        (long(0xff, 1 << 63), Violation::LengthOverflow, 1002),
        (long(0xff, u64::MAX), Violation::LengthOverflow, 1002),
        (long(0xff, (1 << 63) - 1), Violation::FrameTooBig, 1009),
        (long(0xff, (1 << 20) + 1), Violation::FrameTooBig, 1009),
    ];
    for (bytes, expected, code) in cases {
        let mut server = server(Config::default());
        feed(&mut server, &bytes);
        assert_eq!(violation(&mut server), expected, "{bytes:x?}");
        assert_eq!(expected.code(), CloseCode::new(code));
        assert_eq!(close_code(&mut server), code, "{bytes:x?}");
        assert!(server.memory() < 1024, "{expected:?}: {}", server.memory());
    }
}

//= https://www.rfc-editor.org/rfc/rfc6455#section-5.1
//= type=test
//# A client MUST close a connection if it detects a masked
//# frame.
#[test]
fn a_client_refuses_masked_frames() {
    let mut client = client(Config::default());
    feed(&mut client, &masked(0x81, b"Hello"));
    assert_eq!(violation(&mut client), Violation::Masked);
    assert_eq!(close_code(&mut client), 1002);
}

//= https://www.rfc-editor.org/rfc/rfc6455#section-5.3
//= type=test
//# When preparing a masked frame, the client MUST pick a
//# fresh masking key from the set of allowed 32-bit values.  The masking
//# key needs to be unpredictable; thus, the masking key MUST be derived
//# from a strong source of entropy, and the masking key for a given
//# frame MUST NOT make it simple for a server/proxy to predict the
//# masking key for a subsequent frame.
//= https://www.rfc-editor.org/rfc/rfc6455#section-10.3
//= type=test
//# Clients MUST choose a new masking key for each frame, using an
//# algorithm that cannot be predicted by end applications that provide
//# data.
//= https://www.rfc-editor.org/rfc/rfc6455#section-5.3
//= type=test
//# A masked frame MUST have the field frame-masked set to 1, as defined
//# in Section 5.2.
//= https://www.rfc-editor.org/rfc/rfc6455#section-6.1
//= type=test
//# If the data is being sent by the client, the frame(s) MUST be
//# masked as defined in Section 5.3.
//= https://www.rfc-editor.org/rfc/rfc6455#section-5.1
//= type=test
//# a client MUST mask all frames that it
//# sends to the server (see Section 5.3 for further details).
//= https://www.rfc-editor.org/rfc/rfc6455#section-6.1
//= type=test
//# An endpoint MUST encapsulate the /data/ in a WebSocket frame as
//# defined in Section 5.2.
#[test]
fn a_client_masks_every_frame_with_a_new_key() {
    let mut client = client(Config::default());
    let mut keys = std::collections::BTreeSet::new();
    for size in [0_usize, 1, 3, 125, 126, 600, 4095, 4096, 65535, 65536, 100_000] {
        let payload: Vec<u8> = (0..size).map(|i| i as u8).collect();
        client.send(Instant::ZERO, Message::Binary(payload.clone().into())).unwrap();
        client.send_binary(Instant::ZERO, &payload).unwrap();
        client.ping(Instant::ZERO, b"p").unwrap();
        let frames = parse(&output(&mut client));
        assert_eq!(frames.len(), 3);
        assert_eq!((&frames[0].payload, &frames[1].payload), (&payload, &payload));
        keys.extend(frames.iter().map(|frame| frame.mask.expect("masked")));
    }
    assert_eq!(keys.len(), 33, "no key twice");
}

//= https://www.rfc-editor.org/rfc/rfc6455#section-5.1
//= type=test
//# A server MUST NOT mask any frames that it sends to
//# the client.
#[test]
fn a_server_masks_nothing() {
    let mut server = server(Config::default());
    server.send_text(Instant::ZERO, "x").unwrap();
    server.send(Instant::ZERO, Message::Binary(vec![0; 70_000].into())).unwrap();
    server.ping(Instant::ZERO, b"").unwrap();
    server.close(Instant::ZERO, CloseCode::NORMAL, "").unwrap();
    let frames = parse(&output(&mut server));
    assert_eq!(frames.len(), 4);
    assert!(frames.iter().all(|frame| frame.mask.is_none()));
}

//= https://www.rfc-editor.org/rfc/rfc6455#section-6.2
//= type=test
//# Incoming data MUST be parsed as WebSocket frames as defined in
//# Section 5.2.
//= https://www.rfc-editor.org/rfc/rfc6455#section-6.2
//= type=test
//# Upon receiving a data frame (Section 5.6), the endpoint MUST note the
//# /type/ of the data as defined by the opcode (frame-opcode) from
//# Section 5.2.
//= https://www.rfc-editor.org/rfc/rfc6455#section-6.2
//= type=test
//# A server MUST remove masking for data frames received
//# from a client as described in Section 5.3.
#[test]
fn owned_input_is_not_copied() {
    let mut server = server(Config::default());
    let mut buffer = BytesMut::with_capacity(1 << 16);
    for i in 0..10_u8 {
        buffer.extend_from_slice(&masked(0x82, &[i; 600]));
    }
    let range = buffer.as_ptr() as usize..buffer.as_ptr() as usize + buffer.len();
    server.handle_input(Instant::ZERO, buffer).unwrap();
    let events = events(&mut server);
    assert_eq!(events.len(), 10);
    for (i, event) in events.into_iter().enumerate() {
        let Event::Binary(payload) = event else { panic!("{event:?}") };
        assert_eq!(payload, vec![i as u8; 600]);
        assert!(range.contains(&(payload.as_ptr() as usize)), "a slice of the input");
    }
}

#[test]
fn large_owned_messages_are_sent_without_a_copy() {
    let mut server = server(Config::default());
    let payload = Bytes::from(vec![7; 100_000]);
    server.send(Instant::ZERO, Message::Binary(payload.clone())).unwrap();
    let header = server.poll_transmit().unwrap();
    assert_eq!(&header[..], [0x82, 127, 0, 0, 0, 0, 0, 1, 0x86, 0xa0]);
    assert_eq!(server.poll_transmit().unwrap().as_ptr(), payload.as_ptr());
    assert_eq!(server.poll_transmit(), None);
}

#[test]
fn a_client_masks_in_place_what_is_its_own_and_else_a_copy() {
    let mut client = client(Config::default());
    let payload: Vec<u8> = (0..10_003_u32).map(|i| (i * 7) as u8).collect();
    let shared = Bytes::from(payload.clone());
    client.send(Instant::ZERO, Message::Binary(shared.clone())).unwrap();
    assert_eq!(parse(&output(&mut client))[0].payload, payload);
    assert_eq!(shared, payload);
    let place = shared.as_ptr();
    client.send(Instant::ZERO, Message::Binary(shared)).unwrap();
    let mut out = client.poll_transmit().unwrap().to_vec();
    let masked = client.poll_transmit().unwrap();
    assert_eq!(masked.as_ptr(), place);
    out.extend_from_slice(&masked);
    assert_eq!(parse(&out)[0].payload, payload);
}

//= https://www.rfc-editor.org/rfc/rfc6455#section-6.1
//= type=test
//# The endpoint MUST ensure the WebSocket connection is in the OPEN
//# state (cf. Sections 4.1 and 4.2.2.)  If at any point the state of
//# the WebSocket connection changes, the endpoint MUST abort the
//# following steps.
//= https://www.rfc-editor.org/rfc/rfc6455#section-6.1
//= type=test
//# To _Send a WebSocket Message_ comprising of /data/ over a WebSocket
//# connection, an endpoint MUST perform the following steps.
#[test]
fn messages_wait_for_the_open_state() {
    let mut server = Connection::server(Instant::ZERO, Config::default());
    let refused = server.send(Instant::ZERO, Message::Text("early".into())).unwrap_err();
    assert_eq!((refused.failure, refused.message), (SendFailure::NotOpen, Message::Text("early".into())));
    feed(&mut server, crate::common::REQUEST.as_bytes());
    assert_eq!(server.send_text(Instant::ZERO, "early"), Err(SendFailure::NotOpen));
    assert_eq!(output(&mut server), b"");
}

#[test]
fn text_that_is_not_utf8_is_handed_back() {
    let mut server = server(Config::default());
    let message = Message::Text(Bytes::from_static(b"\xff"));
    let refused = server.send(Instant::ZERO, message.clone()).unwrap_err();
    assert_eq!((refused.failure, refused.message), (SendFailure::NotUtf8, message));
    assert_eq!(output(&mut server), b"");
}

//= https://www.rfc-editor.org/rfc/rfc6455#section-8.1
//= type=test
//# When an endpoint is to interpret a byte stream as UTF-8 but finds
//# that the byte stream is not, in fact, a valid UTF-8 stream, that
//# endpoint MUST _Fail the WebSocket Connection_.
//= https://www.rfc-editor.org/rfc/rfc6455#section-5.6
//= type=test
//# Note that a particular text frame might
//# include a partial UTF-8 sequence; however, the whole message MUST
//# contain valid UTF-8.
#[test]
fn text_is_checked_at_the_first_bad_byte() {
    let valid = "κόσμε \u{10ffff}".as_bytes();
    for cut in 0..=valid.len() {
        let mut server = server(Config::default());
        feed(&mut server, &masked(0x01, &valid[..cut]));
        feed(&mut server, &masked(0x80, &valid[cut..]));
        assert_eq!(events(&mut server), [Event::Text(Bytes::copy_from_slice(valid))], "{cut}");
    }
    // Whole frame, end within a character, and a frame whose rest never comes.
    let cases = [
        masked(0x81, b"ab\xff"),
        masked(0x81, b"\xe2\x82"),
        [masked(0x01, b"\xe2"), masked(0x80, b"a")].concat(),
        masked(0x01, b"\xf4\x90"),
        masked(0x81, &[&b"\xed\xa0"[..], &[b'a'; 300]].concat())[..11].to_vec(),
    ];
    for bytes in cases {
        let mut server = server(Config::default());
        feed(&mut server, &bytes);
        assert_eq!(violation(&mut server), Violation::InvalidUtf8, "{bytes:x?}");
        assert_eq!(close_code(&mut server), 1007);
    }
}

#[test]
fn input_after_the_end_is_counted_and_thrown_away() {
    let mut server = server(Config::default());
    server.handle_input(Instant::ZERO, Input::Eof).unwrap();
    assert_eq!(events(&mut server).len(), 1);
    feed(&mut server, &masked(0x81, b"late"));
    server.handle_input(Instant::ZERO, Input::Eof).unwrap();
    server.handle_timeout(Instant::MAX);
    assert_eq!((events(&mut server), output(&mut server)), (vec![], vec![]));
    assert_eq!(server.counters().bytes_ignored, 10);
    assert_eq!(server.poll_timeout(), None);
}
