//! Our own telephone with Kamailio as registrar and proxy: digest, a call with sound, and hanging up, over UDP, TCP and
//! WebSocket.

mod softphone;

use interop::{Peer, Scratch, free_tcp_port, free_udp_port, program, wait_until};
use softphone::Phone;
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

#[test]
fn calls_pass_through_kamailio() {
    let Some(kamailio) = program("kamailio") else { return };
    let scratch = Scratch::new("kamailio");
    let (port, web) = (free_udp_port(), free_tcp_port());
    let config = include_str!("../peers/kamailio.cfg");
    let config = config.replace("UDP_PORT", &port.to_string()).replace("WS_PORT", &web.to_string());
    let config = scratch.write("kamailio.cfg", config);
    let mut command = Command::new(kamailio);
    command.args(["-DD", "-E", "-f"]).arg(config).arg("-Y").arg(scratch.path());
    let kamailio = Peer::start(&mut command, &scratch);
    wait_until("Kamailio to listen", Duration::from_secs(60), || TcpStream::connect(("127.0.0.1", web)).is_ok());

    for (from, to) in [("udp", "udp"), ("tcp", "udp"), ("udp", "tcp"), ("ws", "ws"), ("tcp", "ws")] {
        let start = |user: &str, transport: &str, rest: &[&str]| {
            let server = format!("localhost:{}", if transport == "ws" { web } else { port });
            let account = format!("{user}:secret");
            let mut arguments = vec!["--server", &server, "--transport", transport, "--user", &account];
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
