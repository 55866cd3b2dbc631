//! The echo client that the Autobahn test suite's fuzzing server talks to: `autobahn_client ws://127.0.0.1:9001`.
//!
//! It asks for the number of cases, runs each, and has the reports written.
// A host has sockets, threads, a clock and a terminal.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::print_stdout, clippy::print_stderr)]

mod echo;

use sip_ws::{ClientRequest, Config, Connection, Event, Instant, Url};
use std::{error::Error, net::TcpStream, process::ExitCode, sync::Arc};

const AGENT: &str = "sip-ws";

const USAGE: &str = "\
usage: autobahn_client [URL]

Runs all cases of the Autobahn fuzzing server at URL, which is ws://127.0.0.1:9001 unless given: it sends back every
message. The server writes the report.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let base = match arguments.as_slice() {
        [] => "ws://127.0.0.1:9001",
        [help] if help == "--help" || help == "-h" => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        [url] if !url.starts_with('-') => url.trim_end_matches('/'),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run_all(base) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("autobahn_client: {base}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run_all(base: &str) -> Result<(), Box<dyn Error>> {
    let config = Arc::new(echo::config());
    let mut count = None;
    run(&format!("{base}/getCaseCount"), &config, 0, &mut |text| count = text.parse().ok())?;
    let count: u32 = count.ok_or("the server does not say how many cases it has")?;
    println!("{count} cases");
    for case in 1..=count {
        let url = format!("{base}/runCase?case={case}&agent={AGENT}");
        if let Err(error) = run(&url, &config, case, &mut |_| {}) {
            eprintln!("autobahn_client: case {case}: {error}");
        }
    }
    run(&format!("{base}/updateReports?agent={AGENT}"), &config, 0, &mut |_| {})
}

/// Opens a connection and echoes messages until it ends. Case 0 is no case: its messages are for us.
fn run(url: &str, config: &Arc<Config>, case: u32, hear: &mut dyn FnMut(&str)) -> Result<(), Box<dyn Error>> {
    let url: Url = url.parse()?;
    if url.is_secure() {
        return Err("wss needs TLS, which this example does without".into());
    }
    let mut socket = TcpStream::connect((url.host(), url.port()))?;
    let request = ClientRequest::new(url);
    let connection = Connection::client(Instant::ZERO, Arc::clone(config), &request, seed(case))?;
    echo::run(connection, &mut socket, |connection, now, event| match event {
        Event::Text(text) if case == 0 => {
            hear(&String::from_utf8_lossy(&text));
            Ok(())
        }
        event => echo::echo(connection, now, event),
    })?;
    Ok(())
}

/// Good enough against a test suite; a real client takes its seed from the operating system.
fn seed(case: u32) -> [u8; 32] {
    let mut seed = [0x5a; 32];
    for (slot, byte) in seed.iter_mut().zip(case.to_be_bytes()) {
        *slot = byte;
    }
    seed
}
