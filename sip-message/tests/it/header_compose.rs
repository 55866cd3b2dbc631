//! Composed values read back as what they were made from, and nothing in them can end them early.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::header_support::{read, request};
use proptest::prelude::*;
use sip_message::headers::compose::{
    Address, AuthenticationInfo, Challenge, Credentials, DialogRef, Event, List, RAck, Reason, RetryAfter,
    SessionExpires, SubscriptionState, Via, Warning,
};
use sip_message::headers::{self, Date, EventReason, Refresher, Substate, Token};
use sip_message::{Header, Message, Method, NameAddr, StatusCode, ValueError, ValueFault, ViaTransport};
use std::fmt::Display;

/// A built request with this one value, checked to its last parameter.
fn built(header: Header, value: impl Display) -> Message {
    let mut message = request("");
    message.push(header, value).unwrap();
    message.check_grammar().unwrap();
    message
}

#[test]
fn values_as_they_are_written() -> Result<(), ValueError> {
    let written: [(Header, String, &str); 24] = [
        (Header::Contact, Address::new("sip:a@b")?.to_string(), "<sip:a@b>"),
        (
            Header::From,
            Address::new("sip:a@b;x=y?c=d")?.display_name("A \"B\" \\ é")?.tag("1-x")?.to_string(),
            "\"A \\\"B\\\" \\\\ é\" <sip:a@b;x=y?c=d>;tag=1-x",
        ),
        (
            Header::Contact,
            Address::new("sip:a@b")?
                .q(500)
                .expires(60)
                .instance_id("urn:uuid:0")?
                .reg_id(1)?
                .flag("+sip.ice")?
                .to_string(),
            "<sip:a@b>;q=0.500;expires=60;+sip.instance=\"<urn:uuid:0>\";reg-id=1;+sip.ice",
        ),
        (Header::Contact, Address::new("sip:a@b")?.q(1000).q(5).to_string(), "<sip:a@b>;q=0.005"),
        (Header::Contact, Address::new("sip:a@b")?.q(u16::MAX).to_string(), "<sip:a@b>;q=1"),
        (Header::Route, Address::new("sip:[2001:db8::1]:5061;lr")?.to_string(), "<sip:[2001:db8::1]:5061;lr>"),
        (
            Header::CallInfo,
            Address::new("http://a/b,c")?.param("purpose", "icon")?.to_string(),
            "<http://a/b,c>;purpose=icon",
        ),
        (
            Header::Via,
            Via::new(ViaTransport::Wss, "x.invalid")?.branch("z9hG4bK1")?.rport().to_string(),
            "SIP/2.0/WSS x.invalid;branch=z9hG4bK1;rport",
        ),
        (Header::Via, Via::new(ViaTransport::Udp, "::1")?.port(5070).to_string(), "SIP/2.0/UDP [::1]:5070"),
        (
            Header::Via,
            Via::new(ViaTransport::Tls, "[::1]")?.param("received", "::2")?.to_string(),
            "SIP/2.0/TLS [::1];received=::2",
        ),
        (Header::Event, Event::new("presence.winfo")?.id("7")?.param("x", "y")?.to_string(), "presence.winfo;id=7;x=y"),
        (
            Header::SubscriptionState,
            SubscriptionState::new(Substate::Terminated).reason(EventReason::Noresource).retry_after(5).to_string(),
            "terminated;reason=noresource;retry-after=5",
        ),
        (
            Header::SubscriptionState,
            SubscriptionState::new(Substate::Active).expires(9).to_string(),
            "active;expires=9",
        ),
        (
            Header::Reason,
            Reason::sip(StatusCode::OK).text("Call completed elsewhere")?.to_string(),
            "SIP;cause=200;text=\"Call completed elsewhere\"",
        ),
        (Header::Reason, Reason::q850(16).to_string(), "Q.850;cause=16"),
        (Header::SessionExpires, SessionExpires::new(1800).refresher(Refresher::Uas).to_string(), "1800;refresher=uas"),
        (Header::MinSe, SessionExpires::new(90).to_string(), "90"),
        (Header::RetryAfter, RetryAfter::new(120).duration(60).to_string(), "120;duration=60"),
        (
            Header::Replaces,
            DialogRef::replaces("a@b", "1", "2")?.early_only().to_string(),
            "a@b;to-tag=1;from-tag=2;early-only",
        ),
        (Header::TargetDialog, DialogRef::target_dialog("a", "1", "2")?.to_string(), "a;local-tag=1;remote-tag=2"),
        (
            Header::Warning,
            Warning::new(307, "isi.edu:5060", "a \"b\"")?.to_string(),
            "307 isi.edu:5060 \"a \\\"b\\\"\"",
        ),
        (Header::RAck, RAck { rseq: 776_656, cseq: 1, method: Method::Invite }.to_string(), "776656 1 INVITE"),
        (Header::Allow, List(&[Method::Invite, Method::Ack, Method::Other("x")]).to_string(), "INVITE, ACK, x"),
        (Header::Date, Date::from_unix(0).unwrap().to_string(), "Thu, 01 Jan 1970 00:00:00 GMT"),
    ];
    for (header, value, expected) in written {
        assert_eq!(value, expected);
        let mut message = request("");
        // What may stand once only takes the place of the one there is.
        match header {
            Header::Via => message.push_via(&value).unwrap(),
            _ => message.push(header, &value).unwrap(),
        }
        message.check_grammar().unwrap();
    }
    Ok(())
}

#[test]
fn authentication_is_quoted_as_senders_must() -> Result<(), ValueError> {
    //= https://www.rfc-editor.org/rfc/rfc7616#section-3.3
    //= type=test
    //# For historical reasons, a sender MUST only generate the quoted string
    //# syntax values for the following parameters: realm, domain, nonce,
    //# opaque, and qop.
    //= https://www.rfc-editor.org/rfc/rfc7616#section-3.3
    //= type=test
    //# For historical reasons, a sender MUST NOT generate the quoted string
    //# syntax values for the following parameters: stale and algorithm.
    let challenge = Challenge::digest("a \"b\"", "n")?
        .domain("sip:a sip:b")?
        .opaque("o")?
        .algorithm("SHA-256")?
        .qop(&["auth", "auth-int"])?
        .stale(true)
        .userhash(false);
    let expected = "Digest realm=\"a \\\"b\\\"\", nonce=\"n\", domain=\"sip:a sip:b\", opaque=\"o\", algorithm=SHA-256, \
                    qop=\"auth,auth-int\", stale=true, userhash=false";
    assert_eq!(challenge.to_string(), expected);
    built(Header::WwwAuthenticate, &challenge);
    for name in ["stale", "Algorithm"] {
        assert_eq!(challenge.clone().quoted_param(name, "x").unwrap_err().kind, ValueFault::Form, "{name}");
    }
    for name in ["realm", "domain", "NONCE", "opaque", "qop"] {
        assert_eq!(challenge.clone().token_param(name, "x").unwrap_err().kind, ValueFault::Form, "{name}");
    }

    //= https://www.rfc-editor.org/rfc/rfc7616#section-3.4
    //= type=test
    //# For historical reasons, a sender MUST only generate the quoted string
    //# syntax for the following parameters: username, realm, nonce, uri,
    //# response, cnonce, and opaque.
    //= https://www.rfc-editor.org/rfc/rfc7616#section-3.4
    //= type=test
    //# For historical reasons, a sender MUST NOT generate the quoted string
    //# syntax for the following parameters: algorithm, qop, and nc.
    let credentials = Credentials::digest("bob", "a", "n", "sip:b@c", "00ff")?
        .opaque("")?
        .algorithm("MD5")?
        .qop("auth")?
        .cnonce("c")?
        .nc(10);
    let expected = "Digest username=\"bob\", realm=\"a\", nonce=\"n\", uri=\"sip:b@c\", response=\"00ff\", opaque=\"\", \
                    algorithm=MD5, qop=auth, cnonce=\"c\", nc=0000000a";
    assert_eq!(credentials.to_string(), expected);
    built(Header::ProxyAuthorization, &credentials);
    for name in ["algorithm", "qop", "NC"] {
        assert_eq!(credentials.clone().quoted_param(name, "x").unwrap_err().kind, ValueFault::Form, "{name}");
    }
    for name in ["username", "realm", "nonce", "uri", "response", "cnonce", "opaque"] {
        assert_eq!(credentials.clone().token_param(name, "x").unwrap_err().kind, ValueFault::Form, "{name}");
    }

    //= https://www.rfc-editor.org/rfc/rfc7616#section-3.5
    //= type=test
    //# For historical reasons, a sender MUST only generate the quoted string
    //# syntax for the following parameters: nextnonce, rspauth, and cnonce.
    //= https://www.rfc-editor.org/rfc/rfc7616#section-3.5
    //= type=test
    //# For historical reasons, a sender MUST NOT generate the quoted string
    //# syntax for the following parameters: qop and nc.
    let info = AuthenticationInfo::rspauth("auth", "00ff", "c", 1)?.and_nextnonce("m")?;
    let expected = "qop=auth, rspauth=\"00ff\", cnonce=\"c\", nc=00000001, nextnonce=\"m\"";
    assert_eq!(info.to_string(), expected);
    built(Header::AuthenticationInfo, &info);
    assert_eq!(AuthenticationInfo::nextnonce("m")?.to_string(), "nextnonce=\"m\"");

    let bearer = Credentials::token68("Bearer", "eyJ.e30.x-_==")?;
    assert_eq!(bearer.to_string(), "Bearer eyJ.e30.x-_==");
    built(Header::Authorization, &bearer);
    let challenge =
        Challenge::other("Bearer", "r")?.quoted_param("authz_server", "https://as")?.token_param("x", "y")?;
    assert_eq!(challenge.to_string(), "Bearer realm=\"r\", authz_server=\"https://as\", x=y");
    built(Header::ProxyAuthenticate, &challenge);
    Ok(())
}

#[test]
fn what_a_challenge_said_goes_back_as_it_came() -> Result<(), ValueError> {
    let message = request("WWW-Authenticate: Digest realm=\"a\\\\\\\"b\", nonce=\"\\n==\", opaque=token\r\n");
    let challenge = message.www_authenticate().next().unwrap().unwrap();
    let realm = challenge.realm()?.unwrap();
    let credentials = Credentials::digest("bob", realm, challenge.nonce()?.unwrap(), "sip:a", "")?
        .opaque(challenge.opaque()?.unwrap())?;
    let expected = "Digest username=\"bob\", realm=\"a\\\\\\\"b\", nonce=\"\\n==\", uri=\"sip:a\", response=\"\", opaque=\"token\"";
    assert_eq!(credentials.to_string(), expected);
    let back = built(Header::Authorization, credentials);
    let back = back.authorization().next().unwrap().unwrap();
    assert_eq!(back.realm()?.unwrap(), realm);
    Ok(())
}

#[test]
fn addresses_are_always_in_brackets() {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-20.10
    //= type=test
    //# Even if the "display-name" is empty, the "name-addr" form MUST be
    //# used if the "addr-spec" contains a comma, semicolon, or question
    //# mark.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-20.20
    //= type=test
    //# Even if the "display-name" is empty, the "name-addr" form MUST be
    //# used if the "addr-spec" contains a comma, question mark, or
    //# semicolon.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-20.31
    //= type=test
    //# Even if the "display-name" is empty, the "name-addr" form MUST be
    //# used if the "addr-spec" contains a comma, question mark, or
    //# semicolon.
    for uri in ["sip:a,b@c", "sip:a;b@c", "sip:a@b;c=d", "sip:a?b@c", "sip:a@b?c=d", "sip:a@b"] {
        let value = Address::new(uri).unwrap().display_name("").unwrap().to_string();
        assert_eq!(value, format!("<{uri}>"));
        for header in [Header::Contact, Header::From, Header::ReplyTo] {
            built(header, &value);
        }
        assert_eq!(read::<NameAddr<'_>>(&value).uri_bytes(), uri.as_bytes());
    }
}

#[test]
fn every_branch_has_the_magic_cookie() {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-20.42
    //= type=test
    //# For implementations compliant to this specification, the value of the
    //# branch parameter MUST start with the magic cookie "z9hG4bK", as
    //# discussed in Section 8.1.1.7.
    let via = || Via::new(ViaTransport::Tcp, "a").unwrap();
    assert_eq!(via().branch("z9hG4bKx").unwrap().to_string(), "SIP/2.0/TCP a;branch=z9hG4bKx");
    for branch in ["", "x", "Z9HG4BKx", "xz9hG4bK"] {
        assert_eq!(via().branch(branch).unwrap_err().kind, ValueFault::Form, "{branch}");
    }
}

#[test]
fn the_uri_of_credentials_is_quoted() {
    //= https://www.rfc-editor.org/rfc/rfc8760#section-2.6
    //= type=test
    //# The "uri" parameter of the Authorization header field MUST be
    //# enclosed in quotation marks.
    let credentials = Credentials::digest("a", "b", "c", "sip:d", "00").unwrap();
    assert!(credentials.to_string().contains(", uri=\"sip:d\","));
    assert!(credentials.token_param("URI", "sip").is_err());
}

#[test]
fn what_would_break_out_is_refused() {
    let place = |result: Result<(), ValueError>| result.map_err(|error| (error.kind, error.offset)).unwrap_err();
    macro_rules! refused {
        ($($value:expr, $kind:ident, $offset:literal;)*) => {
            $(assert_eq!(place($value.map(drop)), (ValueFault::$kind, $offset), "{}", stringify!($value));)*
        };
    }
    let address = || Address::new("sip:a@b").unwrap();
    let via = || Via::new(ViaTransport::Udp, "a").unwrap();
    refused! {
        Address::new(""), Uri, 0;
        Address::new("sip:a@b>"), Uri, 7;
        Address::new("sip:a@b\r\nX: y"), Uri, 7;
        Address::new("http://a/<b>"), Uri, 9;
        Address::new("http://a/ b"), Uri, 9;
        Address::new("http://a/\u{e9}"), Uri, 9;
        address().display_name("a\r\nb"), Character, 1;
        address().display_name("\u{0}"), Character, 0;
        address().display_name("a\u{7f}"), Character, 1;
        address().tag(""), Empty, 0;
        address().tag("a;b"), Character, 1;
        address().param("a b", "c"), Character, 1;
        address().param("a", ""), Empty, 0;
        address().param("a", "b\r\n"), Character, 1;
        address().param("a", "\"b\""), Character, 0;
        address().flag("a=b"), Character, 1;
        address().flag(""), Empty, 0;
        address().quoted_param("a", "b\nc"), Character, 1;
        address().instance_id("urn"), Uri, 3;
        address().instance_id("urn:a:\">b"), Uri, 6;
        address().reg_id(0), Number, 0;
        address().reg_id(1 << 31), Number, 0;
        Via::new(ViaTransport::Other("U DP"), "a"), Character, 1;
        Via::new(ViaTransport::Udp, ""), Host, 0;
        Via::new(ViaTransport::Udp, "a b"), Host, 1;
        Via::new(ViaTransport::Udp, "a;b"), Host, 1;
        Via::new(ViaTransport::Udp, "a\r\n"), Host, 1;
        Via::new(ViaTransport::Udp, "a:5060"), Host, 6;
        via().branch("z9hG4bK 1"), Character, 7;
        via().branch("1"), Form, 0;
        Event::new("a;b"), Character, 1;
        Event::new("a..b"), Character, 2;
        Event::new("a").unwrap().id("1,2"), Character, 1;
        Reason::new("S IP", 1), Character, 1;
        Reason::q850(1).text("\u{1}"), Character, 0;
        DialogRef::replaces("a b", "1", "2"), Character, 1;
        DialogRef::replaces("a;x=y", "1", "2"), Character, 1;
        DialogRef::replaces("a", "1;early-only", "2"), Character, 1;
        DialogRef::target_dialog("a", "1", ""), Empty, 0;
        Warning::new(99, "a", "b"), Number, 0;
        Warning::new(1000, "a", "b"), Number, 0;
        Warning::new(300, "a b", "c"), Host, 0;
        Warning::new(300, "a", "\r"), Character, 0;
        Challenge::digest("a\r\n", "b"), Character, 1;
        Challenge::digest("a", "b").unwrap().algorithm("MD5, x=y"), Character, 3;
        Challenge::digest("a", "b").unwrap().qop(&[]), Empty, 0;
        Challenge::digest("a", "b").unwrap().qop(&["auth", "a\""]), Character, 1;
        Challenge::other("a b", "c"), Character, 1;
        Credentials::digest("a", "b", "c", "d", "00\""), Character, 2;
        Credentials::digest("a", "b", "c", "d\n", "00"), Character, 1;
        Credentials::token68("Bearer", "a b"), Character, 0;
        Credentials::token68("Bearer", ""), Character, 0;
        Credentials::token68("Bea rer", "a"), Character, 3;
        AuthenticationInfo::rspauth("auth", "x", "c", 1), Character, 0;
        Token::try_from("a b"), Character, 1;
    }
}

/// Any text, with what has a meaning in a header more often than the rest.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just('"'),
        Just('\\'),
        Just(','),
        Just(';'),
        Just('>'),
        Just('<'),
        Just('\r'),
        Just('\n'),
        any::<char>()
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|chars| chars.into_iter().collect())
}

proptest! {
    /// Whatever is accepted reads back; nothing that is accepted gives a second line.
    #[test]
    fn accepted_texts_read_back(name in text(), realm in text(), tag in text(), uri in text()) {
        if let Ok(address) = Address::new("sip:a@b").unwrap().display_name(&name) {
            let value = address.to_string();
            let back = read::<NameAddr<'_>>(&value);
            let plain = back.display_name().unwrap_or_default();
            prop_assert_eq!(plain, name.as_str());
            prop_assert_eq!(back.uri_bytes(), b"sip:a@b");
            built(Header::Contact, &value);
        } else {
            prop_assert!(name.bytes().any(|b| b < b' ' && b != b'\t' || b == 0x7f));
        }
        if let Ok(challenge) = Challenge::digest(realm.as_str(), "n") {
            let value = challenge.to_string();
            let message = built(Header::WwwAuthenticate, &value);
            let back = message.www_authenticate().next().unwrap().unwrap();
            prop_assert_eq!(&*back.realm().unwrap().unwrap().unquoted(), realm.as_bytes());
            prop_assert_eq!(message.www_authenticate().count(), 1);
        }
        if let Ok(address) = Address::new("sip:a@b").unwrap().tag(&tag) {
            let value = address.to_string();
            prop_assert_eq!(read::<NameAddr<'_>>(&value).tag(), Ok(Some(tag.as_str())));
        }
        let uri = format!("http://a/{uri}");
        if let Ok(address) = Address::new(&uri) {
            let value = address.to_string();
            prop_assert_eq!(read::<headers::InfoUri<'_>>(&value).uri_bytes(), uri.as_bytes());
            built(Header::CallInfo, &value);
        }
    }
}
