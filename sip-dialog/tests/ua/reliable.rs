//! Reliable provisional responses (RFC 3262).

use crate::common::*;
use sim::Fate;
use sip_dialog::{
    CallEvent, CallHandle, CommandError, DialogId, EndCause, ExtraHeaders, Meaning, Progress, Reliable, Reply,
};
use sip_message::Header;
use std::time::Duration;

fn session_progress() -> Progress {
    Progress::new(status(183)).reliable()
}

//= https://www.rfc-editor.org/rfc/rfc3262#section-3
//= type=test
//# In addition, it MUST contain a Require header field containing the
//# option tag 100rel, and MUST include an RSeq header field.
//= https://www.rfc-editor.org/rfc/rfc3262#section-3
//= type=test
//# If the PRACK does match an unacknowledged reliable provisional response,
//# it MUST be responded to with a 2xx response.
//= https://www.rfc-editor.org/rfc/rfc3262#section-4
//= type=test
//# Assuming the response is to be transmitted reliably, the UAC MUST create
//# a new request with method PRACK.
//= https://www.rfc-editor.org/rfc/rfc3262#section-4
//= type=test
//# The UAC SHOULD include this in all INVITE requests.
//= https://www.rfc-editor.org/rfc/rfc3262#section-3
//= type=test
//# The value of the header field for the first reliable provisional
//# response in a transaction MUST be between 1 and 2**31 - 1.
//= https://www.rfc-editor.org/rfc/rfc3262#section-4
//= type=test
//# The provisional response MUST establish a dialog if one is not yet
//# created.
//= https://www.rfc-editor.org/rfc/rfc3262#section-5
//= type=test
//# All user agents that support this extension MUST support all
//# offer/answer exchanges that are possible based on the rules in Section
//# 13.2 of RFC 3261, based on the existence of INVITE and PRACK as
//# requests, and 2xx and reliable 1xx as non-failure reliable responses.
//= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.1
//= type=test
//# Once the UAS has sent or received an answer to the initial offer, it
//# MUST NOT generate subsequent offers in any responses to the initial
//# INVITE.
#[test]
fn the_answer_may_come_early_and_for_good() {
    let mut world = World::new(1);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let ours = world.call(alice, 1, 2);
    let theirs = world.incoming(bob);
    world.tell(bob, |core, ep, now| core.progress(ep, now, theirs, session_progress().body(answer()))).unwrap();
    world.until_call(alice, ours, |event| match event {
        CallEvent::Progress { session, .. } => Some(assert_eq!(*session, Some(Meaning::Answer))),
        _ => None,
    });
    world.until_call(bob, theirs, |event| matches!(event, CallEvent::Acknowledged { .. }).then_some(()));
    // The answer is given: the 200 carries none.
    assert_eq!(world.accept(bob, theirs), Err(CommandError::BodyNotAllowed));
    world.tell(bob, |core, ep, now| core.accept(ep, now, theirs, Reply::new())).unwrap();
    world.until_confirmed(bob, theirs);
    assert_eq!(world.sent(), ["1>2 INVITE", "2>1 183", "1>2 PRACK", "2>1 200", "2>1 200", "1>2 ACK"]);
    let (early, prack) = (world.last("183"), world.last("PRACK"));
    assert_eq!(early.field(Header::Require), Some(&b"100rel"[..]));
    let rseq = String::from_utf8(early.field(Header::RSeq).unwrap().to_vec()).unwrap();
    let rack = String::from_utf8(prack.field(Header::RAck).unwrap().to_vec()).unwrap();
    assert_eq!(rack, format!("{rseq} {} INVITE", early.cseq().unwrap().number));
    world.hang_up(alice, ours);
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3262#section-5
//= type=test
//# If the UAS had placed a session description in any reliable provisional
//# response that is unacknowledged when the INVITE is accepted, the UAS
//# MUST delay sending the 2xx until the provisional response is
//# acknowledged.
//= https://www.rfc-editor.org/rfc/rfc3262#section-3
//= type=test
//# In that case, it MUST NOT send a final response until those provisional
//# responses are acknowledged.
#[test]
fn the_200_waits_for_the_prack() {
    let mut world = World::new(2);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let ours = world.call(alice, 1, 2);
    let theirs = world.incoming(bob);
    world.tell(bob, |core, ep, now| core.progress(ep, now, theirs, session_progress().body(answer()))).unwrap();
    world.tell(bob, |core, ep, now| core.accept(ep, now, theirs, Reply::new())).unwrap();
    world.until_confirmed(bob, theirs);
    assert_eq!(world.sent(), ["1>2 INVITE", "2>1 183", "1>2 PRACK", "2>1 200", "2>1 200", "1>2 ACK"]);
    world.hang_up(alice, ours);
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3262#section-5
//= type=test
//# Similarly, if a reliable provisional response is the first reliable
//# message sent back to the UAC, and the INVITE did not contain an offer,
//# one MUST appear in that reliable provisional response.
//= https://www.rfc-editor.org/rfc/rfc3262#section-5
//= type=test
//# If the UAC receives a reliable provisional response with an offer (this
//# would occur if the UAC sent an INVITE without an offer, in which case
//# the first reliable provisional response will contain the offer), it MUST
//# generate an answer in the PRACK.
//= https://www.rfc-editor.org/rfc/rfc3262#section-3
//= type=test
//# A UAS MUST NOT attempt to send a 100 (Trying) response reliably.
//= https://www.rfc-editor.org/rfc/rfc3262#section-3
//= type=test
//# A UAS MUST NOT send new reliable provisional responses (as opposed to
//# retransmissions of unacknowledged ones) after sending a final response
//# to a request.
//= https://www.rfc-editor.org/rfc/rfc3262#section-3
//= type=test
//# If the UAS does send a final response when reliable responses are still
//# unacknowledged, it SHOULD NOT continue to retransmit the unacknowledged
//# reliable provisional responses, but it MUST be prepared to process PRACK
//# requests for those outstanding responses.
#[test]
fn the_offer_may_come_early_and_its_answer_in_the_prack() {
    let mut world = World::new(3);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let ours = world.invite(alice, invite(1, 2));
    let theirs = world.incoming(bob);
    let bare = world.tell(bob, |core, ep, now| core.progress(ep, now, theirs, session_progress()));
    assert_eq!(bare, Err(CommandError::BodyNeeded));
    world.tell(bob, |core, ep, now| core.progress(ep, now, theirs, session_progress().body(offer()))).unwrap();
    world.until_call(alice, ours, |event| match event {
        CallEvent::Progress { session: Some(Meaning::Offer), .. } => Some(()),
        _ => None,
    });
    world.tell(alice, |core, ep, now| core.answer(ep, now, ours, answer())).unwrap();
    world.until_call(bob, theirs, |event| match event {
        CallEvent::Acknowledged { session: Some(Meaning::Answer), message } => Some(assert_eq!(message.body(), ANSWER)),
        _ => None,
    });
    let trying = Progress::new(status(100)).reliable();
    let none = world.tell(bob, |core, ep, now| core.progress(ep, now, theirs, trying));
    assert_eq!(none, Err(CommandError::BadStatus));
    world.tell(bob, |core, ep, now| core.accept(ep, now, theirs, Reply::new())).unwrap();
    let late = world.tell(bob, |core, ep, now| core.progress(ep, now, theirs, Progress::ringing().reliable()));
    assert_eq!(late, Err(CommandError::WrongState));
    world.until_confirmed(bob, theirs);
    world.hang_up(alice, ours);
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3262#section-3
//= type=test
//# The UAS MUST NOT send a second reliable provisional response until the
//# first is acknowledged.
//= https://www.rfc-editor.org/rfc/rfc3262#section-3
//= type=test
//# The value of the RSeq in each subsequent reliable provisional response
//# for the same request MUST be greater by exactly one.
//= https://www.rfc-editor.org/rfc/rfc3262#section-4
//= type=test
//# Once a reliable provisional response is received, retransmissions of
//# that response MUST be discarded.
//= https://www.rfc-editor.org/rfc/rfc3262#section-3
//= type=test
//# It SHOULD cease retransmissions of the reliable provisional response,
//# and MUST remove it from the list of unacknowledged provisional
//# responses.
//= https://www.rfc-editor.org/rfc/rfc3262#section-4
//= type=test
//# The UAC MUST maintain a sequence number that indicates the most recently
//# received in-order reliable provisional response for the initial request.
//= https://www.rfc-editor.org/rfc/rfc3262#section-4
//= type=test
//# Its value MUST be initialized to the RSeq header field in the first
//# reliable provisional response received for the initial request.
//= https://www.rfc-editor.org/rfc/rfc3262#section-3
//= type=test
//# RSeq numbers MUST NOT wrap around.
#[test]
fn reliable_responses_go_out_one_after_the_other_and_survive_loss() {
    let mut world = World::new(4);
    let (alice, bob) = (world.phone_with(1, |config| config.reliable = Reliable::Always), world.phone(2));
    // The first 183 and the first PRACK are lost.
    let mut lost = [false, false];
    world.net.set_filter(move |packet| {
        let which = if packet.bytes.starts_with(b"SIP/2.0 183") {
            0
        } else if packet.bytes.starts_with(b"PRACK") {
            1
        } else {
            return Fate::Carry;
        };
        if std::mem::replace(&mut lost[which], true) { Fate::Carry } else { Fate::Lose }
    });
    let ours = world.call(alice, 1, 2);
    let theirs = world.incoming(bob);
    world.tell(bob, |core, ep, now| core.progress(ep, now, theirs, session_progress().body(answer()))).unwrap();
    world.tell(bob, |core, ep, now| core.progress(ep, now, theirs, Progress::ringing().reliable())).unwrap();
    for _ in 0..2 {
        world.until_call(bob, theirs, |event| matches!(event, CallEvent::Acknowledged { .. }).then_some(()));
    }
    let rseq = |title: &str| -> u32 {
        String::from_utf8(world.last(title).field(Header::RSeq).unwrap().to_vec()).unwrap().parse().unwrap()
    };
    assert_eq!(rseq("180"), rseq("183") + 1);
    assert!(rseq("183") < 1 << 31, "the first is so small that no call gets to the end of the numbers");
    let told = world.log.iter().filter(|happened| {
        matches!(&happened.event, sip_dialog::Event::Call { call, event: CallEvent::Progress { .. } } if *call == ours)
    });
    assert_eq!(told.count(), 2, "each once, however often it was sent");
    world.tell(bob, |core, ep, now| core.accept(ep, now, theirs, Reply::new())).unwrap();
    world.until_confirmed(bob, theirs);
    world.hang_up(alice, ours);
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3262#section-3
//= type=test
//# If a reliable provisional response is retransmitted for 64*T1 seconds
//# without reception of a corresponding PRACK, the UAS SHOULD reject the
//# original request with a 5xx response.
#[test]
fn without_prack_the_call_is_refused() {
    let mut world = World::new(5);
    let (alice, bob) = (world.phone(1), world.phone(2));
    world.net.set_filter(|packet| if packet.bytes.starts_with(b"PRACK") { Fate::Lose } else { Fate::Carry });
    let ours = world.call(alice, 1, 2);
    let theirs = world.incoming(bob);
    world.tell(bob, |core, ep, now| core.progress(ep, now, theirs, session_progress().body(answer()))).unwrap();
    assert_eq!(world.end_of(bob, theirs), EndCause::NotPracked);
    assert_eq!(world.now().as_micros() / 1_000_000, 32);
    assert_eq!(world.end_of(alice, ours), EndCause::PeerRejected(status(504)));
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3262#section-3
//= type=test
//# The UAS MUST send any non-100 provisional response reliably if the
//# initial request contained a Require header field with the option tag
//# 100rel.
//= https://www.rfc-editor.org/rfc/rfc3262#section-3
//= type=test
//# If the UAS is unwilling to do so, it MUST reject the initial request
//# with a 420 (Bad Extension) and include an Unsupported header field
//# containing the option tag 100rel.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.2.3
//= type=test
//# The UAS MUST add an Unsupported header field, and list in it those
//# options it does not understand amongst those in the Require header field
//# of the request.
//= https://www.rfc-editor.org/rfc/rfc3262#section-8.1
//= type=test
//# When present in a Require header in a request, it indicates that the UAS
//# MUST send all provisional responses reliably.
//= https://www.rfc-editor.org/rfc/rfc6228#section-5
//= type=test
//# If the Supported header field of an initial dialog initiation request
//# does not contain a "199" option-tag, the UAC MUST NOT send a 199
//# response on any early dialog associated with the request.
#[test]
fn what_is_required_is_done_or_refused() {
    let mut world = World::new(6);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let carol = world.phone_with(3, |config| config.reliable = Reliable::Never);
    let ours = world.invite(alice, invite(1, 2).body(offer()).require_reliable());
    let theirs = world.incoming(bob);
    world.tell(bob, |core, ep, now| core.progress(ep, now, theirs, Progress::ringing())).unwrap();
    world.until_call(bob, theirs, |event| matches!(event, CallEvent::Acknowledged { .. }).then_some(()));
    world.hang_up(alice, ours);
    assert_eq!(world.end_of(bob, theirs), EndCause::PeerCancelled);
    let ours = world.invite(alice, invite(1, 3).body(offer()).require_reliable());
    assert_eq!(world.end_of(alice, ours), EndCause::PeerRejected(status(420)));
    assert_eq!(world.last("420").field(Header::Unsupported), Some(&b"100rel"[..]));
    let _ = carol;
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3262#section-3
//= type=test
//# If a PRACK request is received by the UA core that does not match any
//# unacknowledged reliable provisional response, the UAS MUST respond to
//# the PRACK with a 481 response.
#[test]
fn a_prack_for_nothing_is_answered_481() {
    let mut world = World::new(7);
    let (raw, bob) = (world.raw(1), world.phone(2));
    let invite = sip_message::Message::request(sip_message::Method::Invite, "sip:2@192.0.2.2")
        .header(Header::From, "<sip:1@192.0.2.1>;tag=a")
        .header(Header::To, "<sip:2@192.0.2.2>")
        .header(Header::CallId, "x")
        .cseq(1)
        .header(Header::Contact, "<sip:1@192.0.2.1>")
        .header(Header::Supported, "100rel")
        .build()
        .unwrap();
    world.send(raw, invite);
    let theirs = world.incoming(bob);
    world.tell(bob, |core, ep, now| core.progress(ep, now, theirs, session_progress().body(offer()))).unwrap();
    world.run_for(Duration::from_millis(100));
    let early = world.last("183");
    let tag = early.to().unwrap().tag().unwrap().unwrap().to_owned();
    for (rack, code) in [("1 1 INVITE", 481), ("right", 200)] {
        let rseq = String::from_utf8(early.field(Header::RSeq).unwrap().to_vec()).unwrap();
        let rack = if rack == "right" { format!("{rseq} 1 INVITE") } else { rack.to_owned() };
        let prack = sip_message::Message::request(sip_message::Method::Prack, "sip:2@192.0.2.2")
            .header(Header::From, "<sip:1@192.0.2.1>;tag=a")
            .header(Header::To, format!("<sip:2@192.0.2.2>;tag={tag}"))
            .header(Header::CallId, "x")
            .cseq(code)
            .header(Header::RAck, rack)
            .body("application/sdp", ANSWER)
            .build()
            .unwrap();
        // The first one's number is the higher: it must not spoil the order for the second.
        let prack = {
            let mut p = prack;
            p.set(Header::CSeq, if code == 481 { "2 PRACK" } else { "3 PRACK" }).unwrap();
            p
        };
        let tx = world.send(raw, prack);
        assert_eq!(world.final_of(raw, tx).status(), Some(status(code as u16)));
    }
    world.hang_up(bob, theirs);
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3262#section-3
//= type=test
//# If a PRACK request is received by the UA core that does not match any
//# unacknowledged reliable provisional response, the UAS MUST respond to
//# the PRACK with a 481 response.
#[test]
fn a_second_prack_for_the_same_response_is_answered_481() {
    // Before the final response, and after it, whether the first came before it or not.
    for (before, after) in [(2, 0), (1, 1), (0, 2)] {
        let mut world = World::new(17);
        let (raw, bob) = (world.raw(1), world.phone(2));
        let request = |method, to: &str, cseq| {
            sip_message::Message::request(method, "sip:2@192.0.2.2")
                .header(Header::From, "<sip:1@192.0.2.1>;tag=a")
                .header(Header::To, to)
                .header(Header::CallId, "x")
                .cseq(cseq)
        };
        let invite = request(sip_message::Method::Invite, "<sip:2@192.0.2.2>", 1)
            .header(Header::Contact, "<sip:1@192.0.2.1>")
            .header(Header::Supported, "100rel")
            .body("application/sdp", OFFER);
        world.send(raw, invite.build().unwrap());
        let theirs = world.incoming(bob);
        world.tell(bob, |core, ep, now| core.progress(ep, now, theirs, Progress::ringing().reliable())).unwrap();
        world.run_for(Duration::from_millis(100));
        let early = world.last("180");
        let to = format!("<sip:2@192.0.2.2>;tag={}", early.to().unwrap().tag().unwrap().unwrap());
        let rack = format!("{} 1 INVITE", String::from_utf8(early.field(Header::RSeq).unwrap().to_vec()).unwrap());
        let mut answers = Vec::new();
        for n in 0..before + after {
            if n == before {
                world.accept(bob, theirs).unwrap();
            }
            let prack = request(sip_message::Method::Prack, &to, 2 + n).header(Header::RAck, &rack).build().unwrap();
            let tx = world.send(raw, prack);
            answers.push(world.final_of(raw, tx).status().unwrap().code());
        }
        assert_eq!(answers, [200, 481]);
        world.hang_up(bob, theirs);
        world.finish();
    }
}

//= https://www.rfc-editor.org/rfc/rfc3262#section-5
//= type=test
//# Similarly, if a reliable provisional response is the first reliable
//# message sent back to the UAC, and the INVITE did not contain an offer,
//# one MUST appear in that reliable provisional response.
#[test]
fn an_offer_in_a_provisional_response_is_reliable_by_itself() {
    let mut world = World::new(18);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let ours = world.invite(alice, invite(1, 2));
    let theirs = world.incoming(bob);
    let early = || Progress::new(status(183)).body(offer());
    world.tell(bob, |core, ep, now| core.progress(ep, now, theirs, early())).unwrap();
    world.until_call(alice, ours, |event| {
        matches!(event, CallEvent::Progress { session: Some(Meaning::Offer), .. }).then_some(())
    });
    assert_eq!(world.last("183").field(Header::Require), Some(&b"100rel"[..]));
    world.tell(alice, |core, ep, now| core.answer(ep, now, ours, answer())).unwrap();
    world.until_call(bob, theirs, |event| {
        matches!(event, CallEvent::Acknowledged { session: Some(Meaning::Answer), .. }).then_some(())
    });
    world.tell(bob, |core, ep, now| core.accept(ep, now, theirs, Reply::new())).unwrap();
    world.until_confirmed(bob, theirs);
    world.hang_up(alice, ours);
    world.finish();
}

#[test]
fn an_update_may_change_what_was_agreed_early() {
    let mut world = World::new(8);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let ours = world.call(alice, 1, 2);
    let theirs = world.incoming(bob);
    world.tell(bob, |core, ep, now| core.progress(ep, now, theirs, session_progress().body(answer()))).unwrap();
    world.until_call(bob, theirs, |event| matches!(event, CallEvent::Acknowledged { .. }).then_some(()));
    world.tell(alice, |core, ep, now| core.update(ep, now, ours, Some(offer()), ExtraHeaders::new())).unwrap();
    world.until_call(bob, theirs, |event| matches!(event, CallEvent::Offer { .. }).then_some(()));
    world.tell(bob, |core, ep, now| core.answer(ep, now, theirs, answer())).unwrap();
    world.until_call(alice, ours, |event| matches!(event, CallEvent::Answered { .. }).then_some(()));
    world.tell(bob, |core, ep, now| core.accept(ep, now, theirs, Reply::new())).unwrap();
    world.until_confirmed(bob, theirs);
    world.hang_up(bob, theirs);
    world.finish();
}

/// A call by Alice that leaves the PRACKs to her, which Bob has answered early.
fn answered_early(world: &mut World, alice: sim::NodeId, bob: sim::NodeId) -> (CallHandle, CallHandle, DialogId) {
    let ours = world.invite(alice, invite(1, 2).body(offer()).prack_by_host());
    let theirs = world.incoming(bob);
    world.tell(bob, |core, ep, now| core.progress(ep, now, theirs, session_progress().body(answer()))).unwrap();
    let dialog = world.until_call(alice, ours, |event| match event {
        CallEvent::Progress { session: Some(Meaning::Answer), dialog, .. } => *dialog,
        _ => None,
    });
    (ours, theirs, dialog)
}

/// RFC 6337 section 2.1, pattern 5: the offer in PRACK, its answer in the 200.
//= https://www.rfc-editor.org/rfc/rfc3262#section-5
//= type=test
//# If the UAC receives a reliable provisional response with an answer, it
//# MAY generate an additional offer in the PRACK.
//= https://www.rfc-editor.org/rfc/rfc3262#section-5
//= type=test
//# If the UAS receives a PRACK with an offer, it MUST place the answer in
//# the 2xx to the PRACK.
#[test]
fn a_prack_may_carry_an_offer_and_its_200_the_answer() {
    let mut world = World::new(30);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let (ours, theirs, dialog) = answered_early(&mut world, alice, bob);
    assert_eq!(
        world.tell(alice, |core, ep, now| core.answer(ep, now, ours, answer())),
        Err(CommandError::WrongState),
        "there is no offer to answer"
    );
    world.tell(alice, |core, ep, now| core.prack(ep, now, ours, dialog, Some(offer()))).unwrap();
    assert_eq!(
        world.tell(alice, |core, ep, now| core.prack(ep, now, ours, dialog, None)),
        Err(CommandError::WrongState),
        "one PRACK for each"
    );
    world.until_call(bob, theirs, |event| match event {
        CallEvent::Acknowledged { session: Some(Meaning::Offer), message } => Some(assert_eq!(message.body(), OFFER)),
        _ => None,
    });
    world.tell(bob, |core, ep, now| core.answer(ep, now, theirs, answer())).unwrap();
    world.until_call(alice, ours, |event| match event {
        CallEvent::Answered { session: Some(Meaning::Answer), message } => Some(assert_eq!(message.body(), ANSWER)),
        _ => None,
    });
    // And once more in an UPDATE, pattern 6, both before the call is accepted.
    world.tell(alice, |core, ep, now| core.update(ep, now, ours, Some(offer()), ExtraHeaders::new())).unwrap();
    world.until_call(bob, theirs, |event| matches!(event, CallEvent::Offer { .. }).then_some(()));
    world.tell(bob, |core, ep, now| core.answer(ep, now, theirs, answer())).unwrap();
    world.until_call(alice, ours, |event| matches!(event, CallEvent::Answered { .. }).then_some(()));
    world.tell(bob, |core, ep, now| core.accept(ep, now, theirs, Reply::new())).unwrap();
    world.until_confirmed(bob, theirs);
    world.hang_up(alice, ours);
    world.finish();
}

#[test]
fn an_offer_in_a_prack_that_is_refused_leaves_the_session_as_it_was() {
    let mut world = World::new(31);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let (ours, theirs, dialog) = answered_early(&mut world, alice, bob);
    world.tell(alice, |core, ep, now| core.prack(ep, now, ours, dialog, Some(offer()))).unwrap();
    world.until_call(bob, theirs, |event| matches!(event, CallEvent::Acknowledged { .. }).then_some(()));
    world.tell(bob, |core, ep, now| core.refuse(ep, now, theirs, status(488), Reply::new())).unwrap();
    world.until_call(alice, ours, |event| match event {
        CallEvent::ChangeFailed { status, .. } => Some(assert_eq!(status.code(), 488)),
        _ => None,
    });
    // The next offer finds nothing in its way.
    world.tell(alice, |core, ep, now| core.update(ep, now, ours, Some(offer()), ExtraHeaders::new())).unwrap();
    world.until_call(bob, theirs, |event| matches!(event, CallEvent::Offer { .. }).then_some(()));
    world.tell(bob, |core, ep, now| core.answer(ep, now, theirs, answer())).unwrap();
    world.tell(bob, |core, ep, now| core.accept(ep, now, theirs, Reply::new())).unwrap();
    world.until_confirmed(bob, theirs);
    world.hang_up(bob, theirs);
    world.finish();
}

#[test]
fn a_prack_the_host_forgets_is_sent_for_it() {
    let mut world = World::new(32);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let (ours, theirs, _) = answered_early(&mut world, alice, bob);
    world.until_call(bob, theirs, |event| match event {
        CallEvent::Acknowledged { session, .. } => Some(assert_eq!(*session, None)),
        _ => None,
    });
    world.tell(bob, |core, ep, now| core.accept(ep, now, theirs, Reply::new())).unwrap();
    world.until_confirmed(alice, ours);
    world.hang_up(alice, ours);
    world.finish();
}

/// RFC 6337 section 2.1, patterns 3 and 4 of a call that stands: the answer, or the offer, in a reliable response to a re-INVITE.
//= https://www.rfc-editor.org/rfc/rfc3262#section-4
//= type=test
//# If a provisional response is received for an initial request, and that
//# response contains a Require header field containing the option tag
//# 100rel, the response is to be sent reliably.
#[test]
fn a_reliable_response_to_a_reinvite_is_acknowledged() {
    for asks in [false, true] {
        let mut world = World::new(33);
        let (alice, raw) = (world.phone(1), world.raw(2));
        let call = world.call(alice, 1, 2);
        let (tx, request) = world.request_at(raw);
        let contact = |builder: sip_message::ResponseBuilder| builder.header(Header::Contact, "<sip:2@192.0.2.2>");
        world.respond(raw, tx, &request, 200, |builder| contact(builder).body("application/sdp", ANSWER));
        world.until_confirmed(alice, call);
        let body = (!asks).then(offer);
        world.tell(alice, |core, ep, now| core.reinvite(ep, now, call, body, ExtraHeaders::new())).unwrap();
        let (reinvite, request) = world.request_at(raw);
        world.respond(raw, reinvite, &request, 183, |builder| {
            contact(builder)
                .header(Header::Require, "100rel")
                .header(Header::RSeq, 41)
                .body("application/sdp", if asks { OFFER } else { ANSWER })
        });
        let meaning = if asks { Meaning::Offer } else { Meaning::Answer };
        world.until_call(alice, call, |event| match event {
            CallEvent::Progress { session, .. } => Some(assert_eq!(*session, Some(meaning))),
            _ => None,
        });
        if asks {
            world.tell(alice, |core, ep, now| core.answer(ep, now, call, answer())).unwrap();
        }
        let (prack, ack) = world.request_at(raw);
        let rack = format!("41 {} INVITE", request.cseq().unwrap().number);
        assert_eq!(ack.field(Header::RAck), Some(rack.as_bytes()));
        assert_eq!(ack.body(), if asks { ANSWER } else { b"" });
        world.respond(raw, prack, &ack, 200, |builder| builder);
        world.respond(raw, reinvite, &request, 200, contact);
        world.until_call(alice, call, |event| match event {
            CallEvent::Answered { session, .. } => Some(assert_eq!(*session, None)),
            _ => None,
        });
        // The exchange is over: the next one may begin.
        world.tell(alice, |core, ep, now| core.reinvite(ep, now, call, Some(offer()), ExtraHeaders::new())).unwrap();
        let (reinvite, request) = world.request_at(raw);
        world.respond(raw, reinvite, &request, 488, |builder| builder);
        world.until_call(alice, call, |event| matches!(event, CallEvent::ChangeFailed { .. }).then_some(()));
        world.hang_up(alice, call);
        let (bye, request) = world.request_at(raw);
        world.respond(raw, bye, &request, 200, |builder| builder);
        world.finish();
    }
}

//= https://www.rfc-editor.org/rfc/rfc3262#section-4
//= type=test
//# As a result, if the UAC receives another reliable provisional response
//# to the same request, and its RSeq value is not one higher than the value
//# of the sequence number, that response MUST NOT be acknowledged with a
//# PRACK, and MUST NOT be processed further by the UAC.
//= https://www.rfc-editor.org/rfc/rfc3262#section-4
//= type=test
//# This sequence number MUST be maintained until a final response is
//# received for the initial request.
#[test]
fn a_reliable_response_out_of_order_is_neither_acknowledged_nor_told() {
    let mut world = World::new(34);
    let (alice, raw) = (world.phone(1), world.raw(2));
    let call = world.call(alice, 1, 2);
    let (tx, invite) = world.request_at(raw);
    let mut told = Vec::new();
    for (rseq, code) in [(7, 180), (9, 181), (7, 180), (6, 182), (8, 183), (8, 183), (9, 181)] {
        world.respond(raw, tx, &invite, code, |builder| {
            builder
                .header(Header::Contact, "<sip:2@192.0.2.2>")
                .header(Header::Require, "100rel")
                .header(Header::RSeq, rseq)
        });
        let before = world.log.len();
        settle(&mut world);
        let expected = if world.log.len() > before { Some(code) } else { None };
        told.extend(expected);
    }
    assert_eq!(told, [180, 183, 181], "7, 8 and 9, each once");
    for rseq in [7, 8, 9] {
        let (prack, request) = world.request_at(raw);
        let rack = format!("{rseq} {} INVITE", invite.cseq().unwrap().number);
        assert_eq!(request.field(Header::RAck), Some(rack.as_bytes()));
        world.respond(raw, prack, &request, 200, |builder| builder);
    }
    world.respond(raw, tx, &invite, 486, |builder| builder);
    assert_eq!(world.end_of(alice, call), EndCause::PeerRejected(status(486)));
    let acknowledged: std::collections::BTreeSet<_> =
        world.messages().iter().filter_map(|message| message.field(Header::RAck).map(<[u8]>::to_vec)).collect();
    assert_eq!(acknowledged.len(), 3, "{}", world.ladder());
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc6228#section-7
//= type=test
//# If such a request is received by a UA, it MUST act in the same way as if
//# it had received the request after sending the final non-2xx response to
//# the INVITE request, as specified in RFC 3261.
//= https://www.rfc-editor.org/rfc/rfc6228#section-5
//= type=test
//# When a UAS generates a 199 response, the response MUST contain a To
//# header field tag parameter [RFC3261], in order for other entities to
//# identify the early dialog that has been terminated.
//= https://www.rfc-editor.org/rfc/rfc6228#section-11.2
//= type=test
//# When present in a Require or Proxy-Require header field of a request, it
//# indicates that the UAS, or proxies, MUST support the 199 response code.
#[test]
fn after_a_199_the_dialog_is_gone_and_the_invite_is_not() {
    use sip_message::{Message, Method};
    for reliably in [false, true] {
        let mut world = World::new(8);
        let (raw, bob) = (world.raw(1), world.phone(2));
        let invite = Message::request(Method::Invite, "sip:2@192.0.2.2")
            .header(Header::From, "<sip:1@192.0.2.1>;tag=a")
            .header(Header::To, "<sip:2@192.0.2.2>")
            .header(Header::CallId, "x")
            .cseq(1)
            .header(Header::Contact, "<sip:1@192.0.2.1>")
            .header(Header::Supported, if reliably { "199, 100rel" } else { "199" })
            .header(Header::Require, "199")
            .body("application/sdp", OFFER)
            .build()
            .unwrap();
        let tx = world.send(raw, invite);
        let theirs = world.incoming(bob);
        let gone = Progress::new(status(199)).header("Reason", "SIP;cause=486");
        let gone = if reliably { gone.reliable() } else { gone };
        world.tell(bob, |core, ep, now| core.progress(ep, now, theirs, gone)).unwrap();
        world.run_for(Duration::from_millis(100));
        let early = world.last("199");
        assert!(early.to().unwrap().tag().unwrap().is_some());
        let request = |method, cseq: u32| {
            Message::request(method, "sip:2@192.0.2.2")
                .header(Header::From, "<sip:1@192.0.2.1>;tag=a")
                .copy_all(&early, Header::To)
                .header(Header::CallId, "x")
                .cseq(cseq)
                .header(Header::Contact, "<sip:1@192.0.2.1>")
        };
        for (method, cseq) in [(Method::Update, 2), (Method::Info, 3), (Method::Bye, 4)] {
            let sent = world.send(raw, request(method, cseq).build().unwrap());
            assert_eq!(world.final_of(raw, sent).status(), Some(status(481)), "{method:?}");
        }
        if let Some(rseq) = early.field(Header::RSeq) {
            let rack = format!("{} 1 INVITE", String::from_utf8_lossy(rseq));
            let sent = world.send(raw, request(Method::Prack, 5).header(Header::RAck, rack).build().unwrap());
            assert_eq!(world.final_of(raw, sent).status(), Some(status(200)));
        }
        world.tell(bob, |core, ep, now| core.reject(ep, now, theirs, status(486), Reply::new())).unwrap();
        assert_eq!(world.final_of(raw, tx).status(), Some(status(486)));
        world.finish();
    }
}
