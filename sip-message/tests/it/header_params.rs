//! Values with parameters: what they read, and where a malformed one is at fault.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::header_support::{fault, place, read, request, rest_of_line};
use sip_message::ValueFault;
use sip_message::headers::{
    AccessNetworkInfo, ChargingParams, CodingRange, ContentDisposition, Directive, Event, EventReason, FeatureSet,
    GeolocationError, InfoPackage, LanguageRange, LanguageTag, MediaRange, MediaType, MinSe, Privacy, Reason,
    Refresher, ResourceValue, SecurityMechanism, SessionExpires, SessionId, SubscriptionState, Substate, Token,
    TokenOrQuoted,
};

#[test]
fn media_types_ignore_case() {
    let media = read::<MediaType<'_>>("Multipart / Mixed; boundary=\"a b\";charset=utf-8");
    assert!(media.is("multipart/mixed"));
    assert!(!media.is("multipart/alternative") && !media.is("multipart"));
    assert_eq!(media.boundary().unwrap().unwrap().without_quotes(), b"a b");
    assert_eq!(media.charset().unwrap().unwrap().as_str(), Some("utf-8"));
    assert_eq!((media.kind().as_str(), media.subtype().as_str()), ("Multipart", "Mixed"));
    assert_eq!(fault::<MediaType<'_>>("text/"), (ValueFault::Incomplete, 5));
}

#[test]
fn accept_ranges_have_preferences() {
    let range = read::<MediaRange<'_>>("text/*;level=1;q=0.25");
    assert_eq!(range.q(), Ok(250));
    assert!(range.accepts("text/plain") && !range.accepts("application/sdp"));
    assert!(read::<MediaRange<'_>>("*/*").accepts("a/b"));
    assert_eq!(read::<MediaRange<'_>>("application/sdp").q(), Ok(1000));
    assert_eq!(place(read::<MediaRange<'_>>("text/plain;q=7").q()), (ValueFault::Number, 13));
    assert_eq!(fault::<MediaRange<'_>>("*/sdp"), (ValueFault::Form, 0));

    assert_eq!(read::<CodingRange<'_>>("GZIP;q=0").q(), Ok(0));
    assert_eq!(read::<CodingRange<'_>>("GZIP").coding(), read::<Token<'_>>("gzip"));

    let range = read::<LanguageRange<'_>>("en;q=0.7");
    assert!(range.accepts("en") && range.accepts("EN-gb") && !range.accepts("eng") && !range.accepts("e"));
    assert!(read::<LanguageRange<'_>>("*").accepts("da"));
    assert_eq!(read::<LanguageTag<'_>>("En-us"), read::<LanguageTag<'_>>("eN-US"));
    assert_eq!(read::<LanguageTag<'_>>("en-us").primary(), "EN");
}

#[test]
fn a_body_is_to_be_understood_unless_told_otherwise() {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-20.11
    //= type=test
    //# If the handling parameter is missing, the value
    //# "required" SHOULD be assumed.
    assert_eq!(read::<ContentDisposition<'_>>("session").is_required(), Ok(true));
    for (value, required) in [
        ("session;handling=optional", false),
        ("Session;HANDLING=OPTIONAL", false),
        ("session; handling = required", true),
        ("session;handling=other", true),
    ] {
        assert_eq!(read::<ContentDisposition<'_>>(value).is_required(), Ok(required), "{value}");
    }
    assert_eq!(read::<ContentDisposition<'_>>("Session").disposition(), "session");
}

#[test]
fn events_match_byte_by_byte() {
    //= https://www.rfc-editor.org/rfc/rfc6665#section-8.2.1
    //= type=test
    //# For the purposes of matching
    //# NOTIFY requests with SUBSCRIBE requests, the event-type portion of
    //# the "Event" header field is compared byte by byte, and the "id"
    //# parameter token (if present) is compared byte by byte.
    let same = |a: &str, b: &str| read::<Event<'_>>(a).matches(&read(b)).unwrap();
    assert!(same("presence", "presence"));
    assert!(same("presence;id=a;x=1", "presence;y=2;id=a"));
    assert!(!same("presence", "Presence"));
    assert!(!same("presence;id=a", "presence;id=A"));
    //= https://www.rfc-editor.org/rfc/rfc6665#section-8.2.1
    //= type=test
    //# An "Event" header field containing an "id" parameter never
    //# matches an "Event" header field without an "id" parameter.
    assert!(!same("presence;id=a", "presence"));
    let event = read::<Event<'_>>("presence.winfo.x;id=7");
    assert_eq!(event.event_type().package(), "presence");
    assert_eq!(event.event_type().templates().collect::<Vec<_>>(), ["winfo", "x"]);
    assert_eq!(event.id(), Ok(Some("7")));
}

#[test]
fn subscription_states() {
    let state = read::<SubscriptionState<'_>>("Terminated;reason=NoResource;retry-after=5");
    assert_eq!(state.state(), Substate::Terminated);
    assert_eq!(state.reason(), Ok(Some(EventReason::Noresource)));
    assert_eq!((state.retry_after(), state.expires()), (Ok(Some(5)), Ok(None)));
    let state = read::<SubscriptionState<'_>>("active;expires=99999999999");
    assert_eq!((state.state(), state.expires()), (Substate::Active, Ok(Some(u32::MAX))));
    let state = read::<SubscriptionState<'_>>("waiting;reason=tired");
    assert!(matches!(state.state(), Substate::Other(token) if token == "WAITING"));
    assert!(matches!(state.reason(), Ok(Some(EventReason::Other(token))) if token.as_str() == "tired"));
    for (text, reason) in [
        ("deactivated", EventReason::Deactivated),
        ("probation", EventReason::Probation),
        ("rejected", EventReason::Rejected),
        ("timeout", EventReason::Timeout),
        ("giveup", EventReason::Giveup),
        ("invariant", EventReason::Invariant),
    ] {
        let value = format!("terminated;reason={text}");
        assert_eq!(read::<SubscriptionState<'_>>(&value).reason(), Ok(Some(reason)));
    }
}

#[test]
fn faults_point_at_the_parameter() {
    let message = request("Subscription-State: active;x=y; expires = soon ;z\r\n");
    let state = message.subscription_state().unwrap().unwrap();
    assert_eq!(place(state.expires()), (ValueFault::Number, "active;x=y; expires = ".len()));
    let fault = message.check_grammar().unwrap_err();
    let text = message.to_bytes();
    assert!(text[fault.offset..].starts_with(b"soon"));
}

#[test]
fn reasons_have_causes_and_texts() {
    let message = request("Reason: SIP ;cause=200 ;text=\"Call \\\"x\\\" completed, elsewhere\", Q.850;cause=16\r\n");
    let reasons: Vec<Reason<'_>> = message.reason_header().map(Result::unwrap).collect();
    assert_eq!(reasons[0].protocol(), "sip");
    assert_eq!(reasons[0].cause(), Ok(Some(200)));
    assert_eq!(reasons[0].text().unwrap().unwrap(), "Call \"x\" completed, elsewhere");
    assert_eq!((reasons[1].cause(), reasons[1].text()), (Ok(Some(16)), Ok(None)));
    assert_eq!(read::<Reason<'_>>("x;cause=4294967296").cause().unwrap_err().kind, ValueFault::Number);
}

#[test]
fn session_timers() {
    let message = request("x: 4000;Refresher=UAC\r\nMin-SE: 90;a=b\r\n");
    let session = message.session_expires().unwrap().unwrap();
    assert_eq!((session.interval(), session.refresher()), (4000, Ok(Some(Refresher::Uac))));
    assert_eq!(message.min_se().unwrap().unwrap().interval(), 90);
    assert_eq!(read::<SessionExpires<'_>>("1800").refresher(), Ok(None));
    assert_eq!(read::<SessionExpires<'_>>("1800;refresher=x").refresher().unwrap_err().offset, 15);
    assert_eq!(read::<SessionExpires<'_>>("99999999999").interval(), u32::MAX);
    assert_eq!(fault::<MinSe<'_>>("90x"), (ValueFault::Trailing, 2));
}

#[test]
fn security_mechanisms() {
    let value = "digest;d-alg=MD5;d-qop=auth;q=0.2;d-ver=\"0000000000000000000000000000abcd\"";
    let mechanism = read::<SecurityMechanism<'_>>(value);
    assert_eq!(mechanism.mechanism(), "Digest");
    assert_eq!(mechanism.q(), Ok(Some(200)));
    assert_eq!(mechanism.digest_algorithm().unwrap().unwrap(), "md5");
    assert_eq!(mechanism.digest_qop().unwrap().unwrap(), "auth");
    assert_eq!(mechanism.digest_verify(), Ok(Some("0000000000000000000000000000abcd")));
    assert!(read::<SecurityMechanism<'_>>("x;d-ver=\"12\"").digest_verify().is_err());
}

#[test]
fn caller_preferences() {
    let set = read::<FeatureSet<'_>>("*;audio;+sip.message=\"TRUE\";Class=\"business\";x=1;explicit;require");
    let names: Vec<_> = set.features().map(|param| param.unwrap().name).collect();
    assert_eq!(names, ["audio", "+sip.message", "Class"]);
    assert_eq!((set.is_required(), set.is_explicit()), (Ok(true), Ok(true)));
    assert_eq!(read::<FeatureSet<'_>>("*").is_required(), Ok(false));

    let message = request("d: Proxy, no-fork\r\nRequest-Disposition: x\r\n");
    let directives: Vec<_> = message.request_disposition().map(Result::unwrap).collect();
    assert_eq!(directives[..2], [Directive::Proxy, Directive::NoFork]);
    assert_eq!(directives[2].as_str(), "x");
}

#[test]
fn privacy_is_separated_by_semicolons() {
    let privacy = read::<Privacy<'_>>("user ; ID;critical");
    let values: Vec<_> = privacy.iter().map(|value| value.unwrap().as_str()).collect();
    assert_eq!(values, ["user", "ID", "critical"]);
    assert_eq!((privacy.has("id"), privacy.has("none")), (Ok(true), Ok(false)));
    let bad = read::<Privacy<'_>>("id;a b");
    assert_eq!(bad.iter().nth(1).unwrap().unwrap_err().offset, 4);
    assert_eq!(bad.has("none").unwrap_err().kind, ValueFault::Character);
}

#[test]
fn values_of_the_ims() {
    let message = request(
        "P-Charging-Vector: icid-value=\"1234bc9876e\"; icid-generated-at=192.0.6.8;orig-ioi=home1.net\r\n\
         P-Access-Network-Info: 3GPP-UTRAN-TDD; utran-cell-id-3gpp=234151D0FCE11;network-provided\r\n\
         P-Charging-Function-Addresses: ccf=192.1.1.1; ecf=192.1.1.2\r\nP-Visited-Network-ID: \"Visited network\"\r\n\
         P-Called-Party-ID: <sip:user1-business@example.com>\r\nP-Associated-URI: <sip:a@b>,<tel:+1>\r\n",
    );
    let vector = message.p_charging_vector().unwrap().unwrap();
    assert_eq!(vector.icid_value().unwrap().unwrap().without_quotes(), b"1234bc9876e");
    assert_eq!(vector.get("ORIG-IOI").unwrap().unwrap().as_bytes(), b"home1.net");
    assert_eq!(vector.iter().count(), 3);
    let network: AccessNetworkInfo<'_> = message.p_access_network_info().next().unwrap().unwrap();
    assert_eq!((network.access().as_str(), network.is_network_provided()), ("3GPP-UTRAN-TDD", Ok(true)));
    let functions: ChargingParams<'_> = message.p_charging_function_addresses().next().unwrap().unwrap();
    assert_eq!(functions.get("ecf").unwrap().unwrap().as_bytes(), b"192.1.1.2");
    let visited: TokenOrQuoted<'_> = message.p_visited_network_id().next().unwrap().unwrap();
    assert_eq!(visited.value().without_quotes(), b"Visited network");
    assert_eq!(message.p_called_party_id().unwrap().unwrap().uri_bytes(), b"sip:user1-business@example.com");
    assert_eq!(message.p_associated_uri().count(), 2);
    message.check_grammar().unwrap();
}

#[test]
fn small_values() {
    let message = request(
        "Info-Package: conference;x\r\nRecv-Info: a, b\r\nRefer-Sub: FALSE\r\nPriority: Emergency\r\n\
         Session-ID: f81d4fae7dec11d0a76500a0c91e6bf6;remote=00000000000000000000000000000000\r\n\
         Geolocation-Error: 200;code=\"Permission\"\r\nGeolocation-Routing: yes\r\nAnswer-Mode: Auto;require\r\n\
         Resource-Priority: ets.0\r\nSIP-ETag: aB\r\nSIP-If-Match: ab\r\nUser-to-User: 00;encoding=hex\r\n",
    );
    let package: InfoPackage<'_> = message.info_package().unwrap().unwrap();
    assert_eq!(package.name(), "Conference");
    assert_eq!(message.recv_info().count(), 2);
    assert!(!message.refer_sub().unwrap().unwrap().wanted());
    assert_eq!(message.priority().unwrap(), "emergency");
    let session: SessionId<'_> = message.session_id().unwrap().unwrap();
    assert_eq!(session.remote().unwrap().unwrap().as_str(), "0".repeat(32));
    let error: GeolocationError<'_> = message.geolocation_error().unwrap().unwrap();
    assert_eq!((error.code(), error.text().unwrap().unwrap().as_ref()), (200, "Permission"));
    assert_eq!(message.geolocation_routing().unwrap().unwrap(), "YES");
    assert_eq!(message.answer_mode().unwrap().unwrap().is_required(), Ok(true));
    let priority: ResourceValue<'_> = message.resource_priority().next().unwrap().unwrap();
    assert!(priority.namespace == "ETS" && priority.priority == "0");
    let (tag, other) = (message.sip_etag().unwrap().unwrap(), message.sip_if_match().unwrap().unwrap());
    assert_ne!(tag, other, "entity tags are opaque");
    let data: TokenOrQuoted<'_> = message.user_to_user().next().unwrap().unwrap();
    assert_eq!(data.params().token("encoding"), Ok(Some("hex")));
    message.check_grammar().unwrap();
}

#[test]
fn a_missing_field_is_none_and_a_malformed_one_says_where() {
    let message = request("Event: .x\r\n");
    assert!(message.session_expires().unwrap().is_none());
    let error = message.event().unwrap_err();
    assert_eq!(error.fault, Some(ValueFault::Character));
    assert_eq!(rest_of_line(&message, &error), ".x");
}

#[test]
fn one_event_type_and_no_more() {
    //= https://www.rfc-editor.org/rfc/rfc6665#section-8.2.1
    //= type=test
    //# There MUST be exactly
    //# one event type listed per "Event" header field.
    for value in ["", "presence, dialog", "presence dialog", ";id=1"] {
        assert!(request(&format!("Event: {value}\r\n")).check_grammar().is_err(), "{value}");
    }
    request("Event: presence\r\n").check_grammar().unwrap();
}

#[test]
fn unknown_parameters_are_in_nobodys_way() {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-20
    //= type=test
    //# A UA SHOULD ignore extension header
    //# parameters that are not understood.
    let message = request("x: 1800;a;b=\"c;refresher=uac\";refresher=uas;d=[::1]\r\nEvent: x;y;z=\"1\";id=2\r\n");
    assert_eq!(message.session_expires().unwrap().unwrap().refresher(), Ok(Some(Refresher::Uas)));
    assert_eq!(message.event().unwrap().unwrap().id(), Ok(Some("2")));
    message.check_grammar().unwrap();
}
