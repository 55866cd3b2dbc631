//! Loss of any one packet and of any two, in each kind of exchange over UDP: every one of them, not a sample.
//!
//! Whatever is lost, the exchange ends as RFC 3261 says: each user sees the request once, the final response once (a 2xx to an INVITE at
//! least once), one end for each transaction, and then nothing is left.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests stop at what they did not expect")]

use crate::common::{Pair, ms, request, response};
use sim::Fate;
use sip_message::Method;
use sip_transaction::Outcome;

/// Runs an exchange with the packets of these numbers lost; returns how many packets were sent.
fn run(name: &str, lost: &[usize], exchange: &dyn Fn(&mut Pair), check: &dyn Fn(&mut Pair)) -> usize {
    let mut pair = Pair::new();
    let numbers = lost.to_vec();
    pair.net.set_filter(move |packet| if numbers.contains(&packet.number) { Fate::Lose } else { Fate::Carry });
    exchange(&mut pair);
    pair.finish();
    let ladder = || format!("{name}, lost {lost:?}\n{}\n{:#?}", sim::ladder(pair.net.trace()), pair.log);
    let clients = pair.log.iter().filter(|happened| happened.what.starts_with("client")).count();
    let servers = pair.log.iter().filter(|happened| happened.what.starts_with("server")).count();
    assert_eq!(clients, 1, "one end of the client transaction: {}", ladder());
    let requests = pair.got.iter().filter(|(_, _, message)| message.method() != Some(Method::Bye)).count();
    assert_eq!(servers, requests, "one end of each server transaction: {}", ladder());
    assert!(requests <= 1, "the request comes once: {}", ladder());
    check(&mut pair);
    pair.assert_empty();
    pair.net.trace().len()
}

/// Every packet, and every pair of packets, of those that an exchange can come to have.
fn exhaust(name: &str, exchange: &dyn Fn(&mut Pair), check: &dyn Fn(&mut Pair)) {
    let sent = run(name, &[], exchange, check);
    let mut runs = 0;
    for first in 0..sent {
        // With one lost there are more.
        let more = run(name, &[first], exchange, check);
        for second in first + 1..more {
            run(name, &[first, second], exchange, check);
            runs += 1;
        }
    }
    assert!(runs >= sent, "{name}: {runs} pairs of losses");
}

fn answered(pair: &mut Pair, status: &str) {
    let heard = pair.heard(pair.alice);
    assert_eq!(heard.iter().filter(|what| **what == status).count(), 1, "{heard:?}");
    assert!(pair.ended.iter().all(|(_, outcome)| *outcome == Outcome::Completed), "{:?}", pair.ended);
}

#[test]
fn a_request_other_than_invite() {
    let exchange = |pair: &mut Pair| {
        pair.answers.push(("OPTIONS".into(), vec![200]));
        pair.request(request(Method::Options));
    };
    exhaust("non-INVITE", &exchange, &|pair| answered(pair, "200"));
}

#[test]
fn a_slow_request_other_than_invite() {
    let exchange = |pair: &mut Pair| {
        pair.request(request(Method::Options));
        pair.until(ms(6_000));
        if !pair.got.is_empty() {
            pair.respond(0, 200);
        }
    };
    let check = |pair: &mut Pair| answered(pair, "200");
    exhaust("slow non-INVITE", &exchange, &check);
}

#[test]
fn a_refused_invite() {
    let exchange = |pair: &mut Pair| {
        pair.answers.push(("INVITE".into(), vec![486]));
        pair.request(request(Method::Invite));
    };
    exhaust("refused INVITE", &exchange, &|pair| answered(pair, "486"));
}

#[test]
fn a_ringing_and_then_refused_invite() {
    let exchange = |pair: &mut Pair| {
        pair.answers.push(("INVITE".into(), vec![180]));
        pair.request(request(Method::Invite));
        pair.until(ms(3_000));
        pair.respond(0, 603);
    };
    exhaust("ringing and refused INVITE", &exchange, &|pair| answered(pair, "603"));
}

#[test]
fn an_accepted_invite() {
    let exchange = |pair: &mut Pair| {
        pair.request(request(Method::Invite));
        pair.until(ms(3_000));
        let (bob, tx, message) = pair.got[0].clone();
        pair.net.host(bob).respond_until_ack(ms(3_000), tx, response(&message, 200)).unwrap();
        // The dialog layer of Bob matches the ACK.
        while let Some((node, event)) = pair.net.next_event_before(ms(60_000)) {
            let now = pair.net.now();
            match event {
                sip_transaction::Event::Ack { .. } => {
                    let _ = pair.net.host(bob).acknowledge(now, tx);
                }
                sip_transaction::Event::Response { ref message, .. } if message.status().unwrap().is_success() => {
                    let ack = crate::common::ack_for(message);
                    pair.net.host(node).send(now, ack, sip_transaction::Destination::route()).unwrap();
                    pair.log.push(crate::common::Happened { at: now, node, what: "200".into() });
                }
                sip_transaction::Event::ClientEnded { outcome, .. } => {
                    pair.ended.push((node, outcome));
                    pair.log.push(crate::common::Happened { at: now, node, what: "client".into() });
                }
                sip_transaction::Event::ServerEnded { outcome, .. } => {
                    pair.ended.push((node, outcome));
                    pair.log.push(crate::common::Happened { at: now, node, what: "server".into() });
                }
                _ => {}
            }
        }
    };
    let check = |pair: &mut Pair| {
        assert!(pair.heard(pair.alice).contains(&"200"));
        assert!(pair.ended.iter().all(|(_, outcome)| *outcome == Outcome::Completed), "{:?}", pair.ended);
    };
    exhaust("accepted INVITE", &exchange, &check);
}

#[test]
fn a_cancelled_invite() {
    let exchange = |pair: &mut Pair| {
        pair.answers.push(("INVITE".into(), vec![180]));
        let tx = pair.request(request(Method::Invite));
        pair.until(ms(2_000));
        let alice = pair.alice;
        pair.net.host(alice).cancel(ms(2_000), tx, None).unwrap();
        pair.until(ms(20_000));
        let bob = pair.bob;
        assert_eq!(pair.heard(bob).iter().filter(|what| **what == "CANCEL").count(), 1, "told once");
        pair.respond(0, 487);
    };
    exhaust("cancelled INVITE", &exchange, &|pair| answered(pair, "487"));
}
