//! Limits and overload: what is refused, how, and what still gets in.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests stop at what they did not expect")]

use crate::common::{ALICE, BOB, Pair, ms, request, request_to};
use core::net::SocketAddr;
use sip_message::{Message, Method};
use sip_transaction::{
    CommandError, Destination, Endpoint, EndpointConfig, Event, Input, InputError, SendErrorKind, Target, Transport,
};

fn endpoint(change: impl FnOnce(&mut EndpointConfig)) -> (Endpoint, sip_transaction::FlowId) {
    let mut config = EndpointConfig::default();
    change(&mut config);
    let mut endpoint = Endpoint::new(config.into(), [5; 32]);
    let socket = endpoint.bind(Transport::Udp, "192.0.2.2:5060".parse().unwrap()).unwrap();
    (endpoint, socket)
}

fn invite(branch: usize, to_tag: &str, method: &str) -> String {
    format!(
        "{method} sip:bob@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK{branch};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>{to_tag}\r\nCall-ID: {branch}\r\n\
         CSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n"
    )
}

fn give(endpoint: &mut Endpoint, flow: sip_transaction::FlowId, remote: &str, text: &str) -> Result<(), InputError> {
    let remote: SocketAddr = remote.parse().unwrap();
    endpoint.handle_input(ms(0), Input::Datagram { flow, remote, bytes: text.as_bytes() })
}

#[test]
fn at_the_limit_new_calls_are_turned_away_and_old_ones_go_on() {
    let (mut endpoint, socket) = endpoint(|config| config.limits.transactions = Some(100));
    for branch in 0..100 {
        give(&mut endpoint, socket, "192.0.2.7:5060", &invite(branch, "", "INVITE")).unwrap();
    }
    while endpoint.poll_event().is_some() {}
    let refused = give(&mut endpoint, socket, "192.0.2.7:5060", &invite(100, "", "INVITE"));
    assert_eq!(refused, Err(InputError::Overload));
    assert_eq!(endpoint.transactions(), 100, "the refusal leaves nothing behind");
    assert!(endpoint.poll_event().is_none());
    let answer = Message::parse(endpoint.poll_transmit().unwrap().bytes).unwrap();
    assert_eq!(answer.status().unwrap().code(), 503);
    let seconds: u32 = core::str::from_utf8(answer.field("Retry-After").unwrap()).unwrap().parse().unwrap();
    assert!((5..=15).contains(&seconds));
    let tag = answer.to().unwrap().tag().unwrap().map(str::to_owned);
    assert!(tag.is_some());
    // A retransmission gets the same answer: RFC 3261 section 8.2.7.
    let _ = give(&mut endpoint, socket, "192.0.2.7:5060", &invite(100, "", "INVITE"));
    let again = Message::parse(endpoint.poll_transmit().unwrap().bytes).unwrap();
    assert_eq!(again.to().unwrap().tag().unwrap().map(str::to_owned), tag);
    // Requests in dialogs, ACK and CANCEL get in; so do retransmissions.
    give(&mut endpoint, socket, "192.0.2.7:5060", &invite(200, ";tag=2", "BYE")).unwrap();
    assert!(matches!(endpoint.poll_event(), Some(Event::Request { .. })));
    give(&mut endpoint, socket, "192.0.2.7:5060", &invite(201, ";tag=2", "ACK")).unwrap();
    assert!(matches!(endpoint.poll_event(), Some(Event::Ack { .. })));
    give(&mut endpoint, socket, "192.0.2.7:5060", &invite(5, "", "CANCEL")).unwrap();
    assert!(matches!(endpoint.poll_event(), Some(Event::Cancel { .. })));
    give(&mut endpoint, socket, "192.0.2.7:5060", &invite(6, "", "INVITE")).unwrap();
    // But not without end.
    for branch in 300..400 {
        let _ = give(&mut endpoint, socket, "192.0.2.7:5060", &invite(branch, ";tag=2", "BYE"));
    }
    assert_eq!(endpoint.transactions(), 125);
    assert_eq!(endpoint.counters().refused, 2 + 100 - 23);
    // A command hands its message back.
    let refused = endpoint.request(ms(0), request(Method::Invite), Destination::route()).unwrap_err();
    assert_eq!(refused.kind, SendErrorKind::Full);
    assert_eq!(refused.message.method(), Some(Method::Invite));
}

#[test]
fn one_source_cannot_take_it_all() {
    let (mut endpoint, socket) = endpoint(|config| config.limits.per_source = Some(10));
    for branch in 0..20 {
        let _ = give(&mut endpoint, socket, "192.0.2.7:5060", &invite(branch, "", "INVITE"));
    }
    assert_eq!(endpoint.transactions(), 10);
    give(&mut endpoint, socket, "198.51.100.1:5060", &invite(30, "", "INVITE")).unwrap();
    assert_eq!(endpoint.transactions(), 11, "another source is let in");
    // Transactions that end make room.
    while let Some(event) = endpoint.poll_event() {
        if let Event::Request { tx, .. } = event {
            endpoint.abandon(ms(0), tx).unwrap();
        }
    }
    give(&mut endpoint, socket, "192.0.2.7:5060", &invite(40, "", "INVITE")).unwrap();
}

#[test]
fn queues_that_are_not_drained_stop_new_requests() {
    let (mut endpoint, socket) = endpoint(|config| config.limits.queued_events = Some(3));
    for branch in 0..10 {
        let _ = give(&mut endpoint, socket, "192.0.2.7:5060", &invite(branch, "", "INVITE"));
    }
    assert_eq!(endpoint.transactions(), 3);
    while endpoint.poll_event().is_some() {}
    give(&mut endpoint, socket, "192.0.2.7:5060", &invite(20, "", "INVITE")).unwrap();
}

#[test]
fn flows_and_waiting_bytes_are_bounded() {
    let (mut endpoint, _) = endpoint(|config| {
        config.limits.flows = Some(2);
        config.limits.connecting_bytes = Some(1_000);
    });
    let target =
        |n: u8| Target { transport: Transport::Tcp, address: ([192, 0, 2, n], 5060).into(), server_name: None };
    let flow = endpoint.connect(ms(0), &target(9)).unwrap();
    assert_eq!(endpoint.connect(ms(0), &target(10)), Err(CommandError::Full));
    let (local, remote) = ("192.0.2.2:5060".parse().unwrap(), "192.0.2.7:9".parse().unwrap());
    assert_eq!(endpoint.accept(Transport::Tcp, local, remote), Err(CommandError::Full));
    assert_eq!(endpoint.bind(Transport::Udp, local), Err(CommandError::Full));
    endpoint.close(ms(0), flow).unwrap();
    assert!(endpoint.accept(Transport::Tcp, local, remote).is_ok());
}

#[test]
fn polling_in_any_order_and_input_without_polling_are_fine() {
    // Two inputs in a row, events first or transmits first: the same in the end.
    for order in 0..3 {
        let (mut endpoint, socket) = endpoint(|_| ());
        for branch in 0..5 {
            give(&mut endpoint, socket, "192.0.2.7:5060", &invite(branch, "", "INVITE")).unwrap();
        }
        assert_eq!(endpoint.poll_timeout(), Some(ms(0)), "now, while output is queued");
        endpoint.handle_timeout(ms(300));
        let (mut events, mut transmits) = (0, 0);
        for step in 0..20 {
            if order == 0 || order == 2 && step % 2 == 0 {
                events += usize::from(endpoint.poll_event().is_some());
            }
            if order == 1 || order == 2 && step % 2 == 1 {
                transmits += usize::from(endpoint.poll_transmit().is_some());
            }
        }
        events += std::iter::from_fn(|| endpoint.poll_event()).count();
        transmits += std::iter::from_fn(|| endpoint.poll_transmit()).count();
        assert_eq!((events, transmits), (5, 5));
        assert_eq!(endpoint.poll_timeout(), Some(ms(300 + 15 * 60 * 1_000)));
        let before = format!("{:?}", endpoint.counters());
        endpoint.handle_timeout(ms(300));
        endpoint.handle_timeout(ms(299));
        assert_eq!(before, format!("{:?}", endpoint.counters()), "spurious calls are no-ops");
    }
}

#[test]
fn a_clock_that_runs_backwards_stands_still() {
    let mut pair = Pair::new();
    pair.request(request(Method::Options));
    pair.until(ms(100));
    let alice = pair.alice;
    pair.net.host(alice).handle_timeout(ms(100));
    pair.net.host(alice).handle_timeout(ms(0));
    let second = request_to(Method::Options, "sip:bob@192.0.2.2", 2);
    pair.net.host(alice).request(ms(1), second, Destination::route()).unwrap();
    assert_eq!(pair.net.host(alice).poll_timeout(), Some(ms(100)), "output is queued, and it is no earlier");
    pair.finish();
    assert_eq!(pair.sent(ALICE, "OPTIONS").len(), 22);
    assert_eq!(pair.sent(BOB, "200").len(), 0);
    pair.assert_empty();
}

#[test]
fn pings_that_nobody_polls_the_answers_to_do_not_pile_up() {
    for transport in [Transport::Tcp, Transport::Ws] {
        let (mut endpoint, _) = endpoint(|config| {
            config.transports = Transport::ALL.to_vec();
            config.limits.queued_events = Some(10);
        });
        let (local, remote) = ("192.0.2.2:5060".parse().unwrap(), "192.0.2.7:6000".parse().unwrap());
        let flow = endpoint.accept(transport, local, remote).unwrap();
        let ping = |endpoint: &mut Endpoint| {
            let bytes = b"\r\n\r\n";
            let input = match transport.is_stream() {
                true => Input::Stream { flow, bytes },
                false => Input::Message { flow, bytes },
            };
            endpoint.handle_input(ms(0), input)
        };
        let answered = (0..100).filter(|_| ping(&mut endpoint).is_ok()).count();
        assert_eq!(answered, 10, "{transport}");
        assert_eq!(ping(&mut endpoint), Err(InputError::Overload));
        assert_eq!(endpoint.counters().refused, 91);
        assert_eq!(std::iter::from_fn(|| endpoint.poll_transmit()).count(), 10);
        assert_eq!(std::iter::from_fn(|| endpoint.poll_event()).count(), 10);
        // The connection has suffered no harm.
        assert_eq!(ping(&mut endpoint), Ok(()));
        assert_eq!(&endpoint.poll_transmit().unwrap().bytes[..], b"\r\n");
    }
}
