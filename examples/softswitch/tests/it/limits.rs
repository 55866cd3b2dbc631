//! What bounds a peer: connections from one address, time for handshakes, silence, and answers that nobody reads.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use crate::common::{Server, data, options};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// How long the server may take; it is much quicker, but the machine may be busy.
const LIMIT: Duration = Duration::from_secs(60);

fn connect(server: &Server, transport: &str) -> TcpStream {
    let stream = TcpStream::connect(server.address(transport)).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream
}

/// Reads to the end of the connection, which must come.
fn ended(mut stream: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        result => assert!(result.is_ok(), "{result:?}"),
    }
    bytes
}

/// A request is answered on this connection.
fn is_served(stream: &mut TcpStream) {
    stream.write_all(options("TCP").as_bytes()).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    assert!(answer.starts_with(b"SIP/2.0 200"), "{}", String::from_utf8_lossy(&answer));
}

#[test]
fn connections_from_one_address_are_counted() {
    let server = Server::start(&["--udp", "none", "--tcp", "0", "--ws", "0", "--max-per-source", "2"]);
    let (mut first, second) = (connect(&server, "tcp"), connect(&server, "ws"));
    is_served(&mut first);
    for transport in ["tcp", "ws"] {
        assert!(ended(connect(&server, transport)).is_empty(), "a third one, over {transport}");
    }
    drop(second);
    // A place is free again, as soon as the server has noticed.
    let mut free = false;
    for _ in 0..600 {
        let mut third = connect(&server, "tcp");
        let sent = third.write_all(options("TCP").as_bytes());
        free = sent.is_ok() && third.read(&mut [0; 64]).is_ok_and(|len| len > 0);
        if free {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(free, "the place of the second one");
    is_served(&mut first);
}

#[test]
fn who_does_not_shake_hands_is_sent_away() {
    let server = Server::start(&[
        "--udp",
        "none",
        "--tcp",
        "none",
        "--ws",
        "0",
        "--tls",
        "0",
        "--wss",
        "0",
        "--cert",
        &data("cert.pem"),
        "--key",
        &data("key.pem"),
        "--handshake-timeout",
        "1",
    ]);
    for transport in ["ws", "tls", "wss"] {
        let silent = connect(&server, transport);
        let mut slow = connect(&server, transport);
        slow.write_all(if transport == "ws" { b"GET / HT" } else { b"\x16\x03\x01" }).unwrap();
        ended(silent);
        ended(slow);
    }
}

#[test]
fn silence_ends_a_connection_and_signs_of_life_keep_it() {
    let server = Server::start(&["--udp", "none", "--tcp", "0", "--ws", "none", "--idle-timeout", "4"]);
    let (silent, mut alive) = (connect(&server, "tcp"), connect(&server, "tcp"));
    let watch = std::thread::spawn(move || ended(silent));
    while !watch.is_finished() {
        // A keepalive (RFC 5626 section 3.5.1) and its answer.
        alive.write_all(b"\r\n\r\n").unwrap();
        let mut pong = [0; 2];
        alive.read_exact(&mut pong).unwrap();
        assert_eq!(&pong, b"\r\n");
        std::thread::sleep(Duration::from_millis(200));
    }
    watch.join().unwrap();
    is_served(&mut alive);
}

#[test]
fn who_does_not_read_is_dropped_and_others_are_served() {
    let server = Server::start(&["--udp", "none", "--tcp", "0", "--ws", "none", "--send-queue", "4096"]);
    let mut deaf = connect(&server, "tcp");
    deaf.set_write_timeout(Some(LIMIT)).unwrap();
    let requests = |n: usize| (0..100).map(|m| numbered(100 * n + m)).collect::<String>();
    // Much more than the buffers of the system hold. The server ends the connection when its own queue is full.
    let dropped = (0..2000).any(|n| deaf.write_all(requests(n).as_bytes()).is_err());
    assert!(dropped);
    is_served(&mut connect(&server, "tcp"));
}

fn numbered(n: usize) -> String {
    options("TCP").replace("z9hG4bK74b43", &format!("z9hG4bK{n}")).replace("Call-ID: 1", &format!("Call-ID: {n}"))
}
