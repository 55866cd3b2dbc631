//! Keepalives: CRLF on connections, STUN on UDP (RFC 5626 section 4.4).
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests stop at what they did not expect")]

use crate::common::{ALICE, BOB, Pair, ms, request_to, secs};
use sip_message::Method;
use sip_transaction::{
    CloseCause, CommandError, Endpoint, EndpointConfig, Event, FailCause, Input, Outcome, Target, Transport,
};

fn config() -> EndpointConfig {
    let mut config = EndpointConfig::default();
    config.transports = Transport::ALL.to_vec();
    config
}

fn connected(transport: Transport, port: u16) -> (Pair, sip_transaction::FlowId) {
    let mut pair = Pair::with(config());
    let alice = pair.alice;
    let target = Target { transport, address: ([192, 0, 2, 2], port).into(), server_name: None };
    let flow = pair.net.host(alice).connect(ms(0), &target).unwrap();
    pair.until(ms(100));
    (pair, flow)
}

#[test]
fn pings_on_connections_are_answered() {
    for (transport, port) in [(Transport::Tcp, 5060), (Transport::Tls, 5061), (Transport::Ws, 80)] {
        let (mut pair, flow) = connected(transport, port);
        let alice = pair.alice;
        pair.net.host(alice).keep_alive(ms(100), flow, None, Some(secs(120))).unwrap();
        pair.until(ms(601_000));
        //= https://www.rfc-editor.org/rfc/rfc5626#section-4.4.1
        //= type=test
        //# The UA MUST select a random number between a fixed or
        //# configurable upper bound and a lower bound, where the lower bound is
        //# 20% less then the upper bound.
        let pongs = pair.when(alice, "pong");
        assert!((5..=6).contains(&pongs.len()), "{transport}: {pongs:?}");
        let gaps: Vec<_> = pongs.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.iter().all(|gap| (96_000..=120_100).contains(gap)), "{gaps:?}");
        assert!(gaps.windows(2).any(|pair| pair[0] != pair[1]), "not all the same");
        assert_eq!(pair.heard(pair.bob).len(), pongs.len(), "Bob is told of each");
        pair.net.host(alice).keep_alive(ms(601_000), flow, None, None).unwrap();
        let until = pair.net.now() + secs(600);
        pair.until(until);
        assert_eq!(pair.when(alice, "pong").len(), pongs.len(), "no more of them");
        assert_eq!(pair.net.connections(), 1);
    }
}

#[test]
fn a_ping_without_pong_ends_the_connection() {
    let (mut pair, flow) = connected(Transport::Tcp, 5060);
    let alice = pair.alice;
    pair.net.host(alice).keep_alive(ms(100), flow, None, Some(secs(100))).unwrap();
    pair.net.set_filter(|packet| match packet.from.ip().to_string().as_str() {
        BOB => sim::Fate::Delay(secs(3600)),
        _ => sim::Fate::Carry,
    });
    let tx = pair.request(request_to(Method::Invite, "sip:bob@192.0.2.2;transport=tcp", 1));
    pair.until(ms(115_000));
    //= https://www.rfc-editor.org/rfc/rfc5626#section-4.4.1
    //= type=test
    //# Clients MUST support this CRLF keep-alive.
    //= https://www.rfc-editor.org/rfc/rfc5626#section-4.4.2
    //= type=test
    //# This approach MUST only be used with connection-less transports, such
    //# as UDP; it MUST NOT be used for connection-oriented transports such
    //# as TCP and SCTP.
    //= https://www.rfc-editor.org/rfc/rfc5626#section-4.4.1
    //= type=test
    //# If a pong is not received within 10 seconds after sending a ping (or
    //# immediately after processing any incoming message being received when
    //# that 10 seconds expires), then the client MUST treat the flow as
    //# failed.
    let ping = pair.sent(ALICE, "CRLF")[0];
    assert!(
        pair.when(alice, "flow ended Keepalive").is_empty()
            || ping + 10_000 == pair.when(alice, "flow ended Keepalive")[0]
    );
    assert!(pair.net.host(alice).client_path(tx).is_none());
    assert!(pair.ended.iter().any(|(node, outcome)| *node == alice
        && matches!(outcome, Outcome::TimedOut | Outcome::Failed(FailCause::Flow(CloseCause::Keepalive)))));
}

#[test]
fn stun_on_the_sip_port_is_answered_and_asked() {
    //= https://www.rfc-editor.org/rfc/rfc5626#section-4.4.2
    //= type=test
    //# Clients
    //# MUST support STUN-based keep-alives.
    //= https://www.rfc-editor.org/rfc/rfc5626#section-8
    //= type=test
    //# If a server compliant to this section receives SIP requests on a
    //# given interface and UDP port, it MUST also provide a limited version
    //# of a STUN server on the same interface and UDP port.
    //= https://www.rfc-editor.org/rfc/rfc5626#section-8
    //= type=test
    //# The UAS, proxy, or
    //# registrar responds to a valid Binding Request with a Binding Response
    //# that MUST include the XOR-MAPPED-ADDRESS attribute.
    let mut pair = Pair::new();
    let (alice, bob) = (pair.alice, pair.bob);
    let remote = "192.0.2.2:5060".parse().unwrap();
    let socket = pair.net.host(alice).bind(Transport::Udp, "192.0.2.1:5090".parse().unwrap()).unwrap();
    //= https://www.rfc-editor.org/rfc/rfc5626#section-4.4.1
    //= type=test
    //# This approach MUST only be used with connection oriented transports
    //# such as TCP or SCTP; it MUST NOT be used with connection-less
    //# transports such as UDP.
    assert_eq!(pair.net.host(alice).keep_alive(ms(0), socket, None, Some(secs(25))), Err(CommandError::WrongFlowKind));
    let mut net = sim::Network::new(3);
    let a = net.add(ALICE, Endpoint::new(Default::default(), [1; 32]));
    let b = net.add(BOB, Endpoint::new(Default::default(), [2; 32]));
    let socket = net.bind(a, Transport::Udp, 5060);
    net.bind(b, Transport::Udp, 5060);
    (pair.net, pair.alice, pair.bob) = (net, a, b);
    let _ = (alice, bob);
    pair.net.host(a).keep_alive(ms(0), socket, Some(remote), Some(secs(25))).unwrap();
    pair.until(ms(100_000));
    let pongs = pair.when(a, "pong 192.0.2.1:5060");
    assert!((4..=5).contains(&pongs.len()), "{pongs:?}");
    assert_eq!(pair.heard(b).len(), pongs.len());
    // Lost ones are sent again; then Bob is gone.
    pair.net.shut(b, Transport::Udp, 5060);
    pair.net.faults.icmp = false;
    pair.finish();
    assert_eq!(pair.heard(a).last(), Some(&"keepalive failed"));
    let sent = pair.net.trace().iter().rev().take(7).map(|sent| sent.at).collect::<Vec<_>>();
    assert_eq!(sent[0] - sent[6], core::time::Duration::from_millis(500 + 1_000 + 2_000 + 4_000 + 8_000 + 16_000));
    pair.assert_empty();
}

/// A STUN Binding response to a request, as RFC 5389 has it.
fn binding_response(request: &[u8], mapped: std::net::SocketAddrV4) -> Vec<u8> {
    const COOKIE: u32 = 0x2112_a442;
    let mut out = vec![1, 1, 0, 12];
    out.extend_from_slice(&request[4..20]);
    out.extend_from_slice(&[0, 0x20, 0, 8, 0, 1]);
    out.extend_from_slice(&(mapped.port() ^ (COOKIE >> 16) as u16).to_be_bytes());
    out.extend_from_slice(&(u32::from(*mapped.ip()) ^ COOKIE).to_be_bytes());
    out
}

//= https://www.rfc-editor.org/rfc/rfc5626#section-4.4.2
//= type=test
//# If the XOR-MAPPED-ADDRESS in the STUN Binding Response changes, the
//# UA MUST treat this event as a failure on the flow.
#[test]
fn an_address_that_changes_behind_a_nat_is_a_failure_of_the_flow() {
    let mut endpoint = Endpoint::new(config().into(), [1; 32]);
    let socket = endpoint.bind(Transport::Udp, "10.0.0.1:5060".parse().unwrap()).unwrap();
    let remote = "192.0.2.2:5060".parse().unwrap();
    endpoint.keep_alive(ms(0), socket, Some(remote), Some(secs(25))).unwrap();
    let mut events = Vec::new();
    for mapped in ["198.51.100.1:1024", "198.51.100.1:1024", "198.51.100.1:1025"] {
        let now = endpoint.poll_timeout().unwrap();
        endpoint.handle_timeout(now);
        let request = endpoint.poll_transmit().unwrap().bytes;
        let bytes = binding_response(&request, mapped.parse().unwrap());
        endpoint.handle_input(now, Input::Datagram { flow: socket, remote, bytes: &bytes }).unwrap();
        events.extend(core::iter::from_fn(|| endpoint.poll_event()));
    }
    let answered =
        |event: &Event| matches!(event, Event::KeepaliveAnswered { mapped: Some(at), .. } if at.port() == 1024);
    assert!(answered(&events[0]) && answered(&events[1]));
    assert!(matches!(&events[2], Event::KeepaliveFailed { path } if path.remote == remote));
    assert_eq!(events.len(), 3);
    assert_eq!(endpoint.poll_timeout(), None, "no more keepalives");
}

#[test]
fn an_interval_of_nothing_is_a_second() {
    let (mut pair, flow) = connected(Transport::Tcp, 5060);
    let alice = pair.alice;
    pair.net.host(alice).keep_alive(ms(100), flow, None, Some(secs(0))).unwrap();
    pair.until(ms(10_100));
    let pongs = pair.when(alice, "pong").len();
    assert!((9..=13).contains(&pongs), "{pongs}");
}
