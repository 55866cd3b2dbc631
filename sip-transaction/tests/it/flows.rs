//! The call flows of RFC 3665 through proxies, as far as transactions and transports take part in them: who sends what in which order, and
//! that nothing is left. Dialogs are played by the test. Those between two are in `basic_flows`, the races of RFC 5407 in `races`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests stop at what they did not expect")]

use crate::common::{ack_for, ms, request_to, response};
use sim::{Network, NodeId};
use sip_message::{Message, Method};
use sip_transaction::{ClientTxId, Destination, Endpoint, EndpointConfig, Event, Instant, ServerTxId, Transport};
use std::collections::BTreeMap;

/// A user agent, or a proxy that forwards to the next node.
enum Role {
    /// Answers INVITE with these, each after so many milliseconds; other requests at once with 200.
    Agent(Vec<(u64, u16)>),
    /// Forwards statefully to these addresses in parallel, with the best answer upstream.
    Proxy(Vec<&'static str>),
}

/// Alice, any number of proxies, and some agents, on one network.
struct Scene {
    net: Network<Endpoint>,
    roles: BTreeMap<NodeId, Role>,
    /// Requests to be answered later.
    later: Vec<(Instant, NodeId, ServerTxId, Message, u16)>,
    /// A proxy's branches: downstream transaction to upstream one.
    branches: BTreeMap<(NodeId, ClientTxId), (ServerTxId, Message)>,
    /// What each upstream transaction of a proxy waits for, and the best final response so far.
    waiting: BTreeMap<(NodeId, ServerTxId), (usize, Option<Message>)>,
    invites: BTreeMap<(NodeId, ServerTxId), Message>,
    alice_heard: Vec<(ClientTxId, u16)>,
    acks: Vec<NodeId>,
    cancelled: Vec<NodeId>,
}

impl Scene {
    fn new() -> Scene {
        Scene {
            net: Network::new(1),
            roles: BTreeMap::new(),
            later: Vec::new(),
            branches: BTreeMap::new(),
            waiting: BTreeMap::new(),
            invites: BTreeMap::new(),
            alice_heard: Vec::new(),
            acks: Vec::new(),
            cancelled: Vec::new(),
        }
    }

    fn node(&mut self, ip: &str, role: Role) -> NodeId {
        let seed = [ip.as_bytes()[ip.len() - 1]; 32];
        let node = self.net.add(ip, Endpoint::new(EndpointConfig::default().into(), seed));
        self.net.bind(node, Transport::Udp, 5060);
        self.roles.insert(node, role);
        node
    }

    fn until(&mut self, end: Instant) {
        loop {
            self.later.sort_by_key(|(at, ..)| *at);
            let due = self.later.first().map_or(end, |(at, ..)| (*at).min(end));
            match self.net.next_event_before(due) {
                Some((node, event)) => self.react(node, event),
                None if self.later.first().is_some_and(|(at, ..)| *at <= end) => {
                    let (_, node, tx, message, status) = self.later.remove(0);
                    let now = self.net.now();
                    // The call may have been cancelled meanwhile.
                    let _ = self.net.host(node).respond(now, tx, response(&message, status));
                }
                None => return,
            }
        }
    }

    fn finish(&mut self) {
        self.until(ms(10_000_000));
        self.until(Instant::MAX);
        for node in self.net.nodes().collect::<Vec<_>>() {
            let host = self.net.host(node);
            assert!(host.is_idle(), "left behind: {host:?}");
        }
        let open = (self.branches.keys().collect::<Vec<_>>(), self.waiting.keys().collect::<Vec<_>>());
        assert!(open.0.is_empty() && open.1.is_empty(), "{open:?}\n{}", sim::ladder(self.net.trace()));
    }

    fn react(&mut self, node: NodeId, event: Event) {
        let now = self.net.now();
        match (event, self.roles.get(&node)) {
            (Event::Request { tx, message, .. }, Some(Role::Agent(answers))) => {
                if message.method() == Some(Method::Invite) {
                    self.invites.insert((node, tx), Message::clone(&message));
                    for (after, status) in answers {
                        let at = now + core::time::Duration::from_millis(*after);
                        self.later.push((at, node, tx, Message::clone(&message), *status));
                    }
                } else {
                    self.net.host(node).respond(now, tx, response(&message, 200)).unwrap();
                }
            }
            (Event::Request { tx, message, .. }, Some(Role::Proxy(targets))) => {
                self.waiting.insert((node, tx), (targets.len(), None));
                for target in targets.clone() {
                    let mut onward = message.clone();
                    onward.decrement_max_forwards().unwrap();
                    let to = Destination::next_hop(format!("sip:{target}"));
                    let branch = self.net.host(node).request(now, *onward, to).unwrap();
                    self.branches.insert((node, branch), (tx, Message::clone(&message)));
                }
            }
            (Event::Response { tx, mut message, .. }, Some(Role::Proxy(_))) => {
                let (upstream, _) = self.branches[&(node, tx)].clone();
                let status = message.status().unwrap();
                message.pop_via();
                if status.code() == 100 {
                } else if status.is_provisional() || status.is_success() {
                    let _ = self.net.host(node).respond(now, upstream, *message);
                    if status.is_success() {
                        // RFC 3261 section 16.7 step 10: the other branches are cancelled.
                        let others = self
                            .branches
                            .iter()
                            .filter(|(key, value)| key.0 == node && key.1 != tx && value.0 == upstream);
                        for branch in others.map(|(key, _)| key.1).collect::<Vec<_>>() {
                            let _ = self.net.host(node).cancel(now, branch, None);
                        }
                    }
                } else if let Some((_, best)) = self.waiting.get_mut(&(node, upstream)) {
                    *best = Some(*message);
                }
                if status.is_final() {
                    self.one_less(node, upstream);
                }
            }
            (Event::ClientEnded { tx, .. }, Some(Role::Proxy(_))) => {
                self.branches.remove(&(node, tx));
            }
            (Event::Cancel { tx, .. }, Some(Role::Proxy(_))) => {
                let open: Vec<_> = self
                    .branches
                    .iter()
                    .filter(|(key, value)| key.0 == node && value.0 == tx)
                    .map(|(key, _)| key.1)
                    .collect();
                for branch in open {
                    let _ = self.net.host(node).cancel(now, branch, None);
                }
            }
            (Event::Ack { message, .. }, Some(Role::Proxy(targets))) => {
                // The ACK for a 2xx is a request of its own, forwarded without state.
                let to = Destination::next_hop(format!("sip:{}", targets[0]));
                let mut onward = message;
                onward.decrement_max_forwards().unwrap();
                self.net.host(node).send(now, *onward, to).unwrap();
            }
            (Event::Ack { .. }, Some(Role::Agent(_))) => self.acks.push(node),
            (Event::Cancel { tx, message }, Some(Role::Agent(_))) => {
                self.cancelled.push(node);
                self.later.retain(|(_, at, of, ..)| (*at, *of) != (node, tx));
                let invite = self.invites[&(node, tx)].clone();
                assert_eq!(message.method(), Some(Method::Cancel));
                self.net.host(node).respond(now, tx, response(&invite, 487)).unwrap();
            }
            (Event::Response { tx, message, .. }, Some(Role::Agent(_))) => {
                let status = message.status().unwrap();
                self.alice_heard.push((tx, status.code()));
                if status.is_success() && message.cseq().unwrap().method == Method::Invite {
                    let proxy = Destination::next_hop("sip:192.0.2.10");
                    self.net.host(node).send(now, ack_for(&message), proxy).unwrap();
                }
            }
            _ => {}
        }
    }

    /// A branch of a proxy has its final response.
    fn one_less(&mut self, node: NodeId, upstream: ServerTxId) {
        let Some((left, _)) = self.waiting.get_mut(&(node, upstream)) else { return };
        *left -= 1;
        if *left == 0 {
            let Some((_, best)) = self.waiting.remove(&(node, upstream)) else { return };
            if let Some(best) = best {
                let now = self.net.now();
                // Refused if a 2xx has gone before.
                let _ = self.net.host(node).respond(now, upstream, best);
            }
        }
    }

    fn call(&mut self, alice: NodeId) -> ClientTxId {
        let now = self.net.now();
        let invite = request_to(Method::Invite, "sip:bob@biloxi.example.com", 1);
        self.net.host(alice).request(now, invite, Destination::next_hop("sip:192.0.2.10")).unwrap()
    }

    fn heard(&self) -> Vec<u16> {
        self.alice_heard.iter().map(|(_, status)| *status).collect()
    }

    /// The messages between two addresses, by their start lines' first words.
    fn between(&self, a: &str, b: &str) -> Vec<String> {
        let is = |end: core::net::SocketAddr, ip: &str| end.ip().to_string() == ip;
        let pair = |sent: &&sim::Sent| is(sent.from, a) && is(sent.to, b) || is(sent.from, b) && is(sent.to, a);
        self.net.trace().iter().filter(pair).map(sim::Sent::what).collect()
    }
}

const A: &str = "192.0.2.1";
const P1: &str = "192.0.2.10";
const P2: &str = "192.0.2.11";
const B: &str = "192.0.2.20";

/// Alice, two proxies, Bob: the figure of RFC 3665 section 3.2.
fn two_proxies(answers: Vec<(u64, u16)>) -> (Scene, NodeId, NodeId) {
    let mut scene = Scene::new();
    let alice = scene.node(A, Role::Agent(Vec::new()));
    scene.node(P1, Role::Proxy(vec![P2]));
    scene.node(P2, Role::Proxy(vec![B]));
    let bob = scene.node(B, Role::Agent(answers));
    (scene, alice, bob)
}

#[test]
fn section_3_2_session_through_two_proxies() {
    // RFC 3665 section 3.2.
    let (mut scene, alice, bob) = two_proxies(vec![(50, 180), (1_000, 200)]);
    scene.call(alice);
    scene.finish();
    assert_eq!(scene.heard(), [180, 200]);
    assert_eq!(scene.acks, [bob]);
    for (a, b) in [(A, P1), (P1, P2), (P2, B)] {
        assert_eq!(scene.between(a, b), ["INVITE", "180", "200", "ACK"], "{a} {b}");
    }
}

#[test]
fn section_3_2_session_through_two_proxies_with_a_slow_callee() {
    let (mut scene, alice, bob) = two_proxies(vec![(1_000, 180), (3_000, 200)]);
    scene.call(alice);
    scene.finish();
    // Each hop says 100 by itself, and so keeps the one before from repeating.
    assert_eq!(scene.between(A, P1), ["INVITE", "100", "180", "200", "ACK"]);
    assert_eq!(scene.between(P2, B), ["INVITE", "100", "180", "200", "ACK"]);
    assert_eq!(scene.heard(), [100, 180, 200]);
    assert_eq!(scene.acks, [bob]);
}

#[test]
fn section_3_8_unsuccessful_no_answer() {
    // RFC 3665 section 3.8: Alice gives up, CANCEL and 487 go hop by hop.
    let (mut scene, alice, bob) = two_proxies(vec![(50, 180)]);
    let tx = scene.call(alice);
    scene.until(ms(5_000));
    scene.net.host(alice).cancel(ms(5_000), tx, None).unwrap();
    scene.finish();
    assert_eq!(scene.cancelled, [bob]);
    assert_eq!(scene.heard(), [180, 487]);
    for (a, b) in [(A, P1), (P1, P2), (P2, B)] {
        assert_eq!(scene.between(a, b), ["INVITE", "180", "CANCEL", "200", "487", "ACK"], "{a} {b}");
    }
}

#[test]
fn section_3_9_unsuccessful_busy() {
    // RFC 3665 section 3.9: each hop acknowledges for itself.
    let (mut scene, alice, _) = two_proxies(vec![(50, 486)]);
    scene.call(alice);
    scene.finish();
    assert_eq!(scene.heard(), [486]);
    for (a, b) in [(A, P1), (P1, P2), (P2, B)] {
        assert_eq!(scene.between(a, b), ["INVITE", "486", "ACK"], "{a} {b}");
    }
}

#[test]
fn section_3_10_unsuccessful_no_response() {
    // RFC 3665 section 3.10: Bob's agent is silent; the proxy in front of it times out.
    let (mut scene, alice, bob) = two_proxies(Vec::new());
    scene.net.set_filter(|packet| if packet.to.ip().to_string() == B { sim::Fate::Lose } else { sim::Fate::Carry });
    scene.call(alice);
    scene.until(ms(40_000));
    assert_eq!(scene.between(P2, B), ["INVITE"; 7], "64 * T1 of them");
    let (key, _) = scene.waiting.iter().find(|(key, _)| key.0 != bob).map(|(key, value)| (*key, value.0)).unwrap();
    assert!(scene.branches.keys().all(|(node, _)| *node != scene.net.nodes().nth(2).unwrap()), "its branch has ended");
    // Section 16.8 and 16.7: the proxy acts as if it had received 408.
    let waiting: Vec<_> = scene.waiting.keys().copied().collect();
    let _ = key;
    for (node, upstream) in waiting.into_iter().rev().take(1) {
        let invite = scene
            .net
            .trace()
            .iter()
            .rfind(|sent| sent.to.ip().to_string() == P2 && sent.what() == "INVITE")
            .unwrap()
            .bytes
            .clone();
        let invite = Message::parse(invite).unwrap();
        scene.waiting.remove(&(node, upstream));
        scene.net.host(node).respond(ms(40_000), upstream, response(&invite, 408)).unwrap();
    }
    scene.finish();
    assert_eq!(scene.heard(), [100, 408]);
}

#[test]
fn one_of_two_branches_answers() {
    // Forked in parallel: the branch that answers first wins, the other is cancelled (RFC 3261 section 16.7).
    let mut scene = Scene::new();
    let alice = scene.node(A, Role::Agent(Vec::new()));
    scene.node(P1, Role::Proxy(vec![B, "192.0.2.21"]));
    let bob = scene.node(B, Role::Agent(vec![(50, 180), (2_000, 200)]));
    let desk = scene.node("192.0.2.21", Role::Agent(vec![(80, 180), (9_000, 200)]));
    scene.call(alice);
    scene.finish();
    assert_eq!(scene.heard(), [180, 180, 200]);
    assert_eq!(scene.acks, [bob]);
    assert_eq!(scene.cancelled, [desk]);
    assert_eq!(scene.between(P1, "192.0.2.21"), ["INVITE", "180", "CANCEL", "200", "487", "ACK"]);
}

#[test]
fn both_branches_answer_at_once() {
    // RFC 3261 section 13.2.2.4 and RFC 6026: every 2xx reaches Alice, though one crosses the CANCEL.
    let mut scene = Scene::new();
    let alice = scene.node(A, Role::Agent(Vec::new()));
    scene.node(P1, Role::Proxy(vec![B, "192.0.2.21"]));
    scene.node(B, Role::Agent(vec![(50, 180), (2_000, 200)]));
    scene.node("192.0.2.21", Role::Agent(vec![(50, 180), (2_005, 200)]));
    let tx = scene.call(alice);
    scene.finish();
    assert_eq!(scene.heard(), [180, 180, 200, 200]);
    assert!(scene.alice_heard.iter().all(|(of, _)| *of == tx), "one transaction");
    assert_eq!(scene.cancelled, [], "too late for that");
}

#[test]
fn section_3_5_session_through_an_application_level_gateway() {
    // The gateway is one more hop, with a transaction on either side.
    let mut scene = Scene::new();
    let alice = scene.node(A, Role::Agent(Vec::new()));
    scene.node(P1, Role::Proxy(vec![P2]));
    scene.node(P2, Role::Proxy(vec!["192.0.2.12"]));
    scene.node("192.0.2.12", Role::Proxy(vec![B]));
    let bob = scene.node(B, Role::Agent(vec![(50, 180), (1_000, 200)]));
    scene.call(alice);
    scene.finish();
    assert_eq!((scene.heard(), scene.acks.clone()), (vec![180, 200], vec![bob]));
    for (a, b) in [(A, P1), (P1, P2), (P2, "192.0.2.12"), ("192.0.2.12", B)] {
        assert_eq!(scene.between(a, b), ["INVITE", "180", "200", "ACK"], "{a} {b}");
    }
}

#[test]
fn section_3_11_unsuccessful_temporarily_unavailable() {
    let (mut scene, alice, _) = two_proxies(vec![(50, 180), (1_000, 480)]);
    scene.call(alice);
    scene.finish();
    assert_eq!(scene.heard(), [180, 480]);
    for (a, b) in [(A, P1), (P1, P2), (P2, B)] {
        assert_eq!(scene.between(a, b), ["INVITE", "180", "480", "ACK"], "{a} {b}");
    }
}

#[test]
fn an_invite_that_crosses_its_retransmission() {
    // RFC 5407 section 3.1.1 behind proxies: the 180 and a retransmitted INVITE cross; the INVITE is answered again, not repeated upwards.
    let (mut scene, alice, bob) = two_proxies(vec![(50, 180), (3_000, 200)]);
    scene.net.faults.delay = core::time::Duration::from_millis(300);
    scene.call(alice);
    scene.finish();
    assert_eq!(scene.heard().iter().filter(|status| **status == 200).count(), 1);
    assert_eq!(scene.acks, [bob]);
    let invites = scene.between(P2, B).iter().filter(|what| **what == "INVITE").count();
    assert!(invites >= 1 && scene.net.host(bob).counters().server_transactions == 1);
}

#[test]
fn requests_that_cross_between_the_same_two() {
    // BYE and BYE, INVITE and BYE cross; each has its own transaction and answer.
    let mut scene = Scene::new();
    let alice = scene.node(A, Role::Agent(vec![(10, 488)]));
    let bob = scene.node(P1, Role::Agent(vec![(10, 488)]));
    for (from, uri, method) in [
        (alice, "sip:192.0.2.10", Method::Bye),
        (bob, "sip:192.0.2.1", Method::Bye),
        (alice, "sip:192.0.2.10", Method::Invite),
        (bob, "sip:192.0.2.1", Method::Invite),
    ] {
        scene.net.host(from).request(ms(0), request_to(method, uri, 2), Destination::route()).unwrap();
    }
    scene.finish();
    let mut heard = scene.heard();
    heard.sort_unstable();
    assert_eq!(heard, [200, 200, 488, 488]);
    for node in [alice, bob] {
        assert_eq!(scene.net.host(node).counters().server_transactions, 2);
    }
}
