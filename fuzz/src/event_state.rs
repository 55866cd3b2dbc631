//! Any PUBLISH at any time: one answer each, what is refused changes nothing, no entity-tag comes twice, and what is kept is within its
//! limits, found under its tag, told of and over in time, here or where it has been handed over to.
//!
//! The first byte chooses the limits. The rest is a sequence of steps that end with a byte of 0xff: one byte that says what, and its
//! bytes.

use sip_message::{Header, Message};
use sip_server::{EventState, EventStateConfig};
use sip_transaction::{Endpoint, Event, FlowId, Input, Instant, Transport};
use std::collections::BTreeSet;
use std::time::Duration;

const RESOURCES: [&str; 3] = ["sip:a@example.com", "sip:b@example.com", "sip:c@example.com"];
const EVENT: &str = "presence";

struct Run {
    endpoint: Endpoint,
    socket: FlowId,
    config: EventStateConfig,
    state: EventState,
    now: Instant,
    requests: u32,
    /// All that there have been, and of which resource.
    tags: Vec<(usize, String)>,
    /// What has been told of and not yet polled.
    untold: usize,
}

/// Runs the target.
pub fn run(data: &[u8]) {
    let Some((&flags, data)) = data.split_first() else { return };
    let mut config = EventStateConfig::default();
    config.max_of_one = usize::from(flags & 3);
    config.max = usize::from(flags >> 2 & 7);
    config.max_document = 1 << (flags >> 5);
    config.min_expires = 10;
    let mut endpoint = Endpoint::new(Default::default(), [1; 32]);
    let socket = endpoint.bind(Transport::Udp, ([192, 0, 2, 1], 5060).into()).expect("a socket");
    let state = EventState::new(config.clone());
    let mut run = Run { endpoint, socket, config, state, now: Instant::ZERO, requests: 0, tags: Vec::new(), untold: 0 };
    for step in data.split(|&b| b == 0xff).take(64) {
        run.step(step);
        run.check();
    }
    run.run_out();
}

impl Run {
    fn step(&mut self, step: &[u8]) {
        let Some((&what, bytes)) = step.split_first() else { return };
        let resource = usize::from(what >> 3) % RESOURCES.len();
        match what % 8 {
            // Fields as they come, and a document.
            0 | 1 => {
                let (fields, body) = bytes.split_at(bytes.len() * usize::from(what >> 3) / 32);
                self.publish(resource, fields, body);
            }
            // A well-formed one.
            2..=4 => {
                let byte = |n: usize| bytes.get(n).copied().unwrap_or_default();
                let mut fields = format!("Event: {EVENT}\r\n");
                let known = self.tags.get(self.tags.len().wrapping_sub(1 + usize::from(byte(0) >> 2)));
                if let Some((_, tag)) = known.filter(|_| byte(0) & 3 != 0) {
                    fields += &format!("SIP-If-Match: {tag}\r\n");
                }
                if byte(1) & 1 != 0 {
                    fields += &format!("Expires: {}\r\n", u32::from(byte(1) >> 1).pow(2));
                }
                let body = bytes.get(2..).unwrap_or_default();
                if !body.is_empty() {
                    fields += "Content-Type: application/pidf+xml\r\n";
                }
                self.publish(resource, fields.as_bytes(), body);
            }
            5 => {
                let length = bytes.iter().fold(1, |length: u64, &byte| length.saturating_mul(u64::from(byte) + 1));
                self.now += Duration::from_millis(length % 10_000_000);
                let before = self.state.len();
                self.state.handle_timeout(self.now);
                self.untold += before - self.state.len();
            }
            6 => self.hand_over(bytes),
            _ => self.drain(),
        }
    }

    fn publish(&mut self, resource: usize, fields: &[u8], body: &[u8]) {
        self.requests += 1;
        let who = RESOURCES[resource];
        let n = self.requests;
        let head = format!(
            "PUBLISH {who} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK{n}\r\nMax-Forwards: 70\r\n\
             From: <{who}>;tag=1\r\nTo: <{who}>\r\nCall-ID: {n}\r\nCSeq: 1 PUBLISH\r\nContent-Length: {}\r\n",
            body.len()
        );
        let bytes = [head.as_bytes(), fields, b"\r\n", body].concat();
        let remote = ([192, 0, 2, 2], 5060).into();
        let _ = self.endpoint.handle_input(self.now, Input::Datagram { flow: self.socket, remote, bytes: &bytes });
        let mut asked = None;
        while let Some(event) = self.endpoint.poll_event() {
            if let Event::Request { tx, message, .. } = event {
                asked = Some((tx, message));
            }
        }
        while self.endpoint.poll_transmit().is_some() {}
        let Some((tx, message)) = asked else { return };
        // What has ended goes first, whatever becomes of the request.
        let before = self.state.len();
        self.state.handle_timeout(self.now);
        self.untold += before - self.state.len();
        let before = self.state.export(self.now);
        let result = self.state.publish(&mut self.endpoint, self.now, tx, &message, Some(who));
        let mut answers = Vec::new();
        while let Some(transmit) = self.endpoint.poll_transmit() {
            answers.push(Message::parse(transmit.bytes).expect("a message"));
        }
        assert_eq!(answers.len(), 1, "one answer");
        let status = answers[0].status().expect("a status");
        let expires = match result {
            Ok(expires) => expires,
            Err(refused) => {
                assert_eq!((status, self.state.export(self.now)), (refused, before), "refused, it changes nothing");
                return;
            }
        };
        assert_eq!(status.code(), 200);
        let tag = answers[0].sip_etag().expect("a tag").expect("well-formed").as_str().to_owned();
        let seconds = answers[0].expires().expect("well-formed").expect("how long it lasts");
        assert_eq!(self.now + Duration::from_secs(seconds.into()), expires);
        assert!(self.tags.iter().all(|(_, old)| *old != tag), "another one each time");
        let found = self.state.publications(who, EVENT, self.now).find(|one| one.entity_tag() == tag);
        assert_eq!(found.map(|one| one.expires()), Some(expires).filter(|_| seconds > 0));
        if let Some(found) = found.filter(|_| !message.body().is_empty()) {
            assert_eq!(found.body(), message.body());
        }
        let removed = seconds == 0 && message.has(Header::SipIfMatch);
        self.untold += usize::from(removed || seconds > 0 && !message.body().is_empty());
        self.tags.push((resource, tag));
    }

    /// Another one goes on, or has nothing if the bytes are spoiled.
    fn hand_over(&mut self, spoil: &[u8]) {
        self.drain();
        let mut bytes = self.state.export(self.now);
        let mut next = EventState::new(self.config.clone());
        for pair in spoil.chunks_exact(2) {
            if let Some(byte) = bytes.get_mut(usize::from(pair[0])) {
                *byte ^= pair[1];
            }
        }
        match next.import(self.now, &bytes) {
            Ok(count) => assert_eq!(count, next.len()),
            Err(_) => assert!(next.is_empty() && next.poll_timeout().is_none()),
        }
        assert!(next.poll_event().is_none());
        if spoil.len() < 2 {
            assert_eq!(next.export(self.now), bytes, "what came is what left");
            self.state = next;
        }
    }

    fn drain(&mut self) {
        while let Some(changed) = self.state.poll_event() {
            assert!(changed.event == EVENT && RESOURCES.contains(&changed.resource.as_str()));
            self.untold = self.untold.checked_sub(1).expect("told once");
        }
        assert_eq!(self.untold, 0, "told of all");
    }

    fn check(&self) {
        assert!(self.state.len() <= self.config.max);
        let mut tags = BTreeSet::new();
        let mut first = None;
        for (n, who) in RESOURCES.iter().enumerate() {
            let mut count = 0;
            for one in self.state.publications(who, EVENT, self.now) {
                assert!(one.body().len() <= self.config.max_document && !one.body().is_empty());
                assert!(self.tags.iter().any(|(of, tag)| *of == n && tag == one.entity_tag()), "given to its client");
                tags.insert(one.entity_tag().to_owned());
                first = Some(first.map_or(one.expires(), |first: Instant| first.min(one.expires())));
                count += 1;
            }
            assert!(count <= self.config.max_of_one);
        }
        assert_eq!(tags.len(), self.state.len(), "each has a tag of its own");
        let due = if self.untold > 0 { Some(self.now) } else { first };
        assert_eq!(self.state.poll_timeout(), due);
    }

    fn run_out(&mut self) {
        self.drain();
        let count = self.state.len();
        self.now += Duration::from_secs(u64::from(self.config.max_expires));
        self.state.handle_timeout(self.now);
        self.untold = count;
        self.drain();
        assert!(self.state.is_empty() && self.state.poll_timeout().is_none(), "nothing is left");
    }
}
