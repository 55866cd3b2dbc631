//! A node on one UDP socket that answers every request 200: the driver loop over `std::net::UdpSocket`.
//!
//! `cargo run -p sip-transaction --example udp -- 127.0.0.1:5060`, then send it an OPTIONS. With a second argument, a number, it
//! ends after so many requests.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "hosts own sockets and clocks"
)]

use sip_message::{Message, StatusCode};
use sip_transaction::{Endpoint, EndpointConfig, Event, Input, Instant, SendCause, Transport};
use std::error::Error;
use std::io::ErrorKind;
use std::net::UdpSocket;
use std::time::Duration;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:5060".into());
    let mut left: u64 = arguments.next().map_or(Ok(u64::MAX), |count| count.parse())?;
    let socket = UdpSocket::bind(&address)?;
    println!("listening on {}", socket.local_addr()?);

    // A secret: whoever knows it can foresee branches and tags.
    let mut seed = [0; 32];
    std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut seed)?;
    let mut endpoint = Endpoint::new(EndpointConfig::default().into(), seed);
    let flow = endpoint.bind(Transport::Udp, socket.local_addr()?)?;

    let epoch = std::time::Instant::now();
    let now = || Instant::from_std(epoch, std::time::Instant::now());
    let mut buffer = vec![0; 65_536];
    while left > 0 {
        // Wait for a datagram, but no longer than the endpoint can.
        let wait = endpoint.poll_timeout().map(|at| (at - now()).max(Duration::from_millis(1)));
        socket.set_read_timeout(wait)?;
        match socket.recv_from(&mut buffer) {
            Ok((len, remote)) => {
                if let Err(error) =
                    endpoint.handle_input(now(), Input::Datagram { flow, remote, bytes: &buffer[..len] })
                {
                    println!("from {remote}: {error}");
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error.into()),
        }
        endpoint.handle_timeout(now());
        while let Some(event) = endpoint.poll_event() {
            match event {
                Event::Request { tx, message, path } => {
                    println!("{:?} from {}", message.method(), path.remote);
                    let tag = endpoint.local_tag(tx).map(|tag| tag.to_string()).unwrap_or_default();
                    let answer = Message::response(&message, StatusCode::OK).to_tag(&tag).build()?;
                    endpoint.respond(now(), tx, answer)?;
                    left -= 1;
                }
                Event::ServerEnded { tx, outcome } => println!("{tx} ended: {outcome:?}"),
                _ => {}
            }
        }
        while let Some(transmit) = endpoint.poll_transmit() {
            if socket.send_to(&transmit.bytes, transmit.remote).is_err() {
                if let Some(token) = transmit.token {
                    let _ = endpoint.handle_input(now(), Input::SendFailed { token, cause: SendCause::Unreachable });
                }
            }
        }
    }
    Ok(())
}
