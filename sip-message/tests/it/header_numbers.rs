//! Headers that are one number: their range, and what lies outside of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::header_support::{fault, request, rest_of_line};
use sip_message::headers::{DeltaSeconds, Integer};
use sip_message::{HeaderError, Message, Method, ValueFault};

type Read = fn(&Message) -> Result<Option<u32>, HeaderError>;

#[test]
fn seconds_end_at_32_bits() {
    let reads: [(&str, Read); 3] =
        [("Expires", Message::expires), ("Min-Expires", Message::min_expires), ("Flow-Timer", Message::flow_timer)];
    for (name, read) in reads {
        for (value, seconds) in [
            ("0", 0),
            ("0003600", 3600),
            ("4294967295", u32::MAX),
            ("4294967296", u32::MAX),
            ("18446744073709551616", u32::MAX),
            ("100000000000000000000000000000000000000000", u32::MAX),
        ] {
            assert_eq!(read(&request(&format!("{name}: {value}\r\n"))), Ok(Some(seconds)), "{name}: {value}");
        }
        assert_eq!(read(&request("")), Ok(None));
    }
    for (value, kind, offset) in [
        ("", ValueFault::Empty, 0),
        ("+5", ValueFault::Number, 0),
        ("-5", ValueFault::Number, 0),
        ("5 6", ValueFault::Character, 1),
        ("5;x", ValueFault::Character, 1),
        ("0x5", ValueFault::Character, 1),
        ("\u{663}", ValueFault::Number, 0),
    ] {
        assert_eq!(fault::<DeltaSeconds>(value), (kind, offset), "{value}");
    }
}

#[test]
fn counters_refuse_more_than_32_bits() {
    let reads: [(&str, Read); 4] = [
        ("RSeq", Message::rseq),
        ("Max-Breadth", Message::max_breadth),
        ("Max-Forwards", Message::max_forwards),
        ("Content-Length", |message| message.content_length()),
    ];
    for (name, read) in reads {
        assert_eq!(read(&request(&format!("{name}: 0\r\n"))), Ok(Some(0)), "{name}");
        assert_eq!(read(&request("")), Ok(None));
    }
    let reads: [(&str, Read); 2] = [("RSeq", Message::rseq), ("Max-Breadth", Message::max_breadth)];
    for (name, read) in reads {
        assert_eq!(read(&request(&format!("{name}: 4294967295\r\n"))), Ok(Some(u32::MAX)), "{name}");
        let message = request(&format!("{name}: 4294967296\r\n"));
        let error = read(&message).unwrap_err();
        assert_eq!(error.fault, Some(ValueFault::Number));
        assert_eq!(rest_of_line(&message, &error), "4294967296");
    }
    for (value, kind, offset) in
        [("", ValueFault::Empty, 0), ("+1", ValueFault::Number, 0), ("1.0", ValueFault::Character, 1)]
    {
        assert_eq!(fault::<Integer>(value), (kind, offset), "{value}");
    }
}

#[test]
fn rack_has_three_parts() {
    let message = request("RAck: 776656 1 INVITE\r\nRSeq: 988789\r\n");
    let rack = message.rack().unwrap().unwrap();
    assert_eq!((rack.rseq, rack.cseq.number, rack.cseq.method), (776_656, 1, Method::Invite));
    assert_eq!(message.rseq(), Ok(Some(988_789)));
    for value in ["776656 INVITE", "776656 1", "1 4294967296 INVITE", "1 1 INVITE x"] {
        assert!(request(&format!("RAck: {value}\r\n")).rack().is_err(), "{value}");
    }
}
