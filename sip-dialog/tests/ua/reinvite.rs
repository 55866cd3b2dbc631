//! Where the peer is to be found when a re-INVITE has moved it, and not all has gone well (RFC 6141).

use super::forks::branch;
use crate::common::*;
use sip_dialog::{CallEvent, CallHandle, EndCause, ExtraHeaders, Reply};
use sip_message::{Header, Message, Method};
use sip_transaction::{ClientTxId, ServerTxId};

/// Where the requests of a call go.
fn target(world: &mut World, node: sim::NodeId, call: CallHandle) -> String {
    world
        .tell(node, |core, _, _| core.dialog(core.call(call)?.dialog?).map(|dialog| dialog.remote_target().to_owned()))
        .unwrap()
}

fn moves(world: &World) -> usize {
    let moved =
        |event: &sip_dialog::Event| matches!(event, sip_dialog::Event::Call { event: CallEvent::PeerMoved, .. });
    world.log.iter().filter(|happened| moved(&happened.event)).count()
}

/// A call of a telephone that `raw` has taken, and a re-INVITE in it that has come there.
fn asked_again(world: &mut World) -> (sim::NodeId, sim::NodeId, CallHandle, ServerTxId, Message) {
    let (alice, raw) = (world.phone(1), world.raw(2));
    let ours = world.call(alice, 1, 2);
    let (tx, invite) = world.request_at(raw);
    branch(world, raw, tx, &invite, 200, "one", ANSWER);
    world.until_confirmed(alice, ours);
    world.tell(alice, |core, ep, now| core.reinvite(ep, now, ours, Some(offer()), ExtraHeaders::new())).unwrap();
    let (tx, again) = world.request_at(raw);
    (alice, raw, ours, tx, again)
}

/// A peer that asks its user, who is not there, must not keep the call from all further changes.
#[test]
fn a_reinvite_that_is_never_answered_is_cancelled_and_the_call_goes_on() {
    let mut world = World::new(51);
    let (alice, raw, ours, tx, again) = asked_again(&mut world);
    world.respond(raw, tx, &again, 180, |builder| builder);
    world.run_for(std::time::Duration::from_secs(179));
    let reinvite = |world: &mut World| {
        world.tell(alice, |core, ep, now| core.reinvite(ep, now, ours, Some(offer()), ExtraHeaders::new()))
    };
    assert_eq!(reinvite(&mut world), Err(sip_dialog::CommandError::Pending));
    world.run_for(std::time::Duration::from_secs(2));
    assert_eq!(world.last("CANCEL").cseq().unwrap().number, again.cseq().unwrap().number);
    world.respond(raw, tx, &again, 487, |builder| builder);
    let failed = world.until_call(alice, ours, |event| match event {
        CallEvent::ChangeFailed { status, .. } => Some(status.code()),
        _ => None,
    });
    assert_eq!(failed, 487);
    // One that is answered in time leaves no clock behind.
    reinvite(&mut world).unwrap();
    let (tx, third) = world.request_at(raw);
    branch(&mut world, raw, tx, &third, 200, "one", ANSWER);
    world.until_call(alice, ours, |event| matches!(event, CallEvent::Answered { .. }).then_some(()));
    world.run_for(std::time::Duration::from_secs(300));
    assert_eq!(world.tell(alice, |core, _, _| core.poll_timeout()), None);
    world.hang_up(alice, ours);
    hung_up(&mut world, raw, "sip:one@192.0.2.2");
    world.finish();
}

/// The ACK goes where the 2xx says, without what no Request-URI has.
//= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.1.2
//= type=test
//# When a UAC receives a 2xx response to a target refresh request, it MUST
//# replace the dialog's remote target URI with the URI from the Contact
//# header field in that response, if present.
#[test]
fn a_reinvite_accepted_by_who_has_moved_after_the_bye_is_acknowledged_there() {
    for answered in [true, false] {
        let mut world = World::new(52);
        let (alice, raw, ours, tx, again) = asked_again(&mut world);
        world.respond(raw, tx, &again, 180, |builder| builder);
        settle(&mut world);
        world.hang_up(alice, ours);
        if answered {
            hung_up(&mut world, raw, "sip:one@192.0.2.2");
            settle(&mut world);
        }
        let contact = "<sip:new@192.0.2.2;method=INVITE?Subject=x>";
        world.respond(raw, tx, &again, 200, |builder| builder.header(Header::Contact, contact));
        settle(&mut world);
        assert_eq!(world.last("ACK").request_uri_bytes(), Some(&b"sip:new@192.0.2.2"[..]), "{}", world.ladder());
        if !answered {
            hung_up(&mut world, raw, "sip:one@192.0.2.2");
        }
        world.finish();
    }
}

/// The BYE of the telephone comes to `raw`, for this URI.
#[track_caller]
fn hung_up(world: &mut World, raw: sim::NodeId, uri: &str) {
    let (tx, request) = world.request_at(raw);
    assert_eq!((request.method(), request.request_uri_bytes()), (Some(Method::Bye), Some(uri.as_bytes())));
    world.respond(raw, tx, &request, 200, |builder| builder);
}

//= https://www.rfc-editor.org/rfc/rfc6141#section-4.7
//= type=test
//# If a UA receives an unreliable provisional response to a target-
//# refresh request, the UA MUST NOT refresh the dialog's remote target.
//= https://www.rfc-editor.org/rfc/rfc6141#section-4.7
//= type=test
//# If a UA receives a reliable provisional response or a 2xx response to
//# a target-refresh request, the UA MUST replace the dialog's remote
//# target URI with the URI from the Contact header field in that
//# response, if present.
//= https://www.rfc-editor.org/rfc/rfc6141#section-4.2
//= type=test
//# When a UAC receives a 2xx response to a target refresh request, it
//# MUST replace the dialog's remote target URI with the URI from the
//# Contact header field in that response, if present.
#[test]
fn a_reliable_response_moves_the_peer_and_a_failure_does_not_move_it_back() {
    let mut world = World::new(1);
    let (alice, raw, ours, tx, again) = asked_again(&mut world);
    let contact = |builder: sip_message::ResponseBuilder, user: &str| {
        builder.header(Header::Contact, format!("<sip:{user}@192.0.2.2>"))
    };
    world.respond(raw, tx, &again, 183, |builder| contact(builder, "unreliable"));
    settle(&mut world);
    assert_eq!((target(&mut world, alice, ours).as_str(), moves(&world)), ("sip:one@192.0.2.2", 0));
    world.respond(raw, tx, &again, 183, |builder| {
        contact(builder, "reliable").header(Header::Require, "100rel").header(Header::RSeq, 3)
    });
    let (prack, request) = world.request_at(raw);
    assert_eq!(request.request_uri_bytes(), Some(&b"sip:reliable@192.0.2.2"[..]), "the PRACK goes there already");
    world.respond(raw, prack, &request, 200, |builder| builder);
    assert_eq!((target(&mut world, alice, ours).as_str(), moves(&world)), ("sip:reliable@192.0.2.2", 1));
    world.respond(raw, tx, &again, 488, |builder| builder);
    world.until_call(alice, ours, |event| matches!(event, CallEvent::ChangeFailed { .. }).then_some(()));
    assert_eq!(target(&mut world, alice, ours), "sip:reliable@192.0.2.2");
    world.tell(alice, |core, ep, now| core.reinvite(ep, now, ours, Some(offer()), ExtraHeaders::new())).unwrap();
    let (tx, again) = world.request_at(raw);
    branch(&mut world, raw, tx, &again, 200, "accepts", ANSWER);
    world.until_call(alice, ours, |event| matches!(event, CallEvent::Answered { .. }).then_some(()));
    settle(&mut world);
    assert_eq!((target(&mut world, alice, ours).as_str(), moves(&world)), ("sip:accepts@192.0.2.2", 2));
    world.hang_up(alice, ours);
    hung_up(&mut world, raw, "sip:accepts@192.0.2.2");
    world.finish();
}

/// The peer has moved, and refuses the re-INVITE in which it said so; the connection goes, and the ACK with it.
//= https://www.rfc-editor.org/rfc/rfc6141#section-5.3
//= type=test
//# A UAC that accepts a target refresh within a re-INVITE MUST ignore
//# transport and timeout errors when generating an ACK request for a
//# non-2xx final response.
#[test]
fn an_ack_that_goes_nowhere_ends_no_call() {
    let mut world = World::new(8);
    let (alice, raw) = (world.phone(1), world.raw(2));
    world.net.listen(raw, sip_transaction::Transport::Tcp, 5060, &[]);
    let to = sip_dialog::Invite::new(origin(1), "sip:2@192.0.2.2;transport=tcp").body(offer());
    let ours = world.invite(alice, to);
    let (tx, invite) = world.request_at(raw);
    let answered = |builder: sip_message::ResponseBuilder, user: &str| {
        builder.header(Header::Contact, format!("<sip:{user}@192.0.2.2;transport=tcp>"))
    };
    world.respond(raw, tx, &invite, 200, |builder| answered(builder, "one").body("application/sdp", ANSWER));
    world.until_confirmed(alice, ours);
    world.tell(alice, |core, ep, now| core.reinvite(ep, now, ours, Some(offer()), ExtraHeaders::new())).unwrap();
    let (tx, again) = world.request_at(raw);
    world.respond(raw, tx, &again, 183, |builder| {
        answered(builder, "two").header(Header::Require, "100rel").header(Header::RSeq, 3)
    });
    let (prack, request) = world.request_at(raw);
    world.respond(raw, prack, &request, 200, |builder| builder);
    world.respond(raw, tx, &again, 488, |builder| builder);
    world.until_call(alice, ours, |event| matches!(event, CallEvent::ChangeFailed { .. }).then_some(()));
    let path = world.tell(alice, |core, _, _| core.dialog_path(core.call(ours).unwrap().dialog.unwrap())).unwrap();
    world.net.break_flow(alice, path.flow);
    world.run_for(std::time::Duration::from_secs(60));
    assert_eq!(target(&mut world, alice, ours), "sip:two@192.0.2.2;transport=tcp");
    world.hang_up(alice, ours);
    hung_up(&mut world, raw, "sip:two@192.0.2.2;transport=tcp");
    world.run_for(std::time::Duration::from_secs(60));
    assert_eq!(world.end_of(alice, ours), EndCause::HungUp);
}

/// The same of the responses to the first INVITE, in an early dialog.
#[test]
fn an_early_dialog_moves_by_reliable_responses_alone() {
    let mut world = World::new(2);
    let (alice, raw) = (world.phone(1), world.raw(2));
    let ours = world.call(alice, 1, 2);
    let (tx, invite) = world.request_at(raw);
    let mut dialog = None;
    for (rseq, user, wanted) in [(0, "one", "one"), (0, "two", "one"), (8, "three", "three"), (0, "four", "three")] {
        world.respond(raw, tx, &invite, 180, |builder| {
            let builder = builder.header(Header::Contact, format!("<sip:{user}@192.0.2.2>"));
            match rseq {
                0 => builder,
                rseq => builder.header(Header::Require, "100rel").header(Header::RSeq, rseq),
            }
        });
        dialog = world.until_call(alice, ours, |event| match event {
            CallEvent::Progress { dialog, .. } => Some(*dialog),
            _ => None,
        });
        let found = world.tell(alice, |core, _, _| core.dialog(dialog.unwrap()).unwrap().remote_target().to_owned());
        assert_eq!(found, format!("sip:{wanted}@192.0.2.2"));
    }
    let (prack, request) = world.request_at(raw);
    world.respond(raw, prack, &request, 200, |builder| builder);
    world.tell(alice, |core, ep, now| core.hang_up_early(ep, now, ours, dialog.unwrap(), None)).unwrap();
    hung_up(&mut world, raw, "sip:three@192.0.2.2");
    world.respond(raw, tx, &invite, 486, |builder| builder);
    assert_eq!(world.end_of(alice, ours), EndCause::PeerRejected(status(486)));
    world.finish();
}

/// A caller made by hand, whose call a telephone has taken.
struct Caller {
    world: World,
    raw: sim::NodeId,
    bob: sim::NodeId,
    call: CallHandle,
    tag: String,
}

impl Caller {
    fn new(seed: u64) -> Self {
        let mut world = World::new(seed);
        let (raw, bob) = (world.raw(1), world.phone(2));
        world.send(raw, request(Method::Invite, "", 1, "old", true));
        let call = world.incoming(bob);
        world.accept(bob, call).unwrap();
        settle(&mut world);
        let tag = format!(";tag={}", world.last("200").to().unwrap().tag().unwrap().unwrap());
        let mut caller = Caller { world, raw, bob, call, tag };
        caller.acknowledge(1);
        caller.world.until_confirmed(bob, call);
        caller
    }

    fn send(&mut self, method: Method<'_>, number: u32, user: &str, offers: bool) -> ClientTxId {
        self.world.send(self.raw, request(method, &self.tag, number, user, offers))
    }

    fn acknowledge(&mut self, number: u32) {
        let ack = request(Method::Ack, &self.tag, number, "old", false);
        let now = self.world.now();
        let endpoint = sim::Host::endpoint(self.world.net.host(self.raw));
        endpoint.send(now, ack, sip_transaction::Destination::route()).unwrap();
    }

    fn target(&mut self) -> String {
        target(&mut self.world, self.bob, self.call)
    }

    #[track_caller]
    fn until_offer(&mut self) {
        let (bob, call) = (self.bob, self.call);
        self.world.until_call(bob, call, |event| matches!(event, CallEvent::Offer { .. }).then_some(()));
    }

    fn finish(mut self, uri: &str) {
        self.world.hang_up(self.bob, self.call);
        hung_up(&mut self.world, self.raw, uri);
        self.world.finish();
    }
}

/// A request of the caller, whose Contact is this user.
fn request(method: Method<'_>, tag: &str, number: u32, user: &str, offers: bool) -> Message {
    let builder = Message::request(method, "sip:2@192.0.2.2")
        .header(Header::From, "<sip:1@192.0.2.1>;tag=a")
        .header(Header::To, format!("<sip:2@192.0.2.2>{tag}"))
        .header(Header::CallId, "moves")
        .header(Header::Allow, "INVITE, ACK, BYE, CANCEL, UPDATE")
        .cseq(number)
        .header(Header::Contact, format!("<sip:{user}@192.0.2.1>"));
    let builder = if offers { builder.body("application/sdp", OFFER) } else { builder };
    builder.build().unwrap()
}

//= https://www.rfc-editor.org/rfc/rfc6141#section-4.6
//= type=test
//# If instead of sending a reliable provisional response or a 2xx
//# response to the target-refresh request, or a request to the new
//# target, the UA generates an error response to the target-refresh
//# request, the UA MUST NOT update its dialog's remote target.
//= https://www.rfc-editor.org/rfc/rfc6141#section-4.6
//= type=test
//# On sending a reliable provisional response or a 2xx response to the
//# target-refresh request, or a request to the new remote target, the UA
//# MUST replace the dialog's remote target URI with the URI from the
//# Contact header field in the target-refresh request.
//= https://www.rfc-editor.org/rfc/rfc6141#section-4.2
//= type=test
//# When a UAS receives a target refresh request, it MUST replace the
//# dialog's remote target URI with the URI from the Contact header
//# field in that request, if present.
#[test]
fn a_peer_moves_with_what_is_accepted_and_not_with_what_is_refused() {
    let mut caller = Caller::new(3);
    let (bob, call) = (caller.bob, caller.call);
    let refused = caller.send(Method::Invite, 2, "new", true);
    caller.until_offer();
    caller.world.tell(bob, |core, ep, now| core.refuse(ep, now, call, status(488), Reply::new())).unwrap();
    assert_eq!(caller.world.final_of(caller.raw, refused).status(), Some(status(488)));
    assert_eq!(caller.target(), "sip:old@192.0.2.1");
    let taken = caller.send(Method::Invite, 3, "new", true);
    caller.until_offer();
    assert_eq!(caller.target(), "sip:old@192.0.2.1", "not before it is answered");
    caller.world.tell(bob, |core, ep, now| core.answer(ep, now, call, answer())).unwrap();
    assert_eq!(caller.target(), "sip:new@192.0.2.1");
    assert_eq!(caller.world.final_of(caller.raw, taken).status(), Some(status(200)));
    caller.acknowledge(3);
    settle(&mut caller.world);
    assert_eq!(moves(&caller.world), 1);
    caller.finish("sip:new@192.0.2.1");
}

/// While the host thinks about a re-INVITE, its sender moves, and says so in an UPDATE without offer.
#[test]
fn an_update_without_offer_is_taken_while_a_reinvite_waits() {
    let mut caller = Caller::new(4);
    let (bob, call) = (caller.bob, caller.call);
    let first = caller.send(Method::Invite, 2, "old", true);
    caller.until_offer();
    let update = caller.send(Method::Update, 3, "new", false);
    assert_eq!(caller.world.final_of(caller.raw, update).status(), Some(status(200)));
    assert_eq!((caller.target().as_str(), moves(&caller.world)), ("sip:new@192.0.2.1", 1));
    // One with an offer is another matter.
    let update = caller.send(Method::Update, 4, "new", true);
    assert_eq!(caller.world.final_of(caller.raw, update).status(), Some(status(500)));
    caller.world.tell(bob, |core, ep, now| core.refuse(ep, now, call, status(488), Reply::new())).unwrap();
    assert_eq!(caller.world.final_of(caller.raw, first).status(), Some(status(488)));
    assert_eq!(caller.target(), "sip:new@192.0.2.1", "what was accepted stays");
    caller.finish("sip:new@192.0.2.1");
}

#[test]
fn who_hangs_up_on_a_peer_that_moves_finds_it_where_it_is() {
    let mut caller = Caller::new(5);
    let moved = caller.send(Method::Invite, 2, "new", true);
    caller.until_offer();
    caller.world.hang_up(caller.bob, caller.call);
    hung_up(&mut caller.world, caller.raw, "sip:new@192.0.2.1");
    assert_eq!(caller.world.final_of(caller.raw, moved).status(), Some(status(487)));
    caller.world.finish();
}

/// The peer has lost its address, and with it our 2xx: its next re-INVITE says that it is there.
#[test]
fn a_2xx_without_ack_ends_no_call_whose_peer_asks_again() {
    for again in [false, true] {
        let mut caller = Caller::new(6);
        let (bob, call) = (caller.bob, caller.call);
        // Without an offer in it, ours is in the 2xx and waits for the ACK: nothing else can be answered meanwhile.
        caller.send(Method::Invite, 2, "old", false);
        caller.world.until_call(bob, call, |event| matches!(event, CallEvent::OfferWanted { .. }).then_some(()));
        caller.world.tell(bob, |core, ep, now| core.answer(ep, now, call, offer())).unwrap();
        settle(&mut caller.world);
        if !again {
            assert_eq!(caller.world.end_of(bob, call), EndCause::NotAcknowledged);
            hung_up(&mut caller.world, caller.raw, "sip:old@192.0.2.1");
            caller.world.finish();
            continue;
        }
        let early = caller.send(Method::Invite, 3, "new", true);
        assert_eq!(caller.world.final_of(caller.raw, early).status(), Some(status(491)));
        // Something without an offer may go on beside it all that time.
        caller.world.run_for(std::time::Duration::from_secs(31));
        caller.world.tell(bob, |core, ep, now| core.update(ep, now, call, None, ExtraHeaders::new())).unwrap();
        let (tx, update) = caller.world.request_at(caller.raw);
        caller.world.run_for(std::time::Duration::from_secs(5));
        let old = "<sip:old@192.0.2.1>";
        caller.world.respond(caller.raw, tx, &update, 200, |builder| builder.header(Header::Contact, old));
        caller.world.run_for(std::time::Duration::from_secs(5));
        assert!(caller.world.tell(bob, |core, _, _| core.call(call)).is_some(), "{}", caller.world.ladder());
        let later = caller.send(Method::Invite, 4, "new", true);
        caller.until_offer();
        caller.world.tell(bob, |core, ep, now| core.answer(ep, now, call, answer())).unwrap();
        assert_eq!(caller.world.final_of(caller.raw, later).status(), Some(status(200)));
        caller.acknowledge(4);
        settle(&mut caller.world);
        caller.finish("sip:new@192.0.2.1");
    }
}

/// Only a re-INVITE can tell this peer that we have moved, and none can be sent until the ACK that is lost has been given up.
#[test]
fn who_moves_while_an_ack_is_lost_says_so_when_it_is_given_up() {
    let mut caller = Caller::new(8);
    let (bob, raw, call) = (caller.bob, caller.raw, caller.call);
    for number in [2, 3] {
        let mut reinvite = request(Method::Invite, &caller.tag, number, "old", number == 3);
        reinvite.set(Header::Allow, "INVITE, ACK, BYE, CANCEL").unwrap();
        let tx = caller.world.send(raw, reinvite);
        if number == 2 {
            caller.world.until_call(bob, call, |event| matches!(event, CallEvent::OfferWanted { .. }).then_some(()));
            caller.world.tell(bob, |core, ep, now| core.answer(ep, now, call, offer())).unwrap();
            settle(&mut caller.world);
        } else {
            assert_eq!(caller.world.final_of(raw, tx).status(), Some(status(491)));
        }
    }
    let contact = Some("<sip:new@192.0.2.2>".to_owned());
    caller.world.tell(bob, |core, ep, now| core.rebind(ep, now, call, None, contact)).unwrap();
    settle(&mut caller.world);
    let asked = |world: &World| world.sent().iter().filter(|what| *what == "2>1 INVITE").count();
    assert_eq!(asked(&caller.world), 0, "{}", caller.world.ladder());
    caller.world.run_for(std::time::Duration::from_secs(33));
    assert_ne!(asked(&caller.world), 0, "{}", caller.world.ladder());
    let (tx, reinvite) = caller.world.request_at(raw);
    assert_eq!(reinvite.field(Header::Contact), Some(&b"<sip:new@192.0.2.2>"[..]));
    caller.world.respond(raw, tx, &reinvite, 488, |builder| builder);
    settle(&mut caller.world);
    caller.finish("sip:old@192.0.2.1");
}

/// We move while the peer's re-INVITE waits for its answer, and say so at once in an UPDATE, not in the answer.
//= https://www.rfc-editor.org/rfc/rfc6141#section-4.8
//= type=test
//# If the protocol allows a UA to use a target-refresh request at the
//# point in time that the UA wishes to refresh its local target, the UA
//# MUST use a target-refresh request instead of a response to refresh its
//# local target.
#[test]
fn who_moves_says_so_in_a_request_of_its_own_where_it_can() {
    let mut world = World::new(7);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let (ours, theirs) = world.established(alice, bob, 1, 2);
    world.tell(alice, |core, ep, now| core.reinvite(ep, now, ours, Some(offer()), ExtraHeaders::new())).unwrap();
    world.until_call(bob, theirs, |event| matches!(event, CallEvent::Offer { .. }).then_some(()));
    let contact = Some("<sip:new@192.0.2.2>".to_owned());
    world.tell(bob, |core, ep, now| core.rebind(ep, now, theirs, None, contact)).unwrap();
    settle(&mut world);
    assert_eq!(target(&mut world, alice, ours), "sip:new@192.0.2.2", "{}", world.ladder());
    assert!(world.sent().contains(&"2>1 UPDATE".to_owned()));
    world.tell(bob, |core, ep, now| core.answer(ep, now, theirs, answer())).unwrap();
    world.until_call(alice, ours, |event| matches!(event, CallEvent::Answered { .. }).then_some(()));
    settle(&mut world);
    assert_eq!(world.sent().iter().filter(|what| what.ends_with("UPDATE")).count(), 1);
    world.hang_up(alice, ours);
    world.finish();
}
