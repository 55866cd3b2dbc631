//! Challenges, credentials and Authentication-Info, Digest and others.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::header_support::{fault, place, read, request};
use proptest::prelude::*;
use sip_message::headers::{AuthenticationInfo, Challenge, Credentials};
use sip_message::{FieldValue, ParamValue, ValueFault};

fn text(value: Result<Option<ParamValue<'_>>, sip_message::ValueError>) -> String {
    String::from_utf8(value.unwrap().unwrap().without_quotes().to_vec()).unwrap()
}

#[test]
fn a_digest_challenge() {
    let challenge = read::<Challenge<'_>>(
        "dIGEST realm=\"atlanta.com\", domain=\"sip:ss1.carrier.com sip:ss2\", qop=\"auth , auth-int\",\r\n \
         nonce=\"f84f1cec41e6cbe5aea9c8e88d359\", opaque=\"\", stale=FALSE, algorithm=MD5-sess, userhash=true",
    );
    assert!(challenge.is_digest());
    assert_eq!(text(challenge.realm()), "atlanta.com");
    assert_eq!(text(challenge.domain()), "sip:ss1.carrier.com sip:ss2");
    assert_eq!(text(challenge.nonce()), "f84f1cec41e6cbe5aea9c8e88d359");
    assert_eq!(text(challenge.opaque()), "");
    assert_eq!((challenge.stale(), challenge.userhash()), (Ok(false), Ok(true)));
    assert_eq!(challenge.algorithm().unwrap().unwrap(), "md5-SESS");
    let qop: Vec<_> = challenge.qop().unwrap().unwrap().iter().map(|option| option.as_str().to_owned()).collect();
    assert_eq!(qop, ["auth", "auth-int"]);
    assert_eq!(challenge.params().count(), 8);
    assert_eq!(challenge.token68(), None);
}

#[test]
fn quoted_and_unquoted_values_read_alike() {
    // RFC 7616 binds senders to one form per parameter; `auth-param` lets a receiver take both.
    let challenge = read::<Challenge<'_>>("Digest realm=x, nonce=y, algorithm=\"SHA-256\", stale=\"true\", qop=auth");
    assert_eq!((text(challenge.realm()), text(challenge.nonce())), ("x".into(), "y".into()));
    assert_eq!(challenge.algorithm().unwrap().unwrap(), "SHA-256");
    assert_eq!(challenge.stale(), Ok(true));
    assert!(challenge.qop().unwrap().unwrap().has("AUTH"));
    let credentials = read::<Credentials<'_>>("Digest response=0aF, nc=\"0000000f\", qop=\"auth\"");
    assert_eq!((credentials.response(), credentials.nc()), (Ok(Some("0aF")), Ok(Some(15))));
    assert_eq!(credentials.qop().unwrap().unwrap(), "auth");
}

#[test]
fn digest_credentials() {
    let credentials = read::<Credentials<'_>>(
        "Digest username=\"bo\\\"b\", realm=\"a, b\", nonce=\"n==\", uri=\"sip:bob@biloxi.com;x=y\", qop=auth, nc=00000001,\
         cnonce=\"0a4f113b\", response=\"6629fae49393a05397450978507c4ef1\", opaque=\"5ccc\", algorithm=SHA-512-256",
    );
    assert_eq!(text(credentials.username()), "bo\\\"b");
    assert_eq!(&*credentials.username().unwrap().unwrap().unquoted(), b"bo\"b");
    assert_eq!(text(credentials.realm()), "a, b");
    assert_eq!(text(credentials.uri()), "sip:bob@biloxi.com;x=y");
    assert_eq!(text(credentials.cnonce()), "0a4f113b");
    assert_eq!(text(credentials.opaque()), "5ccc");
    assert_eq!(credentials.response(), Ok(Some("6629fae49393a05397450978507c4ef1")));
    assert_eq!(credentials.nc(), Ok(Some(1)));
    assert_eq!(credentials.algorithm().unwrap().unwrap(), "SHA-512-256");
    assert_eq!(credentials.userhash(), Ok(false));
}

#[test]
fn nc_is_eight_hexadecimal_digits() {
    //= https://www.rfc-editor.org/rfc/rfc7616#section-3.5
    //= type=test
    //# For historical reasons, the nc value MUST be exactly 8 hexadecimal
    //# digits.
    for (value, count) in [("00000000", 0), ("0000000a", 10), ("ffffffff", u32::MAX), ("FFFFFFFF", u32::MAX)] {
        let text = format!("Digest nc={value}");
        assert_eq!(read::<Credentials<'_>>(&text).nc(), Ok(Some(count)), "{value}");
        let text = format!("nc={value}");
        assert_eq!(read::<AuthenticationInfo<'_>>(&text).nc(), Ok(Some(count)), "{value}");
    }
    for value in ["1", "0000000", "000000001", "+0000001", "0000000g", "\"0000 001\""] {
        let text = format!("Digest nc={value}");
        assert_eq!(place(read::<Credentials<'_>>(&text).nc()).0, ValueFault::Number, "{value}");
    }
}

#[test]
fn a_digest_response_has_any_length_even_none() {
    //= https://www.rfc-editor.org/rfc/rfc8760#section-2.7
    //= type=test
    //# A parameter with an empty
    //# value (empty string) is allowed when the UAC has not yet received a
    //# challenge.
    let head = "Authorization: Digest username=\"a\", realm=\"b\", nonce=\"\", uri=\"sip:c\"";
    for response in ["", "6629fae49393a05397450978507c4ef1", &"0".repeat(64)] {
        request(&format!("{head}, response=\"{response}\"\r\n")).check_grammar().unwrap();
    }
    assert!(request(&format!("{head}, response=\"xyz\"\r\n")).check_grammar().is_err());
}

#[test]
fn required_parameters_are_required() {
    //= https://www.rfc-editor.org/rfc/rfc7616#section-3.4
    //= type=test
    //# If a parameter or its value is improper, or required parameters are
    //# missing, the proper response is a 4xx error code.
    let all = ["username=\"a\"", "realm=\"b\"", "nonce=\"c\"", "uri=\"sip:d\"", "response=\"00\""];
    request(&format!("Authorization: Digest {}\r\n", all.join(", "))).check_grammar().unwrap();
    for left_out in all {
        let rest: Vec<_> = all.into_iter().filter(|param| *param != left_out).collect();
        let message = request(&format!("Proxy-Authorization: Digest {}\r\n", rest.join(",")));
        assert_eq!(message.check_grammar().unwrap_err().status.unwrap().class(), 4, "{left_out}");
        let twice = request(&format!("Authorization: Digest {}, {left_out}\r\n", all.join(", ")));
        assert!(twice.check_grammar().is_err(), "{left_out}");
    }
    for challenge in ["Digest realm=\"a\"", "Digest nonce=\"a\""] {
        assert!(request(&format!("WWW-Authenticate: {challenge}\r\n")).check_grammar().is_err());
    }
}

#[test]
fn other_schemes_are_kept() {
    let basic = read::<Credentials<'_>>("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    assert_eq!((basic.scheme().as_str(), basic.token68()), ("Basic", Some("QWxhZGRpbjpvcGVuIHNlc2FtZQ==")));
    assert!(!basic.is_digest());
    let bearer = read::<Credentials<'_>>("Bearer eyJhbGciOi.J9-_~+/");
    assert_eq!(bearer.token68(), Some("eyJhbGciOi.J9-_~+/"));
    let other = read::<Credentials<'_>>("NoOneKnowsThisScheme opaque-data=here");
    assert_eq!((other.token68(), text(other.params().get("Opaque-Data"))), (None, "here".into()));
    let bearer =
        read::<Challenge<'_>>("Bearer realm=\"r\", authz_server=\"https://as.example.com\", error=\"invalid_token\"");
    assert_eq!(text(bearer.params().get("error")), "invalid_token");
}

#[test]
fn lists_of_token68_and_parameters() {
    let message = request("Proxy-Authorization: Bearer abc==, Digest username=\"a\",nc=1 , Basic ZGVm\r\n");
    let all: Vec<_> = message.proxy_authorization().map(Result::unwrap).collect();
    let schemes: Vec<_> = all.iter().map(|credentials| credentials.scheme().as_str()).collect();
    assert_eq!(schemes, ["Bearer", "Digest", "Basic"]);
    assert_eq!((all[0].token68(), all[2].token68()), (Some("abc=="), Some("ZGVm")));
    assert_eq!(place(all[1].nc()), (ValueFault::Number, "Digest username=\"a\",nc=".len()));
}

#[test]
fn malformed_values() {
    for (value, kind, offset) in [
        ("", ValueFault::Empty, 0),
        ("Digest", ValueFault::Incomplete, 6),
        ("Digest,x=y", ValueFault::Character, 6),
        ("\"Digest\" x=y", ValueFault::Character, 0),
    ] {
        assert_eq!(fault::<Challenge<'_>>(value), (kind, offset), "{value}");
    }
    for (value, kind, offset) in [
        ("Digest realm=\"a", ValueFault::Unclosed, 13),
        ("Digest realm=\"a\" \"b\"", ValueFault::Trailing, 17),
        ("Digest x=1, , realm=a", ValueFault::Character, 12),
        ("Digest x=1,", ValueFault::Incomplete, 11),
        ("Digest x=, realm=a", ValueFault::Character, 9),
        ("Digest x, realm=a", ValueFault::Param, 8),
        ("Digest x=\"\u{1}\", realm=a", ValueFault::Character, 10),
    ] {
        let challenge = Challenge::parse_value(value.as_bytes()).unwrap();
        assert_eq!(place(challenge.realm()), (kind, offset), "{value}");
        assert_eq!(challenge.params().last().unwrap().unwrap_err().kind, kind, "an error ends the walk");
    }
}

#[test]
fn authentication_info() {
    let message = request(
        "Authentication-Info: nextnonce=\"47364c23432d2e131a5fb210812c\", qop=auth-int, rspauth=\"0a\", cnonce=\"c\", nc=00000002\r\n",
    );
    let info: AuthenticationInfo<'_> = message.authentication_info().unwrap().unwrap();
    assert_eq!(text(info.nextnonce()), "47364c23432d2e131a5fb210812c");
    assert_eq!(info.qop().unwrap().unwrap(), "auth-int");
    assert_eq!((info.rspauth(), info.nc()), (Ok(Some("0a")), Ok(Some(2))));
    assert_eq!(text(info.cnonce()), "c");
    assert_eq!(fault::<AuthenticationInfo<'_>>(""), (ValueFault::Empty, 0));
    message.check_grammar().unwrap();
}

#[test]
fn only_true_is_stale() {
    //= https://www.rfc-editor.org/rfc/rfc7616#section-3.3
    //= type=test
    //# If stale is false, or anything other than true, or the stale
    //# parameter is not present, the username and/or password are
    //# invalid, and new values MUST be obtained.
    for (value, stale) in [
        ("Digest stale=true", true),
        ("Digest stale=\"TRUE\"", true),
        ("Digest stale=false", false),
        ("Digest stale=yes", false),
        ("Digest stale=\"\"", false),
        ("Digest realm=\"stale=true\"", false),
    ] {
        assert_eq!(read::<Challenge<'_>>(value).stale(), Ok(stale), "{value}");
    }
}

#[test]
fn unknown_qualities_of_protection_are_ignored() {
    //= https://www.rfc-editor.org/rfc/rfc7616#section-3.3
    //= type=test
    //# Unrecognized options MUST be ignored.
    let challenge = read::<Challenge<'_>>("Digest qop=\"token, x y,, auth-int ,\u{e9}\"");
    let qop = challenge.qop().unwrap().unwrap();
    assert!(qop.has("auth-int") && !qop.has("auth") && !qop.has("x"));
    assert_eq!(qop.iter().count(), 2, "what is no token is left out");
}

#[test]
fn user_names_of_two_kinds() {
    let text = |value: &str| read::<Credentials<'_>>(value).username_text().map(|name| name.unwrap().into_owned());
    assert_eq!(text("Digest username=\"bo\\\"b\""), Ok("bo\"b".into()));
    assert_eq!(text("Digest username*=UTF-8''J%C3%A4s%c3%b8n%20Doe"), Ok("J\u{e4}s\u{f8}n Doe".into()));
    assert_eq!(text("Digest username*=utf-8'en'bob"), Ok("bob".into()));
    assert_eq!(read::<Credentials<'_>>("Digest realm=\"a\"").username_text(), Ok(None));
    for bad in ["bob", "UTF-8'bob", "ISO-8859-1''bob", "UTF-8''%C3", "UTF-8''%4", "UTF-8''%xx", "UTF-8''%+1"] {
        let value = format!("Digest username*={bad}");
        assert_eq!(place(read::<Credentials<'_>>(&value).username_text()), (ValueFault::Param, 17), "{bad}");
    }
}

#[test]
fn two_user_names_are_an_error() {
    //= https://www.rfc-editor.org/rfc/rfc7616#section-3.4
    //= type=test
    //# Sending both username and username* in the same
    //# header option MUST be treated as an error.
    let rest = "realm=\"b\", nonce=\"c\", uri=\"sip:d\", response=\"00\"";
    for (names, right) in
        [("username=\"a\"", true), ("username*=UTF-8''a", true), ("username=\"a\", username*=UTF-8''a", false)]
    {
        let message = request(&format!("Authorization: Digest {names}, {rest}\r\n"));
        assert_eq!(message.check_grammar().is_ok(), right, "{names}");
    }
}

#[test]
fn authentication_info_with_qop_has_its_proof() {
    //= https://www.rfc-editor.org/rfc/rfc7616#section-3.5
    //= type=test
    //# The
    //# rspauth, cnonce, and nc parameters MUST be present if "qop=auth" or
    //# "qop=auth-int" is specified.
    let all = ["rspauth=\"00\"", "cnonce=\"c\"", "nc=00000001"];
    let check = |params: &[&str]| {
        request(&format!("Authentication-Info: qop=auth,{}\r\n", params.join(","))).check_grammar().is_ok()
    };
    assert!(check(&all));
    for left_out in 0..3 {
        let rest: Vec<_> = (0..3).filter(|at| *at != left_out).map(|at| all[at]).collect();
        assert!(!check(&rest), "{}", all[left_out]);
    }
    request("Authentication-Info: nextnonce=\"x\"\r\n").check_grammar().unwrap();
}

#[test]
fn all_of_digest_credentials_in_one_pass() {
    let value = "Digest Username=\"bob\", REALM=\"a\", nonce=\"n\", uri=\"sip:u\", response=\"0aF0\", algorithm=MD5, cnonce=\"c\", \
                 opaque=\"o\", qop=auth, nc=0000000A, userhash=true, x=y, x=z";
    let credentials = read::<Credentials<'_>>(value);
    let all = credentials.digest().unwrap().unwrap();
    let same = |a: Option<ParamValue<'_>>, b: Result<Option<ParamValue<'_>>, _>| {
        assert_eq!(Ok::<_, sip_message::ValueError>(a), b)
    };
    same(all.username, credentials.username());
    same(all.realm, credentials.realm());
    same(all.nonce, credentials.nonce());
    same(all.uri, credentials.uri());
    same(all.cnonce, credentials.cnonce());
    same(all.opaque, credentials.opaque());
    assert_eq!(Ok(all.response), credentials.response());
    assert_eq!(Ok(all.algorithm), credentials.algorithm());
    assert_eq!(Ok(all.qop), credentials.qop());
    assert_eq!((all.nc, credentials.nc()), (Some("0000000A"), Ok(Some(10))));
    assert!(all.userhash && all.username_extended.is_none());
    assert!(read::<Credentials<'_>>("Bearer abc").digest().unwrap().is_none());
    let none = read::<Credentials<'_>>("digest x=y").digest().unwrap().unwrap();
    assert!(none.username.is_none() && none.response.is_none() && !none.userhash);
}

#[test]
fn one_pass_sees_what_is_wrong() {
    let all = [
        "username=\"a\"",
        "realm=\"a\"",
        "nonce=\"a\"",
        "uri=\"a\"",
        "response=\"00\"",
        "algorithm=a",
        "cnonce=\"a\"",
        "opaque=\"a\"",
        "qop=a",
        "nc=00000001",
        "userhash=true",
        "username*=UTF-8''a",
    ];
    for param in all {
        let value = format!("Digest {param}, x=y, {param}");
        let value_at = value.rfind('=').unwrap() + 1;
        assert_eq!(place(read::<Credentials<'_>>(&value).digest()), (ValueFault::Param, value_at), "{param}");
    }
    for (value, kind, offset) in [
        ("Digest username=\"a\", username*=UTF-8''a", ValueFault::Param, 31),
        ("Digest username*=UTF-8''a, username=\"a\"", ValueFault::Param, 36),
        ("Digest response=\"0g\"", ValueFault::Param, 16),
        ("Digest nc=1", ValueFault::Number, 10),
        ("Digest qop=\"a b\"", ValueFault::Param, 11),
        ("Digest algorithm=\"\"", ValueFault::Param, 17),
        ("Digest x", ValueFault::Param, 8),
        ("Digest x=y z", ValueFault::Trailing, 11),
    ] {
        assert_eq!(place(read::<Credentials<'_>>(value).digest()), (kind, offset), "{value}");
    }
}

/// A parameter of Digest credentials, however it may be written, good or not.
fn param() -> impl Strategy<Value = String> {
    const NAMES: [&str; 11] =
        ["username", "realm", "nonce", "uri", "response", "algorithm", "cnonce", "opaque", "qop", "nc", "x"];
    let name = (proptest::sample::select(&NAMES[..]), any::<bool>())
        .prop_map(|(name, upper)| if upper { name.to_ascii_uppercase() } else { name.to_owned() });
    let equal = proptest::sample::select(&["=", "=", "=", " =", "= ", "\r\n =\t"][..]);
    let value = prop_oneof![
        "[0-9a-f]{8}",
        "\"[0-9a-fA-F]{0,40}\"",
        "\"[ -~\u{e9}\t]{0,20}\"",
        "\"[a-z]{0,9}(\\\\[\"a])?[a-z]{0,9}\"",
        "[a-zA-Z0-9._-]{0,20}",
        "[ -~]{0,6}",
    ];
    (name, equal, value).prop_map(|(name, equal, value)| format!("{name}{equal}{value}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    /// One pass reads what the look-ups read, and finds fault where going through the parameters does.
    #[test]
    fn one_pass_reads_what_the_look_ups_read(
        params in proptest::collection::vec(param(), 1..8),
        comma in proptest::sample::select(&[",", ", ", " , ", ",\r\n ", ",,"][..]),
    ) {
        let value = format!("Digest {}", params.join(comma));
        let Ok(credentials) = Credentials::parse_value(value.as_bytes()) else { return Ok(()) };
        let Ok(Some(all)) = credentials.digest() else {
            // A value of a known parameter may be what is wrong; if not, it is the form, or a name that stands twice.
            let read = || Ok::<_, sip_message::ValueError>((credentials.response()?, credentials.nc()?, credentials.qop()?, credentials.algorithm()?));
            let each: Result<Vec<_>, _> = credentials.params().collect();
            let mut names: Vec<_> = each.iter().flatten().map(|param| param.name.to_ascii_lowercase()).collect();
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            prop_assert!(read().is_err() || each.is_err() || names.len() < count, "{}", value);
            return Ok(());
        };
        prop_assert!(credentials.params().all(|param| param.is_ok()), "{}", value);
        prop_assert_eq!(Ok(all.username), credentials.username());
        prop_assert_eq!(Ok(all.realm), credentials.realm());
        prop_assert_eq!(Ok(all.nonce), credentials.nonce());
        prop_assert_eq!(Ok(all.uri), credentials.uri());
        prop_assert_eq!(Ok(all.cnonce), credentials.cnonce());
        prop_assert_eq!(Ok(all.opaque), credentials.opaque());
        prop_assert_eq!(Ok(all.response), credentials.response());
        prop_assert_eq!(Ok(all.algorithm), credentials.algorithm());
        prop_assert_eq!(Ok(all.qop), credentials.qop());
        prop_assert_eq!(Ok(all.nc.map(|nc| u32::from_str_radix(nc, 16).unwrap())), credentials.nc());
    }
}
