//! One INVITE, several answers: early dialogs of several branches, the winner and the losers.

use crate::common::*;
use sip_dialog::{CallEvent, EndCause, Event};
use sip_message::{Header, Message};
use sip_transaction::ServerTxId;

/// A response of one branch of a fork.
fn branch(
    world: &mut World,
    raw: sim::NodeId,
    tx: ServerTxId,
    request: &Message,
    code: u16,
    tag: &str,
    body: &'static [u8],
) {
    let mut builder = Message::response(request, status(code)).to_tag(tag);
    if code > 100 && code < 300 {
        builder = builder.header(Header::Contact, format!("<sip:{tag}@192.0.2.2>"));
    }
    if !body.is_empty() {
        builder = builder.body("application/sdp", body);
    }
    let now = world.now();
    world.net.host(raw).endpoint_mut().respond(now, tx, builder.build().unwrap()).unwrap();
}

trait EndpointMut {
    fn endpoint_mut(&mut self) -> &mut sip_transaction::Endpoint;
}

impl EndpointMut for Phone {
    fn endpoint_mut(&mut self) -> &mut sip_transaction::Endpoint {
        sim::Host::endpoint(self)
    }
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.2.4
//= type=test
//# The UAC core MUST generate an ACK request for each 2xx received from the
//# transaction layer.
//= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.2.4
//= type=test
//# If, after acknowledging any 2xx response to an INVITE, the UAC does not
//# want to continue with that dialog, then the UAC MUST terminate the
//# dialog by sending a BYE request as described in Section 15.
//= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.2.4
//= type=test
//# The ACK MUST be passed to the client transport every time a
//# retransmission of the 2xx final response that triggered the ACK arrives.
#[test]
fn the_first_200_wins_and_the_others_are_hung_up() {
    let mut world = World::new(1);
    let (alice, raw) = (world.phone(1), world.raw(2));
    let ours = world.call(alice, 1, 2);
    let (tx, invite) = world.request_at(raw);
    branch(&mut world, raw, tx, &invite, 180, "one", b"");
    branch(&mut world, raw, tx, &invite, 183, "two", ANSWER);
    let mut dialogs = Vec::new();
    for _ in 0..2 {
        dialogs.push(world.until_call(alice, ours, |event| match event {
            CallEvent::Progress { dialog, .. } => *dialog,
            _ => None,
        }));
    }
    assert_ne!(dialogs[0], dialogs[1]);
    branch(&mut world, raw, tx, &invite, 200, "one", ANSWER);
    let winner = world.until_call(alice, ours, |event| match event {
        CallEvent::Accepted { dialog, .. } => Some(*dialog),
        _ => None,
    });
    assert_eq!(winner, dialogs[0]);
    assert!(world.tell(alice, |core, _, _| core.dialog(dialogs[1]).is_none()), "the other is gone");
    // The other one accepts, too, and a third nobody had heard of.
    branch(&mut world, raw, tx, &invite, 200, "two", ANSWER);
    branch(&mut world, raw, tx, &invite, 200, "three", ANSWER);
    let mut hung_up = Vec::new();
    for _ in 0..2 {
        let (bye, request) = world.request_at(raw);
        assert_eq!(request.method(), Some(sip_message::Method::Bye));
        hung_up.push(request.to().unwrap().tag().unwrap().unwrap().to_owned());
        world.respond(raw, bye, &request, 200, |builder| builder);
    }
    assert_eq!(hung_up, ["two", "three"]);
    // Each 200 again: each ACK again, and no second BYE.
    let before = world.sent().iter().filter(|what| *what == "1>2 ACK").count();
    for tag in ["one", "two", "three"] {
        branch(&mut world, raw, tx, &invite, 200, tag, ANSWER);
    }
    world.run_for(std::time::Duration::from_secs(1));
    assert_eq!(world.sent().iter().filter(|what| *what == "1>2 ACK").count(), before + 3);
    assert_eq!(world.sent().iter().filter(|what| *what == "1>2 BYE").count(), 2);
    world.hang_up(alice, ours);
    let (bye, request) = world.request_at(raw);
    assert_eq!(request.to().unwrap().tag().unwrap(), Some("one"));
    world.respond(raw, bye, &request, 200, |builder| builder);
    assert_eq!(world.end_of(alice, ours), EndCause::HungUp);
    world.finish();
}

#[test]
fn a_branch_that_ends_says_so() {
    let mut world = World::new(2);
    let (alice, raw) = (world.phone(1), world.raw(2));
    let ours = world.call(alice, 1, 2);
    let (tx, invite) = world.request_at(raw);
    branch(&mut world, raw, tx, &invite, 180, "one", b"");
    let dialog = world.until_call(alice, ours, |event| match event {
        CallEvent::Progress { dialog, .. } => *dialog,
        _ => None,
    });
    branch(&mut world, raw, tx, &invite, 199, "one", b"");
    let ended = world.until_call(alice, ours, |event| match event {
        CallEvent::ForkEnded { dialog, .. } => Some(*dialog),
        _ => None,
    });
    assert_eq!(ended, dialog);
    branch(&mut world, raw, tx, &invite, 486, "two", b"");
    assert_eq!(world.end_of(alice, ours), EndCause::PeerRejected(status(486)));
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.2.4
//= type=test
//# Otherwise, a new dialog in the "confirmed" state MUST be constructed
//# using the procedures of Section 12.1.2.
#[test]
fn a_flood_of_forks_is_bounded() {
    let mut world = World::new(3);
    let (alice, raw) = (world.phone_with(1, |config| config.limits.forks = 3), world.raw(2));
    let ours = world.call(alice, 1, 2);
    let (tx, invite) = world.request_at(raw);
    for n in 0..30 {
        branch(&mut world, raw, tx, &invite, 180, &format!("t{n}"), b"");
    }
    world.run_for(std::time::Duration::from_secs(1));
    let early = world
        .log
        .iter()
        .filter(|happened| {
            matches!(&happened.event, Event::Call { event: CallEvent::Progress { dialog: Some(_), .. }, .. })
        })
        .count();
    assert_eq!(early, 3);
    // One of those that were not kept may still win.
    branch(&mut world, raw, tx, &invite, 200, "t1", ANSWER);
    world.until_confirmed(alice, ours);
    world.hang_up(alice, ours);
    let (bye, request) = world.request_at(raw);
    let (bye, request) =
        if request.method() == Some(sip_message::Method::Bye) { (bye, request) } else { world.request_at(raw) };
    world.respond(raw, bye, &request, 200, |builder| builder);
    world.finish();
}

#[test]
fn a_200_without_contact_ends_the_call_in_order() {
    let mut world = World::new(4);
    let (alice, raw) = (world.phone(1), world.raw(2));
    let ours = world.call(alice, 1, 2);
    let (tx, invite) = world.request_at(raw);
    world.respond(raw, tx, &invite, 200, |builder| builder);
    assert_eq!(world.end_of(alice, ours), EndCause::Malformed);
    let (bye, request) = world.request_at(raw);
    assert_eq!(request.method(), Some(sip_message::Method::Bye));
    world.respond(raw, bye, &request, 200, |builder| builder);
    assert!(world.sent().contains(&"1>2 ACK".to_owned()));
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.3.4
//= type=test
//# Upon receipt of a redirection response (for example, a 301 response
//# status code), clients SHOULD use the URI(s) in the Contact header field
//# to formulate one or more new requests based on the redirected request.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.3.4
//= type=test
//# As with proxy recursion, a client processing 3xx class responses MUST
//# NOT add any given URI to the target set more than once.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.3.4
//= type=test
//# When a failure for a particular contact address is received, the client
//# SHOULD try the next contact address.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.3.4
//= type=test
//# In order to create a request based on a contact address in a 3xx
//# response, a UAC MUST copy the entire URI from the target set into the
//# Request-URI, except for the "method-param" and "header" URI parameters
//# (see Section 19.1.1 for a definition of these parameters).
#[test]
fn redirections_are_followed_best_first_and_never_twice() {
    let mut world = World::new(5);
    let alice = world.phone_with(1, |config| config.redirect = sip_dialog::Redirect::Follow(5));
    let (raw, bob) = (world.raw(2), world.phone(3));
    let ours = world.call(alice, 1, 2);
    let (tx, invite) = world.request_at(raw);
    world.respond(raw, tx, &invite, 302, |builder| {
        builder
            .header(Header::Contact, "<sip:last@192.0.2.3;method=INVITE?Subject=x>;q=0.1")
            .header(Header::Contact, "<sip:first@192.0.2.2>;q=0.9, <sip:first@192.0.2.2>")
    });
    let targets = world.until_call(alice, ours, |event| match event {
        CallEvent::Redirected { targets, .. } => Some(targets.clone()),
        _ => None,
    });
    assert_eq!(targets.len(), 3);
    let (tx, again) = world.request_at(raw);
    assert_eq!(again.request_uri_bytes(), Some(&b"sip:first@192.0.2.2"[..]));
    assert_eq!(again.call_id().unwrap(), invite.call_id().unwrap());
    assert_eq!(again.cseq().unwrap().number, invite.cseq().unwrap().number + 1);
    world.respond(raw, tx, &again, 486, |builder| builder);
    let theirs = world.incoming(bob);
    assert_eq!(world.last("INVITE").request_uri_bytes(), Some(&b"sip:last@192.0.2.3"[..]));
    world.accept(bob, theirs).unwrap();
    world.until_confirmed(bob, theirs);
    world.hang_up(alice, ours);
    assert_eq!(world.end_of(bob, theirs), EndCause::PeerHungUp);
    world.finish();
}

#[test]
fn a_redirection_is_reported_if_it_is_not_followed() {
    let mut world = World::new(6);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let ours = world.call(alice, 1, 2);
    let theirs = world.incoming(bob);
    let elsewhere = sip_dialog::Reply::new().header("Contact", "<sip:elsewhere@192.0.2.9>");
    world.tell(bob, |core, ep, now| core.reject(ep, now, theirs, status(302), elsewhere)).unwrap();
    assert_eq!(world.end_of(alice, ours), EndCause::PeerRedirected);
    assert_eq!(world.end_of(bob, theirs), EndCause::Redirected);
    world.finish();
}
