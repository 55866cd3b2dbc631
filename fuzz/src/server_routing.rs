//! Any requests and responses through a registrar and proxy, with any routing answers: no panic, one end for each request that was asked
//! about, and nothing left when the clocks have run out.
//!
//! The first byte chooses the configuration. The rest is a sequence of steps that end with a byte of 0xff: one byte that says what, and its
//! bytes.

use sip_message::{Message, StatusCode};
use sip_server::{
    Decision, ProxyEvent, ProxyId, RegistrarEvent, RoutePolicy, Server, ServerConfig, ServerEvent, Target,
};
use sip_transaction::{Answer, CloseCause, Event, FlowId, Input, Instant, Transport};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

struct Run {
    server: Server,
    now: Instant,
    flows: [FlowId; 3],
    /// Requests the server has sent and nobody has answered.
    sent: Vec<Message>,
    waiting: Vec<ProxyId>,
    ends: BTreeMap<ProxyId, u32>,
    choice: u8,
}

/// Runs the target.
pub fn run(data: &[u8]) {
    let Some((&flags, data)) = data.split_first() else { return };
    let mut config = ServerConfig::for_domain("example.com");
    config.auth.domains.retain(|_| flags & 1 != 0);
    config.proxy.recurse = flags & 2 != 0;
    config.proxy.stateless = flags & 4 != 0;
    config.endpoint.stray_responses = config.proxy.stateless;
    config.external_store = flags & 8 != 0;
    config.policy =
        [RoutePolicy::Users, RoutePolicy::Open, RoutePolicy::Ask, RoutePolicy::Ask][usize::from(flags >> 4 & 3)];
    config.proxy.max_breadth = 1 + u32::from(flags >> 6);
    let mut server = Server::new(config, [1; 32]);
    server.auth_mut().add_user_with_password("example.com", "alice", "secret");
    let local: SocketAddr = ([192, 0, 2, 1], 5060).into();
    let endpoint = server.endpoint_mut();
    let udp = endpoint.bind(Transport::Udp, local).expect("a socket");
    let tcp = endpoint.accept(Transport::Tcp, local, remote(2)).expect("a connection");
    let ws = endpoint.accept(Transport::Ws, local, remote(3)).expect("a connection");
    let mut run = Run {
        server,
        now: Instant::ZERO,
        flows: [udp, tcp, ws],
        sent: Vec::new(),
        waiting: Vec::new(),
        ends: BTreeMap::new(),
        choice: flags,
    };
    for step in data.split(|&b| b == 0xff).take(64) {
        run.step(step);
    }
    run.run_out();
}

fn remote(n: u8) -> SocketAddr {
    ([192, 0, 2, n], 5060).into()
}

impl Run {
    fn step(&mut self, step: &[u8]) {
        let Some((&what, bytes)) = step.split_first() else { return };
        self.choice = self.choice.wrapping_mul(31).wrapping_add(what);
        let [udp, tcp, ws] = self.flows;
        match what % 8 {
            0 | 1 => self.input(Input::Datagram { flow: udp, remote: remote(what >> 4), bytes }),
            2 => self.input(Input::Message { flow: ws, bytes }),
            3 => self.input(Input::Stream { flow: tcp, bytes }),
            4 => {
                // An answer to something the server has sent.
                let Some(request) = self.sent.get(usize::from(what >> 3) % self.sent.len().max(1)) else { return };
                let code = 100 + u32::from(bytes.first().copied().unwrap_or(100)) * 600 / 256;
                let status = StatusCode::new(code as u16).unwrap_or(StatusCode::OK);
                let Ok(response) = Message::response(request, status).to_tag("x").build() else { return };
                let bytes = response.to_bytes();
                self.input(Input::Datagram { flow: udp, remote: remote(9), bytes: &bytes });
            }
            5 => {
                let Some(id) = self.waiting.pop() else { return };
                let text = String::from_utf8_lossy(bytes);
                let target = |(n, uri): (usize, &str)| {
                    let target = Target::new(uri).with_q(u16::from(what) * n as u16 % 1001);
                    if n % 3 == 2 { target.over(ws) } else { target }
                };
                let decision = match what >> 3 & 3 {
                    0 => Decision::Relay,
                    1 => Decision::reject(StatusCode::new(100 + u16::from(what) * 2).unwrap_or(StatusCode::OK)),
                    _ => Decision::Targets(text.split(' ').enumerate().map(target).take(8).collect()),
                };
                let _ = self.server.route(self.now, id, decision);
                self.settle();
            }
            6 => {
                self.now += Duration::from_millis(u64::from(what) * 100);
                self.server.handle_timeout(self.now);
                self.settle();
            }
            _ => self.input(Input::FlowClosed { flow: ws, cause: CloseCause::Reset }),
        }
    }

    fn input(&mut self, input: Input<'_>) {
        let _ = self.server.handle_input(self.now, input);
        self.settle();
    }

    fn settle(&mut self) {
        loop {
            while let Some(transmit) = self.server.poll_transmit() {
                if let Ok(message) = Message::parse(transmit.bytes) {
                    if message.is_request() && self.sent.len() < 64 {
                        self.sent.push(message);
                    }
                }
            }
            let Some(event) = self.server.poll_event() else { break };
            let now = self.now;
            match event {
                ServerEvent::Endpoint(Event::Query { query, .. }) => {
                    let _ = self.server.handle_input(now, Input::Resolved { query, answer: Answer::Failed });
                }
                ServerEvent::Endpoint(Event::Connect { flow, .. }) => {
                    let input = match self.choice % 2 {
                        0 => Input::FlowOpened { flow, local: remote(1) },
                        _ => Input::FlowClosed { flow, cause: CloseCause::Refused },
                    };
                    let _ = self.server.handle_input(now, input);
                }
                ServerEvent::Proxy(ProxyEvent::RouteRequest { id, .. }) => {
                    assert!(self.ends.insert(id, 0).is_none(), "one question for each request");
                    self.waiting.push(id);
                }
                ServerEvent::Proxy(ProxyEvent::Ended { id }) => {
                    let ends = self.ends.get_mut(&id).expect("it was asked about");
                    *ends += 1;
                    assert_eq!(*ends, 1, "one end for each request");
                }
                ServerEvent::Registrar(RegistrarEvent::Lookup { id, .. }) => {
                    self.server.found(now, id, Default::default());
                }
                ServerEvent::Registrar(RegistrarEvent::Store { id, .. }) => {
                    let result = if self.choice % 3 == 0 { Err(sip_server::StoreError::Conflict) } else { Ok(()) };
                    self.server.stored(now, id, result);
                }
                _ => {}
            }
        }
    }

    /// Lets the clocks run out; then nothing may be left.
    fn run_out(&mut self) {
        while let Some(id) = self.waiting.pop() {
            let _ = self.server.route(self.now, id, Decision::reject(StatusCode::NOT_FOUND));
        }
        self.settle();
        let end = self.now + Duration::from_secs(10_000);
        for _ in 0..100_000 {
            let Some(at) = self.server.poll_timeout().filter(|&at| at <= end) else { break };
            self.now = self.now.max(at);
            self.server.handle_timeout(self.now);
            self.settle();
        }
        assert!(self.server.is_idle(), "{:?}", self.server);
        assert!(self.ends.values().all(|&ends| ends == 1), "a request without an end");
        assert!(self.server.registrar().table().is_none_or(|table| table.is_empty()));
    }
}
