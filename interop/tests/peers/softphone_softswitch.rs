//! Two telephones and a server, all of them ours, over UDP, TCP, TLS and WebSocket: registration with digest, calls with sound, hold,
//! tones, transfer, refusal, messages, and the exit codes that tell how it went.

use crate::softphone::{DATA, Phone};
use interop::{Scratch, Softswitch};

fn switch(scratch: &Scratch) -> Softswitch {
    let (cert, key) = (format!("{DATA}/cert.pem"), format!("{DATA}/key.pem"));
    Softswitch::start(
        scratch,
        &[
            // Certificates are for this name: Record-Route must show it.
            "--advertise",
            "localhost",
            "--tls",
            "127.0.0.1:0",
            "--wss",
            "127.0.0.1:0",
            "--cert",
            &cert,
            "--key",
            &key,
            "--user",
            "alice:wonderland",
            "--user",
            "bob:builder",
            "--user",
            "carol:singer",
        ],
    )
}

fn start(user: &str, password: &str, transport: &str, switch: &Softswitch, rest: &[&str], scratch: &Scratch) -> Phone {
    let server = format!("localhost:{}", switch.address(transport).port());
    let (user, authorities) = (format!("{user}:{password}"), format!("{DATA}/ca.pem"));
    let name = user.replace(':', "-");
    let mut arguments =
        vec!["--server", &server, "--transport", transport, "--user", &user, "--authorities", &authorities];
    arguments.extend(rest);
    Phone::start(&name, &arguments, scratch)
}

fn bob(transport: &str, switch: &Softswitch, rest: &[&str], scratch: &Scratch) -> Phone {
    let phone = start("bob", "builder", transport, switch, &[rest, &["answer"]].concat(), scratch);
    phone.until("registered", 1);
    phone
}

/// Calls from each of these transports to each, each as registered and as unregistered caller: sound both ways, and a BYE that
/// arrives, which it only does over the connection the call was made on.
fn calls(name: &str, from: &[&str], to: &[&str]) {
    let scratch = Scratch::new(name);
    let switch = switch(&scratch);
    for (n, (from, to)) in from.iter().flat_map(|from| to.iter().map(move |to| (*from, *to))).enumerate() {
        let callee = bob(to, &switch, &["--auto", "--calls", "1"], &scratch);
        let registers = n % 2 == 0;
        let rest: &[&str] = if registers { &["--register"] } else { &[] };
        let rest = [rest, &["--for", "1", "call", "bob"]].concat();
        let caller = start("alice", "wonderland", from, &switch, &rest, &scratch).finish();
        let callee = callee.finish();
        caller.talked();
        callee.talked();
        assert_eq!(caller.events.contains("\"unregistered\""), registers, "{}", caller.events);
        assert!(caller.events.contains("BYE "), "the ladder shows it: {}", caller.events);
    }
}

#[test]
fn calls_from_udp_and_tcp_reach_every_transport() {
    calls("phones", &["udp", "tcp"], &["udp", "tcp", "tls", "ws", "wss"]);
}

#[test]
fn calls_from_tls_reach_every_transport() {
    calls("phones-tls", &["tls"], &["udp", "tcp", "tls", "ws", "wss"]);
}

#[test]
fn calls_from_websocket_reach_every_transport() {
    calls("phones-ws", &["ws", "wss"], &["udp", "tcp", "tls", "ws", "wss"]);
}

#[test]
fn keys_hold_the_call_and_send_tones() {
    let scratch = Scratch::new("keys");
    let switch = switch(&scratch);
    let mut callee = bob("udp", &switch, &["--calls", "1"], &scratch);
    let mut caller = start("alice", "wonderland", "udp", &switch, &["call", "bob"], &scratch);
    caller.until("ringing", 1);
    callee.key("a");
    caller.until("confirmed", 1);
    caller.key("h");
    callee.until("held", 1);
    caller.until("held", 1);
    caller.key("h");
    callee.until("resumed", 1);
    caller.until("resumed", 1);
    caller.key("d 4#");
    callee.until("tone", 2);
    callee.key("h");
    caller.until("held", 2);
    callee.key("h");
    caller.until("resumed", 2);
    callee.key("e");
    caller.finish().talked();
    callee.finish().talked();
}

#[test]
fn the_exit_code_tells_how_it_went() {
    let scratch = Scratch::new("codes");
    let switch = switch(&scratch);
    let alice = |password: &str, rest: &[&str]| start("alice", password, "udp", &switch, rest, &scratch).finish().code;
    assert_eq!(alice("wonderland", &["call", "busy"]), Some(4));
    assert_eq!(alice("wonderland", &["call", "nobody"]), Some(7));
    assert_eq!(alice("guess", &["call", "busy"]), Some(5));
    assert_eq!(alice("guess", &["register"]), Some(5));
    let callee = bob("udp", &switch, &["--for", "0"], &scratch);
    assert_eq!(alice("wonderland", &["message", "bob", "Guten Tag"]), Some(0));
    callee.until("message", 1);
    assert!(callee.events().contains("\"text\":\"Guten Tag\""), "{}", callee.events());
    let asked = start("alice", "wonderland", "udp", &switch, &["options", "busy"], &scratch).finish();
    assert_eq!(asked.code, Some(0));
    // Challenged and answered, with nothing sent twice: the first datagram is not lost.
    assert_eq!(asked.events.matches("-- OPTIONS").count(), 2, "{}", asked.events);
    assert_eq!(alice("wonderland", &["options", "bob"]), Some(0));
    let mut ringing = start("alice", "wonderland", "udp", &switch, &["call", "ring"], &scratch);
    ringing.until("ringing", 1);
    ringing.key("e");
    assert_eq!(ringing.finish().code, Some(6));
}

#[test]
fn a_call_is_transferred_blind_and_attended() {
    let scratch = Scratch::new("transfer");
    let switch = switch(&scratch);
    for attended in [false, true] {
        let callee = bob("udp", &switch, &["--auto"], &scratch);
        let carol = start("carol", "singer", "udp", &switch, &["--auto", "--calls", "1", "answer"], &scratch);
        carol.until("registered", 1);
        let mut caller = start("alice", "wonderland", "udp", &switch, &["--register", "call", "bob"], &scratch);
        caller.until("confirmed", 1);
        if attended {
            caller.key("c carol");
            caller.until("confirmed", 2);
            caller.key("j");
        } else {
            caller.key("t carol");
        }
        callee.until("transferred", 1);
        assert_eq!(caller.finish().code, Some(0));
        carol.until("confirmed", if attended { 2 } else { 1 });
        drop(callee);
        drop(carol);
    }
}
