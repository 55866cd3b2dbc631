//! Locating servers: RFC 3263, with NAPTR for WebSocket of RFC 7118.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests stop at what they did not expect")]

use crate::common::{ALICE, BOB, Pair, ms, request_to};
use sip_message::Method;
use sip_transaction::{
    Answer, CloseCause, Destination, Endpoint, EndpointConfig, Event, FailCause, Input, InputError, Outcome, Record,
    RecordData, RecordKind, SendErrorKind, Transport,
};
use std::collections::BTreeMap;

fn config(transports: &[Transport]) -> EndpointConfig {
    let mut config = EndpointConfig::default();
    config.transports = transports.to_vec();
    config
}

fn options(uri: &str) -> sip_message::Message {
    request_to(Method::Options, uri, 1)
}

/// Where a request to `uri` went first, as transport and address.
fn went(pair: &mut Pair, uri: &str) -> (Transport, String) {
    pair.net.clear_trace();
    pair.request(options(uri));
    pair.finish();
    let sent = pair.net.trace().iter().find(|sent| sent.what() == "OPTIONS").unwrap_or_else(|| panic!("{uri}"));
    (sent.transport, sent.to.to_string())
}

#[test]
//= https://www.rfc-editor.org/rfc/rfc3261#section-18
//= type=test
//# All SIP elements MUST implement UDP and TCP.
//= https://www.rfc-editor.org/rfc/rfc3261#section-18
//= type=test
//# SIP elements MAY implement other protocols.
//= https://www.rfc-editor.org/rfc/rfc7118#section-5.4
//= type=test
//# All SIP elements MUST implement UDP and TCP.
//= https://www.rfc-editor.org/rfc/rfc7118#section-5.4
//= type=test
//# SIP elements MAY implement other protocols.
fn the_uri_alone_may_tell() {
    use Transport::{Tcp, Tls, Udp, Ws, Wss};
    let mut pair = Pair::with(config(&Transport::ALL)).answer("OPTIONS", &[200]);
    pair.net.dns.address("host.example.com", BOB);
    let bob = pair.bob;
    pair.net.bind(bob, Udp, 5070);
    for (transport, port) in [(Tcp, 5070), (Tls, 5070), (Ws, 8080), (Wss, 8443)] {
        pair.net.listen(bob, transport, port, &[]);
    }
    //= https://www.rfc-editor.org/rfc/rfc3263#section-4.1
    //= type=test
    //# If the URI specifies a transport protocol in the transport parameter,
    //# that transport protocol SHOULD be used.
    //= https://www.rfc-editor.org/rfc/rfc3263#section-4.1
    //= type=test
    //# Otherwise, if no transport protocol is specified, but the TARGET is a
    //# numeric IP address, the client SHOULD use UDP for a SIP URI, and TCP
    //# for a SIPS URI.
    //= https://www.rfc-editor.org/rfc/rfc3263#section-4.1
    //= type=test
    //# Similarly, if no transport protocol is specified,
    //# and the TARGET is not numeric, but an explicit port is provided, the
    //# client SHOULD use UDP for a SIP URI, and TCP for a SIPS URI.
    for (uri, transport, to) in [
        ("sip:192.0.2.2", Udp, "192.0.2.2:5060"),
        ("sip:bob@192.0.2.2:5070", Udp, "192.0.2.2:5070"),
        ("sips:192.0.2.2", Tls, "192.0.2.2:5061"),
        ("sip:192.0.2.2;transport=tcp", Tcp, "192.0.2.2:5060"),
        ("sip:192.0.2.2:5070;transport=TCP", Tcp, "192.0.2.2:5070"),
        ("sips:192.0.2.2;transport=tcp", Tls, "192.0.2.2:5061"),
        ("sip:192.0.2.2;transport=tls", Tls, "192.0.2.2:5061"),
        ("sip:192.0.2.2;transport=ws", Ws, "192.0.2.2:80"),
        ("sip:192.0.2.2:8080;transport=ws", Ws, "192.0.2.2:8080"),
        ("sips:192.0.2.2;transport=ws", Wss, "192.0.2.2:443"),
        ("sips:192.0.2.2:8443;transport=ws", Wss, "192.0.2.2:8443"),
        ("sip:host.example.com:5070", Udp, "192.0.2.2:5070"),
        ("sips:host.example.com:5070", Tls, "192.0.2.2:5070"),
        ("sip:elsewhere.invalid;maddr=192.0.2.2", Udp, "192.0.2.2:5060"),
        ("sip:HOST.example.com.:5070", Udp, "192.0.2.2:5070"),
    ] {
        assert_eq!(went(&mut pair, uri), (transport, to.into()), "{uri}");
    }
    assert_eq!(pair.net.dns.times_asked("host.example.com", RecordKind::Naptr), 0, "a port says enough");
    pair.assert_empty();
}

#[test]
fn naptr_chooses_among_the_transports_we_have() {
    use Transport::{Tcp, Tls, Udp, Ws, Wss};
    let records = |pair: &mut Pair| {
        // The example of RFC 3263 section 4.1, and WebSocket.
        pair.net
            .dns
            .naptr("example.com", 40, 50, "SIPS+D2W", "_sips._ws.example.com")
            .naptr("example.com", 50, 50, "SIPS+D2T", "_sips._tcp.example.com")
            .naptr("example.com", 90, 50, "SIP+D2T", "_sip._tcp.example.com")
            .naptr("example.com", 100, 50, "SIP+D2U", "_sip._udp.example.com")
            .naptr("example.com", 10, 10, "HTTP+D2T", "_http._tcp.example.com")
            .srv("_sips._ws.example.com", 0, 1, 443, "server.example.com")
            .srv("_sips._tcp.example.com", 0, 1, 5061, "server.example.com")
            .srv("_sip._tcp.example.com", 0, 1, 5060, "server.example.com")
            .srv("_sip._udp.example.com", 0, 1, 5060, "server.example.com")
            .address("server.example.com", BOB);
    };
    //= https://www.rfc-editor.org/rfc/rfc3263#section-4.1
    //= type=test
    //# Otherwise, if no transport protocol or port is specified, and the
    //# target is not a numeric IP address, the client SHOULD perform a NAPTR
    //# query for the domain in the URI.
    //= https://www.rfc-editor.org/rfc/rfc3263#section-4.1
    //= type=test
    //# Second, a client MUST discard any service
    //# fields that identify a resolution service whose value is not "D2X",
    //# for values of X that indicate transport protocols supported by the
    //# client.
    //= https://www.rfc-editor.org/rfc/rfc3263#section-4.1
    //= type=test
    //# A client resolving
    //# a SIP URI SHOULD retain records with "SIPS" as the protocol, if the
    //# client supports TLS.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.2
    //= type=test
    //# If the Request-URI contains a SIPS URI, any alternate destinations MUST
    //# be contacted with TLS.
    //= https://www.rfc-editor.org/rfc/rfc3263#section-4.1
    //= type=test
    //# First, a client resolving a SIPS URI MUST discard any services that
    //# do not contain "SIPS" as the protocol in the service field.
    for (transports, uri, transport, to) in [
        (&[Udp][..], "sip:example.com", Udp, "192.0.2.2:5060"),
        (&[Udp, Tcp][..], "sip:example.com", Tcp, "192.0.2.2:5060"),
        (&[Udp, Tcp, Tls][..], "sip:example.com", Tls, "192.0.2.2:5061"),
        (&[Udp, Tcp, Tls][..], "sips:example.com", Tls, "192.0.2.2:5061"),
        (&[Udp, Ws, Wss][..], "sip:example.com", Wss, "192.0.2.2:443"),
        (&[Udp, Tls, Wss][..], "sips:example.com", Wss, "192.0.2.2:443"),
    ] {
        let mut pair = Pair::with(config(transports)).answer("OPTIONS", &[200]);
        records(&mut pair);
        //= https://www.rfc-editor.org/rfc/rfc3263#section-4.1
        //= type=test
        //# The client MAY use any transport protocol it desires which is supported by the server.
        assert_eq!(went(&mut pair, uri), (transport, to.into()), "{transports:?} {uri}");
        pair.assert_empty();
    }
}

#[test]
fn without_naptr_srv_is_asked_for_and_without_srv_the_host() {
    use Transport::{Tcp, Tls, Udp};
    let mut pair = Pair::new().answer("OPTIONS", &[200]);
    pair.net.dns.srv("_sip._tcp.srv.example.com", 0, 1, 5060, "server.example.com").address("server.example.com", BOB);
    //= https://www.rfc-editor.org/rfc/rfc3263#section-4.1
    //= type=test
    //# If no NAPTR records are found, the client constructs SRV queries for
    //# those transport protocols it supports, and does a query for each.
    assert_eq!(went(&mut pair, "sip:srv.example.com"), (Tcp, "192.0.2.2:5060".into()));
    pair.net.dns.address("plain.example.com", BOB);
    //= https://www.rfc-editor.org/rfc/rfc3263#section-4.1
    //= type=test
    //# If no SRV records are found, the client SHOULD use TCP
    //# for a SIPS URI, and UDP for a SIP URI.
    //= https://www.rfc-editor.org/rfc/rfc3263#section-4.2
    //= type=test
    //# If no SRV records were found, the client performs an A or AAAA record
    //# lookup of the domain name.
    assert_eq!(went(&mut pair, "sip:plain.example.com"), (Udp, "192.0.2.2:5060".into()));
    assert_eq!(went(&mut pair, "sips:plain.example.com"), (Tls, "192.0.2.2:5061".into()));
    assert_eq!(went(&mut pair, "sip:plain.example.com;transport=tcp"), (Tcp, "192.0.2.2:5060".into()));
    pair.assert_empty();
}

#[test]
fn priorities_are_kept_and_weights_are_shares() {
    let mut first: BTreeMap<String, usize> = BTreeMap::new();
    for seed in 0..400u32 {
        let mut key = [0; 32];
        key[..4].copy_from_slice(&seed.to_le_bytes());
        let mut endpoint = Endpoint::new(EndpointConfig::default().into(), key);
        endpoint.bind(Transport::Udp, "192.0.2.1:5060".parse().unwrap()).unwrap();
        endpoint.request(ms(0), options("sip:example.com;transport=udp"), Destination::route()).unwrap();
        let record = |data| Record { ttl: crate::common::secs(60), data };
        let srv = |priority, weight, target: &str| {
            record(RecordData::Srv { priority, weight, port: 5060, target: target.into() })
        };
        while let Some(event) = endpoint.poll_event() {
            let Event::Query { query, name, kind } = event else { continue };
            let last = |n: u8| vec![record(RecordData::Address([192, 0, 2, n].into()))];
            let records = match (kind, name.as_str()) {
                (RecordKind::Srv, _) => {
                    vec![srv(20, 100, "backup"), srv(10, 75, "heavy"), srv(10, 25, "light"), srv(10, 0, "none")]
                }
                (RecordKind::A, "heavy") => last(10),
                (RecordKind::A, "light") => last(11),
                (RecordKind::A, "none") => last(12),
                (RecordKind::A, "backup") => last(13),
                _ => vec![],
            };
            endpoint.handle_input(ms(0), Input::Resolved { query, answer: Answer::Records(&records) }).unwrap();
        }
        let mut order = Vec::new();
        // Each target fails in its turn.
        while let Some(transmit) = endpoint.poll_transmit() {
            order.push(transmit.remote.ip().to_string());
            let token = transmit.token.unwrap();
            let failed = Input::SendFailed { token, cause: sip_transaction::SendCause::Unreachable };
            endpoint.handle_input(ms(0), failed).unwrap();
        }
        //= https://www.rfc-editor.org/rfc/rfc3263#section-4.2
        //= type=test
        //# The client SHOULD try the first record.  If an
        //# attempt should fail, based on the definition of failure in Section
        //# 4.3, the next SHOULD be tried, and if that should fail, the next
        //# SHOULD be tried, and so on.
        assert_eq!(order.len(), 4);
        assert_eq!(order[3], "192.0.2.13", "the backup is the last");
        *first.entry(order[0].clone()).or_default() += 1;
    }
    let share = |ip: &str| first.get(ip).copied().unwrap_or_default();
    assert!((260..340).contains(&share("192.0.2.10")), "{first:?}");
    assert!((60..140).contains(&share("192.0.2.11")), "{first:?}");
    assert!(share("192.0.2.12") < 20, "{first:?}");
}

#[test]
fn a_request_moves_on_when_a_target_fails() {
    // Three servers: the first does not exist (ICMP), the second is silent, the third answers 503, Bob answers.
    let mut pair = Pair::new().answer("OPTIONS", &[200]).answer("INVITE", &[486]);
    let silent = pair.net.add("192.0.2.31", Endpoint::new(EndpointConfig::default().into(), [31; 32]));
    let busy = pair.net.add("192.0.2.32", Endpoint::new(EndpointConfig::default().into(), [32; 32]));
    pair.net.bind(silent, Transport::Udp, 5060);
    pair.net.bind(busy, Transport::Udp, 5060);
    pair.net.set_filter(
        |packet| {
            if packet.to.ip().to_string() == "192.0.2.31" { sim::Fate::Lose } else { sim::Fate::Carry }
        },
    );
    for (nth, (name, ip)) in
        [("a", "192.0.2.30"), ("b", "192.0.2.31"), ("c", "192.0.2.32"), ("d", BOB)].iter().enumerate()
    {
        pair.net.dns.srv("_sip._udp.example.com", nth as u16, 1, 5060, &format!("{name}.example.com"));
        pair.net.dns.address(&format!("{name}.example.com"), ip);
    }
    for (method, answer) in [(Method::Options, "200"), (Method::Invite, "486")] {
        pair.net.clear_trace();
        pair.log.clear();
        let start = pair.net.now();
        pair.request(request_to(method, "sip:example.com;transport=udp", 1));
        while let Some((node, event)) = pair.net.next_event_before(start + crate::common::secs(300)) {
            if node == busy {
                if let Event::Request { tx, message, .. } = &event {
                    let now = pair.net.now();
                    pair.net.host(busy).respond(now, *tx, crate::common::response(message, 503)).unwrap();
                }
                continue;
            }
            pair.on_event(node, event);
        }
        //= https://www.rfc-editor.org/rfc/rfc3263#section-4.3
        //= type=test
        //# For SIP requests, failure occurs if the transaction layer reports a
        //# 503 error response or a transport failure of some sort
        //= https://www.rfc-editor.org/rfc/rfc3263#section-4.3
        //= type=test
        //# If a failure occurs, the client SHOULD create a new request, which is
        //# identical to the previous, but has a different value of the Via
        //# branch ID than the previous (and therefore constitutes a new SIP
        //# transaction).
        let heard: Vec<_> = pair.heard(pair.alice).into_iter().filter(|what| !what.starts_with("query")).collect();
        assert_eq!(heard, [answer, "client Completed"], "one transaction for its user");
        let mut tried: Vec<_> = Vec::new();
        let mut branches = Vec::new();
        for sent in pair.net.trace().iter().filter(|sent| sent.what() == method.as_str()) {
            tried.push(sent.to.ip().to_string());
            let text = String::from_utf8_lossy(&sent.bytes).into_owned();
            branches.push(text.split("branch=").nth(1).unwrap()[..27].to_owned());
        }
        tried.dedup();
        branches.dedup();
        assert_eq!(tried, ["192.0.2.30", "192.0.2.31", "192.0.2.32", BOB]);
        assert_eq!(branches.len(), 4);
    }
    assert!(pair.net.host(silent).is_idle() && pair.net.host(busy).is_idle());
    pair.assert_empty();
}

#[test]
fn a_503_to_an_invite_that_moves_on_is_acknowledged() {
    let mut pair = Pair::new().answer("INVITE", &[486]);
    let busy = pair.net.add("192.0.2.32", Endpoint::new(EndpointConfig::default().into(), [32; 32]));
    pair.net.bind(busy, Transport::Udp, 5060);
    pair.net.dns.srv("_sip._udp.example.com", 0, 1, 5060, "c").srv("_sip._udp.example.com", 1, 1, 5060, "d");
    pair.net.dns.address("c", "192.0.2.32").address("d", BOB);
    pair.lose(ALICE, "ACK", 1);
    pair.request(request_to(Method::Invite, "sip:example.com;transport=udp", 1));
    let mut outcome = None;
    while let Some((node, event)) = pair.net.next_event() {
        if node == busy {
            if let Event::Request { tx, message, .. } = &event {
                let now = pair.net.now();
                pair.net.host(busy).respond(now, *tx, crate::common::response(message, 503)).unwrap();
            }
            if let Event::ServerEnded { outcome: ended, .. } = event {
                outcome = Some(ended);
            }
            continue;
        }
        pair.on_event(node, event);
    }
    assert_eq!(outcome, Some(Outcome::Completed), "though the first ACK was lost");
    assert!(pair.heard(pair.alice).ends_with(&["486", "client Completed"]));
    assert!(pair.net.host(busy).is_idle());
    pair.assert_empty();
}

#[test]
fn the_last_503_is_the_users() {
    let mut pair = Pair::new().answer("OPTIONS", &[503]);
    pair.net.dns.srv("_sip._udp.example.com", 0, 1, 5060, "d").address("d", BOB);
    pair.request(options("sip:example.com;transport=udp"));
    pair.finish();
    assert!(pair.heard(pair.alice).ends_with(&["503", "client Completed"]));
    pair.assert_empty();
}

#[test]
fn a_pinned_request_goes_nowhere_else() {
    let mut pair = Pair::new();
    let (alice, socket) = (pair.alice, pair.net.nodes().count());
    let _ = socket;
    let now = pair.net.now();
    pair.request(options("sip:192.0.2.2"));
    pair.until(ms(5));
    let first = pair.net.trace()[0].clone();
    let flow = pair.net.host(alice).bind(Transport::Udp, "192.0.2.1:6000".parse().unwrap()).unwrap();
    let path = sip_transaction::Path {
        flow,
        transport: Transport::Udp,
        local: first.from,
        remote: "192.0.2.77:9".parse().unwrap(),
    };
    pair.net.host(alice).request(now, options("sip:192.0.2.2"), Destination::path(path)).unwrap();
    //= https://www.rfc-editor.org/rfc/rfc3263#section-4.4
    //= type=test
    //# When a server is contacted successfully, all retransmissions of the request for the transaction, as
    //# well as ACK for a non-2xx final response, and CANCEL requests for that transaction, MUST go to the
    //# same server.
    let sent = pair.net.host(alice).poll_transmit().unwrap();
    assert_eq!((sent.flow, sent.remote), (flow, "192.0.2.77:9".parse().unwrap()));
    //= https://www.rfc-editor.org/rfc/rfc3263#section-4
    //= type=test
    //# That is, once a SIP server has successfully been contacted (success
    //# is defined below), all retransmissions of the SIP request and the ACK
    //# for non-2xx SIP responses to INVITE MUST be sent to the same host.
    pair.until(ms(600));
    assert!(pair.net.trace().iter().filter(|sent| sent.at > ms(400)).any(|sent| sent.to == path.remote));
}

#[test]
fn dead_targets_are_passed_over_for_a_while() {
    let mut pair = Pair::new().answer("OPTIONS", &[200]);
    pair.net.dns.srv("_sip._udp.example.com", 0, 1, 5060, "a").srv("_sip._udp.example.com", 1, 1, 5060, "d");
    pair.net.dns.address("a", "192.0.2.30").address("d", BOB);
    let tried = |pair: &Pair| -> Vec<String> {
        pair.net.trace().iter().filter(|sent| sent.what() == "OPTIONS").map(|sent| sent.to.ip().to_string()).collect()
    };
    pair.request(options("sip:example.com;transport=udp"));
    pair.until(ms(1_000));
    assert_eq!(tried(&pair), ["192.0.2.30", BOB]);
    pair.net.clear_trace();
    pair.request(options("sip:example.com;transport=udp"));
    pair.until(ms(2_000));
    assert_eq!(tried(&pair), [BOB], "the dead one is not tried first");
    pair.until(ms(40_000));
    pair.net.clear_trace();
    pair.request(options("sip:example.com;transport=udp"));
    pair.finish();
    assert_eq!(tried(&pair), ["192.0.2.30", BOB], "it gets another chance");
    assert_eq!(pair.net.dns.times_asked("a", RecordKind::A), 1, "answers are kept for their TTL");
    pair.assert_empty();
}

#[test]
fn answers_are_asked_for_again_when_their_time_is_over() {
    let mut endpoint = Endpoint::new(EndpointConfig::default().into(), [1; 32]);
    endpoint.bind(Transport::Udp, "192.0.2.1:5060".parse().unwrap()).unwrap();
    // Asks for a host, and answers what is asked: A for five minutes, AAAA with nothing, which is believed for one.
    let ask = |endpoint: &mut Endpoint, at: u64| {
        let now = ms(at * 1000);
        endpoint.request(now, options("sip:host.example.com:5060"), Destination::route()).unwrap();
        let mut asked = Vec::new();
        while let Some(event) = endpoint.poll_event() {
            let Event::Query { query, kind, .. } = event else { continue };
            asked.push(kind);
            let record = Record { ttl: crate::common::secs(300), data: RecordData::Address([192, 0, 2, 9].into()) };
            let records = if kind == RecordKind::A { vec![record] } else { vec![] };
            endpoint.handle_input(now, Input::Resolved { query, answer: Answer::Records(&records) }).unwrap();
        }
        let sent = std::iter::from_fn(|| endpoint.poll_transmit()).last().unwrap();
        assert_eq!(sent.remote, "192.0.2.9:5060".parse().unwrap());
        asked.sort();
        asked
    };
    assert_eq!(ask(&mut endpoint, 0), [RecordKind::A, RecordKind::Aaaa]);
    assert_eq!(ask(&mut endpoint, 59), []);
    assert_eq!(ask(&mut endpoint, 60), [RecordKind::Aaaa]);
    assert_eq!(ask(&mut endpoint, 119), []);
    assert_eq!(ask(&mut endpoint, 300), [RecordKind::A, RecordKind::Aaaa]);
}

#[test]
fn names_without_addresses_and_dns_without_answers_are_failures() {
    for broken in [false, true] {
        let mut pair = Pair::new();
        if broken {
            pair.net.dns.fail("nowhere.example.com");
        }
        pair.request(options("sip:nowhere.example.com"));
        pair.finish();
        assert_eq!(pair.ended, [(pair.alice, Outcome::Failed(FailCause::Unresolvable))]);
        pair.assert_empty();
    }
    // A resolver that says nothing at all.
    let mut endpoint = Endpoint::new(EndpointConfig::default().into(), [1; 32]);
    endpoint.bind(Transport::Udp, "192.0.2.1:5060".parse().unwrap()).unwrap();
    endpoint.request(ms(0), options("sip:host.example.com:5060"), Destination::route()).unwrap();
    let queries: Vec<_> = std::iter::from_fn(|| endpoint.poll_event()).collect();
    assert_eq!(queries.len(), 2, "A and AAAA");
    assert_eq!(endpoint.poll_timeout(), Some(ms(10_000)));
    assert_eq!(endpoint.next_timeout_reason(), Some(sip_transaction::Timer::Resolve));
    endpoint.handle_timeout(ms(10_000));
    assert!(matches!(endpoint.poll_event(), Some(Event::ClientEnded { .. })));
    assert!(endpoint.is_idle());
    let Event::Query { query, .. } = queries[0] else { panic!("a query") };
    let late = endpoint.handle_input(ms(11_000), Input::Resolved { query, answer: Answer::Failed });
    assert_eq!(late, Err(InputError::UnknownQuery));
}

#[test]
fn ipv6_comes_first_where_there_is_a_socket_for_it() {
    let mut pair = Pair::new().answer("OPTIONS", &[200]);
    pair.net.dns.address("dual.example.com", "2001:db8::2").address("dual.example.com", BOB);
    assert_eq!(went(&mut pair, "sip:dual.example.com:5060"), (Transport::Udp, "192.0.2.2:5060".into()), "no socket");
    let mut pair = Pair::new().answer("OPTIONS", &[200]);
    let (a, b) = (Endpoint::new(Default::default(), [3; 32]), Endpoint::new(Default::default(), [4; 32]));
    let (alice, bob) = (pair.net.add("2001:db8::1", a), pair.net.add("2001:db8::2", b));
    pair.net.bind(alice, Transport::Udp, 5060);
    pair.net.bind(bob, Transport::Udp, 5060);
    pair.net.dns.address("six.example.com", "2001:db8::2").address("six.example.com", BOB);
    pair.alice = alice;
    assert_eq!(went(&mut pair, "sip:six.example.com:5060"), (Transport::Udp, "[2001:db8::2]:5060".into()));
    assert_eq!(went(&mut pair, "sip:[2001:db8::2]"), (Transport::Udp, "[2001:db8::2]:5060".into()));
}

#[test]
fn what_is_no_sip_uri_is_refused_at_once() {
    let mut pair = Pair::new();
    let alice = pair.alice;
    for (uri, kind) in [
        ("tel:+15551234", SendErrorKind::NoTarget),
        ("mailto:bob@example.com", SendErrorKind::NoTarget),
        ("sip:192.0.2.2;transport=sctp", SendErrorKind::NoTransport),
        ("sip:192.0.2.2;transport=ws", SendErrorKind::NoTransport),
        ("sip:192.0.2.2;transport=pigeon", SendErrorKind::NoTransport),
    ] {
        let refused = pair.net.host(alice).request(ms(0), options(uri), Destination::route()).unwrap_err();
        assert_eq!(refused.kind, kind, "{uri}");
    }
    let refused =
        pair.net.host(alice).request(ms(0), request_to(Method::Ack, "sip:192.0.2.2", 1), Destination::route());
    assert_eq!(refused.unwrap_err().kind, SendErrorKind::WrongKind);
    let refused = pair.net.host(alice).request(ms(0), options("sip:192.0.2.2"), Destination::targets([]));
    assert_eq!(refused.unwrap_err().kind, SendErrorKind::NoTarget);
    pair.assert_empty();
}

#[test]
fn the_route_decides_before_the_request_uri() {
    let mut pair = Pair::new().answer("OPTIONS", &[200]);
    let mut routed = options("sip:elsewhere.example.com");
    routed.push("Route", "<sip:192.0.2.2;lr>, <sip:192.0.2.99;lr>").unwrap();
    pair.request(routed);
    pair.finish();
    assert_eq!(pair.ended.len(), 2);
    let alice = pair.alice;
    let now = pair.net.now();
    let hop = Destination::next_hop("sip:192.0.2.2");
    pair.net.host(alice).request(now, options("sip:elsewhere.example.com"), hop).unwrap();
    pair.finish();
    assert_eq!(pair.ended.len(), 4);
    pair.assert_empty();
}

#[test]
fn one_question_serves_all_who_wait_for_it() {
    let mut pair = Pair::new().answer("OPTIONS", &[200]);
    pair.net.dns.address("host.example.com", BOB);
    for _ in 0..5 {
        pair.request(options("sip:host.example.com:5060"));
    }
    pair.finish();
    //= https://www.rfc-editor.org/rfc/rfc3263#section-4
    //= type=test
    //# The procedures here MUST be done exactly once per transaction, where transaction is as defined in
    //# [1].
    assert_eq!(pair.net.dns.times_asked("host.example.com", RecordKind::A), 1);
    assert_eq!(pair.ended.len(), 10);
    pair.assert_empty();
}

#[test]
fn an_ack_to_a_name_waits_for_dns_too() {
    let mut pair = Pair::new();
    pair.net.dns.address("host.example.com", BOB);
    let alice = pair.alice;
    let ack = request_to(Method::Ack, "sip:host.example.com:5060", 1);
    pair.net.host(alice).send(ms(0), ack.clone(), Destination::route()).unwrap();
    pair.finish();
    assert_eq!(pair.heard(pair.bob), ["ACK"]);
    pair.net.host(alice).send(ms(100), ack, Destination::next_hop("sip:192.0.2.2;transport=tcp")).unwrap();
    let bob = pair.bob;
    pair.net.shut(bob, Transport::Tcp, 5060);
    pair.finish();
    assert!(pair.heard(alice).contains(&"send failed"));
    let _ = CloseCause::Refused;
    pair.assert_empty();
}

#[test]
fn a_naptr_record_without_a_replacement_is_passed_over() {
    for replacement in [".", ""] {
        let mut pair = Pair::new();
        pair.net.dns.naptr("example.com", 1, 1, "SIP+D2U", replacement);
        pair.net.dns.naptr("example.com", 2, 1, "SIP+D2U", "_sip._udp.example.com");
        pair.net.dns.srv("_sip._udp.example.com", 0, 0, 5060, "server.example.com").address("server.example.com", BOB);
        pair.request(options("sip:example.com"));
        pair.finish();
        assert!(pair.net.trace().iter().any(|sent| sent.what() == "OPTIONS"), "{replacement:?}");
        assert_eq!(pair.net.dns.times_asked(replacement, RecordKind::Srv), 0, "{replacement:?}");
        pair.assert_empty();
    }
}

// RFC 2782: "." as the target "means that the service is decidedly not available at this domain". Only "if no SRV records were found" is the
// domain's own address asked for: neither then nor when the hosts they name have none.
#[test]
fn where_srv_records_lead_nowhere_the_domain_itself_is_not_tried() {
    for (uri, host) in [
        ("sip:example.com;transport=udp", "."),
        ("sip:example.com", "."),
        ("sip:example.com", "gone.example.com"),
        ("sip:naptr.example.com", "."),
    ] {
        let mut pair = Pair::new();
        pair.net.dns.address("example.com", BOB).address("naptr.example.com", BOB);
        pair.net.dns.srv("_sip._udp.example.com", 0, 0, 5060, host);
        pair.net.dns.naptr("naptr.example.com", 1, 1, "SIP+D2U", "_sip._udp.example.com");
        // From DNS, then from the cache.
        for _ in 0..2 {
            pair.request(options(uri));
            pair.finish();
            assert!(!pair.net.trace().iter().any(|sent| sent.what() == "OPTIONS"), "{uri} {host}");
        }
        pair.assert_empty();
    }
}
