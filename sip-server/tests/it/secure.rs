//! TLS and `sips:` URIs: RFC 3261 sections 16.6 and 16.7, RFC 5630.
#![allow(clippy::unwrap_used, reason = "a test")]

use crate::common::{World, new_request};
use sip_message::{Message, Method};
use sip_transaction::{Destination, Transport};

const SERVER: &str = "192.0.2.10";

fn recorded(message: &Message) -> Vec<String> {
    message.record_routes().map(|route| route.unwrap().uri().unwrap().as_str().to_owned()).collect()
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
//= type=test
//# If the proxy
//# received the request over a non-TLS connection, and sent it out
//# over TLS, the proxy MUST rewrite the URI in the Record-Route
//# header field to be a SIP URI.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
//= type=test
//# In a similar fashion, a proxy that receives a request
//# over TLS, but generates a request without a SIPS URI in the
//# Request-URI or topmost Route header field value (after the post
//# processing of bullet 6), MUST insert a Record-Route header
//# field that is not a SIPS URI.
#[test]
fn each_side_is_shown_with_its_transport_and_neither_as_sips() {
    let mut world = World::new(31);
    world.server(SERVER, "example.com", |_| {});
    let alice = world.connected("192.0.2.1", Transport::Tls, SERVER);
    let bob = world.udp("192.0.2.2");
    world.register(&bob, SERVER, "sip:bob@example.com", "<sip:bob@192.0.2.2>", &[]);
    let contact = "<sip:alice@192.0.2.1;transport=tcp>";
    let invite = new_request(Method::Invite, "sip:alice@example.com", "sip:bob@example.com", "t", contact, &[]);
    world.send(&alice, invite, Destination::route());
    let (tx, invite) = world.request(&bob, Method::Invite);
    let routes = recorded(&invite);
    assert_eq!(routes.len(), 2);
    assert!(routes[0].starts_with("sip:") && routes[0].contains("transport=udp"), "{routes:?}");
    // A `sips:` URI here would oblige Bob to a `sips:` Contact (RFC 3261 section 12.1.1), which nobody has asked for.
    assert!(routes[1].starts_with("sip:") && routes[1].contains("transport=tls"), "{routes:?}");
    world.reply(&bob, tx, &invite, 486, "b");
    world.response(&alice, 486);
    // The other way round: a phone on UDP calls one that registered over TLS.
    let fields = [("Supported", "outbound")];
    let flow = "<sip:alice@192.0.2.1;transport=tcp>;reg-id=1;+sip.instance=\"<urn:uuid:1>\"";
    world.register(&alice, SERVER, "sip:alice@example.com", flow, &fields);
    let invite =
        new_request(Method::Invite, "sip:bob@x.example", "sip:alice@example.com", "u", "<sip:b@192.0.2.2>", &[]);
    world.send(&bob, invite, Destination::next_hop(format!("sip:{SERVER}")));
    let (tx, invite) = world.request(&alice, Method::Invite);
    assert!(recorded(&invite).iter().all(|route| route.starts_with("sip:")), "{:?}", recorded(&invite));
    world.reply(&alice, tx, &invite, 486, "a");
    world.response(&bob, 486);
    world.assert_idle();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
//= type=test
//# If the
//# Request-URI contains a SIPS URI, or the topmost Route header
//# field value (after the post processing of bullet 6) contains a
//# SIPS URI, the URI placed into the Record-Route header field
//# MUST be a SIPS URI.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
//= type=test
//# Furthermore, if the request was not
//# received over TLS, the proxy MUST insert a Record-Route header
//# field.
//= https://www.rfc-editor.org/rfc/rfc5630#section-5.3
//= type=test
//# Specifically,
//# when a proxy receives a request with a SIPS Request-URI, the proxy
//# MUST only forward or retarget the request to a SIPS Request-URI.
//= https://www.rfc-editor.org/rfc/rfc5630#section-5.3
//= type=test
//# If the target
//# UAS had registered previously using a SIPS Contact header field, and
//# the proxy decides to forward the request, the proxy MUST replace that
//# SIPS scheme with a SIP scheme while leaving the rest of the URI as
//# is, and use the resulting URI as the Request-URI of the forwarded
//# request.
//= https://www.rfc-editor.org/rfc/rfc5626#section-7
//= type=test
//# If the proxy is co-located with the registrar and stored information
//# about the flow to the UA that created the binding, then the proxy
//# MUST send the request over the same 'logical flow' saved with the
//# binding, since that flow is known to deliver data to the specific
//# target UA instance's network flow that was saved with the binding.
#[test]
fn sips_stays_on_tls() {
    let mut world = World::new(32);
    world.server(SERVER, "example.com", |_| {});
    let alice = world.udp("192.0.2.1");
    let bob = world.connected("192.0.2.2", Transport::Tls, SERVER);
    let plain = world.udp("192.0.2.3");
    // Bob has one contact of each kind; a sips: contact takes a sips: Request-URI.
    world.register(&plain, SERVER, "sip:bob@example.com", "<sip:bob@192.0.2.3>;q=0.1", &[]);
    let contact = "<sips:bob@192.0.2.2>;reg-id=1;+sip.instance=\"<urn:uuid:2>\"";
    let fields = [("Supported", "outbound, gruu")];
    let mut register = crate::common::register("sip:bob@example.com", contact, "sec", 1, &fields);
    register.set_request_uri("sips:example.com").unwrap();
    world.send(&bob, register, Destination::route());
    let answer = world.answer(&bob);
    assert_eq!(answer.status().unwrap().code(), 200);
    let secure = answer.contacts().flatten().find(|c| c.reg_id() == Ok(Some(1))).unwrap();
    let gruu = secure.address().unwrap().params().value("pub-gruu").unwrap().unwrap();
    assert!(gruu.without_quotes().starts_with(b"sips:"));
    // To sips: over the flow, with the secure contact and Record-Route.
    let mut invite =
        new_request(Method::Invite, "sip:a@x.example", "sip:bob@example.com", "s", "<sips:a@192.0.2.1>", &[]);
    invite.set_request_uri("sips:bob@example.com").unwrap();
    world.send(&alice, invite, Destination::next_hop(format!("sip:{SERVER}")));
    let (tx, invite) = world.request(&bob, Method::Invite);
    assert_eq!(invite.request_uri_bytes(), Some(&b"sips:bob@192.0.2.2"[..]));
    assert!(!recorded(&invite).is_empty());
    assert!(recorded(&invite).iter().all(|route| route.starts_with("sips:")), "{:?}", recorded(&invite));
    world.reply(&bob, tx, &invite, 486, "b");
    world.response(&alice, 486);
    assert!(!world.has_request(&plain, Method::Invite));
    // To sip: the secure contact as a sip: URI, still over its flow.
    let message = new_request(Method::Message, "sip:a@x.example", "sip:bob@example.com", "m", "", &[]);
    world.send(&alice, message, Destination::next_hop(format!("sip:{SERVER}")));
    let (tx, message) = world.request(&bob, Method::Message);
    assert_eq!(message.request_uri_bytes(), Some(&b"sip:bob@192.0.2.2"[..]));
    world.reply(&bob, tx, &message, 200, "b");
    world.response(&alice, 200);
    world.assert_idle();
}

#[test]
fn a_client_over_tls_is_called_over_its_connection() {
    let mut world = World::new(33);
    world.server(SERVER, "example.com", |_| {});
    let alice = world.udp("192.0.2.1");
    let bob = world.connected("192.0.2.2", Transport::Tls, SERVER);
    // Neither Outbound nor an address that anybody else could connect to: telephones seldom have a certificate.
    world.register(&bob, SERVER, "sip:bob@example.com", "<sip:bob@192.0.2.2:40000;transport=tls>", &[]);
    let message = new_request(Method::Message, "sip:a@x.example", "sip:bob@example.com", "m", "", &[]);
    world.send(&alice, message, Destination::next_hop(format!("sip:{SERVER}")));
    let (tx, message) = world.request(&bob, Method::Message);
    assert_eq!(message.request_uri_bytes(), Some(&b"sip:bob@192.0.2.2:40000;transport=tls"[..]));
    world.reply(&bob, tx, &message, 200, "b");
    world.response(&alice, 200);
    world.assert_idle();
}
