//! The races of RFC 5407, by its section numbers, and a few more that calls were lost in.

use crate::common::*;
use sim::Fate;
use sip_dialog::{CallEvent, CommandError, EndCause, Event, ExtraHeaders, Progress, Reply};
use sip_message::{Header, Method};
use sip_transaction::Input;
use std::time::Duration;

/// Loses the first packet that begins so.
fn lose_first(world: &mut World, start: &'static [u8]) {
    let mut lost = false;
    world.net.set_filter(move |packet| {
        if packet.bytes.starts_with(start) && !std::mem::replace(&mut lost, true) { Fate::Lose } else { Fate::Carry }
    });
}

/// RFC 5407 section 3.1.2: the callee hears of a CANCEL after it has sent the 200.
#[test]
fn s3_1_2_cancel_crosses_the_200() {
    let mut world = World::new(1);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let ours = world.call(alice, 1, 2);
    let theirs = world.incoming(bob);
    world.tell(bob, |core, ep, now| core.progress(ep, now, theirs, Progress::ringing())).unwrap();
    world.until_call(alice, ours, |event| matches!(event, CallEvent::Progress { .. }).then_some(()));
    world.hang_up(alice, ours);
    world.accept(bob, theirs).unwrap();
    assert_eq!(world.end_of(bob, theirs), EndCause::PeerHungUp);
    assert_eq!(world.end_of(alice, ours), EndCause::Cancelled);
    world.finish();
}

/// RFC 5407 section 3.1.4: the ACK is lost, and a re-INVITE comes before the next one.
#[test]
fn s3_1_4_a_reinvite_overtakes_the_ack() {
    let mut world = World::new(2);
    let (alice, bob) = (world.phone(1), world.phone(2));
    lose_first(&mut world, b"ACK");
    let ours = world.call(alice, 1, 2);
    let theirs = world.incoming(bob);
    world.accept(bob, theirs).unwrap();
    world.until_confirmed(alice, ours);
    world.tell(alice, |core, ep, now| core.reinvite(ep, now, ours, Some(offer()), ExtraHeaders::new())).unwrap();
    world.until_call(bob, theirs, |event| matches!(event, CallEvent::Offer { .. }).then_some(()));
    world.tell(bob, |core, ep, now| core.answer(ep, now, theirs, answer())).unwrap();
    world.until_call(alice, ours, |event| matches!(event, CallEvent::Answered { .. }).then_some(()));
    world.run_for(Duration::from_secs(3));
    assert!(world.tell(bob, |core, _, _| core.call(theirs)).unwrap().state == sip_dialog::CallState::Confirmed);
    world.hang_up(alice, ours);
    assert_eq!(world.end_of(bob, theirs), EndCause::PeerHungUp);
    world.finish();
}

/// RFC 5407 section 3.1.6: the caller hangs up before the callee has its ACK.
#[test]
fn s3_1_6_bye_overtakes_the_ack() {
    let mut world = World::new(3);
    let (alice, bob) = (world.phone(1), world.phone(2));
    lose_first(&mut world, b"ACK");
    let ours = world.call(alice, 1, 2);
    let theirs = world.incoming(bob);
    world.accept(bob, theirs).unwrap();
    world.until_confirmed(alice, ours);
    world.hang_up(alice, ours);
    assert_eq!(world.end_of(bob, theirs), EndCause::PeerHungUp);
    world.finish();
}

/// RFC 5407 section 3.2.2: BYE crosses a re-INVITE.
#[test]
fn s3_2_2_bye_crosses_a_reinvite() {
    let mut world = World::new(4);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let (ours, theirs) = world.established(alice, bob, 1, 2);
    world.tell(bob, |core, ep, now| core.reinvite(ep, now, theirs, Some(offer()), ExtraHeaders::new())).unwrap();
    world.hang_up(alice, ours);
    assert_eq!(world.end_of(alice, ours), EndCause::HungUp);
    assert_eq!(world.end_of(bob, theirs), EndCause::PeerHungUp);
    world.finish();
}

/// RFC 5407 section 3.3.2: UPDATE crosses a re-INVITE.
#[test]
fn s3_3_2_update_crosses_a_reinvite() {
    let mut world = World::new(5);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let (ours, theirs) = world.established(alice, bob, 1, 2);
    world.tell(alice, |core, ep, now| core.reinvite(ep, now, ours, Some(offer()), ExtraHeaders::new())).unwrap();
    world.tell(bob, |core, ep, now| core.update(ep, now, theirs, Some(offer()), ExtraHeaders::new())).unwrap();
    for _ in 0..2 {
        // Whoever's second attempt comes first is answered first.
        let (node, call) = world.until_any_offer();
        world.tell(node, |core, ep, now| core.answer(ep, now, call, answer())).unwrap();
        let (other, theirs) = if node == alice { (bob, theirs) } else { (alice, ours) };
        world.until_call(other, theirs, |event| matches!(event, CallEvent::Answered { .. }).then_some(()));
    }
    world.hang_up(bob, theirs);
    assert_eq!(world.end_of(alice, ours), EndCause::PeerHungUp);
    world.finish();
}

/// RFC 5407 section 3.2.1: both hang up at once, and each BYE is answered 200.
//= https://www.rfc-editor.org/rfc/rfc3261#section-15.1.1
//= type=test
//# If the response for the BYE is a 481 (Call/Transaction Does Not Exist)
//# or a 408 (Request Timeout) or no response at all is received for the BYE
//# (that is, a timeout is returned by the client transaction), the UAC MUST
//# consider the session and the dialog terminated.
#[test]
fn s3_2_1_bye_crosses_bye() {
    let mut world = World::new(6);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let (ours, theirs) = world.established(alice, bob, 1, 2);
    let before = world.sent().len();
    world.hang_up(alice, ours);
    world.hang_up(bob, theirs);
    assert_eq!(world.end_of(alice, ours), EndCause::HungUp);
    assert_eq!(world.end_of(bob, theirs), EndCause::HungUp);
    world.run_for(Duration::from_secs(1));
    let mut after = world.sent()[before..].to_vec();
    after.sort();
    assert_eq!(after, ["1>2 200", "1>2 BYE", "2>1 200", "2>1 BYE"]);
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-13.3.1.4
//= type=test
//# If the server retransmits the 2xx response for 64*T1 seconds without
//# receiving an ACK, the dialog is confirmed, but the session SHOULD be
//# terminated.
//= https://www.rfc-editor.org/rfc/rfc3261#section-15
//= type=test
//# However, the callee's UA MUST NOT send a BYE on a confirmed dialog until
//# it has received an ACK for its 2xx response or until the server
//# transaction times out.
#[test]
fn a_200_that_is_never_acknowledged_ends_in_a_bye() {
    let mut world = World::new(7);
    let (alice, bob) = (world.phone(1), world.phone(2));
    world.net.set_filter(|packet| if packet.bytes.starts_with(b"ACK") { Fate::Lose } else { Fate::Carry });
    let ours = world.call(alice, 1, 2);
    let theirs = world.incoming(bob);
    world.accept(bob, theirs).unwrap();
    // The callee wants out at once, but its BYE must wait.
    world.hang_up(bob, theirs);
    assert!(!world.sent().iter().any(|what| what.ends_with("BYE")));
    assert_eq!(world.end_of(bob, theirs), EndCause::HungUp);
    assert_eq!(world.end_of(alice, ours), EndCause::PeerHungUp);
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.2.4
//= type=test
//# The ACK MUST be passed to the client transport every time a
//# retransmission of the 2xx final response that triggered the ACK arrives.
#[test]
fn a_lost_ack_is_sent_again_for_the_200_that_comes_again() {
    let mut world = World::new(8);
    let (alice, bob) = (world.phone(1), world.phone(2));
    lose_first(&mut world, b"ACK");
    let (ours, theirs) = world.established(alice, bob, 1, 2);
    assert_eq!(world.sent().iter().filter(|what| *what == "1>2 ACK").count(), 2);
    world.hang_up(bob, theirs);
    assert_eq!(world.end_of(alice, ours), EndCause::PeerHungUp);
    world.finish();
}

/// A re-INVITE whose 200 comes after the call is over still has its ACK, so that the peer does not repeat it.
#[test]
fn a_late_200_to_a_reinvite_is_acknowledged() {
    let mut world = World::new(9);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let (ours, theirs) = world.established(alice, bob, 1, 2);
    world.tell(alice, |core, ep, now| core.reinvite(ep, now, ours, Some(offer()), ExtraHeaders::new())).unwrap();
    world.until_call(bob, theirs, |event| matches!(event, CallEvent::Offer { .. }).then_some(()));
    world.tell(bob, |core, ep, now| core.answer(ep, now, theirs, answer())).unwrap();
    world.hang_up(alice, ours);
    assert_eq!(world.end_of(bob, theirs), EndCause::PeerHungUp);
    world.finish();
}

#[test]
fn calls_stand_on_a_network_that_loses_and_doubles() {
    for seed in 0..20 {
        let mut world = World::new(seed);
        let (alice, bob) = (world.phone(1), world.phone(2));
        world.net.faults.loss = 200;
        world.net.faults.duplicates = 200;
        world.net.faults.jitter = Duration::from_millis(300);
        let (ours, theirs) = world.established(alice, bob, 1, 2);
        world.hang_up(alice, ours);
        world.end_of(bob, theirs);
        world.end_of(alice, ours);
        world.finish();
    }
}

/// An ACK that has the INVITE's branch and another To tag than ours, as follows a 4xx that somebody else made, does not pass for that of our 2xx.
#[test]
fn an_ack_with_another_tag_acknowledges_nothing() {
    let mut world = World::new(30);
    let (alice, bob) = (world.phone(1), world.phone(2));
    world.call(alice, 1, 2);
    let theirs = world.incoming(bob);
    world.net.set_filter(|packet| if packet.bytes.starts_with(b"ACK") { Fate::Lose } else { Fate::Carry });
    world.accept(bob, theirs).unwrap();
    world.run_for(Duration::from_secs(1));
    let invite = world.messages().into_iter().find(|message| message.method() == Some(Method::Invite)).unwrap();
    let text = String::from_utf8(invite.to_bytes().to_vec()).unwrap();
    let field = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap();
    let ack = format!(
        "ACK sip:2@192.0.2.2 SIP/2.0\r\n{}\r\nMax-Forwards: 70\r\n{}\r\n{};tag=stranger\r\n{}\r\n{}\r\nContent-Length: 0\r\n\r\n",
        field("Via:"),
        field("From:"),
        field("To:"),
        field("Call-ID:"),
        field("CSeq:").replace("INVITE", "ACK"),
    );
    let (flow, now) = (world.flow_of(bob), world.now());
    let input = Input::Datagram { flow, remote: "192.0.2.1:5060".parse().unwrap(), bytes: ack.as_bytes() };
    world.net.host(bob).agent().handle_input(now, input).unwrap();
    let before = world.sent().iter().filter(|title| title.contains("200")).count();
    world.run_for(Duration::from_secs(3));
    let after = world.sent().iter().filter(|title| title.contains("200")).count();
    assert!(after > before, "the 2xx is not retransmitted any more");
    assert_eq!(world.end_of(bob, theirs), EndCause::NotAcknowledged);
}

/// RFC 5407 section 3.1.1: the 180 is lost, and the INVITE is sent again while the 200 is on its way.
#[test]
fn s3_1_1_the_invite_again_crosses_the_200() {
    let mut world = World::new(40);
    let (alice, bob) = (world.phone(1), world.phone(2));
    world.net.set_filter(|packet| match packet.bytes.starts_with(b"SIP/2.0 1") {
        true => Fate::Lose,
        false => Fate::Carry,
    });
    let ours = world.call(alice, 1, 2);
    let theirs = rung(&mut world, bob);
    // The INVITE is sent again after 500 ms; the 200 leaves just before it would arrive.
    world.run_for(Duration::from_millis(492));
    world.accept(bob, theirs).unwrap();
    world.until_confirmed(alice, ours);
    world.until_confirmed(bob, theirs);
    settle(&mut world);
    assert_eq!(world.sent().iter().filter(|what| *what == "1>2 INVITE").count(), 2, "{}", world.ladder());
    let calls = world
        .log
        .iter()
        .filter(|happened| matches!(happened.event, Event::Call { event: CallEvent::Incoming { .. }, .. }));
    assert_eq!(calls.count(), 1, "the second is no call of its own");
    world.hang_up(alice, ours);
    world.finish();
}

/// RFC 5407 section 3.1.3: the caller hangs up on the early dialog, with a BYE, while the 200 is on its way.
#[test]
fn s3_1_3_an_early_bye_crosses_the_200() {
    let mut world = World::new(41);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let ours = world.call(alice, 1, 2);
    let theirs = rung(&mut world, bob);
    let dialog = world.until_call(alice, ours, |event| match event {
        CallEvent::Progress { dialog, .. } => *dialog,
        _ => None,
    });
    world.tell(alice, |core, ep, now| core.hang_up_early(ep, now, ours, dialog, None)).unwrap();
    world.accept(bob, theirs).unwrap();
    assert_eq!(world.end_of(bob, theirs), EndCause::PeerHungUp);
    assert_eq!(world.end_of(alice, ours), EndCause::Cancelled);
    settle(&mut world);
    assert!(world.sent().contains(&"1>2 ACK".to_owned()), "the 200 has its ACK: {}", world.ladder());
    world.finish();
}

/// RFC 5407 section 3.1.5: the ACK with the answer is lost, and an offer comes before it: it meets ours and is answered 491.
#[test]
fn s3_1_5_a_reinvite_overtakes_the_ack_with_the_answer() {
    let mut world = World::new(42);
    let (alice, bob) = (world.phone(1), world.phone(2));
    lose_first(&mut world, b"ACK");
    let ours = world.invite(alice, invite(1, 2));
    let theirs = world.incoming(bob);
    world.tell(bob, |core, ep, now| core.accept(ep, now, theirs, Reply::new().body(offer()))).unwrap();
    world.until_call(alice, ours, |event| matches!(event, CallEvent::Accepted { .. }).then_some(()));
    world.tell(alice, |core, ep, now| core.answer(ep, now, ours, answer())).unwrap();
    world.tell(alice, |core, ep, now| core.reinvite(ep, now, ours, Some(offer()), ExtraHeaders::new())).unwrap();
    settle(&mut world);
    assert!(world.sent().contains(&"2>1 491".to_owned()), "{}", world.ladder());
    // The second ACK completes the first exchange, and the change is made then.
    world.until_confirmed(bob, theirs);
    world.until_call(bob, theirs, |event| matches!(event, CallEvent::Offer { .. }).then_some(()));
    world.tell(bob, |core, ep, now| core.answer(ep, now, theirs, answer())).unwrap();
    world.until_call(alice, ours, |event| matches!(event, CallEvent::Answered { .. }).then_some(()));
    world.hang_up(bob, theirs);
    assert_eq!(world.end_of(alice, ours), EndCause::PeerHungUp);
    world.finish();
}

/// RFC 5407 section 3.2.3: who has asked for a change hangs up, and the 200 to the re-INVITE comes after that.
#[test]
fn s3_2_3_the_200_to_a_reinvite_crosses_bye() {
    let mut world = World::new(43);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let (ours, theirs) = world.established(alice, bob, 1, 2);
    world.tell(bob, |core, ep, now| core.reinvite(ep, now, theirs, Some(offer()), ExtraHeaders::new())).unwrap();
    world.until_call(alice, ours, |event| matches!(event, CallEvent::Offer { .. }).then_some(()));
    let before = world.sent().len();
    world.tell(alice, |core, ep, now| core.answer(ep, now, ours, answer())).unwrap();
    world.hang_up(bob, theirs);
    assert_eq!(world.end_of(alice, ours), EndCause::PeerHungUp);
    assert_eq!(world.end_of(bob, theirs), EndCause::HungUp);
    settle(&mut world);
    let mut after = world.sent()[before..].to_vec();
    after.sort();
    assert_eq!(after, ["1>2 200", "1>2 200", "2>1 ACK", "2>1 BYE"], "{}", world.ladder());
    world.finish();
}

/// RFC 5407 section 3.2.4: the callee wants out while the ACK is on its way. Its BYE waits for the ACK, so that they do not cross.
#[test]
fn s3_2_4_the_ack_does_not_cross_bye() {
    let mut world = World::new(44);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let ours = world.call(alice, 1, 2);
    let theirs = world.incoming(bob);
    world.accept(bob, theirs).unwrap();
    world.hang_up(bob, theirs);
    assert_eq!(world.end_of(alice, ours), EndCause::PeerHungUp);
    settle(&mut world);
    world.went("F1 1>2 INVITE  F3 2>1 200  F4 1>2 ACK  F5 2>1 BYE  F6 1>2 200");
    world.finish();
}

/// RFC 5407 section 3.3.1: both change the session at once; both are answered 491, and both changes go through later.
#[test]
fn s3_3_1_reinvite_crosses_reinvite() {
    let mut world = World::new(45);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let (ours, theirs) = world.established(alice, bob, 1, 2);
    let before = world.sent().len();
    for (node, call) in [(alice, ours), (bob, theirs)] {
        world.tell(node, |core, ep, now| core.reinvite(ep, now, call, Some(offer()), ExtraHeaders::new())).unwrap();
    }
    settle(&mut world);
    let mut crossed = world.sent()[before..].to_vec();
    crossed.sort();
    assert_eq!(crossed, ["1>2 491", "1>2 ACK", "1>2 INVITE", "2>1 491", "2>1 ACK", "2>1 INVITE"]);
    for _ in 0..2 {
        let (node, call) = world.until_any_offer();
        world.tell(node, |core, ep, now| core.answer(ep, now, call, answer())).unwrap();
        let (other, of) = if node == alice { (bob, theirs) } else { (alice, ours) };
        world.until_call(other, of, |event| matches!(event, CallEvent::Answered { .. }).then_some(()));
    }
    world.hang_up(bob, theirs);
    world.finish();
}

/// RFC 5407 section 3.3.3: a REFER crosses the BYE: it is answered 481, and no subscription is left of it.
#[test]
fn s3_3_3_refer_crosses_bye() {
    let mut world = World::new(46);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let (ours, theirs) = world.established(alice, bob, 1, 2);
    let refer = sip_dialog::Refer::new("sip:3@192.0.2.3");
    world.hang_up(alice, ours);
    let sub = world.tell(bob, |core, ep, now| core.refer(ep, now, theirs, refer)).unwrap();
    assert_eq!(world.end_of(bob, theirs), EndCause::PeerHungUp);
    let cause = world.until(bob, |event| match event {
        Event::Subscription { subscription, event: sip_dialog::SubscriptionEvent::Ended { cause, .. } }
            if *subscription == sub =>
        {
            Some(*cause)
        }
        _ => None,
    });
    assert_eq!(cause, sip_dialog::SubscriptionEnd::Refused(sip_message::StatusCode::new(481).unwrap()));
    world.finish();
}

/// A BYE that comes behind a request of a subscription in the same dialog is refused for its number, and said again.
#[test]
fn a_bye_that_is_overtaken_is_said_again() {
    let mut world = World::new(30);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let (ours, theirs) = world.established(alice, bob, 1, 2);
    let refer = sip_dialog::Refer::new("sip:3@192.0.2.3");
    world.tell(alice, |core, ep, now| core.refer(ep, now, ours, refer)).unwrap();
    let sub = world.until_call(bob, theirs, |event| match event {
        CallEvent::Refer { subscription, .. } => Some(*subscription),
        _ => None,
    });
    world.tell(bob, |core, ep, now| core.accept_refer(ep, now, sub)).unwrap();
    settle(&mut world);
    world.net.set_filter(|packet| match packet.bytes.starts_with(b"BYE") {
        true => Fate::Delay(Duration::from_millis(100)),
        false => Fate::Carry,
    });
    let farewell = Reply::new()
        .header("Reason", "SIP;cause=200")
        .header("User-to-User", "56a390;encoding=hex")
        .body(sip_dialog::Body::new("text/plain", "goodbye"));
    world.tell(bob, |core, ep, now| core.hang_up_with(ep, now, theirs, farewell)).unwrap();
    world.tell(bob, |core, ep, now| core.report(ep, now, sub, status(200))).unwrap();
    assert_eq!(world.end_of(alice, ours), EndCause::PeerHungUp);
    settle(&mut world);
    // With all that it said the first time.
    let bye = world.last("BYE");
    assert_eq!((bye.field(Header::Reason), bye.body()), (Some(&b"SIP;cause=200"[..]), &b"goodbye"[..]));
    assert_eq!(bye.headers().filter(|field| field.name().as_str() == "User-to-User").count(), 1);
    let sent = world.sent();
    let after = &sent[sent.iter().position(|what| what == "2>1 BYE").unwrap()..];
    assert_eq!(after, ["2>1 BYE", "2>1 NOTIFY", "1>2 200", "1>2 500", "2>1 BYE", "1>2 200"]);
    world.finish();
}

/// A call may be accepted while an UPDATE of the caller still waits for the host: that is answered for it in time.
#[test]
fn an_update_that_waits_outlives_the_200() {
    let mut world = World::new(31);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let ours = world.call(alice, 1, 2);
    let theirs = world.incoming(bob);
    let early = Progress::new(status(183)).reliable().body(answer());
    world.tell(bob, |core, ep, now| core.progress(ep, now, theirs, early)).unwrap();
    world.until_call(bob, theirs, |event| matches!(event, CallEvent::Acknowledged { .. }).then_some(()));
    settle(&mut world);
    world.tell(alice, |core, ep, now| core.update(ep, now, ours, Some(offer()), ExtraHeaders::new())).unwrap();
    world.until_call(bob, theirs, |event| matches!(event, CallEvent::Offer { .. }).then_some(()));
    world.tell(bob, |core, ep, now| core.accept(ep, now, theirs, Reply::new())).unwrap();
    let refused = world.until_call(alice, ours, |event| match event {
        CallEvent::ChangeFailed { status, .. } => Some(*status),
        _ => None,
    });
    assert_eq!(refused, status(504));
    assert!(world.tell(alice, |core, _, _| core.call(ours)).is_some(), "and the call stands");
    world.hang_up(alice, ours);
    world.finish();
}

/// Until the first offer has been made, and answered, an UPDATE has none (RFC 3311 section 5.1).
#[test]
fn no_update_offers_before_the_first_exchange_is_over() {
    let mut world = World::new(32);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let ours = world.invite(alice, invite(1, 2));
    let theirs = rung(&mut world, bob);
    world.until_call(alice, ours, |event| matches!(event, CallEvent::Progress { .. }).then_some(()));
    let offered = world.tell(alice, |core, ep, now| core.update(ep, now, ours, Some(offer()), ExtraHeaders::new()));
    assert_eq!(offered, Err(CommandError::Pending));
    world.accept(bob, theirs).unwrap();
    world.until_call(alice, ours, |event| matches!(event, CallEvent::Accepted { .. }).then_some(()));
    world.tell(alice, |core, ep, now| core.answer(ep, now, ours, answer())).unwrap();
    world.hang_up(alice, ours);
    world.finish();
}

/// The ACK for the first 2xx comes behind a re-INVITE that has been answered: the offer that is pending is that one's, and the next re-INVITE
/// meets it.
#[test]
fn an_ack_that_was_overtaken_leaves_the_next_exchange_alone() {
    let mut world = World::new(33);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let ours = world.call(alice, 1, 2);
    let theirs = world.incoming(bob);
    world.net.set_filter(|packet| match packet.bytes.starts_with(b"ACK") {
        true => Fate::Delay(Duration::from_millis(200)),
        false => Fate::Carry,
    });
    world.accept(bob, theirs).unwrap();
    world.until_confirmed(alice, ours);
    world.tell(alice, |core, ep, now| core.reinvite(ep, now, ours, None, ExtraHeaders::new())).unwrap();
    world.until_call(bob, theirs, |event| matches!(event, CallEvent::OfferWanted { .. }).then_some(()));
    world.until_call(bob, theirs, |event| matches!(event, CallEvent::Confirmed { .. }).then_some(()));
    world.tell(bob, |core, ep, now| core.answer(ep, now, theirs, offer())).unwrap();
    world.until_call(alice, ours, |event| matches!(event, CallEvent::Answered { .. }).then_some(()));
    world.tell(alice, |core, ep, now| core.answer(ep, now, ours, answer())).unwrap();
    world.rewind();
    let session = world.until_call(bob, theirs, |event| match event {
        CallEvent::Answered { session, .. } => Some(*session),
        _ => None,
    });
    assert_eq!(session, Some(sip_dialog::Meaning::Answer));
    world.hang_up(alice, ours);
    world.finish();
}

/// The ACK for the 2xx to a re-INVITE comes behind the next re-INVITE: the exchange under way is that one's, with an offer or without.
#[test]
fn the_ack_of_a_reinvite_that_was_overtaken_leaves_the_next_exchange_alone() {
    for with_offer in [true, false] {
        let mut world = World::new(34);
        let (alice, bob) = (world.phone(1), world.phone(2));
        let (ours, theirs) = world.established(alice, bob, 1, 2);
        settle(&mut world);
        let reinvite = |world: &mut World, body| {
            world.tell(alice, |core, ep, now| core.reinvite(ep, now, ours, body, ExtraHeaders::new())).unwrap();
        };
        reinvite(&mut world, Some(offer()));
        world.until_call(bob, theirs, |event| matches!(event, CallEvent::Offer { .. }).then_some(()));
        world.net.set_filter(|packet| match packet.bytes.starts_with(b"ACK") {
            true => Fate::Delay(Duration::from_millis(200)),
            false => Fate::Carry,
        });
        world.tell(bob, |core, ep, now| core.answer(ep, now, theirs, answer())).unwrap();
        world.until_call(alice, ours, |event| matches!(event, CallEvent::Answered { .. }).then_some(()));
        let before = world.log.len();
        reinvite(&mut world, with_offer.then(offer));
        world.run_for(Duration::from_millis(400));
        let asks = world.log[before..].iter().any(|happened| match &happened.event {
            Event::Call { event: CallEvent::Offer { .. }, .. } => with_offer,
            Event::Call { event: CallEvent::OfferWanted { .. }, .. } => !with_offer,
            _ => false,
        });
        assert!(asks, "{}", world.ladder());
        assert_eq!(world.sent().iter().filter(|what| *what == "1>2 ACK").count(), 2, "{}", world.ladder());
        let body = if with_offer { answer() } else { offer() };
        assert_eq!(world.tell(bob, |core, ep, now| core.answer(ep, now, theirs, body)), Ok(()));
        settle(&mut world);
        if !with_offer {
            world.tell(alice, |core, ep, now| core.answer(ep, now, ours, answer())).unwrap();
        }
        settle(&mut world);
        world.hang_up(alice, ours);
        world.finish();
    }
}

/// A peer that refuses each BYE for its number hears three of them.
#[test]
fn a_bye_is_said_again_twice_at_most() {
    let mut world = World::new(33);
    let (alice, raw) = (world.phone(1), world.raw(2));
    let ours = world.call(alice, 1, 2);
    let (tx, invite) = world.request_at(raw);
    world.respond(raw, tx, &invite, 200, |builder| {
        builder.header(Header::Contact, "<sip:2@192.0.2.2>").body("application/sdp", ANSWER)
    });
    world.until_confirmed(alice, ours);
    let refer = sip_message::Message::request(Method::Refer, "sip:1@192.0.2.1")
        .header(Header::From, "<sip:2@192.0.2.2>;tag=raw")
        .copy_all(&invite, Header::CallId)
        .header(Header::To, String::from_utf8_lossy(invite.field(Header::From).unwrap()).into_owned())
        .cseq(1)
        .header(Header::Contact, "<sip:2@192.0.2.2>")
        .header(Header::ReferTo, "<sip:3@192.0.2.3>")
        .build()
        .unwrap();
    world.send(raw, refer);
    let sub = world.until_call(alice, ours, |event| match event {
        CallEvent::Refer { subscription, .. } => Some(*subscription),
        _ => None,
    });
    world.tell(alice, |core, ep, now| core.accept_refer(ep, now, sub)).unwrap();
    let (tx, request) = world.request_at(raw);
    world.respond(raw, tx, &request, 200, |builder| builder);
    world.hang_up(alice, ours);
    for code in [180, 181, 182, 183] {
        let report = world.tell(alice, |core, ep, now| core.report(ep, now, sub, status(code)));
        assert_eq!(report, Ok(()));
        let (mut bye, mut told) = (None, false);
        while !told || bye.is_none() && code != 183 {
            let (tx, request) = world.request_at(raw);
            match request.method() {
                Some(Method::Bye) => bye = Some((tx, request)),
                _ => {
                    world.respond(raw, tx, &request, 200, |builder| builder);
                    told = true;
                }
            }
        }
        if let Some((tx, bye)) = bye {
            world.respond(raw, tx, &bye, 500, |builder| builder);
        }
        settle(&mut world);
    }
    world.run_for(Duration::from_secs(40));
    assert_eq!(world.sent().iter().filter(|what| *what == "1>2 BYE").count(), 3, "{}", world.ladder());
}
