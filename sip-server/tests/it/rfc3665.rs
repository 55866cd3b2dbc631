//! The call flows of RFC 3665 through two servers, message by message: the contact list of section 2, the sessions of section 3.
//! Sections 2.1 and 2.5 are with the registrations, 3.6 with the redirect server, 3.10 with the forks.
#![allow(clippy::unwrap_used, reason = "a test")]

use crate::common::{Ua, World, new_request, of_callee, of_caller, register, with_credentials};
use core::time::Duration;
use sim::Fate;
use sip_message::{Header, Message, Method};
use sip_server::RoutePolicy;
use sip_transaction::{ClientTxId, Destination, Outcome, ServerTxId, Transport};

const ATLANTA: &str = "192.0.2.10";
const BILOXI: &str = "192.0.2.20";
const ALICE: &str = "sip:alice@atlanta.example.com";
const BOB: &str = "sip:bob@biloxi.example.com";
const ALICE_HERE: &str = "<sip:alice@192.0.2.1;transport=tcp>";
const BOB_HERE: &str = "<sip:bob@192.0.2.2;transport=tcp>";

struct Scene {
    world: World,
    alice: Ua,
    bob: Ua,
}

/// Alice at the proxy of Atlanta, Bob at that of Biloxi, each over TCP; whether they have to prove who they are.
fn scene(asks: bool) -> Scene {
    let mut world = World::new(65);
    for (ip, domain) in [(ATLANTA, "atlanta.example.com"), (BILOXI, "biloxi.example.com")] {
        let server = world.server(ip, domain, |config| {
            config.policy = RoutePolicy::Open;
            config.auth.registrations = false;
            if asks {
                // Each asks Alice for her password there, whatever From says: she is known to both.
                config.auth.domains = vec!["atlanta.example.com".into()];
                config.auth.realm = Some(domain.into());
            }
        });
        world.net.dns.address(domain, ip);
        let auth = world.srv(server).auth_mut();
        auth.add_user_with_password(domain, "alice", "secret");
    }
    let alice = world.connected("192.0.2.1", Transport::Tcp, ATLANTA);
    let bob = world.connected("192.0.2.2", Transport::Tcp, BILOXI);
    let contact = format!("{BOB_HERE};reg-id=1;+sip.instance=\"<urn:uuid:b0b>\"");
    world.register(&bob, BILOXI, BOB, &contact, &[("Supported", "outbound, path")]);
    Scene { world, alice, bob }
}

fn invite(cseq: u32) -> Message {
    let mut invite = new_request(Method::Invite, ALICE, BOB, "3848276298220188511", ALICE_HERE, &[]);
    invite.set(Header::CSeq, format!("{cseq} INVITE")).unwrap();
    invite.push(Header::Route, format!("<sip:{ATLANTA};transport=tcp;lr>")).unwrap();
    invite
}

impl Scene {
    /// F1 to F7 of most flows: the INVITE goes to Bob, whose phone rings.
    fn ring(&mut self) -> (ClientTxId, ServerTxId, Message) {
        let (alice, bob) = (self.alice, self.bob);
        let tx = self.world.send(&alice, invite(1), Destination::route());
        let (server, received) = self.world.request(&bob, Method::Invite);
        // F4: two proxies on the way, each with what shows both its sides; the topmost Via is that of the last.
        assert_eq!((received.vias().count(), received.max_forwards()), (3, Ok(Some(68))));
        assert!(!received.has(Header::Route));
        assert_eq!(received.request_uri_bytes(), Some(BOB_HERE.trim_matches(['<', '>']).as_bytes()));
        self.world.response(&alice, 100);
        self.world.reply(&bob, server, &received, 180, "314159");
        let ringing = self.world.response(&alice, 180);
        assert_eq!(ringing.vias().count(), 1);
        (tx, server, received)
    }

    fn accept(&mut self, server: ServerTxId, received: &Message) -> (Message, Message) {
        let (alice, bob) = (self.alice, self.bob);
        let accepted = self.world.accept(&bob, server, received, "314159", BOB_HERE);
        let ok = self.world.response(&alice, 200);
        assert_eq!(ok.body(), accepted.body());
        self.world.send_ack(&alice, of_caller(&ok, Method::Ack));
        let ack = self.world.ack(&bob);
        assert_eq!((ack.vias().count(), ack.has(Header::Route)), (3, false));
        (accepted, ok)
    }

    fn end(&mut self, by_bob: Message) {
        let (alice, bob) = (self.alice, self.bob);
        self.world.send(&bob, by_bob, Destination::route());
        let (tx, bye) = self.world.request(&alice, Method::Bye);
        self.world.reply(&alice, tx, &bye, 200, "");
        self.world.response(&bob, 200);
        self.world.assert_idle();
    }
}

/// Sections 2.2 to 2.4, one after the other.
#[test]
fn section_2_2_to_2_4_the_contact_list_is_changed_asked_for_and_cleared() {
    let mut world = World::new(22);
    world.server(BILOXI, "biloxi.example.com", |_| {});
    let bob = world.udp("192.0.2.2");
    let mut cseq = 0;
    let mut ask = |world: &mut World, contact: &str, fields: &[(&str, &str)]| {
        cseq += 1;
        world.send(
            &bob,
            register(BOB, contact, "1j9FpLxk3uxtm8tn", cseq, fields),
            Destination::next_hop(format!("sip:{BILOXI}")),
        );
        let answer = world.answer(&bob);
        assert_eq!(answer.status().unwrap().code(), 200);
        let uris: Vec<String> = answer
            .contacts()
            .map(|contact| String::from_utf8(contact.unwrap().address().unwrap().uri_bytes().to_vec()).unwrap())
            .collect();
        uris
    };
    assert_eq!(ask(&mut world, "<sip:bob@client.biloxi.example.com>", &[]), ["sip:bob@client.biloxi.example.com"]);
    let both = ["sip:bob@client.biloxi.example.com", "mailto:bob@biloxi.example.com"];
    assert_eq!(ask(&mut world, "mailto:bob@biloxi.example.com", &[]), both, "2.2: one more");
    assert_eq!(ask(&mut world, "", &[]), both, "2.3: asked for, unchanged");
    assert!(ask(&mut world, "*", &[("Expires", "0")]).is_empty(), "2.4");
    world.assert_idle();
}

#[test]
fn section_3_2_a_session_through_two_proxies() {
    let mut scene = scene(false);
    let (_, server, received) = scene.ring();
    let (accepted, _) = scene.accept(server, &received);
    scene.end(of_callee(&received, &accepted, Method::Bye, 1));
}

/// Each proxy asks for credentials of its own; those for the first are left in for the second, which passes over them.
#[test]
fn section_3_3_both_proxies_ask_who_calls() {
    let mut scene = scene(true);
    let (alice, bob) = (scene.alice, scene.bob);
    scene.world.send(&alice, invite(1), Destination::route());
    let first = scene.world.response(&alice, 407);
    let second = with_credentials(&invite(1), &first, "alice", "secret");
    scene.world.send(&alice, second.clone(), Destination::route());
    let of_biloxi = scene.world.response(&alice, 407);
    let realm =
        of_biloxi.proxy_authenticate().next().unwrap().unwrap().realm().unwrap().unwrap().without_quotes().to_vec();
    assert_eq!(realm, b"biloxi.example.com");
    let mut third = with_credentials(&second, &of_biloxi, "alice", "secret");
    // Its own go, too, with the next count of the nonce.
    let challenge = first.proxy_authenticate().next().unwrap().unwrap();
    third
        .push(Header::ProxyAuthorization, crate::common::credentials(&third, &challenge, "alice", "secret", 2))
        .unwrap();
    scene.world.send(&alice, third, Destination::route());
    let (server, received) = scene.world.request(&bob, Method::Invite);
    assert_eq!(received.fields(Header::ProxyAuthorization).count(), 2, "no proxy takes them away");
    let (accepted, _) = scene.accept(server, &received);
    scene.end(of_callee(&received, &accepted, Method::Bye, 1));
}

#[test]
fn section_3_7_bob_moves_within_the_session() {
    let mut scene = scene(false);
    let (_, server, received) = scene.ring();
    let (accepted, _) = scene.accept(server, &received);
    let (alice, bob) = (scene.alice, scene.bob);
    let mut again = of_callee(&received, &accepted, Method::Invite, 14);
    again.push(Header::Contact, "<sip:bob@192.0.2.222;transport=tcp>").unwrap();
    scene.world.send(&bob, again, Destination::route());
    let (server, asked) = scene.world.request(&alice, Method::Invite);
    assert_eq!(asked.field(Header::Contact), Some(&b"<sip:bob@192.0.2.222;transport=tcp>"[..]), "end to end");
    scene.world.accept(&alice, server, &asked, "", ALICE_HERE);
    let ok = scene.world.response(&bob, 200);
    scene.world.send_ack(&bob, of_caller(&ok, Method::Ack));
    scene.world.ack(&alice);
    scene.end(of_callee(&received, &accepted, Method::Bye, 15));
}

#[test]
fn section_3_8_alice_gives_up() {
    let mut scene = scene(false);
    let (tx, server, received) = scene.ring();
    let now = scene.world.now();
    scene.world.ua(scene.alice.node).cancel(now, tx, None).unwrap();
    assert_eq!(scene.world.cancelled(&scene.bob), server);
    scene.world.reply(&scene.bob, server, &received, 487, "314159");
    let answer = scene.world.response(&scene.alice, 487);
    assert_eq!(answer.to().unwrap().tag().unwrap(), Some("314159"), "Bob's own answer, through both");
    scene.world.assert_idle();
}

#[test]
fn section_3_9_and_3_11_bob_is_busy_or_not_to_be_had() {
    for status in [486, 480] {
        let mut scene = scene(false);
        let (_, server, received) = scene.ring();
        scene.world.reply(&scene.bob, server, &received, status, "314159");
        scene.world.response(&scene.alice, status);
        scene.world.assert_idle();
    }
}

/// Proxy 1 does not answer: INVITEs F1 to F7 go there in vain, F8 to Proxy 2, which asks who calls.
#[test]
fn section_3_4_the_first_proxy_does_not_answer() {
    let mut scene = scene(true);
    let alice = scene.world.udp("192.0.2.3");
    let bob = scene.bob;
    let here = "<sip:alice@192.0.2.3>";
    let towards = |proxy: &str, cseq: u32| {
        let mut invite = new_request(Method::Invite, ALICE, BOB, "2xTb9vxSit55XU7p8", here, &[]);
        invite.set(Header::CSeq, format!("{cseq} INVITE")).unwrap();
        invite.push(Header::Route, format!("<sip:{proxy};lr>")).unwrap();
        invite
    };
    let proxy = scene.world.udp("192.0.2.99");
    scene.world.net.set_filter(move |packet| if packet.to == proxy.local { Fate::Lose } else { Fate::Carry });
    let started = scene.world.now();
    scene.world.net.clear_trace();
    scene.world.send(&alice, towards("192.0.2.99", 1), Destination::route());
    assert_eq!(scene.world.outcome(&alice), Outcome::TimedOut);
    assert_eq!(scene.world.now(), started + Duration::from_secs(32), "64 * T1");
    let vain = scene.world.net.trace().iter().filter(|sent| sent.from == alice.local).count();
    assert_eq!(vain, 7, "F1 to F7");

    scene.world.send(&alice, towards(BILOXI, 1), Destination::route());
    let asked = scene.world.response(&alice, 407);
    let again = with_credentials(&towards(BILOXI, 1), &asked, "alice", "secret");
    assert_eq!(again.cseq().unwrap().number, 2);
    scene.world.send(&alice, again, Destination::route());
    let (server, received) = scene.world.request(&bob, Method::Invite);
    // F12: one proxy on the way.
    assert_eq!((received.vias().count(), received.max_forwards()), (2, Ok(Some(69))));
    scene.world.response(&alice, 100);
    scene.world.reply(&bob, server, &received, 180, "314159");
    scene.world.response(&alice, 180);
    let accepted = scene.world.accept(&bob, server, &received, "314159", BOB_HERE);
    let ok = scene.world.response(&alice, 200);
    scene.world.send_ack(&alice, of_caller(&ok, Method::Ack));
    let ack = scene.world.ack(&bob);
    assert_eq!((ack.vias().count(), ack.has(Header::Route)), (2, false), "F19");
    // F20 to F23.
    scene.world.send(&bob, of_callee(&received, &accepted, Method::Bye, 1), Destination::route());
    let (tx, bye) = scene.world.request(&alice, Method::Bye);
    scene.world.reply(&alice, tx, &bye, 200, "");
    scene.world.response(&bob, 200);
    scene.world.assert_idle();
}

/// The gateway stays on the path, Proxy 2 does not: ACK and BYE go from the gateway straight to Bob. (What a gateway of media writes into the
/// session descriptions is not a proxy's work.)
#[test]
fn section_3_5_a_session_through_a_gateway() {
    let mut world = World::new(35);
    for (ip, domain) in [(ATLANTA, "atlanta.example.com"), (BILOXI, "biloxi.example.com")] {
        world.server(ip, domain, |config| {
            config.policy = RoutePolicy::Open;
            config.proxy.record_route = ip == ATLANTA;
        });
        world.net.dns.address(domain, ip);
    }
    let (alice, bob) = (world.udp("192.0.2.1"), world.udp("192.0.2.2"));
    world.register(&bob, BILOXI, BOB, "<sip:bob@192.0.2.2>", &[]);
    let mut invite = new_request(Method::Invite, ALICE, BOB, "4Fde34wkd11wsGFDs3", "<sip:alice@192.0.2.1>", &[]);
    invite.push(Header::Route, format!("<sip:{ATLANTA};lr>")).unwrap();
    world.send(&alice, invite, Destination::route());
    let (server, received) = world.request(&bob, Method::Invite);
    // F4: from Proxy 2, by way of the gateway, which alone wants to see more.
    assert_eq!((received.vias().count(), received.record_routes().count()), (3, 1));
    world.response(&alice, 100);
    world.reply(&bob, server, &received, 180, "314159");
    assert_eq!(world.response(&alice, 180).vias().count(), 1);
    world.accept(&bob, server, &received, "314159", "<sip:bob@192.0.2.2>");
    let ok = world.response(&alice, 200);
    assert_eq!(ok.record_routes().count(), 1, "F11");
    world.send_ack(&alice, of_caller(&ok, Method::Ack));
    let ack = world.ack(&bob);
    assert_eq!((ack.vias().count(), ack.has(Header::Route)), (2, false), "F13: not by way of Proxy 2");
    world.send(&alice, of_caller(&ok, Method::Bye), Destination::route());
    let (tx, bye) = world.request(&bob, Method::Bye);
    assert_eq!((bye.vias().count(), bye.has(Header::Route)), (2, false), "F15");
    world.reply(&bob, tx, &bye, 200, "");
    assert_eq!(world.response(&alice, 200).vias().count(), 1, "F17");
    world.assert_idle();
}
