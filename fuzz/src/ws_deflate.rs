//! permessage-deflate: what one end compresses the other inflates to the same bytes, for every agreement; and any bytes
//! in the place of compressed data end in a message within the limit or in a refusal.
//!
//! The first byte of the input chooses the windows and contexts, the second how messages are cut; the rest is the
//! messages, or the compressed data.

use crate::ws_frames::{carry, open};
use sip_ws::{Config, Connection, Deflate, Event, Instant};

/// Runs the target.
pub fn run(data: &[u8]) {
    let [switches, cut, rest @ ..] = data else { return };
    let mut deflate = Deflate::default();
    deflate.min_size = 0;
    deflate.send_context = switches & 8 != 0;
    deflate.receive_context = switches & 16 != 0;
    deflate.send_window_bits = 8 + (switches & 7);
    deflate.receive_window_bits = 15 - (switches & 7);
    deflate.level = 1 + (switches >> 5);
    let mut config = Config::default();
    config.deflate = Some(deflate);
    round_trip(&config, rest, usize::from(*cut).max(1));
    config.max_message = 4096;
    inflate(&config, rest, usize::from(*cut).max(1));
}

/// Each chunk is a message, sent both ways.
fn round_trip(config: &Config, data: &[u8], cut: usize) {
    let (mut client, mut server) = open(config);
    for message in data.chunks(cut).take(6) {
        send(&mut client, &mut server, message);
        send(&mut server, &mut client, message);
    }
}

fn send(from: &mut Connection, to: &mut Connection, message: &[u8]) {
    from.send_binary(Instant::ZERO, message).expect("room");
    carry(from, to);
    assert_eq!(to.poll_event(), Some(Event::Binary(message.to_vec().into())));
}

/// The bytes are the payload of compressed frames to a client, whose peer need not mask.
fn inflate(config: &Config, data: &[u8], cut: usize) {
    let (mut client, _) = open(config);
    let mut first = 0x41;
    let mut chunks = data.chunks(cut.min(125)).peekable();
    while let Some(chunk) = chunks.next() {
        let fin = if chunks.peek().is_none() { 0x80 } else { 0 };
        let frame = [&[first | fin, chunk.len() as u8], chunk].concat();
        client.handle_input(Instant::ZERO, &frame[..]).expect("room");
        first = 0x00;
    }
    assert!(client.memory() < 64 * 1024 + 5 * 4096, "{} bytes", client.memory());
    for event in std::iter::from_fn(|| client.poll_event()) {
        if let Event::Text(text) = event {
            assert!(text.len() <= config.max_message && std::str::from_utf8(&text).is_ok());
        }
    }
}
