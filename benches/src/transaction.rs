//! Group `transaction`. Transactions: created, run to the end and freed, and what each weighs.
//!
//! Each figure is of one endpoint in a steady state: so many transactions live, each operation begins one and time moves on so that
//! the oldest ends. All a host does is in it: bytes in, events out, the answer built, bytes out.

#[cfg(feature = "peers")]
mod peers;

use crate::alloc;
use crate::report::{Contender, Report};
use sip_message::{Message, Method, StatusCode};
use sip_transaction::{Destination, Endpoint, EndpointConfig, Event, FlowId, Input, Instant as Time, Path, Transport};
use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many transactions are live while one more is measured.
const LIVE: [usize; 4] = [10, 1_000, 100_000, 1_000_000];

/// Digits of the number that makes each branch and each tag another.
const DIGITS: usize = PLACE.len();
const PLACE: &str = "############";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Uas,
    Uac,
    InviteUas,
    InviteUac,
}

impl Kind {
    const ALL: [Kind; 4] = [Kind::Uas, Kind::Uac, Kind::InviteUas, Kind::InviteUac];

    fn name(self) -> &'static str {
        match self {
            Kind::Uas => "non-INVITE UAS",
            Kind::Uac => "non-INVITE UAC",
            Kind::InviteUas => "INVITE UAS (486)",
            Kind::InviteUac => "INVITE UAC (486)",
        }
    }

    /// How long one of them lives, over UDP, counted from its last message.
    fn life(self) -> Duration {
        match self {
            Kind::Uas | Kind::InviteUac => Duration::from_secs(32),
            Kind::Uac | Kind::InviteUas => Duration::from_secs(5),
        }
    }

    fn method(self) -> &'static str {
        match self {
            Kind::Uas | Kind::Uac => "OPTIONS",
            Kind::InviteUas | Kind::InviteUac => "INVITE",
        }
    }
}

/// A datagram with a number in it.
struct Template {
    bytes: Vec<u8>,
    at: usize,
}

impl Template {
    fn new(text: String) -> Template {
        let at = text.find(PLACE).unwrap_or_default();
        Template { bytes: text.replace(PLACE, "000000000000").into_bytes(), at }
    }

    /// The next number, counted up in place: putting requests together is not what is measured.
    fn next(&mut self) -> &[u8] {
        for digit in self.bytes[self.at..self.at + DIGITS].iter_mut().rev() {
            *digit = if *digit == b'9' { b'0' } else { *digit + 1 };
            if *digit != b'0' {
                break;
            }
        }
        &self.bytes
    }
}

/// A request to Bob; `to_tag` as it stands behind his address.
fn request_text(method: &str, to_tag: &str) -> String {
    format!(
        "{method} sip:bob@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK############;rport\r\n\
         Max-Forwards: 70\r\nFrom: Alice <sip:alice@atlanta.example.com>;tag=9fxced76sl\r\n\
         To: Bob <sip:bob@biloxi.example.com>{to_tag}\r\nCall-ID: 3848276298220188511@atlanta.example.com\r\n\
         CSeq: 1 {method}\r\nContact: <sip:alice@192.0.2.1>\r\nContent-Length: 0\r\n\r\n"
    )
}

struct Run {
    kind: Kind,
    endpoint: Endpoint,
    socket: FlowId,
    local: SocketAddr,
    remote: SocketAddr,
    now: Time,
    step: Duration,
    /// Where the branch stands in what is sent.
    branch: Option<usize>,
    request: Template,
    ack: Template,
    out: Message,
    /// The response to `out`, and where its branch is.
    response: Template,
    /// Bytes sent for the last transaction.
    sent: usize,
}

impl Run {
    fn new(kind: Kind, live: usize) -> Run {
        let mut config = EndpointConfig::default();
        config.limits.transactions = None;
        config.limits.per_source = None;
        let mut endpoint = Endpoint::new(Arc::new(config), [3; 32]);
        let local: SocketAddr = ([192, 0, 2, 2], 5060).into();
        let remote: SocketAddr = ([192, 0, 2, 1], 5060).into();
        let socket = endpoint.bind(Transport::Udp, local).expect("a socket");
        let method = kind.method();
        let out =
            Message::request(if method == "INVITE" { Method::Invite } else { Method::Options }, "sip:bob@192.0.2.1")
                .header("Max-Forwards", 70)
                .header("From", "Alice <sip:alice@atlanta.example.com>;tag=9fxced76sl")
                .header("To", "Bob <sip:bob@biloxi.example.com>")
                .header("Call-ID", "3848276298220188511@atlanta.example.com")
                .cseq(1)
                .build()
                .expect("a request");
        let status = if kind == Kind::InviteUac { "486 Busy Here" } else { "200 OK" };
        let response = format!(
            "SIP/2.0 {status}\r\nVia: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK############00000000;rport\r\n\
             From: Alice <sip:alice@atlanta.example.com>;tag=9fxced76sl\r\nTo: Bob <sip:bob@biloxi.example.com>;tag=8321234356\r\n\
             Call-ID: 3848276298220188511@atlanta.example.com\r\nCSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n"
        );
        let mut run = Run {
            kind,
            endpoint,
            socket,
            local,
            remote,
            now: Time::ZERO,
            step: kind.life() / live as u32,
            branch: None,
            request: Template::new(request_text(method, "")),
            ack: Template::new(request_text("ACK", ";tag=8321234356")),
            out,
            response: Template::new(response),
            sent: 0,
        };
        for _ in 0..live + live / 4 {
            run.one();
        }
        run
    }

    fn path(&self) -> Path {
        Path { flow: self.socket, transport: Transport::Udp, local: self.local, remote: self.remote }
    }

    fn input(&mut self, bytes: &[u8]) {
        let input = Input::Datagram { flow: self.socket, remote: self.remote, bytes };
        self.endpoint.handle_input(self.now, input).expect("it is well formed");
    }

    fn drain(&mut self) {
        while let Some(transmit) = self.endpoint.poll_transmit() {
            self.sent += black_box(&transmit).bytes.len();
        }
        while let Some(event) = self.endpoint.poll_event() {
            black_box(&event);
        }
    }

    /// One transaction more, one less.
    fn one(&mut self) {
        self.now += self.step;
        self.sent = 0;
        match self.kind {
            Kind::Uas | Kind::InviteUas => {
                let mut request = std::mem::replace(&mut self.request, Template { bytes: Vec::new(), at: 0 });
                self.input(request.next());
                self.request = request;
                let status = if self.kind == Kind::Uas { StatusCode::OK } else { StatusCode::BUSY_HERE };
                while let Some(event) = self.endpoint.poll_event() {
                    if let Event::Request { tx, message, .. } = &event {
                        self.endpoint.reply(self.now, *tx, message, status).expect("it is the first");
                    }
                }
                if self.kind == Kind::InviteUas {
                    let mut ack = std::mem::replace(&mut self.ack, Template { bytes: Vec::new(), at: 0 });
                    self.input(ack.next());
                    self.ack = ack;
                }
            }
            Kind::Uac | Kind::InviteUac => {
                let to = Destination::path(self.path());
                self.endpoint.request(self.now, self.out.clone(), to).expect("it is well formed");
                let mut response = std::mem::replace(&mut self.response, Template { bytes: Vec::new(), at: 0 });
                while let Some(transmit) = self.endpoint.poll_transmit() {
                    self.sent += transmit.bytes.len();
                    // What came after the cookie stands in both at a place of its own.
                    let from = *self.branch.get_or_insert_with(|| {
                        memchr::memmem::find(&transmit.bytes, b"z9hG4bK").expect("a branch") + 7
                    });
                    response.bytes[response.at..response.at + 20].copy_from_slice(&transmit.bytes[from..from + 20]);
                }
                self.input(&response.bytes);
                self.response = response;
            }
        }
        if self.endpoint.poll_timeout().is_some_and(|at| at <= self.now) {
            self.endpoint.handle_timeout(self.now);
        }
        self.drain();
    }
}

/// Nothing but transactions of one kind, `times` of them while `live` live. `None` if there is no such kind.
pub fn lives(kind: &str, live: usize, times: u64) -> Option<()> {
    let kind = match kind {
        "uas" => Kind::Uas,
        "uac" => Kind::Uac,
        "invite-uas" => Kind::InviteUas,
        "invite-uac" => Kind::InviteUac,
        _ => return None,
    };
    let mut run = Run::new(kind, live);
    (0..times).for_each(|_| run.one());
    Some(())
}

/// Runs the group.
///
/// All populations of one kind live at once and are measured turn and turn about, so that what slows the machine slows them all
/// and the ratios are of the same minute. Each finds its caches as the others left them.
pub fn run(report: &mut Report) {
    report.heading("create, run to the end, free: ratio to 10 live of the same kind");
    let quick = report.effort().is_quick();
    for kind in Kind::ALL {
        let mut runs: Vec<(usize, Run)> =
            LIVE.into_iter().filter(|&live| !quick || live <= 1_000).map(|live| (live, Run::new(kind, live))).collect();
        let mut contenders: Vec<_> = runs.iter_mut().map(|(_, run)| ours(run)).collect();
        let times = report.time(&mut contenders);
        drop(contenders);
        for ((live, run), ns) in runs.iter_mut().zip(&times) {
            let (_, counted) = alloc::measure(|| (0..1000).for_each(|_| run.one()));
            let case = format!("{} {live} live", kind.name());
            report.figure(&case, "life", OURS, *ns, "ns", Some(ns / times[0]));
            report.figure(&case, "rate", OURS, 1e9 / ns, "per s", None);
            report.figure(&case, "allocations", OURS, counted.calls as f64 / 1000.0, "calls", None);
        }
        #[cfg(feature = "peers")]
        if kind == Kind::Uas {
            run_peer(report, &mut runs);
        }
        drop(runs);
        let live = if quick { 1_000 } else { 100_000 };
        let (run, weighed) = alloc::measure(|| Run::new(kind, live));
        let each = weighed.live as f64 / run.endpoint.transactions() as f64;
        report.figure(kind.name(), "memory", OURS, each, "bytes", None);
        // What was sent is kept to be sent again, but for a request that has been answered.
        let kept = if kind == Kind::Uac { 0.0 } else { run.sent as f64 };
        report.figure(kind.name(), "memory beyond messages", OURS, each - kept, "bytes", None);
    }
}

const OURS: &str = "sip-transaction";

fn ours(run: &mut Run) -> Contender<'_> {
    Contender::timed(OURS, |times| {
        let start = Instant::now();
        (0..times).for_each(|_| run.one());
        start.elapsed()
    })
}

/// The same of the one peer that can be driven so, for non-INVITE UAS, with ours beside it: ratio to ours of as many.
#[cfg(feature = "peers")]
fn run_peer(report: &mut Report, runs: &mut [(usize, Run)]) {
    const NAME: &str = "sipx-sip";
    let mut peers: Vec<_> = runs.iter().map(|(live, _)| peers::SipxUas::new(*live)).collect();
    let mut contenders: Vec<_> = runs.iter_mut().map(|(_, run)| ours(run)).collect();
    contenders.extend(peers.iter_mut().map(|run| {
        Contender::timed(NAME, |times| {
            let start = Instant::now();
            (0..times).for_each(|_| run.one());
            start.elapsed()
        })
    }));
    let times = report.time(&mut contenders);
    drop(contenders);
    let (floors, times) = times.split_at(runs.len());
    for ((((live, _), run), floor), ns) in runs.iter().zip(&mut peers).zip(floors).zip(times) {
        let (_, counted) = alloc::measure(|| (0..1000).for_each(|_| run.one()));
        let case = format!("{} {live} live", Kind::Uas.name());
        report.figure(&case, "life", NAME, *ns, "ns", Some(ns / floor));
        report.figure(&case, "rate", NAME, 1e9 / ns, "per s", None);
        report.figure(&case, "allocations", NAME, counted.calls as f64 / 1000.0, "calls", None);
    }
    let live = runs.last().map_or(1_000, |(live, _)| (*live).min(100_000));
    drop(peers);
    let (run, weighed) = alloc::measure(|| peers::SipxUas::new(live));
    let each = weighed.live as f64 / run.live() as f64;
    report.figure(Kind::Uas.name(), "memory", NAME, each, "bytes", None);
    report.figure(Kind::Uas.name(), "memory beyond messages", NAME, each - run.sent as f64, "bytes", None);
}
