//! Edits: any sequence of them on any message leaves one that reads alike in memory and on the wire.
//!
//! The input is a program, an empty byte, and a message. Of the program, each instruction is one byte that chooses an
//! edit and a line that is the value for it, which need not be a fit one.

use crate::message::read;
use bytes::Bytes;
use sip_message::{BuildError, Header, Message, ParserConfig};
use std::net::IpAddr;

/// What a program can add must not be what makes the message too long to read.
const CONFIG: ParserConfig = ParserConfig {
    max_message_len: 1 << 24,
    max_headers: 1 << 12,
    max_header_len: ParserConfig::HEADER_LEN_CEILING,
    ..ParserConfig::DEFAULT
};

/// Runs the target.
pub fn run(data: &[u8]) {
    let Some(end) = data.iter().position(|&b| b == 0) else { return };
    let Ok(mut message) = Message::parse(Bytes::copy_from_slice(&data[end + 1..])) else { return };
    for instruction in data[..end].split(|&b| b == b'\n').take(32) {
        let [edit, value @ ..] = instruction else { continue };
        let Ok(value) = std::str::from_utf8(value) else { continue };
        let before = message.to_bytes();
        match apply(&mut message, *edit, value) {
            Ok(()) => same_on_the_wire(&message),
            Err(_) => assert_eq!(message.to_bytes(), before, "an edit that failed left a mark"),
        }
    }
    read(&message);
}

/// Headers that edits add, replace and remove here. Content-Length is the body's own.
const HEADERS: [Header; 8] = [
    Header::Via,
    Header::Route,
    Header::Contact,
    Header::Subject,
    Header::From,
    Header::MaxForwards,
    Header::Allow,
    Header::UserAgent,
];

fn apply(message: &mut Message, edit: u8, value: &str) -> Result<(), BuildError> {
    let header = HEADERS[usize::from(edit >> 5)];
    match edit & 31 {
        0 => message.push(header, value),
        1 => message.push_front(header, value),
        2 => message.set(header, value),
        3 => {
            message.remove(header);
            assert!(!message.has(header));
            Ok(())
        }
        4 => message.push_via(value),
        5 => {
            let count = message.vias().count();
            assert_eq!(message.pop_via(), count > 0);
            assert_eq!(message.vias().count(), count.saturating_sub(1), "popped other than one Via");
            Ok(())
        }
        6 => message.set_received(IpAddr::from([192, 0, 2, 1])),
        7 => message.set_rport(5060),
        8 => message.decrement_max_forwards().map(|_| ()),
        9 => message.set_request_uri(value),
        10 => message.push_route(value),
        11 => {
            message.pop_route();
            Ok(())
        }
        12 => message.push_record_route(value),
        13 => message.set_body("text/plain", value.to_owned()),
        14 => {
            message.clear_body();
            Ok(())
        }
        15 => message.set_value(header, usize::from(value.len() as u8 & 3), value),
        16 => {
            let (at, count) = (value.len() & 3, message.values::<Raw>(header).count());
            assert_eq!(message.remove_value(header, at), at < count);
            Ok(())
        }
        17 => match value.split_once(':') {
            Some((name, value)) if Header::lookup(name.as_bytes()) != Some(Header::ContentLength) => {
                message.push(name, value)
            }
            _ => Ok(()),
        },
        18 => match value.split_once('=') {
            Some((name, value)) => message.set_via_param(name, value),
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

/// Any value, well formed or not: for counting them.
struct Raw;

impl sip_message::FieldValue<'_> for Raw {
    fn parse_value(_: &[u8]) -> Result<Self, sip_message::ValueError> {
        Ok(Raw)
    }
}

/// What is sent is read by the other side as we read it here.
fn same_on_the_wire(message: &Message) {
    let written = message.to_bytes();
    assert_eq!(written.len(), message.encoded_len());
    assert_eq!(message.slices().collect::<Vec<_>>().concat(), written);
    let again = match Message::parse_with(written.clone(), &CONFIG) {
        Ok(again) => again,
        Err(error) => panic!("written, but not to be read: {error}: \"{}\"", written.escape_ascii()),
    };
    assert_eq!(again.start_line(), message.start_line());
    let fields = |message: &Message| message.headers().map(|field| field.line().to_vec()).collect::<Vec<_>>();
    assert_eq!(fields(&again), fields(message));
    for &header in Header::ALL {
        assert!(again.fields(header).eq(message.fields(header)), "{header:?}");
    }
    assert_eq!(again.body(), message.body());
}
