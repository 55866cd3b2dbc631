//! Tests: the short ways past what is usual lead where the long ways do.
//!
//! Values are what peers send, with a few bytes changed, so that they are at the edge of what a short way takes.

use crate::cseq::CSeq;
use crate::message::Message;
use crate::method::Method;
use crate::name_addr::{self, NameAddr};
use crate::reads::CallId;
use crate::scan;
use crate::uri::Uri;
use crate::value::FieldValue;
use crate::via::{self, Via};
use crate::{Header, HeaderError};
use alloc::vec::Vec;
use proptest::prelude::*;

/// Bytes that mean something in one grammar or another, and some that mean nothing anywhere.
const BYTES: &[u8] = b"a0Zf9-._~!%*+`'@:;=?&/,<>\"\\[]() \t\r\nzSg125#$\0\x1f\x7f\xc3\xa9";

/// One of `samples`, with up to four bytes replaced, inserted or removed.
pub(crate) fn nearly(samples: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let change = (0usize..80, 0usize..4, 0usize..BYTES.len());
    (0..samples.len(), proptest::collection::vec(change, 0..4)).prop_map(|(sample, changes)| {
        let mut v = samples[sample].as_bytes().to_vec();
        for (at, kind, byte) in changes {
            let at = at % (v.len() + 1);
            match kind {
                0 | 1 if at < v.len() => v[at] = BYTES[byte],
                2 if at < v.len() => drop(v.remove(at)),
                _ => v.insert(at, BYTES[byte]),
            }
        }
        v
    })
}

const ADDRESSES: &[&str] = &[
    "<sip:1@192.0.2.1>;tag=b80be7cc4c773fbe",
    "<sip:bob@biloxi.com>",
    "Alice <sip:alice@atlanta.com>;tag=1928301774",
    "\"A. G. Bell\" <sip:agb@bell-telephone.com>;tag=a48s",
    "\"say \\\"hi\\\"\"<sips:a@b.c;lr>;x=y;tag=as5f3cde-1.2_3",
    "sip:+12125551212@server.phone2net.com;tag=887s",
    "<tel:+12125551212> ;TAG=4",
    "<sip:a@[2001:db8::1]:5060;transport=tcp?x=y>;tag=0123456789abcdef0123456789ABCDEF",
    "*",
];

const URIS: &[&str] = &[
    "sip:2@192.0.2.2",
    "sip:alice@atlanta.com",
    "sip:alice:secret@atlanta.com:5070;transport=tcp",
    "sips:1212@gateway.com",
    "sip:255.255.255.255:5060;lr",
    "sip:a;b=c?d@host-1.example.com.;ob",
    "sip:user@[2001:db8::10]:65535;x",
    "sip:a%20b@under_score.local;transport=udp;lr",
    "sip:biloxi.com;method=INVITE;maddr=239.255.255.1;ttl=15",
    "SIP:x@1.2.3.4.5",
    "sip:#1@10.0.0.1?to=a%40b",
    "tel:+1-201-555-0123",
];

const VIAS: &[&str] = &[
    "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKbnv8h5asgh7vavhkvn01;rport=5060;received=192.0.2.1",
    "SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bK776asdhds",
    "SIP/2.0/TCP 10.1.1.1:4540;rport;branch=z9hG4bK-524287-1---7a3f3e1d;alias;x=\"a,b\"",
    "SIP/2.0/WSS df7jal23ls0d.invalid;keep;branch=z9hG4bK",
    "SIP/2.0/TLS [2001:db8::9:1]:5061;received=[2001:db8::9:255];branch=1",
    "SIP/2.0/UDP 224.0.0.1;Branch=z9hG4bKas3;ttl=16;maddr=239.1.1.1;received=255.255.255.255",
    "SIP / 2.0 / UDP first.example.com : 4000;ttl=16 ;branch=z9hG4bKa7c6a8dlze.1",
    "SIP/2.0/UDP a;branch=z9hG4bKa;branch=z9hG4bKbb;received=1.2.3.4;received=1.2.3.5",
    "SIP/2.0/UDP a;branch=z9hG4bKa , SIP/2.0/UDP b;branch=z9hG4bKb",
];

/// What a field that is one value of this header makes of it.
fn message_with(name: &str, value: &[u8]) -> Option<Message> {
    let head = [b"ACK sip:a@b SIP/2.0\r\n", name.as_bytes(), b": ", value, b"\r\n\r\n"].concat();
    Message::parse(head.into()).ok().filter(|message| message.headers().count() == 1)
}

/// As [`Message::dialog_ids`] reads a tag, without a short way.
fn tag_of(message: &Message, header: Header) -> Result<Option<&[u8]>, HeaderError> {
    let address: NameAddr<'_> = message.required(header)?;
    for param in address.params() {
        let from = message.index.first_entry(header).map_or(0, |entry| entry.fault_offset());
        let fault = |error| crate::value::at(header, from, error);
        let param = param.map_err(fault)?;
        if param.name.eq_ignore_ascii_case("tag") {
            address.params().check_token(&param).map_err(fault)?;
            return Ok(param.value.map(|value| value.as_bytes()));
        }
    }
    Ok(None)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn texts_are_of_a_class_if_each_byte_is(
        v in prop_oneof![
            nearly(&["b80be7cc4c773fbe", "z9hG4bK-524287-1---7a3f3e1d", "a84b4c76e66710@pc33.atlanta.com", "x.y_z-0123456789"]),
            proptest::collection::vec(any::<u8>(), 0..40),
        ],
    ) {
        for class in [scan::TOKEN, scan::WORD, scan::HEX, scan::DIGIT] {
            let all = !v.is_empty() && v.iter().all(|&b| scan::is(b, class));
            prop_assert_eq!(scan::all(&v, class), all);
        }
        let token = v.iter().position(|&b| !scan::is(b, scan::TOKEN)).unwrap_or(v.len());
        prop_assert_eq!(scan::token_end(&v), token);
        let mut words = v.split(|&b| b == b'@');
        let each = words.clone().count() <= 2 && words.all(|word| word.iter().all(|&b| scan::is(b, scan::WORD)) && !word.is_empty());
        prop_assert_eq!(CallId::check_form(&v).is_ok(), each);
    }

    #[test]
    fn addresses_are_checked_as_they_are_read(v in nearly(ADDRESSES)) {
        let read = NameAddr::parse_value(&v);
        prop_assert_eq!(name_addr::check_form(&v), read.map(drop));
        if let Ok(address) = read {
            prop_assert_eq!(address.check_uri(), address.uri().map(drop));
        }
    }

    #[test]
    fn tags_are_those_among_the_parameters(from in nearly(ADDRESSES), to in nearly(ADDRESSES)) {
        for (name, header, value) in [("From", Header::From, from), ("t", Header::To, to)] {
            let Some(message) = message_with(name, &value) else { continue };
            let tag = tag_of(&message, header);
            if let Some(short) = message.field(header).and_then(name_addr::only_tag) {
                prop_assert_eq!(Ok(short), tag);
            }
            let Ok(address) = message.required::<NameAddr<'_>>(header) else { continue };
            prop_assert_eq!(address.tag().is_ok(), tag.is_ok());
            if let (Ok(read), Ok(tag)) = (address.tag(), tag) {
                prop_assert_eq!(read.map(str::as_bytes), tag);
            }
        }
    }

    #[test]
    fn uris_are_checked_as_they_are_read(v in nearly(URIS)) {
        prop_assert_eq!(Uri::check(&v), Uri::parse(&v).map(drop));
    }

    #[test]
    fn a_usual_via_is_what_the_long_way_reads(v in nearly(VIAS)) {
        if let Some([sent_by, received]) = via::usual_addresses(&v) {
            let message = message_with("Via", &v);
            prop_assert!(message.is_some());
            let Some(message) = message else { return Ok(()) };
            let vias: Result<Vec<Via<'_>>, _> = message.vias().collect();
            prop_assert_eq!(vias.as_ref().map(Vec::len), Ok(1));
            let via = vias.map_err(|_| TestCaseError::fail("no Via"))?[0];
            prop_assert_eq!(via.sent_by().map(|(host, _)| host.ip()), Ok(sent_by));
            let read = via.branch_and_received().map(|(branch, ip)| (branch.and_then(|raw| raw.value), ip));
            prop_assert_eq!(read.map(|(_, ip)| ip), Ok(received));
            prop_assert!(read.is_ok_and(|(branch, _)| branch.is_none_or(|branch| branch.len() > 7)));
        }
    }

    #[test]
    fn a_cseq_is_digits_white_space_and_a_method(
        v in nearly(&["1 INVITE", "4294967295 BYE", "00000000000000000000000009\r\n  ACK", "1111 SUBSCRIBE", "7 X-Y", "3 OPTIONS"]),
    ) {
        let digits = v.iter().take_while(|b| b.is_ascii_digit()).count();
        let space = v[digits..].iter().take_while(|b| scan::is(**b, scan::LWS)).count();
        let number = core::str::from_utf8(&v[..digits]).ok().and_then(|n| n.parse::<u32>().ok());
        let method = Method::parse(&v[digits + space..]).filter(|_| space > 0);
        let expected = number.zip(method).map(|(number, method)| CSeq { number, method });
        prop_assert_eq!(CSeq::parse_value(&v).ok(), expected);
    }
}
