//! The call flows of RFC 3665 through two servers, message by message: the contact list of section 2, the sessions of section 3.
//! Sections 2.1 and 2.5 are with the registrations, 3.6 with the redirect server, 3.10 with the forks.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use common::{Ua, World, new_request, of_callee, of_caller, register, with_credentials};
use sip_message::{Header, Message, Method};
use sip_server::RoutePolicy;
use sip_transaction::{ClientTxId, Destination, ServerTxId, Transport};

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
    third.push(Header::ProxyAuthorization, common::credentials(&third, &challenge, "alice", "secret", 2)).unwrap();
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
