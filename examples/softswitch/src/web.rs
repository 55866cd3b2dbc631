//! The WebSocket port: SIP over WebSocket for those who ask for an upgrade, the web page for the others.

use crate::link::{Accepted, ConnId, Inlet, Seat, ToShard, outlet};
use crate::log::log;
use crate::stream::{Hall, poll_read};
use bytes::{Buf as _, Bytes};
use sip_transaction::{CloseCause, Transport};
use sip_ws::{Accept, Answer, Config, Connection, Event, Input, KeepAlive, RequestHead};
use std::future::{Future as _, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{sleep_until, timeout};

/// How long the last bytes may take to be written.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// The settings of every WebSocket connection.
pub(crate) fn config(limits: &crate::config::Limits) -> Arc<Config> {
    let mut config = Config::default();
    config.handshake_timeout = limits.handshake;
    config.protocols = vec!["sip".into()];
    config.require_protocol = true;
    config.max_message = 65_536;
    config.max_frame = 65_536;
    config.max_queued_output = limits.send_queue;
    config.keep_alive = Some(KeepAlive { interval: Duration::from_secs(30).min(limits.idle), ..KeepAlive::default() });
    Arc::new(config)
}

/// One connection, from its first byte to its last. While it is idle it holds no buffers.
struct Session<S> {
    connection: Connection,
    epoch: Instant,
    stream: S,
    /// What is being written.
    out: Bytes,
    /// Nothing that was written waits below, in the TLS layer.
    is_flushed: bool,
    hall: Arc<Hall>,
    conn: ConnId,
    local: SocketAddr,
    remote: SocketAddr,
    transport: Transport,
    /// There once it is open.
    inlet: Option<Inlet>,
    /// The shards have let go: nothing more comes from them.
    deserted: bool,
}

/// Serves an accepted connection; for `wss` after its TLS handshake.
pub(crate) async fn serve<S>(
    stream: S,
    local: SocketAddr,
    remote: SocketAddr,
    transport: Transport,
    hall: Arc<Hall>,
    seat: Seat,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let conn = ConnId::next();
    let mut session = Session {
        connection: Connection::server(sip_ws::Instant::ZERO, hall.web_config.clone()),
        epoch: Instant::now(),
        stream,
        out: Bytes::new(),
        is_flushed: true,
        hall,
        conn,
        local,
        remote,
        transport,
        inlet: None,
        deserted: false,
    };
    let cause = session.run().await;
    if session.inlet.take().is_some() {
        session.hall.shards.tell_all(|| ToShard::Closed { conn, cause }).await;
        log!(Debug, "{transport} connection from {remote} ended: {cause:?}");
    }
    drop(seat);
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    fn now(&self) -> sip_ws::Instant {
        sip_ws::Instant::from_std(self.epoch, Instant::now())
    }

    async fn run(&mut self) -> CloseCause {
        let mut alarm = pin!(sleep_until(self.epoch.into()));
        loop {
            while let Some(event) = self.connection.poll_event() {
                if let Event::Closed(closed) = event {
                    self.flush().await;
                    return cause(&closed.cause);
                }
                if let Event::Sip(bytes) = event {
                    let shard = self.hall.shards.of(&bytes);
                    self.hall.shards.tell(shard, ToShard::Message { conn: self.conn, bytes }).await;
                } else {
                    // On the heap: it is rare, and no task is to have room for it all the time.
                    Box::pin(self.happened(event)).await;
                }
            }
            self.fill();
            // Deadlines are mostly put off: then the alarm goes off early, and is set anew.
            let deadline = self.connection.next_deadline();
            let deadline = deadline.map(|at| self.epoch + Duration::from_micros(at.as_micros()));
            let deadline = deadline.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
            if alarm.is_elapsed() || alarm.deadline() > deadline.into() {
                alarm.as_mut().reset(deadline.into());
            }
            let ended = poll_fn(|context| {
                if alarm.as_mut().poll(context).is_ready() {
                    let now = self.now();
                    self.connection.handle_timeout(now);
                    return Poll::Ready(None);
                }
                self.poll_turn(context)
            });
            if let Some(cause) = ended.await {
                return cause;
            }
        }
    }

    /// Writes, reads and listens to the shards, once each. Ready when something has happened; `Some`: it is over.
    fn poll_turn(&mut self, context: &mut Context<'_>) -> Poll<Option<CloseCause>> {
        let mut has_moved = false;
        match self.poll_write(context) {
            Poll::Ready(Err(_)) => return Poll::Ready(Some(CloseCause::Reset)),
            Poll::Ready(Ok(has_written)) => has_moved |= has_written,
            Poll::Pending => {}
        }
        let (now, connection) = (sip_ws::Instant::from_std(self.epoch, Instant::now()), &mut self.connection);
        let read = poll_read(&mut self.stream, context, |bytes| match bytes {
            [] => connection.handle_input(now, Input::Eof).is_ok(),
            bytes => connection.handle_input(now, Input::Bytes(bytes)).is_ok(),
        });
        if let Poll::Ready(read) = read {
            let is_taken = read.unwrap_or_else(|_| self.connection.handle_input(now, Input::Eof).is_ok());
            // Events have all been polled: there is room.
            debug_assert!(is_taken);
            has_moved = true;
        }
        let Some(inlet) = &mut self.inlet else { return self.turned(has_moved) };
        // First to listen, then to look: so nothing is missed in between.
        inlet.listen(context);
        if inlet.has_ended() {
            return Poll::Ready(Some(CloseCause::Local));
        }
        // More is taken from the shards only when what they gave before has been written: a peer that does not read fills
        // its queue, and is dropped.
        if !self.out.is_empty() || self.deserted {
            return self.turned(has_moved);
        }
        match inlet.poll_next(context) {
            Poll::Ready(Some(bytes)) => {
                self.send(now, bytes);
                for _ in 0..64 {
                    let Some(more) = self.inlet.as_mut().and_then(Inlet::try_next) else { break };
                    self.send(now, more);
                }
                has_moved = true;
            }
            // Every shard has let go.
            Poll::Ready(None) => {
                self.deserted = true;
                if self.connection.close(now, sip_ws::CloseCode::GOING_AWAY, "").is_err() {
                    return Poll::Ready(Some(CloseCause::Local));
                }
                has_moved = true;
            }
            Poll::Pending => {}
        }
        self.turned(has_moved)
    }

    fn turned(&self, has_moved: bool) -> Poll<Option<CloseCause>> {
        if has_moved { Poll::Ready(None) } else { Poll::Pending }
    }

    /// Writes what is there to write. Ready: all of it is written, and says whether there was anything.
    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if self.out.is_empty() && self.is_flushed {
            return Poll::Ready(Ok(false));
        }
        self.is_flushed = false;
        while !self.out.is_empty() {
            match ready!(Pin::new(&mut self.stream).poll_write(context, &self.out))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.out.advance(count),
            }
        }
        self.out = Bytes::new();
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        self.is_flushed = true;
        Poll::Ready(Ok(true))
    }

    /// Takes what the connection gives out to be written, in one piece.
    fn fill(&mut self) {
        if !self.out.is_empty() {
            return;
        }
        let Some(first) = self.connection.poll_transmit() else { return };
        self.out = first;
        if self.connection.queued_output() > 0 {
            let mut all = Vec::with_capacity(self.out.len() + self.connection.queued_output());
            all.extend_from_slice(&self.out);
            self.connection.drain_transmit(&mut all);
            self.out = all.into();
        }
    }

    fn send(&mut self, now: sip_ws::Instant, bytes: Bytes) {
        let len = bytes.len();
        if let Some(inlet) = &self.inlet {
            inlet.sent(len);
        }
        if let Err(error) = self.connection.send_sip(now, bytes) {
            log!(Debug, "not sent to {}: {}", self.remote, error.failure);
        }
    }

    async fn flush(&mut self) {
        let write = async {
            loop {
                self.fill();
                match poll_fn(|context| self.poll_write(context)).await {
                    Ok(true) => {}
                    // The peer sees the end; that it is gone already matters no more.
                    Ok(false) => return drop(self.stream.shutdown().await),
                    Err(_) => return,
                }
            }
        };
        let _ = Box::pin(timeout(LAST_WORDS, write)).await;
    }

    async fn happened(&mut self, event: Event) {
        let now = self.now();
        match event {
            Event::Http(head) => {
                let answer = self.hall.page.answer(&head);
                log!(
                    Debug,
                    "{} {} from {}: {}",
                    head.method(),
                    crate::log::clean(head.path()),
                    self.remote,
                    answer.status()
                );
                let _ = self.connection.answer(now, answer);
            }
            Event::Upgrade(head) => self.upgrade(now, &head),
            Event::Open(_) => {
                let (outlet, inlet) = outlet(self.hall.limits.send_queue);
                self.inlet = Some(inlet);
                let accepted = Accepted {
                    conn: self.conn,
                    transport: self.transport,
                    local: self.local,
                    remote: self.remote,
                    outlet,
                };
                self.hall.shards.tell_all(|| ToShard::Accepted(accepted.clone())).await;
                log!(Debug, "{} connection from {}", self.transport, self.remote);
            }
            _ => {}
        }
    }

    fn upgrade(&mut self, now: sip_ws::Instant, head: &RequestHead) {
        if !is_same_site(head) {
            log!(Info, "WebSocket from {} refused: it comes from a page elsewhere", self.remote);
            let _ = self.connection.answer(now, Answer::forbidden());
            return;
        }
        if let Err(error) = self.connection.accept(now, Accept::new()) {
            log!(Info, "WebSocket from {} refused: {error}", self.remote);
            let _ = self.connection.answer(now, Answer::forbidden());
        }
    }
}

/// Whether a browser's page that asks for the WebSocket is of the same host, whatever its port. Browsers tell where a page
/// comes from (RFC 6455 section 10.2); without this check any page somebody looks at could use a server on their machine.
/// Other clients tell nothing, and are let in.
fn is_same_site(head: &RequestHead) -> bool {
    let Some(origin) = head.origin() else { return true };
    let host = |text: &str| {
        let text = text.split_once("://").map_or(text, |(_, rest)| rest).to_ascii_lowercase();
        match text.rsplit_once(':') {
            Some((host, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => host.to_owned(),
            _ => text,
        }
    };
    head.host().is_some_and(|own| host(own) == host(origin))
}

fn cause(cause: &sip_ws::Cause) -> CloseCause {
    match cause {
        sip_ws::Cause::Local => CloseCause::Local,
        sip_ws::Cause::Remote | sip_ws::Cause::Answered(_) => CloseCause::Closed,
        sip_ws::Cause::Violation(_) => CloseCause::Framing,
        sip_ws::Cause::Timeout(_) => CloseCause::Keepalive,
        _ => CloseCause::Reset,
    }
}
