//! A softswitch started as a process, on free ports.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    dead_code,
    reason = "a test; each uses what it needs"
)]

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Ended when dropped.
pub(crate) struct Server {
    child: Child,
    listening: Vec<(String, SocketAddr)>,
}

impl Server {
    /// Starts one and waits until it is ready.
    pub(crate) fn start(arguments: &[&str]) -> Server {
        Server::start_with(Command::new(env!("CARGO_BIN_EXE_softswitch")).args(arguments))
    }

    /// Starts it by this command and waits until it is ready.
    pub(crate) fn start_with(command: &mut Command) -> Server {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut listening = Vec::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        loop {
            let line = lines.next().expect("it ended before it was ready").unwrap();
            if line == "softswitch ready" {
                break;
            }
            let mut words = line.split_whitespace().skip(2);
            if let (Some(transport), Some(Ok(address))) = (words.next(), words.next().map(str::parse)) {
                listening.push((transport.to_owned(), address));
            }
        }
        Server { child, listening }
    }

    /// Starts one that must refuse to, and gives what it says.
    pub(crate) fn refused(arguments: &[&str]) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_softswitch")).args(arguments).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    }

    /// All transports it listens on, in order.
    pub(crate) fn transports(&self) -> impl Iterator<Item = &str> {
        self.listening.iter().map(|(transport, _)| transport.as_str())
    }

    /// Sends it a signal, such as `HUP`.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for its end, and tells whether it was a good one.
    pub(crate) fn ended(&mut self) -> bool {
        self.child.wait().unwrap().success()
    }

    /// Where it listens.
    pub(crate) fn address(&self, transport: &str) -> SocketAddr {
        self.listening.iter().find(|(on, _)| on == transport).unwrap().1
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What speaks SIP over UDP, by hand.
pub(crate) struct Peer {
    pub(crate) socket: UdpSocket,
    pub(crate) at: SocketAddr,
}

impl Peer {
    /// On a free port.
    pub(crate) fn new() -> Peer {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Peer { at: socket.local_addr().unwrap(), socket }
    }

    /// The next datagram.
    pub(crate) fn receive(&self) -> String {
        let mut buffer = [0; 8192];
        let (len, _) = self.socket.recv_from(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..len]).into_owned()
    }

    /// Sends a request without a body; `from` is user and host, `fields` are lines.
    pub(crate) fn send(&self, server: SocketAddr, method: &str, uri: &str, from: &str, fields: &str) {
        self.send_with(server, method, uri, from, fields, "");
    }

    /// As [`send`](Peer::send), with a body.
    pub(crate) fn send_with(&self, server: SocketAddr, method: &str, uri: &str, from: &str, fields: &str, body: &str) {
        let at = self.at;
        let id = format!("{method}{uri}{fields}{body}").replace(|c: char| !c.is_ascii_alphanumeric(), "");
        let text = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bK{id}\r\nMax-Forwards: 70\r\nTo: <{uri}>\r\n\
             From: <sip:{from}>;tag=1\r\nCall-ID: {id}@{at}\r\nCSeq: 1 {method}\r\nContact: <sip:me@{at}>\r\n{fields}\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.socket.send_to(text.as_bytes(), server).unwrap();
    }

    /// Sends a request and waits for the final answer to it.
    pub(crate) fn ask(&self, server: SocketAddr, method: &str, uri: &str, from: &str, fields: &str) -> String {
        self.send(server, method, uri, from, fields);
        loop {
            let answer = self.receive();
            if !answer.starts_with("SIP/2.0 1") {
                return answer;
            }
        }
    }
}

/// A file of `tests/data`.
pub(crate) fn data(name: &str) -> String {
    format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// An OPTIONS to the server itself.
pub(crate) fn options(transport: &str) -> String {
    format!(
        "OPTIONS sip:localhost SIP/2.0\r\nVia: SIP/2.0/{transport} client.invalid;branch=z9hG4bK74b43\r\n\
         Max-Forwards: 70\r\nTo: <sip:localhost>\r\nFrom: <sip:me@elsewhere.example>;tag=1\r\nCall-ID: 1\r\n\
         CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
}
