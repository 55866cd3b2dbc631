//! The peers: each reads from and writes to a stream in memory, in the way it is meant to be used.

use super::Case;
use crate::alloc;
use crate::report::{Contender, Report};
use fastwebsockets::{FragmentCollector, Frame, Payload};
use futures_util::{Sink, Stream};
use std::future::Future;
use std::hint::black_box;
use std::io::{self, Read, Write};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use websocket_sans_io::{FrameInfo, Opcode, WebsocketFrameDecoder, WebsocketFrameEncoder, WebsocketFrameEvent};

/// Every read gives one frame, again and again; what is written is counted.
struct Pipe {
    frame: Vec<u8>,
    at: usize,
    written: usize,
}

impl Pipe {
    fn new(case: &Case) -> Self {
        Pipe { frame: case.frame.clone(), at: 0, written: 0 }
    }

    fn next(&mut self, room: usize) -> &[u8] {
        let end = self.frame.len().min(self.at + room);
        let piece = &self.frame[self.at..end];
        self.at = end % self.frame.len();
        piece
    }

    fn put(&mut self, bytes: &[u8]) {
        self.written += black_box(bytes).len();
    }
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let piece = self.next(buffer.len());
        buffer[..piece.len()].copy_from_slice(piece);
        Ok(piece.len())
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.put(bytes);
        Ok(bytes.len())
    }

    fn write_vectored(&mut self, parts: &[io::IoSlice<'_>]) -> io::Result<usize> {
        parts.iter().for_each(|part| self.put(part));
        Ok(parts.iter().map(|part| part.len()).sum())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for Pipe {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let piece = self.next(buffer.remaining());
        buffer.put_slice(piece);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(self.write(bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(self.write_vectored(parts))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The result of a future that never waits, since the stream never does.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a stream in memory does not wait"),
    }
}

fn tungstenite_server(case: &Case) -> tungstenite::WebSocket<Pipe> {
    tungstenite::WebSocket::from_raw_socket(Pipe::new(case), tungstenite::protocol::Role::Server, None)
}

fn fast_server(case: &Case) -> fastwebsockets::WebSocket<Pipe> {
    fastwebsockets::WebSocket::after_handshake(Pipe::new(case), fastwebsockets::Role::Server)
}

fn tokio_server(case: &Case) -> tokio_websockets::WebSocketStream<Pipe> {
    tokio_websockets::ServerBuilder::new().serve(Pipe::new(case))
}

pub(super) fn decode(case: &Case) -> Vec<Contender<'_>> {
    let mut tungstenite = tungstenite_server(case);
    let mut fast = FragmentCollector::new(fast_server(case));
    let mut tokio = tokio_server(case);
    let (mut sans_io, mut buffer) = (WebsocketFrameDecoder::new(), Vec::new());
    vec![
        Contender::new("tungstenite", move || tungstenite.read().expect("a message")),
        Contender::new("fastwebsockets", move || now(fast.read_frame()).expect("a frame").payload.len()),
        Contender::new("tokio-websockets", move || {
            let next = Pin::new(&mut tokio).poll_next(&mut Context::from_waker(Waker::noop()));
            match next {
                Poll::Ready(Some(Ok(message))) => message,
                other => panic!("{other:?}"),
            }
        }),
        // It finds frames only: that a text is UTF-8 is left to its user, and done here.
        Contender::new("websocket-sans-io", move || {
            buffer.clear();
            buffer.extend_from_slice(&case.frame);
            let mut rest = &mut buffer[..];
            let mut len = 0;
            loop {
                let result = sans_io.add_data(rest).expect("no error");
                let (done, after) = rest.split_at_mut(result.consumed_bytes);
                rest = after;
                match result.event {
                    Some(WebsocketFrameEvent::PayloadChunk { original_opcode: Opcode::Text }) => {
                        len += std::str::from_utf8(done).expect("UTF-8").len();
                    }
                    Some(WebsocketFrameEvent::PayloadChunk { .. }) => len += done.len(),
                    Some(WebsocketFrameEvent::End { .. }) => return len,
                    _ => {}
                }
            }
        }),
    ]
}

pub(super) fn encode(case: &Case) -> Vec<Contender<'_>> {
    let mut tungstenite = tungstenite_server(case);
    let mut fast = fast_server(case);
    let mut tokio = tokio_server(case);
    // Large frames are written in two slices; small ones are faster so too, as long as nothing is behind the socket.
    fast.set_writev_threshold(0);
    let (mut sans_io, mut socket) = (WebsocketFrameEncoder::new(), super::Socket::default());
    let (payload, text) = (bytes::Bytes::from(case.payload.clone()), case.text.clone());
    let message = if case.is_text() {
        tungstenite::Message::Text(text.clone().into())
    } else {
        tungstenite::Message::Binary(payload.clone())
    };
    let other =
        if case.is_text() { tokio_websockets::Message::text(text) } else { tokio_websockets::Message::binary(payload) };
    vec![
        Contender::new("tungstenite", move || tungstenite.send(message.clone()).expect("room")),
        Contender::new("fastwebsockets", move || {
            let payload = Payload::Borrowed(&case.payload);
            let frame = if case.is_text() { Frame::text(payload) } else { Frame::binary(payload) };
            now(fast.write_frame(frame)).expect("room");
        }),
        Contender::new("tokio-websockets", move || {
            let mut context = Context::from_waker(Waker::noop());
            let mut sink = Pin::new(&mut tokio);
            assert!(sink.as_mut().poll_ready(&mut context).is_ready());
            sink.as_mut().start_send(other.clone()).expect("room");
            assert!(sink.poll_flush(&mut context).is_ready());
        }),
        Contender::new("websocket-sans-io", move || {
            let opcode = if case.is_text() { Opcode::Text } else { Opcode::Binary };
            let payload_length = case.payload.len() as u64;
            let info = FrameInfo { opcode, payload_length, mask: None, fin: true, reserved: 0 };
            socket.write(&sans_io.start_frame(&info), &case.payload);
        }),
    ]
}

/// What a server of each peer holds after it has read and sent the same messages as ours; without its stream.
pub(super) fn memory(report: &mut Report) {
    let cases = [Case::new(super::Kind::Ascii, 600), Case::new(super::Kind::Binary, 64 * 1024)];
    let stream = |case: &Case| {
        let (kept, counted) = alloc::measure(|| Box::new(Pipe::new(case)));
        drop(kept);
        counted.live
    };
    let mut figure = |library: &str, live: i64| {
        let own = live - stream(&cases[1]);
        report.figure("idle server", "memory", library, own as f64, "bytes", None);
    };
    let (kept, counted) = alloc::measure(|| {
        let mut server = Box::new(tungstenite_server(&cases[0]));
        for case in &cases {
            server.get_mut().frame.clone_from(&case.frame);
            drop(server.read().expect("a message"));
            server.send(tungstenite::Message::Binary(case.payload.clone().into())).expect("room");
        }
        server
    });
    figure("tungstenite", counted.live);
    drop(kept);
    let (kept, counted) = alloc::measure(|| {
        let mut server = Box::new(tokio_server(&cases[0]));
        let mut context = Context::from_waker(Waker::noop());
        for case in &cases {
            server.get_mut().frame.clone_from(&case.frame);
            assert!(Pin::new(&mut *server).poll_next(&mut context).is_ready());
            let mut sink = Pin::new(&mut *server);
            assert!(sink.as_mut().poll_ready(&mut context).is_ready());
            sink.as_mut().start_send(tokio_websockets::Message::binary(case.payload.clone())).expect("room");
            assert!(sink.poll_flush(&mut context).is_ready());
        }
        server
    });
    figure("tokio-websockets", counted.live);
    drop(kept);
    let (kept, counted) = alloc::measure(|| {
        let mut server = Box::new(FragmentCollector::new(fast_server(&cases[1])));
        drop(now(server.read_frame()).expect("a frame"));
        now(server.write_frame(Frame::binary(Payload::Borrowed(&cases[1].payload)))).expect("room");
        server
    });
    figure("fastwebsockets", counted.live);
    drop(kept);
    // Its user keeps the buffer.
    let own = size_of::<(WebsocketFrameDecoder, WebsocketFrameEncoder)>();
    report.figure("idle server", "memory", "websocket-sans-io", own as f64, "bytes", None);
}
