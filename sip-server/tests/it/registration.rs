//! REGISTER: RFC 3665 section 2 with the digest of RFC 8760, and what RFC 3261 section 10.3 says of each answer.
#![allow(clippy::unwrap_used, clippy::type_complexity, reason = "a test")]

use crate::common::{NodeEvent, Ua, World, credentials, register, with_credentials};
use core::time::Duration;
use sip_message::headers::Challenge;
use sip_message::{Header, Message, StatusCode};
use sip_server::{AuthEvent, Binding, Change, LocationTable, RegistrarEvent, ServerEvent};
use sip_transaction::{Destination, Input, Instant, Transport};

const SERVER: &str = "192.0.2.10";
const BOB: &str = "sip:bob@biloxi.example.com";

fn open(adapt: impl FnOnce(&mut sip_server::ServerConfig)) -> (World, usize, Ua) {
    let mut world = World::new(3);
    let server = world.server(SERVER, "biloxi.example.com", adapt);
    let bob = world.udp("192.0.2.201");
    (world, server, bob)
}

fn secured() -> (World, usize, Ua) {
    let (mut world, server, bob) = open(|config| config.auth.domains = vec!["biloxi.example.com".into()]);
    world.srv(server).auth_mut().add_user_with_password("biloxi.example.com", "bob", "zanzibar");
    (world, server, bob)
}

fn send(world: &mut World, ua: &Ua, request: &Message) -> Message {
    world.send(ua, request.clone(), Destination::next_hop(format!("sip:{SERVER}")));
    world.answer(ua)
}

fn status(message: &Message) -> u16 {
    message.status().unwrap().code()
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-22.2
//= type=test
//# The WWW-Authenticate response-header field MUST be included in 401
//# (Unauthorized) response messages.
//= https://www.rfc-editor.org/rfc/rfc3261#section-22.4
//= type=test
//# However, servers MUST always
//# send a "qop" parameter in WWW-Authenticate and Proxy-Authenticate
//# header field values.
#[test]
fn rfc_3665_section_2_1_a_new_registration() {
    let (mut world, server, bob) = secured();
    // F1, F2: the challenges, the strongest first.
    let f1 = register(BOB, "<sip:bob@192.0.2.201>", "a84b4c76e66710", 1, &[]);
    let f2 = send(&mut world, &bob, &f1);
    assert_eq!(status(&f2), 401);
    let challenges: Vec<_> = f2.www_authenticate().map(Result::unwrap).collect();
    let algorithms: Vec<_> = challenges.iter().map(|c| c.algorithm().unwrap().unwrap().as_str()).collect();
    assert_eq!(algorithms, ["SHA-256", "MD5"]);
    for challenge in &challenges {
        assert!(challenge.qop().unwrap().unwrap().has("auth"));
        assert_eq!(challenge.realm().unwrap().unwrap().without_quotes(), b"biloxi.example.com");
    }
    // F3, F4: with credentials.
    let f3 = with_credentials(&f1, &f2, "bob", "zanzibar");
    let f4 = send(&mut world, &bob, &f3);
    assert_eq!(status(&f4), 200);
    let contact = f4.contacts().next().unwrap().unwrap();
    assert_eq!(contact.address().unwrap().uri_bytes(), b"sip:bob@192.0.2.201");
    assert_eq!(contact.expires(), Ok(Some(3600)));
    // 2.2: an update, 2.3: the bindings, 2.4: the removal of all. One nonce serves them all, each count once.
    let mut count = 2;
    let mut again = |world: &mut World, mut request: Message| {
        let challenge = f2.values::<Challenge<'_>>(Header::WwwAuthenticate).next().unwrap().unwrap();
        let value = credentials(&request, &challenge, "bob", "zanzibar", count);
        count += 1;
        request.push(Header::Authorization, value).unwrap();
        send(world, &bob, &request)
    };
    let mail = register(BOB, "<mailto:bob@biloxi.example.com>", "a84b4c76e66710", 3, &[]);
    let both = again(&mut world, mail);
    assert_eq!((status(&both), both.contacts().count()), (200, 2));
    let list = again(&mut world, register(BOB, "", "a84b4c76e66710", 4, &[]));
    assert_eq!((status(&list), list.contacts().count()), (200, 2));
    let none = again(&mut world, register(BOB, "*", "a84b4c76e66710", 5, &[("Expires", "0")]));
    assert_eq!((status(&none), none.contacts().count()), (200, 0));
    assert!(world.srv(server).registrar().table().unwrap().is_empty());
    world.assert_idle();
}

#[test]
fn rfc_3665_section_2_5_wrong_credentials() {
    let (mut world, server, bob) = secured();
    let f1 = register(BOB, "<sip:bob@192.0.2.201>", "wrong", 1, &[]);
    let f2 = send(&mut world, &bob, &f1);
    // A wrong password and an unknown user are answered alike: a new challenge, not stale.
    let mut answers = Vec::new();
    for (user, password) in [("bob", "wrong"), ("nobody", "zanzibar")] {
        let answer = send(&mut world, &bob, &with_credentials(&f1, &f2, user, password));
        assert_eq!(status(&answer), 401);
        let shape: Vec<_> = answer.headers().map(|field| field.name_as_written().to_owned()).collect();
        let stale: Vec<_> = answer.www_authenticate().map(|c| c.unwrap().stale().unwrap()).collect();
        answers.push((shape, stale));
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0].1, [false, false]);
    let mut causes = Vec::new();
    for _ in 0..2 {
        causes.push(world.expect(server, "a failure", |event| match event {
            NodeEvent::Server(ServerEvent::Auth(AuthEvent::Failed { user, cause, .. })) => {
                Some((user.clone(), format!("{cause:?}")))
            }
            _ => None,
        }));
    }
    assert_eq!(causes[0], ("bob".into(), "WrongPassword".into()));
    assert_eq!(causes[1], ("nobody".into(), "UnknownUser".into()));
    assert!(world.srv(server).registrar().table().unwrap().is_empty());
    world.assert_idle();
}

#[test]
fn a_replay_is_stale_and_an_old_nonce_is_too() {
    let (mut world, _, bob) = secured();
    let f1 = register(BOB, "<sip:bob@192.0.2.201>", "replay", 1, &[]);
    let f2 = send(&mut world, &bob, &f1);
    let good = with_credentials(&f1, &f2, "bob", "zanzibar");
    assert_eq!(status(&send(&mut world, &bob, &good)), 200);
    let replayed = send(&mut world, &bob, &good);
    assert_eq!(status(&replayed), 401);
    assert!(replayed.www_authenticate().all(|challenge| challenge.unwrap().stale().unwrap()));
    world.run(Duration::from_secs(301));
    let old = send(&mut world, &bob, &with_credentials(&f1, &f2, "bob", "zanzibar"));
    assert!(old.www_authenticate().all(|challenge| challenge.unwrap().stale().unwrap()));
    world.assert_idle();
}

#[test]
fn an_aging_nonce_is_replaced_in_the_answer() {
    let (mut world, _, bob) = secured();
    let f1 = register(BOB, "<sip:bob@192.0.2.201>", "next", 1, &[]);
    let f2 = send(&mut world, &bob, &f1);
    world.run(Duration::from_secs(200));
    let answer = send(&mut world, &bob, &with_credentials(&f1, &f2, "bob", "zanzibar"));
    assert_eq!(status(&answer), 200);
    let info = answer.authentication_info().unwrap().unwrap();
    let next = info.nextnonce().unwrap().unwrap().unquoted().into_owned();
    // It is as good as one from a challenge.
    let challenge = format!("Digest realm=\"biloxi.example.com\", nonce=\"{}\"", String::from_utf8(next).unwrap());
    let challenge =
        Message::response(&f1, StatusCode::UNAUTHORIZED).to_tag("x").header(Header::WwwAuthenticate, challenge).build();
    // The endpoint would add Via; the request has none here, so the response is only a carrier.
    let challenge = challenge.unwrap();
    let request = register(BOB, "<sip:bob@192.0.2.201>", "next", 7, &[]);
    let answer = send(&mut world, &bob, &with_credentials(&request, &challenge, "bob", "zanzibar"));
    assert_eq!(status(&answer), 200);
    world.assert_idle();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
//= type=test
//# If
//# the authenticated user is not authorized to modify bindings,
//# the registrar MUST return a 403 (Forbidden) and skip the
//# remaining steps.
//= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
//= type=test
//# A registrar SHOULD authenticate the UAC.
//= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
//= type=test
//# The registrar SHOULD determine if the authenticated user is authorized to modify
//# registrations for this address-of-record.
//= https://www.rfc-editor.org/rfc/rfc3261#section-22
//= type=test
//# Once the originator has been identified, the recipient of the request SHOULD
//# ascertain whether or not this user is authorized to make the request in question.
#[test]
fn nobody_registers_as_somebody_else_unless_granted() {
    let (mut world, server, bob) = secured();
    let alice = "sip:alice@biloxi.example.com";
    let f1 = register(alice, "<sip:bob@192.0.2.201>", "other", 1, &[]);
    let f2 = send(&mut world, &bob, &f1);
    assert_eq!(status(&send(&mut world, &bob, &with_credentials(&f1, &f2, "bob", "zanzibar"))), 403);
    world.srv(server).auth_mut().grant("biloxi.example.com", "bob", alice);
    let f1 = register(alice, "<sip:bob@192.0.2.201>", "other", 3, &[]);
    let f2 = send(&mut world, &bob, &f1);
    assert_eq!(status(&send(&mut world, &bob, &with_credentials(&f1, &f2, "bob", "zanzibar"))), 200);
    world.assert_idle();
}

#[test]
fn too_many_failures_of_one_source_are_refused_unread() {
    let (mut world, server, bob) = open(|config| {
        config.auth.domains = vec!["biloxi.example.com".into()];
        config.auth.failures = 3;
    });
    world.srv(server).auth_mut().add_user_with_password("biloxi.example.com", "bob", "zanzibar");
    let f1 = register(BOB, "<sip:bob@192.0.2.201>", "budget", 1, &[]);
    let f2 = send(&mut world, &bob, &f1);
    for _ in 0..3 {
        assert_eq!(status(&send(&mut world, &bob, &with_credentials(&f1, &f2, "bob", "guess"))), 401);
    }
    assert_eq!(status(&send(&mut world, &bob, &with_credentials(&f1, &f2, "bob", "zanzibar"))), 403);
    world.run(Duration::from_secs(15));
    assert_eq!(status(&send(&mut world, &bob, &with_credentials(&f1, &f2, "bob", "zanzibar"))), 200);
    world.assert_idle();
}

#[test]
fn who_is_known_from_the_handshake_is_not_asked_again() {
    let (mut world, server, _) = secured();
    let browser = world.connected("192.0.2.77", Transport::Wss, SERVER);
    let contact = "<sip:x@df7jal23ls0d.invalid;transport=ws>";
    let f1 = register(BOB, contact, "web", 1, &[]);
    assert_eq!(status(&send(&mut world, &browser, &f1)), 401, "nobody knows it yet");
    // The host has seen a cookie with the WebSocket upgrade, and trusts the connection from now on.
    let flow = {
        let paths = world.srv(server).endpoint().flows();
        assert!(paths > 0);
        (1..=64).find_map(|n| {
            let flow = sip_transaction::FlowId::from_bits(1 << 32 | n)?;
            let path = world.srv(server).endpoint().flow_path(flow)?;
            (path.transport == Transport::Wss).then_some(flow)
        })
    };
    world.srv(server).auth_mut().trust_flow(flow.unwrap(), "biloxi.example.com", "bob");
    assert_eq!(status(&send(&mut world, &browser, &register(BOB, contact, "web", 2, &[]))), 200);
    let other = register("sip:carol@biloxi.example.com", contact, "web", 3, &[]);
    assert_eq!(status(&send(&mut world, &browser, &other)), 403, "but only for itself");
    world.assert_idle();
}

#[test]
fn secrets_can_be_asked_for() {
    let (mut world, server, bob) = open(|config| {
        config.auth.domains = vec!["biloxi.example.com".into()];
        config.auth.ask = true;
    });
    let f1 = register(BOB, "<sip:bob@192.0.2.201>", "ask", 1, &[]);
    let f2 = send(&mut world, &bob, &f1);
    for (user, known, expected) in [("bob", true, 200), ("nobody", false, 401)] {
        let request = with_credentials(&f1, &f2, user, "zanzibar");
        world.send(&bob, request, Destination::next_hop(format!("sip:{SERVER}")));
        let (id, user, realm, algorithm) = world.expect(server, "a question", |event| match event {
            NodeEvent::Server(ServerEvent::Auth(AuthEvent::Credentials { id, user, realm, algorithm })) => {
                Some((*id, user.clone(), realm.clone(), *algorithm))
            }
            _ => None,
        });
        let secret = sip_message::digest::DigestSecret::new(algorithm, user.as_bytes(), realm.as_bytes(), b"zanzibar");
        let now = world.now();
        world.srv(server).answer_credentials(now, id, known.then_some(secret));
        assert_eq!(status(&world.answer(&bob)), expected);
        // A stale id is nobody's.
        world.srv(server).answer_credentials(now, id, Some(secret));
    }
    world.assert_idle();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
//= type=test
//# This response MUST contain a Min-Expires header field
//# that states the minimum expiration interval the registrar is
//# willing to honor.
//= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
//= type=test
//# -  If the field value has an "expires" parameter, that value
//# MUST be taken as the requested expiration.
//= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
//= type=test
//# -  If there is no such parameter, but the request has an
//# Expires header field, that value MUST be taken as the
//# requested expiration.
//= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
//= type=test
//# -  If there is neither, a locally-configured default value MUST
//# be taken as the requested expiration.
#[test]
fn how_long_a_binding_lasts() {
    let (mut world, server, bob) = open(|_| {});
    let cases: [(&str, &[(&str, &str)], Result<u32, u16>); 7] = [
        ("<sip:bob@192.0.2.201>", &[], Ok(3600)),
        ("<sip:bob@192.0.2.201>", &[("Expires", "600")], Ok(600)),
        ("<sip:bob@192.0.2.201>;expires=120", &[("Expires", "600")], Ok(120)),
        ("<sip:bob@192.0.2.201>;expires=4294967295", &[], Ok(7200)),
        ("<sip:bob@192.0.2.201>;expires=59", &[], Err(423)),
        ("<sip:bob@192.0.2.201>;expires=60", &[], Ok(60)),
        ("<sip:bob@192.0.2.201>;expires=99999999999999", &[], Ok(7200)),
    ];
    for (contact, fields, expected) in cases {
        let answer = world.register(&bob, SERVER, BOB, contact, fields);
        match expected {
            Ok(seconds) => {
                let contact = answer.contacts().next().unwrap().unwrap();
                assert_eq!(contact.expires(), Ok(Some(seconds)), "{contact:?} {fields:?}");
            }
            Err(code) => {
                assert_eq!(status(&answer), code);
                assert_eq!(answer.min_expires(), Ok(Some(60)));
            }
        }
    }
    let all = world.register(&bob, SERVER, BOB, "<sip:bob@192.0.2.201>;expires=0", &[]);
    assert_eq!((status(&all), all.contacts().count()), (200, 0));
    assert!(world.srv(server).registrar().table().unwrap().is_empty());
    world.assert_idle();
}

#[test]
fn a_binding_that_is_not_refreshed_ends() {
    let (mut world, server, bob) = open(|_| {});
    world.register(&bob, SERVER, BOB, "<sip:bob@192.0.2.201>;expires=60", &[]);
    world.run(Duration::from_secs(61));
    assert!(world.srv(server).registrar().table().unwrap().is_empty());
    for expected in [Change::Registered, Change::Expired] {
        let change = world.expect(server, "a change", |event| match event {
            NodeEvent::Server(ServerEvent::Registrar(RegistrarEvent::Changed { aor, change, .. })) => {
                assert_eq!(aor, BOB);
                Some(*change)
            }
            _ => None,
        });
        assert_eq!(change, expected);
    }
    world.assert_idle();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
//= type=test
//# 2. To guarantee that the registrar supports any necessary
//# extensions, the registrar MUST process the Require header field
//# values as described for UASs in Section 8.2.2.
//= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
//= type=test
//# If the address-of-record is not valid
//# for the domain in the Request-URI, the registrar MUST send a
//# 404 (Not Found) response and skip the remaining steps.
//= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
//= type=test
//# If the request has additional Contact
//# fields or an expiration time other than zero, the request is
//# invalid, and the server MUST return a 400 (Invalid Request) and
//# skip the remaining steps.
//= https://www.rfc-editor.org/rfc/rfc5627#section-5.1
//= type=test
//# If the contact URI is equivalent (based on URI equivalence in RFC
//# 3261 [1]) to the AOR, the registrar MUST reject the request with a
//# 403, since this would cause a routing loop.  If the contact URI is a
//# GRUU for the AOR in the To header field of the REGISTER request, the
//# registrar MUST reject the request with a 403, for the same reason.
//= https://www.rfc-editor.org/rfc/rfc5627#section-5.1
//= type=test
//# If the contact is not a SIP URI, the REGISTER request MUST be
//# rejected with a 403.
//= https://www.rfc-editor.org/rfc/rfc5630#section-5.2
//= type=test
//# A registrar MUST accept a binding to a SIPS Contact header field only
//# if all the appropriate URIs are of the SIPS scheme; otherwise, there
//# could be an inadvertent binding of a secure resource (SIPS) to an
//# unsecured one (SIP).
//= https://www.rfc-editor.org/rfc/rfc5630#section-5.2
//= type=test
//# If the URIs are not of the proper SIPS scheme, the
//# registrar MUST reject the REGISTER with a 400 (Bad Request).
//= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
//= type=test
//# A registrar MUST not generate 6xx responses.
//= https://www.rfc-editor.org/rfc/rfc5626#section-6
//= type=test
//# Therefore, if the Contact header field contains more than one header field value
//# with a non-zero expiration and any of these header field values contain a "reg-id"
//# Contact header field parameter, the entire registration SHOULD be rejected with a
//# 400 (Bad Request) response.
#[test]
fn what_is_refused() {
    let (mut world, server, bob) = open(|_| {});
    let cases: [(&str, &str, &[(&str, &str)], u16); 11] = [
        (BOB, "<sip:bob@192.0.2.201>", &[("Require", "path, telepathy")], 420),
        ("sip:bob@elsewhere.example.org", "<sip:bob@192.0.2.201>", &[], 404),
        (BOB, "*", &[], 400),
        (BOB, "*", &[("Expires", "10")], 400),
        (BOB, "*", &[("Expires", "0"), ("Contact", "<sip:x@y>")], 400),
        (BOB, "<sip:bob@biloxi.example.com>", &[], 403),
        (BOB, "<sip:bob@biloxi.example.com;gr=urn:uuid:1>", &[], 403),
        (BOB, "<mailto:bob@x.org>;+sip.instance=\"<urn:uuid:1>\"", &[], 403),
        (BOB, "<sips:bob@192.0.2.201>", &[], 400),
        (BOB, "<sip:bob@192.0.2.201>", &[("Path", "<sip:p1.example.com;lr>")], 420),
        (BOB, "<sip:bob@192.0.2.201>;+sip.instance=\"<urn:uuid:1>\";reg-id=1, <sip:b@192.0.2.3>", &[], 400),
    ];
    for (aor, contact, fields, expected) in cases {
        let (call_id, cseq) = (world.fresh("bad"), world.counter);
        let mut request = register(aor, contact, &call_id, cseq, fields);
        request.set_request_uri("sip:biloxi.example.com").unwrap();
        let answer = send(&mut world, &bob, &request);
        assert_eq!(status(&answer), expected, "{aor} {contact} {fields:?}");
        if expected == 420 {
            assert!(answer.has(Header::Unsupported));
        }
        assert!(world.srv(server).registrar().table().unwrap().is_empty());
    }
    world.assert_idle();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
//= type=test
//# Registrars MUST ignore the Record-Route header field if it is
//# included in a REGISTER request.  Registrars MUST NOT include a
//# Record-Route header field in any response to a REGISTER request.
//= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
//= type=test
//# The response MUST
//# contain Contact header field values enumerating all current
//# bindings.  Each Contact value MUST feature an "expires"
//# parameter indicating its expiration interval chosen by the
//# registrar.
//= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
//= type=test
//# The response SHOULD include a Date header field.
#[test]
fn what_the_answer_says() {
    let (mut world, _, bob) = open(|config| {
        config.registrar.unix_epoch = Some(1_289_690_940);
        config.registrar.service_route = vec!["<sip:orig@192.0.2.10;lr>".into(), "<sip:b@192.0.2.11;lr>".into()];
    });
    world.register(&bob, SERVER, BOB, "<sip:bob@192.0.2.201>;q=0.5;methods=\"INVITE, BYE\"", &[]);
    let fields = [("Record-Route", "<sip:p.example.com;lr>"), ("Supported", "path")];
    let path = ("Path", "<sip:p1.example.com;lr>,  <sip:p2.example.com;lr>");
    let answer = world.register(&bob, SERVER, BOB, "<sip:bob@192.0.2.202>;expires=90", &[fields[0], fields[1], path]);
    assert_eq!(status(&answer), 200);
    assert!(!answer.has(Header::RecordRoute));
    assert_eq!(answer.field(Header::Path), Some(path.1.as_bytes()), "as it came");
    assert_eq!(answer.service_route().count(), 2);
    assert_eq!(answer.field(Header::Date).map(|date| &date[..16]), Some(&b"Sat, 13 Nov 2010"[..]));
    let contacts: Vec<_> = answer.fields(Header::Contact).map(|v| String::from_utf8(v.to_vec()).unwrap()).collect();
    assert_eq!(contacts.len(), 2);
    assert!(contacts[0].starts_with("<sip:bob@192.0.2.201>;methods=\"INVITE, BYE\";q=0.500;expires="), "{contacts:?}");
    assert_eq!(contacts[1], "<sip:bob@192.0.2.202>;expires=90");
    world.assert_idle();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-10.3
//= type=test
//# If any one of them fails (for
//# example, because the back-end database commit failed), the
//# request MUST fail with a 500 (Server Error) response and all
//# tentative binding updates MUST be removed.
#[test]
fn an_external_store_answers_later() {
    let (mut world, server, bob) = open(|config| config.external_store = true);
    let mut store = LocationTable::new([4; 32]);
    let mut fail = false;
    for (n, (contact, expected)) in
        [("<sip:bob@192.0.2.201>", 200), ("<sip:bob@192.0.2.202>", 200), ("<sip:bob@192.0.2.203>", 500)]
            .iter()
            .enumerate()
    {
        fail |= n == 2;
        let (call_id, cseq) = (world.fresh("store"), world.counter);
        let request = register(BOB, contact, &call_id, cseq, &[]);
        world.send(&bob, request, Destination::next_hop(format!("sip:{SERVER}")));
        let mut meddled = n != 1;
        loop {
            let event = world.expect(server, "a question", |event| match event {
                NodeEvent::Server(ServerEvent::Registrar(event)) => Some(event.clone()),
                _ => None,
            });
            let now = world.now();
            use sip_server::Store;
            match event {
                RegistrarEvent::Lookup { id, aor } => {
                    let record = store.lookup(&aor, now);
                    world.srv(server).found(now, id, record);
                }
                RegistrarEvent::Store { id, .. } if fail => {
                    world.srv(server).stored(now, id, Err(sip_server::StoreError::Failed));
                    break;
                }
                RegistrarEvent::Store { id, aor, expected, bindings } => {
                    if !meddled {
                        // Somebody else writes in between: the change is thought out anew.
                        meddled = true;
                        let record = store.lookup(&aor, now);
                        store.store(&aor, record.version, record.bindings, now).unwrap();
                    }
                    let result = store.store(&aor, expected, bindings, now);
                    let done = result.is_ok();
                    world.srv(server).stored(now, id, result);
                    if done {
                        break;
                    }
                }
                _ => {}
            }
        }
        assert_eq!(status(&world.answer(&bob)), *expected);
        assert_eq!(store.len(), (n + 1).min(2));
    }
    world.run(Duration::from_secs(40));
    world.expect(server, "a sweep", |event| match event {
        NodeEvent::Server(ServerEvent::Registrar(RegistrarEvent::Expire { .. })) => Some(()),
        _ => None,
    });
    assert_eq!(world.srv(server).registrar().waiting(), 0);
}

fn changed(event: &NodeEvent) -> Option<(Change, Binding)> {
    match event {
        NodeEvent::Server(ServerEvent::Registrar(RegistrarEvent::Changed { binding, change, .. })) => {
            Some((*change, binding.clone()))
        }
        _ => None,
    }
}

#[test]
fn refreshes_are_told_if_that_is_asked_for() {
    for told in [false, true] {
        let (mut world, server, bob) = open(|config| config.registrar.report_refreshes = told);
        let changes = |world: &mut World, call_id: &str, cseq: u32, expires: &str| {
            let request = register(BOB, "<sip:bob@192.0.2.201>", call_id, cseq, &[("Expires", expires)]);
            assert_eq!(status(&send(world, &bob, &request)), 200);
            let mut changes = Vec::new();
            while world.has(server, |event| changed(event).map(|_| ())) {
                changes.push(world.expect(server, "a change", changed));
            }
            changes
        };
        let seconds = |(change, binding): &(Change, Binding)| {
            (*change, binding.cseq(), binding.expires_in(binding.registered()).as_secs())
        };
        let first = changes(&mut world, "call", 1, "3600");
        assert_eq!(first.iter().map(seconds).collect::<Vec<_>>(), [(Change::Registered, 1, 3600)]);
        // With nothing new in it, with another time, and of a client that has been started anew.
        for (call_id, cseq, expires) in [("call", 2, "3600"), ("call", 3, "600"), ("other", 1, "1800")] {
            world.run(Duration::from_secs(1));
            let refreshed = changes(&mut world, call_id, cseq, expires);
            let expected = [(Change::Refreshed, cseq, expires.parse().unwrap())];
            assert_eq!(refreshed.iter().map(seconds).collect::<Vec<_>>(), if told { &expected[..] } else { &[] });
        }
        let table = world.srv(server).registrar().table().unwrap();
        let binding = table.bindings(BOB, Instant::ZERO).next().unwrap();
        assert_eq!((binding.call_id(), binding.cseq()), ("other", 1));
        world.run(Duration::from_secs(1801));
        assert!(world.srv(server).registrar().table().unwrap().is_empty(), "it ends when the last of them says");
    }
}

// RFC 3261 section 10.2: a contact is where requests are to go, whoever registers it. Only a client behind a NAT is not where it says.
#[test]
fn where_a_contact_is_called() {
    let cases = [
        // As it says.
        ("192.0.2.201:5060;rport", "192.0.2.201:5060", "sip:bob@192.0.2.201", "192.0.2.201:5060"),
        // Behind a NAT, with and without RFC 3581; the latter cannot be reached otherwise either.
        ("10.0.0.1:5060;rport", "192.0.2.201:40000", "sip:bob@10.0.0.1", "192.0.2.201:40000"),
        ("10.0.0.1:5060", "192.0.2.201:40000", "sip:bob@10.0.0.1", "192.0.2.201:40000"),
        // The port alone is another: of a client that listens where it sends from, or of one that does not.
        ("192.0.2.201:5060;rport", "192.0.2.201:40000", "sip:bob@192.0.2.201", "192.0.2.201:40000"),
        ("192.0.2.201:5060", "192.0.2.201:40000", "sip:bob@192.0.2.201", "192.0.2.201:5060"),
        // Of somebody else, at the same address or at another one.
        ("192.0.2.201:40000;rport", "192.0.2.201:40000", "sip:bob@192.0.2.201:5080", "192.0.2.201:5080"),
        ("192.0.2.201:5060;rport", "192.0.2.201:5060", "sip:bob@192.0.2.202", "192.0.2.202:5060"),
    ];
    for (sent_by, remote, contact, called) in cases {
        let mut config = sip_server::ServerConfig::for_domain("biloxi.example.com");
        config.auth.domains.clear();
        let mut server = sip_server::Server::new(config, [3; 32]);
        let flow = server.endpoint_mut().bind(Transport::Udp, "192.0.2.10:5060".parse().unwrap()).unwrap();
        for (method, uri, contact) in [
            ("REGISTER", "sip:biloxi.example.com", format!("Contact: <{contact}>\r\n")),
            ("MESSAGE", "sip:bob@biloxi.example.com", String::new()),
        ] {
            let text = format!(
                "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {sent_by};branch=z9hG4bK{method}\r\nMax-Forwards: 70\r\n\
                 From: <{BOB}>;tag=1\r\nTo: <{BOB}>\r\nCall-ID: c\r\nCSeq: 1 {method}\r\n{contact}Content-Length: 0\r\n\r\n"
            );
            let input = Input::Datagram { flow, remote: remote.parse().unwrap(), bytes: text.as_bytes() };
            server.handle_input(Instant::ZERO, input).unwrap();
        }
        let sent: Vec<_> = std::iter::from_fn(|| server.poll_transmit()).collect();
        assert!(sent[0].bytes.starts_with(b"SIP/2.0 200"), "{sent_by} {contact}");
        assert!(sent[1].bytes.starts_with(b"MESSAGE sip:bob@"), "{sent_by} {contact}");
        assert_eq!(sent[1].remote, called.parse().unwrap(), "{sent_by} {remote} {contact}");
    }
}
