//! RFC 7692: permessage-deflate.
#![cfg(feature = "deflate")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers too are tests

use crate::common::{Pair, REQUEST, at, client_of, cut, events, feed, field, masked, output, parse};
use proptest::prelude::*;
use sip_ws::{
    Accept, AnswerError, Cause, ClientRequest, Config, Connection, Deflate, Event, Instant, Message, Violation,
};

/// Everything kept and compressed.
fn deflate() -> Deflate {
    let mut deflate = Deflate::default();
    deflate.min_size = 0;
    deflate.send_context = true;
    deflate.receive_context = true;
    deflate
}

fn config(deflate: Deflate) -> Config {
    let mut config = Config::default();
    config.deflate = Some(deflate);
    config
}

/// A server that was offered this, and what it answered.
fn offered(offer: &str, config: Config) -> (Connection, Option<String>) {
    let mut server = Connection::server(Instant::ZERO, config);
    let head = REQUEST.replace("\r\n\r\n", &format!("\r\nSec-WebSocket-Extensions: {offer}\r\n\r\n"));
    feed(&mut server, head.as_bytes());
    server.accept(at(0), Accept::new()).unwrap();
    let answer = field(&String::from_utf8(output(&mut server)).unwrap(), "Sec-WebSocket-Extensions");
    let _ = events(&mut server);
    (server, answer)
}

/// "Hello", compressed, as in RFC 7692 section 7.2.3.1.
const HELLO: [u8; 7] = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];

//= https://www.rfc-editor.org/rfc/rfc7692#section-6.2
//= type=test
//# An endpoint MUST use the following algorithm to receive a message in
//# the form of a compressed message.
//= https://www.rfc-editor.org/rfc/rfc7692#section-7.2.2
//= type=test
//# Otherwise, the server MUST decompress
//# each new message using the LZ77 sliding window used to process the
//# last compressed message.
//= https://www.rfc-editor.org/rfc/rfc7692#section-6.2
//= type=test
//# An endpoint MUST use the following algorithm to receive a message in the
//# form of an uncompressed message.
//= https://www.rfc-editor.org/rfc/rfc7692#section-7.2.2
//= type=test
//# Note that even if the client has included the
//# "client_no_context_takeover" extension parameter in its offer, the
//# server MUST decompress each new message using the LZ77 sliding window
//# used to process the last compressed message if the "agreed parameters"
//# don't contain the "client_no_context_takeover" extension parameter.
#[test]
fn the_examples_of_section_7_2_3() {
    let hello = [Event::Text("Hello".into())];
    let new = || offered("permessage-deflate", config(deflate())).0;
    // 7.2.3.1, in one frame and in fragments.
    let mut server = new();
    feed(&mut server, &masked(0xc1, &HELLO));
    assert_eq!(events(&mut server), hello);
    let mut server = new();
    feed(&mut server, &masked(0x41, &HELLO[..3]));
    feed(&mut server, &masked(0x80, &HELLO[3..]));
    assert_eq!(events(&mut server), hello);
    // 7.2.3.2: the window is shared with the message before.
    feed(&mut server, &masked(0xc1, &[0xf2, 0x00, 0x11, 0x00, 0x00]));
    assert_eq!(events(&mut server), hello);
    // 7.2.3.3: a block without compression.
    let mut server = new();
    feed(&mut server, &masked(0xc1, &[0, 5, 0, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0]));
    assert_eq!(events(&mut server), hello);
    // 7.2.3.4: a block with BFINAL.
    let mut server = new();
    feed(&mut server, &masked(0xc1, &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00]));
    assert_eq!(events(&mut server), hello);
    // And after it the window is still there.
    feed(&mut server, &masked(0xc1, &[0xf2, 0x00, 0x11, 0x00, 0x00]));
    assert_eq!(events(&mut server), hello);
    // 7.2.3.5: two blocks.
    let mut server = new();
    feed(&mut server, &masked(0xc1, &[0xf2, 0x48, 0x05, 0, 0, 0, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00]));
    assert_eq!(events(&mut server), hello);
    // An empty message (7.2.3.6), and an uncompressed one between compressed ones.
    feed(&mut server, &[masked(0xc1, &[0]), masked(0x81, b"plain"), masked(0xc1, &[0xf2, 0x00, 0x11, 0, 0])].concat());
    assert_eq!(events(&mut server), [Event::Text("".into()), Event::Text("plain".into()), hello[0].clone()]);
}

//= https://www.rfc-editor.org/rfc/rfc7692#section-6.1
//= type=test
//# An endpoint MUST use the following algorithm to send a message in the
//# form of a compressed message.
//= https://www.rfc-editor.org/rfc/rfc7692#section-7.2.1
//= type=test
//# Note that for non-final fragments, the removal of 0x00 0x00 0xff 0xff
//# MUST NOT be done.
#[test]
fn sent_messages_are_those_of_the_examples() {
    let (mut server, _) = offered("permessage-deflate", config(deflate()));
    server.send_text(at(0), "Hello").unwrap();
    server.send_text(at(0), "Hello").unwrap();
    let frames = parse(&output(&mut server));
    assert_eq!((frames[0].first, &frames[0].payload[..]), (0xc1, &HELLO[..]));
    assert_eq!((frames[1].first, &frames[1].payload[..]), (0xc1, &[0xf2, 0x00, 0x11, 0x00, 0x00][..]));
    // Fragments carry the bit on the first one only.
    let mut own = config(deflate());
    own.fragment_size = Some(3);
    let (mut server, _) = offered("permessage-deflate", own);
    server.send_text(at(0), "Hello").unwrap();
    server.ping(at(0), b"").unwrap();
    let firsts: Vec<_> = parse(&output(&mut server)).iter().map(|frame| frame.first).collect();
    assert_eq!(firsts, [0x41, 0x00, 0x80, 0x89]);
}

//= https://www.rfc-editor.org/rfc/rfc7692#section-7
//= type=test
//# A server MUST decline an extension negotiation offer for this
//# extension if any of the following conditions are met:
//# o  The negotiation offer contains an extension parameter not defined
//# for use in an offer.
//# o  The negotiation offer contains an extension parameter with an
//# invalid value.
//# o  The negotiation offer contains multiple extension parameters with
//# the same name.
//# o  The server doesn't support the offered configuration.
//= https://www.rfc-editor.org/rfc/rfc7692#section-5
//= type=test
//# A server declining all offered PMCEs MUST NOT include any element
//# with PMCE names.
//= https://www.rfc-editor.org/rfc/rfc7692#section-5
//= type=test
//# To accept the use of an offered PMCE, a server MUST include the
//# extension name of the PMCE in the "Sec-WebSocket-Extensions" header
//# field of its opening handshake of the WebSocket connection.
//= https://www.rfc-editor.org/rfc/rfc7692#section-7.1.2.1
//= type=test
//# This parameter has a decimal
//# integer value without leading zeroes between 8 to 15, inclusive,
//# indicating the base-2 logarithm of the LZ77 sliding window size, and
//# MUST conform to the ABNF below.
//= https://www.rfc-editor.org/rfc/rfc7692#section-7.1.2.2
//= type=test
//# If a value is specified for this parameter, the value MUST
//# conform to the ABNF below.
//= https://www.rfc-editor.org/rfc/rfc7692#section-7.1.2.2
//= type=test
//# If a received extension negotiation offer doesn't have the
//# "client_max_window_bits" extension parameter, the corresponding
//# extension negotiation response to the offer MUST NOT include the
//# "client_max_window_bits" extension parameter.
//= https://www.rfc-editor.org/rfc/rfc6455#section-9
//= type=test
//# If extension parameters are included in negotiations between the client
//# and the server, those parameters MUST be chosen in accordance with the
//# specification of the extension to which the parameters apply.
//= https://www.rfc-editor.org/rfc/rfc6455#section-9.1
//= type=test
//# Any extension-token used MUST be a registered token (see Section 11.4).
//= https://www.rfc-editor.org/rfc/rfc6455#section-9.1
//= type=test
//# The parameters supplied with any given extension MUST be defined for
//# that extension.
//= https://www.rfc-editor.org/rfc/rfc7692#section-5
//= type=test
//# The element MUST represent a PMCE that is fully supported by the server.
//= https://www.rfc-editor.org/rfc/rfc7692#section-5
//= type=test
//# A server MUST NOT accept a PMCE extension negotiation offer together
//# with another extension if the PMCE will conflict with the extension on
//# their use of the RSV1 bit.
//= https://www.rfc-editor.org/rfc/rfc7692#section-5
//= type=test
//# A server MUST NOT accept a PMCE extension negotiation offer together
//# with another extension if the PMCE will be applied to the output of the
//# extension and any of the following conditions applies to the extension:
#[test]
fn offers_and_answers() {
    let mut small = deflate();
    small.send_window_bits = 10;
    small.receive_window_bits = 9;
    let frugal = Deflate::default();
    for (own, offer, expected) in [
        (deflate(), "permessage-deflate", Some("permessage-deflate")),
        (deflate(), "x-webkit-deflate-frame, permessage-deflate", Some("permessage-deflate")),
        (deflate(), "permessage-deflate; client_max_window_bits", Some("permessage-deflate")),
        (
            deflate(),
            "permessage-deflate; server_max_window_bits=10; client_max_window_bits=12",
            Some("permessage-deflate; server_max_window_bits=10; client_max_window_bits=12"),
        ),
        (
            deflate(),
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            Some("permessage-deflate; server_no_context_takeover; client_no_context_takeover"),
        ),
        (
            deflate(),
            "permessage-deflate; server_max_window_bits=\"8\"",
            Some("permessage-deflate; server_max_window_bits=8"),
        ),
        (
            frugal,
            "permessage-deflate",
            Some("permessage-deflate; server_no_context_takeover; client_no_context_takeover"),
        ),
        (small.clone(), "permessage-deflate", Some("permessage-deflate; server_max_window_bits=10")),
        (
            small,
            "permessage-deflate; client_max_window_bits",
            Some("permessage-deflate; server_max_window_bits=10; client_max_window_bits=9"),
        ),
        // Refused, or refused for the next.
        (deflate(), "permessage-deflate; server_max_window_bits", None),
        (deflate(), "permessage-deflate; server_max_window_bits=7", None),
        (deflate(), "permessage-deflate; server_max_window_bits=16", None),
        (deflate(), "permessage-deflate; server_max_window_bits=010", None),
        (deflate(), "permessage-deflate; server_max_window_bits=1+1", None),
        (deflate(), "permessage-deflate; client_max_window_bits=0", None),
        (deflate(), "permessage-deflate; client_max_window_bits; client_max_window_bits", None),
        (deflate(), "permessage-deflate; server_no_context_takeover=1", None),
        (deflate(), "permessage-deflate; unknown", None),
        (deflate(), "PERMESSAGE-DEFLATE", None),
        (
            deflate(),
            "permessage-deflate; unknown, permessage-deflate; server_no_context_takeover",
            Some("permessage-deflate; server_no_context_takeover"),
        ),
    ] {
        let (_, answer) = offered(offer, config(own));
        assert_eq!(answer.as_deref(), expected, "{offer}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc7692#section-5
//= type=test
//# To offer use of a PMCE, a client MUST include the extension name of
//# the PMCE in the "Sec-WebSocket-Extensions" header field of its
//# opening handshake of the WebSocket connection.
//= https://www.rfc-editor.org/rfc/rfc7692#section-7
//= type=test
//# A client MUST _Fail the WebSocket Connection_ if the peer server
//# accepted an extension negotiation offer for this extension with an
//# extension negotiation response meeting any of the following
//# conditions:
//# o  The negotiation response contains an extension parameter not
//# defined for use in a response.
//# o  The negotiation response contains an extension parameter with an
//# invalid value.
//# o  The negotiation response contains multiple extension parameters
//# with the same name.
//# o  The client does not support the configuration that the response
//# represents.
//= https://www.rfc-editor.org/rfc/rfc7692#section-5
//= type=test
//# In a PMCE negotiation offer, the client MUST inform the server of its
//# LZ77 window size so that the server uses an LZ77 window size that is not
//# greater than the LZ77 window size of the client.
//= https://www.rfc-editor.org/rfc/rfc7692#section-5
//= type=test
//# A client that received a response accepting a PMCE extension negotiation
//# offer together with such an extension MUST _Fail the WebSocket
//# Connection_.
//= https://www.rfc-editor.org/rfc/rfc7692#section-5
//= type=test
//# A client that receives a response accepting a PMCE extension negotiation
//# offer together with such an extension MUST _Fail the WebSocket
//# Connection_.
//= https://www.rfc-editor.org/rfc/rfc7692#section-7.1.2.1
//= type=test
//# The "server_max_window_bits" extension parameter in an extension
//# negotiation response has a decimal integer value without leading zeroes
//# between 8 to 15, inclusive, indicating the base-2 logarithm of the LZ77
//# sliding window size, and MUST conform to the ABNF below.
//= https://www.rfc-editor.org/rfc/rfc7692#section-7.1.2.2
//= type=test
//# The "client_max_window_bits" extension parameter in an extension
//# negotiation response has a decimal integer value without leading zeroes
//# between 8 to 15 inclusive indicating the base-2 logarithm of the LZ77
//# sliding window size and MUST conform to the ABNF below.
#[test]
fn a_client_checks_what_the_server_chose() {
    let mut small = deflate();
    small.receive_window_bits = 10;
    small.send_window_bits = 9;
    let frugal = Deflate::default();
    let outcome = |own: &Deflate, answer: &str| {
        let request = ClientRequest::new("ws://server.example.com/chat".parse().unwrap());
        let mut client = Connection::client(Instant::ZERO, config(own.clone()), &request, [1; 32]).unwrap();
        let head = String::from_utf8(output(&mut client)).unwrap();
        let offer = field(&head, "Sec-WebSocket-Extensions").unwrap();
        let answer = format!(
            "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\
             Sec-WebSocket-Extensions: {answer}\r\n\r\n",
            crate::common::accept_of(&head)
        );
        feed(&mut client, answer.as_bytes());
        let result = match client.poll_event() {
            Some(Event::Open(open)) => Ok(open.deflate),
            Some(Event::Closed(closed)) => Err(closed.cause),
            other => panic!("{other:?}"),
        };
        (offer, result)
    };
    let failed = Err(Cause::BadAnswer(AnswerError::Extensions));
    let full = "permessage-deflate; client_max_window_bits";
    let none = "permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits";
    let tight = "permessage-deflate; server_max_window_bits=10; client_max_window_bits=9";
    for (own, offer, answer, expected) in [
        (&deflate(), full, "permessage-deflate", Ok(true)),
        (&deflate(), full, "permessage-deflate; client_max_window_bits=8; server_max_window_bits=8", Ok(true)),
        (&deflate(), full, "permessage-deflate; client_no_context_takeover; server_no_context_takeover", Ok(true)),
        (&deflate(), full, "permessage-deflate; client_max_window_bits", failed.clone()),
        (&deflate(), full, "permessage-deflate; client_max_window_bits=16", failed.clone()),
        (&deflate(), full, "permessage-deflate; server_max_window_bits=10; server_max_window_bits=10", failed.clone()),
        (&deflate(), full, "permessage-deflate; x=1", failed.clone()),
        (&deflate(), full, "permessage-deflate, permessage-deflate", failed.clone()),
        (&deflate(), full, "permessage-deflate, x-foo", failed.clone()),
        (&frugal, none, "permessage-deflate; server_no_context_takeover", Ok(true)),
        (&frugal, none, "permessage-deflate", failed.clone()),
        (&small, tight, "permessage-deflate; server_max_window_bits=9", Ok(true)),
        (&small, tight, "permessage-deflate; server_max_window_bits=11", failed.clone()),
        (&small, tight, "permessage-deflate", failed.clone()),
    ] {
        let (offered, result) = outcome(own, answer);
        assert_eq!(offered, offer);
        assert_eq!(result, expected, "{offer} {answer}");
    }
}

/// Bytes that refer back as far as they may.
fn sample(size: usize) -> Vec<u8> {
    let mut random = 7_u32;
    let block: Vec<u8> = (0..3000)
        .map(|_| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 24) as u8
        })
        .collect();
    block.iter().copied().cycle().take(size).collect()
}

//= https://www.rfc-editor.org/rfc/rfc7692#section-7.2.1
//= type=test
//# If the "agreed parameters" contain the "client_max_window_bits"
//# extension parameter with a value of w, the client MUST NOT use an
//# LZ77 sliding window longer than the w-th power of 2 bytes to compress
//# messages to send.
//= https://www.rfc-editor.org/rfc/rfc7692#section-7.2.1
//= type=test
//# If the "agreed parameters" contain the "server_max_window_bits"
//# extension parameter with a value of w, the server MUST NOT use an
//# LZ77 sliding window longer than the w-th power of 2 bytes to compress
//# messages to send.
//= https://www.rfc-editor.org/rfc/rfc7692#section-7.2.1
//= type=test
//# If the "agreed parameters" contain the "client_no_context_takeover"
//# extension parameter, the client MUST start compressing each new
//# message with an empty LZ77 sliding window.
//= https://www.rfc-editor.org/rfc/rfc7692#section-7.2.1
//= type=test
//# If the "agreed parameters" contain the "server_no_context_takeover"
//# extension parameter, the server MUST start compressing each new
//# message with an empty LZ77 sliding window.
//= https://www.rfc-editor.org/rfc/rfc7692#section-7.1.1.2
//= type=test
//# A client MUST support the "client_no_context_takeover" extension
//# parameter in an extension negotiation response.
//= https://www.rfc-editor.org/rfc/rfc7692#section-7.2.2
//= type=test
//# Otherwise, the client MUST decompress
//# each new message using the LZ77 sliding window used to process the
//# last compressed message.
//= https://www.rfc-editor.org/rfc/rfc7692#section-5
//= type=test
//# both endpoints MUST use the algorithm described in Section 6 and the
//# message payload transformation (compressing and decompressing) procedure
//# of the PMCE configured with the "agreed parameters" returned by the
//# server to exchange messages.
//= https://www.rfc-editor.org/rfc/rfc7692#section-7.2.1
//= type=test
//# An endpoint MUST NOT use an LZ77 sliding window longer than 32,768 bytes
//# to compress messages to send.
//= https://www.rfc-editor.org/rfc/rfc7692#section-7.2.2
//= type=test
//# Otherwise, the client MUST use a 32,768-byte LZ77 sliding window to
//# decompress received messages.
//= https://www.rfc-editor.org/rfc/rfc7692#section-7.2.2
//= type=test
//# Otherwise, the server MUST use a 32,768-byte LZ77 sliding window to
//# decompress received messages.
//= https://www.rfc-editor.org/rfc/rfc7692#section-7.2.2
//= type=test
//# Note that even if the client has included in its offer the
//# "client_max_window_bits" extension parameter with a value smaller than
//# one in the "agreed parameters", the client MUST use an LZ77 sliding
//# window of a size that conforms the "agreed parameters" to compress
//# messages to send.
#[test]
fn windows_are_kept_as_agreed() {
    let message = [sample(20_000), vec![b'x'; 500]].concat();
    for bits in 8..=15_u8 {
        for context in [false, true] {
            let mut own = deflate();
            (own.send_context, own.receive_context) = (context, context);
            (own.send_window_bits, own.receive_window_bits) = (bits, bits);
            let mut pair = Pair::new(config(own.clone()), config(own));
            for _ in 0..3 {
                pair.client.send_binary(pair.now, &message).unwrap();
                pair.server.send_binary(pair.now, &message).unwrap();
                // Nothing in the output may reach back farther than the window: an inflater of just that size says so.
                let to_server = output(&mut pair.client);
                let to_client = output(&mut pair.server);
                for bytes in [&to_server, &to_client] {
                    let frame = &parse(bytes)[0];
                    if frame.first & 0x40 != 0 {
                        let back = farthest_reference(&frame.payload);
                        assert!(back <= 1 << bits, "{bits} bits: {back}");
                    }
                }
                feed(&mut pair.server, &to_server);
                feed(&mut pair.client, &to_client);
            }
            pair.settle();
            let expected = vec![Event::Binary(message.clone().into()); 3];
            assert_eq!((&pair.server_events, &pair.client_events), (&expected, &expected), "{bits} {context}");
        }
    }
}

/// Reads DEFLATE blocks and returns the greatest distance in them.
fn farthest_reference(payload: &[u8]) -> usize {
    struct Bits<'a>(&'a [u8], usize);
    impl Bits<'_> {
        fn take(&mut self, count: usize) -> usize {
            (0..count).fold(0, |value, i| {
                let bit = self.0.get(self.1 / 8).map_or(0, |byte| usize::from(byte >> (self.1 % 8) & 1));
                self.1 += 1;
                value | bit << i
            })
        }
    }
    /// Canonical Huffman codes, slowly.
    fn codes(lengths: &[usize]) -> Vec<(usize, usize, usize)> {
        let mut code = 0;
        let mut list = Vec::new();
        for length in 1..=15 {
            for (symbol, _) in lengths.iter().enumerate().filter(|(_, own)| **own == length) {
                list.push((length, code, symbol));
                code += 1;
            }
            code <<= 1;
        }
        list
    }
    fn symbol(bits: &mut Bits<'_>, codes: &[(usize, usize, usize)]) -> usize {
        let (mut code, mut length) = (0, 0);
        loop {
            code = code << 1 | bits.take(1);
            length += 1;
            assert!(length <= 15, "no code");
            if let Some((_, _, symbol)) = codes.iter().find(|(l, c, _)| (*l, *c) == (length, code)) {
                return *symbol;
            }
        }
    }
    let distance_base = |symbol: usize| {
        if symbol < 4 { (symbol + 1, 0) } else { ((2 + symbol % 2) << (symbol / 2 - 1) | 1, symbol / 2 - 1) }
    };
    let bytes = [payload, &[0, 0, 0xff, 0xff]].concat();
    let mut bits = Bits(&bytes, 0);
    let mut farthest = 0;
    while bits.1 + 10 < bytes.len() * 8 {
        let _last = bits.take(1);
        let (literals, distances) = match bits.take(2) {
            0 => {
                bits.1 = bits.1.next_multiple_of(8);
                let len = bits.take(16);
                bits.1 += 16 + len * 8;
                continue;
            }
            1 => {
                let fixed = |i| match i {
                    0..=143 => 8,
                    144..=255 => 9,
                    256..=279 => 7,
                    _ => 8,
                };
                (codes(&(0..288).map(fixed).collect::<Vec<_>>()), codes(&[5; 30]))
            }
            _ => {
                let (hlit, hdist, hclen) = (bits.take(5) + 257, bits.take(5) + 1, bits.take(4) + 4);
                let mut lengths = [0; 19];
                for &i in [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15].iter().take(hclen) {
                    lengths[i] = bits.take(3);
                }
                let outer = codes(&lengths);
                let mut lengths = Vec::new();
                while lengths.len() < hlit + hdist {
                    let (value, repeat) = match symbol(&mut bits, &outer) {
                        16 => (*lengths.last().unwrap(), 3 + bits.take(2)),
                        17 => (0, 3 + bits.take(3)),
                        18 => (0, 11 + bits.take(7)),
                        length => (length, 1),
                    };
                    lengths.extend(std::iter::repeat_n(value, repeat));
                }
                (codes(&lengths[..hlit]), codes(&lengths[hlit..]))
            }
        };
        loop {
            match symbol(&mut bits, &literals) {
                256 => break,
                0..=255 => {}
                length => {
                    let extra = match length {
                        257..=264 | 285 => 0,
                        _ => (length - 261) / 4,
                    };
                    bits.take(extra);
                    let (base, extra) = distance_base(symbol(&mut bits, &distances));
                    let back = base + bits.take(extra);
                    farthest = farthest.max(back);
                }
            }
        }
    }
    farthest
}

#[test]
fn memory_is_freed_where_nothing_is_kept() {
    let frugal = || {
        let mut deflate = Deflate::default();
        deflate.min_size = 0;
        config(deflate)
    };
    for (own, idle) in [(frugal(), 1200), (config(deflate()), 500_000)] {
        let mut pair = Pair::new(own.clone(), own);
        assert!(pair.client.memory() < 1200, "nothing before the first message: {}", pair.client.memory());
        pair.client.send_binary(pair.now, &sample(10_000)).unwrap();
        pair.server.send_binary(pair.now, &sample(10_000)).unwrap();
        pair.settle();
        assert_eq!(pair.server_events, [Event::Binary(sample(10_000).into())]);
        assert!(pair.client.memory() < idle, "{}", pair.client.memory());
        assert!(pair.server.memory() < idle, "{}", pair.server.memory());
    }
}

//= https://www.rfc-editor.org/rfc/rfc7692#section-6.1
//= type=test
//# An endpoint MUST use the following algorithm to send a message in the
//# form of an uncompressed message.
#[test]
fn short_and_stubborn_messages_stay_as_they_are() {
    let mut own = Deflate::default();
    own.min_size = 100;
    let (mut server, _) = offered("permessage-deflate", config(own));
    server.send_binary(at(0), &[0; 99]).unwrap();
    server.send_binary(at(0), &[0; 100]).unwrap();
    server.send(at(0), Message::Binary(sample(2000).into())).unwrap();
    let firsts: Vec<_> = parse(&output(&mut server)).iter().map(|frame| frame.first).collect();
    assert_eq!(firsts, [0x82, 0xc2, 0x82]);
}

#[test]
fn a_bomb_is_refused_in_bounded_memory() {
    // 4 MiB of zeros in 4 kB: no message can be packed much closer.
    let (mut bomber, _) = offered("permessage-deflate", {
        let mut config = config(deflate());
        config.max_queued_output = usize::MAX;
        config
    });
    bomber.send_binary(at(0), &vec![0; 4 << 20]).unwrap();
    let bomb = parse(&output(&mut bomber)).remove(0).payload;
    assert!(bomb.len() < 10_000, "{}", bomb.len());
    let mut own = config(deflate());
    own.max_message = 100_000;
    let (mut server, _) = offered("permessage-deflate", own);
    let mut most = 0;
    for piece in masked(0xc2, &bomb).chunks(10) {
        feed(&mut server, piece);
        most = most.max(server.memory());
    }
    assert!(most < 300_000, "{most}");
    assert_eq!(crate::common::end(&mut server), ("message-too-big", Some(1009)));
}

#[test]
fn bad_compressed_data_is_refused() {
    for (frames, expected) in [
        (masked(0xc1, &[0xff; 20]), Violation::BadDeflate),
        (masked(0xc1, &[0x06]), Violation::BadDeflate),
        // "\xff" compressed in a text message.
        (masked(0xc1, &[0, 1, 0, 0xfe, 0xff, 0xff, 0]), Violation::InvalidUtf8),
        (masked(0xc9, b""), Violation::ReservedBits),
        ([masked(0x41, b""), masked(0xc0, b"")].concat(), Violation::ReservedBits),
        (masked(0xa1, b""), Violation::ReservedBits),
        (masked(0xe1, b""), Violation::ReservedBits),
    ] {
        let (mut server, _) = offered("permessage-deflate", config(deflate()));
        feed(&mut server, &frames);
        let Some(Event::Closed(closed)) = server.poll_event() else { panic!() };
        assert_eq!(closed.cause, Cause::Violation(expected), "{frames:x?}");
    }
}

#[test]
fn a_client_reads_what_a_server_compressed() {
    let mut client = client_of(config(deflate()), "Sec-WebSocket-Extensions: permessage-deflate\r\n");
    feed(&mut client, &crate::common::frame(0xc1, &HELLO));
    assert_eq!(events(&mut client), [Event::Text("Hello".into())]);
}

//= https://www.rfc-editor.org/rfc/rfc6455#section-9.1
//= type=test
//# Note that the client is only
//# offering to use any advertised extensions and MUST NOT use them unless the
//# server indicates that it wishes to use the extension.
#[test]
fn an_offer_that_is_not_taken_changes_nothing() {
    let mut client = client_of(config(deflate()), "");
    client.send_text(at(0), &"a".repeat(1000)).unwrap();
    assert_eq!(parse(&output(&mut client))[0].first, 0x81);
    feed(&mut client, &crate::common::frame(0xc1, &HELLO));
    let Some(Event::Closed(closed)) = client.poll_event() else { panic!() };
    assert_eq!(closed.cause, Cause::Violation(Violation::ReservedBits));
}

/// Feeds pieces to a server with compression; returns all events and all output.
fn hear(pieces: &[&[u8]], config: &Config) -> (Vec<Event>, Vec<u8>) {
    let (mut server, _) = offered("permessage-deflate", config.clone());
    let (mut seen, mut out) = (Vec::new(), Vec::new());
    for piece in pieces {
        feed(&mut server, piece);
        seen.extend(events(&mut server));
        out.extend(output(&mut server));
    }
    (seen, out)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_split_of_compressed_messages_is_the_same(
        messages in proptest::collection::vec(proptest::collection::vec(0_u8..200, 0..2000), 1..5),
        is_text: bool,
        fragment_size in proptest::option::of(1_usize..500),
        places in proptest::collection::vec(any::<usize>(), 0..20),
        damage in proptest::option::of((any::<usize>(), 1_u8..)),
    ) {
        let mut own = config(deflate());
        own.fragment_size = fragment_size;
        own.max_message = 1800;
        let mut client = client_of(own.clone(), "Sec-WebSocket-Extensions: permessage-deflate\r\n");
        for message in messages {
            if is_text {
                client.send_text(at(0), &message.iter().map(|&byte| char::from(byte)).collect::<String>()).unwrap();
            } else {
                client.send_binary(at(0), &message).unwrap();
            }
        }
        let mut bytes = output(&mut client);
        if let Some((place, change)) = damage {
            let place = place % bytes.len();
            bytes[place] ^= change;
        }
        let whole = hear(&[&bytes], &own);
        prop_assert_eq!(&hear(&cut(&bytes, &places), &own), &whole);
        prop_assert_eq!(&hear(&bytes.chunks(1).collect::<Vec<_>>(), &own), &whole);
    }
}
