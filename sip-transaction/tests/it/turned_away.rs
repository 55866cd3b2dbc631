//! Answers to requests that are turned away at a limit: what they say, and that each is sent whatever the host does with the others.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests stop at what they did not expect")]

use crate::common::ms;
use core::net::SocketAddr;
use sip_message::{Header, Message};
use sip_transaction::{Endpoint, EndpointConfig, FlowId, Input, InputError, Transmit, Transport, replay};
use std::sync::Arc;

const LOCAL: &str = "192.0.2.2:5060";
const REMOTE: &str = "198.51.100.7:6000";

fn request(via: &str, branch: usize, more: &str) -> String {
    format!(
        "MESSAGE sip:bob@192.0.2.2 SIP/2.0\r\nVia: {via}\r\nVia: SIP/2.0/UDP z.example.com;rport;branch=z9hG4bKz\r\n\
         Max-Forwards: 70\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: {branch}\r\n\
         CSeq: 1 MESSAGE\r\n{more}Content-Length: 0\r\n\r\n"
    )
}

fn usual(transport: &str, branch: usize) -> String {
    request(&format!("SIP/2.0/{transport} a.example.com;branch=z9hG4bK{branch};rport"), branch, "")
}

fn config(limit: usize) -> Arc<EndpointConfig> {
    let mut config = EndpointConfig::default();
    config.transports = Transport::ALL.to_vec();
    config.limits.transactions = Some(limit);
    config.received_over_websocket = true;
    config.into()
}

struct Full {
    endpoint: Endpoint,
    socket: FlowId,
}

impl Full {
    /// An endpoint that takes no request at all, or as many as are said.
    fn new(limit: usize) -> Full {
        let mut endpoint = Endpoint::new(config(limit), [5; 32]);
        endpoint.start_recording();
        let socket = endpoint.bind(Transport::Udp, LOCAL.parse().unwrap()).unwrap();
        Full { endpoint, socket }
    }

    fn accept(&mut self, transport: Transport) -> FlowId {
        self.endpoint.accept(transport, LOCAL.parse().unwrap(), REMOTE.parse().unwrap()).unwrap()
    }

    fn datagram(&mut self, text: &str) -> Result<(), InputError> {
        let remote: SocketAddr = REMOTE.parse().unwrap();
        self.endpoint.handle_input(ms(0), Input::Datagram { flow: self.socket, remote, bytes: text.as_bytes() })
    }

    fn answer(&mut self) -> Message {
        Message::parse(self.endpoint.poll_transmit().unwrap().bytes).unwrap()
    }
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-18.2.1
//= type=test
//# If the host portion of the "sent-by" parameter
//# contains a domain name, or if it contains an IP address that differs
//# from the packet source address, the server MUST add a "received"
//# parameter to that Via header field value.
//= https://www.rfc-editor.org/rfc/rfc3581#section-4
//= type=test
//# If this Via header field value contains an "rport" parameter
//# with no value, it MUST set the value of the parameter to the source
//# port of the request.
#[test]
fn the_topmost_via_tells_where_the_request_came_from() {
    const OTHER: &str = "SIP/2.0/UDP 192.0.2.9;received=1.2.3.4;rport";
    let cases = [
        // Without anything.
        ("a.example.com;branch=z9hG4bK1", "a.example.com;branch=z9hG4bK1;received=198.51.100.7"),
        ("192.0.2.7;branch=z9hG4bK1", "192.0.2.7;branch=z9hG4bK1;received=198.51.100.7"),
        ("198.51.100.7;branch=z9hG4bK1", "198.51.100.7;branch=z9hG4bK1"),
        // With rport.
        ("198.51.100.7;rport;branch=z9hG4bK1", "198.51.100.7;rport=6000;branch=z9hG4bK1;received=198.51.100.7"),
        ("a.example.com;branch=z9hG4bK1;RPort", "a.example.com;branch=z9hG4bK1;rport=6000;received=198.51.100.7"),
        ("a.example.com;rport=1;branch=z9hG4bK1", "a.example.com;rport=1;branch=z9hG4bK1;received=198.51.100.7"),
        // With what a client has no business to write.
        ("a.example.com;Received=1.2.3.4;branch=z9hG4bK1", "a.example.com;received=198.51.100.7;branch=z9hG4bK1"),
        (
            "198.51.100.7;received=1.2.3.4;rport;branch=z9hG4bK1",
            "198.51.100.7;received=198.51.100.7;rport=6000;branch=z9hG4bK1",
        ),
        // Quoted, with white space, folded, several values in the field.
        (
            "a.example.com;x=\";rport,\\\"\" ; rport",
            "a.example.com;x=\";rport,\\\"\" ;rport=6000;received=198.51.100.7",
        ),
        (
            "a.example.com\r\n ;rport\r\n ;branch=z9hG4bK1",
            "a.example.com\r\n ;rport=6000;branch=z9hG4bK1;received=198.51.100.7",
        ),
    ];
    for (nth, (sent, expected)) in cases.into_iter().enumerate() {
        for (behind, kept) in [(String::new(), String::new()), (format!(" , {OTHER}"), format!(", {OTHER}"))] {
            for broken in ["", "Broken\r\n"] {
                for transport in [Transport::Udp, Transport::Tcp, Transport::Ws] {
                    let protocol = format!("SIP/2.0/{} ", transport.via());
                    let text = request(&format!("{protocol}{sent}{behind}"), nth, broken);
                    let mut full = Full::new(0);
                    let refused = match transport {
                        Transport::Udp => full.datagram(&text),
                        Transport::Tcp => {
                            let flow = full.accept(transport);
                            full.endpoint.handle_input(ms(0), Input::Stream { flow, bytes: text.as_bytes() })
                        }
                        _ => {
                            let flow = full.accept(transport);
                            full.endpoint.handle_input(ms(0), Input::Message { flow, bytes: text.as_bytes() })
                        }
                    };
                    let answer = full.answer();
                    let status = answer.status().unwrap().code();
                    match broken {
                        "" => assert_eq!((refused, status), (Err(InputError::Overload), 503)),
                        _ => assert!(matches!(refused, Err(InputError::Malformed(_))) && status == 400, "{text}"),
                    }
                    let plain = |text: &[u8]| String::from_utf8_lossy(text).split_whitespace().collect::<String>();
                    let vias: Vec<String> = answer.fields(Header::Via).map(plain).collect();
                    let expected = plain(format!("{protocol}{expected}{kept}").as_bytes());
                    assert_eq!(vias, [&*expected, "SIP/2.0/UDPz.example.com;rport;branch=z9hG4bKz"], "{text}");
                    // A request that is let in is told the same.
                    if broken.is_empty() {
                        let mut message = Message::parse(text.into()).unwrap();
                        if expected.contains("received=198") {
                            message.set_received("198.51.100.7".parse().unwrap()).unwrap();
                        }
                        if expected.contains("rport=6000") {
                            message.set_rport(6000).unwrap();
                        }
                        let (told, said) = (message.top_via().unwrap(), answer.top_via().unwrap());
                        assert_eq!((told.received(), told.rport()), (said.received(), said.rport()));
                    }
                }
            }
        }
    }
}

#[test]
fn over_websocket_the_topmost_via_stays_as_it_is_unless_asked_for() {
    let mut config = EndpointConfig::default();
    config.limits.transactions = Some(0);
    let mut endpoint = Endpoint::new(config.into(), [5; 32]);
    let flow = endpoint.accept(Transport::Ws, LOCAL.parse().unwrap(), REMOTE.parse().unwrap()).unwrap();
    let text = usual("WS", 1);
    let refused = endpoint.handle_input(ms(0), Input::Message { flow, bytes: text.as_bytes() });
    assert_eq!(refused, Err(InputError::Overload));
    let answer = Message::parse(endpoint.poll_transmit().unwrap().bytes).unwrap();
    assert_eq!(answer.field(Header::Via), Some(&b"SIP/2.0/WS a.example.com;branch=z9hG4bK1;rport"[..]));
}

#[test]
fn an_address_of_version_6_is_written_whole() {
    let mut full = Full::new(0);
    let remote: SocketAddr = "[2001:db8:1111:2222:3333:4444:5555:6666]:65535".parse().unwrap();
    let text = usual("UDP", 1);
    let input = Input::Datagram { flow: full.socket, remote, bytes: text.as_bytes() };
    assert_eq!(full.endpoint.handle_input(ms(0), input), Err(InputError::Overload));
    let answer = full.answer();
    let via = answer.top_via().unwrap();
    assert_eq!((via.received(), via.rport()), (Ok(Some(remote.ip())), Ok(Some(Some(65_535)))));
}

#[test]
fn answers_that_the_host_holds_keep_no_other_back() {
    let mut full = Full::new(0);
    let mut held: Vec<Transmit> = Vec::new();
    for branch in 0..1_000 {
        assert_eq!(full.datagram(&usual("UDP", branch)), Err(InputError::Overload));
        // Most are dropped at once, some stay for good.
        let answer = full.endpoint.poll_transmit();
        assert!(answer.is_some(), "{branch}");
        held.extend(answer.filter(|_| branch < 200 || branch % 50 == 0));
    }
    for (transmit, branch) in held.iter().zip((0..200).chain((200..).step_by(50))) {
        let answer = Message::parse(transmit.bytes.clone()).unwrap();
        assert_eq!(answer.call_id().unwrap().to_string(), branch.to_string(), "nothing was written over");
    }
}

#[test]
fn a_request_over_a_connection_is_always_answered() {
    let mut full = Full::new(0);
    let flow = full.accept(Transport::Ws);
    // The datagrams that may wait do.
    for branch in 0..100 {
        assert_eq!(full.datagram(&usual("UDP", branch)), Err(InputError::Overload));
    }
    for branch in 100..400 {
        let text = usual("WS", branch);
        let refused = full.endpoint.handle_input(ms(0), Input::Message { flow, bytes: text.as_bytes() });
        assert_eq!(refused, Err(InputError::Overload));
    }
    let mut answers = [0; 2];
    while let Some(transmit) = full.endpoint.poll_transmit() {
        assert!(transmit.bytes.starts_with(b"SIP/2.0 503 "));
        answers[usize::from(transmit.flow == flow)] += 1;
    }
    assert_eq!(answers, [64, 300]);
}

#[test]
fn answers_over_connections_do_not_pile_up_without_end() {
    let mut config = EndpointConfig::default();
    config.limits.transactions = Some(0);
    config.limits.queued_bytes = Some(10_000);
    let mut endpoint = Endpoint::new(config.into(), [5; 32]);
    let flow = endpoint.accept(Transport::Tcp, LOCAL.parse().unwrap(), REMOTE.parse().unwrap()).unwrap();
    for branch in 0..1_000 {
        let text = usual("TCP", branch);
        let refused = endpoint.handle_input(ms(0), Input::Stream { flow, bytes: text.as_bytes() });
        assert_eq!(refused, Err(InputError::Overload));
    }
    let queued: usize = std::iter::from_fn(|| endpoint.poll_transmit()).map(|transmit| transmit.bytes.len()).sum();
    assert!((12_500..13_000).contains(&queued), "{queued}");
}

#[test]
fn a_replay_sends_the_same_whenever_the_bytes_are_let_go_of() {
    let mut full = Full::new(3);
    let mut held = Vec::new();
    for branch in 0..600 {
        let _ = match branch % 10 {
            7 => full.datagram(&request("SIP/2.0/UDP a.example.com;branch=z9hG4bK1", branch, "Broken\r\n")),
            _ => full.datagram(&usual("UDP", branch)),
        };
        // A while of polling each, a while of polling none.
        if branch % 200 > 100 {
            held.extend(std::iter::from_fn(|| full.endpoint.poll_transmit()));
        }
    }
    assert!(held.len() > 400);
    let recording = full.endpoint.take_recording().unwrap();
    assert!(replay(config(3), [5; 32], &recording).is_ok(), "which drops what it polls at once");
}
