//! Multipart bodies, taken apart and built.

#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use proptest::prelude::*;
use sip_message::body::{BodyError, BodyFault, BodyPart, Multipart, MultipartBuilder};
use sip_message::{BuildFault, Header, Message};

fn parts(boundary: &str, body: &str) -> Vec<Result<String, (BodyFault, usize)>> {
    match Multipart::with_boundary(boundary.as_bytes(), body.as_bytes()) {
        Ok(multipart) => multipart.map(|part| part.map(text).map_err(fault)).collect(),
        Err(error) => vec![Err(fault(error))],
    }
}

fn text(part: BodyPart<'_>) -> String {
    String::from_utf8(part.body().to_vec()).unwrap()
}

fn fault(error: BodyError) -> (BodyFault, usize) {
    (error.kind, error.offset)
}

fn ok(texts: &[&str]) -> Vec<Result<String, (BodyFault, usize)>> {
    texts.iter().map(|&text| Ok(text.to_owned())).collect()
}

/// A message with this content type and body.
fn message(content_type: &str, body: &str) -> Message {
    let head = format!("MESSAGE sip:a@b SIP/2.0\r\nContent-Type: {content_type}\r\n\r\n");
    Message::parse(Bytes::from(head + body)).unwrap()
}

#[test]
fn the_example_of_rfc_2046() {
    let body = "This is the preamble.  It is to be ignored, though it\r\n\
        is a handy place for composition agents to include an\r\n\
        explanatory note to non-MIME conformant readers.\r\n\r\n\
        --simple boundary\r\n\r\n\
        This is implicitly typed plain US-ASCII text.\r\nIt does NOT end with a linebreak.\r\n\
        --simple boundary\r\n\
        Content-type: text/plain; charset=us-ascii\r\n\r\n\
        This is explicitly typed plain US-ASCII text.\r\nIt DOES end with a linebreak.\r\n\r\n\
        --simple boundary--\r\n\r\n\
        This is the epilogue.  It is also to be ignored.\r\n--simple boundary\r\n\r\nnor is this a part";
    let message = message("multipart/mixed; boundary=\"simple boundary\"", body);
    let found: Vec<_> = message.body_parts(1).collect::<Result<_, _>>().unwrap();
    assert_eq!(found.len(), 2);
    assert!(text(found[0]).ends_with("It does NOT end with a linebreak."));
    assert!(text(found[1]).ends_with("It DOES end with a linebreak.\r\n"));
    assert!(found[0].content_type().unwrap().is_none() && found[0].is("text/plain"));
    let content_type = found[1].content_type().unwrap().unwrap();
    assert_eq!(content_type.charset().unwrap().unwrap().as_bytes(), b"us-ascii");
}

#[test]
fn delimiters_are_whole_lines() {
    assert_eq!(parts("b", "--b\r\n\r\none\r\n--b--"), ok(&["one"]));
    assert_eq!(parts("b", "\r\n--b\r\n\r\none\r\n--b--\r\n"), ok(&["one"]));
    assert_eq!(
        parts("b", "--b\r\n\r\na --b\r\n--bc\r\n --b\r\n--\r\n-b\r\n--b--"),
        ok(&["a --b\r\n--bc\r\n --b\r\n--\r\n-b"])
    );
    assert_eq!(parts("b", "--b\r\n\r\na\r\n--b-\r\n--b--x\r\n--b x\r\n--b--"), ok(&["a\r\n--b-\r\n--b--x\r\n--b x"]));
    assert_eq!(parts("b", "--b\r\n\r\na\n--b\nb\r\n--b--"), ok(&["a\n--b\nb"]));
    assert_eq!(parts("b", "--b\r\n\r\na\r\n\r\n--b\r\n\r\n\r\n--b--"), ok(&["a\r\n", ""]));
    assert_eq!(parts("--", "----\r\n\r\na\r\n------"), ok(&["a"]));
    //= https://www.rfc-editor.org/rfc/rfc2046#section-5.1.1
    //= type=test
    //# receivers MUST
    //# ; be able to handle padding
    //# ; added by message transports.
    assert_eq!(parts("b", "--b \t\r\n\r\na\r\n--b\t\r\n\r\nb\r\n--b--  \r\n"), ok(&["a", "b"]));
    // A part with nothing in it, and one with fields only.
    assert_eq!(parts("b", "--b\r\n--b\r\n\r\n--b\r\nA: b\r\n--b\r\nA: b\r\n\r\n--b--"), ok(&["", "", "", ""]));
}

#[test]
fn what_is_missing_is_reported() {
    assert_eq!(
        parts("b", "--b\r\n\r\none\r\n--b\r\n\r\ntw"),
        [ok(&["one", "tw"]), vec![Err((BodyFault::Unclosed, 21))]].concat()
    );
    assert_eq!(parts("b", "--b\r\n\r\none\r\n--b\r\n"), [ok(&["one"]), vec![Err((BodyFault::Unclosed, 17))]].concat());
    assert_eq!(parts("b", "--b"), [Err((BodyFault::Unclosed, 3))]);
    for body in ["", "b", "--c\r\n\r\na\r\n--c--", "--b--\r\n", "x--b\r\n\r\na\r\n--b--"] {
        assert_eq!(parts("b", body), [Err((BodyFault::NoParts, body.len()))], "{body:?}");
    }
    for boundary in ["", "b ", "a\r\nb", &"b".repeat(71)] {
        assert_eq!(parts(boundary, "--b\r\n\r\na\r\n--b--"), [Err((BodyFault::Boundary, 0))], "{boundary:?}");
    }
    let long = "b".repeat(70);
    assert_eq!(parts(&long, &format!("--{long}\r\n\r\na\r\n--{long}--")), ok(&["a"]));
    for content_type in ["multipart/mixed", "multipart/mixed;boundary=\"\"", "multipart/mixed;boundary"] {
        let message = message(content_type, "--b\r\n\r\na\r\n--b--");
        assert!(message.body_parts(4).next().unwrap().is_err(), "{content_type}");
    }
}

#[test]
fn a_malformed_part_does_not_hide_the_next() {
    let found =
        parts("b", "--b\r\nno field\r\n\r\na\r\n--b\r\nA: b\nc: d\r\n\r\nx\r\n--b\r\nA: b\r\n c\r\n\r\nb\r\n--b--");
    assert_eq!(found, [Err((BodyFault::Field, 5)), Err((BodyFault::Field, 29)), Ok("b".to_owned())]);
}

#[test]
fn fields_of_parts() {
    let body = "--b\r\nc: application/sdp\r\nContent-Disposition: session\r\n ;handling=optional\r\n\
        Content-ID: <1@example.com>\r\nX-Own :  y \r\n\r\nv=0\r\n\r\n--b--";
    let message = message("multipart/mixed;boundary=b", body);
    let part = message.body_parts(1).next().unwrap().unwrap();
    assert!(part.is("Application/SDP") && part.body() == b"v=0\r\n");
    let disposition = part.disposition().unwrap().unwrap();
    assert!(disposition.disposition() == "session" && !disposition.is_required().unwrap());
    assert_eq!(part.content_id(), Some(&b"1@example.com"[..]));
    assert_eq!(part.field("x-own"), Some(&b"y"[..]));
    assert_eq!(part.field(Header::Subject), None);
    let names: Vec<_> = part.fields().map(|field| field.name_as_written().to_owned()).collect();
    assert_eq!(names, ["c", "Content-Disposition", "Content-ID", "X-Own"]);
    assert_eq!(part.fields().next().unwrap().name(), Header::ContentType.into());
}

#[test]
fn nested_parts_are_found_to_the_allowed_depth() {
    //= https://www.rfc-editor.org/rfc/rfc5621#section-4.2
    //= type=test
    //# SIP UAs MUST support
    //# parsing 'multipart' MIME bodies, including nested body parts.
    // The inner boundary begins like the outer one.
    let body = "--b\r\nContent-Type: multipart/alternative;boundary=bb\r\n\r\n\
        --bb\r\n\r\none\r\n--bb\r\nContent-Type: application/sdp\r\n\r\ntwo\r\n--bb--\r\n\
        --b\r\n\r\nthree\r\n--b--";
    let message = message("multipart/x-unknown;boundary=b", body);
    let found: Vec<_> = message.body_parts(2).map(|part| text(part.unwrap())).collect();
    assert_eq!(found, ["one", "two", "three"]);
    let found: Vec<_> = message.body_parts(1).map(|part| part.map(text).map_err(|e| e.kind)).collect();
    assert_eq!(found, [Err(BodyFault::TooDeep), Ok("three".to_owned())]);
    assert_eq!(
        message.body_parts(0).map(|part| part.map(text).map_err(|e| e.kind)).collect::<Vec<_>>(),
        [Err(BodyFault::TooDeep)]
    );
    assert_eq!(message.body_of_type("application/sdp"), Some(&b"two"[..]));
    assert_eq!(message.body_of_type("application/pidf+xml"), None);
}

#[test]
fn endless_nesting_ends() {
    let mut body = String::new();
    for _ in 0..1_000 {
        body.push_str("--b\r\nContent-Type: multipart/mixed;boundary=b\r\n\r\n");
    }
    let message = message("multipart/mixed;boundary=b", &body);
    let found: Vec<_> = message.body_parts(4).take(2_000).collect();
    assert!(found.len() < 2_000 && found.iter().all(Result::is_err));
}

#[test]
fn a_body_that_is_not_multipart_is_its_only_part() {
    let sdp = message("application/sdp", "v=0\r\n");
    assert_eq!(sdp.body_of_type("application/sdp"), Some(&b"v=0\r\n"[..]));
    let part = sdp.body_parts(0).next().unwrap().unwrap();
    assert_eq!((part.field(Header::ContentType), part.fields().count()), (Some(&b"application/sdp"[..]), 0));
    assert_eq!(part.field("content-type"), part.field(Header::ContentType));
    assert_eq!(message("application/sdp", "").body_parts(4).count(), 0);
    let broken = message("application", "x").body_parts(4).next().unwrap().map(text);
    assert_eq!(broken.map_err(fault), Err((BodyFault::ContentType, 0)));
}

#[test]
fn built_bodies_are_read_back() {
    let inner = MultipartBuilder::alternative().part("text/plain", "a").part("text/html", "<b>").build().unwrap();
    let body = MultipartBuilder::mixed()
        .nested(inner)
        .part("application/sdp", "v=0\r\n")
        .field(Header::ContentDisposition, "session;handling=required")
        .field("Content-ID", "<1@example.com>")
        .build()
        .unwrap();
    let mut message = message("text/plain", "");
    message.set_body(&body.content_type, body.body.clone()).unwrap();
    let found: Vec<_> = message.body_parts(2).map(|part| text(part.unwrap())).collect();
    assert_eq!(found, ["a", "<b>", "v=0\r\n"]);
    assert_eq!(
        body.body,
        "--part-00000001\r\nContent-Type: multipart/alternative;boundary=part-00000000\r\n\r\n\
         --part-00000000\r\nContent-Type: text/plain\r\n\r\na\r\n\
         --part-00000000\r\nContent-Type: text/html\r\n\r\n<b>\r\n--part-00000000--\r\n\r\n\
         --part-00000001\r\nContent-Type: application/sdp\r\nContent-Disposition: session;handling=required\r\n\
         Content-ID: <1@example.com>\r\n\r\nv=0\r\n\r\n--part-00000001--\r\n"
    );
}

#[test]
fn nothing_malformed_is_built() {
    let kind = |builder: MultipartBuilder| builder.build().unwrap_err().kind;
    assert_eq!(kind(MultipartBuilder::mixed()), BuildFault::Missing);
    assert_eq!(kind(MultipartBuilder::mixed().field("A", "b")), BuildFault::NotApplicable);
    assert_eq!(kind(MultipartBuilder::mixed().part("a/b\r\n\r\n", "")), BuildFault::Control { offset: 3 });
    assert_eq!(kind(MultipartBuilder::mixed().part("a/b", "").field("A b", "c")), BuildFault::Name);
    assert!(matches!(kind(MultipartBuilder::mixed().part("a", "")), BuildFault::Value(_)));
    assert!(matches!(kind(MultipartBuilder::new("mi xed").part("a/b", "")), BuildFault::Value(_)));
    assert!(matches!(kind(MultipartBuilder::new("x\r\nVia: y").part("a/b", "")), BuildFault::Control { .. }));
    let related = MultipartBuilder::new("related;type=\"a/b\"").part("a/b", "x").build().unwrap();
    assert_eq!(related.content_type, "multipart/related;type=\"a/b\";boundary=part-00000000");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Contents that look like boundaries come back whole.
    #[test]
    fn any_parts_are_read_back(contents in prop::collection::vec(
        prop::collection::vec(prop_oneof![
            Just("\r\n".to_owned()), Just("--part-0000000".to_owned()), Just("--".to_owned()), Just("part-00000000".to_owned()),
            "[0-3]", "[\\x00-\\x7f]{0,3}",
        ], 0..10).prop_map(|pieces| pieces.concat()), 1..6),
    ) {
        let mut builder = MultipartBuilder::mixed();
        for content in &contents {
            builder = builder.part("application/octet-stream", content.clone());
        }
        let body = builder.build().unwrap();
        let boundary = body.content_type.split_once("boundary=").unwrap().1;
        let found: Vec<_> = Multipart::with_boundary(boundary.as_bytes(), &body.body).unwrap().map(|p| text(p.unwrap())).collect();
        prop_assert_eq!(found, contents);
    }

    #[test]
    fn any_bytes_end(pieces in prop::collection::vec(prop_oneof![
        Just("\r\n"), Just("--b"), Just("--"), Just(":"), Just("a"), Just(" "), Just("Content-Type: multipart/mixed;boundary=b"),
    ], 0..60)) {
        let body = pieces.concat();
        let message = message("multipart/mixed;boundary=b", &body);
        // Each part and each error takes at least the bytes of a boundary at one of three depths.
        prop_assert!(message.body_parts(3).count() <= body.len() * 3 + 1);
    }
}
