//! Two phones register and call each other through the server: RFC 3665 sections 2.1 and 3.2 with Record-Route.
#![allow(clippy::unwrap_used, reason = "a test")]

use crate::common::{World, new_request, of_caller};
use sip_message::{Header, Method, StatusCode};
use sip_transaction::Destination;

#[test]
fn a_call_between_two_udp_phones() {
    let mut world = World::new(1);
    let server = world.server("192.0.2.10", "example.com", |_| {});
    let alice = world.udp("192.0.2.1");
    let bob = world.udp("192.0.2.2");
    let answer = world.register(&alice, "192.0.2.10", "sip:alice@example.com", "<sip:alice@192.0.2.1>", &[]);
    assert_eq!(answer.status(), Some(StatusCode::OK));
    let answer = world.register(&bob, "192.0.2.10", "sip:bob@example.com", "<sip:bob@192.0.2.2>", &[]);
    let contact = answer.contacts().next().unwrap().unwrap();
    assert_eq!(contact.expires(), Ok(Some(3600)));

    let fields = [("X-Kept", "as,  it   is"), ("Subject", "lunch")];
    let invite = new_request(
        Method::Invite,
        "sip:alice@example.com",
        "sip:bob@example.com",
        "call1",
        "<sip:alice@192.0.2.1>",
        &fields,
    );
    world.send(&alice, invite, Destination::next_hop("sip:192.0.2.10"));

    let (tx, invite) = world.request(&bob, Method::Invite);
    assert_eq!(invite.request_uri_bytes(), Some(&b"sip:bob@192.0.2.2"[..]));
    assert_eq!(invite.max_forwards(), Ok(Some(69)));
    assert_eq!(invite.vias().count(), 2);
    assert_eq!(invite.field("X-Kept"), Some(&b"as,  it   is"[..]));
    let route = invite.record_routes().next().unwrap().unwrap();
    assert!(route.uri().unwrap().as_sip().unwrap().lr());
    world.reply(&bob, tx, &invite, 180, "bobtag");
    let ringing = world.response(&alice, 180);
    assert_eq!(ringing.vias().count(), 1);
    let accepted = world.accept(&bob, tx, &invite, "bobtag", "<sip:bob@192.0.2.2>");
    let ok = world.response(&alice, 200);
    assert_eq!(ok.body(), accepted.body());

    world.send_ack(&alice, of_caller(&ok, Method::Ack));
    let ack = world.ack(&bob);
    assert!(!ack.has(Header::Route));
    assert_eq!(ack.vias().count(), 2);

    world.send(&alice, of_caller(&ok, Method::Bye), Destination::route());
    let (tx, bye) = world.request(&bob, Method::Bye);
    assert_eq!(bye.vias().count(), 2, "by way of the proxy");
    world.reply(&bob, tx, &bye, 200, "");
    world.response(&alice, 200);
    world.assert_idle();
    assert_eq!(world.srv(server).registrar().table().unwrap().len(), 2);
}
