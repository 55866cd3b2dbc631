//! Any sequence of inputs, commands and waits on two endpoints wired to each other: no panic, one end for each transaction, nothing left.
//!
//! Two bytes are one step: what, and with what.

use sip_message::{Message, Method, StatusCode};
use sip_transaction::{
    Answer, ClientTxId, CloseCause, Destination, Endpoint, EndpointConfig, Event, FlowId, Input, Instant, QueryId,
    SendCause, SendToken, ServerTxId, Target, Transport,
};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

#[derive(Default)]
struct Seen {
    clients: Vec<ClientTxId>,
    servers: Vec<(ServerTxId, Message)>,
    flows: Vec<FlowId>,
    queries: Vec<QueryId>,
    tokens: Vec<SendToken>,
    open_clients: BTreeSet<ClientTxId>,
    open_servers: BTreeSet<ServerTxId>,
}

/// Runs the target.
pub fn run(data: &[u8]) {
    let mut config = EndpointConfig::default();
    config.transports = Transport::ALL.to_vec();
    config.limits.transactions = Some(50);
    config.limits.flows = Some(10);
    let mut endpoint = Endpoint::new(config.into(), [7; 32]);
    let local: SocketAddr = ([192, 0, 2, 1], 5060).into();
    let mut seen = Seen::default();
    seen.flows.extend(endpoint.bind(Transport::Udp, local).ok());
    let mut now = Instant::ZERO;
    let mut sent: Vec<(FlowId, SocketAddr, Vec<u8>)> = Vec::new();
    for (step, pair) in data.chunks_exact(2).take(400).enumerate() {
        let (what, with) = (pair[0], usize::from(pair[1]));
        let flow = seen.flows.get(with % seen.flows.len().max(1)).copied();
        match what % 18 {
            0 | 1 => {
                let methods = [Method::Invite, Method::Options, Method::Cancel, Method::Other("X")];
                let uris = [
                    "sip:192.0.2.1",
                    "sip:192.0.2.1;transport=tcp",
                    "sips:example.com",
                    "sip:example.com",
                    "sip:192.0.2.1;transport=ws",
                ];
                let method = methods[with % 4];
                let message = request(method, uris[with / 4 % 5], step as u32);
                let to = match (with >> 6, flow) {
                    (1, Some(flow)) => Destination::flow(flow),
                    (2, _) => Destination::targets(vec![target(with), target(with + 1)]),
                    _ => Destination::route(),
                };
                if let Ok(tx) = endpoint.request(now, message, to) {
                    seen.clients.push(tx);
                    seen.open_clients.insert(tx);
                }
            }
            2 => drop(endpoint.send(now, request(Method::Ack, "sip:192.0.2.1", 1), Destination::route())),
            3 => drop(seen.clients.get(with).map(|tx| endpoint.cancel(now, *tx, (with % 2 == 0).then_some("SIP")))),
            4 => drop(seen.clients.get(with).map(|tx| endpoint.arm_timer_c(now, *tx))),
            5 | 6 => {
                if let Some((tx, message)) = seen.servers.get(with % seen.servers.len().max(1)) {
                    let status = StatusCode::new([100, 180, 200, 302, 408, 486, 503, 603][with % 8]).expect("a status");
                    let answer = Message::response(message, status).to_tag("t").build().expect("an answer");
                    if what % 18 == 5 {
                        let _ = endpoint.respond(now, *tx, answer);
                    } else {
                        let _ = endpoint.respond_until_ack(now, *tx, answer);
                    }
                }
            }
            7 => drop(seen.servers.get(with).map(|(tx, _)| endpoint.acknowledge(now, *tx))),
            8 => drop(seen.servers.get(with).map(|(tx, _)| endpoint.abandon(now, *tx))),
            9 => {
                let remote = ([192, 0, 2, with as u8], 5060).into();
                seen.flows.extend(endpoint.accept(Transport::ALL[with % 6], local, remote).ok());
            }
            10 => {
                let _ = flow.map(|flow| endpoint.handle_input(now, Input::FlowOpened { flow, local }));
            }
            11 => {
                _ = flow.map(|flow| endpoint.handle_input(now, Input::FlowClosed { flow, cause: CloseCause::Reset }));
            }
            12 => {
                if let Some(&query) = seen.queries.get(with % seen.queries.len().max(1)) {
                    let record = sip_transaction::Record {
                        ttl: Duration::from_secs(10),
                        data: sip_transaction::RecordData::Address([192, 0, 2, 1].into()),
                    };
                    let records = [record];
                    let answer = if with % 3 == 0 { Answer::Failed } else { Answer::Records(&records) };
                    let _ = endpoint.handle_input(now, Input::Resolved { query, answer });
                }
            }
            13 => {
                if let Some(&token) = seen.tokens.get(with % seen.tokens.len().max(1)) {
                    let _ = endpoint.handle_input(now, Input::SendFailed { token, cause: SendCause::Unreachable });
                }
            }
            // What was sent comes back, to where it came from: the endpoint talks to itself.
            14 => {
                if let Some((flow, remote, bytes)) = sent.get(with % sent.len().max(1)) {
                    let input = match endpoint.flow_path(*flow).map(|path| path.transport) {
                        Some(Transport::Udp) => Input::Datagram { flow: *flow, remote: *remote, bytes },
                        Some(transport) if transport.is_stream() => Input::Stream { flow: *flow, bytes },
                        _ => Input::Message { flow: *flow, bytes },
                    };
                    let _ = endpoint.handle_input(now, input);
                }
            }
            15 => {
                now += Duration::from_millis(with as u64 * with as u64);
                endpoint.handle_timeout(now);
            }
            16 => {
                let interval = (with % 2 == 0).then_some(Duration::from_secs(5));
                let _ = flow.map(|flow| endpoint.keep_alive(now, flow, Some(local), interval));
            }
            _ => {
                // The state leaves and comes back.
                if with == 0 {
                    let mut config = EndpointConfig::default();
                    config.transports = Transport::ALL.to_vec();
                    let mut other = Endpoint::new(config.into(), [9; 32]);
                    let socket = other.bind(Transport::Udp, local).expect("a socket");
                    note(&mut endpoint, &mut seen, &mut sent);
                    let state = endpoint.export(now);
                    other.import(now, &state, |_| Some(socket)).expect("it was exported");
                    seen.flows = vec![socket];
                    endpoint = other;
                }
            }
        }
        note(&mut endpoint, &mut seen, &mut sent);
    }
    // Keepalives would go on for ever.
    for flow in seen.flows.clone() {
        let _ = endpoint.keep_alive(now, flow, Some(local), None);
    }
    for tx in seen.open_clients.clone() {
        let _ = endpoint.cancel(now, tx, None);
    }
    for _ in 0..100_000 {
        note(&mut endpoint, &mut seen, &mut sent);
        let Some(next) = endpoint.poll_timeout() else { break };
        endpoint.handle_timeout(next);
    }
    assert!(endpoint.is_idle(), "{endpoint:?}");
    assert!(seen.open_clients.is_empty() && seen.open_servers.is_empty(), "each has one end");
}

fn note(endpoint: &mut Endpoint, seen: &mut Seen, sent: &mut Vec<(FlowId, SocketAddr, Vec<u8>)>) {
    while let Some(event) = endpoint.poll_event() {
        match event {
            Event::Request { tx, message, .. } => {
                assert!(seen.open_servers.insert(tx));
                seen.servers.push((tx, *message));
            }
            Event::ClientEnded { tx, .. } => assert!(seen.open_clients.remove(&tx), "one end"),
            Event::ServerEnded { tx, .. } => assert!(seen.open_servers.remove(&tx), "one end"),
            Event::Connect { flow, .. } => seen.flows.push(flow),
            Event::Query { query, .. } => seen.queries.push(query),
            _ => {}
        }
    }
    while let Some(transmit) = endpoint.poll_transmit() {
        seen.tokens.extend(transmit.token);
        if sent.len() < 500 {
            sent.push((transmit.flow, transmit.remote, transmit.bytes.to_vec()));
        }
    }
}

fn request(method: Method<'_>, uri: &str, cseq: u32) -> Message {
    Message::request(method, uri)
        .header("Max-Forwards", 70)
        .header("From", "<sip:a@example.com>;tag=1")
        .header("To", "<sip:b@example.com>")
        .header("Call-ID", "x")
        .cseq(cseq)
        .build()
        .expect("a request")
}

fn target(with: usize) -> Target {
    let transport = Transport::ALL[with % 6];
    Target { transport, address: ([192, 0, 2, 3], 5060).into(), server_name: None }
}

/// Takes everything out of the queues.
pub(crate) fn settle(endpoint: &mut Endpoint, now: Instant) {
    endpoint.handle_timeout(now);
    while endpoint.poll_event().is_some() {}
    while endpoint.poll_transmit().is_some() {}
}

/// Lets the clock run out: then nothing may be left.
pub(crate) fn run_out(endpoint: &mut Endpoint) {
    for _ in 0..100_000 {
        settle(endpoint, Instant::ZERO);
        let Some(next) = endpoint.poll_timeout() else { break };
        endpoint.handle_timeout(next);
    }
    settle(endpoint, Instant::ZERO);
    assert!(endpoint.is_idle(), "{endpoint:?}");
}
