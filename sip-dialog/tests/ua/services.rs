//! The service examples of RFC 5359, by its section numbers, message by message: what user agents do in them, and what a proxy does
//! for them. `1` is Alice, `2` Bob, `3` and more those the flow names, `9` the proxy.

use crate::common::*;
use sip_dialog::sdp::{self, Direction};
use sip_dialog::{
    Body, CallEvent, CallHandle, DialogInfo, DialogPhase, DialogSource, DialogTable, EndCause, Event, ExtraHeaders,
    Invite, OutgoingRequest, Progress, Redirect, Refer, Reply, RequestEvent, Subscribe, SubscriptionEvent,
    SubscriptionId, sipfrag_replaces, sipfrag_status,
};
use sip_message::{Header, Message, Uri};
use std::time::Duration;

const PROXY: &str = "<sip:192.0.2.9;lr>";

/// A call from `192.0.2.me` to a user whom only the proxy can find.
fn through_proxy(me: u8, user: &str) -> Invite {
    Invite::new(origin(me).route(PROXY), format!("sip:{user}@biloxi.example")).body(offer())
}

/// One side changes the session and the other agrees.
fn agreed(world: &mut World, from: (sim::NodeId, CallHandle), to: (sim::NodeId, CallHandle)) {
    world.until_call(to.0, to.1, |event| matches!(event, CallEvent::Offer { .. }).then_some(()));
    world.tell(to.0, |core, ep, now| core.answer(ep, now, to.1, answer())).unwrap();
    world.until_call(from.0, from.1, |event| matches!(event, CallEvent::Answered { .. }).then_some(()));
}

/// One side holds the other, and says that it renders no media (RFC 4235 section 5.2).
fn hold(world: &mut World, from: (sim::NodeId, CallHandle), to: (sim::NodeId, CallHandle), contact: &str) {
    let held = Body::sdp(sdp::with_direction(OFFER, Direction::SendOnly).unwrap());
    world.tell(from.0, |core, _, _| core.set_contact(from.1, format!("{contact};+sip.rendering=\"no\""))).unwrap();
    world.tell(from.0, |core, ep, now| core.hold(ep, now, from.1, held)).unwrap();
    agreed(world, from, to);
    let contact = format!("{contact};+sip.rendering=\"no\"");
    assert_eq!(world.last("INVITE").field(Header::Contact), Some(contact.as_bytes()));
    assert!(world.tell(from.0, |core, _, _| core.call(from.1)).unwrap().on_hold);
    assert!(world.tell(to.0, |core, _, _| core.call(to.1)).unwrap().held);
}

fn resume(world: &mut World, from: (sim::NodeId, CallHandle), to: (sim::NodeId, CallHandle), contact: &str) {
    world.tell(from.0, |core, _, _| core.set_contact(from.1, contact)).unwrap();
    world.tell(from.0, |core, ep, now| core.resume(ep, now, from.1, offer())).unwrap();
    agreed(world, from, to);
    assert!(!world.tell(to.0, |core, _, _| core.call(to.1)).unwrap().held);
}

/// A call that comes in to take the place of another is answered; returns it and the one it replaced.
fn taken_over(world: &mut World, node: sim::NodeId) -> (CallHandle, CallHandle) {
    let (call, old) = world.until(node, |event| match event {
        Event::Call { call, event: CallEvent::Incoming { replaces, .. } } => Some((*call, replaces.unwrap())),
        _ => None,
    });
    world.accept(node, call).unwrap();
    (call, old)
}

/// The REFER that comes in outside of a call is accepted.
fn asked(world: &mut World, node: sim::NodeId) -> (SubscriptionId, Box<Message>) {
    let (sub, message) = world.until(node, |event| match event {
        Event::Subscription { subscription, event: SubscriptionEvent::Incoming { message, .. } } => {
            Some((*subscription, (*message).clone()))
        }
        _ => None,
    });
    world.tell(node, |core, ep, now| core.accept_refer(ep, now, sub)).unwrap();
    (sub, message)
}

/// The report of this status.
fn report(world: &mut World, node: sim::NodeId, sub: SubscriptionId, code: u16) -> Box<Message> {
    world.until(node, |event| match event {
        Event::Subscription { subscription, event: SubscriptionEvent::Notify { message, .. } }
            if *subscription == sub =>
        {
            let status = sipfrag_status(message.body()).map(|status| status.code());
            (status == Some(code)).then(|| (*message).clone())
        }
        _ => None,
    })
}

fn text(message: &Message, header: Header) -> String {
    String::from_utf8(message.field(header).unwrap_or_default().to_vec()).unwrap()
}

/// The phones are hung up until no call is left.
fn cleaned_up(mut world: World, calls: &[(sim::NodeId, CallHandle)]) {
    for (node, call) in calls {
        world.hang_up(*node, *call);
    }
    world.finish();
}

#[test]
fn s2_1_call_hold() {
    let mut world = World::new(1);
    let (alice, bob, proxy) = (world.phone(1), world.phone(2), world.relay(9));
    world.place(proxy, "bob", &[("sip:2@192.0.2.2", None)]);
    let a = world.invite(alice, through_proxy(1, "bob"));
    let b = picked_up(&mut world, bob);
    hold(&mut world, (bob, b), (alice, a), "<sip:2@192.0.2.2>");
    settle(&mut world);
    resume(&mut world, (bob, b), (alice, a), "<sip:2@192.0.2.2>");
    settle(&mut world);
    world.hang_up(alice, a);
    assert_eq!(world.end_of(bob, b), EndCause::PeerHungUp);
    settle(&mut world);
    world.went(
        "F1 1>9 INVITE  F3 9>1 100  F2 9>2 INVITE  F4 2>9 180  F5 9>1 180  F6 2>9 200  F7 9>1 200  F8 1>9 ACK  F9 9>2 ACK
         F10 2>9 INVITE  F11 9>1 INVITE  F12 1>9 200  F13 9>2 200  F14 2>9 ACK  F15 9>1 ACK
         F16 2>9 INVITE  F17 9>1 INVITE  F18 1>9 200  F19 9>2 200  F20 2>9 ACK  F21 9>1 ACK
         F22 1>9 BYE  F23 9>2 BYE  F24 2>9 200  F25 9>1 200",
    );
    world.finish();
}

#[test]
fn s2_2_consultation_hold() {
    let mut world = World::new(2);
    let (alice, bob, carol, proxy) = (world.phone(1), world.phone(2), world.phone(3), world.relay(9));
    world.place(proxy, "bob", &[("sip:2@192.0.2.2", None)]);
    world.place(proxy, "carol", &[("sip:3@192.0.2.3", None)]);
    let a = world.invite(alice, through_proxy(1, "bob"));
    let b = picked_up(&mut world, bob);
    hold(&mut world, (bob, b), (alice, a), "<sip:2@192.0.2.2>");
    settle(&mut world);
    let consulted = world.invite(bob, through_proxy(2, "carol"));
    let c = picked_up(&mut world, carol);
    world.hang_up(bob, consulted);
    assert_eq!(world.end_of(carol, c), EndCause::PeerHungUp);
    settle(&mut world);
    resume(&mut world, (bob, b), (alice, a), "<sip:2@192.0.2.2>");
    settle(&mut world);
    world.hang_up(alice, a);
    settle(&mut world);
    world.went(
        "F1 1>9 INVITE  F3 9>1 100  F2 9>2 INVITE  F4 2>9 180  F5 9>1 180  F6 2>9 200  F7 9>1 200  F8 1>9 ACK  F9 9>2 ACK
         F10 2>9 INVITE  F11 9>1 INVITE  F12 1>9 200  F13 9>2 200  F14 2>9 ACK  F15 9>1 ACK
         F16 2>9 INVITE  F18 9>2 100  F17 9>3 INVITE  F19 3>9 180  F20 9>2 180  F21 3>9 200  F22 9>2 200  F23 2>9 ACK  F24 9>3 ACK
         F25 2>9 BYE  F26 9>3 BYE  F27 3>9 200  F28 9>2 200
         F29 2>9 INVITE  F30 9>1 INVITE  F31 1>9 200  F32 9>2 200  F33 2>9 ACK  F34 9>1 ACK
         F35 1>9 BYE  F36 9>2 BYE  F37 2>9 200  F38 9>1 200",
    );
    world.finish();
}

/// A call from Alice to Bob.
fn direct(world: &mut World, alice: sim::NodeId, bob: sim::NodeId) -> (CallHandle, CallHandle) {
    let a = world.call(alice, 1, 2);
    (a, picked_up(world, bob))
}

/// Bob sends his peer in `call` to the server `3`, which takes the call over. Returns the server's call and the report.
fn sent_to_server(
    world: &mut World,
    [bob, server, alice]: [sim::NodeId; 3],
    call: CallHandle,
) -> (CallHandle, CallHandle, Box<Message>) {
    let target = world.tell(bob, |core, _, _| core.attended_target(call)).unwrap();
    let refer = Refer::new(target).referred_by("<sip:2@192.0.2.2>");
    let who = origin(2);
    let sub = world.tell(bob, |core, ep, now| core.refer_outside(ep, now, &who, "sip:3@192.0.2.3", refer)).unwrap();
    let (reports, message) = asked(world, server);
    let automaton = origin(3).contact("<sip:3@192.0.2.3>;automaton;+sip.byeless;+sip.rendering=\"no\"");
    let invite = Invite::of_refer(automaton, &message).unwrap().body(offer()).for_refer(reports).reporting_dialog();
    let music = world.invite(server, invite);
    let (heard, old) = taken_over(world, alice);
    assert_eq!(world.end_of(alice, old), EndCause::Replaced);
    let done = report(world, bob, sub, 200);
    (music, heard, done)
}

#[test]
fn s2_3_music_on_hold() {
    let mut world = World::new(3);
    let (alice, bob, server) = (world.phone(1), world.phone(2), world.phone(3));
    let (a, b) = direct(&mut world, alice, bob);
    hold(&mut world, (bob, b), (alice, a), "<sip:2@192.0.2.2>");
    let (music, _, done) = sent_to_server(&mut world, [bob, server, alice], b);
    assert_eq!(world.end_of(bob, b), EndCause::PeerHungUp);
    settle(&mut world);
    let invite = world.last("INVITE");
    assert!(text(&invite, Header::Contact).contains(";automaton;+sip.byeless"));
    assert!(text(&invite, Header::Replaces).contains(";to-tag="));
    assert_eq!(text(&done, Header::SubscriptionState), "terminated;reason=noresource");
    // Bob fetches her back: the report has told which dialog to replace.
    let (uri, replaces) = sipfrag_replaces(done.body()).unwrap();
    let back = world.invite(bob, Invite::new(origin(2), uri).body(offer()).header("Replaces", replaces));
    let (a, heard) = taken_over(&mut world, alice);
    assert_eq!(world.end_of(alice, heard), EndCause::Replaced);
    assert_eq!(world.end_of(server, music), EndCause::PeerHungUp);
    settle(&mut world);
    world.went(
        "F1 1>2 INVITE  F2 2>1 180  F3 2>1 200  F4 1>2 ACK  F5 2>1 INVITE  F6 1>2 200  F7 2>1 ACK
         F8 2>3 REFER  F9 3>2 202  F10 3>2 NOTIFY  F12 3>1 INVITE  F11 2>3 200  F13 1>3 200  F15 1>2 BYE
         F17 3>2 NOTIFY  F14 3>1 ACK  F16 2>1 200  F18 2>3 200
         F19 2>1 INVITE  F20 1>2 200  F22 1>3 BYE  F21 2>1 ACK  F23 3>1 200",
    );
    cleaned_up(world, &[(alice, a)]);
    let _ = back;
}

#[test]
fn s2_4_transfer_unattended() {
    let mut world = World::new(4);
    let (alice, bob, carol) = (world.phone(1), world.phone(2), world.phone(3));
    let b = world.call(bob, 2, 1);
    let a = picked_up(&mut world, alice);
    let refer = Refer::new("sip:3@192.0.2.3").referred_by("<sip:1@192.0.2.1>");
    let sub = world.tell(alice, |core, ep, now| core.refer(ep, now, a, refer)).unwrap();
    let (reports, message) = world.until_call(bob, b, |event| match event {
        CallEvent::Refer { subscription, message } => Some((*subscription, (*message).clone())),
        _ => None,
    });
    world.tell(bob, |core, ep, now| core.accept_refer(ep, now, reports)).unwrap();
    report(&mut world, alice, sub, 100);
    // The call goes; the dialog stays until the last report.
    world.hang_up(alice, a);
    assert_eq!(world.end_of(bob, b), EndCause::PeerHungUp);
    settle(&mut world);
    let new = world.invite(bob, Invite::of_refer(origin(2), &message).unwrap().body(offer()).for_refer(reports));
    let c = picked_up(&mut world, carol);
    settle(&mut world);
    assert_eq!(text(&world.last("INVITE"), Header::ReferredBy), "<sip:1@192.0.2.1>");
    let last = world.last("NOTIFY");
    assert_eq!(text(&last, Header::SubscriptionState), "terminated;reason=noresource");
    assert_eq!(sipfrag_status(last.body()), Some(status(200)));
    assert_eq!(last.call_id().unwrap(), world.last("REFER").call_id().unwrap());
    // The 180 is reported too, which the flow leaves out.
    world.went(
        "F1 2>1 INVITE  F2 1>2 180  F3 1>2 200  F4 2>1 ACK
         F5 1>2 REFER  F6 2>1 202  F7 2>1 NOTIFY  F8 1>2 200  F9 1>2 BYE  F10 2>1 200
         F11 2>3 INVITE  F12 3>2 180  2>1 NOTIFY  1>2 200  F13 3>2 200  F15 2>1 NOTIFY  F14 2>3 ACK  F16 1>2 200",
    );
    cleaned_up(world, &[(bob, new)]);
    let _ = c;
}

#[test]
fn s2_5_transfer_attended() {
    let mut world = World::new(5);
    let (alice, bob, carol) = (world.phone(1), world.phone(2), world.phone(3));
    let (a, b) = direct(&mut world, alice, bob);
    hold(&mut world, (bob, b), (alice, a), "<sip:2@192.0.2.2>");
    let b2 = world.call(bob, 2, 3);
    let c = picked_up(&mut world, carol);
    hold(&mut world, (bob, b2), (carol, c), "<sip:2@192.0.2.2>");
    let sub = world.tell(bob, |core, ep, now| core.transfer_to(ep, now, b, b2)).unwrap();
    let (reports, message) = world.until_call(alice, a, |event| match event {
        CallEvent::Refer { subscription, message } => Some((*subscription, (*message).clone())),
        _ => None,
    });
    assert!(text(&message, Header::ReferTo).starts_with("<sip:3@192.0.2.3?Replaces="));
    world.tell(alice, |core, ep, now| core.accept_refer(ep, now, reports)).unwrap();
    report(&mut world, bob, sub, 100);
    settle(&mut world);
    let new = world.invite(alice, Invite::of_refer(origin(1), &message).unwrap().body(offer()).for_refer(reports));
    let (_, old) = taken_over(&mut world, carol);
    assert_eq!(old, c);
    report(&mut world, bob, sub, 200);
    assert_eq!(world.end_of(bob, b2), EndCause::PeerHungUp);
    settle(&mut world);
    world.hang_up(bob, b);
    assert_eq!(world.end_of(alice, a), EndCause::PeerHungUp);
    settle(&mut world);
    world.went(
        "F1 1>2 INVITE  F2 2>1 180  F3 2>1 200  F4 1>2 ACK  F5 2>1 INVITE  F6 1>2 200  F7 2>1 ACK
         F8 2>3 INVITE  F9 3>2 180  F10 3>2 200  F11 2>3 ACK  F12 2>3 INVITE  F13 3>2 200  F14 2>3 ACK
         F15 2>1 REFER  F16 1>2 202  F17 1>2 NOTIFY  F18 2>1 200  F19 1>3 INVITE  F20 3>1 200  F22 3>2 BYE
         F24 1>2 NOTIFY  F21 1>3 ACK  F23 2>3 200  F25 2>1 200  F26 2>1 BYE  F27 1>2 200",
    );
    cleaned_up(world, &[(alice, new)]);
}

#[test]
fn s2_6_transfer_by_instant_message() {
    let mut world = World::new(6);
    let (alice, bob, carol) = (world.phone(1), world.phone(2), world.phone(3));
    let (a, b) = direct(&mut world, alice, bob);
    let uri = world.tell(bob, |core, _, _| core.attended_target(b)).unwrap();
    let text = OutgoingRequest::message(origin(2), "sip:3@192.0.2.3", Body::new("text/plain", uri));
    world.tell(bob, |core, ep, now| core.request(ep, now, text)).unwrap();
    let (request, message) = world.until(carol, |event| match event {
        Event::Request { request, event: RequestEvent::Incoming { message, .. } } => {
            Some((*request, (*message).clone()))
        }
        _ => None,
    });
    world.tell(carol, |core, ep, now| core.respond(ep, now, request, status(200), Reply::new())).unwrap();
    settle(&mut world);
    // Carol clicks on it.
    let uri = Uri::parse(message.body()).unwrap();
    let c = world.invite(carol, Invite::of_uri(origin(3), &uri).unwrap().body(offer()));
    let (_, old) = taken_over(&mut world, alice);
    assert_eq!(old, a);
    assert_eq!(world.end_of(bob, b), EndCause::PeerHungUp);
    settle(&mut world);
    world.went(
        "F1 1>2 INVITE  F2 2>1 180  F3 2>1 200  F4 1>2 ACK  F5 2>3 MESSAGE  F6 3>2 200
         F7 3>1 INVITE  F8 1>3 200  F10 1>2 BYE  F9 3>1 ACK  F11 2>1 200",
    );
    cleaned_up(world, &[(carol, c)]);
}

/// Each provisional response that the caller is told of, by its status.
fn told(world: &World, node: sim::NodeId) -> Vec<u16> {
    let progress = |happened: &Happened| match &happened.event {
        Event::Call { event: CallEvent::Progress { message, .. }, .. } if happened.node == node => {
            message.status().map(|status| status.code())
        }
        _ => None,
    };
    world.log.iter().filter_map(progress).collect()
}

#[test]
fn s2_7_call_forwarding_unconditional() {
    let mut world = World::new(7);
    let (alice, gateway, proxy) = (world.phone(1), world.phone(3), world.relay(9));
    world.place(proxy, "bob", &[("sip:+19727293660@192.0.2.3", None)]);
    world.relay_at(proxy).says_forwarded = true;
    let a = world.invite(alice, through_proxy(1, "bob"));
    let g = picked_up(&mut world, gateway);
    world.hang_up(alice, a);
    assert_eq!(world.end_of(gateway, g), EndCause::PeerHungUp);
    settle(&mut world);
    assert_eq!(told(&world, alice), [181, 180]);
    world.went(
        "F1 1>9 INVITE  F2 9>1 100  F3 9>1 181  F4 9>3 INVITE  F5 3>9 180  F6 9>1 180  F7 3>9 200  F8 9>1 200  F9 1>9 ACK
         F10 9>3 ACK  F11 1>9 BYE  F12 9>3 BYE  F13 3>9 200  F14 9>1 200",
    );
    world.finish();
}

/// The same by a redirection, which the section mentions.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.3.4
//= type=test
//# Finally, once the new request has been constructed, it is sent using a
//# new client transaction, and therefore MUST have a new branch ID in the
//# top Via field as discussed in Section 8.1.1.7.
//= https://www.rfc-editor.org/rfc/rfc3261#section-21.3.3
//= type=test
//# If there is no explicit expiration time, the address is only valid once
//# for recursing, and MUST NOT be cached for future transactions.
#[test]
fn s2_7_call_forwarding_unconditional_by_redirection() {
    let mut world = World::new(8);
    let (alice, bob, gateway) =
        (world.phone_with(1, |config| config.redirect = Redirect::Follow(3)), world.phone(2), world.phone(3));
    let a = world.call(alice, 1, 2);
    let b = world.incoming(bob);
    let reply = Reply::new().header("Contact", "<sip:+19727293660@192.0.2.3>");
    world.tell(bob, |core, ep, now| core.reject(ep, now, b, status(302), reply)).unwrap();
    picked_up(&mut world, gateway);
    world.went("1>2 INVITE  2>1 302  1>2 ACK  1>3 INVITE  3>1 180  3>1 200  1>3 ACK");
    assert_eq!(world.end_of(bob, b), EndCause::Redirected);
    let branches: Vec<_> = world
        .messages()
        .iter()
        .filter(|message| message.method() == Some(sip_message::Method::Invite))
        .map(|message| message.top_via().unwrap().branch().unwrap().unwrap().to_owned())
        .collect();
    assert_ne!(branches[0], branches[1]);
    // The next call does not know of it.
    world.hang_up(alice, a);
    let again = world.call(alice, 1, 2);
    let b = world.incoming(bob);
    world.tell(bob, |core, ep, now| core.reject(ep, now, b, status(486), Reply::new())).unwrap();
    assert_eq!(world.end_of(alice, again), EndCause::PeerRejected(status(486)));
    world.finish();
}

#[test]
fn s2_8_call_forwarding_busy() {
    let mut world = World::new(9);
    let (alice, b1, b2, proxy) = (world.phone(1), world.phone(2), world.phone(3), world.relay(9));
    world.place(proxy, "bob", &[("sip:2@192.0.2.2", None), ("sip:3@192.0.2.3", None)]);
    world.relay_at(proxy).says_forwarded = true;
    let a = world.invite(alice, through_proxy(1, "bob"));
    let busy = world.incoming(b1);
    world.tell(b1, |core, ep, now| core.reject(ep, now, busy, status(486), Reply::new())).unwrap();
    let b = picked_up(&mut world, b2);
    world.hang_up(alice, a);
    assert_eq!(world.end_of(b2, b), EndCause::PeerHungUp);
    settle(&mut world);
    assert_eq!(told(&world, alice), [181, 180]);
    world.went(
        "F1 1>9 INVITE  F3 9>1 100  F2 9>2 INVITE  F4 2>9 486  F5 9>2 ACK  F6 9>1 181  F7 9>3 INVITE  F8 3>9 180  F9 9>1 180
         F10 3>9 200  F11 9>1 200  F12 1>9 ACK  F13 9>3 ACK  F14 1>9 BYE  F15 9>3 BYE  F16 3>9 200  F17 9>1 200",
    );
    world.finish();
}

#[test]
fn s2_9_call_forwarding_no_answer() {
    let mut world = World::new(10);
    let (alice, b1, b2, proxy) = (world.phone(1), world.phone(2), world.phone(3), world.relay(9));
    world.place(proxy, "bob", &[("sip:2@192.0.2.2", Some(Duration::from_secs(15))), ("sip:3@192.0.2.3", None)]);
    world.relay_at(proxy).says_forwarded = true;
    let a = world.invite(alice, through_proxy(1, "bob"));
    let rang = rung(&mut world, b1);
    let b = picked_up(&mut world, b2);
    assert_eq!(world.end_of(b1, rang), EndCause::PeerCancelled);
    world.hang_up(alice, a);
    assert_eq!(world.end_of(b2, b), EndCause::PeerHungUp);
    settle(&mut world);
    assert_eq!(told(&world, alice), [180, 181, 180]);
    world.went(
        "F1 1>9 INVITE  F2 9>1 100  F3 9>2 INVITE  F4 2>9 180  F5 9>1 180  F6 9>2 CANCEL  F7 2>9 200  F8 2>9 487  F9 9>2 ACK
         F10 9>1 181  F11 9>3 INVITE  F12 3>9 180  F13 9>1 180  F14 3>9 200  F15 9>1 200  F16 1>9 ACK  F17 9>3 ACK
         F18 1>9 BYE  F19 9>3 BYE  F20 3>9 200  F21 9>1 200",
    );
    world.finish();
}

const FOCUS: &str = "<sip:conf@192.0.2.2>;isfocus";

#[test]
fn s2_10_three_way_conference_third_party_is_added() {
    let mut world = World::new(11);
    let (alice, bob, carol) = (world.phone(1), world.phone(2), world.phone(3));
    let (a, b) = direct(&mut world, alice, bob);
    world.tell(bob, |core, _, _| core.set_contact(b, FOCUS)).unwrap();
    world.tell(bob, |core, ep, now| core.reinvite(ep, now, b, Some(offer()), ExtraHeaders::new())).unwrap();
    agreed(&mut world, (bob, b), (alice, a));
    let reinvite = world.last("INVITE");
    let b2 = world.invite(bob, Invite::new(origin(2).contact(FOCUS), "sip:3@192.0.2.3").body(offer()));
    let c = picked_up(&mut world, carol);
    world.went(
        "F1 1>2 INVITE  F2 2>1 180  F3 2>1 200  F4 1>2 ACK  F5 2>1 INVITE  F6 1>2 200  F7 2>1 ACK  F8 2>3 INVITE  F9 3>2 180
         F10 3>2 200  F11 2>3 ACK",
    );
    for invite in [reinvite, world.last("INVITE")] {
        assert_eq!(text(&invite, Header::Contact), FOCUS);
    }
    // Both legs end at the mixer.
    for (node, call) in [(alice, a), (carol, c)] {
        let target = world.tell(node, |core, _, _| {
            let dialog = core.call(call).unwrap().dialog.unwrap();
            core.dialog(dialog).unwrap().remote_target().to_owned()
        });
        assert_eq!(target, "sip:conf@192.0.2.2");
    }
    cleaned_up(world, &[(bob, b), (bob, b2)]);
}

#[test]
fn s2_11_three_way_conference_third_party_joins() {
    let mut world = World::new(12);
    let (alice, bob, carol) = (world.phone(1), world.phone(2), world.phone(3));
    let (a, b) = direct(&mut world, alice, bob);
    // As a NOTIFY of the dialog package would have told her.
    let known = world.tell(bob, |core, _, _| core.dialog_states());
    let join = known[0].join().unwrap();
    let c = world.invite(carol, Invite::new(origin(3), "sip:2@192.0.2.2").body(offer()).header("Join", join));
    let (b2, joins) = world.until(bob, |event| match event {
        Event::Call { call, event: CallEvent::Incoming { joins, replaces: None, .. } } => Some((*call, *joins)),
        _ => None,
    });
    assert_eq!(joins, Some(b));
    world.tell(bob, |core, ep, now| core.progress(ep, now, b2, Progress::ringing())).unwrap();
    world.until_call(carol, c, |event| matches!(event, CallEvent::Progress { .. }).then_some(()));
    world.tell(bob, |core, _, _| core.set_contact(b, FOCUS)).unwrap();
    world.tell(bob, |core, _, _| core.set_contact(b2, FOCUS)).unwrap();
    world.tell(bob, |core, ep, now| core.reinvite(ep, now, b, Some(offer()), ExtraHeaders::new())).unwrap();
    agreed(&mut world, (bob, b), (alice, a));
    settle(&mut world);
    world.accept(bob, b2).unwrap();
    world.until_confirmed(bob, b2);
    assert_eq!(text(&world.last("200"), Header::Contact), FOCUS);
    world.went(
        "F1 1>2 INVITE  F2 2>1 180  F3 2>1 200  F4 1>2 ACK  F5 3>2 INVITE  F6 2>3 180  F7 2>1 INVITE  F8 1>2 200  F9 2>1 ACK
         F10 2>3 200  F11 3>2 ACK",
    );
    cleaned_up(world, &[(bob, b), (bob, b2)]);
}

#[test]
fn s2_12_find_me() {
    let mut world = World::new(13);
    let (alice, proxy) = (world.phone(1), world.relay(9));
    let [b1, b2, b3, b4] = [2, 3, 4, 5].map(|n| world.phone(n));
    world.place(
        proxy,
        "bob",
        &[
            ("sip:2@192.0.2.2", Some(Duration::from_secs(10))),
            ("sip:3@192.0.2.3", None),
            ("sip:4@192.0.2.4", None),
            ("sip:5@192.0.2.5", None),
        ],
    );
    let a = world.invite(alice, through_proxy(1, "bob"));
    let rang = rung(&mut world, b1);
    for (node, code) in [(b2, 480), (b3, 486)] {
        let call = world.incoming(node);
        world.tell(node, |core, ep, now| core.reject(ep, now, call, status(code), Reply::new())).unwrap();
    }
    let found = picked_up(&mut world, b4);
    assert_eq!(world.end_of(b1, rang), EndCause::PeerCancelled);
    world.hang_up(b4, found);
    assert_eq!(world.end_of(alice, a), EndCause::PeerHungUp);
    settle(&mut world);
    world.went(
        "F1 1>9 INVITE  F3 9>1 100  F2 9>2 INVITE  F4 2>9 180  F5 9>1 180  F6 9>2 CANCEL  F7 2>9 200  F8 2>9 487  F9 9>2 ACK
         F10 9>3 INVITE  F11 3>9 480  F12 9>3 ACK  F13 9>4 INVITE  F14 4>9 486  F15 9>4 ACK  F16 9>5 INVITE  F17 5>9 180
         F18 9>1 180  F19 5>9 200  F20 9>1 200  F21 1>9 ACK  F22 9>5 ACK  F23 5>9 BYE  F24 9>1 BYE  F25 1>9 200  F26 9>5 200",
    );
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-21.3.4
//= type=test
//# 305 (Use Proxy) responses MUST only be generated by UASs.
//= https://www.rfc-editor.org/rfc/rfc3261#section-21.3.4
//= type=test
//# The requested resource MUST be accessed through the proxy given by the
//# Contact field.
#[test]
fn s2_13_incoming_call_screening() {
    let mut world = World::new(14);
    let alice = world.phone_with(1, |config| config.redirect = Redirect::Follow(3));
    let (bob, announcer, proxy) = (world.phone(2), world.phone(3), world.raw(9));
    world.tell(alice, |core, _, _| core.add_credentials(password("biloxi")));
    let a = world.call(alice, 1, 2);
    let b = world.incoming(bob);
    let through = Reply::new().header("Contact", "<sip:192.0.2.9>");
    world.tell(bob, |core, ep, now| core.reject(ep, now, b, status(305), through)).unwrap();
    let (tx, request) = world.request_at(proxy);
    // The same request, through the proxy.
    assert_eq!(request.request_uri_bytes(), Some(&b"sip:2@192.0.2.2"[..]));
    assert_eq!(text(&request, Header::Route), "<sip:192.0.2.9;lr>");
    assert_eq!(request.call_id().unwrap(), world.last("305").call_id().unwrap());
    assert_eq!(request.cseq().unwrap().number, world.last("305").cseq().unwrap().number + 1);
    world.respond(proxy, tx, &request, 407, |builder| {
        builder.header(Header::ProxyAuthenticate, "Digest realm=\"biloxi\", nonce=\"n\", qop=\"auth\"")
    });
    let (tx, request) = world.request_at(proxy);
    assert!(request.has(Header::ProxyAuthorization));
    world.respond(proxy, tx, &request, 403, |builder| builder.header(Header::ErrorInfo, "<sip:fail@192.0.2.3>"));
    let refused = world.until_call(alice, a, |event| match event {
        CallEvent::Ended { cause: EndCause::PeerRejected(_), message, .. } => message.as_ref().map(|m| (*m).clone()),
        _ => None,
    });
    settle(&mut world);
    // Alice listens to what the refusal names.
    let uri = text(&refused, Header::ErrorInfo);
    let uri = uri.trim_start_matches('<').trim_end_matches('>');
    let a = world.invite(alice, Invite::new(origin(1), uri).body(offer()));
    let played = world.incoming(announcer);
    world.accept(announcer, played).unwrap();
    world.until_confirmed(announcer, played);
    world.hang_up(announcer, played);
    assert_eq!(world.end_of(alice, a), EndCause::PeerHungUp);
    settle(&mut world);
    world.went(
        "F1 1>2 INVITE  F2 2>1 305  F3 1>2 ACK  F4 1>9 INVITE  F5 9>1 407  F6 1>9 ACK  F7 1>9 INVITE  F8 9>1 403  F9 1>9 ACK
         F10 1>3 INVITE  F11 3>1 200  F12 1>3 ACK  F13 3>1 BYE  F14 1>3 200",
    );
    world.finish();
}

#[test]
fn each_proxy_that_a_305_names_is_tried_without_the_one_before() {
    let mut world = World::new(17);
    let alice = world.phone_with(1, |config| config.redirect = Redirect::Follow(3));
    let (bob, first, second) = (world.raw(2), world.raw(8), world.raw(9));
    let a = world.call(alice, 1, 2);
    let (tx, request) = world.request_at(bob);
    world.respond(bob, tx, &request, 305, |builder| {
        builder.header(Header::Contact, "<sip:192.0.2.8;LR=on>;q=0.9, <sip:a;lr;@192.0.2.9>;q=0.1")
    });
    let (tx, request) = world.request_at(first);
    assert_eq!(text(&request, Header::Route), "<sip:192.0.2.8;LR=on>");
    world.respond(first, tx, &request, 503, |builder| builder);
    let (tx, request) = world.request_at(second);
    assert_eq!(request.fields(Header::Route).collect::<Vec<_>>(), [b"<sip:a;lr;@192.0.2.9;lr>"]);
    world.respond(second, tx, &request, 403, |builder| builder);
    assert_eq!(world.end_of(alice, a), EndCause::PeerRejected(status(403)));
    settle(&mut world);
    world.finish();
}

#[test]
fn s2_14_outgoing_call_screening() {
    let mut world = World::new(15);
    let (alice, proxy) = (world.phone(1), world.raw(9));
    world.tell(alice, |core, _, _| core.add_credentials(password("atlanta")));
    let a = world.invite(alice, through_proxy(1, "bob"));
    let (tx, request) = world.request_at(proxy);
    world.respond(proxy, tx, &request, 407, |builder| {
        builder.header(Header::ProxyAuthenticate, "Digest realm=\"atlanta\", nonce=\"n\", qop=\"auth\"")
    });
    let (tx, request) = world.request_at(proxy);
    world.respond(proxy, tx, &request, 403, |builder| builder);
    assert_eq!(world.end_of(alice, a), EndCause::PeerRejected(status(403)));
    settle(&mut world);
    world.went("F1 1>9 INVITE  F2 9>1 407  F3 1>9 ACK  F4 1>9 INVITE  F5 9>1 403  F6 1>9 ACK");
    world.finish();
}

/// A phone that tells who wants to know what calls it has.
struct Told {
    node: sim::NodeId,
    source: DialogSource,
    seen: usize,
}

impl Told {
    fn new(node: sim::NodeId, n: u8) -> Self {
        Told { node, source: DialogSource::new(format!("sip:{n}@192.0.2.{n}")), seen: 0 }
    }

    /// Runs for a while, and answers and notifies as it goes.
    fn run(&mut self, world: &mut World) {
        for _ in 0..30 {
            world.run_for(Duration::from_millis(5));
            while let Some(happened) = world.log.get(self.seen) {
                self.seen += 1;
                if happened.node != self.node {
                    continue;
                }
                let (event, source) = (happened.event.clone(), &mut self.source);
                world.tell(self.node, |core, ep, now| match &event {
                    Event::Subscription { subscription, event: SubscriptionEvent::Incoming { message, .. } }
                        if DialogSource::wants(message) =>
                    {
                        source.accept(core, ep, now, *subscription).unwrap();
                    }
                    event => source.handle(core, ep, now, event),
                });
            }
        }
    }
}

/// What the notifications that have come to a subscriber say.
fn table(world: &World, node: sim::NodeId, sub: SubscriptionId) -> DialogTable {
    let mut table = DialogTable::new();
    for happened in world.log.iter().filter(|happened| happened.node == node) {
        if let Event::Subscription { subscription, event: SubscriptionEvent::Notify { message, .. } } = &happened.event
        {
            if *subscription == sub {
                assert_eq!(text(message, Header::ContentType), "application/dialog-info+xml");
                table.apply(DialogInfo::parse(message.body()).unwrap());
            }
        }
    }
    table
}

fn watch(world: &mut World, node: sim::NodeId, me: u8, of: u8, expires: u32) -> SubscriptionId {
    let subscribe = Subscribe::new(origin(me), format!("sip:{of}@192.0.2.{of}"), "dialog")
        .accept("application/dialog-info+xml")
        .expires(expires);
    world.tell(node, |core, ep, now| core.subscribe(ep, now, subscribe)).unwrap()
}

fn dialogs(config: &mut sip_dialog::UserAgentConfig) {
    config.packages.push("dialog".into());
}

/// Who watches a telephone hears that the peer of its call has moved: where to send a call that takes it over.
#[test]
fn a_watcher_hears_where_the_peer_has_moved() {
    let mut world = World::new(19);
    let (alice, carol) = (world.phone(1), world.phone(3));
    let bob = world.phone_with(2, dialogs);
    let mut told = Told::new(bob, 2);
    let (ours, theirs) = world.established(alice, bob, 1, 2);
    let sub = watch(&mut world, carol, 3, 2, 600);
    told.run(&mut world);
    let target = |world: &World| table(world, carol, sub).dialogs().next().unwrap().remote.target.clone();
    assert_eq!(target(&world), "sip:1@192.0.2.1");
    let contact = Some("<sip:moved@192.0.2.1>".to_owned());
    world.tell(alice, |core, ep, now| core.rebind(ep, now, ours, None, contact)).unwrap();
    told.run(&mut world);
    let moved = |event: &Event| matches!(event, Event::Call { call, event: CallEvent::PeerMoved } if *call == theirs);
    assert_eq!(world.log.iter().filter(|happened| happened.node == bob && moved(&happened.event)).count(), 1);
    assert_eq!(target(&world), "sip:moved@192.0.2.1");
    world.tell(carol, |core, ep, now| core.unsubscribe(ep, now, sub)).unwrap();
    told.run(&mut world);
    world.hang_up(bob, theirs);
    assert_eq!(world.end_of(alice, ours), EndCause::PeerHungUp);
    world.finish();
}

#[test]
fn s2_15_call_park() {
    let mut world = World::new(16);
    let (alice, bob, carol) = (world.phone(1), world.phone(2), world.phone(4));
    let park = world.phone_with(3, dialogs);
    let mut told = Told::new(park, 3);
    let (_, b) = direct(&mut world, alice, bob);
    let (parked, _, _) = sent_to_server(&mut world, [bob, park, alice], b);
    settle(&mut world);
    // Carol asks the park server once what is there, and takes it.
    told.seen = world.log.len();
    let sub = watch(&mut world, carol, 4, 3, 0);
    told.run(&mut world);
    let table = table(&world, carol, sub);
    let state = table.dialogs().next().unwrap();
    assert_eq!((state.phase, state.remote.target.as_str()), (DialogPhase::Confirmed, "sip:1@192.0.2.1"));
    let replaces = state.replaces(false).unwrap();
    let c =
        world.invite(carol, Invite::new(origin(4), &state.remote.target).body(offer()).header("Replaces", replaces));
    let (_, old) = taken_over(&mut world, alice);
    assert_eq!(world.end_of(alice, old), EndCause::Replaced);
    assert_eq!(world.end_of(park, parked), EndCause::PeerHungUp);
    settle(&mut world);
    world.went(
        "F1 1>2 INVITE  F2 2>1 180  F3 2>1 200  F4 1>2 ACK  F5 2>3 REFER  F6 3>2 202  F7 3>2 NOTIFY  F9 3>1 INVITE  F8 2>3 200
         F10 1>3 200  F12 1>2 BYE  F14 3>2 NOTIFY  F11 3>1 ACK  F13 2>1 200  F15 2>3 200
         F16 4>3 SUBSCRIBE  F17 3>4 200  F18 3>4 NOTIFY  F19 4>3 200
         F20 4>1 INVITE  F21 1>4 200  F23 1>3 BYE  F22 4>1 ACK  F24 3>1 200",
    );
    cleaned_up(world, &[(carol, c)]);
}

#[test]
fn s2_16_call_pickup() {
    let mut world = World::new(17);
    let (alice, bill) = (world.phone(1), world.phone(3));
    let bob = world.phone_with(2, dialogs);
    let mut told = Told::new(bob, 2);
    let a = world.call(alice, 1, 2);
    let b = rung(&mut world, bob);
    settle(&mut world);
    let sub = watch(&mut world, bill, 3, 2, 0);
    told.run(&mut world);
    let known = table(&world, bill, sub);
    let state = known.dialogs().next().unwrap();
    assert_eq!((state.phase, state.initiator), (DialogPhase::Early, Some(false)));
    let replaces = state.replaces(true).unwrap();
    let invite = Invite::new(origin(3), &state.remote.target).body(offer()).header("Replaces", replaces);
    let c = world.invite(bill, invite);
    let (taken, old) = taken_over(&mut world, alice);
    assert_eq!(old, a);
    assert_eq!(world.end_of(alice, a), EndCause::Replaced);
    assert_eq!(world.end_of(bob, b), EndCause::PeerCancelled);
    settle(&mut world);
    world.hang_up(alice, taken);
    assert_eq!(world.end_of(bill, c), EndCause::PeerHungUp);
    settle(&mut world);
    world.went(
        "F1 1>2 INVITE  F2 2>1 180  F3 3>2 SUBSCRIBE  F4 2>3 200  F5 2>3 NOTIFY  F6 3>2 200
         F7 3>1 INVITE  F8 1>3 200  F9 1>2 CANCEL  F13 3>1 ACK  F10 2>1 200  F11 2>1 487  F12 1>2 ACK  F14 1>3 BYE  F15 3>1 200",
    );
    world.finish();
}

#[test]
fn s2_16_call_pickup_comes_too_late_for_early_only() {
    let mut world = World::new(18);
    let (alice, bob, bill) = (world.phone(1), world.phone(2), world.phone(3));
    let a = world.call(alice, 1, 2);
    let b = rung(&mut world, bob);
    settle(&mut world);
    let state = world.tell(bob, |core, _, _| core.dialog_states()).remove(0);
    world.accept(bob, b).unwrap();
    world.until_confirmed(bob, b);
    let invite =
        Invite::new(origin(3), "sip:1@192.0.2.1").body(offer()).header("Replaces", state.replaces(true).unwrap());
    let c = world.invite(bill, invite);
    assert_eq!(world.end_of(bill, c), EndCause::PeerRejected(status(486)));
    assert!(world.tell(alice, |core, _, _| core.call(a)).is_some(), "the call that was matched goes on");
    cleaned_up(world, &[(alice, a)]);
}

#[test]
fn s2_17_automatic_redial() {
    let mut world = World::new(19);
    let (alice, carol) = (world.phone(1), world.phone(3));
    let bob = world.phone_with(2, dialogs);
    let mut told = Told::new(bob, 2);
    // Bob talks to somebody, in a call of which this flow shows nothing.
    let (other, _) = world.established(carol, bob, 3, 2);
    told.run(&mut world);
    world.net.clear_trace();
    let a = world.call(alice, 1, 2);
    let b = world.incoming(bob);
    world.tell(bob, |core, ep, now| core.reject(ep, now, b, status(486), Reply::new())).unwrap();
    assert_eq!(world.end_of(alice, a), EndCause::PeerRejected(status(486)));
    told.run(&mut world);
    let sub = watch(&mut world, alice, 1, 2, 600);
    told.run(&mut world);
    assert!(!table(&world, alice, sub).is_idle(), "busy");
    world.hang_up(carol, other);
    told.run(&mut world);
    assert!(table(&world, alice, sub).is_idle(), "free now");
    let a = world.call(alice, 1, 2);
    told.run(&mut world);
    let b = rung(&mut world, bob);
    told.run(&mut world);
    world.accept(bob, b).unwrap();
    told.run(&mut world);
    let known = table(&world, alice, sub);
    assert_eq!(known.dialogs().map(|state| state.phase).collect::<Vec<_>>(), [DialogPhase::Confirmed]);
    world.tell(alice, |core, ep, now| core.unsubscribe(ep, now, sub)).unwrap();
    told.run(&mut world);
    assert_eq!(told.source.watchers(), 0);
    // Bob's phone tells each step of the new call, where the flow has one NOTIFY, F14.
    let between: Vec<_> = world.sent().into_iter().filter(|what| !what.contains('3')).collect();
    assert_eq!(
        between.join("  "),
        "1>2 INVITE  2>1 486  1>2 ACK  1>2 SUBSCRIBE  2>1 200  2>1 NOTIFY  1>2 200  2>1 NOTIFY  1>2 200  1>2 INVITE  2>1 NOTIFY  \
         1>2 200  2>1 180  2>1 200  2>1 NOTIFY  1>2 ACK  1>2 200  1>2 SUBSCRIBE  2>1 200  2>1 NOTIFY  1>2 200"
    );
    cleaned_up(world, &[(alice, a)]);
}

#[test]
fn s2_18_click_to_dial() {
    let mut world = World::new(20);
    let (pc, bob, carol) = (world.phone(1), world.phone(2), world.phone(3));
    let refer = Refer::new("sip:3@192.0.2.3").without_reports().referred_by("<sip:1@192.0.2.1>");
    let who = origin(1);
    let sub = world.tell(pc, |core, ep, now| core.refer_outside(ep, now, &who, "sip:2@192.0.2.2", refer)).unwrap();
    let (asked, message) = asked(&mut world, bob);
    world.until(pc, |event| match event {
        Event::Subscription { subscription, event: SubscriptionEvent::Ended { cause, .. } } if *subscription == sub => {
            Some(assert_eq!(*cause, sip_dialog::SubscriptionEnd::Suppressed))
        }
        _ => None,
    });
    let b = world.invite(bob, Invite::of_refer(origin(2), &message).unwrap().body(offer()).for_refer(asked));
    picked_up(&mut world, carol);
    assert_eq!(text(&world.last("202"), Header::ReferSub), "false");
    assert_eq!(text(&world.last("INVITE"), Header::ReferredBy), "<sip:1@192.0.2.1>");
    world.went("F1 1>2 REFER  F2 2>1 202  F3 2>3 INVITE  F4 3>2 180  F5 3>2 200  F6 2>3 ACK");
    cleaned_up(world, &[(bob, b)]);
}
