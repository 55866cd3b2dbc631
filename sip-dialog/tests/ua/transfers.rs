//! The transfers of RFC 5589, by its section numbers, message by message. `1` is the transferor, `2` the transferee, `3` the target,
//! `9` a proxy.

use crate::common::*;
use sip_dialog::sdp::{self, Direction};
use sip_dialog::{
    Body, CallEvent, CallHandle, EndCause, Event, Invite, OutgoingRequest, Refer, Reply, RequestEvent, Subscribe,
    SubscriptionEnd, SubscriptionEvent, SubscriptionId, sipfrag_status,
};
use sip_message::{Header, Message};

type End = (sim::NodeId, CallHandle);

fn agreed(world: &mut World, from: End, to: End) {
    world.until_call(to.0, to.1, |event| matches!(event, CallEvent::Offer { .. }).then_some(()));
    world.tell(to.0, |core, ep, now| core.answer(ep, now, to.1, answer())).unwrap();
    world.until_call(from.0, from.1, |event| matches!(event, CallEvent::Answered { .. }).then_some(()));
    settle(world);
}

fn hold(world: &mut World, from: End, to: End) {
    let held = Body::sdp(sdp::with_direction(OFFER, Direction::SendOnly).unwrap());
    world.tell(from.0, |core, ep, now| core.hold(ep, now, from.1, held)).unwrap();
    agreed(world, from, to);
}

/// The transferee has called the transferor, who holds it now.
fn held(world: &mut World, [transferor, transferee]: [sim::NodeId; 2]) -> (CallHandle, CallHandle) {
    let theirs = world.call(transferee, 2, 1);
    let ours = picked_up(world, transferor);
    hold(world, (transferor, ours), (transferee, theirs));
    (ours, theirs)
}

/// A REFER in a dialog of its own, which names that of the call.
fn refer_beside(world: &mut World, from: End, to: &str, target: &str) -> SubscriptionId {
    let named = world.tell(from.0, |core, _, _| core.target_dialog(from.1)).unwrap();
    let refer = Refer::new(target).header("Target-Dialog", named);
    let who = origin(1);
    world.tell(from.0, |core, ep, now| core.refer_outside(ep, now, &who, to, refer)).unwrap()
}

/// The REFER that has come in beside a call is accepted: it names that call.
fn accepted(world: &mut World, node: sim::NodeId, names: Option<CallHandle>) -> (SubscriptionId, Box<Message>) {
    let (sub, message) = world.until(node, |event| match event {
        Event::Subscription { subscription, event: SubscriptionEvent::Incoming { message, .. } } => {
            Some((*subscription, (*message).clone()))
        }
        _ => None,
    });
    assert_eq!(world.tell(node, |core, _, _| core.target_call(&message)), names);
    world.tell(node, |core, ep, now| core.accept_refer(ep, now, sub)).unwrap();
    (sub, message)
}

/// A REFER in a call is accepted.
fn accepted_inside(world: &mut World, node: sim::NodeId, call: CallHandle) -> (SubscriptionId, Box<Message>) {
    let (sub, message) = world.until_call(node, call, |event| match event {
        CallEvent::Refer { subscription, message } => Some((*subscription, (*message).clone())),
        _ => None,
    });
    world.tell(node, |core, ep, now| core.accept_refer(ep, now, sub)).unwrap();
    (sub, message)
}

fn report(world: &mut World, node: sim::NodeId, sub: SubscriptionId, code: u16) {
    world.rewind();
    world.until(node, |event| match event {
        Event::Subscription { subscription, event: SubscriptionEvent::Notify { message, .. } }
            if *subscription == sub =>
        {
            (sipfrag_status(message.body()) == Some(status(code))).then_some(())
        }
        _ => None,
    });
}

fn refused(world: &mut World, node: sim::NodeId, sub: SubscriptionId) -> SubscriptionEnd {
    world.until(node, |event| match event {
        Event::Subscription { subscription, event: SubscriptionEvent::Ended { cause, .. } } if *subscription == sub => {
            Some(*cause)
        }
        _ => None,
    })
}

/// The call a REFER asks for.
fn referred(world: &mut World, node: sim::NodeId, me: u8, reports: SubscriptionId, refer: &Message) -> CallHandle {
    world.invite(node, Invite::of_refer(origin(me), refer).unwrap().body(offer()).for_refer(reports))
}

fn answered(world: &mut World, node: sim::NodeId) -> CallHandle {
    let call = world.incoming(node);
    world.accept(node, call).unwrap();
    world.until_confirmed(node, call);
    call
}

const BEGIN: &str = "2>1 INVITE  1>2 180  1>2 200  2>1 ACK  1>2 INVITE  2>1 200  1>2 ACK";

//= https://www.rfc-editor.org/rfc/rfc4538#section-3
//= type=test
//# The "remote-tag" header field parameter MUST be
//# present and MUST contain the tag that would be viewed as the remote
//= https://www.rfc-editor.org/rfc/rfc4538#section-4
//= type=test
//# If the dialog identifiers don't match, or if they don't contain both
//# a "remote-tag" and "local-tag" parameter, the header field MUST be
//# ignored, and authorization MAY be determined by other means.
#[test]
fn s6_1_successful_transfer() {
    let mut world = World::new(1);
    let [one, two, three] = [1, 2, 3].map(|n| world.phone(n));
    let (ours, theirs) = held(&mut world, [one, two]);
    let sub = refer_beside(&mut world, (one, ours), "sip:2@192.0.2.2", "sip:3@192.0.2.3");
    let (reports, refer) = accepted(&mut world, two, Some(theirs));
    // What names a dialog by halves, or another, names none.
    let mut other = refer.clone();
    let value = String::from_utf8(refer.field(Header::TargetDialog).unwrap().to_vec()).unwrap();
    for wrong in [value.split(";local-tag").next().unwrap(), "elsewhere;remote-tag=a;local-tag=b"] {
        other.set(Header::TargetDialog, wrong).unwrap();
        assert_eq!(world.tell(two, |core, _, _| core.target_call(&other)), None);
    }
    report(&mut world, one, sub, 100);
    let new = referred(&mut world, two, 2, reports, &refer);
    let target = answered(&mut world, three);
    report(&mut world, one, sub, 200);
    settle(&mut world);
    world.hang_up(one, ours);
    assert_eq!(world.end_of(two, theirs), EndCause::PeerHungUp);
    settle(&mut world);
    world.hang_up(three, target);
    assert_eq!(world.end_of(two, new), EndCause::PeerHungUp);
    settle(&mut world);
    world.went(&format!(
        "{BEGIN}  1>2 REFER  2>1 202  2>1 NOTIFY  1>2 200  2>3 INVITE  3>2 200  2>1 NOTIFY  2>3 ACK  1>2 200
         1>2 BYE  2>1 200  3>2 BYE  2>3 200"
    ));
    let [invite, refer] = ["INVITE", "REFER"].map(|what| world.last(what).call_id().unwrap().to_owned());
    assert_ne!(invite, refer);
    world.finish();
}

#[test]
fn s6_2_transfer_with_dialog_reuse() {
    let mut world = World::new(2);
    let [one, two, three] = [1, 2, 3].map(|n| world.phone(n));
    let (ours, theirs) = held(&mut world, [one, two]);
    let sub = world.tell(one, |core, ep, now| core.refer(ep, now, ours, Refer::new("sip:3@192.0.2.3"))).unwrap();
    let (reports, refer) = accepted_inside(&mut world, two, theirs);
    report(&mut world, one, sub, 100);
    // The call ends here, and its dialog with the last report.
    world.hang_up(one, ours);
    assert_eq!(world.end_of(two, theirs), EndCause::PeerHungUp);
    settle(&mut world);
    let new = referred(&mut world, two, 2, reports, &refer);
    let target = answered(&mut world, three);
    report(&mut world, one, sub, 200);
    settle(&mut world);
    world.hang_up(three, target);
    assert_eq!(world.end_of(two, new), EndCause::PeerHungUp);
    settle(&mut world);
    world.went(&format!(
        "{BEGIN}  1>2 REFER  2>1 202  2>1 NOTIFY  1>2 200  1>2 BYE  2>1 200  2>3 INVITE  3>2 200  2>1 NOTIFY  2>3 ACK  1>2 200
         3>2 BYE  2>3 200"
    ));
    world.finish();
}

/// The transferor takes the transferee back and hangs up.
fn taken_back(world: &mut World, from: End, to: End) {
    world.tell(from.0, |core, ep, now| core.resume(ep, now, from.1, offer())).unwrap();
    agreed(world, from, to);
    world.hang_up(from.0, from.1);
    assert_eq!(world.end_of(to.0, to.1), EndCause::PeerHungUp);
    settle(world);
}

#[test]
fn s6_3_1_failed_transfer_target_busy() {
    let mut world = World::new(3);
    let [one, two, three] = [1, 2, 3].map(|n| world.phone(n));
    let (ours, theirs) = held(&mut world, [one, two]);
    let sub = refer_beside(&mut world, (one, ours), "sip:2@192.0.2.2", "sip:3@192.0.2.3");
    let (reports, refer) = accepted(&mut world, two, Some(theirs));
    settle(&mut world);
    referred(&mut world, two, 2, reports, &refer);
    let busy = world.incoming(three);
    world.tell(three, |core, ep, now| core.reject(ep, now, busy, status(486), Reply::new())).unwrap();
    report(&mut world, one, sub, 486);
    settle(&mut world);
    taken_back(&mut world, (one, ours), (two, theirs));
    world.went(&format!(
        "{BEGIN}  1>2 REFER  2>1 202  2>1 NOTIFY  1>2 200  2>3 INVITE  3>2 486  2>3 ACK  2>1 NOTIFY  1>2 200
         1>2 INVITE  2>1 200  1>2 ACK  1>2 BYE  2>1 200"
    ));
    world.finish();
}

#[test]
fn s6_3_2_failed_transfer_target_does_not_answer() {
    let mut world = World::new(4);
    let [one, two, three] = [1, 2, 3].map(|n| world.phone(n));
    let (ours, theirs) = held(&mut world, [one, two]);
    let sub = refer_beside(&mut world, (one, ours), "sip:2@192.0.2.2", "sip:3@192.0.2.3");
    let (reports, refer) = accepted(&mut world, two, Some(theirs));
    settle(&mut world);
    let new = referred(&mut world, two, 2, reports, &refer);
    let rings = rung(&mut world, three);
    settle(&mut world);
    // The transferee gets tired of waiting.
    world.hang_up(two, new);
    assert_eq!(world.end_of(three, rings), EndCause::PeerCancelled);
    report(&mut world, one, sub, 487);
    settle(&mut world);
    taken_back(&mut world, (one, ours), (two, theirs));
    world.went(&format!(
        "{BEGIN}  1>2 REFER  2>1 202  2>1 NOTIFY  1>2 200  2>3 INVITE  3>2 180  2>1 NOTIFY  1>2 200
         2>3 CANCEL  3>2 200  3>2 487  2>3 ACK  2>1 NOTIFY  1>2 200  1>2 INVITE  2>1 200  1>2 ACK  1>2 BYE  2>1 200"
    ));
    world.finish();
}

/// The transferor talks to the target.
fn consulted(world: &mut World, one: sim::NodeId, three: sim::NodeId) -> (CallHandle, CallHandle) {
    let ours = world.call(one, 1, 3);
    let theirs = answered(world, three);
    settle(world);
    (ours, theirs)
}

/// The transferor has asked the target, and holds both.
fn consulting(seed: u64) -> (World, [sim::NodeId; 3], (CallHandle, CallHandle), (CallHandle, CallHandle)) {
    let mut world = World::new(seed);
    let nodes = [1, 2, 3].map(|n| world.phone(n));
    let [one, two, three] = nodes;
    let held = held(&mut world, [one, two]);
    let (asks, asked) = consulted(&mut world, one, three);
    hold(&mut world, (one, asks), (three, asked));
    (world, nodes, held, (asks, asked))
}

#[test]
fn s7_1_consultation_hold_exposing_transfer_target() {
    let mut world = World::new(5);
    let [one, two, three] = [1, 2, 3].map(|n| world.phone(n));
    let (ours, theirs) = held(&mut world, [one, two]);
    let (asks, _) = consulted(&mut world, one, three);
    world.hang_up(one, asks);
    settle(&mut world);
    let sub = refer_beside(&mut world, (one, ours), "sip:2@192.0.2.2", "sip:3@192.0.2.3");
    let (reports, refer) = accepted(&mut world, two, Some(theirs));
    settle(&mut world);
    let new = referred(&mut world, two, 2, reports, &refer);
    let target = answered(&mut world, three);
    report(&mut world, one, sub, 200);
    settle(&mut world);
    world.hang_up(one, ours);
    settle(&mut world);
    world.hang_up(three, target);
    assert_eq!(world.end_of(two, new), EndCause::PeerHungUp);
    settle(&mut world);
    world.went(&format!(
        "{BEGIN}  1>3 INVITE  3>1 200  1>3 ACK  1>3 BYE  3>1 200  1>2 REFER  2>1 202  2>1 NOTIFY  1>2 200
         2>3 INVITE  3>2 200  2>1 NOTIFY  2>3 ACK  1>2 200  1>2 BYE  2>1 200  3>2 BYE  2>3 200"
    ));
    world.finish();
}

/// The target calls the transferee, in the place of the transferor.
fn called_back(
    world: &mut World,
    [one, two, three]: [sim::NodeId; 3],
    ours: CallHandle,
    asks: CallHandle,
) -> CallHandle {
    let target = world.tell(one, |core, _, _| core.attended_target(ours)).unwrap();
    let sub = refer_beside(world, (one, asks), "sip:3@192.0.2.3", &target);
    let names = world.log.iter().rev().find_map(|happened| match happened.event {
        Event::Call { call, event: CallEvent::Confirmed { .. } } if happened.node == three => Some(call),
        _ => None,
    });
    let (reports, refer) = accepted(world, three, names);
    settle(world);
    let new = referred(world, three, 3, reports, &refer);
    answered(world, two);
    report(world, one, sub, 200);
    settle(world);
    new
}

#[test]
fn s7_2_consultation_hold_protecting_transfer_target() {
    let (mut world, [one, two, three], (ours, theirs), (asks, _)) = consulting(6);
    let new = called_back(&mut world, [one, two, three], ours, asks);
    assert_eq!(world.end_of(two, theirs), EndCause::Replaced);
    assert_eq!(world.end_of(one, ours), EndCause::PeerHungUp);
    world.hang_up(one, asks);
    settle(&mut world);
    world.hang_up(three, new);
    settle(&mut world);
    world.went(&format!(
        "{BEGIN}  1>3 INVITE  3>1 200  1>3 ACK  1>3 INVITE  3>1 200  1>3 ACK  1>3 REFER  3>1 202  3>1 NOTIFY  1>3 200
         3>2 INVITE  2>3 200  2>1 BYE  3>1 NOTIFY  3>2 ACK  1>2 200  1>3 200  1>3 BYE  3>1 200  3>2 BYE  2>3 200"
    ));
    world.finish();
}

#[test]
fn s7_3_attended_transfer() {
    let (mut world, [one, two, three], (ours, theirs), (asks, asked)) = consulting(7);
    let target = world.tell(one, |core, _, _| core.attended_target(asks)).unwrap();
    let sub = refer_beside(&mut world, (one, ours), "sip:2@192.0.2.2", &target);
    let (reports, refer) = accepted(&mut world, two, Some(theirs));
    settle(&mut world);
    let new = referred(&mut world, two, 2, reports, &refer);
    answered(&mut world, three);
    report(&mut world, one, sub, 200);
    assert_eq!(world.end_of(three, asked), EndCause::Replaced);
    assert_eq!(world.end_of(one, asks), EndCause::PeerHungUp);
    settle(&mut world);
    world.hang_up(one, ours);
    settle(&mut world);
    world.hang_up(two, new);
    settle(&mut world);
    world.went(&format!(
        "{BEGIN}  1>3 INVITE  3>1 200  1>3 ACK  1>3 INVITE  3>1 200  1>3 ACK  1>2 REFER  2>1 202  2>1 NOTIFY  1>2 200
         2>3 INVITE  3>2 200  3>1 BYE  2>1 NOTIFY  2>3 ACK  1>3 200  1>2 200  1>2 BYE  2>1 200  2>3 BYE  3>2 200"
    ));
    world.finish();
}

#[test]
fn s7_4_recovery_when_one_party_does_not_support_refer() {
    let (mut world, [one, two, three], (ours, theirs), (asks, _)) = consulting(8);
    let target = world.tell(one, |core, _, _| core.attended_target(asks)).unwrap();
    let sub = refer_beside(&mut world, (one, ours), "sip:2@192.0.2.2", &target);
    let asked_of = world.until(two, |event| match event {
        Event::Subscription { subscription, event: SubscriptionEvent::Incoming { .. } } => Some(*subscription),
        _ => None,
    });
    world.tell(two, |core, ep, now| core.reject_subscription(ep, now, asked_of, status(501), Reply::new())).unwrap();
    assert_eq!(refused(&mut world, one, sub), SubscriptionEnd::Refused(status(501)));
    // The other way round.
    let new = called_back(&mut world, [one, two, three], ours, asks);
    assert_eq!(world.end_of(two, theirs), EndCause::Replaced);
    world.hang_up(one, asks);
    settle(&mut world);
    world.hang_up(three, new);
    settle(&mut world);
    world.went(&format!(
        "{BEGIN}  1>3 INVITE  3>1 200  1>3 ACK  1>3 INVITE  3>1 200  1>3 ACK  1>2 REFER  2>1 501
         1>3 REFER  3>1 202  3>1 NOTIFY  1>3 200  3>2 INVITE  2>3 200  2>1 BYE  3>1 NOTIFY  3>2 ACK  1>2 200  1>3 200
         1>3 BYE  3>1 200  3>2 BYE  2>3 200"
    ));
    world.finish();
}

#[test]
fn s7_5_attended_transfer_when_contact_is_not_known_to_route_to_a_unique_user_agent() {
    let mut world = World::new(9);
    let [one, two, three] = [1, 2, 3].map(|n| world.phone(n));
    let proxy = world.relay(9);
    world.place(proxy, "carol", &[("sip:3@192.0.2.3", None)]);
    let (ours, theirs) = held(&mut world, [one, two]);
    let (asks, asked) = consulted(&mut world, one, three);
    hold(&mut world, (one, asks), (three, asked));
    let target = world.tell(one, |core, _, _| core.attended_target_at(asks, "sip:carol@192.0.2.9")).unwrap();
    let sub = world.tell(one, |core, ep, now| core.refer(ep, now, ours, Refer::new(target))).unwrap();
    let (reports, refer) = accepted_inside(&mut world, two, theirs);
    settle(&mut world);
    let new = referred(&mut world, two, 2, reports, &refer);
    answered(&mut world, three);
    report(&mut world, one, sub, 200);
    let invite = world.last("INVITE");
    assert_eq!(invite.field(Header::Require), Some(&b"replaces"[..]));
    assert!(invite.has(Header::Replaces));
    assert_eq!(world.end_of(one, asks), EndCause::PeerHungUp);
    settle(&mut world);
    world.hang_up(one, ours);
    settle(&mut world);
    world.hang_up(two, new);
    settle(&mut world);
    world.went(&format!(
        "{BEGIN}  1>3 INVITE  3>1 200  1>3 ACK  1>3 INVITE  3>1 200  1>3 ACK  1>2 REFER  2>1 202  2>1 NOTIFY  1>2 200
         2>9 INVITE  9>2 100  9>3 INVITE  3>9 200  3>1 BYE  9>2 200  1>3 200  2>1 NOTIFY  2>9 ACK  1>2 200  9>3 ACK
         1>2 BYE  2>1 200  2>9 BYE  9>3 BYE  3>9 200  9>2 200"
    ));
    world.finish();
}

/// The transferor's user hangs up while the target still rings; its user agent goes on, and transfers when the target answers.
#[test]
fn s7_6_semi_attended_transfer() {
    let mut world = World::new(10);
    let [one, two, three] = [1, 2, 3].map(|n| world.phone(n));
    let (ours, theirs) = held(&mut world, [one, two]);
    let asks = world.call(one, 1, 3);
    let asked = rung(&mut world, three);
    settle(&mut world);
    world.accept(three, asked).unwrap();
    world.until_confirmed(three, asked);
    let target = world.tell(one, |core, _, _| core.attended_target(asks)).unwrap();
    let sub = refer_beside(&mut world, (one, ours), "sip:2@192.0.2.2", &target);
    let (reports, refer) = accepted(&mut world, two, Some(theirs));
    settle(&mut world);
    let new = referred(&mut world, two, 2, reports, &refer);
    answered(&mut world, three);
    report(&mut world, one, sub, 200);
    settle(&mut world);
    world.hang_up(one, ours);
    settle(&mut world);
    world.went(&format!(
        "{BEGIN}  1>3 INVITE  3>1 180  3>1 200  1>3 ACK  1>2 REFER  2>1 202  2>1 NOTIFY  1>2 200  2>3 INVITE  3>2 200  3>1 BYE
         2>1 NOTIFY  2>3 ACK  1>3 200  1>2 200  1>2 BYE  2>1 200"
    ));
    world.hang_up(two, new);
    world.finish();
}

#[test]
fn s7_7_attended_transfer_falls_back_to_basic_transfer() {
    let mut world = World::new(11);
    let (one, two, three) = (world.phone(1), world.phone(2), world.raw(3));
    let theirs = world.call(two, 2, 1);
    let ours = picked_up(&mut world, one);
    // Whether the peer knows REFER.
    let options = OutgoingRequest::options(origin(1), "sip:2@192.0.2.2");
    let id = world.tell(one, |core, ep, now| core.request(ep, now, options)).unwrap();
    world.until(one, |event| match event {
        Event::Request { request, event: RequestEvent::Ended { message: Some(message), .. } } if *request == id => {
            let allowed = message.fields(Header::Allow).any(|value| value.windows(5).any(|part| part == b"REFER"));
            allowed.then_some(())
        }
        _ => None,
    });
    hold(&mut world, (one, ours), (two, theirs));
    let asks = world.invite(one, invite(1, 3).body(offer()).header("Require", "replaces"));
    let (tx, request) = world.request_at(three);
    world.respond(three, tx, &request, 420, |builder| builder.header(Header::Unsupported, "replaces"));
    assert_eq!(world.end_of(one, asks), EndCause::PeerRejected(status(420)));
    settle(&mut world);
    let sub = world.tell(one, |core, ep, now| core.refer(ep, now, ours, Refer::new("sip:3@192.0.2.3"))).unwrap();
    let (reports, refer) = accepted_inside(&mut world, two, theirs);
    settle(&mut world);
    let new = referred(&mut world, two, 2, reports, &refer);
    let (tx, request) = world.request_at(three);
    world.respond(three, tx, &request, 200, |builder| {
        builder.header(Header::Contact, "<sip:3@192.0.2.3>").body("application/sdp", ANSWER)
    });
    report(&mut world, one, sub, 200);
    settle(&mut world);
    world.hang_up(one, ours);
    settle(&mut world);
    world.went(
        "2>1 INVITE  1>2 180  1>2 200  2>1 ACK  1>2 OPTIONS  2>1 200  1>2 INVITE  2>1 200  1>2 ACK  1>3 INVITE  3>1 420  1>3 ACK
         1>2 REFER  2>1 202  2>1 NOTIFY  1>2 200  2>3 INVITE  3>2 200  2>1 NOTIFY  2>3 ACK  1>2 200  1>2 BYE  2>1 200",
    );
    world.hang_up(two, new);
    let (tx, bye) = world.request_at(three);
    world.respond(three, tx, &bye, 200, |builder| builder);
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3892#section-3
//= type=test
//# The double-quotes surrounding the
//# sip-clean-msg-id MUST be replaced with left and right angle brackets
//# to derive the Content-ID used in the message's MIME body.
#[test]
fn s8_transfer_with_referred_by() {
    let mut world = World::new(12);
    let [one, two, three] = [1, 2, 3].map(|n| world.phone(n));
    let (ours, theirs) = held(&mut world, [one, two]);
    let by = "\"The Transferor\" <sip:1@192.0.2.1>;cid=\"20398823.2UWQFN309shb3@referrer.example\"";
    // The token is a part of the body, found by its name and not touched.
    let signed = "--s\r\nContent-Type: message/sipfrag\r\n\r\nRefer-To: <sip:3@192.0.2.3>\r\n\r\n--s--\r\n";
    let body = format!(
        "--unique\r\nContent-Type: text/plain\r\n\r\nplease\r\n--unique\r\nContent-Type: multipart/signed; boundary=s\r\n\
         Content-ID: <20398823.2UWQFN309shb3@referrer.example>\r\nContent-Length: {}\r\n\r\n{signed}\r\n--unique--\r\n",
        signed.len()
    );
    let refer = Refer::new("sip:3@192.0.2.3").referred_by(by).body(Body::new("multipart/mixed; boundary=unique", body));
    let twice = refer.clone().header("b", "<sip:4@192.0.2.4>");
    let twice = world.tell(one, |core, ep, now| core.refer(ep, now, ours, twice));
    assert!(matches!(twice, Err(sip_dialog::CommandError::Malformed(_))), "{twice:?}");
    world.tell(one, |core, ep, now| core.refer(ep, now, ours, refer)).unwrap();
    let (reports, refer) = accepted_inside(&mut world, two, theirs);
    settle(&mut world);
    let new = referred(&mut world, two, 2, reports, &refer);
    answered(&mut world, three);
    settle(&mut world);
    let invite = world.last("INVITE");
    assert_eq!(invite.field(Header::ReferredBy), Some(by.as_bytes()), "without modification");
    assert_eq!(invite.body_of_type("application/sdp"), Some(OFFER));
    let whole = invite.whole_body().unwrap();
    let parts: Vec<_> = whole.multipart().unwrap().unwrap().map(Result::unwrap).collect();
    assert_eq!(parts.len(), 2, "the session description and the token, and not the rest");
    assert_eq!(parts[1].body(), signed.as_bytes());
    let field = |name: &'static str| parts[1].field(name).unwrap();
    assert_eq!(field("Content-Type"), b"multipart/signed; boundary=s");
    assert_eq!(field("Content-ID"), b"<20398823.2UWQFN309shb3@referrer.example>");
    assert_eq!(field("Content-Length"), signed.len().to_string().as_bytes());
    world.hang_up(one, ours);
    world.hang_up(two, new);
    world.finish();
}

/// The transferor is the focus of a conference of three meanwhile: both others are told who is in it, until it is no more.
#[test]
fn s9_transfer_as_an_ad_hoc_conference() {
    const FOCUS: &str = "<sip:conf@192.0.2.1>;isfocus";
    let mut world = World::new(13);
    let one = world.phone_with(1, |config| config.packages.push("conference".into()));
    let [two, three] = [2, 3].map(|n| world.phone(n));
    let theirs = world.call(two, 2, 1);
    let ours = picked_up(&mut world, one);
    world.tell(one, |core, _, _| core.set_contact(ours, FOCUS)).unwrap();
    hold(&mut world, (one, ours), (two, theirs));
    let mut watchers = Vec::new();
    let subscribe = |world: &mut World, node: sim::NodeId, me: u8| {
        let subscribe = Subscribe::new(origin(me), "sip:conf@192.0.2.1", "conference");
        world.tell(node, |core, ep, now| core.subscribe(ep, now, subscribe)).unwrap();
        let watcher = world.until(one, |event| match event {
            Event::Subscription { subscription, event: SubscriptionEvent::Incoming { .. } } => Some(*subscription),
            _ => None,
        });
        let info = Some(Body::new("application/conference-info+xml", "<conference-info/>"));
        world.tell(one, |core, ep, now| core.accept_subscription(ep, now, watcher, false, None, info)).unwrap();
        settle(world);
        watcher
    };
    watchers.push(subscribe(&mut world, two, 2));
    let asks = world.invite(one, Invite::new(origin(1).contact(FOCUS), "sip:3@192.0.2.3").body(offer()));
    let asked = answered(&mut world, three);
    settle(&mut world);
    watchers.push(subscribe(&mut world, three, 3));
    let sub = world.tell(one, |core, ep, now| core.transfer_to(ep, now, ours, asks)).unwrap();
    let (reports, refer) = accepted_inside(&mut world, two, theirs);
    settle(&mut world);
    let new = referred(&mut world, two, 2, reports, &refer);
    answered(&mut world, three);
    assert_eq!(world.end_of(three, asked), EndCause::Replaced);
    report(&mut world, one, sub, 200);
    settle(&mut world);
    for watcher in watchers {
        world.tell(one, |core, ep, now| core.unsubscribe(ep, now, watcher)).unwrap();
    }
    world.hang_up(one, ours);
    settle(&mut world);
    world.went(&format!(
        "{BEGIN}  2>1 SUBSCRIBE  1>2 200  1>2 NOTIFY  2>1 200  1>3 INVITE  3>1 200  1>3 ACK
         3>1 SUBSCRIBE  1>3 200  1>3 NOTIFY  3>1 200  1>2 REFER  2>1 202  2>1 NOTIFY  1>2 200
         2>3 INVITE  3>2 200  3>1 BYE  2>1 NOTIFY  2>3 ACK  1>3 200  1>2 200
         1>2 NOTIFY  1>3 NOTIFY  1>2 BYE  2>1 200  3>1 200  2>1 200"
    ));
    world.hang_up(two, new);
    world.finish();
}

/// Originator `1`, facilitator `2`, screener `3`, recipient `4`: each passes on the one before.
#[test]
fn s10_transfer_with_multiple_parties() {
    let mut world = World::new(14);
    let [originator, facilitator, screener, recipient] = [1, 2, 3, 4].map(|n| world.phone(n));
    let one = world.call(originator, 1, 2);
    let two = answered(&mut world, facilitator);
    hold(&mut world, (facilitator, two), (originator, one));
    let to_screener = world.call(facilitator, 2, 3);
    let screened = answered(&mut world, screener);
    hold(&mut world, (screener, screened), (facilitator, to_screener));
    let to_recipient = world.call(screener, 3, 4);
    let asked = answered(&mut world, recipient);
    hold(&mut world, (screener, to_recipient), (recipient, asked));
    // The screener transfers the facilitator to the recipient.
    let refer = Refer::new("sip:4@192.0.2.4");
    let sub = world.tell(screener, |core, ep, now| core.refer(ep, now, screened, refer.clone())).unwrap();
    let (reports, message) = accepted_inside(&mut world, facilitator, to_screener);
    settle(&mut world);
    let passed = referred(&mut world, facilitator, 2, reports, &message);
    let met = answered(&mut world, recipient);
    report(&mut world, screener, sub, 200);
    world.hang_up(screener, screened);
    world.hang_up(screener, to_recipient);
    assert_eq!(world.end_of(facilitator, to_screener), EndCause::PeerHungUp);
    hold(&mut world, (facilitator, passed), (recipient, met));
    // And the facilitator the originator.
    let sub = world.tell(facilitator, |core, ep, now| core.refer(ep, now, two, refer)).unwrap();
    let (reports, message) = accepted_inside(&mut world, originator, one);
    settle(&mut world);
    let last = referred(&mut world, originator, 1, reports, &message);
    let there = answered(&mut world, recipient);
    report(&mut world, facilitator, sub, 200);
    world.hang_up(facilitator, two);
    world.hang_up(facilitator, passed);
    assert_eq!(world.end_of(originator, one), EndCause::PeerHungUp);
    assert_eq!(world.end_of(recipient, met), EndCause::PeerHungUp);
    world.hang_up(recipient, there);
    assert_eq!(world.end_of(originator, last), EndCause::PeerHungUp);
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3892#section-2.2
//= type=test
//# A UA accepting a REFER request (a referee) to a SIP URI (using either
//# the sip: or sips: scheme) MUST copy any Referred-By header field value
//# and token into the referenced request without modification.
#[test]
fn a_token_that_cannot_be_copied_as_it_is_stays_behind() {
    for (note, parts) in [("caf\u{e9}".as_bytes(), 2), (&b"caf\xe9"[..], 0)] {
        let mut world = World::new(14);
        let [one, two, three] = [1, 2, 3].map(|n| world.phone(n));
        let (ours, theirs) = held(&mut world, [one, two]);
        let body = [
            &b"--u\r\nContent-Type: message/sipfrag\r\nContent-ID: <7@referrer.example>\r\nContent-Description: "[..],
            note,
            b"\r\n\r\nRefer-To: <sip:3@192.0.2.3>\r\n\r\n--u--\r\n",
        ];
        let refer = Refer::new("sip:3@192.0.2.3").referred_by("<sip:1@192.0.2.1>;cid=\"7@referrer.example\"");
        let refer = refer.body(Body::new("multipart/mixed; boundary=u", body.concat()));
        world.tell(one, |core, ep, now| core.refer(ep, now, ours, refer)).unwrap();
        let (reports, refer) = accepted_inside(&mut world, two, theirs);
        settle(&mut world);
        let new = referred(&mut world, two, 2, reports, &refer);
        answered(&mut world, three);
        settle(&mut world);
        let invite = world.last("INVITE");
        let whole = invite.whole_body().unwrap();
        assert_eq!(whole.multipart().unwrap().map_or(0, |all| all.count()), parts);
        assert_eq!(invite.body_of_type("application/sdp"), Some(OFFER));
        world.hang_up(one, ours);
        world.hang_up(two, new);
        world.finish();
    }
}
