//! User agents made of nothing but endpoints, a server, and the network between them.
#![allow(dead_code, unreachable_pub, reason = "each test uses what it needs")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use core::time::Duration;
use sim::{Host, Network, NodeId, Wish};
use sip_message::digest::{DigestAlgorithm, DigestInput, DigestSecret, Qop};
use sip_message::headers::Challenge;
use sip_message::{Header, Message, Method, StatusCode};
use sip_server::{Server, ServerConfig, ServerEvent};
use sip_transaction::{
    ClientTxId, CommandError, Destination, Endpoint, EndpointConfig, Event, FlowId, Input, InputError, Instant,
    Outcome, Path, SentBy, ServerTxId, Target, Transmit, Transport,
};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

/// Where [`alice_and_bob`] have their server.
pub const SERVER: &str = "192.0.2.10";

/// A server of example.com, and two user agents over UDP, of which Bob has registered.
pub fn alice_and_bob(seed: u64, adapt: impl FnOnce(&mut ServerConfig)) -> (World, usize, Ua, Ua) {
    let mut world = World::new(seed);
    let server = world.server(SERVER, "example.com", adapt);
    let alice = world.udp("192.0.2.1");
    let bob = world.udp("192.0.2.2");
    world.register(&bob, SERVER, "sip:bob@example.com", "<sip:bob@192.0.2.2>", &[]);
    (world, server, alice, bob)
}

/// Straight to their server.
pub fn to_server() -> Destination {
    Destination::next_hop(format!("sip:{SERVER}"))
}

/// A host of the network.
#[allow(clippy::large_enum_variant)]
pub enum Node {
    Ua(Endpoint),
    Server(Server),
}

#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant)]
pub enum NodeEvent {
    Ua(Event),
    Server(ServerEvent),
}

impl Host for Node {
    type Event = NodeEvent;

    fn handle_input(&mut self, now: Instant, input: Input<'_>) -> Result<(), InputError> {
        match self {
            Node::Ua(ua) => ua.handle_input(now, input),
            Node::Server(server) => server.handle_input(now, input),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        match self {
            Node::Ua(ua) => ua.handle_timeout(now),
            Node::Server(server) => server.handle_timeout(now),
        }
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        match self {
            Node::Ua(ua) => ua.poll_transmit(),
            Node::Server(server) => server.poll_transmit(),
        }
    }

    fn poll_event(&mut self) -> Option<NodeEvent> {
        match self {
            Node::Ua(ua) => ua.poll_event().map(NodeEvent::Ua),
            Node::Server(server) => server.poll_event().map(NodeEvent::Server),
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Node::Ua(ua) => ua.poll_timeout(),
            Node::Server(server) => server.poll_timeout(),
        }
    }

    fn endpoint(&mut self) -> &mut Endpoint {
        match self {
            Node::Ua(ua) => ua,
            Node::Server(server) => server.endpoint_mut(),
        }
    }

    fn wish(event: &NodeEvent) -> Option<Wish> {
        match event {
            NodeEvent::Ua(event) | NodeEvent::Server(ServerEvent::Endpoint(event)) => Wish::of(event),
            NodeEvent::Server(_) => None,
        }
    }

    fn accept(&mut self, transport: Transport, local: SocketAddr, remote: SocketAddr) -> Result<FlowId, CommandError> {
        self.endpoint().accept(transport, local, remote)
    }
}

/// The network, and what each host has been told and has not been asked about yet.
pub struct World {
    pub net: Network<Node>,
    inbox: Vec<VecDeque<NodeEvent>>,
    nodes: Vec<NodeId>,
    pub counter: u32,
}

/// A user agent: a node and its ways to the server.
#[derive(Clone, Copy, Debug)]
pub struct Ua {
    pub node: usize,
    /// The connection to the server, for transports that have any.
    pub flow: Option<FlowId>,
    pub transport: Transport,
    pub local: SocketAddr,
}

impl World {
    pub fn new(seed: u64) -> World {
        World { net: Network::new(seed), inbox: Vec::new(), nodes: Vec::new(), counter: 0 }
    }

    pub fn add(&mut self, ip: &str, node: Node) -> usize {
        self.nodes.push(self.net.add(ip, node));
        self.inbox.push(VecDeque::new());
        self.nodes.len() - 1
    }

    pub fn id(&self, node: usize) -> NodeId {
        self.nodes[node]
    }

    pub fn now(&self) -> Instant {
        self.net.now()
    }

    /// A server for `domain` at `ip`, on UDP, TCP, TLS, WS and WSS.
    pub fn server(&mut self, ip: &str, domain: &str, adapt: impl FnOnce(&mut ServerConfig)) -> usize {
        let mut config = ServerConfig::for_domain(domain);
        config.auth.domains.clear();
        config.endpoint.transports = vec![Transport::Udp, Transport::Tcp, Transport::Tls];
        config.proxy.aliases.push(format!("proxy.{domain}"));
        adapt(&mut config);
        self.counter += 1;
        let server = self.add(ip, Node::Server(Server::new(config, [self.counter as u8; 32])));
        let id = self.id(server);
        self.net.bind(id, Transport::Udp, 5060);
        self.net.listen(id, Transport::Tcp, 5060, &[]);
        self.net.listen(id, Transport::Tls, 5061, &[]);
        self.net.listen(id, Transport::Ws, 80, &[]);
        self.net.listen(id, Transport::Wss, 443, &[]);
        server
    }

    /// A user agent on UDP at `ip`.
    pub fn udp(&mut self, ip: &str) -> Ua {
        self.counter += 1;
        let node = self.add(ip, Node::Ua(Endpoint::new(Arc::default(), [self.counter as u8; 32])));
        let id = self.id(node);
        self.net.bind(id, Transport::Udp, 5060);
        Ua { node, flow: None, transport: Transport::Udp, local: format!("{ip}:5060").parse().unwrap() }
    }

    /// A user agent at `ip` with a connection to `server`, which listens at `port`.
    pub fn connected(&mut self, ip: &str, transport: Transport, server: &str) -> Ua {
        self.counter += 1;
        let mut config = EndpointConfig::default();
        config.transports = vec![transport];
        if transport.is_websocket() {
            let host = format!("df7jal23ls{}d.invalid", self.counter);
            config.sent_by.push(SentBy { transport, host, port: None });
        }
        let node = self.add(ip, Node::Ua(Endpoint::new(Arc::new(config), [self.counter as u8; 32])));
        let mut ua = Ua { node, flow: None, transport, local: format!("{ip}:0").parse().unwrap() };
        self.connect(&mut ua, server);
        ua
    }

    /// Opens a (new) connection to the server.
    pub fn connect(&mut self, ua: &mut Ua, server: &str) {
        let address = SocketAddr::new(server.parse().unwrap(), ua.transport.default_port());
        let target = Target { transport: ua.transport, address, server_name: None };
        let now = self.now();
        ua.flow = Some(self.ua(ua.node).connect(now, &target).unwrap());
        self.run(Duration::from_millis(50));
    }

    pub fn ua(&mut self, node: usize) -> &mut Endpoint {
        let id = self.id(node);
        match self.net.host(id) {
            Node::Ua(ua) => ua,
            Node::Server(_) => panic!("node {node} is a server"),
        }
    }

    pub fn srv(&mut self, node: usize) -> &mut Server {
        let id = self.id(node);
        match self.net.host(id) {
            Node::Server(server) => server,
            Node::Ua(_) => panic!("node {node} is a user agent"),
        }
    }

    /// Lets time go by, and keeps what happens.
    pub fn run(&mut self, time: Duration) {
        let end = self.now() + time;
        while let Some((node, event)) = self.net.next_event_before(end) {
            self.keep(node, event);
        }
    }

    /// Lets time go by until nothing is left to happen but the ends of bindings.
    pub fn settle(&mut self) {
        self.run(Duration::from_secs(400));
    }

    fn keep(&mut self, node: NodeId, event: NodeEvent) {
        let at = self.nodes.iter().position(|&id| id == node).unwrap();
        self.inbox[at].push_back(event);
    }

    /// The next event of `node` that `wanted` takes, within a minute.
    pub fn expect<T>(&mut self, node: usize, what: &str, mut wanted: impl FnMut(&NodeEvent) -> Option<T>) -> T {
        let end = self.now() + Duration::from_secs(60);
        loop {
            let found = self.inbox[node].iter().enumerate().find_map(|(at, event)| wanted(event).map(|got| (at, got)));
            if let Some((at, got)) = found {
                self.inbox[node].remove(at);
                return got;
            }
            match self.net.next_event_before(end) {
                Some((from, event)) => self.keep(from, event),
                None => panic!("{what} has not come to node {node}; it has: {:#?}", self.inbox[node]),
            }
        }
    }

    /// Whether something `wanted` has come to `node`.
    pub fn has<T>(&self, node: usize, mut wanted: impl FnMut(&NodeEvent) -> Option<T>) -> bool {
        self.inbox[node].iter().any(|event| wanted(event).is_some())
    }

    pub fn request(&mut self, ua: &Ua, method: Method<'_>) -> (ServerTxId, Message) {
        self.expect(ua.node, method.as_str(), |event| match event {
            NodeEvent::Ua(Event::Request { tx, message, .. }) if message.method() == Some(method) => {
                Some((*tx, Message::clone(message)))
            }
            _ => None,
        })
    }

    pub fn ack(&mut self, ua: &Ua) -> Message {
        self.expect(ua.node, "ACK", |event| match event {
            NodeEvent::Ua(Event::Ack { message, .. }) => Some(Message::clone(message)),
            _ => None,
        })
    }

    pub fn cancelled(&mut self, ua: &Ua) -> ServerTxId {
        self.expect(ua.node, "CANCEL", |event| match event {
            NodeEvent::Ua(Event::Cancel { tx, .. }) => Some(*tx),
            _ => None,
        })
    }

    pub fn response(&mut self, ua: &Ua, status: u16) -> Message {
        self.expect(ua.node, &format!("a {status}"), |event| match event {
            NodeEvent::Ua(Event::Response { message, .. }) if message.status() == StatusCode::new(status) => {
                Some(Message::clone(message))
            }
            _ => None,
        })
    }

    /// The next final response.
    pub fn answer(&mut self, ua: &Ua) -> Message {
        self.expect(ua.node, "a final response", |event| match event {
            NodeEvent::Ua(Event::Response { message, .. }) if message.status()?.is_final() => {
                Some(Message::clone(message))
            }
            _ => None,
        })
    }

    pub fn outcome(&mut self, ua: &Ua) -> Outcome {
        self.expect(ua.node, "an end", |event| match event {
            NodeEvent::Ua(Event::ClientEnded { outcome, .. }) => Some(*outcome),
            _ => None,
        })
    }

    pub fn has_request(&self, ua: &Ua, method: Method<'_>) -> bool {
        self.has(ua.node, |event| match event {
            NodeEvent::Ua(Event::Request { message, .. }) => (message.method() == Some(method)).then_some(()),
            _ => None,
        })
    }

    pub fn has_final(&self, ua: &Ua) -> bool {
        self.has(ua.node, |event| match event {
            NodeEvent::Ua(Event::Response { message, .. }) => message.status()?.is_final().then_some(()),
            _ => None,
        })
    }

    /// Sends a request to the server: over the connection if there is one, else by `to`.
    pub fn send(&mut self, ua: &Ua, message: Message, to: Destination) -> ClientTxId {
        let now = self.now();
        let to = ua.flow.map_or(to, Destination::flow);
        self.ua(ua.node).request(now, message, to).expect("the request is sent")
    }

    /// Sends an ACK.
    pub fn send_ack(&mut self, ua: &Ua, message: Message) {
        let now = self.now();
        let to = ua.flow.map_or(Destination::route(), Destination::flow);
        self.ua(ua.node).send(now, message, to).expect("the ACK is sent");
    }

    pub fn respond(&mut self, ua: &Ua, tx: ServerTxId, message: Message) {
        let now = self.now();
        self.ua(ua.node).respond(now, tx, message).expect("the response is sent");
    }

    /// Answers with nothing but a status and a tag.
    pub fn reply(&mut self, ua: &Ua, tx: ServerTxId, request: &Message, status: u16, tag: &str) {
        let status = StatusCode::new(status).unwrap();
        let response = Message::response(request, status).to_tag(tag).build().unwrap();
        self.respond(ua, tx, response);
    }

    /// Accepts an INVITE: the 2xx with its Record-Route and Contact.
    pub fn accept(&mut self, ua: &Ua, tx: ServerTxId, invite: &Message, tag: &str, contact: &str) -> Message {
        let response = Message::response(invite, StatusCode::OK)
            .to_tag(tag)
            .copy_all(invite, Header::RecordRoute)
            .header(Header::Contact, contact)
            .body("application/sdp", &b"v=0\r\n"[..])
            .build()
            .unwrap();
        self.respond(ua, tx, response.clone());
        response
    }

    /// A Call-ID, tag or the like that has not been there.
    pub fn fresh(&mut self, prefix: &str) -> String {
        self.counter += 1;
        format!("{prefix}{}", self.counter)
    }

    /// Registers `contact` for `user` over the way `ua` has to the server; gives the answer.
    pub fn register(&mut self, ua: &Ua, server: &str, aor: &str, contact: &str, fields: &[(&str, &str)]) -> Message {
        let (call_id, cseq) = (self.fresh("reg"), self.counter);
        let request = register(aor, contact, &call_id, cseq, fields);
        self.send(ua, request, Destination::next_hop(format!("sip:{server}")));
        self.answer(ua)
    }

    /// Everything is over: no transaction, no context, no queue is left anywhere.
    pub fn assert_idle(&mut self) {
        self.settle();
        for at in 0..self.nodes.len() {
            let id = self.nodes[at];
            match self.net.host(id) {
                Node::Ua(ua) => assert!(ua.is_idle(), "user agent {at} is left with something: {ua:?}"),
                Node::Server(server) => assert!(server.is_idle(), "server {at} is left with something: {server:?}"),
            }
        }
    }
}

pub fn domain_of(aor: &str) -> &str {
    aor.rsplit_once('@').map_or(aor, |(_, host)| host)
}

pub fn register(aor: &str, contact: &str, call_id: &str, cseq: u32, fields: &[(&str, &str)]) -> Message {
    let mut request = Message::request(Method::Register, format!("sip:{}", domain_of(aor)))
        .header(Header::From, format!("<{aor}>;tag=r{cseq}"))
        .header(Header::To, format!("<{aor}>"))
        .header(Header::CallId, call_id)
        .cseq(cseq);
    if !contact.is_empty() {
        request = request.header(Header::Contact, contact);
    }
    for (name, value) in fields {
        request = request.header(*name, value);
    }
    request.build().unwrap()
}

/// A request outside of dialogs.
pub fn new_request(
    method: Method<'_>,
    from: &str,
    to: &str,
    call_id: &str,
    contact: &str,
    fields: &[(&str, &str)],
) -> Message {
    let mut request = Message::request(method, to)
        .header(Header::From, format!("<{from}>;tag=f{call_id}"))
        .header(Header::To, format!("<{to}>"))
        .header(Header::CallId, call_id)
        .cseq(1);
    if !contact.is_empty() {
        request = request.header(Header::Contact, contact);
    }
    for (name, value) in fields {
        request = request.header(*name, value);
    }
    request.build().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn record_route(message: &Message) -> Vec<String> {
    message.record_routes().map(|route| format!("<{}>", text(route.unwrap().uri_bytes()))).collect()
}

fn contact_uri(message: &Message) -> String {
    text(message.contacts().next().unwrap().unwrap().address().unwrap().uri_bytes())
}

fn within(
    method: Method<'_>,
    target: String,
    routes: Vec<String>,
    from: &[u8],
    to: &[u8],
    call_id: &str,
    cseq: u32,
) -> Message {
    let mut request = Message::request(method, target)
        .header(Header::From, text(from))
        .header(Header::To, text(to))
        .header(Header::CallId, call_id);
    for route in routes {
        request = request.header(Header::Route, route);
    }
    request.cseq(cseq).build().unwrap()
}

/// A request of the caller in the dialog that this 2xx made. An ACK takes the CSeq of the INVITE.
pub fn of_caller(response: &Message, method: Method<'_>) -> Message {
    let mut routes = record_route(response);
    routes.reverse();
    let cseq = response.cseq().unwrap().number + u32::from(method != Method::Ack);
    let (from, to) = (response.field(Header::From).unwrap(), response.field(Header::To).unwrap());
    within(method, contact_uri(response), routes, from, to, response.call_id().unwrap(), cseq)
}

/// A request of the callee in the dialog that it has answered with this 2xx.
pub fn of_callee(invite: &Message, response: &Message, method: Method<'_>, cseq: u32) -> Message {
    let (from, to) = (response.field(Header::From).unwrap(), response.field(Header::To).unwrap());
    within(method, contact_uri(invite), record_route(invite), to, from, invite.call_id().unwrap(), cseq)
}

/// The request again, with credentials for the challenge of `response`, which is the first it has.
pub fn with_credentials(request: &Message, response: &Message, user: &str, password: &str) -> Message {
    let proxy = response.status() == Some(StatusCode::PROXY_AUTHENTICATION_REQUIRED);
    let (challenge, header) = match proxy {
        true => (Header::ProxyAuthenticate, Header::ProxyAuthorization),
        false => (Header::WwwAuthenticate, Header::Authorization),
    };
    let challenge = response.values::<Challenge<'_>>(challenge).next().unwrap().unwrap();
    let value = credentials(request, &challenge, user, password, 1);
    let mut again = request.clone();
    again.remove(header);
    again.push(header, value).unwrap();
    let (number, method) = (request.cseq().unwrap().number, request.method().unwrap().as_str().to_owned());
    again.set(Header::CSeq, format!("{} {method}", number + 1)).unwrap();
    again
}

pub fn credentials(request: &Message, challenge: &Challenge<'_>, user: &str, password: &str, count: u32) -> String {
    let algorithm = challenge
        .algorithm()
        .unwrap()
        .map_or(DigestAlgorithm::Md5, |token| DigestAlgorithm::parse(token.as_str()).unwrap());
    let realm = text(&challenge.realm().unwrap().unwrap().unquoted());
    let nonce = text(&challenge.nonce().unwrap().unwrap().unquoted());
    let secret = DigestSecret::new(algorithm, user.as_bytes(), realm.as_bytes(), password.as_bytes());
    let uri = text(request.request_uri_bytes().unwrap());
    let nc = format!("{count:08x}");
    let input = DigestInput {
        method: request.method().unwrap().as_str().as_bytes(),
        uri: uri.as_bytes(),
        nonce: nonce.as_bytes(),
        qop: Some(Qop::Auth),
        nc: nc.as_bytes(),
        cnonce: b"0a4f113b",
        body: request.body(),
    };
    format!(
        "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{}\", \
         algorithm={algorithm}, cnonce=\"0a4f113b\", qop=auth, nc={nc}",
        secret.response(&input)
    )
}

/// Where a path leads: unused by most tests.
pub fn remote_of(path: &Path) -> SocketAddr {
    path.remote
}
