//! The echo client that the Autobahn test suite's fuzzing server talks to: `autobahn_client ws://127.0.0.1:9001`.
//!
//! It asks for the number of cases, runs each, and has the reports written.
// A host has sockets, threads, a clock and a terminal.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::print_stdout, clippy::print_stderr)]

use sip_ws::{ClientRequest, Config, Connection, Event, Input, Instant, Message, Url};
use std::{
    error::Error,
    io::{self, Read, Write},
    net::TcpStream,
    sync::Arc,
    time::Duration,
};

const AGENT: &str = "sip-ws";

fn main() -> Result<(), Box<dyn Error>> {
    let base = std::env::args().nth(1).unwrap_or_else(|| "ws://127.0.0.1:9001".into());
    let config = Arc::new(config());
    let mut count = 0_u32;
    run(&format!("{base}/getCaseCount"), &config, 0, &mut |text| count = text.parse().unwrap_or_default())?;
    println!("{count} cases");
    for case in 1..=count {
        let url = format!("{base}/runCase?case={case}&agent={AGENT}");
        if let Err(error) = run(&url, &config, case, &mut |_| {}) {
            println!("case {case}: {error}");
        }
    }
    run(&format!("{base}/updateReports?agent={AGENT}"), &config, 0, &mut |_| {})
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

/// Opens a connection and echoes messages until it ends. Case 0 is no case: its messages are for us.
fn run(url: &str, config: &Arc<Config>, case: u32, hear: &mut dyn FnMut(&str)) -> Result<(), Box<dyn Error>> {
    let url: Url = url.parse()?;
    let mut socket = TcpStream::connect((url.host(), url.port()))?;
    socket.set_nodelay(true)?;
    let epoch = std::time::Instant::now();
    let now = || Instant::from_std(epoch, std::time::Instant::now());
    let mut connection = Connection::client(now(), Arc::clone(config), &ClientRequest::new(url), seed(case))?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let mut ended = false;
        while let Some(event) = connection.poll_event() {
            match event {
                Event::Text(text) if case == 0 => hear(&String::from_utf8_lossy(&text)),
                Event::Text(text) => echo(&mut connection, now(), Message::Text(text))?,
                Event::Binary(bytes) => echo(&mut connection, now(), Message::Binary(bytes))?,
                Event::Closed(_) => ended = true,
                _ => {}
            }
        }
        while let Some(bytes) = connection.poll_transmit() {
            if socket.write_all(&bytes).is_err() {
                break;
            }
        }
        if ended {
            return Ok(());
        }
        let wait = connection.next_deadline().map(|deadline| deadline.saturating_duration_since(now()));
        socket.set_read_timeout(wait.map(|wait| wait.max(Duration::from_millis(1))))?;
        let taken = match socket.read(&mut buffer) {
            Ok(0) => connection.handle_input(now(), Input::Eof),
            Ok(count) => connection.handle_input(now(), buffer.get(..count).unwrap_or_default()),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                connection.handle_timeout(now());
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(_) => connection.handle_input(now(), Input::Eof),
        };
        taken.map_err(|error| error.to_string())?;
    }
}

/// A closing handshake may have begun while the message was on its way: then it is dropped.
fn echo(connection: &mut Connection, now: Instant, message: Message) -> Result<(), Box<dyn Error>> {
    match connection.send(now, message) {
        Err(error) if connection.is_open() => Err(error.into()),
        _ => Ok(()),
    }
}

/// Good enough against a test suite; a real client takes its seed from the operating system.
fn seed(case: u32) -> [u8; 32] {
    let mut seed = [0x5a; 32];
    for (slot, byte) in seed.iter_mut().zip(case.to_be_bytes()) {
        *slot = byte;
    }
    seed
}
