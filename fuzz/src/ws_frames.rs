//! Frames on an open connection: however the bytes are cut, and lent, given or read in place, the same events come out, the connection
//! ends once, and no more is kept than the limits allow.
//!
//! The first byte of the input chooses the role and the switches, the second how the rest is cut; the rest is what the
//! peer sends.

use sip_ws::{Accept, ClientRequest, Config, Connection, Deflate, Event, Input, Instant, Message, Received};
use std::time::Duration;

/// Runs the target.
pub fn run(data: &[u8]) {
    let [switches, cut, sent @ ..] = data else { return };
    let mut config = if switches & 2 != 0 { Config::sip() } else { Config::default() };
    config.max_frame = 512;
    config.max_message = 1024;
    config.max_fragments = 8;
    config.max_queued_output = 2048;
    config.fragment_size = (switches & 4 != 0).then_some(100);
    config.control_rate = (switches & 16 != 0).then_some(1);
    config.deflate = (switches & 8 != 0).then(|| {
        let mut deflate = Deflate::default();
        deflate.send_context = true;
        deflate.receive_context = true;
        deflate
    });
    let mut outcomes = cuts(sent, *cut).into_iter().enumerate().map(|(i, pieces)| {
        let (client, server) = open(&config);
        drive(if switches & 1 != 0 { client } else { server }, &pieces, i, &config)
    });
    let whole = outcomes.next();
    for other in outcomes {
        assert_eq!(Some(other), whole, "cut otherwise");
    }
}

/// A client and a server after their handshake.
pub(crate) fn open(config: &Config) -> (Connection, Connection) {
    let url = "ws://example.com/chat".parse().expect("a URI");
    let mut client =
        Connection::client(Instant::ZERO, config.clone(), &ClientRequest::new(url), [7; 32]).expect("valid protocols");
    let mut server = Connection::server(Instant::ZERO, config.clone());
    carry(&mut client, &mut server);
    server.accept(Instant::ZERO, Accept::new()).expect("a request");
    carry(&mut server, &mut client);
    for end in [&mut client, &mut server] {
        while end.poll_event().is_some() {}
        assert!(end.is_open());
    }
    (client, server)
}

/// Carries what `from` has to send.
pub(crate) fn carry(from: &mut Connection, to: &mut Connection) {
    while let Some(bytes) = from.poll_transmit() {
        to.handle_input(Instant::ZERO, &bytes[..]).expect("room");
    }
}

/// `form`: which of the three ways bytes are handed in.
fn drive(mut connection: Connection, pieces: &[&[u8]], form: usize, config: &Config) -> Vec<Event> {
    let deflate = if config.deflate.is_some() { 400_000 } else { 0 };
    let mut events = Vec::new();
    for piece in pieces {
        let mut own = piece.to_vec();
        let mut rest = &mut own[..];
        if form % 3 != 2 {
            rest = &mut [];
            let input = if form % 3 == 1 { Input::Owned((*piece).into()) } else { Input::Bytes(piece) };
            connection.handle_input(Instant::ZERO, input).expect("events are taken");
        }
        loop {
            let message;
            (message, rest) = connection.handle_in_place(Instant::ZERO, rest);
            let message = message.map(|message| match message {
                Received::Text(text) => Event::Text(text.to_vec().into()),
                Received::Sip(bytes) => Event::Sip(bytes.to_vec().into()),
                Received::Binary(bytes) => Event::Binary(bytes.to_vec().into()),
                other => panic!("{other:?}"),
            });
            let Some(event) = message.or_else(|| connection.poll_event()) else {
                if rest.is_empty() {
                    break;
                }
                continue;
            };
            match &event {
                // The peer reads nothing: at some time this is refused.
                Event::Text(text) => drop(connection.send(Instant::ZERO, Message::Text(text.clone()))),
                Event::Binary(bytes) => drop(connection.send(Instant::ZERO, Message::Binary(bytes.clone()))),
                Event::Sip(bytes) => drop(connection.send_sip(Instant::ZERO, bytes.clone())),
                _ => {}
            }
            if let Event::Text(bytes) | Event::Binary(bytes) | Event::Sip(bytes) = &event {
                assert!(bytes.len() <= config.max_message);
            }
            if let Event::Text(text) = &event {
                assert!(std::str::from_utf8(text).is_ok());
            }
            events.push(event);
        }
        assert!(connection.memory() < 24 * 1024 + deflate, "{} bytes", connection.memory());
    }
    connection.handle_input(Instant::ZERO, Input::Eof).expect("events are taken");
    connection.handle_timeout(Instant::ZERO + Duration::from_secs(3600));
    events.extend(std::iter::from_fn(|| connection.poll_event()));
    while connection.poll_transmit().is_some() {}
    assert_ended(&mut connection, &events);
    events
}

/// One terminal event, the last; then nothing.
pub(crate) fn assert_ended(connection: &mut Connection, events: &[Event]) {
    while connection.poll_transmit().is_some() {}
    let ends = events.iter().filter(|event| matches!(event, Event::Closed(_))).count();
    assert!(ends == 1 && matches!(events.last(), Some(Event::Closed(_))), "{events:?}");
    assert!(connection.is_ended());
    assert_eq!((connection.poll_timeout(), connection.poll_event()), (None, None));
    assert!(connection.memory() < 2048, "{} bytes are left", connection.memory());
}

/// `data` whole, byte by byte, in chunks, and cut in two.
pub(crate) fn cuts(data: &[u8], cut: u8) -> Vec<Vec<&[u8]>> {
    let (before, behind) = data.split_at(usize::from(cut) * data.len() / 256);
    vec![vec![data], data.chunks(1).collect(), data.chunks(usize::from(cut).max(1)).collect(), vec![before, behind]]
}
