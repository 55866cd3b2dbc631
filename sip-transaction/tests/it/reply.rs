//! Short answers: `reply` and `reply_with`, which make no `Message` of them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests stop at what they did not expect")]

use sip_message::headers::RetryAfter;
use sip_message::{Header, Message, StatusCode};
use sip_transaction::{Endpoint, EndpointConfig, Event, Input, Instant, SendErrorKind, ServerTxId, Transport, replay};

const OPTIONS: &[u8] =
    b"OPTIONS sip:bob@biloxi.example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1;rport\r\n\
    v: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK0\r\nMax-Forwards: 70\r\nf: Alice <sip:alice@atlanta.example.com>;tag=1\r\n\
    To: Bob <sip:bob@biloxi.example.com>\r\nCall-ID: a@b\r\nCSeq: 7 OPTIONS\r\nContent-Length: 0\r\n\r\n";

fn asked() -> (Endpoint, ServerTxId, Message) {
    let mut endpoint = Endpoint::new(EndpointConfig::default().into(), [1; 32]);
    endpoint.start_recording();
    let flow = endpoint.bind(Transport::Udp, "192.0.2.4:5060".parse().unwrap()).unwrap();
    let remote = "192.0.2.1:5060".parse().unwrap();
    endpoint.handle_input(Instant::ZERO, Input::Datagram { flow, remote, bytes: OPTIONS }).unwrap();
    match endpoint.poll_event() {
        Some(Event::Request { tx, message, .. }) => (endpoint, tx, *message),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_answer_with_fields_is_what_the_builder_would_have_made() {
    let (mut endpoint, tx, request) = asked();
    let fields = [(Header::Contact, "<sip:bob@192.0.2.4>;expires=60"), (Header::Supported, "path, outbound")];
    endpoint.reply_with(Instant::ZERO, tx, &request, StatusCode::OK, &fields).unwrap();
    let sent = Message::parse(endpoint.poll_transmit().unwrap().bytes).unwrap();
    let mut built = Message::response(&request, StatusCode::OK).to_tag(sent.to().unwrap().tag().unwrap().unwrap());
    for (header, value) in fields {
        built = built.header(header, value);
    }
    let built = built.build().unwrap();
    let fields = |message: &Message| -> Vec<(String, Vec<u8>)> {
        message.headers().map(|field| (field.name().as_str().to_owned(), field.value().to_owned())).collect()
    };
    assert_eq!(fields(&sent), fields(&built));
    assert_eq!(sent.status(), Some(StatusCode::OK));
    assert_eq!(sent.vias().count(), 2);
}

#[test]
fn a_value_that_would_end_its_line_is_refused_and_the_answer_still_owed() {
    let (mut endpoint, tx, request) = asked();
    for evil in ["x\r\nVia: y", "x\ny", "\u{7f}", "a\0"] {
        let fields = [(Header::Subject, evil)];
        let refused = endpoint.reply_with(Instant::ZERO, tx, &request, StatusCode::OK, &fields);
        assert_eq!(refused, Err(SendErrorKind::Malformed), "{evil:?}");
        assert!(endpoint.poll_transmit().is_none());
    }
    endpoint.reply(Instant::ZERO, tx, &request, StatusCode::NOT_FOUND).unwrap();
    assert!(endpoint.poll_transmit().unwrap().bytes.starts_with(b"SIP/2.0 404 Not Found\r\n"));
    let twice = endpoint.reply(Instant::ZERO, tx, &request, StatusCode::OK);
    assert_eq!(twice, Err(SendErrorKind::AlreadyAnswered));
}

/// Without it, a 503 is a 500 to its client (RFC 3261 section 21.5.4).
#[test]
fn a_503_says_when_to_come_again() {
    let (mut endpoint, tx, request) = asked();
    endpoint.reply(Instant::ZERO, tx, &request, StatusCode::SERVICE_UNAVAILABLE).unwrap();
    let sent = Message::parse(endpoint.poll_transmit().unwrap().bytes).unwrap();
    let seconds = sent.value::<RetryAfter<'_>>(Header::RetryAfter).unwrap().unwrap().seconds();
    let (least, most) = EndpointConfig::default().limits.retry_after;
    assert!((least..=most).contains(&seconds), "{seconds}");
    let recording = endpoint.take_recording().unwrap();
    replay(EndpointConfig::default().into(), [1; 32], &recording).unwrap();

    // The host's own goes in its place.
    let (mut endpoint, tx, request) = asked();
    let fields = [(Header::RetryAfter, "77")];
    endpoint.reply_with(Instant::ZERO, tx, &request, StatusCode::SERVICE_UNAVAILABLE, &fields).unwrap();
    let sent = Message::parse(endpoint.poll_transmit().unwrap().bytes).unwrap();
    assert_eq!(sent.fields(Header::RetryAfter).collect::<Vec<_>>(), [&b"77"[..]]);
}
