//! A recorded run replays exactly, and can be looked at.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests stop at what they did not expect")]

use crate::common::{BOB, Pair, ms, request, request_to, secs};
use sip_message::Method;
use sip_transaction::{EndpointConfig, ReplayError, Transport, ladder, replay};

fn config() -> EndpointConfig {
    let mut config = EndpointConfig::default();
    config.transports = Transport::ALL.to_vec();
    config
}

/// A run with a bit of everything, both ends recorded from the start.
fn recorded() -> (Pair, String, String) {
    let mut pair = Pair::with(config()).answer("OPTIONS", &[200]).answer("INVITE", &[180]);
    let (alice, bob) = (pair.alice, pair.bob);
    let mut net = sim::Network::new(5);
    for (ip, seed) in [(crate::common::ALICE, 1), (BOB, 2)] {
        let mut endpoint = sip_transaction::Endpoint::new(config().into(), [seed; 32]);
        endpoint.start_recording();
        let node = net.add(ip, endpoint);
        net.bind(node, Transport::Udp, 5060);
        net.listen(node, Transport::Tcp, 5060, &[]);
        net.listen(node, Transport::Tls, 5061, &[]);
        net.listen(node, Transport::Ws, 80, &[]);
    }
    pair.net = net;
    pair.net.faults.jitter = core::time::Duration::from_millis(300);
    pair.net.faults.loss = 150;
    pair.net.faults.duplicates = 100;
    pair.net.faults.cut_streams = true;
    pair.net.dns.naptr("example.com", 1, 1, "SIP+D2U", "_sip._udp.example.com");
    pair.net.dns.srv("_sip._udp.example.com", 1, 1, 5060, "a").srv("_sip._udp.example.com", 1, 1, 5060, "b");
    pair.net.dns.address("a", "192.0.2.99").address("b", BOB);
    let invite = pair.request(request(Method::Invite));
    pair.request(request_to(Method::Options, "sip:bob@example.com", 2));
    pair.request(request_to(Method::Options, "sip:bob@192.0.2.2;transport=tcp", 3));
    pair.request(request_to(Method::Options, "sip:bob@192.0.2.2;transport=ws", 4));
    pair.until(ms(5_000));
    let flow = pair.net.host(alice).client_path(invite).map(|path| path.flow).unwrap();
    pair.net.host(alice).keep_alive(ms(5_000), flow, Some("192.0.2.2:5060".parse().unwrap()), Some(secs(20))).unwrap();
    let _ = pair.net.host(alice).cancel(ms(5_000), invite, Some("SIP;cause=200"));
    pair.until(ms(20_000));
    let (_, tx, message) =
        pair.got.iter().find(|(_, _, message)| message.method() == Some(Method::Invite)).unwrap().clone();
    let _ = pair.net.host(bob).respond(ms(20_000), tx, crate::common::response(&message, 487));
    pair.until(ms(120_000));
    pair.net.host(alice).close(ms(120_000), flow).unwrap();
    pair.finish();
    let recordings = [alice, bob].map(|node| pair.net.host(node).take_recording().unwrap());
    let [a, b] = recordings;
    (pair, a, b)
}

#[test]
fn a_run_replays_exactly() {
    let (_, a, b) = recorded();
    for (recording, seed) in [(&a, 1), (&b, 2)] {
        assert!(recording.lines().count() > 50);
        assert!(recording.is_ascii());
        let mut again = replay(config().into(), [seed; 32], recording).unwrap();
        while again.poll_event().is_some() {}
        assert!(again.is_idle());
    }
}

#[test]
fn another_seed_or_a_changed_recording_is_noticed() {
    let (_, a, _) = recorded();
    assert!(matches!(replay(config().into(), [9; 32], &a), Err(ReplayError::Diverged { .. })));
    let broken = a.replacen("\"at\":", "\"at\":x", 3);
    assert!(matches!(replay(config().into(), [1; 32], &broken), Err(ReplayError::Line { .. })));
    let shorter: String =
        a.lines().filter(|line| !line.contains("\"out\":\"event\"")).map(|line| format!("{line}\n")).collect();
    assert!(matches!(replay(config().into(), [1; 32], &shorter), Err(ReplayError::Diverged { .. })));
}

#[test]
fn the_ladder_shows_who_said_what() {
    let mut pair = Pair::new().answer("INVITE", &[180, 200]);
    let bob = pair.bob;
    pair.net.host(bob).start_recording();
    pair.request(request(Method::Invite));
    pair.until(ms(1_000));
    let recording = pair.net.host(bob).take_recording().unwrap();
    let picture = ladder(&recording);
    let expected = [
        "           192.0.2.1:5060                  192.0.2.2:5060",
        "    0.010  |--- INVITE sip:bob@192.0.2.2 --->",
        "    0.010  <--------- 180 Ringing ----------|",
        "    0.010  <------------ 200 OK ------------|",
        "    0.030  |---- ACK sip:bob@192.0.2.2 ----->",
        "",
    ]
    .join("\n");
    assert_eq!(picture, expected, "{picture}");
    assert_eq!(ladder("nothing\n{\"in\":\"datagram\"}").trim(), "");
}
