//! Two calls coupled to one (RFC 3665 with a back-to-back user agent in the middle), and identity under trust.

use crate::common::*;
use sim::Host as _;
use sip_dialog::{
    B2bua, Body, CallEvent, CallHandle, CommandError, EndCause, Event, ExtraHeaders, Identity, Invite, Meaning,
    Progress, Refer, Reply, SubscriptionEnd, SubscriptionEvent, sipfrag_status,
};
use sip_message::{Header, Message, Method};

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
                        if b2bua.transfer(core, ep, now, *call, *subscription, message, invite).is_err() {
                            core.reject_subscription(ep, now, *subscription, status(491), Reply::new()).unwrap();
                        }
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
    // Carol takes her time.
    let patient = |config: &mut sip_dialog::UserAgentConfig| config.answer = std::time::Duration::from_secs(60);
    let (alice, node, carol) = (world.phone(1), world.phone(2), world.phone_with(3, patient));
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
    part(m, (alice, ours), (carol, theirs));
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

/// One side of a couple hangs up: the other is told, and nothing is left.
fn part(mut m: Middle, first: (sim::NodeId, CallHandle), second: (sim::NodeId, CallHandle)) {
    m.world.hang_up(first.0, first.1);
    m.run();
    assert_eq!(m.world.end_of(second.0, second.1), EndCause::PeerHungUp);
    assert!(m.b2bua.is_empty());
    m.world.finish();
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
        part(m, (dave, new), (alice, ours));
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

/// Carol talks to Alice in one call, to Dave in another.
#[allow(clippy::type_complexity, reason = "who, and in which call")]
fn consulted(seed: u64) -> (Middle, [(sim::NodeId, CallHandle); 2], CallHandle, (sim::NodeId, CallHandle)) {
    let (mut m, ends) = established(seed);
    let carol = ends[1].0;
    let dave = m.world.phone(4);
    m.to = 4;
    let second = m.world.call(carol, 3, 2);
    m.run();
    let new = m.world.incoming(dave);
    m.world.accept(dave, new).unwrap();
    m.run();
    m.world.until_confirmed(carol, second);
    (m, ends, second, (dave, new))
}

#[test]
fn an_attended_transfer_couples_both_far_ends() {
    let (mut m, [(alice, ours), (carol, theirs)], second, (dave, new)) = consulted(7);
    m.world.tell(carol, |core, ep, now| core.transfer_to(ep, now, theirs, second)).unwrap();
    m.run();
    // Dave is asked for an offer, Alice gets it, and the answer goes back; Carol is told and let go only then.
    m.world.until_call(dave, new, |event| matches!(event, CallEvent::OfferWanted { .. }).then_some(()));
    m.world.tell(dave, |core, ep, now| core.answer(ep, now, new, offer())).unwrap();
    m.run();
    assert_eq!(reports(&m.world, carol), [100]);
    answered(&mut m, alice, ours, ANSWER);
    m.world.rewind();
    m.world.until_call(dave, new, |event| match event {
        CallEvent::Answered { message, session: Some(Meaning::Answer) } => Some(assert_eq!(message.body(), ANSWER)),
        _ => None,
    });
    assert_eq!(m.world.end_of(carol, theirs), EndCause::PeerHungUp);
    assert_eq!(m.world.end_of(carol, second), EndCause::PeerHungUp);
    assert_eq!(reports(&m.world, carol), [100, 200, 0]);
    part(m, (alice, ours), (dave, new));
}

/// Lets Alice and Carol answer whatever they are asked, and counts the re-INVITEs with an offer that came to them.
fn agreeable(m: &mut Middle, ends: [(sim::NodeId, CallHandle); 2]) -> usize {
    let (mut seen, mut offers) = (m.world.log.len(), 0);
    for _ in 0..20 {
        m.run();
        while let Some(happened) = m.world.log.get(seen) {
            seen += 1;
            let (node, event) = (happened.node, happened.event.clone());
            let Event::Call { call, event } = event else { continue };
            if !ends.contains(&(node, call)) {
                continue;
            }
            let with = match event {
                CallEvent::Offer { .. } => answer(),
                CallEvent::OfferWanted { .. } => offer(),
                _ => continue,
            };
            offers += usize::from(matches!(event, CallEvent::Offer { .. }));
            m.world.tell(node, |core, ep, now| core.answer(ep, now, call, with)).unwrap();
        }
    }
    offers
}

fn lives(world: &mut World, node: sim::NodeId, call: CallHandle) -> bool {
    world.tell(node, |core, _, _| core.call(call)).is_some()
}

#[test]
fn an_answer_to_what_the_other_side_did_not_ask_goes_nowhere() {
    let (mut m, ends) = established(8);
    let leg = m.b2bua.couples()[0].0;
    m.world.tell(m.node, |core, ep, now| core.reinvite(ep, now, leg, Some(offer()), ExtraHeaders::new())).unwrap();
    assert_eq!(agreeable(&mut m, ends), 1);
}

#[test]
fn a_late_answer_brings_both_sides_together_again() {
    let (mut m, ends) = established(9);
    let [(alice, ours), (carol, theirs)] = ends;
    m.world.tell(alice, |core, ep, now| core.reinvite(ep, now, ours, Some(offer()), ExtraHeaders::new())).unwrap();
    for _ in 0..50 {
        m.run();
    }
    m.world.until_call(alice, ours, |event| match event {
        CallEvent::ChangeFailed { status, .. } => Some(assert_eq!(status.code(), 504)),
        _ => None,
    });
    m.world.tell(carol, |core, ep, now| core.answer(ep, now, theirs, answer())).unwrap();
    // Carol is asked for an offer, and Alice answers it: no more.
    assert_eq!(agreeable(&mut m, ends), 1);
    m.world.hang_up(alice, ours);
    m.run();
    assert_eq!(m.world.end_of(carol, theirs), EndCause::PeerHungUp);
    m.world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-14.1
//= type=test
//# If a UA receives a non-2xx final response to a re-INVITE, the session
//# parameters MUST remain unchanged, as if no re-INVITE had been issued.
#[test]
fn a_change_that_is_taken_back_is_undone_on_the_other_side() {
    let (mut m, _, carol) = middle(10);
    let raw = m.world.raw(9);
    let request = |method: Method<'_>, to: &str, cseq: u32| {
        Message::request(method, "sip:2@192.0.2.2")
            .header(Header::From, "<sip:9@192.0.2.9>;tag=a")
            .header(Header::To, to)
            .header(Header::CallId, "taken-back")
            .cseq(cseq)
            .header(Header::Contact, "<sip:9@192.0.2.9>")
    };
    let first = request(Method::Invite, "<sip:2@192.0.2.2>", 1).body("application/sdp", OFFER).build().unwrap();
    let tx = m.world.send(raw, first);
    m.run();
    let theirs = m.world.incoming(carol);
    m.world.accept(carol, theirs).unwrap();
    m.run();
    let ok = m.world.final_of(raw, tx);
    let to = String::from_utf8(ok.field(Header::To).unwrap().to_vec()).unwrap();
    let send = |m: &mut Middle, ack: Message| {
        let now = m.world.now();
        m.world.net.host(raw).endpoint().send(now, ack, sip_transaction::Destination::route()).unwrap();
        m.run();
    };
    send(&mut m, request(Method::Ack, &to, 1).build().unwrap());
    let tx = m.world.send(raw, request(Method::Invite, &to, 2).body("application/sdp", OFFER).build().unwrap());
    m.run();
    let now = m.world.now();
    m.world.net.host(raw).endpoint().cancel(now, tx, None).unwrap();
    m.run();
    assert_eq!(m.world.final_of(raw, tx).status(), Some(status(487)));
    m.world.until_call(carol, theirs, |event| matches!(event, CallEvent::Offer { .. }).then_some(()));
    m.world.tell(carol, |core, ep, now| core.answer(ep, now, theirs, answer())).unwrap();
    m.run();
    // Carol makes an offer of the session she has, which goes to the caller, and the answer back.
    m.world.until_call(carol, theirs, |event| matches!(event, CallEvent::OfferWanted { .. }).then_some(()));
    m.world.tell(carol, |core, ep, now| core.answer(ep, now, theirs, offer())).unwrap();
    m.run();
    let asked = |world: &mut World, method: Method<'_>| {
        loop {
            let (tx, request) = world.request_at(raw);
            if request.method() == Some(method) {
                return (tx, request);
            }
        }
    };
    let (tx, again) = asked(&mut m.world, Method::Invite);
    assert_eq!(again.body(), OFFER);
    m.world.respond(raw, tx, &again, 200, |builder| {
        builder.header(Header::Contact, "<sip:9@192.0.2.9>").body("application/sdp", ANSWER)
    });
    m.run();
    m.world.until_call(carol, theirs, |event| match event {
        CallEvent::Answered { message, session: Some(Meaning::Answer) } => Some(assert_eq!(message.body(), ANSWER)),
        _ => None,
    });
    for _ in 0..80 {
        m.run();
    }
    let offers = m.world.net.trace().iter().filter(|sent| sent.title().starts_with("INVITE")).count();
    // The call and the change of it, and the two that undo it.
    assert_eq!(offers, 6, "{}", m.world.ladder());
    m.world.hang_up(carol, theirs);
    m.run();
    let (tx, bye) = asked(&mut m.world, Method::Bye);
    m.world.respond(raw, tx, &bye, 200, |builder| builder);
    m.run();
    assert!(m.b2bua.is_empty());
    m.world.finish();
}

#[test]
fn a_target_with_reliable_responses_is_answered_in_the_prack() {
    for impatient in [false, true] {
        let (mut m, [(alice, ours), (carol, theirs)], dave) = referred(12, impatient);
        let new = m.world.incoming(dave);
        m.world
            .tell(dave, |core, ep, now| {
                core.progress(ep, now, new, Progress::new(status(183)).reliable().body(offer()))
            })
            .unwrap();
        m.run();
        answered(&mut m, alice, ours, ANSWER);
        m.world.until_call(dave, new, |event| match event {
            CallEvent::Acknowledged { message, session: Some(Meaning::Answer) } => {
                Some(assert_eq!(message.body(), ANSWER))
            }
            _ => None,
        });
        assert_eq!(reports(&m.world, carol), [100, 183]);
        assert_eq!(lives(&mut m.world, carol, theirs), !impatient);
        m.world.tell(dave, |core, ep, now| core.accept(ep, now, new, Reply::new())).unwrap();
        m.run();
        assert_eq!(reports(&m.world, carol), [100, 183, 200, 0]);
        assert!(!lives(&mut m.world, carol, theirs));
        part(m, (dave, new), (alice, ours));
    }
}

#[test]
fn a_target_that_gives_up_after_early_media_leaves_the_couple_with_its_session() {
    let (mut m, ends, dave) = referred(13, false);
    let [(alice, ours), (carol, theirs)] = ends;
    let new = m.world.incoming(dave);
    m.world
        .tell(dave, |core, ep, now| core.progress(ep, now, new, Progress::new(status(183)).reliable().body(offer())))
        .unwrap();
    m.run();
    answered(&mut m, alice, ours, ANSWER);
    m.world.tell(dave, |core, ep, now| core.reject(ep, now, new, status(486), Reply::new())).unwrap();
    // Alice, whose media went to Dave, makes an offer, which Carol answers.
    assert_eq!(agreeable(&mut m, ends), 1);
    assert_eq!(reports(&m.world, carol), [100, 183, 486, 0]);
    part(m, (carol, theirs), (alice, ours));
}

#[test]
fn of_several_phones_of_a_target_the_first_that_makes_an_offer_goes_on() {
    let (mut m, [(alice, ours), (carol, theirs)]) = established(20);
    let raw = m.world.raw(4);
    m.world.tell(carol, |core, ep, now| core.refer(ep, now, theirs, Refer::new("sip:4@192.0.2.4"))).unwrap();
    m.run();
    let (tx, invite) = m.world.request_at(raw);
    assert!(invite.body().is_empty());
    for tag in ["one", "two"] {
        m.world.respond(raw, tx, &invite, 183, |builder| {
            builder
                .to_tag(tag)
                .header(Header::Contact, format!("<sip:{tag}@192.0.2.4>"))
                .header(Header::Require, "100rel")
                .header(Header::RSeq, 1)
                .body("application/sdp", OFFER)
        });
        m.run();
    }
    // Alice can talk but to one of them.
    let (bye_tx, bye) = m.world.request_at(raw);
    assert_eq!((bye.method(), bye.request_uri_bytes()), (Some(Method::Bye), Some(&b"sip:two@192.0.2.4"[..])));
    m.world.respond(raw, bye_tx, &bye, 200, |builder| builder);
    answered(&mut m, alice, ours, ANSWER);
    let (prack_tx, prack) = m.world.request_at(raw);
    assert_eq!((prack.method(), prack.body()), (Some(Method::Prack), ANSWER));
    m.world.respond(raw, prack_tx, &prack, 200, |builder| builder);
    m.world
        .respond(raw, tx, &invite, 200, |builder| builder.to_tag("one").header(Header::Contact, "<sip:one@192.0.2.4>"));
    m.run();
    assert_eq!(reports(&m.world, carol), [100, 183, 183, 200, 0]);
    m.world.hang_up(alice, ours);
    m.run();
    let (bye_tx, bye) = m.world.request_at(raw);
    assert_eq!(bye.method(), Some(Method::Bye));
    m.world.respond(raw, bye_tx, &bye, 200, |builder| builder);
    m.run();
    assert!(m.b2bua.is_empty());
    m.world.finish();
}

#[test]
fn a_call_takes_part_in_one_transfer_at_a_time() {
    let (mut m, [(alice, ours), (carol, theirs)], dave) = referred(14, false);
    let eve = m.world.phone(5);
    let new = m.world.incoming(dave);
    for (node, call) in [(carol, theirs), (alice, ours)] {
        m.world.tell(node, |core, ep, now| core.refer(ep, now, call, Refer::new("sip:5@192.0.2.5"))).unwrap();
        m.run();
        m.world.rewind();
        m.world.until(node, |event| match event {
            Event::Subscription { event: SubscriptionEvent::Ended { cause, .. }, .. } => {
                Some(assert_eq!(*cause, SubscriptionEnd::Refused(status(491))))
            }
            _ => None,
        });
    }
    assert!(!m.world.log.iter().any(|happened| happened.node == eve));
    m.world.tell(dave, |core, ep, now| core.accept(ep, now, new, Reply::new().body(offer()))).unwrap();
    m.run();
    answered(&mut m, alice, ours, ANSWER);
    assert!(!lives(&mut m.world, carol, theirs));
    assert_eq!(m.b2bua.couples().len(), 1);
    part(m, (alice, ours), (dave, new));
}

#[test]
fn whoever_waits_for_the_new_peer_is_refused_other_changes() {
    let (mut m, [(alice, ours), _], dave) = referred(15, true);
    let new = m.world.incoming(dave);
    let (leg, coming) = m.b2bua.couples()[0];
    assert!(m.b2bua.is_coupled(leg) && m.b2bua.is_coupled(coming));
    m.world.tell(alice, |core, ep, now| core.reinvite(ep, now, ours, Some(offer()), ExtraHeaders::new())).unwrap();
    m.run();
    let refused = m.world.net.trace().iter().rev().any(|sent| sent.title().starts_with("491"));
    assert!(refused, "{}", m.world.ladder());
    m.world.tell(dave, |core, ep, now| core.reject(ep, now, new, status(486), Reply::new())).unwrap();
    m.run();
    assert_eq!(m.world.end_of(alice, ours), EndCause::PeerHungUp);
    assert!(m.b2bua.is_empty());
    m.world.finish();
}

#[test]
fn a_far_end_that_refuses_the_new_peer_keeps_whom_it_has() {
    let (mut m, [(alice, ours), (carol, theirs)], dave) = referred(16, false);
    let new = m.world.incoming(dave);
    m.world.tell(dave, |core, ep, now| core.accept(ep, now, new, Reply::new().body(offer()))).unwrap();
    m.run();
    m.world.until_call(alice, ours, |event| matches!(event, CallEvent::Offer { .. }).then_some(()));
    // Success is not reported before there is any.
    assert_eq!(reports(&m.world, carol), [100]);
    m.world.tell(alice, |core, ep, now| core.refuse(ep, now, ours, status(488), Reply::new())).unwrap();
    m.run();
    assert_eq!(reports(&m.world, carol), [100, 488, 0]);
    assert_eq!(m.world.end_of(dave, new), EndCause::PeerHungUp);
    assert!(lives(&mut m.world, alice, ours) && lives(&mut m.world, carol, theirs));
    part(m, (carol, theirs), (alice, ours));
}

#[test]
fn an_attended_transfer_that_is_refused_leaves_both_couples() {
    // It is Dave who refuses to make an offer, or Alice who refuses his.
    for offers in [false, true] {
        let (mut m, [(alice, ours), (carol, theirs)], second, (dave, new)) = consulted(17);
        m.world.tell(carol, |core, ep, now| core.transfer_to(ep, now, theirs, second)).unwrap();
        m.run();
        m.world.until_call(dave, new, |event| matches!(event, CallEvent::OfferWanted { .. }).then_some(()));
        if offers {
            m.world.tell(dave, |core, ep, now| core.answer(ep, now, new, offer())).unwrap();
            m.run();
            m.world.until_call(alice, ours, |event| matches!(event, CallEvent::Offer { .. }).then_some(()));
            m.world.tell(alice, |core, ep, now| core.refuse(ep, now, ours, status(488), Reply::new())).unwrap();
            m.run();
            // What Dave has offered, Carol answers.
            answered(&mut m, carol, second, ANSWER);
            m.world.until_call(dave, new, |event| match event {
                CallEvent::Answered { message, session: Some(Meaning::Answer) } => {
                    Some(assert_eq!(message.body(), ANSWER))
                }
                _ => None,
            });
        } else {
            m.world.tell(dave, |core, ep, now| core.refuse(ep, now, new, status(488), Reply::new())).unwrap();
            m.run();
        }
        assert_eq!(reports(&m.world, carol), [100, 488, 0]);
        assert_eq!(m.b2bua.couples().len(), 2);
        m.world.hang_up(alice, ours);
        m.world.hang_up(dave, new);
        m.run();
        assert_eq!(m.world.end_of(carol, theirs), EndCause::PeerHungUp);
        assert_eq!(m.world.end_of(carol, second), EndCause::PeerHungUp);
        assert!(m.b2bua.is_empty());
        m.world.finish();
    }
}

#[test]
fn whoever_asks_for_an_attended_transfer_may_hang_up_at_once() {
    let (mut m, [(alice, ours), (carol, theirs)], second, (dave, new)) = consulted(18);
    m.world.tell(carol, |core, ep, now| core.transfer_to(ep, now, theirs, second)).unwrap();
    m.run();
    m.world.hang_up(carol, theirs);
    m.world.hang_up(carol, second);
    m.run();
    m.world.until_call(dave, new, |event| matches!(event, CallEvent::OfferWanted { .. }).then_some(()));
    m.world.tell(dave, |core, ep, now| core.answer(ep, now, new, offer())).unwrap();
    m.run();
    answered(&mut m, alice, ours, ANSWER);
    assert_eq!(reports(&m.world, carol), [100, 200, 0]);
    part(m, (dave, new), (alice, ours));
}

#[test]
fn a_transfer_that_cannot_begin_leaves_the_refer_unanswered() {
    let (mut m, [(alice, ours), (carol, theirs)], second, (dave, new)) = consulted(19);
    // Dave has yet to answer another offer.
    m.world.tell(carol, |core, ep, now| core.reinvite(ep, now, second, Some(offer()), ExtraHeaders::new())).unwrap();
    m.run();
    m.world.tell(carol, |core, ep, now| core.transfer_to(ep, now, theirs, second)).unwrap();
    m.run();
    m.world.until(carol, |event| match event {
        Event::Subscription { event: SubscriptionEvent::Ended { cause, .. }, .. } => {
            Some(assert_eq!(*cause, SubscriptionEnd::Refused(status(491))))
        }
        _ => None,
    });
    assert!(!m.world.log.iter().any(|happened| {
        matches!(&happened.event, Event::Subscription { event: SubscriptionEvent::Notify { .. }, .. })
    }));
    m.world.rewind();
    answered(&mut m, dave, new, ANSWER);
    m.world.hang_up(alice, ours);
    m.world.hang_up(dave, new);
    m.run();
    assert!(m.b2bua.is_empty());
    m.world.finish();
}

/// Whatever four telephones do with each other through the middle: nothing goes on for ever, and nothing is left.
#[test]
fn nothing_is_left_of_what_goes_through_at_random() {
    for seed in 0..200_u64 {
        let (mut m, alice, carol) = middle(seed);
        let phones = [(alice, 1), (carol, 3), (m.world.phone(4), 4), (m.world.phone(5), 5)];
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut random = move |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 33) as usize % below
        };
        let mut calls: Vec<(sim::NodeId, CallHandle)> = Vec::new();
        let mut seen = 0;
        for _ in 0..60 {
            m.to = phones[random(4)].1;
            let (node, me) = phones[random(4)];
            if random(8) == 0 && m.to != me {
                let call = if random(3) == 0 { m.world.invite(node, invite(me, 2)) } else { m.world.call(node, me, 2) };
                calls.push((node, call));
            }
            let own: Vec<_> = calls.iter().filter(|(of, _)| *of == node).map(|(_, call)| *call).collect();
            if !own.is_empty() {
                let (call, other) = (own[random(own.len())], own[random(own.len())]);
                let (what, to) = (random(16), phones[random(4)].1);
                let body = if random(2) == 0 { offer() } else { answer() };
                m.world.tell(node, |core, ep, now| match what {
                    0 => drop(core.reinvite(ep, now, call, Some(body), ExtraHeaders::new())),
                    1 => drop(core.reinvite(ep, now, call, None, ExtraHeaders::new())),
                    2..=6 => drop(core.answer(ep, now, call, body)),
                    7 => drop(core.refuse(ep, now, call, status(488), Reply::new())),
                    8 => drop(core.progress(ep, now, call, Progress::new(status(183)).reliable().body(body))),
                    9 => drop(core.accept(ep, now, call, Reply::new())),
                    10..=12 => drop(core.accept(ep, now, call, Reply::new().body(body))),
                    13 => drop(core.refer(ep, now, call, Refer::new(format!("sip:{to}@192.0.2.{to}")))),
                    14 => drop(core.transfer_to(ep, now, call, other)),
                    _ if to == me => drop(core.hang_up(ep, now, call, None)),
                    _ => {}
                });
            }
            m.run();
            for happened in &m.world.log[seen..] {
                if let Event::Call { call, event: CallEvent::Incoming { .. } } = happened.event {
                    if happened.node != m.node {
                        calls.push((happened.node, call));
                    }
                }
            }
            seen = m.world.log.len();
        }
        for (node, call) in calls {
            m.world.tell(node, |core, ep, now| drop(core.hang_up(ep, now, call, None)));
        }
        for _ in 0..300 {
            m.run();
        }
        assert!(m.world.net.trace().len() < 3000, "seed {seed}: {}", m.world.net.trace().len());
        let left = m.world.tell(m.node, |core, _, _| core.live_calls().count());
        assert!(m.b2bua.is_empty() && left == 0, "seed {seed}: {:?}, {left} calls\n{}", m.b2bua, m.world.ladder());
    }
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.1
//= type=test
//# If the initial offer is in an INVITE, the answer MUST be in a reliable
//# non-failure message from UAS back to UAC which is correlated to that
//# INVITE.
#[test]
fn an_answer_that_came_reliably_is_in_the_200_to_a_caller_without_reliable_responses() {
    let mut world = World::new(91);
    let never = |config: &mut sip_dialog::UserAgentConfig| config.reliable = sip_dialog::Reliable::Never;
    let (alice, node, carol) = (world.phone_with(1, never), world.phone(2), world.phone(3));
    let mut m = Middle { world, node, b2bua: B2bua::new(), seen: 0, to: 3 };
    let ours = m.world.call(alice, 1, 2);
    m.run();
    let theirs = m.world.incoming(carol);
    let early = Progress::new(status(183)).reliable().body(answer());
    m.world.tell(carol, |core, ep, now| core.progress(ep, now, theirs, early)).unwrap();
    m.run();
    m.world.tell(carol, |core, ep, now| core.accept(ep, now, theirs, Reply::new())).unwrap();
    m.run();
    let session = m.world.until_call(alice, ours, |event| match event {
        CallEvent::Accepted { message: Some(message), session, .. } => Some((message.body().to_vec(), *session)),
        _ => None,
    });
    assert_eq!(session, (ANSWER.to_vec(), Some(Meaning::Answer)));
    m.world.hang_up(alice, ours);
    m.run();
    assert_eq!(m.world.end_of(carol, theirs), EndCause::PeerHungUp);
    assert!(m.b2bua.is_empty());
    m.world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.1
//= type=test
//# The initial offer MUST be in either an INVITE or, if not there, in the
//# first reliable non-failure message from the UAS back to the UAC.
#[test]
fn a_caller_without_reliable_responses_has_the_offer_in_the_200() {
    let mut world = World::new(93);
    let never = |config: &mut sip_dialog::UserAgentConfig| config.reliable = sip_dialog::Reliable::Never;
    let (alice, node, carol) = (world.phone_with(1, never), world.phone(2), world.phone(3));
    let mut m = Middle { world, node, b2bua: B2bua::new(), seen: 0, to: 3 };
    let ours = m.world.invite(alice, invite(1, 2));
    m.run();
    let asked = m.world.last("INVITE sip:3@");
    assert_eq!(asked.field(Header::Supported), Some(&b"timer, replaces, join, norefersub, tdialog, 199, gruu"[..]));
    let theirs = m.world.incoming(carol);
    // She would make her offer early.
    let early = || Progress::new(status(183)).reliable().body(offer());
    let refused = m.world.tell(carol, |core, ep, now| core.progress(ep, now, theirs, early()));
    assert_eq!(refused, Err(CommandError::BodyNotAllowed));
    m.world.tell(carol, |core, ep, now| core.progress(ep, now, theirs, Progress::ringing())).unwrap();
    m.run();
    m.world.tell(carol, |core, ep, now| core.accept(ep, now, theirs, Reply::new().body(offer()))).unwrap();
    m.run();
    let accepted = |event: &CallEvent| matches!(event, CallEvent::Accepted { session: Some(Meaning::Offer), .. });
    m.world.until_call(alice, ours, |event| accepted(event).then_some(()));
    m.world.tell(alice, |core, ep, now| core.answer(ep, now, ours, answer())).unwrap();
    m.run();
    let confirmed = m.world.until_call(carol, theirs, |event| match event {
        CallEvent::Confirmed { message: Some(message), .. } => Some(message.body().to_vec()),
        _ => None,
    });
    assert_eq!(confirmed, ANSWER);
    m.world.hang_up(alice, ours);
    m.run();
    assert_eq!(m.world.end_of(carol, theirs), EndCause::PeerHungUp);
    m.world.finish();

    // One who takes them has it as early as the callee makes it.
    let (mut m, alice, carol) = middle(94);
    let ours = m.world.invite(alice, invite(1, 2));
    m.run();
    let theirs = m.world.incoming(carol);
    m.world.tell(carol, |core, ep, now| core.progress(ep, now, theirs, early())).unwrap();
    m.run();
    let offered = |event: &CallEvent| matches!(event, CallEvent::Progress { session: Some(Meaning::Offer), .. });
    m.world.until_call(alice, ours, |event| offered(event).then_some(()));
    m.world.hang_up(alice, ours);
    m.run();
    m.world.finish();
}

#[test]
fn early_dialogs_that_come_and_go_do_not_pile_up() {
    let (mut m, alice, _) = middle(92);
    let raw = m.world.raw(4);
    m.to = 4;
    let ours = m.world.call(alice, 1, 2);
    m.run();
    let (tx, invite) = m.world.request_at(raw);
    let mut kept = Vec::new();
    for n in 0..8 {
        let tag = format!("fork{n}");
        m.world.respond(raw, tx, &invite, 183, |builder| {
            let builder = builder.to_tag(&tag).header(Header::Contact, format!("<sip:{tag}@192.0.2.4>"));
            let builder = builder.header(Header::Require, "100rel").header(Header::RSeq, 1);
            builder.body("application/sdp", ANSWER)
        });
        m.run();
        let (prack_tx, prack) = m.world.request_at(raw);
        assert_eq!(prack.method(), Some(Method::Prack));
        m.world.respond(raw, prack_tx, &prack, 200, |builder| builder);
        m.world.respond(raw, tx, &invite, 199, |builder| {
            builder.to_tag(&tag).header(Header::Contact, format!("<sip:{tag}@192.0.2.4>"))
        });
        m.run();
        kept.push(format!("{:?}", m.b2bua).matches("content_type").count());
    }
    assert!(kept.iter().all(|kept| *kept <= 1), "{kept:?}");
    m.world.respond(raw, tx, &invite, 486, |builder| builder.to_tag("busy"));
    m.run();
    assert_eq!(m.world.end_of(alice, ours), EndCause::PeerRejected(status(486)));
    assert!(m.b2bua.is_empty());
    m.world.finish();
}
