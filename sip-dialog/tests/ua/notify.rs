//! What SUBSCRIBE and NOTIFY say, and what ends a subscription (RFC 6665).

use crate::common::*;
use sip_dialog::{Body, Event, Subscribe, SubscriptionEnd, SubscriptionEvent, SubscriptionId, UserAgentConfig};
use sip_message::headers::{DeltaSeconds, SubscriptionState};
use sip_message::{Header, Message, Method};
use std::time::Duration;

fn presence(config: &mut UserAgentConfig) {
    config.packages.push("presence".into());
}

fn subscribe(world: &mut World, alice: sim::NodeId) -> SubscriptionId {
    let subscribe = Subscribe::new(origin(1), "sip:2@192.0.2.2", "presence;id=7").expires(100);
    world.tell(alice, |core, ep, now| core.subscribe(ep, now, subscribe)).unwrap()
}

fn ended(world: &mut World, node: sim::NodeId, id: SubscriptionId) -> SubscriptionEnd {
    world.until(node, |event| match event {
        Event::Subscription { subscription, event: SubscriptionEvent::Ended { cause, .. } } if *subscription == id => {
            Some(*cause)
        }
        _ => None,
    })
}

fn expires(message: &Message) -> u32 {
    message.value::<DeltaSeconds>(Header::Expires).unwrap().unwrap().0
}

//= https://www.rfc-editor.org/rfc/rfc6665#section-3.1.1
//= type=test
//# The period of time in the response MAY be shorter but MUST NOT be longer
//# than specified in the request.
//= https://www.rfc-editor.org/rfc/rfc6665#section-3.2.1
//= type=test
//# As in SUBSCRIBE requests, NOTIFY request "Event" header fields MUST
//# contain a single event package name for which a notification is being
//# generated.
//= https://www.rfc-editor.org/rfc/rfc6665#section-4.2.1
//= type=test
//# Notifiers MUST NOT create subscriptions except upon receipt of a
//# SUBSCRIBE request.
//= https://www.rfc-editor.org/rfc/rfc6665#section-4.2.1.1
//= type=test
//# The "Expires" values present in SUBSCRIBE 200-class responses behave in
//# the same way as they do in REGISTER responses: the server MAY shorten
//# the interval but MUST NOT lengthen it.
//= https://www.rfc-editor.org/rfc/rfc6665#section-4.2.1.2
//= type=test
//# Upon successfully accepting or refreshing a subscription, notifiers MUST
//# send a NOTIFY request immediately to communicate the current resource
//# state to the subscriber.
//= https://www.rfc-editor.org/rfc/rfc6665#section-4.2.1.4
//= type=test
//# As with the initial subscription, the server MAY shorten the amount of
//# time until expiration but MUST NOT increase it.
//= https://www.rfc-editor.org/rfc/rfc6665#section-4.2.2
//= type=test
//# When a SUBSCRIBE request is answered with a 200-class response, the
//# notifier MUST immediately construct and send a NOTIFY request to the
//# subscriber.
//= https://www.rfc-editor.org/rfc/rfc6665#section-4.2.2
//= type=test
//# NOTIFY requests MUST contain a "Subscription-State" header field with a
//# value of "active", "pending", or "terminated".
//= https://www.rfc-editor.org/rfc/rfc6665#section-B.6
//= type=test
//# Changed strength of including of "expires" in a NOTIFY from "SHOULD" to
//# "MUST" in Section 4.2.2.
//= https://www.rfc-editor.org/rfc/rfc6665#section-4.2.2
//= type=test
//# If the value of the "Subscription-State" header field is "active" or
//# "pending", the notifier MUST also include in the "Subscription-State"
//# header field an "expires" parameter that indicates the time remaining on
//# the subscription.
//= https://www.rfc-editor.org/rfc/rfc6665#section-4.2.2
//= type=test
//# The notifier MAY use this mechanism to shorten a subscription; however,
//# this mechanism MUST NOT be used to lengthen a subscription.
//= https://www.rfc-editor.org/rfc/rfc6665#section-4.5.2
//= type=test
//# Subscribers MUST NOT attempt to reuse dialogs whose remote target is a
//# GRUU.
//= https://www.rfc-editor.org/rfc/rfc6665#section-4.5.2
//= type=test
//# If an "id" parameter is present in the SUBSCRIBE request used to
//# establish a subscription, that "id" parameter MUST also be present in
//# all corresponding NOTIFY requests.
//= https://www.rfc-editor.org/rfc/rfc6665#section-4.5.2
//= type=test
//# When a subscriber refreshes the subscription timer, the SUBSCRIBE
//# request MUST contain the same "Event" header field "id" parameter as was
//# present in the SUBSCRIBE request that created the subscription.
//= https://www.rfc-editor.org/rfc/rfc6665#section-8.2.1
//= type=test
//# It MUST NOT appear in any other SIP requests and MUST NOT appear in
//# responses.
//= https://www.rfc-editor.org/rfc/rfc6665#section-8.2.3
//= type=test
//# They MUST NOT appear in other SIP requests or responses.
//= https://www.rfc-editor.org/rfc/rfc6665#section-8.3.1
//= type=test
//# Implementations conformant with the current specification MUST treat an
//# incoming 202 response as identical to a 200 response and MUST NOT
//# generate 202 response codes to SUBSCRIBE or NOTIFY requests.
//= https://www.rfc-editor.org/rfc/rfc6665#section-8.3.1
//= type=test
//# Implementations compliant with the present document MUST NOT send a 202
//# response to a SUBSCRIBE request and will send an alternate success
//# response (such as 200) in its stead.
#[test]
fn every_message_says_which_subscription_and_how_long() {
    let mut world = World::new(1);
    let (alice, bob) = (world.phone(1), world.phone_with(2, presence));
    let (call, theirs_too) = world.established(alice, bob, 1, 2);
    let ours = subscribe(&mut world, alice);
    let theirs = world.until(bob, |event| match event {
        Event::Subscription { subscription, event: SubscriptionEvent::Incoming { .. } } => Some(*subscription),
        _ => None,
    });
    let state = Some(Body::new("text/plain", "one"));
    // More than was asked for is not granted.
    world.tell(bob, |core, ep, now| core.accept_subscription(ep, now, theirs, false, Some(500), state)).unwrap();
    world.run_for(Duration::from_secs(95));
    world.tell(alice, |core, ep, now| core.unsubscribe(ep, now, ours)).unwrap();
    assert_eq!(ended(&mut world, bob, theirs), SubscriptionEnd::PeerUnsubscribed);
    assert_eq!(ended(&mut world, alice, ours), SubscriptionEnd::Unsubscribed);
    let messages = world.messages();
    let of = |method: Method<'static>| messages.iter().filter(move |message| message.method() == Some(method));
    let invite = of(Method::Invite).next().unwrap();
    assert!(of(Method::Subscribe).all(|subscribe| subscribe.call_id().unwrap() != invite.call_id().unwrap()));
    assert_eq!(of(Method::Subscribe).count(), 3, "made, refreshed, ended");
    for message in of(Method::Subscribe).chain(of(Method::Notify)) {
        let events: Vec<_> = message.fields(Header::Event).collect();
        assert_eq!(events, [b"presence;id=7"]);
    }
    let mut last = 100;
    for notify in of(Method::Notify) {
        let value = notify.value::<SubscriptionState<'_>>(Header::SubscriptionState).unwrap().unwrap();
        let text = String::from_utf8(notify.field(Header::SubscriptionState).unwrap().to_vec()).unwrap();
        match value.expires().unwrap() {
            Some(left) => {
                assert!(text.starts_with("active;") && left <= 100, "{text}");
                last = left;
            }
            None => assert!(text.starts_with("terminated"), "{text}"),
        }
    }
    assert!(last <= 100);
    for answer in messages.iter().filter(|message| message.cseq().is_ok_and(|cseq| cseq.method == Method::Subscribe)) {
        assert!(answer.status().is_none_or(|status| status.code() == 200 && expires(answer) <= 100), "{answer:?}");
        assert!(!answer.has(Header::SubscriptionState));
    }
    for answer in messages.iter().filter(|message| message.status().is_some()) {
        assert!(!answer.has(Header::Event) && !answer.has(Header::SubscriptionState), "{answer:?}");
    }
    // Each 200 is followed by a NOTIFY at once, unasked.
    let sent = world.sent();
    for (n, what) in sent.iter().enumerate().filter(|(_, what)| what.ends_with("SUBSCRIBE")) {
        let next: Vec<_> = sent[n + 1..].iter().take(2).collect();
        assert_eq!(next, ["2>1 200", "2>1 NOTIFY"], "{what}");
    }
    world.hang_up(alice, call);
    world.end_of(bob, theirs_too);
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc6665#section-4.2.2
//= type=test
//# If the NOTIFY transaction fails due to the receipt of a 404, 405, 410,
//# 416, 480-485, 489, 501, or 604 response to the NOTIFY request, the
//# notifier MUST remove the corresponding subscription.
#[test]
fn a_refused_notify_ends_the_subscription() {
    let mut world = World::new(2);
    let (raw, bob) = (world.raw(1), world.phone_with(2, presence));
    for (n, code) in [404u16, 405, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604].into_iter().enumerate() {
        let request = Message::request(Method::Subscribe, "sip:2@192.0.2.2")
            .header(Header::From, format!("<sip:1@192.0.2.1>;tag=s{n}"))
            .header(Header::To, "<sip:2@192.0.2.2>")
            .header(Header::CallId, format!("sub{n}"))
            .cseq(1)
            .header(Header::Contact, "<sip:1@192.0.2.1>")
            .header(Header::Event, "presence")
            .header(Header::Expires, 600)
            .build()
            .unwrap();
        let tx = world.send(raw, request);
        let theirs = world.until(bob, |event| match event {
            Event::Subscription { subscription, event: SubscriptionEvent::Incoming { .. } } => Some(*subscription),
            _ => None,
        });
        world.tell(bob, |core, ep, now| core.accept_subscription(ep, now, theirs, false, None, None)).unwrap();
        assert_eq!(world.final_of(raw, tx).status(), Some(status(200)));
        let (tx, notify) = world.request_at(raw);
        world.respond(raw, tx, &notify, code, |builder| builder);
        assert_eq!(ended(&mut world, bob, theirs), SubscriptionEnd::Lost(status(code)));
    }
    world.finish();
}

/// A NOTIFY of the subscription that this SUBSCRIBE made.
fn notify(request: &Message, n: u32, state: &str) -> Message {
    let to = request.from().unwrap();
    Message::request(Method::Notify, "sip:1@192.0.2.1")
        .header(Header::From, "<sip:2@192.0.2.2>;tag=raw")
        .header(Header::To, format!("<{}>;tag={}", to.uri().unwrap(), to.tag().unwrap().unwrap()))
        .header(Header::CallId, request.call_id().unwrap())
        .cseq(n)
        .header(Header::Contact, "<sip:2@192.0.2.2>")
        .header(Header::Event, "presence;id=7")
        .header(Header::SubscriptionState, state)
        .build()
        .unwrap()
}

//= https://www.rfc-editor.org/rfc/rfc6665#section-4.1.2.2
//= type=test
//# If a SUBSCRIBE request to refresh a subscription receives a 404, 405,
//# 410, 416, 480-485, 489, 501, or 604 response, the subscriber MUST
//# consider the subscription terminated.
//= https://www.rfc-editor.org/rfc/rfc6665#section-4.1.3
//= type=test
//# NOTIFY requests MUST contain "Subscription-State" header fields that
//# indicate the status of the subscription.
//= https://www.rfc-editor.org/rfc/rfc6665#section-4.1.3
//= type=test
//# The "expires" parameter has no semantics for "terminated" -- notifiers
//# SHOULD NOT include an "expires" parameter on a "Subscription-State"
//# header field with a value of "terminated", and subscribers MUST ignore
//# any such parameter, if present.
//= https://www.rfc-editor.org/rfc/rfc6665#section-4.1.3
//= type=test
//# In particular, subscribers MUST NOT wait for a user response before
//# returning a final response to a NOTIFY request.
//= https://www.rfc-editor.org/rfc/rfc6665#section-8.3.1
//= type=test
//# Implementations conformant with the current specification MUST treat an
//# incoming 202 response as identical to a 200 response and MUST NOT
//# generate 202 response codes to SUBSCRIBE or NOTIFY requests.
#[test]
fn a_refused_refresh_ends_it_and_an_older_202_does_not() {
    let mut world = World::new(3);
    let (alice, raw) = (world.phone(1), world.raw(2));
    for code in [404u16, 405, 410, 416, 480, 482, 489, 501, 604] {
        let ours = subscribe(&mut world, alice);
        let (tx, request) = world.request_at(raw);
        world.respond(raw, tx, &request, 202, |builder| {
            builder.header(Header::Expires, 100).header(Header::Contact, "<sip:2@192.0.2.2>")
        });
        // Answered at once, whatever the host thinks of it; an `expires` of what is over would mean nothing.
        let tx = world.send(raw, notify(&request, 1, "active;expires=60"));
        assert_eq!(world.final_of(raw, tx).status(), Some(status(200)));
        let (tx, refresh) = world.request_at(raw);
        assert_eq!(refresh.field(Header::Event), Some(&b"presence;id=7"[..]));
        world.respond(raw, tx, &refresh, code, |builder| builder);
        assert_eq!(ended(&mut world, alice, ours), SubscriptionEnd::Lost(status(code)));
    }
    let ours = subscribe(&mut world, alice);
    let (tx, request) = world.request_at(raw);
    world.respond(raw, tx, &request, 200, |builder| {
        builder.header(Header::Expires, 100).header(Header::Contact, "<sip:2@192.0.2.2>")
    });
    let bare = notify(&request, 1, "active");
    let mut without = bare.clone();
    without.remove(Header::SubscriptionState);
    let tx = world.send(raw, without);
    assert_eq!(world.final_of(raw, tx).status(), Some(status(400)));
    let tx = world.send(raw, notify(&request, 2, "terminated;expires=3600"));
    assert_eq!(world.final_of(raw, tx).status(), Some(status(200)));
    assert_eq!(ended(&mut world, alice, ours), SubscriptionEnd::Terminated { retry: Some(Duration::ZERO) });
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc6665#section-4.1.2.2
//= type=test
//# If the subscriber receives a success response to the SUBSCRIBE request
//# that indicates that no NOTIFY request will be generated -- such as the
//# 204 response defined for use with the optional extension described in
//# [RFC5839] -- then it MUST cancel Timer N.
#[test]
fn nobody_waits_for_a_notify_that_was_called_off() {
    let mut world = World::new(4);
    let (alice, raw) = (world.phone(1), world.raw(2));
    let ours = subscribe(&mut world, alice);
    let (tx, request) = world.request_at(raw);
    world.respond(raw, tx, &request, 204, |builder| {
        builder.header(Header::Expires, 1000).header(Header::Contact, "<sip:2@192.0.2.2>")
    });
    assert_eq!(ended(&mut world, alice, ours), SubscriptionEnd::Suppressed, "not that nobody notified in time");
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc6665#section-4.6
//= type=test
//# If a User Agent Server (UAS) receives a CANCEL request that matches a
//# known SUBSCRIBE or NOTIFY transaction, it MUST respond to the CANCEL
//# request, but otherwise ignore it.
//= https://www.rfc-editor.org/rfc/rfc6665#section-4.6
//= type=test
//# In particular, the CANCEL request MUST NOT affect processing of the
//# SUBSCRIBE or NOTIFY request in any way.
#[test]
fn a_cancel_of_a_subscribe_is_answered_and_nothing_more() {
    let mut world = World::new(20);
    let (alice, bob) = (world.phone(1), world.phone_with(2, presence));
    let sub = subscribe(&mut world, alice);
    let theirs = world.until(bob, |event| match event {
        Event::Subscription { subscription, event: SubscriptionEvent::Incoming { .. } } => Some(*subscription),
        _ => None,
    });
    let text = String::from_utf8(world.last("SUBSCRIBE").to_bytes().to_vec()).unwrap();
    let field = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    let cancel = format!(
        "CANCEL sip:2@192.0.2.2 SIP/2.0\r\n{}\r\nMax-Forwards: 70\r\n{}\r\n{}\r\n{}\r\n{}\r\nContent-Length: 0\r\n\r\n",
        field("Via:"),
        field("From:"),
        field("To:"),
        field("Call-ID:"),
        field("CSeq:").replace("SUBSCRIBE", "CANCEL"),
    );
    let (flow, now) = (world.flow_of(bob), world.now());
    let remote = "192.0.2.1:5060".parse().unwrap();
    let input = sip_transaction::Input::Datagram { flow, remote, bytes: cancel.as_bytes() };
    world.net.host(bob).agent().handle_input(now, input).unwrap();
    settle(&mut world);
    let answered = world.last("200");
    assert_eq!(answered.cseq().unwrap().method, Method::Cancel);
    // The subscription is made as if nothing had been.
    world.tell(bob, |core, ep, now| core.accept_subscription(ep, now, theirs, false, None, None)).unwrap();
    world.until(alice, |event| match event {
        Event::Subscription { subscription, event: SubscriptionEvent::Notify { .. } } if *subscription == sub => {
            Some(())
        }
        _ => None,
    });
    world.tell(alice, |core, ep, now| core.unsubscribe(ep, now, sub)).unwrap();
    ended(&mut world, alice, sub);
    world.finish();
}

#[test]
fn a_503_to_a_notify_ends_nothing() {
    let mut world = World::new(21);
    let (raw, bob) = (world.raw(1), world.phone_with(2, presence));
    let subscribe = Message::request(Method::Subscribe, "sip:2@192.0.2.2")
        .header(Header::From, "<sip:1@192.0.2.1>;tag=a")
        .header(Header::To, "<sip:2@192.0.2.2>")
        .header(Header::CallId, "watch")
        .cseq(1)
        .header(Header::Contact, "<sip:1@192.0.2.1>")
        .header(Header::Event, "presence")
        .header(Header::Expires, 600)
        .build()
        .unwrap();
    world.send(raw, subscribe);
    let id = world.until(bob, |event| match event {
        Event::Subscription { subscription, .. } => Some(*subscription),
        _ => None,
    });
    world.tell(bob, |core, ep, now| core.accept_subscription(ep, now, id, false, None, None)).unwrap();
    let (tx, state) = world.request_at(raw);
    // Not among those of RFC 6665 section 4.2.2: the subscriber is there, and will be told the next state.
    world.respond(raw, tx, &state, 503, |builder| builder.header(Header::RetryAfter, 5));
    world.run_for(Duration::from_secs(10));
    world.tell(bob, |core, ep, now| core.notify(ep, now, id, None)).unwrap();
    let (tx, state) = world.request_at(raw);
    world.respond(raw, tx, &state, 410, |builder| builder);
    assert_eq!(ended(&mut world, bob, id), SubscriptionEnd::Lost(status(410)));
    world.finish();
}
