//! Two user agents, random commands, a network that loses, doubles and reorders: whatever happens, offers and answers take turns, numbers go up,
//! nothing is said outside of a dialog's life, and when the faults stop both sides agree and all ends.

mod crowd;
mod watch;

use crate::common::*;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use sip_dialog::{
    Body, CallEvent, CallHandle, CallState, EndCause, Event, ExtraHeaders, Meaning, OutgoingRequest, Progress,
    Redirect, Refer, Reply, RequestEvent, Subscribe, SubscriptionEvent, SubscriptionId,
};
use sip_message::Message;
use sip_transaction::Instant;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::Duration;
use watch::judge;

#[derive(Clone, Debug)]
struct Step {
    who: bool,
    command: u8,
    wait: u16,
    loss: u8,
}

fn steps() -> impl Strategy<Value = (u64, Vec<Step>)> {
    let step = (any::<bool>(), 0u8..28, 0u16..2500, 0u8..4).prop_map(|(who, command, wait, loss)| Step {
        who,
        command,
        wait,
        loss,
    });
    (any::<u64>(), prop::collection::vec(step, 1..40))
}

/// What lives at one side.
#[derive(Default)]
struct Live {
    calls: BTreeSet<CallHandle>,
    subscriptions: BTreeSet<SubscriptionId>,
}

/// What went over the wire, for whoever reads why a run has failed.
struct Shown(String);

/// One line for each message: when, from whom, what, its number, and how long its body is.
fn shown(world: &World) -> String {
    let mut out = String::new();
    for sent in world.net.trace() {
        let Ok(message) = Message::parse(sent.bytes.clone()) else { continue };
        let cseq = message.cseq().map(|cseq| format!("{} {}", cseq.number, cseq.method)).unwrap_or_default();
        let (at, lost) = (sent.at.since(Instant::ZERO), if sent.lost { " lost" } else { "" });
        let (from, what, body) = (sent.from.ip(), sent.title(), message.body().len());
        out.push_str(&format!("{at:?} {from} {what} ({cseq}) {body}{lost}\n"));
    }
    out
}

impl Drop for Shown {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = writeln!(std::io::stderr(), "{}", self.0);
        }
    }
}

/// Two telephones and those who hold them.
struct Play {
    world: World,
    nodes: [sim::NodeId; 2],
    live: [Live; 2],
    seen: usize,
    /// Whoever is lazy leaves offers and questions alone, and is answered for.
    lazy: bool,
}

impl Play {
    fn new(seed: u64) -> Self {
        let mut world = World::new(seed);
        let timers = seed % 3 == 1;
        let nodes = [1, 2].map(|n| {
            world.taped(n, |config| {
                config.packages.push("presence".into());
                config.session_timer.interval = timers.then_some(90);
                config.redirect = Redirect::Follow(3);
            })
        });
        world.net.faults.jitter = Duration::from_millis(seed % 400);
        Play { world, nodes, live: Default::default(), seen: 0, lazy: seed % 5 == 0 }
    }

    fn react(&mut self) {
        while let Some(happened) = self.world.log.get(self.seen) {
            self.seen += 1;
            let side = usize::from(happened.node == self.nodes[1]);
            let node = self.nodes[side];
            match happened.event.clone() {
                Event::Call { call, event } => self.react_call(side, node, call, event),
                Event::Subscription { subscription, event } => self.react_sub(side, node, subscription, event),
                Event::Request { request, event: RequestEvent::Incoming { .. } } if !self.lazy => {
                    let reply = Reply::new();
                    let _ = self.world.tell(node, |core, ep, now| core.respond(ep, now, request, status(200), reply));
                }
                _ => {}
            }
        }
    }

    fn react_call(&mut self, side: usize, node: sim::NodeId, call: CallHandle, event: CallEvent) {
        let lazy = self.lazy;
        match event {
            CallEvent::Incoming { .. } => {
                self.live[side].calls.insert(call);
            }
            CallEvent::Ended { .. } => {
                self.live[side].calls.remove(&call);
            }
            CallEvent::Offer { .. } | CallEvent::OfferWanted { .. } if !lazy => {
                let _ = self.world.tell(node, |core, ep, now| core.answer(ep, now, call, answer()));
            }
            CallEvent::Accepted { session: Some(Meaning::Offer), .. }
            | CallEvent::Progress { session: Some(Meaning::Offer), .. }
            | CallEvent::Answered { session: Some(Meaning::Offer), .. }
            | CallEvent::Acknowledged { session: Some(Meaning::Offer), .. }
                if !lazy =>
            {
                let _ = self.world.tell(node, |core, ep, now| core.answer(ep, now, call, answer()));
            }
            // Of a call whose PRACKs are left to us.
            CallEvent::Progress { dialog: Some(dialog), .. } if !lazy => {
                // Now and then with an offer of ours, where the first one has its answer.
                let more = (self.seen % 2 == 0).then(offer);
                let _ = self.world.tell(node, |core, ep, now| core.prack(ep, now, call, dialog, more));
                let _ = self.world.tell(node, |core, ep, now| core.prack(ep, now, call, dialog, None));
            }
            CallEvent::Refer { subscription, .. } => {
                self.live[side].subscriptions.insert(subscription);
                if !lazy {
                    let _ = self.world.tell(node, |core, ep, now| core.accept_refer(ep, now, subscription));
                }
            }
            _ => {}
        }
    }

    fn react_sub(&mut self, side: usize, node: sim::NodeId, id: SubscriptionId, event: SubscriptionEvent) {
        match event {
            SubscriptionEvent::Incoming { .. } => {
                self.live[side].subscriptions.insert(id);
                if !self.lazy {
                    let state = Body::new("text/plain", "here");
                    let _ = self
                        .world
                        .tell(node, |core, ep, now| core.accept_subscription(ep, now, id, false, None, Some(state)));
                }
            }
            SubscriptionEvent::Forked { subscription } => {
                self.live[side].subscriptions.insert(subscription);
            }
            SubscriptionEvent::Ended { .. } => {
                self.live[side].subscriptions.remove(&id);
            }
            _ => {}
        }
    }

    fn command(&mut self, step: &Step) {
        let side = usize::from(step.who);
        let node = self.nodes[side];
        let (me, to) = if side == 0 { (1, 2) } else { (2, 1) };
        let call = self.live[side].calls.iter().next_back().copied();
        let sub = self.live[side].subscriptions.iter().next_back().copied();
        if step.command == 0 || call.is_none() && step.command < 14 {
            if self.live[side].calls.len() < 3 {
                let invite = invite(me, to);
                let invite = match step.wait % 6 {
                    0 | 3 => invite,
                    1 => invite.body(Body::sdp([OFFER, b"a=inactive\r\n"].concat())),
                    _ => invite.body(offer()),
                };
                let invite = if step.wait % 7 == 0 { invite.prack_by_host() } else { invite };
                let call = self.world.invite(node, invite);
                self.live[side].calls.insert(call);
            }
            return;
        }
        match (step.command, call, sub) {
            (14, ..) if self.live[side].subscriptions.len() < 3 => {
                let to = format!("sip:{to}@192.0.2.{to}");
                let subscribe = Subscribe::new(origin(me), to, "presence").expires(u32::from(step.wait) / 20);
                let made = self.world.tell(node, |core, ep, now| core.subscribe(ep, now, subscribe));
                self.live[side].subscriptions.extend(made);
            }
            (15, _, Some(sub)) => {
                let _ = self.world.tell(node, |core, ep, now| core.unsubscribe(ep, now, sub));
            }
            (16, _, Some(sub)) => {
                let state = Body::new("text/plain", "away");
                let _ = self.world.tell(node, |core, ep, now| core.notify(ep, now, sub, Some(state)));
            }
            (17, _, Some(sub)) => {
                let code = status(if step.wait % 2 == 0 { 180 } else { 200 });
                let _ = self.world.tell(node, |core, ep, now| core.report(ep, now, sub, code));
            }
            (18, ..) => {
                let to = format!("sip:{to}@192.0.2.{to}");
                let hello = OutgoingRequest::message(origin(me), to, Body::new("text/plain", "hello"));
                let _ = self.world.tell(node, |core, ep, now| core.request(ep, now, hello));
            }
            (19, Some(call), _) if self.live[side].subscriptions.len() < 3 => {
                let refer = Refer::new("sip:3@192.0.2.3");
                let refer = if step.wait % 5 == 0 { refer.without_reports() } else { refer };
                let made = self.world.tell(node, |core, ep, now| core.refer(ep, now, call, refer));
                self.live[side].subscriptions.extend(made);
            }
            (_, Some(call), _) => self.command_call(node, me, call, step),
            _ => {}
        }
    }

    fn command_call(&mut self, node: sim::NodeId, me: u8, call: CallHandle, step: &Step) {
        let none = ExtraHeaders::new;
        let held = Body::sdp([OFFER, b"a=sendonly\r\n"].concat());
        // What is not possible now is refused and changes nothing.
        let _ = self.world.tell(node, |core, ep, now| match step.command {
            1 => core.progress(ep, now, call, Progress::ringing()),
            2 => core.progress(ep, now, call, Progress::new(status(183)).reliable().body(answer())),
            3 | 20 | 21 => core.accept(ep, now, call, Reply::new().body(answer())),
            4 => core.accept(ep, now, call, Reply::new()),
            5 => core.reject(ep, now, call, status(486), Reply::new()),
            6 => core.hang_up(ep, now, call, None),
            7 => core.reinvite(ep, now, call, Some(offer()), none()),
            8 => core.reinvite(ep, now, call, None, none()),
            9 => core.update(ep, now, call, Some(offer()), none()),
            10 => core.refuse(ep, now, call, status(488), Reply::new()),
            11 => core.hold(ep, now, call, held),
            12 => core.resume(ep, now, call, offer()),
            22 => core.update(ep, now, call, None, none()),
            23 => core.update(ep, now, call, Some(held), none()),
            24 => core.accept(ep, now, call, Reply::new().body(held)),
            25 => {
                let moved = format!("<sip:moved{}@192.0.2.{me}>", step.wait % 3);
                core.rebind(ep, now, call, None, Some(moved))
            }
            26 => {
                let elsewhere = format!("<sip:{me}{}@192.0.2.{me}>", step.wait % 2);
                core.reject(ep, now, call, status(302), Reply::new().header("Contact", elsewhere))
            }
            27 => core.progress(ep, now, call, Progress::new(status(183)).reliable().body(held)),
            _ => core.dtmf(ep, now, call, sip_dialog::Tone::new('1').unwrap(), Duration::from_millis(100)).map(|_| ()),
        });
    }

    /// Runs for a while; events are answered as they come.
    fn run_for(&mut self, time: Duration) {
        let end = self.world.now() + time;
        while self.world.now() < end {
            let left = end.since(self.world.now());
            self.world.run_for(left.min(Duration::from_millis(100)));
            self.react();
        }
    }

    /// What stands at one side: the call, whether we hold the peer, and whether it holds us.
    fn standing(&mut self, side: usize) -> BTreeSet<(String, bool, bool)> {
        let (node, mut out) = (self.nodes[side], BTreeSet::new());
        let shown = self.world.ladder();
        for call in self.live[side].calls.clone() {
            self.world.tell(node, |core, _, _| {
                let info = core.call(call).unwrap();
                // Nothing is half done any more.
                assert!(
                    matches!(info.state, CallState::Confirmed | CallState::Calling | CallState::Ringing),
                    "{call} is {info:?}\n{shown}"
                );
                if info.state == CallState::Confirmed {
                    let call_id = core.dialog(info.dialog.unwrap()).unwrap().call_id().to_owned();
                    let (ours, theirs) = (info.on_hold, info.held);
                    out.insert(if side == 0 { (call_id, ours, theirs) } else { (call_id, theirs, ours) });
                }
            });
        }
        out
    }

    /// How many calls ring at one side, as one that is in this state.
    fn ringing(&mut self, side: usize, state: CallState) -> usize {
        let (node, calls) = (self.nodes[side], self.live[side].calls.clone());
        calls
            .into_iter()
            .filter(|call| self.world.tell(node, |core, _, _| core.call(*call).is_some_and(|info| info.state == state)))
            .count()
    }

    fn agree(&mut self) {
        let standing = [0, 1].map(|side| self.standing(side));
        assert_eq!(standing[0], standing[1], "{}", self.world.ladder());
        for side in 0..2 {
            let (calling, ringing) =
                (self.ringing(side, CallState::Calling), self.ringing(1 - side, CallState::Ringing));
            // An INVITE that arrives when its sender is about to give it up for unanswered rings on: nothing may be sent after it, and no CANCEL
            // before an answer (RFC 3261 section 9.1).
            let lost = self.world.log.iter().filter(|happened| {
                let unanswered = matches!(
                    happened.event,
                    Event::Call {
                        event: CallEvent::Ended { cause: EndCause::TimedOut | EndCause::Cancelled, message: None, .. },
                        ..
                    }
                );
                happened.node == self.nodes[side] && unanswered
            });
            let most = calling + lost.count();
            assert!((calling..=most).contains(&ringing), "{side}: {calling}, {ringing}:\n{}", self.world.ladder());
        }
    }

    fn end(mut self) {
        for side in 0..2 {
            let node = self.nodes[side];
            for call in self.live[side].calls.clone() {
                let _ = self.world.tell(node, |core, ep, now| core.hang_up(ep, now, call, None));
            }
        }
        self.run_for(Duration::from_secs(1));
        for side in 0..2 {
            let node = self.nodes[side];
            for sub in self.live[side].subscriptions.clone() {
                let _ = self.world.tell(node, |core, ep, now| core.unsubscribe(ep, now, sub));
            }
        }
        self.run_for(Duration::from_secs(60));
        let _shown = Shown(shown(&self.world));
        for node in self.nodes {
            judge(&self.world.tape(node));
        }
        self.world.finish();
    }
}

fn run(seed: u64, steps: &[Step]) {
    let mut play = Play::new(seed);
    for step in steps {
        play.world.net.faults.loss = u32::from(step.loss) * 100;
        play.world.net.faults.duplicates = u32::from(step.loss) * 80;
        play.command(step);
        play.run_for(Duration::from_millis(u64::from(step.wait)));
    }
    // The faults stop: after 64 * T1 nothing is left of them. Whom a lazy host keeps waiting is answered for after that.
    play.world.net.faults.loss = 0;
    play.world.net.faults.duplicates = 0;
    play.world.net.faults.jitter = Duration::ZERO;
    let lazy = if play.lazy { Duration::from_secs(40) } else { Duration::ZERO };
    play.run_for(Duration::from_secs(32) + lazy);
    play.agree();
    play.end();
}

/// `SIP_DIALOG_CASES` sequences, those of the chunk `SIP_DIALOG_CHUNK`: another chunk has others, and the same one always the same.
#[test]
fn whatever_they_do() {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u32>().ok());
    let config =
        Config { cases: number("SIP_DIALOG_CASES").unwrap_or(300), failure_persistence: None, ..Config::default() };
    let mut seed = [0; 32];
    seed[..4].copy_from_slice(&number("SIP_DIALOG_CHUNK").unwrap_or(0).to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    TestRunner::new_with_rng(config, rng)
        .run(&steps(), |(seed, steps)| {
            run(seed, &steps);
            Ok(())
        })
        .unwrap();
}
