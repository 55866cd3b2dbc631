//! The torture messages of RFC 4475 and RFC 5118, bit-exact, each at the depth where the RFC wants it dealt with.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bytes::Bytes;
use sip_message::{Capabilities, Depth, Fault, Header, Message, Method, ParserConfig, Uri};
use std::path::PathBuf;

/// What becomes of a message: nothing wrong, or the depth of the fault and the status owed (0: none).
type Expected = Option<(Depth, u16)>;

const OK: Expected = None;
const fn framing(status: u16) -> Expected {
    Some((Depth::Framing, status))
}
const fn grammar(status: u16) -> Expected {
    Some((Depth::Grammar, status))
}
const fn semantics(status: u16) -> Expected {
    Some((Depth::Semantics, status))
}

/// File, section of RFC 4475, outcome.
const RFC4475: &[(&str, &str, Expected)] = &[
    ("wsinv", "3.1.1.1", OK),
    ("intmeth", "3.1.1.2", OK),
    ("esc01", "3.1.1.3", OK),
    ("escnull", "3.1.1.4", OK),
    ("esc02", "3.1.1.5", OK),
    ("lwsdisp", "3.1.1.6", OK),
    ("longreq", "3.1.1.7", OK),
    ("dblreq", "3.1.1.8", OK),
    ("semiuri", "3.1.1.9", OK),
    ("transports", "3.1.1.10", OK),
    ("mpart01", "3.1.1.11", OK),
    ("unreason", "3.1.1.12", OK),
    ("noreason", "3.1.1.13", OK),
    ("badinv01", "3.1.2.1", grammar(400)),
    ("clerr", "3.1.2.2", framing(400)),
    ("ncl", "3.1.2.3", framing(400)),
    ("scalar02", "3.1.2.4", grammar(400)),
    ("scalarlg", "3.1.2.5", grammar(0)),
    ("quotbal", "3.1.2.6", grammar(400)),
    ("ltgtruri", "3.1.2.7", grammar(400)),
    ("lwsruri", "3.1.2.8", grammar(400)),
    ("lwsstart", "3.1.2.9", grammar(400)),
    ("trws", "3.1.2.10", framing(400)),
    ("escruri", "3.1.2.11", grammar(400)),
    ("baddate", "3.1.2.12", grammar(400)),
    ("regbadct", "3.1.2.13", grammar(400)),
    ("badaspec", "3.1.2.14", grammar(400)),
    ("baddn", "3.1.2.15", framing(400)),
    ("badvers", "3.1.2.16", semantics(505)),
    ("mismatch01", "3.1.2.17", semantics(400)),
    ("mismatch02", "3.1.2.18", semantics(501)),
    ("bigcode", "3.1.2.19", framing(0)),
    ("badbranch", "3.2.1", semantics(400)),
    ("insuf", "3.3.1", semantics(400)),
    ("unkscm", "3.3.2", semantics(416)),
    ("novelsc", "3.3.3", semantics(416)),
    ("unksm2", "3.3.4", OK),
    ("bext01", "3.3.5", semantics(420)),
    ("invut", "3.3.6", semantics(415)),
    ("regaut01", "3.3.7", OK),
    ("multi01", "3.3.8", semantics(400)),
    ("mcl01", "3.3.9", framing(400)),
    ("bcast", "3.3.10", semantics(0)),
    ("zeromf", "3.3.11", OK),
    ("cparam01", "3.3.12", OK),
    ("cparam02", "3.3.13", OK),
    ("regescrt", "3.3.14", OK),
    ("sdp01", "3.3.15", semantics(406)),
    ("inv2543", "3.4.1", OK),
    // In the RFC's archive, described by no section.
    ("test", "-", framing(400)),
];

/// File in the folder of those with CRLF line ends, section of RFC 5118, outcome.
const RFC5118: &[(&str, &str, Expected)] = &[
    ("crlf/ipv6-good", "4.1", OK),
    ("crlf/ipv6-bad", "4.2", grammar(400)),
    ("crlf/port-ambiguous", "4.3", OK),
    ("crlf/port-unambiguous", "4.4", OK),
    ("crlf/via-received-param-with-delim", "4.5", OK),
    ("crlf/via-received-param-no-delim", "4.5", OK),
    ("fixed/ipv6-in-sdp", "4.6", OK),
    ("crlf/mult-ip-in-header", "4.7", OK),
    ("fixed/mult-ip-in-sdp", "4.8", OK),
    ("fixed/ipv4-mapped-ipv6", "4.9", OK),
    ("crlf/ipv6-bug-abnf-3-colons", "4.10", OK),
    ("crlf/ipv6-correct-abnf-2-colons", "4.10", OK),
];

fn read(name: &str) -> Bytes {
    let mut path = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    path.extend(["tests", "torture", name]);
    path.set_extension("dat");
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).into()
}

fn outcome(bytes: Bytes, config: &ParserConfig) -> Result<Message, Fault> {
    let message = Message::parse_with(bytes, config)?;
    message.check_grammar()?;
    message.check_semantics(&Capabilities::COMMON)?;
    Ok(message)
}

fn check_all(folder: &str, cases: &[(&str, &str, Expected)], config: &ParserConfig) {
    let mut wrong = String::new();
    for (name, section, expected) in cases {
        let found = outcome(read(&format!("{folder}/{name}")), config);
        let found_at = found.as_ref().err().map(|fault| (fault.depth, fault.status.map_or(0, |s| s.code())));
        if found_at != *expected {
            wrong += &format!("{name} ({section}): expected {expected:?}, found {found:?}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_message_of_rfc_4475_is_handled_as_it_says() {
    check_all("rfc4475", RFC4475, &ParserConfig::default());
    let described = RFC4475.iter().filter(|case| case.1 != "-").count();
    assert_eq!(described, 49);
}

#[test]
fn every_message_of_rfc_5118_is_handled_as_it_says() {
    // The last two lack their empty line; all others do as well without the switch.
    let config = ParserConfig { missing_empty_line: true, ..ParserConfig::default() };
    check_all("rfc5118", RFC5118, &config);
    let (cut, whole) = RFC5118.split_last_chunk::<2>().map(|(whole, cut)| (cut, whole)).unwrap();
    check_all("rfc5118", whole, &ParserConfig::default());
    check_all("rfc5118", &cut.map(|case| (case.0, case.1, framing(400))), &ParserConfig::default());
}

#[test]
fn lf_without_cr_is_refused_unless_switched_on() {
    let lenient = ParserConfig { bare_lf: true, ..ParserConfig::default() };
    let bytes = read("rfc5118/ipv6-good");
    assert!(Message::parse(bytes.clone()).is_err());
    let message = Message::parse_with(bytes.clone(), &lenient).unwrap();
    message.check_grammar().unwrap();
    assert_eq!(message.to_bytes(), bytes);
}

#[test]
fn untouched_messages_leave_byte_for_byte() {
    for (folder, cases) in [("rfc4475", RFC4475), ("rfc5118", RFC5118)] {
        for (name, ..) in cases {
            let bytes = read(&format!("{folder}/{name}"));
            let Ok(message) = Message::parse(bytes.clone()) else { continue };
            let sent = message.to_bytes();
            // What follows the body in a datagram is not part of the message.
            assert_eq!(sent, bytes.slice(..sent.len()), "{name}");
            assert!(*name == "dblreq" || sent.len() == bytes.len(), "{name}");
        }
    }
}

/// The message of this name, which must parse.
fn torture(name: &str) -> Message {
    Message::parse(read(&format!("rfc4475/{name}"))).unwrap()
}

#[test]
fn a_short_tortuous_invite_reads_right() {
    let message = torture("wsinv");
    assert_eq!(message.method(), Some(Method::Invite));
    assert_eq!(message.max_forwards(), Ok(Some(68)));
    assert_eq!(message.call_id(), Ok("wsinv.ndaksdj@192.0.2.1"));
    assert_eq!(message.cseq().unwrap().number, 9);
    assert_eq!(message.field(Header::Subject), Some(&b""[..]));
    assert_eq!(message.to().unwrap().tag(), Ok(Some("1918181833n")));
    assert_eq!(message.from().unwrap().display_name().unwrap(), "J Rosenberg \\\"");
    assert_eq!(message.from().unwrap().tag(), Ok(Some("98asjd8")));
    let branches: Vec<_> = message.vias().map(|via| via.unwrap().branch().unwrap()).collect();
    assert_eq!(branches, [Some("390skdjuw"), Some("z9hG4bK9ikj8"), Some("z9hG4bK30239")]);
    assert_eq!(message.routes().count(), 1);
    assert_eq!(message.contacts().count(), 1);
    assert_eq!(message.field("newFANGLEDHeader").unwrap().len(), 45);
}

#[test]
fn escapes_are_undone_once() {
    let message = torture("esc01");
    let Some(Ok(Uri::Sip(uri))) = message.request_uri() else { panic!("not a SIP URI") };
    assert_eq!(uri.user().and_then(|user| user.decoded_str()).as_deref(), Some("sips:user@example.com"));
}

#[test]
fn an_escaped_header_name_is_not_the_header() {
    let message = torture("esc02");
    assert_eq!(message.contacts().count(), 2);
    assert_eq!(message.method(), Some(Method::Other("RE%47IST%45R")));
}

#[test]
fn octets_behind_the_body_of_a_datagram_are_no_message() {
    let message = torture("dblreq");
    assert_eq!(message.method(), Some(Method::Register));
    assert!(message.body().is_empty());
    assert!(!message.to_bytes().ends_with(b"\r\n0"));
}

#[test]
fn max_forwards_of_zero_is_told_apart() {
    assert_eq!(torture("zeromf").max_forwards(), Ok(Some(0)));
}
