//! The basic call flows of RFC 3665, by its section numbers, message by message. `1` is Alice, `2` Bob, `8` and `9` the proxies
//! or servers between them.

use crate::common::*;
use sim::Fate;
use sip_dialog::{
    CallEvent, EndCause, Event, ExtraHeaders, Invite, Meaning, OutgoingRequest, Redirect, Register, RegistrationEvent,
    RegistrationId, Reply, RequestEvent,
};
use sip_message::{Header, Message};

const CHALLENGE: &str = "Digest realm=\"atlanta\", nonce=\"n\", qop=\"auth\"";

fn register(world: &mut World, bob: sim::NodeId, change: impl FnOnce(Register) -> Register) -> RegistrationId {
    let register = change(Register::new(origin(2), "sip:192.0.2.9"));
    world.tell(bob, |core, ep, now| core.register(ep, now, register)).unwrap()
}

/// A 200 that lists these bindings.
fn bound(world: &mut World, server: sim::NodeId, contacts: &[&str]) -> Message {
    let (tx, request) = world.request_at(server);
    world.respond(server, tx, &request, 200, |builder| {
        contacts.iter().fold(builder, |builder, contact| builder.header(Header::Contact, contact))
    });
    request
}

fn registered(world: &mut World, bob: sim::NodeId) -> Box<Message> {
    world.until(bob, |event| match event {
        Event::Registration { event: RegistrationEvent::Registered { message, .. }, .. } => Some((*message).clone()),
        _ => None,
    })
}

fn gone(world: &mut World, bob: sim::NodeId, id: RegistrationId) {
    world.tell(bob, |core, ep, now| core.unregister(ep, now, id, false)).unwrap();
    world.until(bob, |event| match event {
        Event::Registration { event: RegistrationEvent::Ended { .. }, .. } => Some(()),
        _ => None,
    });
}

fn challenged(world: &mut World, server: sim::NodeId) -> Message {
    let (tx, request) = world.request_at(server);
    world.respond(server, tx, &request, 401, |builder| builder.header(Header::WwwAuthenticate, CHALLENGE));
    request
}

#[test]
fn s2_1_successful_new_registration() {
    let mut world = World::new(1);
    let (bob, server) = (world.phone(2), world.raw(9));
    world.tell(bob, |core, _, _| core.add_credentials(password("atlanta")));
    let id = register(&mut world, bob, |register| register);
    let first = challenged(&mut world, server);
    let second = bound(&mut world, server, &["<sip:2@192.0.2.2>;expires=3600"]);
    registered(&mut world, bob);
    assert!(!first.has(Header::Authorization) && second.has(Header::Authorization));
    assert_eq!(second.cseq().unwrap().number, first.cseq().unwrap().number + 1);
    world.went("F1 2>9 REGISTER  F2 9>2 401  F3 2>9 REGISTER  F4 9>2 200");
    world.tell(bob, |core, ep, now| core.unregister(ep, now, id, false)).unwrap();
    bound(&mut world, server, &[]);
    world.finish();
}

#[test]
fn s2_2_update_of_contact_list() {
    let mut world = World::new(2);
    let (bob, server) = (world.phone(2), world.raw(9));
    let id = register(&mut world, bob, |register| register.also("<mailto:bob@biloxi.example.com>"));
    let list = ["<sip:2@192.0.2.2>;expires=3600", "<mailto:bob@biloxi.example.com>;expires=4294967295"];
    let request = bound(&mut world, server, &list);
    assert_eq!(request.fields(Header::Contact).count(), 2);
    let message = registered(&mut world, bob);
    assert_eq!(message.contacts().count(), 2);
    world.went("F1 2>9 REGISTER  F2 9>2 200");
    world.tell(bob, |core, ep, now| core.unregister(ep, now, id, false)).unwrap();
    bound(&mut world, server, &[]);
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-10.2.3
//= type=test
//# If no Contact header field is present in a REGISTER request, the list of
//# bindings is left unchanged.
#[test]
fn s2_3_request_for_current_contact_list() {
    let mut world = World::new(3);
    let (bob, server) = (world.phone(2), world.raw(9));
    let asks = OutgoingRequest::bindings(origin(2), "sip:bob@192.0.2.9");
    let id = world.tell(bob, |core, ep, now| core.request(ep, now, asks)).unwrap();
    let request = bound(&mut world, server, &["<sip:2@192.0.2.2>;expires=3600", "<mailto:bob@biloxi.example.com>"]);
    assert!(!request.has(Header::Contact));
    assert_eq!(request.request_uri_bytes(), Some(&b"sip:192.0.2.9"[..]));
    assert_eq!(request.to().unwrap().uri_bytes(), b"sip:2@192.0.2.2");
    let listed = world.until(bob, |event| match event {
        Event::Request { request, event: RequestEvent::Ended { message: Some(message), .. } } if *request == id => {
            Some(message.contacts().count())
        }
        _ => None,
    });
    assert_eq!(listed, 2);
    world.went("F1 2>9 REGISTER  F2 9>2 200");
    // One that binds has a command of its own, which keeps it up.
    let binds = OutgoingRequest::bindings(origin(2), "sip:192.0.2.9").header("Contact", "<sip:2@192.0.2.2>");
    let refused = world.tell(bob, |core, ep, now| core.request(ep, now, binds));
    assert_eq!(refused, Err(sip_dialog::CommandError::NotSupported));
    world.finish();
}

#[test]
fn s2_4_cancellation_of_registration() {
    let mut world = World::new(4);
    let (bob, server) = (world.phone(2), world.raw(9));
    let id = register(&mut world, bob, |register| register);
    bound(&mut world, server, &["<sip:2@192.0.2.2>;expires=3600"]);
    registered(&mut world, bob);
    world.net.clear_trace();
    world.tell(bob, |core, ep, now| core.unregister(ep, now, id, true)).unwrap();
    let last = bound(&mut world, server, &[]);
    assert_eq!((last.field(Header::Contact), last.field(Header::Expires)), (Some(&b"*"[..]), Some(&b"0"[..])));
    settle(&mut world);
    world.went("F1 2>9 REGISTER  F2 9>2 200");
    world.finish();
}

#[test]
fn s2_5_unsuccessful_registration() {
    let mut world = World::new(5);
    let (bob, server) = (world.phone(2), world.raw(9));
    world.tell(bob, |core, _, _| core.add_credentials(sip_dialog::Credentials::password("atlanta", "bob", "wrong")));
    let id = register(&mut world, bob, |register| register);
    challenged(&mut world, server);
    let second = challenged(&mut world, server);
    assert!(second.has(Header::Authorization));
    // The same again would be refused again: somebody is asked.
    world.until(bob, |event| matches!(event, Event::Challenged { .. }).then_some(()));
    settle(&mut world);
    world.went("F1 2>9 REGISTER  F2 9>2 401  F3 2>9 REGISTER  F4 9>2 401");
    gone(&mut world, bob, id);
    world.finish();
}

#[test]
fn s3_1_successful_session_establishment() {
    let mut world = World::new(6);
    let (alice, bob) = (world.phone(1), world.phone(2));
    world.call(alice, 1, 2);
    let b = picked_up(&mut world, bob);
    world.hang_up(bob, b);
    settle(&mut world);
    world.went("F1 1>2 INVITE  F2 2>1 180  F3 2>1 200  F4 1>2 ACK  F5 2>1 BYE  F6 1>2 200");
    world.finish();
}

/// Alice's way through both proxies, and Bob's place behind the second.
fn two_proxies(world: &mut World) -> (sim::NodeId, sim::NodeId) {
    let (one, two) = (world.relay(8), world.relay(9));
    world.place(two, "bob", &[("sip:2@192.0.2.2", None)]);
    (one, two)
}

fn through(routes: &[&str]) -> Invite {
    let who = routes.iter().fold(origin(1), |who, route| who.route(*route));
    Invite::new(who, "sip:bob@biloxi.example").body(offer())
}

const BOTH: [&str; 2] = ["<sip:192.0.2.8;lr>", "<sip:192.0.2.9;lr>"];

#[test]
fn s3_2_session_establishment_through_two_proxies() {
    let mut world = World::new(7);
    let (alice, bob) = (world.phone(1), world.phone(2));
    two_proxies(&mut world);
    world.invite(alice, through(&BOTH));
    let b = picked_up(&mut world, bob);
    world.hang_up(bob, b);
    settle(&mut world);
    world.went(
        "F1 1>8 INVITE  F3 8>1 100  F2 8>9 INVITE  F5 9>8 100  F4 9>2 INVITE  F6 2>9 180  F7 9>8 180  F8 8>1 180  F9 2>9 200
         F10 9>8 200  F11 8>1 200  F12 1>8 ACK  F13 8>9 ACK  F14 9>2 ACK  F15 2>9 BYE  F16 9>8 BYE  F17 8>1 BYE  F18 1>8 200
         F19 8>9 200  F20 9>2 200",
    );
    world.finish();
}

#[test]
fn s3_3_session_with_multiple_proxy_authentication() {
    let mut world = World::new(8);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let (one, two) = two_proxies(&mut world);
    for (proxy, realm) in [(one, "atlanta"), (two, "biloxi")] {
        world.relay_at(proxy).realm = Some(realm.into());
        world.tell(alice, |core, _, _| core.add_credentials(password(realm)));
    }
    let a = world.invite(alice, through(&BOTH));
    let b = world.incoming(bob);
    world.accept(bob, b).unwrap();
    world.until_confirmed(bob, b);
    assert_eq!(world.last("ACK").fields(Header::ProxyAuthorization).count(), 2, "as the INVITE had them");
    world.went(
        "F1 1>8 INVITE  F2 8>1 407  F3 1>8 ACK  F4 1>8 INVITE  F5 8>1 100  F6 8>9 INVITE  F7 9>8 407  F8 8>9 ACK  F9 8>1 407
         F10 1>8 ACK  F11 1>8 INVITE  F12 8>1 100  F13 8>9 INVITE  F14 9>8 100  F15 9>2 INVITE  F16 2>9 200  F17 9>8 200
         F18 8>1 200  F19 1>8 ACK  F20 8>9 ACK  F21 9>2 ACK",
    );
    world.hang_up(alice, a);
    world.finish();
}

#[test]
fn s3_4_successful_session_with_proxy_failure() {
    let mut world = World::new(9);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let (_, two) = two_proxies(&mut world);
    world.relay_at(two).realm = Some("biloxi".into());
    world.tell(alice, |core, _, _| core.add_credentials(password("biloxi")));
    world.relay_at(two).names.push("atlanta.example".into());
    world.net.dns.srv("_sip._udp.atlanta.example", 1, 0, 5060, "one.atlanta.example");
    world.net.dns.srv("_sip._udp.atlanta.example", 2, 0, 5060, "two.atlanta.example");
    world.net.dns.address("one.atlanta.example", "192.0.2.8").address("two.atlanta.example", "192.0.2.9");
    world.net.set_filter(|packet| if packet.to.ip().to_string().ends_with(".8") { Fate::Lose } else { Fate::Carry });
    world.invite(alice, through(&["<sip:atlanta.example;transport=udp;lr>"]));
    let b = picked_up(&mut world, bob);
    world.hang_up(bob, b);
    settle(&mut world);
    world.went(
        "F1 1>8 INVITE  F2 1>8 INVITE  F3 1>8 INVITE  F4 1>8 INVITE  F5 1>8 INVITE  F6 1>8 INVITE  F7 1>8 INVITE
         F8 1>9 INVITE  F9 9>1 407  F10 1>9 ACK  F11 1>9 INVITE  F13 9>1 100  F12 9>2 INVITE  F14 2>9 180  F15 9>1 180
         F16 2>9 200  F17 9>1 200  F18 1>9 ACK  F19 9>2 ACK  F20 2>9 BYE  F21 9>1 BYE  F22 1>9 200  F23 9>2 200",
    );
    world.finish();
}

#[test]
fn s3_5_session_through_a_sip_alg() {
    let mut world = World::new(10);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let (_, two) = two_proxies(&mut world);
    // Only the gateway stays on the route.
    world.relay_at(two).records = false;
    let a = world.invite(alice, through(&BOTH));
    picked_up(&mut world, bob);
    world.hang_up(alice, a);
    settle(&mut world);
    world.went(
        "F1 1>8 INVITE  F3 8>1 100  F2 8>9 INVITE  F5 9>8 100  F4 9>2 INVITE  F6 2>9 180  F7 9>8 180  F8 8>1 180  F9 2>9 200
         F10 9>8 200  F11 8>1 200  F12 1>8 ACK  F13 8>2 ACK  F14 1>8 BYE  F15 8>2 BYE  F16 2>8 200  F17 8>1 200",
    );
    world.finish();
}

#[test]
fn s3_6_session_via_redirect_and_proxy_servers_with_sdp_in_ack() {
    let mut world = World::new(11);
    let (alice, bob) = (world.phone_with(1, |config| config.redirect = Redirect::Follow(3)), world.phone(2));
    let (redirect, proxy) = (world.raw(8), world.relay(9));
    world.place(proxy, "bob", &[("sip:2@192.0.2.2", None)]);
    let a = world.invite(alice, Invite::new(origin(1), "sip:bob@192.0.2.8"));
    let (tx, request) = world.request_at(redirect);
    world.respond(redirect, tx, &request, 302, |builder| builder.header(Header::Contact, "<sip:bob@192.0.2.9>"));
    let b = rung(&mut world, bob);
    settle(&mut world);
    world.tell(bob, |core, ep, now| core.accept(ep, now, b, Reply::new().body(offer()))).unwrap();
    world.until_call(alice, a, |event| match event {
        CallEvent::Accepted { session, .. } => Some(assert_eq!(*session, Some(Meaning::Offer))),
        _ => None,
    });
    world.tell(alice, |core, ep, now| core.answer(ep, now, a, answer())).unwrap();
    world.until_call(bob, b, |event| match event {
        CallEvent::Confirmed { message: Some(message), session } => {
            Some(assert_eq!((*session, message.body()), (Some(Meaning::Answer), ANSWER)))
        }
        _ => None,
    });
    world.hang_up(bob, b);
    settle(&mut world);
    world.went(
        "F1 1>8 INVITE  F2 8>1 302  F3 1>8 ACK  F4 1>9 INVITE  F6 9>1 100  F5 9>2 INVITE  F7 2>9 180  F8 9>1 180  F9 2>9 200
         F10 9>1 200  F11 1>9 ACK  F12 9>2 ACK  F13 2>9 BYE  F14 9>1 BYE  F15 1>9 200  F16 9>2 200",
    );
    world.finish();
}

#[test]
fn s3_7_session_with_reinvite_for_a_new_address() {
    let mut world = World::new(12);
    let (alice, bob, proxy) = (world.phone(1), world.phone(2), world.relay(9));
    world.place(proxy, "bob", &[("sip:2@192.0.2.2", None)]);
    world.relay_at(proxy).records = false;
    let a = world.invite(alice, through(&BOTH[1..]));
    let b = picked_up(&mut world, bob);
    // Bob is to be found on another port from now on.
    world.net.bind(bob, sip_transaction::Transport::Udp, 5070);
    world.tell(bob, |core, _, _| core.set_contact(b, "<sip:2@192.0.2.2:5070>")).unwrap();
    world.tell(bob, |core, ep, now| core.reinvite(ep, now, b, Some(offer()), ExtraHeaders::new())).unwrap();
    world.until_call(alice, a, |event| matches!(event, CallEvent::Offer { .. }).then_some(()));
    world.tell(alice, |core, ep, now| core.answer(ep, now, a, answer())).unwrap();
    world.until_call(bob, b, |event| matches!(event, CallEvent::Answered { .. }).then_some(()));
    settle(&mut world);
    world.hang_up(alice, a);
    settle(&mut world);
    assert_eq!(world.last("BYE").request_uri_bytes(), Some(&b"sip:2@192.0.2.2:5070"[..]));
    assert!(world.net.trace().iter().any(|sent| sent.what() == "BYE" && sent.to.port() == 5070));
    world.went(
        "F1 1>9 INVITE  F3 9>1 100  F2 9>2 INVITE  F4 2>9 180  F5 9>1 180  F6 2>9 200  F7 9>1 200  F8 1>2 ACK
         F9 2>1 INVITE  F10 1>2 200  F11 2>1 ACK  F12 1>2 BYE  F13 2>1 200",
    );
    world.finish();
}

#[test]
fn s3_8_unsuccessful_no_answer() {
    let mut world = World::new(13);
    let (alice, bob) = (world.phone(1), world.phone(2));
    two_proxies(&mut world);
    let a = world.invite(alice, through(&BOTH));
    let b = rung(&mut world, bob);
    settle(&mut world);
    world.hang_up(alice, a);
    assert_eq!(world.end_of(alice, a), EndCause::Cancelled);
    assert_eq!(world.end_of(bob, b), EndCause::PeerCancelled);
    settle(&mut world);
    world.went(
        "F1 1>8 INVITE  F3 8>1 100  F2 8>9 INVITE  F5 9>8 100  F4 9>2 INVITE  F6 2>9 180  F7 9>8 180  F8 8>1 180
         F9 1>8 CANCEL  F10 8>1 200  F11 8>9 CANCEL  F12 9>8 200  F13 9>2 CANCEL  F14 2>9 200  F15 2>9 487  F16 9>2 ACK
         F17 9>8 487  F18 8>9 ACK  F19 8>1 487  F20 1>8 ACK",
    );
    world.finish();
}

/// Bob refuses, and all know it.
fn refused(world: &mut World, rings: bool, code: u16) {
    let (alice, bob) = (world.phone(1), world.phone(2));
    two_proxies(world);
    let a = world.invite(alice, through(&BOTH));
    let b = world.incoming(bob);
    if rings {
        world.tell(bob, |core, ep, now| core.progress(ep, now, b, sip_dialog::Progress::ringing())).unwrap();
        settle(world);
    }
    world.tell(bob, |core, ep, now| core.reject(ep, now, b, status(code), Reply::new())).unwrap();
    assert_eq!(world.end_of(alice, a), EndCause::PeerRejected(status(code)));
    settle(world);
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-21.4.16
//= type=test
//# Responses with this status code MUST contain a Require header field
//# listing the required extensions.
#[test]
fn who_needs_an_extension_says_which() {
    let mut world = World::new(30);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let a = world.call(alice, 1, 2);
    let b = world.incoming(bob);
    let nothing = world.tell(bob, |core, ep, now| core.reject(ep, now, b, status(421), Reply::new()));
    assert_eq!(nothing, Err(sip_dialog::CommandError::BadStatus));
    let which = Reply::new().header("Require", "100rel");
    world.tell(bob, |core, ep, now| core.reject(ep, now, b, status(421), which)).unwrap();
    assert_eq!(world.end_of(alice, a), EndCause::PeerRejected(status(421)));
    assert_eq!(world.last("421").field(Header::Require), Some(&b"100rel"[..]));
    world.finish();
}

#[test]
fn s3_9_unsuccessful_busy() {
    let mut world = World::new(14);
    refused(&mut world, false, 486);
    world.went(
        "F1 1>8 INVITE  F3 8>1 100  F2 8>9 INVITE  F5 9>8 100  F4 9>2 INVITE  F6 2>9 486  F7 9>2 ACK  F8 9>8 486  F9 8>9 ACK
         F10 8>1 486  F11 1>8 ACK",
    );
    world.finish();
}

#[test]
fn s3_10_unsuccessful_no_response_from_user_agent() {
    let mut world = World::new(15);
    let (alice, _bob) = (world.phone(1), world.phone(2));
    two_proxies(&mut world);
    world.net.set_filter(|packet| if packet.to.ip().to_string().ends_with(".2") { Fate::Lose } else { Fate::Carry });
    let a = world.invite(alice, through(&BOTH));
    assert_eq!(world.end_of(alice, a), EndCause::PeerRejected(status(480)));
    settle(&mut world);
    world.went(
        "F1 1>8 INVITE  F3 8>1 100  F2 8>9 INVITE  F5 9>8 100  F4 9>2 INVITE  F6 9>2 INVITE  F7 9>2 INVITE  F8 9>2 INVITE
         F9 9>2 INVITE  F10 9>2 INVITE  F11 9>2 INVITE  F12 9>8 480  F13 8>9 ACK  F14 8>1 480  F15 1>8 ACK",
    );
    world.finish();
}

#[test]
fn s3_11_unsuccessful_temporarily_unavailable() {
    let mut world = World::new(16);
    refused(&mut world, true, 480);
    world.went(
        "F1 1>8 INVITE  F3 8>1 100  F2 8>9 INVITE  F5 9>8 100  F4 9>2 INVITE  F6 2>9 180  F7 9>8 180  F8 8>1 180
         F9 2>9 480  F10 9>2 ACK  F11 9>8 480  F12 8>9 ACK  F13 8>1 480  F14 1>8 ACK",
    );
    world.finish();
}
