//! Every transport beside every other: what Record-Route shows of each side, and that a dialog lives by it (RFC 3261 section
//! 16.6, RFC 5658 section 6.2, RFC 5630).
#![allow(clippy::unwrap_used, reason = "a test")]

use crate::common::{Ua, World, new_request, of_callee, of_caller};
use sip_message::uri::SipUri;
use sip_message::{Message, Method, Uri};
use sip_server::{Advertised, Binding, BindingParts, Server, ServerConfig, Store};
use sip_transaction::{Destination, FlowId, Input, Instant, Path, Transport};
use std::net::SocketAddr;

const SERVER: &str = "192.0.2.10";
const ALL: [Transport; 5] = [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss];

/// What a side of the proxy must look like: scheme, port, transport parameter; the second one is good if there is only one value.
fn shown(transport: Transport, sips: bool) -> (&'static str, u16, &'static [Option<&'static str>]) {
    let scheme = if sips { "sips" } else { "sip" };
    match (transport, sips) {
        // Not TLS: a `sips:` URI names where this proxy is reached over TLS.
        (Transport::Udp | Transport::Tcp, true) => (scheme, 5061, &[None]),
        (Transport::Ws, true) => (scheme, 443, &[Some("ws")]),
        (Transport::Udp, _) => (scheme, 5060, &[Some("udp"), None]),
        (Transport::Tcp, _) => (scheme, 5060, &[Some("tcp")]),
        (Transport::Tls, false) => (scheme, 5061, &[Some("tls")]),
        (Transport::Tls, true) => (scheme, 5061, &[None]),
        (Transport::Ws, _) => (scheme, 80, &[Some("ws")]),
        _ => (scheme, 443, &[Some("ws")]),
    }
}

fn check(uri: &str, transport: Transport, sips: bool, case: &str) {
    let (scheme, port, transports) = shown(transport, sips);
    let parsed = Uri::parse(uri.as_bytes()).unwrap();
    let sip: &SipUri<'_> = parsed.as_sip().unwrap();
    assert_eq!(sip.scheme(), scheme, "{case}: {uri}");
    assert_eq!((sip.host_str(), sip.port()), (SERVER, Some(port)), "{case}: {uri}");
    let said = sip.params().value("transport").map(|value| value.as_str());
    assert!(transports.contains(&said), "{case}: {uri}");
    assert!(sip.lr(), "{case}: {uri}");
}

fn recorded(message: &Message) -> Vec<String> {
    message.record_routes().map(|route| route.unwrap().uri().unwrap().as_str().to_owned()).collect()
}

fn user_agent(world: &mut World, ip: &str, transport: Transport) -> Ua {
    if transport == Transport::Udp { world.udp(ip) } else { world.connected(ip, transport, SERVER) }
}

/// The Contact of a user agent: what others are told to reach it by, though they cannot if it has connected itself.
fn contact(ua: &Ua, sips: bool) -> String {
    let scheme = if sips { "sips" } else { "sip" };
    let ip = ua.local.ip();
    match ua.transport {
        Transport::Udp => format!("<{scheme}:u@{ip}>"),
        Transport::Tcp => format!("<{scheme}:u@{ip}:40000;transport=tcp>"),
        Transport::Tls if sips => format!("<sips:u@{ip}:40000>"),
        Transport::Tls => format!("<sip:u@{ip}:40000;transport=tls>"),
        _ => format!("<{scheme}:u@{};transport=ws>", "df7jal23ls0d.invalid"),
    }
}

fn world() -> World {
    let mut world = World::new(77);
    world.server(SERVER, "example.com", |config| {
        let at = |transport, port| Advertised { transport, host: SERVER.into(), port: Some(port) };
        config.proxy.advertised = vec![
            at(Transport::Udp, 5060),
            at(Transport::Tcp, 5060),
            at(Transport::Tls, 5061),
            at(Transport::Ws, 80),
            at(Transport::Wss, 443),
        ];
    });
    world
}

/// A request in the dialog leaves by the route set alone where one can: over the connection there is, or none at all.
fn send_by_route(world: &mut World, ua: &Ua, message: Message) {
    let now = world.now();
    let to = match ua.transport {
        Transport::Udp => Destination::route(),
        _ => ua.flow.map_or(Destination::route(), Destination::flow),
    };
    if message.method() == Some(Method::Ack) {
        world.ua(ua.node).send(now, message, to).unwrap();
    } else {
        world.ua(ua.node).request(now, message, to).unwrap();
    }
}

/// A call from one transport to another, as far as it may go.
fn call(from: Transport, to: Transport, sips: bool, outbound: bool) {
    let case = format!("{from:?} to {to:?}, sips {sips}, outbound {outbound}");
    let mut world = world();
    let alice = user_agent(&mut world, "192.0.2.1", from);
    let bob = user_agent(&mut world, "192.0.2.2", to);
    let fields: &[_] = if outbound { &[("Supported", "outbound, path")] } else { &[] };
    let bound = match outbound {
        true => format!("{};reg-id=1;+sip.instance=\"<urn:uuid:b0b>\"", contact(&bob, sips)),
        false => contact(&bob, sips),
    };
    let mut register = crate::common::register("sip:bob@example.com", &bound, "reg", 1, fields);
    if sips {
        register.set_request_uri("sips:example.com").unwrap();
    }
    world.send(&bob, register, Destination::next_hop(format!("sip:{SERVER}")));
    assert_eq!(world.answer(&bob).status().unwrap().code(), 200, "{case}");

    let alice_contact = contact(&alice, sips);
    let mut invite =
        new_request(Method::Invite, "sip:alice@x.example", "sip:bob@example.com", "call", &alice_contact, &[]);
    if sips {
        invite.set_request_uri("sips:bob@example.com").unwrap();
    }
    world.send(&alice, invite, Destination::next_hop(format!("sip:{SERVER}")));
    if sips && !matches!(to, Transport::Tls | Transport::Wss) {
        // RFC 5630 section 5.3: no hop without TLS. One on UDP is tried over TLS at the address of its contact, where nobody listens.
        let refused = world.answer(&alice).status().unwrap().code();
        assert_eq!(refused, if to == Transport::Udp { 500 } else { 480 }, "{case}");
        assert!(!world.has_request(&bob, Method::Invite), "{case}");
        return world.assert_idle();
    }
    let (tx, received) = world.request(&bob, Method::Invite);
    let routes = recorded(&received);
    assert!(matches!(routes.len(), 1 | 2), "{case}: {routes:?}");
    assert!(routes.len() == 2 || from == to, "{case}: {routes:?}");
    check(&routes[0], to, sips, &case);
    check(&routes[routes.len() - 1], from, sips, &case);
    if sips && !matches!(from, Transport::Tls | Transport::Wss) {
        // It came over no TLS, so the dialog cannot go on as it began; that is known by the Record-Route, which says `sips:`.
        world.reply(&bob, tx, &received, 486, "b");
        world.response(&alice, 486);
        return world.assert_idle();
    }
    let accepted = world.accept(&bob, tx, &received, "b", &contact(&bob, sips));
    let ok = world.response(&alice, 200);
    assert_eq!(recorded(&ok), routes, "{case}");
    send_by_route(&mut world, &alice, of_caller(&ok, Method::Ack));
    let ack = world.ack(&bob);
    assert!(ack.routes().next().is_none(), "{case}: {:?}", ack.routes().next());
    // Each side ends a transaction within the dialog: an UPDATE of the caller, and the BYE of the callee.
    send_by_route(&mut world, &alice, of_caller(&ok, Method::Update));
    let (tx, update) = world.request(&bob, Method::Update);
    world.reply(&bob, tx, &update, 200, "");
    world.response(&alice, 200);
    send_by_route(&mut world, &bob, of_callee(&received, &accepted, Method::Bye, 9));
    let (tx, bye) = world.request(&alice, Method::Bye);
    assert!(bye.routes().next().is_none(), "{case}");
    world.reply(&alice, tx, &bye, 200, "");
    world.response(&bob, 200);
    world.assert_idle();
}

//= https://www.rfc-editor.org/rfc/rfc5658#section-6.2
//= type=test
//# Thus, if the transport
//# protocol changed between its incoming and outgoing sides, the proxy
//# SHOULD use the double Record-Route technique and SHOULD add a
//# transport parameter to each of the Record-Route URIs it inserts.
//= https://www.rfc-editor.org/rfc/rfc5658#section-6.2
//= type=test
//# When TLS is used on the
//# transport on either side of the proxy, the URI placed in the Record-
//# Route header field MUST encode a next-hop that will be reached using
//# TLS.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
//= type=test
//# If the proxy
//# received the request over a non-TLS connection, and sent it out
//# over TLS, the proxy MUST rewrite the URI in the Record-Route
//# header field to be a SIP URI.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
//= type=test
//# In a similar fashion, a proxy that receives a request
//# over TLS, but generates a request without a SIPS URI in the
//# Request-URI or topmost Route header field value (after the post
//# processing of bullet 6), MUST insert a Record-Route header
//# field that is not a SIPS URI.
//= https://www.rfc-editor.org/rfc/rfc5658#section-6.2
//= type=test
//# In order to handle this situation, this document recommends that a proxy SHOULD
//# apply the double Record-Routing technique as soon as it changes the transport
//# protocol between its incoming and outgoing sides.
//= https://www.rfc-editor.org/rfc/rfc5658#section-7
//= type=test
//# Double Record-Routing is presented as the technique that SHOULD be used, and is
//# documented in Section 5.
#[test]
fn a_call_between_any_two_transports() {
    for from in ALL {
        for to in ALL {
            for outbound in [false, true] {
                // On TCP without Outbound a contact is an address to connect to, and nobody listens here.
                call(from, to, false, to == Transport::Tcp || outbound && to != Transport::Udp);
            }
        }
    }
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
//= type=test
//# If the
//# Request-URI contains a SIPS URI, or the topmost Route header
//# field value (after the post processing of bullet 6) contains a
//# SIPS URI, the URI placed into the Record-Route header field
//# MUST be a SIPS URI.
#[test]
fn a_secure_call_between_any_two_transports() {
    for from in ALL {
        for to in ALL {
            call(from, to, true, to != Transport::Udp);
        }
    }
}

const SOCKETS: [&str; 3] = ["192.0.2.10:5060", "198.51.100.10:5060", "[2001:db8::10]:5060"];

/// What a server on these sockets puts into Record-Route of an INVITE that comes to the one with number `from`, for a contact that is reached by its
/// URI or over the socket with number `over`.
fn recorded_between(
    server: &mut Server,
    flows: &[FlowId],
    from: usize,
    contact: &str,
    over: Option<usize>,
) -> Vec<String> {
    let now = Instant::ZERO;
    let received = over.map(|over| Path {
        flow: flows[over],
        transport: Transport::Udp,
        local: SOCKETS[over].parse().unwrap(),
        remote: contact.strip_prefix("sip:bob@").unwrap().parse().unwrap(),
    });
    let parts =
        BindingParts { contact, q: 1000, call_id: "c", expires: Instant::MAX, received, ..BindingParts::default() };
    let table = server.registrar_mut().table_mut().unwrap();
    let version = table.lookup("sip:bob@example.com", now).version;
    table.store("sip:bob@example.com", version, vec![Binding::new(&parts)], now).unwrap();
    let remote: SocketAddr = SOCKETS[from].replace("10]", "1]").replace("10:", "1:").parse().unwrap();
    let call = format!("{from}-{}", server.endpoint().counters().requests_received);
    let invite = format!(
        "INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP {remote};branch=z9hG4bK{call}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:a@x.example>;tag=1\r\nTo: <sip:bob@example.com>\r\nCall-ID: {call}\r\n\
         CSeq: 1 INVITE\r\nContact: <sip:a@{remote}>\r\nContent-Length: 0\r\n\r\n"
    );
    server.handle_input(now, Input::Datagram { flow: flows[from], remote, bytes: invite.as_bytes() }).unwrap();
    let sent = core::iter::from_fn(|| server.poll_transmit()).find(|sent| sent.bytes.starts_with(b"INVITE"));
    recorded(&Message::parse(sent.unwrap().bytes).unwrap())
}

//= https://www.rfc-editor.org/rfc/rfc5658#section-6.2
//= type=test
//# By extension, a proxy
//# SHOULD also insert a Record-Route header for any multi-homed
//# situation (as the ones described in this document: scheme changes,
//# sigcomp, IPv4/IPv6, transport changes, etc.) that may impact the
//# processing of proxies being on the path of subsequent requests.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
//= type=test
//# The URI SHOULD NOT contain the transport parameter unless the proxy has knowledge
//# (such as in a private network) that the next downstream element that will be in the
//# path of subsequent requests supports that transport.
//= https://www.rfc-editor.org/rfc/rfc5658#section-3.2
//= type=test
//# The URI SHOULD NOT contain the transport parameter unless the proxy has knowledge
//# (such as in a private network) that the next downstream element that will be in the
//# path of subsequent requests supports that transport.
//= https://www.rfc-editor.org/rfc/rfc5658#section-6
//= type=test
//# The URI SHOULD NOT contain the transport parameter unless the proxy has knowledge
//# (such as in a private network) that the next downstream element that will be in the
//# path of subsequent requests supports that transport.
#[test]
fn each_side_is_shown_an_address_it_can_reach() {
    let mut config = ServerConfig::for_domain("example.com");
    config.auth.domains.clear();
    let mut server = Server::new(config.clone(), [9; 32]);
    let bind = |server: &mut Server| {
        SOCKETS.map(|local| server.endpoint_mut().bind(Transport::Udp, local.parse().unwrap()).unwrap())
    };
    let flows = bind(&mut server);
    let one = ["sip:192.0.2.10:5060;lr"];
    assert_eq!(recorded_between(&mut server, &flows, 0, "sip:bob@192.0.2.2", None), one);
    assert_eq!(recorded_between(&mut server, &flows, 0, "sip:bob@192.0.2.2:5060", Some(0)), one);
    let other = ["sip:198.51.100.10:5060;transport=udp;lr", "sip:192.0.2.10:5060;transport=udp;lr"];
    assert_eq!(recorded_between(&mut server, &flows, 0, "sip:bob@198.51.100.2:5060", Some(1)), other);
    let six = ["sip:[2001:db8::10]:5060;transport=udp;lr", "sip:192.0.2.10:5060;transport=udp;lr"];
    assert_eq!(recorded_between(&mut server, &flows, 0, "sip:bob@[2001:db8::2]:5060", Some(2)), six);
    let back: Vec<_> = six.iter().rev().copied().collect();
    assert_eq!(recorded_between(&mut server, &flows, 2, "sip:bob@192.0.2.2:5060", None), back);
    assert_eq!(recorded_between(&mut server, &flows, 0, "sip:bob@[2001:db8::2]", None), six);
    // A name leads to all addresses of its host.
    let named = |host: &str| Advertised { transport: Transport::Udp, host: host.into(), port: None };
    config.proxy.advertised = vec![named("proxy.example.com")];
    let mut server = Server::new(config.clone(), [9; 32]);
    let flows = bind(&mut server);
    let one = ["sip:proxy.example.com;lr"];
    assert_eq!(recorded_between(&mut server, &flows, 0, "sip:bob@198.51.100.2:5060", Some(1)), one);
    assert_eq!(recorded_between(&mut server, &flows, 0, "sip:bob@[2001:db8::2]:5060", Some(2)), one);
    // Of several the one of the family.
    config.proxy.advertised = vec![named("192.0.2.10"), named("[2001:db8::10]")];
    let mut server = Server::new(config, [9; 32]);
    let flows = bind(&mut server);
    let both = ["sip:[2001:db8::10];transport=udp;lr", "sip:192.0.2.10;transport=udp;lr"];
    assert_eq!(recorded_between(&mut server, &flows, 0, "sip:bob@[2001:db8::2]:5060", Some(2)), both);
}
