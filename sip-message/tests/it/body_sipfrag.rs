//! Fragments of messages (RFC 3420).

#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use sip_message::body::{BodyFault, SipFrag};
use sip_message::{Header, HeaderName, Message, Method, StartLine, StatusCode};

fn fragment(text: &str) -> SipFrag<'_> {
    let fragment = SipFrag::parse(text.as_bytes()).unwrap();
    fragment.check().unwrap();
    fragment
}

#[test]
fn valid_examples_of_rfc_3420() {
    let request = fragment("INVITE sip:alice@atlanta.com SIP/2.0\r\n");
    assert_eq!(
        request.start_line(),
        Some(StartLine::Request { method: Method::Invite, uri: b"sip:alice@atlanta.com" })
    );
    assert_eq!(request.status(), None);
    assert_eq!(fragment("SIP/2.0 603 Declined\r\n").status(), Some(StatusCode::DECLINE));

    let register = fragment(
        "REGISTER sip:atlanta.com SIP/2.0\r\nTo: sip:alice@atlanta.com\r\n\
         Contact: <sip:alicepc@atlanta.com>;q=0.9,\r\n         <sip:alicemobile@atlanta.com>;q=0.1\r\n",
    );
    assert_eq!(register.fields().count(), 2);
    let response =
        fragment("SIP/2.0 400 Bad Request\r\nWarning: 399 atlanta.com \"Your Event header field was malformed\"\r\n");
    assert!(response.fields().field(Header::Warning).unwrap().starts_with(b"399 "));

    let fields = fragment(
        "From: Alice <sip:alice@atlanta.com>\r\nTo: Bob <sip:bob@biloxi.com>\r\n\
         Contact: <sip:alice@pc33.atlanta.com>\r\nDate: Thu, 21 Feb 2002 13:02:03 GMT\r\n\
         Call-ID: a84b4c76e66710\r\nCseq: 314159 INVITE\r\n",
    );
    assert!(fields.start_line().is_none() && fields.fields().count() == 6);

    let with_body = fragment("Content-Type: text/plain\r\nContent-Length: 11\r\n\r\nHi There!\r\n");
    assert_eq!(with_body.body(), b"Hi There!\r\n");
}

#[test]
fn what_stands_on_the_wire() {
    // Without a line end, with an empty line, without a reason phrase.
    for text in ["SIP/2.0 100 Trying", "SIP/2.0 100 Trying\r\n\r\n", "SIP/2.0 100 \r\n", "sip/2.0 100 Trying\r\n"] {
        let fragment = fragment(text);
        assert_eq!((fragment.status(), fragment.body()), (Some(StatusCode::TRYING), &b""[..]), "{text:?}");
    }
    assert_eq!(fragment("SIP/2.0 200 OK\r\nTo: <sip:a@b>").fields().field("to"), Some(&b"<sip:a@b>"[..]));
    assert_eq!(fragment("").fields().count(), 0);
    let cut = fragment("Content-Type: text/plain\r\nContent-Length: 2\r\n\r\nHi There!\r\n");
    assert_eq!(cut.body(), b"Hi");
}

#[test]
fn invalid_examples_of_rfc_3420() {
    for text in ["INVITE\r\n", "INVITE sip:alice@atlanta.com SIP/1.09\r\n", "SIP/2.0\r\n", "404 Not Found\r\n", "\n"] {
        assert_eq!(SipFrag::parse(text.as_bytes()).unwrap_err().kind, BodyFault::StartLine, "{text:?}");
    }
    for text in [
        "INVITE sip:alice@atlanta.com SIP/2.0\r\nVia: SIP/2.0/UDP ;branch=z9hG4bK29342a\r\n",
        "INVITE sip:alice@atlanta.com SIP/2.0\r\nTo: <>;tag=39234\r\n",
        "INVITE sip:alice@atlanta.com SIP/2.0\r\nCall-ID: this is invalid\r\n",
        "INVITE sip:alice@atlanta.com SIP/2.0\r\nFrom: <sip:bob@biloxi.com>;tag=z9hG4bK2912;tag=z9hG4bK99234\r\n",
    ] {
        assert!(SipFrag::parse(text.as_bytes()).unwrap().check().is_err(), "{text:?}");
    }
    let error = SipFrag::parse(b"MESSAGE sip:alice@atlanta.com SIP/2.0\r\nHi There!\r\n").unwrap_err();
    assert_eq!((error.kind, error.offset), (BodyFault::Field, 39));
}

#[test]
fn a_body_needs_its_fields() {
    //= https://www.rfc-editor.org/rfc/rfc3420#section-2
    //= type=test
    //# If the message/sipfrag part contains a body, it MUST also contain the
    //# appropriate header fields describing that body (such as Content-
    //# Length) as required by Section 7.4 of [1] and the null-line
    //# separating the header from the body.
    for (text, header) in [
        ("SIP/2.0 200 OK\r\n\r\nx", Header::ContentType),
        ("SIP/2.0 200 OK\r\nContent-Type: text/plain\r\n\r\nx", Header::ContentLength),
        ("SIP/2.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nx", Header::ContentLength),
    ] {
        assert_eq!(SipFrag::parse(text.as_bytes()).unwrap().check().unwrap_err().header, header, "{text:?}");
    }
}

#[test]
fn a_fragment_of_a_message() {
    let message = Message::parse(Bytes::from_static(
        b"SIP/2.0 486 Busy Here\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nWarning: 399 a \"b\"\r\nContent-Length: 0\r\n\r\n",
    ))
    .unwrap();
    assert_eq!(SipFrag::of(&message, |_| false), "SIP/2.0 486 Busy Here\r\n");
    let bytes = SipFrag::of(&message, |header| header == Header::Warning);
    assert_eq!(bytes, "SIP/2.0 486 Busy Here\r\nWarning: 399 a \"b\"\r\n");
    let read = SipFrag::parse(&bytes).unwrap();
    read.check().unwrap();
    assert_eq!(read.fields().next().unwrap().name(), HeaderName::Known(Header::Warning));
}
