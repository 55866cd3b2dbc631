//! The examples of RFC 3261 section 24, message by message: Bob registers, and Alice calls him through the proxies of both domains,
//! which do not stay on the path.
#![allow(clippy::unwrap_used, reason = "a test")]

use crate::common::{World, new_request, of_callee, of_caller, register};
use core::time::Duration;
use sip_message::{Header, Method};
use sip_server::RoutePolicy;
use sip_transaction::Destination;

const ATLANTA: &str = "192.0.2.10";
const BILOXI: &str = "192.0.2.20";
const ALICE: &str = "<sip:alice@192.0.2.1>";
const BOB: &str = "<sip:bob@192.0.2.4>";

#[test]
fn section_24_1_and_24_2_registration_and_session_setup() {
    let mut world = World::new(24);
    for (ip, domain) in [(ATLANTA, "atlanta.com"), (BILOXI, "biloxi.com")] {
        world.server(ip, domain, |config| {
            config.policy = RoutePolicy::Open;
            config.proxy.record_route = false;
        });
        world.net.dns.address(domain, ip);
    }
    let (alice, bob) = (world.udp("192.0.2.1"), world.udp("192.0.2.4"));

    // 24.1: F1 REGISTER, F2 200.
    let f1 = register("sip:bob@biloxi.com", BOB, "843817637684230@998sdasdh09", 1826, &[("Expires", "7200")]);
    world.send(&bob, f1.clone(), Destination::next_hop(format!("sip:{BILOXI}")));
    let f2 = world.response(&bob, 200);
    assert_eq!(f2.field(Header::CSeq), f1.field(Header::CSeq));
    assert_eq!(f2.field(Header::CallId), f1.field(Header::CallId));
    let contact = f2.contacts().next().unwrap().unwrap();
    assert_eq!(contact.address().unwrap().uri_bytes(), b"sip:bob@192.0.2.4");
    assert_eq!(contact.expires(), Ok(Some(7200)), "all that Bob asked for");

    // 24.2: F1 INVITE to the proxy of Atlanta, F2 to that of Biloxi, F4 to where Bob has registered; F3 and F5 are their 100s.
    let f1 = new_request(Method::Invite, "sip:alice@atlanta.com", "sip:bob@biloxi.com", "a84b4c76e66710", ALICE, &[]);
    world.send(&alice, f1, Destination::next_hop(format!("sip:{ATLANTA}")));
    let (tx, f4) = world.request(&bob, Method::Invite);
    world.response(&alice, 100);
    assert_eq!(f4.request_uri_bytes(), Some(&b"sip:bob@192.0.2.4"[..]));
    let hosts: Vec<String> = f4.vias().map(|via| via.unwrap().sent_by().unwrap().0.to_string()).collect();
    assert_eq!(hosts, [BILOXI, ATLANTA, "192.0.2.1"], "one Via of each, the last on top");
    assert_eq!(f4.max_forwards(), Ok(Some(68)));
    assert!(!f4.has(Header::RecordRoute));

    // F6 to F8: 180 on its way back, a Via less at each hop.
    world.reply(&bob, tx, &f4, 180, "a6c85cf");
    let f8 = world.response(&alice, 180);
    assert_eq!(f8.vias().count(), 1);
    assert_eq!(f8.to().unwrap().tag(), Ok(Some("a6c85cf")));
    // F9 to F11: 200 with Bob's Contact, and his answer as it left him.
    let f9 = world.accept(&bob, tx, &f4, "a6c85cf", BOB);
    let f11 = world.response(&alice, 200);
    assert_eq!((f11.field(Header::Contact), f11.body()), (Some(BOB.as_bytes()), f9.body()));

    // F12: the ACK goes to Bob himself, who knows its way from the 200.
    world.send_ack(&alice, of_caller(&f11, Method::Ack));
    let f12 = world.ack(&bob);
    assert_eq!((f12.vias().count(), f12.has(Header::Route)), (1, false));
    // F13 and F14: so do the BYE of Bob and its 200.
    world.send(&bob, of_callee(&f4, &f9, Method::Bye, 231), Destination::route());
    let (tx, f13) = world.request(&alice, Method::Bye);
    assert_eq!((f13.vias().count(), f13.request_uri_bytes()), (1, Some(&b"sip:alice@192.0.2.1"[..])));
    world.reply(&alice, tx, &f13, 200, "");
    world.response(&bob, 200);
    world.run(Duration::from_secs(64));
    world.assert_idle();
}
