//! Seeded chaos: hosts that do anything at any time over a bad network. While it lasts nothing is promised but safety; then the network
//! is good, everything ends, and nothing is left.
//!
//! `CHAOS_SEED=17 cargo test -p sip-transaction --test it chaos` runs one seed alone.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests stop at what they did not expect")]

use crate::common::{ack_for, request_to, response, secs};
use core::time::Duration;
use sim::{Network, NodeId, Rng};
use sip_message::{Message, Method};
use sip_transaction::{
    ClientTxId, Destination, Endpoint, EndpointConfig, Event, Instant, Outcome, Path, ServerTxId, Transport,
};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
struct Book {
    clients: BTreeSet<(NodeId, ClientTxId)>,
    servers: BTreeMap<(NodeId, ServerTxId), Message>,
    /// Final responses by client transaction, and whether it is an INVITE.
    finals: BTreeMap<(NodeId, ClientTxId), usize>,
    invites: BTreeSet<(NodeId, ClientTxId)>,
    paths: Vec<(NodeId, Path)>,
    ended: usize,
}

impl Book {
    /// What must hold whatever the network does.
    fn note(&mut self, node: NodeId, event: &Event) {
        match event {
            Event::Request { tx, message, path } => {
                let new = self.servers.insert((node, *tx), (**message).clone()).is_none();
                assert!(new, "an id is used for one transaction");
                self.paths.push((node, *path));
            }
            Event::Response { tx, message, .. } => {
                assert!(self.clients.contains(&(node, *tx)), "no response after the end");
                let status = message.status().unwrap();
                if status.is_final() {
                    let finals = self.finals.entry((node, *tx)).or_default();
                    *finals += 1;
                    let forked = self.invites.contains(&(node, *tx)) && status.is_success();
                    assert!(*finals == 1 || forked, "one final response, or several 2xx to an INVITE");
                }
            }
            Event::ClientEnded { tx, outcome } => {
                assert!(self.clients.remove(&(node, *tx)), "one end for each client transaction");
                let finals = self.finals.remove(&(node, *tx)).unwrap_or_default();
                assert_eq!(*outcome == Outcome::Completed, finals > 0, "{outcome:?} after {finals} final responses");
                self.invites.remove(&(node, *tx));
                self.ended += 1;
            }
            Event::ServerEnded { tx, .. } => {
                assert!(self.servers.remove(&(node, *tx)).is_some(), "one end for each server transaction");
                self.ended += 1;
            }
            Event::Cancel { tx, .. } => assert!(self.servers.contains_key(&(node, *tx))),
            _ => {}
        }
    }
}

fn run(seed: u64) -> usize {
    let mut rng = Rng::new(seed);
    let mut net: Network<Endpoint> = Network::new(seed);
    let hosts = 2 + rng.below(3) as usize;
    let mut config = EndpointConfig::default();
    config.transports = Transport::ALL.to_vec();
    if rng.below(4) == 0 {
        config.limits.transactions = Some(10 + rng.below(20) as usize);
    }
    let config = std::sync::Arc::new(config);
    let mut nodes = Vec::new();
    for n in 0..hosts {
        let mut key = [n as u8; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        let node = net.add(&format!("192.0.2.{}", n + 1), Endpoint::new(config.clone(), key));
        net.bind(node, Transport::Udp, 5060);
        for (transport, port) in
            [(Transport::Tcp, 5060), (Transport::Tls, 5061), (Transport::Ws, 80), (Transport::Wss, 443)]
        {
            net.listen(node, transport, port, &[]);
        }
        net.dns.srv(
            "_sip._udp.example.com",
            rng.below(3) as u16,
            rng.below(10) as u16,
            5060,
            &format!("h{n}.example.com"),
        );
        net.dns.srv(
            "_sip._tcp.example.com",
            rng.below(3) as u16,
            rng.below(10) as u16,
            5060,
            &format!("h{n}.example.com"),
        );
        net.dns.address(&format!("h{n}.example.com"), &format!("192.0.2.{}", n + 1));
        nodes.push(node);
    }
    net.faults.jitter = Duration::from_millis(rng.below(800));
    net.faults.loss = rng.below(300) as u32;
    net.faults.duplicates = rng.below(200) as u32;
    net.faults.breaks = rng.below(30) as u32;
    net.faults.cut_streams = rng.below(2) == 0;
    net.faults.icmp = rng.below(2) == 0;
    let mut book = Book::default();
    let mut cseq = 0;
    let mut now = Instant::ZERO;
    for _ in 0..120 {
        now += Duration::from_millis(rng.below(1_500));
        while let Some((node, event)) = net.next_event_before(now) {
            react(&mut net, &mut book, &mut rng, node, event);
        }
        let node = nodes[rng.below(hosts as u64) as usize];
        match rng.below(10) {
            0..=3 => {
                cseq += 1;
                let to = 1 + rng.below(hosts as u64 + 1);
                let uris = [
                    format!("sip:192.0.2.{to}"),
                    format!("sip:192.0.2.{to};transport=tcp"),
                    format!("sips:192.0.2.{to}"),
                    format!("sip:192.0.2.{to};transport=ws"),
                    "sip:example.com".into(),
                    format!("sip:h{to}.example.com:5060"),
                ];
                let uri = &uris[rng.below(uris.len() as u64) as usize];
                let method = [Method::Invite, Method::Options, Method::Message][rng.below(3) as usize];
                let mut message = request_to(method, uri, cseq);
                if rng.below(8) == 0 {
                    message.set_body("text/plain", vec![b'x'; 1_400]).unwrap();
                }
                if let Ok(tx) = net.host(node).request(now, message, Destination::route()) {
                    book.clients.insert((node, tx));
                    if method == Method::Invite {
                        book.invites.insert((node, tx));
                    }
                }
            }
            4 | 5 => {
                if let Some(&(node, tx)) = pick(&mut rng, book.invites.iter()) {
                    let _ = net.host(node).cancel(now, tx, None);
                }
            }
            6 => {
                if let Some((&(node, tx), message)) = pick(&mut rng, book.servers.iter()) {
                    let status = [180, 183, 200, 404, 486, 503, 603][rng.below(7) as usize];
                    let _ = net.host(node).respond(now, tx, response(message, status));
                }
            }
            7 => {
                if let Some(&(node, path)) = pick(&mut rng, book.paths.iter()) {
                    net.break_flow(node, path.flow);
                }
            }
            8 => {
                if let Some(&(node, path)) = pick(&mut rng, book.paths.iter()) {
                    let interval = (rng.below(2) == 0).then(|| secs(1 + rng.below(30)));
                    let _ = net.host(node).keep_alive(now, path.flow, Some(path.remote), interval);
                }
            }
            _ => {
                if let Some(&(node, tx)) = pick(&mut rng, book.servers.keys()) {
                    let _ = net.host(node).abandon(now, tx);
                }
            }
        }
    }
    // The faults are off, users answer what is open and stop their keepalives.
    net.faults = sim::Faults::default();
    for (node, path) in core::mem::take(&mut book.paths) {
        let _ = net.host(node).keep_alive(now, path.flow, Some(path.remote), None);
    }
    while let Some((node, event)) = net.next_event() {
        react(&mut net, &mut book, &mut rng, node, event);
    }
    // An INVITE that has been answered provisionally waits for ever, if its peer gave it up: its user ends it.
    let now = net.now();
    for (node, tx) in book.invites.clone() {
        let _ = net.host(node).cancel(now, tx, None);
    }
    while let Some((node, event)) = net.next_event() {
        react(&mut net, &mut book, &mut rng, node, event);
    }
    assert!(book.clients.is_empty(), "{:?}", book.clients);
    assert!(book.servers.is_empty(), "{:?}", book.servers.keys());
    for node in nodes {
        let host = net.host(node);
        assert!(host.is_idle(), "{host:?}");
        assert_eq!(host.poll_timeout(), None, "nothing is due for ever");
    }
    book.ended
}

fn react(net: &mut Network<Endpoint>, book: &mut Book, rng: &mut Rng, node: NodeId, event: Event) {
    book.note(node, &event);
    let now = net.now();
    match event {
        Event::Request { tx, message, .. } if rng.below(3) > 0 => {
            let status = [180, 200, 202, 302, 404, 486, 500, 503][rng.below(8) as usize];
            let _ = if rng.below(4) == 0 {
                net.host(node).respond_until_ack(now, tx, response(&message, 200))
            } else {
                net.host(node).respond(now, tx, response(&message, status))
            };
        }
        Event::Response { message, path, .. }
            if message.status().unwrap().is_success() && message.cseq().unwrap().method == Method::Invite =>
        {
            let _ = net.host(node).send(now, ack_for(&message), Destination::path(path));
        }
        Event::TimerC { tx } => {
            let _ = net.host(node).cancel(now, tx, None);
        }
        _ => {}
    }
}

fn pick<T>(rng: &mut Rng, items: impl ExactSizeIterator<Item = T>) -> Option<T> {
    let mut items = items;
    let len = items.len() as u64;
    items.nth(rng.below(len) as usize)
}

#[test]
fn whatever_happens_everything_ends() {
    if let Some(seed) = std::env::var("CHAOS_SEED").ok().and_then(|seed| seed.parse().ok()) {
        run(seed);
        return;
    }
    let mut ended = 0;
    for seed in 0..400 {
        let result = std::panic::catch_unwind(|| run(seed));
        match result {
            Ok(count) => ended += count,
            Err(panic) => {
                eprintln!("seed {seed}");
                std::panic::resume_unwind(panic);
            }
        }
    }
    assert!(ended > 10_000, "{ended} transactions ended");
}

#[test]
fn a_seed_repeats_itself() {
    assert_eq!(run(42), run(42));
}
