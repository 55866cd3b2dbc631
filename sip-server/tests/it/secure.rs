//! TLS and `sips:` URIs: RFC 3261 sections 16.6 and 16.7, RFC 5630.
#![allow(clippy::unwrap_used, reason = "a test")]

use crate::common::{Ua, World, new_request, register};
use sip_message::{Header, Message, Method, StatusCode};
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
    let mut request = register("sip:bob@example.com", contact, "sec", 1, &fields);
    request.set_request_uri("sips:example.com").unwrap();
    world.send(&bob, request, Destination::route());
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

/// Registers a secure contact of Bob, whose address-of-record is said with the scheme given.
fn register_securely(world: &mut World, bob: &Ua, aor: &str, contact: &str, fields: &[(&str, &str)]) -> Message {
    let call_id = world.fresh("secure");
    let mut request = register(aor, contact, &call_id, world.counter, fields);
    request.set_request_uri("sips:example.com").unwrap();
    world.send(bob, request, Destination::route());
    let answer = world.answer(bob);
    assert_eq!(answer.status().unwrap().code(), 200);
    answer
}

/// A MESSAGE to `uri`, sent to the server by somebody else.
fn ask(world: &mut World, from: &Ua, uri: &str) {
    let tag = world.fresh("m");
    let mut message = new_request(Method::Message, "sip:a@x.example", "sip:bob@example.com", &tag, "", &[]);
    message.set_request_uri(uri).unwrap();
    world.send(from, message, Destination::next_hop(format!("sip:{SERVER}")));
}

//= https://www.rfc-editor.org/rfc/rfc5630#section-5.2
//= type=test
//# The
//# registrar MUST consider AORs that are identical except for one having
//# the SIP scheme and the other having the SIPS scheme to be equivalent.
//= https://www.rfc-editor.org/rfc/rfc5630#section-5.2.1
//= type=test
//# When a GRUU [RFC5627] is assigned to an instance ID/AOR pair through
//# registration, the registrar MUST assign both a SIP GRUU and a SIPS
//# GRUU.
//= https://www.rfc-editor.org/rfc/rfc5630#section-5.2.1
//= type=test
//# If the Contact header field in the REGISTER request contains a
//# SIP URI, the registrar MUST return the SIP version of the GRUU.  If
//# the Contact header field in the REGISTER request contains a SIPS URI,
//# the registrar MUST return the SIPS version of the GRUU.
#[test]
fn a_user_is_the_same_under_both_schemes_and_so_is_a_gruu() {
    for (scheme, aor) in
        [("sips:", "sip:bob@example.com"), ("sips:", "sips:bob@example.com"), ("sip:", "sips:bob@example.com")]
    {
        let mut world = World::new(34);
        let server = world.server(SERVER, "example.com", |_| {});
        let alice = world.udp("192.0.2.1");
        let bob = world.connected("192.0.2.2", Transport::Tls, SERVER);
        let contact = format!("<{scheme}bob@192.0.2.2>;reg-id=1;+sip.instance=\"<urn:uuid:2>\"");
        let answer = register_securely(&mut world, &bob, aor, &contact, &[("Supported", "outbound, gruu")]);
        let keys: Vec<_> =
            world.srv(server).registrar().table().unwrap().iter().map(|(aor, _)| aor.to_owned()).collect();
        assert_eq!(keys, ["sip:bob@example.com"]);
        let contact = answer.contacts().next().unwrap().unwrap();
        let params = contact.address().unwrap().params();
        let gruu = |name| {
            let value = params.value(name).unwrap().unwrap().without_quotes().to_vec();
            String::from_utf8(value).unwrap()
        };
        let mut uris = vec!["bob@example.com".to_owned()];
        for name in ["pub-gruu", "temp-gruu"] {
            uris.push(gruu(name).strip_prefix(scheme).unwrap().to_owned());
        }
        for uri in uris {
            ask(&mut world, &alice, &format!("sip:{uri}"));
            let (tx, message) = world.request(&bob, Method::Message);
            let asked = message.request_uri_bytes().unwrap();
            assert!(asked.starts_with(b"sip:bob@192.0.2.2"), "{uri}: {}", String::from_utf8_lossy(asked));
            world.reply(&bob, tx, &message, 200, "b");
            world.response(&alice, 200);
            ask(&mut world, &alice, &format!("sips:{uri}"));
            if scheme == "sips:" {
                let (tx, message) = world.request(&bob, Method::Message);
                assert!(message.request_uri_bytes().unwrap().starts_with(b"sips:bob@192.0.2.2"));
                world.reply(&bob, tx, &message, 200, "b");
                world.response(&alice, 200);
            } else {
                world.response(&alice, 480);
            }
        }
        world.assert_idle();
    }
}

//= https://www.rfc-editor.org/rfc/rfc5630#section-5.3
//= type=test
//# Proxies MUST NOT use the last-hop exception of [RFC3261] when
//# forwarding or retargeting a request to the last hop.
//= https://www.rfc-editor.org/rfc/rfc5630#section-5.3
//= type=test
//# If
//# the target UAS had registered previously using a SIP Contact header
//# field instead of a SIPS Contact header field, the proxy MUST NOT
//# forward the request to the URI indicated in the Contact header field.
//= https://www.rfc-editor.org/rfc/rfc5630#section-5.3
//= type=test
//# If the proxy needs to reject the request for that reason, the proxy
//# MUST reject it with a 480 (Temporarily Unavailable) response.
//= https://www.rfc-editor.org/rfc/rfc5630#section-5.3
//= type=test
//# In
//# this case, the proxy SHOULD include a Warning header with warn-code
//# 380 "SIPS Not Allowed".
#[test]
fn who_has_registered_without_sips_is_not_called_by_sips() {
    let mut world = World::new(35);
    world.server(SERVER, "example.com", |_| {});
    let alice = world.udp("192.0.2.1");
    // Not even over a connection that has TLS.
    let bob = world.connected("192.0.2.2", Transport::Tls, SERVER);
    world.register(&bob, SERVER, "sip:bob@example.com", "<sip:bob@192.0.2.2;transport=tls>", &[]);
    ask(&mut world, &alice, "sips:bob@example.com");
    let answer = world.response(&alice, 480);
    assert_eq!(answer.field(Header::Warning), Some(&b"380 - \"SIPS Not Allowed\""[..]));
    assert!(!world.has_request(&bob, Method::Message));
    world.assert_idle();
}

//= https://www.rfc-editor.org/rfc/rfc5630#section-5.3
//= type=test
//# When a proxy receives a request with a SIP Request-URI, the proxy
//# MUST NOT forward the request to a SIPS Request-URI.
//= https://www.rfc-editor.org/rfc/rfc5630#section-5.3
//= type=test
//# The proxy MUST use TLS to forward the request to the UAS.
#[test]
fn a_sips_contact_without_a_flow_is_reached_over_tls_by_a_sip_uri() {
    let mut world = World::new(36);
    world.server(SERVER, "example.com", |_| {});
    let alice = world.udp("192.0.2.1");
    let bob = world.connected("192.0.2.2", Transport::Tls, SERVER);
    let desk = world.udp("192.0.2.5");
    let id = world.id(desk.node);
    world.net.listen(id, Transport::Tls, 5061, &[]);
    // Bob's other telephone, for which he registers.
    register_securely(&mut world, &bob, "sip:bob@example.com", "<sips:bob@192.0.2.5>", &[]);
    ask(&mut world, &alice, "sip:bob@example.com");
    let (tx, message) = world.request(&desk, Method::Message);
    assert_eq!(message.request_uri_bytes(), Some(&b"sip:bob@192.0.2.5"[..]));
    assert!(message.vias().next().unwrap().unwrap().transport().as_str().eq_ignore_ascii_case("TLS"));
    world.reply(&desk, tx, &message, 200, "b");
    world.response(&alice, 200);
    world.assert_idle();
}

//= https://www.rfc-editor.org/rfc/rfc5630#section-5.3
//= type=test
//# When a proxy sends a request using a SIPS Request-URI and receives a
//# 3XX response with a SIP Contact header field, or a 416 response, or a
//# 480 (Temporarily Unavailable) response with a Warning header with
//# warn-code 380 "SIPS Not Allowed" response, the proxy MUST NOT recurse
//# on the response.
//= https://www.rfc-editor.org/rfc/rfc5630#section-5.3
//= type=test
//# When a proxy sends a request using a SIP Request-URI and receives a
//# 3XX response with a SIPS Contact header field, or a 480 (Temporarily
//# Unavailable) response with a Warning header with warn-code 381 "SIPS
//# Required", the proxy MUST NOT recurse on the response.
//= https://www.rfc-editor.org/rfc/rfc5630#section-5.3
//= type=test
//# In this case, the proxy SHOULD forward the best response instead of
//# recursing, in order to allow for the UAC to take the appropriate
//# action.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
//= type=test
//# However, a proxy SHOULD NOT recurse to a non-SIPS URI if the Request-URI of the
//# original request was a SIPS URI.
#[test]
fn a_redirection_to_the_other_scheme_is_the_callers_to_follow() {
    let cases = [
        ("sips:", 302, ("Contact", "<sip:bob@192.0.2.5>")),
        ("sips:", 416, ("Contact", "<sips:bob@192.0.2.5>")),
        ("sips:", 480, ("Warning", "380 - \"SIPS Not Allowed\"")),
        ("sip:", 302, ("Contact", "<sips:bob@192.0.2.5>")),
        ("sip:", 480, ("Warning", "381 - \"SIPS Required\"")),
    ];
    for (scheme, status, (name, value)) in cases {
        let mut world = World::new(37);
        world.server(SERVER, "example.com", |config| config.proxy.recurse = true);
        let alice = world.udp("192.0.2.1");
        let bob = world.connected("192.0.2.2", Transport::Tls, SERVER);
        let desk = world.udp("192.0.2.5");
        let id = world.id(desk.node);
        world.net.listen(id, Transport::Tls, 5061, &[]);
        register_securely(&mut world, &bob, "sip:bob@example.com", "<sips:bob@192.0.2.2>", &[]);
        ask(&mut world, &alice, &format!("{scheme}bob@example.com"));
        let (tx, message) = world.request(&bob, Method::Message);
        let answer = Message::response(&message, StatusCode::new(status).unwrap()).to_tag("b").header(name, value);
        world.respond(&bob, tx, answer.build().unwrap());
        let answer = world.response(&alice, status);
        assert_eq!(answer.field(name), Some(value.as_bytes()), "{scheme} {status}");
        assert!(!world.has_request(&desk, Method::Message), "{scheme} {status}");
        world.assert_idle();
    }
}

//= https://www.rfc-editor.org/rfc/rfc5630#section-5.2
//= type=test
//# If a UA registered with a SIPS Contact header field, the registrar
//# returning a service route [RFC3608] MUST return a service route
//# consisting of SIP URIs if the intent of the registrar is to allow
//# both SIP and SIPS to be used in requests sent by that client.
//= https://www.rfc-editor.org/rfc/rfc5630#section-5.2
//= type=test
//# If a
//# UA registers with a SIPS Contact header field, the registrar
//# returning a service route MUST return a service route consisting of
//# SIPS URIs if the intent of the registrar is to allow only SIPS URIs
//# to be used in requests sent by that UA.
#[test]
fn the_service_route_says_which_schemes_may_be_used() {
    for route in ["<sip:proxy.example.com;lr>", "<sips:proxy.example.com;lr>"] {
        let mut world = World::new(38);
        world.server(SERVER, "example.com", |config| config.registrar.service_route = vec![route.into()]);
        let bob = world.connected("192.0.2.2", Transport::Tls, SERVER);
        let answer = register_securely(&mut world, &bob, "sip:bob@example.com", "<sips:bob@192.0.2.2>", &[]);
        assert_eq!(answer.field(Header::ServiceRoute), Some(route.as_bytes()));
    }
}
