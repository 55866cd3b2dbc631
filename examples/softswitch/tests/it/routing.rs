//! Where a request goes, by the options of a process: redirects, routes by prefix, and the figures that tell of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use crate::common::{Peer, Server};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

fn start(more: &[&str]) -> Server {
    Server::start(&[&["--udp", "0", "--tcp", "none", "--ws", "none", "--log", "off"], more].concat())
}

#[test]
fn a_user_is_redirected_to_if_that_is_wanted() {
    let server = start(&["--redirect"]);
    let (udp, phone) = (server.address("udp"), Peer::new());
    for (contact, q) in [("sip:bob@192.0.2.1", "0.3"), ("sip:bob@192.0.2.2", "0.8")] {
        let request = format!(
            "REGISTER sip:localhost SIP/2.0\r\nVia: SIP/2.0/UDP {0};branch=z9hG4bK{q}\r\nMax-Forwards: 70\r\n\
             To: <sip:bob@localhost>\r\nFrom: <sip:bob@localhost>;tag=1\r\nCall-ID: {q}\r\nCSeq: 1 REGISTER\r\n\
             Contact: <{contact}>;q={q}\r\nContent-Length: 0\r\n\r\n",
            phone.at
        );
        phone.socket.send_to(request.as_bytes(), udp).unwrap();
        assert!(phone.receive().starts_with("SIP/2.0 200"));
    }
    let answer = phone.ask(udp, "INVITE", "sip:bob@localhost", "alice@localhost", "");
    assert!(answer.starts_with("SIP/2.0 302"), "{answer}");
    assert!(answer.contains("<sip:bob@192.0.2.1>;q=0.3") && answer.contains("<sip:bob@192.0.2.2>;q=0.8"), "{answer}");
    assert!(phone.ask(udp, "INVITE", "sip:carol@localhost", "alice@localhost", "").starts_with("SIP/2.0 480"));
}

/// Whoever is called is known not to be there when ICMP says so, not 32 seconds later (408).
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.9
//= type=test
//# If the transport layer notifies a proxy of an error when it tries to
//# forward a request (see Section 18.4), the proxy MUST behave as if the
//# forwarded request received a 503 (Service Unavailable) response.
#[cfg(target_os = "linux")]
#[test]
fn a_phone_that_is_gone_is_known_to_be_at_once() {
    for workers in ["1", "3"] {
        let trace = std::env::temp_dir().join(format!("softswitch-gone-{workers}-{}", std::process::id()));
        let recorded = ["--trace", trace.to_str().unwrap(), "--drain", "1"];
        let mut server = start(&[&["--workers", workers][..], &recorded[..]].concat());
        let (udp, caller) = (server.address("udp"), Peer::new());
        // Gone, and registered by somebody who is not.
        let gone = Peer::new().at;
        let request = format!(
            "REGISTER sip:localhost SIP/2.0\r\nVia: SIP/2.0/UDP {};branch=z9hG4bKr\r\nMax-Forwards: 70\r\n\
             To: <sip:bob@localhost>\r\nFrom: <sip:bob@localhost>;tag=1\r\nCall-ID: r\r\nCSeq: 1 REGISTER\r\n\
             Contact: <sip:bob@{gone}>\r\nContent-Length: 0\r\n\r\n",
            caller.at
        );
        caller.socket.send_to(request.as_bytes(), udp).unwrap();
        assert!(caller.receive().starts_with("SIP/2.0 200"));
        for (n, method) in ["INVITE", "MESSAGE", "OPTIONS", "INFO"].into_iter().enumerate() {
            let answer = caller.ask(udp, method, "sip:bob@localhost", "alice@localhost", &format!("Subject: {n}\r\n"));
            assert!(answer.starts_with("SIP/2.0 500"), "{method}: {answer}");
        }
        // What ICMP said is in the trace.
        server.signal("TERM");
        server.ended();
        let replayed = Command::new(env!("CARGO_BIN_EXE_softswitch")).args(["--replay", recorded[1]]).output().unwrap();
        let said = String::from_utf8(replayed.stdout).unwrap();
        assert!(workers != "1" || said.contains("outputs are the same"), "{said}{:?}", replayed.stderr);
        fs::remove_file(&trace).unwrap();
    }
}

#[test]
fn the_longest_prefix_leads_to_its_gateway() {
    let (near, far, caller) = (Peer::new(), Peer::new(), Peer::new());
    let (short, long) = (format!("=sip:{}", near.at), format!("00=sip:{}", far.at));
    let server = start(&["--route", &short, "--route", &long]);
    let udp = server.address("udp");
    for (user, gateway) in [("0049123", &far), ("0123", &near), ("nobody", &near)] {
        caller.send(udp, "OPTIONS", &format!("sip:{user}@localhost"), "alice@localhost", "");
        let request = gateway.receive();
        assert!(request.starts_with(&format!("OPTIONS sip:{user}@{} SIP/2.0", gateway.at)), "{request}");
    }
}

#[test]
fn only_users_get_to_a_gateway() {
    let (gateway, stranger) = (Peer::new(), Peer::new());
    let server = start(&["--route", &format!("=sip:{}", gateway.at), "--user", "alice:wonderland"]);
    let udp = server.address("udp");
    let ask = |from: &str| stranger.ask(udp, "OPTIONS", "sip:00123@localhost", from, "");
    assert!(ask("mallory@elsewhere.example").starts_with("SIP/2.0 403"));
    // In the name of a user, one has to prove it.
    let answer = stranger.ask(udp, "MESSAGE", "sip:00123@localhost", "alice@localhost", "");
    assert!(answer.starts_with("SIP/2.0 407"), "{answer}");
}

#[test]
fn whether_it_lives_is_told_to_everybody() {
    let probe = Peer::new();
    let server = start(&["--user", "alice:wonderland"]);
    let udp = server.address("udp");
    for own in ["sip:localhost", "sip:127.0.0.1", &format!("sip:{udp}")] {
        let answer = probe.ask(udp, "OPTIONS", own, "alice@localhost", "");
        assert!(answer.starts_with("SIP/2.0 200") && answer.contains("\nAllow: "), "{own}: {answer}");
    }
    // Whether a user lives is not.
    assert!(probe.ask(udp, "OPTIONS", "sip:alice@localhost", "alice@localhost", "").starts_with("SIP/2.0 407"));
}

#[test]
fn figures_are_told() {
    let server = start(&["--metrics", "127.0.0.1:0", "--workers", "2"]);
    let (udp, phone) = (server.address("udp"), Peer::new());
    let answer = phone.ask(udp, "REGISTER", "sip:bob@localhost", "bob@localhost", "Expires: 60\r\n");
    assert!(answer.starts_with("SIP/2.0 200"), "{answer}");
    let mut stream = TcpStream::connect(server.address("metrics")).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 200") && text.contains("\nsoftswitch_bindings 1\n"), "{text}");
    assert!(text.contains("\nsoftswitch_requests_received_total 1\n"), "{text}");
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-16.4
//= type=test
//# If the
//# Request-URI of the request contains a value this proxy previously
//# placed into a Record-Route header field (see Section 16.6 item 4),
//# the proxy MUST replace the Request-URI in the request with the last
//# value from the Route header field, and remove that value from the
//# Route header field.
#[test]
fn options_that_a_strict_router_sends_go_on() {
    let (peer, far) = (Peer::new(), Peer::new());
    let server = start(&[]);
    let udp = server.address("udp");
    let route = format!("Route: <sip:bob@{}>\r\n", far.at);
    peer.send(udp, "OPTIONS", &format!("sip:{udp};lr"), "alice@localhost", &route);
    let request = far.receive();
    assert!(request.starts_with(&format!("OPTIONS sip:bob@{} SIP/2.0\r\n", far.at)), "{request}");
    // Without such a Route it is for the server.
    assert!(peer.ask(udp, "OPTIONS", &format!("sip:{udp};lr"), "alice@localhost", "").starts_with("SIP/2.0 200"));
}
