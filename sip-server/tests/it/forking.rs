//! One request, several branches: RFC 3261 sections 16.6 to 16.10, between a server and phones that have registered.
#![allow(clippy::unwrap_used, reason = "a test")]

use crate::common::{Ua, World, new_request, of_caller};
use core::time::Duration;
use sip_message::{Header, Message, Method, StatusCode};
use sip_transaction::{Destination, Outcome, ServerTxId};

const SERVER: &str = "192.0.2.10";

struct Scene {
    world: World,
    server: usize,
    alice: Ua,
    bobs: Vec<Ua>,
}

/// A server, a caller, and phones of one callee, one for each `q`.
fn scene(qs: &[&str], recurse: bool) -> Scene {
    let mut world = World::new(7);
    let server = world.server(SERVER, "example.com", |config| config.proxy.recurse = recurse);
    let alice = world.udp("192.0.2.1");
    let mut bobs = Vec::new();
    for (n, q) in qs.iter().enumerate() {
        let ip = format!("192.0.2.{}", 20 + n);
        let bob = world.udp(&ip);
        let contact = format!("<sip:bob@{ip}>;q={q}");
        let answer = world.register(&bob, SERVER, "sip:bob@example.com", &contact, &[]);
        assert_eq!(answer.status(), Some(StatusCode::OK));
        bobs.push(bob);
    }
    Scene { world, server, alice, bobs }
}

impl Scene {
    fn call(&mut self) -> sip_transaction::ClientTxId {
        let call = self.world.fresh("call");
        let from = ("sip:alice@example.com", "sip:bob@example.com");
        let invite = new_request(Method::Invite, from.0, from.1, &call, "<sip:alice@192.0.2.1>", &[]);
        self.world.send(&self.alice, invite, Destination::next_hop(format!("sip:{SERVER}")))
    }

    fn ring(&mut self, n: usize) -> (ServerTxId, Message) {
        let bob = self.bobs[n];
        let (tx, invite) = self.world.request(&bob, Method::Invite);
        self.world.reply(&bob, tx, &invite, 180, &format!("b{n}"));
        (tx, invite)
    }

    fn refuse(&mut self, n: usize, (tx, invite): &(ServerTxId, Message), status: u16) {
        let bob = self.bobs[n];
        self.world.reply(&bob, *tx, invite, status, &format!("b{n}"));
    }

    fn accept(&mut self, n: usize, (tx, invite): &(ServerTxId, Message)) -> Message {
        let bob = self.bobs[n];
        let contact = format!("<sip:bob@192.0.2.{}>", 20 + n);
        self.world.accept(&bob, *tx, invite, &format!("b{n}"), &contact)
    }

    fn hang_up(&mut self, ok: &Message, n: usize) {
        let (alice, bob) = (self.alice, self.bobs[n]);
        self.world.send_ack(&alice, of_caller(ok, Method::Ack));
        self.world.ack(&bob);
        self.world.send(&alice, of_caller(ok, Method::Bye), Destination::route());
        let (tx, bye) = self.world.request(&bob, Method::Bye);
        self.world.reply(&bob, tx, &bye, 200, "");
        self.world.response(&alice, 200);
    }

    fn end(mut self) {
        self.world.assert_idle();
        assert_eq!(self.world.srv(self.server).proxy().contexts(), 0);
    }
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
//= type=test
//# If the forwarded response was a final response, the proxy MUST
//# generate a CANCEL request for all pending client transactions
//# associated with this response context.
//= https://www.rfc-editor.org/rfc/rfc5393#section-5.3.3
//= type=test
//# SIP proxies MUST NOT allow the Outgoing Max-Breadth to exceed the
//# Incoming Max-Breadth in a given response context.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
//= type=test
//# The first part MUST satisfy the constraints of Section 8.1.1.7 as described above.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
//= type=test
//# A stateful proxy MUST create a new client transaction for this request as described
//# in Section 17.1 and instructs the transaction to send the request using the address,
//# port and transport determined in step 7.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
//= type=test
//# Until a final response has been sent on the server transaction, the following
//# responses MUST be forwarded immediately:
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
//= type=test
//# Any response chosen for immediate forwarding MUST be processed as described in steps
//# "Aggregate Authorization Header Field Values" through "Record-Route".
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
//= type=test
//# The proxy MUST pass the response to the server transaction associated with the
//# response context.
//= https://www.rfc-editor.org/rfc/rfc5393#section-4.2.1
//= type=test
//# The proxy MUST insert a Via header field value into the copy before the existing Via
//# header field values.
//= https://www.rfc-editor.org/rfc/rfc5393#section-4.2.1
//= type=test
//# The first part of the branch value MUST satisfy the constraints of Section 8.1.1.7.
#[test]
fn parallel_branches_ring_until_one_accepts() {
    let mut scene = scene(&["1", "1", "1"], false);
    scene.call();
    let rings: Vec<_> = (0..3).map(|n| scene.ring(n)).collect();
    let breadths: Vec<_> = rings.iter().map(|(_, invite)| invite.max_breadth().unwrap().unwrap()).collect();
    assert_eq!(breadths, [20, 20, 20]);
    let branches: Vec<_> = rings.iter().map(|(_, invite)| invite.top_via().unwrap().branch().unwrap()).collect();
    assert!(branches[0] != branches[1] && branches[1] != branches[2] && branches[0] != branches[2]);
    scene.accept(1, &rings[1]);
    let ok = scene.world.response(&scene.alice, 200);
    for n in [0, 2] {
        assert_eq!(scene.world.cancelled(&scene.bobs[n]), rings[n].0);
        scene.refuse(n, &rings[n], 487);
    }
    scene.hang_up(&ok, 1);
    assert!(!scene.world.has_final(&scene.alice), "the 487s are the proxy's own concern");
    scene.end();
}

//= https://www.rfc-editor.org/rfc/rfc5393#section-5.3.3.1
//= type=test
//# Proxies SHOULD be prepared to reuse this Max-
//# Breadth in cases where there may be elements left in the target-set.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
//= type=test
//# As client transactions pass responses to the proxy layer, the following processing
//# MUST take place:
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
//= type=test
//# The following processing MUST be performed on each response that is forwarded.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
//= type=test
//# A stateful proxy MUST NOT immediately forward any other responses.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
//= type=test
//# In particular, a stateful proxy MUST NOT forward any 100 (Trying) response.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
//= type=test
//# A stateful proxy MUST send a final response to a response context's server
//# transaction if no final responses have been immediately forwarded by the above rules
//# and all client transactions in this response context have been terminated.
//= https://www.rfc-editor.org/rfc/rfc5393#section-5.3.3
//= type=test
//# A proxy MUST NOT decrement Max-Breadth for each hop or otherwise use it to restrict
//# the "depth" of a request's propagation.
#[test]
fn serial_branches_follow_each_other_by_q() {
    let mut scene = scene(&["0.2", "0.9", "0.5"], false);
    scene.call();
    for n in [1, 2] {
        let ring = scene.ring(n);
        assert_eq!(ring.1.max_breadth(), Ok(Some(60)));
        assert!(!scene.world.has_request(&scene.bobs[0], Method::Invite));
        scene.refuse(n, &ring, 486);
    }
    let ring = scene.ring(0);
    scene.refuse(0, &ring, 480);
    let answer = scene.world.answer(&scene.alice);
    assert_eq!(answer.status(), Some(StatusCode::BUSY_HERE), "the first of the best class");
    assert_eq!(answer.to().unwrap().tag(), Ok(Some("b1")), "with the tag it came with");
    scene.end();
}

#[test]
fn groups_of_equal_q_ring_together_one_group_after_the_other() {
    let mut scene = scene(&["0.5", "1", "0.5", "1"], false);
    scene.call();
    let first = [scene.ring(1), scene.ring(3)];
    scene.refuse(1, &first[0], 486);
    scene.world.run(Duration::from_secs(1));
    assert!(!scene.world.has_request(&scene.bobs[0], Method::Invite), "one of the group still rings");
    scene.refuse(3, &first[1], 486);
    let second = [scene.ring(0), scene.ring(2)];
    scene.accept(0, &second[0]);
    let ok = scene.world.response(&scene.alice, 200);
    assert_eq!(scene.world.cancelled(&scene.bobs[2]), second[1].0);
    scene.refuse(2, &second[1], 487);
    scene.hang_up(&ok, 0);
    scene.end();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
//= type=test
//# If a 6xx response is received, it is not immediately forwarded,
//# but the stateful proxy SHOULD cancel all client pending
//# transactions as described in Section 10, and it MUST NOT create
//# any new branches in this context.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
//= type=test
//# A proxy SHOULD also generate a CANCEL request for all pending client transactions
//# associated with this response context when it receives a 6xx response.
#[test]
fn a_6xx_ends_the_search_but_waits_for_the_others() {
    let mut scene = scene(&["1", "1", "0.5"], false);
    scene.call();
    let rings = [scene.ring(0), scene.ring(1)];
    scene.refuse(0, &rings[0], 603);
    assert_eq!(scene.world.cancelled(&scene.bobs[1]), rings[1].0);
    assert!(!scene.world.has_final(&scene.alice));
    scene.refuse(1, &rings[1], 487);
    assert_eq!(scene.world.answer(&scene.alice).status(), Some(StatusCode::DECLINE));
    assert!(!scene.world.has_request(&scene.bobs[2], Method::Invite));
    scene.end();
}

#[test]
fn a_2xx_that_crosses_the_cancel_after_a_6xx_is_forwarded() {
    let mut scene = scene(&["1", "1"], false);
    scene.call();
    let rings = [scene.ring(0), scene.ring(1)];
    scene.refuse(0, &rings[0], 603);
    scene.world.cancelled(&scene.bobs[1]);
    scene.accept(1, &rings[1]);
    let ok = scene.world.answer(&scene.alice);
    assert_eq!(ok.status(), Some(StatusCode::OK));
    scene.hang_up(&ok, 1);
    scene.end();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
//= type=test
//# After a final response has been sent on the server transaction,
//# the following responses MUST be forwarded immediately:
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
//= type=test
//# If the server transaction is no longer available to handle the transmission, the
//# element MUST forward the response statelessly by sending it to the server transport.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
//= type=test
//# The proxy MUST maintain the response context until all of its associated
//# transactions have been terminated, even after forwarding a final response.
#[test]
fn late_2xx_of_other_branches_are_forwarded() {
    let mut scene = scene(&["1", "1"], false);
    scene.call();
    let rings = [scene.ring(0), scene.ring(1)];
    // Both accept before a CANCEL can reach either.
    scene.accept(0, &rings[0]);
    scene.accept(1, &rings[1]);
    let first = scene.world.response(&scene.alice, 200);
    let second = scene.world.response(&scene.alice, 200);
    assert_ne!(first.to().unwrap().tag(), second.to().unwrap().tag());
    for ok in [first, second] {
        let n = usize::from(ok.to().unwrap().tag() == Ok(Some("b1")));
        scene.hang_up(&ok, n);
    }
    scene.end();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-16.10
//= type=test
//# A proxy MUST cancel any pending
//# client transactions associated with a response context when it
//# receives a matching CANCEL request.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.10
//= type=test
//# Furthermore, the element MUST
//# generate CANCEL requests for all pending client transactions in the
//# context as described in Section 16.7 step 10.
#[test]
fn the_caller_cancels_and_no_branch_is_left_ringing() {
    let mut scene = scene(&["1", "1", "0.1"], false);
    let tx = scene.call();
    let rings = [scene.ring(0), scene.ring(1)];
    scene.world.response(&scene.alice, 180);
    let now = scene.world.now();
    let reason = "SIP;cause=200;text=\"Call completed elsewhere\"";
    scene.world.ua(scene.alice.node).cancel(now, tx, Some(reason)).unwrap();
    for n in [0, 1] {
        assert_eq!(scene.world.cancelled(&scene.bobs[n]), rings[n].0);
        scene.refuse(n, &rings[n], 487);
    }
    assert_eq!(scene.world.answer(&scene.alice).status(), Some(StatusCode::REQUEST_TERMINATED));
    assert!(!scene.world.has_request(&scene.bobs[2], Method::Invite));
    scene.end();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-28.1
//= type=test
//# o  In RFC 2543, a proxy was not required to forward provisional
//# responses from 101 to 199 upstream.  This was changed to MUST.
#[test]
fn all_that_is_provisional_goes_back() {
    let mut scene = scene(&["1"], false);
    scene.call();
    let ringing = scene.ring(0);
    for status in [101, 181, 182, 183, 198, 199] {
        scene.refuse(0, &ringing, status);
        scene.world.response(&scene.alice, status);
    }
    scene.refuse(0, &ringing, 486);
    scene.world.response(&scene.alice, 486);
    scene.end();
}

#[test]
fn a_branch_that_ignores_the_cancel_does_not_hold_the_caller() {
    let mut scene = scene(&["1"], false);
    let tx = scene.call();
    scene.ring(0);
    scene.world.response(&scene.alice, 180);
    let now = scene.world.now();
    scene.world.ua(scene.alice.node).cancel(now, tx, None).unwrap();
    scene.world.cancelled(&scene.bobs[0]);
    assert_eq!(scene.world.outcome(&scene.alice), Outcome::Cancelled);
    scene.world.run(Duration::from_secs(1000));
    scene.end();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-16.8
//= type=test
//# If the
//# client transaction has received a provisional response, the proxy
//# MUST generate a CANCEL request matching that transaction.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
//= type=test
//# Timer C MUST be set for each client transaction when
//# an INVITE request is proxied.  The timer MUST be larger than 3
//# minutes.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
//= type=test
//# In order to handle the case where an INVITE request never generates a final
//# response, the TU uses a timer which is called timer C. Timer C MUST be set for each
//# client transaction when an INVITE request is proxied.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.8
//= type=test
//# If timer C should fire, the proxy MUST either reset the timer with any value it
//# chooses, or terminate the client transaction.
#[test]
fn timer_c_ends_what_rings_for_ever() {
    let mut scene = scene(&["1"], false);
    scene.call();
    let ring = scene.ring(0);
    scene.world.response(&scene.alice, 180);
    scene.world.run(Duration::from_secs(179));
    assert!(!scene.world.has(scene.bobs[0].node, |event| match event {
        crate::common::NodeEvent::Ua(sip_transaction::Event::Cancel { .. }) => Some(()),
        _ => None,
    }));
    assert_eq!(scene.world.cancelled(&scene.bobs[0]), ring.0);
    scene.refuse(0, &ring, 487);
    assert_eq!(scene.world.answer(&scene.alice).status(), Some(StatusCode::REQUEST_TERMINATED));
    scene.end();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-16.9
//= type=test
//# If the transport layer notifies a proxy of an error when it tries to
//# forward a request (see Section 18.4), the proxy MUST behave as if the
//# forwarded request received a 503 (Service Unavailable) response.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
//= type=test
//# If there are no final responses in the context, the proxy MUST
//# send a 408 (Request Timeout) response to the server
//# transaction.
#[test]
fn phones_that_do_not_answer_are_as_good_as_408() {
    let mut scene = scene(&["1", "0.5"], false);
    for n in 0..2 {
        let id = scene.world.id(scene.bobs[n].node);
        scene.world.net.shut(id, sip_transaction::Transport::Udp, 5060);
    }
    scene.call();
    scene.world.run(Duration::from_secs(70));
    let status = scene.world.answer(&scene.alice).status().unwrap().code();
    assert!(matches!(status, 408 | 500), "{status}");
    scene.end();
}

//= https://www.rfc-editor.org/rfc/rfc4320#section-4.2
//= type=test
//# A transaction-stateful SIP element MUST NOT send a response with
//# Status-Code of 408 to a non-INVITE request.
#[test]
fn a_request_other_than_invite_gets_no_late_408() {
    let mut scene = scene(&["1"], false);
    let message = new_request(Method::Message, "sip:alice@example.com", "sip:bob@example.com", "m", "", &[]);
    scene.world.send(&scene.alice, message, Destination::next_hop(format!("sip:{SERVER}")));
    scene.world.request(&scene.bobs[0], Method::Message);
    assert_eq!(scene.world.outcome(&scene.alice), Outcome::TimedOut);
    assert!(!scene.world.has_final(&scene.alice));
    scene.world.run(Duration::from_secs(1000));
    scene.end();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-22.3
//= type=test
//# Each WWW-Authenticate
//# and Proxy-Authenticate value received in responses to the forked
//# request MUST be placed into the single response that is sent by the
//# forking proxy to the UA; the ordering of these header field values is
//# not significant.
//= https://www.rfc-editor.org/rfc/rfc3261#section-22.3
//= type=test
//# All 407 (Proxy Authentication Required) responses MUST be forwarded upstream toward
//# the UAC following the procedures for any other response.
//= https://www.rfc-editor.org/rfc/rfc8760#section-2.5
//= type=test
//# Each WWW-Authenticate and Proxy-Authenticate value received in response to the forked
//# request MUST be placed into the single response that is sent by the forking proxy to
//# the UAC.
//= https://www.rfc-editor.org/rfc/rfc8760#section-2.5
//= type=test
//# When the forking proxy places multiple WWW-Authenticate and Proxy-Authenticate header
//# fields received from one downstream proxy into a single response, it MUST maintain the
//# order of these header fields.
#[test]
fn challenges_of_several_branches_come_back_as_one() {
    let mut scene = scene(&["1", "1", "1"], false);
    scene.call();
    let rings: Vec<_> = (0..3).map(|n| scene.ring(n)).collect();
    for (n, status, header) in [(0, 401, Header::WwwAuthenticate), (2, 407, Header::ProxyAuthenticate)] {
        let response = Message::response(&rings[n].1, StatusCode::new(status).unwrap())
            .to_tag("t")
            .header(header, format!("Digest realm=\"r{n}\", nonce=\"n\", qop=\"auth\", algorithm=SHA-256"))
            .header(header, format!("Digest realm=\"r{n}\", nonce=\"n\", qop=\"auth\", algorithm=MD5"))
            .build()
            .unwrap();
        let bob = scene.bobs[n];
        scene.world.respond(&bob, rings[n].0, response);
    }
    scene.refuse(1, &rings[1], 486);
    let answer = scene.world.answer(&scene.alice);
    assert!(matches!(answer.status(), Some(StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED)));
    let algorithms = |header| -> Vec<_> {
        let challenges = answer.values::<sip_message::headers::Challenge<'_>>(header);
        challenges.map(|challenge| challenge.unwrap().algorithm().unwrap().unwrap().as_str()).collect()
    };
    for header in [Header::WwwAuthenticate, Header::ProxyAuthenticate] {
        assert_eq!(algorithms(header), ["SHA-256", "MD5"], "all of them, in their order");
    }
    scene.end();
}

fn redirect(scene: &mut Scene, contacts: &str) {
    let (tx, invite) = scene.world.request(&scene.bobs[0], Method::Invite);
    let response = Message::response(&invite, StatusCode::MOVED_TEMPORARILY)
        .to_tag("t")
        .header(Header::Contact, contacts)
        .build()
        .unwrap();
    let bob = scene.bobs[0];
    scene.world.respond(&bob, tx, response);
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
//= type=test
//# If the proxy chooses to
//# recurse on any contacts in a 3xx response by adding them to
//# the target set, it MUST remove them from the response before
//# adding the response to the response context.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.5
//= type=test
//# A proxy MUST NOT add additional targets to the target set if the Request-URI of the
//# original request does not indicate a resource this proxy is responsible for.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.5
//= type=test
//# As above, any given URI MUST NOT be added to the set more than once.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
//= type=test
//# If the proxy recurses on all of the contacts in a 3xx response, the proxy SHOULD NOT
//# add the resulting contactless response to the response context.
#[test]
fn a_3xx_is_passed_back_or_followed_as_policy_says() {
    let mut back = scene(&["1"], false);
    back.call();
    redirect(&mut back, "<sip:bob@192.0.2.99>");
    let answer = back.world.answer(&back.alice);
    assert_eq!(answer.status(), Some(StatusCode::MOVED_TEMPORARILY));
    assert!(answer.has(Header::Contact));
    back.end();

    let mut followed = scene(&["1"], true);
    let other = followed.world.udp("192.0.2.99");
    followed.call();
    redirect(&mut followed, "<sip:bob@192.0.2.99>;q=0.5, <mailto:bob@example.com>, <sip:bob@192.0.2.20>");
    let (tx, invite) = followed.world.request(&other, Method::Invite);
    assert_eq!(invite.request_uri_bytes(), Some(&b"sip:bob@192.0.2.99"[..]));
    followed.world.reply(&other, tx, &invite, 500, "o");
    let answer = followed.world.answer(&followed.alice);
    assert_eq!(answer.status(), Some(StatusCode::MOVED_TEMPORARILY), "what could not be tried is left");
    assert_eq!(answer.field(Header::Contact), Some(&b"<mailto:bob@example.com>"[..]));
    assert!(!followed.world.has_request(&followed.bobs[0], Method::Invite), "nothing is tried twice");
    followed.end();

    // Nothing is left of a 3xx whose contacts have all been tried: what they answered counts.
    let mut emptied = scene(&["1"], true);
    let other = emptied.world.udp("192.0.2.99");
    emptied.call();
    redirect(&mut emptied, "<sip:bob@192.0.2.99>");
    let (tx, invite) = emptied.world.request(&other, Method::Invite);
    emptied.world.reply(&other, tx, &invite, 486, "o");
    assert_eq!(emptied.world.answer(&emptied.alice).status(), Some(StatusCode::BUSY_HERE));
    emptied.end();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-16.5
//= type=test
//# If the Request-URI indicates a resource at this proxy that does not
//# exist, the proxy MUST return a 404 (Not Found) response.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.5
//= type=test
//# If the target set remains empty after applying all of the above, the
//# proxy MUST return an error response, which SHOULD be the 480
//# (Temporarily Unavailable) response.
#[test]
fn nobody_there_is_480_and_no_such_gruu_is_404() {
    let mut scene = scene(&[], false);
    for (uri, status) in [("sip:carol@example.com", 480), ("sip:tgruu.none@example.com;gr", 404)] {
        let call = scene.world.fresh("call");
        let invite = new_request(Method::Invite, "sip:alice@example.com", uri, &call, "<sip:alice@192.0.2.1>", &[]);
        scene.world.send(&scene.alice, invite, Destination::next_hop(format!("sip:{SERVER}")));
        assert_eq!(scene.world.answer(&scene.alice).status().map(StatusCode::code), Some(status));
    }
    scene.end();
}

#[test]
fn a_narrow_max_breadth_makes_forking_serial() {
    let mut scene = scene(&["1", "1", "1"], false);
    let fields = [("Max-Breadth", "2")];
    let (from, to) = ("sip:alice@example.com", "sip:bob@example.com");
    let invite = new_request(Method::Invite, from, to, "narrow", "<sip:alice@192.0.2.1>", &fields);
    scene.world.send(&scene.alice, invite, Destination::next_hop(format!("sip:{SERVER}")));
    scene.world.run(Duration::from_secs(1));
    let ringing: Vec<_> = (0..3).filter(|&n| scene.world.has_request(&scene.bobs[n], Method::Invite)).collect();
    assert_eq!(ringing.len(), 2);
    let waiting = (0..3).find(|n| !ringing.contains(n)).unwrap();
    let ring = scene.ring(ringing[0]);
    assert_eq!(ring.1.max_breadth(), Ok(Some(1)));
    scene.refuse(ringing[0], &ring, 486);
    let third = scene.ring(waiting);
    assert_eq!(third.1.max_breadth(), Ok(Some(1)), "what the first had");
    scene.refuse(waiting, &third, 486);
    let ring = scene.ring(ringing[1]);
    scene.refuse(ringing[1], &ring, 486);
    scene.world.response(&scene.alice, 486);
    scene.end();
}
