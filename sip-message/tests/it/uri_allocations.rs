//! Reading, comparing and hashing URIs, taking bodies apart and Digest arithmetic leave the heap alone.

#![allow(clippy::unwrap_used)]

use crate::counting::allocations;
use bytes::Bytes;
use sip_message::uri::UriBuf;
use sip_message::{Message, Uri};
use std::hash::{DefaultHasher, Hasher};
use std::hint::black_box;

const URIS: [&str; 8] = [
    "sip:alice:pw@atlanta.com:5070;transport=tcp;maddr=[2001:db8::1];ttl=15;user=ip;method=INVITE;lr;ob",
    "sip:%61lice@[2001:db8:::192.0.2.1];%6C%72;gr=x",
    "sips:alice@atlanta.com?subject=project%20x&priority=urgent",
    "sip:a@192.0.2.1;a;b;c;d;e;f;g;h;i;j;k;l;m;n;o;p;q;r;s;t;u;v;w;x;y;z;%61a;bb;cc",
    "tel:+1-201-555-0123;ext=4;x=%61",
    "tel:7042;phone-context=example.com",
    "urn:service:sos.fire",
    "http://example.com/",
];

#[test]
fn reading_uris() {
    let count = allocations(|| {
        for text in URIS {
            let uri = Uri::parse(text.as_bytes()).unwrap();
            black_box((uri.scheme(), uri.as_str()));
            let mut hasher = DefaultHasher::new();
            uri.hash_canonical(&mut hasher);
            black_box(hasher.finish());
            match uri {
                Uri::Sip(sip) => {
                    let _ = black_box((sip.user(), sip.password(), sip.host(), sip.port(), sip.transport()));
                    let _ =
                        black_box((sip.maddr(), sip.ttl(), sip.user_param(), sip.method_param(), sip.lr(), sip.gr()));
                    black_box((sip.params().count(), sip.headers().count(), sip.headers().get("subject")));
                    black_box(sip.user().map(|user| user.octets().count()));
                }
                Uri::Tel(tel) => {
                    black_box((tel.digits().count(), tel.context(), tel.ext(), tel.isub()));
                    black_box(tel.mandatory_params().count());
                }
                Uri::Urn(urn) => {
                    black_box((urn.service(), urn.is_emergency()));
                }
                _ => {}
            }
        }
    });
    assert_eq!(count, 0);
}

#[test]
fn comparing_and_keeping_uris() {
    let parse = |text: &'static str| Uri::parse(text.as_bytes()).unwrap();
    let pairs = [
        ("sip:a@b;x=1;transport=tcp;y;z", "sip:%61@B;TRANSPORT=%74cp;w;v"),
        ("sip:a@b;maddr=[::1]", "sip:a@b;maddr=[0::1]"),
        ("tel:+1-2;x=y;ext=1", "tel:+12;ext=1;X=Y"),
    ]
    .map(|(a, b)| (parse(a), parse(b)));
    let owned = UriBuf::parse("sip:a@b;lr").unwrap();
    let count = allocations(|| {
        for (a, b) in &pairs {
            assert!(a.equivalent(b));
        }
        assert!(owned.clone().as_uri().as_sip().unwrap().lr());
    });
    assert_eq!(count, 0);
}

#[test]
fn taking_a_body_apart() {
    let message = Message::parse(Bytes::from_static(
        b"INVITE sip:a@b SIP/2.0\r\nContent-Type: multipart/mixed;boundary=\"b\"\r\n\r\n--b\r\n\
          Content-Type: multipart/alternative;boundary=bb\r\n\r\n--bb\r\nContent-Type: application/sdp\r\n\
          Content-ID: <1>\r\n\r\nv=0\r\n--bb--\r\n--b\r\n\r\nx\r\n--b--",
    ))
    .unwrap();
    let count = allocations(|| {
        assert_eq!(message.body_of_type("application/sdp"), Some(&b"v=0"[..]));
        for part in message.body_parts(4) {
            let part = part.unwrap();
            black_box((part.content_id(), part.fields().count(), part.disposition().unwrap()));
        }
    });
    assert_eq!(count, 0);
}

#[cfg(feature = "digest")]
#[test]
fn digests() {
    use sip_message::digest::{DigestAlgorithm, DigestInput, DigestSecret, NonceCount, Qop, userhash};
    let count = allocations(|| {
        for algorithm in DigestAlgorithm::ALL {
            let nc = NonceCount::new(1);
            let input =
                DigestInput { qop: Some(Qop::AuthInt), nc: nc.as_bytes(), body: b"v=0", ..DigestInput::default() };
            let secret = DigestSecret::new(algorithm, b"a", b"b", b"c");
            let response = secret.response(&input);
            assert!(secret.verify(&input, response.as_bytes()));
            black_box((secret.rspauth(&input), userhash(algorithm, b"a", b"b")));
        }
    });
    assert_eq!(count, 0);
}
