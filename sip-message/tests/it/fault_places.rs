//! Every fault points at what is wrong: the header field, and the byte in the message.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bytes::Bytes;
use sip_message::{Capabilities, Depth, Fault, FramingFault, Header, Message, ParseError, ParserConfig};

const HEAD: &str = "INVITE sip:bob@biloxi.com SIP/2.0\r\n\
    Via: SIP/2.0/UDP a;branch=z9hG4bK1\r\nMax-Forwards: 70\r\nTo: <sip:bob@biloxi.com>\r\n\
    From: <sip:alice@atlanta.com>;tag=1\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n";

fn with(lines: &str, body: &str) -> String {
    format!("{HEAD}{lines}\r\n{body}")
}

fn parse(text: &str) -> Result<Message, ParseError> {
    Message::parse(Bytes::copy_from_slice(text.as_bytes()))
}

fn grammar(text: &str) -> Fault {
    parse(text).unwrap().check_grammar().expect_err(text)
}

fn semantics(text: &str) -> Fault {
    parse(text).unwrap().check_semantics(&Capabilities::COMMON).expect_err(text)
}

/// The fault is at `^` in `marked`, a line of header fields.
#[track_caller]
fn at(marked: &str, body: &str, check: fn(&str) -> Fault) -> Fault {
    let text = with(&marked.replace('^', ""), body);
    let fault = check(&text);
    assert_eq!(fault.offset, HEAD.len() + marked.find('^').unwrap(), "{marked}: {fault}");
    fault
}

#[test]
fn grammar_points_at_the_byte() {
    for line in [
        "Contact: <sip:a@b>;x=1;y;^X=2\r\n",
        "Contact: <sip:a@b>, <sip:c@d>;q=^soon\r\n",
        "Contact: <sip:a@b;x;y;^X>\r\n",
        "Route: ^sip:a@b\r\n",
        "v: SIP/2.0/UDP h:^70000\r\n",
        "Accept: a/b;q=^2\r\n",
        "Date: Sat, 13 Nov 2010 23:29:00 ^EST\r\n",
        "Authorization: Digest realm=\"a\",nonce=\"b\",realm=^\"c\"\r\n",
        "Supported: a,^,b\r\n",
    ] {
        let fault = at(line, "", grammar);
        assert_eq!(fault.depth, Depth::Grammar);
        assert_eq!(fault.status.map(|status| status.code()), Some(400));
    }
    let headers = format!("INVITE sip:a@b?x=y SIP/2.0\r\n{}\r\n", &HEAD[HEAD.find("Via").unwrap()..]);
    assert_eq!(grammar(&headers).offset, headers.find('?').unwrap());
}

#[test]
fn semantics_points_at_the_value() {
    for (line, status) in [
        ("Require: 100rel, ^foo\r\n", 420),
        ("Require: 100rel\r\nrequire: timer,\r\n ^bar\r\n", 420),
        ("Via: SIP/2.0/UDP b;branch=z9hG4bK2, SIP/2.0/UDP c;x;branch=^z9hG4bK\r\n", 400),
        ("Via: SIP/2.0/UDP b;branch=z9hG4bK2, ^SIP/2.0/UDP 255.255.255.255\r\n", 400),
        ("Via: SIP/2.0/UDP b, SIP/2.0/UDP c;received=^nowhere\r\n", 400),
        ("Contact: <sip:a@b>, ^*\r\nExpires: 0\r\n", 400),
        ("Subject: a\r\ns: ^b\r\n", 400),
        ("Privacy: id\r\nPrivacy: ^header\r\n", 400),
        ("Accept: ^text/plain\r\n", 406),
    ] {
        let fault = at(line, "", semantics);
        assert_eq!((fault.depth, fault.status.map(|status| status.code())), (Depth::Semantics, Some(status)), "{line}");
    }
    for (line, status) in [
        ("Content-Type: ^a/b\r\n", 415),
        ("Content-Type: application/sdp\r\nContent-Encoding: identity, ^gzip\r\n", 415),
        ("Content-Type: ^\r\n", 400),
    ] {
        let fault = at(line, "x", semantics);
        assert_eq!(fault.status.map(|status| status.code()), Some(status), "{line}");
    }
}

#[test]
fn a_body_with_a_coding_is_understood_by_who_says_so() {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.3
    //= type=test
    //# If there are any bodies whose type (indicated by the Content-Type),
    //# language (indicated by the Content-Language) or encoding (indicated by
    //# the Content-Encoding) are not understood, and that body part is not
    //# optional (as indicated by the Content-Disposition header field), the
    //# UAS MUST reject the request with a 415 (Unsupported Media Type)
    //# response.
    let message = parse(&with("Content-Type: application/sdp\r\ne: GZIP\r\n", "x")).unwrap();
    assert!(message.check_semantics(&Capabilities::COMMON).is_err());
    let accepts = Capabilities { content_encodings: &["gzip"], ..Capabilities::COMMON };
    assert_eq!(message.check_semantics(&accepts), Ok(()));
    let optional =
        with("Content-Type: a/b\r\ne: x\r\nContent-Disposition: by-reference ; handling=\"Optional\"\r\n", "x");
    assert_eq!(parse(&optional).unwrap().check_semantics(&Capabilities::COMMON), Ok(()));
}

#[test]
fn a_start_line_that_is_too_long_is_owed_414_wherever_it_begins() {
    let long = format!("OPTIONS sip:{}@b SIP/2.0\r\n\r\n", "a".repeat(20_000));
    for lead in ["", "\r\n\r\n"] {
        let error = parse(&format!("{lead}{long}")).unwrap_err();
        assert_eq!((error.kind, error.offset), (FramingFault::StartLineTooLong, lead.len()));
        assert_eq!(error.status().map(|status| status.code()), Some(414));
    }
    let long = format!("OPTIONS sip:a@b SIP/2.0\r\nSubject: {}\r\n\r\n", "a".repeat(20_000));
    let error = parse(&long).unwrap_err();
    assert_eq!((error.kind, error.offset), (FramingFault::HeaderTooLong, long.find("Subject").unwrap()));
    assert_eq!(error.status().map(|status| status.code()), Some(400));
}

#[test]
fn no_status_is_owed_for_a_response_whatever_is_wrong() {
    let config = ParserConfig { max_message_len: 100, ..ParserConfig::default() };
    let long = format!("SIP/2.0 200 {}\r\n\r\n", "a".repeat(200));
    let error = Message::parse_with(long.clone().into(), &config).unwrap_err();
    assert_eq!((error.kind, error.response, error.status()), (FramingFault::MessageTooLong, true, None));
    let error = Message::parse_with(long.replace("SIP/2.0 200", "A sip:a").into(), &config).unwrap_err();
    assert_eq!(error.status().map(|status| status.code()), Some(413));
    for text in [
        "SIP/2.0 99 x\r\n\r\n",
        "sip/2.0 200 OK\r\nx\r\n\r\n",
        "SIP/2.0 200 OK\r\nl: 1\r\n\r\n",
        "SIP/2.0 200 O\rK\r\n\r\n",
    ] {
        assert_eq!(parse(text).unwrap_err().status(), None, "{text:?}");
    }
    assert_eq!(parse("").unwrap_err().status(), None);
    assert_eq!(parse("\r\n\r\n").unwrap_err().kind, FramingFault::Empty);
}

#[test]
fn only_the_faulty_field_is_named() {
    let fault = semantics(&with("Replaces: a\r\nReplaces: b\r\n", ""));
    assert_eq!(fault.header, Some(Header::Replaces));
    assert_eq!(fault.to_string(), format!("the header field stands more than once (Replaces, byte {})", fault.offset));
}
