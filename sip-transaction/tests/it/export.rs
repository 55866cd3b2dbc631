//! State that can leave: an endpoint is replaced in the middle of everything, and the peer does not notice.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests stop at what they did not expect")]

use crate::common::{ALICE, BOB, Pair, ms, request, request_to};
use sip_message::Method;
use sip_transaction::{Destination, Endpoint, EndpointConfig, ImportError, Outcome, Transport};

/// Replaces the host of a node by another one that takes its state over. A minute passes for the clock of the new one.
fn replace(pair: &mut Pair, node: sim::NodeId) {
    let now = pair.net.now();
    while pair.net.host(node).poll_event().is_some() {}
    let state = pair.net.host(node).export(now);
    let mut other = Endpoint::new(EndpointConfig::default().into(), [99; 32]);
    let ip = if node == pair.alice { ALICE } else { BOB };
    let socket = other.bind(Transport::Udp, format!("{ip}:5060").parse().unwrap()).unwrap();
    let mut asked = 0;
    other
        .import(now, &state, |path| {
            asked += 1;
            assert_eq!(path.local, format!("{ip}:5060").parse().unwrap());
            Some(socket)
        })
        .unwrap();
    assert_eq!(asked, 1);
    assert_eq!(other.export(now), state, "what goes in comes out");
    pair.net.replace(node, other);
}

#[test]
fn both_ends_are_replaced_at_every_moment_of_every_exchange() {
    // The exchanges, each with the answers of the server over time.
    type Answers = &'static [(u64, u16)];
    let exchanges: [(Method<'_>, Answers); 5] = [
        (Method::Options, &[(50, 200)]),
        (Method::Options, &[(5_000, 404)]),
        (Method::Invite, &[(50, 180), (2_000, 486)]),
        (Method::Invite, &[(2_000, 200), (2_500, 200)]),
        (Method::Invite, &[]),
    ];
    for (method, answers) in exchanges {
        let run = |at: Option<u64>, lossy: bool| {
            let mut pair = Pair::new();
            if lossy {
                // Every second packet of each side is lost.
                pair.net.set_filter(|packet| if packet.number % 2 == 0 { sim::Fate::Lose } else { sim::Fate::Carry });
            }
            let mut steps: Vec<(u64, Option<u16>)> = answers.iter().map(|(at, status)| (*at, Some(*status))).collect();
            steps.extend(at.map(|at| (at, None)));
            steps.sort();
            pair.request(request(method));
            for (at, status) in steps {
                pair.until(ms(at));
                match status {
                    None => {
                        let (alice, bob) = (pair.alice, pair.bob);
                        replace(&mut pair, alice);
                        replace(&mut pair, bob);
                    }
                    Some(status) if !pair.got.is_empty() => {
                        let (bob, tx, message) = pair.got[0].clone();
                        let answer = crate::common::response(&message, status);
                        let _ = pair.net.host(bob).respond(ms(at), tx, answer);
                    }
                    Some(_) => {}
                }
            }
            pair.finish();
            pair.assert_empty();
            let trace: Vec<_> = pair.net.trace().iter().map(|sent| (sent.at, sent.from, sent.what())).collect();
            (pair.log, trace)
        };
        for lossy in [false, true] {
            let (log, trace) = run(None, lossy);
            for at in [1, 15, 30, 100, 300, 700, 2_100, 3_000, 5_005, 20_000, 33_000] {
                let (other_log, other_trace) = run(Some(at), lossy);
                assert_eq!(other_trace, trace, "{method} replaced at {at} ms: the wire is the same");
                assert_eq!(other_log, log, "{method} replaced at {at} ms: the users hear the same");
            }
        }
    }
}

#[test]
fn ids_stay_valid_and_stale_ones_stay_stale() {
    let mut pair = Pair::new().answer("INVITE", &[180]);
    let gone = pair.request(request(Method::Options));
    pair.until(ms(40_000));
    let tx = pair.request(request(Method::Invite));
    pair.until(ms(40_100));
    let alice = pair.alice;
    replace(&mut pair, alice);
    assert!(pair.net.host(alice).client_path(tx).is_some());
    assert!(pair.net.host(alice).client_path(gone).is_none());
    pair.net.host(alice).cancel(ms(40_100), tx, None).unwrap();
    pair.until(ms(40_200));
    assert!(pair.heard(pair.bob).contains(&"CANCEL"));
    pair.respond(1, 487);
    pair.finish();
    assert_eq!(pair.ended.iter().filter(|(node, _)| *node == alice).count(), 2);
    pair.assert_empty();
}

#[test]
fn a_search_begins_anew_and_a_lost_connection_is_told() {
    let mut pair = Pair::new().answer("OPTIONS", &[200]);
    pair.net.dns.address("host.example.com", BOB);
    pair.net.faults.delay = crate::common::secs(1);
    pair.request(request_to(Method::Options, "sip:host.example.com:5060", 1));
    let alice = pair.alice;
    replace(&mut pair, alice);
    pair.finish();
    assert!(pair.ended.contains(&(alice, Outcome::Completed)));

    let mut endpoint = Endpoint::new(EndpointConfig::default().into(), [1; 32]);
    let (local, remote) = ("192.0.2.1:5060".parse().unwrap(), "192.0.2.2:5060".parse().unwrap());
    let flow = endpoint.attach(Transport::Tcp, local, remote, None).unwrap();
    endpoint.request(ms(0), request(Method::Invite), Destination::flow(flow)).unwrap();
    let state = endpoint.export(ms(0));
    let mut other = Endpoint::new(EndpointConfig::default().into(), [2; 32]);
    other.import(ms(0), &state, |_| None).unwrap();
    assert!(matches!(
        other.poll_event(),
        Some(sip_transaction::Event::ClientEnded { outcome: Outcome::Failed(_), .. })
    ));
    assert!(other.is_idle());
}

#[test]
fn bytes_that_are_no_state_are_refused_and_change_nothing() {
    let mut pair = Pair::new();
    pair.request(request(Method::Invite));
    pair.until(ms(300));
    let bob = pair.bob;
    let state = pair.net.host(bob).export(ms(300));
    let fresh = || Endpoint::new(EndpointConfig::default().into(), [3; 32]);
    for cut in 0..state.len() {
        let mut other = fresh();
        assert_eq!(other.import(ms(0), &state[..cut], |_| None), Err(ImportError::Malformed), "cut at {cut}");
        assert!(other.is_idle());
    }
    for at in 0..state.len() {
        for bit in 0..8 {
            let mut changed = state.clone();
            changed[at] ^= 1 << bit;
            // Whatever it makes of it, it does not panic and the clock runs out.
            let mut other = fresh();
            if other.import(ms(0), &changed, |_| None).is_ok() {
                for _ in 0..20 {
                    while other.poll_event().is_some() {}
                    while other.poll_transmit().is_some() {}
                    let Some(next) = other.poll_timeout() else { break };
                    other.handle_timeout(next);
                }
            }
        }
    }
    let mut newer = state.clone();
    newer[15] = 99;
    assert_eq!(fresh().import(ms(0), &newer, |_| None), Err(ImportError::Version(99)));
    assert_eq!(pair.net.host(bob).import(ms(300), &state, |_| None), Err(ImportError::NotEmpty));
}
