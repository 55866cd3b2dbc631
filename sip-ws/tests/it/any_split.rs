//! However the bytes of the transport are cut, and in whatever form they come, the events are the same; and so is the
//! output, but that a Pong may overtake an echo that the host has not sent yet.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers too are tests

use crate::common::{Parsed, REQUEST, client, close_body, cut, frame, masked, output, parse};
use bytes::BytesMut;
use proptest::prelude::*;
use sip_ws::{Accept, Config, Connection, Event, Input, Instant, Message, Received};

/// In what form bytes are handed in.
#[derive(Clone, Copy, Debug)]
enum Form {
    Lent,
    Owned,
    InPlace,
}

fn any_form() -> impl Strategy<Value = Form> {
    prop_oneof![Just(Form::Lent), Just(Form::Owned), Just(Form::InPlace)]
}

/// Hands in `bytes`, and `each` event as soon as it is there.
fn hand_in(connection: &mut Connection, bytes: &[u8], form: Form, mut each: impl FnMut(&mut Connection, Event)) {
    let mut own = bytes.to_vec();
    let mut rest = match form {
        Form::Lent => {
            connection.handle_input(Instant::ZERO, Input::Bytes(bytes)).expect("room");
            &mut []
        }
        Form::Owned => {
            connection.handle_input(Instant::ZERO, Input::Owned(BytesMut::from(bytes))).expect("room");
            &mut []
        }
        Form::InPlace => &mut own[..],
    };
    loop {
        if let Form::InPlace = form {
            let message;
            (message, rest) = connection.handle_in_place(Instant::ZERO, rest);
            match message {
                Some(Received::Text(text)) => each(connection, Event::Text(text.to_vec().into())),
                Some(Received::Binary(bytes)) => each(connection, Event::Binary(bytes.to_vec().into())),
                Some(other) => panic!("{other:?}"),
                None => {}
            }
            if message.is_some() {
                continue;
            }
        }
        while let Some(event) = connection.poll_event() {
            each(connection, event);
        }
        if rest.is_empty() {
            return;
        }
    }
}

/// Feeds a request and then pieces: a client waits for the answer before it sends frames.
fn run_open(pieces: &[&[u8]], form: Form, config: &Config) -> (Vec<Event>, Vec<Parsed>, Vec<Parsed>) {
    let (seen, out) = run(&[&[REQUEST.as_bytes()], pieces].concat(), form, config);
    let head = out.windows(4).position(|end| end == b"\r\n\r\n").map_or(0, |at| at + 4);
    let (pongs, others) = parse(&out[head..]).into_iter().partition(|frame| frame.first == 0x8a);
    (seen, pongs, others)
}

/// Feeds pieces; echoes messages; returns all events and all output.
fn run(pieces: &[&[u8]], form: Form, config: &Config) -> (Vec<Event>, Vec<u8>) {
    let mut server = Connection::server(Instant::ZERO, config.clone());
    let (mut seen, mut out) = (Vec::new(), Vec::new());
    for piece in pieces {
        hand_in(&mut server, piece, form, |server, event| {
            match &event {
                Event::Upgrade(_) => server.accept(Instant::ZERO, Accept::new()).expect("waiting"),
                Event::Text(text) => drop(server.send(Instant::ZERO, Message::Text(text.clone()))),
                Event::Binary(bytes) => drop(server.send(Instant::ZERO, Message::Binary(bytes.clone()))),
                _ => {}
            }
            seen.push(event);
        });
        out.extend(output(&mut server));
    }
    (seen, out)
}

/// Feeds pieces to a client; returns all events and all output.
fn run_client(pieces: &[&[u8]], form: Form, config: &Config) -> (Vec<Event>, Vec<u8>) {
    let mut client = client(config.clone());
    let (mut seen, mut out) = (Vec::new(), Vec::new());
    for piece in pieces {
        hand_in(&mut client, piece, form, |_, event| seen.push(event));
        out.extend(output(&mut client));
    }
    (seen, out)
}

/// One frame, mostly valid where it stands, written by `encode`.
fn any_frame(encode: fn(u8, &[u8]) -> Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let payload = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..300),
        "\\PC{0,80}".prop_map(String::into_bytes),
        Just(vec![b'a'; 70_000]),
    ];
    let first = prop_oneof![
        8 => prop_oneof![Just(0x81_u8), Just(0x82)],
        4 => prop_oneof![Just(0x01_u8), Just(0x02), Just(0x00), Just(0x80)],
        3 => prop_oneof![Just(0x89_u8), Just(0x8a)],
        1 => any::<u8>(),
    ];
    (first, payload).prop_map(move |(first, payload)| {
        let is_control = first & 0x08 != 0;
        let payload = if is_control { &payload[..payload.len().min(125)] } else { &payload[..] };
        match first {
            0x88 => encode(first, &close_body(1000, "end")),
            first => encode(first, payload),
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn frames(
        frames in proptest::collection::vec(any_frame(masked), 1..12),
        places in proptest::collection::vec(any::<usize>(), 0..20),
        form in any_form(),
    ) {
        let mut config = Config::default();
        config.control_rate = None;
        config.max_message = 100_000;
        let bytes = frames.concat();
        let whole = run_open(&[&bytes], Form::Lent, &config);
        prop_assert_eq!(&run_open(&cut(&bytes, &places), form, &config), &whole);
    }

    #[test]
    fn frames_of_a_server(
        frames in proptest::collection::vec(any_frame(frame), 1..12),
        places in proptest::collection::vec(any::<usize>(), 0..20),
        form in any_form(),
    ) {
        let mut config = Config::default();
        config.control_rate = None;
        config.max_message = 100_000;
        let bytes = frames.concat();
        let whole = run_client(&[&bytes], Form::Lent, &config);
        prop_assert_eq!(&run_client(&cut(&bytes, &places), form, &config), &whole);
    }

    #[test]
    fn one_byte_at_a_time(frames in proptest::collection::vec(any_frame(masked), 1..4), form in any_form()) {
        let config = Config::default();
        let bytes = frames.concat();
        let whole = run_open(&[&bytes], Form::Owned, &config);
        prop_assert_eq!(&run_open(&bytes.chunks(1).collect::<Vec<_>>(), form, &config), &whole);
    }

    #[test]
    fn heads(
        head in "(GET|POST) /[a-z]{0,5} HTTP/1\\.[01]\r\n((Host|Upgrade|Connection|X-Y): (a|websocket|Upgrade)\r?\n){0,5}\r\n(abc)?|~(abc)?",
        places in proptest::collection::vec(any::<usize>(), 0..8),
        form in any_form(),
    ) {
        let config = Config::default();
        let head = head.replace("~", REQUEST);
        let whole = run(&[head.as_bytes()], Form::Owned, &config);
        prop_assert_eq!(run(&cut(head.as_bytes(), &places), form, &config), whole);
    }

    #[test]
    fn any_bytes(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        places in proptest::collection::vec(any::<usize>(), 0..8),
        form in any_form(),
    ) {
        let config = Config::default();
        prop_assert_eq!(run_open(&cut(&bytes, &places), form, &config), run_open(&[&bytes], Form::Owned, &config));
    }
}
