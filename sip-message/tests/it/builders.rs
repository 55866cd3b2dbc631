//! Builders: what they write, and that nothing malformed comes out of them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bytes::Bytes;
use proptest::prelude::*;
use sip_message::{
    BuildFault, Capabilities, FieldValue as _, Header, HeaderName, Message, Method, NameAddr, ParserConfig,
    RequestBuilder, StatusCode,
};

fn invite() -> RequestBuilder {
    Message::request(Method::Invite, "sip:bob@biloxi.com")
        .header(Header::Via, "SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bKkjshdyff")
        .header(Header::Route, "<sip:p1.example.com;lr>")
        .header(Header::Route, "<sip:p2.example.com;lr>")
        .header(Header::To, "Bob <sip:bob@biloxi.com>")
        .header(Header::From, "Alice <sip:alice@atlanta.com>;tag=88sja8x")
        .header(Header::CallId, "987asjd97y7atg")
        .cseq(986759)
}

fn received(message: &Message) -> Message {
    let again = Message::parse(message.to_bytes()).unwrap();
    again.check_grammar().unwrap();
    again.check_semantics(&Capabilities::COMMON).unwrap();
    again
}

fn lines(message: &Message) -> Vec<String> {
    let text = String::from_utf8(message.to_bytes().to_vec()).unwrap();
    text.split("\r\n").map(str::to_owned).collect()
}

#[test]
fn a_request_stands_in_the_order_of_the_calls() {
    let message = invite().header("Subject", "lunch").body("application/sdp", "v=0\r\n").build().unwrap();
    assert_eq!(
        lines(&received(&message)),
        [
            "INVITE sip:bob@biloxi.com SIP/2.0",
            "Via: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bKkjshdyff",
            "Route: <sip:p1.example.com;lr>",
            "Route: <sip:p2.example.com;lr>",
            "To: Bob <sip:bob@biloxi.com>",
            "From: Alice <sip:alice@atlanta.com>;tag=88sja8x",
            "Call-ID: 987asjd97y7atg",
            "CSeq: 986759 INVITE",
            "Subject: lunch",
            "Content-Type: application/sdp",
            "Max-Forwards: 70",
            "Content-Length: 5",
            "",
            "v=0",
            "",
        ]
    );
}

#[test]
fn ack_repeats_the_invite_and_the_to_of_the_response() {
    let invite = invite().header("Require", "100rel").header("Subject", "lunch").build().unwrap();
    let response = Message::response(&invite, StatusCode::BUSY_HERE).to_tag("99sa0xk").build().unwrap();
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.3
    //= type=test
    //# The ACK MUST contain a single Via header field, and
    //# this MUST be equal to the top Via header field of the original
    //# request.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.3
    //= type=test
    //# If the INVITE request whose response is being acknowledged had Route
    //# header fields, those header fields MUST appear in the ACK.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.3
    //= type=test
    //# The CSeq header field in the ACK MUST contain the same
    //# value for the sequence number as was present in the original request,
    //# but the method parameter MUST be equal to "ACK".
    assert_eq!(
        lines(&received(&invite.ack(&response).unwrap())),
        [
            "ACK sip:bob@biloxi.com SIP/2.0",
            "Via: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bKkjshdyff",
            "Route: <sip:p1.example.com;lr>",
            "Route: <sip:p2.example.com;lr>",
            "From: Alice <sip:alice@atlanta.com>;tag=88sja8x",
            "To: Bob <sip:bob@biloxi.com>;tag=99sa0xk",
            "Call-ID: 987asjd97y7atg",
            "CSeq: 986759 ACK",
            "Max-Forwards: 70",
            "Content-Length: 0",
            "",
            "",
        ]
    );
}

#[test]
fn cancel_repeats_the_invite_and_its_top_via_alone() {
    let mut invite = invite().build().unwrap();
    invite.push_via("SIP/2.0/TCP p.example.com;branch=z9hG4bKtop, SIP/2.0/UDP second;branch=z9hG4bK2").unwrap();
    let cancel = received(&invite.cancel().unwrap());
    //= https://www.rfc-editor.org/rfc/rfc3261#section-9.1
    //= type=test
    //# A CANCEL constructed by a client MUST have only a single Via header
    //# field value matching the top Via value in the request being
    //# cancelled.
    assert_eq!(cancel.vias().count(), 1);
    assert_eq!(cancel.field(Header::Via), Some(&b"SIP/2.0/TCP p.example.com;branch=z9hG4bKtop"[..]));
    //= https://www.rfc-editor.org/rfc/rfc3261#section-9.1
    //= type=test
    //# The Request-URI, Call-ID, To, the numeric part of CSeq, and From header
    //# fields in the CANCEL request MUST be identical to those in the
    //# request being cancelled, including tags.
    for header in [Header::CallId, Header::To, Header::From] {
        assert_eq!(cancel.field(header), invite.field(header));
    }
    assert_eq!(cancel.request_uri_bytes(), invite.request_uri_bytes());
    assert_eq!((cancel.cseq().unwrap().number, cancel.cseq().unwrap().method), (986_759, Method::Cancel));
    //= https://www.rfc-editor.org/rfc/rfc3261#section-9.1
    //= type=test
    //# If the request being cancelled contains a Route header field, the
    //# CANCEL request MUST include that Route header field's values.
    assert_eq!(cancel.routes().count(), 2);
}

#[test]
fn headers_in_a_request_uri_are_not_built_but_kept_in_a_cancel() {
    let uri = "sip:bob@biloxi.com?Subject=x";
    let fault = Message::request(Method::Invite, uri).build().unwrap_err();
    assert_eq!(fault.kind, BuildFault::Uri { offset: 18 });
    let bytes = invite().build().unwrap().to_bytes();
    let text = String::from_utf8(bytes.to_vec()).unwrap().replacen("sip:bob@biloxi.com", uri, 1);
    let odd = Message::parse(Bytes::from(text)).unwrap();
    assert_eq!(odd.cancel().unwrap().request_uri_bytes(), Some(uri.as_bytes()));
}

#[test]
fn a_response_repeats_what_it_must() {
    let mut request = invite().header(Header::Timestamp, "54.2").build().unwrap();
    request.push_via("SIP/2.0/TCP p.example.com;branch=z9hG4bKtop").unwrap();
    let ringing = Message::response(&request, StatusCode::RINGING)
        .to_tag("8321234356")
        .reason("Klingelt \u{2026}")
        .header(Header::Contact, "<sip:bob@192.0.2.4>")
        .build()
        .unwrap();
    //= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.6.2
    //= type=test
    //# The From field of the response MUST equal the From header field of
    //# the request.  The Call-ID header field of the response MUST equal the
    //# Call-ID header field of the request.  The CSeq header field of the
    //# response MUST equal the CSeq field of the request.  The Via header
    //# field values in the response MUST equal the Via header field values
    //# in the request and MUST maintain the same ordering.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.6.2
    //= type=test
    //# the UAS MUST add
    //# a tag to the To header field in the response
    assert_eq!(
        lines(&received(&ringing)),
        [
            "SIP/2.0 180 Klingelt \u{2026}",
            "Via: SIP/2.0/TCP p.example.com;branch=z9hG4bKtop",
            "Via: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bKkjshdyff",
            "From: Alice <sip:alice@atlanta.com>;tag=88sja8x",
            "To: Bob <sip:bob@biloxi.com>;tag=8321234356",
            "Call-ID: 987asjd97y7atg",
            "CSeq: 986759 INVITE",
            "Contact: <sip:bob@192.0.2.4>",
            "Content-Length: 0",
            "",
            "",
        ]
    );
    //= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.6.1
    //= type=test
    //# When a 100 (Trying) response is generated, any Timestamp header field
    //# present in the request MUST be copied into this 100 (Trying)
    //# response.
    let trying = Message::response(&request, StatusCode::TRYING).build().unwrap();
    assert_eq!(trying.field(Header::Timestamp), Some(&b"54.2"[..]));
    assert_eq!(trying.to().unwrap().tag(), Ok(None));
}

#[test]
fn the_tag_of_a_request_within_a_dialog_stays() {
    let request = invite().build().unwrap();
    let ok = Message::response(&request, StatusCode::OK).to_tag("theirs").build().unwrap();
    let mut bye = invite().build().unwrap();
    bye.set(Header::To, ok.to().unwrap().tag().unwrap().map(|tag| format!("<sip:bob@biloxi.com>;tag={tag}")).unwrap())
        .unwrap();
    //= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.6.2
    //= type=test
    //# If a request contained a To tag in the request, the To header field
    //# in the response MUST equal that of the request.
    let answer = Message::response(&bye, StatusCode::OK).to_tag("other").build().unwrap();
    assert_eq!(answer.field(Header::To), bye.field(Header::To));
    assert_eq!(Message::response(&bye, StatusCode::OK).build().unwrap().field(Header::To), bye.field(Header::To));
}

#[test]
fn a_tag_goes_behind_a_to_that_is_folded_or_compact() {
    let text = "OPTIONS sip:b@c SIP/2.0\r\nv: SIP/2.0/UDP a;branch=z9hG4bK1\r\nt: Bob\r\n <sip:b@c>  \r\n\
        f: <sip:a@b>;tag=1\r\ni: x\r\nCSeq: 1 OPTIONS\r\n\r\n";
    let request = Message::parse(Bytes::from_static(text.as_bytes())).unwrap();
    let answer = Message::response(&request, StatusCode::OK).to_tag("t").header("X-Y", "y").build().unwrap();
    let again = received(&answer);
    assert_eq!(again.to().unwrap().tag(), Ok(Some("t")));
    assert_eq!(again.call_id(), Ok("x"));
    assert_eq!(again.field("X-Y"), Some(&b"y"[..]));
}

#[test]
fn what_is_missing_or_too_much_is_told() {
    let base = || Message::request(Method::Options, "sip:a@b");
    let kind = |builder: RequestBuilder| builder.build().map_err(|error| (error.kind, error.header)).unwrap_err();
    assert_eq!(kind(base()), (BuildFault::Missing, Some(Header::From)));
    assert_eq!(kind(invite().header(Header::CallId, "again")), (BuildFault::Repeated, Some(Header::CallId)));
    assert_eq!(kind(invite().cseq(1)), (BuildFault::Repeated, Some(Header::CSeq)));
    assert_eq!(kind(invite().header(Header::ContentLength, 0)).0, BuildFault::Repeated);
    assert_eq!(kind(invite().body("a/b", "").body("a/b", "")).0, BuildFault::Repeated);
    assert_eq!(kind(Message::request(Method::Other("A B"), "sip:a@b")).0, BuildFault::Method);
    assert!(matches!(kind(Message::request(Method::Options, "sip:a@b c")).0, BuildFault::Uri { .. }));
    let mismatch = Message::request(Method::Options, "sip:a@b")
        .header("From", "<sip:a@b>;tag=1")
        .header("To", "<sip:a@b>")
        .header("Call-ID", "1")
        .header("CSeq", "1 INVITE");
    //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1.5
    //= type=test
    //# The method MUST match that of the request.
    assert_eq!(kind(mismatch), (BuildFault::MethodMismatch, Some(Header::CSeq)));
    //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1.3
    //= type=test
    //# The From field MUST contain a new "tag" parameter, chosen by the UAC.
    for untagged in ["<sip:a@b>", "sip:a@b;x=y", "\"tag=1\" <sip:a@b;tag=1>"] {
        let address = NameAddr::parse_value(untagged.as_bytes()).unwrap();
        let base =
            Message::request(Method::Options, "sip:a@b").header("To", "<sip:a@b>").header("Call-ID", "1").cseq(1);
        let missing = (BuildFault::MissingFromTag, Some(Header::From));
        assert_eq!(kind(base.clone().header("f", untagged)), missing, "{untagged}");
        assert_eq!(kind(base.clone().address(Header::From, &address, None)), missing, "{untagged}");
        // What another has sent is passed on as it is.
        let text = format!("OPTIONS sip:a@b SIP/2.0\r\nFrom: {untagged}\r\nMax-Forwards: 300\r\n\r\n");
        let theirs = Message::parse(Bytes::from(text)).unwrap();
        base.copy_all(&theirs, Header::From).copy_all(&theirs, Header::MaxForwards).build().unwrap();
    }
    invite().header(Header::MaxForwards, 255).build().unwrap();
    for hops in [256, u32::MAX] {
        let wrong = kind(invite().header(Header::MaxForwards, hops));
        assert!(matches!(wrong, (BuildFault::Value(_), Some(Header::MaxForwards))), "{wrong:?}");
    }
    let request = invite().build().unwrap();
    let untagged = Message::response(&request, StatusCode::OK).build().unwrap_err();
    assert_eq!(untagged.kind, BuildFault::MissingToTag);
    assert!(Message::response(&request, StatusCode::OK).to_tag("a b").build().is_err());
    assert!(Message::response(&request, StatusCode::OK).to_tag("a").reason("x\r\ny").build().is_err());
    let response = Message::response(&request, StatusCode::OK).to_tag("a").build().unwrap();
    assert!(Message::response(&response, StatusCode::OK).to_tag("a").build().is_err());
    assert!(response.cancel().is_err());
}

#[test]
fn a_known_name_given_as_text_is_held_to_its_grammar() {
    let name = HeaderName::Other("content-length");
    assert_eq!(invite().header(name, "99").build().unwrap_err().kind, BuildFault::Repeated);
    assert!(matches!(
        invite().header(HeaderName::Other("v"), "SIP/2.0").build().unwrap_err().kind,
        BuildFault::Value(_)
    ));
    let message = invite().header(HeaderName::Other("SUBJECT"), "lunch").build().unwrap();
    assert_eq!(message.field(HeaderName::Other("s")), Some(&b"lunch"[..]));
    assert_eq!(HeaderName::Other("v"), HeaderName::Known(Header::Via));
    let options = Message::request(Method::Other("OPTIONS"), "sip:a@b");
    let options = options.header("f", "<sip:a@b>;tag=1").header("t", "<sip:a@b>").header("i", "1").cseq(1).build();
    assert_eq!(options.unwrap().method(), Some(Method::Options));
}

#[test]
fn a_copied_content_length_is_refused() {
    let other = invite().body("text/plain", "longer than nothing").build().unwrap();
    let length = other.headers().find(|field| field.name() == Header::ContentLength.into()).unwrap();
    assert_eq!(invite().copy(&length).build().unwrap_err().kind, BuildFault::Repeated);
    assert_eq!(invite().copy_all(&other, Header::ContentLength).build().unwrap_err().kind, BuildFault::Repeated);
    let response = Message::response(&other, StatusCode::OK).to_tag("1").copy(&length);
    assert_eq!(response.build().unwrap_err().kind, BuildFault::Repeated);
}

#[test]
fn lines_that_came_with_lf_alone_are_answered_with_crlf() {
    let text = "OPTIONS sip:a@b SIP/2.0\nv: SIP/2.0/UDP a\n ;branch=z9hG4bK1\nTo:\n <sip:a@b>\nFrom: <sip:c@d>;tag=1\n\
        Call-ID: 1\nCSeq: 1 OPTIONS\n\n";
    let config = ParserConfig { bare_lf: true, ..ParserConfig::default() };
    let request = Message::parse_with(Bytes::from_static(text.as_bytes()), &config).unwrap();
    let response = received(&Message::response(&request, StatusCode::OK).to_tag("x").build().unwrap());
    assert_eq!(response.field(Header::To), Some(&b"<sip:a@b>;tag=x"[..]));
    assert_eq!(response.top_via().unwrap().branch(), Ok(Some("z9hG4bK1")));
    assert_eq!(response.call_id(), Ok("1"));
}

#[test]
fn a_sequence_number_is_below_2_31_when_sent_and_repeated_as_it_is() {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1.5
    //= type=test
    //# The sequence number value MUST be expressible as a 32-bit unsigned integer
    //# and MUST be less than 2**31.
    let of = |number: u32| {
        Message::request(Method::Options, "sip:bob@biloxi.com")
            .header(Header::From, "<sip:a@b>;tag=1")
            .header(Header::To, "<sip:bob@biloxi.com>")
            .header(Header::CallId, "1")
            .cseq(number)
            .build()
    };
    assert_eq!(of((1 << 31) - 1).unwrap().cseq().unwrap().number, (1 << 31) - 1);
    for number in [1 << 31, u32::MAX] {
        let error = of(number).unwrap_err();
        assert_eq!(error.header, Some(Header::CSeq));
        assert!(matches!(error.kind, BuildFault::Value(_)), "{error}");
    }
    // A proxy cancels what it has forwarded.
    let text = invite().build().unwrap().to_bytes();
    let text = String::from_utf8(text.to_vec()).unwrap().replace("CSeq: 986759 ", "CSeq: 4294967295 ");
    let cancel = Message::parse(text.into()).unwrap().cancel().unwrap();
    assert_eq!(cancel.cseq().unwrap().number, u32::MAX);
}

/// The Via of an INVITE that came in, of any spelling, leaves in its CANCEL and ACK with the same meaning.
#[test]
fn the_via_of_a_follow_up_is_that_of_the_invite() {
    let of = |line: &[u8]| {
        let mut text = b"INVITE sip:bob@biloxi.com SIP/2.0\r\n".to_vec();
        text.extend_from_slice(line);
        text.extend_from_slice(
            b"\r\nTo: <sip:bob@biloxi.com>\r\nFrom: <sip:a@b>;tag=1\r\nCall-ID: 1\r\nCSeq: 7 INVITE\r\n\r\n",
        );
        Message::parse(text.into()).unwrap().cancel()
    };
    for (line, value) in [
        (
            &b"v: SIP/2.0/UDP a;branch=z9hG4bK1;x=\"y, z\", SIP/2.0/UDP b"[..],
            &b"SIP/2.0/UDP a;branch=z9hG4bK1;x=\"y, z\""[..],
        ),
        (b"Via: SIP/2.0/UDP a\r\n ;branch=z9hG4bK1\r\n\t,SIP/2.0/UDP b", b"SIP/2.0/UDP a ;branch=z9hG4bK1"),
        (b"Via: SIP/2.0/UDP a;branch=z9hG4bK1;x=\"\xe9\xff\"", b"SIP/2.0/UDP a;branch=z9hG4bK1;x=\"\xe9\xff\""),
    ] {
        let cancel = of(line).unwrap();
        assert_eq!(cancel.fields(Header::Via).collect::<Vec<_>>(), [value]);
        assert_eq!(cancel.top_via().unwrap().branch(), Ok(Some("z9hG4bK1")));
        cancel.check_grammar().unwrap();
        assert_eq!(Message::parse(cancel.to_bytes()).unwrap().field(Header::Via), Some(value));
    }
    // No request goes out with a Via that cannot be read.
    for line in [&b"Via: SIP/2.0/UDP a;;x"[..], b"Via: nonsense", b"Via: SIP/2.0/UDP a;branch=\"\x01\"", b"X: y"] {
        assert!(of(line).is_err(), "{}", line.escape_ascii());
    }
}

#[test]
fn ack_and_cancel_follow_an_invite_alone() {
    let invite = invite().build().unwrap();
    for (status, fits) in [(StatusCode::RINGING, false), (StatusCode::OK, false), (StatusCode::BUSY_HERE, true)] {
        let response = Message::response(&invite, status).to_tag("1").build().unwrap();
        assert_eq!(invite.ack(&response).is_ok(), fits, "{status}");
    }
    assert_eq!(invite.ack(&invite).unwrap_err().kind, BuildFault::NotApplicable);
    let bye = Message::request(Method::Bye, "sip:bob@biloxi.com")
        .copy_all(&invite, Header::Via)
        .copy_all(&invite, Header::From)
        .copy_all(&invite, Header::To)
        .copy_all(&invite, Header::CallId)
        .cseq(2)
        .build()
        .unwrap();
    let refused = Message::response(&bye, StatusCode::BUSY_HERE).to_tag("1").build().unwrap();
    //= https://www.rfc-editor.org/rfc/rfc3261#section-9.1
    //= type=test
    //# A CANCEL request SHOULD NOT be sent to cancel a request other than
    //# INVITE.
    assert_eq!(bye.cancel().unwrap_err().kind, BuildFault::NotApplicable);
    assert_eq!(bye.ack(&refused).unwrap_err().kind, BuildFault::NotApplicable);
    assert_eq!(refused.cancel().unwrap_err().kind, BuildFault::NotApplicable);
}

proptest! {
    /// Whatever the order of a request's fields, and whatever stands between them, its response has them as they came.
    #[test]
    fn a_response_has_the_fields_of_its_request(
        fields in Just(vec![
            "Via: SIP/2.0/UDP one;branch=z9hG4bK1", "v: SIP/2.0/UDP two;branch=z9hG4bK2", "From: <sip:a@b>;tag=1", "t:<sip:c@d>",
            "Call-ID : x@y", "CSeq: 7 OPTIONS", "Max-Forwards: 70", "Subject: a\r\n b",
        ]).prop_shuffle(),
        count in 6usize..9,
        ending in prop::sample::select(&["\r\n", "\n"][..]),
    ) {
        let mut chosen: Vec<&str> = fields.clone();
        // The second Via and the fields no response has may be away.
        let spare = ["v:", "Max", "Subject"];
        for away in spare.iter().take(9 - count) {
            chosen.retain(|field| !field.starts_with(away));
        }
        let text = format!("OPTIONS sip:c@d SIP/2.0\r\n{}{ending}\r\n", chosen.join(ending));
        let request = Message::parse_with(text.into(), &ParserConfig { bare_lf: true, ..ParserConfig::default() }).unwrap();
        let response = Message::response(&request, StatusCode::OK).to_tag("2").build().unwrap();
        let again = Message::parse(response.to_bytes()).unwrap();
        for header in [Header::Via, Header::From, Header::CallId, Header::CSeq] {
            prop_assert!(again.fields(header).eq(request.fields(header)), "{header}");
            prop_assert!(response.fields(header).eq(request.fields(header)), "{header}");
        }
        prop_assert_eq!(again.field(Header::To), Some(&b"<sip:c@d>;tag=2"[..]));
        prop_assert_eq!(again.fields(Header::MaxForwards).count() + again.fields("Subject").count(), 0);
    }

    /// Whatever text is given for a name, a value, a URI or a body: either it is refused, or what is sent reads as one
    /// message with just those fields.
    #[test]
    fn no_value_breaks_out_of_its_line(
        name in "[ -~\r\n\t]{0,12}|X-[A-Za-z]{1,8}",
        value in "[ -~\r\n\t\u{0}\u{7f}\u{e9}\"]{0,40}",
        uri in "sip:[ -~\r\n]{0,20}",
        body in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let built = Message::request(Method::Info, &uri)
            .header(Header::From, "<sip:a@b>;tag=1")
            .header(Header::To, "<sip:a@b>")
            .header(Header::CallId, "1")
            .header(name.as_str(), &value)
            .cseq(1)
            .body("application/x", body.clone())
            .build();
        if let Ok(built) = built {
            let again = Message::parse(built.to_bytes()).unwrap();
            prop_assert_eq!(again.headers().count(), 8);
            prop_assert_eq!(again.request_uri_bytes(), Some(uri.as_bytes()));
            prop_assert_eq!(again.field(name.as_str()), built.field(name.as_str()));
            prop_assert_eq!(again.field(name.as_str()), Some(value.trim_matches([' ', '\t']).as_bytes()));
            prop_assert_eq!(again.body(), &body[..]);
            again.check_grammar().unwrap();
        }
    }
}
