//! Changes of a session: re-INVITE (RFC 3261 section 14), UPDATE (RFC 3311), hold, glare.

use crate::common::*;
use sip_dialog::sdp::{self, Direction};
use sip_dialog::{Body, CallEvent, CallHandle, CommandError, EndCause, ExtraHeaders, Meaning, Reply};
use sip_message::{Header, Message, Method};
use std::time::Duration;

fn held() -> Body {
    Body::sdp(sdp::with_direction(OFFER, Direction::SendOnly).unwrap())
}

fn until_offer(world: &mut World, node: sim::NodeId, call: CallHandle) {
    world.until_call(node, call, |event| matches!(event, CallEvent::Offer { .. }).then_some(()));
}

/// Two changes that have crossed are both refused, tried again and agreed, one after the other: the callee waits less than the owner
/// of the Call-ID.
fn both_go_through(mut world: World, caller: (sim::NodeId, CallHandle), callee: (sim::NodeId, CallHandle)) {
    for (from, to) in [(callee, caller), (caller, callee)] {
        until_offer(&mut world, to.0, to.1);
        world.tell(to.0, |core, ep, now| core.answer(ep, now, to.1, answer())).unwrap();
        world.until_call(from.0, from.1, |event| matches!(event, CallEvent::Answered { .. }).then_some(()));
    }
    assert_eq!(world.sent().iter().filter(|what| what.ends_with("491")).count(), 2);
    world.hang_up(caller.0, caller.1);
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.1.1
//= type=test
//# Requests within a dialog MUST contain strictly monotonically increasing
//# and contiguous CSeq sequence numbers (increasing-by-one) in each
//# direction (excepting ACK and CANCEL of course, whose numbers equal the
//# requests being acknowledged or cancelled).
//= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.2
//= type=test
//# The UAS MUST then set the remote sequence number to the value of the
//# sequence number in the CSeq header field value in the request.
#[test]
fn hold_and_resume_count_when_both_agree() {
    let mut world = World::new(1);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let (ours, theirs) = world.established(alice, bob, 1, 2);
    world.tell(alice, |core, ep, now| core.hold(ep, now, ours, held())).unwrap();
    assert!(!world.tell(alice, |core, _, _| core.call(ours)).unwrap().on_hold, "not before the answer");
    until_offer(&mut world, bob, theirs);
    world.tell(bob, |core, ep, now| core.answer(ep, now, theirs, answer())).unwrap();
    world.until_call(bob, theirs, |event| matches!(event, CallEvent::Hold { by_peer: true, held: true }).then_some(()));
    world
        .until_call(alice, ours, |event| matches!(event, CallEvent::Hold { by_peer: false, held: true }).then_some(()));
    assert!(world.tell(bob, |core, _, _| core.call(theirs)).unwrap().held);
    world.tell(alice, |core, ep, now| core.resume(ep, now, ours, offer())).unwrap();
    until_offer(&mut world, bob, theirs);
    world.tell(bob, |core, ep, now| core.answer(ep, now, theirs, answer())).unwrap();
    world.until_call(alice, ours, |event| matches!(event, CallEvent::Hold { held: false, .. }).then_some(()));
    let numbers: Vec<u32> = world
        .messages()
        .iter()
        .filter(|message| message.method() == Some(Method::Invite))
        .map(|message| message.cseq().unwrap().number)
        .collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
    world.hang_up(bob, theirs);
    assert_eq!(world.end_of(alice, ours), EndCause::PeerHungUp);
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-14.1
//= type=test
//# If a UA receives a non-2xx final response to a re-INVITE, the session
//# parameters MUST remain unchanged, as if no re-INVITE had been issued.
#[test]
fn a_refused_hold_leaves_all_as_it_was() {
    let mut world = World::new(2);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let (ours, theirs) = world.established(alice, bob, 1, 2);
    world.tell(alice, |core, ep, now| core.hold(ep, now, ours, held())).unwrap();
    until_offer(&mut world, bob, theirs);
    world.tell(bob, |core, ep, now| core.refuse(ep, now, theirs, status(488), Reply::new())).unwrap();
    let code = world.until_call(alice, ours, |event| match event {
        CallEvent::ChangeFailed { status, .. } => Some(*status),
        _ => None,
    });
    assert_eq!(code, status(488));
    let (here, there) =
        (world.tell(alice, |core, _, _| core.call(ours)), world.tell(bob, |core, _, _| core.call(theirs)));
    assert!(!here.unwrap().on_hold && !there.unwrap().held);
    // The next change goes through as if nothing had been.
    world.tell(bob, |core, ep, now| core.reinvite(ep, now, theirs, Some(offer()), ExtraHeaders::new())).unwrap();
    until_offer(&mut world, alice, ours);
    world.tell(alice, |core, ep, now| core.answer(ep, now, ours, answer())).unwrap();
    world.until_call(bob, theirs, |event| match event {
        CallEvent::Answered { session, .. } => Some(assert_eq!(*session, Some(Meaning::Answer))),
        _ => None,
    });
    world.hang_up(alice, ours);
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-14.1
//= type=test
//# If a UAC receives a 491 response to a re-INVITE, it SHOULD start a timer
//# with a value T chosen as follows:
//= https://www.rfc-editor.org/rfc/rfc3261#section-14.1
//= type=test
//# When the timer fires, the UAC SHOULD attempt the re-INVITE once more, if
//# it still desires for that session modification to take place.
//= https://www.rfc-editor.org/rfc/rfc3261#section-14.2
//= type=test
//# A UAS that receives an INVITE on a dialog while an INVITE it had sent on
//# that dialog is in progress MUST return a 491 (Request Pending) response
//# to the received INVITE.
#[test]
fn two_reinvites_that_cross_both_go_through_in_the_end() {
    let mut world = World::new(3);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let (ours, theirs) = world.established(alice, bob, 1, 2);
    world.tell(alice, |core, ep, now| core.reinvite(ep, now, ours, Some(offer()), ExtraHeaders::new())).unwrap();
    world.tell(bob, |core, ep, now| core.reinvite(ep, now, theirs, Some(offer()), ExtraHeaders::new())).unwrap();
    both_go_through(world, (alice, ours), (bob, theirs));
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-14.2
//= type=test
//# A UAS that receives a second INVITE before it sends the final response
//# to a first INVITE with a lower CSeq sequence number on the same dialog
//# MUST return a 500 (Server Internal Error) response to the second INVITE
//# and MUST include a Retry-After header field with a randomly chosen value
//# of between 0 and 10 seconds.
//= https://www.rfc-editor.org/rfc/rfc3261#section-14.1
//= type=test
//# Note that a UAC MUST NOT initiate a new INVITE transaction within a
//# dialog while another INVITE transaction is in progress in either
//# direction.
//= https://www.rfc-editor.org/rfc/rfc3261#section-14.1
//= type=test
//# If there is an ongoing INVITE client transaction, the TU MUST wait until
//# the transaction reaches the completed or terminated state before
//# initiating the new INVITE.
//= https://www.rfc-editor.org/rfc/rfc3311#section-5.2
//= type=test
//# A UAS that receives an UPDATE before it has generated a final response
//# to a previous UPDATE on the same dialog MUST return a 500 response to
//# the new UPDATE, and MUST include a Retry-After header field with a
//# randomly chosen value between 0 and 10 seconds.
//= https://www.rfc-editor.org/rfc/rfc3261#section-14.1
//= type=test
//# If there is an ongoing INVITE server transaction, the TU MUST wait until
//# the transaction reaches the confirmed or terminated state before
//# initiating the new INVITE.
//= https://www.rfc-editor.org/rfc/rfc3262#section-3
//= type=test
//# However, it MUST NOT attempt to do so for any request that contains a
//# tag in the To field.
#[test]
fn one_change_at_a_time() {
    let mut world = World::new(4);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let (ours, theirs) = world.established(alice, bob, 1, 2);
    world.tell(alice, |core, ep, now| core.reinvite(ep, now, ours, Some(offer()), ExtraHeaders::new())).unwrap();
    for kind in 0..2 {
        let more = world.tell(alice, |core, ep, now| match kind {
            0 => core.reinvite(ep, now, ours, Some(offer()), ExtraHeaders::new()),
            _ => core.update(ep, now, ours, Some(offer()), ExtraHeaders::new()),
        });
        assert_eq!(more, Err(CommandError::Pending));
    }
    until_offer(&mut world, bob, theirs);
    let theirs_too = world.tell(bob, |core, ep, now| core.update(ep, now, theirs, Some(offer()), ExtraHeaders::new()));
    assert_eq!(theirs_too, Err(CommandError::Pending));
    let crossing = world.tell(bob, |core, ep, now| core.reinvite(ep, now, theirs, None, ExtraHeaders::new()));
    assert_eq!(crossing, Err(CommandError::Pending));
    let ringing = sip_dialog::Progress::ringing().reliable();
    let early = world.tell(bob, |core, ep, now| core.progress(ep, now, theirs, ringing));
    assert_eq!(early, Err(CommandError::WrongState), "a re-INVITE gets no reliable provisional response");
    world.tell(bob, |core, ep, now| core.answer(ep, now, theirs, answer())).unwrap();
    let none = world.tell(bob, |core, ep, now| core.answer(ep, now, theirs, answer()));
    assert_eq!(none, Err(CommandError::WrongState));
    world.until_call(alice, ours, |event| matches!(event, CallEvent::Answered { .. }).then_some(()));
    world.hang_up(alice, ours);
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3311#section-5.2
//= type=test
//# If the session description has changed, the UAS MUST adjust the session
//# parameters accordingly and generate an answer in the 2xx response.
//= https://www.rfc-editor.org/rfc/rfc3311#section-5.2
//= type=test
//# If an UPDATE is received that contains an offer, and the UAS has
//# generated an offer (in an UPDATE, PRACK or INVITE) to which it has not
//# yet received an answer, the UAS MUST reject the UPDATE with a 491
//# response.
#[test]
fn update_changes_the_session_and_meets_glare_too() {
    let mut world = World::new(5);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let (ours, theirs) = world.established(alice, bob, 1, 2);
    world.tell(alice, |core, ep, now| core.update(ep, now, ours, Some(offer()), ExtraHeaders::new())).unwrap();
    until_offer(&mut world, bob, theirs);
    world.tell(bob, |core, ep, now| core.answer(ep, now, theirs, answer())).unwrap();
    world.until_call(alice, ours, |event| match event {
        CallEvent::Answered { session, message } => {
            assert_eq!((*session, message.body()), (Some(Meaning::Answer), ANSWER));
            Some(())
        }
        _ => None,
    });
    world.tell(alice, |core, ep, now| core.update(ep, now, ours, Some(offer()), ExtraHeaders::new())).unwrap();
    world.tell(bob, |core, ep, now| core.update(ep, now, theirs, Some(offer()), ExtraHeaders::new())).unwrap();
    both_go_through(world, (alice, ours), (bob, theirs));
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-14.2
//= type=test
//# A UAS providing an offer in a 2xx (because the INVITE did not contain an
//# offer) SHOULD construct the offer as if the UAS were making a brand new
//# call, subject to the constraints of sending an offer that updates an
//# existing session, as described in [13] in the case of SDP.
#[test]
fn a_reinvite_may_ask_for_the_offer() {
    let mut world = World::new(6);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let (ours, theirs) = world.established(alice, bob, 1, 2);
    world.tell(alice, |core, ep, now| core.reinvite(ep, now, ours, None, ExtraHeaders::new())).unwrap();
    world.until_call(bob, theirs, |event| matches!(event, CallEvent::OfferWanted { .. }).then_some(()));
    world.tell(bob, |core, ep, now| core.answer(ep, now, theirs, offer())).unwrap();
    world.until_call(alice, ours, |event| match event {
        CallEvent::Answered { session: Some(Meaning::Offer), .. } => Some(()),
        _ => None,
    });
    world.tell(alice, |core, ep, now| core.answer(ep, now, ours, answer())).unwrap();
    world.until_call(bob, theirs, |event| match event {
        CallEvent::Answered { session, message } => {
            assert_eq!((*session, message.body()), (Some(Meaning::Answer), ANSWER));
            Some(())
        }
        _ => None,
    });
    world.hang_up(alice, ours);
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3311#section-5.2
//= type=test
//# If the UAS cannot change the session parameters without prompting the
//# user, it SHOULD reject the request with a 504 response.
//= https://www.rfc-editor.org/rfc/rfc3311#section-5.3
//= type=test
//# If a UA receives a non-2xx final response to a UPDATE, the session
//# parameters MUST remain unchanged, as if no UPDATE had been issued.
//= https://www.rfc-editor.org/rfc/rfc3311#section-5.2
//= type=test
//# However, unlike a re-INVITE, the UPDATE MUST be responded to promptly,
//# and therefore the user cannot generally be prompted to approve the
//# session changes.
#[test]
fn an_offer_the_host_leaves_alone_is_refused_for_it() {
    let mut world = World::new(7);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let (ours, theirs) = world.established(alice, bob, 1, 2);
    // An UPDATE that would change the target, too.
    world.tell(alice, |core, _, _| core.set_contact(ours, "<sip:elsewhere@192.0.2.1>")).unwrap();
    world.tell(alice, |core, ep, now| core.update(ep, now, ours, Some(held()), ExtraHeaders::new())).unwrap();
    until_offer(&mut world, bob, theirs);
    let code = world.until_call(alice, ours, |event| match event {
        CallEvent::ChangeFailed { status, .. } => Some(*status),
        _ => None,
    });
    assert_eq!(code, status(504));
    let (held, target) = world.tell(bob, |core, _, _| {
        let info = core.call(theirs).expect("the call goes on");
        (info.held, core.dialog(info.dialog.unwrap()).unwrap().remote_target().to_owned())
    });
    assert_eq!((held, target.as_str()), (false, "sip:1@192.0.2.1"), "all is as it was");
    // And the next offer finds nothing in its way.
    world.tell(bob, |core, ep, now| core.update(ep, now, theirs, Some(offer()), ExtraHeaders::new())).unwrap();
    until_offer(&mut world, alice, ours);
    world.tell(alice, |core, ep, now| core.answer(ep, now, ours, answer())).unwrap();
    world.until_call(bob, theirs, |event| matches!(event, CallEvent::Answered { .. }).then_some(()));
    world.hang_up(alice, ours);
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.1.2
//= type=test
//# When a UAC receives a 2xx response to a target refresh request, it MUST
//# replace the dialog's remote target URI with the URI from the Contact
//# header field in that response, if present.
//= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.2
//= type=test
//# When a UAS receives a target refresh request, it MUST replace the
//# dialog's remote target URI with the URI from the Contact header field in
//# that request, if present.
#[test]
fn a_new_contact_is_the_new_target() {
    let mut world = World::new(8);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let (ours, theirs) = world.established(alice, bob, 1, 2);
    let contact = Some("<sip:elsewhere@192.0.2.1>".to_owned());
    world.tell(alice, |core, ep, now| core.rebind(ep, now, ours, None, contact)).unwrap();
    world.until_call(alice, ours, |event| matches!(event, CallEvent::Answered { .. }).then_some(()));
    world.hang_up(bob, theirs);
    assert_eq!(world.end_of(alice, ours), EndCause::PeerHungUp);
    assert_eq!(world.last("BYE").request_uri_bytes(), Some(&b"sip:elsewhere@192.0.2.1"[..]));
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.1.2
//= type=test
//# If the response for a request within a dialog is a 481 (Call/Transaction
//# Does Not Exist) or a 408 (Request Timeout), the UAC SHOULD terminate the
//# dialog.
#[test]
fn a_peer_that_forgot_the_call_ends_it() {
    let mut world = World::new(9);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let (ours, _) = world.established(alice, bob, 1, 2);
    world.run_for(Duration::from_secs(40));
    // Bob starts anew, without a memory.
    let config = sip_dialog::UserAgentConfig::new("<sip:2@192.0.2.2>");
    let mut fresh = sip_dialog::UserAgent::new(Default::default(), config.into(), [9; 32]);
    fresh.parts().1.bind(sip_transaction::Transport::Udp, "192.0.2.2:5060".parse().unwrap()).unwrap();
    world.net.replace(bob, Phone::Agent(Box::new(fresh)));
    world.log.retain(|happened| happened.node == alice);
    world.tell(alice, |core, ep, now| core.reinvite(ep, now, ours, Some(offer()), ExtraHeaders::new())).unwrap();
    assert_eq!(world.end_of(alice, ours), EndCause::Lost(status(481)));
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-9.2
//= type=test
//# If the original request was an INVITE, the UAS SHOULD immediately
//# respond to the INVITE with a 487 (Request Terminated).
//= https://www.rfc-editor.org/rfc/rfc3261#section-15.1.2
//= type=test
//# The UAS MUST still respond to any pending requests received for that
//# dialog.
#[test]
fn a_reinvite_is_answered_when_the_call_is_hung_up_meanwhile() {
    let mut world = World::new(10);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let (ours, theirs) = world.established(alice, bob, 1, 2);
    world.tell(alice, |core, ep, now| core.reinvite(ep, now, ours, Some(offer()), ExtraHeaders::new())).unwrap();
    until_offer(&mut world, bob, theirs);
    world.hang_up(bob, theirs);
    assert_eq!(world.end_of(alice, ours), EndCause::PeerHungUp);
    assert!(world.sent().contains(&"2>1 487".to_owned()), "{}", world.ladder());
    assert!(world.last("BYE").has(Header::CSeq));
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3311#section-5.2
//= type=test
//# Similarly, if an UPDATE is received that contains an offer, and the UAS
//# has received an offer (in an UPDATE, PRACK, or INVITE) to which it has
//# not yet generated an answer, the UAS MUST reject the UPDATE with a 500
//# response, and MUST include a Retry-After header field with a randomly
//# chosen value between 0 and 10 seconds.
#[test]
fn an_offer_before_the_first_is_answered_is_refused_for_a_while() {
    let mut world = World::new(50);
    let (raw, bob) = (world.raw(1), world.phone(2));
    let request = |method: Method<'_>, to: &str, cseq: u32| {
        Message::request(method, "sip:2@192.0.2.2")
            .header(Header::From, "<sip:1@192.0.2.1>;tag=a")
            .header(Header::To, to)
            .header(Header::CallId, "offers")
            .cseq(cseq)
            .header(Header::Contact, "<sip:1@192.0.2.1>")
            .body("application/sdp", OFFER)
            .build()
            .unwrap()
    };
    let invite = world.send(raw, request(Method::Invite, "<sip:2@192.0.2.2>", 1));
    let theirs = rung(&mut world, bob);
    settle(&mut world);
    let tag = world.last("180").to().unwrap().tag().unwrap().unwrap().to_owned();
    let mut waits = std::collections::BTreeSet::new();
    for n in 2..20 {
        let update = world.send(raw, request(Method::Update, &format!("<sip:2@192.0.2.2>;tag={tag}"), n));
        let refused = world.final_of(raw, update);
        assert_eq!(refused.status(), Some(status(500)));
        let wait: u32 =
            String::from_utf8(refused.field(Header::RetryAfter).unwrap().to_vec()).unwrap().parse().unwrap();
        assert!(wait <= 10);
        waits.insert(wait);
    }
    assert!(waits.len() > 1, "chosen anew each time");
    world.tell(bob, |core, ep, now| core.reject(ep, now, theirs, status(486), Reply::new())).unwrap();
    assert_eq!(world.final_of(raw, invite).status(), Some(status(486)));
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3311#section-5.1
//= type=test
//# If a UA uses an UPDATE request or response to modify the remote target
//# while an INVITE transaction is in progress, and it is a UAS for that
//# INVITE transaction, it MUST place the same value into the Contact header
//# field of the 2xx to the INVITE that it placed into the UPDATE request or
//# response.
#[test]
fn a_contact_that_an_update_has_changed_stays_changed_in_the_200() {
    let mut world = World::new(51);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let ours = world.call(alice, 1, 2);
    let theirs = world.incoming(bob);
    let early = sip_dialog::Progress::new(status(183)).reliable().body(answer());
    world.tell(bob, |core, ep, now| core.progress(ep, now, theirs, early)).unwrap();
    world.until_call(bob, theirs, |event| matches!(event, CallEvent::Acknowledged { .. }).then_some(()));
    let contact = "<sip:elsewhere@192.0.2.2>";
    world.tell(bob, |core, _, _| core.set_contact(theirs, contact)).unwrap();
    world.tell(bob, |core, ep, now| core.update(ep, now, theirs, None, ExtraHeaders::new())).unwrap();
    settle(&mut world);
    assert_eq!(world.last("UPDATE").field(Header::Contact), Some(contact.as_bytes()));
    world.tell(bob, |core, ep, now| core.accept(ep, now, theirs, Reply::new())).unwrap();
    world.until_confirmed(bob, theirs);
    assert_eq!(world.last("200").field(Header::Contact), Some(contact.as_bytes()));
    assert_eq!(world.last("ACK").request_uri_bytes(), Some(&b"sip:elsewhere@192.0.2.2"[..]));
    world.hang_up(alice, ours);
    world.finish();
}

/// Who offers `sendonly` leaves the other the choice to receive or not to: not to is a hold of its own.
#[test]
fn an_answer_in_the_ack_may_hold_who_offered_a_hold() {
    for (direction, holds) in [(Direction::RecvOnly, false), (Direction::Inactive, true)] {
        let mut world = World::new(21);
        let (alice, bob) = (world.phone(1), world.phone(2));
        let (ours, theirs) = world.established(alice, bob, 1, 2);
        world.tell(alice, |core, ep, now| core.reinvite(ep, now, ours, None, ExtraHeaders::new())).unwrap();
        world.until_call(bob, theirs, |event| matches!(event, CallEvent::OfferWanted { .. }).then_some(()));
        world.tell(bob, |core, ep, now| core.answer(ep, now, theirs, held())).unwrap();
        world.until_call(alice, ours, |event| matches!(event, CallEvent::Answered { .. }).then_some(()));
        let answer = Body::sdp(sdp::with_direction(ANSWER, direction).unwrap());
        world.tell(alice, |core, ep, now| core.answer(ep, now, ours, answer)).unwrap();
        world.until_call(bob, theirs, |event| matches!(event, CallEvent::Answered { .. }).then_some(()));
        let there = world.tell(bob, |core, _, _| core.call(theirs)).unwrap();
        assert_eq!((there.on_hold, there.held), (true, holds), "{direction:?}");
        world.hang_up(alice, ours);
        world.finish();
    }
}
