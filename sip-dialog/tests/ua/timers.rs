//! Session timers (RFC 4028) and the other clocks of a call.

use crate::common::*;
use sim::Fate;
use sip_dialog::{CallEvent, EndCause, UserAgentConfig};
use sip_message::Header;
use std::time::Duration;

fn timed(seconds: u32) -> impl FnOnce(&mut UserAgentConfig) {
    move |config| config.session_timer.interval = Some(seconds)
}

//= https://www.rfc-editor.org/rfc/rfc4028#section-7.2
//= type=test
//# It is RECOMMENDED that this refresh be sent once half the session
//# interval has elapsed.
//= https://www.rfc-editor.org/rfc/rfc4028#section-7.4
//= type=test
//# If a UAC knows that its peer supports the UPDATE method, it is
//# RECOMMENDED that UPDATE be used instead of a re-INVITE.
//= https://www.rfc-editor.org/rfc/rfc4028#section-7.4
//= type=test
//# In a session refresh request sent within a dialog with an active session
//# timer, the Session-Expires header field SHOULD be present.
//= https://www.rfc-editor.org/rfc/rfc4028#section-7.4
//= type=test
//# If the session refresh request is not the initial one, it is RECOMMENDED
//# that the refresher parameter be set to 'uac' if the element sending the
//# request is currently performing refreshes, and to 'uas' if its peer is
//# performing the refreshes.
//= https://www.rfc-editor.org/rfc/rfc4028#section-9
//= type=test
//# The UAS MUST set the value of the refresher parameter in the
//# Session-Expires header field in the 2xx response.
//= https://www.rfc-editor.org/rfc/rfc4028#section-7.2
//= type=test
//# If it does, the UAC MUST look for the Session-Expires header field to
//# process the response.
//= https://www.rfc-editor.org/rfc/rfc4028#section-9
//= type=test
//# If UA wishes to continue with the session beyond the session expiration,
//# it MUST generate a refresh before the session expiration.
//= https://www.rfc-editor.org/rfc/rfc4028#section-4
//= type=test
//# In other words, SIP entities MUST be prepared to handle Session-Expires
//# header field values of any duration greater than 90 seconds, but
//# entities that insert the Session-Expires header field SHOULD NOT choose
//# values of less than 30 minutes.
//= https://www.rfc-editor.org/rfc/rfc4028#section-7.4
//= type=test
//# The values of Supported, Require, and Proxy-Require used in the initial
//# Session refresh request MUST be used.
#[test]
fn the_caller_refreshes_with_update() {
    let mut world = World::new(1);
    let (alice, bob) = (world.phone_with(1, timed(120)), world.phone(2));
    let (ours, theirs) = world.established(alice, bob, 1, 2);
    world.run_for(Duration::from_secs(200));
    let updates = world.sent().iter().filter(|what| *what == "1>2 UPDATE").count();
    assert_eq!(updates, 3, "{}", world.ladder());
    let update = world.last("UPDATE");
    assert_eq!(update.field(Header::SessionExpires), Some(&b"120;refresher=uac"[..]));
    assert!(update.body().is_empty());
    assert_eq!(update.field(Header::Supported), world.last("INVITE").field(Header::Supported));
    assert_eq!(update.field(Header::Require), world.last("INVITE").field(Header::Require));
    for (node, call) in [(alice, ours), (bob, theirs)] {
        let refreshed = world.log.iter().filter(|happened| {
            happened.node == node
                && matches!(&happened.event, sip_dialog::Event::Call { call: of, event: CallEvent::Refreshed } if *of == call)
        });
        assert_eq!(refreshed.count(), 3);
    }
    world.hang_up(bob, theirs);
    assert_eq!(world.end_of(alice, ours), EndCause::PeerHungUp);
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc4028#section-10
//= type=test
//# Similarly, if the side not performing refreshes does not receive a
//# session refresh request before the session expiration, it SHOULD send a
//# BYE to terminate the session, slightly before the session expiration.
//= https://www.rfc-editor.org/rfc/rfc4028#section-10
//= type=test
//# The minimum of 32 seconds and one third of the session interval is
//# RECOMMENDED.
#[test]
fn a_session_that_is_not_refreshed_ends() {
    let mut world = World::new(2);
    let (alice, bob) = (world.phone_with(1, timed(120)), world.phone(2));
    let (ours, theirs) = world.established(alice, bob, 1, 2);
    let start = world.now();
    world.net.set_filter(|_| Fate::Lose);
    assert_eq!(world.end_of(bob, theirs), EndCause::SessionExpired);
    // From the 200, which was on its way a little before.
    assert_eq!((world.now() - start + Duration::from_millis(100)).as_secs(), 120 - 32);
    assert_eq!(world.end_of(alice, ours), EndCause::Lost(status(408)));
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc4028#section-9
//= type=test
//# When sending the 422 response, the UAS MUST include a Min-SE header
//# field with the value of its minimum interval.
//= https://www.rfc-editor.org/rfc/rfc4028#section-7.3
//= type=test
//# If the response to a session refresh request is a 422 (Session Interval
//# Too Small) response message, then the UAC MAY retry the request.
//= https://www.rfc-editor.org/rfc/rfc4028#section-7.4
//= type=test
//# Similarly, if no dialog has been established yet, a UAC MUST insert the
//# Min-SE header field into an INVITE request if it has ever received a 422
//# response to a previous INVITE request with the same Call-ID.
//= https://www.rfc-editor.org/rfc/rfc4028#section-6
//= type=test
//# The 422 response MUST contain a Min-SE header field with the minimum
//# timer for that server.
//= https://www.rfc-editor.org/rfc/rfc4028#section-9
//= type=test
//# The value MUST NOT be set to a duration lower than the value in the
//# Min-SE header field in the request, if it is present.
#[test]
fn an_interval_too_small_is_tried_again_with_what_it_takes() {
    let mut world = World::new(3);
    let (alice, bob) =
        (world.phone_with(1, timed(100)), world.phone_with(2, |config| config.session_timer.min_se = 300));
    let ours = world.call(alice, 1, 2);
    let theirs = world.incoming(bob);
    assert_eq!(world.last("422").field(Header::MinSe), Some(&b"300"[..]));
    let again = world.last("INVITE");
    assert_eq!(again.field(Header::SessionExpires), Some(&b"300"[..]));
    assert_eq!(again.field(Header::MinSe), Some(&b"300"[..]));
    world.accept(bob, theirs).unwrap();
    world.until_confirmed(bob, theirs);
    world.hang_up(alice, ours);
    world.finish();
}

#[test]
fn an_interval_that_is_never_long_enough_ends_the_call() {
    let mut world = World::new(31);
    let (alice, raw) = (world.phone_with(1, timed(100)), world.raw(2));
    let ours = world.call(alice, 1, 2);
    for n in 0..6 {
        let (tx, invite) = world.request_at(raw);
        world.respond(raw, tx, &invite, 422, |builder| builder.header(Header::MinSe, 200 + n));
    }
    assert_eq!(world.end_of(alice, ours), EndCause::PeerRejected(status(422)));
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc4028#section-7.4
//= type=test
//# It is RECOMMENDED that the UPDATE request not contain an offer [4], but
//# a re-INVITE SHOULD contain one, even if the details of the session have
//# not changed.
//= https://www.rfc-editor.org/rfc/rfc4028#section-7.4
//= type=test
//# In that case, the offer MUST indicate that it has not changed.
#[test]
fn without_update_the_refresh_is_a_reinvite_with_the_last_session() {
    let mut world = World::new(4);
    let (alice, raw) = (world.phone_with(1, timed(90)), world.raw(2));
    let ours = world.call(alice, 1, 2);
    let (tx, invite) = world.request_at(raw);
    world.respond(raw, tx, &invite, 200, |builder| {
        builder
            .header(Header::Contact, "<sip:2@192.0.2.2>")
            .header(Header::SessionExpires, "90;refresher=uac")
            .header(Header::Require, "timer")
            .header(Header::Allow, "INVITE, ACK, BYE")
            .body("application/sdp", ANSWER)
    });
    world.until_confirmed(alice, ours);
    let (tx, refresh) = world.request_at(raw);
    assert_eq!((refresh.method(), refresh.body()), (Some(sip_message::Method::Invite), OFFER));
    world.respond(raw, tx, &refresh, 200, |builder| {
        builder.header(Header::Contact, "<sip:2@192.0.2.2>").body("application/sdp", ANSWER)
    });
    world.until_call(alice, ours, |event| matches!(event, CallEvent::Refreshed).then_some(()));
    world.hang_up(alice, ours);
    let (bye, request) = world.request_at(raw);
    world.respond(raw, bye, &request, 200, |builder| builder);
    world.finish();
}

#[test]
fn a_call_may_only_last_so_long() {
    let mut world = World::new(5);
    let alice = world.phone_with(1, |config| config.call_length = Some(Duration::from_secs(60)));
    let bob = world.phone(2);
    let (ours, theirs) = world.established(alice, bob, 1, 2);
    assert_eq!(world.end_of(alice, ours), EndCause::TooLong);
    assert_eq!(world.end_of(bob, theirs), EndCause::PeerHungUp);
    assert_eq!(world.now().as_micros() / 1_000_000, 60);
    world.finish();
}
