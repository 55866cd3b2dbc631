//! What the server answers itself, as a user agent server, when something is wrong with a request (RFC 3261 section 8.2).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use crate::common::{Peer, Server, options};
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

const INVITE: &str = "INVITE sip:busy@localhost SIP/2.0\r\nVia: SIP/2.0/UDP client.invalid;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
    To: <sip:busy@localhost>\r\nFrom: <sip:me@localhost>;tag=1\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n\
    Contact: <sip:me@client.invalid>\r\nContent-Length: 0\r\n\r\n";

//= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.2.3
//= type=test
//# If a UAS does not
//# understand an option-tag listed in a Require header field, it MUST
//# respond by generating a response with status code 420 (Bad
//# Extension).
#[test]
fn each_fault_is_answered_with_the_status_owed() {
    let server = Server::start(&["--udp", "0", "--tcp", "none", "--ws", "none", "--log", "off"]);
    let (udp, peer) = (server.address("udp"), Peer::new());
    let text = options("UDP").replace("client.invalid;", "client.invalid;rport;");
    let echo = text.replace("sip:localhost", "sip:echo@localhost");
    let busy = INVITE.replace("client.invalid;", "client.invalid;rport;");
    let with =
        |text: &str, field: &str| text.replace("Max-Forwards: 70\r\n", &format!("Max-Forwards: 70\r\n{field}\r\n"));
    for (nth, (request, status, tells)) in [
        (text.clone(), 200, "Supported: path, outbound, gruu"),
        (echo.clone(), 200, "Supported: 100rel, timer"),
        (with(&text, "Require: path, telepathy"), 420, "Unsupported: telepathy"),
        (with(&echo, "Require: 100rel, telepathy"), 420, "Unsupported: telepathy"),
        (with(&busy, "Require: telepathy"), 420, "Unsupported: telepathy"),
        (text.replace("1 OPTIONS", "1 INVITE"), 400, ""),
        (text.replace("1 OPTIONS", "4294967296 OPTIONS"), 400, ""),
        (text.replace("From: <sip:me@elsewhere.example>;tag=1\r\n", ""), 400, ""),
        (with(&text, "f: <sip:you@elsewhere.example>;tag=2"), 400, ""),
        (busy.replace("1 INVITE", "1 BYE"), 400, ""),
        (busy.replace("Call-ID: 1\r\n", ""), 400, ""),
        (busy.clone(), 486, ""),
        (echo.replace("OPTIONS", "MESSAGE"), 405, "Allow: INVITE"),
        (echo.replace("OPTIONS", "DANCE"), 501, "Allow: INVITE"),
        (with(&text, "Content-Type: text/plain").replace("Length: 0\r\n\r\n", "Length: 2\r\n\r\nhi"), 415, "Accept:"),
    ]
    .into_iter()
    .enumerate()
    {
        let request = request.replace("z9hG4bK", &format!("z9hG4bK{nth}x"));
        peer.socket.send_to(request.as_bytes(), udp).unwrap();
        let answer = peer.receive();
        assert!(answer.starts_with(&format!("SIP/2.0 {status} ")), "{request}{answer}");
        assert!(answer.contains(tells), "{request}{answer}");
        if request.starts_with("INVITE") {
            // So that it is not sent again.
            let ack = request.replace("INVITE ", "ACK ").replace("1 INVITE", "1 ACK").replace("1 BYE", "1 ACK");
            peer.socket.send_to(ack.as_bytes(), udp).unwrap();
        }
    }
}

//= https://www.rfc-editor.org/rfc/rfc3262#section-5
//= type=test
//# Similarly, if a reliable provisional response is the first reliable
//# message sent back to the UAC, and the INVITE did not contain an offer,
//# one MUST appear in that reliable provisional response.
#[test]
fn who_makes_no_offer_and_wants_reliable_responses_hears_it_ring_all_the_same() {
    let server = Server::start(&["--udp", "0", "--tcp", "none", "--ws", "none", "--log", "off"]);
    let (udp, peer) = (server.address("udp"), Peer::new());
    for (option, session) in [("Require", true), ("Supported", false)] {
        peer.send(udp, "INVITE", "sip:ring@localhost", "me@localhost", &format!("{option}: 100rel\r\n"));
        let ringing = loop {
            let answer = peer.receive();
            if answer.starts_with("SIP/2.0 180 ") && answer.contains(&format!("localhost{option}100rel")) {
                break answer;
            }
        };
        assert_eq!(ringing.contains("RSeq: ") && ringing.ends_with("a=inactive\r\n"), session, "{ringing}");
    }
}

/// With one worker or several, a message whose end is known takes nothing with it.
#[test]
fn a_connection_goes_on_behind_a_message_that_is_malformed_but_whole() {
    for workers in ["1", "2", "5"] {
        let server =
            Server::start(&["--udp", "none", "--tcp", "0", "--ws", "none", "--log", "off", "--workers", workers]);
        let mut stream = TcpStream::connect(server.address("tcp")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut read = BufReader::new(stream.try_clone().unwrap());
        let mut answer = || {
            let (mut head, mut line) = (String::new(), String::new());
            while line != "\r\n" {
                line.clear();
                assert_ne!(read.read_line(&mut line).unwrap(), 0, "the connection ended behind {head}");
                head.push_str(&line);
            }
            head
        };
        let good = options("TCP");
        for (n, (broken, status)) in [
            (good.replace("Max-Forwards: 70", "no colon"), 400),
            (
                good.replace("SIP/2.0\r\nVia", "SIP/2.0 x\r\nVia")
                    .replace("Length: 0\r\n\r\n", "Length: 5\r\n\r\nOPTIO"),
                400,
            ),
            (
                good.replace(
                    "Length: 0\r\n\r\n",
                    &format!("Length: 70000\r\n\r\n{}", "OPTIONS\r\n\r\n".repeat(7000).get(..70_000).unwrap()),
                ),
                413,
            ),
        ]
        .into_iter()
        .enumerate()
        {
            let named = |text: &str, m: usize| {
                let text = text.replace("z9hG4bK", &format!("z9hG4bK{n}x{m}"));
                text.replace("Call-ID: 1\r\n", &format!("Call-ID: {n}x{m}\r\n"))
            };
            stream.write_all(named(&broken, 0).as_bytes()).unwrap();
            let refused = answer();
            assert!(refused.starts_with(&format!("SIP/2.0 {status} ")), "{workers} {n}: {refused}");
            for m in 1..8 {
                stream.write_all(named(&good, m).as_bytes()).unwrap();
                let answered = answer();
                assert!(answered.starts_with("SIP/2.0 200 "), "{workers} {n}: {answered}");
            }
        }
    }
}

// RFC 4475 section 3.1.2.3: on a stream such a request is answered, and then there is nothing but to close.
//= https://www.rfc-editor.org/rfc/rfc3261#section-18.3
//= type=test
//# If the message is a request, the element
//# SHOULD generate a 400 (Bad Request) response.
#[test]
fn what_breaks_the_framing_is_answered_before_the_end() {
    for workers in ["1", "2"] {
        let server =
            Server::start(&["--udp", "none", "--tcp", "0", "--ws", "none", "--log", "off", "--workers", workers]);
        let mut stream = TcpStream::connect(server.address("tcp")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        // Of TLS at a plain port, with its first byte.
        stream.write_all(b"\x16\x03\x01").unwrap();
        assert!(!matches!(stream.read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock));
        for broken in ["Content-Length: -1", "Content-Length: 4294967296", "X: y"] {
            let mut stream = TcpStream::connect(server.address("tcp")).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
            stream.write_all(options("TCP").replace("Content-Length: 0", broken).as_bytes()).unwrap();
            let mut answer = Vec::new();
            match stream.read_to_end(&mut answer) {
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
                result => assert!(result.is_ok(), "{result:?}"),
            }
            let answer = String::from_utf8_lossy(&answer);
            assert!(answer.starts_with("SIP/2.0 4"), "{workers} {broken}: {answer}");
        }
    }
}
