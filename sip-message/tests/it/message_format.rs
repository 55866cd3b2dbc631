//! RFC 3261 section 7, and the parts of sections 18.3 and 20 that say what a message looks like.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bytes::Bytes;
use sip_message::{
    BuildFault, Capabilities, FaultKind, FramingFault, Header, Message, Method, NameAddr, StatusCode, StreamDecoder,
    StreamItem, ValueFault, headers::Challenge,
};

const HEAD: &str = "Via: SIP/2.0/UDP a;branch=z9hG4bK1\r\nMax-Forwards: 70\r\nTo: <sip:b@c>\r\n\
    From: <sip:a@b>;tag=1\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n";

fn parse(text: &str) -> Result<Message, sip_message::ParseError> {
    Message::parse(Bytes::copy_from_slice(text.as_bytes()))
}

fn with(lines: &str) -> Message {
    parse(&format!("OPTIONS sip:b@c SIP/2.0\r\n{HEAD}{lines}\r\n")).unwrap()
}

#[test]
fn lines_end_in_crlf_and_the_head_in_an_empty_one() {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-7
    //= type=test
    //# The start-line, each message-header line, and the empty line MUST be
    //# terminated by a carriage-return line-feed sequence (CRLF).
    let text = format!("OPTIONS sip:b@c SIP/2.0\r\n{HEAD}\r\n");
    for (at, _) in text.match_indices("\r\n") {
        let broken = format!("{}\n{}", &text[..at], &text[at + 2..]);
        assert_eq!(parse(&broken).unwrap_err().kind, FramingFault::BareLf, "{at}");
    }
    //= https://www.rfc-editor.org/rfc/rfc3261#section-7
    //= type=test
    //# Note that the empty line MUST be
    //# present even if the message-body is not.
    assert_eq!(parse(&text[..text.len() - 2]).unwrap_err().kind, FramingFault::TruncatedHead);
    let built = Message::response(&parse(&text).unwrap(), StatusCode::OK).to_tag("t").build().unwrap();
    let built = String::from_utf8(built.to_bytes().to_vec()).unwrap();
    assert_eq!(built.matches('\n').count(), built.matches("\r\n").count());
    assert!(built.ends_with("\r\n\r\n"));
}

#[test]
fn the_request_line_is_strict() {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-7.1
    //= type=test
    //# The Request-URI MUST NOT contain unescaped
    //# spaces or control characters and MUST NOT be enclosed in "<>".
    for uri in ["sip:a b@c", "<sip:b@c>", "sip:b\t@c", " sip:b@c", "sip:b@c ", "sip:b\u{1}@c"] {
        let message = parse(&format!("OPTIONS {uri} SIP/2.0\r\n{HEAD}\r\n")).unwrap();
        assert_eq!(message.check_grammar().unwrap_err().kind, FaultKind::RequestUri, "{uri:?}");
        assert!(Message::request(Method::Options, uri).build().is_err());
    }
    //= https://www.rfc-editor.org/rfc/rfc3261#section-7.1
    //= type=test
    //# The SIP-Version string is case-insensitive, but implementations MUST
    //# send upper-case.
    let mut message = parse(&format!("OPTIONS sip:b@c sip/2.0\r\n{HEAD}\r\n")).unwrap();
    assert!(message.is_version_2());
    //= https://www.rfc-editor.org/rfc/rfc3261#section-7.1
    //= type=test
    //# To be compliant with this specification, applications
    //# sending SIP messages MUST include a SIP-Version of "SIP/2.0".
    message.set_request_uri("sip:d@e").unwrap();
    assert!(message.to_bytes().starts_with(b"OPTIONS sip:d@e SIP/2.0\r\n"));
    assert!(parse(&format!("OPTIONS sip:b@c\r\n{HEAD}\r\n")).is_err());
}

#[test]
fn rows_and_commas_read_alike() {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-7.3.1
    //= type=test
    //# Implementations MUST be able to process multiple header field rows
    //# with the same name in any combination of the single-value-per-line or
    //# comma-separated value forms.
    let forms = [
        "Route: <sip:alice@atlanta.com>\r\nSubject: Lunch\r\nRoute: <sip:bob@biloxi.com>\r\nRoute: <sip:carol@chicago.com>\r\n",
        "Route: <sip:alice@atlanta.com>, <sip:bob@biloxi.com>\r\nRoute: <sip:carol@chicago.com>\r\nSubject: Lunch\r\n",
        "Subject: Lunch\r\nRoute: <sip:alice@atlanta.com>, <sip:bob@biloxi.com>,\r\n   <sip:carol@chicago.com>\r\n",
    ];
    for form in forms {
        let message = with(form);
        let routes: Vec<_> = message.values::<NameAddr<'_>>(Header::Route).map(|r| r.unwrap().uri_bytes()).collect();
        assert_eq!(routes, [&b"sip:alice@atlanta.com"[..], b"sip:bob@biloxi.com", b"sip:carol@chicago.com"]);
    }
}

#[test]
fn challenges_stay_apart_in_rows_of_their_own() {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-7.3.1
    //= type=test
    //# Multiple header field rows with these names MAY be present in a
    //# message, but since their grammar does not follow the general form
    //# listed in Section 7.3, they MUST NOT be combined into a single header
    //# field row.
    let message = with(
        "WWW-Authenticate: Digest realm=\"a\", nonce=\"1\", qop=\"auth,auth-int\"\r\n\
         WWW-Authenticate: Digest realm=\"b\", nonce=\"2\"\r\n",
    );
    let realms: Vec<_> = message
        .values::<Challenge<'_>>(Header::WwwAuthenticate)
        .map(|challenge| challenge.unwrap().realm().unwrap().unwrap().unquoted().into_owned())
        .collect();
    assert_eq!(realms, [b"a", b"b"]);
    assert_eq!(message.fields(Header::WwwAuthenticate).count(), 2);
}

#[test]
fn white_space_and_folds_mean_one_space() {
    for line in [
        "Subject:            lunch",
        "Subject      :      lunch",
        "Subject            :lunch",
        "Subject: lunch",
        "subject\t:\tlunch  ",
        "S: lunch",
        "SUBJECT:\r\n lunch",
        "s:  \r\n\t \r\n lunch",
    ] {
        assert_eq!(with(&format!("{line}\r\n")).field(Header::Subject), Some(&b"lunch"[..]), "{line:?}");
    }
}

#[test]
fn long_and_short_forms_are_the_same() {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-7.3.3
    //= type=test
    //# Implementations MUST accept both the long and short forms
    //# of each header name.
    let mut compact = 0;
    for &header in Header::ALL {
        let Some(short) = header.compact() else { continue };
        compact += 1;
        for name in [short.to_owned(), short.to_uppercase(), header.as_str().to_owned(), header.as_str().to_lowercase()]
        {
            let message = parse(&format!("OPTIONS sip:b@c SIP/2.0\r\n{name}: 0\r\n\r\n")).unwrap();
            assert_eq!(message.field(header), Some(&b"0"[..]), "{name}");
            assert_eq!(message.headers().next().unwrap().name_as_written(), name);
        }
    }
    assert_eq!(compact, 20);
    //= https://www.rfc-editor.org/rfc/rfc3261#section-7.3.3
    //= type=test
    //# A header field name MAY appear
    //# in both long and short forms within the same message.
    let message = with("v: SIP/2.0/UDP b;branch=z9hG4bK2\r\n");
    assert_eq!(message.vias().count(), 2);
}

#[test]
fn an_empty_body_has_length_zero() {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-20.14
    //= type=test
    //# If no body is present in a message, then the
    //# Content-Length header field value MUST be set to zero.
    let answer = Message::response(&with(""), StatusCode::OK).to_tag("t").build().unwrap();
    assert_eq!(answer.field(Header::ContentLength), Some(&b"0"[..]));
    //= https://www.rfc-editor.org/rfc/rfc3261#section-7.4.1
    //= type=test
    //# The Internet media type of the message body MUST be given by the
    //# Content-Type header field.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-20.15
    //= type=test
    //# The Content-Type header field MUST be present if the body is
    //# not empty.
    let answer = Message::response(&with(""), StatusCode::OK).to_tag("t").body("text/plain", "x").build().unwrap();
    assert_eq!(answer.field(Header::ContentType), Some(&b"text/plain"[..]));
    //= https://www.rfc-editor.org/rfc/rfc3261#section-20
    //= type=test
    //# If a stream-based protocol (such as TCP) is used as a
    //# transport, then the header field MUST be sent.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-20.14
    //= type=test
    //# Applications SHOULD use this field to indicate the size of the
    //# message-body to be transferred, regardless of the media type of the
    //# entity.
    assert_eq!(answer.field(Header::ContentLength), Some(&b"1"[..]));
    assert!(Message::response(&with(""), StatusCode::OK).to_tag("t").body("", "x").build().is_err());
}

#[test]
fn a_datagram_ends_where_content_length_says() {
    let text = format!("OPTIONS sip:b@c SIP/2.0\r\n{HEAD}Content-Length: 4\r\n\r\nbody and more");
    //= https://www.rfc-editor.org/rfc/rfc3261#section-18.3
    //= type=test
    //# If there are
    //# additional bytes in the transport packet beyond the end of the body,
    //# they MUST be discarded.
    let message = parse(&text).unwrap();
    assert_eq!(message.body(), b"body");
    assert!(message.to_bytes().ends_with(b"\r\n\r\nbody"));
    //= https://www.rfc-editor.org/rfc/rfc3261#section-18.3
    //= type=test
    //# If the transport packet ends before the
    //# end of the message body, this is considered an error.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-18.3
    //= type=test
    //# If the message is a response, it MUST be discarded.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-18.3
    //= type=test
    //# If the
    //# message is a request, the element SHOULD generate a 400 (Bad Request)
    //# response.
    let cut = text.replace("Length: 4", "Length: 400");
    assert_eq!(parse(&cut).unwrap_err().status(), Some(StatusCode::BAD_REQUEST));
    let response = cut.replace("OPTIONS sip:b@c SIP/2.0", "SIP/2.0 200 OK");
    let error = parse(&response).unwrap_err();
    assert_eq!((error.kind, error.status()), (FramingFault::TruncatedBody, None));
    // Without Content-Length, the body is the rest.
    assert_eq!(parse(&text.replace("Content-Length", "X-Length")).unwrap().body(), b"body and more");
}

#[test]
fn a_stream_needs_content_length_and_ignores_empty_lines() {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-7.5
    //= type=test
    //# Implementations processing SIP messages over stream-oriented
    //# transports MUST ignore any CRLF appearing before the start-line
    //# [H4.1].
    let text = format!("OPTIONS sip:b@c SIP/2.0\r\n{HEAD}Content-Length: 0\r\n\r\n");
    let mut decoder = StreamDecoder::new(sip_message::ParserConfig::default());
    decoder.push(format!("\r\n\r\n\r\n{text}").as_bytes());
    let items: Vec<_> = std::iter::from_fn(|| decoder.next_item()).map(Result::unwrap).collect();
    assert_eq!(items.len(), 4);
    //= https://www.rfc-editor.org/rfc/rfc3261#section-18.3
    //= type=test
    //# The Content-Length header field MUST be used with stream oriented
    //# transports.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-20.14
    //= type=test
    //# If a stream-based protocol (such as TCP) is used as transport,
    //# the header field MUST be used.
    decoder.push(text.replace("Content-Length: 0\r\n", "").as_bytes());
    let error = decoder.next_item().unwrap().unwrap_err();
    assert_eq!((error.error.kind, error.fatal), (FramingFault::ContentLengthMissing, true));
}

#[test]
fn sequence_numbers_fit_32_bits() {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-20.16
    //= type=test
    //# The sequence
    //# number MUST be expressible as a 32-bit unsigned integer.
    let of = |number: &str| parse(&format!("OPTIONS sip:b@c SIP/2.0\r\nCSeq: {number} OPTIONS\r\n\r\n")).unwrap();
    assert_eq!(of("4294967295").cseq().unwrap().number, u32::MAX);
    assert_eq!(of("4294967296").cseq().unwrap_err().fault, Some(ValueFault::Number));
}

#[test]
fn an_address_with_separators_needs_brackets_when_sent_too() {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-20.10
    //= type=test
    //# Even if the "display-name" is empty, the
    //# "name-addr" form MUST be used if the "addr-spec" contains a comma,
    //# semicolon, or question mark.
    let mut message = with("");
    let error = message.push(Header::Contact, "sip:a@b?Subject=x").unwrap_err();
    assert!(matches!(error.kind, BuildFault::Value(_)));
    message.push(Header::Contact, "<sip:a@b?Subject=x>").unwrap();
}

#[test]
fn a_request_gets_max_forwards_of_70() {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1.6
    //= type=test
    //# A UAC MUST insert a Max-Forwards header field into each request it
    //# originates with a value that SHOULD be 70.
    let request = Message::request(Method::Options, "sip:b@c")
        .header(Header::From, "<sip:a@b>;tag=1")
        .header(Header::To, "<sip:b@c>")
        .header(Header::CallId, "1")
        .cseq(1)
        .build()
        .unwrap();
    assert_eq!(request.max_forwards(), Ok(Some(70)));
    request.check_grammar().unwrap();
    let mut sent = request;
    sent.push_via("SIP/2.0/UDP a;branch=z9hG4bK1").unwrap();
    sent.check_semantics(&Capabilities::COMMON).unwrap();
}

#[test]
fn a_field_of_the_other_kind_of_message_is_ignored() {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-7.3.2
    //= type=test
    //# If a header field appears in a message not matching
    //# its category (such as a request header field in a response), it MUST
    //# be ignored.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-20
    //= type=test
    //# If one is placed in a
    //# request by mistake, it MUST be ignored by the UAS receiving the
    //# request.
    let request = with("Retry-After: soon\r\nWWW-Authenticate: what\r\nUnsupported: @\r\n");
    request.check_semantics(&Capabilities::COMMON).unwrap();
    let text = format!("SIP/2.0 200 OK\r\n{HEAD}Require: foo\r\nExpires: none\r\nAccept: x/y\r\nRoute: x\r\n\r\n");
    parse(&text).unwrap().check_semantics(&Capabilities::COMMON).unwrap();
}

#[test]
fn mandatory_fields_are_there() {
    for name in ["Via", "To", "From", "Call-ID", "CSeq"] {
        let text = format!("OPTIONS sip:b@c SIP/2.0\r\n{HEAD}\r\n").replace(&format!("{name}: "), "X: ");
        let request = parse(&text).unwrap();
        //= https://www.rfc-editor.org/rfc/rfc3261#section-20
        //= type=test
        //# A "mandatory" header field MUST be
        //# present in a request, and MUST be understood by the UAS receiving the
        //# request.
        let fault = request.check_semantics(&Capabilities::COMMON).unwrap_err();
        assert_eq!((fault.kind, fault.status), (FaultKind::Missing, Some(StatusCode::BAD_REQUEST)), "{name}");
        //= https://www.rfc-editor.org/rfc/rfc3261#section-20
        //= type=test
        //# A mandatory response header field MUST be present in the
        //# response, and the header field MUST be understood by the UAC
        //# processing the response.
        // Via is the transport layer's, in a request that has not left yet.
        let missing = Message::response(&request, StatusCode::OK).to_tag("t").build().err().map(|error| error.kind);
        assert_eq!(missing, (name != "Via").then_some(BuildFault::Missing), "{name}");
    }
}

#[test]
fn require_is_never_ignored() {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-20.32
    //= type=test
    //# Although an optional header field, the Require MUST NOT be
    //# ignored if it is present.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-20.32
    //= type=test
    //# Each option tag defines a SIP extension that MUST be
    //# understood to process the request.
    for line in ["Require: nothingSupportsThis\r\n", "Require:\r\nRequire: timer,x\r\n"] {
        let fault = with(line).check_semantics(&Capabilities::COMMON).unwrap_err();
        assert_eq!(fault.status, Some(StatusCode::BAD_EXTENSION), "{line}");
    }
}

#[test]
fn chunks_mean_nothing() {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-7.4.2
    //= type=test
    //# The "chunked" transfer encoding of HTTP/1.1 MUST NOT be used for SIP.
    let mut decoder = StreamDecoder::new(Default::default());
    let chunked = format!("OPTIONS sip:b@c SIP/2.0\r\n{HEAD}Transfer-Encoding: chunked\r\n");
    decoder.push(format!("{chunked}Content-Length: 6\r\n\r\n1\r\nx\r\n0\r\n\r\n").as_bytes());
    let Some(Ok(StreamItem::Message(message))) = decoder.next_item() else { panic!("a message") };
    assert_eq!(message.body(), b"1\r\nx\r\n");
    let mut decoder = StreamDecoder::new(Default::default());
    decoder.push(format!("{chunked}\r\n0\r\n\r\n").as_bytes());
    let error = decoder.next_item().unwrap().unwrap_err();
    assert_eq!((error.error.kind, error.fatal), (FramingFault::ContentLengthMissing, true));
}

#[test]
fn a_uri_with_components_its_header_should_not_have_is_read_without_them() {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.1
    //= type=test
    //# Elements processing URIs SHOULD ignore any disallowed components if
    //# they are present.
    let text = format!("OPTIONS sip:b@c SIP/2.0\r\n{HEAD}\r\n");
    let text = text.replace("<sip:b@c>", "<sip:b@c:5062;method=BYE;lr;maddr=192.0.2.1?Subject=x>");
    let request = parse(&text).unwrap();
    request.check_grammar().unwrap();
    request.check_semantics(&Capabilities::COMMON).unwrap();
}
