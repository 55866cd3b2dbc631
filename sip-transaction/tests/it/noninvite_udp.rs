//! The non-INVITE transactions over UDP: RFC 3261 sections 17.1.2 and 17.2.2, RFC 4320.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests stop at what they did not expect")]

use crate::common::{ALICE, BOB, Pair, ms, request, response};
use sip_message::Method;
use sip_transaction::{Outcome, SendErrorKind};

#[test]
fn a_request_is_answered_and_both_ends_forget_it() {
    let mut pair = Pair::new().answer("OPTIONS", &[200]);
    pair.request(request(Method::Options));
    pair.finish();
    assert_eq!(pair.heard(pair.bob), ["OPTIONS", "server Completed"]);
    assert_eq!(pair.heard(pair.alice), ["200", "client Completed"]);
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.2.2
    //= type=test
    //# Once the client transaction enters the "Completed" state, it MUST set
    //# Timer K to fire in T4 seconds for unreliable transports, and zero
    //# seconds for reliable transports.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.2.2
    //= type=test
    //# If Timer K fires while in this state, the client
    //# transaction MUST transition to the "Terminated" state.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.2.2
    //= type=test
    //# Once the transaction is in the terminated state, it MUST be destroyed
    //# immediately.
    assert_eq!(pair.when(pair.alice, "client Completed"), [20 + 5_000]);
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.2
    //= type=test
    //# When the server transaction enters the "Completed" state, it MUST set
    //# Timer J to fire in 64*T1 seconds for unreliable transports, and zero
    //# seconds for reliable transports.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.2
    //= type=test
    //# The server transaction remains in this
    //# state until Timer J fires, at which point it MUST transition to the
    //# "Terminated" state.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.2
    //= type=test
    //# The server transaction MUST be destroyed the instant it enters the
    //# "Terminated" state.
    assert_eq!(pair.when(pair.bob, "server Completed"), [10 + 32_000]);
    pair.assert_empty();
}

#[test]
fn a_request_without_answer_is_retransmitted_up_to_t2_and_times_out() {
    let mut pair = Pair::new();
    pair.lose(ALICE, "OPTIONS", usize::MAX);
    pair.request(request(Method::Options));
    pair.finish();
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.2.2
    //= type=test
    //# If an unreliable transport is in use, the client transaction MUST set timer E to fire in T1 seconds.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.2.2
    //= type=test
    //# The request MUST be passed to the transport layer for transmission.
    let sent = pair.sent(ALICE, "OPTIONS");
    assert_eq!(sent, [0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.2.2
    //= type=test
    //# If Timer F fires while the client transaction is still in the
    //# "Trying" state, the client transaction SHOULD inform the TU about the
    //# timeout, and then it SHOULD enter the "Terminated" state.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.2.2
    //= type=test
    //# When entering this state,
    //# the client transaction SHOULD set timer F to fire in 64*T1 seconds.
    assert_eq!(pair.when(pair.alice, "client TimedOut"), [32_000]);
    assert_eq!(Outcome::TimedOut.status().unwrap().code(), 408);
    pair.assert_empty();
}

#[test]
fn after_a_provisional_response_retransmissions_go_on_at_t2() {
    let mut pair = Pair::new();
    pair.request(request(Method::Options));
    // Bob's endpoint answers 100 by itself when Timer E of the client has grown to T2.
    pair.until(ms(31_900));
    //= https://www.rfc-editor.org/rfc/rfc4320#section-4.1
    //= type=test
    //# Without regard to transport, an SIP element MUST respond to a non-
    //# INVITE request with a Status-Code of 100 if it has not otherwise
    //# responded after the amount of time it takes a client transaction's
    //# Timer E to be reset to T2.
    let trying = pair.sent(BOB, "100");
    assert_eq!(trying[0], 10 + 3_500);
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.2.2
    //= type=test
    //# If a
    //# provisional response is received while in the "Trying" state, the
    //# response MUST be passed to the TU, and then the client transaction
    //# SHOULD move to the "Proceeding" state.
    assert_eq!(pair.when(pair.alice, "100")[0], 3_520);
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.2.2
    //= type=test
    //# If Timer E fires while in the "Proceeding" state, the request MUST be
    //# passed to the transport layer for retransmission, and Timer E MUST be
    //# reset with a value of T2 seconds.
    assert_eq!(&pair.sent(ALICE, "OPTIONS")[3..], [3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.2
    //= type=test
    //# If a retransmission of
    //# the request is received while in the "Proceeding" state, the most
    //# recently sent provisional response MUST be passed to the transport
    //# layer for retransmission.
    assert_eq!(&trying[1..], [7_510, 11_510, 15_510, 19_510, 23_510, 27_510, 31_510]);
    pair.finish();
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.2.2
    //= type=test
    //# If timer F fires while in the
    //# "Proceeding" state, the TU MUST be informed of a timeout, and the
    //# client transaction MUST transition to the terminated state.
    assert_eq!(pair.when(pair.alice, "client TimedOut"), [32_000]);
    assert_eq!(pair.when(pair.bob, "server Unanswered"), [32_010]);
    pair.assert_empty();
}

#[test]
fn a_retransmitted_request_gets_the_same_final_response() {
    let mut pair = Pair::new().answer("OPTIONS", &[486]);
    pair.lose(BOB, "486", 2);
    pair.request(request(Method::Options));
    pair.finish();
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.2
    //= type=test
    //# While in the
    //# "Completed" state, the server transaction MUST pass the final
    //# response to the transport layer for retransmission whenever a
    //# retransmission of the request is received.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.2
    //= type=test
    //# If the TU passes a final response (status
    //# codes 200-699) to the server while in the "Proceeding" state, the
    //# transaction MUST enter the "Completed" state, and the response MUST
    //# be passed to the transport layer for transmission.
    assert_eq!(pair.sent(BOB, "486"), [10, 510, 1_510]);
    let texts = pair.text(BOB, "486");
    assert!(texts.iter().all(|text| *text == texts[0]));
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.2.2
    //= type=test
    //# If a final response (status
    //# codes 200-699) is received while in the "Trying" state, the response
    //# MUST be passed to the TU, and the client transaction MUST transition
    //# to the "Completed" state.
    assert_eq!(pair.heard(pair.alice), ["486", "client Completed"]);
    assert_eq!(pair.heard(pair.bob), ["OPTIONS", "server Completed"], "the request is given to the user once");
    pair.assert_empty();
}

#[test]
fn a_late_final_response_after_a_provisional_one_is_passed_on() {
    let mut pair = Pair::new();
    pair.request(request(Method::Options));
    pair.until(ms(5_000));
    pair.respond(0, 200);
    pair.finish();
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.2.2
    //= type=test
    //# If a final response (status codes
    //# 200-699) is received while in the "Proceeding" state, the response
    //# MUST be passed to the TU, and the client transaction MUST transition
    //# to the "Completed" state.
    assert_eq!(pair.heard(pair.alice).last_chunk(), Some(&["200", "client Completed"]));
    pair.assert_empty();
}

#[test]
fn rfc_4320_forbids_some_responses() {
    let mut pair = Pair::new();
    pair.request(request(Method::Options));
    pair.until(ms(20));
    let (bob, tx, message) = pair.got[0].clone();
    //= https://www.rfc-editor.org/rfc/rfc4320#section-4.1
    //= type=test
    //# An SIP element MUST NOT send any provisional response with a Status-
    //# Code other than 100 to a non-INVITE request.
    //= https://www.rfc-editor.org/rfc/rfc4320#section-4.1
    //= type=test
    //# An SIP element MUST NOT respond to a non-INVITE request with a
    //# Status-Code of 100 over any unreliable transport, such as UDP, before
    //# the amount of time it takes a client transaction's Timer E to be
    //# reset to T2.
    //= https://www.rfc-editor.org/rfc/rfc4320#section-4.2
    //= type=test
    //# A transaction-stateful SIP element MUST NOT send a response with
    //# Status-Code of 408 to a non-INVITE request.
    for status in [100, 180, 183, 408] {
        let refused = pair.net.host(bob).respond(ms(20), tx, response(&message, status)).unwrap_err();
        assert_eq!(refused.kind, SendErrorKind::Forbidden, "{status}");
        assert_eq!(refused.message.status().unwrap().code(), status, "handed back");
    }
    pair.until(ms(4_000));
    // Timer E has grown to T2: a 100 may be sent, and further ones.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.2
    //= type=test
    //# While in the "Trying" state, if the TU passes a provisional response to the server transaction, the
    //# server transaction MUST enter the "Proceeding" state.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.2
    //= type=test
    //# The response MUST be passed to the transport layer for transmission.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.2
    //= type=test
    //# Any further provisional responses that are
    //# received from the TU while in the "Proceeding" state MUST be passed
    //# to the transport layer for transmission.
    pair.respond(0, 100);
    pair.respond(0, 200);
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.2
    //= type=test
    //# Any other final responses passed by the TU to the server
    //# transaction MUST be discarded while in the "Completed" state.
    let refused = pair.net.host(bob).respond(ms(4_000), tx, response(&message, 500)).unwrap_err();
    assert_eq!(refused.kind, SendErrorKind::AlreadyAnswered);
    pair.finish();
    assert_eq!(pair.sent(BOB, "500"), []);
    assert_eq!(pair.sent(BOB, "200"), [4_000]);
    pair.assert_empty();
}

#[test]
fn a_t2_below_t1_sends_nothing_without_end() {
    let mut config = sip_transaction::EndpointConfig::default();
    config.timers.t2 = std::time::Duration::ZERO;
    let mut pair = Pair::with(config);
    pair.lose(ALICE, "OPTIONS", usize::MAX);
    pair.request(request(Method::Options));
    pair.finish();
    assert_eq!(pair.heard(pair.alice), ["client TimedOut"]);
    assert_eq!(pair.sent(ALICE, "OPTIONS").len(), 64);
}
