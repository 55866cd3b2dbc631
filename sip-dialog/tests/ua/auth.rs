//! Digest and bearer authentication of what we send (RFC 3261 section 22, RFC 7616, RFC 8760, RFC 8898).

use crate::common::*;
use sip_dialog::{Body, CallEvent, Credentials, EndCause, Event, OutgoingRequest, Owner, RequestEvent, ServerProof};
use sip_message::digest::{DigestAlgorithm, DigestInput, DigestSecret, Qop};
use sip_message::headers::Credentials as Shown;
use sip_message::{Header, Message, Method};
use sip_transaction::Destination;

fn challenge(algorithm: &str, nonce: &str, more: &str) -> String {
    format!("Digest realm=\"atlanta\", nonce=\"{nonce}\", algorithm={algorithm}, qop=\"auth\"{more}")
}

/// Whether the credentials in a request are right for this password.
fn right(request: &Message, header: Header, password: &str) -> bool {
    let shown = request.value::<Shown<'_>>(header).unwrap().unwrap();
    let algorithm = DigestAlgorithm::parse(shown.algorithm().unwrap().map_or("MD5", |token| token.as_str())).unwrap();
    let text = |value: Option<sip_message::ParamValue<'_>>| value.unwrap().without_quotes().to_vec();
    let (user, realm, nonce) =
        (text(shown.username().unwrap()), text(shown.realm().unwrap()), text(shown.nonce().unwrap()));
    let secret = DigestSecret::new(algorithm, &user, &realm, password.as_bytes());
    let nc = format!("{:08x}", shown.nc().unwrap().unwrap_or(0));
    let cnonce = shown.cnonce().unwrap().map_or(Vec::new(), |value| value.without_quotes().to_vec());
    let qop = shown.qop().unwrap().map(|qop| Qop::parse(qop.as_str()).unwrap());
    let uri = text(shown.uri().unwrap());
    let input = DigestInput {
        method: request.method().unwrap().as_str().as_bytes(),
        uri: &uri,
        nonce: &nonce,
        qop,
        nc: nc.as_bytes(),
        cnonce: &cnonce,
        body: request.body(),
    };
    assert_eq!(uri, request.request_uri_bytes().unwrap());
    secret.verify(&input, shown.response().unwrap().unwrap().as_bytes())
}

fn message(world: &mut World, alice: sim::NodeId) -> sip_dialog::RequestId {
    let hello = OutgoingRequest::message(origin(1), "sip:2@192.0.2.2", Body::new("text/plain", "hello"));
    world.tell(alice, |core, ep, now| core.request(ep, now, hello)).unwrap()
}

fn ended(world: &mut World, alice: sim::NodeId, id: sip_dialog::RequestId) -> u16 {
    world.until(alice, |event| match event {
        Event::Request { request, event: RequestEvent::Ended { status, .. } } if *request == id => Some(status.code()),
        _ => None,
    })
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-22.2
//= type=test
//# When a UAC resubmits a request with its credentials after receiving a
//# 401 (Unauthorized) or 407 (Proxy Authentication Required) response, it
//# MUST increment the CSeq header field value as it would normally when
//# sending an updated request.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.3.5
//= type=test
//# If a 401 (Unauthorized) or 407 (Proxy Authentication Required) response
//# is received, the UAC SHOULD follow the authorization procedures of
//# Section 22.2 and Section 22.3 to retry the request with credentials.
//= https://www.rfc-editor.org/rfc/rfc3261#section-21.4.8
//= type=test
//# This code is similar to 401 (Unauthorized), but indicates that the
//# client MUST first authenticate itself with the proxy.
//= https://www.rfc-editor.org/rfc/rfc3261#section-22.4
//= type=test
//# If a client receives a "qop" parameter in a challenge header field, it
//# MUST send the "qop" parameter in any resulting authorization header
//# field.
//= https://www.rfc-editor.org/rfc/rfc3261#section-26.3.1
//= type=test
//# Proxy servers, redirect servers, registrars, and UAs MUST implement
//# Digest Authorization, encompassing all of the aspects required in 22.
#[test]
fn each_algorithm_is_answered_and_the_number_goes_up() {
    for (n, algorithm) in DigestAlgorithm::ALL.iter().enumerate() {
        for (code, asked, shown) in [
            (401, Header::WwwAuthenticate, Header::Authorization),
            (407, Header::ProxyAuthenticate, Header::ProxyAuthorization),
        ] {
            let mut world = World::new(n as u64);
            let (alice, raw) = (world.phone(1), world.raw(2));
            world.tell(alice, |core, _, _| core.add_credentials(password("atlanta")));
            let id = message(&mut world, alice);
            let (tx, first) = world.request_at(raw);
            assert!(!first.has(shown));
            world.respond(raw, tx, &first, code, |builder| {
                builder.header(asked, challenge(algorithm.as_str(), "n", ""))
            });
            let (tx, second) = world.request_at(raw);
            assert!(right(&second, shown, "secret"), "{algorithm}");
            assert!(!right(&second, shown, "another"));
            assert_eq!(second.cseq().unwrap().number, first.cseq().unwrap().number + 1);
            assert_eq!(second.call_id().unwrap(), first.call_id().unwrap());
            world.respond(raw, tx, &second, 200, |builder| builder);
            assert_eq!(ended(&mut world, alice, id), 200);
            world.finish();
        }
    }
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-22.1
//= type=test
//# A UAC MUST NOT re-attempt requests with the credentials that have just
//# been rejected (though the request may be retried if the nonce was
//# stale).
#[test]
fn refused_credentials_are_not_shown_again() {
    let mut world = World::new(1);
    let (alice, raw) = (world.phone(1), world.raw(2));
    world.tell(alice, |core, _, _| core.add_credentials(password("atlanta")));
    let id = message(&mut world, alice);
    for nonce in ["one", "two"] {
        let (tx, request) = world.request_at(raw);
        world.respond(raw, tx, &request, 401, |builder| {
            builder.header(Header::WwwAuthenticate, challenge("MD5", nonce, ""))
        });
    }
    // The host is asked, and has nothing better.
    let owner = world.until(alice, |event| match event {
        Event::Challenged { owner, realm, .. } => {
            assert_eq!(realm, "atlanta");
            Some(*owner)
        }
        _ => None,
    });
    assert_eq!(owner, Owner::Request(id));
    world.tell(alice, |core, ep, now| core.authenticate(ep, now, owner, None)).unwrap();
    assert_eq!(ended(&mut world, alice, id), 401);
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-22.1
//= type=test
//# When a UAC receives a challenge, it SHOULD render to the user the
//# contents of the "realm" parameter in the challenge (which appears in
//# either a WWW-Authenticate header field or Proxy-Authenticate header
//# field) if the UAC device does not already know of a credential for the
//# realm in question.
#[test]
fn a_person_may_be_asked_and_take_their_time() {
    let mut world = World::new(2);
    let (alice, bob, raw) = (world.phone(1), world.phone(3), world.raw(2));
    let ours = world.call(alice, 1, 2);
    let (tx, request) = world.request_at(raw);
    world.respond(raw, tx, &request, 407, |builder| {
        builder.header(Header::ProxyAuthenticate, challenge("SHA-256", "n", ""))
    });
    let owner = world.until(alice, |event| match event {
        Event::Challenged { owner, .. } => Some(*owner),
        _ => None,
    });
    world.run_for(std::time::Duration::from_secs(10));
    world.tell(alice, |core, ep, now| core.authenticate(ep, now, owner, Some(password("atlanta")))).unwrap();
    let (tx, request) = loop {
        let (tx, request) = world.request_at(raw);
        if request.method() == Some(Method::Invite) {
            break (tx, request);
        }
    };
    assert!(right(&request, Header::ProxyAuthorization, "secret"));
    world.respond(raw, tx, &request, 486, |builder| builder);
    assert_eq!(world.end_of(alice, ours), EndCause::PeerRejected(status(486)));
    // Nobody at the keyboard: the call ends by itself.
    let ours = world.call(bob, 3, 2);
    let (tx, request) = loop {
        let (tx, request) = world.request_at(raw);
        if request.method() == Some(Method::Invite) {
            break (tx, request);
        }
    };
    world.respond(raw, tx, &request, 407, |builder| {
        builder.header(Header::ProxyAuthenticate, challenge("MD5", "n", ""))
    });
    assert_eq!(world.end_of(bob, ours), EndCause::Unauthorized);
    world.finish();
}

#[test]
fn the_strongest_challenge_is_answered_whatever_the_order() {
    let mut world = World::new(3);
    let (alice, raw) = (world.phone(1), world.raw(2));
    world.tell(alice, |core, _, _| core.add_credentials(password("atlanta")));
    let id = message(&mut world, alice);
    let (tx, request) = world.request_at(raw);
    world.respond(raw, tx, &request, 401, |builder| {
        builder
            .header(Header::WwwAuthenticate, challenge("MD5", "a", ""))
            .header(Header::WwwAuthenticate, challenge("SHA-512-256", "b", ", opaque=\"o\\\"p\""))
            .header(Header::WwwAuthenticate, challenge("SHA-256", "c", ""))
            .header(Header::WwwAuthenticate, challenge("SHA-512", "d", ""))
            .header(Header::WwwAuthenticate, "Basic realm=\"atlanta\"")
    });
    let (tx, request) = world.request_at(raw);
    assert_eq!(request.fields(Header::Authorization).count(), 1);
    let shown = request.value::<Shown<'_>>(Header::Authorization).unwrap().unwrap();
    assert_eq!(shown.algorithm().unwrap().unwrap().as_str(), "SHA-512-256");
    assert_eq!(shown.opaque().unwrap().unwrap().as_bytes(), b"\"o\\\"p\"");
    assert!(right(&request, Header::Authorization, "secret"));
    world.respond(raw, tx, &request, 200, |builder| builder);
    assert_eq!(ended(&mut world, alice, id), 200);
    world.finish();
}

#[test]
fn nobody_talks_us_down_to_a_weaker_algorithm() {
    let mut world = World::new(4);
    let (alice, raw) = (world.phone(1), world.raw(2));
    world.tell(alice, |core, _, _| core.add_credentials(password("atlanta").at_least(DigestAlgorithm::Sha256)));
    let id = message(&mut world, alice);
    let (tx, request) = world.request_at(raw);
    world.respond(raw, tx, &request, 401, |builder| builder.header(Header::WwwAuthenticate, challenge("MD5", "n", "")));
    assert_eq!(ended(&mut world, alice, id), 401);
    // Nor after it has offered a stronger one, stale or not.
    let id = message(&mut world, alice);
    for (algorithm, stale) in [("SHA-256", ""), ("MD5", ", stale=true")] {
        let (tx, request) = world.request_at(raw);
        world.respond(raw, tx, &request, 401, |builder| {
            builder.header(Header::WwwAuthenticate, challenge(algorithm, "n", stale))
        });
    }
    assert_eq!(ended(&mut world, alice, id), 401);
    world.finish();
}

#[test]
fn a_stale_nonce_is_replaced_without_asking_and_a_loop_ends() {
    let mut world = World::new(5);
    let (alice, raw) = (world.phone(1), world.raw(2));
    world.tell(alice, |core, _, _| core.add_credentials(password("atlanta")));
    let id = message(&mut world, alice);
    let mut asked = 0;
    loop {
        world.run_for(std::time::Duration::from_millis(100));
        if world
            .log
            .iter()
            .any(|happened| matches!(happened.event, Event::Request { event: RequestEvent::Ended { .. }, .. }))
        {
            break;
        }
        let (tx, request) = world.request_at(raw);
        let nonce = format!("n{asked}");
        asked += 1;
        world.respond(raw, tx, &request, 401, |builder| {
            builder.header(Header::WwwAuthenticate, challenge("MD5", &nonce, ", stale=true"))
        });
    }
    assert_eq!(asked, 4, "the request, and as many rounds as are allowed");
    assert_eq!(ended(&mut world, alice, id), 401);
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.2.4
//= type=test
//# The ACK MUST contain the same credentials as the INVITE.
#[test]
fn the_requests_of_a_call_show_credentials_unasked() {
    let mut world = World::new(6);
    let (alice, raw) = (world.phone(1), world.raw(2));
    world.tell(alice, |core, _, _| core.add_credentials(password("atlanta")));
    let ours = world.call(alice, 1, 2);
    let (tx, request) = world.request_at(raw);
    world.respond(raw, tx, &request, 407, |builder| {
        builder.header(Header::ProxyAuthenticate, challenge("SHA-256", "n", ""))
    });
    let (tx, invite) = world.request_at(raw);
    world.respond(raw, tx, &invite, 200, |builder| {
        builder
            .header(Header::Contact, "<sip:2@192.0.2.2>")
            .header(Header::ProxyAuthenticationInfo, "nextnonce=\"next\"")
            .body("application/sdp", ANSWER)
    });
    world.until_confirmed(alice, ours);
    let ack = world.last("ACK");
    assert_eq!(ack.field(Header::ProxyAuthorization), invite.field(Header::ProxyAuthorization));
    world.hang_up(alice, ours);
    let (tx, bye) = world.request_at(raw);
    assert!(right(&bye, Header::ProxyAuthorization, "secret"));
    let shown = bye.value::<Shown<'_>>(Header::ProxyAuthorization).unwrap().unwrap();
    assert_eq!((shown.nonce().unwrap().unwrap().as_bytes(), shown.nc().unwrap()), (&b"\"next\""[..], Some(1)));
    world.respond(raw, tx, &bye, 200, |builder| builder);
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-22.3
//= type=test
//# When resubmitting its request in response to a 401 (Unauthorized) or 407
//# (Proxy Authentication Required) that contains multiple challenges, a UAC
//# MAY include an Authorization value for each WWW-Authenticate value and a
//# Proxy-Authorization value for each Proxy-Authenticate value for which
//# the UAC wishes to supply a credential.
#[test]
fn several_realms_are_answered_at_once() {
    let mut world = World::new(7);
    let (alice, raw) = (world.phone(1), world.raw(2));
    for realm in ["atlanta", "biloxi"] {
        world.tell(alice, |core, _, _| core.add_credentials(password(realm)));
    }
    let id = message(&mut world, alice);
    let (tx, request) = world.request_at(raw);
    world.respond(raw, tx, &request, 407, |builder| {
        builder
            .header(Header::ProxyAuthenticate, challenge("MD5", "a", ""))
            .header(Header::ProxyAuthenticate, "Digest realm=\"biloxi\", nonce=\"b\"")
    });
    let (tx, request) = world.request_at(raw);
    assert_eq!(request.fields(Header::ProxyAuthorization).count(), 2);
    // Without qop there is neither nc nor cnonce.
    let plain =
        request.fields(Header::ProxyAuthorization).find(|value| value.windows(6).any(|w| w == b"biloxi")).unwrap();
    let plain = String::from_utf8(plain.to_vec()).unwrap();
    assert!(!plain.contains("cnonce") && !plain.contains("nc=") && !plain.contains("algorithm"), "{plain}");
    world.respond(raw, tx, &request, 200, |builder| builder);
    assert_eq!(ended(&mut world, alice, id), 200);
    world.finish();
}

/// Nor are they when another realm asks at the same time, whose credentials make the request go out once more.
#[test]
fn what_one_realm_has_refused_is_not_shown_again_for_the_sake_of_another() {
    let mut world = World::new(9);
    let (alice, raw) = (world.phone(1), world.raw(2));
    for realm in ["atlanta", "biloxi"] {
        world.tell(alice, |core, _, _| core.add_credentials(password(realm)));
    }
    let id = message(&mut world, alice);
    let shows = |request: &Message| {
        let shown = request.fields(Header::ProxyAuthorization).map(|value| String::from_utf8_lossy(value).into_owned());
        let shown: String = shown.collect();
        (shown.contains("atlanta"), shown.contains("biloxi"))
    };
    let biloxi = "Digest realm=\"biloxi\", nonce=\"b\", qop=\"auth\"";
    for (nonce, other, shown) in [("a", false, (false, false)), ("b", true, (true, false)), ("c", false, (false, true))]
    {
        let (tx, request) = world.request_at(raw);
        assert_eq!(shows(&request), shown, "{nonce}");
        world.respond(raw, tx, &request, 407, |builder| {
            let builder = builder.header(Header::ProxyAuthenticate, challenge("MD5", nonce, ""));
            if other { builder.header(Header::ProxyAuthenticate, biloxi) } else { builder }
        });
    }
    // The host is asked, and what it gives is shown.
    let owner = world.until(alice, |event| match event {
        Event::Challenged { owner, realm, .. } => {
            assert_eq!(realm, "atlanta");
            Some(*owner)
        }
        _ => None,
    });
    world.tell(alice, |core, ep, now| core.authenticate(ep, now, owner, Some(password("atlanta")))).unwrap();
    let (tx, request) = world.request_at(raw);
    assert_eq!(shows(&request), (true, true));
    world.respond(raw, tx, &request, 200, |builder| builder);
    assert_eq!(ended(&mut world, alice, id), 200);
    world.finish();
}

/// A proxy that forked puts the challenges of its branches together (RFC 3261 section 16.7, step 7).
#[test]
fn challenges_of_a_server_and_a_proxy_are_answered_at_once() {
    for code in [401, 407] {
        let mut world = World::new(7);
        let (alice, raw) = (world.phone(1), world.raw(2));
        for realm in ["atlanta", "biloxi"] {
            world.tell(alice, |core, _, _| core.add_credentials(password(realm)));
        }
        let id = message(&mut world, alice);
        let (tx, request) = world.request_at(raw);
        world.respond(raw, tx, &request, code, |builder| {
            builder
                .header(Header::WwwAuthenticate, challenge("SHA-256", "a", ""))
                .header(Header::ProxyAuthenticate, "Digest realm=\"biloxi\", nonce=\"b\"")
        });
        let (tx, request) = world.request_at(raw);
        assert!(right(&request, Header::Authorization, "secret"));
        assert_eq!(request.fields(Header::ProxyAuthorization).count(), 1);
        world.respond(raw, tx, &request, 200, |builder| builder);
        assert_eq!(ended(&mut world, alice, id), 200);
        world.finish();
    }
}

#[test]
fn a_bearer_token_is_shown_where_it_is_asked_for() {
    let mut world = World::new(8);
    let (alice, raw) = (world.phone(1), world.raw(2));
    world.tell(alice, |core, _, _| core.add_credentials(Credentials::token("atlanta", "eyJhbGciOi")));
    let id = message(&mut world, alice);
    let (tx, request) = world.request_at(raw);
    world.respond(raw, tx, &request, 401, |builder| {
        builder.header(Header::WwwAuthenticate, "Bearer realm=\"atlanta\", authz_server=\"https://as.example\"")
    });
    let (tx, request) = world.request_at(raw);
    assert_eq!(request.field(Header::Authorization), Some(&b"Bearer eyJhbGciOi"[..]));
    world.respond(raw, tx, &request, 200, |builder| builder);
    assert_eq!(ended(&mut world, alice, id), 200);
    world.finish();
}

#[test]
fn the_body_and_the_user_name_may_be_hashed_too() {
    let mut world = World::new(9);
    let (alice, raw) = (world.phone(1), world.raw(2));
    world.tell(alice, |core, _, _| core.add_credentials(password("atlanta")));
    let id = message(&mut world, alice);
    let (tx, request) = world.request_at(raw);
    world.respond(raw, tx, &request, 401, |builder| {
        builder.header(
            Header::WwwAuthenticate,
            "Digest realm=\"atlanta\", nonce=\"n\", algorithm=SHA-256, qop=\"auth-int\", userhash=true",
        )
    });
    let (tx, request) = world.request_at(raw);
    let shown = request.value::<Shown<'_>>(Header::Authorization).unwrap().unwrap();
    assert!(shown.userhash().unwrap());
    assert_eq!(shown.qop().unwrap().unwrap().as_str(), "auth-int");
    let hash = sip_message::digest::userhash(DigestAlgorithm::Sha256, b"alice", b"atlanta");
    assert_eq!(shown.username().unwrap().unwrap().without_quotes(), hash.as_bytes());
    world.respond(raw, tx, &request, 200, |builder| builder);
    assert_eq!(ended(&mut world, alice, id), 200);
    world.finish();
}

// RFC 7616 section 3.3: what is hashed is "without the surrounding quotes and with quoting slashes removed"; what is written has both.
#[test]
fn what_needs_escapes_is_hashed_without_them() {
    let mut world = World::new(9);
    let (alice, raw) = (world.phone(1), world.raw(2));
    world.tell(alice, |core, _, _| core.add_credentials(Credentials::password("at\"lanta", "al\"i\\ce", "secret")));
    let id = message(&mut world, alice);
    let (tx, request) = world.request_at(raw);
    world.respond(raw, tx, &request, 401, |builder| {
        builder.header(Header::WwwAuthenticate, r#"Digest realm="at\"lanta", nonce="n\"o", algorithm=MD5, qop="auth""#)
    });
    let (tx, request) = world.request_at(raw);
    let value = String::from_utf8(request.field(Header::Authorization).unwrap().to_vec()).unwrap();
    assert!(value.starts_with(r#"Digest username="al\"i\\ce", realm="at\"lanta", nonce="n\"o", "#), "{value}");
    let shown = request.value::<Shown<'_>>(Header::Authorization).unwrap().unwrap();
    let secret = DigestSecret::new(DigestAlgorithm::Md5, b"al\"i\\ce", b"at\"lanta", b"secret");
    let input = DigestInput {
        method: b"MESSAGE",
        uri: request.request_uri_bytes().unwrap(),
        nonce: b"n\"o",
        qop: Some(Qop::Auth),
        nc: b"00000001",
        cnonce: shown.cnonce().unwrap().unwrap().without_quotes(),
        body: request.body(),
    };
    assert!(secret.verify(&input, shown.response().unwrap().unwrap().as_bytes()));
    world.respond(raw, tx, &request, 200, |builder| builder);
    assert_eq!(ended(&mut world, alice, id), 200);
    world.finish();
}

/// The parameters of Authentication-Info with which a server that knows `password` answers this request.
fn rspauth(request: &Message, password: &str, body: &[u8], qop: Qop) -> String {
    let shown = request.value::<Shown<'_>>(Header::Authorization).unwrap().unwrap();
    let text = |value: Option<sip_message::ParamValue<'_>>| {
        String::from_utf8(value.unwrap().without_quotes().to_vec()).unwrap()
    };
    let algorithm = DigestAlgorithm::parse(shown.algorithm().unwrap().unwrap().as_str()).unwrap();
    let secret = DigestSecret::new(algorithm, b"alice", b"atlanta", password.as_bytes());
    let (uri, nonce, cnonce) =
        (text(shown.uri().unwrap()), text(shown.nonce().unwrap()), text(shown.cnonce().unwrap()));
    let nc = format!("{:08x}", shown.nc().unwrap().unwrap());
    let input = DigestInput {
        method: b"",
        uri: uri.as_bytes(),
        nonce: nonce.as_bytes(),
        qop: Some(qop),
        nc: nc.as_bytes(),
        cnonce: cnonce.as_bytes(),
        body,
    };
    let rspauth = secret.rspauth(&input);
    format!("qop={qop}, rspauth=\"{}\", cnonce=\"{cnonce}\", nc={nc}, nextnonce=\"next\"", rspauth.as_str())
}

//= https://www.rfc-editor.org/rfc/rfc7616#section-3.5
//= type=test
//# The cnonce value and nc value MUST be the ones for the client
//# request to which this message is the response.
//= https://www.rfc-editor.org/rfc/rfc7616#section-3.5
//= type=test
//# If the nextnonce field is present, the
//# client SHOULD use it when constructing the Authorization header
//# field for its next request.
#[test]
fn a_server_may_show_that_it_knows_the_password_too() {
    for (n, algorithm) in DigestAlgorithm::ALL.iter().enumerate() {
        for (password_there, spoil, proof) in [
            ("secret", false, ServerProof::Right),
            ("guess", false, ServerProof::Wrong),
            ("secret", true, ServerProof::Wrong),
        ] {
            for (qop, body) in [(Qop::Auth, &b""[..]), (Qop::AuthInt, b"thanks")] {
                let mut world = World::new(40 + n as u64);
                let (alice, raw) = (world.phone(1), world.raw(2));
                world.tell(alice, |core, _, _| core.add_credentials(password("atlanta")));
                let id = message(&mut world, alice);
                let (tx, first) = world.request_at(raw);
                world.respond(raw, tx, &first, 401, |builder| {
                    builder.header(Header::WwwAuthenticate, challenge(algorithm.as_str(), "n", ""))
                });
                let (tx, second) = world.request_at(raw);
                let mut info = rspauth(&second, password_there, body, qop);
                if spoil {
                    info = info.replace("nc=00000001", "nc=00000002");
                }
                world.respond(raw, tx, &second, 200, |builder| {
                    builder.header(Header::AuthenticationInfo, info).body("text/plain", body)
                });
                let shown = world.until(alice, |event| match event {
                    Event::ServerShown { owner, realm, proof, .. } => {
                        assert_eq!((*owner, realm.as_str()), (Owner::Request(id), "atlanta"));
                        Some(*proof)
                    }
                    _ => None,
                });
                assert_eq!(shown, proof, "{algorithm} {qop} {password_there} {spoil}");
                assert_eq!(ended(&mut world, alice, id), 200, "whether to believe it is the host's to say");
                world.finish();
            }
        }
    }
}

#[test]
fn a_proof_that_cannot_be_compared_shows_nothing_and_the_next_nonce_is_taken() {
    let mut world = World::new(60);
    let (alice, raw) = (world.phone(1), world.raw(2));
    world.tell(alice, |core, _, _| core.add_credentials(password("atlanta")));
    let proxied = sip_dialog::Invite::new(origin(1), "sip:2@192.0.2.2").body(offer());
    let call = world.invite(alice, proxied);
    let (tx, first) = world.request_at(raw);
    world.respond(raw, tx, &first, 401, |builder| {
        builder.header(Header::WwwAuthenticate, challenge("SHA-256", "n", ""))
    });
    let (tx, second) = world.request_at(raw);
    let info = rspauth(&second, "secret", b"", Qop::Auth).replace("qop=auth,", "qop=auth-later,");
    world.respond(raw, tx, &second, 200, |builder| {
        builder
            .header(Header::AuthenticationInfo, info)
            .header(Header::Contact, "<sip:2@192.0.2.2>")
            .body("application/sdp", ANSWER)
    });
    world.until_confirmed(alice, call);
    assert!(!world.log.iter().any(|happened| matches!(happened.event, Event::ServerShown { .. })));
    world.hang_up(alice, call);
    let bye = loop {
        let (tx, request) = world.request_at(raw);
        if request.method() == Some(Method::Bye) {
            world.respond(raw, tx, &request, 200, |builder| builder);
            break request;
        }
    };
    let shown = bye.value::<Shown<'_>>(Header::Authorization).unwrap().unwrap();
    assert_eq!(shown.nonce().unwrap().unwrap().without_quotes(), b"next");
}

/// The caller gives up; then the INVITE is challenged. Another one, with credentials, would ring with nobody there.
#[test]
fn a_call_that_was_given_up_is_not_tried_with_credentials() {
    let mut world = World::new(40);
    let (alice, raw) = (world.phone(1), world.raw(2));
    world.tell(alice, |core, _, _| core.add_credentials(password("atlanta")));
    let ours = world.call(alice, 1, 2);
    let (tx, invite) = world.request_at(raw);
    world.respond(raw, tx, &invite, 180, |builder| builder.header(Header::Contact, "<sip:2@192.0.2.2>"));
    settle(&mut world);
    world.hang_up(alice, ours);
    world.respond(raw, tx, &invite, 401, |builder| {
        builder.header(Header::WwwAuthenticate, challenge("SHA-256", "n", ""))
    });
    assert_eq!(world.end_of(alice, ours), EndCause::Cancelled);
    world.run_for(std::time::Duration::from_secs(60));
    assert_eq!(world.sent().iter().filter(|what| *what == "1>2 INVITE").count(), 1);
    world.finish();
}

/// A call of ours to a raw endpoint that stands.
fn standing(world: &mut World, alice: sim::NodeId, raw: sim::NodeId) -> (sip_dialog::CallHandle, Message) {
    let call = world.call(alice, 1, 2);
    let (tx, invite) = world.request_at(raw);
    world.respond(raw, tx, &invite, 200, |builder| {
        builder.header(Header::Contact, "<sip:2@192.0.2.2>").body("application/sdp", answer().bytes)
    });
    world.until_confirmed(alice, call);
    (call, invite)
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-14.1
//= type=test
//# If a UA receives a non-2xx final response to a re-INVITE, the session
//# parameters MUST remain unchanged, as if no re-INVITE had been issued.
#[test]
fn a_change_that_waits_for_credentials_lets_those_of_the_peer_pass() {
    // The peer asks with a re-INVITE, with an UPDATE; the host has credentials, or none; its own answer is late, or not.
    for (n, method) in [(0, Method::Invite), (1, Method::Update)] {
        for (given, late) in [(true, false), (true, true), (false, true)] {
            let mut world = World::new(40 + n);
            let (alice, raw) = (world.phone(1), world.raw(2));
            let (call, invite) = standing(&mut world, alice, raw);
            let hold = sip_dialog::sdp::with_direction(OFFER, sip_dialog::sdp::Direction::SendOnly).unwrap();
            world.tell(alice, |core, ep, now| core.hold(ep, now, call, Body::sdp(hold))).unwrap();
            let (tx, ours) = world.request_at(raw);
            world.respond(raw, tx, &ours, 401, |builder| {
                builder.header(Header::WwwAuthenticate, challenge("MD5", "n", ""))
            });
            let owner = world.until(alice, |event| match event {
                Event::Challenged { owner, .. } => Some(*owner),
                _ => None,
            });
            let from = String::from_utf8(invite.field(Header::From).unwrap().to_vec()).unwrap();
            let theirs = |method: Method<'_>, cseq: u32| {
                Message::request(method, "sip:1@192.0.2.1")
                    .header(Header::From, "<sip:2@192.0.2.2>;tag=raw")
                    .header(Header::To, &from)
                    .header(Header::CallId, invite.call_id().unwrap())
                    .cseq(cseq)
            };
            let asking = theirs(method, 1).header(Header::Contact, "<sip:raw@192.0.2.2>");
            let asking = world.send(raw, asking.body("application/sdp", OFFER).build().unwrap());
            world.until_call(alice, call, |event| matches!(event, CallEvent::Offer { .. }).then_some(()));
            let answer_it = |world: &mut World| {
                world.tell(alice, |core, ep, now| core.answer(ep, now, call, answer())).unwrap();
                assert_eq!(world.final_of(raw, asking).status(), Some(status(200)));
                if method == Method::Invite {
                    let now = world.now();
                    let ack = theirs(Method::Ack, 1).build().unwrap();
                    sim::Host::endpoint(world.net.host(raw)).send(now, ack, Destination::route()).unwrap();
                    settle(world);
                }
            };
            if !late {
                answer_it(&mut world);
            }
            let credentials = given.then(|| password("atlanta"));
            world.tell(alice, |core, ep, now| core.authenticate(ep, now, owner, credentials)).unwrap();
            if late {
                settle(&mut world);
                assert_eq!(world.messages().iter().filter(|sent| sent.has(Header::Authorization)).count(), 0);
                answer_it(&mut world);
            }
            if given {
                let (tx, again) = world.request_at(raw);
                assert_eq!((again.method(), again.body()), (Some(Method::Invite), ours.body()));
                assert!(right(&again, Header::Authorization, "secret"));
                world.respond(raw, tx, &again, 200, |builder| {
                    builder.header(Header::Contact, "<sip:raw@192.0.2.2>").body("application/sdp", ANSWER)
                });
                world.until_call(alice, call, |event| matches!(event, CallEvent::Answered { .. }).then_some(()));
            } else {
                world.rewind();
                let code = world.until_call(alice, call, |event| match event {
                    CallEvent::ChangeFailed { status, .. } => Some(status.code()),
                    _ => None,
                });
                assert_eq!(code, 401);
            }
            let held = world.tell(alice, |core, _, _| core.call(call).unwrap().on_hold);
            assert_eq!(held, given);
            world.hang_up(alice, call);
            let (tx, bye) = world.request_at(raw);
            assert_eq!(bye.method(), Some(Method::Bye));
            world.respond(raw, tx, &bye, 200, |builder| builder);
            world.finish();
        }
    }
}

//= https://www.rfc-editor.org/rfc/rfc3515#section-2.4.6
//= type=test
//# Thus, for the second and subsequent REFER requests a UA receives in a
//# given dialog, it MUST include an id parameter[2] in the Event header
//# field of each NOTIFY containing the sequence number (the number from
//# the CSeq header field value) of the REFER this NOTIFY is associated
//# with.
#[test]
fn the_reports_on_a_refer_that_was_challenged_have_the_number_it_was_accepted_under() {
    let mut world = World::new(31);
    let (alice, raw) = (world.phone(1), world.raw(2));
    world.tell(alice, |core, _, _| core.add_credentials(password("atlanta")));
    let (call, invite) = standing(&mut world, alice, raw);
    let refer = sip_dialog::Refer::new("sip:3@192.0.2.3");
    world.tell(alice, |core, ep, now| core.refer(ep, now, call, refer)).unwrap();
    let (tx, first) = world.request_at(raw);
    world.respond(raw, tx, &first, 401, |builder| builder.header("WWW-Authenticate", challenge("MD5", "n", "")));
    let (tx, again) = world.request_at(raw);
    assert!(right(&again, Header::Authorization, "secret"));
    world.respond(raw, tx, &again, 202, |builder| builder.header(Header::Contact, "<sip:2@192.0.2.2>"));
    let report = Message::request(Method::Notify, "sip:1@192.0.2.1")
        .header(Header::From, format!("{};tag=raw", String::from_utf8_lossy(invite.field(Header::To).unwrap())))
        .header(Header::To, String::from_utf8_lossy(invite.field(Header::From).unwrap()))
        .header(Header::CallId, String::from_utf8_lossy(invite.field(Header::CallId).unwrap()))
        .cseq(1)
        .header(Header::Contact, "<sip:2@192.0.2.2>")
        .header(Header::Event, format!("refer;id={}", again.cseq().unwrap().number))
        .header(Header::SubscriptionState, "terminated;reason=noresource")
        .body("message/sipfrag", "SIP/2.0 200 OK\r\n")
        .build()
        .unwrap();
    let tx = world.send(raw, report);
    assert_eq!(world.final_of(raw, tx).status(), Some(status(200)));
    world.hang_up(alice, call);
    let (tx, bye) = world.request_at(raw);
    world.respond(raw, tx, &bye, 200, |builder| builder);
    world.finish();
}

#[test]
fn the_last_notify_of_a_subscription_is_said_again_with_credentials() {
    let mut world = World::new(32);
    let (raw, bob) = (world.raw(1), world.phone_with(2, |config| config.packages.push("presence".into())));
    world.tell(bob, |core, _, _| core.add_credentials(password("atlanta")));
    let subscribe = Message::request(Method::Subscribe, "sip:2@192.0.2.2")
        .header(Header::From, "<sip:1@192.0.2.1>;tag=a")
        .header(Header::To, "<sip:2@192.0.2.2>")
        .header(Header::CallId, "watch")
        .cseq(1)
        .header(Header::Contact, "<sip:1@192.0.2.1>")
        .header(Header::Event, "presence")
        .header(Header::Expires, 600)
        .build()
        .unwrap();
    world.send(raw, subscribe);
    let id = world.until(bob, |event| match event {
        Event::Subscription { subscription, .. } => Some(*subscription),
        _ => None,
    });
    world.tell(bob, |core, ep, now| core.accept_subscription(ep, now, id, false, None, None)).unwrap();
    let (tx, state) = world.request_at(raw);
    world.respond(raw, tx, &state, 200, |builder| builder);
    world.run_for(std::time::Duration::from_secs(1));
    world.tell(bob, |core, ep, now| core.terminate(ep, now, id, sip_dialog::Termination::default())).unwrap();
    let (tx, last) = world.request_at(raw);
    let refusal = challenge("MD5", "n", "");
    world.respond(raw, tx, &last, 407, |builder| builder.header("Proxy-Authenticate", refusal));
    let (tx, again) = world.request_at(raw);
    assert!(right(&again, Header::ProxyAuthorization, "secret"));
    assert_eq!(again.cseq().unwrap().number, last.cseq().unwrap().number + 1);
    assert_eq!(again.field(Header::SubscriptionState), last.field(Header::SubscriptionState));
    world.respond(raw, tx, &again, 200, |builder| builder);
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-10.2
//= type=test
//# A UA MUST increment the CSeq value by one for each REGISTER request with
//# the same Call-ID.
#[test]
fn a_register_that_another_has_taken_the_place_of_is_not_said_again() {
    let mut world = World::new(33);
    let (alice, raw) = (world.phone(1), world.raw(2));
    world.tell(alice, |core, _, _| core.add_credentials(password("atlanta")));
    let register = sip_dialog::Register::new(origin(1), "sip:192.0.2.2");
    let id = world.tell(alice, |core, ep, now| core.register(ep, now, register)).unwrap();
    let (old, first) = world.request_at(raw);
    let moved = Some("<sip:1@192.0.2.1:5070>".into());
    world.tell(alice, |core, ep, now| core.rebind_registration(ep, now, id, None, moved)).unwrap();
    let (tx, second) = world.request_at(raw);
    let refusal = || challenge("MD5", "n", "");
    world.respond(raw, old, &first, 401, |builder| builder.header("WWW-Authenticate", refusal()));
    world.run_for(std::time::Duration::from_secs(1));
    world.respond(raw, tx, &second, 401, |builder| builder.header("WWW-Authenticate", refusal()));
    let (tx, third) = world.request_at(raw);
    assert!(third.field(Header::Contact).unwrap().starts_with(b"<sip:1@192.0.2.1:5070>"));
    assert_eq!(third.cseq().unwrap().number, first.cseq().unwrap().number + 2);
    world.respond(raw, tx, &third, 200, |builder| builder.header(Header::Contact, "<sip:1@192.0.2.1:5070>;expires=60"));
    world.tell(alice, |core, ep, now| core.unregister(ep, now, id, false)).unwrap();
    let (tx, last) = world.request_at(raw);
    world.respond(raw, tx, &last, 200, |builder| builder);
    world.finish();
}
