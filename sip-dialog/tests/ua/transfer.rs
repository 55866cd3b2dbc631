//! Transfer (RFC 3515, RFC 5589), Replaces (RFC 3891), and calls that change their flow.

use crate::common::*;
use sip_dialog::{
    CallEvent, CallHandle, EndCause, Event, Invite, Refer, Reply, SubscriptionEnd, SubscriptionEvent, SubscriptionId,
    sipfrag_status,
};
use sip_message::{Header, Message, Method};
use std::time::Duration;

fn referred(world: &mut World, node: sim::NodeId, call: CallHandle) -> (SubscriptionId, Box<Message>) {
    world.until_call(node, call, |event| match event {
        CallEvent::Refer { subscription, message } => Some((*subscription, message.clone())),
        _ => None,
    })
}

fn reported(world: &mut World, node: sim::NodeId, id: SubscriptionId, code: u16) {
    world.until(node, |event| match event {
        Event::Subscription { subscription, event: SubscriptionEvent::Notify { message, .. } }
            if *subscription == id =>
        {
            (sipfrag_status(message.body()).map(|status| status.code()) == Some(code)).then_some(())
        }
        _ => None,
    });
}

/// Unattended. Bob transfers Alice to Carol.
//= https://www.rfc-editor.org/rfc/rfc3515#section-2.4.2
//= type=test
//# If a REFER request is accepted (that is, a 2xx class response is
//# returned), the recipient MUST create a subscription and send
//# notifications of the status of the refer as described in Section 2.4.4.
//= https://www.rfc-editor.org/rfc/rfc3515#section-2.4.2
//= type=test
//# If approval is granted, the UA MUST contact the resource identified by
//# the URI in the Refer-To header field value as discussed in Section
//# 2.4.3.
//= https://www.rfc-editor.org/rfc/rfc3515#section-2.4.4
//= type=test
//# Each NOTIFY MUST contain a body of type "message/sipfrag" [3].
//= https://www.rfc-editor.org/rfc/rfc3515#section-2.4.5
//= type=test
//# The body of a NOTIFY MUST begin with a SIP Response Status-Line as
//# defined in [1].
//= https://www.rfc-editor.org/rfc/rfc3892#section-2.2
//= type=test
//# A UA accepting a REFER request (a referee) to a SIP URI (using either
//# the sip: or sips: scheme) MUST copy any Referred-By header field value
//= https://www.rfc-editor.org/rfc/rfc3515#section-2
//= type=test
//# REFER creates a dialog, and MAY be Record-Routed, hence MUST contain a
//# single Contact header field value.
//= https://www.rfc-editor.org/rfc/rfc3515#section-2
//= type=test
//# REFERs occurring inside an existing dialog MUST follow the
//# Route/Record-Route logic of that dialog.
//= https://www.rfc-editor.org/rfc/rfc3515#section-2.4.1
//= type=test
//# A REFER request MUST contain exactly one Refer-To header field value.
//= https://www.rfc-editor.org/rfc/rfc3515#section-2.4.2
//= type=test
//# If no final response has been generated according to the rules above,
//# the UA MUST return a 202 Accepted response before the REFER transaction
//# expires.
//= https://www.rfc-editor.org/rfc/rfc3515#section-2.4.4
//= type=test
//# The NOTIFY mechanism defined in [2] MUST be used to inform the agent
//# sending the REFER of the status of the reference.
//= https://www.rfc-editor.org/rfc/rfc3515#section-2.4.4
//= type=test
//# Each NOTIFY MUST contain an Event header field with a value of refer and
//# possibly an id parameter (see Section 2.4.6).
//= https://www.rfc-editor.org/rfc/rfc3515#section-2.4.5
//= type=test
//# Each NOTIFY MUST contain a body of type "message/sipfrag" [3].
//= https://www.rfc-editor.org/rfc/rfc3515#section-2.4.7
//= type=test
//# The final NOTIFY sent in response to a REFER MUST indicate the
//# subscription has been "terminated" with a reason of "noresource".
#[test]
fn blind() {
    let mut world = World::new(1);
    let (alice, bob, carol) = (world.phone(1), world.phone(2), world.phone(3));
    let (a, b) = world.established(alice, bob, 1, 2);
    let refer = Refer::new("sip:3@192.0.2.3").referred_by("<sip:2@192.0.2.2>");
    let transfer = world.tell(bob, |core, ep, now| core.refer(ep, now, b, refer)).unwrap();
    let (sub, message) = referred(&mut world, alice, a);
    world.tell(alice, |core, ep, now| core.accept_refer(ep, now, sub)).unwrap();
    reported(&mut world, bob, transfer, 100);
    let new = Invite::of_refer(origin(1), &message).unwrap().body(offer()).for_refer(sub);
    let new = world.invite(alice, new);
    let c = world.incoming(carol);
    assert_eq!(world.last("INVITE").field(Header::ReferredBy), Some(&b"<sip:2@192.0.2.2>"[..]));
    world.tell(carol, |core, ep, now| core.progress(ep, now, c, sip_dialog::Progress::ringing())).unwrap();
    reported(&mut world, bob, transfer, 180);
    world.accept(carol, c).unwrap();
    reported(&mut world, bob, transfer, 200);
    world.hang_up(bob, b);
    assert_eq!(world.end_of(alice, a), EndCause::PeerHungUp);
    world.hang_up(carol, c);
    assert_eq!(world.end_of(alice, new), EndCause::PeerHungUp);
    world.finish();
}

/// The target is busy, and the transferor learns it.
#[test]
fn blind_and_refused() {
    let mut world = World::new(2);
    let (alice, bob, carol) = (world.phone(1), world.phone(2), world.phone(3));
    let (a, b) = world.established(alice, bob, 1, 2);
    let transfer = world.tell(bob, |core, ep, now| core.refer(ep, now, b, Refer::new("sip:3@192.0.2.3"))).unwrap();
    let (sub, message) = referred(&mut world, alice, a);
    world.tell(alice, |core, ep, now| core.accept_refer(ep, now, sub)).unwrap();
    let new = world.invite(alice, Invite::of_refer(origin(1), &message).unwrap().body(offer()).for_refer(sub));
    let c = world.incoming(carol);
    world.tell(carol, |core, ep, now| core.reject(ep, now, c, status(486), Reply::new())).unwrap();
    reported(&mut world, bob, transfer, 486);
    assert_eq!(world.end_of(alice, new), EndCause::PeerRejected(status(486)));
    // The call between the two goes on.
    world.hang_up(bob, b);
    assert_eq!(world.end_of(alice, a), EndCause::PeerHungUp);
    world.finish();
}

/// Attended, with the target's call replaced.
//= https://www.rfc-editor.org/rfc/rfc3891#section-3
//= type=test
//# If the UA cannot accept the new INVITE (for example: it cannot establish
//# required QoS or keying, or it has incompatible media), the UA MUST
//# return an appropriate error response and MUST leave the matched dialog
//# unchanged.
#[test]
fn attended() {
    let mut world = World::new(3);
    let (alice, bob, carol) = (world.phone(1), world.phone(2), world.phone(3));
    let (a, b) = world.established(alice, bob, 1, 2);
    let (b2, c) = world.established(bob, carol, 2, 3);
    let transfer = world.tell(bob, |core, ep, now| core.transfer_to(ep, now, b, b2)).unwrap();
    let (sub, message) = referred(&mut world, alice, a);
    world.tell(alice, |core, ep, now| core.accept_refer(ep, now, sub)).unwrap();
    let new = world.invite(alice, Invite::of_refer(origin(1), &message).unwrap().body(offer()).for_refer(sub));
    let (c2, replaces) = world.until(carol, |event| match event {
        Event::Call { call, event: CallEvent::Incoming { replaces, .. } } => Some((*call, *replaces)),
        _ => None,
    });
    assert_eq!(replaces, Some(c));
    world.accept(carol, c2).unwrap();
    assert_eq!(world.end_of(carol, c), EndCause::Replaced);
    assert_eq!(world.end_of(bob, b2), EndCause::PeerHungUp);
    reported(&mut world, bob, transfer, 200);
    world.hang_up(bob, b);
    assert_eq!(world.end_of(alice, a), EndCause::PeerHungUp);
    world.hang_up(alice, new);
    assert_eq!(world.end_of(carol, c2), EndCause::PeerHungUp);
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc4488#section-4
//= type=test
//# If the REFER-Recipient supports the extension and is willing to process
//# the REFER transaction without establishing an implicit subscription, it
//# MUST insert the "Refer-Sub" header field set to "false" in the 2xx
//# response to the REFER-Issuer.
#[test]
fn without_reports() {
    let mut world = World::new(4);
    let (alice, bob, carol) = (world.phone(1), world.phone(2), world.phone(3));
    let (a, b) = world.established(alice, bob, 1, 2);
    let refer = Refer::new("sip:3@192.0.2.3").without_reports();
    let transfer = world.tell(bob, |core, ep, now| core.refer(ep, now, b, refer)).unwrap();
    let (sub, message) = referred(&mut world, alice, a);
    world.tell(alice, |core, ep, now| core.accept_refer(ep, now, sub)).unwrap();
    world.until(bob, |event| match event {
        Event::Subscription { subscription, event: SubscriptionEvent::Ended { cause, .. } }
            if *subscription == transfer =>
        {
            Some(assert_eq!(*cause, SubscriptionEnd::Suppressed))
        }
        _ => None,
    });
    let new = world.invite(alice, Invite::of_refer(origin(1), &message).unwrap().body(offer()).for_refer(sub));
    let c = world.incoming(carol);
    world.accept(carol, c).unwrap();
    world.until_confirmed(carol, c);
    assert!(!world.sent().iter().any(|what| what.ends_with("NOTIFY")));
    world.hang_up(bob, b);
    world.hang_up(alice, new);
    assert_eq!(world.end_of(alice, a), EndCause::PeerHungUp);
    world.finish();
}

#[test]
fn declined_and_outside_of_a_call() {
    let mut world = World::new(5);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let (a, b) = world.established(alice, bob, 1, 2);
    let transfer = world.tell(bob, |core, ep, now| core.refer(ep, now, b, Refer::new("sip:3@192.0.2.3"))).unwrap();
    let (sub, _) = referred(&mut world, alice, a);
    world.tell(alice, |core, ep, now| core.reject_subscription(ep, now, sub, status(603), Reply::new())).unwrap();
    world.until(bob, |event| match event {
        Event::Subscription { subscription, event: SubscriptionEvent::Ended { cause, .. } }
            if *subscription == transfer =>
        {
            Some(assert_eq!(*cause, SubscriptionEnd::Refused(status(603))))
        }
        _ => None,
    });
    world.hang_up(bob, b);
    world.end_of(alice, a);
    let who = origin(2);
    let outside = world
        .tell(bob, |core, ep, now| core.refer_outside(ep, now, &who, "sip:1@192.0.2.1", Refer::new("sip:3@192.0.2.3")));
    let outside = outside.unwrap();
    let sub = world.until(alice, |event| match event {
        Event::Subscription { subscription, event: SubscriptionEvent::Incoming { .. } } => Some(*subscription),
        _ => None,
    });
    world.tell(alice, |core, ep, now| core.accept_refer(ep, now, sub)).unwrap();
    reported(&mut world, bob, outside, 100);
    world.tell(alice, |core, ep, now| core.report(ep, now, sub, status(200))).unwrap();
    reported(&mut world, bob, outside, 200);
    world.finish();
}

/// RFC 5359 section 2.16 (call park, pickup) lives off this: an early dialog taken over by its own caller's friend.
#[test]
fn only_what_may_be_replaced_is() {
    let mut world = World::new(6);
    let (alice, bob, carol) = (world.phone(1), world.phone(2), world.phone(3));
    // Bob rings for Alice; Carol may not take over what Bob has not begun.
    let ours = world.call(alice, 1, 2);
    let theirs = world.incoming(bob);
    world.tell(bob, |core, ep, now| core.progress(ep, now, theirs, sip_dialog::Progress::ringing())).unwrap();
    let dialog = world.until_call(alice, ours, |event| match event {
        CallEvent::Progress { dialog, .. } => *dialog,
        _ => None,
    });
    let replaces = |world: &mut World, from_alice: bool, more: &str| {
        world.tell(alice, |core, _, _| {
            let dialog = core.dialog(dialog).unwrap();
            let (to, from) = if from_alice {
                (dialog.local_tag(), dialog.remote_tag())
            } else {
                (dialog.remote_tag(), dialog.local_tag())
            };
            format!("{};to-tag={to};from-tag={from}{more}", dialog.call_id())
        })
    };
    let value = replaces(&mut world, false, "");
    let steal = world.invite(carol, invite(3, 2).body(offer()).header("Replaces", value));
    assert_eq!(world.end_of(carol, steal), EndCause::PeerRejected(status(481)));
    // But Alice began it, and may be asked to let Carol have it.
    let value = replaces(&mut world, true, ";early-only");
    let pick_up = world.invite(carol, invite(3, 1).body(offer()).header("Replaces", value));
    let c = world.until(alice, |event| match event {
        Event::Call { call, event: CallEvent::Incoming { replaces, .. } } => {
            assert_eq!(*replaces, Some(ours));
            Some(*call)
        }
        _ => None,
    });
    world.accept(alice, c).unwrap();
    assert_eq!(world.end_of(alice, ours), EndCause::Replaced);
    assert_eq!(world.end_of(bob, theirs), EndCause::PeerCancelled);
    world.until_confirmed(alice, c);
    world.hang_up(carol, pick_up);
    assert_eq!(world.end_of(alice, c), EndCause::PeerHungUp);
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3515#section-2.4.6
//= type=test
//# Thus, for the second and subsequent REFER requests a UA receives in a
//# given dialog, it MUST include an id parameter[2] in the Event header
//# field of each NOTIFY containing the sequence number (the number from the
//# CSeq header field value) of the REFER this NOTIFY is associated with.
//= https://www.rfc-editor.org/rfc/rfc3515#section-2.4.6
//= type=test
//# A SUBSCRIBE sent to refresh or terminate this subscription MUST contain
//# this id parameter.
#[test]
fn the_second_refer_of_a_dialog_has_an_id() {
    let mut world = World::new(20);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let (a, b) = world.established(alice, bob, 1, 2);
    let mut transfers = Vec::new();
    for n in 3..5 {
        let refer = Refer::new(format!("sip:{n}@192.0.2.{n}"));
        let transfer = world.tell(bob, |core, ep, now| core.refer(ep, now, b, refer)).unwrap();
        let (sub, message) = referred(&mut world, alice, a);
        world.tell(alice, |core, ep, now| core.accept_refer(ep, now, sub)).unwrap();
        reported(&mut world, bob, transfer, 100);
        transfers.push((transfer, sub, message.cseq().unwrap().number));
    }
    let event = |message: &Message| String::from_utf8(message.field(Header::Event).unwrap().to_vec()).unwrap();
    let second = format!("refer;id={}", transfers[1].2);
    assert_eq!(event(&world.last("NOTIFY")), second);
    // What ends or refreshes that one says which it is.
    world.tell(bob, |core, ep, now| core.unsubscribe(ep, now, transfers[1].0)).unwrap();
    world.run_for(Duration::from_secs(1));
    assert_eq!(event(&world.last("SUBSCRIBE")), second);
    world.tell(alice, |core, ep, now| core.report(ep, now, transfers[0].1, status(603))).unwrap();
    world.hang_up(bob, b);
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3515#section-2.4.4
//= type=test
//# Analogous to the case for SUBSCRIBE described in that document, the
//# agent that issued the REFER MUST be prepared to receive a NOTIFY before
//# the REFER transaction completes.
#[test]
fn a_report_may_come_before_the_refer_is_answered() {
    let mut world = World::new(21);
    let (bob, raw) = (world.phone(2), world.raw(1));
    let who = origin(2);
    let refer = Refer::new("sip:3@192.0.2.3");
    let transfer =
        world.tell(bob, |core, ep, now| core.refer_outside(ep, now, &who, "sip:1@192.0.2.1", refer)).unwrap();
    let (tx, request) = world.request_at(raw);
    let from = request.from().unwrap().tag().unwrap().unwrap().to_owned();
    let notify = Message::request(Method::Notify, "sip:2@192.0.2.2")
        .header(Header::From, "<sip:1@192.0.2.1>;tag=raw")
        .header(Header::To, format!("<sip:2@192.0.2.2>;tag={from}"))
        .header(Header::CallId, request.call_id().unwrap())
        .cseq(1)
        .header(Header::Contact, "<sip:1@192.0.2.1>")
        .header(Header::Event, "refer")
        .header(Header::SubscriptionState, "active;expires=60")
        .body("message/sipfrag", "SIP/2.0 100 Trying\r\n")
        .build()
        .unwrap();
    let sent = world.send(raw, notify);
    assert_eq!(world.final_of(raw, sent).status(), Some(status(200)));
    reported(&mut world, bob, transfer, 100);
    world.respond(raw, tx, &request, 202, |builder| builder.header(Header::Contact, "<sip:1@192.0.2.1>"));
    world.until(bob, |event| match event {
        Event::Subscription { subscription, event: SubscriptionEvent::Accepted { .. } } => {
            Some(assert_eq!(*subscription, transfer))
        }
        _ => None,
    });
    world.tell(bob, |core, ep, now| core.unsubscribe(ep, now, transfer)).unwrap();
    let (tx, last) = world.request_at(raw);
    assert_eq!(last.field(Header::Expires), Some(&b"0"[..]));
    world.respond(raw, tx, &last, 481, |builder| builder);
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3892#section-2.1
//= type=test
//# A REFER request MUST NOT contain more than one Referred-By header field
//# value.
#[test]
fn a_refer_names_one_referrer_at_most() {
    let mut world = World::new(22);
    let (bob, raw) = (world.phone(2), world.raw(1));
    let cases: [(&[&str], u16); 7] = [
        (&["<sip:a@192.0.2.1>, <sip:b@192.0.2.1>"], 400),
        (&["sip:a@192.0.2.1, sip:b@192.0.2.1"], 400),
        (&["sip:a@192.0.2.1,sip:b@192.0.2.1"], 400),
        (&["<sip:a@192.0.2.1>;cid=\"x@y\",<sip:b@192.0.2.1>"], 400),
        (&["<sip:a@192.0.2.1>", "<sip:b@192.0.2.1>"], 400),
        (&["\"A, B\" <sip:a,b@192.0.2.1>;cid=\"x@y\""], 202),
        (&["sip:a@192.0.2.1"], 202),
    ];
    for (n, (values, code)) in cases.into_iter().enumerate() {
        let refer = Message::request(Method::Refer, "sip:2@192.0.2.2")
            .header(Header::From, format!("<sip:1@192.0.2.1>;tag={n}"))
            .header(Header::To, "<sip:2@192.0.2.2>")
            .header(Header::CallId, format!("refer{n}"))
            .cseq(1)
            .header(Header::Contact, "<sip:1@192.0.2.1>")
            .header(Header::ReferTo, "<sip:3@192.0.2.3>");
        // The builder makes no such thing.
        let mut text = String::from_utf8(refer.build().unwrap().to_bytes().to_vec()).unwrap();
        for value in values {
            let line = format!("\r\nReferred-By: {value}");
            text.insert_str(text.find("\r\n").unwrap(), &line);
        }
        let sent = world.send(raw, Message::parse(text.into_bytes().into()).unwrap());
        if code == 202 {
            let id = world.until(bob, |event| match event {
                Event::Subscription { subscription, event: SubscriptionEvent::Incoming { .. } } => Some(*subscription),
                _ => None,
            });
            world.tell(bob, |core, ep, now| core.accept_refer(ep, now, id)).unwrap();
            let (tx, notify) = world.request_at(raw);
            world.respond(raw, tx, &notify, 200, |builder| builder);
            world.tell(bob, |core, ep, now| core.report(ep, now, id, status(200))).unwrap();
            let (tx, notify) = world.request_at(raw);
            world.respond(raw, tx, &notify, 200, |builder| builder);
        }
        assert_eq!(world.final_of(raw, sent).status(), Some(status(code)), "{values:?}");
    }
    world.finish();
}
