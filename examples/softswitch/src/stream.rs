//! SIP over TCP and TLS: accepts, connects, reads and writes. Cuts messages from the stream only if there are several shards;
//! otherwise the endpoint does.

use crate::config::Limits;
use crate::link::{Accepted, ConnId, Ender, Guests, Inlet, Seat, Shards, ToShard, outlet};
use crate::log::log;
use crate::tls::Tls;
use bytes::Bytes;
use hosting::{Failed, Opened, open};
use sip_message::{ParserConfig, StreamDecoder, StreamItem};
use sip_transaction::{CloseCause, FlowId, Transport};
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// What every connection needs to know of the whole.
pub(crate) struct Hall {
    pub(crate) shards: Shards,
    pub(crate) guests: Guests,
    pub(crate) limits: Limits,
    pub(crate) tls: Tls,
    pub(crate) page: Arc<crate::page::Page>,
    pub(crate) web_config: Arc<sip_ws::Config>,
}

/// How long a connection stays open behind a message that could not be framed, for the answer to it.
const LAST_WORDS: Duration = Duration::from_secs(1);

thread_local! {
    /// Where this thread reads to. What is read is taken at once, so that one buffer does for all connections, and those
    /// that are idle have none.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; 16 * 1024].into());
}

/// Reads once, and gives what came to `take`; nothing: that is the end.
pub(crate) fn poll_read<S: AsyncRead + Unpin, T>(
    stream: &mut S,
    context: &mut Context<'_>,
    take: impl FnOnce(&[u8]) -> T,
) -> Poll<io::Result<T>> {
    SCRATCH.with_borrow_mut(|scratch| {
        let mut buffer = ReadBuf::new(scratch);
        let read = ready!(Pin::new(stream).poll_read(context, &mut buffer));
        Poll::Ready(read.map(|()| take(buffer.filled())))
    })
}

/// Accepts connections until the process ends.
pub(crate) async fn accept(listener: TcpListener, transport: Transport, hall: Arc<Hall>) {
    loop {
        let (stream, remote) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, mostly: others must end first.
                log!(Warn, "cannot accept on {transport}: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Some(seat) = hall.guests.seat(remote.ip()) else {
            log!(Warn, "too many connections: {remote} turned away");
            continue;
        };
        // Small messages must not wait for each other. If it fails, they wait.
        let _ = stream.set_nodelay(true);
        let Ok(local) = stream.local_addr() else { continue };
        if transport.is_secure() {
            tokio::spawn(welcome(stream, local, remote, transport, hall.clone(), seat));
        } else {
            dispatch(stream, local, remote, transport, hall.clone(), seat);
        }
    }
}

/// The TLS handshake. What comes behind it is another task: a task is as large as the largest of what it does.
async fn welcome(
    stream: TcpStream,
    local: SocketAddr,
    remote: SocketAddr,
    transport: Transport,
    hall: Arc<Hall>,
    seat: Seat,
) {
    let Some(acceptor) = hall.tls.acceptor() else { return };
    match timeout(hall.limits.handshake, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => dispatch(stream, local, remote, transport, hall, seat),
        Ok(Err(error)) => log!(Info, "TLS handshake with {remote}: {error}"),
        Err(_) => log!(Info, "TLS handshake with {remote}: not finished in time"),
    }
}

/// Starts the task that serves the connection.
fn dispatch<S>(stream: S, local: SocketAddr, remote: SocketAddr, transport: Transport, hall: Arc<Hall>, seat: Seat)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    if transport.is_websocket() {
        tokio::spawn(crate::web::serve(stream, local, remote, transport, hall, seat));
    } else {
        tokio::spawn(serve(stream, local, remote, transport, hall, seat));
    }
}

async fn serve<S>(stream: S, local: SocketAddr, remote: SocketAddr, transport: Transport, hall: Arc<Hall>, seat: Seat)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (outlet, inlet) = outlet(hall.limits.send_queue);
    let conn = ConnId::next();
    let accepted = Accepted { conn, transport, local, remote, outlet };
    hall.shards.tell_all(|| ToShard::Accepted(accepted.clone())).await;
    // What is in the inlet ends when all shards have let go: this one must not hold on.
    drop(accepted);
    log!(Debug, "{transport} connection from {remote}");
    let cause = carry(stream, conn, None, &hall, inlet).await;
    hall.shards.tell_all(|| ToShard::Closed { conn, cause }).await;
    log!(Debug, "{transport} connection from {remote} ended: {cause:?}");
    drop(seat);
}

/// Opens the connection that a shard asked for, and carries it.
pub(crate) async fn connect(
    hall: Arc<Hall>,
    shard: usize,
    flow: FlowId,
    transport: Transport,
    remote: SocketAddr,
    name: Option<String>,
) {
    let name = name.unwrap_or_else(|| remote.ip().to_string());
    let opened = open(transport, remote, &name, || hall.tls.connector(), hall.limits.handshake).await;
    match opened {
        Ok((local, Opened::Plain(stream))) => carry_own(stream, local, hall, shard, flow).await,
        Ok((local, Opened::Secure(stream))) => carry_own(*stream, local, hall, shard, flow).await,
        Err(Failed { cause, why }) => {
            log!(Info, "{why}");
            hall.shards.tell(shard, ToShard::NotConnected { flow, cause }).await;
        }
    }
}

async fn carry_own<S>(stream: S, local: SocketAddr, hall: Arc<Hall>, shard: usize, flow: FlowId)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (outlet, inlet) = outlet(hall.limits.send_queue);
    let conn = ConnId::next();
    hall.shards.tell(shard, ToShard::Connected { flow, conn, local, outlet }).await;
    let cause = carry(stream, conn, Some(shard), &hall, inlet).await;
    hall.shards.tell(shard, ToShard::Closed { conn, cause }).await;
}

/// Reads and writes until one side ends, or the order to end comes. `shard`: the one that everything goes to.
async fn carry<S>(stream: S, conn: ConnId, shard: Option<usize>, hall: &Hall, inlet: Inlet) -> CloseCause
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let ender = inlet.ender();
    let (reader, writer) = tokio::io::split(stream);
    let shard = shard.or((hall.shards.count() == 1).then_some(0));
    tokio::select! {
        cause = read(reader, conn, shard, hall) => cause,
        cause = write(writer, inlet, hall.limits.idle) => cause,
        () = told(&ender) => CloseCause::Local,
    }
}

async fn told(ender: &Ender) {
    ender.ended().await;
}

async fn read(mut reader: impl AsyncRead + Unpin, conn: ConnId, shard: Option<usize>, hall: &Hall) -> CloseCause {
    let mut cutter = Cutter { decoder: StreamDecoder::new(ParserConfig::default()), owed: None };
    loop {
        let next = poll_fn(|context| poll_read(&mut reader, context, Bytes::copy_from_slice));
        let bytes = match timeout(hall.limits.idle, next).await {
            Ok(Ok(bytes)) if bytes.is_empty() => return CloseCause::Closed,
            Ok(Ok(bytes)) => bytes,
            Ok(Err(_)) => return CloseCause::Reset,
            Err(_) => return CloseCause::Local,
        };
        let lost = match shard {
            Some(shard) => {
                hall.shards.tell(shard, ToShard::Bytes { conn, bytes }).await;
                false
            }
            None => !cutter.share(bytes, conn, hall).await,
        };
        if lost {
            // Its answer is still to be written.
            tokio::time::sleep(LAST_WORDS).await;
            return CloseCause::Framing;
        }
    }
}

/// Cuts messages from a stream for several shards.
struct Cutter {
    decoder: StreamDecoder,
    /// A shard that waits for the body of a message it could not read, and how long that is.
    owed: Option<(usize, u64)>,
}

impl Cutter {
    /// Gives each message to its shard. `false`: the stream cannot be followed any more.
    async fn share(&mut self, bytes: Bytes, conn: ConnId, hall: &Hall) -> bool {
        self.decoder.push(&bytes);
        while let Some(item) = self.decoder.next_item() {
            self.pay(conn, hall).await;
            let (bytes, skipped, lost) = match item {
                Ok(StreamItem::Message(message)) => (message.to_bytes(), 0, false),
                // The second empty line of a ping; single ones ask for nothing.
                Ok(StreamItem::Crlf { run }) if run % 2 == 0 => (Bytes::from_static(b"\r\n\r\n"), 0, false),
                Ok(StreamItem::Crlf { .. }) => continue,
                // The shard reads it again and answers it if it can be answered.
                Err(error) => (error.head, error.skipped, error.fatal),
            };
            let shard = hall.shards.of(&bytes);
            hall.shards.tell(shard, ToShard::Bytes { conn, bytes }).await;
            if lost {
                return false;
            }
            self.owed = (skipped > 0).then_some((shard, skipped));
        }
        true
    }

    /// Gives a shard as many bytes as it waits for before anything else means something to it. So many have come meanwhile.
    async fn pay(&mut self, conn: ConnId, hall: &Hall) {
        const NOTHING: &[u8] = &[0; 16 * 1024];
        let Some((shard, mut left)) = self.owed.take() else { return };
        while left > 0 {
            let part = NOTHING.get(..usize::try_from(left).unwrap_or(usize::MAX)).unwrap_or(NOTHING);
            left -= part.len() as u64;
            hall.shards.tell(shard, ToShard::Bytes { conn, bytes: Bytes::from_static(part) }).await;
        }
    }
}

async fn write(mut writer: impl AsyncWrite + Unpin, mut inlet: Inlet, patience: Duration) -> CloseCause {
    while let Some(mut bytes) = inlet.next().await {
        // What waits is written at once.
        if let Some(more) = inlet.try_next() {
            let mut batch = [&bytes[..], &more[..]].concat();
            while batch.len() < 16 * 1024 {
                let Some(more) = inlet.try_next() else { break };
                batch.extend_from_slice(&more);
            }
            bytes = batch.into();
        }
        // A TLS layer takes more than the socket does, and writes the rest only when it is flushed.
        let send = async {
            writer.write_all(&bytes).await?;
            writer.flush().await
        };
        let sent: io::Result<()> = match timeout(patience, send).await {
            Ok(sent) => sent,
            Err(_) => return CloseCause::Local,
        };
        inlet.sent(bytes.len());
        if sent.is_err() {
            return CloseCause::Reset;
        }
    }
    let _ = timeout(Duration::from_secs(5), writer.shutdown()).await;
    CloseCause::Local
}

#[cfg(test)]
mod tests {
    use super::*;
    use hosting::at_once;
    use std::pin::pin;
    use tokio::io::{AsyncReadExt as _, BufWriter, duplex};

    // `BufWriter` stands for TLS: it takes bytes, and keeps them until it is flushed.

    #[tokio::test]
    async fn nothing_stays_in_the_layer_below() {
        let (near, mut far) = duplex(1024);
        let (outlet, inlet) = outlet(1024);
        let mut writing = pin!(write(BufWriter::new(near), inlet, Duration::from_secs(60)));
        for message in [&b"one"[..], b"two"] {
            assert!(outlet.send(Bytes::from_static(message)));
            assert_eq!(at_once(writing.as_mut()).await, None, "waits for more");
            let mut read = [0; 3];
            assert_eq!(at_once(far.read_exact(&mut read)).await.map(Result::ok), Some(Some(3)));
            assert_eq!(read, message);
        }
    }

    #[tokio::test]
    async fn who_does_not_read_what_is_below_is_left() {
        let (near, _far) = duplex(16);
        let (outlet, inlet) = outlet(1024);
        assert!(outlet.send(Bytes::from_static(&[b'x'; 100])));
        let cause = write(BufWriter::new(near), inlet, Duration::from_millis(1)).await;
        assert_eq!(cause, CloseCause::Local);
    }
}
