//! The network: nodes, sockets, connections, the schedule of what arrives when.

use crate::dns::Dns;
use crate::faults::{Fate, Faults, Packet};
use crate::host::{Host, Wish};
use crate::rng::Rng;
use crate::trace::Sent;
use bytes::Bytes;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use sip_transaction::{Answer, CloseCause, FlowId, Input, Instant, QueryId, Record, SendCause, SendToken, Transport};
use std::collections::{BTreeMap, VecDeque};

/// A host in the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(usize);

struct Node<H> {
    host: H,
    ip: IpAddr,
    next_port: u16,
}

/// One end of a connection.
type End = (NodeId, FlowId);

struct Connection {
    ends: [End; 2],
    addresses: [SocketAddr; 2],
    transport: Transport,
    /// When the last piece in each direction arrives: later ones come no sooner.
    last: [Instant; 2],
}

enum Arrival {
    Datagram { to: NodeId, flow: FlowId, from: SocketAddr, bytes: Bytes },
    Unreachable { to: NodeId, token: SendToken },
    Piece { connection: u64, towards: usize, bytes: Bytes },
    Connect { from: End, transport: Transport, local: SocketAddr, remote: SocketAddr, server_name: Option<String> },
    Opened { to: End, local: SocketAddr },
    Closed { to: End, cause: CloseCause },
    Answer { to: NodeId, query: QueryId, records: Option<Vec<Record>> },
}

struct Listener {
    node: NodeId,
    /// The names its certificate shows; any will do if there are none.
    names: Vec<String>,
}

type Filter = Box<dyn FnMut(&Packet) -> Fate>;

/// A virtual network with a virtual clock.
pub struct Network<H: Host> {
    now: Instant,
    rng: Rng,
    nodes: Vec<Node<H>>,
    sockets: BTreeMap<(Transport, SocketAddr), End>,
    listeners: BTreeMap<(Transport, SocketAddr), Listener>,
    connections: BTreeMap<u64, Connection>,
    by_end: BTreeMap<End, u64>,
    next_connection: u64,
    schedule: BTreeMap<(Instant, u64), Arrival>,
    next_arrival: u64,
    events: VecDeque<(NodeId, H::Event)>,
    filter: Option<Filter>,
    trace: Vec<Sent>,
    sent: usize,
    /// How bad the network is; may be changed at any time.
    pub faults: Faults,
    /// The records of DNS.
    pub dns: Dns,
}

impl<H: Host> Network<H> {
    /// A network without hosts. The seed decides all that is random.
    pub fn new(seed: u64) -> Self {
        Network {
            now: Instant::ZERO,
            rng: Rng::new(seed),
            nodes: Vec::new(),
            sockets: BTreeMap::new(),
            listeners: BTreeMap::new(),
            connections: BTreeMap::new(),
            by_end: BTreeMap::new(),
            next_connection: 0,
            schedule: BTreeMap::new(),
            next_arrival: 0,
            events: VecDeque::new(),
            filter: None,
            trace: Vec::new(),
            sent: 0,
            faults: Faults::default(),
            dns: Dns::default(),
        }
    }

    /// Adds a host with this IP address.
    ///
    /// # Panics
    ///
    /// `ip` is none.
    pub fn add(&mut self, ip: &str, host: H) -> NodeId {
        let ip = ip.parse().unwrap_or_else(|_| panic!("{ip} is no address"));
        self.nodes.push(Node { host, ip, next_port: 49152 });
        NodeId(self.nodes.len() - 1)
    }

    /// Opens a datagram socket.
    ///
    /// # Panics
    ///
    /// The host refuses it.
    pub fn bind(&mut self, node: NodeId, transport: Transport, port: u16) -> FlowId {
        let address = SocketAddr::new(self.nodes[node.0].ip, port);
        let flow = self.nodes[node.0].host.bind(transport, address).unwrap_or_else(|e| panic!("bind {address}: {e}"));
        self.sockets.insert((transport, address), (node, flow));
        flow
    }

    /// Listens for connections, with a certificate that shows `names` (none: whatever is asked for).
    pub fn listen(&mut self, node: NodeId, transport: Transport, port: u16, names: &[&str]) {
        let address = SocketAddr::new(self.nodes[node.0].ip, port);
        let names = names.iter().map(|&name| name.into()).collect();
        self.listeners.insert((transport, address), Listener { node, names });
    }

    /// Takes a socket or listener away, as when a server dies.
    pub fn shut(&mut self, node: NodeId, transport: Transport, port: u16) {
        let address = SocketAddr::new(self.nodes[node.0].ip, port);
        self.sockets.remove(&(transport, address));
        self.listeners.remove(&(transport, address));
    }

    /// The present.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The host of a node.
    pub fn host(&mut self, node: NodeId) -> &mut H {
        &mut self.nodes[node.0].host
    }

    /// All nodes.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + use<H> {
        (0..self.nodes.len()).map(NodeId)
    }

    /// Puts another host in the place of a node's: a process that took its state over.
    pub fn replace(&mut self, node: NodeId, host: H) -> H {
        core::mem::replace(&mut self.nodes[node.0].host, host)
    }

    /// Lets `filter` decide the fate of each packet.
    pub fn set_filter(&mut self, filter: impl FnMut(&Packet) -> Fate + 'static) {
        self.filter = Some(Box::new(filter));
    }

    /// Lets the faults alone decide again.
    pub fn clear_filter(&mut self) {
        self.filter = None;
    }

    /// What has been sent.
    pub fn trace(&self) -> &[Sent] {
        &self.trace
    }

    /// Forgets what has been sent.
    pub fn clear_trace(&mut self) {
        self.trace.clear();
    }

    /// Breaks the connection of a flow; both ends learn of it.
    pub fn break_flow(&mut self, node: NodeId, flow: FlowId) {
        if let Some(connection) = self.by_end.get(&(node, flow)).copied() {
            self.break_connection(connection, CloseCause::Reset);
        }
    }

    /// The next event of any host. Time goes on as far as it must. `None` when nothing will ever happen.
    pub fn next_event(&mut self) -> Option<(NodeId, H::Event)> {
        self.next_event_before(Instant::MAX)
    }

    /// The next event up to `end`; when there is none, the present becomes `end`.
    pub fn next_event_before(&mut self, end: Instant) -> Option<(NodeId, H::Event)> {
        loop {
            self.drain();
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            let arrival = self.schedule.first_key_value().map(|(&(at, _), _)| at);
            let deadline = self.nodes.iter().filter_map(|node| node.host.poll_timeout()).min();
            let Some(next) = arrival.into_iter().chain(deadline).min().filter(|&next| next <= end) else {
                if end != Instant::MAX {
                    self.now = self.now.max(end);
                }
                return None;
            };
            self.now = self.now.max(next);
            match arrival {
                Some(at) if at <= next => {
                    if let Some((_, arrival)) = self.schedule.pop_first() {
                        self.arrive(arrival);
                    }
                }
                _ => {
                    let now = self.now;
                    for node in &mut self.nodes {
                        if node.host.poll_timeout().is_some_and(|at| at <= now) {
                            node.host.handle_timeout(now);
                        }
                    }
                }
            }
        }
    }

    /// Hands all events up to `end` to `react`.
    pub fn run_until(&mut self, end: Instant, mut react: impl FnMut(&mut Self, NodeId, H::Event)) {
        while let Some((node, event)) = self.next_event_before(end) {
            react(self, node, event);
        }
    }

    /// Hands all events there will ever be to `react`.
    pub fn run(&mut self, react: impl FnMut(&mut Self, NodeId, H::Event)) {
        self.run_until(Instant::MAX, react);
    }

    fn drain(&mut self) {
        for index in 0..self.nodes.len() {
            let node = NodeId(index);
            while let Some(transmit) = self.nodes[index].host.poll_transmit() {
                self.send(node, transmit);
            }
            while let Some(event) = self.nodes[index].host.poll_event() {
                if let Some(wish) = H::wish(&event) {
                    self.grant(node, wish);
                }
                self.events.push_back((node, event));
            }
        }
    }

    fn schedule(&mut self, at: Instant, arrival: Arrival) {
        self.next_arrival += 1;
        self.schedule.insert((at, self.next_arrival), arrival);
    }

    fn delay(&mut self) -> Duration {
        let jitter = self.faults.jitter.as_micros() as u64;
        self.faults.delay + Duration::from_micros(self.rng.below(jitter + 1))
    }

    fn send(&mut self, node: NodeId, transmit: sip_transaction::Transmit) {
        let sip_transaction::Transmit { flow, transport, local, remote, bytes, token, .. } = transmit;
        let number = self.sent;
        self.sent += 1;
        let packet = Packet { number, at: self.now, transport, from: local, to: remote, bytes: bytes.clone() };
        let mut fate = self.filter.as_mut().map_or(Fate::Carry, |filter| filter(&packet));
        if fate == Fate::Carry && !transport.is_connected() {
            if self.rng.happens(self.faults.loss) {
                fate = Fate::Lose;
            } else if self.rng.happens(self.faults.duplicates) {
                fate = Fate::Twice(self.faults.jitter);
            }
        }
        let lost = fate == Fate::Lose;
        self.trace.push(Sent { at: self.now, transport, from: local, to: remote, bytes: bytes.clone(), lost });
        if transport.is_connected() {
            return self.send_piece((node, flow), fate, bytes);
        }
        let mut extra = Duration::ZERO;
        let target = self.sockets.get(&(transport, remote)).copied();
        match (fate, target) {
            (Fate::Lose, _) => return,
            (Fate::Refuse, _) | (_, None) => {
                let at = self.now + self.faults.delay;
                if let Some(token) = token.filter(|_| self.faults.icmp || fate == Fate::Refuse) {
                    self.schedule(at, Arrival::Unreachable { to: node, token });
                }
                return;
            }
            (Fate::Delay(more), _) => extra = more,
            _ => {}
        }
        let Some((to, flow)) = target else { return };
        if let Fate::Twice(later) = fate {
            let at = self.now + self.delay() + later;
            self.schedule(at, Arrival::Datagram { to, flow, from: local, bytes: bytes.clone() });
        }
        let at = self.now + self.delay() + extra;
        self.schedule(at, Arrival::Datagram { to, flow, from: local, bytes });
    }

    fn send_piece(&mut self, from: End, fate: Fate, bytes: Bytes) {
        let Some(&id) = self.by_end.get(&from) else { return };
        if matches!(fate, Fate::Lose | Fate::Refuse) || self.rng.happens(self.faults.breaks) {
            return self.break_connection(id, CloseCause::Reset);
        }
        let Some((towards, stream)) = self
            .connections
            .get(&id)
            .map(|connection| (usize::from(connection.ends[0] == from), connection.transport.is_stream()))
        else {
            return;
        };
        let mut pieces = vec![bytes];
        if stream && self.faults.cut_streams {
            let mut rest = pieces.remove(0);
            while !rest.is_empty() {
                let len = 1 + self.rng.below(rest.len() as u64) as usize;
                pieces.push(rest.split_to(len));
            }
        }
        for bytes in pieces {
            let mut at = self.now + self.delay();
            if let Fate::Delay(more) = fate {
                at += more;
            }
            if let Some(connection) = self.connections.get_mut(&id) {
                at = at.max(connection.last[towards]);
                connection.last[towards] = at;
            }
            self.schedule(at, Arrival::Piece { connection: id, towards, bytes });
        }
    }

    fn break_connection(&mut self, id: u64, cause: CloseCause) {
        let Some(connection) = self.connections.remove(&id) else { return };
        let at = self.now + self.faults.delay;
        for end in connection.ends {
            self.by_end.remove(&end);
            self.schedule(at, Arrival::Closed { to: end, cause });
        }
    }

    fn grant(&mut self, node: NodeId, wish: Wish) {
        let at = self.now + self.delay();
        match wish {
            Wish::Connect { flow, transport, remote, server_name } => {
                let here = &mut self.nodes[node.0];
                let local = SocketAddr::new(here.ip, here.next_port);
                here.next_port = here.next_port.checked_add(1).unwrap_or(49152);
                self.schedule(at, Arrival::Connect { from: (node, flow), transport, local, remote, server_name });
            }
            Wish::Query { query, name, kind } => {
                let records = self.dns.answer(&name, kind);
                self.schedule(at, Arrival::Answer { to: node, query, records });
            }
            Wish::Close { flow } => {
                if let Some(id) = self.by_end.remove(&(node, flow)) {
                    if let Some(connection) = self.connections.remove(&id) {
                        let [a, b] = connection.ends;
                        let other = if a == (node, flow) { b } else { a };
                        self.by_end.remove(&other);
                        self.schedule(at, Arrival::Closed { to: other, cause: CloseCause::Closed });
                    }
                }
            }
        }
    }

    fn input(&mut self, node: NodeId, input: Input<'_>) {
        // What a host cannot attribute is its own to count: here it is the network's fault, or a late arrival.
        let _ = self.nodes[node.0].host.handle_input(self.now, input);
    }

    fn arrive(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Datagram { to, flow, from, bytes } => {
                self.input(to, Input::Datagram { flow, remote: from, bytes: &bytes });
            }
            Arrival::Unreachable { to, token } => {
                self.input(to, Input::SendFailed { token, cause: SendCause::Unreachable });
            }
            Arrival::Piece { connection, towards, bytes } => {
                let Some(carrier) = self.connections.get(&connection) else { return };
                let (node, flow) = carrier.ends[towards];
                let input = if carrier.transport.is_stream() {
                    Input::Stream { flow, bytes: &bytes }
                } else {
                    Input::Message { flow, bytes: &bytes }
                };
                self.input(node, input);
            }
            Arrival::Connect { from, transport, local, remote, server_name } => {
                let at = self.now + self.faults.delay;
                let cause = match self.listeners.get(&(transport, remote)) {
                    None => Some(CloseCause::Refused),
                    Some(listener) => {
                        let shown =
                            server_name.is_none_or(|name| listener.names.is_empty() || listener.names.contains(&name));
                        (transport.is_secure() && !shown).then_some(CloseCause::Untrusted)
                    }
                };
                if let Some(cause) = cause {
                    return self.schedule(at, Arrival::Closed { to: from, cause });
                }
                let Some(node) = self.listeners.get(&(transport, remote)).map(|listener| listener.node) else { return };
                match self.nodes[node.0].host.accept(transport, remote, local) {
                    Ok(flow) => {
                        self.next_connection += 1;
                        let id = self.next_connection;
                        let ends = [from, (node, flow)];
                        ends.iter().for_each(|end| {
                            self.by_end.insert(*end, id);
                        });
                        let connection = Connection { ends, addresses: [local, remote], transport, last: [at; 2] };
                        self.connections.insert(id, connection);
                        self.schedule(at, Arrival::Opened { to: from, local });
                    }
                    Err(_) => self.schedule(at, Arrival::Closed { to: from, cause: CloseCause::Refused }),
                }
            }
            Arrival::Opened { to: (node, flow), local } => self.input(node, Input::FlowOpened { flow, local }),
            Arrival::Closed { to: (node, flow), cause } => self.input(node, Input::FlowClosed { flow, cause }),
            Arrival::Answer { to, query, records } => {
                let answer = records.as_deref().map_or(Answer::Failed, Answer::Records);
                self.input(to, Input::Resolved { query, answer });
            }
        }
    }

    /// The addresses of a connection's ends, the opener's first.
    pub fn connection(&self, node: NodeId, flow: FlowId) -> Option<[SocketAddr; 2]> {
        let id = self.by_end.get(&(node, flow))?;
        self.connections.get(id).map(|connection| connection.addresses)
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.connections.len()
    }
}
