//! Reading every header there is, down to its last parameter, allocates nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::counting::allocations;
use crate::header_support::request;
use sip_message::headers::compose::{Address, Challenge, Credentials, Via};
use sip_message::{Header, Message, ValueError, ViaTransport};
use std::fmt::Write;

/// Every known header but Response-Key, whose grammar nobody needs; Via and the like stand in the request already.
const LINES: &str = "\
    From: \"A, B\" <sip:alice@atlanta.com>;tag=1928301774\r\n\
    To: Bob <sip:bob@biloxi.com>;tag=a\r\n\
    Call-ID: a84b4c76e66710@pc33.atlanta.com\r\n\
    CSeq: 314159 INVITE\r\n\
    Max-Forwards: 70\r\n\
    Contact: <sip:a@b>;q=0.5;expires=60;+sip.instance=\"<urn:uuid:0>\";reg-id=1, sip:c@d\r\n\
    Content-Length: 0\r\n\
    Content-Type: multipart/mixed;boundary=\"a b\";charset=utf-8\r\n\
    Route: <sip:p1;lr>, <sip:p2;lr>\r\n\
    Record-Route: <sip:p1;lr>, <sip:p2;lr>\r\n\
    Expires: 3600\r\n\
    Require: 100rel, timer\r\n\
    Proxy-Require: sec-agree\r\n\
    Supported: 100rel, timer\r\n\
    Event: presence.winfo;id=7\r\n\
    Accept: text/*;q=0.5, application/sdp;level=1\r\n\
    Accept-Contact: *;audio;+sip.x=\"a,b\";require;explicit\r\n\
    Accept-Encoding: gzip;q=0.5, *\r\n\
    Accept-Language: da, en-gb;q=0.8\r\n\
    Accept-Resource-Priority: ets.0\r\n\
    Alert-Info: <http://a/b,c>;x\r\n\
    Allow: INVITE, ACK, X-OWN\r\n\
    Allow-Events: presence, dialog\r\n\
    Answer-Mode: Auto;require\r\n\
    Authentication-Info: nextnonce=\"a\", qop=auth, rspauth=\"0a\", cnonce=\"c\", nc=00000001\r\n\
    Authorization: Digest username=\"a\", realm=\"b\", nonce=\"c\", uri=\"sip:d\", response=\"00\", qop=auth, nc=00000001, \
      cnonce=\"d\", opaque=\"e\", algorithm=MD5, userhash=false\r\n\
    Call-Info: <http://a/b>;purpose=icon, <http://c>\r\n\
    Content-Disposition: session;handling=optional\r\n\
    Content-Encoding: gzip\r\n\
    Content-Language: en-us, fr\r\n\
    Date: Sat, 13 Nov 2010 23:29:00 GMT\r\n\
    Diversion: <sip:a@b>;reason=user-busy;counter=1;limit=2;privacy=full;screen=yes\r\n\
    Error-Info: <sip:a@b>\r\n\
    Feature-Caps: *;+sip.x\r\n\
    Flow-Timer: 120\r\n\
    Geolocation: <cid:a@b>;x\r\n\
    Geolocation-Error: 100;code=\"x\"\r\n\
    Geolocation-Routing: yes\r\n\
    History-Info: <sip:a@b>;index=1, <sip:c@d>;index=1.1;rc=1;mp=1;np=1\r\n\
    Identity: a.b.c;alg=ES256;info=<https://a>;ppt=shaken\r\n\
    Identity-Info: <https://a>\r\n\
    Info-Package: conference\r\n\
    In-Reply-To: a@b, c\r\n\
    Join: a@b;to-tag=1;from-tag=2\r\n\
    Max-Breadth: 60\r\n\
    MIME-Version: 1.0\r\n\
    Min-Expires: 60\r\n\
    Min-SE: 90\r\n\
    Organization: Boxes by Bob\r\n\
    P-Access-Network-Info: 3GPP-UTRAN-TDD;utran-cell-id-3gpp=1;network-provided\r\n\
    P-Answer-State: Confirmed\r\n\
    P-Asserted-Identity: <sip:a@b>, tel:+1\r\n\
    P-Asserted-Service: urn:urn-7:a\r\n\
    P-Associated-URI: <sip:a@b>\r\n\
    P-Called-Party-ID: <sip:a@b>\r\n\
    P-Charging-Function-Addresses: ccf=1;ecf=2\r\n\
    P-Charging-Vector: icid-value=1;orig-ioi=a\r\n\
    P-Early-Media: sendrecv\r\n\
    P-Preferred-Identity: <sip:a@b>\r\n\
    P-Preferred-Service: urn:urn-7:a\r\n\
    P-Visited-Network-ID: \"a b\", c\r\n\
    Path: <sip:p1;lr>\r\n\
    Permission-Missing: sip:a@b\r\n\
    Policy-Contact: <sip:a@b>\r\n\
    Policy-ID: sip:a@b\r\n\
    Priority: urgent\r\n\
    Priv-Answer-Mode: Auto\r\n\
    Privacy: id;user\r\n\
    Proxy-Authenticate: Digest realm=\"a\", nonce=\"b\", qop=\"auth\", Bearer realm=\"c\"\r\n\
    Proxy-Authentication-Info: nextnonce=\"a\"\r\n\
    Proxy-Authorization: Bearer abc==\r\n\
    RAck: 1 2 INVITE\r\n\
    Reason: SIP;cause=200;text=\"x\"\r\n\
    Recv-Info: a, b;x\r\n\
    Refer-Events-At: <sip:a@b>\r\n\
    Refer-Sub: false\r\n\
    Refer-To: <sip:a@b?Replaces=c>\r\n\
    Referred-By: <sip:a@b>;cid=\"a@b\"\r\n\
    Reject-Contact: *;video\r\n\
    Remote-Party-ID: <sip:a@b>;party=calling\r\n\
    Replaces: a@b;to-tag=1;from-tag=2;early-only\r\n\
    Reply-To: <sip:a@b>\r\n\
    Request-Disposition: proxy, no-fork\r\n\
    Resource-Priority: ets.0\r\n\
    Retry-After: 60 (a (b));duration=5\r\n\
    RSeq: 1\r\n\
    Security-Client: tls, digest;d-alg=MD5;d-qop=auth;q=0.1\r\n\
    Security-Server: tls\r\n\
    Security-Verify: digest;d-ver=\"00000000000000000000000000000000\"\r\n\
    Server: a/1 (b (c))\r\n\
    Service-Route: <sip:p1;lr>\r\n\
    Session-Expires: 1800;refresher=uac\r\n\
    Session-ID: f81d4fae7dec11d0a76500a0c91e6bf6;remote=00000000000000000000000000000000\r\n\
    SIP-ETag: a\r\n\
    SIP-If-Match: b\r\n\
    Subject: Need more boxes\r\n\
    Subscription-State: terminated;reason=noresource;expires=1;retry-after=2\r\n\
    Suppress-If-Match: *\r\n\
    Target-Dialog: a@b;local-tag=1;remote-tag=2\r\n\
    Timestamp: 54.2 0.7\r\n\
    Trigger-Consent: sip:a@b;target-uri=\"sip:c@d\"\r\n\
    Unsupported: foo\r\n\
    User-Agent: a/1 (b (c)) d\r\n\
    User-to-User: 00;encoding=hex\r\n\
    Warning: 307 isi.edu \"x\", 399 a:5060 \"y\"\r\n\
    WWW-Authenticate: Digest realm=\"a\", domain=\"sip:a\", nonce=\"b\", qop=\"auth,auth-int\", opaque=\"c\", stale=true, \
      algorithm=SHA-256, userhash=true\r\n";

/// Reads all there is in `message`; how many values that were.
fn read_all(message: &Message) -> Result<usize, Box<dyn std::error::Error>> {
    let mut count = 0;
    // A list: every value, and what the body makes of it.
    macro_rules! list {
        ($($name:ident $(|$value:ident| $read:expr)?;)*) => {
            $(for value in message.$name() {
                let _value = value?;
                $(let $value = _value; $read;)?
                count += 1;
            })*
        };
    }
    // A single value that must be there.
    macro_rules! single {
        ($($name:ident $(|$value:ident| $read:expr)?;)*) => {
            $(let _value = message.$name()?.expect(stringify!($name));
            $(let $value = _value; $read;)?
            count += 1;)*
        };
    }
    fn params(params: sip_message::Params<'_>) -> Result<(), ValueError> {
        for param in params {
            if let Some(value) = param?.value {
                assert!(!value.as_bytes().is_empty() && (!value.is_quoted() || value.as_bytes().len() >= 2));
            }
        }
        Ok(())
    }
    list! {
        vias |via| (via.sent_by()?, via.branch()?, via.received()?, via.rport()?, via.maddr()?, via.ttl()?);
        contacts |contact| (contact.q()?, contact.expires()?, contact.reg_id()?, contact.instance_id()?);
        routes |route| route.uri()?;
        record_routes |route| route.uri()?;
        accept |range| (range.q()?, range.accepts("text/plain"));
        accept_contact |set| (set.is_required()?, set.is_explicit()?, set.features().count());
        accept_encoding |range| (range.q()?, range.coding());
        accept_language |range| (range.q()?, range.accepts("en-gb"));
        accept_resource_priority;
        alert_info |info| (info.uri()?, params(info.params())?);
        allow;
        allow_events |event| (event.package(), event.templates().count());
        authorization |credentials| {
            let _ = credentials.digest()?.unwrap();
            let _ = (credentials.username()?, credentials.realm()?, credentials.nonce()?, credentials.uri()?);
            let _ = (credentials.response()?, credentials.qop()?, credentials.nc()?, credentials.cnonce()?);
            let _ = (credentials.opaque()?, credentials.algorithm()?, credentials.userhash()?, credentials.token68());
        };
        call_info |info| (info.uri()?, info.purpose()?);
        content_encoding;
        content_language |tag| tag.primary();
        diversion |d| (d.uri()?, d.reason()?, d.counter()?, d.limit()?, d.privacy()?, d.screen()?);
        error_info |info| info.uri()?;
        feature_caps |set| set.features().count();
        geolocation |info| info.uri()?;
        history_info |entry| (entry.uri()?, entry.index()?, entry.rc()?, entry.mp()?, entry.np()?);
        identity |identity| (identity.info().uri()?, identity.algorithm()?, identity.ppt()?);
        in_reply_to;
        p_access_network_info |info| info.is_network_provided()?;
        p_asserted_identity |address| address.uri()?;
        p_associated_uri |address| address.uri()?;
        p_charging_function_addresses |addresses| addresses.get("ecf")?;
        p_early_media;
        p_preferred_identity |address| address.uri()?;
        p_visited_network_id |network| network.value();
        path |address| address.uri()?;
        proxy_authenticate |challenge| (challenge.realm()?, challenge.qop()?.map(|qop| qop.has("auth")));
        proxy_authorization |credentials| (credentials.token68(), credentials.digest()?);
        proxy_require;
        reason_header |reason| (reason.cause()?, reason.text()?);
        recv_info |package| params(package.params())?;
        reject_contact;
        request_disposition;
        require;
        resource_priority;
        security_client |m| (m.q()?, m.digest_algorithm()?, m.digest_qop()?);
        security_server;
        security_verify |m| m.digest_verify()?;
        service_route |address| address.uri()?;
        supported;
        unsupported;
        user_to_user |data| (data.value(), params(data.params())?);
        warning |warning| (warning.code(), warning.agent(), warning.text().unquoted());
        www_authenticate |challenge| {
            let _ = (challenge.realm()?, challenge.domain()?, challenge.nonce()?, challenge.opaque()?, challenge.stale()?);
            let _ = (challenge.algorithm()?, challenge.userhash()?, challenge.qop()?.map(|qop| qop.iter().count()));
        };
    }
    single! {
        max_forwards;
        answer_mode |mode| mode.is_required()?;
        authentication_info |i| (i.nextnonce()?, i.qop()?, i.rspauth()?, i.cnonce()?, i.nc()?);
        content_disposition |disposition| disposition.is_required()?;
        content_length;
        content_type |media| (media.is("multipart/mixed"), media.boundary()?, media.charset()?);
        date |date| date.unix();
        event |event| (event.id()?, event.matches(&event)?);
        expires;
        flow_timer;
        geolocation_error |error| (error.code(), error.text()?);
        geolocation_routing;
        info_package;
        join |join| (join.to_tag()?, join.from_tag()?);
        max_breadth;
        mime_version;
        min_expires;
        min_se;
        organization |text| text.to_text();
        p_called_party_id |address| address.uri()?;
        p_charging_vector |vector| (vector.icid_value()?, vector.iter().count());
        privacy |privacy| privacy.has("user")?;
        proxy_authentication_info;
        rack;
        refer_events_at |info| info.uri()?;
        refer_sub |sub| sub.wanted();
        refer_to |address| address.uri()?;
        referred_by |referrer| (referrer.uri()?, referrer.cid()?);
        replaces |replaces| (replaces.to_tag()?, replaces.from_tag()?, replaces.is_early_only()?);
        reply_to |address| address.uri()?;
        retry_after |retry| (retry.seconds(), retry.comment(), retry.duration()?);
        rseq;
        server |server| server.iter().count();
        session_expires |session| (session.interval(), session.refresher()?);
        session_id |session| session.remote()?;
        sip_etag;
        sip_if_match;
        subject |text| text.to_text();
        subscription_state |state| (state.state(), state.reason()?, state.expires()?, state.retry_after()?);
        suppress_if_match;
        target_dialog |dialog| (dialog.local_tag()?, dialog.remote_tag()?);
        timestamp |stamp| (stamp.time(), stamp.delay());
        user_agent |agent| agent.iter().count();
    }
    let (from, to) = (message.from()?, message.to()?);
    let _ = (from.uri()?, from.tag()?, from.display_name(), to.uri()?, to.tag()?, to.display_name());
    let _ = (message.priority()?, message.body_disposition()?, message.accept_quality("text/plain"));
    let _ = (message.accept_encoding_quality("gzip"), message.accept_language_quality("en-gb"));
    let _ = (message.call_id()?, message.cseq()?, message.supports("timer"), message.allows(sip_message::Method::Bye));
    Ok(count)
}

#[test]
fn the_message_has_every_header() {
    let message = request(LINES);
    for &header in Header::ALL {
        assert_eq!(message.has(header), header != Header::ResponseKey, "{header}");
    }
    message.check_grammar().unwrap();
}

#[test]
fn every_typed_read_allocates_nothing() {
    let message = request(LINES);
    assert_eq!(read_all(&message).unwrap(), 114, "values");
    assert_eq!(allocations(|| read_all(&message).unwrap()), 0);
}

#[test]
fn the_grammar_check_allocates_nothing() {
    let message = request(LINES);
    assert_eq!(allocations(|| message.check_grammar().unwrap()), 0);
}

#[test]
fn a_malformed_field_is_reported_without_allocating() {
    let message =
        request("Event: .x\r\nSupported: a b\r\nWarning: 3\r\nDate: now\r\nReplaces: ;\r\nWWW-Authenticate: x\r\n");
    let work = || {
        let faults = [message.event().is_err(), message.date().is_err(), message.replaces().is_err()];
        let lists = [message.supported().all(|v| v.is_err()), message.warning().all(|v| v.is_err())];
        assert_eq!((faults, lists, message.www_authenticate().all(|v| v.is_err())), ([true; 3], [true; 2], true));
    };
    assert_eq!(allocations(work), 0);
}

#[test]
fn composing_allocates_nothing_either() {
    let mut out = String::with_capacity(1024);
    let mut work = || -> Result<(), Box<dyn std::error::Error>> {
        write!(out, "{}", Address::new("sip:a@b")?.display_name("A \"B\"")?.tag("1")?.expires(60).flag("x")?)?;
        write!(out, "{}", Via::new(ViaTransport::Wss, "x.invalid")?.branch("z9hG4bK1")?.rport())?;
        write!(out, "{}", Challenge::digest("a", "b")?.algorithm("MD5")?.qop(&["auth"])?.stale(false))?;
        write!(out, "{}", Credentials::digest("a", "b", "c", "sip:d", "00")?.qop("auth")?.nc(1).cnonce("e")?)?;
        Ok(())
    };
    assert_eq!(allocations(|| work().unwrap()), 0);
}
