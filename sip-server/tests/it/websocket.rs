//! A browser and a phone, message by message: RFC 7118 section 8.
#![allow(clippy::unwrap_used, reason = "a test")]

use crate::common::{Ua, World, new_request, of_callee, of_caller, register};
use sip_message::{Header, Message, Method};
use sip_server::Advertised;
use sip_transaction::{Destination, Transport};

const SERVER: &str = "192.0.2.10";
const GRUU: &str = "<sip:alice@example.com;gr=urn:uuid:f81-7dec-14a06cf1;ob>";

struct Scene {
    world: World,
    server: usize,
    alice: Ua,
    bob: Ua,
}

fn scene(transport: Transport) -> Scene {
    let mut world = World::new(8);
    let server = world.server(SERVER, "example.com", |config| {
        let named = |transport, port| Advertised { transport, host: "proxy.example.com".into(), port };
        config.proxy.advertised = vec![named(Transport::Udp, None), named(Transport::Wss, Some(443))];
    });
    world.net.dns.address("proxy.example.com", SERVER);
    let alice = world.connected("203.0.113.5", transport, SERVER);
    let bob = world.udp("203.0.113.22");
    world.register(&bob, SERVER, "sip:bob@example.com", "<sip:bob@203.0.113.22:5060>", &[]);
    Scene { world, server, alice, bob }
}

fn routes(message: &Message, header: Header) -> Vec<String> {
    let values = message.values::<sip_message::NameAddr<'_>>(header);
    values.map(|value| value.unwrap().uri().unwrap().as_str().to_owned()).collect()
}

fn register_alice(scene: &mut Scene) -> Message {
    // F1 of section 8.1.
    let contact = "<sip:alice@df7jal23ls0d.invalid;transport=ws>;reg-id=1\
                   ;+sip.instance=\"<urn:uuid:f81-7dec-14a06cf1>\"";
    let fields = [("Supported", "path, outbound, gruu")];
    let request = register("sip:alice@example.com", contact, "aiuy7k9njasd", 1, &fields);
    scene.world.send(&scene.alice, request, Destination::route());
    scene.world.answer(&scene.alice)
}

#[test]
fn section_8_1_registration() {
    let mut scene = scene(Transport::Wss);
    let f2 = register_alice(&mut scene);
    assert_eq!(f2.status().unwrap().code(), 200);
    assert!(f2.requires("outbound"));
    let contact = f2.contacts().next().unwrap().unwrap();
    let address = contact.address().unwrap();
    assert_eq!(address.uri_bytes(), b"sip:alice@df7jal23ls0d.invalid;transport=ws");
    assert_eq!(contact.reg_id(), Ok(Some(1)));
    let gruu = address.params().value("pub-gruu").unwrap().unwrap().without_quotes();
    assert_eq!(gruu, b"sip:alice@example.com;gr=urn:uuid:f81-7dec-14a06cf1");
    assert!(address.params().has("temp-gruu").unwrap());
    assert_eq!(contact.expires(), Ok(Some(3600)));
    scene.world.assert_idle();
}

//= https://www.rfc-editor.org/rfc/rfc5626#section-7
//= type=test
//# If a proxy or registrar receives information from the network that
//# indicates that no future messages will be delivered on a specific
//# flow, then the proxy MUST invalidate all the bindings in the target
//# set that use that flow (regardless of AOR).
//= https://www.rfc-editor.org/rfc/rfc5626#section-7
//= type=test
//# Similarly, if a proxy closes a file descriptor, it MUST invalidate all the bindings
//# in the target set with flows that use that file descriptor.
#[test]
fn the_binding_of_a_browser_ends_with_its_connection() {
    let mut scene = scene(Transport::Wss);
    register_alice(&mut scene);
    assert_eq!(scene.world.srv(scene.server).registrar().table().unwrap().len(), 2);
    let node = scene.world.id(scene.alice.node);
    let flow = scene.alice.flow.unwrap();
    scene.world.net.break_flow(node, flow);
    scene.world.run(core::time::Duration::from_secs(1));
    assert_eq!(scene.world.srv(scene.server).registrar().table().unwrap().len(), 1);
    scene.world.assert_idle();
}

//= https://www.rfc-editor.org/rfc/rfc5626#section-5.1
//= type=test
//# The flow token MUST be an identifier
//# that is unique to this network flow.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
//= type=test
//# If this proxy wishes to remain on the path of future requests in a dialog created by
//# this request (assuming the request creates a dialog), it MUST insert a Record-Route
//# header field value into the copy before any existing Record-Route header field
//# values, even if a Route header field is already present.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
//= type=test
//# The URI placed in the Record-Route header field value MUST be a SIP or SIPS URI.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
//= type=test
//# This URI MUST contain an lr parameter (see Section 19.1.1).
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
//= type=test
//# The URI placed in the Record-Route header field MUST resolve to the element
//# inserting it (or a suitable stand-in) when the server location procedures of [4] are
//# applied to it, so that subsequent requests reach the same SIP element.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
//= type=test
//# The proxy MUST insert a Via header field value into the copy before the existing Via
//# header field values.
#[test]
fn section_8_2_a_call_from_the_browser() {
    for transport in [Transport::Wss, Transport::Ws] {
        let mut scene = scene(transport);
        register_alice(&mut scene);
        let (world, alice, bob) = (&mut scene.world, scene.alice, scene.bob);
        // F1.
        let fields = [("Supported", "path, outbound, gruu"), ("Route", "<sip:proxy.example.com:443;transport=ws;lr>")];
        let f1 =
            new_request(Method::Invite, "sip:alice@example.com", "sip:bob@example.com", "asidkj3ss", GRUU, &fields);
        world.send(&alice, f1, Destination::route());
        // F3: one Record-Route for each side, the token on the browser's.
        let (tx, f3) = world.request(&bob, Method::Invite);
        assert_eq!(f3.request_uri_bytes(), Some(&b"sip:bob@203.0.113.22:5060"[..]));
        assert!(!f3.has(Header::Route));
        assert_eq!(f3.max_forwards(), Ok(Some(69)));
        let recorded = routes(&f3, Header::RecordRoute);
        assert_eq!(recorded.len(), 2);
        assert_eq!(recorded[0], "sip:proxy.example.com;transport=udp;lr");
        let token = recorded[1].strip_prefix("sip:").unwrap().split_once('@').unwrap();
        assert!(token.0.len() >= 20);
        let host = if transport == Transport::Wss { "proxy.example.com:443" } else { "192.0.2.10:80" };
        assert_eq!(token.1, format!("{host};transport=ws;lr"));
        // F4, F5.
        let f4 = world.accept(&bob, tx, &f3, "bmqkjhsd", "<sip:bob@203.0.113.22:5060;transport=udp>");
        let f5 = world.response(&alice, 200);
        assert_eq!(routes(&f5, Header::RecordRoute), recorded);
        assert_eq!(f5.vias().count(), 1);
        assert_eq!(f5.body(), f4.body());
        // F6, F7.
        world.send_ack(&alice, of_caller(&f5, Method::Ack));
        let f7 = world.ack(&bob);
        assert_eq!(f7.request_uri_bytes(), Some(&b"sip:bob@203.0.113.22:5060;transport=udp"[..]));
        assert!(!f7.has(Header::Route));
        assert_eq!((f7.vias().count(), f7.max_forwards()), (2, Ok(Some(69))));
        // F8 to F11: the phone hangs up, and the BYE finds the browser by the token.
        let f8 = of_callee(&f3, &f4, Method::Bye, 1201);
        world.send(&bob, f8, Destination::route());
        let (tx, f9) = world.request(&alice, Method::Bye);
        assert_eq!(f9.request_uri_bytes(), Some(GRUU.trim_matches(['<', '>']).as_bytes()));
        assert!(!f9.has(Header::Route));
        world.reply(&alice, tx, &f9, 200, "");
        world.response(&bob, 200);
        world.assert_idle();
    }
}

//= https://www.rfc-editor.org/rfc/rfc5626#section-6
//= type=test
//# If the UAC has a direct flow with the registrar, the registrar MUST store enough
//# information to uniquely identify the network flow over which the request arrived.
#[test]
fn a_call_to_the_browser() {
    let mut scene = scene(Transport::Wss);
    register_alice(&mut scene);
    let (world, alice, bob) = (&mut scene.world, scene.alice, scene.bob);
    let contact = "<sip:bob@203.0.113.22:5060>";
    let invite = new_request(Method::Invite, "sip:bob@example.com", "sip:alice@example.com", "back", contact, &[]);
    world.send(&bob, invite, Destination::next_hop(format!("sip:{SERVER}")));
    let (tx, invite) = world.request(&alice, Method::Invite);
    assert_eq!(invite.request_uri_bytes(), Some(&b"sip:alice@df7jal23ls0d.invalid;transport=ws"[..]));
    let recorded = routes(&invite, Header::RecordRoute);
    assert_eq!(recorded.len(), 2);
    assert!(recorded[0].ends_with("@proxy.example.com:443;transport=ws;lr"));
    assert_eq!(recorded[1], "sip:proxy.example.com;transport=udp;lr");
    let accepted = world.accept(&alice, tx, &invite, "atag", GRUU);
    let ok = world.response(&bob, 200);
    world.send_ack(&bob, of_caller(&ok, Method::Ack));
    world.ack(&alice);
    // A re-INVITE of the browser, and the BYE of the phone, both over the browser's connection.
    world.send(&alice, of_callee(&invite, &accepted, Method::Invite, 7), Destination::route());
    let (tx, again) = world.request(&bob, Method::Invite);
    assert!(!again.has(Header::Route));
    let answered = world.accept(&bob, tx, &again, "", contact);
    let ok_again = world.response(&alice, 200);
    assert_eq!(answered.body(), ok_again.body());
    world.send_ack(&alice, of_caller(&ok_again, Method::Ack));
    world.ack(&bob);
    world.send(&bob, of_caller(&ok, Method::Bye), Destination::route());
    let (tx, bye) = world.request(&alice, Method::Bye);
    world.reply(&alice, tx, &bye, 200, "");
    world.response(&bob, 200);
    world.assert_idle();
}

/// A peer that has been told the browser's contact, as by Refer-To, calls that.
#[test]
fn a_call_to_the_contact_of_a_browser() {
    let mut scene = scene(Transport::Wss);
    register_alice(&mut scene);
    let (world, alice, bob) = (&mut scene.world, scene.alice, scene.bob);
    let server = Destination::next_hop(format!("sip:{SERVER}"));
    let contact = "<sip:bob@203.0.113.22:5060>";
    // Written otherwise, the same URI.
    let told = "sip:%61lice@DF7JAL23LS0D.invalid;transport=ws";
    let invite = new_request(Method::Invite, "sip:bob@example.com", told, "told", contact, &[]);
    world.send(&bob, invite, server.clone());
    let (tx, invite) = world.request(&alice, Method::Invite);
    world.accept(&alice, tx, &invite, "atag", "<sip:alice@df7jal23ls0d.invalid;transport=ws>");
    let ok = world.response(&bob, 200);
    world.send_ack(&bob, of_caller(&ok, Method::Ack));
    world.ack(&alice);
    world.send(&bob, of_caller(&ok, Method::Bye), Destination::route());
    let (tx, bye) = world.request(&alice, Method::Bye);
    world.reply(&alice, tx, &bye, 200, "");
    world.response(&bob, 200);
    // Another user of that host, and a host that nobody has: asked of no DNS.
    for (n, nobody) in [("0", "sip:mallory@df7jal23ls0d.invalid;transport=ws"), ("1", "sip:alice@elsewhere.invalid")] {
        let options = new_request(Method::Options, "sip:bob@example.com", nobody, n, "", &[]);
        world.send(&bob, options, server.clone());
        world.response(&bob, 480);
    }
    // Nobody gets what is meant for her by claiming her contact as his own.
    let mallory = world.connected("203.0.113.66", Transport::Wss, SERVER);
    world.register(&mallory, SERVER, "sip:mallory@example.com", "<sip:alice@df7jal23ls0d.invalid;transport=ws>", &[]);
    world.send(&bob, new_request(Method::Options, "sip:bob@example.com", told, "claimed", "", &[]), server.clone());
    world.response(&bob, 480);
    world.register(&mallory, SERVER, "sip:mallory@example.com", "*", &[("Expires", "0")]);
    world.send(&bob, new_request(Method::Options, "sip:bob@example.com", told, "hers", "", &[]), server.clone());
    let (tx, options) = world.request(&alice, Method::Options);
    world.reply(&alice, tx, &options, 200, "o");
    world.response(&bob, 200);
    // With the connection, the contact is gone.
    let (node, flow) = (world.id(alice.node), alice.flow.unwrap());
    world.net.break_flow(node, flow);
    world.run(core::time::Duration::from_secs(1));
    world.send(&bob, new_request(Method::Options, "sip:bob@example.com", told, "late", "", &[]), server);
    world.response(&bob, 480);
    world.assert_idle();
}

//= https://www.rfc-editor.org/rfc/rfc5626#section-5.3.1
//= type=test
//# If the flow no longer exists, the proxy SHOULD
//# send a 430 (Flow Failed) response to the request.
//= https://www.rfc-editor.org/rfc/rfc5626#section-5.3.1
//= type=test
//# If the flow token has been tampered with, the proxy SHOULD send a 403
//# (Forbidden) response.
#[test]
fn a_token_leads_over_its_flow_or_nowhere() {
    let mut scene = scene(Transport::Wss);
    register_alice(&mut scene);
    let (world, alice, bob) = (&mut scene.world, scene.alice, scene.bob);
    let contact = "<sip:alice@df7jal23ls0d.invalid;transport=ws>";
    let f1 = new_request(Method::Invite, "sip:alice@example.com", "sip:bob@example.com", "gone", contact, &[]);
    world.send(&alice, f1, Destination::route());
    let (tx, invite) = world.request(&bob, Method::Invite);
    let accepted = world.accept(&bob, tx, &invite, "b", "<sip:bob@203.0.113.22:5060>");
    let ok = world.response(&alice, 200);
    world.send_ack(&alice, of_caller(&ok, Method::Ack));
    world.ack(&bob);
    // Another token of the same form.
    let mut forged = of_callee(&invite, &accepted, Method::Info, 2);
    let route = routes(&forged, Header::Route)[1].clone();
    let (user, host) = route.split_once('@').unwrap();
    let changed = if user.ends_with('A') { "B" } else { "A" };
    forged.set_value(Header::Route, 1, format!("<{}{changed}@{host}>", &user[..user.len() - 1])).unwrap();
    world.send(&bob, forged, Destination::route());
    world.response(&bob, 403);
    // The connection breaks: nobody else gets what was meant for the browser.
    let (node, flow) = (world.id(alice.node), alice.flow.unwrap());
    world.net.break_flow(node, flow);
    world.run(core::time::Duration::from_secs(1));
    let mut newcomer = alice;
    world.connect(&mut newcomer, SERVER);
    world.send(&bob, of_callee(&invite, &accepted, Method::Bye, 3), Destination::route());
    world.response(&bob, 430);
    assert!(!world.has_request(&alice, Method::Bye));
    world.assert_idle();
}

#[test]
fn a_call_goes_on_over_the_next_connection() {
    let mut scene = scene(Transport::Wss);
    register_alice(&mut scene);
    let f1 = new_request(Method::Invite, "sip:alice@example.com", "sip:bob@example.com", "on", GRUU, &[]);
    scene.world.send(&scene.alice, f1, Destination::route());
    let (tx, invite) = scene.world.request(&scene.bob, Method::Invite);
    let accepted = scene.world.accept(&scene.bob, tx, &invite, "b", "<sip:bob@203.0.113.22:5060>");
    let ok = scene.world.response(&scene.alice, 200);
    scene.world.send_ack(&scene.alice, of_caller(&ok, Method::Ack));
    scene.world.ack(&scene.bob);
    let (node, flow) = (scene.world.id(scene.alice.node), scene.alice.flow.unwrap());
    scene.world.net.break_flow(node, flow);
    scene.world.run(core::time::Duration::from_secs(1));
    // Unregistered, she is nowhere.
    scene.world.send(&scene.bob, of_callee(&invite, &accepted, Method::Info, 3), Destination::route());
    scene.world.response(&scene.bob, 480);
    let mut again = scene.alice;
    scene.world.connect(&mut again, SERVER);
    scene.alice = again;
    register_alice(&mut scene);
    let (world, alice, bob) = (&mut scene.world, scene.alice, scene.bob);
    // The Route of the browser still begins with the token of its lost connection: it says whence, not whither.
    let info = of_caller(&ok, Method::Info);
    assert_eq!(routes(&info, Header::Route).len(), 2);
    world.send(&alice, info, Destination::flow(alice.flow.unwrap()));
    let (tx, info) = world.request(&bob, Method::Info);
    assert!(!info.has(Header::Route));
    world.reply(&bob, tx, &info, 200, "");
    world.response(&alice, 200);
    // To the browser it ends with that token, and the GRUU tells where the instance is now.
    world.send(&bob, of_callee(&invite, &accepted, Method::Bye, 4), Destination::route());
    let (tx, bye) = world.request(&alice, Method::Bye);
    world.reply(&alice, tx, &bye, 200, "");
    world.response(&bob, 200);
    world.assert_idle();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
//= type=test
//# The proxy MUST NOT reorder field values with a common field name (See Section
//# 7.3.1).
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
//= type=test
//# The proxy MUST NOT add to, modify, or remove the message body.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
//= type=test
//# A proxy MUST NOT insert a tag into the To header field of a 1xx or 2xx response if
//# the request did not contain one.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
//= type=test
//# A proxy MUST NOT modify the tag in the To header field of a 1xx or 2xx response.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
//= type=test
//# A proxy MUST NOT modify the To tag in any forwarded response to a request that
//# contains a To tag.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
//= type=test
//# The proxy MUST NOT add to, modify, or remove the message body.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
//= type=test
//# Unless otherwise specified, the proxy MUST NOT remove any header field values other
//# than the Via header field value discussed in Section 16.7 Item 3.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
//= type=test
//# In particular, the proxy MUST NOT remove any "received" parameter it may have added
//# to the next Via header field value while processing the request associated with this
//# response.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.6
//= type=test
//# The copy SHOULD maintain the ordering of the header fields as in the received
//# request.
#[test]
fn untouched_lines_leave_byte_for_byte() {
    let mut scene = scene(Transport::Wss);
    let (world, alice, bob) = (&mut scene.world, scene.alice, scene.bob);
    let odd = [
        ("x-oDD-cAse", "a  ,b ;c=\"D\""),
        ("User-Agent", "JsSIP  3.10"),
        ("P-Early-Media", "supported"),
        ("k", "ice,replaces,  outbound"),
    ];
    let mut f1 = new_request(Method::Invite, "sip:alice@example.com", "sip:bob@example.com", "bytes", GRUU, &odd);
    f1.set_body("application/sdp", &b"v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\n \x00\xff\r\n"[..]).unwrap();
    world.send(&alice, f1.clone(), Destination::route());
    let (tx, f3) = world.request(&bob, Method::Invite);
    let lines = |message: &Message| -> Vec<Vec<u8>> {
        let ours = [Header::Via, Header::MaxForwards, Header::RecordRoute, Header::MaxBreadth, Header::Route];
        let kept = message.headers().filter(|field| !ours.iter().any(|&own| field.name() == own.into()));
        kept.map(|field| field.line().to_vec()).collect()
    };
    assert_eq!(lines(&f3), lines(&f1));
    assert_eq!(f3.body(), f1.body());
    let sent = Message::response(&f3, sip_message::StatusCode::SESSION_PROGRESS)
        .reason("Ring ring")
        .to_tag("b")
        .header("X-Back", "1 ,  2")
        .build()
        .unwrap();
    world.respond(&bob, tx, sent.clone());
    let received = world.response(&alice, 183);
    assert_eq!(lines(&received), lines(&sent));
    assert_eq!(received.reason(), Some(&b"Ring ring"[..]));
    world.reply(&bob, tx, &f3, 486, "b");
    world.response(&alice, 486);
    world.assert_idle();
}
