//! SUBSCRIBE, NOTIFY and PUBLISH (RFC 6665, RFC 3903).

use crate::common::*;
use sip_dialog::{
    Body, CommandError, Event, PublicationEnd, PublicationEvent, Publish, Subscribe, SubscriptionEnd,
    SubscriptionEvent, SubscriptionId, Termination, UserAgentConfig,
};
use sip_message::headers::EventReason;
use sip_message::{Header, Message, Method};
use std::time::Duration;

fn presence(config: &mut UserAgentConfig) {
    config.packages.push("presence".into());
}

fn until<T>(
    world: &mut World,
    node: sim::NodeId,
    wanted: impl Fn(SubscriptionId, &SubscriptionEvent) -> Option<T>,
) -> T {
    world.until(node, |event| match event {
        Event::Subscription { subscription, event } => wanted(*subscription, event),
        _ => None,
    })
}

fn subscribe(world: &mut World, alice: sim::NodeId, expires: u32) -> SubscriptionId {
    let subscribe = Subscribe::new(origin(1), "sip:2@192.0.2.2", "presence").expires(expires);
    world.tell(alice, |core, ep, now| core.subscribe(ep, now, subscribe)).unwrap()
}

fn incoming(world: &mut World, bob: sim::NodeId) -> SubscriptionId {
    until(world, bob, |id, event| matches!(event, SubscriptionEvent::Incoming { .. }).then_some(id))
}

fn notified(world: &mut World, alice: sim::NodeId, body: &str) {
    until(world, alice, |_, event| match event {
        SubscriptionEvent::Notify { message, .. } if message.body() == body.as_bytes() => Some(()),
        _ => None,
    });
}

fn state(text: &'static str) -> Option<Body> {
    Some(Body::new("text/plain", text))
}

//= https://www.rfc-editor.org/rfc/rfc6665#section-3.1.2
//= type=test
//# Subscribers MUST include exactly one "Event" header field in SUBSCRIBE
//# requests, indicating to which event or class of events they are
//# subscribing.
//= https://www.rfc-editor.org/rfc/rfc6665#section-3.1.1
//= type=test
//# 200-class responses to SUBSCRIBE requests also MUST contain an "Expires"
//# header field.
//= https://www.rfc-editor.org/rfc/rfc6665#section-3.2.1
//= type=test
//# The package name in the "Event" header field MUST match the "Event"
//# header field in the corresponding SUBSCRIBE request.
//= https://www.rfc-editor.org/rfc/rfc6665#section-4.1.3
//= type=test
//# If the "Subscription-State" value is "terminated", the subscriber MUST
//# consider the subscription terminated.
//= https://www.rfc-editor.org/rfc/rfc6665#section-4.2.1.4
//= type=test
//# As with the initial subscription, the server MAY shorten the amount of
//# time until expiration but MUST NOT increase it.
#[test]
fn both_ends_know_what_was_granted_and_a_refresh_gets_no_more() {
    let mut world = World::new(30);
    let (raw, bob) = (world.raw(1), world.phone_with(2, presence));
    let asking = |to: &str, cseq: u32, expires: u32| {
        let request = Message::request(Method::Subscribe, "sip:2@192.0.2.2").header(Header::To, to).cseq(cseq);
        let request = request.header(Header::From, "<sip:1@192.0.2.1>;tag=a").header(Header::CallId, "granted");
        let request = request.header(Header::Contact, "<sip:1@192.0.2.1>").header(Header::Event, "presence");
        request.header(Header::Expires, expires).build().unwrap()
    };
    let tx = world.send(raw, asking("<sip:2@192.0.2.2>", 1, 600));
    let theirs = incoming(&mut world, bob);
    world.tell(bob, |core, ep, now| core.accept_subscription(ep, now, theirs, false, Some(60), state("one"))).unwrap();
    let to = String::from_utf8(world.final_of(raw, tx).field(Header::To).unwrap().to_vec()).unwrap();
    let state = |world: &mut World| {
        let (tx, notify) = world.request_at(raw);
        world.respond(raw, tx, &notify, 200, |builder| builder);
        String::from_utf8(notify.field(Header::SubscriptionState).unwrap().to_vec()).unwrap()
    };
    assert_eq!(state(&mut world), "active;expires=60");
    for (cseq, asked, granted) in [(2, 7200, 60), (3, 20, 20), (4, 60, 60)] {
        let tx = world.send(raw, asking(&to, cseq, asked));
        let expires = until(&mut world, bob, |_, event| match event {
            SubscriptionEvent::Refreshed { expires, .. } => Some(expires.as_secs()),
            _ => None,
        });
        assert_eq!(expires, granted);
        let shown = world.final_of(raw, tx).field(Header::Expires).map(<[u8]>::to_vec);
        assert_eq!(shown, Some(granted.to_string().into_bytes()));
        assert_eq!(state(&mut world), format!("active;expires={granted}"));
    }
    world.run_for(Duration::from_secs(61));
    assert!(state(&mut world).starts_with("terminated"));
    world.finish();

    // And as the subscriber hears it.
    let mut world = World::new(31);
    let (alice, bob) = (world.phone(1), world.phone_with(2, presence));
    let ours = subscribe(&mut world, alice, 600);
    let theirs = incoming(&mut world, bob);
    world.tell(bob, |core, ep, now| core.accept_subscription(ep, now, theirs, false, Some(60), None)).unwrap();
    let granted = |world: &mut World| {
        until(world, alice, |_, event| match event {
            SubscriptionEvent::Accepted { expires, .. } => Some(expires.map(|time| time.as_secs())),
            _ => None,
        })
    };
    assert_eq!([granted(&mut world), granted(&mut world)], [Some(60); 2]);
    world.tell(alice, |core, ep, now| core.unsubscribe(ep, now, ours)).unwrap();
    assert_eq!(granted(&mut world), Some(0));
    world.finish();
}

#[test]
fn subscribed_notified_refreshed_ended() {
    let mut world = World::new(1);
    let (alice, bob) = (world.phone(1), world.phone_with(2, presence));
    let ours = subscribe(&mut world, alice, 600);
    let theirs = incoming(&mut world, bob);
    world.tell(bob, |core, ep, now| core.accept_subscription(ep, now, theirs, true, Some(60), state("one"))).unwrap();
    until(&mut world, alice, |_, event| match event {
        SubscriptionEvent::Notify { pending, .. } => Some(assert!(*pending)),
        _ => None,
    });
    world.tell(bob, |core, ep, now| core.notify(ep, now, theirs, state("two"))).unwrap();
    notified(&mut world, alice, "two");
    // A refresh brings the last state again.
    until(&mut world, bob, |_, event| matches!(event, SubscriptionEvent::Refreshed { .. }).then_some(()));
    assert_eq!(world.now().as_micros() / 1_000_000, 54);
    notified(&mut world, alice, "two");
    let end = Termination::new(EventReason::Noresource).body(Body::new("text/plain", "gone"));
    world.tell(bob, |core, ep, now| core.terminate(ep, now, theirs, end)).unwrap();
    notified(&mut world, alice, "gone");
    let cause = until(&mut world, alice, |id, event| match event {
        SubscriptionEvent::Ended { cause, .. } if id == ours => Some(*cause),
        _ => None,
    });
    assert_eq!(cause, SubscriptionEnd::Terminated { retry: None });
    let numbers: Vec<u32> = world
        .messages()
        .iter()
        .filter(|message| message.method() == Some(Method::Notify))
        .map(|message| message.cseq().unwrap().number)
        .collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
    world.finish();
}

#[test]
fn the_subscriber_may_end_it() {
    let mut world = World::new(2);
    let (alice, bob) = (world.phone(1), world.phone_with(2, presence));
    let ours = subscribe(&mut world, alice, 600);
    let theirs = incoming(&mut world, bob);
    world.tell(bob, |core, ep, now| core.accept_subscription(ep, now, theirs, false, None, state("one"))).unwrap();
    notified(&mut world, alice, "one");
    world.tell(alice, |core, ep, now| core.unsubscribe(ep, now, ours)).unwrap();
    let again = world.tell(alice, |core, ep, now| core.unsubscribe(ep, now, ours));
    assert_eq!(again, Err(CommandError::WrongState));
    until(&mut world, bob, |_, event| match event {
        SubscriptionEvent::Ended { cause, .. } => Some(assert_eq!(*cause, SubscriptionEnd::PeerUnsubscribed)),
        _ => None,
    });
    until(&mut world, alice, |_, event| match event {
        SubscriptionEvent::Ended { cause, .. } => Some(assert_eq!(*cause, SubscriptionEnd::Unsubscribed)),
        _ => None,
    });
    world.finish();
}

#[test]
fn refused_unanswered_and_run_out() {
    let mut world = World::new(3);
    let (alice, bob) = (world.phone(1), world.phone_with(2, presence));
    subscribe(&mut world, alice, 600);
    let theirs = incoming(&mut world, bob);
    let reply = sip_dialog::Reply::new();
    world.tell(bob, |core, ep, now| core.reject_subscription(ep, now, theirs, status(403), reply)).unwrap();
    let cause = until(&mut world, alice, |_, event| match event {
        SubscriptionEvent::Ended { cause, .. } => Some(*cause),
        _ => None,
    });
    assert_eq!(cause, SubscriptionEnd::Refused(status(403)));
    // The refreshes are lost on their way: the notifier's time runs out.
    subscribe(&mut world, alice, 60);
    let theirs = incoming(&mut world, bob);
    world.tell(bob, |core, ep, now| core.accept_subscription(ep, now, theirs, false, None, state("x"))).unwrap();
    notified(&mut world, alice, "x");
    world
        .net
        .set_filter(|packet| if packet.bytes.starts_with(b"SUBSCRIBE") { sim::Fate::Lose } else { sim::Fate::Carry });
    let cause = until(&mut world, bob, |id, event| match event {
        SubscriptionEvent::Ended { cause, .. } if id == theirs => Some(*cause),
        _ => None,
    });
    assert_eq!(cause, SubscriptionEnd::Expired);
    world.finish();
}

fn notify(request: &Message, tag: &str, state: &str) -> Message {
    let to = request.from().unwrap();
    Message::request(Method::Notify, "sip:1@192.0.2.1")
        .header(Header::From, format!("<sip:2@192.0.2.2>;tag={tag}"))
        .header(Header::To, format!("<{}>;tag={}", to.uri().unwrap(), to.tag().unwrap().unwrap()))
        .header(Header::CallId, request.call_id().unwrap())
        .cseq(1)
        .header(Header::Contact, format!("<sip:{tag}@192.0.2.2>"))
        .header(Header::Event, "presence")
        .header(Header::SubscriptionState, state)
        .build()
        .unwrap()
}

//= https://www.rfc-editor.org/rfc/rfc6665#section-4.1.2.4
//= type=test
//# Due to the potential for out-of-order messages, packet loss, and
//# forking, the subscriber MUST be prepared to receive NOTIFY requests
//# before the SUBSCRIBE transaction has completed.
//= https://www.rfc-editor.org/rfc/rfc6665#section-4.1.3
//= type=test
//# Upon receiving a NOTIFY request, the subscriber should check that it
//# matches at least one of its outstanding subscriptions; if not, it MUST
//# return a 481 (Subscription does not exist) response unless another 400-
//# or 500-class response is more appropriate.
//= https://www.rfc-editor.org/rfc/rfc6665#section-4.1.2.4
//= type=test
//# After the expiration of Timer N, the subscriber SHOULD reject any such
//# NOTIFY requests that would otherwise establish a new dialog usage with a
//# 481 (Subscription does not exist) response code.
//= https://www.rfc-editor.org/rfc/rfc6665#section-4.1.4
//= type=test
//# The subscriber MUST therefore be prepared to receive NOTIFY requests
//# with "From:" tags that differ from the "To:" tag received in the
//# SUBSCRIBE 200-class response.
#[test]
fn a_notify_may_come_first_and_from_several() {
    let mut world = World::new(4);
    let (alice, raw) = (world.phone(1), world.raw(2));
    let ours = subscribe(&mut world, alice, 600);
    let (tx, request) = world.request_at(raw);
    let first = world.send(raw, notify(&request, "a", "active;expires=500"));
    assert_eq!(world.final_of(raw, first).status(), Some(status(200)));
    world.respond(raw, tx, &request, 200, |builder| {
        builder.header(Header::Expires, 600).header(Header::Contact, "<sip:a@192.0.2.2>")
    });
    let second = world.send(raw, notify(&request, "b", "active;expires=500"));
    assert_eq!(world.final_of(raw, second).status(), Some(status(200)));
    let fork = until(&mut world, alice, |_, event| match event {
        SubscriptionEvent::Forked { subscription } => Some(*subscription),
        _ => None,
    });
    world.run_for(Duration::from_secs(40));
    let late = world.send(raw, notify(&request, "c", "active;expires=500"));
    assert_eq!(world.final_of(raw, late).status(), Some(status(481)));
    // Both go on, each in its dialog, and end by themselves.
    for id in [ours, fork] {
        world.tell(alice, |core, ep, now| core.unsubscribe(ep, now, id)).unwrap();
        let (tx, request) = world.request_at(raw);
        assert_eq!(request.field(Header::Expires), Some(&b"0"[..]));
        world.respond(raw, tx, &request, 200, |builder| builder.header(Header::Expires, 0));
    }
    world.finish();
}

#[test]
fn nothing_comes_of_a_subscription_nobody_notifies_of() {
    let mut world = World::new(5);
    let (alice, raw) = (world.phone(1), world.raw(2));
    subscribe(&mut world, alice, 600);
    let (tx, request) = world.request_at(raw);
    world.respond(raw, tx, &request, 200, |builder| builder.header(Header::Expires, 600));
    let cause = until(&mut world, alice, |_, event| match event {
        SubscriptionEvent::Ended { cause, .. } => Some(*cause),
        _ => None,
    });
    assert_eq!(cause, SubscriptionEnd::Expired);
    assert_eq!(world.now().as_micros() / 1_000_000, 32);
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3903#section-4.1
//= type=test
//# For determining the type of the published event state, the EPA MUST
//# include a single Event header field in PUBLISH requests.
//= https://www.rfc-editor.org/rfc/rfc3903#section-4.1
//= type=test
//# When updating previously published event state, PUBLISH requests MUST
//# contain a single SIP-If-Match header field identifying the specific
//# event state that the request is refreshing, modifying or removing.
//= https://www.rfc-editor.org/rfc/rfc3903#section-4.2
//= type=test
//# An initial PUBLISH request MUST NOT contain a SIP-If-Match header field.
//= https://www.rfc-editor.org/rfc/rfc3903#section-4.3
//= type=test
//# Therefore, a PUBLISH request that refreshes event state MUST NOT have a
//# body.
//= https://www.rfc-editor.org/rfc/rfc3903#section-4.5
//= type=test
//# To request the immediate removal of event state, an EPA MUST create a
//# PUBLISH request with an Expires value of "0", and set the SIP-If-Match
//# header field to contain the entity-tag of the event state publication to
//# be removed.
//= https://www.rfc-editor.org/rfc/rfc3903#section-4
//= type=test
//# EPAs MUST NOT send a new PUBLISH request (not a re-transmission) for the
//# same Request-URI, until they have received a final response from the ESC
//# for the previous one or the previous PUBLISH request has timed out.
//= https://www.rfc-editor.org/rfc/rfc3903#section-4.1
//= type=test
//# This header field MUST contain a single entity-tag that was returned by
//# the ESC in the SIP-ETag header field of the response to a previous
//# publication.
//= https://www.rfc-editor.org/rfc/rfc3903#section-4.2
//= type=test
//# An initial PUBLISH request MUST contain a body that contains the
//# published event state.
//= https://www.rfc-editor.org/rfc/rfc3903#section-4.3
//= type=test
//# To refresh a publication, the EPA MUST create a PUBLISH request that
//# includes in a SIP-If-Match header field the entity-tag of the
//# publication to be refreshed.
//= https://www.rfc-editor.org/rfc/rfc3903#section-4.4
//= type=test
//# To modify event state, the EPA MUST construct a PUBLISH request that
//# includes in a SIP-If-Match header field the entity-tag of the event
//# state publication to be modified.
//= https://www.rfc-editor.org/rfc/rfc3903#section-4.4
//= type=test
//# A PUBLISH request that modifies event state MUST contain a body that
//# includes the modified event state.
//= https://www.rfc-editor.org/rfc/rfc3903#section-4.4
//= type=test
//# The EPA MUST store this entity-tag, replacing any existing entity-tag
//# for the modified event state.
//= https://www.rfc-editor.org/rfc/rfc3903#section-4.5
//= type=test
//# Therefore, a PUBLISH request that removes event state MUST NOT contain a
//# body.
//= https://www.rfc-editor.org/rfc/rfc3903#section-5
//= type=test
//# If an EPA receives a 412 (Conditional Request Failed) response, it MUST
//# NOT reattempt the PUBLISH request.
//= https://www.rfc-editor.org/rfc/rfc3903#section-5
//= type=test
//# The EPA MUST also discard the entity-tag that produced this error
//# response.
#[test]
fn published_refreshed_changed_lost_and_removed() {
    let mut world = World::new(6);
    let (alice, raw) = (world.phone(1), world.raw(2));
    let here = Body::new("text/plain", "here");
    let publish = Publish::new(origin(1), "sip:1@192.0.2.2", "presence", here).expires(100);
    let id = world.tell(alice, |core, ep, now| core.publish(ep, now, publish)).unwrap();
    let answer = |world: &mut World, code: u16, etag: &'static str, body: &str, known: Option<&str>| {
        let (tx, request) = world.request_at(raw);
        assert_eq!(request.body(), body.as_bytes());
        assert_eq!(request.field(Header::SipIfMatch), known.map(str::as_bytes));
        assert_eq!(request.field(Header::Event), Some(&b"presence"[..]));
        let expires = String::from_utf8(request.field(Header::Expires).unwrap().to_vec()).unwrap();
        world.respond(raw, tx, &request, code, |builder| {
            let builder = builder.header(Header::Expires, expires);
            if etag.is_empty() { builder } else { builder.header(Header::SipEtag, etag) }
        });
    };
    // Changed while the first one is under way: it waits its turn.
    world.tell(alice, |core, ep, now| core.republish(ep, now, id, Body::new("text/plain", "away"))).unwrap();
    answer(&mut world, 200, "e1", "here", None);
    answer(&mut world, 200, "e2", "away", Some("e1"));
    answer(&mut world, 200, "e3", "", Some("e2"));
    answer(&mut world, 412, "", "", Some("e3"));
    answer(&mut world, 200, "e4", "away", None);
    world.run_for(Duration::from_secs(1));
    world.tell(alice, |core, ep, now| core.unpublish(ep, now, id)).unwrap();
    answer(&mut world, 200, "", "", Some("e4"));
    world.until(alice, |event| match event {
        Event::Publication { event: PublicationEvent::Ended { cause, .. }, .. } => {
            Some(assert_eq!(*cause, PublicationEnd::Removed))
        }
        _ => None,
    });
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3903#section-4
//= type=test
//# The Record-Route header field has no meaning in PUBLISH requests or
//# responses, and MUST be ignored if present.
//= https://www.rfc-editor.org/rfc/rfc3903#section-4
//= type=test
//# In particular, the UAC MUST NOT create a new route set based on the
//# presence or absence of a Record-Route header field in any response to a
//# PUBLISH request.
//= https://www.rfc-editor.org/rfc/rfc3903#section-4.3
//= type=test
//# The EPA MUST store this entity-tag, replacing any existing entity-tag
//# for the refreshed event state.
//= https://www.rfc-editor.org/rfc/rfc3903#section-14.1
//= type=test
//# ESCs and EPAs MUST implement Digest for authenticating PUBLISH requests,
//# as defined in RFC 3261 [4].
//= https://www.rfc-editor.org/rfc/rfc3903#section-14.2
//= type=test
//# Implementations MUST support Digest authentication, as defined in RFC
//# 3261 [4].
#[test]
fn a_publication_shows_credentials_and_keeps_to_its_own_route() {
    let mut world = World::new(60);
    let (alice, raw) = (world.phone(1), world.raw(2));
    world.tell(alice, |core, _, _| core.add_credentials(password("atlanta")));
    let here = Body::new("text/plain", "here");
    let publish = Publish::new(origin(1), "sip:1@192.0.2.2", "presence", here).expires(100);
    let id = world.tell(alice, |core, ep, now| core.publish(ep, now, publish)).unwrap();
    let (tx, request) = world.request_at(raw);
    world.respond(raw, tx, &request, 401, |builder| {
        builder
            .header(Header::WwwAuthenticate, "Digest realm=\"atlanta\", nonce=\"n\", algorithm=SHA-256, qop=\"auth\"")
    });
    for (etag, known) in [("e1", None), ("e2", Some("e1")), ("e3", Some("e2"))] {
        let (tx, request) = world.request_at(raw);
        assert_eq!(request.field(Header::SipIfMatch), known.map(str::as_bytes));
        let shown = String::from_utf8(request.field(Header::Authorization).unwrap().to_vec()).unwrap();
        assert!(shown.contains("username=\"alice\"") && shown.contains("algorithm=SHA-256"), "{shown}");
        assert!(!request.has(Header::Route), "nothing on the way has asked for it");
        world.respond(raw, tx, &request, 200, |builder| {
            builder
                .header(Header::Expires, 100)
                .header(Header::SipEtag, etag)
                .header(Header::RecordRoute, "<sip:elsewhere.example.com;lr>")
        });
    }
    settle(&mut world);
    world.tell(alice, |core, ep, now| core.unpublish(ep, now, id)).unwrap();
    let (tx, request) = world.request_at(raw);
    assert_eq!(request.field(Header::SipIfMatch), Some(&b"e3"[..]));
    world.respond(raw, tx, &request, 200, |builder| builder);
    world.finish();
}

#[test]
fn a_notify_that_says_nothing_of_the_state_makes_no_fork() {
    let mut world = World::new(7);
    let (alice, raw) = (world.phone(1), world.raw(2));
    let ours = subscribe(&mut world, alice, 600);
    let (tx, request) = world.request_at(raw);
    world.respond(raw, tx, &request, 200, |builder| {
        builder.header(Header::Expires, 600).header(Header::Contact, "<sip:a@192.0.2.2>")
    });
    let first = world.send(raw, notify(&request, "a", "active;expires=500"));
    assert_eq!(world.final_of(raw, first).status(), Some(status(200)));
    let mut without = notify(&request, "b", "active");
    without.remove(Header::SubscriptionState);
    let second = world.send(raw, without);
    assert_eq!(world.final_of(raw, second).status(), Some(status(400)));
    world.tell(alice, |core, ep, now| core.unsubscribe(ep, now, ours)).unwrap();
    let (tx, request) = world.request_at(raw);
    world.respond(raw, tx, &request, 200, |builder| builder.header(Header::Expires, 0));
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc6665#section-4.1.2.2
//= type=test
//# If a SUBSCRIBE request to refresh a subscription fails with any error
//# code other than those listed above, the original subscription is still
//# considered valid for the duration of the most recently known "Expires"
//# value as negotiated by the most recent successful SUBSCRIBE transaction,
//# or as communicated by a NOTIFY request in its "Subscription-State"
//# header field "expires" parameter.
#[test]
fn a_subscription_that_cannot_be_refreshed_ends_when_its_time_is_up() {
    let mut world = World::new(8);
    let (alice, raw) = (world.phone(1), world.raw(2));
    world.tell(alice, |core, _, _| core.add_credentials(password("atlanta")));
    let ours = subscribe(&mut world, alice, 600);
    let (tx, request) = world.request_at(raw);
    world.respond(raw, tx, &request, 401, |builder| {
        builder.header(Header::WwwAuthenticate, "Digest realm=\"atlanta\", nonce=\"n\", qop=\"auth\"")
    });
    let (tx, request) = world.request_at(raw);
    world.respond(raw, tx, &request, 200, |builder| {
        builder.header(Header::Expires, 600).header(Header::Contact, "<sip:a@192.0.2.2>")
    });
    let first = world.send(raw, notify(&request, "a", "active;expires=600"));
    assert_eq!(world.final_of(raw, first).status(), Some(status(200)));
    // A minute before the end, half a minute, and so on; and from the first one with the credentials that were asked for.
    let mut times = Vec::new();
    for _ in 0..5 {
        let (tx, request) = world.request_at(raw);
        assert!(request.has(Header::Authorization));
        times.push(world.now().as_micros() / 1_000_000);
        world.respond(raw, tx, &request, 503, |builder| builder);
    }
    assert_eq!(times, [540, 570, 585, 592, 596]);
    for _ in 0..3 {
        let (tx, request) = world.request_at(raw);
        world.respond(raw, tx, &request, 503, |builder| builder);
    }
    let cause = until(&mut world, alice, |id, event| match event {
        SubscriptionEvent::Ended { cause, .. } if id == ours => Some(*cause),
        _ => None,
    });
    assert_eq!(cause, SubscriptionEnd::Expired);
    assert_eq!(world.now().as_micros() / 1_000_000, 600);
    world.finish();
}

#[test]
fn a_subscription_whose_notify_comes_before_the_200_keeps_its_credentials() {
    let mut world = World::new(9);
    let (alice, raw) = (world.phone(1), world.raw(2));
    world.tell(alice, |core, _, _| core.add_credentials(password("atlanta")));
    let _ours = subscribe(&mut world, alice, 600);
    let (tx, request) = world.request_at(raw);
    world.respond(raw, tx, &request, 401, |builder| {
        builder.header(Header::WwwAuthenticate, "Digest realm=\"atlanta\", nonce=\"n\", qop=\"auth\"")
    });
    let (tx, request) = world.request_at(raw);
    let first = world.send(raw, notify(&request, "a", "active;expires=600"));
    assert_eq!(world.final_of(raw, first).status(), Some(status(200)));
    world.respond(raw, tx, &request, 200, |builder| {
        builder.header(Header::Expires, 600).to_tag("a").header(Header::Contact, "<sip:a@192.0.2.2>")
    });
    let (_, request) = world.request_at(raw);
    assert!(request.has(Header::Authorization), "shown again: {request:?}");
}
