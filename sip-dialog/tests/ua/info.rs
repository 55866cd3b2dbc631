//! INFO and its packages (RFC 6086), in early dialogs, and where they are said.

use super::forks::branch;
use crate::common::*;
use sip_dialog::{Body, CallEvent, CommandError, EndCause, Event, Progress, Reply, SubscriptionEvent};
use sip_message::{Header, Message, Method};

fn field(message: &Message, header: Header) -> Option<String> {
    message.field(header).map(|value| String::from_utf8(value.to_vec()).unwrap())
}

/// A request of the peer whose tag is `from`, to a telephone with `to`.
fn asks(method: Method<'_>, (from, to): (&str, &str), call_id: &str, cseq: u32) -> sip_message::RequestBuilder {
    Message::request(method, "sip:1@192.0.2.1")
        .header(Header::From, from)
        .header(Header::To, to)
        .header(Header::CallId, call_id)
        .cseq(cseq)
        .header(Header::Contact, "<sip:2@192.0.2.2>")
}

//= https://www.rfc-editor.org/rfc/rfc6086#section-4.2.1
//= type=test
//# Due to the possibility of forking, the UA that sends the initial INVITE
//# request MUST be prepared to receive INFO requests from multiple remote
//# UAs during the early dialog phase.
//= https://www.rfc-editor.org/rfc/rfc6086#section-4.3.2
//= type=test
//# A UA MUST NOT include a message body associated with an Info Package in
//# an INFO response.
#[test]
fn several_early_dialogs_may_send_info() {
    let mut world = World::new(1);
    let (alice, raw) = (world.phone_with(1, |config| config.info_packages = vec!["nil".into()]), world.raw(2));
    let ours = world.call(alice, 1, 2);
    let (tx, invite) = world.request_at(raw);
    let to = field(&invite, Header::From).unwrap();
    for (n, tag) in [(1, "one"), (2, "two"), (1, "one")] {
        if world.sent().iter().filter(|what| what.ends_with("180")).count() < 2 {
            branch(&mut world, raw, tx, &invite, 180, tag, b"");
            world.until_call(alice, ours, |event| matches!(event, CallEvent::Progress { .. }).then_some(()));
        }
        let from = format!("<sip:2@192.0.2.2>;tag={tag}");
        let number = world.now().as_micros() as u32;
        let info = asks(Method::Info, (&from, &to), invite.call_id().unwrap(), number)
            .header(Header::InfoPackage, "nil")
            .body("text/plain", format!("{n}"))
            .build()
            .unwrap();
        let sent = world.send(raw, info);
        let ok = world.final_of(raw, sent);
        assert_eq!((ok.status(), ok.body()), (Some(status(200)), &b""[..]));
        world.until_call(alice, ours, |event| match event {
            CallEvent::Info { message } => Some(assert_eq!(message.body(), format!("{n}").as_bytes())),
            _ => None,
        });
    }
    branch(&mut world, raw, tx, &invite, 486, "one", b"");
    assert_eq!(world.end_of(alice, ours), EndCause::PeerRejected(status(486)));
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc6086#section-5.2.3
//= type=test
//# The receiver of a request that contains a Recv-Info header field MUST
//# include a Recv-Info header field in a reliable 18x/2xx response to the
//# request, even if the request contains an empty Recv-Info header field,
//# and even if the header field value of the receiver has not changed since
//# the previous time it sent a Recv-Info header field.
//= https://www.rfc-editor.org/rfc/rfc6086#section-5.2.3
//= type=test
//# A UA MUST NOT include a Recv-Info header field in a response if the
//# associated request did not contain a Recv-Info header field.
//= https://www.rfc-editor.org/rfc/rfc6086#section-5.2.3
//= type=test
//# As with SDP answers, the receiver can include the same Recv-Info header
//# field value in multiple responses (18x/2xx) for the same
//# INVITE/re-INVITE transaction, but the receiver MUST use the same
//# Recv-Info header field value (if included) in all responses for the same
//# transaction.
//= https://www.rfc-editor.org/rfc/rfc6086#section-5.2.4
//= type=test
//# If the receiver of a request that contains a Recv-Info header field
//# rejects the request, both the sender and receiver of the request MUST
//# roll back to the set of Info Packages that was used before the request
//# was sent.
//= https://www.rfc-editor.org/rfc/rfc6086#section-4.3.2
//= type=test
//# Message bodies associated with Info Packages MUST only be sent in INFO
//# requests.
#[test]
fn packages_are_told_in_turn_and_hold_with_what_is_accepted() {
    let mut world = World::new(2);
    let (raw, bob) = (world.raw(2), world.phone_with(1, |config| config.info_packages = vec!["nil".into()]));
    let from = "<sip:2@192.0.2.2>;tag=a";
    let request = |method, to: &str, cseq: u32, packages: Option<&str>| {
        let builder = asks(method, (from, to), "packages", cseq).header(Header::Supported, "100rel");
        let builder = match packages {
            Some(packages) => builder.header(Header::RecvInfo, packages),
            None => builder,
        };
        let offers = method == Method::Invite;
        if offers { builder.body("application/sdp", OFFER).build().unwrap() } else { builder.build().unwrap() }
    };
    let sent = world.send(raw, request(Method::Invite, "<sip:1@192.0.2.1>", 1, Some("")));
    let call = world.incoming(bob);
    let early = Progress::new(status(183)).reliable();
    world.tell(bob, |core, ep, now| core.progress(ep, now, call, early)).unwrap();
    settle(&mut world);
    let early = world.last("183");
    let to = field(&early, Header::To).unwrap();
    let rack = format!("{} 1 INVITE", field(&early, Header::RSeq).unwrap());
    let prack = asks(Method::Prack, (from, &to), "packages", 2).header(Header::RAck, rack).build().unwrap();
    let prack = world.send(raw, prack);
    assert_eq!(field(&world.final_of(raw, prack), Header::RecvInfo), None);
    world.accept(bob, call).unwrap();
    let ok = world.final_of(raw, sent);
    let told = Some("nil".to_owned());
    assert_eq!((field(&early, Header::RecvInfo), field(&ok, Header::RecvInfo)), (told.clone(), told.clone()));
    let acknowledge = |world: &mut World, cseq: u32| {
        let ack = asks(Method::Ack, (from, &to), "packages", cseq).build().unwrap();
        let now = world.now();
        let endpoint = sim::Host::endpoint(world.net.host(raw));
        endpoint.send(now, ack, sip_transaction::Destination::route()).unwrap();
        settle(world);
    };
    acknowledge(&mut world, 1);
    let info = |world: &mut World, package: &'static str| {
        let body = Body::new("text/plain", "x");
        world.tell(bob, |core, ep, now| core.info(ep, now, call, Some(package), body)).map(|_| ())
    };
    assert_eq!(info(&mut world, "weather"), Err(CommandError::NotSupported), "an empty list");
    // Refused, and as before; accepted, and so from then on; and without a list nothing changes.
    for (cseq, packages, taken, may) in [
        (3, Some("weather"), false, false),
        (4, Some("weather"), true, true),
        (5, None, true, true),
        (6, Some("nil"), true, false),
    ] {
        let again = world.send(raw, request(Method::Invite, &to, cseq, packages));
        world.until_call(bob, call, |event| matches!(event, CallEvent::Offer { .. }).then_some(()));
        world
            .tell(bob, |core, ep, now| match taken {
                true => core.answer(ep, now, call, answer()),
                false => core.refuse(ep, now, call, status(488), Reply::new()),
            })
            .unwrap();
        let answer = world.final_of(raw, again);
        assert_eq!(field(&answer, Header::RecvInfo), told.clone().filter(|_| taken && packages.is_some()));
        if taken {
            acknowledge(&mut world, cseq);
        }
        assert_eq!(info(&mut world, "weather").is_ok(), may, "after {packages:?}, {taken}");
        if may {
            let (tx, request) = world.request_at(raw);
            assert_eq!(
                (request.method(), field(&request, Header::InfoPackage)),
                (Some(Method::Info), Some("weather".into()))
            );
            world.respond(raw, tx, &request, 200, |builder| builder);
        }
    }
    let with_package = |message: &Message| {
        message.has(Header::InfoPackage)
            || field(message, Header::ContentDisposition).is_some_and(|value| value.starts_with("Info-Package"))
    };
    let wrong =
        world.messages().into_iter().filter(|message| with_package(message) && message.method() != Some(Method::Info));
    assert_eq!(wrong.count(), 0);
    world.hang_up(bob, call);
    let (tx, bye) = world.request_at(raw);
    world.respond(raw, tx, &bye, 200, |builder| builder);
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc6665#section-4.4.4
//= type=test
//# Any user agent that can act as a notifier for one or more event
//# packages SHOULD include an appropriate "Allow-Events" header field
//# indicating all supported events in all methods which initiate dialogs
//# and their responses (such as INVITE) and OPTIONS responses.
#[test]
fn a_notifier_says_of_what_in_each_call() {
    let mut world = World::new(4);
    let both = |config: &mut sip_dialog::UserAgentConfig| config.packages = vec!["presence".into(), "dialog".into()];
    let (alice, bob) = (world.phone_with(1, both), world.phone(2));
    let (ours, _) = world.established(alice, bob, 1, 2);
    assert_eq!(field(&world.last("INVITE"), Header::AllowEvents).as_deref(), Some("presence, dialog"));
    assert_eq!(field(&world.last("200"), Header::AllowEvents), None, "who is no notifier");
    world.hang_up(alice, ours);
    world.established(bob, alice, 2, 1);
    assert_eq!(field(&world.last("200"), Header::AllowEvents).as_deref(), Some("presence, dialog"));
    let options = sip_dialog::OutgoingRequest::options(origin(2), "sip:1@192.0.2.1");
    world.tell(bob, |core, ep, now| core.request(ep, now, options)).unwrap();
    settle(&mut world);
    let answer = world.last("200");
    assert_eq!(answer.cseq().unwrap().method, Method::Options);
    let said: Vec<_> = answer.fields(Header::AllowEvents).collect();
    assert_eq!(said, [b"presence, dialog"]);
    world.tell(bob, |core, ep, now| core.end_all(ep, now));
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc6228#section-4
//= type=test
//# If multiple usages [RFC5057] are used within an early dialog, and it is
//# not clear which dialog usage the 199 response terminates, SIP entities
//# that keep dialog state SHALL NOT release resources associated with the
//# early dialog when they receive the 199 response.
#[test]
fn a_subscription_in_an_early_dialog_outlives_a_199() {
    let mut world = World::new(3);
    let (alice, raw) = (world.phone_with(1, |config| config.packages.push("presence".into())), world.raw(2));
    let ours = world.call(alice, 1, 2);
    let (tx, invite) = world.request_at(raw);
    branch(&mut world, raw, tx, &invite, 180, "one", b"");
    let dialog = world.until_call(alice, ours, |event| match event {
        CallEvent::Progress { dialog, .. } => *dialog,
        _ => None,
    });
    let to = field(&invite, Header::From).unwrap();
    let subscribe = asks(Method::Subscribe, ("<sip:2@192.0.2.2>;tag=one", &to), invite.call_id().unwrap(), 1);
    let sent = world.send(raw, subscribe.header(Header::Event, "presence").build().unwrap());
    let sub = world.until(alice, |event| match event {
        Event::Subscription { subscription, event: SubscriptionEvent::Incoming { .. } } => Some(*subscription),
        _ => None,
    });
    let state = || Some(Body::new("text/plain", "here"));
    world.tell(alice, |core, ep, now| core.accept_subscription(ep, now, sub, false, None, state())).unwrap();
    assert_eq!(world.final_of(raw, sent).status(), Some(status(200)));
    let (notify, request) = world.request_at(raw);
    world.respond(raw, notify, &request, 200, |builder| builder);
    branch(&mut world, raw, tx, &invite, 199, "one", b"");
    world.until_call(alice, ours, |event| matches!(event, CallEvent::ForkEnded { .. }).then_some(()));
    assert!(world.tell(alice, |core, _, _| core.dialog(dialog).is_some()), "the subscription has it still");
    world.tell(alice, |core, ep, now| core.notify(ep, now, sub, state())).unwrap();
    let (notify, request) = world.request_at(raw);
    assert_eq!(request.method(), Some(Method::Notify));
    world.respond(raw, notify, &request, 481, |builder| builder);
    branch(&mut world, raw, tx, &invite, 486, "two", b"");
    assert_eq!(world.end_of(alice, ours), EndCause::PeerRejected(status(486)));
    world.finish();
}
