//! Two endpoints on virtual time, and what tests say to them.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part")]
#![allow(clippy::unwrap_used, reason = "tests stop at what they did not expect")]

use core::time::Duration;
use sim::{Fate, Network, NodeId};
use sip_message::{Message, Method, StatusCode};
use sip_transaction::{
    ClientTxId, Destination, Endpoint, EndpointConfig, Event, Instant, Outcome, ServerTxId, Transport,
};
use std::sync::Arc;

pub const ALICE: &str = "192.0.2.1";
pub const BOB: &str = "192.0.2.2";

pub fn ms(ms: u64) -> Instant {
    Instant::from_millis(ms)
}

/// A request from Alice to Bob, ready but for its Via.
pub fn request_to(method: Method<'_>, uri: &str, cseq: u32) -> Message {
    Message::request(method, uri)
        .header("Max-Forwards", 70)
        .header("From", "Alice <sip:alice@atlanta.example.com>;tag=9fxced76sl")
        .header("To", "Bob <sip:bob@biloxi.example.com>")
        .header("Call-ID", "3848276298220188511@atlanta.example.com")
        .cseq(cseq)
        .header("Contact", "<sip:alice@192.0.2.1>")
        .build()
        .unwrap()
}

pub fn request(method: Method<'_>) -> Message {
    request_to(method, "sip:bob@192.0.2.2", 1)
}

pub fn response(request: &Message, status: u16) -> Message {
    let status = StatusCode::new(status).unwrap();
    let builder = Message::response(request, status);
    let builder = if status == StatusCode::TRYING { builder } else { builder.to_tag("8321234356") };
    builder.header("Contact", "<sip:bob@192.0.2.2>").build().unwrap()
}

/// The ACK that the dialog layer sends for a 2xx.
pub fn ack_for(response: &Message) -> Message {
    let to = String::from_utf8_lossy(response.field("To").unwrap()).into_owned();
    Message::request(Method::Ack, "sip:bob@192.0.2.2")
        .header("Max-Forwards", 70)
        .header("From", "Alice <sip:alice@atlanta.example.com>;tag=9fxced76sl")
        .header("To", to)
        .header("Call-ID", "3848276298220188511@atlanta.example.com")
        .cseq(response.cseq().unwrap().number)
        .build()
        .unwrap()
}

/// Something that happened, in a form to compare with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happened {
    pub at: Instant,
    pub node: NodeId,
    pub what: String,
}

/// Two endpoints, Alice and Bob, each with a UDP socket at 5060.
pub struct Pair {
    pub net: Network<Endpoint>,
    pub alice: NodeId,
    pub bob: NodeId,
    pub log: Vec<Happened>,
    /// The last request each got.
    pub got: Vec<(NodeId, ServerTxId, Message)>,
    pub responses: Vec<(NodeId, ClientTxId, Message)>,
    pub ended: Vec<(NodeId, Outcome)>,
    /// What Bob answers with at once, by method.
    pub answers: Vec<(String, Vec<u16>)>,
    /// Whether Alice acknowledges each 2xx to an INVITE.
    pub acknowledge: bool,
}

impl Pair {
    pub fn new() -> Pair {
        Pair::with(EndpointConfig::default())
    }

    pub fn with(config: EndpointConfig) -> Pair {
        let config = Arc::new(config);
        let mut net = Network::new(7);
        let alice = net.add(ALICE, Endpoint::new(config.clone(), [1; 32]));
        let bob = net.add(BOB, Endpoint::new(config, [2; 32]));
        net.bind(alice, Transport::Udp, 5060);
        net.bind(bob, Transport::Udp, 5060);
        for (transport, port) in
            [(Transport::Tcp, 5060), (Transport::Tls, 5061), (Transport::Ws, 80), (Transport::Wss, 443)]
        {
            net.listen(alice, transport, port, &[]);
            net.listen(bob, transport, port, &[]);
        }
        Pair {
            net,
            alice,
            bob,
            log: Vec::new(),
            got: Vec::new(),
            responses: Vec::new(),
            ended: Vec::new(),
            answers: Vec::new(),
            acknowledge: true,
        }
    }

    /// Bob answers `method` with these at once.
    pub fn answer(mut self, method: &str, statuses: &[u16]) -> Pair {
        self.answers.push((method.into(), statuses.to_vec()));
        self
    }

    pub fn request(&mut self, message: Message) -> ClientTxId {
        let now = self.net.now();
        self.net.host(self.alice).request(now, message, Destination::route()).unwrap()
    }

    pub fn respond(&mut self, nth: usize, status: u16) {
        let (node, tx, message) = &self.got[nth];
        let (node, tx, answer) = (*node, *tx, response(message, status));
        let now = self.net.now();
        self.net.host(node).respond(now, tx, answer).unwrap();
    }

    /// Lets time pass up to `end`.
    pub fn until(&mut self, end: Instant) {
        while let Some((node, event)) = self.net.next_event_before(end) {
            self.on_event(node, event);
        }
    }

    /// Lets time pass until nothing will happen any more.
    pub fn finish(&mut self) {
        self.until(Instant::MAX);
    }

    /// Notes an event and does what was asked for.
    pub fn on_event(&mut self, node: NodeId, event: Event) {
        let now = self.net.now();
        let what = match &event {
            Event::Request { tx, message, .. } => {
                let method = message.method().unwrap().as_str().to_owned();
                self.got.push((node, *tx, Message::clone(message)));
                let statuses = self.answers.iter().find(|(of, _)| *of == method).map(|(_, statuses)| statuses.clone());
                for status in statuses.into_iter().flatten() {
                    self.net.host(node).respond(now, *tx, response(message, status)).unwrap();
                }
                method
            }
            Event::Response { tx, message, .. } => {
                self.responses.push((node, *tx, Message::clone(message)));
                let status = message.status().unwrap();
                if self.acknowledge && status.is_success() && message.cseq().unwrap().method == Method::Invite {
                    self.net.host(node).send(now, ack_for(message), Destination::route()).unwrap();
                }
                status.code().to_string()
            }
            Event::Ack { tx, .. } => {
                if tx.is_some() {
                    "ACK of tx".into()
                } else {
                    "ACK".into()
                }
            }
            Event::Cancel { .. } => "CANCEL".into(),
            Event::ClientEnded { outcome, .. } | Event::ServerEnded { outcome, .. } => {
                self.ended.push((node, *outcome));
                let side = if matches!(event, Event::ClientEnded { .. }) { "client" } else { "server" };
                format!("{side} {outcome:?}")
            }
            Event::TimerC { .. } => "Timer C".into(),
            Event::ResponseFailed { .. } => "response failed".into(),
            Event::SendFailed { .. } => "send failed".into(),
            Event::Connect { .. } => "connect".into(),
            Event::Query { name, kind, .. } => format!("query {kind:?} {name}"),
            Event::FlowEnded { cause, .. } => format!("flow ended {cause:?}"),
            Event::KeepaliveReceived { .. } => "keepalive".into(),
            Event::KeepaliveAnswered { mapped, .. } => match mapped {
                Some(mapped) => format!("pong {mapped}"),
                None => "pong".into(),
            },
            Event::KeepaliveFailed { .. } => "keepalive failed".into(),
            Event::StrayResponse { message, .. } => format!("stray {}", message.status().unwrap().code()),
            other => format!("{other:?}"),
        };
        self.log.push(Happened { at: now, node, what });
    }

    /// What happened at a node, without times.
    pub fn heard(&self, node: NodeId) -> Vec<&str> {
        self.log.iter().filter(|happened| happened.node == node).map(|happened| happened.what.as_str()).collect()
    }

    /// When something happened at a node.
    pub fn when(&self, node: NodeId, what: &str) -> Vec<u64> {
        let at = |happened: &&Happened| happened.node == node && happened.what == what;
        self.log.iter().filter(at).map(|happened| happened.at.as_micros() / 1000).collect()
    }

    /// When packets that begin like this were sent by a host, in milliseconds.
    pub fn sent(&self, ip: &str, what: &str) -> Vec<u64> {
        let by = |sent: &&sim::Sent| sent.from.ip().to_string() == ip && sent.what() == what;
        self.net.trace().iter().filter(by).map(|sent| sent.at.as_micros() / 1000).collect()
    }

    /// The bytes of packets that begin like this, as text.
    pub fn text(&self, ip: &str, what: &str) -> Vec<String> {
        let by = |sent: &&sim::Sent| sent.from.ip().to_string() == ip && sent.what() == what;
        self.net.trace().iter().filter(by).map(|sent| String::from_utf8_lossy(&sent.bytes).into_owned()).collect()
    }

    /// Loses packets that begin like this and come from `ip`.
    pub fn lose(&mut self, ip: &'static str, what: &'static str, mut times: usize) {
        self.net.set_filter(move |packet| {
            let title = String::from_utf8_lossy(&packet.bytes).into_owned();
            let title = title.strip_prefix("SIP/2.0 ").unwrap_or(&title);
            if packet.from.ip().to_string() == ip && title.starts_with(what) && times > 0 {
                times -= 1;
                return Fate::Lose;
            }
            Fate::Carry
        });
    }

    /// Nothing may be left anywhere.
    pub fn assert_empty(&mut self) {
        for node in [self.alice, self.bob] {
            let host = self.net.host(node);
            assert!(host.is_idle(), "left behind: {host:?}");
        }
    }
}

pub fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}
