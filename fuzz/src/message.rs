//! One message: parsed, read in every way, and the lines given back byte for byte.

use bytes::Bytes;
use sip_message::{Contact, Header, Message, NameAddr, ParserConfig, Via};
use std::hint::black_box;

/// Runs the target.
pub fn run(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    let lenient = ParserConfig {
        bare_lf: true,
        missing_reason_space: true,
        stream_without_content_length: true,
        ..ParserConfig::DEFAULT
    };
    let strict = Message::parse(bytes.clone());
    if let Ok(message) = &strict {
        read(message);
        keeps_bytes(message, data);
    }
    match Message::parse_with(bytes, &lenient) {
        Ok(message) => {
            read(&message);
            keeps_bytes(&message, data);
        }
        Err(error) => {
            black_box(error.to_string());
            assert!(strict.is_err(), "a leniency made the parser refuse what it takes without");
        }
    }
}

/// Every read, on every header: they return, and what they return can be printed.
fn read(message: &Message) {
    black_box(format!("{message:?}"));
    black_box((message.start_line(), message.from().is_ok(), message.to().is_ok(), message.call_id().is_ok()));
    black_box((message.cseq().is_ok(), message.top_via().is_ok(), message.max_forwards().is_ok()));
    black_box(message.request_uri());
    for &header in Header::ALL {
        assert_eq!(message.has(header), message.fields(header).next().is_some());
        assert_eq!(message.field(header), message.fields(header).next());
        each_ends(message.values::<Via<'_>>(header));
        each_ends(message.values::<NameAddr<'_>>(header));
        each_ends(message.values::<Contact<'_>>(header));
    }
}

/// Iterates to the end, which must come: after an error too.
fn each_ends<T>(values: impl Iterator<Item = T>) {
    let limit = 1 << 20;
    assert!(values.take(limit).map(black_box).count() < limit, "an iterator without end");
}

/// The lines lie in the input one after the other, and the body behind them.
fn keeps_bytes(message: &Message, data: &[u8]) {
    let lines: Vec<u8> = message.headers().flat_map(|field| field.line().iter().copied()).collect();
    let body = message.body();
    let whole = [&lines[..], b"\r\n", body].concat();
    let lenient = [&lines[..], b"\n", body].concat();
    let found = |whole: &[u8]| data.windows(whole.len()).any(|window| window == whole);
    assert!(found(&whole) || found(&lenient), "the lines and the body are not as they came");
}
