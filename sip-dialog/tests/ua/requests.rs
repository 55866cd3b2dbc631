//! Requests of their own: MESSAGE, OPTIONS, INFO, DTMF, unknown methods; and what is answered without asking anybody.

use crate::common::*;
use sip_dialog::{
    Body, CallEvent, CommandError, Event, ExtraHeaders, OutgoingRequest, Reply, RequestEvent, RequestId, Tone,
};
use sip_message::headers::RetryAfter;
use sip_message::{Header, Message, Method};
use sip_transaction::EndpointConfig;
use std::time::Duration;

fn ended(world: &mut World, node: sim::NodeId, id: RequestId) -> (u16, Option<Box<Message>>) {
    world.until(node, |event| match event {
        Event::Request { request, event: RequestEvent::Ended { status, message } } if *request == id => {
            Some((status.code(), message.clone()))
        }
        _ => None,
    })
}

fn incoming(world: &mut World, node: sim::NodeId) -> (RequestId, Box<Message>) {
    world.until(node, |event| match event {
        Event::Request { request, event: RequestEvent::Incoming { message, .. } } => Some((*request, message.clone())),
        _ => None,
    })
}

//= https://www.rfc-editor.org/rfc/rfc3428#section-4
//= type=test
//# All UACs which support the MESSAGE method MUST be prepared to send
//# MESSAGE requests with a body of type text/plain.
//= https://www.rfc-editor.org/rfc/rfc3428#section-7
//= type=test
//# A 2xx response to a MESSAGE request MUST NOT contain a body.
//= https://www.rfc-editor.org/rfc/rfc3428#section-7
//= type=test
//# A UAS MUST NOT insert a Contact header field into a 2xx response.
#[test]
fn a_message_is_answered_by_the_host() {
    let mut world = World::new(1);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let hello = OutgoingRequest::message(origin(1), "sip:2@192.0.2.2", Body::new("text/plain", "hello"));
    let placed = hello.clone().header("m", "<sip:1@192.0.2.1>");
    let refused = world.tell(alice, |core, ep, now| core.request(ep, now, placed));
    assert_eq!(refused, Err(CommandError::HeaderNotAllowed));
    let id = world.tell(alice, |core, ep, now| core.request(ep, now, hello)).unwrap();
    let (theirs, message) = incoming(&mut world, bob);
    assert_eq!((message.method(), message.body()), (Some(Method::Message), &b"hello"[..]));
    assert!(!message.has(Header::Contact));
    let early = world.tell(bob, |core, ep, now| core.respond(ep, now, theirs, status(180), Reply::new()));
    assert_eq!(early, Err(CommandError::BadStatus));
    let chatty = Reply::new().body(Body::new("text/plain", "hello yourself"));
    let refused = world.tell(bob, |core, ep, now| core.respond(ep, now, theirs, status(200), chatty));
    assert_eq!(refused, Err(CommandError::BodyNotAllowed));
    let placed = Reply::new().header("contact", "<sip:2@192.0.2.2>");
    let refused = world.tell(bob, |core, ep, now| core.respond(ep, now, theirs, status(200), placed));
    assert_eq!(refused, Err(CommandError::HeaderNotAllowed));
    world.tell(bob, |core, ep, now| core.respond(ep, now, theirs, status(202), Reply::new())).unwrap();
    assert_eq!(ended(&mut world, alice, id).0, 202);
    assert!(!world.last("202").has(Header::Contact));
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-11.2
//= type=test
//# Allow, Accept, Accept-Encoding, Accept-Language, and Supported header
//# fields SHOULD be present in a 200 (OK) response to an OPTIONS request.
//= https://www.rfc-editor.org/rfc/rfc3261#section-11.2
//= type=test
//# The response code chosen MUST be the same that would have been chosen
//# had the request been an INVITE.
//= https://www.rfc-editor.org/rfc/rfc6665#section-4.4.4
//= type=test
//# The "Allow-Events" header field, if present, MUST include a
//# comprehensive and inclusive list of tokens that indicates the event
//# packages for which the user agent can act as a notifier.
//= https://www.rfc-editor.org/rfc/rfc3261#section-11
//= type=test
//# All UAs MUST support the OPTIONS method.
//= https://www.rfc-editor.org/rfc/rfc3261#section-20.5
//= type=test
//# All methods, including ACK and CANCEL, understood by the UA MUST be
//# included in the list of methods in the Allow header field, when present.
#[test]
fn options_tells_what_a_call_would_meet() {
    let mut world = World::new(2);
    let alice = world.phone(1);
    let bob = world.phone_with(2, |config| {
        config.limits.calls = Some(1);
        config.packages = vec!["presence".into(), "dialog".into()];
    });
    let ask = |world: &mut World| {
        let options = OutgoingRequest::options(origin(1), "sip:2@192.0.2.2");
        let id = world.tell(alice, |core, ep, now| core.request(ep, now, options)).unwrap();
        ended(world, alice, id)
    };
    let (code, message) = ask(&mut world);
    assert_eq!(code, 200);
    let message = message.unwrap();
    for header in [Header::Allow, Header::Accept, Header::AcceptEncoding, Header::AcceptLanguage, Header::Supported] {
        assert!(message.has(header), "{header}");
    }
    assert_eq!(message.field(Header::AllowEvents), Some(&b"presence, dialog"[..]));
    let allow = String::from_utf8(message.field(Header::Allow).unwrap().to_vec()).unwrap();
    for method in
        ["INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "PRACK", "UPDATE", "INFO", "REFER", "SUBSCRIBE", "NOTIFY"]
    {
        assert!(allow.split(", ").any(|listed| listed == method), "{method} in {allow}");
    }
    let (ours, theirs) = world.established(alice, bob, 1, 2);
    assert_eq!(ask(&mut world).0, 486);
    let second = world.call(alice, 1, 2);
    assert_eq!(world.end_of(alice, second), sip_dialog::EndCause::PeerRejected(status(486)));
    world.hang_up(alice, ours);
    world.end_of(bob, theirs);
    world.finish();
}

/// Without it, a 503 is a 500 to whoever gets it (RFC 3261 section 21.5.4).
#[test]
fn a_503_for_a_limit_says_when_to_come_again() {
    for (seed, products) in [(21, ["", ""]), (22, ["phone/1", ""]), (23, ["phone/1", "stack/1"])] {
        let mut world = World::new(seed);
        let raw = world.raw(1);
        let mut below = EndpointConfig::default();
        below.product = products[1].into();
        let _bob = world.phone_on(2, below, |config| {
            config.product = products[0].into();
            config.limits.requests = Some(0);
            config.limits.subscriptions = Some(0);
            config.packages = vec!["presence".into()];
        });
        for method in [Method::Message, Method::Subscribe] {
            let request = Message::request(method, "sip:2@192.0.2.2").header(Header::From, "<sip:1@192.0.2.1>;tag=a");
            let request =
                request.header(Header::To, "<sip:2@192.0.2.2>").header(Header::CallId, method.as_str()).cseq(1);
            let request = request.header(Header::Contact, "<sip:1@192.0.2.1>").header(Header::Event, "presence");
            let tx = world.send(raw, request.build().unwrap());
            let refused = world.final_of(raw, tx);
            assert_eq!(refused.status(), Some(status(503)), "{method}");
            let after = refused.value::<RetryAfter<'_>>(Header::RetryAfter).unwrap().unwrap();
            assert!((5..=15).contains(&after.seconds()), "{method}");
        }
        world.finish();
    }
}

//= https://www.rfc-editor.org/rfc/rfc6086#section-4.2.2
//= type=test
//# If a UA receives an INFO request associated with an Info Package that
//# the UA has not indicated willingness to receive, the UA MUST send a 469
//# (Bad Info Package) response (see Section 11.6), which contains a
//# Recv-Info header field with Info Packages for which the UA is willing to
//# receive INFO requests.
//= https://www.rfc-editor.org/rfc/rfc6086#section-4.2.2
//= type=test
//# Otherwise, if the INFO request is syntactically correct and well
//# structured, the UA MUST send a 200 (OK) response.
//= https://www.rfc-editor.org/rfc/rfc6086#section-5.2.2
//= type=test
//# For a specific dialog usage, a UA MUST NOT send an INFO request
//# associated with an Info Package until it has received an indication that
//# the remote UA is willing to receive INFO requests for that Info Package,
//# or after the UA has received an indication that the remote UA is no
//# longer willing to receive INFO requests associated with that Info
//# Package.
//= https://www.rfc-editor.org/rfc/rfc6086#section-5.2.2
//= type=test
//# If a UA is not willing to receive INFO requests for any Info Packages,
//# during dialog establishment or later during the invite dialog usage, the
//# UA MUST indicate this by including an empty Recv-Info header field.
//= https://www.rfc-editor.org/rfc/rfc6086#section-5.2.3
//= type=test
//# The sender of an initial INVITE request MUST include a Recv-Info header
//# field in the initial INVITE request, even if the sender is not willing
//# to receive INFO requests associated with any Info Package.
//= https://www.rfc-editor.org/rfc/rfc6086#section-4.2.1
//= type=test
//# When a UA sends an INFO request associated with a legacy INFO usage,
//# there is no Info Package associated with the request, and the UA MUST
//# NOT include an Info-Package header field in the request.
//= https://www.rfc-editor.org/rfc/rfc6086#section-4.2.1
//= type=test
//# The INFO request MUST NOT contain a Recv-Info header field.
//= https://www.rfc-editor.org/rfc/rfc6086#section-4.2.1
//= type=test
//# A UA MUST NOT send an INFO request outside an invite dialog usage and
//# MUST NOT send an INFO request for an Info Package inside an invite
//# dialog usage if the remote UA has not indicated willingness to receive
//# that Info Package within that dialog.
//= https://www.rfc-editor.org/rfc/rfc6086#section-4.2.1
//= type=test
//# If a UA receives a 469 (Bad Info Package) response to an INFO request,
//# based on RFC 5057 [RFC5057], the response represents a Transaction Only
//# failure, and the UA MUST NOT terminate the invite dialog usage.
//= https://www.rfc-editor.org/rfc/rfc6086#section-4.2.2
//= type=test
//# The UA MUST NOT use the response to update the set of Info Packages, but
//# simply to indicate the current set.
//= https://www.rfc-editor.org/rfc/rfc6086#section-5.2.2
//= type=test
//# A UA that supports the Info Package mechanism MUST indicate, using the
//# Recv-Info header field, the set of Info Packages for which it is willing
//# to receive INFO requests for a specific session.
//= https://www.rfc-editor.org/rfc/rfc6086#section-5.2.2
//= type=test
//# A UA MUST use the Recv-Info header field in order to indicate that it
//# supports the Info Package mechanism.
//= https://www.rfc-editor.org/rfc/rfc6086#section-5.2.2
//= type=test
//# Once a UA has indicated that it is willing to receive INFO requests for
//# a specific Info Package, and a dialog has been established, the UA MUST
//# be prepared to receive INFO requests associated with that Info Package
//# until the UA indicates that it is no longer willing to receive INFO
//# requests associated with that Info Package.
#[test]
fn info_and_dtmf_in_a_call() {
    let mut world = World::new(3);
    let (alice, bob) = (world.phone(1), world.phone_with(2, |config| config.info_packages = vec!["nil".into()]));
    let (ours, theirs) = world.established(alice, bob, 1, 2);
    let tone = Tone::new('#').unwrap();
    let id = world.tell(alice, |core, ep, now| core.dtmf(ep, now, ours, tone, Duration::from_millis(160))).unwrap();
    world.until_call(bob, theirs, |event| match event {
        CallEvent::Dtmf { tone, duration, .. } => {
            assert_eq!((tone.as_char(), *duration), ('#', Some(Duration::from_millis(160))));
            Some(())
        }
        _ => None,
    });
    assert_eq!(ended(&mut world, alice, id).0, 200);
    let id =
        world.tell(alice, |core, ep, now| core.info(ep, now, ours, Some("nil"), Body::new("text/plain", "x"))).unwrap();
    world.until_call(bob, theirs, |event| matches!(event, CallEvent::Info { .. }).then_some(()));
    assert_eq!(ended(&mut world, alice, id).0, 200);
    // What the peer has not listed is not sent, unless by a host that will have it so.
    assert_eq!(world.last("INVITE").field(Header::RecvInfo), Some(&b""[..]));
    let body = Body::new("text/plain", "x");
    let refused = world.tell(alice, |core, ep, now| core.info(ep, now, ours, Some("other"), body.clone()));
    assert_eq!(refused, Err(CommandError::NotSupported));
    let mut headers = ExtraHeaders::new();
    headers.push("Info-Package", "other");
    let id = world
        .tell(alice, |core, ep, now| core.request_in_call(ep, now, ours, Method::Info, Some(body), headers))
        .unwrap();
    let (code, message) = ended(&mut world, alice, id);
    assert_eq!((code, message.unwrap().field(Header::RecvInfo)), (469, Some(&b"nil"[..])));
    assert!(world.tell(alice, |core, _, _| core.call(ours)).is_some(), "a 469 leaves the call alone");
    world.hang_up(alice, ours);
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3428#section-4
//= type=test
//# MESSAGE requests do not initiate dialogs.  User Agents MUST NOT
//# insert Contact header fields into MESSAGE requests.
#[test]
fn a_message_has_no_contact_in_a_call_or_outside() {
    let mut world = World::new(60);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let (ours, _) = world.established(alice, bob, 1, 2);
    let text = || Body::new("text/plain", "hello");
    let hello = OutgoingRequest::message(origin(1), "sip:2@192.0.2.2", text());
    world.tell(alice, |core, ep, now| core.request(ep, now, hello)).unwrap();
    let inside =
        |core: &mut sip_dialog::UserAgentCore, ep: &mut sip_transaction::Endpoint, now, headers: ExtraHeaders| {
            core.request_in_call(ep, now, ours, Method::Message, Some(text()), headers)
        };
    world.tell(alice, |core, ep, now| inside(core, ep, now, ExtraHeaders::new())).unwrap();
    let own = ExtraHeaders::new().with("Contact", "<sip:1@192.0.2.1>");
    let refused = world.tell(alice, |core, ep, now| inside(core, ep, now, own));
    assert_eq!(refused, Err(CommandError::HeaderNotAllowed));
    for _ in 0..2 {
        let (id, message) = incoming(&mut world, bob);
        assert_eq!((message.method(), message.has(Header::Contact)), (Some(Method::Message), false));
        world.tell(bob, |core, ep, now| core.respond(ep, now, id, status(200), Reply::new())).unwrap();
    }
    world.hang_up(alice, ours);
    world.finish();
}

#[test]
fn a_message_in_a_call_says_which_call() {
    let mut world = World::new(4);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let (ours, theirs) = world.established(alice, bob, 1, 2);
    let body = Some(Body::new("text/plain", "hi"));
    let id = world
        .tell(bob, |core, ep, now| core.request_in_call(ep, now, theirs, Method::Message, body, ExtraHeaders::new()));
    let id = id.unwrap();
    let got = world.until(alice, |event| match event {
        Event::Request { request, event: RequestEvent::Incoming { call, .. } } => Some((*request, *call)),
        _ => None,
    });
    assert_eq!(got.1, Some(ours));
    world.tell(alice, |core, ep, now| core.unknown_method(ep, now, got.0)).unwrap();
    let (code, message) = ended(&mut world, bob, id);
    assert_eq!(code, 405);
    assert!(message.unwrap().has(Header::Allow));
    let bad =
        world.tell(alice, |core, ep, now| core.request_in_call(ep, now, ours, Method::Bye, None, ExtraHeaders::new()));
    assert_eq!(bad, Err(CommandError::NotSupported));
    world.hang_up(alice, ours);
    world.finish();
}

/// What no builder makes: the tag of To is no token.
fn with_a_tag_that_is_none(builder: sip_message::RequestBuilder) -> Message {
    let bytes = builder.build().unwrap().to_bytes();
    let text = String::from_utf8(bytes.to_vec()).unwrap().replace(";tag=none", ";tag=\"none\"");
    Message::parse(text.into_bytes().into()).unwrap()
}

fn hand_made(method: Method<'_>, cseq: u32, to: &str) -> sip_message::RequestBuilder {
    Message::request(method, "sip:2@192.0.2.2")
        .header(Header::From, "<sip:1@192.0.2.1>;tag=a")
        .header(Header::To, to)
        .header(Header::CallId, "call")
        .cseq(cseq)
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.2
//= type=test
//# If the UAS wishes to reject the request because it does not wish to
//# recreate the dialog, it MUST respond to the request with a 481
//# (Call/Transaction Does Not Exist) status code and pass that to the
//# server transaction.
//= https://www.rfc-editor.org/rfc/rfc3261#section-15.1.2
//= type=test
//# If the BYE does not match an existing dialog, the UAS core SHOULD
//# generate a 481 (Call/Transaction Does Not Exist) response and pass that
//# to the server transaction.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.2.2
//= type=test
//# If the From tag, Call-ID, and CSeq exactly match those associated with
//# an ongoing transaction, but the request does not match that transaction
//# (based on the matching rules in Section 17.2.3), the UAS core SHOULD
//# generate a 482 (Loop Detected) response and pass it to the server
//# transaction.
//= https://www.rfc-editor.org/rfc/rfc3891#section-3
//= type=test
//# If more than one Replaces header field is present in an INVITE, or if a
//# Replaces header field is present in a request other than INVITE, the UAS
//# MUST reject the request with a 400 Bad Request response.
//= https://www.rfc-editor.org/rfc/rfc3515#section-2.4.2
//= type=test
//# An agent responding to a REFER method MUST return a 400 (Bad Request) if
//# the request contained zero or more than one Refer-To header field
//# values.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.2.2
//= type=test
//# If the request has no tag in the To header field, the UAS core MUST
//# check the request against ongoing transactions.
//= https://www.rfc-editor.org/rfc/rfc3891#section-3
//= type=test
//# Likewise, if the Replaces header field matches a dialog which was not
//# created with an INVITE, the UAS MUST reject the request with a 481
//# response.
//= https://www.rfc-editor.org/rfc/rfc3891#section-3
//= type=test
//# If both a Replaces header field and another header field with
//# contradictory semantics are present in a request, the request MUST be
//# rejected with a 400 "Bad Request" response.
//= https://www.rfc-editor.org/rfc/rfc3515#section-2.4.4
//= type=test
//# If a SUBSCRIBE request for event refer is received for a subscription
//# that does not already exist, it MUST be rejected with a 403.
#[test]
fn what_belongs_nowhere_is_refused() {
    let mut world = World::new(5);
    let (raw, bob) = (world.raw(1), world.phone(2));
    let contact = "<sip:1@192.0.2.1>";
    let cases: Vec<(Message, u16)> = vec![
        (hand_made(Method::Bye, 1, "<sip:2@192.0.2.2>;tag=none").build().unwrap(), 481),
        (hand_made(Method::Bye, 2, "<sip:2@192.0.2.2>").build().unwrap(), 481),
        (hand_made(Method::Info, 3, "<sip:2@192.0.2.2>;tag=none").build().unwrap(), 481),
        (hand_made(Method::Invite, 4, "<sip:2@192.0.2.2>").build().unwrap(), 400),
        // Whether it belongs to a dialog cannot be read.
        (with_a_tag_that_is_none(hand_made(Method::Message, 61, "<sip:2@192.0.2.2>;tag=none")), 400),
        (
            hand_made(Method::Invite, 5, "<sip:2@192.0.2.2>")
                .header(Header::Contact, contact)
                .header(Header::Require, "teleport")
                .build()
                .unwrap(),
            420,
        ),
        (
            hand_made(Method::Invite, 6, "<sip:2@192.0.2.2>")
                .header(Header::Contact, contact)
                .header("Replaces", "x;to-tag=1;from-tag=2")
                .build()
                .unwrap(),
            481,
        ),
        (
            hand_made(Method::Invite, 60, "<sip:2@192.0.2.2>")
                .header(Header::Contact, contact)
                .header("Replaces", "x;to-tag=1;from-tag=2")
                .header("Join", "x;to-tag=1;from-tag=2")
                .build()
                .unwrap(),
            400,
        ),
        (
            hand_made(Method::Options, 62, "<sip:2@192.0.2.2>")
                .header("Replaces", "x;to-tag=1;from-tag=2")
                .build()
                .unwrap(),
            400,
        ),
        (
            hand_made(Method::Message, 63, "<sip:2@192.0.2.2>")
                .header("Join", "x;to-tag=1;from-tag=2")
                .build()
                .unwrap(),
            400,
        ),
        (
            hand_made(Method::Subscribe, 70, "<sip:2@192.0.2.2>")
                .header(Header::Contact, contact)
                .header(Header::Event, "refer")
                .build()
                .unwrap(),
            403,
        ),
        (
            hand_made(Method::Subscribe, 7, "<sip:2@192.0.2.2>")
                .header(Header::Contact, contact)
                .header(Header::Event, "presence")
                .build()
                .unwrap(),
            489,
        ),
        (
            hand_made(Method::Notify, 8, "<sip:2@192.0.2.2>;tag=x")
                .header(Header::Contact, contact)
                .header(Header::Event, "presence")
                .header(Header::SubscriptionState, "active")
                .build()
                .unwrap(),
            481,
        ),
        (hand_made(Method::Refer, 9, "<sip:2@192.0.2.2>").header(Header::Contact, contact).build().unwrap(), 400),
    ];
    for (request, code) in cases {
        let title = format!("{request:?}");
        let tx = world.send(raw, request);
        assert_eq!(world.final_of(raw, tx).status(), Some(status(code)), "{title}");
    }
    // The same INVITE over another way is merged; a BYE numbered too low is late.
    let invite = || {
        hand_made(Method::Invite, 20, "<sip:2@192.0.2.2>")
            .header(Header::Contact, contact)
            .body("application/sdp", OFFER)
            .build()
            .unwrap()
    };
    let first = world.send(raw, invite());
    let theirs = world.incoming(bob);
    let second = world.send(raw, invite());
    assert_eq!(world.final_of(raw, second).status(), Some(status(482)));
    world.accept(bob, theirs).unwrap();
    let tag = world.final_of(raw, first).to().unwrap().tag().unwrap().unwrap().to_owned();
    let to = format!("<sip:2@192.0.2.2>;tag={tag}");
    let late = world.send(raw, hand_made(Method::Info, 19, &to).build().unwrap());
    assert_eq!(world.final_of(raw, late).status(), Some(status(500)));
    let far = world.send(raw, hand_made(Method::Bye, 400, &to).build().unwrap());
    assert_eq!(world.final_of(raw, far).status(), Some(status(200)));
    assert_eq!(world.end_of(bob, theirs), sip_dialog::EndCause::PeerHungUp);
    world.finish();
}

#[test]
fn an_endpoint_may_be_shared() {
    let mut world = World::new(6);
    let (raw, bob) =
        (world.raw(1), world.phone_with(2, |config| config.serves = sip_dialog::Serves::Users(vec!["2".into()])));
    let mut other = hand_made(Method::Options, 1, "<sip:9@192.0.2.2>").build().unwrap();
    other.set_request_uri("sip:9@192.0.2.2").unwrap();
    world.send(raw, other);
    world.run_for(Duration::from_millis(50));
    let handed_on = world.below.iter().find_map(|(node, event)| match event {
        sip_transaction::Event::Request { tx, message, .. } if *node == bob => Some((*tx, message.clone())),
        _ => None,
    });
    let (tx, message) = handed_on.expect("not the user agent's to answer");
    let now = world.now();
    let answer = Message::response(&message, status(404)).to_tag("t").build().unwrap();
    world.tell(bob, |_, ep, _| ep.respond(now, tx, answer)).unwrap();
    let mine = hand_made(Method::Options, 2, "<sip:2@192.0.2.2>").build().unwrap();
    let tx = world.send(raw, mine);
    assert_eq!(world.final_of(raw, tx).status(), Some(status(200)));
    world.run_for(Duration::from_secs(40));
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.1
//= type=test
//# If the request that initiated the dialog contained a SIPS URI in the
//# Request-URI or in the top Record-Route header field value, if there was
//# any, or the Contact header field if there was no Record-Route header
//# field, the Contact header field in the response MUST be a SIPS URI.
//= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.2
//= type=test
//# If the request has a Request-URI or a topmost Route header field value
//# with a SIPS URI, the Contact header field MUST contain a SIPS URI.
//= https://www.rfc-editor.org/rfc/rfc3261#section-12.2.1.1
//= type=test
//# If the "secure" flag is true, that URI MUST be a SIPS URI.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1.8
//= type=test
//# If the Request-URI or top Route header field value contains a SIPS URI,
//# the Contact header field MUST contain a SIPS URI as well.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1.2
//= type=test
//# Any implementation that supports TLS MUST support the SIPS URI scheme.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.2
//= type=test
//# Independent of which URI is used as input to the procedures of [4], if
//# the Request-URI specifies a SIPS resource, the UAC MUST follow the
//# procedures of [4] as if the input URI were a SIPS URI.
//= https://www.rfc-editor.org/rfc/rfc3261#section-26.3.1
//= type=test
//# All SIP elements that support TLS MUST also support the SIPS URI scheme.
#[test]
fn a_call_to_a_sips_uri_has_sips_contacts() {
    let mut world = World::new(7);
    let (raw, bob) = (world.raw(1), world.phone(2));
    let mut secure = hand_made(Method::Invite, 1, "<sip:2@192.0.2.2>")
        .header(Header::Contact, "<sips:1@192.0.2.1>")
        .body("application/sdp", OFFER)
        .build()
        .unwrap();
    secure.set(Header::RecordRoute, "<sips:192.0.2.1;lr>").unwrap();
    let tx = world.send(raw, secure);
    let theirs = world.incoming(bob);
    world.accept(bob, theirs).unwrap();
    let ok = world.final_of(raw, tx);
    assert_eq!(ok.field(Header::Contact), Some(&b"<sips:2@192.0.2.2>"[..]));
    world.run_for(Duration::from_secs(40));
    let alice = world.phone(3);
    // Nothing here speaks TLS, so it goes nowhere: not by the URI, not by the route of a proxy, and not over a flow without TLS.
    let flow = world.flow_of(alice);
    let path = world.tell(alice, |_, ep, _| ep.flow_path(flow)).unwrap();
    let over = sip_transaction::Path { remote: "192.0.2.1:5060".parse().unwrap(), ..path };
    let sent = world.sent().len();
    for who in [origin(3), origin(3).route("<sip:192.0.2.1;lr>"), origin(3).path(over)] {
        let to_sips = sip_dialog::Invite::new(who, "sips:2@192.0.2.1").body(offer());
        if let Ok(call) = world.tell(alice, |core, ep, now| core.invite(ep, now, to_sips)) {
            assert_eq!(world.end_of(alice, call), sip_dialog::EndCause::Unreachable);
        }
    }
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.sent()[sent..].iter().filter(|what| what.starts_with("3>")).count(), 0, "{}", world.ladder());
    world.end_of(bob, theirs);
    world.finish();
}

/// A telephone that is switched off leaves nothing behind, at either side.
#[test]
fn everything_may_be_ended_at_once() {
    let mut world = World::new(40);
    let (alice, bob) = (world.phone(1), world.phone_with(2, |config| config.packages.push("presence".into())));
    world.established(alice, bob, 1, 2);
    let waiting = world.call(bob, 2, 1);
    world.incoming(alice);
    for accepted in [true, false] {
        let subscribe = sip_dialog::Subscribe::new(origin(1), "sip:2@192.0.2.2", "presence");
        world.tell(alice, |core, ep, now| core.subscribe(ep, now, subscribe)).unwrap();
        let theirs = world.until(bob, |event| match event {
            Event::Subscription { subscription, event: sip_dialog::SubscriptionEvent::Incoming { .. } } => {
                Some(*subscription)
            }
            _ => None,
        });
        if accepted {
            let state = Some(Body::new("text/plain", "x"));
            world.tell(bob, |core, ep, now| core.accept_subscription(ep, now, theirs, false, None, state)).unwrap();
        }
    }
    let hello = OutgoingRequest::message(origin(1), "sip:2@192.0.2.2", Body::new("text/plain", "hello"));
    let asked = world.tell(alice, |core, ep, now| core.request(ep, now, hello)).unwrap();
    incoming(&mut world, bob);
    settle(&mut world);
    assert_eq!(world.tell(alice, |core, _, _| (core.live_calls().count(), core.live_subscriptions().count())), (2, 2));
    world.tell(bob, |core, ep, now| core.end_all(ep, now));
    assert_eq!(ended(&mut world, alice, asked).0, 503);
    assert_eq!(world.end_of(bob, waiting), sip_dialog::EndCause::Cancelled);
    world.finish();
}

/// RFC 4475 sections 3.1.2.4 and 3.1.2.17: a number too large, and a method that is another's.
#[test]
fn a_cseq_that_cannot_be_is_answered_400() {
    for product in ["", "Phone/1.0"] {
        let mut world = World::new(41);
        let (raw, bob) = (world.raw(1), world.phone_with(2, |config| config.product = product.to_owned()));
        let (flow, remote) = (world.flow_of(bob), "192.0.2.1:5060".parse().unwrap());
        let cases = [("OPTIONS", "36893488147419103232 OPTIONS"), ("OPTIONS", "1 INVITE"), ("INVITE", "x INVITE")];
        for (n, (method, cseq)) in cases.into_iter().enumerate() {
            let bytes = format!(
                "{method} sip:2@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{n}\r\nMax-Forwards: 70\r\n\
                 From: <sip:1@192.0.2.1>;tag=a\r\nTo: <sip:2@192.0.2.2>\r\nCall-ID: {n}\r\nCSeq: {cseq}\r\n\
                 Contact: <sip:1@192.0.2.1>\r\nContent-Length: 0\r\n\r\n"
            );
            let now = world.now();
            let input = sip_transaction::Input::Datagram { flow, remote, bytes: bytes.as_bytes() };
            world.net.host(bob).agent().handle_input(now, input).unwrap();
            world.run_for(Duration::from_millis(100));
            let answer = world.last("400");
            assert_eq!(answer.field(Header::CallId), Some(n.to_string().as_bytes()), "{method} {cseq}");
            assert_eq!(answer.field(Header::CSeq), Some(cseq.as_bytes()));
        }
        let _ = raw;
        world.finish();
    }
}
