//! Every known header with values its grammar has and values it does not have, and where the fault is.

use super::check_value;
use crate::error::{ValueError, ValueFault as F};
use crate::header::Header as H;
use alloc::vec::Vec;

/// A header, values that are right, and values that are wrong with the fault and its offset.
type Row = (H, &'static [&'static str], &'static [(&'static str, F, usize)]);

const ADDRESS: &[&str] = &[
    "<sip:p1.example.com;lr>",
    "<sip:p1.example.com;lr>,<sip:p2.example.com;lr> ;x=y",
    "\"a, b\" <sip:a@b>;q=\"1,2\"",
];
const BAD_ADDRESS: &[(&str, F, usize)] = &[
    ("", F::Empty, 0),
    ("sip:p1.example.com", F::Brackets, 0),
    ("<sip:p1.example.com", F::Unclosed, 0),
    ("<sip:a@b>,", F::Empty, 10),
    ("<sip:a@b>, , <sip:c@d>", F::Empty, 11),
    ("<sip:a@b>;", F::Param, 10),
    ("<sip:a@b> x", F::Trailing, 10),
    ("<>", F::Uri, 1),
    ("<sip:a@b>, <sip:c@d>;x=1;X=2", F::Param, 25),
];
const TAGS: &[&str] = &["100rel", "100rel,timer", "100rel\r\n , timer"];
const BAD_TAGS: &[(&str, F, usize)] = &[
    ("a,", F::Empty, 2),
    (",a", F::Empty, 0),
    ("a,,b", F::Empty, 2),
    ("a b", F::Character, 1),
    ("a;b", F::Character, 1),
];
const SECONDS: &[&str] = &["0", "3600", "4294967295", "4294967296", "99999999999999999999999"];
const BAD_SECONDS: &[(&str, F, usize)] = &[
    ("", F::Empty, 0),
    ("+5", F::Number, 0),
    ("-1", F::Number, 0),
    ("soon", F::Number, 0),
    ("3600 s", F::Character, 4),
    ("36.5", F::Character, 2),
];
const INTEGERS: &[&str] = &["0", "70", "4294967295"];
const BAD_INTEGERS: &[(&str, F, usize)] =
    &[("", F::Empty, 0), ("4294967296", F::Number, 0), ("+1", F::Number, 0), ("7x", F::Character, 1)];
const INFO: &[&str] = &["<http://www.example.com/alice/photo.jpg>;purpose=icon", "<a:b>, <a:c>;x", "<sip:a@b>"];
const BAD_INFO: &[(&str, F, usize)] = &[
    ("", F::Empty, 0),
    ("http://www.example.com/", F::Character, 0),
    ("<http://www.example.com/", F::Unclosed, 0),
    ("<a:b>,", F::Empty, 6),
    ("<a:b> purpose=icon", F::Trailing, 6),
    ("<a:b>;purpose=", F::Param, 14),
];
const TEXT: &[&str] = &["", "Need more boxes", "caf\u{e9}\r\n bar", "(\"<>;,"];
const BAD_TEXT: &[(&str, F, usize)] = &[("a\0b", F::Character, 1), ("a\u{7f}", F::Character, 1)];
const PRODUCTS: &[&str] = &[
    "HomeServer v2",
    "Softphone/Beta1.5",
    "a/1 (b (c \\) d) \"e) f/2",
    "kamailio (5.2.1 (x86_64/linux))",
    "(only a comment)",
    "FPBX-13.0(13.18)",
];
const BAD_PRODUCTS: &[(&str, F, usize)] = &[
    ("", F::Empty, 0),
    ("a/", F::Incomplete, 2),
    ("a/1/2", F::Character, 3),
    ("a (b", F::Unclosed, 2),
    ("a b)", F::Character, 3),
    ("a:b", F::Character, 1),
    ("a (b\\", F::Character, 4),
];
const CHALLENGES: &[&str] = &[
    "Digest realm=\"a, b\", nonce=\"c\", qop=\"auth,auth-int\", stale=FALSE, algorithm=MD5",
    "Digest realm=\"a\", nonce=\"b\", algorithm=\"SHA-256\", Digest realm=\"a\",nonce=\"c\"",
    "NoOneKnowsThisScheme opaque-data=here",
    "Bearer authz_server=\"https://as.example.com\", scope=\"sip\", Digest nonce=\"\", realm=\"\"",
];
const BAD_CHALLENGES: &[(&str, F, usize)] = &[
    ("", F::Empty, 0),
    ("Digest", F::Incomplete, 6),
    ("Digest realm=\"a\"", F::Incomplete, 16),
    ("Digest realm=\"a\", nonce=\"b", F::Unclosed, 24),
    ("Digest realm=\"a\" nonce=\"b\"", F::Trailing, 17),
    ("Digest realm=\"a\",", F::Incomplete, 17),
    ("Digest realm=\"a\", nonce=\"b\", realm=\"c\"", F::Param, 29),
    ("Digest realm=\"a\", nonce=\"b\", algorithm=\"M D\"", F::Param, 39),
    ("Digest realm, nonce=\"b\"", F::Param, 12),
    ("Digest =\"a\"", F::Character, 7),
];
const CREDENTIALS: &[&str] = &[
    "Digest username=\"bob\",realm=\"a\",nonce=\"n\",uri=\"sip:a@b\",response=\"6629fae49393a05397450978507c4ef1\"",
    "Digest username=\"\", realm=\"a\", nonce=\"\", uri=\"sip:a\", response=\"\"",
    "Digest username*=UTF-8''J, realm=\"a\", nonce=\"n\", uri=\"u\", response=\"00\", qop=auth, nc=00000001, cnonce=\"c\"",
    "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
    "Bearer eyJhbGciOiJIUzI1NiJ9.e30.abc-_",
    "NoOneKnowsThisScheme opaque-data=here",
];
const BAD_CREDENTIALS: &[(&str, F, usize)] = &[
    ("", F::Empty, 0),
    ("Digest username=\"bob\"", F::Incomplete, 21),
    ("Digest username=\"b\", realm=\"a\", nonce=\"n\", uri=\"u\", response=\"xy\"", F::Param, 61),
    ("Digest username=\"b\", realm=\"a\", nonce=\"n\", uri=\"u\", response=\"0\", nc=1", F::Number, 69),
    ("Digest username=\"b\", realm=\"a\", nonce=\"n\", uri=\"u\", response=\"0\", nc=+0000001", F::Number, 69),
    ("Basic a b", F::Param, 8),
];
const REPLACES: &[&str] = &[
    "98732@sip.example.com\r\n  ;from-tag=r33th4x0r\r\n  ;to-tag=ff87ff",
    "12adf2f34456gs5;to-tag=12345;from-tag=54321;early-only",
    "a\"b<c@d;to-tag=0;from-tag=0",
];
const BAD_REPLACES: &[(&str, F, usize)] = &[
    ("", F::Empty, 0),
    (";to-tag=1;from-tag=2", F::Empty, 0),
    ("a@b", F::Incomplete, 3),
    ("a@b;to-tag=1", F::Incomplete, 12),
    ("a@b;to-tag;from-tag=2", F::Param, 4),
    ("a@b;to-tag=1;to-tag=1;from-tag=2", F::Param, 13),
    ("a@b c;to-tag=1;from-tag=2", F::Character, 3),
    ("a@b;to-tag=\"1\";from-tag=2", F::Param, 11),
];
const EVENT_TYPE: &[(&str, F, usize)] = &[
    ("", F::Empty, 0),
    (".winfo", F::Character, 0),
    ("presence.", F::Incomplete, 9),
    ("presence..winfo", F::Character, 9),
];
const MECHANISMS: &[&str] = &["tls", "ipsec-ike;q=0.1", "digest;d-alg=MD5;d-qop=auth;q=0.2, tls;q=0.1"];
const BAD_MECHANISMS: &[(&str, F, usize)] = &[
    ("", F::Empty, 0),
    ("tls;q=1.1", F::Number, 6),
    ("digest;d-ver=\"12\"", F::Param, 13),
    ("tls,", F::Empty, 4),
    ("tls q=1", F::Trailing, 4),
];
const FEATURES: &[&str] = &["*", "*;audio;require", "*;+sip.message=\"TRUE\";explicit, *;class=\"!business\""];
const BAD_FEATURES: &[(&str, F, usize)] = &[
    ("", F::Empty, 0),
    ("audio", F::Character, 0),
    ("*audio", F::Trailing, 1),
    //= https://www.rfc-editor.org/rfc/rfc3841#section-10
    //= type=test
    //# Despite the BNF, there MUST NOT be more than one req-param or
    //# explicit-param in an ac-params.
    ("*;require;require", F::Param, 10),
    ("*;explicit;EXPLICIT", F::Param, 11),
];
const MODE: &[&str] = &["Manual", "Auto;require"];
const BAD_MODE: &[(&str, F, usize)] = &[("", F::Empty, 0), ("Auto require", F::Trailing, 5), ("Auto;", F::Param, 5)];
const AUTH_INFO: &[&str] =
    &["nextnonce=\"47364c23432d2e131a5fb210812c\"", "qop=auth, rspauth=\"0a\", cnonce=\"x\",nc=0000000a"];
const BAD_AUTH_INFO: &[(&str, F, usize)] = &[
    ("", F::Empty, 0),
    ("nextnonce=\"a\",", F::Incomplete, 14),
    ("nc=1", F::Number, 3),
    ("rspauth=\"x\"", F::Param, 8),
];
const IDENTITY: &[&str] = &["\"Cullen Jennings\" <sip:fluffy@cisco.com>", "sip:a@b", "<sip:a@b>, tel:+14085264000"];
const BAD_IDENTITY: &[(&str, F, usize)] = &[
    ("", F::Empty, 0),
    ("<sip:a@b>;x=y", F::Trailing, 12),
    ("sip:a@b;user=phone", F::Trailing, 13),
    ("sip:a,b@c", F::Character, 7),
];
const RESOURCE: &[(&str, F, usize)] =
    &[("ets", F::Form, 0), ("a.b.c", F::Form, 0), (".b", F::Form, 0), ("a.", F::Form, 0)];
const STRINGS: &[&str] = &["56a390f3d2b7310023a2;encoding=hex;purpose=foo", "\"a, b\";x", "other.net, \"net\""];
const BAD_STRINGS: &[(&str, F, usize)] = &[("", F::Empty, 0), ("\"a", F::Unclosed, 0), ("a b", F::Trailing, 2)];
const URNS: &[&str] = &["urn:urn-7:3gpp-service.exampletelephony.version1", "urn:a:b, urn:a:c"];
const BAD_URNS: &[(&str, F, usize)] = &[("", F::Empty, 0), ("urn", F::Incomplete, 3), ("urn:a:b,", F::Empty, 8)];

const TABLE: &[Row] = &[
    (
        H::Via,
        &["SIP/2.0/UDP a;branch=z9hG4bK1, SIP / 2.0 / TCP b:5061;rport"],
        &[("", F::Empty, 0), ("SIP/2.0/UDP a,", F::Empty, 14), ("SIP/2.0/UDP a, SIP/2.0/UDP b;ttl=256", F::Number, 33)],
    ),
    (
        H::From,
        &["Alice <sip:alice@atlanta.com>;tag=1928301774", "sip:a@b;tag=1", "<sip:a,b@c>"],
        &[
            ("", F::Empty, 0),
            ("<sip:a@b>;tag=", F::Param, 14),
            ("<sip:a@b>;tag", F::Param, 10),
            ("<sip:a@b>, <sip:c@d>", F::Trailing, 9),
        ],
    ),
    (H::To, &["<sip:bob@biloxi.com>"], &[("<sip:a@b>;tag=\"x\"", F::Param, 14), ("<sip:a@b", F::Unclosed, 0)]),
    (
        H::CallId,
        &["a84b4c76e66710@pc33.atlanta.com", "()<>:\\\"/[]?{}"],
        &[
            ("", F::Empty, 0),
            ("a@", F::Character, 2),
            ("a@b@c", F::Character, 3),
            ("a\0b", F::Character, 1),
            ("a b", F::Character, 1),
            ("a,b", F::Character, 1),
        ],
    ),
    (
        H::CSeq,
        &["314159 INVITE", "0 x\u{60}y"],
        &[("314159", F::Incomplete, 6), ("4294967296 INVITE", F::Number, 0), ("1 ", F::Method, 2)],
    ),
    (H::MaxForwards, INTEGERS, BAD_INTEGERS),
    (
        H::Contact,
        &["*", "<sip:a@b>;q=0.5;expires=60, sip:c@d", "<sip:a@b>;expires=soon"],
        &[
            ("", F::Empty, 0),
            ("*, <sip:a@b>", F::Form, 0),
            ("<sip:a@b>, *", F::Form, 11),
            ("<sip:a@b>,", F::Empty, 10),
            ("sip:user@example.com?Route=x", F::Brackets, 20),
        ],
    ),
    (
        H::ContentLength,
        &["0", "18446744073709551615"],
        &[("", F::Empty, 0), ("+5", F::Number, 0), ("18446744073709551616", F::Number, 0)],
    ),
    (
        H::ContentType,
        &["application/sdp", "text / html; charset=ISO-8859-4", "multipart/mixed;boundary=\"a;b\""],
        &[
            ("", F::Empty, 0),
            ("application", F::Incomplete, 11),
            ("application/", F::Incomplete, 12),
            ("application/sdp;charset", F::Param, 16),
            ("application/sdp, text/plain", F::Trailing, 15),
            ("application;sdp", F::Character, 11),
        ],
    ),
    (H::Route, ADDRESS, BAD_ADDRESS),
    (H::RecordRoute, ADDRESS, BAD_ADDRESS),
    (H::Path, ADDRESS, BAD_ADDRESS),
    (H::ServiceRoute, ADDRESS, BAD_ADDRESS),
    (H::RemotePartyId, ADDRESS, BAD_ADDRESS),
    (H::PAssociatedUri, &["", "<sip:a@b>;x"], &[("sip:a@b", F::Brackets, 0), ("<sip:a@b>,", F::Empty, 10)]),
    (H::Expires, SECONDS, BAD_SECONDS),
    (H::MinExpires, SECONDS, BAD_SECONDS),
    (H::FlowTimer, SECONDS, BAD_SECONDS),
    (H::Require, TAGS, BAD_TAGS),
    (H::ProxyRequire, TAGS, BAD_TAGS),
    (H::Unsupported, TAGS, BAD_TAGS),
    (H::ContentEncoding, TAGS, BAD_TAGS),
    (H::Supported, &["", "100rel, timer"], BAD_TAGS),
    (H::PEarlyMedia, &["", "supported", "sendonly, gated"], BAD_TAGS),
    (H::Event, &["presence", "presence.winfo;id=1;x=\"y\"", "foo.p1.p2"], EVENT_TYPE),
    (H::Event, &["a;b"], &[("presence;id", F::Param, 9), ("presence,dialog", F::Trailing, 8)]),
    (H::AllowEvents, &["presence", "presence.winfo , dialog"], EVENT_TYPE),
    (
        H::Accept,
        &["", "*/*", "text/*;q=0.5, application/sdp;level=1", "*/*;q=1.000"],
        &[
            ("*/sdp", F::Form, 0),
            ("text", F::Incomplete, 4),
            ("text/plain,", F::Empty, 11),
            ("text/plain;q=2", F::Number, 13),
            ("text/plain;q", F::Number, 11),
        ],
    ),
    (
        H::AcceptEncoding,
        &["", "gzip", "gzip;q=1.0, identity; q=0.5, *;q=0"],
        &[("gzip;q=0.1234", F::Number, 7), ("gzip,,", F::Empty, 5)],
    ),
    (
        H::AcceptLanguage,
        &["", "da, en-gb;q=0.8, en;q=0.7", "*", "es-419"],
        &[
            ("en-", F::Incomplete, 3),
            ("abcdefghi", F::Character, 8),
            ("1a", F::Character, 0),
            ("en_GB", F::Trailing, 2),
        ],
    ),
    (H::AcceptContact, FEATURES, BAD_FEATURES),
    (H::RejectContact, FEATURES, BAD_FEATURES),
    (H::FeatureCaps, FEATURES, BAD_FEATURES),
    (H::AcceptResourcePriority, &["", "dsn.flash"], RESOURCE),
    (H::ResourcePriority, &["ets.0", "dsn.flash-override, q735.3"], RESOURCE),
    (H::AlertInfo, INFO, BAD_INFO),
    (H::CallInfo, INFO, BAD_INFO),
    (H::ErrorInfo, INFO, BAD_INFO),
    (H::Geolocation, INFO, BAD_INFO),
    (H::PolicyContact, INFO, BAD_INFO),
    (H::IdentityInfo, &["<https://example.com/cert>;alg=rsa-sha1"], &[("https://example.com/cert", F::Character, 0)]),
    (H::ReferEventsAt, &["<sips:vPT3izGmo8NTxaPADRZvEAY22BKx@example.com;gr>"], &[("sips:a@b", F::Character, 0)]),
    (
        H::Allow,
        &["", "INVITE, ACK,OPTIONS", "invite, x!y"],
        &[("INVITE,", F::Empty, 7), ("IN VITE", F::Character, 2), ("INVITE, \"ACK\"", F::Character, 8)],
    ),
    (H::AnswerMode, MODE, BAD_MODE),
    (H::PrivAnswerMode, MODE, BAD_MODE),
    (H::PAnswerState, &["Confirmed", "Unconfirmed;x"], BAD_MODE),
    (H::AuthenticationInfo, AUTH_INFO, BAD_AUTH_INFO),
    (H::ProxyAuthenticationInfo, AUTH_INFO, BAD_AUTH_INFO),
    (H::WwwAuthenticate, CHALLENGES, BAD_CHALLENGES),
    (H::ProxyAuthenticate, CHALLENGES, BAD_CHALLENGES),
    (H::Authorization, CREDENTIALS, BAD_CREDENTIALS),
    (H::ProxyAuthorization, CREDENTIALS, BAD_CREDENTIALS),
    (
        H::ContentDisposition,
        &["session", "attachment; filename=smime.p7s; handling=required"],
        &[("", F::Empty, 0), ("session;handling", F::Param, 8), ("session, icon", F::Trailing, 7)],
    ),
    (
        H::ContentLanguage,
        &["fr", "en-US, de-1996"],
        &[("", F::Empty, 0), ("fr,", F::Empty, 3), ("en us", F::Character, 2)],
    ),
    (
        H::Date,
        &["Sat, 13 Nov 2010 23:29:00 GMT", "Tue, 29 Feb 2000 00:00:00 GMT"],
        &[
            ("", F::Empty, 0),
            ("Fri, 01 Jan 2010 16:00:00 EST", F::Date, 26),
            ("Sat, 13 nov 2010 23:29:00 GMT", F::Date, 8),
            ("sat, 13 Nov 2010 23:29:00 GMT", F::Date, 0),
            ("Sat, 13 Nov 2010 24:29:00 GMT", F::Date, 17),
            ("Sat, 31 Nov 2010 23:29:00 GMT", F::Date, 5),
            ("Sat, 29 Feb 1900 23:29:00 GMT", F::Date, 5),
            ("Sat, 13 Nov 2010 23:29:00", F::Incomplete, 25),
            ("Sat, 13 Nov 2010 23:29:00 GMT+1", F::Trailing, 29),
            ("Sat, 3 Nov 2010 23:29:00 GMT", F::Date, 6),
            ("Saturday, 13-Nov-10 23:29:00 GMT", F::Date, 3),
        ],
    ),
    (
        H::Diversion,
        &["<sip:a@b>;reason=user-busy;counter=1", "\"x\" <tel:+1>;privacy=\"full\", <sip:a@b>"],
        &[("sip:a@b", F::Brackets, 0), ("<sip:a@b>;counter=x", F::Number, 18), ("<sip:a@b>;limit=100", F::Number, 16)],
    ),
    (
        H::GeolocationError,
        &["100", "200;code=\"Permission To Use Location Information\""],
        &[("", F::Empty, 0), ("1000", F::Number, 0), ("x", F::Character, 0), ("100 x", F::Trailing, 4)],
    ),
    (H::GeolocationRouting, &["yes", "no"], &[("", F::Empty, 0), ("yes no", F::Character, 3)]),
    (
        H::HistoryInfo,
        &["<sip:bob@example.com>;index=1", "<sip:a@b>;index=1.2.10;rc=1.2, <sip:c@d>;np=1;mp=0"],
        &[
            ("sip:bob@example.com;index=1", F::Brackets, 0),
            ("<sip:a@b>;index=1.", F::Param, 16),
            ("<sip:a@b>;index=.1", F::Param, 16),
            ("<sip:a@b>;index=1.02", F::Param, 16),
            ("<sip:a@b>;index=1..2", F::Param, 16),
            ("<sip:a@b>;index", F::Param, 10),
            ("<sip:a@b>, <sip:a@b>;index=+1", F::Param, 27),
        ],
    ),
    (
        H::Identity,
        &[
            "..rq3pjT1hoRwakEGjHCnWSwUnshd0-zJ6F1VOgFWSjHBr8Qjpjlk-cp;info=<https://biloxi.example.org/biloxi.cert>",
            "a.b.c ; alg=ES256;info = <https://example.org/c>;ppt=\"shaken\"",
        ],
        &[
            ("", F::Empty, 0),
            (";info=<a:b>", F::Character, 0),
            ("a.b.c", F::Incomplete, 5),
            ("a.b.c;alg=ES256", F::Incomplete, 15),
            ("a.b.c;info=https://x", F::Character, 11),
            ("a.b.c;info=<https://x", F::Unclosed, 11),
            ("a.b.c info=<a:b>", F::Trailing, 6),
            ("a.b.c;info=<a:b> x", F::Trailing, 17),
            ("a.b.c;info=<>", F::Uri, 12),
        ],
    ),
    (H::InfoPackage, &["conference", "foo;bar=1"], &[("", F::Empty, 0), ("a, b", F::Trailing, 1)]),
    (H::RecvInfo, &["", "foo", "foo;x=1, bar"], &[("foo,", F::Empty, 4)]),
    (
        H::InReplyTo,
        &["70710@saturn.bell-tel.com, 17320@saturn.bell-tel.com", "a\"<, b"],
        &[("", F::Empty, 0), ("a, b c", F::Character, 4), ("a,", F::Empty, 2)],
    ),
    (H::Replaces, REPLACES, BAD_REPLACES),
    (H::Join, REPLACES, BAD_REPLACES),
    (
        H::TargetDialog,
        &["fa77as7dad8-sd98ajzz@host.example.com\r\n ;local-tag=kkaz-\r\n ;remote-tag=6544", "a"],
        &[("", F::Empty, 0), ("a;local-tag=\"x\"", F::Param, 12), ("a,b", F::Character, 1)],
    ),
    (H::MaxBreadth, INTEGERS, BAD_INTEGERS),
    (H::RSeq, INTEGERS, BAD_INTEGERS),
    (H::RAck, &["776656 1 INVITE"], &[("776656 INVITE", F::Number, 7), ("1 2", F::Incomplete, 3)]),
    (
        H::MimeVersion,
        &["1.0"],
        &[
            ("", F::Empty, 0),
            ("1", F::Incomplete, 1),
            ("1.", F::Number, 2),
            ("1.0 (x)", F::Character, 3),
            ("1.4294967296", F::Number, 2),
        ],
    ),
    (H::MinSe, &["90", "60;lr;x=y"], &[("", F::Empty, 0), ("90 x", F::Trailing, 3), ("x", F::Number, 0)]),
    (
        H::SessionExpires,
        &["1800", "4000;refresher=UAC", "4294967296;x"],
        &[
            ("", F::Empty, 0),
            ("1800;refresher=proxy", F::Param, 15),
            ("1800;refresher", F::Param, 5),
            ("-1", F::Number, 0),
            ("1800 1900", F::Trailing, 5),
        ],
    ),
    (H::Organization, TEXT, BAD_TEXT),
    (H::Subject, TEXT, BAD_TEXT),
    (
        H::PAccessNetworkInfo,
        &[
            "3GPP-UTRAN-TDD; utran-cell-id-3gpp=234151D0FCE11",
            "IEEE-802.11;network-provided, ADSL2+;dsl-location=\"x,y\"",
        ],
        &[("", F::Empty, 0), ("ADSL;", F::Param, 5), ("ADSL x", F::Trailing, 5)],
    ),
    (H::PAssertedIdentity, IDENTITY, BAD_IDENTITY),
    (H::PPreferredIdentity, IDENTITY, BAD_IDENTITY),
    (H::PAssertedService, URNS, BAD_URNS),
    (H::PPreferredService, URNS, BAD_URNS),
    (H::PCalledPartyId, &["<sip:user1-business@example.com>;x"], &[("sip:a@b", F::Brackets, 0)]),
    (
        H::PChargingFunctionAddresses,
        &["ccf=192.1.1.1; ccf=192.1.1.2", "ccf=\"a\";ecf=[2001:db8::1], x"],
        &[("", F::Empty, 0)],
    ),
    (
        H::PChargingVector,
        &["icid-value=\"1234bc9876e\"; icid-generated-at=192.0.6.8; orig-ioi=home1.net"],
        &[
            ("", F::Empty, 0),
            ("orig-ioi=a;icid-value=1", F::Form, 0),
            ("icid-value", F::Param, 0),
            ("icid-value=1;icid-value=2", F::Param, 24),
            ("icid-value=1 x", F::Trailing, 13),
        ],
    ),
    (H::PVisitedNetworkId, STRINGS, BAD_STRINGS),
    (H::UserToUser, STRINGS, BAD_STRINGS),
    (
        H::PermissionMissing,
        &["sip:userC@example.com", "<sip:a@b>;x, sip:c@d"],
        &[("", F::Empty, 0), ("a", F::Incomplete, 1)],
    ),
    (H::PolicyId, &["sip:policy@example.com;token=x"], &[("", F::Empty, 0)]),
    (
        H::TriggerConsent,
        &["sip:123@relay.example.com;target-uri=\"sip:friends@relay.example.com\""],
        &[("", F::Empty, 0)],
    ),
    (H::Priority, &["emergency", "non-urgent", "x"], &[("", F::Empty, 0), ("a b", F::Character, 1)]),
    (
        H::Privacy,
        &["id", "user; header ;session"],
        &[
            ("", F::Empty, 0),
            ("id;", F::Incomplete, 3),
            (";id", F::Character, 0),
            ("id;;user", F::Character, 3),
            ("id, user", F::Character, 2),
        ],
    ),
    (
        H::Reason,
        &["SIP ;cause=200 ;text=\"Call completed elsewhere\"", "Q.850;cause=16, SIP;cause=600", "x"],
        &[
            ("", F::Empty, 0),
            ("SIP;cause=x", F::Number, 10),
            ("SIP;cause", F::Number, 4),
            ("SIP;text=Terminated", F::Param, 9),
            ("SIP;cause=1;cause=2", F::Param, 12),
            ("SIP,", F::Empty, 4),
        ],
    ),
    (H::ReferSub, &["true", "False;x=y"], &[("", F::Empty, 0), ("yes", F::Form, 0), ("true false", F::Trailing, 5)]),
    (
        H::ReferTo,
        &["sip:alice@atlanta.example.com", "<sip:bob@b?Replaces=1%40c%3Bto-tag%3D2>;x"],
        &[("", F::Empty, 0), ("sip:bob@b?Replaces=1", F::Brackets, 9), ("<sip:a@b>, <sip:c@d>", F::Trailing, 9)],
    ),
    (
        H::ReferredBy,
        &["sip:r@ref.example;cid=\"2UWQFN309shb3@ref.example\"", "<sip:a@b>"],
        &[("", F::Empty, 0), ("<sip:a@b>;cid=x", F::Param, 14), ("<sip:a@b>;cid=\"x\"", F::Param, 14)],
    ),
    (H::ReplyTo, &["Bob <sip:bob@biloxi.com>", "sip:a@b;x"], &[("", F::Empty, 0), ("<sip:a@b", F::Unclosed, 0)]),
    (
        H::RequestDisposition,
        &["proxy, recurse, parallel", "No-Fork", "queue"],
        &[("", F::Empty, 0), ("proxy,", F::Empty, 6)],
    ),
    (
        H::RetryAfter,
        &["18000;duration=3600", "120 (I'm in a meeting (a, b))", "0"],
        &[
            ("", F::Empty, 0),
            ("120 (x", F::Unclosed, 4),
            ("120 x", F::Trailing, 4),
            ("120;duration=x", F::Number, 13),
            ("Thu, 01 Dec 1994 16:00:00 GMT", F::Number, 0),
        ],
    ),
    (H::SecurityClient, MECHANISMS, BAD_MECHANISMS),
    (H::SecurityServer, MECHANISMS, BAD_MECHANISMS),
    (H::SecurityVerify, MECHANISMS, BAD_MECHANISMS),
    (H::Server, PRODUCTS, BAD_PRODUCTS),
    (H::UserAgent, PRODUCTS, BAD_PRODUCTS),
    (
        H::SessionId,
        &["f81d4fae7dec11d0a76500a0c91e6bf6;remote=00000000000000000000000000000000"],
        &[("", F::Empty, 0), ("f81d", F::Form, 0), ("f81d4fae7dec11d0a76500a0c91e6bf6;remote=1", F::Param, 40)],
    ),
    (H::SipEtag, &["12345"], &[("", F::Empty, 0), ("a b", F::Character, 1), ("\"a\"", F::Character, 0)]),
    (H::SipIfMatch, &["12345"], &[("", F::Empty, 0)]),
    (H::SuppressIfMatch, &["*", "12345"], &[("", F::Empty, 0)]),
    (
        H::SubscriptionState,
        &["active;expires=599", "terminated;reason=noresource;retry-after=5", "x"],
        &[
            ("", F::Empty, 0),
            ("active;expires=x", F::Number, 15),
            ("active;expires", F::Number, 7),
            ("terminated;reason=\"x\"", F::Param, 18),
            ("active pending", F::Trailing, 7),
        ],
    ),
    (
        H::Timestamp,
        &["54", "54.21 0.7", "1. .", "99999999999999999999"],
        &[
            ("", F::Empty, 0),
            ("x", F::Number, 0),
            (".5", F::Number, 0),
            ("5.5.5", F::Character, 3),
            ("5 x", F::Character, 2),
        ],
    ),
    (
        H::Warning,
        &[
            "307 isi.edu \"Session parameter 'foo' not understood\"",
            "301 isi.edu:5060 \"a, b\", 399 [2001:db8::1] \"c\", 370 pseudo_nym \"\"",
        ],
        &[
            ("", F::Empty, 0),
            ("30 isi.edu \"x\"", F::Number, 0),
            ("3000 isi.edu \"x\"", F::Number, 0),
            ("307", F::Incomplete, 3),
            ("307 isi.edu", F::Incomplete, 11),
            ("307 isi.edu x", F::Character, 12),
            ("307 isi.edu \"x", F::Unclosed, 12),
            ("307 isi.edu \"x\" y", F::Trailing, 16),
            ("307 \"x\"", F::Character, 4),
            ("307 a:b:c \"x\"", F::Host, 4),
            ("307 isi.edu \"x\",", F::Empty, 16),
        ],
    ),
];

#[test]
fn every_header_takes_its_values_and_refuses_others() {
    let mut wrong = Vec::new();
    for (header, good, bad) in TABLE {
        for value in *good {
            match check_value(*header, value.as_bytes()) {
                Some(Ok(())) => {}
                other => wrong.push(alloc::format!("{header}: {value:?} gives {other:?}")),
            }
        }
        for &(value, kind, offset) in *bad {
            let expected = Some(Err(ValueError::new(kind, offset)));
            let found = check_value(*header, value.as_bytes());
            if found != expected {
                wrong.push(alloc::format!("{header}: {value:?} gives {found:?}, not {expected:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_known_header_is_in_the_table() {
    for &header in H::ALL {
        let listed = TABLE.iter().any(|(other, ..)| *other == header);
        assert_eq!(listed, check_value(header, b"x").is_some(), "{header}");
    }
}

/// Every prefix of every value, with any byte at its end: never a panic, and an offset within the value.
#[test]
fn offsets_stay_within_the_value() {
    for (header, good, bad) in TABLE {
        for value in good.iter().copied().chain(bad.iter().map(|(value, ..)| *value)) {
            for end in 0..=value.len() {
                for last in [&b""[..], b"\"", b"<", b"(", b",", b";", b"=", b"\\", b"\0", b"\xff", b"@", b"*", b"1"] {
                    let mut mutated = value.as_bytes()[..end].to_vec();
                    mutated.extend_from_slice(last);
                    let mutated = crate::scan::trim(&mutated);
                    if let Some(Err(error)) = check_value(*header, mutated) {
                        assert!(error.offset <= mutated.len(), "{header}: {:?} {error:?}", mutated.escape_ascii());
                    }
                }
            }
        }
    }
}

mod any_value {
    use super::*;
    use proptest::prelude::*;

    /// Pieces that mean something somewhere, and any byte at all.
    fn value() -> impl Strategy<Value = Vec<u8>> {
        let pieces = [
            "<sip:a@b>",
            "sip:a@b",
            "\"",
            "\\",
            "<",
            ">",
            "(",
            ")",
            ",",
            ";",
            "=",
            "*",
            "/",
            " ",
            "\r\n ",
            "a",
            "tag",
            "q",
            "0.5",
            "4294967296",
            "Digest realm",
            "nonce",
            ":",
            "@",
            ".",
            "'",
            "info",
            "to-tag",
            "text/plain",
            "307 a \"b\"",
        ];
        let piece = prop_oneof![
            8 => proptest::sample::select(pieces.map(str::as_bytes).map(<[u8]>::to_vec).to_vec()),
            1 => any::<u8>().prop_map(|b| Vec::from([b])),
        ];
        proptest::collection::vec(piece, 0..16).prop_map(|pieces| crate::scan::trim(&pieces.concat()).to_vec())
    }

    proptest! {
        /// No bytes at all make a check panic, or point outside of the value.
        #[test]
        fn is_judged(v in value()) {
            for &header in H::ALL {
                let Some(result) = check_value(header, &v) else { continue };
                prop_assert!(result.err().is_none_or(|error| error.offset <= v.len()), "{header}: {result:?}");
                // Values are cut at commas and nowhere else.
                let (first, next) = crate::headers::split_first(header, &v);
                match next {
                    Some(next) => prop_assert!(v.get(next - 1) == Some(&b',') && first.len() == next - 1, "{header}"),
                    None => prop_assert_eq!(first, &v[..], "{}", header),
                }
            }
        }
    }
}
