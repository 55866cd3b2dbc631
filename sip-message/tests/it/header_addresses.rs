//! Addresses and URIs in angle brackets, dialogs by their identifiers, Identity.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::header_support::{fault, place, read, request};
use sip_message::headers::{Diversion, HistoryEntry, Identity, InfoUri, Join, ReferredBy, Replaces, TargetDialog};
use sip_message::{Contact, ContactParams, NameAddr, ValueFault};

#[test]
fn uris_in_brackets() {
    let message = request(
        "Call-Info: <http://www.example.com/alice/photo.jpg> ;purpose=icon,\r\n <http://www.example.com/alice/> ;purpose=Info\r\n\
         Alert-Info: <http://www.example.com/sounds/moo.wav>\r\nError-Info: <sip:not-in-service-recording@atlanta.com>\r\n\
         Geolocation: <cid:target123@atlanta.example.com>\r\nRefer-Events-At: <sips:a@b;gr>\r\n",
    );
    let info: Vec<InfoUri<'_>> = message.call_info().map(Result::unwrap).collect();
    assert_eq!(info[0].uri_bytes(), b"http://www.example.com/alice/photo.jpg");
    assert_eq!(info[0].uri().unwrap().scheme(), "http");
    assert_eq!(info[0].purpose().unwrap().unwrap(), "icon");
    assert_eq!(info[1].purpose().unwrap().unwrap(), "info");
    assert_eq!(message.alert_info().next().unwrap().unwrap().purpose(), Ok(None));
    assert!(message.error_info().next().unwrap().unwrap().uri().unwrap().as_sip().is_some());
    assert_eq!(message.geolocation().next().unwrap().unwrap().uri().unwrap().scheme(), "cid");
    assert!(message.refer_events_at().unwrap().unwrap().uri().is_ok());
    message.check_grammar().unwrap();
    assert_eq!(fault::<InfoUri<'_>>("http://a"), (ValueFault::Character, 0));
    assert_eq!(place(read::<InfoUri<'_>>("< sip:a>;x").uri()).0, ValueFault::Uri);
}

#[test]
fn histories_have_indices() {
    let message = request(
        "History-Info: <sip:bob@example.com>;index=1,\r\n <sip:bob@192.0.2.4?Reason=SIP%3Bcause%3D302>;index=1.10;rc=1\r\n\
         History-Info: \"x, y\" <sip:carol@c>;index=1.10.0;mp=1.10\r\n",
    );
    let entries: Vec<HistoryEntry<'_>> = message.history_info().map(Result::unwrap).collect();
    assert_eq!(entries.len(), 3);
    let index = entries[2].index().unwrap().unwrap();
    assert_eq!((index.as_str(), index.numbers().collect::<Vec<_>>()), ("1.10.0", vec![1, 10, 0]));
    assert_eq!(entries[1].rc().unwrap().unwrap().as_str(), "1");
    assert_eq!(entries[2].mp().unwrap().unwrap().as_str(), "1.10");
    assert_eq!((entries[0].np(), entries[0].rc()), (Ok(None), Ok(None)));
    assert_eq!(entries[2].address().display_name().unwrap(), "x, y");
    for bad in ["", ".", "1.", ".1", "1..1", "01", "1.01", "+1", "1.4294967296", "a", "\"1\""] {
        let value = format!("<sip:a@b>;index={bad}");
        assert!(read::<HistoryEntry<'_>>(&value).index().is_err(), "{bad}");
    }
}

#[test]
fn diversions_and_referrers() {
    let diversion =
        read::<Diversion<'_>>("\"Bob\" <sip:bob@b>;reason=\"user-busy\";counter=02;limit=5;privacy=full;screen=yes");
    assert!(diversion.reason().unwrap().unwrap().eq_ignore_case("USER-BUSY"));
    assert_eq!((diversion.counter(), diversion.limit()), (Ok(Some(2)), Ok(Some(5))));
    assert!(diversion.privacy().unwrap().is_some() && diversion.screen().unwrap().is_some());
    assert_eq!(place(read::<Diversion<'_>>("<sip:a@b>;counter=100").counter()), (ValueFault::Number, 18));

    let referrer = read::<ReferredBy<'_>>("<sip:referror@referror.example>;cid=\"2UWQFN309shb3@referror.example\"");
    assert_eq!(referrer.cid(), Ok(Some("2UWQFN309shb3@referror.example")));
    assert_eq!(referrer.uri().unwrap().as_bytes(), b"sip:referror@referror.example");
    assert_eq!(place(read::<ReferredBy<'_>>("<sip:a@b>;cid=abc").cid()), (ValueFault::Param, 14));
}

#[test]
fn asserted_identities_have_no_parameters() {
    //= https://www.rfc-editor.org/rfc/rfc3325#section-9.1
    //= type=test
    //# A P-Asserted-Identity header field value MUST consist of exactly one
    //# name-addr or addr-spec.
    //= https://www.rfc-editor.org/rfc/rfc3325#section-9.2
    //= type=test
    //# A P-Preferred-Identity header field value MUST consist of exactly one
    //# name-addr or addr-spec.
    for name in ["P-Asserted-Identity", "P-Preferred-Identity"] {
        let good = request(&format!("{name}: \"Cullen Jennings\" <sip:fluffy@cisco.com;user=x>, tel:+14085264000\r\n"));
        good.check_grammar().unwrap();
        let bad = request(&format!("{name}: <sip:fluffy@cisco.com>;x=y\r\n"));
        assert!(bad.check_grammar().is_err());
    }
    let message =
        request("P-Asserted-Identity: <sip:a@b>\r\nP-Asserted-Identity: tel:+1\r\nP-Preferred-Identity: sip:c@d\r\n");
    let uris: Vec<_> = message.p_asserted_identity().map(|address| address.unwrap().uri_bytes()).collect();
    assert_eq!(uris, [&b"sip:a@b"[..], b"tel:+1"]);
    assert_eq!(message.p_preferred_identity().count(), 1);
}

#[test]
fn replaces_and_join_name_a_dialog() {
    let value = "425928@bobster.example.org;to-tag=7743;from-tag=6472;early-only";
    let replaces = read::<Replaces<'_>>(value);
    assert_eq!(replaces.call_id(), "425928@bobster.example.org");
    assert_eq!((replaces.to_tag(), replaces.from_tag()), (Ok("7743"), Ok("6472")));
    assert_eq!(replaces.is_early_only(), Ok(true));
    let join = read::<Join<'_>>("a<\"b>@c ; from-tag=1\r\n ; to-tag=2");
    assert_eq!((join.call_id(), join.to_tag(), join.from_tag()), ("a<\"b>@c", Ok("2"), Ok("1")));
    assert_eq!(fault::<Replaces<'_>>("a b;to-tag=1"), (ValueFault::Character, 1));
    assert_eq!(fault::<Replaces<'_>>("a@;to-tag=1"), (ValueFault::Character, 2));
}

#[test]
fn replaces_needs_both_tags() {
    //= https://www.rfc-editor.org/rfc/rfc3891#section-6.1
    //= type=test
    //# A Replaces header field MUST contain exactly one to-tag and exactly
    //# one from-tag, as they are required for unique dialog matching.
    assert_eq!(place(read::<Replaces<'_>>("a@b;to-tag=1").from_tag()), (ValueFault::Incomplete, 12));
    assert_eq!(place(read::<Replaces<'_>>("a@b").to_tag()), (ValueFault::Incomplete, 3));
    for value in ["a@b;to-tag=1", "a@b;from-tag=1", "a@b;to-tag=1;from-tag=2;TO-TAG=3"] {
        assert!(request(&format!("Replaces: {value}\r\n")).check_grammar().is_err(), "{value}");
    }
}

#[test]
fn a_target_dialog_without_tags_is_there_to_be_ignored() {
    //= https://www.rfc-editor.org/rfc/rfc4538#section-4
    //= type=test
    //# If the dialog identifiers don't match, or if they don't contain both
    //# a "remote-tag" and "local-tag" parameter, the header field MUST be
    //# ignored
    let message = request("Target-Dialog: fa77as7dad8-sd98ajzz@host.example.com;local-tag=kkaz-\r\n");
    let dialog: TargetDialog<'_> = message.target_dialog().unwrap().unwrap();
    assert_eq!((dialog.local_tag(), dialog.remote_tag()), (Ok(Some("kkaz-")), Ok(None)));
    message.check_grammar().unwrap();
}

#[test]
fn identities_are_signed_and_say_where_the_certificate_is() {
    let value = "eyJhbGciOiJFUzI1NiJ9.eyJkZXN0Ijp7fX0.r-q3_jT1;info=<https://biloxi.example.org/biloxi.cert>;alg=ES256;ppt=\"shaken\"";
    let identity = read::<Identity<'_>>(value);
    assert_eq!(identity.digest(), "eyJhbGciOiJFUzI1NiJ9.eyJkZXN0Ijp7fX0.r-q3_jT1");
    assert_eq!(identity.info().uri_bytes(), b"https://biloxi.example.org/biloxi.cert");
    assert!(identity.algorithm().unwrap().unwrap().eq_ignore_case("es256"));
    assert!(identity.ppt().unwrap().unwrap().eq_ignore_case("shaken"));
    assert!(!identity.is_compact());
    let late = read::<Identity<'_>>("..sig;alg=ES256; info = <https://a/b;c,d> ;x=1");
    assert!(late.is_compact());
    assert!(late.algorithm().unwrap().is_some() && late.get("X").unwrap().is_some());
    assert_eq!(late.info().uri_bytes(), b"https://a/b;c,d");
    // More than one Identity may stand in a request, each in a field of its own.
    let message = request("y: a.b.c;info=<https://a>\r\nIdentity: d.e.f;info=<https://b,c>\r\n");
    assert_eq!(message.identity().map(|identity| identity.unwrap().digest()).collect::<Vec<_>>(), ["a.b.c", "d.e.f"]);
    message.check_grammar().unwrap();
}

#[test]
fn routes_need_brackets_and_contacts_do_not() {
    for name in ["Route", "Record-Route", "Path", "Service-Route"] {
        assert!(request(&format!("{name}: sip:p1.example.com;lr\r\n")).check_grammar().is_err(), "{name}");
        request(&format!("{name}: <sip:p1.example.com;lr>;x=y\r\n")).check_grammar().unwrap();
    }
    for value in ["sip:a@b", "<sip:a@b>;q=0.5", "*"] {
        request(&format!("Contact: {value}\r\n")).check_grammar().unwrap();
    }
    for value in ["*, <sip:a@b>", "<sip:a@b>, *", "<sip:a@b>;q=1.5", "*;q=1"] {
        assert!(request(&format!("Contact: {value}\r\n")).check_grammar().is_err(), "{value}");
    }
    let message = request("Contact: <sip:a@b>;q=0.7;expires=60;+sip.instance=\"<urn:uuid:0>\";reg-id=1\r\n");
    let contact: Contact<'_> = message.contacts().next().unwrap().unwrap();
    assert_eq!((contact.q(), contact.expires(), contact.reg_id()), (Ok(Some(700)), Ok(Some(60)), Ok(Some(1))));
}

#[test]
fn the_parameters_of_a_contact_in_one_pass() {
    for params in [
        "",
        ";q=0.7;expires=60;+sip.instance=\"<urn:uuid:0>\";reg-id=1;ob",
        ";Q=0.7;EXPIRES=60;+SIP.Instance=\"<urn:\\uuid:0>\";Reg-ID=1",
        ";q=0.7;q=0.1;expires=1;expires=2;reg-id=3;reg-id=x",
        ";q=x;expires=-1;reg-id=0;+sip.instance",
        ";+sip.instance;+sip.instance=\"<x>\"",
        ";+sip.instance=\"<x>\";+sip.instance=\"<y>\"",
        ";q;expires;reg-id",
        ";expires=99999999999",
        ";x=\"q=1;expires=5\"",
    ] {
        let message = request(&format!("Contact: <sip:a@b>{params}\r\n"));
        let contact: Contact<'_> = message.contacts().next().unwrap().unwrap();
        let mut seen = 0;
        let read = contact.read_params(|_| seen += 1).unwrap();
        assert_eq!((read.q, read.expires, read.reg_id), (contact.q(), contact.expires(), contact.reg_id()), "{params}");
        assert_eq!(Ok(read.instance_id), contact.instance_id(), "{params}");
        assert_eq!(seen, contact.address().unwrap().params().count(), "{params}");
    }
    let message = request("Contact: <sip:a@b>;q=0.7;=\r\nContact: *\r\n");
    let contacts: Vec<Contact<'_>> = message.contacts().map(Result::unwrap).collect();
    assert!(contacts[0].read_params(|_| ()).is_err());
    assert_eq!(contacts[1].read_params(|_| ()), Ok(ContactParams::default()));
}

#[test]
fn addresses_by_name() {
    let message = request(
        "Path: <sip:P2.EXAMPLEVISITED.COM;lr>\r\nService-Route: <sip:P2.HOME.EXAMPLE.COM;lr>,<sip:HSP.HOME.EXAMPLE.COM;lr>\r\n\
         Reply-To: Bob <sip:bob@biloxi.com>\r\nr: <sip:alice@a?Replaces=1%40c>\r\nb: sip:c@d\r\nDiversion: <sip:e@f>\r\n\
         Replaces: a;to-tag=1;from-tag=2\r\nJoin: a;to-tag=1;from-tag=2\r\n",
    );
    let uri = |address: NameAddr<'_>| String::from_utf8(address.uri_bytes().to_vec()).unwrap();
    assert_eq!(uri(message.path().next().unwrap().unwrap()), "sip:P2.EXAMPLEVISITED.COM;lr");
    assert_eq!(message.service_route().count(), 2);
    assert_eq!(uri(message.reply_to().unwrap().unwrap()), "sip:bob@biloxi.com");
    assert_eq!(uri(message.refer_to().unwrap().unwrap()), "sip:alice@a?Replaces=1%40c");
    assert_eq!(uri(message.referred_by().unwrap().unwrap().address()), "sip:c@d");
    assert_eq!(message.diversion().count(), 1);
    assert!(message.replaces().unwrap().is_some() && message.join().unwrap().is_some());
    message.check_grammar().unwrap();
}

#[test]
fn a_referrer_with_parameters_needs_brackets() {
    //= https://www.rfc-editor.org/rfc/rfc3892#section-3
    //= type=test
    //# If the referrer-uri contains a comma, question mark, or semicolon,
    //# (for example, if it contains URI parameters) the URI MUST be enclosed
    //# in angle brackets (< and >).
    for uri in ["sip:a@b?c=d", "sip:a@b,c"] {
        assert!(request(&format!("Referred-By: {uri}\r\n")).referred_by().is_err(), "{uri}");
        let message = request(&format!("Referred-By: <{}>\r\n", "sip:a,b@c;d?e=f"));
        assert_eq!(message.referred_by().unwrap().unwrap().address().uri_bytes(), b"sip:a,b@c;d?e=f");
    }
    let message = request("Referred-By: sip:a@b;c=d\r\n");
    let referrer = message.referred_by().unwrap().unwrap();
    assert_eq!((referrer.address().uri_bytes(), referrer.params().count()), (&b"sip:a@b"[..], 1));
}

#[test]
fn service_routes_look_like_routes() {
    //= https://www.rfc-editor.org/rfc/rfc3608#section-5
    //= type=test
    //# Note that the Service-Route header field values MUST conform to the
    //# syntax of a Route element as defined in [3].
    for value in ["<sip:P2.HOME.EXAMPLE.COM;lr>", "\"x, y\" <sip:a;lr>;b, <sip:c>"] {
        for name in ["Route", "Service-Route"] {
            request(&format!("{name}: {value}\r\n")).check_grammar().unwrap();
        }
    }
    for value in ["sip:a;lr", "<sip:a", "<sip:a>,", ""] {
        for name in ["Route", "Service-Route"] {
            assert!(request(&format!("{name}: {value}\r\n")).check_grammar().is_err(), "{name}: {value}");
        }
    }
}
