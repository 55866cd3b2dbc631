//! GRUUs message by message: the call flow of RFC 5627 section 9, and what becomes of them.
#![allow(clippy::unwrap_used, reason = "a test")]

use crate::common::{Ua, World, new_request, of_callee, of_caller, register};
use sip_message::{Header, Message, Method};
use sip_transaction::Destination;

const SERVER: &str = "192.0.2.10";
const CALLEE: &str = "sip:callee@example.com";
const INSTANCE: &str = "+sip.instance=\"<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>\"";
const PUBLIC: &str = "sip:callee@example.com;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6";
const SUPPORTED: &[(&str, &str)] = &[("Supported", "gruu")];

fn next() -> Destination {
    Destination::next_hop(format!("sip:{SERVER}"))
}

type Shown = (String, String, String, u32);

/// Contact, public GRUU, temporary GRUU and expiration of each contact of an answer.
fn contacts(answer: &Message) -> Vec<Shown> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let each = answer.contacts().map(|contact| {
        let contact = contact.unwrap();
        let address = contact.address().unwrap();
        let param = |name| text(address.params().value(name).unwrap().unwrap().without_quotes());
        let expires = contact.expires().unwrap().unwrap();
        (text(address.uri_bytes()), param("pub-gruu"), param("temp-gruu"), expires)
    });
    each.collect()
}

fn ask(world: &mut World, from: &Ua, uri: &str) {
    let id = world.fresh("g");
    let message = new_request(Method::Message, "sip:caller@a.example", uri, &id, "", &[]);
    world.send(from, message, next());
}

//= https://www.rfc-editor.org/rfc/rfc5627#section-5.1
//= type=test
//# If it differs from the one in the REGISTER request, the registrar
//# MUST invalidate all previously generated temporary GRUUs for the AOR
//# and instance ID.
//= https://www.rfc-editor.org/rfc/rfc5627#section-5.2
//= type=test
//# The value of the "temp-gruu" parameter is
//# a quoted string, and MUST contain the most recently created temporary
//# GRUU for that AOR and instance ID.
//= https://www.rfc-editor.org/rfc/rfc5627#section-5.2
//= type=test
//# In addition, if the registrar has
//# a public GRUU assigned to the instance ID and AOR (and the client
//# supports GRUUs), the registrar MUST add a "pub-gruu" Contact header
//# field parameter to that Contact header field.
//= https://www.rfc-editor.org/rfc/rfc5627#section-7
//= type=test
//# The quoted strings for temp-gruu and pub-gruu MUST contain a SIP URI.
//= https://www.rfc-editor.org/rfc/rfc5627#section-5.4
//= type=test
//# Once a public GRUU is constructed, it MUST be considered valid for
//# the duration that the AOR itself is valid.
//= https://www.rfc-editor.org/rfc/rfc5627#section-5.4
//= type=test
//# Once a temporary GRUU is constructed, it MUST be considered valid by
//# the registrar until invalidated based on the rules described
//# previously.
//= https://www.rfc-editor.org/rfc/rfc5627#section-6.1
//= type=test
//# The proxy MUST select the most recently refreshed
//# contact.
#[test]
fn section_9_example_call_flow() {
    let mut world = World::new(56);
    world.server(SERVER, "example.com", |_| {});
    let caller = world.udp("192.0.2.99");
    let callee = world.udp("192.0.2.1");
    // (1), (2).
    let contact = format!("<sip:callee@192.0.2.1>;{INSTANCE}");
    world.send(&callee, register(CALLEE, &contact, "1j9FpLxk3uxtm8tn@192.0.2.1", 1, SUPPORTED), next());
    let m2 = world.response(&callee, 200);
    let first = contacts(&m2);
    assert_eq!(first.len(), 1);
    assert_eq!((&*first[0].0, &*first[0].1, first[0].3), ("sip:callee@192.0.2.1", PUBLIC, 3600));
    assert!(first[0].2.starts_with("sip:tgruu.") && first[0].2.ends_with("@example.com;gr"), "{first:?}");
    assert!(!m2.supports("gruu") && !m2.requires("gruu"), "section 5.2: the registrar does not say so itself");
    // (3) to (8): the callee answers with its GRUU as remote target.
    let invite = new_request(Method::Invite, "sip:caller@a.example", CALLEE, "1j9F", "<sip:caller@192.0.2.99>", &[]);
    world.send(&caller, invite, next());
    let (tx, m4) = world.request(&callee, Method::Invite);
    assert_eq!(m4.request_uri_bytes(), Some(&b"sip:callee@192.0.2.1"[..]));
    world.accept(&callee, tx, &m4, "a0z8", &format!("<{PUBLIC}>"));
    let m6 = world.response(&caller, 200);
    world.send_ack(&caller, of_caller(&m6, Method::Ack));
    let m8 = world.ack(&callee);
    assert_eq!(m8.request_uri_bytes(), Some(&b"sip:callee@192.0.2.1"[..]), "the GRUU is resolved for the ACK, too");
    // (9) to (12): a subscription to the GRUU; (13) to (16): a notification.
    let fields = [("Event", "dialog")];
    let m9 =
        new_request(Method::Subscribe, "sip:caller@a.example", PUBLIC, "faif9a", "<sip:caller@192.0.2.99>", &fields);
    world.send(&caller, m9, next());
    let (tx, m10) = world.request(&callee, Method::Subscribe);
    assert_eq!(m10.request_uri_bytes(), Some(&b"sip:callee@192.0.2.1"[..]));
    let m11 = Message::response(&m10, sip_message::StatusCode::OK)
        .to_tag("sub")
        .copy_all(&m10, Header::RecordRoute)
        .header(Header::Contact, format!("<{PUBLIC}>"))
        .header(Header::Expires, "60");
    let m11 = m11.build().unwrap();
    world.respond(&callee, tx, m11.clone());
    world.response(&caller, 200);
    let mut m13 = of_callee(&m10, &m11, Method::Notify, 1);
    for (name, value) in [("Event", "dialog"), ("Subscription-State", "terminated")] {
        m13.push(name, value).unwrap();
    }
    world.send(&callee, m13, Destination::route());
    let (tx, m14) = world.request(&caller, Method::Notify);
    world.reply(&caller, tx, &m14, 200, "");
    world.response(&callee, 200);
    world.send(&caller, of_caller(&m6, Method::Bye), Destination::route());
    let (tx, bye) = world.request(&callee, Method::Bye);
    world.reply(&callee, tx, &bye, 200, "");
    world.response(&caller, 200);
    // (17), (18): the callee has crashed and comes back at another address.
    let reborn = world.udp("192.0.2.2");
    let contact = format!("<sip:callee@192.0.2.2>;{INSTANCE}");
    world.send(&reborn, register(CALLEE, &contact, "hf8asxzff8s7f@192.0.2.2", 1, SUPPORTED), next());
    let second = contacts(&world.response(&reborn, 200));
    assert_eq!(second.len(), 2);
    assert!(second.iter().all(|(_, public, ..)| public == PUBLIC));
    assert_eq!(second[0].2, second[1].2, "both have the temporary GRUU that was made last");
    assert_ne!(second[0].2, first[0].2);
    // Of the two the last is tried, by either GRUU; the temporary one of before is no more.
    for uri in [PUBLIC, &second[0].2] {
        ask(&mut world, &caller, uri);
        let (tx, message) = world.request(&reborn, Method::Message);
        world.reply(&reborn, tx, &message, 200, "m");
        world.response(&caller, 200);
    }
    ask(&mut world, &caller, &first[0].2);
    world.response(&caller, 404);
    world.assert_idle();
}

//= https://www.rfc-editor.org/rfc/rfc5627#section-6.1
//= type=test
//# Furthermore, if the
//# request fails with any other response, the proxy MUST NOT retry on
//# any other contacts for this instance.
#[test]
fn another_contact_of_the_instance_is_tried_only_if_the_first_cannot_be_reached() {
    for (status, retried) in [(486, false), (404, false), (408, true), (430, true)] {
        let mut world = World::new(57);
        world.server(SERVER, "example.com", |_| {});
        let caller = world.udp("192.0.2.99");
        let (old, new) = (world.udp("192.0.2.1"), world.udp("192.0.2.2"));
        world.register(&old, SERVER, CALLEE, &format!("<sip:callee@192.0.2.1>;{INSTANCE}"), SUPPORTED);
        world.run(core::time::Duration::from_secs(1));
        world.register(&new, SERVER, CALLEE, &format!("<sip:callee@192.0.2.2>;{INSTANCE}"), SUPPORTED);
        let contact = "<sip:caller@192.0.2.99>";
        let mut invite = new_request(Method::Invite, "sip:caller@a.example", PUBLIC, "i", contact, &[]);
        invite.set_request_uri(PUBLIC).unwrap();
        world.send(&caller, invite, next());
        let (tx, invite) = world.request(&new, Method::Invite);
        world.reply(&new, tx, &invite, status, "n");
        if retried {
            let (tx, invite) = world.request(&old, Method::Invite);
            world.reply(&old, tx, &invite, 486, "o");
            world.response(&caller, 486);
        } else {
            world.response(&caller, status);
            assert!(!world.has_request(&old, Method::Invite), "{status}");
        }
        world.assert_idle();
    }
}

//= https://www.rfc-editor.org/rfc/rfc5627#section-5.3
//= type=test
//# If, as a consequence of the expiration of the contact, a particular
//# GRUU no longer has any registered contacts bound to it, and the GRUU
//# is a temporary GRUU, the GRUU MUST be invalidated.
#[test]
fn a_temporary_gruu_ends_with_its_last_contact_and_a_public_one_does_not() {
    let mut world = World::new(58);
    world.server(SERVER, "example.com", |_| {});
    let caller = world.udp("192.0.2.99");
    let callee = world.udp("192.0.2.1");
    let contact = format!("<sip:callee@192.0.2.1>;{INSTANCE};expires=60");
    let answer = world.register(&callee, SERVER, CALLEE, &contact, SUPPORTED);
    let (_, public, temporary, _) = contacts(&answer).remove(0);
    world.run(core::time::Duration::from_secs(61));
    for (uri, status) in [(&public, 480), (&temporary, 404)] {
        ask(&mut world, &caller, uri);
        world.response(&caller, status);
    }
    // Registered again, with the Call-ID of before or not, the temporary one stays what it is: gone only if the Call-ID is another.
    world.register(&callee, SERVER, CALLEE, &contact, SUPPORTED);
    ask(&mut world, &caller, &temporary);
    world.response(&caller, 404);
    ask(&mut world, &caller, &public);
    let (tx, message) = world.request(&callee, Method::Message);
    world.reply(&callee, tx, &message, 200, "m");
    world.response(&caller, 200);
    world.assert_idle();
}

//= https://www.rfc-editor.org/rfc/rfc5627#section-6.2
//= type=test
//# o  AND the request contains Record-Route header fields,
//# then the authoritative proxy MUST record-route.
//= https://www.rfc-editor.org/rfc/rfc5627#section-6.2
//= type=test
//# o  AND the registration contain Path URI,
//# then the authoritative proxy MUST record-route.
//= https://www.rfc-editor.org/rfc/rfc5627#section-6.2
//= type=test
//# If a proxy in the terminating domain requires mid-dialog requests to
//# pass through it for whatever reason (firewall traversal, accounting,
//# etc.), the proxy MUST still record-route, and MUST NOT assume that a
//# UA will utilize its GRUU in the Contact header field of its response
#[test]
fn a_proxy_that_would_not_stays_on_the_path_where_a_gruu_needs_it() {
    let mut world = World::new(59);
    world.server(SERVER, "example.com", |config| {
        config.proxy.record_route = false;
        config.registrar.path_without_support = true;
    });
    let caller = world.udp("192.0.2.99");
    let (plain, edge) = (world.udp("192.0.2.1"), world.udp("192.0.2.20"));
    world.register(&plain, SERVER, "sip:plain@example.com", "<sip:plain@192.0.2.1>", &[]);
    let path = [("Path", "<sip:192.0.2.20;lr>"), ("Supported", "gruu")];
    world.register(&edge, SERVER, CALLEE, &format!("<sip:callee@192.0.2.2>;{INSTANCE}"), &path);
    let gruu = "<sip:caller@example.com;gr=urn:uuid:1>";
    let recorded = [("Record-Route", "<sip:192.0.2.77;lr>")];
    // Who is called, Contact, fields, and whether the proxy adds itself.
    type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], bool);
    let cases: [Case<'_>; 5] = [
        ("sip:plain@example.com", "<sip:caller@192.0.2.99>", &[], false),
        ("sip:plain@example.com", gruu, &[], false),
        ("sip:plain@example.com", "<sip:caller@192.0.2.99>", &recorded, false),
        ("sip:plain@example.com", gruu, &recorded, true),
        (CALLEE, "<sip:caller@192.0.2.99>", &[], true),
    ];
    for (n, (to, contact, fields, adds)) in cases.into_iter().enumerate() {
        let callee = if to == CALLEE { edge } else { plain };
        let invite = new_request(Method::Invite, "sip:caller@example.com", to, &format!("c{n}"), contact, fields);
        world.send(&caller, invite, next());
        let (tx, invite) = world.request(&callee, Method::Invite);
        assert_eq!(invite.record_routes().count() > fields.len(), adds, "{to} {contact} {fields:?}");
        world.reply(&callee, tx, &invite, 486, "b");
        world.response(&caller, 486);
    }
    world.assert_idle();
}

//= https://www.rfc-editor.org/rfc/rfc5627#section-6.1
//= type=test
//# If the received request has Route header field values beyond the one pointing to the
//# authoritative proxy itself (this will happen when the request is a mid-dialog
//# request), the Path URI MUST be discarded.
#[test]
fn the_path_of_a_registration_is_left_out_where_the_route_goes_on() {
    let mut world = World::new(60);
    world.server(SERVER, "example.com", |config| config.registrar.path_without_support = true);
    let caller = world.udp("192.0.2.99");
    let (edge, other) = (world.udp("192.0.2.20"), world.udp("192.0.2.30"));
    let path = [("Path", "<sip:192.0.2.20;lr>"), ("Supported", "gruu")];
    world.register(&edge, SERVER, CALLEE, &format!("<sip:callee@192.0.2.2>;{INSTANCE}"), &path);
    let route = format!("<sip:{SERVER};lr>");
    let further = format!("{route}, <sip:192.0.2.30;lr>");
    for (routes, reached, left) in [(&route, &edge, "sip:192.0.2.20;lr"), (&further, &other, "sip:192.0.2.30;lr")] {
        let id = world.fresh("path");
        let mut message = new_request(Method::Message, "sip:caller@a.example", PUBLIC, &id, "", &[]);
        message.push(Header::Route, routes).unwrap();
        world.send(&caller, message, next());
        let (tx, message) = world.request(reached, Method::Message);
        let routes: Vec<_> = message.routes().map(|route| route.unwrap().uri_bytes()).collect();
        assert_eq!(routes, [left.as_bytes()]);
        world.reply(reached, tx, &message, 200, "m");
        world.response(&caller, 200);
    }
    world.assert_idle();
}
