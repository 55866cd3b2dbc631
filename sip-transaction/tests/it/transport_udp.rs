//! Transport rules over UDP: what is put into Via, where responses go, what is thrown away (RFC 3261 section 18, RFC 3581).
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests stop at what they did not expect")]

use crate::common::{ALICE, BOB, Pair, ms, request, request_to};
use core::net::SocketAddr;
use sip_message::{Header, Message, Method};
use sip_transaction::{
    Destination, Endpoint, EndpointConfig, Event, FailCause, Input, InputError, Outcome, SendCause, SentBy, Target,
    Transmit, Transport,
};

/// One endpoint with a socket, and requests put to it by hand.
struct Server {
    endpoint: Endpoint,
    socket: sip_transaction::FlowId,
}

impl Server {
    fn new(config: EndpointConfig) -> Server {
        let mut endpoint = Endpoint::new(config.into(), [5; 32]);
        let socket = endpoint.bind(Transport::Udp, "192.0.2.2:5060".parse().unwrap()).unwrap();
        Server { endpoint, socket }
    }

    fn input(&mut self, remote: &str, bytes: &[u8]) -> Result<(), InputError> {
        let remote: SocketAddr = remote.parse().unwrap();
        self.endpoint.handle_input(ms(0), Input::Datagram { flow: self.socket, remote, bytes })
    }

    /// The request as its user sees it, and the answer as it goes out.
    fn exchange(&mut self, via: &str, remote: &str) -> (Message, Transmit) {
        self.input(remote, options(via).as_bytes()).unwrap();
        let Some(Event::Request { tx, message, .. }) = self.endpoint.poll_event() else { panic!("a request") };
        self.endpoint.respond(ms(0), tx, crate::common::response(&message, 200)).unwrap();
        (*message, self.endpoint.poll_transmit().unwrap())
    }
}

fn options(via: &str) -> String {
    format!(
        "OPTIONS sip:bob@192.0.2.2 SIP/2.0\r\nVia: {via}\r\nMax-Forwards: 70\r\nFrom: <sip:a@b>;tag=1\r\n\
         To: <sip:c@d>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
}

#[test]
fn via_says_where_the_response_is_wanted() {
    let mut pair = Pair::new();
    pair.request(request(Method::Options));
    pair.until(ms(5));
    let sent = Message::parse(pair.text(ALICE, "OPTIONS").remove(0).into()).unwrap();
    let via = sent.top_via().unwrap();
    //= https://www.rfc-editor.org/rfc/rfc3261#section-18.1.1
    //= type=test
    //# Before a request is sent, the client transport MUST insert a value of
    //# the "sent-by" field into the Via header field.
    assert_eq!(via.sent_by_bytes(), b"192.0.2.1:5060");
    assert!(via.branch().unwrap().unwrap().starts_with("z9hG4bK"));
    //= https://www.rfc-editor.org/rfc/rfc3581#section-3
    //= type=test
    //# A client, compliant to this specification (clients include UACs and proxies), MAY include an "rport"
    //# parameter in the top Via header field value of requests it generates.
    //= https://www.rfc-editor.org/rfc/rfc3581#section-3
    //= type=test
    //# This parameter MUST have no
    //# value; it serves as a flag to indicate to the server that this
    //# extension is supported and requested for the transaction.
    assert_eq!(via.rport(), Ok(Some(None)));

    let mut config = EndpointConfig::default();
    config.sent_by.push(SentBy { transport: Transport::Udp, host: "sip.example.com".into(), port: None });
    let mut pair = Pair::with(config).answer("OPTIONS", &[200]);
    pair.request(request(Method::Options));
    pair.finish();
    let sent = Message::parse(pair.text(ALICE, "OPTIONS").remove(0).into()).unwrap();
    assert_eq!(sent.top_via().unwrap().sent_by_bytes(), b"sip.example.com");
    assert_eq!(pair.ended[0].1, Outcome::Completed, "the response is recognised by that name");
}

#[test]
fn each_request_has_a_branch_of_its_own() {
    let mut pair = Pair::new();
    for cseq in 0..100 {
        pair.request(request_to(Method::Options, "sip:bob@192.0.2.2", cseq));
    }
    pair.until(ms(5));
    let texts = pair.text(ALICE, "OPTIONS");
    let mut branches: Vec<_> =
        texts.iter().map(|text| text.split("branch=").nth(1).unwrap()[..27].to_owned()).collect();
    branches.sort();
    branches.dedup();
    assert_eq!(branches.len(), 100);
}

#[test]
fn received_is_noted_when_sent_by_is_not_the_source() {
    let mut server = Server::new(EndpointConfig::default());
    //= https://www.rfc-editor.org/rfc/rfc3261#section-18.2.1
    //= type=test
    //# When the server transport receives a request over any transport, it
    //# MUST examine the value of the "sent-by" parameter in the top Via
    //# header field value.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-18.2.1
    //= type=test
    //# If the host portion of the "sent-by" parameter
    //# contains a domain name, or if it contains an IP address that differs
    //# from the packet source address, the server MUST add a "received"
    //# parameter to that Via header field value.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-18.2.1
    //= type=test
    //# This parameter MUST contain
    //# the source address from which the packet was received.
    for (sent_by, noted) in
        [("a.example.com", true), ("10.1.1.1", true), ("192.0.2.7", false), ("192.0.2.7:5080", false)]
    {
        let via = format!("SIP/2.0/UDP {sent_by};branch=z9hG4bK{}", sent_by.len());
        let (message, _) = server.exchange(&via, "192.0.2.7:4000");
        let received = message.top_via().unwrap().received().unwrap();
        //= https://www.rfc-editor.org/rfc/rfc7118#section-5.3
        //= type=test
        //# When the server transport receives a request over any transport, it MUST examine the value of the
        //# "sent-by" parameter in the top Via header field value.
        //= https://www.rfc-editor.org/rfc/rfc7118#section-5.3
        //= type=test
        //# If the host portion of the "sent-by" field contains a domain name, or if it contains an IP address
        //# that differs from the packet source address, the server MUST add a "received" parameter to that Via
        //# header field value.
        //= https://www.rfc-editor.org/rfc/rfc7118#section-5.3
        //= type=test
        //# This parameter MUST contain the source address from which the packet was received.
        assert_eq!(received, noted.then(|| "192.0.2.7".parse().unwrap()), "{sent_by}");
    }
}

#[test]
fn rport_is_filled_in_and_answered_to() {
    let mut server = Server::new(EndpointConfig::default());
    //= https://www.rfc-editor.org/rfc/rfc3581#section-4
    //= type=test
    //# If this Via header field value contains an "rport" parameter
    //# with no value, it MUST set the value of the parameter to the source
    //# port of the request.
    //= https://www.rfc-editor.org/rfc/rfc3581#section-4
    //= type=test
    //# In fact, the server MUST insert a "received" parameter
    //# containing the source IP address that the request came from, even if
    //# it is identical to the value of the "sent-by" component.
    //= https://www.rfc-editor.org/rfc/rfc3581#section-4
    //= type=test
    //# If the "sent-protocol" component indicates an unreliable unicast
    //# transport protocol, such as UDP, and there is no "maddr" parameter,
    //# but there is both a "received" parameter and an "rport" parameter,
    //# the response MUST be sent to the IP address listed in the "received"
    //# parameter, and the port in the "rport" parameter.
    //= https://www.rfc-editor.org/rfc/rfc3581#section-4
    //= type=test
    //# The response MUST be sent from
    //# the same address and port that the corresponding request was received
    //# on.
    for via in [
        "SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK1;rport",
        "SIP/2.0/UDP 10.0.0.1;rport;branch=z9hG4bK2",
        "SIP/2.0/UDP a.example.com ; rport ; branch=z9hG4bK3",
    ] {
        let (message, answer) = server.exchange(via, "192.0.2.7:4000");
        let top = message.top_via().unwrap();
        assert_eq!(top.rport(), Ok(Some(Some(4000))), "{via}");
        assert_eq!(top.received(), Ok(Some("192.0.2.7".parse().unwrap())), "{via}");
        assert_eq!(answer.remote, "192.0.2.7:4000".parse().unwrap(), "{via}");
        assert_eq!((answer.local, answer.flow), ("192.0.2.2:5060".parse().unwrap(), server.socket));
    }
}

#[test]
fn without_rport_the_response_goes_to_the_source_address_at_the_port_of_sent_by() {
    let mut server = Server::new(EndpointConfig::default());
    //= https://www.rfc-editor.org/rfc/rfc3261#section-18.2.2
    //= type=test
    //# Otherwise (for unreliable unicast transports), if the top Via
    //# has a "received" parameter, the response MUST be sent to the
    //# address in the "received" parameter, using the port indicated
    //# in the "sent-by" value, or using port 5060 if none is specified
    //# explicitly.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-18.2.2
    //= type=test
    //# Otherwise, if it is not receiver-tagged, the response MUST be
    //# sent to the address indicated by the "sent-by" value, using the
    //# procedures in Section 5 of [4].
    for (via, to) in [
        ("SIP/2.0/UDP a.example.com:5099;branch=z9hG4bK1", "192.0.2.7:5099"),
        ("SIP/2.0/UDP a.example.com;branch=z9hG4bK2", "192.0.2.7:5060"),
        ("SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK3", "192.0.2.7:5060"),
        ("SIP/2.0/UDP 192.0.2.7:5070;branch=z9hG4bK4", "192.0.2.7:5070"),
    ] {
        let (_, answer) = server.exchange(via, "192.0.2.7:4000");
        assert_eq!(answer.remote, to.parse().unwrap(), "{via}");
    }
}

#[test]
fn maddr_and_ttl_lead_the_response_to_a_group() {
    let mut server = Server::new(EndpointConfig::default());
    //= https://www.rfc-editor.org/rfc/rfc3261#section-18.2.2
    //= type=test
    //# Otherwise, if the Via header field value contains a "maddr"
    //# parameter, the response MUST be forwarded to the address listed
    //# there, using the port indicated in "sent-by", or port 5060 if
    //# none is present.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-18.2.2
    //= type=test
    //# If the address is a multicast address, the
    //# response SHOULD be sent using the TTL indicated in the "ttl"
    //# parameter, or with a TTL of 1 if that parameter is not present.
    for (via, to, ttl) in [
        ("SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1;maddr=224.0.1.75;ttl=16", "224.0.1.75:5060", Some(16)),
        ("SIP/2.0/UDP 192.0.2.7:5070;branch=z9hG4bK2;maddr=224.0.1.75", "224.0.1.75:5070", Some(1)),
        ("SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK3;maddr=192.0.2.9", "192.0.2.9:5060", None),
    ] {
        let (_, answer) = server.exchange(via, "192.0.2.7:4000");
        assert_eq!((answer.remote, answer.ttl), (to.parse().unwrap(), ttl), "{via}");
    }
}

#[test]
fn a_request_to_a_group_says_so_in_its_via() {
    let mut pair = Pair::new();
    let alice = pair.alice;
    let target = Target { transport: Transport::Udp, address: "224.0.1.75:5060".parse().unwrap(), server_name: None };
    pair.net.host(alice).request(ms(0), request(Method::Register), Destination::targets([target])).unwrap();
    let transmit = pair.net.host(alice).poll_transmit().unwrap();
    let sent = Message::parse(transmit.bytes).unwrap();
    //= https://www.rfc-editor.org/rfc/rfc3261#section-18.1.1
    //= type=test
    //# A client that sends a request to a multicast address MUST add the
    //# "maddr" parameter to its Via header field value containing the
    //# destination multicast address, and for IPv4, SHOULD add the "ttl"
    //# parameter with a value of 1.
    let via = sent.top_via().unwrap();
    assert_eq!(via.maddr().unwrap().unwrap().ip(), Some("224.0.1.75".parse().unwrap()));
    assert_eq!((via.ttl(), via.rport(), transmit.ttl), (Ok(Some(1)), Ok(None), Some(1)));
}

/// No connection leads there.
#[test]
fn a_large_request_to_a_group_is_a_datagram_all_the_same() {
    for (address, transport) in [("224.0.1.75:5060", Transport::Udp), ("192.0.2.99:5060", Transport::Tcp)] {
        let mut pair = Pair::new();
        let alice = pair.net.host(pair.alice);
        let target = Target { transport: Transport::Udp, address: address.parse().unwrap(), server_name: None };
        let mut large = request(Method::Message);
        large.push(Header::Subject, "x".repeat(2000)).unwrap();
        alice.request(ms(0), large, Destination::targets([target])).unwrap();
        let opens = std::iter::from_fn(|| alice.poll_event()).any(|event| matches!(event, Event::Connect { .. }));
        assert_eq!(opens, transport == Transport::Tcp, "{address}");
        assert_eq!(alice.poll_transmit().is_some(), transport == Transport::Udp, "{address}");
    }
}

#[test]
fn a_sent_by_with_port_0_is_answered_at_the_port_there_is() {
    let mut server = Server::new(EndpointConfig::default());
    for (via, to) in [
        ("SIP/2.0/UDP 192.0.2.7:0;branch=z9hG4bK1", "192.0.2.7:5060"),
        ("SIP/2.0/UDP host.example.com:0;branch=z9hG4bK2", "192.0.2.7:5060"),
        ("SIP/2.0/UDP 192.0.2.7:00;branch=z9hG4bK3;maddr=192.0.2.9", "192.0.2.9:5060"),
        ("SIP/2.0/UDP 192.0.2.7:0;branch=z9hG4bK4;rport", "192.0.2.7:4000"),
    ] {
        let (_, answer) = server.exchange(via, "192.0.2.7:4000");
        assert_eq!(answer.remote, to.parse().unwrap(), "{via}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-19.1.1
//= type=test
//# The ttl parameter determines the time-to-live value of the UDP
//# multicast packet and MUST only be used if maddr is a multicast
//# address and the transport protocol is UDP.
#[test]
fn how_far_a_request_to_a_group_goes_its_uri_says() {
    for (uri, ttl) in [
        ("sip:alice@atlanta.com;maddr=239.255.255.1;ttl=15", Some(15)),
        ("sip:alice@atlanta.com;maddr=239.255.255.1", Some(1)),
        ("sip:alice@atlanta.com;maddr=192.0.2.77;ttl=15", None),
        ("sip:192.0.2.77;ttl=15", None),
    ] {
        let mut pair = Pair::new();
        let alice = pair.net.host(pair.alice);
        let mut by_uri = request(Method::Options);
        by_uri.set_request_uri(uri).unwrap();
        alice.request(ms(0), by_uri, Destination::route()).unwrap();
        alice.request(ms(0), request(Method::Options), Destination::next_hop(uri)).unwrap();
        let mut by_route = request(Method::Options);
        by_route.push(Header::Route, format!("<{uri};lr>")).unwrap();
        alice.request(ms(0), by_route, Destination::route()).unwrap();
        for _ in 0..3 {
            let transmit = alice.poll_transmit().unwrap();
            assert_eq!(transmit.ttl, ttl, "{uri}");
            assert_eq!(Message::parse(transmit.bytes).unwrap().top_via().unwrap().ttl().unwrap(), ttl, "{uri}");
        }
    }
}

#[test]
fn responses_with_another_elements_via_or_to_nothing_are_dropped() {
    let mut pair = Pair::new();
    pair.request(request(Method::Options));
    pair.until(ms(5));
    let sent = Message::parse(pair.text(ALICE, "OPTIONS").remove(0).into()).unwrap();
    let good = crate::common::response(&sent, 200);
    let alice = pair.alice;
    let socket = pair.net.host(alice).bind(Transport::Udp, "192.0.2.1:5090".parse().unwrap()).unwrap();
    let remote = "192.0.2.2:5060".parse().unwrap();
    let mut give = |message: &Message| {
        let bytes = message.to_bytes();
        pair.net.host(alice).handle_input(ms(5), Input::Datagram { flow: socket, remote, bytes: &bytes })
    };
    //= https://www.rfc-editor.org/rfc/rfc3261#section-18.1.2
    //= type=test
    //# If the value of the "sent-by" parameter in
    //# that header field value does not correspond to a value that the
    //# client transport is configured to insert into requests, the response
    //# MUST be silently discarded.
    let text = String::from_utf8(good.to_bytes().to_vec()).unwrap();
    let foreign = Message::parse(text.replace("192.0.2.1:5060", "192.0.2.3:5060").into()).unwrap();
    assert_eq!(give(&foreign), Err(InputError::NotOurs));
    //= https://www.rfc-editor.org/rfc/rfc6026#section-7.3
    //= type=test
    //# The proxy MUST NOT forward the response if there is no matching
    //# transaction state machine.
    let strange =
        Message::parse(text.replace("192.0.2.1:5060;branch=z9hG4bK", "192.0.2.1:5090;branch=z9hG4bKx").into());
    //= https://www.rfc-editor.org/rfc/rfc6026#section-6
    //= type=test
    //# When receiving any SIP response, a transaction-stateful proxy MUST compare the transaction
    //# identifier in that response against its existing transaction state machines.
    //= https://www.rfc-editor.org/rfc/rfc6026#section-6
    //= type=test
    //# The proxy MUST NOT forward the response if there is no matching transaction state machine.
    //= https://www.rfc-editor.org/rfc/rfc6026#section-7.3
    //= type=test
    //# When receiving any SIP response, a transaction-stateful proxy MUST compare the transaction
    //# identifier in that response against its existing transaction state machines.
    //= https://www.rfc-editor.org/rfc/rfc6026#section-8.2
    //= type=test
    //# If none is found, the element MUST NOT forward the response.
    //= https://www.rfc-editor.org/rfc/rfc6026#section-8.9
    //= type=test
    //# Otherwise, any element other than a stateless proxy MUST silently discard the response.
    assert_eq!(give(&strange.unwrap()), Err(InputError::Stray));
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.3
    //= type=test
    //# If the method parameter in the CSeq header field matches the
    //# method of the request that created the transaction.
    let other = Message::parse(text.replace("CSeq: 1 OPTIONS", "CSeq: 1 INFO").into()).unwrap();
    assert!(give(&other).is_err());
    //= https://www.rfc-editor.org/rfc/rfc6026#section-8.9
    //= type=test
    //# If there is a match, the response MUST be passed to that transaction.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-18.1.2
    //= type=test
    //# If there is a match, the
    //# response MUST be passed to that transaction.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.3
    //= type=test
    //# If the response has the same value of the branch parameter in
    //# the top Via header field as the branch parameter in the top
    //# Via header field of the request that created the transaction.
    assert_eq!(give(&good), Ok(()));
    assert_eq!(pair.net.host(alice).counters().stray_responses, 3);
    pair.finish();
    assert_eq!(pair.heard(alice), ["200", "client Completed"]);
}

#[test]
fn a_stateless_proxy_gets_stray_responses_and_stable_branches() {
    let mut config = EndpointConfig::default();
    config.stray_responses = true;
    let mut server = Server::new(config);
    server.input("192.0.2.7:4000", options("SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKabc").as_bytes()).unwrap();
    let Some(Event::Request { tx, message, .. }) = server.endpoint.poll_event() else { panic!("a request") };
    server.endpoint.abandon(ms(0), tx).unwrap();
    assert!(matches!(server.endpoint.poll_event(), Some(Event::ServerEnded { outcome: Outcome::Abandoned, .. })));
    let branch = server.endpoint.stateless_branch(&message);
    assert_eq!(branch, server.endpoint.stateless_branch(&message.clone()));
    let onward = Destination::next_hop("sip:192.0.2.9").with_branch(branch.as_str());
    server.endpoint.send(ms(0), Message::clone(&message), onward).unwrap();
    let forwarded = Message::parse(server.endpoint.poll_transmit().unwrap().bytes).unwrap();
    assert_eq!(forwarded.top_via().unwrap().branch(), Ok(Some(branch.as_str())));
    assert_eq!(forwarded.vias().count(), 2);
    assert!(server.endpoint.is_idle());
    // The response comes to no transaction, and goes on by the next Via.
    let answer = crate::common::response(&forwarded, 200);
    server.input("192.0.2.9:5060", &answer.to_bytes()).unwrap();
    //= https://www.rfc-editor.org/rfc/rfc3261#section-18.1.2
    //= type=test
    //# Otherwise, the response MUST be passed to the core (whether it be stateless proxy, stateful proxy,
    //# or UA) for further processing.
    let Some(Event::StrayResponse { mut message, .. }) = server.endpoint.poll_event() else { panic!("a response") };
    message.pop_via();
    //= https://www.rfc-editor.org/rfc/rfc6026#section-8.3
    //= type=test
    //# If the server transaction is no longer available to handle the transmission, the element MUST
    //# forward the response statelessly by sending it to the server transport.
    server.endpoint.forward_response(ms(0), *message).unwrap();
    assert_eq!(server.endpoint.poll_transmit().unwrap().remote, "192.0.2.7:5060".parse().unwrap());
}

#[test]
fn an_unreachable_peer_is_a_failure_and_other_icmp_is_not() {
    let mut pair = Pair::new();
    pair.request(request_to(Method::Options, "sip:bob@192.0.2.77", 1));
    pair.finish();
    //= https://www.rfc-editor.org/rfc/rfc3261#section-18.4
    //= type=test
    //# Host,
    //# network, port or protocol unreachable errors, or parameter problem
    //# errors SHOULD cause the transport layer to inform the transport user
    //# of a failure in sending.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.4
    //= type=test
    //# The client transaction SHOULD inform the TU that a transport failure
    //# has occurred, and the client transaction SHOULD transition directly
    //# to the "Terminated" state.
    let unreachable = Outcome::Failed(FailCause::Send(SendCause::Unreachable));
    assert_eq!(pair.ended, [(pair.alice, unreachable)]);
    pair.assert_empty();

    let mut endpoint = Endpoint::new(EndpointConfig::default().into(), [6; 32]);
    endpoint.bind(Transport::Udp, "192.0.2.1:5060".parse().unwrap()).unwrap();
    endpoint.request(ms(0), request(Method::Options), Destination::route()).unwrap();
    let token = endpoint.poll_transmit().unwrap().token.unwrap();
    //= https://www.rfc-editor.org/rfc/rfc3261#section-18.4
    //= type=test
    //# Source quench and TTL exceeded ICMP errors SHOULD be
    //# ignored.
    endpoint.handle_input(ms(1), Input::SendFailed { token, cause: SendCause::Transient }).unwrap();
    assert_eq!(endpoint.transactions(), 1);
    endpoint.handle_input(ms(1), Input::SendFailed { token, cause: SendCause::Unreachable }).unwrap();
    let stale = endpoint.handle_input(ms(1), Input::SendFailed { token, cause: SendCause::Unreachable });
    assert_eq!(stale, Err(InputError::UnknownToken));
    assert_eq!(endpoint.counters().stale_inputs, 1);
}

#[test]
fn a_response_that_cannot_be_delivered_is_told() {
    // INVITE: the transaction goes on (RFC 6026). Others end.
    let mut pair = Pair::new().answer("INVITE", &[180]).answer("OPTIONS", &[200]);
    pair.net.set_filter(|packet| match &packet.bytes[..11] {
        b"SIP/2.0 180" | b"SIP/2.0 200" => sim::Fate::Refuse,
        _ => sim::Fate::Carry,
    });
    pair.request(request(Method::Invite));
    pair.request(request(Method::Options));
    pair.until(ms(100));
    //= https://www.rfc-editor.org/rfc/rfc6026#section-7.1
    //= type=test
    //# A server transaction MUST NOT discard transaction state based only on encountering a non-recoverable
    //# transport error when sending a response.
    //= https://www.rfc-editor.org/rfc/rfc6026#section-7.1
    //= type=test
    //# Instead, the associated INVITE server transaction state machine MUST remain in its current state.
    //= https://www.rfc-editor.org/rfc/rfc6026#section-6
    //= type=test
    //# An element encountering an unrecoverable transport error when trying to send a response to an INVITE
    //# request MUST NOT immediately destroy the associated INVITE server transaction state.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.4
    //= type=test
    //# If those should all fail, based on the definition of failure in [4], the server transaction SHOULD
    //# inform the TU that a failure has occurred, and SHOULD transition to the terminated state.
    //= https://www.rfc-editor.org/rfc/rfc6026#section-8.8
    //= type=test
    //# If those should all fail, based
    //# on the definition of failure in [4], the server transaction SHOULD
    //# inform the TU that a failure has occurred, and MUST remain in the
    //# current state.
    assert!(pair.heard(pair.bob).contains(&"response failed"));
    pair.net.clear_filter();
    pair.respond(0, 486);
    pair.finish();
    assert!(pair.heard(pair.alice).contains(&"486"));
    pair.assert_empty();
}

#[test]
fn broken_requests_are_answered_and_broken_responses_are_not() {
    let mut server = Server::new(EndpointConfig::default());
    let broken = options("SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1;rport").replace("Max-Forwards: 70", "no colon here");
    assert!(matches!(server.input("192.0.2.7:4000", broken.as_bytes()), Err(InputError::Malformed(_))));
    let answer = server.endpoint.poll_transmit().unwrap();
    assert!(answer.bytes.starts_with(b"SIP/2.0 400 "));
    assert_eq!(answer.remote, "192.0.2.7:4000".parse().unwrap());
    //= https://www.rfc-editor.org/rfc/rfc3261#section-18.3
    //= type=test
    //# If the message is a response, it MUST be discarded.
    let response = broken.replace("OPTIONS sip:bob@192.0.2.2 SIP/2.0", "SIP/2.0 200 OK");
    assert!(server.input("192.0.2.7:4000", response.as_bytes()).is_err());
    // Nothing to answer, or nothing to answer with.
    for noise in [&b"\0\0\0\0"[..], b"hello", b"ACK", b"\x01\x02", b"\xff\xff\xff\xff", b"INVITE sip:x SIP/2.0\r\n\r\n"]
    {
        assert!(server.input("192.0.2.7:4000", noise).is_err());
    }
    for keepalive in [&b""[..], b"\r\n", b"\r\n\r\n", b" "] {
        assert_eq!(server.input("192.0.2.7:4000", keepalive), Ok(()));
    }
    assert!(server.endpoint.poll_transmit().is_none());
    assert!(server.endpoint.is_idle());
    let stranger = server.endpoint.handle_input(ms(0), Input::Stream { flow: server.socket, bytes: b"x" });
    assert_eq!(stranger, Err(InputError::WrongFlowKind));
}

#[test]
fn a_spoiled_retransmission_is_not_answered() {
    let mut server = Server::new(EndpointConfig::default());
    let whole = options("SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKabc;rport");
    server.input("192.0.2.7:4000", whole.as_bytes()).unwrap();
    let spoiled = whole.replace("Max-Forwards: 70", "no colon here");
    assert!(matches!(server.input("192.0.2.7:4000", spoiled.as_bytes()), Err(InputError::Malformed(_))));
    // A 400 would end the request at its client, though it lives here.
    assert!(server.endpoint.poll_transmit().is_none());
    let other = spoiled.replace("z9hG4bKabc", "z9hG4bKabd");
    assert!(server.input("192.0.2.7:4000", other.as_bytes()).is_err());
    assert!(server.endpoint.poll_transmit().unwrap().bytes.starts_with(b"SIP/2.0 400 "));
}

#[test]
fn content_length_is_added_where_it_is_missing() {
    let mut pair = Pair::new();
    let text = "MESSAGE sip:bob@192.0.2.2;transport=tcp SIP/2.0\r\nMax-Forwards: 70\r\nFrom: <sip:a@b>;tag=1\r\n\
         To: <sip:c@d>\r\nCall-ID: x\r\nCSeq: 1 MESSAGE\r\nContent-Type: text/plain\r\n\r\nWatson, come here.";
    pair.request(Message::parse(text.into()).unwrap());
    pair.until(ms(100));
    //= https://www.rfc-editor.org/rfc/rfc3261#section-18.3
    //= type=test
    //# The Content-Length header field MUST be used with stream oriented transports.
    assert!(pair.text(ALICE, "MESSAGE")[0].contains("Content-Length: 18\r\n"));
    assert_eq!(pair.got[0].2.body(), b"Watson, come here.");
    assert_eq!(pair.sent(BOB, "400"), []);
}

#[test]
fn an_undeliverable_response_over_udp_asks_dns() {
    let mut pair = Pair::new();
    let bob = pair.bob;
    let spare = pair.net.add("192.0.2.50", Endpoint::new(EndpointConfig::default().into(), [50; 32]));
    pair.net.bind(spare, Transport::Udp, 5090);
    pair.net.dns.srv("_sip._udp.a.example.com", 1, 1, 5090, "spare.example.com");
    pair.net.dns.address("spare.example.com", "192.0.2.50");
    let socket = pair.net.bind(bob, Transport::Udp, 5070);
    let remote = "192.0.2.7:4000".parse().unwrap();
    let text = options("SIP/2.0/UDP a.example.com;branch=z9hG4bK1");
    let input = Input::Datagram { flow: socket, remote, bytes: text.as_bytes() };
    pair.net.host(bob).handle_input(ms(0), input).unwrap();
    pair.until(ms(10));
    pair.respond(0, 200);
    pair.finish();
    //= https://www.rfc-editor.org/rfc/rfc3261#section-18.2.2
    //= type=test
    //# If this fails, for example, elicits an ICMP "port
    //# unreachable" response, the procedures of Section 5 of [4]
    //# SHOULD be used to determine where to send the response.
    let to: Vec<_> = pair.net.trace().iter().map(|sent| sent.to.to_string()).collect();
    assert_eq!(to, ["192.0.2.7:5060", "192.0.2.50:5090"]);
    pair.assert_empty();
}

#[test]
fn a_response_to_another_request_is_refused() {
    let mut pair = Pair::new();
    pair.request(request(Method::Options));
    pair.request(request_to(Method::Options, "sip:bob@192.0.2.2", 2));
    pair.until(ms(50));
    let (bob, tx, _) = pair.got[0].clone();
    let other = crate::common::response(&pair.got[1].2, 200);
    let mut nowhere = crate::common::response(&pair.got[0].2, 200);
    nowhere.remove("Via");
    let mut method = crate::common::response(&pair.got[0].2, 200);
    method.set("CSeq", "1 INFO").unwrap();
    for wrong in [other, nowhere, method] {
        let refused = pair.net.host(bob).respond(ms(50), tx, wrong).unwrap_err();
        assert_eq!(refused.kind, sip_transaction::SendErrorKind::Mismatched);
    }
    pair.respond(0, 200);
    pair.respond(1, 200);
    pair.finish();
    pair.assert_empty();
}

#[test]
fn messages_of_a_whole_datagram_are_taken() {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-18.1.1
    //= type=test
    //# However,
    //# implementations MUST be able to handle messages up to the maximum
    //# datagram packet size.
    let mut server = Server::new(EndpointConfig::default());
    let head = options("SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1");
    let body = 65_507 - head.len() - 4;
    let text =
        head.replace("Content-Length: 0\r\n\r\n", &format!("Content-Length: {body}\r\n\r\n{}", "x".repeat(body)));
    assert_eq!(text.len(), 65_507, "the most that UDP carries");
    server.input("192.0.2.7:5060", text.as_bytes()).unwrap();
    let Some(Event::Request { message, .. }) = server.endpoint.poll_event() else { panic!("a request") };
    assert_eq!(message.body().len(), body);
    let longer = text.replace("z9hG4bK1", "z9hG4bK2");
    let longer = longer.replace("Max-Forwards: 70", &format!("Max-Forwards: 70\r\nX: {}", "y".repeat(100)));
    assert!(server.input("192.0.2.7:5060", longer.as_bytes()).is_err());
    let answer = server.endpoint.poll_transmit().unwrap();
    assert!(answer.bytes.starts_with(b"SIP/2.0 413 "));
}

/// Among many flows a socket is found by its family; of several it is the one bound first that is still there.
#[test]
fn a_datagram_goes_out_of_the_first_socket_of_its_family() {
    let mut config = EndpointConfig::default();
    config.limits.flows = None;
    let mut endpoint = Endpoint::new(config.into(), [5; 32]);
    let (local, remote) = ("192.0.2.2:5060".parse().unwrap(), "192.0.2.7:9".parse().unwrap());
    let connections: Vec<_> = (0..100).map(|_| endpoint.accept(Transport::Tcp, local, remote).unwrap()).collect();
    let six = endpoint.bind(Transport::Udp, "[2001:db8::2]:5060".parse().unwrap()).unwrap();
    let first = endpoint.bind(Transport::Udp, local).unwrap();
    endpoint.close(ms(0), connections[3]).unwrap();
    let second = endpoint.bind(Transport::Udp, "192.0.2.2:5070".parse().unwrap()).unwrap();
    let mut goes_over = |to: &str, closed: Option<sip_transaction::FlowId>| {
        closed.into_iter().for_each(|flow| endpoint.close(ms(0), flow).unwrap());
        while endpoint.poll_event().is_some() {}
        let target = Target { transport: Transport::Udp, address: to.parse().unwrap(), server_name: None };
        let sent = endpoint.request(ms(0), request(Method::Options), Destination::targets([target]));
        let flow = endpoint.poll_transmit().map(|transmit| transmit.flow);
        sent.ok().and(flow)
    };
    assert_eq!(goes_over("192.0.2.9:5060", None), Some(first));
    assert_eq!(goes_over("[2001:db8::9]:5060", None), Some(six));
    assert_eq!(goes_over("192.0.2.9:5060", Some(first)), Some(second));
    assert_eq!(goes_over("192.0.2.9:5060", Some(second)), None);
}

#[test]
fn the_endpoints_own_responses_tell_where_the_request_came_from_as_the_request_itself_does() {
    for via in [
        "SIP/2.0/UDP a.example.com;branch=z9hG4bK1;rport",
        "SIP/2.0/UDP a.example.com;branch=z9hG4bK1",
        "SIP/2.0/UDP a.example.com;branch=z9hG4bK1;received=1.2.3.4",
        "SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK1;received=1.2.3.4;rport",
        "SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1;maddr=192.0.2.77",
        "SIP/2.0/UDP a.example.com:7000;branch=z9hG4bK1;maddr=224.0.1.75;rport",
    ] {
        let mut server = Server::new(EndpointConfig::default());
        server.input("192.0.2.7:6000", options(via).replace("OPTIONS", "INVITE").as_bytes()).unwrap();
        let Some(Event::Request { message, .. }) = server.endpoint.poll_event() else { panic!("a request") };
        server.endpoint.handle_timeout(ms(200));
        let trying = Message::parse(server.endpoint.poll_transmit().unwrap().bytes).unwrap();
        assert_eq!(trying.status().unwrap().code(), 100);
        let (told, said) = (message.top_via().unwrap(), trying.top_via().unwrap());
        assert_eq!((told.received(), told.rport()), (said.received(), said.rport()), "{via}");
        let named = via.contains("a.example.com") || via.contains("rport");
        assert_eq!(told.received().unwrap(), named.then(|| "192.0.2.7".parse().unwrap()), "{via}");
        assert!(!via.contains("rport") || said.rport() == Ok(Some(Some(6000))), "{via}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.3.3
//= type=test
//# If more than one Via header field value is present in a response, the
//# UAC SHOULD discard the message.
#[test]
fn a_response_with_more_vias_than_one_is_for_a_proxy() {
    let mut alice = Endpoint::new(EndpointConfig::default().into(), [1; 32]);
    let flow = alice.bind(Transport::Udp, "192.0.2.1:5060".parse().unwrap()).unwrap();
    let remote = "192.0.2.2:5060".parse().unwrap();
    let via = "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKx";
    for forwarded in [false, true] {
        for method in [Method::Options, Method::Invite] {
            let mut message = request(method);
            if forwarded {
                message.push(Header::Via, via).unwrap();
            }
            alice.request(ms(0), message, Destination::route()).unwrap();
            let sent = Message::parse(alice.poll_transmit().unwrap().bytes).unwrap();
            let top = core::str::from_utf8(sent.field(Header::Via).unwrap()).unwrap().to_owned();
            let response = |status: &str, vias: &str| {
                let whole = String::from_utf8(crate::common::response(&sent, 200).to_bytes().to_vec()).unwrap();
                let (_, rest) = whole.split_once("\r\n").unwrap();
                let rest: Vec<_> = rest.split_inclusive("\r\n").filter(|line| !line.starts_with("Via")).collect();
                format!("SIP/2.0 {status} X\r\nVia: {vias}\r\n{}", rest.concat())
            };
            let mut give = |text: String| {
                let taken = alice.handle_input(ms(1), Input::Datagram { flow, remote, bytes: text.as_bytes() });
                let told =
                    std::iter::from_fn(|| alice.poll_event()).any(|event| matches!(event, Event::Response { .. }));
                (taken, told)
            };
            let (dropped, taken) = ((Err(InputError::Misrouted), false), (Ok(()), true));
            let expected = if forwarded { &taken } else { &dropped };
            assert_eq!(&give(response("180", &format!("{top}, {via}"))), expected);
            assert_eq!(&give(response("180", &format!("{top}\r\nv: {via}"))), expected);
            // A comma does not always make two of one.
            assert_eq!(give(response("180", &format!("{top};x=\", {via}\""))), taken);
            assert_eq!(&give(response("200", &format!("{top}, {via}"))), expected);
            if !forwarded {
                assert_eq!(give(response("200", &top)), taken, "the transaction still waits for its response");
            }
        }
    }
}

#[test]
fn what_a_sender_says_of_where_it_is_does_not_stay() {
    let mut endpoint = Endpoint::new(Default::default(), [3; 32]);
    let flow = endpoint.bind(Transport::Udp, "192.0.2.2:5060".parse().unwrap()).unwrap();
    let bytes = b"OPTIONS sip:bob@192.0.2.2 SIP/2.0\r\n\
        Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKx;received=203.0.113.1\r\n\
        From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";
    let remote = "192.0.2.9:5060".parse().unwrap();
    endpoint.handle_input(ms(0), Input::Datagram { flow, remote, bytes }).unwrap();
    let Some(Event::Request { message, .. }) = endpoint.poll_event() else { panic!("no request") };
    //= https://www.rfc-editor.org/rfc/rfc3261#section-18.2.1
    //= type=test
    //# This parameter MUST contain
    //# the source address from which the packet was received.
    let via = message.vias().next().unwrap().unwrap();
    assert_eq!(via.received().unwrap(), Some("192.0.2.9".parse().unwrap()));
}

#[test]
fn responses_go_to_the_zone_that_requests_came_from() {
    for via in [
        "[fe80::7]:5070;rport;branch=z9hG4bK1",
        "[fe80::7]:5071;branch=z9hG4bK1",
        "a.example.com:5071 ;branch=z9hG4bK1",
    ] {
        let mut server = Server::new(EndpointConfig::default());
        let remote = "[fe80::7%3]:5070";
        let (_, answer) = server.exchange(&format!("SIP/2.0/UDP {via}"), remote);
        let port = if via.contains("rport") { 5070 } else { 5071 };
        assert_eq!(answer.remote, format!("[fe80::7%3]:{port}").parse().unwrap(), "{via}");
    }
}

#[test]
fn what_is_wrong_with_a_datagram_is_told_by_its_own_bytes() {
    for (via, remote) in [
        ("SIP/2.0/UDP a.example.com;branch=z9hG4bK1", "192.0.2.7:5060"),
        ("SIP/2.0/UDP a.example.com;branch=z9hG4bK1;rport", "192.0.2.7:5060"),
        ("SIP/2.0/UDP a.example.com;branch=z9hG4bK1;rport", "[2001:db8::7]:5060"),
        ("SIP/2.0/UDP a.example.com;x=\"y\";branch=z9hG4bK1", "192.0.2.7:5060"),
    ] {
        let text = options(via).replace("From: ", "From ");
        let Err(InputError::Malformed(error)) = Server::new(EndpointConfig::default()).input(remote, text.as_bytes())
        else {
            panic!("{via}")
        };
        assert_eq!(error, Message::parse(text.into()).unwrap_err(), "{via}");
    }
}

#[test]
fn a_line_as_long_as_it_may_be_has_room_for_where_it_came_from() {
    for (param, remote) in [
        ("", "192.0.2.7:5060"),
        ("", "[2001:db8::7]:5060"),
        (";rport", "192.0.2.7:5060"),
        (";x=\"y\"", "192.0.2.7:5060"),
    ] {
        let via = format!("SIP/2.0/UDP a.example.com;branch=z9hG4bK1;filler={}{param}", "x".repeat(40));
        let mut config = EndpointConfig::default();
        config.parser.max_header_len = format!("Via: {via}\r\n").len();
        let (message, _) = Server::new(config).exchange(&via, remote);
        let remote: SocketAddr = remote.parse().unwrap();
        assert_eq!(message.top_via().unwrap().received(), Ok(Some(remote.ip())), "{via}");
    }
}
