use super::*;
use alloc::vec::Vec;
use bytes::Bytes;

fn parse(text: &str) -> Message {
    Message::parse(Bytes::from(String::from(text).replace('\n', "\r\n"))).unwrap()
}

fn invite(more: &str) -> Message {
    parse(&alloc::format!(
        "INVITE sip:bob@biloxi.com SIP/2.0\nVia: SIP/2.0/UDP pc33;branch=z9hG4bK1\nMax-Forwards: 70\n\
         From: \"A. \\\"Al\\\" L\" <sip:alice@atlanta.com>;tag=a\nTo: Bob <sip:bob@biloxi.com>\nCall-ID: c\nCSeq: 7 INVITE\n{more}\n\n"
    ))
}

fn ok(more: &str) -> Message {
    parse(&alloc::format!(
        "SIP/2.0 200 OK\nVia: SIP/2.0/UDP pc33;branch=z9hG4bK1\nFrom: <sip:alice@atlanta.com>;tag=a\n\
         To: Bob <sip:bob@biloxi.com>;tag=b\nCall-ID: c\nCSeq: 7 INVITE\n{more}\n\n"
    ))
}

fn routes(message: &Message) -> Vec<String> {
    message.fields(Header::Route).map(|value| String::from_utf8(value.to_vec()).unwrap()).collect()
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.1
//= type=test
//# The route set MUST be set to the list of URIs in the Record-Route
//# header field from the request, taken in order and preserving all URI
//# parameters.
//= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.1
//= type=test
//# The remote target MUST be set to the URI from the Contact header field
//# of the request.
//= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.1
//= type=test
//# The local sequence number MUST be empty.
//= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.1
//= type=test
//# The remote sequence number MUST be set to the value of the sequence
//# number in the CSeq header field of the request.
//= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.1
//= type=test
//# The remote URI MUST be set to the URI in the From field, and the local
//# URI MUST be set to the URI in the To field.
//= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.1
//= type=test
//# The local tag component of the dialog ID MUST be set to the tag in the
//# To field in the response to the request (which always includes a tag),
//# and the remote tag component of the dialog ID MUST be set to the tag
//# from the From field in the request.
//= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.1.1
//= type=test
//# If the route set is not empty, and the first URI in the route set
//# contains the lr parameter (see Section 19.1.1), the UAC MUST place the
//# remote target URI into the Request-URI and MUST include a Route header
//# field containing the route set values in order, including all
//# parameters.
#[test]
fn the_dialog_of_a_uas() {
    let request = invite("Contact: <sip:alice@pc33>\nRecord-Route: <sip:p1;lr;x=1>\nRecord-Route: <sip:p2;lr>");
    let mut dialog = Dialog::from_request(&request, "b", true).unwrap();
    assert!(dialog.is("c", "b", "a") && dialog.is_early() && !dialog.is_initiator() && !dialog.is_secure());
    assert_eq!((dialog.local_cseq(), dialog.remote_cseq()), (0, Some(7)));
    let bye = dialog.request(Method::Bye).build().unwrap();
    assert_eq!(bye.request_uri_bytes(), Some(&b"sip:alice@pc33"[..]));
    assert_eq!(routes(&bye), ["<sip:p1;lr;x=1>, <sip:p2;lr>"]);
    assert_eq!(bye.cseq().unwrap().number, 1);
    assert_eq!(bye.to().unwrap().display_name().as_deref(), Some("A. \"Al\" L"));
    assert_eq!(bye.to().unwrap().tag().unwrap(), Some("a"));
    assert_eq!(bye.from().unwrap().tag().unwrap(), Some("b"));
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.2
//= type=test
//# The route set MUST be set to the list of URIs in the Record-Route header
//# field from the response, taken in reverse order and preserving all URI
//# parameters.
//= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.2
//= type=test
//# The local sequence number MUST be set to the value of the sequence
//# number in the CSeq header field of the request.
//= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.2
//= type=test
//# The remote sequence number MUST be empty (it is established when the
//# remote UA sends a request within the dialog).
//= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.2.4
//= type=test
//# If the dialog identifier in the 2xx response matches the dialog
//# identifier of an existing dialog, the dialog MUST be transitioned to the
//# "confirmed" state, and the route set for the dialog MUST be recomputed
//# based on the 2xx response using the procedures of Section 12.2.1.2.
//= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.2
//= type=test
//# The remote target MUST be set to the URI from the Contact header field
//# of the response.
//= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.1.1
//= type=test
//# Therefore, if the local sequence number is not empty, the value of the
//# local sequence number MUST be incremented by one, and this value MUST be
//# placed into the CSeq header field.
#[test]
fn the_dialog_of_a_uac_takes_its_route_from_the_2xx() {
    let request = invite("Contact: <sip:alice@pc33>");
    let mut early = ok("Contact: <sip:bob@192.0.2.4>\nRecord-Route: <sip:old;lr>");
    early = {
        let text = String::from_utf8(early.to_bytes().to_vec()).unwrap();
        Message::parse(Bytes::from(text.replace("200 OK", "180 Ringing"))).unwrap()
    };
    let mut dialog = Dialog::from_response(&request, &early).unwrap();
    assert!(dialog.is("c", "a", "b") && dialog.is_early() && dialog.is_initiator());
    assert_eq!((dialog.local_cseq(), dialog.remote_cseq()), (7, None));
    dialog.confirm(&ok("Contact: <sip:bob@192.0.2.5>\nRecord-Route: <sip:p1;lr>, <sip:p2;lr>")).unwrap();
    let ack = dialog.ack(7).build().unwrap();
    assert_eq!(ack.request_uri_bytes(), Some(&b"sip:bob@192.0.2.5"[..]));
    assert_eq!(routes(&ack), ["<sip:p2;lr>, <sip:p1;lr>"]);
    assert_eq!(dialog.request(Method::Bye).build().unwrap().cseq().unwrap().number, 8);
    assert_eq!(Dialog::from_response(&request, &ok("Subject: x")), Err(DialogError::NoContact));
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.1.1
//= type=test
//# If the route set is not empty, and its first URI does not contain the lr
//# parameter, the UAC MUST place the first URI from the route set into the
//# Request-URI, stripping any parameters that are not allowed in a
//# Request-URI.
//= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.1.1
//= type=test
//# The UAC MUST add a Route header field containing the remainder of the
//# route set values in order, including all parameters.
//= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.1.1
//= type=test
//# The UAC MUST then place the remote target URI into the Route header
//# field as the last value.
//= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.1.1
//= type=test
//# If the route set is empty, the UAC MUST place the remote target URI into
//# the Request-URI.
//= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.1.1
//= type=test
//# The UAC MUST NOT add a Route header field to the request.
//= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.1
//= type=test
//# If no Record-Route header field is present in the request, the route set
//# MUST be set to the empty set.
#[test]
fn strict_routers_get_their_uri_in_the_request_line() {
    let request = invite(
        "Contact: <sip:alice@pc33>\nRecord-Route: <sip:strict;method=INVITE;methods=2;transport=tcp?X=y>;q=\"a,b\", <sip:loose;lr>",
    );
    let mut dialog = Dialog::from_request(&request, "b", false).unwrap();
    let bye = dialog.request(Method::Bye).build().unwrap();
    assert_eq!(bye.request_uri_bytes(), Some(&b"sip:strict;methods=2;transport=tcp"[..]));
    assert_eq!(routes(&bye), ["<sip:loose;lr>, <sip:alice@pc33>"]);
    let mut bare = Dialog::from_request(&invite("Contact: <sip:alice@pc33>"), "b", false).unwrap();
    let bye = bare.request(Method::Bye).build().unwrap();
    assert!(routes(&bye).is_empty() && bye.request_uri_bytes() == Some(&b"sip:alice@pc33"[..]));
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.2
//= type=test
//# If the remote sequence number was not empty, but the sequence number of
//# the request is lower than the remote sequence number, the request is out
//# of order and MUST be rejected with a 500 (Server Internal Error)
//# response.
//= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.2
//= type=test
//# This is not an error condition, and a UAS SHOULD be prepared to receive
//# and process requests with CSeq values more than one higher than the
//# previous received request.
//= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.2
//= type=test
//# If the remote sequence number is empty, it MUST be set to the value of
//# the sequence number in the CSeq header field value in the request.
#[test]
fn numbers_may_skip_but_not_go_back() {
    let mut dialog = Dialog::from_request(&invite("Contact: <sip:alice@pc33>"), "b", false).unwrap();
    let numbered = |n: u32| {
        let mut request = invite("");
        request.set(Header::CSeq, alloc::format!("{n} INVITE")).unwrap();
        request
    };
    assert_eq!(dialog.receive(&numbered(6)), Ok(Order::Late));
    assert_eq!(dialog.receive(&numbered(7)), Ok(Order::Late));
    assert_eq!(dialog.receive(&numbered(100)), Ok(Order::Next));
    assert_eq!(dialog.receive(&numbered(99)), Ok(Order::Late));
    let mut ours = Dialog::from_response(&invite(""), &ok("Contact: <sip:bob@192.0.2.5>")).unwrap();
    assert_eq!(ours.receive(&numbered(3)), Ok(Order::Next));
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.1
//= type=test
//# A UAS MUST be prepared to receive a request without a tag in the From
//# field, in which case the tag is considered to have a value of null.
//= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.1.1
//= type=test
//# If the value of the remote or local tags is null, the tag parameter MUST
//# be omitted from the To or From header fields, respectively.
//= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.2
//= type=test
//# A UAC MUST be prepared to receive a response without a tag in the To
//# field, in which case the tag is considered to have a value of null.
#[test]
fn a_peer_of_rfc_2543_has_no_tag() {
    let mut request = invite("Contact: <sip:alice@pc33>");
    request.set(Header::From, "<sip:alice@atlanta.com>").unwrap();
    let mut dialog = Dialog::from_request(&request, "b", false).unwrap();
    assert!(dialog.is("c", "b", ""));
    let bye = dialog.request(Method::Bye).build().unwrap();
    assert_eq!(bye.to().unwrap().tag().unwrap(), None);
}

#[test]
fn what_a_status_ends() {
    let ends = |code, integral| damage(StatusCode::new(code).unwrap(), integral);
    assert_eq!((ends(481, true), ends(481, false)), (Damage::Usage, Damage::Usage));
    assert_eq!((ends(408, true), ends(408, false)), (Damage::Usage, Damage::Transaction));
    assert_eq!(
        (ends(404, false), ends(488, true), ends(491, true)),
        (Damage::Dialog, Damage::Transaction, Damage::Transaction)
    );
}

#[test]
fn the_secure_flag_is_that_of_the_request_uri_or_the_top_route() {
    let secure = invite("Contact: <sip:alice@pc33>\nRecord-Route: <sips:p1;lr>");
    assert!(Dialog::from_request(&secure, "b", false).unwrap().is_secure());
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.1.1
//= type=test
//# If the route set is empty, the UAC MUST place the remote target URI into
//# the Request-URI.
#[test]
fn what_a_request_uri_cannot_have_is_left_out_of_the_remote_target() {
    for (contact, target) in [
        ("<sip:bob@192.0.2.5?Subject=x&Priority=y>", "sip:bob@192.0.2.5"),
        ("<sip:bob@192.0.2.5;method=INVITE;x=y>", "sip:bob@192.0.2.5;x=y"),
        ("<sip:b?b@192.0.2.5;transport=tcp>;q=1", "sip:b?b@192.0.2.5;transport=tcp"),
    ] {
        let mut dialog = Dialog::from_request(&invite(&alloc::format!("Contact: {contact}")), "z", true).unwrap();
        assert_eq!(dialog.refresh_target(&ok(&alloc::format!("Contact: {contact}"))), Ok(false), "{contact}");
        let bye = dialog.request(Method::Bye).build().unwrap();
        assert_eq!(bye.request_uri_bytes(), Some(target.as_bytes()));
    }
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.2
//= type=test
//# The local tag component of the dialog ID MUST be set to the tag in the
//# From field in the request, and the remote tag component of the dialog ID
//# MUST be set to the tag in the To field of the response.
#[test]
fn a_response_with_another_from_tag_or_call_id_makes_no_dialog() {
    let request = invite("Contact: <sip:alice@pc33>");
    let answer = |of: &str, by: &str| {
        let text = String::from_utf8(ok("Contact: <sip:bob@192.0.2.5>").to_bytes().to_vec()).unwrap();
        Message::parse(Bytes::from(text.replace(of, by))).unwrap()
    };
    for (of, by) in [(">;tag=a", ">;tag=x"), (">;tag=a", ">"), ("Call-ID: c", "Call-ID: x")] {
        assert_eq!(Dialog::from_response(&request, &answer(of, by)), Err(DialogError::Malformed), "{by}");
    }
    // The name is another than that of the request here, and the tag is what counts.
    assert!(Dialog::from_response(&request, &answer("<sip:alice", "Alice <sip:alice")).is_ok());
}
