//! The INVITE transactions over UDP: RFC 3261 sections 17.1.1 and 17.2.1, RFC 6026.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests stop at what they did not expect")]

use crate::common::{ALICE, BOB, Pair, ack_for, ms, request, response};
use sip_message::{Message, Method};
use sip_transaction::{CommandError, Destination, Outcome, SendErrorKind};

#[test]
fn a_call_is_accepted() {
    let mut pair = Pair::new().answer("INVITE", &[180, 200]);
    pair.request(request(Method::Invite));
    pair.finish();
    //= https://www.rfc-editor.org/rfc/rfc6026#section-8.4
    //= type=test
    //# When a 2xx response is received while in either the "Calling" or "Proceeding" states, the client
    //# transaction MUST transition to the "Accepted" state, and Timer M MUST be started with a value of
    //# 64*T1.
    //= https://www.rfc-editor.org/rfc/rfc6026#section-8.4
    //= type=test
    //# The 2xx response MUST be passed up to the TU.
    //= https://www.rfc-editor.org/rfc/rfc6026#section-8.4
    //= type=test
    //# If Timer M fires while the client transaction is in the "Accepted" state, the client transaction
    //# MUST move to the "Terminated" state.
    //= https://www.rfc-editor.org/rfc/rfc6026#section-6
    //= type=test
    //# An element sending or receiving a 2xx to an INVITE transaction MUST NOT destroy any matching INVITE
    //# transaction state.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.2
    //= type=test
    //# Furthermore, the
    //# provisional response MUST be passed to the TU.
    //= https://www.rfc-editor.org/rfc/rfc6026#section-7.2
    //= type=test
    //# If a 2xx response is
    //# received while the client INVITE state machine is in the "Calling" or
    //# "Proceeding" states, it MUST transition to the "Accepted" state, pass
    //# the 2xx response to the TU, and set Timer M to 64*T1.
    //= https://www.rfc-editor.org/rfc/rfc6026#section-7.2
    //= type=test
    //# When Timer M fires and the state machine is in the "Accepted" state,
    //# the machine MUST transition to the "Terminated" state.
    assert_eq!(pair.heard(pair.alice), ["180", "200", "client Completed"]);
    //= https://www.rfc-editor.org/rfc/rfc6026#section-8.4
    //= type=test
    //# The client transaction MUST be destroyed the instant it enters the "Terminated" state.
    assert_eq!(pair.when(pair.alice, "client Completed"), [20 + 32_000]);
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.1
    //= type=test
    //# If, while in the "Proceeding" state, the TU passes a 2xx response to the server transaction, the
    //# server transaction MUST pass this response to the transport layer for transmission.
    //= https://www.rfc-editor.org/rfc/rfc6026#section-8.5
    //= type=test
    //# If, while in the "Proceeding" state, the TU passes a 2xx response to the server transaction, the
    //# server transaction MUST pass this response to the transport layer for transmission.
    //= https://www.rfc-editor.org/rfc/rfc6026#section-8.5
    //= type=test
    //# The server transaction MUST then transition to the "Accepted" state.
    //= https://www.rfc-editor.org/rfc/rfc6026#section-7.1
    //= type=test
    //# If the SIP element's TU (Transaction User) issues a 2xx response for this transaction while the
    //# state machine is in the "Proceeding" state, the state machine MUST transition to the "Accepted"
    //# state and set Timer L to 64*T1, where T1 is the round-trip time estimate defined in Section 17.1.1.1
    //# of [RFC3261].
    //= https://www.rfc-editor.org/rfc/rfc6026#section-7.1
    //= type=test
    //# When Timer L fires and the state machine is in the "Accepted" state, the machine MUST transition to
    //# the "Terminated" state.
    //= https://www.rfc-editor.org/rfc/rfc6026#section-7.1
    //= type=test
    //# Once the transaction is in the "Terminated" state, it MUST be destroyed immediately.
    //= https://www.rfc-editor.org/rfc/rfc6026#section-8.7
    //= type=test
    //# Once the transaction is in the "Terminated" state, it MUST be destroyed immediately.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.1
    //= type=test
    //# The request MUST be passed to the TU.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.1
    //= type=test
    //# So long as the server transaction is in the "Proceeding" state,
    //# each of these MUST be passed to the transport layer for transmission.
    //= https://www.rfc-editor.org/rfc/rfc6026#section-8.7
    //= type=test
    //# When the INVITE server transaction enters the "Accepted" state,
    //# Timer L MUST be set to fire in 64*T1 for all transports.
    //= https://www.rfc-editor.org/rfc/rfc6026#section-8.7
    //= type=test
    //# If Timer L fires while the
    //# INVITE server transaction is in the "Accepted" state, the transaction
    //# MUST transition to the "Terminated" state.
    assert_eq!(pair.heard(pair.bob), ["INVITE", "ACK", "server Completed"]);
    assert_eq!(pair.when(pair.bob, "server Completed"), [10 + 32_000]);
    //= https://www.rfc-editor.org/rfc/rfc6026#section-8.4
    //= type=test
    //# The client transaction MUST NOT generate an ACK to the 2xx response -- its handling is delegated to
    //# the TU.
    //= https://www.rfc-editor.org/rfc/rfc6026#section-8.4
    //= type=test
    //# The client transaction MUST NOT generate an ACK to the 2xx response.
    //= https://www.rfc-editor.org/rfc/rfc6026#section-7.2
    //= type=test
    //# The client transaction
    //# MUST NOT generate an ACK to any 2xx response on its own.
    assert_eq!(pair.sent(ALICE, "ACK").len(), 1, "the user's, and no other");
    pair.assert_empty();
}

#[test]
fn an_invite_without_answer_is_retransmitted_doubling_and_times_out() {
    let mut pair = Pair::new();
    pair.lose(ALICE, "INVITE", usize::MAX);
    pair.request(request(Method::Invite));
    pair.finish();
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.2
    //= type=test
    //# The initial state, "calling", MUST be entered when the TU initiates a new client transaction with an
    //# INVITE request.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.2
    //= type=test
    //# The client transaction MUST pass the request to the transport layer for transmission (see Section
    //# 18).
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.2
    //= type=test
    //# Whatever the value of T1, the exponential backoffs on retransmissions described in this section MUST
    //# be used.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.2
    //= type=test
    //# If an unreliable transport is being
    //# used, the client transaction MUST start timer A with a value of T1.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.2
    //= type=test
    //# When timer A fires, the client transaction MUST retransmit the
    //# request by passing it to the transport layer, and MUST reset the
    //# timer with a value of 2*T1.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.2
    //= type=test
    //# When timer A fires 2*T1 seconds later, the request
    //# MUST be retransmitted again (assuming the client transaction is still
    //# in this state).
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.2
    //= type=test
    //# This process MUST continue so that the request is
    //# retransmitted with intervals that double after each transmission.
    assert_eq!(pair.sent(ALICE, "INVITE"), [0, 500, 1_500, 3_500, 7_500, 15_500, 31_500]);
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.2
    //= type=test
    //# If the client transaction is still in the "Calling" state when timer
    //# B fires, the client transaction SHOULD inform the TU that a timeout
    //# has occurred.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.2
    //= type=test
    //# For
    //# any transport, the client transaction MUST start timer B with a value
    //# of 64*T1 seconds (Timer B controls transaction timeouts).
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.2
    //= type=test
    //# The client transaction MUST NOT generate an ACK.
    assert_eq!(pair.when(pair.alice, "client TimedOut"), [32_000]);
    assert_eq!(pair.sent(ALICE, "ACK"), []);
    //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.3.1
    //= type=test
    //# When a timeout error is received from the transaction layer, it
    //# MUST be treated as if a 408 (Request Timeout) status code has been
    //# received.
    assert_eq!(pair.ended[0].1.status().map(|status| status.code()), Some(408));
    pair.assert_empty();
}

#[test]
fn a_provisional_response_ends_retransmissions_and_the_limit() {
    let mut pair = Pair::new().answer("INVITE", &[180]);
    pair.request(request(Method::Invite));
    pair.until(ms(100_000));
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.2
    //= type=test
    //# In the "Proceeding" state, the client transaction
    //# SHOULD NOT retransmit the request any longer.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.2
    //= type=test
    //# These retransmissions SHOULD only be done while the
    //# client transaction is in the "calling" state.
    assert_eq!(pair.sent(ALICE, "INVITE"), [0]);
    pair.respond(0, 183);
    pair.until(ms(100_100));
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.2
    //= type=test
    //# Any further
    //# provisional responses MUST be passed up to the TU while in the
    //# "Proceeding" state.
    assert_eq!(pair.heard(pair.alice), ["180", "183"]);
    pair.respond(0, 200);
    pair.finish();
    assert_eq!(pair.heard(pair.alice), ["180", "183", "200", "client Completed"]);
    pair.assert_empty();
}

#[test]
fn trying_is_sent_after_200_ms_if_the_user_is_silent() {
    let mut pair = Pair::new();
    pair.request(request(Method::Invite));
    pair.until(ms(300));
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.1
    //= type=test
    //# The server
    //# transaction MUST generate a 100 (Trying) response unless it knows
    //# that the TU will generate a provisional or final response within 200
    //# ms, in which case it MAY generate a 100 (Trying) response.
    assert_eq!(pair.sent(BOB, "100"), [210]);
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.1
    //= type=test
    //# The 100
    //# (Trying) response is constructed according to the procedures in
    //# Section 8.2.6, except that the insertion of tags in the To header
    //# field of the response (when none was present in the request) is
    //# downgraded from MAY to SHOULD NOT.
    let trying = Message::parse(pair.text(BOB, "100").remove(0).into()).unwrap();
    assert_eq!(trying.to().unwrap().tag(), Ok(None));
    assert_eq!(trying.top_via().unwrap().rport(), Ok(Some(Some(5060))));
    assert_eq!(trying.top_via().unwrap().received(), Ok(Some(ALICE.parse().unwrap())));
    pair.respond(0, 486);
    pair.finish();
    pair.assert_empty();
    let mut quick = Pair::new().answer("INVITE", &[180]);
    quick.request(request(Method::Invite));
    quick.until(ms(1_000));
    assert_eq!(quick.sent(BOB, "100"), []);
}

#[test]
fn a_retransmitted_invite_gets_the_last_provisional_response() {
    let mut pair = Pair::new().answer("INVITE", &[180, 183]);
    pair.lose(BOB, "18", 2);
    pair.request(request(Method::Invite));
    pair.until(ms(1_000));
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.1
    //= type=test
    //# If a request
    //# retransmission is received while in the "Proceeding" state, the most
    //# recent provisional response that was received from the TU MUST be
    //# passed to the transport layer for retransmission.
    assert_eq!(pair.sent(BOB, "183"), [10, 510]);
    assert_eq!(pair.sent(BOB, "180"), [10]);
    pair.respond(0, 603);
    pair.finish();
    assert_eq!(pair.heard(pair.bob), ["INVITE", "server Completed"]);
    pair.assert_empty();
}

#[test]
fn a_refused_call_is_acknowledged_by_the_transaction() {
    let mut pair = Pair::new().answer("INVITE", &[486]);
    pair.request(request(Method::Invite));
    pair.finish();
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.2
    //= type=test
    //# The client transaction
    //# MUST pass the received response up to the TU, and the client
    //# transaction MUST generate an ACK request, even if the transport is
    //# reliable
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.2
    //= type=test
    //# When in either the "Calling" or "Proceeding" states, reception of a
    //# response with status code from 300-699 MUST cause the client
    //# transaction to transition to "Completed".
    assert_eq!(pair.heard(pair.alice), ["486", "client Completed"]);
    //= https://www.rfc-editor.org/rfc/rfc6026#section-8.4
    //= type=test
    //# When in either the "Calling" or "Proceeding" states, reception of a response with status code from
    //# 300-699 MUST cause the client transaction to transition to "Completed".
    //= https://www.rfc-editor.org/rfc/rfc6026#section-8.4
    //= type=test
    //# The client transaction MUST pass the received response up to the TU, and the client transaction MUST
    //# generate an ACK request, even if the transport is reliable (guidelines for constructing the ACK from
    //# the response are given in Section 17.1.1.3), and then pass the ACK to the transport layer for
    //# transmission.
    //= https://www.rfc-editor.org/rfc/rfc6026#section-8.4
    //= type=test
    //# The ACK MUST be sent to the same address, port, and transport to which the original request was
    //# sent.
    assert_eq!(pair.sent(ALICE, "ACK"), [20]);
    //= https://www.rfc-editor.org/rfc/rfc6026#section-8.4
    //= type=test
    //# The client transaction MUST start Timer D when it enters the "Completed" state for any reason, with
    //# a value of at least 32 seconds for unreliable transports, and a value of zero seconds for reliable
    //# transports.
    //= https://www.rfc-editor.org/rfc/rfc6026#section-8.4
    //= type=test
    //# If Timer D fires while the client transaction is in the "Completed" state, the client transaction
    //# MUST move to the "Terminated" state.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.2
    //= type=test
    //# The client transaction SHOULD start timer D when it enters the
    //# "Completed" state, with a value of at least 32 seconds for unreliable
    //# transports, and a value of zero seconds for reliable transports.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.2
    //= type=test
    //# If timer D fires while the client transaction is in the "Completed"
    //# state, the client transaction MUST move to the terminated state.
    assert_eq!(pair.when(pair.alice, "client Completed"), [20 + 32_000]);
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.1
    //= type=test
    //# If an ACK is received while the server transaction is in the
    //# "Completed" state, the server transaction MUST transition to the
    //# "Confirmed" state.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.1
    //= type=test
    //# Once timer I fires, the server MUST transition to the
    //# "Terminated" state.
    assert_eq!(pair.heard(pair.bob), ["INVITE", "server Completed"], "the ACK is absorbed");
    assert_eq!(pair.when(pair.bob, "server Completed"), [30 + 5_000]);
    pair.assert_empty();
}

#[test]
fn the_ack_for_a_refusal_repeats_what_it_must() {
    let mut pair = Pair::new().answer("INVITE", &[404]);
    let mut invite = request(Method::Invite);
    invite.push("Route", "<sip:192.0.2.2;lr>").unwrap();
    invite.push("Route", "<sip:p2.example.com;lr>, <sip:p3.example.com;lr>").unwrap();
    pair.request(invite);
    pair.finish();
    let sent = Message::parse(pair.text(ALICE, "INVITE").remove(0).into()).unwrap();
    let refusal = Message::parse(pair.text(BOB, "404").remove(0).into()).unwrap();
    let ack = Message::parse(pair.text(ALICE, "ACK").remove(0).into()).unwrap();
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.3
    //= type=test
    //# The ACK request constructed by the client transaction MUST contain
    //# values for the Call-ID, From, and Request-URI that are equal to the
    //# values of those header fields in the request passed to the transport
    //# by the client transaction (call this the "original request").
    assert_eq!(ack.field("Call-ID"), sent.field("Call-ID"));
    assert_eq!(ack.field("From"), sent.field("From"));
    assert_eq!(ack.request_uri_bytes(), sent.request_uri_bytes());
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.3
    //= type=test
    //# The To
    //# header field in the ACK MUST equal the To header field in the
    //# response being acknowledged
    assert_eq!(ack.field("To"), refusal.field("To"));
    assert!(ack.to().unwrap().tag().unwrap().is_some());
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.3
    //= type=test
    //# The ACK MUST contain a single Via header field, and
    //# this MUST be equal to the top Via header field of the original
    //# request.
    assert_eq!(ack.vias().count(), 1);
    assert_eq!(ack.field("Via"), sent.field("Via"));
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.3
    //= type=test
    //# The CSeq header field in the ACK MUST contain the same
    //# value for the sequence number as was present in the original request,
    //# but the method parameter MUST be equal to "ACK".
    assert_eq!((ack.cseq().unwrap().number, ack.cseq().unwrap().method), (1, Method::Ack));
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.3
    //= type=test
    //# If the INVITE request whose response is being acknowledged had Route
    //# header fields, those header fields MUST appear in the ACK.
    assert_eq!(ack.fields("Route").collect::<Vec<_>>(), sent.fields("Route").collect::<Vec<_>>());
    assert_eq!(ack.routes().count(), 3);
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.2
    //= type=test
    //# The ACK MUST be sent
    //# to the same address, port, and transport to which the original
    //# request was sent.
    let to =
        |what: &str| pair.net.trace().iter().find(|sent| sent.what() == what).map(|sent| (sent.to, sent.transport));
    assert_eq!(to("ACK"), to("INVITE"));
    assert!(ack.body().is_empty());
}

#[test]
fn a_lost_ack_is_sent_again_for_each_retransmitted_refusal() {
    let mut pair = Pair::new().answer("INVITE", &[486]);
    pair.lose(ALICE, "ACK", 3);
    pair.request(request(Method::Invite));
    pair.finish();
    assert_eq!(pair.sent(BOB, "486"), [10, 510, 1_510, 3_510], "Timer G doubles");
    //= https://www.rfc-editor.org/rfc/rfc6026#section-8.4
    //= type=test
    //# Any retransmissions of a response with status code 300-699 that are received while in the
    //# "Completed" state MUST cause the ACK to be re-passed to the transport layer for retransmission, but
    //# the newly received response MUST NOT be passed up to the TU.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.2
    //= type=test
    //# Any retransmissions of the final response that are received while in
    //# the "Completed" state MUST cause the ACK to be re-passed to the
    //# transport layer for retransmission, but the newly received response
    //# MUST NOT be passed up to the TU.
    assert_eq!(pair.sent(ALICE, "ACK"), [20, 520, 1_520, 3_520]);
    assert_eq!(pair.heard(pair.alice), ["486", "client Completed"]);
    assert_eq!(pair.heard(pair.bob), ["INVITE", "server Completed"]);
    pair.assert_empty();
}

#[test]
fn a_refusal_that_is_never_acknowledged_is_given_up() {
    let mut pair = Pair::new().answer("INVITE", &[486]);
    pair.lose(ALICE, "ACK", usize::MAX);
    pair.request(request(Method::Invite));
    pair.finish();
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.1
    //= type=test
    //# When the "Completed" state is entered, timer H MUST be set to fire in
    //# 64*T1 seconds for all transports.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.1
    //= type=test
    //# In this case, the
    //# server transaction MUST transition to the "Terminated" state, and
    //# MUST indicate to the TU that a transaction failure has occurred.
    assert_eq!(pair.when(pair.bob, "server TimedOut"), [10 + 32_000]);
    let sent = pair.sent(BOB, "486");
    assert_eq!(sent, [10, 510, 1_510, 3_510, 7_510, 11_510, 15_510, 19_510, 23_510, 27_510, 31_510]);
    pair.assert_empty();
}

#[test]
fn a_lost_refusal_is_retransmitted_when_the_invite_comes_again() {
    let mut pair = Pair::new().answer("INVITE", &[486]);
    pair.lose(BOB, "486", 1);
    pair.request(request(Method::Invite));
    pair.finish();
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.1
    //= type=test
    //# Furthermore, while in the
    //# "Completed" state, if a request retransmission is received, the
    //# server SHOULD pass the response to the transport for retransmission.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.1
    //= type=test
    //# While in the "Proceeding" state, if the TU passes a response with
    //# status code from 300 to 699 to the server transaction, the response
    //# MUST be passed to the transport layer for transmission, and the state
    //# machine MUST enter the "Completed" state.
    assert_eq!(pair.sent(BOB, "486"), [10, 510, 510], "by Timer G and for the INVITE");
    pair.assert_empty();
}

#[test]
fn every_2xx_reaches_the_user_until_timer_m() {
    let mut pair = Pair::new().answer("INVITE", &[200]);
    pair.acknowledge = false;
    pair.request(request(Method::Invite));
    pair.until(ms(1_000));
    // The user of the server retransmits its 2xx.
    //= https://www.rfc-editor.org/rfc/rfc6026#section-8.7
    //= type=test
    //# While in the "Accepted" state, if the TU passes a 2xx response,
    //# the server transaction MUST pass the response to the transport
    //# layer for transmission.
    pair.respond(0, 200);
    pair.until(ms(2_000));
    pair.respond(0, 202);
    pair.until(ms(3_000));
    //= https://www.rfc-editor.org/rfc/rfc6026#section-8.4
    //= type=test
    //# Any 2xx responses that match this client transaction and that are received while in the "Accepted"
    //# state MUST be passed up to the TU.
    //= https://www.rfc-editor.org/rfc/rfc6026#section-7.1
    //= type=test
    //# Any retransmission of the 2xx response passed from the TU to the transaction while in the "Accepted"
    //# state MUST be passed to the transport layer for transmission.
    //= https://www.rfc-editor.org/rfc/rfc6026#section-7.2
    //= type=test
    //# A 2xx response
    //# received while in the "Accepted" state MUST be passed to the TU and
    //# the machine remains in the "Accepted" state.
    assert_eq!(pair.heard(pair.alice), ["200", "200", "202"]);
    let (bob, tx, message) = pair.got[0].clone();
    let refused = pair.net.host(bob).respond(ms(3_000), tx, response(&message, 486)).unwrap_err();
    assert_eq!(refused.kind, SendErrorKind::AlreadyAnswered);
    pair.finish();
    //= https://www.rfc-editor.org/rfc/rfc6026#section-7.2
    //= type=test
    //# Once the
    //# transaction is in the "Terminated" state, it MUST be destroyed
    //# immediately.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.2
    //= type=test
    //# The client transaction MUST be destroyed the instant it enters the
    //# "Terminated" state.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.1
    //= type=test
    //# Once the transaction is in the "Terminated" state, it MUST be
    //# destroyed immediately.
    pair.assert_empty();
    let refused = pair.net.host(bob).respond(ms(50_000), tx, response(&message, 200)).unwrap_err();
    //= https://www.rfc-editor.org/rfc/rfc4320#section-4.2
    //= type=test
    //# A transaction-stateful SIP proxy MUST NOT send any response to a non-INVITE request unless it has a
    //# matching server transaction that is not in the Terminated state.
    assert_eq!(refused.kind, SendErrorKind::UnknownTransaction, "the id is stale");
}

#[test]
fn retransmitted_invites_are_absorbed_once_accepted() {
    let mut pair = Pair::new().answer("INVITE", &[200]);
    pair.lose(BOB, "200", 1);
    pair.request(request(Method::Invite));
    pair.until(ms(600));
    assert_eq!(pair.heard(pair.bob), ["INVITE"], "the second INVITE is not the user's");
    //= https://www.rfc-editor.org/rfc/rfc6026#section-7.1
    //= type=test
    //# The server transaction MUST NOT generate 2xx retransmissions on its own.
    assert_eq!(pair.sent(BOB, "200"), [10], "and is not answered: the user retransmits");
    pair.respond(0, 200);
    pair.finish();
    assert_eq!(pair.heard(pair.alice), ["200", "client Completed"]);
    assert_eq!(pair.net.host(pair.bob).counters().absorbed, 1);
    pair.assert_empty();
}

#[test]
fn the_endpoint_retransmits_a_2xx_until_it_is_acknowledged() {
    let mut pair = Pair::new();
    pair.acknowledge = false;
    pair.request(request(Method::Invite));
    pair.until(ms(100));
    let (bob, tx, message) = pair.got[0].clone();
    pair.net.host(bob).respond_until_ack(ms(100), tx, response(&message, 200)).unwrap();
    pair.until(ms(8_000));
    //= https://www.rfc-editor.org/rfc/rfc3261#section-13.3.1.4
    //= type=test
    //# The 2xx response is passed to the transport with an
    //# interval that starts at T1 seconds and doubles for each
    //# retransmission until it reaches T2 seconds (T1 and T2 are defined in
    //# Section 17).
    assert_eq!(pair.sent(BOB, "200"), [100, 600, 1_600, 3_600, 7_600]);
    let ok = pair.responses[0].2.clone();
    let alice = pair.alice;
    pair.net.host(alice).send(ms(8_000), ack_for(&ok), Destination::route()).unwrap();
    pair.until(ms(8_100));
    assert_eq!(pair.heard(bob).last(), Some(&"ACK"));
    pair.net.host(bob).acknowledge(ms(8_100), tx).unwrap();
    assert_eq!(pair.net.host(bob).acknowledge(ms(8_100), tx), Err(CommandError::Already));
    pair.finish();
    assert_eq!(pair.sent(BOB, "200").len(), 5);
    assert!(pair.ended.contains(&(bob, Outcome::Completed)));
    pair.assert_empty();
}

#[test]
fn a_2xx_that_is_never_acknowledged_is_told() {
    let mut pair = Pair::new();
    pair.acknowledge = false;
    pair.request(request(Method::Invite));
    pair.until(ms(100));
    let (bob, tx, message) = pair.got[0].clone();
    pair.net.host(bob).respond_until_ack(ms(100), tx, response(&message, 200)).unwrap();
    pair.finish();
    assert!(pair.ended.contains(&(bob, Outcome::NotAcknowledged)));
    assert_eq!(pair.when(bob, "server NotAcknowledged"), [32_100]);
    pair.assert_empty();
}

#[test]
fn an_invite_its_user_never_answers_is_answered_408() {
    let mut pair = Pair::new();
    pair.request(request(Method::Invite));
    pair.finish();
    assert_eq!(pair.sent(BOB, "408"), [210 + 15 * 60 * 1_000]);
    assert!(pair.ended.contains(&(pair.bob, Outcome::Unanswered)));
    pair.assert_empty();
}

#[test]
fn timer_c_is_told_and_restarted_by_progress() {
    let mut pair = Pair::new().answer("INVITE", &[180]);
    let tx = pair.request(request(Method::Invite));
    let alice = pair.alice;
    pair.net.host(alice).arm_timer_c(ms(0), tx).unwrap();
    pair.until(ms(100_000));
    pair.respond(0, 183);
    pair.until(ms(281_100));
    //= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
    //= type=test
    //# For an INVITE transaction, if the response is a provisional
    //# response with status codes 101 to 199 inclusive (i.e., anything
    //# but 100), the proxy MUST reset timer C for that client
    //# transaction.
    assert_eq!(pair.when(alice, "Timer C"), [281_010]);
    pair.net.host(alice).cancel(ms(281_100), tx, None).unwrap();
    pair.until(ms(281_200));
    pair.respond(0, 487);
    pair.finish();
    assert_eq!(pair.heard(alice), ["180", "183", "Timer C", "487", "client Completed"]);
    pair.assert_empty();
}
