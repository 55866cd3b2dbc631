//! When user agents are woken to refresh their bindings, whoever has put these there.
#![allow(clippy::unwrap_used, reason = "a test")]

use core::time::Duration;
use sip_server::{
    Binding, BindingParts, LocationTable, Registrar, RegistrarConfig, RegistrarEvent, Server, ServerConfig,
    ServerEvent, Store,
};
use sip_transaction::{Endpoint, EndpointConfig, Event, Input, Instant, Transport};
use std::sync::Arc;

const BOB: &str = "sip:bob@example.com";
const LOCAL: &str = "192.0.2.10:5060";

fn at(seconds: u64) -> Instant {
    Instant::from_millis(seconds * 1000)
}

fn sleeper(ends: Instant) -> Binding {
    let contact = "sip:bob@192.0.2.2;pn-provider=acme;pn-prid=x";
    Binding::new(&BindingParts { contact, call_id: "c", cseq: 1, expires: ends, wakes: true, ..Default::default() })
}

fn config() -> RegistrarConfig {
    let mut config = RegistrarConfig::default();
    config.domains = vec!["example.com".into()];
    config.push = vec!["acme".into()];
    config
}

fn endpoint() -> Endpoint {
    Endpoint::new(Arc::new(EndpointConfig::default()), [1; 32])
}

/// When and for whom the server asks for wake-ups until `end`, if it is called when it wants to be.
fn wake_ups(server: &mut Server, end: Instant) -> Vec<(Instant, String)> {
    let mut woken = Vec::new();
    let mut now = Instant::ZERO;
    while let Some(next) = server.poll_timeout().filter(|&next| next <= end) {
        now = now.max(next);
        server.handle_timeout(now);
        while let Some(event) = server.poll_event() {
            if let ServerEvent::Registrar(RegistrarEvent::Wake { aor, .. }) = event {
                woken.push((now, aor));
            }
        }
    }
    woken
}

#[test]
fn bindings_that_were_taken_in_are_refreshed() {
    let server = || {
        let mut config = ServerConfig::for_domain("example.com");
        config.registrar.push = vec!["acme".into()];
        Server::new(config, [9; 32])
    };
    let mut first = server();
    let table = first.registrar_mut().table_mut().unwrap();
    table.store(BOB, 0, vec![sleeper(at(600))], Instant::ZERO).unwrap();
    table.store("sip:carol@example.com", 0, vec![sleeper(at(400))], Instant::ZERO).unwrap();
    let bytes = first.export(at(300));
    let mut second = server();
    second.import(Instant::ZERO, &bytes, |_| None).unwrap();
    // Carol should have been woken before: she is at once. Each once.
    let expected = [(at(0), "sip:carol@example.com".to_owned()), (at(170), BOB.to_owned())];
    assert_eq!(wake_ups(&mut second, at(1000)), expected);
    // By hand it is the same.
    let expected = [(at(270), "sip:carol@example.com".to_owned()), (at(470), BOB.to_owned())];
    assert_eq!(wake_ups(&mut first, at(1000)), expected);
}

#[test]
fn one_call_wakes_no_more_than_some() {
    let mut registrar = Registrar::new(config(), [1; 32]);
    let table = registrar.table_mut().unwrap();
    for n in 0..1500 {
        table.store(&format!("sip:u{n}@example.com"), 0, vec![sleeper(at(600))], Instant::ZERO).unwrap();
    }
    let mut endpoint = endpoint();
    let mut counts = Vec::new();
    while registrar.poll_timeout().unwrap() <= at(470) {
        registrar.handle_timeout(&mut endpoint, at(470));
        counts.push(std::iter::from_fn(|| registrar.poll_event()).count());
    }
    assert_eq!(counts, [1024, 476]);
}

/// With bindings kept elsewhere, too, only those that a REGISTER has refreshed are awake.
#[test]
fn a_register_wakes_no_other_contact_of_its_call_id() {
    let mut registrar = Registrar::with_external_store(config(), [1; 32]);
    let mut store = LocationTable::new([2; 32]);
    let mut endpoint = endpoint();
    let flow = endpoint.bind(Transport::Udp, LOCAL.parse().unwrap()).unwrap();
    let mut awake = Vec::new();
    for (cseq, phone) in [(1, "a"), (2, "b")] {
        let text = format!(
            "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK{phone}\r\n\
             Max-Forwards: 70\r\nTo: <{BOB}>\r\nFrom: <{BOB}>;tag=r\r\nCall-ID: one\r\nCSeq: {cseq} REGISTER\r\n\
             Contact: <sip:{phone}@192.0.2.2;pn-provider=acme;pn-prid={phone}>\r\nContent-Length: 0\r\n\r\n"
        );
        let (now, remote) = (Instant::ZERO + Duration::from_secs(cseq), "192.0.2.2:5060".parse().unwrap());
        endpoint.handle_input(now, Input::Datagram { flow, remote, bytes: text.as_bytes() }).unwrap();
        while let Some(event) = endpoint.poll_event() {
            assert!(!matches!(registrar.handle(&mut endpoint, now, event), Some(Event::Request { .. })));
        }
        while let Some(event) = registrar.poll_event() {
            let left = registrar.answer_with(&mut store, &mut endpoint, now, event);
            if let Some(RegistrarEvent::Awake { binding, .. }) = left {
                awake.push((cseq, binding.contact().to_owned()));
            }
        }
    }
    let awake: Vec<(u64, &str)> = awake.iter().map(|(cseq, contact)| (*cseq, &contact[4..5])).collect();
    assert_eq!(awake, [(1, "a"), (2, "b")]);
    assert_eq!(store.len(), 2);
}
