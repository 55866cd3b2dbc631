//! The WebSocket port: SIP over WebSocket for those who ask for an upgrade, the web page for the others.

use crate::link::{Accepted, ConnId, Ender, Inlet, Seat, ToShard, outlet};
use crate::log::log;
use crate::stream::Hall;
use bytes::BytesMut;
use sip_transaction::{CloseCause, Transport};
use sip_ws::{Accept, Answer, Config, Connection, Event, Input, KeepAlive, RequestHead};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf};
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

/// One connection, from its first byte to its last.
struct Session<S> {
    connection: Connection,
    epoch: Instant,
    reader: ReadHalf<S>,
    writer: WriteHalf<S>,
    /// What the connection gave out to be written.
    out: BytesMut,
    hall: Hall,
    conn: ConnId,
    local: SocketAddr,
    remote: SocketAddr,
    transport: Transport,
    /// There once it is open.
    inlet: Option<Inlet>,
    ender: Option<Ender>,
    /// The shards have let go: nothing more comes from them.
    deserted: bool,
}

/// Serves an accepted connection; for `wss` after its TLS handshake.
pub(crate) async fn serve<S>(
    stream: S,
    local: SocketAddr,
    remote: SocketAddr,
    transport: Transport,
    hall: Hall,
    seat: Seat,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let epoch = Instant::now();
    let (reader, writer) = tokio::io::split(stream);
    let connection = Connection::server(sip_ws::Instant::ZERO, hall.web_config.clone());
    let conn = ConnId::next();
    let mut session = Session {
        connection,
        epoch,
        reader,
        writer,
        out: BytesMut::new(),
        hall,
        conn,
        local,
        remote,
        transport,
        inlet: None,
        ender: None,
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
        let mut input = BytesMut::new();
        loop {
            while let Some(event) = self.connection.poll_event() {
                if let Event::Closed(closed) = event {
                    self.flush().await;
                    return cause(&closed.cause);
                }
                self.happened(event).await;
            }
            while let Some(bytes) = self.connection.poll_transmit() {
                self.out.extend_from_slice(&bytes);
            }
            let deadline = self.connection.next_deadline();
            let deadline = deadline.map(|at| self.epoch + Duration::from_micros(at.as_micros()));
            // More is taken from the shards only when what they gave before has been written: a peer that does not read
            // fills its queue, and is dropped.
            let listens = self.out.is_empty() && !self.deserted;
            input.reserve(4096);
            tokio::select! {
                read = self.reader.read_buf(&mut input) => {
                    let now = sip_ws::Instant::from_std(self.epoch, Instant::now());
                    let taken = match read {
                        Ok(1..) => self.connection.handle_input(now, Input::Owned(input.split())),
                        Ok(0) | Err(_) => self.connection.handle_input(now, Input::Eof),
                    };
                    // Events have all been polled: there is room.
                    debug_assert!(taken.is_ok());
                }
                written = self.writer.write_buf(&mut self.out), if !self.out.is_empty() => {
                    if written.is_err() {
                        return CloseCause::Reset;
                    }
                    if self.out.is_empty() && self.out.capacity() > 64 * 1024 {
                        self.out = BytesMut::new();
                    }
                }
                next = next(&mut self.inlet), if listens => match next {
                    Some(bytes) => {
                        let now = self.now();
                        self.send(now, bytes);
                        for _ in 0..64 {
                            let Some(more) = self.inlet.as_mut().and_then(Inlet::try_next) else { break };
                            self.send(now, more);
                        }
                    }
                    // Every shard has let go.
                    None => {
                        self.deserted = true;
                        let now = self.now();
                        if self.connection.close(now, sip_ws::CloseCode::GOING_AWAY, "").is_err() {
                            return CloseCause::Local;
                        }
                    }
                },
                () = ended(&self.ender) => return CloseCause::Local,
                () = sleep_until(deadline.unwrap_or(self.epoch).into()), if deadline.is_some() => {
                    let now = self.now();
                    self.connection.handle_timeout(now);
                }
            }
        }
    }

    fn send(&mut self, now: sip_ws::Instant, bytes: bytes::Bytes) {
        let len = bytes.len();
        if let Some(inlet) = &self.inlet {
            inlet.sent(len);
        }
        if let Err(error) = self.connection.send_sip(now, bytes) {
            log!(Debug, "not sent to {}: {}", self.remote, error.failure);
        }
    }

    async fn flush(&mut self) {
        while let Some(bytes) = self.connection.poll_transmit() {
            self.out.extend_from_slice(&bytes);
        }
        let write = async {
            if self.writer.write_all(&self.out).await.is_ok() {
                // The peer sees the end; that it is gone already matters no more.
                let _ = self.writer.shutdown().await;
            }
        };
        let _ = timeout(LAST_WORDS, write).await;
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
                self.ender = Some(inlet.ender());
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
            Event::Sip(bytes) => {
                let shard = self.hall.shards.of(&bytes);
                self.hall.shards.tell(shard, ToShard::Message { conn: self.conn, bytes }).await;
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

async fn next(inlet: &mut Option<Inlet>) -> Option<bytes::Bytes> {
    match inlet {
        Some(inlet) => inlet.next().await,
        None => std::future::pending().await,
    }
}

async fn ended(ender: &Option<Ender>) {
    match ender {
        Some(ender) => ender.ended().await,
        None => std::future::pending().await,
    }
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
