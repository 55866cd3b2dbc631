//! User agents that sleep and are woken by push notifications: RFC 8599 section 5, message by message.
#![allow(clippy::unwrap_used, reason = "a test")]

use crate::common::{NodeEvent, SERVER, Ua, World, new_request, of_caller, to_server};
use core::time::Duration;
use sip_message::{Header, Message, Method};
use sip_server::{ProxyEvent, ProxyId, PushTarget, RegistrarEvent, ServerConfig, ServerEvent};
use sip_transaction::{Destination, Transport};

const BOB: &str = "sip:bob@example.com";
const CONTACT: &str = "<sip:bob@192.0.2.2:40000;transport=tls;pn-provider=acme;pn-param=p;pn-prid=ZTY4ZDJlMz>";

struct Scene {
    world: World,
    server: usize,
    alice: Ua,
    bob: Ua,
}

fn scene() -> Scene {
    scene_with(|_| {})
}

fn scene_with(adapt: impl FnOnce(&mut ServerConfig)) -> Scene {
    let mut world = World::new(85);
    let server = world.server(SERVER, "example.com", |config| {
        config.registrar.push = vec!["acme".into(), "webpush".into()];
        adapt(config);
    });
    let alice = world.udp("192.0.2.1");
    let bob = world.connected("192.0.2.2", Transport::Tls, SERVER);
    Scene { world, server, alice, bob }
}

/// Bob has registered, and sleeps.
fn asleep() -> Scene {
    let mut scene = scene();
    scene.register(CONTACT, &[]);
    scene.sleep();
    scene
}

fn caps(message: &Message) -> Vec<String> {
    message.fields(Header::FeatureCaps).map(|value| String::from_utf8(value.to_vec()).unwrap()).collect()
}

impl Scene {
    fn register(&mut self, contact: &str, fields: &[(&str, &str)]) -> Message {
        let bob = self.bob;
        self.world.register(&bob, SERVER, BOB, contact, fields)
    }

    /// Bob's connection ends, and he sleeps.
    fn sleep(&mut self) {
        let node = self.world.id(self.bob.node);
        self.world.net.break_flow(node, self.bob.flow.unwrap());
        self.world.run(Duration::from_secs(1));
    }

    fn wake(&mut self) {
        let mut bob = self.bob;
        self.world.connect(&mut bob, SERVER);
        self.bob = bob;
    }

    fn invite(&mut self, call_id: &str) {
        let invite = new_request(Method::Invite, "sip:alice@x.example", BOB, call_id, "<sip:alice@192.0.2.1>", &[]);
        let alice = self.alice;
        self.world.send(&alice, invite, to_server());
    }

    fn asked_to_wake(&mut self) -> (ProxyId, PushTarget) {
        self.world.expect(self.server, "a wake-up", |event| match event {
            NodeEvent::Server(ServerEvent::Proxy(ProxyEvent::Wake { id, push })) => Some((*id, push.clone())),
            _ => None,
        })
    }

    /// Alice calls, and Bob is to be woken.
    fn call(&mut self, call_id: &str) -> (ProxyId, PushTarget) {
        self.invite(call_id);
        self.asked_to_wake()
    }

    /// Bob gets the call and refuses it.
    fn refuses(&mut self) {
        let (alice, bob) = (self.alice, self.bob);
        let (tx, invite) = self.world.request(&bob, Method::Invite);
        self.world.reply(&bob, tx, &invite, 486, "b");
        self.world.response(&alice, 486);
    }

    fn assert_idle(&mut self) {
        self.world.assert_idle();
    }
}

//= https://www.rfc-editor.org/rfc/rfc8599#section-5.4
//= type=test
//# A proxy MUST use a separate
//# Feature-Cap header field for each supported type of PNS.
//= https://www.rfc-editor.org/rfc/rfc8599#section-5.4
//= type=test
//# A feature-
//# capability indicator that indicates support of an additional feature
//# associated with a given type of PNS MUST be inserted in the same
//# Feature-Caps header field that is used to indicate support of the
//# type of PNS.
//= https://www.rfc-editor.org/rfc/rfc8599#section-5.4
//= type=test
//# These feature-capability indicators
//# MUST only be inserted in a Feature-Caps header field that also
//# contains a 'sip.pns' feature-capability indicator.
//= https://www.rfc-editor.org/rfc/rfc8599#section-5.6.1.1
//= type=test
//# The proxy MUST indicate support of the same type of PNS in the
//# REGISTER response.
//= https://www.rfc-editor.org/rfc/rfc8599#section-5.6.1.2
//= type=test
//# When a proxy receives a 2xx response to the REGISTER request, if the
//# proxy had indicated support of one or more types of PNSs in the
//# REGISTER request (see above), the proxy MUST indicate support of the
//# same set of types of PNSs in the response.
//= https://www.rfc-editor.org/rfc/rfc8599#section-5.6.1.2
//= type=test
//# If the proxy does not support the type of PNS supported by the UA,
//# and if the REGISTER request does not contain Feature-Caps header
//# fields indicating support of one or more types of PNSs, the proxy
//# MUST either forward the request towards the registrar or send a
//# SIP 555 (Push Notification Service Not Supported) response towards
//# the UA.
//= https://www.rfc-editor.org/rfc/rfc8599#section-5.6.1.2
//= type=test
//# When a proxy receives a REGISTER request that contains a
//# 'pn-provider' SIP URI parameter indicating the type of PNS supported
//# by the UA, the proxy MUST perform the following actions:
//= https://www.rfc-editor.org/rfc/rfc8599#section-5.6.1.2
//= type=test
//# The proxy MUST NOT send a SIP 555 (Push Notification
//# Service Not Supported) response unless it knows (by means of local
//# configuration) that no other proxy supports any of the types of
//# PNSs supported by the UA.
//= https://www.rfc-editor.org/rfc/rfc8599#section-5.6.1.1
//= type=test
//# In such case, the proxy MUST skip
//# the rest of the procedures in this section and process the REGISTER
//# request using normal SIP procedures.
//= https://www.rfc-editor.org/rfc/rfc8599#section-5.6.1
//= type=test
//# In other cases, the proxy MUST skip the procedures in
//# this section and process the REGISTER request using normal SIP
//# procedures.
//= https://www.rfc-editor.org/rfc/rfc8599#section-5.6.1.1
//= type=test
//# If the proxy supports the type of PNS supported by the UA, but
//# considers the requested binding expiration interval [RFC3261] to
//# be too short (see below), the proxy MUST either send a 423
//# (Interval Too Brief) response to the REGISTER request or forward
//# the request towards the registrar
//= https://www.rfc-editor.org/rfc/rfc8599#section-5.6.1.1
//= type=test
//# A binding expiration interval MUST be considered too short if the
//# binding would expire before the proxy can request that a push
//# notification be sent to the UA to trigger the UA to send a binding-
//# refresh REGISTER request.
#[test]
fn a_registration_is_told_which_services_there_are() {
    let mut scene = scene();
    let other = "<sip:bob@192.0.2.2;pn-provider=other;pn-prid=x>";
    let by_another: &[_] = &[("Feature-Caps", "*;+sip.pns=\"other\"")];
    // Contact, fields, status, Feature-Caps.
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], u16, &'a [&'a str]);
    let cases: &[Case<'_>] = &[
        (CONTACT, &[], 200, &["*;+sip.pns=\"acme\""]),
        ("<sip:bob@192.0.2.2;pn-provider=webpush>", &[], 200, &["*;+sip.pns=\"webpush\""]),
        ("<sip:bob@192.0.2.2;pn-provider>", &[], 200, &["*;+sip.pns=\"acme\"", "*;+sip.pns=\"webpush\""]),
        (&format!("{CONTACT};+sip.pnsreg"), &[], 200, &["*;+sip.pns=\"acme\";+sip.pnsreg=\"130\""]),
        ("<sip:bob@192.0.2.2>", &[], 200, &[]),
        (other, &[], 555, &[]),
        // A proxy before this one takes care of it.
        (other, by_another, 200, &[]),
        (CONTACT, by_another, 200, &[]),
        (CONTACT, &[("Expires", "120")], 423, &[]),
        ("<sip:bob@192.0.2.2;pn-provider=acme>", &[("Expires", "120")], 200, &["*;+sip.pns=\"acme\""]),
    ];
    for (contact, fields, status, expected) in cases {
        let answer = scene.register(contact, fields);
        assert_eq!(answer.status().unwrap().code(), *status, "{contact} {fields:?}");
        assert_eq!(caps(&answer), *expected, "{contact} {fields:?}");
        if *status == 423 {
            assert_eq!(answer.field(Header::MinExpires), Some(&b"300"[..]));
        }
        let cleared = scene.register("*", &[("Expires", "0")]);
        assert_eq!(cleared.status().unwrap().code(), 200);
    }
    scene.assert_idle();
}

//= https://www.rfc-editor.org/rfc/rfc8599#section-5.6.2
//= type=test
//# If there is a match, the proxy MUST remove the SIP request from
//# the bucket and forward it towards the UA.
//= https://www.rfc-editor.org/rfc/rfc8599#section-5.6.2
//= type=test
//# The proxy then places
//# the SIP request in the SIP Request Push Bucket.
#[test]
fn a_call_waits_until_the_user_agent_is_awake() {
    let mut scene = asleep();
    // The binding outlives its connection: that is what the notification is for.
    assert_eq!(scene.world.srv(scene.server).registrar().table().unwrap().len(), 1);
    let (_, push) = scene.call("call");
    assert_eq!((&*push.provider, &*push.param, &*push.prid), ("acme", "p", "ZTY4ZDJlMz"));
    scene.world.run(Duration::from_secs(3));
    assert!(!scene.world.has_request(&scene.bob, Method::Invite));
    scene.wake();
    // He may have another port by now.
    let moved = CONTACT.replace("40000", "40001");
    let answer = scene.register(&moved, &[]);
    assert_eq!(answer.status().unwrap().code(), 200);
    let (world, alice, bob) = (&mut scene.world, scene.alice, scene.bob);
    let (tx, invite) = world.request(&bob, Method::Invite);
    assert_eq!(invite.request_uri_bytes(), Some(moved.trim_matches(['<', '>']).as_bytes()));
    world.accept(&bob, tx, &invite, "b", "<sip:bob@192.0.2.2:40001;transport=tls>");
    let ok = world.response(&alice, 200);
    world.send_ack(&alice, of_caller(&ok, Method::Ack));
    world.ack(&bob);
    world.send(&alice, of_caller(&ok, Method::Bye), Destination::route());
    let (tx, bye) = world.request(&bob, Method::Bye);
    world.reply(&bob, tx, &bye, 200, "");
    world.response(&alice, 200);
    scene.assert_idle();
}

//= https://www.rfc-editor.org/rfc/rfc8599#section-5.3
//= type=test
//# If a 'pn-*' parameter is present in one of the compared URIs
//# but not in the other URI, there is no match.
//= https://www.rfc-editor.org/rfc/rfc8599#section-5.3
//= type=test
//# However, when a SIP proxy compares the Contact header field URI of a 2xx response to a
//# REGISTER request with a Request-URI of a SIP request in the SIP Request Push Bucket
//# (Section 5.2), the proxy uses the URI comparison rules with the following additions:
//# the 'pn-prid', 'pn-provider', and 'pn-param' SIP URI parameters MUST also match.
#[test]
fn another_user_agent_that_wakes_does_not_get_the_call() {
    let mut scene = asleep();
    scene.call("call");
    scene.wake();
    scene.register(&CONTACT.replace(";pn-param=p", ""), &[]);
    scene.world.run(Duration::from_secs(2));
    assert!(!scene.world.has_request(&scene.bob, Method::Invite));
    scene.register(CONTACT, &[]);
    scene.refuses();
    scene.assert_idle();
}

//= https://www.rfc-editor.org/rfc/rfc8599#section-5.6.2
//= type=test
//# After the proxy has requested that a push notification be sent to a
//# UA, if the proxy does not receive a REGISTER response with a Contact
//# URI that matches the Request-URI of the SIP request before the Bucket
//# Timer (Section 5.2) associated with the SIP request times out, the
//# proxy MUST remove the SIP request from the SIP Request Push Bucket
//# (Section 5.2) and send a 480 (Temporarily Unavailable) response.
#[test]
fn a_user_agent_that_does_not_wake_is_unavailable() {
    let mut scene = asleep();
    let before = scene.world.now();
    scene.call("call");
    scene.world.response(&scene.alice, 480);
    assert!(scene.world.now() - before >= Duration::from_secs(20));
    // The same without a dialog, before the client gives up by itself.
    let alice = scene.alice;
    let message = new_request(Method::Message, "sip:alice@x.example", BOB, "m", "", &[]);
    scene.world.send(&alice, message, to_server());
    scene.asked_to_wake();
    scene.world.response(&alice, 480);
    scene.assert_idle();
}

//= https://www.rfc-editor.org/rfc/rfc8599#section-5.6.2
//= type=test
//# If the push notification request fails (see PNS-specific
//# documentation for details), the proxy MUST remove the SIP request
//# from the bucket and send an error response to the SIP request.
#[test]
fn a_push_that_fails_ends_the_wait() {
    let mut scene = asleep();
    let (_, push) = scene.call("call");
    let now = scene.world.now();
    scene.world.srv(scene.server).wake_failed(now, &push);
    scene.world.response(&scene.alice, 480);
    assert_eq!(scene.world.now().as_micros() / 1_000_000, now.as_micros() / 1_000_000, "at once");
    // Again, and after it is over: passed over.
    let now = scene.world.now();
    scene.world.srv(scene.server).wake_failed(now, &push);
    scene.assert_idle();
}

#[test]
fn a_caller_who_gives_up_need_not_wait() {
    let mut scene = asleep();
    let alice = scene.alice;
    let invite = new_request(Method::Invite, "sip:alice@x.example", BOB, "c", "<sip:alice@192.0.2.1>", &[]);
    let tx = scene.world.send(&alice, invite, to_server());
    scene.asked_to_wake();
    scene.world.response(&alice, 100);
    let now = scene.world.now();
    scene.world.ua(alice.node).cancel(now, tx, None).unwrap();
    scene.world.response(&alice, 487);
    scene.wake();
    scene.register(CONTACT, &[]);
    scene.world.run(Duration::from_secs(2));
    assert!(!scene.world.has_request(&scene.bob, Method::Invite));
    scene.assert_idle();
}

#[test]
fn a_desk_phone_rings_while_the_mobile_sleeps_and_may_answer() {
    let mut scene = asleep();
    let desk = scene.world.udp("192.0.2.3");
    scene.world.register(&desk, SERVER, BOB, "<sip:bob@192.0.2.3>", &[]);
    scene.call("call");
    let (tx, invite) = scene.world.request(&desk, Method::Invite);
    scene.world.accept(&desk, tx, &invite, "desk", "<sip:bob@192.0.2.3>");
    let ok = scene.world.response(&scene.alice, 200);
    scene.world.send_ack(&scene.alice, of_caller(&ok, Method::Ack));
    scene.world.ack(&desk);
    // Awake too late: the call is taken.
    scene.wake();
    scene.register(CONTACT, &[]);
    scene.world.run(Duration::from_secs(2));
    assert!(!scene.world.has_request(&scene.bob, Method::Invite));
    scene.world.send(&desk, crate::common::of_callee(&invite, &ok, Method::Bye, 3), Destination::route());
    let (tx, bye) = scene.world.request(&scene.alice, Method::Bye);
    scene.world.reply(&scene.alice, tx, &bye, 200, "");
    scene.world.response(&desk, 200);
    scene.assert_idle();
}

//= https://www.rfc-editor.org/rfc/rfc8599#section-5.5
//= type=test
//# It is RECOMMENDED that the
//# proxy requests the push notification at least 120 seconds before the
//# binding expires.
//= https://www.rfc-editor.org/rfc/rfc8599#section-5.5
//= type=test
//# If the proxy receives information that a binding associated with a
//# PRID has expired, or that a binding has been removed, the proxy MUST
//# NOT request that further push notifications are sent to the UA using
//# that PRID.
#[test]
fn a_binding_is_refreshed_by_a_wake_up_and_not_when_it_is_gone() {
    let wake_up = |event: &NodeEvent| match event {
        NodeEvent::Server(ServerEvent::Registrar(RegistrarEvent::Wake { aor, push })) => {
            Some((aor.clone(), push.prid.clone()))
        }
        _ => None,
    };
    let mut scene = scene();
    scene.register(CONTACT, &[("Expires", "600")]);
    scene.world.run(Duration::from_secs(400));
    // A refresh puts it off.
    scene.register(CONTACT, &[("Expires", "600")]);
    scene.world.run(Duration::from_secs(460));
    assert!(!scene.world.has(scene.server, wake_up));
    scene.world.run(Duration::from_secs(20));
    let asked = scene.world.expect(scene.server, "a wake-up", wake_up);
    assert_eq!(asked, (BOB.into(), "ZTY4ZDJlMz".into()));
    scene.register(CONTACT, &[("Expires", "600")]);
    scene.register(CONTACT, &[("Expires", "0")]);
    scene.world.run(Duration::from_secs(700));
    assert!(!scene.world.has(scene.server, wake_up));
    scene.assert_idle();
}

//= https://www.rfc-editor.org/rfc/rfc8599#section-13
//= type=test
//# Operators MUST ensure that the PNS-related SIP URI parameters
//# conveyed by a user in the Contact URI of a REGISTER request are
//# not sent to other users or to non-trusted network entities.
#[test]
fn others_do_not_see_where_the_push_goes() {
    let mut scene = scene();
    scene.register(CONTACT, &[]);
    let now = scene.world.now();
    let table = scene.world.srv(scene.server).registrar().table().unwrap();
    let binding = table.bindings(BOB, now).next().unwrap();
    let document = sip_server::RegInfo::new().full(now, [(BOB, [binding])]);
    assert!(document.contains("<uri>sip:bob@192.0.2.2:40000;transport=tls</uri>"), "{document}");
}

/// One device has registered for two users, or somebody knows the parameters of another's.
#[test]
fn a_call_for_one_user_does_not_go_to_another_of_the_same_device() {
    let mut scene = asleep();
    scene.call("call");
    scene.wake();
    let bob = scene.bob;
    let carol = CONTACT.replace("bob", "carol");
    scene.world.register(&bob, SERVER, "sip:carol@example.com", &carol, &[]);
    scene.world.run(Duration::from_secs(2));
    assert!(!scene.world.has_request(&bob, Method::Invite));
    scene.register(CONTACT, &[]);
    scene.refuses();
    scene.assert_idle();
}

/// A temporary GRUU does not show whose it is, and wakes its user agent all the same.
#[test]
fn a_call_to_a_temporary_gruu_waits_too() {
    let mut scene = scene();
    let contact = format!("{CONTACT};+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>\"");
    let answer = scene.register(&contact, &[("Supported", "gruu")]);
    let text = String::from_utf8(answer.to_bytes().to_vec()).unwrap();
    let gruu = text.split("temp-gruu=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    scene.sleep();
    let invite = new_request(Method::Invite, "sip:alice@x.example", &gruu, "g", "<sip:alice@192.0.2.1>", &[]);
    let alice = scene.alice;
    scene.world.send(&alice, invite, to_server());
    scene.asked_to_wake();
    scene.wake();
    scene.register(&contact, &[("Supported", "gruu")]);
    scene.refuses();
    scene.assert_idle();
}

#[test]
fn many_calls_for_one_user_agent_wake_it_once_and_only_some_wait() {
    let wake = |event: &NodeEvent| matches!(event, NodeEvent::Server(ServerEvent::Proxy(ProxyEvent::Wake { .. })));
    let mut scene = scene_with(|config| config.proxy.max_asleep_each = 2);
    scene.register(CONTACT, &[]);
    scene.sleep();
    for call in ["one", "two"] {
        scene.invite(call);
        scene.world.run(Duration::from_secs(1));
    }
    scene.asked_to_wake();
    assert!(!scene.world.has(scene.server, |event| wake(event).then_some(())));
    scene.invite("three");
    scene.world.response(&scene.alice, 480);
    scene.wake();
    scene.register(CONTACT, &[]);
    for _ in 0..2 {
        scene.refuses();
    }
    // Nobody waits any more: the next one asks again, and a push that fails is over for all.
    scene.sleep();
    for call in ["four", "five"] {
        scene.invite(call);
        scene.world.run(Duration::from_secs(1));
    }
    let (_, push) = scene.asked_to_wake();
    let now = scene.world.now();
    scene.world.srv(scene.server).wake_failed(now, &push);
    scene.world.response(&scene.alice, 480);
    scene.world.response(&scene.alice, 480);
    scene.assert_idle();
}

/// Callers who keep coming do not keep a user agent asleep whose first push was lost.
#[test]
fn a_push_that_is_lost_is_asked_for_again() {
    let mut scene = asleep();
    scene.call("one");
    scene.world.run(Duration::from_secs(15));
    scene.invite("two");
    scene.world.run(Duration::from_secs(10));
    scene.world.response(&scene.alice, 480);
    scene.call("three");
    scene.world.run(Duration::from_secs(30));
    scene.world.response(&scene.alice, 480);
    scene.world.response(&scene.alice, 480);
    scene.assert_idle();
}

#[test]
fn of_two_that_sleep_one_may_wake_and_the_other_not() {
    let mut scene = scene();
    let other = CONTACT.replace("40000", "40002").replace("ZTY4ZDJlMz", "other");
    scene.register(CONTACT, &[]);
    scene.register(&other, &[]);
    scene.sleep();
    scene.call("call");
    scene.asked_to_wake();
    scene.wake();
    scene.register(CONTACT, &[]);
    let (tx, invite) = scene.world.request(&scene.bob, Method::Invite);
    scene.world.reply(&scene.bob, tx, &invite, 486, "b");
    scene.world.run(Duration::from_secs(5));
    assert!(!scene.world.has_final(&scene.alice));
    scene.world.run(Duration::from_secs(20));
    assert!(scene.world.has_final(&scene.alice));
    scene.world.answer(&scene.alice);
    scene.assert_idle();
}

/// A registrar that grants less than a wake-up is told before grants what it can, and wakes in time.
#[test]
fn short_registrations_are_granted_and_refreshed_too() {
    let mut scene = scene_with(|config| {
        config.registrar.min_expires = 10;
        config.registrar.max_expires = 200;
    });
    let refused = scene.register(CONTACT, &[("Expires", "100")]);
    assert_eq!((refused.status().unwrap().code(), refused.field(Header::MinExpires)), (423, Some(&b"200"[..])));
    assert_eq!(scene.register(CONTACT, &[("Expires", "3600")]).status().unwrap().code(), 200);
    scene.world.run(Duration::from_secs(90));
    let wake_up = |event: &NodeEvent| match event {
        NodeEvent::Server(ServerEvent::Registrar(RegistrarEvent::Wake { .. })) => Some(()),
        _ => None,
    };
    assert!(!scene.world.has(scene.server, wake_up));
    scene.world.run(Duration::from_secs(20));
    scene.world.expect(scene.server, "a wake-up", wake_up);
    scene.world.run(Duration::from_secs(100));
    scene.assert_idle();
}
