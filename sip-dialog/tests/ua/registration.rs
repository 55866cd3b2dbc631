//! Registrations (RFC 3261 section 10, RFC 5626, 5627, 3608).

use crate::common::*;
use sip_dialog::{EndCause, Event, Register, RegistrationEnd, RegistrationEvent, RegistrationId};
use sip_message::{Header, Message};
use sip_transaction::ServerTxId;
use std::time::Duration;

fn register(world: &mut World, alice: sim::NodeId, change: impl FnOnce(Register) -> Register) -> RegistrationId {
    let register = change(Register::new(origin(1), "sip:192.0.2.2").expires(600));
    world.tell(alice, |core, ep, now| core.register(ep, now, register)).unwrap()
}

fn ok(world: &mut World, raw: sim::NodeId, tx: ServerTxId, request: &Message, more: &'static [(&str, &str)]) {
    let contact = String::from_utf8(request.field(Header::Contact).unwrap().to_vec()).unwrap();
    world.respond(raw, tx, request, 200, |mut builder| {
        if contact != "*" && !contact.contains("expires=0") {
            builder = builder.header(Header::Contact, contact);
        }
        for (name, value) in more {
            builder = builder.header(*name, value);
        }
        builder
    });
}

fn until(world: &mut World, node: sim::NodeId, wanted: impl Fn(&RegistrationEvent) -> bool) -> RegistrationEvent {
    world.until(node, |event| match event {
        Event::Registration { event, .. } if wanted(event) => Some(event.clone()),
        _ => None,
    })
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-10.2
//= type=test
//# A UA MUST increment the CSeq value by one for each REGISTER request with
//# the same Call-ID.
//= https://www.rfc-editor.org/rfc/rfc3261#section-10.2
//= type=test
//# Call-ID: All registrations from a UAC SHOULD use the same Call-ID header
//# field value for registrations sent to a particular registrar.
//= https://www.rfc-editor.org/rfc/rfc3261#section-10.2.2
//= type=test
//# UAs SHOULD support this mechanism so that bindings can be removed before
//# their expiration interval has passed.
#[test]
fn registered_refreshed_removed() {
    let mut world = World::new(1);
    let (alice, raw) = (world.phone(1), world.raw(2));
    let id = register(&mut world, alice, |register| register);
    let (tx, first) = world.request_at(raw);
    assert_eq!(first.request_uri_bytes(), Some(&b"sip:192.0.2.2"[..]));
    ok(&mut world, raw, tx, &first, &[]);
    until(
        &mut world,
        alice,
        |event| matches!(event, RegistrationEvent::Registered { expires, .. } if expires.as_secs() == 600),
    );
    let (tx, second) = world.request_at(raw);
    assert_eq!(world.now().as_micros() / 1_000_000, 540, "a tenth before its time");
    assert_eq!(second.call_id().unwrap(), first.call_id().unwrap());
    assert_eq!(second.cseq().unwrap().number, first.cseq().unwrap().number + 1);
    ok(&mut world, raw, tx, &second, &[]);
    until(&mut world, alice, |event| matches!(event, RegistrationEvent::Refreshed { .. }));
    world.tell(alice, |core, ep, now| core.unregister(ep, now, id, false)).unwrap();
    let (tx, last) = world.request_at(raw);
    assert!(last.field(Header::Contact).unwrap().ends_with(b"expires=0"));
    ok(&mut world, raw, tx, &last, &[]);
    until(&mut world, alice, |event| matches!(event, RegistrationEvent::Ended { cause: RegistrationEnd::Removed, .. }));
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-10.2.8
//= type=test
//# If a UA receives a 423 (Interval Too Brief) response, it MAY retry the
//# registration after making the expiration interval of all contact
//# addresses in the REGISTER request equal to or greater than the
//# expiration interval within the Min-Expires header field of the 423
//# (Interval Too Brief) response.
//= https://www.rfc-editor.org/rfc/rfc3261#section-10.2.2
//= type=test
//# The REGISTER-specific Contact header field value of "*" applies to all
//# registrations, but it MUST NOT be used unless the Expires header field
//# is present with a value of "0".
//= https://www.rfc-editor.org/rfc/rfc5626#section-4.2.3
//= type=test
//# A UAC also MUST NOT include an instance-id feature tag or "reg-id"
//# Contact header field parameter in a request to un-register all Contacts
//# (a single Contact header field value with the value of "*").
#[test]
fn too_brief_and_all_at_once() {
    let mut world = World::new(2);
    let (alice, raw) = (world.phone(1), world.raw(2));
    let urn = "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6";
    let id = register(&mut world, alice, |register| register.expires(10).instance(urn, Some(3)));
    let (tx, request) = world.request_at(raw);
    world.respond(raw, tx, &request, 423, |builder| builder.header(Header::MinExpires, 60));
    let (tx, request) = world.request_at(raw);
    assert!(request.field(Header::Contact).unwrap().ends_with(b"reg-id=3;expires=60"));
    ok(&mut world, raw, tx, &request, &[]);
    until(&mut world, alice, |event| matches!(event, RegistrationEvent::Registered { .. }));
    world.tell(alice, |core, ep, now| core.unregister(ep, now, id, true)).unwrap();
    let (tx, last) = world.request_at(raw);
    assert_eq!((last.field(Header::Contact), last.field(Header::Expires)), (Some(&b"*"[..]), Some(&b"0"[..])));
    ok(&mut world, raw, tx, &last, &[]);
    world.finish();
}

#[test]
fn who_always_wants_more_ends_it() {
    let mut world = World::new(21);
    let (alice, raw) = (world.phone(1), world.raw(2));
    register(&mut world, alice, |register| register.expires(1));
    let mut rounds = 0;
    let mut least = 1_u32;
    let ended = |world: &World| {
        world.log.iter().any(|happened| {
            let Event::Registration { event: RegistrationEvent::Ended { cause, .. }, .. } = &happened.event else {
                return false;
            };
            *cause == RegistrationEnd::Refused(status(423))
        })
    };
    while !ended(&world) {
        let (tx, request) = world.request_at(raw);
        let contact = String::from_utf8(request.field(Header::Contact).unwrap().to_vec()).unwrap();
        let asked: u32 = contact.rsplit('=').next().unwrap().parse().unwrap();
        assert!(asked >= least, "what was asked for is given");
        least = asked.saturating_add(1);
        world.respond(raw, tx, &request, 423, |builder| builder.header(Header::MinExpires, least));
        world.run_for(Duration::from_millis(100));
        rounds += 1;
        assert!(rounds < 40);
    }
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-10.2
//= type=test
//# UAs MUST NOT send a new registration (that is, containing new Contact
//# header field values, as opposed to a retransmission) until they have
//# received a final response from the registrar for the previous one or the
//# previous REGISTER request has timed out.
#[test]
fn a_removal_waits_for_the_registration_under_way() {
    for (all, code) in [(false, 200), (true, 200), (false, 403)] {
        let mut world = World::new(22);
        let (alice, raw) = (world.phone(1), world.raw(2));
        let id = register(&mut world, alice, |register| register);
        let (tx, first) = world.request_at(raw);
        world.tell(alice, |core, ep, now| core.unregister(ep, now, id, all)).unwrap();
        assert!(world.tell(alice, |core, ep, now| core.unregister(ep, now, id, all)).is_err());
        world.run_for(Duration::from_secs(3));
        let numbers = |world: &World| world.last("REGISTER").cseq().unwrap().number;
        assert_eq!(numbers(&world), first.cseq().unwrap().number, "nothing but the first again");
        if code == 200 {
            ok(&mut world, raw, tx, &first, &[]);
            let (tx, last) = world.request_at(raw);
            let contact = last.field(Header::Contact).unwrap();
            assert!(if all { contact == b"*" } else { contact.ends_with(b"expires=0") });
            ok(&mut world, raw, tx, &last, &[]);
        } else {
            world.respond(raw, tx, &first, code, |builder| builder);
        }
        until(&mut world, alice, |event| {
            matches!(event, RegistrationEvent::Ended { cause: RegistrationEnd::Removed, .. })
        });
        world.finish();
    }
}

/// Who has left is not asked for credentials, and the removal does not wait for them.
#[test]
fn a_removal_does_not_wait_for_credentials_nobody_has() {
    for up in [false, true] {
        let mut world = World::new(24);
        let (alice, raw) = (world.phone(1), world.raw(2));
        let id = register(&mut world, alice, |register| register);
        let (mut tx, mut request) = world.request_at(raw);
        if up {
            ok(&mut world, raw, tx, &request, &[]);
            (tx, request) = world.request_at(raw);
        }
        world.tell(alice, |core, ep, now| core.unregister(ep, now, id, false)).unwrap();
        world.respond(raw, tx, &request, 401, |builder| {
            builder.header(Header::WwwAuthenticate, "Digest realm=\"atlanta\", nonce=\"n\", qop=\"auth\"")
        });
        if up {
            let (tx, last) = world.request_at(raw);
            assert!(last.field(Header::Contact).unwrap().ends_with(b"expires=0"));
            ok(&mut world, raw, tx, &last, &[]);
        }
        settle(&mut world);
        let asked = world.log.iter().any(|happened| matches!(happened.event, Event::Challenged { .. }));
        assert!(!asked, "{}", world.ladder());
        until(&mut world, alice, |event| {
            matches!(event, RegistrationEvent::Ended { cause: RegistrationEnd::Removed, .. })
        });
        world.finish();
    }
}

#[test]
fn all_bindings_are_refreshed_before_the_first_runs_out() {
    let mut world = World::new(23);
    let (alice, raw) = (world.phone(1), world.raw(2));
    let id = register(&mut world, alice, |register| register.also("<sip:desk@192.0.2.1>;q=0.3"));
    let (tx, first) = world.request_at(raw);
    world.respond(raw, tx, &first, 200, |builder| {
        builder
            .header(Header::Contact, "<sip:1@192.0.2.1>;expires=600")
            .header(Header::Contact, "<sip:desk@192.0.2.1>;q=0.3;expires=100, <sip:another@192.0.2.9>;expires=10")
    });
    let (tx, second) = world.request_at(raw);
    assert_eq!(world.now().as_micros() / 1_000_000, 90);
    ok(&mut world, raw, tx, &second, &[]);
    world.tell(alice, |core, ep, now| core.unregister(ep, now, id, false)).unwrap();
    let (tx, last) = world.request_at(raw);
    ok(&mut world, raw, tx, &last, &[]);
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc5626#section-4.5
//= type=test
//# The UA MUST wait for at least the value of the retry delay time before
//# trying another registration to form a new flow for that URI (a 503
//# response to an earlier failed registration attempt with a Retry-After
//# header field value may cause the UA to wait longer).
//= https://www.rfc-editor.org/rfc/rfc3261#section-10.2.7
//= type=test
//# If the transaction layer returns a timeout error because the REGISTER
//# yielded no response, the UAC SHOULD NOT immediately re-attempt a
//# registration to the same registrar.
#[test]
fn failures_back_off_and_recover() {
    let mut world = World::new(3);
    let (alice, raw) = (world.phone(1), world.raw(2));
    let id = register(&mut world, alice, |register| register);
    let mut waits = Vec::new();
    for n in 0..8 {
        let (tx, request) = world.request_at(raw);
        let after = if n == 7 { "2000" } else { "1" };
        world.respond(raw, tx, &request, 503, |builder| builder.header(Header::RetryAfter, after));
        let RegistrationEvent::Failed { retry, .. } =
            until(&mut world, alice, |e| matches!(e, RegistrationEvent::Failed { .. }))
        else {
            unreachable!()
        };
        waits.push(retry.as_secs());
    }
    for (n, wait) in waits[..7].iter().enumerate() {
        let upper = (30u64 << (n + 1)).min(1800);
        assert!((upper / 2..=upper).contains(wait), "{waits:?}");
    }
    assert_eq!(waits[7], 2000, "the server may ask for more");
    let (tx, request) = world.request_at(raw);
    ok(&mut world, raw, tx, &request, &[]);
    until(&mut world, alice, |event| matches!(event, RegistrationEvent::Registered { .. }));
    world.tell(alice, |core, ep, now| core.unregister(ep, now, id, false)).unwrap();
    let (tx, last) = world.request_at(raw);
    ok(&mut world, raw, tx, &last, &[]);
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-21.5.4
//= type=test
//# If no Retry-After is given, the client MUST act as if it had received a
//# 500 (Server Internal Error) response.
#[test]
fn a_503_that_says_nothing_more_is_a_500() {
    let after = |code| {
        let mut world = World::new(23);
        let (alice, raw) = (world.phone(1), world.raw(2));
        let id = register(&mut world, alice, |register| register);
        let (tx, request) = world.request_at(raw);
        world.respond(raw, tx, &request, code, |builder| builder);
        let failed = until(&mut world, alice, |event| matches!(event, RegistrationEvent::Failed { .. }));
        let RegistrationEvent::Failed { retry, .. } = failed else { unreachable!() };
        let (tx, request) = world.request_at(raw);
        let again = world.now();
        ok(&mut world, raw, tx, &request, &[]);
        until(&mut world, alice, |event| matches!(event, RegistrationEvent::Registered { .. }));
        world.tell(alice, |core, ep, now| core.unregister(ep, now, id, false)).unwrap();
        let (tx, last) = world.request_at(raw);
        ok(&mut world, raw, tx, &last, &[]);
        world.finish();
        (retry, again)
    };
    assert_eq!(after(503), after(500));
}

#[test]
fn a_refusal_is_final_and_credentials_are_shown_from_then_on() {
    let mut world = World::new(4);
    let (alice, raw) = (world.phone(1), world.raw(2));
    register(&mut world, alice, |register| register);
    let (tx, request) = world.request_at(raw);
    world.respond(raw, tx, &request, 403, |builder| builder);
    until(
        &mut world,
        alice,
        |event| matches!(event, RegistrationEvent::Ended { cause: RegistrationEnd::Refused(code), .. } if code.code() == 403),
    );
    world.tell(alice, |core, _, _| core.add_credentials(password("atlanta")));
    let id = register(&mut world, alice, |register| register);
    let (tx, request) = world.request_at(raw);
    world.respond(raw, tx, &request, 401, |builder| {
        builder.header(Header::WwwAuthenticate, "Digest realm=\"atlanta\", nonce=\"n\", qop=\"auth\"")
    });
    let (tx, request) = world.request_at(raw);
    ok(&mut world, raw, tx, &request, &[]);
    until(&mut world, alice, |event| matches!(event, RegistrationEvent::Registered { .. }));
    let (tx, request) = world.request_at(raw);
    let shown = String::from_utf8(request.field(Header::Authorization).unwrap().to_vec()).unwrap();
    assert!(shown.contains("nc=00000002"), "{shown}");
    ok(&mut world, raw, tx, &request, &[]);
    world.tell(alice, |core, ep, now| core.unregister(ep, now, id, false)).unwrap();
    let (tx, last) = world.request_at(raw);
    ok(&mut world, raw, tx, &last, &[]);
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc5626#section-4.2.1
//= type=test
//# UAs that support this specification MUST include the outbound option tag
//# in a Supported header field in a REGISTER request.
//= https://www.rfc-editor.org/rfc/rfc5626#section-4.2.1
//= type=test
//# REGISTER requests, other than those described in Section 4.2.3, MUST
//# include an instance-id media feature tag as specified in Section 4.1.
//= https://www.rfc-editor.org/rfc/rfc5626#section-4.2.1
//= type=test
//# A UAC conforming to this specification MUST include in the Contact
//# header field, a "reg-id" parameter that is distinct from other "reg-id"
//# parameters used in other registrations that use the same "+sip.instance"
//# Contact header field parameter and AOR.
//= https://www.rfc-editor.org/rfc/rfc5626#section-4.2.1
//= type=test
//# If the registering UA receives a 439 (First Hop Lacks Outbound Support)
//# response to a REGISTER request, it MAY re-attempt registration without
//# using the outbound mechanism (subject to local policy at the client).
//= https://www.rfc-editor.org/rfc/rfc3608#section-6.1
//= type=test
//# The UA MUST preserve the order, in case there is more than one
//# Service-Route header field or header field value.
//= https://www.rfc-editor.org/rfc/rfc5626#section-4.2.1
//= type=test
//# The UAC MUST support the Path header [RFC3327] mechanism, and indicate
//# its support by including the 'path' option-tag in a Supported header
//# field value in its REGISTER requests.
#[test]
fn outbound_gruu_and_service_route() {
    let mut world = World::new(5);
    let (alice, raw) = (world.phone(1), world.raw(2));
    let urn = "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6";
    let id = register(&mut world, alice, |register| register.instance(urn, Some(1)));
    let (tx, request) = world.request_at(raw);
    let contact = String::from_utf8(request.field(Header::Contact).unwrap().to_vec()).unwrap();
    assert!(contact.contains(&format!("+sip.instance=\"<{urn}>\";reg-id=1")), "{contact}");
    assert!(request.fields(Header::Supported).any(|value| value.windows(8).any(|w| w == b"outbound")));
    assert!(request.fields(Header::Supported).any(|value| value.starts_with(b"path")));
    for wrong in [0, 1 << 31] {
        let register = Register::new(origin(1), "sip:192.0.2.2").instance(urn, Some(wrong));
        assert!(world.tell(alice, |core, ep, now| core.register(ep, now, register)).is_err(), "{wrong}");
    }
    world.respond(raw, tx, &request, 439, |builder| builder);
    until(&mut world, alice, |event| matches!(event, RegistrationEvent::NoOutbound { .. }));
    let (tx, request) = world.request_at(raw);
    assert!(!request.field(Header::Contact).unwrap().windows(6).any(|w| w == b"reg-id"));
    world.respond(raw, tx, &request, 200, |builder| {
        builder
            .header(Header::Contact, "<sip:9@192.0.2.9>;expires=9")
            .header(
                Header::Contact,
                "<sip:1@192.0.2.1>;pub-gruu=\"sip:1@192.0.2.1;gr=urn:uuid:f81d4fae\";temp-gruu=\"sip:tgruu@192.0.2.1;gr\";expires=100",
            )
            .header(Header::ServiceRoute, "<sip:192.0.2.2;lr>, <sip:p2.example;lr>")
    });
    until(
        &mut world,
        alice,
        |event| matches!(event, RegistrationEvent::Registered { expires, .. } if expires.as_secs() == 100),
    );
    let info = world.tell(alice, |core, _, _| core.registration(id)).unwrap();
    assert_eq!(info.public_gruu.as_deref(), Some("sip:1@192.0.2.1;gr=urn:uuid:f81d4fae"));
    assert_eq!(info.temporary_gruu.as_deref(), Some("sip:tgruu@192.0.2.1;gr"));
    assert_eq!(info.service_route, "<sip:192.0.2.2;lr>, <sip:p2.example;lr>");
    // A call of that registration takes the GRUU and the route.
    let call = sip_dialog::Invite::new(origin(1).registration(id), "sip:bob@biloxi.example").body(offer());
    let ours = world.invite(alice, call);
    let (tx, invite) = world.request_at(raw);
    assert_eq!(invite.field(Header::Contact), Some(&b"<sip:1@192.0.2.1;gr=urn:uuid:f81d4fae>"[..]));
    assert_eq!(invite.routes().count(), 2);
    world.respond(raw, tx, &invite, 486, |builder| builder);
    assert_eq!(world.end_of(alice, ours), EndCause::PeerRejected(status(486)));
    world.tell(alice, |core, ep, now| core.unregister(ep, now, id, false)).unwrap();
    loop {
        let (tx, last) = world.request_at(raw);
        if last.method() == Some(sip_message::Method::Register) {
            ok(&mut world, raw, tx, &last, &[]);
            break;
        }
    }
    world.finish();
}

#[test]
fn one_that_never_got_through_can_be_given_up() {
    let mut world = World::new(6);
    let alice = world.phone(1);
    let id = register(&mut world, alice, |register| register);
    until(&mut world, alice, |event| matches!(event, RegistrationEvent::Failed { .. }));
    world.tell(alice, |core, ep, now| core.unregister(ep, now, id, false)).unwrap();
    until(&mut world, alice, |event| matches!(event, RegistrationEvent::Ended { cause: RegistrationEnd::Removed, .. }));
    world.run_for(Duration::from_secs(10));
    world.finish();
}

/// Two flows are two registrations of one instance: while one is up, the other waits longer before it tries again (RFC 5626 section 4.5).
#[test]
fn of_two_flows_each_fails_by_itself() {
    let mut world = World::new(20);
    let (alice, raw) = (world.phone(1), world.raw(2));
    let urn = "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6";
    let push = "<sip:1@192.0.2.1;pn-provider=acme;pn-prid=abc>";
    for reg_id in [1, 2] {
        let register = Register::new(origin(1).contact(push), "sip:192.0.2.2").expires(600).instance(urn, Some(reg_id));
        world.tell(alice, |core, ep, now| core.register(ep, now, register)).unwrap();
    }
    for reg_id in ["1", "2"] {
        let (tx, request) = world.request_at(raw);
        let contact = String::from_utf8(request.field(Header::Contact).unwrap().to_vec()).unwrap();
        assert!(contact.starts_with(push) && contact.contains(&format!(";reg-id={reg_id}")), "{contact}");
        match reg_id {
            "1" => ok(&mut world, raw, tx, &request, &[("Require", "outbound")]),
            _ => world.respond(raw, tx, &request, 503, |builder| builder),
        }
    }
    let failed = until(&mut world, alice, |event| matches!(event, RegistrationEvent::Failed { .. }));
    let RegistrationEvent::Failed { retry, .. } = failed else { unreachable!() };
    assert!((90..=180).contains(&retry.as_secs()), "{retry:?}");
    assert_eq!(world.tell(alice, |core, _, _| core.live_registrations().count()), 2);
    world.tell(alice, |core, ep, now| core.end_all(ep, now));
    let (tx, last) = world.request_at(raw);
    ok(&mut world, raw, tx, &last, &[]);
    world.finish();
}

/// A call from the raw endpoint to a contact of ours, and the Contact of its answer.
fn answered_from(world: &mut World, alice: sim::NodeId, raw: sim::NodeId, to: &str) -> String {
    let invite = Message::request(sip_message::Method::Invite, to)
        .header(Header::From, "<sip:2@192.0.2.2>;tag=b")
        .header(Header::To, format!("<{to}>"))
        .header(Header::CallId, to.replace(';', "-"))
        .cseq(1)
        .header(Header::Contact, "<sip:2@192.0.2.2>")
        .body("application/sdp", offer().bytes)
        .build()
        .unwrap();
    let tx = world.send(raw, invite);
    let call = world.incoming(alice);
    world.accept(alice, call).unwrap();
    let ok = world.final_of(raw, tx);
    String::from_utf8(ok.field(Header::Contact).unwrap().to_vec()).unwrap()
}

//= https://www.rfc-editor.org/rfc/rfc5627#section-4.4
//= type=test
//# When using a GRUU obtained through registrations, a UA MUST have an
//# active registration prior to using a GRUU, and MUST use a GRUU
//# learned through that registration.
//= https://www.rfc-editor.org/rfc/rfc5627#section-4.4
//= type=test
//# It MUST NOT reuse a GRUU learned
//# through a previous registration that has lapsed (in other words, one
//# obtained when registering a contact that has expired).
//= https://www.rfc-editor.org/rfc/rfc5627#section-4.4.1
//= type=test
//# When a UA receives a request, the GRUU placed into the Contact header
//# field of a 2xx response SHOULD be the one associated with the AOR or
//# GRUU to which the request was most recently targeted.
#[test]
fn a_gruu_is_that_of_who_was_called_and_of_a_registration_that_is_up() {
    let mut world = World::new(51);
    let (alice, raw) = (world.phone(1), world.raw(2));
    let mut ids = Vec::new();
    for who in ["work", "home"] {
        let origin =
            sip_dialog::Origin::new(format!("<sip:{who}@192.0.2.2>")).contact(format!("<sip:{who}@192.0.2.1>"));
        let register = Register::new(origin, "sip:192.0.2.2").expires(60).instance("urn:uuid:1", None);
        ids.push(world.tell(alice, |core, ep, now| core.register(ep, now, register)).unwrap());
        let (tx, request) = world.request_at(raw);
        world.respond(raw, tx, &request, 200, |builder| {
            let gruu = format!("<sip:{who}@192.0.2.1>;pub-gruu=\"sip:{who}@192.0.2.2;gr=1\";expires=60");
            builder.header(Header::Contact, gruu)
        });
        until(&mut world, alice, |event| matches!(event, RegistrationEvent::Registered { .. }));
    }
    assert_eq!(answered_from(&mut world, alice, raw, "sip:home@192.0.2.1"), "<sip:home@192.0.2.2;gr=1>");
    assert_eq!(answered_from(&mut world, alice, raw, "sip:work@192.0.2.1"), "<sip:work@192.0.2.2;gr=1>");
    // The registrar falls silent.
    for _ in &ids {
        until(&mut world, alice, |event| matches!(event, RegistrationEvent::Failed { .. }));
    }
    assert_eq!(answered_from(&mut world, alice, raw, "sip:home@192.0.2.1;x"), "<sip:home@192.0.2.1>");
    let info = world.tell(alice, |core, _, _| core.registration(ids[0])).unwrap();
    assert_eq!((info.registered, info.public_gruu), (false, None));
    let invite = sip_dialog::Invite::new(origin(1).registration(ids[1]), "sip:2@192.0.2.2").body(offer());
    world.invite(alice, invite);
    world.run_for(Duration::from_millis(100));
    assert_eq!(world.last("INVITE sip:2@").field(Header::Contact), Some(&b"<sip:home@192.0.2.1>"[..]));
}

//= https://www.rfc-editor.org/rfc/rfc8599#section-4.1.2
//= type=test
//# When the UA sends the REGISTER request for removing the
//# binding, the UA MUST NOT insert the 'pn-prid' SIP URI parameter in
//# the Contact header field URI of the REGISTER request.
#[test]
fn parameters_of_push_stand_in_the_uri_of_a_register_alone() {
    let mut world = World::new(52);
    let (alice, raw) = (world.phone(1), world.raw(2));
    let id = register(&mut world, alice, |register| {
        register.contact_param("q=0.5").contact_param("pn-provider=acme").contact_param("pn-prid=Z1")
    });
    let (tx, request) = world.request_at(raw);
    let contact = request.field(Header::Contact).unwrap();
    assert_eq!(contact, b"<sip:1@192.0.2.1;pn-provider=acme;pn-prid=Z1>;q=0.5;expires=600");
    ok(&mut world, raw, tx, &request, &[]);
    until(&mut world, alice, |event| matches!(event, RegistrationEvent::Registered { .. }));
    let invite = sip_dialog::Invite::new(origin(1).registration(id), "sip:2@192.0.2.2").body(offer());
    let call = world.invite(alice, invite);
    let (tx, invite) = world.request_at(raw);
    assert_eq!(invite.field(Header::Contact), Some(&b"<sip:1@192.0.2.1>"[..]));
    world.respond(raw, tx, &invite, 486, |builder| builder);
    world.end_of(alice, call);
    world.tell(alice, |core, ep, now| core.unregister(ep, now, id, false)).unwrap();
    let (tx, last) = world.request_at(raw);
    assert_eq!(last.field(Header::Contact).unwrap(), b"<sip:1@192.0.2.1;pn-provider=acme>;q=0.5;expires=0");
    ok(&mut world, raw, tx, &last, &[]);
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-20
//= type=test
//# If the URI is not enclosed in angle brackets, any
//# semicolon-delimited parameters are header-parameters, not URI
//# parameters.
#[test]
fn parameters_of_push_stand_in_a_uri_that_had_no_brackets() {
    let mut world = World::new(54);
    let (alice, raw) = (world.phone(1), world.raw(2));
    let origin = sip_dialog::Origin::new("sip:1@192.0.2.2").contact("sip:1@192.0.2.1;+sip.audio");
    let register = Register::new(origin, "sip:192.0.2.2").contact_param("q=0.5").contact_param("pn-provider=acme");
    world.tell(alice, |core, ep, now| core.register(ep, now, register)).unwrap();
    let (_, request) = world.request_at(raw);
    let contact = core::str::from_utf8(request.field(Header::Contact).unwrap()).unwrap();
    assert_eq!(contact, "<sip:1@192.0.2.1;pn-provider=acme>;+sip.audio;q=0.5;expires=3600");
}

#[test]
fn parameters_of_push_stay_out_of_a_display_name() {
    let mut world = World::new(53);
    let (alice, raw) = (world.phone(1), world.raw(2));
    let origin = sip_dialog::Origin::new("<sip:1@192.0.2.2>").contact("\"1 > 2\" <sip:1@192.0.2.1>");
    let register = Register::new(origin, "sip:192.0.2.2").contact_param("pn-provider=acme");
    world.tell(alice, |core, ep, now| core.register(ep, now, register)).unwrap();
    let (_, request) = world.request_at(raw);
    let contact = core::str::from_utf8(request.field(Header::Contact).unwrap()).unwrap();
    assert!(contact.starts_with("\"1 > 2\" <sip:1@192.0.2.1;pn-provider=acme>"), "{contact}");
}
