//! RFC 6455 section 5.4: fragmentation, both ways, with control frames in between.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers too are tests

use crate::common::{Pair, client, events, feed, frame, masked, output, parse, server};
use sip_ws::{Cause, Config, Event, Instant, Violation};

//= https://www.rfc-editor.org/rfc/rfc6455#section-5.4
//= type=test
//# Clients and servers MUST support receiving both fragmented and
//# unfragmented messages.
//= https://www.rfc-editor.org/rfc/rfc6455#section-5.4
//= type=test
//# An endpoint MUST be capable of handling control frames in the
//# middle of a fragmented message.
//= https://www.rfc-editor.org/rfc/rfc6455#section-5.4
//= type=test
//# Message fragments MUST be delivered to the recipient in the order
//# sent by the sender.
//= https://www.rfc-editor.org/rfc/rfc6455#section-6.2
//= type=test
//# If a control frame (Section 5.5) is
//# received, the frame MUST be handled as defined by Section 5.5.
//= https://www.rfc-editor.org/rfc/rfc6455#section-6.2
//= type=test
//# Subsequent data frames MUST be interpreted as belonging to a new
//# WebSocket message.
#[test]
fn control_frames_may_stand_between_fragments() {
    let mut server = server(Config::default());
    let parts = [
        masked(0x01, b"one "),
        masked(0x89, b"ping"),
        masked(0x00, b""),
        masked(0x00, b"two "),
        masked(0x8a, b"pong"),
        masked(0x80, b"three"),
        masked(0x82, b"next"),
    ];
    feed(&mut server, &parts.concat());
    let expected = [
        Event::Ping("ping".into()),
        Event::Pong("pong".into()),
        Event::Text("one two three".into()),
        Event::Binary("next".into()),
    ];
    assert_eq!(events(&mut server), expected);
    assert_eq!(output(&mut server), frame(0x8a, b"ping"));
}

//= https://www.rfc-editor.org/rfc/rfc6455#section-5.4
//= type=test
//# The fragments of one message MUST NOT be interleaved between the
//# fragments of another message unless an extension has been
//# negotiated that can interpret the interleaving.
//= https://www.rfc-editor.org/rfc/rfc6455#section-5.4
//= type=test
//# the type for all
//# fragments in a message MUST be either text, binary, or one of the
//# reserved opcodes.
#[test]
fn a_new_message_within_a_message_is_refused() {
    for second in [0x01, 0x02, 0x81, 0x82] {
        let mut client = client(Config::default());
        feed(&mut client, &[frame(0x01, b"a"), frame(second, b"b")].concat());
        let events = events(&mut client);
        let [Event::Closed(closed)] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(closed.cause, Cause::Violation(Violation::ExpectedContinuation));
    }
}

//= https://www.rfc-editor.org/rfc/rfc6455#section-6.1
//= type=test
//# The opcode (frame-opcode) of the first frame containing the data
//# MUST be set to the appropriate value from Section 5.2 for data
//# that is to be interpreted by the recipient as text or binary data.
//= https://www.rfc-editor.org/rfc/rfc6455#section-6.1
//= type=test
//# The FIN bit (frame-fin) of the last frame containing the data MUST
//# be set to 1 as defined in Section 5.2.
//= https://www.rfc-editor.org/rfc/rfc6455#section-6.1
//= type=test
//# The frame(s) that have been formed MUST be transmitted over the
//# underlying network connection.
#[test]
fn outgoing_messages_are_cut_on_demand() {
    let mut config = Config::default();
    config.fragment_size = Some(4);
    let mut sender = server(config.clone());
    sender.send_text(Instant::ZERO, "0123456789").unwrap();
    sender.send_binary(Instant::ZERO, b"0123").unwrap();
    sender.send_binary(Instant::ZERO, b"").unwrap();
    let frames = parse(&output(&mut sender));
    let seen: Vec<_> = frames.iter().map(|frame| (frame.first, frame.payload.as_slice())).collect();
    let expected: [(u8, &[u8]); 5] = [(0x01, b"0123"), (0x00, b"4567"), (0x80, b"89"), (0x82, b"0123"), (0x82, b"")];
    assert_eq!(seen, expected);

    // The other end puts them together.
    let mut pair = Pair::new(config, Config::default());
    pair.client.send_binary(pair.now, &[9; 1001]).unwrap();
    pair.settle();
    assert_eq!(pair.server_events, [Event::Binary(vec![9; 1001].into())]);
}

#[test]
fn size_and_number_of_fragments_are_limited() {
    let mut config = Config::default();
    config.max_frame = 100;
    config.max_message = 150;
    config.max_fragments = 3;
    for (parts, expected) in [
        (vec![masked(0x82, &[0; 101])], Violation::FrameTooBig),
        (vec![masked(0x02, &[0; 100]), masked(0x80, &[0; 51])], Violation::MessageTooBig),
        (vec![masked(0x02, b""), masked(0, b""), masked(0, b""), masked(0x80, b"")], Violation::TooManyFragments),
    ] {
        let mut server = server(config.clone());
        feed(&mut server, &parts.concat());
        let events = events(&mut server);
        let [Event::Closed(closed)] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(closed.cause, Cause::Violation(expected));
    }
    let mut server = server(config);
    feed(&mut server, &[masked(0x02, &[0; 100]), masked(0x00, b""), masked(0x80, &[0; 50])].concat());
    assert_eq!(events(&mut server), [Event::Binary(vec![0; 150].into())]);
}
