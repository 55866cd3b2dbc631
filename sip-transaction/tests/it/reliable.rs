//! TCP, TLS and WebSocket: connections, timers of zero, flows that die (RFC 3261 section 18, RFC 7118, RFC 5923).
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests stop at what they did not expect")]

use crate::common::{ALICE, BOB, Pair, ack_for, ms, request, request_to, response};
use sim::Fate;
use sip_message::{Message, Method};
use sip_transaction::{
    CloseCause, Destination, Endpoint, EndpointConfig, Event, FailCause, Input, Outcome, SendErrorKind, Target,
    Transport,
};

fn config() -> EndpointConfig {
    let mut config = EndpointConfig::default();
    config.transports = Transport::ALL.to_vec();
    config
}

const URIS: [(Transport, &str); 4] = [
    (Transport::Tcp, "sip:bob@192.0.2.2;transport=tcp"),
    (Transport::Tls, "sips:bob@192.0.2.2"),
    (Transport::Ws, "sip:bob@192.0.2.2;transport=ws"),
    (Transport::Wss, "sips:bob@192.0.2.2;transport=ws"),
];

#[test]
fn over_reliable_transports_nothing_is_repeated_and_nothing_lingers() {
    for (transport, uri) in URIS {
        let mut pair = Pair::with(config()).answer("OPTIONS", &[200]);
        pair.request(request_to(Method::Options, uri, 1));
        pair.finish();
        assert_eq!(pair.sent(ALICE, "OPTIONS"), [20], "{transport}: once, when the connection is open");
        //= https://www.rfc-editor.org/rfc/rfc3261#section-18.1.1
        //= type=test
        //# Therefore, the client transport MUST be prepared to receive the response on the same connection used
        //# to send the request.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-18.2.2
        //= type=test
        //# If the "sent-protocol" is a reliable transport protocol such as TCP or SCTP, or TLS over those, the
        //# response MUST be sent using the existing connection to the source of the original request that
        //# created the transaction, if that connection is still open.
        //= https://www.rfc-editor.org/rfc/rfc3261#section-18.2.2
        //= type=test
        //# It MUST follow the following process:
        assert_eq!(pair.heard(pair.alice), ["connect", "200", "client Completed"], "{transport}");
        //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.2.2
        //= type=test
        //# Once the client transaction enters the "Completed" state, it MUST set
        //# Timer K to fire in T4 seconds for unreliable transports, and zero
        //# seconds for reliable transports.
        assert_eq!(pair.when(pair.alice, "client Completed"), [40], "{transport}");
        assert_eq!(pair.when(pair.bob, "server Completed"), [30], "{transport}");
        let sent = Message::parse(pair.text(ALICE, "OPTIONS").remove(0).into()).unwrap();
        assert_eq!(Transport::from_via(sent.top_via().unwrap().transport()), Some(transport));
        //= https://www.rfc-editor.org/rfc/rfc3263#section-5
        //= type=test
        //# When this value is present, the server MUST
        //# use TLS over TCP to send the response.
        assert!(pair.net.trace().iter().all(|sent| sent.transport == transport), "{transport}");
        pair.assert_empty();
    }
}

#[test]
fn a_refused_invite_over_tcp_ends_with_its_ack() {
    for (transport, uri) in URIS {
        let mut pair = Pair::with(config()).answer("INVITE", &[180, 486]);
        pair.request(request_to(Method::Invite, uri, 1));
        pair.finish();
        //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.1.2
        //= type=test
        //# If a reliable transport is being used, the client transaction SHOULD
        //# NOT start timer A (Timer A controls request retransmissions).
        assert_eq!(pair.sent(ALICE, "INVITE"), [20]);
        assert_eq!(pair.sent(ALICE, "ACK"), [40], "{transport}");
        assert_eq!(pair.when(pair.alice, "client Completed"), [40], "Timer D is zero");
        assert_eq!(pair.when(pair.bob, "server Completed"), [50], "Timer I is zero");
        assert_eq!(pair.sent(BOB, "486"), [30], "no Timer G");
        pair.assert_empty();
    }
}

#[test]
fn an_invite_without_answer_over_tcp_times_out() {
    let mut pair = Pair::with(config());
    pair.request(request_to(Method::Options, "sip:bob@192.0.2.2;transport=tcp", 1));
    pair.finish();
    //= https://www.rfc-editor.org/rfc/rfc7118#section-5
    //= type=test
    //# client and server transactions using WebSocket for
    //# transport MUST follow the procedures and timer values for reliable
    //# transports as defined in [RFC3261].
    assert_eq!(pair.when(pair.alice, "client TimedOut"), [20 + 32_000]);
    //= https://www.rfc-editor.org/rfc/rfc4320#section-4.1
    //= type=test
    //# An SIP element MAY respond to a non-INVITE request with a Status-Code of 100 over a reliable
    //# transport at any time.
    assert_eq!(pair.when(pair.alice, "100"), [30 + 3_500 + 10], "RFC 4320, whatever the transport");
    pair.assert_empty();
}

#[test]
fn requests_to_one_address_share_a_connection() {
    let mut pair = Pair::with(config()).answer("OPTIONS", &[200]);
    for _ in 0..3 {
        pair.request(request_to(Method::Options, "sip:bob@192.0.2.2;transport=tcp", 1));
    }
    pair.finish();
    pair.request(request_to(Method::Options, "sip:bob@192.0.2.2;transport=tcp", 2));
    pair.finish();
    //= https://www.rfc-editor.org/rfc/rfc3261#section-18.1.1
    //= type=test
    //# If a request is destined to an IP address, port, and transport to
    //# which an existing connection is open, it is RECOMMENDED that this
    //# connection be used to send the request
    assert_eq!(pair.net.connections(), 1);
    assert_eq!(pair.heard(pair.alice).iter().filter(|what| **what == "connect").count(), 1);
    assert_eq!(pair.sent(ALICE, "OPTIONS").len(), 4);
    pair.assert_empty();
}

#[test]
fn an_incoming_connection_serves_requests_back_to_its_address() {
    let mut pair = Pair::with(config()).answer("OPTIONS", &[200]);
    pair.request(request_to(Method::Options, "sip:bob@192.0.2.2;transport=tcp", 1));
    pair.finish();
    let path = pair.net.trace()[0].clone();
    let bob = pair.bob;
    let uri = format!("sip:alice@{};transport=tcp", path.from);
    let now = pair.net.now();
    let tx = pair.net.host(bob).request(now, request_to(Method::Message, &uri, 1), Destination::route()).unwrap();
    assert!(pair.net.host(bob).client_path(tx).is_some(), "at once, over the connection there is");
    pair.finish();
    assert_eq!(pair.net.connections(), 1);
}

#[test]
fn streams_cut_anywhere_give_the_same_messages() {
    for seed in 0..20 {
        let mut pair = Pair::with(config()).answer("OPTIONS", &[200]).answer("INVITE", &[180, 486]);
        pair.net.faults.cut_streams = true;
        pair.net.faults.jitter = core::time::Duration::from_millis(seed);
        pair.request(request_to(Method::Options, "sip:bob@192.0.2.2;transport=tcp", 1));
        pair.request(request_to(Method::Invite, "sip:bob@192.0.2.2;transport=tcp", 2));
        pair.finish();
        let ended = |outcome| pair.ended.iter().filter(|(_, ended)| *ended == outcome).count();
        assert_eq!(ended(Outcome::Completed), 4);
        pair.assert_empty();
    }
}

#[test]
fn a_connection_that_cannot_be_opened_is_a_failure() {
    let mut pair = Pair::with(config());
    let bob = pair.bob;
    pair.net.shut(bob, Transport::Tcp, 5060);
    pair.request(request_to(Method::Options, "sip:bob@192.0.2.2;transport=tcp", 1));
    pair.finish();
    //= https://www.rfc-editor.org/rfc/rfc3261#section-18.4
    //= type=test
    //# If the transport user asks for a request to be sent over a reliable
    //# transport, and the result is a connection failure, the transport
    //# layer SHOULD inform the transport user of a failure in sending.
    let outcome = Outcome::Failed(FailCause::Flow(CloseCause::Refused));
    assert_eq!(pair.ended, [(pair.alice, outcome)]);
    //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.3.1
    //= type=test
    //# If a fatal transport error is reported by the transport
    //# layer (generally, due to fatal ICMP errors in UDP or connection
    //# failures in TCP), the condition MUST be treated as a 503 (Service
    //# Unavailable) status code.
    assert_eq!(outcome.status().map(|status| status.code()), Some(503));
    pair.assert_empty();
}

#[test]
fn a_connection_that_never_opens_is_given_up() {
    let mut pair = Pair::with(config());
    let alice = pair.alice;
    let now = pair.net.now();
    let target = Target { transport: Transport::Tcp, address: "192.0.2.99:5060".parse().unwrap(), server_name: None };
    pair.net.faults.delay = crate::common::secs(60);
    pair.net.host(alice).request(now, request(Method::Options), Destination::targets([target])).unwrap();
    pair.finish();
    assert_eq!(pair.when(alice, "flow ended ConnectTimeout"), [10_000]);
    assert_eq!(pair.ended, [(alice, Outcome::Failed(FailCause::Flow(CloseCause::ConnectTimeout)))]);
    pair.assert_empty();
}

#[test]
fn a_flow_that_dies_fails_what_waits_on_it_and_nothing_else() {
    let mut pair = Pair::with(config()).answer("INVITE", &[180]);
    pair.request(request_to(Method::Options, "sip:bob@192.0.2.2;transport=tcp", 1));
    pair.request(request_to(Method::Invite, "sip:bob@192.0.2.2;transport=tcp", 2));
    pair.request(request_to(Method::Message, "sip:bob@192.0.2.2", 3));
    pair.until(ms(200));
    let (alice, bob) = (pair.alice, pair.bob);
    let flow = pair.responses.iter().find(|(_, _, message)| message.status().unwrap().code() == 180).unwrap().1;
    let flow = pair.net.host(alice).client_path(flow).unwrap().flow;
    pair.net.break_flow(alice, flow);
    pair.until(ms(300));
    let lost = Outcome::Failed(FailCause::Flow(CloseCause::Reset));
    assert_eq!(pair.ended, [(alice, lost), (alice, lost)]);
    assert!(pair.net.host(alice).flow_path(flow).is_none(), "the id is stale");
    let refused = pair.net.host(alice).request(ms(300), request(Method::Options), Destination::flow(flow)).unwrap_err();
    assert_eq!(refused.kind, SendErrorKind::UnknownFlow(flow));
    // Bob's answer to the OPTIONS finds no way back: Alice listens at the port of her sent-by alone, and that was ephemeral.
    for nth in 0..pair.got.len() {
        pair.respond(nth, if pair.got[nth].2.method() == Some(Method::Invite) { 480 } else { 200 });
    }
    pair.finish();
    assert_eq!(pair.heard(bob).iter().filter(|what| what.starts_with("server")).count(), 3);
    pair.assert_empty();
}

#[test]
fn a_response_finds_another_connection_when_its_own_is_gone() {
    let mut config = config();
    config.sent_by.push(sip_transaction::SentBy { transport: Transport::Tcp, host: ALICE.into(), port: Some(5060) });
    let mut pair = Pair::with(config);
    // Alice's connection breaks after her request; the proxy in front of her user would send it again over the new one.
    pair.request(request_to(Method::Options, "sip:bob@192.0.2.2;transport=tcp", 1));
    pair.until(ms(100));
    let (alice, bob) = (pair.alice, pair.bob);
    let (_, tx, _) = pair.got[0].clone();
    let path = pair.net.host(bob).server_path(tx).unwrap();
    pair.net.break_flow(bob, path.flow);
    pair.until(ms(200));
    pair.respond(0, 200);
    pair.until(ms(1_000));
    //= https://www.rfc-editor.org/rfc/rfc3261#section-18.2.2
    //= type=test
    //# If that connection is no longer open, the server SHOULD open a
    //# connection to the IP address in the "received" parameter, if
    //# present, using the port in the "sent-by" value, or the default
    //# port for that transport, if no port is specified.
    assert!(pair.heard(bob).contains(&"connect"));
    let sent = pair.net.trace().iter().find(|sent| sent.what() == "200").unwrap();
    assert_eq!(sent.to, "192.0.2.1:5060".parse().unwrap());
    assert_eq!(pair.ended[0], (alice, Outcome::Failed(FailCause::Flow(CloseCause::Reset))));
    pair.finish();
    pair.assert_empty();
}

#[test]
fn a_response_to_a_vanished_websocket_client_is_not_sent_elsewhere() {
    let mut pair = Pair::with(config());
    pair.request(request_to(Method::Invite, "sip:bob@192.0.2.2;transport=ws", 1));
    pair.until(ms(100));
    let (_, tx, _) = pair.got[0].clone();
    let bob = pair.bob;
    let path = pair.net.host(bob).server_path(tx).unwrap();
    pair.net.break_flow(bob, path.flow);
    pair.until(ms(200));
    pair.respond(0, 486);
    pair.finish();
    assert!(pair.heard(bob).contains(&"response failed"));
    assert_eq!(pair.heard(bob).iter().filter(|what| **what == "connect").count(), 0);
    assert!(pair.ended.contains(&(bob, Outcome::TimedOut)), "no ACK can come");
    pair.assert_empty();
}

#[test]
fn websocket_clients_are_nameless_and_servers_need_not_note_where_they_are() {
    let mut pair = Pair::with(config()).answer("OPTIONS", &[200]);
    pair.request(request_to(Method::Options, "sip:bob@192.0.2.2;transport=ws", 1));
    pair.finish();
    let sent = Message::parse(pair.text(ALICE, "OPTIONS").remove(0).into()).unwrap();
    let host = String::from_utf8_lossy(sent.top_via().unwrap().sent_by_bytes()).into_owned();
    assert!(host.ends_with(".invalid"), "{host}");
    //= https://www.rfc-editor.org/rfc/rfc7118#section-5.3
    //= type=test
    //# When a SIP WebSocket Server receives a request, it MAY decide not
    //# to add a "received" parameter to the top Via header.
    let got = &pair.got[0].2;
    //= https://www.rfc-editor.org/rfc/rfc7118#section-5.3
    //= type=test
    //# Therefore, SIP WebSocket Clients MUST accept responses without such a parameter in the top Via
    //# header regardless of whether the Via "sent-by" field contains a domain name.
    //= https://www.rfc-editor.org/rfc/rfc7118#section-1
    //= type=test
    //# Section 3 in this specification relaxes the requirement in [RFC3261] by which the SIP server
    //# transport MUST add a "received" parameter in the top Via header in certain circumstances.
    assert_eq!(got.top_via().unwrap().received(), Ok(None));
    assert_eq!(pair.heard(pair.alice).last(), Some(&"client Completed"));
}

#[test]
fn a_websocket_is_used_by_both_sides_and_named_by_its_flow() {
    // The browser is behind it: requests to it go where its REGISTER came from.
    let mut pair = Pair::with(config()).answer("REGISTER", &[200]);
    pair.request(request_to(Method::Register, "sip:192.0.2.2;transport=ws", 1));
    pair.finish();
    let (_, _, register) = pair.got[0].clone();
    assert_eq!(register.method(), Some(Method::Register));
    let (alice, bob) = (pair.alice, pair.bob);
    let end = pair.net.trace()[0].from;
    let target = Target { transport: Transport::Ws, address: end, server_name: None };
    let now = pair.net.now();
    let invite = request_to(Method::Invite, "sip:alice@df7jal23ls0d.invalid;transport=ws", 1);
    let tx = pair.net.host(bob).request(now, invite, Destination::targets([target])).unwrap();
    let path = pair.net.host(bob).client_path(tx).unwrap();
    pair.until(now + core::time::Duration::from_millis(50));
    assert!(pair.heard(alice).contains(&"INVITE"));
    pair.respond(1, 200);
    pair.until(now + core::time::Duration::from_millis(100));
    // The ACK stays on the flow.
    let ok = pair.responses.last().unwrap().2.clone();
    let now = pair.net.now();
    pair.net.host(bob).send(now, ack_for(&ok), Destination::path(path)).unwrap();
    pair.finish();
    assert!(pair.heard(alice).contains(&"ACK"));
    assert_eq!(pair.net.connections(), 1);
    pair.assert_empty();
}

#[test]
fn a_stream_that_cannot_be_framed_is_ended() {
    let mut pair = Pair::with(config());
    let bob = pair.bob;
    let (local, remote) = ("192.0.2.2:5060".parse().unwrap(), "192.0.2.9:40000".parse().unwrap());
    let flow = pair.net.host(bob).accept(Transport::Tcp, local, remote).unwrap();
    let broken = b"OPTIONS sip:bob@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.9;branch=z9hG4bKx\r\n\
        From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\nContent-Length: -1\r\n\r\n";
    let result = pair.net.host(bob).handle_input(ms(0), Input::Stream { flow, bytes: broken });
    assert!(matches!(result, Err(sip_transaction::InputError::Framing(_))), "{result:?}");
    pair.finish();
    assert_eq!(pair.heard(bob), ["flow ended Framing"]);
    //= https://www.rfc-editor.org/rfc/rfc3261#section-18.3
    //= type=test
    //# If the message is a request, the element
    //# SHOULD generate a 400 (Bad Request) response.
    assert_eq!(pair.sent(BOB, "400").len(), 1, "answered before");
    assert_eq!(pair.net.host(bob).counters().malformed, 1);
    pair.assert_empty();
}

#[test]
fn a_large_request_goes_over_tcp_and_back_to_udp_if_it_must() {
    let mut big = request(Method::Message);
    big.set_body("text/plain", vec![b'x'; 1400]).unwrap();
    let mut pair = Pair::new().answer("MESSAGE", &[200]);
    pair.request(big.clone());
    pair.finish();
    //= https://www.rfc-editor.org/rfc/rfc3261#section-18.1.1
    //= type=test
    //# If a request is within 200 bytes of the path MTU, or if it is larger
    //# than 1300 bytes and the path MTU is unknown, the request MUST be sent
    //# using an RFC 2914 [43] congestion controlled transport protocol, such
    //# as TCP.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-18.1.1
    //= type=test
    //# If this causes a change in the transport protocol from the
    //# one indicated in the top Via, the value in the top Via MUST be
    //# changed.
    let sent = &pair.text(ALICE, "MESSAGE");
    assert_eq!(sent.len(), 1);
    //= https://www.rfc-editor.org/rfc/rfc3261#section-18
    //= type=test
    //# It has arisen out of the need to handle larger messages, which MUST use TCP, as discussed below.
    assert!(sent[0].contains("Via: SIP/2.0/TCP "));
    assert_eq!(pair.ended.len(), 2);
    pair.assert_empty();

    let mut pair = Pair::new().answer("MESSAGE", &[200]);
    let bob = pair.bob;
    pair.net.shut(bob, Transport::Tcp, 5060);
    pair.request(big);
    pair.finish();
    //= https://www.rfc-editor.org/rfc/rfc3261#section-18.1.1
    //= type=test
    //# If an element sends a request over TCP because of these message size
    //# constraints, and that request would have otherwise been sent over
    //# UDP, if the attempt to establish the connection generates either an
    //# ICMP Protocol Not Supported, or results in a TCP reset, the element
    //# SHOULD retry the request, using UDP.
    let sent = &pair.text(ALICE, "MESSAGE");
    assert!(sent[0].contains("Via: SIP/2.0/UDP "));
    assert_eq!(pair.heard(pair.alice), ["connect", "flow ended Refused", "200", "client Completed"]);
    pair.assert_empty();
}

#[test]
fn a_sips_request_is_never_sent_without_tls() {
    let mut pair = Pair::with(config());
    let alice = pair.alice;
    let insecure = request_to(Method::Options, "sips:bob@192.0.2.2;transport=udp", 1);
    let refused = pair.net.host(alice).request(ms(0), insecure, Destination::route()).unwrap_err();
    assert_eq!(refused.kind, SendErrorKind::Insecure);
    let mut routed = request_to(Method::Options, "sips:bob@biloxi.example.com", 1);
    routed.push("Route", "<sip:192.0.2.2;lr>").unwrap();
    pair.request(routed);
    pair.until(ms(10));
    assert_eq!(pair.net.host(alice).flows(), 2);
    //= https://www.rfc-editor.org/rfc/rfc5630#section-5.1.1
    //= type=test
    //# When the UAC is using a SIP Request-URI, if the route set is not
    //# empty and the topmost Route header field entry is a SIPS URI with the
    //# lr parameter, the UAC MUST send the request over TLS (using a SIP
    //# Request-URI).
    let mut secured = request_to(Method::Message, "sip:bob@biloxi.example.com", 2);
    secured.push("Route", "<sips:192.0.2.2;lr>").unwrap();
    pair.request(secured);
    pair.finish();
    assert!(pair.net.trace().iter().all(|sent| sent.transport == Transport::Tls));
    //= https://www.rfc-editor.org/rfc/rfc5630#section-5.1.1
    //= type=test
    //# When presented with a SIPS URI, a UAC MUST NOT change it to a SIP URI.
    assert!(pair.text(ALICE, "OPTIONS")[0].starts_with("OPTIONS sips:bob@biloxi.example.com SIP/2.0\r\n"));
    assert!(pair.text(ALICE, "MESSAGE")[0].starts_with("MESSAGE sip:bob@biloxi.example.com SIP/2.0\r\n"));
}

#[test]
fn certificates_must_show_the_domain() {
    let mut pair = Pair::with(config()).answer("OPTIONS", &[200]);
    let bob = pair.bob;
    pair.net.listen(bob, Transport::Tls, 5061, &["biloxi.example.com"]);
    pair.net.dns.address("biloxi.example.com", BOB).address("other.example.com", BOB);
    pair.request(request_to(Method::Options, "sips:bob@biloxi.example.com:5061", 1));
    pair.finish();
    assert_eq!(pair.heard(pair.alice).last(), Some(&"client Completed"));
    //= https://www.rfc-editor.org/rfc/rfc5923#section-8.1
    //= type=test
    //# 2.  The URI used for RFC3263 server resolution matches one of the
    //# identities stored in the alias table row corresponding to that
    //# resolved address.
    //= https://www.rfc-editor.org/rfc/rfc5922#section-7.3
    //= type=test
    //# Then, the client MUST compare the
    //# original domain portion of the SIP AUS used as input to the RFC 3263
    //# [8] server location procedures to the SIP domain identities obtained
    //# from the certificate.
    // The same address and port, but another name: not the connection there is.
    pair.request(request_to(Method::Options, "sips:bob@other.example.com:5061", 2));
    pair.finish();
    let untrusted = Outcome::Failed(FailCause::Flow(CloseCause::Untrusted));
    //= https://www.rfc-editor.org/rfc/rfc3263#section-4.1
    //= type=test
    //# For NAPTR records with SIPS protocol fields, (if the server is using a site certificate), the domain
    //# name in the query and the domain name in the replacement field MUST both be valid based on the site
    //# certificate handed out by the server in the TLS exchange.
    //= https://www.rfc-editor.org/rfc/rfc3263#section-4.1
    //= type=test
    //# Similarly, the domain name in the SRV query and the domain name in the target in the SRV record MUST
    //# both be valid based on the same site certificate.
    assert_eq!(pair.ended.last(), Some(&(pair.alice, untrusted)));
    pair.assert_empty();
}

#[test]
fn alias_lets_an_authenticated_peer_be_reached_over_its_connection() {
    let mut config = config();
    config.alias = true;
    config.sent_by.push(sip_transaction::SentBy { transport: Transport::Tls, host: ALICE.into(), port: Some(5061) });
    let mut pair = Pair::with(config).answer("OPTIONS", &[200]);
    pair.net.dns.address("atlanta.example.com", ALICE);
    let (alice, bob) = (pair.alice, pair.bob);
    pair.request(request_to(Method::Options, "sips:bob@192.0.2.2", 1));
    // Before the request arrives the TLS layer of Bob's host has told who Alice is.
    let mut told = false;
    while let Some((node, event)) = pair.net.next_event_before(ms(10_000)) {
        if let Event::Request { tx, message, path } = event {
            if !told {
                pair.net.host(bob).set_identities(path.flow, ["atlanta.example.com"]).unwrap();
                told = true;
            }
            let now = pair.net.now();
            pair.net.host(node).respond(now, tx, response(&message, 200)).unwrap();
        }
    }
    assert!(pair.text(ALICE, "OPTIONS")[0].contains(";alias"));
    let now = pair.net.now();
    // The alias is taken from the next request that asks for it.
    pair.net
        .host(alice)
        .request(now, request_to(Method::Options, "sips:bob@192.0.2.2", 2), Destination::route())
        .unwrap();
    pair.finish();
    let now = pair.net.now();
    let back = request_to(Method::Options, "sips:alice@atlanta.example.com:5061", 1);
    pair.net.host(bob).request(now, back, Destination::route()).unwrap();
    pair.finish();
    //= https://www.rfc-editor.org/rfc/rfc5923#section-8.2
    //= type=test
    //# If the sent-by production of the Via header field contains a port,
    //# the server MUST use it as a destination port.
    //= https://www.rfc-editor.org/rfc/rfc5923#section-8.2
    //= type=test
    //# The URI used for RFC3263 server resolution matches one of the
    //# identities stored in the alias table row corresponding to that
    //# resolved address.
    assert_eq!(pair.net.connections(), 1, "no second one");
    //= https://www.rfc-editor.org/rfc/rfc5923#section-8.1
    //= type=test
    //# the client MUST accept requests over this connection --
    //# in addition to the default listening port -- from its downstream
    //# peer.
    assert_eq!(pair.ended.last(), Some(&(bob, Outcome::Completed)));
    pair.assert_empty();
}

//= https://www.rfc-editor.org/rfc/rfc5923#section-8.2
//= type=test
//# The server, if it decides to reuse the connection, MUST cache in the
//# alias table the identity (or identities) of the client as they appear
//# in the X.509 certificate subjectAlternativeName extension field.
//= https://www.rfc-editor.org/rfc/rfc5923#section-8.2
//= type=test
//# Otherwise, the default
//# port is the destination port.
//= https://www.rfc-editor.org/rfc/rfc5923#section-8.2
//= type=test
//# In such a case,
//# the server MUST open a new connection to the resolved address and the
//# alias table updated accordingly.
//= https://www.rfc-editor.org/rfc/rfc5923#section-8.3
//= type=test
//# The receiver of the closure alert MUST NOT start any new
//# SIP transactions after the receipt of the closure alert.
#[test]
fn an_alias_lasts_as_long_as_its_connection() {
    for (sent_by, port) in [("192.0.2.1:5071", 5071), ("192.0.2.1", 5061)] {
        let mut endpoint = Endpoint::new(config().into(), [4; 32]);
        let (local, remote) = ("192.0.2.2:5061".parse().unwrap(), "192.0.2.1:40000".parse().unwrap());
        let flow = endpoint.accept(Transport::Tls, local, remote).unwrap();
        endpoint.set_identities(flow, ["Atlanta.example.com.", "b.example.com"]).unwrap();
        let text = format!(
            "OPTIONS sip:bob@biloxi.example.com SIP/2.0\r\nVia: SIP/2.0/TLS {sent_by};branch=z9hG4bK1;alias\r\n\
             Max-Forwards: 70\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\
             Content-Length: 0\r\n\r\n"
        );
        endpoint.handle_input(ms(0), Input::Stream { flow, bytes: text.as_bytes() }).unwrap();
        let Some(Event::Request { tx, message, .. }) = endpoint.poll_event() else { panic!("it is let in") };
        endpoint.respond(ms(0), tx, response(&message, 200)).unwrap();
        let back = |endpoint: &mut Endpoint, name: &str| {
            let address = format!("192.0.2.1:{port}").parse().unwrap();
            let target = Target { transport: Transport::Tls, address, server_name: Some(name.into()) };
            let request = request_to(Method::Options, "sips:alice@atlanta.example.com", 1);
            endpoint.request(ms(0), request, Destination::targets(vec![target])).unwrap();
        };
        for name in ["atlanta.example.com", "b.example.com"] {
            while endpoint.poll_transmit().is_some() {}
            back(&mut endpoint, name);
            assert_eq!(endpoint.poll_transmit().map(|sent| sent.flow), Some(flow), "{name} {sent_by}");
        }
        while endpoint.poll_event().is_some() {}
        endpoint.handle_input(ms(1), Input::FlowClosed { flow, cause: CloseCause::Closed }).unwrap();
        while endpoint.poll_event().is_some() {}
        back(&mut endpoint, "atlanta.example.com");
        let Some(Event::Connect { flow: new, server_name, .. }) = endpoint.poll_event() else { panic!("a new one") };
        assert_eq!((new == flow, server_name.as_deref()), (false, Some("atlanta.example.com")));
    }
}

//= https://www.rfc-editor.org/rfc/rfc5922#section-7.4
//= type=test
//# If the client does not present a certificate, the client MUST NOT be
//# considered authenticated.
//= https://www.rfc-editor.org/rfc/rfc5923#section-8.2
//= type=test
//# Servers MUST follow the authentication steps outlined in Section 9.2
//# to authenticate the connection before forming an alias.
//= https://www.rfc-editor.org/rfc/rfc5923#section-8.2
//= type=test
//# If the server
//# chooses not to honor an aliased connection, the server MUST allow the
//# request to proceed as though the "alias" header field parameter was
//# not present in the topmost Via header.
//= https://www.rfc-editor.org/rfc/rfc5923#section-9.2
//= type=test
//# If the client does not
//# present a certificate, the server MUST proceed as if the "alias"
//# header field parameter was not present in the topmost Via header.
//= https://www.rfc-editor.org/rfc/rfc5923#section-9.2
//= type=test
//# In this case, the server MUST NOT update the alias table.
//= https://www.rfc-editor.org/rfc/rfc5923#section-9.3
//= type=test
//# Virtual servers MUST only perform connection reuse for TLS
//# connections; virtual servers MUST NOT perform connection reuse for
//# other connection-oriented transports.
#[test]
fn alias_is_ignored_without_an_identity_for_another_domain_and_without_tls() {
    let cases: [(Transport, &[&str]); 3] = [
        (Transport::Tls, &[]),
        (Transport::Tls, &["other.example.com"]),
        // What the host tells of a connection without TLS, or of one to a WebSocket client, makes no alias.
        (Transport::Wss, &["atlanta.example.com"]),
    ];
    for (transport, identities) in cases {
        let mut endpoint = Endpoint::new(config().into(), [4; 32]);
        let (local, remote) = ("192.0.2.2:5061".parse().unwrap(), "192.0.2.1:40000".parse().unwrap());
        let flow = endpoint.accept(transport, local, remote).unwrap();
        endpoint.set_identities(flow, identities.iter().copied()).unwrap();
        let via = transport.via();
        let text = format!(
            "OPTIONS sip:bob@biloxi.example.com SIP/2.0\r\nVia: SIP/2.0/{via} 192.0.2.1:5061;branch=z9hG4bK1;alias\r\n\
             Max-Forwards: 70\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\
             Content-Length: 0\r\n\r\n"
        );
        let input = match transport.is_stream() {
            true => Input::Stream { flow, bytes: text.as_bytes() },
            false => Input::Message { flow, bytes: text.as_bytes() },
        };
        endpoint.handle_input(ms(0), input).unwrap();
        let Some(Event::Request { tx, message, .. }) = endpoint.poll_event() else { panic!("it is let in") };
        endpoint.respond(ms(0), tx, response(&message, 200)).unwrap();
        assert!(endpoint.poll_transmit().is_some(), "the request itself is answered as ever");
        while endpoint.poll_event().is_some() {}
        let back = Target {
            transport,
            address: "192.0.2.1:5061".parse().unwrap(),
            server_name: Some("atlanta.example.com".into()),
        };
        let request = request_to(Method::Options, "sips:alice@atlanta.example.com", 1);
        endpoint.request(ms(0), request, Destination::targets(vec![back])).unwrap();
        assert!(matches!(endpoint.poll_event(), Some(Event::Connect { .. })), "{transport} {identities:?}");
    }
}

#[test]
fn a_flow_can_be_closed_and_opened_by_command() {
    let mut pair = Pair::with(config());
    let alice = pair.alice;
    let target = Target { transport: Transport::Tcp, address: "192.0.2.2:5060".parse().unwrap(), server_name: None };
    let flow = pair.net.host(alice).connect(ms(0), &target).unwrap();
    assert!(!pair.net.host(alice).is_open(flow));
    pair.until(ms(100));
    assert!(pair.net.host(alice).is_open(flow));
    assert_eq!(pair.net.host(alice).connect(ms(100), &target), Ok(flow), "there is one");
    pair.net.host(alice).close(ms(100), flow).unwrap();
    pair.finish();
    assert_eq!(pair.heard(alice), ["connect", "flow ended Local"]);
    assert_eq!(pair.heard(pair.bob), ["flow ended Closed"]);
    assert_eq!(pair.net.connections(), 0);
    //= https://www.rfc-editor.org/rfc/rfc5923#section-8.1
    //= type=test
    //# Clients MUST be prepared for the case that the connection no longer
    //# exists when they are ready to send a subsequent request over it.  In
    //# such a case, a new connection MUST be opened to the resolved address
    //# and the alias table updated accordingly.
    let now = pair.net.now();
    let again = pair.net.host(alice).connect(now, &target).unwrap();
    assert_ne!(again, flow);
    pair.finish();
    assert!(pair.net.host(alice).is_open(again));
    let now = pair.net.now();
    pair.net.host(alice).close(now, again).unwrap();
    pair.net.set_filter(|_| Fate::Carry);
    assert!(pair.net.host(alice).close(ms(200), flow).is_err());
}

#[test]
fn a_response_that_finds_no_connection_asks_dns() {
    // Alice's name leads to another machine of hers; nobody listens at the address her request came from.
    let mut config = config();
    let name = sip_transaction::SentBy { transport: Transport::Tcp, host: "atlanta.example.com".into(), port: None };
    config.sent_by.push(name);
    let mut pair = Pair::with(config);
    let (alice, bob) = (pair.alice, pair.bob);
    let spare = pair.net.add("192.0.2.50", Endpoint::new(Default::default(), [50; 32]));
    pair.net.listen(spare, Transport::Tcp, 5080, &[]);
    pair.net.dns.srv("_sip._tcp.atlanta.example.com", 1, 1, 5080, "spare.example.com");
    pair.net.dns.address("spare.example.com", "192.0.2.50");
    pair.request(request_to(Method::Invite, "sip:bob@192.0.2.2;transport=tcp", 1));
    pair.until(ms(100));
    let path = pair.net.host(bob).server_path(pair.got[0].1).unwrap();
    pair.net.shut(alice, Transport::Tcp, 5060);
    pair.net.break_flow(bob, path.flow);
    pair.until(ms(200));
    pair.respond(0, 486);
    pair.until(ms(1_000));
    //= https://www.rfc-editor.org/rfc/rfc3261#section-18.2.2
    //= type=test
    //# If that
    //# connection attempt fails, the server SHOULD use the procedures
    //# in [4] for servers in order to determine the IP address and
    //# port to open the connection and send the response to.
    let last = pair.net.trace().iter().rfind(|sent| sent.what() == "486").unwrap();
    assert_eq!(last.to, "192.0.2.50:5080".parse().unwrap());
    pair.finish();
    assert!(pair.ended.contains(&(bob, Outcome::TimedOut)), "the machine that took over has no such transaction");
    pair.assert_empty();
}

#[test]
fn websocket_transactions_follow_reliable_timers() {
    //= https://www.rfc-editor.org/rfc/rfc7118#section-5
    //= type=test
    //# Thus, client and server transactions using WebSocket for
    //# transport MUST follow the procedures and timer values for reliable
    //# transports as defined in [RFC3261].
    let mut pair = Pair::with(config());
    pair.request(request_to(Method::Invite, "sip:bob@192.0.2.2;transport=ws", 1));
    pair.until(ms(10_000));
    assert_eq!(pair.sent(ALICE, "INVITE").len(), 1);
    pair.respond(0, 603);
    pair.finish();
    assert_eq!(pair.sent(BOB, "603").len(), 1);
    pair.assert_empty();
}

#[test]
fn thirteen_hundred_bytes_are_the_most_whatever_is_put_on_top() {
    let name = format!("{}.example.com", "long".repeat(15));
    // Content-Length is put on top, too, of what comes without one.
    for (host, counted) in [(None, true), (Some(name), true), (None, false)] {
        // What it comes to with the smallest body.
        let sent = |body: usize| {
            let mut config = EndpointConfig::default();
            if let Some(host) = &host {
                let host = host.clone();
                config.sent_by.push(sip_transaction::SentBy { transport: Transport::Udp, host, port: None });
            }
            let mut endpoint = Endpoint::new(config.into(), [3; 32]);
            endpoint.bind(Transport::Udp, "192.0.2.1:5060".parse().unwrap()).unwrap();
            let mut big = request(Method::Message);
            big.set_body("text/plain", vec![b'x'; body]).unwrap();
            if !counted {
                let text = String::from_utf8(big.to_bytes().to_vec()).unwrap();
                let line = format!("Content-Length: {body}\r\n");
                assert!(text.contains(&line), "{text}");
                big = Message::parse(text.replace(&line, "").into()).unwrap();
            }
            endpoint.request(ms(0), big, Destination::route()).unwrap();
            endpoint.poll_transmit().map(|transmit| transmit.bytes.len())
        };
        let room = 1300 - (sent(100).unwrap() - 100);
        assert_eq!(sent(room), Some(1300), "{host:?}");
        //= https://www.rfc-editor.org/rfc/rfc3261#section-18.1.1
        //= type=test
        //# If a request is within 200 bytes of the path MTU, or if it is larger
        //# than 1300 bytes and the path MTU is unknown, the request MUST be sent
        //# using an RFC 2914 [43] congestion controlled transport protocol, such
        //# as TCP.
        assert_eq!(sent(room + 1), None, "{host:?}: a connection is to be opened");
    }
}
