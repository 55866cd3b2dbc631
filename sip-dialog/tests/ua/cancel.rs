//! CANCEL, and what it crosses (RFC 3261 section 9).

use crate::common::*;
use sim::Fate;
use sip_dialog::{CallEvent, CommandError, EndCause, Progress, Reply};
use sip_message::{Header, Message, Method};
use std::time::Duration;

//= https://www.rfc-editor.org/rfc/rfc3261#section-9.2
//= type=test
//# If the original request was an INVITE, the UAS SHOULD immediately
//# respond to the INVITE with a 487 (Request Terminated).
//= https://www.rfc-editor.org/rfc/rfc3261#section-9.1
//= type=test
//# However, the method part of the CSeq header field MUST have a value of
//# CANCEL.
//= https://www.rfc-editor.org/rfc/rfc3261#section-9.1
//= type=test
//# The CANCEL request MUST NOT contain any Require or Proxy-Require header
//# fields.
//= https://www.rfc-editor.org/rfc/rfc3261#section-9.1
//= type=test
//# The destination address, port, and transport for the CANCEL MUST be
//# identical to those used to send the original request.
#[test]
fn a_ringing_call_is_cancelled() {
    let mut world = World::new(1);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let more = invite(1, 2).body(offer()).header("Require", "timer").header("Supported", "timer");
    let ours = world.invite(alice, more);
    let theirs = world.incoming(bob);
    world.tell(bob, |core, ep, now| core.progress(ep, now, theirs, Progress::ringing())).unwrap();
    world.until_call(alice, ours, |event| matches!(event, CallEvent::Progress { .. }).then_some(()));
    world.tell(alice, |core, ep, now| core.hang_up(ep, now, ours, Some("SIP;cause=200;text=\"Done\""))).unwrap();
    let again = world.tell(alice, |core, ep, now| core.hang_up(ep, now, ours, None));
    assert_eq!(again, Err(CommandError::WrongState));
    assert_eq!(world.end_of(bob, theirs), EndCause::PeerCancelled);
    assert_eq!(world.end_of(alice, ours), EndCause::Cancelled);
    assert_eq!(world.last("CANCEL").field(Header::Reason), Some(&b"SIP;cause=200;text=\"Done\""[..]));
    assert_eq!(world.sent(), ["1>2 INVITE", "2>1 180", "1>2 CANCEL", "2>1 200", "2>1 487", "1>2 ACK"]);
    let (invite, cancel) = (world.last("INVITE"), world.last("CANCEL"));
    assert_eq!(cancel.cseq().unwrap().method, Method::Cancel);
    assert_eq!(cancel.cseq().unwrap().number, invite.cseq().unwrap().number);
    assert!(invite.has(Header::Require) && !cancel.has(Header::Require) && !cancel.has(Header::ProxyRequire));
    let way = |what: &str| {
        let sent = world.net.trace().iter().find(|sent| sent.title().starts_with(what)).unwrap();
        (sent.transport, sent.from, sent.to)
    };
    assert_eq!(way("CANCEL"), way("INVITE"));
    // The call is gone: nothing can be done with it any more.
    let late = world.tell(bob, |core, ep, now| core.accept(ep, now, theirs, Reply::new().body(answer())));
    assert_eq!(late, Err(CommandError::Unknown));
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-9.1
//= type=test
//# If no provisional response has been received, the CANCEL request MUST
//# NOT be sent; rather, the client MUST wait for the arrival of a
//# provisional response before sending the request.
#[test]
fn a_cancel_waits_for_the_first_response() {
    let mut world = World::new(2);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let ours = world.call(alice, 1, 2);
    world.hang_up(alice, ours);
    let theirs = world.incoming(bob);
    assert_eq!(world.sent(), ["1>2 INVITE"]);
    assert_eq!(world.end_of(bob, theirs), EndCause::PeerCancelled);
    assert_eq!(world.end_of(alice, ours), EndCause::Cancelled);
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.2.4
//= type=test
//# If, after acknowledging any 2xx response to an INVITE, the UAC does not
//# want to continue with that dialog, then the UAC MUST terminate the
//# dialog by sending a BYE request as described in Section 15.
#[test]
fn a_200_that_crosses_a_cancel_gets_ack_and_bye() {
    let mut world = World::new(3);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let ours = world.call(alice, 1, 2);
    let theirs = world.incoming(bob);
    world.tell(bob, |core, ep, now| core.progress(ep, now, theirs, Progress::ringing())).unwrap();
    world.until_call(alice, ours, |event| matches!(event, CallEvent::Progress { .. }).then_some(()));
    // Both at once.
    world.accept(bob, theirs).unwrap();
    world.hang_up(alice, ours);
    assert_eq!(world.end_of(alice, ours), EndCause::Cancelled);
    assert_eq!(world.end_of(bob, theirs), EndCause::PeerHungUp);
    let sent = world.sent();
    assert!(sent.contains(&"1>2 ACK".into()) && sent.contains(&"1>2 BYE".into()), "{sent:?}");
    world.finish();
}

#[test]
fn a_call_nobody_answers_is_cancelled_in_time() {
    let mut world = World::new(4);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let ours = world.invite(alice, invite(1, 2).body(offer()).no_answer(Duration::from_secs(20)));
    let theirs = world.incoming(bob);
    assert_eq!(world.end_of(alice, ours), EndCause::NoAnswer);
    assert!(world.now().as_micros() < 21_000_000);
    assert_eq!(world.end_of(bob, theirs), EndCause::PeerCancelled);
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-13.3.1
//= type=test
//# If the invitation expires before the UAS has generated a final response,
//# a 487 (Request Terminated) response SHOULD be generated.
#[test]
fn an_invitation_that_expires_is_answered_487() {
    let mut world = World::new(5);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let ours = world.invite(alice, invite(1, 2).body(offer()).header("Expires", "10"));
    let theirs = world.incoming(bob);
    assert_eq!(world.end_of(bob, theirs), EndCause::NoAnswer);
    assert_eq!(world.end_of(alice, ours), EndCause::PeerRejected(status(487)));
    world.finish();
}

#[test]
fn a_peer_that_is_not_there_is_told() {
    let mut world = World::new(6);
    let alice = world.phone(1);
    let ours = world.call(alice, 1, 9);
    assert_eq!(world.end_of(alice, ours), EndCause::Unreachable);
    // And one that is, but never says a word.
    world.net.set_filter(|_| Fate::Lose);
    let ours = world.call(alice, 1, 9);
    assert_eq!(world.end_of(alice, ours), EndCause::TimedOut);
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-13.3.1.1
//= type=test
//# To prevent cancellation, the UAS MUST send a non-100 provisional
//# response at every minute, to handle the possibility of lost provisional
//# responses.
#[test]
fn a_long_ring_is_repeated_every_minute() {
    let mut world = World::new(7);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let _ours = world.invite(alice, invite(1, 2).body(offer()).no_answer(Duration::from_secs(150)));
    let theirs = world.incoming(bob);
    world.tell(bob, |core, ep, now| core.progress(ep, now, theirs, Progress::ringing())).unwrap();
    world.run_for(Duration::from_secs(140));
    assert_eq!(world.sent().iter().filter(|what| *what == "2>1 180").count(), 3);
    world.finish();
}

#[test]
fn a_refused_call_ends_with_its_status() {
    let mut world = World::new(8);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let ours = world.call(alice, 1, 2);
    let theirs = world.incoming(bob);
    let bad = world.tell(bob, |core, ep, now| core.reject(ep, now, theirs, status(200), Reply::new()));
    assert_eq!(bad, Err(CommandError::BadStatus));
    world
        .tell(bob, |core, ep, now| core.reject(ep, now, theirs, status(486), Reply::new().header("Retry-After", "60")))
        .unwrap();
    assert_eq!(world.end_of(bob, theirs), EndCause::Rejected(status(486)));
    assert_eq!(world.end_of(alice, ours), EndCause::PeerRejected(status(486)));
    assert_eq!(world.last("486").field(Header::RetryAfter), Some(&b"60"[..]));
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-15
//= type=test
//# A UA MUST NOT send a BYE outside of a dialog.
//= https://www.rfc-editor.org/rfc/rfc3261#section-15
//= type=test
//# The caller's UA MAY send a BYE for either confirmed or early dialogs,
//# and the callee's UA MAY send a BYE on confirmed dialogs, but MUST NOT
//# send a BYE on early dialogs.
#[test]
fn whoever_has_no_confirmed_dialog_says_no_bye() {
    let mut world = World::new(20);
    let (alice, bob) = (world.phone(1), world.phone(2));
    // The callee hangs up while it rings: that is a refusal.
    let ours = world.call(alice, 1, 2);
    let theirs = world.incoming(bob);
    world.tell(bob, |core, ep, now| core.progress(ep, now, theirs, Progress::ringing())).unwrap();
    world.until_call(alice, ours, |event| matches!(event, CallEvent::Progress { .. }).then_some(()));
    world.hang_up(bob, theirs);
    assert!(matches!(world.end_of(alice, ours), EndCause::PeerRejected(_)));
    // The caller hangs up before there is any dialog.
    let ours = world.call(alice, 1, 2);
    world.hang_up(alice, ours);
    assert_eq!(world.end_of(alice, ours), EndCause::Cancelled);
    assert!(!world.sent().iter().any(|what| what.ends_with("BYE")), "{}", world.ladder());
    world.finish();
}

#[test]
fn what_is_said_at_the_end_waits_for_the_ack_and_is_checked_first() {
    let mut world = World::new(20);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let ours = world.invite(alice, invite(1, 2));
    let theirs = world.incoming(bob);
    world.tell(bob, |core, ep, now| core.accept(ep, now, theirs, Reply::new().body(offer()))).unwrap();
    // The 200 has an offer: a Reason that nobody can write leaves the call as it is.
    world.until_call(alice, ours, |event| matches!(event, CallEvent::Accepted { .. }).then_some(()));
    let bad = world.tell(alice, |core, ep, now| core.hang_up(ep, now, ours, Some("SIP;cause=200\r\nX: y")));
    assert!(matches!(bad, Err(CommandError::Malformed(_))), "{bad:?}");
    // The callee may say no BYE before the ACK: it is kept till then, with what it says.
    let reply = Reply::new().header("Reason", "SIP;cause=200").header("User-to-User", "56a390;encoding=hex");
    world.tell(bob, |core, ep, now| core.hang_up_with(ep, now, theirs, reply)).unwrap();
    world.tell(alice, |core, ep, now| core.answer(ep, now, ours, answer())).unwrap();
    assert_eq!(world.end_of(alice, ours), EndCause::PeerHungUp);
    let bye = world.last("BYE");
    assert_eq!(bye.field(Header::Reason), Some(&b"SIP;cause=200"[..]));
    assert!(bye.headers().any(|field| field.name().as_str() == "User-to-User"));
    world.finish();
}

/// Fields that stand well alone may make no message together: that is found out before anything has changed, whatever the state.
#[test]
fn a_farewell_that_no_message_could_carry_is_refused_and_the_call_stays() {
    let wrong = || Reply::new().header("Content-Type", "text/plain").body(sip_dialog::Body::new("text/plain", "x"));
    let refused = |world: &mut World, node, call| {
        let said = world.tell(node, |core, ep, now| core.hang_up_with(ep, now, call, wrong()));
        assert!(matches!(said, Err(CommandError::Malformed(_))), "{said:?}");
    };
    let mut world = World::new(21);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let ours = world.invite(alice, invite(1, 2));
    let theirs = world.incoming(bob);
    refused(&mut world, bob, theirs);
    world.tell(bob, |core, ep, now| core.accept(ep, now, theirs, Reply::new().body(offer()))).unwrap();
    refused(&mut world, bob, theirs);
    world.until_call(alice, ours, |event| matches!(event, CallEvent::Accepted { .. }).then_some(()));
    refused(&mut world, alice, ours);
    world.tell(alice, |core, ep, now| core.answer(ep, now, ours, answer())).unwrap();
    world.until_confirmed(bob, theirs);
    refused(&mut world, bob, theirs);
    world.hang_up(bob, theirs);
    assert_eq!(world.end_of(alice, ours), EndCause::PeerHungUp);
    world.finish();
}

#[test]
fn who_hangs_up_instead_of_an_answer_acknowledges_first() {
    let mut world = World::new(22);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let ours = world.invite(alice, invite(1, 2));
    let theirs = world.incoming(bob);
    world.tell(bob, |core, ep, now| core.accept(ep, now, theirs, Reply::new().body(offer()))).unwrap();
    world.until_call(alice, ours, |event| matches!(event, CallEvent::Accepted { .. }).then_some(()));
    world.hang_up(alice, ours);
    assert_eq!(world.end_of(bob, theirs), EndCause::PeerHungUp);
    let sent = world.sent();
    let ack = sent.iter().position(|what| what == "1>2 ACK").expect("an ACK");
    assert_eq!(sent[ack + 1], "1>2 BYE");
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-9.2
//= type=test
//# If the UAS did not find a matching transaction for the CANCEL
//# according to the procedure above, it SHOULD respond to the CANCEL
//# with a 481 (Call Leg/Transaction Does Not Exist).
#[test]
fn a_cancel_of_nothing_is_481_in_a_dialog_too() {
    let mut world = World::new(21);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let (ours, theirs) = world.established(alice, bob, 1, 2);
    let raw = world.raw(3);
    let invite = world.last("INVITE");
    let accepted = world.last("200");
    for (call_id, code) in [("nothing", 481), (accepted.call_id().unwrap(), 481)] {
        let cancel = Message::request(Method::Cancel, "sip:2@192.0.2.2")
            .copy_all(&invite, Header::From)
            .copy_all(&accepted, Header::To)
            .header(Header::CallId, call_id)
            .cseq(99)
            .build()
            .unwrap();
        let tx = world.send(raw, cancel);
        assert_eq!(world.final_of(raw, tx).status(), Some(status(code)), "{call_id}");
    }
    world.hang_up(alice, ours);
    assert_eq!(world.end_of(bob, theirs), EndCause::PeerHungUp);
    world.finish();
}
