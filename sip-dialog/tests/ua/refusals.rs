//! Offers that nobody answers any more: the ACK takes nothing of them, and BYE follows (RFC 3261 section 13.2.2.4, RFC 3264 section 6).

use super::forks::branch;
use crate::common::*;
use sip_dialog::{CallEvent, EndCause, Meaning};
use sip_message::{Header, Message, Method};
use sip_transaction::ServerTxId;
use std::time::Duration;

/// What takes nothing of `ANSWER` as an offer.
const NOTHING: &[u8] = b"v=0\r\no=- 2 1 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\nm=audio 0 RTP/AVP 0\r\n";

/// Answers the BYE that comes next, and says whom it was for.
#[track_caller]
fn hung_up(world: &mut World, raw: sim::NodeId) -> String {
    let (tx, request) = world.request_at(raw);
    assert_eq!(request.method(), Some(Method::Bye));
    world.respond(raw, tx, &request, 200, |builder| builder);
    request.to().unwrap().tag().unwrap().unwrap().to_owned()
}

/// The ACKs that were sent to `tag`.
fn acks(world: &World, tag: &str) -> Vec<Message> {
    let to = |message: &Message| message.to().unwrap().tag().unwrap() == Some(tag);
    world.messages().into_iter().filter(|message| message.method() == Some(Method::Ack) && to(message)).collect()
}

/// A call without an offer that has come to `raw`.
fn asked(world: &mut World, alice: sim::NodeId, raw: sim::NodeId) -> (sip_dialog::CallHandle, ServerTxId, Message) {
    let ours = world.invite(alice, invite(1, 2));
    let (tx, request) = world.request_at(raw);
    (ours, tx, request)
}

#[test]
fn the_offer_of_a_fork_that_has_lost_is_refused_in_the_ack() {
    let mut world = World::new(1);
    let (alice, raw) = (world.phone(1), world.raw(2));
    let (ours, tx, invite) = asked(&mut world, alice, raw);
    branch(&mut world, raw, tx, &invite, 180, "two", b"");
    branch(&mut world, raw, tx, &invite, 200, "one", OFFER);
    world.until_call(alice, ours, |event| matches!(event, CallEvent::Accepted { .. }).then_some(()));
    world.tell(alice, |core, ep, now| core.answer(ep, now, ours, answer())).unwrap();
    // One that rang, and one nobody had heard of.
    branch(&mut world, raw, tx, &invite, 200, "two", ANSWER);
    branch(&mut world, raw, tx, &invite, 200, "three", ANSWER);
    assert_eq!([hung_up(&mut world, raw), hung_up(&mut world, raw)], ["two", "three"]);
    for tag in ["two", "three"] {
        let acks = acks(&world, tag);
        assert_eq!(acks[0].field(Header::ContentType), Some(&b"application/sdp"[..]));
        assert_eq!(acks[0].body(), NOTHING, "{tag}");
    }
    assert_eq!(acks(&world, "one")[0].body(), ANSWER);
    world.hang_up(alice, ours);
    assert_eq!(hung_up(&mut world, raw), "one");
    world.finish();
}

#[test]
fn the_offer_that_crosses_a_cancel_is_refused_in_the_ack() {
    let mut world = World::new(2);
    let (alice, raw) = (world.phone(1), world.raw(2));
    let (ours, tx, invite) = asked(&mut world, alice, raw);
    branch(&mut world, raw, tx, &invite, 180, "one", b"");
    world.until_call(alice, ours, |event| matches!(event, CallEvent::Progress { .. }).then_some(()));
    world.hang_up(alice, ours);
    branch(&mut world, raw, tx, &invite, 200, "one", ANSWER);
    assert_eq!(world.end_of(alice, ours), EndCause::Cancelled);
    assert_eq!(hung_up(&mut world, raw), "one");
    assert_eq!(acks(&world, "one")[0].body(), NOTHING);
    world.finish();
}

#[test]
fn an_answer_to_an_offer_of_ours_gets_no_answer_of_its_own() {
    let mut world = World::new(3);
    let (alice, raw) = (world.phone(1), world.raw(2));
    let ours = world.call(alice, 1, 2);
    let (tx, invite) = world.request_at(raw);
    branch(&mut world, raw, tx, &invite, 180, "one", b"");
    world.until_call(alice, ours, |event| matches!(event, CallEvent::Progress { .. }).then_some(()));
    world.hang_up(alice, ours);
    branch(&mut world, raw, tx, &invite, 200, "one", ANSWER);
    assert_eq!(hung_up(&mut world, raw), "one");
    assert!(acks(&world, "one")[0].body().is_empty());
    world.finish();
}

/// A reliable response of a branch, with an offer, which the host answers in the PRACK.
fn offer_early(world: &mut World, alice: sim::NodeId, raw: sim::NodeId, tx: ServerTxId, invite: &Message, tag: &str) {
    let mut response = Message::response(invite, status(183)).to_tag(tag);
    response = response.header(Header::Contact, format!("<sip:{tag}@192.0.2.2>")).header(Header::Require, "100rel");
    let now = world.now();
    let response = response.header(Header::RSeq, 7).body("application/sdp", OFFER).build().unwrap();
    sim::Host::endpoint(world.net.host(raw)).respond(now, tx, response).unwrap();
    let (call, dialog) = world.until(alice, |event| match event {
        sip_dialog::Event::Call { call, event: CallEvent::Progress { dialog, session: Some(Meaning::Offer), .. } } => {
            Some((*call, dialog.unwrap()))
        }
        _ => None,
    });
    world.tell(alice, |core, ep, now| core.answer_early(ep, now, call, dialog, answer())).unwrap();
    let (prack, request) = world.request_at(raw);
    assert_eq!((request.method(), request.body()), (Some(Method::Prack), ANSWER));
    world.respond(raw, prack, &request, 200, |builder| builder);
}

#[test]
fn what_a_prack_has_answered_is_no_offer_any_more() {
    let mut world = World::new(4);
    let (alice, raw) = (world.phone(1), world.raw(2));
    let (ours, tx, invite) = asked(&mut world, alice, raw);
    offer_early(&mut world, alice, raw, tx, &invite, "one");
    offer_early(&mut world, alice, raw, tx, &invite, "two");
    branch(&mut world, raw, tx, &invite, 200, "three", OFFER);
    world.until_call(alice, ours, |event| matches!(event, CallEvent::Accepted { .. }).then_some(()));
    // A loser that repeats its offer, and one that never made it.
    branch(&mut world, raw, tx, &invite, 200, "two", OFFER);
    branch(&mut world, raw, tx, &invite, 200, "four", ANSWER);
    assert_eq!([hung_up(&mut world, raw), hung_up(&mut world, raw)], ["two", "four"]);
    assert!(acks(&world, "two")[0].body().is_empty());
    assert_eq!(acks(&world, "four")[0].body(), NOTHING);
    world.hang_up(alice, ours);
    assert_eq!(hung_up(&mut world, raw), "three");
    world.finish();

    // The same where the call is given up.
    let mut world = World::new(5);
    let (alice, raw) = (world.phone(1), world.raw(2));
    let (ours, tx, invite) = asked(&mut world, alice, raw);
    offer_early(&mut world, alice, raw, tx, &invite, "one");
    world.hang_up(alice, ours);
    branch(&mut world, raw, tx, &invite, 200, "one", OFFER);
    assert_eq!(hung_up(&mut world, raw), "one");
    assert!(acks(&world, "one")[0].body().is_empty());
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.2.4
//= type=test
//# If the offer in the 2xx response is not acceptable, the UAC core MUST
//# generate a valid answer in the ACK and then send a BYE immediately.
#[test]
fn an_offer_the_host_will_not_have_is_refused_and_hung_up() {
    let mut world = World::new(6);
    let (alice, bob) = (world.phone(1), world.phone(2));
    for late in [false, true] {
        let ours = world.invite(alice, invite(1, 2));
        let theirs = world.incoming(bob);
        world.accept(bob, theirs).unwrap();
        world.until_call(alice, ours, |event| matches!(event, CallEvent::Accepted { .. }).then_some(()));
        if !late {
            world.hang_up(alice, ours);
        }
        assert_eq!(world.end_of(alice, ours), if late { EndCause::NoSession } else { EndCause::HungUp });
        assert_eq!(world.end_of(bob, theirs), EndCause::PeerHungUp);
        assert_eq!(world.last("ACK").body(), NOTHING);
        let sent = world.sent();
        let last: Vec<_> = sent.iter().rev().take(3).rev().collect();
        assert_eq!(last, ["1>2 ACK", "1>2 BYE", "2>1 200"]);
    }
    world.finish();
}

#[test]
fn the_offer_in_a_200_to_a_reinvite_is_refused_when_the_call_ends() {
    for (seed, late) in [(7, false), (8, true)] {
        let mut world = World::new(seed);
        let (alice, bob) = (world.phone(1), world.phone(2));
        let (ours, theirs) = world.established(alice, bob, 1, 2);
        world.tell(alice, |core, ep, now| core.reinvite(ep, now, ours, None, Default::default())).unwrap();
        world.until_call(bob, theirs, |event| matches!(event, CallEvent::OfferWanted { .. }).then_some(()));
        world.tell(bob, |core, ep, now| core.answer(ep, now, theirs, answer())).unwrap();
        if late {
            // Both at once: the 200 finds no call any more.
            world.hang_up(alice, ours);
        } else {
            let offer = |event: &CallEvent| matches!(event, CallEvent::Answered { session: Some(Meaning::Offer), .. });
            world.until_call(alice, ours, |event| offer(event).then_some(()));
            world.hang_up(alice, ours);
        }
        assert_eq!(world.end_of(bob, theirs), EndCause::PeerHungUp);
        world.run_for(Duration::from_secs(1));
        assert_eq!(world.last("ACK").body(), NOTHING);
        world.finish();
    }
}

/// The 200 to a re-INVITE comes when the call is over and its BYE answered.
#[test]
fn a_200_to_a_reinvite_of_a_call_long_gone_has_its_ack() {
    let mut world = World::new(9);
    let (alice, raw) = (world.phone(1), world.raw(2));
    let ours = world.call(alice, 1, 2);
    let (tx, invite) = world.request_at(raw);
    branch(&mut world, raw, tx, &invite, 200, "one", ANSWER);
    world.until_confirmed(alice, ours);
    world.tell(alice, |core, ep, now| core.reinvite(ep, now, ours, None, Default::default())).unwrap();
    let (tx, again) = world.request_at(raw);
    world.respond(raw, tx, &again, 100, |builder| builder);
    world.hang_up(alice, ours);
    assert_eq!(hung_up(&mut world, raw), "one");
    settle(&mut world);
    branch(&mut world, raw, tx, &again, 200, "one", ANSWER);
    settle(&mut world);
    let acks = acks(&world, "one");
    let ack = acks.iter().find(|ack| ack.cseq().unwrap().number == again.cseq().unwrap().number).expect("no ACK");
    assert_eq!(ack.body(), NOTHING);
    assert_eq!(ack.request_uri_bytes(), Some(&b"sip:one@192.0.2.2"[..]));
    world.finish();
}

/// Each 2xx under another name would be another ACK to keep.
#[test]
fn a_reinvite_that_is_accepted_under_many_names_costs_no_more_than_a_fork() {
    let mut world = World::new(10);
    let (alice, raw) = (world.phone_with(1, |config| config.limits.forks = 4), world.raw(2));
    let ours = world.call(alice, 1, 2);
    let (tx, invite) = world.request_at(raw);
    branch(&mut world, raw, tx, &invite, 200, "one", ANSWER);
    world.until_confirmed(alice, ours);
    world.tell(alice, |core, ep, now| core.reinvite(ep, now, ours, Some(offer()), Default::default())).unwrap();
    let (tx, again) = world.request_at(raw);
    branch(&mut world, raw, tx, &again, 200, "one", ANSWER);
    for n in 0..60 {
        let ok = Message::response(&again, status(200)).header(Header::Contact, "<sip:one@192.0.2.2>");
        let mut ok = ok.body("application/sdp", ANSWER).build().unwrap();
        ok.set(Header::To, format!("<sip:2@192.0.2.2>;tag=name{n}")).unwrap();
        let now = world.now();
        sim::Host::endpoint(world.net.host(raw)).respond(now, tx, ok).unwrap();
    }
    world.run_for(Duration::from_secs(1));
    let number = again.cseq().unwrap().number;
    let acks = world
        .messages()
        .into_iter()
        .filter(|message| message.method() == Some(Method::Ack) && message.cseq().unwrap().number == number);
    assert!((1..=5).contains(&acks.count()), "{}", world.ladder());
    world.hang_up(alice, ours);
    assert_eq!(hung_up(&mut world, raw), "one");
    world.finish();
}
