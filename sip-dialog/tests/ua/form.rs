//! What every message of this crate looks like, and what it makes of unusual ones of others (RFC 3261 section 8).

use crate::common::*;
use sim::Host as _;
use sip_dialog::{Body, CallEvent, EndCause, Event, ExtraHeaders, Invite, Register, Reply, RequestEvent};
use sip_message::headers::Token;
use sip_message::{Header, Message, Method};
use std::collections::BTreeSet;
use std::time::Duration;

/// A call in which much is said, on both sides.
fn talk(world: &mut World) -> Vec<Message> {
    let (alice, bob) = (world.phone(1), world.phone(2));
    let ours = world.invite(alice, invite(1, 2).body(offer()).require_reliable());
    let theirs = world.incoming(bob);
    world.tell(bob, |core, ep, now| core.progress(ep, now, theirs, sip_dialog::Progress::ringing())).unwrap();
    world.until_call(alice, ours, |event| matches!(event, CallEvent::Progress { .. }).then_some(()));
    world.accept(bob, theirs).unwrap();
    world.until_confirmed(bob, theirs);
    world.tell(alice, |core, ep, now| core.update(ep, now, ours, None, ExtraHeaders::new())).unwrap();
    world.until_call(alice, ours, |event| matches!(event, CallEvent::Answered { .. }).then_some(()));
    world.tell(bob, |core, ep, now| core.info(ep, now, theirs, None, Body::new("text/plain", "x"))).unwrap();
    world.run_for(Duration::from_secs(1));
    world.hang_up(bob, theirs);
    assert_eq!(world.end_of(alice, ours), EndCause::PeerHungUp);
    world.messages()
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1.7
//= type=test
//# When the UAC creates a request, it MUST insert a Via into that request.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1.7
//= type=test
//# The protocol name and protocol version in the header field MUST be SIP
//# and 2.0, respectively.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1.7
//= type=test
//# The Via header field value MUST contain a branch parameter.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1.7
//= type=test
//# The branch parameter value MUST be unique across space and time for all
//# requests sent by the UA.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1.7
//= type=test
//# The branch ID inserted by an element compliant with this specification
//# MUST always begin with the characters "z9hG4bK".
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1.2
//= type=test
//# A request outside of a dialog MUST NOT contain a To tag; the tag in the
//# To field of a request identifies the peer of the dialog.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1.3
//= type=test
//# The From field MUST contain a new "tag" parameter, chosen by the UAC.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1.4
//= type=test
//# It MUST be the same for all requests and responses sent by either UA in
//# a dialog.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1.4
//= type=test
//# In a new request created by a UAC outside of any dialog, the Call-ID
//# header field MUST be selected by the UAC as a globally unique identifier
//# over space and time unless overridden by method-specific behavior.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1.5
//= type=test
//# The sequence number value MUST be expressible as a 32-bit unsigned
//# integer and MUST be less than 2**31.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1.8
//= type=test
//# The Contact header field MUST be present and contain exactly one SIP or
//# SIPS URI in any request that can result in the establishment of a
//# dialog.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1.8
//= type=test
//# That is, the Contact header field value contains the URI at which the UA
//# would like to receive requests, and this URI MUST be valid even if used
//# in subsequent requests outside of any dialogs.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1.9
//= type=test
//# The option tags listed MUST only refer to extensions defined in
//# standards-track RFCs.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1.9
//= type=test
//# If the UAC wishes to insist that a UAS understand an extension that the
//# UAC will apply to the request in order to process the request, it MUST
//# insert a Require header field into the request listing the option tag
//# for that extension.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1.9
//= type=test
//# As with the Supported header field, the option tags in the Require and
//# Proxy-Require header fields MUST only refer to extensions defined in
//# standards-track RFCs.
//= https://www.rfc-editor.org/rfc/rfc4028#section-7.1
//= type=test
//# A UAC that supports the session timer extension defined here MUST
//# include a Supported header field in each request (except ACK), listing
//# the option tag 'timer' [2].
//= https://www.rfc-editor.org/rfc/rfc4028#section-7.1
//= type=test
//# It MUST do so even if the UAC is not requesting usage of the session
//# timer for this session.
//= https://www.rfc-editor.org/rfc/rfc4028#section-7.1
//= type=test
//# The Supported header field containing 'timer' MUST still be included,
//# even if the Require or Proxy-Require header fields are present
//# containing 'timer'.
//= https://www.rfc-editor.org/rfc/rfc3262#section-4
//= type=test
//# A Require header with the value 100rel MUST NOT be present in any
//# requests excepting INVITE, although extensions to SIP may allow its
//# usage with other request methods.
//= https://www.rfc-editor.org/rfc/rfc3262#section-4
//= type=test
//# If the UAC does not wish to insist on usage of reliable provisional
//# responses, but merely indicate that it supports them if the UAS needs to
//# send one, a Supported header MUST be included in the request with the
//# option tag 100rel.
//= https://www.rfc-editor.org/rfc/rfc3891#section-6.2
//= type=test
//# UAs which support the Replaces header MUST include the "replaces" option
//# tag in a Supported header field.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1.2
//= type=test
//# All SIP implementations MUST support the SIP URI scheme.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.2.3
//= type=test
//# An ACK request for a 2xx response MUST contain only those Require and
//# Proxy-Require values that were present in the initial request.
//= https://www.rfc-editor.org/rfc/rfc6228#section-4
//= type=test
//# When a UAC sends an initial dialog initiation request, and if it is
//# willing to receive 199 responses, it MUST insert a "199" option-tag in
//# the Supported header field [RFC3261] of the request.
#[test]
fn requests_have_what_the_rfc_asks_for() {
    let mut world = World::new(1);
    let messages = talk(&mut world);
    let requests: Vec<&Message> = messages.iter().filter(|message| message.method().is_some()).collect();
    let mut branches = BTreeSet::new();
    let known = ["100rel", "timer", "replaces", "join", "norefersub", "tdialog", "199", "gruu"];
    for request in &requests {
        let via = request.top_via().unwrap();
        assert!(request.field(Header::Via).unwrap().starts_with(b"SIP/2.0/UDP "));
        let branch = via.branch().unwrap().unwrap();
        assert!(branch.starts_with("z9hG4bK"), "{branch}");
        assert!(branches.insert(branch.to_owned()), "{branch} twice");
        assert!(request.cseq().unwrap().number < 1 << 31);
        assert!(!request.from().unwrap().tag().unwrap().unwrap().is_empty());
        assert_eq!(request.call_id().unwrap(), requests[0].call_id().unwrap());
        assert_eq!(request.has(Header::Require), request.method() == Some(Method::Invite), "{request:?}");
        let supported: Vec<_> = request.values::<Token<'_>>(Header::Supported).map(Result::unwrap).collect();
        assert!(supported.iter().all(|tag| known.iter().any(|known| *tag == **known)), "{supported:?}");
        let timer = supported.iter().any(|tag| *tag == "timer");
        assert_eq!(timer, request.method() != Some(Method::Ack), "{request:?}");
    }
    let invite = requests[0];
    assert_eq!(invite.to().unwrap().tag().unwrap(), None);
    let contact = invite.contacts().collect::<Result<Vec<_>, _>>().unwrap();
    assert_eq!(contact.len(), 1);
    assert!(contact[0].address().unwrap().uri().unwrap().as_sip().is_some());
    assert_eq!(invite.field(Header::Require), Some(&b"100rel"[..]));
    // Another call has another Call-ID, and the phone answers at its Contact outside of the call, too.
    let again = world.phone(3);
    let call = world.call(again, 3, 1);
    world.run_for(Duration::from_millis(500));
    assert_ne!(world.last("INVITE").call_id().unwrap(), invite.call_id().unwrap());
    world.hang_up(again, call);
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.6.2
//= type=test
//# The same tag MUST be used for all responses to that request, both final
//# and provisional (again excepting the 100 (Trying)).
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.1
//= type=test
//# The Allow header field MUST list the set of methods supported by the UAS
//# generating the message.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.4
//= type=test
//# The needed extension(s) MUST be included in a Require header field in
//# the response.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.4
//= type=test
//# Any extensions applied to a non-421 response MUST be listed in a Require
//# header field included in the response.
//= https://www.rfc-editor.org/rfc/rfc4028#section-5
//= type=test
//# The Min-SE header field MUST NOT be used in responses except for those
//# with a 422 response code.
//= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.1
//= type=test
//# The URI provided in the Contact header field MUST be a SIP or SIPS URI.
#[test]
fn responses_have_what_the_rfc_asks_for() {
    let mut world = World::new(2);
    let messages = talk(&mut world);
    let to_invite = |message: &&Message| {
        message.status().is_some_and(|status| status.code() > 100)
            && message.cseq().is_ok_and(|cseq| cseq.method == Method::Invite)
    };
    let answers: Vec<&Message> = messages.iter().filter(to_invite).collect();
    let tags: BTreeSet<_> =
        answers.iter().map(|answer| answer.to().unwrap().tag().unwrap().unwrap().to_owned()).collect();
    assert_eq!((answers.len(), tags.len()), (2, 1), "180 and 200 have the same tag");
    assert_eq!(answers[0].field(Header::Require), Some(&b"100rel"[..]));
    for answer in &answers {
        let allow: Vec<_> =
            answer.values::<Method<'_>>(Header::Allow).map(|method| method.unwrap().as_str().to_owned()).collect();
        for method in ["INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "PRACK", "UPDATE", "INFO", "REFER", "NOTIFY"] {
            assert!(allow.iter().any(|allowed| allowed == method), "{method}");
        }
        assert!(!answer.has(Header::MinSe));
        let contact = answer.contacts().next().unwrap().unwrap();
        assert!(contact.address().unwrap().uri().unwrap().as_sip().is_some());
    }
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.2
//= type=test
//# If a UAS does not understand a header field in a request (that is, the
//# header field is not defined in this specification or in any supported
//# extension), the server MUST ignore that header field and continue
//# processing the message.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.2.3
//= type=test
//# These header fields MUST be ignored if they are present in these
//# requests.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.4
//= type=test
//# A UAS that wishes to apply some extension when generating the response
//# MUST NOT do so unless support for that extension is indicated in the
//# Supported header field in the request.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.4
//= type=test
//# Of course, the server MUST NOT apply extensions not listed in the
//# Supported header field in the request.
//= https://www.rfc-editor.org/rfc/rfc3262#section-3
//= type=test
//# If the request did not include either a Supported or Require header
//# field indicating this feature, the UAS MUST NOT send the provisional
//# response reliably.
//= https://www.rfc-editor.org/rfc/rfc6228#section-5
//= type=test
//# The UAS MUST also insert a Reason header field [RFC3326] that contains a
//# response code describing the reason why the early dialog was terminated.
#[test]
fn what_was_not_offered_is_not_applied() {
    let mut world = World::new(3);
    let (raw, bob) = (world.raw(1), world.phone_with(2, |config| config.session_timer.interval = Some(1800)));
    let plain = Message::request(Method::Invite, "sip:2@192.0.2.2")
        .header(Header::From, "<sip:1@192.0.2.1>;tag=a")
        .header(Header::To, "<sip:2@192.0.2.2>")
        .header(Header::CallId, "plain")
        .cseq(1)
        .header(Header::Contact, "<sip:1@192.0.2.1>")
        // Nobody knows these.
        .header("X-Mood", "sunny")
        .header("Teleport", "now;where=\"there\"")
        .body("application/sdp", OFFER)
        .build()
        .unwrap();
    let tx = world.send(raw, plain);
    let theirs = world.incoming(bob);
    let gone = sip_dialog::Progress::new(status(199)).header("Reason", "SIP;cause=480");
    let unknown = world.tell(bob, |core, ep, now| core.progress(ep, now, theirs, gone));
    assert_eq!(unknown, Err(sip_dialog::CommandError::NotSupported));
    let reliably = sip_dialog::Progress::ringing().reliable();
    world.tell(bob, |core, ep, now| core.progress(ep, now, theirs, reliably)).unwrap();
    world.accept(bob, theirs).unwrap();
    let ok = world.final_of(raw, tx);
    for answer in [&world.last("180"), &ok] {
        assert!(!answer.has(Header::Require) && !answer.has(Header::RSeq), "{answer:?}");
    }
    assert_eq!(ok.status(), Some(status(200)));
    // An ACK with a Require is as good as one without.
    let ack = Message::request(Method::Ack, "sip:2@192.0.2.2")
        .header(Header::From, "<sip:1@192.0.2.1>;tag=a")
        .copy_all(&ok, Header::To)
        .header(Header::CallId, "plain")
        .cseq(1)
        .header(Header::Require, "teleport")
        .build()
        .unwrap();
    let now = world.now();
    world.net.host(raw).endpoint().send(now, ack, sip_transaction::Destination::route()).unwrap();
    world.until_confirmed(bob, theirs);
    world.hang_up(bob, theirs);
    let (tx, bye) = world.request_at(raw);
    world.respond(raw, tx, &bye, 200, |builder| builder);
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-8.2
//= type=test
//# If a request is accepted, all state changes associated with it MUST be
//# performed.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.2
//= type=test
//# If it is rejected, all state changes MUST NOT be performed.
//= https://www.rfc-editor.org/rfc/rfc3261#section-21.4.15
//= type=test
//# The server MUST include a list of the unsupported extensions in an
//# Unsupported header field in the response.
#[test]
fn a_refused_request_changes_nothing() {
    let mut world = World::new(4);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let (ours, theirs) = world.established(alice, bob, 1, 2);
    let target = |world: &mut World| {
        world.tell(bob, |core, _, _| {
            let dialog = core.dialog(core.call(theirs).unwrap().dialog.unwrap()).unwrap();
            (dialog.remote_target().to_owned(), dialog.remote_cseq())
        })
    };
    let before = target(&mut world);
    let more = ExtraHeaders::new().with("Require", "teleport");
    world.tell(alice, |core, ep, now| core.reinvite(ep, now, ours, Some(offer()), more)).unwrap();
    let refused = world.until_call(alice, ours, |event| match event {
        CallEvent::ChangeFailed { status, .. } => Some(status.code()),
        _ => None,
    });
    assert_eq!(refused, 420);
    assert_eq!(world.last("420").field(Header::Unsupported), Some(&b"teleport"[..]));
    assert_eq!(target(&mut world), before);
    // One that is accepted does.
    world.tell(alice, |core, ep, now| core.update(ep, now, ours, None, ExtraHeaders::new())).unwrap();
    world.until_call(alice, ours, |event| matches!(event, CallEvent::Answered { .. }).then_some(()));
    assert!(target(&mut world).1 > before.1);
    world.hang_up(alice, ours);
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1.1
//= type=test
//# When a pre-existing route set is present, the procedures for populating
//# the Request-URI and Route header field detailed in Section 12.2.1.1 MUST
//# be followed (even though there is no dialog), using the desired
//# Request-URI as the remote target URI.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.2
//= type=test
//# If the first element in the route set indicated a strict router
//# (resulting in forming the request as described in Section 12.2.1.1), the
//# procedures MUST be applied to the Request-URI of the request.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.2
//= type=test
//# Unless there is local policy specifying otherwise, the destination MUST
//# be determined by applying the DNS procedures described in [4] as
//# follows.
#[test]
fn a_preset_route_decides_where_a_request_goes() {
    let mut world = World::new(5);
    let (alice, proxy) = (world.phone(1), world.raw(9));
    // A strict router gets its own URI in the request line, and the target comes last.
    for (route, line, rest) in [
        ("<sip:192.0.2.9;lr>", "INVITE sip:2@192.0.2.2", "<sip:192.0.2.9;lr>"),
        ("<sip:192.0.2.9>", "INVITE sip:192.0.2.9", "<sip:2@192.0.2.2>"),
    ] {
        let call = world.invite(alice, Invite::new(origin(1).route(route), "sip:2@192.0.2.2").body(offer()));
        let (tx, request) = world.request_at(proxy);
        assert!(world.net.trace().iter().any(|sent| sent.title() == line), "{}", world.ladder());
        assert_eq!(request.field(Header::Route), Some(rest.as_bytes()));
        world.respond(proxy, tx, &request, 404, |builder| builder);
        assert_eq!(world.end_of(alice, call), EndCause::PeerRejected(status(404)));
    }
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.3.2
//= type=test
//# A UAC MUST treat any final response it does not recognize as being
//# equivalent to the x00 response code of that class, and MUST be able to
//# process the x00 response code for all classes.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.3.2
//= type=test
//# A UAC MUST treat any provisional response different than 100 that it
//# does not recognize as 183 (Session Progress).
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.3.2
//= type=test
//# A UAC MUST be able to process 100 and 183 responses.
//= https://www.rfc-editor.org/rfc/rfc3262#section-4
//= type=test
//# If the response is a 100 (Trying) (as opposed to 101 to 199), this
//# option tag MUST be ignored, and the procedures below MUST NOT be used.
#[test]
fn strange_responses_count_as_their_class() {
    let mut world = World::new(6);
    let (alice, raw) = (world.phone(1), world.raw(2));
    let call = world.call(alice, 1, 2);
    let (tx, request) = world.request_at(raw);
    world.respond(raw, tx, &request, 100, |builder| builder.header(Header::Require, "100rel").header(Header::RSeq, 1));
    for code in [183, 188] {
        world.respond(raw, tx, &request, code, |builder| builder.header(Header::Contact, "<sip:2@192.0.2.2>"));
    }
    for expected in [183, 188] {
        let got = world.until_call(alice, call, |event| match event {
            CallEvent::Progress { message, .. } => message.status().map(|status| status.code()),
            _ => None,
        });
        assert_eq!(got, expected, "100 says nothing, the others that there is progress");
    }
    world.respond(raw, tx, &request, 499, |builder| builder);
    assert_eq!(world.end_of(alice, call), EndCause::PeerRejected(status(499)));
    assert!(!world.sent().iter().any(|what| what.ends_with("PRACK")), "100 is never reliable");
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.3
//= type=test
//# If the request contained content encodings not understood by the UAS,
//# the response MUST contain an Accept-Encoding header field listing the
//# encodings understood by the UAS.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.3
//= type=test
//# The response MUST contain an Accept header field listing the types of
//# all bodies it understands, in the event the request contained bodies of
//# types not supported by the UAS.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.3
//= type=test
//# If the request contained content with languages not understood by the
//# UAS, the response MUST contain an Accept-Language header field
//# indicating the languages understood by the UAS.
//= https://www.rfc-editor.org/rfc/rfc3261#section-21.4.13
//= type=test
//# The server MUST return a list of acceptable formats using the Accept,
//# Accept-Encoding, or Accept-Language header field, depending on the
//# specific problem with the content.
#[test]
fn bodies_nobody_understands_are_refused_with_what_is_understood() {
    let mut world = World::new(7);
    let raw = world.raw(1);
    let bob = world.phone_with(2, |config| {
        config.accept = vec!["application/sdp".into(), "text/*".into()];
        config.languages = vec!["de".into(), "fr".into()];
    });
    let carol = world.phone_with(3, |config| config.accept = vec!["*/*".into()]);
    let request = |n: u32, kind: &'static str, more: Option<(&'static str, &'static str)>| {
        let builder = Message::request(Method::Invite, "sip:2@192.0.2.2")
            .header(Header::From, format!("<sip:1@192.0.2.1>;tag=a{n}"))
            .header(Header::To, "<sip:2@192.0.2.2>")
            .header(Header::CallId, format!("body{n}"))
            .cseq(n)
            .header(Header::Contact, "<sip:1@192.0.2.1>")
            .header(Header::ContentDisposition, "session;handling=required");
        let builder = match more {
            Some((name, value)) => builder.header(name, value),
            None => builder,
        };
        builder.body(kind, OFFER).build().unwrap()
    };
    let tx = world.send(raw, request(1, "application/x-morse", None));
    let refused = world.final_of(raw, tx);
    assert_eq!(refused.status(), Some(status(415)));
    assert_eq!(refused.field(Header::Accept), Some(&b"application/sdp, text/*"[..]));
    let tx = world.send(raw, request(3, "application/sdp", Some(("Content-Encoding", "gzip"))));
    let refused = world.final_of(raw, tx);
    assert_eq!((refused.status(), refused.field(Header::AcceptEncoding)), (Some(status(415)), Some(&b"identity"[..])));
    let tx = world.send(raw, request(4, "application/sdp", Some(("Content-Language", "en, dent"))));
    let refused = world.final_of(raw, tx);
    assert_eq!((refused.status(), refused.field(Header::AcceptLanguage)), (Some(status(415)), Some(&b"de, fr"[..])));
    for (n, language) in [(5, "de"), (6, "FR-ca")] {
        let tx = world.send(raw, request(n, "application/sdp", Some(("Content-Language", language))));
        let theirs = world.incoming(bob);
        world.tell(bob, |core, ep, now| core.reject(ep, now, theirs, status(486), Reply::new())).unwrap();
        assert_eq!(world.final_of(raw, tx).status(), Some(status(486)));
    }
    let mut to_carol = request(2, "application/x-morse", None);
    to_carol.set_request_uri("sip:3@192.0.2.3").unwrap();
    let tx = world.send(raw, to_carol);
    let theirs = world.incoming(carol);
    world.tell(carol, |core, ep, now| core.reject(ep, now, theirs, status(486), Reply::new())).unwrap();
    assert_eq!(world.final_of(raw, tx).status(), Some(status(486)), "whoever takes everything decides itself");
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-10.2
//= type=test
//# The Record-Route header field has no meaning in REGISTER requests or
//# responses, and MUST be ignored if present.
//= https://www.rfc-editor.org/rfc/rfc3261#section-10.2
//= type=test
//# In particular, the UAC MUST NOT create a new route set based on the
//# presence or absence of a Record-Route header field in any response to a
//# REGISTER request.
//= https://www.rfc-editor.org/rfc/rfc3261#section-10.2
//= type=test
//# The following header fields, except Contact, MUST be included in a
//# REGISTER request.
//= https://www.rfc-editor.org/rfc/rfc3261#section-10.2
//= type=test
//# The "userinfo" and "@" components of the SIP URI MUST NOT be present.
//= https://www.rfc-editor.org/rfc/rfc3261#section-10.2
//= type=test
//# This address-of-record MUST be a SIP URI or SIPS URI.
//= https://www.rfc-editor.org/rfc/rfc3261#section-10.2
//= type=test
//# UAs MUST NOT send a new registration (that is, containing new Contact
//# header field values, as opposed to a retransmission) until they have
//# received a final response from the registrar for the previous one or the
//# previous REGISTER request has timed out.
//= https://www.rfc-editor.org/rfc/rfc5626#section-10
//= type=test
//# The value of the reg-id MUST NOT be 0 and MUST be less than 2^31.
#[test]
fn registrations_look_as_they_should() {
    let mut world = World::new(8);
    let (alice, raw) = (world.phone(1), world.raw(2));
    let register = Register::new(origin(1), "sip:somebody@192.0.2.2").expires(600);
    let id = world.tell(alice, |core, ep, now| core.register(ep, now, register)).unwrap();
    let (tx, first) = world.request_at(raw);
    assert_eq!(first.request_uri_bytes(), Some(&b"sip:192.0.2.2"[..]), "a domain, and nobody in it");
    for header in [Header::To, Header::From, Header::CallId, Header::CSeq, Header::Contact] {
        assert!(first.has(header), "{header}");
    }
    assert!(first.to().unwrap().uri().unwrap().as_sip().is_some());
    // While one is under way there is no other.
    world.run_for(Duration::from_millis(100));
    let twice = world.tell(alice, |core, ep, now| core.refresh_registration(ep, now, id));
    assert_eq!(twice, Err(sip_dialog::CommandError::Pending));
    world.run_for(Duration::from_millis(300));
    let registers = |world: &World| {
        let all = world.messages();
        all.iter().filter(|m| m.method() == Some(Method::Register)).map(|m| m.cseq().unwrap().number).collect()
    };
    let numbers: BTreeSet<u32> = registers(&world);
    assert_eq!(numbers.len(), 1, "retransmissions only");
    let contact = String::from_utf8(first.field(Header::Contact).unwrap().to_vec()).unwrap();
    world.respond(raw, tx, &first, 200, |builder| {
        builder.header(Header::Contact, contact).header(Header::RecordRoute, "<sip:192.0.2.77;lr>")
    });
    world.run_for(Duration::from_millis(100));
    world.tell(alice, |core, ep, now| core.refresh_registration(ep, now, id)).unwrap();
    let (tx, second) = world.request_at(raw);
    assert!(!second.has(Header::Route), "Record-Route means nothing here");
    world.respond(raw, tx, &second, 200, |builder| builder);
    world.tell(alice, |core, ep, now| core.unregister(ep, now, id, false)).unwrap();
    let (tx, last) = world.request_at(raw);
    world.respond(raw, tx, &last, 200, |builder| builder);
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.1
//= type=test
//# If the UAS recognizes but does not support the method of a request, it
//# MUST generate a 405 (Method Not Allowed) response.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.1
//= type=test
//# The UAS MUST also add an Allow header field to the 405 (Method Not
//# Allowed) response.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.2.1
//= type=test
//# Once a request is authenticated (or authentication is skipped), the UAS
//# MUST inspect the method of the request.
//= https://www.rfc-editor.org/rfc/rfc3261#section-21.4.6
//= type=test
//# The response MUST include an Allow header field containing a list of
//# valid methods for the indicated address.
//= https://www.rfc-editor.org/rfc/rfc3261#section-21.5.2
//= type=test
//# This is the appropriate response when a UAS does not recognize the
//# request method and is not capable of supporting it for any user.
#[test]
fn a_method_the_host_does_not_serve_is_405_or_501() {
    let mut world = World::new(9);
    let (raw, bob) = (world.raw(1), world.phone(2));
    for (method, code) in [(Method::Publish, 405), (Method::Other("DANCE"), 501)] {
        let strange = Message::request(method, "sip:2@192.0.2.2")
            .header(Header::From, "<sip:1@192.0.2.1>;tag=a")
            .header(Header::To, "<sip:2@192.0.2.2>")
            .header(Header::CallId, method.as_str())
            .cseq(1)
            .build()
            .unwrap();
        let tx = world.send(raw, strange);
        let id = world.until(bob, |event| match event {
            Event::Request { request, event: RequestEvent::Incoming { .. } } => Some(*request),
            _ => None,
        });
        world.tell(bob, |core, ep, now| core.unknown_method(ep, now, id)).unwrap();
        let refused = world.final_of(raw, tx);
        assert_eq!(refused.status(), Some(status(code)));
        assert!(refused.field(Header::Allow).is_some_and(|allow| allow.starts_with(b"INVITE, ")));
        let late = world.tell(bob, |core, ep, now| core.respond(ep, now, id, status(200), Reply::new()));
        assert_eq!(late, Err(sip_dialog::CommandError::Unknown));
    }
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.1
//= type=test
//# When a UAS responds to a request with a response that establishes a
//# dialog (such as a 2xx to INVITE), the UAS MUST copy all Record-Route
//# header field values from the request into the response (including the
//# URIs, URI parameters, and any Record-Route header field parameters,
//# whether they are known or unknown to the UAS) and MUST maintain the
//# order of those values.
//= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.1
//= type=test
//# This state MUST be maintained for the duration of the dialog.
//= https://www.rfc-editor.org/rfc/rfc3261#section-12.1
//= type=test
//# UAs MUST assign values to the dialog ID components as described below.
#[test]
fn record_routes_come_back_and_make_the_route() {
    let mut world = World::new(10);
    let (raw, bob) = (world.raw(1), world.phone(2));
    let routes = ["<sip:192.0.2.1;lr;strange=yes>;also=this", "<sip:p2.example;lr>"];
    for (n, routes) in [&routes[..], &[]].into_iter().enumerate() {
        let mut invite = Message::request(Method::Invite, "sip:2@192.0.2.2")
            .header(Header::From, "<sip:1@192.0.2.1>;tag=a")
            .header(Header::To, "<sip:2@192.0.2.2>")
            .header(Header::CallId, format!("routes{n}"))
            .cseq(1)
            .header(Header::Contact, "<sip:1@192.0.2.1>");
        for route in routes {
            invite = invite.header(Header::RecordRoute, route);
        }
        let tx = world.send(raw, invite.body("application/sdp", OFFER).build().unwrap());
        let theirs = world.incoming(bob);
        world.accept(bob, theirs).unwrap();
        let ok = world.final_of(raw, tx);
        let back: Vec<_> =
            ok.fields(Header::RecordRoute).map(|value| String::from_utf8(value.to_vec()).unwrap()).collect();
        assert_eq!(back, routes, "all of it, in order");
        let tag = ok.to().unwrap().tag().unwrap().unwrap().to_owned();
        let mut ack = Message::request(Method::Ack, "sip:2@192.0.2.2")
            .header(Header::From, "<sip:1@192.0.2.1>;tag=a")
            .header(Header::To, format!("<sip:2@192.0.2.2>;tag={tag}"))
            .header(Header::CallId, format!("routes{n}"))
            .cseq(1)
            .build()
            .unwrap();
        ack.set(Header::MaxForwards, 7).unwrap();
        let now = world.now();
        world.net.host(raw).endpoint().send(now, ack, sip_transaction::Destination::route()).unwrap();
        world.until_confirmed(bob, theirs);
        // Much later the dialog is as it was.
        world.run_for(Duration::from_secs(3600));
        world.hang_up(bob, theirs);
        let (tx, bye) = world.request_at(raw);
        let route = bye.field(Header::Route).map(|value| String::from_utf8(value.to_vec()).unwrap());
        assert_eq!(route, (!routes.is_empty()).then(|| routes.join(", ")));
        assert_eq!(bye.request_uri_bytes(), Some(&b"sip:1@192.0.2.1"[..]));
        world.respond(raw, tx, &bye, 200, |builder| builder);
    }
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.2
//= type=test
//# This state MUST be maintained for the duration of the dialog.
//= https://www.rfc-editor.org/rfc/rfc3261#section-12.1.2
//= type=test
//# If no Record-Route header field is present in the response, the route
//# set MUST be set to the empty set.
#[test]
fn what_a_response_does_not_record_is_not_routed() {
    let mut world = World::new(11);
    let (alice, raw) = (world.phone(1), world.raw(2));
    let call = world.call(alice, 1, 2);
    let (tx, request) = world.request_at(raw);
    world.respond(raw, tx, &request, 200, |builder| {
        builder.header(Header::Contact, "<sip:2@192.0.2.2>").body("application/sdp", ANSWER)
    });
    world.until_confirmed(alice, call);
    world.run_for(Duration::from_secs(3600));
    world.hang_up(alice, call);
    let (tx, bye) = world.request_at(raw);
    assert!(!bye.has(Header::Route) && !world.last("ACK").has(Header::Route));
    assert_eq!(bye.request_uri_bytes(), Some(&b"sip:2@192.0.2.2"[..]));
    world.respond(raw, tx, &bye, 200, |builder| builder);
    world.finish();
}

/// Who calls back with what a From or To said has a tag in it.
//= https://www.rfc-editor.org/rfc/rfc3261#section-8.1.1.2
//= type=test
//# A request outside of a dialog MUST NOT contain a To tag; the tag in the
//# To field of a request identifies the peer of the dialog.
#[test]
fn a_tag_that_is_given_is_left_out() {
    let mut world = World::new(13);
    let (alice, raw) = (world.phone(1), world.raw(2));
    let origin = || sip_dialog::Origin::new("\"A. Lice\" <sip:1@192.0.2.1>;tag=old").route("<sip:192.0.2.2;lr>");
    let invite = Invite::new(origin(), "sip:2@192.0.2.2").to("Bob <sip:2@192.0.2.2>;tag=older");
    let call = world.invite(alice, invite.body(offer()));
    let (tx, request) = world.request_at(raw);
    assert_eq!(request.field(Header::To), Some(&b"Bob <sip:2@192.0.2.2>"[..]));
    assert_ne!(request.from().unwrap().tag().unwrap(), Some("old"));
    world.respond(raw, tx, &request, 486, |builder| builder);
    world.end_of(alice, call);
    world.tell(alice, |core, ep, now| core.register(ep, now, Register::new(origin(), "sip:192.0.2.2"))).unwrap();
    let (tx, request) = world.request_at(raw);
    assert_eq!(request.field(Header::To), Some(&b"\"A. Lice\" <sip:1@192.0.2.1>"[..]));
    world.respond(raw, tx, &request, 403, |builder| builder);
    world.finish();
}

//= https://www.rfc-editor.org/rfc/rfc3261#section-19.3
//= type=test
//# When a tag is generated by a UA for insertion into a request or
//# response, it MUST be globally unique and cryptographically random with
//# at least 32 bits of randomness.
#[test]
fn no_tag_comes_twice() {
    let mut world = World::new(12);
    let (alice, bob) = (world.phone(1), world.phone(2));
    let mut tags = BTreeSet::new();
    for _ in 0..50 {
        let ours = world.call(alice, 1, 2);
        let theirs = world.incoming(bob);
        world.tell(bob, |core, ep, now| core.reject(ep, now, theirs, status(486), Reply::new())).unwrap();
        world.end_of(alice, ours);
        let refused = world.last("486");
        for tag in [refused.from().unwrap().tag(), refused.to().unwrap().tag()] {
            let tag = tag.unwrap().unwrap().to_owned();
            assert!(tag.len() >= 8, "32 bits are eight digits: {tag}");
            assert!(tags.insert(tag));
        }
        world.run_for(Duration::from_secs(1));
    }
    world.finish();
}
