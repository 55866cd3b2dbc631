//! Shared by the tests of the typed header reads: messages around header lines, and where faults point.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use bytes::Bytes;
use sip_message::{FieldValue, HeaderError, Message, ValueError, ValueFault};

/// A request with these header lines (each ends in CRLF) between its first and its last.
pub(crate) fn request(lines: &str) -> Message {
    let text =
        format!("INVITE sip:bob@biloxi.com SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\n{lines}X-Last: x\r\n\r\n");
    Message::parse(Bytes::from(text)).unwrap()
}

/// What is wrong with `value` for `T`, and where.
pub(crate) fn fault<'a, T: FieldValue<'a> + std::fmt::Debug>(value: &'a str) -> (ValueFault, usize) {
    let error = T::parse_value(value.as_bytes()).expect_err(value);
    (error.kind, error.offset)
}

/// What is wrong, and where.
pub(crate) fn place<T: std::fmt::Debug>(result: Result<T, ValueError>) -> (ValueFault, usize) {
    let error = result.unwrap_err();
    (error.kind, error.offset)
}

/// `value` read as `T`.
pub(crate) fn read<'a, T: FieldValue<'a>>(value: &'a str) -> T {
    T::parse_value(value.as_bytes()).expect(value)
}

/// The rest of the line in `message` that `error` points into.
pub(crate) fn rest_of_line(message: &Message, error: &HeaderError) -> String {
    let bytes = message.to_bytes();
    let text = std::str::from_utf8(&bytes).unwrap();
    text[error.offset..].split("\r\n").next().unwrap().to_owned()
}
