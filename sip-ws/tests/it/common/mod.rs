//! What the tests share: hand-made frames, and a client and a server joined back to back on virtual time.
// Each test binary uses its own part; and these helpers are only ever called in tests.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use sip_ws::{Accept, ClientRequest, Config, Connection, Event, Input, Instant, Totals};
use std::time::Duration;

/// The key of the examples in RFC 6455 section 5.7.
pub const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

pub const REQUEST: &str = "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

pub fn at(millis: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(millis)
}

/// A frame from its first byte and payload, as a server sends it.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    encode(first, None, payload)
}

/// A frame as a client sends it.
pub fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    encode(first, Some(MASK), payload)
}

fn encode(first: u8, mask: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
    let bit = if mask.is_some() { 0x80 } else { 0 };
    let mut bytes = vec![first];
    match payload.len() {
        len @ 0..=125 => bytes.push(bit | len as u8),
        len @ 126..=0xffff => {
            bytes.push(bit | 126);
            bytes.extend((len as u16).to_be_bytes());
        }
        len => {
            bytes.push(bit | 127);
            bytes.extend((len as u64).to_be_bytes());
        }
    }
    bytes.extend(mask.iter().flatten());
    let key = mask.unwrap_or_default();
    bytes.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}

/// The payload of a Close frame.
pub fn close_body(code: u16, reason: &str) -> Vec<u8> {
    [&code.to_be_bytes()[..], reason.as_bytes()].concat()
}

/// A frame as read back: first byte, whether masked, unmasked payload.
#[derive(Debug, PartialEq, Eq)]
pub struct Parsed {
    pub first: u8,
    pub mask: Option<[u8; 4]>,
    pub payload: Vec<u8>,
}

/// Cuts bytes into frames; they must be whole.
pub fn parse(mut bytes: &[u8]) -> Vec<Parsed> {
    fn take<'a>(bytes: &mut &'a [u8], count: usize) -> &'a [u8] {
        let (taken, rest) = bytes.split_at(count);
        *bytes = rest;
        taken
    }
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let head = take(&mut bytes, 2);
        let len = match head[1] & 0x7f {
            126 => usize::from(u16::from_be_bytes(take(&mut bytes, 2).try_into().unwrap())),
            127 => u64::from_be_bytes(take(&mut bytes, 8).try_into().unwrap()) as usize,
            short => usize::from(short),
        };
        let mask: Option<[u8; 4]> = (head[1] & 0x80 != 0).then(|| take(&mut bytes, 4).try_into().unwrap());
        let key = mask.unwrap_or_default();
        let payload = take(&mut bytes, len).iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
        frames.push(Parsed { first: head[0], mask, payload });
    }
    frames
}

pub fn feed(connection: &mut Connection, bytes: &[u8]) {
    feed_at(connection, Instant::ZERO, bytes);
}

pub fn feed_at(connection: &mut Connection, now: Instant, bytes: &[u8]) {
    connection.handle_input(now, bytes).expect("room for input");
}

pub fn events(connection: &mut Connection) -> Vec<Event> {
    std::iter::from_fn(|| connection.poll_event()).collect()
}

pub fn output(connection: &mut Connection) -> Vec<u8> {
    std::iter::from_fn(|| connection.poll_transmit()).flatten().collect()
}

/// The end of a connection: its cause's name as counted, and the close code or HTTP status sent. Nothing is left of it.
pub fn end(connection: &mut Connection) -> (&'static str, Option<u16>) {
    let mut totals = Totals::default();
    for event in events(connection) {
        if let Event::Closed(closed) = event {
            totals.record(connection.counters(), &closed);
        }
    }
    let out = output(connection);
    let code = match out.strip_prefix(b"HTTP/1.1 ") {
        Some(head) => std::str::from_utf8(&head[..3]).unwrap().parse().ok(),
        None => {
            let mut frames = parse(&out);
            frames.pop().map(|frame| u16::from_be_bytes([frame.payload[0], frame.payload[1]]))
        }
    };
    let causes: Vec<_> = totals.causes().collect();
    let [(name, 1)] = causes.as_slice() else { panic!("{causes:?}") };
    assert_eq!(totals.ended(name), 1);
    assert!(connection.memory() < 1024, "{}", connection.memory());
    (name, code)
}

/// A server whose handshake is done and whose queues are empty.
pub fn server(config: Config) -> Connection {
    let mut server = Connection::server(Instant::ZERO, config);
    feed(&mut server, REQUEST.as_bytes());
    assert!(matches!(server.poll_event(), Some(Event::Upgrade(_))));
    server.accept(Instant::ZERO, Accept::new()).unwrap();
    assert!(matches!(server.poll_event(), Some(Event::Open(_))));
    assert!(output(&mut server).starts_with(b"HTTP/1.1 101 "));
    server
}

/// A client whose handshake is done and whose queues are empty.
pub fn client(config: Config) -> Connection {
    client_of(config, "")
}

/// The same, with more header fields in the server's answer.
pub fn client_of(config: Config, fields: &str) -> Connection {
    let request = ClientRequest::new("ws://server.example.com/chat".parse().unwrap());
    let mut client = Connection::client(Instant::ZERO, config, &request, [1; 32]).unwrap();
    let head = String::from_utf8(output(&mut client)).unwrap();
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\
         {fields}\r\n",
        accept_of(&head)
    );
    feed(&mut client, answer.as_bytes());
    assert!(matches!(client.poll_event(), Some(Event::Open(_))));
    client
}

/// The `Sec-WebSocket-Accept` that a request asks for, by way of a server.
pub fn accept_of(request: &str) -> String {
    let mut server = Connection::server(Instant::ZERO, Config::default());
    feed(&mut server, request.as_bytes());
    server.accept(Instant::ZERO, Accept::new()).unwrap();
    let answer = String::from_utf8(output(&mut server)).unwrap();
    field(&answer, "Sec-WebSocket-Accept").unwrap()
}

/// The value of a header field.
pub fn field(head: &str, name: &str) -> Option<String> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).map(str::to_owned)
}

/// A client and a server on one virtual clock, joined without loss or delay.
pub struct Pair {
    pub now: Instant,
    pub client: Connection,
    pub server: Connection,
    pub client_events: Vec<Event>,
    pub server_events: Vec<Event>,
}

impl Pair {
    /// Does the handshake too.
    pub fn new(client_config: Config, server_config: Config) -> Self {
        let request = ClientRequest::new("ws://server.example.com/chat".parse().unwrap());
        let client = Connection::client(Instant::ZERO, client_config, &request, [1; 32]).unwrap();
        let server = Connection::server(Instant::ZERO, server_config);
        let mut pair = Self { now: Instant::ZERO, client, server, client_events: vec![], server_events: vec![] };
        pair.settle();
        assert!(pair.client.is_open() && pair.server.is_open());
        pair.client_events.clear();
        pair.server_events.clear();
        pair
    }

    /// Carries bytes until nothing moves.
    pub fn settle(&mut self) {
        loop {
            let to_server = output(&mut self.client);
            let to_client = output(&mut self.server);
            if !to_server.is_empty() {
                feed_at(&mut self.server, self.now, &to_server);
            }
            if !to_client.is_empty() {
                feed_at(&mut self.client, self.now, &to_client);
            }
            let before = self.client_events.len() + self.server_events.len();
            self.client_events.extend(events(&mut self.client));
            for event in events(&mut self.server) {
                if matches!(event, Event::Upgrade(_)) {
                    self.server.accept(self.now, Accept::new()).unwrap();
                }
                self.server_events.push(event);
            }
            if self.server.is_ended() && !self.client.is_ended() && self.server.queued_output() == 0 {
                // The server's host closes the transport.
                self.client.handle_input(self.now, Input::Eof).unwrap();
                continue;
            }
            let moved = self.client_events.len() + self.server_events.len() - before;
            if to_server.is_empty() && to_client.is_empty() && moved == 0 {
                return;
            }
        }
    }

    /// Lets time pass, deadline by deadline.
    pub fn run_to(&mut self, end: Instant) {
        loop {
            self.settle();
            let next = [self.client.next_deadline(), self.server.next_deadline()].into_iter().flatten().min();
            match next.filter(|&next| next <= end) {
                Some(next) => {
                    self.now = self.now.max(next);
                    self.client.handle_timeout(self.now);
                    self.server.handle_timeout(self.now);
                }
                None => break,
            }
        }
        self.now = end;
    }
}

/// Cuts `bytes` at these places (taken modulo its length).
pub fn cut<'a>(bytes: &'a [u8], places: &[usize]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = places.iter().map(|place| place % (bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}
