//! The endpoint: its parts, its verbs, its flows. What comes in is handled in `receive`, client transactions in `client`,
//! server transactions in `server`; `apply` carries out what the machines say.

mod apply;
mod client;
mod export;
mod flows;
mod keepalive;
mod kept;
mod receive;
mod refuse;
mod server;
mod via;

use crate::config::EndpointConfig;
use crate::cores::{HashKey, Key, NIL, Slab};
use crate::counters::Counters;
use crate::error::InputError;
use crate::flow::Flow;
use crate::held::Spare;
use crate::id::FlowId;
use crate::input::Input;
use crate::locate::Locator;
use crate::output::{Event, Path, SendToken, Transmit};
use crate::record::Recording;
use crate::table::Table;
use crate::time::Instant;
use crate::timers::{CLASSES, Class, Timer, Timers, Which};
use crate::transport::Transport;
use crate::tx::Tx;
use crate::wire::Tag;
use alloc::boxed::Box;
use alloc::collections::{BTreeSet, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use bytes::Bytes;
use core::net::SocketAddr;
use kept::Kept;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

pub use export::ImportError;

/// Timers carried out by one call of `handle_timeout`; the next call goes on.
const TIMERS_AT_ONCE: usize = 4096;

/// Counters of live server transactions by source address: a power of two.
const SOURCES: usize = 4096;

/// Deadlines other than transactions'.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Chore {
    /// A connection has not opened.
    Connect(FlowId),
    /// A keepalive is due or was not answered.
    Keepalive(FlowId),
    /// The same for one peer of a datagram socket.
    Stun(u64),
    /// DNS has not answered.
    Resolve(u64),
}

/// The transaction and transport layer of one SIP node, without its sockets.
///
/// See the [front page](crate) for what it is and how to drive it.
pub struct Endpoint {
    pub(crate) config: Arc<EndpointConfig>,
    pub(crate) now: Instant,
    pub(crate) rng: ChaCha8Rng,
    pub(crate) hash: HashKey,
    pub(crate) txs: Slab<Key, Tx>,
    /// Transactions by the low half of their tags.
    pub(crate) table: Table,
    pub(crate) timers: Timers,
    /// How long the timers of each class last.
    micros: [u64; CLASSES],
    pub(crate) flows: Slab<FlowId, Flow>,
    pub(crate) connections: flows::Connections,
    pub(crate) sockets: flows::Sockets,
    pub(crate) sources: Box<[u32]>,
    pub(crate) chores: BTreeSet<(Instant, Chore)>,
    pub(crate) locator: Locator,
    pub(crate) stun: crate::stun::Keepalives,
    transmits: VecDeque<Transmit>,
    queued_bytes: usize,
    events: VecDeque<Event>,
    pub(crate) counters: Counters,
    next_send: u64,
    pub(crate) recording: Option<Box<Recording>>,
    kept: Kept,
    spare: Spare,
    /// None before the first request is turned away.
    refusals: Option<Box<refuse::Refusals>>,
    /// The name for Via over WebSocket: RFC 7118 section 5.
    invalid_host: String,
}

impl Endpoint {
    /// An endpoint without flows. All that is random in it comes from `seed`, which nobody else may know: branches,
    /// tags, and the keys of its hash tables.
    pub fn new(config: Arc<EndpointConfig>, seed: [u8; 32]) -> Self {
        let mut rng = ChaCha8Rng::from_seed(seed);
        let mut key = [0; 16];
        rng.fill_bytes(&mut key);
        let hash = HashKey::new(key);
        let invalid_host = alloc::format!("{}.invalid", Tag::new(rng.next_u64()));
        let micros = config.timers.micros();
        let locator = Locator::new(hash, config.limits.dns_names, config.limits.dead_targets);
        Endpoint {
            config,
            now: Instant::ZERO,
            rng,
            hash,
            txs: Slab::new(),
            table: Table::new(),
            timers: Timers::new(),
            micros,
            flows: Slab::new(),
            connections: flows::Connections::new(hash),
            sockets: flows::Sockets::default(),
            sources: vec![0; SOURCES].into_boxed_slice(),
            chores: BTreeSet::new(),
            locator,
            stun: crate::stun::Keepalives::default(),
            transmits: VecDeque::new(),
            queued_bytes: 0,
            events: VecDeque::new(),
            counters: Counters::default(),
            next_send: 0,
            recording: None,
            kept: Kept::default(),
            spare: Spare::default(),
            refusals: None,
            invalid_host,
        }
    }

    /// Takes in one datagram, one chunk of a stream, one fact. All work that follows from it is done, its results
    /// queued.
    ///
    /// # Errors
    ///
    /// The input could not be attributed to anything. This is no failure of the endpoint: it has been counted, what was
    /// owed has been queued, and nothing need be done.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) -> Result<(), InputError> {
        self.advance(now);
        if self.recording.is_some() {
            self.record_input(now, &input);
        }
        #[cfg(feature = "tracing")]
        trace_input(self.now, &input);
        let result = self.receive(input);
        match result {
            Err(InputError::Malformed(_) | InputError::Framing(_) | InputError::Unmatchable | InputError::Version) => {
                self.counters.malformed += 1;
            }
            Err(InputError::NotOurs | InputError::Stray) => self.counters.stray_responses += 1,
            Err(InputError::Overload) => self.counters.refused += 1,
            Err(_) => self.counters.stale_inputs += 1,
            Ok(()) => {}
        }
        result
    }

    /// Carries out what is due at `now`. Without anything due it does nothing, so calling it too often is harmless. One
    /// call does a bounded amount of work; [`poll_timeout`](Endpoint::poll_timeout) tells whether more is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Some(recording) = &mut self.recording {
            recording.timeout(now);
        }
        self.advance(now);
        for _ in 0..TIMERS_AT_ONCE {
            let Some((index, timer)) = self.timers.pop(self.now) else { break };
            self.on_timer(index, timer);
        }
        if !self.chores.is_empty() {
            self.do_chores();
        }
    }

    #[inline(never)]
    fn do_chores(&mut self) {
        for _ in 0..TIMERS_AT_ONCE {
            let Some(&(at, chore)) = self.chores.first() else { break };
            if at > self.now {
                break;
            }
            self.chores.remove(&(at, chore));
            self.on_chore(at, chore);
        }
    }

    /// The next bytes to send; `None` when all have been taken. Changes with any other call that takes `&mut self`.
    #[must_use]
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        // Looked at where it is, so that it is moved once.
        let len = self.transmits.front()?.bytes.len();
        if let Some(recording) = &mut self.recording {
            recording.polled_transmit();
        }
        self.queued_bytes = self.queued_bytes.saturating_sub(len);
        self.transmits.pop_front()
    }

    /// The next event; `None` when all have been taken. Changes with any other call that takes `&mut self`.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        if let Some(recording) = self.recording.as_mut().filter(|_| !self.events.is_empty()) {
            recording.polled_event();
        }
        self.events.pop_front()
    }

    /// When to call [`handle_timeout`](Endpoint::handle_timeout) next; `None` if nothing is ever due. While transmits or events wait to be polled
    /// it is the present, so that a driver that forgets to poll does not sleep on them. Changes with any call that takes `&mut self`.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.next_timeout().map(|(at, _)| at)
    }

    /// Why [`poll_timeout`](Endpoint::poll_timeout) says what it says.
    #[must_use]
    pub fn next_timeout_reason(&self) -> Option<Timer> {
        self.next_timeout().map(|(_, timer)| timer)
    }

    fn next_timeout(&self) -> Option<(Instant, Timer)> {
        if !self.transmits.is_empty() || !self.events.is_empty() {
            return Some((self.now, Timer::Output));
        }
        let chore = self.chores.first().map(|&(at, chore)| {
            let timer = match chore {
                Chore::Connect(_) => Timer::Connect,
                Chore::Keepalive(_) | Chore::Stun(_) => Timer::Keepalive,
                Chore::Resolve(_) => Timer::Resolve,
            };
            (at, timer)
        });
        match (self.timers.next(), chore) {
            (Some(timer), Some(chore)) => Some(if chore.0 < timer.0 { chore } else { timer }),
            (timer, chore) => timer.or(chore),
        }
    }

    /// What the endpoint has done so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What the endpoint was told at construction.
    pub fn config(&self) -> &EndpointConfig {
        &self.config
    }

    /// How many transactions are live, those the endpoint keeps for itself (CANCELs) included.
    pub fn transactions(&self) -> usize {
        self.txs.len()
    }

    /// How many flows there are.
    pub fn flows(&self) -> usize {
        self.flows.len()
    }

    /// Whether nothing is left of any transaction, query or send: no table entry, no timer, no queued output.
    pub fn is_idle(&self) -> bool {
        self.txs.is_empty()
            && self.table.is_empty()
            && self.timers.is_empty()
            && self.transmits.is_empty()
            && self.events.is_empty()
            && self.locator.is_idle()
            && self.sources.iter().all(|&count| count == 0)
            && !self.chores.iter().any(|(_, chore)| matches!(chore, Chore::Resolve(_) | Chore::Connect(_)))
    }

    #[cold]
    fn record_input(&mut self, now: Instant, input: &Input<'_>) {
        let flow = match *input {
            Input::Datagram { flow, .. } | Input::Stream { flow, .. } | Input::Message { flow, .. } => Some(flow),
            _ => None,
        };
        let path = flow.and_then(|flow| self.flow_path(flow));
        if let Some(recording) = &mut self.recording {
            recording.input(now, input, path.as_ref());
        }
    }

    /// Time never runs backwards here.
    pub(crate) fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    #[inline]
    pub(crate) fn emit(&mut self, event: Event) {
        #[cfg(feature = "tracing")]
        tracing::trace!(at = %self.now, ?event, "event");
        if self.recording.is_some() {
            self.record_event(&event);
        }
        self.events.push_back(event);
    }

    #[cold]
    fn record_event(&mut self, event: &Event) {
        if let Some(recording) = &mut self.recording {
            recording.event(self.now, event);
        }
    }

    /// Queues bytes for a flow that can send them.
    pub(crate) fn transmit(
        &mut self,
        flow: FlowId,
        remote: SocketAddr,
        bytes: Bytes,
        ttl: Option<u8>,
        token: Option<SendToken>,
    ) {
        let Some(on) = self.flows.get(flow) else { return };
        let transmit = Transmit { flow, transport: on.transport, local: on.local, remote, bytes, ttl, token };
        #[cfg(feature = "tracing")]
        tracing::trace!(at = %self.now, %flow, %remote, len = transmit.bytes.len(), "transmit");
        if self.recording.is_some() {
            self.record_transmit(&transmit);
        }
        self.counters.transmits += 1;
        self.queued_bytes += transmit.bytes.len();
        self.transmits.push_back(transmit);
    }

    #[cold]
    fn record_transmit(&mut self, transmit: &Transmit) {
        if let Some(recording) = &mut self.recording {
            recording.transmit(self.now, transmit);
        }
    }

    /// Whether the queues have room for what a new request brings.
    pub(crate) fn has_room(&self) -> bool {
        let limits = &self.config.limits;
        limits.queued_events.is_none_or(|limit| self.events.len() < limit)
            && limits.queued_bytes.is_none_or(|limit| self.queued_bytes < limit)
    }

    pub(crate) fn path_of(&self, flow: FlowId, remote: SocketAddr) -> Option<Path> {
        let on = self.flows.get(flow)?;
        Some(Path { flow, transport: on.transport, local: on.local, remote })
    }

    // The tables of transactions.

    pub(crate) fn find(&self, tag: u128) -> Option<u32> {
        let low = tag as u64;
        self.table.find(low, |index| self.txs.at(index).is_some_and(|tx| tx.tag == tag))
    }

    /// Enters a transaction into the table under `tag`.
    pub(crate) fn enter(&mut self, index: u32, tag: u128) {
        if let Some(tx) = self.txs.at_mut(index) {
            tx.tag = tag;
            let txs = &self.txs;
            self.table.insert(tag as u64, index, |index| txs.at(index).map_or(0, |tx| tx.tag as u64));
        }
    }

    /// Takes a transaction out of the table.
    pub(crate) fn withdraw(&mut self, index: u32) {
        let Some(tx) = self.txs.at_mut(index) else { return };
        let tag = core::mem::take(&mut tx.tag);
        if tag != 0 {
            self.table.remove(tag as u64, index);
        }
    }

    /// Adds a transaction to the slab, in no table and on no flow.
    #[inline(always)]
    pub(crate) fn insert(&mut self, tx: Tx) -> Option<Key> {
        // What the table can tell apart.
        if self.txs.len() >= Table::MOST {
            return None;
        }
        let key = self.txs.insert(tx)?;
        self.timers.reserve(key.index());
        Some(key)
    }

    /// Takes every trace of a transaction away.
    #[inline]
    pub(crate) fn erase(&mut self, index: u32) {
        let Some(tx) = self.txs.at(index) else { return };
        let (tag, source, flow, neighbours) = (tx.tag, usize::from(tx.source), tx.flow, (tx.prev, tx.next));
        if tag != 0 {
            self.table.remove(tag as u64, index);
        }
        if let Some(flow) = flow {
            self.close_gap(flow, neighbours);
        }
        self.timers.clear(index, Which::Retransmit);
        self.timers.clear(index, Which::State);
        self.txs.drop_at(index);
        if let Some(count) = self.sources.get_mut(source) {
            *count = count.saturating_sub(1);
        }
        if self.txs.is_empty() {
            self.timers.release();
            self.table.release();
            self.spare.release();
        }
    }

    /// Binds a transaction to a flow, so that it learns of its end.
    pub(crate) fn link(&mut self, index: u32, flow: FlowId) {
        self.unlink(index);
        self.link_first(index, flow);
    }

    /// The same for one that is not bound to any.
    #[inline]
    pub(crate) fn link_first(&mut self, index: u32, flow: FlowId) {
        let Some(on) = self.flows.get_mut(flow) else { return };
        let head = core::mem::replace(&mut on.head, index);
        if let Some(first) = self.txs.at_mut(head) {
            first.prev = index;
        }
        if let Some(tx) = self.txs.at_mut(index) {
            tx.flow = Some(flow);
            tx.prev = NIL;
            tx.next = head;
        }
    }

    pub(crate) fn unlink(&mut self, index: u32) {
        let Some(tx) = self.txs.at_mut(index) else { return };
        let Some(flow) = tx.flow.take() else { return };
        let neighbours = (tx.prev, tx.next);
        (tx.prev, tx.next) = (NIL, NIL);
        self.close_gap(flow, neighbours);
    }

    /// What was between these two uses the flow no more.
    #[inline(always)]
    fn close_gap(&mut self, flow: FlowId, (prev, next): (u32, u32)) {
        match self.txs.at_mut(prev) {
            Some(before) => before.next = next,
            None => {
                if let Some(on) = self.flows.get_mut(flow) {
                    on.head = next;
                }
            }
        }
        if let Some(after) = self.txs.at_mut(next) {
            after.prev = prev;
        }
    }

    /// Sets a timer of a transaction.
    #[inline]
    pub(crate) fn set_timer(&mut self, index: u32, which: Which, timer: Timer, class: Class) {
        let at = self.now.after_micros(self.micros.get(class as usize).copied().unwrap_or(0));
        self.timers.set(index, which, timer, class, at);
    }

    pub(crate) fn token(&self, index: u32) -> Option<SendToken> {
        self.txs.id_at(index).map(|key| SendToken(key.to_bits()))
    }

    pub(crate) fn new_send_id(&mut self) -> u64 {
        self.next_send += 1;
        self.next_send
    }

    pub(crate) fn add_chore(&mut self, at: Instant, chore: Chore) {
        self.chores.insert((at, chore));
    }

    pub(crate) fn drop_chore(&mut self, at: Instant, chore: Chore) {
        self.chores.remove(&(at, chore));
    }

    /// The sent-by for Via on a flow.
    pub(crate) fn sent_by(&self, transport: Transport, local: SocketAddr, outgoing: bool) -> Box<str> {
        //= https://www.rfc-editor.org/rfc/rfc3261#section-18.1.1
        //# Before a request is sent, the client transport MUST insert a value of
        //# the "sent-by" field into the Via header field.
        if let Some(name) = self.config.sent_by.iter().find(|name| name.transport == transport) {
            return match name.port {
                Some(port) => alloc::format!("{}:{port}", name.host).into_boxed_str(),
                None => name.host.clone().into_boxed_str(),
            };
        }
        if transport.is_websocket() && outgoing {
            return self.invalid_host.clone().into_boxed_str();
        }
        alloc::format!("{local}").into_boxed_str()
    }
}

/// One event for an input: of bytes, how many.
#[cfg(feature = "tracing")]
fn trace_input(now: Instant, input: &Input<'_>) {
    match *input {
        Input::Datagram { flow, remote, bytes } => {
            tracing::trace!(at = %now, %flow, %remote, len = bytes.len(), "datagram");
        }
        Input::Stream { flow, bytes } => tracing::trace!(at = %now, %flow, len = bytes.len(), "stream"),
        Input::Message { flow, bytes } => tracing::trace!(at = %now, %flow, len = bytes.len(), "message"),
        Input::FlowOpened { flow, local } => tracing::trace!(at = %now, %flow, %local, "flow opened"),
        Input::FlowClosed { flow, cause } => tracing::trace!(at = %now, %flow, ?cause, "flow closed"),
        Input::SendFailed { token, cause } => tracing::trace!(at = %now, ?token, ?cause, "send failed"),
        Input::Resolved { query, .. } => tracing::trace!(at = %now, %query, "resolved"),
    }
}

impl core::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Endpoint")
            .field("now", &self.now)
            .field("transactions", &self.txs.len())
            .field("flows", &self.flows.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod size {
    #[test]
    fn a_transaction_is_small() {
        // What one costs beyond the bytes of its messages: the record, its timers, its place in the table.
        let slab = size_of::<crate::tx::Tx>() + 16;
        assert!(slab <= 256, "{slab}");
    }
}
