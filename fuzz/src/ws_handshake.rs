//! Opening handshakes: however the bytes of a head are cut, the same request or answer comes out, the connection ends
//! once, and no more is kept than the limits allow.
//!
//! The first byte of the input chooses the role and the switches, the second how the rest is cut; the rest is what the
//! peer sends. In what a client is sent, `@` stands for the right `Sec-WebSocket-Accept`.

use crate::ws_frames::{assert_ended, cuts};
use sip_ws::{Accept, AcceptError, Answer, ClientRequest, Config, Connection, Deflate, Event, Input, Instant, Misuse};
use std::time::Duration;

/// Runs the target.
pub fn run(data: &[u8]) {
    let [switches, cut, sent @ ..] = data else { return };
    let mut config = if switches & 2 != 0 { Config::sip() } else { Config::default() };
    config.max_head = 1024;
    config.max_head_fields = 16;
    config.serve_http = switches & 4 == 0;
    config.deflate = (switches & 8 != 0).then(Deflate::default);
    let is_client = switches & 1 != 0;
    let mut outcomes = cuts(sent, *cut).into_iter().filter_map(|pieces| {
        let connection = if is_client { client(&config) } else { Connection::server(Instant::ZERO, config.clone()) };
        drive(connection, &pieces, switches & 16 != 0)
    });
    let whole = outcomes.next();
    for other in outcomes {
        assert_eq!(Some(other), whole, "cut otherwise");
    }
}

fn client(config: &Config) -> Connection {
    let url = "ws://example.com/chat".parse().expect("a URI");
    Connection::client(Instant::ZERO, config.clone(), &ClientRequest::new(url), [7; 32]).expect("valid protocols")
}

/// The events; `None` if more came behind a request than may wait for its answer: then it depends on the cut whether the answer was in
/// time.
fn drive(mut connection: Connection, pieces: &[&[u8]], accepts: bool) -> Option<Vec<Event>> {
    let accept = accept_key(&connection);
    let (mut events, mut late, mut came) = (Vec::new(), false, 0);
    let mut answered = |answered: Result<(), Misuse>| match answered {
        Ok(()) => {}
        Err(Misuse::Ended) => late = true,
        Err(error) => panic!("it waits: {error}"),
    };
    let ended = |error| if error == AcceptError::NothingToAccept { Misuse::Ended } else { panic!("it waits: {error}") };
    for piece in pieces {
        let piece = replace(piece, &accept);
        connection.handle_input(Instant::ZERO, &piece[..]).expect("events are taken");
        while let Some(event) = connection.poll_event() {
            match &event {
                Event::Upgrade(_) if accepts => {
                    answered(connection.accept(Instant::ZERO, Accept::new()).map_err(ended));
                }
                Event::Upgrade(_) => answered(connection.answer(Instant::ZERO, Answer::forbidden())),
                Event::Http(head) => {
                    let _ = (head.path(), head.query(), head.cookies().count(), head.content_length());
                    answered(connection.answer(Instant::ZERO, Answer::not_found()));
                }
                _ => {}
            }
            events.push(event);
        }
        while connection.poll_transmit().is_some() {}
        // Behind the head there are frames already: for them there is room in proportion to what has come.
        came += piece.len();
        assert!(connection.memory() < 8 * 1024 + 20 * came, "{} bytes after {came}", connection.memory());
    }
    connection.handle_input(Instant::ZERO, Input::Eof).expect("events are taken");
    connection.handle_timeout(Instant::ZERO + Duration::from_secs(3600));
    events.extend(std::iter::from_fn(|| connection.poll_event()));
    assert_ended(&mut connection, &events);
    (!late).then_some(events)
}

/// What a client with our seed expects; found by letting a server answer it.
fn accept_key(connection: &Connection) -> Vec<u8> {
    if connection.role() == sip_ws::Role::Server {
        return b"@".to_vec();
    }
    let mut client = client(&Config::default());
    let mut server = Connection::server(Instant::ZERO, Config::default());
    while let Some(bytes) = client.poll_transmit() {
        server.handle_input(Instant::ZERO, &bytes[..]).expect("room");
    }
    server.accept(Instant::ZERO, Accept::new()).expect("a request");
    let answer = server.poll_transmit().expect("an answer");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let line = answer.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Accept: "));
    line.expect("an accept").as_bytes().to_vec()
}

fn replace(piece: &[u8], accept: &[u8]) -> Vec<u8> {
    piece.iter().flat_map(|byte| if *byte == b'@' { accept.to_vec() } else { vec![*byte] }).collect()
}
