//! The echo server that the Autobahn test suite's fuzzing client talks to: `autobahn_server 127.0.0.1:9001`.
//!
//! It is the plainest host a connection can have: a thread and a blocking socket for each.
// A host has sockets, threads, a clock and a terminal.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::print_stdout, clippy::print_stderr)]

mod echo;

use sip_ws::{Accept, Answer, Config, Connection, Event, Instant};
use std::{
    io::{self, Read},
    net::{Shutdown, TcpListener, TcpStream},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

const USAGE: &str = "\
usage: autobahn_server [ADDRESS]

Sends back every WebSocket message it receives. ADDRESS is 127.0.0.1:9001 unless given; port 0 takes any free port.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let address = match arguments.as_slice() {
        [] => "127.0.0.1:9001",
        [help] if help == "--help" || help == "-h" => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        [address] if !address.starts_with('-') => address,
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match listen(address) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("autobahn_server: cannot listen on {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn listen(address: &str) -> io::Result<()> {
    let config = Arc::new(echo::config());
    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    for socket in listener.incoming() {
        let config = Arc::clone(&config);
        std::thread::spawn(move || {
            if let Err(error) = socket.and_then(|socket| serve(socket, config)) {
                eprintln!("autobahn_server: {error}");
            }
        });
    }
    Ok(())
}

fn serve(mut socket: TcpStream, config: Arc<Config>) -> io::Result<()> {
    let connection = Connection::server(Instant::ZERO, config);
    echo::run(connection, &mut socket, |connection, now, event| match event {
        Event::Upgrade(_) => connection.accept(now, Accept::new()).map_err(io::Error::other),
        Event::Http(_) => connection.answer(now, Answer::upgrade_required()).map_err(io::Error::other),
        event => echo::echo(connection, now, event),
    })?;
    // RFC 6455 section 7.1.1: a clean end is a half-close, then reading until the peer has closed too.
    socket.shutdown(Shutdown::Write)?;
    socket.set_read_timeout(Some(Duration::from_secs(2)))?;
    let mut rest = [0; 4096];
    while matches!(socket.read(&mut rest), Ok(count) if count > 0) {}
    Ok(())
}
