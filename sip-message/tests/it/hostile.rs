//! Inputs that broke other stacks, and arbitrary damage: a typed error or the right reading, never a panic.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bytes::Bytes;
use sip_message::{
    Capabilities, Depth, FaultKind, FramingFault, Header, Message, ParserConfig, StatusCode, ValueFault, salvage,
};

const HEAD: &str = "INVITE sip:bob@biloxi.com SIP/2.0\r\n\
    Via: SIP/2.0/UDP a;branch=z9hG4bK1\r\nMax-Forwards: 70\r\nTo: <sip:bob@biloxi.com>\r\n\
    From: <sip:alice@atlanta.com>;tag=1\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n";

fn parse(text: impl AsRef<[u8]>) -> Result<Message, sip_message::ParseError> {
    Message::parse(Bytes::copy_from_slice(text.as_ref()))
}

fn with(line: &str) -> String {
    format!("{HEAD}{line}\r\n\r\n")
}

fn framing(text: impl AsRef<[u8]>) -> FramingFault {
    parse(text).unwrap_err().kind
}

#[test]
fn a_cut_head_is_no_message() {
    let whole = with("Subject: x");
    for len in 0..whole.len() {
        let fault = framing(&whole.as_bytes()[..len]);
        assert!(matches!(fault, FramingFault::TruncatedHead | FramingFault::Empty), "{len}: {fault:?}");
    }
    assert!(parse(&whole).is_ok());
}

#[test]
fn a_body_shorter_than_content_length_is_refused() {
    let error = parse(with("Content-Length: 5") + "1234").unwrap_err();
    assert_eq!((error.kind, error.header), (FramingFault::TruncatedBody, Some(Header::ContentLength)));
    assert_eq!(error.status(), Some(StatusCode::BAD_REQUEST));
    assert_eq!(parse(with("Content-Length: 5") + "12345").unwrap().body(), b"12345");
}

#[test]
fn content_length_is_digits_only_and_one() {
    for bad in ["-1", "abc", "+5", "100000000000000000000", "18446744073709551616", "", "5 5", "0x5", "5,", "5, 5"] {
        assert_eq!(framing(with(&format!("Content-Length: {bad}"))), FramingFault::ContentLength, "{bad:?}");
    }
    assert_eq!(framing(with("Content-Length: 18446744073709551615")), FramingFault::TruncatedBody);
    assert_eq!(framing(with("Content-Length: 0\r\nl: 1") + "1"), FramingFault::ContentLengthConflict);
    assert_eq!(parse(with("Content-Length: 1\r\nl: 01") + "1").unwrap().body(), b"1");
}

#[test]
fn numbers_that_overflow_are_refused() {
    let text = with("Subject: x");
    for (from, to, header) in [
        ("CSeq: 1 I", "CSeq: 4294967296 I", Header::CSeq),
        ("Forwards: 70", "Forwards: 99999999999999999999", Header::MaxForwards),
        ("UDP a;", "UDP a:65536;", Header::Via),
        ("UDP a;", "UDP a:+5;", Header::Via),
    ] {
        let fault = parse(text.replace(from, to)).unwrap().check_grammar().unwrap_err();
        assert_eq!((fault.depth, fault.header), (Depth::Grammar, Some(header)), "{to}");
    }
    assert_eq!(framing("SIP/2.0 1000 x\r\n\r\n"), FramingFault::StatusCode);
    assert_eq!(framing("SIP/2.0 099 x\r\n\r\n"), FramingFault::StatusCode);
    assert_eq!(framing("SIP/2.0 700 x\r\n\r\n"), FramingFault::StatusCode);
    assert_eq!(framing("SIP/2.0 +20 x\r\n\r\n"), FramingFault::StatusCode);
    assert!(parse(text.replace("biloxi.com SIP", "biloxi.com:65536 SIP")).unwrap().check_grammar().is_err());
}

#[test]
fn the_first_via_of_a_joined_field_is_the_topmost() {
    let text = with("Subject: x").replace("z9hG4bK1", "z9hG4bKtop, SIP/2.0/TCP b;branch=z9hG4bKlast");
    assert_eq!(parse(text).unwrap().top_via().unwrap().branch(), Ok(Some("z9hG4bKtop")));
}

#[test]
fn a_tag_in_a_display_name_is_not_the_tag() {
    let text = with("Subject: x").replace("<sip:alice@", r#""Al \";tag=evil\" <sip:e@e>;tag=evil" <sip:alice@"#);
    let message = parse(text).unwrap();
    assert_eq!(message.from().unwrap().tag(), Ok(Some("1")));
    assert_eq!(message.from().unwrap().uri_bytes(), b"sip:alice@atlanta.com");
}

#[test]
fn nul_and_other_controls_are_refused_where_they_mean_something() {
    for text in ["Call-ID: 1\0", "Call-ID: 1\u{1}", "Call-ID: \0"] {
        let message = parse(with("Subject: x").replace("Call-ID: 1", text)).unwrap();
        assert_eq!(message.call_id().unwrap_err().fault, Some(ValueFault::Character), "{text:?}");
        let fault = message.check_semantics(&Capabilities::COMMON).unwrap_err();
        assert_eq!((fault.header, fault.status), (Some(Header::CallId), Some(StatusCode::BAD_REQUEST)));
    }
    for line in ["Subject: a\0b", "X-New: a\u{7}b", "Server: \u{7f}"] {
        assert!(parse(with(line)).unwrap().check_grammar().is_err(), "{line:?}");
    }
}

#[test]
fn a_lone_cr_or_lf_is_refused_anywhere() {
    for (line, fault) in [
        ("Subject: a\rb", FramingFault::BareCr),
        ("Subject: a\nb", FramingFault::BareLf),
        ("Subject: a\r\rb", FramingFault::BareCr),
        ("Subject: a\n\rb", FramingFault::BareLf),
        ("Subject: \"a\\\rb\"", FramingFault::BareCr),
    ] {
        assert_eq!(framing(with(line)), fault, "{line:?}");
    }
    assert_eq!(framing(with("Subject: x").replace("\r\n", "\n")), FramingFault::BareLf);
    assert!(matches!(
        framing(with("Subject: x").replace("\r\n", "\r")),
        FramingFault::BareCr | FramingFault::StartLine
    ));
}

#[test]
fn limits_bound_what_is_kept() {
    let folds = |n: usize| with(&format!("Subject: x{}", "\r\n x".repeat(n)));
    assert!(parse(folds(64)).is_ok());
    assert_eq!(framing(folds(65)), FramingFault::TooManyFolds);
    assert!(matches!(framing(folds(30_000)), FramingFault::TooManyFolds | FramingFault::MessageTooLong));

    let headers = |n: usize| HEAD.to_owned() + &"X: y\r\n".repeat(n) + "\r\n";
    assert_eq!(parse(headers(250)).unwrap().headers().count(), 256);
    assert_eq!(framing(headers(251)), FramingFault::TooManyHeaders);
    assert!(matches!(framing(headers(100_000)), FramingFault::TooManyHeaders | FramingFault::MessageTooLong));

    let long = |n: usize| with(&format!("Subject: {}", "x".repeat(n)));
    assert!(parse(long(16_373)).is_ok());
    assert_eq!(framing(long(16_374)), FramingFault::HeaderTooLong);
    assert_eq!(framing(long(1 << 20)), FramingFault::MessageTooLong);
    let wide = ParserConfig { max_message_len: 1 << 22, max_header_len: usize::MAX, ..ParserConfig::default() };
    let error = Message::parse_with(long(1 << 20).into(), &wide).unwrap_err();
    assert_eq!(error.kind, FramingFault::HeaderTooLong);
    assert_eq!(parse(with(&format!("Subject: {}", "x".repeat(70_000)))).unwrap_err().status().unwrap().code(), 413);
    assert_eq!(
        parse(format!("INVITE sip:{} SIP/2.0\r\n\r\n", "x".repeat(20_000))).unwrap_err().status().unwrap().code(),
        414
    );
}

#[test]
fn sixteen_kilobytes_of_anything_are_read_to_the_end() {
    for filler in
        [",", ";", "\"", "<", "(", "\\", "=", "%", "@", ":", "[", "?", "&", "/", " ", "\\\"", "a,", "<>,", ";a=", "(\\"]
    {
        for header in Header::ALL {
            let text = with(&format!("{}: {}", header.as_str(), filler.repeat(16_000 / filler.len())));
            let Ok(message) = parse(&text) else { continue };
            let _ = message.check_grammar();
            let _ = message.check_semantics(&Capabilities::COMMON);
        }
    }
}

#[test]
fn what_browsers_and_phones_send_is_accepted() {
    for line in [
        "Contact: <sip:3bn8rg7j@0kbpk0v7q6ph.invalid;transport=ws;ob>;+sip.ice;reg-id=1;\
         +sip.instance=\"<urn:uuid:8f3a2b1c-0000-4000-8000-123456789abc>\";expires=600",
        "Contact: <sips:alice@192.0.2.1;transport=ws>",
        "Contact: <sip:+14155550100;phone-context=+1@gw.example.com;user=phone>",
        "P-Asserted-Identity: <tel:+14155550100>, \"A\" <sip:+14155550100@gw.example.com>",
        "Record-Route: <sip:[2001:db8::1]:5060;lr>",
    ] {
        let message = parse(with(line)).unwrap();
        message.check_grammar().unwrap_or_else(|fault| panic!("{line}: {fault}"));
        message.check_semantics(&Capabilities::COMMON).unwrap_or_else(|fault| panic!("{line}: {fault}"));
        for contact in message.contacts() {
            contact.unwrap().address().unwrap().uri().unwrap();
        }
    }
}

#[test]
fn faults_name_the_place() {
    let text = with("Subject: x").replace("CSeq: 1 INVITE", "CSeq: 1 INV@TE");
    let fault = parse(&text).unwrap().check_grammar().unwrap_err();
    assert_eq!((fault.kind, fault.header), (FaultKind::Value(ValueFault::Method), Some(Header::CSeq)));
    assert_eq!(fault.offset, text.find("INV@TE").unwrap());
    assert_eq!(fault.to_string(), format!("not a method (CSeq, byte {})", fault.offset));
    let error = parse(text.replace("Subject: x", "Subject x")).unwrap_err();
    assert_eq!((error.kind, error.offset), (FramingFault::HeaderName, text.find("Subject").unwrap()));
}

#[test]
fn salvage_finds_what_an_answer_needs_and_nothing_it_cannot_trust() {
    let broken = with("no colon");
    let answer = salvage(broken.as_bytes()).unwrap().response(StatusCode::BAD_REQUEST).to_tag("t").build().unwrap();
    assert_eq!(answer.top_via().unwrap().branch(), Ok(Some("z9hG4bK1")));
    assert_eq!(answer.cseq().unwrap().number, 1);
    assert!(salvage(broken.replace("INVITE", "ACK").as_bytes()).is_none());
    assert!(salvage(broken.replacen("INVITE", "ACK", 1).as_bytes()).is_none());
    assert!(salvage(b"SIP/2.0 1000 x\r\n").is_none());
    for gone in ["Via", "To", "From", "Call-ID", "CSeq"] {
        assert!(salvage(broken.replace(&format!("{gone}: "), "X: ").as_bytes()).is_none(), "{gone}");
    }
    assert!(salvage(broken.replace("Call-ID: 1", "Call-ID: 1\0").as_bytes()).is_none());
    let folded = broken.replace("Call-ID: 1", "Call-ID:\r\n 1");
    let answer = salvage(folded.as_bytes()).unwrap().response(StatusCode::BAD_REQUEST).to_tag("t").build().unwrap();
    assert_eq!(answer.call_id(), Ok("1"));
}

/// Reads everything there is to read.
fn read_all(message: &Message) {
    let _ = message.check_grammar();
    let _ = message.check_semantics(&Capabilities::COMMON);
    let _ = (message.request_uri().map(|uri| uri.is_ok()), message.reason(), message.start_line());
    let _ = (message.from().is_ok(), message.to().is_ok(), message.call_id().is_ok(), message.cseq().is_ok());
    for via in message.vias().flatten() {
        let _ = (via.branch(), via.received(), via.rport(), via.maddr(), via.ttl(), via.sent_by());
    }
    for contact in message.contacts().flatten() {
        let _ = (contact.q(), contact.expires(), contact.instance_id(), contact.reg_id());
        let _ = contact.address().map(|address| (address.uri().is_ok(), address.display_name()));
    }
    assert_eq!(message.headers().count(), message.headers().len());
}

#[test]
fn single_byte_damage_never_panics_and_untouched_bytes_stay() {
    let all = std::env::var_os("DAMAGE_ALL").is_some();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in ["tests/torture/rfc4475", "tests/torture/rfc5118/crlf", "../benches/data"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            for at in 0..bytes.len() {
                let damage = [0, b'\n', b'\r', b' ', b'"', b',', b';', b'<', b':', b'%', b'9', 0x80, 0xff];
                for (n, byte) in damage.into_iter().enumerate() {
                    // Each place is damaged in some ways, and in each way at some places. `DAMAGE_ALL=1`: in all ways everywhere.
                    if !all && (at + n) % 4 != 0 {
                        continue;
                    }
                    let mut damaged = bytes.clone();
                    damaged[at] = byte;
                    let damaged = Bytes::from(damaged);
                    let Ok(mut message) = Message::parse(damaged.clone()) else {
                        let _ = salvage(&damaged);
                        continue;
                    };
                    // The deep look at each damage of the large message takes a minute.
                    if all || at % 8 == 0 || bytes.len() < 1500 {
                        read_all(&message);
                    }
                    let sent = message.to_bytes();
                    assert!(memchr::memmem::find(&damaged, &sent).is_some());
                    if at % 8 == 0 {
                        let _ = (
                            message.push_via("SIP/2.0/UDP p;branch=z9hG4bKp"),
                            message.set_rport(1),
                            message.pop_route(),
                        );
                        let _ = (message.pop_via(), message.decrement_max_forwards());
                        assert!(Message::parse(message.to_bytes()).is_ok());
                    }
                }
            }
        }
    }
}
