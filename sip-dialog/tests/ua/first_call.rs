//! The plain call: INVITE, 180, 200, ACK, BYE, between two user agents.

use crate::common::*;
use sip_dialog::{CallEvent, CallState, EndCause, Event, Meaning, Progress, Role};
use sip_message::{Header, Method};

//= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.2.4
//= type=test
//# The UAC core MUST generate an ACK request for each 2xx received from the
//# transaction layer.
//= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.1
//= type=test
//# The UAS MUST add a Contact header field to the response.
//= https://www.rfc-editor.org/rfc/rfc3261#section-15.1.2
//= type=test
//# Whether or not it ends its participation on the session, the UAS core
//# MUST generate a 2xx response to the BYE, and MUST pass that to the
//# server transaction for transmission.
//= https://www.rfc-editor.org/rfc/rfc3261#section-13.1
//= type=test
//# A UA that supports INVITE MUST also support ACK, CANCEL and BYE.
//= https://www.rfc-editor.org/rfc/rfc3261#section-13.3.1.1
//= type=test
//# Each of these MUST indicate the same dialog ID.
//= https://www.rfc-editor.org/rfc/rfc3261#section-13.3.1.4
//= type=test
//# If the INVITE request contained an offer, and the UAS had not yet sent
//# an answer, the 2xx MUST contain an answer.
//= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.1
//= type=test
//# If the initial offer is in an INVITE, the answer MUST be in a reliable
//# non-failure message from UAS back to UAC which is correlated to that
//# INVITE.
//= https://www.rfc-editor.org/rfc/rfc3261#section-15.1.1
//= type=test
//# The UAC MUST consider the session terminated (and therefore stop sending
//# or listening for media) as soon as the BYE request is passed to the
//# client transaction.
//= https://www.rfc-editor.org/rfc/rfc3261#section-15.1.2
//= type=test
//# A UAS core receiving a BYE request for an existing dialog MUST follow
//# the procedures of Section 12.2.2 to process the request.
#[test]
fn a_call_from_ring_to_bye() {
    let mut world = World::new(1);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let ours = world.call(alice, 1, 2);
    let theirs = world.incoming(bob);
    world.tell(bob, |core, ep, now| core.progress(ep, now, theirs, Progress::ringing())).unwrap();
    let dialog = world.until_call(alice, ours, |event| match event {
        CallEvent::Progress { dialog, message, session } => {
            assert_eq!(message.status().map(|status| status.code()), Some(180));
            assert_eq!(*session, None);
            *dialog
        }
        _ => None,
    });
    world.accept(bob, theirs).unwrap();
    world.until_call(alice, ours, |event| match event {
        CallEvent::Accepted { dialog: confirmed, message, session } => {
            assert_eq!((*confirmed, *session), (dialog, Some(Meaning::Answer)));
            assert_eq!(message.as_ref().unwrap().body(), ANSWER);
            Some(())
        }
        _ => None,
    });
    world.until_confirmed(bob, theirs);
    let info = world.tell(alice, |core, _, _| core.call(ours)).unwrap();
    assert_eq!((info.role, info.state, info.dialog), (Role::Caller, CallState::Confirmed, Some(dialog)));
    world.hang_up(alice, ours);
    assert_eq!(world.end_of(alice, ours), EndCause::HungUp);
    assert_eq!(world.end_of(bob, theirs), EndCause::PeerHungUp);
    assert_eq!(world.tell(alice, |core, _, _| core.call(ours)), None);
    assert_eq!(world.sent(), ["1>2 INVITE", "2>1 180", "2>1 200", "1>2 ACK", "1>2 BYE", "2>1 200"]);
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.1.1
//= type=test
//# Requests within a dialog MUST contain strictly monotonically increasing
//# and contiguous CSeq sequence numbers (increasing-by-one) in each
//# direction (excepting ACK and CANCEL of course, whose numbers equal the
//# requests being acknowledged or cancelled).
//= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.1.1
//= type=test
//# The Call-ID of the request MUST be set to the Call-ID of the dialog.
//= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.1.1
//= type=test
//# The tag in the To header field of the request MUST be set to the remote
//# tag of the dialog ID.
//= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.1.1
//= type=test
//# The tag in the From header field of the request MUST be set to the local
//# tag of the dialog ID.
//= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.2.4
//= type=test
//# The sequence number of the CSeq header field MUST be the same as the
//# INVITE being acknowledged, but the CSeq method MUST be ACK.
//= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.1
//= type=test
//# The call identifier component of the dialog ID MUST be set to the value
//# of the Call-ID in the request.
//= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.2
//= type=test
//# The call identifier component of the dialog ID MUST be set to the value
//# of the Call-ID in the request.
//= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.2
//= type=test
//# The local tag component of the dialog ID MUST be set to the tag in the
//# From field in the request, and the remote tag component of the dialog ID
//# MUST be set to the tag in the To field of the response.
//= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.2
//= type=test
//# The remote URI MUST be set to the URI in the To field, and the local URI
//# MUST be set to the URI in the From field.
//= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.2
//= type=test
//# When a UAC sends a request that can establish a dialog (such as an
//# INVITE) it MUST provide a SIP or SIPS URI with global scope (i.e., the
//# same SIP URI can be used in messages outside this dialog) in the Contact
//# header field of the request.
//= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.1.1
//= type=test
//# The URI in the To field of the request MUST be set to the remote URI
//# from the dialog state.
//= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.1.1
//= type=test
//# The From URI of the request MUST be set to the local URI from the dialog
//# state.
//= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.1.1
//= type=test
//# The method field in the CSeq header field value MUST match the method of
//# the request.
//= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.1.1
//= type=test
//# If the local sequence number is empty, an initial value MUST be chosen
//# using the guidelines of Section 8.1.1.5.
#[test]
fn the_requests_of_a_dialog_belong_together() {
    let mut world = World::new(2);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let (ours, theirs) = world.established(alice, bob, 1, 2);
    world.hang_up(bob, theirs);
    assert_eq!(world.end_of(alice, ours), EndCause::PeerHungUp);
    let (invite, ok, ack, bye) = (world.last("INVITE"), world.last("200"), world.last("ACK"), world.last("BYE"));
    assert_eq!(ack.cseq().unwrap().number, invite.cseq().unwrap().number);
    assert_eq!(ack.cseq().unwrap().method, Method::Ack);
    for message in [&ok, &ack, &bye] {
        assert_eq!(message.call_id().unwrap(), invite.call_id().unwrap());
    }
    let tag = |value: sip_message::NameAddr<'_>| value.tag().unwrap().unwrap().to_owned();
    assert_eq!(tag(ack.from().unwrap()), tag(invite.from().unwrap()));
    // The BYE goes the other way: the tags change places, and its numbers are its own.
    assert_eq!(tag(bye.from().unwrap()), tag(ack.to().unwrap()));
    assert_eq!(tag(bye.to().unwrap()), tag(ack.from().unwrap()));
    assert_eq!(bye.request_uri_bytes(), Some(&b"sip:1@192.0.2.1"[..]));
    assert!(!bye.has(Header::Route));
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.1
//= type=test
//# If the initial offer is in the first reliable non-failure message from
//# the UAS back to UAC, the answer MUST be in the acknowledgement for that
//# message (in this specification, ACK for a 2xx response).
//= https://www.rfc-editor.org/rfc/rfc3261#section-13.2.2.4
//= type=test
//# If the 2xx contains an offer (based on the rules above), the ACK MUST
//# carry an answer in its body.
//= https://www.rfc-editor.org/rfc/rfc3261#section-13.3.1.4
//= type=test
//# If the INVITE did not contain an offer, the 2xx MUST contain an offer if
//# the UAS had not yet sent an offer.
//= https://www.rfc-editor.org/rfc/rfc3261#section-13.3.1
//= type=test
//# It MUST provide the offer in its first non-failure reliable message back
//# to the UAC.
#[test]
fn the_offer_may_come_with_the_200() {
    let mut world = World::new(3);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let ours = world.invite(alice, invite(1, 2));
    let theirs = world.until(bob, |event| match event {
        Event::Call { call, event: CallEvent::Incoming { offer: false, .. } } => Some(*call),
        _ => None,
    });
    let refused = world.tell(bob, |core, ep, now| core.accept(ep, now, theirs, sip_dialog::Reply::new()));
    assert_eq!(refused, Err(sip_dialog::CommandError::BodyNeeded));
    world.accept(bob, theirs).unwrap();
    world.until_call(alice, ours, |event| match event {
        CallEvent::Accepted { session: Some(Meaning::Offer), .. } => Some(()),
        _ => None,
    });
    // The host takes its time; the 200 comes again and is not acknowledged before there is an answer.
    world.run_for(std::time::Duration::from_secs(2));
    assert!(!world.sent().contains(&"1>2 ACK".to_owned()));
    world.tell(alice, |core, ep, now| core.answer(ep, now, ours, offer())).unwrap();
    world.until_call(bob, theirs, |event| match event {
        CallEvent::Confirmed { session: Some(Meaning::Answer), message } => {
            assert_eq!(message.as_ref().unwrap().body(), OFFER);
            Some(())
        }
        _ => None,
    });
    world.hang_up(alice, ours);
    assert_eq!(world.end_of(bob, theirs), EndCause::PeerHungUp);
    world.finish();
}
