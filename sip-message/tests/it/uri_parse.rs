//! Which texts are URIs, and what they are made of.

#![allow(clippy::panic, clippy::unwrap_used)]

use sip_message::Uri;
use sip_message::uri::{Host, PhoneContext, SipUri, TelUri, UriConfig, UriFault, UriTransport};

fn sip(text: &str) -> SipUri<'_> {
    match Uri::parse(text.as_bytes()) {
        Ok(Uri::Sip(uri)) => uri,
        other => panic!("{text}: {other:?}"),
    }
}

fn tel(text: &str) -> TelUri<'_> {
    match Uri::parse(text.as_bytes()) {
        Ok(Uri::Tel(uri)) => uri,
        other => panic!("{text}: {other:?}"),
    }
}

#[track_caller]
fn refused(text: &str, kind: UriFault, offset: usize) {
    let error = Uri::parse(text.as_bytes()).map(|uri| panic!("{uri:?} was accepted")).unwrap_err();
    assert_eq!((error.kind, error.offset), (kind, offset), "{text}");
}

#[test]
fn the_examples_of_rfc_3261_section_19_1_3() {
    let uri = sip("sip:alice:secretword@atlanta.com;transport=tcp");
    assert!(uri.user().unwrap().eq_text("alice") && uri.password().unwrap().eq_text("secretword"));
    assert_eq!((uri.host(), uri.transport()), (Host::Domain("atlanta.com"), Some(UriTransport::Tcp)));

    let uri = sip("sips:alice@atlanta.com?subject=project%20x&priority=urgent");
    assert!(uri.is_sips());
    let headers: Vec<_> =
        uri.headers().map(|h| (h.name.as_str(), h.value.decoded_str().unwrap().into_owned())).collect();
    assert_eq!(headers, [("subject", "project x".to_owned()), ("priority", "urgent".to_owned())]);

    let uri = sip("sip:+1-212-555-1212:1234@gateway.com;user=phone");
    assert_eq!((uri.user().unwrap().as_str(), uri.password().unwrap().as_str()), ("+1-212-555-1212", "1234"));
    assert!(uri.is_phone());

    assert_eq!(sip("sips:1212@gateway.com").user().unwrap().as_str(), "1212");
    assert_eq!(sip("sip:alice@192.0.2.4").host(), Host::Ipv4([192, 0, 2, 4].into()));

    let uri = sip("sip:atlanta.com;method=REGISTER?to=alice%40atlanta.com");
    assert_eq!((uri.user(), uri.host_str()), (None, "atlanta.com"));
    assert_eq!(uri.method_param().unwrap().as_str(), "REGISTER");
    assert_eq!(uri.headers().get("To").unwrap().decoded_str().unwrap(), "alice@atlanta.com");

    let uri = sip("sip:alice;day=tuesday@atlanta.com");
    assert_eq!((uri.user().unwrap().as_str(), uri.params().count()), ("alice;day=tuesday", 0));
}

#[test]
fn users_may_hold_what_looks_like_delimiters() {
    let uri = sip(
        "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com",
    );
    assert_eq!(uri.user().unwrap().as_str(), "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*");
    assert_eq!(uri.password().unwrap().as_str(), "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)");
    let uri = sip("sip:user;par=u%40example.net@example.com");
    assert_eq!(uri.user().unwrap().decoded_str().unwrap(), "user;par=u@example.net");
    assert_eq!(sip("sip:sips%3Auser%40example.com@example.net").host_str(), "example.net");
    let uri = sip("sip:+14155550100;phone-context=+1@gw.example.net;user=phone");
    assert_eq!(uri.user().unwrap().as_str(), "+14155550100;phone-context=+1");
}

#[test]
fn escapes_are_resolved_once() {
    let uri = sip("sip:cal%6Cer@host5.example.net;%6C%72;n%61me=v%61lue%25%34%31");
    assert_eq!(uri.user().unwrap().decoded_str().unwrap(), "caller");
    assert!(uri.lr());
    assert_eq!(uri.params().value("name").unwrap().decoded_str().unwrap(), "value%41");
    assert_eq!(sip("sip:null-%00-null@example.com").user().unwrap().decoded().as_ref(), b"null-\0-null");
    assert_eq!(sip("sip:%00%00@example.com").user().unwrap().octets().count(), 2);
}

#[test]
fn the_user_is_not_empty_if_there_is_an_at_sign() {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.1
    //= type=test
    //# If the @ sign is
    //# present in a SIP or SIPS URI, the user field MUST NOT be empty.
    refused("sip:@example.com", UriFault::User, 4);
    refused("sip::pw@example.com", UriFault::User, 4);
    assert!(sip("sip:alice:@example.com").password().unwrap().is_empty());
}

#[test]
fn unescaped_space_control_and_delimiters_are_refused() {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.2
    //= type=test
    //# URIs MUST NOT contain unescaped space and control
    //# characters.
    refused("sip:a b@example.com", UriFault::Character, 5);
    refused("sip:user@example.com; lr", UriFault::Param, 21);
    refused("sip:user@example.com ;lr", UriFault::Character, 20);
    refused("sip:us\0er@example.com", UriFault::Character, 6);
    refused("sip:user@example.com\r\n", UriFault::Character, 20);
    //= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.2
    //= type=test
    //# For each component, the set of valid BNF expansions defines exactly
    //# which characters may appear unescaped.  All other characters MUST be
    //# escaped.
    refused("sip:j@s0n@example.com", UriFault::Character, 9);
    refused("sip:a<b@example.com", UriFault::Character, 5);
    refused("sip:a\"b@example.com", UriFault::Character, 5);
    refused("sip:jos\u{e9}@example.com", UriFault::Character, 7);
    refused("sip:a@example.com;x=a,b", UriFault::Character, 21);
    refused("sip:a@example.com?x=a;b", UriFault::Character, 21);
    refused("sip:a%4g@example.com", UriFault::Escape, 5);
    refused("sip:a%4", UriFault::Escape, 5);
}

#[test]
fn escapes_do_not_occur_in_hosts() {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.2
    //= type=test
    //# Current
    //# implementations MUST NOT attempt to improve robustness by treating
    //# received escaped characters in the host component as literally
    //# equivalent to their unescaped counterpart.
    refused("sip:alice@ex%61mple.com", UriFault::Escape, 12);
    refused("sip:%65xample.com", UriFault::Escape, 4);
    assert!(sip("sip:a@b.com;maddr=%31.2.3.4").maddr().is_err());
}

#[test]
fn parameters_and_headers_are_well_formed() {
    for text in ["sip:a@b;", "sip:a@b;;lr", "sip:a@b;=x", "sip:a@b;x=", "sip:a@b;x=;y"] {
        assert_eq!(Uri::parse(text.as_bytes()).unwrap_err().kind, UriFault::Param, "{text}");
    }
    for text in ["sip:a@b?", "sip:a@b?x", "sip:a@b?=y", "sip:a@b?x=y&", "sip:a@b?x=y&&z=1"] {
        assert_eq!(Uri::parse(text.as_bytes()).unwrap_err().kind, UriFault::Header, "{text}");
    }
    assert!(sip("sip:a@b?x=").headers().get("x").unwrap().is_empty());
    //= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.1
    //= type=test
    //# Even though an arbitrary number of URI parameters may be
    //# included in a URI, any given parameter-name MUST NOT appear
    //# more than once.
    for text in ["sip:a@b;lr;LR", "sip:a@b;lr=on;x;l%72", "sip:a@b;a;b;c;d;e;f;g;h;i;j;%61"] {
        assert_eq!(Uri::parse(text.as_bytes()).unwrap_err().kind, UriFault::Param, "{text}");
    }
    assert_eq!(sip("sip:a@b;a;b;c;d;e;f;g;h;i;j;aa").params().count(), 11);
}

#[test]
fn unknown_parameters_are_kept_and_harmless() {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.1
    //= type=test
    //# Since the uri-parameter mechanism is extensible, SIP elements
    //# MUST silently ignore any uri-parameters that they do not
    //# understand.
    let uri = sip("sip:services.example.com;lr;unknownwith=value;unknown-no-value");
    assert!(uri.lr());
    assert_eq!(uri.params().as_str(), ";lr;unknownwith=value;unknown-no-value");
    assert!(uri.params().get("Unknown-No-Value").unwrap().value.is_none());
}

#[test]
fn typed_parameters() {
    let uri = sip("sip:alice@atlanta.com;maddr=239.255.255.1;ttl=15");
    assert_eq!(uri.maddr(), Ok(Some(Host::Ipv4([239, 255, 255, 1].into()))));
    assert_eq!(uri.ttl(), Ok(Some(15)));
    assert_eq!(sip("sip:a@b;maddr=[2001:db8::1]").maddr().unwrap().unwrap().to_string(), "[2001:db8::1]");
    for text in ["sip:a@b;ttl=256", "sip:a@b;ttl=+5", "sip:a@b;ttl"] {
        assert!(sip(text).ttl().is_err(), "{text}");
    }
    assert!(sip("sip:a@b;maddr=a:5060").maddr().is_err());
    assert_eq!((sip("sip:a@b").maddr(), sip("sip:a@b").ttl()), (Ok(None), Ok(None)));
    assert!(sip("sip:a@b;transport=ws;ob").ob());
    assert_eq!(sip("sips:a@b;transport=WS").transport(), Some(UriTransport::Ws));
    assert!(matches!(sip("sip:a@b;transport=dccp").transport(), Some(UriTransport::Other(t)) if t.eq_text("dccp")));
    assert_eq!(sip("sip:a@b;gr").gr(), Some(None));
    assert_eq!(sip("sip:a@b;gr=urn:uuid:f81d4fae").gr().flatten().unwrap().as_str(), "urn:uuid:f81d4fae");
    assert_eq!(sip("sip:a@b").gr(), None);
}

#[test]
fn hosts_are_names_or_addresses() {
    for text in ["a", "example.com", "example.com.", "a-b.c9", "0ggb8r1s2rj1.invalid", "4.3.2.1.in-addr.arpa", "X--y"] {
        assert_eq!(
            Uri::parse_with(format!("sip:{text}").as_bytes(), &UriConfig::STRICT).unwrap().as_sip().unwrap().host(),
            Host::Domain(text)
        );
    }
    for text in [
        "",
        ".",
        ".a",
        "a..b",
        "a.-b",
        "a-.b",
        "-a",
        "a-",
        "a.b-",
        "1",
        "1.2.3",
        "1.2.3.4.5",
        "256.1.1.1",
        "1.2.3.4.",
        "a.b..",
        "1.2.3.04",
    ] {
        assert_eq!(Uri::parse(format!("sip:{text}").as_bytes()).unwrap_err().kind, UriFault::Host, "{text}");
    }
    //= https://www.rfc-editor.org/rfc/rfc5954#section-4.1
    //= type=test
    //# the
    //# <IPv6address> and <IPv4address> production rules from RFC 3261 MUST
    //# NOT be used and instead, the production rules of the same name in RFC
    //# 3986 (and reproduced above) MUST be used.
    refused("sip:bob@444.555.666.777", UriFault::Host, 8);
    refused("sip:bob@192.00.02.128", UriFault::Host, 8);
}

#[test]
fn loose_domains_and_hash_are_switches() {
    for text in
        ["sip:a@my_host", "sip:a@_x.example", "sip:a@9f3c2b", "sip:a@b.0x", "sip:*21#@b", "sip:#@b", "sip:a#b#c:d@e"]
    {
        assert!(Uri::parse(text.as_bytes()).is_ok(), "{text}");
        assert!(Uri::parse_with(text.as_bytes(), &UriConfig::STRICT).is_err(), "{text}");
    }
    assert_eq!(sip("sip:*21#;x#@b").user().unwrap().as_str(), "*21#;x#");
}

#[test]
fn ports_are_numbers_that_fit() {
    assert_eq!(sip("sip:a@b:0").port(), Some(0));
    assert_eq!(sip("sip:a@b:65535").port(), Some(65535));
    assert_eq!(sip("sip:b:0005060").port(), Some(5060));
    for text in
        ["sip:a@b:", "sip:a@b:65536", "sip:a@b:99999999999999999999", "sip:a@b:+5060", "sip:a@b:-1", "sip:a@b:x"]
    {
        assert_eq!(Uri::parse(text.as_bytes()).unwrap_err().kind, UriFault::Port, "{text}");
    }
    refused("sip:a@b:50x", UriFault::Character, 10);
}

#[test]
fn ipv6_references_as_rfc_5118_has_them() {
    let v6 = |text: &str| Host::Ipv6(text.parse().unwrap());
    assert_eq!(sip("sip:[2001:db8::10]").host(), v6("2001:db8::10"));
    refused("sip:2001:db8::10", UriFault::Host, 4);
    let uri = sip("sip:[2001:db8::10:5070]");
    assert_eq!((uri.host(), uri.port()), (v6("2001:db8::10:5070"), None));
    let uri = sip("sip:[2001:db8::10]:5070");
    assert_eq!((uri.host(), uri.port()), (v6("2001:db8::10"), Some(5070)));
    assert_eq!(sip("sip:ted@[::ffff:192.0.2.2]").host(), v6("::ffff:192.0.2.2"));
    // The extra colon that the RFC 3261 grammar asks for is tolerated.
    for text in ["sip:user@[2001:db8:::192.0.2.1]", "sip:user@[2001:db8::192.0.2.1]"] {
        assert_eq!(sip(text).host(), v6("2001:db8::192.0.2.1"), "{text}");
    }
    assert!(Uri::parse_with(b"sip:user@[2001:db8:::192.0.2.1]", &UriConfig::STRICT).is_err());
    for text in [
        "[[2001:db8::10]]",
        "[2001:db8::10",
        "2001:db8::10]",
        "[]",
        "[::1::]",
        "[fe80::1%25eth0]",
        "[fe80::1%eth0]",
        "[2001:db8:::1]",
        "[:::]",
        "[::::192.0.2.1]",
        "[1:2:3:4:5:6:7:::192.0.2.1]",
        "[12345::]",
        "[::192.0.2.256]",
        "[192.0.2.1]",
        "[example.com]",
        "[:::192.0.2.1:::192.0.2.1]",
        "[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:::192.0.2.1]",
    ] {
        assert_eq!(Uri::parse(format!("sip:a@{text}").as_bytes()).unwrap_err().kind, UriFault::Host, "{text}");
    }
}

#[test]
fn every_scheme_is_kept() {
    for (text, scheme) in [
        ("nobodyKnowsThisScheme:totallyopaquecontent", "nobodyKnowsThisScheme"),
        ("soap.beep://192.0.2.103:3002", "soap.beep"),
        ("isbn:2983792873", "isbn"),
        ("http://www.example.com/a?b=c#d", "http"),
        ("http://[2001:db8::1]:80/", "http"),
        ("cid:part%201@example.com", "cid"),
        ("mailto:a@b", "mailto"),
    ] {
        match Uri::parse(text.as_bytes()) {
            Ok(Uri::Other(uri)) => assert_eq!((uri.scheme(), uri.as_str()), (scheme, text)),
            other => panic!("{other:?}"),
        }
    }
    assert!(sip("SIP:A@b").as_str().starts_with("SIP:") && sip("SiPs:a@b").is_sips());
    refused("", UriFault::Empty, 0);
    refused("alice", UriFault::Scheme, 5);
    refused("alice@atlanta.com", UriFault::Scheme, 5);
    refused(":a", UriFault::Scheme, 0);
    refused("1a:b", UriFault::Scheme, 2);
    refused("<sip:user@example.com>", UriFault::Scheme, 0);
    refused("http:", UriFault::Scheme, 5);
    refused("http://a b", UriFault::Character, 8);
    refused("http://a%zz", UriFault::Escape, 8);
    refused("sip:", UriFault::Host, 4);
    let long = format!("sip:{}@example.com", "a".repeat(65_536));
    refused(&long, UriFault::TooLong, 65_535);
}

#[test]
fn urns() {
    for (text, service, emergency) in [
        ("urn:service:sos", Some("sos"), true),
        ("URN:Service:SOS.fire", Some("SOS.fire"), true),
        ("urn:service:counseling.children", Some("counseling.children"), false),
        ("urn:service:sosx", Some("sosx"), false),
        ("urn:service:sos..fire", None, false),
        ("urn:service:-sos", None, false),
        ("urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6", None, false),
    ] {
        match Uri::parse(text.as_bytes()) {
            Ok(Uri::Urn(urn)) => assert_eq!((urn.service(), urn.is_emergency()), (service, emergency), "{text}"),
            other => panic!("{other:?}"),
        }
    }
    refused("urn:service", UriFault::Namespace, 11);
    refused("urn::sos", UriFault::Namespace, 4);
    refused("urn:-a:sos", UriFault::Namespace, 4);
    refused("urn:service:", UriFault::Scheme, 12);
}

#[test]
fn telephone_numbers() {
    let uri = tel("tel:+1-201-555-0123");
    assert_eq!((uri.is_global(), uri.number()), (true, "+1-201-555-0123"));
    assert_eq!(uri.digits().collect::<String>(), "+12015550123");
    let uri = tel("tel:7042;phone-context=example.com");
    assert!(!uri.is_global() && matches!(uri.context(), Some(PhoneContext::Domain("example.com"))));
    let uri = tel("TEL:863-1234;phone-context=+1-914-555");
    assert!(matches!(uri.context(), Some(PhoneContext::Global("+1-914-555"))));
    let uri = tel("tel:*#06#;phone-context=example.com");
    assert_eq!(uri.number(), "*#06#");
    let uri = tel("tel:+358-555-1234567;isub=1411/a?b=c@d,e;m-x=1;m-y");
    assert_eq!(uri.isub().unwrap().as_str(), "1411/a?b=c@d,e");
    assert_eq!(uri.mandatory_params().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["m-x", "m-y"]);
    assert_eq!(tel("tel:+1;ext=12-3").ext(), Some("12-3"));

    for text in ["tel:", "tel:+", "tel:+-", "tel:--", "tel:+1a", "tel:+*", "tel:++1", "tel:xyz", "tel:1+2", "tel:+1 2"]
    {
        assert_eq!(Uri::parse(text.as_bytes()).unwrap_err().kind, UriFault::Number, "{text}");
    }
    for text in [
        "tel:+1;",
        "tel:+1;;a",
        "tel:+1;a=",
        "tel:+1;ext=1;isub=2",
        "tel:+1;ext=x",
        "tel:+1;isub",
        "tel:1;phone-context=",
        "tel:1;phone-context=+",
        "tel:1;phone-context=1.2.3.4",
        "tel:1;phone-context=a..b",
    ] {
        assert_eq!(Uri::parse(text.as_bytes()).unwrap_err().kind, UriFault::Param, "{text}");
    }
    refused("tel:+1;a=\"b\"", UriFault::Param, 7);
    refused("tel:+1;a_b", UriFault::Character, 8);
    //= https://www.rfc-editor.org/rfc/rfc3966#section-5.1.5
    //= type=test
    //# Local numbers MUST have a 'phone-context' parameter that identifies
    //# the scope of their validity.
    refused("tel:7042", UriFault::Context, 8);
    //= https://www.rfc-editor.org/rfc/rfc3966#section-3
    //= type=test
    //# Each parameter name ("pname"), the ISDN subaddress, the 'extension',
    //# and the 'context' MUST NOT appear more than once.
    refused("tel:+1;a=1;A=2", UriFault::Param, 11);
    refused("tel:1;phone-context=a;phone-context=b", UriFault::Param, 22);
}

proptest::proptest! {
    /// Four numbers with dots are an address exactly where the standard library says so, and never a name.
    #[test]
    fn an_ipv4_address_is_what_the_standard_library_takes_for_one(text in "[0-9]{1,4}(\\.[0-9]{0,4}){0,4}") {
        let address = text.parse().ok().map(Host::Ipv4);
        proptest::prop_assert_eq!(Host::parse(text.as_bytes()).ok(), address);
        let via = format!("SIP/2.0/UDP a;received={text}");
        let message = format!("OPTIONS sip:a SIP/2.0\r\nVia: {via}\r\n\r\n");
        let message = sip_message::Message::parse(message.into_bytes().into()).unwrap();
        let received = message.top_via().unwrap().received();
        proptest::prop_assert_eq!(received.ok().flatten().map(Host::from), address);
    }
}
