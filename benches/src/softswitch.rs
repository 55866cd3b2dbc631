//! Group `softswitch`. The softswitch binary as a whole, with SIPp beside it on the same machine: CPU time per relayed call, calls
//! held, the way of an INVITE, and memory per registered user; and Kamailio, where it is installed, in the same place.
//!
//! CPU time and memory are the kernel's figures for the processes of the server alone. Calls held depend on how much of the
//! machine SIPp takes; where they are few because SIPp itself falls behind, the figure is SIPp's.

use crate::report::Report;
use interop::{Peer, Scratch, Sipp, Softswitch};
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Call rates that are tried, in calls a second.
const RATES: [u32; 6] = [500, 1000, 2000, 3000, 4000, 6000];

/// A server under load: a process, or several of one parent.
enum Switch {
    Own(Softswitch),
    Kamailio { peer: Peer, udp: SocketAddr },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Own,
    Kamailio,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Own => "softswitch",
            Kind::Kamailio => "Kamailio",
        }
    }

    /// Starts one with UDP, and with WebSocket as well if that is asked for; `most` registrations may come from one place.
    fn start(self, scratch: &Scratch, ws: bool, most: u32) -> Switch {
        match self {
            Kind::Own => {
                let most = most.to_string();
                let mut arguments = vec!["--tcp", "none", "--log", "error", "--max-per-source", &most];
                if !ws {
                    arguments.extend(["--ws", "none"]);
                }
                Switch::Own(Softswitch::start(scratch, &arguments))
            }
            Kind::Kamailio => {
                let port = interop::free_udp_port();
                let mut command = kamailio(scratch, port, ws);
                command.args(["-DD", "-E", "-m", "1024", "-Y"]).arg(scratch.path());
                let peer = Peer::start(&mut command, scratch);
                let udp = SocketAddr::from(([127, 0, 0, 1], port));
                let listens = || TcpStream::connect(udp).is_ok();
                interop::wait_until("Kamailio to listen", Duration::from_secs(60), listens);
                Switch::Kamailio { peer, udp }
            }
        }
    }
}

/// Kamailio with its configuration, and nothing else.
fn kamailio(scratch: &Scratch, port: u16, ws: bool) -> Command {
    let config = include_str!("../peers/kamailio.cfg").replace("PORT", &port.to_string());
    let mut command = Command::new(interop::program("kamailio").expect("it was there before"));
    command.arg("-f").arg(scratch.write("kamailio.cfg", &config));
    if ws {
        command.args(["-A", "WITH_WEBSOCKET"]);
    }
    command
}

/// Whether its module for WebSocket is installed: then it can read the configuration.
fn kamailio_has_websocket(scratch: &Scratch) -> bool {
    let checked = kamailio(scratch, interop::free_udp_port(), true).args(["-c", "-Y"]).arg(scratch.path()).output();
    checked.is_ok_and(|checked| checked.status.success())
}

impl Switch {
    /// Where it takes WebSockets.
    fn ws(&self) -> SocketAddr {
        match self {
            Switch::Own(own) => own.address("ws"),
            Switch::Kamailio { udp, .. } => *udp,
        }
    }

    fn udp(&self) -> SocketAddr {
        match self {
            Switch::Own(own) => own.address("udp"),
            Switch::Kamailio { udp, .. } => *udp,
        }
    }

    /// Its processes.
    fn ids(&self) -> Vec<u32> {
        let main = match self {
            Switch::Own(own) => own.peer.id(),
            Switch::Kamailio { peer, .. } => peer.id(),
        };
        let children = std::fs::read_to_string(format!("/proc/{main}/task/{main}/children")).unwrap_or_default();
        std::iter::once(main).chain(children.split_whitespace().filter_map(|id| id.parse().ok())).collect()
    }

    /// User and system time of all of them.
    fn cpu_seconds(&self) -> f64 {
        let of = |id: u32| {
            let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
            let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
            let ticks = |n: usize| fields.get(n).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
            (ticks(11) + ticks(12)) / 100.0
        };
        self.ids().into_iter().map(of).sum()
    }

    /// Resident bytes of all of them; what several share counts once.
    fn resident(&self) -> u64 {
        let of = |id: u32| {
            let status = std::fs::read_to_string(format!("/proc/{id}/smaps_rollup")).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap_or_default();
            line.split_whitespace().next().and_then(|text| text.parse::<u64>().ok()).unwrap_or(0) * 1024
        };
        self.ids().into_iter().map(of).sum()
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        if let Switch::Kamailio { peer, .. } = self {
            // Its children end with it only if it is asked to end.
            let asked = Command::new("kill").args(["-s", "TERM", &peer.id().to_string()]).status();
            if asked.is_ok_and(|status| status.success()) {
                peer.wait(Duration::from_secs(30));
            }
        }
    }
}

/// Runs the group.
pub fn run(report: &mut Report) {
    report
        .heading("the processes of the server; SIPp and the clients are beside it and not counted; ratio to Kamailio");
    let quick = report.effort().is_quick();
    let kinds = match interop::program("kamailio") {
        Some(_) => vec![Kind::Kamailio, Kind::Own],
        None => vec![Kind::Own],
    };
    if let Some(sipp) = interop::program("sipp") {
        let mut base = Vec::new();
        for &kind in &kinds {
            let costs = calls(report, &sipp, quick, kind, &base);
            if kind == Kind::Kamailio {
                base = costs;
            }
        }
    }
    for &kind in &kinds {
        latency(report, kind, if quick { 20 } else { 2000 });
    }
    memory(report, &kinds, if quick { 100 } else { 10_000 });
}

/// INVITE, 180, 200, ACK, BYE, 200: from one SIPp to another by way of the server. Gives back the CPU seconds of 100,000 calls at
/// each rate; `base` is another server's.
fn calls(report: &mut Report, sipp: &Path, quick: bool, kind: Kind, base: &[f64]) -> Vec<f64> {
    let (rates, seconds) = if quick { (&RATES[..1], 1) } else { (&RATES[..], 10) };
    let mut costs = Vec::new();
    let mut held = 0;
    for (n, &rate) in rates.iter().enumerate() {
        let scratch = Scratch::new("bench");
        let switch = kind.start(&scratch, false, 1000);
        let (udp, port) = (switch.udp(), interop::free_udp_port());
        let bob = |scenario| Sipp::new(sipp, scenario, udp).with(&["-s", "bob"]).port(port);
        bob("register-open").calls(1, 1).run(&scratch);
        let calls = rate * seconds;
        let callee = bob("uas").with(&["-m", &calls.to_string()]).start(&scratch);
        std::thread::sleep(Duration::from_millis(300));
        let before = switch.cpu_seconds();
        let caller = Sipp::new(sipp, "uac", udp).with(&["-s", "bob", "-l", "20000"]).calls(calls, rate);
        let began = Instant::now();
        let (well, counts) = caller.start(&scratch).outcome();
        let took = began.elapsed();
        let cost = (switch.cpu_seconds() - before) * 100_000.0 / f64::from(calls);
        costs.push(cost);
        let ratio = base.get(n).filter(|base| **base > 0.0).map(|base| cost / base);
        let case = format!("{rate} calls/s for {seconds} s");
        report.figure(&case, "CPU", kind.name(), cost, "s/100k", ratio);
        report.figure(&case, "failed", kind.name(), counts.failed as f64, "calls", None);
        report.figure(&case, "sent again", kind.name(), counts.retransmissions as f64, "messages", None);
        let clean = well && counts.failed == 0 && counts.retransmissions == 0;
        // SIPp may fall behind the rate it was asked for: then that was not held.
        if clean && took < Duration::from_secs(u64::from(seconds) + 2) {
            held = rate;
        }
        // What is still under way ends with the callee.
        drop(callee);
        if !clean {
            break;
        }
    }
    report.figure("calls", "held", kind.name(), f64::from(held), "calls/s", None);
    costs
}

/// From INVITE to the 180 of the callee, who answers at once; one call at a time.
fn latency(report: &mut Report, kind: Kind, calls: u32) {
    let scratch = Scratch::new("bench");
    let switch = kind.start(&scratch, false, 1000);
    let server = switch.udp();
    let (caller, callee) = (socket(), socket());
    let at = callee.local_addr().expect("an address");
    ask(&callee, server, &registration("bob", at, "UDP", 1));
    let answering = std::thread::spawn(move || answer(&callee, calls));
    let mut times: Vec<Duration> = (0..calls).map(|call| invite(&caller, server, call)).collect();
    drop(answering.join());
    // A server with several workers may let the 486 pass the 180: such a call tells nothing of the way of the latter.
    times.retain(|&took| took < Duration::MAX);
    times.sort();
    if times.is_empty() {
        return;
    }
    for (name, part) in [("p50", 50), ("p99", 99)] {
        let place = (times.len() * part / 100).min(times.len() - 1);
        report.figure("INVITE to 180", name, kind.name(), times[place].as_nanos() as f64 / 1000.0, "us", None);
    }
}

/// Bytes of resident memory that each registered user adds.
fn memory(report: &mut Report, kinds: &[Kind], users: u32) {
    let scratch = Scratch::new("bench");
    let each = |grown: u64| grown as f64 / f64::from(users);
    let mut base = None;
    for &kind in kinds {
        let switch = kind.start(&scratch, false, users);
        let client = socket();
        let at = client.local_addr().expect("an address");
        let register = |n| ask(&client, switch.udp(), &registration(&format!("user{n}"), at, "UDP", n));
        register(0);
        let before = switch.resident();
        (1..=users).for_each(register);
        // The transactions of these registrations linger for 32 s over UDP (timer J), but they are no users.
        if !report.effort().is_quick() {
            std::thread::sleep(Duration::from_secs(35));
        }
        let grown = each(switch.resident().saturating_sub(before));
        let ratio = base.filter(|base| *base > 0.0).map(|base| grown / base);
        report.figure(&format!("{users} users, UDP"), "memory", kind.name(), grown, "B/user", ratio);
        base.get_or_insert(grown);
    }

    let case = format!("{users} users, WebSocket");
    let mut base = None;
    for &kind in kinds {
        if kind == Kind::Kamailio && !kamailio_has_websocket(&scratch) {
            report.none(&case, "memory", kind.name());
            continue;
        }
        let switch = kind.start(&scratch, true, users);
        let mut clients = vec![web_socket(switch.ws(), 0)];
        let before = switch.resident();
        clients.extend((1..users).map(|n| web_socket(switch.ws(), n)));
        let grown = each(switch.resident().saturating_sub(before));
        let ratio = base.filter(|base| *base > 0.0).map(|base| grown / base);
        report.figure(&case, "memory", kind.name(), grown, "B/user", ratio);
        base.get_or_insert(grown);
    }
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    socket
}

fn registration(user: &str, at: SocketAddr, transport: &str, n: u32) -> String {
    format!(
        "REGISTER sip:localhost SIP/2.0\r\nVia: SIP/2.0/{transport} {at};branch=z9hG4bKreg{n}\r\nMax-Forwards: 70\r\n\
         To: <sip:{user}@localhost>\r\nFrom: <sip:{user}@localhost>;tag=r{n}\r\nCall-ID: reg{n}@{at}\r\nCSeq: 1 REGISTER\r\n\
         Contact: <sip:{user}@{at}>\r\nExpires: 3600\r\nContent-Length: 0\r\n\r\n"
    )
}

/// Sends a request and waits for the 200.
fn ask(socket: &UdpSocket, server: SocketAddr, request: &str) {
    socket.send_to(request.as_bytes(), server).expect("sent");
    let answer = receive(socket).0;
    assert!(answer.starts_with("SIP/2.0 200"), "{answer}");
}

fn receive(socket: &UdpSocket) -> (String, SocketAddr) {
    let mut buffer = [0; 4096];
    let (len, from) = socket.recv_from(&mut buffer).expect("an answer in time");
    (String::from_utf8_lossy(&buffer[..len]).into_owned(), from)
}

/// Answers INVITEs with 180 and 486, until so many have been acknowledged.
fn answer(callee: &UdpSocket, calls: u32) {
    let mut acknowledged = 0;
    while acknowledged < calls {
        let (request, from) = receive(callee);
        if request.starts_with("ACK") {
            acknowledged += 1;
        } else if request.starts_with("INVITE") {
            for status in ["180 Ringing", "486 Busy Here"] {
                let mut response = format!("SIP/2.0 {status}\r\n");
                for line in request.lines().skip(1).take_while(|line| !line.is_empty()) {
                    let name = line.split(':').next().unwrap_or_default();
                    if ["Via", "From", "Call-ID", "CSeq", "Record-Route"].contains(&name) {
                        let _ = write!(response, "{line}\r\n");
                    } else if name == "To" {
                        let _ = write!(response, "{line};tag=b\r\n");
                    }
                }
                response.push_str("Content-Length: 0\r\n\r\n");
                callee.send_to(response.as_bytes(), from).expect("sent");
            }
        }
    }
}

/// The time from an INVITE to its 180; the call is then over.
fn invite(caller: &UdpSocket, server: SocketAddr, call: u32) -> Duration {
    let at = caller.local_addr().expect("an address");
    let common = |method: &str, to: &str| {
        format!(
            "{method} sip:bob@localhost SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bKinv{call}\r\nMax-Forwards: 70\r\n\
             To: {to}\r\nFrom: <sip:alice@localhost>;tag=a{call}\r\nCall-ID: inv{call}@{at}\r\nCSeq: 1 {method}\r\n\
             Contact: <sip:alice@{at}>\r\nContent-Length: 0\r\n\r\n"
        )
    };
    let began = Instant::now();
    caller.send_to(common("INVITE", "<sip:bob@localhost>").as_bytes(), server).expect("sent");
    let mut took = Duration::MAX;
    loop {
        let (response, _) = receive(caller);
        if response.starts_with("SIP/2.0 180") {
            took = began.elapsed();
        } else if response.starts_with("SIP/2.0 486") {
            caller.send_to(common("ACK", "<sip:bob@localhost>;tag=b").as_bytes(), server).expect("sent");
            return took;
        }
    }
}

/// A WebSocket whose user is registered.
fn web_socket(server: SocketAddr, n: u32) -> TcpStream {
    let mut stream = TcpStream::connect(server).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    let upgrade = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: sip\r\n\r\n";
    stream.write_all(upgrade.as_bytes()).expect("sent");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("an answer");
        head.push(byte[0]);
    }
    let at = stream.local_addr().expect("an address");
    let request = registration(&format!("web{n}"), at, "WS", n);
    // A masked text frame of middle length, the mask of zeros.
    let len = u16::try_from(request.len()).expect("short").to_be_bytes();
    stream.write_all(&[&[0x81, 0xfe, len[0], len[1], 0, 0, 0, 0], request.as_bytes()].concat()).expect("sent");
    let mut answer = [0; 16];
    stream.read_exact(&mut answer).expect("an answer");
    assert!(String::from_utf8_lossy(&answer).contains("SIP/2.0 200"), "not registered");
    stream
}
