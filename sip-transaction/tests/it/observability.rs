//! What can be seen of an endpoint: the reason of each deadline and the counters. What it traces is in `traced`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests stop at what they did not expect")]

use crate::common::{ALICE, BOB, Pair, ms, request, request_to, secs};
use sip_message::Method;
use sip_transaction::{Counters, Endpoint, EndpointConfig, Instant, SendCause, Timer, Transport};

/// Goes from deadline to deadline of one endpoint that nobody answers, and tells each once.
fn reasons(endpoint: &mut Endpoint, end: Instant) -> Vec<(u64, Timer)> {
    let mut seen = Vec::new();
    loop {
        assert_eq!(endpoint.poll_timeout().is_some(), endpoint.next_timeout_reason().is_some());
        if let Some(Timer::Output) = endpoint.next_timeout_reason() {
            while endpoint.poll_transmit().is_some() || endpoint.poll_event().is_some() {}
            continue;
        }
        let Some((at, timer)) = endpoint.poll_timeout().zip(endpoint.next_timeout_reason()) else { return seen };
        if at > end {
            return seen;
        }
        seen.push((at.as_micros() / 1000, timer));
        endpoint.handle_timeout(at);
    }
}

fn endpoint() -> Endpoint {
    let mut endpoint = Endpoint::new(EndpointConfig::default().into(), [1; 32]);
    endpoint.bind(Transport::Udp, "192.0.2.1:5060".parse().unwrap()).unwrap();
    endpoint
}

#[test]
fn each_deadline_has_its_reason() {
    use Timer::{A, Answer, B, E, F, G, H, J, K, Trying};
    let mut alice = endpoint();
    assert_eq!((alice.poll_timeout(), alice.next_timeout_reason()), (None, None));
    alice.request(ms(0), request(Method::Invite), sip_transaction::Destination::route()).unwrap();
    assert_eq!((alice.poll_timeout(), alice.next_timeout_reason()), (Some(ms(0)), Some(Timer::Output)));
    let invite = reasons(&mut alice, Instant::MAX);
    assert_eq!(invite, [(500, A), (1500, A), (3500, A), (7500, A), (15_500, A), (31_500, A), (32_000, B)]);
    assert!(alice.is_idle());

    let mut alice = endpoint();
    alice.request(ms(0), request(Method::Options), sip_transaction::Destination::route()).unwrap();
    let options = reasons(&mut alice, Instant::MAX);
    let (last, sent) = options.split_last().unwrap();
    assert_eq!((*last, sent.len()), ((32_000, F), 10));
    assert!(sent.iter().all(|(_, timer)| *timer == E));

    // A server whose user says nothing, and one that answers.
    let serve = |method: Method<'_>| {
        let mut pair = Pair::new();
        pair.request(request(method));
        pair.until(ms(100));
        let (bob, tx, message) = pair.got[0].clone();
        (pair, bob, tx, message)
    };
    let (mut pair, bob, ..) = serve(Method::Options);
    let silent = reasons(pair.net.host(bob), Instant::MAX);
    assert_eq!(silent.iter().map(|(_, timer)| *timer).collect::<Vec<_>>(), [Trying, Answer]);
    let (mut pair, bob, tx, message) = serve(Method::Options);
    pair.net.host(bob).respond(ms(100), tx, crate::common::response(&message, 200)).unwrap();
    assert_eq!(reasons(pair.net.host(bob), Instant::MAX).last(), Some(&(32_100, J)));
    let (mut pair, bob, tx, message) = serve(Method::Invite);
    pair.net.host(bob).respond(ms(100), tx, crate::common::response(&message, 486)).unwrap();
    let refused = reasons(pair.net.host(bob), Instant::MAX);
    let (last, sent) = refused.split_last().unwrap();
    assert_eq!(*last, (32_100, H));
    assert!(sent.len() == 10 && sent.iter().all(|(_, timer)| *timer == G));
    // The client that has its answer.
    let mut pair = Pair::new().answer("OPTIONS", &[200]);
    pair.request(request(Method::Options));
    pair.until(ms(100));
    let alice = pair.alice;
    assert_eq!(pair.net.host(alice).next_timeout_reason(), Some(K));
    // What is no transaction's.
    let mut alice = endpoint();
    let connect = request_to(Method::Options, "sip:bob@192.0.2.2;transport=tcp", 1);
    alice.request(ms(0), connect, sip_transaction::Destination::route()).unwrap();
    assert_eq!(reasons(&mut alice, Instant::MAX).first().map(|(_, timer)| *timer), Some(Timer::Connect));
    let mut alice = endpoint();
    let socket = alice.bind(Transport::Udp, "192.0.2.1:5062".parse().unwrap()).unwrap();
    alice.keep_alive(ms(0), socket, Some("192.0.2.2:5060".parse().unwrap()), Some(secs(20))).unwrap();
    assert_eq!(reasons(&mut alice, ms(30_000)).first().map(|(_, timer)| *timer), Some(Timer::Keepalive));
}

#[test]
fn counters_count_what_has_happened() {
    let mut pair = Pair::new().answer("OPTIONS", &[200]).answer("INVITE", &[486]);
    let (alice, bob) = (pair.alice, pair.bob);
    let zero = Counters::default();
    assert_eq!(*pair.net.host(alice).counters(), zero);
    // One goes through, the response to another is lost once, an INVITE is refused.
    pair.request(request(Method::Options));
    pair.finish();
    pair.lose(BOB, "200", 1);
    pair.request(request_to(Method::Options, "sip:bob@192.0.2.2", 2));
    pair.finish();
    pair.request(request_to(Method::Invite, "sip:bob@192.0.2.2", 3));
    pair.finish();
    let (a, b) = (*pair.net.host(alice).counters(), *pair.net.host(bob).counters());
    assert_eq!((a.client_transactions, a.server_transactions), (3, 0));
    assert_eq!((b.client_transactions, b.server_transactions), (0, 3));
    assert_eq!((a.retransmissions, b.retransmissions), (1, 1), "the request and its answer");
    assert_eq!(a.transmits, 5, "three requests, one of them twice, and an ACK");
    assert_eq!((b.requests_received, b.transmits), (5, 4));
    assert_eq!(a.responses_received, 3);
    assert_eq!((a.timeouts, a.failures, a.failovers, a.keepalives), (0, 0, 0, 0));
    // Nobody answers; then nobody can be reached, after a way round has been tried.
    pair.lose(ALICE, "OPTIONS", usize::MAX);
    pair.request(request_to(Method::Options, "sip:bob@192.0.2.2", 4));
    pair.finish();
    pair.net.set_filter(|_| sim::Fate::Carry);
    pair.net.dns.srv("_sip._udp.example.com", 0, 1, 5060, "a").srv("_sip._udp.example.com", 1, 1, 5060, "d");
    pair.net.dns.address("a", "192.0.2.90").address("d", "192.0.2.91");
    pair.request(request_to(Method::Options, "sip:bob@example.com;transport=udp", 5));
    pair.finish();
    let a = *pair.net.host(alice).counters();
    assert_eq!((a.timeouts, a.failures, a.failovers), (1, 1, 1));
    assert_eq!((a.malformed, a.stray_responses, a.refused, a.stale_inputs), (0, 0, 0, 0));
    pair.assert_empty();
    // Bytes that are nothing, a keepalive, and a token of something long gone.
    let mut endpoint = endpoint();
    let socket = endpoint.bind(Transport::Udp, "192.0.2.1:5062".parse().unwrap()).unwrap();
    let remote = "192.0.2.7:5060".parse().unwrap();
    for bytes in [&b"HELO example.com\r\n\r\n"[..], b"\r\n\r\n"] {
        let _ = endpoint.handle_input(ms(0), sip_transaction::Input::Datagram { flow: socket, remote, bytes });
    }
    let token = sip_transaction::SendToken::from_bits(77);
    let failed = sip_transaction::Input::SendFailed { token, cause: SendCause::Unreachable };
    assert_eq!(endpoint.handle_input(ms(0), failed), Err(sip_transaction::InputError::UnknownToken));
    let counted = *endpoint.counters();
    assert_eq!((counted.malformed, counted.keepalives, counted.stale_inputs), (1, 1, 1));
}
