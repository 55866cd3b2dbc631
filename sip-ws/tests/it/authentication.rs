//! RFC 7118 section 7: HTTP authentication of the opening handshake, both ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers too are tests

use crate::common::{at, feed, field, output};
use sip_ws::{
    Accept, Answer, Cause, ClientRequest, Config, Connection, Event, Instant, ResponseHead,
    auth::{Algorithm, AuthError, Authenticator, Authorization, Challenge, Credentials, Secret},
};
use std::time::Duration;

const ALL: [Algorithm; 3] = [Algorithm::Sha512Trunc256, Algorithm::Sha256, Algorithm::Md5];

fn authenticator() -> Authenticator {
    Authenticator::new("example.com \"x\"", [9; 32], Duration::from_secs(60))
}

/// One attempt: what the server found, and what the client heard.
fn attempt(
    request: &ClientRequest,
    now: Instant,
    challenges: &[Challenge],
    password: &str,
) -> (Result<(), AuthError>, Option<ResponseHead>) {
    let mut client = Connection::client(now, Config::sip(), request, [1; 32]).unwrap();
    let mut server = Connection::server(now, Config::sip());
    feed(&mut server, &output(&mut client));
    let Some(Event::Upgrade(head)) = server.poll_event() else { panic!() };
    let checked = match head.authorization() {
        None => Err(AuthError::NoChallenge),
        Some(value) => Authorization::parse(value).and_then(|sent| {
            assert_eq!(sent.user(), "alice");
            authenticator().check(now, &sent, head.method(), head.target(), Secret::Password(password))
        }),
    };
    match checked {
        Ok(()) => server.accept(now, Accept::new().identity("alice")).unwrap(),
        Err(AuthError::Stale) => {
            server.answer(now, Answer::unauthorized(&authenticator().stale_challenges(now, &ALL))).unwrap();
        }
        Err(_) => server.answer(now, Answer::unauthorized(challenges)).unwrap(),
    }
    let bytes = output(&mut server);
    if checked.is_err() {
        let head = String::from_utf8(bytes.clone()).unwrap();
        assert!(head.starts_with("HTTP/1.1 401 Unauthorized\r\n"));
        assert!(field(&head, "WWW-Authenticate").is_some() || challenges.is_empty());
    }
    feed(&mut client, &bytes);
    let response = match client.poll_event() {
        Some(Event::Closed(closed)) => match closed.cause {
            Cause::Refused(response) => Some(*response),
            other => panic!("{other:?}"),
        },
        Some(Event::Open(_)) => None,
        other => panic!("{other:?}"),
    };
    (checked, response)
}

fn request() -> ClientRequest {
    ClientRequest::new("wss://edge.example.com/sip?a=b".parse().unwrap())
}

fn alice() -> Credentials {
    Credentials::new("alice", "secret:\"word\"")
}

//= https://www.rfc-editor.org/rfc/rfc7118#section-7
//= type=test
//# A SIP WebSocket Client MUST be ready to be challenged with an HTTP
//# 401 status code [RFC2617] by the SIP WebSocket Server when
//# performing the WebSocket handshake.
//= https://www.rfc-editor.org/rfc/rfc7118#section-7
//= type=test
//# A SIP WebSocket Server SHOULD be able to reject a WebSocket
//# handshake request with an HTTP 401 status code by providing a
//# Basic/Digest challenge as defined for the HTTP protocol.
#[test]
fn a_challenge_is_answered_on_a_fresh_connection() {
    let digests = authenticator().challenges(at(0), &ALL);
    let basic = authenticator().basic_challenge();
    for (challenges, scheme, algorithm) in [
        (digests.clone(), "Digest", Some(Algorithm::Sha512Trunc256)),
        (vec![basic.clone(), digests[2].clone(), digests[1].clone()], "Digest", Some(Algorithm::Sha256)),
        (vec![digests[2].clone(), basic.clone()], "Digest", Some(Algorithm::Md5)),
        (vec![basic], "Basic", None),
    ] {
        let (_, response) = attempt(&request(), at(0), &challenges, "");
        let response = response.unwrap();
        let strongest = Challenge::strongest(&response).unwrap();
        assert_eq!((strongest.realm(), strongest.is_stale()), ("example.com \"x\"", false));
        let second = request().authorize(&response, &alice(), [2; 32]).unwrap();
        let mut client = Connection::client(at(0), Config::sip(), &second, [1; 32]).unwrap();
        let sent = field(&String::from_utf8(output(&mut client)).unwrap(), "Authorization").unwrap();
        assert!(sent.starts_with(scheme), "{sent}");
        assert_eq!(Authorization::parse(&sent).unwrap().algorithm(), algorithm);
        assert_eq!(attempt(&second, at(1000), &challenges, "secret:\"word\""), (Ok(()), None));
        // A wrong password is not tried for ever.
        let (checked, response) = attempt(&second, at(1000), &challenges, "other");
        assert_eq!(checked, Err(AuthError::Wrong));
        assert_eq!(second.authorize(&response.unwrap(), &alice(), [3; 32]), Err(AuthError::Refused));
    }
}

#[test]
fn an_old_nonce_is_stale_and_answered_again() {
    let (_, response) = attempt(&request(), at(0), &authenticator().challenges(at(0), &ALL), "");
    let second = request().authorize(&response.unwrap(), &alice(), [2; 32]).unwrap();
    let (checked, response) = attempt(&second, at(60_001), &[], "secret:\"word\"");
    assert_eq!(checked, Err(AuthError::Stale));
    let third = second.authorize(&response.unwrap(), &alice(), [3; 32]).unwrap();
    assert_eq!(attempt(&third, at(60_001), &[], "secret:\"word\""), (Ok(()), None));
}

#[test]
fn a_digest_is_bound_to_its_server_and_request() {
    let (_, response) = attempt(&request(), at(0), &authenticator().challenges(at(0), &[Algorithm::Sha256]), "");
    let second = request().authorize(&response.unwrap(), &alice(), [2; 32]).unwrap();
    let mut client = Connection::client(at(0), Config::sip(), &second, [1; 32]).unwrap();
    let sent = field(&String::from_utf8(output(&mut client)).unwrap(), "Authorization").unwrap();
    let check = |server: &Authenticator, value: &str, method, target, secret| {
        Authorization::parse(value).and_then(|sent| server.check(at(0), &sent, method, target, secret))
    };
    let server = authenticator();
    let password = Secret::Password("secret:\"word\"");
    assert_eq!(check(&server, &sent, "GET", "/sip?a=b", password), Ok(()));
    assert_eq!(check(&server, &sent, "GET", "/other", password), Err(AuthError::Wrong));
    assert_eq!(check(&server, &sent, "POST", "/sip?a=b", password), Err(AuthError::Wrong));
    let other = Authenticator::new("example.com \"x\"", [8; 32], Duration::from_secs(60));
    assert_eq!(check(&other, &sent, "GET", "/sip?a=b", password), Err(AuthError::Wrong));
    assert_eq!(
        check(&server, &sent.replace("nonce=\"0", "nonce=\"1"), "GET", "/sip?a=b", password),
        Err(AuthError::Wrong)
    );
    assert_eq!(check(&server, &sent, "GET", "/sip?a=b", Secret::Ha1("00")), Err(AuthError::Wrong));
    for broken in [
        "",
        "Digest",
        "Bearer x",
        "Basic !!!",
        "Basic YWxpY2U=",
        "Digest username=\"alice\"",
        &sent.replace("SHA-256", "SHA-256-sess"),
        &sent.replace("qop=auth", "qop=auth-int"),
        &sent.replace("nc=00000001, ", ""),
        &format!("{sent}, username=\"bob\""),
    ] {
        assert_eq!(check(&server, broken, "GET", "/sip?a=b", password), Err(AuthError::Malformed), "{broken}");
    }
}

#[test]
fn what_cannot_be_answered_is_said() {
    let mut client = Connection::client(at(0), Config::sip(), &request(), [1; 32]).unwrap();
    let _ = output(&mut client);
    feed(
        &mut client,
        b"HTTP/1.1 401 x\r\nWWW-Authenticate: Negotiate\r\nWWW-Authenticate: Digest realm=\"a\", \
        nonce=\"b\", algorithm=SHA-999\r\n\r\n",
    );
    let Some(Event::Closed(closed)) = client.poll_event() else { panic!() };
    let Cause::Refused(response) = closed.cause else { panic!() };
    assert_eq!(Challenge::strongest(&response), None);
    assert_eq!(request().authorize(&response, &alice(), [2; 32]), Err(AuthError::NoChallenge));
}

#[test]
fn secrets_are_not_shown() {
    let shown = format!("{:?} {:?}", alice(), Authorization::parse("Basic YTpzZWNyZXQ=").unwrap());
    assert!(shown.contains("alice") && !shown.contains("secret"), "{shown}");
}
