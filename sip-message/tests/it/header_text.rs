//! Text, comments, products, warnings and the numbers that have comments or fractions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::header_support::{fault, place, read, request};
use core::time::Duration;
use sip_message::ValueFault;
use sip_message::headers::{MimeVersion, Product, Products, RetryAfter, Text, Timestamp, Warning};
use std::borrow::Cow;

#[test]
fn text_is_kept_and_unfolds() {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-7.3.1
    //= type=test
    //# The line break and the whitespace at the beginning of the next line
    //# are treated as a single SP character.
    let message = request("s: I know you're there,\r\n \t pick up the phone   \r\n and answer!\r\nOrganization:\r\n");
    let subject = message.subject().unwrap().unwrap();
    assert_eq!(subject.to_text(), "I know you're there, pick up the phone    and answer!");
    assert!(message.organization().unwrap().unwrap().as_bytes().is_empty());
    assert!(matches!(read::<Text<'_>>("caf\u{e9}").to_text(), Cow::Borrowed("caf\u{e9}")));
    assert_eq!(fault::<Text<'_>>("a\u{0}"), (ValueFault::Character, 1));
}

#[test]
fn text_should_be_utf8() {
    let bytes = b"INVITE sip:a@b SIP/2.0\r\nSubject: caf\xe9\r\n\r\n";
    let message = sip_message::Message::parse(bytes::Bytes::from_static(bytes)).unwrap();
    assert_eq!(message.subject().unwrap().unwrap().to_text(), "caf\u{fffd}");
    assert!(message.check_grammar().is_err());
}

#[test]
fn products_and_comments() {
    let message =
        request("User-Agent: Softphone Beta1.5 /\t2.0~x (a (b) \"c \\) d)e/1(f)\r\nServer: HomeServer v2\r\n");
    let products: Vec<_> = message.user_agent().unwrap().unwrap().iter().map(Result::unwrap).collect();
    let product = |name, version| Product::Product { name, version };
    let expected = [
        product("Softphone", None),
        product("Beta1.5", Some("2.0~x")),
        Product::Comment(b"a (b) \"c \\) d"),
        product("e", Some("1")),
        Product::Comment(b"f"),
    ];
    assert_eq!(products, expected);
    assert_eq!(message.server().unwrap().unwrap().as_bytes(), b"HomeServer v2");
    message.check_grammar().unwrap();
}

#[test]
fn a_malformed_product_ends_the_walk_but_the_text_is_there() {
    let products = read::<Products<'_>>("good: bad (");
    assert_eq!(products.as_bytes(), b"good: bad (");
    let items: Vec<_> = products.iter().collect();
    assert_eq!(items.len(), 1);
    assert_eq!(place(items[0]), (ValueFault::Character, 4));
    let items: Vec<_> = read::<Products<'_>>("a (b (c)").iter().collect();
    assert_eq!(items.len(), 2);
    assert_eq!(place(items[1]), (ValueFault::Unclosed, 2));
}

#[test]
fn comments_nest_as_deep_as_they_like() {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-25.1
    //= type=test
    //# The backslash character ("\") MAY be used as a single-character
    //# quoting mechanism only within quoted-string and comment constructs.
    let deep = format!("{}\\({}", "(".repeat(100_000), ")".repeat(100_000));
    let items: Vec<_> = read::<Products<'_>>(&deep).iter().collect();
    assert_eq!(items.len(), 1);
    assert!(matches!(items[0], Ok(Product::Comment(inner)) if inner.len() == 200_000));
    let open = &deep[..deep.len() - 1];
    assert_eq!(place(read::<Products<'_>>(open).iter().next().unwrap()), (ValueFault::Unclosed, 0));
    let retry = format!("5{deep};duration=7");
    assert_eq!(read::<RetryAfter<'_>>(&retry).duration(), Ok(Some(7)));
    let many = "(".repeat(60_000);
    assert_eq!(read::<Products<'_>>(&many).iter().count(), 1);
}

#[test]
fn warnings() {
    let message = request(
        "Warning: 307 isi.edu \"Session parameter \\\"foo\\\", not understood\", 301 isi.edu:5060 \"x\"\r\n\
         Warning: 399 [2001:db8::1]:5061\r\n \"y\"\r\n",
    );
    let warnings: Vec<Warning<'_>> = message.warning().map(Result::unwrap).collect();
    let parts: Vec<_> = warnings.iter().map(|w| (w.code(), std::str::from_utf8(w.agent()).unwrap())).collect();
    assert_eq!(parts, [(307, "isi.edu"), (301, "isi.edu:5060"), (399, "[2001:db8::1]:5061")]);
    assert_eq!(&*warnings[0].text().unquoted(), b"Session parameter \"foo\", not understood");
    for (value, kind, offset) in [
        ("99 a \"b\"", ValueFault::Number, 0),
        ("1000 a \"b\"", ValueFault::Number, 0),
        ("x a \"b\"", ValueFault::Character, 0),
        ("307 a", ValueFault::Incomplete, 5),
        ("307 a b", ValueFault::Character, 6),
        ("307 a@b \"c\"", ValueFault::Host, 4),
        ("307 a \"b\";c", ValueFault::Trailing, 9),
    ] {
        assert_eq!(fault::<Warning<'_>>(value), (kind, offset), "{value}");
    }
}

#[test]
fn retry_after() {
    let message = request("Retry-After: 18000 (at dinner, (back) \\) soon) ;duration=3600;x\r\n");
    let retry = message.retry_after().unwrap().unwrap();
    assert_eq!((retry.seconds(), retry.duration()), (18_000, Ok(Some(3600))));
    assert_eq!(retry.comment(), Some(&b"at dinner, (back) \\) soon"[..]));
    assert_eq!(retry.params().count(), 2);
    let plain = read::<RetryAfter<'_>>("4294967296");
    assert_eq!((plain.seconds(), plain.comment(), plain.duration()), (u32::MAX, None, Ok(None)));
    for (value, kind, offset) in [
        ("", ValueFault::Empty, 0),
        ("soon", ValueFault::Number, 0),
        ("5 (x", ValueFault::Unclosed, 2),
        ("5 (x) y", ValueFault::Trailing, 6),
        ("5 (x\u{1})", ValueFault::Character, 4),
        ("5, 6", ValueFault::Trailing, 1),
    ] {
        assert_eq!(fault::<RetryAfter<'_>>(value), (kind, offset), "{value}");
    }
    assert_eq!(place(read::<RetryAfter<'_>>("5;duration=x").duration()), (ValueFault::Number, 11));
}

#[test]
fn timestamps() {
    let message = request("Timestamp: 54.21 0.7\r\n");
    let stamp = message.timestamp().unwrap().unwrap();
    assert_eq!((stamp.time_bytes(), stamp.delay_bytes()), (&b"54.21"[..], Some(&b"0.7"[..])));
    assert_eq!(stamp.time(), Some(Duration::from_millis(54_210)));
    assert_eq!(stamp.delay(), Some(Duration::from_millis(700)));
    let plain = read::<Timestamp<'_>>("54.");
    assert_eq!((plain.time(), plain.delay(), plain.delay_bytes()), (Some(Duration::from_secs(54)), None, None));
    assert_eq!(read::<Timestamp<'_>>("1 .5").delay(), Some(Duration::from_millis(500)));
    assert_eq!(read::<Timestamp<'_>>("0.1234567899").time(), Some(Duration::from_nanos(123_456_789)));
    let huge = read::<Timestamp<'_>>("18446744073709551616.5");
    assert_eq!((huge.time(), huge.time_bytes()), (None, &b"18446744073709551616.5"[..]));
    for (value, kind, offset) in [
        ("", ValueFault::Empty, 0),
        ("-1", ValueFault::Number, 0),
        ("1.2.3", ValueFault::Character, 3),
        ("1 2 3", ValueFault::Character, 3),
        ("1x", ValueFault::Character, 1),
    ] {
        assert_eq!(fault::<Timestamp<'_>>(value), (kind, offset), "{value}");
    }
}

#[test]
fn mime_versions() {
    let message = request("MIME-Version: 1.0\r\n");
    assert_eq!(message.mime_version().unwrap(), Some(MimeVersion { major: 1, minor: 0 }));
    assert_eq!(fault::<MimeVersion>("1"), (ValueFault::Incomplete, 1));
    assert_eq!(fault::<MimeVersion>("1.x"), (ValueFault::Number, 2));
    assert_eq!(fault::<MimeVersion>("4294967296.0"), (ValueFault::Number, 0));
}
