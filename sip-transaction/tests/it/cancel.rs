//! CANCEL: RFC 3261 section 9 at the level of transactions, and its races (RFC 5407 section 3).
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests stop at what they did not expect")]

use crate::common::{ALICE, BOB, Pair, ms, request, response};
use sip_message::{Message, Method};
use sip_transaction::{CommandError, Outcome};

#[test]
fn a_ringing_call_is_cancelled() {
    let mut pair = Pair::new().answer("INVITE", &[180]);
    let tx = pair.request(request(Method::Invite));
    pair.until(ms(100));
    let alice = pair.alice;
    pair.net.host(alice).cancel(ms(100), tx, Some("SIP;cause=200;text=\"Call completed elsewhere\"")).unwrap();
    assert_eq!(pair.net.host(alice).cancel(ms(100), tx, None), Err(CommandError::Already));
    pair.until(ms(110));
    //= https://www.rfc-editor.org/rfc/rfc3261#section-9.2
    //= type=test
    //# Regardless of the method of the original request, as long as the
    //# CANCEL matched an existing transaction, the UAS answers the CANCEL
    //# request itself with a 200 (OK) response.
    assert_eq!(pair.sent(BOB, "200"), [110]);
    assert_eq!(pair.heard(pair.bob), ["INVITE", "CANCEL"]);
    pair.respond(0, 487);
    pair.finish();
    assert_eq!(pair.heard(alice), ["180", "487", "client Completed"]);
    assert_eq!(pair.heard(pair.bob), ["INVITE", "CANCEL", "server Completed"]);
    let cancel = Message::parse(pair.text(ALICE, "CANCEL").remove(0).into()).unwrap();
    let invite = Message::parse(pair.text(ALICE, "INVITE").remove(0).into()).unwrap();
    //= https://www.rfc-editor.org/rfc/rfc3261#section-9.1
    //= type=test
    //# The Request-URI, Call-ID, To, the numeric part of CSeq, and From header
    //# fields in the CANCEL request MUST be identical to those in the
    //# request being cancelled, including tags.
    for header in ["Call-ID", "To", "From"] {
        assert_eq!(cancel.field(header), invite.field(header), "{header}");
    }
    assert_eq!(cancel.request_uri_bytes(), invite.request_uri_bytes());
    assert_eq!(cancel.cseq().unwrap().number, invite.cseq().unwrap().number);
    //= https://www.rfc-editor.org/rfc/rfc3261#section-9.1
    //= type=test
    //# A CANCEL constructed by a client
    //# MUST have only a single Via header field value matching the top Via
    //# value in the request being cancelled.
    assert_eq!(cancel.fields("Via").collect::<Vec<_>>(), [invite.field("Via").unwrap()]);
    assert_eq!(cancel.field("Reason"), Some(&b"SIP;cause=200;text=\"Call completed elsewhere\""[..]));
    //= https://www.rfc-editor.org/rfc/rfc3261#section-9.2
    //= type=test
    //# the To tag of the response to the CANCEL and the To tag
    //# in the response to the original request SHOULD be the same.
    let ok = Message::parse(pair.text(BOB, "200").remove(0).into()).unwrap();
    assert_eq!(ok.to().unwrap().tag(), Ok(Some("8321234356")));
    pair.assert_empty();
}

#[test]
fn a_cancel_waits_for_the_first_provisional_response() {
    let mut pair = Pair::new();
    let tx = pair.request(request(Method::Invite));
    let alice = pair.alice;
    pair.net.host(alice).cancel(ms(0), tx, None).unwrap();
    pair.until(ms(209));
    //= https://www.rfc-editor.org/rfc/rfc3261#section-9.1
    //= type=test
    //# If no provisional response has been received, the CANCEL request MUST
    //# NOT be sent; rather, the client MUST wait for the arrival of a
    //# provisional response before sending the request.
    assert_eq!(pair.sent(ALICE, "CANCEL"), []);
    pair.until(ms(300));
    //= https://www.rfc-editor.org/rfc/rfc3263#section-4
    //= type=test
    //# Furthermore, a CANCEL for a particular SIP request MUST be sent to the same SIP server that the SIP
    //# request was delivered to.
    assert_eq!(pair.sent(ALICE, "CANCEL"), [220]);
    pair.respond(0, 487);
    pair.finish();
    // The endpoint had to answer the CANCEL before its user answered the INVITE, and offered it the same tag.
    assert_eq!(pair.heard(alice), ["100", "487", "client Completed"]);
    pair.assert_empty();
}

#[test]
fn the_tag_of_an_early_answer_to_cancel_is_offered_to_the_user() {
    let mut pair = Pair::new();
    let tx = pair.request(request(Method::Invite));
    let alice = pair.alice;
    pair.net.host(alice).cancel(ms(0), tx, None).unwrap();
    pair.until(ms(400));
    let (bob, tx, _) = pair.got[0].clone();
    let tag = pair.net.host(bob).local_tag(tx).unwrap();
    let ok = Message::parse(pair.text(BOB, "200").remove(0).into()).unwrap();
    assert_eq!(ok.to().unwrap().tag(), Ok(Some(tag.as_str())));
    pair.respond(0, 487);
    pair.finish();
    assert_eq!(pair.net.host(bob).local_tag(tx), None, "a stale id");
}

#[test]
fn a_cancel_that_crosses_the_200_changes_nothing() {
    // RFC 5407 section 3.1.2: the call has been accepted; the user sends BYE.
    let mut pair = Pair::new().answer("INVITE", &[180]);
    let tx = pair.request(request(Method::Invite));
    pair.until(ms(100));
    let alice = pair.alice;
    pair.net.host(alice).cancel(ms(100), tx, None).unwrap();
    pair.respond(0, 200);
    pair.finish();
    assert_eq!(pair.heard(alice), ["180", "200", "client Completed"]);
    assert_eq!(pair.heard(pair.bob), ["INVITE", "ACK", "server Completed"], "no CANCEL for the user");
    assert_eq!(pair.sent(BOB, "200"), [100, 110], "the INVITE's and the CANCEL's");
    pair.assert_empty();
}

#[test]
fn cancelling_too_late_or_the_wrong_thing_is_refused() {
    let mut pair = Pair::new().answer("INVITE", &[486]).answer("OPTIONS", &[]);
    let invite = pair.request(request(Method::Invite));
    let options = pair.request(request(Method::Options));
    pair.until(ms(100));
    let alice = pair.alice;
    //= https://www.rfc-editor.org/rfc/rfc3261#section-9.1
    //= type=test
    //# If the original request has
    //# generated a final response, the CANCEL SHOULD NOT be sent, as it is
    //# an effective no-op, since CANCEL has no effect on requests that have
    //# already generated a final response.
    assert_eq!(pair.net.host(alice).cancel(ms(100), invite, None), Err(CommandError::TooLate));
    //= https://www.rfc-editor.org/rfc/rfc3261#section-9.1
    //= type=test
    //# A CANCEL request SHOULD NOT be sent to cancel a request other than
    //# INVITE.
    assert_eq!(pair.net.host(alice).cancel(ms(100), options, None), Err(CommandError::NotInvite));
    assert_eq!(pair.net.host(alice).cancel(ms(100), options, Some("a\r\nb: c")), Err(CommandError::Malformed));
    pair.finish();
    assert_eq!(pair.net.host(alice).cancel(ms(90_000), invite, None), Err(CommandError::Unknown));
    pair.assert_empty();
}

#[test]
fn a_cancelled_call_that_never_ends_is_given_up() {
    let mut pair = Pair::new().answer("INVITE", &[180]);
    let tx = pair.request(request(Method::Invite));
    pair.until(ms(100));
    let alice = pair.alice;
    pair.net.host(alice).cancel(ms(100), tx, None).unwrap();
    pair.until(ms(40_000));
    //= https://www.rfc-editor.org/rfc/rfc3261#section-9.1
    //= type=test
    //# If
    //# there is no final response for the original request in 64*T1 seconds
    //# (T1 is defined in Section 17.1.1.1), the client SHOULD then consider
    //# the original transaction cancelled and SHOULD destroy the client
    //# transaction handling the original request.
    assert_eq!(pair.when(alice, "client Cancelled"), [32_100]);
    assert_eq!(Outcome::Cancelled.status().map(|status| status.code()), Some(487));
    pair.respond(0, 487);
    pair.finish();
    assert_eq!(pair.heard(alice), ["180", "client Cancelled"]);
    pair.assert_empty();
}

#[test]
fn an_invite_that_has_not_left_is_cancelled_on_the_spot() {
    let mut pair = Pair::new();
    let now = pair.net.now();
    let alice = pair.alice;
    let invite = crate::common::request_to(Method::Invite, "sip:bob@biloxi.example.com", 1);
    let tx = pair.net.host(alice).request(now, invite, sip_transaction::Destination::route()).unwrap();
    pair.net.host(alice).cancel(now, tx, None).unwrap();
    pair.finish();
    assert!(pair.heard(alice).contains(&"client Cancelled"));
    assert_eq!(pair.sent(ALICE, "INVITE"), []);
    pair.assert_empty();
}

#[test]
fn a_cancel_without_its_invite_is_a_request_like_any_other() {
    let mut pair = Pair::new().answer("CANCEL", &[481]);
    pair.request(request(Method::Cancel));
    pair.finish();
    assert_eq!(pair.heard(pair.bob), ["CANCEL", "server Completed"]);
    assert_eq!(pair.heard(pair.alice), ["481", "client Completed"]);
    pair.assert_empty();
}

#[test]
fn a_retransmitted_cancel_is_answered_again_and_told_once() {
    let mut pair = Pair::new().answer("INVITE", &[180]);
    let tx = pair.request(request(Method::Invite));
    pair.until(ms(100));
    pair.lose(BOB, "200", 2);
    let alice = pair.alice;
    pair.net.host(alice).cancel(ms(100), tx, None).unwrap();
    pair.until(ms(5_000));
    assert_eq!(pair.sent(ALICE, "CANCEL"), [100, 600, 1_600]);
    assert_eq!(pair.heard(pair.bob), ["INVITE", "CANCEL"]);
    let (bob, invite, message) = pair.got[0].clone();
    pair.net.host(bob).respond(ms(5_000), invite, response(&message, 487)).unwrap();
    pair.finish();
    pair.assert_empty();
}
