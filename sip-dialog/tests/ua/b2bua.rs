//! Two calls coupled to one (RFC 3665 with a back-to-back user agent in the middle), and identity under trust.

use crate::common::*;
use sip_dialog::{
    B2bua, Body, CallEvent, CallHandle, EndCause, Event, ExtraHeaders, Identity, Invite, Meaning, Progress, Refer,
    Reply, SubscriptionEnd, SubscriptionEvent, sipfrag_status,
};
use sip_message::{Header, Message};

struct Middle {
    world: World,
    node: sim::NodeId,
    b2bua: B2bua,
    seen: usize,
    /// Whom a call that comes in is connected to.
    to: u8,
}

impl Middle {
    /// Runs for a while, with the middle passing on what it sees.
    fn run(&mut self) {
        for _ in 0..50 {
            self.world.run_for(std::time::Duration::from_millis(10));
            while let Some(happened) = self.world.log.get(self.seen) {
                self.seen += 1;
                if happened.node != self.node {
                    continue;
                }
                let event = happened.event.clone();
                let (b2bua, to) = (&mut self.b2bua, self.to);
                self.world.tell(self.node, |core, ep, now| {
                    if let Event::Call { call, event: CallEvent::Incoming { message, .. } } = &event {
                        b2bua.connect(core, ep, now, *call, message, invite(2, to)).unwrap();
                    } else if let Event::Call { call, event: CallEvent::Refer { subscription, message } } = &event {
                        let invite = Invite::of_refer(origin(2), message).unwrap();
                        b2bua.transfer(core, ep, now, *call, *subscription, message, invite).unwrap();
                    } else {
                        b2bua.handle(core, ep, now, &event);
                    }
                });
            }
        }
    }
}

fn middle(seed: u64) -> (Middle, sim::NodeId, sim::NodeId) {
    let mut world = World::new(seed);
    let (alice, node, carol) = (world.phone(1), world.phone(2), world.phone(3));
    (Middle { world, node, b2bua: B2bua::new(), seen: 0, to: 3 }, alice, carol)
}

fn established(seed: u64) -> (Middle, [(sim::NodeId, CallHandle); 2]) {
    let (mut m, alice, carol) = middle(seed);
    let ours = m.world.call(alice, 1, 2);
    m.run();
    let theirs = m.world.incoming(carol);
    m.world
        .tell(carol, |core, ep, now| {
            core.progress(ep, now, theirs, Progress::new(status(183)).reliable().body(answer()))
        })
        .unwrap();
    m.run();
    m.world.until_call(alice, ours, |event| match event {
        CallEvent::Progress { session, message, .. } => {
            assert_eq!((*session, message.body()), (Some(Meaning::Answer), ANSWER));
            Some(())
        }
        _ => None,
    });
    m.world.tell(carol, |core, ep, now| core.accept(ep, now, theirs, Reply::new())).unwrap();
    m.run();
    m.world.until_confirmed(carol, theirs);
    (m, [(alice, ours), (carol, theirs)])
}

#[test]
fn early_media_changes_and_the_end_go_through() {
    let (mut m, [(alice, ours), (carol, theirs)]) = established(1);
    m.world.tell(carol, |core, ep, now| core.reinvite(ep, now, theirs, Some(offer()), ExtraHeaders::new())).unwrap();
    m.run();
    m.world.until_call(alice, ours, |event| match event {
        CallEvent::Offer { message } => Some(assert_eq!(message.body(), OFFER)),
        _ => None,
    });
    m.world.tell(alice, |core, ep, now| core.refuse(ep, now, ours, status(488), Reply::new())).unwrap();
    m.run();
    m.world.until_call(carol, theirs, |event| match event {
        CallEvent::ChangeFailed { status, .. } => Some(assert_eq!(status.code(), 488)),
        _ => None,
    });
    m.world
        .tell(alice, |core, ep, now| {
            core.dtmf(ep, now, ours, sip_dialog::Tone::new('7').unwrap(), std::time::Duration::from_millis(90))
        })
        .unwrap();
    m.run();
    m.world.until_call(carol, theirs, |event| matches!(event, CallEvent::Dtmf { .. }).then_some(()));
    m.world.hang_up(alice, ours);
    m.run();
    assert_eq!(m.world.end_of(carol, theirs), EndCause::PeerHungUp);
    assert!(m.b2bua.is_empty());
    m.world.finish();
}

#[test]
fn a_call_without_offer_gets_it_from_the_far_end() {
    let (mut m, alice, carol) = middle(2);
    let ours = m.world.invite(alice, invite(1, 2));
    m.run();
    let theirs = m.world.incoming(carol);
    m.world.tell(carol, |core, ep, now| core.accept(ep, now, theirs, Reply::new().body(offer()))).unwrap();
    m.run();
    m.world.tell(alice, |core, ep, now| core.answer(ep, now, ours, answer())).unwrap();
    m.run();
    m.world.until_call(carol, theirs, |event| match event {
        CallEvent::Confirmed { message, session: Some(Meaning::Answer) } => {
            Some(assert_eq!(message.as_ref().unwrap().body(), ANSWER))
        }
        _ => None,
    });
    m.world.hang_up(carol, theirs);
    m.run();
    assert_eq!(m.world.end_of(alice, ours), EndCause::PeerHungUp);
    m.world.finish();
}

#[test]
fn refusals_and_cancels_go_through() {
    let (mut m, alice, carol) = middle(3);
    let ours = m.world.call(alice, 1, 2);
    m.run();
    let theirs = m.world.incoming(carol);
    m.world.tell(carol, |core, ep, now| core.reject(ep, now, theirs, status(486), Reply::new())).unwrap();
    m.run();
    assert_eq!(m.world.end_of(alice, ours), EndCause::PeerRejected(status(486)));
    let ours = m.world.call(alice, 1, 2);
    m.run();
    m.world.hang_up(alice, ours);
    m.run();
    assert_eq!(m.world.end_of(alice, ours), EndCause::Cancelled);
    assert!(m.b2bua.is_empty());
    m.world.finish();
}

#[test]
fn identity_is_told_and_believed_only_under_trust() {
    for trusted in [false, true] {
        let mut world = World::new(4);
        let (alice, bob) = (
            world.phone_with(1, |config| config.trusted = trusted),
            world.phone_with(2, |config| config.trusted = trusted),
        );
        let identity = Identity::new().preferred("<sip:p@a.example>").asserted("<sip:a@a.example>").privacy("id");
        let ours = world.invite(alice, invite(1, 2).body(Body::sdp(OFFER)).identity(identity));
        let theirs = world.incoming(bob);
        let sent = world.last("INVITE");
        assert_eq!(sent.has(Header::PAssertedIdentity), trusted);
        assert!(sent.has(Header::PPreferredIdentity) && sip_dialog::UserAgentCore::wants_privacy(&sent));
        let mut forged = sent.clone();
        forged.set(Header::PAssertedIdentity, "<sip:a@a.example>").unwrap();
        let believed = world.tell(bob, |core, _, _| core.asserted_identity(&forged));
        assert_eq!(believed.len(), usize::from(trusted));
        let _: &Message = &forged;
        world.tell(bob, |core, ep, now| core.reject(ep, now, theirs, status(486), Reply::new())).unwrap();
        world.end_of(alice, ours);
        world.finish();
    }
}

/// The reports on a transfer, and that it is over.
fn reports(world: &World, node: sim::NodeId) -> Vec<u16> {
    let mut out = Vec::new();
    for happened in world.log.iter().filter(|happened| happened.node == node) {
        match &happened.event {
            Event::Subscription { event: SubscriptionEvent::Notify { message, .. }, .. } => {
                out.extend(sipfrag_status(message.body()).map(|status| status.code()));
            }
            Event::Subscription { event: SubscriptionEvent::Ended { cause, .. }, .. } => {
                assert_eq!(*cause, SubscriptionEnd::Terminated { retry: None });
                out.push(0);
            }
            _ => {}
        }
    }
    out
}

fn answered(m: &mut Middle, node: sim::NodeId, call: CallHandle, with: &'static [u8]) {
    m.world.until_call(node, call, |event| matches!(event, CallEvent::Offer { .. }).then_some(()));
    m.world.tell(node, |core, ep, now| core.answer(ep, now, call, Body::sdp(with))).unwrap();
    m.run();
}

/// Carol has asked for Alice to be sent to Dave, and may have hung up at once.
fn referred(seed: u64, impatient: bool) -> (Middle, [(sim::NodeId, CallHandle); 2], sim::NodeId) {
    let (mut m, ends) = established(seed);
    let [(alice, ours), (carol, theirs)] = ends;
    let dave = m.world.phone(4);
    let refer = Refer::new("sip:4@192.0.2.4");
    m.world.tell(carol, |core, ep, now| core.refer(ep, now, theirs, refer)).unwrap();
    m.run();
    if impatient {
        m.world.hang_up(carol, theirs);
        m.run();
        assert!(m.world.tell(alice, |core, _, _| core.call(ours)).is_some(), "Alice waits for Dave");
    }
    (m, ends, dave)
}

#[test]
fn a_transfer_moves_one_end_to_another_call() {
    // Whoever asks may hang up at once, or wait to be hung up on.
    for impatient in [false, true] {
        let (mut m, [(alice, ours), (carol, theirs)], dave) = referred(5, impatient);
        let new = rung(&mut m.world, dave);
        m.run();
        m.world.tell(dave, |core, ep, now| core.accept(ep, now, new, Reply::new().body(offer()))).unwrap();
        m.run();
        answered(&mut m, alice, ours, ANSWER);
        m.world.until_call(dave, new, |event| match event {
            CallEvent::Confirmed { message, session: Some(Meaning::Answer) } => {
                Some(assert_eq!(message.as_ref().unwrap().body(), ANSWER))
            }
            _ => None,
        });
        if !impatient {
            assert_eq!(m.world.end_of(carol, theirs), EndCause::PeerHungUp);
        }
        assert_eq!(reports(&m.world, carol), [100, 180, 200, 0]);
        m.world.hang_up(dave, new);
        m.run();
        assert_eq!(m.world.end_of(alice, ours), EndCause::PeerHungUp);
        assert!(m.b2bua.is_empty());
        m.world.finish();
    }
}

#[test]
fn a_transfer_that_fails_leaves_the_couple_together() {
    for impatient in [false, true] {
        let (mut m, [(alice, ours), (carol, theirs)], dave) = referred(6, impatient);
        let new = m.world.incoming(dave);
        m.world.tell(dave, |core, ep, now| core.reject(ep, now, new, status(486), Reply::new())).unwrap();
        m.run();
        assert_eq!(reports(&m.world, carol), [100, 486, 0]);
        if !impatient {
            assert!(m.world.tell(carol, |core, _, _| core.call(theirs)).is_some());
            m.world.hang_up(carol, theirs);
            m.run();
        }
        // With nobody left to talk to, it is over.
        assert_eq!(m.world.end_of(alice, ours), EndCause::PeerHungUp);
        assert!(m.b2bua.is_empty());
        m.world.finish();
    }
}

#[test]
fn an_attended_transfer_couples_both_far_ends() {
    let (mut m, [(alice, ours), (carol, theirs)]) = established(7);
    let dave = m.world.phone(4);
    m.to = 4;
    let second = m.world.call(carol, 3, 2);
    m.run();
    let new = m.world.incoming(dave);
    m.world.accept(dave, new).unwrap();
    m.run();
    m.world.until_confirmed(carol, second);
    m.world.tell(carol, |core, ep, now| core.transfer_to(ep, now, theirs, second)).unwrap();
    m.run();
    // Alice is asked for an offer, Dave gets it, and the answer goes back.
    m.world.until_call(alice, ours, |event| matches!(event, CallEvent::OfferWanted { .. }).then_some(()));
    m.world.tell(alice, |core, ep, now| core.answer(ep, now, ours, offer())).unwrap();
    m.run();
    answered(&mut m, dave, new, ANSWER);
    m.world.rewind();
    m.world.until_call(alice, ours, |event| match event {
        CallEvent::Answered { message, session: Some(Meaning::Answer) } => Some(assert_eq!(message.body(), ANSWER)),
        _ => None,
    });
    assert_eq!(m.world.end_of(carol, theirs), EndCause::PeerHungUp);
    assert_eq!(m.world.end_of(carol, second), EndCause::PeerHungUp);
    assert_eq!(reports(&m.world, carol), [100, 200, 0]);
    m.world.hang_up(alice, ours);
    m.run();
    assert_eq!(m.world.end_of(dave, new), EndCause::PeerHungUp);
    assert!(m.b2bua.is_empty());
    m.world.finish();
}
