//! Group `server`. Registrar and proxy: registrations with digest, whole calls relayed, and what a binding and a call weigh.
//!
//! One `Server`, driven as a host would: datagrams in, datagrams out, time going on so that as many transactions end as begin. What
//! the clients do (their digests above all) is done before the clock runs.

use crate::alloc;
use crate::report::{Contender, Report};
use sip_message::Message;
use sip_message::digest::{DigestAlgorithm, DigestInput, DigestSecret, Qop};
use sip_server::{Binding, BindingParts, Server, ServerConfig, Store};
use sip_transaction::{FlowId, Input, Instant as Time, Transport};
use std::fmt::Write;
use std::hint::black_box;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How many bindings there are besides.
const BINDINGS: [usize; 3] = [10, 10_000, 1_000_000];

/// Transactions that linger: what a server has at this many times its rate by 32 seconds.
const LIVE: u32 = 10_000;

/// Users whose registrations are measured.
const USERS: usize = 2_000;

struct Run {
    server: Server,
    socket: FlowId,
    now: Time,
    number: u64,
    /// Where the next message is put together.
    text: String,
    out: Vec<u8>,
}

impl Run {
    fn new(bindings: usize, algorithm: Option<DigestAlgorithm>) -> Run {
        let mut config = ServerConfig::for_domain("example.com");
        config.endpoint.limits.transactions = None;
        config.endpoint.limits.per_source = None;
        match algorithm {
            Some(algorithm) => config.auth.algorithms = vec![algorithm],
            None => config.auth.domains.clear(),
        }
        config.registrar.max_aors = usize::MAX;
        config.registrar.default_expires = 7200;
        let mut server = Server::new(config, [5; 32]);
        let local: SocketAddr = ([192, 0, 2, 10], 5060).into();
        let socket = server.endpoint_mut().bind(Transport::Udp, local).expect("a socket");
        for user in 0..USERS {
            server.auth_mut().add_user_with_password("example.com", &format!("u{user}"), "secret");
        }
        let mut run = Run { server, socket, now: Time::ZERO, number: 0, text: String::new(), out: Vec::new() };
        for number in 0..bindings {
            run.bind(number);
        }
        run
    }

    fn bind(&mut self, number: usize) {
        let (aor, contact) = (format!("sip:b{number:07}@example.com"), "sip:bob@192.0.2.2:5060");
        let binding = Binding::new(&BindingParts {
            contact,
            q: 1000,
            call_id: "843817637684230@998sdasdh09",
            cseq: 1826,
            expires: Time::MAX,
            ..BindingParts::default()
        });
        let table = self.server.registrar_mut().table_mut().expect("it is embedded");
        table.store(&aor, 0, vec![binding], self.now).expect("there is room");
    }

    fn input(&mut self, remote: [u8; 4], bytes: &[u8]) {
        let input = Input::Datagram { flow: self.socket, remote: (remote, 5060).into(), bytes };
        self.server.handle_input(self.now, input).expect("it is well formed");
    }

    /// Sends `text` from `remote`; what comes out last is left in `out`.
    fn exchange(&mut self, remote: [u8; 4]) {
        let text = std::mem::take(&mut self.text);
        self.input(remote, text.as_bytes());
        self.text = text;
        while let Some(transmit) = self.server.poll_transmit() {
            self.out.clear();
            self.out.extend_from_slice(&transmit.bytes);
        }
        while let Some(event) = self.server.poll_event() {
            black_box(&event);
        }
    }

    fn tick(&mut self, by: Duration) {
        self.now += by;
        if self.server.poll_timeout().is_some_and(|at| at <= self.now) {
            self.server.handle_timeout(self.now);
        }
    }

    // REGISTER with digest.

    fn register_text(&mut self, user: usize, authorization: &str) {
        self.number += 1;
        let number = self.number;
        self.text.clear();
        let _ = write!(
            self.text,
            "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.4:5060;branch=z9hG4bK{number:012};rport\r\n\
             Max-Forwards: 70\r\nTo: <sip:u{user}@example.com>\r\nFrom: <sip:u{user}@example.com>;tag=456248\r\n\
             Call-ID: 843817637684230@998sdasdh09\r\nCSeq: {number} REGISTER\r\nContact: <sip:u{user}@192.0.2.4:5060>\r\n\
             {authorization}Expires: 7200\r\nUser-Agent: bench\r\nContent-Length: 0\r\n\r\n"
        );
    }

    /// A challenge for each user, and the registrations that answer them: `count` of them, each with its own use of a nonce.
    fn prepare(&mut self, algorithm: DigestAlgorithm, count: usize) -> Vec<String> {
        let mut nonces = Vec::new();
        for user in 0..USERS {
            self.register_text(user, "");
            self.exchange([192, 0, 2, 4]);
            self.tick(Duration::from_millis(1));
            let challenge = Message::parse(self.out.clone().into()).expect("a response");
            let challenge = challenge.www_authenticate().next().expect("a challenge").expect("a good one");
            let nonce = challenge.nonce().expect("readable").expect("there").without_quotes().to_vec();
            nonces.push(String::from_utf8(nonce).expect("text"));
        }
        let secrets: Vec<_> = (0..USERS)
            .map(|user| DigestSecret::new(algorithm, format!("u{user}").as_bytes(), b"example.com", b"secret"))
            .collect();
        let mut requests = Vec::new();
        for at in 0..count {
            let (user, nc) = (at % USERS, format!("{:08x}", at / USERS + 1));
            let input = DigestInput {
                method: b"REGISTER",
                uri: b"sip:example.com",
                nonce: nonces[user].as_bytes(),
                qop: Some(Qop::Auth),
                nc: nc.as_bytes(),
                cnonce: b"0a4f113b",
                body: b"",
            };
            let authorization = format!(
                "Authorization: Digest username=\"u{user}\", realm=\"example.com\", nonce=\"{}\", \
                 uri=\"sip:example.com\", response=\"{}\", algorithm={algorithm}, cnonce=\"0a4f113b\", qop=auth, nc={nc}\r\n",
                nonces[user],
                secrets[user].response(&input)
            );
            self.register_text(user, &authorization);
            requests.push(self.text.clone());
        }
        requests
    }

    fn registrations(&mut self, requests: &[String]) {
        let step = Duration::from_secs(32) / LIVE;
        for request in requests {
            self.input([192, 0, 2, 4], request.as_bytes());
            while let Some(transmit) = self.server.poll_transmit() {
                assert!(transmit.bytes.starts_with(b"SIP/2.0 200"));
                black_box(&transmit);
            }
            while let Some(event) = self.server.poll_event() {
                black_box(&event);
            }
            self.tick(step);
        }
    }

    // Calls.

    fn request_text(&mut self, method: &str, cseq: u32, call: u64, in_dialog: bool) {
        let (target, route, tag, marker) = match in_dialog {
            true => (
                "sip:bob@192.0.2.2:5060".to_owned(),
                "Route: <sip:192.0.2.10:5060;lr>\r\n",
                ";tag=8321234356",
                cseq + u32::from(method == "ACK") * 10,
            ),
            false => (format!("sip:b{:07}@example.com", call % 10), "", "", cseq),
        };
        self.text.clear();
        let _ = write!(
            self.text,
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{call:012}{marker};rport\r\n\
             Max-Forwards: 70\r\n{route}From: Alice <sip:alice@far.example.org>;tag=9fxced76sl\r\n\
             To: Bob <sip:b{:07}@example.com>{tag}\r\nCall-ID: {call:012}@atlanta.example.com\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:alice@192.0.2.1:5060>\r\nContent-Length: 0\r\n\r\n",
            call % 10
        );
    }

    /// The answer of the callee to what the server has just sent it.
    fn answer_text(&mut self, status: &str, body: &str) {
        let out = std::mem::take(&mut self.out);
        self.text.clear();
        let _ = write!(self.text, "SIP/2.0 {status}\r\n");
        let tag = if status.starts_with("100") { "" } else { ";tag=8321234356" };
        for line in out.split(|&b| b == b'\n').filter_map(|line| std::str::from_utf8(line).ok()) {
            let line = line.trim_end();
            if line.starts_with("To:") {
                let _ = write!(self.text, "{line}{}\r\n", if line.contains(";tag=") { "" } else { tag });
            } else if ["Via:", "From:", "Call-ID:", "CSeq:", "Record-Route:"].iter().any(|name| line.starts_with(name))
            {
                let _ = write!(self.text, "{line}\r\n");
            }
        }
        let _ = write!(
            self.text,
            "Contact: <sip:bob@192.0.2.2:5060>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.out = out;
    }

    /// The messages of one call, as they come to the server from both sides.
    fn ring(&mut self) -> u64 {
        self.number += 1;
        let call = self.number;
        self.request_text("INVITE", 1, call, false);
        self.exchange([192, 0, 2, 1]);
        self.answer_text("180 Ringing", "");
        let invite = self.out.clone();
        self.exchange([192, 0, 2, 2]);
        self.out = invite;
        call
    }

    fn call(&mut self) {
        let call = self.ring();
        self.answer_text("200 OK", "v=0\r\n");
        self.exchange([192, 0, 2, 2]);
        assert!(self.out.starts_with(b"SIP/2.0 200"));
        self.request_text("ACK", 1, call, true);
        self.exchange([192, 0, 2, 1]);
        assert!(self.out.starts_with(b"ACK sip:bob"));
        self.request_text("BYE", 2, call, true);
        self.exchange([192, 0, 2, 1]);
        assert!(self.out.starts_with(b"BYE sip:bob"));
        self.answer_text("200 OK", "");
        self.exchange([192, 0, 2, 2]);
        assert!(self.out.starts_with(b"SIP/2.0 200"));
        self.tick(Duration::from_secs(32) / LIVE);
    }

    /// What the clients of one call cost this benchmark: the same texts, and no server.
    fn call_texts(&mut self) {
        self.number += 1;
        let call = self.number;
        self.request_text("INVITE", 1, call, false);
        self.answer_text("180 Ringing", "");
        self.answer_text("200 OK", "v=0\r\n");
        self.request_text("ACK", 1, call, true);
        self.request_text("BYE", 2, call, true);
        self.answer_text("200 OK", "");
        black_box(&self.text);
    }
}

/// Registrations that wait to be measured, with the server that has challenged them.
struct Registrations {
    run: Run,
    algorithm: DigestAlgorithm,
    /// Those prepared, and how many of them are used.
    prepared: Vec<String>,
    used: usize,
}

impl Registrations {
    fn new(bindings: usize, algorithm: DigestAlgorithm) -> Registrations {
        Registrations { run: Run::new(bindings, Some(algorithm)), algorithm, prepared: Vec::new(), used: 0 }
    }

    /// The time of `times` of them; what prepares them is not counted.
    fn timed(&mut self, times: u64) -> Duration {
        let times = times as usize;
        if self.prepared.len() - self.used < times {
            self.prepared = self.run.prepare(self.algorithm, times.max(10 * USERS));
            self.used = 0;
        }
        let batch = &self.prepared[self.used..self.used + times];
        self.used += times;
        let start = Instant::now();
        self.run.registrations(batch);
        start.elapsed()
    }
}

/// Runs the group.
///
/// All sizes of one case live at once and are measured turn and turn about, so that what slows the machine slows them all.
pub fn run(report: &mut Report) {
    let quick = report.effort().is_quick();
    let sizes: Vec<usize> = BINDINGS.into_iter().filter(|&size| !quick || size <= 10_000).collect();

    report.heading("REGISTER with digest, from datagram to 200: ratio to 10 bindings");
    for algorithm in [DigestAlgorithm::Md5, DigestAlgorithm::Sha256] {
        let mut runs: Vec<_> = sizes.iter().map(|&size| Registrations::new(size, algorithm)).collect();
        let mut contenders: Vec<_> =
            runs.iter_mut().map(|run| Contender::timed("sip-server", |times| run.timed(times))).collect();
        let times = report.time(&mut contenders);
        drop(contenders);
        for ((size, run), ns) in sizes.iter().zip(&mut runs).zip(&times) {
            let case = format!("REGISTER {algorithm} {size}");
            report.figure(&case, "register", "sip-server", *ns, "ns", Some(ns / times[0]));
            report.figure(&case, "rate", "sip-server", 1e9 / ns, "per s", None);
            let requests = run.run.prepare(algorithm, 100);
            let (_, counted) = alloc::measure(|| run.run.registrations(&requests));
            report.figure(&case, "allocations", "sip-server", counted.calls as f64 / 100.0, "calls", None);
        }
    }

    report.heading("a call relayed, INVITE 180 200 ACK BYE 200: ratio to 10 bindings");
    let mut runs: Vec<_> = sizes.iter().map(|&size| Run::new(size.max(10), None)).collect();
    let calls = if quick { 1_000 } else { 10_000 };
    for run in &mut runs {
        (0..calls + calls / 4).for_each(|_| run.call());
    }
    // What the clients cost is measured beside, and taken off.
    let mut texts = Run::new(10, None);
    texts.ring();
    let mut contenders = vec![Contender::new("clients", || texts.call_texts())];
    contenders.extend(runs.iter_mut().map(|run| Contender::new("sip-server", || run.call())));
    let times = report.time(&mut contenders);
    drop(contenders);
    let own: Vec<f64> = times[1..].iter().map(|ns| ns - times[0]).collect();
    for ((size, run), ns) in sizes.iter().zip(&mut runs).zip(&own) {
        let case = format!("call {size}");
        report.figure(&case, "relay", "sip-server", *ns, "ns", Some(ns / own[0]));
        report.figure(&case, "rate", "sip-server", 1e9 / ns, "per s", None);
        let (_, counted) = alloc::measure(|| (0..100).for_each(|_| run.call()));
        report.figure(&case, "allocations", "sip-server", counted.calls as f64 / 100.0, "calls", None);
    }
    drop(runs);

    report.heading("memory, beyond the strings of the bindings");
    for &size in &sizes {
        let mut run = Run::new(0, None);
        let ((), weighed) = alloc::measure(|| (0..size).for_each(|number| run.bind(number)));
        let strings =
            "sip:b0000000@example.com".len() + "sip:bob@192.0.2.2:5060".len() + "843817637684230@998sdasdh09".len();
        let each = weighed.live as f64 / size as f64 - strings as f64;
        report.figure(&format!("binding of {size}"), "memory", "sip-server", each, "bytes", None);
    }
    let calls = if quick { 1_000 } else { 20_000 };
    let mut run = Run::new(10, None);
    run.ring();
    let ((), ringing) = alloc::measure(|| {
        (0..calls).for_each(|_| {
            run.ring();
        })
    });
    report.figure("call that rings", "memory", "sip-server", ringing.live as f64 / calls as f64, "bytes", None);
    let mut run = Run::new(10, None);
    run.call();
    let from = run.now;
    let ((), lingering) = alloc::measure(|| {
        for _ in 0..calls {
            run.call();
            run.now = from;
        }
    });
    report.figure("call that lingers", "memory", "sip-server", lingering.live as f64 / calls as f64, "bytes", None);
}
