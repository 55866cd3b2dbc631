//! Sockets and connections: bytes and facts in, bytes out. Knows nothing of SIP but where a WebSocket message ends.

use bytes::{Buf, Bytes, BytesMut};
use hosting::{Failed, Opened, Undelivered, connector, keep_undelivered, open, undelivered};
use sip_transaction::{CloseCause, FlowId, QueryId, Record, Transport};
use sip_ws::{ClientRequest, Connection};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio::time::{sleep_until, timeout};

/// How long a connection may take to open.
const PATIENCE: Duration = Duration::from_secs(10);
/// What may wait: for the telephone to take it, and for a connection to send it.
pub(crate) const QUEUE: usize = 256;

/// What happened outside.
#[derive(Debug)]
pub(crate) enum FromNet {
    Datagram { remote: SocketAddr, bytes: Bytes },
    Undelivered(Undelivered),
    Accepted { stream: TcpStream, remote: SocketAddr },
    Opened { flow: FlowId, local: SocketAddr, outlet: mpsc::Sender<Bytes> },
    Stream { flow: FlowId, bytes: Bytes },
    Message { flow: FlowId, bytes: Bytes },
    Closed { flow: FlowId, cause: CloseCause },
    Resolved { query: QueryId, records: Option<Vec<Record>> },
}

/// Opens connections and reports what comes in.
#[derive(Clone)]
pub(crate) struct Net {
    out: mpsc::Sender<FromNet>,
    authorities: Option<PathBuf>,
}

impl Net {
    pub(crate) fn new(authorities: Option<PathBuf>) -> (Net, mpsc::Receiver<FromNet>) {
        let (out, events) = mpsc::channel(QUEUE);
        (Net { out, authorities }, events)
    }

    /// Where other tasks report to.
    pub(crate) fn sender(&self) -> mpsc::Sender<FromNet> {
        self.out.clone()
    }

    /// Reads datagrams, and what ICMP says of those that were sent.
    pub(crate) fn read_datagrams(&self, socket: Arc<UdpSocket>) {
        // Without it, whoever is not there is found out by waiting.
        if keep_undelivered(&socket).is_ok() {
            let (out, socket) = (self.out.clone(), socket.clone());
            tokio::spawn(async move {
                loop {
                    let Ok(lost) = undelivered(&socket).await else {
                        // Of one that cannot be read nothing is known; the next one may be well.
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    };
                    if out.send(FromNet::Undelivered(lost)).await.is_err() {
                        return;
                    }
                }
            });
        }
        let out = self.out.clone();
        tokio::spawn(async move {
            let mut buffer = vec![0; 65_536];
            loop {
                // Errors are those of datagrams sent before: the next one may be well.
                let Ok((len, remote)) = socket.recv_from(&mut buffer).await else { continue };
                let bytes = Bytes::copy_from_slice(&buffer[..len]);
                if out.send(FromNet::Datagram { remote, bytes }).await.is_err() {
                    return;
                }
            }
        });
    }

    /// Takes connections.
    pub(crate) fn accept(&self, listener: TcpListener) {
        let out = self.out.clone();
        tokio::spawn(async move {
            loop {
                let Ok((stream, remote)) = listener.accept().await else {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                };
                if out.send(FromNet::Accepted { stream, remote }).await.is_err() {
                    return;
                }
            }
        });
    }

    /// Carries a connection that was accepted.
    pub(crate) fn carry(&self, flow: FlowId, stream: TcpStream) -> mpsc::Sender<Bytes> {
        let (outlet, inlet) = mpsc::channel(QUEUE);
        let out = self.out.clone();
        tokio::spawn(async move {
            let cause = stream_of(stream, flow, &out, inlet).await;
            let _ = out.send(FromNet::Closed { flow, cause }).await;
        });
        outlet
    }

    /// Opens a connection. `name`: whom to find behind it. `seed`: for the masks of a WebSocket.
    pub(crate) fn connect(
        &self,
        flow: FlowId,
        transport: Transport,
        remote: SocketAddr,
        name: Option<String>,
        seed: [u8; 32],
    ) {
        let net = self.clone();
        tokio::spawn(async move {
            let name = name.unwrap_or_else(|| crate::options::host(remote.ip()));
            let cause = net.run(flow, transport, remote, &name, seed).await;
            // Whoever waits for this has gone with the telephone.
            let _ = net.out.send(FromNet::Closed { flow, cause }).await;
        });
    }

    async fn run(
        &self,
        flow: FlowId,
        transport: Transport,
        remote: SocketAddr,
        name: &str,
        seed: [u8; 32],
    ) -> CloseCause {
        let connector = || connector(self.authorities.as_deref());
        match open(transport, remote, name, connector, PATIENCE).await {
            Ok((local, Opened::Plain(stream))) => self.speak(stream, flow, transport, local, remote, name, seed).await,
            Ok((local, Opened::Secure(stream))) => {
                self.speak(*stream, flow, transport, local, remote, name, seed).await
            }
            Err(Failed { cause, why }) => {
                // Whoever does not answer is seen by what comes of it; a certificate is not.
                if cause == CloseCause::Untrusted {
                    eprintln_line(&format!("softphone: {why}"));
                }
                cause
            }
        }
    }

    #[allow(clippy::too_many_arguments, reason = "all of them say where the connection leads")]
    async fn speak<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
        flow: FlowId,
        transport: Transport,
        local: SocketAddr,
        remote: SocketAddr,
        name: &str,
        seed: [u8; 32],
    ) -> CloseCause {
        if transport.is_websocket() {
            return self.websocket(stream, flow, transport, local, remote.port(), name, seed).await;
        }
        let (outlet, inlet) = mpsc::channel(QUEUE);
        if self.out.send(FromNet::Opened { flow, local, outlet }).await.is_err() {
            return CloseCause::Local;
        }
        stream_of(stream, flow, &self.out, inlet).await
    }

    #[allow(clippy::too_many_arguments, reason = "all of them say where the connection leads")]
    async fn websocket<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
        flow: FlowId,
        transport: Transport,
        local: SocketAddr,
        port: u16,
        name: &str,
        seed: [u8; 32],
    ) -> CloseCause {
        let scheme = if transport.is_secure() { "wss" } else { "ws" };
        let Ok(url) = format!("{scheme}://{name}:{port}/").parse() else { return CloseCause::Refused };
        let mut config = sip_ws::Config::default();
        config.protocols = vec![sip_ws::sip::SUBPROTOCOL.into()];
        config.require_protocol = true;
        let epoch = Instant::now();
        let now = || sip_ws::Instant::from_std(epoch, Instant::now());
        let Ok(mut connection) = Connection::client(now(), config, &ClientRequest::new(url), seed) else {
            return CloseCause::Local;
        };
        let (mut reader, mut writer) = tokio::io::split(stream);
        let (outlet, mut inlet) = mpsc::channel(QUEUE);
        let mut outlet = Some(outlet);
        let (mut input, mut output) = (BytesMut::new(), BytesMut::new());
        // What was written may wait below, in the TLS layer, when nothing is left here.
        let mut is_flushed = true;
        let mut leaving = false;
        loop {
            while let Some(event) = connection.poll_event() {
                let told = match event {
                    sip_ws::Event::Open(_) => match outlet.take() {
                        Some(outlet) => FromNet::Opened { flow, local, outlet },
                        None => continue,
                    },
                    sip_ws::Event::Sip(bytes) => FromNet::Message { flow, bytes },
                    sip_ws::Event::Closed(closed) => {
                        while let Some(bytes) = connection.poll_transmit() {
                            output.extend_from_slice(&bytes);
                        }
                        // The peer may be gone already.
                        let _ = timeout(Duration::from_secs(1), write_out(&mut writer, &mut output)).await;
                        return match closed.cause {
                            sip_ws::Cause::Local => CloseCause::Local,
                            sip_ws::Cause::Remote => CloseCause::Closed,
                            _ if outlet.is_some() => CloseCause::Refused,
                            _ => CloseCause::Reset,
                        };
                    }
                    _ => continue,
                };
                if self.out.send(told).await.is_err() {
                    return CloseCause::Local;
                }
            }
            while let Some(bytes) = connection.poll_transmit() {
                output.extend_from_slice(&bytes);
            }
            is_flushed &= output.is_empty();
            let deadline = connection.next_deadline().map(|at| epoch + Duration::from_micros(at.as_micros()));
            input.reserve(4096);
            tokio::select! {
                read = reader.read_buf(&mut input) => {
                    let taken = match read {
                        Ok(1..) => connection.handle_input(now(), sip_ws::Input::Owned(input.split())),
                        Ok(0) | Err(_) => connection.handle_input(now(), sip_ws::Input::Eof),
                    };
                    // Events have all been polled: there is room.
                    debug_assert!(taken.is_ok());
                }
                written = write_out(&mut writer, &mut output), if !is_flushed => match written {
                    Ok(()) => is_flushed = true,
                    Err(_) => return CloseCause::Reset,
                },
                next = inlet.recv(), if outlet.is_none() && is_flushed && !leaving => match next {
                    // What does not fit is lost, as on any other way; the transaction layer notices.
                    Some(bytes) => { let _ = connection.send_sip(now(), bytes); }
                    None => {
                        leaving = true;
                        if connection.close(now(), sip_ws::CloseCode::NORMAL, "").is_err() {
                            return CloseCause::Local;
                        }
                    }
                },
                () = sleep_until(deadline.unwrap_or(epoch).into()), if deadline.is_some() => {
                    connection.handle_timeout(now());
                }
            }
        }
    }
}

/// Writes all of it, also what a TLS layer would keep until it is flushed. When this is dropped half-way, `output` is what is
/// left to write.
async fn write_out(writer: &mut (impl AsyncWrite + Unpin), output: &mut impl Buf) -> io::Result<()> {
    while output.has_remaining() {
        if writer.write_buf(output).await? == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
    }
    writer.flush().await
}

/// Reads and writes until one side ends.
async fn stream_of<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    flow: FlowId,
    out: &mpsc::Sender<FromNet>,
    mut inlet: mpsc::Receiver<Bytes>,
) -> CloseCause {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut buffer = BytesMut::new();
    let read = async {
        loop {
            buffer.reserve(4096);
            match reader.read_buf(&mut buffer).await {
                Ok(0) => return CloseCause::Closed,
                Ok(_) => {}
                Err(_) => return CloseCause::Reset,
            }
            if out.send(FromNet::Stream { flow, bytes: buffer.split().freeze() }).await.is_err() {
                return CloseCause::Local;
            }
        }
    };
    let write = async {
        while let Some(bytes) = inlet.recv().await {
            if write_out(&mut writer, &mut &bytes[..]).await.is_err() {
                return CloseCause::Reset;
            }
        }
        // The end is told; that the peer is gone already matters no more.
        let _ = timeout(Duration::from_secs(1), writer.shutdown()).await;
        CloseCause::Local
    };
    tokio::select! {
        cause = read => cause,
        cause = write => cause,
    }
}

/// A line on standard error.
pub(crate) fn eprintln_line(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use hosting::at_once;
    use std::pin::pin;
    use tokio::io::{BufWriter, duplex};

    /// `BufWriter` stands for TLS: it takes bytes, and keeps them until it is flushed.
    #[tokio::test]
    async fn writing_goes_on_where_it_was_left_until_nothing_is_below() {
        let (near, mut far) = duplex(4);
        let mut writer = BufWriter::with_capacity(8, near);
        let mut output = BytesMut::from(&b"0123456789abcdef"[..]);
        let mut read = Vec::new();
        let mut turns = 0;
        while at_once(write_out(&mut writer, &mut output)).await.is_none() {
            assert_eq!(far.read_buf(&mut read).await.ok(), Some(4));
            turns += 1;
        }
        assert!(output.is_empty());
        assert!(turns >= 3, "{turns}");
        assert!(matches!(at_once(far.read_buf(&mut read)).await, None | Some(Ok(1..))));
        assert_eq!(read, b"0123456789abcdef");
    }

    #[tokio::test]
    async fn a_message_on_a_stream_does_not_wait_for_the_next() {
        let (near, mut far) = duplex(1024);
        let (out, _events) = mpsc::channel(QUEUE);
        let (outlet, inlet) = mpsc::channel(QUEUE);
        let stream = BufWriter::new(near);
        let mut carried = pin!(stream_of(stream, FlowId::from_bits(1 << 32).unwrap(), &out, inlet));
        outlet.send(Bytes::from_static(b"one")).await.unwrap();
        assert_eq!(at_once(carried.as_mut()).await, None, "waits for more");
        let mut read = [0; 3];
        assert_eq!(at_once(far.read_exact(&mut read)).await.map(Result::ok), Some(Some(3)));
    }
}
