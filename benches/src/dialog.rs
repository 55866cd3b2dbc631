//! Group `dialog`. Calls between two user agents: set up, torn down, and what each weighs while it stands.
//!
//! Both agents are in the figure, and all a host does: the events, the answer, the bytes from one to the other. There are no
//! sockets, and no media.

use crate::alloc;
use crate::report::{Contender, Report};
use bytes::Bytes;
use sip_dialog::{
    Body, CallEvent, CallHandle, Event, Invite, Origin, Output, Progress, Reply, UserAgent, UserAgentConfig,
};
use sip_transaction::{EndpointConfig, FlowId, Input, Instant as Time, Transport};
use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many calls stand while one more is measured.
const LIVE: [usize; 4] = [10, 1_000, 20_000, 200_000];

const SDP: &[u8] =
    b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

/// One side.
struct Side {
    agent: UserAgent,
    socket: FlowId,
    address: SocketAddr,
}

impl Side {
    fn new(n: u8) -> Side {
        let mut endpoint = EndpointConfig::default();
        endpoint.limits.transactions = None;
        endpoint.limits.per_source = None;
        let mut config = UserAgentConfig::new(format!("<sip:{n}@192.0.2.{n}>"));
        config.session_timer.interval = None;
        let mut agent = UserAgent::new(Arc::new(endpoint), Arc::new(config), [n; 32]);
        let address: SocketAddr = ([192, 0, 2, n], 5060).into();
        let socket = agent.parts().1.bind(Transport::Udp, address).expect("a socket");
        Side { agent, socket, address }
    }
}

/// Two user agents with a wire between them.
struct Pair {
    sides: [Side; 2],
    now: Time,
    /// Events of both sides, counted.
    events: u64,
    ringing: Option<CallHandle>,
    standing: Option<CallHandle>,
    over: bool,
    /// What carries bytes from one side to the other.
    wire: Vec<Bytes>,
    origin: Origin,
}

impl Pair {
    fn new() -> Pair {
        Pair {
            sides: [Side::new(1), Side::new(2)],
            now: Time::ZERO,
            events: 0,
            ringing: None,
            standing: None,
            over: false,
            wire: Vec::new(),
            origin: Origin::new("<sip:1@192.0.2.1>"),
        }
    }

    /// Carries bytes both ways until nobody has anything to say.
    fn settle(&mut self) {
        loop {
            let mut quiet = true;
            for side in 0..2 {
                while let Some(transmit) = self.sides[side].agent.poll_transmit() {
                    self.wire.push(transmit.bytes);
                }
                let from = self.sides[side].address;
                for bytes in self.wire.drain(..) {
                    quiet = false;
                    let other = &mut self.sides[1 - side];
                    let input = Input::Datagram { flow: other.socket, remote: from, bytes: &bytes };
                    other.agent.handle_input(self.now, input).expect("it is well formed");
                }
                while let Some(event) = self.sides[side].agent.poll_event() {
                    quiet = false;
                    self.events += 1;
                    if let Output::UserAgent(Event::Call { call, event }) = black_box(event) {
                        match event {
                            CallEvent::Incoming { .. } => self.ringing = Some(call),
                            CallEvent::Confirmed { .. } if side == 0 => self.standing = Some(call),
                            CallEvent::Ended { .. } => self.over = true,
                            _ => {}
                        }
                    }
                }
            }
            if quiet {
                return;
            }
        }
    }

    /// INVITE, 180, 200, ACK.
    fn begin(&mut self) -> CallHandle {
        let invite = Invite::new(self.origin.clone(), "sip:2@192.0.2.2").body(Body::sdp(SDP));
        let now = self.now;
        let (core, endpoint) = self.sides[0].agent.parts();
        core.invite(endpoint, now, invite).expect("a call");
        self.settle();
        let call = self.ringing.take().expect("it rings");
        let (core, endpoint) = self.sides[1].agent.parts();
        core.progress(endpoint, now, call, Progress::ringing()).expect("180");
        core.accept(endpoint, now, call, Reply::new().body(Body::sdp(SDP))).expect("200");
        self.settle();
        self.standing.take().expect("it stands")
    }

    /// BYE, 200.
    fn end(&mut self, call: CallHandle) {
        let now = self.now;
        let (core, endpoint) = self.sides[0].agent.parts();
        core.hang_up(endpoint, now, call, None).expect("a BYE");
        self.settle();
        assert!(std::mem::take(&mut self.over), "it ended");
    }

    /// Time goes on, as long as nothing that happens then needs more than this.
    fn pass(&mut self, time: Duration) {
        self.now += time;
        let now = self.now;
        for _ in 0..1_000_000 {
            let mut due = false;
            for side in &mut self.sides {
                if side.agent.poll_timeout().is_some_and(|at| at <= now) {
                    due = true;
                    side.agent.handle_timeout(now);
                }
            }
            if !due {
                return;
            }
            self.settle();
        }
    }

    fn one(&mut self) {
        let call = self.begin();
        self.end(call);
        // Some 1,600 finished calls linger in the transaction layer, as RFC 3261 wants it.
        self.pass(Duration::from_millis(20));
    }
}

/// A pair with so many calls standing, in a steady state.
fn standing(live: usize) -> Pair {
    let mut pair = Pair::new();
    for _ in 0..live {
        pair.begin();
        pair.pass(Duration::from_millis(1));
    }
    pair.pass(Duration::from_secs(64));
    for _ in 0..2_000 {
        pair.one();
    }
    pair
}

/// How long one call takes where nothing else runs between them: the median of rounds of as many calls as linger.
fn in_a_row(pair: &mut Pair, rounds: usize) -> f64 {
    const CALLS: u32 = 1_600;
    let mut round = || {
        let start = Instant::now();
        (0..CALLS).for_each(|_| pair.one());
        start.elapsed().as_nanos() as f64 / f64::from(CALLS)
    };
    let mut times: Vec<f64> = (0..rounds).map(|_| round()).collect();
    times.sort_by(f64::total_cmp);
    times[rounds / 2]
}

/// Runs the group.
///
/// First calls in a row, before there is anything else in memory. Then all pairs live at once and are measured turn and turn about, so that
/// what slows the machine slows them all: in short slices, each of which begins with cold caches.
pub fn run(report: &mut Report) {
    report.heading("a whole call, INVITE 180 200 ACK BYE 200, both agents: ratio to 10 standing calls");
    let quick = report.effort().is_quick();
    let ns = in_a_row(&mut standing(LIVE[0]), if quick { 1 } else { 101 });
    report.figure("calls in a row", "life", "sip-dialog", ns, "ns", None);
    report.figure("calls in a row", "rate", "sip-dialog", 1e9 / ns, "per s", None);
    let mut pairs: Vec<(usize, Pair)> =
        LIVE.into_iter().filter(|&live| !quick || live <= 1_000).map(|live| (live, standing(live))).collect();
    let mut contenders: Vec<_> = pairs
        .iter_mut()
        .map(|(_, pair)| {
            Contender::timed("sip-dialog", |times| {
                let start = Instant::now();
                (0..times).for_each(|_| pair.one());
                start.elapsed()
            })
        })
        .collect();
    let times = report.time(&mut contenders);
    drop(contenders);
    for ((live, pair), ns) in pairs.iter_mut().zip(&times) {
        let case = format!("call, {live} standing");
        report.figure(&case, "life", "sip-dialog", *ns, "ns", Some(ns / times[0]));
        report.figure(&case, "rate", "sip-dialog", 1e9 / ns, "per s", None);
        let before = pair.events;
        let (_, counted) = alloc::measure(|| (0..1000).for_each(|_| pair.one()));
        report.figure(&case, "events", "sip-dialog", (pair.events - before) as f64 / 1000.0, "events", None);
        report.figure(&case, "allocations", "sip-dialog", counted.calls as f64 / 1000.0, "calls", None);
    }
    drop(pairs);
    let live = if quick { 1_000 } else { 100_000 };
    let mut pair = Pair::new();
    let ((), weighed) = alloc::measure(|| {
        for _ in 0..live {
            pair.begin();
            pair.pass(Duration::from_millis(1));
        }
        // Until the transactions that made them are gone.
        pair.pass(Duration::from_secs(64));
    });
    let each = weighed.live as f64 / live as f64 / 2.0;
    report.figure("established call, one side", "memory", "sip-dialog", each, "bytes", None);
}
