//! What overload costs: a request that is turned away at a limit takes no memory.
#![allow(unsafe_code, reason = "an allocator that counts")]
#![allow(clippy::expect_used, reason = "tests stop at what they did not expect")]

use sip_message::{Message, StatusCode};
use sip_transaction::{Endpoint, EndpointConfig, Event, FlowId, Input, InputError, Instant, Transport};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::SocketAddr;

thread_local! {
    /// How often this thread has asked for memory, and what it holds.
    static ASKED: Cell<(u64, i64)> = const { Cell::new((0, 0)) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count(calls: u64, bytes: i64) {
    // Gone at the end of a thread, when nobody counts any more.
    let _ = ASKED.try_with(|asked| asked.set((asked.get().0 + calls, asked.get().1 + bytes)));
}

// SAFETY: every call goes to the system's allocator as it came; what is counted touches no memory of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size() as i64);
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(1, new_size as i64 - layout.size() as i64);
        // SAFETY: the caller keeps the contract.
        unsafe { System.realloc(memory, layout, new_size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(0, -(layout.size() as i64));
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(memory, layout) }
    }
}

struct Counted {
    calls: u64,
    live: i64,
}

fn measure<T>(work: impl FnOnce() -> T) -> (T, Counted) {
    let before = ASKED.get();
    let result = work();
    let after = ASKED.get();
    (result, Counted { calls: after.0 - before.0, live: after.1 - before.1 })
}

fn request(method: &str, branch: usize, more: &str) -> String {
    format!(
        "{method} sip:bob@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK{branch};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: {branch}\r\n\
         CSeq: 1 {method}\r\n{more}Content-Length: 0\r\n\r\n"
    )
}

struct Full {
    endpoint: Endpoint,
    socket: FlowId,
    remote: SocketAddr,
}

impl Full {
    /// An endpoint with as many transactions as it takes.
    fn new() -> Full {
        let mut config = EndpointConfig::default();
        config.limits.transactions = Some(10);
        let mut endpoint = Endpoint::new(config.into(), [5; 32]);
        let socket = endpoint.bind(Transport::Udp, ([192, 0, 2, 2], 5060).into()).expect("a socket");
        let mut full = Full { endpoint, socket, remote: ([192, 0, 2, 7], 5060).into() };
        for branch in 0..10 {
            full.give(&request("OPTIONS", branch, "")).expect("there is room");
        }
        while let Some(event) = full.endpoint.poll_event() {
            assert!(matches!(event, Event::Request { .. }));
        }
        full
    }

    fn give(&mut self, text: &str) -> Result<(), InputError> {
        let input = Input::Datagram { flow: self.socket, remote: self.remote, bytes: text.as_bytes() };
        self.endpoint.handle_input(Instant::ZERO, input)
    }

    fn drain(&mut self) -> usize {
        let mut answers = 0;
        while let Some(transmit) = self.endpoint.poll_transmit() {
            answers += usize::from(transmit.bytes.starts_with(b"SIP/2.0 503 "));
        }
        answers
    }
}

#[test]
fn a_request_that_is_turned_away_takes_no_memory() {
    let mut full = Full::new();
    // Alike, with more header fields than a message holds by itself, and with a Via that is not of the usual form.
    let many = "Subject: one of many\r\n".repeat(60);
    let sent: Vec<String> = (100..300)
        .map(|branch| match branch % 3 {
            0 => request("INVITE", branch, ""),
            1 => request("OPTIONS", branch, &many),
            _ => {
                request("MESSAGE", branch, "").replace(";rport", " ;received=1.2.3.4\r\n ;rport , SIP/2.0/UDP a;rport")
            }
        })
        .collect();
    let flood = |full: &mut Full, drained: bool| {
        let mut answers = 0;
        for text in &sent {
            assert!(matches!(full.give(text), Err(InputError::Overload)));
            if drained {
                answers += full.drain();
            }
        }
        answers + full.drain()
    };
    // The first finds nothing ready.
    flood(&mut full, true);
    let (answers, counted) = measure(|| flood(&mut full, true));
    assert_eq!((counted.calls, counted.live), (0, 0), "drained after each");
    assert_eq!(answers, 200, "each is answered");
    // Answers that nobody takes out of the queue do not pile up either.
    let (answers, counted) = measure(|| flood(&mut full, false));
    assert_eq!(counted.calls, 0, "not drained");
    assert_eq!(answers, 64, "as many as may wait");
    let (answers, counted) = measure(|| flood(&mut full, true));
    assert_eq!((counted.calls, counted.live, answers), (0, 0, 200), "drained again");
    assert_eq!(full.endpoint.transactions(), 10);
    // What cannot be read is worked on for longer, but leaves nothing either.
    let broken: Vec<String> = (400..500).map(|branch| request("MESSAGE", branch, "Broken\r\n")).collect();
    let (_, counted) = measure(|| {
        for text in &broken {
            assert!(matches!(full.give(text), Err(InputError::Malformed(_))));
        }
        assert_eq!(std::iter::from_fn(|| full.endpoint.poll_transmit()).count(), 64, "as many as may wait");
    });
    assert_eq!(counted.live, 0);
    // The answer is whole.
    let _ = full.give(&request("INVITE", 7_000, ""));
    let answer = Message::parse(full.endpoint.poll_transmit().expect("an answer").bytes).expect("a response");
    assert_eq!(answer.status(), Some(StatusCode::SERVICE_UNAVAILABLE));
    assert!(answer.has(sip_message::Header::RetryAfter) && answer.to().is_ok_and(|to| matches!(to.tag(), Ok(Some(_)))));
}

#[test]
fn a_request_that_is_turned_away_on_a_connection_takes_no_memory() {
    for transport in [Transport::Tcp, Transport::Ws] {
        let mut full = Full::new();
        let local = ([192, 0, 2, 2], 5060).into();
        let flow = full.endpoint.accept(transport, local, full.remote).expect("a connection");
        let texts: Vec<String> =
            (100..300).map(|n| request("INVITE", n, "").replace("/UDP ", &format!("/{} ", transport.via()))).collect();
        let flood = |full: &mut Full| {
            let mut answers = 0;
            for (nth, text) in texts.iter().enumerate() {
                let text = text.as_bytes();
                let (first, second) = text.split_at(nth % 150);
                let result = if transport.is_stream() {
                    // In two pieces, which the decoder puts together.
                    full.endpoint
                        .handle_input(Instant::ZERO, Input::Stream { flow, bytes: first })
                        .expect("half of one");
                    full.endpoint.handle_input(Instant::ZERO, Input::Stream { flow, bytes: second })
                } else {
                    full.endpoint.handle_input(Instant::ZERO, Input::Message { flow, bytes: text })
                };
                assert!(matches!(result, Err(InputError::Overload)), "{result:?}");
                answers += full.drain();
            }
            answers
        };
        // The first finds nothing ready.
        assert_eq!(flood(&mut full), 200);
        let (answers, counted) = measure(|| flood(&mut full));
        assert_eq!((counted.calls, counted.live), (0, 0), "{transport:?}");
        assert_eq!(answers, 200, "each is answered");
        // Over a connection nothing is sent again: all are answered, whatever the host takes out of the queue.
        for text in &texts {
            let bytes = text.as_bytes();
            let input = match transport.is_stream() {
                true => Input::Stream { flow, bytes },
                false => Input::Message { flow, bytes },
            };
            assert!(matches!(full.endpoint.handle_input(Instant::ZERO, input), Err(InputError::Overload)));
        }
        assert_eq!(full.drain(), 200);
        assert_eq!(full.endpoint.transactions(), 10);
    }
}
