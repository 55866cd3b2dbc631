//! What a proxy checks and changes before and while it forwards: RFC 3261 sections 16.3 to 16.6 and 16.11.
#![allow(clippy::unwrap_used, clippy::type_complexity, reason = "a test")]

use crate::common::{SERVER, Ua, World, alice_and_bob, new_request, of_caller, to_server};
use sip_message::{Header, Message, Method, StatusCode};
use sip_server::{Decision, ProxyEvent, RouteKind, RoutePolicy, ServerConfig, ServerEvent, Target};
use sip_transaction::{Destination, Input, Instant, Transport};

fn scene(adapt: impl FnOnce(&mut ServerConfig)) -> (World, usize, Ua, Ua) {
    alice_and_bob(11, adapt)
}

fn options(to: &str, call: &str, fields: &[(&str, &str)]) -> Message {
    new_request(Method::Options, "sip:alice@example.com", to, call, "", fields)
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-16.3
//= type=test
//# If the request contains a Max-Forwards header field with a
//# field value of zero (0), the element MUST NOT forward the
//# request.  If the request was for OPTIONS, the element MAY act as
//# the final recipient and respond per Section 11.  Otherwise, the
//# element MUST return a 483 (Too many hops) response.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.3
//= type=test
//# If the request contains a Proxy-Require header field (Section
//# 20.29) with one or more option-tags this element does not
//# understand, the element MUST return a 420 (Bad Extension)
//# response.  The response MUST include an Unsupported (Section
//# 20.40) header field listing those option-tags the element did
//# not understand.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.3
//= type=test
//# If the Request-URI has a URI whose scheme is not understood by
//# the proxy, the proxy SHOULD reject the request with a 416
//# (Unsupported URI Scheme) response.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.3
//= type=test
//# Before an element can proxy a request, it MUST verify the message's
//# validity.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.1
//= type=test
//# When responding directly to a request, the element is playing the role of a UAS and
//# MUST behave as described in Section 8.2.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.3
//= type=test
//# If any of these checks fail, the element MUST behave as a user agent server (see
//# Section 8.2) and respond with an error code.
//= https://www.rfc-editor.org/rfc/rfc5393#section-5.3.3
//= type=test
//# If a SIP proxy determines a response context has insufficient Incoming Max-Breadth
//# to carry out a desired parallel fork, and the proxy is unwilling/unable to
//# compensate by forking serially or sending a redirect, that proxy MUST return a 440
//# (Max-Breadth Exceeded) response.
#[test]
fn what_is_not_forwarded() {
    let (mut world, _, alice, bob) = scene(|config| config.proxy.proxy_extensions = vec!["sec-agree".into()]);
    let bob_uri = "sip:bob@example.com";
    let cases: [(Method<'_>, &str, &[(&str, &str)], u16); 8] = [
        (Method::Message, bob_uri, &[("Max-Forwards", "0")], 483),
        (Method::Options, bob_uri, &[("Max-Forwards", "0")], 200),
        (Method::Message, bob_uri, &[("Proxy-Require", "sec-agree, telepathy"), ("Proxy-Require", "foo")], 420),
        (Method::Message, "http://example.com/bob", &[], 416),
        (Method::Message, bob_uri, &[("Max-Breadth", "0")], 440),
        (Method::Message, "sip:carol@elsewhere.example.org", &[], 403),
        (Method::Message, "sips:bob@example.com", &[], 480),
        (Method::Message, "tel:+15551234", &[], 404),
    ];
    for (method, uri, fields, expected) in cases {
        let call = world.fresh("bad");
        let mut request = new_request(method, "sip:alice@example.com", bob_uri, &call, "", fields);
        request.set_request_uri(uri).unwrap();
        world.send(&alice, request, to_server());
        let answer = world.answer(&alice);
        assert_eq!(answer.status().map(StatusCode::code), Some(expected), "{uri} {fields:?}");
        match expected {
            420 => assert_eq!(answer.field(Header::Unsupported), Some(&b"telepathy, foo"[..])),
            480 => assert!(answer.field(Header::Warning).unwrap().starts_with(b"380 ")),
            _ => {}
        }
    }
    assert!(!world.has_request(&bob, Method::Message) && !world.has_request(&bob, Method::Options));
    world.assert_idle();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
//= type=test
//# If the copy does not contain a Max-Forwards header field, the
//# proxy MUST add one with a field value, which SHOULD be 70.
//= https://www.rfc-editor.org/rfc/rfc5393#section-5.3.3
//= type=test
//# If a SIP proxy receives a request with no Max-Breadth header field
//# value, it MUST add one, with a value that is RECOMMENDED to be 60.
//= https://www.rfc-editor.org/rfc/rfc5393#section-5.3.3
//= type=test
//# All proxied requests MUST contain a single Max-Breadth header field
//# value.
//= https://www.rfc-editor.org/rfc/rfc5393#section-5.3.3
//= type=test
//# Proxies MUST have a maximum allowable Incoming Max-Breadth value,
//# which is RECOMMENDED to be 60.  If this maximum is exceeded in a
//# received request, the proxy MUST overwrite it with a value that
//# SHOULD be no greater than its allowable maximum.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
//= type=test
//# The copy
//# MUST initially contain all of the header fields from the
//# received request.  Fields not detailed in the processing
//# described below MUST NOT be removed.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.3
//= type=test
//# Any components involved in the remainder of these Request
//# Validation steps or the Request Forwarding section MUST be
//# well-formed.  Any other components, well-formed or not, SHOULD
//# be ignored and remain unchanged when the message is forwarded.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.2
//= type=test
//# For all new requests, including any with unknown methods, an element intending to
//# proxy the request MUST:
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.3
//= type=test
//# An element MUST NOT refuse to proxy a request because it contains a method or header
//# field it does not know about.
#[test]
fn what_is_forwarded_though_it_is_strange() {
    let (mut world, _, alice, bob) = scene(|_| {});
    let gateway = "FOO / 1.0 /UDP  gateway.example.org;branch=x";
    let fields = [("Max-Breadth", "1000"), ("X-Date", "no date"), ("X-Y", "z"), ("Via", gateway)];
    let request =
        new_request(Method::Other("NEWMETHOD"), "sip:alice@example.com", "sip:bob@example.com", "odd", "", &fields);
    // Nothing that this project builds looks like this.
    let text = String::from_utf8(request.to_bytes().to_vec()).unwrap().replace("X-Date:", "Date:");
    let mut request = Message::parse(text.into_bytes().into()).unwrap();
    request.remove(Header::MaxForwards);
    world.send(&alice, request, to_server());
    let (tx, received) = world.request(&bob, Method::Other("NEWMETHOD"));
    assert_eq!(received.max_forwards(), Ok(Some(70)));
    assert_eq!(received.fields(Header::MaxBreadth).collect::<Vec<_>>(), [b"60"]);
    assert_eq!(received.field(Header::Date), Some(&b"no date"[..]));
    assert_eq!(received.record_routes().count(), 1, "it may begin a dialog");
    assert_eq!(received.fields(Header::Via).last(), Some(gateway.as_bytes()));
    world.reply(&bob, tx, &received, 200, "b");
    assert_eq!(world.response(&alice, 200).fields(Header::Via).last(), Some(gateway.as_bytes()));
    world.assert_idle();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-16.4
//= type=test
//# If the
//# Request-URI of the request contains a value this proxy previously
//# placed into a Record-Route header field (see Section 16.6 item 4),
//# the proxy MUST replace the Request-URI in the request with the last
//# value from the Route header field, and remove that value from the
//# Route header field.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.4
//= type=test
//# The proxy MUST inspect the Request-URI of the request.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.4
//= type=test
//# The proxy MUST then proceed as if it received this modified request.
#[test]
fn a_strict_router_before_this_proxy_is_repaired() {
    let (mut world, _, alice, bob) = scene(|_| {});
    let invite =
        new_request(Method::Invite, "sip:alice@example.com", "sip:bob@example.com", "s", "<sip:alice@192.0.2.1>", &[]);
    world.send(&alice, invite, to_server());
    let (tx, invite) = world.request(&bob, Method::Invite);
    world.accept(&bob, tx, &invite, "b", "<sip:bob@192.0.2.2>");
    let ok = world.response(&alice, 200);
    world.send_ack(&alice, of_caller(&ok, Method::Ack));
    world.ack(&bob);
    // The BYE as a strict router sends it on: our URI in the Request-URI, the target as the last Route.
    let mut bye = of_caller(&ok, Method::Bye);
    let own = String::from_utf8(bye.routes().next().unwrap().unwrap().uri_bytes().to_vec()).unwrap();
    bye.pop_route();
    bye.set_request_uri(&own).unwrap();
    bye.push(Header::Route, "<sip:bob@192.0.2.2>").unwrap();
    world.send(&alice, bye, to_server());
    let (tx, bye) = world.request(&bob, Method::Bye);
    assert_eq!(bye.request_uri_bytes(), Some(&b"sip:bob@192.0.2.2"[..]));
    assert!(!bye.has(Header::Route));
    world.reply(&bob, tx, &bye, 200, "");
    world.response(&alice, 200);
    world.assert_idle();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
//= type=test
//# -  The proxy MUST place the Request-URI into the Route header
//# field as the last value.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
//= type=test
//# -  The proxy MUST then place the first Route header field value
//# into the Request-URI and remove that value from the Route
//# header field.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
//= type=test
//# If the proxy has reformatted the
//# request to send to a strict-routing element as described in
//# step 6 above, the proxy MUST apply those procedures to the
//# Request-URI of the request.
#[test]
fn no_more_than_maddr_port_and_transport_is_stripped() {
    let (mut world, _, alice, bob) = scene(|config| config.policy = RoutePolicy::Open);
    let call = world.fresh("stripped");
    let mut request = options("sip:bob@192.0.2.2", &call, &[]);
    request.set_request_uri("sip:bob:secret@192.0.2.2:5060;maddr=192.0.2.10;transport=udp;x=1").unwrap();
    world.send(&alice, request, to_server());
    let (tx, received) = world.request(&bob, Method::Options);
    assert_eq!(received.request_uri_bytes(), Some(&b"sip:bob:secret@192.0.2.2;x=1"[..]));
    world.reply(&bob, tx, &received, 200, "b");
    world.response(&alice, 200);
    world.assert_idle();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-16.4
//= type=test
//# If the first value in the Route header field indicates this proxy,
//# the proxy MUST remove that value from the request.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
//= type=test
//# If the copy contains a Route header field, the proxy MUST inspect the URI in its
//# first value.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
//= type=test
//# If that URI does not contain an lr parameter, the proxy MUST modify the copy as
//# follows:
#[test]
fn a_strict_router_behind_this_proxy_gets_what_it_expects() {
    let (mut world, _, alice, bob) = scene(|config| config.policy = RoutePolicy::Open);
    let fields = [("Route", "<sip:proxy.example.com;lr>, <sip:192.0.2.2;x=1>, <sip:192.0.2.3;lr>")];
    let request = options("sip:carol@far.example.org", "strict", &fields);
    world.send(&alice, request, to_server());
    let (tx, received) = world.request(&bob, Method::Options);
    assert_eq!(received.request_uri_bytes(), Some(&b"sip:192.0.2.2;x=1"[..]));
    let routes: Vec<_> = received.routes().map(|route| route.unwrap().uri_bytes().to_vec()).collect();
    assert_eq!(routes, [&b"sip:192.0.2.3;lr"[..], b"sip:carol@far.example.org"]);
    world.reply(&bob, tx, &received, 200, "b");
    world.response(&alice, 200);
    world.assert_idle();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-16.4
//= type=test
//# If the Request-URI has a maddr parameter with a value the
//# proxy is responsible for, and the request was received using the port
//# and transport indicated (explicitly or by default) in the Request-
//# URI, the proxy MUST strip the maddr and any non-default port or
//# transport parameter and continue processing as if those values had
//# not been present in the request.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.5
//= type=test
//# When accessing the
//# location service constructed by a registrar, the Request-URI
//# MUST first be canonicalized as described in Section 10.3 before
//# being used as an index.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.4
//= type=test
//# If the Request-URI contains a maddr parameter, the proxy MUST check to see if its
//# value is in the set of addresses or domains the proxy is configured to be
//# responsible for.
#[test]
fn a_user_is_found_however_the_uri_is_written() {
    let (mut world, _, alice, bob) = scene(|_| {});
    let uris = ["sip:bob@example.com;maddr=192.0.2.10", "sip:b%6Fb@EXAMPLE.com;transport=udp;user=phone"];
    for uri in uris {
        let call = world.fresh("canon");
        let mut request = options("sip:bob@example.com", &call, &[]);
        request.set_request_uri(uri).unwrap();
        world.send(&alice, request, to_server());
        let (tx, received) = world.request(&bob, Method::Options);
        assert_eq!(received.request_uri_bytes(), Some(&b"sip:bob@192.0.2.2"[..]));
        world.reply(&bob, tx, &received, 200, "b");
        world.response(&alice, 200);
    }
    world.assert_idle();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-16.4
//= type=test
//# If the first value in the Route header field indicates this proxy,
//# the proxy MUST remove that value from the request.
#[test]
fn a_route_may_name_this_proxy_by_its_domain() {
    let (mut world, _, alice, bob) = scene(|_| {});
    for own in ["sip:example.com;lr", "sip:EXAMPLE.com:5060;transport=udp;lr"] {
        let call = world.fresh("own");
        let route = format!("<{own}>");
        world.send(&alice, options("sip:bob@example.com", &call, &[("Route", &route)]), to_server());
        let (tx, received) = world.request(&bob, Method::Options);
        assert!(!received.has(Header::Route), "{own}");
        world.reply(&bob, tx, &received, 200, "b");
        world.response(&alice, 200);
    }
    // Another port of the same host is somebody else.
    let call = world.fresh("other");
    let other = options("sip:bob@example.com", &call, &[("Route", "<sip:example.com:5070;lr>")]);
    world.send(&alice, other, to_server());
    // There is no such host, and it is not passed over.
    world.response(&alice, 500);
    assert!(!world.has_request(&bob, Method::Options));
    world.assert_idle();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
//= type=test
//# If the URI contains any parameters
//# not allowed in a Request-URI, they MUST be removed.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
//= type=test
//# This set MUST be
//# pushed into the Route header field of the copy ahead of any
//# existing values, if present.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
//= type=test
//# The Request-URI in the copy's start line MUST be replaced with
//# the URI for this target.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.5
//= type=test
//# If a target
//# URI is already present in the set (based on the definition of
//# equality for the URI type), it MUST NOT be added again.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.5
//= type=test
//# If the domain of the Request-URI indicates a domain this element is not responsible
//# for, the Request-URI MUST be placed into the target set as the only target, and the
//# element MUST proceed to the task of Request Forwarding (Section 16.6).
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
//= type=test
//# If the Route header field is absent, it MUST be added, containing that list of URIs.
#[test]
fn the_host_decides_by_one_event() {
    let (mut world, server, alice, bob) = scene(|config| config.policy = RoutePolicy::Ask);
    let ask = |world: &mut World, uri: &str, decision: Decision| {
        let call = world.fresh("ask");
        world.send(&alice, options(uri, &call, &[]), to_server());
        let (id, kind) = world.expect(server, "a question", |event| match event {
            crate::common::NodeEvent::Server(ServerEvent::Proxy(ProxyEvent::RouteRequest { id, kind, .. })) => {
                Some((*id, *kind))
            }
            _ => None,
        });
        let now = world.now();
        assert_eq!(world.srv(server).proxy().request(id).unwrap().method(), Some(Method::Options));
        world.srv(server).route(now, id, decision).unwrap();
        assert!(world.srv(server).route(now, id, Decision::Relay).is_err(), "once");
        kind
    };
    let media = Target::new("sip:box@192.0.2.2;method=INVITE;a=1?Subject=x")
        .with_route("<sip:192.0.2.2;lr>,<sip:192.0.2.2:5060;lr;n=2>");
    let again = Target::new("sip:box@192.0.2.2;a=1;method=INVITE?Subject=x").with_route(media.route.clone());
    let kind = ask(&mut world, "sip:voicemail@example.com", Decision::Targets(vec![media, again]));
    assert_eq!(kind, RouteKind::Local);
    let (tx, received) = world.request(&bob, Method::Options);
    assert_eq!(received.request_uri_bytes(), Some(&b"sip:box@192.0.2.2;a=1"[..]));
    assert_eq!(received.routes().count(), 2);
    world.reply(&bob, tx, &received, 200, "b");
    world.response(&alice, 200);
    assert!(!world.has_request(&bob, Method::Options), "one target, written in two ways");

    let kind = ask(&mut world, "sip:x@192.0.2.2", Decision::Relay);
    assert_eq!(kind, RouteKind::Foreign);
    let (tx, received) = world.request(&bob, Method::Options);
    world.reply(&bob, tx, &received, 486, "b");
    world.response(&alice, 486);

    let fields = vec![(Header::RetryAfter, "120".into())];
    ask(&mut world, "sip:x@y.example.org", Decision::Reject { status: StatusCode::SERVICE_UNAVAILABLE, fields });
    assert_eq!(world.response(&alice, 503).field(Header::RetryAfter), Some(&b"120"[..]));
    ask(&mut world, "sip:x@y.example.org", Decision::Targets(Vec::new()));
    world.response(&alice, 480);
    for expected in [200, 486, 503, 480] {
        let status = world.expect(server, "an outcome", |event| match event {
            crate::common::NodeEvent::Server(ServerEvent::Proxy(ProxyEvent::Answered { status, .. })) => {
                Some(status.code())
            }
            _ => None,
        });
        assert_eq!(status, expected);
    }
    world.settle();
    for _ in 0..4 {
        world.expect(server, "an end", |event| match event {
            crate::common::NodeEvent::Server(ServerEvent::Proxy(ProxyEvent::Ended { .. })) => Some(()),
            _ => None,
        });
    }
    world.assert_idle();
}

#[test]
fn a_caller_who_gives_up_before_the_decision_is_answered_487() {
    let (mut world, server, alice, _) = scene(|config| config.policy = RoutePolicy::Ask);
    let invite =
        new_request(Method::Invite, "sip:alice@example.com", "sip:bob@example.com", "g", "<sip:alice@192.0.2.1>", &[]);
    let tx = world.send(&alice, invite, to_server());
    let id = world.expect(server, "a question", |event| match event {
        crate::common::NodeEvent::Server(ServerEvent::Proxy(ProxyEvent::RouteRequest { id, .. })) => Some(*id),
        _ => None,
    });
    world.response(&alice, 100);
    let now = world.now();
    world.ua(alice.node).cancel(now, tx, None).unwrap();
    world.response(&alice, 487);
    let now = world.now();
    assert!(world.srv(server).route(now, id, Decision::Relay).is_err());
    world.assert_idle();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-16.11
//= type=test
//# A stateless proxy MUST choose one and only one target from the
//# target set.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.11
//= type=test
//# If that address matches the proxy, (it equals a value this
//# proxy has inserted into previous requests) the proxy MUST remove that
//# header field value from the response and forward the result to the
//# location indicated in the next Via header field value.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.11
//= type=test
//# Therefore, the component of the branch parameter that makes
//# it unique MUST be the same each time a retransmitted request is
//# forwarded.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.11
//= type=test
//# Furthermore, when handling a request
//# statelessly, an element MUST NOT generate its own 100 (Trying) or any
//# other provisional response.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.1
//= type=test
//# Any request that is forwarded to more than one location MUST be handled statefully.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
//= type=test
//# The request method MUST NOT be included in the calculation of the branch parameter.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
//= type=test
//# In particular, CANCEL and ACK requests (for non-2xx responses) MUST have the same
//# branch value as the corresponding request they cancel or acknowledge.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.11
//= type=test
//# A stateless proxy MUST validate a request as described in Section 16.3
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.11
//= type=test
//# A stateless proxy MUST follow the request processing steps described in Sections
//# 16.4 through 16.5 with the following exception:
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.11
//= type=test
//# A stateless proxy MUST follow the request processing steps described in Section 16.6
//# with the following exceptions:
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.11
//= type=test
//# Thus for a stateless proxy, the branch parameter MUST be computed as a combinatoric
//# function of message parameters which are invariant on retransmission.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.11
//= type=test
//# All other message transformations specified in Section 16.6 MUST result in the same
//# transformation of a retransmitted request.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.11
//= type=test
//# In particular, if the proxy inserts a Record-Route value or pushes URIs into the
//# Route header field, it MUST place the same values in retransmissions of the request.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.11
//= type=test
//# As for the Via branch parameter, this implies that the transformations MUST be based
//# on time-invariant configuration or retransmission-invariant properties of the
//# request.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.11
//= type=test
//# Stateless proxies MUST NOT perform special processing for CANCEL requests.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.11
//= type=test
//# The proxy MUST NOT add to, modify, or remove the message body.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.11
//= type=test
//# Unless specified otherwise, the proxy MUST NOT remove any other header field values.
//= https://www.rfc-editor.org/rfc/rfc5393#section-4.2.1
//= type=test
//# This second part MUST NOT vary with the request method.
#[test]
fn without_transactions_a_call_goes_through_all_the_same() {
    let (mut world, server, alice, bob) = scene(|config| {
        config.proxy.stateless = true;
        config.endpoint.stray_responses = true;
    });
    let invite =
        new_request(Method::Invite, "sip:alice@example.com", "sip:bob@example.com", "n", "<sip:alice@192.0.2.1>", &[]);
    let call = world.send(&alice, invite, to_server());
    let (tx, invite) = world.request(&bob, Method::Invite);
    world.reply(&bob, tx, &invite, 180, "b");
    world.response(&alice, 180);
    // The CANCEL finds the same way with the same branch.
    let now = world.now();
    world.ua(alice.node).cancel(now, call, None).unwrap();
    assert_eq!(world.cancelled(&bob), tx);
    world.reply(&bob, tx, &invite, 487, "b");
    world.response(&alice, 487);
    // What is sent again is forwarded again, the same in every byte.
    world.send(&alice, options("sip:bob@example.com", "twice", &[]), to_server());
    let (tx, request) = world.request(&bob, Method::Options);
    world.run(core::time::Duration::from_secs(3));
    let forwarded = |sent: &&sim::Sent| sent.bytes.starts_with(b"OPTIONS sip:bob@192.0.2.2 ");
    let sent: Vec<Vec<u8>> = world.net.trace().iter().filter(forwarded).map(|sent| sent.bytes.to_vec()).collect();
    assert!(sent.len() > 1 && sent.windows(2).all(|pair| pair[0] == pair[1]));
    world.reply(&bob, tx, &request, 200, "b");
    world.response(&alice, 200);
    assert_eq!(world.srv(server).proxy().contexts(), 0);
    world.assert_idle();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-16.10
//= type=test
//# If a response context is not found, the element does not have any
//# knowledge of the request to apply the CANCEL to.  It MUST statelessly
//# forward the CANCEL request (it may have statelessly forwarded the
//# associated request previously).
#[test]
fn a_cancel_of_nothing_known_is_passed_on() {
    let (mut world, _, alice, bob) = scene(|_| {});
    let cancel = new_request(Method::Cancel, "sip:alice@example.com", "sip:bob@example.com", "c", "", &[]);
    world.send(&alice, cancel, to_server());
    let (tx, cancel) = world.request(&bob, Method::Cancel);
    world.reply(&bob, tx, &cancel, 481, "b");
    world.run(core::time::Duration::from_secs(40));
    world.assert_idle();
}

/// What can be sent to nobody is answered, as any other request would be.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.5
//= type=test
//# If the target set remains empty after applying all of the above, the
//# proxy MUST return an error response, which SHOULD be the 480
//# (Temporarily Unavailable) response.
#[test]
fn a_cancel_of_nothing_known_for_nobody_is_answered() {
    let (mut world, _, alice, _) = scene(|_| {});
    for (to, status) in [("sip:nobody@example.com", 480), ("sip:bob@elsewhere.example.org", 403)] {
        let call = world.fresh("c");
        let cancel = new_request(Method::Cancel, "sip:alice@example.com", to, &call, "", &[]);
        world.send(&alice, cancel, to_server());
        assert_eq!(world.answer(&alice).status().map(StatusCode::code), Some(status), "{to}");
    }
    world.assert_idle();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-16.5
//= type=test
//# If the target set remains empty after applying all of the above, the
//# proxy MUST return an error response, which SHOULD be the 480
//# (Temporarily Unavailable) response.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.7
//= type=test
//# To header tags MUST be generated for responses in a stateless manner -
//# in a manner that will generate the same tag for the same request
//# consistently.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.7
//= type=test
//# A stateless UAS MUST ignore ACK requests.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.7
//= type=test
//# A stateless UAS MUST ignore CANCEL requests.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.7
//= type=test
//# A stateless UAS MUST NOT retransmit responses.
#[test]
fn what_can_be_sent_to_nobody_is_answered_without_transactions_too() {
    let mut config = ServerConfig::for_domain("example.com");
    config.auth.domains.clear();
    config.proxy.stateless = true;
    let mut server = sip_server::Server::new(config, [1; 32]);
    let udp = server.endpoint_mut().bind(Transport::Udp, "192.0.2.10:5060".parse().unwrap()).unwrap();
    let request = new_request(Method::Invite, "sip:alice@example.com", "sip:nobody@example.com", "n", "", &[]);
    let mut text = String::from_utf8(request.to_bytes().to_vec()).unwrap();
    text.insert_str(text.find("\r\n").unwrap() + 2, "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKn\r\n");
    let mut give = |text: &str| {
        let remote = "192.0.2.1:5060".parse().unwrap();
        server.handle_input(Instant::ZERO, Input::Datagram { flow: udp, remote, bytes: text.as_bytes() }).unwrap();
        let sent: Vec<_> = std::iter::from_fn(|| server.poll_transmit()).collect();
        while server.poll_event().is_some() {}
        assert!(server.is_idle());
        sent
    };
    let (first, again) = (give(&text), give(&text));
    assert!(first.len() == 1 && first[0].bytes.starts_with(b"SIP/2.0 480 "));
    assert_eq!((again.len(), &again[0].bytes), (1, &first[0].bytes));
    for method in ["ACK", "CANCEL"] {
        assert!(give(&text.replace("INVITE", method)).is_empty(), "{method}");
    }
}

#[test]
fn a_call_through_two_transports_shows_each_side_its_own() {
    let (mut world, _, _, bob) = scene(|_| {});
    let carol = world.connected("192.0.2.3", Transport::Tcp, SERVER);
    let invite = new_request(
        Method::Invite,
        "sip:carol@example.com",
        "sip:bob@example.com",
        "double",
        "<sip:carol@192.0.2.3;transport=tcp>",
        &[],
    );
    world.send(&carol, invite, Destination::route());
    let (tx, invite) = world.request(&bob, Method::Invite);
    let recorded: Vec<_> =
        invite.record_routes().map(|route| route.unwrap().uri().unwrap().as_str().to_owned()).collect();
    assert_eq!(recorded.len(), 2);
    assert!(recorded[0].contains(";transport=udp;lr") && recorded[1].contains(";transport=tcp;lr"), "{recorded:?}");
    let accepted = world.accept(&bob, tx, &invite, "b", "<sip:bob@192.0.2.2>");
    let ok = world.response(&carol, 200);
    world.send_ack(&carol, of_caller(&ok, Method::Ack));
    world.ack(&bob);
    world.send(&bob, crate::common::of_callee(&invite, &accepted, Method::Bye, 1), Destination::route());
    let (tx, bye) = world.request(&carol, Method::Bye);
    assert!(!bye.has(Header::Route), "both of ours are off");
    world.reply(&carol, tx, &bye, 200, "");
    world.response(&bob, 200);
    world.assert_idle();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
//= type=test
//# If this request is already part of a dialog, the proxy SHOULD insert a Record-Route
//# header field value if it wishes to remain on the path of future requests in the
//# dialog.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
//= type=test
//# If a proxy needs to be in the path of any type of dialog (such as one straddling a
//# firewall), it SHOULD add a Record-Route header field value to every request with a
//# method it does not understand since that method may have dialog semantics.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
//= type=test
//# An element SHOULD preserve the To tag when simply forwarding a 3-6xx response to a
//# request that did not contain a To tag.
#[test]
fn the_proxy_stays_on_the_path_of_whatever_may_be_a_dialog() {
    let (mut world, _, alice, bob) = scene(|_| {});
    let cases = [
        (Method::Invite, "<sip:bob@example.com>", true),
        (Method::Invite, "<sip:bob@example.com>;tag=b", true),
        (Method::Subscribe, "<sip:bob@example.com>", true),
        (Method::Other("FROBNICATE"), "<sip:bob@example.com>", true),
        (Method::Message, "<sip:bob@example.com>", false),
        (Method::Options, "<sip:bob@example.com>", false),
    ];
    for (n, (method, to, recorded)) in cases.into_iter().enumerate() {
        let (from, contact) = ("sip:alice@example.com", "<sip:alice@192.0.2.1>");
        let mut request = new_request(method, from, "sip:bob@example.com", &format!("p{n}"), contact, &[]);
        request.set(Header::To, to).unwrap();
        world.send(&alice, request, to_server());
        let (tx, received) = world.request(&bob, method);
        assert_eq!(received.has(Header::RecordRoute), recorded, "{method} {to}");
        world.reply(&bob, tx, &received, 486, "b");
        let answer = world.response(&alice, 486);
        assert_eq!(answer.to().unwrap().tag(), Ok(Some("b")), "{method} {to}");
    }
    world.assert_idle();
}

// RFC 3261 section 16.3, RFC 4475 sections 3.1.2.17 and 3.3.1: what lacks the parts of every response, or has a CSeq of another method, is refused
// with what there is of these, and leaves nothing behind.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.3
//= type=test
//# If any of these checks fail, the element MUST behave as a user agent server (see
//# Section 8.2) and respond with an error code.
#[test]
fn a_request_without_the_parts_of_its_answer_is_refused_all_the_same() {
    let whole = "INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKwhole\r\n\
                 Max-Forwards: 70\r\nFrom: <sip:alice@example.com>;tag=1\r\nTo: <sip:bob@example.com>\r\n\
                 Call-ID: c\r\nCSeq: 1 INVITE\r\nContact: <sip:alice@192.0.2.1>\r\nContent-Length: 0\r\n\r\n";
    for (part, instead) in [
        ("CSeq: 1 INVITE\r\n", "CSeq: 1 OPTIONS\r\n"),
        ("CSeq: 1 INVITE\r\n", "CSeq: 4294967296 INVITE\r\n"),
        ("CSeq: 1 INVITE\r\n", ""),
        ("To: <sip:bob@example.com>\r\n", ""),
        ("To: <sip:bob@example.com>\r\n", "To: <sip:bob@example.com\r\n"),
        ("From: <sip:alice@example.com>;tag=1\r\n", ""),
        ("Call-ID: c\r\n", ""),
        ("Call-ID: c\r\n", "Call-ID: c d\r\n"),
        // RFC 4475 section 3.3.8: two values where one may stand.
        ("Call-ID: c\r\n", "Call-ID: c\r\ni: d\r\n"),
        ("CSeq: 1 INVITE\r\n", "CSeq: 1 INVITE\r\nCSeq: 1 INVITE\r\n"),
        ("To: <sip:bob@example.com>\r\n", "To: <sip:bob@example.com>\r\nTo: <sip:carol@example.com>\r\n"),
        ("Contact:", "f: <sip:bob@example.com>;tag=2\r\nContact:"),
    ] {
        for (asks, method) in [(false, "INVITE"), (true, "INVITE"), (false, "REGISTER"), (true, "REGISTER")] {
            let mut config = ServerConfig::for_domain("example.com");
            config.auth.requests = asks;
            if !asks {
                config.auth.domains.clear();
            }
            let mut server = sip_server::Server::new(config, [3; 32]);
            let flow = server.endpoint_mut().bind(Transport::Udp, "192.0.2.10:5060".parse().unwrap()).unwrap();
            let request = whole.replace(part, instead).replace("INVITE", method);
            let remote = "192.0.2.1:5060".parse().unwrap();
            let input = Input::Datagram { flow, remote, bytes: request.as_bytes() };
            let mut now = Instant::ZERO;
            server.handle_input(now, input).unwrap();
            let mut answers = Vec::new();
            while let Some(at) = server.poll_timeout() {
                answers.extend(std::iter::from_fn(|| server.poll_transmit()));
                while server.poll_event().is_some() {}
                now = now.max(at);
                server.handle_timeout(now);
            }
            let first = Message::parse(answers[0].bytes.clone()).unwrap();
            let status = first.status().unwrap().code();
            assert!(status == 400 || [401, 407].contains(&status) && asks, "{method} {instead:?}: {status}");
            assert!(answers.iter().all(|answer| answer.bytes == answers[0].bytes), "{instead:?}");
            assert!(now <= Instant::ZERO + core::time::Duration::from_secs(33), "{instead:?}");
            assert!(server.is_idle());
        }
    }
}

// RFC 4475 section 3.1.2.11, too: what steers a request that is formed from a URI is no part of a Request-URI.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
//= type=test
//# If the URI contains any parameters
//# not allowed in a Request-URI, they MUST be removed.
#[test]
fn what_a_request_uri_must_not_have_is_not_passed_on() {
    for (asked, passed_on) in [
        ("sip:x@192.0.2.2?Route=%3Csip:evil.example.net%3E", "sip:x@192.0.2.2"),
        ("sip:x@192.0.2.2;a=b;Method=BYE;c?Subject=x", "sip:x@192.0.2.2;a=b;c"),
        ("sip:who?@192.0.2.2?Subject=x", "sip:who?@192.0.2.2"),
        ("sip:who?x=y@192.0.2.2;method=BYE", "sip:who?x=y@192.0.2.2"),
        ("sip:who?@192.0.2.2", "sip:who?@192.0.2.2"),
    ] {
        let mut config = ServerConfig::for_domain("example.com");
        config.policy = RoutePolicy::Open;
        config.auth.domains.clear();
        let mut server = sip_server::Server::new(config, [3; 32]);
        let flow = server.endpoint_mut().bind(Transport::Udp, "192.0.2.10:5060".parse().unwrap()).unwrap();
        let text = format!(
            "OPTIONS {asked} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
             From: <sip:alice@example.com>;tag=1\r\nTo: <sip:bob@example.net>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n\
             Content-Length: 0\r\n\r\n"
        );
        let input = Input::Datagram { flow, remote: "192.0.2.1:5060".parse().unwrap(), bytes: text.as_bytes() };
        server.handle_input(Instant::ZERO, input).unwrap();
        let sent = Message::parse(server.poll_transmit().unwrap().bytes).unwrap();
        assert_eq!(sent.request_uri_bytes(), Some(passed_on.as_bytes()), "{asked}");
    }
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-11
//= type=test
//# If the OPTIONS is
//# addressed to a proxy server, the Request-URI is set without a user
//# part, similar to the way a Request-URI is set for a REGISTER request.
//= https://www.rfc-editor.org/rfc/rfc3261#section-11.2
//= type=test
//# If the response is generated by a proxy, the Allow header field
//# SHOULD be omitted as it is ambiguous since a proxy is method agnostic.
//= https://www.rfc-editor.org/rfc/rfc3261#section-11.2
//= type=test
//# Allow, Accept, Accept-Encoding, Accept-Language, and Supported header
//# fields SHOULD be present in a 200 (OK) response to an OPTIONS request.
#[test]
fn options_for_the_proxy_itself_are_answered() {
    for policy in [RoutePolicy::Users, RoutePolicy::Open] {
        let (mut world, _server, alice, bob) = scene(|config| config.policy = policy);
        for (nth, to) in ["sip:example.com", "sip:192.0.2.10", "sip:192.0.2.10:5060;transport=udp"].iter().enumerate() {
            world.send(&alice, options(to, &format!("own{nth}"), &[]), to_server());
            let answer = world.response(&alice, 200);
            assert!(!answer.has(Header::Allow) && answer.body().is_empty(), "{to}");
            for (header, value) in [
                (Header::Accept, "*/*"),
                (Header::AcceptEncoding, "*"),
                (Header::AcceptLanguage, "*"),
                (Header::Supported, "path, outbound"),
            ] {
                assert_eq!(answer.field(header), Some(value.as_bytes()), "{to} {header:?}");
            }
        }
        // These are for others.
        world.send(&alice, options("sip:nobody@example.com", "user", &[]), to_server());
        world.response(&alice, 480);
        world.send(&alice, options("sip:bob@example.com", "bob", &[]), to_server());
        let (tx, received) = world.request(&bob, Method::Options);
        world.reply(&bob, tx, &received, 200, "b");
        world.response(&alice, 200);
        world.assert_idle();
    }
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-16.5
//= type=test
//# If the target set remains empty after applying all of the above, the
//# proxy MUST return an error response, which SHOULD be the 480
//# (Temporarily Unavailable) response.
#[test]
fn an_address_of_the_proxy_is_its_own_and_that_of_a_neighbour_is_not() {
    for policy in [RoutePolicy::Users, RoutePolicy::Open] {
        let (mut world, _, alice, _) = scene(|config| {
            config.policy = policy;
            config.proxy.aliases.push("proxy.example.net".into());
        });
        for uri in ["sip:bob@192.0.2.10", "sip:bob@192.0.2.10:5060;transport=udp", "sip:bob@proxy.example.net"] {
            let call = world.fresh("own");
            world.send(&alice, options(uri, &call, &[]), to_server());
            assert_eq!(world.answer(&alice).status(), Some(StatusCode::TEMPORARILY_UNAVAILABLE), "{uri}");
        }
        world.assert_idle();
    }
    // Another port is another element.
    let (mut world, server, alice, _) = scene(|config| config.policy = RoutePolicy::Ask);
    for (uri, expected) in [("sip:bob@192.0.2.10", RouteKind::Local), ("sip:bob@192.0.2.10:5070", RouteKind::Foreign)] {
        let call = world.fresh("asked");
        world.send(&alice, options(uri, &call, &[]), to_server());
        let (id, kind) = world.expect(server, "a question", |event| match event {
            crate::common::NodeEvent::Server(ServerEvent::Proxy(ProxyEvent::RouteRequest { id, kind, .. })) => {
                Some((*id, *kind))
            }
            _ => None,
        });
        assert_eq!(kind, expected, "{uri}");
        let now = world.now();
        world.srv(server).route(now, id, Decision::reject(StatusCode::NOT_FOUND)).unwrap();
        world.response(&alice, 404);
    }
    world.settle();
    world.assert_idle();
}
