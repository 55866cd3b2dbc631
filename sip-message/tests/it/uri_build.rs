//! Owned URIs: built, taken apart and built again, and made into one another.

#![allow(clippy::panic, clippy::unwrap_used)]

use proptest::prelude::*;
use sip_message::Uri;
use sip_message::uri::{Host, SipUri, UriBuf, UriConfig, UriFault};

fn sip(text: &str) -> SipUri<'_> {
    match Uri::parse(text.as_bytes()) {
        Ok(Uri::Sip(uri)) => uri,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn all_components() {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.1
    //= type=test
    //# While the SIP and
    //# SIPS URI syntax allows this field to be present, its use is NOT
    //# RECOMMENDED, because the passing of authentication information
    //# in clear text (such as URIs) has proven to be a security risk
    //# in almost every case where it has been used.
    let uri = UriBuf::sips("example.com")
        .user("alice")
        .password("secret word")
        .port(5070)
        .param("transport", "tcp")
        .flag("lr")
        .header("Subject", "project x & y")
        .header("body", "")
        .build()
        .unwrap();
    assert_eq!(
        uri.as_str(),
        "sips:alice:secret%20word@example.com:5070;transport=tcp;lr?Subject=project%20x%20%26%20y&body="
    );
    let read = uri.as_sip().unwrap();
    assert_eq!(read.password().unwrap().decoded_str().unwrap(), "secret word");
    assert_eq!(read.headers().get("subject").unwrap().decoded_str().unwrap(), "project x & y");
}

#[test]
fn hosts_come_as_names_or_addresses() {
    let v6: std::net::IpAddr = "2001:db8::1".parse().unwrap();
    for host in ["2001:db8::1", "[2001:DB8::1]"] {
        assert_eq!(UriBuf::sip(host).build().unwrap().as_sip().unwrap().host(), Host::from(v6));
    }
    assert_eq!(UriBuf::sip(v6).port(5060).build().unwrap().as_str(), "sip:[2001:db8::1]:5060");
    assert_eq!(UriBuf::sip(Host::from(v6)).build().unwrap().as_str(), "sip:[2001:db8::1]");
    assert_eq!(UriBuf::sip("192.0.2.1").build().unwrap().as_str(), "sip:192.0.2.1");
}

#[test]
fn nothing_reaches_out_of_its_component() {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.2
    //= type=test
    //# Expanding the hname and hvalue tokens in Section 25 show that all URI
    //# reserved characters in header field names and values MUST be escaped.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.2
    //= type=test
    //# Excluded US-
    //# ASCII characters (RFC 2396 [5]), such as space and control
    //# characters and characters used as URI delimiters, also MUST be
    //# escaped.
    let evil = "x@evil:1;lr?a=b&c=d\r\nVia: y\0<>\" %41";
    let uri = UriBuf::sip("h").user(evil).password(evil).param(evil, evil).header(evil, evil).build().unwrap();
    let read = uri.as_sip().unwrap();
    assert!(read.user().unwrap().eq_text(evil) && read.password().unwrap().eq_text(evil));
    assert_eq!((read.host_str(), read.port(), read.lr()), ("h", None, false));
    let (param, header) = (read.params().next().unwrap(), read.headers().next().unwrap());
    assert!(param.name.eq_text(evil) && param.value.unwrap().eq_text(evil));
    assert!(header.name.eq_text(evil) && header.value.eq_text(evil));
    assert_eq!((read.params().count(), read.headers().count()), (1, 1));
    for host in ["", "h;lr", "h:5060", "u@h", "h?a=b", "h ", "h\r\n", "%68", "[::1", "::1%eth0", "[::1]:5"] {
        assert_eq!(UriBuf::sip(host).user("a").build().unwrap_err().kind, UriFault::Host, "{host:?}");
    }
}

#[test]
fn what_cannot_be_right_is_refused() {
    let kind = |builder: sip_message::uri::SipUriBuilder| builder.build().unwrap_err().kind;
    assert_eq!(kind(UriBuf::sip("h").user("")), UriFault::User);
    assert_eq!(kind(UriBuf::sip("h").password("x")), UriFault::User);
    assert_eq!(kind(UriBuf::sip("h").flag("")), UriFault::Param);
    assert_eq!(kind(UriBuf::sip("h").param("x", "")), UriFault::Param);
    assert_eq!(kind(UriBuf::sip("h").header("", "x")), UriFault::Header);
    assert_eq!(kind(UriBuf::sip("h").param("maddr", "a b")), UriFault::Param);
    assert_eq!(kind(UriBuf::sip("h").flag("maddr")), UriFault::Param);
    assert_eq!(kind(UriBuf::sip("h").user("u".repeat(70_000))), UriFault::TooLong);
    //= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.1
    //= type=test
    //# For a SIPS URI, the transport parameter MUST
    //# indicate a reliable transport.
    assert_eq!(kind(UriBuf::sips("h").param("transport", "UDP")), UriFault::Param);
    assert!(UriBuf::sips("h").param("transport", "ws").build().is_ok());
    //= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.1
    //= type=test
    //# The ttl parameter determines the time-to-live value of the UDP
    //# multicast packet and MUST only be used if maddr is a multicast
    //# address and the transport protocol is UDP.
    let ttl = |maddr: &str| UriBuf::sip("h").param("maddr", maddr).param("ttl", 15);
    assert!(ttl("239.255.255.1").build().is_ok());
    assert_eq!(kind(ttl("192.0.2.1")), UriFault::Param);
    assert_eq!(kind(ttl("239.255.255.1").param("ttl", 256)), UriFault::Param);
    assert_eq!(kind(ttl("239.255.255.1").param("transport", "tcp")), UriFault::Param);
    assert_eq!(kind(UriBuf::sip("h").param("ttl", 15)), UriFault::Param);
}

#[test]
fn a_parameter_set_again_is_replaced() {
    let uri = UriBuf::sip("h").param("transport", "udp").flag("lr").param("Transport", "ws").param("lr", "on");
    assert_eq!(uri.clone().build().unwrap().as_str(), "sip:h;transport=ws;lr=on");
    assert_eq!(uri.without_param("TRANSPORT").build().unwrap().as_str(), "sip:h;lr=on");
}

#[test]
fn a_builder_from_a_uri_keeps_its_spelling() {
    for text in ["sip:%61:%70@H.com:5070;X=%79;lr?To=sip:a%40b&s=", "sips:example.com", "sip:[2001:db8::1]:1"] {
        assert_eq!(sip(text).to_builder().build().unwrap().as_str(), text);
    }
    let leg = sip("sip:a@b;transport=tcp?s=x").to_builder().without_headers().port(5070).flag("lr").build().unwrap();
    assert_eq!(leg.as_str(), "sip:a@b:5070;transport=tcp;lr");
    // What only leniency accepts is not written.
    assert_eq!(sip("sip:*21#@b").to_builder().build().unwrap().as_str(), "sip:*21%23@b");
    assert_eq!(sip("sip:[2001:db8:::192.0.2.1]").to_builder().build().unwrap().as_str(), "sip:[2001:db8::c000:201]");
}

#[test]
fn request_uri_of_a_uri() {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.5
    //= type=test
    //# An implementation MUST include any provided transport, maddr, ttl, or
    //# user parameter in the Request-URI of the formed request.  If the URI
    //# contains a method parameter, its value MUST be used as the method of
    //# the request.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.5
    //= type=test
    //# The method parameter MUST NOT be placed in the
    //# Request-URI.  Unknown URI parameters MUST be placed in the message's
    //# Request-URI.
    let uri = sip("sip:a:b@c:5;method=REGISTER;x=%79;transport=tcp;maddr=d;user=phone?Route=%3Csip:e%3E");
    assert_eq!(uri.to_request_uri().unwrap().as_str(), "sip:a:b@c:5;x=%79;transport=tcp;maddr=d;user=phone");
    assert_eq!(sip("sip:A@b;lr").to_request_uri().unwrap().as_str(), "sip:A@b;lr");
}

#[test]
fn telephone_numbers_become_sip_uris_and_back() {
    let converted = |text: &str| match Uri::parse(text.as_bytes()) {
        Ok(Uri::Tel(tel)) => tel.to_sip("foo.com").build().unwrap(),
        other => panic!("{other:?}"),
    };
    //= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.6
    //= type=test
    //# To mitigate this problem, elements constructing telephone-subscriber
    //# fields to place in the userinfo part of a SIP or SIPS URI SHOULD fold
    //# any case-insensitive portion of telephone-subscriber to lower case,
    //# and order the telephone-subscriber parameters lexically by parameter
    //# name, excepting isdn-subaddress and post-dial, which occur first and
    //# in that order.
    for text in ["tel:+358-555-1234567;postd=pp22", "tel:+358-555-1234567;POSTD=PP22"] {
        assert_eq!(converted(text).as_str(), "sip:+358-555-1234567;postd=pp22@foo.com;user=phone");
    }
    //= https://www.rfc-editor.org/rfc/rfc3966#section-3
    //= type=test
    //# The 'isdn-
    //# subaddress' or 'extension' MUST appear first, if present, followed by
    //# the 'context' parameter, if present, followed by any other parameters
    //# in lexicographical order.
    assert_eq!(
        converted("tel:5;tsp=a.b;B=1;phone-context=EXAMPLE.com;b-c;a;isub=1411").as_str(),
        "sip:5;isub=1411;phone-context=example.com;a;b=1;b-c;tsp=a.b@foo.com;user=phone"
    );
    //= https://www.rfc-editor.org/rfc/rfc3261#section-25.1
    //= type=test
    //# Note,
    //# however, that any characters allowed there that are not allowed in
    //# the user part of the SIP URI MUST be escaped.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.2
    //= type=test
    //# Any characters occurring in a telephone-subscriber
    //# that do not appear in an expansion of the BNF for the user rule MUST
    //# be escaped.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.1
    //= type=test
    //# If the user string contains a
    //# telephone number formatted as a telephone-subscriber, the user
    //# parameter value "phone" SHOULD be present.
    for text in [
        "tel:+1-201-555-0123",
        "tel:*06#;phone-context=+1",
        "tel:+1;isub=a%2Fb;x=%3a",
        "tel:+1;isub=a@b:c",
        "tel:+1;isub=1,=?1",
    ] {
        let back = converted(text).as_sip().unwrap().telephone().unwrap();
        assert!(back.as_uri().scheme() == "tel" && converted(back.as_str()) == converted(text), "{text} {back}");
    }
    assert_eq!(converted("tel:*06#;phone-context=+1").as_str(), "sip:*06%23;phone-context=+1@foo.com;user=phone");
    assert_eq!(
        sip("sip:*06%23;phone-context=+1@foo.com;user=phone").telephone().unwrap().as_str(),
        "tel:*06#;phone-context=+1"
    );
    for text in ["sip:+1@foo.com", "sip:foo.com;user=phone", "sip:bob@foo.com;user=phone"] {
        assert!(sip(text).telephone().is_none(), "{text}");
    }
}

#[test]
fn owned_uris_keep_their_text() {
    for text in ["SIP:Alice@h", "tel:+1-2", "urn:service:sos", "http://a/b"] {
        let owned: UriBuf = text.parse().unwrap();
        assert_eq!((owned.as_str(), owned.to_string().as_str()), (text, text));
        let again = UriBuf::from(owned.as_uri());
        assert!(again == owned && again.as_uri().equivalent(&owned.as_uri()));
        assert_eq!(again.as_uri().scheme(), owned.as_uri().scheme());
    }
    assert!(UriBuf::parse("nothing").is_err());
    assert!(UriBuf::parse_with("sip:a@b_c", &UriConfig::STRICT).is_err());
}

proptest! {
    #[test]
    fn what_was_given_is_read_back(
        user in prop::option::of(prop::collection::vec(any::<u8>(), 1..12)),
        password in prop::option::of(prop::collection::vec(any::<u8>(), 0..8)),
        host in "[a-z]([a-z0-9-]{0,5}[a-z0-9])?(\\.[a-z]([a-z0-9]{0,3}))?",
        port in any::<Option<u16>>(),
        params in prop::collection::btree_map("[!-~\\u{e9} ]{1,6}", prop::option::of("[\\x00-\\x7f]{1,6}"), 0..4),
        headers in prop::collection::vec(("[\\x01-~]{1,6}", prop::collection::vec(any::<u8>(), 0..8)), 0..3),
    ) {
        let typed = ["maddr", "ttl", "transport"];
        let mut folded: Vec<_> = params.keys().map(|name| name.to_ascii_lowercase()).collect();
        folded.dedup();
        prop_assume!(folded.len() == params.len() && !folded.iter().any(|name| typed.contains(&name.as_str())));
        let mut builder = UriBuf::sip(&host).port(port);
        if let Some(user) = &user {
            builder = builder.user(user);
            if let Some(password) = &password {
                builder = builder.password(password);
            }
        }
        for (name, value) in &params {
            builder = match value {
                Some(value) => builder.param(name, value),
                None => builder.flag(name),
            };
        }
        for (name, value) in &headers {
            builder = builder.header(name, value);
        }
        let uri = builder.build().unwrap();
        prop_assert!(uri.as_bytes().iter().all(|b| (0x21..=0x7e).contains(b)));
        let read = uri.as_sip().unwrap();
        prop_assert_eq!(read.user().map(|u| u.decoded().into_owned()), user.clone());
        prop_assert_eq!(read.password().map(|p| p.decoded().into_owned()), user.and(password));
        prop_assert_eq!((read.host_str(), read.port()), (host.as_str(), port));
        prop_assert_eq!(read.params().count(), params.len());
        for (param, (name, value)) in read.params().zip(&params) {
            prop_assert!(param.name.eq_text(name));
            prop_assert_eq!(param.value.map(|v| v.decoded().into_owned()), value.clone().map(String::into_bytes));
        }
        prop_assert_eq!(read.headers().count(), headers.len());
        for (header, (name, value)) in read.headers().zip(&headers) {
            prop_assert!(header.name.eq_text(name));
            prop_assert_eq!(header.value.decoded().into_owned(), value.clone());
        }
        prop_assert!(Uri::parse_with(uri.as_bytes(), &UriConfig::STRICT).is_ok());
        prop_assert_eq!(read.to_builder().build().unwrap(), uri.clone());
    }
}

#[test]
fn headers_that_steer_the_request_are_not_honoured() {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.5
    //= type=test
    //# An implementation SHOULD NOT honor these obviously dangerous header
    //# fields: From, Call-ID, CSeq, Via, and Record-Route.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.5
    //= type=test
    //# An implementation SHOULD NOT honor any requested Route header field
    //# values in order to not be used as an unwitting agent in malicious
    //# attacks.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.5
    //= type=test
    //# An implementation SHOULD NOT honor requests to include header fields
    //# that may cause it to falsely advertise its location or capabilities.
    let uri = sip("sip:a@b?f=x&Call-ID=x&%63seq=1&v=x&Record-Route=x&ROUTE=x&Accept=x&accept-encoding=x&k=x&m=x\
        &Allow=x&Organization=x&User-Agent=x&l=5&Date=x&Max-Forwards=0&%FF=x&Subject=hello&X-Own=1&c=text%2Fplain&body=hi");
    //= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.5
    //= type=test
    //# An implementation SHOULD treat the presence of any headers or body
    //# parts in the URI as a desire to include them in the message, and
    //# choose to honor the request on a per-component basis.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.5
    //= type=test
    //# An implementation SHOULD verify the accuracy of any requested
    //# descriptive header fields, including: Content-Disposition, Content-
    //# Encoding, Content-Language, Content-Length, Content-Type, Date,
    //# Mime-Version, and Timestamp.
    let honoured: Vec<_> = uri.requested_headers().map(|header| header.name.as_str()).collect();
    assert_eq!(honoured, ["Subject", "X-Own", "c"]);
    assert!(uri.requested_body().unwrap().eq_text("hi"));
    assert!(sip("sip:a@b").requested_body().is_none());
}
