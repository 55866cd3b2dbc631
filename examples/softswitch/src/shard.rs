//! One shard: an endpoint with its cores on a thread of its own. It reads and writes the datagram sockets itself; everything
//! else reaches it through one bounded channel. Owns no protocol: bytes, facts and the time go in, bytes and requests to
//! the host come out.

use crate::config::Config;
use crate::cores::Cores;
use crate::dns;
use crate::link::{Accepted, ConnId, Outlet, ToShard};
use crate::location::redis::Directory;
use crate::location::{Locations, shared_conn, shared_socket};
use crate::log::log;
use crate::metrics::{Figures, OVERRUN};
use crate::services::{hex, unhex};
use crate::stream::{self, Hall};
use crate::trace::Trace;
use bytes::Bytes;
use sip_transaction::{
    Answer, CloseCause, Endpoint, EndpointConfig, Event, FlowId, Input, Instant, Path, SentBy, Transmit, Transport,
};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket as StdUdpSocket};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tokio::net::UdpSocket;
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc, oneshot};

/// Datagrams taken from one socket before others have their turn.
const BATCH: usize = 64;

/// What a shard is made of.
pub(crate) struct Setup {
    pub(crate) index: usize,
    pub(crate) config: Arc<Config>,
    /// Datagram sockets, duplicates of the same ones for each shard.
    pub(crate) sockets: Vec<StdUdpSocket>,
    /// What is listened on, with the ports that were found.
    pub(crate) listening: Vec<(Transport, SocketAddr)>,
    pub(crate) hall: Hall,
    pub(crate) locations: Arc<Locations>,
    /// What users have published of themselves.
    pub(crate) presence: Arc<crate::presence::Presence>,
    /// What the same shard of an earlier process has left.
    pub(crate) left: Vec<String>,
    /// Who is at other nodes, if there are any.
    pub(crate) directory: Option<Directory>,
    pub(crate) users: Arc<crate::users::Users>,
    /// Secret, the same for all shards, and another one at each start.
    pub(crate) seed: [u8; 32],
    /// The same, but kept from one run to the next: what peers hold of this server is proven with it.
    pub(crate) identity: [u8; 32],
    pub(crate) epoch: std::time::Instant,
    pub(crate) trace: Option<Trace>,
    /// Where connections and DNS questions run.
    pub(crate) io: Handle,
}

/// How a flow is reached.
enum Leg {
    Socket(usize),
    Conn(ConnId, Outlet),
    /// Asked for, not open yet.
    Opening,
}

struct Socket {
    socket: Rc<UdpSocket>,
    flow: FlowId,
    local: SocketAddr,
}

struct Shard {
    index: usize,
    endpoint: Endpoint,
    cores: Cores,
    epoch: std::time::Instant,
    sockets: Vec<Socket>,
    legs: HashMap<FlowId, Leg>,
    conns: HashMap<ConnId, FlowId>,
    hall: Hall,
    io: Handle,
    trace: Option<Trace>,
    figures: Figures,
    draining: Option<oneshot::Sender<()>>,
    /// A number for the next DNS question, hard to guess.
    question: u64,
}

/// What the tasks of a shard share: they are all on one thread.
struct Desk {
    shard: RefCell<Shard>,
    /// When the clock task wakes up; `None`: never.
    alarm: Cell<Option<Instant>>,
    earlier: Notify,
}

/// Runs a shard until its channel is closed. Blocks the thread.
pub(crate) fn run(setup: Setup, mut receiver: mpsc::Receiver<ToShard>) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start a worker: {error}"))?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let desk =
            Rc::new(Desk { shard: RefCell::new(Shard::new(setup)?), alarm: Cell::new(None), earlier: Notify::new() });
        let sockets: Vec<Rc<UdpSocket>> = desk.shard.borrow().sockets.iter().map(|on| on.socket.clone()).collect();
        for (index, socket) in sockets.into_iter().enumerate() {
            tokio::task::spawn_local(receive(desk.clone(), index, socket));
        }
        tokio::task::spawn_local(clock(desk.clone()));
        let mut batch = Vec::with_capacity(BATCH);
        while receiver.recv_many(&mut batch, BATCH).await > 0 {
            desk.told(&mut batch);
            desk.arm();
            tokio::task::yield_now().await;
        }
        Ok(())
    })
}

/// Takes what comes in on one socket.
async fn receive(desk: Rc<Desk>, index: usize, socket: Rc<UdpSocket>) {
    let mut buffer = vec![0; 65_536];
    loop {
        if let Err(error) = socket.readable().await {
            log!(Error, "a UDP socket failed: {error}");
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            continue;
        }
        for _ in 0..BATCH {
            match socket.try_recv_from(&mut buffer) {
                Ok((len, remote)) => desk.shard.borrow_mut().datagram(index, remote, &buffer[..len]),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                // What an earlier datagram met; the next one may be well.
                Err(error) => log!(Debug, "UDP: {error}"),
            }
        }
        desk.arm();
        tokio::task::yield_now().await;
    }
}

/// Lets deadlines pass.
async fn clock(desk: Rc<Desk>) {
    loop {
        let at = desk.alarm.get().map(|at| desk.shard.borrow().std_instant(at));
        tokio::select! {
            () = async { match at { Some(at) => tokio::time::sleep_until(at.into()).await, None => std::future::pending().await } } => {
                let mut shard = desk.shard.borrow_mut();
                let now = shard.now();
                shard.endpoint.handle_timeout(now);
                let shard = &mut *shard;
                shard.cores.handle_timeout(&mut shard.endpoint, now);
                shard.pump();
                desk.alarm.set(None);
            }
            () = desk.earlier.notified() => {}
        }
        desk.arm();
        tokio::task::yield_now().await;
    }
}

impl Desk {
    /// Takes in what came by the channel.
    fn told(&self, batch: &mut Vec<ToShard>) {
        let mut shard = self.shard.borrow_mut();
        for what in batch.drain(..) {
            shard.told(what);
            shard.pump();
        }
    }

    /// Wakes the clock task if something is due before it would wake up.
    fn arm(&self) {
        let next = self.shard.borrow().next_timeout();
        match (next, self.alarm.get()) {
            (Some(next), Some(alarm)) if alarm <= next => {}
            (None, _) => {}
            (next, _) => {
                self.alarm.set(next);
                self.earlier.notify_one();
            }
        }
    }
}

impl Shard {
    fn new(setup: Setup) -> Result<Shard, String> {
        let Setup {
            index,
            config,
            sockets,
            listening,
            hall,
            locations,
            presence,
            left,
            directory,
            users,
            seed,
            identity,
            epoch,
            trace,
            io,
        } = setup;
        let mut own_seed = seed;
        // Shards share what peers may bring from one to another, but not the branches and tags they make.
        own_seed[31] ^= index as u8;
        let mut endpoint = Endpoint::new(Arc::new(endpoint_config(&config, &listening)), own_seed);
        let mut cores =
            Cores::new(index, &config, &listening, (locations, directory, presence), &users, seed, identity);
        let mut legs = HashMap::new();
        let mut bound = Vec::new();
        for (n, socket) in sockets.into_iter().enumerate() {
            let socket = UdpSocket::from_std(socket).map_err(|error| format!("cannot use a UDP socket: {error}"))?;
            let local = socket.local_addr().map_err(|error| format!("cannot use a UDP socket: {error}"))?;
            let flow = endpoint.bind(Transport::Udp, local).map_err(|error| format!("UDP {local}: {error}"))?;
            cores.flows.insert(shared_socket(n), flow);
            legs.insert(flow, Leg::Socket(n));
            bound.push(Socket { socket: Rc::new(socket), flow, local });
        }
        let question = u64::from_le_bytes(std::array::from_fn(|n| own_seed[n]));
        let mut shard = Shard {
            index,
            endpoint,
            cores,
            epoch,
            sockets: bound,
            legs,
            conns: HashMap::new(),
            hall,
            io,
            trace,
            figures: Figures::default(),
            draining: None,
            question,
        };
        shard.resume(&left);
        Ok(shard)
    }

    fn now(&self) -> Instant {
        Instant::from_std(self.epoch, std::time::Instant::now())
    }

    fn std_instant(&self, at: Instant) -> std::time::Instant {
        at.to_std(self.epoch).unwrap_or_else(|| self.epoch + std::time::Duration::from_secs(1 << 32))
    }

    fn next_timeout(&self) -> Option<Instant> {
        match (self.endpoint.poll_timeout(), self.cores.poll_timeout()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// A datagram that was read here.
    fn datagram(&mut self, socket: usize, remote: SocketAddr, bytes: &[u8]) {
        let shard = self.hall.shards.of(bytes);
        if shard == self.index {
            self.take_datagram(socket, remote, bytes);
            self.pump();
            return;
        }
        let bytes = Bytes::copy_from_slice(bytes);
        if !self.hall.shards.try_tell(shard, ToShard::Datagram { socket, remote, bytes }) {
            OVERRUN.fetch_add(1, Relaxed);
        }
    }

    fn take_datagram(&mut self, socket: usize, remote: SocketAddr, bytes: &[u8]) {
        let Some(on) = self.sockets.get(socket) else { return };
        let (flow, local) = (on.flow, on.local);
        self.record("in", Transport::Udp, local, remote, bytes);
        self.input(Input::Datagram { flow, remote, bytes });
    }

    fn input(&mut self, input: Input<'_>) {
        let now = self.now();
        if let Err(error) = self.endpoint.handle_input(now, input) {
            log!(Debug, "input not taken: {error}");
        }
    }

    fn record(&self, direction: &str, transport: Transport, local: SocketAddr, remote: SocketAddr, bytes: &[u8]) {
        if let Some(trace) = &self.trace {
            trace.record(self.now(), self.index, direction, transport, local, remote, bytes);
        }
    }

    fn told(&mut self, what: ToShard) {
        match what {
            ToShard::Datagram { socket, remote, bytes } => self.take_datagram(socket, remote, &bytes),
            ToShard::Bytes { conn, bytes } => {
                let Some(&flow) = self.conns.get(&conn) else { return };
                self.record_flow("in", flow, &bytes);
                self.input(Input::Stream { flow, bytes: &bytes });
            }
            ToShard::Message { conn, bytes } => {
                let Some(&flow) = self.conns.get(&conn) else { return };
                self.record_flow("in", flow, &bytes);
                self.input(Input::Message { flow, bytes: &bytes });
            }
            ToShard::Accepted(accepted) => self.accepted(accepted),
            ToShard::Connected { flow, conn, local, outlet } => {
                // The endpoint may have given it up meanwhile: then its outlet is dropped here, and it ends.
                if !matches!(self.legs.get(&flow), Some(Leg::Opening)) {
                    return;
                }
                self.legs.insert(flow, Leg::Conn(conn, outlet));
                self.conns.insert(conn, flow);
                self.cores.flows.insert(shared_conn(conn), flow);
                self.input(Input::FlowOpened { flow, local });
            }
            ToShard::NotConnected { flow, cause } => self.input(Input::FlowClosed { flow, cause }),
            ToShard::Closed { conn, cause } => {
                let Some(flow) = self.conns.remove(&conn) else { return };
                self.input(Input::FlowClosed { flow, cause });
            }
            ToShard::Resolved { query, records } => {
                let answer = records.as_deref().map_or(Answer::Failed, Answer::Records);
                self.input(Input::Resolved { query, answer });
            }
            ToShard::Elsewhere { id, nodes } => {
                let now = self.now();
                self.cores.elsewhere(&mut self.endpoint, now, id, &nodes);
            }
            ToShard::Presence(aor) => {
                let now = self.now();
                self.cores.notify(&mut self.endpoint, now, &aor);
            }
            ToShard::Export(reply) => {
                let now = self.now();
                let mut lines = self.cores.export(&self.endpoint, now);
                lines.push(format!("transactions {}", hex(&self.endpoint.export(now))));
                // Nobody waits for it any more: so be it.
                let _ = reply.send(lines);
            }
            ToShard::Users(users) => self.cores.set_users(&users),
            ToShard::Drain(reply) => {
                self.cores.stop();
                self.draining = Some(reply);
            }
            ToShard::Figures(reply) => {
                let figures = Figures {
                    endpoint: *self.endpoint.counters(),
                    transactions: self.endpoint.transactions(),
                    flows: self.endpoint.flows(),
                    registrations: self.cores.registrations,
                    refused_credentials: self.cores.refused_credentials,
                    ..self.figures.clone()
                };
                // Nobody waits for it any more: so be it.
                let _ = reply.send(figures);
            }
        }
    }

    fn accepted(&mut self, accepted: Accepted) {
        let Accepted { conn, transport, local, remote, outlet } = accepted;
        match self.endpoint.accept(transport, local, remote) {
            Ok(flow) => {
                self.cores.flows.insert(shared_conn(conn), flow);
                self.legs.insert(flow, Leg::Conn(conn, outlet));
                self.conns.insert(conn, flow);
            }
            Err(error) => {
                log!(Warn, "{transport} connection from {remote} not taken: {error}");
                outlet.end();
            }
        }
    }

    fn record_flow(&self, direction: &str, flow: FlowId, bytes: &[u8]) {
        if self.trace.is_some() {
            if let Some(path) = self.endpoint.flow_path(flow) {
                self.record(direction, path.transport, path.local, path.remote, bytes);
            }
        }
    }

    /// Carries out everything the endpoint and the cores want, until they want nothing more.
    fn pump(&mut self) {
        loop {
            let now = self.now();
            while let Some(event) = self.endpoint.poll_event() {
                self.happened(now, event);
            }
            self.cores.settle(&mut self.endpoint, now);
            self.share_presence();
            while let Some(transmit) = self.endpoint.poll_transmit() {
                self.send(transmit);
            }
            if self.endpoint.poll_timeout().is_none_or(|at| at > now) {
                break;
            }
            // Timers that are due already: more work, or events that came up meanwhile.
            self.endpoint.handle_timeout(now);
        }
        if self.draining.is_some() && self.endpoint.transactions() == 0 {
            if let Some(reply) = self.draining.take() {
                let _ = reply.send(());
            }
        }
    }

    /// Tells the other shards whose presence has changed.
    fn share_presence(&mut self) {
        for aor in self.cores.presence_changed() {
            for shard in (0..self.hall.shards.count()).filter(|shard| *shard != self.index) {
                let (shards, aor) = (self.hall.shards.clone(), aor.clone());
                self.io.spawn(async move { shards.tell(shard, ToShard::Presence(aor)).await });
            }
        }
    }

    /// Goes on with what an earlier process has left.
    fn resume(&mut self, left: &[String]) {
        if left.is_empty() {
            return;
        }
        let now = self.now();
        let transactions = left.iter().find_map(|line| unhex(line.strip_prefix("transactions ")?));
        let sockets: Vec<(SocketAddr, FlowId)> = self.sockets.iter().map(|on| (on.local, on.flow)).collect();
        // Connections do not outlive a process.
        let flow_for = |path: &Path| {
            let here = |(local, _): &&(SocketAddr, FlowId)| !path.transport.is_connected() && *local == path.local;
            sockets.iter().find(here).map(|(_, flow)| *flow)
        };
        let imported = transactions
            .and_then(|bytes| self.endpoint.import(now, &bytes, flow_for).ok())
            .and_then(|()| self.cores.import(&mut self.endpoint, now, left, flow_for));
        if imported.is_none() {
            log!(Warn, "the calls of the last run were not taken over");
        }
    }

    fn happened(&mut self, now: Instant, event: Event) {
        match event {
            Event::Connect { flow, transport, remote, server_name } => {
                self.legs.insert(flow, Leg::Opening);
                let connect = stream::connect(self.hall.clone(), self.index, flow, transport, remote, server_name);
                self.io.spawn(connect);
            }
            Event::Query { query, name, kind } => {
                self.question =
                    self.question.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let id = (self.question >> 48) as u16;
                let (shards, index) = (self.hall.shards.clone(), self.index);
                self.io.spawn(async move {
                    let records = dns::resolve(&name, kind, id).await;
                    log!(Debug, "DNS: {kind:?} {name}: {} records", records.as_ref().map_or(0, Vec::len));
                    shards.tell(index, ToShard::Resolved { query, records }).await;
                });
            }
            Event::FlowEnded { flow, cause } => {
                self.cores.handle(&mut self.endpoint, now, Event::FlowEnded { flow, cause });
                self.cores.flows.remove(flow);
                if let Some(Leg::Conn(conn, outlet)) = self.legs.remove(&flow) {
                    self.conns.remove(&conn);
                    // What is queued is still written when the last shard lets go; a peer that broke the framing has
                    // been answered by then.
                    if cause == CloseCause::Keepalive {
                        outlet.end();
                    }
                }
            }
            event => self.cores.handle(&mut self.endpoint, now, event),
        }
    }

    fn send(&mut self, transmit: Transmit) {
        let Transmit { flow, transport, local, remote, bytes, .. } = transmit;
        self.record("out", transport, local, remote, &bytes);
        match self.legs.get(&flow) {
            Some(Leg::Socket(n)) => {
                let Some(on) = self.sockets.get(*n) else { return };
                // A full buffer is a loss like any other on the way: retransmissions make good for it.
                if on.socket.try_send_to(&bytes, remote).is_err() {
                    self.figures.datagrams_not_sent += 1;
                }
            }
            Some(Leg::Conn(_, outlet)) => {
                if !outlet.send(bytes) {
                    self.figures.slow_readers += 1;
                    log!(Info, "{transport} connection to {remote} dropped: it does not read");
                }
            }
            Some(Leg::Opening) | None => {}
        }
    }
}

fn endpoint_config(config: &Config, listening: &[(Transport, SocketAddr)]) -> EndpointConfig {
    let mut endpoint = EndpointConfig::default();
    endpoint.transports = vec![Transport::Udp, Transport::Tcp, Transport::Tls];
    endpoint.received_over_websocket = true;
    endpoint.product = concat!("softswitch/", env!("CARGO_PKG_VERSION")).into();
    if let Some(host) = &config.advertise {
        for transport in Transport::ALL {
            if let Some((_, address)) = listening.iter().find(|(on, _)| *on == transport) {
                endpoint.sent_by.push(SentBy { transport, host: host.clone(), port: Some(address.port()) });
            }
        }
    }
    endpoint
}
