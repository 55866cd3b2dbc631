//! Publications of event state (RFC 3903): the requests of its section 15, what is refused, and what is kept.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use core::time::Duration;
use sip_message::{Header, Message};
use sip_server::{EventState, EventStateConfig};
use sip_transaction::{Endpoint, Event, FlowId, Input, Instant, Transport};

const WHO: &str = "sip:presentity@example.com";
const PIDF: &str = "Event: presence\r\nContent-Type: application/pidf+xml\r\n";

struct Host {
    endpoint: Endpoint,
    state: EventState,
    socket: FlowId,
    now: Instant,
    requests: u32,
    /// Nobody whose state is kept.
    stranger: bool,
}

impl Host {
    fn new(adapt: impl FnOnce(&mut EventStateConfig)) -> Host {
        let mut endpoint = Endpoint::new(Default::default(), [1; 32]);
        let socket = endpoint.bind(Transport::Udp, "192.0.2.10:5060".parse().unwrap()).unwrap();
        let mut config = EventStateConfig::default();
        adapt(&mut config);
        let state = EventState::new(config);
        Host { endpoint, state, socket, now: Instant::ZERO, requests: 0, stranger: false }
    }

    /// A PUBLISH and what it is answered.
    fn publish(&mut self, fields: &str, body: &str) -> Message {
        self.requests += 1;
        let n = self.requests;
        let text = format!(
            "PUBLISH {WHO} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{n};rport\r\nMax-Forwards: 70\r\n\
             From: <{WHO}>;tag=1\r\nTo: <{WHO}>\r\nCall-ID: {n}\r\nCSeq: 1 PUBLISH\r\n{fields}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let remote = "192.0.2.1:5060".parse().unwrap();
        let input = Input::Datagram { flow: self.socket, remote, bytes: text.as_bytes() };
        self.endpoint.handle_input(self.now, input).unwrap();
        while let Some(event) = self.endpoint.poll_event() {
            if let Event::Request { tx, message, .. } = event {
                let resource = (!self.stranger).then_some(WHO);
                let before = self.documents();
                let result = self.state.publish(&mut self.endpoint, self.now, tx, &message, resource);
                if result.is_err() {
                    assert_eq!((self.documents(), self.changes()), (before, 0), "refused, and something has changed");
                }
            }
        }
        let mut sent = None;
        while let Some(transmit) = self.endpoint.poll_transmit() {
            sent = Some(Message::parse(transmit.bytes).unwrap());
        }
        sent.unwrap()
    }

    fn status(&mut self, fields: &str, body: &str) -> u16 {
        self.publish(fields, body).status().unwrap().code()
    }

    fn documents(&self) -> Vec<String> {
        let all = self.state.publications(WHO, "presence", self.now);
        all.map(|one| String::from_utf8(one.body().to_vec()).unwrap()).collect()
    }

    fn changes(&mut self) -> usize {
        let mut count = 0;
        while let Some(changed) = self.state.poll_event() {
            assert_eq!((changed.resource.as_str(), changed.event.as_str()), (WHO, "presence"));
            count += 1;
        }
        count
    }

    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.state.handle_timeout(self.now);
    }
}

fn tag(ok: &Message) -> String {
    assert_eq!(ok.status().unwrap().code(), 200);
    assert_eq!(ok.fields(Header::SipEtag).count(), 1);
    ok.sip_etag().unwrap().unwrap().as_str().to_owned()
}

fn expires(ok: &Message) -> u32 {
    ok.expires().unwrap().unwrap()
}

/// The publications of section 15: initial (F5), refreshed (F9), modified (F11), each with the tag of the one before; and removed.
//= https://www.rfc-editor.org/rfc/rfc3903#section-6
//= type=test
//# *  If the request does not contain a SIP-If-Match header field,
//# the ESC MUST generate and store a locally unique entity-tag for
//# identifying the publication.
//= https://www.rfc-editor.org/rfc/rfc3903#section-6
//= type=test
//# The response MUST contain an
//# Expires header field indicating the expiration interval chosen by
//# the ESC.  The response MUST also contain a SIP-ETag header field
//# that contains a single entity-tag identifying the publication.
//= https://www.rfc-editor.org/rfc/rfc3903#section-6
//= type=test
//# The ESC MUST generate a new entity-tag for each successful
//# publication, replacing any previous entity-tag associated with
//# that event state. The generated entity-tag MUST be unique from any
//# other entity-tags currently assigned to event state associated
//# with that Request-URI, and MUST be different from any entity-tag
//# assigned previously to event state for that Request-URI.
//= https://www.rfc-editor.org/rfc/rfc3903#section-6
//= type=test
//# *  If the chosen expiration interval has a special value of "0",
//# the event state identified by the entity-tag MUST be
//# immediately removed.  The ESC MUST NOT store any event state as
//# a result of such a request.
//= https://www.rfc-editor.org/rfc/rfc3903#section-6
//= type=test
//# The ESC MUST ignore the Record-Route header field if it is included
//# in a PUBLISH request.  The ESC MUST NOT include a Record-Route header
//# field in any response to a PUBLISH request.  The ESC MUST ignore the
//# Contact header field if one is present in a PUBLISH request.
#[test]
fn section_15_a_state_is_published_refreshed_modified_and_removed() {
    let mut host = Host::new(|_| {});
    let routed = "Record-Route: <sip:p.example.com;lr>\r\nContact: <sip:elsewhere@192.0.2.9>\r\n";
    let first = host.publish(&format!("{PIDF}{routed}Expires: 3600\r\n"), "open");
    assert_eq!((expires(&first), first.has(Header::RecordRoute), first.has(Header::Contact)), (3600, false, false));
    assert_eq!((host.documents(), host.changes()), (vec!["open".to_owned()], 1));
    let of_first = tag(&first);

    host.pass(1800);
    let refresh = host.publish(&format!("Event: presence\r\nSIP-If-Match: {of_first}\r\nExpires: 3600\r\n"), "");
    let of_refresh = tag(&refresh);
    assert_ne!(of_refresh, of_first);
    assert_eq!((host.documents(), host.changes()), (vec!["open".to_owned()], 0), "nothing new");
    host.pass(3599);
    assert_eq!(host.documents(), ["open"], "refreshed, it lasts longer");

    let modified = host.publish(&format!("{PIDF}SIP-If-Match: {of_refresh}\r\nExpires: 3600\r\n"), "closed");
    assert_eq!((host.documents(), host.changes()), (vec!["closed".to_owned()], 1), "in the place of the other");
    let of_modified = tag(&modified);
    for stale in [of_first, of_refresh] {
        assert_ne!(stale, of_modified);
        assert_eq!(host.status(&format!("Event: presence\r\nSIP-If-Match: {stale}\r\n"), ""), 412, "good once");
    }

    let removed = host.publish(&format!("Event: presence\r\nSIP-If-Match: {of_modified}\r\nExpires: 0\r\n"), "");
    assert_eq!((expires(&removed), host.documents(), host.changes()), (0, vec![], 1));
    assert_ne!(tag(&removed), of_modified);
    assert!(host.state.is_empty() && host.state.poll_timeout().is_none());
    let nothing = host.publish(&format!("{PIDF}Expires: 0\r\n"), "open");
    assert_eq!((expires(&nothing), host.documents(), host.changes()), (0, vec![], 0), "over at once");
}

//= https://www.rfc-editor.org/rfc/rfc3903#section-6
//= type=test
//# If not, the ESC MUST return a 404 (Not
//# Found) response and skip the remaining steps.
//= https://www.rfc-editor.org/rfc/rfc3903#section-6
//= type=test
//# If the Event header field is missing or contains an event package
//# which the ESC does not support, the ESC MUST respond to the
//# PUBLISH request with a 489 (Bad Event) response, and skip the
//# remaining steps.
//= https://www.rfc-editor.org/rfc/rfc3903#section-6
//= type=test
//# checks whether the header field contains a single entity-tag.
//# If not, the request is invalid, and the ESC MUST return with a
//# 400 (Invalid Request) response and skip the remaining steps.
//= https://www.rfc-editor.org/rfc/rfc3903#section-6
//= type=test
//# If no match is found, the ESC MUST reject the publication with
//# a response of 412 (Conditional Request Failed), and skip the
//# remaining steps.
//= https://www.rfc-editor.org/rfc/rfc3903#section-6
//= type=test
//# This
//# response MUST contain a Min-Expires header field that states
//# the minimum expiration interval the ESC is willing to honor.
//= https://www.rfc-editor.org/rfc/rfc3903#section-6
//= type=test
//# If the content type of the request does
//# not match the event package, or is not understood by the ESC, the
//# ESC MUST reject the request with an appropriate response, such as
//# 415 (Unsupported Media Type), and skip the remainder of the steps.
//= https://www.rfc-editor.org/rfc/rfc3903#section-6
//= type=test
//# *  If the request has no message body and contained no entity-tag,
//# the ESC SHOULD reject the request with an appropriate response,
//# such as 400 (Invalid Request), and skip the remainder of the
//# steps.
//= https://www.rfc-editor.org/rfc/rfc3903#section-6
//= type=test
//# PUBLISH requests with the same Request-URI MUST be processed in the
//# order that they are received.  PUBLISH requests MUST also be
//# processed atomically, meaning that a particular PUBLISH request is
//# either processed completely or not at all.
//= https://www.rfc-editor.org/rfc/rfc3903#section-6
//= type=test
//# The processing of the PUBLISH request MUST be atomic.
#[test]
fn what_is_refused_changes_nothing() {
    let mut host = Host::new(|config| config.max_document = 20);
    let there = tag(&host.publish(PIDF, "open"));
    host.changes();
    host.stranger = true;
    assert_eq!(host.status(PIDF, "open"), 404);
    host.stranger = false;
    let matched = format!("SIP-If-Match: {there}\r\n");
    for event in ["", "Event: dialog\r\n", "Event: presence.winfo\r\n"] {
        let answer = host.publish(&format!("{event}{matched}Expires: 0\r\n"), "");
        assert_eq!(answer.status().unwrap().code(), 489);
        assert_eq!(answer.field(Header::AllowEvents), Some(&b"presence"[..]));
    }
    let required = host.publish(&format!("{PIDF}Require: esoteric\r\n"), "open");
    assert_eq!(required.status().unwrap().code(), 420);
    assert_eq!(required.field(Header::Unsupported), Some(&b"esoteric"[..]));
    for two in [format!("SIP-If-Match: {there}, other\r\n"), format!("{matched}SIP-If-Match: other\r\n")] {
        assert_eq!(host.status(&format!("Event: presence\r\n{two}Expires: 0\r\n"), ""), 400, "{two}");
    }
    assert_eq!(host.status("Event: presence\r\nSIP-If-Match: other\r\nExpires: 0\r\n", ""), 412);
    let brief = host.publish(&format!("Event: presence\r\n{matched}Expires: 59\r\n"), "");
    assert_eq!(brief.status().unwrap().code(), 423);
    assert_eq!(brief.field(Header::MinExpires), Some(&b"60"[..]));
    let other = "Event: presence\r\nContent-Type: text/plain\r\n";
    let unknown = host.publish(other, "I am here");
    assert_eq!(unknown.status().unwrap().code(), 415);
    assert_eq!(unknown.field(Header::Accept), Some(&b"application/pidf+xml"[..]));
    assert_eq!(host.status(&format!("{PIDF}Content-Encoding: gzip\r\n"), "open"), 415);
    assert_eq!(host.status(PIDF, "more than twenty bytes"), 413);
    assert_eq!(host.status("Event: presence\r\n", ""), 400, "nothing to publish");
    assert_eq!(host.documents(), ["open"]);
    assert_ne!(tag(&host.publish(&format!("Event: presence\r\n{matched}"), "")), there, "its tag still held");
}

//= https://www.rfc-editor.org/rfc/rfc3903#section-6
//= type=test
//# *  If the request has an Expires header field, that value MUST be
//# taken as the requested expiration.
//= https://www.rfc-editor.org/rfc/rfc3903#section-6
//= type=test
//# *  Else, a locally-configured default value MUST be taken as the
//# requested expiration.
#[test]
fn how_long_a_publication_lasts() {
    let mut host = Host::new(|config| (config.default_expires, config.max_expires) = (300, 600));
    for (asked, granted) in [("", 300), ("Expires: 120\r\n", 120), ("Expires: 7200\r\n", 600)] {
        let ok = host.publish(&format!("{PIDF}{asked}"), "open");
        assert_eq!(expires(&ok), granted, "{asked}");
        host.changes();
        assert_eq!(host.state.poll_timeout(), Some(host.now + Duration::from_secs(granted.into())));
        host.pass(u64::from(granted) - 1);
        assert_eq!((host.documents().len(), host.changes()), (1, 0));
        host.pass(1);
        assert_eq!((host.documents().len(), host.changes()), (0, 1), "the end is a change");
        assert!(host.state.is_empty() && host.state.poll_timeout().is_none());
    }
}

#[test]
fn several_devices_of_a_user_publish_each_for_itself() {
    let mut host = Host::new(|config| (config.max_of_one, config.max) = (2, 3));
    let first = tag(&host.publish(PIDF, "desk"));
    tag(&host.publish(PIDF, "mobile"));
    assert_eq!(host.documents(), ["mobile", "desk"], "the last first");
    assert_eq!(host.changes(), 2);
    assert_eq!(host.status(PIDF, "third"), 403, "one too many");
    let refreshed = tag(&host.publish(&format!("Event: presence\r\nSIP-If-Match: {first}\r\n"), ""));
    assert_eq!(host.documents(), ["mobile", "desk"], "a refresh is no news");
    tag(&host.publish(&format!("{PIDF}SIP-If-Match: {refreshed}\r\n"), "desk, busy"));
    assert_eq!(host.documents(), ["desk, busy", "mobile"]);
    assert!(host.state.publications("sip:other@example.com", "presence", host.now).next().is_none());
    host.pass(3600);
    assert!(host.state.is_empty());
}

#[test]
fn state_goes_on_elsewhere_with_its_tags_and_ends() {
    let mut old = Host::new(|_| {});
    old.pass(10);
    let desk = tag(&old.publish(&format!("{PIDF}Expires: 100\r\n"), "desk"));
    let mobile = tag(&old.publish(&format!("{PIDF}Expires: 200\r\n"), "mobile"));
    old.publish(&format!("{PIDF}Expires: 60\r\n"), "over by then");
    old.pass(60);
    let bytes = old.state.export(old.now);

    let mut new = Host::new(|_| {});
    new.pass(1000);
    assert_eq!(new.state.import(new.now, &bytes), Ok(2));
    assert_eq!((new.documents(), new.changes()), (vec!["mobile".into(), "desk".into()], 0), "no news");
    assert_eq!(new.state.export(new.now), bytes);
    assert_eq!(new.state.poll_timeout(), Some(new.now + Duration::from_secs(40)));
    let again = new.state.import(new.now, &bytes);
    assert_eq!(again, Err(sip_transaction::ImportError::NotEmpty));
    let refreshed = tag(&new.publish(&format!("Event: presence\r\nSIP-If-Match: {desk}\r\nExpires: 100\r\n"), ""));
    assert!(refreshed != desk && refreshed != mobile);
    new.pass(100);
    assert_eq!(new.documents(), ["mobile"]);
    new.pass(40);
    assert!(new.state.is_empty());

    for at in 0..bytes.len() {
        let mut broken = Host::new(|_| {});
        assert!(broken.state.import(broken.now, &bytes[..at]).is_err() && broken.state.is_empty(), "{at}");
    }
    let mut small = Host::new(|config| config.max_of_one = 1);
    assert_eq!(small.state.import(small.now, &bytes), Ok(1), "no more than there is room for");
    let mut other = Host::new(|config| config.packages.clear());
    assert_eq!(other.state.import(other.now, &bytes), Ok(0), "not a package of it");
}
