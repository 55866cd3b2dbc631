//! One INVITE, several answers: early dialogs of several branches, the winner and the losers.

use crate::common::*;
use sip_dialog::{CallEvent, CommandError, EndCause, Event};
use sip_message::{Header, Message, Method};
use sip_transaction::ServerTxId;

/// A response of one branch of a fork.
pub(super) fn branch(
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
        assert_eq!(request.method(), Some(Method::Bye));
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
    branch(&mut world, raw, tx, &invite, 200, "t20", ANSWER);
    world.until_confirmed(alice, ours);
    let (early, tag, target) = world.tell(alice, |core, _, _| {
        let dialog = core.dialog(core.call(ours).unwrap().dialog.unwrap()).unwrap();
        (dialog.is_early(), dialog.remote_tag().to_owned(), dialog.remote_target().to_owned())
    });
    assert_eq!((early, tag.as_str(), target.as_str()), (false, "t20", "sip:t20@192.0.2.2"));
    world.hang_up(alice, ours);
    let (bye, request) = world.request_at(raw);
    let (bye, request) = if request.method() == Some(Method::Bye) { (bye, request) } else { world.request_at(raw) };
    world.respond(raw, bye, &request, 200, |builder| builder);
    world.finish();
}

/// The 2xx that cannot be used has had its ACK, and the BYE that follows is answered.
fn is_ended_in_order(mut world: World, raw: sim::NodeId) {
    let (bye, request) = world.request_at(raw);
    assert_eq!(request.method(), Some(Method::Bye));
    world.respond(raw, bye, &request, 200, |builder| builder);
    assert!(world.sent().contains(&"1>2 ACK".to_owned()));
    world.finish();
}

#[test]
fn a_200_without_a_contact_that_can_be_used_ends_the_call_in_order() {
    for (seed, contact) in (4..).zip([None, Some("*")]) {
        let mut world = World::new(seed);
        let (alice, raw) = (world.phone(1), world.raw(2));
        let ours = world.call(alice, 1, 2);
        let (tx, invite) = world.request_at(raw);
        world.respond(raw, tx, &invite, 200, |builder| match contact {
            Some(contact) => builder.header(Header::Contact, contact),
            None => builder,
        });
        assert_eq!(world.end_of(alice, ours), EndCause::Malformed);
        is_ended_in_order(world, raw);
    }
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
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.3.4
//= type=test
//# A client starts with an initial target set containing exactly one URI, the
//# Request-URI of the original request.
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
            .header(Header::Contact, "<SIP:first@192.0.2.2>;q=0.9, <sip:first@192.0.2.2>")
            // Where it comes from.
            .header(Header::Contact, "<sip:2@192.0.2.2>")
    });
    let targets = world.until_call(alice, ours, |event| match event {
        CallEvent::Redirected { targets, .. } => Some(targets.clone()),
        _ => None,
    });
    assert_eq!(targets.len(), 4);
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

//= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.3.4
//= type=test
//# It uses the "header" parameters to create header field values for the
//# new request, overwriting header field values associated with the
//# redirected request in accordance with the guidelines in Section 19.1.5.
#[test]
fn a_redirection_may_bring_header_fields_for_its_own_target_alone() {
    let mut world = World::new(16);
    let alice = world.phone_with(1, |config| config.redirect = sip_dialog::Redirect::Follow(5));
    let raw = world.raw(2);
    let ours = world.invite(alice, invite(1, 2).header("Subject", "lunch").require_reliable());
    let (tx, first) = world.request_at(raw);
    world.respond(raw, tx, &first, 302, |builder| {
        builder
            .header(Header::Contact, "<sip:a@192.0.2.2?Subject=dinner&Replaces=x%3Bto-tag%3D1%3Bfrom-tag%3D2>;q=0.9")
            .header(Header::Contact, "<sip:b@192.0.2.2?From=%3Csip%3Aeve%40x%3E&Require=replaces>;q=0.5")
            .header(Header::Contact, "<sip:c@192.0.2.2>;q=0.1")
    });
    let mut seen = Vec::new();
    for _ in 0..3 {
        let (tx, again) = world.request_at(raw);
        let text = |name: &str| again.field(name).map(|value| String::from_utf8(value.to_vec()).unwrap());
        assert_eq!(text("From"), first.field("From").map(|value| String::from_utf8(value.to_vec()).unwrap()));
        seen.push([text("Subject"), text("Replaces"), text("Require")].map(Option::unwrap_or_default).join("|"));
        world.respond(raw, tx, &again, 486, |builder| builder);
    }
    assert_eq!(seen, ["dinner|x;to-tag=1;from-tag=2|100rel", "lunch||100rel, replaces", "lunch||100rel"]);
    assert_eq!(world.end_of(alice, ours), EndCause::PeerRejected(status(486)));
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

fn progress(world: &mut World, alice: sim::NodeId, call: sip_dialog::CallHandle) -> sip_dialog::DialogId {
    world.until_call(alice, call, |event| match event {
        CallEvent::Progress { dialog, .. } => *dialog,
        _ => None,
    })
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-15
//= type=test
//# The caller's UA MAY send a BYE for either confirmed or early dialogs,
//# and the callee's UA MAY send a BYE on confirmed dialogs, but MUST NOT
//# send a BYE on early dialogs.
#[test]
fn a_caller_may_hang_up_on_one_of_several_that_ring() {
    let mut world = World::new(20);
    let (alice, raw) = (world.phone(1), world.raw(2));
    let ours = world.call(alice, 1, 2);
    let (tx, invite) = world.request_at(raw);
    branch(&mut world, raw, tx, &invite, 180, "one", b"");
    let one = progress(&mut world, alice, ours);
    branch(&mut world, raw, tx, &invite, 180, "two", b"");
    let two = progress(&mut world, alice, ours);
    let reason = Some("SIP;cause=600");
    world.tell(alice, |core, ep, now| core.hang_up_early(ep, now, ours, one, reason)).unwrap();
    let again = world.tell(alice, |core, ep, now| core.hang_up_early(ep, now, ours, one, None));
    assert_eq!(again, Err(CommandError::WrongState));
    let (bye, request) = world.request_at(raw);
    assert_eq!((request.method(), request.to().unwrap().tag().unwrap()), (Some(Method::Bye), Some("one")));
    assert_eq!(request.field(Header::Reason), Some(&b"SIP;cause=600"[..]));
    // What comes of it late changes nothing; the other one goes on and wins.
    branch(&mut world, raw, tx, &invite, 183, "one", ANSWER);
    world.respond(raw, bye, &request, 200, |builder| builder);
    branch(&mut world, raw, tx, &invite, 200, "two", ANSWER);
    let winner = world.until_call(alice, ours, |event| match event {
        CallEvent::Progress { .. } => panic!("nobody listens to it any more"),
        CallEvent::Accepted { dialog, .. } => Some(*dialog),
        _ => None,
    });
    assert_eq!(winner, two);
    world.hang_up(alice, ours);
    let (bye, request) = world.request_at(raw);
    world.respond(raw, bye, &request, 200, |builder| builder);
    world.finish();
}

/// Between user agents: the callee ends with the BYE, and its 487 ends the call of the caller.
#[test]
fn a_bye_on_the_only_early_dialog_ends_the_call() {
    let mut world = World::new(21);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let ours = world.call(alice, 1, 2);
    let theirs = world.incoming(bob);
    world.tell(bob, |core, ep, now| core.progress(ep, now, theirs, sip_dialog::Progress::ringing())).unwrap();
    let dialog = progress(&mut world, alice, ours);
    world.tell(alice, |core, ep, now| core.hang_up_early(ep, now, ours, dialog, None)).unwrap();
    assert_eq!(world.end_of(bob, theirs), EndCause::PeerHungUp);
    assert_eq!(world.end_of(alice, ours), EndCause::PeerRejected(status(487)));
    assert_eq!(world.sent(), ["1>2 INVITE", "2>1 180", "1>2 BYE", "2>1 200", "2>1 487", "1>2 ACK"]);
    world.finish();
}

#[test]
fn one_that_accepts_though_it_was_hung_up_on_gets_ack_and_bye() {
    let mut world = World::new(22);
    let (alice, raw) = (world.phone(1), world.raw(2));
    let ours = world.call(alice, 1, 2);
    let (tx, invite) = world.request_at(raw);
    branch(&mut world, raw, tx, &invite, 180, "one", b"");
    let one = progress(&mut world, alice, ours);
    world.tell(alice, |core, ep, now| core.hang_up_early(ep, now, ours, one, None)).unwrap();
    let (early, request) = world.request_at(raw);
    branch(&mut world, raw, tx, &invite, 200, "one", ANSWER);
    let (late, second) = world.request_at(raw);
    assert_eq!(second.method(), Some(Method::Bye));
    assert_eq!(second.cseq().unwrap().number, request.cseq().unwrap().number + 1);
    assert!(world.sent().contains(&"1>2 ACK".to_owned()));
    world.respond(raw, early, &request, 481, |builder| builder);
    world.respond(raw, late, &second, 200, |builder| builder);
    assert_eq!(world.end_of(alice, ours), EndCause::Cancelled);
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc6228#section-4
//= type=test
//# If a UAC receives an unreliably sent 199 response on a dialog that has
//# not previously been established (this can happen if a 199 response
//# reaches the client before the 18x response that would establish the
//# early dialog) it SHALL discard the 199 response.
//= https://www.rfc-editor.org/rfc/rfc6228#section-4
//= type=test
//# If a UAC receives a reliably sent 199 response on a dialog that has not
//# previously been created, it MUST acknowledge the 199 response, as
//# described in RFC 3262 [RFC3262].
//= https://www.rfc-editor.org/rfc/rfc6228#section-7
//= type=test
//# A UAC that receives a 199 response for an early dialog MUST NOT send any
//# further requests on that dialog, except for requests that acknowledge
//# reliable responses.
#[test]
fn a_199_is_dropped_unless_its_dialog_is_known_and_acknowledged_if_it_is_reliable() {
    let mut world = World::new(23);
    let (alice, raw) = (world.phone(1), world.raw(2));
    let ours = world.call(alice, 1, 2);
    let (tx, invite) = world.request_at(raw);
    branch(&mut world, raw, tx, &invite, 199, "stranger", b"");
    let reliable = Message::response(&invite, status(199))
        .to_tag("reliable")
        .header(Header::Contact, "<sip:2@192.0.2.2>")
        .header(Header::Require, "100rel")
        .header(Header::RSeq, 7)
        .build()
        .unwrap();
    let now = world.now();
    world.net.host(raw).endpoint_mut().respond(now, tx, reliable).unwrap();
    let (prack, request) = world.request_at(raw);
    assert_eq!((request.method(), request.to().unwrap().tag().unwrap()), (Some(Method::Prack), Some("reliable")));
    world.respond(raw, prack, &request, 200, |builder| builder);
    branch(&mut world, raw, tx, &invite, 486, "end", b"");
    world.until_call(alice, ours, |event| match event {
        CallEvent::Ended { cause, .. } => Some(assert_eq!(*cause, EndCause::PeerRejected(status(486)))),
        other => panic!("nothing else was to be told: {other:?}"),
    });
    assert_eq!(world.sent().iter().filter(|what| what.starts_with("1>2")).count(), 3, "{}", world.ladder());
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.2.3
//= type=test
//# Subsequent final responses (which would only arrive under error
//# conditions) MUST be ignored.
#[test]
fn what_comes_after_a_final_response_that_refused_is_ignored() {
    let mut world = World::new(24);
    let (alice, raw) = (world.phone(1), world.raw(2));
    let ours = world.call(alice, 1, 2);
    let (tx, invite) = world.request_at(raw);
    branch(&mut world, raw, tx, &invite, 486, "one", b"");
    assert_eq!(world.end_of(alice, ours), EndCause::PeerRejected(status(486)));
    world.run_for(std::time::Duration::from_secs(1));
    // Past the transaction, which would not let these out.
    let (sent, events) = (world.sent().len(), world.log.len());
    let (flow, now) = (world.flow_of(alice), world.now());
    for code in [200, 404] {
        let response = Message::response(&invite, status(code))
            .to_tag("two")
            .header(Header::Contact, "<sip:2@192.0.2.2>")
            .build()
            .unwrap();
        let bytes = response.to_bytes();
        let input = sip_transaction::Input::Datagram { flow, remote: "192.0.2.2:5060".parse().unwrap(), bytes: &bytes };
        let _ = world.net.host(alice).agent().handle_input(now, input);
    }
    world.run_for(std::time::Duration::from_secs(1));
    let more: Vec<_> = world.sent()[sent..].iter().filter(|what| !what.ends_with("ACK")).cloned().collect();
    assert_eq!((more, world.log.len()), (Vec::<String>::new(), events), "{}", world.ladder());
    world.finish();
}

#[test]
fn a_200_whose_routes_are_malformed_ends_the_call_in_order() {
    let mut world = World::new(5);
    let (alice, raw) = (world.phone(1), world.raw(2));
    let ours = world.call(alice, 1, 2);
    let (_, invite) = world.request_at(raw);
    let response = Message::response(&invite, status(200))
        .to_tag("raw")
        .header(Header::Contact, "<sip:2@192.0.2.2>")
        .header("X-Record-Rout", "<sip:x")
        .build()
        .unwrap();
    // No builder writes such a thing.
    let bytes = String::from_utf8(response.to_bytes().to_vec()).unwrap().replace("X-Record-Rout", "Record-Route");
    let (flow, now) = (world.flow_of(alice), world.now());
    let remote = "192.0.2.2:5060".parse().unwrap();
    let input = sip_transaction::Input::Datagram { flow, remote, bytes: bytes.as_bytes() };
    world.net.host(alice).agent().handle_input(now, input).unwrap();
    assert_eq!(world.end_of(alice, ours), EndCause::Malformed);
    is_ended_in_order(world, raw);
}

/// A 183 of a branch, sent reliably, with its number in the row and what it carries.
fn reliable(
    world: &mut World,
    raw: sim::NodeId,
    tx: ServerTxId,
    request: &Message,
    tag: &str,
    rseq: u32,
    body: &'static [u8],
) {
    let mut builder = Message::response(request, status(183))
        .to_tag(tag)
        .header(Header::Contact, format!("<sip:{tag}@192.0.2.2>"))
        .header(Header::Allow, "INVITE, ACK, BYE, UPDATE, PRACK")
        .header(Header::Require, "100rel")
        .header(Header::RSeq, rseq);
    if !body.is_empty() {
        builder = builder.body("application/sdp", body);
    }
    let now = world.now();
    world.net.host(raw).endpoint_mut().respond(now, tx, builder.build().unwrap()).unwrap();
}

#[test]
fn an_unreliable_response_leaves_the_prack_that_waits_to_the_host() {
    let mut world = World::new(90);
    let (alice, raw) = (world.phone(1), world.raw(2));
    let ours = world.invite(alice, invite(1, 2).body(offer()).prack_by_host());
    let (tx, request) = world.request_at(raw);
    reliable(&mut world, raw, tx, &request, "one", 1, ANSWER);
    let one = progress(&mut world, alice, ours);
    branch(&mut world, raw, tx, &request, 180, "one", b"");
    assert_eq!(progress(&mut world, alice, ours), one);
    let done = world.tell(alice, |core, ep, now| core.prack(ep, now, ours, one, None));
    assert_eq!(done, Ok(()));
    assert_eq!(
        world.request_at(raw).1.field(Header::RAck),
        Some(format!("1 {} INVITE", request.cseq().unwrap().number).as_bytes())
    );
}

#[test]
fn a_prack_beside_an_update_names_the_invite() {
    let mut world = World::new(91);
    let (alice, raw) = (world.phone(1), world.raw(2));
    let ours = world.invite(alice, invite(1, 2).body(offer()).prack_by_host());
    let (tx, request) = world.request_at(raw);
    reliable(&mut world, raw, tx, &request, "one", 1, ANSWER);
    let one = progress(&mut world, alice, ours);
    world.tell(alice, |core, ep, now| core.prack(ep, now, ours, one, None)).unwrap();
    let (p, prack) = world.request_at(raw);
    world.respond(raw, p, &prack, 200, |builder| builder);
    world
        .tell(alice, |core, ep, now| core.update(ep, now, ours, Some(offer()), sip_dialog::ExtraHeaders::new()))
        .unwrap();
    let (_u, _update) = world.request_at(raw);
    reliable(&mut world, raw, tx, &request, "one", 2, b"");
    progress(&mut world, alice, ours);
    world.tell(alice, |core, ep, now| core.prack(ep, now, ours, one, None)).unwrap();
    let (_p, prack) = world.request_at(raw);
    let cseq = request.cseq().unwrap().number;
    assert_eq!(
        prack.field(Header::RAck).map(|v| String::from_utf8_lossy(v).into_owned()),
        Some(format!("2 {cseq} INVITE"))
    );
}

#[test]
fn a_fork_that_is_hung_up_on_ends_no_call_for_want_of_its_prack() {
    let mut world = World::new(92);
    let (alice, raw) = (world.phone(1), world.raw(2));
    let ours = world.invite(alice, invite(1, 2).body(offer()).prack_by_host());
    let (tx, request) = world.request_at(raw);
    reliable(&mut world, raw, tx, &request, "one", 1, ANSWER);
    let one = progress(&mut world, alice, ours);
    branch(&mut world, raw, tx, &request, 180, "two", b"");
    progress(&mut world, alice, ours);
    world.tell(alice, |core, ep, now| core.hang_up_early(ep, now, ours, one, None)).unwrap();
    let (b, bye) = world.request_at(raw);
    world.respond(raw, b, &bye, 200, |builder| builder);
    world.run_for(std::time::Duration::from_secs(60));
    assert!(!world.sent().contains(&"1>2 CANCEL".to_owned()), "{:?}", world.sent());
}

#[test]
fn a_fork_that_accepts_after_its_bye_is_answered_gets_ack_and_bye() {
    let mut world = World::new(93);
    let (alice, raw) = (world.phone(1), world.raw(2));
    let ours = world.call(alice, 1, 2);
    let (tx, request) = world.request_at(raw);
    branch(&mut world, raw, tx, &request, 180, "one", b"");
    let one = progress(&mut world, alice, ours);
    world.tell(alice, |core, ep, now| core.hang_up_early(ep, now, ours, one, None)).unwrap();
    let (b, bye) = world.request_at(raw);
    world.respond(raw, b, &bye, 200, |builder| builder);
    world.run_for(std::time::Duration::from_secs(1));
    let known = world.log.len();
    branch(&mut world, raw, tx, &request, 180, "one", b"");
    world.run_for(std::time::Duration::from_millis(100));
    assert_eq!(world.log.len(), known, "it does not come back");
    branch(&mut world, raw, tx, &request, 200, "one", ANSWER);
    let (b, again) = world.request_at(raw);
    assert_eq!(again.method(), Some(Method::Bye));
    assert!(again.cseq().unwrap().number > request.cseq().unwrap().number);
    world.respond(raw, b, &again, 200, |builder| builder);
    assert_eq!(world.end_of(alice, ours), EndCause::Cancelled);
    assert_eq!(world.sent().iter().filter(|sent| *sent == "1>2 ACK").count(), 1, "{}", world.ladder());
    world.finish();
}

#[test]
fn a_refused_reinvite_leaves_nothing_that_waits_for_its_prack() {
    let mut world = World::new(94);
    let (alice, raw) = (world.phone(1), world.raw(2));
    let ours = world.call(alice, 1, 2);
    let (tx, request) = world.request_at(raw);
    branch(&mut world, raw, tx, &request, 200, "one", ANSWER);
    world.until_call(alice, ours, |event| matches!(event, CallEvent::Confirmed { .. }).then_some(()));
    world.tell(alice, |core, ep, now| core.reinvite(ep, now, ours, None, sip_dialog::ExtraHeaders::new())).unwrap();
    let (tx, request) = world.request_at(raw);
    reliable(&mut world, raw, tx, &request, "one", 1, OFFER);
    progress(&mut world, alice, ours);
    branch(&mut world, raw, tx, &request, 488, "one", b"");
    world.until_call(alice, ours, |event| matches!(event, CallEvent::ChangeFailed { .. }).then_some(()));
    world
        .tell(alice, |core, ep, now| core.reinvite(ep, now, ours, Some(offer()), sip_dialog::ExtraHeaders::new()))
        .unwrap();
    let (tx, request) = world.request_at(raw);
    reliable(&mut world, raw, tx, &request, "one", 7, ANSWER);
    world.run_for(std::time::Duration::from_secs(2));
    assert!(world.sent().contains(&"1>2 PRACK".to_owned()), "{:?}", world.sent());
}

#[test]
fn each_fork_that_the_host_leaves_alone_gets_its_prack() {
    let mut world = World::new(95);
    let (alice, raw) = (world.phone(1), world.raw(2));
    let ours = world.invite(alice, invite(1, 2).body(offer()).prack_by_host());
    let (tx, request) = world.request_at(raw);
    reliable(&mut world, raw, tx, &request, "one", 1, ANSWER);
    let one = progress(&mut world, alice, ours);
    reliable(&mut world, raw, tx, &request, "two", 1, ANSWER);
    progress(&mut world, alice, ours);
    world.tell(alice, |core, ep, now| core.prack(ep, now, ours, one, None)).unwrap();
    let (p, prack) = world.request_at(raw);
    world.respond(raw, p, &prack, 200, |builder| builder);
    let (p, prack) = world.request_at(raw);
    assert_eq!(prack.to().unwrap().tag(), Ok(Some("two")));
    world.respond(raw, p, &prack, 200, |builder| builder);
    world.run_for(std::time::Duration::from_secs(60));
    assert_eq!(world.sent().iter().filter(|sent| *sent == "1>2 PRACK").count(), 2, "{}", world.ladder());
}

#[test]
fn an_update_that_the_host_leaves_alone_is_504_and_the_call_rings_on() {
    let mut world = World::new(96);
    let (alice, raw) = (world.phone(1), world.raw(2));
    let ours = world.invite(alice, invite(1, 2).body(offer()).prack_by_host());
    let (tx, request) = world.request_at(raw);
    for tag in ["one", "two"] {
        reliable(&mut world, raw, tx, &request, tag, 1, ANSWER);
        let dialog = progress(&mut world, alice, ours);
        world.tell(alice, |core, ep, now| core.prack(ep, now, ours, dialog, None)).unwrap();
        let (p, prack) = world.request_at(raw);
        world.respond(raw, p, &prack, 200, |builder| builder);
    }
    update(&mut world, raw, &request, "two", 1);
    world.until_call(alice, ours, |event| matches!(event, CallEvent::Offer { .. }).then_some(()));
    world.run_for(std::time::Duration::from_secs(60));
    let sent = world.sent();
    assert!(sent.contains(&"1>2 504".to_owned()) && !sent.contains(&"1>2 CANCEL".to_owned()), "{}", world.ladder());
    // The answer of the host goes to the fork that asked.
    update(&mut world, raw, &request, "two", 2);
    world.until_call(alice, ours, |event| matches!(event, CallEvent::Offer { .. }).then_some(()));
    let body = sip_dialog::Body::sdp(ANSWER);
    world.tell(alice, |core, ep, now| core.answer(ep, now, ours, body)).unwrap();
    world.run_for(std::time::Duration::from_millis(100));
    assert_eq!(world.last("200").body(), ANSWER);
}

/// An offer of a branch in an UPDATE.
fn update(world: &mut World, raw: sim::NodeId, invite: &Message, tag: &str, cseq: u32) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let to = text(invite.field(Header::To).unwrap());
    let update = Message::request(Method::Update, "sip:1@192.0.2.1")
        .header(Header::MaxForwards, 70)
        .header(Header::From, format!("{to};tag={tag}"))
        .header(Header::To, text(invite.field(Header::From).unwrap()))
        .header(Header::CallId, text(invite.field(Header::CallId).unwrap()))
        .header(Header::CSeq, format!("{cseq} UPDATE"))
        .header(Header::Contact, format!("<sip:{tag}@192.0.2.2>"))
        .body("application/sdp", OFFER);
    world.send(raw, update.build().unwrap());
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.2.3
//= type=test
//# All early dialogs are considered terminated upon reception of the non-
//# 2xx final response.
#[test]
fn early_dialogs_end_with_the_invite_that_is_sent_again_with_credentials() {
    let mut world = World::new(30);
    let (alice, raw) = (world.phone(1), world.raw(2));
    let ours = world.call(alice, 1, 2);
    let (tx, invite) = world.request_at(raw);
    branch(&mut world, raw, tx, &invite, 180, "one", b"");
    let first = world
        .until_call(alice, ours, |event| match event {
            CallEvent::Progress { dialog, .. } => Some(*dialog),
            _ => None,
        })
        .unwrap();
    world.respond(raw, tx, &invite, 407, |builder| {
        builder.header(Header::ProxyAuthenticate, "Digest realm=\"atlanta\", nonce=\"n\", qop=\"auth\"")
    });
    world.until(alice, |event| matches!(event, Event::Challenged { .. }).then_some(()));
    // Also while a person is asked.
    assert!(world.tell(alice, |core, _, _| core.dialog(first).is_none()));
    let owner = sip_dialog::Owner::Call(ours);
    world.tell(alice, |core, ep, now| core.authenticate(ep, now, owner, Some(password("atlanta")))).unwrap();
    let (tx, invite) = world.request_at(raw);
    branch(&mut world, raw, tx, &invite, 200, "two", ANSWER);
    world.until_confirmed(alice, ours);
    world.hang_up(alice, ours);
    let (tx, bye) = world.request_at(raw);
    world.respond(raw, tx, &bye, 200, |builder| builder);
    world.finish();
}

/// What waits for credentials in an early dialog keeps nobody from giving the call up.
#[test]
fn an_update_that_waits_for_credentials_does_not_keep_the_invite_from_its_cancel() {
    let mut world = World::new(33);
    let (alice, raw) = (world.phone(1), world.raw(2));
    let ours = world.call(alice, 1, 2);
    let (tx, invite) = world.request_at(raw);
    world.respond(raw, tx, &invite, 180, |builder| {
        builder.to_tag("one").header(Header::Contact, "<sip:2@192.0.2.2>").header(Header::Allow, "INVITE, UPDATE")
    });
    world.until_call(alice, ours, |event| matches!(event, CallEvent::Progress { .. }).then_some(()));
    world.tell(alice, |core, ep, now| core.update(ep, now, ours, None, sip_dialog::ExtraHeaders::new())).unwrap();
    let (update, request) = world.request_at(raw);
    world.respond(raw, update, &request, 407, |builder| {
        builder.header(Header::ProxyAuthenticate, "Digest realm=\"atlanta\", nonce=\"n\", qop=\"auth\"")
    });
    let owner = world.until(alice, |event| match event {
        Event::Challenged { owner, .. } => Some(*owner),
        _ => None,
    });
    world.hang_up(alice, ours);
    settle(&mut world);
    assert!(world.sent().contains(&"1>2 CANCEL".to_owned()), "{}", world.ladder());
    // The UPDATE is not said any more.
    let late = world.tell(alice, |core, ep, now| core.authenticate(ep, now, owner, Some(password("atlanta"))));
    assert_eq!(late, Err(CommandError::Unknown));
    world.respond(raw, tx, &invite, 487, |builder| builder);
    assert_eq!(world.end_of(alice, ours), EndCause::Cancelled);
    world.finish();
}

/// The place of what waits for credentials in an early dialog is free when that dialog is over.
#[test]
fn an_update_that_waits_for_credentials_goes_with_its_early_dialog() {
    let mut world = World::new(34);
    let (alice, raw) = (world.phone(1), world.raw(2));
    let ours = world.call(alice, 1, 2);
    let (tx, invite) = world.request_at(raw);
    world.respond(raw, tx, &invite, 180, |builder| {
        builder.to_tag("one").header(Header::Contact, "<sip:2@192.0.2.2>").header(Header::Allow, "INVITE, UPDATE")
    });
    world.until_call(alice, ours, |event| matches!(event, CallEvent::Progress { .. }).then_some(()));
    world.tell(alice, |core, ep, now| core.update(ep, now, ours, None, sip_dialog::ExtraHeaders::new())).unwrap();
    let (update, request) = world.request_at(raw);
    world.respond(raw, update, &request, 407, |builder| {
        builder.header(Header::ProxyAuthenticate, "Digest realm=\"atlanta\", nonce=\"n\", qop=\"auth\"")
    });
    let owner = world.until(alice, |event| match event {
        Event::Challenged { owner, .. } => Some(*owner),
        _ => None,
    });
    branch(&mut world, raw, tx, &invite, 200, "two", ANSWER);
    let failed = world.until_call(alice, ours, |event| match event {
        CallEvent::ChangeFailed { status, .. } => Some(*status),
        _ => None,
    });
    assert_eq!(failed, status(481));
    world.until_confirmed(alice, ours);
    let late = world.tell(alice, |core, ep, now| core.authenticate(ep, now, owner, None));
    assert_eq!(late, Err(CommandError::Unknown));
    world.hang_up(alice, ours);
    let (tx, bye) = world.request_at(raw);
    world.respond(raw, tx, &bye, 200, |builder| builder);
    world.finish();
}

#[test]
fn a_change_on_an_early_dialog_that_goes_away_has_failed_and_makes_room_for_others() {
    let mut world = World::new(31);
    let (alice, raw) = (world.phone(1), world.raw(2));
    let ours = world.call(alice, 1, 2);
    let (tx, invite) = world.request_at(raw);
    world.respond(raw, tx, &invite, 180, |builder| {
        builder.to_tag("one").header(Header::Contact, "<sip:2@192.0.2.2>").header(Header::Allow, "INVITE, UPDATE")
    });
    world.until_call(alice, ours, |event| matches!(event, CallEvent::Progress { .. }).then_some(()));
    world.tell(alice, |core, ep, now| core.update(ep, now, ours, None, sip_dialog::ExtraHeaders::new())).unwrap();
    let (update, request) = world.request_at(raw);
    assert_eq!(request.method(), Some(Method::Update));
    branch(&mut world, raw, tx, &invite, 200, "two", ANSWER);
    let failed = world.until_call(alice, ours, |event| match event {
        CallEvent::ChangeFailed { status, .. } => Some(*status),
        _ => None,
    });
    assert_eq!(failed, status(481));
    world.until_confirmed(alice, ours);
    // The answer to it comes while another change is under way, whose it is not.
    world
        .tell(alice, |core, ep, now| core.reinvite(ep, now, ours, Some(offer()), sip_dialog::ExtraHeaders::new()))
        .unwrap();
    world.respond(raw, update, &request, 200, |builder| builder);
    let (tx, request) = world.request_at(raw);
    let reinvite = |world: &mut World| {
        world.tell(alice, |core, ep, now| core.reinvite(ep, now, ours, None, sip_dialog::ExtraHeaders::new()))
    };
    let later = reinvite(&mut world);
    assert_eq!(later, Err(CommandError::Pending));
    world.respond(raw, tx, &request, 200, |builder| {
        builder.header(Header::Contact, "<sip:2@192.0.2.2>").body("application/sdp", ANSWER)
    });
    let session = world.until_call(alice, ours, |event| match event {
        CallEvent::Answered { session, .. } => Some(*session),
        _ => None,
    });
    assert_eq!(session, Some(sip_dialog::Meaning::Answer));
    assert_eq!(reinvite(&mut world), Ok(()));
}

/// A request that came to `raw`: what it was, the branch it went to, and its body.
fn came(world: &mut World, raw: sim::NodeId, code: u16) -> (String, String, Vec<u8>) {
    let (tx, request) = world.request_at(raw);
    let found =
        (request.method().unwrap().as_str().to_owned(), request.to().unwrap().tag().unwrap().unwrap().to_owned());
    world.respond(raw, tx, &request, code, |builder| match request.method() {
        Some(Method::Update) => {
            let builder = builder.header(Header::Contact, format!("<sip:{}@192.0.2.2>", found.1));
            if code == 200 && !request.body().is_empty() { builder.body("application/sdp", ANSWER) } else { builder }
        }
        _ => builder,
    });
    (found.0, found.1, request.body().to_vec())
}

//= https://www.rfc-editor.org/rfc/rfc6086#section-4.2.1
//= type=test
//# In addition, the UA MUST be prepared to receive different Recv-Info
//# header field values from different remote UAs.
//= https://www.rfc-editor.org/rfc/rfc6086#section-4.2.1
//= type=test
//# When a UA sends an INFO request associated with an Info Package, it MUST
//# include an Info-Package header field that indicates which Info Package
//# is associated with the request.
#[test]
fn one_of_several_early_dialogs_may_be_chosen_for_update_and_info() {
    let mut world = World::new(40);
    let (alice, raw) = (world.phone(1), world.raw(2));
    let ours = world.call(alice, 1, 2);
    let (tx, invite) = world.request_at(raw);
    let mut dialogs = Vec::new();
    for (n, tag, packages) in [(1, "one", "conference"), (2, "two", "nil, weather")] {
        let response = Message::response(&invite, status(183))
            .to_tag(tag)
            .header(Header::Contact, format!("<sip:{tag}@192.0.2.2>"))
            .header(Header::Allow, "INVITE, ACK, BYE, CANCEL, UPDATE, INFO")
            .header(Header::Require, "100rel")
            .header(Header::RecvInfo, packages)
            .header(Header::RSeq, n)
            .body("application/sdp", ANSWER);
        let now = world.now();
        world.net.host(raw).endpoint_mut().respond(now, tx, response.build().unwrap()).unwrap();
        dialogs.push(progress(&mut world, alice, ours));
        assert_eq!(came(&mut world, raw, 200).0, "PRACK");
    }
    let none = sip_dialog::ExtraHeaders::new;
    let unclear = world.tell(alice, |core, ep, now| core.update(ep, now, ours, Some(offer()), none()));
    assert_eq!(unclear, Err(CommandError::WrongState), "which one?");
    for (n, tag) in [(1, "two"), (0, "one")] {
        let dialog = dialogs[n];
        world.tell(alice, |core, ep, now| core.update_early(ep, now, ours, dialog, Some(offer()), none())).unwrap();
        let second = world.tell(alice, |core, ep, now| core.update_early(ep, now, ours, dialog, None, none()));
        assert_eq!(second, Err(CommandError::Pending));
        assert_eq!(came(&mut world, raw, 200), ("UPDATE".into(), tag.into(), OFFER.to_vec()));
        world.until_call(alice, ours, |event| matches!(event, CallEvent::Answered { .. }).then_some(()));
    }
    let text = || sip_dialog::Body::new("text/plain", "rain");
    let other = dialogs[0];
    let refused = world.tell(alice, |core, ep, now| core.info_early(ep, now, ours, other, Some("weather"), text()));
    assert_eq!(refused, Err(CommandError::NotSupported), "that one has not listed it");
    let dialog = dialogs[1];
    world.tell(alice, |core, ep, now| core.info_early(ep, now, ours, dialog, Some("weather"), text())).unwrap();
    assert_eq!(came(&mut world, raw, 200), ("INFO".into(), "two".into(), b"rain".to_vec()));
    assert_eq!(world.last("INFO").field(Header::InfoPackage), Some(&b"weather"[..]));
    let message = Some(text());
    world
        .tell(alice, |core, ep, now| core.request_early(ep, now, ours, dialog, Method::Message, message, none()))
        .unwrap();
    assert_eq!(came(&mut world, raw, 200).1, "two");
    // One of another call, or none any more, is no choice.
    branch(&mut world, raw, tx, &invite, 199, "two", b"");
    world.until_call(alice, ours, |event| matches!(event, CallEvent::ForkEnded { .. }).then_some(()));
    let gone = world.tell(alice, |core, ep, now| core.update_early(ep, now, ours, dialog, None, none()));
    assert_eq!(gone, Err(CommandError::WrongState));
    let gone = world.tell(alice, |core, ep, now| core.info_early(ep, now, ours, dialog, None, text()));
    assert_eq!(gone, Err(CommandError::WrongState));
    branch(&mut world, raw, tx, &invite, 486, "one", b"");
    assert_eq!(world.end_of(alice, ours), EndCause::PeerRejected(status(486)));
    world.finish();
}
