//! The echo server that the Autobahn test suite's fuzzing client talks to: `autobahn_server 127.0.0.1:9001`.
//!
//! It is the plainest host a connection can have: a thread and a blocking socket for each.
// A host has sockets, threads, a clock and a terminal.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::print_stdout, clippy::print_stderr)]

use sip_ws::{Accept, Config, Connection, Event, Input, Instant, Message};
use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::Arc,
    time::Duration,
};

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".into());
    let config = Arc::new(config());
    let listener = TcpListener::bind(&address)?;
    println!("listening on {}", listener.local_addr()?);
    for socket in listener.incoming() {
        let config = Arc::clone(&config);
        let socket = socket?;
        std::thread::spawn(move || {
            if let Err(error) = serve(socket, config) {
                eprintln!("{error}");
            }
        });
    }
    Ok(())
}

/// The suite sends messages of 16 MiB, in up to 262,144 frames.
fn config() -> Config {
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

fn serve(mut socket: TcpStream, config: Arc<Config>) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let epoch = std::time::Instant::now();
    let now = || Instant::from_std(epoch, std::time::Instant::now());
    let mut connection = Connection::server(now(), config);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let mut ended = false;
        while let Some(event) = connection.poll_event() {
            match event {
                Event::Upgrade(_) => connection.accept(now(), Accept::new()).map_err(io::Error::other)?,
                Event::Text(text) => echo(&mut connection, now(), Message::Text(text))?,
                Event::Binary(bytes) => echo(&mut connection, now(), Message::Binary(bytes))?,
                Event::Closed(_) => ended = true,
                _ => {}
            }
        }
        while let Some(bytes) = connection.poll_transmit() {
            socket.write_all(&bytes)?;
        }
        if ended {
            return hang_up(&mut socket, &mut buffer);
        }
        let wait = connection.next_deadline().map(|deadline| deadline.saturating_duration_since(now()));
        socket.set_read_timeout(wait.map(|wait| wait.max(Duration::from_millis(1))))?;
        match socket.read(&mut buffer) {
            Ok(0) => connection.handle_input(now(), Input::Eof).map_err(io::Error::other)?,
            Ok(count) => connection
                .handle_input(now(), buffer.get(..count).unwrap_or_default())
                .map_err(|error| io::Error::other(error.to_string()))?,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                connection.handle_timeout(now());
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => connection.handle_input(now(), Input::Eof).map_err(io::Error::other)?,
        }
    }
}

/// A closing handshake may have begun while the message was on its way: then it is dropped.
fn echo(connection: &mut Connection, now: Instant, message: Message) -> io::Result<()> {
    match connection.send(now, message) {
        Err(error) if connection.is_open() => Err(io::Error::other(error)),
        _ => Ok(()),
    }
}

/// RFC 6455 section 7.1.1: a clean end is a half-close, then reading until the peer has closed too.
fn hang_up(socket: &mut TcpStream, buffer: &mut [u8]) -> io::Result<()> {
    socket.shutdown(Shutdown::Write)?;
    socket.set_read_timeout(Some(Duration::from_secs(2)))?;
    while matches!(socket.read(buffer), Ok(count) if count > 0) {}
    Ok(())
}
