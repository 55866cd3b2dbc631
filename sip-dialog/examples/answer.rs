//! A user agent on a UDP socket of the standard library that answers every call, mirrors its session description, and hangs up after a
//! while.
//!
//! ```text
//! cargo run -p sip-dialog --example answer -- 127.0.0.1:5062
//! ```
//! Then call `sip:anyone@127.0.0.1:5062`.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "a host owns the socket, the clock and the terminal"
)]

use sip_dialog::{
    Body, CallEvent, CallHandle, Event, Output, Progress, Reply, RequestEvent, UserAgent, UserAgentConfig,
};
use sip_message::{Message, StatusCode};
use sip_transaction::{Input, Instant, Transport};
use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

/// How long a call is held.
const HOLD: Duration = Duration::from_secs(30);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address: SocketAddr = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:5062".into()).parse()?;
    let socket = UdpSocket::bind(address)?;
    let address = socket.local_addr()?;
    let epoch = std::time::Instant::now();
    let clock = || Instant::from_std(epoch, std::time::Instant::now());

    // The seed must be one that nobody can guess: this is where a real host asks the operating system.
    let mut seed = [0; 32];
    std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut seed)?;
    let config = UserAgentConfig::new(format!("<sip:answer@{address}>"));
    let mut agent = UserAgent::new(Default::default(), config.into(), seed);
    let flow = agent.parts().1.bind(Transport::Udp, address)?;
    println!("answering at sip:answer@{address}");

    let mut calls: BTreeMap<CallHandle, Instant> = BTreeMap::new();
    let mut buffer = vec![0; 65536];
    loop {
        while let Some(output) = agent.poll_event() {
            react(&mut agent, clock(), output, &mut calls);
        }
        while let Some(transmit) = agent.poll_transmit() {
            socket.send_to(&transmit.bytes, transmit.remote)?;
        }
        let now = clock();
        for call in calls.iter().filter(|(_, until)| **until <= now).map(|(call, _)| *call).collect::<Vec<_>>() {
            calls.remove(&call);
            let (core, endpoint) = agent.parts();
            let _ = core.hang_up(endpoint, now, call, None);
        }
        let next = agent.poll_timeout().into_iter().chain(calls.values().copied()).min();
        let wait = next.map_or(Duration::from_secs(60), |next| next.since(clock()));
        socket.set_read_timeout(Some(wait.max(Duration::from_millis(1))))?;
        match socket.recv_from(&mut buffer) {
            Ok((len, remote)) => {
                let bytes = buffer.get(..len).unwrap_or_default();
                if let Err(error) = agent.handle_input(clock(), Input::Datagram { flow, remote, bytes }) {
                    println!("{remote}: {error}");
                }
            }
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
            Err(error) => return Err(error.into()),
        }
        agent.handle_timeout(clock());
    }
}

/// What a host does with events: here, it says yes to everybody.
fn react(agent: &mut UserAgent, now: Instant, output: Output, calls: &mut BTreeMap<CallHandle, Instant>) {
    let (core, endpoint) = agent.parts();
    let mirrored = |message: &Message| Body::sdp(message.body_bytes());
    let done = match output {
        Output::UserAgent(Event::Call { call, event }) => match event {
            CallEvent::Incoming { message, offer: true, .. } => {
                println!(
                    "{call}: from {}",
                    message.from().map_or("somebody".into(), |from| format!("{:?}", from.uri()))
                );
                core.progress(endpoint, now, call, Progress::ringing())
                    .and_then(|()| core.accept(endpoint, now, call, Reply::new().body(mirrored(&message))))
            }
            // There is nothing to mirror.
            CallEvent::Incoming { .. } => {
                core.reject(endpoint, now, call, StatusCode::NOT_ACCEPTABLE_HERE, Reply::new())
            }
            CallEvent::Confirmed { .. } => {
                calls.insert(call, now + HOLD);
                Ok(())
            }
            CallEvent::Offer { message } => core.answer(endpoint, now, call, mirrored(&message)),
            CallEvent::Ended { cause, .. } => {
                println!("{call}: over, {cause:?}");
                calls.remove(&call);
                Ok(())
            }
            _ => Ok(()),
        },
        Output::UserAgent(Event::Request { request, event: RequestEvent::Incoming { message, .. } }) => {
            println!("{request}: {}", String::from_utf8_lossy(message.body()));
            core.respond(endpoint, now, request, StatusCode::OK, Reply::new())
        }
        _ => Ok(()),
    };
    if let Err(error) = done {
        println!("{error}");
    }
}
