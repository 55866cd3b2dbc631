//! A user agent that goes on in another process: while it rings, stands, and changes.

use crate::common::*;
use sip_dialog::{CallEvent, EndCause, ExtraHeaders, ImportError, Progress, UserAgent, UserAgentConfig};
use sip_transaction::{EndpointConfig, Input, Instant, Transport};
use std::sync::Arc;
use std::time::Duration;

/// Another process, and so another seed: tags and branches must not come twice.
fn fresh(n: u8) -> UserAgent {
    use std::sync::atomic::{AtomicU8, Ordering};
    static SEED: AtomicU8 = AtomicU8::new(100);
    let seed = SEED.fetch_add(1, Ordering::Relaxed);
    let mut config = UserAgentConfig::new(format!("<sip:{n}@192.0.2.{n}>"));
    config.session_timer.interval = None;
    config.packages.push("presence".into());
    let mut agent = UserAgent::new(Arc::new(EndpointConfig::default()), Arc::new(config), [seed; 32]);
    agent.parts().1.bind(Transport::Udp, format!("192.0.2.{n}:5060").parse().unwrap()).unwrap();
    agent
}

/// Moves a telephone into another process.
fn moved(world: &mut World, node: sim::NodeId, n: u8) {
    let now = world.now();
    let (state, transactions) = world.tell(node, |core, endpoint, now| (core.export(now), endpoint.export(now)));
    let mut agent = fresh(n);
    let (core, endpoint) = agent.parts();
    // The one socket there is.
    let flow = world.flow_of(node);
    endpoint.import(now, &transactions, |_| Some(flow)).unwrap();
    core.import(endpoint, now, &state, |_| Some(flow)).unwrap();
    assert_eq!(core.import(endpoint, now, &state, |_| None), Err(ImportError::NotEmpty));
    world.net.replace(node, Phone::Agent(Box::new(agent)));
}

#[test]
fn while_it_rings_on_both_sides() {
    let mut world = World::new(1);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let ours = world.call(alice, 1, 2);
    let theirs = world.incoming(bob);
    let early = Progress::new(status(183)).reliable().body(answer());
    world.tell(bob, |core, ep, now| core.progress(ep, now, theirs, early)).unwrap();
    moved(&mut world, bob, 2);
    world.until_call(alice, ours, |event| matches!(event, CallEvent::Progress { .. }).then_some(()));
    moved(&mut world, alice, 1);
    world.until_call(bob, theirs, |event| matches!(event, CallEvent::Acknowledged { .. }).then_some(()));
    world.tell(bob, |core, ep, now| core.accept(ep, now, theirs, sip_dialog::Reply::new())).unwrap();
    moved(&mut world, bob, 2);
    world.until_confirmed(bob, theirs);
    world.hang_up(alice, ours);
    assert_eq!(world.end_of(bob, theirs), EndCause::PeerHungUp);
    world.finish();
}

#[test]
fn while_it_stands_and_while_it_changes() {
    let mut world = World::new(2);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let (ours, theirs) = world.established(alice, bob, 1, 2);
    moved(&mut world, alice, 1);
    moved(&mut world, bob, 2);
    world.tell(alice, |core, ep, now| core.reinvite(ep, now, ours, Some(offer()), ExtraHeaders::new())).unwrap();
    moved(&mut world, alice, 1);
    world.until_call(bob, theirs, |event| matches!(event, CallEvent::Offer { .. }).then_some(()));
    moved(&mut world, bob, 2);
    world.tell(bob, |core, ep, now| core.answer(ep, now, theirs, answer())).unwrap();
    moved(&mut world, bob, 2);
    world.until_call(alice, ours, |event| matches!(event, CallEvent::Answered { .. }).then_some(()));
    world.run_for(Duration::from_secs(40));
    moved(&mut world, alice, 1);
    world.hang_up(bob, theirs);
    assert_eq!(world.end_of(alice, ours), EndCause::PeerHungUp);
    world.finish();
}

#[test]
fn while_subscribed_and_registered() {
    let mut world = World::new(3);
    let (alice, raw) = (world.phone(1), world.raw(2));
    let register = sip_dialog::Register::new(origin(1), "sip:192.0.2.2").expires(100);
    let id = world.tell(alice, |core, ep, now| core.register(ep, now, register)).unwrap();
    for moves in 0..3 {
        let (tx, request) = world.request_at(raw);
        if moves == 0 {
            moved(&mut world, alice, 1);
        }
        let contact = String::from_utf8(request.field(sip_message::Header::Contact).unwrap().to_vec()).unwrap();
        world.respond(raw, tx, &request, 200, |builder| builder.header(sip_message::Header::Contact, contact));
        world.run_for(Duration::from_secs(1));
        moved(&mut world, alice, 1);
    }
    world.tell(alice, |core, ep, now| core.unregister(ep, now, id, false)).unwrap();
    let (tx, request) = world.request_at(raw);
    world.respond(raw, tx, &request, 200, |builder| builder);
    world.finish();
}

#[test]
fn what_is_no_state_is_refused_and_changes_nothing() {
    let mut world = World::new(4);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let (ours, theirs) = world.established(alice, bob, 1, 2);
    let state = world.tell(alice, |core, _, now| core.export(now));
    let mut agent = fresh(1);
    let (core, endpoint) = agent.parts();
    let now = world.now();
    for cut in 0..state.len() {
        assert!(core.import(endpoint, now, &state[..cut], |_| None).is_err(), "cut at {cut}");
        assert!(core.is_idle());
    }
    let mut other = state.clone();
    other[10] = 99;
    assert_eq!(core.import(endpoint, now, &other, |_| None), Err(ImportError::Version(99)));
    // Any one byte changed: an error or another state, never a panic.
    for at in 11..state.len() {
        let mut other = state.clone();
        other[at] ^= 0x55;
        let mut agent = fresh(1);
        let (core, endpoint) = agent.parts();
        let _ = core.import(endpoint, now, &other, |_| None);
        core.handle_timeout(endpoint, now + Duration::from_secs(3600));
    }
    world.hang_up(alice, ours);
    assert_eq!(world.end_of(bob, theirs), EndCause::PeerHungUp);
    world.finish();
}

/// What was on a connection that is gone is on the one that has taken its place in the other process, and not without any.
#[test]
fn a_dialog_whose_flow_was_lost_goes_on_over_the_one_in_its_place() {
    let mut world = World::new(6);
    let (alice, bob) = (world.phone(1), world.phone(2));
    world.net.listen(bob, Transport::Tcp, 5060, &[]);
    let to = sip_dialog::Invite::new(origin(1), "sip:2@192.0.2.2;transport=tcp").body(offer());
    let ours = world.invite(alice, to);
    let theirs = world.incoming(bob);
    world.accept(bob, theirs).unwrap();
    world.until_confirmed(bob, theirs);
    let path = |world: &mut World| world.tell(alice, |core, _, _| core.dialog_path(core.call(ours)?.dialog?));
    let lost = path(&mut world).expect("the peer itself is at its other end");
    world.net.break_flow(alice, lost.flow);
    world.until_call(alice, ours, |event| matches!(event, CallEvent::FlowLost { .. }).then_some(()));
    assert_eq!(path(&mut world), None);
    moved(&mut world, alice, 1);
    assert_eq!(path(&mut world).map(|path| path.flow), Some(world.flow_of(alice)));
}

/// What an endpoint reads that is more lenient than usual comes back from where it was kept.
#[test]
fn a_call_that_only_a_lenient_endpoint_could_read_moves_too() {
    let mut below = EndpointConfig::default();
    below.parser.bare_lf = true;
    let below = Arc::new(below);
    let agent = |seed| {
        let config = UserAgentConfig::new("<sip:2@192.0.2.2>");
        let mut agent = UserAgent::new(below.clone(), Arc::new(config), [seed; 32]);
        let flow = agent.parts().1.bind(Transport::Udp, "192.0.2.2:5060".parse().unwrap()).unwrap();
        (agent, flow)
    };
    let ((mut old, flow), (mut new, other)) = (agent(1), agent(2));
    let (now, remote) = (Instant::ZERO, "192.0.2.1:5060".parse().unwrap());
    let invite = b"INVITE sip:2@192.0.2.2 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\nMax-Forwards: 70\n\
        From: <sip:1@192.0.2.1>;tag=a\nTo: <sip:2@192.0.2.2>\nCall-ID: x\nCSeq: 1 INVITE\nContact: <sip:1@192.0.2.1>\nContent-Length: 0\n\n";
    old.handle_input(now, Input::Datagram { flow, remote, bytes: invite }).unwrap();
    let (state, transactions) = (old.export(now), old.endpoint().export(now));
    let (core, endpoint) = new.parts();
    endpoint.import(now, &transactions, |_| Some(other)).unwrap();
    core.import(endpoint, now, &state, |_| Some(other)).unwrap();
    let call = core.live_calls().next().unwrap();
    core.accept(endpoint, now, call, sip_dialog::Reply::new().body(offer())).unwrap();
    let sent = std::iter::from_fn(|| new.poll_transmit()).last().unwrap();
    assert!(sent.bytes.starts_with(b"SIP/2.0 200 "));
}
