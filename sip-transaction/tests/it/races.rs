//! The races of RFC 5407, each by its section, as the transactions of two endpoints see them. What a dialog makes of them is played by
//! the test: here it shows that every message finds its own transaction, that none is taken for another, and that nothing is left.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests stop at what they did not expect")]

use crate::common::{ALICE, BOB, Pair, ms, request_to, response};
use sip_message::Method;
use sip_transaction::{ClientTxId, Destination};

const TO_BOB: &str = "sip:bob@192.0.2.2";
const TO_ALICE: &str = "sip:alice@192.0.2.1";

/// One packet takes 10 ms: what both send at the same time crosses.
fn from_bob(pair: &mut Pair, method: Method<'_>) -> ClientTxId {
    let now = pair.net.now();
    pair.net.host(pair.bob).request(now, request_to(method, TO_ALICE, 7), Destination::route()).unwrap()
}

fn from_alice(pair: &mut Pair, method: Method<'_>, cseq: u32) -> ClientTxId {
    pair.request(request_to(method, TO_BOB, cseq))
}

/// Bob accepts the call, and sends his 200 again until he is told of the ACK.
fn accept_until_ack(pair: &mut Pair) {
    let (node, tx, message) = &pair.got[0];
    let (node, tx, answer) = (*node, *tx, response(message, 200));
    let now = pair.net.now();
    pair.net.host(node).respond_until_ack(now, tx, answer).unwrap();
}

fn acknowledged(pair: &mut Pair) {
    let (node, tx, _) = pair.got[0];
    let now = pair.net.now();
    pair.net.host(node).acknowledge(now, tx).unwrap();
}

/// A call that has been answered and acknowledged, at 100 ms.
fn established() -> Pair {
    let mut pair = Pair::new().answer("BYE", &[200]);
    from_alice(&mut pair, Method::Invite, 1);
    pair.until(ms(20));
    pair.respond(0, 200);
    pair.until(ms(100));
    assert_eq!(pair.heard(pair.bob), ["INVITE", "ACK"]);
    pair
}

fn ends(mut pair: Pair, alice: &[&str], bob: &[&str]) {
    pair.finish();
    let sorted = |mut heard: Vec<&str>| {
        heard.sort_unstable();
        heard.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(sorted(pair.heard(pair.alice)), sorted(alice.to_vec()), "Alice");
    assert_eq!(sorted(pair.heard(pair.bob)), sorted(bob.to_vec()), "Bob");
    pair.assert_empty();
}

#[test]
fn section_3_1_1_an_invite_is_sent_again_while_the_200_is_on_its_way() {
    let mut pair = Pair::new().answer("INVITE", &[180]);
    pair.lose(BOB, "180", 1);
    from_alice(&mut pair, Method::Invite, 1);
    pair.until(ms(495));
    pair.respond(0, 200);
    pair.until(ms(600));
    assert_eq!(pair.sent(ALICE, "INVITE"), [0, 500], "the second crosses the 200");
    let bob = pair.bob;
    assert_eq!(pair.net.host(bob).counters().absorbed, 1);
    ends(pair, &["200", "client Completed"], &["INVITE", "ACK", "server Completed"]);
}

#[test]
fn section_3_1_2_a_cancel_crosses_the_200() {
    let mut pair = Pair::new().answer("INVITE", &[180]);
    let tx = from_alice(&mut pair, Method::Invite, 1);
    pair.until(ms(100));
    pair.respond(0, 200);
    let alice = pair.alice;
    pair.net.host(alice).cancel(ms(100), tx, None).unwrap();
    pair.until(ms(200));
    assert_eq!(pair.sent(BOB, "200").len(), 2, "to the INVITE and to the CANCEL");
    ends(pair, &["180", "200", "client Completed"], &["INVITE", "ACK", "server Completed"]);
}

#[test]
fn section_3_1_3_a_bye_on_the_early_dialog_crosses_the_200() {
    let mut pair = Pair::new().answer("INVITE", &[180]).answer("BYE", &[200]);
    from_alice(&mut pair, Method::Invite, 1);
    pair.until(ms(100));
    pair.respond(0, 200);
    from_alice(&mut pair, Method::Bye, 2);
    ends(
        pair,
        &["180", "200", "200", "client Completed", "client Completed"],
        &["INVITE", "BYE", "ACK", "server Completed", "server Completed"],
    );
}

#[test]
fn section_3_1_4_a_reinvite_comes_and_the_ack_was_lost() {
    let mut pair = Pair::new();
    pair.lose(ALICE, "ACK", 1);
    from_alice(&mut pair, Method::Invite, 1);
    pair.until(ms(20));
    accept_until_ack(&mut pair);
    pair.until(ms(100));
    from_alice(&mut pair, Method::Invite, 2);
    pair.until(ms(120));
    pair.respond(1, 491);
    pair.until(ms(600));
    assert_eq!(pair.sent(BOB, "200"), [20, 520], "sent again, and acknowledged then");
    acknowledged(&mut pair);
    ends(
        pair,
        &["200", "491", "200", "client Completed", "client Completed"],
        &["INVITE", "INVITE", "ACK", "server Completed", "server Completed"],
    );
}

#[test]
fn section_3_1_5_a_reinvite_overtakes_the_ack_and_is_accepted() {
    let mut pair = Pair::new();
    pair.acknowledge = false;
    from_alice(&mut pair, Method::Invite, 1);
    pair.until(ms(20));
    accept_until_ack(&mut pair);
    pair.until(ms(40));
    from_alice(&mut pair, Method::Invite, 2);
    // The ACK of the first is sent when the second is under way.
    let first = pair.responses[0].2.clone();
    let alice = pair.alice;
    pair.net.host(alice).send(ms(40), crate::common::ack_for(&first), Destination::route()).unwrap();
    pair.until(ms(60));
    assert_eq!(pair.heard(pair.bob), ["INVITE", "INVITE", "ACK"]);
    acknowledged(&mut pair);
    pair.acknowledge = true;
    pair.respond(1, 200);
    ends(
        pair,
        &["200", "200", "client Completed", "client Completed"],
        &["INVITE", "INVITE", "ACK", "ACK", "server Completed", "server Completed"],
    );
}

#[test]
fn section_3_1_6_a_bye_comes_and_the_ack_was_lost() {
    let mut pair = Pair::new().answer("BYE", &[200]);
    pair.lose(ALICE, "ACK", 1);
    from_alice(&mut pair, Method::Invite, 1);
    pair.until(ms(20));
    accept_until_ack(&mut pair);
    pair.until(ms(100));
    from_alice(&mut pair, Method::Bye, 2);
    pair.until(ms(200));
    // The BYE ends the dialog: there is no ACK to wait for any more.
    acknowledged(&mut pair);
    pair.until(ms(10_000));
    assert_eq!(pair.sent(BOB, "200"), [20, 110], "the 200 to the INVITE is not sent again");
    ends(
        pair,
        &["200", "200", "client Completed", "client Completed"],
        &["INVITE", "BYE", "server Completed", "server Completed"],
    );
}

#[test]
fn section_3_2_1_both_hang_up() {
    let mut pair = established();
    from_alice(&mut pair, Method::Bye, 2);
    from_bob(&mut pair, Method::Bye);
    ends(
        pair,
        &["200", "200", "BYE", "client Completed", "client Completed", "server Completed"],
        &["INVITE", "ACK", "BYE", "200", "client Completed", "server Completed", "server Completed"],
    );
}

#[test]
fn section_3_2_2_a_reinvite_crosses_the_bye() {
    let mut pair = established();
    from_alice(&mut pair, Method::Bye, 2);
    from_bob(&mut pair, Method::Invite);
    pair.until(ms(115));
    let reinvite = pair.got.iter().position(|(node, ..)| *node == pair.alice).unwrap();
    pair.respond(reinvite, 481);
    ends(
        pair,
        &["200", "200", "INVITE", "client Completed", "client Completed", "server Completed"],
        &["INVITE", "ACK", "BYE", "481", "client Completed", "server Completed", "server Completed"],
    );
}

#[test]
fn section_3_2_3_the_200_to_a_reinvite_comes_after_the_bye() {
    let mut pair = established();
    from_alice(&mut pair, Method::Invite, 2);
    pair.until(ms(115));
    pair.respond(1, 200);
    from_alice(&mut pair, Method::Bye, 3);
    ends(
        pair,
        &["200", "200", "200", "client Completed", "client Completed", "client Completed"],
        &["INVITE", "ACK", "INVITE", "ACK", "BYE", "server Completed", "server Completed", "server Completed"],
    );
}

#[test]
fn section_3_2_4_the_ack_comes_after_the_bye() {
    let mut pair = Pair::new().answer("BYE", &[200]);
    from_alice(&mut pair, Method::Invite, 1);
    pair.until(ms(20));
    pair.respond(0, 200);
    from_bob(&mut pair, Method::Bye);
    pair.until(ms(100));
    assert_eq!(pair.heard(pair.bob), ["INVITE", "ACK", "200"], "the ACK is for the 2xx and no part of the BYE");
    ends(
        pair,
        &["200", "BYE", "client Completed", "server Completed"],
        &["INVITE", "ACK", "200", "client Completed", "server Completed"],
    );
}

#[test]
fn section_3_3_1_reinvites_cross() {
    let mut pair = established();
    from_alice(&mut pair, Method::Invite, 2);
    from_bob(&mut pair, Method::Invite);
    pair.until(ms(115));
    for nth in [1, 2] {
        pair.respond(nth, 491);
    }
    pair.until(ms(200));
    assert_eq!(
        pair.text(ALICE, "ACK").len() + pair.text(BOB, "ACK").len(),
        3,
        "each refusal is acknowledged by its transaction"
    );
    ends(
        pair,
        &["200", "491", "INVITE", "client Completed", "client Completed", "server Completed"],
        &["INVITE", "ACK", "INVITE", "491", "client Completed", "server Completed", "server Completed"],
    );
}

#[test]
fn section_3_3_2_an_update_crosses_a_reinvite() {
    let mut pair = established();
    from_alice(&mut pair, Method::Update, 2);
    from_bob(&mut pair, Method::Invite);
    pair.until(ms(115));
    for nth in [1, 2] {
        pair.respond(nth, 491);
    }
    ends(
        pair,
        &["200", "491", "INVITE", "client Completed", "client Completed", "server Completed"],
        &["INVITE", "ACK", "UPDATE", "491", "client Completed", "server Completed", "server Completed"],
    );
}

#[test]
fn section_3_3_3_a_refer_crosses_the_bye() {
    let mut pair = established();
    from_alice(&mut pair, Method::Bye, 2);
    from_bob(&mut pair, Method::Refer);
    pair.until(ms(115));
    let refer = pair.got.iter().position(|(node, ..)| *node == pair.alice).unwrap();
    pair.respond(refer, 481);
    ends(
        pair,
        &["200", "200", "REFER", "client Completed", "client Completed", "server Completed"],
        &["INVITE", "ACK", "BYE", "481", "client Completed", "server Completed", "server Completed"],
    );
}
