//! What our own telephone sends, and what softswitch sends to it, in the eyes of tshark: no malformed packet, no expert error, over
//! UDP, TCP and WebSocket.

use crate::softphone::Phone;
use interop::{Capture, Scratch, Softswitch, program};

#[test]
fn nothing_that_is_sent_is_malformed() {
    let Some(tshark) = program("tshark") else { return };
    let scratch = Scratch::new("tshark-phone");
    let switch = Softswitch::start(&scratch, &["--user", "alice:wonderland", "--user", "bob:builder"]);
    let port = |transport: &str| switch.address(transport).port();
    // The dissector of HTTP finds the upgrade, and what follows, by itself.
    let ports = [("udp", port("udp"), "sip"), ("tcp", port("tcp"), "sip"), ("tcp", port("ws"), "http")];
    let capture = Capture::start(&tshark, &ports, &scratch);
    let phone = |user: &str, transport: &str, rest: &[&str]| {
        let server = format!("localhost:{}", port(transport));
        Phone::start(user, &[&["--server", &server, "--transport", transport, "--user", user], rest].concat(), &scratch)
    };
    for transport in ["udp", "tcp", "ws"] {
        let mut bob = phone("bob:builder", transport, &["--auto", "--calls", "1", "answer"]);
        bob.until("registered", 1);
        for rest in
            [&["message", "bob", "Guten Tag \u{1f44b}"][..], &["options", "bob"], &["--for", "1", "subscribe", "bob"]]
        {
            let ended = phone("alice:wonderland", transport, rest).finish();
            assert_eq!(ended.code, Some(0), "{rest:?} over {transport}: {}", ended.events);
        }
        assert_eq!(phone("alice:wonderland", transport, &["call", "busy"]).finish().code, Some(4));
        let mut ringing = phone("alice:wonderland", transport, &["call", "ring"]);
        ringing.until("ringing", 1);
        ringing.key("e");
        assert_eq!(ringing.finish().code, Some(6));
        let mut alice = phone("alice:wonderland", transport, &["--register", "call", "bob"]);
        alice.until("confirmed", 1);
        alice.key("h");
        bob.until("held", 1);
        // Bob knows it first: Alice may not ask again before she has the answer.
        alice.until("held", 1);
        alice.key("h");
        bob.until("resumed", 1);
        alice.until("resumed", 1);
        alice.key("d 1#");
        bob.until("tone", 2);
        alice.key("t echo");
        bob.until("transferred", 1);
        alice.finish();
        bob.quit();
        bob.finish();
    }
    let captured = capture.finish();
    for transport in ["udp", "tcp", "ws"] {
        let port = port(transport);
        let of = if transport == "udp" { format!("udp.port=={port}") } else { format!("tcp.port=={port}") };
        for method in ["REGISTER", "INVITE", "ACK", "BYE", "CANCEL", "INFO", "REFER", "NOTIFY", "SUBSCRIBE", "MESSAGE"]
        {
            let seen = captured.read(&format!("{of} && sip.Method == \"{method}\""));
            assert!(!seen.is_empty(), "no {method} was seen over {transport}");
        }
        let faults = captured.read(&format!("{of} && sip && (_ws.malformed || _ws.expert.severity == error)"));
        assert!(faults.is_empty(), "{transport}: {faults}");
    }
}
