//! Commands that are refused: nothing has changed, and nothing is missing later.

use crate::common::*;
use sip_dialog::{
    Body, CallEvent, CommandError, Event, ExtraHeaders, Refer, Register, RegistrationEvent, Reply, Subscribe,
    SubscriptionEvent, Termination, Tone, UserAgentCore,
};
use sip_message::Method;
use sip_transaction::{Endpoint, Instant};
use std::time::Duration;

/// What cannot stand in a header field.
const BAD: &str = "a\r\nb";

/// A command that must fail, and leave all as it was.
#[track_caller]
fn refused<T: std::fmt::Debug>(
    world: &mut World,
    node: sim::NodeId,
    command: impl FnOnce(&mut UserAgentCore, &mut Endpoint, Instant) -> Result<T, CommandError>,
) {
    world
        .tell(node, |core, ep, now| {
            let before = (core.export(now), ep.export(now));
            command(core, ep, now).unwrap_err();
            assert!(before == (core.export(now), ep.export(now)), "an error has changed something");
            Ok::<(), CommandError>(())
        })
        .unwrap();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.1.1
//= type=test
//# Requests within a dialog MUST contain strictly monotonically increasing
//# and contiguous CSeq sequence numbers (increasing-by-one) in each
//# direction (excepting ACK and CANCEL of course, whose numbers equal the
//# requests being acknowledged or cancelled).
#[test]
fn what_cannot_be_built_leaves_no_gap_in_the_numbers_of_a_call() {
    let mut world = World::new(1);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let (call, theirs) = world.established(alice, bob, 1, 2);
    let bad = || ExtraHeaders::new().with("Subject", BAD);
    let before = world.messages().iter().filter_map(|message| Some(message.cseq().ok()?.number)).max().unwrap();
    refused(&mut world, alice, |core, ep, now| core.reinvite(ep, now, call, Some(offer()), bad()));
    refused(&mut world, alice, |core, ep, now| core.update(ep, now, call, None, bad()));
    refused(&mut world, alice, |core, ep, now| {
        core.request_in_call(ep, now, call, Method::Message, Some(Body::new("text/plain", "x")), bad())
    });
    refused(&mut world, alice, |core, ep, now| core.info(ep, now, call, None, Body::new(BAD, "x")));
    refused(&mut world, alice, |core, ep, now| core.refer(ep, now, call, Refer::new(BAD)));
    refused(&mut world, alice, |core, ep, now| core.hang_up(ep, now, call, Some(BAD)));
    refused(&mut world, alice, |core, ep, now| core.hang_up_with(ep, now, call, Reply::new().header("Subject", BAD)));
    refused(&mut world, alice, |core, _, _| core.set_contact(call, "<sip:1@192.0.2.1>\r\nSubject: x"));
    refused(&mut world, alice, |core, _, _| core.set_contact(call, "no URI in this"));
    refused(&mut world, alice, |core, ep, now| core.rebind(ep, now, call, None, Some(BAD.into())));
    let lost = world.flow_of(alice);
    let path = world.tell(alice, |_, ep, _| ep.flow_path(lost)).unwrap();
    refused(&mut world, alice, |core, ep, now| core.recover(ep, now, lost, path, None, Some(BAD.into())));
    // The next one has the next number.
    let tone = Tone::new('1').unwrap();
    world.tell(alice, |core, ep, now| core.dtmf(ep, now, call, tone, Duration::from_millis(100))).unwrap();
    world.until_call(bob, theirs, |event| matches!(event, CallEvent::Dtmf { .. }).then_some(()));
    assert_eq!(world.last("INFO").cseq().unwrap().number, before + 1);
    world.hang_up(alice, call);
    world.end_of(bob, theirs);
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-10.2
//= type=test
//# A UA MUST increment the CSeq value by one for each REGISTER request with
//# the same Call-ID.
#[test]
fn a_registration_that_cannot_move_goes_on_with_the_next_number() {
    let mut world = World::new(2);
    let (alice, raw) = (world.phone(1), world.raw(2));
    let register = Register::new(origin(1), "sip:192.0.2.2").expires(600);
    let id = world.tell(alice, |core, ep, now| core.register(ep, now, register)).unwrap();
    let (tx, first) = world.request_at(raw);
    let contact = "<sip:1@192.0.2.1>;expires=600";
    world.respond(raw, tx, &first, 200, |builder| builder.header("Contact", contact));
    world.until(alice, |event| {
        matches!(event, Event::Registration { event: RegistrationEvent::Registered { .. }, .. }).then_some(())
    });
    refused(&mut world, alice, |core, ep, now| core.rebind_registration(ep, now, id, None, Some(BAD.into())));
    world.tell(alice, |core, ep, now| core.unregister(ep, now, id, false)).unwrap();
    let (tx, last) = world.request_at(raw);
    assert_eq!(last.cseq().unwrap().number, first.cseq().unwrap().number + 1);
    world.respond(raw, tx, &last, 200, |builder| builder);
    world.finish();
}

#[test]
fn a_state_that_cannot_be_told_is_not_the_last_one() {
    let mut world = World::new(3);
    let (alice, bob) = (world.phone(1), world.phone_with(2, |config| config.packages.push("presence".into())));
    let subscribe = Subscribe::new(origin(1), "sip:2@192.0.2.2", "presence").expires(100);
    let ours = world.tell(alice, |core, ep, now| core.subscribe(ep, now, subscribe)).unwrap();
    let theirs = world.until(bob, |event| match event {
        Event::Subscription { subscription, event: SubscriptionEvent::Incoming { .. } } => Some(*subscription),
        _ => None,
    });
    let bad = || Some(Body::new(BAD, "bad"));
    refused(&mut world, bob, |core, ep, now| core.accept_subscription(ep, now, theirs, true, None, bad()));
    let here = Some(Body::new("text/plain", "here"));
    world.tell(bob, |core, ep, now| core.accept_subscription(ep, now, theirs, true, None, here)).unwrap();
    world.run_for(Duration::from_secs(1));
    refused(&mut world, bob, |core, ep, now| core.notify(ep, now, theirs, bad()));
    refused(&mut world, bob, |core, ep, now| {
        core.terminate(ep, now, theirs, Termination::default().body(Body::new(BAD, "bad")))
    });
    // A refresh is told the state that went out, which still waits for approval.
    world.run_for(Duration::from_secs(92));
    let told = world.last("NOTIFY");
    assert_eq!(told.body(), b"here");
    assert!(told.field(sip_message::Header::SubscriptionState).unwrap().starts_with(b"pending"));
    world.tell(alice, |core, ep, now| core.unsubscribe(ep, now, ours)).unwrap();
    world.finish();
}

#[test]
fn a_reinvite_that_is_never_answered_does_not_outlive_its_call_for_ever() {
    let mut world = World::new(4);
    let (alice, raw) = (world.phone(1), world.raw(2));
    let call = world.call(alice, 1, 2);
    let (tx, invite) = world.request_at(raw);
    let contact = "<sip:2@192.0.2.2>";
    world.respond(raw, tx, &invite, 200, |builder| {
        builder.to_tag("b").header("Contact", contact).body("application/sdp", answer().bytes)
    });
    world.until_confirmed(alice, call);
    world.tell(alice, |core, ep, now| core.reinvite(ep, now, call, Some(offer()), ExtraHeaders::new())).unwrap();
    let (tx, reinvite) = world.request_at(raw);
    world.respond(raw, tx, &reinvite, 180, |builder| builder);
    world.run_for(Duration::from_secs(1));
    world.hang_up(alice, call);
    let (tx, bye) = world.request_at(raw);
    world.respond(raw, tx, &bye, 200, |builder| builder);
    world.run_for(Duration::from_secs(250));
    world.tell(alice, |core, ep, _| assert!(core.is_idle() && ep.is_idle(), "left: {}", core.census()));
}

#[test]
fn everything_ends_also_where_nothing_can_be_sent() {
    let mut config = sip_transaction::EndpointConfig::default();
    config.limits.transactions = Some(1);
    let agent = sip_dialog::UserAgentConfig::new("<sip:1@192.0.2.1>");
    let mut agent = sip_dialog::UserAgent::new(config.into(), agent.into(), [1; 32]);
    let (core, endpoint) = agent.parts();
    let now = Instant::ZERO;
    let flow = endpoint.bind(sip_transaction::Transport::Udp, "192.0.2.1:5060".parse().unwrap()).unwrap();
    core.subscribe(endpoint, now, Subscribe::new(origin(1), "sip:2@192.0.2.2", "presence")).unwrap();
    let request = sip_message::Message::parse(agent.poll_transmit().unwrap().bytes).unwrap();
    let response = sip_message::Message::response(&request, status(200)).to_tag("b");
    let response = response.header("Contact", "<sip:2@192.0.2.2>").header("Expires", 600).build().unwrap();
    let remote = "192.0.2.2:5060".parse().unwrap();
    let bytes = &response.to_bytes();
    agent.handle_input(now, sip_transaction::Input::Datagram { flow, remote, bytes }).unwrap();
    assert_eq!(agent.live_subscriptions().count(), 1);
    // The transaction of the SUBSCRIBE is not over yet, and there is room for no other.
    let (core, endpoint) = agent.parts();
    core.end_all(endpoint, now);
    let mut ended = 0;
    while let Some(event) = agent.poll_event() {
        use sip_dialog::Output::UserAgent;
        ended +=
            usize::from(matches!(event, UserAgent(Event::Subscription { event: SubscriptionEvent::Ended { .. }, .. })));
    }
    assert_eq!((ended, agent.live_subscriptions().count()), (1, 0));
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1.8
//= type=test
//# The Contact header field MUST be present and contain exactly one SIP or
//# SIPS URI in any request that can result in the establishment of a
//# dialog.
#[test]
fn there_is_one_contact_and_it_is_a_sip_uri() {
    let mut world = World::new(5);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let second = "<sip:1@192.0.2.77>";
    for contact in ["mailto:1@example.org", "*", "tel:+1"] {
        let origin = || origin(1).contact(contact);
        let invite = sip_dialog::Invite::new(origin(), "sip:2@192.0.2.2").body(offer());
        refused(&mut world, alice, |core, ep, now| core.invite(ep, now, invite));
        let subscribe = Subscribe::new(origin(), "sip:2@192.0.2.2", "presence");
        refused(&mut world, alice, |core, ep, now| core.subscribe(ep, now, subscribe));
        let refer = Refer::new("sip:3@192.0.2.3");
        refused(&mut world, alice, |core, ep, now| core.refer_outside(ep, now, &origin(), "sip:2@192.0.2.2", refer));
    }
    let invite = invite(1, 2).body(offer()).header("m", second);
    refused(&mut world, alice, |core, ep, now| core.invite(ep, now, invite));
    let subscribe = Subscribe::new(origin(1), "sip:2@192.0.2.2", "presence").header("Contact", second);
    refused(&mut world, alice, |core, ep, now| core.subscribe(ep, now, subscribe));
    let call = world.call(alice, 1, 2);
    let theirs = world.incoming(bob);
    let ringing = sip_dialog::Progress::ringing().header("Contact", second);
    refused(&mut world, bob, |core, ep, now| core.progress(ep, now, theirs, ringing));
    let reply = || Reply::new().body(answer()).header("Contact", second);
    refused(&mut world, bob, |core, ep, now| core.accept(ep, now, theirs, reply()));
    world.accept(bob, theirs).unwrap();
    world.until_confirmed(bob, theirs);
    settle(&mut world);
    let also = || ExtraHeaders::new().with("Contact", second);
    refused(&mut world, alice, |core, ep, now| core.reinvite(ep, now, call, Some(offer()), also()));
    refused(&mut world, alice, |core, ep, now| core.update(ep, now, call, None, also()));
    let refer = Refer::new("sip:3@192.0.2.3").header("Contact", second);
    refused(&mut world, alice, |core, ep, now| core.refer(ep, now, call, refer));
    world.hang_up(alice, call);
    world.end_of(bob, theirs);
    world.finish();
}

#[test]
fn an_acceptance_that_waits_is_checked_at_once() {
    let mut world = World::new(6);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let call = world.call(alice, 1, 2);
    let theirs = world.incoming(bob);
    let early = sip_dialog::Progress::new(status(183)).reliable().body(answer());
    world.tell(bob, |core, ep, now| core.progress(ep, now, theirs, early)).unwrap();
    // Its PRACK has not come.
    refused(&mut world, bob, |core, ep, now| core.accept(ep, now, theirs, Reply::new().header("Subject", BAD)));
    world.tell(bob, |core, ep, now| core.accept(ep, now, theirs, Reply::new())).unwrap();
    world.until_confirmed(bob, theirs);
    world.hang_up(alice, call);
    world.end_of(bob, theirs);
    world.finish();
}

#[test]
fn an_instance_id_is_a_urn() {
    let mut world = World::new(7);
    let alice = world.phone(1);
    for instance in ["", "urn", "sip:1@192.0.2.1", "urn:a\";q=\"1", "urn:a>", "urn:a\\", "urn:a b"] {
        let register = Register::new(origin(1), "sip:192.0.2.2").instance(instance, None);
        world.tell(alice, |core, ep, now| core.register(ep, now, register)).unwrap_err();
    }
    world.finish();
}
