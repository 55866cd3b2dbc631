//! What comes for a call that is over: the PRACK that the final response has overtaken (RFC 3262), and an INVITE that is to replace it (RFC 3891).

use crate::common::*;
use sim::{Host, NodeId};
use sip_dialog::{CallEvent, CallHandle, EndCause, Progress, Reply};
use sip_message::{Header, Message, Method, RequestBuilder};
use sip_transaction::{ClientTxId, Destination};
use std::time::Duration;

/// A caller at 192.0.2.1, by hand, and Bob, whom it has invited and who has sent a reliable 180.
struct Invited {
    world: World,
    raw: NodeId,
    bob: NodeId,
    call: CallHandle,
    invite: ClientTxId,
    to: String,
    rack: String,
}

fn request(method: Method<'_>, to: &str, cseq: u32) -> RequestBuilder {
    Message::request(method, "sip:2@192.0.2.2")
        .header(Header::From, "<sip:1@192.0.2.1>;tag=a")
        .header(Header::To, to)
        .header(Header::CallId, "x")
        .cseq(cseq)
}

impl Invited {
    fn new(seed: u64, most: usize) -> Self {
        let mut world = World::new(seed);
        let (raw, bob) = (world.raw(1), world.phone_with(2, |config| config.limits.past_dialogs = most));
        let invite = request(Method::Invite, "<sip:2@192.0.2.2>", 1)
            .header(Header::Contact, "<sip:1@192.0.2.1>")
            .header(Header::Supported, "100rel")
            .body("application/sdp", OFFER)
            .build()
            .unwrap();
        let invite = world.send(raw, invite);
        let call = world.incoming(bob);
        world.tell(bob, |core, ep, now| core.progress(ep, now, call, Progress::ringing().reliable())).unwrap();
        settle(&mut world);
        let early = world.last("180");
        let to = String::from_utf8(early.field(Header::To).unwrap().to_vec()).unwrap();
        let rack = format!("{} 1 INVITE", core::str::from_utf8(early.field(Header::RSeq).unwrap()).unwrap());
        Invited { world, raw, bob, call, invite, to, rack }
    }

    fn prack(&mut self, cseq: u32, rack: &str, body: Option<&'static [u8]>) -> Message {
        let mut builder = request(Method::Prack, &self.to, cseq).header(Header::RAck, rack);
        if let Some(body) = body {
            builder = builder.body("application/sdp", body);
        }
        let tx = self.world.send(self.raw, builder.build().unwrap());
        self.world.final_of(self.raw, tx)
    }

    /// What PRACK with these values of RAck get, one after the other.
    fn pracks(&mut self, racks: &[&str]) -> Vec<u16> {
        self.pracks_from(2, racks)
    }

    fn pracks_from(&mut self, cseq: u32, racks: &[&str]) -> Vec<u16> {
        let answer = |(n, rack): (u32, &&str)| self.prack(n, rack, None).status().unwrap().code();
        (cseq..).zip(racks).map(answer).collect()
    }

    fn reject(&mut self) {
        let call = self.call;
        self.world.tell(self.bob, |core, ep, now| core.reject(ep, now, call, status(486), Reply::new())).unwrap();
        settle(&mut self.world);
    }

    fn how_often(&self, what: &str) -> usize {
        self.world.sent().iter().filter(|sent| sent.contains(what)).count()
    }
}

//= https://www.rfc-editor.org/rfc/rfc3262#section-3
//= type=test
//# If the UAS does send a final response when reliable responses are still
//# unacknowledged, it SHOULD NOT continue to retransmit the unacknowledged
//# reliable provisional responses, but it MUST be prepared to process PRACK
//# requests for those outstanding responses.
#[test]
fn a_prack_after_the_call_was_refused_is_answered_200_once() {
    let mut at = Invited::new(1, 100);
    at.reject();
    let rung = at.how_often("180");
    let rack = at.rack.clone();
    assert_eq!(at.pracks(&["1 1 INVITE", &rack.replace(" 1 ", " 2 ")]), [481, 481]);
    let awaited = |at: &mut Invited| at.world.net.host(at.bob).agent().census().contains("awaited PRACKs");
    assert!(awaited(&mut at));
    assert_eq!(at.pracks_from(4, &[&rack]), [200]);
    assert!(!awaited(&mut at), "nothing waits for what has come");
    assert_eq!(at.pracks_from(5, &[&rack]), [481]);
    at.world.run_for(Duration::from_secs(5));
    assert_eq!(at.how_often("180"), rung, "it is not sent again");
    at.world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3262#section-3
//= type=test
//# If the UAS does send a final response when reliable responses are still
//# unacknowledged, it SHOULD NOT continue to retransmit the unacknowledged
//# reliable provisional responses, but it MUST be prepared to process PRACK
//# requests for those outstanding responses.
#[test]
fn a_prack_after_cancel_is_answered_200() {
    let mut at = Invited::new(2, 100);
    let (now, tx, call) = (at.world.now(), at.invite, at.call);
    at.world.net.host(at.raw).endpoint().cancel(now, tx, None).unwrap();
    assert_eq!(at.world.end_of(at.bob, call), EndCause::PeerCancelled);
    let rack = at.rack.clone();
    assert_eq!(at.pracks(&[&rack]), [200]);
    at.world.finish();
}

/// The host hangs up, and nobody answers: both are final responses, too.
#[test]
fn a_prack_after_any_refusal_is_answered_200() {
    let mut at = Invited::new(3, 100);
    let call = at.call;
    at.world.hang_up(at.bob, call);
    let rack = at.rack.clone();
    assert_eq!(at.pracks(&[&rack]), [200]);
    at.world.finish();
}

/// The ACK for a 2xx may come before the PRACK, and so may BYE.
#[test]
fn a_prack_after_ack_and_bye_is_answered_200() {
    for (bye, n) in [(false, 4), (true, 5)] {
        let mut at = Invited::new(n, 100);
        let call = at.call;
        at.world.accept(at.bob, call).unwrap();
        settle(&mut at.world);
        let (now, ack) = (at.world.now(), request(Method::Ack, &at.to, 1).build().unwrap());
        at.world.net.host(at.raw).endpoint().send(now, ack, Destination::route()).unwrap();
        at.world.until_confirmed(at.bob, call);
        if bye {
            at.world.hang_up(at.bob, call);
        }
        let rack = at.rack.clone();
        assert_eq!(at.pracks(&[&rack, &rack]), [200, 481]);
        if !bye {
            at.world.hang_up(at.bob, call);
        }
        let (tx, bye) = at.world.request_at(at.raw);
        at.world.respond(at.raw, tx, &bye, 200, |response| response);
        at.world.finish();
    }
}

/// One whose offer comes while ours waits for its answer is refused for now, and has its 200 when it comes again.
#[test]
fn a_prack_that_was_told_to_come_later_may_come_later() {
    let mut at = Invited::new(11, 100);
    let call = at.call;
    at.world.accept(at.bob, call).unwrap();
    settle(&mut at.world);
    let (now, ack) = (at.world.now(), request(Method::Ack, &at.to, 1).build().unwrap());
    at.world.net.host(at.raw).endpoint().send(now, ack, Destination::route()).unwrap();
    at.world.until_confirmed(at.bob, call);
    let headers = sip_dialog::ExtraHeaders::new();
    at.world.tell(at.bob, |core, ep, now| core.reinvite(ep, now, call, Some(offer()), headers)).unwrap();
    let (tx, reinvite) = at.world.request_at(at.raw);
    let rack = at.rack.clone();
    assert_eq!(at.prack(2, &rack, Some(OFFER)).status(), Some(status(491)));
    at.world.respond(at.raw, tx, &reinvite, 488, |response| response);
    settle(&mut at.world);
    assert_eq!(at.pracks_from(3, &[&rack, &rack]), [200, 481]);
    at.world.hang_up(at.bob, call);
    let (tx, bye) = at.world.request_at(at.raw);
    at.world.respond(at.raw, tx, &bye, 200, |response| response);
    at.world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3262#section-5
//= type=test
//# If the UAS receives a PRACK with an offer, it MUST place the answer in
//# the 2xx to the PRACK.
#[test]
fn an_offer_in_such_a_prack_is_answered_with_nothing_taken() {
    let mut world = World::new(6);
    let (raw, bob) = (world.raw(1), world.phone(2));
    let invite = request(Method::Invite, "<sip:2@192.0.2.2>", 1)
        .header(Header::Contact, "<sip:1@192.0.2.1>")
        .header(Header::Supported, "100rel")
        .body("application/sdp", OFFER);
    world.send(raw, invite.build().unwrap());
    let call = world.incoming(bob);
    let progress = Progress::new(status(183)).reliable().body(answer());
    world.tell(bob, |core, ep, now| core.progress(ep, now, call, progress)).unwrap();
    settle(&mut world);
    let early = world.last("183");
    world.tell(bob, |core, ep, now| core.reject(ep, now, call, status(486), Reply::new())).unwrap();
    let to = core::str::from_utf8(early.field(Header::To).unwrap()).unwrap();
    let rack = format!("{} 1 INVITE", core::str::from_utf8(early.field(Header::RSeq).unwrap()).unwrap());
    let prack = request(Method::Prack, to, 2).header(Header::RAck, rack).body("application/sdp", OFFER);
    let tx = world.send(raw, prack.build().unwrap());
    let ok = world.final_of(raw, tx);
    assert_eq!(ok.status(), Some(status(200)));
    assert_eq!(Some(ok.body().to_vec()), sip_dialog::sdp::refusal(OFFER));
    world.finish();
}

#[test]
fn what_is_over_is_forgotten_in_time_and_at_the_limit() {
    let mut at = Invited::new(7, 100);
    at.reject();
    at.world.run_for(Duration::from_secs(33));
    let rack = at.rack.clone();
    assert_eq!(at.pracks(&[&rack]), [481]);
    at.world.finish();

    let mut at = Invited::new(8, 0);
    at.reject();
    assert_eq!(at.pracks(&[&rack]), [481]);
    at.world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3891#section-3
//= type=test
//# If the Replaces header field matches a dialog which has already
//# terminated, the UA SHOULD decline the request with a 603 Declined
//# response.
//= https://www.rfc-editor.org/rfc/rfc3891#section-3
//= type=test
//# If no match is found, the UAS rejects the INVITE and returns a 481
//# Call/Transaction Does Not Exist response.
#[test]
fn a_call_that_is_over_is_not_replaced() {
    // Alice or Bob hangs up; Carol is to take Alice's place at Bob, and comes too late.
    for by_bob in [false, true] {
        let mut world = World::new(9);
        let (alice, bob, carol) = (world.phone(1), world.phone(2), world.phone(3));
        let (a, b) = world.established(alice, bob, 1, 2);
        let ids = world.tell(bob, |core, _, _| {
            let dialog = core.dialog(core.call(b).unwrap().dialog.unwrap()).unwrap();
            (dialog.call_id().to_owned(), dialog.local_tag().to_owned(), dialog.remote_tag().to_owned())
        });
        if by_bob {
            world.hang_up(bob, b)
        } else {
            world.hang_up(alice, a)
        }
        if !by_bob {
            world.end_of(bob, b);
        }
        let mut refused = |value: String, header: &str| {
            let call = world.invite(carol, invite(3, 2).body(offer()).header(header, value));
            world.end_of(carol, call)
        };
        let (call_id, local, remote) = ids;
        let over = format!("{call_id};to-tag={local};from-tag={remote}");
        assert_eq!(refused(over.clone(), "Replaces"), EndCause::PeerRejected(status(603)));
        assert_eq!(refused(over.clone(), "Join"), EndCause::PeerRejected(status(603)));
        let another = format!("{call_id};to-tag={local};from-tag=x");
        assert_eq!(refused(another, "Replaces"), EndCause::PeerRejected(status(481)));
        world.run_for(Duration::from_secs(40));
        let call = world.invite(carol, invite(3, 2).body(offer()).header("Replaces", over));
        assert_eq!(world.end_of(carol, call), EndCause::PeerRejected(status(481)), "nothing is known of it any more");
        world.finish();
    }
}

/// Alice gives up while Bob's telephone rings: nobody can pick the call up from her then.
#[test]
fn an_early_dialog_that_is_given_up_is_not_replaced() {
    let mut world = World::new(10);
    let (alice, bob, carol) = (world.phone(1), world.phone(2), world.phone(3));
    let ours = world.call(alice, 1, 2);
    rung(&mut world, bob);
    let dialog = world.until_call(alice, ours, |event| match event {
        CallEvent::Progress { dialog, .. } => *dialog,
        _ => None,
    });
    let value = world.tell(alice, |core, _, _| {
        let dialog = core.dialog(dialog).unwrap();
        format!("{};to-tag={};from-tag={}", dialog.call_id(), dialog.local_tag(), dialog.remote_tag())
    });
    world.hang_up(alice, ours);
    for _ in 0..2 {
        // While the CANCEL is under way, and when the INVITE has ended.
        let pick_up = world.invite(carol, invite(3, 1).body(offer()).header("Replaces", &value));
        assert_eq!(world.end_of(carol, pick_up), EndCause::PeerRejected(status(603)));
    }
    world.finish();
}
