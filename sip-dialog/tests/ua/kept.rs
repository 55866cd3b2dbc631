//! What keeps the flow of a registration alive (RFC 5626 section 4.4), through all that may happen to it.

use sip_dialog::{Origin, Register, RegistrationId, UserAgent, UserAgentConfig};
use sip_message::{Header, Message, StatusCode};
use sip_transaction::{EndpointConfig, FlowId, Input, Instant, Transport};
use std::sync::Arc;
use std::time::Duration;

const REGISTRAR: &str = "192.0.2.9:5060";

/// A user agent with one connection to its registrar.
fn agent(seed: u8) -> (UserAgent, FlowId) {
    let config = UserAgentConfig::new("<sip:alice@192.0.2.1>");
    let mut agent = UserAgent::new(Arc::new(EndpointConfig::default()), Arc::new(config), [seed; 32]);
    let (local, remote) = ("192.0.2.1:40000".parse().unwrap(), REGISTRAR.parse().unwrap());
    let flow = agent.parts().1.attach(Transport::Tcp, local, remote, None).unwrap();
    (agent, flow)
}

/// Answers the REGISTER that waits to be sent.
fn answered(agent: &mut UserAgent, flow_timer: Option<&str>) {
    let sent = agent.poll_transmit().expect("a REGISTER");
    let request = Message::parse(sent.bytes).unwrap();
    let mut response = Message::response(&request, StatusCode::OK).to_tag("r");
    if let Some(seconds) = flow_timer {
        let contact = String::from_utf8(request.field(Header::Contact).unwrap().to_vec()).unwrap();
        let builder = response.header(Header::Contact, contact).header(Header::Require, "outbound");
        response = builder.header(Header::FlowTimer, seconds);
    }
    let bytes = response.build().unwrap().to_bytes();
    agent.handle_input(Instant::ZERO, Input::Stream { flow: sent.flow, bytes: &bytes }).unwrap();
    while agent.poll_event().is_some() {}
}

fn registered(agent: &mut UserAgent, who: &str, flow_timer: &str) -> RegistrationId {
    let register = Register::new(Origin::new(format!("<sip:{who}@example.org>")), "sip:192.0.2.9;transport=tcp");
    let register = register.instance("urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6", Some(1));
    let (core, endpoint) = agent.parts();
    let id = core.register(endpoint, Instant::ZERO, register).unwrap();
    answered(agent, Some(flow_timer));
    id
}

/// The pings of two minutes, each of which is answered.
fn pings(agent: &mut UserAgent) -> usize {
    let (mut now, end, mut pings) = (Instant::ZERO, Instant::ZERO + Duration::from_secs(120), 0);
    while let Some(at) = agent.poll_timeout().filter(|at| *at <= end) {
        now = now.max(at);
        agent.handle_timeout(now);
        while let Some(sent) = agent.poll_transmit() {
            assert_eq!(&sent.bytes[..], b"\r\n\r\n");
            pings += 1;
            assert!(pings < 1000, "without end");
            agent.handle_input(now, Input::Stream { flow: sent.flow, bytes: b"\r\n" }).unwrap();
        }
        while agent.poll_event().is_some() {}
    }
    pings
}

//= https://www.rfc-editor.org/rfc/rfc5626#section-4.4
//= type=test
//# The UA MUST send keep-alives at least as often as this number of
//# seconds.
#[test]
fn in_another_process_too() {
    let (mut old, _) = agent(1);
    registered(&mut old, "alice", "30");
    let (state, transactions) = (old.export(Instant::ZERO), old.endpoint().export(Instant::ZERO));
    let (mut new, flow) = agent(2);
    let (core, endpoint) = new.parts();
    endpoint.import(Instant::ZERO, &transactions, |_| Some(flow)).unwrap();
    core.import(endpoint, Instant::ZERO, &state, |_| Some(flow)).unwrap();
    assert!(pings(&mut new) >= 4);
}

#[test]
fn when_one_of_two_registrations_over_it_goes() {
    let (mut agent, _) = agent(1);
    let alice = registered(&mut agent, "alice", "30");
    registered(&mut agent, "bob", "30");
    let (core, endpoint) = agent.parts();
    core.unregister(endpoint, Instant::ZERO, alice, false).unwrap();
    answered(&mut agent, None);
    assert!(pings(&mut agent) >= 4);
}

#[test]
fn whatever_the_registrar_asks_for() {
    let (mut agent, _) = agent(1);
    registered(&mut agent, "alice", "0");
    let pings = pings(&mut agent);
    assert!((120..=152).contains(&pings), "{pings}");
}

#[test]
fn not_for_a_registrar_that_no_registration_over_the_socket_has_any_more() {
    let config = UserAgentConfig::new("<sip:alice@192.0.2.1>");
    let mut agent = UserAgent::new(Arc::new(EndpointConfig::default()), Arc::new(config), [1; 32]);
    let flow = agent.parts().1.bind(Transport::Udp, "192.0.2.1:5060".parse().unwrap()).unwrap();
    let mut ids = Vec::new();
    let registered = |agent: &mut UserAgent| {
        let sent = agent.poll_transmit().expect("a REGISTER");
        let request = Message::parse(sent.bytes).unwrap();
        let contact = String::from_utf8(request.field(Header::Contact).unwrap().to_vec()).unwrap();
        let response = Message::response(&request, StatusCode::OK).to_tag("r").header(Header::Contact, contact);
        let response = response.header(Header::Require, "outbound").header(Header::FlowTimer, "30").build().unwrap();
        let bytes = response.to_bytes();
        agent.handle_input(Instant::ZERO, Input::Datagram { flow, remote: sent.remote, bytes: &bytes }).unwrap();
        while agent.poll_event().is_some() {}
    };
    for registrar in ["sip:192.0.2.8", "sip:192.0.2.9"] {
        let register = Register::new(Origin::new("<sip:alice@example.org>"), registrar);
        let register = register.instance("urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6", Some(1));
        let (core, endpoint) = agent.parts();
        ids.push(core.register(endpoint, Instant::ZERO, register).unwrap());
        registered(&mut agent);
    }
    let (core, endpoint) = agent.parts();
    core.unregister(endpoint, Instant::ZERO, ids[0], false).unwrap();
    registered(&mut agent);
    let mut pinged = Vec::new();
    let (mut now, end) = (Instant::ZERO, Instant::ZERO + Duration::from_secs(30));
    while let Some(at) = agent.poll_timeout().filter(|at| *at <= end) {
        now = now.max(at);
        agent.handle_timeout(now);
        while let Some(sent) = agent.poll_transmit() {
            pinged.push(sent.remote.to_string());
        }
        while agent.poll_event().is_some() {}
    }
    pinged.dedup();
    assert_eq!(pinged, [REGISTRAR]);
}

#[test]
fn not_the_flow_before_once_the_registration_has_another() {
    let (mut agent, old) = agent(1);
    let alice = registered(&mut agent, "alice", "30");
    let (local, remote) = ("192.0.2.1:40001".parse().unwrap(), REGISTRAR.parse().unwrap());
    let (core, endpoint) = agent.parts();
    let flow = endpoint.attach(Transport::Tcp, local, remote, None).unwrap();
    let path = endpoint.flow_path(flow).unwrap();
    core.rebind_registration(endpoint, Instant::ZERO, alice, Some(path), None).unwrap();
    answered(&mut agent, Some("30"));
    let mut now = Instant::ZERO;
    let mut pinged = Vec::new();
    while let Some(at) = agent.poll_timeout().filter(|at| *at <= Instant::ZERO + Duration::from_secs(30)) {
        now = now.max(at);
        agent.handle_timeout(now);
        pinged.extend(std::iter::from_fn(|| agent.poll_transmit()).map(|sent| sent.flow));
        while agent.poll_event().is_some() {}
    }
    assert_eq!(pinged, [flow], "not {old}");
}
