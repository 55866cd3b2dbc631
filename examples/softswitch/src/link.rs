//! What goes between the tasks that own sockets and the shards that own SIP: bounded channels, and who is in them.

use bytes::Bytes;
use hosting::Undelivered;
use sip_server::ProxyId;
use sip_transaction::{CloseCause, FlowId, QueryId, Record, SendCause, SendToken, Transport};
use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::sync::{mpsc, oneshot};

/// A connection, in this process, for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ConnId(u64);

impl ConnId {
    pub(crate) fn next() -> ConnId {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        ConnId(NEXT.fetch_add(1, Relaxed))
    }

    pub(crate) fn to_bits(self) -> u64 {
        self.0
    }

    /// One of an earlier run, to replay it.
    pub(crate) fn from_bits(bits: u64) -> ConnId {
        ConnId(bits)
    }
}

/// What a shard is told.
#[derive(Debug)]
pub(crate) enum ToShard {
    /// A datagram that another shard received, since the sockets are everybody's.
    Datagram { socket: usize, remote: SocketAddr, bytes: Bytes },
    /// A datagram that one of the shards has sent has not arrived.
    Undelivered(Undelivered),
    /// A datagram could not be sent. Only in a trace: what a shard makes of [`Undelivered`](ToShard::Undelivered).
    NotSent { token: SendToken, cause: SendCause },
    /// A peer has opened a connection.
    Accepted(Accepted),
    /// The connection that this shard asked for is open.
    Connected { flow: FlowId, conn: ConnId, local: SocketAddr, outlet: Outlet },
    /// It could not be opened.
    NotConnected { flow: FlowId, cause: CloseCause },
    /// Bytes of a stream.
    Bytes { conn: ConnId, bytes: Bytes },
    /// One message of a WebSocket connection.
    Message { conn: ConnId, bytes: Bytes },
    /// A connection is gone.
    Closed { conn: ConnId, cause: CloseCause },
    /// DNS has answered.
    Resolved { query: QueryId, records: Option<Vec<Record>> },
    /// The other nodes at which somebody is who was asked for.
    Elsewhere { id: ProxyId, nodes: Vec<String> },
    /// There are other users now.
    Users(Arc<crate::users::Users>),
    /// The presence of somebody has changed: their watchers are to be told.
    Presence(String),
    /// Take no new work, and tell when the last transaction has ended.
    Drain(oneshot::Sender<()>),
    /// Tell everything that goes on, as lines for the next process.
    Export(oneshot::Sender<Vec<String>>),
    /// Tell the figures.
    Figures(oneshot::Sender<crate::metrics::Figures>),
}

/// A connection that a peer has opened.
#[derive(Clone, Debug)]
pub(crate) struct Accepted {
    pub(crate) conn: ConnId,
    pub(crate) transport: Transport,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    pub(crate) outlet: Outlet,
}

/// The way to every shard.
#[derive(Clone, Debug)]
pub(crate) struct Shards {
    senders: Arc<[mpsc::Sender<ToShard>]>,
}

/// Messages that may wait for one shard. Connections wait while it is full; datagrams are dropped.
pub(crate) const SHARD_QUEUE: usize = 4096;

impl Shards {
    /// The channels of `count` shards.
    pub(crate) fn new(count: usize) -> (Shards, Vec<mpsc::Receiver<ToShard>>) {
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..count).map(|_| mpsc::channel(SHARD_QUEUE)).unzip();
        (Shards { senders: senders.into() }, receivers)
    }

    pub(crate) fn count(&self) -> usize {
        self.senders.len()
    }

    /// Tells one shard, when it has room. A shard that has ended hears nothing.
    pub(crate) async fn tell(&self, shard: usize, what: ToShard) {
        if let Some(sender) = self.senders.get(shard) {
            let _ = sender.send(what).await;
        }
    }

    /// Tells one shard if it has room now.
    pub(crate) fn try_tell(&self, shard: usize, what: ToShard) -> bool {
        self.senders.get(shard).is_some_and(|sender| sender.try_send(what).is_ok())
    }

    /// Tells every shard.
    pub(crate) async fn tell_all(&self, make: impl Fn() -> ToShard) {
        for sender in self.senders.iter() {
            let _ = sender.send(make()).await;
        }
    }

    /// The shard of a message: by its Call-ID, found without parsing the rest. What has none goes to the first.
    pub(crate) fn of(&self, message: &[u8]) -> usize {
        if self.senders.len() == 1 {
            return 0;
        }
        let Some(call_id) = call_id(message) else { return 0 };
        let mut hasher = DefaultHasher::new();
        call_id.hash(&mut hasher);
        (hasher.finish() % self.senders.len() as u64) as usize
    }
}

/// The Call-ID of a message, as far as can be told line by line.
fn call_id(message: &[u8]) -> Option<&[u8]> {
    for line in message.split(|&byte| byte == b'\n').skip(1) {
        let line = line.trim_ascii_end();
        if line.is_empty() {
            return None;
        }
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
        let name = line[..colon].trim_ascii_end();
        if name.eq_ignore_ascii_case(b"Call-ID") || name.eq_ignore_ascii_case(b"i") {
            return Some(line[colon + 1..].trim_ascii());
        }
    }
    None
}

/// Where a shard puts what is to be sent on a connection. Each shard has one.
#[derive(Debug)]
pub(crate) struct Outlet(Arc<Post>);

/// The other end of an [`Outlet`], in the task of the connection.
#[derive(Debug)]
pub(crate) struct Inlet(Arc<Post>);

/// Waits for the order to end a connection.
#[derive(Debug)]
pub(crate) struct Ender(Arc<Post>);

/// What both ends share. Mostly nothing waits, and then it holds no memory but its own.
#[derive(Debug)]
struct Post {
    limit: usize,
    state: Mutex<PostState>,
}

#[derive(Debug, Default)]
struct PostState {
    messages: VecDeque<Bytes>,
    /// Bytes that wait, or have been taken and are not sent yet.
    queued: usize,
    outlets: usize,
    /// The connection is gone: nobody takes messages.
    is_gone: bool,
    ended: bool,
    /// Who waits for the next message.
    reader: Option<Waker>,
    /// Who waits for the end.
    ender: Option<Waker>,
}

/// Messages that may wait for one connection.
const OUTLET_QUEUE: usize = 1024;

/// A queue for one connection that holds so many bytes at most.
pub(crate) fn outlet(limit: usize) -> (Outlet, Inlet) {
    let state = PostState { outlets: 1, ..PostState::default() };
    let post = Arc::new(Post { limit, state: Mutex::new(state) });
    (Outlet(post.clone()), Inlet(post))
}

impl Post {
    fn state(&self) -> MutexGuard<'_, PostState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// Remembers whom to wake.
fn wait(slot: &mut Option<Waker>, context: &Context<'_>) {
    match slot {
        Some(waker) => waker.clone_from(context.waker()),
        None => *slot = Some(context.waker().clone()),
    }
}

impl Outlet {
    /// Queues bytes. `false`: the peer reads too slowly, or is gone; the connection has been told to end.
    #[must_use]
    pub(crate) fn send(&self, bytes: Bytes) -> bool {
        let mut state = self.0.state();
        let is_full = state.queued + bytes.len() > self.0.limit || state.messages.len() >= OUTLET_QUEUE;
        if is_full || state.is_gone {
            drop(state);
            self.end();
            return false;
        }
        state.queued += bytes.len();
        state.messages.push_back(bytes);
        let reader = state.reader.take();
        drop(state);
        wake(reader);
        true
    }

    /// Tells the connection to end.
    pub(crate) fn end(&self) {
        let mut state = self.0.state();
        state.ended = true;
        let (reader, ender) = (state.reader.take(), state.ender.take());
        drop(state);
        wake(reader);
        wake(ender);
    }
}

impl Clone for Outlet {
    fn clone(&self) -> Outlet {
        self.0.state().outlets += 1;
        Outlet(self.0.clone())
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.outlets -= 1;
        if state.outlets == 0 {
            let reader = state.reader.take();
            drop(state);
            wake(reader);
        }
    }
}

impl Drop for Inlet {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.is_gone = true;
        state.messages = VecDeque::new();
    }
}

impl Inlet {
    /// The next bytes to send; `None` when every shard has let go of the connection.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// As [`next`](Self::next).
    pub(crate) fn poll_next(&mut self, context: &Context<'_>) -> Poll<Option<Bytes>> {
        let mut state = self.0.state();
        match state.messages.pop_front() {
            Some(bytes) => Poll::Ready(Some(bytes)),
            None if state.outlets == 0 => Poll::Ready(None),
            None => {
                state.messages = VecDeque::new();
                wait(&mut state.reader, context);
                Poll::Pending
            }
        }
    }

    /// Wakes the task when there is a message, or the order to end, without taking one.
    pub(crate) fn listen(&mut self, context: &Context<'_>) {
        wait(&mut self.0.state().reader, context);
    }

    /// More of them, if there are.
    pub(crate) fn try_next(&mut self) -> Option<Bytes> {
        self.0.state().messages.pop_front()
    }

    /// Tells that so many bytes have been sent.
    pub(crate) fn sent(&self, len: usize) {
        self.0.state().queued -= len;
    }

    /// True once the order to end has come. Who waits for messages is woken by it too.
    pub(crate) fn has_ended(&self) -> bool {
        self.0.state().ended
    }

    /// Something to wait on for the order to end.
    pub(crate) fn ender(&self) -> Ender {
        Ender(self.0.clone())
    }
}

impl Ender {
    pub(crate) async fn ended(&self) {
        poll_fn(|context| {
            let mut state = self.0.state();
            if state.ended {
                return Poll::Ready(());
            }
            wait(&mut state.ender, context);
            Poll::Pending
        })
        .await;
    }
}

/// Who is connected: how many in all, and how many from each address.
#[derive(Clone, Debug)]
pub(crate) struct Guests {
    sources: Arc<Mutex<HashMap<IpAddr, usize>>>,
    total: Arc<AtomicUsize>,
    most: usize,
    most_per_source: usize,
}

/// The place of one connection; free again when dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    guests: Guests,
    source: IpAddr,
}

impl Guests {
    pub(crate) fn new(most: usize, most_per_source: usize) -> Guests {
        Guests { sources: Arc::default(), total: Arc::default(), most, most_per_source }
    }

    /// A seat for a connection from `source`, if there is one.
    pub(crate) fn seat(&self, source: IpAddr) -> Option<Seat> {
        if self.total.load(Relaxed) >= self.most {
            return None;
        }
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let count = sources.entry(source).or_insert(0);
        if *count >= self.most_per_source {
            return None;
        }
        *count += 1;
        self.total.fetch_add(1, Relaxed);
        Some(Seat { guests: self.clone(), source })
    }

    /// How many are connected.
    pub(crate) fn count(&self) -> usize {
        self.total.load(Relaxed)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut sources = self.guests.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = sources.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                sources.remove(&self.source);
            }
        }
        self.guests.total.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_counted_by_source_and_in_all() {
        let guests = Guests::new(3, 2);
        let (a, b): (IpAddr, IpAddr) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        let first = guests.seat(a).unwrap();
        let _second = guests.seat(a).unwrap();
        assert!(guests.seat(a).is_none(), "two from one address");
        let _third = guests.seat(b).unwrap();
        assert!(guests.seat(b).is_none(), "three in all");
        drop(first);
        assert!(guests.seat(b).is_some());
        assert_eq!(guests.count(), 2);
    }

    #[test]
    fn one_call_is_one_shard() {
        let (shards, _receivers) = Shards::new(4);
        let message =
            |name: &str, id: &str| format!("INVITE sip:b SIP/2.0\r\nTo: x\r\n{name}{id} \r\n\r\nCall-ID: other");
        let shard = shards.of(message("Call-ID: ", "a1@b").as_bytes());
        assert_eq!(shards.of(message("i:", "a1@b").as_bytes()), shard);
        assert_eq!(shards.of(message("call-id \t: ", "a1@b").as_bytes()), shard);
        let used: std::collections::BTreeSet<_> =
            (0..64).map(|n| shards.of(message("i: ", &n.to_string()).as_bytes())).collect();
        assert_eq!(used.len(), 4);
        assert_eq!(shards.of(b"\r\n\r\n"), 0);
        assert_eq!(call_id(b"X y SIP/2.0\r\n\r\nCall-ID: 1"), None, "not from the body");
    }

    #[tokio::test]
    async fn a_slow_reader_is_told_to_end() {
        let (outlet, mut inlet) = outlet(10);
        let ender = inlet.ender();
        assert!(outlet.send(Bytes::from_static(b"12345")));
        assert!(outlet.send(Bytes::from_static(b"67890")));
        assert!(!outlet.send(Bytes::from_static(b"!")));
        ender.ended().await;
        let first = inlet.next().await.unwrap();
        inlet.sent(first.len());
        assert_eq!(inlet.try_next().unwrap(), "67890");
    }

    #[tokio::test]
    async fn the_last_outlet_ends_the_queue_behind_what_is_in_it() {
        let (first, mut inlet) = outlet(10);
        let second = first.clone();
        assert!(first.send(Bytes::from_static(b"1")));
        drop(first);
        assert_eq!(inlet.next().await.unwrap(), "1");
        let waiting = tokio::spawn(async move { (inlet.next().await, inlet) });
        tokio::task::yield_now().await;
        drop(second);
        let (next, inlet) = waiting.await.unwrap();
        assert_eq!(next, None);
        assert!(!inlet.has_ended());
    }

    #[test]
    fn nothing_is_queued_for_a_connection_that_is_gone() {
        let (outlet, inlet) = outlet(10);
        drop(inlet);
        assert!(!outlet.send(Bytes::from_static(b"1")));
    }

    #[tokio::test]
    async fn the_order_to_end_wakes_whoever_waits() {
        let (outlet, inlet) = outlet(10);
        let ender = inlet.ender();
        let waiting = tokio::spawn(async move { ender.ended().await });
        tokio::task::yield_now().await;
        outlet.end();
        waiting.await.unwrap();
        assert!(inlet.has_ended());
    }
}
