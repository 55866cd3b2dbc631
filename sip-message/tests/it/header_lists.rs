//! Lists of values: comma-joined and repeated fields read alike, in order, each value with its own outcome.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::header_support::{request, rest_of_line};
use sip_message::headers::compose::Credentials;
use sip_message::headers::{self, Challenge, Date, Token};
use sip_message::{FieldValue, Header, Message, Method, ValueFault};

/// Every header whose grammar is a list, with three values.
const LISTS: &[(Header, [&str; 3])] = &[
    (Header::Accept, ["application/sdp;level=1", "text/*;q=0.5", "*/*"]),
    (Header::AcceptContact, ["*;audio", "*;video;require", "*;+sip.x=\"a,b\""]),
    (Header::AcceptEncoding, ["gzip", "identity;q=0.5", "*"]),
    (Header::AcceptLanguage, ["da", "en-gb;q=0.8", "*"]),
    (Header::AcceptResourcePriority, ["dsn.flash", "ets.0", "wps.1"]),
    (Header::AlertInfo, ["<http://a/b,c>", "<http://d>;x=\"e,f\"", "<http://g>"]),
    (Header::Allow, ["INVITE", "ACK", "x-own"]),
    (Header::AllowEvents, ["presence", "presence.winfo", "dialog"]),
    (Header::CallInfo, ["<http://a/b,c>;purpose=icon", "<http://d>", "<http://g>"]),
    (Header::Contact, ["\"a, b\" <sip:a,b@c>;q=0.5", "sip:d@e;expires=60", "<sip:f@g>"]),
    (Header::ContentEncoding, ["gzip", "x", "y"]),
    (Header::ContentLanguage, ["fr", "en-us", "de"]),
    (Header::Diversion, ["<sip:a@b>;reason=user-busy", "<tel:+1>;privacy=\"a,b\"", "<sip:c@d>"]),
    (Header::ErrorInfo, ["<sip:not-in-service-recording@atlanta.com>", "<a:b>", "<a:c>"]),
    (Header::FeatureCaps, ["*;+sip.x", "*;+g.y=\"a,b\"", "*"]),
    (Header::Geolocation, ["<cid:target123@atlanta.example.com>", "<sips:a@b>;x", "<https://a/b,c>"]),
    (Header::HistoryInfo, ["<sip:a@b>;index=1", "<sip:a@b?Reason=x%2Cy>;index=1.1", "<sip:c@d>;index=1.2;rc=1"]),
    (Header::InReplyTo, ["70710@saturn.bell-tel.com", "a\"<b", "c"]),
    (Header::PAccessNetworkInfo, ["3GPP-UTRAN-TDD;utran-cell-id-3gpp=1", "ADSL;dsl-location=\"a,b\"", "GSTN"]),
    (Header::PAssertedIdentity, ["\"a, b\" <sip:a@b>", "tel:+1", "<sip:c@d>"]),
    (Header::PAssociatedUri, ["<sip:a@b>", "<sip:c,d@e>;x", "<tel:+1>"]),
    (Header::PChargingFunctionAddresses, ["ccf=1;ecf=\"a,b\"", "ccf=2", "ecf=3"]),
    (Header::PEarlyMedia, ["supported", "sendrecv", "gated"]),
    (Header::PPreferredIdentity, ["<sip:a@b>", "tel:+1", "<sip:c@d>"]),
    (Header::PVisitedNetworkId, ["other.net", "\"a, b\";x", "c"]),
    (Header::Path, ["<sip:p1;lr>", "<sip:p2,3;lr>", "<sip:p4;lr>"]),
    (
        Header::ProxyAuthenticate,
        ["Digest realm=\"a, b\",nonce=\"c\"", "Bearer realm=\"x\"", "Digest nonce=\"d\", realm=\"e\""],
    ),
    (Header::ProxyRequire, ["sec-agree", "x", "y"]),
    (Header::Reason, ["SIP;cause=200;text=\"a, b\"", "Q.850;cause=16", "x"]),
    (Header::RecordRoute, ["<sip:p1;lr>", "<sip:p2,3;lr>", "<sip:p4;lr>"]),
    (Header::RecvInfo, ["foo", "bar;x=\"a,b\"", "baz"]),
    (Header::RejectContact, ["*;audio", "*;video", "*"]),
    (Header::RequestDisposition, ["proxy", "no-fork", "queue"]),
    (Header::Require, ["100rel", "timer", "x"]),
    (Header::ResourcePriority, ["dsn.flash", "ets.0", "wps.1"]),
    (Header::Route, ["<sip:p1;lr>", "<sip:p2,3;lr>", "<sip:p4;lr>"]),
    (Header::SecurityClient, ["tls", "digest;d-alg=MD5", "ipsec-ike;q=0.1"]),
    (Header::SecurityServer, ["tls", "digest;d-alg=MD5", "ipsec-ike;q=0.1"]),
    (Header::SecurityVerify, ["tls", "digest;d-alg=MD5", "ipsec-ike;q=0.1"]),
    (Header::ServiceRoute, ["<sip:p1;lr>", "<sip:p2,3;lr>", "<sip:p4;lr>"]),
    (Header::Supported, ["100rel", "timer", "x"]),
    (Header::Unsupported, ["100rel", "timer", "x"]),
    (Header::UserToUser, ["00a1;encoding=hex", "\"a, b\"", "c"]),
    (Header::Via, ["SIP/2.0/UDP a;branch=z9hG4bK1", "SIP/2.0/TCP b;x=\"a,b\"", "SIP/2.0/TLS c:5061"]),
    (Header::Warning, ["307 isi.edu \"a, b\"", "301 isi.edu:5060 \"c\"", "399 x \"\""]),
    (
        Header::WwwAuthenticate,
        ["Digest realm=\"a, b\",nonce=\"c\"", "Bearer realm=\"x\"", "Digest nonce=\"d\", realm=\"e\""],
    ),
];

/// The values of `header` as text, by the type that the header has.
fn texts(message: &Message, header: Header) -> Vec<String> {
    fn all<'a, T: FieldValue<'a> + std::fmt::Debug>(message: &'a Message, header: Header) -> Vec<String> {
        message.values::<T>(header).map(|value| format!("{:?}", value.unwrap())).collect()
    }
    use sip_message::headers as h;
    use sip_message::{Contact, NameAddr, Via};
    match header {
        Header::Via => all::<Via<'_>>(message, header),
        Header::Contact => all::<Contact<'_>>(message, header),
        Header::Accept => all::<h::MediaRange<'_>>(message, header),
        Header::AcceptEncoding => all::<h::CodingRange<'_>>(message, header),
        Header::AcceptLanguage => all::<h::LanguageRange<'_>>(message, header),
        Header::AcceptContact | Header::RejectContact | Header::FeatureCaps => {
            all::<h::FeatureSet<'_>>(message, header)
        }
        Header::AcceptResourcePriority | Header::ResourcePriority => all::<h::ResourceValue<'_>>(message, header),
        Header::AlertInfo | Header::CallInfo | Header::ErrorInfo | Header::Geolocation => {
            all::<h::InfoUri<'_>>(message, header)
        }
        Header::Allow => all::<Method<'_>>(message, header),
        Header::AllowEvents => all::<h::EventType<'_>>(message, header),
        Header::ContentLanguage => all::<h::LanguageTag<'_>>(message, header),
        Header::Diversion => all::<h::Diversion<'_>>(message, header),
        Header::HistoryInfo => all::<h::HistoryEntry<'_>>(message, header),
        Header::InReplyTo => all::<h::CallIdRef<'_>>(message, header),
        Header::PAccessNetworkInfo => all::<h::AccessNetworkInfo<'_>>(message, header),
        Header::PChargingFunctionAddresses => all::<h::ChargingParams<'_>>(message, header),
        Header::PVisitedNetworkId | Header::UserToUser => all::<h::TokenOrQuoted<'_>>(message, header),
        Header::ProxyAuthenticate | Header::WwwAuthenticate => all::<Challenge<'_>>(message, header),
        Header::Reason => all::<h::Reason<'_>>(message, header),
        Header::RecvInfo => all::<h::InfoPackage<'_>>(message, header),
        Header::RequestDisposition => all::<h::Directive<'_>>(message, header),
        Header::SecurityClient | Header::SecurityServer | Header::SecurityVerify => {
            all::<h::SecurityMechanism<'_>>(message, header)
        }
        Header::Warning => all::<h::Warning<'_>>(message, header),
        Header::PAssertedIdentity
        | Header::PPreferredIdentity
        | Header::PAssociatedUri
        | Header::Path
        | Header::ServiceRoute
        | Header::Route
        | Header::RecordRoute => all::<NameAddr<'_>>(message, header),
        _ => all::<Token<'_>>(message, header),
    }
}

#[test]
fn joined_and_repeated_fields_read_alike() {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-7.3.1
    //= type=test
    //# It MUST be possible to combine
    //# the multiple header field rows into one "field-name: field-value"
    //# pair, without changing the semantics of the message, by appending
    //# each subsequent field-value to the first, each separated by a comma.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-7.3.1
    //= type=test
    //# Implementations MUST be able to process multiple header field rows
    //# with the same name in any combination of the single-value-per-line or
    //# comma-separated value forms.
    for (header, [a, b, c]) in LISTS {
        let name = header.as_str();
        let via = if *header == Header::Via { texts(&request(""), Header::Via) } else { Vec::new() };
        let repeated = texts(&request(&format!("{name}: {a}\r\n{name}: {b}\r\n{name}: {c}\r\n")), *header);
        assert_eq!(repeated.len(), 3 + via.len(), "{name}: {repeated:?}");
        for lines in [
            format!("{name}: {a},{b},{c}\r\n"),
            format!("{name}: {a} , {b}\t,\t{c}\r\n"),
            format!("{name}: {a}\r\n , {b},\r\n\t{c}\r\n"),
            format!("{name}: {a},{b}\r\nX: y\r\n{name}:{c}\r\n"),
            format!("{name}:{a}\r\n{}: {b}, {c}\r\n", name.to_ascii_uppercase()),
        ] {
            // Offsets differ from form to form, the values do not.
            assert_eq!(without_offsets(&texts(&request(&lines), *header)), without_offsets(&repeated), "{lines}");
        }
    }
}

fn without_offsets(values: &[String]) -> Vec<String> {
    let strip = |value: &String| {
        let parts = value.split(", ").filter(|part| !part.contains("offset: "));
        parts.collect::<Vec<_>>().join(", ")
    };
    values.iter().map(strip).collect()
}

#[test]
fn lists_that_may_be_empty_have_no_values_then() {
    let lines = "Supported:\r\nAccept: \r\nAllow:\r\nAccept-Encoding:\r\nAccept-Language:\r\nRecv-Info:\r\n";
    let message = request(lines);
    assert_eq!(message.supported().count(), 0);
    assert_eq!(message.accept().count(), 0);
    assert_eq!(message.allow().count(), 0);
    assert_eq!(message.accept_encoding().count(), 0);
    assert_eq!(message.accept_language().count(), 0);
    assert_eq!(message.recv_info().count(), 0);
    message.check_grammar().unwrap();
    let message = request("Supported:\r\nSupported: a\r\n");
    assert_eq!(message.supported().map(|tag| tag.unwrap().as_str()).collect::<Vec<_>>(), ["a"]);
}

#[test]
fn other_lists_may_not_be_empty() {
    for name in ["Require", "Proxy-Require", "Unsupported", "Content-Encoding"] {
        let message = request(&format!("{name}:\r\n"));
        let error = message.values::<Token<'_>>(Header::lookup(name.as_bytes()).unwrap()).next().unwrap().unwrap_err();
        assert_eq!(error.fault, Some(ValueFault::Empty), "{name}");
        assert!(message.check_grammar().is_err());
    }
}

#[test]
fn a_malformed_value_is_an_error_of_its_own() {
    let message = request("Supported: a, ,b c,d\r\nSupported: \"e\", f,\r\n");
    let values: Vec<_> = message.supported().collect();
    let good: Vec<_> = values.iter().flatten().map(|tag| tag.as_str()).collect();
    assert_eq!(good, ["a", "d", "f"]);
    let places: Vec<_> = values
        .iter()
        .filter_map(|value| value.as_ref().err())
        .map(|error| (error.fault.unwrap(), rest_of_line(&message, error)))
        .collect();
    let expected = [
        (ValueFault::Empty, ",b c,d"),
        (ValueFault::Character, " c,d"),
        (ValueFault::Character, "\"e\", f,"),
        (ValueFault::Empty, ""),
    ];
    assert_eq!(places, expected.map(|(fault, place)| (fault, place.to_owned())));
}

#[test]
fn allow_has_methods_that_are_case_sensitive() {
    let message = request("Allow: INVITE, ack\r\nAllow: BYE\r\n");
    let allowed: Vec<_> = message.allow().map(Result::unwrap).collect();
    assert_eq!(allowed, [Method::Invite, Method::Other("ack"), Method::Bye]);
    assert_eq!(message.allows(Method::Invite), Some(true));
    assert_eq!(message.allows(Method::Ack), Some(false));
}

#[test]
fn without_allow_nothing_is_known_of_methods() {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-20.5
    //= type=test
    //# The absence of an Allow header field MUST NOT be
    //# interpreted to mean that the UA sending the message supports no
    //# methods.
    assert_eq!(request("").allows(Method::Invite), None);
    assert_eq!(request("Allow:\r\n").allows(Method::Invite), Some(false));
}

#[test]
fn option_tags_ignore_case() {
    let message = request("k: 100REL\r\nRequire: Timer\r\n");
    assert!(message.supports("100rel"));
    assert!(message.supports("timer"), "what is required is supported");
    assert!(message.requires("TIMER"));
    assert!(!message.requires("100rel"));
    assert!(!message.supports("replaces"));
}

#[test]
fn challenges_are_taken_apart_at_schemes_not_at_commas() {
    let message = request(
        "WWW-Authenticate: Digest realm=\"a, Digest b\", nonce=\"1\",\r\n qop=\"auth,auth-int\" , Bearer scope=\"x, y\",\r\n \
         authz_server=\"https://as\",Digest nonce = \"2\" , realm = \"c\"\r\nWWW-Authenticate: Other a=b\r\n",
    );
    let challenges: Vec<_> = message.www_authenticate().map(Result::unwrap).collect();
    let schemes: Vec<_> = challenges.iter().map(|challenge| challenge.scheme().as_str()).collect();
    assert_eq!(schemes, ["Digest", "Bearer", "Digest", "Other"]);
    assert_eq!(challenges[0].realm().unwrap().unwrap().without_quotes(), b"a, Digest b");
    assert!(challenges[0].qop().unwrap().unwrap().has("auth-int"));
    assert_eq!(challenges[1].params().get("authz_server").unwrap().unwrap().without_quotes(), b"https://as");
    assert_eq!(challenges[2].nonce().unwrap().unwrap().without_quotes(), b"2");
    message.check_grammar().unwrap();
}

#[test]
fn credentials_in_fields_of_their_own() {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-20.7
    //= type=test
    //# Although not a comma-separated list, this header field
    //# name may be present multiple times, and MUST NOT be combined into a
    //# single header line using the usual rules described in Section 7.3.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-20.28
    //= type=test
    //# Although not a comma-separated list, this
    //# header field name may be present multiple times, and MUST NOT be
    //# combined into a single header line using the usual rules described in
    //# Section 7.3.1.
    let message = request(
        "Authorization: Digest username=\"a\", realm=\"r1\"\r\nAuthorization: Digest username=\"b\", realm=\"r2\"\r\n",
    );
    let read = |credentials: &headers::Credentials<'_>| {
        let text = |value: sip_message::ParamValue<'_>| String::from_utf8(value.unquoted().into_owned()).unwrap();
        (text(credentials.username().unwrap().unwrap()), text(credentials.realm().unwrap().unwrap()))
    };
    let all: Vec<_> = message.authorization().map(|credentials| read(&credentials.unwrap())).collect();
    assert_eq!(all, [("a".into(), "r1".into()), ("b".into(), "r2".into())]);
    // Written, they stand in fields of their own too.
    let mut message = request("");
    for header in [Header::Authorization, Header::ProxyAuthorization] {
        for realm in ["r1", "r2"] {
            message.push(header, Credentials::digest("a", realm, "n", "sip:b", "").unwrap()).unwrap();
        }
        assert_eq!(message.fields(header).count(), 2);
        assert!(message.fields(header).all(|field| field.starts_with(b"Digest username=\"a\", realm=\"r")));
    }
}

#[test]
fn a_date_is_not_a_list() {
    let message = request("Date: Sat, 13 Nov 2010 23:29:00 GMT\r\n");
    let dates: Vec<_> = message.values::<Date>(Header::Date).map(Result::unwrap).collect();
    assert_eq!(dates, [message.date().unwrap().unwrap()]);
}

#[test]
fn edits_take_lists_apart_as_reads_do() {
    let mut message = request("WWW-Authenticate: Digest realm=\"a\", nonce=\"b\", Bearer scope=\"c, d\",Other e=f\r\n");
    assert!(message.remove_value(Header::WwwAuthenticate, 1));
    let schemes = |message: &Message| -> Vec<String> {
        message.www_authenticate().map(|challenge| challenge.unwrap().scheme().as_str().to_owned()).collect()
    };
    assert_eq!(schemes(&message), ["Digest", "Other"]);
    message.set_value(Header::WwwAuthenticate, 0, "Basic realm=\"x\"").unwrap();
    assert_eq!(message.field(Header::WwwAuthenticate), Some(&b"Basic realm=\"x\", Other e=f"[..]));
    let mut message = request("In-Reply-To: a\"b, c<d, e\r\nDate: Sat, 13 Nov 2010 23:29:00 GMT\r\n");
    assert!(message.remove_value(Header::InReplyTo, 1));
    assert_eq!(message.field(Header::InReplyTo), Some(&b"a\"b, e"[..]));
    assert!(!message.remove_value(Header::Date, 1) && message.remove_value(Header::Date, 0));
    assert!(!message.has(Header::Date));
}
