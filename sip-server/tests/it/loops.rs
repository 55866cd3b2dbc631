//! The attack of RFC 5393 section 3, which doubles a request at each hop, and what stops it.
#![allow(clippy::unwrap_used, reason = "a test")]

use crate::common::{World, new_request};
use sip_message::Method;
use sip_transaction::Destination;

//= https://www.rfc-editor.org/rfc/rfc5393#section-4.2.2
//= type=test
//# If these values are equal,
//# the request has looped and the proxy MUST reject the request with a
//# 482 (Loop Detected) response.
//= https://www.rfc-editor.org/rfc/rfc5393#section-4.1
//= type=test
//# When a SIP proxy forks a particular request to more than one
//# location, it MUST ensure that request is not looping through this
//# proxy.
//= https://www.rfc-editor.org/rfc/rfc5393#section-4.2.1
//= type=test
//# Hence, the
//# second part MUST depend at least on the received Request-URI and any
//# Route header field values used when processing the received request.
//= https://www.rfc-editor.org/rfc/rfc5393#section-4.2.2
//= type=test
//# Proxies required to perform loop detection by RFC 5393 MUST perform the following
//# loop-detection test before forwarding a request.
//= https://www.rfc-editor.org/rfc/rfc5393#section-4.2.2
//= type=test
//# Each Via header field value in the request whose sent-by value matches a value
//# placed into previous requests by this proxy MUST be inspected for the "second part"
//# defined in Section 4.2.1 of RFC 5393.
//= https://www.rfc-editor.org/rfc/rfc5393#section-4.2.2
//= type=test
//# If the second field is present, the proxy MUST perform the second-part calculation
//# described in Section 4.2.1 of RFC 5393 on this request and compare the result to the
//# value from the Via header field.
#[test]
fn the_doubling_attack_is_stopped() {
    let mut world = World::new(5);
    let servers = [("192.0.2.10", "p1.example.com"), ("192.0.2.11", "p2.example.com")];
    for (ip, domain) in servers {
        world.server(ip, domain, |_| {});
        world.net.dns.address(domain, ip);
    }
    let mallory = world.udp("192.0.2.66");
    // Two users at each proxy, each bound to both users of the other one.
    for (at, (ip, domain)) in servers.iter().enumerate() {
        let other = servers[1 - at].1;
        for user in ["a", "b"] {
            let contact = format!("<sip:a@{other}>, <sip:b@{other}>");
            let answer = world.register(&mallory, ip, &format!("sip:{user}@{domain}"), &contact, &[]);
            assert_eq!(answer.contacts().count(), 2);
        }
    }
    for method in [Method::Invite, Method::Options] {
        world.net.clear_trace();
        let call = world.fresh("boom");
        let contact = "<sip:m@192.0.2.66>";
        let request = new_request(method, "sip:m@far.example.org", "sip:a@p1.example.com", &call, contact, &[]);
        world.send(&mallory, request, Destination::next_hop("sip:192.0.2.10"));
        let answer = world.answer(&mallory);
        assert_eq!(answer.status().unwrap().code(), 482);
        let name = format!("{} sip:", method.as_str());
        let requests = world.net.trace().iter().filter(|sent| sent.bytes.starts_with(name.as_bytes())).count();
        assert!(requests < 40, "{requests} requests of 2^70");
    }
    world.assert_idle();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-16.3
//= type=test
//# Notice that a proxy is not required to detect merged requests and MUST NOT treat
//# merged requests as an error condition.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
//= type=test
//# If a proxy wishes to detect loops, the "branch" parameter it supplies MUST depend on
//# all information affecting processing of a request, including the incoming Request-
//# URI and any header fields affecting the request's admission or routing.
//= https://www.rfc-editor.org/rfc/rfc5393#section-4.2.1
//= type=test
//# This second part MUST vary with any field used by the location service logic in
//# determining where to retarget or forward this request.
#[test]
fn a_spiral_is_no_loop() {
    // Bob's calls go to a service which sends them back to the same proxy for Carol.
    let mut world = World::new(6);
    world.server("192.0.2.10", "example.com", |_| {});
    world.net.dns.address("example.com", "192.0.2.10");
    let alice = world.udp("192.0.2.1");
    let carol = world.udp("192.0.2.3");
    world.register(&carol, "192.0.2.10", "sip:bob@example.com", "<sip:carol@example.com>", &[]);
    world.register(&carol, "192.0.2.10", "sip:carol@example.com", "<sip:carol@192.0.2.3>", &[]);
    let request = new_request(Method::Message, "sip:alice@example.com", "sip:bob@example.com", "spiral", "", &[]);
    world.send(&alice, request, Destination::next_hop("sip:192.0.2.10"));
    let (tx, received) = world.request(&carol, Method::Message);
    assert_eq!(received.vias().count(), 3);
    assert_eq!(received.max_forwards(), Ok(Some(68)));
    world.reply(&carol, tx, &received, 200, "c");
    world.response(&alice, 200);
    world.assert_idle();
}
