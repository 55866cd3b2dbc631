//! What the two echo peers share: their limits, and a host for one connection with one blocking socket.

use sip_ws::{Closed, Config, Connection, Event, Input, Instant, Message};
use std::{
    io::{self, Read, Write},
    net::TcpStream,
    time::Duration,
};

/// Of the Autobahn test suite: it sends messages of 16 MiB, in up to 262,144 frames.
pub(crate) fn config() -> Config {
    let mut config = Config::default();
    config.max_frame = 32 << 20;
    config.max_message = 32 << 20;
    config.max_queued_output = 64 << 20;
    config.max_fragments = 1 << 20;
    config.message_timeout = Duration::from_secs(600);
    #[cfg(feature = "deflate")]
    {
        let mut deflate = sip_ws::Deflate::default();
        deflate.send_context = true;
        deflate.receive_context = true;
        deflate.min_size = 0;
        config.deflate = Some(deflate);
    }
    config
}

/// Runs a connection that was made at [`Instant::ZERO`] to its end. Every event but the last is given to `hear`.
pub(crate) fn run(
    mut connection: Connection,
    socket: &mut TcpStream,
    mut hear: impl FnMut(&mut Connection, Instant, Event) -> io::Result<()>,
) -> io::Result<Closed> {
    let epoch = std::time::Instant::now();
    let now = || Instant::from_std(epoch, std::time::Instant::now());
    socket.set_nodelay(true)?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let mut end = None;
        while let Some(event) = connection.poll_event() {
            match event {
                Event::Closed(closed) => end = Some(*closed),
                event => hear(&mut connection, now(), event)?,
            }
        }
        let mut is_lost = false;
        while let Some(bytes) = connection.poll_transmit() {
            is_lost |= socket.write_all(&bytes).is_err();
        }
        if let Some(closed) = end {
            return Ok(closed);
        }
        let input = if is_lost { Input::Eof } else { read(socket, &mut buffer, connection.next_deadline(), now())? };
        connection.handle_timeout(now());
        connection.handle_input(now(), input).map_err(|error| io::Error::other(error.to_string()))?;
    }
}

/// What the peer sends until `deadline`: nothing is no bytes.
fn read<'a>(
    socket: &mut TcpStream,
    buffer: &'a mut [u8],
    deadline: Option<Instant>,
    now: Instant,
) -> io::Result<Input<'a>> {
    let wait = deadline.map(|deadline| deadline.saturating_duration_since(now).max(Duration::from_millis(1)));
    socket.set_read_timeout(wait)?;
    match socket.read(buffer) {
        Ok(0) => Ok(Input::Eof),
        Ok(count) => Ok(Input::Bytes(buffer.get(..count).unwrap_or_default())),
        Err(error) => match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted => Ok(Input::Bytes(&[])),
            _ => Ok(Input::Eof),
        },
    }
}

/// Sends a message back. A closing handshake may have begun while it was on its way: then it is dropped.
pub(crate) fn echo(connection: &mut Connection, now: Instant, event: Event) -> io::Result<()> {
    let message = match event {
        Event::Text(text) => Message::Text(text),
        Event::Binary(bytes) => Message::Binary(bytes),
        _ => return Ok(()),
    };
    match connection.send(now, message) {
        Err(error) if connection.is_open() => Err(io::Error::other(error)),
        _ => Ok(()),
    }
}
