//! Connections that clients open, and calls that come back over them: the example of RFC 5626 section 9, with two edge proxies and
//! an authoritative one; and GRUUs, RFC 5627.
#![allow(clippy::unwrap_used, reason = "a test")]

use crate::common::{Ua, World, new_request, of_callee, of_caller, register};
use core::time::Duration;
use sip_message::{Header, Message, Method};
use sip_server::RoutePolicy;
use sip_transaction::{Destination, Instant, Transport};

const HOME: &str = "192.0.2.10";
const EDGES: [(&str, &str); 2] = [("192.0.2.20", "ep1.example.com"), ("192.0.2.21", "ep2.example.com")];
const BOB: &str = "sip:bob@example.com";
const INSTANCE: &str = "+sip.instance=\"<urn:uuid:0C67446E-F1A1-11D9-94D3-000A95A0E128>\"";

struct Scene {
    world: World,
    home: usize,
    edges: [usize; 2],
    /// One user agent, by way of each edge proxy.
    bob: [Ua; 2],
}

fn scene() -> Scene {
    let mut world = World::new(9);
    let home = world.server(HOME, "example.com", |_| {});
    world.net.dns.address("example.com", HOME);
    let edges = EDGES.map(|(ip, name)| {
        world.net.dns.address(name, ip);
        world.server(ip, "edge.invalid", |config| {
            config.policy = RoutePolicy::Open;
            config.registrar.domains.clear();
            config.proxy.domains.clear();
            config.proxy.aliases = vec![name.into()];
        })
    });
    let first = world.connected("192.0.2.2", Transport::Tcp, EDGES[0].0);
    let mut second = first;
    world.connect(&mut second, EDGES[1].0);
    Scene { world, home, edges, bob: [first, second] }
}

impl Scene {
    fn register(&mut self, n: usize, cseq: u32) -> Message {
        let contact = format!("<sip:bob@192.0.2.2;transport=tcp>;reg-id={};{INSTANCE}", n + 1);
        let route = format!("<sip:{};lr>", EDGES[n].1);
        let fields = [("Supported", "path, outbound"), ("Route", &*route)];
        let request = register(BOB, &contact, "16CB75F21C70", cseq, &fields);
        self.world.send(&self.bob[n], request, Destination::route());
        self.world.answer(&self.bob[n])
    }
}

//= https://www.rfc-editor.org/rfc/rfc5626#section-5.1
//= type=test
//# If the edge proxy is the first hop, as
//# indicated by the Via header field, it MUST insert its URI in a Path
//# header field value as described in [RFC3327].
//= https://www.rfc-editor.org/rfc/rfc5626#section-5.1
//= type=test
//# In addition, if the edge proxy is the first SIP node
//# after the UAC, the edge proxy either MUST store a "flow token"
//# (containing information about the flow from the previous hop) in its
//# Path URI or reject the request.
//= https://www.rfc-editor.org/rfc/rfc5626#section-5.1
//= type=test
//# In addition, the first node MUST include an
//# "ob" URI parameter in its Path header field value.
//= https://www.rfc-editor.org/rfc/rfc5626#section-6
//= type=test
//# Provided that the UAC had included an outbound
//# option-tag (defined in Section 11.4) in a Supported header field
//# value in the REGISTER request, the registrar MUST include the
//# outbound option-tag in a Require header field value in its response
//# to that REGISTER request.
//= https://www.rfc-editor.org/rfc/rfc5626#section-6
//= type=test
//# The registrar MUST store in the binding the
//# Contact URI, all the Contact header field parameters, and any Path
//# header field values.
//= https://www.rfc-editor.org/rfc/rfc5626#section-6
//= type=test
//# When receiving a REGISTER request, the registrar MUST check from its
//# Via header field if the registrar is the first hop or not.
//= https://www.rfc-editor.org/rfc/rfc5626#section-5.1
//= type=test
//# If the edge proxy is not the first SIP node after the UAC it MUST NOT place an "ob"
//# URI parameter in a Path header field value.
//= https://www.rfc-editor.org/rfc/rfc5626#section-6
//= type=test
//# Registrars that implement this specification MUST support the Path header mechanism
//# [RFC3327].
//= https://www.rfc-editor.org/rfc/rfc3327#section-4
//= type=test
//# As suggested therein, such values MUST include the loose-routing indicator parameter
//# ";lr" for full compliance with [1].
#[test]
fn section_9_2_two_flows_are_registered() {
    let mut scene = scene();
    for n in 0..2 {
        let answer = scene.register(n, n as u32 + 1);
        assert_eq!(answer.status().unwrap().code(), 200);
        assert!(answer.requires("outbound"));
        assert_eq!(answer.contacts().count(), n + 1);
        let path = answer.path().next().unwrap().unwrap();
        let uri = path.uri().unwrap();
        let uri = uri.as_sip().unwrap();
        assert!(uri.ob() && uri.lr() && uri.user().is_some());
        assert_eq!(answer.path().count(), 1);
    }
    let table = scene.world.srv(scene.home).registrar().table().unwrap();
    assert_eq!((table.aors(), table.len()), (1, 2));
    scene.world.assert_idle();
}

/// Before any registration: the NOTIFY to a SUBSCRIBE that came by an edge proxy goes back over the same connection.
#[test]
fn section_9_1_the_configuration_is_asked_for() {
    let mut scene = scene();
    let (world, bob) = (&mut scene.world, scene.bob[0]);
    let config = world.udp("192.0.2.5");
    world.net.dns.address("config.example.com", "192.0.2.5");
    let who = "sip:00000000-0000-1000-8000-AABBCCDDEEFF@config.example.com";
    let route = format!("<sip:{};lr>", EDGES[0].1);
    let fields = [("Event", "ua-profile;profile-type=device"), ("Expires", "0"), ("Route", &*route)];
    let contact = format!("<sip:192.0.2.2;transport=tcp;ob>;{INSTANCE}");
    let subscribe =
        new_request(Method::Subscribe, "sip:anonymous@example.com", who, "nSz1TWN54x7My0", &contact, &fields);
    world.send(&bob, subscribe, Destination::route());
    let (tx, received) = world.request(&config, Method::Subscribe);
    assert_eq!(token_of(&received).1, EDGES[0].0);
    let accepted = world.accept(&config, tx, &received, "0983", "<sip:config@192.0.2.5>");
    world.response(&bob, 200);
    let mut notify = of_callee(&received, &accepted, Method::Notify, 1);
    notify.push(Header::SubscriptionState, "terminated;reason=timeout").unwrap();
    notify.push(Header::Event, "ua-profile").unwrap();
    world.send(&config, notify, Destination::route());
    let (tx, notify) = world.request(&bob, Method::Notify);
    assert!(!notify.has(Header::Route));
    assert_eq!(notify.request_uri_bytes(), Some(&b"sip:192.0.2.2;transport=tcp;ob"[..]));
    world.reply(&bob, tx, &notify, 200, "");
    world.response(&config, 200);
    world.assert_idle();
}

/// The token in the Record-Route of the edge proxy nearest to the user agent, and that proxy's name.
fn token_of(message: &Message) -> (String, String) {
    let last = message.record_routes().last().unwrap().unwrap();
    let uri = last.uri().unwrap();
    let uri = uri.as_sip().unwrap();
    (uri.user().unwrap().as_str().to_owned(), uri.host_str().to_owned())
}

/// A flow is made anew with its own number and the next CSeq, and carries a call of Bob's, which stays on his edge proxy alone.
#[test]
fn section_9_4_and_9_5_a_flow_is_registered_again_and_calls() {
    let mut scene = scene();
    let path = |answer: &Message| answer.path().next().unwrap().unwrap().uri().unwrap().as_str().to_owned();
    let first = scene.register(0, 1);
    scene.register(1, 2);
    let (node, flow) = (scene.world.id(scene.bob[0].node), scene.bob[0].flow.unwrap());
    scene.world.net.break_flow(node, flow);
    scene.world.run(Duration::from_secs(1));
    let mut again = scene.bob[0];
    scene.world.connect(&mut again, EDGES[0].0);
    scene.bob[0] = again;
    let second = scene.register(0, 3);
    assert_eq!(second.contacts().count(), 2, "in the place of the one that was lost");
    assert_ne!(path(&first), path(&second), "with a new flow token");

    let (world, bob) = (&mut scene.world, scene.bob[0]);
    let alice = world.udp("192.0.2.1");
    world.net.dns.address("a.example", "192.0.2.1");
    let route = format!("<sip:{};lr>", EDGES[0].1);
    let contact = "<sip:bob@192.0.2.2;transport=tcp;ob>";
    let invite = new_request(Method::Invite, BOB, "sip:alice@a.example", "95KGsk2V", contact, &[("Route", &route)]);
    world.send(&bob, invite, Destination::route());
    let (tx, received) = world.request(&alice, Method::Invite);
    let (token, edge) = token_of(&received);
    assert_eq!(edge, EDGES[0].0);
    assert!(path(&second).contains(&token), "that of the flow it came over");
    world.accept(&alice, tx, &received, "plqus8", "<sip:alice@192.0.2.1>");
    let ok = world.response(&bob, 200);
    assert_eq!(token_of(&ok), (token, edge));
    world.send_ack(&bob, of_caller(&ok, Method::Ack));
    assert_eq!(world.ack(&alice).vias().count(), 2);
    // Outgoing, by where it comes from: only the Route goes.
    world.send(&bob, of_caller(&ok, Method::Bye), Destination::route());
    let (tx, bye) = world.request(&alice, Method::Bye);
    assert_eq!((bye.vias().count(), bye.has(Header::Route)), (2, false));
    world.reply(&alice, tx, &bye, 200, "");
    world.response(&bob, 200);
    world.assert_idle();
}

//= https://www.rfc-editor.org/rfc/rfc5626#section-7
//= type=test
//# The proxy MUST NOT populate the target set with more than one
//# contact with the same AOR and instance-id at a time.
//= https://www.rfc-editor.org/rfc/rfc5626#section-7
//= type=test
//# If a request for a particular AOR and instance-id fails with a 430
//# (Flow Failed) response, the proxy SHOULD replace the failed branch
//# with another target (if one is available) with the same AOR and
//# instance-id, but a different reg-id.
//= https://www.rfc-editor.org/rfc/rfc5626#section-7
//= type=test
//# If the proxy receives a final response from a branch other than a
//# 408 (Request Timeout) or a 430 (Flow Failed) response, the proxy
//# MUST NOT forward the same request to another target representing
//# the same AOR and instance-id.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
//= type=test
//# Otherwise, the proxy MUST apply the procedures to the first value in the Route
//# header field, if present, else the Request-URI.
//= https://www.rfc-editor.org/rfc/rfc5626#section-11.5
//= type=test
//# The Authoritative Proxy SHOULD attempt to forward to another target (flow) with the
//# same instance-id and AOR.
#[test]
fn section_9_3_a_flow_that_failed_is_replaced() {
    let mut scene = scene();
    scene.register(0, 1);
    scene.world.run(Duration::from_secs(1));
    scene.register(1, 2);
    let alice = scene.world.udp("192.0.2.1");
    let bob = scene.bob[0];
    // The second flow was registered last, so it is tried first; it has broken without anybody at home knowing.
    let (node, flow) = (scene.world.id(bob.node), scene.bob[1].flow.unwrap());
    scene.world.net.break_flow(node, flow);
    scene.world.run(Duration::from_secs(1));
    let invite = new_request(Method::Invite, "sip:alice@a.example", BOB, "ob1", "<sip:alice@192.0.2.1>", &[]);
    scene.world.send(&alice, invite, Destination::next_hop(format!("sip:{HOME}")));
    let (tx, invite) = scene.world.request(&bob, Method::Invite);
    assert_eq!(invite.request_uri_bytes(), Some(&b"sip:bob@192.0.2.2;transport=tcp"[..]));
    assert!(!invite.has(Header::Route));
    assert!(scene.world.net.trace().iter().any(|sent| sent.bytes.starts_with(b"SIP/2.0 430 ")));
    let accepted = scene.world.accept(&bob, tx, &invite, "b", "<sip:bob@192.0.2.2;transport=tcp;ob>");
    let ok = scene.world.response(&alice, 200);
    scene.world.send_ack(&alice, of_caller(&ok, Method::Ack));
    scene.world.ack(&bob);
    // Both ways within the dialog, by way of the edge proxy and its flow token.
    scene.world.send(&bob, of_callee(&invite, &accepted, Method::Info, 9), Destination::route());
    let (tx, info) = scene.world.request(&alice, Method::Info);
    assert_eq!(info.vias().count(), 3);
    scene.world.reply(&alice, tx, &info, 200, "");
    scene.world.response(&bob, 200);
    // Also what names the edge proxy itself, for it names the flow as well.
    let mut options = of_caller(&ok, Method::Options);
    options.set_request_uri(format!("sip:{}", EDGES[0].1)).unwrap();
    scene.world.send(&alice, options, Destination::route());
    let (tx, options) = scene.world.request(&bob, Method::Options);
    scene.world.reply(&bob, tx, &options, 200, "");
    scene.world.response(&alice, 200);
    scene.world.send(&alice, of_caller(&ok, Method::Bye), Destination::route());
    let (tx, bye) = scene.world.request(&bob, Method::Bye);
    assert_eq!(bye.vias().count(), 3);
    scene.world.reply(&bob, tx, &bye, 200, "");
    scene.world.response(&alice, 200);
    // A refusal is the instance's own: no other flow is tried.
    let again = new_request(Method::Message, "sip:alice@a.example", BOB, "ob2", "", &[]);
    scene.world.send(&alice, again, Destination::next_hop(format!("sip:{HOME}")));
    let (tx, message) = scene.world.request(&bob, Method::Message);
    scene.world.reply(&bob, tx, &message, 486, "b");
    scene.world.response(&alice, 486);
    assert!(!scene.world.has_request(&bob, Method::Message));
    for edge in scene.edges {
        assert!(scene.world.srv(edge).registrar().table().unwrap().is_empty());
    }
    scene.world.assert_idle();
}

//= https://www.rfc-editor.org/rfc/rfc5626#section-6
//= type=test
//# In this case,
//# the following processing applies: if the REGISTER request contains
//# the reg-id and the outbound option tag in a Supported header field,
//# then the registrar MUST respond to the REGISTER request with a 439
//# (First Hop Lacks Outbound Support) response; otherwise, the registrar
//# MUST ignore the "reg-id" parameter of the Contact header.
//= https://www.rfc-editor.org/rfc/rfc5626#section-6
//= type=test
//# If the registrar is not the first hop, it MUST examine the Path header of
//# the request.  If the Path header field is missing or it exists but
//# the first URI does not have an "ob" URI parameter, then outbound
//# processing MUST NOT be applied to the registration.
//= https://www.rfc-editor.org/rfc/rfc5626#section-6
//= type=test
//# If the registrar processes a Contact header field value
//# with a reg-id but no instance-id, it simply ignores the reg-id
//# parameter.
//= https://www.rfc-editor.org/rfc/rfc5626#section-6
//= type=test
//# If the Contact header did not contain a "reg-id" Contact header field parameter or
//# if that parameter was ignored (as described above), the registrar MUST NOT include
//# the outbound option-tag in the Require header field of its response.
#[test]
fn without_outbound_at_the_first_hop_there_are_no_flows() {
    let mut world = World::new(4);
    let home = world.server(HOME, "example.com", |_| {});
    let proxy = world.udp("192.0.2.30");
    let contact = format!("<sip:bob@192.0.2.2>;reg-id=1;{INSTANCE}");
    let send = |world: &mut World, contact: &str, supported: &str, path: &str| {
        let (call, cseq) = (world.fresh("c"), world.counter);
        let mut fields = vec![("Via", "SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKfirst"), ("Supported", supported)];
        if !path.is_empty() {
            fields.push(("Path", path));
        }
        world.send(&proxy, register(BOB, contact, &call, cseq, &fields), Destination::next_hop(format!("sip:{HOME}")));
        world.answer(&proxy)
    };
    let plain = "<sip:192.0.2.30;lr>";
    assert_eq!(send(&mut world, &contact, "path, outbound", plain).status().unwrap().code(), 439);
    assert_eq!(send(&mut world, &contact, "path, outbound", "").status().unwrap().code(), 439);
    let answer = send(&mut world, &contact, "path", plain);
    assert_eq!(answer.status().unwrap().code(), 200);
    assert!(!answer.requires("outbound"));
    let bare = send(&mut world, "<sip:bob@192.0.2.3>;reg-id=1", "path, outbound", "<sip:192.0.2.30;lr;ob>");
    assert!(!bare.requires("outbound"));
    let table = world.srv(home).registrar().table().unwrap();
    assert!(table.iter().all(|(_, bindings)| bindings.iter().all(|binding| binding.reg_id() == 0)));
    world.assert_idle();
}

#[test]
fn a_contact_that_names_no_transport_is_called_over_its_connection_if_the_host_wants_that() {
    for wanted in [false, true] {
        let mut world = World::new(6);
        let home = world.server(HOME, "example.com", |config| config.registrar.over_connection = wanted);
        let alice = world.udp("192.0.2.1");
        let mut bob = world.connected("192.0.2.2", Transport::Tcp, HOME);
        // One that says what it means, and one of another host, are called as they say.
        for (contact, over) in [
            ("<sip:bob@192.0.2.2;transport=tcp>", false),
            ("<sip:bob@192.0.2.9>", false),
            ("<sip:bob@phone.example.com>", false),
            ("<sip:bob@192.0.2.2>", wanted),
        ] {
            world.register(&bob, HOME, BOB, contact, &[]);
            let table = world.srv(home).registrar().table().unwrap();
            let of = table
                .bindings(BOB, Instant::ZERO)
                .find(|binding| contact.contains(&format!("<{}>", binding.contact())));
            assert_eq!(of.unwrap().received().is_some(), over, "{contact} {wanted}");
            world.register(&bob, HOME, BOB, &format!("{contact};expires=0"), &[]);
        }
        if wanted {
            world.register(&bob, HOME, BOB, "<sip:bob@192.0.2.2>", &[]);
            let request = new_request(Method::Message, "sip:alice@example.com", BOB, "m", "", &[]);
            world.send(&alice, request.clone(), Destination::next_hop(format!("sip:{HOME}")));
            let (tx, received) = world.request(&bob, Method::Message);
            world.reply(&bob, tx, &received, 200, "b");
            world.response(&alice, 200);
            let now = world.now();
            let flow = bob.flow.take().unwrap();
            world.ua(bob.node).close(now, flow).unwrap();
            world.run(Duration::from_secs(1));
            assert!(world.srv(home).registrar().table().unwrap().is_empty(), "it ends with the connection");
        }
        world.assert_idle();
    }
}

//= https://www.rfc-editor.org/rfc/rfc5627#section-5.2
//= type=test
//# If the REGISTER request contained a Supported header
//# field that included the "gruu" option tag, and the registrar has at
//# least one temporary GRUU assigned to the instance ID and AOR, the
//# registrar MUST add a "temp-gruu" Contact header field parameter to
//# that Contact header field.
//= https://www.rfc-editor.org/rfc/rfc5627#section-5.1
//= type=test
//# The public GRUU MUST be
//# constructed by adding the "gr" URI parameter, with a value, to the
//# AOR.
//= https://www.rfc-editor.org/rfc/rfc5627#section-6.1
//= type=test
//# If there are no registered contacts bound to the GRUU, the server
//# MUST return a 480 (Temporarily Unavailable) response.
//= https://www.rfc-editor.org/rfc/rfc5627#section-6.1
//= type=test
//# The proxy MUST select the most recently refreshed
//# contact.
//= https://www.rfc-editor.org/rfc/rfc5627#section-6.1
//= type=test
//# If it contains the "gr" URI
//# parameter but is not equivalent, based on URI comparison, to a
//# currently valid GRUU within the domain, it SHOULD be rejected with a
//# 404 (Not Found) response; this is the same behavior a proxy would
//# exhibit for any other URI within the domain that is not valid.
//= https://www.rfc-editor.org/rfc/rfc5627#section-5.1
//= type=test
//# If the contact contained a "pub-gruu" Contact header field parameter, the header
//# field parameter MUST be ignored by the registrar.
//= https://www.rfc-editor.org/rfc/rfc5627#section-5.1
//= type=test
//# If the contact contained a "temp-gruu" Contact header field parameter, the header
//# field parameter MUST be ignored by the registrar.
#[test]
fn a_gruu_leads_to_its_instance_and_to_no_other() {
    let mut world = World::new(12);
    world.server(HOME, "example.com", |_| {});
    let alice = world.udp("192.0.2.1");
    let (phone, desk) = (world.udp("192.0.2.2"), world.udp("192.0.2.3"));
    let supported = [("Supported", "gruu")];
    let of_phone = format!("<sip:bob@192.0.2.2>;{INSTANCE};pub-gruu=\"sip:mine@example.com\";temp-gruu=\"sip:x@h;gr\"");
    world.register(&desk, HOME, BOB, "<sip:bob@192.0.2.3>;+sip.instance=\"<urn:uuid:2>\"", &supported);
    let plain = world.register(&phone, HOME, BOB, &of_phone, &[]);
    let has_gruu = |message: &Message| {
        message.contacts().flatten().any(|contact| contact.address().unwrap().params().has("pub-gruu").unwrap())
    };
    assert!(!has_gruu(&plain), "only for those who support it");
    let first = register(BOB, &of_phone, "phone", 1, &supported);
    world.send(&phone, first, Destination::next_hop(format!("sip:{HOME}")));
    let answer = world.answer(&phone);
    let gruus = |answer: &Message| -> Vec<String> {
        let contacts: Vec<_> = answer.contacts().map(Result::unwrap).collect();
        let own = contacts.iter().find(|c| c.address().unwrap().uri_bytes() == b"sip:bob@192.0.2.2").unwrap();
        let params = own.address().unwrap().params();
        let text = |name| String::from_utf8(params.value(name).unwrap().unwrap().without_quotes().to_vec()).unwrap();
        vec![text("pub-gruu"), text("temp-gruu")]
    };
    let uris = gruus(&answer);
    assert!(uris[1].starts_with("sip:tgruu."), "{uris:?}");
    assert_eq!(uris[0], "sip:bob@example.com;gr=urn:uuid:0C67446E-F1A1-11D9-94D3-000A95A0E128");
    let call = |world: &mut World, uri: &str| {
        let id = world.fresh("g");
        let message = new_request(Method::Message, "sip:alice@a.example", uri, &id, "", &[]);
        world.send(&alice, message, Destination::next_hop(format!("sip:{HOME}")));
    };
    for uri in &uris {
        call(&mut world, uri);
        let (tx, message) = world.request(&phone, Method::Message);
        assert_eq!(message.request_uri_bytes(), Some(&b"sip:bob@192.0.2.2"[..]));
        world.reply(&phone, tx, &message, 200, "p");
        world.response(&alice, 200);
    }
    assert!(!world.has_request(&desk, Method::Message));
    // A registration under another Call-ID ends the temporary GRUU, and a removal all reachability.
    let again = world.register(&phone, HOME, BOB, &of_phone, &supported);
    let newer = gruus(&again);
    assert_eq!(newer[0], uris[0]);
    call(&mut world, &uris[1]);
    world.response(&alice, 404);
    world.register(&phone, HOME, BOB, "<sip:bob@192.0.2.2>;expires=0", &[]);
    call(&mut world, &newer[0]);
    world.response(&alice, 480);
    call(&mut world, &newer[1]);
    world.response(&alice, 404);
    world.assert_idle();
}
