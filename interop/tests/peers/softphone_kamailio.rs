//! Our own telephone with Kamailio as registrar and proxy: digest, a call with sound, and hanging up, over every transport.

use crate::softphone::{DATA, Phone};
use interop::{Peer, Scratch, free_tcp_port, free_udp_port, program, wait_until};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

#[test]
fn calls_pass_through_kamailio() {
    let Some(kamailio) = program("kamailio") else { return };
    let scratch = Scratch::new("kamailio");
    let (port, web, secure, secure_web) = (free_udp_port(), free_tcp_port(), free_tcp_port(), free_tcp_port());
    let config = include_str!("../../peers/kamailio.cfg");
    // Longer names first: one ends with the other.
    let ports = [("WSS_PORT", secure_web), ("TLS_PORT", secure), ("UDP_PORT", port), ("WS_PORT", web)];
    let config =
        ports.iter().fold(config.replace("DATA", DATA), |config, (name, port)| config.replace(name, &port.to_string()));
    let config = scratch.write("kamailio.cfg", config);
    let mut command = Command::new(kamailio);
    command.args(["-DD", "-E", "-f"]).arg(config).arg("-Y").arg(scratch.path());
    let kamailio = Peer::start(&mut command, &scratch);
    wait_until("Kamailio to listen", Duration::from_secs(60), || TcpStream::connect(("127.0.0.1", web)).is_ok());

    for (from, to) in [
        ("udp", "udp"),
        ("tcp", "udp"),
        ("udp", "tcp"),
        ("ws", "ws"),
        ("tcp", "ws"),
        ("tls", "tls"),
        ("wss", "wss"),
        ("udp", "tls"),
        ("tls", "udp"),
        ("wss", "tcp"),
        ("tls", "wss"),
    ] {
        let start = |user: &str, transport: &str, rest: &[&str]| {
            let server = match transport {
                "ws" => web,
                "tls" => secure,
                "wss" => secure_web,
                _ => port,
            };
            let (server, authorities) = (format!("localhost:{server}"), format!("{DATA}/ca.pem"));
            let account = format!("{user}:secret");
            let mut arguments =
                vec!["--authorities", &authorities, "--server", &server, "--transport", transport, "--user", &account];
            arguments.extend(rest);
            Phone::start(user, &arguments, &scratch)
        };
        let callee = start("bob", to, &["--auto", "--calls", "1", "answer"]);
        callee.until("registered", 1);
        start("alice", from, &["--register", "--for", "1", "call", "bob"]).finish().talked();
        callee.finish().talked();
    }
    // It forks: its children end with it only if it is asked to end.
    let asked = Command::new("kill").args(["-s", "TERM", &kamailio.id().to_string()]).status().expect("kill");
    assert!(asked.success());
    let mut kamailio = kamailio;
    kamailio.wait(Duration::from_secs(30));
}
