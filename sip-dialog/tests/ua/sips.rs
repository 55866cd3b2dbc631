//! Secure URIs (RFC 5630): who is reached by them, and what is written where they are used.

use crate::common::*;
use sip_dialog::{
    CallEvent, CallHandle, CommandError, EndCause, Event, ExtraHeaders, Invite, Redirect, Register, Sips, Subscribe,
    SubscriptionEvent, UserAgentConfig,
};
use sip_message::{Header, Message, Method};
use sip_transaction::{Destination, Path, Transport};

/// A telephone at `192.0.2.1` whose peers are made by hand, and listen for TLS where they are asked to.
fn phone(world: &mut World, change: impl FnOnce(&mut UserAgentConfig)) -> (sim::NodeId, sim::NodeId) {
    let (alice, raw) = (world.phone_with(1, change), world.raw(2));
    world.net.listen(raw, Transport::Tls, 5061, &[]);
    (alice, raw)
}

fn field(message: &Message, header: Header) -> String {
    String::from_utf8(message.field(header).unwrap_or_default().to_vec()).unwrap()
}

fn uri_of(message: &Message) -> &str {
    core::str::from_utf8(message.request_uri_bytes().unwrap()).unwrap()
}

/// A call that `raw` has taken, with Contact `contact`.
fn taken(
    world: &mut World,
    alice: sim::NodeId,
    raw: sim::NodeId,
    invite: Invite,
    contact: &str,
) -> (CallHandle, Message) {
    let call = world.invite(alice, invite);
    let (tx, request) = world.request_at(raw);
    world.respond(raw, tx, &request, 200, |builder| {
        builder
            .header(Header::Contact, contact)
            .header(Header::Allow, "INVITE, ACK, BYE, CANCEL, UPDATE, REFER")
            .body("application/sdp", ANSWER)
    });
    world.until_confirmed(alice, call);
    (call, request)
}

fn hung_up(world: &mut World, alice: sim::NodeId, raw: sim::NodeId, call: CallHandle) -> Message {
    world.hang_up(alice, call);
    let (tx, request) = world.request_at(raw);
    world.respond(raw, tx, &request, 200, |builder| builder);
    request
}

fn to(uri: &str) -> Invite {
    Invite::new(origin(1), uri).body(offer())
}

//= https://www.rfc-editor.org/rfc/rfc5630#section-3.3
//= type=test
//# If
//# a@A sends a request to b@B using a SIPS Request-URI, then, according
//# to [RFC3261], Section 8.1.1.8, "the Contact header field MUST contain
//# a SIPS URI as well".
//= https://www.rfc-editor.org/rfc/rfc5630#section-5.1.1
//= type=test
//# As mandated by [RFC3261], Section 8.1.1.8, in a request, "if the
//# Request-URI or top Route header field value contains a SIPS URI, the
//# Contact header field MUST contain a SIPS URI as well".
//= https://www.rfc-editor.org/rfc/rfc5630#section-5.1.1
//= type=test
//# Specifically, if the route set included any SIP
//# URI, the UAC MUST change the SIP URIs to SIPS URIs simply by changing
//# the scheme from "sip" to "sips" before sending the request.
//= https://www.rfc-editor.org/rfc/rfc5630#section-5.1.1.2
//= type=test
//# When a target refresh occurs within a dialog (e.g., re-INVITE
//# request, UPDATE request), the UAC MUST include a Contact header field
//# with a SIPS URI if the original request used a SIPS Request-URI.
#[test]
fn a_call_to_a_sips_uri_is_secure_all_the_way_and_stays_so() {
    let mut world = World::new(1);
    let (alice, raw) = phone(&mut world, |_| {});
    let who = origin(1).route("<sip:192.0.2.2;lr>").route("<sip:far.example.com;lr>;x=\"a\"");
    let invite = Invite::new(who, "sips:2@192.0.2.2").body(offer());
    let (call, request) = taken(&mut world, alice, raw, invite, "<sips:2@192.0.2.2>");
    assert_eq!(field(&request, Header::Route), "<sips:192.0.2.2;lr>, <sips:far.example.com;lr>;x=\"a\"");
    assert_eq!((uri_of(&request), &*field(&request, Header::Contact)), ("sips:2@192.0.2.2", "<sips:1@192.0.2.1>"));
    assert_eq!(world.net.trace()[0].transport, Transport::Tls);
    world.tell(alice, |core, _, _| core.set_contact(call, "<sip:elsewhere@192.0.2.1>")).unwrap();
    world.tell(alice, |core, ep, now| core.update(ep, now, call, None, ExtraHeaders::new())).unwrap();
    let (tx, update) = world.request_at(raw);
    assert_eq!(field(&update, Header::Contact), "<sips:elsewhere@192.0.2.1>");
    world.respond(raw, tx, &update, 200, |builder| builder.header(Header::Contact, "<sips:2@192.0.2.2>"));
    hung_up(&mut world, alice, raw, call);
    assert!(world.net.trace().iter().all(|sent| sent.transport == Transport::Tls));
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc5630#section-5.1.1.2
//= type=test
//# If the top Route header field
//# does not contain a SIPS URI, the UAC MUST use a SIP URI in the
//# Contact header field, even if the request is sent over a secure
//# transport (e.g., the first hop could be re-using a TLS connection to
//# the proxy as would be the case with [RFC5626]).
//= https://www.rfc-editor.org/rfc/rfc5630#section-5.1.1
//= type=test
//# When the UAC is using a SIP Request-URI, if the route set is not
//# empty and the topmost Route header field entry is a SIPS URI with the
//# lr parameter, the UAC MUST send the request over TLS (using a SIP
//# Request-URI).
//= https://www.rfc-editor.org/rfc/rfc5630#section-5.1.1
//= type=test
//# If the route is not empty and the Route header field
//# entry is a SIPS URI without the lr parameter, the UAC MUST send the
//# request over TLS using a SIPS Request-URI corresponding to the
//# topmost entry in the route set.
#[test]
fn a_call_to_a_sip_uri_has_the_contact_its_route_calls_for() {
    let mut world = World::new(2);
    let (alice, raw) = phone(&mut world, |config| config.contact = "<sips:1@192.0.2.1>".into());
    let (call, request) = taken(&mut world, alice, raw, to("sip:2@192.0.2.2"), "<sip:2@192.0.2.2>");
    assert_eq!(field(&request, Header::Contact), "<sip:1@192.0.2.1>");
    hung_up(&mut world, alice, raw, call);
    // A flow without TLS is no way for it.
    let flow = world.flow_of(alice);
    let path = world.tell(alice, |_, ep, _| ep.flow_path(flow)).unwrap();
    let path = Path { remote: "192.0.2.2:5060".parse().unwrap(), ..path };
    for (route, uri, left) in [
        ("<sips:192.0.2.2;lr>", "sip:2@192.0.2.2", "<sips:192.0.2.2;lr>"),
        ("<sips:192.0.2.2>", "sips:192.0.2.2", "<sip:2@192.0.2.2>"),
    ] {
        let before = world.net.trace().len();
        let invite = Invite::new(origin(1).route(route).path(path), "sip:2@192.0.2.2").body(offer());
        let (call, request) = taken(&mut world, alice, raw, invite, "<sip:2@192.0.2.2>");
        assert_eq!((uri_of(&request), &*field(&request, Header::Route)), (uri, left));
        assert_eq!(field(&request, Header::Contact), "<sips:1@192.0.2.1>");
        let sent = &world.net.trace()[before..];
        let asked = sent.iter().find(|sent| sent.title().starts_with("INVITE")).unwrap();
        assert_eq!(asked.transport, Transport::Tls);
        world.run_for(std::time::Duration::from_secs(1));
        let bye = hung_up(&mut world, alice, raw, call);
        assert_eq!(uri_of(&bye), "sip:2@192.0.2.2");
    }
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc5630#section-5.1.1
//= type=test
//# Upon receiving a 416 response or a 480 (Temporarily Unavailable)
//# response with a Warning header with warn-code 380 "SIPS Not Allowed",
//# a UAC MUST NOT re-attempt the request by automatically replacing the
//# SIPS scheme with a SIP scheme as described in [RFC3261], Section
//# 8.1.3.5, as it would be a security vulnerability.
//= https://www.rfc-editor.org/rfc/rfc5630#section-5.1.1
//= type=test
//# When presented with a SIPS URI, a UAC MUST NOT change it to a SIP
//# URI.
#[test]
fn what_is_refused_securely_is_not_tried_insecurely() {
    for code in [416, 480] {
        let mut world = World::new(3);
        let (alice, raw) = phone(&mut world, |config| config.redirect = Redirect::Follow(5));
        let call = world.invite(alice, to("sips:2@192.0.2.2"));
        let (tx, request) = world.request_at(raw);
        world.respond(raw, tx, &request, code, |builder| {
            builder.header(Header::Warning, "380 192.0.2.2 \"SIPS Not Allowed\"")
        });
        assert_eq!(world.end_of(alice, call), EndCause::PeerRejected(status(code)));
        world.run_for(std::time::Duration::from_secs(60));
        assert_eq!(world.sent().iter().filter(|what| *what == "1>2 INVITE").count(), 1);
        world.finish();
    }
}

/// Nor does a redirection lead from secure URIs to others; the host is told of them.
#[test]
fn a_redirection_may_be_to_more_security_and_not_to_less() {
    let mut world = World::new(4);
    let (alice, raw) = phone(&mut world, |config| config.redirect = Redirect::Follow(5));
    let call = world.invite(alice, to("sip:2@192.0.2.2"));
    for (contact, next) in [("<sips:3@192.0.2.2>", Some("sips:3@192.0.2.2")), ("<sip:4@192.0.2.2>", None)] {
        let (tx, request) = world.request_at(raw);
        world.respond(raw, tx, &request, 302, |builder| builder.header(Header::Contact, contact));
        let targets = world.until_call(alice, call, |event| match event {
            CallEvent::Redirected { targets, .. } => Some(targets.len()),
            _ => None,
        });
        assert_eq!(targets, 1);
        settle(&mut world);
        if let Some(next) = next {
            let again = world.last("INVITE");
            assert_eq!((uri_of(&again), &*field(&again, Header::Contact)), (next, "<sips:1@192.0.2.1>"));
        }
    }
    assert_eq!(world.end_of(alice, call), EndCause::PeerRedirected);
    world.finish();
}

/// Of several targets each has the way and the Contact of its own scheme, whatever the one before it had.
#[test]
fn a_target_behind_a_secure_one_has_the_route_the_host_gave() {
    let mut world = World::new(7);
    let (alice, raw) = phone(&mut world, |config| config.redirect = Redirect::Follow(5));
    let who = origin(1).route("<sip:192.0.2.2;lr>").route("<sip:far.example.com;lr>");
    let call = world.invite(alice, Invite::new(who, "sip:2@192.0.2.2").body(offer()));
    let plain = ("<sip:192.0.2.2;lr>, <sip:far.example.com;lr>", "<sip:1@192.0.2.1>");
    let secure = ("<sips:192.0.2.2;lr>, <sips:far.example.com;lr>", "<sips:1@192.0.2.1>");
    let targets =
        "<sips:3@192.0.2.2>;q=0.9, <sip:4@192.0.2.2>;q=0.8, <sips:5@192.0.2.2>;q=0.7, <sip:6@192.0.2.2>;q=0.6";
    for (uri, (route, contact), code) in [
        ("sip:2@192.0.2.2", plain, 302),
        ("sips:3@192.0.2.2", secure, 404),
        ("sip:4@192.0.2.2", plain, 404),
        ("sips:5@192.0.2.2", secure, 404),
        ("sip:6@192.0.2.2", plain, 404),
    ] {
        let (tx, request) = world.request_at(raw);
        assert_eq!((uri_of(&request), &*field(&request, Header::Route)), (uri, route));
        assert_eq!(field(&request, Header::Contact), contact);
        world.respond(raw, tx, &request, code, |builder| match code {
            302 => builder.header(Header::Contact, targets),
            _ => builder,
        });
    }
    assert_eq!(world.end_of(alice, call), EndCause::PeerRejected(status(404)));
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc5630#section-5.1.1.3
//= type=test
//# If that initial dialog was
//# established using SIPS, then the UAC MUST NOT establish a new one
//# using SIP, unless there is an explicit authorization given by the
//# recipient of the REFER request.
#[test]
fn a_transfer_out_of_a_secure_call_is_secure_or_allowed_by_whoever_is_transferred() {
    let mut world = World::new(5);
    let (alice, raw) = phone(&mut world, |_| {});
    let (call, request) = taken(&mut world, alice, raw, to("sips:2@192.0.2.2"), "<sips:2@192.0.2.2>");
    let refer = Message::request(Method::Refer, "sips:1@192.0.2.1")
        .header(Header::From, "<sips:2@192.0.2.2>;tag=raw")
        .header(Header::To, field(&request, Header::From))
        .header(Header::CallId, request.call_id().unwrap())
        .cseq(1)
        .header(Header::Contact, "<sips:2@192.0.2.2>")
        .header(Header::ReferTo, "<sip:3@192.0.2.2>")
        .build()
        .unwrap();
    // It comes over the connection there is, the other way.
    let back = world.below.iter().find_map(|(node, event)| match event {
        sip_transaction::Event::Request { path, .. } if *node == raw => Some(*path),
        _ => None,
    });
    let now = world.now();
    sim::Host::endpoint(world.net.host(raw)).request(now, refer, Destination::path(back.unwrap())).unwrap();
    let (sub, message) = world.until_call(alice, call, |event| match event {
        CallEvent::Refer { subscription, message } => Some((*subscription, message.clone())),
        _ => None,
    });
    world.tell(alice, |core, ep, now| core.accept_refer(ep, now, sub)).unwrap();
    let (tx, notify) = world.request_at(raw);
    world.respond(raw, tx, &notify, 200, |builder| builder);
    let invite = || Invite::of_refer(origin(1), &message).unwrap().body(offer()).for_refer(sub);
    let refused = world.tell(alice, |core, ep, now| core.invite(ep, now, invite()));
    assert_eq!(refused, Err(CommandError::Insecure));
    let other = world.invite(alice, invite().allow_insecure());
    let (tx, request) = world.request_at(raw);
    assert_eq!(uri_of(&request), "sip:3@192.0.2.2");
    world.respond(raw, tx, &request, 486, |builder| builder);
    let (tx, notify) = world.request_at(raw);
    assert!(notify.body().starts_with(b"SIP/2.0 486"));
    world.respond(raw, tx, &notify, 200, |builder| builder);
    assert_eq!(world.end_of(alice, other), EndCause::PeerRejected(status(486)));
    hung_up(&mut world, alice, raw, call);
    world.finish();
}

/// A request that comes to a telephone over UDP, whatever its URI asks for.
fn came(world: &mut World, raw: sim::NodeId, bob: sim::NodeId, request: Message) -> sip_transaction::ClientTxId {
    let flow = world.flow_of(bob);
    let path = world.tell(bob, |_, ep, _| ep.flow_path(flow)).unwrap();
    let socket = world.net.bind(raw, Transport::Udp, 5080);
    let endpoint = sim::Host::endpoint(world.net.host(raw));
    let path = Path { flow: socket, remote: path.local, ..endpoint.flow_path(socket).unwrap() };
    let now = world.net.now();
    sim::Host::endpoint(world.net.host(raw)).request(now, request, Destination::path(path)).unwrap()
}

fn asks(method: Method<'_>, uri: &str, contact: &str) -> Message {
    let builder = Message::request(method, uri)
        .header(Header::From, "<sip:1@192.0.2.1>;tag=a")
        .header(Header::To, "<sip:2@192.0.2.2>")
        .header(Header::CallId, "scheme")
        .cseq(1)
        .header(Header::Contact, contact);
    match method {
        Method::Subscribe => builder.header(Header::Event, "presence").build().unwrap(),
        _ => builder.body("application/sdp", OFFER).build().unwrap(),
    }
}

//= https://www.rfc-editor.org/rfc/rfc5630#section-5.1.2
//= type=test
//# If a UAS does not wish to be reached with a SIPS URI but only with a
//# SIP URI, the UAS MUST respond with a 480 (Temporarily Unavailable)
//# response.
//= https://www.rfc-editor.org/rfc/rfc5630#section-5.1.2
//= type=test
//# If a UAS does not wish to be contacted with a SIP URI but instead by
//# a SIPS URI, it MUST reject a request to a SIP Request-URI with a 480
//# (Temporarily Unavailable) response.
//= https://www.rfc-editor.org/rfc/rfc5630#section-5.1.2
//= type=test
//# If a UAS needs to reject a request because the URIs are used
//# inconsistently (e.g., the Request-URI is a SIPS URI, but the Contact
//# header field is a SIP URI), the UAS MUST reject the request with a
//# 400 (Bad Request) response.
#[test]
fn who_is_reached_by_one_scheme_alone_refuses_the_other() {
    let (plain, secure) = (("sip:2@192.0.2.2", "<sip:1@192.0.2.1>"), ("sips:2@192.0.2.2", "<sips:1@192.0.2.1>"));
    let mixed = ("sips:2@192.0.2.2", "<sip:1@192.0.2.1>");
    for (policy, (uri, contact), code, warning) in [
        (Sips::Never, secure, 480, "380 ua \"SIPS Not Allowed\""),
        (Sips::Only, plain, 480, "381 ua \"SIPS Required\""),
        (Sips::Only, mixed, 400, ""),
        (Sips::Never, plain, 0, ""),
        (Sips::Only, secure, 0, ""),
        (Sips::Only, ("SIP:2@192.0.2.2", "<sip:1@192.0.2.1>"), 480, "381 ua \"SIPS Required\""),
        (Sips::Only, ("tel:+12", "<sip:1@192.0.2.1>"), 0, ""),
        (Sips::Only, ("urn:service:sos", "<sip:1@192.0.2.1>"), 0, ""),
        (Sips::Either, mixed, 0, ""),
    ] {
        let mut world = World::new(6);
        let raw = world.raw(1);
        let bob = world.phone_with(2, |config| config.sips = policy);
        let sent = came(&mut world, raw, bob, asks(Method::Invite, uri, contact));
        if code == 0 {
            let call = world.incoming(bob);
            world.tell(bob, |core, ep, now| core.reject(ep, now, call, status(486), sip_dialog::Reply::new())).unwrap();
        }
        let answer = world.final_of(raw, sent);
        assert_eq!(answer.status(), Some(status(if code == 0 { 486 } else { code })), "{policy:?} {uri}");
        assert_eq!(field(&answer, Header::Warning), warning);
        world.finish();
    }
}

//= https://www.rfc-editor.org/rfc/rfc5630#section-5.1.2
//= type=test
//# If the request that initiated the dialog contained a SIPS URI in
//# the Request-URI or in the top Record-Route header field value, if
//# there was any, or the Contact header field if there was no Record-
//# Route header field, the Contact header field in the response MUST
//# be a SIPS URI.
//= https://www.rfc-editor.org/rfc/rfc5630#section-5.1.2
//= type=test
//# When a target refresh occurs within a dialog (e.g., re-INVITE
//# request, UPDATE request), the UAS MUST include a Contact header field
//# with a SIPS URI if the original request used a SIPS Request-URI.
//= https://www.rfc-editor.org/rfc/rfc5630#section-5.1.2
//= type=test
//# When presented with a SIPS URI, a UAS MUST NOT change it to a SIP
//# URI.
#[test]
fn who_is_called_by_a_sips_uri_answers_with_one() {
    for secure in [true, false] {
        let mut world = World::new(7);
        let raw = world.raw(1);
        let bob = world.phone_with(2, |config| {
            config.packages.push("presence".into());
            if !secure {
                config.contact = "<sips:2@192.0.2.2>".into();
            }
        });
        let scheme = if secure { "sips" } else { "sip" };
        let wanted = format!("<{scheme}:2@192.0.2.2>");
        let mut request = asks(Method::Invite, &format!("{scheme}:2@192.0.2.2"), &format!("<{scheme}:1@192.0.2.1>"));
        let sent = came(&mut world, raw, bob, request.clone());
        let call = world.incoming(bob);
        world.accept(bob, call).unwrap();
        let ok = world.final_of(raw, sent);
        assert_eq!(field(&ok, Header::Contact), wanted);
        world.tell(bob, |core, _, _| core.set_contact(call, "<sip:moved@192.0.2.2>")).unwrap();
        request.set(Header::To, field(&ok, Header::To)).unwrap();
        request.set(Header::CSeq, "2 INVITE").unwrap();
        let again = came(&mut world, raw, bob, request);
        world.until_call(bob, call, |event| matches!(event, CallEvent::Offer { .. }).then_some(()));
        world.tell(bob, |core, ep, now| core.answer(ep, now, call, answer())).unwrap();
        let ok = world.final_of(raw, again);
        assert_eq!(field(&ok, Header::Contact), format!("<{scheme}:moved@192.0.2.2>"));
        let subscribe = asks(Method::Subscribe, &format!("{scheme}:2@192.0.2.2"), &format!("<{scheme}:1@192.0.2.1>"));
        let sent = came(&mut world, raw, bob, subscribe);
        let sub = world.until(bob, |event| match event {
            Event::Subscription { subscription, event: SubscriptionEvent::Incoming { .. } } => Some(*subscription),
            _ => None,
        });
        world.tell(bob, |core, ep, now| core.accept_subscription(ep, now, sub, false, None, None)).unwrap();
        assert_eq!(field(&world.final_of(raw, sent), Header::Contact), wanted);
        world.run_for(std::time::Duration::from_secs(120));
        assert!(world.tell(bob, |core, _, _| core.call(call)).is_none(), "nobody acknowledges");
    }
}

/// Who subscribes to a sips URI is notified at one.
#[test]
fn a_subscription_to_a_sips_uri_has_a_sips_contact() {
    let mut world = World::new(8);
    let (alice, raw) = phone(&mut world, |_| {});
    for (uri, wanted) in [("sips:2@192.0.2.2", "<sips:1@192.0.2.1>"), ("sip:2@192.0.2.2", "<sip:1@192.0.2.1>")] {
        let subscribe = Subscribe::new(origin(1), uri, "presence");
        world.tell(alice, |core, ep, now| core.subscribe(ep, now, subscribe)).unwrap();
        let (tx, request) = world.request_at(raw);
        assert_eq!(field(&request, Header::Contact), wanted);
        world.respond(raw, tx, &request, 403, |builder| builder);
    }
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc5630#section-5.1.1.1
//= type=test
//# If a UA wishes to be reachable with a SIPS URI, the UA MUST register
//# with a SIPS Contact header field.
//= https://www.rfc-editor.org/rfc/rfc5630#section-5.1.1.1
//= type=test
//# If a UA does not wish to be reached with a SIPS URI, it MUST register
//# with a SIP Contact header field.
//= https://www.rfc-editor.org/rfc/rfc5630#section-5.1.1.1
//= type=test
//# Because registering with a SIPS Contact header field implies a
//# binding of both a SIPS Contact and a corresponding SIP Contact to the
//# AOR, a UA MUST NOT include both the SIPS and the SIP versions of the
//# same Contact header field in a REGISTER request; the UA MUST only use
//# the SIPS version in this case.
//= https://www.rfc-editor.org/rfc/rfc5630#section-5.1.1.1
//= type=test
//# If all the Contact header fields in a REGISTER request are SIPS, the
//# UAC MUST use SIPS AORs in the From and To header fields in the
//# REGISTER request.
//= https://www.rfc-editor.org/rfc/rfc5630#section-5.1.1.1
//= type=test
//# If at least one of the Contact header fields is
//# not SIPS (e.g., sip, mailto, tel, http, https), the UAC MUST use SIP
//# AORs in the From and To header fields in the REGISTER request.
#[test]
fn the_schemes_of_a_registration_agree() {
    const SECURE: &str = "<sips:1@192.0.2.1>";
    const PLAIN: &str = "<sip:1@192.0.2.1>";
    for (policy, aor, contacts, wanted, kept) in [
        (Sips::Either, "sip", &[PLAIN][..], "sip", &[PLAIN][..]),
        (Sips::Either, "sip", &[SECURE], "sips", &[SECURE]),
        (Sips::Either, "sips", &[PLAIN], "sip", &[PLAIN]),
        (Sips::Either, "sips", &[PLAIN, SECURE], "sips", &[SECURE]),
        (Sips::Either, "sip", &[SECURE, PLAIN], "sips", &[SECURE]),
        (Sips::Either, "sips", &[SECURE, "<sip:other@192.0.2.1>"], "sip", &[SECURE, "<sip:other@192.0.2.1>"]),
        (Sips::Either, "sips", &[SECURE, "<mailto:1@example.com>"], "sip", &[SECURE, "<mailto:1@example.com>"]),
        (Sips::Only, "sip", &[PLAIN, SECURE], "sips", &[SECURE]),
        (Sips::Only, "sip", &[PLAIN], "sips", &[SECURE]),
        (Sips::Never, "sips", &[SECURE], "sip", &[PLAIN]),
    ] {
        let mut world = World::new(9);
        let (alice, raw) = phone(&mut world, |config| config.sips = policy);
        let who = sip_dialog::Origin::new(format!("\"sip: me\" <{aor}:1@example.com>")).contact(contacts[0]);
        let mut register = Register::new(who, "sip:192.0.2.2");
        for also in &contacts[1..] {
            register = register.also(*also);
        }
        let id = world.tell(alice, |core, ep, now| core.register(ep, now, register)).unwrap();
        let (tx, request) = world.request_at(raw);
        let named = format!("\"sip: me\" <{wanted}:1@example.com>");
        assert_eq!(field(&request, Header::To), named);
        assert!(field(&request, Header::From).starts_with(&named));
        let said: Vec<String> = request
            .fields(Header::Contact)
            .map(|value| String::from_utf8(value.to_vec()).unwrap().replace(";expires=3600", ""))
            .collect();
        assert_eq!(said, kept, "{policy:?} {contacts:?}");
        world.respond(raw, tx, &request, 200, |builder| builder.copy_all(&request, Header::Contact));
        settle(&mut world);
        if wanted == "sips" {
            // Somewhere else it is the same.
            let contact = Some("<sip:moved@192.0.2.1>".to_owned());
            world.tell(alice, |core, ep, now| core.rebind_registration(ep, now, id, None, contact)).unwrap();
            let (tx, request) = world.request_at(raw);
            assert!(field(&request, Header::Contact).starts_with("<sips:moved@192.0.2.1>"));
            world.respond(raw, tx, &request, 200, |builder| builder.copy_all(&request, Header::Contact));
            settle(&mut world);
        }
        world.tell(alice, |core, ep, now| core.unregister(ep, now, id, false)).unwrap();
        let (tx, request) = world.request_at(raw);
        world.respond(raw, tx, &request, 200, |builder| builder);
        world.finish();
    }
}
