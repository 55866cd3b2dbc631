//! The statuses a user agent owes: one small message for each, told by `check_semantics`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bytes::Bytes;
use sip_message::{Capabilities, FaultKind, Header, Message, ValueFault};

fn request(method: &str, lines: &str, body: &str) -> Message {
    let text = format!(
        "{method} sip:bob@biloxi.com SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
         To: <sip:bob@biloxi.com>\r\nFrom: <sip:alice@atlanta.com>;tag=1\r\nCall-ID: 1\r\nCSeq: 1 {method}\r\n{lines}\r\n{body}"
    );
    Message::parse(Bytes::from(text)).unwrap()
}

fn fault(message: &Message, accepts: &Capabilities<'_>) -> Option<(FaultKind, Option<Header>, u16)> {
    let fault = message.check_semantics(accepts).err()?;
    Some((fault.kind, fault.header, fault.status.map_or(0, |status| status.code())))
}

#[test]
fn an_extension_that_is_not_supported_is_420() {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.2.3
    //= type=test
    //# If a UAS does not
    //# understand an option-tag listed in a Require header field, it MUST
    //# respond by generating a response with status code 420 (Bad
    //# Extension).
    let accepts = Capabilities { extensions: &["timer"], ..Capabilities::COMMON };
    assert_eq!(fault(&request("INVITE", "Require: Timer\r\n", ""), &accepts), None);
    let message = request("INVITE", "Require: timer\r\nRequire: 100rel, timer\r\n", "");
    assert_eq!(fault(&message, &accepts), Some((FaultKind::Extension, Some(Header::Require), 420)));
    //= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.2.3
    //= type=test
    //# Note that Require and Proxy-Require MUST NOT be used in a SIP CANCEL
    //# request, or in an ACK request sent for a non-2xx response.
    for method in ["ACK", "CANCEL"] {
        assert_eq!(fault(&request(method, "Require: 100rel\r\n", ""), &accepts), None);
    }
    let message = request("OPTIONS", "Proxy-Require: foo\r\n", "");
    assert_eq!(fault(&message, &accepts), None);
    let proxy = Capabilities { proxy_extensions: Some(&[]), ..accepts };
    assert_eq!(fault(&message, &proxy), Some((FaultKind::Extension, Some(Header::ProxyRequire), 420)));
}

/// `sent-protocol` of the grammar takes any: only who sent this to us must have spoken SIP/2.0.
#[test]
fn a_via_of_another_protocol_stands_below_the_topmost_alone() {
    let vias = |lines: &str| {
        let text = format!(
            "OPTIONS sip:bob@biloxi.com SIP/2.0\r\n{lines}\r\nTo: <sip:bob@biloxi.com>\r\n\
             From: <sip:alice@atlanta.com>;tag=1\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n"
        );
        Message::parse(Bytes::from(text)).unwrap()
    };
    for below in ["FOO/2.0/UDP b;branch=x", "SIP/3.0/QUIC b", "foo / 0 / bar b:1"] {
        for line in ["\r\nVia: ", ", "] {
            let message = vias(&format!("Via: SIP/2.0/UDP a;branch=z9hG4bK1{line}{below}"));
            assert_eq!(fault(&message, &Capabilities::COMMON), None, "{below}");
            message.check_grammar().unwrap();
            assert_eq!(message.vias().map(|via| via.unwrap().is_sip()).collect::<Vec<_>>(), [true, false]);
            assert!(message.top_via().is_ok());
        }
        let message = vias(&format!("Via: {below}, SIP/2.0/UDP a;branch=z9hG4bK1"));
        let wrong = FaultKind::Value(ValueFault::Protocol);
        assert_eq!(fault(&message, &Capabilities::COMMON), Some((wrong, Some(Header::Via), 400)));
        let error = message.top_via().unwrap_err();
        assert_eq!((error.fault, error.offset), (Some(ValueFault::Protocol), 41));
    }
}

#[test]
fn a_scheme_that_is_not_supported_is_416() {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.2.1
    //= type=test
    //# If the Request-URI uses a scheme not supported by the UAS, it SHOULD
    //# reject the request with a 416 (Unsupported URI Scheme) response.
    let mut message = request("OPTIONS", "", "");
    message.set_request_uri("tel:+15551234").unwrap();
    assert_eq!(fault(&message, &Capabilities::COMMON), None);
    let accepts = Capabilities { schemes: &["sip"], ..Capabilities::COMMON };
    assert_eq!(fault(&message, &accepts), Some((FaultKind::Scheme, None, 416)));
}

#[test]
fn a_method_that_is_not_accepted_is_405_or_501() {
    let accepts = Capabilities { methods: Some(&["INVITE"]), ..Capabilities::COMMON };
    assert_eq!(fault(&request("INVITE", "", ""), &accepts), None);
    assert_eq!(fault(&request("OPTIONS", "", ""), &accepts), Some((FaultKind::MethodNotAllowed, None, 405)));
    assert_eq!(fault(&request("invite", "", ""), &accepts), Some((FaultKind::MethodNotAllowed, None, 501)));
}

#[test]
fn a_body_that_is_not_understood_is_415_unless_optional() {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.3
    //= type=test
    //# UAS MUST reject the request with a 415 (Unsupported Media Type)
    //# response.
    let of = |lines: &str| request("INVITE", &format!("{lines}\r\n"), "x");
    let refused = Some((FaultKind::ContentType, Some(Header::ContentType), 415));
    assert_eq!(fault(&of("Content-Type: application/unknown"), &Capabilities::COMMON), refused);
    assert_eq!(fault(&of("c: Application / SDP ;x=y"), &Capabilities::COMMON), None);
    assert_eq!(fault(&of("c: Application/SDP ;x=y"), &Capabilities::COMMON), None);
    assert_eq!(fault(&of("c: multipart/anything"), &Capabilities::COMMON), None);
    let optional = "c: application/unknown\r\nContent-Disposition: signal; Handling = optional";
    assert_eq!(fault(&of(optional), &Capabilities::COMMON), None);
}

#[test]
fn an_invite_whose_answer_is_not_acceptable_is_406() {
    for (accept, refused) in [
        ("text/plain", true),
        ("text/plain, application/sdp;q=0.1", false),
        // RFC 3261 section 20.1: an empty field means that no format is acceptable.
        ("", true),
        ("application/sdp;q=0", true),
        ("application / SDP ; level=1", false),
        ("multipart/mixed", false),
        ("*/*", false),
        ("application/*", false),
    ] {
        let message = request("INVITE", &format!("Accept: {accept}\r\n"), "");
        let expected = refused.then_some((FaultKind::NotAcceptable, Some(Header::Accept), 406));
        assert_eq!(fault(&message, &Capabilities::COMMON), expected, "{accept}");
    }
}

#[test]
fn a_star_contact_stands_alone_in_a_register_that_expires() {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
    //= type=test
    //# If the request has additional Contact
    //# fields or an expiration time other than zero, the request is
    //# invalid, and the server MUST return a 400 (Invalid Request) and
    let refused = Some((FaultKind::ContactAny, Some(Header::Contact), 400));
    let of = |method: &str, lines: &str| fault(&request(method, lines, ""), &Capabilities::COMMON);
    assert_eq!(of("REGISTER", "Contact: *\r\nExpires: 0\r\n"), None);
    assert_eq!(of("REGISTER", "Contact: *\r\nExpires: 1\r\n"), refused);
    assert_eq!(of("REGISTER", "Contact: *\r\n"), refused);
    assert_eq!(of("REGISTER", "Contact: *\r\nContact: <sip:a@b>\r\nExpires: 0\r\n"), refused);
    assert_eq!(of("OPTIONS", "Contact: *\r\nExpires: 0\r\n"), refused);
}

#[test]
fn mandatory_fields_stand_once() {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1
    //= type=test
    //# A valid SIP request formulated by a UAC MUST, at a minimum, contain
    //# the following header fields: To, From, CSeq, Call-ID, Max-Forwards,
    //# and Via; all of these header fields are mandatory in all SIP
    //# requests.
    for header in [Header::Via, Header::From, Header::To, Header::CallId, Header::CSeq] {
        let mut message = request("OPTIONS", "", "");
        let value = String::from_utf8(message.field(header).unwrap().to_vec()).unwrap();
        message.remove(header);
        assert_eq!(fault(&message, &Capabilities::COMMON), Some((FaultKind::Missing, Some(header), 400)));
        message.push(header, &value).unwrap();
        assert_eq!(fault(&message, &Capabilities::COMMON), None);
        // No edit makes a second one; it comes over the wire.
        let head = message.to_bytes();
        let text = format!("{}{header}: {value}\r\n\r\n", std::str::from_utf8(&head[..head.len() - 2]).unwrap());
        let twice = Message::parse(Bytes::from(text.clone())).unwrap().check_semantics(&Capabilities::COMMON);
        if header == Header::Via {
            assert_eq!(twice, Ok(()));
        } else {
            let twice = twice.unwrap_err();
            assert_eq!((twice.kind, twice.header), (FaultKind::Repeated, Some(header)));
            assert_eq!(twice.offset, text.rfind(&value).unwrap(), "{header}");
        }
    }
}

#[test]
fn nothing_is_owed_for_a_response_or_an_ack() {
    let mut ack = request("ACK", "", "");
    ack.remove(Header::To);
    assert_eq!(fault(&ack, &Capabilities::COMMON), Some((FaultKind::Missing, Some(Header::To), 0)));
    let response = Message::parse(Bytes::from_static(b"SIP/2.0 200 OK\r\n\r\n")).unwrap();
    assert_eq!(fault(&response, &Capabilities::COMMON), Some((FaultKind::Missing, Some(Header::Via), 0)));
}
