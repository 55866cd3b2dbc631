//! Edits: what changes, and that nothing else does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bytes::Bytes;
use sip_message::{BuildFault, Header, HeaderName, Message, Method, ParserConfig, StatusCode};

const INVITE: &str = "INVITE sip:bob@biloxi.com SIP/2.0\r\n\
    v: SIP/2.0/UDP bigbox3.site3.atlanta.com;branch=z9hG4bK77ef4c2312983.1 ,  SIP/2.0/UDP \r\n \
    pc33.atlanta.com;branch=z9hG4bK776asdhds;received=192.0.2.1\r\n\
    MAX-FORWARDS : 70\r\n\
    Route: <sip:p1.example.com;lr>,<sip:p2.example.com;lr> , <sip:p3.example.com;lr>\r\n\
    X-Odd:\tkept,  as   it \"is\r\n\
    To: Bob <sip:bob@biloxi.com>\r\n\
    From: Alice <sip:alice@atlanta.com>;tag=1928301774\r\n\
    Call-ID: a84b4c76e66710@pc33.atlanta.com\r\n\
    CSeq: 314159 INVITE\r\n\
    Content-Type: text/plain\r\n\
    Content-Length: 4\r\n\r\nbody";

fn invite() -> Message {
    Message::parse(Bytes::from_static(INVITE.as_bytes())).unwrap()
}

fn text(message: &Message) -> String {
    let bytes = message.to_bytes();
    let mut written = Vec::new();
    message.write_to(&mut written);
    assert_eq!(written, bytes);
    assert_eq!(message.encoded_len(), bytes.len());
    // Whatever an edit did, the outcome is a message that reads the same.
    let again = Message::parse(bytes.clone()).unwrap();
    assert_eq!(again.headers().count(), message.headers().count());
    for (held, read) in message.headers().zip(again.headers()) {
        assert_eq!((held.name(), held.value(), held.line()), (read.name(), read.value(), read.line()));
    }
    assert_eq!(again.body(), message.body());
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn an_untouched_message_is_one_slice_of_what_came() {
    let message = invite();
    let slices: Vec<_> = message.slices().collect();
    assert_eq!(slices, [INVITE.as_bytes()]);
    let bytes = Bytes::from_static(INVITE.as_bytes());
    assert_eq!(Message::parse(bytes.clone()).unwrap().to_bytes().as_ptr(), bytes.as_ptr());
}

#[test]
fn a_pushed_via_comes_first_and_leaves_the_rest() {
    let mut message = invite();
    message.push_via("SIP/2.0/TCP p.example.com;branch=z9hG4bKnew").unwrap();
    assert_eq!(text(&message), INVITE.replace("v: ", "Via: SIP/2.0/TCP p.example.com;branch=z9hG4bKnew\r\nv: "));
    assert_eq!(message.top_via().unwrap().branch(), Ok(Some("z9hG4bKnew")));
    assert!(message.pop_via());
    assert_eq!(text(&message), INVITE);
}

#[test]
fn popping_via_takes_one_value_of_a_joined_field() {
    let mut message = invite();
    assert!(message.pop_via());
    assert_eq!(message.vias().count(), 1);
    assert_eq!(message.top_via().unwrap().branch(), Ok(Some("z9hG4bK776asdhds")));
    assert!(
        text(&message)
            .contains("\r\nv: SIP/2.0/UDP \r\n pc33.atlanta.com;branch=z9hG4bK776asdhds;received=192.0.2.1\r\n")
    );
    assert!(message.pop_via());
    assert!(!message.has(Header::Via));
    assert!(!message.pop_via());
    assert!(message.top_via().is_err());
}

#[test]
fn received_and_rport_are_added_or_replaced_in_place() {
    let mut message = invite();
    message.set_received("2001:db8::1".parse().unwrap()).unwrap();
    message.set_rport(5062).unwrap();
    message.set_received("192.0.2.9".parse().unwrap()).unwrap();
    let via = message.top_via().unwrap();
    assert_eq!(via.received(), Ok(Some("192.0.2.9".parse().unwrap())));
    assert_eq!(via.rport(), Ok(Some(Some(5062))));
    assert!(text(&message).contains(";branch=z9hG4bK77ef4c2312983.1;received=192.0.2.9;rport=5062 ,  SIP/2.0/UDP"));
    assert_eq!(message.vias().count(), 2);
}

#[test]
fn an_empty_rport_is_filled() {
    let text = INVITE.replace("z9hG4bK77ef4c2312983.1 ", "1;rport;x=y ");
    let mut message = Message::parse(Bytes::from(text)).unwrap();
    message.set_rport(4000).unwrap();
    assert!(
        message
            .field(Header::Via)
            .unwrap()
            .starts_with(b"SIP/2.0/UDP bigbox3.site3.atlanta.com;branch=1;rport=4000;x=y ,")
    );
}

#[test]
fn max_forwards_counts_down_to_zero() {
    let mut message = invite();
    assert_eq!(message.decrement_max_forwards(), Ok(69));
    assert_eq!(text(&message), INVITE.replace("MAX-FORWARDS : 70", "Max-Forwards: 69"));
    message.set(Header::MaxForwards, 0).unwrap();
    assert_eq!(message.decrement_max_forwards().unwrap_err().kind, BuildFault::TooManyHops);
    message.remove(Header::MaxForwards);
    //= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
    //= type=test
    //# If the copy does not contain a Max-Forwards header field, the
    //# proxy MUST add one with a field value, which SHOULD be 70.
    assert_eq!(message.decrement_max_forwards(), Ok(70));
    assert_eq!(message.max_forwards(), Ok(Some(70)));
}

#[test]
fn routes_are_popped_from_the_front_whatever_their_field() {
    let mut message = invite();
    message.push_route("<sip:p0.example.com;lr>").unwrap();
    let mut seen = Vec::new();
    while let Some(route) = message.routes().next() {
        seen.push(String::from_utf8(route.unwrap().uri_bytes().to_vec()).unwrap());
        assert!(message.pop_route());
        text(&message);
    }
    assert_eq!(seen, [0, 1, 2, 3].map(|n| format!("sip:p{n}.example.com;lr")));
    assert!(!message.has(Header::Route));
}

#[test]
fn any_value_of_a_list_can_go_or_change() {
    let mut message = invite();
    message.set_value(Header::Route, 1, "<sip:new.example.com;lr>").unwrap();
    assert!(
        text(&message)
            .contains("Route: <sip:p1.example.com;lr>,<sip:new.example.com;lr> , <sip:p3.example.com;lr>\r\n")
    );
    assert!(message.remove_value(Header::Route, 2));
    assert!(text(&message).contains("Route: <sip:p1.example.com;lr>,<sip:new.example.com;lr>"));
    assert_eq!(message.routes().count(), 2);
    assert!(!message.remove_value(Header::Route, 2));
    assert_eq!(message.set_value(Header::Route, 2, "<sip:x>").unwrap_err().kind, BuildFault::NotApplicable);
}

#[test]
fn a_record_route_stands_behind_via_or_before_the_others() {
    let mut message = invite();
    //= https://www.rfc-editor.org/rfc/rfc3261#section-7.3.1
    //= type=test
    //# However, it is RECOMMENDED that header fields which are
    //# needed for proxy processing (Via, Route, Record-Route, Proxy-Require,
    //# Max-Forwards, and Proxy-Authorization, for example) appear towards
    //# the top of the message to facilitate rapid parsing.
    message.push_record_route("<sip:p2.example.com;lr>").unwrap();
    message.push_record_route("<sip:p1.example.com;lr>").unwrap();
    let line =
        "received=192.0.2.1\r\nRecord-Route: <sip:p1.example.com;lr>\r\nRecord-Route: <sip:p2.example.com;lr>\r\nMAX";
    assert!(text(&message).contains(line));
}

#[test]
fn the_request_uri_is_replaced_and_checked() {
    let mut message = invite();
    message.set_request_uri("sips:bob@192.0.2.4:5061").unwrap();
    assert_eq!(text(&message), INVITE.replace("sip:bob@biloxi.com SIP", "sips:bob@192.0.2.4:5061 SIP"));
    assert_eq!(message.method(), Some(Method::Invite));
    for bad in ["", "sip:", "sip:a b", "sip:a\r\nX: y", "<sip:a>", "bob"] {
        assert!(message.set_request_uri(bad).is_err(), "{bad:?}");
    }
    assert_eq!(message.request_uri_bytes(), Some(&b"sips:bob@192.0.2.4:5061"[..]));
    message.set_request_uri("tel:+15551234").unwrap();
    assert_eq!(message.request_uri_bytes(), Some(&b"tel:+15551234"[..]));
    let mut response = Message::response(&invite(), StatusCode::TRYING).build().unwrap();
    assert_eq!(response.set_request_uri("sip:a@b").unwrap_err().kind, BuildFault::NotApplicable);
}

#[test]
fn a_new_body_brings_its_length() {
    let mut message = invite();
    message.set_body("application/sdp", "v=0\r\n").unwrap();
    assert_eq!(
        text(&message),
        INVITE.replace("text/plain", "application/sdp").replace("Length: 4\r\n\r\nbody", "Length: 5\r\n\r\nv=0\r\n")
    );
    message.clear_body();
    assert_eq!(message.field(Header::ContentLength), Some(&b"0"[..]));
    assert!(!message.has(Header::ContentType));
    assert!(text(&message).ends_with("Content-Length: 0\r\n\r\n"));
}

#[test]
fn a_content_length_is_added_where_there_was_none() {
    let bytes = INVITE.replace("Content-Length: 4\r\n", "").replace("MAX", "Max");
    let mut message = Message::parse(Bytes::from(bytes)).unwrap();
    message.replace_body(Bytes::from_static(b"longer body")).unwrap();
    assert!(text(&message).ends_with("Content-Length: 11\r\n\r\nlonger body"));
}

#[test]
fn set_keeps_the_place_and_drops_the_repeats() {
    let mut message = invite();
    message.push("X-Odd", "second").unwrap();
    message.push("x-other", "1").unwrap();
    message.set("x-odd", "one").unwrap();
    assert_eq!(message.fields("X-Odd").collect::<Vec<_>>(), [b"one"]);
    assert!(text(&message).contains(
        "Route: <sip:p1.example.com;lr>,<sip:p2.example.com;lr> , <sip:p3.example.com;lr>\r\nx-odd: one\r\nTo:"
    ));
    assert!(message.remove("X-OTHER"));
    assert!(!message.remove("X-OTHER"));
}

#[test]
fn an_edit_that_fails_changes_nothing() {
    let mut message = invite();
    message.push("X-First", "1").unwrap();
    let before = text(&message);
    for value in ["a\r\nb", "a\rb", "a\nb", "a\0b", "a\u{7f}b", "\"open"] {
        assert!(message.push("X-New", value).is_err(), "{value:?}");
        assert!(message.set(Header::Subject, value.replace('"', "\0")).is_err());
        assert!(message.push_via(value).is_err());
        assert!(message.set_via_param("x", value).is_err());
        assert!(message.set_value(Header::Route, 0, value).is_err());
        assert!(message.set_body(value, "x").is_err());
    }
    for (name, value) in
        [("x\r", "1"), ("x\r\n ", "1"), ("x ", "1"), ("", "1"), ("x;y", "1"), ("x", "1;branch=z9hG4bKevil")]
    {
        assert!(message.set_via_param(name, value).is_err(), "{name:?} {value:?}");
    }
    for uri in ["sip:a@b?Subject=x", "sip:a@b c", "<sip:a@b>", "sip:a@b\r\nX: y", ""] {
        assert!(message.set_request_uri(uri).is_err(), "{uri:?}");
    }
    for name in ["", "A B", "A:", "A\r\n"] {
        assert_eq!(message.push(name, "x").unwrap_err().kind, BuildFault::Name, "{name:?}");
    }
    assert_eq!(message.push("X-Long", "x".repeat(70_000)).unwrap_err().kind, BuildFault::TooLong);
    assert_eq!(text(&message), before);
}

#[test]
fn content_length_is_that_of_the_body_and_there_once() {
    let mut message = invite();
    assert_eq!(message.push(Header::ContentLength, 4).unwrap_err().kind, BuildFault::Repeated);
    assert_eq!(message.push_front("l", 4).unwrap_err().kind, BuildFault::Repeated);
    assert_eq!(message.set("CONTENT-LENGTH", 5).unwrap_err().kind, BuildFault::LengthMismatch);
    assert_eq!(message.set(HeaderName::Other("l"), 3).unwrap_err().kind, BuildFault::LengthMismatch);
    assert_eq!(message.set_value(Header::ContentLength, 0, 0).unwrap_err().kind, BuildFault::LengthMismatch);
    let copy = invite();
    let length = copy.headers().last().unwrap();
    assert_eq!(message.push_field(&length).unwrap_err().kind, BuildFault::Repeated);
    assert_eq!(text(&message), INVITE);
    message.set(Header::ContentLength, 4).unwrap();
    assert!(message.remove(HeaderName::Other("l")));
    message.push(Header::ContentLength, 4).unwrap();
    assert_eq!(text(&message), INVITE);
}

#[test]
fn a_header_that_stands_once_is_pushed_once() {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-7.3.1
    //= type=test
    //# Multiple header field rows with the same field-name MAY be present in
    //# a message if and only if the entire field-value for that header field
    //# is defined as a comma-separated list (that is, if follows the grammar
    //# defined in Section 7.3).
    let once = [
        ("From", "<sip:a@b>;tag=2"),
        ("t", "<sip:a@b>"),
        ("CALL-ID", "2"),
        ("CSeq", "2 INVITE"),
        ("Max-Forwards", "5"),
        ("c", "text/html"),
        ("Expires", "5"),
        ("User-Agent", "x"),
        ("s", "x"),
        ("Event", "presence"),
        ("r", "<sip:a@b>"),
        ("Replaces", "a;to-tag=1;from-tag=2"),
        ("x", "90"),
        ("Privacy", "id"),
        ("Date", "Sat, 13 Nov 2010 23:29:00 GMT"),
        ("RAck", "1 1 INVITE"),
        ("SIP-If-Match", "x"),
        ("Subscription-State", "active"),
    ];
    for (name, value) in once {
        let mut message = invite();
        if !message.has(name) {
            message.push(name, value).unwrap();
        }
        let before = text(&message);
        let error = message.push(name, value).unwrap_err();
        assert_eq!((error.kind, error.header), (BuildFault::Repeated, HeaderName::from(name).known()), "{name}");
        assert_eq!(message.push_front(HeaderName::Other(name), value).unwrap_err().kind, BuildFault::Repeated);
        let copy = message.clone();
        let field = copy.headers().find(|field| field.name() == HeaderName::from(name)).unwrap();
        assert_eq!(message.push_field(&field).unwrap_err().kind, BuildFault::Repeated, "{name}");
        assert_eq!(text(&message), before, "{name}");
        message.set(name, value).unwrap();
        assert_eq!(message.fields(name).count(), 1);
    }
    let mut message = invite();
    for (name, value) in
        [("Contact", "<sip:a@b>"), ("Warning", "399 a \"b\""), ("Authorization", "Basic eA=="), ("X-A", "b")]
    {
        message.push(name, value).unwrap();
        message.push(name, value).unwrap();
        assert_eq!(message.fields(name).count(), 2);
    }
}

#[test]
fn the_empty_line_that_was_missing_is_there_when_the_message_leaves() {
    let head = &INVITE.as_bytes()[..INVITE.len() - "Content-Length: 4\r\n\r\nbody".len()];
    let config = ParserConfig { missing_empty_line: true, ..ParserConfig::default() };
    let mut message = Message::parse_with(Bytes::from_static(head), &config).unwrap();
    assert_eq!(text(&message).as_bytes(), [head, b"\r\n"].concat());
    message.set_body("text/plain", "new").unwrap();
    assert!(text(&message).ends_with("Content-Type: text/plain\r\nContent-Length: 3\r\n\r\nnew"));
    message.clear_body();
    assert!(text(&message).ends_with("Content-Length: 0\r\n\r\n"));
}

#[test]
fn a_removed_value_leaves_no_white_space_behind() {
    let came =
        "OPTIONS sip:a@b SIP/2.0\r\nRoute: <sip:a>\r\n , <sip:b>\r\nSupported:\r\nk: x\r\nVia: SIP/2.0/UDP a\r\n\r\n";
    let mut message = Message::parse(Bytes::from(came)).unwrap();
    assert!(message.remove_value(Header::Route, 1));
    assert!(text(&message).contains("\r\nRoute: <sip:a>\r\nSupported"));
    // The empty list is no value.
    message.set_value(Header::Supported, 0, "y").unwrap();
    assert!(text(&message).contains("Supported:\r\nk: y\r\n"));
}

#[test]
fn a_via_parameter_has_the_form_of_its_name() {
    let mut message = invite();
    for (name, value) in [("ttl", "256"), ("rport", "65536"), ("received", "b"), ("branch", "\"x\""), ("maddr", "a_b/")]
    {
        assert!(matches!(message.set_via_param(name, value).unwrap_err().kind, BuildFault::Value(_)), "{name}");
    }
    assert_eq!(text(&message), INVITE);
    message.set_via_param("ttl", 255).unwrap();
    assert_eq!(message.top_via().unwrap().ttl(), Ok(Some(255)));
}

#[test]
fn the_source_is_set_as_its_parts_are() {
    // Parameters before and behind, of any kind, in the topmost Via and in one that shares its line.
    let params = [
        "",
        ";rport",
        ";received",
        ";RPort=1",
        ";Received=x",
        ";a",
        ";a=\"b;rport;c\\\"\"",
        " ; rport = 7 ",
        "\r\n ;b",
        ";;",
        ";=",
    ];
    let address = ["192.0.2.255", "0.0.0.0", "10.9.100.1", "2001:db8::1"].map(|text| text.parse().unwrap());
    let ports = [0, 9, 5060, 65535];
    let mut turn = 0;
    for a in params {
        for b in params {
            for c in params {
                for after in ["", ", SIP/2.0/UDP b;rport", " ,\r\n SIP/2.0/TCP c"] {
                    let text = INVITE
                        .replace(";branch=z9hG4bK77ef4c2312983.1 ,  SIP/2.0/UDP", &format!("{a}{b}{c}{after}\r\nX: "));
                    assert_ne!(text, INVITE);
                    let Ok(message) = Message::parse(Bytes::from(text)) else { continue };
                    turn += 1;
                    let (received, rport) = (address[turn % 4], ports[turn / 4 % 4]);
                    for (with_received, with_rport) in [(true, true), (true, false), (false, true), (false, false)] {
                        let (received, rport) = (with_received.then_some(received), with_rport.then_some(rport));
                        let (mut one, mut by_parts) = (message.clone(), message.clone());
                        let set = one.set_source(received, rport);
                        let parts = [
                            received.map_or(Ok(()), |ip| by_parts.set_via_param("received", ip)),
                            rport.map_or(Ok(()), |port| by_parts.set_via_param("rport", port)),
                        ];
                        assert_eq!(set.is_ok(), parts.iter().all(Result::is_ok), "{a}{b}{c}{after}");
                        let expected = if set.is_ok() { &by_parts } else { &message };
                        assert_eq!(one.to_bytes(), expected.to_bytes());
                        assert_eq!(one.field(Header::Via), expected.field(Header::Via));
                        assert_eq!(
                            one.top_via().ok().map(|via| via.received()),
                            expected.top_via().ok().map(|via| via.received())
                        );
                    }
                }
            }
        }
    }
    assert!(turn > 1000, "{turn}");
}

#[test]
fn edited_lines_that_came_with_lf_alone_are_copied_with_crlf() {
    let text = "OPTIONS sip:a@b SIP/2.0\nVia: SIP/2.0/UDP a\n ;branch=z9hG4bK1;x,SIP/2.0/UDP b\nTo: <sip:a@b>\nFrom: <sip:c@d>;tag=1\n\
        Call-ID: 1\nCSeq: 1 OPTIONS\n\n";
    let lenient = ParserConfig { bare_lf: true, ..ParserConfig::default() };
    let request = Message::parse_with(Bytes::from_static(text.as_bytes()), &lenient).unwrap();
    type Edit = fn(&mut Message) -> bool;
    let edits: [Edit; 5] = [
        |message| message.set_source(Some("192.0.2.1".parse().unwrap()), Some(5060)).is_ok(),
        |message| message.set_via_param("x", "y").is_ok(),
        |message| message.set_value(Header::Via, 1, "SIP/2.0/TCP c").is_ok(),
        |message| message.pop_via(),
        |message| message.remove_value(Header::Via, 1),
    ];
    for edit in edits {
        let mut edited = request.clone();
        assert!(edit(&mut edited));
        let response = Message::response(&edited, StatusCode::OK).to_tag("x").build().unwrap();
        // Whoever wants CRLF can read it, and it says the same.
        let read = Message::parse(response.to_bytes()).unwrap();
        assert_eq!(read.vias().count(), edited.vias().count());
        assert_eq!(read.top_via().unwrap().params().count(), edited.top_via().unwrap().params().count());
        for (held, read) in response.headers().zip(read.headers()) {
            assert_eq!((held.name(), held.value()), (read.name(), read.value()));
        }
    }
}
