//! Digest as a proxy does it, and what of the algorithms and protections there are is taken: RFC 3261 section 22, RFC 8760.
#![allow(clippy::unwrap_used, reason = "a test")]

use crate::common::{
    SERVER, Ua, World, alice_and_bob, credentials, new_request, of_caller, to_server, with_credentials,
};
use sip_message::digest::{DigestAlgorithm, DigestInput, DigestSecret, Qop, userhash};
use sip_message::headers::Challenge;
use sip_message::{Header, Message, Method};
use sip_transaction::Destination;

const ALICE: &str = "sip:alice@example.com";

fn scene(adapt: impl FnOnce(&mut sip_server::ServerConfig)) -> (World, usize, Ua, Ua) {
    let (mut world, server, alice, bob) = alice_and_bob(21, |config| {
        config.auth.domains = vec!["example.com".into()];
        config.auth.registrations = false;
        adapt(config);
    });
    world.srv(server).auth_mut().add_user_with_password("example.com", "alice", "secret");
    (world, server, alice, bob)
}

fn status(message: &Message) -> u16 {
    message.status().unwrap().code()
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-16.3
//= type=test
//# If an element requires credentials before forwarding a request, the request MUST be
//# inspected as described in Section 22.3.
//= https://www.rfc-editor.org/rfc/rfc3261#section-22.1
//= type=test
//# Additionally, registrars and redirect servers MAY make use of 401 (Unauthorized)
//# responses for authentication, but proxies MUST NOT, and instead MAY use the 407
//# (Proxy Authentication Required)
//= https://www.rfc-editor.org/rfc/rfc3261#section-22.3
//= type=test
//# The proxy MUST populate the 407 (Proxy Authentication Required) message with a
//# Proxy-Authenticate header field value applicable to the proxy for the requested
//# resource.
//= https://www.rfc-editor.org/rfc/rfc3261#section-22.3
//= type=test
//# Proxies MUST NOT add values to the Proxy-Authorization header field.
//= https://www.rfc-editor.org/rfc/rfc7616#section-3.8
//= type=test
//# Upon
//# receiving a request that requires authentication, the proxy/server
//# MUST issue the "407 Proxy Authentication Required" response with a
//# "Proxy-Authenticate" header field.
#[test]
fn a_caller_of_the_domain_is_challenged_with_407() {
    let (mut world, server, alice, bob) = scene(|_| {});
    let first = new_request(Method::Message, ALICE, "sip:bob@example.com", "a", "", &[]);
    world.send(&alice, first.clone(), to_server());
    let challenge = world.response(&alice, 407);
    assert!(challenge.has(Header::ProxyAuthenticate) && !challenge.has(Header::WwwAuthenticate));
    world.send(&alice, with_credentials(&first, &challenge, "alice", "secret"), to_server());
    let (tx, received) = world.request(&bob, Method::Message);
    assert_eq!(received.proxy_authorization().count(), 1, "none is added");
    world.reply(&bob, tx, &received, 200, "b");
    world.response(&alice, 200);
    // Only those who have proven who they are may go elsewhere by way of this server, and only as themselves.
    let mut far = new_request(Method::Message, ALICE, "sip:bob@192.0.2.2", "far", "", &[]);
    world.send(&alice, far.clone(), to_server());
    let challenge = world.response(&alice, 407);
    far = with_credentials(&far, &challenge, "alice", "secret");
    world.send(&alice, far, to_server());
    let (tx, received) = world.request(&bob, Method::Message);
    world.reply(&bob, tx, &received, 200, "b");
    world.response(&alice, 200);
    let stranger = new_request(Method::Message, "sip:m@far.example.org", "sip:bob@192.0.2.2", "relay", "", &[]);
    world.send(&alice, stranger, to_server());
    world.response(&alice, 403);
    let other = new_request(Method::Message, "sip:bob@example.com", "sip:bob@example.com", "as", "", &[]);
    world.send(&alice, other.clone(), to_server());
    let challenge = world.response(&alice, 407);
    world.send(&alice, with_credentials(&other, &challenge, "alice", "secret"), to_server());
    world.response(&alice, 403);
    assert_eq!(world.srv(server).auth().load().0, 0);
    world.assert_idle();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-22.1
//= type=test
//# For this reason, any credentials in the INVITE that were accepted by a server MUST
//# be accepted by that server for the ACK.
//= https://www.rfc-editor.org/rfc/rfc3261#section-22.1
//= type=test
//# Servers MUST NOT attempt to challenge an ACK.
//= https://www.rfc-editor.org/rfc/rfc3261#section-22.1
//= type=test
//# Although the CANCEL method does take a response (a 2xx), servers MUST NOT attempt to
//# challenge CANCEL requests since these requests cannot be resubmitted.
#[test]
fn ack_and_cancel_are_never_challenged() {
    let (mut world, _, alice, bob) = scene(|config| config.auth.in_dialog = true);
    let invite = new_request(Method::Invite, ALICE, "sip:bob@example.com", "i", "<sip:alice@192.0.2.1>", &[]);
    world.send(&alice, invite.clone(), to_server());
    let challenge = world.response(&alice, 407);
    let again = with_credentials(&invite, &challenge, "alice", "secret");
    let tx = world.send(&alice, again, to_server());
    let (server_tx, received) = world.request(&bob, Method::Invite);
    world.reply(&bob, server_tx, &received, 180, "b");
    world.response(&alice, 180);
    let now = world.now();
    world.ua(alice.node).cancel(now, tx, None).unwrap();
    assert_eq!(world.cancelled(&bob), server_tx);
    // Too late: the callee has accepted. The ACK passes, the BYE is challenged.
    world.accept(&bob, server_tx, &received, "b", "<sip:bob@192.0.2.2>");
    let ok = world.response(&alice, 200);
    world.send_ack(&alice, of_caller(&ok, Method::Ack));
    world.ack(&bob);
    world.send(&alice, of_caller(&ok, Method::Bye), Destination::route());
    world.response(&alice, 407);
    world.assert_idle();
}

/// Credentials with the parts given, for the first challenge of `response`.
fn made(request: &Message, response: &Message, algorithm: DigestAlgorithm, qop: Option<Qop>, nc: &str) -> String {
    let challenges: Vec<_> = response.values::<Challenge<'_>>(Header::ProxyAuthenticate).map(Result::unwrap).collect();
    let challenge = challenges.iter().find(|challenge| challenge.algorithm().unwrap().unwrap() == algorithm.as_str());
    let challenge = challenge.unwrap_or(&challenges[0]);
    let nonce = String::from_utf8(challenge.nonce().unwrap().unwrap().without_quotes().to_vec()).unwrap();
    let secret = DigestSecret::new(algorithm, b"alice", b"example.com", b"secret");
    let uri = String::from_utf8(request.request_uri_bytes().unwrap().to_vec()).unwrap();
    let input = DigestInput {
        method: request.method().unwrap().as_str().as_bytes(),
        uri: uri.as_bytes(),
        nonce: nonce.as_bytes(),
        qop,
        nc: nc.as_bytes(),
        cnonce: b"c",
        body: request.body(),
    };
    let protection = match qop {
        Some(qop) => format!(", qop={qop}, nc={nc}, cnonce=\"c\""),
        None if algorithm.is_session() => ", cnonce=\"c\"".to_owned(),
        None => String::new(),
    };
    format!(
        "Digest username=\"alice\", realm=\"example.com\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{}\", \
         algorithm={algorithm}{protection}",
        secret.response(&input)
    )
}

fn ask(world: &mut World, alice: &Ua, body: &'static [u8]) -> (Message, Message) {
    let call = world.fresh("ask");
    let mut request = new_request(Method::Message, ALICE, "sip:nobody@example.com", &call, "", &[]);
    request.set_body("text/plain", body).unwrap();
    world.send(alice, request.clone(), to_server());
    let challenge = world.response(alice, 407);
    request.set(Header::CSeq, "2 MESSAGE").unwrap();
    (request, challenge)
}

fn attempt(world: &mut World, alice: &Ua, request: &Message, credentials: &[String]) -> u16 {
    let mut request = request.clone();
    for value in credentials {
        request.push(Header::ProxyAuthorization, value).unwrap();
    }
    world.send(alice, request, to_server());
    status(&world.answer(alice))
}

//= https://www.rfc-editor.org/rfc/rfc8760#section-2.3
//= type=test
//# If the UAS challenges the originator using multiple WWW-Authenticate/
//# Proxy-Authenticate header fields with the same realm, then each of these header fields
//# MUST use a different digest algorithm.
//= https://www.rfc-editor.org/rfc/rfc8760#section-2.3
//= type=test
//# The UAS MUST add these header fields to the response in the order in which it would
//# prefer to see them used, starting with the most preferred algorithm at the top.
//= https://www.rfc-editor.org/rfc/rfc8760#section-2.6
//= type=test
//# A UAS MUST always send a "qop" parameter in WWW-Authenticate and Proxy-Authenticate
//# header field values, and a UAC MUST send the "qop" parameter in any resulting
//# authorization header field.
//= https://www.rfc-editor.org/rfc/rfc8760#section-2.6
//= type=test
//# A UAS MUST be able to properly handle a "qop" parameter received in an
//# Authorization/Proxy-Authorization header field, and a UAC MUST be able to properly
//# handle a "qop" parameter received in WWW-Authenticate and Proxy-Authenticate header
//# fields.
//= https://www.rfc-editor.org/rfc/rfc7616#section-3.7
//= type=test
//# If
//# the server responds with multiple challenges, then each one of these
//# challenges MUST use a different digest algorithm.
//= https://www.rfc-editor.org/rfc/rfc7616#section-3.7
//= type=test
//# The server MUST
//# add these challenges to the response in order of preference, starting
//# with the most preferred algorithm, followed by the less preferred
//# algorithm.
//= https://www.rfc-editor.org/rfc/rfc7616#section-3.3
//= type=test
//# This parameter MUST be used by all implementations.
#[test]
fn every_algorithm_and_protection_that_is_offered_is_taken() {
    let (mut world, _, alice, _) = scene(|config| {
        // Named twice, offered once.
        config.auth.algorithms = [DigestAlgorithm::ALL, DigestAlgorithm::ALL].concat();
        config.auth.auth_int = true;
    });
    for algorithm in DigestAlgorithm::ALL {
        for qop in [Qop::Auth, Qop::AuthInt] {
            let (request, challenge) = ask(&mut world, &alice, b"hello");
            let offered = challenge.proxy_authenticate().map(|one| one.unwrap().algorithm().unwrap().unwrap());
            assert!(offered.eq(DigestAlgorithm::ALL.map(DigestAlgorithm::as_str)), "each once, the best first");
            assert!(challenge.proxy_authenticate().all(|one| one.unwrap().params().flatten().any(|p| p.name == "qop")));
            let value = made(&request, &challenge, algorithm, Some(qop), "00000001");
            assert_eq!(
                attempt(&mut world, &alice, &request, core::slice::from_ref(&value)),
                480,
                "{algorithm} {qop}: let in"
            );
            assert_eq!(attempt(&mut world, &alice, &request, &[value]), 407, "{algorithm} {qop}: once");
        }
        // With auth-int, another body is another request.
        let (mut request, challenge) = ask(&mut world, &alice, b"hello");
        let value = made(&request, &challenge, algorithm, Some(Qop::AuthInt), "00000001");
        request.set_body("text/plain", &b"hullo"[..]).unwrap();
        assert_eq!(attempt(&mut world, &alice, &request, &[value]), 407);
    }
    world.assert_idle();
}

//= https://www.rfc-editor.org/rfc/rfc8760#section-2.6
//= type=test
//# Therefore, in SIP, a UAS MUST check if the Request-URI in the
//# Authorization/Proxy-Authorization header field value corresponds to a user for whom
//# the UAS is willing to accept forwarded or direct requests; however, it MAY still
//# accept it if the two fields are not equivalent.
#[test]
fn credentials_for_another_uri_are_taken_or_refused_as_policy_says() {
    for strict in [false, true] {
        let (mut world, _, alice, _) = scene(|config| config.auth.check_uri = strict);
        for (uri, same) in [("sip:nobody@EXAMPLE.com", true), ("sip:bob@example.com", false)] {
            let (request, challenge) = ask(&mut world, &alice, b"");
            let other = new_request(Method::Message, ALICE, uri, "o", "", &[]);
            let value = made(&other, &challenge, DigestAlgorithm::Sha256, Some(Qop::Auth), "00000001");
            let expected = if same || !strict { 480 } else { 400 };
            assert_eq!(attempt(&mut world, &alice, &request, &[value]), expected, "{uri} {strict}");
        }
        world.assert_idle();
    }
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-22.4
//= type=test
//# Since RFC 2543 is based on HTTP Digest as defined in RFC 2069 [39], SIP servers
//# supporting RFC 2617 MUST ensure they are backwards compatible with RFC 2069.
//= https://www.rfc-editor.org/rfc/rfc3261#section-22.4
//= type=test
//# These mechanisms MUST be used by a server to determine if the client supports the
//# new mechanisms in RFC 2617 that were not specified in RFC 2069.
#[test]
fn a_client_of_rfc_2069_is_let_in_once_for_each_nonce() {
    let (mut world, _, alice, _) = scene(|_| {});
    let (request, challenge) = ask(&mut world, &alice, b"");
    let value = made(&request, &challenge, DigestAlgorithm::Md5, None, "");
    assert_eq!(attempt(&mut world, &alice, &request, core::slice::from_ref(&value)), 480);
    assert_eq!(attempt(&mut world, &alice, &request, &[value]), 407);
    let (mut strict, _, alice, _) = scene(|config| config.auth.without_qop = false);
    let (request, challenge) = ask(&mut strict, &alice, b"");
    let value = made(&request, &challenge, DigestAlgorithm::Md5, None, "");
    assert_eq!(attempt(&mut strict, &alice, &request, &[value]), 407);
    world.assert_idle();
    strict.assert_idle();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-22
//= type=test
//# Servers MUST NOT accept credentials using the "Basic" authorization scheme, and
//# servers also MUST NOT challenge with "Basic".
//= https://www.rfc-editor.org/rfc/rfc3261#section-22.3
//= type=test
//# When multiple proxies are used in a chain, a Proxy-Authorization header field value
//# MUST NOT be consumed by any proxy whose realm does not match the "realm" parameter
//# specified in that value.
//= https://www.rfc-editor.org/rfc/rfc3261#section-22.4
//= type=test
//# Note, however, that SIP servers MUST NOT accept or request Basic authentication.
//= https://www.rfc-editor.org/rfc/rfc8760#section-2.6
//= type=test
//# SIP clients and servers MUST NOT accept or request Basic authentication.
//= https://www.rfc-editor.org/rfc/rfc7616#section-3.4
//= type=test
//# Its value MUST be
//# one of the alternatives the server indicated it supports in the
//# WWW-Authenticate header field.
#[test]
fn what_is_no_good_credential_is_challenged_anew() {
    let (mut world, _, alice, _) = scene(|_| {});
    let (request, challenge) = ask(&mut world, &alice, b"");
    let good = |nc: &str| made(&request, &challenge, DigestAlgorithm::Sha256, Some(Qop::Auth), nc);
    let bad = [
        "Basic YWxpY2U6c2VjcmV0".to_owned(),
        good("00000001").replace("example.com\", nonce", "example.org\", nonce"),
        good("00000001").replace("SHA-256", "SHA-512-256"),
        good("00000001").replace("qop=auth", "qop=auth-int"),
        good("00000001").replace("nc=00000001", "nc=00000002"),
        good("00000001").replace("nonce=\"A", "nonce=\"B"),
        good("00000001").replace("username=\"alice\"", "username=\"\""),
        good("00000001").replace(", cnonce=\"c\"", ""),
    ];
    for value in bad {
        assert_eq!(attempt(&mut world, &alice, &request, core::slice::from_ref(&value)), 407, "{value}");
    }
    // Among several, those for this realm count.
    let foreign = good("00000009").replace("realm=\"example.com\"", "realm=\"other.example.org\"");
    assert_eq!(attempt(&mut world, &alice, &request, &[foreign, good("00000003")]), 480);
    world.assert_idle();
}

//= https://www.rfc-editor.org/rfc/rfc7616#section-3.6
//= type=test
//# Proxies MUST be completely transparent in the Digest access
//# authentication scheme.  That is, they MUST forward the WWW-
//# Authenticate, Authentication-Info, and Authorization header fields
//# untouched.
#[test]
fn digest_between_others_passes_untouched() {
    let (mut world, _, alice, bob) = scene(|config| config.auth.requests = false);
    let credentials =
        "Digest username=\"alice\",realm = \"bob's\", nonce=\"n\",\turi=\"sip:bob@example.com\", response=\"00\"";
    let fields = [("Authorization", credentials)];
    let request = new_request(Method::Message, ALICE, "sip:bob@example.com", "through", "", &fields);
    for (status, header, value) in [
        (401, Header::WwwAuthenticate, "Digest realm = \"bob's\",nonce=\"n\" ,qop=\"auth\",x=y"),
        (200, Header::AuthenticationInfo, "nextnonce = \"m\",rspauth=\"00\""),
    ] {
        let mut request = request.clone();
        request.set(Header::CallId, format!("through-{status}")).unwrap();
        world.send(&alice, request, to_server());
        let (tx, received) = world.request(&bob, Method::Message);
        assert_eq!(received.field(Header::Authorization), Some(credentials.as_bytes()));
        let status = sip_message::StatusCode::new(status).unwrap();
        let answer = Message::response(&received, status).to_tag("b").header(header, value).build().unwrap();
        world.respond(&bob, tx, answer);
        let answer = world.response(&alice, status.code());
        assert_eq!(answer.field(header), Some(value.as_bytes()));
    }
    world.assert_idle();
}

// RFC 7616 section 3.4.4: the user name is sent as a hash, and found by it.
#[test]
fn a_user_name_may_be_hashed() {
    for (says, known, status) in [(true, true, 200), (false, true, 401), (true, false, 401)] {
        let mut world = World::new(76);
        let server = world.server(SERVER, "example.com", |config| {
            config.auth.domains = vec!["example.com".into()];
            config.auth.userhash = says;
            // A host that is asked could not tell whom a hash is of.
            config.auth.ask = true;
        });
        let auth = world.srv(server).auth_mut();
        auth.add_user_with_password("example.com", if known { "alice" } else { "carol" }, "secret");
        let alice = world.udp("192.0.2.1");
        let request = crate::common::register("sip:alice@example.com", "<sip:alice@192.0.2.1>", "h", 1, &[]);
        let next = || Destination::next_hop(format!("sip:{SERVER}"));
        world.send(&alice, request.clone(), next());
        let challenge = world.response(&alice, 401);
        let offered = challenge.values::<Challenge<'_>>(Header::WwwAuthenticate);
        assert!(offered.flatten().all(|challenge| challenge.userhash() == Ok(says)));
        let mut again = with_credentials(&request, &challenge, "alice", "secret");
        let value = String::from_utf8(again.field(Header::Authorization).unwrap().to_vec()).unwrap();
        let hash = userhash(DigestAlgorithm::Sha256, b"alice", b"example.com");
        let value = value.replace("username=\"alice\"", &format!("userhash=true, username=\"{}\"", hash.as_str()));
        again.set(Header::Authorization, value).unwrap();
        world.send(&alice, again, next());
        if !says {
            // The hash is taken for a name, and the host is asked for it.
            world.run(core::time::Duration::from_secs(1));
            assert!(!world.has_final(&alice));
            continue;
        }
        assert_eq!(world.answer(&alice).status().unwrap().code(), status, "{says} {known}");
        world.assert_idle();
    }
}

// RFC 7616 section 3.3: what is hashed is "without the surrounding quotes and with quoting slashes removed"; section 3.4: a name may come
// as `username*`, too.
#[test]
fn a_user_name_is_read_without_its_escapes_or_encoding() {
    for (name, written) in [
        ("al\"i\\ce", r#"username="al\"i\\ce""#),
        ("alice", r#"username="al\ice""#),
        ("J\u{e4}s\u{f8}n Doe", "username*=UTF-8''J%C3%A4s%C3%B8n%20Doe"),
        ("J\u{e4}s\u{f8}n Doe", "username=\"J\u{e4}s\u{f8}n Doe\""),
    ] {
        let (mut world, server, alice, _bob) = scene(|_| {});
        let auth = world.srv(server).auth_mut();
        auth.add_user_with_password("example.com", name, "secret");
        auth.grant("example.com", name, "sip:alice@example.com");
        let (request, challenge) = ask(&mut world, &alice, b"");
        let challenge = challenge.value::<Challenge<'_>>(Header::ProxyAuthenticate).unwrap().unwrap();
        let value = credentials(&request, &challenge, name, "secret", 1);
        let (_, rest) = value.split_once("\", realm").unwrap();
        let value = format!("Digest {written}, realm{rest}");
        assert_eq!(attempt(&mut world, &alice, &request, &[value]), 480, "{written}");
        world.assert_idle();
    }
}
