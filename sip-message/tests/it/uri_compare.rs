//! When two URIs are equivalent, and that their hashes agree with it.

#![allow(clippy::panic, clippy::unwrap_used)]

use proptest::prelude::*;
use sip_message::Uri;
use std::collections::hash_map::DefaultHasher;
use std::hash::Hasher;

fn uri(text: &str) -> Uri<'_> {
    Uri::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn hash(uri: &Uri<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    uri.hash_canonical(&mut hasher);
    hasher.finish()
}

fn equivalent(a: &str, b: &str) -> bool {
    let (x, y) = (uri(a), uri(b));
    let equivalent = x.equivalent(&y);
    assert_eq!(equivalent, y.equivalent(&x), "not symmetric: {a} {b}");
    assert!(x.equivalent(&x) && y.equivalent(&y), "not reflexive: {a} {b}");
    if equivalent {
        assert_eq!(hash(&x), hash(&y), "equivalent, but not of one hash: {a} {b}");
    }
    equivalent
}

#[track_caller]
fn same(a: &str, b: &str) {
    assert!(equivalent(a, b), "{a} and {b} should be equivalent");
}

#[track_caller]
fn differ(a: &str, b: &str) {
    assert!(!equivalent(a, b), "{a} and {b} should not be equivalent");
}

#[test]
fn equivalent_examples_of_rfc_3261() {
    same("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp");
    same("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5");
    same("sip:carol@chicago.com", "sip:carol@chicago.com;security=on");
    same("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on");
    same(
        "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
        "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
    );
    same(
        "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
        "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
    );
}

#[test]
fn different_examples_of_rfc_3261() {
    differ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP");
    differ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060");
    differ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp");
    differ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp");
    differ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting");
    differ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4");
}

#[test]
fn equality_is_not_transitive() {
    same("sip:carol@chicago.com", "sip:carol@chicago.com;security=on");
    same("sip:carol@chicago.com", "sip:carol@chicago.com;security=off");
    differ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off");
}

#[test]
fn examples_of_rfc_5954() {
    //= https://www.rfc-editor.org/rfc/rfc5954#section-4.2
    //= type=test
    //# In addition, the text in the following paragraph MUST be added to the
    //# existing list of examples in Section 19.1.4 of RFC 3261 in order to
    //# demonstrate the intent of the modified rule:
    same("sip:bob@[::ffff:192.0.2.128]", "sip:bob@[::ffff:c000:280]");
    same("sip:bob@[2001:db8::9:1]", "sip:bob@[2001:db8::9:01]");
    same("sip:bob@[0:0:0:0:0:FFFF:129.144.52.38]", "sip:bob@[::FFFF:129.144.52.38]");
    same("sip:bob@h;maddr=[2001:DB8::1]", "sip:bob@h;maddr=[2001:db8:0::1]");
    differ("sip:bob@[::ffff:192.0.2.128]", "sip:bob@192.0.2.128");
    differ("sip:bob@[2001:db8::1]", "sip:bob@[2001:db8::2]");
}

#[test]
fn schemes_and_components() {
    differ("sip:a@b", "sips:a@b");
    same("sip:a@b", "SIP:a@B");
    differ("sip:b", "sip:a@b");
    differ("sip:a@b", "sip:a:@b");
    differ("sip:a:x@b", "sip:a:X@b");
    same("sip:a:x@b", "sip:%61:%78@b");
    differ("sip:a;x@b", "sip:a;X@b");
    differ("sip:a@b.c", "sip:a@b.c.");
    same("sip:a@b:5060", "sip:a@b:05060");
}

#[test]
fn an_escaped_reserved_character_is_not_the_character() {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.4
    //= type=test
    //# o  Characters other than those in the "reserved" set (see RFC 2396
    //# [5]) are equivalent to their ""%" HEX HEX" encoding.
    for reserved in [";", "/", "?", "&", "=", "+", "$", ","] {
        let escaped = format!("sip:a%{:02x}b@c", reserved.as_bytes()[0]);
        differ(&format!("sip:a{reserved}b@c"), &escaped);
        same(&escaped, &escaped.to_uppercase().replace("SIP:A", "sip:a").replace("B@C", "b@c"));
    }
    for other in ["-", "_", ".", "!", "~", "*", "'", "(", ")", "a", "0"] {
        same(&format!("sip:x{other}@c"), &format!("sip:x%{:02X}@c", other.as_bytes()[0]));
    }
    same("sip:a@b;x=%7e1", "sip:a@b;%58=~1");
    same("sip:%23@b", "sip:#@b");
    differ("sip:%00@host5.example.com", "sip:%00%00@host5.example.com");
    differ("sip:%2561@b", "sip:%61@b");
}

#[test]
fn parameters_that_are_never_ignored() {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.4
    //= type=test
    //# -  A user, ttl, or method uri-parameter appearing in only one
    //# URI never matches, even if it contains the default value.
    for param in ["user=ip", "ttl=1", "method=INVITE", "maddr=192.0.2.1", "transport=udp", "transport=tcp", "%75ser=ip"]
    {
        differ("sip:a@b", &format!("sip:a@b;{param}"));
        differ("sip:a@b;x;lr", &format!("sip:a@b;{param};x;lr"));
    }
    for param in ["lr", "ob", "gr", "x=y", "comp=sigcomp"] {
        same("sip:a@b;transport=tcp", &format!("sip:a@b;{param};transport=TCP"));
    }
    differ("sip:a@b;x=1", "sip:a@b;x=2");
    differ("sip:a@b;lr", "sip:a@b;lr=on");
    differ("sip:a@b;gr=urn:uuid:1", "sip:a@b;gr=urn:uuid:2");
    differ("sip:a@b;method=INVITE", "sip:a@b;method=invite");
    same("sip:a@b;a;b;c;d;e;f;g;h;i;j;user=phone", "sip:a@b;j;i;h;USER=Phone;z;y;x;v");
    differ("sip:a@b;a;b;c;d;e;f;g;h;i=1;j", "sip:a@b;j;i=2;h;z;y;x;v");
}

#[test]
fn headers_are_never_ignored() {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.4
    //= type=test
    //# o  URI header components are never ignored.  Any present header
    //# component MUST be present in both URIs and match for the URIs
    //# to match.
    differ("sip:a@b?x=1", "sip:a@b?x=1&y=2");
    differ("sip:a@b?x=1", "sip:a@b?x=1&x=1");
    differ("sip:a@b?x=1&x=2", "sip:a@b?x=2&x=1");
    same("sip:a@b?x=1&Y=2&x=3", "sip:a@b?x=1&x=3&y=2");
    same("sip:a@b?Subject=Next%20Meeting", "sip:a@b?s=next%20meeting");
    //= https://www.rfc-editor.org/rfc/rfc3261#section-20.8
    //= type=test
    //# Call-IDs are case-sensitive and
    //# are simply compared byte-by-byte.
    differ("sip:a@b?Call-ID=x", "sip:a@b?Call-ID=X");
    same("sip:a@b?Call-ID=x", "sip:a@b?i=%78");
    differ("sip:a@b?body=x", "sip:a@b?body=X");
    same("sip:a@b?body=x", "sip:a@b?BODY=x");
    // Quoted strings are case-sensitive, the rest of a value is not.
    same("sip:a@b?x=A%22b%22C", "sip:a@b?x=a%22b%22c");
    differ("sip:a@b?x=A%22b%22C", "sip:a@b?x=a%22B%22c");
    differ("sip:a@b?x=%22%5C%22a%22", "sip:a@b?x=%22%5C%22A%22");
}

#[test]
fn from_and_to_are_compared_by_their_uris() {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-20.20
    //= type=test
    //# Two From header fields are equivalent if their URIs match, and their
    //# parameters match.
    same("sip:a@b?to=sip:bob%40biloxi.com", "sip:a@b?t=%3Csip:bob%40BILOXI.com%3E");
    same(
        "sip:a@b?to=sip:bob%40biloxi.com",
        "sip:a@b?to=Bob%20%3Csip:bob%40biloxi.com;lr%3E;x%3D1".replace(';', "%3B").as_str(),
    );
    differ("sip:a@b?to=sip:bob%40biloxi.com", "sip:a@b?to=sip:BOB%40biloxi.com");
    differ("sip:a@b?from=sip:bob%40c%3Btag%3D1", "sip:a@b?from=sip:bob%40c%3Btag%3D2");
    differ("sip:a@b?from=sip:bob%40c%3Btag%3D1", "sip:a@b?from=sip:bob%40c");
    // Malformed ones are compared as text.
    same("sip:a@b?to=%3CX", "sip:a@b?to=%3Cx");
    differ("sip:a@b?to=%3CX", "sip:a@b?to=sip:x");
    // A URI with headers inside of one.
    same("sip:a@b?to=%3Csip:a%40b?to%3Dsip:C%2540d%3E", "sip:a@b?to=%3Csip:a%40b?to%3Dsip:c%2540d%3E");
}

#[test]
fn telephone_numbers() {
    // The examples of RFC 3261 section 19.1.6.
    same("tel:+358-555-1234567;postd=pp22", "tel:+358-555-1234567;POSTD=PP22");
    differ("sip:+358-555-1234567;postd=pp22@foo.com;user=phone", "sip:+358-555-1234567;POSTD=PP22@foo.com;user=phone");
    same("tel:+358-555-1234567;postd=pp22;isub=1411", "tel:+358-555-1234567;isub=1411;postd=pp22");
    differ(
        "sip:+358-555-1234567;postd=pp22;isub=1411@foo.com;user=phone",
        "sip:+358-555-1234567;isub=1411;postd=pp22@foo.com;user=phone",
    );
    // RFC 3966 section 4.
    same("tel:+1-201-555-0123", "TEL:+1(201)5550.123");
    differ("tel:+1-201-555-0123", "tel:+1-201-555-0124");
    differ("tel:12;phone-context=+1", "tel:+12;phone-context=+1");
    same("tel:a;phone-context=EXAMPLE.com", "tel:A;phone-context=example.COM");
    same("tel:863-1234;phone-context=+1-914-555", "tel:8631234;phone-context=+1914555");
    differ("tel:863-1234;phone-context=+1-914-555", "tel:863-1234;phone-context=+1-914-556");
    differ("tel:1;phone-context=a.b", "tel:1;phone-context=a-b");
    same("tel:+1;ext=1-2;a", "tel:+1;A;ext=12");
    differ("tel:+1", "tel:+1;ext=1");
    differ("tel:+1;x", "tel:+1;x=1");
    same("tel:+1;isub=%61", "tel:+1;ISUB=A");
    differ("tel:+1", "sip:+1@example.com;user=phone");
}

#[test]
fn other_schemes() {
    same("urn:service:sos.fire", "URN:SERVICE:SOS.Fire");
    same("urn:uuid:F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6", "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6");
    same("urn:Example:a", "URN:example:a");
    differ("urn:example:a", "urn:example:A");
    differ("urn:example:a", "urn:examples:a");
    same("urn:example:a%2cb", "URN:EXAMPLE:a%2Cb");
    differ("urn:example:a%2cB", "urn:example:a%2Cb");
    differ("urn:example:a%2cb", "urn:example:a,b");
    same("urn:example:a?=b", "urn:example:a?+c#d");
    differ("urn:example:a?=b", "urn:example:a/?=b");
    same("HTTP://a/b", "http://a/b");
    differ("http://a/b", "http://a/B");
    differ("http:a", "https:a");
}

#[test]
fn address_of_record_form() {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
    //= type=test
    //# The URI
    //# MUST then be converted to a canonical form.  To do that, all
    //# URI parameters MUST be removed (including the user-param), and
    //# any escaped characters MUST be converted to their unescaped
    //# form.
    for (text, aor) in [
        ("sip:%61lice@AtLanTa.CoM;user=phone;x=y?a=b", "sip:alice@atlanta.com"),
        ("SIPS:Alice@atlanta.com:5061", "sips:Alice@atlanta.com:5061"),
        ("sip:ALICE:%50W@[2001:DB8:0:0::1]", "sip:ALICE:PW@[2001:db8::1]"),
        ("sip:j%40s0n@example.com", "sip:j%40s0n@example.com"),
        ("sip:a%3bb%3Ac@example.com", "sip:a;b%3Ac@example.com"),
        ("sip:a#b@example.com", "sip:a%23b@example.com"),
        ("sip:%00%c3%a9@example.com", "sip:%00%C3%A9@example.com"),
        ("sip:example.com;lr", "sip:example.com"),
    ] {
        let form = uri(text).as_sip().unwrap().address_of_record();
        assert_eq!(form, aor, "{text}");
        assert_eq!(uri(&form).as_sip().unwrap().address_of_record(), aor, "not stable");
    }
}

#[test]
fn comparing_long_uris_is_not_quadratic() {
    let many = |prefix: &str| (0..9_000).map(|i| format!(";{prefix}{i}")).collect::<String>();
    let (a, b) = (format!("sip:a@b{}", many("x")), format!("sip:a@b{}", many("y")));
    same(&a, &b);
    let headers = |join: &str| (0..6_000).map(|i| format!("{join}h{i}=v")).collect::<String>();
    let (a, b) = (format!("sip:a@b?z=1{}", headers("&")), format!("sip:a@b?{}&z=1", &headers("&")[1..]));
    same(&a, &b);
}

/// Ignored parameters are what breaks transitivity: without them it holds.
#[test]
fn transitive_where_nothing_is_ignored() {
    let mut uris: Vec<String> = Vec::new();
    for user in ["", "a@", "%61@", "a:p@", "a:%70@"] {
        for host in ["h", "H:5060", "h:05060", "[::1]", "[0::1]"] {
            for params in ["", ";ttl=1;user=phone", ";USER=ph%6fne;ttl=1", ";maddr=[::1]", ";maddr=[0::1]"] {
                for headers in ["", "?s=a&x=1", "?x=1&Subject=%41"] {
                    uris.push(format!("sip:{user}{host}{params}{headers}"));
                }
            }
        }
    }
    for params in ["", ";ext=1;x=a", ";X=%41;ext=-1", ";x"] {
        for number in ["tel:+1-2", "TEL:+12", "tel:+123"] {
            uris.push(format!("{number}{params}"));
        }
    }
    uris.extend(["urn:x:a", "URN:X:a", "urn:x:A", "http:a", "HTTP:a"].map(str::to_owned));
    let same: Vec<Vec<usize>> =
        uris.iter().map(|a| (0..uris.len()).filter(|&b| equivalent(a, &uris[b])).collect()).collect();
    // Each list of equivalents is that of all its members: the lists are classes.
    for list in &same {
        assert!(list.iter().all(|&b| same[b] == *list));
    }
    assert!(same.iter().any(|list| list.len() > 1));
}

/// A URI from few enough parts that two of them are often equivalent.
fn any_uri() -> impl Strategy<Value = String> {
    let pick = |from: &'static [&'static str]| prop::sample::select(from);
    let user = pick(&["", "a@", "%61@", "A@", "a:p@", "a:%70@", "a%3b@", "a;@"]);
    let host = pick(&["h", "H", "1.2.3.4", "[::1]", "[0::1]"]);
    let port = pick(&["", ":5060", ":05060"]);
    let params = pick(&[
        ";user=phone",
        ";USER=ph%6fne",
        ";transport=tcp",
        ";Transport=TCP",
        ";maddr=[::1]",
        ";maddr=[0::1]",
        ";maddr=h",
        ";ttl=1",
        ";method=INVITE",
        ";method=invite",
        ";lr",
        ";lr=1",
        ";x=y",
        ";%58=Y",
        ";x=z",
    ]);
    let params = prop::collection::vec(params, 0..3);
    let headers =
        pick(&["", "?s=a", "?subject=A", "?s=a&x=1", "?x=1&Subject=%61", "?to=sip:a%40h", "?t=%3Csip:a%40H%3E"]);
    let sip = (pick(&["sip:", "SIP:", "sips:"]), user, host, port, params, headers).prop_map(
        |(scheme, user, host, port, params, headers)| format!("{scheme}{user}{host}{port}{}{headers}", params.concat()),
    );
    let params = pick(&[";ext=1", ";ext=-1", ";x=y", ";X=%59", ";y", ";isub=%61", ";ISUB=A"]);
    let numbers = pick(&["tel:+1-2", "tel:+12", "TEL:+1(3)", "tel:a;phone-context=h.x", "tel:A-;phone-context=H.X"]);
    let tel = (numbers, prop::collection::vec(params, 0..3))
        .prop_map(|(number, params)| format!("{number}{}", params.concat()));
    let other = pick(&[
        "urn:service:sos",
        "URN:service:SOS",
        "urn:x:a",
        "urn:X:a",
        "http:a",
        "HTTP:a",
        "http:A",
        "urn:x:a%2c",
        "urn:x:a%2C",
        "urn:x:A",
        "urn:x:a?=b",
        "urn:x:a#c",
    ]);
    prop_oneof![6 => sip, 2 => tel, 1 => other.prop_map(str::to_owned)]
        .prop_filter("a parameter twice", |text| Uri::parse(text.as_bytes()).is_ok())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn reflexive_and_symmetric_and_hashed_alike(a in any_uri(), b in any_uri()) {
        // `equivalent` asserts all three.
        equivalent(&a, &b);
    }

    #[test]
    fn respelling_keeps_equivalence(a in any_uri(), every in 1usize..4) {
        // Letters and digits of the user become escapes, the host changes its case.
        let parsed = uri(&a);
        let Some(sip) = parsed.as_sip() else { return Ok(()) };
        let user = sip.user().map(|user| {
            let mut out = String::new();
            let mut bytes = user.as_str().bytes().enumerate().peekable();
            while let Some((i, b)) = bytes.next() {
                if b == b'%' {
                    out.push('%');
                    out.extend((0..2).filter_map(|_| bytes.next()).map(|(_, b)| (b as char).to_ascii_uppercase()));
                } else if b.is_ascii_alphanumeric() && i % every == 0 {
                    out.push_str(&format!("%{b:02x}"));
                } else {
                    out.push(b as char);
                }
            }
            out + &a[a.find(sip.user().unwrap().as_str()).unwrap() + user.as_str().len()..a.find('@').unwrap() + 1]
        });
        let respelt = format!("{}:{}{}{}{}", sip.scheme().to_uppercase(), user.unwrap_or_default(),
            sip.host_port_str().to_uppercase(), sip.params().as_str(), sip.headers().as_str());
        prop_assert!(equivalent(&a, &respelt), "{a} {respelt}");
        prop_assert_eq!(sip.address_of_record(), uri(&respelt).as_sip().unwrap().address_of_record());
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80), at in 0usize..40, b in any::<u8>(), base in any_uri()) {
        let read = |v: &[u8]| if let Ok(uri) = Uri::parse(v) {
            assert_eq!(uri.as_bytes(), v);
            assert_eq!(uri.as_str().as_bytes(), v);
            assert!(uri.equivalent(&uri));
        };
        read(&bytes);
        let mut mutated = base.into_bytes();
        let len = mutated.len();
        mutated[at % len] = b;
        read(&mutated);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    /// A URI that is its own address-of-record form is told from those that are not as if the form had been made: a parameter has it made.
    #[test]
    fn what_is_its_own_address_of_record_needs_no_other(
        scheme in proptest::sample::select(&["sip:", "sips:", "SIP:"][..]),
        user in "([a-zA-Z0-9&=+$,;?/_.!~*'()-]|%[0-9a-fA-F]{2}){0,8}(:x)?",
        host in proptest::sample::select(&["a.example", "A.example", "a.example.", "192.0.2.1", "[2001:DB8::1]"][..]),
        port in proptest::sample::select(&["", "", ":5060"][..]),
    ) {
        let at = if user.is_empty() { "" } else { "@" };
        let (plain, with_param) = (format!("{scheme}{user}{at}{host}{port}"), format!("{scheme}{user}{at}{host}{port};x=y"));
        let (Ok(Uri::Sip(uri)), Ok(Uri::Sip(other))) = (Uri::parse(plain.as_bytes()), Uri::parse(with_param.as_bytes())) else {
            return Ok(());
        };
        let made = other.address_of_record();
        prop_assert_eq!(other.as_address_of_record(), None);
        prop_assert_eq!(uri.address_of_record(), made.clone());
        let same = made == plain && !user.contains('%') && port.is_empty() && uri.password().is_none() && uri.host().domain().is_some();
        prop_assert_eq!(uri.as_address_of_record(), same.then_some(&*plain));
        prop_assert!(uri.has_host(&host.to_ascii_uppercase()) && !uri.has_host("a.exampl"));
    }
}
