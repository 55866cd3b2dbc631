//! One user agent that calls, and a peer that is many, and mad: it forks, accepts twice, takes back, asks and answers out of turn, as a
//! stranger may. Whatever it does, each 2xx has its ACK, each that is not wanted its BYE, an offer its answer, and nothing is left.

use crate::common::*;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use sip_dialog::{Body, CallEvent, CallHandle, DialogId, Event, ExtraHeaders, Meaning, Redirect};
use sip_message::{Header, Message, Method};
use sip_transaction::{Destination, Instant, ServerTxId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const TAGS: [&str; 3] = ["one", "two", "three"];

#[derive(Clone, Debug)]
struct Step {
    act: u8,
    fork: u8,
    flavour: u8,
    wait: u16,
}

fn steps() -> impl Strategy<Value = (u64, Vec<Step>)> {
    let step = (0u8..26, 0u8..3, any::<u8>(), 0u16..3000).prop_map(|(act, fork, flavour, wait)| Step {
        act,
        fork,
        flavour,
        wait,
    });
    (any::<u64>(), prop::collection::vec(step, 1..30))
}

struct Play {
    world: World,
    alice: sim::NodeId,
    raw: sim::NodeId,
    call: Option<CallHandle>,
    early: Vec<DialogId>,
    seen: usize,
    seen_below: usize,
    /// The INVITE that is open at the peer, and what each fork has said: its number, and the last RSeq.
    invite: Option<(ServerTxId, Message)>,
    rseq: BTreeMap<u8, u32>,
    /// Requests of ours that wait there for an answer.
    asked: Vec<(ServerTxId, Message)>,
    /// The number of the next request of the peer's.
    cseq: u32,
    lazy: bool,
}

impl Play {
    fn new(seed: u64) -> Self {
        let mut world = World::new(seed);
        let alice = world.phone_with(1, |config| config.redirect = Redirect::Follow(4));
        let raw = world.raw(2);
        let mut invite = invite(1, 2);
        if seed % 2 == 0 {
            invite = invite.body(offer());
        }
        if seed % 5 == 0 {
            invite = invite.prack_by_host();
        }
        let call = world.invite(alice, invite);
        world.net.faults.jitter = Duration::from_millis(seed % 150);
        world.tell(alice, |core, _, _| core.add_credentials(password("atlanta")));
        Play {
            world,
            alice,
            raw,
            call: Some(call),
            early: Vec::new(),
            seen: 0,
            seen_below: 0,
            invite: None,
            rseq: BTreeMap::new(),
            asked: Vec::new(),
            cseq: 100,
            lazy: seed % 7 == 0,
        }
    }

    /// Reads what has happened at both ends. The host answers what it is asked, unless it is lazy.
    fn react(&mut self) {
        while let Some(happened) = self.world.log.get(self.seen) {
            self.seen += 1;
            let Event::Call { call, event } = happened.event.clone() else { continue };
            match event {
                CallEvent::Ended { .. } if self.call == Some(call) => self.call = None,
                CallEvent::Progress { dialog, session, .. } => {
                    self.early.extend(dialog.filter(|dialog| !self.early.contains(dialog)));
                    let (Some(dialog), false) = (dialog, self.lazy) else { continue };
                    let _ = self.world.tell(self.alice, |core, ep, now| match session {
                        Some(Meaning::Offer) => core.answer_early(ep, now, call, dialog, answer()),
                        _ => core.prack(ep, now, call, dialog, (call.to_string().len() % 2 == 0).then(offer)),
                    });
                }
                CallEvent::Offer { .. }
                | CallEvent::OfferWanted { .. }
                | CallEvent::Accepted { session: Some(Meaning::Offer), .. }
                | CallEvent::Answered { session: Some(Meaning::Offer), .. }
                    if !self.lazy =>
                {
                    let _ = self.world.tell(self.alice, |core, ep, now| core.answer(ep, now, call, answer()));
                }
                _ => {}
            }
        }
        while let Some((node, event)) = self.world.below.get(self.seen_below) {
            self.seen_below += 1;
            let (true, sip_transaction::Event::Request { tx, message, .. }) = (*node == self.raw, event) else {
                continue;
            };
            let (tx, message) = (*tx, Message::clone(message));
            match message.method() {
                Some(Method::Invite) if message.to().unwrap().tag().unwrap().is_none() => {
                    self.invite = Some((tx, message));
                    self.rseq.clear();
                }
                Some(Method::Bye) => self.world.respond(self.raw, tx, &message, 200, |builder| builder),
                _ => self.asked.push((tx, message)),
            }
        }
    }

    fn run_for(&mut self, time: Duration) {
        let end = self.world.now() + time;
        while self.world.now() < end {
            let left = end.since(self.world.now());
            self.world.run_for(left.min(Duration::from_millis(60)));
            self.react();
        }
    }

    /// A response of a fork to the INVITE, with all that `flavour` adds.
    fn says(&mut self, step: &Step, code: u16) {
        let Some((tx, invite)) = self.invite.clone() else { return };
        let tag = TAGS[usize::from(step.fork)];
        let mut builder = Message::response(&invite, status(code)).to_tag(tag);
        if code < 300 && step.flavour % 16 != 15 {
            builder = builder.header(Header::Contact, format!("<sip:{tag}{}@192.0.2.2>", step.flavour % 3));
        }
        if step.flavour % 4 != 0 {
            builder = builder.header(Header::Allow, "INVITE, ACK, BYE, CANCEL, UPDATE, PRACK, INFO");
        }
        if code < 200 && step.flavour & 4 != 0 {
            let rseq = self.rseq.entry(step.fork).or_insert(u32::from(step.flavour));
            *rseq += 1 + u32::from(step.flavour % 11 == 0);
            builder = builder.header(Header::Require, "100rel").header(Header::RSeq, *rseq);
        }
        if code < 300 && step.flavour & 8 != 0 {
            builder = builder.body("application/sdp", if step.flavour & 1 == 0 { ANSWER } else { HELD });
        }
        if code == 401 {
            builder = builder.header(Header::WwwAuthenticate, challenge(step.flavour));
        }
        if (300..400).contains(&code) {
            builder = builder.header(Header::Contact, format!("<sip:{}@192.0.2.2>", step.flavour % 5));
        }
        let now = self.world.now();
        let response = builder.build().unwrap();
        let sent = sim::Host::endpoint(self.world.net.host(self.raw)).respond(now, tx, response);
        if code >= 300 && sent.is_ok() {
            self.invite = None;
        }
    }

    /// The first request that waits is answered.
    fn answers(&mut self, step: &Step) {
        if self.asked.is_empty() {
            return;
        }
        let (tx, request) = self.asked.remove(usize::from(step.flavour) % self.asked.len());
        let code = [200, 200, 200, 491, 488, 481, 500, 422, 408, 401][usize::from(step.flavour / 3) % 10];
        let mut builder = Message::response(&request, status(code));
        if code < 300 {
            builder = builder.header(Header::Contact, "<sip:elsewhere@192.0.2.2>");
        }
        if code == 401 {
            builder = builder.header(Header::WwwAuthenticate, challenge(step.flavour));
        }
        if code == 422 {
            builder = builder.header(Header::MinSe, 120);
        }
        let asks = request.method() == Some(Method::Invite);
        if code < 300 && (asks || !request.body().is_empty()) && step.flavour % 7 != 0 {
            builder = builder.body("application/sdp", if step.flavour & 1 == 0 { ANSWER } else { HELD });
        }
        let now = self.world.now();
        let _ = sim::Host::endpoint(self.world.net.host(self.raw)).respond(now, tx, builder.build().unwrap());
    }

    /// A request of a fork.
    fn asks(&mut self, step: &Step, method: Method<'_>) {
        let Some((_, invite)) = &self.invite else { return };
        self.cseq += 1;
        let from = format!("<sip:2@192.0.2.2>;tag={}", TAGS[usize::from(step.fork)]);
        let to = String::from_utf8(invite.field(Header::From).unwrap().to_vec()).unwrap();
        let mut builder = Message::request(method, "sip:1@192.0.2.1")
            .header(Header::From, from)
            .header(Header::To, to)
            .header(Header::CallId, invite.call_id().unwrap())
            .cseq(self.cseq - u32::from(step.flavour % 13 == 0) * 2)
            .header(Header::Contact, format!("<sip:moved{}@192.0.2.2>", step.flavour % 2));
        if matches!(method, Method::Update | Method::Invite | Method::Prack) && step.flavour & 1 == 0 {
            builder = builder.body("application/sdp", if step.flavour & 2 == 0 { OFFER } else { HELD });
        }
        if method == Method::Prack {
            builder = builder.header(Header::RAck, format!("{} 1 INVITE", step.flavour));
        }
        let (now, request) = (self.world.now(), builder.build().unwrap());
        let endpoint = sim::Host::endpoint(self.world.net.host(self.raw));
        if method == Method::Ack {
            let _ = endpoint.send(now, request, Destination::route());
        } else {
            let _ = endpoint.request(now, request, Destination::route());
        }
    }

    fn commands(&mut self, step: &Step) {
        let Some(call) = self.call else { return };
        let dialog = self.early.get(usize::from(step.fork)).or(self.early.first()).copied();
        let none = ExtraHeaders::new;
        let body = (step.flavour & 1 == 0).then(|| if step.flavour & 2 == 0 { offer() } else { Body::sdp(HELD) });
        let _ = self.world.tell(self.alice, |core, ep, now| match (step.act, dialog) {
            (14, _) => core.hang_up(ep, now, call, None),
            (15, Some(dialog)) => core.hang_up_early(ep, now, call, dialog, None),
            (16, Some(dialog)) => core.update_early(ep, now, call, dialog, body, none()),
            (17, Some(dialog)) => {
                core.info_early(ep, now, call, dialog, None, Body::new("text/plain", "x")).map(|_| ())
            }
            (18, _) => core.reinvite(ep, now, call, body, none()),
            (19, _) => core.update(ep, now, call, body, none()),
            (20, Some(dialog)) => core.prack(ep, now, call, dialog, body),
            (21, Some(dialog)) => core.answer_early(ep, now, call, dialog, answer()),
            (22, _) => core.answer(ep, now, call, answer()),
            (23, _) => core.refuse(ep, now, call, status(488), sip_dialog::Reply::new()),
            (24, _) => core.rebind(ep, now, call, None, Some(format!("<sip:r{}@192.0.2.1>", step.flavour % 2))),
            _ => core.hold(ep, now, call, Body::sdp(HELD)),
        });
    }

    fn take(&mut self, step: &Step) {
        match step.act {
            0 => self.says(step, 180),
            1 | 2 => self.says(step, 183),
            3 => self.says(step, 199),
            4 | 5 => self.says(step, 200),
            6 => self.says(step, 302),
            7 => self.says(step, [486, 422, 401][usize::from(step.flavour) % 3]),
            8..=10 => self.answers(step),
            11 => self.asks(step, Method::Update),
            12 => self.asks(step, Method::Bye),
            13 => self.asks(step, if step.flavour % 3 == 0 { Method::Prack } else { Method::Invite }),
            _ => self.commands(step),
        }
    }

    /// All that is open is closed, and then all is over: what is said in that time is to be right.
    fn end(mut self) {
        if let Some(call) = self.call {
            let _ = self.world.tell(self.alice, |core, ep, now| core.hang_up(ep, now, call, None));
        }
        self.run_for(Duration::from_secs(2));
        if self.invite.is_some() {
            self.says(&Step { act: 7, fork: 0, flavour: 0, wait: 0 }, 487);
        }
        while let Some((tx, request)) = self.asked.pop() {
            let now = self.world.now();
            let gone = Message::response(&request, status(481)).build().unwrap();
            let _ = sim::Host::endpoint(self.world.net.host(self.raw)).respond(now, tx, gone);
        }
        self.run_for(Duration::from_secs(100));
        self.judge();
        self.world.finish();
    }

    /// What the wire shows.
    fn judge(&self) {
        let mut sums = Sums::default();
        let mut before = BTreeSet::new();
        for sent in self.world.net.trace() {
            let own = sent.from.ip().to_string() == "192.0.2.1";
            if !before.insert((own, sent.bytes.clone())) {
                continue;
            }
            let Ok(message) = Message::parse(sent.bytes.clone()) else { continue };
            sums.note(sent.at, own, &message, &self.world);
        }
        sums.end(&self.world);
    }
}

/// Half of them can be answered; the others are another realm's, and wait for credentials that never come.
fn challenge(flavour: u8) -> String {
    let realm = if flavour & 16 == 0 { "atlanta" } else { "biloxi" };
    format!("Digest realm=\"{realm}\", nonce=\"n{flavour}\", algorithm=SHA-256, qop=\"auth\"")
}

const HELD: &[u8] =
    b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\na=sendonly\r\n";

/// What has been sent, by the tag of the fork and the number of the INVITE.
#[derive(Default)]
struct Sums {
    /// INVITEs of ours, and whether they had an offer.
    invites: BTreeMap<u32, bool>,
    /// 2xx that came, with and without a session description; by tag and number.
    accepted: BTreeMap<(String, u32), bool>,
    /// ACKs we sent, and whether with an answer.
    acked: BTreeMap<(String, u32), bool>,
    byes: BTreeMap<String, usize>,
    /// Whose BYE came.
    byed: BTreeSet<String>,
    /// Reliable responses that had an offer, or an answer.
    settled: BTreeSet<(String, u32)>,
    last: BTreeMap<String, u32>,
    refused: BTreeSet<u32>,
    cancelled: BTreeMap<u32, Instant>,
    /// When the first 2xx to an INVITE came.
    first: BTreeMap<u32, Instant>,
}

impl Sums {
    fn note(&mut self, at: Instant, own: bool, message: &Message, world: &World) {
        let cseq = message.cseq().unwrap();
        let (number, method) = (cseq.number, cseq.method);
        let to = message.to().unwrap().tag().unwrap().unwrap_or_default().to_owned();
        match (own, message.status().map(|status| status.code())) {
            (true, None) => {
                if !matches!(method, Method::Ack | Method::Cancel) {
                    let last = self.last.entry(to.clone()).or_insert(0);
                    assert!(number > *last, "{number} after {last} to {to}\n{}", world.ladder());
                    *last = number;
                }
                match method {
                    Method::Invite => drop(self.invites.insert(number, !message.body().is_empty())),
                    Method::Ack if !self.refused.contains(&number) => {
                        self.acked.insert((to, number), !message.body().is_empty());
                    }
                    Method::Cancel => drop(self.cancelled.insert(number, at)),
                    Method::Bye => *self.byes.entry(to).or_default() += 1,
                    _ => {}
                }
            }
            // It says that it knows of no call: there is nobody for a BYE.
            (false, Some(481)) if method != Method::Bye => drop(self.byed.insert(to)),
            (false, Some(code)) if method == Method::Invite => {
                let carries = !message.body().is_empty();
                if (101..200).contains(&code) && carries && message.has(Header::RSeq) {
                    self.settled.insert((to.clone(), number));
                }
                // After 64 * T1 without an answer what was cancelled is over, and nobody hears of it any more (RFC 3261 section 9.1).
                let late = self.cancelled.get(&number).is_some_and(|then| at.since(*then) > Duration::from_secs(31));
                // Nor of what accepts when the first 2xx is 64 * T1 old (section 13.2.2.4).
                let accepts = (200..300).contains(&code);
                let first = if accepts { *self.first.entry(number).or_insert(at) } else { at };
                let late = late || at.since(first) > Duration::from_secs(31);
                if accepts && !late {
                    self.accepted.entry((to, number)).or_insert(carries);
                } else if code >= 300 {
                    self.refused.insert(number);
                }
            }
            (false, None) if method == Method::Bye => {
                let from = message.from().unwrap().tag().unwrap().unwrap_or_default();
                self.byed.insert(from.to_owned());
            }
            _ => {}
        }
    }

    fn end(&self, world: &World) {
        for ((tag, number), carries) in &self.accepted {
            let key = (tag.clone(), *number);
            let acked = self.acked.get(&key);
            assert!(acked.is_some(), "no ACK for {key:?}\n{}", world.ladder());
            let offered = self.invites.get(number).copied().unwrap_or(true);
            if *carries && !offered && !self.settled.contains(&key) {
                assert_eq!(acked, Some(&true), "an offer without an answer: {key:?}\n{}", world.ladder());
            }
            if offered {
                assert_eq!(acked, Some(&false), "an answer that is none: {key:?}\n{}", world.ladder());
            }
            let over = self.byes.contains_key(tag) || self.byed.contains(tag);
            assert!(over, "{tag} stands for ever\n{}", world.ladder());
        }
    }
}

fn run(seed: u64, steps: &[Step]) {
    let mut play = Play::new(seed);
    play.run_for(Duration::from_millis(100));
    for step in steps {
        play.take(step);
        play.run_for(Duration::from_millis(u64::from(step.wait)));
    }
    play.end();
}

/// As many sequences as [`whatever_they_do`](super::whatever_they_do), chosen in the same way.
#[test]
fn whatever_many_peers_do() {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u32>().ok());
    let config =
        Config { cases: number("SIP_DIALOG_CASES").unwrap_or(300), failure_persistence: None, ..Config::default() };
    let mut seed = [1; 32];
    seed[..4].copy_from_slice(&number("SIP_DIALOG_CHUNK").unwrap_or(0).to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    TestRunner::new_with_rng(config, rng)
        .run(&steps(), |(seed, steps)| {
            run(seed, &steps);
            Ok(())
        })
        .unwrap();
}
