//! Any forest of forking proxies and user agents, with and without faults: each INVITE has one outcome at its caller, nobody is left
//! ringing, and nothing is left anywhere when the clocks have run out. A seed that fails is run alone by `FOREST_SEED=n`.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::collapsible_match, reason = "a test")]

use crate::common::{NodeEvent, Ua, World, new_request, of_caller};
use core::time::Duration;
use sim::Rng;
use sip_message::{Header, Message, Method, StatusCode};
use sip_transaction::{ClientTxId, Destination, Event, Instant, ServerTxId, Transport};
use std::collections::BTreeMap;

const DOMAINS: [&str; 3] = ["a.example.com", "b.example.com", "c.example.com"];

/// What a user does later.
enum Deed {
    Answer { ua: usize, tx: ServerTxId, invite: Message, status: u16 },
    Cancel { ua: usize, tx: ClientTxId },
    HangUp { ua: usize, ok: Message },
}

#[derive(Default)]
struct Tally {
    finals: u32,
    successes: u32,
    ends: u32,
}

struct Forest {
    world: World,
    rng: Rng,
    uas: Vec<Ua>,
    deeds: BTreeMap<(Instant, u64), Deed>,
    count: u64,
    calls: BTreeMap<(usize, ClientTxId), Tally>,
    ringing: BTreeMap<(usize, ServerTxId), (bool, Message)>,
    /// INVITE transactions that wait for an ACK, by user agent and Call-ID.
    unacknowledged: BTreeMap<(usize, String), ServerTxId>,
}

impl Forest {
    fn new(seed: u64) -> Forest {
        let mut rng = Rng::new(seed);
        let mut world = World::new(seed);
        let servers = 1 + rng.below(3) as usize;
        let ip = |n: usize| format!("192.0.2.{}", 10 + n);
        for (n, domain) in DOMAINS.iter().enumerate().take(servers) {
            let recurse = rng.happens(300);
            world.server(&ip(n), domain, |config| {
                config.proxy.recurse = recurse;
                config.policy = sip_server::RoutePolicy::Open;
            });
            world.net.dns.address(domain, &ip(n));
        }
        let mut uas = Vec::new();
        for n in 0..2 + rng.below(5) {
            let address = format!("192.0.2.{}", 100 + n);
            let home = ip(rng.below(servers as u64) as usize);
            uas.push(match rng.below(4) {
                0 => world.connected(&address, Transport::Ws, &home),
                1 => world.connected(&address, Transport::Tcp, &home),
                _ => world.udp(&address),
            });
        }
        // Users of each domain are bound to phones, and to users of any domain, themselves not excluded.
        for (n, domain) in DOMAINS.iter().enumerate().take(servers) {
            for user in ["x", "y"] {
                let aor = format!("sip:{user}@{domain}");
                for _ in 0..1 + rng.below(3) {
                    let at = rng.below(uas.len() as u64) as usize;
                    let ua = uas[at];
                    let q = ["1", "0.5", "0.5", "0.1"][rng.below(4) as usize];
                    let contact = match (rng.below(3), ua.transport) {
                        (0, _) => {
                            let other = DOMAINS[rng.below(servers as u64) as usize];
                            format!("<sip:{}@{other}>;q={q}", ["x", "y"][rng.below(2) as usize])
                        }
                        (_, Transport::Udp) => format!("<sip:u{at}@{}>;q={q}", ua.local),
                        (_, Transport::Tcp) => format!("<sip:u{at}@{};transport=tcp>;q={q}", ua.local.ip()),
                        _ => format!("<sip:u{at}@x{at}.invalid;transport=ws>;q={q}"),
                    };
                    // Only who has a way to that server can register there.
                    let from = if ua.flow.is_some() { world_udp(&uas).unwrap_or(ua) } else { ua };
                    if from.flow.is_none() {
                        world.register(&from, &ip(n), &aor, &contact, &[]);
                    }
                }
            }
        }
        Forest {
            world,
            rng,
            uas,
            deeds: BTreeMap::new(),
            count: 0,
            calls: BTreeMap::new(),
            ringing: BTreeMap::new(),
            unacknowledged: BTreeMap::new(),
        }
    }

    fn later(&mut self, most: u64, deed: Deed) {
        let at = self.world.now() + Duration::from_millis(self.rng.below(most));
        self.count += 1;
        self.deeds.insert((at, self.count), deed);
    }

    fn run(&mut self) {
        for _ in 0..3 {
            self.call();
        }
        loop {
            let end = self.deeds.first_key_value().map_or(Instant::MAX, |(&(at, _), _)| at);
            match self.world.net.next_event_before(end) {
                Some((node, event)) => {
                    let at = self.uas.iter().position(|ua| self.world.id(ua.node) == node);
                    if let (NodeEvent::Server(event), Ok(_)) = (&event, std::env::var("FOREST_SEED")) {
                        println!("{:?} {node:?} {event:?}", self.world.now());
                    }
                    if let (Some(at), NodeEvent::Ua(event)) = (at, event) {
                        self.on_event(at, event);
                    }
                }
                None => match self.deeds.pop_first() {
                    Some((_, deed)) => self.act(deed),
                    None => break,
                },
            }
        }
    }

    fn call(&mut self) {
        let at = self.rng.below(self.uas.len() as u64) as usize;
        let ua = self.uas[at];
        let domain = DOMAINS[self.rng.below(3) as usize];
        let to = format!("sip:{}@{domain}", ["x", "y"][self.rng.below(2) as usize]);
        let call = self.world.fresh("call");
        let contact = match ua.transport {
            Transport::Udp => format!("<sip:u{at}@{}>", ua.local),
            Transport::Tcp => format!("<sip:u{at}@{};transport=tcp>", ua.local.ip()),
            _ => format!("<sip:u{at}@x{at}.invalid;transport=ws>"),
        };
        let invite = new_request(Method::Invite, "sip:caller@far.example.org", &to, &call, &contact, &[]);
        let tx = self.world.send(&ua, invite, Destination::next_hop("sip:192.0.2.10"));
        self.calls.insert((at, tx), Tally::default());
        if self.rng.happens(400) {
            self.later(8000, Deed::Cancel { ua: at, tx });
        }
    }

    fn on_event(&mut self, at: usize, event: Event) {
        let now = self.world.now();
        let ua = self.uas[at];
        match event {
            Event::Request { tx, message, .. } if message.method() == Some(Method::Invite) => {
                assert!(self.ringing.insert((at, tx), (false, Message::clone(&message))).is_none());
                if self.rng.happens(700) {
                    let ringing = Message::response(&message, StatusCode::RINGING).to_tag("t").build().unwrap();
                    let _ = self.world.ua(ua.node).respond(now, tx, ringing);
                }
                let status = [200, 200, 486, 480, 603, 302, 503, 401, 0][self.rng.below(9) as usize];
                if status > 0 {
                    self.later(6000, Deed::Answer { ua: at, tx, invite: *message, status });
                }
            }
            Event::Request { tx, message, .. } => {
                let ok = Message::response(&message, StatusCode::OK).to_tag("t").build().unwrap();
                let _ = self.world.ua(ua.node).respond(now, tx, ok);
            }
            Event::Cancel { tx, .. } => {
                // Some take their time.
                if self.rng.happens(900) {
                    let (_, invite) = &self.ringing[&(at, tx)];
                    let ended = Message::response(invite, StatusCode::REQUEST_TERMINATED).to_tag("t").build().unwrap();
                    let _ = self.world.ua(ua.node).respond(now, tx, ended);
                }
            }
            Event::Ack { message, .. } => {
                let key = (at, message.call_id().unwrap().to_owned());
                if let Some(tx) = self.unacknowledged.remove(&key) {
                    let _ = self.world.ua(ua.node).acknowledge(now, tx);
                }
            }
            Event::Response { tx, message, .. } => {
                let Some(tally) = self.calls.get_mut(&(at, tx)) else { return };
                let status = message.status().unwrap();
                if status.is_success() {
                    tally.successes += 1;
                    let to = ua.flow.map_or(Destination::route(), Destination::flow);
                    let _ = self.world.ua(ua.node).send(now, of_caller(&message, Method::Ack), to);
                    self.later(20_000, Deed::HangUp { ua: at, ok: *message });
                } else if status.is_final() {
                    tally.finals += 1;
                }
            }
            Event::ClientEnded { tx, .. } => {
                if let Some(tally) = self.calls.get_mut(&(at, tx)) {
                    tally.ends += 1;
                }
            }
            Event::ServerEnded { tx, .. } => {
                if let Some((ended, _)) = self.ringing.get_mut(&(at, tx)) {
                    assert!(!*ended, "one end each");
                    *ended = true;
                }
                self.unacknowledged.retain(|_, waiting| *waiting != tx);
            }
            _ => {}
        }
    }

    fn act(&mut self, deed: Deed) {
        let now = self.world.now();
        match deed {
            Deed::Answer { ua: at, tx, invite, status } => {
                let ua = self.uas[at];
                let contact = match (status, ua.transport) {
                    (302, _) => "<sip:x@a.example.com>".to_owned(),
                    (_, Transport::Udp) => format!("<sip:u{at}@{}>", ua.local),
                    (_, Transport::Tcp) => format!("<sip:u{at}@{};transport=tcp>", ua.local.ip()),
                    _ => format!("<sip:u{at}@x{at}.invalid;transport=ws>"),
                };
                let answer = Message::response(&invite, StatusCode::new(status).unwrap())
                    .to_tag("t")
                    .copy_all(&invite, Header::RecordRoute)
                    .header(Header::Contact, contact)
                    .build()
                    .unwrap();
                if status == 200 {
                    if self.world.ua(ua.node).respond_until_ack(now, tx, answer).is_ok() {
                        self.unacknowledged.insert((at, invite.call_id().unwrap().to_owned()), tx);
                    }
                } else {
                    // It may be too late.
                    let _ = self.world.ua(ua.node).respond(now, tx, answer);
                }
            }
            Deed::Cancel { ua, tx } => {
                let node = self.uas[ua].node;
                let _ = self.world.ua(node).cancel(now, tx, None);
            }
            Deed::HangUp { ua, ok } => {
                let ua = self.uas[ua];
                let to = ua.flow.map_or(Destination::route(), Destination::flow);
                let _ = self.world.ua(ua.node).request(now, of_caller(&ok, Method::Bye), to);
            }
        }
    }

    fn check(&mut self, seed: u64, faults: bool) {
        if std::env::var("FOREST_SEED").is_ok() {
            println!("{}", sim::ladder(self.world.net.trace()));
        }
        for (call, tally) in &self.calls {
            assert_eq!(tally.ends, 1, "seed {seed}: {call:?} has one end");
            assert!(tally.finals <= 1, "seed {seed}: {call:?} has one answer");
            assert!(tally.finals == 0 || tally.successes == 0, "seed {seed}: {call:?} is accepted or refused");
            assert!(faults || tally.finals + tally.successes > 0, "seed {seed}: {call:?} has an answer");
        }
        assert!(self.ringing.values().all(|(ended, _)| *ended), "seed {seed}: somebody is left ringing");
        self.world.settle();
        for node in self.world.net.nodes() {
            match self.world.net.host(node) {
                crate::common::Node::Ua(ua) => assert!(ua.is_idle(), "seed {seed}: {ua:?}"),
                crate::common::Node::Server(server) => {
                    while server.poll_event().is_some() {}
                    assert!(server.is_idle(), "seed {seed}: {server:?}");
                    assert!(server.poll_timeout().is_none_or(|at| at > Instant::ZERO));
                }
            }
        }
    }
}

fn world_udp(uas: &[Ua]) -> Option<Ua> {
    uas.iter().copied().find(|ua| ua.flow.is_none())
}

fn seeds(count: u64) -> std::ops::Range<u64> {
    match std::env::var("FOREST_SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => seed..seed + 1,
        None => 0..count,
    }
}

#[test]
fn in_a_good_network_every_call_is_answered() {
    for seed in seeds(150) {
        let mut forest = Forest::new(seed);
        forest.run();
        forest.check(seed, false);
    }
}

#[test]
fn in_a_bad_network_every_call_ends() {
    for seed in seeds(150) {
        let mut forest = Forest::new(seed ^ 0xbad);
        let faults = &mut forest.world.net.faults;
        faults.loss = 100;
        faults.duplicates = 100;
        faults.jitter = Duration::from_millis(400);
        faults.cut_streams = true;
        faults.breaks = 5;
        forest.run();
        forest.world.net.faults = sim::Faults::default();
        forest.check(seed, true);
    }
}
