//! Hold that is there from the start: the first offer, or its answer, says so, wherever they are (RFC 3264 section 8.4).

use super::forks::branch;
use crate::common::*;
use sip_dialog::sdp::{self, Direction};
use sip_dialog::{Body, CallEvent, CallHandle, ExtraHeaders, Meaning, Progress, Reply};
use sip_message::{Header, Method};

/// Whether we hold the peer, and the peer holds us.
fn hold_of(world: &mut World, node: sim::NodeId, call: CallHandle) -> (bool, bool) {
    let info = world.tell(node, |core, _, _| core.call(call)).unwrap();
    (info.on_hold, info.held)
}

/// What was told of hold, as by whom and whether.
fn told(world: &World, node: sim::NodeId) -> Vec<(bool, bool)> {
    let here = world.log.iter().filter(|happened| happened.node == node);
    here.filter_map(|happened| match &happened.event {
        sip_dialog::Event::Call { event: CallEvent::Hold { by_peer, held }, .. } => Some((*by_peer, *held)),
        _ => None,
    })
    .collect()
}

fn turned(sdp: &[u8], direction: Direction) -> Body {
    Body::sdp(sdp::with_direction(sdp, direction).unwrap())
}

/// The form of RFC 2543.
fn nulled(sdp: &[u8]) -> Body {
    let text = core::str::from_utf8(sdp).unwrap().replace("c=IN IP4 192.0.2.1", "c=IN IP4 0.0.0.0");
    Body::sdp(text.replace("c=IN IP4 192.0.2.2", "c=IN IP4 0.0.0.0").into_bytes())
}

fn stand(world: &mut World, alice: sim::NodeId, ours: CallHandle, bob: sim::NodeId, theirs: CallHandle) {
    world.until_confirmed(bob, theirs);
    world.rewind();
    world.until_confirmed(alice, ours);
    settle(world);
}

#[test]
fn an_invitation_may_hold_whom_it_invites() {
    let forms = [
        (turned(OFFER, Direction::SendOnly), turned(ANSWER, Direction::RecvOnly), (true, false)),
        (turned(OFFER, Direction::Inactive), turned(ANSWER, Direction::Inactive), (true, false)),
        (nulled(OFFER), answer(), (true, false)),
        // Whoever is offered all may hold, too; and be held who holds.
        (offer(), turned(ANSWER, Direction::SendOnly), (false, true)),
        (turned(OFFER, Direction::SendOnly), turned(ANSWER, Direction::Inactive), (true, true)),
        (offer(), answer(), (false, false)),
    ];
    for (n, (offer, answer, (caller, callee))) in forms.into_iter().enumerate() {
        for reliable in [false, true] {
            let mut world = World::new(n as u64);
            let (alice, bob) = (world.phone(1), world.phone(2));
            let ours = world.invite(alice, invite(1, 2).body(offer.clone()));
            let theirs = world.incoming(bob);
            if reliable {
                let early = Progress::new(status(183)).reliable().body(answer.clone());
                world.tell(bob, |core, ep, now| core.progress(ep, now, theirs, early)).unwrap();
                settle(&mut world);
                assert_eq!(hold_of(&mut world, bob, theirs), (false, false), "there is no call yet");
                world.tell(bob, |core, ep, now| core.accept(ep, now, theirs, Reply::new())).unwrap();
            } else {
                let reply = Reply::new().body(answer.clone());
                world.tell(bob, |core, ep, now| core.accept(ep, now, theirs, reply)).unwrap();
            }
            stand(&mut world, alice, ours, bob, theirs);
            assert_eq!(hold_of(&mut world, alice, ours), (caller, callee), "case {n}");
            assert_eq!(hold_of(&mut world, bob, theirs), (callee, caller), "case {n}");
            let heard: Vec<_> = [(false, caller), (true, callee)].into_iter().filter(|(_, held)| *held).collect();
            assert_eq!(told(&world, alice), heard);
            // It can be taken back.
            if caller {
                world.tell(alice, |core, ep, now| core.resume(ep, now, ours, Body::sdp(OFFER))).unwrap();
                world.until_call(bob, theirs, |event| matches!(event, CallEvent::Offer { .. }).then_some(()));
                world.tell(bob, |core, ep, now| core.answer(ep, now, theirs, Body::sdp(ANSWER))).unwrap();
                settle(&mut world);
                assert_eq!(hold_of(&mut world, bob, theirs), (false, false));
            }
            world.hang_up(alice, ours);
            world.finish();
        }
    }
}

#[test]
fn the_offer_of_the_callee_may_hold_the_caller() {
    for reliable in [false, true] {
        let mut world = World::new(20);
        let (alice, bob) = (world.phone(1), world.phone(2));
        let ours = world.invite(alice, invite(1, 2));
        let theirs = world.incoming(bob);
        let held = turned(OFFER, Direction::SendOnly);
        if reliable {
            let early = Progress::new(status(183)).reliable().body(held);
            world.tell(bob, |core, ep, now| core.progress(ep, now, theirs, early)).unwrap();
        } else {
            world.tell(bob, |core, ep, now| core.accept(ep, now, theirs, Reply::new().body(held))).unwrap();
        }
        world.until_call(alice, ours, |event| match event {
            CallEvent::Accepted { session, .. } | CallEvent::Progress { session, .. } => {
                Some(assert_eq!(*session, Some(Meaning::Offer)))
            }
            _ => None,
        });
        let answer = turned(ANSWER, Direction::RecvOnly);
        world.tell(alice, |core, ep, now| core.answer(ep, now, ours, answer)).unwrap();
        if reliable {
            settle(&mut world);
            world.tell(bob, |core, ep, now| core.accept(ep, now, theirs, Reply::new())).unwrap();
        }
        stand(&mut world, alice, ours, bob, theirs);
        assert_eq!(hold_of(&mut world, alice, ours), (false, true), "reliable: {reliable}");
        assert_eq!(hold_of(&mut world, bob, theirs), (true, false), "reliable: {reliable}");
        assert_eq!((told(&world, alice), told(&world, bob)), (vec![(true, true)], vec![(false, true)]));
        world.hang_up(bob, theirs);
        world.finish();
    }
}

#[test]
fn an_offer_in_a_prack_may_hold() {
    let mut world = World::new(30);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let ours = world.invite(alice, invite(1, 2).body(offer()).prack_by_host());
    let theirs = world.incoming(bob);
    let early = Progress::new(status(183)).reliable().body(answer());
    world.tell(bob, |core, ep, now| core.progress(ep, now, theirs, early)).unwrap();
    let dialog = world.until_call(alice, ours, |event| match event {
        CallEvent::Progress { dialog, .. } => *dialog,
        _ => None,
    });
    let held = turned(OFFER, Direction::SendOnly);
    world.tell(alice, |core, ep, now| core.prack(ep, now, ours, dialog, Some(held))).unwrap();
    world.until_call(bob, theirs, |event| matches!(event, CallEvent::Acknowledged { .. }).then_some(()));
    let answer = turned(ANSWER, Direction::RecvOnly);
    world.tell(bob, |core, ep, now| core.answer(ep, now, theirs, answer)).unwrap();
    settle(&mut world);
    world.tell(bob, |core, ep, now| core.accept(ep, now, theirs, Reply::new())).unwrap();
    stand(&mut world, alice, ours, bob, theirs);
    assert_eq!(hold_of(&mut world, alice, ours), (true, false));
    assert_eq!(hold_of(&mut world, bob, theirs), (false, true));
    world.hang_up(bob, theirs);
    world.finish();
}

#[test]
fn of_several_forks_the_one_that_accepts_says_who_holds() {
    let mut world = World::new(31);
    let (alice, raw) = (world.phone(1), world.raw(2));
    let ours = world.call(alice, 1, 2);
    let (tx, invite) = world.request_at(raw);
    const HELD: &[u8] = b"v=0\r\no=- 2 1 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\na=sendonly\r\nm=audio 5000 RTP/AVP 0\r\n";
    for (n, tag, body) in [(1, "one", HELD), (2, "two", ANSWER)] {
        world.respond(raw, tx, &invite, 183, |_| {
            sip_message::Message::response(&invite, status(183))
                .to_tag(tag)
                .header(Header::Contact, format!("<sip:{tag}@192.0.2.2>"))
                .header(Header::Require, "100rel")
                .header(Header::RSeq, n)
                .body("application/sdp", body)
        });
        let (prack, request) = world.request_at(raw);
        assert_eq!(request.method(), Some(Method::Prack));
        world.respond(raw, prack, &request, 200, |builder| builder);
    }
    branch(&mut world, raw, tx, &invite, 200, "two", b"");
    world.until_confirmed(alice, ours);
    assert_eq!(hold_of(&mut world, alice, ours), (false, false));
    assert!(told(&world, alice).is_empty());
    world.hang_up(alice, ours);
    let (bye, request) = world.request_at(raw);
    world.respond(raw, bye, &request, 200, |builder| builder);
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-14.1
//= type=test
//# If a UA receives a non-2xx final response to a re-INVITE, the session
//# parameters MUST remain unchanged, as if no re-INVITE had been issued.
#[test]
fn a_hold_agreed_in_a_reinvite_that_fails_is_taken_back() {
    let mut world = World::new(32);
    let (alice, raw) = (world.phone(1), world.raw(2));
    let ours = world.call(alice, 1, 2);
    let (tx, invite) = world.request_at(raw);
    branch(&mut world, raw, tx, &invite, 200, "one", ANSWER);
    world.until_confirmed(alice, ours);
    for (code, held) in [(488, false), (200, true)] {
        world.tell(alice, |core, ep, now| core.hold(ep, now, ours, turned(OFFER, Direction::SendOnly))).unwrap();
        let (tx, again) = world.request_at(raw);
        world.respond(raw, tx, &again, 183, |builder| {
            builder
                .header(Header::Contact, "<sip:one@192.0.2.2>")
                .header(Header::Require, "100rel")
                .header(Header::RSeq, 5)
                .body("application/sdp", ANSWER)
        });
        let (prack, request) = world.request_at(raw);
        world.respond(raw, prack, &request, 200, |builder| builder);
        settle(&mut world);
        assert_eq!(hold_of(&mut world, alice, ours), (true, false), "the exchange is through");
        branch(&mut world, raw, tx, &again, code, "one", b"");
        settle(&mut world);
        assert_eq!(hold_of(&mut world, alice, ours), (held, false));
    }
    assert_eq!(told(&world, alice), [(false, true), (false, false), (false, true)]);
    world.tell(alice, |core, ep, now| core.update(ep, now, ours, None, ExtraHeaders::new())).unwrap_err();
    world.hang_up(alice, ours);
    let (bye, request) = world.request_at(raw);
    world.respond(raw, bye, &request, 200, |builder| builder);
    world.finish();
}
