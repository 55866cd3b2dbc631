//! Asserted identities: the flows of RFC 3325 section 10, and what they must not show.
#![allow(clippy::unwrap_used, reason = "a test")]

use crate::common::{Ua, World, new_request, with_credentials};
use sip_message::{Header, Message, Method};
use sip_server::{ServerConfig, TrustDomain};
use sip_transaction::{Destination, Transport};

const SERVER: &str = "192.0.2.10";
const ANONYMOUS: &str = "sip:anonymous@anonymous.invalid";

struct Scene {
    world: World,
    alice: Ua,
    /// A gateway of the trust domain.
    gateway: Ua,
    /// Somebody outside of it.
    stranger: Ua,
}

fn scene(trust: bool) -> Scene {
    scene_with(trust, |config| {
        if let Some(domain) = &mut config.proxy.trust_domain {
            domain.datagrams = true;
        }
    })
}

fn scene_with(trust: bool, adapt: impl FnOnce(&mut ServerConfig)) -> Scene {
    let mut world = World::new(33);
    let server = world.server(SERVER, "example.com", |config| {
        config.auth.domains = vec!["example.com".into()];
        config.auth.registrations = false;
        config.auth.anonymous = true;
        config.proxy.trust_domain = trust.then(|| TrustDomain::of(["192.0.2.20"]));
        adapt(config);
    });
    let auth = world.srv(server).auth_mut();
    auth.add_user_with_password("example.com", "alice", "secret");
    auth.grant("example.com", "alice", "sip:sales@example.com");
    let alice = world.udp("192.0.2.1");
    let gateway = world.udp("192.0.2.20");
    let stranger = world.udp("192.0.2.30");
    world.register(&gateway, SERVER, "sip:gw@example.com", "<sip:gw@192.0.2.20>", &[]);
    world.register(&stranger, SERVER, "sip:bob@example.com", "<sip:bob@192.0.2.30>", &[]);
    Scene { world, alice, gateway, stranger }
}

fn asserted(message: &Message) -> Vec<String> {
    message.p_asserted_identity().map(|value| value.unwrap().uri().unwrap().as_str().to_owned()).collect()
}

impl Scene {
    /// A request of Alice with these fields, sent again with credentials when asked; what comes to `to`.
    fn send_as(&mut self, from: &str, to: &str, fields: &[(&str, &str)]) -> Message {
        let (world, alice) = (&mut self.world, self.alice);
        let call_id = world.fresh("id");
        let target = if to == "gw" { self.gateway } else { self.stranger };
        let request = new_request(Method::Message, from, &format!("sip:{to}@example.com"), &call_id, "", fields);
        let next = || Destination::next_hop(format!("sip:{SERVER}"));
        world.send(&alice, request.clone(), next());
        let challenge = world.response(&alice, 407);
        world.send(&alice, with_credentials(&request, &challenge, "alice", "secret"), next());
        let (tx, received) = world.request(&target, Method::Message);
        world.reply(&target, tx, &received, 200, "t");
        world.response(&alice, 200);
        received
    }

    /// A request of a node that authenticates nobody here; what comes to `to`.
    fn pass(&mut self, from: Ua, to: &str, fields: &[(&str, &str)]) -> Message {
        let call_id = self.world.fresh("id");
        let uri = format!("sip:{to}@example.com");
        self.pass_on(from, to, new_request(Method::Message, "sip:x@elsewhere.example", &uri, &call_id, "", fields))
    }

    fn pass_on(&mut self, from: Ua, to: &str, request: Message) -> Message {
        let target = if to == "gw" { self.gateway } else { self.stranger };
        let world = &mut self.world;
        world.send(&from, request, Destination::next_hop(format!("sip:{SERVER}")));
        let (tx, received) = world.request(&target, Method::Message);
        world.reply(&target, tx, &received, 200, "t");
        world.response(&from, 200);
        received
    }
}

//= https://www.rfc-editor.org/rfc/rfc3325#section-5
//= type=test
//# When a proxy receives a
//# message from a node it does not trust and it wishes to add a P-
//# Asserted-Identity header field, the proxy MUST authenticate the
//# originator of the message, and use the identity which results from
//# this authentication to insert a P-Asserted-Identity header field into
//# the message.
#[test]
fn section_10_1_an_identity_goes_to_a_trusted_gateway_though_it_is_private() {
    let mut scene = scene(true);
    let received = scene.send_as(ANONYMOUS, "gw", &[("Privacy", "id")]);
    assert_eq!(asserted(&received), ["sip:alice@example.com"]);
    assert_eq!(received.field(Header::Privacy), Some(&b"id"[..]));
    assert_eq!(received.from().unwrap().uri_bytes(), ANONYMOUS.as_bytes());
    scene.world.assert_idle();
}

//= https://www.rfc-editor.org/rfc/rfc3325#section-4
//= type=test
//# A proxy that is about to
//# forward a message to a proxy server or UA that it does not trust MUST
//# remove all the P-Asserted-Identity header field values if the user
//# requested that this information be kept private.
//= https://www.rfc-editor.org/rfc/rfc3325#section-6
//= type=test
//# The proxy MUST remove the user-provided P-Preferred-
//# Identity header from any message it forwards.
//= https://www.rfc-editor.org/rfc/rfc3325#section-5
//= type=test
//# If it
//# does not trust the element, then the proxy MUST examine the Privacy
//# header field (if present) to determine if the user requested that
//# asserted identity information be kept private.
#[test]
fn section_10_2_an_identity_is_withheld() {
    let mut scene = scene(true);
    let preferred = ("P-Preferred-Identity", "\"Alice\" <sip:alice@example.com>");
    let received = scene.send_as(ANONYMOUS, "bob", &[("Privacy", "id"), preferred]);
    assert!(asserted(&received).is_empty());
    assert!(!received.has(Header::PPreferredIdentity));
    scene.world.assert_idle();
}

//= https://www.rfc-editor.org/rfc/rfc3325#section-7
//= type=test
//# If this token is present, proxies MUST remove all the P-Asserted-
//# Identity header fields before forwarding messages to elements that
//# are not trusted.  If the Privacy header field value is set to "none"
//# then the proxy MUST NOT remove the P-Asserted-Identity header fields.
#[test]
fn what_is_asserted_is_what_was_proven_and_is_preferred() {
    let alice = "sip:alice@example.com";
    let sales = ("P-Preferred-Identity", "<sip:sales@example.com>");
    let mut scene = scene(true);
    assert_eq!(asserted(&scene.send_as(alice, "bob", &[])), [alice]);
    assert_eq!(asserted(&scene.send_as(alice, "bob", &[("Privacy", "none")])), [alice]);
    assert_eq!(asserted(&scene.send_as(alice, "bob", &[sales])), ["sip:sales@example.com"]);
    // Not hers: her own instead.
    let boss = ("P-Preferred-Identity", "<sip:boss@example.com>");
    assert_eq!(asserted(&scene.send_as(alice, "bob", &[boss])), [alice]);
    // No word of hers beyond that: parameters, headers, a password.
    let more = "sip:alice@example.com;cpc=operator;user=phone";
    assert_eq!(asserted(&scene.send_as(more, "bob", &[])), [alice]);
    let secure = ("P-Preferred-Identity", "<sips:sales@example.com;cpc=operator?subject=x>");
    assert_eq!(asserted(&scene.send_as(alice, "bob", &[secure])), ["sips:sales@example.com"]);
    let password = ("P-Preferred-Identity", "<sip:sales:x@example.com>");
    assert_eq!(asserted(&scene.send_as(alice, "bob", &[password])), [alice]);
    // And what she asserts of herself is worth nothing.
    let forged = ("P-Asserted-Identity", "<sip:boss@example.com>, <tel:+1>");
    assert_eq!(asserted(&scene.send_as(alice, "gw", &[forged])), [alice]);
    scene.world.assert_idle();
}

//= https://www.rfc-editor.org/rfc/rfc3325#section-5
//= type=test
//# If the proxy received the message from an element that it does
//# not trust and there is a P-Asserted-Identity header present which
//# contains a SIP or SIPS URI, the proxy MUST replace that SIP or SIPS
//# URI with a single SIP or SIPS URI or remove this header field.
//= https://www.rfc-editor.org/rfc/rfc3325#section-5
//= type=test
//# Similarly, if the proxy received the message from an element that it
//# does not trust and there is a P-Asserted-Identity header present
//# which contains a tel URI, the proxy MUST replace that tel URI with a
//# single tel URI or remove the header field.
//= https://www.rfc-editor.org/rfc/rfc3325#section-7
//= type=test
//# If multiple P-Asserted-Identity header field values are present in a
//# message, and privacy of the P-Asserted-Identity header field is
//# requested, then all instances of the header field values MUST be
//# removed before forwarding the request to an entity that is not
//# trusted.
#[test]
fn an_assertion_is_believed_within_the_trust_domain_only() {
    let both: &[_] = &[("P-Asserted-Identity", "<sip:x@elsewhere.example>"), ("P-Asserted-Identity", "<tel:+1>")];
    let private = [both, &[("Privacy", "critical; id")]].concat();
    let mut scene = scene(true);
    let (gateway, stranger) = (scene.gateway, scene.stranger);
    assert_eq!(asserted(&scene.pass(gateway, "bob", both)), ["sip:x@elsewhere.example", "tel:+1"]);
    assert!(asserted(&scene.pass(gateway, "bob", &private)).is_empty());
    assert_eq!(asserted(&scene.pass(gateway, "gw", &private)), ["sip:x@elsewhere.example", "tel:+1"]);
    assert!(asserted(&scene.pass(stranger, "gw", both)).is_empty());
    scene.world.assert_idle();
}

#[test]
fn a_response_is_guarded_like_a_request() {
    let identity = (Header::PAssertedIdentity, "<sip:who@example.com>");
    let cases = [("gw", true, "", true), ("gw", true, "id", false), ("bob", false, "", false)];
    for (to, from_gateway, privacy, shown) in cases {
        let mut scene = scene(true);
        let (world, alice) = (&mut scene.world, scene.alice);
        let callee = if from_gateway { scene.gateway } else { scene.stranger };
        let to = format!("sip:{to}@example.com");
        let request = new_request(Method::Message, "sip:x@elsewhere.example", &to, "r", "", &[]);
        world.send(&alice, request, Destination::next_hop(format!("sip:{SERVER}")));
        let (tx, received) = world.request(&callee, Method::Message);
        let ok = Message::response(&received, sip_message::StatusCode::OK).to_tag("t").header(identity.0, identity.1);
        let ok = if privacy.is_empty() { ok } else { ok.header(Header::Privacy, privacy) };
        world.respond(&callee, tx, ok.build().unwrap());
        assert_eq!(world.response(&alice, 200).has(Header::PAssertedIdentity), shown, "{to} {privacy}");
        world.assert_idle();
    }
}

#[test]
fn without_a_trust_domain_the_fields_are_like_any_others() {
    let fields: &[_] = &[
        ("P-Asserted-Identity", "<sip:x@elsewhere.example>"),
        ("P-Preferred-Identity", "<sip:y@h>"),
        ("Privacy", "id"),
    ];
    let mut scene = scene(false);
    let stranger = scene.stranger;
    let received = scene.pass(stranger, "bob", fields);
    assert_eq!(asserted(&received), ["sip:x@elsewhere.example"]);
    assert!(received.has(Header::PPreferredIdentity));
    scene.world.assert_idle();
}

/// The address of a datagram is whatever its sender writes.
#[test]
fn over_udp_a_peer_is_believed_only_if_the_network_keeps_forgeries_out() {
    let claim: &[_] = &[("P-Asserted-Identity", "<sip:x@elsewhere.example>")];
    for (transport, datagrams, believed) in
        [(Transport::Udp, false, false), (Transport::Udp, true, true), (Transport::Tcp, false, true)]
    {
        let mut scene = scene_with(true, |config| {
            config.proxy.trust_domain.as_mut().unwrap().datagrams = datagrams;
        });
        let from = match transport {
            Transport::Udp => scene.gateway,
            _ => scene.world.connected("192.0.2.20", transport, SERVER),
        };
        let world = &mut scene.world;
        let request = new_request(Method::Message, "sip:x@elsewhere.example", "sip:bob@example.com", "u", "", claim);
        let to = from.flow.map_or_else(|| Destination::next_hop(format!("sip:{SERVER}")), Destination::flow);
        world.send(&from, request, to);
        let (tx, received) = world.request(&scene.stranger, Method::Message);
        assert_eq!(!asserted(&received).is_empty(), believed, "{transport:?} {datagrams}");
        world.reply(&scene.stranger, tx, &received, 200, "t");
        world.response(&from, 200);
        world.assert_idle();
    }
}

#[test]
fn a_privacy_that_cannot_be_read_counts_as_asked_for() {
    let mut scene = scene(true);
    let gateway = scene.gateway;
    let claim = ("P-Asserted-Identity", "<sip:x@elsewhere.example>");
    for (n, privacy) in ["@", "", "header, id", "user;;id", "user\r\nPrivacy: id"].into_iter().enumerate() {
        let fields = [claim, ("Privacy", "PLACE")];
        let (from, to) = ("sip:x@elsewhere.example", "sip:bob@example.com");
        let request = new_request(Method::Message, from, to, &format!("unread{n}"), "", &fields);
        let text = String::from_utf8(request.to_bytes().to_vec()).unwrap().replace("PLACE", privacy);
        let received = scene.pass_on(gateway, "bob", Message::parse(text.into_bytes().into()).unwrap());
        assert!(asserted(&received).is_empty(), "{privacy:?}");
    }
    let received = scene.pass(gateway, "bob", &[claim, ("Privacy", "header; user")]);
    assert!(!asserted(&received).is_empty());
    scene.world.assert_idle();
}

#[test]
fn a_proxy_without_transactions_guards_responses_alike() {
    let identity = "<sip:who@example.com>";
    // Whether the gateway answers, whether a peer has asked, Privacy, whether the identity is shown.
    let cases = [
        (true, false, "", true),
        (true, false, "id", false),
        (true, true, "id", true),
        (false, false, "", false),
        (false, true, "", false),
    ];
    for (from_gateway, to_peer, privacy, shown) in cases {
        let mut scene = scene_with(true, |config| {
            config.proxy.stateless = true;
            config.endpoint.stray_responses = true;
            let domain = config.proxy.trust_domain.as_mut().unwrap();
            domain.datagrams = true;
            domain.peers.push("192.0.2.21".into());
        });
        let peer = scene.world.udp("192.0.2.21");
        let (world, caller) = (&mut scene.world, if to_peer { peer } else { scene.alice });
        let (to, callee) = if from_gateway { ("gw", scene.gateway) } else { ("bob", scene.stranger) };
        let to = format!("sip:{to}@example.com");
        let request = new_request(Method::Message, "sip:x@elsewhere.example", &to, "s", "", &[]);
        world.send(&caller, request, Destination::next_hop(format!("sip:{SERVER}")));
        let (tx, received) = world.request(&callee, Method::Message);
        let ok = Message::response(&received, sip_message::StatusCode::OK).to_tag("t");
        let ok = ok.header(Header::PAssertedIdentity, identity);
        let ok = if privacy.is_empty() { ok } else { ok.header(Header::Privacy, privacy) };
        world.respond(&callee, tx, ok.build().unwrap());
        assert_eq!(world.response(&caller, 200).has(Header::PAssertedIdentity), shown, "{to} {to_peer} {privacy}");
        world.assert_idle();
    }
}
