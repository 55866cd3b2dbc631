//! Streams: any split of the bytes gives the same messages, and what cannot be read is said, not lost.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;
use sip_message::{FramingFault, Message, ParserConfig, StreamDecoder, StreamItem};

/// What a decoder returned, in a form to compare.
#[derive(Debug, PartialEq, Clone)]
enum Item {
    Message(Vec<u8>),
    Crlf(u32),
    Skipped(FramingFault, usize),
    Fatal(FramingFault, usize),
}

fn drain(decoder: &mut StreamDecoder, items: &mut Vec<Item>) {
    while let Some(item) = decoder.next_item() {
        items.push(match item {
            Ok(StreamItem::Message(message)) => Item::Message(message.to_bytes().to_vec()),
            Ok(StreamItem::Crlf { run }) => Item::Crlf(run),
            Err(error) if error.fatal => Item::Fatal(error.error.kind, error.error.offset),
            Err(error) => Item::Skipped(error.error.kind, error.error.offset),
        });
    }
}

fn decode<'a>(config: ParserConfig, chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<Item> {
    let mut decoder = StreamDecoder::new(config);
    let mut items = Vec::new();
    for chunk in chunks {
        decoder.push(chunk);
        drain(&mut decoder, &mut items);
    }
    items
}

fn message(body: &str) -> String {
    format!(
        "MESSAGE sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP a;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:b@c>\r\n\
         Call-ID: 1\r\nCSeq: 1 MESSAGE\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn taken(text: &str) -> Item {
    Item::Message(text.as_bytes().to_vec())
}

#[test]
fn messages_and_keepalives_come_in_order() {
    let (a, b) = (message("hello"), message("\r\n\r\n"));
    let stream = format!("\r\n\r\n{a}\r\n{b}{a}\r\n\r\n");
    let expected =
        [Item::Crlf(1), Item::Crlf(2), taken(&a), Item::Crlf(1), taken(&b), taken(&a), Item::Crlf(1), Item::Crlf(2)];
    assert_eq!(decode(ParserConfig::default(), [stream.as_bytes()]), expected);
    assert_eq!(decode(ParserConfig::default(), stream.as_bytes().chunks(1)), expected);
}

#[test]
fn a_message_without_content_length_ends_the_stream() {
    let stream = message("").replace("Content-Length: 0\r\n", "");
    let items = decode(ParserConfig::default(), [stream.as_bytes()]);
    assert!(matches!(items[..], [Item::Fatal(FramingFault::ContentLengthMissing, _)]), "{items:?}");
    let lenient = ParserConfig { stream_without_content_length: true, ..ParserConfig::default() };
    assert_eq!(decode(lenient, [stream.as_bytes()]), [taken(&stream)]);
}

#[test]
fn a_bad_content_length_ends_the_stream() {
    for bad in ["-1", "abc", "+5", "100000000000000000000", "5, 5", "1 2", "", "0x5", "5\r\nContent-Length: 6"] {
        let stream = message("hello").replace("Length: 5", &format!("Length: {bad}"));
        let items = decode(ParserConfig::default(), [stream.as_bytes(), message("next").as_bytes()]);
        assert!(matches!(items[..], [Item::Fatal(..)]), "{bad:?}: {items:?}");
    }
    let twice = message("hello").replace("Length: 5", "Length: 5\r\nl: 05");
    assert_eq!(decode(ParserConfig::default(), [twice.as_bytes()]), [taken(&twice)]);
}

#[test]
fn a_malformed_message_of_known_length_is_skipped() {
    let good = message("next");
    let cases = [
        (message("hello").replace("MESSAGE sip:a@b SIP/2.0", "nonsense"), FramingFault::StartLine),
        (message("hello").replace("Call-ID: 1", "no colon here"), FramingFault::HeaderName),
        (message("hello").replace("MESSAGE sip:a@b", "MESS@GE sip:a@b"), FramingFault::Method),
        (format!("SIP/2.0 1000 x\r\n{}", &message("hello")[25..]), FramingFault::StatusCode),
    ];
    for (bad, fault) in cases {
        let stream = format!("{bad}{good}");
        for size in [1, 7, stream.len()] {
            let items = decode(ParserConfig::default(), stream.as_bytes().chunks(size));
            assert_eq!(items.len(), 2, "{bad}");
            assert!(matches!(items[0], Item::Skipped(kind, _) if kind == fault), "{items:?}");
            assert_eq!(items[1], taken(&good));
        }
    }
}

#[test]
fn what_is_too_long_is_refused_before_it_is_kept() {
    let config = ParserConfig { max_message_len: 1000, ..ParserConfig::default() };
    let good = message("next");
    let big = message(&"x".repeat(3000));
    let items = decode(config.clone(), format!("{big}{good}").as_bytes().chunks(10));
    assert_eq!(items.len(), 2);
    assert!(matches!(items[0], Item::Skipped(FramingFault::MessageTooLong, _)), "{items:?}");
    assert_eq!(items[1], taken(&good));

    let huge = message("").replace("Length: 0", "Length: 18446744073709551615");
    let items = decode(config.clone(), [huge.as_bytes()]);
    assert!(matches!(items[..], [Item::Fatal(FramingFault::MessageTooLong, 1000)]), "{items:?}");

    let mut decoder = StreamDecoder::new(config);
    let mut items = Vec::new();
    for _ in 0..10_000 {
        decoder.push(b"X-Never-Ending: head\r\n");
        drain(&mut decoder, &mut items);
        assert!(decoder.buffered() <= 1022);
    }
    assert_eq!(items, [Item::Fatal(FramingFault::MessageTooLong, 1000)]);
    assert_eq!(decoder.buffered(), 0);
}

#[test]
fn a_lone_cr_or_lf_ends_the_stream() {
    for bad in ["Subject: a\rb", "Subject: a\nb", "Subject: a\n\r\nVia: b"] {
        let stream = message("hello").replace("Call-ID: 1", bad);
        let items = decode(ParserConfig::default(), [stream.as_bytes()]);
        assert!(
            matches!(items[..], [Item::Fatal(FramingFault::BareCr | FramingFault::BareLf, _)]),
            "{bad:?} {items:?}"
        );
    }
}

/// A TLS client at a plain port waits for an answer, and its stream for the end of a line.
#[test]
fn what_is_no_text_ends_the_stream_with_its_first_byte() {
    for first in [&b"\x16\x03\x01\x02"[..], b"\x16", b"\0", b"\x80", b"\xff\xff", b"\x7f"] {
        assert_eq!(decode(ParserConfig::default(), [first]), [Item::Fatal(FramingFault::StartLine, 0)], "{first:?}");
        let mut decoder = StreamDecoder::new(ParserConfig::default());
        decoder.push(first);
        let Some(Err(error)) = decoder.next_item() else { panic!("{first:?}") };
        assert_eq!((&error.head[..], error.skipped), (&first[..1], 0), "the same however it is cut");
    }
    for first in ["\r", "O", " ", "~", "{"] {
        assert_eq!(decode(ParserConfig::default(), [first.as_bytes()]), [], "{first:?}");
    }
}

/// What some put behind a body costs the message behind it, not the connection.
#[test]
fn what_is_no_text_between_messages_is_part_of_the_next_one() {
    let text = message("hello");
    let stream = [text.as_bytes(), b"\0", text.as_bytes(), text.as_bytes()].concat();
    for split in [1, 7, stream.len()] {
        let items = decode(ParserConfig::default(), stream.chunks(split));
        assert_eq!((&items[0], &items[2]), (&taken(&text), &taken(&text)), "{split}");
        assert!(matches!(items[..], [_, Item::Skipped(..), _]), "{items:?}");
    }
}

/// A peer whose lines end in LF alone learns it at the end of its first head, not when memory does; and with its head,
/// from which it can be answered.
#[test]
fn a_stream_with_lf_line_ends_is_refused_at_the_end_of_its_first_head() {
    let stream = message("hello").replace("\r\n", "\n");
    let head = stream.find("\n\n").unwrap() + 2;
    for split in [1, 7, head, stream.len()] {
        let items = decode(ParserConfig::default(), stream.as_bytes().chunks(split));
        assert_eq!(items.len(), 1, "{split}");
        assert!(matches!(items[..], [Item::Fatal(FramingFault::BareLf, _)]), "{items:?}");
    }
    let mut decoder = StreamDecoder::new(ParserConfig::default());
    decoder.push(&stream.as_bytes()[..head]);
    let Some(Err(error)) = decoder.next_item() else { panic!("no error") };
    assert_eq!(error.head, stream.as_bytes()[..head]);
    assert!(sip_message::salvage(&error.head).is_some());
    let lenient = ParserConfig { bare_lf: true, ..ParserConfig::default() };
    let items = decode(lenient, stream.as_bytes().chunks(5));
    assert!(matches!(items[..], [Item::Message(..)]), "{items:?}");
}

#[test]
fn the_head_of_a_refused_message_can_be_answered() {
    let mut decoder = StreamDecoder::new(ParserConfig::default());
    decoder.push(message("hello").replace("MESSAGE sip:a@b SIP/2.0", "MESSAGE sip:a@b").as_bytes());
    let error = decoder.next_item().unwrap().unwrap_err();
    let answer = sip_message::salvage(&error.head).unwrap().response(error.error.status().unwrap()).to_tag("t").build();
    assert_eq!(answer.unwrap().call_id(), Ok("1"));
}

fn files() -> Vec<(String, Vec<u8>)> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in
        ["tests/torture/rfc4475", "tests/torture/rfc5118/crlf", "tests/torture/rfc5118/fixed", "../benches/data"]
    {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            files.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
    assert!(files.len() > 65);
    files.sort();
    files
}

#[test]
fn no_truncation_of_a_message_is_a_message() {
    for (name, bytes) in files() {
        let Ok(message) = Message::parse(bytes.clone().into()) else { continue };
        // The one without Content-Length cannot be framed on a stream; octets behind the body are the next message.
        if !message.has(sip_message::Header::ContentLength) {
            continue;
        }
        let whole = message.to_bytes();
        let mut decoder = StreamDecoder::new(ParserConfig::default());
        for (at, byte) in whole.iter().enumerate() {
            assert!(!decoder.is_between_messages() || at == 0, "{name}");
            decoder.push(&[*byte]);
            let item = decoder.next_item();
            match item {
                None => assert!(at + 1 < whole.len(), "{name}: nothing came of the whole"),
                Some(Ok(StreamItem::Message(message))) => {
                    assert_eq!((at + 1, message.to_bytes()), (whole.len(), whole.clone()), "{name}");
                }
                Some(other) => panic!("{name} at {at}: {other:?}"),
            }
        }
        assert!(decoder.is_between_messages());
    }
}

proptest! {
    #[test]
    fn any_split_gives_the_same_items(
        picks in proptest::collection::vec(0usize..13, 1..6),
        cuts in proptest::collection::vec(1usize..200, 1..40),
        flip in proptest::option::of((0usize..2000, any::<u8>())),
        bare_lf in any::<bool>(),
    ) {
        let parts = [
            message("hello"), message(""), "\r\n".into(), "\r\n\r\n".into(), message(&"x".repeat(300)),
            message("").replace("sip:a@b SIP/2.0", ""), message("y").replace("Call-ID", "Call ID"),
            message(&"z".repeat(900)), message("").replace("CSeq", "l: 0\r\nCSeq"),
            message("x").replace("\r\n", "\n"), "\n".into(), "no message\n\n".into(), "\r".into(),
        ];
        let mut stream: Vec<u8> = picks.iter().flat_map(|&pick| parts[pick].bytes()).collect();
        if let Some((at, byte)) = flip {
            let len = stream.len();
            stream[at % len] = byte;
        }
        let config = ParserConfig { max_message_len: 1000, bare_lf, ..ParserConfig::default() };
        let mut rest = &stream[..];
        let mut chunks = Vec::new();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() { break; }
            let (chunk, tail) = rest.split_at((*cut).min(rest.len()));
            chunks.push(chunk);
            rest = tail;
        }
        prop_assert_eq!(decode(config.clone(), [&stream[..]]), decode(config, chunks));
    }
}
