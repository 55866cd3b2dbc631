//! Group `ws`. WebSocket frames decoded and encoded, masks, and the memory of an idle connection.
//!
//! One operation is one message. To decode, each library reads its frame from a stream in memory, in reads of its kind:
//! copies out of a template. Ours leaves bytes that it is lent as they are, so that a host whose bytes are in memory
//! already (of TLS, or of another program) needs no such copy: that is its first row. In "read first" and "in place" its
//! host reads into a buffer of [`READ`] bytes, again and again. Each library hands out a message that may be kept, but
//! for "in place" and `websocket-sans-io`, which leave it in the buffer that was read if it fits there.
//!
//! To encode, a message is handed to a socket that takes it as it is, in one slice or two, and copies nothing: what a
//! kernel does then is the same for all. A library that copies on the way shows it.

#[cfg(feature = "ws-peers")]
mod peers;

use crate::alloc;
use crate::report::{Contender, Report};
use bytes::{Bytes, BytesMut};
use sip_ws::{Accept, ClientRequest, Config, Connection, Event, Input, Instant, Message, Received};
use std::hint::black_box;

const OURS: &str = "sip-ws";
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// The buffer that a host of ours reads into: it stays in the nearest cache.
const READ: usize = 8 * 1024;

/// What a message consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Ascii,
    Mixed,
    Binary,
}

/// A message, and its frame as a client sends it.
#[derive(Clone, Debug)]
struct Case {
    name: String,
    kind: Kind,
    payload: Vec<u8>,
    /// The payload again, if it is text.
    text: String,
    frame: Vec<u8>,
}

impl Case {
    fn new(kind: Kind, size: usize) -> Self {
        let (name, unit): (_, &[u8]) = match kind {
            Kind::Ascii => ("ASCII text", b"Via: SIP/2.0/WSS df7jal23ls0d.invalid;branch=z9hG4bKasudf\r\n"),
            Kind::Mixed => ("mixed text", "From: \"Ἀλίκη Žižková 李小龍\" <sip:alice@example.com>\r\n".as_bytes()),
            Kind::Binary => ("binary", &[0x00, 0xff, 0x80, 0x7f, 0x13]),
        };
        let mut payload: Vec<u8> = unit.iter().copied().cycle().take(size).collect();
        // Cut between characters, and fill up.
        while kind != Kind::Binary && std::str::from_utf8(&payload).is_err() {
            payload.pop();
        }
        payload.resize(size, b' ');
        let first = if kind == Kind::Binary { 0x82 } else { 0x81 };
        let mut frame = Vec::new();
        put_header(&mut frame, first, 0x80, payload.len());
        frame.extend(KEY);
        frame.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
        let text = String::from_utf8(payload.clone()).unwrap_or_default();
        let size = if size < 1024 { format!("{size} B") } else { format!("{} KiB", size / 1024) };
        Case { name: format!("{size} {name}"), kind, payload, text, frame }
    }

    fn is_text(&self) -> bool {
        self.kind != Kind::Binary
    }
}

fn put_header(out: &mut Vec<u8>, first: u8, mask_bit: u8, len: usize) {
    match len {
        0..=125 => out.extend_from_slice(&[first, mask_bit | len as u8]),
        126..=0xffff => {
            let [high, low] = (len as u16).to_be_bytes();
            out.extend_from_slice(&[first, mask_bit | 126, high, low]);
        }
        _ => {
            out.extend_from_slice(&[first, mask_bit | 127]);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
}

/// Runs the group.
pub fn run(report: &mut Report) {
    let cases: Vec<Case> = [600, 64 * 1024]
        .into_iter()
        .flat_map(|size| [Kind::Ascii, Kind::Mixed, Kind::Binary].map(|kind| Case::new(kind, size)))
        .collect();
    report.heading("decode one masked frame; ratio to copying, unmasking and checking it by hand");
    for case in &cases {
        decode(report, case);
    }
    report.heading("encode one frame as a server; ratio to making its header by hand");
    for case in &cases {
        encode(report, case);
    }
    unmask(report);
    memory(report);
}

fn decode(report: &mut Report, case: &Case) {
    let (mut floor, mut lent, mut read, mut in_place) = (BytesMut::new(), open(), open(), open());
    let (mut buffer, mut other) = (Vec::with_capacity(READ), Vec::with_capacity(READ));
    let mut contenders = vec![
        Contender::new("floor", || decode_by_hand(&mut floor, case)),
        Contender::new(OURS, || take(&mut lent, Input::Bytes(&case.frame))),
        Contender::new("sip-ws, read first", || {
            let (mut message, mut stream) = (None, &case.frame[..]);
            while fill(&mut buffer, &mut stream) {
                read.handle_input(Instant::ZERO, Input::Bytes(&buffer)).expect("room");
                while let Some(event) = read.poll_event() {
                    message = Some(event);
                }
            }
            payload(message)
        }),
        Contender::new("sip-ws, in place", || {
            let (mut len, mut stream) = (0, &case.frame[..]);
            while fill(&mut other, &mut stream) {
                let mut bytes = &mut other[..];
                while !bytes.is_empty() {
                    let (message, rest) = in_place.handle_in_place(Instant::ZERO, bytes);
                    bytes = rest;
                    match message {
                        Some(Received::Text(payload) | Received::Binary(payload)) => len += black_box(payload).len(),
                        Some(other) => panic!("{other:?}"),
                        None => {
                            while let Some(event) = in_place.poll_event() {
                                len += payload(Some(event)).len();
                            }
                        }
                    }
                }
            }
            len
        }),
    ];
    #[cfg(feature = "ws-peers")]
    contenders.extend(peers::decode(case));
    report.compare(&case.name, "decode", &mut contenders);
}

/// One read into a buffer of [`READ`] bytes; false at the end.
fn fill(buffer: &mut Vec<u8>, stream: &mut &[u8]) -> bool {
    let (piece, rest) = stream.split_at(stream.len().min(READ));
    buffer.clear();
    buffer.extend_from_slice(piece);
    *stream = rest;
    !piece.is_empty()
}

fn payload(event: Option<Event>) -> Bytes {
    match event {
        Some(Event::Text(bytes) | Event::Binary(bytes)) => bytes,
        other => panic!("{other:?}"),
    }
}

/// The least that must be done: the frame copied into a buffer of ours, its header read, its payload unmasked in place
/// and, if it is text, checked.
fn decode_by_hand(buffer: &mut BytesMut, case: &Case) -> usize {
    buffer.clear();
    buffer.extend_from_slice(&case.frame);
    let (len, size) = match buffer[1] & 0x7f {
        126 => (usize::from(u16::from_be_bytes([buffer[2], buffer[3]])), 4),
        127 => {
            let mut len = [0; 8];
            len.copy_from_slice(&buffer[2..10]);
            (u64::from_be_bytes(len) as usize, 10)
        }
        len => (usize::from(len), 2),
    };
    let mut key = [0; 4];
    key.copy_from_slice(&buffer[size..size + 4]);
    let payload = &mut buffer[size + 4..size + 4 + len];
    unmask_by_hand(payload, key);
    if case.is_text() { std::str::from_utf8(black_box(payload)).map_or(0, str::len) } else { payload.len() }
}

fn unmask_by_hand(payload: &mut [u8], key: [u8; 4]) {
    let word = u32::from_ne_bytes(key);
    let mut words = payload.chunks_exact_mut(4);
    for slot in &mut words {
        let plain = u32::from_ne_bytes([slot[0], slot[1], slot[2], slot[3]]) ^ word;
        slot.copy_from_slice(&plain.to_ne_bytes());
    }
    for (byte, key) in words.into_remainder().iter_mut().zip(key) {
        *byte ^= key;
    }
}

/// A server that has answered its handshake.
fn open() -> Connection {
    let mut config = Config::default();
    config.max_queued_output = usize::MAX;
    let mut server = Connection::server(Instant::ZERO, config);
    let request = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    server.handle_input(Instant::ZERO, request.as_bytes()).expect("room");
    server.accept(Instant::ZERO, Accept::new()).expect("an upgrade");
    while server.poll_event().is_some() {}
    while server.poll_transmit().is_some() {}
    server
}

/// A client that has got its answer, from a server of ours.
fn open_client() -> Connection {
    let request = ClientRequest::new("ws://a/".parse().expect("a URL"));
    let mut client = Connection::client(Instant::ZERO, Config::default(), &request, [1; 32]).expect("no subprotocols");
    let mut server = Connection::server(Instant::ZERO, Config::default());
    while let Some(bytes) = client.poll_transmit() {
        server.handle_input(Instant::ZERO, &bytes[..]).expect("room");
    }
    server.accept(Instant::ZERO, Accept::new()).expect("an upgrade");
    while let Some(bytes) = server.poll_transmit() {
        client.handle_input(Instant::ZERO, &bytes[..]).expect("room");
    }
    while client.poll_event().is_some() {}
    assert!(client.is_open());
    client
}

fn take(connection: &mut Connection, input: Input<'_>) -> Bytes {
    connection.handle_input(Instant::ZERO, input).expect("room");
    payload(connection.poll_event())
}

fn encode(report: &mut Report, case: &Case) {
    let (mut direct, mut queued) = (open(), open());
    let first = if case.is_text() { 0x81 } else { 0x82 };
    let message = match case.is_text() {
        true => Message::Utf8(case.text.clone().into()),
        false => Message::Binary(case.payload.clone().into()),
    };
    let (mut header, mut socket, mut other) = (Vec::new(), Socket::default(), Socket::default());
    let mut contenders = vec![
        Contender::new("floor", || {
            header.clear();
            put_header(&mut header, first, 0, case.payload.len());
            black_box(header.len() + black_box(&case.payload).len())
        }),
        Contender::new(OURS, || {
            let header = if case.is_text() {
                direct.send_text_header(Instant::ZERO, &case.text)
            } else {
                direct.send_binary_header(Instant::ZERO, &case.payload)
            };
            socket.write(&header.expect("nothing waits"), &case.payload)
        }),
        Contender::new("sip-ws, queued", || {
            queued.send(Instant::ZERO, message.clone()).expect("room");
            while let Some(parts) = queued.poll_transmit_parts() {
                other.write(&parts.header, &parts.payload);
            }
        }),
    ];
    #[cfg(feature = "ws-peers")]
    contenders.extend(peers::encode(case));
    report.compare(&case.name, "encode", &mut contenders);
}

/// A socket that is written two slices at a time, and only counts them.
#[derive(Debug, Default)]
struct Socket {
    written: usize,
}

impl Socket {
    fn write(&mut self, header: &[u8], payload: &[u8]) {
        self.written += black_box(header).len() + black_box(payload).len();
    }
}

/// Unmasking alone, in gigabytes per second: of 64 KiB that stay in the cache.
fn unmask(report: &mut Report) {
    report.heading("unmask 64 KiB in place; ratio to four bytes at a time, which a compiler turns into vectors");
    let [mut floor, mut ours] = [vec![0x5a_u8; 64 * 1024], vec![0x5a_u8; 64 * 1024]];
    #[cfg_attr(not(feature = "ws-peers"), allow(unused_mut, clippy::useless_vec))]
    let mut names = vec!["floor", OURS];
    #[cfg_attr(not(feature = "ws-peers"), allow(unused_mut))]
    let mut contenders = vec![
        Contender::new("floor", move || unmask_by_hand(black_box(&mut floor), KEY)),
        Contender::new(OURS, move || sip_ws::apply_mask(black_box(&mut ours), KEY, 0)),
    ];
    #[cfg(feature = "ws-peers")]
    {
        let mut other = vec![0x5a_u8; 64 * 1024];
        names.push("websocket-sans-io");
        contenders.push(Contender::new("websocket-sans-io", move || {
            websocket_sans_io::apply_mask(KEY, black_box(&mut other), 0);
        }));
    }
    let times = report.time(&mut contenders);
    let floor = times.first().copied().unwrap_or(1.0);
    for (name, ns) in names.iter().zip(times) {
        report.figure("64 KiB", "unmask", name, 65_536.0 / ns, "GB/s", Some(ns / floor));
    }
}

/// What an open connection holds that has exchanged messages and now is idle.
fn memory(report: &mut Report) {
    report.heading("memory of an idle connection behind its handshake and a few messages, all allocations counted");
    let (kept, counted) = alloc::measure(|| {
        let mut server = open();
        for case in [Case::new(Kind::Ascii, 600), Case::new(Kind::Binary, 64 * 1024)] {
            take(&mut server, Input::Bytes(&case.frame));
            server.send_binary(Instant::ZERO, &case.payload).expect("room");
            while server.poll_transmit().is_some() {}
        }
        Box::new(server)
    });
    report.figure("idle server", "memory", OURS, counted.live as f64, "bytes", None);
    drop(kept);
    let (kept, counted) = alloc::measure(|| {
        let mut client = open_client();
        client.send_binary(Instant::ZERO, &[0; 600]).expect("room");
        while client.poll_transmit().is_some() {}
        let mut frame = Vec::new();
        put_header(&mut frame, 0x82, 0, 600);
        frame.resize(frame.len() + 600, 0);
        take(&mut client, Input::Bytes(&frame));
        Box::new(client)
    });
    report.figure("idle client", "memory", OURS, counted.live as f64, "bytes", None);
    drop(kept);
    #[cfg(feature = "ws-peers")]
    peers::memory(report);
}
