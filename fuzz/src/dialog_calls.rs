//! Two user agents and a wire that the input holds: it chooses commands, what becomes of each packet, how time goes on, and where a packet is
//! spoiled. Nothing may panic; when the wire is left alone and all calls are hung up, nothing may be left.

use sip_dialog::{
    Body, CallEvent, CallHandle, Event, ExtraHeaders, Invite, Origin, Output, Progress, Reply, Subscribe, UserAgent,
    UserAgentConfig,
};
use sip_message::StatusCode;
use sip_transaction::{FlowId, Input, Instant, Transport};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

const SDP: &[u8] =
    b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

struct Side {
    agent: UserAgent,
    socket: FlowId,
    address: SocketAddr,
    calls: Vec<CallHandle>,
}

struct Run {
    sides: [Side; 2],
    now: Instant,
    /// To which side, and what.
    wire: VecDeque<(usize, Vec<u8>)>,
}

impl Run {
    fn new() -> Option<Run> {
        let side = |n: u8| {
            let mut config = UserAgentConfig::new(format!("<sip:{n}@192.0.2.{n}>"));
            config.packages.push("presence".into());
            let mut agent = UserAgent::new(Default::default(), config.into(), [n; 32]);
            let address: SocketAddr = ([192, 0, 2, n], 5060).into();
            let socket = agent.parts().1.bind(Transport::Udp, address).ok()?;
            Some(Side { agent, socket, address, calls: Vec::new() })
        };
        Some(Run { sides: [side(1)?, side(2)?], now: Instant::ZERO, wire: VecDeque::new() })
    }

    fn drain(&mut self) {
        for n in 0..2 {
            let side = &mut self.sides[n];
            while let Some(transmit) = side.agent.poll_transmit() {
                self.wire.push_back((1 - n, transmit.bytes.to_vec()));
            }
            while let Some(output) = side.agent.poll_event() {
                let Output::UserAgent(Event::Call { call, event }) = output else { continue };
                match event {
                    CallEvent::Incoming { .. } => side.calls.push(call),
                    CallEvent::Ended { .. } => side.calls.retain(|live| *live != call),
                    _ => {}
                }
            }
        }
    }

    fn deliver(&mut self, to: usize, bytes: &[u8]) {
        let remote = self.sides[1 - to].address;
        let side = &mut self.sides[to];
        let _ = side.agent.handle_input(self.now, Input::Datagram { flow: side.socket, remote, bytes });
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        for _ in 0..10_000 {
            let next = self.sides.iter().filter_map(|side| side.agent.poll_timeout()).min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            for n in 0..2 {
                self.sides[n].agent.handle_timeout(self.now);
            }
            self.drain();
        }
        self.now = end;
    }

    fn command(&mut self, who: usize, what: u8, which: u8) {
        let now = self.now;
        let side = &mut self.sides[who];
        let (me, to) = (who + 1, 2 - who);
        let call = side.calls.get(usize::from(which) % side.calls.len().max(1)).copied();
        let (core, ep) = side.agent.parts();
        let origin = Origin::new(format!("<sip:{me}@192.0.2.{me}>"));
        let target = format!("sip:{to}@192.0.2.{to}");
        let sdp = || Body::sdp(SDP);
        let Some(call) = call.filter(|_| what % 16 != 0) else {
            if side.calls.len() < 4 {
                let invite = Invite::new(origin, target);
                let invite = if which & 1 == 0 { invite.body(sdp()) } else { invite };
                side.calls.extend(core.invite(ep, now, invite).ok());
            }
            return;
        };
        let code = |code| StatusCode::new(code).unwrap_or(StatusCode::OK);
        let _ = match what % 16 {
            1 => core.progress(ep, now, call, Progress::ringing()),
            2 => core.progress(ep, now, call, Progress::new(code(183)).reliable().body(sdp())),
            3 => core.accept(ep, now, call, Reply::new().body(sdp())),
            4 => core.accept(ep, now, call, Reply::new()),
            5 => core.reject(ep, now, call, code(486), Reply::new()),
            6 => core.hang_up(ep, now, call, None),
            7 => core.reinvite(ep, now, call, Some(sdp()), ExtraHeaders::new()),
            8 => core.reinvite(ep, now, call, None, ExtraHeaders::new()),
            9 => core.update(ep, now, call, Some(sdp()), ExtraHeaders::new()),
            10 => core.answer(ep, now, call, sdp()),
            11 => core.refuse(ep, now, call, code(488), Reply::new()),
            12 => core.refer(ep, now, call, sip_dialog::Refer::new("sip:3@192.0.2.3")).map(drop),
            13 => core.info(ep, now, call, None, Body::new("text/plain", "x")).map(drop),
            14 => core.subscribe(ep, now, Subscribe::new(origin, target, "presence").expires(60)).map(drop),
            _ => core.rebind(ep, now, call, None, Some(format!("<sip:new@192.0.2.{me}>"))),
        };
    }
}

/// Runs the target.
pub fn run(data: &[u8]) {
    let Some(mut run) = Run::new() else { return };
    for step in data.chunks_exact(3).take(300) {
        let (op, a, b) = (step[0], step[1], step[2]);
        match op % 8 {
            0..=2 => run.command(usize::from(a & 1), a >> 1, b),
            3 | 4 => {
                if let Some((to, bytes)) = run.wire.pop_front() {
                    run.deliver(to, &bytes);
                }
            }
            5 => {
                // Lost, doubled, late or spoiled.
                if let Some((to, mut bytes)) = run.wire.pop_front() {
                    match a % 4 {
                        0 => {}
                        1 => {
                            run.deliver(to, &bytes);
                            run.deliver(to, &bytes);
                        }
                        2 => run.wire.push_back((to, bytes)),
                        _ => {
                            let at = (usize::from(a) << 8 | usize::from(b)) % bytes.len().max(1);
                            if let Some(byte) = bytes.get_mut(at) {
                                *byte ^= b | 1;
                            }
                            run.deliver(to, &bytes);
                        }
                    }
                }
            }
            _ => run.pass(Duration::from_millis(u64::from(a) * u64::from(b))),
        }
        run.drain();
    }
    // The wire is left alone.
    for _ in 0..200 {
        while let Some((to, bytes)) = run.wire.pop_front() {
            run.deliver(to, &bytes);
            run.drain();
        }
        run.pass(Duration::from_millis(500));
    }
    for n in 0..2 {
        for call in run.sides[n].calls.clone() {
            let now = run.now;
            let (core, ep) = run.sides[n].agent.parts();
            let _ = core.hang_up(ep, now, call, None);
        }
        run.drain();
    }
    for _ in 0..2_000 {
        while let Some((to, bytes)) = run.wire.pop_front() {
            run.deliver(to, &bytes);
            run.drain();
        }
        if run.sides.iter().all(|side| side.agent.calls() == 0) {
            return;
        }
        run.pass(Duration::from_millis(500));
    }
    let left: Vec<String> = run.sides.iter().map(|side| side.agent.census()).collect();
    panic!("calls are left: {left:?}");
}
