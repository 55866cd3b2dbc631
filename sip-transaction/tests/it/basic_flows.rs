//! The flows of RFC 3665 between two, each by its section, as transactions take part in them; those through proxies are in `flows`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests stop at what they did not expect")]

use crate::common::{ALICE, BOB, Pair, ms, request_to};
use sip_message::Method;
use sip_transaction::{Destination, Outcome, Target, Transport};

const TO_BOB: &str = "sip:bob@192.0.2.2";
const TO_ALICE: &str = "sip:alice@192.0.2.1";

/// The requests that Alice sends, one after the other, and what each is answered with.
fn exchange(method: Method<'_>, answers: &[u16]) -> Pair {
    let mut pair = Pair::new();
    for (nth, status) in answers.iter().enumerate() {
        let at = nth as u64 * 100;
        pair.until(ms(at));
        pair.request(request_to(method, TO_BOB, nth as u32 + 1));
        pair.until(ms(at + 20));
        pair.respond(nth, *status);
    }
    pair.until(ms(answers.len() as u64 * 100));
    pair
}

/// What went to and fro, by first words and times.
fn ladder(pair: &Pair) -> Vec<String> {
    pair.net.trace().iter().map(sim::Sent::what).collect()
}

fn ends(mut pair: Pair, transactions: usize) {
    pair.finish();
    assert_eq!(pair.ended.len(), transactions);
    assert!(pair.ended.iter().all(|(_, outcome)| *outcome == Outcome::Completed), "{:?}", pair.ended);
    pair.assert_empty();
}

#[test]
fn section_2_1_successful_new_registration() {
    let pair = exchange(Method::Register, &[401, 200]);
    assert_eq!(ladder(&pair), ["REGISTER", "401", "REGISTER", "200"]);
    ends(pair, 4);
}

#[test]
fn section_2_2_update_of_contact_list() {
    let pair = exchange(Method::Register, &[200]);
    assert_eq!(ladder(&pair), ["REGISTER", "200"]);
    ends(pair, 2);
}

#[test]
fn section_2_3_request_for_current_contact_list() {
    // The answer with the list is lost: the request is sent again and answered again, and the registrar is asked once.
    let mut pair = Pair::new().answer("REGISTER", &[200]);
    pair.lose(BOB, "200", 1);
    pair.request(request_to(Method::Register, TO_BOB, 1));
    pair.until(ms(1_000));
    assert_eq!(pair.heard(pair.bob), ["REGISTER"]);
    assert_eq!(ladder(&pair), ["REGISTER", "200", "REGISTER", "200"]);
    ends(pair, 2);
}

#[test]
fn section_2_4_cancellation_of_registration() {
    let pair = exchange(Method::Register, &[200, 200]);
    assert_eq!(ladder(&pair), ["REGISTER", "200", "REGISTER", "200"]);
    assert_eq!(pair.heard(pair.bob), ["REGISTER", "REGISTER"], "the second is no retransmission of the first");
    ends(pair, 4);
}

#[test]
fn section_2_5_unsuccessful_registration() {
    let pair = exchange(Method::Register, &[401, 401]);
    assert_eq!(pair.heard(pair.alice), ["401", "401"]);
    ends(pair, 4);
}

#[test]
fn section_3_1_successful_session_establishment() {
    let mut pair = Pair::new().answer("INVITE", &[180]).answer("BYE", &[200]);
    pair.request(request_to(Method::Invite, TO_BOB, 1));
    pair.until(ms(2_000));
    pair.respond(0, 200);
    pair.until(ms(3_000));
    let bob = pair.bob;
    pair.net.host(bob).request(ms(3_000), request_to(Method::Bye, TO_ALICE, 1), Destination::route()).unwrap();
    pair.until(ms(3_100));
    assert_eq!(ladder(&pair), ["INVITE", "180", "200", "ACK", "BYE", "200"]);
    ends(pair, 4);
}

#[test]
fn section_3_3_session_with_multiple_proxy_authentication() {
    // Each proxy asks for credentials of its own: two refusals, each acknowledged within its transaction, then the call.
    let mut pair = exchange(Method::Invite, &[407, 407]);
    pair.request(request_to(Method::Invite, TO_BOB, 3));
    pair.until(ms(220));
    for status in [180, 200] {
        pair.respond(2, status);
    }
    pair.until(ms(300));
    let refused = ["INVITE", "407", "ACK"];
    assert_eq!(ladder(&pair), [&refused[..], &refused, &["INVITE", "180", "200", "ACK"]].concat());
    assert_eq!(
        pair.heard(pair.bob),
        ["INVITE", "INVITE", "INVITE", "ACK"],
        "of the ACKs the user hears that for the 200"
    );
    ends(pair, 6);
}

#[test]
fn section_3_4_session_with_proxy_failure() {
    // The first proxy is silent until Timer B; the call goes by way of the second, in the same transaction.
    let mut pair = Pair::new().answer("INVITE", &[200]);
    pair.net.set_filter(
        |packet| {
            if packet.to.ip().to_string() == "192.0.2.99" { sim::Fate::Lose } else { sim::Fate::Carry }
        },
    );
    let target = |ip: &str| Target {
        transport: Transport::Udp,
        address: format!("{ip}:5060").parse().unwrap(),
        server_name: None,
    };
    let alice = pair.alice;
    let to = Destination::targets([target("192.0.2.99"), target(BOB)]);
    pair.net.host(alice).request(ms(0), request_to(Method::Invite, TO_BOB, 1), to).unwrap();
    pair.until(ms(40_000));
    assert_eq!(pair.sent(ALICE, "INVITE"), [0, 500, 1_500, 3_500, 7_500, 15_500, 31_500, 32_000]);
    let branches: std::collections::BTreeSet<String> = pair
        .text(ALICE, "INVITE")
        .iter()
        .map(|text| text.split("branch=").nth(1).unwrap().split([';', '\r']).next().unwrap().to_owned())
        .collect();
    assert_eq!(branches.len(), 2, "another branch for another server");
    assert_eq!(pair.heard(alice), ["200"]);
    ends(pair, 2);
}

#[test]
fn section_3_6_session_via_redirect() {
    let mut pair = exchange(Method::Invite, &[302]);
    // The redirect server's answer is acknowledged; the call to the contact is a transaction of its own, and so is its ACK with SDP.
    pair.request(request_to(Method::Invite, "sip:bob@192.0.2.2:5060", 2));
    pair.until(ms(120));
    for status in [180, 200] {
        pair.respond(1, status);
    }
    pair.until(ms(200));
    assert_eq!(ladder(&pair), ["INVITE", "302", "ACK", "INVITE", "180", "200", "ACK"]);
    assert_eq!(pair.heard(pair.alice), ["302", "180", "200"]);
    ends(pair, 4);
}

#[test]
fn section_3_7_session_with_reinvite() {
    // Bob's address has changed: the new INVITE comes from a socket that Alice has never heard of, and is answered there.
    let mut pair = Pair::new().answer("INVITE", &[200]);
    pair.request(request_to(Method::Invite, TO_BOB, 1));
    pair.until(ms(100));
    let bob = pair.bob;
    let moved = pair.net.bind(bob, Transport::Udp, 5090);
    let path = sip_transaction::Path {
        flow: moved,
        transport: Transport::Udp,
        local: "192.0.2.2:5090".parse().unwrap(),
        remote: "192.0.2.1:5060".parse().unwrap(),
    };
    pair.net.host(bob).request(ms(100), request_to(Method::Invite, TO_ALICE, 14), Destination::path(path)).unwrap();
    pair.until(ms(200));
    assert_eq!(ladder(&pair), ["INVITE", "200", "ACK", "INVITE", "200", "ACK"]);
    let answer = pair.net.trace().iter().rfind(|sent| sent.what() == "200").unwrap();
    assert_eq!(answer.to.to_string(), "192.0.2.2:5090");
    ends(pair, 4);
}
