//! Connections that break under calls and registrations (RFC 5626): both go on.

use crate::common::*;
use sip_dialog::{CallEvent, EndCause, Event, ExtraHeaders, Invite, Register, RegistrationEvent};
use sip_message::{Header, Message, Method};
use sip_transaction::Transport;
use std::time::Duration;

/// The flow a dialog of a call is pinned to.
fn pinned(world: &mut World, node: sim::NodeId, call: sip_dialog::CallHandle) -> Option<sip_transaction::Path> {
    world.tell(node, |core, _, _| core.dialog_path(core.call(call)?.dialog?))
}

#[test]
fn a_call_outlives_the_connection_it_came_over() {
    let mut world = World::new(1);
    let (alice, bob) = (world.phone(1), world.phone(2));
    world.net.listen(bob, Transport::Tcp, 5060, &[]);
    let ours = world.invite(alice, Invite::new(origin(1), "sip:2@192.0.2.2;transport=tcp").body(offer()));
    let theirs = world.incoming(bob);
    world.accept(bob, theirs).unwrap();
    world.until_confirmed(bob, theirs);
    let path = pinned(&mut world, bob, theirs).expect("what came over a connection stays on it");
    assert_eq!(path.transport, Transport::Tcp);
    world.net.break_flow(bob, path.flow);
    let lost = world.until_call(bob, theirs, |event| match event {
        CallEvent::FlowLost { flow } => Some(*flow),
        _ => None,
    });
    assert_eq!(lost, path.flow);
    assert_eq!(pinned(&mut world, bob, theirs), None);
    // It goes on by its route set: here the Contact, over UDP; and the new one is told to the peer.
    let contact = Some("<sip:new@192.0.2.2>".to_owned());
    world.tell(bob, |core, ep, now| core.rebind(ep, now, theirs, None, contact)).unwrap();
    world.until_call(alice, ours, |event| matches!(event, CallEvent::PeerMoved).then_some(()));
    let target = world.tell(alice, |core, _, _| {
        let dialog = core.call(ours)?.dialog?;
        Some(core.dialog(dialog)?.remote_target().to_owned())
    });
    assert_eq!(target.as_deref(), Some("sip:new@192.0.2.2"));
    world.until_call(bob, theirs, |event| matches!(event, CallEvent::Answered { .. }).then_some(()));
    world.hang_up(alice, ours);
    assert_eq!(world.end_of(bob, theirs), EndCause::PeerHungUp);
    assert_eq!(world.last("BYE").request_uri_bytes(), Some(&b"sip:new@192.0.2.2"[..]));
    world.run_for(Duration::from_secs(60));
}

/// A call made through a proxy that listens on TCP and calls itself something nobody can look up or connect to: the trace shows whether
/// the rest goes over the connection the INVITE went over.
//= https://www.rfc-editor.org/rfc/rfc5626#section-4.3
//= type=test
//# For protocols that don't use TLS, if the UAC has an existing flow to
//# this IP address, and port with the correct protocol, then the UAC
//# MUST use the existing connection.
#[test]
fn a_call_stays_on_the_connection_it_was_made_over() {
    for (route, contact, stays) in [
        (Some("<sip:edge.invalid;transport=ws;lr>"), "<sip:2@198.51.100.7>", true),
        // Nobody can connect to a browser.
        (None, "<sip:2@df7jal23ls0d.invalid;transport=ws>", true),
        (None, "<sip:2@192.0.2.2;transport=tcp>", true),
        // The proxy did not ask to stay: the rest goes to the peer itself.
        (None, "<sip:2@192.0.2.3>", false),
    ] {
        let mut world = World::new(4);
        let (alice, proxy) = (world.phone(1), world.raw(2));
        world.raw(3);
        world.net.listen(proxy, Transport::Tcp, 5060, &[]);
        let out = origin(1).route("<sip:192.0.2.2;transport=tcp;lr>");
        let call = world.invite(alice, Invite::new(out, "sip:2@biloxi.example").body(offer()));
        let (tx, request) = world.request_at(proxy);
        world.respond(proxy, tx, &request, 200, |builder| {
            let builder = builder.header(Header::Contact, contact);
            let builder = match route {
                Some(route) => builder.header(Header::RecordRoute, route),
                None => builder,
            };
            builder.body("application/sdp", ANSWER)
        });
        world.until_confirmed(alice, call);
        let path = pinned(&mut world, alice, call);
        assert_eq!(path.is_some_and(|path| path.transport == Transport::Tcp), stays, "{contact}");
        world.hang_up(alice, call);
        world.run_for(Duration::from_millis(500));
        for what in ["ACK", "BYE"] {
            let sent = world.net.trace().iter().find(|sent| sent.title().starts_with(what)).expect("it was sent");
            assert_eq!(sent.transport == Transport::Tcp, stays, "{what} {contact}:\n{}", world.ladder());
            let to = if stays { "192.0.2.2" } else { "192.0.2.3" };
            assert_eq!(sent.to.ip().to_string(), to, "{what} {contact}");
        }
    }
}

#[test]
fn a_dialog_whose_flow_is_gone_is_routed_as_any_other() {
    let mut world = World::new(5);
    let (alice, bob) = (world.phone(1), world.phone(2));
    world.net.listen(bob, Transport::Tcp, 5060, &[]);
    let ours = world.invite(alice, Invite::new(origin(1), "sip:2@192.0.2.2;transport=tcp").body(offer()));
    let theirs = world.incoming(bob);
    world.accept(bob, theirs).unwrap();
    world.until_confirmed(bob, theirs);
    let path = pinned(&mut world, alice, ours).expect("the peer itself is at its other end");
    world.net.break_flow(alice, path.flow);
    world.until_call(alice, ours, |event| matches!(event, CallEvent::FlowLost { .. }).then_some(()));
    world.hang_up(alice, ours);
    assert_eq!(world.end_of(bob, theirs), EndCause::PeerHungUp);
}

//= https://www.rfc-editor.org/rfc/rfc5626#section-4.5
//= type=test
//# Each new registration MUST have the same reg-id value as the
//# registration it replaces.
#[test]
fn a_registration_makes_itself_a_new_connection() {
    let mut world = World::new(2);
    let (alice, raw) = (world.phone(1), world.raw(2));
    world.net.listen(raw, Transport::Tcp, 5060, &[]);
    let urn = "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6";
    let register = Register::new(origin(1), "sip:192.0.2.2;transport=tcp").expires(600).instance(urn, Some(1));
    let id = world.tell(alice, |core, ep, now| core.register(ep, now, register)).unwrap();
    let mut paths = Vec::new();
    for round in 0..2 {
        let (tx, request) = world.request_at(raw);
        let contact = String::from_utf8(request.field(Header::Contact).unwrap().to_vec()).unwrap();
        assert!(contact.contains(";reg-id=1"));
        world.respond(raw, tx, &request, 200, |builder| {
            builder.header(Header::Contact, contact).header(Header::Require, "outbound")
        });
        world.until(alice, |event| match event {
            Event::Registration { event: RegistrationEvent::Registered { .. }, .. } => Some(()),
            _ => None,
        });
        let path = world.tell(alice, |core, _, _| core.registration(id)).unwrap().path.unwrap();
        paths.push(path.flow);
        if round == 0 {
            world.net.break_flow(alice, path.flow);
            world.until(alice, |event| match event {
                Event::Registration { event: RegistrationEvent::FlowLost { flow }, .. } => {
                    Some(assert_eq!(*flow, path.flow))
                }
                _ => None,
            });
        }
    }
    assert_ne!(paths[0], paths[1]);
    world.tell(alice, |core, ep, now| core.unregister(ep, now, id, false)).unwrap();
    let (tx, request) = world.request_at(raw);
    world.respond(raw, tx, &request, 200, |builder| builder);
    world.until(alice, |event| match event {
        Event::Registration { event: RegistrationEvent::Ended { .. }, .. } => Some(()),
        _ => None,
    });
    world.run_for(Duration::from_secs(60));
    assert!(world.tell(alice, |core, _, _| core.is_idle()));
}

#[test]
fn what_nobody_could_answer_is_refused_at_once() {
    let mut world = World::new(3);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let (ours, theirs) = world.established(alice, bob, 1, 2);
    let stale = sip_dialog::CallHandle::from_bits(u64::MAX >> 1).unwrap();
    let none = world.tell(alice, |core, ep, now| core.reinvite(ep, now, stale, None, ExtraHeaders::new()));
    assert_eq!(none, Err(sip_dialog::CommandError::Unknown));
    world.hang_up(bob, theirs);
    world.end_of(alice, ours);
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc5626#section-4.4
//= type=test
//# The UA MUST send keep-alives at least as often as this number of
//# seconds.
//= https://www.rfc-editor.org/rfc/rfc5626#section-4.4.1
//= type=test
//# This approach MUST only be used with connection oriented transports such
//# as TCP or SCTP; it MUST NOT be used with connection-less transports such
//# as UDP.
//= https://www.rfc-editor.org/rfc/rfc5626#section-4.4.1
//= type=test
//# Clients MUST support this CRLF keep-alive.
//= https://www.rfc-editor.org/rfc/rfc5626#section-4.4.2
//= type=test
//# This approach MUST only be used with connection-less transports, such as
//# UDP; it MUST NOT be used for connection-oriented transports such as TCP
//# and SCTP.
//= https://www.rfc-editor.org/rfc/rfc5626#section-4.4.2
//= type=test
//# Clients MUST support STUN-based keep-alives.
//= https://www.rfc-editor.org/rfc/rfc5626#section-8
//= type=test
//# A SIP node MUST NOT send STUN requests over a flow unless it has an
//# explicit indication that the target next-hop SIP server claims to
//# support this specification.
#[test]
fn a_flow_is_kept_alive_as_often_as_the_server_says() {
    for transport in [Transport::Tcp, Transport::Udp] {
        let mut world = World::new(6);
        let (alice, raw) = (world.phone(1), world.raw(2));
        world.net.listen(raw, Transport::Tcp, 5060, &[]);
        let urn = "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6";
        let uri = if transport == Transport::Tcp { "sip:192.0.2.2;transport=tcp" } else { "sip:192.0.2.2" };
        let register = Register::new(origin(1), uri).expires(3600).instance(urn, Some(1));
        let id = world.tell(alice, |core, ep, now| core.register(ep, now, register)).unwrap();
        let (tx, request) = world.request_at(raw);
        let contact = String::from_utf8(request.field(Header::Contact).unwrap().to_vec()).unwrap();
        world.respond(raw, tx, &request, 200, |builder| {
            let builder = builder.header(Header::Contact, contact).header(Header::Require, "outbound");
            builder.header("Flow-Timer", 30)
        });
        world.run_for(Duration::from_secs(300));
        let from_us = |sent: &&sim::Sent| sent.from.ip().to_string() == "192.0.2.1" && sent.transport == transport;
        let pings: Vec<_> = world.net.trace().iter().filter(from_us).collect();
        let crlf = pings.iter().filter(|sent| &sent.bytes[..] == b"\r\n\r\n").count();
        // A STUN Binding Request begins with its type, 0x0001.
        let stun = pings.iter().filter(|sent| sent.bytes.starts_with(&[0, 1])).count();
        let (kept, other) = if transport == Transport::Tcp { (crlf, stun) } else { (stun, crlf) };
        assert!(kept >= 10, "{transport:?}: {kept} in 300 s");
        assert_eq!(other, 0, "{transport:?}");
        world.tell(alice, |core, ep, now| core.unregister(ep, now, id, false)).unwrap();
        let (tx, request) = world.request_at(raw);
        world.respond(raw, tx, &request, 200, |builder| builder);
        world.run_for(Duration::from_secs(60));
    }
}

/// A connection of Alice's to the other side.
fn connected(world: &mut World, alice: sim::NodeId) -> sip_transaction::Path {
    let target = sip_transaction::Target {
        transport: Transport::Tcp,
        address: "192.0.2.2:5060".parse().unwrap(),
        server_name: None,
    };
    world.tell(alice, |_, ep, now| {
        let flow = ep.connect(now, &target).unwrap();
        ep.flow_path(flow).unwrap()
    })
}

/// One operation for all that was on a connection: registration, call and subscription go on over another, and each peer is told.
#[test]
fn all_that_was_on_a_lost_connection_is_taken_up_on_another() {
    let mut world = World::new(7);
    let (alice, raw) = (world.phone(1), world.raw(2));
    world.net.listen(raw, Transport::Tcp, 5060, &[]);
    let path = connected(&mut world, alice);
    let over = || origin(1).path(path);
    let accept = |world: &mut World, method: Method<'_>, contact: &str| {
        let (tx, request) = world.request_at(raw);
        assert_eq!(request.method(), Some(method));
        let own = String::from_utf8(request.field(Header::Contact).unwrap().to_vec()).unwrap();
        assert!(own.contains(contact), "{own}");
        world.respond(raw, tx, &request, 200, |builder| {
            let builder = builder.header(Header::Allow, "INVITE, UPDATE").header(Header::Expires, 600);
            match method {
                Method::Invite => {
                    builder.header(Header::Contact, "<sip:2@df7.invalid>").body("application/sdp", ANSWER)
                }
                Method::Register => builder.header(Header::Contact, own),
                _ => builder.header(Header::Contact, "<sip:2@df7.invalid>"),
            }
        });
        request
    };
    let register = Register::new(over(), "sip:192.0.2.2;transport=tcp").expires(600);
    let registration = world.tell(alice, |core, ep, now| core.register(ep, now, register)).unwrap();
    accept(&mut world, Method::Register, "sip:1@192.0.2.1");
    let call = world.invite(alice, Invite::new(over(), "sip:2@192.0.2.2;transport=tcp").body(offer()));
    accept(&mut world, Method::Invite, "sip:1@192.0.2.1");
    world.until_confirmed(alice, call);
    let subscribe = sip_dialog::Subscribe::new(over(), "sip:2@192.0.2.2;transport=tcp", "presence").expires(600);
    let sub = world.tell(alice, |core, ep, now| core.subscribe(ep, now, subscribe)).unwrap();
    let request = accept(&mut world, Method::Subscribe, "sip:1@192.0.2.1");
    let notify = Message::request(Method::Notify, "sip:1@192.0.2.1")
        .header(Header::From, "<sip:2@192.0.2.2>;tag=raw")
        .copy_all(&request, Header::CallId)
        .header(Header::To, String::from_utf8_lossy(request.field(Header::From).unwrap()).into_owned())
        .cseq(1)
        .header(Header::Contact, "<sip:2@df7.invalid>")
        .header(Header::Event, "presence")
        .header(Header::SubscriptionState, "active;expires=600")
        .build()
        .unwrap();
    let told = world.send(raw, notify);
    assert_eq!(world.final_of(raw, told).status(), Some(status(200)));

    world.net.break_flow(alice, path.flow);
    world.until_call(alice, call, |event| matches!(event, CallEvent::FlowLost { .. }).then_some(()));
    assert_eq!(pinned(&mut world, alice, call), None);
    let new = connected(&mut world, alice);
    assert_ne!(new.flow, path.flow);
    let contact = Some("<sip:new@192.0.2.1;transport=tcp>".to_owned());
    let recovered =
        world.tell(alice, |core, ep, now| core.recover(ep, now, path.flow, new, Some(registration), contact));
    assert_eq!(recovered, Ok(vec![call]));
    let before = world.net.trace().len();
    for method in [Method::Register, Method::Update, Method::Subscribe] {
        accept(&mut world, method, "sip:new@192.0.2.1");
    }
    assert!(world.net.trace()[before..].iter().all(|sent| sent.transport == Transport::Tcp));
    assert_eq!(pinned(&mut world, alice, call), Some(new));
    world.until_call(alice, call, |event| matches!(event, CallEvent::Answered { .. }).then_some(()));
    // Done once, there is nothing left to do.
    let again = world.tell(alice, |core, ep, now| core.recover(ep, now, path.flow, new, None, None));
    assert_eq!(again, Ok(Vec::new()));
    world.hang_up(alice, call);
    world.tell(alice, |core, ep, now| core.unsubscribe(ep, now, sub)).unwrap();
    world.tell(alice, |core, ep, now| core.unregister(ep, now, registration, false)).unwrap();
    for _ in 0..3 {
        let (tx, request) = world.request_at(raw);
        world.respond(raw, tx, &request, 200, |builder| builder);
    }
    world.run_for(Duration::from_secs(100));
    assert!(world.tell(alice, |core, _, _| core.is_idle()));
}

//= https://www.rfc-editor.org/rfc/rfc6665#section-4.1.2.2
//= type=test
//# If a SUBSCRIBE request to refresh a subscription fails with any error
//# code other than those listed above, the original subscription is still
//# considered valid for the duration of the most recently known "Expires"
//# value as negotiated by the most recent successful SUBSCRIBE transaction,
//# or as communicated by a NOTIFY request in its "Subscription-State"
//# header field "expires" parameter.
#[test]
fn a_subscription_that_is_recovered_early_lasts_to_its_end_though_no_refresh_succeeds() {
    let mut world = World::new(8);
    let (alice, raw) = (world.phone(1), world.raw(2));
    world.net.listen(raw, Transport::Tcp, 5060, &[]);
    let path = connected(&mut world, alice);
    let subscribe =
        sip_dialog::Subscribe::new(origin(1).path(path), "sip:2@192.0.2.2;transport=tcp", "presence").expires(3600);
    let sub = world.tell(alice, |core, ep, now| core.subscribe(ep, now, subscribe)).unwrap();
    let (tx, request) = world.request_at(raw);
    let start = world.now();
    world.respond(raw, tx, &request, 200, |builder| {
        builder.header(Header::Expires, 3600).header(Header::Contact, "<sip:2@df7.invalid>")
    });
    let notify = Message::request(Method::Notify, "sip:1@192.0.2.1")
        .header(Header::From, "<sip:2@192.0.2.2>;tag=raw")
        .copy_all(&request, Header::CallId)
        .header(Header::To, String::from_utf8_lossy(request.field(Header::From).unwrap()).into_owned())
        .cseq(1)
        .header(Header::Contact, "<sip:2@df7.invalid>")
        .header(Header::Event, "presence")
        .header(Header::SubscriptionState, "active;expires=3600")
        .build()
        .unwrap();
    let told = world.send(raw, notify);
    assert_eq!(world.final_of(raw, told).status(), Some(status(200)));

    world.net.break_flow(alice, path.flow);
    world.run_for(Duration::from_secs(1));
    let new = connected(&mut world, alice);
    world.tell(alice, |core, ep, now| core.recover(ep, now, path.flow, new, None, None)).unwrap();
    let ended = |world: &World| {
        let is_end = |event: &Event| match event {
            Event::Subscription { subscription, event: sip_dialog::SubscriptionEvent::Ended { cause, .. } } => {
                (*subscription == sub).then_some(*cause)
            }
            _ => None,
        };
        world.log.iter().find_map(|heard| is_end(&heard.event))
    };
    while ended(&world).is_none() {
        let (tx, request) = world.request_at(raw);
        assert_eq!(request.method(), Some(Method::Subscribe));
        world.respond(raw, tx, &request, 503, |builder| builder);
        world.run_for(Duration::from_millis(500));
    }
    assert_eq!(ended(&world), Some(sip_dialog::SubscriptionEnd::Expired));
    assert_eq!(world.now().since(start).as_secs(), 3600);
}

/// A connection of a caller's that it leaves for another one.
fn on_a_connection(seed: u64) -> (World, sim::NodeId, sim::NodeId, sip_transaction::Path) {
    let mut world = World::new(seed);
    let (alice, raw) = (world.phone(1), world.raw(2));
    world.net.listen(raw, Transport::Tcp, 5060, &[]);
    let path = connected(&mut world, alice);
    (world, alice, raw, path)
}

/// Moves what is on the connection to another, with a new Contact, while the old one still brings what is under way.
fn recovered(world: &mut World, node: sim::NodeId, path: sip_transaction::Path) -> Vec<sip_dialog::CallHandle> {
    let new = connected(world, node);
    let contact = Some("<sip:new@192.0.2.1;transport=tcp>".to_owned());
    world.tell(node, |core, ep, now| core.recover(ep, now, path.flow, new, None, contact)).unwrap()
}

fn accepted(builder: sip_message::ResponseBuilder) -> sip_message::ResponseBuilder {
    let builder = builder.header(Header::Contact, "<sip:2@df7.invalid>").header(Header::Allow, "INVITE, UPDATE");
    builder.body("application/sdp", ANSWER)
}

/// The next request of this method at `raw` has this Contact; it is accepted.
fn told(world: &mut World, raw: sim::NodeId, method: Method<'_>, contact: &str) {
    let (tx, request) = loop {
        let (tx, request) = world.request_at(raw);
        if request.method() != Some(Method::Ack) {
            break (tx, request);
        }
    };
    assert_eq!(request.method(), Some(method));
    let own = String::from_utf8(request.field(Header::Contact).unwrap().to_vec()).unwrap();
    assert!(own.contains(contact), "{own}");
    world.respond(raw, tx, &request, 200, |builder| builder.header(Header::Contact, "<sip:2@df7.invalid>"));
}

/// Whatever keeps the peer from being told at once, it is told when that is over, and once.
#[test]
fn a_call_that_moves_before_it_stands_or_during_a_change_tells_the_peer_afterwards() {
    for during in ["calling", "offer in the 2xx", "update", "refused update"] {
        let (mut world, alice, raw, path) = on_a_connection(9);
        let to = Invite::new(origin(1).path(path), "sip:2@192.0.2.2;transport=tcp");
        let call = world.invite(alice, if during == "offer in the 2xx" { to } else { to.body(offer()) });
        let (tx, invite) = world.request_at(raw);
        let early = |builder: sip_message::ResponseBuilder| {
            builder.to_tag("one").header(Header::Contact, "<sip:2@df7.invalid>").header(Header::Allow, "INVITE, UPDATE")
        };
        let mut waiting = None;
        if during == "calling" {
            world.respond(raw, tx, &invite, 180, early);
            world.until_call(alice, call, |event| matches!(event, CallEvent::Progress { .. }).then_some(()));
        } else {
            world.respond(raw, tx, &invite, 200, accepted);
            world.until_call(alice, call, |event| matches!(event, CallEvent::Accepted { .. }).then_some(()));
        }
        if during.ends_with("update") {
            world.until_confirmed(alice, call);
            world.tell(alice, |core, ep, now| core.update(ep, now, call, None, ExtraHeaders::new())).unwrap();
            waiting = Some(world.request_at(raw));
        }
        assert_eq!(recovered(&mut world, alice, path), [call], "{during}");
        let before = world.net.trace().len();
        world.run_for(Duration::from_secs(4));
        assert!(!world.net.trace()[before..].iter().any(|sent| sent.title().starts_with("UPDATE")), "{during}");
        match (during, waiting) {
            ("calling", _) => world.respond(raw, tx, &invite, 200, |builder| accepted(builder.to_tag("one"))),
            ("offer in the 2xx", _) => {
                world.tell(alice, |core, ep, now| core.answer(ep, now, call, answer())).unwrap();
            }
            ("update", Some((tx, request))) => world.respond(raw, tx, &request, 200, |builder| builder),
            (_, Some((tx, request))) => world.respond(raw, tx, &request, 488, |builder| builder),
            _ => unreachable!(),
        }
        told(&mut world, raw, Method::Update, "sip:new@192.0.2.1");
        world.run_for(Duration::from_secs(60));
        let updates = |sent: &&sim::Sent| sent.title().starts_with("UPDATE");
        assert_eq!(world.net.trace()[before..].iter().filter(updates).count(), 1, "{during}:\n{}", world.ladder());
    }
}

/// A recovery that cannot be said has moved nothing: the registration is kept up where it was, and the call stays.
#[test]
fn a_recovery_that_fails_leaves_all_as_it_was() {
    let (mut world, alice, raw, path) = on_a_connection(10);
    let register = Register::new(origin(1).path(path), "sip:192.0.2.2;transport=tcp").expires(600);
    let registration = world.tell(alice, |core, ep, now| core.register(ep, now, register)).unwrap();
    told(&mut world, raw, Method::Register, "sip:1@192.0.2.1");
    let call = world.invite(alice, Invite::new(origin(1).path(path), "sip:2@192.0.2.2;transport=tcp").body(offer()));
    let (tx, invite) = world.request_at(raw);
    world.respond(raw, tx, &invite, 200, accepted);
    world.until_confirmed(alice, call);
    let new = connected(&mut world, alice);
    for (to, contact) in
        [(new, Some("<sip:1@192.0.2.1>\r\nX: y".to_owned())), (sip_transaction::Path { flow: gone(), ..new }, None)]
    {
        let failed =
            world.tell(alice, |core, ep, now| core.recover(ep, now, path.flow, to, Some(registration), contact));
        assert!(failed.is_err(), "{failed:?}");
    }
    assert_eq!(pinned(&mut world, alice, call), Some(path));
    let before = world.net.trace().len();
    told(&mut world, raw, Method::Register, "sip:1@192.0.2.1");
    let mut after = world.net.trace()[before..].iter();
    assert!(after.any(|sent| sent.title().starts_with("REGISTER") && sent.transport == Transport::Tcp));
}

/// A flow of somebody else's.
fn gone() -> sip_transaction::FlowId {
    sip_transaction::FlowId::from_bits(0xffff_0000_ffff).unwrap()
}
