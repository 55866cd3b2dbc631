//! One shard: an endpoint with its cores on a thread of its own. It reads and writes the datagram sockets itself; everything
//! else reaches it through one bounded channel. Owns no protocol: bytes, facts and the time go in, bytes and requests to
//! the host come out. What it does depends on nothing else, so that a [trace](crate::trace) of all that can be replayed.

use crate::config::Config;
use crate::cores::Cores;
use crate::host::{Host, Live};
use crate::link::{Accepted, ConnId, Outlet, Shards, ToShard};
use crate::location::redis::Directory;
use crate::location::{Locations, shared_conn, shared_socket};
use crate::log::log;
use crate::metrics::{Figures, OVERRUN};
use crate::services::{hex, unhex};
use crate::stream::Hall;
use crate::trace::{Trace, write_records};
use bytes::Bytes;
use hosting::{Sent, keep_undelivered, undelivered};
use sip_transaction::{
    Answer, CloseCause, Endpoint, EndpointConfig, Event, FlowId, Input, Instant, Path, SentBy, Transmit, Transport,
};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::net::{SocketAddr, UdpSocket as StdUdpSocket};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tokio::net::UdpSocket;
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc, oneshot};

/// Datagrams taken from one socket before others have their turn.
const BATCH: usize = 64;

/// Datagrams that a shard keeps in mind until ICMP may have told that nobody is there.
const SENT: usize = 1024;

/// What a shard is made of.
pub(crate) struct Setup {
    pub(crate) index: usize,
    pub(crate) config: Arc<Config>,
    /// What is listened on, with the ports that were found.
    pub(crate) listening: Vec<(Transport, SocketAddr)>,
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
    /// The seconds since 1970 at the start.
    pub(crate) unix_epoch: Option<i64>,
    pub(crate) trace: Option<Trace>,
}

/// What one that runs is connected with.
pub(crate) struct Wires {
    /// Datagram sockets, duplicates of the same ones for each shard.
    pub(crate) sockets: Vec<StdUdpSocket>,
    pub(crate) hall: Arc<Hall>,
    pub(crate) epoch: std::time::Instant,
    /// Where connections and DNS questions run.
    pub(crate) io: Handle,
    pub(crate) receiver: mpsc::Receiver<ToShard>,
}

/// How a flow is reached.
enum Leg {
    Socket(usize),
    Conn(ConnId, Outlet),
    /// Asked for, not open yet.
    Opening,
}

/// A datagram socket, by its place in the configuration.
struct Socket {
    flow: FlowId,
    local: SocketAddr,
}

/// The shard, apart from sockets and clock.
pub(crate) struct Shard<H> {
    index: usize,
    workers: usize,
    endpoint: Endpoint,
    cores: Cores,
    sockets: Vec<Socket>,
    legs: HashMap<FlowId, Leg>,
    conns: HashMap<ConnId, FlowId>,
    host: H,
    /// The datagrams sent last.
    sent: Sent,
    trace: Option<Trace>,
    figures: Figures,
    draining: Option<oneshot::Sender<()>>,
}

/// What the tasks of a shard share: they are all on one thread.
struct Desk {
    index: usize,
    shard: RefCell<Shard<Live>>,
    shards: Shards,
    epoch: std::time::Instant,
    /// When the clock task wakes up; `None`: never.
    alarm: Cell<Option<Instant>>,
    earlier: Notify,
}

/// Runs a shard until its channel is closed. Blocks the thread.
pub(crate) fn run(setup: Setup, wires: Wires) -> Result<(), String> {
    let Wires { sockets, hall, epoch, io, mut receiver } = wires;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start a worker: {error}"))?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let receiving = sockets.iter().map(|socket| socket.try_clone().and_then(UdpSocket::from_std));
        let receiving: Vec<UdpSocket> =
            receiving.collect::<Result<_, _>>().map_err(|error| format!("cannot use a UDP socket: {error}"))?;
        let (index, shards) = (setup.index, hall.shards.clone());
        let question = u64::from_le_bytes(std::array::from_fn(|n| setup.seed[n])) ^ index as u64;
        let host = Live { index, sockets, hall, io, question };
        let now = Instant::from_std(epoch, std::time::Instant::now());
        let shard = RefCell::new(Shard::new(setup, host, now)?);
        let desk = Rc::new(Desk { index, shard, shards, epoch, alarm: Cell::new(None), earlier: Notify::new() });
        for (place, socket) in receiving.into_iter().enumerate() {
            let socket = Rc::new(socket);
            // The sockets are everybody's: one shard is enough to ask. Without it, whoever is not there is found out by waiting.
            if index == 0 && keep_undelivered(&socket).is_ok() {
                tokio::task::spawn_local(losses(desk.clone(), socket.clone()));
            }
            tokio::task::spawn_local(receive(desk.clone(), place, socket));
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
                Ok((len, remote)) => desk.datagram(index, remote, &buffer[..len]),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                // What an earlier datagram met; the next one may be well.
                Err(error) => log!(Debug, "UDP: {error}"),
            }
        }
        desk.arm();
        tokio::task::yield_now().await;
    }
}

/// Takes what ICMP says of datagrams that were sent on one socket. Whose they were is for each shard to say: of their bytes not much comes back.
async fn losses(desk: Rc<Desk>, socket: Rc<UdpSocket>) {
    loop {
        match undelivered(&socket).await {
            Ok(lost) => {
                for shard in (0..desk.shards.count()).filter(|shard| *shard != desk.index) {
                    // A shard that has no time for it waits, as if nothing had come back.
                    let _ = desk.shards.try_tell(shard, ToShard::Undelivered(lost.clone()));
                }
                desk.shard.borrow_mut().told(desk.now(), ToShard::Undelivered(lost));
                desk.arm();
                tokio::task::yield_now().await;
            }
            Err(error) => {
                log!(Debug, "what ICMP says cannot be read: {error}");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

/// Lets deadlines pass.
async fn clock(desk: Rc<Desk>) {
    loop {
        let at = desk.alarm.get().map(|at| desk.std_instant(at));
        tokio::select! {
            () = async { match at { Some(at) => tokio::time::sleep_until(at.into()).await, None => std::future::pending().await } } => {
                desk.shard.borrow_mut().time(desk.now());
                desk.alarm.set(None);
            }
            () = desk.earlier.notified() => {}
        }
        desk.arm();
        tokio::task::yield_now().await;
    }
}

impl Desk {
    fn now(&self) -> Instant {
        Instant::from_std(self.epoch, std::time::Instant::now())
    }

    fn std_instant(&self, at: Instant) -> std::time::Instant {
        at.to_std(self.epoch).unwrap_or_else(|| self.epoch + std::time::Duration::from_secs(1 << 32))
    }

    /// Takes in what came by the channel.
    fn told(&self, batch: &mut Vec<ToShard>) {
        let mut shard = self.shard.borrow_mut();
        for what in batch.drain(..) {
            shard.told(self.now(), what);
        }
    }

    /// A datagram that was read here; it may be for another shard.
    fn datagram(&self, socket: usize, remote: SocketAddr, bytes: &[u8]) {
        let shard = self.shards.of(bytes);
        if shard == self.index {
            return self.shard.borrow_mut().datagram(self.now(), socket, remote, bytes);
        }
        let bytes = Bytes::copy_from_slice(bytes);
        if !self.shards.try_tell(shard, ToShard::Datagram { socket, remote, bytes }) {
            OVERRUN.fetch_add(1, Relaxed);
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

impl<H: Host> Shard<H> {
    /// One that begins now, with what an earlier one has left.
    pub(crate) fn new(setup: Setup, host: H, now: Instant) -> Result<Shard<H>, String> {
        let Setup {
            index,
            config,
            listening,
            locations,
            presence,
            left,
            directory,
            users,
            seed,
            identity,
            unix_epoch,
            trace,
        } = setup;
        let mut own_seed = seed;
        // Shards share what peers may bring from one to another, but not the branches and tags they make.
        own_seed[31] ^= index as u8;
        let mut endpoint = Endpoint::new(Arc::new(endpoint_config(&config, &listening)), own_seed);
        let tables = (locations, directory, presence);
        let mut cores = Cores::new(index, &config, &listening, tables, &users, (seed, identity), unix_epoch);
        let mut legs = HashMap::new();
        let mut bound = Vec::new();
        let datagrams = listening.iter().filter(|(transport, _)| !transport.is_connected());
        for (n, &(_, local)) in datagrams.enumerate() {
            let flow = endpoint.bind(Transport::Udp, local).map_err(|error| format!("UDP {local}: {error}"))?;
            cores.flows.insert(shared_socket(n), flow);
            legs.insert(flow, Leg::Socket(n));
            bound.push(Socket { flow, local });
        }
        let mut shard = Shard {
            index,
            workers: config.workers,
            endpoint,
            cores,
            sockets: bound,
            legs,
            conns: HashMap::new(),
            host,
            sent: Sent::new(SENT),
            trace,
            figures: Figures::default(),
            draining: None,
        };
        shard.record(now, format_args!("start"), b"");
        shard.resume(now, &left);
        Ok(shard)
    }

    fn next_timeout(&self) -> Option<Instant> {
        match (self.endpoint.poll_timeout(), self.cores.poll_timeout()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// A datagram of this shard's.
    pub(crate) fn datagram(&mut self, now: Instant, socket: usize, remote: SocketAddr, bytes: &[u8]) {
        let Some(on) = self.sockets.get(socket) else { return };
        let flow = on.flow;
        if self.trace.is_some() {
            self.record(now, format_args!("in UDP {} {remote} -", on.local), bytes);
        }
        self.input(now, Input::Datagram { flow, remote, bytes });
        self.pump(now);
    }

    /// Deadlines pass.
    pub(crate) fn time(&mut self, now: Instant) {
        self.record(now, format_args!("time"), b"");
        self.endpoint.handle_timeout(now);
        self.cores.handle_timeout(&mut self.endpoint, now);
        self.pump(now);
    }

    /// The place of the socket with this address.
    pub(crate) fn socket(&self, local: SocketAddr) -> Option<usize> {
        self.sockets.iter().position(|on| on.local == local)
    }

    fn input(&mut self, now: Instant, input: Input<'_>) {
        if let Err(error) = self.endpoint.handle_input(now, input) {
            log!(Debug, "input not taken: {error}");
        }
    }

    fn record(&self, now: Instant, what: fmt::Arguments<'_>, bytes: &[u8]) {
        if let Some(trace) = &self.trace {
            trace.record(now, self.index, what, bytes);
        }
    }

    /// Takes in a fact, and does what follows from it.
    pub(crate) fn told(&mut self, now: Instant, what: ToShard) {
        match what {
            ToShard::Datagram { socket, remote, bytes } => return self.datagram(now, socket, remote, &bytes),
            ToShard::Undelivered(datagram) => {
                for token in self.sent.lost(&datagram) {
                    self.told(now, ToShard::NotSent { token, cause: datagram.cause });
                }
                return;
            }
            ToShard::NotSent { token, cause } => {
                self.record(now, format_args!("unsent {} {cause:?}", token.to_bits()), b"");
                self.input(now, Input::SendFailed { token, cause });
            }
            ToShard::Bytes { conn, bytes } => {
                let Some(&flow) = self.conns.get(&conn) else { return };
                self.record_in(now, conn, flow, &bytes);
                self.input(now, Input::Stream { flow, bytes: &bytes });
            }
            ToShard::Message { conn, bytes } => {
                let Some(&flow) = self.conns.get(&conn) else { return };
                self.record_in(now, conn, flow, &bytes);
                self.input(now, Input::Message { flow, bytes: &bytes });
            }
            ToShard::Accepted(accepted) => self.accepted(now, accepted),
            ToShard::Connected { flow, conn, local, outlet } => {
                // The endpoint may have given it up meanwhile: then its outlet is dropped here, and it ends.
                if !matches!(self.legs.get(&flow), Some(Leg::Opening)) {
                    return;
                }
                self.record(now, format_args!("connected {} {} {local}", flow.to_bits(), conn.to_bits()), b"");
                self.legs.insert(flow, Leg::Conn(conn, outlet));
                self.conns.insert(conn, flow);
                self.cores.flows.insert(shared_conn(conn), flow);
                self.input(now, Input::FlowOpened { flow, local });
            }
            ToShard::NotConnected { flow, cause } => {
                self.record(now, format_args!("refused {} {cause:?}", flow.to_bits()), b"");
                self.input(now, Input::FlowClosed { flow, cause });
            }
            ToShard::Closed { conn, cause } => {
                let Some(flow) = self.conns.remove(&conn) else { return };
                self.record(now, format_args!("closed {} {cause:?}", conn.to_bits()), b"");
                self.input(now, Input::FlowClosed { flow, cause });
            }
            ToShard::Resolved { query, records } => {
                if self.trace.is_some() {
                    let text = write_records(records.as_deref());
                    self.record(now, format_args!("resolved {}", query.to_bits()), text.as_bytes());
                }
                let answer = records.as_deref().map_or(Answer::Failed, Answer::Records);
                self.input(now, Input::Resolved { query, answer });
            }
            ToShard::Elsewhere { id, nodes } => self.cores.elsewhere(&mut self.endpoint, now, id, &nodes),
            ToShard::Presence(aor) => {
                self.record(now, format_args!("presence"), aor.as_bytes());
                self.cores.notify(&mut self.endpoint, now, &aor);
            }
            ToShard::Export(reply) => {
                let mut lines = self.cores.export(&self.endpoint, now);
                lines.push(format!("transactions {}", hex(&self.endpoint.export(now))));
                // Nobody waits for it any more: so be it.
                let _ = reply.send(lines);
            }
            ToShard::Users(users) => {
                self.record(now, format_args!("users"), b"");
                self.cores.set_users(&users);
            }
            ToShard::Drain(reply) => {
                self.record(now, format_args!("drain"), b"");
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
        self.pump(now);
    }

    fn accepted(&mut self, now: Instant, accepted: Accepted) {
        let Accepted { conn, transport, local, remote, outlet } = accepted;
        self.record(now, format_args!("accepted {} {transport} {local} {remote}", conn.to_bits()), b"");
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

    fn record_in(&self, now: Instant, conn: ConnId, flow: FlowId, bytes: &[u8]) {
        if self.trace.is_some() {
            if let Some(Path { transport, local, remote, .. }) = self.endpoint.flow_path(flow) {
                self.record(now, format_args!("in {transport} {local} {remote} {}", conn.to_bits()), bytes);
            }
        }
    }

    /// Carries out everything the endpoint and the cores want, until they want nothing more.
    fn pump(&mut self, now: Instant) {
        loop {
            while let Some(event) = self.endpoint.poll_event() {
                self.happened(now, event);
            }
            self.cores.settle(&mut self.endpoint, now);
            self.share_presence();
            while let Some(transmit) = self.endpoint.poll_transmit() {
                self.send(now, transmit);
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
            for shard in (0..self.workers).filter(|shard| *shard != self.index) {
                self.host.tell(shard, ToShard::Presence(aor.clone()));
            }
        }
    }

    /// Goes on with what an earlier process has left.
    fn resume(&mut self, now: Instant, left: &[String]) {
        if left.is_empty() {
            return;
        }
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
                self.host.connect(flow, transport, remote, server_name);
            }
            Event::Query { query, name, kind } => self.host.resolve(query, name, kind),
            Event::FlowEnded { flow, cause } => {
                self.cores.handle(&mut self.endpoint, now, Event::FlowEnded { flow, cause });
                self.cores.flows.remove(flow);
                // What was written to it before it ended: the 400 to what broke the framing.
                while let Some(transmit) = self.endpoint.poll_transmit() {
                    self.send(now, transmit);
                }
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

    fn send(&mut self, now: Instant, transmit: Transmit) {
        let Transmit { flow, transport, local, remote, bytes, token, .. } = transmit;
        if self.trace.is_some() {
            match self.legs.get(&flow) {
                Some(Leg::Conn(conn, _)) => {
                    self.record(now, format_args!("out {transport} {local} {remote} {}", conn.to_bits()), &bytes);
                }
                _ => self.record(now, format_args!("out {transport} {local} {remote} -"), &bytes),
            }
        }
        match self.legs.get(&flow) {
            Some(Leg::Socket(n)) => {
                if !self.host.send(*n, remote, &bytes) {
                    self.figures.datagrams_not_sent += 1;
                }
                if let Some(token) = token {
                    self.sent.note(remote, token, &bytes);
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
